/* The ingress between lab clients and pods, all on one stack in virtual time, without NAT: the service addresses answer themselves.
 *
 *   client 198.51.100.7 --> 192.0.2.1:80 ingress --> 10.96.1.10:8080 web      an echo pod
 *                                                    10.96.1.20:8080 script   answers what the test says
 *                                                    10.96.1.30:8080 reset    accepts and resets
 *                                                    10.96.1.40:8080 empty    has no endpoint (never reached) */
#ifndef PODGLASS_TEST_PROXY_WORLD_H
#define PODGLASS_TEST_PROXY_WORLD_H

#include "stack_world.h"

#include "podglass/lab.h"
#include "podglass/log.h"
#include "podglass/proxy.h"

#include <string.h>

#define PW_SERVICE(name, ip)                                                            \
    "---\napiVersion: v1\nkind: Service\nmetadata: {namespace: shop, name: " name "}\n" \
    "spec: {clusterIP: " ip ", selector: {app: " name "}, ports: [{name: http, port: 8080}]}\n"
#define PW_DEPLOYMENT(name)                                                                     \
    "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {namespace: shop, name: " name "}\n" \
    "spec:\n  replicas: 1\n  selector: {matchLabels: {app: " name "}}\n"                        \
    "  template:\n    metadata: {labels: {app: " name "}}\n"                                    \
    "    spec: {containers: [{name: c, ports: [{containerPort: 8080}]}]}\n"
#define PW_PATH(path, service)                                                      \
    "      - {path: " path ", pathType: Prefix, backend: {service: {name: " service \
    ", port: {number: 8080}}}}\n"

static const char pw_manifests[] =
    "apiVersion: podglass/v1alpha1\nkind: Lab\nspec:\n"
    "  podCIDRs: [10.244.0.0/16]\n  serviceCIDRs: [10.96.0.0/16]\n"
    "  ingress: {service: shop/web, trustedProxies: [203.0.113.0/24]}\n" PW_SERVICE(
        "web", "10.96.1.10") PW_DEPLOYMENT("web") PW_SERVICE("script", "10.96.1.20")
        PW_DEPLOYMENT("script") PW_SERVICE("reset", "10.96.1.30") PW_DEPLOYMENT("reset") PW_SERVICE(
            "empty",
            "10.96.1.40") "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: "
                          "{namespace: shop, name: shop}\n"
                          "spec:\n  rules:\n  - host: shop.test\n    http:\n      paths:\n" PW_PATH(
                              "/", "web") PW_PATH("/script", "script") PW_PATH("/reset", "reset")
                              PW_PATH("/empty", "empty") PW_PATH("/gone", "gone");

/* The pod that a test scripts: one answer per connection or request, in order. */
struct script {
    const char
        *answers[8]; /* sent when a request head came; NULL: no answer; "" closes; "!" resets */
    uint32_t next;
    uint32_t accepted;
    struct pg_conn *conn;
    struct pg_text got; /* all that came, on all connections */
    bool closed;
};

struct proxy_world {
    struct stack_world w;
    struct pg_snapshot *snapshot;
    struct pg_zone *zone;
    struct pg_proxy *proxy;
    struct pg_echo *echo;
    struct pg_lab_clients *clients;
    struct script script;
};

static void script_write(struct script *s)
{
    const char *answer = s->answers[s->next];
    if (!answer || !s->conn)
        return;
    s->next++;
    if (strcmp(answer, "!") == 0) {
        pg_conn_abort(s->conn);
        s->conn = NULL;
    } else if (answer[0] == 0) {
        pg_conn_close(s->conn);
        s->conn = NULL;
    } else {
        assert_int_equal(pg_conn_write(s->conn, answer, (uint32_t)strlen(answer)), 0);
    }
}

static void script_readable(void *owner, struct pg_conn *c)
{
    struct script *s = owner;
    struct pg_slice front;
    bool any = false;
    while (pg_conn_front(c, &front)) {
        pg_text_add(&s->got, front.at, front.len);
        pg_conn_consume(c, front.len);
        any = true;
    }
    if (any)
        script_write(s);
    if (s->conn == c && pg_conn_at_end(c)) {
        pg_conn_close(c);
        s->conn = NULL;
        s->closed = true;
    }
}

static void script_closed(void *owner, struct pg_conn *c, int error)
{
    struct script *s = owner;
    (void)error;
    if (s->conn == c)
        s->conn = NULL;
    s->closed = true;
}

static const struct pg_conn_events script_events = {NULL, script_readable, NULL, script_closed};

static void pw_accept(void *arg, struct pg_conn *c)
{
    struct proxy_world *pw = arg;
    uint16_t port;
    struct pg_addr local = pg_conn_local(c, &port);
    if (local.bytes[15] == 10) {
        const struct pg_listener *l = pg_echo_listener(pw->echo);
        l->on_accept(l->arg, c);
    } else if (local.bytes[15] == 20) {
        pw->script.conn = c;
        pw->script.accepted++;
        pg_conn_own(c, &script_events, &pw->script);
    } else {
        pg_conn_abort(c);
    }
}

/* What pw_open lays over the manifests, as --set does; the last is NULL. */
static const char *pw_sets[8];

