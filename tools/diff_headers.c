/* What pods see differently under two profiles of the ingress: headers, readers and the verdict, with the policy behind each.
 *
 * Called by diff.c when --profile is given. Each request of the questions is asked three ways: as it is, with forged headers that tell who is
 * asking, and, if anybody is trusted, as a trusted proxy passes it on; the first one also with a run of slashes in its path, if the two make different things of it. Heads are those the ingress would write, so nothing is known here about
 * policies. */
#include "diff_internal.h"

#include <string.h>
#include <strings.h>

#define NAMES_MOST 64

/* ---- asking three ways ---- */

static const char *const forged[] = {
    "X-Forwarded-For: 192.0.2.66", "X-Real-IP: 192.0.2.66",         "Forwarded: for=192.0.2.66",
    "X-Forwarded-Proto: https",    "X-Forwarded-Host: forged.test", "X-Forwarded-Port: 8443",
    "X-Forwarded-Prefix: /forged", "X_Forwarded_For: 192.0.2.66",   "X-Request-ID: forged",
    "Proxy: http://forged.test",
};
/* What a proxy in front adds, behind what its client had sent. */
static const char *const vouched[] = {
    "X-Forwarded-For: 192.0.2.66, 192.0.2.77", "X-Real-IP: 192.0.2.77", "X-Forwarded-Proto: https",
    "X-Forwarded-Host: public.test",           "X-Forwarded-Port: 443",
};

static void copy_text(struct pg_text *to, const struct pg_text *from)
{
    *to = (struct pg_text){0};
    if (from->len) {
        pg_text_add(to, from->at, from->len);
    }
}

static void add(struct pg_questions *to, const struct pg_question *q)
{
    struct pg_question *one = pg_questions_add(to);

    one->kind = q->kind;
    copy_text(&one->url, &q->url);
    copy_text(&one->method, &q->method);
    copy_text(&one->from, &q->from);
}

static const struct pg_prefix *trusted_range(const struct pg_snapshot *s)
{
    return s->lab.ingress.trusted_proxy_count ? &s->lab.ingress.trusted_proxies[0] : NULL;
}

/* Once is enough: it is the same for every path. */
static void add_slashes(struct pg_questions *all, const struct pg_questions *q)
{
    for (uint32_t i = 0; i < q->count; i++) {
        const struct pg_text *url = &q->at[i].url;
        if (q->at[i].kind != PG_QUESTION_URL || memchr(url->at, '?', url->len)) {
            continue;
        }
        add(all, &q->at[i]);
        struct pg_question *one = &all->at[all->count - 1];
        pg_text_puts(&one->url, url->at[url->len - 1] == '/' ? "a//b" : "/a//b");
        one->about = "with a run of slashes";
        return;
    }
}

void pg_questions_vary(struct pg_questions *q, struct pg_snapshot *const sides[2])
{
    const struct pg_snapshot *s = sides[1];
    struct pg_questions all = {0};
    const struct pg_prefix *range = trusted_range(s);
    char text[PG_ADDR_TEXT];

    for (uint32_t i = 0; i < q->count; i++) {
        if (q->at[i].kind != PG_QUESTION_URL && q->at[i].kind != PG_QUESTION_WORDS) {
            continue; /* no HTTP: no head */
        }
        add(&all, &q->at[i]);
        add(&all, &q->at[i]);
        all.at[all.count - 1].headers = forged;
        all.at[all.count - 1].header_count = sizeof forged / sizeof forged[0];
        all.at[all.count - 1].about = "with forged headers";
        if (range == NULL) {
            continue;
        }
        struct pg_addr proxy = range->bits < 127 ? pg_addr_add(&range->addr, 1) : range->addr;
        add(&all, &q->at[i]);
        struct pg_question *one = &all.at[all.count - 1];
        pg_text_clear(&one->from);
        pg_text_puts(&one->from, pg_addr_print(&proxy, text));
        one->headers = vouched;
        one->header_count = sizeof vouched / sizeof vouched[0];
        one->about = "passed on by a trusted proxy";
    }
    if (sides[0]->lab.ingress.keep_slashes != s->lab.ingress.keep_slashes) {
        add_slashes(&all, q);
    }
    pg_questions_free(q);
    *q = all;
}

