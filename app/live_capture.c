/* GET /v1/capture[?snaplen=N][&filter=HEX]: packets as pcapng, as they pass, until the reader closes.
 *
 * The filter is a program of pcap-filter instructions, compiled by who asks: an expression may hold host names, and this process asks no name server. The capture's own
 * buffer is what a slow reader may be late by; libevent gets a piece only when the last one is nearly gone. */
#include "live.h"

#include "podglass/capture.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <stdlib.h>
#include <string.h>

#define BACKLOG_MOST  (1024 * 1024)
#define CAPTURES_MOST 4
#define SNAPLEN_LEAST 14

struct pg_live_capture {
    struct pg_live_capture *next;
    struct pg_capture *capture;
    struct evhttp_request *req;
    struct evhttp_connection *connection;
};

static void on_sent(const void *bytes, size_t len, void *arg)
{
    struct pg_text sent = {.at = (char *)(uintptr_t)bytes, .len = len};
    (void)arg;
    pg_text_free(&sent);
}

static void pump_one(struct pg_live_capture *c)
{
    struct pg_text out = {0};
    struct evbuffer *piece;
    if (pg_live_backlog(c->req) > BACKLOG_MOST || (piece = evbuffer_new()) == NULL) {
        return;
    }
    pg_capture_take(c->capture, &out);
    if (out.len != 0 && evbuffer_add_reference(piece, out.at, out.len, on_sent, NULL) == 0) {
        out = (struct pg_text){0};
        evhttp_send_reply_chunk(c->req, piece);
    }
    evbuffer_free(piece);
    pg_text_free(&out);
}

void pg_live_capture_pump(struct pg_live *l)
{
    for (struct pg_live_capture *c = l->captures; c != NULL; c = c->next) {
        pump_one(c);
    }
}

/* false: refused. */
static bool read_query(struct evhttp_request *req, struct evkeyvalq *query,
                       struct pg_capture_options *ret)
{
    const char *filter = evhttp_find_header(query, "filter");
    const char *snaplen = evhttp_find_header(query, "snaplen");
    if (snaplen != NULL) {
        char *end = NULL;
        unsigned long n = strtoul(snaplen, &end, 10);
        if (snaplen[0] < '0' || snaplen[0] > '9' || *end != 0 || n < SNAPLEN_LEAST ||
            n > UINT32_MAX) {
            pg_answer_error(req, HTTP_BADREQUEST, "snaplen is a number, 14 or more");
            return false;
        }
        ret->snaplen = (uint32_t)n;
    }
    if (filter != NULL && pg_pcap_read(filter, &ret->filter) != 0) {
        pg_answer_error(req, HTTP_BADREQUEST,
                        "filter is not a program of pcap-filter instructions");
        return false;
    }
    return true;
}

void pg_live_capture_begin(struct pg_live *l, struct evhttp_request *req, struct evkeyvalq *query)
{
    struct pg_capture_options options = {0};
    uint32_t count = 0;
    for (const struct pg_live_capture *c = l->captures; c != NULL; c = c->next) {
        count++;
    }
    if (!read_query(req, query, &options)) {
        return;
    }
    struct pg_live_capture *c = count < CAPTURES_MOST ? calloc(1, sizeof *c) : NULL;
    struct pg_capture *capture = c != NULL ? pg_capture_begin(l->path, &options) : NULL;
    if (capture == NULL) {
        pg_pcap_free(options.filter);
        free(c);
        pg_answer_error(req, HTTP_SERVUNAVAIL, "too many are capturing already");
        return;
    }
    c->capture = capture;
    c->req = req;
    c->connection = evhttp_request_get_connection(req);
    c->next = l->captures;
    l->captures = c;
    pg_live_stream(l, req, "application/x-pcapng");
    pump_one(c);
    pg_live_tick(l);
}

void pg_live_capture_closed(struct pg_live *l, struct evhttp_connection *connection)
{
    struct pg_live_capture **at = &l->captures;
    while (*at != NULL) {
        struct pg_live_capture *c = *at;
        if (connection != NULL && c->connection != connection) {
            at = &c->next;
            continue;
        }
        *at = c->next;
        if (connection != NULL) {
            pg_live_let_go(c->req);
        }
        pg_capture_end(l->path, c->capture);
        free(c);
    }
    pg_live_tick(l);
}
