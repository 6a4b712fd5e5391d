/* Asking other servers: one question under way per client's question, until an answer comes or five seconds are over.
 *
 *   ask ─► cache? ─► choose a server ─► send, random id and port ─► reply: the right one? ─► cut? ─► cache, answer
 *                        ▲                         │ 2 s of silence, or unreachable            └─► forward_stream.c
 *                        └── another server ◄──────┘ 5 s in all, or two attempts more than servers: SERVFAIL
 *
 * Whoever wants to put a false answer in must guess a 16-bit id and a port out of 64,000, send from the server's address and
 * port, and repeat the question as the client spelled it: each attempt at a server has an id and a port of its own. What
 * comes to a waiting port and does not fit is dropped and counted; the right id with another question is
 * FORMERR to the client, as CoreDNS has it, and never kept.
 *
 * A server that failed is asked for the root's name servers every half second until it answers; after two failures in a row it is
 * left out; when all are out, one is tried at random. More than PG_DNS_WAITING_MOST questions under way: REFUSED.
 *
 * Called by app/dns_answer.c. Owns what is under way, the cache and what it knows of servers. Always true: `by_port` holds the
 * port of each that is under way, and its timer is armed. */
#include "forward_internal.h"

#include <stdlib.h>
#include <string.h>

#define ALL_MS        5000u
#define PROBE_MS      500u
#define FAILURES_DOWN 2u
#define FIRST_PORT    1024u
#define MORE_ATTEMPTS 2u /* than there are servers: as many as silence leaves time for with one */

uint64_t pg_dns_now_ms(const struct pg_dns_forward *f)
{
    return f->now_us / 1000;
}

void pg_dns_count(struct pg_dns_forward *f, enum pg_counter which)
{
    f->o.counters->value[which]++;
}

/* ---- ports ---- */

/* 0: none of a few drawn is free, which with a thousand of 64,000 in use does not happen. */
static uint16_t draw_port(struct pg_dns_forward *f)
{
    for (int i = 0; i < 16; i++) {
        uint16_t port = (uint16_t)(FIRST_PORT + pg_random_below(f->o.random, 65536u - FIRST_PORT));

        if (f->by_port[port] == 0) {
            return port;
        }
    }
    return 0;
}

void pg_dns_give_port_back(struct pg_dns_forward *f, uint16_t *port)
{
    f->by_port[*port] = 0;
    *port = 0;
}

struct pg_tuple pg_dns_tuple_to(const struct pg_dns_forward *f, const struct pg_dns_server *s,
                                uint16_t port)
{
    return (struct pg_tuple){.src = f->own[!pg_addr_is_v4(&s->at.addr)],
                             .dst = s->at.addr,
                             .src_port = port,
                             .dst_port = s->at.port,
                             .proto = PG_PROTO_UDP};
}

/* ---- servers ---- */

static bool may_ask(const struct pg_dns_forward *f, uint32_t i)
{
    return !pg_addr_is_none(&f->own[!pg_addr_is_v4(&f->servers[i].at.addr)]);
}

/* Among those that are well and were not tried, else among those not tried, else all. */
static uint32_t choose(struct pg_dns_forward *f, uint32_t tried)
{
    for (int pass = 0; pass < 3; pass++) {
        uint32_t found[PG_DNS_UPSTREAMS];
        uint32_t n = 0;

        for (uint32_t i = 0; i < f->server_count; i++) {
            bool well = f->servers[i].failures < FAILURES_DOWN;

            if (may_ask(f, i) && (pass > 1 || !(tried >> i & 1)) && (pass > 0 || well)) {
                found[n++] = i;
            }
        }
        if (n > 0) {
            return found[pg_random_below(f->o.random, n)];
        }
    }
    return PG_DNS_NO_SERVER;
}

static void server_is_well(struct pg_dns_forward *f, struct pg_dns_server *s)
{
    s->failures = 0;
    pg_wheel_cancel(f->wheel, &s->probe.timer);
    if (s->probe_port) {
        pg_dns_give_port_back(f, &s->probe_port);
    }
}

