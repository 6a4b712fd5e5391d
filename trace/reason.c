/* Reasons, each kept once: a flow or a record carries a number, whoever prints it gets the text.
 *
 * Reasons come from manifests (object, field, value, file, line) and from codes.def, so there are
 * as many as there are services and policies, not as many as there are packets. nat and proxy make
 * theirs when tables are loaded; the data path only copies ids. They stay until the process ends: a
 * flow may outlive the manifest that explains it.
 *
 * One list per process, and one thread that adds to it. Called by all folders above trace; owns the
 * copies of the texts. */
#include "podglass/reason.h"

#include "podglass/hash.h"
#include "podglass/table.h"
#include "podglass/text.h"

#include <stdlib.h>
#include <string.h>

#define REASON_LIMIT (1u << 20)

struct reason_list {
    struct pg_reason **at; /* at[id - 1]; each entry is one block with its texts behind it */
    uint32_t count;
    uint32_t room;
    struct pg_table *by_value;
};
static struct reason_list reasons;

/* The table wants a keyed hash because of strangers; manifests are the operator's own, so a
 * constant will do. */
static const struct pg_hash_key reason_key = {0x706f64676c617373u, 0x726561736f6e7300u};

static const struct {
    const char *name;
    const char *title;
} codes[] = {
#define PG_CODE(id, number, title) [PG_CODE_##id] = {"PG" #number, (title)},
#include "podglass/codes.def"
#undef PG_CODE
};
_Static_assert(sizeof codes / sizeof codes[0] == PG_CODE_COUNT, "a name per code");

/* Kinds as kubectl shortens them. */
static const struct {
    const char *kind;
    const char *brief;
} kinds[] = {
    {"Service/", "svc/"},       {"Ingress/", "ing/"}, {"ConfigMap/", "cm/"},
    {"Deployment/", "deploy/"}, {"Pod/", "pod/"},     {"Node/", "node/"},
    {"EndpointSlice/", "eps/"}, {"Lab/", "lab/"},
};

const char *pg_code_name(enum pg_code code)
{
    return (unsigned)code < PG_CODE_COUNT ? codes[code].name : "PG0";
}

const char *pg_code_title(enum pg_code code)
{
    return (unsigned)code < PG_CODE_COUNT ? codes[code].title : "";
}

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

static bool same_reason(const void *owner, uint32_t value, const void *key)
{
    const struct reason_list *list = owner;
    const struct pg_reason *a = list->at[value];
    const struct pg_reason *b = key;

    return a->code == b->code && a->defaulted == b->defaulted && a->line == b->line &&
           strcmp(a->object, b->object) == 0 && strcmp(a->field, b->field) == 0 &&
           strcmp(a->value, b->value) == 0 && strcmp(a->file, b->file) == 0;
}

static uint32_t hash_reason(const struct pg_reason *r)
{
    const char *texts[] = {r->object, r->field, r->value, r->file};
    uint64_t parts[5] = {(uint64_t)r->code << 33 | (uint64_t)r->defaulted << 32 | r->line};

    for (int i = 0; i < 4; i++) {
        parts[i + 1] = pg_hash(&reason_key, texts[i], strlen(texts[i]));
    }
    return (uint32_t)pg_hash(&reason_key, parts, sizeof parts);
}

static const char *copy_text(char **room, const char *text)
{
    char *to = *room;
    size_t len = strlen(text) + 1;

    memcpy(to, text, len);
    *room += len;
    return to;
}

/* One block: the struct and its four texts. NULL: out of memory. */
static struct pg_reason *copy_reason(const struct pg_reason *r)
{
    size_t len = strlen(r->object) + strlen(r->field) + strlen(r->value) + strlen(r->file) + 4;
    struct pg_reason *copy = malloc(sizeof *copy + len);

    if (!copy) {
        return NULL;
    }
    char *room = (char *)(copy + 1);

    *copy = *r;
    copy->object = copy_text(&room, r->object);
    copy->field = copy_text(&room, r->field);
    copy->value = copy_text(&room, r->value);
    copy->file = copy_text(&room, r->file);
    return copy;
}

