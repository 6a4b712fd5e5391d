/* What a walk can do:
 *
 *   when CLIENT sends METHOD PATH [host HOST] [to ADDR[:PORT]] [header "Name: value"]... [body N] [http10] [pad N] [tls SERVER-NAME|-]
 *   ... preface "bytes"               in front of the request, such as "PROXY TCP4 203.0.113.7 203.0.113.10 4711 80\r\n"
 *   when CLIENT sends raw "bytes" to ADDR:PORT
 *   when CLIENT sends raw N times "bytes" ...                 (not needed so far)
 *   when CLIENT asks NAME TYPE [over-udp|over-tcp]            DNS: straight to the server; and over the wire to the cluster's DNS address, recorded
 *   when time passes Ns|Nms
 *   when wire ...                                             walk_wire.c
 *   when reload  + block                                      walk.c
 * CLIENT is a client of the lab by name, `client ADDR[:PORT]`, or `pod NS/NAME`. Without `to`, the request goes to the ingress
 * service's first load-balancer address. */
#include "walk.h"

#include "podglass/dgram.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool walk_endpoint(const char *text, struct pg_addr *addr, uint16_t *port)
{
    const char *end = text + strlen(text);
    const char *colon = strrchr(text, ':');
    *port = 0;
    if (text[0] == '[') {
        const char *close = strchr(text, ']');
        if (close == NULL || pg_addr_parse(text + 1, (size_t)(close - text - 1), addr) != 0) {
            return false;
        }
        *port = close[1] == ':' && close[2] != '*' ? (uint16_t)strtoul(close + 2, NULL, 10) : 0;
        return true;
    }
    if (colon != NULL && strchr(text, ':') == colon) {
        end = colon;
        *port = colon[1] == '*' ? 0 : (uint16_t)strtoul(colon + 1, NULL, 10);
    }
    return pg_addr_parse(text, (size_t)(end - text), addr) == 0;
}

bool walk_address(struct walk *w, const char *text, struct pg_addr *addr, uint16_t *port)
{
    const struct pg_snapshot *s = w->snapshot;
    *port = 0;
    if (walk_endpoint(text, addr, port)) {
        return true;
    }
    for (uint32_t i = 0; i < s->client_count; i++) {
        if (strcmp(s->clients[i].name, text) == 0) {
            *addr = s->clients[i].addr;
            return true;
        }
    }
    for (uint32_t i = 0; i < s->pod_count; i++) {
        char name[300];
        snprintf(name, sizeof name, "%s/%s", s->pods[i].namespace, s->pods[i].name);
        if (strcmp(name, text) == 0) {
            *addr = pg_addr_is_none(&s->pods[i].addr[0]) ? s->pods[i].addr[1] : s->pods[i].addr[0];
            return true;
        }
    }
    return false;
}

static bool ingress_address(const struct walk *w, struct pg_addr *ret)
{
    const struct pg_snapshot *s = w->snapshot;
    if (s->lab.ingress_service == PG_INDEX_NONE ||
        s->services[s->lab.ingress_service].lb_count == 0) {
        return false;
    }
    *ret = s->lb_ips[s->services[s->lab.ingress_service].lb_first].addr;
    return true;
}

static void send_request(struct walk *w, struct pg_request *request)
{
    if (w->have_response) {
        pg_response_free(&w->response);
    }
    w->have_response = true;
    w->request_from = request->from;
    pg_text_clear(&w->request);
    pg_text_add(&w->request, request->bytes, request->len);
    int error = pg_sim_request(&w->sim, request, &w->response);
    if (error != 0) {
        w->response.error = error;
    }
}

