/* Captures: the tap's other end.
 *
 * The spine shows each packet before its destination is translated and again when its source has been; the two are written as a pair with one number. What
 * changed and why stands in comments of the second: the flow's tuples and reasons, asked of NAT. A packet that nothing was done to is written once; one that
 * was dropped is written once, with the name of the drop.
 *
 * At which point a packet is seen follows from its addresses alone: a balancer address or node means the client's side, a service address the service, the ingress
 * pod the front, any other pod the pod. The buffer is bounded; when the reader is late, packets are lost and counted, and the next one that is written says how many.
 *
 * Called by the spine through tap.h and by the control side. Owns the copy of the packet between `before` and `after`. */
#include "podglass/capture.h"

#include "path_internal.h"
#include "podglass/pcapng.h"
#include "podglass/tap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BUFFER_BYTES  (8 * 1024 * 1024)
#define PACKET_BYTES  65536
#define COMMENT_BYTES 700

struct pg_capture {
    struct pg_capture *next;
    struct pg_pcap *filter;
    uint32_t snaplen;
    uint32_t buffer_bytes;
    struct pg_text buffer;
    uint32_t generation; /* of the snapshot whose names were written */
    uint64_t dropped;
    uint64_t dropped_untold;
};

struct seen {
    struct pg_tuple tuple;
    uint64_t id;
    uint32_t label;
    uint32_t len; /* of bytes */
    uint32_t wire_len;
    uint8_t bytes[PACKET_BYTES];
};

struct pg_tap {
    struct pg_path *path;
    struct pg_capture *first;
    uint64_t epoch_ns; /* real time less the path's */
    bool held;
    struct seen before;
    struct seen after;
    char comments[3][COMMENT_BYTES];
};

/* ---- where ---- */

static bool is_front_address(const struct pg_snapshot *s, const struct pg_addr *a)
{
    if (pg_snapshot_lb_ip(s, a) != PG_INDEX_NONE) {
        return true;
    }
    for (uint32_t i = 0; i < s->external_ip_count; i++) {
        if (pg_addr_equal(&s->external_ips[i], a)) {
            return true;
        }
    }
    return false;
}

static bool is_other_pod(const struct pg_snapshot *s, const struct pg_addr *a, uint16_t port)
{
    uint32_t pod = pg_snapshot_pod_at(s, a, port);
    if (pod != PG_INDEX_NONE) {
        return s->pods[pod].backing != PG_BACKING_INGRESS;
    }
    return pg_snapshot_endpoint_at(s, a, port) != PG_INDEX_NONE;
}

static bool is_ingress(const struct pg_snapshot *s, const struct pg_addr *a, uint16_t port)
{
    uint32_t pod = pg_snapshot_pod_at(s, a, port);
    return pod != PG_INDEX_NONE && s->pods[pod].backing == PG_BACKING_INGRESS;
}

static enum pg_point point_of(const struct pg_path *path, const struct pg_tuple *t)
{
    const struct pg_snapshot *s = path->snapshot;
    if (s == NULL || is_front_address(s, &t->src) || is_front_address(s, &t->dst)) {
        return PG_POINT_CLIENT;
    }
    if (pg_snapshot_in_service_cidr(s, &t->src) || pg_snapshot_in_service_cidr(s, &t->dst)) {
        return PG_POINT_SERVICE;
    }
    if (is_other_pod(s, &t->src, t->src_port) || is_other_pod(s, &t->dst, t->dst_port)) {
        return PG_POINT_POD;
    }
    if (is_ingress(s, &t->src, t->src_port) || is_ingress(s, &t->dst, t->dst_port)) {
        return PG_POINT_FRONT;
    }
    return PG_POINT_CLIENT;
}

/* ---- why ---- */

static void print_ends(const char *name, const struct pg_addr *a, uint16_t a_port,
                       const struct pg_addr *b, uint16_t b_port, char *out, size_t room)
{
    char before[PG_ENDPOINT_TEXT];
    char after[PG_ENDPOINT_TEXT];
    size_t len = strlen(out);
    if (pg_addr_equal(a, b) && a_port == b_port) {
        return;
    }
    (void)snprintf(out + len, room - len, "%s%s %s => %s", len != 0 ? ", " : "", name,
                   pg_endpoint_print(a, a_port, before), pg_endpoint_print(b, b_port, after));
}

static void print_reason(const char *what, pg_reason_id reason, char *out)
{
    char text[512];
    if (reason == 0) {
        out[0] = 0;
        return;
    }
    (void)snprintf(out, COMMENT_BYTES, "%s: %s  %s", what,
                   pg_reason_print(reason, text, sizeof text),
                   pg_code_name(pg_reason_get(reason)->code));
}

