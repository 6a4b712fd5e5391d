/* BackendTLSPolicies: which one counts for which port of a Service, and by which authorities.
 *
 * Called by derive_upstream_tls.c. Of two for the same target the older one counts, then the one whose name comes first; one that names a port goes before one for all. A
 * policy without an authority that is to be had counts too: nothing is sent to its pods, since who verifies nothing must not seem to.
 *
 * Owns nothing. Always true: a policy that is not accepted, but for its authorities, changes nothing. */
#include "gateway.h"

#include <stdlib.h>
#include <string.h>

static void trouble_tell(struct pg_load *load, const struct pg_raw_backend_policy *p,
                         const char *field, const struct pg_source *source, const char *text)
{
    pg_finding_add(load, PG_FINDING_WARNING, PG_CODE_DANGLING, p->object.title, field, source, "%s",
                   text);
}

/* ---- authorities ---- */

/* ca.crt of a ConfigMap; NULL: there is none. */
static const char *config_map_ca(struct pg_load *load, const char *namespace, const char *name)
{
    for (uint32_t i = 0; i < load->config_maps.count; i++) {
        const struct pg_object *o = PG_LIST_POINTER(load->config_maps, const struct pg_object, i);
        if (strcmp(o->namespace, namespace) != 0 || strcmp(o->name, name) != 0)
            continue;
        struct pg_field root = pg_field_of(load, o, o->root);
        struct pg_field entries = pg_field_get(&root, "data");
        struct pg_field entry = pg_field_get(&entries, "ca.crt");
        return pg_field_is(&entry) ? pg_field_text(&entry, "") : NULL;
    }
    return NULL;
}

/* Why an authority is not to be had; NULL: it is, in *ret. */
static const char *ref_find(struct pg_load *load, struct pg_raw_backend_policy *p,
                            const struct pg_raw_cert_ref *ref, const char **ret)
{
    struct pg_upstream_tls probe = {.versions = PG_UPSTREAM_TLS_12, .ciphers = ""};
    struct pg_text why = {0};
    const char *trouble = NULL;
    if (ref->wrong_kind != NULL) {
        p->unresolved_reason = "InvalidKind";
        return pg_arena_printf(&load->scratch, "%.60s is no ConfigMap", ref->wrong_kind);
    }
    p->unresolved_reason = "InvalidCACertificateRef";
    *ret = config_map_ca(load, ref->namespace, ref->name);
    if (*ret == NULL)
        return pg_arena_printf(&load->scratch, "there is no ConfigMap %.60s/%.80s with ca.crt",
                               ref->namespace, ref->name);
    probe.ca = *ret;
    probe.ca_len = (uint32_t)strlen(*ret);
    if (load->options.check_upstream != NULL && !load->options.check_upstream(&probe, &why))
        trouble = pg_arena_printf(&load->scratch, "ConfigMap %.60s/%.80s: %s", ref->namespace,
                                  ref->name, why.at);
    pg_text_free(&why);
    return trouble;
}

/* All that are to be had, one behind the other. */
static void refs_find(struct pg_load *load, struct pg_raw_backend_policy *p,
                      struct pg_upstream_tls *to)
{
    struct pg_text all = {0};
    struct pg_text names = {0};
    for (uint32_t i = 0; i < p->ref_count; i++) {
        const char *pem = "";
        const char *reason = p->unresolved_reason;
        const char *trouble = ref_find(load, p, &p->refs[i], &pem);
        if (trouble != NULL && p->unresolved == NULL) {
            p->unresolved = trouble;
            trouble_tell(load, p, "spec.validation.caCertificateRefs", &p->refs[i].source, trouble);
        } else if (p->unresolved != NULL) {
            p->unresolved_reason = reason;
        }
        if (trouble != NULL)
            continue;
        pg_text_printf(&all, "%s\n", pem);
        pg_text_printf(&names, "%sConfigMap/%s/%s", names.len > 0 ? ", " : "", p->refs[i].namespace,
                       p->refs[i].name);
    }
    if (all.len > 0) {
        to->ca = pg_arena_text(&load->scratch, all.at, all.len);
        to->ca_len = (uint32_t)all.len;
        to->ca_text = pg_arena_text(&load->scratch, names.at, names.len);
    } else if (!p->system) {
        p->trouble = p->unresolved;
        p->trouble_reason = "NoValidCACertificate";
        to->trouble = p->unresolved;
    }
    pg_text_free(&all);
    pg_text_free(&names);
}

static void setting_make(struct pg_load *load, struct pg_raw_backend_policy *p)
{
    struct pg_upstream_tls to = {.name = p->hostname,
                                 .send_name = true,
                                 .verify = true,
                                 .system = p->system,
                                 .versions = PG_UPSTREAM_TLS_12 | PG_UPSTREAM_TLS_13,
                                 .ciphers = "",
                                 .ca = "",
                                 .ca_text = p->system ? "the system's" : "",
                                 .names = p->names,
                                 .name_count = p->name_count,
                                 .secret = PG_INDEX_NONE,
                                 .trouble = "",
                                 .object = p->object.title,
                                 .field = "spec.validation",
                                 .text = p->hostname,
                                 .source = p->object.source};
    refs_find(load, p, &to);
    p->trust = to.ca_text;
    *(struct pg_upstream_tls *)pg_list_add(&load->upstream_tls) = to;
    p->made = load->upstream_tls.count;
}

