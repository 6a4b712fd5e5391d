/* The life of a path: its parts are made and wired, loaded, drained, freed, and shown to those who look.
 *
 * What the parts may not know of each other they ask through here: TCP which flow a connection belongs to, the proxy what its client had called. */
#include "path_internal.h"

#include "podglass/nat_rewrite.h"

#include <errno.h>
#include <stdlib.h>

#define QUEUE_LIMIT           16384
#define DEFAULT_MTU           1500
#define DEFAULT_BUFFERS       8192
#define DEFAULT_TRACE_RECORDS 4096

/* ---- what parts ask ---- */

/* An accepted connection belongs to the flow its SYN made: same label. Seen from the stack the packet went src -> dst after translation,
 * which is the reply tuple turned round. */
static uint32_t on_stack_label(void *arg, const struct pg_tuple *tuple)
{
    struct pg_path *path = arg;
    struct pg_tuple reply = pg_tuple_invert(tuple);
    return pg_nat_label_of(path->nat, &reply);
}

/* A connection of the ingress as its client began it. */
static bool on_proxy_begun(void *arg, const struct pg_tuple *received, struct pg_tuple *ret)
{
    const struct pg_path *path = arg;
    struct pg_tuple reply = pg_tuple_invert(received);
    return pg_nat_begun_as(path->nat, &reply, ret);
}

/* ---- start, reload, stop ---- */

static bool make_parts(struct pg_path *path, const struct pg_path_options *o, uint64_t now_us)
{
    struct pg_stack_options stack = {.output = pg_path_output,
                                     .listener = pg_path_listener,
                                     .label_of = on_stack_label,
                                     .arg = path,
                                     .mtu = (uint16_t)path->mtu,
                                     .conn_limit = o->conn_limit};
    path->buffers = pg_buf_pool_new(o->buffer_limit != 0 ? o->buffer_limit : DEFAULT_BUFFERS);
    path->queue_pool = pg_pool_new("path queue", sizeof(struct pg_queued), QUEUE_LIMIT);
    path->trace = pg_trace_new(o->trace_records != 0 ? o->trace_records : DEFAULT_TRACE_RECORDS);
    if (path->buffers == NULL || path->queue_pool == NULL || path->trace == NULL) {
        return false;
    }
    pg_trace_set_level(path->trace, o->trace_level);
    pg_trace_set_clock(path->trace, o->clock_us);
    pg_trace_set_time(path->trace, now_us);
    path->sctp = pg_reason_intern(&(struct pg_reason){.code = PG_CODE_DROP_SCTP});
    path->fragments = pg_fragments_new(&path->counters);
    path->nat = pg_nat_new(&o->nat, &path->counters, path->trace, &path->random, now_us);
    path->stack = pg_stack_new(&stack, &path->counters, path->trace, &path->random, now_us);
    if (path->fragments == NULL || path->nat == NULL || path->stack == NULL) {
        return false;
    }
    struct pg_proxy_options proxy = o->proxy;
    proxy.begun_as = on_proxy_begun;
    proxy.begun_arg = path;
    path->proxy =
        pg_proxy_new(&proxy, path->stack, &path->counters, path->trace, &path->random, now_us);
    path->echo = pg_echo_new(path->stack, now_us);
    path->clients = pg_lab_clients_new(path->stack, path->trace, now_us);
    path->health = pg_health_new(path);
    path->idle = pg_wheel_new(now_us / 1000);
    return pg_path_dns_new(path, now_us) && path->proxy != NULL && path->echo != NULL &&
           pg_echo_speak_tls(path->echo, path->proxy) && path->clients != NULL &&
           path->health != NULL && path->idle != NULL;
}

struct pg_path *pg_path_new(const struct pg_path_options *options, const struct pg_random *random,
                            uint64_t now_us)
{
    struct pg_path *path = calloc(1, sizeof *path);
    if (path == NULL) {
        return NULL;
    }
    pg_snapshot_reclaim_begin();
    path->random = *random;
    path->now_us = now_us;
    path->mtu = options->mtu != 0 ? options->mtu : DEFAULT_MTU;
    path->queue_last = &path->queue_first;
    path->zone_key = pg_random_key(&path->random);
    if (!make_parts(path, options, now_us)) {
        pg_path_free(path);
        return NULL;
    }
    return path;
}

