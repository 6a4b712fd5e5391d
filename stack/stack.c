/* The stack comes and goes, and what lwIP asks the machine for.
 *
 * lwIP's state is global, so there is one stack a process; its parts live in pools sized at the
 * start. Called by the spine at start and stop. The questions of lwIP (random numbers, the first
 * sequence number, the time) are answered from what was handed in at the start, so that a replay is
 * exact.
 *
 * Owns struct pg_stack, the one netif and the one listening pcb. The listener stands for every
 * address and port: netif.c sets its port before each SYN, after it has asked whether somebody
 * listens there. */
#include "stack_internal.h"

#include "podglass/log.h"

#include "lwip/hooks.h"
#include "lwip/init.h"
#include "lwip/sys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CONN_LIMIT     100000
#define SEND_BUFFER    (1024 * 1024)
#define RECEIVE_WINDOW (256 * 1024)
#define WINDOW_MIN     4096
#define TIME_WAIT_MOST 65536

static struct netif netif;
static struct pg_stack *instance;

struct netif *pg_stack_netif(void)
{
    return &netif;
}

/* ---- what lwIP asks (stack/lwip/hooks.h, arch/cc.h) ---- */

void pg_lwip_assert_failed(const char *what, const char *file, int line)
{
    pg_assert_failed(what, file, line);
}

uint32_t pg_lwip_random(void)
{
    /* lwIP asks once per process, for a first port that we never use: drawing would make the first
     * instance differ from the next with the same seed. */
    return 0;
}

u32_t sys_now(void)
{
    return tcp_ticks;
}

/* RFC 6528: a keyed hash of the connection, and a clock of 4 microseconds. */
uint32_t pg_lwip_isn(const ip_addr_t *local, u16_t local_port, const ip_addr_t *remote,
                     u16_t remote_port)
{
    struct pg_stack *s = instance;
    struct {
        ip_addr_t local;
        ip_addr_t remote;
        uint32_t ports;
    } key;
    uint32_t isn;

    memset(&key, 0, sizeof key);
    ip_addr_copy(key.local, *local);
    ip_addr_copy(key.remote, *remote);
    key.ports = (uint32_t)local_port << 16 | remote_port;
    isn = (uint32_t)pg_hash(&s->isn_key, &key, sizeof key) + (uint32_t)(s->now_us / 4);
    if (s->isn_has_floor && TCP_SEQ_LT(isn, s->isn_floor))
        isn = s->isn_floor;
    s->isn_has_floor = false;
    return isn;
}

void pg_stack_isn_above(struct pg_stack *s, uint32_t seq)
{
    s->isn_floor = seq + 65535 +
                   2; /* beyond what the old connection could still have in flight, as Linux does */
    s->isn_has_floor = true;
}

/* ---- start and stop ---- */

static err_t netif_up(struct netif *n)
{
    n->output = pg_output_v4;
    n->output_ip6 = pg_output_v6;
    n->flags |= NETIF_FLAG_LINK_UP;
    return ERR_OK;
}

static void start_lwip(struct pg_stack *s)
{
    static bool started;

    if (!started) {
        ip4_addr_t some;

        lwip_init();
        tcp_ext_arg_alloc_id();
        IP4_ADDR(&some, 192, 0, 0, 8); /* RFC 7600's dummy: lwIP wants one before it routes */
        netif_add(&netif, &some, NULL, NULL, NULL, netif_up, NULL);
        netif_set_default(&netif);
        netif_set_up(&netif);
        started = true;
    }
    netif.state = s;
    netif.mtu = s->options.mtu;
}

static err_t on_accept(void *arg, struct tcp_pcb *pcb, err_t err)
{
    struct pg_conn *c;

    if (err != ERR_OK || pcb == NULL) /* lwIP had no memory for one */
        return ERR_VAL;
    c = arg;
    pg_conn_opened(c);
    c->stack->counters->value[PG_COUNT_TCP_ACCEPTED]++;
    pg_stack_event(c, PG_EVENT_ACCEPT);
    return ERR_OK;
}

