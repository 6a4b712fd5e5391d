/* A million requests that are nearly right, through real sessions: whatever the ingress accepts, a strict pod reads as exactly one
 * request, and whatever it refuses, none.
 *
 * TCP is left out (`fake_conn.h`), so a million takes seconds. Each mutant goes alone or behind other mutants on one connection, whole or cut in two at
 * any place, with a good request behind it. PODGLASS_MUTANTS=N and PODGLASS_SEED=N try others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fake_conn.h"
#include "http_mutate.h"
#include "proxy_internal.h"
#include "strict_reader.h"

#include <stdio.h>

#define MUTANTS 1000000

static const char manifests[] =
    "apiVersion: podglass/v1alpha1\nkind: Lab\nspec: {serviceCIDRs: [10.96.0.0/16]}\n"
    "---\napiVersion: v1\nkind: Service\nmetadata: {name: web}\n"
    "spec: {clusterIP: 10.96.1.10, selector: {app: web}, ports: [{port: 80}]}\n"
    "---\napiVersion: v1\nkind: Pod\nmetadata: {name: web-1, labels: {app: web}}\n"
    "spec: {containers: [{name: c}]}\n"
    "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: all}\n"
    "spec: {defaultBackend: {service: {name: web, port: {number: 80}}}}\n";

static struct world {
    struct pg_counters counters;
    struct pg_random random;
    struct pg_trace *trace;
    struct pg_snapshot *snapshot;
    struct pg_zone *zone;
    struct pg_proxy *proxy;
    struct pg_conn *client;
    struct strict_reader readers[FAKE_CONNS]; /* of the pod's end of that connection */
    uint64_t read;                            /* requests that pods have read */
    uint64_t answered;                        /* of them, answers that clients got */
    uint64_t refused;                         /* answers of the ingress */
    uint64_t first_body;                      /* of the first request of the mutant in hand */
    bool any_read;                            /* it is known */
    uint64_t now_us;
} w;

static int set_up(void **state)
{
    static const struct pg_proxy_options options = {.session_limit = 16};
    struct pg_manifest_input input = {"all.yaml", manifests, sizeof(manifests) - 1};
    struct pg_load_options load = {0};
    struct pg_findings findings;
    (void)state;
    pg_random_seed(&w.random, 1);
    w.now_us = 1000000;
    assert_int_equal(pg_snapshot_load(&input, 1, &load, &w.snapshot, &findings), 0);
    pg_findings_free(&findings);
    struct pg_hash_key key = pg_random_key(&w.random);
    w.zone = pg_zone_new(w.snapshot, &key);
    w.trace = pg_trace_new(16);
    w.proxy = pg_proxy_new(&options, NULL, &w.counters, w.trace, &w.random, w.now_us);
    pg_proxy_load(w.proxy, w.snapshot, w.zone);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pg_proxy_free(w.proxy);
    pg_trace_free(w.trace);
    pg_zone_free(w.zone);
    pg_snapshot_put(w.snapshot);
    pg_reason_forget_all();
    for (unsigned i = 0; i < FAKE_CONNS; i++)
        strict_free(&w.readers[i]);
    return 0;
}

/* ---- the two ends ---- */

static void fail_with(const char *what, const struct mutant *m)
{
    fprintf(stderr, "%s:\n", what);
    for (size_t i = 0; i < m->len; i++) {
        unsigned char c = (unsigned char)m->bytes[i];
        fprintf(stderr, c >= 0x20 && c < 0x7f ? "%c" : c == '\n' ? "\\n\n" : "\\x%02x", c);
    }
    fail_msg("%s", what);
}

/* Counts answers: ours carry a flow, those of the pod say so. */
static void client_reads(struct pg_conn *c)
{
    size_t at = 0;
    while (at < c->out_len) {
        const char *next = memmem(c->out + at, c->out_len - at, "HTTP/1.1 ", 9);
        if (!next)
            break;
        at = (size_t)(next - c->out) + 9;
        if (memcmp(next + 9, "100", 3) == 0)
            continue;
        if (memcmp(next + 9, "299", 3) == 0)
            w.answered++;
        else
            w.refused++;
    }
    c->out_len = 0;
}

static void pod_reads(struct pg_conn *c, const struct mutant *m)
{
    static const char answer[] = "HTTP/1.1 299 Pod\r\nContent-Length: 0\r\n\r\n";
    struct strict_reader *r = &w.readers[c - fake_conns];
    unsigned before = r->requests;
    strict_feed(r, c->out, c->out_len);
    c->out_len = 0;
    if (r->wrong)
        fail_with(r->wrong, m);
    w.read += r->requests - before;
    if (r->requests > before && !w.any_read) {
        w.first_body = r->body_bytes;
        w.any_read = true;
    }
    if (r->requests > before + 1)
        fail_with("two requests at once", m);
    if (r->requests > before) {
        fake_receive(c, answer, sizeof(answer) - 1);
        c->events->on_readable(c->owner, c);
    }
}

