/* What an upstream DNS server may answer: to a question of its own name, or behind an alias of ours; as a datagram, or by TCP after a cut one.
 *
 * Byte 0, bit 0: the client came by TCP, bit 1: it asked for an alias of ours, bit 2: the answer has the right id, bit 3: and the question as
 * asked, before the rest of the input; bit 4: EDNS. What must hold: nothing is read behind an answer; a client is answered once at most, and in the end once; what it gets is well
 * formed, has its id and its question; what is kept can be listed and found again. */
#include "../unit/dns/dns_fixture.h"
#include "podglass/dns_forward.h"
#include "podglass/dns_list.h"
#include "podglass/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static const char lab[] = "apiVersion: podglass/v1alpha1\n"
                          "kind: Lab\n"
                          "spec:\n"
                          "  dns: {address: 10.96.0.10, upstream: [192.0.2.1]}\n"
                          "---\n"
                          "apiVersion: v1\n"
                          "kind: Service\n"
                          "metadata: {namespace: shop, name: out}\n"
                          "spec: {type: ExternalName, externalName: db.example.org}\n";

static struct world {
    struct dns_fixture cluster;
    struct pg_counters counters;
    struct pg_random random;
    struct pg_dns_forward *f;
    uint64_t now_us;
    struct pg_tuple tuple; /* of what was asked last */
    uint8_t asked[512];
    uint32_t asked_len;
    struct pg_dns_ticket ticket;
    bool on_stream;
    uint8_t query[512]; /* the client's */
    uint32_t query_len;
    uint32_t answers;
} w;

static void keep(const struct pg_tuple *tuple, const void *message, uint32_t len)
{
    w.tuple = *tuple;
    w.asked_len = len;
    memcpy(w.asked, message, len);
}

static void on_send(void *arg, const struct pg_tuple *tuple, uint32_t label, const void *message,
                    uint32_t len)
{
    (void)arg;
    (void)label;
    keep(tuple, message, len);
}

static uint32_t on_ask_stream(void *arg, const struct pg_tuple *tuple, uint32_t label,
                              struct pg_dns_ticket ticket, const void *message, uint32_t len)
{
    (void)arg;
    (void)label;
    keep(tuple, message, len);
    w.ticket = ticket;
    w.on_stream = true;
    return 0;
}

static void on_stop_stream(void *arg, uint32_t stream)
{
    (void)arg;
    (void)stream;
    w.on_stream = false;
}

static void on_answer(void *arg, const struct pg_dns_client *client, const void *message,
                      uint32_t len)
{
    const uint8_t *m = message;
    uint64_t cursor = 0;
    struct pg_dns_rr rr;
    bool bad = false;

    (void)arg;
    (void)client;
    w.answers++;
    PG_ASSERT(len >= PG_DNS_HEADER && m[0] == w.query[0] && m[1] == w.query[1] && (m[2] & 0x80));
    PG_ASSERT(m[5] == 1 && len >= w.query_len - 11u * w.query[11]);
    PG_ASSERT(memcmp(m + PG_DNS_HEADER, w.query + PG_DNS_HEADER,
                     w.query_len - PG_DNS_HEADER - 11u * w.query[11]) == 0);
    while (pg_dns_rr_next(m, len, &cursor, &rr, &bad)) {
    }
    PG_ASSERT(!bad);
}

static bool on_told(void *arg, uint32_t label)
{
    (void)arg;
    (void)label;
    return true;
}

static void on_tell(void *arg, const struct pg_dns_event *e)
{
    (void)arg;
    PG_ASSERT(strlen(e->name) < PG_DNS_NAME_TEXT);
}

static void open_world(void)
{
    struct pg_dns_forward_options o = {.send = on_send,
                                       .ask_stream = on_ask_stream,
                                       .stop_stream = on_stop_stream,
                                       .answer = on_answer,
                                       .tell = on_tell,
                                       .told = on_told,
                                       .counters = &w.counters,
                                       .random = &w.random};

    w.now_us = 1000000;
    w.cluster = dns_fixture_load(lab, "", "");
    pg_random_seed(&w.random, 1);
    w.f = pg_dns_forward_new(&o, w.now_us);
    PG_ASSERT(w.f);
    pg_dns_forward_load(w.f, w.cluster.snapshot, w.cluster.zone);
}

