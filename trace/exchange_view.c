/* What an exchange came to: who called whom, which pod got it, whom that pod sees, and what became of the client.
 *
 * The client is the source of the first flow before NAT, the pod the destination of the last flow behind NAT, the peer that flow's source behind
 * NAT. With an ingress between, they are different flows, joined by their label: which is which is told by the ends that the ingress has itself. The verdict is the one definition of
 * verdict.c, fed with what the records say was written.
 *
 * Pure; called by the printers, by filters and by whoever counts. */
#include "podglass/exchange.h"

#include "exchange_internal.h"

#include "podglass/hops.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct pg_end end_of(const struct pg_value *v)
{
    return v->is_text ? (struct pg_end){0} : (struct pg_end){v->addr, v->port};
}

static bool is_leg(const struct pg_record *r)
{
    return r->conntrack != 0 && r->direction == 0 &&
           (r->kind == PG_RECORD_REWRITE || r->kind == PG_RECORD_KEEP);
}

/* "Service/shop/web" of a reason as "shop/web". */
static void take_service(const struct pg_record *r, char *out, size_t room)
{
    const char *object = pg_reason_get(r->reason)->object;
    if (strncmp(object, "Service/", 8) == 0) {
        snprintf(out, room, "%s", object + 8);
    }
}

static void take_first_flow(const struct pg_record *r, struct pg_exchange_view *v)
{
    v->proto = r->proto;
    if (r->field == PG_FIELD_SRC) {
        v->client = end_of(&r->before);
    } else if (r->field == PG_FIELD_DST) {
        v->vip = end_of(&r->before);
        take_service(r, v->entry, sizeof v->entry);
    }
}

static void take_last_flow(const struct pg_record *r, struct pg_exchange_view *v)
{
    if (r->field == PG_FIELD_SRC) {
        v->peer = end_of(&r->after);
    } else if (r->field == PG_FIELD_DST) {
        v->pod = end_of(&r->after);
        v->service[0] = 0;
        take_service(r, v->service, sizeof v->service);
    }
}

/* When the client's side began; the end of what came before on the other leg may be told earlier. */
static uint64_t begin_of(const struct pg_exchange *x, uint64_t client)
{
    for (uint32_t i = x->carried; i < x->count; i++) {
        const struct pg_record *r = &x->records[i];
        if (r->conntrack == 0 || r->conntrack == client) {
            return r->time_us;
        }
    }
    return x->records[0].time_us;
}

/* The flow the client called on, and the one that led to the pod; 0: not there. */
static void find_legs(const struct pg_exchange *x, uint64_t *ret_client, uint64_t *ret_pod)
{
    uint64_t first = 0;
    uint64_t last = 0;
    for (uint32_t i = 0; i < x->count; i++) {
        if (is_leg(&x->records[i])) {
            first = first != 0 ? first : x->records[i].conntrack;
            last = x->records[i].conntrack;
        }
    }
    *ret_client = first;
    *ret_pod = last;
    if (!x->is_http) {
        return;
    }
    const struct pg_record *from = pg_exchange_client_event(x->records, x->count);
    const struct pg_record *to = pg_exchange_upstream_event(x->records, x->count);
    uint64_t client = pg_exchange_flow_of(x->records, x->count, from, true);
    *ret_client = from != NULL ? client : first;
    *ret_pod = pg_exchange_flow_of(x->records, x->count, to, false);
}

static void look_at_flows(const struct pg_exchange *x, struct pg_exchange_view *v)
{
    uint64_t client = 0;
    uint64_t pod = 0;
    find_legs(x, &client, &pod);
    v->client_flow = client;
    for (uint32_t i = 0; i < x->count; i++) {
        const struct pg_record *r = &x->records[i];
        if (is_leg(r) && r->conntrack == client) {
            take_first_flow(r, v);
        }
        if (is_leg(r) && r->conntrack == pod) {
            take_last_flow(r, v);
        }
    }
    v->began_us = begin_of(x, client);
    v->took_us = x->records[x->count - 1].time_us - v->began_us;
}

