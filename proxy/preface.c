/* A client connection whose listener demands a PROXY preface, from its first byte to the end of the preface.
 *
 * Called by `listener.c` (accept, timer) and by the stack's callbacks. Who may send one is asked before a byte is looked at. What is not a
 * preface, or is late, ends the connection by reset: not a byte of HTTP is answered, since whoever is there does not speak it to us. Each such
 * end is counted, recorded with the first bytes, and logged once a minute per source.
 *
 * What was read stays known by the ends of the connection, so that whoever serves it next (a session, or TLS first) can ask; it goes with the
 * last reference, or when nobody asked in time.
 *
 * Owns prefaces. Always true: one that waits for bytes has a connection and no references. */
#include "preface.h"
#include "proxy_internal.h"

#include "podglass/log.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define UNCLAIMED_MS 30000 /* longer than any handshake may take */
#define TOLD_MS      60000
#define TOLD_SOURCES 16

struct pg_preface_of {
    struct pg_owned_timer timer;
    struct pg_prefaces *all;
    struct pg_conn *conn; /* until the preface is read */
    struct pg_tuple tuple;
    struct pg_preface preface;
    uint64_t deadline_ms;
    uint32_t hash;
    uint32_t refs;
    bool known; /* in the table */
};

struct pg_prefaces {
    struct pg_proxy *proxy;
    struct pg_pool *pool;
    struct pg_table *by_tuple;
    struct {
        struct pg_addr source;
        uint64_t until_ms;
    } told[TOLD_SOURCES]; /* of the log */
    uint32_t told_next;
};

_Static_assert(offsetof(struct pg_preface_of, timer) == 0,
               "a timer is the first thing of its owner");

static struct pg_tuple ends_of(const struct pg_conn *c)
{
    struct pg_tuple t = {.proto = PG_PROTO_TCP};
    t.src = pg_conn_peer(c, &t.src_port);
    t.dst = pg_conn_local(c, &t.dst_port);
    return t;
}

static bool tuple_equal(const void *owner, uint32_t value, const void *key)
{
    const struct pg_prefaces *all = owner;
    const struct pg_preface_of *of = pg_pool_at(all->pool, value);
    return pg_tuple_equal(&of->tuple, key);
}

struct pg_prefaces *pg_prefaces_new(struct pg_proxy *p, uint32_t limit)
{
    struct pg_prefaces *all = calloc(1, sizeof(*all));
    if (!all)
        return NULL;
    all->proxy = p;
    all->pool = pg_pool_new("prefaces", sizeof(struct pg_preface_of), limit);
    all->by_tuple = pg_table_new(limit, tuple_equal, all);
    if (all->pool && all->by_tuple)
        return all;
    pg_prefaces_free(all);
    return NULL;
}

void pg_prefaces_free(struct pg_prefaces *all)
{
    if (!all)
        return;
    uint32_t limit = all->pool ? pg_pool_high_water(all->pool) : 0;
    for (uint32_t i = 0; i < limit; i++) {
        if (!pg_pool_in_use(all->pool, i))
            continue;
        struct pg_preface_of *of = pg_pool_at(all->pool, i);
        if (of->conn)
            pg_conn_abort(of->conn);
    }
    pg_table_free(all->by_tuple);
    pg_pool_free(all->pool);
    free(all);
}

static void forget(struct pg_preface_of *of)
{
    struct pg_prefaces *all = of->all;
    uint32_t index = pg_pool_index(all->pool, of);
    if (of->known)
        (void)pg_table_del(all->by_tuple, of->hash, index);
    pg_wheel_cancel(all->proxy->wheel, &of->timer.timer);
    pg_pool_put(all->pool, index);
}

/* ---- the end of what is no preface ---- */

static bool was_told(struct pg_prefaces *all, const struct pg_addr *source, uint64_t now_ms)
{
    for (uint32_t i = 0; i < TOLD_SOURCES; i++) {
        if (all->told[i].until_ms > now_ms && pg_addr_equal(&all->told[i].source, source))
            return true;
    }
    uint32_t at = all->told_next++ % TOLD_SOURCES;
    all->told[at].source = *source;
    all->told[at].until_ms = now_ms + TOLD_MS;
    return false;
}

