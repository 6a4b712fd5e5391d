/* What the codes mean: for `podglass explain PG101`, for docs/codes.md and for podglass-codes(7).
 *
 * All three are made from codes_text.def, so none of them can say something else. The pages are written by scripts/make-pages; a test compares. Called by
 * explain.c and usage.c; owns nothing. */
#include "pages.h"
#include "verbs_internal.h"

#include "podglass/reason.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH 100

static const struct code_text {
    enum pg_code code;
    const char *means;
    const char *todo;
    const char *walk;     /* "" none */
    const char *manifest; /* "" none */
} texts[] = {
#define PG_CODE_TEXT(id, means, todo, walk, manifest) \
    {PG_CODE_##id, (means), (todo), (walk), (manifest)},
#include "podglass/codes_text.def"
#undef PG_CODE_TEXT
};
_Static_assert(sizeof texts / sizeof texts[0] == PG_CODE_COUNT - 1, "a text per code but NONE");

#define TEXT_COUNT (sizeof texts / sizeof texts[0])

/* Words of text in lines of at most WIDTH columns. */
static void print_wrapped(const char *text, const char *indent)
{
    size_t column = 0;

    while (*text) {
        size_t len = strcspn(text, " ");

        if (column > 0 && column + 1 + len > WIDTH) {
            putchar('\n');
            column = 0;
        }
        column += (size_t)printf("%s%.*s", column ? " " : indent, (int)len, text);
        text += len + (text[len] == ' ');
    }
    putchar('\n');
}

static void print_indented(const char *lines, const char *indent)
{
    while (*lines) {
        size_t len = strcspn(lines, "\n");

        printf("%s%.*s\n", indent, (int)len, lines);
        lines += len + (lines[len] == '\n');
    }
}

int pg_tool_explain_code(const char *code)
{
    unsigned long number = strlen(code) > 2 ? strtoul(code + 2, NULL, 10) : 0;

    for (size_t i = 0; i < TEXT_COUNT; i++) {
        const struct code_text *t = &texts[i];
        const char *name = pg_code_name(t->code);

        if (strtoul(name + 2, NULL, 10) != number) {
            continue;
        }
        printf("%s  %s\n\n", name, pg_code_title(t->code));
        print_wrapped(t->means, "  ");
        printf("\nWhat to do:\n");
        print_wrapped(t->todo, "  ");
        if (t->manifest[0]) {
            printf("\nFor example:\n");
            print_indented(t->manifest, "  ");
        }
        if (t->walk[0]) {
            printf("\nShown by tests/walk/%s.walk\n", t->walk);
        }
        return fflush(stdout) == 0 ? PG_EXIT_OK : PG_EXIT_DIFFERENT;
    }
    return pg_options_complain(PG_VERB_EXPLAIN, "there is no code \"%s\" (see podglass-codes(7))",
                               code);
}

/* ---- pages ---- */

static void print_markdown(void)
{
    puts("# Codes\n\n"
         "Every change, choice and refusal has a reason with a code; so has every finding about a "
         "manifest. Numbers never change meaning. `podglass explain PG101` prints the\n"
         "same. This page is written by `scripts/make-pages` from "
         "`include/podglass/codes_text.def`.\n\n"
         "1xx: the packet path. 2xx: the ingress. 3xx: DNS. 4xx: manifests.\n\n"
         "| code | title | shown by |\n|---|---|---|");
    for (size_t i = 0; i < TEXT_COUNT; i++) {
        const struct code_text *t = &texts[i];
        const char *name = pg_code_name(t->code);

        printf("| [%s](#%c%c%s) | %s | ", name, 'p', 'g', name + 2, pg_code_title(t->code));
        if (t->walk[0]) {
            printf("`tests/walk/%s.walk` |\n", t->walk);
        } else {
            printf("`podglass lint` |\n");
        }
    }
    for (size_t i = 0; i < TEXT_COUNT; i++) {
        const struct code_text *t = &texts[i];

        printf("\n## %s\n\n**%s**\n\n", pg_code_name(t->code), pg_code_title(t->code));
        print_wrapped(t->means, "");
        printf("\nWhat to do: ");
        print_wrapped(t->todo, "");
        if (t->manifest[0]) {
            printf("\n```yaml\n%s```\n", t->manifest);
        }
    }
}

static void print_manual(void)
{
    puts(
        "podglass-codes(7)\n\n# NAME\n\npodglass-codes - what the codes of podglass mean\n\n"
        "# DESCRIPTION\n\n"
        "Every change, choice and refusal that podglass records has a reason with a code; so has\n"
        "every finding about a manifest. Numbers never change meaning. *podglass explain* _PG101_\n"
        "prints the same.\n\n"
        "1xx: the packet path. 2xx: the ingress. 3xx: DNS. 4xx: manifests.\n\n# CODES\n");
    for (size_t i = 0; i < TEXT_COUNT; i++) {
        const struct code_text *t = &texts[i];

        printf("## %s: ", pg_code_name(t->code));
        pg_page_text(pg_code_title(t->code));
        printf("\n\n");
        pg_page_text(t->means);
        printf("\n\nWhat to do: ");
        pg_page_text(t->todo);
        printf("\n\n");
        if (t->manifest[0]) {
            printf("```\n%s```\n\n", t->manifest);
        }
    }
    puts("# SEE ALSO\n\n*podglass*(1)");
}

bool pg_page_codes(const char *form)
{
    if (strcmp(form, "markdown") == 0) {
        print_markdown();
        return true;
    }
    if (strcmp(form, "man") == 0) {
        print_manual();
        return true;
    }
    return false;
}