/* ---- the request ---- */

static void copy(char *out, size_t room, const char *from, size_t len)
{
    size_t n = len < room - 1 ? len : room - 1;
    memcpy(out, from, n);
    out[n] = 0;
}

/* "GET /cart host shop.example.test"; of a long one the end is missing. */
static void take_request(const struct pg_record *r, struct pg_exchange_view *v)
{
    const char *text = r->after.text;
    const char *end = text + (r->after.len <= sizeof r->after.text ? r->after.len : 0);
    const char *blank = memchr(text, ' ', (size_t)(end - text));
    if (!r->after.is_text || blank == NULL) {
        return;
    }
    copy(v->method, sizeof v->method, text, (size_t)(blank - text));
    text = blank + 1;
    blank = memchr(text, ' ', (size_t)(end - text));
    copy(v->target, sizeof v->target, text, (size_t)((blank != NULL ? blank : end) - text));
    if (blank != NULL && end - blank > 6 && memcmp(blank, " host ", 6) == 0 && !r->after.cut) {
        copy(v->host, sizeof v->host, blank + 6, (size_t)(end - blank - 6));
    }
}

static void take_header(const struct pg_record *r, struct pg_exchange_view *v)
{
    struct pg_slice after = {0};
    struct pg_slice before = {0};
    if (r->after.is_text) {
        after = (struct pg_slice){r->after.text, r->after.len};
    }
    if (r->before.is_text) {
        before = (struct pg_slice){r->before.text, r->before.len};
    }
    struct {
        const char *name;
        struct pg_slice *got, *claimed;
    } const carriers[] = {{"X-Forwarded-For", &v->seen.xff, &v->seen.client_xff},
                          {"Forwarded", &v->seen.forwarded, &v->seen.client_forwarded},
                          {"X-Real-IP", &v->seen.x_real_ip, &v->seen.client_x_real_ip}};
    for (size_t i = 0; i < sizeof carriers / sizeof carriers[0]; i++) {
        if (strcasecmp(r->name, carriers[i].name) == 0) {
            v->cut = v->cut || r->after.cut;
            *carriers[i].got = after.at != NULL ? after : *carriers[i].got;
            *carriers[i].claimed = before.at != NULL ? before : *carriers[i].claimed;
        }
    }
    if (strcasecmp(r->name, "X-Forwarded-Host") == 0 && after.at != NULL && !v->host[0]) {
        copy(v->host, sizeof v->host, after.at, after.len);
    }
}

/* The source a preface names: "v2 TCP4 198.51.100.7:40000 > 10.244.1.2:80". None: it names nobody ("v2 LOCAL"). */
static struct pg_addr preface_source(const struct pg_value *v)
{
    struct pg_addr a = {0};
    char text[sizeof v->text + 1];
    copy(text, sizeof text, v->text, v->is_text ? v->len : 0);
    char *end = strstr(text, " > ");
    if (end == NULL) {
        return a;
    }
    *end = 0;
    char *start = strrchr(text, ' ');
    char *port = strrchr(text, ':');
    if (start != NULL && port > start) {
        bool brackets = start[1] == '[' && port[-1] == ']';
        start += 1 + brackets;
        (void)pg_addr_parse(start, (size_t)(port - start) - brackets, &a);
    }
    return a;
}

static void take_preface(const struct pg_record *r, struct pg_exchange_view *v)
{
    if (strcmp(r->name, "preface") != 0 || r->direction != 0) {
        return;
    }
    if (r->field == PG_FIELD_PROXY) {
        v->seen.has_proxy = true; /* in front of the pod's connection */
        v->seen.proxy = preface_source(&r->after);
    } else {
        v->seen.client = preface_source(&r->after); /* who may send one speaks for his client */
    }
}

/* "11 bytes", or in words why nobody can know. */
static int64_t body_of(const struct pg_record *r)
{
    char text[32];
    char *end = NULL;
    copy(text, sizeof text, r->after.text, r->after.is_text ? r->after.len : 0);
    long long bytes = strtoll(text, &end, 10);
    return end != text ? bytes : -1;
}

