/* What a listener of a Gateway says about TLS: whether it ends here, and by which certificates.
 *
 * Called by kinds_gateway.c for each listener. What an API server refuses is an error here; Secrets are looked up by derive_gateway_tls.c. */
#include "gateway.h"

#include <string.h>

static const struct pg_known tls_fields[] = {
    {"mode", NULL},
    {"certificateRefs", NULL},
    {"frontendValidation", "client certificates are not asked for"},
    {"options", "options of a controller are not read"},
    {NULL, NULL}};

static void ref_read(const struct pg_field *f, const struct pg_object *object,
                     struct pg_raw_cert_ref *ret)
{
    struct pg_field group = pg_field_get(f, "group");
    struct pg_field kind = pg_field_get(f, "kind");
    struct pg_field namespace = pg_field_get(f, "namespace");
    struct pg_field name = pg_field_get(f, "name");
    const char *kind_name = pg_field_text(&kind, "Secret");
    (void)pg_field_map(f);
    if (!pg_field_is(&name))
        pg_field_error(&name, "a certificate needs the name of its Secret");
    ret->namespace = pg_field_dns_name(&namespace, PG_NAME_LABEL, object->namespace);
    ret->name = pg_field_dns_name(&name, PG_NAME_SUBDOMAIN, "");
    if (strcmp(kind_name, "Secret") != 0 || pg_field_text(&group, "")[0] != '\0')
        ret->wrong_kind = kind_name;
    ret->source = pg_field_source(pg_field_is(&name) ? &name : f);
}

/* Fields and protocol must fit each other. */
static void mode_check(const struct pg_field *tls, const struct pg_field *mode,
                       const struct pg_field *refs, const struct pg_raw_listener *l)
{
    struct pg_field options = pg_field_get(tls, "options");
    bool there = pg_field_is(tls);
    if (there && l->protocol != PG_LISTENER_HTTPS && l->protocol != PG_LISTENER_TLS)
        pg_field_error(tls, "only listeners of protocol HTTPS and TLS have it");
    else if (l->protocol == PG_LISTENER_HTTPS && l->passthrough)
        pg_field_error(mode, "a listener of protocol HTTPS ends TLS itself: expected Terminate");
    else if (l->protocol == PG_LISTENER_TLS && !l->passthrough)
        pg_field_warn(there ? mode : tls, PG_CODE_UNSUPPORTED,
                      "TLS that ends here is passed on as HTTP only: nothing is served");
    else if (there && !l->passthrough && l->cert_count == 0 && !pg_field_is(&options))
        pg_field_error(refs, "mode Terminate needs a certificate");
}

void pg_gateway_listener_tls(const struct pg_field *listener, const struct pg_object *object,
                             struct pg_raw_listener *l)
{
    static const char *const modes[] = {"Terminate", "Passthrough", NULL};
    struct pg_field tls = pg_field_get(listener, "tls");
    struct pg_field mode = pg_field_get(&tls, "mode");
    struct pg_field refs = pg_field_get(&tls, "certificateRefs");
    (void)pg_field_map(&tls);
    pg_field_known(&tls, tls_fields, false);
    l->passthrough = pg_field_enum(&mode, modes, 0) == 1;
    l->cert_count = pg_field_list(&refs);
    l->certs = pg_arena_array(&listener->load->scratch, l->cert_count, sizeof(*l->certs));
    for (uint32_t i = 0; i < l->cert_count; i++) {
        struct pg_field item = pg_field_item(&refs, i);
        ref_read(&item, object, &l->certs[i]);
    }
    l->tls_source = pg_field_is(&tls) ? pg_field_source(&tls) : l->source;
    mode_check(&tls, &mode, &refs, l);
}
