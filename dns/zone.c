/* Finding a name: what is it, does it exist, which addresses does it have?
 *
 * Called by server.c for every question, and by the ingress through pg_dns_resolve when it looks
 * for its upstream: the same walk, so what a pod would be told is what the ingress is told. A name
 * is walked from its last label to its first, one hash probe per label. Three kinds of names are
 * computed and not kept: reverse names, pod records, and names that a wildcard host stands for.
 *
 * The difference that matters to resolvers: inside the cluster domain and the reverse zones a name
 * that is not there is NXDOMAIN, and one that is there without the wanted type is NODATA (another
 * family, HTTPS, MX), never the other way round. Outside, only hosts of Ingress rules are ours,
 * each by itself; their parents and children are somebody else's (REFUSED, until there is
 * forwarding).
 *
 * Pure: reads the zone, writes only what it returns. No allocation. */
#include "zone.h"

#include <string.h>

struct walk {
    const struct pg_zone *z;
    const uint8_t *name;
    uint8_t labels[PG_DNS_LABELS_MAX];
    uint32_t count;
    uint32_t left; /* labels not looked at yet: those before labels[left] */
};

static struct pg_zone_match match_of(const struct pg_zone *z, uint32_t name)
{
    const struct pg_zone_name *n = &z->frame->tree.names[name];

    return (struct pg_zone_match){
        .status = PG_DNS_OK, .kind = (enum pg_zone_kind)n->kind, .what = n->what};
}

static struct pg_zone_match no_match(enum pg_dns_status status)
{
    return (struct pg_zone_match){.status = status, .kind = PG_ZONE_EMPTY, .what = PG_ZONE_NONE};
}

static struct pg_zone_match computed(enum pg_zone_kind kind, uint32_t what)
{
    struct pg_zone_match m = no_match(PG_DNS_OK);

    m.kind = kind;
    m.what = what;
    return m;
}

/* Label number i in lower case, length byte first. */
static void lower_label(const struct walk *w, uint32_t i, uint8_t ret[1 + PG_DNS_LABEL_MAX])
{
    const uint8_t *label = w->name + w->labels[i];

    ret[0] = label[0];
    for (uint32_t k = 1; k <= label[0]; k++) {
        ret[k] = pg_dns_lower(label[k]);
    }
}

/* The child that the next label names. */
static uint32_t child(const struct walk *w, uint32_t parent)
{
    uint8_t label[1 + PG_DNS_LABEL_MAX];

    lower_label(w, w->left - 1, label);
    return pg_zone_child(&w->z->frame->tree, parent, label + 1, label[0]);
}

/* ---- computed names ---- */

/* 10-244-1-7 or fd60-1--30 as an address. */
static bool parse_dashed(const uint8_t *label, struct pg_addr *ret)
{
    char text[PG_DNS_LABEL_MAX];
    uint32_t dashes = 0;
    bool is_v6 = false;

    for (uint32_t i = 0; i < label[0]; i++) {
        char c = (char)pg_dns_lower(label[1 + i]);

        if (c == '-') {
            dashes++;
            is_v6 = is_v6 || (i > 0 && text[i - 1] == '-');
        } else if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) {
            return false;
        }
        text[i] = c;
    }
    is_v6 = is_v6 || dashes != 3;
    for (uint32_t i = 0; i < label[0]; i++) {
        text[i] = text[i] != '-' ? text[i] : is_v6 ? ':' : '.';
    }
    return pg_addr_parse(text, label[0], ret) == 0 && pg_addr_is_v4(ret) == !is_v6;
}

/* Whether a pod of the namespace that label number i names has this address. */
static bool is_pod_of(const struct walk *w, uint32_t i, const struct pg_addr *a)
{
    const struct pg_snapshot *s = w->z->snapshot;
    uint32_t pod = pg_snapshot_pod_by_addr(s, a);
    uint8_t label[1 + PG_DNS_LABEL_MAX];

    lower_label(w, i, label);
    return pod != PG_INDEX_NONE && strlen(s->pods[pod].namespace) == label[0] &&
           memcmp(s->pods[pod].namespace, label + 1, label[0]) == 0;
}

static struct pg_zone_match find_pod(const struct walk *w)
{
    struct pg_zone_match m = computed(PG_ZONE_POD, PG_ZONE_NONE);

    if (w->left != 1 || !parse_dashed(w->name + w->labels[0], &m.addr) ||
        (w->z->snapshot->lab.pod_records == PG_POD_RECORDS_VERIFIED && !is_pod_of(w, 1, &m.addr))) {
        return no_match(PG_DNS_NXDOMAIN);
    }
    return m;
}