/* Fills the three comments: what, and why of destination and source. Empty ones are left out by the writer. */
static void explain(struct pg_tap *t)
{
    const struct pg_tuple *a = &t->before.tuple;
    const struct pg_tuple *b = &t->after.tuple;
    struct pg_nat_flow_view flow;
    char *what = t->comments[0];
    what[0] = t->comments[1][0] = t->comments[2][0] = 0;
    print_ends("dst", &a->dst, a->dst_port, &b->dst, b->dst_port, what, COMMENT_BYTES);
    print_ends("src", &a->src, a->src_port, &b->src, b->src_port, what, COMMENT_BYTES);
    if (!pg_nat_find(t->path->nat, a, t->path->now_us, &flow)) {
        return;
    }
    size_t len = strlen(what);
    (void)snprintf(what + len, COMMENT_BYTES - len, "%sflow %04x #%llu", len != 0 ? "  " : "",
                   t->after.label, (unsigned long long)flow.id);
    if (pg_tuple_equal(&flow.orig, a)) {
        print_reason("dst", flow.dnat_reason, t->comments[1]);
        print_reason("src", flow.snat_reason, t->comments[2]);
    } else {
        (void)snprintf(t->comments[1], COMMENT_BYTES, "%s  %s", pg_code_title(PG_CODE_REVERSE),
                       pg_code_name(PG_CODE_REVERSE));
    }
}

/* What ended the packet, and the line behind it where NAT decided so: the decision is asked for once more. */
static void explain_drop(struct pg_tap *t, enum pg_drop drop)
{
    (void)snprintf(t->comments[0], COMMENT_BYTES, "dropped: %s", pg_drop_name(drop));
    print_reason("why", pg_nat_why_dropped(t->path->nat, &t->before.tuple, drop), t->comments[1]);
}

/* ---- names ---- */

static void name_services(const struct pg_snapshot *s, struct pg_pcapng_names *n)
{
    char text[600];
    for (uint32_t i = 0; i < s->service_count; i++) {
        const struct pg_service *v = &s->services[i];
        (void)snprintf(text, sizeof text, "%s.%s.svc", v->name, v->namespace);
        for (int family = 0; family < 2; family++) {
            pg_pcapng_name(n, &v->cluster_ip[family], text);
        }
        for (uint32_t k = 0; k < v->lb_count; k++) {
            pg_pcapng_name(n, &s->lb_ips[v->lb_first + k].addr, text);
        }
        for (uint32_t k = 0; k < v->external_count; k++) {
            pg_pcapng_name(n, &s->external_ips[v->external_first + k], text);
        }
    }
}

static void write_names(const struct pg_snapshot *s, struct pg_text *out)
{
    struct pg_pcapng_names n;
    char text[600];
    pg_pcapng_names_begin(&n, out);
    name_services(s, &n);
    for (uint32_t i = 0; i < s->pod_count; i++) {
        (void)snprintf(text, sizeof text, "pod/%s.%s", s->pods[i].name, s->pods[i].namespace);
        for (int family = 0; family < 2 && !s->pods[i].host_network; family++) {
            pg_pcapng_name(&n, &s->pods[i].addr[family], text);
        }
    }
    for (uint32_t i = 0; i < s->node_count; i++) {
        for (int family = 0; family < 2; family++) {
            (void)snprintf(text, sizeof text, "node/%s", s->nodes[i].name);
            pg_pcapng_name(&n, &s->nodes[i].addr[family], text);
            (void)snprintf(text, sizeof text, "gateway/%s", s->nodes[i].name);
            pg_pcapng_name(&n, &s->nodes[i].gateway[family], text);
        }
    }
    for (uint32_t i = 0; i < s->client_count; i++) {
        pg_pcapng_name(&n, &s->clients[i].addr, s->clients[i].name);
    }
    pg_pcapng_names_end(&n);
}

/* ---- packets ---- */

static void copy_packet(const struct pg_packet *p, struct seen *out)
{
    uint32_t at = p->head_len < PACKET_BYTES ? p->head_len : PACKET_BYTES;
    memcpy(out->bytes, p->head, at);
    for (uint32_t i = 0; i < p->tail_count && at < PACKET_BYTES; i++) {
        size_t n = p->tail[i].iov_len < PACKET_BYTES - at ? p->tail[i].iov_len : PACKET_BYTES - at;
        memcpy(out->bytes + at, p->tail[i].iov_base, n);
        at += (uint32_t)n;
    }
    out->tuple = p->tuple;
    out->id = p->id;
    out->label = p->label;
    out->len = at;
    out->wire_len = p->len;
}

