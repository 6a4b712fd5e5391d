/* Templates of kubectl's JSONPath, taken apart: jsonpath_find.c walks along what is made here.
 *
 * A template is text with actions in braces; an action is a path, a text in quotes, "range PATH" or "end". Everything is understood before anything is printed, so that a
 * mistake is told with its place, whatever the data. Called by get.c and get_order.c. */
#include "jsonpath_internal.h"

#include "podglass/log.h"

#include <stdlib.h>
#include <string.h>

#define FILTERS_MOST 8 /* inside of each other */

struct parser {
    struct pg_jsonpath *path;
    const char *begin, *at;
    struct pg_text *why;
    unsigned depth;
    bool failed;
};

/* ---- growing ---- */

static void *grow(void *items, uint32_t *count, size_t size)
{
    void *more = realloc(items, (*count + 1) * size);

    PG_ASSERT(more); /* a few dozen bytes of a command line */
    memset((char *)more + *count * size, 0, size);
    (*count)++;
    return more;
}

static uint32_t new_step(struct parser *r, enum pg_step_kind kind)
{
    struct pg_jsonpath *p = r->path;

    p->steps = grow(p->steps, &p->step_count, sizeof *p->steps);
    p->steps[p->step_count - 1] = (struct pg_step){
        .kind = kind, .next = PG_JSONPATH_NONE, .parts = PG_JSONPATH_NONE, .by = 1};
    return p->step_count - 1;
}

static uint32_t new_operand(struct parser *r)
{
    struct pg_jsonpath *p = r->path;

    p->operands = grow(p->operands, &p->operand_count, sizeof *p->operands);
    p->operands[p->operand_count - 1].step = PG_JSONPATH_NONE;
    return p->operand_count - 1;
}

static struct pg_piece *new_piece(struct parser *r, enum pg_piece_kind kind)
{
    struct pg_jsonpath *p = r->path;

    p->pieces = grow(p->pieces, &p->piece_count, sizeof *p->pieces);
    p->pieces[p->piece_count - 1].kind = kind;
    return &p->pieces[p->piece_count - 1];
}

/* ---- errors and blanks ---- */

/* Only the first mistake counts: what follows it is misunderstood. */
static void fail(struct parser *r, const char *what)
{
    if (!r->failed) {
        pg_text_printf(r->why, "at character %zu: %s", (size_t)(r->at - r->begin) + 1, what);
        r->failed = true;
    }
}

static void skip_blanks(struct parser *r)
{
    r->at += strspn(r->at, " \t\r\n");
}

static bool take(struct parser *r, const char *word)
{
    size_t len = strlen(word);

    if (strncmp(r->at, word, len) != 0) {
        return false;
    }
    r->at += len;
    return true;
}

static void demand(struct parser *r, const char *word, const char *otherwise)
{
    if (!r->failed && !take(r, word)) {
        fail(r, otherwise);
    }
}

/* ---- texts and numbers ---- */

static bool is_quote(char c)
{
    return c == '\'' || c == '"';
}

static char escaped(char c)
{
    static const char from[] = "ntr0";
    static const char to[] = {'\n', '\t', '\r', 0};
    const char *found = c ? strchr(from, c) : NULL;

    return found && c != '0' ? to[found - from] : c;
}

