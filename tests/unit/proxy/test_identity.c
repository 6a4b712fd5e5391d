/* Policies: whole heads by policy, what a header leaves as, and that the strict profile is the one compiled in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "podglass/ingress_decide.h"

#include <stdio.h>
#include <string.h>

#define STRANGER "198.51.100.7"
#define PROXY    "203.0.113.9" /* of the trusted range */

static struct pg_snapshot snapshot; /* its settings are all that is looked at */
static struct pg_http_head head;
static char out[2 * PG_HTTP_MAX_HEAD];

static void settings_of(enum pg_profile profile, const char *header, const char *policy)
{
    struct pg_ingress_settings *s = &snapshot.lab.ingress;
    static const struct pg_source nowhere = {"", 0};
    memset(&snapshot, 0, sizeof(snapshot));
    s->trusted_source = s->hops_source = s->profile_source = nowhere;
    for (uint32_t i = 0; i < PG_IDENTITY_COUNT; i++)
        s->policy_source[i] = nowhere;
    pg_profile_apply(s, profile);
    assert_int_equal(pg_prefix_parse("203.0.113.0/24", 14, &s->trusted_proxies[0]), 0);
    s->trusted_proxy_count = 1;
    if (header == NULL)
        return;
    enum pg_identity_header h = pg_identity_find(pg_slice_of(header));
    enum pg_policy p = pg_policy_find(pg_slice_of(policy));
    assert_true(h < PG_IDENTITY_COUNT && p < PG_POLICY_COUNT && pg_policy_fits(h, p));
    s->policy[h] = (uint8_t)p;
    s->policy_source[h] = (struct pg_source){"t.yaml", 7};
}

static void send(const char *hop_text, const char *fields, const char *scheme)
{
    char bytes[1024];
    struct pg_http_scan scan = {0};
    enum pg_http_error error;
    struct pg_client_addr who;
    struct pg_addr hop;
    struct pg_identity identity = pg_identity_of(&snapshot);
    int len =
        snprintf(bytes, sizeof(bytes), "GET / HTTP/1.1\r\nHost: a.test:8443\r\n%s\r\n", fields);
    assert_int_equal(pg_http_parse(PG_HTTP_REQUEST, &scan, bytes, (uint32_t)len, &head, &error), 0);
    assert_int_equal(pg_addr_parse(hop_text, strlen(hop_text), &hop), 0);
    pg_client_addr_decide(&identity.trust, &hop, &head, bytes, &who);
    struct pg_http_rewrite_in in = {.identity = &identity,
                                    .head = &head,
                                    .bytes = bytes,
                                    .who = &who,
                                    .local_port = 80,
                                    .scheme = scheme,
                                    .request_id = "made"};
    int64_t n = pg_http_rewrite(&in, out, sizeof(out) - 1);
    assert_true(n > 0);
    out[n] = '\0';
}

/* All values of a header, "|" between lines; "" for none. */
static const char *left(const char *name)
{
    static char joined[1024];
    char wanted[64];
    const char *at = out;
    (void)snprintf(wanted, sizeof(wanted), "\r\n%s: ", name);
    joined[0] = '\0';
    while ((at = strcasestr(at, wanted)) != NULL) {
        at += strlen(wanted);
        size_t len = strcspn(at, "\r"), used = strlen(joined);
        (void)snprintf(joined + used, sizeof(joined) - used, "%s%.*s", used ? "|" : "", (int)len,
                       at);
    }
    return joined;
}

