/* --set OBJ.FIELD=VALUE: a value laid over what the manifests say, before anybody reads it.
 *
 *   svc/edge/gateway.externalTrafficPolicy=Local     "spec." may be left out
 *   svc/shop/web.ports[0].nodePort=30080             also ports.http.nodePort: the item of that name
 *   lab.ingress.trustedProxies=10.0.0.0/8,192.0.2.1/32
 *   deploy/shop/web.replicas=                        as if it were not written
 *
 * Called by kinds.c for each object once its name is known. Trees are shared and constant, so those on the way to the field are copied and
 * the object gets another root. The values' place is file "--set", line N for the N-th one. Whatever is set must be for an object that is
 * there and must be read by somebody: a misspelt field is an error, not a change without effect. */
#include "cluster_internal.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PATH_MOST 16

/* One --set. Lives in load->sets, which does not grow after pg_sets_read. */
struct pg_set {
    const char *text;
    uint32_t number;
    struct pg_slice kind; /* "svc" */
    const char *rest;     /* "edge/gateway.externalTrafficPolicy=Local" */
    const char *equals;
    bool found; /* there is such an object */
    bool read;  /* somebody asked for the value */
    bool made;  /* for maps on the way that had to be made; nobody looks at it */
};

/* A step of the way to a field. */
struct step {
    const char *name; /* NULL: an index */
    uint32_t index;
};
struct way {
    struct step steps[PATH_MOST];
    uint32_t count;
};

__attribute__((format(printf, 3, 4))) static void fail(struct pg_load *load,
                                                       const struct pg_set *set, const char *format,
                                                       ...)
{
    struct pg_source source = {PG_SET_FILE, set->number};
    va_list args;
    va_start(args, format);
    pg_finding_vadd(load, PG_FINDING_ERROR, PG_CODE_WRONG, "", "", &source, 0, format, args);
    va_end(args);
}

/* ---- words ---- */

static bool kind_is(const char *kind_name, struct pg_slice word)
{
    static const char *const brief[][2] = {
        {"svc", "Service"},   {"eps", "EndpointSlice"}, {"ep", "Endpoints"},    {"po", "Pod"},
        {"no", "Node"},       {"deploy", "Deployment"}, {"sts", "StatefulSet"}, {"ds", "DaemonSet"},
        {"rs", "ReplicaSet"}, {"ing", "Ingress"},       {"ns", "Namespace"},    {"cm", "ConfigMap"},
    };
    if (pg_slice_equal_nocase(word, pg_slice_of(kind_name)))
        return true;
    for (size_t i = 0; i < sizeof(brief) / sizeof(brief[0]); i++) {
        if (pg_slice_equal_nocase(word, pg_slice_of(brief[i][0])))
            return strcmp(kind_name, brief[i][1]) == 0;
    }
    return false;
}

/* The field behind "namespace/name." or "name."; NULL: another object. */
static const char *field_of(const struct pg_load *load, const struct pg_set *set,
                            const struct pg_object *o)
{
    const char *at = set->rest;
    size_t namespace_len = strlen(o->namespace);
    size_t name_len = strlen(o->name);
    if (!kind_is(o->kind_name, set->kind))
        return NULL;
    if (set->kind.at + set->kind.len == set->rest - 1 && set->rest[-1] == '.')
        return o->kind == PG_KIND_LAB ? at : NULL;
    if (namespace_len > 0 && strncmp(at, o->namespace, namespace_len) == 0 &&
        at[namespace_len] == '/')
        at += namespace_len + 1;
    else if (namespace_len > 0 && strcmp(o->namespace, load->namespace) != 0)
        return NULL;
    if (strncmp(at, o->name, name_len) != 0 || at[name_len] != '.')
        return NULL;
    return at + name_len + 1;
}

static bool starts_object(const char *name)
{
    static const char *const roots[] = {"metadata", "spec", "status", "data", NULL};
    for (size_t i = 0; roots[i] != NULL; i++) {
        if (strcmp(name, roots[i]) == 0)
            return true;
    }
    return false;
}

/* Where fields go that do not say it. */
static const char *default_root(enum pg_kind kind)
{
    switch (kind) {
    case PG_KIND_SLICE:
    case PG_KIND_ENDPOINTS:
    case PG_KIND_NAMESPACE: return NULL;
    case PG_KIND_CONFIG_MAP: return "data";
    default: return "spec";
    }
}

