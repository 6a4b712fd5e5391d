/* Questions from outside: HTTP/1.1 and JSON on a Unix socket.
 *
 *   GET /v1/TYPE                        a list as JSON (dump_json.c); conntrack?o=conntrack gives conntrack(8)'s lines, with &form=extended, id or xml in those forms, counters?o=conntrack those of conntrack -S; with &name= only
 *                                       those of one flow, by its id or label; flows are sent in pieces (control_stream.c)
 *   GET /v1/trace?since=SEQ&limit=N     records as JSON lines; X-Podglass-Next is the since of the next call, X-Podglass-Missed
 *                                       how many records were overwritten before
 *   GET /v1/trace?follow=1              records as they are written (live_trace.c)
 *   GET /v1/capture                     packets as pcapng (live_capture.c)
 *   POST /v1/requests                   sends a request through the path (live_request.c)
 *   GET /healthz /readyz /version /metrics
 *
 * Called by loop.c, between turns of the path; reads tables and changes nothing. Packets can not get here: this is a
 * socket of the file system, not of the path. Who may ask: root and the user podglass runs as, held by the modes of socket
 * and directory, and asked of the kernel once more for each request. One answer per connection; a client that is slow or says
 * nothing is cut off after ten seconds, and 64 answers at most wait for their readers.
 *
 * Owns the listener, the evhttp instance and the socket file, which it removes only if it is still its own. */
#include "podglass/control.h"

#include "podglass/names.h"
#include "podglass/tools.h"

#include "answer.h"
#include "control_stream.h"
#include "dump_internal.h"
#include "live.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define TIMEOUT_SECONDS  10
#define ANSWERS_AT_ONCE  64
#define HEAD_BYTES       8192
#define BODY_BYTES       (256 * 1024) /* only a request to be sent has one */
#define BACKLOG          64
#define TRACE_LIMIT      1000
#define TRACE_LIMIT_MOST 100000

struct pg_control {
    struct event_base *base;
    struct pg_path *path;
    uint64_t (*now_us)(void);
    struct evhttp *http;
    struct evconnlistener *listener; /* evhttp's, which frees it */
    struct event *resume;            /* after accept failed */
    struct pg_live *live;
    uint32_t answers; /* connections that were given one and are not closed */
    struct sockaddr_un address;
    dev_t device; /* of the socket file we made */
    ino_t inode;
    bool made_directory;
};

void pg_control_default_socket(const char *name, struct pg_text *out)
{
    pg_api_default_socket(name, out);
}

static void answer_text(struct evhttp_request *req, int status, const char *text)
{
    struct pg_text body = {0};

    pg_text_puts(&body, text);
    pg_answer(req, status, "text/plain; charset=utf-8", &body);
    pg_text_free(&body);
}

/* A parameter of the query that is a number. false: it is something else; that was answered. */
static bool number(struct evhttp_request *req, struct evkeyvalq *query, const char *name,
                   uint64_t *n)
{
    const char *text = evhttp_find_header(query, name);
    char *end = NULL;

    if (!text) {
        return true;
    }
    errno = 0;
    uint64_t value = strtoull(text, &end, 10);

    if (text[0] < '0' || text[0] > '9' || *end || errno) {
        pg_answer_error(req, HTTP_BADREQUEST, "since and limit are numbers");
        return false;
    }
    *n = value;
    return true;
}

static void answer_trace(struct pg_control *c, struct evhttp_request *req, struct evkeyvalq *query)
{
    const struct pg_trace *trace = pg_path_trace(c->path);
    struct pg_namer namer = {.snapshot = pg_path_snapshot(c->path)};
    struct pg_names names = pg_namer_names(&namer);
    struct evkeyvalq *head = evhttp_request_get_output_headers(req);
    struct pg_text body = {0};
    struct pg_record record;
    char text[24];
    uint64_t since = 1;
    uint64_t limit = TRACE_LIMIT;
    uint64_t missed = 0;

    if (!number(req, query, "since", &since) || !number(req, query, "limit", &limit)) {
        return;
    }
    since = since ? since : 1;
    limit = limit < TRACE_LIMIT_MOST ? limit : TRACE_LIMIT_MOST;
    pg_live_trace_clock(c->path, &body);
    for (uint64_t n = 0; n < limit; n++) {
        struct pg_json j;
        uint64_t gone = 0;

        if (!pg_trace_read(trace, &since, &record, &gone)) {
            break;
        }
        missed += gone;
        pg_json_begin(&j, &body);
        pg_record_json_named(&record, &names, &j);
        pg_text_putc(&body, '\n');
    }
    snprintf(text, sizeof text, "%" PRIu64, since);
    evhttp_add_header(head, "X-Podglass-Next", text);
    snprintf(text, sizeof text, "%" PRIu64, missed);
    evhttp_add_header(head, "X-Podglass-Missed", text);
    pg_answer(req, HTTP_OK, "application/jsonl", &body);
    pg_text_free(&body);
}

