/* A tree of names while it grows, and how it is hashed.
 *
 * zone_frame.c adds to it, zone.c looks into it. A name's place in the hash table comes from
 * its parent's number and its own label, so no name is ever stored or compared as a whole, and a
 * child costs its label and sixteen bytes. Labels are lower case; the key of the hash is the
 * caller's, so no client can choose questions that meet in one bucket.
 *
 * Adding what is there already returns what is there. Running out of memory sets tree->failed,
 * after which nothing is added any more: builders need not check each step. */
#include "zone.h"

#include <stdlib.h>
#include <string.h>

#define NAMES_MOST (1u << 30)

struct label_key {
    uint32_t parent;
    uint32_t len;
    const void *label;
};

static bool same_label(const void *owner, uint32_t value, const void *key)
{
    const struct pg_zone_tree *t = owner;
    const struct label_key *k = key;
    const struct pg_zone_name *n = &t->names[value];

    return n->parent == k->parent && n->len == k->len &&
           memcmp(t->labels + n->label, k->label, k->len) == 0;
}

static uint32_t label_hash(const struct pg_zone_tree *t, uint32_t parent, const void *label,
                           uint32_t len)
{
    struct pg_hash_key key = {t->key.k0 ^ parent * UINT64_C(0x9e3779b97f4a7c15), t->key.k1};

    return (uint32_t)pg_hash(&key, label, len);
}

uint32_t pg_zone_child(const struct pg_zone_tree *t, uint32_t parent, const void *label,
                       uint32_t len)
{
    struct label_key key = {parent, len, label};

    return pg_table_find(t->by_label, label_hash(t, parent, label, len), &key);
}

/* Room for `more` elements behind `count`: the array, moved if needed, or NULL and tree->failed. */
static void *grow(struct pg_zone_tree *t, void *array, uint32_t count, uint32_t *room,
                  uint32_t more, size_t size)
{
    if (t->failed) {
        return NULL;
    }
    if (array && *room - count >= more) {
        return array;
    }
    uint64_t wanted = (uint64_t)count + more;

    wanted = wanted < 64 ? 64 : wanted + wanted / 2;
    void *grown = wanted > UINT32_MAX ? NULL : realloc(array, wanted * size);

    if (!grown) {
        t->failed = true;
        return NULL;
    }
    *room = (uint32_t)wanted;
    return grown;
}

/* ---- names ---- */

static bool room_for_one(struct pg_zone_tree *t, uint32_t label_len)
{
    struct pg_zone_name *names =
        grow(t, t->names, t->name_count, &t->name_room, 1, sizeof(*t->names));
    char *labels = names ? grow(t, t->labels, t->labels_len, &t->labels_room, label_len, 1) : NULL;

    t->names = names ? names : t->names;
    t->labels = labels ? labels : t->labels;
    return labels != NULL;
}

static uint32_t add_label(struct pg_zone_tree *t, uint32_t parent, const char *label, size_t len)
{
    char lower[PG_DNS_LABEL_MAX];

    if (len == 0 || len > sizeof(lower) || parent == PG_ZONE_NONE || t->failed) {
        return PG_ZONE_NONE;
    }
    for (size_t i = 0; i < len; i++) {
        lower[i] = (char)pg_dns_lower((uint8_t)label[i]);
    }
    uint32_t name = pg_zone_child(t, parent, lower, (uint32_t)len);

    if (name != PG_ZONE_NONE) {
        return name;
    }
    if (!room_for_one(t, (uint32_t)len)) {
        return PG_ZONE_NONE;
    }
    name = t->name_count;
    if (pg_table_add(t->by_label, label_hash(t, parent, lower, (uint32_t)len), name) != 0) {
        t->failed = true;
        return PG_ZONE_NONE;
    }
    t->names[name] = (struct pg_zone_name){.parent = parent,
                                           .label = t->labels_len,
                                           .what = PG_ZONE_NONE,
                                           .len = (uint8_t)len,
                                           .kind = PG_ZONE_EMPTY};
    memcpy(t->labels + t->labels_len, lower, len);
    t->labels_len += (uint32_t)len;
    t->name_count++;
    return name;
}

uint32_t pg_zone_add_child(struct pg_zone_tree *t, uint32_t parent, const char *label)
{
    return add_label(t, parent, label, strlen(label));
}

void pg_zone_set_kind(struct pg_zone_tree *t, uint32_t name, enum pg_zone_kind kind, uint32_t what)
{
    if (name != PG_ZONE_NONE && t->names[name].kind == PG_ZONE_EMPTY) {
        t->names[name].kind = (uint8_t)kind;
        t->names[name].what = what;
    }
}

uint32_t pg_zone_add_path(struct pg_zone_tree *t, const char *text)
{
    uint8_t wire[PG_DNS_NAME_MAX];
    uint8_t labels[PG_DNS_LABELS_MAX];
    uint32_t name = PG_ZONE_ROOT;

    if (pg_dns_name_parse(text, strlen(text), wire) == 0) {
        return PG_ZONE_NONE;
    }
    for (uint32_t i = pg_dns_name_labels(wire, labels); i-- > 0;) {
        const uint8_t *label = wire + labels[i];

        name = add_label(t, name, (const char *)label + 1, label[0]);
    }
    return name;
}

bool pg_zone_tree_init(struct pg_zone_tree *t, const struct pg_hash_key *key)
{
    *t = (struct pg_zone_tree){.key = *key};
    t->by_label = pg_table_new(NAMES_MOST, same_label, t);
    t->names = grow(t, NULL, 0, &t->name_room, 1, sizeof(*t->names));
    if (!t->by_label || !t->names) {
        return false;
    }
    t->names[t->name_count++] = (struct pg_zone_name){
        .parent = PG_ZONE_NONE, .what = PG_ZONE_NONE, .kind = PG_ZONE_EMPTY}; /* the root */
    return true;
}

void pg_zone_tree_free(struct pg_zone_tree *t)
{
    pg_table_free(t->by_label);
    free(t->names);
    free(t->labels);
}
