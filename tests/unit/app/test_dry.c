/* The dry run against the path itself: random small clusters, random requests, real TCP on the in-process wire; and the same requests dry.
 *
 * The path draws its own numbers. So all outcomes of the dry run are listed, and the path's must be one of them: the same records (stage, kind,
 * field, name, addresses, reason, node), the same end, and what the pod says it saw. Ports that are drawn do not count. */
#include "podglass/dgram.h"
#include "podglass/dry.h"
#include "podglass/http.h"
#include "podglass/link.h"
#include "podglass/packet.h"
#include "podglass/sim.h"
#include "packet_pieces.h"
#include "random_cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLUSTERS     800
#define WIDE         300
#define REQUESTS     8
#define RECORDS_MOST 64

/* ---- a request ---- */

struct asked {
    struct pg_addr from;
    struct pg_addr to;
    uint16_t port;
    uint8_t proto;
    bool v6;
    char preface[64];
    char head[512];
};

static struct pg_addr draw_from(struct pg_random *r, const struct pg_snapshot *s,
                                const struct asked *a)
{
    uint32_t kind = pg_random_below(r, 10);

    if (a->proto == PG_PROTO_UDP || (a->v6 && kind < 5)) { /* by the wire, from outside */
        struct pg_addr from = pg_addr_v4(198, 51, 100, (uint8_t)(100 + pg_random_below(r, 100)));
        if (a->v6) {
            pg_addr_parse("2001:db8:99::7", 14, &from);
        }
        return from;
    }
    if (kind < 5) {
        return s->clients[pg_random_below(r, s->client_count)].addr;
    }
    if (kind < 8) {
        const struct pg_pod *pod = &s->pods[pg_random_below(r, s->pod_count)];
        if (pod->backing == PG_BACKING_ECHO && !pod->host_network) {
            return pod->addr[a->v6];
        }
    }
    if (kind == 8) {
        return s->nodes[pg_random_below(r, s->node_count)].addr[a->v6];
    }
    if (a->v6) {
        return s->nodes[0].addr[1];
    }
    return pg_addr_v4(198, 51, 100, (uint8_t)(100 + pg_random_below(r, 100)));
}

/* A balancer's address of the family; none: it has none. */
static struct pg_addr lb_of(const struct pg_snapshot *s, const struct pg_service *v, bool v6)
{
    for (uint32_t i = v->lb_first; i < v->lb_first + v->lb_count; i++) {
        if (pg_addr_is_v4(&s->lb_ips[i].addr) != v6) {
            return s->lb_ips[i].addr;
        }
    }
    return (struct pg_addr){0};
}

static void draw_to(struct pg_random *r, const struct pg_snapshot *s, struct asked *a)
{
    const struct pg_service *v =
        &s->services[pg_chance(r, 50) && s->lab.ingress_service < s->service_count
                         ? s->lab.ingress_service
                         : pg_random_below(r, s->service_count)];
    const struct pg_service_port *p =
        &s->service_ports[v->port_first + pg_random_below(r, v->port_count)];
    uint32_t kind = pg_random_below(r, 12);

    for (uint32_t i = 0; i < v->port_count && a->proto == PG_PROTO_UDP; i++) {
        if (s->service_ports[v->port_first + i].proto == PG_PROTO_UDP) {
            p = &s->service_ports[v->port_first + i];
        }
    }
    a->port = p->port;
    a->to = v->cluster_ip[a->v6];
    if (kind < 5 && v->lb_count) {
        a->to = lb_of(s, v, a->v6);
    } else if (kind < 8 && p->node_port) {
        a->to = s->nodes[pg_random_below(r, s->node_count)].addr[a->v6];
        a->port = p->node_port;
    } else if (kind == 8 && v->external_count && !a->v6) {
        a->to = s->external_ips[v->external_first];
    } else if (kind == 9 && !a->v6) {
        a->to = pg_addr_v4(10, 96, 77, 77); /* nobody's */
    } else if (kind == 10) {
        a->port = 82;
    }
    if (kind == 11 || pg_addr_is_none(&a->to)) { /* a headless service has none */
        a->to = s->pods[pg_random_below(r, s->pod_count)].addr[a->v6];
        a->port = (uint16_t)(pg_chance(r, 80) ? 8080 : 9999);
    }
}

