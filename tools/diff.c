/* The verb `diff`: which requests two sets of manifests answer differently, and by which line.
 *
 * Each question (questions.c) is run dry on both sides. An answer is words, not addresses: who answers, with what verdict on the client, whom
 * the pod sees. Where the words differ, the first record that differs in its reason is the line. Exit status: 0 the same, 1
 * different, 2 and more trouble. */
#include "diff_internal.h"
#include "podglass/hops.h"
#include "podglass/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PODS_NAMED 4
#define DRAWS_MOST 256 /* looked at for the line that makes a difference */

static const struct pg_manifest_flags manifest_flags = {
    .filename = PG_FLAG_DIFF_FILENAME,
    .recursive = PG_FLAG_DIFF_RECURSIVE,
    .namespace = PG_FLAG_DIFF_NAMESPACE,
    .strict = PG_FLAG_COUNT,
    .set = PG_FLAG_DIFF_SET,
    .dialect = PG_FLAG_DIFF_DIALECT,
    .profile = PG_FLAG_DIFF_PROFILE,
};

/* What one side says. */
struct answer {
    struct pg_text words;
    struct pg_hops hops;
    struct pg_dry_result shown;
    struct pg_dry_ask ask;
    bool asked;
};

struct diff {
    struct pg_snapshot *s[2];
    struct pg_dry *d[2];
    struct answer answer[2];
    struct pg_trace *trace;
    const char *profile[2]; /* of the ingress; NULL: as written */
    bool by_profile;        /* heads are compared, too */
    struct pg_text said;    /* differences that were told already */
    uint32_t alike;         /* requests that differ in the same way as one before */
    uint32_t asked;
    uint32_t differ;
};

/* ---- an answer ---- */

/* The pods that may answer, by name, in a stable order. */
static void put_pods(const struct pg_snapshot *s, const struct pg_dry_others *others,
                     struct pg_text *out)
{
    uint32_t pods[PG_DRY_OTHERS];
    uint32_t count = 0;

    for (uint32_t i = 0; i < others->count; i++) {
        uint32_t endpoint = others->at[i].endpoint;
        uint32_t pod = endpoint < s->endpoint_count ? s->endpoints[endpoint].pod : PG_INDEX_NONE;
        uint32_t at = count;
        if (pod == PG_INDEX_NONE) {
            continue;
        }
        for (; at > 0 && pods[at - 1] > pod; at--) {
            pods[at] = pods[at - 1];
        }
        pods[at] = pod;
        count++;
    }
    for (uint32_t i = 0; i < count && i < PODS_NAMED; i++) {
        const struct pg_pod *p = &s->pods[pods[i]];
        pg_text_printf(out, "%s%s/%s", i ? ", " : "", p->namespace, p->name);
    }
    if (count > PODS_NAMED) {
        pg_text_printf(out, " and %u more", count - PODS_NAMED);
    }
}

/* Whom the pod sees, by kind: addresses that are drawn or derived may differ and mean nothing. */
static void put_peers(const struct pg_snapshot *s, const struct pg_dry_others *src,
                      struct pg_text *out)
{
    bool node = false;
    bool bridge = false;
    bool nobody = false;
    bool same = false;

    for (uint32_t i = 0; i < src->count; i++) {
        const struct pg_dry_other *o = &src->at[i];
        uint32_t at = pg_snapshot_node_by_addr(s, &o->addr);
        bool gateway = at != PG_INDEX_NONE && (pg_addr_equal(&s->nodes[at].gateway[0], &o->addr) ||
                                               pg_addr_equal(&s->nodes[at].gateway[1], &o->addr));
        same = same || o->same;
        bridge = bridge || (!o->same && gateway);
        nobody = nobody || (!o->same && at == PG_INDEX_NONE);
        node = node || (!o->same && !gateway && at != PG_INDEX_NONE);
    }
    pg_text_puts(out, same ? "the client itself" : "");
    pg_text_printf(out, "%s%s", bridge && same ? " or " : "", bridge ? "a pod bridge" : "");
    pg_text_printf(out, "%s%s", node && (same || bridge) ? " or " : "", node ? "a node" : "");
    pg_text_printf(out, "%s%s", nobody && (same || bridge || node) ? " or " : "",
                   nobody ? "an address that is nobody's" : "");
}

