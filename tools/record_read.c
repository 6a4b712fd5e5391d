/* Records out of JSON: the other direction of trace/trace_print.c.
 *
 * What is written comes back as it was: enums by their names, reasons interned anew, addresses as addresses. A value that was text
 * and reads like an address is taken for one unless it is a header's; it prints the same. Members that are missing have the value
 * that is not written. Called by the verbs that read a running instance or a file; owns the names it was told. */
#include "podglass/record_read.h"

#include "podglass/packet.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* ---- names of addresses ---- */

void pg_name_list_free(struct pg_name_list *l)
{
    json_decref(l->by_addr);
    l->by_addr = NULL;
}

void pg_name_list_add(struct pg_name_list *l, const struct pg_addr *a, const char *name)
{
    char text[PG_ADDR_TEXT];

    if (!l->by_addr) {
        l->by_addr = json_object();
    }
    json_object_set_new(l->by_addr, pg_addr_print(a, text), json_string(name));
}

static const char *name_of(void *arg, const struct pg_addr *a)
{
    const struct pg_name_list *l = arg;
    char text[PG_ADDR_TEXT];
    const char *name = json_string_value(json_object_get(l->by_addr, pg_addr_print(a, text)));

    return name ? name : "";
}

struct pg_names pg_name_list_names(struct pg_name_list *l)
{
    return (struct pg_names){.of = name_of, .arg = l};
}

/* ---- values ---- */

/* "10.0.0.1", "10.0.0.1:80", "[2001:db8::1]:80" */
static bool read_endpoint(const char *text, struct pg_value *ret)
{
    const char *colon = strrchr(text, ':');
    size_t len = strlen(text);
    struct pg_addr addr;
    char *end = NULL;

    if (pg_addr_parse(text, len, &addr) == 0) {
        *ret = pg_value_endpoint(&addr, 0);
        return true;
    }
    if (!colon || colon[1] < '1' || colon[1] > '9') {
        return false;
    }
    unsigned long port = strtoul(colon + 1, &end, 10);
    size_t host = (size_t)(colon - text);

    if (text[0] == '[' && host > 1 && text[host - 1] == ']') {
        text++;
        host -= 2;
    }
    if (*end || port > 65535 || pg_addr_parse(text, host, &addr) != 0) {
        return false;
    }
    *ret = pg_value_endpoint(&addr, (uint16_t)port);
    return true;
}

static struct pg_value read_value(const json_t *v, bool is_text, bool cut)
{
    struct pg_value value = pg_value_none();

    if (json_is_integer(v)) {
        value.port = (uint16_t)json_integer_value(v);
    } else if (json_is_string(v) && (is_text || !read_endpoint(json_string_value(v), &value))) {
        value = pg_value_text(json_string_value(v), json_string_length(v));
        value.cut = value.cut || cut;
    }
    return value;
}

/* ---- enums by name ---- */

static const char *string_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));

    return text ? text : "";
}

static uint8_t stage_of(const char *name)
{
    for (unsigned i = 0; i < PG_STAGE_COUNT; i++) {
        if (strcmp(name, pg_stage_name((enum pg_stage)i)) == 0) {
            return (uint8_t)i;
        }
    }
    return PG_STAGE_LINK;
}

static uint8_t field_of(const char *name)
{
    for (unsigned i = 0; i < PG_FIELD_COUNT; i++) {
        if (strcmp(name, pg_field_name((enum pg_field)i)) == 0) {
            return (uint8_t)i;
        }
    }
    return PG_FIELD_NONE;
}

static uint8_t proto_of(const char *name)
{
    int proto = pg_proto_parse(name);

    return proto < 0 ? 0 : (uint8_t)proto;
}

static bool kind_of(const char *name, uint8_t *ret)
{
    static const struct {
        const char *name;
        uint8_t kind;
    } kinds[] = {{"Rewrite", PG_RECORD_REWRITE},
                 {"Keep", PG_RECORD_KEEP},
                 {"Event", PG_RECORD_EVENT},
                 {"Drop", PG_RECORD_DROP}};

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(name, kinds[i].name) == 0) {
            *ret = kinds[i].kind;
            return true;
        }
    }
    return false;
}