static bool make_room(void)
{
    if (!reasons.by_value) {
        reasons.by_value = pg_table_new(REASON_LIMIT, same_reason, &reasons);
        if (!reasons.by_value) {
            return false;
        }
    }
    if (reasons.count < reasons.room) {
        return true;
    }
    uint32_t room = reasons.room ? reasons.room * 2 : 64;
    struct pg_reason **at = realloc(reasons.at, room * sizeof *at);

    if (!at) {
        return false;
    }
    reasons.at = at;
    reasons.room = room;
    return true;
}

pg_reason_id pg_reason_intern(const struct pg_reason *reason)
{
    struct pg_reason r = *reason;

    r.object = or_empty(r.object);
    r.field = or_empty(r.field);
    r.value = or_empty(r.value);
    r.file = or_empty(r.file);
    if (!make_room()) {
        return 0;
    }
    uint32_t hash = hash_reason(&r);
    uint32_t found = pg_table_find(reasons.by_value, hash, &r);

    if (found != PG_TABLE_NONE) {
        return found + 1;
    }
    struct pg_reason *copy = copy_reason(&r);

    if (!copy) {
        return 0;
    }
    if (pg_table_add(reasons.by_value, hash, reasons.count) != 0) {
        free(copy);
        return 0;
    }
    reasons.at[reasons.count++] = copy;
    return reasons.count;
}

const struct pg_reason *pg_reason_get(pg_reason_id id)
{
    static const struct pg_reason none = {
        .code = PG_CODE_NONE, .object = "", .field = "", .value = "", .file = ""};

    return id == 0 || id > reasons.count ? &none : reasons.at[id - 1];
}

void pg_reason_forget_all(void)
{
    for (uint32_t i = 0; i < reasons.count; i++) {
        free(reasons.at[i]);
    }
    free(reasons.at);
    pg_table_free(reasons.by_value);
    reasons = (struct reason_list){0};
}

static void add_object(struct pg_text *text, const char *object)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        size_t len = strlen(kinds[i].kind);

        if (strncmp(object, kinds[i].kind, len) == 0) {
            pg_text_puts(text, kinds[i].brief);
            object += len;
            break;
        }
    }
    pg_text_add_escaped(text, object, strlen(object));
}

/* "externalTrafficPolicy: Cluster": the field without its "spec." or "data.". A type says enough by
 * its value alone. */
static void add_setting(struct pg_text *text, const struct pg_reason *r)
{
    const char *field = r->field;

    if (strncmp(field, "spec.", 5) == 0 || strncmp(field, "data.", 5) == 0) {
        field += 5;
    }
    if (strcmp(field, "type") != 0 || r->value[0] == 0) {
        pg_text_add_escaped(text, field, strlen(field));
        if (field[0] && r->value[0]) {
            pg_text_puts(text, ": ");
        }
    }
    pg_text_add_escaped(text, r->value, strlen(r->value));
    if (r->defaulted) {
        pg_text_puts(text, " (default)");
    }
}

/* Copies text, cut to the room at the edge of a UTF-8 character. */
static void copy_cut(const struct pg_text *text, char *out, uint32_t room)
{
    size_t len = text->len;

    if (room == 0) {
        return;
    }
    if (len >= room) {
        len = room - 1;
        while (len > 0 && ((unsigned char)text->at[len] & 0xc0) == 0x80) {
            len--;
        }
    }
    if (len) {
        memcpy(out, text->at, len);
    }
    out[len] = 0;
}

const char *pg_reason_print(pg_reason_id id, char *out, uint32_t room)
{
    const struct pg_reason *r = pg_reason_get(id);
    struct pg_text text = {0};

    if (r->object[0]) {
        add_object(&text, r->object);
    }
    if (r->field[0] || r->value[0]) {
        pg_text_puts(&text, r->object[0] ? " " : "");
        add_setting(&text, r);
    } else if (r->code != PG_CODE_NONE) {
        pg_text_puts(&text, r->object[0] ? ": " : "");
        pg_text_puts(&text, pg_code_title(r->code));
    }
    if (r->file[0]) {
        pg_text_puts(&text, "  ");
        pg_text_add_escaped(&text, r->file, strlen(r->file));
        if (r->line) {
            pg_text_printf(&text, ":%u", r->line);
        }
    }
    copy_cut(&text, out, room);
    pg_text_free(&text);
    return out;
}
