/* app/syscall_filter.c: what is let through, what fails, and what ends the process. Each case is a process of its own, since a
 * filter can not be taken away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "podglass/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define REFUSED_TO_LOAD 99

static char said[1024]; /* by the last process, on standard error */

/* Runs fn behind a filter; its result is the exit status. Returns the status of wait. */
static int behind(const struct pg_confine *c, int (*fn)(const void *arg), const void *arg)
{
    int pipes[2];
    int status = 0;
    size_t len = 0;
    ssize_t n;
    assert_int_equal(pipe(pipes), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(pipes[1], STDERR_FILENO);
        close(pipes[0]);
        close(pipes[1]);
        prctl(PR_SET_DUMPABLE, 0); /* no core of those that end by it */
        _exit(pg_syscall_filter(c) == 0 ? fn(arg) : REFUSED_TO_LOAD);
    }
    close(pipes[1]);
    while ((n = read(pipes[0], said + len, sizeof said - 1 - len)) > 0) {
        len += (size_t)n;
    }
    said[len] = 0;
    close(pipes[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

struct call {
    const char *name;
    long number;
    long a, b, c;
};

/* The call's errno; 0 if it worked. */
static int make(const void *arg)
{
    const struct call *k = arg;
    errno = 0;
    return syscall(k->number, k->a, k->b, k->c, 0, 0, 0) < 0 ? errno : 0;
}

static int make_twice(const void *arg)
{
    (void)make(arg);
    return make(arg);
}

static const struct pg_confine plain;

static void what_only_an_attacker_calls_ends_the_process(void **state)
{
    static const struct call calls[] = {
        {"execve", SYS_execve, 0, 0, 0},
        {"execveat", SYS_execveat, 0, 0, 0},
        {"ptrace", SYS_ptrace, 0, 0, 0},
        {"process_vm_readv", SYS_process_vm_readv, 0, 0, 0},
        {"setuid", SYS_setuid, 0, 0, 0},
        {"setresuid", SYS_setresuid, 0, 0, 0},
        {"setgroups", SYS_setgroups, 0, 0, 0},
        {"capset", SYS_capset, 0, 0, 0},
        {"keyctl", SYS_keyctl, 0, 0, 0},
        {"mount", SYS_mount, 0, 0, 0},
        {"umount2", SYS_umount2, 0, 0, 0},
        {"pivot_root", SYS_pivot_root, 0, 0, 0},
        {"chroot", SYS_chroot, 0, 0, 0},
        {"unshare", SYS_unshare, 0, 0, 0},
        {"setns", SYS_setns, -1, 0, 0},
        {"bpf", SYS_bpf, 0, 0, 0},
        {"perf_event_open", SYS_perf_event_open, 0, 0, 0},
        {"userfaultfd", SYS_userfaultfd, 0, 0, 0},
        {"io_uring_setup", SYS_io_uring_setup, 0, 0, 0},
        {"io_uring_register", SYS_io_uring_register, -1, 0, 0},
        {"init_module", SYS_init_module, 0, 0, 0},
        {"finit_module", SYS_finit_module, -1, 0, 0},
        {"delete_module", SYS_delete_module, 0, 0, 0},
        {"kexec_load", SYS_kexec_load, 0, 0, 0},
        {"reboot", SYS_reboot, 0, 0, 0},
        {"socket", SYS_socket, 1, 1, 0},
        {"connect", SYS_connect, -1, 0, 0},
        {"bind", SYS_bind, -1, 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        char line[160];
        int status = behind(&plain, make, &calls[i]);
        snprintf(line, sizeof line, "error: system call %s is not podglass' own; ", calls[i].name);
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS || strstr(said, line) != said) {
            fail_msg("%s: status %x, said: %s", calls[i].name, (unsigned)status, said);
        }
    }
}

static void what_is_not_known_fails_and_is_named_once(void **state)
{
    static const struct call call = {"sync", SYS_sync, 0, 0, 0};
    (void)state;
    int status = behind(&plain, make_twice, &call);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), ENOSYS);
    assert_string_equal(
        said, "error: system call sync is not on the list of those let through; it fails\n");
}

/* 0 if all is as it should be, or the line that is not. */
static int with_arguments(const void *arg)
{
    char path[128];
    const char *directory = arg;
    snprintf(path, sizeof path, "%s/file", directory);
    int fd = open(path, O_RDONLY | O_CLOEXEC); /* fails, since there is none: that is not EPERM */
    if (fd >= 0 || errno != ENOENT)
        return __LINE__;
    if (open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) >= 0 || errno != EPERM)
        return __LINE__;
    if (open("/dev/null", O_RDWR | O_CLOEXEC) >= 0 || errno != EPERM)
        return __LINE__;
    if (mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
        return __LINE__;
    void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED || mprotect(at, 4096, PROT_READ | PROT_EXEC) == 0 || errno != EPERM)
        return __LINE__;
    if (mprotect(at, 4096, PROT_READ) != 0)
        return __LINE__;
    if (kill(getpid(), 0) == 0)
        return __LINE__;
    return prctl(PR_SET_NAME, "x") == 0 ? __LINE__ : 0;
}

static void arguments_count(void **state)
{
    char directory[] = "/tmp/podglass-test-XXXXXX";
    (void)state;
    assert_non_null(mkdtemp(directory));
    int status = behind(&plain, with_arguments, directory);
    assert_int_equal(rmdir(directory), 0);
    assert_int_equal(status, 0);
    assert_non_null(strstr(said, "system call openat with these arguments is not let through"));
    assert_non_null(strstr(said, "system call mprotect with these arguments is not let through"));
}

static int kill_both(const void *arg)
{
    const pid_t *child = arg;
    return kill(*child, 0) != 0 ? 1 : kill(getpid(), 0) == 0 ? 2 : 0;
}

static int log_and_socket(const void *arg)
{
    const char *directory = arg;
    char log[128];
    char other[128];
    snprintf(log, sizeof log, "%s/access.log", directory);
    snprintf(other, sizeof other, "%s/other", directory);
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0640);
    if (fd < 0 || write(fd, "x\n", 2) != 2)
        return __LINE__;
    /* only at its end, never over what is there */
    if (open(other, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) >= 0 || errno != EPERM)
        return __LINE__;
    return unlink(log) != 0 ? __LINE__ : 0;
}

static void an_access_log_is_opened_again_and_a_socket_goes(void **state)
{
    const struct pg_confine c = {.writes_log = true, .has_socket = true};
    char directory[] = "/tmp/podglass-test-XXXXXX";
    (void)state;
    assert_non_null(mkdtemp(directory));
    assert_int_equal(behind(&c, log_and_socket, directory), 0);
    assert_int_equal(rmdir(directory), 0);
}

static void signals_go_to_the_command_only(void **state)
{
    pid_t child = fork();
    (void)state;
    assert_true(child >= 0);
    if (child == 0) {
        for (;;) {
            pause();
        }
    }
    const struct pg_confine c = {.child = child};
    int status = behind(&c, kill_both, &child);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_int_equal(status, 0);
    status = behind(&plain, kill_both, &child);
    assert_int_equal(WEXITSTATUS(status), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_only_an_attacker_calls_ends_the_process),
        cmocka_unit_test(what_is_not_known_fails_and_is_named_once),
        cmocka_unit_test(arguments_count),
        cmocka_unit_test(an_access_log_is_opened_again_and_a_socket_goes),
        cmocka_unit_test(signals_go_to_the_command_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