/* The optional words of `sends METHOD PATH`, from token `at`. */
static bool request_words(struct walk *w, const struct walk_line *l, uint32_t at,
                          struct pg_request *request, struct pg_text *fields, bool *has_host,
                          uint32_t *ret_body, bool *ret_http10)
{
    for (; at < l->count; at++) {
        const char *word = l->tokens[at];
        const char *value = at + 1 < l->count ? l->tokens[at + 1] : "";
        if (strcmp(word, "http10") == 0) {
            *ret_http10 = true;
            continue;
        }
        if (strcmp(word, "tls") == 0) {
            request->tls = true;
            snprintf(request->server_name, sizeof request->server_name, "%s",
                     strcmp(value, "-") == 0 ? "" : value);
        } else if (strcmp(word, "host") == 0) {
            pg_text_printf(fields, "Host: %s\r\n", value);
            *has_host = true;
        } else if (strcmp(word, "header") == 0) {
            pg_text_printf(fields, "%s\r\n", value);
        } else if (strcmp(word, "to") == 0) {
            if (!walk_address(w, value, &request->to, &request->to_port)) {
                walk_fail(w, "no such address: %s", value);
                return false;
            }
        } else if (strcmp(word, "body") == 0) {
            *ret_body = (uint32_t)strtoul(value, NULL, 10);
        } else if (strcmp(word, "pad") == 0) {
            uint32_t n = (uint32_t)strtoul(value, NULL, 10);
            pg_text_puts(fields, "X-Pad: ");
            for (uint32_t i = 0; i < n; i++) {
                pg_text_putc(fields, 'p');
            }
            pg_text_puts(fields, "\r\n");
        } else if (strcmp(word, "preface") == 0) {
            pg_text_add(&w->preface, value, l->lens[at + 1]);
        } else if (strcmp(word, "timeout") == 0) {
            request->timeout_ms = (uint32_t)strtoul(value, NULL, 10) * 1000;
        } else {
            walk_fail(w, "sends: unknown word '%s'", word);
            return false;
        }
        at++;
    }
    return true;
}

static void sends(struct walk *w, const struct walk_line *l, uint32_t at,
                  struct pg_request *request)
{
    struct pg_text fields = {0};
    struct pg_text bytes = {0};
    uint32_t body = 0;
    bool http10 = false;
    bool has_host = false;
    pg_text_free(&w->preface);
    if (strcmp(l->tokens[at], "raw") == 0 && at + 3 < l->count) {
        request->raw = true;
        pg_text_add(&bytes, l->tokens[at + 1], l->lens[at + 1]);
        if (!walk_address(w, l->tokens[at + 3], &request->to, &request->to_port)) {
            walk_fail(w, "no such address: %s", l->tokens[at + 3]);
        }
    } else {
        const char *method = l->tokens[at];
        if (!request_words(w, l, at + 2, request, &fields, &has_host, &body, &http10)) {
            pg_text_free(&fields);
            return;
        }
        request->is_head = strcmp(method, "HEAD") == 0;
        pg_text_add(&bytes, w->preface.at != NULL ? w->preface.at : "", w->preface.len);
        pg_text_printf(&bytes, "%s %s HTTP/1.%c\r\n", method, l->tokens[at + 1],
                       http10 ? '0' : '1');
        if (!has_host) {
            pg_text_puts(&bytes, "Host: walk.test\r\n");
        }
        pg_text_puts(&bytes, fields.len != 0 ? fields.at : "");
        if (body != 0) {
            pg_text_printf(&bytes, "Content-Length: %u\r\n", body);
        }
        pg_text_puts(&bytes, "\r\n");
        for (uint32_t i = 0; i < body; i++) {
            pg_text_putc(&bytes, (char)('a' + i % 26));
        }
    }
    if (pg_addr_is_none(&request->to) && !ingress_address(w, &request->to)) {
        walk_fail(w, "sends: to whom? there is no ingress service with a load-balancer address");
    }
    request->to_port = request->to_port != 0 ? request->to_port : request->tls ? 443 : 80;
    request->bytes = bytes.at;
    request->len = (uint32_t)bytes.len;
    send_request(w, request);
    pg_text_free(&fields);
    pg_text_free(&bytes);
}

/* A question over UDP, put on the wire as the client's datagram; the answer is taken from the wire. */
static uint32_t dns_query(uint8_t *out, const char *name, uint16_t type)
{
    static const uint8_t head[12] = {0x12, 0x34, 1, 0, 0, 1};
    memcpy(out, head, sizeof head);
    uint32_t at = sizeof head;
    while (*name != 0) {
        size_t label = strcspn(name, ".");
        out[at++] = (uint8_t)label;
        memcpy(out + at, name, label);
        at += (uint32_t)label;
        name += label + (name[label] == '.' ? 1 : 0);
    }
    out[at++] = 0;
    out[at++] = (uint8_t)(type >> 8);
    out[at++] = (uint8_t)type;
    out[at++] = 0;
    out[at++] = 1;
    return at;
}

