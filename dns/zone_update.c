/* From one snapshot to the next, touching only services that changed.
 *
 * Both lists of services are sorted by name, and each service has a sum over all it is (cluster/sum.c).
 * Walking the two in step costs a comparison of numbers per service; for what differs a part is made
 * aside and then exchanged in its slot, and its reverse names with it. The frame is made anew when a
 * name of its own changed. So one change among ten thousand services takes as long as its own service
 * does. A first zone is the same thing from nothing.
 *
 * Called by app/ at a reload, around the exchange of NAT's tables, so that both change or none. Owns the
 * zone's tables, and the update between begin and free. Always true: until commit nobody sees a
 * difference, and commit cannot fail. */
#include "zone.h"

#include "podglass/log.h"

#include <stdlib.h>
#include <string.h>

#define REFS_MOST (1u << 30)

/* A slot's part to be: NULL if the service is gone. After commit the old part. */
struct change {
    uint32_t slot;
    struct pg_zone_part *part;
};

struct pg_zone_update {
    struct pg_zone *zone;
    struct pg_snapshot *snapshot;
    struct pg_zone_frame *frame; /* NULL: the one in force stays */
    uint32_t *slot_of;
    struct change *changes;
    uint32_t change_count, change_room;
    uint32_t slot_count;
    uint32_t new_refs;
};

/* ---- tables ---- */

struct name_key {
    const uint8_t *namespace, *name;
};

static bool same_name(const void *owner, uint32_t value, const void *key)
{
    const struct pg_zone *z = owner;
    const struct pg_zone_part *p = z->parts[value];
    const struct name_key *k = key;

    return pg_zone_same_label(p->texts + p->name, k->name) &&
           pg_zone_same_label(p->texts + p->namespace, k->namespace);
}

static const struct pg_addr *addr_of(const struct pg_zone_ref *r)
{
    return r->end >= PG_ZONE_CLUSTER_IP ? &r->part->cluster_ip[r->end - PG_ZONE_CLUSTER_IP]
                                        : &r->part->ends[r->end].addr;
}

static bool same_addr(const void *owner, uint32_t value, const void *key)
{
    const struct pg_zone *z = owner;

    return pg_addr_equal(addr_of(&z->refs[value]), key);
}

static uint32_t name_hash(const struct pg_zone *z, const struct name_key *k)
{
    uint8_t both[2 * (1 + PG_DNS_LABEL_MAX)];
    uint32_t first = 1u + k->namespace[0];

    memcpy(both, k->namespace, first);
    memcpy(both + first, k->name, 1u + k->name[0]);
    return (uint32_t)pg_hash(&z->key, both, first + 1u + k->name[0]);
}

static uint32_t addr_hash(const struct pg_zone *z, const struct pg_addr *a)
{
    return (uint32_t)pg_hash(&z->key, a->bytes, sizeof(a->bytes));
}

static void must(bool good)
{
    PG_ASSERT(good); /* out of memory, which ends the process as everywhere in the control plane */
}

/* The part of a service that nobody has asked for yet, made and kept. Its slot is its index. */
static const struct pg_zone_part *make_on_demand(const struct pg_zone *z, const struct name_key *k)
{
    char namespace[PG_DNS_LABEL_MAX + 1];
    char name[PG_DNS_LABEL_MAX + 1];

    memcpy(namespace, k->namespace + 1, k->namespace[0]);
    namespace[k->namespace[0]] = 0;
    memcpy(name, k->name + 1, k->name[0]);
    name[k->name[0]] = 0;
    uint32_t service = pg_snapshot_service(z->snapshot, namespace, name);

    if (service == PG_INDEX_NONE) {
        return NULL;
    }
    if (!z->parts[service]) {
        z->parts[service] = pg_zone_part_new(z->snapshot, service);
        must(z->parts[service] != NULL);
        must(!z->parts[service]->named || pg_table_add(z->by_name, name_hash(z, k), service) == 0);
    }
    return z->parts[service]->named ? z->parts[service] : NULL;
}

