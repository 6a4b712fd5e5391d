/* The records of an answer: what a name that is ours says to a question of some type.
 *
 * Called by server.c with a match of pg_zone_find; writes sections through dns_wire.c. The order of
 * things: an alias is written before what it leads to; then the answer; if there is none, the SOA
 * of the zone, whose owner keeps the spelling of the question; then addresses that spare the client
 * a second question (SRV, NS), as long as there is room. An answer that does not fit is cut at a
 * record and says so (TC); additional records are left out without saying so.
 *
 * Addresses of a headless service come in an order drawn for this answer, since most clients take
 * the first. More than ADDRESSES_MOST of them do not fit into any message; then which ones are
 * offered is drawn too.
 *
 * Types that a name does not have, ANY and HTTPS included, are NODATA. Not handled: SRV and TXT do
 * not follow an alias, and SRV is not answered at the name of an endpoint. */
#include "zone.h"

#include <string.h>

#define ADDRESSES_MOST 4096 /* 65,535 bytes / 16 */
#define VERSION_TTL    28800
#define SOA_TTL_MOST   300
#define VERSION_TEXT   "1.1.0" /* of the specification of DNS in clusters */

struct answer {
    const struct pg_zone *z;
    const struct pg_dns_query *q;
    struct pg_dns_writer *w;
    uint32_t ttl;
    uint64_t draw;
    bool truncated;
    struct pg_addr first;
};

/* The next number made from the draw (splitmix64). */
static uint32_t below(struct answer *a, uint32_t n)
{
    uint64_t x = a->draw += UINT64_C(0x9e3779b97f4a7c15);

    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)(((x ^ x >> 31) >> 32) * n >> 32);
}

/* Ends a record of the answer section. false: cut here. */
static bool end_answer(struct answer *a)
{
    if (!pg_dns_record_end(a->w, PG_DNS_ANSWERS)) {
        a->truncated = true;
        return false;
    }
    return true;
}

static bool has_answer(const struct answer *a)
{
    return a->w->counts[PG_DNS_ANSWERS] > 0 || a->truncated;
}

/* ---- addresses ---- */

static void begin_address(struct answer *a, const uint8_t *owner, const struct pg_addr *addr)
{
    bool is_v4 = pg_addr_is_v4(addr);

    pg_dns_record_begin(a->w, owner, is_v4 ? PG_DNS_A : PG_DNS_AAAA, a->ttl);
    pg_dns_put_bytes(a->w, addr->bytes + (is_v4 ? 12 : 0), is_v4 ? 4 : 16);
}

static void add_addresses(struct answer *a, const struct pg_zone_match *m, const uint8_t *owner)
{
    const struct pg_addr *found[ADDRESSES_MOST];
    const struct pg_addr *addr;
    bool want_v6 = a->q->type == PG_DNS_AAAA;
    uint32_t seen = 0;
    uint32_t cursor = 0;

    while ((addr = pg_zone_next_addr(a->z, m, want_v6, &cursor)) != NULL) {
        uint32_t at = seen < ADDRESSES_MOST ? seen : below(a, seen + 1);

        if (at < ADDRESSES_MOST) {
            found[at] = addr;
        }
        seen++;
    }
    uint32_t count = seen < ADDRESSES_MOST ? seen : ADDRESSES_MOST;

    for (uint32_t i = 0; i < count; i++) {
        uint32_t pick = i + (count - i > 1 ? below(a, count - i) : 0);

        addr = found[pick];
        found[pick] = found[i];
        begin_address(a, owner, addr);
        if (!end_answer(a)) {
            return;
        }
        if (i == 0) {
            a->first = *addr;
        }
    }
}

/* Both families of an address pair, in the additional section. */
static void add_more(struct answer *a, const uint8_t *owner, const struct pg_addr *addr)
{
    if (!pg_addr_is_none(addr) && !a->truncated) {
        begin_address(a, owner, addr);
        (void)pg_dns_record_end(a->w, PG_DNS_ADDITIONAL);
    }
}

