/* What came of one request, as text and as JSON: what was sent, the hops, what the pod says it saw, and the verdict.
 *
 * A built-in pod answers with an account of what it saw, and that is the better witness; of any other pod only the records tell. Shared by the verbs demo and
 * request and by the control API, so that all three say the same. */
#include "podglass/outcome.h"

#include "podglass/account.h"
#include "podglass/exchange.h"
#include "podglass/json.h"
#include "podglass/secrets.h"
#include "podglass/verdict.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BODY_SHOWN 4096

static bool take_account(const struct pg_outcome *o, struct pg_account *ret)
{
    const struct pg_text *body = &o->response->body;
    return pg_account_take((struct pg_slice){body->at, body->len}, pg_slice_of(o->request),
                           &o->client, ret);
}

/* The records of the request, as an exchange. */
static bool take_records(const struct pg_outcome *o, struct pg_exchange_view *ret)
{
    struct pg_exchange x = {.records = (struct pg_record *)(uintptr_t)o->hops->records,
                            .count = o->hops->count,
                            .complete = true};
    for (uint32_t i = 0; i < x.count; i++) {
        x.is_http = x.is_http || x.records[i].stage == PG_STAGE_HTTP_PARSE;
    }
    if (x.count == 0) {
        return false;
    }
    pg_exchange_look(&x, ret);
    return ret->has_verdict;
}

/* ---- text ---- */

static void print_verdict(const struct pg_seen *seen, bool color, struct pg_text *out)
{
    static const char *const colors[PG_VERDICT_COUNT] = {[PG_VERDICT_KEPT] = "32",
                                                         [PG_VERDICT_CARRIED] = "32",
                                                         [PG_VERDICT_LOST] = "31",
                                                         [PG_VERDICT_FORGED] = "31",
                                                         [PG_VERDICT_AMBIGUOUS] = "33"};
    enum pg_verdict v = pg_verdict_decide(seen);
    const struct pg_reader *readers[PG_READERS_USUAL];
    uint32_t count = pg_readers_usual(seen, readers);
    char text[PG_ADDR_TEXT];
    pg_text_printf(out, "\nclient %s  ", pg_addr_print(&seen->client, text));
    if (color) {
        pg_text_printf(out, "\033[1;%sm", colors[v]);
    }
    for (const char *name = pg_verdict_name(v); *name != 0; name++) {
        pg_text_putc(out, (char)(*name - 'a' + 'A'));
    }
    pg_text_puts(out, color ? "\033[0m\n  readers: " : "\n  readers: ");
    for (uint32_t i = 0; i < count; i++) {
        struct pg_addr a;
        bool found = pg_reader_take(readers[i], seen, &a);
        pg_text_printf(out, "%s%s %s", i != 0 ? " | " : "", readers[i]->text,
                       found ? pg_addr_print(&a, text) : "nothing");
    }
    pg_text_putc(out, '\n');
}

static bool is_hidden(const struct pg_outcome *o, const json_t *field)
{
    const char *name = json_string_value(json_array_get(field, 0));
    return !o->show_secrets && name != NULL && pg_secret_header(pg_slice_of(name));
}

static void add_string(struct pg_text *out, const json_t *value)
{
    const char *text = json_string_value(value);
    if (text != NULL) {
        pg_text_add_escaped(out, text, strlen(text));
    }
}

bool pg_outcome_pod(const struct pg_outcome *o, bool color, struct pg_text *out)
{
    struct pg_account a;
    size_t i;
    json_t *field;
    if (!take_account(o, &a)) {
        return false;
    }
    pg_text_putc(out, '\n');
    add_string(out, json_object_get(a.said, "pod"));
    pg_text_puts(out, " says: peer ");
    add_string(out, json_object_get(a.said, "peer"));
    pg_text_printf(out, ":%lld, ",
                   (long long)json_integer_value(json_object_get(a.said, "peerPort")));
    add_string(out, json_object_get(a.said, "method"));
    pg_text_putc(out, ' ');
    add_string(out, json_object_get(a.said, "path"));
    pg_text_putc(out, '\n');
    json_array_foreach(json_object_get(a.said, "headers"), i, field)
    {
        pg_text_puts(out, "      ");
        add_string(out, json_array_get(field, 0));
        pg_text_puts(out, ": ");
        if (is_hidden(o, field)) {
            pg_text_puts(out, PG_HIDDEN);
        } else {
            add_string(out, json_array_get(field, 1));
        }
        pg_text_putc(out, '\n');
    }
    print_verdict(&a.seen, color, out);
    pg_account_free(&a);
    return true;
}

