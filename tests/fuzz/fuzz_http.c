/* HTTP heads and chunked bodies from strangers. The first byte says what follows: Q a request, R a response, C a chunked body.
 *
 * Invariants: spans lie in the head; byte by byte comes to the same as in one go; what is rewritten parses again, strictly, as
 * exactly one message with the same framing and exactly one chain, whoever sent it. */
#include "podglass/http.h"
#include "podglass/ingress_decide.h"
#include "podglass/log.h"

#include "http_grammar.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIELDS_OF_OURS 8 /* what a rewrite may add */

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static struct pg_http_head head, again;
static char out[4 * PG_HTTP_MAX_HEAD];

static void check_span(const struct pg_http_head *h, struct pg_span s)
{
    PG_ASSERT(s.at <= h->head_len && s.len <= h->head_len - s.at);
}

static void check_head(const struct pg_http_head *h, uint32_t len)
{
    PG_ASSERT(h->head_len <= len && h->head_len <= PG_HTTP_MAX_HEAD);
    PG_ASSERT(h->field_count <= PG_HTTP_MAX_FIELDS);
    PG_ASSERT(h->content_length <= INT64_MAX);
    check_span(h, h->method);
    check_span(h, h->target);
    check_span(h, h->authority);
    check_span(h, h->path);
    check_span(h, h->host);
    check_span(h, h->phrase);
    for (uint32_t i = 0; i < h->field_count; i++) {
        check_span(h, h->fields[i].name);
        check_span(h, h->fields[i].value);
        PG_ASSERT(h->fields[i].name.len > 0 && h->fields[i].id < PG_HTTP_NAME_COUNT);
    }
}

static int parse(enum pg_http_kind kind, const char *at, uint32_t len, struct pg_http_head *ret,
                 enum pg_http_error *ret_error)
{
    struct pg_http_scan scan = {0};
    *ret_error = PG_HTTP_ERROR_NONE;
    return pg_http_parse(kind, &scan, at, len, ret, ret_error);
}

/* In steps; the result must be that of one go. */
static void check_dribble(enum pg_http_kind kind, const char *at, uint32_t len, int want,
                          enum pg_http_error want_error, uint32_t step)
{
    struct pg_http_scan scan = {0};
    enum pg_http_error error = PG_HTTP_ERROR_NONE;
    int err = -EAGAIN;
    uint32_t have = 0;
    while (have < len && err == -EAGAIN) {
        have = len - have < step ? len : have + step;
        err = pg_http_parse(kind, &scan, at, have, &again, &error);
    }
    PG_ASSERT(err == want && (err != -EBADMSG || error == want_error));
    if (err == 0) {
        PG_ASSERT(again.head_len == head.head_len && again.field_count == head.field_count);
        PG_ASSERT(memcmp(&again.fields, &head.fields, head.field_count * sizeof(head.fields[0])) ==
                  0);
        PG_ASSERT(again.body == head.body && again.content_length == head.content_length);
    }
}

static uint32_t count(const struct pg_http_head *h, enum pg_http_name id)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < h->field_count; i++)
        n += h->fields[i].id == id;
    return n;
}

/* Normalising what was normalised changes nothing: what is matched is what is sent. */
static void check_path(struct pg_slice path)
{
    static char normal[PG_HTTP_MAX_LINE];
    PG_ASSERT(path.len <= sizeof(normal));
    uint32_t len = pg_http_path_normalise(path, false, normal);
    PG_ASSERT(len == path.len && memcmp(normal, path.at, len) == 0);
}

static void check_rewrite(const char *at, bool trusted)
{
    struct pg_prefix all = {.addr = pg_addr_v4(0, 0, 0, 0), .bits = 96};
    struct pg_trust trust = {.trusted = &all, .trusted_count = trusted ? 1 : 0};
    struct pg_addr hop = pg_addr_v4(198, 51, 100, 7);
    struct pg_client_addr who;
    enum pg_http_error error;
    pg_client_addr_decide(&trust, &hop, &head, at, &who);
    struct pg_http_rewrite_in in = {.head = &head,
                                    .bytes = at,
                                    .who = &who,
                                    .local_port = 80,
                                    .scheme = "http",
                                    .body = head.body,
                                    .content_length = head.content_length,
                                    .request_id = "0123456789abcdef0123456789abcdef"};
    int64_t len = pg_http_rewrite(&in, out, sizeof(out));
    PG_ASSERT(len > 0 && len <= (int64_t)sizeof(out));
    int err = parse(PG_HTTP_REQUEST, out, (uint32_t)len, &again, &error);
    if (error == PG_HTTP_ERROR_TOO_MANY_FIELDS &&
        head.field_count + FIELDS_OF_OURS > PG_HTTP_MAX_FIELDS)
        return;
    if (error == PG_HTTP_ERROR_HEAD_TOO_LARGE && len > PG_HTTP_MAX_HEAD)
        return;
    PG_ASSERT(err == 0 && again.head_len == len);
    PG_ASSERT(again.body == head.body && again.content_length == head.content_length);
    PG_ASSERT(count(&again, PG_HTTP_NAME_X_FORWARDED_FOR) == 1);
    PG_ASSERT(count(&again, PG_HTTP_NAME_X_REAL_IP) == 1);
    PG_ASSERT(count(&again, PG_HTTP_NAME_CONNECTION) == 0);
    check_path(pg_span_slice(out, again.path));
}

