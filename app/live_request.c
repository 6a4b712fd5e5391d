/* POST /v1/requests: sends a request through the path of this instance, and answers with what came of it.
 *
 *   {"from":"198.51.100.7","url":"http://shop.example.test/","method":"GET","headers":["Name: value"],"body":"..","timeoutMs":30000}
 *
 * The sender is a client of the lab (lab/client.c): its packets take the way of anybody's, to real pods on the wire too. Records of its flow are
 * written while it is on its way, whoever else watches. If who asked has gone, the request is finished and nobody is told. */
#include "live.h"

#include "podglass/exchange.h"
#include "podglass/names.h"
#include "podglass/outcome.h"

#include <event2/buffer.h>
#include <event2/http.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_MOST_MS 600000

struct pg_live_request {
    struct pg_live_request *next;
    struct pg_live *live;
    struct pg_watch watch;
    struct evhttp_request *req; /* NULL: who asked is gone */
    struct evhttp_connection *connection;
    struct pg_asked asked;
    uint32_t timeout_ms;
    uint64_t from_seq;
};

static void unlink_request(struct pg_live_request *r)
{
    for (struct pg_live_request **at = &r->live->requests; *at != NULL; at = &(*at)->next) {
        if (*at == r) {
            *at = r->next;
            break;
        }
    }
    pg_watch_end(&r->live->watchers, &r->watch);
}

static void tell(struct pg_live_request *r, struct pg_response *response)
{
    static struct pg_hops hops; /* large; one thread, and used within this call */
    struct pg_path *path = r->live->path;
    struct pg_namer namer = {.snapshot = pg_path_snapshot(path)};
    struct pg_names names = pg_namer_names(&namer);
    struct pg_outcome o = {.client = r->asked.client,
                           .client_name = r->asked.preface.len == 0 ? r->asked.from.name : "",
                           .request = r->asked.bytes.at,
                           .response = response,
                           .hops = &hops,
                           .show_secrets = true};
    struct pg_text body = {0};
    struct pg_json j;
    pg_hops_collect(&hops, pg_path_trace(path), r->from_seq, response->label);
    pg_json_begin(&j, &body);
    pg_outcome_json(&o, &names, &j);
    pg_text_putc(&body, '\n');
    pg_answer(r->req, HTTP_OK, "application/json", &body);
    pg_text_free(&body);
}

static void on_done(void *arg, struct pg_response *response)
{
    struct pg_live_request *r = arg;
    unlink_request(r);
    if (r->req != NULL) {
        tell(r, response);
    }
    pg_response_free(response);
    pg_asked_free(&r->asked);
    free(r);
}

/* ---- the question ---- */

static bool read_headers(const json_t *list, const char **ret, uint32_t *ret_count)
{
    size_t i;
    const json_t *line;
    json_array_foreach(list, i, line)
    {
        if (!json_is_string(line) || *ret_count == PG_ASK_HEADERS) {
            return false;
        }
        ret[(*ret_count)++] = json_string_value(line);
    }
    return list == NULL || json_is_array(list);
}

static bool is_string_or_absent(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    return v == NULL || json_is_string(v) || json_is_null(v);
}

static bool is_version_or_absent(const char *proxy)
{
    return proxy == NULL || strcmp(proxy, "v1") == 0 || strcmp(proxy, "v2") == 0;
}

