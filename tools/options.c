/* The command line of every verb, read by one parser from one table, verbs.def.
 *
 * kubectl's habits: flags stand anywhere before "--", as --flag value, --flag=value, -f value, -fvalue; short flags without
 * argument may be bundled (-Rw); what is behind "--" is somebody else's command and is not looked at. A flag that may not be
 * repeated counts as given last. A flag whose argument is a choice takes nothing else.
 *
 * Called by the verbs, in tools/ and app/; calls nothing. Texts are those of argv and live as long; only the
 * lists are owned. An error is one line on standard error that names the verb, and exit status 2. */
#include "verbs_internal.h"

#include "podglass/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *pg_verb_name(enum pg_verb verb)
{
    return (unsigned)verb < PG_VERB_COUNT ? pg_verb_rows[verb].name : "";
}

int pg_options_complain(enum pg_verb verb, const char *format, ...)
{
    struct pg_text plain = {0};
    struct pg_text line = {0};
    va_list args;

    va_start(args, format);
    pg_text_vprintf(&plain, format, args);
    va_end(args);
    pg_text_printf(&line, "podglass %s: ", pg_verb_name(verb));
    if (plain.len) {
        pg_text_add_escaped(&line, plain.at, plain.len); /* it quotes argv */
    }
    fprintf(stderr, "%s\n", line.at);
    pg_text_free(&plain);
    pg_text_free(&line);
    return PG_EXIT_USAGE;
}

static enum pg_flag flag_by_name(enum pg_verb verb, struct pg_slice name)
{
    for (unsigned f = 0; f < PG_FLAG_COUNT; f++) {
        if (pg_flag_rows[f].verb == verb && pg_slice_is(name, pg_flag_rows[f].name)) {
            return (enum pg_flag)f;
        }
    }
    return PG_FLAG_COUNT;
}

static enum pg_flag flag_by_letter(enum pg_verb verb, char letter)
{
    for (unsigned f = 0; f < PG_FLAG_COUNT; f++) {
        if (pg_flag_rows[f].verb == verb && pg_flag_rows[f].letter &&
            pg_flag_rows[f].letter == letter) {
            return (enum pg_flag)f;
        }
    }
    return PG_FLAG_COUNT;
}

static int take_flag(struct pg_options *o, enum pg_flag f, const char *value)
{
    if (pg_argument_is_choice(pg_flag_rows[f].argument) &&
        !pg_choice_has(pg_flag_rows[f].argument, value)) {
        return pg_options_complain(o->verb, "--%s takes %s, not \"%s\"", pg_flag_rows[f].name,
                                   pg_flag_rows[f].argument, value);
    }
    o->value[f] = value;
    o->given[o->given_count++] = (struct pg_option_given){f, value};
    return 0;
}

/* --flag, --flag=value, --flag value. *at is moved on if the next argument is the value. */
static int take_long(struct pg_options *o, int argc, char **argv, int *at)
{
    const char *name = argv[*at] + 2;
    const char *equals = strchr(name, '=');
    size_t len = equals ? (size_t)(equals - name) : strlen(name);
    enum pg_flag f = flag_by_name(o->verb, (struct pg_slice){name, len});

    if (f == PG_FLAG_COUNT) {
        return pg_options_complain(o->verb, "unknown flag --%.*s (see podglass help %s)", (int)len,
                                   name, pg_verb_name(o->verb));
    }
    if (!pg_flag_rows[f].argument) {
        return equals ? pg_options_complain(o->verb, "--%s takes no value", pg_flag_rows[f].name)
                      : take_flag(o, f, "");
    }
    if (equals) {
        return take_flag(o, f, equals + 1);
    }
    if (*at + 1 >= argc || strcmp(argv[*at + 1], "--") == 0) {
        return pg_options_complain(o->verb, "--%s needs a value: %s", pg_flag_rows[f].name,
                                   pg_flag_rows[f].argument);
    }
    return take_flag(o, f, argv[++*at]);
}

/* -f value, -fvalue, -f=value, -Rw: the first letter with an argument takes the rest. */
static int take_short(struct pg_options *o, int argc, char **argv, int *at)
{
    for (const char *letter = argv[*at] + 1; *letter; letter++) {
        enum pg_flag f = flag_by_letter(o->verb, *letter);

        if (f == PG_FLAG_COUNT) {
            return pg_options_complain(o->verb, "unknown flag -%c (see podglass help %s)", *letter,
                                       pg_verb_name(o->verb));
        }
        if (pg_flag_rows[f].argument) {
            if (letter[1]) {
                return take_flag(o, f, letter + (letter[1] == '=' ? 2 : 1));
            }
            if (*at + 1 >= argc || strcmp(argv[*at + 1], "--") == 0) {
                return pg_options_complain(o->verb, "-%c needs a value: %s", *letter,
                                           pg_flag_rows[f].argument);
            }
            return take_flag(o, f, argv[++*at]);
        }
        take_flag(o, f, "");
    }
    return 0;
}