static void draw_request(struct pg_random *r, const struct pg_snapshot *s, struct asked *a)
{
    a->from = draw_from(r, s, a);
    draw_to(r, s, a);
    bool demanded = s->lab.ingress.proxy.port_count > 0;
    snprintf(a->preface, sizeof a->preface, "%s",
             !pg_chance(r, demanded ? 90 : 3)
                 ? ""
                 : PG_ONE_OF(r, "", "PROXY TCP4 203.0.113.7 203.0.113.80 4711 443\r\n",
                             "PROXY TCP4 10.244.1.9 203.0.113.80 4711 80\r\n",
                             "PROXY UNKNOWN x\r\n"));
    snprintf(a->head, sizeof a->head, "%s %s HTTP/1.%s\r\n%s%s%s%s%sConnection: close\r\n\r\n",
             PG_ONE_OF(r, "GET", "GET", "GET", "DELETE"),
             PG_ONE_OF(r, "/", "/x", "/x/y?q=1", "/z/../x", "/other", "http://a.example.test/x"),
             pg_chance(r, 95) ? "1" : "0",
             PG_ONE_OF(r, "Host: a.example.test\r\n", "Host: a.example.test\r\n",
                       "Host: B.example.test:80\r\n", "Host: c.example.test\r\n",
                       "Host: nobody\r\n", ""),
             pg_chance(r, 30) ? "X-Forwarded-For: 203.0.113.7, 10.244.1.9\r\n" : "",
             pg_chance(r, 10) ? "X-Forwarded-For: junk\r\n" : "",
             pg_chance(r, 15) ? "X-Real-IP: 203.0.113.8\r\n" : "",
             pg_chance(r, 10) ? "X_Forwarded_For: 1.2.3.4\r\nTE: trailers\r\n" : "");
}

/* ---- records as lines ---- */

struct lines {
    char *at[RECORDS_MOST];
    uint32_t count;
};

static void lines_free(struct lines *l)
{
    for (uint32_t i = 0; i < l->count; i++) {
        free(l->at[i]);
    }
    l->count = 0;
}

static void put_value(const struct pg_value *v, bool port, struct pg_text *out)
{
    char text[PG_ADDR_TEXT];

    if (v->is_text) {
        pg_text_add(out, v->text, v->len);
        return;
    }
    pg_text_puts(out, pg_addr_is_none(&v->addr) ? "-" : pg_addr_print(&v->addr, text));
    if (port) {
        pg_text_printf(out, ":%u", v->port);
    }
}

static void put_record(const struct pg_record *r, struct pg_text *out)
{
    bool port = r->field == PG_FIELD_DST;
    bool drawn = strcmp(r->name, "X-Request-ID") == 0 || r->field == PG_FIELD_PROXY;
    char why[256];

    pg_text_printf(out, "%s kind %u field %s %.46s | ", pg_stage_name((enum pg_stage)r->stage),
                   r->kind, pg_field_name((enum pg_field)r->field), r->name);
    put_value(&r->before, port, out);
    pg_text_puts(out, " => ");
    if (!drawn) {
        put_value(&r->after, port, out);
    }
    pg_text_printf(out, " | %s %s node %u", pg_code_name(pg_reason_get(r->reason)->code),
                   pg_reason_print(r->reason, why, sizeof why), r->node);
}

/* A drop is told again with each SYN that is sent again, and once more where it is counted. */
static bool is_echo_of_drop(const struct lines *l, const struct pg_record *r, const char *line)
{
    if (r->kind != PG_RECORD_DROP) {
        return false;
    }
    if (r->stage == PG_STAGE_FORWARD && strcmp(r->name, "rejected") == 0) {
        return true;
    }
    if (l->count > 0 && strstr(l->at[l->count - 1], "pp-denied")) {
        return true; /* what was under way when the connection was reset */
    }
    for (uint32_t i = 0; i < l->count; i++) {
        if (strcmp(l->at[i], line) == 0) {
            return true;
        }
    }
    return false;
}