static void read_quoted(struct parser *r, struct pg_text *out)
{
    char quote = *r->at;
    const char *opened = r->at++;

    pg_text_puts(out, "");
    while (*r->at && *r->at != quote) {
        if (*r->at == '\\' && r->at[1]) {
            pg_text_putc(out, escaped(*++r->at));
        } else {
            pg_text_putc(out, *r->at);
        }
        r->at++;
    }
    if (!*r->at) {
        r->at = opened;
        fail(r, "this quote is not closed");
        return;
    }
    r->at++;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool read_index(struct parser *r, int64_t *ret)
{
    char *end = NULL;

    skip_blanks(r);
    if (!is_digit(r->at[0]) && !(r->at[0] == '-' && is_digit(r->at[1]))) {
        return false;
    }
    *ret = strtoll(r->at, &end, 10);
    r->at = end;
    skip_blanks(r);
    return true;
}

/* Letters, digits, and whatever has no meaning in a path; with a backslash anything. */
static void read_name(struct parser *r, struct pg_text *out)
{
    const char *begin = r->at;

    while (*r->at && !strchr(".[]{}(),=<>!|&'\" \t\r\n*?@$", *r->at)) {
        r->at += *r->at == '\\' && r->at[1];
        pg_text_putc(out, *r->at++);
    }
    if (r->at == begin) {
        fail(r, *begin ? "a name is expected here" : "a name is missing at the end");
    }
}

/* ---- steps ---- */

static uint32_t read_operand(struct parser *r);

static enum pg_compare read_compare(struct parser *r)
{
    static const struct {
        const char *sign;
        enum pg_compare compare;
    } signs[] = {{"==", PG_EQUAL},      {"!=", PG_NOT_EQUAL}, {"<=", PG_LESS_EQUAL},
                 {">=", PG_MORE_EQUAL}, {"<", PG_LESS},       {">", PG_MORE}};

    skip_blanks(r);
    for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++) {
        if (take(r, signs[i].sign)) {
            return signs[i].compare;
        }
    }
    return PG_IS_THERE;
}

/* Behind "[?". */
static uint32_t read_filter(struct parser *r)
{
    uint32_t step = new_step(r, PG_STEP_FILTER);

    if (++r->depth > FILTERS_MOST) {
        fail(r, "too many filters inside of each other");
        return step;
    }
    demand(r, "(", "a filter is [?(...)]");
    skip_blanks(r);
    uint32_t left = read_operand(r);
    enum pg_compare compare = read_compare(r);
    uint32_t right = PG_JSONPATH_NONE;

    if (compare != PG_IS_THERE) {
        skip_blanks(r);
        right = read_operand(r);
    }
    skip_blanks(r);
    demand(r, ")", "== != < <= > >= or ) is expected here");
    skip_blanks(r);
    r->depth--;
    r->path->steps[step].left = left;
    r->path->steps[step].right = right;
    r->path->steps[step].compare = compare;
    return step;
}

/* n, from:to, from:to:by, each of them optional but for a lone n. */
static uint32_t read_slice(struct parser *r)
{
    struct pg_step s = {
        .kind = PG_STEP_SLICE, .next = PG_JSONPATH_NONE, .parts = PG_JSONPATH_NONE, .by = 1};

    s.has_from = read_index(r, &s.from);
    if (take(r, ":")) {
        s.has_to = read_index(r, &s.to);
        if (take(r, ":") && read_index(r, &s.by) && s.by < 1) {
            fail(r, "a step of a slice is at least 1");
        }
    } else if (s.has_from) {
        s.is_index = true;
    } else {
        fail(r, "an index, a slice, *, a name in quotes or a filter ?(...) is expected here");
    }
    uint32_t step = new_step(r, PG_STEP_SLICE);

    r->path->steps[step] = s;
    return step;
}

static uint32_t read_part(struct parser *r)
{
    struct pg_text name = {0};

    skip_blanks(r);
    if (!is_quote(*r->at)) {
        return read_slice(r);
    }
    read_quoted(r, &name);
    uint32_t step = new_step(r, PG_STEP_FIELD);

    r->path->steps[step].name = name.at;
    skip_blanks(r);
    return step;
}

/* Behind "[". */
static uint32_t read_brackets(struct parser *r)
{
    uint32_t step = 0;

    skip_blanks(r);
    if (take(r, "?")) {
        step = read_filter(r);
    } else if (take(r, "*")) {
        step = new_step(r, PG_STEP_ALL);
        skip_blanks(r);
    } else {
        step = read_part(r);
        if (*r->at == ',') {
            uint32_t last = step;

            step = new_step(r, PG_STEP_UNION);
            r->path->steps[step].parts = last;
            while (!r->failed && take(r, ",")) {
                uint32_t part = read_part(r);

                r->path->steps[last].next = part;
                last = part;
            }
        }
    }
    demand(r, "]", "] is expected here");
    return step;
}

