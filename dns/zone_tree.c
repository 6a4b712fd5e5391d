/* The tree of names and the list of reverse names while they grow, and how both are hashed.
 *
 * zone_build.c adds to them, zone.c looks into them. A name's place in the hash table comes from
 * its parent's number and its own label, so no name is ever stored or compared as a whole, and a
 * child costs its label and sixteen bytes. Labels are lower case; the key of the hash is the
 * caller's, so no client can choose questions that meet in one bucket.
 *
 * Adding what is there already returns what is there. Running out of memory sets zone->failed,
 * after which nothing is added any more: builders need not check each step. */
#include "zone.h"

#include <stdlib.h>
#include <string.h>

#define NAMES_MOST (1u << 30) /* PG_ZONE_REPEATS takes the bit above */

struct label_key {
    uint32_t parent;
    uint32_t len;
    const void *label;
};

static bool same_label(const void *owner, uint32_t value, const void *key)
{
    const struct pg_zone *z = owner;
    const struct label_key *k = key;
    const struct pg_zone_name *n = &z->names[value];

    return n->parent == k->parent && n->len == k->len &&
           memcmp(z->labels + n->label, k->label, k->len) == 0;
}

static bool same_addr(const void *owner, uint32_t value, const void *key)
{
    const struct pg_zone *z = owner;

    return pg_addr_equal(&z->pointers[value].addr, key);
}

static uint32_t label_hash(const struct pg_zone *z, uint32_t parent, const void *label,
                           uint32_t len)
{
    struct pg_hash_key key = {z->key.k0 ^ parent * UINT64_C(0x9e3779b97f4a7c15), z->key.k1};

    return (uint32_t)pg_hash(&key, label, len);
}

static uint32_t addr_hash(const struct pg_zone *z, const struct pg_addr *a)
{
    return (uint32_t)pg_hash(&z->key, a->bytes, sizeof(a->bytes));
}

uint32_t pg_zone_child(const struct pg_zone *z, uint32_t parent, const void *label, uint32_t len)
{
    struct label_key key = {parent, len, label};

    return pg_table_find(z->by_label, label_hash(z, parent, label, len), &key);
}

uint32_t pg_zone_pointer_of(const struct pg_zone *z, const struct pg_addr *a)
{
    return pg_table_find(z->by_addr, addr_hash(z, a), a);
}

void *pg_zone_grow(struct pg_zone *z, void *array, uint32_t count, uint32_t *room, uint32_t more,
                   size_t size)
{
    if (z->failed) {
        return NULL;
    }
    if (array && *room - count >= more) {
        return array;
    }
    uint64_t wanted = (uint64_t)count + more;

    wanted = wanted < 64 ? 64 : wanted + wanted / 2;
    void *grown = wanted > UINT32_MAX ? NULL : realloc(array, wanted * size);

    if (!grown) {
        z->failed = true;
        return NULL;
    }
    *room = (uint32_t)wanted;
    return grown;
}

/* ---- names ---- */

uint32_t pg_zone_add_label(struct pg_zone *z, uint32_t parent, const char *label, size_t len)
{
    char lower[PG_DNS_LABEL_MAX];

    if (len == 0 || len > sizeof(lower) || parent == PG_ZONE_NONE || z->failed) {
        return PG_ZONE_NONE;
    }
    for (size_t i = 0; i < len; i++) {
        lower[i] = (char)pg_dns_lower((uint8_t)label[i]);
    }
    uint32_t name = pg_zone_child(z, parent, lower, (uint32_t)len);

    if (name != PG_ZONE_NONE) {
        return name;
    }
    if (!PG_ZONE_GROW(z, names, name_count, name_room, 1) ||
        !PG_ZONE_GROW(z, labels, labels_len, labels_room, (uint32_t)len)) {
        return PG_ZONE_NONE;
    }
    name = z->name_count;
    if (pg_table_add(z->by_label, label_hash(z, parent, lower, (uint32_t)len), name) != 0) {
        z->failed = true;
        return PG_ZONE_NONE;
    }
    z->names[name] = (struct pg_zone_name){.parent = parent,
                                           .label = z->labels_len,
                                           .what = PG_ZONE_NONE,
                                           .len = (uint8_t)len,
                                           .kind = PG_ZONE_EMPTY};
    memcpy(z->labels + z->labels_len, lower, len);
    z->labels_len += (uint32_t)len;
    z->name_count++;
    return name;
}

uint32_t pg_zone_add_child(struct pg_zone *z, uint32_t parent, const char *label)
{
    return pg_zone_add_label(z, parent, label, strlen(label));
}

void pg_zone_set_kind(struct pg_zone *z, uint32_t name, enum pg_zone_kind kind, uint32_t what)
{
    if (name != PG_ZONE_NONE && z->names[name].kind == PG_ZONE_EMPTY) {
        z->names[name].kind = (uint8_t)kind;
        z->names[name].what = what;
    }
}

uint32_t pg_zone_add_path(struct pg_zone *z, const char *text)
{
    uint8_t wire[PG_DNS_NAME_MAX];
    uint8_t labels[PG_DNS_LABELS_MAX];
    uint32_t name = PG_ZONE_ROOT;

    if (pg_dns_name_parse(text, strlen(text), wire) == 0) {
        return PG_ZONE_NONE;
    }
    for (uint32_t i = pg_dns_name_labels(wire, labels); i-- > 0;) {
        const uint8_t *label = wire + labels[i];

        name = pg_zone_add_label(z, name, (const char *)label + 1, label[0]);
    }
    return name;
}

/* ---- reverse names ---- */

struct pg_zone_pointer *pg_zone_add_pointer(struct pg_zone *z, const struct pg_addr *a)
{
    uint32_t i = z->failed ? PG_ZONE_NONE : pg_zone_pointer_of(z, a);

    if (i != PG_ZONE_NONE) {
        return &z->pointers[i];
    }
    if (!PG_ZONE_GROW(z, pointers, pointer_count, pointer_room, 1)) {
        return NULL;
    }
    i = z->pointer_count;
    if (pg_table_add(z->by_addr, addr_hash(z, a), i) != 0) {
        z->failed = true;
        return NULL;
    }
    z->pointers[i] =
        (struct pg_zone_pointer){.addr = *a, .service = PG_ZONE_NONE, .endpoints = PG_ZONE_NONE};
    z->pointer_count++;
    return &z->pointers[i];
}

bool pg_zone_tree_init(struct pg_zone *z)
{
    z->by_label = pg_table_new(NAMES_MOST, same_label, z);
    z->by_addr = pg_table_new(NAMES_MOST, same_addr, z);
    if (!z->by_label || !z->by_addr || !PG_ZONE_GROW(z, names, name_count, name_room, 1)) {
        return false;
    }
    z->names[z->name_count++] = (struct pg_zone_name){
        .parent = PG_ZONE_NONE, .what = PG_ZONE_NONE, .kind = PG_ZONE_EMPTY}; /* the root */
    return true;
}
