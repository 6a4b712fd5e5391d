/* The verb `explain`: what would become of a request, which line of which manifest does it, and what would change it. Nothing is sent.
 *
 * Also explains a code (PG101) and a field (service.spec.externalTrafficPolicy). The request runs dry (dry.c) over all that chance
 * leaves open (dry_odds.c); the outcome that is most likely is shown hop by hop, the others beside it; then the request runs again with
 * each setting changed that a decision has read (what_if.c). */
#include "explain_internal.h"
#include "podglass/secrets.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct pg_manifest_flags manifest_flags = {
    .filename = PG_FLAG_EXPLAIN_FILENAME,
    .recursive = PG_FLAG_EXPLAIN_RECURSIVE,
    .namespace = PG_FLAG_EXPLAIN_NAMESPACE,
    .strict = PG_FLAG_EXPLAIN_STRICT,
    .set = PG_FLAG_EXPLAIN_SET,
    .dialect = PG_FLAG_EXPLAIN_DIALECT,
    .profile = PG_FLAG_EXPLAIN_PROFILE,
};

/* ---- what is asked ---- */

static bool is_code(const char *text)
{
    return toupper((unsigned char)text[0]) == 'P' && toupper((unsigned char)text[1]) == 'G' &&
           text[2] && strspn(text + 2, "0123456789") == strlen(text + 2);
}

static bool is_field(const char *text)
{
    return strchr(text, '/') == NULL && strchr(text, ':') == NULL &&
           (strchr(text, '.') != NULL || isalpha((unsigned char)text[0]));
}

static int explain_field(const char *text)
{
    struct pg_text out = {0};

    if (!pg_explain_field(text, &out)) {
        pg_text_free(&out);
        return pg_options_complain(PG_VERB_EXPLAIN,
                                   "\"%s\" is neither a URL (http://...), nor a code (PG101), nor "
                                   "a field that the path reads (service.spec.type)",
                                   text);
    }
    fputs(out.at, stdout);
    pg_text_free(&out);
    return fflush(stdout) == 0 ? PG_EXIT_OK : PG_EXIT_DIFFERENT;
}

/* "--from pod NS/NAME URL": the word behind "pod" has become an argument. */
static void take_pod_word(struct pg_options *o, char *room, size_t size)
{
    const char *from = o->value[PG_FLAG_EXPLAIN_FROM];

    if (!from || (strcmp(from, "pod") != 0 && strcmp(from, "node") != 0)) {
        return;
    }
    for (uint32_t i = 0; i < o->arg_count; i++) {
        if (strstr(o->arg[i], "://")) {
            continue;
        }
        snprintf(room, size, "%s:%s", from, o->arg[i]);
        o->value[PG_FLAG_EXPLAIN_FROM] = room;
        memmove(&o->arg[i], &o->arg[i + 1], (o->arg_count - i - 1) * sizeof *o->arg);
        o->arg_count--;
        return;
    }
}

static int read_ask(const struct pg_options *o, struct pg_explain *e)
{
    const char *reader = o->value[PG_FLAG_EXPLAIN_READER];
    struct pg_text why = {0};
    uint32_t cursor = 0;
    const char *header;

    e->words = (struct pg_ask){.url = o->arg_count ? o->arg[0] : NULL,
                               .to = o->value[PG_FLAG_EXPLAIN_TO],
                               .from = o->value[PG_FLAG_EXPLAIN_FROM],
                               .method = o->value[PG_FLAG_EXPLAIN_METHOD],
                               .headers = e->headers,
                               .proxy = o->value[PG_FLAG_EXPLAIN_PROXY_PROTOCOL],
                               .proxy_from = o->value[PG_FLAG_EXPLAIN_PROXY_FROM]};
    while ((header = pg_options_next(o, PG_FLAG_EXPLAIN_HEADER, &cursor)) != NULL) {
        if (e->words.header_count == PG_ASK_HEADERS) {
            return pg_options_complain(o->verb, "more than %d headers", PG_ASK_HEADERS);
        }
        e->headers[e->words.header_count++] = header;
    }
    if (reader && !pg_reader_parse(reader, &e->reader)) {
        return pg_options_complain(o->verb, "--reader takes one of " PG_READER_WORDS ", not \"%s\"",
                                   reader);
    }
    int error = pg_dry_ask_read(e->dry, &e->words, &e->ask, &why);

    if (error) {
        pg_options_complain(o->verb, "%s", why.at);
    }
    pg_text_free(&why);
    return error ? PG_EXIT_USAGE : 0;
}

/* ---- the answer ---- */

/* Who asks from inside goes straight to the ingress; and a preface that is sent already is not sent twice. */
static bool may_have_balancer(const struct pg_explain *e)
{
    const struct pg_addr *from = &e->ask.request.from;

    return !e->words.proxy && !pg_snapshot_in_cluster_cidr(e->snapshot, from) &&
           pg_snapshot_node_by_addr(e->snapshot, from) == PG_INDEX_NONE;
}

