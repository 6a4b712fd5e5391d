/* The verb `run`: a path on a real TUN, either one that is named or one in a namespace made for a command.
 *
 * Order of start: manifests first (a mistake there must not leave a device behind), then the device, then the path, the control socket, and last the command. After that nothing of what root may
 * do is needed any more, and confine.c and syscall_filter.c give it up before the first packet is read. */
#include "podglass/run.h"

#include "podglass/access_log.h"
#include "podglass/confine.h"
#include "podglass/control.h"
#include "podglass/log.h"
#include "podglass/loop.h"
#include "podglass/tls_decide.h"
#include "podglass/tuns.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_INPUTS 256
#define FLOWS_MOST (1u << 28) /* as nat/load.c */
#define TRACE_RECORDS \
    16384 /* what readers of records may be late by: about 800 requests, 5 MiB touched when used */
#define SANDBOX_MTU \
    65520 /* nothing but this process and the kernel beside it: tun-limits, decision 8 */

struct run {
    struct pg_options options;
    struct pg_manifest_input inputs[MAX_INPUTS];
    uint32_t input_count;
    struct pg_load_options load;
    const char *sets[PG_SETS_MOST];
    struct pg_path *path;
    struct pg_tuns tuns;  /* until the path has them */
    uint64_t next_record; /* of --trace */
    struct pg_text command_line;
    struct pg_access_log *access_log;
    bool changes_user;
    struct pg_user user; /* of --user */
    uint16_t mtu; /* of the command's TUN, which only its own namespace can ask; 0: ask the link */
};

/* ---- manifests ---- */

static bool load(struct run *run, struct pg_snapshot **ret)
{
    struct pg_findings findings;
    struct pg_text text = {0};
    int error = pg_snapshot_load(run->inputs, run->input_count, &run->load, ret, &findings);
    for (uint32_t i = 0; i < findings.count; i++) {
        pg_finding_print(&findings.at[i], &text);
        pg_text_putc(&text, '\n');
    }
    if (text.len != 0) {
        fputs(text.at, stderr);
    }
    pg_text_free(&text);
    pg_findings_free(&findings);
    return error == 0;
}

static bool reload(void *arg, struct pg_snapshot **ret)
{
    struct run *run = arg;
    pg_access_log_reopen(run->access_log);
    for (uint32_t i = 0; i < run->input_count; i++) {
        if (strcmp(run->inputs[i].path, "-") == 0) {
            pg_log(
                PG_LOG_WARN,
                "manifests came from standard input and can not be read again; they stay in force");
            return false;
        }
    }
    return load(run, ret);
}

static int read_user(struct run *run)
{
    const char *text = run->options.value[PG_FLAG_RUN_USER];
    struct pg_text why = {0};
    run->changes_user = text != NULL;
    int error = text != NULL ? pg_user_find(text, &run->user, &why) : 0;
    error = error != 0 ? pg_options_complain(PG_VERB_RUN, "--user: %s", why.at) : 0;
    pg_text_free(&why);
    return error;
}

