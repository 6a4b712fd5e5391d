/* Heads of HTTP/1.1 messages, strictly: one outcome per byte sequence, whatever way the bytes were cut into segments.
 *
 * Called by `session.c` for both legs and by the lab's pods and clients. A head is read line by line. Whether a line is
 * right is a question to that line alone, and is asked once its LF has come; what needs several lines (two Hosts, a length beside
 * chunked) is asked at the end of the head. So the answer cannot depend on where a segment ended. A first
 * byte that no message begins with is refused at once: a TLS hello has no LF.
 *
 * One pass for a head that is all there. A head that dribbles is checked line by line as lines become complete, and read a
 * second time when its end has come: results live in the caller's scratch and need not survive between calls.
 *
 * Owns nothing, allocates nothing. Always true: nothing at or behind bytes[len] is read; spans lie inside the head.
 * Not handled: HTTP/0.9, HTTP/2 prefaces, field lines that continue (all refused). */
#include "http_grammar.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#define LINE_BAD               (-1)
#define LINE_MORE              (-2)
#define MAX_CONNECTION_OPTIONS 64 /* each is compared with each field when hop-by-hop fields go */

struct reader {
    enum pg_http_kind kind;
    const char *bytes;
    uint32_t len; /* at most PG_HTTP_MAX_HEAD */
    struct pg_http_head *head;
    enum pg_http_error error;
    bool complete;
};

static int64_t bad(struct reader *r, enum pg_http_error error)
{
    r->error = error;
    return LINE_BAD;
}

static uint32_t span_end(const struct reader *r, uint32_t at, uint8_t classes)
{
    while (at < r->len && pg_http_is(r->bytes[at], classes))
        at++;
    return at;
}

static uint64_t any_below_or(uint64_t word, uint8_t below, uint8_t other)
{
    const uint64_t ones = ~UINT64_C(0) / 255;
    uint64_t x = word ^ (ones * other);
    uint64_t less = (word - ones * below) & ~word;
    uint64_t same = (x - ones) & ~x;
    return (less | same) & (ones * 128);
}

/* First byte from at on that no field value may have. Eight at a time: values are most of a head. */
static uint32_t value_end(const struct reader *r, uint32_t at)
{
    for (;;) {
        while (r->len - at >= 8) {
            uint64_t word;
            memcpy(&word, r->bytes + at, sizeof(word));
            uint64_t found = any_below_or(le64toh(word), 0x20, 0x7f);
            if (found) {
                at += (uint32_t)__builtin_ctzll(found) / 8;
                break;
            }
            at += 8;
        }
        while (at < r->len && (uint8_t)r->bytes[at] >= 0x20 && r->bytes[at] != 0x7f)
            at++;
        if (at == r->len || r->bytes[at] != '\t')
            return at;
        at++;
    }
}

/* What stands at `at` must be CR LF: offset behind it. */
static int64_t line_end(struct reader *r, uint32_t at)
{
    if (at == r->len || (r->bytes[at] == '\r' && at + 1 == r->len))
        return LINE_MORE;
    if (r->bytes[at] == '\r' && r->bytes[at + 1] == '\n')
        return at + 2;
    return bad(r, PG_HTTP_ERROR_BAD_LINE_END);
}

static bool ends_line(char c)
{
    return c == '\r' || c == '\n';
}

/* ---- request line ---- */

/* "HTTP/1.x" CR LF and nothing else. */
static int64_t read_version(struct reader *r, uint32_t at)
{
    const char *v = r->bytes + at;
    const char *lf = memchr(v, '\n', r->len - at);
    if (!lf)
        return LINE_MORE;
    size_t len = (size_t)(lf - v);
    if (len == 0 || v[len - 1] != '\r')
        return bad(r, PG_HTTP_ERROR_BAD_LINE_END);
    if (len != 9 || memcmp(v, "HTTP/", 5) != 0 || v[6] != '.' || v[5] < '0' || v[5] > '9' ||
        v[7] < '0' || v[7] > '9')
        return bad(r, PG_HTTP_ERROR_BAD_REQUEST_LINE);
    if (v[5] != '1')
        return bad(r, PG_HTTP_ERROR_BAD_VERSION);
    r->head->minor = (uint8_t)(v[7] - '0');
    return at + 10;
}

