/* folder: app */
/* The verbs that move packets. Each gets argv with argv[0] being its own name and returns an exit status. */
#ifndef PODGLASS_RUN_H
#define PODGLASS_RUN_H

#include "podglass/snapshot.h"
#include "podglass/tools.h"

#include <sys/types.h>

int pg_run(int argc, char **argv);         /* run.c */
int pg_run_demo(int argc, char **argv);    /* demo.c */
int pg_run_check(int argc, char **argv);   /* check.c */
int pg_run_request(int argc, char **argv); /* request.c */

/* ---- sandbox.c: a network of its own for one command ---- */
struct pg_sandbox_options {
    struct pg_addr
        client[2]; /* addresses of the command on the TUN: IPv4 and IPv6, none if absent */
    struct pg_addr nameserver; /* for its /etc/resolv.conf */
    const char *search;        /* "default.svc.cluster.local svc.cluster.local cluster.local" */
    uint16_t mtu;
    char **argv; /* NULL-terminated */
};
struct pg_sandbox {
    pid_t pid;
    int tun_fd; /* attached TUN of the command's namespace; the caller closes it (a link takes it over) */
    int go_fd; /* private: the command starts when told */
};
/* Makes the namespaces, the TUN and its routes, and a process that waits there for pg_sandbox_go. 0 or PG_EXIT_*, said on standard error. */
int pg_sandbox_open(const struct pg_sandbox_options *options, struct pg_sandbox *ret);
void pg_sandbox_go(struct pg_sandbox *s);
void pg_sandbox_abandon(struct pg_sandbox *s); /* before go: ends the waiting process */

#endif