/* ---- SRV ---- */

static bool add_srv(struct answer *a, uint32_t weight, uint16_t port, const uint8_t *target)
{
    pg_dns_record_begin(a->w, NULL, PG_DNS_SRV, a->ttl);
    pg_dns_put_u16(a->w, 0);
    pg_dns_put_u16(a->w, (uint16_t)weight);
    pg_dns_put_u16(a->w, port);
    pg_dns_put_name(a->w, target, false);
    return end_answer(a);
}

static uint32_t srv_weight(uint32_t n)
{
    return n > 100 ? 1 : 100 / n;
}

/* Ports [first, first + count) of a service with a cluster IP. */
static void add_srv_cluster(struct answer *a, const struct pg_zone_part *p, uint32_t first,
                            uint32_t count)
{
    uint8_t target[PG_DNS_NAME_MAX];
    uint32_t families = 0;

    for (int v = 0; v < 2; v++) {
        families += !pg_addr_is_none(&p->cluster_ip[v]);
    }
    if (families == 0 || pg_zone_name_wire(a->z, p, PG_ZONE_NONE, target) == 0) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!add_srv(a, srv_weight(count * families), p->ports[first + i].port, target)) {
            return;
        }
    }
    for (int v = 0; v < 2 && count > 0; v++) {
        add_more(a, target, &p->cluster_ip[v]);
    }
}

/* One port of a headless service. The start is drawn, so that a cut answer is not the same one each
 * time. */
static bool add_srv_endpoints(struct answer *a, const struct pg_zone_part *p,
                              const struct pg_zone_port *port, uint32_t weight)
{
    uint32_t start = port->count > 1 ? below(a, port->count) : 0;
    uint8_t target[PG_DNS_NAME_MAX];

    if (port->port == 0) {
        return true; /* a headless service without ports has addresses only */
    }
    for (uint32_t k = 0; k < port->count; k++) {
        const struct pg_zone_target *t = &p->targets[port->first + (start + k) % port->count];

        if (pg_zone_name_wire(a->z, p, t->end, target) != 0 &&
            !add_srv(a, weight, t->port, target)) {
            return false;
        }
    }
    return true;
}

/* The address of a target. false: no room for more. */
static bool add_target(struct answer *a, const struct pg_zone_part *p, uint32_t end)
{
    uint8_t owner[PG_DNS_NAME_MAX];

    if (pg_zone_name_wire(a->z, p, end, owner) == 0) {
        return true;
    }
    begin_address(a, owner, &p->ends[end].addr);
    return pg_dns_record_end(a->w, PG_DNS_ADDITIONAL);
}

/* All addresses of each name that one port's records lead to. */
static void add_port_addresses(struct answer *a, const struct pg_zone_part *p,
                               const struct pg_zone_port *port)
{
    uint32_t label = 0;

    for (uint32_t k = 0; k < port->count; k++) {
        uint32_t end = p->targets[port->first + k].end;

        if (p->ends[end].label == label) {
            continue; /* the same name with another port number */
        }
        label = p->ends[end].label;
        for (uint32_t i = pg_zone_part_find(p, p->texts + label);
             i < p->end_count && p->ends[p->by_label[i]].label == label; i++) {
            if (!add_target(a, p, p->by_label[i])) {
                return;
            }
        }
    }
}

static void add_srv_headless(struct answer *a, const struct pg_zone_part *p, uint32_t first,
                             uint32_t count)
{
    uint32_t n = 0;

    for (uint32_t i = first; i < first + count; i++) {
        n += p->ports[i].ready;
    }
    for (uint32_t i = first; i < first + count; i++) {
        if (!add_srv_endpoints(a, p, &p->ports[i], srv_weight(n ? n : 1))) {
            return;
        }
    }
    if (!has_answer(a)) {
        return;
    }
    if (count == 1) {
        add_port_addresses(a, p, &p->ports[first]);
        return;
    }
    for (uint32_t i = 0; i < p->end_count; i++) { /* several ports: each address once */
        if (!add_target(a, p, i)) {
            return;
        }
    }
}

