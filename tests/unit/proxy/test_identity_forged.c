/* A hundred thousand heads with forged identity, seeded: names in odd case and with '_', lines given twice, named by Connection, malformed. Whatever a
 * stranger writes, the pod is told the TCP peer; whatever comes through a trusted proxy, what that proxy vouches for. Each profile is held to what its
 * peer does hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "podglass/hash.h"
#include "podglass/ingress_decide.h"

#include <stdio.h>
#include <string.h>

#define HEADS    100000
#define FORGED   "6.6.6.6" /* every lie has it */
#define STRANGER "198.51.100.7"
#define PROXY    "203.0.113.9"
#define REAL     "192.0.2.200" /* what the trusted proxy saw */

static struct pg_random randomness;
static struct pg_http_head head, left;
static char in_bytes[8192], out[2 * PG_HTTP_MAX_HEAD];
static struct pg_snapshot snapshot;

static bool chance(uint32_t percent)
{
    return pg_random_below(&randomness, 100) < percent;
}

#define ONE_OF(...)                            \
    one_of((const char *const[]){__VA_ARGS__}, \
           sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))
static const char *one_of(const char *const *words, size_t count)
{
    return words[pg_random_below(&randomness, (uint32_t)count)];
}

/* A managed name, as somebody who wants past a filter writes it. */
static void odd_name(char to[64])
{
    const char *name =
        ONE_OF("X-Forwarded-For", "X-Forwarded-For", "X-Forwarded-For", "X-Real-IP",
               "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Scheme",
               "X-Scheme", "X-Forwarded-Server", "X-Forwarded-Prefix", "Forwarded",
               "X-Original-Forwarded-For", "X-Original-Forwarded-Host", "Proxy");
    bool twin = chance(20), odd = chance(40);
    size_t len = strlen(name);
    for (size_t i = 0; i <= len; i++) {
        to[i] = name[i];
        if (odd && name[i] >= 'A' && chance(50))
            to[i] = (char)(name[i] ^ 0x20);
        if (twin && name[i] == '-' && chance(70))
            to[i] = '_';
    }
}

static const char *lie(void)
{
    return ONE_OF(FORGED, FORGED, FORGED ", " FORGED, "for=" FORGED, FORGED ":80", " , " FORGED ",",
                  "unknown, " FORGED, "[::ffff:" FORGED "]", "https;" FORGED, FORGED "\t, " FORGED,
                  "006.6.6.6, " FORGED, "\"" FORGED "\"");
}

/* Fields of a client; the trusted proxy's own line, if there is one, is the last of them. */
static void make_head(bool vouched)
{
    size_t len = (size_t)snprintf(in_bytes, sizeof(in_bytes), "%s / HTTP/1.%c\r\nHost: a.test\r\n",
                                  ONE_OF("GET", "POST", "OPTIONS"), chance(90) ? '1' : '0');
    uint32_t count = pg_random_below(&randomness, 12);
    for (uint32_t i = 0; i < count; i++) {
        char name[64];
        odd_name(name);
        len += (size_t)snprintf(in_bytes + len, sizeof(in_bytes) - len, "%s:%s%s%s\r\n", name,
                                ONE_OF("", " ", "\t ", "  "), lie(), ONE_OF("", " ", "\t"));
        if (chance(15)) {
            odd_name(name);
            len += (size_t)snprintf(in_bytes + len, sizeof(in_bytes) - len, "%s: %s, %s\r\n",
                                    ONE_OF("Connection", "connection"), name,
                                    ONE_OF("close", "X-Forwarded-For", "x-real-ip", "Host"));
        }
        if (chance(15))
            len += (size_t)snprintf(in_bytes + len, sizeof(in_bytes) - len, "Accept: */*\r\n");
    }
    if (vouched)
        len += (size_t)snprintf(in_bytes + len, sizeof(in_bytes) - len, "X-Forwarded-For: %s\r\n",
                                chance(50) ? REAL : FORGED ", " REAL);
    (void)snprintf(in_bytes + len, sizeof(in_bytes) - len, "\r\n");
}

/* ---- what left ---- */

/* The lines of a header, names with '_' counted as its twins; how many, and the value of the last. */
static unsigned lines_of(const char *name, bool twins, char last[1024])
{
    unsigned n = 0;
    last[0] = '\0';
    for (uint32_t i = 0; i < left.field_count; i++) {
        struct pg_slice is = pg_span_slice(out, left.fields[i].name);
        struct pg_slice value = pg_span_slice(out, left.fields[i].value);
        bool twin = memchr(is.at, '_', is.len) != NULL;
        if (twin != twins || !pg_identity_name_is(is, name))
            continue;
        (void)snprintf(last, 1024, "%.*s", (int)value.len, value.at);
        n++;
    }
    return n;
}

static void is_once(const char *name, const char *value, const char *profile)
{
    char last[1024];
    if (lines_of(name, false, last) != 1 || strcmp(last, value) != 0)
        fail_msg("%s: %s is \"%s\" and not \"%s\" in\n%s\nof\n%s", profile, name, last, value, out,
                 in_bytes);
}

static void ends_with(const char *name, const char *value, bool one_line, const char *profile)
{
    char last[1024];
    unsigned n = lines_of(name, false, last);
    size_t len = strlen(last), tail = strlen(value);
    bool own = len >= tail && strcmp(last + len - tail, value) == 0 &&
               (len == tail || last[len - tail - 1] == ' ');
    if (n == 0 || (one_line && n > 1) || !own)
        fail_msg("%s: %s is \"%s\" and does not end with \"%s\" in\n%s\nof\n%s", profile, name,
                 last, value, out, in_bytes);
}

