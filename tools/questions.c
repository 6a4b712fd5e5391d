/* What `diff` asks: a set of requests that two sets of manifests are asked, by names and not by addresses, since those may differ.
 *
 * Without a file: every host and path of the Ingress rules of either side, from outside; every port of every service of either side, from
 * outside (as a client would: balancer address, external address, node port) and from a pod (cluster IP). With a file: its lines. */
#include "diff_internal.h"

#include "route_request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pg_question *pg_questions_add(struct pg_questions *q)
{
    if (q->count == q->room) {
        q->room = q->room ? 2 * q->room : 64;
        q->at = realloc(q->at, q->room * sizeof *q->at);
        if (!q->at) {
            abort();
        }
    }
    q->at[q->count] = (struct pg_question){0};
    return &q->at[q->count++];
}

static void print(struct pg_text *to, const char *a, const char *b, const char *c)
{
    pg_text_printf(to, "%s%s%s", a, b, c);
}

/* ---- the default set ---- */

static void ask_route(struct pg_questions *q, const struct pg_snapshot *s,
                      const struct pg_route *route)
{
    struct pg_question *one = pg_questions_add(q);
    struct pg_route_request ask;

    pg_route_request_make(s, route, &ask);
    print(&one->url, ask.tls ? "https://" : "http://", route->host[0] ? ask.host.at : "any.invalid",
          "");
    if (ask.port != (ask.tls ? 443 : 80)) {
        pg_text_printf(&one->url, ":%u", ask.port);
    }
    pg_text_puts(&one->url, route->path);
    one->kind = PG_QUESTION_URL;
    pg_route_request_free(&ask);
}

static void ask_port(struct pg_questions *q, const struct pg_service *v,
                     const struct pg_service_port *p, bool outside)
{
    struct pg_question *one = pg_questions_add(q);

    one->kind = outside ? PG_QUESTION_OUTSIDE : PG_QUESTION_INSIDE;
    one->namespace = v->namespace;
    one->name = v->name;
    one->port = p->port;
    one->proto = p->proto;
}

static bool is_outside(const struct pg_service *v, const struct pg_service_port *p)
{
    return v->lb_count || v->external_count || p->node_port;
}

static void ask_service(struct pg_questions *q, const struct pg_snapshot *s,
                        const struct pg_service *v)
{
    for (uint32_t i = 0; i < v->port_count; i++) {
        const struct pg_service_port *p = &s->service_ports[v->port_first + i];
        if (p->port == 0 || p->proto == PG_PROTO_SCTP) {
            continue;
        }
        if (is_outside(v, p)) {
            ask_port(q, v, p, true);
        }
        ask_port(q, v, p, false);
    }
}

static int compare(const void *a, const void *b)
{
    const struct pg_question *x = a;
    const struct pg_question *y = b;

    if (x->kind != y->kind) {
        return x->kind < y->kind ? -1 : 1;
    }
    if (x->kind == PG_QUESTION_URL) {
        return strcmp(x->url.at, y->url.at);
    }
    int order = strcmp(x->namespace, y->namespace);

    order = order ? order : strcmp(x->name, y->name);
    order = order ? order : (int)x->port - (int)y->port;
    return order ? order : (int)x->proto - (int)y->proto;
}

static void drop_doubles(struct pg_questions *q)
{
    uint32_t kept = 0;

    qsort(q->at, q->count, sizeof *q->at, compare);
    for (uint32_t i = 0; i < q->count; i++) {
        if (kept && compare(&q->at[kept - 1], &q->at[i]) == 0) {
            pg_text_free(&q->at[i].url);
        } else {
            q->at[kept++] = q->at[i];
        }
    }
    q->count = kept;
}

void pg_questions_of(const struct pg_snapshot *old, const struct pg_snapshot *new,
                     struct pg_questions *ret)
{
    const struct pg_snapshot *const sides[] = {old, new};

