/* folder: tools */
/* The verbs of the podglass command, and the parser of its command line. All of it is driven by verbs.def.
 *
 * Each verb gets argv with argv[0] being its own name ("get") and returns an exit status. What a verb prints is either on
 * standard output (what was asked for) or on standard error (why it was not), the latter as "podglass get: ...". */
#ifndef PODGLASS_TOOLS_H
#define PODGLASS_TOOLS_H

#include "podglass/text.h"

#include <stdbool.h>
#include <stdint.h>

enum pg_verb {
#define PG_VERB(id, name, synopsis, help) PG_VERB_##id,
#include "podglass/verbs.def"
    PG_VERB_COUNT
};

/* PG_FLAG_RUN_FILENAME, PG_FLAG_GET_OUTPUT, ... */
enum pg_flag {
#define PG_FLAG(verb, id, name, letter, argument, repeatable, help) PG_FLAG_##verb##_##id,
#include "podglass/verbs.def"
    PG_FLAG_COUNT
};

/* Exit statuses of every verb. */
enum pg_exit {
    PG_EXIT_OK = 0,
    PG_EXIT_DIFFERENT = 1, /* an assertion failed */
    PG_EXIT_USAGE = 2,
    PG_EXIT_MANIFEST = 3,  /* bad manifest, or a finding under --strict */
    PG_EXIT_PRIVILEGE = 4, /* no privilege or device for this */
    PG_EXIT_NOT_RUNNING = 5,
    PG_EXIT_TIMEOUT = 124,
};

/* ---- tools/options.c ---- */
struct pg_option_given {
    enum pg_flag flag;
    const char *value;
};
/* Texts are those of argv. */
struct pg_options {
    enum pg_verb verb;
    const char
        *value[PG_FLAG_COUNT]; /* as given last; "" for a flag without argument; NULL: not given */
    struct pg_option_given *given; /* all of them, in order: for flags that may be repeated */
    uint32_t given_count;
    const char **arg; /* what is neither flag nor behind "--" */
    uint32_t arg_count;
    bool has_command; /* there was a "--" */
    int command_argc; /* what is behind it; command_argv ends with NULL as argv does */
    char **command_argv;
};
/* argv[0] is the verb's name. 0, or PG_EXIT_USAGE after saying on standard error what is wrong (then *ret holds nothing). */
int pg_options_parse(enum pg_verb verb, int argc, char **argv, struct pg_options *ret);
void pg_options_free(struct pg_options *o);
static inline bool pg_options_has(const struct pg_options *o, enum pg_flag f)
{
    return o->value[f] != NULL;
}
/* The next value of a repeatable flag, NULL at the end. *cursor starts at 0. */
const char *pg_options_next(const struct pg_options *o, enum pg_flag f, uint32_t *cursor);
/* A decimal or 0x number in min..max; *ret stays as it is if the flag was not given. 0 or PG_EXIT_USAGE, said. */
bool pg_want_color(const char *given); /* of --color: on a terminal, unless NO_COLOR is set */
int pg_options_number(const struct pg_options *o, enum pg_flag f, uint64_t min, uint64_t max,
                      uint64_t *ret);
/* 0 if there are min to max arguments, else PG_EXIT_USAGE, said. */
int pg_options_args(const struct pg_options *o, uint32_t min, uint32_t max);
/* The values of --set in their order, and behind them --dialect (NULL: not given) as one of them, for pg_snapshot_load. 0 or PG_EXIT_USAGE, said. */
int pg_options_sets(const struct pg_options *o, enum pg_flag set, const char *dialect,
                    const char **sets, uint32_t room, uint32_t *ret_count); /* sets.c */
/* "podglass run: " and the message, one line on standard error. Returns PG_EXIT_USAGE. */
__attribute__((format(printf, 2, 3))) int pg_options_complain(enum pg_verb verb, const char *format,
                                                              ...);

/* The verb that main's argv asks for. HELP for no verb at all, --help, -h, and for any verb with one of these before "--"; VERSION for
 * --version. PG_VERB_COUNT: no such verb; that was said. */
enum pg_verb pg_verb_of(int argc, char **argv);
const char *pg_verb_name(enum pg_verb verb);

/* ---- the verbs; those that move packets are in app/ ---- */
int pg_tool_get(int argc, char **argv);
int pg_tool_trace(int argc, char **argv);
int pg_tool_explain(int argc, char **argv);
int pg_tool_lint(int argc, char **argv);
int pg_tool_diff(int argc, char **argv);
int pg_tool_explain_code(const char *code); /* "PG101": what `explain PG101` prints */
int pg_tool_capture(int argc, char **argv);
int pg_tool_top(int argc, char **argv);
int pg_tool_schema(int argc, char **argv);
int pg_tool_describe(int argc, char **argv);
int pg_tool_report(int argc, char **argv);
int pg_tool_version(int argc, char **argv);
int pg_tool_completion(int argc, char **argv);
/* Takes main's argv, since there may be no verb: "podglass", "podglass --help", "podglass help get", "podglass get --help". */
int pg_tool_help(int argc, char **argv);

/* ---- tools/api_client.c ---- */
/* GET path on the control socket. 0: *ret_status and *ret_body (appended to) are filled. -errno: nobody answers there. */
int pg_api_get(const char *socket_path, const char *path, int *ret_status,
               struct pg_text *ret_body);
/* POST of a JSON text, whose answer may take that long. */
int pg_api_post(const char *socket_path, const char *path, const struct pg_text *json,
                unsigned silence_seconds, int *ret_status, struct pg_text *ret_body);
/* GET of something that goes on. bytes: as they come; idle: nothing came for idle_ms. Either returns false to end it. 0: ended so. -EPIPE: the
 * other side did. Status other than 200: its body is in *ret_refusal. */
struct pg_api_reader {
    bool (*bytes)(void *arg, const char *at, size_t len);
    bool (*idle)(void *arg);
    uint32_t idle_ms;
    void *arg;
};
int pg_api_stream(const char *socket_path, const char *path, const struct pg_api_reader *reader,
                  int *ret_status, struct pg_text *ret_refusal);
/* A value in a query: bytes that mean something there, or are not ASCII, as %XX. */
void pg_api_add_encoded(struct pg_text *t, const char *text);
/* Says on standard error why nobody answered; returns PG_EXIT_NOT_RUNNING. */
int pg_api_complain(enum pg_verb verb, const char *socket_path, int error);
/* The same for an answer other than 200: its message; returns PG_EXIT_DIFFERENT. */
int pg_api_refused(enum pg_verb verb, const char *socket_path, int status,
                   const struct pg_text *body);
struct json_t;
/* GET of a JSON document, which the caller puts with json_decref. NULL: it is not to be had, why was said, and *ret_status is the exit status. */
struct json_t *pg_api_ask(enum pg_verb verb, const char *socket_path, const char *path,
                          int *ret_status);
/* "$XDG_RUNTIME_DIR/podglass/NAME.sock", else "/run/podglass/NAME.sock". NULL or "" is "default". */
void pg_api_default_socket(const char *name, struct pg_text *out);

#endif
