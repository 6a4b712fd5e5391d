/* Lab, the one kind of our own: nodes, clients, address ranges, DNS, the ingress and what backs a
 * pod.
 *
 * Called by kinds.c, at most once per load. Its values are the lab's settings and win over what
 * other objects say. It never goes to an API server, so nobody else defines its fields: an unknown
 * one is an error. pg_lab_default is what holds without a Lab. */
#include "cluster_internal.h"

#include <stdlib.h>
#include <string.h>

static const struct pg_known spec_fields[] = {{"clusterDomain", NULL}, {"podCIDRs", NULL},
                                              {"serviceCIDRs", NULL},  {"loadBalancerCIDR", NULL},
                                              {"dns", NULL},           {"nodes", NULL},
                                              {"clients", NULL},       {"ingress", NULL},
                                              {"masqueradeAll", NULL}, {"dialect", NULL},
                                              {"localDetector", NULL}, {"externalIPs", NULL},
                                              {"pods", NULL},          {NULL, NULL}};
static const struct pg_known root_fields[] = {
    {"apiVersion", NULL}, {"kind", NULL}, {"metadata", NULL}, {"spec", NULL}, {NULL, NULL}};
static const struct pg_known dns_fields[] = {
    {"address", NULL}, {"ttl", NULL}, {"podRecords", NULL}, {"upstream", NULL}, {NULL, NULL}};
static const struct pg_known node_fields[] = {
    {"name", NULL},     {"address", NULL}, {"address6", NULL}, {"podCIDR", NULL},
    {"podCIDR6", NULL}, {"zone", NULL},    {NULL, NULL}};
static const struct pg_known client_fields[] = {{"name", NULL}, {"address", NULL}, {NULL, NULL}};
static const struct pg_known pod_fields[] = {
    {"match", NULL}, {"backing", NULL}, {"address", NULL}, {"node", NULL}, {NULL, NULL}};

struct pg_raw_lab *pg_lab_default(struct pg_load *load)
{
    struct pg_raw_lab *lab = pg_arena_alloc(&load->scratch, sizeof(*lab));
    lab->object.title = "Lab";
    lab->object.source.file = "";
    lab->lab.cluster_domain = "cluster.local";
    lab->lab.dns_ttl = 30;
    lab->lab.ingress_service = PG_INDEX_NONE;
    lab->lab.dns_upstream_source.file = "";
    pg_kinds_lab_ingress_default(&lab->lab.ingress);
    pg_lab_default_services(&lab->lab.services);
    lab->lb_cidr = (struct pg_prefix){pg_addr_v4(203, 0, 113, 0), 120};
    lab->nodes = PG_LIST(&load->scratch, struct pg_node);
    lab->clients = PG_LIST(&load->scratch, struct pg_client);
    lab->pods = PG_LIST(&load->scratch, struct pg_lab_pod);
    lab->ingress_service = "";
    lab->ingress_source.file = "";
    lab->ingress_class = lab->ingress_class_source.file = "";
    lab->config_map = lab->config_map_source.file = "";
    return lab;
}

uint32_t pg_lab_prefixes(const struct pg_field *f, struct pg_prefix *to, uint32_t room)
{
    uint32_t count = pg_field_list(f);
    uint32_t used = 0;
    if (count > room) {
        pg_field_error(f, "expected at most %u ranges, got %u", room, count);
        count = room;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct pg_field item = pg_field_item(f, i);
        if (pg_field_prefix(&item, &to[used]))
            used++;
    }
    return used;
}

/* An address of one family (4, 6) or of either (0). */
static bool addr_read(const struct pg_field *f, int family, struct pg_addr *ret)
{
    struct pg_addr a;
    const char *why = NULL;
    if (!pg_field_addr(f, &a))
        return false;
    if (!pg_addr_usable(&a, &why)) {
        pg_field_error(f, "cannot be %s", why);
        return false;
    }
    if (family != 0 && pg_addr_is_v4(&a) != (family == 4)) {
        pg_field_error(f, "expected an IPv%d address", family);
        return false;
    }
    *ret = a;
    return true;
}

static void cidr_read(const struct pg_field *f, bool v4, struct pg_prefix *ret)
{
    struct pg_prefix p;
    if (!pg_field_prefix(f, &p))
        return;
    if (pg_addr_is_v4(&p.addr) != v4)
        pg_field_error(f, "expected an IPv%d range", v4 ? 4 : 6);
    else if (p.bits > 126)
        pg_field_error(f, "too small for a gateway and a pod");
    else
        *ret = p;
}