static int read_options(struct run *run, int argc, char **argv)
{
    int error = pg_options_parse(PG_VERB_RUN, argc, argv, &run->options);
    if (error != 0) {
        return error;
    }
    const struct pg_options *o = &run->options;
    uint32_t cursor = 0;
    const char *path;
    while ((path = pg_options_next(o, PG_FLAG_RUN_FILENAME, &cursor)) != NULL) {
        if (run->input_count == MAX_INPUTS) {
            return pg_options_complain(PG_VERB_RUN, "more than %d -f; give a directory",
                                       MAX_INPUTS);
        }
        run->inputs[run->input_count++].path = path;
    }
    if (run->input_count == 0) {
        return pg_options_complain(PG_VERB_RUN, "no manifests: give -f FILE, -f DIR or -f -");
    }
    if (!o->has_command && !pg_options_has(o, PG_FLAG_RUN_TUN)) {
        return pg_options_complain(PG_VERB_RUN, "give --tun NAME to attach to an interface, or -- "
                                                "CMD to run a command on one of its own");
    }
    if (o->has_command && (o->command_argc == 0 || pg_options_has(o, PG_FLAG_RUN_TUN))) {
        return pg_options_complain(PG_VERB_RUN, o->command_argc == 0
                                                    ? "nothing stands behind --"
                                                    : "--tun and -- CMD exclude each other");
    }
    int status = pg_options_sets(o, PG_FLAG_RUN_SET, o->value[PG_FLAG_RUN_DIALECT], run->sets,
                                 PG_SETS_MOST, &run->load.set_count);
    if (status != 0) {
        return status;
    }
    status = read_user(run);
    if (status != 0) {
        return status;
    }
    run->load.sets = run->sets;
    run->load.check_pair = pg_tls_check_pair;
    run->load.covers_host = pg_tls_covers_host;
    run->load.names_of = pg_tls_names_of;
    run->load.check_upstream = pg_tls_check_upstream;
    run->load.https = pg_options_has(o, PG_FLAG_RUN_DEV_CERT);
    run->load.profile = o->value[PG_FLAG_RUN_PROFILE];
    const char *pods = o->value[PG_FLAG_RUN_PODS];
    run->load.pods = pods == NULL || strcmp(pods, "auto") == 0 ? PG_PODS_AUTO
                     : strcmp(pods, "echo") == 0               ? PG_PODS_ECHO
                                                               : PG_PODS_WIRE;
    run->load.strict = pg_options_has(o, PG_FLAG_RUN_STRICT);
    run->load.recursive = pg_options_has(o, PG_FLAG_RUN_RECURSIVE);
    run->load.namespace = o->value[PG_FLAG_RUN_NAMESPACE];
    return pg_options_args(o, 0, 0);
}

/* ---- the command ---- */

/* Which client of the lab the command is; by name or by address. */
static int find_client(const struct run *run, const struct pg_snapshot *s, struct pg_addr *ret)
{
    const char *wanted = run->options.value[PG_FLAG_RUN_CLIENT];
    for (uint32_t i = 0; i < s->client_count; i++) {
        if (wanted == NULL || strcmp(wanted, s->clients[i].name) == 0) {
            *ret = s->clients[i].addr;
            return 0;
        }
    }
    if (wanted == NULL || pg_addr_parse(wanted, strlen(wanted), ret) != 0) {
        return pg_options_complain(PG_VERB_RUN,
                                   "--client %s: neither a client of the lab nor an address",
                                   wanted != NULL ? wanted : "");
    }
    uint32_t pod = pg_snapshot_pod_by_addr(s, ret);
    if (pod != PG_INDEX_NONE && s->pods[pod].backing != PG_BACKING_WIRE) {
        return pg_options_complain(
            PG_VERB_RUN,
            "--client %s is the built-in pod %s/%s; set its backing to wire in the Lab", wanted,
            s->pods[pod].namespace, s->pods[pod].name);
    }
    return 0;
}

static int open_sandbox(struct run *run, const struct pg_snapshot *s, struct pg_sandbox *ret)
{
    struct pg_sandbox_options o = {
        .nameserver = s->lab.dns[0], .mtu = SANDBOX_MTU, .argv = run->options.command_argv};
    struct pg_text search = {0};
    struct pg_addr client = {0};
    uint64_t mtu = SANDBOX_MTU;
    int error = find_client(run, s, &client);
    if (error == 0) {
        error = pg_options_number(&run->options, PG_FLAG_RUN_MTU, 1280, 65520, &mtu);
    }
    if (error != 0) {
        return error;
    }
    const char *namespace = run->load.namespace != NULL ? run->load.namespace : "default";
    const char *domain = s->lab.cluster_domain;
    pg_text_printf(&search, "%s.svc.%s svc.%s %s", namespace, domain, domain, domain);
    o.search = search.at;
    o.mtu = run->mtu = (uint16_t)mtu;
    o.client[pg_addr_is_v4(&client) ? 0 : 1] = client;
    error = pg_sandbox_open(&o, ret);
    pg_text_free(&search);
    return error;
}

/* ---- running ---- */