static void note_method(struct pg_http_head *h, struct pg_slice m)
{
    h->is_head = pg_slice_is(m, "HEAD");
    h->is_options = pg_slice_is(m, "OPTIONS");
    h->is_connect = pg_slice_is(m, "CONNECT");
    h->idempotent = h->is_head || h->is_options || pg_slice_is(m, "GET") || pg_slice_is(m, "PUT") ||
                    pg_slice_is(m, "DELETE") || pg_slice_is(m, "TRACE");
}

/* http://authority[/path][?query]: sets authority and path. */
static bool split_absolute(struct pg_http_head *h, const char *bytes, struct pg_slice target)
{
    static const char scheme[] = "http://";
    const size_t scheme_len = sizeof(scheme) - 1;
    if (target.len < scheme_len ||
        !pg_slice_equal_nocase((struct pg_slice){target.at, scheme_len}, pg_slice_of(scheme)))
        return false;
    size_t end = scheme_len;
    while (end < target.len && target.at[end] != '/' && target.at[end] != '?')
        end++;
    if (end < target.len && target.at[end] == '?')
        return false; /* would need a "/" that nobody sent; no client writes it */
    uint32_t at = (uint32_t)(target.at - bytes);
    h->authority = (struct pg_span){at + (uint32_t)scheme_len, (uint32_t)(end - scheme_len)};
    h->path = (struct pg_span){0, 0};
    if (end < target.len)
        h->path = (struct pg_span){at + (uint32_t)end, (uint32_t)(target.len - end)};
    return pg_http_host_valid(pg_span_slice(bytes, h->authority));
}

static bool target_valid(struct reader *r)
{
    struct pg_http_head *h = r->head;
    struct pg_slice target = pg_span_slice(r->bytes, h->target);
    h->path = h->target;
    if (target.at[0] != '/') {
        if (target.len == 1 && target.at[0] == '*')
            return h->is_options;
        if (!split_absolute(h, r->bytes, target))
            return false;
    }
    struct pg_slice path = pg_span_slice(r->bytes, h->path);
    const char *query = path.len ? memchr(path.at, '?', path.len) : NULL;
    if (query)
        path.len = (size_t)(query - path.at);
    return path.len == 0 || pg_http_path_valid(path);
}

static int64_t read_request_line(struct reader *r, uint32_t at)
{
    struct pg_http_head *h = r->head;
    uint32_t method_end = span_end(r, at, PG_HTTP_TCHAR);
    if (method_end == r->len)
        return LINE_MORE;
    if (r->bytes[method_end] != ' ' || method_end == at)
        return bad(r, ends_line(r->bytes[method_end]) ? PG_HTTP_ERROR_BAD_REQUEST_LINE
                                                      : PG_HTTP_ERROR_BAD_METHOD);
    uint32_t target = method_end + 1;
    uint32_t target_end = span_end(r, target, PG_HTTP_TARGET);
    if (target_end == r->len)
        return LINE_MORE;
    if (target_end == target || ends_line(r->bytes[target_end]))
        return bad(r, PG_HTTP_ERROR_BAD_REQUEST_LINE);
    if (r->bytes[target_end] != ' ')
        return bad(r, PG_HTTP_ERROR_BAD_TARGET);
    int64_t next = read_version(r, target_end + 1);
    if (next < 0)
        return next;
    h->method = (struct pg_span){at, method_end - at};
    h->target = (struct pg_span){target, target_end - target};
    struct pg_slice method = pg_span_slice(r->bytes, h->method);
    note_method(h, method);
    if (h->is_connect || pg_slice_is(method, "TRACE"))
        return bad(r, PG_HTTP_ERROR_METHOD_REFUSED);
    if (!target_valid(r))
        return bad(r, PG_HTTP_ERROR_BAD_TARGET);
    return next;
}

/* ---- status line ---- */

#define STATUS_LEN 13 /* "HTTP/1.x nnn " */