const struct pg_zone_part *pg_zone_service(const struct pg_zone *z, const uint8_t *namespace,
                                           const uint8_t *name)
{
    struct name_key k = {namespace, name};
    uint32_t slot = pg_table_find(z->by_name, name_hash(z, &k), &k);

    if (slot == PG_TABLE_NONE) {
        return z->on_demand ? make_on_demand(z, &k) : NULL;
    }
    return z->parts[slot];
}

uint32_t pg_zone_pointer_of(const struct pg_zone *z, const struct pg_addr *a)
{
    return pg_table_find(z->by_addr, addr_hash(z, a), a);
}

const struct pg_zone_part *pg_zone_cluster_ip_of(const struct pg_zone *z, uint32_t ref)
{
    for (uint32_t i = ref + 1; i != 0; i = z->refs[i - 1].next_of_addr) {
        if (z->refs[i - 1].end >= PG_ZONE_CLUSTER_IP) {
            return z->refs[i - 1].part;
        }
    }
    return NULL;
}

/* ---- parts in and out of the tables; there is room ---- */

static void set_first(struct pg_zone *z, const struct pg_addr *a, uint32_t old, uint32_t first)
{
    uint32_t hash = addr_hash(z, a);

    if (old != PG_ZONE_NONE) {
        must(pg_table_del(z->by_addr, hash, old));
    }
    if (first != PG_ZONE_NONE) {
        must(pg_table_add(z->by_addr, hash, first) == 0);
    }
}

static void add_ref(struct pg_zone *z, struct pg_zone_part *p, uint32_t end)
{
    uint32_t at = z->ref_free ? z->ref_free - 1 : z->ref_count++;
    struct pg_zone_ref *r = &z->refs[at];

    if (z->ref_free) {
        z->ref_free = r->next_of_part;
    }
    *r = (struct pg_zone_ref){.part = p, .end = end, .next_of_part = p->first_ref};
    p->first_ref = at + 1;
    uint32_t old = pg_zone_pointer_of(z, addr_of(r));

    r->next_of_addr = old == PG_ZONE_NONE ? 0 : old + 1;
    set_first(z, addr_of(r), old, at);
}

static void del_ref(struct pg_zone *z, uint32_t at)
{
    struct pg_zone_ref *r = &z->refs[at];
    uint32_t first = pg_zone_pointer_of(z, addr_of(r));

    if (first == at) {
        set_first(z, addr_of(r), at, r->next_of_addr ? r->next_of_addr - 1 : PG_ZONE_NONE);
    } else {
        struct pg_zone_ref *before = &z->refs[first];

        while (before->next_of_addr != at + 1) {
            before = &z->refs[before->next_of_addr - 1];
        }
        before->next_of_addr = r->next_of_addr;
    }
    r->part = NULL;
    r->next_of_part = z->ref_free;
    z->ref_free = at + 1;
}

static uint32_t refs_of(const struct pg_zone_part *p)
{
    return p->end_count + !pg_addr_is_none(&p->cluster_ip[0]) + !pg_addr_is_none(&p->cluster_ip[1]);
}

static void add_part(struct pg_zone *z, uint32_t slot, struct pg_zone_part *p)
{
    z->parts[slot] = p;
    if (!p || !p->named) {
        return;
    }
    struct name_key k = {p->texts + p->namespace, p->texts + p->name};

    must(pg_table_add(z->by_name, name_hash(z, &k), slot) == 0);
    for (uint32_t i = 0; i < p->end_count; i++) {
        add_ref(z, p, i);
    }
    for (uint32_t v = 0; v < 2; v++) {
        if (!pg_addr_is_none(&p->cluster_ip[v])) {
            add_ref(z, p, PG_ZONE_CLUSTER_IP + v);
        }
    }
}

