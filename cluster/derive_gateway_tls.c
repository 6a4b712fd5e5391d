/* Which certificate a listener of a Gateway shows, and what goes on unread.
 *
 * Called by derive_httproute.c once listeners are numbered; Secrets are indexed by derive_tls.c. A listener shows those certificates that are to be had, by the name that is asked for; without
 * any nothing is served on it, as the specification has it. One that writes no tls at all gets a certificate that is made up. */
#include "gateway.h"

#include <string.h>

static void trouble_tell(struct pg_load *load, const struct pg_raw_gateway *g,
                         struct pg_raw_listener *l, const struct pg_source *source,
                         const char *reason, const char *text)
{
    if (l->unresolved == NULL) {
        l->unresolved = text;
        l->unresolved_reason = reason;
    }
    pg_finding_add(load, PG_FINDING_WARNING, PG_CODE_DANGLING, g->object.title,
                   pg_arena_printf(&load->scratch, "spec.listeners %s", l->name), source, "%s",
                   text);
}

/* Index of the Secret; PG_INDEX_NONE: it is not to be had, and why was told. */
static uint32_t ref_find(struct pg_load *load, const struct pg_raw_gateway *g,
                         struct pg_raw_listener *l, const struct pg_raw_cert_ref *ref)
{
    struct pg_arena *scratch = &load->scratch;
    const char *reason = "InvalidCertificateRef";
    if (ref->wrong_kind != NULL) {
        trouble_tell(load, g, l, &ref->source, reason,
                     pg_arena_printf(scratch, "%.60s is no Secret", ref->wrong_kind));
        return PG_INDEX_NONE;
    }
    if (strcmp(ref->namespace, g->object.namespace) != 0 &&
        !pg_gateway_granted(load, "Gateway", g->object.namespace, "Secret", ref->namespace,
                            ref->name)) {
        trouble_tell(load, g, l, &ref->source, "RefNotPermitted",
                     pg_arena_printf(scratch,
                                     "no ReferenceGrant in %.60s lets Gateways of %.60s name "
                                     "Secret %.80s",
                                     ref->namespace, g->object.namespace, ref->name));
        return PG_INDEX_NONE;
    }
    uint32_t at = pg_name_find(&load->secret_by_name, ref->namespace, ref->name);
    if (at == PG_INDEX_NONE)
        trouble_tell(load, g, l, &ref->source, reason,
                     pg_arena_printf(scratch,
                                     "there is no Secret %.60s/%.80s with tls.crt and tls.key",
                                     ref->namespace, ref->name));
    else if (!PG_LIST_POINTER(load->secrets, const struct pg_raw_secret, at)->secret.usable) {
        trouble_tell(load, g, l, &ref->source, reason,
                     pg_arena_printf(scratch, "Secret %.60s/%.80s can not be used: see PG430",
                                     ref->namespace, ref->name));
        at = PG_INDEX_NONE;
    }
    return at;
}

/* One certificate of a listener; shown NULL: it is made up, or TLS goes on unread. */
static void host_add(struct pg_load *load, const struct pg_raw_gateway *g,
                     const struct pg_raw_listener *l, const struct pg_raw_cert_ref *shown,
                     uint32_t secret, uint32_t turn)
{
    struct pg_arena *scratch = &load->scratch;
    *(struct pg_tls_host *)pg_list_add(&load->tls_hosts) = (struct pg_tls_host){
        .host = l->hostname,
        .listener = l->index,
        .turn = turn,
        .secret_text =
            shown == NULL ? "" : pg_arena_printf(scratch, "%s/%s", shown->namespace, shown->name),
        .secret = secret,
        .passthrough = l->passthrough,
        .object = g->object.title,
        .field = pg_arena_printf(scratch, "listeners %s tls.%s", l->name,
                                 l->passthrough ? "mode" : "certificateRefs"),
        .source = shown == NULL ? l->tls_source : shown->source};
}

static void listener_certs(struct pg_load *load, const struct pg_raw_gateway *g,
                           struct pg_raw_listener *l)
{
    uint32_t *secrets = pg_arena_array(&load->scratch, l->cert_count, sizeof(*secrets));
    uint32_t usable = 0;
    for (uint32_t i = 0; i < l->cert_count && !l->passthrough; i++) {
        secrets[i] = ref_find(load, g, l, &l->certs[i]);
        usable += secrets[i] != PG_INDEX_NONE;
    }
    if (l->cert_count > 0 && usable == 0 && !l->passthrough) {
        l->trouble = l->trouble != NULL ? l->trouble : l->unresolved;
        l->trouble_reason = l->trouble_reason != NULL ? l->trouble_reason : "Invalid";
    }
    if (l->trouble == NULL && l->cert_count == 0 && !l->passthrough)
        pg_finding_add(load, PG_FINDING_WARNING, PG_CODE_DANGLING, g->object.title,
                       pg_arena_printf(&load->scratch, "spec.listeners %s", l->name), &l->source,
                       "names no certificate: it shows one that is made up");
    if (l->trouble != NULL || g->trouble != NULL)
        return;
    for (uint32_t i = 0; i < l->cert_count && usable > 0; i++) {
        if (secrets[i] != PG_INDEX_NONE)
            host_add(load, g, l, &l->certs[i], secrets[i], i);
    }
    if (usable == 0)
        host_add(load, g, l, NULL, PG_INDEX_NONE, 0);
}

void pg_derive_listener_certs(struct pg_load *load)
{
    for (uint32_t i = 0; i < load->gateways.count; i++) {
        struct pg_raw_gateway *g = PG_LIST_POINTER(load->gateways, struct pg_raw_gateway, i);
        for (uint32_t j = 0; j < g->listener_count; j++) {
            struct pg_raw_listener *l = &g->listeners[j];
            if (l->bad_kind != NULL && l->protocol <= PG_LISTENER_TLS)
                trouble_tell(load, g, l, &l->source, "InvalidRouteKinds",
                             pg_arena_printf(&load->scratch,
                                             "allowedRoutes.kinds: a listener of its protocol has "
                                             "no routes of kind %.60s",
                                             l->bad_kind));
            if (l->protocol == PG_LISTENER_HTTPS || l->protocol == PG_LISTENER_TLS)
                listener_certs(load, g, l);
        }
    }
}