/* One octet of a reverse name: decimal, no leading zero. */
static bool parse_octet(const uint8_t *label, uint8_t *ret)
{
    uint32_t value = 0;

    if (label[0] == 0 || label[0] > 3 || (label[0] > 1 && label[1] == '0')) {
        return false;
    }
    for (uint32_t i = 1; i <= label[0]; i++) {
        if (label[i] < '0' || label[i] > '9') {
            return false;
        }
        value = value * 10 + (label[i] - '0');
    }
    *ret = (uint8_t)value;
    return value <= 255;
}

static bool parse_nibble(const uint8_t *label, uint8_t *ret)
{
    uint8_t c = pg_dns_lower(label[1]);

    if (label[0] != 1 || !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) {
        return false;
    }
    *ret = (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    return true;
}

/* 7.1.244.10.in-addr.arpa. What is shorter than an address lies between names: NODATA, or a
 * resolver that asks step by step (RFC 9156) would stop there. */
static struct pg_zone_match find_reverse(const struct walk *w, bool is_v6)
{
    struct pg_addr a = {0};
    uint32_t whole = is_v6 ? 32 : 4;

    if (w->left > whole) {
        return no_match(PG_DNS_NXDOMAIN);
    }
    if (!is_v6) {
        a = pg_addr_v4(0, 0, 0, 0);
    }
    for (uint32_t i = 0; i < w->left; i++) {
        const uint8_t *label = w->name + w->labels[w->left - 1 - i];
        uint8_t value;

        if (!(is_v6 ? parse_nibble(label, &value) : parse_octet(label, &value))) {
            return no_match(PG_DNS_NXDOMAIN);
        }
        if (is_v6) {
            a.bytes[i / 2] |= (uint8_t)(i % 2 ? value : value << 4);
        } else {
            a.bytes[12 + i] = value;
        }
    }
    if (w->left < whole) {
        return computed(PG_ZONE_EMPTY, PG_ZONE_NONE);
    }
    uint32_t pointer = pg_zone_pointer_of(w->z, &a);
    struct pg_zone_match m =
        pointer == PG_ZONE_NONE ? no_match(PG_DNS_NXDOMAIN) : computed(PG_ZONE_POINTER, pointer);

    m.elsewhere = pointer == PG_ZONE_NONE;
    return m;
}

/* ---- the walk ---- */

/* _tcp below a service is there if one of its names is. */
static struct pg_zone_match find_port(const struct walk *w, const struct pg_zone_part *p)
{
    uint8_t proto[1 + PG_DNS_LABEL_MAX];
    uint8_t name[1 + PG_DNS_LABEL_MAX];
    struct pg_zone_match m = no_match(PG_DNS_NXDOMAIN);

    lower_label(w, w->left - 1, proto);
    lower_label(w, 0, name);
    for (uint32_t i = 0; i < p->port_count; i++) {
        const uint8_t *label = p->texts + p->ports[i].label;
        const char *text = pg_proto_name(p->ports[i].proto);

        if (p->ports[i].label == 0 || proto[0] != 1 + strlen(text) ||
            memcmp(proto + 2, text, strlen(text)) != 0) {
            continue;
        }
        if (w->left == 1) {
            m = computed(PG_ZONE_EMPTY, PG_ZONE_NONE);
        } else if (name[0] == label[0] + 1 && name[1] == '_' &&
                   memcmp(name + 2, label + 1, label[0]) == 0) {
            m = computed(PG_ZONE_PORT, i);
            m.part = p;
            return m;
        }
    }
    return m;
}

/* Below a service, at the label that names an endpoint or a protocol. */
static struct pg_zone_match find_in_service(const struct walk *w, const struct pg_zone_part *p)
{
    uint8_t label[1 + PG_DNS_LABEL_MAX];
    struct pg_zone_match m = computed(PG_ZONE_SERVICE, PG_ZONE_NONE);

    m.part = p;
    if (w->left == 0) {
        return m;
    }
    lower_label(w, w->left - 1, label);
    if (label[1] == '_') {
        return w->left <= 2 ? find_port(w, p) : no_match(PG_DNS_NXDOMAIN);
    }
    m.kind = PG_ZONE_ENDPOINT;
    m.what = w->left == 1 ? pg_zone_part_find(p, label) : PG_ZONE_NONE;
    return m.what == PG_ZONE_NONE ? no_match(PG_DNS_NXDOMAIN) : m;
}

static struct pg_zone_match find_service(struct walk *w)
{
    uint8_t namespace[1 + PG_DNS_LABEL_MAX];
    uint8_t name[1 + PG_DNS_LABEL_MAX];

    lower_label(w, w->left, namespace);
    lower_label(w, w->left - 1, name);
    const struct pg_zone_part *p = pg_zone_service(w->z, namespace, name);

    w->left--;
    return p ? find_in_service(w, p) : no_match(PG_DNS_NXDOMAIN);
}

/* Inside the cluster domain: at `name`, with labels left. */
static struct pg_zone_match find_inside(struct walk *w, uint32_t name)
{
    const struct pg_zone_name *names = w->z->frame->tree.names;

    while (w->left > 0) {
        uint32_t next = names[name].kind >= PG_ZONE_NAMESPACE && names[name].kind <= PG_ZONE_PODS
                            ? PG_ZONE_NONE
                            : child(w, name);

        if (next == PG_ZONE_NONE) {
            return names[name].kind == PG_ZONE_NAMESPACE ? find_service(w)
                   : names[name].kind == PG_ZONE_PODS    ? find_pod(w)
                                                         : no_match(PG_DNS_NXDOMAIN);
        }
        name = next;
        w->left--;
    }
    return match_of(w->z, name);
}

/* A host, exact or by the wildcard of its parent; `name` is PG_ZONE_NONE if there is no such
 * child. */
static struct pg_zone_match find_host(const struct pg_zone *z, uint32_t name, uint32_t parent)
{
    const struct pg_zone_name *names = z->frame->tree.names;

    if (name != PG_ZONE_NONE && names[name].kind == PG_ZONE_HOST) {
        return match_of(z, name);
    }
    if (parent != PG_ZONE_NONE) {
        uint32_t wildcard = pg_zone_child(&z->frame->tree, parent, "*", 1);

        if (wildcard != PG_ZONE_NONE && names[wildcard].kind == PG_ZONE_HOST) {
            return match_of(z, wildcard);
        }
    }
    return no_match(PG_DNS_REFUSED);
}

/* From the top of a zone on. */
static struct pg_zone_match find_below(struct walk *w, uint32_t top)
{
    uint32_t zone_at = w->left < w->count ? w->labels[w->left] : pg_dns_name_len(w->name) - 1;
    uint8_t kind = w->z->frame->tree.names[top].kind;
    struct pg_zone_match m = kind == PG_ZONE_APEX || w->left == 0
                                 ? find_inside(w, top)
                                 : find_reverse(w, kind == PG_ZONE_REVERSE6);

    m.zone_at = zone_at;
    return m;
}

static bool is_top(const struct pg_zone *z, uint32_t name)
{
    uint8_t kind = z->frame->tree.names[name].kind;

    return kind == PG_ZONE_APEX || kind == PG_ZONE_REVERSE4 || kind == PG_ZONE_REVERSE6;
}

struct pg_zone_match pg_zone_find(const struct pg_zone *z, const uint8_t *name)
{
    struct walk w;
    uint32_t at = PG_ZONE_ROOT;

    w.z = z;
    w.name = name;
    w.left = w.count = pg_dns_name_labels(name, w.labels);
    while (!is_top(z, at)) {
        if (w.left == 0) {
            return find_host(z, at, z->frame->tree.names[at].parent);
        }
        uint32_t next = child(&w, at);

        if (next == PG_ZONE_NONE) {
            return find_host(z, PG_ZONE_NONE, w.left == 1 ? at : PG_ZONE_NONE);
        }
        at = next;
        w.left--;
    }
    return find_below(&w, at);
}

/* ---- what a match has ---- */

static const struct pg_addr *if_family(const struct pg_addr *a, bool want_v6)
{
    return !pg_addr_is_none(a) && pg_addr_is_v4(a) != want_v6 ? a : NULL;
}

static const struct pg_addr *next_of_service(const struct pg_zone_part *p, bool want_v6,
                                             uint32_t *cursor)
{
    if (p->type != PG_SERVICE_HEADLESS) {
        return (*cursor)++ == 0 ? if_family(&p->cluster_ip[want_v6], want_v6) : NULL;
    }
    while (*cursor < p->end_count) {
        const struct pg_zone_end *e = &p->ends[(*cursor)++];
        const struct pg_addr *a = if_family(&e->addr, want_v6);

        if (a && !e->repeats) {
            return a;
        }
    }
    return NULL;
}

/* Ends with the same name lie together. */
static const struct pg_addr *next_of_endpoint(const struct pg_zone_part *p, uint32_t first,
                                              bool want_v6, uint32_t *cursor)
{
    uint32_t label = p->ends[p->by_label[first]].label;

    while (first + *cursor < p->end_count) {
        const struct pg_zone_end *e = &p->ends[p->by_label[first + *cursor]];
        const struct pg_addr *a = if_family(&e->addr, want_v6);

        if (e->label != label) {
            return NULL;
        }
        ++*cursor;
        if (a) {
            return a;
        }
    }
    return NULL;
}

static const struct pg_addr *next_of_hosts(const struct pg_zone *z, bool want_v6, uint32_t *cursor)
{
    while (*cursor < z->frame->host_addr_count) {
        const struct pg_addr *a = if_family(&z->frame->host_addrs[(*cursor)++], want_v6);

        if (a) {
            return a;
        }
    }
    return NULL;
}

const struct pg_addr *pg_zone_next_addr(const struct pg_zone *z, const struct pg_zone_match *m,
                                        bool want_v6, uint32_t *cursor)
{
    if (m->part) {
        return m->kind == PG_ZONE_SERVICE    ? next_of_service(m->part, want_v6, cursor)
               : m->kind == PG_ZONE_ENDPOINT ? next_of_endpoint(m->part, m->what, want_v6, cursor)
                                             : NULL;
    }
    switch (m->kind) {
    case PG_ZONE_HOST: return next_of_hosts(z, want_v6, cursor);
    case PG_ZONE_POD: return (*cursor)++ == 0 ? if_family(&m->addr, want_v6) : NULL;
    case PG_ZONE_NAMESERVER:
        return (*cursor)++ == 0 ? if_family(&z->snapshot->lab.dns[want_v6], want_v6) : NULL;
    default: return NULL;
    }
}

const uint8_t *pg_zone_alias(const struct pg_zone_match *m)
{
    if (!m->part || m->kind != PG_ZONE_SERVICE || m->part->alias == 0) {
        return NULL;
    }
    return m->part->texts + m->part->alias;
}

uint32_t pg_zone_name_wire(const struct pg_zone *z, const struct pg_zone_part *p, uint32_t end,
                           uint8_t ret[PG_DNS_NAME_MAX])
{
    const uint8_t *const labels[] = {end < p->end_count ? p->texts + p->ends[end].label : NULL,
                                     p->texts + p->name, p->texts + p->namespace};
    uint32_t domain = pg_dns_name_len(z->frame->domain);
    uint32_t used = 0;

    for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++) {
        if (!labels[i]) {
            continue;
        }
        if (used + 1 + labels[i][0] + domain > PG_DNS_NAME_MAX) {
            return 0;
        }
        memcpy(ret + used, labels[i], 1u + labels[i][0]);
        used += 1u + labels[i][0];
    }
    memcpy(ret + used, z->frame->domain, domain);
    return used + domain;
}