static void del_part(struct pg_zone *z, uint32_t slot)
{
    struct pg_zone_part *p = z->parts[slot];

    if (!p || !p->named) {
        return;
    }
    struct name_key k = {p->texts + p->namespace, p->texts + p->name};

    (void)pg_table_del(z->by_name, name_hash(z, &k), slot);
    for (uint32_t at = p->first_ref, next; at != 0; at = next) {
        next = z->refs[at - 1].next_of_part;
        del_ref(z, at - 1);
    }
}

/* ---- what changed ---- */

static bool make_room(void *array_pointer, uint32_t *room, uint64_t count, size_t size)
{
    void *at;
    uint64_t more = *room ? *room : 16;

    if (count <= *room) {
        return true;
    }
    while (more < count) {
        more *= 2;
    }
    memcpy(&at, array_pointer, sizeof(at));
    at = more > REFS_MOST ? NULL : realloc(at, more * size);
    if (!at) {
        return false;
    }
    memcpy(array_pointer, &at, sizeof(at));
    *room = (uint32_t)more;
    return true;
}

static bool note(struct pg_zone_update *u, uint32_t slot, uint32_t service)
{
    if (!make_room(&u->changes, &u->change_room, u->change_count + 1, sizeof(*u->changes))) {
        return false;
    }
    struct change *c = &u->changes[u->change_count++];

    *c = (struct change){.slot = slot};
    if (service == PG_INDEX_NONE) {
        return true;
    }
    c->part = pg_zone_part_new(u->snapshot, service);
    u->slot_of[service] = slot;
    u->new_refs += c->part ? refs_of(c->part) : 0;
    return c->part != NULL;
}

/* A free slot: one that was given up before, or a new one. `*from`: where to look on. */
static uint32_t free_slot(struct pg_zone_update *u, uint32_t *from)
{
    while (*from < u->zone->slot_count && u->zone->parts[*from]) {
        ++*from;
    }
    return *from < u->zone->slot_count ? (*from)++ : u->slot_count++;
}

static int compare_names(const struct pg_service *a, const struct pg_service *b)
{
    int order = strcmp(a->namespace, b->namespace);

    return order ? order : strcmp(a->name, b->name);
}

static bool compare(struct pg_zone_update *u)
{
    const struct pg_zone *z = u->zone;
    const struct pg_snapshot *old = z->snapshot;
    const struct pg_snapshot *new = u->snapshot;
    uint32_t old_count = z->slot_of ? old->service_count : 0;
    bool sums = old_count && old->service_sums && new->service_sums;
    uint32_t free_from = 0;
    uint32_t i = 0;
    uint32_t j = 0;

    while (i < old_count || j < new->service_count) {
        if (sums && i < old_count && j < new->service_count &&
            old->service_sums[i] == new->service_sums[j]) {
            u->slot_of[j++] = z->slot_of[i++];
            continue;
        }
        int order = i == old_count            ? 1
                    : j == new->service_count ? -1
                                              : compare_names(&old->services[i], &new->services[j]);
        bool noted = order < 0   ? note(u, z->slot_of[i], PG_INDEX_NONE)
                     : order > 0 ? note(u, free_slot(u, &free_from), j)
                                 : note(u, z->slot_of[i], j);
        i += order <= 0;
        j += order >= 0;
        if (!noted) {
            return false;
        }
    }
    return true;
}

/* ---- the whole ---- */

static bool make_slots(struct pg_zone *z, uint32_t count)
{
    uint32_t had = z->slot_room;

    if (!make_room(&z->parts, &z->slot_room, count, sizeof(struct pg_zone_part *))) {
        return false;
    }
    for (uint32_t i = had; i < z->slot_room; i++) {
        z->parts[i] = NULL;
    }
    return true;
}

struct pg_zone_update *pg_zone_update_begin(struct pg_zone *z, struct pg_snapshot *s)
{
    struct pg_zone_update *u = calloc(1, sizeof(*u));
    bool fits = z->frame && pg_zone_frame_fits(z->snapshot, s);

