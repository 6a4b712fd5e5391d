/* tools/predict*.c: lint says whom pods will see; what a dry run brings must be among it, and all that it says must be brought by one.
 *
 * Random clusters under every dialect; random callers call random addresses of services with random draws. That a dry run does what the path
 * does is tests/unit/app/test_dry.c's business. */
#include "dry_tool.h"
#include "random_cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

#define CLUSTERS 300
#define CALLS    200

static struct pg_snapshot *load(const struct pg_text *text)
{
    struct pg_manifest_input input = {
        .path = "random.yaml", .text = text->at, .text_len = text->len};
    struct pg_findings findings;
    struct pg_snapshot *s = NULL;

    if (pg_snapshot_load(&input, 1, NULL, &s, &findings) != 0) {
        struct pg_text line = {0};
        print_message("%s\n", text->at);
        for (uint32_t i = 0; i < findings.count; i++) {
            pg_text_clear(&line);
            pg_finding_print(&findings.at[i], &line);
            print_message("%s\n", line.at);
        }
        pg_text_free(&line);
        fail_msg("does not load");
    }
    pg_findings_free(&findings);
    return s;
}

/* ---- a call ---- */

struct call {
    enum pg_caller caller;
    struct pg_dry_request request;
};

static bool draw_call(struct pg_random *r, const struct pg_snapshot *s, struct call *ret)
{
    const struct pg_service *v = &s->services[pg_random_below(r, s->service_count)];
    const struct pg_service_port *p =
        &s->service_ports[v->port_first + pg_random_below(r, v->port_count)];
    uint32_t door = pg_random_below(r, 4);

    *ret = (struct call){.caller = (enum pg_caller)pg_random_below(r, 4)};
    ret->request = (struct pg_dry_request){.to_port = p->port, .proto = p->proto};
    switch (ret->caller) {
    case PG_CALLER_OUTSIDE: ret->request.from = pg_addr_v4(198, 51, 100, 7); break;
    case PG_CALLER_POD: {
        uint32_t pod = pg_random_below(r, s->pod_count);
        ret->request.from = s->pods[pod].addr[0];
        if (s->pods[pod].host_network) {
            return false;
        }
        break;
    }
    case PG_CALLER_NODE:
        ret->request.from = s->nodes[pg_random_below(r, s->node_count)].addr[0];
        break;
    default: return false;
    }
    if (door == 0 && ret->caller != PG_CALLER_OUTSIDE) {
        ret->request.to = v->cluster_ip[0];
    } else if (door == 1 && v->lb_count) {
        ret->request.to = s->lb_ips[v->lb_first].addr;
    } else if (door == 2 && v->external_count) {
        ret->request.to = s->external_ips[v->external_first];
    } else if (door == 3 && p->node_port) {
        ret->request.to = s->nodes[pg_random_below(r, s->node_count)].addr[0];
        ret->request.to_port = p->node_port;
    }
    return !pg_addr_is_none(&ret->request.to);
}

static const struct pg_prediction *prediction_for(const struct pg_predictions *p,
                                                  const struct call *c)
{
    const struct pg_prediction *found = NULL;

    for (uint32_t i = 0; i < p->count; i++) {
        const struct pg_prediction *one = &p->at[i];
        for (uint32_t t = 0; t < one->to_count && one->caller == c->caller; t++) {
            if (one->proto == c->request.proto && one->to[t].port == c->request.to_port &&
                pg_addr_equal(&one->to[t].addr, &c->request.to)) {
                assert_null(found); /* one line per caller and door */
                found = one;
            }
        }
    }
    return found;
}

static bool is_predicted(const struct pg_prediction *p, const struct pg_dry_result *got)
{
    const struct pg_nat_decision *d = &got->leg[0];

    if (d->kind != PG_DECIDE_DNAT) {
        return p->silent;
    }
    if (!d->masquerade) {
        return p->seen.same;
    }
    for (uint32_t i = 0; i < p->seen.count; i++) {
        if (pg_addr_equal(&p->seen.at[i], &d->snat_addr)) {
            return true;
        }
    }
    return p->seen.more;
}

static void print_call(const struct call *c, const struct pg_prediction *p,
                       const struct pg_text *text)
{
    char a[PG_ADDR_TEXT];
    char b[PG_ENDPOINT_TEXT];

    print_message("%s\n%s calls from %s to %s\npredicted: %s\n", text->at,
                  pg_caller_name(c->caller), pg_addr_print(&c->request.from, a),
                  pg_endpoint_print(&c->request.to, c->request.to_port, b),
                  p ? p->text.at : "nothing");
}