/* ---- heads as lines ---- */

/* Takes the next line of a head; the first one has no name. */
static bool next_line(struct pg_slice *rest, struct pg_slice *ret_name, struct pg_slice *ret_value)
{
    while (rest->at && rest->len) {
        const char *end = memmem(rest->at, rest->len, "\r\n", 2);
        struct pg_slice line = {rest->at, end ? (size_t)(end - rest->at) : rest->len};
        const char *colon = line.len ? memchr(line.at, ':', line.len) : NULL;
        size_t used = line.len + (end ? 2 : 0);

        rest->at += used;
        rest->len -= used;
        if (colon && colon + 1 < line.at + line.len && colon[1] == ' ' &&
            !memchr(line.at, ' ', (size_t)(colon - line.at))) {
            *ret_name = (struct pg_slice){line.at, (size_t)(colon - line.at)};
            *ret_value = (struct pg_slice){colon + 2, line.len - ret_name->len - 2};
            return true;
        }
    }
    return false;
}

/* All values of a name, as lines; empty: absent. */
static void values_of(struct pg_slice head, struct pg_slice wanted, struct pg_text *out)
{
    struct pg_slice name, value;

    pg_text_clear(out);
    while (next_line(&head, &name, &value)) {
        if (pg_slice_equal_nocase(name, wanted)) {
            pg_text_puts(out, out->len ? "  and a second line  " : "");
            pg_text_add_escaped(out, value.at, value.len);
        }
    }
}

static uint32_t add_names(struct pg_slice head, struct pg_slice names[NAMES_MOST], uint32_t count)
{
    struct pg_slice name, value;

    while (next_line(&head, &name, &value) && count < NAMES_MOST) {
        uint32_t i = 0;
        while (i < count && !pg_slice_equal_nocase(names[i], name)) {
            i++;
        }
        if (i == count) {
            names[count++] = name;
        }
    }
    return count;
}

/* Why a header is as it is: the last word about it. */
static pg_reason_id reason_of(const struct pg_hops *hops, struct pg_slice name)
{
    pg_reason_id found = 0;

    for (uint32_t i = 0; i < hops->count; i++) {
        const struct pg_record *r = &hops->records[i];
        if (r->stage == PG_STAGE_HTTP_REWRITE && r->direction == 0 &&
            pg_slice_equal_nocase(pg_slice_of(r->name), name)) {
            found = r->reason;
        }
    }
    return found;
}

/* ---- telling ---- */

static void put_value(char sign, const struct pg_text *value, pg_reason_id why, struct pg_text *out)
{
    char text[512];

    pg_text_printf(out, "    %c %s", sign, value->len ? value->at : "(absent)");
    if (why) {
        pg_text_printf(out, "   because %s  %s", pg_reason_print(why, text, sizeof text),
                       pg_code_name(pg_reason_get(why)->code));
    }
    pg_text_putc(out, '\n');
}

static void put_headers(const struct pg_diff_side side[2], struct pg_text *out)
{
    struct pg_slice names[NAMES_MOST];
    uint32_t count = add_names(side[0].head, names, 0);
    struct pg_text value[2] = {{0}};

    count = add_names(side[1].head, names, count);
    for (uint32_t i = 0; i < count; i++) {
        values_of(side[0].head, names[i], &value[0]);
        values_of(side[1].head, names[i], &value[1]);
        bool same = value[0].len == value[1].len &&
                    (value[0].len == 0 || memcmp(value[0].at, value[1].at, value[0].len) == 0);
        if (same) {
            continue;
        }
        pg_text_puts(out, "  ");
        pg_text_add_escaped(out, names[i].at, names[i].len);
        pg_text_putc(out, '\n');
        put_value('-', &value[0], reason_of(side[0].hops, names[i]), out);
        put_value('+', &value[1], reason_of(side[1].hops, names[i]), out);
    }
    pg_text_free(&value[0]);
    pg_text_free(&value[1]);
}