/* "192.0.2.53", "192.0.2.53:5353", "[2001:db8::53]:5353". */
static bool upstream_read(const struct pg_field *f, struct pg_dns_upstream *ret)
{
    const char *text = pg_field_text(f, NULL);
    const char *why = "expected an address, or an address and a port";
    if (text == NULL)
        return false;
    const char *end = text + strlen(text);
    const char *colon = strrchr(text, ':');
    unsigned long port = 53;
    if (text[0] == '[' && strchr(text, ']') != NULL) {
        end = strchr(text, ']');
        colon = end[1] == ':' ? end + 1 : NULL;
        port = end[1] == '\0' ? 53 : 0;
        text++;
    } else if (colon != NULL && strchr(text, ':') != colon) {
        colon = NULL; /* IPv6 without a port */
    } else if (colon != NULL) {
        end = colon;
    }
    if (colon != NULL)
        port =
            strspn(colon + 1, "0123456789") == strlen(colon + 1) ? strtoul(colon + 1, NULL, 10) : 0;
    if (port > 0 && port <= UINT16_MAX &&
        pg_addr_parse(text, (size_t)(end - text), &ret->addr) == 0 &&
        pg_addr_usable(&ret->addr, &why)) {
        ret->port = (uint16_t)port;
        return true;
    }
    pg_field_error(f, "\"%.80s\": %s", pg_field_text(f, ""), why);
    return false;
}

static void upstreams_read(const struct pg_field *dns, struct pg_raw_lab *lab)
{
    struct pg_field list = pg_field_get(dns, "upstream");
    uint32_t count = pg_field_list(&list);
    if (count > PG_DNS_UPSTREAMS) {
        pg_field_error(&list, "expected at most %u servers, got %u", PG_DNS_UPSTREAMS, count);
        return;
    }
    lab->lab.dns_upstream_source = pg_field_source(&list);
    for (uint32_t i = 0; i < count; i++) {
        struct pg_field item = pg_field_item(&list, i);
        if (upstream_read(&item, &lab->lab.dns_upstream[lab->lab.dns_upstream_count]))
            lab->lab.dns_upstream_count++;
    }
}

static void dns_read(const struct pg_field *spec, struct pg_raw_lab *lab)
{
    static const char *const records[] = {"disabled", "insecure", "verified", NULL};
    struct pg_field dns = pg_field_get(spec, "dns");
    struct pg_field address = pg_field_get(&dns, "address");
    struct pg_field ttl = pg_field_get(&dns, "ttl");
    struct pg_field pods = pg_field_get(&dns, "podRecords");
    struct pg_addr a;
    (void)pg_field_map(&dns);
    pg_field_known(&dns, dns_fields, true);
    if (addr_read(&address, 0, &a)) {
        lab->lab.dns[pg_addr_is_v4(&a) ? 0 : 1] = a;
        lab->has_dns = true;
    }
    lab->lab.dns_ttl = (uint32_t)pg_field_int(&ttl, 0, 3600, 30);
    lab->lab.pod_records = (enum pg_pod_records)pg_field_enum(&pods, records, 0);
    upstreams_read(&dns, lab);
}

static void nodes_read(const struct pg_field *spec, struct pg_raw_lab *lab)
{
    struct pg_field nodes = pg_field_get(spec, "nodes");
    uint32_t count = pg_field_list(&nodes);
    struct pg_index names = {.arena = &spec->load->scratch};
    for (uint32_t i = 0; i < count; i++) {
        struct pg_field f = pg_field_item(&nodes, i);
        struct pg_field name = pg_field_get(&f, "name");
        struct pg_field address = pg_field_get(&f, "address");
        struct pg_field address6 = pg_field_get(&f, "address6");
        struct pg_field cidr = pg_field_get(&f, "podCIDR");
        struct pg_field cidr6 = pg_field_get(&f, "podCIDR6");
        struct pg_field zone = pg_field_get(&f, "zone");
        struct pg_node n = {.zone = pg_field_text(&zone, ""), .ready = true};
        (void)pg_field_map(&f);
        pg_field_known(&f, node_fields, true);
        if (!pg_field_is(&name))
            pg_field_error(&name, "a node needs a name");
        n.name = pg_field_dns_name(&name, PG_NAME_SUBDOMAIN, "");
        n.source = pg_field_source(pg_field_is(&name) ? &name : &f);
        (void)addr_read(&address, 4, &n.addr[0]);
        (void)addr_read(&address6, 6, &n.addr[1]);
        cidr_read(&cidr, true, &n.pod_cidr[0]);
        cidr_read(&cidr6, false, &n.pod_cidr[1]);
        if (n.name[0] == '\0')
            continue;
        if (pg_index_add(&names, n.name, strlen(n.name), i) != PG_INDEX_ABSENT)
            pg_field_error(&name, "node %s is given twice", n.name);
        else
            *(struct pg_node *)pg_list_add(&lab->nodes) = n;
    }
}