bool pg_backend_policy_names(const struct pg_load *load, const struct pg_object *config_map)
{
    for (uint32_t i = 0; i < load->policies.count; i++) {
        const struct pg_raw_backend_policy *p =
            PG_LIST_POINTER(load->policies, const struct pg_raw_backend_policy, i);
        for (uint32_t r = 0; r < p->ref_count; r++) {
            if (strcmp(p->refs[r].namespace, config_map->namespace) == 0 &&
                strcmp(p->refs[r].name, config_map->name) == 0)
                return true;
        }
    }
    return false;
}

/* ---- targets ---- */

static const char *target_key(struct pg_load *load, const char *namespace, const char *name,
                              const char *section)
{
    return pg_arena_printf(&load->scratch, "%s/%s:%s", namespace, name, section);
}

/* Why a target is none; NULL: it is one. */
static const char *target_fault(struct pg_load *load, const struct pg_raw_backend_policy *p,
                                const struct pg_raw_policy_target *t)
{
    struct pg_arena *scratch = &load->scratch;
    if (t->wrong_kind != NULL)
        return pg_arena_printf(scratch, "%.60s is no Service", t->wrong_kind);
    uint32_t at = pg_name_find(&load->service_by_name, p->object.namespace, t->name);
    if (at == PG_INDEX_NONE)
        return pg_arena_printf(scratch, "there is no Service %.60s/%.80s", p->object.namespace,
                               t->name);
    const struct pg_raw_service *s =
        PG_LIST_POINTER(load->services, const struct pg_raw_service, at);
    for (uint32_t i = 0; i < s->port_count; i++) {
        if (t->section[0] == '\0' || strcmp(s->ports[i].name, t->section) == 0)
            return NULL;
    }
    return pg_arena_printf(scratch, "%s has no port named %.60s", s->object.title, t->section);
}

/* Each target for the first policy that wants it. */
static void targets_take(struct pg_load *load, struct pg_raw_backend_policy *p)
{
    uint32_t taken = 0;
    for (uint32_t i = 0; i < p->target_count; i++) {
        const struct pg_raw_policy_target *t = &p->targets[i];
        const char *fault = target_fault(load, p, t);
        const char *reason = t->wrong_kind != NULL ? "Invalid" : "TargetNotFound";
        const char *key = target_key(load, p->object.namespace, t->name, t->section);
        uint32_t before = fault != NULL ? PG_INDEX_NONE
                                        : pg_index_add(&load->policy_by_target, key, strlen(key),
                                                       load->upstream_tls.count + 1);
        if (before != PG_INDEX_NONE) {
            const struct pg_upstream_tls *first =
                PG_LIST_AT(load->upstream_tls, const struct pg_upstream_tls, before - 1);
            fault = pg_arena_printf(&load->scratch, "Service %.60s already has %.120s (%s:%u)",
                                    t->name, first->object, first->source.file, first->source.line);
            reason = "Conflicted";
        }
        taken += fault == NULL;
        if (fault == NULL)
            continue;
        trouble_tell(load, p, "spec.targetRefs", &t->source, fault);
        p->trouble = fault;
        p->trouble_reason = reason;
    }
    if (taken == 0) {
        p->trust = "";
        return;
    }
    p->trouble = NULL;
    setting_make(load, p);
}

static int age_order(const void *a, const void *b)
{
    const struct pg_object *x = &(*(struct pg_raw_backend_policy *const *)a)->object;
    const struct pg_object *y = &(*(struct pg_raw_backend_policy *const *)b)->object;
    int order = 0;
    if (x->created[0] != '\0' && y->created[0] != '\0')
        order = strcmp(x->created, y->created);
    return order != 0 ? order : pg_object_compare(x, y);
}

void pg_derive_backend_policies(struct pg_load *load)
{
    load->policy_by_target = (struct pg_index){.arena = &load->scratch};
    if (load->policies.count > 1)
        qsort(load->policies.at, load->policies.count, sizeof(void *), age_order);
    for (uint32_t i = 0; i < load->policies.count; i++)
        targets_take(load, PG_LIST_POINTER(load->policies, struct pg_raw_backend_policy, i));
}

uint32_t pg_backend_policy_of(struct pg_load *load, const struct pg_raw_service *service,
                              const struct pg_service_port *port)
{
    const struct pg_object *o = &service->object;
    if (load->policies.count == 0)
        return 0;
    const char *key = target_key(load, o->namespace, o->name, port->name);
    uint32_t at = pg_index_find(&load->policy_by_target, key, strlen(key));
    if (at == PG_INDEX_NONE) {
        key = target_key(load, o->namespace, o->name, "");
        at = pg_index_find(&load->policy_by_target, key, strlen(key));
    }
    return at == PG_INDEX_NONE ? 0 : at;
}
