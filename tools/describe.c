/* `podglass describe TYPE NAME`, or TYPE/NAME: all that a running instance knows about one of them, on one page. Types are those of `get` (get_parts.c), by the same names.
 *
 * Made of the same lists as `get`: a service with its endpoints and translations, a flow with its connection and what is recorded of it, a node or an endpoint with
 * the flows it has. This file asks; describe_cluster.c and describe_flow.c know what belongs on a page, describe_print.c how it is written. */
#include "podglass/reason.h"

#include "describe_internal.h"
#include "get_internal.h"

#include <stdio.h>

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

static int describe(struct pg_describe *d, const struct pg_get_part *part)
{
    static int (*const pages[PG_GET_TYPE_COUNT])(struct pg_describe *) = {
        [PG_GET_CONNTRACK] = pg_describe_flow,   [PG_GET_CONNECTIONS] = pg_describe_flow,
        [PG_GET_SERVICES] = pg_describe_service, [PG_GET_ENDPOINTS] = pg_describe_endpoint,
        [PG_GET_NODES] = pg_describe_node,       [PG_GET_INGRESSES] = pg_describe_ingress,
        [PG_GET_GATEWAYS] = pg_describe_gateway, [PG_GET_HTTPROUTES] = pg_describe_http_route,
    };
    const char *type = pg_type_rows[part->type].name;

    if (!pages[part->type]) {
        return pg_options_complain(PG_VERB_DESCRIBE,
                                   "%s have no page of their own: podglass get %s", type, type);
    }
    if (!part->name) {
        return pg_options_complain(PG_VERB_DESCRIBE, "which of them? podglass get %s names them",
                                   type);
    }
    d->name = part->name;
    d->found = false;
    int status = pages[part->type](d);

    if (status == 0 && !d->found) {
        pg_options_complain(PG_VERB_DESCRIBE, "%s \"%s\" not found", type, d->name);
        return PG_EXIT_DIFFERENT;
    }
    return status;
}

/* The pages of all, with a line between; who is not there keeps nobody else from being shown. */
static int play(struct pg_describe *d, const struct pg_get_parts *parts)
{
    int worst = 0;

    for (uint32_t i = 0; i < parts->count && worst != PG_EXIT_NOT_RUNNING; i++) {
        size_t before = d->out.len;

        pg_text_puts(&d->out, before ? "\n\n" : "");
        size_t begun = d->out.len;
        int status = describe(d, &parts->at[i]);

        if (d->out.len == begun && before) {
            d->out.len = before;
        }
        worst = status ? status : worst;
    }
    fwrite(d->out.at ? d->out.at : "", 1, d->out.len, stdout);
    return worst;
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
    static struct pg_get_parts parts;

    status = pg_get_read_parts(&d.options, &parts);
    if (status == 0) {
        status = play(&d, &parts);
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
