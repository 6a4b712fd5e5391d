/* Who asks and who is asked: words of the command line to addresses.
 *
 * Called by ask.c and check. A name of a client, a pod or a node is looked for in the snapshot; a host name is asked of the cluster's own zone, as
 * the resolver of the one who asks would do it (search list included). */
#include "podglass/ask.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SEARCH_DOTS 5 /* ndots of a pod's resolv.conf */

/* ---- who asks ---- */

static struct pg_addr first_of(const struct pg_addr pair[2])
{
    return pair[pg_addr_is_none(&pair[0])];
}

static int from_client(const struct pg_client *c, struct pg_end_of *ret)
{
    *ret = (struct pg_end_of){.addr = c->addr};
    snprintf(ret->name, sizeof ret->name, "%s", c->name);
    return 0;
}

static int from_pod(const struct pg_pod *p, struct pg_end_of *ret)
{
    *ret = (struct pg_end_of){.addr = first_of(p->addr), .namespace = p->namespace};
    snprintf(ret->name, sizeof ret->name, "pod %s/%s", p->namespace, p->name);
    return 0;
}

static int from_node(const struct pg_node *n, struct pg_end_of *ret)
{
    *ret = (struct pg_end_of){.addr = first_of(n->addr)};
    snprintf(ret->name, sizeof ret->name, "node %s", n->name);
    return 0;
}

static int find_pod(const struct pg_snapshot *s, const char *name, struct pg_end_of *ret,
                    struct pg_text *why)
{
    const char *slash = strchr(name, '/');
    size_t len = slash ? (size_t)(slash - name) : 0;

    for (uint32_t i = 0; i < s->pod_count; i++) {
        const struct pg_pod *p = &s->pods[i];
        struct pg_addr a = first_of(p->addr);
        bool here = slash ? strlen(p->namespace) == len && memcmp(p->namespace, name, len) == 0
                          : strcmp(p->namespace, "default") == 0;
        if (here && strcmp(p->name, slash ? slash + 1 : name) == 0 && !pg_addr_is_none(&a)) {
            return from_pod(p, ret);
        }
    }
    pg_text_printf(why, "no pod %s with an address in the manifests", name);
    return -EINVAL;
}

static int find_node(const struct pg_snapshot *s, const char *name, struct pg_end_of *ret,
                     struct pg_text *why)
{
    for (uint32_t i = 0; i < s->node_count; i++) {
        if (strcmp(s->nodes[i].name, name) == 0) {
            return from_node(&s->nodes[i], ret);
        }
    }
    pg_text_printf(why, "no node %s in the manifests", name);
    return -EINVAL;
}

/* An address says by itself who has it. */
static int from_addr(const struct pg_snapshot *s, const struct pg_addr *a, struct pg_end_of *ret)
{
    uint32_t pod = pg_snapshot_pod_by_addr(s, a);
    uint32_t node = pg_snapshot_node_by_addr(s, a);
    int status = 0;

    *ret = (struct pg_end_of){.wire = true};
    for (uint32_t i = 0; i < s->client_count; i++) {
        if (pg_addr_equal(&s->clients[i].addr, a)) {
            return from_client(&s->clients[i], ret);
        }
    }
    if (pod != PG_INDEX_NONE) {
        status = from_pod(&s->pods[pod], ret);
    } else if (node != PG_INDEX_NONE) {
        status = from_node(&s->nodes[node], ret);
    }
    ret->addr = *a; /* it may be the second of a pair, or a gateway */
    return status;
}

int pg_end_from(const struct pg_snapshot *s, const char *text, struct pg_end_of *ret,
                struct pg_text *why)
{
    struct pg_addr a;

    if (!text && s->client_count) {
        return from_client(&s->clients[0], ret);
    }
    if (!text) {
        pg_text_puts(why, "the lab has no client: say --from");
        return -EINVAL;
    }
    if (strncmp(text, "pod:", 4) == 0) {
        return find_pod(s, text + 4, ret, why);
    }
    if (strncmp(text, "node:", 5) == 0) {
        return find_node(s, text + 5, ret, why);
    }
    if (pg_addr_parse(text, strlen(text), &a) == 0) {
        return from_addr(s, &a, ret);
    }
    for (uint32_t i = 0; i < s->client_count; i++) {
        if (strcmp(s->clients[i].name, text) == 0) {
            return from_client(&s->clients[i], ret);
        }
    }
    pg_text_printf(why,
                   "--from %s: neither an address, nor a client of the lab, nor pod:NS/NAME, nor "
                   "node:NAME",
                   text);
    return -EINVAL;
}