static void on_stream_end(void *arg)
{
    struct pg_control *c = arg;

    c->answers--;
}

static void answer_list(struct pg_control *c, struct evhttp_request *req, const char *type,
                        struct evkeyvalq *query)
{
    const char *form = evhttp_find_header(query, "o");
    bool lines = form && strcmp(form, "conntrack") == 0;
    bool flows = strcmp(type, "conntrack") == 0;
    bool counters = strcmp(type, "counters") == 0;
    struct pg_text body = {0};

    if (form && strcmp(form, "json") != 0 && !(lines && (flows || counters))) {
        pg_answer_error(req, HTTP_BADREQUEST, "no such format of this list");
    } else if (flows) {
        struct pg_control_stream_question q = {
            .path = c->path, .now_us = c->now_us, .lines = lines};
        q.form = pg_dump_conntrack_form(evhttp_find_header(query, "form"));
        q.name = lines ? evhttp_find_header(query, "name") : NULL;
        if (!pg_control_stream(c->base, req, &q, on_stream_end, c)) {
            pg_answer_error(req, HTTP_SERVUNAVAIL, "out of memory");
        }
    } else if (counters && lines) {
        pg_nat_print_statistics(pg_path_counters(c->path), &body);
        pg_text_putc(&body, '\n');
        pg_answer(req, HTTP_OK, "text/plain; charset=utf-8", &body);
    } else if (pg_dump_json(c->path, type, evhttp_find_header(query, "name"), c->now_us(), &body)) {
        pg_text_putc(&body, '\n');
        pg_answer(req, HTTP_OK, "application/json", &body);
    } else {
        pg_answer_error(req, HTTP_NOTFOUND, "no such list");
    }
    pg_text_free(&body);
}

static void route(struct pg_control *c, struct evhttp_request *req, const char *path,
                  struct evkeyvalq *query)
{
    if (pg_live_route(c->live, req, path, query)) {
        return;
    }
    if (strcmp(path, "/healthz") == 0) {
        answer_text(req, HTTP_OK, "ok\n");
    } else if (strcmp(path, "/readyz") == 0) {
        bool ready = pg_path_snapshot(c->path) != NULL;

        answer_text(req, ready ? HTTP_OK : HTTP_SERVUNAVAIL,
                    ready ? "ok\n" : "no manifests are in force\n");
    } else if (strcmp(path, "/version") == 0) {
        struct pg_text body = {0};

        pg_text_puts(&body, "{\"version\":\"" PODGLASS_VERSION "\"}\n");
        pg_answer(req, HTTP_OK, "application/json", &body);
        pg_text_free(&body);
    } else if (strcmp(path, "/v1/trace") == 0) {
        answer_trace(c, req, query);
    } else if (strncmp(path, "/v1/", 4) == 0) {
        answer_list(c, req, path + 4, query);
    } else {
        pg_answer_error(req, HTTP_NOTFOUND, "no such path");
    }
}

/* ---- who asks ---- */

static void on_closed(struct evhttp_connection *connection, void *arg)
{
    struct pg_control *c = arg;

    pg_live_closed(c->live, connection);
    c->answers--;
}

