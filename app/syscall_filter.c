/* System calls that are left after start: an allow-list, held by the kernel (seccomp).
 *
 * Called by run.c when all is open and nothing has been read from a client yet. What the loop, the control socket, a reload and the access log need is in the table `allowed`, each with its reason; some
 * only with certain arguments. All else does not happen:
 *
 *   forbidden (the second table)   logged, then the process ends by SIGSYS: nothing of ours asks for these, so somebody else does
 *   allowed, other arguments       fails with EPERM, logged once
 *   anything else                  fails with ENOSYS, logged once: a library that is newer than this list falls back to
 *                                  what it did before the call existed, and the path goes on
 *
 * A command of `run -- CMD` was started before and is not touched. io_uring carries out what is in its ring without asking a filter: stack/tun_uring.c has
 * limited its ring to writes, and the calls that make another or change it are not here.
 *
 * Owns the names of all calls, for the handler of SIGSYS, which may run at any moment and hence takes no memory. */
#include "podglass/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <ucontext.h>
#include <unistd.h>

#define CALLS_MOST 1024 /* numbers the kernel has, with room */

static const int allowed[] = {
    /* packets, the control socket, its streams, the access log, standard output */
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(readv),
    SCMP_SYS(writev),
    SCMP_SYS(io_uring_enter),
    SCMP_SYS(accept4),
    SCMP_SYS(shutdown),
    SCMP_SYS(close),
    SCMP_SYS(getsockopt), /* who asks */
    SCMP_SYS(recvfrom),
    SCMP_SYS(sendto),
    SCMP_SYS(fcntl), /* libevent */
    /* waiting, and what time it is where that is no plain function */
    SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(timerfd_settime),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(restart_syscall),
    /* memory: the allocator's; mmap and mprotect are below */
    SCMP_SYS(brk),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    /* threads and signals */
    SCMP_SYS(futex),
    SCMP_SYS(sched_yield),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(wait4),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getuid),
    SCMP_SYS(getegid),
    SCMP_SYS(getgid),
    /* a reload: manifests, directories, certificates, the time zone */
    SCMP_SYS(stat),
    SCMP_SYS(lstat),
    SCMP_SYS(fstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(lseek),
    SCMP_SYS(getdents64),
    SCMP_SYS(readlink),
    SCMP_SYS(readlinkat),
    SCMP_SYS(access),
    SCMP_SYS(faccessat),
    SCMP_SYS(getcwd),
    SCMP_SYS(pread64),
    /* keys of connections, tables and TLS */
    SCMP_SYS(getrandom),
};