static void check_response_rewrite(const char *at)
{
    enum pg_http_error error;
    pg_http_response_body(&head, false, false);
    int64_t len = pg_http_rewrite_response(&head, at, head.body, head.content_length, false, true,
                                           NULL, 0, NULL, out, sizeof(out));
    PG_ASSERT(len > 0 && len <= (int64_t)sizeof(out));
    int err = parse(PG_HTTP_RESPONSE, out, (uint32_t)len, &again, &error);
    if (error == PG_HTTP_ERROR_HEAD_TOO_LARGE || error == PG_HTTP_ERROR_TOO_MANY_FIELDS)
        return;
    PG_ASSERT(err == 0 && again.head_len == len && again.status == head.status);
    if (head.body != PG_HTTP_BODY_NONE)
        PG_ASSERT(again.body == head.body && again.content_length == head.content_length);
}

static void fuzz_head(enum pg_http_kind kind, const char *at, uint32_t len)
{
    enum pg_http_error error;
    int err = parse(kind, at, len, &head, &error);
    PG_ASSERT(err == 0 || err == -EAGAIN || err == -EBADMSG);
    PG_ASSERT((err == -EBADMSG) == (error != PG_HTTP_ERROR_NONE));
    if (err == 0)
        check_head(&head, len);
    check_dribble(kind, at, len, err, error, 1);
    check_dribble(kind, at, len, err, error, 7);
    if (err != 0)
        return;
    if (kind == PG_HTTP_RESPONSE) {
        check_response_rewrite(at);
    } else {
        check_rewrite(at, false);
        check_rewrite(at, true);
    }
}

/* ---- chunks ---- */

/* The other way to read: framing by bytes, data unseen. */
static uint64_t skim(const char *at, uint64_t len, uint64_t step)
{
    struct pg_http_chunks c = {0};
    enum pg_http_error error;
    uint64_t used = 0, data = 0;
    while (used < len && !c.done) {
        uint64_t n = len - used < step ? len - used : step;
        if (c.left > 0) {
            n = n < c.left ? n : c.left;
            pg_http_chunks_skip(&c, n);
            used += n;
            data += n;
            continue;
        }
        int64_t framing = pg_http_chunks_framing(&c, at + used, n, &error);
        if (framing < 0)
            return data;
        PG_ASSERT(framing > 0 && (uint64_t)framing <= n);
        used += (uint64_t)framing;
    }
    return data;
}

struct decoded {
    uint64_t used, data, hash;
    enum pg_http_error error;
    bool done;
};

static struct decoded decode(const char *at, uint64_t len, uint64_t step)
{
    struct pg_http_chunks c = {0};
    struct decoded d = {.hash = 1};
    while (d.used < len && !c.done) {
        uint64_t n = len - d.used < step ? len - d.used : step;
        uint64_t data_at = 0, data_len = 0;
        int64_t used = pg_http_chunks_next(&c, at + d.used, n, &data_at, &data_len, &d.error);
        if (used < 0) {
            PG_ASSERT(used == -EBADMSG && d.error != PG_HTTP_ERROR_NONE);
            d.used = 0; /* where in a piece it broke is not told */
            return d;
        }
        PG_ASSERT((uint64_t)used <= n && data_at <= (uint64_t)used &&
                  data_len <= (uint64_t)used - data_at);
        PG_ASSERT(used > 0);
        for (uint64_t i = 0; i < data_len; i++)
            d.hash = d.hash * 31 + (uint8_t)at[d.used + data_at + i];
        d.data += data_len;
        d.used += (uint64_t)used;
    }
    d.done = c.done;
    return d;
}

static void fuzz_chunks(const char *at, uint64_t len)
{
    struct decoded whole = decode(at, len, UINT64_MAX);
    for (uint64_t step = 1; step < 9; step += 3) {
        struct decoded cut = decode(at, len, step);
        PG_ASSERT(cut.error == whole.error && cut.done == whole.done && cut.used == whole.used);
        PG_ASSERT(cut.data == whole.data && cut.hash == whole.hash);
        PG_ASSERT(skim(at, len, step) == whole.data);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len < 2 || len > 70000)
        return 0;
    /* A block of exactly its size, so that a read behind it is seen. */
    char *copy = malloc(len - 1);
    PG_ASSERT(copy);
    memcpy(copy, bytes + 1, len - 1);
    if (bytes[0] == 'Q')
        fuzz_head(PG_HTTP_REQUEST, copy, (uint32_t)len - 1);
    else if (bytes[0] == 'R')
        fuzz_head(PG_HTTP_RESPONSE, copy, (uint32_t)len - 1);
    else
        fuzz_chunks(copy, len - 1);
    free(copy);
    return 0;
}