static void print_records(void *arg)
{
    struct run *run = arg;
    struct pg_record r;
    struct pg_text line = {0};
    uint64_t missed = 0;
    while (pg_trace_read(pg_path_trace(run->path), &run->next_record, &r, &missed)) {
        pg_text_clear(&line);
        pg_record_print(&r, &line);
        fprintf(stderr, "%s\n", line.at);
    }
    if (missed != 0) {
        fprintf(stderr, "missed: %llu\n", (unsigned long long)missed);
    }
    pg_text_free(&line);
}

static int seed_random(const struct run *run, struct pg_random *ret)
{
    uint64_t seed = 0;
    if (!pg_options_has(&run->options, PG_FLAG_RUN_SEED)) {
        return pg_random_seed_from_system(ret) == 0 ? 0 : PG_EXIT_PRIVILEGE;
    }
    int error = pg_options_number(&run->options, PG_FLAG_RUN_SEED, 0, UINT64_MAX, &seed);
    pg_random_seed(ret, seed);
    return error;
}

/* --sysctl NAME=VALUE... */
static int set_sysctls(const struct run *run, struct pg_nat_options *ret)
{
    const char *set;
    uint32_t cursor = 0;
    while ((set = pg_options_next(&run->options, PG_FLAG_RUN_SYSCTL, &cursor)) != NULL) {
        char name[80];
        char *end = NULL;
        const char *equals = strchr(set, '=');
        size_t len = equals != NULL ? (size_t)(equals - set) : 0;
        if (len == 0 || len >= sizeof name || equals[1] < '0' || equals[1] > '9') {
            return pg_options_complain(PG_VERB_RUN, "--sysctl wants NAME=VALUE, not '%s'", set);
        }
        memcpy(name, set, len);
        name[len] = 0;
        uint64_t value = strtoull(equals + 1, &end, 10);
        int error = *end != 0 ? -ERANGE : pg_nat_set_sysctl(ret, name, value);
        if (error != 0) {
            return pg_options_complain(PG_VERB_RUN,
                                       error == -ENOENT ? "--sysctl: no such setting: %s"
                                                        : "--sysctl: no such value: %s",
                                       error == -ENOENT ? name : set);
        }
    }
    return 0;
}

/* Takes over the links. */
static int make_path(struct run *run, struct pg_snapshot *s)
{
    struct pg_random random;
    struct pg_path_options options = {.mtu = pg_tuns_mtu(&run->tuns), .clock_us = pg_loop_now_us};
    if (pg_options_has(&run->options, PG_FLAG_RUN_TRACE)) {
        options.trace_level = PG_TRACE_FLOWS;
        run->next_record = 1;
    }
    if (pg_options_has(&run->options, PG_FLAG_RUN_RECORD)) {
        options.trace_level = PG_TRACE_FLOWS;
    }
    options.trace_records = TRACE_RECORDS;
    if (run->access_log != NULL) {
        options.proxy.on_done = pg_access_log_request;
        options.proxy.done_arg = run->access_log;
    }
    uint64_t flows = 0; /* the default */
    int error = pg_options_has(&run->options, PG_FLAG_RUN_FLOWS)
                    ? pg_options_number(&run->options, PG_FLAG_RUN_FLOWS, 1, FLOWS_MOST, &flows)
                    : 0;
    options.nat.flow_limit = (uint32_t)flows;
    if (error == 0) {
        error = set_sysctls(run, &options.nat);
    }
    if (error == 0) {
        error = seed_random(run, &random);
    }
    if (error == 0) {
        run->path = pg_path_new(&options, &random, pg_loop_now_us());
        error = run->path != NULL ? pg_tuns_give(&run->tuns, run->path) : PG_EXIT_PRIVILEGE;
    }
    pg_tuns_close(&run->tuns);
    if (error == 0 && pg_path_load(run->path, s, pg_loop_now_us()) != 0) {
        fprintf(stderr, "podglass run: out of memory\n");
        error = PG_EXIT_PRIVILEGE;
    }
    return error;
}

