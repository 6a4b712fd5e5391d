/* Which pods a selector means, without looking at every pod for every service.
 *
 * Called by derive_pods.c and derive_endpoints.c. Pods are listed under each of their labels; a
 * selector looks at the shortest of the lists of its labels and checks the rest of it there. */
#include "cluster_internal.h"

#include <string.h>

/* "ns\0key\0value": none of the three holds a NUL. key NULL: all pods of the namespace. */
static const char *pair_key(struct pg_load *load, const char *namespace, const char *key,
                            const char *value, size_t *ret_len)
{
    size_t a = strlen(namespace) + 1;
    size_t b = key == NULL ? 0 : strlen(key) + 1;
    size_t c = key == NULL ? 0 : strlen(value) + 1;
    char *at = pg_arena_alloc(&load->scratch, a + b + c);
    memcpy(at, namespace, a);
    if (key != NULL) {
        memcpy(at + a, key, b);
        memcpy(at + a + b, value, c);
    }
    *ret_len = a + b + c;
    return at;
}

static void pair_add(struct pg_label_index *x, const char *namespace, const struct pg_label *label,
                     uint32_t pod)
{
    size_t len = 0;
    const char *key = pair_key(x->load, namespace, label == NULL ? NULL : label->key,
                               label == NULL ? NULL : label->value, &len);
    uint32_t at = pg_index_add(&x->pairs, key, len, x->lists.count);
    if (at == PG_INDEX_ABSENT) {
        at = x->lists.count;
        *(struct pg_list *)pg_list_add(&x->lists) = PG_LIST(&x->load->scratch, uint32_t);
    }
    *(uint32_t *)pg_list_add(PG_LIST_AT(x->lists, struct pg_list, at)) = pod;
}

void pg_label_index_build(struct pg_load *load, struct pg_label_index *ret)
{
    *ret = (struct pg_label_index){.load = load,
                                   .pairs = {.arena = &load->scratch},
                                   .lists = PG_LIST(&load->scratch, struct pg_list)};
    for (uint32_t i = 0; i < load->pods.count; i++) {
        const struct pg_object *o = &PG_LIST_POINTER(load->pods, struct pg_raw_pod, i)->object;
        pair_add(ret, o->namespace, NULL, i);
        for (uint32_t j = 0; j < o->labels.count; j++)
            pair_add(ret, o->namespace, &o->labels.at[j], i);
    }
}

static const char *label_of(const struct pg_object *o, const char *key)
{
    for (uint32_t i = 0; i < o->labels.count; i++) {
        if (strcmp(o->labels.at[i].key, key) == 0)
            return o->labels.at[i].value;
    }
    return NULL;
}

static bool requirement_met(const struct pg_object *o, const struct pg_requirement *r)
{
    const char *value = label_of(o, r->key);
    bool listed = false;
    for (uint32_t i = 0; i < r->value_count && value != NULL && !listed; i++)
        listed = strcmp(value, r->values[i]) == 0;
    switch (r->op) {
    case PG_SELECT_IN: return listed;
    case PG_SELECT_NOT_IN: return !listed;
    case PG_SELECT_EXISTS: return value != NULL;
    case PG_SELECT_ABSENT: return value == NULL;
    }
    return false;
}

bool pg_selector_holds(const struct pg_selector *s, const struct pg_object *o)
{
    for (uint32_t i = 0; i < s->labels.count; i++) {
        const char *value = label_of(o, s->labels.at[i].key);
        if (value == NULL || strcmp(value, s->labels.at[i].value) != 0)
            return false;
    }
    for (uint32_t i = 0; i < s->requirement_count; i++) {
        if (!requirement_met(o, &s->requirements[i]))
            return false;
    }
    return true;
}

static const struct pg_list *shortest(struct pg_label_index *x, const char *namespace,
                                      const struct pg_selector *s)
{
    const struct pg_list *best = NULL;
    for (uint32_t i = 0; i < s->labels.count || i == 0; i++) {
        size_t len = 0;
        bool any = s->labels.count == 0;
        const char *key = pair_key(x->load, namespace, any ? NULL : s->labels.at[i].key,
                                   any ? NULL : s->labels.at[i].value, &len);
        uint32_t at = pg_index_find(&x->pairs, key, len);
        if (at == PG_INDEX_ABSENT)
            return NULL;
        const struct pg_list *list = PG_LIST_AT(x->lists, struct pg_list, at);
        if (best == NULL || list->count < best->count)
            best = list;
    }
    return best;
}

const uint32_t *pg_label_select(struct pg_label_index *x, const char *namespace,
                                const struct pg_selector *selector, uint32_t *ret_count)
{
    struct pg_list found = PG_LIST(&x->load->scratch, uint32_t);
    const struct pg_list *list = shortest(x, namespace, selector);
    for (uint32_t i = 0; list != NULL && i < list->count; i++) {
        uint32_t pod = *PG_LIST_AT(*list, uint32_t, i);
        if (pg_selector_holds(selector,
                              &PG_LIST_POINTER(x->load->pods, struct pg_raw_pod, pod)->object))
            *(uint32_t *)pg_list_add(&found) = pod;
    }
    *ret_count = found.count;
    return found.at;
}
