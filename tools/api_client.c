/* The other end of the control socket: one blocking question per connection, or a stream that is read until somebody has enough.
 *
 * HTTP/1.0, so that an answer ends where the connection ends and needs no chunks to be taken apart; its Content-Length tells
 * whether all of it came. Called by the verbs that look at a running instance. Owns nothing between calls.
 *
 * Not handled: redirects, persistent connections, anything else the control API does not do. */
#include "podglass/tools.h"

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define SILENCE_SECONDS 30
#define HEAD_MOST       8192

void pg_api_default_socket(const char *name, struct pg_text *out)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");

    pg_text_printf(out, "%s/podglass/%s.sock", runtime && runtime[0] == '/' ? runtime : "/run",
                   name && name[0] ? name : "default");
}

static int open_socket(const char *path, unsigned silence_seconds)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval silence = {.tv_sec = (time_t)silence_seconds};

    if (strlen(path) >= sizeof address.sun_path) {
        return -ENAMETOOLONG;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return -errno;
    }
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof silence) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &silence, sizeof silence) != 0) {
        int error = -errno;

        close(fd);
        return error;
    }
    return fd;
}

static int send_all(int fd, const struct pg_text *text)
{
    for (size_t at = 0; at < text->len;) {
        ssize_t n = send(fd, text->at + at, text->len - at, MSG_NOSIGNAL);

        if (n < 0 && errno != EINTR) {
            return -errno;
        }
        at += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

static int read_all(int fd, struct pg_text *out)
{
    char piece[65536];

    for (;;) {
        ssize_t n = recv(fd, piece, sizeof piece, 0);

        if (n == 0) {
            return 0;
        }
        if (n < 0 && errno != EINTR) {
            return errno == EAGAIN ? -ETIMEDOUT : -errno;
        }
        if (n > 0) {
            pg_text_add(out, piece, (size_t)n);
        }
    }
}

/* The number of the field Content-Length in a head, or -1. */
static long long content_length(const char *head, size_t len)
{
    static const char name[] = "\r\nContent-Length:";

    for (size_t at = 0; at + sizeof name - 1 <= len; at++) {
        if (strncasecmp(head + at, name, sizeof name - 1) == 0) {
            return strtoll(head + at + sizeof name - 1, NULL, 10);
        }
    }
    return -1;
}

static int take_apart(const struct pg_text *answer, int *ret_status, struct pg_text *ret_body)
{
    const char *end = answer->at ? memmem(answer->at, answer->len, "\r\n\r\n", 4) : NULL;

    if (!end || strncmp(answer->at, "HTTP/1.", 7) != 0) {
        return -EBADMSG;
    }
    const char *body = end + 4;
    size_t len = answer->len - (size_t)(body - answer->at);
    long long expected = content_length(answer->at, (size_t)(end - answer->at));

    if (expected >= 0 && (unsigned long long)expected != len) {
        return -EPIPE; /* cut off in the middle */
    }
    *ret_status = (int)strtol(answer->at + sizeof "HTTP/1.1", NULL, 10);
    pg_text_add(ret_body, body, len);
    return 0;
}

static int ask(const char *socket_path, const struct pg_text *question, unsigned silence_seconds,
               int *ret_status, struct pg_text *ret_body)
{
    struct pg_text answer = {0};
    int fd = open_socket(socket_path, silence_seconds);

    if (fd < 0) {
        return fd;
    }
    int error = send_all(fd, question);

    if (error == 0) {
        error = read_all(fd, &answer);
    }
    if (error == 0) {
        error = take_apart(&answer, ret_status, ret_body);
    }
    pg_text_free(&answer);
    close(fd);
    return error;
}

int pg_api_get(const char *socket_path, const char *path, int *ret_status, struct pg_text *ret_body)
{
    struct pg_text question = {0};

    pg_text_printf(&question, "GET %s HTTP/1.0\r\nHost: podglass\r\n\r\n", path);
    int error = ask(socket_path, &question, SILENCE_SECONDS, ret_status, ret_body);

    pg_text_free(&question);
    return error;
}

int pg_api_post(const char *socket_path, const char *path, const struct pg_text *json,
                unsigned silence_seconds, int *ret_status, struct pg_text *ret_body)
{
    struct pg_text question = {0};

    pg_text_printf(&question,
                   "POST %s HTTP/1.0\r\nHost: podglass\r\nContent-Type: application/json\r\n"
                   "Content-Length: %zu\r\n\r\n",
                   path, json->len);
    pg_text_add(&question, json->at ? json->at : "", json->len);
    int error = ask(socket_path, &question, silence_seconds, ret_status, ret_body);

    pg_text_free(&question);
    return error;
}

/* ---- streams ---- */

/* The head of the answer, byte for byte up to the empty line, so that nothing of the body is taken. */
static int read_head(int fd, struct pg_text *out)
{
    while (out->len < HEAD_MOST) {
        char c = 0;
        ssize_t n = recv(fd, &c, 1, 0);

        if (n == 0) {
            return -EPIPE;
        }
        if (n < 0 && errno != EINTR) {
            return errno == EAGAIN ? -ETIMEDOUT : -errno;
        }
        if (n > 0) {
            pg_text_putc(out, c);
        }
        if (out->len >= 4 && memcmp(out->at + out->len - 4, "\r\n\r\n", 4) == 0) {
            return 0;
        }
    }
    return -EBADMSG;
}

static int pump(int fd, const struct pg_api_reader *reader)
{
    char piece[65536];

    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int ready = poll(&p, 1, (int)reader->idle_ms);

        if (ready == 0 || (ready < 0 && errno == EINTR)) {
            if (!reader->idle(reader->arg)) {
                return 0;
            }
            continue;
        }
        ssize_t n = ready > 0 ? recv(fd, piece, sizeof piece, 0) : -1;

        if (n == 0) {
            return -EPIPE; /* the instance has ended, or has cut us off */
        }
        if (n < 0 && errno != EINTR && errno != EAGAIN) {
            return -errno;
        }
        if (n > 0 && !reader->bytes(reader->arg, piece, (size_t)n)) {
            return 0;
        }
    }
}

int pg_api_stream(const char *socket_path, const char *path, const struct pg_api_reader *reader,
                  int *ret_status, struct pg_text *ret_refusal)
{
    struct pg_text text = {0};
    int fd = open_socket(socket_path, SILENCE_SECONDS);

    if (fd < 0) {
        return fd;
    }
    pg_text_printf(&text, "GET %s HTTP/1.0\r\nHost: podglass\r\n\r\n", path);
    int error = send_all(fd, &text);

    pg_text_clear(&text);
    if (error == 0) {
        error = read_head(fd, &text);
    }
    if (error == 0 && strncmp(text.at, "HTTP/1.", 7) != 0) {
        error = -EBADMSG;
    }
    if (error == 0) {
        *ret_status = (int)strtol(text.at + sizeof "HTTP/1.1", NULL, 10);
        error = *ret_status == 200 ? pump(fd, reader) : read_all(fd, ret_refusal);
    }
    pg_text_free(&text);
    close(fd);
    return error;
}

/* ---- saying why not ---- */

int pg_api_complain(enum pg_verb verb, const char *socket_path, int error)
{
    if (error == -ENOENT || error == -ECONNREFUSED) {
        pg_options_complain(verb, "no running instance at %s", socket_path);
    } else {
        pg_options_complain(verb, "the instance at %s does not answer: %s", socket_path,
                            strerror(-error));
    }
    return PG_EXIT_NOT_RUNNING;
}

int pg_api_refused(enum pg_verb verb, const char *socket_path, int status,
                   const struct pg_text *body)
{
    json_t *answer = json_loadb(body->at ? body->at : "", body->len, 0, NULL);
    const char *why = json_string_value(json_object_get(answer, "message"));

    pg_options_complain(verb, "the instance at %s refuses: %s (HTTP %d)", socket_path,
                        why ? why : "no reason given", status);
    json_decref(answer);
    return PG_EXIT_DIFFERENT;
}

json_t *pg_api_ask(enum pg_verb verb, const char *socket_path, const char *path, int *ret_status)
{
    struct pg_text body = {0};
    json_t *answer = NULL;
    int http = 0;
    int error = pg_api_get(socket_path, path, &http, &body);

    if (error) {
        *ret_status = pg_api_complain(verb, socket_path, error);
    } else if (http != 200) {
        *ret_status = pg_api_refused(verb, socket_path, http, &body);
    } else {
        answer = json_loadb(body.at ? body.at : "", body.len, 0, NULL);
        *ret_status = answer ? 0 : PG_EXIT_DIFFERENT;
    }
    pg_text_free(&body);
    return answer;
}

void pg_api_add_encoded(struct pg_text *t, const char *text)
{
    for (; *text; text++) {
        if (strchr("-._~/:", *text) || (*text >= '0' && *text <= '9') ||
            ((*text | 0x20) >= 'a' && (*text | 0x20) <= 'z')) {
            pg_text_putc(t, *text);
        } else {
            pg_text_printf(t, "%%%02X", (unsigned)(unsigned char)*text);
        }
    }
}