    if (!u) {
        return NULL;
    }
    u->zone = z;
    u->snapshot = pg_snapshot_ref(s);
    u->slot_count = z->slot_count;
    u->slot_of = malloc((s->service_count ? s->service_count : 1) * sizeof(*u->slot_of));
    u->frame = fits ? NULL : pg_zone_frame_new(s, &z->key);
    if (u->slot_of && (fits || u->frame) && compare(u) && make_slots(z, u->slot_count) &&
        make_room(&z->refs, &z->ref_room, (uint64_t)z->ref_count + u->new_refs, sizeof(*z->refs))) {
        return u;
    }
    pg_zone_update_free(u);
    return NULL;
}

void pg_zone_update_commit(struct pg_zone_update *u)
{
    struct pg_zone *z = u->zone;
    uint32_t *slot_of = z->slot_of;
    struct pg_snapshot *snapshot = z->snapshot;
    struct pg_zone_frame *frame = z->frame;

    for (uint32_t i = 0; i < u->change_count; i++) {
        struct change *c = &u->changes[i];
        struct pg_zone_part *made = c->part;

        if (c->slot < z->slot_count) {
            del_part(z, c->slot);
        }
        c->part = z->parts[c->slot];
        add_part(z, c->slot, made);
    }
    z->slot_count = u->slot_count;
    z->slot_of = u->slot_of;
    z->snapshot = u->snapshot;
    u->slot_of = slot_of;
    u->snapshot = snapshot;
    if (u->frame) {
        z->frame = u->frame;
        u->frame = frame;
    }
}

void pg_zone_update_free(struct pg_zone_update *u)
{
    if (!u) {
        return;
    }
    for (uint32_t i = 0; i < u->change_count; i++) {
        free(u->changes[i].part);
    }
    free(u->changes);
    free(u->slot_of);
    pg_zone_frame_free(u->frame);
    pg_snapshot_put(u->snapshot);
    free(u);
}

/* Without a snapshot yet; NULL: out of memory. */
static struct pg_zone *empty_zone(const struct pg_hash_key *key)
{
    struct pg_zone *z = calloc(1, sizeof(*z));

    if (!z) {
        return NULL;
    }
    z->key = *key;
    z->by_name = pg_table_new(REFS_MOST, same_name, z);
    z->by_addr = pg_table_new(REFS_MOST, same_addr, z);
    if (!z->by_name || !z->by_addr) {
        pg_zone_free(z);
        return NULL;
    }
    return z;
}

struct pg_zone *pg_zone_on_demand(struct pg_snapshot *s, const struct pg_hash_key *key)
{
    struct pg_zone *z = empty_zone(key);

    if (!z) {
        return NULL;
    }
    z->on_demand = true;
    z->snapshot = pg_snapshot_ref(s);
    z->frame = pg_zone_frame_new(s, key);
    if (!z->frame || !make_slots(z, s->service_count)) {
        pg_zone_free(z);
        return NULL;
    }
    z->slot_count = s->service_count;
    return z;
}

struct pg_zone *pg_zone_new(struct pg_snapshot *s, const struct pg_hash_key *key)
{
    struct pg_zone *z = empty_zone(key);
    struct pg_zone_update *u = z ? pg_zone_update_begin(z, s) : NULL;

    if (!u) {
        pg_zone_free(z);
        return NULL;
    }
    pg_zone_update_commit(u);
    pg_zone_update_free(u);
    return z;
}

void pg_zone_free(struct pg_zone *z)
{
    if (!z) {
        return;
    }
    for (uint32_t i = 0; i < z->slot_count; i++) {
        free(z->parts[i]);
    }
    free(z->parts);
    free(z->slot_of);
    free(z->refs);
    pg_table_free(z->by_name);
    pg_table_free(z->by_addr);
    pg_zone_frame_free(z->frame);
    pg_snapshot_put(z->snapshot);
    free(z);
}