/* 0, or the reason in *why. */
static int make(struct pg_live_request *r, const json_t *o, struct pg_text *why)
{
    const char *headers[PG_ASK_HEADERS];
    const json_t *body = json_object_get(o, "body");
    const json_t *timeout = json_object_get(o, "timeoutMs");
    struct pg_ask ask = {.from = json_string_value(json_object_get(o, "from")),
                         .url = json_string_value(json_object_get(o, "url")),
                         .method = json_string_value(json_object_get(o, "method")),
                         .proxy = json_string_value(json_object_get(o, "proxyProtocol")),
                         .proxy_from = json_string_value(json_object_get(o, "proxyFrom")),
                         .headers = headers,
                         .known_only = true};
    bool good = json_is_object(o) && is_string_or_absent(o, "from") && ask.url != NULL &&
                is_string_or_absent(o, "method") && is_version_or_absent(ask.proxy) &&
                is_string_or_absent(o, "proxyProtocol") && is_string_or_absent(o, "proxyFrom") &&
                is_string_or_absent(o, "body") &&
                read_headers(json_object_get(o, "headers"), headers, &ask.header_count);
    if (timeout != NULL && (!json_is_integer(timeout) || json_integer_value(timeout) < 1 ||
                            json_integer_value(timeout) > WAIT_MOST_MS)) {
        good = false;
    }
    if (!good) {
        pg_text_puts(why, "send {\"url\":TEXT, \"from\":TEXT, \"method\":TEXT, "
                          "\"headers\":[\"Name: value\"], \"body\":TEXT, \"timeoutMs\":NUMBER, "
                          "\"proxyProtocol\":\"v1\" or \"v2\", \"proxyFrom\":TEXT}");
        return -1;
    }
    r->timeout_ms = timeout != NULL ? (uint32_t)json_integer_value(timeout) : 0;
    if (json_is_string(body)) {
        ask.body = (struct pg_slice){json_string_value(body), json_string_length(body)};
    }
    if (pg_path_snapshot(r->live->path) == NULL) {
        pg_text_puts(why, "no manifests are in force");
        return -1;
    }
    return pg_ask_read(&ask, pg_path_snapshot(r->live->path), pg_path_zone(r->live->path),
                       &r->asked, why);
}

static json_t *read_body(struct evhttp_request *req)
{
    struct evbuffer *in = evhttp_request_get_input_buffer(req);
    size_t len = evbuffer_get_length(in);
    const char *bytes = len != 0 ? (const char *)evbuffer_pullup(in, -1) : NULL;
    return bytes != NULL ? json_loadb(bytes, len, 0, NULL) : NULL;
}

static void send_it(struct pg_live *l, struct pg_live_request *r)
{
    pg_watch_begin(&l->watchers, &r->watch);
    r->next = l->requests;
    l->requests = r;
    r->from_seq = pg_trace_next_seq(pg_path_trace(l->path));
    struct pg_request request = pg_asked_request(&r->asked, r->timeout_ms);
    int error = pg_lab_request(pg_path_clients(l->path), &request, on_done, r);
    if (error == 0) {
        if (l->wake != NULL) {
            l->wake(l->wake_arg);
        }
        return;
    }
    unlink_request(r);
    pg_answer_error(r->req, HTTP_SERVUNAVAIL, pg_outcome_error(error));
    pg_asked_free(&r->asked);
    free(r);
}

void pg_live_request_begin(struct pg_live *l, struct evhttp_request *req)
{
    struct pg_text why = {0};
    json_t *o = read_body(req);
    struct pg_live_request *r = calloc(1, sizeof *r);
    if (r == NULL) {
        pg_answer_error(req, HTTP_SERVUNAVAIL, "out of memory");
    } else {
        r->live = l;
        r->req = req;
        r->connection = evhttp_request_get_connection(req);
        if (make(r, o, &why) != 0) {
            pg_answer_error(req, HTTP_BADREQUEST, why.at);
            free(r);
        } else {
            r->watch.want.has_from = true;
            r->watch.want.from = r->asked.from.addr;
            pg_live_quiet(req);
            send_it(l, r);
        }
    }
    json_decref(o);
    pg_text_free(&why);
}

void pg_live_request_closed(struct pg_live *l, struct evhttp_connection *connection)
{
    struct pg_live_request *next;
    for (struct pg_live_request *r = l->requests; r != NULL; r = next) {
        next = r->next;
        if (connection != NULL && r->connection != connection) {
            continue;
        }
        if (connection != NULL && r->req != NULL) {
            pg_live_let_go(r->req);
        }
        r->req = NULL;
        r->connection = NULL;
        if (connection == NULL) { /* the loop has ended: the path moves no more, and ends nothing */
            unlink_request(r);
            pg_asked_free(&r->asked);
            free(r);
        }
    }
}
