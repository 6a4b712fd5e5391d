/* The list of flows as an answer in pieces: a million entries are neither held in memory nor a reason for packets to wait.
 *
 * A step takes a bounded part of the table, no longer than a millisecond, and hands it to the connection as one chunk; then the loop
 * serves whoever is due, and comes back. When the reader is slower than we are, at most a megabyte waits for it: the next step comes
 * when that is read. A reader that takes nothing for ten seconds is cut off; one that takes a little may take as long as it likes.
 *
 * Called by control.c; writes through dump_flows.c. Owns a stream per connection, from the question until the connection is closed,
 * by whomever. Flows that begin or end meanwhile may be in the list or not; those that stay are in it (twice if the table grew). */
#include "control_stream.h"

#include "dump_internal.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define SLOTS_AT_ONCE   256u       /* of the table, between two looks at the clock */
#define STEP_NS         1000000u   /* how long packets may have to wait for a step */
#define WAITING_BYTES   (1u << 20) /* unread: no more steps until they are gone */
#define TIMEOUT_SECONDS 10

struct stream {
    struct evhttp_request *req; /* NULL: the answer is complete */
    struct event *step;
    struct pg_flow_list_dump list;
    struct pg_text text;
    uint64_t (*now_us)(void);
    void (*on_end)(void *arg);
    void *arg;
};

static void step_soon(struct stream *s)
{
    static const struct timeval now = {0};

    event_add(s->step, &now); /* a timer: comes after descriptors that are ready */
}

static void on_read_up(struct evhttp_connection *connection, void *arg)
{
    struct stream *s = arg;

    (void)connection;
    if (s->req) {
        step_soon(s);
    }
}

static void on_sent(const void *bytes, size_t len, void *arg)
{
    struct pg_text sent = {.at = (char *)(uintptr_t)bytes, .len = len};

    (void)arg;
    pg_text_free(&sent);
}

static uint64_t elapsed_ns(const struct timespec *since)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)((now.tv_sec - since->tv_sec) * 1000000000 + (now.tv_nsec - since->tv_nsec));
}

/* Fills s->text until the time is over. true: more to come. */
static bool fill(struct stream *s)
{
    struct timespec begin;
    bool more = true;

    clock_gettime(CLOCK_MONOTONIC, &begin);
    while (more && elapsed_ns(&begin) < STEP_NS && s->text.len < WAITING_BYTES / 2) {
        more = pg_flow_list_step(&s->list, SLOTS_AT_ONCE, s->now_us());
    }
    return more;
}

static size_t waiting_bytes(struct evhttp_request *req)
{
    struct bufferevent *stream =
        evhttp_connection_get_bufferevent(evhttp_request_get_connection(req));

    return evbuffer_get_length(bufferevent_get_output(stream));
}

static void on_step(evutil_socket_t fd, short what, void *arg)
{
    struct stream *s = arg;
    struct evhttp_request *req = s->req;
    struct evbuffer *piece = evbuffer_new();
    bool more = fill(s);

    (void)fd;
    (void)what;
    if (piece && s->text.len &&
        evbuffer_add_reference(piece, s->text.at, s->text.len, on_sent, NULL) == 0) {
        s->text = (struct pg_text){0}; /* on_sent frees it */
    }
    bool full = piece && waiting_bytes(req) + evbuffer_get_length(piece) > WAITING_BYTES;

    if (piece && evbuffer_get_length(piece)) {
        evhttp_send_reply_chunk_with_cb(req, piece, full ? on_read_up : NULL, s);
    }
    if (piece) {
        evbuffer_free(piece);
    }
    if (!more) {
        s->req = NULL; /* ended by evhttp when all is sent */
        evhttp_send_reply_end(req);
    } else if (!full) {
        step_soon(s);
    }
}

static void stream_free(struct stream *s)
{
    if (s->step) {
        event_free(s->step);
    }
    pg_text_free(&s->text);
    free(s);
}

static void on_closed(struct evhttp_connection *connection, void *arg)
{
    struct stream *s = arg;

    (void)connection;
    if (s->req && !evhttp_request_get_connection(s->req)) {
        evhttp_send_reply_end(
            s->req); /* the reader went away: evhttp left the request to us; this frees it */
    }
    s->on_end(s->arg);
    stream_free(s);
}

bool pg_control_stream(struct event_base *base, struct evhttp_request *req,
                       const struct pg_control_stream_question *q, void (*on_end)(void *arg),
                       void *arg)
{
    struct evhttp_connection *connection = evhttp_request_get_connection(req);
    struct evkeyvalq *head = evhttp_request_get_output_headers(req);
    struct timeval write_timeout = {.tv_sec = TIMEOUT_SECONDS};
    struct stream *s = calloc(1, sizeof *s);

    if (s) {
        s->step = evtimer_new(base, on_step, s);
    }
    if (!s || !s->step) {
        free(s);
        return false;
    }
    s->req = req;
    s->now_us = q->now_us;
    s->on_end = on_end;
    s->arg = arg;
    s->list.lines = q->lines;
    s->list.form = q->form;
    snprintf(s->list.name, sizeof s->list.name, "%s", q->name ? q->name : "");
    pg_flow_list_begin(&s->list, q->path, q->now_us(), &s->text);
    evhttp_add_header(head, "Content-Type",
                      q->lines ? "text/plain; charset=utf-8" : "application/json");
    evhttp_add_header(head, "Connection", "close");
    evhttp_add_header(head, "Cache-Control", "no-store");
    evhttp_connection_set_closecb(connection, on_closed, s);
    /* Nothing is to be read any more: only a reader that takes nothing is slow. */
    bufferevent_set_timeouts(evhttp_connection_get_bufferevent(connection), NULL, &write_timeout);
    evhttp_send_reply_start(req, HTTP_OK, "OK");
    step_soon(s);
    return true;
}