static void collect(const struct pg_trace *t, uint64_t from, uint32_t label, struct lines *ret)
{
    struct pg_record r;
    struct pg_text line = {0};
    uint64_t missed;

    while (pg_trace_read(t, &from, &r, &missed)) {
        if ((label != 0 && r.label != label) || r.direction != 0 || strcmp(r.name, "syn") == 0 ||
            strcmp(r.name, "body") == 0) { /* no say in bytes */
            continue;
        }
        pg_text_clear(&line);
        put_record(&r, &line);
        if (ret->count < RECORDS_MOST && !is_echo_of_drop(ret, &r, line.at)) {
            ret->at[ret->count++] = strdup(line.at);
        }
    }
    pg_text_free(&line);
}

static bool lines_same(const struct lines *a, const struct lines *b)
{
    for (uint32_t i = 0; i < a->count && i < b->count; i++) {
        if (strcmp(a->at[i], b->at[i]) != 0) {
            return false;
        }
    }
    return a->count == b->count;
}

static void print_lines(const char *title, const struct lines *l)
{
    print_message("%s\n", title);
    for (uint32_t i = 0; i < l->count; i++) {
        print_message("    %s\n", l->at[i]);
    }
}

/* ---- both, compared ---- */

static const char *text_of(const json_t *said, const char *key)
{
    const char *text = json_string_value(json_object_get(said, key));

    return text ? text : "";
}

/* All values of a field of the pod's answer. */
static void header_of(const json_t *said, const char *name, struct pg_text *out)
{
    size_t i;
    json_t *field;

    pg_text_puts(out, "");
    json_array_foreach(json_object_get(said, "headers"), i, field)
    {
        if (strcasecmp(json_string_value(json_array_get(field, 0)), name) == 0) {
            pg_text_printf(out, "%s%s", out->len ? ", " : "",
                           json_string_value(json_array_get(field, 1)));
        }
    }
}

static bool pod_agrees(const struct pg_snapshot *s, const struct pg_dry_result *dry,
                       const struct pg_response *got)
{
    json_t *said = got->body.at ? json_loads(got->body.at, 0, NULL) : NULL;
    char peer[PG_ADDR_TEXT];
    char pod[600];
    struct pg_text xff = {0};

    header_of(said, "X-Forwarded-For", &xff);
    if (dry->pod >= s->pod_count) {
        json_decref(said);
        pg_text_free(&xff);
        return false;
    }
    snprintf(pod, sizeof pod, "%s/%s", s->pods[dry->pod].namespace, s->pods[dry->pod].name);
    bool good =
        strcmp(text_of(said, "peer"), pg_addr_print(&dry->seen.peer, peer)) == 0 &&
        strcmp(text_of(said, "pod"), pod) == 0 && xff.len == dry->seen.xff.len &&
        memcmp(xff.at ? xff.at : "", dry->seen.xff.at ? dry->seen.xff.at : "", xff.len) == 0;

    json_decref(said);
    pg_text_free(&xff);
    return good;
}

static bool end_agrees(const struct pg_snapshot *s, const struct pg_dry_result *dry,
                       const struct pg_response *got)
{
    switch (dry->end) {
    case PG_DRY_POD:
        /* an echo pod that was not reached through the ingress answers bad requests itself */
        return got->error == 0 && (got->status != 200 || pod_agrees(s, dry, got));
    case PG_DRY_REDIRECTED:
    case PG_DRY_REFUSED: return got->error == 0 && got->status == dry->status;
    case PG_DRY_DROPPED: return got->error == -ETIMEDOUT;
    case PG_DRY_REJECTED:
        /* ICMP errors to a built-in client without a flow go to the wire: it waits in vain */
        return got->error == (dry->drop == PG_DROP_NO_ROUTE ? -EHOSTUNREACH : -ECONNREFUSED) ||
               got->error == -ETIMEDOUT;
    case PG_DRY_NO_LISTENER: return got->error == -ECONNREFUSED;
    case PG_DRY_RESET: return got->error == -ECONNRESET;
    case PG_DRY_WIRE: return got->error == -ETIMEDOUT; /* nobody is on this wire */
    default: return false;
    }
}