    *ret = (struct pg_questions){0};
    for (int side = 0; side < 2; side++) {
        const struct pg_snapshot *s = sides[side];
        for (uint32_t i = 0; i < s->route_count; i++) {
            if (s->routes[i].rule && s->routes[i].split) {
                ask_route(ret, s, &s->routes[i]);
            }
        }
        for (uint32_t i = 0; i < s->service_count; i++) {
            ask_service(ret, s, &s->services[i]);
        }
    }
    if (ret->count) {
        drop_doubles(ret);
    }
}

/* ---- a file of requests ---- */

/* The next word of a line; "" at its end. */
static const char *word(char **line)
{
    char *at = *line + strspn(*line, " \t");
    size_t len = strcspn(at, " \t");

    *line = at + len + (at[len] != 0);
    at[len] = 0;
    return at;
}

static bool read_line(struct pg_questions *q, char *line)
{
    const char *first = word(&line);

    if (first[0] == 0 || first[0] == '#') {
        return true;
    }
    struct pg_question *one = pg_questions_add(q);

    one->kind = PG_QUESTION_WORDS;
    if (!strchr(first, ':')) {
        pg_text_puts(&one->method, first);
        first = word(&line);
    }
    pg_text_puts(&one->url, first);
    const char *next = word(&line);

    if (strcmp(next, "from") == 0) {
        pg_text_puts(&one->from, word(&line));
        next = word(&line);
        return one->url.len && one->from.len && next[0] == 0;
    }
    return one->url.len && next[0] == 0;
}

int pg_questions_read(const char *path, struct pg_questions *ret, struct pg_text *why)
{
    FILE *f = fopen(path, "r");
    char *line = NULL;
    size_t room = 0;
    uint32_t number = 0;
    bool good = true;

    *ret = (struct pg_questions){0};
    if (!f) {
        pg_text_printf(why, "%s: %s", path, strerror(errno));
        return -1;
    }
    while (good && getline(&line, &room, f) > 0) {
        line[strcspn(line, "\r\n")] = 0;
        number++;
        good = read_line(ret, line);
    }
    if (!good) {
        pg_text_printf(why,
                       "%s:%u: expected [METHOD] URL, tcp:HOST:PORT or udp:HOST:PORT, then "
                       "[from WHO]",
                       path, number);
    }
    free(line);
    fclose(f);
    return good ? 0 : -1;
}

void pg_questions_free(struct pg_questions *q)
{
    for (uint32_t i = 0; i < q->count; i++) {
        pg_text_free(&q->at[i].url);
        pg_text_free(&q->at[i].method);
        pg_text_free(&q->at[i].from);
    }
    free(q->at);
    *q = (struct pg_questions){0};
}

/* ---- put to one side ---- */

static bool pod_of(const struct pg_snapshot *s, bool v6, struct pg_addr *ret)
{
    for (uint32_t i = 0; i < s->pod_count; i++) {
        const struct pg_pod *p = &s->pods[i];
        if (!p->host_network && p->backing != PG_BACKING_INGRESS &&
            !pg_addr_is_none(&p->addr[v6])) {
            *ret = p->addr[v6];
            return true;
        }
    }
    for (uint32_t i = 0; i < s->node_count;
         i++) { /* a pod that nobody wrote, in the node's range */
        if (s->nodes[i].pod_cidr[v6].bits) {
            *ret = pg_addr_add(&s->nodes[i].pod_cidr[v6].addr, 250);
            return true;
        }
    }
    return false;
}

/* Where somebody outside would go. */
static bool front_of(const struct pg_snapshot *s, const struct pg_service *v,
                     const struct pg_service_port *p, struct pg_addr *ret, uint16_t *ret_port)
{
    *ret_port = p->port;
    for (uint32_t i = v->lb_first; i < v->lb_first + v->lb_count; i++) {
        if (!s->lb_ips[i].proxy_mode) {
            *ret = s->lb_ips[i].addr;
            return true;
        }
    }
    if (v->external_count) {
        *ret = s->external_ips[v->external_first];
        return true;
    }
    if (p->node_port && s->node_count) {
        *ret = s->nodes[0].addr[pg_addr_is_none(&s->nodes[0].addr[0])];
        *ret_port = p->node_port;
        return true;
    }
    return false;
}

