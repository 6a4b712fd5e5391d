/* Documents to objects: which kind, which name, given once; the rest is for kinds_*.c.
 *
 * Called by snapshot.c once all text is read. A List is taken apart. A kind that has no part in the
 * path is noted once; one that would change it and is not supported is a warning; one that looks
 * like a misspelling is an error. Metadata is checked here for all. */
#include "cluster_internal.h"

#include <string.h>

typedef void reader(struct pg_load *load, const struct pg_object *object);

/* Kinds that take part. */
static const struct kind {
    const char *name;
    const char *versions[3]; /* of apiVersion */
    enum pg_kind kind;
    bool namespaced;
    enum pg_name_form form;
    reader *read; /* NULL: the name is all that counts */
} kinds[] = {
    {"Service", {"v1"}, PG_KIND_SERVICE, true, PG_NAME_LABEL, pg_kinds_service},
    {"EndpointSlice",
     {"discovery.k8s.io/v1", "discovery.k8s.io/v1beta1"},
     PG_KIND_SLICE,
     true,
     PG_NAME_SUBDOMAIN,
     pg_kinds_slice},
    {"Endpoints", {"v1"}, PG_KIND_ENDPOINTS, true, PG_NAME_SUBDOMAIN, pg_kinds_endpoints},
    {"Pod", {"v1"}, PG_KIND_POD, true, PG_NAME_SUBDOMAIN, pg_kinds_pod},
    {"Node", {"v1"}, PG_KIND_NODE, false, PG_NAME_SUBDOMAIN, pg_kinds_node},
    {"Deployment", {"apps/v1"}, PG_KIND_DEPLOYMENT, true, PG_NAME_SUBDOMAIN, pg_kinds_workload},
    {"StatefulSet", {"apps/v1"}, PG_KIND_STATEFUL_SET, true, PG_NAME_SUBDOMAIN, pg_kinds_workload},
    {"DaemonSet", {"apps/v1"}, PG_KIND_DAEMON_SET, true, PG_NAME_SUBDOMAIN, pg_kinds_workload},
    {"ReplicaSet", {"apps/v1"}, PG_KIND_REPLICA_SET, true, PG_NAME_SUBDOMAIN, pg_kinds_workload},
    {"Ingress",
     {"networking.k8s.io/v1"},
     PG_KIND_INGRESS,
     true,
     PG_NAME_SUBDOMAIN,
     pg_kinds_ingress},
    {"IngressClass",
     {"networking.k8s.io/v1"},
     PG_KIND_INGRESS_CLASS,
     false,
     PG_NAME_SUBDOMAIN,
     pg_kinds_ingress_class},
    {"GatewayClass",
     {"gateway.networking.k8s.io/v1", "gateway.networking.k8s.io/v1beta1"},
     PG_KIND_GATEWAY_CLASS,
     false,
     PG_NAME_SUBDOMAIN,
     pg_kinds_gateway_class},
    {"Gateway",
     {"gateway.networking.k8s.io/v1", "gateway.networking.k8s.io/v1beta1"},
     PG_KIND_GATEWAY,
     true,
     PG_NAME_SUBDOMAIN,
     pg_kinds_gateway},
    {"HTTPRoute",
     {"gateway.networking.k8s.io/v1", "gateway.networking.k8s.io/v1beta1"},
     PG_KIND_HTTP_ROUTE,
     true,
     PG_NAME_SUBDOMAIN,
     pg_kinds_http_route},
    {"GRPCRoute",
     {"gateway.networking.k8s.io/v1", "gateway.networking.k8s.io/v1alpha2"},
     PG_KIND_GRPC_ROUTE,
     true,
     PG_NAME_SUBDOMAIN,
     pg_kinds_grpc_route},
    {"TLSRoute",
     {"gateway.networking.k8s.io/v1", "gateway.networking.k8s.io/v1alpha3",
      "gateway.networking.k8s.io/v1alpha2"},
     PG_KIND_TLS_ROUTE,
     true,
     PG_NAME_SUBDOMAIN,
     pg_kinds_tls_route},
    {"ReferenceGrant",
     {"gateway.networking.k8s.io/v1beta1", "gateway.networking.k8s.io/v1"},
     PG_KIND_REFERENCE_GRANT,
     true,
     PG_NAME_SUBDOMAIN,
     pg_kinds_reference_grant},
    {"BackendTLSPolicy",
     {"gateway.networking.k8s.io/v1", "gateway.networking.k8s.io/v1alpha3"},
     PG_KIND_BACKEND_TLS_POLICY,
     true,
     PG_NAME_SUBDOMAIN,
     pg_kinds_backend_tls_policy},
    {"Namespace", {"v1"}, PG_KIND_NAMESPACE, false, PG_NAME_LABEL, NULL},
    {"ConfigMap", {"v1"}, PG_KIND_CONFIG_MAP, true, PG_NAME_SUBDOMAIN, pg_kinds_config_map},
    {"Lab", {"podglass/v1alpha1"}, PG_KIND_LAB, false, PG_NAME_SUBDOMAIN, pg_kinds_lab},
    {"Secret", {"v1"}, PG_KIND_SECRET, true, PG_NAME_SUBDOMAIN, pg_kinds_secret},
    {"Check", {"podglass/v1alpha1"}, PG_KIND_CHECK, false, PG_NAME_SUBDOMAIN, pg_kinds_check},
};

