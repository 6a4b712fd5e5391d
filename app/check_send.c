/* Sends one case's request and gathers what became of it.
 *
 * Every case has a path of its own on the in-process wire: nothing an earlier case left behind (flows, affinity, pooled connections, random
 * numbers drawn) can change it, so a case's result depends on manifests, case and seed alone. All that is said of the way comes from the records.
 * Called by check.c. */
#include "check_internal.h"

#include <jansson.h>
#include <string.h>

#define SEARCH_DOTS 5 /* ndots of a pod's resolv.conf */

/* ---- where to ---- */

static bool look_up(const struct pg_zone *z, const char *name, bool want_v6, struct pg_addr *ret,
                    enum pg_dns_status *ret_status)
{
    uint32_t count = 0;
    pg_reason_id reason = 0;
    enum pg_dns_status status =
        pg_dns_resolve(z, name, strlen(name), want_v6, ret, 1, &count, &reason);
    bool found = status == PG_DNS_OK && count > 0;
    if (!found && (*ret_status == PG_DNS_OK || status == PG_DNS_NODATA)) {
        *ret_status = status;
    }
    return found;
}

/* As a resolver in the pod would: its search list before the name itself if that has few dots. */
static bool look_up_searching(const struct pg_snapshot *s, const struct pg_zone *z,
                              const struct pg_check_request *q, bool want_v6, struct pg_addr *ret,
                              enum pg_dns_status *ret_status)
{
    const char *domain = s->lab.cluster_domain;
    struct pg_text name = {0};
    unsigned dots = 0;
    bool found = false;
    for (const char *at = q->host; *at != 0; at++) {
        dots += *at == '.';
    }
    bool absolute = q->host[0] != 0 && q->host[strlen(q->host) - 1] == '.';
    bool search = q->search[0] != 0 && !absolute && dots < SEARCH_DOTS;
    for (int step = 0; search && !found && step < 3; step++) {
        pg_text_clear(&name);
        pg_text_printf(&name, "%s.", q->host);
        if (step == 0) {
            pg_text_printf(&name, "%s.", q->search);
        }
        pg_text_printf(&name, "%s%s", step < 2 ? "svc." : "", domain);
        found = look_up(z, name.at, want_v6, ret, ret_status);
    }
    pg_text_free(&name);
    return found || look_up(z, q->host, want_v6, ret, ret_status);
}

/* The two ends: of one family, IPv4 first. false: said in r->problem. */
static bool find_ends(struct pg_check_run *r, const struct pg_snapshot *s, const struct pg_zone *z)
{
    const struct pg_check_request *q = &r->check->request;
    enum pg_dns_status status = PG_DNS_OK;
    struct pg_addr literal;
    bool is_literal = pg_addr_parse(q->host, strlen(q->host), &literal) == 0;
    for (int family = 0; family < 2; family++) {
        if (pg_addr_is_none(&q->from[family])) {
            continue;
        }
        bool found = is_literal ? pg_addr_is_v4(&literal) == (family == 0)
                                : look_up_searching(s, z, q, family == 1, &r->to, &status);
        if (found) {
            r->to = is_literal ? literal : r->to;
            r->from = q->from[family];
            return true;
        }
    }
    if (is_literal) {
        pg_text_printf(&r->problem, "%s has no address of the family of %s", q->from_text, q->host);
    } else {
        pg_text_printf(&r->problem, "no address of the sender's family for %s: %s", q->host,
                       pg_dns_status_name(status));
    }
    return false;
}

/* ---- the request as bytes ---- */