static void take_event(const struct pg_record *r, struct pg_exchange_view *v)
{
    if (strcmp(r->name, "request") == 0 && r->stage == PG_STAGE_HTTP_PARSE) {
        take_request(r, v);
    } else if (strcmp(r->name, "response") == 0) {
        char text[4] = {0};
        copy(text, sizeof text, r->after.text, r->after.is_text ? r->after.len : 0);
        v->status = (uint16_t)strtoul(text, NULL, 10);
    } else if (strcmp(r->name, "body") == 0 && r->stage == PG_STAGE_HTTP_PARSE) {
        *(r->direction ? &v->response_body : &v->request_body) = body_of(r);
    }
}

static void look_at_http(const struct pg_exchange *x, struct pg_exchange_view *v)
{
    for (uint32_t i = 0; i < x->carried; i++) { /* a preface is told once per connection */
        if (x->records[i].stage == PG_STAGE_PROXY_PROTOCOL) {
            take_preface(&x->records[i], v);
        }
    }
    for (uint32_t i = x->carried; i < x->count; i++) {
        const struct pg_record *r = &x->records[i];
        if (r->stage == PG_STAGE_PROXY_PROTOCOL) {
            take_preface(r, v);
        } else if (r->kind == PG_RECORD_EVENT) {
            take_event(r, v);
        } else if (r->field == PG_FIELD_HEADER && r->direction == 0) {
            take_header(r, v);
        }
    }
    const struct pg_record *end = &x->records[x->count - 1];
    if (x->complete && v->status == 0 && end->kind == PG_RECORD_EVENT && end->after.is_text) {
        char text[4] = {0};
        copy(text, sizeof text, end->after.text, end->after.len);
        v->status = (uint16_t)strtoul(text, NULL, 10);
        copy(v->refusal, sizeof v->refusal, end->name, strnlen(end->name, sizeof end->name));
    }
}

/* ---- the whole ---- */

static void find_loss(const struct pg_exchange *x, struct pg_exchange_view *v)
{
    for (uint32_t i = 0; i < x->count; i++) {
        if (pg_hops_is_loss(&x->records[i])) {
            v->lost_hop = pg_hops_number_at(x->records, x->count, i);
            v->lost_code = pg_reason_get(x->records[i].reason)->code;
            return;
        }
    }
}

static void find_drop(const struct pg_exchange *x, struct pg_exchange_view *v)
{
    const struct pg_record *r = &x->records[x->count - 1];
    if (x->is_http || r->kind != PG_RECORD_DROP) {
        return;
    }
    copy(v->drop, sizeof v->drop, r->name, strnlen(r->name, sizeof r->name));
    if (pg_addr_is_none(&v->client.addr)) {
        v->client = end_of(&r->before);
        v->vip = end_of(&r->after);
        v->proto = r->proto;
        take_service(r, v->entry, sizeof v->entry);
    }
}

void pg_exchange_look(const struct pg_exchange *x, struct pg_exchange_view *ret)
{
    struct pg_exchange_view *v = ret;
    *v = (struct pg_exchange_view){0};
    if (x->count == 0) {
        return;
    }
    look_at_flows(x, v);
    if (x->is_http) {
        look_at_http(x, v);
    }
    find_drop(x, v);
    v->has_verdict = !pg_addr_is_none(&v->client.addr) && !pg_addr_is_none(&v->peer.addr) &&
                     v->refusal[0] == 0 && v->drop[0] == 0;
    if (v->has_verdict) {
        if (pg_addr_is_none(&v->seen.client)) {
            v->seen.client = v->client.addr;
        }
        v->seen.peer = v->peer.addr;
        v->verdict = pg_verdict_decide(&v->seen);
    }
    if (v->has_verdict && v->verdict != PG_VERDICT_KEPT && v->verdict != PG_VERDICT_CARRIED) {
        find_loss(x, v);
    }
}
