/* What a load balancer asks the nodes: the health-check node port of services with externalTrafficPolicy Local, and kube-proxy's own port.
 *
 *   NODE:healthCheckNodePort, any path   200 with local ready endpoints, else 503; JSON and the weight header, as kube-proxy answers
 *   NODE:10256 /healthz /livez           200: the tables are those of the manifests
 * One request per connection, like dns_tcp.c beside it: small, bounded, from a pool. Facts: services-nat-dns.md A3. */
#include "path_internal.h"

#include "podglass/http.h"
#include "podglass/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HEALTH_CONNS      256
#define HEALTH_HEAD       2048 /* a probe's request is small */
#define PROXY_HEALTH_PORT 10256

struct health_conn {
    struct pg_idle_conn idle; /* first */
    struct pg_health *health;
};

struct pg_health {
    struct pg_path *path;
    struct pg_pool *pool;
    struct pg_listener listener;
    struct pg_http_head head;
};

static void let_go(struct health_conn *c)
{
    pg_idle_end(c->health->path, &c->idle);
}

/* ---- what is answered ---- */

static uint32_t service_of(const struct pg_snapshot *s, uint16_t port)
{
    for (uint32_t i = 0; i < s->service_count; i++) {
        if (s->services[i].health_check_node_port == port) {
            return i;
        }
    }
    return PG_INDEX_NONE;
}

static bool counts(const struct pg_endpoint *e, uint32_t node, bool v6)
{
    return e->ready && e->node == node && pg_addr_is_v4(&e->addr) != v6;
}

/* Whether a port of the service before this one has the address as well. */
static bool seen_before(const struct pg_snapshot *s, const struct pg_service *service,
                        uint32_t port, const struct pg_addr *a)
{
    for (uint32_t p = service->port_first; p < port; p++) {
        const struct pg_service_port *before = &s->service_ports[p];
        for (uint32_t i = 0; i < before->endpoint_count; i++) {
            const struct pg_endpoint *e = &s->endpoints[before->endpoint_first + i];
            if (e->ready && pg_addr_equal(&e->addr, a)) {
                return true;
            }
        }
    }
    return false;
}

/* Ready only: the check fails while terminating endpoints still serve, so that balancers turn away in time. By address, whatever the port, and of the family that was
 * asked: each family has a proxy of its own. */
static uint32_t local_ready(const struct pg_snapshot *s, const struct pg_service *service,
                            uint32_t node, bool v6)
{
    uint32_t count = 0;
    for (uint32_t p = service->port_first; p < service->port_first + service->port_count; p++) {
        const struct pg_service_port *port = &s->service_ports[p];
        const struct pg_endpoint *last = NULL;
        for (uint32_t i = 0; i < port->endpoint_count; i++) {
            const struct pg_endpoint *e = &s->endpoints[port->endpoint_first + i];
            if (!counts(e, node, v6) || (last != NULL && pg_addr_equal(&last->addr, &e->addr))) {
                continue;
            }
            last = e;
            count += !seen_before(s, service, p, &e->addr);
        }
    }
    return count;
}

static void write_service(const struct pg_snapshot *s, uint32_t index, const struct pg_addr *asked,
                          struct pg_text *head, struct pg_text *body)
{
    const struct pg_service *service = &s->services[index];
    uint32_t count =
        local_ready(s, service, pg_snapshot_node_by_addr(s, asked), !pg_addr_is_v4(asked));
    struct pg_json j;
    pg_json_begin(&j, body);
    pg_json_object(&j);
    pg_json_key(&j, "service");
    pg_json_object(&j);
    pg_json_key_string(&j, "namespace", service->namespace);
    pg_json_key_string(&j, "name", service->name);
    pg_json_object_end(&j);
    pg_json_key_uint(&j, "localEndpoints", count);
    pg_json_key_bool(&j, "serviceProxyHealthy", true);
    pg_json_object_end(&j);
    pg_text_printf(head,
                   "HTTP/1.1 %s\r\nContent-Type: application/json\r\nX-Content-Type-Options: "
                   "nosniff\r\nX-Load-Balancing-Endpoint-Weight: %u\r\n",
                   count != 0 ? "200 OK" : "503 Service Unavailable", count);
}

