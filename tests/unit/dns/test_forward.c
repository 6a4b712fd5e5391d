/* dns/forward.c: whom it asks, when it gives up on whom, and what it believes. */
#include "dns_fixture.h"
#include "podglass/dns_forward.h"
#include "podglass/dns_list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MOST 2048

static const char lab[] = "apiVersion: podglass/v1alpha1\n"
                          "kind: Lab\n"
                          "spec:\n"
                          "  dns: {address: 10.96.0.10, upstream: [192.0.2.1, '192.0.2.2:5353']}\n"
                          "---\n"
                          "apiVersion: v1\n"
                          "kind: Service\n"
                          "metadata: {namespace: shop, name: out}\n"
                          "spec: {type: ExternalName, externalName: db.example.org}\n";

/* What the forwarder handed out last, and how often. */
struct sent {
    struct pg_tuple tuple;
    uint8_t message[512];
    uint32_t len;
};
struct world {
    struct dns_fixture cluster;
    struct pg_counters counters;
    struct pg_random random;
    struct pg_dns_forward *f;
    uint64_t now_us;
    struct sent sent[MOST];
    uint32_t sent_count;
    uint8_t answer[2048];
    uint32_t answer_len;
    uint32_t answers;
    struct sent stream; /* what was asked over TCP last */
    struct pg_dns_ticket ticket;
    uint32_t streams, stopped;
    bool no_streams;
};
static struct world w;

static void on_send(void *arg, const struct pg_tuple *tuple, uint32_t label, const void *message,
                    uint32_t len)
{
    struct sent *s = &w.sent[w.sent_count++ % MOST];

    s->tuple = *tuple;
    s->len = len;
    memcpy(s->message, message, len);
}

static uint32_t on_ask_stream(void *arg, const struct pg_tuple *tuple, uint32_t label,
                              struct pg_dns_ticket ticket, const void *message, uint32_t len)
{
    w.stream.tuple = *tuple;
    w.stream.len = len;
    memcpy(w.stream.message, message, len);
    w.ticket = ticket;
    return w.no_streams ? PG_DNS_NO_STREAM : w.streams++;
}

static void on_stop_stream(void *arg, uint32_t stream)
{
    w.stopped++;
}

static void on_answer(void *arg, const struct pg_dns_client *client, const void *message,
                      uint32_t len)
{
    w.answers++;
    w.answer_len = len;
    memcpy(w.answer, message, len);
}

static bool on_told(void *arg, uint32_t label)
{
    return false;
}

static int begin(void **state)
{
    struct pg_dns_forward_options o = {.send = on_send,
                                       .ask_stream = on_ask_stream,
                                       .stop_stream = on_stop_stream,
                                       .answer = on_answer,
                                       .told = on_told,
                                       .counters = &w.counters,
                                       .random = &w.random};

    memset(&w, 0, sizeof(w));
    w.now_us = 1000000;
    w.cluster = dns_fixture_load(lab, "", "");
    pg_random_seed(&w.random, 1);
    w.f = pg_dns_forward_new(&o, w.now_us);
    pg_dns_forward_load(w.f, w.cluster.snapshot, w.cluster.zone);
    return 0;
}

static int finish(void **state)
{
    pg_dns_forward_free(w.f);
    dns_fixture_free(&w.cluster);
    return 0;
}

static bool ask_by(const char *name, uint16_t edns_size, bool over_tcp)
{
    struct dns_question question = {.name = name, .type = PG_DNS_A, .edns_size = edns_size};
    struct pg_dns_client client = {.label = 1, .over_tcp = over_tcp};
    struct pg_dns_answer about;
    uint8_t query[512];
    uint8_t out[512];
    uint32_t len = dns_query_build(&question, query);

    pg_dns_answer(w.cluster.zone, query, len, false, 0, out, sizeof(out), &about);
    return pg_dns_forward_ask(w.f, query, len, &about, &client);
}

static bool ask(const char *name, uint16_t edns_size)
{
    return ask_by(name, edns_size, false);
}

static void pass(uint32_t ms)
{
    for (uint32_t i = 0; i < ms; i += 10) {
        w.now_us += 10000;
        pg_dns_forward_advance(w.f, w.now_us);
    }
}

static struct sent *last(void)
{
    return &w.sent[(w.sent_count - 1) % MOST];
}

static bool is_probe(const struct sent *s)
{
    return s->message[12] == 0; /* the root's name */
}

static struct sent *last_question(void)
{
    uint32_t i = w.sent_count - 1;

    while (is_probe(&w.sent[i % MOST])) {
        i--;
    }
    return &w.sent[i % MOST];
}