static int64_t read_status_line(struct reader *r, uint32_t at)
{
    const char *v = r->bytes + at;
    uint32_t phrase = at + STATUS_LEN;
    if (r->len < phrase || memchr(v, '\n', STATUS_LEN))
        return memchr(v, '\n', r->len - at) ? bad(r, PG_HTTP_ERROR_BAD_RESPONSE) : LINE_MORE;
    unsigned status = 0;
    bool good =
        memcmp(v, "HTTP/1.", 7) == 0 && v[7] >= '0' && v[7] <= '9' && v[8] == ' ' && v[12] == ' ';
    for (unsigned i = 9; i < 12; i++) {
        good = good && v[i] >= '0' && v[i] <= '9';
        status = status * 10 + (unsigned)(v[i] - '0');
    }
    if (!good || status < 100 || status > 599)
        return bad(r, PG_HTTP_ERROR_BAD_RESPONSE);
    uint32_t end = value_end(r, phrase);
    if (end < r->len && !ends_line(r->bytes[end]))
        return bad(r, PG_HTTP_ERROR_BAD_RESPONSE);
    r->head->minor = (uint8_t)(v[7] - '0');
    r->head->status = (uint16_t)status;
    r->head->phrase = (struct pg_span){phrase, end - phrase};
    return line_end(r, end);
}

/* ---- fields ---- */

static int64_t read_field(struct reader *r, uint32_t at, uint16_t index)
{
    const char *bytes = r->bytes;
    if (pg_http_blank(bytes[at]))
        return bad(r, index > 0 ? PG_HTTP_ERROR_FOLDED_FIELD : PG_HTTP_ERROR_BAD_FIELD_NAME);
    uint32_t name_end = span_end(r, at, PG_HTTP_TCHAR);
    if (name_end == r->len)
        return LINE_MORE;
    if (bytes[name_end] != ':' || name_end == at)
        return bad(r, PG_HTTP_ERROR_BAD_FIELD_NAME);
    uint32_t value = name_end + 1;
    uint32_t end = value_end(r, value);
    if (end < r->len && !ends_line(bytes[end]))
        return bad(r, PG_HTTP_ERROR_BAD_FIELD_VALUE);
    int64_t next = line_end(r, end);
    if (next < 0)
        return next;
    if (index == PG_HTTP_MAX_FIELDS)
        return bad(r, PG_HTTP_ERROR_TOO_MANY_FIELDS);
    while (value < end && pg_http_blank(bytes[value]))
        value++;
    while (end > value && pg_http_blank(bytes[end - 1]))
        end--;
    struct pg_http_field *f = &r->head->fields[index];
    f->name = (struct pg_span){at, name_end - at};
    f->value = (struct pg_span){value, end - value};
    f->id = pg_http_name_of(pg_span_slice(bytes, f->name));
    return next;
}

/* The line at scan->line, whichever it is. */
static int64_t read_line(struct reader *r, const struct pg_http_scan *scan)
{
    uint32_t at = scan->line;
    if (at == r->len)
        return LINE_MORE;
    char first = r->bytes[at];
    if (scan->started && !ends_line(first))
        return read_field(r, at, scan->fields);
    if (scan->started || (first == '\r' && r->kind == PG_HTTP_REQUEST && scan->skipped < 2))
        return line_end(r, at);
    if (r->kind == PG_HTTP_RESPONSE)
        return read_status_line(r, at);
    return first == '\n' ? bad(r, PG_HTTP_ERROR_BAD_LINE_END) : read_request_line(r, at);
}

/* Moves scan behind the line that ends at next. */
static void line_done(struct reader *r, struct pg_http_scan *scan, uint32_t next)
{
    bool empty = next - scan->line == 2;
    if (scan->started && empty)
        r->complete = true;
    else if (scan->started)
        scan->fields++;
    else if (empty)
        scan->skipped++;
    else
        scan->started = true;
    scan->line = next;
    scan->looked = next;
}

/* What no message begins with. */
static enum pg_http_error first_bytes(const struct reader *r, const struct pg_http_scan *scan)
{
    const char *at = r->bytes + scan->line;
    uint32_t have = r->len - scan->line;
    if (scan->started || have == 0)
        return PG_HTTP_ERROR_NONE;
    if (r->kind == PG_HTTP_RESPONSE)
        return memcmp(at, "HTTP/1.", have < 7 ? have : 7) == 0 ? PG_HTTP_ERROR_NONE
                                                               : PG_HTTP_ERROR_BAD_RESPONSE;
    return ends_line(at[0]) || pg_http_is(at[0], PG_HTTP_TCHAR) ? PG_HTTP_ERROR_NONE
                                                                : PG_HTTP_ERROR_BAD_METHOD;
}