static int take_all(struct pg_options *o, int argc, char **argv)
{
    for (int at = 1; at < argc; at++) {
        const char *word = argv[at];
        int status = 0;

        if (strcmp(word, "--") == 0) {
            o->has_command = true;
            o->command_argc = argc - at - 1;
            o->command_argv = argv + at + 1;
            return 0;
        }
        if (word[0] == '-' && word[1] == '-') {
            status = take_long(o, argc, argv, &at);
        } else if (word[0] == '-' && word[1]) {
            status = take_short(o, argc, argv, &at);
        } else {
            o->arg[o->arg_count++] = word;
        }
        if (status) {
            return status;
        }
    }
    return 0;
}

int pg_options_parse(enum pg_verb verb, int argc, char **argv, struct pg_options *ret)
{
    struct pg_options o = {.verb = verb};
    size_t letters = 1;

    for (int i = 1; i < argc; i++) {
        letters += strlen(argv[i]); /* bundled short flags: at most one flag per letter */
    }
    o.given = calloc(letters, sizeof *o.given);
    o.arg = calloc(argc > 0 ? (size_t)argc : 1, sizeof *o.arg);
    PG_ASSERT(o.given && o.arg);
    int status = take_all(&o, argc, argv);

    if (status) {
        pg_options_free(&o);
        return status;
    }
    *ret = o;
    return 0;
}

void pg_options_free(struct pg_options *o)
{
    free(o->given);
    free(o->arg);
    *o = (struct pg_options){.verb = o->verb};
}

const char *pg_options_next(const struct pg_options *o, enum pg_flag f, uint32_t *cursor)
{
    while (*cursor < o->given_count) {
        const struct pg_option_given *g = &o->given[(*cursor)++];

        if (g->flag == f) {
            return g->value;
        }
    }
    return NULL;
}

int pg_options_number(const struct pg_options *o, enum pg_flag f, uint64_t min, uint64_t max,
                      uint64_t *ret)
{
    const char *text = o->value[f];
    char *end = NULL;

    if (!text) {
        return 0;
    }
    errno = 0;
    uint64_t n = strtoull(text, &end, text[0] == '0' && (text[1] | 0x20) == 'x' ? 16 : 10);

    if (text[0] < '0' || text[0] > '9' || *end || errno || n < min || n > max) {
        return pg_options_complain(
            o->verb, "--%s takes a number from %" PRIu64 " to %" PRIu64 ", not \"%s\"",
            pg_flag_rows[f].name, min, max, text);
    }
    *ret = n;
    return 0;
}

int pg_options_args(const struct pg_options *o, uint32_t min, uint32_t max)
{
    if (o->arg_count > max) {
        return pg_options_complain(o->verb, "unexpected argument \"%s\"%s", o->arg[max],
                                   o->verb == PG_VERB_RUN ? " (a command goes behind --)" : "");
    }
    if (o->arg_count < min) {
        return pg_options_complain(o->verb, "an argument is missing (see podglass help %s)",
                                   pg_verb_name(o->verb));
    }
    if (o->has_command && o->verb != PG_VERB_RUN) {
        return pg_options_complain(o->verb, "takes no command behind --");
    }
    return 0;
}

enum pg_verb pg_verb_of(int argc, char **argv)
{
    enum pg_verb verb = PG_VERB_COUNT;

    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        return PG_VERB_HELP;
    }
    if (strcmp(argv[1], "--version") == 0) {
        return PG_VERB_VERSION;
    }
    for (unsigned v = 0; v < PG_VERB_COUNT; v++) {
        if (strcmp(argv[1], pg_verb_rows[v].name) == 0) {
            verb = (enum pg_verb)v;
        }
    }
    if (verb == PG_VERB_COUNT) {
        struct pg_text word = {0};

        pg_text_add_escaped(&word, argv[1], strlen(argv[1]));
        fprintf(stderr, "podglass: unknown verb \"%s\" (see podglass help)\n",
                word.at ? word.at : "");
        pg_text_free(&word);
        return verb;
    }
    for (int i = 2; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            return PG_VERB_HELP;
        }
    }
    return verb;
}

bool pg_want_color(const char *given)
{
    const char *no_color = getenv("NO_COLOR");

    if (given && strcmp(given, "auto") != 0) {
        return strcmp(given, "always") == 0;
    }
    return isatty(STDOUT_FILENO) && (!no_color || !no_color[0]);
}
