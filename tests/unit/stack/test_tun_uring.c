/* stack/tun_uring.c: its ring writes and does nothing else, whoever holds it. Needs root and /dev/net/tun; says so and skips otherwise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "podglass/link.h"

#include <dirent.h>
#include <errno.h>
#include <liburing.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ENTRIES 128 /* as stack/tun_uring.c has */

static struct pg_link *tun;

static int open_tun(void **state)
{
    const struct pg_tun_options options = {.name = "pgtest0", .fd = -1, .io = PG_TUN_IO_URING};
    const char *text = "needs root and /dev/net/tun";
    int error = unshare(CLONE_NEWNET) != 0 ? -errno : pg_tun_open(&options, &tun, &text);
    (void)state;
    if (error != 0) {
        print_message("SKIPPED: %s: %s\n", text, strerror(-error));
    }
    return 0;
}

static int close_tun(void **state)
{
    (void)state;
    if (tun != NULL) {
        pg_link_close(tun);
    }
    return 0;
}

/* The descriptor of the ring, found as an attacker would. */
static int find_ring(void)
{
    DIR *d = opendir("/proc/self/fd");
    const struct dirent *e;
    int fd = -1;
    assert_non_null(d);
    while (fd < 0 && (e = readdir(d)) != NULL) {
        char target[64] = "";
        ssize_t n = readlinkat(dirfd(d), e->d_name, target, sizeof target - 1);
        if (n > 0 && strcmp(target, "anon_inode:[io_uring]") == 0) {
            fd = (int)strtol(e->d_name, NULL, 10);
        }
    }
    closedir(d);
    return fd;
}

static void it_can_not_be_told_otherwise(void **state)
{
    (void)state;
    if (tun == NULL) {
        skip();
    }
    int fd = find_ring();
    assert_true(fd >= 0);
    int files[1] = {-1};
    assert_int_equal(syscall(SYS_io_uring_register, fd, IORING_REGISTER_FILES, files, 1), -1);
    assert_int_equal(errno, EACCES);
    assert_int_equal(syscall(SYS_io_uring_register, fd, IORING_REGISTER_RESTRICTIONS, NULL, 0), -1);
    assert_true(errno == EACCES || errno == EBADFD);
}

/* What becomes of one entry that prepare made. */
static int result_of(struct io_uring *ring, void (*prepare)(struct io_uring_sqe *e))
{
    struct io_uring_cqe *c = NULL;
    struct io_uring_sqe *e = io_uring_get_sqe(ring);
    assert_non_null(e);
    prepare(e);
    int n = io_uring_submit(ring);
    assert_int_equal(n, 1);
    assert_int_equal(io_uring_wait_cqe(ring, &c), 0);
    int result = c->res;
    io_uring_cqe_seen(ring, c);
    return result;
}

static void nothing(struct io_uring_sqe *e)
{
    io_uring_prep_nop(e);
}

static void open_a_file(struct io_uring_sqe *e)
{
    io_uring_prep_openat(e, -1, "/dev/null", 0, 0);
}

static void run_on_another_thread(struct io_uring_sqe *e)
{
    io_uring_prep_write(e, -1, "x", 1, 0);
    e->flags |= IOSQE_ASYNC;
}

static void write_nowhere(struct io_uring_sqe *e)
{
    io_uring_prep_write(e, -1, "x", 1, 0);
}

static void it_does_nothing_but_write(void **state)
{
    /* another ring of the same form says where things are in the memory of ours */
    struct io_uring_params params = {.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_R_DISABLED};
    struct io_uring other;
    struct io_uring ring = {0};
    (void)state;
    if (tun == NULL) {
        skip();
    }
    int fd = find_ring();
    assert_int_equal(io_uring_queue_init_params(ENTRIES, &other, &params), 0);
    assert_int_equal(io_uring_queue_mmap(fd, &params, &ring), 0);
    ring.sq.sqe_head = ring.sq.sqe_tail = *ring.sq.ktail; /* it has been used */
    assert_int_equal(result_of(&ring, nothing), -EACCES);
    assert_int_equal(result_of(&ring, open_a_file), -EACCES);
    assert_int_equal(result_of(&ring, run_on_another_thread), -EACCES);
    assert_int_equal(result_of(&ring, write_nowhere), -EBADF);
    io_uring_queue_exit(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_can_not_be_told_otherwise),
        cmocka_unit_test(it_does_nothing_but_write),
    };
    return cmocka_run_group_tests(tests, open_tun, close_tun);
}