static const struct {
    const char *header, *policy, *hop, *sent, *left;
} rows[] = {
    {"X-Real-IP", "set", STRANGER, "9.9.9.9", STRANGER},
    {"X-Real-IP", "off", STRANGER, "9.9.9.9", ""},
    {"X-Real-IP", "off", PROXY, "9.9.9.9", ""},
    {"X-Real-IP", "pass", STRANGER, "9.9.9.9", "9.9.9.9"},
    {"X-Real-IP", "trusted", STRANGER, "9.9.9.9", ""},
    {"X-Real-IP", "trusted", PROXY, "9.9.9.9", "9.9.9.9"},
    {"X-Real-IP", "trusted-or-set", STRANGER, "9.9.9.9", STRANGER},
    {"X-Real-IP", "trusted-or-set", PROXY, "9.9.9.9", "9.9.9.9"},
    {"X-Real-IP", "any-or-set", STRANGER, "9.9.9.9", "9.9.9.9"},
    {"X-Forwarded-For", "append", STRANGER, "9.9.9.9", STRANGER},
    {"X-Forwarded-For", "append", PROXY, "9.9.9.9", "9.9.9.9, " PROXY},
    {"X-Forwarded-For", "append-always", STRANGER, "9.9.9.9 ,8.8.8.8",
     "9.9.9.9, 8.8.8.8, " STRANGER},
    {"X-Forwarded-For", "second-line", STRANGER, "9.9.9.9", "9.9.9.9|" STRANGER},
    {"X-Forwarded-For", "replace", STRANGER, "9.9.9.9", STRANGER},
    {"X-Forwarded-For", "replace", PROXY, "8.8.8.8, 9.9.9.9", "9.9.9.9"},
    {"X-Forwarded-For", "preserve", STRANGER, "9.9.9.9", STRANGER},
    {"X-Forwarded-For", "preserve", PROXY, "8.8.8.8, 9.9.9.9", "8.8.8.8, 9.9.9.9"},
    {"X-Forwarded-For", "preserve", PROXY, " , ", PROXY},
    {"X-Forwarded-For", "off", PROXY, "9.9.9.9", ""},
    {"X-Forwarded-For", "pass", STRANGER, "9.9.9.9", "9.9.9.9"},
    {"X-Forwarded-Proto", "trusted-or-set", PROXY, "https", "https"},
    {"X-Forwarded-Proto", "trusted-or-set", PROXY, "HTTPS", "http"},
    {"X-Forwarded-Proto", "trusted-or-set", PROXY, "https, http", "http"},
    {"X-Forwarded-Proto", "trusted-or-set", STRANGER, "https", "http"},
    {"X-Forwarded-Proto", "any-or-set", STRANGER, "wss", "wss"},
    {"X-Forwarded-Proto", "set", PROXY, "https", "http"},
    {"X-Forwarded-Host", "trusted-or-set", PROXY, "b.test, c.test", "b.test"},
    {"X-Forwarded-Host", "trusted-or-set", STRANGER, "b.test", "a.test:8443"},
    {"X-Forwarded-Port", "trusted-or-set", PROXY, "443", "443"},
    {"X-Forwarded-Port", "trusted-or-set", PROXY, "0", "80"},
    {"X-Forwarded-Port", "trusted-or-host", STRANGER, "443", "8443"},
    {"X-Forwarded-Port", "trusted-or-host", PROXY, "1", "1"},
    {"X-Forwarded-Server", "set", STRANGER, "evil", "podglass"},
    {"X-Forwarded-Prefix", "trusted", STRANGER, "/p", ""},
    {"X-Forwarded-Prefix", "trusted", PROXY, "/p", "/p"},
    {"X-Scheme", "set", STRANGER, "https", "http"},
    {"Forwarded", "trusted", STRANGER, "for=9.9.9.9", ""},
    {"Forwarded", "trusted", PROXY, "for=9.9.9.9", "for=9.9.9.9"},
    {"Forwarded", "append", STRANGER, "for=9.9.9.9",
     "for=" STRANGER ";host=\"a.test:8443\";proto=http"},
    {"Forwarded", "append", PROXY, "for=\"a,b\"",
     "for=\"a,b\", for=" PROXY ";host=\"a.test:8443\";proto=http"},
    {"Forwarded", "append", PROXY, "for=\"x", "for=" PROXY ";host=\"a.test:8443\";proto=http"},
    {"Forwarded", "append", PROXY, "for=\"x\\\"", "for=" PROXY ";host=\"a.test:8443\";proto=http"},
    {"Forwarded", "append", "2001:db8::7", "x",
     "for=\"[2001:db8::7]\";host=\"a.test:8443\";proto=http"},
    {"Via", "append", STRANGER, "1.0 fred", "1.0 fred, 1.1 podglass"},
    {"Via", "pass", STRANGER, "1.0 fred", "1.0 fred"},
    {"Via", "off", STRANGER, "1.0 fred", ""},
    {"Proxy", "pass", STRANGER, "x", "x"},
    {"Proxy", "off", PROXY, "x", ""},
    {"X-Request-ID", "any-or-set", STRANGER, "mine", "mine"},
    {"X-Request-ID", "set", STRANGER, "mine", "made"},
    {"X-Request-ID", "pass", STRANGER, "mine", "mine"},
    {"X-Request-ID", "off", STRANGER, "mine", ""},
};

