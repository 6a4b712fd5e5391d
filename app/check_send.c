/* Sends one case's request and gathers what became of it.
 *
 * Every case has a path of its own on the in-process wire: nothing an earlier case left behind (flows, affinity, pooled connections, random
 * numbers drawn) can change it, so a case's result depends on manifests, case and seed alone. All that is said of the way comes from the records.
 * Called by check.c. */
#include "check_internal.h"

#include "podglass/ask.h"

#include <jansson.h>
#include <string.h>

/* ---- where to ---- */

/* The two ends: of one family, IPv4 first. false: said in r->problem. */
static bool find_ends(struct pg_check_run *r, const struct pg_snapshot *s, const struct pg_zone *z)
{
    const struct pg_check_request *q = &r->check->request;
    enum pg_dns_status status = PG_DNS_NXDOMAIN;
    for (int family = 0; family < 2; family++) {
        struct pg_end_of from = {.addr = q->from[family],
                                 .namespace = q->search[0] != 0 ? q->search : NULL};
        pg_reason_id reason;
        if (pg_addr_is_none(&from.addr)) {
            continue;
        }
        status = pg_end_resolve(s, z, pg_slice_of(q->host), &from, &r->to, &reason, NULL);
        if (status == PG_DNS_OK && pg_addr_is_v4(&r->to) == (family == 0)) {
            r->from = from.addr;
            return true;
        }
    }
    if (status == PG_DNS_OK) {
        pg_text_printf(&r->problem, "%s has no address of the family of %s", q->from_text, q->host);
    } else {
        pg_text_printf(&r->problem, "no address of the sender's family for %s: %s", q->host,
                       pg_dns_status_name(status));
    }
    return false;
}

/* ---- the request as bytes ---- */

static void write_request(const struct pg_check_request *q, struct pg_text *out)
{
    struct pg_ask_field fields[PG_ASK_HEADERS];
    struct pg_ask_parts parts = {.method = q->method,
                                 .authority = pg_slice_of(q->field),
                                 .target = pg_slice_of(q->path),
                                 .fields = fields,
                                 .field_count = q->header_count,
                                 .body = q->body};
    for (uint32_t i = 0; i < q->header_count; i++) {
        fields[i] = (struct pg_ask_field){.name = pg_slice_of(q->headers[i].name),
                                          .value = pg_slice_of(q->headers[i].value)};
    }
    pg_ask_write(&parts, out);
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
    write_request(q, &bytes);
    struct pg_request request = {.from = r->from,
                                 .to = r->to,
                                 .to_port = q->port,
                                 .bytes = bytes.at,
                                 .len = (uint32_t)bytes.len,
                                 .is_head = strcmp(q->method, "HEAD") == 0,
                                 .timeout_ms = q->timeout_seconds * 1000};
    request.tls = q->tls;
    pg_url_server_name(pg_slice_of(q->host), request.server_name);
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