struct pg_request pg_asked_request(const struct pg_asked *a, uint32_t timeout_ms)
{
    const struct pg_text *sent = a->sent.len != 0 ? &a->sent : &a->bytes;
    struct pg_request r = {.from = a->from.addr,
                           .to = a->to,
                           .to_port = a->to_port,
                           .bytes = sent->at,
                           .len = (uint32_t)sent->len,
                           .is_head = a->is_head,
                           .tls = a->tls,
                           .timeout_ms = timeout_ms};
    memcpy(r.server_name, a->server_name, sizeof r.server_name);
    return r;
}

void pg_outcome_sent(const struct pg_outcome *o, struct pg_text *out)
{
    char from[PG_ADDR_TEXT];
    if (o->client_name[0] != 0) {
        pg_text_printf(out, "%s ", o->client_name);
    }
    pg_text_printf(out, "%s sends  ", pg_addr_print(&o->client, from));
    pg_text_add_escaped(out, o->request, strcspn(o->request, "\r\n"));
    pg_text_puts(out, "\n\n");
}

/* A message's head as it may be shown. */
static void add_head(const struct pg_outcome *o, struct pg_slice head, struct pg_text *out)
{
    if (o->show_secrets) {
        pg_text_add(out, head.at, head.len);
    } else {
        pg_text_add_head_hidden(out, head);
    }
}

/* Lines of a stranger, each escaped. */
static void add_lines(struct pg_text *out, const char *at, size_t len)
{
    while (len > 0) {
        const char *end = memchr(at, '\n', len);
        size_t line = end != NULL ? (size_t)(end - at) : len;
        size_t shown = line > 0 && at[line - 1] == '\r' ? line - 1 : line;
        if (shown > 0) {
            pg_text_puts(out, "  ");
            pg_text_add_escaped(out, at, shown);
        }
        pg_text_putc(out, '\n');
        at += line + (end != NULL);
        len -= line + (end != NULL);
    }
}

void pg_outcome_response(const struct pg_outcome *o, bool color, struct pg_text *out)
{
    const struct pg_response *r = o->response;
    struct pg_exchange_view v;
    size_t shown = r->body.len < BODY_SHOWN ? r->body.len : BODY_SHOWN;
    struct pg_text head = {0};
    add_head(o, (struct pg_slice){r->head.at, r->head.len}, &head);
    pg_text_puts(out, "\nthe response:\n");
    add_lines(out, head.at != NULL ? head.at : "", head.len);
    pg_text_free(&head);
    add_lines(out, r->body.at != NULL ? r->body.at : "", shown);
    if (r->body_bytes > shown) {
        pg_text_printf(out, "  (%llu bytes more)\n", (unsigned long long)(r->body_bytes - shown));
    }
    if (take_records(o, &v)) {
        print_verdict(&v.seen, color, out);
    }
}

const char *pg_outcome_error(int error)
{
    switch (error) {
    case 0: return "";
    case -ECONNREFUSED: return "connection refused";
    case -ECONNRESET: return "connection reset";
    case -ETIMEDOUT: return "no answer in time";
    case -EHOSTUNREACH: return "host unreachable";
    case -EBADMSG: return "the answer is not HTTP";
    case -EPROTO: return "TLS handshake failed";
    case -EPIPE: return "closed before the answer was complete";
    default: return strerror(error < 0 ? -error : error);
    }
}