static void every_policy_leaves_what_it_should(void **state)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char line[256];
        settings_of(PG_PROFILE_STRICT, rows[i].header, rows[i].policy);
        (void)snprintf(line, sizeof(line), "%s: %s\r\n", rows[i].header, rows[i].sent);
        send(rows[i].hop, line, "http");
        if (strcmp(left(rows[i].header), rows[i].left) != 0)
            fail_msg("%s %s, %s of %s: \"%s\"", rows[i].header, rows[i].policy, rows[i].sent,
                     rows[i].hop, left(rows[i].header));
    }
    pg_reason_forget_all();
}

static void copies_say_what_was_received(void **state)
{
    settings_of(PG_PROFILE_STRICT, "X-Original-Forwarded-For", "set");
    send(STRANGER, "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 2.2.2.2\r\n", "http");
    assert_string_equal(left("X-Original-Forwarded-For"), "1.1.1.1, 2.2.2.2");
    send(STRANGER, "X-Original-Forwarded-For: 3.3.3.3\r\n", "http");
    assert_string_equal(left("X-Original-Forwarded-For"), "");
    settings_of(PG_PROFILE_STRICT, "X-Original-Forwarded-Host", "set");
    send(STRANGER, "X-Forwarded-Host: b.test\r\n", "http");
    assert_string_equal(left("X-Original-Forwarded-Host"), "b.test");
    settings_of(PG_PROFILE_STRICT, "X-Original-Forwarded-For", "set");
    (void)strcpy(snapshot.lab.ingress.client_header, "CF-Connecting-IP");
    send(STRANGER, "CF-Connecting-IP: 4.4.4.4\r\nX-Forwarded-For: 1.1.1.1\r\n", "http");
    assert_string_equal(left("X-Original-Forwarded-For"), "4.4.4.4");
    pg_reason_forget_all();
}

/* A proxy that adds its line behind the client's, so that both stand there. */
static void two_lines_that_differ_are_no_word_of_a_proxy(void **state)
{
    settings_of(PG_PROFILE_STRICT, NULL, NULL);
    send(PROXY, "X-Forwarded-Proto: https\r\nX-Forwarded-Proto: http\r\n", "http");
    assert_string_equal(left("X-Forwarded-Proto"), "http");
    send(PROXY, "X-Forwarded-Proto: http\r\nX-Forwarded-Proto: https\r\n", "http");
    assert_string_equal(left("X-Forwarded-Proto"), "http");
    send(PROXY, "X-Forwarded-Host: b\r\nX-Forwarded-Host: c\r\n", "http");
    assert_string_equal(left("X-Forwarded-Host"), "a.test:8443");
    send(PROXY, "X-Forwarded-Proto: https\r\nX-Forwarded-Proto: https\r\n", "http");
    assert_string_equal(left("X-Forwarded-Proto"), "https");
    pg_reason_forget_all();
}

static void host_follows_only_a_sound_name(void **state)
{
    settings_of(PG_PROFILE_STRICT, "Host", "trusted-or-set");
    send(PROXY, "X-Forwarded-Host: b.test\r\n", "http");
    assert_string_equal(left("Host"), "b.test");
    send(STRANGER, "X-Forwarded-Host: b.test\r\n", "http");
    assert_string_equal(left("Host"), "a.test:8443");
    send(PROXY, "X-Forwarded-Host: b/evil\r\n", "http");
    assert_string_equal(left("Host"), "a.test:8443");
    settings_of(PG_PROFILE_STRICT, "Host", "any-or-set");
    send(STRANGER, "X-Forwarded-Host: b.test, c.test\r\n", "http");
    assert_string_equal(left("Host"), "b.test");
    pg_reason_forget_all();
}

