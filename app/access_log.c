/* The access log: a line per request, formatted on the loop, written by a thread of its own.
 *
 * A disk may make a write wait, and a pipe whose reader has stopped makes it wait for ever; the loop can afford neither. So lines go to a bounded buffer and the writer takes
 * all of it at once, ten times a second or when much is there. A line that finds no room is lost and counted, and the log itself says how many were.
 *
 * What strangers said is escaped as nginx does it, so that a line stays a line and a quote ends a field. Behind the fields of "combined" stand ours, as name=value.
 *
 * Called by proxy/ through a callback, and by run.c. The lock guards the buffer and the flags beside it, nothing else. */
#include "podglass/access_log.h"

#include "podglass/json.h"
#include "podglass/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BUFFER_MOST (1024 * 1024)
#define BUFFER_MUCH (64 * 1024)
#define WAIT_NS     100000000
#define CLOSE_POLLS 20 /* a tenth of a second each: how long the end waits for a reader */

struct pg_access_log {
    char *file; /* NULL: standard output */
    struct pg_path *path;
    bool json;
    bool started;
    bool running;  /* the writer has begun */
    time_t second; /* of `stamp` */
    char stamp[64];
    pthread_t writer;
    pthread_mutex_t lock;
    pthread_cond_t more;
    /* under the lock */
    struct pg_text buffer;
    uint64_t lost;
    uint64_t lost_told;
    bool reopen;
    bool closing;
    int fd;
};

/* ---- a line ---- */

/* nginx: ", \ and what is not printable ASCII as \xHH; nothing at all as -. */
static void add_field(struct pg_text *out, struct pg_slice s)
{
    if (s.len == 0) {
        pg_text_putc(out, '-');
    }
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.at[i];
        if (c < ' ' || c > '~' || c == '"' || c == '\\') {
            pg_text_printf(out, "\\x%02X", c);
        } else {
            pg_text_putc(out, (char)c);
        }
    }
}

static void add_addr(struct pg_text *out, const struct pg_addr *a)
{
    char text[PG_ADDR_TEXT];
    pg_text_puts(out, pg_addr_is_none(a) ? "-" : pg_addr_print(a, text));
}

static void add_seconds(struct pg_text *out, uint64_t us)
{
    pg_text_printf(out, "%" PRIu64 ".%06" PRIu64, us / 1000000, us % 1000000);
}

/* The pod's end, if NAT still knows the flow; else the service's. */
static struct pg_addr upstream_of(const struct pg_access_log *l, const struct pg_request_done *d,
                                  uint16_t *ret_port)
{
    struct pg_nat_flow_view flow;
    *ret_port = d->upstream_port;
    if (l->path != NULL && d->upstream_sent.proto != 0 &&
        pg_nat_find(pg_path_nat(l->path), &d->upstream_sent, 0, &flow)) {
        *ret_port = flow.reply.src_port;
        return flow.reply.src;
    }
    return d->upstream;
}

static const struct pg_addr *client_of(const struct pg_request_done *d)
{
    return pg_addr_is_none(&d->client) ? &d->hop : &d->client;
}

static void add_upstream(const struct pg_access_log *l, const struct pg_request_done *d,
                         struct pg_text *out)
{
    char text[PG_ENDPOINT_TEXT];
    uint16_t port;
    struct pg_addr a = upstream_of(l, d, &port);
    pg_text_puts(out, pg_addr_is_none(&a) ? "-" : pg_endpoint_print(&a, port, text));
}

static void add_combined(const struct pg_access_log *l, const struct pg_request_done *d,
                         struct pg_text *out)
{
    const struct pg_request_note *n = d->note;
    static const struct pg_slice nothing = {NULL, 0};
    add_addr(out, client_of(d));
    pg_text_printf(out, " - - [%s] \"", l->stamp);
    if (n != NULL) {
        add_field(out, n->method);
        pg_text_putc(out, ' ');
        add_field(out, n->target);
        pg_text_printf(out, " HTTP/1.%u", n->minor);
    }
    pg_text_printf(out, "\" %u %" PRIu64 " \"", d->status, d->bytes_out);
    add_field(out, n != NULL ? n->referer : nothing);
    pg_text_puts(out, "\" \"");
    add_field(out, n != NULL ? n->agent : nothing);
    pg_text_printf(out, "\" flow=%04x host=\"", d->label);
    add_field(out, n != NULL ? n->host : nothing);
    pg_text_printf(out, "\" service=%s upstream=", d->service[0] != 0 ? d->service : "-");
    add_upstream(l, d, out);
    pg_text_puts(out, " rt=");
    add_seconds(out, d->took_us);
    pg_text_puts(out, " urt=");
    if (d->upstream_us != 0) {
        add_seconds(out, d->upstream_us);
    } else {
        pg_text_putc(out, '-');
    }
    pg_text_puts(out, " origin=");
    add_addr(out, &d->origin);
    pg_text_printf(out, " client=%s\n", d->has_verdict ? pg_verdict_name(d->verdict) : "-");
}

