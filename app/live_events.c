/* GET /v1/conntrack/events[?form=extended|id]: what happens to flows, as `conntrack -E -o timestamp` prints it, until the reader closes.
 *
 * While one is here, nat keeps the last events in a ring; a reader keeps a place in it. What a slow one missed it is told in a line of its own ("# missed N events"), which no
 * reader of conntrack's lines takes for one. What is said per pump is bounded, and nothing more is said while a megabyte waits for the reader. */
#include "live.h"

#include "podglass/dump.h"
#include "podglass/nat.h"

#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <stdlib.h>
#include <time.h>

#define BACKLOG_MOST (1024 * 1024)
#define PUMP_EVENTS  1024
#define READERS_MOST 16

struct pg_live_events {
    struct pg_live_events *next;
    struct evhttp_request *req;
    struct evhttp_connection *connection;
    uint64_t number;
    unsigned form;
};

/* The path's clock only tells spans; people want the time of day. */
static uint64_t time_of_day_us(uint64_t at_us, uint64_t now_us)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000 - (now_us - at_us);
}

static void pump_one(struct pg_live *l, struct pg_live_events *e)
{
    struct pg_nat_event event;
    struct pg_text out = {0};
    uint64_t missed = 0;
    if (pg_live_backlog(e->req) > BACKLOG_MOST) {
        return;
    }
    for (int n = 0;
         n < PUMP_EVENTS && pg_nat_read_event(pg_path_nat(l->path), &e->number, &event, &missed);
         n++) {
        uint64_t at = time_of_day_us(event.time_us, l->now_us());
        if (missed != 0) {
            pg_text_printf(&out, "# missed %llu events\n", (unsigned long long)missed);
        }
        pg_text_printf(&out, "[%llu.%06llu]\t", (unsigned long long)(at / 1000000),
                       (unsigned long long)(at % 1000000));
        pg_nat_print_event(&event, e->form, &out);
        pg_text_putc(&out, '\n');
    }
    if (out.len != 0) {
        struct evbuffer *piece = evbuffer_new();
        if (piece != NULL) {
            evbuffer_add(piece, out.at, out.len);
            evhttp_send_reply_chunk(e->req, piece);
            evbuffer_free(piece);
        }
    }
    pg_text_free(&out);
}

void pg_live_events_pump(struct pg_live *l)
{
    for (struct pg_live_events *e = l->events; e != NULL; e = e->next) {
        pump_one(l, e);
    }
}

static uint32_t reader_count(const struct pg_live *l)
{
    uint32_t n = 0;
    for (const struct pg_live_events *e = l->events; e != NULL; e = e->next) {
        n++;
    }
    return n;
}

void pg_live_events_begin(struct pg_live *l, struct evhttp_request *req, struct evkeyvalq *query)
{
    struct pg_live_events *e = reader_count(l) < READERS_MOST ? calloc(1, sizeof *e) : NULL;
    if (e == NULL || pg_nat_watch_events(pg_path_nat(l->path), true) != 0) {
        free(e);
        pg_answer_error(req, HTTP_SERVUNAVAIL, "too many are watching already");
        return;
    }
    e->req = req;
    e->connection = evhttp_request_get_connection(req);
    e->number = pg_nat_next_event(pg_path_nat(l->path));
    e->form = pg_dump_conntrack_form(evhttp_find_header(query, "form"));
    e->next = l->events;
    l->events = e;
    pg_live_stream(l, req, "text/plain; charset=utf-8");
    pg_live_tick(l);
}

void pg_live_events_closed(struct pg_live *l, struct evhttp_connection *connection)
{
    struct pg_live_events **at = &l->events;
    while (*at != NULL) {
        struct pg_live_events *e = *at;
        if (connection != NULL && e->connection != connection) {
            at = &e->next;
            continue;
        }
        *at = e->next;
        pg_nat_watch_events(pg_path_nat(l->path), false);
        if (connection != NULL) {
            pg_live_let_go(e->req);
        }
        free(e);
    }
    pg_live_tick(l);
}
