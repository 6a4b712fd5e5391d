/* folder: app */
/* The event loop around one path: link input, timers, signals, control socket, and the command that is the client. */
#ifndef PODGLASS_LOOP_H
#define PODGLASS_LOOP_H

#include "podglass/path.h"

#include <stdint.h>
#include <sys/types.h>

struct pg_loop;
struct pg_user;

struct pg_loop_options {
    const char *socket_path;    /* control socket; NULL: none */
    const struct pg_user *user; /* who the socket will belong to; NULL: us */
    const char *command_line;   /* for those who ask what this is; may be NULL */
    pid_t child;                /* command whose end is ours; 0: none */
    /* SIGHUP: loads manifests again. *ret is a snapshot with one reference; false: keep the old one (already reported). */
    bool (*reload)(void *arg, struct pg_snapshot **ret);
    /* Called after each turn while set; the trace printer. */
    void (*after_turn)(void *arg);
    void *arg;
};

/* 0 or -errno, *ret_text says what failed. The path stays the caller's. */
int pg_loop_new(const struct pg_loop_options *options, struct pg_path *path, struct pg_loop **ret,
                const char **ret_text);
/* Runs until SIGINT or SIGTERM (then open requests get up to 10 s to finish; a second signal ends at once), the end of the child, or the loss of the device.
 * Returns the exit status: 0, the child's (128 + N for a signal), or 1 when the device vanished. */
int pg_loop_run(struct pg_loop *l);
void pg_loop_free(struct pg_loop *l);
uint64_t pg_loop_now_us(void); /* CLOCK_MONOTONIC */

#endif
