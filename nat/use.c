/* How often each endpoint of each service port was chosen, and how many flows to it live now.
 *
 * Counters outlive reloads: a row is named by what it is about (service name, port, endpoint), not
 * by an index of a snapshot. Rows are made when tables are loaded, so that the data path only looks
 * one up per new flow. A row also heads the list of its UDP flows, and the rows of a service are
 * listed, which makes the clean-up after a reload touch only flows of endpoints that went away.
 *
 * load.c makes and drops rows; flow.c counts and lists; dump.c reads. Row 0 is "no service": the
 * plain flows. Service names are kept once each, for as long as the nat lives. */
#include "nat_internal.h"
#include "podglass/log.h"

#include <stdlib.h>
#include <string.h>

#define ROWS_MOST  (1u << 23)
#define NAMES_MOST (1u << 20)

struct name {
    char *text; /* "shop/web" */
    char *namespace;
    const char *name; /* inside text */
    uint32_t first_row;
};

struct pg_uses {
    struct pg_hash_key key;
    struct pg_use *rows;
    uint32_t count, room, free_first;
    struct pg_table *by_key;
    struct name *names;
    uint32_t name_count, name_room;
    struct pg_table *by_name;
    uint32_t *gone; /* rows that only their flows keep */
    uint32_t gone_count, gone_room;
};

static bool same_key(const void *owner, uint32_t value, const void *key)
{
    const struct pg_uses *u = owner;

    return memcmp(&u->rows[value].key, key, sizeof(struct pg_use_key)) == 0;
}

static bool same_name(const void *owner, uint32_t value, const void *key)
{
    const struct pg_uses *u = owner;

    return strcmp(u->names[value].text, key) == 0;
}

struct pg_uses *pg_uses_new(const struct pg_hash_key *key)
{
    struct pg_uses *u = calloc(1, sizeof(*u));

    if (!u)
        return NULL;
    u->key = *key;
    u->room = 64;
    u->rows = calloc(u->room, sizeof(*u->rows));
    u->by_key = pg_table_new(ROWS_MOST, same_key, u);
    u->by_name = pg_table_new(NAMES_MOST, same_name, u);
    if (!u->rows || !u->by_key || !u->by_name) {
        pg_uses_free(u);
        return NULL;
    }
    u->rows[0] = (struct pg_use){.taken = true};
    u->count = 1;
    return u;
}

void pg_uses_free(struct pg_uses *u)
{
    if (!u)
        return;
    for (uint32_t i = 0; i < u->name_count; i++) {
        free(u->names[i].text);
        free(u->names[i].namespace);
    }
    free(u->names);
    free(u->gone);
    free(u->rows);
    pg_table_free(u->by_key);
    pg_table_free(u->by_name);
    free(u);
}

/* Room for one more in an array that doubles. */
static bool grow(void **at, uint32_t *room, uint32_t count, size_t size)
{
    if (count < *room)
        return true;
    uint32_t more = *room ? *room * 2 : 64;
    void *moved = realloc(*at, more * size);

    if (!moved)
        return false;
    *at = moved;
    *room = more;
    return true;
}

static char *join(const char *namespace, const char *name)
{
    size_t len = strlen(namespace) + strlen(name) + 2;
    char *text = malloc(len);

    if (text) {
        memcpy(text, namespace, strlen(namespace));
        text[strlen(namespace)] = '/';
        strcpy(text + strlen(namespace) + 1, name); // NOLINT: len was made for it
    }
    return text;
}