/* One outcome of the dry run; draw goes on to the next. false: there are no more. */
static bool next_draw(const struct pg_dry_result *result, uint64_t draw[PG_DRY_CHOICES])
{
    int digit = PG_DRY_CHOICES - 1;

    while (digit >= 0 && draw[digit] + 1 >= result->of[digit]) {
        draw[digit--] = 0;
    }
    if (digit >= 0) {
        draw[digit]++;
    }
    return digit >= 0;
}

/* How often each end was met: a generator that only makes drops proves nothing. */
static uint32_t met[2][PG_DRY_END_COUNT]; /* [1]: behind the ingress */
static uint32_t met_masqueraded, met_carried, cases, clashes, datagrams, in_pieces, v6_cases;

static void count_case(const struct pg_dry_result *result)
{
    cases++;
    met[result->leg_count == 2][result->end]++;
    met_masqueraded += result->leg[0].masquerade;
    met_carried += result->has_verdict && result->verdict == PG_VERDICT_CARRIED;
}

static bool find_outcome(struct pg_dry *dry, const struct asked *a, const struct lines *path,
                         const struct pg_response *got, bool say)
{
    struct pg_dry_request request = {.from = a->from,
                                     .to = a->to,
                                     .to_port = a->port,
                                     .proto = a->proto,
                                     .wire = a->proto == PG_PROTO_UDP,
                                     .head = a->proto == PG_PROTO_UDP ? (struct pg_slice){0}
                                                                      : pg_slice_of(a->head),
                                     .preface = pg_slice_of(a->preface)};
    uint64_t draw[PG_DRY_CHOICES] = {0};
    struct pg_dry_result result;
    bool found = false;
    bool more = true;

    for (uint32_t runs = 0; more && !found && runs < 5000; runs++) {
        struct pg_trace *t = pg_trace_new(128);
        struct lines lines = {0};
        pg_trace_set_level(t, PG_TRACE_FLOWS);
        pg_dry_run(dry, &request, draw, t, &result);
        collect(t, 1, 1, &lines);
        bool end = got == NULL || end_agrees(pg_dry_snapshot(dry), &result, got);
        found = end && lines_same(&lines, path);
        if (say) {
            print_message("  ends %s: %s\n", pg_dry_end_name(result.end), end ? "agrees" : "NOT");
            print_lines("  dry:", &lines);
        }
        if (found) {
            count_case(&result);
        }
        lines_free(&lines);
        pg_trace_free(t);
        more = next_draw(&result, draw);
    }
    return found;
}

/* A client's port may be one that another flow to the same endpoint has: then NAT changes it, as nobody can foresee. */
static bool has_clash(const struct lines *l)
{
    for (uint32_t i = 0; i < l->count; i++) {
        if (strstr(l->at[i], pg_code_name(PG_CODE_PORT_CLASH))) {
            return true;
        }
    }
    return false;
}

static void blame(struct pg_dry *dry, const struct asked *a, const struct lines *path,
                  const struct pg_response *got, const struct pg_text *yaml)
{
    char text[PG_ADDR_TEXT], to[PG_ENDPOINT_TEXT];

    fputs(yaml->at, stderr);
    print_message("\n%s from %s to %s\n%s\n", pg_proto_name(a->proto),
                  pg_addr_print(&a->from, text), pg_endpoint_print(&a->to, a->port, to), a->head);
    if (got) {
        print_message("got error %d status %u\n%s\n", got->error, got->status,
                      got->body.at ? got->body.at : "");
    }
    print_lines("path:", path);
    find_outcome(dry, a, path, got, true);
    fail_msg("the path did what the dry run does not know");
}

