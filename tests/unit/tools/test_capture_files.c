/* Which file of a capture a block goes to, what it is called, and what stands at its beginning. */
#include "capture_files.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SECTION 0x0a0d0d0au
#define NAMES   4u
#define PACKET  6u

static char dir[64];

static int enter(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/podglass-files-XXXXXX");
    setenv("TZ", "UTC", 1);
    return mkdtemp(dir) != NULL && chdir(dir) == 0 ? 0 : -1;
}

static int leave(void **state)
{
    (void)state;
    DIR *open_dir = opendir(dir);

    for (struct dirent *e; open_dir != NULL && (e = readdir(open_dir)) != NULL;) {
        if (e->d_type == DT_REG) {
            unlink(e->d_name); /* what is left is told by rmdir */
        }
    }
    return open_dir != NULL && closedir(open_dir) == 0 && chdir("/") == 0 ? rmdir(dir) : -1;
}

static int write_block(struct pg_capture_files *f, uint32_t type, size_t len, time_t now)
{
    struct pg_text block = {0};
    pg_text_add(&block, (const char *)&type, sizeof type);
    while (block.len < len)
        pg_text_putc(&block, 'x');
    int status = pg_capture_files_write(f, &block, now);
    pg_text_free(&block);
    return status;
}

/* Bytes of a file; -1: there is none. Its first word must be that of a section. */
static long size_of(const char *name)
{
    uint32_t type = 0;
    FILE *file = fopen(name, "r");
    if (!file)
        return -1;
    assert_int_equal(fread(&type, sizeof type, 1, file), 1);
    assert_int_equal(type, SECTION);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    long size = ftell(file);
    fclose(file);
    return size;
}

static void begin(struct pg_capture_files *f)
{
    assert_null(pg_capture_files_wrong(f));
    assert_int_equal(pg_capture_files_open(f, 1000), 0);
    assert_int_equal(write_block(f, SECTION, 100, 1000), 0);
}

static void a_large_file_is_followed_by_the_next(void **state)
{
    struct pg_capture_files f = {.name = "x", .megabytes = 1};
    (void)state;
    begin(&f);
    assert_int_equal(write_block(&f, PACKET, 999900, 1000), 0); /* not larger yet */
    assert_int_equal(write_block(&f, PACKET, 50, 1000), 0);
    assert_int_equal(write_block(&f, NAMES, 20, 1000), 0); /* no packet: stays, and is repeated */
    assert_int_equal(write_block(&f, PACKET, 1000000, 1000), 0);
    assert_int_equal(write_block(&f, PACKET, 60, 1000), 0);
    assert_int_equal(pg_capture_files_close(&f), 0);
    assert_int_equal(size_of("x"), 100 + 999900 + 50 + 20);
    assert_int_equal(size_of("x1"), 120 + 1000000);
    assert_int_equal(size_of("x2"), 120 + 60);
    assert_int_equal(size_of("x3"), -1);
}

static void a_ring_writes_over_its_oldest(void **state)
{
    struct pg_capture_files f = {.name = "r", .megabytes = 1, .most = 11};
    (void)state;
    begin(&f);
    for (int i = 0; i < 12; i++)
        assert_int_equal(write_block(&f, PACKET, (size_t)(1000000 + i), 1000), 0);
    assert_int_equal(pg_capture_files_close(&f), 0);
    assert_int_equal(size_of("r00"), 100 + 1000011);
    assert_int_equal(size_of("r01"), 100 + 1000001);
    assert_int_equal(size_of("r10"), 100 + 1000010);
    assert_int_equal(size_of("r11"), -1);
}

static void a_file_by_time_has_the_time_of_its_beginning(void **state)
{
    struct pg_capture_files f = {.name = "t-%H%M%S", .seconds = 60, .most = 2};
    (void)state;
    begin(&f);
    assert_int_equal(write_block(&f, PACKET, 40, 1059), 0);
    assert_int_equal(write_block(&f, PACKET, 50, 1075), 0);
    assert_int_equal(write_block(&f, PACKET, 60, 1134), 0);
    assert_int_equal(write_block(&f, PACKET, 70, 1135), 1);
    assert_int_equal(pg_capture_files_close(&f), 0);
    assert_int_equal(size_of("t-001640"), 140);
    assert_int_equal(size_of("t-001755"), 210);
    assert_int_equal(size_of("t-001855"), -1);
}

/* As tcpdump has it: a time is the name, a count behind it begins again with the next time. */
static void size_and_time_go_together(void **state)
{
    struct pg_capture_files f = {.name = "b-%H%M%S", .megabytes = 1, .seconds = 60};
    struct pg_capture_files turns = {.name = "w-%H%M%S", .megabytes = 1, .seconds = 60, .most = 2};
    (void)state;
    begin(&f);
    assert_int_equal(write_block(&f, PACKET, 1000000, 1010), 0);
    assert_int_equal(write_block(&f, PACKET, 1000001, 1030), 0);
    assert_int_equal(write_block(&f, PACKET, 50, 1059), 0); /* the size does not begin a time */
    assert_int_equal(write_block(&f, PACKET, 1000002, 1060), 0);
    assert_int_equal(write_block(&f, PACKET, 60, 1061), 0);
    assert_int_equal(pg_capture_files_close(&f), 0);
    assert_int_equal(size_of("b-001640"), 100 + 1000000);
    assert_int_equal(size_of("b-0016401"), 100 + 1000001);
    assert_int_equal(size_of("b-0016402"), 100 + 50);
    assert_int_equal(size_of("b-001740"), 100 + 1000002);
    assert_int_equal(size_of("b-0017401"), 100 + 60);
    begin(&turns);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(write_block(&turns, PACKET, (size_t)(1000000 + i), 1010), 0);
    }
    for (int i = 0; i < 3; i++) { /* so many times do not end it */
        assert_int_equal(write_block(&turns, PACKET, 70, 1060 + i * 60), 0);
    }
    assert_int_equal(pg_capture_files_close(&turns), 0);
    assert_int_equal(size_of("w-0016400"), 100 + 1000002);
    assert_int_equal(size_of("w-0016401"), 100 + 1000001);
    assert_int_equal(size_of("w-0016402"), -1);
    assert_int_equal(size_of("w-0019400"), 170);
}

static void what_does_not_go_together_is_refused(void **state)
{
    const struct pg_capture_files wrong[] = {
        {.megabytes = 1},
        {.name = "-", .seconds = 1},
        {.name = "x", .seconds = 1},
        {.name = "x", .most = 2},
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_non_null(pg_capture_files_wrong(&wrong[i]));
    const struct pg_capture_files plain = {.name = NULL};
    assert_null(pg_capture_files_wrong(&plain));
}

static void a_place_that_is_not_there_is_an_error(void **state)
{
    struct pg_capture_files f = {.name = "gone/x"};
    (void)state;
    assert_int_equal(pg_capture_files_open(&f, 0), -2);
    assert_int_equal(pg_capture_files_close(&f), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_large_file_is_followed_by_the_next),
        cmocka_unit_test(a_ring_writes_over_its_oldest),
        cmocka_unit_test(a_file_by_time_has_the_time_of_its_beginning),
        cmocka_unit_test(size_and_time_go_together),
        cmocka_unit_test(what_does_not_go_together_is_refused),
        cmocka_unit_test(a_place_that_is_not_there_is_an_error),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