static const struct pg_service_port *find_port(const struct pg_snapshot *s,
                                               const struct pg_service *v,
                                               const struct pg_question *q)
{
    for (uint32_t i = 0; i < v->port_count; i++) {
        const struct pg_service_port *p = &s->service_ports[v->port_first + i];
        if (p->port == q->port && p->proto == q->proto) {
            return p;
        }
    }
    return NULL;
}

static bool ask_service_port(const struct pg_dry *d, const struct pg_question *q,
                             struct pg_dry_ask *ret)
{
    const struct pg_snapshot *s = pg_dry_snapshot(d);
    uint32_t index = pg_snapshot_service(s, q->namespace, q->name);

    if (index == PG_INDEX_NONE) {
        return false;
    }
    const struct pg_service *v = &s->services[index];
    const struct pg_service_port *p = find_port(s, v, q);

    if (!p) {
        return false;
    }
    ret->request.proto = q->proto;
    ret->request.to_port = q->port;
    ret->request.to = v->cluster_ip[pg_addr_is_none(&v->cluster_ip[0])];
    if (q->kind == PG_QUESTION_OUTSIDE &&
        !front_of(s, v, p, &ret->request.to, &ret->request.to_port)) {
        return false;
    }
    if (v->type == PG_SERVICE_HEADLESS && p->endpoint_count) { /* as its name resolves */
        ret->request.to = s->endpoints[p->endpoint_first].addr;
        ret->request.to_port = s->endpoints[p->endpoint_first].port;
    }
    if (pg_addr_is_none(&ret->request.to)) {
        return false;
    }
    bool v6 = !pg_addr_is_v4(&ret->request.to);

    if (q->kind == PG_QUESTION_OUTSIDE) {
        ret->request.from = pg_outsider(s, v6);
        return true;
    }
    return pod_of(s, v6, &ret->request.from);
}

bool pg_question_ask(const struct pg_dry *d, const struct pg_question *q, struct pg_dry_ask *ret,
                     struct pg_text *why)
{
    struct pg_ask w = {.from = q->from.len ? q->from.at : NULL,
                       .method = q->method.len ? q->method.at : NULL,
                       .headers = q->headers,
                       .header_count = q->header_count};
    struct pg_text to = {0};

    *ret = (struct pg_dry_ask){0};
    if (q->kind == PG_QUESTION_OUTSIDE || q->kind == PG_QUESTION_INSIDE) {
        if (ask_service_port(d, q, ret)) {
            return true;
        }
        pg_text_puts(why, "no such service port");
        return false;
    }
    if (strncmp(q->url.at, "tcp:", 4) == 0 || strncmp(q->url.at, "udp:", 4) == 0) {
        pg_text_printf(&to, "%s/%.3s", q->url.at + 4, q->url.at);
        w.to = to.at;
    } else {
        w.url = q->url.at;
    }
    int error = pg_dry_ask_read(d, &w, ret, why);

    pg_text_free(&to);
    return error == 0;
}

void pg_question_print(const struct pg_question *q, struct pg_text *out)
{
    if (q->kind == PG_QUESTION_OUTSIDE || q->kind == PG_QUESTION_INSIDE) {
        pg_text_printf(out, "%s svc/%s/%s:%u from %s", pg_proto_name(q->proto), q->namespace,
                       q->name, q->port, q->kind == PG_QUESTION_OUTSIDE ? "outside" : "a pod");
        return;
    }
    if (strncmp(q->url.at, "tcp:", 4) != 0 && strncmp(q->url.at, "udp:", 4) != 0) {
        pg_text_puts(out, q->method.len ? "" : "GET ");
    }
    if (q->method.len) {
        pg_text_add_escaped(out, q->method.at, q->method.len);
        pg_text_putc(out, ' ');
    }
    pg_text_add_escaped(out, q->url.at, q->url.len);
    if (q->from.len) {
        pg_text_puts(out, " from ");
        pg_text_add_escaped(out, q->from.at, q->from.len);
    }
    if (q->about) {
        pg_text_printf(out, " %s", q->about);
    }
}