/* A large datagram comes in pieces, in whatever order: the path puts them together before it decides. */
static void inject_pieces(struct pg_sim *sim, struct pg_random *r, const struct pg_tuple *t)
{
    static struct pg_pieces all;
    pg_make_pieces(&all, t, 1600 + pg_random_below(r, 1400), 1280 + pg_random_below(r, 200),
                   1 + pg_random_below(r, 60000));
    uint32_t first = pg_random_below(r, all.count);
    assert_true(all.count > 1);
    for (uint32_t i = 0; i < all.count; i++) {
        uint32_t k = (first + i) % all.count;
        assert_int_equal(pg_wire_inject(sim->wire, all.bytes[k], all.lens[k]), 0);
    }
    in_pieces++;
}

/* A datagram of somebody outside: what becomes of it is what the records say, nobody answers. */
static void compare_datagram(struct pg_sim *sim, struct pg_dry *dry, const struct asked *a,
                             uint16_t from_port, struct pg_random *r, const struct pg_text *yaml)
{
    struct pg_trace *trace = pg_path_trace(sim->path);
    uint64_t from = pg_trace_next_seq(trace);
    struct pg_tuple t = {.src = a->from,
                         .dst = a->to,
                         .src_port = from_port,
                         .dst_port = a->port,
                         .proto = PG_PROTO_UDP};
    struct lines path = {0};
    uint8_t bytes[128];
    uint32_t len = pg_dgram_build(&t, "hello", 5, bytes, sizeof bytes);

    assert_true(len > 0);
    if (pg_chance(r, 33)) {
        inject_pieces(sim, r, &t);
    } else {
        assert_int_equal(pg_wire_inject(sim->wire, bytes, len), 0);
    }
    pg_sim_settle(sim);
    collect(trace, from, 0, &path);
    if (!has_clash(&path) && !find_outcome(dry, a, &path, NULL, false)) {
        blame(dry, a, &path, NULL, yaml);
    }
    datagrams++;
    lines_free(&path);
    pg_sim_pass(sim, 5000000);
}

static void compare(struct pg_sim *sim, struct pg_dry *dry, const struct asked *a,
                    const struct pg_text *yaml)
{
    struct pg_trace *trace = pg_path_trace(sim->path);
    uint64_t from = pg_trace_next_seq(trace);
    struct pg_response got;
    struct lines path = {0};
    char bytes[sizeof a->preface + sizeof a->head];
    int len = snprintf(bytes, sizeof bytes, "%s%s", a->preface, a->head);
    struct pg_request request = {.from = a->from,
                                 .to = a->to,
                                 .to_port = a->port,
                                 .bytes = bytes,
                                 .len = (uint32_t)len,
                                 .timeout_ms = 8000};

    int error = pg_sim_request(sim, &request, &got);
    if (error != 0) {
        char x[PG_ADDR_TEXT], y[PG_ADDR_TEXT];
        fail_msg("no connection from %s to %s port %u: %s", pg_addr_print(&a->from, x),
                 pg_addr_print(&a->to, y), a->port, strerror(-error));
    }
    collect(trace, from, got.label, &path);
    clashes += has_clash(&path);
    if (!has_clash(&path) && !find_outcome(dry, a, &path, &got, false)) {
        blame(dry, a, &path, &got, yaml);
    }
    lines_free(&path);
    pg_response_free(&got);
    pg_sim_pass(sim, 5000000);
}