/* Kinds of the core groups that have no part in the path. */
static const char *const ignored[] = {"Job",
                                      "CronJob",
                                      "ServiceAccount",
                                      "Role",
                                      "RoleBinding",
                                      "ClusterRole",
                                      "ClusterRoleBinding",
                                      "PersistentVolume",
                                      "PersistentVolumeClaim",
                                      "StorageClass",
                                      "VolumeAttachment",
                                      "HorizontalPodAutoscaler",
                                      "PodDisruptionBudget",
                                      "LimitRange",
                                      "ResourceQuota",
                                      "PriorityClass",
                                      "CustomResourceDefinition",
                                      "Event",
                                      "Lease",
                                      "ControllerRevision",
                                      "PodTemplate",
                                      "APIService",
                                      "CSINode",
                                      "CSIDriver",
                                      "RuntimeClass",
                                      "ComponentStatus",
                                      "IPAddress",
                                      "Binding",
                                      "Kustomization",
                                      "MutatingWebhookConfiguration",
                                      "ValidatingWebhookConfiguration",
                                      "ValidatingAdmissionPolicy",
                                      "ValidatingAdmissionPolicyBinding",
                                      "PodSecurityPolicy",
                                      "FlowSchema",
                                      "PriorityLevelConfiguration",
                                      "CertificateSigningRequest",
                                      NULL};

/* What would change the path if it were supported: by kind in the core groups, else by the end
 * of the group. */
static const struct {
    const char *group_end; /* "" any */
    const char *kind;      /* NULL any */
} unsupported[] = {
    {"networking.k8s.io", "NetworkPolicy"},
    {"networking.k8s.io", "ServiceCIDR"},
    {"", "ReplicationController"},
    {"gateway.networking.k8s.io", NULL},
    {"policy.networking.k8s.io", NULL},
    {"multicluster.x-k8s.io", NULL},
    {"traefik.io", NULL},
    {"traefik.containo.us", NULL},
    {"cilium.io", NULL},
    {"istio.io", NULL},
    {"projectcontour.io", NULL},
    {"metallb.io", NULL},
    {"projectcalico.org", NULL},
    {"linkerd.io", NULL},
    {"haproxy.org", NULL},
    {"nginx.org", NULL},
    {"konghq.com", NULL},
    {"getambassador.io", NULL},
    {"serving.knative.dev", NULL},
    {"networking.gke.io", NULL},
    {"cloud.google.com", NULL},
    {"elbv2.k8s.aws", NULL},
};

