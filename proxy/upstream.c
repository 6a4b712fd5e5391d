/* Connections to service addresses: opened, lent to a session, kept idle for the next one.
 *
 * Called by `request.c` (open) and `response.c` (release). A connection runs from the ingress pod's own address to the service
 * IP; which pod answers is NAT's choice and stays so for the life of the connection. Idle ones are kept per (local address,
 * service address, port), the one used last in front: the rest grow old and expire. If pods get a PROXY preface, the client's ends are part of
 * the key: the preface stands for all that follows on the connection. Where pods speak HTTP/2 an upstream is one stream of a connection of `h2_up.c`, used
 * once; those connections are what is kept.
 *
 * An idle connection must be silent. Whatever comes on it, bytes nobody asked for or the pod's FIN, closes it. That
 * the FIN may be on its way while a request is being sent is `response.c`'s business.
 *
 * Owns upstreams and targets. Always true: an upstream with a session is on no list; idle_upstreams is the sum of all lists. */
#include "h2_up.h"
#include "proxy_internal.h"

#include "podglass/conn_inner.h"

#include <stddef.h>
#include <string.h>

/* What a target is looked up by; hashed as bytes. */
struct target_key {
    struct pg_addr local;
    struct pg_addr addr;
    uint16_t port;
    bool h2c;
    struct pg_tls_identity tls;
    struct pg_tuple client;
};

bool pg_target_equal(const void *owner, uint32_t value, const void *key)
{
    const struct pg_proxy *p = owner;
    const struct pg_target *t = pg_pool_at(p->targets, value);
    const struct target_key *k = key;
    return t->port == k->port && t->h2c == k->h2c && t->tls.part[0] == k->tls.part[0] &&
           t->tls.part[1] == k->tls.part[1] && pg_addr_equal(&t->addr, &k->addr) &&
           pg_addr_equal(&t->local, &k->local) && pg_tuple_equal(&t->client, &k->client);
}

static struct pg_target *target_get(struct pg_proxy *p, const struct target_key *k)
{
    struct pg_tuple bytes = {
        .src = k->local, .dst = k->addr, .dst_port = k->port, .src_port = k->h2c};
    uint32_t hash = (uint32_t)pg_hash_tuple(&p->key, &bytes) ^ (uint32_t)k->tls.part[0];
    if (k->client.proto)
        hash ^= (uint32_t)pg_hash_tuple(&p->key, &k->client);
    uint32_t index = pg_table_find(p->target_table, hash, k);
    if (index != PG_TABLE_NONE)
        return pg_pool_at(p->targets, index);
    index = pg_pool_get(p->targets);
    if (index == PG_POOL_NONE)
        return NULL;
    if (pg_table_add(p->target_table, hash, index) != 0) {
        pg_pool_put(p->targets, index);
        return NULL;
    }
    struct pg_target *t = pg_pool_at(p->targets, index);
    *t = (struct pg_target){.local = k->local,
                            .addr = k->addr,
                            .client = k->client,
                            .port = k->port,
                            .h2c = k->h2c,
                            .tls = k->tls,
                            .hash = hash};
    return t;
}

static void target_sweep(struct pg_proxy *p, struct pg_target *t)
{
    if (t->refs > 0)
        return;
    uint32_t index = pg_pool_index(p->targets, t);
    (void)pg_table_del(p->target_table, t->hash, index);
    pg_pool_put(p->targets, index);
}

void pg_target_put(struct pg_proxy *p, struct pg_target *t)
{
    t->refs--;
    target_sweep(p, t);
}

/* ---- the idle list ---- */

static void idle_add(struct pg_upstream *u)
{
    struct pg_target *t = u->target;
    u->session = NULL;
    u->newer = NULL;
    u->older = t->idle;
    if (t->idle)
        t->idle->newer = u;
    t->idle = u;
    u->proxy->idle_upstreams++;
    u->idle_since_ms = pg_proxy_now_ms(u->proxy);
    pg_wheel_arm(u->proxy->wheel, &u->timer.timer,
                 u->idle_since_ms + pg_limit_ms(u->proxy, PG_LIMIT_UPSTREAM_TIME));
}

