/* `podglass help --page NAME`: manual pages in scdoc's language, from the same tables as the parser and --help, so they can not say anything else.
 *
 * Not in the help: the build calls it for every verb of verbs.def (cmake/pages.cmake), and scripts/make-pages for docs/codes.md. What a page says beyond the
 * tables is here. Called by usage.c. */
#include "pages.h"
#include "verbs_internal.h"

#include <stdio.h>
#include <string.h>

/* More than one line about a verb. */
static const char *const about[PG_VERB_COUNT] = {
    [PG_VERB_DEMO] =
        "Plays scenes on the in-process wire: a shop behind an ingress, and what becomes of a "
        "client's address. The packets are real, and nothing leaves the process. SCENE is a "
        "number; without it all are played.",
    [PG_VERB_CHECK] =
        "Reads manifests and documents of kind Check, sends the request of each case on the "
        "in-process wire, and compares what came of it with what is expected: the status, the "
        "service and pod that answered, the headers as the pod got them, whether the pod can know "
        "its client. A difference is told with the hop and the line of the manifest that made it. "
        "Needs no privilege, and gives the same result every time. docs/checks.md of the source "
        "describes the documents.",
    [PG_VERB_RUN] =
        "Carries packets between clients, the built-in ingress and pods as the manifests say. "
        "With a command behind --, the command becomes the client, in a network namespace of its "
        "own; with --tun, real clients and pods are behind the interface. podglass(1) has the "
        "details.",
    [PG_VERB_EXPLAIN] =
        "Makes the decisions of the path without a packet, and prints them hop by hop with the "
        "line of the manifest behind each. With a code (PG101) or a field "
        "(service.spec.externalTrafficPolicy) it explains that instead.",
    [PG_VERB_GET] =
        "Asks a running instance by its control socket, or reads a list that was saved with -o "
        "json before (-f). TYPE may be abbreviated; NAME is an id, a flow label, or "
        "namespace/name.",
    [PG_VERB_TOP] =
        "Shows twice a second how many flows and requests there are, how full conntrack is, what "
        "became of clients' addresses, drops by reason, and services by requests per second. s "
        "sorts by the next column, / filters by a text in service or host, ? helps, q ends. "
        "Where standard output is no terminal it prints once, after a second.",
    [PG_VERB_SCHEMA] = "Prints the JSON schema of one kind of output, or the kinds there are.",
};

void pg_page_text(const char *text)
{
    for (const char *c = text; *c; c++) {
        if (strchr("\\*_~`<>[]", *c) || (c == text && strchr(".#-|", *c))) {
            putchar('\\');
        }
        putchar(*c);
    }
}

static void print_flag(const struct pg_flag_row *f)
{
    if (f->letter) {
        printf("*-%c*, ", f->letter);
    }
    printf("*--%s*", f->name);
    if (f->argument) {
        putchar(' ');
        pg_page_text(f->argument);
    }
    printf("\n\t");
    pg_page_text(f->help);
    printf("%s.\n\n", f->repeatable ? "; may be repeated" : "");
}

static void print_types(void)
{
    puts("# TYPES\n");
    for (size_t i = 0; i < PG_GET_TYPE_COUNT; i++) {
        printf("*%s*", pg_type_rows[i].name);
        if (pg_type_rows[i].aliases[0]) {
            printf(" (%s)", pg_type_rows[i].aliases);
        }
        printf("\n\t");
        pg_page_text(pg_type_rows[i].help);
        printf(".\n\n");
    }
}

static void print_verb(unsigned verb)
{
    const struct pg_verb_row *row = &pg_verb_rows[verb];
    bool any = false;

    for (unsigned f = 0; f < PG_FLAG_COUNT; f++) {
        any = any || pg_flag_rows[f].verb == verb;
    }
    printf("podglass-%s(1)\n\n# NAME\n\npodglass-%s - ", row->name, row->name);
    pg_page_text(row->help);
    printf("\n\n# SYNOPSIS\n\n*podglass %s*%s", row->name, any ? " \\[FLAGS\\] " : " ");
    pg_page_text(row->synopsis);
    printf("\n\n# DESCRIPTION\n\n");
    pg_page_text(about[verb] ? about[verb] : row->help);
    printf("%s\n\n", about[verb] ? "" : ".");
    if (verb == PG_VERB_GET) {
        print_types();
    }
    if (any) {
        puts("# OPTIONS\n");
    }
    for (unsigned f = 0; f < PG_FLAG_COUNT; f++) {
        if (pg_flag_rows[f].verb == verb) {
            print_flag(&pg_flag_rows[f]);
        }
    }
    puts("# EXIT STATUS\n\n"
         "0 done; 1 a check failed, or what was asked for is not there; 2 wrong usage; 3 a bad\n"
         "manifest or checks file; 4 no privilege or device; 5 no running instance.\n");
    if (pg_verb_examples(verb)) {
        printf("# EXAMPLES\n\n```\n%s```\n\n", pg_verb_examples(verb));
    }
    puts("# SEE ALSO\n\n*podglass*(1), *podglass-codes*(7)");
}

bool pg_page_print(const char *name)
{
    if (strcmp(name, "codes.md") == 0) {
        return pg_page_codes("markdown");
    }
    if (strcmp(name, "podglass-codes.7") == 0) {
        return pg_page_codes("man");
    }
    for (unsigned v = 0; v < PG_VERB_COUNT; v++) {
        char page[64];

        snprintf(page, sizeof page, "podglass-%s.1", pg_verb_rows[v].name);
        if (strcmp(page, name) == 0) {
            print_verb(v);
            return true;
        }
    }
    return false;
}
