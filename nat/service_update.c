/* From one snapshot to the next, touching only services that changed.
 *
 * Both lists of services are sorted by name, and each service has a sum over all it is
 * (cluster/sum.c). Walking the two in step costs a comparison of numbers per service; what differs is
 * compiled aside and then exchanged, slot by slot. Addresses are taken out of the hash and put in
 * again only if they differ themselves: an endpoint that comes or goes touches none. So one change
 * among ten thousand services takes as long as its own service does.
 *
 * Two services may claim the same address and port. The claims of one key are a chain in the order of
 * the services' names; the first is the one in the hash.
 *
 * Called by load.c, and by service.c, for which everything is new. Owns the update between begin and
 * free. Always true: until commit nobody sees a difference. */
#include "nat_internal.h"
#include "podglass/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FRONTS_MOST (1u << 30)

/* ---- claims ---- */

/* Of two claims that of the service whose name comes first counts; the cluster DNS comes last. */
static uint32_t rank(const struct pg_service_table *t, const struct pg_front *f)
{
    return f->slot == PG_INDEX_NONE ? UINT32_MAX : t->index_of[f->slot];
}

static uint32_t front_index(const struct pg_service_table *t, const struct pg_front *f)
{
    return (uint32_t)(f - t->fronts);
}

/* The head of a chain is another one; NULL: no more or not yet there. In this order there is room. */
static void replace_head(struct pg_service_table *t, const struct pg_front *old,
                         const struct pg_front *head)
{
    if (old)
        pg_table_del(t->by_front, (uint32_t)pg_front_hash(&t->key, old), front_index(t, old));
    if (!head)
        return;
    int failed =
        pg_table_add(t->by_front, (uint32_t)pg_front_hash(&t->key, head), front_index(t, head));
    PG_ASSERT(
        !failed); /* out of memory, which ends the process as everywhere in the control plane */
}

static void add_claim(struct pg_service_table *t, struct pg_front *f)
{
    struct pg_front *head = pg_service_front(t, &f->addr, f->proto, f->port);

    if (!head || rank(t, f) < rank(t, head)) {
        f->next_claim = head ? front_index(t, head) + 1 : 0;
        replace_head(t, head, f);
        return;
    }
    while (head->next_claim && rank(t, &t->fronts[head->next_claim - 1]) <= rank(t, f))
        head = &t->fronts[head->next_claim - 1];
    f->next_claim = head->next_claim;
    head->next_claim = front_index(t, f) + 1;
}

static void del_claim(struct pg_service_table *t, struct pg_front *f)
{
    struct pg_front *head = pg_service_front(t, &f->addr, f->proto, f->port);

    if (head == f) {
        replace_head(t, f, f->next_claim ? &t->fronts[f->next_claim - 1] : NULL);
        return;
    }
    while (head->next_claim != front_index(t, f) + 1)
        head = &t->fronts[head->next_claim - 1];
    head->next_claim = f->next_claim;
}

/* There is room. */
static struct pg_front *front_new(struct pg_service_table *t, const struct pg_front *from)
{
    struct pg_front *f = NULL;

    if (t->front_free) {
        f = &t->fronts[t->front_free - 1];
        t->front_free = f->next;
    } else {
        f = &t->fronts[t->front_count++];
    }
    *f = *from;
    f->next = f->next_claim = 0;
    return f;
}

static void add_fronts(struct pg_service_table *t, uint32_t slot, const struct pg_front *from,
                       uint32_t count)
{
    uint32_t last = 0;

    for (uint32_t i = 0; i < count; i++) {
        if (pg_addr_is_none(&from[i].addr) && from[i].port == 0)
            continue;
        struct pg_front *f = front_new(t, &from[i]);
        if (last)
            t->fronts[last - 1].next = front_index(t, f) + 1;
        else
            t->first_front[slot] = front_index(t, f) + 1;
        last = front_index(t, f) + 1;
        add_claim(t, f);
    }
}

static void del_fronts(struct pg_service_table *t, uint32_t slot)
{
    uint32_t next;

    for (uint32_t i = t->first_front[slot]; i; i = next) {
        struct pg_front *f = &t->fronts[i - 1];
        next = f->next;
        del_claim(t, f);
        f->next = t->front_free;
        t->front_free = i;
    }
    t->first_front[slot] = 0;
}

