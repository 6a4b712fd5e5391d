/* app/confine.c: whose name is whose number, and what the kernel says afterwards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "podglass/confine.h"

#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void a_user_is_a_name_or_a_number(void **state)
{
    static const struct {
        const char *text;
        uid_t uid;
        gid_t gid;
        const char *name;
    } rows[] = {
        {"root", 0, 0, "root"},       {"0", 0, 0, "root"},
        {"root:12345", 0, 12345, ""}, {"54321:12345", 54321, 12345, ""},
        {"54321:root", 54321, 0, ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pg_user u;
        assert_int_equal(pg_user_find(rows[i].text, &u, NULL), 0);
        assert_int_equal(u.uid, rows[i].uid);
        assert_int_equal(u.gid, rows[i].gid);
        assert_string_equal(u.name, rows[i].name);
    }
}

static void a_user_that_is_none_is_told(void **state)
{
    static const struct {
        const char *text;
        const char *why;
    } rows[] = {
        {"", "NAME or NAME:GROUP is wanted, not \"\""},
        {":root", "NAME or NAME:GROUP is wanted, not \":root\""},
        {"root:", "NAME or NAME:GROUP is wanted, not \"root:\""},
        {"no-such-user", "there is no user no-such-user"},
        {"root:no-such-group", "there is no group no-such-group"},
        {"54321", "no user has the number 54321; give a group, too: 54321:GROUP"},
        {"4294967295:0", "there is no user 4294967295"},
        {"-1:0", "there is no user -1"},
        {"0x10:0", "there is no user 0x10"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pg_user u;
        struct pg_text why = {0};
        assert_true(pg_user_find(rows[i].text, &u, &why) < 0);
        assert_string_equal(why.at, rows[i].why);
        pg_text_free(&why);
    }
}

/* In a process of its own. 0: as expected. */
static int give_up_all(void)
{
    struct pg_confine c = {0};
    struct pg_process_state s;
    struct pg_text text = {0};
    if (pg_confine_privileges(&c, &text) != 0 || pg_process_state(&s) != 0)
        return 1;
    if (strcmp(s.capabilities, "none") != 0 || !s.no_new_privileges || s.dumpable || s.filtered)
        return 2;
    if (pg_syscall_filter(&c) != 0 || pg_process_state(&s) != 0 || !s.filtered)
        return 3;
    pg_process_state_print(&s, &text);
    int status =
        strstr(text.at, "capabilities: none; system calls: filtered; core dumps: none") == NULL;
    pg_text_free(&text);
    return status == 0 ? 0 : 4;
}

static void what_is_given_up_is_gone(void **state)
{
    int status = 0;
    pid_t pid = fork();
    (void)state;
    assert_true(pid >= 0);
    if (pid == 0) {
        _exit(give_up_all());
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* Only root can; another user is told. */
static int become_another(void)
{
    const struct pg_user user = {.uid = 54321, .gid = 12345};
    const struct pg_confine c = {.user = &user, .dumpable = true};
    struct pg_process_state s;
    struct pg_text why = {0};
    bool root = geteuid() == 0;
    int error = pg_confine_privileges(&c, &why);
    pg_text_free(&why);
    if (!root)
        return error < 0 ? 0 : 1;
    if (error != 0 || pg_process_state(&s) != 0 || !s.dumpable)
        return 2;
    if (strcmp(s.user, "uid 54321, gid 12345") != 0 || getgroups(0, NULL) != 1)
        return 3;
    return setresuid(0, 0, 0) == 0 ? 4 : 0;
}

static void another_user_is_for_good(void **state)
{
    int status = 0;
    pid_t pid = fork();
    (void)state;
    assert_true(pid >= 0);
    if (pid == 0) {
        _exit(become_another());
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_user_is_a_name_or_a_number),
        cmocka_unit_test(a_user_that_is_none_is_told),
        cmocka_unit_test(what_is_given_up_is_gone),
        cmocka_unit_test(another_user_is_for_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