/* The answer to what was sent, one address with this time to live; flags as given. */
static uint32_t build_answer(const struct sent *s, uint8_t ttl, uint8_t flags, uint8_t *out)
{
    static const uint8_t head[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0};
    uint32_t end = 12 + pg_dns_name_len(s->message + 12) + 4;

    memcpy(out, s->message, end);
    out[2] = (uint8_t)(0x81 | flags);
    out[3] = 0x80;
    memset(out + 6, 0, 6);
    out[7] = 1;
    memcpy(out + end, head, sizeof(head));
    end += sizeof(head);
    memcpy(out + end, (const uint8_t[]){ttl, 0, 4, 192, 0, 2, 80}, 7);
    return end + 7;
}

static void reply(const struct sent *s, uint8_t ttl, uint8_t flags)
{
    struct pg_tuple back = pg_tuple_invert(&s->tuple);
    uint8_t m[512];
    uint32_t len = build_answer(s, ttl, flags, m);

    pg_dns_forward_reply(w.f, &back, m, len);
}

static uint32_t rcode(void)
{
    return w.answer[3] & 0x0f;
}

/* ---- tests ---- */

static void ids_and_ports_are_drawn_anew_for_each_attempt(void **state)
{
    uint32_t same_id = 0;
    uint32_t same_port = 0;

    for (uint32_t i = 0; i < 200; i++) {
        assert_true(ask("a.example.org", 0));
    }
    for (uint32_t i = 1; i < 200; i++) {
        same_id += memcmp(w.sent[i].message, w.sent[i - 1].message, 2) == 0;
        same_port += w.sent[i].tuple.src_port == w.sent[i - 1].tuple.src_port;
        assert_true(w.sent[i].tuple.src_port >= 1024);
    }
    assert_true(same_id < 3);
    assert_int_equal(same_port, 0);
}

static void the_id_and_spelling_of_the_client_come_back(void **state)
{
    assert_true(ask("A.eXample.org", 0));
    assert_memory_equal(last()->message + 12, "\1A\7eXample\3org", 14);
    reply(last(), 60, 0);
    assert_int_equal(w.answers, 1);
    assert_int_equal(w.answer[0] << 8 | w.answer[1], 0x4711);
    assert_memory_equal(w.answer + 12, "\1A\7eXample\3org", 14);
    assert_int_equal(pg_dns_forward_waiting(w.f), 0);
}

static void kept_answers_grow_old_and_end(void **state)
{
    uint32_t end = 12 + 15 + 4;

    assert_true(ask("a.example.org", 0));
    reply(last(), 60, 0);
    pass(20000);
    assert_true(ask("A.EXAMPLE.ORG", 0));
    assert_int_equal(w.sent_count, 1);
    assert_int_equal(w.answer[end + 9], 40);
    assert_memory_equal(w.answer + 12, "\1A\7EXAMPLE\3ORG", 14);
    assert_true(ask("a.example.org", 1232)); /* with EDNS it is another question */
    assert_int_equal(w.sent_count, 2);
    pass(41000);
    assert_true(ask("a.example.org", 0));
    assert_true(w.sent_count > 2);
}

static void what_is_kept_is_listed_with_its_age_and_its_rest(void **state)
{
    struct pg_dns_kept k;
    uint32_t cursor = 0;

    assert_false(pg_dns_kept_next(w.f, &cursor, &k));
    assert_true(ask("A.example.org", 0));
    reply(last(), 60, 0);
    pass(20000);
    assert_true(ask("b.example.org", 0));
    reply(last(), 10, 0);
    cursor = 0;
    assert_true(pg_dns_kept_next(w.f, &cursor, &k));
    assert_string_equal(k.name, "A.example.org.");
    assert_string_equal(k.type, "A");
    assert_string_equal(k.status, "NOERROR");
    assert_int_equal(k.age_s, 20);
    assert_int_equal(k.left_s, 40);
    assert_true(pg_dns_kept_next(w.f, &cursor, &k));
    assert_string_equal(k.name, "b.example.org.");
    assert_false(pg_dns_kept_next(w.f, &cursor, &k));
    pass(10000); /* the second is over, though nobody asked for it since */
    cursor = 0;
    assert_true(pg_dns_kept_next(w.f, &cursor, &k));
    assert_false(pg_dns_kept_next(w.f, &cursor, &k));
}

static void a_cut_answer_is_passed_on_and_not_kept(void **state)
{
    assert_true(ask("a.example.org", 0));
    reply(last(), 60, 0x02);
    assert_true(w.answer[2] & 0x02);
    assert_int_equal(pg_dns_forward_cached(w.f), 0);
}

