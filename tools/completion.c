/* `podglass completion bash|zsh|fish`: what a shell needs to complete verbs, flags, choices and types.
 *
 * Made from verbs.def like the help, so a new flag completes without a line here. zsh runs the bash form through its own
 * bashcompinit. Behind "--" commands are completed. Called by main. */
#include "verbs_internal.h"

#include <stdio.h>
#include <string.h>

/* Words of "a|b|c" with blanks between; nothing for free text. */
static void print_choices(const char *argument)
{
    if (pg_argument_is_choice(argument)) {
        for (const char *c = argument; *c; c++) {
            if (*c == '|') {
                putchar(' ');
            } else if (*c < 'A' || *c > 'Z') {
                putchar(*c); /* of "jsonpath=TEMPLATE" the user writes what is in capitals */
            }
        }
    }
}

static void print_flag_words(enum pg_verb verb)
{
    printf("--help");
    for (unsigned f = 0; f < PG_FLAG_COUNT; f++) {
        if (pg_flag_rows[f].verb == verb) {
            printf(" --%s", pg_flag_rows[f].name);
            if (pg_flag_rows[f].letter) {
                printf(" -%c", pg_flag_rows[f].letter);
            }
        }
    }
}

static void print_verb_words(void)
{
    for (unsigned v = 0; v < PG_VERB_COUNT; v++) {
        printf("%s%s", v ? " " : "", pg_verb_rows[v].name);
    }
}

static void print_argument_words(enum pg_verb verb)
{
    if (verb == PG_VERB_GET || verb == PG_VERB_DESCRIBE) {
        for (size_t i = 0; i < PG_GET_TYPE_COUNT; i++) {
            printf("%s%s", i ? " " : "", pg_type_rows[i].name);
        }
    } else if (verb == PG_VERB_HELP) {
        print_verb_words();
    } else {
        print_choices(pg_verb_rows[verb].synopsis);
    }
}

/* Choices complete to their words, other arguments of flags to files. */
static void print_bash_verb(enum pg_verb verb)
{
    printf("    %s)\n        words=\"", pg_verb_rows[verb].name);
    print_flag_words(verb);
    printf(" ");
    print_argument_words(verb);
    printf("\"\n        case $before in\n");
    for (unsigned f = 0; f < PG_FLAG_COUNT; f++) {
        if (pg_flag_rows[f].verb != verb || !pg_flag_rows[f].argument) {
            continue;
        }
        printf("        --%s", pg_flag_rows[f].name);
        if (pg_flag_rows[f].letter) {
            printf(" | -%c", pg_flag_rows[f].letter);
        }
        printf(") words=\"");
        print_choices(pg_flag_rows[f].argument);
        printf("\" ;;\n");
    }
    printf("        esac ;;\n");
}

static void print_bash(void)
{
    printf(
        "# bash completion of podglass; load it with: source <(podglass completion bash)\n"
        "_podglass() {\n"
        "    local now=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} words=\"\" i\n"
        "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
        "        if [[ ${COMP_WORDS[i]} == -- ]]; then\n"
        "            COMPREPLY=($(compgen -c -- \"$now\"))\n"
        "            return\n"
        "        fi\n"
        "    done\n"
        "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
        "        COMPREPLY=($(compgen -W \"");
    print_verb_words();
    printf("\" -- \"$now\"))\n"
           "        return\n"
           "    fi\n"
           "    case ${COMP_WORDS[1]} in\n");
    for (unsigned v = 0; v < PG_VERB_COUNT; v++) {
        print_bash_verb((enum pg_verb)v);
    }
    printf("    esac\n"
           "    if [ -n \"$words\" ]; then\n"
           "        COMPREPLY=($(compgen -W \"$words\" -- \"$now\"))\n"
           "    else\n"
           "        COMPREPLY=($(compgen -f -- \"$now\"))\n"
           "    fi\n"
           "}\n"
           "complete -o bashdefault -F _podglass podglass\n");
}

/* A text in single quotes; fish and zsh read a quote inside as '\''. */
static void print_quoted(const char *text)
{
    putchar('\'');
    for (; *text; text++) {
        if (*text == '\'') {
            printf("'\\''");
        } else {
            putchar(*text);
        }
    }
    putchar('\'');
}

static void print_fish(void)
{
    printf("# fish completion of podglass; load it with: podglass completion fish | source\n");
    for (unsigned v = 0; v < PG_VERB_COUNT; v++) {
        printf("complete -c podglass -n __fish_use_subcommand -f -a %s -d ", pg_verb_rows[v].name);
        print_quoted(pg_verb_rows[v].help);
        putchar('\n');
        if (v == PG_VERB_GET || v == PG_VERB_DESCRIBE || v == PG_VERB_HELP ||
            v == PG_VERB_COMPLETION) {
            printf("complete -c podglass -n '__fish_seen_subcommand_from %s' -f -a '",
                   pg_verb_rows[v].name);
            print_argument_words((enum pg_verb)v);
            printf("'\n");
        }
    }
    for (unsigned f = 0; f < PG_FLAG_COUNT; f++) {
        printf("complete -c podglass -n '__fish_seen_subcommand_from %s' -l %s",
               pg_verb_rows[pg_flag_rows[f].verb].name, pg_flag_rows[f].name);
        if (pg_flag_rows[f].letter) {
            printf(" -s %c", pg_flag_rows[f].letter);
        }
        if (pg_flag_rows[f].argument) {
            printf(" -r -a '");
            print_choices(pg_flag_rows[f].argument);
            printf("'");
        }
        printf(" -d ");
        print_quoted(pg_flag_rows[f].help);
        putchar('\n');
    }
}

int pg_tool_completion(int argc, char **argv)
{
    struct pg_options o;
    int status = pg_options_parse(PG_VERB_COMPLETION, argc, argv, &o);

    if (status) {
        return status;
    }
    status = pg_options_args(&o, 1, 1);
    if (status == 0) {
        if (strcmp(o.arg[0], "bash") == 0) {
            print_bash();
        } else if (strcmp(o.arg[0], "zsh") == 0) {
            printf("#compdef podglass\n"
                   "autoload -U +X bashcompinit && bashcompinit\n");
            print_bash();
        } else if (strcmp(o.arg[0], "fish") == 0) {
            print_fish();
        } else {
            status = pg_options_complain(PG_VERB_COMPLETION,
                                         "there is none for \"%s\": bash, zsh or fish", o.arg[0]);
        }
    }
    pg_options_free(&o);
    return status || fflush(stdout) == 0 ? status : PG_EXIT_DIFFERENT;
}