/* As a datagram of a peer on the wire, so that the way of it is recorded. */
static void ask_over_udp(struct walk *w, const struct pg_addr *from, const void *query,
                         uint32_t len)
{
    uint8_t out[1024];
    struct pg_tuple t = {.src = *from,
                         .dst = w->snapshot->lab.dns[pg_addr_is_v4(from) ? 0 : 1],
                         .src_port = 5300,
                         .dst_port = 53,
                         .proto = PG_PROTO_UDP};
    uint32_t packet = pg_dgram_build(&t, query, len, out, sizeof out);
    if (packet == 0 || pg_wire_inject(w->sim.wire, out, packet) != 0) {
        walk_fail(w, "the question could not be put on the wire");
        return;
    }
    pg_sim_settle(&w->sim);
}

static void asks(struct walk *w, const struct pg_addr *from, const char *name,
                 const char *type_name, const char *how)
{
    static const struct {
        const char *name;
        uint16_t type;
    } types[] = {{"A", 1},   {"NS", 2},   {"CNAME", 5}, {"SOA", 6},  {"PTR", 12},
                 {"MX", 15}, {"TXT", 16}, {"AAAA", 28}, {"SRV", 33}, {"HTTPS", 65}};
    uint8_t query[512];
    uint8_t answer[4096];
    char first[PG_ADDR_TEXT];
    struct pg_dns_answer about;
    uint16_t type = 1;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (strcmp(types[i].name, type_name) == 0) {
            type = types[i].type;
        }
    }
    uint32_t len = dns_query(query, name, type);
    if (strcmp(how, "over-udp") == 0) {
        ask_over_udp(w, from, query, len);
    } else if (strcmp(how, "over-tcp") == 0) {
        walk_dns_asks_over_tcp(w, from, query, len);
    }
    uint32_t answer_len = pg_dns_answer(pg_path_zone(w->sim.path), query, len, false, 0, answer,
                                        sizeof answer, &about);
    snprintf(w->dns, sizeof w->dns, "%s rcode=%u answers=%u%s first=%s",
             pg_dns_status_name(about.status), about.rcode, about.answers,
             about.truncated ? " truncated" : "",
             pg_addr_is_none(&about.first) ? "none" : pg_addr_print(&about.first, first));
    if (answer_len == 0) {
        snprintf(w->dns, sizeof w->dns, "no answer");
    }
}

static uint64_t span_us(const char *text)
{
    char *unit;
    uint64_t n = strtoull(text, &unit, 10);
    return strcmp(unit, "ms") == 0 ? n * 1000 : n * 1000000;
}

void walk_when(struct walk *w, const struct walk_line *l, const char *block)
{
    struct pg_request request = {0};
    uint32_t at = 1;
    (void)block;
    if (l->count >= 4 && strcmp(l->tokens[1], "time") == 0) {
        pg_sim_pass(&w->sim, span_us(l->tokens[3]));
        return;
    }
    if (l->count >= 2 && strcmp(l->tokens[1], "wire") == 0) {
        walk_when_wire(w, l);
        return;
    }
    if (l->count > 2 && (strcmp(l->tokens[1], "client") == 0 || strcmp(l->tokens[1], "pod") == 0)) {
        at = 2;
    }
    if (l->count < at + 3 || !walk_address(w, l->tokens[at], &request.from, &request.from_port)) {
        walk_fail(w, "when who does what? '%s' is no client, pod or address",
                  l->count > at ? l->tokens[at] : "");
        return;
    }
    const char *verb = l->tokens[at + 1];
    if (strcmp(verb, "sends") == 0 && l->count >= at + 4) {
        sends(w, l, at + 2, &request);
    } else if (strcmp(verb, "asks") == 0) {
        const char *how = l->tokens[l->count - 1];
        bool typed = l->count > at + 3u + (strncmp(how, "over-", 5) == 0);
        asks(w, &request.from, l->tokens[at + 2], typed ? l->tokens[at + 3] : "A", how);
    } else {
        walk_fail(w, "when %s does what? '%s'", l->tokens[at], verb);
    }
}