static void tell_end(const struct pg_preface_of *of, const char *name, const char *text,
                     pg_reason_id reason)
{
    struct pg_proxy *p = of->all->proxy;
    uint32_t label = pg_conn_label(of->conn);
    if (!pg_trace_on(p->trace) || !pg_trace_label_wanted(p->trace, label))
        return;
    struct pg_record r = {.label = label,
                          .reason = reason,
                          .node = PG_NODE_NONE,
                          .kind = PG_RECORD_EVENT,
                          .stage = PG_STAGE_PROXY_PROTOCOL,
                          .before = pg_value_endpoint(&of->tuple.src, of->tuple.src_port),
                          .after = pg_value_text(text, strlen(text))};
    memcpy(r.name, name, strlen(name) + 1);
    pg_trace_write(p->trace, &r);
}

static void end(struct pg_preface_of *of, const char *text, bool denied)
{
    struct pg_proxy *p = of->all->proxy;
    char source[PG_ENDPOINT_TEXT];
    pg_reason_id reason = p->routes ? pg_preface_reason(&p->routes->preface, p->routes->snapshot,
                                                        &of->tuple.src, denied)
                                    : 0;
    p->counters->value[denied ? PG_COUNT_PP_DENIED : PG_COUNT_PP_INVALID]++;
    tell_end(of, denied ? "pp-denied" : "pp-invalid", text, reason);
    if (!was_told(of->all, &of->tuple.src, pg_proxy_now_ms(p)))
        pg_log(PG_LOG_WARN, "PROXY preface from %s: %s; connection reset%s",
               pg_endpoint_print(&of->tuple.src, of->tuple.src_port, source), text,
               pg_reason_get(reason)->code == PG_CODE_PP_HAIRPIN
                   ? " (a pod: its way to the balancer's address did not pass the balancer)"
                   : "");
    pg_conn_abort(of->conn);
    of->conn = NULL;
    forget(of);
}

static void refuse(struct pg_preface_of *of, enum pg_preface_error error)
{
    uint8_t bytes[PG_PREFACE_SHOWN];
    struct pg_text text = {0};
    pg_preface_end_print(error, bytes, pg_conn_peek(of->conn, 0, bytes, sizeof(bytes)), &text);
    end(of, text.at, false);
    pg_text_free(&text);
}

/* ---- a preface that is complete ---- */

static void tell_read(const struct pg_preface_of *of, const struct pg_preface *preface)
{
    struct pg_proxy *p = of->all->proxy;
    uint32_t label = pg_conn_label(of->conn);
    struct pg_text text = {0};
    if (!pg_trace_on(p->trace) || !pg_trace_label_wanted(p->trace, label))
        return;
    pg_preface_print(preface, &text);
    struct pg_record r = {.label = label,
                          .reason = p->routes->preface.client_reason,
                          .node = PG_NODE_NONE,
                          .kind = PG_RECORD_EVENT,
                          .stage = PG_STAGE_PROXY_PROTOCOL,
                          .name = "preface",
                          .before = pg_value_endpoint(&of->tuple.src, of->tuple.src_port),
                          .after = pg_value_text(text.at, text.len)};
    pg_trace_write(p->trace, &r);
    pg_text_free(&text);
}

/* An older connection with these ends is gone, or its peer would not begin another. */
static void replace(struct pg_preface_of *of)
{
    struct pg_prefaces *all = of->all;
    of->hash = (uint32_t)pg_hash_tuple(&all->proxy->key, &of->tuple);
    uint32_t old = pg_table_find(all->by_tuple, of->hash, &of->tuple);
    if (old != PG_TABLE_NONE) {
        struct pg_preface_of *before = pg_pool_at(all->pool, old);
        (void)pg_table_del(all->by_tuple, before->hash, old);
        before->known = false;
        if (before->refs == 0)
            forget(before);
    }
    of->known = pg_table_add(all->by_tuple, of->hash, pg_pool_index(all->pool, of)) == 0;
}

static void complete(struct pg_preface_of *of, const struct pg_preface *preface, uint32_t len)
{
    struct pg_proxy *p = of->all->proxy;
    struct pg_conn *c = of->conn;
    p->counters->value[PG_COUNT_PP_READ]++;
    tell_read(of, preface);
    of->preface = *preface;
    of->preface.tlvs = (struct pg_slice){NULL, 0}; /* in bytes that go now */
    of->conn = NULL;
    replace(of);
    if (!of->known) {
        forget(of);
        pg_conn_abort(c);
        return;
    }
    of->deadline_ms = pg_proxy_now_ms(p) + UNCLAIMED_MS;
    pg_wheel_arm(p->wheel, &of->timer.timer, of->deadline_ms);
    pg_conn_consume(c, len);
    pg_client_begin(p, c);
}

