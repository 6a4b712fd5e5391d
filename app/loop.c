/* libevent around one path: the link becomes readable, a timer is due, a signal comes, somebody asks at the control socket.
 *
 * Each of the first two runs one turn of the path (path.c), and the next timer is set from what the path says is due. Everything happens in one thread. Signals end
 * things in two steps: the first drains (open requests finish), the second stops. */
#include "podglass/loop.h"

#include "podglass/confine.h"
#include "podglass/control.h"
#include "podglass/log.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DRAIN_SECONDS 10
#define TURNS_BETWEEN_POLLS \
    8 /* at most, while there is more to do; a poll costs what a small packet does */

struct pg_loop {
    struct pg_loop_options options;
    struct pg_path *path;
    struct event_base *base;
    struct event *links[PG_PATH_LINKS];
    int timer_fd; /* ours: libevent's precise timers would set theirs anew before each wait */
    struct event *timer;
    struct event *drain_end;
    struct event *signals[4];
    struct pg_control *control;
    uint64_t armed_us; /* when the timer fires; in the past: it is not set */
    bool draining;
    int status;
};

uint64_t pg_loop_now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static void stop(struct pg_loop *l, int status)
{
    l->status = status;
    event_base_loopbreak(l->base);
}

/* Wakes us for what is due next. A timer that is set for earlier stays: waking for nothing now and then costs less than setting
 * it anew each turn, which is a system call. */
static void arm_timer(struct pg_loop *l, uint64_t now_us, bool at_once)
{
    if (at_once) {
        event_active(l->timer, EV_TIMEOUT, 0);
        return;
    }
    uint64_t due = pg_path_next_due_us(l->path);
    if (due == UINT64_MAX || (l->armed_us > now_us && l->armed_us <= due)) {
        return;
    }
    uint64_t wait = due > now_us ? due - now_us : 0;
    wait = wait != 0 ? wait : 1; /* 0 would disarm it */
    struct itimerspec it = {.it_value = {.tv_sec = (time_t)(wait / 1000000u),
                                         .tv_nsec = (long)(wait % 1000000u) * 1000}};
    timerfd_settime(l->timer_fd, 0, &it, NULL);
    l->armed_us = due;
}

/* An interface has vanished. false: it was the last, and we stop. */
static bool lose_link(struct pg_loop *l)
{
    uint32_t index = pg_path_lost_link(l->path);
    const char *name = pg_link_name(pg_path_link(l->path, index));
    pg_log(PG_LOG_ERROR, "interface %s has vanished; what is behind it can not be reached any more",
           name);
    event_free(l->links[index]);
    l->links[index] = NULL;
    if (pg_path_close_link(l->path, index) == 0) {
        pg_log(PG_LOG_ERROR, "no interface is left; stopping");
        stop(l, 1);
        return false;
    }
    return true;
}

static void turn(struct pg_loop *l)
{
    uint64_t now_us = pg_loop_now_us();
    int more = pg_path_turn(l->path, now_us);
    if (l->options.after_turn != NULL) {
        l->options.after_turn(l->options.arg);
    }
    if (more < 0 && !lose_link(l)) {
        return;
    }
    if (l->draining && pg_proxy_session_count(pg_path_proxy(l->path)) == 0) {
        stop(l, 0);
        return;
    }
    arm_timer(l, now_us, more != 0);
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    turn(arg);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    uint64_t times;
    if ((what & EV_READ) != 0 && read(fd, &times, sizeof times) < 0) {
        return; /* it was set anew in the meantime */
    }
    turn(arg);
}

/* A turn as soon as the present callback is over. */
static void wake(void *arg)
{
    struct pg_loop *l = arg;
    arm_timer(l, 0, true);
}

static void on_drain_end(evutil_socket_t fd, short what, void *arg)
{
    struct pg_loop *l = arg;
    (void)fd;
    (void)what;
    pg_log(PG_LOG_WARN, "%u connections did not finish within %d s; closing them",
           pg_proxy_session_count(pg_path_proxy(l->path)), DRAIN_SECONDS);
    stop(l, 0);
}

static void on_stop_signal(evutil_socket_t number, short what, void *arg)
{
    struct pg_loop *l = arg;
    (void)what;
    if (l->options.child != 0) {
        kill(l->options.child, (int)number); /* its end is ours */
        return;
    }
    if (l->draining) {
        stop(l, 0);
        return;
    }
    l->draining = true;
    pg_path_drain(l->path);
    struct timeval tv = {.tv_sec = DRAIN_SECONDS};
    evtimer_add(l->drain_end, &tv);
    turn(l);
}