static void add_srvs(struct answer *a, const struct pg_zone_match *m)
{
    if (!m->part || m->kind == PG_ZONE_ENDPOINT) {
        return;
    }
    bool is_port = m->kind == PG_ZONE_PORT;
    uint32_t first = is_port ? m->what : 0;
    uint32_t count = is_port ? 1 : m->part->port_count;

    if (m->part->type == PG_SERVICE_HEADLESS) {
        add_srv_headless(a, m->part, first, count);
    } else if (m->part->type != PG_SERVICE_EXTERNAL_NAME) {
        add_srv_cluster(a, m->part, first, count);
    }
}

/* ---- PTR, TXT, NS, SOA ---- */

static bool add_ptr(struct answer *a, const struct pg_zone_part *p, uint32_t end)
{
    uint8_t target[PG_DNS_NAME_MAX];

    if (pg_zone_name_wire(a->z, p, end, target) == 0) {
        return true;
    }
    pg_dns_record_begin(a->w, NULL, PG_DNS_PTR, a->ttl);
    pg_dns_put_name(a->w, target, true);
    return end_answer(a);
}

/* A cluster IP has one name, an endpoint one per service that selects it. */
static void add_ptrs(struct answer *a, const struct pg_zone_match *m)
{
    if (m->kind != PG_ZONE_POINTER) {
        return;
    }
    const struct pg_zone_part *p = pg_zone_cluster_ip_of(a->z, m->what);

    if (p) {
        (void)add_ptr(a, p, PG_ZONE_NONE);
        return;
    }
    for (uint32_t i = m->what + 1; i != 0; i = a->z->refs[i - 1].next_of_addr) {
        if (!add_ptr(a, a->z->refs[i - 1].part, a->z->refs[i - 1].end)) {
            return;
        }
    }
}

static void add_version(struct answer *a, const struct pg_zone_match *m)
{
    if (m->kind == PG_ZONE_VERSION) {
        pg_dns_record_begin(a->w, NULL, PG_DNS_TXT, VERSION_TTL);
        pg_dns_put_bytes(a->w, (const uint8_t[]){sizeof(VERSION_TEXT) - 1}, 1);
        pg_dns_put_bytes(a->w, VERSION_TEXT, sizeof(VERSION_TEXT) - 1);
        (void)end_answer(a);
    }
}

static bool is_top(const struct pg_zone_match *m)
{
    return m->kind == PG_ZONE_APEX || m->kind == PG_ZONE_REVERSE4 || m->kind == PG_ZONE_REVERSE6;
}

/* The service whose cluster IP is the DNS address, or NULL. */
static const struct pg_zone_part *dns_service(const struct pg_zone *z)
{
    const struct pg_zone_part *p = NULL;

    for (int v = 0; v < 2 && !p; v++) {
        const struct pg_addr *addr = &z->snapshot->lab.dns[v];
        uint32_t ref = pg_addr_is_none(addr) ? PG_ZONE_NONE : pg_zone_pointer_of(z, addr);

        p = ref == PG_ZONE_NONE ? NULL : pg_zone_cluster_ip_of(z, ref);
    }
    return p;
}

/* The DNS service by its own name, or ns.dns.<domain> if no Service has the DNS address. */
static void add_ns(struct answer *a, const struct pg_zone_match *m)
{
    const struct pg_zone *z = a->z;
    uint8_t target[PG_DNS_NAME_MAX];

    if (!is_top(m)) {
        return;
    }
    const struct pg_zone_part *own = dns_service(z);

    if (!own || pg_zone_name_wire(z, own, PG_ZONE_NONE, target) == 0) {
        memcpy(target, z->frame->nameserver, sizeof(target));
    }
    pg_dns_record_begin(a->w, NULL, PG_DNS_NS, a->ttl);
    pg_dns_put_name(a->w, target, true);
    if (end_answer(a)) {
        add_more(a, target, &z->snapshot->lab.dns[0]);
        add_more(a, target, &z->snapshot->lab.dns[1]);
    }
}