static int open_listener(struct pg_stack *s)
{
    struct tcp_pcb *pcb = tcp_new_ip_type(IPADDR_TYPE_ANY);
    struct tcp_pcb *listener;

    if (pcb == NULL)
        return -ENOMEM;
    tcp_arg(pcb, s);
    tcp_ext_arg_set_callbacks(pcb, 0, &pg_conn_pcb_callbacks);
    listener = tcp_listen(pcb); /* frees pcb */
    if (listener == NULL) {
        tcp_abandon(pcb, 0);
        return -ENOMEM;
    }
    tcp_accept(listener, on_accept);
    s->listener = listener;
    return 0;
}

static void set_options(struct pg_stack *s, const struct pg_stack_options *options)
{
    struct pg_stack_options *o = &s->options;

    *o = *options;
    if (o->mtu == 0)
        o->mtu = 1500;
    if (o->conn_limit == 0)
        o->conn_limit = CONN_LIMIT;
    if (o->send_buffer == 0)
        o->send_buffer = SEND_BUFFER;
    o->send_buffer = pg_min_u32(o->send_buffer, TCP_SND_BUF);
    if (o->receive_window == 0)
        o->receive_window = RECEIVE_WINDOW;
    o->receive_window = pg_min_u32(pg_max_u32(o->receive_window, WINDOW_MIN), TCP_WND);
}

void pg_stack_set_time(struct pg_stack *s, uint64_t now_us)
{
    if (now_us > s->now_us)
        s->now_us = now_us;
    tcp_ticks = (u32_t)(s->now_us / 1000);
}

struct pg_stack *pg_stack_new(const struct pg_stack_options *options, struct pg_counters *counters,
                              struct pg_trace *trace, struct pg_random *random, uint64_t now_us)
{
    struct pg_hash_key bucket_key = pg_random_key(random);
    struct pg_stack *s = calloc(1, sizeof *s);

    PG_ASSERT(instance == NULL);
    if (s == NULL)
        return NULL;
    set_options(s, options);
    s->counters = counters;
    s->trace = trace;
    s->random = random;
    s->isn_key = pg_random_key(random);
    s->port_key = pg_random_key(random);
    s->wheel = pg_wheel_new(now_us / 1000);
    s->conns = pg_pool_new("connections", sizeof(struct pg_conn), s->options.conn_limit);
    s->time_waits = pg_pool_new("time-wait", sizeof(struct pg_time_wait), TIME_WAIT_MOST);
    s->linear = malloc(PG_HEADERS_MAX + 65536);
    instance = s;
    if (s->wheel == NULL || s->conns == NULL || s->time_waits == NULL || s->linear == NULL ||
        pg_bucket_open(&bucket_key) != 0)
        goto fail;
    start_lwip(s);
    pg_stack_set_time(s, now_us);
    if (open_listener(s) != 0) {
        pg_bucket_close();
        goto fail;
    }
    return s;
fail:
    instance = NULL;
    pg_wheel_free(s->wheel);
    pg_pool_free(s->conns);
    pg_pool_free(s->time_waits);
    free(s->linear);
    free(s);
    return NULL;
}

void pg_stack_free(struct pg_stack *s)
{
    if (s == NULL)
        return;
    for (uint32_t i = 0; i < pg_pool_high_water(s->conns); i++)
        if (pg_pool_in_use(s->conns, i))
            pg_conn_abort(pg_pool_at(s->conns, i));
    while (pg_stack_sweep(s, s->now_us))
        ;
    PG_ASSERT(pg_pool_used(s->conns) == 0);
    while (s->tw_first != NULL)
        pg_time_wait_end(s, s->tw_first->pcb);
    tcp_close(s->listener);
    pg_bucket_close();
    pg_wheel_free(s->wheel);
    pg_pool_free(s->conns);
    pg_pool_free(s->time_waits);
    free(s->linear);
    free(s);
    instance = NULL;
}

/* ---- numbers ---- */

uint64_t pg_stack_next_due_us(const struct pg_stack *s)
{
    uint64_t ms = pg_wheel_next(s->wheel);

    if (s->ready.head != NULL || s->todo.head != NULL)
        return s->now_us;
    return ms == UINT64_MAX ? UINT64_MAX : ms * 1000;
}

uint32_t pg_stack_conn_count(const struct pg_stack *s)
{
    return pg_pool_used(s->conns);
}

uint32_t pg_stack_time_wait_count(const struct pg_stack *s)
{
    return pg_pool_used(s->time_waits);
}

uint64_t pg_stack_held_bytes(const struct pg_stack *s)
{
    return s->held_bytes;
}
