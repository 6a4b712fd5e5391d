/* What looks at a running instance for longer than one answer: streams of records and of packets, and requests that are on their way.
 *
 * control.c hands over what is asked for (pg_live_route), and tells when a connection has ended. Each file of the group answers one path. */
#ifndef PODGLASS_LIVE_H
#define PODGLASS_LIVE_H

#include "podglass/path.h"
#include "podglass/watch.h"

#include "answer.h"

struct event_base;
struct evhttp_request;
struct evhttp_connection;
struct evkeyvalq;
struct evbuffer;
struct event;
struct pg_live_trace;
struct pg_live_request;
struct pg_live_capture;
struct pg_live_events;

struct pg_live {
    struct pg_path *path;
    struct event_base *base;
    uint64_t (*now_us)(void);
    const char *command_line; /* how it was started; NULL: not told */
    void (*wake)(void *arg);  /* the path has work that came from here; may be NULL */
    void *wake_arg;
    struct pg_watchers watchers;
    struct event *tick; /* while there are streams */
    struct pg_live_trace *traces;
    struct pg_live_request *requests;
    struct pg_live_capture *captures;
    struct pg_live_events *events;
};

/* NULL: out of memory. */
struct pg_live *pg_live_new(struct pg_path *path, struct event_base *base,
                            uint64_t (*now_us)(void));
void pg_live_free(struct pg_live *l); /* before the HTTP server */
/* false: not a path of ours. */
bool pg_live_route(struct pg_live *l, struct evhttp_request *req, const char *path,
                   struct evkeyvalq *query);
void pg_live_closed(struct pg_live *l, struct evhttp_connection *connection);

/* ---- live.c, for the others ---- */
/* The head of an answer that goes on until somebody closes. */
void pg_live_stream(struct pg_live *l, struct evhttp_request *req, const char *type);
/* The answer takes as long as it takes: no timeout of the connection ends it. */
void pg_live_quiet(struct evhttp_request *req);
/* Bytes that the reader has not taken yet. */
size_t pg_live_backlog(struct evhttp_request *req);
/* Its connection has ended: the request is ours to free if libevent has left it to us. */
void pg_live_let_go(struct evhttp_request *req);
void pg_live_tick(struct pg_live *l); /* streams came or went */

/* ---- live_trace.c, live_request.c, live_capture.c, live_events.c ---- */
void pg_live_trace_begin(struct pg_live *l, struct evhttp_request *req, struct evkeyvalq *query);
void pg_live_trace_pump(struct pg_live *l);
/* {"kind":"Clock",...}: what the time of the records is in real time, at the top of each answer. */
void pg_live_trace_clock(struct pg_path *path, struct pg_text *out);
void pg_live_trace_closed(struct pg_live *l, struct evhttp_connection *connection); /* NULL: all */
void pg_live_capture_begin(struct pg_live *l, struct evhttp_request *req, struct evkeyvalq *query);
void pg_live_capture_pump(struct pg_live *l);
void pg_live_capture_closed(struct pg_live *l, struct evhttp_connection *connection);
void pg_live_events_begin(struct pg_live *l, struct evhttp_request *req, struct evkeyvalq *query);
void pg_live_events_pump(struct pg_live *l);
void pg_live_events_closed(struct pg_live *l, struct evhttp_connection *connection);
void pg_live_request_begin(struct pg_live *l, struct evhttp_request *req);
void pg_live_request_closed(struct pg_live *l, struct evhttp_connection *connection);

#endif