static void say_started(const struct run *run, const struct pg_snapshot *s, const char *socket)
{
    struct pg_process_state state;
    struct pg_text text = {0};
    struct pg_link *link;
    for (uint32_t i = 0; (link = pg_path_link(run->path, i)) != NULL; i++) {
        pg_log(PG_LOG_NOTICE, "%s: mtu %u, offloads: %s, io: %s", pg_link_name(link),
               pg_link_mtu(link), pg_tun_offloads(link), pg_tun_io(link));
    }
    pg_log(PG_LOG_NOTICE, "%u services, %u endpoints, %u routes; control socket %s",
           s->service_count, s->endpoint_count, s->route_count, socket != NULL ? socket : "none");
    if (pg_process_state(&state) == 0) {
        pg_process_state_print(&state, &text);
        pg_log(PG_LOG_NOTICE, "%s", text.at);
        pg_text_free(&text);
    }
}

/* What will not work any more with less rights is said now, not when it is needed. */
static void say_unreachable(const struct run *run, const char *socket)
{
    struct pg_text directory = {0};
    for (uint32_t i = 0; i < run->input_count; i++) {
        const char *path = run->inputs[i].path;
        if (strcmp(path, "-") != 0 && access(path, R_OK) != 0) {
            pg_log(PG_LOG_WARN, "%s: %s for the user of --user: SIGHUP will not load it again",
                   path, strerror(errno));
        }
    }
    const char *slash = socket != NULL ? strrchr(socket, '/') : NULL;
    pg_text_printf(&directory, "%.*s", slash != NULL ? (int)(slash - socket) + 1 : 1,
                   slash != NULL ? socket : ".");
    if (socket != NULL && access(directory.at, W_OK | X_OK) != 0) {
        pg_log(PG_LOG_WARN,
               "%s: %s for the user of --user: the control socket will stay there at the end, for "
               "the next start to replace",
               directory.at, strerror(errno));
    }
    pg_text_free(&directory);
}

/* Before the first packet is read. 0 or PG_EXIT_*, said. */
static int give_up_rights(struct run *run, const char *socket, const struct pg_sandbox *sandbox)
{
    struct pg_confine c = {.user = run->changes_user ? &run->user : NULL,
                           .child = sandbox != NULL ? sandbox->pid : 0,
                           .dumpable = pg_options_has(&run->options, PG_FLAG_RUN_DUMPABLE),
                           .writes_log = run->access_log != NULL,
                           .has_socket = socket != NULL};
    struct pg_text why = {0};
    if (c.user != NULL && run->access_log != NULL &&
        pg_access_log_give(run->access_log, c.user->uid, c.user->gid) != 0) {
        pg_log(PG_LOG_WARN, "the access log can not be given to the user of --user");
    }
    int error = pg_confine_privileges(&c, &why);
    if (error != 0) {
        fprintf(stderr, "podglass run: can not give up privileges: %s\n", why.at);
        pg_text_free(&why);
        return PG_EXIT_PRIVILEGE;
    }
    pg_text_free(&why);
    if (c.user != NULL) {
        say_unreachable(run, socket);
    }
    if (run->access_log != NULL && pg_access_log_start(run->access_log, run->path) != 0) {
        pg_log(PG_LOG_WARN, "no thread for the access log; there will be none");
    }
    error = pg_options_has(&run->options, PG_FLAG_RUN_NO_SECCOMP) ? 0 : pg_syscall_filter(&c);
    if (error != 0) {
        fprintf(stderr,
                "podglass run: system calls can not be filtered: %s (--no-seccomp goes without)\n",
                strerror(-error));
    }
    return error != 0 ? PG_EXIT_PRIVILEGE : 0;
}

static int serve(struct run *run, const struct pg_snapshot *s, struct pg_sandbox *sandbox)
{
    struct pg_loop_options loop_options = {
        .reload = reload, .arg = run, .command_line = run->command_line.at};
    struct pg_loop *loop = NULL;
    const char *what = "";
    struct pg_text socket = {0};
    const char *given = run->options.value[PG_FLAG_RUN_SOCKET];
    if (given != NULL || sandbox == NULL) {
        if (given != NULL) {
            pg_text_puts(&socket, given);
        } else {
            pg_control_default_socket("", &socket);
        }
        loop_options.socket_path = socket.at;
    }
    if (pg_options_has(&run->options, PG_FLAG_RUN_TRACE)) {
        loop_options.after_turn = print_records;
    }
    loop_options.child = sandbox != NULL ? sandbox->pid : 0;
    loop_options.user = run->changes_user ? &run->user : NULL;
    int error = pg_loop_new(&loop_options, run->path, &loop, &what);
    if (error != 0) {
        fprintf(stderr, "podglass run: %s: %s\n", what, strerror(-error));
        pg_text_free(&socket);
        return PG_EXIT_PRIVILEGE;
    }
    int status = give_up_rights(run, loop_options.socket_path, sandbox);
    if (status == 0) {
        if (sandbox != NULL) {
            pg_sandbox_go(sandbox);
        } else {
            say_started(run, s, loop_options.socket_path);
        }
        status = pg_loop_run(loop);
    }
    pg_loop_free(loop);
    pg_text_free(&socket);
    return status;
}