static void try_cluster(struct pg_random *r, uint64_t seed, bool wide)
{
    struct pg_text yaml = {0};
    struct pg_snapshot *s = NULL;
    struct pg_findings findings;
    struct pg_load_options load = {.pods = PG_PODS_ECHO};
    struct pg_path_options options = {
        .trace_level = PG_TRACE_FLOWS,
        .trace_records = 4096,
        .conn_limit = 64,
        .buffer_limit = 256,
        .nat = {.flow_limit = 256},
        .proxy = {.session_limit = 32, .connect_timeout_ms = 2000, .upstream_idle_ms = 1}};
    struct pg_sim sim;

    if (wide) {
        pg_put_wide_cluster(r, &yaml);
    } else {
        pg_put_cluster(r, &yaml);
    }
    struct pg_manifest_input input = {.path = "t.yaml", .text = yaml.at, .text_len = yaml.len};
    if (pg_snapshot_load(&input, 1, &load, &s, &findings) != 0) {
        struct pg_text line = {0};
        for (uint32_t i = 0; i < findings.count; i++) {
            pg_finding_print(&findings.at[i], &line);
            pg_text_putc(&line, '\n');
        }
        print_message("%s\n", line.at);
        fail_msg("%s", yaml.at);
    }
    pg_findings_free(&findings);
    assert_int_equal(pg_sim_open(&options, s, seed, &sim), 0);
    struct pg_dry *dry = pg_dry_new(s);
    for (int i = 0; i < REQUESTS; i++) {
        struct asked a = {.proto = wide && pg_chance(r, 40) ? PG_PROTO_UDP : PG_PROTO_TCP,
                          .v6 = wide && pg_chance(r, 60)};
        draw_request(r, s, &a);
        if (pg_addr_equal(&a.from, &a.to) || pg_addr_is_none(&a.from) || pg_addr_is_none(&a.to)) {
            continue;
        }
        v6_cases += a.v6;
        if (a.proto == PG_PROTO_UDP) {
            compare_datagram(&sim, dry, &a, (uint16_t)(20000 + i), r, &yaml);
        } else {
            compare(&sim, dry, &a, &yaml);
        }
    }
    pg_dry_free(dry);
    pg_sim_close(&sim);
    pg_snapshot_put(s);
    pg_text_free(&yaml);
}

static void dry_run_and_path_say_the_same(void **state)
{
    struct pg_random r;

    (void)state;
    for (uint64_t seed = 1; seed <= CLUSTERS; seed++) {
        pg_random_seed(&r, seed);
        try_cluster(&r, seed, false);
    }
    print_message(
        "%u cases: pod %u, pod behind the ingress %u, refused %u, rejected %u, dropped %u, "
        "no listener %u, wire %u; masqueraded %u, carried %u; %u port clashes left out\n",
        cases, met[0][PG_DRY_POD], met[1][PG_DRY_POD],
        met[0][PG_DRY_REFUSED] + met[1][PG_DRY_REFUSED], met[0][PG_DRY_REJECTED],
        met[0][PG_DRY_DROPPED], met[0][PG_DRY_NO_LISTENER], met[0][PG_DRY_WIRE], met_masqueraded,
        met_carried, clashes);
    assert_true(cases > 2000 && clashes < cases / 50);
    assert_true(met[0][PG_DRY_POD] > 100 && met[1][PG_DRY_POD] > 100);
    assert_true(met[0][PG_DRY_REFUSED] > 100 && met[1][PG_DRY_REFUSED] > 0);
    assert_true(met[0][PG_DRY_REJECTED] > 50 && met[0][PG_DRY_DROPPED] > 50);
    assert_true(met_masqueraded > 100 && met_carried > 20);
}

/* IPv6, services of one family or both, and UDP. */
static void both_families_and_datagrams(void **state)
{
    struct pg_random r;

    (void)state;
    cases = v6_cases = datagrams = in_pieces = 0;
    memset(met, 0, sizeof met);
    for (uint64_t seed = 1; seed <= WIDE; seed++) {
        pg_random_seed(&r, 1000000 + seed);
        try_cluster(&r, seed, true);
    }
    print_message("%u cases, %u of IPv6, %u datagrams (%u in pieces): pod %u, behind the ingress "
                  "%u, rejected %u, "
                  "dropped %u, wire %u\n",
                  cases, v6_cases, datagrams, in_pieces, met[0][PG_DRY_POD], met[1][PG_DRY_POD],
                  met[0][PG_DRY_REJECTED], met[0][PG_DRY_DROPPED], met[0][PG_DRY_WIRE]);
    assert_true(v6_cases > 300 && datagrams > 200 && in_pieces > 60 && met[0][PG_DRY_POD] > 50);
    assert_true(met[1][PG_DRY_POD] > 20 && met[0][PG_DRY_REJECTED] > 20);
}

static int tear_down(void **state)
{
    (void)state;
    pg_reason_forget_all();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dry_run_and_path_say_the_same),
        cmocka_unit_test(both_families_and_datagrams),
    };

    return cmocka_run_group_tests(tests, NULL, tear_down);
}
