/* The frame of what is live: paths, streams, the tick.
 *
 * A stream is pumped fifty times a second while there is one, a bounded piece each time, from a buffer that never waits for it (the ring of records, the buffer of
 * a capture). So a reader can cost some time of the loop but never hold it: what it does not take in time it misses, and is told how much. A
 * reader that takes nothing for a minute is cut off. */
#include "live.h"

#include "podglass/confine.h"
#include "podglass/dump.h"
#include "podglass/json.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <stdlib.h>
#include <string.h>

#define TICK_US       20000
#define STUCK_SECONDS 60

/* ---- answers ---- */

static struct bufferevent *stream_of(struct evhttp_request *req)
{
    return evhttp_connection_get_bufferevent(evhttp_request_get_connection(req));
}

void pg_live_quiet(struct evhttp_request *req)
{
    struct timeval stuck = {.tv_sec = STUCK_SECONDS};
    bufferevent_set_timeouts(stream_of(req), NULL, &stuck);
}

void pg_live_stream(struct pg_live *l, struct evhttp_request *req, const char *type)
{
    struct evkeyvalq *head = evhttp_request_get_output_headers(req);
    evhttp_add_header(head, "Content-Type", type);
    evhttp_add_header(head, "Connection", "close");
    evhttp_add_header(head, "Cache-Control", "no-store");
    evhttp_send_reply_start(req, HTTP_OK, NULL);
    pg_live_quiet(req); /* it may well say nothing for long */
    pg_path_count(l->path, PG_COUNT_READERS);
}

size_t pg_live_backlog(struct evhttp_request *req)
{
    return evbuffer_get_length(bufferevent_get_output(stream_of(req)));
}

void pg_live_let_go(struct evhttp_request *req)
{
    if (evhttp_request_get_connection(req) == NULL) {
        evhttp_send_reply_end(req); /* frees it */
    }
}

/* ---- the tick ---- */

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    pg_live_trace_pump(arg);
    pg_live_capture_pump(arg);
    pg_live_events_pump(arg);
}

void pg_live_tick(struct pg_live *l)
{
    struct timeval every = {.tv_usec = TICK_US};
    if (l->traces == NULL && l->captures == NULL && l->events == NULL) {
        event_del(l->tick);
    } else if (!event_pending(l->tick, EV_TIMEOUT, NULL)) {
        event_add(l->tick, &every);
    }
}

/* ---- who this is ---- */

/* null where the kernel does not say. */
static void add_process(struct pg_json *j)
{
    struct pg_process_state s;
    pg_json_key(j, "process");
    if (pg_process_state(&s) != 0) {
        pg_json_string(j, NULL);
        return;
    }
    pg_json_object(j);
    pg_json_key_string(j, "user", s.user);
    pg_json_key_string(j, "capabilities", s.capabilities);
    pg_json_key_bool(j, "noNewPrivileges", s.no_new_privileges);
    pg_json_key_string(j, "systemCalls", s.filtered ? "filtered" : "not filtered");
    pg_json_key_bool(j, "dumpable", s.dumpable);
    pg_json_object_end(j);
}

static void answer_about(const struct pg_live *l, struct evhttp_request *req)
{
    const struct pg_snapshot *s = pg_path_snapshot(l->path);
    struct pg_text body = {0};
    struct pg_text line = {0};
    struct pg_json j;
    pg_json_begin(&j, &body);
    pg_json_object(&j);
    pg_json_key_string(&j, "apiVersion", "podglass/v1alpha1");
    pg_json_key_string(&j, "kind", "About");
    pg_json_key_string(&j, "version", PODGLASS_VERSION);
    pg_json_key_string(&j, "commandLine", l->command_line);
    add_process(&j);
    pg_json_key(&j, "findings");
    pg_json_array(&j);
    for (uint32_t i = 0; s != NULL && i < s->finding_count; i++) {
        pg_text_clear(&line);
        pg_finding_print(&s->findings[i], &line);
        pg_json_string(&j, line.at);
    }
    pg_json_array_end(&j);
    pg_json_object_end(&j);
    pg_text_putc(&body, '\n');
    pg_answer(req, HTTP_OK, "application/json", &body);
    pg_text_free(&body);
    pg_text_free(&line);
}

/* ---- paths ---- */

bool pg_live_route(struct pg_live *l, struct evhttp_request *req, const char *path,
                   struct evkeyvalq *query)
{
    bool is_post = evhttp_request_get_command(req) == EVHTTP_REQ_POST;
    if (strcmp(path, "/v1/requests") == 0) {
        if (is_post) {
            pg_live_request_begin(l, req);
        } else {
            evhttp_add_header(evhttp_request_get_output_headers(req), "Allow", "POST");
            pg_answer_error(req, HTTP_BADMETHOD, "requests are sent by POST");
        }
        return true;
    }
    if (is_post) {
        return false;
    }
    if (strcmp(path, "/v1/trace") == 0 && evhttp_find_header(query, "follow") != NULL) {
        pg_live_trace_begin(l, req, query);
        return true;
    }
    if (strcmp(path, "/metrics") == 0) {
        struct pg_text body = {0};
        pg_dump_metrics(l->path, &body);
        pg_answer(req, HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", &body);
        pg_text_free(&body);
        return true;
    }
    if (strcmp(path, "/v1/about") == 0) {
        answer_about(l, req);
        return true;
    }
    if (strcmp(path, "/v1/conntrack/events") == 0) {
        pg_live_events_begin(l, req, query);
        return true;
    }
    if (strcmp(path, "/v1/capture") == 0) {
        pg_live_capture_begin(l, req, query);
        return true;
    }
    return false;
}

void pg_live_closed(struct pg_live *l, struct evhttp_connection *connection)
{
    if (l != NULL) {
        pg_live_trace_closed(l, connection);
        pg_live_request_closed(l, connection);
        pg_live_capture_closed(l, connection);
        pg_live_events_closed(l, connection);
    }
}

struct pg_live *pg_live_new(struct pg_path *path, struct event_base *base, uint64_t (*now_us)(void))
{
    struct pg_live *l = calloc(1, sizeof *l);
    if (l == NULL) {
        return NULL;
    }
    l->path = path;
    l->base = base;
    l->now_us = now_us;
    pg_watchers_init(&l->watchers, path);
    l->tick = event_new(base, -1, EV_PERSIST, on_tick, l);
    if (l->tick == NULL) {
        free(l);
        return NULL;
    }
    return l;
}

void pg_live_free(struct pg_live *l)
{
    if (l == NULL) {
        return;
    }
    pg_live_closed(l, NULL);
    pg_watchers_end(&l->watchers);
    event_free(l->tick);
    free(l);
}
