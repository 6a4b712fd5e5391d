/* Lists of lwIP by bucket: see bucket.h for the idea.
 *
 * Called by netif.c, conn.c, timer.c and ports.c around each use of lwIP's raw API. Owns the table
 * of list heads; while a bucket is entered its heads live in lwIP's own variables and the table's
 * copy of them is stale. */
#include "lwip/bucket.h"

#include "stack_internal.h"

#include "podglass/log.h"
#include "podglass/reserve.h"

#include <errno.h>

#define BUCKET_BITS  18 /* twice the default connection limit and more: about one pcb a list */
#define BUCKET_COUNT (1u << BUCKET_BITS)
#define BUCKET_NONE  0xffffffffu

struct heads {
    struct tcp_pcb *active;
    struct tcp_pcb *time_wait;
};

static struct heads *table;
static uint32_t entered = BUCKET_NONE;
static struct pg_hash_key hash_key;

int pg_bucket_open(const struct pg_hash_key *key)
{
    PG_ASSERT(table == NULL);
    table = pg_reserve(BUCKET_COUNT * sizeof *table);
    if (table == NULL)
        return -ENOMEM;
    hash_key = *key;
    return 0;
}

void pg_bucket_close(void)
{
    PG_ASSERT(entered == BUCKET_NONE);
    for (uint32_t i = 0; i < BUCKET_COUNT; i++)
        PG_ASSERT(table[i].active == NULL && table[i].time_wait == NULL);
    pg_unreserve(table, BUCKET_COUNT * sizeof *table);
    table = NULL;
}

uint32_t pg_bucket_of(const struct pg_tuple *received)
{
    return (uint32_t)pg_hash_tuple(&hash_key, received) & (BUCKET_COUNT - 1);
}

static void store(void)
{
    table[entered].active = tcp_active_pcbs;
    table[entered].time_wait = tcp_tw_pcbs;
}

static void install(uint32_t bucket)
{
    entered = bucket;
    tcp_active_pcbs = bucket == BUCKET_NONE ? NULL : table[bucket].active;
    tcp_tw_pcbs = bucket == BUCKET_NONE ? NULL : table[bucket].time_wait;
}

uint32_t pg_bucket_enter(uint32_t bucket)
{
    uint32_t before = entered;

    if (before != BUCKET_NONE)
        store();
    install(bucket);
    return before;
}

void pg_bucket_leave(uint32_t before)
{
    store();
    install(before);
}

/* The pcb of a connection that was quiet is far away. All of it is wanted if it is the one, and its
 * lines come together if they are asked for together. */
static void fetch(const struct tcp_pcb *pcb)
{
    for (size_t at = 0; at < sizeof *pcb; at += 64)
        __builtin_prefetch((const uint8_t *)pcb + at);
}

static struct tcp_pcb *find_in(struct tcp_pcb *list, const ip_addr_t *peer, const ip_addr_t *local,
                               const struct pg_tuple *received)
{
    for (struct tcp_pcb *pcb = list; pcb != NULL; pcb = pcb->next)
        if (pcb->remote_port == received->src_port && pcb->local_port == received->dst_port &&
            ip_addr_cmp(&pcb->remote_ip, peer) && ip_addr_cmp(&pcb->local_ip, local))
            return pcb;
    return NULL;
}

struct tcp_pcb *pg_bucket_find(uint32_t bucket, const struct pg_tuple *received)
{
    ip_addr_t peer;
    ip_addr_t local;
    struct tcp_pcb *pcb;

    if (entered != BUCKET_NONE)
        store();
    if (table[bucket].active == NULL && table[bucket].time_wait == NULL)
        return NULL;
    if (table[bucket].active != NULL)
        fetch(table[bucket].active);
    pg_addr_to_lwip(&received->src, &peer);
    pg_addr_to_lwip(&received->dst, &local);
    pcb = find_in(table[bucket].active, &peer, &local, received);
    if (pcb == NULL)
        pcb = find_in(table[bucket].time_wait, &peer, &local, received);
    return pcb;
}

bool pg_bucket_holds(uint32_t bucket, const struct tcp_pcb *pcb)
{
    if (entered != BUCKET_NONE)
        store();
    for (const struct tcp_pcb *p = table[bucket].active; p != NULL; p = p->next)
        if (p == pcb)
            return true;
    for (const struct tcp_pcb *p = table[bucket].time_wait; p != NULL; p = p->next)
        if (p == pcb)
            return true;
    return false;
}
