/* The verb `request`: really sends one, and shows its way and what the pod saw.
 *
 * With -f in this process, on a path of its own with a virtual clock (sim.c); without, in the running instance, by its control socket. Both print the
 * same (outcome.c). The exit status is 1 if there was no response; a status of 404 is a response. */
#include "podglass/run.h"

#include "podglass/manifests.h"
#include "podglass/names.h"
#include "podglass/outcome.h"
#include "podglass/record_read.h"
#include "podglass/secrets.h"
#include "podglass/sim.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUTS_MOST 256

struct sending {
    struct pg_options options;
    struct pg_ask ask;
    uint32_t timeout_ms;
    const char *headers[PG_ASK_HEADERS];
    bool json;
    bool color;
    uint64_t seed;
};

static struct pg_hops hops; /* large, and there is one */

static int understand(struct sending *s)
{
    const struct pg_options *o = &s->options;
    uint64_t timeout = 30;
    uint32_t cursor = 0;
    const char *value;
    int status = pg_options_args(o, 1, 1);
    status = status == 0 ? pg_options_number(o, PG_FLAG_REQUEST_TIMEOUT, 1, 600, &timeout) : status;
    status =
        status == 0 ? pg_options_number(o, PG_FLAG_REQUEST_SEED, 0, UINT64_MAX, &s->seed) : status;
    if (status != 0) {
        return status;
    }
    s->ask = (struct pg_ask){.from = o->value[PG_FLAG_REQUEST_FROM],
                             .url = o->arg[0],
                             .method = o->value[PG_FLAG_REQUEST_METHOD],
                             .headers = s->headers,
                             .known_only = true};
    s->ask.proxy = o->value[PG_FLAG_REQUEST_PROXY_PROTOCOL];
    s->ask.proxy_from = o->value[PG_FLAG_REQUEST_PROXY_FROM];
    s->timeout_ms = (uint32_t)timeout * 1000;
    while ((value = pg_options_next(o, PG_FLAG_REQUEST_HEADER, &cursor)) != NULL) {
        if (s->ask.header_count == PG_ASK_HEADERS) {
            return pg_options_complain(PG_VERB_REQUEST, "more than %d headers", PG_ASK_HEADERS);
        }
        s->headers[s->ask.header_count++] = value;
    }
    if (pg_options_has(o, PG_FLAG_REQUEST_DATA)) {
        s->ask.body = pg_slice_of(o->value[PG_FLAG_REQUEST_DATA]);
    }
    const char *form = o->value[PG_FLAG_REQUEST_OUTPUT];
    s->json = form != NULL && strcmp(form, "json") == 0;
    s->color = !s->json && pg_want_color(o->value[PG_FLAG_REQUEST_COLOR]);
    return 0;
}

static void print(const struct sending *s, struct pg_outcome *o, const struct pg_names *names)
{
    o->show_secrets = pg_options_has(&s->options, PG_FLAG_REQUEST_SHOW_SECRETS);
    for (uint32_t i = 0; i < hops.count && !o->show_secrets; i++) {
        pg_record_hide(&hops.records[i], false);
    }
    struct pg_text out = {0};
    if (s->json) {
        struct pg_json j;
        pg_json_begin(&j, &out);
        pg_outcome_json(o, names, &j);
        pg_text_putc(&out, '\n');
    } else {
        pg_outcome_print(o, s->color, &out);
    }
    fwrite(out.at, 1, out.len, stdout);
    pg_text_free(&out);
}

/* ---- in this process ---- */