static void is_clean(const char *profile)
{
    char last[1024];
    for (enum pg_identity_header h = 0; h < PG_IDENTITY_COUNT; h++) {
        bool ours = h == PG_IDENTITY_VIA || h == PG_IDENTITY_X_REQUEST_ID || h == PG_IDENTITY_HOST;
        if (ours)
            continue;
        if (lines_of(pg_identity_name(h), true, last) > 0)
            fail_msg("%s: a twin of %s passes\n%s", profile, pg_identity_name(h), in_bytes);
        if (lines_of(pg_identity_name(h), false, last) > 0 && strstr(last, "6.6"))
            fail_msg("%s: %s: %s passes\n%s", profile, pg_identity_name(h), last, in_bytes);
    }
    if (strstr(out, "6.6.6"))
        fail_msg("%s: a lie passes\n%s\nof\n%s", profile, out, in_bytes);
}

static void send(const struct pg_identity *identity, const char *hop_text)
{
    struct pg_http_scan scan = {0};
    enum pg_http_error error;
    struct pg_client_addr who;
    struct pg_addr hop;
    uint32_t len = (uint32_t)strlen(in_bytes);
    assert_int_equal(pg_http_parse(PG_HTTP_REQUEST, &scan, in_bytes, len, &head, &error), 0);
    assert_int_equal(pg_addr_parse(hop_text, strlen(hop_text), &hop), 0);
    pg_client_addr_decide(&identity->trust, &hop, &head, in_bytes, &who);
    struct pg_http_rewrite_in in = {.identity = identity,
                                    .head = &head,
                                    .bytes = in_bytes,
                                    .who = &who,
                                    .local_port = 80,
                                    .scheme = "http",
                                    .body = head.body,
                                    .request_id = "made"};
    int64_t n = pg_http_rewrite(&in, out, sizeof(out) - 1);
    assert_true(n > 0);
    out[n] = '\0';
    scan = (struct pg_http_scan){0};
    assert_int_equal(pg_http_parse(PG_HTTP_REQUEST, &scan, out, (uint32_t)n, &left, &error), 0);
    assert_int_equal(left.head_len, n);
}

static struct pg_identity profile(enum pg_profile p)
{
    struct pg_ingress_settings *s = &snapshot.lab.ingress;
    static const struct pg_source nowhere = {"", 0};
    memset(&snapshot, 0, sizeof(snapshot));
    s->trusted_source = s->hops_source = s->profile_source = nowhere;
    for (uint32_t i = 0; i < PG_IDENTITY_COUNT; i++)
        s->policy_source[i] = nowhere;
    pg_profile_apply(s, p);
    assert_int_equal(pg_prefix_parse(PROXY, strlen(PROXY), &s->trusted_proxies[0]), 0);
    s->trusted_proxy_count = 1;
    return pg_identity_of(&snapshot);
}

static void the_pod_is_told_the_peer_or_a_trusted_word(void **state)
{
    struct pg_identity of[PG_PROFILE_COUNT];
    struct pg_trust trust;
    pg_random_seed(&randomness, 20261125);
    /* the settings a profile borrows are alike in all of them */
    for (enum pg_profile p = 0; p < PG_PROFILE_COUNT; p++)
        of[p] = profile(p);
    trust = of[PG_PROFILE_COUNT - 1].trust;
    for (uint32_t i = 0; i < HEADS; i++) {
        bool vouched = chance(40);
        const char *hop = vouched ? PROXY : STRANGER;
        const char *client = vouched ? REAL : STRANGER;
        make_head(vouched);
        for (enum pg_profile p = 0; p < PG_PROFILE_COUNT; p++)
            of[p].trust = trust;

        send(&of[PG_PROFILE_STRICT], hop);
        is_once("X-Real-IP", client, "strict");
        ends_with("X-Forwarded-For", hop, true, "strict");
        if (!vouched) {
            is_once("X-Forwarded-For", STRANGER, "strict");
            is_once("X-Forwarded-Proto", "http", "strict");
            is_once("X-Forwarded-Host", "a.test", "strict");
            is_once("X-Forwarded-Port", "80", "strict");
            is_clean("strict");
        } else {
            ends_with("X-Forwarded-For", REAL ", " PROXY, true, "strict");
        }
        if (i % 4 != 0)
            continue; /* the others are simpler: a quarter of the heads is enough */
        send(&of[PG_PROFILE_INGRESS_NGINX], hop);
        is_once("X-Real-IP", client, "ingress-nginx");
        is_once("X-Forwarded-For", client, "ingress-nginx");
        is_once("X-Forwarded-Proto", "http", "ingress-nginx");
        is_once("X-Forwarded-Host", "a.test", "ingress-nginx");
        assert_null(memchr(out, '_', strlen(out)));
        send(&of[PG_PROFILE_ENVOY_EDGE], hop);
        ends_with("X-Forwarded-For", hop, true, "envoy-edge");
        send(&of[PG_PROFILE_TRAEFIK], hop);
        ends_with("X-Forwarded-For", hop, true, "traefik");
        if (!vouched) {
            is_once("X-Forwarded-For", STRANGER, "traefik");
            is_once("X-Real-IP", STRANGER, "traefik");
            is_once("X-Forwarded-Proto", "http", "traefik");
        }
        send(&of[PG_PROFILE_HAPROXY], hop);
        ends_with("X-Forwarded-For", hop, false, "haproxy");
    }
    pg_reason_forget_all();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_pod_is_told_the_peer_or_a_trusted_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
