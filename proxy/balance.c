/* Which pod gets this request, where the ingress chooses itself: one after the other, or the one with the fewest requests under way.
 *
 * Called by request.c for each request, and by response.c when a connection could not be made. A pod that refused, or did not answer, a
 * connection is left out for a while (nginx' fail_timeout), and the request, of which nothing was sent, goes to another one. If all
 * are left out, none is: a guess is better than a certain 503.
 *
 * Owns the list of those left out; the turns belong to a load. */
#include "balance.h"

#include "affinity_cookie.h"

#include "podglass/packet.h"

#include <stdlib.h>
#include <string.h>

#define DOWN_MS   10000
#define DOWN_MOST 64

/* A pod that is left out until then. */
struct down {
    struct pg_addr addr;
    uint16_t port;
    uint64_t until_ms;
};

/* Requests under way to a pod, counted where the least busy one is wanted. */
struct load {
    struct pg_addr addr;
    uint16_t port;
    uint32_t hash;
    uint32_t busy;
};

struct pg_balance {
    struct down down[DOWN_MOST];
    uint32_t down_count;
    struct pg_pool *loads;
    struct pg_table *by_pod;
};

/* ---- requests under way ---- */

static bool same_pod(const void *owner, uint32_t value, const void *key)
{
    const struct pg_balance *b = owner;
    const struct load *l = pg_pool_at(b->loads, value);
    const struct pg_endpoint *e = key;
    return l->port == e->port && pg_addr_equal(&l->addr, &e->addr);
}

struct pg_balance *pg_balance_new(const struct pg_proxy *p)
{
    struct pg_balance *b = calloc(1, sizeof(*b));
    if (!b)
        return NULL;
    b->loads = pg_pool_new("pod loads", sizeof(struct load), p->options.session_limit);
    b->by_pod = pg_table_new(p->options.session_limit, same_pod, b);
    if (b->loads && b->by_pod)
        return b;
    pg_balance_free(b);
    return NULL;
}

void pg_balance_free(struct pg_balance *b)
{
    if (!b)
        return;
    pg_table_free(b->by_pod);
    pg_pool_free(b->loads);
    free(b);
}

static uint32_t load_hash(const struct pg_proxy *p, const struct pg_endpoint *e)
{
    struct pg_tuple bytes = {.dst = e->addr, .dst_port = e->port};
    return (uint32_t)pg_hash_tuple(&p->key, &bytes);
}

static uint32_t busy_of(const struct pg_proxy *p, const struct pg_endpoint *e)
{
    uint32_t index = pg_table_find(p->balance->by_pod, load_hash(p, e), e);
    return index == PG_TABLE_NONE
               ? 0
               : ((const struct load *)pg_pool_at(p->balance->loads, index))->busy;
}

/* Without room the pod only seems less busy than it is. */
static void count_in(struct pg_session *s, const struct pg_endpoint *e)
{
    struct pg_proxy *p = s->proxy;
    uint32_t hash = load_hash(p, e);
    uint32_t index = pg_table_find(p->balance->by_pod, hash, e);
    if (index == PG_TABLE_NONE) {
        index = pg_pool_get(p->balance->loads);
        if (index == PG_POOL_NONE)
            return;
        struct load *fresh = pg_pool_at(p->balance->loads, index);
        *fresh = (struct load){.addr = e->addr, .port = e->port, .hash = hash};
        if (pg_table_add(p->balance->by_pod, hash, index) != 0) {
            pg_pool_put(p->balance->loads, index);
            return;
        }
    }
    ((struct load *)pg_pool_at(p->balance->loads, index))->busy++;
    s->exchange->load = index + 1;
}

void pg_balance_done(struct pg_session *s)
{
    struct pg_proxy *p = s->proxy;
    if (!s->exchange || s->exchange->load == 0)
        return;
    uint32_t index = s->exchange->load - 1;
    struct load *l = pg_pool_at(p->balance->loads, index);
    s->exchange->load = 0;
    if (--l->busy > 0)
        return;
    (void)pg_table_del(p->balance->by_pod, l->hash, index);
    pg_pool_put(p->balance->loads, index);
}

/* ---- those left out ---- */

static bool is_down(const struct pg_proxy *p, const struct pg_endpoint *e)
{
    for (uint32_t i = 0; i < p->balance->down_count; i++) {
        const struct down *d = &p->balance->down[i];
        if (d->until_ms > pg_proxy_now_ms(p) && d->port == e->port &&
            pg_addr_equal(&d->addr, &e->addr))
            return true;
    }
    return false;
}

/* In a full list the one that ends first makes room. */
static void mark_down(struct pg_proxy *p, const struct pg_addr *addr, uint16_t port)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < p->balance->down_count; i++) {
        if (pg_addr_equal(&p->balance->down[i].addr, addr) && p->balance->down[i].port == port) {
            at = i;
            break;
        }
        if (p->balance->down[i].until_ms < p->balance->down[at].until_ms)
            at = i;
    }
    bool known = p->balance->down_count > 0 && pg_addr_equal(&p->balance->down[at].addr, addr) &&
                 p->balance->down[at].port == port;
    if (!known && p->balance->down_count < DOWN_MOST)
        at = p->balance->down_count++;
    p->balance->down[at] =
        (struct down){.addr = *addr, .port = port, .until_ms = pg_proxy_now_ms(p) + DOWN_MS};
    p->counters->value[PG_COUNT_UPSTREAM_MARKED_DOWN]++;
}