/* false: with this change it comes out the same, or it cannot be asked. */
static bool ask_changed(struct pg_explain *e, struct pg_dry *dry, bool preface, struct pg_tried *t)
{
    struct pg_ask words = e->words;
    struct pg_dry_ask ask = {0};
    struct pg_text why = {0};
    struct pg_dry_odds odds;
    struct pg_dry_result shown;
    bool differs = false;

    if (preface && !may_have_balancer(e)) {
        return false;
    }
    words.proxy = preface ? "v2" : words.proxy;
    t->proxy = preface ? words.proxy : NULL;
    if (pg_dry_ask_read(dry, &words, &ask, &why) == 0) {
        pg_dry_explore(dry, &ask.request, PG_DRY_RUNS_ONE, &odds);
        pg_dry_run(dry, &ask.request, odds.draw, NULL, &shown);
        t->better = pg_outcomes_worth(&odds) > pg_outcomes_worth(&e->odds);
        differs = !pg_outcomes_same(&e->odds, &e->shown, &odds, &shown) && (t->better || !preface);
    }
    if (differs) {
        pg_outcomes_print(&odds, &shown, &t->outcome);
    }
    pg_dry_ask_free(&ask);
    pg_text_free(&why);
    return differs;
}

static void try_change(struct pg_explain *e, const struct pg_change *change)
{
    struct pg_snapshot *changed = pg_snapshot_with(e->snapshot, change);
    struct pg_dry *dry = changed ? pg_dry_changed(e->dry, changed, change->kind) : NULL;
    struct pg_tried *t = &e->tried[e->tried_count];

    if (dry && ask_changed(e, dry, change->kind == PG_CHANGE_PROXY_PROTOCOL, t)) {
        while (t->set_count < 2 &&
               pg_change_print(e->snapshot, change, t->set_count, &t->set[t->set_count])) {
            t->set_count++;
        }
        e->tried_count++;
    }
    pg_dry_free(dry);
    pg_snapshot_put(changed);
}

static int run(struct pg_explain *e)
{
    struct pg_trace *trace = pg_trace_new(PG_HOPS_RECORDS);
    struct pg_change changes[PG_CHANGES_MOST];

    if (!trace) {
        return -1;
    }
    pg_trace_set_level(trace, PG_TRACE_FLOWS);
    pg_dry_explore(e->dry, &e->ask.request, PG_DRY_RUNS_ONE, &e->odds);
    pg_dry_run(e->dry, &e->ask.request, e->odds.draw, trace, &e->shown);
    pg_hops_collect(&e->hops, trace, 1, 1);
    pg_trace_free(trace);
    for (uint32_t i = 0; i < e->hops.count; i++) {
        pg_record_hide(&e->hops.records[i], false); /* answers are pasted */
    }
    uint32_t count = pg_changes_for(pg_dry_snapshot(e->dry), &e->shown, changes);

    for (uint32_t i = 0; i < count; i++) {
        try_change(e, &changes[i]);
    }
    return 0;
}

static int answer(const struct pg_options *o, struct pg_explain *e)
{
    const char *output = o->value[PG_FLAG_EXPLAIN_OUTPUT];
    struct pg_text out = {0};

    if (run(e) != 0) {
        fprintf(stderr, "podglass explain: out of memory\n");
        return PG_EXIT_DIFFERENT;
    }
    if (output && strcmp(output, "json") == 0) {
        pg_explain_json(e, &out);
    } else {
        pg_explain_text(e, pg_want_color(o->value[PG_FLAG_EXPLAIN_COLOR]), &out);
    }
    fwrite(out.at, 1, out.len, stdout);
    pg_text_free(&out);
    return fflush(stdout) == 0 ? PG_EXIT_OK : PG_EXIT_DIFFERENT;
}

static void explain_free(struct pg_explain *e)
{
    for (uint32_t i = 0; i < e->tried_count; i++) {
        pg_text_free(&e->tried[i].set[0]);
        pg_text_free(&e->tried[i].set[1]);
        pg_text_free(&e->tried[i].outcome);
    }
    pg_dry_ask_free(&e->ask);
    pg_dry_free(e->dry);
    pg_snapshot_put(e->snapshot);
    free(e);
}

static int explain_request(const struct pg_options *o)
{
    struct pg_explain *e = calloc(1, sizeof *e);
    struct pg_findings findings = {0};
    int status = e ? pg_manifests_load(o, &manifest_flags, true, &e->snapshot, &findings)
                   : PG_EXIT_DIFFERENT;

    if (status == 0) {
        e->dry = pg_dry_new(e->snapshot);
        status = e->dry ? read_ask(o, e) : PG_EXIT_DIFFERENT;
    }
    if (status == 0) {
        status = answer(o, e);
    }
    if (e) {
        explain_free(e);
    }
    pg_findings_free(&findings);
    pg_reason_forget_all();
    return status;
}

/* from: room for a word put together from two. */
static int choose(struct pg_options *o, char *from, size_t room)
{
    bool to = pg_options_has(o, PG_FLAG_EXPLAIN_TO);

    take_pod_word(o, from, room);
    int status = pg_options_args(o, to ? 0 : 1, to ? 0 : 1);

    if (status) {
        return status;
    }
    if (!to && is_code(o->arg[0])) {
        return pg_tool_explain_code(o->arg[0]);
    }
    if (!to && !pg_options_has(o, PG_FLAG_EXPLAIN_FILENAME) && is_field(o->arg[0])) {
        return explain_field(o->arg[0]);
    }
    return explain_request(o);
}

int pg_tool_explain(int argc, char **argv)
{
    struct pg_options o;
    char from[600];
    int status = pg_options_parse(PG_VERB_EXPLAIN, argc, argv, &o);

    if (status) {
        return status;
    }
    status = choose(&o, from, sizeof from);
    pg_options_free(&o);
    return status;
}