static void server_failed(struct pg_dns_forward *f, struct pg_dns_server *s)
{
    s->failures++;
    if (s->failures == FAILURES_DOWN) {
        pg_dns_count(f, PG_COUNT_DNS_UPSTREAM_DOWN);
    }
    if (!pg_timer_armed(&s->probe.timer)) {
        pg_wheel_arm(f->wheel, &s->probe.timer, pg_dns_now_ms(f) + PROBE_MS);
    }
}

/* ". NS": any answer says that somebody is there. */
static void probe(struct pg_dns_forward *f, struct pg_dns_server *s)
{
    static const struct pg_dns_query root = {.type = PG_DNS_NS};
    uint8_t message[PG_DNS_QUERY_MOST];
    uint8_t name = 0;

    if (s->probe_port) {
        pg_dns_give_port_back(f, &s->probe_port);
    }
    pg_wheel_arm(f->wheel, &s->probe.timer, pg_dns_now_ms(f) + PROBE_MS);
    s->probe_id = (uint16_t)pg_random_u64(f->o.random);
    s->probe_port = draw_port(f);
    if (s->probe_port == 0) {
        return;
    }
    f->by_port[s->probe_port] = (uint16_t)(PG_DNS_PROBES + (s - f->servers));
    uint32_t len = pg_dns_query_write(s->probe_id, &name, &root, message);
    struct pg_tuple t = pg_dns_tuple_to(f, s, s->probe_port);

    message[2] &= (uint8_t)~0x01u; /* about its own word, not what it would have to ask for */
    f->o.send(f->o.arg, &t, 0, message, len);
}

/* ---- the end of a question ---- */

void pg_dns_end(struct pg_dns_forward *f, struct pg_dns_waiting *w)
{
    pg_dns_stop_stream(f, w);
    pg_wheel_cancel(f->wheel, &w->timeout.timer);
    if (w->port) {
        pg_dns_give_port_back(f, &w->port);
    }
    pg_pool_put(f->waiting, pg_pool_index(f->waiting, w));
}

/* ---- sending ---- */

static struct pg_dns_cache_key key_of(const struct pg_dns_waiting *w)
{
    return (struct pg_dns_cache_key){.name = w->name,
                                     .type = w->q.type,
                                     .edns = w->q.edns,
                                     .dnssec_ok = w->q.dnssec_ok,
                                     .checking_disabled = w->q.checking_disabled};
}

void pg_dns_wait(struct pg_dns_forward *f, struct pg_dns_waiting *w)
{
    uint64_t due = pg_dns_now_ms(f) + PG_DNS_ATTEMPT_MS;

    pg_wheel_arm(f->wheel, &w->timeout.timer, due < w->until_ms ? due : w->until_ms);
}

/* false: there is nobody to ask any more. */
static bool send(struct pg_dns_forward *f, struct pg_dns_waiting *w)
{
    uint8_t message[PG_DNS_QUERY_MOST];
    bool over = pg_dns_now_ms(f) >= w->until_ms || w->attempts++ >= f->server_count + MORE_ATTEMPTS;

    if (w->port) {
        pg_dns_give_port_back(f, &w->port);
    }
    w->server = choose(f, w->tried);
    w->port = w->server == PG_DNS_NO_SERVER || over ? 0 : draw_port(f);
    if (w->port == 0) {
        return false;
    }
    struct pg_dns_server *s = &f->servers[w->server];
    struct pg_tuple t = pg_dns_tuple_to(f, s, w->port);

    w->tried |= 1u << w->server;
    w->id = (uint16_t)pg_random_u64(f->o.random);
    f->by_port[w->port] = (uint16_t)(pg_pool_index(f->waiting, w) + 1);
    pg_dns_wait(f, w);
    pg_dns_count(f, PG_COUNT_DNS_FORWARDED);
    pg_dns_tell(f, w, f->asked, "", &s->at.addr);
    uint32_t len = pg_dns_query_write(w->id, w->name, &w->q, message);

    f->o.send(f->o.arg, &t, w->client.label, message, len);
    return true;
}