static void ask(uint8_t control)
{
    static uint8_t out[65535];
    struct dns_question question = {.name = control & 2 ? "out.shop.svc.cluster.local"
                                                        : "a.example.org",
                                    .type = PG_DNS_A,
                                    .edns_size = control & 16 ? 1232 : 0};
    struct pg_dns_client client = {.label = 1, .over_tcp = control & 1};
    struct pg_dns_answer about;

    w.query_len = dns_query_build(&question, w.query);
    PG_ASSERT(pg_dns_answer(w.cluster.zone, w.query, w.query_len, client.over_tcp, 0, out,
                            sizeof(out), &about) > 0);
    PG_ASSERT(pg_dns_forward_ask(w.f, w.query, w.query_len, &about, &client));
}

/* The server's message, in a block of its size. */
static void answer(uint8_t control, const uint8_t *bytes, uint32_t len)
{
    struct pg_tuple back = pg_tuple_invert(&w.tuple);
    uint32_t question = control & 8 ? w.asked_len - PG_DNS_HEADER - 11u * w.asked[11] : 0;
    uint32_t head = len < PG_DNS_HEADER ? len : PG_DNS_HEADER;
    uint8_t *m = malloc(len + question + 1);

    PG_ASSERT(m);
    memcpy(m, bytes, head);
    if (head == PG_DNS_HEADER) {
        memcpy(m + head, w.asked + PG_DNS_HEADER, question);
        memcpy(m + head + question, bytes + head, len - head);
        len += question;
        memcpy(m, w.asked, control & 4 ? 2 : 0);
        m[4] = control & 8 ? 0 : m[4];
        m[5] = control & 8 ? 1 : m[5];
    }
    uint8_t *exact = malloc(len ? len : 1);

    PG_ASSERT(exact);
    memcpy(exact, m, len);
    if (w.on_stream) {
        w.on_stream = false;
        pg_dns_forward_stream_reply(w.f, w.ticket, exact, len);
    } else {
        (void)pg_dns_forward_reply(w.f, &back, exact, len);
    }
    free(exact);
    free(m);
}

static void list_kept(void)
{
    struct pg_dns_line line = {.data = {0}};
    struct pg_dns_kept k;
    uint32_t cursor = 0;

    while (pg_dns_kept_next(w.f, &cursor, &k)) {
        uint64_t at = 0;

        while (pg_dns_line_next(k.message, k.len, &at, &line)) {
            PG_ASSERT(line.data.at && strlen(line.data.at) == line.data.len);
        }
    }
    pg_text_free(&line.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (!w.f) {
        open_world();
    }
    if (len < 1 || len > 60000) {
        return 0;
    }
    w.answers = 0;
    w.on_stream = false;
    ask(bytes[0]);
    answer(bytes[0], bytes + 1, (uint32_t)len - 1);
    if (w.on_stream) { /* a cut one: now without that bit */
        uint8_t *whole = malloc(len);

        PG_ASSERT(whole);
        memcpy(whole, bytes, len);
        if (len > 3) {
            whole[3] &= (uint8_t)~0x02u;
        }
        answer(bytes[0], whole + 1, (uint32_t)len - 1);
        free(whole);
    }
    PG_ASSERT(w.answers <= 1);
    list_kept();
    for (uint32_t i = 0; i < 12; i++) { /* to the end of all waiting */
        w.now_us += 500000;
        pg_dns_forward_advance(w.f, w.now_us);
    }
    PG_ASSERT(w.answers == 1 && pg_dns_forward_waiting(w.f) == 0);
    ask(bytes[0]); /* out of the cache, or anew */
    PG_ASSERT(w.answers <= 2);
    w.now_us += UINT64_C(4000000000);
    pg_dns_forward_advance(w.f, w.now_us);
    PG_ASSERT(w.answers == 2);
    return 0;
}
