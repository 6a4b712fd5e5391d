/* folder: proxy */
/* Strict incremental HTTP/1.1 (RFC 9112), heads and bodies, both directions.
 *
 * The parser never allocates and never looks past what it was given; results are offsets into the caller's buffer. What is ambiguous is refused: one outcome
 * per byte sequence (reference table "HTTP/1.1 strictness"). Used by the ingress, the echo pods and the request clients alike. */
#ifndef PODGLASS_HTTP_H
#define PODGLASS_HTTP_H

#include "podglass/text.h"

#include <stdbool.h>
#include <stdint.h>

#define PG_HTTP_MAX_HEAD   65536
#define PG_HTTP_MAX_LINE   8192
#define PG_HTTP_MAX_FIELDS 128

enum pg_http_kind { PG_HTTP_REQUEST, PG_HTTP_RESPONSE };

/* A stretch of the head buffer. */
struct pg_span {
    uint32_t at;
    uint32_t len;
};

/* Fields podglass acts on, recognised while parsing (case-insensitively; '_' equals '-' only for the identity set). */
enum pg_http_name {
    PG_HTTP_NAME_OTHER,
    PG_HTTP_NAME_HOST,
    PG_HTTP_NAME_CONTENT_LENGTH,
    PG_HTTP_NAME_TRANSFER_ENCODING,
    PG_HTTP_NAME_CONNECTION,
    PG_HTTP_NAME_KEEP_ALIVE,
    PG_HTTP_NAME_PROXY_CONNECTION,
    PG_HTTP_NAME_TE,
    PG_HTTP_NAME_TRAILER,
    PG_HTTP_NAME_UPGRADE,
    PG_HTTP_NAME_EXPECT,
    PG_HTTP_NAME_PROXY_AUTHENTICATE,
    PG_HTTP_NAME_PROXY_AUTHORIZATION,
    PG_HTTP_NAME_X_FORWARDED_FOR,
    PG_HTTP_NAME_X_REAL_IP,
    PG_HTTP_NAME_X_REQUEST_ID,
    PG_HTTP_NAME_VIA,
    PG_HTTP_NAME_IDENTITY, /* the rest of the managed set: X-Forwarded-*, Forwarded, X-Scheme, X-Original-Forwarded-*, Proxy, and underscore twins */
    PG_HTTP_NAME_FRAMING_TWIN, /* Content_Length, Transfer_Encoding: refused in requests */
    PG_HTTP_NAME_COUNT,
};

struct pg_http_field {
    struct pg_span name;
    struct pg_span value; /* without surrounding blanks */
    enum pg_http_name id;
};

enum pg_http_body {
    PG_HTTP_BODY_NONE,
    PG_HTTP_BODY_LENGTH,
    PG_HTTP_BODY_CHUNKED,
    PG_HTTP_BODY_UNTIL_CLOSE
};

struct pg_http_head {
    enum pg_http_kind kind;
    struct pg_span method;    /* request */
    struct pg_span target;    /* request, as received */
    struct pg_span authority; /* of an absolute-form target; len 0 otherwise */
    struct pg_span path;      /* with query; len 0: an absolute-form without one, means "/" */
    struct pg_span host;      /* value of the Host field */
    uint16_t status;          /* response */
    struct pg_span phrase;
    uint8_t minor;   /* HTTP/1.minor */
    bool keep_alive; /* the connection may serve another message, as the sender says */
    bool
        nominates; /* Connection names more than close, keep-alive and upgrade: fields that go with it */
    bool expect_continue;
    /* Request: asks for a WebSocket as it has to (GET, 1.1, no body, Connection and Upgrade say so). Response: 101 that agrees. */
    bool websocket;
    bool is_head, is_connect, is_options;
    bool idempotent; /* by method: GET HEAD OPTIONS PUT DELETE TRACE */
    enum pg_http_body body;
    uint64_t content_length;
    uint32_t head_len; /* bytes of the head, final CRLF CRLF included */
    uint32_t field_count;
    struct pg_http_field fields[PG_HTTP_MAX_FIELDS];
};

/* Why a message was refused; the name goes into the record, the status to the client. */
enum pg_http_error {
#define PG_HTTP_ERROR(id, status, name, text) PG_HTTP_ERROR_##id,
#include "podglass/http_errors.def"
#undef PG_HTTP_ERROR
    PG_HTTP_ERROR_COUNT
};
const char *pg_http_error_name(enum pg_http_error e);
const char *pg_http_error_text(enum pg_http_error e);
uint16_t pg_http_error_status(enum pg_http_error e);
/* ---- http_phrase.c ---- */
const char *pg_http_phrase(uint16_t status); /* "Not Found" */

/* Parser state for one head: zero it per message. Remembers how far it has looked, so a dribbled head stays linear. */
struct pg_http_scan {
    uint32_t looked; /* no line ends between `line` and here */
    uint32_t line;   /* where the first line begins that was not complete */
    uint16_t fields; /* complete field lines before it */
    uint8_t skipped; /* leading CRLF pairs */
    bool started;    /* the start line is before it */
};

/* bytes[0..len) is all that was received so far of the message; whatever follows the head is not looked at. 0: *ret is filled. -EAGAIN: more is needed.
 * -EBADMSG: refused, *ret_error says why; however the bytes were cut, it is the same. Up to two leading CRLF of a request are skipped and counted in
 * head_len (spans are offsets into bytes all the same). *ret is scratch unless the result is 0. */
int pg_http_parse(enum pg_http_kind kind, struct pg_http_scan *scan, const char *bytes,
                  uint32_t len, struct pg_http_head *ret, enum pg_http_error *ret_error);
/* Body rules of a response depend on its request (RFC 9112 6.3): call after parse. */
void pg_http_response_body(struct pg_http_head *response, bool request_was_head,
                           bool request_was_connect);

/* Chunked bodies, incremental. Zeroed means at the first chunk line. */
struct pg_http_chunks {
    uint8_t state;
    uint8_t digits;
    bool done;
    bool hold; /* set by the caller: framing stops where the trailer section begins */
    uint16_t line_len;
    uint32_t extension_bytes;
    uint32_t trailer_bytes;
    uint64_t size; /* of a chunk whose line is not complete: what its digits say so far */
    uint64_t left; /* of the current chunk's data; 0 until its line is complete */
};
/* Reads framing only: stops where data begins (left > 0) or at the end (done). Returns how many bytes it used, or -EBADMSG with *ret_error. */
int64_t pg_http_chunks_framing(struct pg_http_chunks *c, const char *bytes, uint64_t len,
                               enum pg_http_error *ret_error);
/* Behind the last chunk's line, and the end is not read yet. Held there: with hold cleared the section is read as framing. */
bool pg_http_chunks_in_trailers(const struct pg_http_chunks *c);
/* n bytes of data, at most `left`, went by unseen (they were moved by reference). */
void pg_http_chunks_skip(struct pg_http_chunks *c, uint64_t n);
/* Both together: looks at bytes[0..len). Returns how many it used; *ret_data_at/_len is the stretch of body data among them (possibly empty). It stops after each stretch of data, so call again
 * until it uses nothing or c->done. Negative: -EBADMSG, *ret_error. Trailers are checked and dropped. */
int64_t pg_http_chunks_next(struct pg_http_chunks *c, const char *bytes, uint64_t len,
                            uint64_t *ret_data_at, uint64_t *ret_data_len,
                            enum pg_http_error *ret_error);

struct pg_slice pg_span_slice(const char *bytes, struct pg_span s);
/* First field of that kind, or NULL. */
const struct pg_http_field *pg_http_field_find(const struct pg_http_head *h, enum pg_http_name id);

#endif