static const char *const core_groups[] = {"", "apps", "networking.k8s.io", "discovery.k8s.io",
                                          NULL};

static bool in(const char *text, const char *const *words)
{
    for (; *words != NULL; words++) {
        if (strcmp(text, *words) == 0)
            return true;
    }
    return false;
}

static const char *group_of(struct pg_load *load, const char *version)
{
    const char *slash = strchr(version, '/');
    return slash == NULL ? "" : pg_arena_text(&load->scratch, version, (size_t)(slash - version));
}

static bool is_unsupported(const char *group, const char *kind)
{
    size_t len = strlen(group);
    for (size_t i = 0; i < sizeof(unsupported) / sizeof(unsupported[0]); i++) {
        size_t end = strlen(unsupported[i].group_end);
        if (end == 0 ? group[0] != '\0'
                     : len < end || strcmp(group + len - end, unsupported[i].group_end) != 0)
            continue;
        if (unsupported[i].kind == NULL || strcmp(kind, unsupported[i].kind) == 0)
            return true;
    }
    return false;
}

static void title_set(struct pg_load *load, struct pg_object *o)
{
    o->title =
        o->namespace[0] == '\0'
            ? pg_arena_printf(&load->scratch, "%s/%s", o->kind_name, o->name)
            : pg_arena_printf(&load->scratch, "%s/%s/%s", o->kind_name, o->namespace, o->name);
}

/* Once per kind, however many objects it has. */
static void note_kind(struct pg_load *load, const struct pg_object *o, enum pg_finding_level level,
                      const char *code, const char *text)
{
    if (pg_index_add(&load->kinds_noted, o->kind_name, strlen(o->kind_name), 0) != PG_INDEX_ABSENT)
        return;
    pg_finding_add(load, level, code, o->title, "", &o->source, "%s", text);
}

static void kind_unknown(struct pg_load *load, struct pg_object *o, const struct pg_field *root,
                         const char *version)
{
    const char *group = group_of(load, version);
    struct pg_field metadata = pg_field_get(root, "metadata");
    struct pg_field name = pg_field_get(&metadata, "name");
    o->name = name.tree != NULL && name.tree->kind == PG_TREE_SCALAR ? name.tree->text : "";
    o->title = o->kind_name;
    if (o->name[0] != '\0')
        title_set(load, o);
    if (is_unsupported(group, o->kind_name)) {
        note_kind(load, o, PG_FINDING_WARNING, PG_CODE_IGNORED,
                  "kind is not supported yet and could change the path; it is left out");
    } else if (in(o->kind_name, ignored) ||
               (!in(group, core_groups) && strcmp(group, "podglass") != 0)) {
        note_kind(load, o, PG_FINDING_NOTE, PG_CODE_IGNORED, "kind does not take part in the path");
    } else {
        struct pg_field kind = pg_field_get(root, "kind");
        pg_field_error(&kind, "no kind %.60s in %.60s", o->kind_name, version);
    }
}

struct pg_labels pg_kinds_labels(const struct pg_field *f)
{
    uint32_t count = pg_field_map(f);
    struct pg_label *at = pg_arena_array(&f->load->scratch, count, sizeof(*at));
    for (uint32_t i = 0; i < count; i++) {
        struct pg_field entry = pg_field_entry(f, i);
        at[i].key = entry.name;
        at[i].value = pg_field_text(&entry, "");
    }
    return (struct pg_labels){at, count};
}

uint8_t pg_kinds_protocol(const struct pg_field *f)
{
    static const char *const names[] = {"TCP", "UDP", "SCTP", NULL};
    static const uint8_t numbers[] = {PG_PROTO_TCP, PG_PROTO_UDP, PG_PROTO_SCTP};
    return numbers[pg_field_enum(f, names, 0)];
}