static void clients_read(const struct pg_field *spec, struct pg_raw_lab *lab)
{
    struct pg_field clients = pg_field_get(spec, "clients");
    uint32_t count = pg_field_list(&clients);
    struct pg_index names = {.arena = &spec->load->scratch};
    lab->has_clients = pg_field_is(&clients);
    for (uint32_t i = 0; i < count; i++) {
        struct pg_field f = pg_field_item(&clients, i);
        struct pg_field name = pg_field_get(&f, "name");
        struct pg_field address = pg_field_get(&f, "address");
        struct pg_client c = {.source = pg_field_source(pg_field_is(&name) ? &name : &f)};
        (void)pg_field_map(&f);
        pg_field_known(&f, client_fields, true);
        if (!pg_field_is(&name))
            pg_field_error(&name, "a client needs a name");
        if (!pg_field_is(&address))
            pg_field_error(&address, "a client needs an address");
        c.name = pg_field_dns_name(&name, PG_NAME_LABEL, "");
        if (!addr_read(&address, 0, &c.addr) || c.name[0] == '\0')
            continue;
        if (pg_index_add(&names, c.name, strlen(c.name), i) != PG_INDEX_ABSENT)
            pg_field_error(&name, "client %s is given twice", c.name);
        else
            *(struct pg_client *)pg_list_add(&lab->clients) = c;
    }
}

/* "namespace/name"; the name may hold '*' if wild. */
bool pg_lab_name(const struct pg_field *f, bool wild, const char **ret_namespace,
                 const char **ret_name)
{
    const char *text = pg_field_text(f, NULL);
    if (text == NULL)
        return false;
    const char *slash = strchr(text, '/');
    if (slash == NULL || slash == text || slash[1] == '\0' || strchr(slash + 1, '/') != NULL ||
        (!wild && strchr(text, '*') != NULL)) {
        pg_field_error(f, "\"%.80s\": expected namespace/name", text);
        return false;
    }
    *ret_namespace = pg_arena_text(&f->load->scratch, text, (size_t)(slash - text));
    *ret_name = slash + 1;
    return true;
}

static void pods_read(const struct pg_field *spec, struct pg_raw_lab *lab)
{
    static const char *const backings[] = {"echo", "wire", NULL};
    struct pg_field pods = pg_field_get(spec, "pods");
    uint32_t count = pg_field_list(&pods);
    for (uint32_t i = 0; i < count; i++) {
        struct pg_field f = pg_field_item(&pods, i);
        struct pg_field match = pg_field_get(&f, "match");
        struct pg_field backing = pg_field_get(&f, "backing");
        struct pg_field address = pg_field_get(&f, "address");
        struct pg_field node = pg_field_get(&f, "node");
        struct pg_lab_pod p = {.node = pg_field_text(&node, "")};
        (void)pg_field_map(&f);
        pg_field_known(&f, pod_fields, true);
        if (!pg_field_is(&match))
            pg_field_error(&match, "expected namespace/name, the name may hold *");
        if (!pg_lab_name(&match, true, &p.namespace, &p.name))
            continue;
        p.exact = strpbrk(p.namespace, "*?[") == NULL && strpbrk(p.name, "*?[") == NULL;
        p.has_backing = pg_field_is(&backing);
        p.backing = pg_field_enum(&backing, backings, 0) == 1 ? PG_BACKING_WIRE : PG_BACKING_ECHO;
        p.source = pg_field_source(&match);
        p.column = match.tree->column;
        p.field = pg_field_path(&match, &spec->load->scratch);
        if (addr_read(&address, 0, &p.addr) && !p.exact)
            pg_field_error(&address, "only for one pod, and match holds a *");
        *(struct pg_lab_pod *)pg_list_add(&lab->pods) = p;
    }
}

void pg_kinds_lab(struct pg_load *load, const struct pg_object *object)
{
    if (load->lab->object.source.line != 0) {
        pg_finding_add(load, PG_FINDING_ERROR, PG_CODE_WRONG, object->title, "", &object->source,
                       "a second Lab: the first is at %s:%u", load->lab->object.source.file,
                       load->lab->object.source.line);
        return;
    }
    struct pg_raw_lab *lab = load->lab;
    struct pg_field root = pg_field_of(load, object, object->root);
    struct pg_field spec = pg_field_get(&root, "spec");
    struct pg_field domain = pg_field_get(&spec, "clusterDomain");
    struct pg_field pod_cidrs = pg_field_get(&spec, "podCIDRs");
    struct pg_field service_cidrs = pg_field_get(&spec, "serviceCIDRs");
    struct pg_field lb_cidr = pg_field_get(&spec, "loadBalancerCIDR");
    lab->object = *object;
    (void)pg_field_map(&spec);
    pg_field_known(&root, root_fields, true);
    pg_field_known(&spec, spec_fields, true);
    lab->lab.cluster_domain = pg_field_dns_name(&domain, PG_NAME_SUBDOMAIN, "cluster.local");
    lab->lab.cluster_cidr_count = pg_lab_prefixes(&pod_cidrs, lab->lab.cluster_cidr, 4);
    lab->lab.service_cidr_count = pg_lab_prefixes(&service_cidrs, lab->lab.service_cidr, 4);
    (void)pg_field_prefix(&lb_cidr, &lab->lb_cidr);
    dns_read(&spec, lab);
    nodes_read(&spec, lab);
    clients_read(&spec, lab);
    pg_kinds_lab_services(&spec, lab);
    pg_kinds_lab_ingress(&spec, lab);
    pods_read(&spec, lab);
}