static bool may_ask(struct evhttp_request *req)
{
    struct bufferevent *stream =
        evhttp_connection_get_bufferevent(evhttp_request_get_connection(req));
    struct ucred peer;
    socklen_t len = sizeof peer;

    return getsockopt(bufferevent_getfd(stream), SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
           (peer.uid == 0 || peer.uid == geteuid());
}

static void on_request(struct evhttp_request *req, void *arg)
{
    struct pg_control *c = arg;
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(req);
    const char *path = uri ? evhttp_uri_get_path(uri) : NULL;
    const char *query_text = uri ? evhttp_uri_get_query(uri) : NULL;
    struct evkeyvalq query;

    c->answers++;
    evhttp_connection_set_closecb(evhttp_request_get_connection(req), on_closed, c);
    if (!may_ask(req)) {
        pg_answer_error(req, 403, "only root and the user podglass runs as may ask");
        return;
    }
    bool is_post = evhttp_request_get_command(req) == EVHTTP_REQ_POST && path &&
                   strcmp(path, "/v1/requests") == 0;

    if (!is_post && evhttp_request_get_command(req) != EVHTTP_REQ_GET) {
        evhttp_add_header(evhttp_request_get_output_headers(req), "Allow", "GET");
        pg_answer_error(req, HTTP_BADMETHOD, "only GET is known here");
        return;
    }
    if (c->answers > ANSWERS_AT_ONCE) {
        pg_answer_error(req, HTTP_SERVUNAVAIL, "too many clients at once");
        return;
    }
    TAILQ_INIT(&query);
    if (!path || (query_text && evhttp_parse_query_str(query_text, &query) != 0)) {
        pg_answer_error(req, HTTP_BADREQUEST, "not a path of this API");
    } else {
        route(c, req, path, &query);
    }
    evhttp_clear_headers(&query);
}

/* ---- the socket ---- */

/* Makes the last directory of path if it is missing; the ones above must be there. */
static int make_directory(struct pg_control *c)
{
    struct sockaddr_un copy = c->address;
    char *slash = strrchr(copy.sun_path, '/');

    if (!slash || slash == copy.sun_path) {
        return 0;
    }
    *slash = 0;
    c->made_directory = mkdir(copy.sun_path, 0700) == 0;
    return c->made_directory || errno == EEXIST ? 0 : -errno;
}

/* A socket file that nobody answers at was left by a process that is gone. -EADDRINUSE: somebody answers. */
static int remove_stale(const struct sockaddr_un *address, const char **ret_text)
{
    struct stat st;
    int error = 0;

    if (lstat(address->sun_path, &st) != 0) {
        return errno == ENOENT ? 0 : -errno;
    }
    if (!S_ISSOCK(st.st_mode)) {
        *ret_text = "the control socket's path is taken by something that is no socket";
        return -EEXIST;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) {
        return -errno;
    }
    if (connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 || errno == EAGAIN) {
        *ret_text = "another instance answers at the control socket";
        error = -EADDRINUSE;
    } else if (errno == ECONNREFUSED) {
        error = unlink(address->sun_path) == 0 || errno == ENOENT ? 0 : -errno;
    } else {
        error = -errno;
    }
    close(fd);
    return error;
}

/* A listening socket at c->address, or -errno. */
static int listen_at(struct pg_control *c)
{
    struct stat st;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) {
        return -errno;
    }
    /* The file takes the mode of the socket, less the umask: it never exists with more, not even for a moment. */
    if (fchmod(fd, 0600) != 0 ||
        bind(fd, (const struct sockaddr *)&c->address, sizeof c->address) != 0) {
        int error = -errno;

        close(fd);
        return error;
    }
    if (lstat(c->address.sun_path, &st) != 0 || listen(fd, BACKLOG) != 0) {
        int error = -errno;

        unlink(c->address.sun_path);
        close(fd);
        return error;
    }
    c->device = st.st_dev;
    c->inode = st.st_ino;
    return fd;
}

/* Out of descriptors: the connection waits in the backlog, and asking again at once would only spin. */
static void on_accept_failed(struct evconnlistener *listener, void *arg)
{
    struct pg_control *c = arg;
    struct timeval second = {.tv_sec = 1};

    evconnlistener_disable(listener);
    event_add(c->resume, &second);
}

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
    struct pg_control *c = arg;

    (void)fd;
    (void)what;
    evconnlistener_enable(c->listener);
}