static void websockets_have_a_scheme_of_their_own_where_a_peer_says_so(void **state)
{
    settings_of(PG_PROFILE_TRAEFIK, NULL, NULL);
    send(STRANGER, "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n", "https");
    assert_string_equal(left("X-Forwarded-Proto"), "wss");
    send(STRANGER, "Connection: Upgrade\r\nUpgrade: h2c\r\n", "http");
    assert_string_equal(left("X-Forwarded-Proto"), "http");
    pg_reason_forget_all();
}

static void names_with_underscores_go_as_the_profile_says(void **state)
{
    static const char fields[] = "X_Real_IP: 9.9.9.9\r\nmy_field: x\r\n";
    settings_of(PG_PROFILE_STRICT, NULL, NULL);
    send(PROXY, fields, "http");
    assert_string_equal(left("X_Real_IP"), "");
    assert_string_equal(left("my_field"), "x");
    settings_of(PG_PROFILE_INGRESS_NGINX, NULL, NULL);
    send(PROXY, fields, "http");
    assert_string_equal(left("X_Real_IP"), "");
    assert_string_equal(left("my_field"), "");
    settings_of(PG_PROFILE_HAPROXY, NULL, NULL);
    send(STRANGER, fields, "http");
    assert_string_equal(left("X_Real_IP"), "9.9.9.9");
    assert_string_equal(left("my_field"), "x");
    pg_reason_forget_all();
}

static void strict_is_what_is_compiled_in(void **state)
{
    settings_of(PG_PROFILE_STRICT, NULL, NULL);
    struct pg_identity i = pg_identity_of(&snapshot);
    assert_memory_equal(i.policy, pg_identity_strict.policy, sizeof(i.policy));
    assert_int_equal(i.underscores, pg_identity_strict.underscores);
    pg_reason_forget_all();
}

/* Every policy of every profile fits its header, and every name finds itself. */
static void tables_agree_with_themselves(void **state)
{
    for (enum pg_profile p = 0; p < PG_PROFILE_COUNT; p++) {
        settings_of(p, NULL, NULL);
        for (enum pg_identity_header h = 0; h < PG_IDENTITY_COUNT; h++)
            assert_true(pg_policy_fits(h, (enum pg_policy)snapshot.lab.ingress.policy[h]));
        assert_int_equal(pg_profile_find(pg_slice_of(pg_profile_name(p))), p);
    }
    for (enum pg_identity_header h = 0; h < PG_IDENTITY_COUNT; h++)
        assert_int_equal(pg_identity_find(pg_slice_of(pg_identity_name(h))), h);
    for (enum pg_policy p = 0; p < PG_POLICY_COUNT; p++)
        assert_int_equal(pg_policy_find(pg_slice_of(pg_policy_name(p))), p);
    assert_int_equal(pg_identity_find(PG_SLICE_LITERAL("x_forwarded_FOR")),
                     PG_IDENTITY_X_FORWARDED_FOR);
    assert_int_equal(pg_identity_find(PG_SLICE_LITERAL("x-forwarded-fo")), PG_IDENTITY_COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_policy_leaves_what_it_should),
        cmocka_unit_test(copies_say_what_was_received),
        cmocka_unit_test(two_lines_that_differ_are_no_word_of_a_proxy),
        cmocka_unit_test(host_follows_only_a_sound_name),
        cmocka_unit_test(websockets_have_a_scheme_of_their_own_where_a_peer_says_so),
        cmocka_unit_test(names_with_underscores_go_as_the_profile_says),
        cmocka_unit_test(strict_is_what_is_compiled_in),
        cmocka_unit_test(tables_agree_with_themselves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