uint32_t pg_use_name(struct pg_uses *u, const char *namespace, const char *name)
{
    char *text = join(namespace, name);

    if (!text)
        return PG_INDEX_NONE;
    uint32_t hash = (uint32_t)pg_hash(&u->key, text, strlen(text));
    uint32_t found = pg_table_find(u->by_name, hash, text);
    void *names = u->names;

    if (found != PG_TABLE_NONE) {
        free(text);
        return found;
    }
    char *own = strdup(namespace);
    bool room = own && grow(&names, &u->name_room, u->name_count, sizeof(*u->names));
    u->names = names;
    if (!room || pg_table_add(u->by_name, hash, u->name_count) != 0) {
        free(own);
        free(text);
        return PG_INDEX_NONE;
    }
    u->names[u->name_count] = (struct name){text, own, text + strlen(namespace) + 1, 0};
    return u->name_count++;
}

const char *pg_use_name_text(const struct pg_uses *u, uint32_t name)
{
    return name < u->name_count ? u->names[name].text : "";
}

void pg_use_name_parts(const struct pg_uses *u, uint32_t name, const char **ret_namespace,
                       const char **ret_name)
{
    *ret_namespace = name < u->name_count ? u->names[name].namespace : "";
    *ret_name = name < u->name_count ? u->names[name].name : "";
}

static uint32_t hash_key(const struct pg_uses *u, const struct pg_use_key *key)
{
    return (uint32_t)pg_hash(&u->key, key, sizeof(*key));
}

uint32_t pg_use_find(const struct pg_uses *u, const struct pg_use_key *key)
{
    uint32_t found = pg_table_find(u->by_key, hash_key(u, key), key);

    return found == PG_TABLE_NONE ? 0 : found;
}

uint32_t pg_use_make(struct pg_uses *u, const struct pg_use_key *key)
{
    uint32_t use = pg_use_find(u, key);
    void *rows = u->rows;

    if (use)
        return use;
    if (u->free_first) {
        use = u->free_first;
    } else {
        bool room = grow(&rows, &u->room, u->count, sizeof(*u->rows));
        u->rows = rows;
        if (!room)
            return 0;
        use = u->count;
    }
    if (pg_table_add(u->by_key, hash_key(u, key), use) != 0)
        return 0;
    if (use == u->free_first)
        u->free_first = u->rows[use].free_next;
    else
        u->count++;
    struct name *name = &u->names[key->name];
    u->rows[use] = (struct pg_use){.key = *key, .taken = true, .next_of_name = name->first_row};
    name->first_row = use;
    return use;
}

struct pg_use *pg_use_at(const struct pg_uses *u, uint32_t use)
{
    return &u->rows[use];
}

uint32_t pg_use_count(const struct pg_uses *u)
{
    return u->count;
}

uint32_t pg_use_first_of(const struct pg_uses *u, uint32_t name)
{
    return u->names[name].first_row;
}

void pg_use_drop(struct pg_uses *u, uint32_t use)
{
    struct pg_use *row = &u->rows[use];

    PG_ASSERT(use != 0 && row->taken && row->first == 0);
    pg_table_del(u->by_key, hash_key(u, &row->key), use);
    uint32_t *link = &u->names[row->key.name].first_row;
    while (*link != use)
        link = &u->rows[*link].next_of_name;
    *link = row->next_of_name;
    *row = (struct pg_use){.free_next = u->free_first};
    u->free_first = use;
}

/* ---- rows without a service ---- */

void pg_use_sift_gone(struct pg_uses *u)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < u->gone_count; i++) {
        const struct pg_use *row = &u->rows[u->gone[i]];
        if (row->taken && row->gone)
            u->gone[kept++] = u->gone[i];
    }
    u->gone_count = kept;
}

bool pg_use_add_gone(struct pg_uses *u, uint32_t use)
{
    void *gone = u->gone;
    bool room = grow(&gone, &u->gone_room, u->gone_count, sizeof(*u->gone));

    u->gone = gone;
    if (!room)
        return false;
    u->gone[u->gone_count++] = use;
    return true;
}

uint32_t pg_use_gone_count(const struct pg_uses *u)
{
    return u->gone_count;
}

uint32_t pg_use_gone_at(const struct pg_uses *u, uint32_t i)
{
    return u->gone[i];
}