static uint32_t read_field(struct parser *r)
{
    struct pg_text name = {0};

    if (take(r, "*")) {
        return new_step(r, PG_STEP_ALL);
    }
    read_name(r, &name);
    uint32_t step = new_step(r, PG_STEP_FIELD);

    r->path->steps[step].name = name.at;
    return step;
}

/* .a.b[0]..c: as many steps as there are. "first": a name may stand without a dot. */
static void read_steps(struct parser *r, uint32_t operand, bool bare)
{
    uint32_t last = PG_JSONPATH_NONE;

    while (!r->failed) {
        uint32_t step = PG_JSONPATH_NONE;

        if (take(r, "..")) {
            step = new_step(r, PG_STEP_DEEP);
            uint32_t what = take(r, "[") ? read_brackets(r) : read_field(r);

            r->path->steps[step].next = what;
        } else if (take(r, "[")) {
            step = read_brackets(r);
        } else if (take(r, ".")) {
            if (!*r->at || strchr("}) \t\r\n[", *r->at)) {
                continue; /* "." alone is the object, ".[0]" is "[0]" */
            }
            step = read_field(r);
        } else if (bare && last == PG_JSONPATH_NONE && *r->at && !strchr("}) ", *r->at)) {
            step = read_field(r);
        } else {
            return;
        }
        bare = false;
        if (last == PG_JSONPATH_NONE) {
            r->path->operands[operand].step = step;
        } else {
            r->path->steps[last].next = step;
        }
        last = r->path->steps[step].kind == PG_STEP_DEEP ? r->path->steps[step].next : step;
    }
}

/* 12, -0.5, true, false, null */
static json_t *read_plain(struct parser *r)
{
    size_t len = strspn(r->at, "-+.0123456789abcdefghijklmnopqrstuvwxyzE");
    json_t *value = len ? json_loadb(r->at, len, JSON_DECODE_ANY, NULL) : NULL;

    if (!value) {
        fail(r,
             "a path (@.name), a text in quotes, a number, true, false or null is expected here");
    }
    r->at += value ? len : 0;
    return value;
}

/* One side of a comparison, or the path of an action. */
static uint32_t read_operand(struct parser *r)
{
    uint32_t operand = new_operand(r);
    struct pg_text text = {0};

    if (is_quote(*r->at)) {
        read_quoted(r, &text);
        r->path->operands[operand].literal = json_string(text.at ? text.at : "");
        pg_text_free(&text);
    } else if (*r->at == '.' || *r->at == '[' || *r->at == '@' || *r->at == '$') {
        r->path->operands[operand].from_root = *r->at == '$';
        r->at += *r->at == '@' || *r->at == '$';
        read_steps(r, operand, false);
    } else {
        json_t *plain = read_plain(r);

        r->path->operands[operand].literal = plain;
    }
    return operand;
}

/* ---- actions ---- */

static bool take_word(struct parser *r, const char *word)
{
    size_t len = strlen(word);

    if (strncmp(r->at, word, len) != 0 || (r->at[len] && !strchr(" }\t", r->at[len]))) {
        return false;
    }
    r->at += len;
    return true;
}

static void read_path(struct parser *r, enum pg_piece_kind kind)
{
    if (!*r->at || !strchr(".[@$", *r->at)) {
        fail(r, "a path begins with a dot, a bracket, @ or $; other actions are a text in quotes, "
                "range PATH and end");
        return;
    }
    uint32_t operand = read_operand(r);

    new_piece(r, kind)->operand = operand;
}