static void json_note(struct pg_json *j, const char *key, const struct pg_request_note *n,
                      struct pg_slice s)
{
    if (n == NULL || s.len == 0) {
        pg_json_key_string(j, key, NULL);
        return;
    }
    pg_json_key(j, key);
    pg_json_slice(j, s);
}

static void add_json(const struct pg_access_log *l, const struct pg_request_done *d,
                     struct pg_text *out)
{
    static const struct pg_request_note nothing;
    const struct pg_request_note *n = d->note != NULL ? d->note : &nothing;
    struct pg_text text = {0};
    struct pg_json j;
    char why[512];
    pg_json_begin(&j, out);
    pg_json_object(&j);
    pg_json_key_string(&j, "time", l->stamp);
    pg_text_printf(&text, "%04x", d->label);
    pg_json_key_string(&j, "flow", text.at);
    pg_json_key_addr(&j, "client", client_of(d));
    pg_json_key_addr(&j, "peer", &d->hop);
    pg_json_key_addr(&j, "origin", &d->origin);
    pg_json_key_string(&j, "verdict", d->has_verdict ? pg_verdict_name(d->verdict) : NULL);
    json_note(&j, "method", d->note, n->method);
    json_note(&j, "host", d->note, n->host);
    json_note(&j, "target", d->note, n->target);
    pg_json_key_string(&j, "protocol",
                       d->note == NULL ? NULL : (n->minor != 0 ? "HTTP/1.1" : "HTTP/1.0"));
    json_note(&j, "referer", d->note, n->referer);
    json_note(&j, "userAgent", d->note, n->agent);
    pg_json_key_uint(&j, "status", d->status);
    pg_json_key_uint(&j, "bytesIn", d->bytes_in);
    pg_json_key_uint(&j, "bytesOut", d->bytes_out);
    pg_json_key_string(&j, "service", d->service[0] != 0 ? d->service : NULL);
    pg_text_clear(&text);
    add_upstream(l, d, &text);
    pg_json_key_string(&j, "upstream", strcmp(text.at, "-") != 0 ? text.at : NULL);
    pg_json_key_bool(&j, "reused", d->reused);
    pg_json_key_uint(&j, "tookUs", d->took_us);
    pg_json_key_uint(&j, "upstreamUs", d->upstream_us);
    pg_json_key_string(&j, "error", d->error);
    pg_json_key_string(&j, "reason", d->why ? pg_reason_print(d->why, why, sizeof why) : NULL);
    pg_json_object_end(&j);
    pg_text_putc(out, '\n');
    pg_text_free(&text);
}

/* The time as text, made anew once a second. */
static void set_stamp(struct pg_access_log *l)
{
    time_t now = time(NULL);
    struct tm parts;
    if (now == l->second) {
        return;
    }
    l->second = now;
    if (l->json) {
        gmtime_r(&now, &parts);
        strftime(l->stamp, sizeof l->stamp, "%Y-%m-%dT%H:%M:%SZ", &parts);
    } else {
        localtime_r(&now, &parts);
        strftime(l->stamp, sizeof l->stamp, "%d/%b/%Y:%H:%M:%S %z", &parts);
    }
}

void pg_access_log_request(void *arg, const struct pg_request_done *done)
{
    struct pg_access_log *l = arg;
    struct pg_text line = {0};
    set_stamp(l);
    if (l->json) {
        add_json(l, done, &line);
    } else {
        add_combined(l, done, &line);
    }
    pthread_mutex_lock(&l->lock);
    if (l->buffer.len + line.len > BUFFER_MOST) {
        l->lost++;
    } else {
        pg_text_add(&l->buffer, line.at, line.len);
        if (l->buffer.len > BUFFER_MUCH) {
            pthread_cond_signal(&l->more);
        }
    }
    pthread_mutex_unlock(&l->lock);
    pg_text_free(&line);
}

/* ---- the writer ---- */

static int open_file(const char *file)
{
    int fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0640);
    return fd >= 0 ? fd : -errno;
}

/* false: it does not go on: the reader has gone, the disk is full, or at the end nobody reads. */
static bool write_all(struct pg_access_log *l, int fd, const struct pg_text *text)
{
    int polls = 0;
    for (size_t at = 0; at < text->len;) {
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        int ready = poll(&p, 1, 100);
        if (ready <= 0) {
            pthread_mutex_lock(&l->lock);
            bool closing = l->closing;
            pthread_mutex_unlock(&l->lock);
            if (closing && ++polls > CLOSE_POLLS) {
                return false;
            }
            continue;
        }
        ssize_t n = write(fd, text->at + at, text->len - at);
        if (n < 0 && errno != EINTR && errno != EAGAIN) {
            return false;
        }
        at += n > 0 ? (size_t)n : 0;
    }
    return true;
}