static bool any_is_down(const struct pg_proxy *p)
{
    for (uint32_t i = 0; i < p->balance->down_count; i++) {
        if (p->balance->down[i].until_ms > pg_proxy_now_ms(p))
            return true;
    }
    return false;
}

/* ---- the choice ---- */

/* From number `start` on, the first that is not left out; of several the least busy if that is asked for. */
static const struct pg_endpoint *choose(const struct pg_proxy *p, const struct pg_candidates *c,
                                        bool least, uint32_t start)
{
    bool down = any_is_down(p);
    const struct pg_endpoint *best = NULL;
    uint32_t best_busy = UINT32_MAX;
    if (!least && !down)
        return pg_backend_candidate(c, start);
    for (uint32_t i = 0; i < c->count; i++) {
        const struct pg_endpoint *e = pg_backend_candidate(c, (start + i) % c->count);
        if (down && is_down(p, e))
            continue;
        uint32_t busy = least ? busy_of(p, e) : 0;
        if (busy < best_busy) {
            best = e;
            best_busy = busy;
        }
        if (!least || busy == 0)
            break;
    }
    return best ? best : pg_backend_candidate(c, start);
}

/* ---- affinity ---- */

static void tell_kept(struct pg_session *s, const struct pg_route_filter *by,
                      const struct pg_endpoint *e)
{
    if (pg_session_watched(s))
        pg_session_tell(s, PG_STAGE_UPSTREAM, "affinity", pg_value_text(by->name, strlen(by->name)),
                        pg_value_endpoint(&e->addr, e->port),
                        pg_route_filter_reason(by, PG_CODE_AFFINITY_COOKIE));
}

/* The pod that the client's cookie names; NULL: none, or it is left out at present. Then *ret_gives says whether the client gets another cookie: one whose pod is only
 * left out stays with it, as in ingress-nginx. */
static const struct pg_endpoint *kept(struct pg_session *s, const char *bytes,
                                      const struct pg_candidates *c,
                                      const struct pg_route_filter *by, bool *ret_gives)
{
    struct pg_proxy *p = s->proxy;
    uint64_t cookie = pg_cookie_received(by, &p->head, bytes);
    *ret_gives = true;
    for (uint32_t i = 0; cookie && i < c->port->endpoint_count; i++) {
        const struct pg_endpoint *e = &c->snapshot->endpoints[c->port->endpoint_first + i];
        if (!pg_backend_is_candidate(c, e) || pg_cookie_of(&p->key, e) != cookie)
            continue;
        *ret_gives = false;
        if (is_down(p, e))
            return NULL;
        tell_kept(s, by, e);
        return e;
    }
    return NULL;
}

static const struct pg_endpoint *choose_next(struct pg_session *s, const struct pg_candidates *c)
{
    struct pg_routes *r = s->routes;
    uint32_t turn = r->turns ? r->turns[s->route->service]++ : 0;
    bool least = r->snapshot->lab.ingress.balance == PG_BALANCE_LEAST_CONNECTIONS;
    return choose(s->proxy, c, least, turn % c->count);
}

enum pg_http_error pg_balance_choose(struct pg_session *s, const char *bytes,
                                     const struct pg_addr *local)
{
    struct pg_routes *r = s->routes;
    struct pg_exchange *x = s->exchange;
    struct pg_candidates c = pg_backend_candidates(r->snapshot, s->route, !pg_addr_is_v4(local));
    const struct pg_route_filter *by =
        s->route->filter_count > 0
            ? pg_route_find_filter(r->snapshot, s->route, PG_FILTER_AFFINITY_COOKIE)
            : NULL;
    bool gives = false;
    if (c.count == 0)
        return PG_HTTP_ERROR_NO_ENDPOINT; /* of this family */
    const struct pg_endpoint *e = by ? kept(s, bytes, &c, by, &gives) : NULL;
    if (!e)
        e = choose_next(s, &c);
    pg_balance_done(s);
    if (r->snapshot->lab.ingress.balance == PG_BALANCE_LEAST_CONNECTIONS)
        count_in(s, e);
    x->cookie = gives ? pg_cookie_of(&s->proxy->key, e) : 0;
    x->service_addr = e->addr;
    x->service_port = e->port;
    x->balanced = true;
    x->candidates = c.count < UINT8_MAX ? (uint8_t)c.count : UINT8_MAX;
    return PG_HTTP_ERROR_NONE;
}

const struct pg_endpoint *pg_balance_pick(struct pg_proxy *p, struct pg_routes *r,
                                          const struct pg_route *route, bool v6)
{
    struct pg_candidates c = pg_backend_candidates(r->snapshot, route, v6);
    uint32_t turn = r->turns ? r->turns[route->service]++ : 0;
    return c.count == 0 ? NULL : choose(p, &c, false, turn % c.count);
}

void pg_balance_failed(struct pg_proxy *p, const struct pg_addr *addr, uint16_t port)
{
    mark_down(p, addr, port);
}

bool pg_balance_again(struct pg_session *s)
{
    struct pg_exchange *x = s->exchange;
    mark_down(s->proxy, &x->service_addr, x->service_port);
    return s->tries < s->proxy->limits.value[PG_LIMIT_TRIES] && s->tries < x->candidates;
}