/* Whether something happened at c. */
static bool turn(struct pg_conn *c, const struct mutant *m)
{
    if (!c->used)
        return false;
    if (c->gone || c->closed) {
        if (c != w.client)
            strict_free(&w.readers[c - fake_conns]);
        else
            client_reads(c);
        c->used = false;
        return true;
    }
    if (c == w.client) {
        bool any = c->out_len > 0 || (c->shut && !c->ended);
        client_reads(c);
        if (c->shut && !c->ended) {
            c->ended = true;
            c->events->on_readable(c->owner, c);
        }
        return any;
    }
    if (!c->open) {
        c->open = true;
        c->events->on_open(c->owner, c);
        return true;
    }
    if (c->out_len == 0)
        return false;
    pod_reads(c, m);
    return true;
}

static void settle(const struct mutant *m)
{
    for (bool any = true; any;) {
        any = false;
        for (unsigned i = 0; i < FAKE_CONNS; i++)
            any = turn(&fake_conns[i], m) || any;
    }
}

/* The first request of m is right and all there: its body's length. Else -1. */
static int64_t whole_body(const struct mutant *m)
{
    static struct pg_http_head head;
    struct pg_http_scan scan = {0};
    struct pg_http_chunks chunks = {0};
    enum pg_http_error error;
    uint64_t data_at, data, body = 0;
    if (pg_http_parse(PG_HTTP_REQUEST, &scan, m->bytes, (uint32_t)m->len, &head, &error) != 0)
        return -1;
    if (head.body != PG_HTTP_BODY_CHUNKED)
        return head.content_length <= m->len - head.head_len ? (int64_t)head.content_length : -1;
    for (size_t at = head.head_len; !chunks.done; body += data) {
        int64_t used =
            pg_http_chunks_next(&chunks, m->bytes + at, m->len - at, &data_at, &data, &error);
        if (used <= 0)
            return -1;
        at += (size_t)used;
    }
    return (int64_t)body;
}

static void send(const struct mutant *m, uint64_t cut)
{
    static const char after[] =
        "GET /after HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n";
    const struct pg_listener *l = pg_proxy_listener(w.proxy);
    uint64_t read = w.read, answered = w.answered;
    struct pg_conn *c = w.client = fake_new();
    w.any_read = false;
    c->open = true;
    c->local = pg_addr_v4(192, 0, 2, 1);
    c->peer = pg_addr_v4(198, 51, 100, 7);
    c->local_port = 80;
    c->peer_port = 40000;
    fake_receive(c, m->bytes, cut);
    l->on_accept(l->arg, c);
    settle(m);
    if (c->used) {
        fake_receive(c, m->bytes + cut, m->len - cut);
        fake_receive(c, after, sizeof(after) - 1);
        c->events->on_readable(c->owner, c);
        settle(m);
    }
    if (c->used) { /* it waits for more */
        c->ended = true;
        c->events->on_readable(c->owner, c);
        settle(m);
    }
    if (c->used) {
        c->used = false;
        c->events->on_closed(c->owner, c, -ECONNRESET);
        settle(m);
    }
    int64_t body = whole_body(m);
    if (body >= 0 && (w.read == read || w.first_body != (uint64_t)body))
        fail_with("an accepted request did not arrive as it was sent", m);
    if (w.read - read != w.answered - answered)
        fail_with("a request that was read has no answer, or an answer no request", m);
}

/* ---- the test ---- */

static uint64_t number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

static void pods_read_exactly_what_was_accepted(void **state)
{
    uint64_t count = number("PODGLASS_MUTANTS", MUTANTS), dice = number("PODGLASS_SEED", 1);
    struct mutant m;
    (void)state;
    for (uint64_t i = 0; i < count; i++) {
        mutant_make(&dice, &m);
        send(&m, mutant_dice(&dice, 4) ? m.len : mutant_dice(&dice, m.len + 1));
        pg_proxy_advance(w.proxy, w.now_us += 10);
    }
    print_message("%llu mutants: %llu requests read, %llu refused\n", (unsigned long long)count,
                  (unsigned long long)w.read, (unsigned long long)w.refused);
    assert_int_equal(w.read, w.answered);
    /* Mutants must be worth their while: many accepted, many refused. */
    assert_true(w.read > count / 2 && w.refused > count / 4);
    assert_int_equal(pg_proxy_session_count(w.proxy), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pods_read_exactly_what_was_accepted),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