static int send_on_sim(const struct sending *s, struct pg_sim *sim, struct pg_snapshot *snapshot)
{
    struct pg_asked asked;
    struct pg_response response;
    struct pg_text why = {0};
    struct pg_namer namer = {.snapshot = snapshot};
    struct pg_names names = pg_namer_names(&namer);
    if (pg_ask_read(&s->ask, snapshot, pg_path_zone(sim->path), &asked, &why) != 0) {
        pg_options_complain(PG_VERB_REQUEST, "%s", why.at);
        pg_text_free(&why);
        return PG_EXIT_USAGE;
    }
    uint64_t from_seq = pg_trace_next_seq(pg_path_trace(sim->path));
    struct pg_request request = pg_asked_request(&asked, s->timeout_ms);
    int error = pg_sim_request(sim, &request, &response);
    if (error != 0) {
        response.error = error;
    }
    pg_hops_collect(&hops, pg_path_trace(sim->path), from_seq, response.label);
    struct pg_outcome o = {.client = asked.client,
                           .client_name = asked.preface.len == 0 ? asked.from.name : "",
                           .request = asked.bytes.at,
                           .response = &response,
                           .hops = &hops};
    print(s, &o, &names);
    int status = response.error == 0 ? PG_EXIT_OK : PG_EXIT_DIFFERENT;
    pg_response_free(&response);
    pg_asked_free(&asked);
    return status;
}

static int send_here(const struct sending *s)
{
    static const struct pg_manifest_flags flags = {.filename = PG_FLAG_REQUEST_FILENAME,
                                                   .recursive = PG_FLAG_REQUEST_RECURSIVE,
                                                   .namespace = PG_FLAG_REQUEST_NAMESPACE,
                                                   .strict = PG_FLAG_REQUEST_STRICT,
                                                   .set = PG_FLAG_REQUEST_SET,
                                                   .dialect = PG_FLAG_COUNT,
                                                   .profile = PG_FLAG_REQUEST_PROFILE,
                                                   .pods = PG_PODS_ECHO};
    struct pg_snapshot *snapshot = NULL;
    struct pg_findings findings = {0};
    struct pg_sim sim;
    int loaded = pg_manifests_load(&s->options, &flags, true, &snapshot, &findings);
    pg_findings_free(&findings);
    if (loaded != 0) {
        return loaded;
    }
    int error = pg_sim_open(NULL, snapshot, s->seed, &sim);
    if (error != 0) {
        pg_options_complain(PG_VERB_REQUEST, "%s", strerror(-error));
        pg_snapshot_put(snapshot);
        return PG_EXIT_PRIVILEGE;
    }
    int status = send_on_sim(s, &sim, snapshot);
    pg_sim_close(&sim);
    pg_snapshot_put(snapshot);
    return status;
}

/* ---- in the running instance ---- */

static void write_question(const struct sending *s, struct pg_text *out)
{
    struct pg_json j;
    pg_json_begin(&j, out);
    pg_json_object(&j);
    pg_json_key_string(&j, "url", s->ask.url);
    if (s->ask.from != NULL) {
        pg_json_key_string(&j, "from", s->ask.from);
    }
    if (s->ask.method != NULL) {
        pg_json_key_string(&j, "method", s->ask.method);
    }
    if (s->ask.proxy != NULL) {
        pg_json_key_string(&j, "proxyProtocol", s->ask.proxy);
    }
    if (s->ask.proxy_from != NULL) {
        pg_json_key_string(&j, "proxyFrom", s->ask.proxy_from);
    }
    pg_json_key(&j, "headers");
    pg_json_array(&j);
    for (uint32_t i = 0; i < s->ask.header_count; i++) {
        pg_json_string(&j, s->ask.headers[i]);
    }
    pg_json_array_end(&j);
    if (s->ask.body.at != NULL) {
        pg_json_key(&j, "body");
        pg_json_slice(&j, s->ask.body);
    }
    pg_json_key_uint(&j, "timeoutMs", s->timeout_ms);
    pg_json_object_end(&j);
}

static const char *string_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text != NULL ? text : "";
}

static void read_text(const json_t *o, const char *key, struct pg_text *ret)
{
    const json_t *v = json_object_get(o, key);
    pg_text_add(ret, json_is_string(v) ? json_string_value(v) : "", json_string_length(v));
}

static int error_of(const char *text)
{
    static const int errors[] = {ECONNREFUSED, ECONNRESET, ETIMEDOUT, EHOSTUNREACH,
                                 EBADMSG,      EPIPE,      EPROTO};
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        if (strcmp(text, pg_outcome_error(-errors[i])) == 0) {
            return -errors[i];
        }
    }
    return text[0] != 0 ? -EIO : 0;
}