/* Of the head's first line, behind the method. */
static struct pg_slice target_of(struct pg_slice head)
{
    const char *end = head.len ? memmem(head.at, head.len, "\r\n", 2) : NULL;
    const char *from = end ? memchr(head.at, ' ', (size_t)(end - head.at)) : NULL;
    const char *to = from ? memrchr(from + 1, ' ', (size_t)(end - from - 1)) : NULL;

    return to ? (struct pg_slice){from + 1, (size_t)(to - from - 1)} : (struct pg_slice){NULL, 0};
}

static void put_target(const struct pg_diff_side side[2], struct pg_text *out)
{
    struct pg_slice target[2] = {target_of(side[0].head), target_of(side[1].head)};

    if (pg_slice_equal(target[0], target[1])) {
        return;
    }
    pg_text_puts(out, "  target\n    - ");
    pg_text_add_escaped(out, target[0].at, target[0].len);
    pg_text_puts(out, "\n    + ");
    pg_text_add_escaped(out, target[1].at, target[1].len);
    pg_text_putc(out, '\n');
}

static void put_taken(const struct pg_seen *seen, const struct pg_reader *r, struct pg_text *out)
{
    struct pg_addr a;
    char text[PG_ADDR_TEXT];
    bool found = pg_reader_take(r, seen, &a);

    pg_text_printf(out, "%s, %s", found ? pg_addr_print(&a, text) : "nothing",
                   pg_verdict_name(pg_verdict_of_reader(seen, found, &a)));
}

/* Applications that would take another client, and what that means. */
static void put_readers(const struct pg_diff_side side[2], struct pg_text *out)
{
    static const char *const words[] = {"xff-left", "xff-right=1", "x-real-ip", "forwarded"};
    struct pg_text taken[2] = {{0}};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        struct pg_reader reader;
        (void)pg_reader_parse(words[i], &reader);
        for (int s = 0; s < 2; s++) {
            pg_text_clear(&taken[s]);
            put_taken(&side[s].shown->seen, &reader, &taken[s]);
        }
        if (strcmp(taken[0].at, taken[1].at) != 0) {
            pg_text_printf(out, "  reader %s\n    - %s\n    + %s\n", words[i], taken[0].at,
                           taken[1].at);
        }
    }
    pg_text_free(&taken[0]);
    pg_text_free(&taken[1]);
}

void pg_diff_headers_print(const struct pg_diff_side side[2], struct pg_text *out)
{
    if (!side[0].shown->has_verdict || !side[1].shown->has_verdict) {
        return;
    }
    put_target(side, out);
    put_headers(side, out);
    put_readers(side, out);
    if (side[0].shown->verdict != side[1].shown->verdict) {
        pg_text_printf(out, "  verdict\n    - %s\n    + %s\n",
                       pg_verdict_name(side[0].shown->verdict),
                       pg_verdict_name(side[1].shown->verdict));
    }
}

void pg_diff_headers_words(struct pg_slice head, struct pg_text *out)
{
    struct pg_slice name, value;
    struct pg_slice target = target_of(head);

    if (target.at) {
        pg_text_puts(out, "; target ");
        pg_text_add_escaped(out, target.at, target.len);
    }
    pg_text_puts(out, head.at ? "; headers there:" : "");
    while (next_line(&head, &name, &value)) {
        if (pg_identity_find(name) < PG_IDENTITY_COUNT) {
            pg_text_putc(out, ' ');
            pg_text_add_escaped(out, name.at, name.len);
            pg_text_puts(out, ": \"");
            pg_text_add_escaped(out, value.at, value.len);
            pg_text_putc(out, '"');
        }
    }
}
