/* What a cluster would add to the manifests, in order: nodes, ranges, the ingress, pods, addresses,
 * ports, endpoints, routes.
 *
 * Called by snapshot.c after all objects are read; read pg_derive first. Everything that is given
 * out comes from a hash of the name of who gets it, looked up in order of names, after all that is
 * written has been taken: the same input gives the same result, and an unrelated object changes
 * nothing unless two want the same number. */
#include "annotations.h"
#include "gateway.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *pg_derive_take_addr(struct pg_load *load, const struct pg_addr *a,
                                const struct pg_object *object)
{
    struct pg_addr *key = pg_arena_alloc(&load->scratch, sizeof(*key));
    *key = *a;
    uint32_t at = pg_index_add(&load->addr_owner, key, sizeof(*key), load->owners.count);
    if (at == PG_INDEX_ABSENT) {
        pg_list_add_pointer(&load->owners, object);
        return NULL;
    }
    const struct pg_object *owner = PG_LIST_POINTER(load->owners, const struct pg_object, at);
    if (owner->source.line == 0)
        return owner->title;
    return pg_arena_printf(&load->scratch, "%s (%s:%u)", owner->title, owner->source.file,
                           owner->source.line);
}

bool pg_derive_addr_taken(const struct pg_load *load, const struct pg_addr *a)
{
    return pg_index_find(&load->addr_owner, a, sizeof(*a)) != PG_INDEX_ABSENT;
}

uint32_t pg_prefix_size(const struct pg_prefix *p)
{
    unsigned host_bits = 128u - p->bits;
    return host_bits > 31 ? 1u << 31 : 1u << host_bits;
}

bool pg_prefix_overlap(const struct pg_prefix *a, const struct pg_prefix *b)
{
    return pg_prefix_contains(a, &b->addr) || pg_prefix_contains(b, &a->addr);
}

struct pg_addr pg_derive_pick(const struct pg_load *load, const struct pg_prefix *prefix,
                              uint32_t first, uint32_t last, uint64_t hash)
{
    if (first > last)
        return (struct pg_addr){0};
    uint32_t span = last - first + 1;
    for (uint32_t i = 0; i < span; i++) {
        struct pg_addr a = pg_addr_add(&prefix->addr, first + (uint32_t)((hash + i) % span));
        if (!pg_derive_addr_taken(load, &a))
            return a;
    }
    return (struct pg_addr){0};
}

static unsigned bits_in_common(const struct pg_addr *a, const struct pg_addr *b)
{
    unsigned bits = 0;
    while (bits < 128 && ((a->bytes[bits / 8] ^ b->bytes[bits / 8]) >> (7 - bits % 8) & 1) == 0)
        bits++;
    return bits;
}

static int prefix_compare(const void *a, const void *b)
{
    const struct pg_prefix *x = a;
    const struct pg_prefix *y = b;
    int order = memcmp(x->addr.bytes, y->addr.bytes, 16);
    return order != 0 ? order : (int)x->bits - (int)y->bits;
}

/* Sorted, a range that lies in another follows it: one pass drops them all. */
static uint32_t drop_contained(struct pg_prefix *at, uint32_t count)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (kept == 0 || !pg_prefix_contains(&at[kept - 1], &at[i].addr))
            at[kept++] = at[i];
    }
    return kept;
}