/* What can be refused before the line has ended. */
static int64_t line_pending(struct reader *r, struct pg_http_scan *scan)
{
    enum pg_http_error error = first_bytes(r, scan);
    if (error)
        return bad(r, error);
    if (!scan->started && r->len - scan->line > PG_HTTP_MAX_LINE + 1)
        return bad(r, PG_HTTP_ERROR_TARGET_TOO_LONG);
    if (r->len == PG_HTTP_MAX_HEAD)
        return bad(r, PG_HTTP_ERROR_HEAD_TOO_LARGE);
    scan->looked = r->len;
    return LINE_MORE;
}

/* The verdict on a line that read_line did not take, made independent of how much of it is there. */
static int64_t line_refused(struct reader *r, struct pg_http_scan *scan, int64_t verdict)
{
    const char *at = r->bytes + scan->line;
    const char *lf = memchr(at, '\n', r->len - scan->line);
    if (!lf)
        return line_pending(r, scan);
    enum pg_http_error error = first_bytes(r, scan);
    if (error)
        return bad(r, error);
    if (!scan->started && lf - at > PG_HTTP_MAX_LINE + 1)
        return bad(r, PG_HTTP_ERROR_TARGET_TOO_LONG);
    return verdict;
}

static int64_t read_lines(struct reader *r, struct pg_http_scan *scan)
{
    while (!r->complete) {
        int64_t next = read_line(r, scan);
        if (next < 0)
            return line_refused(r, scan, next);
        if (!scan->started && next - scan->line > PG_HTTP_MAX_LINE + 2)
            return bad(r, PG_HTTP_ERROR_TARGET_TOO_LONG);
        line_done(r, scan, (uint32_t)next);
    }
    return 0;
}

/* ---- what the lines mean together ---- */

static struct pg_slice value_of(const struct reader *r, const struct pg_http_field *f)
{
    return pg_span_slice(r->bytes, f->value);
}

/* Fields of which there may be one at most. */
struct singles {
    const struct pg_http_field *host;
    const struct pg_http_field *length;
    const struct pg_http_field *coding;
    const struct pg_http_field *expect;
    const struct pg_http_field *upgrade;
    bool twice_host, twice_length, twice_coding, twice_expect, twice_upgrade;
};

/* What all Connection fields say together. */
struct connection {
    bool close, keep, upgrade, other;
    unsigned options;
};

static void note_single(const struct pg_http_field **slot, bool *twice,
                        const struct pg_http_field *f)
{
    *twice = *twice || *slot;
    *slot = f;
}

/* false: more options than anybody needs. */
static bool read_connection(const struct reader *r, const struct pg_http_field *f,
                            struct connection *c)
{
    struct pg_slice rest = value_of(r, f), option;
    while (pg_http_next_element(&rest, &option)) {
        bool *known = pg_slice_equal_nocase(option, PG_SLICE_LITERAL("close"))        ? &c->close
                      : pg_slice_equal_nocase(option, PG_SLICE_LITERAL("keep-alive")) ? &c->keep
                      : pg_slice_equal_nocase(option, PG_SLICE_LITERAL("upgrade"))    ? &c->upgrade
                                                                                      : &c->other;
        *known = true;
        if (++c->options > MAX_CONNECTION_OPTIONS)
            return false;
    }
    return true;
}

