/* A user, network and mount namespace for one command, with the TUN inside: `run -- CMD`.
 *
 * The waiting process makes the namespaces and the device, configures it, hands the attached descriptor to podglass over a socket pair and waits. podglass itself
 * stays where it was: a TUN descriptor works from any namespace. Nothing of the host changes: routes, addresses and /etc/resolv.conf exist only in there.
 * Without root the command keeps its own user id; being root inside the namespaces ends with exec. */
#include "podglass/run.h"

#include "podglass/link.h"
#include "podglass/log.h"
#include "podglass/tun_config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SANDBOX_TUN "podglass0"

/* ---- in the waiting process; each says on stderr what failed and ends it ---- */

__attribute__((noreturn, format(printf, 1, 2))) static void fail(const char *format, ...)
{
    struct pg_text text = {0};
    va_list args;
    va_start(args, format);
    pg_text_vprintf(&text, format, args);
    va_end(args);
    fprintf(stderr, "podglass run: %s\n", text.at);
    _exit(PG_EXIT_PRIVILEGE);
}

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? write(fd, text, strlen(text)) : -1;
    if (n < 0) {
        fail("can not set up a user namespace: %s: %s", path, strerror(errno));
    }
    close(fd);
}

static void enter_namespaces(void)
{
    uid_t uid = geteuid();
    gid_t gid = getegid();
    char map[64];
    if (uid == 0) {
        if (unshare(CLONE_NEWNET | CLONE_NEWNS) != 0) {
            fail("can not make a network namespace: %s", strerror(errno));
        }
    } else {
        if (unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS) != 0) {
            fail("can not make a user namespace: %s (is it allowed here? `podglass demo` needs "
                 "none)",
                 strerror(errno));
        }
        write_file("/proc/self/setgroups", "deny");
        snprintf(map, sizeof map, "%u %u 1", (unsigned)uid, (unsigned)uid);
        write_file("/proc/self/uid_map", map);
        snprintf(map, sizeof map, "%u %u 1", (unsigned)gid, (unsigned)gid);
        write_file("/proc/self/gid_map", map);
    }
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
        fail("can not make mounts private: %s", strerror(errno));
    }
}

/* /etc/resolv.conf as a pod has it (kubelet's ClusterFirst), by a bind mount that only this mount namespace sees. */
static void mount_resolv_conf(const struct pg_sandbox_options *o)
{
    char text[1024];
    char server[PG_ADDR_TEXT];
    char path[] = "/tmp/podglass-resolv-XXXXXX";
    char target[PATH_MAX];
    snprintf(text, sizeof text, "search %s\nnameserver %s\noptions ndots:5\n", o->search,
             pg_addr_print(&o->nameserver, server));
    if (realpath("/etc/resolv.conf", target) == NULL) {
        fprintf(stderr, "podglass run: no /etc/resolv.conf here to replace; names of the cluster "
                        "will not resolve\n");
        return;
    }
    int fd = mkstemp(path);
    if (fd < 0 || write(fd, text, strlen(text)) < 0 || fchmod(fd, 0644) != 0 ||
        mount(path, target, NULL, MS_BIND, NULL) != 0) {
        fail("can not put the cluster's resolv.conf in place: %s", strerror(errno));
    }
    close(fd);
    unlink(path); /* the mount keeps it */
}

static void configure(const struct pg_sandbox_options *o)
{
    static const struct pg_prefix everything[2] = {
        {.addr = {.bytes = {[10] = 0xff, [11] = 0xff}}, .bits = 96},
        {.bits = 0},
    };
    struct pg_tun_address address = {.bits = 32};
    struct pg_tun_config config = {
        .mtu = o->mtu, .addresses = &address, .address_count = 1, .route_count = 1};
    struct pg_text why = {0};
    int error = pg_tun_set_up("lo", &why);
    for (int i = 0; i < 2 && error == 0; i++) {
        if (pg_addr_is_none(&o->client[i])) {
            continue;
        }
        address = (struct pg_tun_address){.addr = o->client[i], .bits = i == 0 ? 32 : 128};
        config.routes = &everything[i];
        error = pg_tun_configure(SANDBOX_TUN, &config, &why);
    }
    if (error != 0) {
        fail("can not configure %s: %s", SANDBOX_TUN, why.at);
    }
}

static void send_fd(int socket, int fd)
{
    char byte = 'f';
    struct iovec iov = {.iov_base = &byte, .iov_len = 1};
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control.room,
                             .msg_controllen = sizeof control.room};
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
    if (sendmsg(socket, &message, 0) != 1) {
        fail("can not hand over the TUN: %s", strerror(errno));
    }
}

__attribute__((noreturn)) static void wait_and_run(const struct pg_sandbox_options *o, int socket)
{
    struct pg_tun_options tun = {
        .name = SANDBOX_TUN, .offload = true, .fd = -1, .io = PG_TUN_IO_PLAIN};
    struct pg_link *link = NULL;
    const char *what = "";
    char go;
    enter_namespaces();
    int error = pg_tun_open(&tun, &link, &what);
    if (error != 0) {
        fail(
            "can not make a TUN: %s: %s%s", what, strerror(-error),
            error == -EACCES || error == -EPERM
                ? " (run as root, or open /dev/net/tun to your user; `podglass demo` needs neither)"
                : "");
    }
    configure(o);
    mount_resolv_conf(o);
    send_fd(socket, pg_link_fd(link));
    if (read(socket, &go, 1) != 1) {
        _exit(0); /* abandoned */
    }
    close(socket);
    pg_link_close(link);
    signal(SIGPIPE, SIG_DFL);
    execvp(o->argv[0], o->argv);
    fprintf(stderr, "podglass run: %s: %s\n", o->argv[0], strerror(errno));
    _exit(errno == ENOENT ? 127 : 126);
}

/* ---- in podglass ---- */

static int receive_fd(int socket)
{
    char byte;
    struct iovec iov = {.iov_base = &byte, .iov_len = 1};
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control.room,
                             .msg_controllen = sizeof control.room};
    if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != 1) {
        return -1;
    }
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    int fd = -1;
    if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
        memcpy(&fd, CMSG_DATA(c), sizeof fd);
    }
    return fd;
}

int pg_sandbox_open(const struct pg_sandbox_options *options, struct pg_sandbox *ret)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        fprintf(stderr, "podglass run: socket pair: %s\n", strerror(errno));
        return PG_EXIT_PRIVILEGE;
    }
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        close(pair[0]);
        wait_and_run(options, pair[1]);
    }
    close(pair[1]);
    int fd = pid > 0 ? receive_fd(pair[0]) : -1;
    if (fd < 0) {
        int status = 0;
        close(pair[0]);
        if (pid > 0) {
            waitpid(pid, &status, 0);
        }
        return WIFEXITED(status) && WEXITSTATUS(status) != 0 ? WEXITSTATUS(status)
                                                             : PG_EXIT_PRIVILEGE;
    }
    *ret = (struct pg_sandbox){.pid = pid, .tun_fd = fd, .go_fd = pair[0]};
    return 0;
}

void pg_sandbox_go(struct pg_sandbox *s)
{
    ssize_t n = write(s->go_fd, "g", 1);
    (void)n; /* its death is reported by SIGCHLD */
    close(s->go_fd);
    s->go_fd = -1;
}

void pg_sandbox_abandon(struct pg_sandbox *s)
{
    int status;
    close(s->go_fd);
    waitpid(s->pid, &status, 0);
}