uint32_t pg_prefix_merge(struct pg_prefix *at, uint32_t count, uint32_t limit)
{
    if (count == 0)
        return 0;
    qsort(at, count, sizeof(*at), prefix_compare);
    count = drop_contained(at, count);
    while (count > limit) {
        uint32_t best = 0;
        unsigned best_bits = 0;
        for (uint32_t i = 0; i + 1 < count; i++) {
            unsigned bits = bits_in_common(&at[i].addr, &at[i + 1].addr);
            if (bits > best_bits) {
                best_bits = bits;
                best = i;
            }
        }
        struct pg_prefix wider = {at[best].addr, (uint8_t)best_bits};
        for (unsigned bit = best_bits; bit < 128; bit++)
            wider.addr.bytes[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
        at[best] = wider;
        memmove(&at[best + 1], &at[best + 2], (count - best - 2) * sizeof(*at));
        count = drop_contained(at, count - 1);
    }
    return count;
}

int pg_name_compare(const char *a, const char *b)
{
    const char *x = a;
    const char *y = b;
    while (*x != '\0' && *y != '\0') {
        size_t dx = strspn(x, "0123456789");
        size_t dy = strspn(y, "0123456789");
        if (dx == 0 || dy == 0) {
            if (*x != *y)
                return (unsigned char)*x < (unsigned char)*y ? -1 : 1;
            x++;
            y++;
            continue;
        }
        size_t zx = strspn(x, "0");
        size_t zy = strspn(y, "0");
        zx = zx < dx ? zx : dx;
        zy = zy < dy ? zy : dy;
        if (dx - zx != dy - zy)
            return dx - zx < dy - zy ? -1 : 1;
        int order = memcmp(x + zx, y + zy, dx - zx);
        if (order != 0)
            return order;
        x += dx;
        y += dy;
    }
    if (*x != *y)
        return *x == '\0' ? -1 : 1;
    return strcmp(a, b);
}

int pg_object_compare(const struct pg_object *a, const struct pg_object *b)
{
    int order = strcmp(a->namespace, b->namespace);
    if (order == 0)
        order = pg_name_compare(a->name, b->name);
    return order != 0 ? order : (int)a->kind - (int)b->kind;
}

/* Raw objects begin with their struct pg_object, so one comparison serves all lists. */
static int by_object(const void *a, const void *b)
{
    return pg_object_compare(*(const struct pg_object *const *)a,
                             *(const struct pg_object *const *)b);
}

static void sort_objects(const struct pg_list *list)
{
    if (list->count > 1)
        qsort(list->at, list->count, sizeof(void *), by_object);
}

/* "ns/name" on the stack when it fits: lookups are many. */
static const char *name_key(const char *namespace, const char *name, char *at, size_t room,
                            size_t *ret_len)
{
    int len = snprintf(at, room, "%s/%s", namespace, name);
    *ret_len = len < 0 ? 0 : (size_t)len < room ? (size_t)len : room - 1;
    return at;
}
#define NAME_KEY_ROOM 768 /* two names of at most 253, or what a reference claims */

void pg_name_add(struct pg_load *load, struct pg_index *x, const char *namespace, const char *name,
                 uint32_t value)
{
    char room[NAME_KEY_ROOM];
    size_t len = 0;
    const char *key = name_key(namespace, name, room, sizeof(room), &len);
    pg_index_add(x, pg_arena_text(&load->scratch, key, len), len, value);
}

uint32_t pg_name_find(const struct pg_index *x, const char *namespace, const char *name)
{
    char room[NAME_KEY_ROOM];
    size_t len = 0;
    const char *key = name_key(namespace, name, room, sizeof(room), &len);
    return pg_index_find(x, key, len);
}

static void take_clients(struct pg_load *load)
{
    struct pg_raw_lab *lab = load->lab;
    if (!lab->has_clients) {
        static const char *const names[] = {"alice", "mallory"};
        static const uint8_t last[] = {7, 66};
        for (size_t i = 0; i < 2; i++) {
            struct pg_addr a = pg_addr_v4(198, 51, 100, last[i]);
            if (!pg_derive_addr_taken(load, &a))
                *(struct pg_client *)pg_list_add(&lab->clients) =
                    (struct pg_client){names[i], a, {"", 0}};
        }
    }
    for (uint32_t i = 0; i < lab->clients.count; i++) {
        const struct pg_client *c = PG_LIST_AT(lab->clients, struct pg_client, i);
        struct pg_object *o = pg_arena_alloc(&load->scratch, sizeof(*o));
        o->title = pg_arena_printf(&load->scratch, "client %s", c->name);
        o->source = c->source;
        const char *owner = pg_derive_take_addr(load, &c->addr, o);
        char text[PG_ADDR_TEXT];
        if (owner != NULL)
            pg_finding_add(load, PG_FINDING_ERROR, PG_CODE_WRONG, lab->object.title, "spec.clients",
                           &c->source, "address %s of client %s is also that of %s",
                           pg_addr_print(&c->addr, text), c->name, owner);
    }
}

/* Addresses that only slices name are nobody's, but must not be given to a derived pod. */
static void reserve_slices(struct pg_load *load)
{
    for (uint32_t i = 0; i < load->slices.count; i++) {
        const struct pg_raw_slice *s = PG_LIST_POINTER(load->slices, const struct pg_raw_slice, i);
        for (uint32_t j = 0; j < s->endpoint_count; j++) {
            if (!pg_derive_addr_taken(load, &s->endpoints[j].endpoint.addr))
                (void)pg_derive_take_addr(load, &s->endpoints[j].endpoint.addr, &s->object);
        }
    }
}

void pg_derive(struct pg_load *load)
{
    pg_derive_nginx(load);
    pg_derive_nodes(load);
    pg_derive_ranges(load);
    pg_derive_gateways(load);
    pg_derive_ingress(load);
    sort_objects(&load->services);
    sort_objects(&load->slices);
    sort_objects(&load->workloads);
    sort_objects(&load->gateways);
    sort_objects(&load->http_routes);
    for (uint32_t i = 0; i < load->services.count; i++) {
        const struct pg_object *o =
            &PG_LIST_POINTER(load->services, struct pg_raw_service, i)->object;
        pg_name_add(load, &load->service_by_name, o->namespace, o->name, i);
    }
    pg_derive_pods(load);
    pg_derive_service_written(load);
    take_clients(load);
    reserve_slices(load);
    pg_derive_pod_addrs(load);
    pg_derive_services(load);
    pg_derive_endpoints(load);
    pg_derive_ingress_pods(load);
    pg_derive_routes(load);
    pg_derive_upstream_tls(load);
    pg_derive_tls_names(load);
}