static int serve(struct pg_control *c, struct event_base *base)
{
    int fd = listen_at(c);

    if (fd < 0) {
        return fd;
    }
    c->live = pg_live_new(c->path, base, c->now_us);
    c->resume = event_new(base, -1, 0, on_resume, c);
    c->http = evhttp_new(base);
    c->listener =
        evconnlistener_new(base, NULL, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
    if (!c->listener) {
        close(fd);
        return -ENOMEM;
    }
    if (!c->live || !c->resume || !c->http || !evhttp_bind_listener(c->http, c->listener)) {
        evconnlistener_free(c->listener);
        return -ENOMEM;
    }
    evconnlistener_set_error_cb(c->listener, on_accept_failed);
    evhttp_set_allowed_methods(c->http, 0xffff); /* all reach on_request, which says 405 */
    evhttp_set_max_headers_size(c->http, HEAD_BYTES);
    evhttp_set_max_body_size(c->http, BODY_BYTES);
    evhttp_set_timeout(c->http, TIMEOUT_SECONDS);
    evhttp_set_gencb(c->http, on_request, c);
    return 0;
}

int pg_control_open(struct event_base *base, const char *socket_path, struct pg_path *path,
                    uint64_t (*now_us)(void), struct pg_control **ret, const char **ret_text)
{
    struct pg_control *c = calloc(1, sizeof *c);
    int error = 0;

    *ret_text = "out of memory";
    if (!c) {
        return -ENOMEM;
    }
    c->base = base;
    c->path = path;
    c->now_us = now_us;
    c->address.sun_family = AF_UNIX;
    if (strlen(socket_path) >= sizeof c->address.sun_path) {
        *ret_text = "the control socket's path is too long";
        free(c);
        return -ENAMETOOLONG;
    }
    memcpy(c->address.sun_path, socket_path, strlen(socket_path) + 1);
    *ret_text = "the control socket's directory can not be made";
    error = make_directory(c);
    if (error == 0) {
        *ret_text = "the control socket can not be made";
        error = remove_stale(&c->address, ret_text);
    }
    if (error == 0) {
        error = serve(c, base);
    }
    if (error) {
        pg_control_close(c);
        return error;
    }
    *ret_text = "";
    *ret = c;
    return 0;
}

/* The directory that is ours by default was made by an earlier instance, perhaps. */
static bool default_directory(const char *path)
{
    struct pg_text socket = {0};
    const char *slash = strrchr(path, '/');
    bool same;

    pg_control_default_socket("", &socket);
    size_t len = slash ? (size_t)(slash - path) + 1 : 0;
    same = len && socket.len > len && memcmp(socket.at, path, len) == 0 &&
           !memchr(socket.at + len, '/', socket.len - len);
    pg_text_free(&socket);
    return same;
}

int pg_control_give(struct pg_control *c, uid_t uid, gid_t gid)
{
    struct sockaddr_un copy = c->address;
    char *slash = strrchr(copy.sun_path, '/');
    struct stat st;

    if (lchown(copy.sun_path, uid, gid) != 0) {
        return -errno;
    }
    if (!slash || (!c->made_directory && !default_directory(c->address.sun_path))) {
        return 0;
    }
    *slash = 0;
    if (lstat(copy.sun_path, &st) != 0 || !S_ISDIR(st.st_mode) || st.st_uid != geteuid()) {
        return 0; /* somebody else's: it stays so */
    }
    return lchown(copy.sun_path, uid, gid) == 0 ? 0 : -errno;
}

void pg_control_set_wake(struct pg_control *c, void (*wake)(void *arg), void *arg)
{
    c->live->wake = wake;
    c->live->wake_arg = arg;
}

void pg_control_set_command_line(struct pg_control *c, const char *text)
{
    c->live->command_line = text;
}

void pg_control_close(struct pg_control *c)
{
    struct stat st;

    if (!c) {
        return;
    }
    pg_live_free(c->live);
    c->live = NULL; /* connections that end now have nobody to tell */
    if (c->http) {
        evhttp_free(c->http);
    }
    if (c->resume) {
        event_free(c->resume);
    }
    if (c->inode && lstat(c->address.sun_path, &st) == 0 && st.st_dev == c->device &&
        st.st_ino == c->inode) {
        unlink(c->address.sun_path);
    }
    free(c);
}