static void answer(struct diff *diff, int side, const struct pg_question *q)
{
    struct answer *a = &diff->answer[side];
    struct pg_dry *d = diff->d[side];
    struct pg_dry_odds odds;
    uint64_t seq = pg_trace_next_seq(diff->trace);

    pg_text_clear(&a->words);
    pg_dry_ask_free(&a->ask);
    a->hops.count = 0;
    a->asked = pg_question_ask(d, q, &a->ask, &a->words);
    if (!a->asked) {
        return;
    }
    pg_dry_explore(d, &a->ask.request, PG_DRY_RUNS_MANY, &odds);
    pg_dry_run(d, &a->ask.request, odds.draw, diff->trace, &a->shown);
    pg_hops_collect(&a->hops, diff->trace, seq, 1);
    pg_outcomes_print(&odds, &a->shown, &a->words);
    if (a->shown.route) {
        pg_text_printf(&a->words, ", by %s", a->shown.route->backend_text);
    }
    if (a->shown.has_verdict) {
        const struct pg_dry_others *dst = &odds.dst[a->shown.leg_count - 1];
        pg_text_puts(&a->words, dst->count ? ", pods " : "");
        put_pods(diff->s[side], dst, &a->words);
        pg_text_puts(&a->words, "; peer there: ");
        put_peers(diff->s[side], &odds.src[0], &a->words);
    }
    if (diff->by_profile) {
        pg_diff_headers_words(a->shown.head, &a->words);
    }
}

/* ---- the line ---- */

static bool reason_same(pg_reason_id a, pg_reason_id b)
{
    const struct pg_reason *x = pg_reason_get(a);
    const struct pg_reason *y = pg_reason_get(b);

    return x->code == y->code && strcmp(x->object, y->object) == 0 &&
           strcmp(x->field, y->field) == 0 && strcmp(x->value, y->value) == 0;
}

/* The reasons of the first record at which the two ways part. */
static bool ways_part(const struct pg_hops *old, const struct pg_hops *new, pg_reason_id ret[2])
{
    for (uint32_t i = 0; i < old->count || i < new->count; i++) {
        ret[0] = i < old->count ? old->records[i].reason : 0;
        ret[1] = i < new->count ? new->records[i].reason : 0;
        if (!reason_same(ret[0], ret[1])) {
            return true;
        }
    }
    ret[0] = ret[1] = 0;
    return false;
}

/* As shown; if these are alike, with the same draws on both sides, one after the other. */
static void find_lines(struct diff *diff, pg_reason_id ret[2])
{
    struct answer *a = diff->answer;
    uint64_t draw[PG_DRY_CHOICES] = {0};
    int digit = 0;

    if (ways_part(&a[0].hops, &a[1].hops, ret) || !a[0].asked || !a[1].asked) {
        return;
    }
    for (uint32_t runs = 0; runs < DRAWS_MOST && digit >= 0; runs++) {
        for (int side = 0; side < 2; side++) {
            uint64_t seq = pg_trace_next_seq(diff->trace);
            pg_dry_run(diff->d[side], &a[side].ask.request, draw, diff->trace, &a[side].shown);
            pg_hops_collect(&a[side].hops, diff->trace, seq, 1);
        }
        if (ways_part(&a[0].hops, &a[1].hops, ret)) {
            return;
        }
        for (digit = PG_DRY_CHOICES - 1; digit >= 0 && draw[digit] + 1 >= a[1].shown.of[digit];
             digit--) {
            draw[digit] = 0;
        }
        if (digit >= 0) {
            draw[digit]++;
        }
    }
}

/* ---- telling ---- */

static void put_side(const struct diff *diff, int side, pg_reason_id why, struct pg_text *out)
{
    char text[512];

    pg_text_printf(out, "  %c %s", side ? '+' : '-', diff->answer[side].words.at);
    if (why) {
        pg_text_printf(out, "\n      because %s  %s", pg_reason_print(why, text, sizeof text),
                       pg_code_name(pg_reason_get(why)->code));
    }
    pg_text_putc(out, '\n');
}

static void put_text(struct diff *diff, const struct pg_question *q, struct pg_text *out)
{
    pg_reason_id why[2];

    find_lines(diff, why);
    pg_question_print(q, out);
    pg_text_putc(out, '\n');
    put_side(diff, 0, why[0], out);
    put_side(diff, 1, why[1], out);
}

/* The same difference is told once, whatever host it is of. */
static void put_profiles(struct diff *diff, const struct pg_question *q, struct pg_text *out)
{
    struct answer *a = diff->answer;
    const struct pg_diff_side side[2] = {{a[0].shown.head, &a[0].hops, &a[0].shown},
                                         {a[1].shown.head, &a[1].hops, &a[1].shown}};
    struct pg_text text = {0};

    pg_diff_headers_print(side, &text);
    if (text.len == 0) {
        put_text(diff, q, out);
    } else if (diff->said.len && strstr(diff->said.at, text.at)) {
        diff->alike++;
    } else {
        pg_text_add(&diff->said, text.at, text.len);
        pg_text_putc(&diff->said, '\f');
        pg_question_print(q, out);
        pg_text_printf(out, "\n%s", text.at);
    }
    pg_text_free(&text);
}

