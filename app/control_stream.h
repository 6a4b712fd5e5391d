/* An answer that is written while the path goes on. */
#ifndef PODGLASS_CONTROL_STREAM_H
#define PODGLASS_CONTROL_STREAM_H

#include "podglass/path.h"

struct event_base;
struct evhttp_request;

struct pg_control_stream_question {
    struct pg_path *path;
    uint64_t (*now_us)(void);
    bool lines;       /* as conntrack(8), else JSON */
    const char *name; /* with lines: one flow's id or label; NULL: all */
    unsigned form;    /* with lines: as pg_nat_print_conntrack */
};

/* Answers req with the list of flows; on_end(arg) is called once, when the connection is gone. false: out of memory; nothing was done. */
bool pg_control_stream(struct event_base *base, struct evhttp_request *req,
                       const struct pg_control_stream_question *q, void (*on_end)(void *arg),
                       void *arg);

#endif