static void on_reload_signal(evutil_socket_t number, short what, void *arg)
{
    struct pg_loop *l = arg;
    struct pg_snapshot *s = NULL;
    (void)number;
    (void)what;
    if (l->options.reload == NULL || !l->options.reload(l->options.arg, &s)) {
        return;
    }
    int error = pg_path_load(l->path, s, pg_loop_now_us());
    if (error != 0) {
        pg_log(PG_LOG_ERROR, "reload failed (%d); the manifests before stay in force", error);
    } else {
        pg_log(PG_LOG_NOTICE, "manifests loaded again: %u services, %u endpoints", s->service_count,
               s->endpoint_count);
    }
    pg_snapshot_put(s);
    turn(l);
}

static void on_child_signal(evutil_socket_t number, short what, void *arg)
{
    struct pg_loop *l = arg;
    int status;
    (void)number;
    (void)what;
    if (l->options.child == 0 || waitpid(l->options.child, &status, WNOHANG) != l->options.child) {
        return;
    }
    l->options.child = 0;
    stop(l, WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
}

static bool add_signals(struct pg_loop *l)
{
    const struct {
        int number;
        event_callback_fn fn;
    } wanted[] = {{SIGINT, on_stop_signal},
                  {SIGTERM, on_stop_signal},
                  {SIGHUP, on_reload_signal},
                  {SIGCHLD, on_child_signal}};
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        l->signals[i] = evsignal_new(l->base, wanted[i].number, wanted[i].fn, l);
        if (l->signals[i] == NULL || evsignal_add(l->signals[i], NULL) != 0) {
            return false;
        }
    }
    return true;
}

static bool add_events(struct pg_loop *l)
{
    l->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    l->timer = l->timer_fd >= 0 ? event_new(l->base, l->timer_fd, EV_READ | EV_PERSIST, on_timer, l)
                                : NULL;
    l->drain_end = evtimer_new(l->base, on_drain_end, l);
    if (l->timer == NULL || event_add(l->timer, NULL) != 0 || l->drain_end == NULL ||
        !add_signals(l)) {
        return false;
    }
    for (uint32_t i = 0; i < pg_path_link_count(l->path); i++) {
        int fd = pg_link_fd(pg_path_link(l->path, i));
        if (fd < 0) {
            continue;
        }
        l->links[i] = event_new(l->base, fd, EV_READ | EV_PERSIST, on_turn, l);
        if (l->links[i] == NULL || event_add(l->links[i], NULL) != 0) {
            return false;
        }
    }
    return true;
}

int pg_loop_new(const struct pg_loop_options *options, struct pg_path *path, struct pg_loop **ret,
                const char **ret_text)
{
    struct pg_loop *l = calloc(1, sizeof *l);
    *ret_text = "event loop";
    if (l == NULL) {
        return -ENOMEM;
    }
    l->options = *options;
    l->path = path;
    l->timer_fd = -1;
    /* a turn that asks for the next one must not keep signals and the control socket out */
    struct event_config *config = event_config_new();
    if (config != NULL) {
        event_config_set_max_dispatch_interval(config, NULL, TURNS_BETWEEN_POLLS, 0);
        l->base = event_base_new_with_config(config);
        event_config_free(config);
    }
    int error = l->base != NULL && add_events(l) ? 0 : -ENOMEM;
    if (error == 0 && options->socket_path != NULL) {
        error = pg_control_open(l->base, options->socket_path, path, pg_loop_now_us, &l->control,
                                ret_text);
    }
    if (error == 0 && l->control != NULL && options->user != NULL) {
        *ret_text = "the control socket can not be given to the user";
        error = pg_control_give(l->control, options->user->uid, options->user->gid);
    }
    if (error != 0) {
        pg_loop_free(l);
        return error;
    }
    if (l->control != NULL) {
        pg_control_set_wake(l->control, wake, l);
        pg_control_set_command_line(l->control, options->command_line);
    }
    *ret = l;
    return 0;
}

int pg_loop_run(struct pg_loop *l)
{
    /* the child may have ended before its signal was watched */
    on_child_signal(SIGCHLD, 0, l);
    turn(l);
    if (!event_base_got_break(l->base)) {
        event_base_dispatch(l->base);
    }
    return l->status;
}

void pg_loop_free(struct pg_loop *l)
{
    if (l == NULL) {
        return;
    }
    pg_control_close(l->control);
    for (size_t i = 0; i < sizeof l->signals / sizeof l->signals[0]; i++) {
        if (l->signals[i] != NULL) {
            event_free(l->signals[i]);
        }
    }
    for (uint32_t i = 0; i < PG_PATH_LINKS; i++) {
        if (l->links[i] != NULL) {
            event_free(l->links[i]);
        }
    }
    if (l->timer != NULL) {
        event_free(l->timer);
    }
    if (l->timer_fd >= 0) {
        close(l->timer_fd);
    }
    if (l->drain_end != NULL) {
        event_free(l->drain_end);
    }
    if (l->base != NULL) {
        event_base_free(l->base);
    }
    free(l);
}
