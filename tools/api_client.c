/* The other end of the control socket: one blocking GET per connection.
 *
 * HTTP/1.0, so that an answer ends where the connection ends and needs no chunks to be taken apart; its Content-Length tells
 * whether all of it came. Called by the verbs that look at a running instance. Owns nothing between calls.
 *
 * Not handled: redirects, persistent connections, anything else the control API does not do. */
#include "podglass/tools.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define SILENCE_SECONDS 30

void pg_api_default_socket(const char *name, struct pg_text *out)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");

    pg_text_printf(out, "%s/podglass/%s.sock", runtime && runtime[0] == '/' ? runtime : "/run",
                   name && name[0] ? name : "default");
}

static int open_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval silence = {.tv_sec = SILENCE_SECONDS};

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

int pg_api_get(const char *socket_path, const char *path, int *ret_status, struct pg_text *ret_body)
{
    struct pg_text text = {0};
    int fd = open_socket(socket_path);

    if (fd < 0) {
        return fd;
    }
    pg_text_printf(&text, "GET %s HTTP/1.0\r\nHost: podglass\r\n\r\n", path);
    int error = send_all(fd, &text);

    pg_text_clear(&text);
    if (error == 0) {
        error = read_all(fd, &text);
    }
    if (error == 0) {
        error = take_apart(&text, ret_status, ret_body);
    }
    pg_text_free(&text);
    close(fd);
    return error;
}