/* ---- who is asked ---- */

struct pg_addr pg_end_of_ingress(const struct pg_snapshot *s, bool v6)
{
    struct pg_addr none = {0};

    if (s->lab.ingress_service == PG_INDEX_NONE) {
        return none;
    }
    const struct pg_service *v = &s->services[s->lab.ingress_service];

    for (uint32_t i = v->lb_first; i < v->lb_first + v->lb_count; i++) {
        if (pg_addr_is_v4(&s->lb_ips[i].addr) != v6) {
            return s->lb_ips[i].addr;
        }
    }
    for (uint32_t i = 0; i < s->node_count && v->type == PG_SERVICE_NODE_PORT; i++) {
        if (!pg_addr_is_none(&s->nodes[i].addr[v6])) {
            return s->nodes[i].addr[v6];
        }
    }
    return v->cluster_ip[v6];
}

struct search {
    const struct pg_zone *zone;
    bool v6;
    struct pg_addr *ret;
    pg_reason_id *ret_reason;
    struct pg_name_walk *walk; /* NULL: not wanted */
    enum pg_dns_status
        status; /* the best so far: OK, or that a name is there without such an address */
};

static void note_step(struct pg_name_walk *w, const char *name, enum pg_dns_status status)
{
    size_t len = strlen(name);

    if (w && w->count < PG_NAME_WALK) {
        (void)snprintf(w->step[w->count].name, sizeof(w->step[0].name), "%.258s%s", name,
                       len > 0 && name[len - 1] == '.' ? "" : ".");
        w->step[w->count++].status = status;
    }
}

/* true: that is it. */
static bool ask_zone(struct search *q, const char *name)
{
    struct pg_addr a;
    pg_reason_id reason = 0;
    uint32_t count = 0;
    enum pg_dns_status status =
        pg_dns_resolve(q->zone, name, strlen(name), q->v6, &a, 1, &count, &reason);

    note_step(q->walk, name, status);
    if (status == PG_DNS_OK && count > 0) {
        *q->ret = a;
        *q->ret_reason = reason;
        q->status = PG_DNS_OK;
        return true;
    }
    if (status == PG_DNS_NODATA) {
        q->status = status;
    }
    return false;
}

/* The name with `tail` and the cluster's domain behind it. */
static bool ask_below(struct search *q, const struct pg_snapshot *s, struct pg_slice host,
                      const char *namespace, const char *tail)
{
    struct pg_text name = {0};

    pg_text_add(&name, host.at, host.len);
    pg_text_printf(&name, "%s%s.%s%s", namespace[0] ? "." : "", namespace, tail,
                   s->lab.cluster_domain);
    bool found = ask_zone(q, name.at);

    pg_text_free(&name);
    return found;
}

/* A pod's resolver goes through its search list before the name itself if that has few dots (ndots:5), anybody else's after it. */
static void search(struct search *q, const struct pg_snapshot *s, struct pg_slice host,
                   const char *namespace)
{
    char name[256];
    uint32_t dots = 0;
    bool absolute = host.at[host.len - 1] == '.';

    for (size_t i = 0; i < host.len; i++) {
        dots += host.at[i] == '.';
    }
    memcpy(name, host.at, host.len);
    name[host.len] = 0;
    bool late = namespace && !absolute && dots < SEARCH_DOTS;

    if (!late && ask_zone(q, name)) {
        return;
    }
    bool found = !absolute && (ask_below(q, s, host, namespace ? namespace : "default", "svc.") ||
                               ask_below(q, s, host, "", "svc.") || ask_below(q, s, host, "", ""));

    if (!found && late) {
        (void)ask_zone(q, name);
    }
}

enum pg_dns_status pg_end_resolve(const struct pg_snapshot *s, const struct pg_zone *zone,
                                  struct pg_slice host, const struct pg_end_of *from,
                                  struct pg_addr *ret, pg_reason_id *ret_reason,
                                  struct pg_name_walk *ret_walk)
{
    struct search q = {.zone = zone,
                       .v6 = !pg_addr_is_v4(&from->addr),
                       .ret = ret,
                       .ret_reason = ret_reason,
                       .walk = ret_walk,
                       .status = PG_DNS_NXDOMAIN};

    *ret = (struct pg_addr){0};
    *ret_reason = 0;
    if (ret_walk) {
        ret_walk->count = 0;
    }
    if (pg_addr_parse(host.at, host.len, ret) == 0) {
        return PG_DNS_OK;
    }
    if (host.len > 0 && host.len < 256) {
        search(&q, s, host, from->namespace);
    }
    return q.status;
}