static void begin_soa(struct answer *a, const uint8_t *owner)
{
    pg_dns_record_begin(a->w, owner, PG_DNS_SOA, a->ttl < SOA_TTL_MOST ? a->ttl : SOA_TTL_MOST);
    pg_dns_put_name(a->w, a->z->frame->nameserver, true);
    pg_dns_put_name(a->w, a->z->frame->hostmaster, true);
    pg_dns_put_u32(a->w, a->z->snapshot->generation);
    pg_dns_put_u32(a->w, 7200);  /* refresh */
    pg_dns_put_u32(a->w, 1800);  /* retry */
    pg_dns_put_u32(a->w, 86400); /* expire */
    pg_dns_put_u32(a->w, a->ttl);
}

static void add_soa(struct answer *a, const struct pg_zone_match *m)
{
    if (is_top(m)) {
        begin_soa(a, NULL);
        (void)end_answer(a);
    }
}

/* ---- what somebody else answered ---- */

/* One record of theirs, if it is of a kind whose data can be written anew. false: no room. */
static bool add_theirs(struct answer *a, const struct pg_dns_foreign *f, const struct pg_dns_rr *rr)
{
    const uint8_t *m = f->message;
    uint8_t owner[PG_DNS_NAME_MAX];
    uint8_t names[2][PG_DNS_NAME_MAX];
    uint32_t name_len;
    uint32_t at = rr->data;
    uint32_t count = rr->type == PG_DNS_CNAME ? 1 : rr->type == PG_DNS_SOA ? 2 : 0;
    bool address = (rr->type == PG_DNS_A && rr->data_len == 4) ||
                   (rr->type == PG_DNS_AAAA && rr->data_len == 16);
    uint32_t end = rr->data + rr->data_len;

    if (rr->class != PG_DNS_CLASS_IN || (count == 0 && !address) ||
        pg_dns_name_read(m, f->len, rr->owner, owner, &name_len) == 0) {
        return true;
    }
    for (uint32_t i = 0; i < count; i++) {
        at = pg_dns_name_read(m, f->len, at, names[i], &name_len);
        if (at == 0 || at > end) {
            return true;
        }
    }
    pg_dns_record_begin(a->w, owner, rr->type, rr->ttl);
    for (uint32_t i = 0; i < count; i++) {
        pg_dns_put_name(a->w, names[i], true);
    }
    pg_dns_put_bytes(a->w, m + at, end - at);
    if (!pg_dns_record_end(a->w, (enum pg_dns_section)rr->section)) {
        a->truncated = true;
        return false;
    }
    if (address && pg_addr_is_none(&a->first)) {
        if (rr->type == PG_DNS_A) {
            a->first = pg_addr_v4(m[at], m[at + 1], m[at + 2], m[at + 3]);
        } else {
            memcpy(a->first.bytes, m + at, sizeof(a->first.bytes));
        }
    }
    return true;
}

/* Their answers and, if there are none, their SOA. Returns what became of it. */
static enum pg_dns_status add_foreign(struct answer *a, const struct pg_dns_foreign *f)
{
    uint64_t cursor = 0;
    struct pg_dns_rr rr;
    bool bad;
    bool any = false;

    a->truncated = a->truncated || (f->message[2] & 0x02);
    while (pg_dns_rr_next(f->message, f->len, &cursor, &rr, &bad)) {
        any = any || (rr.section == PG_DNS_ANSWERS && rr.type == a->q->type);
        bool wanted = rr.section == PG_DNS_ANSWERS ||
                      (rr.section == PG_DNS_AUTHORITY && rr.type == PG_DNS_SOA);

        if (wanted && !add_theirs(a, f, &rr)) {
            return PG_DNS_OK;
        }
    }
    return (f->message[3] & 0x0f) == PG_DNS_NAME_ERROR ? PG_DNS_NXDOMAIN
           : any                                       ? PG_DNS_OK
                                                       : PG_DNS_NODATA;
}