static void give_up(struct pg_dns_forward *f, struct pg_dns_waiting *w)
{
    struct pg_addr nobody = {0};

    pg_dns_tell(f, w, f->silent, "SERVFAIL", &nobody);
    pg_dns_give_error(f, w, PG_DNS_SERVFAIL);
    pg_dns_end(f, w);
}

void pg_dns_try_another(struct pg_dns_forward *f, struct pg_dns_waiting *w)
{
    pg_dns_count(f, PG_COUNT_DNS_UPSTREAM_SILENT);
    pg_dns_stop_stream(f, w);
    if (w->server < f->server_count) {
        server_failed(f, &f->servers[w->server]);
    }
    if (!send(f, w)) {
        give_up(f, w);
    }
}

static bool from_cache(struct pg_dns_forward *f, const struct pg_dns_waiting *w)
{
    uint8_t message[PG_DNS_EDNS_SIZE];
    struct pg_dns_cache_key key = key_of(w);
    uint32_t len = pg_dns_cache_get(f->cache, &key, pg_dns_now_ms(f), message, pg_dns_room_of(w));

    if (len == 0) {
        return false;
    }
    pg_dns_give(f, w, message, len, f->cached);
    return true;
}

bool pg_dns_forward_ask(struct pg_dns_forward *f, const void *query, uint32_t len,
                        const struct pg_dns_answer *about, const struct pg_dns_client *client)
{
    if (f->server_count == 0 || !about->beyond) {
        return false;
    }
    uint32_t index = pg_pool_get(f->waiting);
    struct pg_dns_waiting refused = {0};
    struct pg_dns_waiting *w = index == PG_POOL_NONE ? &refused : pg_pool_at(f->waiting, index);

    w->client = *client;
    w->server = PG_DNS_NO_SERVER;
    w->stream = PG_DNS_NO_STREAM;
    w->alias = about->beyond_alias;
    w->timeout.kind = PG_DNS_TIMER_QUESTION;
    w->timeout.forward = f;
    w->until_ms = pg_dns_now_ms(f) + ALL_MS;
    bool good = pg_dns_query_read(query, len, &w->q) == 0;

    memcpy(w->name, about->beyond_name, sizeof(w->name));
    if (good && from_cache(f, w)) {
        pg_dns_count(f, PG_COUNT_DNS_CACHE_HITS);
    } else if (w == &refused) {
        pg_dns_count(f, PG_COUNT_DNS_FORWARD_BUSY);
        pg_dns_give_error(f, w, PG_DNS_REFUSE);
    } else if (good && send(f, w)) {
        return true;
    } else {
        pg_dns_give_error(f, w, PG_DNS_SERVFAIL);
    }
    if (w != &refused) {
        pg_pool_put(f->waiting, index);
    }
    return true;
}

/* ---- replies ---- */

static bool comes_from(const struct pg_dns_server *s, const struct pg_tuple *t)
{
    return pg_addr_equal(&s->at.addr, &t->src) && s->at.port == t->src_port;
}

static bool refuse(struct pg_dns_forward *f)
{
    pg_dns_count(f, PG_COUNT_DNS_REPLIES_DROPPED);
    return true;
}

/* Is its question the one that was asked, letter by letter? */
static bool same_question(const struct pg_dns_waiting *w, const uint8_t *m, uint32_t len)
{
    uint32_t name_len = pg_dns_name_len(w->name);
    const uint8_t *fixed = m + PG_DNS_HEADER + name_len;

    return len >= PG_DNS_HEADER + name_len + 4 && m[4] == 0 && m[5] == 1 &&
           memcmp(m + PG_DNS_HEADER, w->name, name_len) == 0 &&
           (fixed[0] << 8 | fixed[1]) == w->q.type && fixed[2] == 0 && fixed[3] == PG_DNS_CLASS_IN;
}

static bool well_formed(const uint8_t *m, uint32_t len)
{
    uint64_t cursor = 0;
    struct pg_dns_rr rr;
    bool bad;

    while (pg_dns_rr_next(m, len, &cursor, &rr, &bad)) {
    }
    return !bad;
}