/* Names and services change together or not at all. */
static int load_names_and_services(struct pg_path *path, struct pg_snapshot *s, uint64_t now_us)
{
    struct pg_zone_update *names = NULL;
    struct pg_zone *zone = path->zone;
    if (zone == NULL) {
        zone = pg_zone_new(s, &path->zone_key);
    } else {
        names = pg_zone_update_begin(zone, s);
    }
    if (zone == NULL || (path->zone != NULL && names == NULL)) {
        return -ENOMEM;
    }
    int error = pg_nat_load(path->nat, s, now_us);
    if (error == 0 && names != NULL) {
        pg_zone_update_commit(names);
    }
    pg_zone_update_free(names);
    if (error != 0 && path->zone == NULL) {
        pg_zone_free(zone);
        return error;
    }
    path->zone = zone;
    return error;
}

int pg_path_load(struct pg_path *path, struct pg_snapshot *s, uint64_t now_us)
{
    int error = load_names_and_services(path, s, now_us);
    if (error != 0) {
        return error;
    }
    struct pg_snapshot *old = path->snapshot;
    path->snapshot = pg_snapshot_ref(s);
    pg_proxy_load(path->proxy, s, path->zone);
    pg_echo_load(path->echo, s);
    pg_dns_forward_load(path->dns_forward, s, path->zone);
    pg_path_find_ingress_ports(path);
    pg_snapshot_put(old);
    return 0;
}

void pg_path_drain(struct pg_path *path)
{
    pg_proxy_drain(path->proxy);
}

void pg_path_free(struct pg_path *path)
{
    if (path == NULL) {
        return;
    }
    pg_lab_clients_free(path->clients);
    path->clients = NULL; /* the stack's last resets ask owner.c, and go to the wire */
    pg_path_dns_free(path);
    pg_health_free(path->health);
    pg_wheel_free(path->idle);
    pg_echo_free(path->echo);
    pg_proxy_free(path->proxy);
    pg_stack_free(path->stack);
    while (path->queue_first != NULL) {
        struct pg_queued *q = path->queue_first;
        path->queue_first = q->next;
        pg_buf_put(q->packet.buf);
    }
    pg_fragments_free(path->fragments);
    pg_nat_free(path->nat);
    pg_zone_free(path->zone);
    pg_snapshot_put(path->snapshot);
    pg_trace_free(path->trace);
    pg_pool_free(path->queue_pool);
    pg_links_close(path);
    pg_buf_pool_free(path->buffers);
    free(path);
    pg_snapshot_reclaim_end();
}

/* ---- parts, for those who look ---- */

struct pg_nat *pg_path_nat(struct pg_path *p)
{
    return p->nat;
}

struct pg_proxy *pg_path_proxy(struct pg_path *p)
{
    return p->proxy;
}

struct pg_stack *pg_path_stack(struct pg_path *p)
{
    return p->stack;
}

struct pg_trace *pg_path_trace(struct pg_path *p)
{
    return p->trace;
}

struct pg_echo *pg_path_echo(struct pg_path *p)
{
    return p->echo;
}

struct pg_lab_clients *pg_path_clients(struct pg_path *p)
{
    return p->clients;
}

const struct pg_counters *pg_path_counters(const struct pg_path *p)
{
    return &p->counters;
}

void pg_path_count(struct pg_path *p, enum pg_counter counter)
{
    p->counters.value[counter]++;
}

const struct pg_snapshot *pg_path_snapshot(const struct pg_path *p)
{
    return p->snapshot;
}

const struct pg_zone *pg_path_zone(const struct pg_path *p)
{
    return p->zone;
}

const struct pg_dns_forward *pg_path_dns_forward(const struct pg_path *p)
{
    return p->dns_forward;
}

uint32_t pg_path_held_packets(const struct pg_path *p)
{
    return pg_pool_used(p->queue_pool) + pg_fragments_held(p->fragments);
}

uint32_t pg_path_buffers_used(const struct pg_path *p)
{
    return pg_buf_pool_used(p->buffers);
}