/* "edge.yaml:14" */
static pg_reason_id reason_of(const json_t *o)
{
    struct pg_reason r = {.object = string_of(o, "object"),
                          .field = string_of(o, "path"),
                          .value = string_of(o, "value"),
                          .defaulted = json_is_true(json_object_get(o, "defaulted"))};
    const char *code = string_of(o, "code");
    const char *source = string_of(o, "source");
    const char *colon = strrchr(source, ':');
    char *file = NULL;

    if (!o) {
        return 0;
    }
    for (unsigned i = 0; i < PG_CODE_COUNT; i++) {
        if (strcmp(code, pg_code_name((enum pg_code)i)) == 0) {
            r.code = (enum pg_code)i;
        }
    }
    if (colon && colon[1] >= '0' && colon[1] <= '9') {
        file = strndup(source, (size_t)(colon - source));
        r.line = (uint32_t)strtoul(colon + 1, NULL, 10);
    }
    r.file = file ? file : source;
    pg_reason_id id = pg_reason_intern(&r);

    free(file);
    return id;
}

/* ---- a record ---- */

static uint64_t number_of(const json_t *o, const char *key, uint64_t missing)
{
    const json_t *n = json_object_get(o, key);

    return json_is_integer(n) ? (uint64_t)json_integer_value(n) : missing;
}

static void read_names(const json_t *o, const struct pg_record *r, struct pg_name_list *names)
{
    const char *before = string_of(o, "beforeName");
    const char *after = string_of(o, "afterName");

    if (before[0] && !r->before.is_text) {
        pg_name_list_add(names, &r->before.addr, before);
    }
    if (after[0] && !r->after.is_text) {
        pg_name_list_add(names, &r->after.addr, after);
    }
}

static void read_record(const json_t *o, struct pg_record *r)
{
    const char *name = string_of(o, "name");
    bool cut = json_is_true(json_object_get(o, "cut"));

    r->seq = number_of(o, "seq", 0);
    r->time_us = number_of(o, "timeUs", 0);
    r->packet = number_of(o, "packet", 0);
    r->conntrack = number_of(o, "conntrack", 0);
    r->label = (uint32_t)strtoul(string_of(o, "flow"), NULL, 16);
    r->node = (uint16_t)number_of(o, "node", PG_NODE_NONE);
    r->stage = stage_of(string_of(o, "stage"));
    r->field = field_of(string_of(o, "field"));
    r->direction = strcmp(string_of(o, "direction"), "reply") == 0;
    r->proto = proto_of(string_of(o, "proto"));
    memcpy(r->name, name, strnlen(name, sizeof r->name - 1));
    bool is_text =
        r->field == PG_FIELD_HEADER || r->field == PG_FIELD_TARGET || r->field == PG_FIELD_TRAILER;

    r->before = read_value(json_object_get(o, "before"), is_text, cut);
    r->after = read_value(json_object_get(o, "after"), is_text, cut);
    r->reason = reason_of(json_object_get(o, "reason"));
}

enum pg_line_kind pg_record_read_line(const char *text, size_t len, struct pg_record *ret,
                                      struct pg_name_list *names)
{
    struct pg_record r = {0};
    json_t *o = json_loadb(text, len, JSON_ALLOW_NUL, NULL);
    enum pg_line_kind kind = PG_LINE_OTHER;

    if (!json_is_object(o)) {
        json_decref(o);
        return PG_LINE_BROKEN;
    }
    if (strcmp(string_of(o, "kind"), "Missed") == 0) {
        r.seq = number_of(o, "count", 0);
        kind = PG_LINE_MISSED;
    } else if (strcmp(string_of(o, "kind"), "Clock") == 0) {
        r.time_us = number_of(o, "timeUs", 0);
        r.seq = number_of(o, "unixUs", 0);
        kind = PG_LINE_CLOCK;
    } else if (kind_of(string_of(o, "kind"), &r.kind)) {
        read_record(o, &r);
        kind = PG_LINE_RECORD;
        if (names) {
            read_names(o, &r, names);
        }
    }
    json_decref(o);
    *ret = r;
    return kind;
}