static bool path_is(const struct pg_http_head *h, const char *bytes, const char *path)
{
    return pg_slice_is(pg_span_slice(bytes, h->path), path);
}

static void answer(struct health_conn *c, const char *bytes)
{
    const struct pg_http_head *h = &c->health->head;
    const struct pg_snapshot *s = c->health->path->snapshot;
    struct pg_text head = {0};
    struct pg_text body = {0};
    uint16_t port = 0;
    struct pg_addr local = pg_conn_local(c->idle.conn, &port);
    uint32_t service = service_of(s, port);
    if (service != PG_INDEX_NONE) {
        write_service(s, service, &local, &head, &body);
    } else if (port == PROXY_HEALTH_PORT &&
               (path_is(h, bytes, "/healthz") || path_is(h, bytes, "/livez"))) {
        pg_text_puts(&body, "{\"nodeEligible\":true}");
        pg_text_puts(&head, "HTTP/1.1 200 OK\r\nContent-Type: "
                            "application/json\r\nX-Content-Type-Options: nosniff\r\n");
    } else {
        pg_text_puts(&body, "404 page not found\n");
        pg_text_puts(&head, "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\n");
    }
    pg_text_printf(&head, "Content-Length: %zu\r\nConnection: close\r\n\r\n", body.len);
    if (!h->is_head) {
        pg_text_add(&head, body.at, body.len);
    }
    if (pg_conn_write(c->idle.conn, head.at, (uint32_t)head.len) == 0) {
        pg_conn_close(c->idle.conn);
    } else {
        pg_conn_abort(c->idle.conn);
    }
    pg_text_free(&head);
    pg_text_free(&body);
}

/* ---- connections ---- */

static void on_readable(void *owner, struct pg_conn *conn)
{
    struct health_conn *c = owner;
    char bytes[HEALTH_HEAD];
    struct pg_http_scan scan = {0};
    enum pg_http_error error;
    uint32_t len = pg_conn_peek(conn, 0, bytes, sizeof bytes);
    int parsed = pg_http_parse(PG_HTTP_REQUEST, &scan, bytes, len, &c->health->head, &error);
    if (parsed == -EAGAIN && len < sizeof bytes && !pg_conn_end_seen(conn)) {
        return;
    }
    if (parsed == 0) {
        answer(c, bytes);
    } else {
        pg_conn_abort(conn);
    }
    let_go(c);
}

static void on_closed(void *owner, struct pg_conn *conn, int error)
{
    (void)conn;
    (void)error;
    let_go(owner);
}

static const struct pg_conn_events health_events = {.on_readable = on_readable,
                                                    .on_closed = on_closed};

static void on_accept(void *arg, struct pg_conn *conn)
{
    struct pg_health *h = arg;
    struct health_conn *c = (void *)pg_idle_begin(h->path, h->pool, conn);
    if (c == NULL) {
        pg_conn_abort(conn);
        return;
    }
    c->health = h;
    pg_conn_own(conn, &health_events, c);
}

struct pg_health *pg_health_new(struct pg_path *path)
{
    struct pg_health *h = calloc(1, sizeof *h);
    if (h == NULL) {
        return NULL;
    }
    h->path = path;
    h->listener = (struct pg_listener){.on_accept = on_accept, .arg = h};
    h->pool = pg_pool_new("health checks", sizeof(struct health_conn), HEALTH_CONNS);
    if (h->pool == NULL) {
        free(h);
        return NULL;
    }
    return h;
}

void pg_health_free(struct pg_health *h)
{
    if (h != NULL) {
        pg_pool_free(h->pool);
        free(h);
    }
}

const struct pg_listener *pg_health_listener(struct pg_health *h, uint16_t port)
{
    return port == PROXY_HEALTH_PORT || service_of(h->path->snapshot, port) != PG_INDEX_NONE
               ? &h->listener
               : NULL;
}