static void owner_read(struct pg_object *o, const struct pg_field *metadata)
{
    struct pg_field owners = pg_field_get(metadata, "ownerReferences");
    uint32_t count = pg_field_list(&owners);
    for (uint32_t i = 0; i < count; i++) {
        struct pg_field owner = pg_field_item(&owners, i);
        struct pg_field controller = pg_field_get(&owner, "controller");
        struct pg_field kind = pg_field_get(&owner, "kind");
        struct pg_field name = pg_field_get(&owner, "name");
        if (count > 1 && !pg_field_bool(&controller, false))
            continue;
        o->owner_kind = pg_field_text(&kind, "");
        o->owner_name = pg_field_text(&name, "");
        return;
    }
}

/* False: without a usable name there is nothing to go on with. */
static bool metadata_read(struct pg_load *load, struct pg_object *o, const struct kind *k,
                          const struct pg_field *root)
{
    struct pg_field metadata = pg_field_get(root, "metadata");
    struct pg_field name = pg_field_get(&metadata, "name");
    struct pg_field namespace = pg_field_get(&metadata, "namespace");
    struct pg_field labels = pg_field_get(&metadata, "labels");
    struct pg_field created = pg_field_get(&metadata, "creationTimestamp");
    struct pg_field deleted = pg_field_get(&metadata, "deletionTimestamp");
    (void)pg_field_map(&metadata);
    /* So that errors of the names themselves can say whose. */
    if (name.tree != NULL && name.tree->kind == PG_TREE_SCALAR) {
        o->name = name.tree->text;
        title_set(load, o);
    }
    if (!pg_field_is(&name) && (k->kind == PG_KIND_LAB || k->kind == PG_KIND_CHECK))
        o->name = k->kind == PG_KIND_LAB ? "lab" : "checks";
    else if (!pg_field_is(&name))
        pg_field_error(&name, "every object needs a name");
    else
        (void)pg_field_dns_name(&name, k->form, ""); /* a bad one stays, so that the rest is read */
    if (k->namespaced)
        o->namespace = pg_field_dns_name(&namespace, PG_NAME_LABEL, load->namespace);
    title_set(load, o);
    o->labels = pg_kinds_labels(&labels);
    o->created = pg_field_text(&created, "");
    o->deleting = pg_field_is(&deleted);
    owner_read(o, &metadata);
    return o->name[0] != '\0';
}

/* False if the object was there before. */
static bool object_add(struct pg_load *load, struct pg_object *o)
{
    uint32_t before = pg_index_add(&load->titles, o->title, strlen(o->title), load->objects.count);
    if (before != PG_INDEX_ABSENT) {
        const struct pg_object *first =
            PG_LIST_POINTER(load->objects, const struct pg_object, before);
        pg_finding_add(load, PG_FINDING_ERROR, PG_CODE_WRONG, o->title, "", &o->source,
                       "given twice: first at %s:%u", first->source.file, first->source.line);
        return false;
    }
    pg_list_add_pointer(&load->objects, o);
    if (o->namespace[0] != '\0')
        pg_list_add_pointer(&load->namespaces, o->namespace);
    return true;
}

static void object_read(struct pg_load *load, struct pg_object *o, const struct pg_field *root,
                        const char *version)
{
    const struct kind *k = NULL;
    const struct kind *other_version = NULL;
    const char *group = group_of(load, version);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && k == NULL; i++) {
        if (strcmp(kinds[i].name, o->kind_name) != 0)
            continue;
        for (size_t v = 0; v < 3 && kinds[i].versions[v] != NULL; v++)
            k = strcmp(kinds[i].versions[v], version) == 0 ? &kinds[i] : k;
        /* A kind of that name in a group nobody here knows is somebody else's. */
        bool known = strcmp(group, "extensions") == 0 || in(group, core_groups);
        if (known || strcmp(group_of(load, kinds[i].versions[0]), group) == 0)
            other_version = &kinds[i];
    }
    if (k == NULL && other_version != NULL) {
        struct pg_field v = pg_field_get(root, "apiVersion");
        pg_field_error(&v, "%.60s has no %s: expected %s", version, o->kind_name,
                       other_version->versions[0]);
        return;
    }
    if (k == NULL) {
        kind_unknown(load, o, root, version);
        return;
    }
    o->kind = k->kind;
    if (!metadata_read(load, o, k, root))
        return;
    if (k->kind == PG_KIND_CHECK && load->options.checks == NULL) {
        note_kind(load, o, PG_FINDING_NOTE, PG_CODE_IGNORED, "only podglass check reads this kind");
        return;
    }
    /* Several documents of checks need no names to be told apart. */
    if (k->kind != PG_KIND_CHECK && !object_add(load, o))
        return;
    if (k->kind == PG_KIND_NAMESPACE)
        pg_list_add_pointer(&load->namespaces, o->name);
    pg_sets_apply(load, o);
    if (k->read != NULL)
        k->read(load, o);
}

