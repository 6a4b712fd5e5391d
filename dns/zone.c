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
    const struct pg_zone_name *n = &z->names[name];
    struct pg_zone_match m = {.status = PG_DNS_OK,
                              .kind = (enum pg_zone_kind)n->kind,
                              .name = name,
                              .what = n->what,
                              .service = PG_ZONE_NONE};

    switch (m.kind) {
    case PG_ZONE_SERVICE: m.service = n->what; break;
    case PG_ZONE_ENDPOINT: m.service = z->names[n->parent].what; break;
    case PG_ZONE_PORT: m.service = z->names[z->names[n->parent].parent].what; break;
    default: break;
    }
    return m;
}

static struct pg_zone_match no_match(enum pg_dns_status status)
{
    return (struct pg_zone_match){.status = status,
                                  .kind = PG_ZONE_EMPTY,
                                  .name = PG_ZONE_NONE,
                                  .what = PG_ZONE_NONE,
                                  .service = PG_ZONE_NONE};
}

static struct pg_zone_match computed(enum pg_zone_kind kind, uint32_t what)
{
    struct pg_zone_match m = no_match(PG_DNS_OK);

    m.kind = kind;
    m.what = what;
    return m;
}

/* The child that the next label names. */
static uint32_t child(const struct walk *w, uint32_t parent)
{
    const uint8_t *label = w->name + w->labels[w->left - 1];
    uint8_t lower[PG_DNS_LABEL_MAX];

    for (uint32_t i = 0; i < label[0]; i++) {
        lower[i] = pg_dns_lower(label[1 + i]);
    }
    return pg_zone_child(w->z, parent, lower, label[0]);
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

static struct pg_zone_match find_pod(const struct walk *w)
{
    struct pg_zone_match m = computed(PG_ZONE_POD, PG_ZONE_NONE);

    if (w->left != 1 || !parse_dashed(w->name + w->labels[0], &m.addr)) {
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

    return pointer == PG_ZONE_NONE ? no_match(PG_DNS_NXDOMAIN) : computed(PG_ZONE_POINTER, pointer);
}

/* ---- the walk ---- */

/* Inside the cluster domain: at `name`, with labels left. */
static struct pg_zone_match find_inside(struct walk *w, uint32_t name)
{
    while (w->left > 0) {
        uint32_t next = child(w, name);

        if (next == PG_ZONE_NONE) {
            return w->z->names[name].kind == PG_ZONE_PODS ? find_pod(w) : no_match(PG_DNS_NXDOMAIN);
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
    if (name != PG_ZONE_NONE && z->names[name].kind == PG_ZONE_HOST) {
        return match_of(z, name);
    }
    if (parent != PG_ZONE_NONE) {
        uint32_t wildcard = pg_zone_child(z, parent, "*", 1);

        if (wildcard != PG_ZONE_NONE && z->names[wildcard].kind == PG_ZONE_HOST) {
            return match_of(z, wildcard);
        }
    }
    return no_match(PG_DNS_REFUSED);
}

/* From the top of a zone on. */
static struct pg_zone_match find_below(struct walk *w, uint32_t top)
{
    uint32_t zone_at = w->left < w->count ? w->labels[w->left] : pg_dns_name_len(w->name) - 1;
    struct pg_zone_match m;

    if (w->z->names[top].kind == PG_ZONE_APEX || w->left == 0) {
        m = find_inside(w, top);
    } else {
        m = find_reverse(w, w->z->names[top].kind == PG_ZONE_REVERSE6);
    }
    m.zone_at = zone_at;
    return m;
}

static bool is_top(const struct pg_zone *z, uint32_t name)
{
    return z->names[name].kind == PG_ZONE_APEX || z->names[name].kind == PG_ZONE_REVERSE4 ||
           z->names[name].kind == PG_ZONE_REVERSE6;
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
            return find_host(z, at, z->names[at].parent);
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

static const struct pg_addr *next_of_service(const struct pg_zone *z, uint32_t service,
                                             bool want_v6, uint32_t *cursor)
{
    const struct pg_service *s = &z->snapshot->services[service];
    const struct pg_zone_service *zs = &z->services[service];

    if (s->type != PG_SERVICE_HEADLESS) {
        return (*cursor)++ == 0 ? if_family(&s->cluster_ip[want_v6], want_v6) : NULL;
    }
    while (*cursor < zs->count) {
        const struct pg_zone_endpoint *e = &z->endpoints[zs->first + (*cursor)++];
        const struct pg_addr *a = if_family(&z->snapshot->endpoints[e->endpoint].addr, want_v6);

        if (a && !e->repeats) {
            return a;
        }
    }
    return NULL;
}

/* The cursor is the next endpoint plus one; PG_ZONE_NONE is the end. */
static const struct pg_addr *next_of_endpoint(const struct pg_zone *z, uint32_t first, bool want_v6,
                                              uint32_t *cursor)
{
    uint32_t at = *cursor == 0 ? first : *cursor == PG_ZONE_NONE ? PG_ZONE_NONE : *cursor - 1;

    while (at != PG_ZONE_NONE) {
        const struct pg_zone_endpoint *e = &z->endpoints[at];
        const struct pg_addr *a = if_family(&z->snapshot->endpoints[e->endpoint].addr, want_v6);

        at = e->next_of_name;
        *cursor = at == PG_ZONE_NONE ? PG_ZONE_NONE : at + 1;
        if (a) {
            return a;
        }
    }
    return NULL;
}

static const struct pg_addr *next_of_hosts(const struct pg_zone *z, bool want_v6, uint32_t *cursor)
{
    while (*cursor < z->host_addr_count) {
        const struct pg_addr *a = if_family(&z->host_addrs[(*cursor)++], want_v6);

        if (a) {
            return a;
        }
    }
    return NULL;
}

const struct pg_addr *pg_zone_next_addr(const struct pg_zone *z, const struct pg_zone_match *m,
                                        bool want_v6, uint32_t *cursor)
{
    switch (m->kind) {
    case PG_ZONE_SERVICE: return next_of_service(z, m->what, want_v6, cursor);
    case PG_ZONE_ENDPOINT: return next_of_endpoint(z, m->what, want_v6, cursor);
    case PG_ZONE_HOST: return next_of_hosts(z, want_v6, cursor);
    case PG_ZONE_POD: return (*cursor)++ == 0 ? if_family(&m->addr, want_v6) : NULL;
    case PG_ZONE_NAMESERVER:
        return (*cursor)++ == 0 ? if_family(&z->snapshot->lab.dns[want_v6], want_v6) : NULL;
    default: return NULL;
    }
}

const uint8_t *pg_zone_alias(const struct pg_zone *z, const struct pg_zone_match *m)
{
    if (m->status != PG_DNS_OK || m->kind != PG_ZONE_SERVICE || z->services[m->what].alias == 0) {
        return NULL;
    }
    return (const uint8_t *)z->aliases + z->services[m->what].alias;
}

uint32_t pg_zone_name_wire(const struct pg_zone *z, uint32_t name, uint8_t ret[PG_DNS_NAME_MAX])
{
    uint32_t used = 0;

    for (; name != PG_ZONE_ROOT; name = z->names[name].parent) {
        const struct pg_zone_name *n = &z->names[name];

        if (used + 1 + n->len + 1 > PG_DNS_NAME_MAX) {
            return 0;
        }
        ret[used] = n->len;
        memcpy(ret + used + 1, z->labels + n->label, n->len);
        used += 1u + n->len;
    }
    ret[used] = 0;
    return used + 1;
}

pg_reason_id pg_zone_reason(const struct pg_zone *z, const struct pg_zone_match *m,
                            enum pg_dns_status status)
{
    uint32_t service = m->service;

    if (m->kind == PG_ZONE_POINTER) {
        const struct pg_zone_pointer *p = &z->pointers[m->what];

        service = p->service != PG_ZONE_NONE
                      ? p->service
                      : z->names[z->names[z->endpoints[p->endpoints].name].parent].what;
    }
    if (m->kind == PG_ZONE_HOST && status == PG_DNS_OK) {
        return z->host_reasons[m->what];
    }
    if (service == PG_ZONE_NONE || (status != PG_DNS_OK && status != PG_DNS_NODATA)) {
        return z->reasons[status];
    }
    return status == PG_DNS_OK ? z->services[service].answer : z->services[service].nodata;
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
        *ret_reason = z->reasons[PG_DNS_NXDOMAIN];
        return PG_DNS_NXDOMAIN;
    }
    struct pg_zone_match m = pg_zone_find(z, wire);
    struct pg_zone_match asked = m;
    const uint8_t *target = pg_zone_alias(z, &m);

    for (int i = 0; target && i < PG_DNS_CHAIN_MOST; i++) {
        m = pg_zone_find(z, target);
        target = pg_zone_alias(z, &m);
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