static void behind_an_alias_a_cut_answer_stays_cut(void **state)
{
    assert_true(ask("out.shop.svc.cluster.local", 0));
    assert_memory_equal(last()->message + 12, "\2db\7example\3org", 16);
    reply(last(), 60, 0x02);
    assert_int_equal(w.answers, 1);
    assert_int_equal(w.answer[7], 2); /* the alias, and the one address that is known */
    assert_true(w.answer[2] & 0x02);
}

static void short_lives_are_kept_for_five_seconds(void **state)
{
    assert_true(ask("a.example.org", 0));
    reply(last(), 0, 0);
    pass(4900);
    assert_true(ask("a.example.org", 0));
    assert_int_equal(w.sent_count, 1);
    pass(200);
    assert_true(ask("a.example.org", 0));
    assert_int_equal(w.sent_count, 2);
}

static void the_cache_has_an_end(void **state)
{
    char name[64];

    for (uint32_t i = 0; i < 3000; i++) {
        (void)snprintf(name, sizeof(name), "n%u.example.org", i);
        assert_true(ask(name, 0));
        reply(last(), 200, 0);
    }
    assert_int_equal(pg_dns_forward_cached(w.f), 2048);
    assert_int_equal(w.answers, 3000);
}

static void after_two_failures_a_server_is_left_out_until_it_answers(void **state)
{
    uint32_t asked[2] = {0};
    struct pg_addr first;

    assert_int_equal(pg_addr_parse("192.0.2.1", 9, &first), 0);
    for (uint32_t i = 0; i < 40; i++) { /* the first never answers, the second does */
        assert_true(ask("a.example.org", i % 2 ? 1232 : 0));
        for (uint32_t step = 0; step < 8; step++) {
            struct sent *s = last_question();

            if (pg_dns_forward_waiting(w.f) && !pg_addr_equal(&s->tuple.dst, &first)) {
                reply(s, 0, 0x02); /* cut: nothing is kept */
            }
            pass(500);
        }
        assert_int_equal(w.answers, i + 1);
        assert_int_equal(rcode(), 0);
    }
    assert_int_equal(w.counters.value[PG_COUNT_DNS_UPSTREAM_DOWN], 1);
    for (uint32_t i = 0; i < w.sent_count && i < MOST; i++) {
        asked[!pg_addr_equal(&w.sent[i].tuple.dst, &first)] += !is_probe(&w.sent[i]);
        assert_true(!is_probe(&w.sent[i]) || pg_addr_equal(&w.sent[i].tuple.dst, &first));
    }
    assert_int_equal(asked[0], 2);
    assert_int_equal(asked[1], 40);
    assert_true(w.sent_count > 100); /* a probe each half second */
    struct sent *probe = last();

    reply(probe, 0, 0); /* any answer will do */
    uint32_t before = w.sent_count;

    pass(3000);
    assert_int_equal(w.sent_count, before);
}

static void with_all_servers_down_one_is_tried(void **state)
{
    for (uint32_t i = 0; i < 4; i++) {
        assert_true(ask("a.example.org", 0));
        pass(5100);
        assert_int_equal(w.answers, i + 1);
        assert_int_equal(rcode(), 2); /* SERVFAIL */
    }
    assert_int_equal(w.counters.value[PG_COUNT_DNS_UPSTREAM_DOWN], 2);
    uint64_t before = w.counters.value[PG_COUNT_DNS_FORWARDED];

    assert_true(ask("a.example.org", 0));
    assert_int_equal(w.counters.value[PG_COUNT_DNS_FORWARDED], before + 1);
}

static void beyond_a_thousand_at_once_is_refused(void **state)
{
    for (uint32_t i = 0; i < 1000; i++) {
        assert_true(ask("a.example.org", 0));
    }
    assert_int_equal(w.answers, 0);
    assert_true(ask("a.example.org", 0));
    assert_int_equal(w.answers, 1);
    assert_int_equal(rcode(), 5);
    assert_int_equal(w.counters.value[PG_COUNT_DNS_FORWARD_BUSY], 1);
}

