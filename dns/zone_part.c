/* One service of a snapshot as DNS sees it: names, addresses and ports in one block.
 *
 * Called by zone_update.c for services that are new or changed. A part copies all it needs, so its
 * neighbours may come and go and the next snapshot need not know it. What has no name is as important
 * as what has: a headless service without a ready endpoint gets none (NXDOMAIN), a ClusterIP service
 * without endpoints gets one.
 *
 * Names that are not names (labels over 63 bytes, an ExternalName that is an address) are left out. */
#include "zone.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OBJECT_TEXT 600
#define ALIGNMENT   8u

/* A ready endpoint of some port, before equal ones are put together. */
struct ready {
    const struct pg_endpoint *endpoint;
    uint32_t port; /* number of the service port within the service */
    uint32_t seq;  /* place in the snapshot's order */
    uint32_t end;
    uint8_t label[1 + PG_DNS_LABEL_MAX];
};

struct making {
    const struct pg_snapshot *s;
    const struct pg_service *service;
    struct ready *ready; /* in the snapshot's order */
    uint32_t *sorted;    /* by label, address, place */
    uint32_t ready_count;
    /* the arrays of the block */
    struct pg_zone_part *part;
    struct pg_zone_end *ends;
    uint32_t *by_label;
    struct pg_zone_port *ports;
    struct pg_zone_target *targets;
    uint8_t *texts;
    uint32_t texts_len;
};

/* ---- labels ---- */

/* false: not a label. */
static bool label_of(const char *text, size_t len, uint8_t ret[1 + PG_DNS_LABEL_MAX])
{
    if (len == 0 || len > PG_DNS_LABEL_MAX) {
        return false;
    }
    ret[0] = (uint8_t)len;
    for (size_t i = 0; i < len; i++) {
        ret[1 + i] = pg_dns_lower((uint8_t)text[i]);
    }
    return true;
}

/* The hostname, or the address with dashes. */
static bool endpoint_label(const struct pg_endpoint *e, uint8_t ret[1 + PG_DNS_LABEL_MAX])
{
    char out[PG_ADDR_TEXT + 1];

    if (e->hostname[0]) {
        return label_of(e->hostname, strlen(e->hostname), ret);
    }
    pg_addr_print(&e->addr, out);
    size_t len = strlen(out);

    for (size_t i = 0; i < len; i++) {
        out[i] = out[i] == '.' || out[i] == ':' ? '-' : out[i];
    }
    if (len > 0 && out[len - 1] == '-') { /* fd60:: ; a label does not end in a dash */
        out[len++] = '0';
    }
    return label_of(out, len, ret);
}

bool pg_zone_same_label(const uint8_t *a, const uint8_t *b)
{
    return a[0] == b[0] && memcmp(a + 1, b + 1, a[0]) == 0;
}

static int compare_labels(const uint8_t *a, const uint8_t *b)
{
    uint32_t shorter = a[0] < b[0] ? a[0] : b[0];
    int order = memcmp(a + 1, b + 1, shorter);

    return order ? order : a[0] - b[0];
}

uint32_t pg_zone_part_find(const struct pg_zone_part *p, const uint8_t *label)
{
    uint32_t low = 0;
    uint32_t high = p->end_count;

    while (low < high) { /* the first that is not before it */
        uint32_t middle = low + (high - low) / 2;

        if (compare_labels(p->texts + p->ends[p->by_label[middle]].label, label) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == p->end_count ||
        !pg_zone_same_label(p->texts + p->ends[p->by_label[low]].label, label)) {
        return PG_ZONE_NONE;
    }
    return low;
}

/* ---- gathering ---- */

static uint32_t endpoints_of(const struct pg_snapshot *s, const struct pg_service *service)
{
    uint32_t count = 0;

    for (uint32_t k = 0; k < service->port_count; k++) {
        count += s->service_ports[service->port_first + k].endpoint_count;
    }
    return service->type == PG_SERVICE_EXTERNAL_NAME ? 0 : count;
}

static void gather(struct making *m)
{
    const struct pg_service *service = m->service;

    for (uint32_t k = 0; k < service->port_count; k++) {
        const struct pg_service_port *sp = &m->s->service_ports[service->port_first + k];

        for (uint32_t i = 0; i < sp->endpoint_count; i++) {
            const struct pg_endpoint *e = &m->s->endpoints[sp->endpoint_first + i];
            struct ready *r = &m->ready[m->ready_count];

            if ((e->ready || service->publish_not_ready) && endpoint_label(e, r->label)) {
                r->endpoint = e;
                r->port = k;
                r->seq = m->ready_count++;
            }
        }
    }
}

static int compare_ready(const void *a, const void *b, void *arg)
{
    const struct ready *ready = arg;
    const struct ready *x = &ready[*(const uint32_t *)a];
    const struct ready *y = &ready[*(const uint32_t *)b];
    int order = compare_labels(x->label, y->label);

    if (order == 0) {
        order = memcmp(&x->endpoint->addr, &y->endpoint->addr, sizeof(x->endpoint->addr));
    }
    return order ? order : x->seq < y->seq ? -1 : 1;
}

/* Each pair of name and address is one end, numbered as the snapshot has them first. */
static uint32_t number_ends(struct making *m)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < m->ready_count; i++) {
        m->sorted[i] = i;
        m->ready[i].end = PG_ZONE_NONE;
    }
    qsort_r(m->sorted, m->ready_count, sizeof(*m->sorted), compare_ready, m->ready);
    for (uint32_t i = 0, first = 0; i < m->ready_count; i++) {
        struct ready *r = &m->ready[m->sorted[i]];
        const struct ready *of = &m->ready[m->sorted[first]];

        if (compare_labels(r->label, of->label) != 0 ||
            !pg_addr_equal(&r->endpoint->addr, &of->endpoint->addr)) {
            first = i;
            of = r;
        }
        r->end = of->seq; /* for now the place of the first of its kind */
    }
    for (uint32_t i = 0; i < m->ready_count; i++) {
        m->ready[i].end = m->ready[i].end == i ? count++ : m->ready[m->ready[i].end].end;
    }
    return count;
}