static void say_lost(struct pg_access_log *l, uint64_t lost, struct pg_text *out)
{
    if (lost == l->lost_told) {
        return;
    }
    if (l->json) {
        pg_text_printf(out, "{\"lost\":%" PRIu64 "}\n", lost - l->lost_told);
    } else {
        pg_text_printf(out, "# %" PRIu64 " lines lost\n", lost - l->lost_told);
    }
    l->lost_told = lost;
}

/* Waits for work. false: closing, and nothing is left. */
static bool take(struct pg_access_log *l, struct pg_text *ret, bool *ret_reopen)
{
    pthread_mutex_lock(&l->lock);
    if (l->buffer.len < BUFFER_MUCH && !l->closing && !l->reopen) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += WAIT_NS;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&l->more, &l->lock, &until);
    }
    *ret = l->buffer;
    l->buffer = (struct pg_text){0};
    *ret_reopen = l->reopen;
    l->reopen = false;
    say_lost(l, l->lost, ret);
    bool go_on = !l->closing || ret->len != 0;
    pthread_mutex_unlock(&l->lock);
    return go_on;
}

static void *write_on(void *arg)
{
    struct pg_access_log *l = arg;
    struct pg_text text;
    bool reopen;
    bool complained = false;
    pthread_mutex_lock(&l->lock);
    l->running = true;
    pthread_cond_broadcast(&l->more);
    pthread_mutex_unlock(&l->lock);
    while (take(l, &text, &reopen)) {
        if (reopen && l->file != NULL) {
            int fd = open_file(l->file);
            if (fd >= 0) {
                close(l->fd);
                l->fd = fd;
                complained = false;
            } else {
                pg_log(
                    PG_LOG_WARN,
                    "the access log %s can not be opened again: %s; lines go to the file that is "
                    "open",
                    l->file, strerror(-fd));
            }
        }
        if (text.len != 0 && !write_all(l, l->fd, &text) && !complained) {
            complained = true;
            pg_log(PG_LOG_WARN, "the access log can not be written: %s", strerror(errno));
        }
        pg_text_free(&text);
    }
    pg_text_free(&text);
    return NULL;
}

/* ---- open and close ---- */

int pg_access_log_open(const char *path, bool json, struct pg_access_log **ret)
{
    struct pg_access_log *l = calloc(1, sizeof *l);
    bool standard = strcmp(path, "-") == 0;
    if (l == NULL) {
        return -ENOMEM;
    }
    l->json = json;
    l->file = standard ? NULL : strdup(path);
    l->fd = standard ? dup(STDOUT_FILENO) : open_file(path);
    if (l->fd < 0 || (!standard && l->file == NULL)) {
        int error = l->fd < 0 && !standard ? l->fd : -ENOMEM;
        free(l->file);
        free(l);
        return error;
    }
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->more, NULL);
    *ret = l;
    return 0;
}

int pg_access_log_give(struct pg_access_log *l, uid_t uid, gid_t gid)
{
    struct stat st;
    bool ours = l->file != NULL && fstat(l->fd, &st) == 0 && S_ISREG(st.st_mode);
    return ours && fchown(l->fd, uid, gid) != 0 ? -errno : 0;
}

int pg_access_log_start(struct pg_access_log *l, struct pg_path *path)
{
    sigset_t all;
    sigset_t before;
    l->path = path;
    sigfillset(&all);
    sigdelset(&all, SIGSYS); /* a refused system call is answered in the thread that made it */
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the loop's */
    int error = pthread_create(&l->writer, NULL, write_on, l);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    l->started = error == 0;
    /* a filter of system calls may come next, without those that only the birth of a thread takes */
    pthread_mutex_lock(&l->lock);
    while (l->started && !l->running) {
        pthread_cond_wait(&l->more, &l->lock);
    }
    pthread_mutex_unlock(&l->lock);
    return -error;
}

void pg_access_log_reopen(struct pg_access_log *l)
{
    if (l != NULL) {
        pthread_mutex_lock(&l->lock);
        l->reopen = true;
        pthread_cond_signal(&l->more);
        pthread_mutex_unlock(&l->lock);
    }
}

uint64_t pg_access_log_lost(const struct pg_access_log *l)
{
    return l->lost;
}

void pg_access_log_close(struct pg_access_log *l)
{
    if (l == NULL) {
        return;
    }
    pthread_mutex_lock(&l->lock);
    l->closing = true;
    pthread_cond_signal(&l->more);
    pthread_mutex_unlock(&l->lock);
    if (l->started) {
        pthread_join(l->writer, NULL);
    }
    close(l->fd);
    pthread_cond_destroy(&l->more);
    pthread_mutex_destroy(&l->lock);
    pg_text_free(&l->buffer);
    free(l->file);
    free(l);
}
