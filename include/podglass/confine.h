/* folder: app */
/* What `run` gives up once its devices, files and sockets are open: the user it was started as, capabilities, most system calls. docs/security.md says what is left. */
#ifndef PODGLASS_CONFINE_H
#define PODGLASS_CONFINE_H

#include "podglass/text.h"

#include <stdbool.h>
#include <sys/types.h>

/* ---- confine.c ---- */

struct pg_user {
    uid_t uid;
    gid_t gid;
    char name[64]; /* whose supplementary groups count; "": none do */
};
/* NAME[:GROUP], both as names or numbers. Without GROUP the groups are those that the system's files give the user. 0 or -ENOENT; then what is wrong is added to why. */
int pg_user_find(const char *text, struct pg_user *ret, struct pg_text *why);

struct pg_confine {
    const struct pg_user *user; /* NULL: the one we are */
    pid_t child;                /* the command that is told of signals; 0: none */
    bool dumpable;              /* core dumps, debuggers of the same user */
    bool writes_log;            /* an access log that SIGHUP opens anew */
    bool has_socket;            /* a control socket that goes at the end */
};
/* User, groups, capabilities, no new privileges. Before other threads are started. 0 or -errno; what could not be done is added to why, and some of it may have been. */
int pg_confine_privileges(const struct pg_confine *c, struct pg_text *why);

/* What the kernel says of this process. */
struct pg_process_state {
    char user[48];         /* "uid 65534, gid 65534" */
    char capabilities[24]; /* those in force, hexadecimal; "none" */
    bool no_new_privileges;
    bool filtered; /* system calls */
    bool dumpable;
};
/* 0 or -errno: there is no /proc. */
int pg_process_state(struct pg_process_state *ret);
/* In a line for operators. */
void pg_process_state_print(const struct pg_process_state *s, struct pg_text *out);

/* ---- syscall_filter.c ---- */

/* From now on only the calls of its list work, in all threads and what they start. A call that only an attacker would make ends the process by SIGSYS, any other fails; either is logged by its name. Can
 * not be undone, and is for one time. 0 or -errno: the kernel does not offer it. */
int pg_syscall_filter(const struct pg_confine *c);

#endif