static void look(struct pg_preface_of *of)
{
    struct pg_proxy *p = of->all->proxy;
    struct pg_preface preface;
    enum pg_preface_error error;
    struct pg_slice front;
    int len = -EAGAIN;
    if (pg_conn_front(of->conn, &front)) {
        uint32_t n = front.len < PG_PREFACE_MAX ? (uint32_t)front.len : PG_PREFACE_MAX;
        const uint8_t *bytes = (const uint8_t *)front.at;
        len = pg_proxyproto_read(bytes, n, &preface, &error);
        if (len == -EAGAIN && n < pg_conn_unread(of->conn)) {
            _Static_assert(sizeof(p->out) >= PG_PREFACE_MAX, "the scratch holds any preface");
            n = pg_conn_peek(of->conn, 0, p->out, PG_PREFACE_MAX);
            len = pg_proxyproto_read((const uint8_t *)p->out, n, &preface, &error);
        }
    }
    if (len > 0) {
        complete(of, &preface, (uint32_t)len);
    } else if (len != -EAGAIN) {
        refuse(of, error);
    } else if (pg_conn_end_seen(of->conn) && pg_conn_unread(of->conn) == 0) {
        pg_conn_close(of->conn); /* looked whether we are there, and said nothing */
        of->conn = NULL;
        forget(of);
    } else if (pg_conn_end_seen(of->conn)) {
        refuse(of, PG_PREFACE_ERROR_CUT);
    }
}

/* ---- events ---- */

static void on_nothing(void *owner, struct pg_conn *c)
{
    (void)owner;
    (void)c;
}

static void on_readable(void *owner, struct pg_conn *c)
{
    (void)c;
    look(owner);
}

static void on_closed(void *owner, struct pg_conn *c, int error)
{
    struct pg_preface_of *of = owner;
    (void)c;
    (void)error;
    of->conn = NULL;
    forget(of);
}

static const struct pg_conn_events events = {on_nothing, on_readable, on_nothing, on_closed};

void pg_preface_begin(struct pg_prefaces *all, struct pg_conn *c)
{
    struct pg_proxy *p = all->proxy;
    uint32_t index = p->draining ? PG_POOL_NONE : pg_pool_get(all->pool);
    if (index == PG_POOL_NONE) {
        pg_conn_abort(c);
        return;
    }
    struct pg_preface_of *of = pg_pool_at(all->pool, index);
    of->timer.owner = PG_TIMER_OF_PREFACE;
    of->all = all;
    of->conn = c;
    of->tuple = ends_of(c);
    if (!pg_preface_allowed(&p->routes->preface, &of->tuple.src)) {
        end(of, "not in allowedSources", true);
        return;
    }
    pg_conn_own(c, &events, of);
    of->deadline_ms = pg_proxy_now_ms(p) + p->routes->preface.settings->timeout_ms;
    pg_wheel_arm(p->wheel, &of->timer.timer, of->deadline_ms);
    look(of);
}

void pg_preface_timeout(struct pg_owned_timer *timer)
{
    struct pg_preface_of *of = (struct pg_preface_of *)(void *)timer;
    if (of->conn)
        refuse(of, PG_PREFACE_ERROR_LATE);
    else if (of->refs == 0)
        forget(of); /* the handshake behind it came to nothing */
}

/* ---- for who serves the connection ---- */

struct pg_preface_of *pg_preface_get(struct pg_prefaces *all, const struct pg_conn *c)
{
    if (pg_table_count(all->by_tuple) == 0)
        return NULL; /* the common case costs nothing */
    struct pg_tuple t = ends_of(c);
    uint32_t hash = (uint32_t)pg_hash_tuple(&all->proxy->key, &t);
    uint32_t index = pg_table_find(all->by_tuple, hash, &t);
    if (index == PG_TABLE_NONE)
        return NULL;
    struct pg_preface_of *of = pg_pool_at(all->pool, index);
    of->refs++;
    pg_wheel_cancel(all->proxy->wheel, &of->timer.timer);
    return of;
}

void pg_preface_put(struct pg_preface_of *of)
{
    if (of && --of->refs == 0)
        forget(of);
}

const struct pg_preface *pg_preface_read(const struct pg_preface_of *of)
{
    return of ? &of->preface : NULL;
}
