/* Which of a listener's certificates is shown for a name, and for which hosts a connection is good then. A certificate is here the list of its names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "podglass/owner.h"
#include "podglass/tls_decide.h"

#include <stdlib.h>
#include <string.h>

#define SECRET(name, names)                                     \
    "---\napiVersion: v1\nkind: Secret\nmetadata: {name: " name \
    "}\ntype: kubernetes.io/tls\nstringData: {tls.crt: \"" names "\\n\", tls.key: key}\n"

static const char manifest[] =
    "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: gw}\n"
    "spec:\n  gatewayClassName: x\n  listeners:\n"
    "  - {name: many, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: first}, {name: "
    "a}, "
    "{name: wide}, {name: again}]}}\n"
    "  - {name: one, port: 443, protocol: HTTPS, hostname: one.test, tls: {certificateRefs: "
    "[{name: a}]}}\n" SECRET("first", "first.test") SECRET("a", "a.test\\nalso.test")
        SECRET("wide", "*.wide.test\\na.test\\nwide.test") SECRET("again", "a.test");

static struct pg_snapshot *snapshot;

static void names_of(struct pg_slice cert, struct pg_text *ret)
{
    pg_text_add(ret, cert.at, cert.len);
}

static int load(void **state)
{
    struct pg_manifest_input input = {"t.yaml", manifest, sizeof(manifest) - 1};
    struct pg_load_options options = {.names_of = names_of};
    struct pg_findings findings;
    int rc = pg_snapshot_load(&input, 1, &options, &snapshot, &findings);
    (void)state;
    pg_findings_free(&findings);
    return rc;
}

static int unload(void **state)
{
    (void)state;
    pg_snapshot_put(snapshot);
    pg_reason_forget_all();
    return 0;
}

/* The port of the ingress pod that a listener is reached by. */
static uint16_t port_of(void)
{
    struct pg_ingress_port ports[PG_INGRESS_PORTS];
    uint32_t count = pg_owner_ingress_ports(snapshot, ports);
    for (uint32_t i = 0; i < count; i++) {
        if (ports[i].tls)
            return ports[i].target;
    }
    fail_msg("no port speaks TLS");
    return 0;
}

static void the_first_that_is_for_the_name_is_shown(void **state)
{
    static const struct {
        const char *name, *secret;
    } rows[] = {
        {"first.test", "default/first"}, {"a.test", "default/a"},
        {"also.test", "default/a"},      {"wide.test", "default/wide"},
        {"x.wide.test", "default/wide"}, {"x.y.wide.test", "default/first"},
        {".wide.test", "default/first"}, {"stranger.test", "default/first"},
        {"", "default/first"},           {"one.test", "default/a"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct pg_tls_host *h = pg_tls_host_find(snapshot, port_of(), rows[i].name);
        assert_non_null(h);
        if (strcmp(h->secret_text, rows[i].secret) != 0)
            fail_msg("%s: %s", rows[i].name, h->secret_text);
    }
}

static void a_connection_is_good_for_the_names_of_what_was_shown(void **state)
{
    static const struct {
        const char *server_name, *host;
        bool fits;
    } rows[] = {
        {"a.test", "also.test", true},         {"a.test", "a.test:443", true},
        {"a.test", "wide.test", false},        {"wide.test", "x.wide.test", true},
        {"wide.test", "a.test", true}, /* wide is for it, though another would be shown */
        {"first.test", "a.test", false},       {"a.test", "one.test", false},
        {"first.test", "stranger.test", true}, {"", "a.test", true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pg_slice host = {rows[i].host, strlen(rows[i].host)};
        if (pg_tls_host_fits(snapshot, port_of(), rows[i].server_name, host) != rows[i].fits)
            fail_msg("%s on a connection for %s", rows[i].host, rows[i].server_name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_that_is_for_the_name_is_shown),
        cmocka_unit_test(a_connection_is_good_for_the_names_of_what_was_shown),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