/* ---- the block ---- */

static uint32_t add_text(struct making *m, const uint8_t *label)
{
    uint32_t at = m->texts_len;

    memcpy(m->texts + at, label, 1u + label[0]);
    m->texts_len += 1u + label[0];
    return at;
}

static size_t aligned(size_t bytes)
{
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static void *take(uint8_t **at, size_t bytes)
{
    void *here = *at;

    *at += aligned(bytes);
    return here;
}

/* Texts: byte 0 (no text), namespace and name, a label per port and per end, or an alias. */
static bool make_block(struct making *m, uint32_t ends)
{
    uint32_t ports = m->service->port_count;
    size_t labels = sizeof(m->ready->label);
    size_t texts = 1 + (2 + (size_t)ports + ends) * labels + PG_DNS_NAME_MAX;
    size_t size = aligned(sizeof(*m->part)) + aligned(ends * sizeof(*m->ends)) +
                  aligned(ends * sizeof(*m->by_label)) + aligned(ports * sizeof(*m->ports)) +
                  aligned(m->ready_count * sizeof(*m->targets)) + texts;
    uint8_t *at = calloc(1, size);

    if (!at) {
        return false;
    }
    m->part = take(&at, sizeof(*m->part));
    m->ends = take(&at, ends * sizeof(*m->ends));
    m->by_label = take(&at, ends * sizeof(*m->by_label));
    m->ports = take(&at, ports * sizeof(*m->ports));
    m->targets = take(&at, m->ready_count * sizeof(*m->targets));
    m->texts = at;
    m->texts_len = 1;
    m->part->end_count = ends;
    m->part->ends = m->ends;
    m->part->by_label = m->by_label;
    m->part->ports = m->ports;
    m->part->targets = m->targets;
    m->part->texts = m->texts;
    return true;
}

static void fill_ends(struct making *m)
{
    uint32_t last = PG_ZONE_NONE;
    uint32_t count = 0;

    for (uint32_t i = 0; i < m->ready_count; i++) {
        struct ready *r = &m->ready[m->sorted[i]];

        if (r->end == last) {
            continue;
        }
        uint32_t before = count ? m->by_label[count - 1] : PG_ZONE_NONE;
        bool same_name = before != PG_ZONE_NONE &&
                         pg_zone_same_label(m->texts + m->ends[before].label, r->label);

        m->ends[r->end].addr = r->endpoint->addr;
        m->ends[r->end].label = same_name ? m->ends[before].label : add_text(m, r->label);
        m->by_label[count++] = last = r->end;
    }
}

static int compare_addrs(const void *a, const void *b, void *arg)
{
    const struct pg_zone_end *ends = arg;
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    int order = memcmp(&ends[x].addr, &ends[y].addr, sizeof(ends[x].addr));

    return order ? order : x < y ? -1 : 1;
}

/* An address under several names is one answer to the service's own name. */
static void mark_repeats(struct making *m)
{
    uint32_t count = m->part->end_count;

    for (uint32_t i = 0; i < count; i++) {
        m->sorted[i] = i;
    }
    qsort_r(m->sorted, count, sizeof(*m->sorted), compare_addrs, m->ends);
    for (uint32_t i = 1; i < count; i++) {
        m->ends[m->sorted[i]].repeats =
            pg_addr_equal(&m->ends[m->sorted[i]].addr, &m->ends[m->sorted[i - 1]].addr);
    }
}

/* Dual stack and shared hostnames: several addresses, one name, one SRV. */
static int compare_targets(const void *a, const void *b, void *arg)
{
    const struct pg_zone_end *ends = arg;
    const struct pg_zone_target *x = a;
    const struct pg_zone_target *y = b;

    if (ends[x->end].label != ends[y->end].label) {
        return ends[x->end].label < ends[y->end].label ? -1 : 1;
    }
    if (x->port != y->port) {
        return x->port < y->port ? -1 : 1;
    }
    return x->end < y->end ? -1 : x->end > y->end;
}

static void fill_targets(struct making *m, struct pg_zone_port *port, uint32_t k)
{
    struct pg_zone_target *at = m->targets + m->part->target_count;
    uint32_t kept = 0;

    port->first = m->part->target_count;
    for (uint32_t i = 0; i < m->ready_count; i++) {
        if (m->ready[i].port == k) {
            at[port->ready++] =
                (struct pg_zone_target){.end = m->ready[i].end, .port = m->ready[i].endpoint->port};
        }
    }
    qsort_r(at, port->ready, sizeof(*at), compare_targets, m->ends);
    for (uint32_t i = 0; i < port->ready; i++) {
        if (kept == 0 || at[kept - 1].port != at[i].port ||
            m->ends[at[kept - 1].end].label != m->ends[at[i].end].label) {
            at[kept++] = at[i];
        }
    }
    port->count = kept;
    m->part->target_count += kept;
}

static void fill_ports(struct making *m)
{
    uint8_t label[1 + PG_DNS_LABEL_MAX];
    bool headless = m->service->type == PG_SERVICE_HEADLESS;

    for (uint32_t k = 0; k < m->service->port_count; k++) {
        const struct pg_service_port *sp = &m->s->service_ports[m->service->port_first + k];
        struct pg_zone_port *port = &m->ports[k];

        port->port = sp->port;
        port->proto = sp->proto;
        if (headless) {
            fill_targets(m, port, k);
        }
        /* one byte less than a label has: it is asked for with '_' in front */
        if (strlen(sp->name) < PG_DNS_LABEL_MAX && (!headless || port->count > 0) &&
            label_of(sp->name, strlen(sp->name), label)) {
            port->label = add_text(m, label);
        }
    }
    m->part->port_count = m->service->port_count;
}

/* The target's wire name; 0: it is not a name (an address is none). */
static uint32_t add_alias(struct making *m)
{
    const char *text = m->service->external_name;
    uint8_t wire[PG_DNS_NAME_MAX];
    struct pg_addr a;
    uint32_t len = pg_dns_name_parse(text, strlen(text), wire);

    if (len <= 1 || pg_addr_parse(text, strlen(text), &a) == 0) {
        return 0;
    }
    uint32_t at = m->texts_len;

    memcpy(m->texts + at, wire, len);
    m->texts_len += len;
    return at;
}

static pg_reason_id service_reason(const struct pg_service *s, enum pg_code code)
{
    char object[OBJECT_TEXT];

    (void)snprintf(object, sizeof(object), "Service/%s/%s", s->namespace, s->name);
    return pg_reason_intern(&(struct pg_reason){
        .code = code, .object = object, .file = s->source.file, .line = s->source.line});
}

static void fill(struct making *m)
{
    const struct pg_service *s = m->service;
    struct pg_zone_part *p = m->part;
    uint8_t namespace[1 + PG_DNS_LABEL_MAX];
    uint8_t name[1 + PG_DNS_LABEL_MAX];

    p->type = s->type;
    p->answer = service_reason(s, PG_CODE_DNS_ANSWER);
    p->nodata = service_reason(s, PG_CODE_DNS_NODATA);
    if (!label_of(s->namespace, strlen(s->namespace), namespace) ||
        !label_of(s->name, strlen(s->name), name)) {
        return;
    }
    p->namespace = add_text(m, namespace);
    p->name = add_text(m, name);
    if (s->type == PG_SERVICE_EXTERNAL_NAME) {
        p->alias = add_alias(m);
        p->named = p->alias != 0;
        return;
    }
    memcpy(p->cluster_ip, s->cluster_ip, sizeof(p->cluster_ip));
    fill_ends(m);
    mark_repeats(m);
    fill_ports(m);
    p->named = s->type != PG_SERVICE_HEADLESS || p->end_count > 0;
}

struct pg_zone_part *pg_zone_part_new(const struct pg_snapshot *s, uint32_t service)
{
    struct making m = {.s = s, .service = &s->services[service]};
    size_t room = endpoints_of(s, m.service);

    m.ready = malloc((room ? room : 1) * sizeof(*m.ready));
    m.sorted = malloc((room ? room : 1) * sizeof(*m.sorted));
    if (m.ready && m.sorted) {
        if (m.service->type != PG_SERVICE_EXTERNAL_NAME) {
            gather(&m);
        }
        if (make_block(&m, number_ends(&m))) {
            fill(&m);
        }
    }
    free(m.ready);
    free(m.sorted);
    return m.part;
}