/* Nothing of ours makes these, whatever a library may come to do. */
static const int forbidden[] = {
    /* other programs, other processes */
    SCMP_SYS(execve),
    SCMP_SYS(execveat),
    SCMP_SYS(fork),
    SCMP_SYS(vfork),
    SCMP_SYS(ptrace),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(pidfd_getfd),
    SCMP_SYS(kcmp),
    /* other rights */
    SCMP_SYS(setuid),
    SCMP_SYS(setgid),
    SCMP_SYS(setreuid),
    SCMP_SYS(setregid),
    SCMP_SYS(setresuid),
    SCMP_SYS(setresgid),
    SCMP_SYS(setgroups),
    SCMP_SYS(setfsuid),
    SCMP_SYS(setfsgid),
    SCMP_SYS(capset),
    SCMP_SYS(keyctl),
    SCMP_SYS(add_key),
    SCMP_SYS(request_key),
    SCMP_SYS(personality),
    /* another view of the machine */
    SCMP_SYS(mount),
    SCMP_SYS(umount2),
    SCMP_SYS(pivot_root),
    SCMP_SYS(chroot),
    SCMP_SYS(unshare),
    SCMP_SYS(setns),
    SCMP_SYS(open_tree),
    SCMP_SYS(move_mount),
    SCMP_SYS(fsopen),
    SCMP_SYS(fsconfig),
    SCMP_SYS(fsmount),
    SCMP_SYS(open_by_handle_at),
    SCMP_SYS(mknod),
    SCMP_SYS(mknodat),
    /* the kernel */
    SCMP_SYS(bpf),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(userfaultfd),
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(io_uring_register),
    SCMP_SYS(init_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(delete_module),
    SCMP_SYS(kexec_load),
    SCMP_SYS(kexec_file_load),
    SCMP_SYS(reboot),
    SCMP_SYS(iopl),
    SCMP_SYS(ioperm),
    SCMP_SYS(swapon),
    SCMP_SYS(swapoff),
    SCMP_SYS(acct),
    SCMP_SYS(settimeofday),
    SCMP_SYS(clock_settime),
    SCMP_SYS(adjtimex),
    SCMP_SYS(clock_adjtime),
    SCMP_SYS(sethostname),
    SCMP_SYS(setdomainname),
    SCMP_SYS(syslog),
    SCMP_SYS(quotactl),
    /* ways out that packets do not take */
    SCMP_SYS(socket),
    SCMP_SYS(socketpair),
    SCMP_SYS(connect),
    SCMP_SYS(bind),
    SCMP_SYS(listen),
};

enum fate { FATE_UNKNOWN, FATE_FORBIDDEN, FATE_ARGUMENTS };

static struct {
    char name[31];
    uint8_t fate; /* enum fate, if the call is not let through */
    bool told;
} calls[CALLS_MOST];

/* ---- a call that is not let through ---- */

static size_t add(char *line, size_t at, size_t room, const char *text)
{
    while (*text != 0 && at < room) {
        line[at++] = *text++;
    }
    return at;
}

/* As pg_log, without memory. */
static void tell(uint32_t call, const char *rest)
{
    char line[160];
    size_t at = add(line, 0, sizeof line, "error: system call ");
    at = add(line, at, sizeof line,
             call < CALLS_MOST && calls[call].name[0] != 0 ? calls[call].name : "without a name");
    at = add(line, at, sizeof line, rest);
    ssize_t n = write(STDERR_FILENO, line, at);
    (void)n; /* nowhere left to complain */
}

static void set_result(ucontext_t *context, int error)
{
#if defined(__x86_64__)
    context->uc_mcontext.gregs[REG_RAX] = -error;
#elif defined(__aarch64__)
    context->uc_mcontext.regs[0] = (unsigned long long)-error;
#else
#error "where is the result of a system call on this machine?"
#endif
}

static void on_refused(int number, siginfo_t *info, void *context)
{
    uint32_t call = (uint32_t)info->si_syscall;
    enum fate fate = call < CALLS_MOST ? (enum fate)calls[call].fate : FATE_UNKNOWN;
    if (fate == FATE_FORBIDDEN) {
        tell(call, " is not podglass' own; it was not made, and this is the end\n");
        signal(number, SIG_DFL);
        raise(number); /* blocked until the handler is left */
        return;
    }
    if (call < CALLS_MOST && !calls[call].told) {
        calls[call].told = true;
        tell(call, fate == FATE_ARGUMENTS ? " with these arguments is not let through; it fails\n"
                                          : " is not on the list of those let through; it fails\n");
    }
    set_result(context, fate == FATE_ARGUMENTS ? EPERM : ENOSYS);
}

static void learn_names(void)
{
    for (int n = 0; n < CALLS_MOST; n++) {
        char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, n);
        if (name != NULL) {
            size_t len = strnlen(name, sizeof calls[n].name - 1);
            memcpy(calls[n].name, name, len);
            free(name);
        }
    }
    for (size_t i = 0; i < sizeof forbidden / sizeof forbidden[0]; i++) {
        if (forbidden[i] >= 0 && forbidden[i] < CALLS_MOST) { /* negative: not on this machine */
            calls[forbidden[i]].fate = FATE_FORBIDDEN;
        }
    }
}

/* ---- the list ---- */

static int allow(scmp_filter_ctx f, int call, unsigned int count, const struct scmp_arg_cmp *args)
{
    if (call < 0) {
        return 0; /* not on this machine */
    }
    if (count != 0 && calls[call].fate == FATE_UNKNOWN) {
        calls[call].fate = FATE_ARGUMENTS;
    }
    return seccomp_rule_add_array(f, SCMP_ACT_ALLOW, call, count, args);
}

static int allow_if(scmp_filter_ctx f, int call, struct scmp_arg_cmp arg)
{
    return allow(f, call, 1, &arg);
}