static void pw_open(struct proxy_world *pw, const struct pg_proxy_options *options,
                    const struct pg_stack_options *stack_options)
{
    static const struct pg_proxy_options defaults;
    struct pg_manifest_input input = {"shop.yaml", pw_manifests, sizeof(pw_manifests) - 1};
    struct pg_load_options load = {.sets = pw_sets};
    while (pw_sets[load.set_count])
        load.set_count++;
    struct pg_findings findings;
    memset(pw, 0, sizeof(*pw));
    world_open(&pw->w, stack_options);
    int err = pg_snapshot_load(&input, 1, &load, &pw->snapshot, &findings);
    for (uint32_t i = 0; err != 0 && i < findings.count; i++) {
        struct pg_text line = {0};
        pg_finding_print(&findings.at[i], &line);
        print_message("%s\n", line.at);
        pg_text_free(&line);
    }
    assert_int_equal(err, 0);
    pg_findings_free(&findings);
    struct pg_hash_key key = pg_random_key(&pw->w.random);
    pw->zone = pg_zone_new(pw->snapshot, &key);
    pw->proxy = pg_proxy_new(options ? options : &defaults, pw->w.stack, &pw->w.counters,
                             pw->w.trace, &pw->w.random, pw->w.now_us);
    pg_proxy_load(pw->proxy, pw->snapshot, pw->zone);
    pw->echo = pg_echo_new(pw->w.stack, pw->w.now_us);
    pg_echo_load(pw->echo, pw->snapshot);
    pw->clients = pg_lab_clients_new(pw->w.stack, pw->w.trace, pw->w.now_us);
    pw->w.listener = *pg_proxy_listener(pw->proxy);
    pw->w.upstream = (struct pg_listener){pw_accept, pw};
}

__attribute__((unused)) static void pw_close(struct proxy_world *pw)
{
    pg_lab_clients_free(pw->clients);
    pg_echo_free(pw->echo);
    pg_proxy_free(pw->proxy);
    pg_zone_free(pw->zone);
    pg_snapshot_put(pw->snapshot);
    pg_text_free(&pw->script.got);
    if (pw->script.conn)
        pg_conn_abort(pw->script.conn);
    world_close(&pw->w);
    pg_reason_forget_all();
}

/* Time for everybody, a millisecond at a time. */
static void pw_run(struct proxy_world *pw, uint64_t ms)
{
    for (uint64_t i = 0; i < ms; i++) {
        world_run(&pw->w, 1000);
        pg_proxy_advance(pw->proxy, pw->w.now_us);
        pg_echo_advance(pw->echo, pw->w.now_us);
        pg_lab_clients_advance(pw->clients, pw->w.now_us);
    }
}

/* ---- asking ---- */

struct asked {
    struct pg_response response;
    bool done;
};

static void pw_on_done(void *arg, struct pg_response *response)
{
    struct asked *a = arg;
    assert_false(a->done);
    a->response = *response;
    a->done = true;
}

__attribute__((unused)) static void pw_start(struct proxy_world *pw, struct asked *a,
                                             const char *from, const char *bytes, size_t len,
                                             bool raw)
{
    struct pg_request request = {.to = pg_addr_v4(192, 0, 2, 1),
                                 .to_port = 80,
                                 .bytes = bytes,
                                 .len = (uint32_t)len,
                                 .is_head = strncmp(bytes, "HEAD ", 5) == 0,
                                 .raw = raw};
    assert_int_equal(pg_addr_parse(from, strlen(from), &request.from), 0);
    *a = (struct asked){0};
    assert_int_equal(pg_lab_request(pw->clients, &request, pw_on_done, a), 0);
}

__attribute__((unused)) static void pw_finish(struct proxy_world *pw, struct asked *a, uint64_t ms)
{
    for (uint64_t i = 0; i < ms && !a->done; i++)
        pw_run(pw, 1);
}

/* One request from the usual client; the answer is the caller's to free. */
__attribute__((unused)) static struct pg_response pw_ask(struct proxy_world *pw, const char *bytes)
{
    struct asked a;
    pw_start(pw, &a, "198.51.100.7", bytes, strlen(bytes), false);
    pw_finish(pw, &a, 40000);
    assert_true(a.done);
    return a.response;
}

/* Asks, and holds the answer to a status and, unless NULL, to a text in its body. */
__attribute__((unused)) static void pw_expect(struct proxy_world *pw, const char *bytes,
                                              uint16_t status, const char *in_body)
{
    struct pg_response r = pw_ask(pw, bytes);
    if (r.error != 0 || r.status != status)
        fail_msg("%.60s: error %d status %u", bytes, r.error, r.status);
    if (in_body && !strstr(r.body.at, in_body))
        fail_msg("%.60s: no %s in %s", bytes, in_body, r.body.at);
    pg_response_free(&r);
}

/* Everything the ingress sends back on one connection until it closes. */
__attribute__((unused)) static struct pg_response pw_ask_raw(struct proxy_world *pw,
                                                             const char *bytes, size_t len)
{
    struct asked a;
    pw_start(pw, &a, "198.51.100.7", bytes, len, true);
    pw_finish(pw, &a, 40000);
    assert_true(a.done);
    return a.response;
}

#endif