static void root_read(struct pg_load *load, const char *file, const struct pg_tree *root,
                      const char *kind_if_none, const char *version_if_none);

/* "ServiceList" holds items that need not name their kind. */
static void list_read(struct pg_load *load, const char *file, const struct pg_field *items,
                      const char *kind, const char *version)
{
    size_t len = strlen(kind) - strlen("List");
    const char *item_kind = len == 0 ? NULL : pg_arena_text(&load->scratch, kind, len);
    uint32_t count = pg_field_list(items);
    for (uint32_t i = 0; i < count; i++)
        root_read(load, file, items->tree->items[i], item_kind, version);
}

static void root_read(struct pg_load *load, const char *file, const struct pg_tree *root,
                      const char *kind_if_none, const char *version_if_none)
{
    struct pg_object *o = pg_arena_alloc(&load->scratch, sizeof(*o));
    o->kind_name = o->namespace = o->name = o->title = "";
    o->created = o->owner_kind = o->owner_name = "";
    o->root = root;
    o->source = (struct pg_source){file, root->line};
    o->column = root->column;
    struct pg_field f = pg_field_of(load, o, root);
    if (root->kind != PG_TREE_MAP) {
        pg_field_error(&f, "expected an object with apiVersion and kind");
        return;
    }
    struct pg_field kind = pg_field_get(&f, "kind");
    struct pg_field version = pg_field_get(&f, "apiVersion");
    o->kind_name = pg_field_text(&kind, kind_if_none);
    const char *version_text = pg_field_text(&version, version_if_none);
    if (o->kind_name == NULL || o->kind_name[0] == '\0') {
        o->kind_name = "";
        if (!pg_field_is(&kind))
            pg_field_error(&f, "no kind: every object needs apiVersion and kind");
        return;
    }
    o->title = o->kind_name;
    if (version_text == NULL) {
        if (!pg_field_is(&version))
            pg_field_error(&f, "no apiVersion: every object needs apiVersion and kind");
        return;
    }
    size_t len = strlen(o->kind_name);
    struct pg_field items = pg_field_get(&f, "items");
    if (len >= 4 && strcmp(o->kind_name + len - 4, "List") == 0)
        list_read(load, file, &items, o->kind_name, version_text);
    else
        object_read(load, o, &f, version_text);
}

void pg_kinds_read(struct pg_load *load)
{
    for (uint32_t i = 0; i < load->documents.count; i++) {
        struct pg_document d = *PG_LIST_AT(load->documents, struct pg_document, i);
        if (d.root->kind != PG_TREE_LIST) {
            root_read(load, d.file, d.root, NULL, NULL);
            continue;
        }
        for (uint32_t j = 0; j < d.root->count; j++)
            root_read(load, d.file, d.root->items[j], NULL, NULL);
    }
    if (pg_sets_want_lab(load)) {
        struct pg_tree *none = pg_arena_alloc(&load->scratch, sizeof(*none));
        none->kind = PG_TREE_MAP;
        none->line = 1;
        root_read(load, PG_SET_FILE, none, "Lab", "podglass/v1alpha1");
    }
    pg_sets_check(load);
}