static void answers_from_elsewhere_are_dropped(void **state)
{
    struct sent s;

    assert_true(ask("a.example.org", 0));
    s = *last();
    s.message[1] ^= 1; /* id */
    reply(&s, 60, 0);
    s = *last();
    s.tuple.dst.bytes[15] ^= 4; /* server */
    reply(&s, 60, 0);
    s = *last();
    s.tuple.dst_port ^= 1; /* its port */
    reply(&s, 60, 0);
    s = *last();
    s.tuple.src.bytes[15] ^= 1; /* to another address of ours */
    reply(&s, 60, 0);
    assert_int_equal(w.answers, 0);
    assert_int_equal(w.counters.value[PG_COUNT_DNS_REPLIES_DROPPED], 4);
    s = *last();
    s.message[13] ^= 0x20; /* the spelling */
    reply(&s, 60, 0);
    assert_int_equal(w.answers, 1);
    assert_int_equal(rcode(), 1); /* FORMERR */
    assert_int_equal(pg_dns_forward_cached(w.f), 0);
}

static void unreachable_is_as_good_as_silence_and_faster(void **state)
{
    assert_true(ask("a.example.org", 0));
    struct pg_tuple first = last()->tuple;

    pg_dns_forward_unreachable(w.f, &first);
    assert_int_equal(w.sent_count, 2);
    assert_false(pg_addr_equal(&first.dst, &last()->tuple.dst));
    pg_dns_forward_unreachable(w.f, &first); /* again: it is about nothing now */
    assert_int_equal(w.sent_count, 2);
}

static void who_refuses_at_once_is_not_asked_for_five_seconds(void **state)
{
    assert_true(ask("a.example.org", 0));
    for (uint32_t i = 0; i < 100 && w.answers == 0; i++) {
        struct pg_tuple sent = last_question()->tuple;

        pg_dns_forward_unreachable(w.f, &sent);
    }
    assert_int_equal(w.answers, 1);
    assert_int_equal(rcode(), 2);
    assert_int_equal(w.counters.value[PG_COUNT_DNS_FORWARDED], 4); /* two servers, and two more */
}

/* ---- over TCP ---- */

static void reply_on_stream(uint8_t flags, bool good_id)
{
    uint8_t m[512];
    uint32_t len = build_answer(&w.stream, 60, flags, m);

    m[1] ^= !good_id;
    pg_dns_forward_stream_reply(w.f, w.ticket, m, len);
}

static void a_cut_answer_is_asked_for_over_tcp_if_its_client_came_by_tcp(void **state)
{
    assert_true(ask_by("A.eXample.org", 0, true));
    struct sent first = *last();

    reply(&first, 60, 0x02);
    assert_int_equal(w.answers, 0);
    assert_int_equal(w.streams, 1);
    assert_true(pg_addr_equal(&w.stream.tuple.dst, &first.tuple.dst));
    assert_int_equal(w.stream.tuple.dst_port, first.tuple.dst_port);
    assert_int_equal(w.stream.tuple.proto, PG_PROTO_TCP);
    assert_memory_equal(w.stream.message + 12, "\1A\7eXample\3org", 14);
    assert_memory_not_equal(w.stream.message, first.message, 2); /* an id of its own */
    reply(&first, 60, 0); /* late: nobody waits at that port */
    assert_int_equal(w.answers, 0);
    reply_on_stream(0, true);
    assert_int_equal(w.answers, 1);
    assert_int_equal(rcode(), 0);
    assert_int_equal(w.answer[0] << 8 | w.answer[1], 0x4711);
    assert_int_equal(w.stopped, 0); /* it ended by itself */
    assert_int_equal(pg_dns_forward_waiting(w.f), 0);
    assert_true(ask("a.example.org", 0)); /* it is kept for everybody */
    assert_int_equal(w.answers, 2);
    assert_int_equal(w.counters.value[PG_COUNT_DNS_FORWARDED_TCP], 1);
}

static void a_connection_that_fails_leads_to_the_other_server(void **state)
{
    assert_true(ask_by("a.example.org", 0, true));
    struct sent first = *last();

    reply(&first, 60, 0x02);
    pg_dns_forward_stream_failed(w.f, w.ticket);
    assert_int_equal(w.sent_count, 2);
    assert_false(pg_addr_equal(&first.tuple.dst, &last()->tuple.dst));
    reply(last(), 60, 0x02);
    reply_on_stream(0, false); /* somebody else's answer */
    assert_int_equal(w.counters.value[PG_COUNT_DNS_REPLIES_DROPPED], 1);
    assert_int_equal(w.answers, 0);
    pg_dns_forward_stream_failed(w.f, w.ticket); /* that one is over: nothing happens */
    assert_int_equal(w.sent_count, 3);
    assert_int_equal(w.stopped, 0);
}

