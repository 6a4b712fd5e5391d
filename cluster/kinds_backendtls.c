/* BackendTLSPolicy of Gateway API: pods of a Service are spoken to in TLS, and what their certificate must be for.
 *
 * Called by kinds.c; adds to load->policies. Which policy counts for which port, and where its authorities are, is derive_backend_policy.c's. */
#include "gateway.h"

#include <string.h>

static const struct pg_known spec_fields[] = {{"targetRefs", NULL},
                                              {"validation", NULL},
                                              {"options", "options of a controller are not read"},
                                              {NULL, NULL}};
static const struct pg_known target_fields[] = {
    {"group", NULL}, {"kind", NULL}, {"name", NULL}, {"sectionName", NULL}, {NULL, NULL}};
static const struct pg_known validation_fields[] = {{"caCertificateRefs", NULL},
                                                    {"wellKnownCACertificates", NULL},
                                                    {"hostname", NULL},
                                                    {"subjectAltNames", NULL},
                                                    {NULL, NULL}};
static const struct pg_known name_fields[] = {
    {"type", NULL}, {"hostname", NULL}, {"uri", NULL}, {NULL, NULL}};

/* group "" and that kind; else "Group/Kind" for a message. */
static const char *wrong_kind(const struct pg_field *ref, const char *wanted)
{
    struct pg_field group = pg_field_get(ref, "group");
    struct pg_field kind = pg_field_get(ref, "kind");
    const char *group_name = pg_field_text(&group, "");
    const char *kind_name = pg_field_text(&kind, "");
    if (group_name[0] == '\0' && strcmp(kind_name, wanted) == 0)
        return NULL;
    return pg_arena_printf(&ref->load->scratch, "%s%s%s", group_name,
                           group_name[0] != '\0' ? "/" : "", kind_name);
}

static void targets_read(const struct pg_field *spec, struct pg_raw_backend_policy *p)
{
    struct pg_field targets = pg_field_get(spec, "targetRefs");
    p->target_count = pg_field_list(&targets);
    p->targets = pg_arena_array(&spec->load->scratch, p->target_count, sizeof(*p->targets));
    if (p->target_count == 0)
        pg_field_error(&targets, "a BackendTLSPolicy needs a Service it is for");
    for (uint32_t i = 0; i < p->target_count; i++) {
        struct pg_field item = pg_field_item(&targets, i);
        struct pg_field name = pg_field_get(&item, "name");
        struct pg_field section = pg_field_get(&item, "sectionName");
        (void)pg_field_map(&item);
        pg_field_known(&item, target_fields, false);
        p->targets[i] = (struct pg_raw_policy_target){
            .wrong_kind = wrong_kind(&item, "Service"),
            .name = pg_field_dns_name(&name, PG_NAME_SUBDOMAIN, ""),
            .section = pg_field_dns_name(&section, PG_NAME_LABEL, ""),
            .source = pg_field_source(pg_field_is(&name) ? &name : &item)};
        if (!pg_field_is(&name))
            pg_field_error(&name, "a target needs the name of its Service");
    }
}

static void refs_read(const struct pg_field *validation, struct pg_raw_backend_policy *p)
{
    struct pg_field refs = pg_field_get(validation, "caCertificateRefs");
    struct pg_field known = pg_field_get(validation, "wellKnownCACertificates");
    static const char *const sets[] = {"System", NULL};
    p->ref_count = pg_field_list(&refs);
    p->refs = pg_arena_array(&validation->load->scratch, p->ref_count, sizeof(*p->refs));
    for (uint32_t i = 0; i < p->ref_count; i++) {
        struct pg_field item = pg_field_item(&refs, i);
        struct pg_field name = pg_field_get(&item, "name");
        (void)pg_field_map(&item);
        p->refs[i] =
            (struct pg_raw_cert_ref){.namespace = p->object.namespace,
                                     .name = pg_field_dns_name(&name, PG_NAME_SUBDOMAIN, ""),
                                     .wrong_kind = wrong_kind(&item, "ConfigMap"),
                                     .source = pg_field_source(pg_field_is(&name) ? &name : &item)};
        if (!pg_field_is(&name))
            pg_field_error(&name, "an authority needs the name of its ConfigMap");
    }
    p->system = pg_field_is(&known) && pg_field_enum(&known, sets, 0) == 0;
    if (p->ref_count == 0 && !pg_field_is(&known))
        pg_field_error(&refs, "expected caCertificateRefs, or wellKnownCACertificates: System");
    else if (p->ref_count > 0 && pg_field_is(&known))
        pg_field_error(&known, "only without caCertificateRefs");
}

static void names_read(const struct pg_field *validation, struct pg_raw_backend_policy *p)
{
    static const char *const types[] = {"Hostname", "URI", NULL};
    struct pg_field names = pg_field_get(validation, "subjectAltNames");
    p->name_count = pg_field_list(&names);
    p->names = pg_arena_array(&validation->load->scratch, p->name_count, sizeof(*p->names));
    for (uint32_t i = 0; i < p->name_count; i++) {
        struct pg_field item = pg_field_item(&names, i);
        struct pg_field type = pg_field_get(&item, "type");
        (void)pg_field_map(&item);
        pg_field_known(&item, name_fields, false);
        if (!pg_field_is(&type))
            pg_field_error(&type, "expected Hostname or URI");
        p->names[i].uri = pg_field_enum(&type, types, 0) == 1;
        struct pg_field value = pg_field_get(&item, p->names[i].uri ? "uri" : "hostname");
        p->names[i].text =
            p->names[i].uri ? pg_field_text(&value, "") : pg_gateway_hostname(&value);
        if (!pg_field_is(&value))
            pg_field_error(&value, "needed by its type");
    }
}

void pg_kinds_backend_tls_policy(struct pg_load *load, const struct pg_object *object)
{
    struct pg_raw_backend_policy *p = pg_arena_alloc(&load->scratch, sizeof(*p));
    struct pg_field root = pg_field_of(load, object, object->root);
    struct pg_field spec = pg_field_get(&root, "spec");
    struct pg_field validation = pg_field_get(&spec, "validation");
    struct pg_field hostname = pg_field_get(&validation, "hostname");
    p->object = *object;
    (void)pg_field_map(&spec);
    (void)pg_field_map(&validation);
    pg_field_known(&spec, spec_fields, false);
    pg_field_known(&validation, validation_fields, false);
    p->hostname = pg_gateway_hostname(&hostname);
    if (!pg_field_is(&hostname))
        pg_field_error(&hostname, "the name that a pod's certificate must be for is needed");
    else if (p->hostname[0] == '*')
        pg_field_error(&hostname, "\"%.80s\" is no name that can be asked for", p->hostname);
    targets_read(&spec, p);
    refs_read(&validation, p);
    names_read(&validation, p);
    pg_list_add_pointer(&load->policies, p);
}