static void read_records(const json_t *list, struct pg_name_list *names)
{
    size_t i;
    const json_t *record;
    hops.count = 0;
    json_array_foreach(list, i, record)
    {
        char *line = json_dumps(record, JSON_COMPACT);
        if (line != NULL && hops.count < PG_HOPS_RECORDS &&
            pg_record_read_line(line, strlen(line), &hops.records[hops.count], names) ==
                PG_LINE_RECORD) {
            hops.count++;
        }
        free(line);
    }
}

static int print_answer(const struct sending *s, const struct pg_text *body)
{
    json_t *o = json_loadb(body->at != NULL ? body->at : "", body->len, JSON_ALLOW_NUL, NULL);
    struct pg_name_list list = {0};
    struct pg_names names = pg_name_list_names(&list);
    const char *client = string_of(o, "client");
    struct pg_response r = {.error = error_of(string_of(o, "error")),
                            .status = (uint16_t)json_integer_value(json_object_get(o, "status")),
                            .body_bytes =
                                (uint64_t)json_integer_value(json_object_get(o, "bodyBytes")),
                            .took_us = (uint64_t)json_integer_value(json_object_get(o, "tookUs")),
                            .label = (uint32_t)strtoul(string_of(o, "flow"), NULL, 16)};
    struct pg_outcome out = {.client_name = string_of(o, "clientName"),
                             .request = string_of(o, "request"),
                             .response = &r,
                             .hops = &hops};
    if (o == NULL || pg_addr_parse(client, strlen(client), &out.client) != 0) {
        pg_options_complain(PG_VERB_REQUEST, "the answer of the instance makes no sense");
        json_decref(o);
        return PG_EXIT_DIFFERENT;
    }
    read_text(o, "head", &r.head);
    read_text(o, "body", &r.body);
    read_records(json_object_get(o, "records"), &list);
    hops.left_out = (uint32_t)json_integer_value(json_object_get(o, "recordsLeftOut"));
    print(s, &out, &names);
    int status = r.error == 0 ? PG_EXIT_OK : PG_EXIT_DIFFERENT;
    pg_response_free(&r);
    pg_name_list_free(&list);
    json_decref(o);
    return status;
}

static int send_there(const struct sending *s)
{
    struct pg_text socket = {0};
    struct pg_text question = {0};
    struct pg_text body = {0};
    int http = 0;
    if (pg_options_has(&s->options, PG_FLAG_REQUEST_SOCKET)) {
        pg_text_puts(&socket, s->options.value[PG_FLAG_REQUEST_SOCKET]);
    } else {
        pg_api_default_socket(NULL, &socket);
    }
    write_question(s, &question);
    int status =
        pg_api_post(socket.at, "/v1/requests", &question, s->timeout_ms / 1000 + 10, &http, &body);
    if (status != 0) {
        status = pg_api_complain(PG_VERB_REQUEST, socket.at, status);
    } else if (http != 200) {
        status = pg_api_refused(PG_VERB_REQUEST, socket.at, http, &body);
    } else {
        status = print_answer(s, &body);
    }
    pg_text_free(&socket);
    pg_text_free(&question);
    pg_text_free(&body);
    return status;
}

int pg_run_request(int argc, char **argv)
{
    static struct sending s; /* large, and there is one */
    int status = pg_options_parse(PG_VERB_REQUEST, argc, argv, &s.options);
    if (status != 0) {
        return status;
    }
    s.seed = 1;
    status = understand(&s);
    if (status == 0) {
        status =
            pg_options_has(&s.options, PG_FLAG_REQUEST_FILENAME) ? send_here(&s) : send_there(&s);
    }
    if (fflush(stdout) != 0 && status == 0) {
        status = PG_EXIT_DIFFERENT;
    }
    pg_options_free(&s.options);
    pg_reason_forget_all();
    return status;
}