static bool take_probe(struct pg_dns_forward *f, struct pg_dns_server *s, const struct pg_tuple *t,
                       const uint8_t *m, uint32_t len)
{
    if (!comes_from(s, t) || len < PG_DNS_HEADER || !(m[2] & 0x80) ||
        (m[0] << 8 | m[1]) != s->probe_id) {
        return refuse(f);
    }
    server_is_well(f, s);
    return true;
}

void pg_dns_take_answer(struct pg_dns_forward *f, struct pg_dns_waiting *w, const uint8_t *m,
                        uint32_t len)
{
    static uint8_t message[UINT16_MAX]; /* one thread, never nested */
    struct pg_dns_cache_key key = key_of(w);
    struct pg_dns_server *s = &f->servers[w->server];

    server_is_well(f, s);
    if (!same_question(w, m, len) || !well_formed(m, len)) {
        pg_dns_count(f, PG_COUNT_DNS_REPLIES_DROPPED);
        pg_dns_give_error(f, w, PG_DNS_FORMERR);
        pg_dns_end(f, w);
        return;
    }
    if (pg_dns_ask_over_tcp(f, w, m)) {
        return;
    }
    memcpy(message, m, len);
    pg_dns_cache_put(f->cache, &key, message, len, pg_dns_now_ms(f));
    pg_dns_give(f, w, message, len, f->asked);
    pg_dns_end(f, w);
}

bool pg_dns_forward_reply(struct pg_dns_forward *f, const struct pg_tuple *t, const void *message,
                          uint32_t len)
{
    const uint8_t *m = message;
    uint32_t at = f->by_port[t->dst_port];

    if (at == 0) {
        return false;
    }
    if (at >= PG_DNS_PROBES) {
        return take_probe(f, &f->servers[at - PG_DNS_PROBES], t, m, len);
    }
    struct pg_dns_waiting *w = pg_pool_at(f->waiting, at - 1);

    if (w->server >= f->server_count || !comes_from(&f->servers[w->server], t) ||
        !pg_addr_equal(&t->dst, &f->own[!pg_addr_is_v4(&t->dst)]) || len < PG_DNS_HEADER ||
        len > PG_DNS_EDNS_SIZE || !(m[2] & 0x80) || (m[0] << 8 | m[1]) != w->id) {
        return refuse(f);
    }
    pg_dns_take_answer(f, w, m, len);
    return true;
}

void pg_dns_forward_unreachable(struct pg_dns_forward *f, const struct pg_tuple *sent)
{
    uint32_t at = sent->proto == PG_PROTO_UDP ? f->by_port[sent->src_port] : 0;
    struct pg_tuple back = pg_tuple_invert(sent);

    if (at == 0 || at >= PG_DNS_PROBES) {
        return;
    }
    struct pg_dns_waiting *w = pg_pool_at(f->waiting, at - 1);

    if (w->server < f->server_count && comes_from(&f->servers[w->server], &back)) {
        pg_dns_try_another(f, w);
    }
}

/* ---- time ---- */

static void on_timer(void *arg, struct pg_timer *timer)
{
    struct pg_dns_timer *owned = (struct pg_dns_timer *)(void *)timer;

    (void)arg;
    if (owned->kind == PG_DNS_TIMER_SERVER) {
        probe(owned->forward, (struct pg_dns_server *)(void *)owned);
    } else {
        pg_dns_try_another(owned->forward, (struct pg_dns_waiting *)(void *)owned);
    }
}

void pg_dns_forward_advance(struct pg_dns_forward *f, uint64_t now_us)
{
    f->now_us = now_us;
    pg_wheel_advance(f->wheel, now_us / 1000, on_timer, f);
}

uint64_t pg_dns_forward_next_due_us(const struct pg_dns_forward *f)
{
    uint64_t due = pg_wheel_next(f->wheel);

    return due > UINT64_MAX / 1000 ? UINT64_MAX : due * 1000;
}