/* The command's own TUN, as the only one. */
static int adopt_sandbox(struct run *run, const struct pg_sandbox *sandbox)
{
    const char *what = "";
    struct pg_tun_options tun = {.name = "",
                                 .offload = !pg_options_has(&run->options, PG_FLAG_RUN_NO_OFFLOAD),
                                 .fd = sandbox->tun_fd,
                                 .mtu = run->mtu,
                                 .io = pg_tuns_io(&run->options)};
    int error = pg_tun_open(&tun, &run->tuns.at[0].link, &what);
    if (error != 0) {
        fprintf(stderr, "podglass run: %s: %s\n", what, strerror(-error));
        return PG_EXIT_PRIVILEGE;
    }
    run->tuns.count = 1;
    return 0;
}

static int open_access_log(struct run *run)
{
    const char *file = run->options.value[PG_FLAG_RUN_ACCESS_LOG];
    const char *form = run->options.value[PG_FLAG_RUN_ACCESS_LOG_FORMAT];
    if (file == NULL) {
        return 0;
    }
    int error =
        pg_access_log_open(file, form != NULL && strcmp(form, "json") == 0, &run->access_log);
    if (error != 0) {
        fprintf(stderr, "podglass run: access log %s: %s\n", file, strerror(-error));
    }
    return error == 0 ? 0 : PG_EXIT_PRIVILEGE;
}

/* For clients that are to trust what is made up. */
static int write_ca(struct run *run)
{
    const char *file = run->options.value[PG_FLAG_RUN_DEV_CERT];
    int error = file != NULL ? pg_proxy_write_ca(pg_path_proxy(run->path), file) : 0;
    if (error != 0) {
        fprintf(stderr, "podglass run: --dev-cert %s: %s\n", file, strerror(-error));
    }
    return error == 0 ? 0 : PG_EXIT_PRIVILEGE;
}

/* With manifests loaded: the devices, the path, the loop. */
static int run_loaded(struct run *run, struct pg_snapshot *s)
{
    struct pg_sandbox sandbox = {.go_fd = -1};
    bool command = run->options.has_command;
    int status =
        command ? open_sandbox(run, s, &sandbox) : pg_tuns_open(&run->options, s, &run->tuns);
    if (status != 0) {
        return status;
    }
    status = command ? adopt_sandbox(run, &sandbox) : 0;
    status = status == 0 ? open_access_log(run) : status;
    if (status == 0) {
        status = make_path(run, s);
    }
    status = status == 0 ? write_ca(run) : status;
    if (status == 0) {
        status = serve(run, s, command ? &sandbox : NULL);
    }
    if (sandbox.go_fd >= 0) {
        pg_sandbox_abandon(&sandbox);
    }
    pg_path_free(run->path);
    pg_access_log_close(run->access_log);
    return status;
}

int pg_run(int argc, char **argv)
{
    static struct run run; /* large, and there is one */
    struct pg_snapshot *s = NULL;
    pg_text_puts(&run.command_line, "podglass");
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) { /* CMD may have secrets */
        pg_text_printf(&run.command_line, " %s", argv[i]);
    }
    int status = read_options(&run, argc, argv);
    if (status == 0) {
        status = load(&run, &s) ? run_loaded(&run, s) : PG_EXIT_MANIFEST;
    }
    pg_snapshot_put(s);
    pg_text_free(&run.command_line);
    pg_options_free(&run.options);
    pg_reason_forget_all();
    return status;
}