/* `a.b[2]["x.y"]`, up to '='. */
static bool read_way(struct pg_load *load, const struct pg_set *set, enum pg_kind kind,
                     const char *at, struct way *ret)
{
    const char *root = default_root(kind);
    ret->count = 0;
    while (at < set->equals && ret->count < PATH_MOST - 1) {
        struct step *step = &ret->steps[ret->count];
        *step = (struct step){0};
        if (at[0] == '[' && at[1] == '"') {
            const char *end = memchr(at + 2, '"', (size_t)(set->equals - at) - 2);
            if (end == NULL || end[1] != ']')
                return false;
            step->name = pg_arena_text(&load->scratch, at + 2, (size_t)(end - at) - 2);
            at = end + 2;
        } else if (at[0] == '[') {
            char *end;
            step->index = (uint32_t)strtoul(at + 1, &end, 10);
            if (end == at + 1 || *end != ']')
                return false;
            at = end + 1;
        } else {
            size_t len = strcspn(at, ".[=");
            if (len == 0)
                return false;
            step->name = pg_arena_text(&load->scratch, at, len);
            at += len;
        }
        ret->count++;
        at += at < set->equals && *at == '.';
    }
    if (at != set->equals || ret->count == 0 || ret->steps[0].name == NULL)
        return false;
    if (root != NULL && !starts_object(ret->steps[0].name)) {
        memmove(&ret->steps[1], &ret->steps[0], ret->count * sizeof(ret->steps[0]));
        ret->steps[0] = (struct step){.name = root};
        ret->count++;
    }
    return true;
}

/* ---- trees ---- */

static struct pg_tree *tree_new(struct pg_load *load, struct pg_set *set, enum pg_tree_kind kind)
{
    struct pg_tree *t = pg_arena_alloc(&load->scratch, sizeof(*t));
    t->kind = (uint8_t)kind;
    t->line = set->number;
    t->size = 1;
    t->height = 1;
    t->set_read = &set->made;
    return t;
}

static struct pg_tree *scalar(struct pg_load *load, struct pg_set *set, const char *text,
                              size_t len)
{
    struct pg_tree *t = tree_new(load, set, PG_TREE_SCALAR);
    t->plain = true;
    t->text = pg_arena_text(&load->scratch, text, len);
    t->count = (uint32_t)len;
    t->set_read = &set->read;
    return t;
}

/* "a,b" for a field that is a list. */
static const struct pg_tree *list_of(struct pg_load *load, struct pg_set *set, const char *text)
{
    struct pg_list items = PG_LIST(&load->scratch, const struct pg_tree *);
    while (*text != '\0') {
        size_t len = strcspn(text, ",");
        pg_list_add_pointer(&items, scalar(load, set, text, len));
        text += len + (text[len] == ',');
    }
    struct pg_tree *t = tree_new(load, set, PG_TREE_LIST);
    t->items = items.at;
    t->count = items.count;
    t->set_read = &set->read;
    return t;
}

/* A tree of the YAML parser, as one of --set. */
static const struct pg_tree *marked(struct pg_load *load, struct pg_set *set,
                                    const struct pg_tree *from)
{
    struct pg_tree *t = pg_arena_alloc(&load->scratch, sizeof(*t));
    *t = *from;
    t->line = set->number;
    t->column = 0;
    t->set_read = &set->read;
    if (t->kind == PG_TREE_MAP) {
        struct pg_tree_entry *entries = pg_arena_array(&load->scratch, t->count, sizeof(*entries));
        for (uint32_t i = 0; i < t->count; i++)
            entries[i] = (struct pg_tree_entry){marked(load, set, from->entries[i].key),
                                                marked(load, set, from->entries[i].value)};
        t->entries = entries;
    } else if (t->kind == PG_TREE_LIST) {
        struct pg_list items = PG_LIST(&load->scratch, const struct pg_tree *);
        for (uint32_t i = 0; i < t->count; i++)
            pg_list_add_pointer(&items, marked(load, set, from->items[i]));
        t->items = items.at;
    }
    return t;
}