static enum pg_http_error collect(struct reader *r, struct singles *s, struct connection *c)
{
    struct pg_http_head *h = r->head;
    for (uint32_t i = 0; i < h->field_count; i++) {
        const struct pg_http_field *f = &h->fields[i];
        switch (f->id) {
        case PG_HTTP_NAME_HOST: note_single(&s->host, &s->twice_host, f); break;
        case PG_HTTP_NAME_CONTENT_LENGTH: note_single(&s->length, &s->twice_length, f); break;
        case PG_HTTP_NAME_TRANSFER_ENCODING: note_single(&s->coding, &s->twice_coding, f); break;
        case PG_HTTP_NAME_EXPECT: note_single(&s->expect, &s->twice_expect, f); break;
        case PG_HTTP_NAME_UPGRADE: note_single(&s->upgrade, &s->twice_upgrade, f); break;
        case PG_HTTP_NAME_CONNECTION:
            if (!read_connection(r, f, c))
                return PG_HTTP_ERROR_BAD_FIELD_VALUE;
            break;
        case PG_HTTP_NAME_FRAMING_TWIN:
            if (r->kind == PG_HTTP_REQUEST)
                return PG_HTTP_ERROR_BAD_FIELD_NAME;
            break;
        default: break;
        }
    }
    h->nominates = c->other;
    h->keep_alive = !c->close && (h->minor >= 1 || c->keep);
    return PG_HTTP_ERROR_NONE;
}

/* 1*DIGIT, 19 at most, below 2^63. */
static bool read_length(struct pg_slice text, uint64_t *ret)
{
    uint64_t n = 0;
    if (text.len == 0 || text.len > 19)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
        n = n * 10 + (uint64_t)(text.at[i] - '0');
    }
    if (n > INT64_MAX)
        return false;
    *ret = n;
    return true;
}

/* A list of plain tokens of which one is not "chunked": a coding we do not know, rather than nonsense. What has chunked
 * anywhere but at its end has no end that could be found, RFC 9112 6.3. */
static bool names_unknown_coding(struct pg_slice rest)
{
    struct pg_slice coding;
    bool unknown = false, chunked = false;
    while (pg_http_next_element(&rest, &coding)) {
        for (size_t i = 0; i < coding.len; i++) {
            if (!pg_http_is(coding.at[i], PG_HTTP_TCHAR))
                return false;
        }
        if (chunked)
            return false;
        chunked = pg_slice_equal_nocase(coding, PG_SLICE_LITERAL("chunked"));
        unknown = unknown || !chunked;
    }
    return unknown;
}

static enum pg_http_error framing(struct reader *r, const struct singles *s)
{
    struct pg_http_head *h = r->head;
    h->body = r->kind == PG_HTTP_RESPONSE ? PG_HTTP_BODY_UNTIL_CLOSE : PG_HTTP_BODY_NONE;
    if (s->coding) {
        struct pg_slice coding = value_of(r, s->coding);
        if (s->twice_coding || s->length || h->minor == 0)
            return PG_HTTP_ERROR_BAD_TRANSFER_ENCODING;
        if (!pg_slice_equal_nocase(coding, PG_SLICE_LITERAL("chunked")))
            return names_unknown_coding(coding) ? PG_HTTP_ERROR_UNKNOWN_CODING
                                                : PG_HTTP_ERROR_BAD_TRANSFER_ENCODING;
        h->body = PG_HTTP_BODY_CHUNKED;
    } else if (s->length) {
        if (s->twice_length || !read_length(value_of(r, s->length), &h->content_length))
            return PG_HTTP_ERROR_BAD_CONTENT_LENGTH;
        h->body = h->content_length > 0 || r->kind == PG_HTTP_RESPONSE ? PG_HTTP_BODY_LENGTH
                                                                       : PG_HTTP_BODY_NONE;
    }
    return PG_HTTP_ERROR_NONE;
}

static struct pg_slice without_default_port(struct pg_slice host)
{
    struct pg_slice name = pg_http_host_name(host);
    struct pg_slice port = {host.at + name.len, host.len - name.len};
    return pg_slice_is(port, ":80") ? name : host;
}

static enum pg_http_error check_host(struct reader *r, const struct singles *s)
{
    struct pg_http_head *h = r->head;
    if (!s->host)
        return h->minor >= 1 ? PG_HTTP_ERROR_BAD_HOST : PG_HTTP_ERROR_NONE;
    struct pg_slice host = value_of(r, s->host);
    if (s->twice_host || !pg_http_host_valid(host))
        return PG_HTTP_ERROR_BAD_HOST;
    h->host = s->host->value;
    if (h->authority.len > 0) {
        struct pg_slice authority = pg_span_slice(r->bytes, h->authority);
        if (!pg_slice_equal_nocase(without_default_port(authority), without_default_port(host)))
            return PG_HTTP_ERROR_HOST_MISMATCH;
    }
    return PG_HTTP_ERROR_NONE;
}

