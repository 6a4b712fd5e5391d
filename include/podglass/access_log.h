/* folder: app */
/* One line per request, as nginx' "combined" or as JSON. Never waits: lines go to a buffer that another thread writes. */
#ifndef PODGLASS_ACCESS_LOG_H
#define PODGLASS_ACCESS_LOG_H

#include "podglass/path.h"
#include "podglass/request_stats.h"

#include <sys/types.h>

struct pg_access_log;

/* path "-" is standard output. 0 or -errno. Nothing is written before pg_access_log_start. */
int pg_access_log_open(const char *path, bool json, struct pg_access_log **ret);
/* Its file, if it is one, belongs to this user from now on, who can then open it again. 0 or -errno. */
int pg_access_log_give(struct pg_access_log *l, uid_t uid, gid_t gid);
/* The path tells which pod an upstream connection led to; it may be NULL. Starts the writer: after privileges were dropped, for a thread keeps what it has. 0 or -errno. */
int pg_access_log_start(struct pg_access_log *l, struct pg_path *path);
/* For pg_proxy_options.on_done; arg is the log. */
void pg_access_log_request(void *arg, const struct pg_request_done *done);
void pg_access_log_reopen(struct pg_access_log *l); /* the file was moved away; NULL is fine */
uint64_t pg_access_log_lost(const struct pg_access_log *l); /* lines, because the buffer was full */
/* Writes what is left. NULL is fine. */
void pg_access_log_close(struct pg_access_log *l);

#endif