/* ---- all together ---- */

/* Writes the aliases that begin at m, and moves m and *owner on to where they lead. */
static void follow_aliases(struct answer *a, struct pg_zone_match *m, const uint8_t **owner)
{
    const struct pg_zone_part *passed[PG_DNS_CHAIN_MOST];
    const uint8_t *target;

    for (int i = 0; i < PG_DNS_CHAIN_MOST && (target = pg_zone_alias(m)) != NULL; i++) {
        for (int k = 0; k < i; k++) {
            if (passed[k] == m->part) {
                return; /* in a circle: said once, no addresses */
            }
        }
        passed[i] = m->part;
        pg_dns_record_begin(a->w, *owner, PG_DNS_CNAME, a->ttl);
        pg_dns_put_name(a->w, target, true);
        if (!end_answer(a) || a->q->type == PG_DNS_CNAME) {
            return;
        }
        *owner = target;
        *m = pg_zone_find(a->z, target);
    }
}

static void add_answers(struct answer *a, const struct pg_zone_match *m, const uint8_t *owner)
{
    switch (a->q->type) {
    case PG_DNS_A:
    case PG_DNS_AAAA: add_addresses(a, m, owner); break;
    case PG_DNS_SRV: add_srvs(a, m); break;
    case PG_DNS_PTR: add_ptrs(a, m); break;
    case PG_DNS_TXT: add_version(a, m); break;
    case PG_DNS_NS: add_ns(a, m); break;
    case PG_DNS_SOA: add_soa(a, m); break;
    default: break;
    }
}

/* Nothing in the zone: what it says then, with its SOA. */
static enum pg_dns_status finish(struct answer *a, const struct pg_zone_match *at,
                                 const uint8_t *owner, uint32_t aliases)
{
    uint32_t answers = a->w->counts[PG_DNS_ANSWERS];
    enum pg_dns_status status = PG_DNS_OK;

    if (at->status == PG_DNS_NXDOMAIN) {
        status = PG_DNS_NXDOMAIN;
    } else if (!has_answer(a) || (at->status == PG_DNS_OK && a->q->type != PG_DNS_CNAME &&
                                  answers == aliases && !a->truncated)) {
        status = PG_DNS_NODATA;
    }
    if (status != PG_DNS_OK) {
        begin_soa(a, (owner ? owner : a->q->name) + at->zone_at);
        a->truncated = !pg_dns_record_end(a->w, PG_DNS_AUTHORITY) || a->truncated;
    }
    return status;
}

struct pg_dns_outcome pg_dns_records(const struct pg_zone *z, const struct pg_zone_match *m,
                                     const struct pg_dns_query *q,
                                     const struct pg_dns_foreign *foreign, uint64_t draw,
                                     struct pg_dns_writer *w)
{
    struct answer a = {.z = z, .q = q, .w = w, .ttl = z->snapshot->lab.dns_ttl, .draw = draw};
    struct pg_zone_match at = *m;
    const uint8_t *owner = NULL;
    enum pg_dns_status status;

    if (q->type == PG_DNS_A || q->type == PG_DNS_AAAA || q->type == PG_DNS_CNAME) {
        follow_aliases(&a, &at, &owner);
    }
    uint32_t aliases = w->counts[PG_DNS_ANSWERS];
    bool outside = at.status == PG_DNS_REFUSED && owner && !a.truncated;

    if (outside && foreign) {
        status = add_foreign(&a, foreign);
    } else {
        if (at.status == PG_DNS_OK && !a.truncated) {
            add_answers(&a, &at, owner);
        }
        status = finish(&a, &at, owner, aliases);
    }
    /* An alias that leads outside is answered by the object that says so. */
    return (struct pg_dns_outcome){
        .status = status,
        .truncated = a.truncated,
        .first = a.first,
        .reason =
            pg_zone_reason(z, at.status == PG_DNS_REFUSED ? m : &at, outside ? PG_DNS_OK : status),
        .beyond = outside && !foreign ? owner : NULL};
}