static const struct pg_tree *yaml_value(struct pg_load *load, struct pg_set *set, const char *text)
{
    uint32_t before = load->documents.count;
    pg_manifest_parse(load, PG_SET_FILE, text, strlen(text));
    if (load->documents.count == before)
        return NULL; /* it said why */
    const struct pg_tree *t = PG_LIST_AT(load->documents, struct pg_document, before)->root;
    load->documents.count = before;
    return marked(load, set, t);
}

static const struct pg_tree *value_of(struct pg_load *load, struct pg_set *set,
                                      const struct way *way)
{
    static const char *const lists[] = {"trustedProxies",
                                        "podCIDRs",
                                        "serviceCIDRs",
                                        "clusterIPs",
                                        "ipFamilies",
                                        "loadBalancerSourceRanges",
                                        "externalIPs",
                                        "allowedSources",
                                        "httpsPorts",
                                        "tlvs",
                                        NULL};
    const char *text = set->equals + 1;
    const char *field = way->steps[way->count - 1].name;
    if (strchr("[{\"'", text[0]) != NULL && text[0] != '\0')
        return yaml_value(load, set, text);
    /* the Lab has a switch of the name of a Service's list */
    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
        return scalar(load, set, text, strlen(text));
    const char *above = way->count > 1 ? way->steps[way->count - 2].name : NULL;
    if (field != NULL && text[0] != '\0' && above != NULL && strcmp(above, "dns") == 0 &&
        strcmp(field, "upstream") == 0)
        return list_of(load, set, text); /* the ingress has a word of this name */
    for (size_t i = 0; lists[i] != NULL && field != NULL && text[0] != '\0'; i++) {
        if (strcmp(field, lists[i]) == 0)
            return list_of(load, set, text);
    }
    return scalar(load, set, text, strlen(text));
}

/* ---- laying over ---- */

struct laying {
    struct pg_load *load;
    struct pg_set *set;
    const struct way *way;
    const struct pg_tree *value;
    const char *wrong; /* NULL: fine */
};

static const struct pg_tree *lay(struct laying *l, const struct pg_tree *over, uint32_t at);

static const struct pg_tree *lay_entry(struct laying *l, const struct pg_tree *over, uint32_t at)
{
    const char *name = l->way->steps[at].name;
    struct pg_tree *t = tree_new(l->load, l->set, PG_TREE_MAP);
    uint32_t count = over == NULL ? 0 : over->count;
    struct pg_tree_entry *entries =
        pg_arena_array(&l->load->scratch, (size_t)count + 1, sizeof(*entries));
    uint32_t i = 0;
    if (over != NULL) {
        *t = *over;
        if (count > 0)
            memcpy(entries, over->entries, count * sizeof(*entries));
    }
    while (i < count && strcmp(entries[i].key->text, name) != 0)
        i++;
    if (i == count) {
        struct pg_tree *key = scalar(l->load, l->set, name, strlen(name));
        key->set_read = &l->set->made;
        entries[i].key = key;
        t->count = count + 1;
    }
    entries[i].value = lay(l, i < count ? entries[i].value : NULL, at + 1);
    t->entries = entries;
    return t;
}

static uint32_t item_named(const struct pg_tree *list, const char *name)
{
    for (uint32_t i = 0; i < list->count; i++) {
        const struct pg_tree *n = pg_tree_get(list->items[i], "name");
        if (n != NULL && n->kind == PG_TREE_SCALAR && strcmp(n->text, name) == 0)
            return i;
    }
    return list->count + 1;
}

static const struct pg_tree *lay_item(struct laying *l, const struct pg_tree *over, uint32_t at)
{
    const struct step *step = &l->way->steps[at];
    uint32_t index = step->name == NULL ? step->index : item_named(over, step->name);
    struct pg_tree *t = tree_new(l->load, l->set, PG_TREE_LIST);
    struct pg_list items = PG_LIST(&l->load->scratch, const struct pg_tree *);
    if (index > over->count) {
        l->wrong = step->name == NULL ? "the list is shorter" : "no item of the list has that name";
        return over;
    }
    *t = *over;
    for (uint32_t i = 0; i < over->count; i++)
        pg_list_add_pointer(&items, i == index ? lay(l, over->items[i], at + 1) : over->items[i]);
    if (index == over->count)
        pg_list_add_pointer(&items, lay(l, NULL, at + 1));
    t->items = items.at;
    t->count = items.count;
    return t;
}