void pg_outcome_print(const struct pg_outcome *o, bool color, struct pg_text *out)
{
    const struct pg_response *r = o->response;
    pg_outcome_sent(o, out);
    if (o->hops->count != 0) {
        pg_hops_print(o->hops, color, out);
    }
    if (r->error != 0) {
        pg_text_printf(out, "\nno response: %s\n", pg_outcome_error(r->error));
    } else if (!pg_outcome_pod(o, color, out)) {
        pg_outcome_response(o, color, out);
    }
    if (r->status != 0) {
        pg_text_printf(out, "\nstatus %u", r->status);
        if (r->took_us != 0) { /* a virtual clock may stand still */
            pg_text_printf(out, " in %llu.%03llu ms", (unsigned long long)(r->took_us / 1000),
                           (unsigned long long)(r->took_us % 1000));
        }
        pg_text_putc(out, '\n');
    }
}

/* ---- JSON ---- */

static void json_head(struct pg_json *j, const char *key, const struct pg_outcome *o,
                      struct pg_slice head)
{
    struct pg_text t = {0};
    add_head(o, head, &t);
    pg_json_key(j, key);
    pg_json_slice(j, (struct pg_slice){t.at != NULL ? t.at : "", t.len});
    pg_text_free(&t);
}

/* The body as it came; of a built-in pod's account the values that are credentials are taken out. */
static void json_body(struct pg_json *j, const struct pg_outcome *o)
{
    const struct pg_text *body = &o->response->body;
    struct pg_account a;
    struct json_t *field;
    char *text = NULL;
    size_t i;
    if (!o->show_secrets && take_account(o, &a)) {
        json_array_foreach(json_object_get(a.said, "headers"), i, field)
        {
            if (is_hidden(o, field)) {
                json_array_set_new(field, 1, json_string(PG_HIDDEN));
            }
        }
        text = json_dumps(a.said, JSON_COMPACT);
        pg_account_free(&a);
    }
    pg_json_key(j, "body");
    pg_json_slice(j, text != NULL       ? pg_slice_of(text)
                     : body->at != NULL ? (struct pg_slice){body->at, body->len}
                                        : pg_slice_of(""));
    free(text);
}

static void json_verdict(const struct pg_outcome *o, struct pg_json *j)
{
    struct pg_account a;
    struct pg_exchange_view v;
    const char *witness = NULL;
    enum pg_verdict verdict = PG_VERDICT_COUNT;
    if (take_account(o, &a)) {
        verdict = pg_verdict_decide(&a.seen);
        witness = "pod";
        pg_account_free(&a);
    } else if (take_records(o, &v)) {
        verdict = v.verdict;
        witness = "records";
    }
    pg_json_key_string(j, "verdict", witness != NULL ? pg_verdict_name(verdict) : NULL);
    pg_json_key_string(j, "witness", witness);
}

void pg_outcome_json(const struct pg_outcome *o, const struct pg_names *names, struct pg_json *j)
{
    const struct pg_response *r = o->response;
    const char *end = strstr(o->request, "\r\n\r\n");
    char label[12];
    snprintf(label, sizeof label, "%04x", r->label);
    pg_json_object(j);
    pg_json_key_string(j, "apiVersion", "podglass/v1alpha1");
    pg_json_key_string(j, "kind", "RequestResult");
    pg_json_key_addr(j, "client", &o->client);
    pg_json_key_string(j, "clientName", o->client_name[0] != 0 ? o->client_name : NULL);
    json_head(j, "request", o,
              (struct pg_slice){o->request,
                                end != NULL ? (size_t)(end - o->request) : strlen(o->request)});
    pg_json_key_string(j, "flow", label);
    pg_json_key_string(j, "error", r->error != 0 ? pg_outcome_error(r->error) : NULL);
    pg_json_key_uint(j, "status", r->status);
    pg_json_key_uint(j, "tookUs", r->took_us);
    json_head(j, "head", o, (struct pg_slice){r->head.at, r->head.len});
    json_body(j, o);
    pg_json_key_uint(j, "bodyBytes", r->body_bytes);
    json_verdict(o, j);
    pg_json_key_uint(j, "recordsLeftOut", o->hops->left_out);
    pg_json_key(j, "records");
    pg_json_array(j);
    for (uint32_t i = 0; i < o->hops->count; i++) {
        pg_record_json_named(&o->hops->records[i], names, j);
    }
    pg_json_array_end(j);
    pg_json_object_end(j);
}