static void idle_del(struct pg_upstream *u)
{
    if (u->newer)
        u->newer->older = u->older;
    else
        u->target->idle = u->older;
    if (u->older)
        u->older->newer = u->newer;
    u->newer = u->older = NULL;
    u->proxy->idle_upstreams--;
    pg_wheel_cancel(u->proxy->wheel, &u->timer.timer);
}

/* ---- life ---- */

static void upstream_free(struct pg_upstream *u)
{
    struct pg_proxy *p = u->proxy;
    struct pg_target *t = u->target;
    pg_wheel_cancel(p->wheel, &u->timer.timer);
    pg_pool_put(p->upstreams, pg_pool_index(p->upstreams, u));
    pg_target_put(p, t);
}

static void close_idle(struct pg_upstream *u)
{
    idle_del(u);
    if (u->conn)
        pg_conn_close(u->conn);
    upstream_free(u);
}

static void on_open(void *owner, struct pg_conn *c)
{
    struct pg_upstream *u = owner;
    (void)c;
    u->open = true;
    if (u->session)
        pg_session_event(u->session, PG_EVENT_UPSTREAM_OPEN, 0);
}

static void on_readable(void *owner, struct pg_conn *c)
{
    struct pg_upstream *u = owner;
    (void)c;
    if (u->session)
        pg_session_event(u->session, PG_EVENT_UPSTREAM_READABLE, 0);
    else
        close_idle(u);
}

static void on_writable(void *owner, struct pg_conn *c)
{
    struct pg_upstream *u = owner;
    (void)c;
    if (u->session)
        pg_session_event(u->session, PG_EVENT_UPSTREAM_WRITABLE, 0);
}

static void on_closed(void *owner, struct pg_conn *c, int error)
{
    struct pg_upstream *u = owner;
    (void)c;
    u->conn = NULL;
    if (u->session)
        pg_session_event(u->session, PG_EVENT_UPSTREAM_CLOSED, error);
    else
        close_idle(u);
}

static const struct pg_conn_events events = {on_open, on_readable, on_writable, on_closed};

/* In front of TLS a preface goes at once: what is written later is inside. */
static uint32_t preface_in_front(struct pg_session *s, const struct target_key *key,
                                 uint8_t out[PG_PREFACE_OUT_MAX])
{
    if (!key->client.proto || !key->tls.part[0])
        return 0;
    struct pg_ends ends = pg_request_ends(s);
    return pg_preface_send(s->proxy, &s->routes->preface, &ends, pg_conn_label(s->client), out);
}

static struct pg_conn *connect_to(struct pg_session *s, struct pg_target *t,
                                  const struct target_key *key, struct pg_upstream *u)
{
    struct pg_proxy *p = s->proxy;
    uint8_t preface[PG_PREFACE_OUT_MAX];
    struct pg_tls_up_ask ask = {.target = t, .label = pg_conn_label(s->client), .h2 = key->h2c};
    if (key->tls.part[0])
        ask.peer = pg_tls_peer_of(s->routes->tls_peers, s->route->tls);
    if (key->h2c && !pg_h2_up_has_room(t)) {
        ask.preface_len = preface_in_front(s, key, preface);
        ask.preface = preface;
    }
    if (key->h2c)
        return pg_h2_up_stream(p, &ask, &u->open);
    if (!ask.peer)
        return pg_conn_connect(p->stack, &key->local, 0, &key->addr, key->port, ask.label, &events,
                               u);
    ask.preface_len = preface_in_front(s, key, preface);
    ask.preface = preface;
    return pg_tls_up_connect(p, &ask, &events, u);
}