/* over with the value at the end of the way; NULL: nothing is there yet. */
static const struct pg_tree *lay(struct laying *l, const struct pg_tree *over, uint32_t at)
{
    if (at == l->way->count) {
        if (over != NULL && over->set_read != NULL)
            *over->set_read = true; /* a later --set of the same field wins */
        return l->value;
    }
    if (over != NULL && pg_tree_is_null(over))
        over = NULL;
    if (over != NULL && over->kind == PG_TREE_LIST)
        return lay_item(l, over, at);
    if (l->way->steps[at].name == NULL || (over != NULL && over->kind == PG_TREE_SCALAR)) {
        l->wrong = over == NULL ? "there is no such list" : "a value stands where the way goes on";
        return over;
    }
    return lay_entry(l, over, at);
}

static void apply(struct pg_load *load, struct pg_set *set, struct pg_object *o, const char *field)
{
    struct way way;
    set->found = true;
    if (!read_way(load, set, o->kind, field, &way)) {
        fail(load, set, "\"%.200s\": expected OBJECT.FIELD=VALUE, the field as a.b[0].c",
             set->text);
        return;
    }
    struct laying l = {.load = load, .set = set, .way = &way};
    l.value = value_of(load, set, &way);
    if (l.value == NULL)
        return;
    const struct pg_tree *root = lay(&l, o->root, 0);
    if (l.wrong != NULL)
        fail(load, set, "\"%.200s\": %s", set->text, l.wrong);
    else
        o->root = root;
}

/* ---- for kinds.c and snapshot.c ---- */

/* --profile: as one more value, behind the others. */
static const char *profile_set(struct pg_load *load)
{
    struct pg_text text = {0};
    pg_text_printf(&text, "lab.ingress.profile=%s", load->options.profile);
    const char *copy = pg_arena_text(&load->scratch, text.at, text.len);
    pg_text_free(&text);
    return copy;
}

void pg_sets_read(struct pg_load *load)
{
    load->sets = PG_LIST(&load->scratch, struct pg_set);
    pg_list_add_pointer(&load->files, PG_SET_FILE);
    uint32_t count = load->options.set_count + (load->options.profile != NULL);
    for (uint32_t i = 0; i < count; i++) {
        struct pg_set *set = pg_list_add(&load->sets);
        const char *text = i < load->options.set_count ? load->options.sets[i] : profile_set(load);
        const char *equals = strchr(text, '=');
        size_t kind = strcspn(text, "/.=");
        *set = (struct pg_set){.text = text, .number = i + 1, .equals = equals};
        set->kind = (struct pg_slice){text, kind};
        set->rest = text + kind + (text[kind] != '\0');
        if (equals == NULL || text + kind >= equals) {
            fail(load, set, "\"%.200s\": expected OBJECT.FIELD=VALUE", text);
            set->kind.len = 0;
            set->found = set->read = true;
        }
    }
}

void pg_sets_apply(struct pg_load *load, struct pg_object *object)
{
    for (uint32_t i = 0; i < load->sets.count; i++) {
        struct pg_set *set = PG_LIST_AT(load->sets, struct pg_set, i);
        const char *field = set->kind.len > 0 ? field_of(load, set, object) : NULL;
        if (field != NULL && field < set->equals)
            apply(load, set, object, field);
    }
}

bool pg_sets_want_lab(const struct pg_load *load)
{
    for (uint32_t i = 0; i < load->sets.count; i++) {
        const struct pg_set *set = PG_LIST_AT(load->sets, struct pg_set, i);
        if (!set->found && kind_is("Lab", set->kind) && set->rest[-1] == '.')
            return true;
    }
    return false;
}

void pg_sets_check(struct pg_load *load)
{
    for (uint32_t i = 0; i < load->sets.count; i++) {
        const struct pg_set *set = PG_LIST_AT(load->sets, struct pg_set, i);
        if (!set->found)
            fail(load, set, "\"%.200s\": no such object in the manifests", set->text);
        else if (!set->read && load->findings.errors == 0)
            fail(load, set, "\"%.200s\": nothing reads that field", set->text);
    }
}