pg_reason_id pg_zone_reason(const struct pg_zone *z, const struct pg_zone_match *m,
                            enum pg_dns_status status)
{
    const struct pg_zone_part *part = m->part;

    if (m->kind == PG_ZONE_POINTER) {
        part = pg_zone_cluster_ip_of(z, m->what);
        part = part ? part : z->refs[m->what].part;
    }
    if (m->kind == PG_ZONE_HOST && status == PG_DNS_OK) {
        return z->frame->host_reasons[m->what];
    }
    if (!part || (status != PG_DNS_OK && status != PG_DNS_NODATA)) {
        return z->frame->reasons[status];
    }
    return status == PG_DNS_OK ? part->answer : part->nodata;
}

/* ---- for the ingress ---- */

enum pg_dns_status pg_dns_resolve(const struct pg_zone *z, const char *name, size_t len,
                                  bool want_v6, struct pg_addr *ret, uint32_t room,
                                  uint32_t *ret_count, pg_reason_id *ret_reason)
{
    uint8_t wire[PG_DNS_NAME_MAX];
    uint32_t count = 0;
    uint32_t cursor = 0;
    const struct pg_addr *a;

    if (pg_dns_name_parse(name, len, wire) == 0) {
        *ret_count = 0;
        *ret_reason = z->frame->reasons[PG_DNS_NXDOMAIN];
        return PG_DNS_NXDOMAIN;
    }
    struct pg_zone_match m = pg_zone_find(z, wire);
    struct pg_zone_match asked = m;
    const uint8_t *target = pg_zone_alias(&m);

    for (int i = 0; target && i < PG_DNS_CHAIN_MOST; i++) {
        m = pg_zone_find(z, target);
        target = pg_zone_alias(&m);
    }
    while (m.status == PG_DNS_OK && (a = pg_zone_next_addr(z, &m, want_v6, &cursor)) != NULL) {
        if (count < room) {
            ret[count] = *a;
        }
        count++;
    }
    enum pg_dns_status status = m.status == PG_DNS_OK && count == 0 ? PG_DNS_NODATA : m.status;

    *ret_count = count;
    *ret_reason = pg_zone_reason(z, status == PG_DNS_REFUSED ? &asked : &m, status);
    return status;
}

const char *pg_dns_status_name(enum pg_dns_status s)
{
    static const char *const names[] = {
        [PG_DNS_OK] = "NOERROR",
        [PG_DNS_NODATA] = "NODATA",
        [PG_DNS_NXDOMAIN] = "NXDOMAIN",
        [PG_DNS_REFUSED] = "REFUSED",
    };
    _Static_assert(sizeof(names) / sizeof(names[0]) == PG_DNS_STATUS_COUNT, "a name per status");

    return (unsigned)s < PG_DNS_STATUS_COUNT ? names[s] : "?";
}