static bool same_fronts(const struct pg_service_table *t, uint32_t slot,
                        const struct pg_front *fronts, uint32_t count)
{
    uint32_t at = t->first_front[slot];

    for (uint32_t i = 0; i < count; i++) {
        const struct pg_front *f = at ? &t->fronts[at - 1] : NULL;
        if (!f || !pg_addr_equal(&f->addr, &fronts[i].addr) || f->port != fronts[i].port ||
            f->proto != fronts[i].proto || f->capture != fronts[i].capture ||
            f->service_port != fronts[i].service_port)
            return false;
        at = f->next;
    }
    return at == 0;
}

/* ---- room ---- */

/* Room for `count` items in an array that doubles. */
static bool make_room(void *array_pointer, uint32_t *room, uint32_t count, size_t size)
{
    void *at;
    uint64_t more = *room ? *room : 16;

    if (count <= *room)
        return true;
    while (more < count)
        more *= 2;
    if (more > FRONTS_MOST)
        return false;
    memcpy(&at, array_pointer, sizeof(at));
    at = realloc(at, more * size);
    if (!at)
        return false;
    memcpy(array_pointer, &at, sizeof(at));
    *room = (uint32_t)more;
    return true;
}

/* Three arrays by slot; new slots are free. */
static bool make_slots(struct pg_service_table *t, uint32_t count)
{
    uint32_t rooms[3] = {t->slot_room, t->slot_room, t->slot_room};

    if (count <= t->slot_room)
        return true;
    if (!make_room(&t->served, &rooms[0], count, sizeof(struct pg_served *)) ||
        !make_room(&t->first_front, &rooms[1], count, sizeof(*t->first_front)) ||
        !make_room(&t->index_of, &rooms[2], count, sizeof(*t->index_of)))
        return false;
    for (uint32_t i = t->slot_room; i < rooms[0]; i++) {
        t->served[i] = NULL;
        t->first_front[i] = 0;
        t->index_of[i] = PG_INDEX_NONE;
    }
    t->slot_room = rooms[0];
    return true;
}

/* ---- what changed ---- */

static bool note(struct pg_service_update *u, uint32_t slot, uint32_t service)
{
    if (!make_room(&u->changes, &u->change_room, u->change_count + 1, sizeof(*u->changes)))
        return false;
    struct pg_service_change *c = &u->changes[u->change_count++];

    *c = (struct pg_service_change){.slot = slot, .service = service};
    if (service == PG_INDEX_NONE)
        return true;
    bool later = u->table->on_demand;
    c->made = later ? NULL : pg_served_new(u->snapshot, service);
    c->front_count = pg_served_fronts(u->snapshot, service, slot, NULL);
    c->front_first = u->front_count;
    if ((!c->made && !later) ||
        !make_room(&u->fronts, &u->front_room, u->front_count + c->front_count, sizeof(*u->fronts)))
        return false;
    u->slot_of[service] = slot;
    pg_served_fronts(u->snapshot, service, slot, u->fronts + c->front_first);
    u->front_count += c->front_count;
    return true;
}

/* A free slot: one that was given up before, or a new one. `*from`: where to look on. */
static uint32_t free_slot(struct pg_service_update *u, uint32_t *from)
{
    const struct pg_service_table *t = u->table;

    while (*from < t->slot_count && t->served[*from])
        ++*from;
    return *from < t->slot_count ? (*from)++ : u->slot_count++;
}

static int compare_names(const struct pg_service *a, const struct pg_service *b)
{
    int order = strcmp(a->namespace, b->namespace);

    return order ? order : strcmp(a->name, b->name);
}

static bool compare(struct pg_service_update *u)
{
    const struct pg_service_table *t = u->table;
    const struct pg_snapshot *old = t->snapshot;
    const struct pg_snapshot *new = u->snapshot;
    uint32_t old_count = t->slot_of ? old->service_count : 0;
    bool sums = old->service_sums && new->service_sums;
    uint32_t i = 0;
    uint32_t j = 0;
    uint32_t free_from = 0;

    while (i < old_count || j < new->service_count) {
        if (sums && i < old_count && j < new->service_count &&
            old->service_sums[i] == new->service_sums[j]) {
            u->slot_of[j++] = t->slot_of[i++];
            continue;
        }
        int order = i == old_count            ? 1
                    : j == new->service_count ? -1
                                              : compare_names(&old->services[i], &new->services[j]);
        bool noted = order < 0   ? note(u, t->slot_of[i], PG_INDEX_NONE)
                     : order > 0 ? note(u, free_slot(u, &free_from), j)
                                 : note(u, t->slot_of[i], j);
        i += order <= 0;
        j += order >= 0;
        if (!noted)
            return false;
    }
    return true;
}

