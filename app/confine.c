/* Another user, and no rights beyond that user's: what `run` gives up when its devices are attached.
 *
 * Called by run.c, in this order: devices, files and the control socket are open, then this, then other threads, then syscall_filter.c. Nothing that comes later needs a capability: a reload
 * reads files and exchanges tables, a descriptor of a TUN works from anywhere, and one that has vanished is not looked for again. One exception: a
 * command of `run -- CMD` stays who called us, and to hand signals on to another user's process takes CAP_KILL.
 *
 * Owns nothing. What there is now is asked of the kernel each time, not remembered. */
#include "podglass/confine.h"

#include <cap-ng.h>
#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/* ---- whom ---- */

static bool number(const char *text, unsigned *ret)
{
    char *end = NULL;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    /* the last number means "none" to the kernel */
    bool good = isdigit((unsigned char)text[0]) && *end == 0 && errno == 0 && n < UINT32_MAX;
    *ret = good ? (unsigned)n : 0;
    return good;
}

static int find_group(const char *text, struct pg_user *u, struct pg_text *why)
{
    const struct group *g = getgrnam(text);
    if (g == NULL && !number(text, &u->gid)) {
        pg_text_printf(why, "there is no group %s", text);
        return -ENOENT;
    }
    u->gid = g != NULL ? g->gr_gid : u->gid;
    u->name[0] = 0; /* this group and no other */
    return 0;
}

int pg_user_find(const char *text, struct pg_user *ret, struct pg_text *why)
{
    struct pg_user u = {0};
    char name[sizeof u.name];
    size_t len = strcspn(text, ":");
    bool group = text[len] == ':';
    if (len == 0 || len >= sizeof name || (group && text[len + 1] == 0)) {
        pg_text_printf(why, "NAME or NAME:GROUP is wanted, not \"%s\"", text);
        return -ENOENT;
    }
    memcpy(name, text, len);
    name[len] = 0;
    const struct passwd *p = getpwnam(name);
    if (p == NULL && number(name, &u.uid)) {
        p = getpwuid(u.uid);
    } else if (p == NULL) {
        pg_text_printf(why, "there is no user %s", name);
        return -ENOENT;
    }
    if (p != NULL) {
        u.uid = p->pw_uid;
        u.gid = p->pw_gid;
        snprintf(u.name, sizeof u.name, "%s", p->pw_name);
    } else if (!group) {
        pg_text_printf(why, "no user has the number %s; give a group, too: %s:GROUP", name, name);
        return -ENOENT;
    }
    int error = group ? find_group(text + len + 1, &u, why) : 0;
    if (error == 0) {
        *ret = u;
    }
    return error;
}

/* ---- giving up ---- */

static int failed(struct pg_text *why, const char *what)
{
    int error = -errno;
    pg_text_printf(why, "%s: %s", what, strerror(errno));
    return error;
}

static int become(const struct pg_user *u, struct pg_text *why)
{
    if (u->uid == geteuid() && u->uid == getuid() && u->uid != 0 && u->gid == getegid()) {
        return 0; /* started as that user, by a service manager for instance */
    }
    if (u->name[0] != 0 ? initgroups(u->name, u->gid) != 0 : setgroups(1, &u->gid) != 0) {
        return failed(why, "groups");
    }
    if (setresgid(u->gid, u->gid, u->gid) != 0) {
        return failed(why, "group");
    }
    return setresuid(u->uid, u->uid, u->uid) != 0 ? failed(why, "user") : 0;
}

/* Another user can not be told of a signal by us; see the head. */
static bool needs_kill(const struct pg_confine *c)
{
    return c->child != 0 && c->user != NULL && c->user->uid != geteuid();
}

int pg_confine_privileges(const struct pg_confine *c, struct pg_text *why)
{
    bool kill = needs_kill(c);
    int error = 0;
    capng_clear(CAPNG_SELECT_BOTH);
    /* the bounding set first, while we may; without the right to do so there is nothing in it that we could get */
    (void)capng_apply(CAPNG_SELECT_BOUNDS);
    if (kill && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) {
        return failed(why, "capabilities");
    }
    error = c->user != NULL ? become(c->user, why) : 0;
    if (error != 0) {
        return error;
    }
    if (kill) {
        capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_KILL);
    }
    if (capng_apply(CAPNG_SELECT_CAPS) != 0) {
        return failed(why, "capabilities");
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        return failed(why, "no new privileges");
    }
    /* a core holds requests, and keys where OpenSSL keeps them */
    return prctl(PR_SET_DUMPABLE, c->dumpable ? 1 : 0, 0, 0, 0) != 0 ? failed(why, "dumpable") : 0;
}

/* ---- what is left ---- */

/* The value of a line "name:\t..."; "" if it is another line. */
static const char *value_of(const char *line, const char *name)
{
    size_t len = strlen(name);
    if (strncmp(line, name, len) != 0 || line[len] != ':') {
        return "";
    }
    line += len + 1;
    return line + strspn(line, " \t");
}

/* Four numbers: real, in force, saved, of the file system. */
static unsigned long in_force(const char *value)
{
    char *end = NULL;
    (void)strtoul(value, &end, 10);
    return strtoul(end, NULL, 10);
}

static void read_line(const char *line, struct pg_process_state *s, unsigned long *uid,
                      unsigned long *gid)
{
    const char *value;
    if ((value = value_of(line, "Uid"))[0] != 0) {
        *uid = in_force(value);
    } else if ((value = value_of(line, "Gid"))[0] != 0) {
        *gid = in_force(value);
    } else if ((value = value_of(line, "CapEff"))[0] != 0) {
        uint64_t set = strtoull(value, NULL, 16);
        snprintf(s->capabilities, sizeof s->capabilities, set != 0 ? "0x%" PRIx64 : "none", set);
    } else if ((value = value_of(line, "NoNewPrivs"))[0] != 0) {
        s->no_new_privileges = value[0] == '1';
    } else if ((value = value_of(line, "Seccomp"))[0] != 0) {
        s->filtered = value[0] == '2';
    }
}

int pg_process_state(struct pg_process_state *ret)
{
    struct pg_process_state s = {0};
    unsigned long uid = 0;
    unsigned long gid = 0;
    char line[256];
    FILE *f = fopen("/proc/self/status", "re");
    if (f == NULL) {
        return -errno;
    }
    while (fgets(line, sizeof line, f) != NULL) {
        read_line(line, &s, &uid, &gid);
    }
    fclose(f);
    s.dumpable = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 1;
    snprintf(s.user, sizeof s.user, "uid %lu, gid %lu", uid, gid);
    *ret = s;
    return 0;
}

void pg_process_state_print(const struct pg_process_state *s, struct pg_text *out)
{
    pg_text_printf(out, "%s; capabilities: %s; system calls: %s; core dumps: %s", s->user,
                   s->capabilities, s->filtered ? "filtered" : "not filtered",
                   s->dumpable ? "allowed" : "none");
}