/* The one protocol that may be switched to. Whatever else Upgrade names is not asked for; the field goes. */
static bool is_websocket(const struct reader *r, const struct singles *s)
{
    const struct pg_http_head *h = r->head;
    if (!s->upgrade || s->twice_upgrade || h->minor == 0 ||
        !pg_slice_equal_nocase(value_of(r, s->upgrade), PG_SLICE_LITERAL("websocket")))
        return false;
    if (r->kind == PG_HTTP_RESPONSE)
        return h->status == 101;
    return pg_slice_is(pg_span_slice(r->bytes, h->method), "GET") && h->body == PG_HTTP_BODY_NONE &&
           !s->coding;
}

static enum pg_http_error check_head(struct reader *r)
{
    struct pg_http_head *h = r->head;
    struct singles s = {0};
    struct connection c = {0};
    enum pg_http_error error = collect(r, &s, &c);
    if (error)
        return error;
    if (r->kind == PG_HTTP_REQUEST && (error = check_host(r, &s)))
        return error;
    if ((error = framing(r, &s)))
        return error;
    h->websocket = c.upgrade && is_websocket(r, &s);
    if (r->kind == PG_HTTP_RESPONSE || !s.expect)
        return PG_HTTP_ERROR_NONE;
    if (s.twice_expect ||
        !pg_slice_equal_nocase(value_of(r, s.expect), PG_SLICE_LITERAL("100-continue")))
        return PG_HTTP_ERROR_BAD_EXPECT;
    h->expect_continue = h->minor >= 1; /* RFC 9110 10.1.1: ignored in HTTP/1.0 */
    return PG_HTTP_ERROR_NONE;
}

/* ---- the contract ---- */

static void begin(struct reader *r, enum pg_http_kind kind)
{
    memset(r->head, 0, offsetof(struct pg_http_head, fields));
    r->head->kind = kind;
    r->complete = false;
}

int pg_http_parse(enum pg_http_kind kind, struct pg_http_scan *scan, const char *bytes,
                  uint32_t len, struct pg_http_head *ret, enum pg_http_error *ret_error)
{
    struct reader r = {.kind = kind,
                       .bytes = bytes,
                       .len = len < PG_HTTP_MAX_HEAD ? len : PG_HTTP_MAX_HEAD,
                       .head = ret};
    bool resumed = scan->line > 0;
    bool quiet =
        scan->looked > scan->line && !memchr(bytes + scan->looked, '\n', r.len - scan->looked);
    begin(&r, kind);
    int64_t result = quiet ? line_pending(&r, scan) : read_lines(&r, scan);
    if (result == 0 && resumed) {
        *scan = (struct pg_http_scan){0};
        begin(&r, kind);
        result = read_lines(&r, scan);
    }
    if (result == LINE_MORE)
        return -EAGAIN;
    if (result == 0) {
        ret->field_count = scan->fields;
        ret->head_len = scan->line;
        r.error = check_head(&r);
    }
    if (r.error == PG_HTTP_ERROR_NONE)
        return 0;
    *ret_error = r.error;
    return -EBADMSG;
}

void pg_http_response_body(struct pg_http_head *response, bool request_was_head,
                           bool request_was_connect)
{
    uint16_t status = response->status;
    if (request_was_head || status < 200 || status == 204 || status == 304 ||
        (request_was_connect && status < 300))
        response->body = PG_HTTP_BODY_NONE;
    if (response->body == PG_HTTP_BODY_LENGTH && response->content_length == 0)
        response->body = PG_HTTP_BODY_NONE;
    if (response->body == PG_HTTP_BODY_UNTIL_CLOSE)
        response->keep_alive = false;
}

struct pg_slice pg_span_slice(const char *bytes, struct pg_span s)
{
    return (struct pg_slice){bytes + s.at, s.len};
}

const struct pg_http_field *pg_http_field_find(const struct pg_http_head *h, enum pg_http_name id)
{
    for (uint32_t i = 0; i < h->field_count; i++) {
        if (h->fields[i].id == id)
            return &h->fields[i];
    }
    return NULL;
}