static struct pg_upstream *connect_new(struct pg_session *s, const struct target_key *key,
                                       struct pg_target *t)
{
    struct pg_proxy *p = s->proxy;
    uint32_t index = pg_pool_get(p->upstreams);
    if (index == PG_POOL_NONE)
        return NULL;
    struct pg_upstream *u = pg_pool_at(p->upstreams, index);
    u->conn = connect_to(s, t, key, u);
    if (!u->conn) {
        pg_pool_put(p->upstreams, index);
        return NULL;
    }
    if (key->h2c)
        pg_conn_own(u->conn, &events, u);
    u->h2c = key->h2c;
    u->reused = u->open; /* another's connection: only a stream of it is new */
    p->counters->value[PG_COUNT_UPSTREAM_REUSED] += u->reused;
    u->timer.owner = PG_TIMER_OF_UPSTREAM;
    u->owes_preface = key->client.proto != 0 && !key->tls.part[0];
    u->proxy = p;
    u->session = s;
    u->target = t;
    t->refs++;
    return u;
}

/* Whose preface the pod gets; proto 0: nobody's. */
static struct pg_tuple client_of(const struct pg_session *s)
{
    if (!s->routes->preface.settings->to_pods)
        return (struct pg_tuple){0};
    struct pg_ends ends = pg_request_ends(s);
    return (struct pg_tuple){.src = ends.client,
                             .dst = ends.local,
                             .src_port = ends.client_port,
                             .dst_port = ends.local_port,
                             .proto = PG_PROTO_TCP};
}

struct pg_upstream *pg_upstream_open(struct pg_session *s, const struct pg_addr *local,
                                     const struct pg_addr *addr, uint16_t port,
                                     uint64_t idle_below_ms)
{
    struct pg_proxy *p = s->proxy;
    struct target_key key = {*local, *addr, port, s->exchange->h2c, {{0, 0}}, client_of(s)};
    if (s->route->tls) {
        key.tls = pg_tls_peer_identity(pg_tls_peer_of(s->routes->tls_peers, s->route->tls));
        if (!key.tls.part[0])
            return NULL; /* never without TLS instead */
    }
    struct pg_target *t = target_get(p, &key);
    if (!t)
        return NULL;
    struct pg_upstream *u = t->idle;
    if (u && pg_proxy_now_ms(p) - u->idle_since_ms < idle_below_ms) {
        idle_del(u);
        u->session = s;
        u->reused = true;
        pg_inner_set_labels(u->conn, pg_conn_label(s->client));
        p->counters->value[PG_COUNT_UPSTREAM_REUSED]++;
        return u;
    }
    u = connect_new(s, &key, t);
    if (!u)
        target_sweep(p, t);
    return u;
}

void pg_upstream_release(struct pg_upstream *u, bool reusable)
{
    struct pg_proxy *p = u->proxy;
    bool clean = u->conn && u->open && pg_conn_unread(u->conn) == 0 && !pg_conn_end_seen(u->conn);
    u->last_user = u->session;
    u->session = NULL;
    if (reusable && clean && !u->h2c && !p->draining &&
        p->idle_upstreams < p->limits.value[PG_LIMIT_POOL]) {
        idle_add(u);
        return;
    }
    if (u->conn)
        pg_conn_close(u->conn);
    upstream_free(u);
}

void pg_upstream_abort(struct pg_upstream *u)
{
    u->session = NULL;
    if (u->conn)
        pg_conn_abort(u->conn);
    upstream_free(u);
}

void pg_upstream_close_of(struct pg_session *s)
{
    struct pg_proxy *p = s->proxy;
    if (s->requests == 0 || !pg_pool_in_use(p->upstreams, s->last_up) ||
        pg_pool_generation(p->upstreams, s->last_up) != s->last_up_generation)
        return;
    struct pg_upstream *u = pg_pool_at(p->upstreams, s->last_up);
    if (!u->session && u->target->client.proto)
        close_idle(u);
}

void pg_upstream_timeout(struct pg_upstream *u)
{
    close_idle(u);
}

void pg_upstream_close_idle(struct pg_proxy *p)
{
    uint32_t limit = pg_pool_high_water(p->upstreams);
    for (uint32_t i = 0; i < limit && p->idle_upstreams > 0; i++) {
        if (!pg_pool_in_use(p->upstreams, i))
            continue;
        struct pg_upstream *u = pg_pool_at(p->upstreams, i);
        if (!u->session)
            close_idle(u);
    }
    pg_h2_ups_close_idle(p);
}