/* No memory that was written becomes code. */
static int allow_memory(scmp_filter_ctx f)
{
    int error = allow_if(f, SCMP_SYS(mmap), SCMP_A2_64(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    return error != 0
               ? error
               : allow_if(f, SCMP_SYS(mprotect), SCMP_A2_64(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
}

/* Files are read; only an access log is opened to be written, and only at its end. */
static int allow_files(scmp_filter_ctx f, const struct pg_confine *c)
{
    const uint64_t change = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC;
    int error = allow_if(f, SCMP_SYS(openat), SCMP_A2_64(SCMP_CMP_MASKED_EQ, change, 0));
    if (error == 0) {
        error = allow_if(f, SCMP_SYS(open), SCMP_A1_64(SCMP_CMP_MASKED_EQ, change, 0));
    }
    if (error == 0 && c->writes_log) {
        error = allow_if(
            f, SCMP_SYS(openat),
            SCMP_A2_64(SCMP_CMP_MASKED_EQ, change | O_APPEND, O_WRONLY | O_CREAT | O_APPEND));
    }
    if (error == 0 && c->has_socket) {
        error = allow(f, SCMP_SYS(unlink), 0, NULL);
        error = error == 0 ? allow(f, SCMP_SYS(unlinkat), 0, NULL) : error;
    }
    return error;
}

static int allow_signals(scmp_filter_ctx f, const struct pg_confine *c)
{
    int error = allow_if(f, SCMP_SYS(tgkill), SCMP_A0_64(SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0));
    if (error == 0 && c->child != 0) {
        error = allow_if(f, SCMP_SYS(kill), SCMP_A0_64(SCMP_CMP_EQ, (scmp_datum_t)c->child, 0));
    }
    return error;
}

static int allow_questions(scmp_filter_ctx f)
{
    int error = allow_if(f, SCMP_SYS(ioctl), SCMP_A1_64(SCMP_CMP_EQ, FIONREAD, 0)); /* libevent */
    if (error == 0) {
        error = allow_if(f, SCMP_SYS(ioctl), SCMP_A1_64(SCMP_CMP_EQ, TCGETS, 0)); /* stdio */
    }
    if (error == 0) {
        error = allow_if(f, SCMP_SYS(prctl), SCMP_A0_64(SCMP_CMP_EQ, PR_GET_DUMPABLE, 0));
    }
    return error;
}

/* A sanitizer looks for leaks at the end: from a process beside ours that stops it and reads its registers. */
static int allow_sanitizer(scmp_filter_ctx f)
{
    int error = 0;
#if defined(__SANITIZE_ADDRESS__)
    static const int requests[] = {PTRACE_ATTACH,   PTRACE_DETACH,  PTRACE_CONT,     PTRACE_KILL,
                                   PTRACE_PEEKDATA, PTRACE_GETREGS, PTRACE_GETREGSET};
    static const int options[] = {PR_SET_DUMPABLE, PR_SET_PDEATHSIG, PR_SET_PTRACER};
    error = allow_if(f, SCMP_SYS(clone), SCMP_A0_64(SCMP_CMP_MASKED_EQ, CLONE_VM, CLONE_VM));
    for (size_t i = 0; error == 0 && i < sizeof requests / sizeof requests[0]; i++) {
        error =
            allow_if(f, SCMP_SYS(ptrace), SCMP_A0_64(SCMP_CMP_EQ, (scmp_datum_t)requests[i], 0));
    }
    for (size_t i = 0; error == 0 && i < sizeof options / sizeof options[0]; i++) {
        error = allow_if(f, SCMP_SYS(prctl), SCMP_A0_64(SCMP_CMP_EQ, (scmp_datum_t)options[i], 0));
    }
    error = error == 0 ? allow(f, SCMP_SYS(getppid), 0, NULL) : error;
    error = error == 0 ? allow(f, SCMP_SYS(getdents), 0, NULL) : error;
#else
    (void)f;
#endif
    return error;
}

static int fill(scmp_filter_ctx f, const struct pg_confine *c)
{
    int error = 0;
    for (size_t i = 0; error == 0 && i < sizeof allowed / sizeof allowed[0]; i++) {
        error = allow(f, allowed[i], 0, NULL);
    }
    error = error == 0 ? allow_memory(f) : error;
    error = error == 0 ? allow_files(f, c) : error;
    error = error == 0 ? allow_signals(f, c) : error;
    error = error == 0 ? allow_questions(f) : error;
    return error == 0 ? allow_sanitizer(f) : error;
}

int pg_syscall_filter(const struct pg_confine *c)
{
    struct sigaction action = {.sa_sigaction = on_refused, .sa_flags = SA_SIGINFO};
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_TRAP);
    if (f == NULL) {
        return -ENOMEM;
    }
    learn_names();
    /* calls in the ways of other machines (32 bits) are no mistake */
    int error = seccomp_attr_set(f, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (error == 0) {
        error = seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1); /* all threads */
    }
    if (error == 0) {
        error = seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree, not a list */
    }
    error = error == 0 ? fill(f, c) : error;
    if (error == 0 && sigaction(SIGSYS, &action, NULL) != 0) {
        error = -errno;
    }
    error = error == 0 ? seccomp_load(f) : error;
    seccomp_release(f);
    return error;
}