/* Between braces. */
static void read_action(struct parser *r)
{
    skip_blanks(r);
    while (!r->failed && *r->at != '}') {
        if (is_quote(*r->at)) {
            struct pg_text text = {0};

            read_quoted(r, &text);
            new_piece(r, PG_PIECE_TEXT)->text = text;
        } else if (take_word(r, "range")) {
            skip_blanks(r);
            read_path(r, PG_PIECE_RANGE);
        } else if (take_word(r, "end")) {
            new_piece(r, PG_PIECE_END);
        } else if (!*r->at) {
            fail(r, "} is missing at the end");
        } else {
            read_path(r, PG_PIECE_PATH);
        }
        skip_blanks(r);
    }
}

static void read_template(struct parser *r)
{
    while (!r->failed && *r->at) {
        size_t len = strcspn(r->at, "{");

        if (len > 0) {
            pg_text_add(&new_piece(r, PG_PIECE_TEXT)->text, r->at, len);
            r->at += len;
        }
        if (take(r, "{")) {
            read_action(r);
            demand(r, "}", "} is expected here");
        }
    }
}

/* Each range gets its end. */
static void match_ends(struct parser *r)
{
    struct pg_jsonpath *p = r->path;
    uint32_t open =
        PG_JSONPATH_NONE; /* the innermost, the others by their `end` until it is known */

    for (uint32_t i = 0; i < p->piece_count && !r->failed; i++) {
        if (p->pieces[i].kind == PG_PIECE_RANGE) {
            p->pieces[i].end = open;
            open = i;
        } else if (p->pieces[i].kind == PG_PIECE_END) {
            if (open == PG_JSONPATH_NONE) {
                fail(r, "there is an {end} without {range}");
                return;
            }
            uint32_t outer = p->pieces[open].end;

            p->pieces[open].end = i;
            open = outer;
        }
    }
    if (open != PG_JSONPATH_NONE) {
        fail(r, "a {range} has no {end}");
    }
}

static struct pg_jsonpath *begin(struct parser *r, const char *text, struct pg_text *ret_why)
{
    *r = (struct parser){.begin = text, .at = text, .why = ret_why};
    r->path = calloc(1, sizeof *r->path);
    PG_ASSERT(r->path);
    return r->path;
}

static struct pg_jsonpath *finish(struct parser *r)
{
    if (r->failed) {
        pg_jsonpath_free(r->path);
        return NULL;
    }
    return r->path;
}

struct pg_jsonpath *pg_jsonpath_parse(const char *template, struct pg_text *ret_why)
{
    struct parser r;

    begin(&r, template, ret_why);
    read_template(&r);
    match_ends(&r);
    return finish(&r);
}

struct pg_jsonpath *pg_jsonpath_parse_path(const char *path, struct pg_text *ret_why)
{
    struct parser r;

    begin(&r, path, ret_why);
    bool braces = take(&r, "{");
    uint32_t operand = new_operand(&r);

    r.path->operands[operand].from_root = *r.at == '$';
    r.at += *r.at == '$' || *r.at == '@';
    read_steps(&r, operand, true);
    if (braces) {
        demand(&r, "}", "} is expected here");
    }
    if (!r.failed && *r.at) {
        fail(&r, "a path ends here");
    }
    if (!r.failed) {
        new_piece(&r, PG_PIECE_PATH)->operand = operand;
    }
    return finish(&r);
}

void pg_jsonpath_free(struct pg_jsonpath *p)
{
    if (!p) {
        return;
    }
    for (uint32_t i = 0; i < p->step_count; i++) {
        free(p->steps[i].name);
    }
    for (uint32_t i = 0; i < p->operand_count; i++) {
        json_decref(p->operands[i].literal);
    }
    for (uint32_t i = 0; i < p->piece_count; i++) {
        pg_text_free(&p->pieces[i].text);
    }
    free(p->steps);
    free(p->operands);
    free(p->pieces);
    free(p);
}