static void put_json_side(struct pg_json *j, const char *key, const struct answer *a,
                          pg_reason_id why)
{
    const struct pg_reason *r = pg_reason_get(why);

    pg_json_key(j, key);
    pg_json_object(j);
    pg_json_key_string(j, "answer", a->words.at);
    pg_json_key_bool(j, "asked", a->asked);
    if (why) {
        pg_json_key_string(j, "code", pg_code_name(r->code));
        pg_json_key_string(j, "object", r->object);
        pg_json_key_string(j, "path", r->field);
        pg_json_key_string(j, "value", r->value);
        pg_json_key_string(j, "file", r->file);
        pg_json_key_uint(j, "line", r->line);
    }
    pg_json_object_end(j);
}

static void put_json(struct diff *diff, const struct pg_question *q, struct pg_json *j)
{
    pg_reason_id why[2];
    struct pg_text text = {0};

    find_lines(diff, why);
    pg_question_print(q, &text);
    pg_json_object(j);
    pg_json_key_string(j, "request", text.at);
    put_json_side(j, "old", &diff->answer[0], why[0]);
    put_json_side(j, "new", &diff->answer[1], why[1]);
    pg_json_object_end(j);
    pg_text_free(&text);
}

static void compare(struct diff *diff, const struct pg_questions *questions, bool json,
                    struct pg_text *out)
{
    struct pg_json j;

    pg_json_begin(&j, out);
    if (json) {
        pg_json_object(&j);
        pg_json_key_string(&j, "apiVersion", "podglass/v1alpha1");
        pg_json_key_string(&j, "kind", "Diff");
        pg_json_key(&j, "differences");
        pg_json_array(&j);
    }
    for (uint32_t i = 0; i < questions->count; i++) {
        const struct pg_question *q = &questions->at[i];
        answer(diff, 0, q);
        answer(diff, 1, q);
        diff->asked++;
        if (strcmp(diff->answer[0].words.at, diff->answer[1].words.at) == 0) {
            continue;
        }
        diff->differ++;
        if (json) {
            put_json(diff, q, &j);
        } else if (diff->by_profile) {
            put_profiles(diff, q, out);
        } else {
            put_text(diff, q, out);
        }
    }
    if (json) {
        pg_json_array_end(&j);
        pg_json_key_uint(&j, "asked", diff->asked);
        pg_json_key_uint(&j, "different", diff->differ);
        pg_json_object_end(&j);
        pg_text_putc(out, '\n');
    } else {
        if (diff->alike) {
            pg_text_printf(out, "%u more in one of these ways\n", diff->alike);
        }
        pg_text_printf(out, "%u of %u requests are answered differently\n", diff->differ,
                       diff->asked);
    }
}

/* ---- the whole ---- */

/* One --dialect is the new side's, two are the old one's and the new one's. NULL: what the manifests say. */
static const char *dialect_of(const struct pg_options *o, int side)
{
    uint32_t cursor = 0;
    const char *first = pg_options_next(o, PG_FLAG_DIFF_DIALECT, &cursor);
    const char *second = pg_options_next(o, PG_FLAG_DIFF_DIALECT, &cursor);

    if (side == 0) {
        return second ? first : NULL;
    }
    return second ? second : first;
}

/* The side-th -f alone, with --set for the new side only. */
static int load_side(const struct pg_options *o, const char *path, int side, struct diff *diff)
{
    struct pg_options one = *o;
    struct pg_findings findings = {0};
    struct pg_manifest_flags flags = manifest_flags;

    one.given = calloc((size_t)o->given_count + 1, sizeof *one.given);
    if (!one.given) {
        return PG_EXIT_USAGE;
    }
    one.given_count = 0;
    for (uint32_t i = 0; i < o->given_count; i++) {
        if (o->given[i].flag != PG_FLAG_DIFF_FILENAME) {
            one.given[one.given_count++] = o->given[i];
        }
    }
    one.given[one.given_count++] = (struct pg_option_given){PG_FLAG_DIFF_FILENAME, path};
    flags.set = side ? PG_FLAG_DIFF_SET : PG_FLAG_COUNT;
    one.value[PG_FLAG_DIFF_DIALECT] = dialect_of(o, side);
    one.value[PG_FLAG_DIFF_PROFILE] = diff->profile[side];
    int status = pg_manifests_load(&one, &flags, true, &diff->s[side], &findings);

    pg_findings_free(&findings);
    free(one.given);
    if (status == 0) {
        diff->d[side] = pg_dry_new(diff->s[side]);
        status = diff->d[side] ? 0 : PG_EXIT_USAGE;
    }
    return status;
}