static void a_connection_that_is_silent_is_stopped_after_two_seconds(void **state)
{
    assert_true(ask_by("a.example.org", 0, true));
    reply(last(), 60, 0x02);
    pass(1900);
    assert_int_equal(w.stopped, 0);
    pass(200);
    assert_int_equal(w.stopped, 1);
    assert_int_equal(w.answers, 0);
    pass(3000); /* the other server says nothing at all */
    assert_int_equal(w.answers, 1);
    assert_int_equal(rcode(), 2);
    pg_dns_forward_stream_failed(w.f, w.ticket); /* nobody waits any more */
    assert_int_equal(w.answers, 1);
}

static void what_is_cut_over_tcp_too_is_servfail(void **state)
{
    assert_true(ask_by("a.example.org", 0, true));
    reply(last(), 60, 0x02);
    reply_on_stream(0x02, true);
    assert_int_equal(w.answers, 1);
    assert_int_equal(rcode(), 2);
    w.no_streams = true;
    assert_true(ask_by("b.example.org", 0, true));
    reply(last(), 60, 0x02);
    assert_int_equal(w.answers, 2);
    assert_int_equal(rcode(), 2);
    assert_int_equal(w.counters.value[PG_COUNT_DNS_TCP_BUSY], 1);
    assert_int_equal(pg_dns_forward_waiting(w.f), 0);
}

static void other_servers_begin_with_an_empty_cache(void **state)
{
    struct dns_fixture other = dns_fixture_load(
        "apiVersion: podglass/v1alpha1\nkind: Lab\nspec:\n"
        "  dns: {address: 10.96.0.10, upstream: ['[2001:db8::53]:5300', 192.0.2.9]}\n",
        "", "");

    assert_true(ask("a.example.org", 0));
    reply(last(), 60, 0);
    assert_true(ask("b.example.org", 0));
    struct sent old = *last();

    pg_dns_forward_load(w.f, w.cluster.snapshot, w.cluster.zone); /* nothing changed */
    assert_int_equal(pg_dns_forward_cached(w.f), 1);
    pg_dns_forward_load(w.f, other.snapshot, other.zone);
    assert_int_equal(pg_dns_forward_cached(w.f), 0);
    reply(&old, 60, 0); /* nobody is asked there any more */
    assert_int_equal(w.answers, 1);
    pass(2100);
    reply(last(), 60, 0); /* there is no IPv6 address of ours, so it is the other one */
    assert_int_equal(w.answers, 2);
    pg_dns_forward_load(w.f, w.cluster.snapshot, w.cluster.zone);
    pg_zone_free(other.zone);
    pg_snapshot_put(other.snapshot);
}

static void nothing_that_comes_in_is_read_beyond_its_end(void **state)
{
    uint8_t m[512];

    for (uint32_t i = 0; i < 4000; i++) {
        assert_true(ask("a.example.org", 0));
        struct pg_tuple back = pg_tuple_invert(&last()->tuple);
        uint32_t len = build_answer(last(), 60, 0, m);
        uint32_t cut = pg_random_below(&w.random, len + 1);

        for (uint32_t k = 0; k < 3; k++) {
            m[2 + pg_random_below(&w.random, len - 2)] = (uint8_t)pg_random_u64(&w.random);
        }
        uint8_t *exact = malloc(cut ? cut : 1);

        memcpy(exact, m, cut);
        pg_dns_forward_reply(w.f, &back, exact, cut);
        free(exact);
        if (i % 100 == 99) {
            pass(6000);
        }
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)
    const struct CMUnitTest tests[] = {
        TEST(ids_and_ports_are_drawn_anew_for_each_attempt),
        TEST(the_id_and_spelling_of_the_client_come_back),
        TEST(kept_answers_grow_old_and_end),
        TEST(what_is_kept_is_listed_with_its_age_and_its_rest),
        TEST(a_cut_answer_is_passed_on_and_not_kept),
        TEST(behind_an_alias_a_cut_answer_stays_cut),
        TEST(short_lives_are_kept_for_five_seconds),
        TEST(the_cache_has_an_end),
        TEST(after_two_failures_a_server_is_left_out_until_it_answers),
        TEST(with_all_servers_down_one_is_tried),
        TEST(beyond_a_thousand_at_once_is_refused),
        TEST(answers_from_elsewhere_are_dropped),
        TEST(unreachable_is_as_good_as_silence_and_faster),
        TEST(who_refuses_at_once_is_not_asked_for_five_seconds),
        TEST(a_cut_answer_is_asked_for_over_tcp_if_its_client_came_by_tcp),
        TEST(a_connection_that_fails_leads_to_the_other_server),
        TEST(a_connection_that_is_silent_is_stopped_after_two_seconds),
        TEST(what_is_cut_over_tcp_too_is_servfail),
        TEST(other_servers_begin_with_an_empty_cache),
        TEST(nothing_that_comes_in_is_read_beyond_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
