/* `podglass describe flow|service|endpoint|node|ingress|gateway|httproute NAME`: all that a running instance knows about one of them, on one page.
 *
 * Made of the same lists as `get`: a service with its endpoints and translations, a flow with its connection and what is recorded of it, a node or an endpoint with
 * the flows it has. This file asks; describe_cluster.c and describe_flow.c know what belongs on a page, describe_print.c how it is written. */
#include "podglass/reason.h"

#include "describe_internal.h"

#include <stdio.h>
#include <string.h>

/* ---- asking ---- */

/* The items of a list; NULL after *ret_status was set. */
json_t *pg_describe_ask(const struct pg_describe *d, const char *type, int *ret_status)
{
    struct pg_text path = {0};

    pg_text_printf(&path, "/v1/%s", type);
    json_t *answer = pg_api_ask(PG_VERB_DESCRIBE, d->socket.at, path.at, ret_status);
    json_t *list = json_incref(json_object_get(answer, "items"));
    if (answer && !list) {
        *ret_status = PG_EXIT_DIFFERENT;
    }
    json_decref(answer);
    pg_text_free(&path);
    return list;
}

/* ---- the verb ---- */

static int play(struct pg_describe *d)
{
    static const struct {
        const char *type;
        const char *brief;
        int (*describe)(struct pg_describe *d);
    } types[] = {{"flow", "ct", pg_describe_flow},
                 {"service", "svc", pg_describe_service},
                 {"endpoint", "ep", pg_describe_endpoint},
                 {"node", "no", pg_describe_node},
                 {"ingress", "ing", pg_describe_ingress},
                 {"gateway", "gtw", pg_describe_gateway},
                 {"httproute", "httproutes", pg_describe_http_route}};
    const char *type = d->options.arg[0];

    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        size_t len = strlen(types[i].type);
        bool plural = strncmp(type, types[i].type, len) == 0 &&
                      (strcmp(type + len, "s") == 0 || strcmp(type + len, "es") == 0);

        if (strcmp(type, types[i].type) != 0 && strcmp(type, types[i].brief) != 0 && !plural) {
            continue;
        }
        int status = types[i].describe(d);

        if (status == 0 && !d->found) {
            pg_options_complain(PG_VERB_DESCRIBE, "%s \"%s\" not found", types[i].type, d->name);
            return PG_EXIT_DIFFERENT;
        }
        fwrite(d->out.at ? d->out.at : "", 1, d->out.len, stdout);
        return status;
    }
    return pg_options_complain(PG_VERB_DESCRIBE,
                               "there is no type \"%s\"; there are flow, service, endpoint, node, "
                               "ingress, gateway, httproute",
                               type);
}

int pg_tool_describe(int argc, char **argv)
{
    struct pg_describe d = {0};
    int status = pg_options_parse(PG_VERB_DESCRIBE, argc, argv, &d.options);

    if (status) {
        return status;
    }
    if (pg_options_has(&d.options, PG_FLAG_DESCRIBE_SOCKET)) {
        pg_text_puts(&d.socket, d.options.value[PG_FLAG_DESCRIBE_SOCKET]);
    } else {
        pg_api_default_socket(NULL, &d.socket);
    }
    status = pg_options_args(&d.options, 2, 2);
    if (status == 0) {
        d.name = d.options.arg[1];
        status = play(&d);
    }
    if (fflush(stdout) != 0 && status == 0) {
        status = PG_EXIT_DIFFERENT;
    }
    pg_text_free(&d.socket);
    pg_text_free(&d.out);
    pg_options_free(&d.options);
    pg_reason_forget_all();
    return status;
}