/* ---- the whole ---- */

static bool add_dns(struct pg_service_table *t)
{
    /* The DNS address is a cluster IP whether or not somebody wrote a Service for it. */
    for (int family = 0; family < 2; family++) {
        struct pg_front f = {.addr = t->snapshot->lab.dns[family],
                             .capture = PG_CAPTURE_CLUSTER_IP,
                             .slot = PG_INDEX_NONE,
                             .service_port = PG_INDEX_NONE};
        if (pg_addr_is_none(&f.addr))
            continue;
        if (!make_room(&t->fronts, &t->front_room, t->front_count + 1, sizeof(*t->fronts)))
            return false;
        add_claim(t, front_new(t, &f));
    }
    return true;
}

struct pg_service_table *pg_service_table_empty(struct pg_snapshot *s,
                                                const struct pg_hash_key *key)
{
    struct pg_service_table *t = calloc(1, sizeof(*t));

    if (!t)
        return NULL;
    t->snapshot = pg_snapshot_ref(s);
    t->key = *key;
    t->by_front = pg_table_new(FRONTS_MOST, pg_front_same, t);
    t->ready_nodes = calloc(s->node_count ? s->node_count : 1, sizeof(*t->ready_nodes));
    if (!t->by_front || !t->ready_nodes || !add_dns(t)) {
        pg_service_table_free(t);
        return NULL;
    }
    for (uint32_t i = 0; i < s->node_count; i++) {
        if (s->nodes[i].ready)
            t->ready_nodes[t->ready_node_count++] = i;
    }
    pg_service_why_general(t);
    return t;
}

bool pg_service_table_fits(const struct pg_service_table *t, const struct pg_snapshot *s)
{
    return t->snapshot->frame_sum == s->frame_sum && t->snapshot->service_sums && s->service_sums;
}

int pg_service_update_begin(struct pg_service_update *u, struct pg_service_table *t,
                            struct pg_snapshot *s)
{
    *u = (struct pg_service_update){
        .table = t, .snapshot = pg_snapshot_ref(s), .slot_count = t->slot_count};
    u->slot_of = malloc((s->service_count ? s->service_count : 1) * sizeof(*u->slot_of));
    if (u->slot_of && compare(u) && make_slots(t, u->slot_count) &&
        make_room(&t->fronts, &t->front_room, t->front_count + u->front_count, sizeof(*t->fronts)))
        return 0;
    pg_service_update_free(u);
    return -ENOMEM;
}

static void exchange(struct pg_service_table *t, struct pg_service_change *c)
{
    struct pg_served *was = t->served[c->slot];

    t->affine_count += c->made && c->made->affine;
    t->affine_count -= was && was->affine;
    t->served[c->slot] = c->made;
    t->index_of[c->slot] = c->service;
    c->made = was;
}

void pg_service_update_commit(struct pg_service_update *u)
{
    struct pg_service_table *t = u->table;

    t->slot_count = u->slot_count;
    for (uint32_t i = 0; i < u->change_count; i++) {
        struct pg_service_change *c = &u->changes[i];
        if (same_fronts(t, c->slot, u->fronts + c->front_first, c->front_count))
            c->front_count = 0;
        else
            del_fronts(t, c->slot);
        exchange(t, c);
    }
    uint32_t *slot_of = t->slot_of;
    t->slot_of = u->slot_of;
    u->slot_of = slot_of;
    struct pg_snapshot *snapshot = t->snapshot;
    t->snapshot = u->snapshot;
    u->snapshot = snapshot;
    for (uint32_t i = 0; i < t->snapshot->service_count; i++)
        t->index_of[t->slot_of[i]] = i;
    for (uint32_t i = 0; i < u->change_count; i++) {
        const struct pg_service_change *c = &u->changes[i];
        add_fronts(t, c->slot, u->fronts + c->front_first, c->front_count);
        u->fronts_changed |= c->front_count != 0;
    }
}

void pg_service_update_free(struct pg_service_update *u)
{
    for (uint32_t i = 0; i < u->change_count; i++)
        free(u->changes[i].made);
    free(u->changes);
    free(u->slot_of);
    free(u->fronts);
    pg_snapshot_put(u->snapshot);
    *u = (struct pg_service_update){0};
}