static void write_packet(struct pg_tap *t, struct pg_capture *c, const struct seen *s,
                         bool outbound, const char *const comments[3])
{
    struct pg_pcapng_packet p = {.point = point_of(t->path, &s->tuple),
                                 .outbound = outbound,
                                 .time_ns = pg_trace_now_us(t->path->trace) * 1000 + t->epoch_ns,
                                 .id = s->id,
                                 .dropped = c->dropped_untold,
                                 .bytes = s->bytes,
                                 .len = s->len,
                                 .wire_len = s->wire_len};
    for (int i = 0, n = 0; comments != NULL && i < 3; i++) {
        if (comments[i][0] != 0) {
            p.comments[n++] = comments[i];
        }
    }
    if (c->buffer.len + s->len + 4 * COMMENT_BYTES > c->buffer_bytes) {
        c->dropped++;
        c->dropped_untold++;
        return;
    }
    c->dropped_untold = 0;
    pg_pcapng_packet(&p, c->snaplen, &c->buffer);
}

static bool matches(const struct pg_capture *c, const struct seen *s)
{
    return pg_pcap_packet(c->filter, s->bytes, s->len, s->wire_len);
}

static void keep_names_true(const struct pg_tap *t, struct pg_capture *c)
{
    const struct pg_snapshot *s = t->path->snapshot;
    if (s != NULL && s->generation != c->generation) {
        c->generation = s->generation;
        write_names(s, &c->buffer);
    }
}

void pg_tap_take_before(struct pg_tap *t, const struct pg_packet *p)
{
    copy_packet(p, &t->before);
    t->held = true;
}

void pg_tap_take_after(struct pg_tap *t, const struct pg_packet *p)
{
    if (!t->held || t->before.id != p->id) {
        return; /* the capture began in between */
    }
    t->held = false;
    copy_packet(p, &t->after);
    explain(t);
    const char *const comments[3] = {t->comments[0], t->comments[1], t->comments[2]};
    bool same = pg_tuple_equal(&t->before.tuple, &t->after.tuple);
    for (struct pg_capture *c = t->first; c != NULL; c = c->next) {
        if (!matches(c, &t->before) && !matches(c, &t->after)) {
            continue;
        }
        keep_names_true(t, c);
        if (!same) {
            write_packet(t, c, &t->before, false, NULL);
        }
        write_packet(t, c, &t->after, true, comments);
    }
}

void pg_tap_take_dropped(struct pg_tap *t, enum pg_drop reason)
{
    if (!t->held) {
        return;
    }
    t->held = false;
    explain_drop(t, reason);
    const char *const comments[3] = {t->comments[0], t->comments[1], ""};
    for (struct pg_capture *c = t->first; c != NULL; c = c->next) {
        if (matches(c, &t->before)) {
            keep_names_true(t, c);
            write_packet(t, c, &t->before, false, comments);
        }
    }
}

/* ---- begin and end ---- */

static uint64_t epoch_ns(const struct pg_path *path)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec -
           pg_trace_now_us(path->trace) * 1000;
}

struct pg_capture *pg_capture_begin(struct pg_path *path, const struct pg_capture_options *options)
{
    struct pg_capture *c = calloc(1, sizeof *c);
    if (c != NULL && path->tap == NULL) {
        path->tap = calloc(1, sizeof *path->tap);
    }
    if (c == NULL || path->tap == NULL) {
        free(c);
        return NULL;
    }
    struct pg_tap *t = path->tap;
    if (t->path == NULL) {
        t->path = path;
        t->epoch_ns = epoch_ns(path);
    }
    c->filter = options->filter;
    c->snaplen = options->snaplen != 0 ? options->snaplen : UINT32_MAX;
    c->buffer_bytes = options->buffer_bytes != 0 ? options->buffer_bytes : BUFFER_BYTES;
    pg_pcapng_begin(&c->buffer);
    keep_names_true(t, c);
    c->next = t->first;
    t->first = c;
    return c;
}

void pg_capture_end(struct pg_path *path, struct pg_capture *c)
{
    struct pg_tap *t = path->tap;
    if (c == NULL) {
        return;
    }
    for (struct pg_capture **at = &t->first; *at != NULL; at = &(*at)->next) {
        if (*at == c) {
            *at = c->next;
            break;
        }
    }
    if (t->first == NULL) {
        free(t);
        path->tap = NULL;
    }
    pg_pcap_free(c->filter);
    pg_text_free(&c->buffer);
    free(c);
}

void pg_capture_take(struct pg_capture *c, struct pg_text *out)
{
    *out = c->buffer;
    c->buffer = (struct pg_text){0};
}

uint64_t pg_capture_dropped(const struct pg_capture *c)
{
    return c->dropped;
}
