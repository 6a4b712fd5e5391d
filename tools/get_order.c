/* The order of a list, and who fills the table: --sort-by and --summary of `get`.
 *
 * Flows come from the instance in the order of its hash table; shown they are by their id, so by age. A path is kubectl's (jsonpath.c): .original.src, timeoutSeconds, {.clusterIPs[0]}.
 * Numbers go by value, texts by bytes, what is not there first.
 *
 * Pure: JSON in, JSON out. Called by get.c. */
#include "get_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct keyed {
    json_t *item;
    const json_t *key;
    size_t place; /* equal ones keep their order */
};

static int compare_values(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b)) {
        double x = json_number_value(a);
        double y = json_number_value(b);

        return x < y ? -1 : x > y;
    }
    if (json_is_string(a) && json_is_string(b)) {
        return strcmp(json_string_value(a), json_string_value(b));
    }
    return (a && !json_is_null(a)) - (b && !json_is_null(b));
}

static int compare(const void *x, const void *y)
{
    const struct keyed *a = x;
    const struct keyed *b = y;
    int order = compare_values(a->key, b->key);

    return order ? order : a->place < b->place ? -1 : a->place > b->place;
}

bool pg_get_sort(json_t *items, const char *path)
{
    size_t count = json_array_size(items);
    struct pg_text why = {0};
    struct pg_jsonpath *member = pg_jsonpath_parse_path(path, &why);
    struct keyed *all = member ? calloc(count + 1, sizeof *all) : NULL;
    bool known = member && count == 0;

    for (size_t i = 0; all && i < count; i++) {
        json_t *item = json_array_get(items, i);
        json_t *found = pg_jsonpath_find(member, item);

        all[i] = (struct keyed){json_incref(item), json_array_get(found, 0), i};
        known = known || all[i].key;
        json_decref(found); /* the item holds what is in it */
    }
    pg_jsonpath_free(member);
    pg_text_free(&why);
    if (all) {
        qsort(all, count, sizeof *all, compare);
        json_array_clear(items);
    }
    for (size_t i = 0; all && i < count; i++) {
        json_array_append_new(items, all[i].item);
    }
    free(all);
    return known;
}

/* ---- who fills the table ---- */

static void count_up(json_t *of, const char *key, json_int_t more)
{
    json_object_set_new(of, key, json_integer(json_integer_value(json_object_get(of, key)) + more));
}

static void count_flow(json_t *of, const json_t *flow)
{
    json_int_t age = json_integer_value(json_object_get(flow, "ageSeconds"));
    const char *state = json_string_value(json_object_get(flow, "state"));

    count_up(of, "entries", 1);
    count_up(of, "new", age < 10);
    count_up(of, "timeWait", state && strcmp(state, "TIME_WAIT") == 0);
    count_up(of, "unreplied", !json_is_true(json_object_get(flow, "seenReply")));
    if (age > json_integer_value(json_object_get(of, "oldestSeconds"))) {
        json_object_set_new(of, "oldestSeconds", json_integer(age));
    }
}

json_t *pg_get_summary(const json_t *items, const char *by)
{
    json_t *groups = json_object();
    json_t *list = json_array();
    size_t i = 0;
    const json_t *flow = NULL;
    const char *name = NULL;
    json_t *group = NULL;

    json_array_foreach(items, i, flow)
    {
        const json_t *key = strcmp(by, "client") == 0
                                ? json_object_get(json_object_get(flow, "original"), "src")
                                : json_object_get(flow, by);
        const char *text = json_is_string(key) ? json_string_value(key) : "";

        group = json_object_get(groups, text);
        if (!group) {
            group =
                json_pack("{s:s?, s:i, s:i, s:i, s:i, s:i, s:i}", "group", text[0] ? text : NULL,
                          "entries", 0, "new", 0, "timeWait", 0, "unreplied", 0, "oldestSeconds", 0,
                          "of", (int)json_array_size(items));
            json_object_set_new(groups, text, group);
        }
        count_flow(group, flow);
    }
    json_object_foreach(groups, name, group)
    {
        json_array_insert(list, 0, group);
    }
    json_decref(groups);
    (void)pg_get_sort(list, "entries");
    json_t *largest_first = json_array();

    for (i = json_array_size(list); i-- > 0;) {
        json_array_append(largest_first, json_array_get(list, i));
    }
    json_decref(list);
    return largest_first;
}