/* Two: one for each side. One alone is for the new side, as --set is. */
static int read_profiles(const struct pg_options *o, struct diff *diff)
{
    uint32_t cursor = 0;
    const char *first = pg_options_next(o, PG_FLAG_DIFF_PROFILE, &cursor);
    const char *second = first ? pg_options_next(o, PG_FLAG_DIFF_PROFILE, &cursor) : NULL;

    if (second && pg_options_next(o, PG_FLAG_DIFF_PROFILE, &cursor)) {
        return pg_options_complain(o->verb, "--profile is given once or twice");
    }
    diff->by_profile = first != NULL;
    diff->profile[0] = second ? first : NULL;
    diff->profile[1] = second ? second : first;
    return 0;
}

static int load_sides(const struct pg_options *o, struct diff *diff)
{
    uint32_t cursor = 0;
    const char *old = pg_options_next(o, PG_FLAG_DIFF_FILENAME, &cursor);
    const char *new = pg_options_next(o, PG_FLAG_DIFF_FILENAME, &cursor);

    if (!old || pg_options_next(o, PG_FLAG_DIFF_FILENAME, &cursor) ||
        (!new && !diff->by_profile && !pg_options_has(o, PG_FLAG_DIFF_SET) &&
         !pg_options_has(o, PG_FLAG_DIFF_DIALECT))) {
        return pg_options_complain(
            o->verb, "give -f OLD -f NEW, or one -f and --set, --dialect or --profile");
    }
    int status = load_side(o, old, 0, diff);

    return status ? status : load_side(o, new ? new : old, 1, diff);
}

static int read_questions(const struct pg_options *o, const struct diff *diff,
                          struct pg_questions *ret)
{
    const char *path = o->value[PG_FLAG_DIFF_REQUESTS];
    struct pg_text why = {0};

    if (!path) {
        pg_questions_of(diff->s[0], diff->s[1], ret);
        return 0;
    }
    int status =
        pg_questions_read(path, ret, &why) == 0 ? 0 : pg_options_complain(o->verb, "%s", why.at);

    pg_text_free(&why);
    return status;
}

static int run(const struct pg_options *o, struct diff *diff)
{
    const char *output = o->value[PG_FLAG_DIFF_OUTPUT];
    struct pg_questions questions = {0};
    struct pg_text out = {0};
    int status = read_profiles(o, diff);

    status = status ? status : load_sides(o, diff);
    status = status ? status : read_questions(o, diff, &questions);
    if (status == 0 && diff->by_profile) {
        pg_questions_vary(&questions, diff->s);
    }
    if (status == 0) {
        compare(diff, &questions, output && strcmp(output, "json") == 0, &out);
        fwrite(out.at, 1, out.len, stdout);
        status = diff->differ ? PG_EXIT_DIFFERENT : PG_EXIT_OK;
        status = fflush(stdout) == 0 ? status : PG_EXIT_USAGE;
    }
    pg_text_free(&out);
    pg_questions_free(&questions);
    return status;
}

int pg_tool_diff(int argc, char **argv)
{
    struct pg_options o;
    struct diff *diff;
    int status = pg_options_parse(PG_VERB_DIFF, argc, argv, &o);

    if (status) {
        return status;
    }
    diff = calloc(1, sizeof *diff);
    status = pg_options_args(&o, 0, 0);
    if (diff) {
        diff->trace = pg_trace_new(PG_HOPS_RECORDS);
    }
    if (status == 0 && diff && diff->trace) {
        pg_trace_set_level(diff->trace, PG_TRACE_FLOWS);
        status = run(&o, diff);
    }
    for (int side = 0; diff && side < 2; side++) {
        pg_text_free(&diff->answer[side].words);
        pg_dry_ask_free(&diff->answer[side].ask);
        pg_dry_free(diff->d[side]);
        pg_snapshot_put(diff->s[side]);
    }
    if (diff) {
        pg_trace_free(diff->trace);
        pg_text_free(&diff->said);
    }
    free(diff);
    pg_options_free(&o);
    pg_reason_forget_all();
    return status;
}