static bool has_header(const struct pg_check_request *q, const char *name)
{
    for (uint32_t i = 0; i < q->header_count; i++) {
        if (strcasecmp(q->headers[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static void write_request(const struct pg_check_run *r, struct pg_text *out)
{
    const struct pg_check_request *q = &r->check->request;
    pg_text_printf(out, "%s %s HTTP/1.1\r\n", q->method, q->path);
    if (!has_header(q, "host")) {
        pg_text_printf(out, "Host: %s\r\n", q->field);
    }
    if (!has_header(q, "user-agent")) {
        pg_text_puts(out, "User-Agent: podglass\r\n");
    }
    for (uint32_t i = 0; i < q->header_count; i++) {
        pg_text_printf(out, "%s: %s\r\n", q->headers[i].name, q->headers[i].value);
    }
    if (q->body.at != NULL && !has_header(q, "content-length") &&
        !has_header(q, "transfer-encoding")) {
        pg_text_printf(out, "Content-Length: %zu\r\n", q->body.len);
    }
    pg_text_puts(out, "\r\n");
    if (q->body.at != NULL) {
        pg_text_add(out, q->body.at, q->body.len);
    }
}

/* ---- what became of it ---- */

static struct pg_slice slice_of(const struct pg_text *t)
{
    return (struct pg_slice){t->at, t->len};
}

static void read_pod(struct pg_check_run *r, const struct pg_text *request,
                     const struct pg_text *body)
{
    struct pg_addr a;
    char text[PG_ENDPOINT_TEXT];
    if (!pg_account_take(slice_of(body), slice_of(request), &r->from, &r->account)) {
        return;
    }
    const char *address = json_string_value(json_object_get(r->account.said, "address"));
    json_int_t port = json_integer_value(json_object_get(r->account.said, "port"));
    if (address != NULL && pg_addr_parse(address, strlen(address), &a) == 0) {
        pg_text_puts(&r->endpoint, pg_endpoint_print(&a, (uint16_t)port, text));
    }
}

/* The service whose endpoint was chosen last, or that the ingress wanted. */
static void read_service(struct pg_check_run *r)
{
    for (uint32_t i = 0; i < r->hops.count; i++) {
        const struct pg_record *record = &r->hops.records[i];
        const char *object = pg_reason_get(record->reason)->object;
        if (record->stage == PG_STAGE_ROUTE && record->kind == PG_RECORD_EVENT &&
            record->after.is_text && record->after.len != 0) {
            size_t len = strcspn(record->after.text, ":");
            pg_text_clear(&r->service);
            pg_text_add(&r->service, record->after.text,
                        len < record->after.len ? len : record->after.len);
        } else if (record->direction == 0 && strncmp(object, "Service/", 8) == 0 &&
                   (record->kind == PG_RECORD_DROP || record->field == PG_FIELD_DST)) {
            pg_text_clear(&r->service);
            pg_text_puts(&r->service, object + 8);
        }
    }
}

static void write_records(const struct pg_trace *t, struct pg_text *out)
{
    struct pg_record record;
    uint64_t seq = 1;
    uint64_t missed = 0;
    while (pg_trace_read(t, &seq, &record, &missed)) {
        struct pg_json j;
        pg_json_begin(&j, out);
        pg_record_json(&record, &j);
        pg_text_putc(out, '\n');
    }
}

static void send_request(struct pg_check_run *r, struct pg_sim *sim)
{
    struct pg_text bytes = {0};
    struct pg_response response;
    const struct pg_check_request *q = &r->check->request;
    write_request(r, &bytes);
    struct pg_request request = {.from = r->from,
                                 .to = r->to,
                                 .to_port = q->port,
                                 .bytes = bytes.at,
                                 .len = (uint32_t)bytes.len,
                                 .is_head = strcmp(q->method, "HEAD") == 0,
                                 .timeout_ms = q->timeout_seconds * 1000};
    int error = pg_sim_request(sim, &request, &response);
    r->error = error != 0 ? error : response.error;
    r->status = response.status;
    pg_hops_collect(&r->hops, pg_path_trace(sim->path), 1, response.label);
    read_pod(r, &bytes, &response.body);
    read_service(r);
    memcpy(r->drops, pg_path_counters(sim->path)->drop, sizeof r->drops);
    pg_response_free(&response);
    pg_text_free(&bytes);
}

int pg_check_send(const struct pg_check_case *check, struct pg_snapshot *s, uint64_t seed,
                  struct pg_check_run *r, struct pg_text *records)
{
    struct pg_path_options options = {.trace_level = PG_TRACE_FLOWS,
                                      .trace_records = 4096,
                                      .nat.flow_limit = 4096,
                                      .conn_limit = 1024};
    struct pg_sim sim;
    r->check = check;
    int error = pg_sim_open(&options, s, seed, &sim);
    if (error != 0) {
        return error;
    }
    if (find_ends(r, s, pg_path_zone(sim.path))) {
        send_request(r, &sim);
    }
    if (records != NULL) {
        write_records(pg_path_trace(sim.path), records);
    }
    pg_sim_close(&sim);
    return 0;
}

void pg_check_run_clear(struct pg_check_run *r)
{
    pg_text_free(&r->problem);
    pg_text_free(&r->service);
    pg_text_free(&r->endpoint);
    pg_account_free(&r->account);
    r->check = NULL;
    r->error = 0;
    r->status = 0;
    r->hops.count = 0;
    memset(r->drops, 0, sizeof r->drops);
}
