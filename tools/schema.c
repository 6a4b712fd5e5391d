/* `podglass schema [KIND]`: the JSON schema of one kind of output, so that a program can check what it reads.
 *
 * The schemas are docs/schemas/KIND.json, put into the binary at build time (cmake/embed.cmake); tests hold real outputs against them. Called by main. */
#include "verbs_internal.h"

#include "schemas.h"

#include <stdio.h>
#include <string.h>

static int print_schema(const char *kind)
{
    for (const struct pg_schema *s = pg_schemas; s->kind; s++) {
        if (strcmp(s->kind, kind) == 0) {
            fputs((const char *)s->text, stdout);
            return 0;
        }
    }
    return pg_options_complain(PG_VERB_SCHEMA, "there is no kind \"%s\" (see podglass schema)",
                               kind);
}

int pg_tool_schema(int argc, char **argv)
{
    struct pg_options o;
    int status = pg_options_parse(PG_VERB_SCHEMA, argc, argv, &o);

    if (status) {
        return status;
    }
    status = pg_options_args(&o, 0, 1);
    if (status == 0 && o.arg_count == 1) {
        status = print_schema(o.arg[0]);
    } else if (status == 0) {
        for (const struct pg_schema *s = pg_schemas; s->kind; s++) {
            puts(s->kind);
        }
    }
    pg_options_free(&o);
    return status || fflush(stdout) == 0 ? status : PG_EXIT_DIFFERENT;
}