static void lint_does_not_lie(void **state)
{
    struct pg_random r;
    uint32_t calls = 0;

    (void)state;
    pg_random_seed(&r, 7);
    for (int n = 0; n < CLUSTERS; n++) {
        struct pg_text text = {0};
        struct pg_predictions predictions;
        pg_put_cluster(&r, &text);
        struct pg_snapshot *s = load(&text);
        struct pg_dry *d = pg_dry_new(s);
        pg_predict(d, &predictions);
        for (int i = 0; i < CALLS; i++) {
            struct call c;
            struct pg_dry_result got;
            uint64_t draw[PG_DRY_CHOICES];
            if (!draw_call(&r, s, &c)) {
                continue;
            }
            for (int k = 0; k < PG_DRY_CHOICES; k++) {
                draw[k] = pg_random_u64(&r) >> 1;
            }
            pg_dry_run(d, &c.request, draw, NULL, &got);
            if (pg_addr_equal(&got.arrives[0].dst, &c.request.from)) {
                continue; /* a pod that reaches itself is not said */
            }
            calls++;
            const struct pg_prediction *p = prediction_for(&predictions, &c);
            if (!p || !is_predicted(p, &got)) {
                print_call(&c, p, &text);
                fail_msg("not what lint says");
            }
        }
        pg_predictions_free(&predictions);
        pg_dry_free(d);
        pg_snapshot_put(s);
        pg_text_free(&text);
    }
    assert_true(calls > 5000);
    pg_reason_forget_all();
}

/* ---- the words ---- */

static void each_kind_of_caller_has_its_sentence(void **state)
{
    static const char *const wanted[] = {
        "pods of t/near will see 10.244.1.1 or 192.0.2.12 as their client by LoadBalancer "
        "198.51.100.1:80",
        "pods of t/near will see 10.244.1.1 as their client by NodePort 30001 of node1",
        "pods of t/near will see the pod itself as their client when a pod calls ClusterIP "
        "10.96.1.1:80",
        "pods of t/near will see 10.244.1.1 or 192.0.2.12 as their client when a pod calls "
        "LoadBalancer 198.51.100.1:80 or NodePort 30001",
        "pods of t/near will see 10.244.1.1 or 192.0.2.12 as their client when a node calls "
        "ClusterIP 10.96.1.1:80",
        "nobody outside reaches t/far-local by NodePort 30004 of node1: DROPPED",
        "pods of t/host-near will see the client itself as their client by NodePort 30005 of node1",
        "pods of t/headless will see the pod itself",
        "near.example.test/ to t/near:80: a client outside is CARRIED by X-Forwarded-For and "
        "X-Real-IP; its peer is the ingress",
    };
    struct pg_manifest_input input = {.path = "tests/walk/manifests/truth-table.yaml"};
    struct pg_findings findings;
    struct pg_predictions p;
    struct pg_snapshot *s;

    (void)state;
    assert_int_equal(pg_snapshot_load(&input, 1, NULL, &s, &findings), 0);
    pg_findings_free(&findings);
    struct pg_dry *d = pg_dry_new(s);
    pg_predict(d, &p);
    for (size_t w = 0; w < sizeof wanted / sizeof wanted[0]; w++) {
        bool found = false;
        for (uint32_t i = 0; i < p.count; i++) {
            found = found || strncmp(p.at[i].text.at, wanted[w], strlen(wanted[w])) == 0;
            assert_true(pg_reason_get(p.at[i].reason)->line || p.at[i].place.line);
        }
        if (!found) {
            fail_msg("nobody says: %s", wanted[w]);
        }
    }
    pg_predictions_free(&p);
    pg_dry_free(d);
    pg_snapshot_put(s);
    pg_reason_forget_all();
}

static void a_balancer_that_ends_connections_is_the_client(void **state)
{
    static const char text[] =
        "apiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: {app: a}}\n"
        "spec: {nodeName: node-1, containers: [{name: c, image: i}]}\n---\n"
        "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n"
        "spec: {type: LoadBalancer, externalTrafficPolicy: Local, selector: {app: a}, ports: "
        "[{port: 80, nodePort: 30080}]}\n"
        "status: {loadBalancer: {ingress: [{ip: 203.0.113.40, ipMode: Proxy}]}}\n";
    struct pg_text t = {0};
    struct pg_predictions p;
    bool found = false;

    (void)state;
    pg_text_puts(&t, text);
    struct pg_snapshot *s = load(&t);
    struct pg_dry *d = pg_dry_new(s);
    pg_predict(d, &p);
    for (uint32_t i = 0; i < p.count; i++) {
        found = found || strstr(p.at[i].text.at,
                                "will see the balancer itself as their client when the balancer "
                                "203.0.113.40 (ipMode Proxy) calls NodePort 30080 of node-1");
    }
    assert_true(found);
    pg_predictions_free(&p);
    pg_dry_free(d);
    pg_snapshot_put(s);
    pg_text_free(&t);
    pg_reason_forget_all();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_of_caller_has_its_sentence),
        cmocka_unit_test(a_balancer_that_ends_connections_is_the_client),
        cmocka_unit_test(lint_does_not_lie),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
