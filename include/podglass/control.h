/* folder: app */
/* Questions from outside: HTTP/1.1 and JSON on a Unix socket (0600). Reads tables, never the data path's sockets. */
#ifndef PODGLASS_CONTROL_H
#define PODGLASS_CONTROL_H

#include "podglass/path.h"

#include <sys/types.h>

struct event_base;
struct pg_control;

/* Listens at socket_path (made with mode 0600, its directory 0700 if it has to be made; a stale socket is replaced, a live one is an error).
 * 0 or -errno, *ret_text says what failed. path_of gives the path in force. now_us gives the time of the loop. */
int pg_control_open(struct event_base *base, const char *socket_path, struct pg_path *path,
                    uint64_t (*now_us)(void), struct pg_control **ret, const char **ret_text);
/* The socket belongs to this user from now on, and so does its directory, if it was made for it: that user may ask, and can remove it at the end. 0 or -errno. */
int pg_control_give(struct pg_control *c, uid_t uid, gid_t gid);
/* Called when a question has given the path work to do. */
void pg_control_set_wake(struct pg_control *c, void (*wake)(void *arg), void *arg);
void pg_control_set_command_line(struct pg_control *c, const char *text); /* borrowed */
void pg_control_close(struct pg_control *c); /* and removes the socket */
/* Default: $XDG_RUNTIME_DIR/podglass/NAME.sock, else /run/podglass/NAME.sock; name "" is "default". */
void pg_control_default_socket(const char *name, struct pg_text *out);

#endif