/* ---- start, reload, stop ---- */

struct pg_dns_forward *pg_dns_forward_new(const struct pg_dns_forward_options *options,
                                          uint64_t now_us)
{
    struct pg_dns_forward *f = calloc(1, sizeof(*f));

    if (!f) {
        return NULL;
    }
    f->o = *options;
    f->now_us = now_us;
    f->waiting = pg_pool_new("dns questions", sizeof(struct pg_dns_waiting), PG_DNS_WAITING_MOST);
    f->wheel = pg_wheel_new(now_us / 1000);
    if (!f->waiting || !f->wheel) {
        pg_dns_forward_free(f);
        return NULL;
    }
    return f;
}

void pg_dns_forward_free(struct pg_dns_forward *f)
{
    if (f) {
        pg_wheel_free(f->wheel);
        pg_dns_cache_free(f->cache);
        pg_pool_free(f->waiting);
        free(f);
    }
}

static pg_reason_id reason_of(const struct pg_lab *lab, enum pg_code code)
{
    return pg_reason_intern(&(struct pg_reason){.code = code,
                                                .object = "Lab",
                                                .field = "spec.dns.upstream",
                                                .file = lab->dns_upstream_source.file,
                                                .line = lab->dns_upstream_source.line});
}

static bool same_servers(const struct pg_dns_forward *f, const struct pg_lab *lab)
{
    bool same = f->server_count == lab->dns_upstream_count;

    for (uint32_t i = 0; same && i < f->server_count; i++) {
        same = pg_addr_equal(&f->servers[i].at.addr, &lab->dns_upstream[i].addr) &&
               f->servers[i].at.port == lab->dns_upstream[i].port;
    }
    return same;
}

/* Questions to servers that are gone meet their timeout, and then others. */
static void set_servers(struct pg_dns_forward *f, const struct pg_lab *lab)
{
    for (uint32_t i = 0; i < f->server_count; i++) {
        server_is_well(f, &f->servers[i]);
    }
    for (uint32_t i = 0; i < pg_pool_high_water(f->waiting); i++) {
        if (pg_pool_in_use(f->waiting, i)) {
            struct pg_dns_waiting *w = pg_pool_at(f->waiting, i);

            w->server = PG_DNS_NO_SERVER;
            w->tried = 0;
            w->attempts = 0;
        }
    }
    pg_dns_cache_free(f->cache);
    f->cache = NULL;
    memset(f->servers, 0, sizeof(f->servers));
    if (lab->dns_upstream_count == 0) {
        f->server_count = 0;
        return;
    }
    struct pg_hash_key key = pg_random_key(f->o.random);

    f->cache = pg_dns_cache_new(&key);
    f->server_count =
        f->cache ? lab->dns_upstream_count : 0; /* out of memory: as if none were given */
    for (uint32_t i = 0; i < f->server_count; i++) {
        f->servers[i].at = lab->dns_upstream[i];
        f->servers[i].probe.kind = PG_DNS_TIMER_SERVER;
        f->servers[i].probe.forward = f;
    }
}

void pg_dns_forward_load(struct pg_dns_forward *f, const struct pg_snapshot *s,
                         const struct pg_zone *zone)
{
    f->zone = zone;
    memcpy(f->own, s->lab.dns, sizeof(f->own));
    f->asked = reason_of(&s->lab, PG_CODE_DNS_UPSTREAM);
    f->cached = reason_of(&s->lab, PG_CODE_DNS_CACHED);
    f->silent = reason_of(&s->lab, PG_CODE_DNS_SILENT);
    f->cut = reason_of(&s->lab, PG_CODE_DNS_CUT);
    if (!same_servers(f, &s->lab)) {
        set_servers(f, &s->lab);
    }
}

/* ---- for tables ---- */

uint32_t pg_dns_forward_cached(const struct pg_dns_forward *f)
{
    return f->cache ? pg_dns_cache_count(f->cache) : 0;
}

uint32_t pg_dns_forward_waiting(const struct pg_dns_forward *f)
{
    return pg_pool_used(f->waiting);
}
