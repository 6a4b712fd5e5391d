/* GET /v1/trace?follow=1[&since=SEQ][&from=IP][&pod=][&service=][&host=][&path=][&verdict=]: records as JSON lines, as they are written, until the reader closes.
 *
 * While one is here, records are written (watch.c). The ring is the buffer: a reader keeps a place in it, and when it is overrun gets a line {"kind":"Missed","count":N}; the first line is of kind Clock and says what time it is. What
 * is said per pump is bounded, and nothing more is said while a megabyte waits for the reader. */
#include "live.h"

#include "podglass/exchange.h"
#include "podglass/names.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BACKLOG_MOST (1024 * 1024)
#define PUMP_RECORDS 1024 /* a tick: 50,000 a second, which costs about a tenth of a core */
#define READERS_MOST 16
#define TEXT_MOST    256

struct pg_live_trace {
    struct pg_live_trace *next;
    struct pg_watch watch;
    struct evhttp_request *req;
    struct evhttp_connection *connection;
    uint64_t seq;
    char text[4][TEXT_MOST]; /* pod, service, host, path */
};

static void say_missed(uint64_t count, struct pg_text *out)
{
    struct pg_json j;
    pg_json_begin(&j, out);
    pg_json_object(&j);
    pg_json_key_string(&j, "apiVersion", "podglass/v1alpha1");
    pg_json_key_string(&j, "kind", "Missed");
    pg_json_key_uint(&j, "count", count);
    pg_json_object_end(&j);
    pg_text_putc(out, '\n');
}

void pg_live_trace_clock(struct pg_path *path, struct pg_text *out)
{
    struct timespec now;
    struct pg_json j;
    clock_gettime(CLOCK_REALTIME, &now);
    pg_json_begin(&j, out);
    pg_json_object(&j);
    pg_json_key_string(&j, "apiVersion", "podglass/v1alpha1");
    pg_json_key_string(&j, "kind", "Clock");
    pg_json_key_uint(&j, "timeUs", pg_trace_now_us(pg_path_trace(path)));
    pg_json_key_uint(&j, "unixUs", (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
    pg_json_object_end(&j);
    pg_text_putc(out, '\n');
}

/* Empties out. */
static void send_text(struct evhttp_request *req, struct pg_text *out)
{
    struct evbuffer *piece = out->len != 0 ? evbuffer_new() : NULL;
    if (piece != NULL) {
        evbuffer_add(piece, out->at, out->len);
        evhttp_send_reply_chunk(req, piece);
        evbuffer_free(piece);
    }
    pg_text_free(out);
}

static void pump_one(struct pg_live *l, struct pg_live_trace *t)
{
    struct pg_namer namer = {.snapshot = pg_path_snapshot(l->path)};
    struct pg_names names = pg_namer_names(&namer);
    struct pg_text out = {0};
    struct pg_record r;
    uint64_t missed = 0;
    if (pg_live_backlog(t->req) > BACKLOG_MOST) {
        return;
    }
    for (int n = 0; n < PUMP_RECORDS && pg_trace_read(pg_path_trace(l->path), &t->seq, &r, &missed);
         n++) {
        struct pg_json j;
        if (missed != 0) {
            say_missed(missed, &out);
        }
        pg_json_begin(&j, &out);
        pg_record_json_named(&r, &names, &j);
        pg_text_putc(&out, '\n');
    }
    send_text(t->req, &out);
}

void pg_live_trace_pump(struct pg_live *l)
{
    for (struct pg_live_trace *t = l->traces; t != NULL; t = t->next) {
        pump_one(l, t);
    }
}

static uint32_t reader_count(const struct pg_live *l)
{
    uint32_t n = 0;
    for (const struct pg_live_trace *t = l->traces; t != NULL; t = t->next) {
        n++;
    }
    return n;
}

/* A filter that is a text; "" is none. false: longer than anything it could match. */
static bool read_text(struct evkeyvalq *query, const char *name, char *text, const char **ret)
{
    const char *given = evhttp_find_header(query, name);
    size_t len = given != NULL ? strlen(given) : 0;
    if (len >= TEXT_MOST) {
        return false;
    }
    if (len != 0) {
        memcpy(text, given, len + 1);
        *ret = text;
    }
    return true;
}

/* false: refused. */
static bool read_filters(struct evhttp_request *req, struct evkeyvalq *query,
                         struct pg_live_trace *t)
{
    struct pg_want *w = &t->watch.want;
    const char *verdict = evhttp_find_header(query, "verdict");
    if (!read_text(query, "pod", t->text[0], &w->pod) ||
        !read_text(query, "service", t->text[1], &w->service) ||
        !read_text(query, "host", t->text[2], &w->host) ||
        !read_text(query, "path", t->text[3], &w->path)) {
        pg_answer_error(req, HTTP_BADREQUEST, "a filter is longer than a name can be");
        return false;
    }
    for (unsigned v = 0; verdict != NULL && v < PG_VERDICT_COUNT; v++) {
        if (strcmp(verdict, pg_verdict_name((enum pg_verdict)v)) == 0) {
            w->has_verdict = true;
            w->verdict = (enum pg_verdict)v;
        }
    }
    if (verdict != NULL && !w->has_verdict) {
        pg_answer_error(req, HTTP_BADREQUEST, "there is no such verdict");
        return false;
    }
    return true;
}

/* false: refused. */
static bool read_query(struct evhttp_request *req, struct evkeyvalq *query, struct pg_live_trace *t)
{
    const char *from = evhttp_find_header(query, "from");
    const char *since = evhttp_find_header(query, "since");
    if (from != NULL && pg_addr_parse(from, strlen(from), &t->watch.want.from) != 0) {
        pg_answer_error(req, HTTP_BADREQUEST, "from is an address");
        return false;
    }
    t->watch.want.has_from = from != NULL;
    if (since != NULL) {
        char *end = NULL;
        errno = 0;
        uint64_t n = strtoull(since, &end, 10);
        if (since[0] < '0' || since[0] > '9' || *end != 0 || errno != 0) {
            pg_answer_error(req, HTTP_BADREQUEST, "since is a number");
            return false;
        }
        t->seq = n != 0 ? n : 1;
    }
    return read_filters(req, query, t);
}

void pg_live_trace_begin(struct pg_live *l, struct evhttp_request *req, struct evkeyvalq *query)
{
    struct pg_live_trace *t = calloc(1, sizeof *t);
    if (t == NULL || reader_count(l) == READERS_MOST) {
        free(t);
        pg_answer_error(req, HTTP_SERVUNAVAIL, "too many are watching already");
        return;
    }
    t->req = req;
    t->connection = evhttp_request_get_connection(req);
    t->seq = pg_trace_next_seq(pg_path_trace(l->path));
    if (!read_query(req, query, t)) {
        free(t);
        return;
    }
    t->next = l->traces;
    l->traces = t;
    pg_watch_begin(&l->watchers, &t->watch);
    pg_live_stream(l, req, "application/jsonl");
    struct pg_text clock = {0};
    pg_live_trace_clock(l->path, &clock);
    send_text(req, &clock);
    pg_live_tick(l);
}

void pg_live_trace_closed(struct pg_live *l, struct evhttp_connection *connection)
{
    struct pg_live_trace **at = &l->traces;
    while (*at != NULL) {
        struct pg_live_trace *t = *at;
        if (connection != NULL && t->connection != connection) {
            at = &t->next;
            continue;
        }
        *at = t->next;
        pg_watch_end(&l->watchers, &t->watch);
        if (connection != NULL) {
            pg_live_let_go(t->req);
        }
        free(t);
    }
    pg_live_tick(l);
}
