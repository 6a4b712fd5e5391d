/* Check, a kind of our own: requests and what is expected of them, for `podglass check`.
 *
 * Called by kinds.c; every document adds cases to one list, in memory that outlives the load. Nobody else defines its fields, so an unknown one is an
 * error, and so is a case that could never fail: one that expects nothing. What cases name (pods, nodes, clients, services) is looked up once
 * everything is derived, by pg_checks_resolve, so that a name which is not there is a mistake of the checks file and not a failed check. */
#include "cluster_internal.h"

#include "podglass/drops.h"
#include "podglass/reader.h"
#include "podglass/url.h"

#include <stdlib.h>
#include <string.h>

#define CASES_MAX   10000u
#define HEADERS_MAX 100u
#define TOKEN       "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

static const struct pg_known root_fields[] = {
    {"apiVersion", NULL}, {"kind", NULL}, {"metadata", NULL}, {"cases", NULL}, {NULL, NULL}};
static const struct pg_known case_fields[] = {
    {"name", NULL}, {"request", NULL}, {"expect", NULL}, {NULL, NULL}};
static const struct pg_known request_fields[] = {
    {"from", NULL},    {"fromPod", NULL}, {"fromNode", NULL}, {"url", NULL}, {"method", NULL},
    {"headers", NULL}, {"body", NULL},    {"timeout", NULL},  {NULL, NULL}};
static const struct pg_known expect_fields[] = {
    {"status", NULL}, {"error", NULL},  {"service", NULL}, {"endpoint", NULL}, {"peer", NULL},
    {"header", NULL}, {"client", NULL}, {"reader", NULL},  {"drops", NULL},    {NULL, NULL}};
static const struct pg_known client_fields[] = {
    {"verdict", NULL}, {"not", NULL}, {"address", NULL}, {"by", NULL}, {NULL, NULL}};

/* A name that is looked up when everything is derived. */
enum named { NAMED_SENDER, NAMED_POD, NAMED_NODE, NAMED_SERVICE, NAMED_ENDPOINT };
struct pg_check_name {
    enum named what;
    const char *text;
    uint32_t check; /* place in load->checks */
    struct pg_source source;
    uint32_t column;
    const char *object;
    const char *field;
};

static const char *keep(struct pg_load *load, const char *text)
{
    return pg_arena_text(&load->check_memory, text, strlen(text));
}

/* Files have few names and cases many places: one copy for all places in a row. */
static struct pg_source keep_source(struct pg_load *load, const struct pg_field *f)
{
    struct pg_source s = pg_field_source(f);
    if (load->check_file == NULL || strcmp(load->check_file, s.file) != 0)
        load->check_file = keep(load, s.file);
    s.file = load->check_file;
    return s;
}

static void name_note(const struct pg_field *f, enum named what, const char *text)
{
    struct pg_check_name *n = pg_list_add(&f->load->check_names);
    *n = (struct pg_check_name){.what = what,
                                .text = text,
                                .check = f->load->checks.count - 1,
                                .source = pg_field_source(f),
                                .column = f->tree->column,
                                .object = f->object->title,
                                .field = pg_field_path(f, &f->load->scratch)};
}

/* A scalar as it is written, number or not: what stands in a header is text to everybody. NULL: nothing there, or an error. */
static const char *loose_text(const struct pg_field *f)
{
    if (f->tree == NULL)
        return NULL;
    if (f->tree->kind != PG_TREE_SCALAR) {
        pg_field_error(f, "expected text, got a %s", f->tree->kind == PG_TREE_MAP ? "map" : "list");
        return NULL;
    }
    if (strlen(f->tree->text) != f->tree->count) {
        pg_field_error(f, "text must not hold a NUL byte");
        return NULL;
    }
    return f->tree->text;
}

static struct pg_check_want want_read(const struct pg_field *f, const char *text)
{
    struct pg_check_want w = {NULL, {"", 0}};
    if (text != NULL && f->tree != NULL)
        w = (struct pg_check_want){keep(f->load, text), keep_source(f->load, f)};
    return w;
}

static struct pg_check_want want_one_of(const struct pg_field *map, const char *name,
                                        const char *const *words)
{
    struct pg_field f = pg_field_get(map, name);
    int at = pg_field_enum(&f, words, -1);
    return want_read(&f, at < 0 ? NULL : words[at]);
}

/* ---- request ---- */

static bool has_control(const char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return true;
    }
    return false;
}

static void request_headers(const struct pg_field *request, struct pg_check_request *r)
{
    struct pg_field headers = pg_field_get(request, "headers");
    uint32_t count = pg_field_map(&headers);
    if (count > HEADERS_MAX) {
        pg_field_error(&headers, "at most %u", HEADERS_MAX);
        return;
    }
    struct pg_check_pair *pairs =
        pg_arena_array(&request->load->check_memory, count, sizeof(*pairs));
    for (uint32_t i = 0; i < count; i++) {
        struct pg_field f = pg_field_entry(&headers, i);
        const char *value = loose_text(&f);
        value = value == NULL ? "" : value;
        if (f.name[0] == '\0' || strspn(f.name, TOKEN) != strlen(f.name))
            pg_field_error(&f, "\"%.80s\" is not the name of a header", f.name);
        else if (has_control(value))
            pg_field_error(&f, "a header's value is one line without control characters");
        else
            pairs[r->header_count++] =
                (struct pg_check_pair){keep(request->load, f.name), keep(request->load, value),
                                       keep_source(request->load, f.tree == NULL ? &headers : &f)};
    }
    r->headers = pairs;
}

static void url_read(const struct pg_field *request, struct pg_check_request *r)
{
    struct pg_arena *memory = &request->load->check_memory;
    struct pg_field f = pg_field_get(request, "url");
    const char *text = pg_field_text(&f, NULL);
    struct pg_url url;
    r->url = r->host = r->field = "";
    r->path = "/";
    if (text == NULL) {
        if (!pg_field_is(&f))
            pg_field_error(&f, "a request needs a url");
        return;
    }
    r->url = keep(request->load, text);
    r->url_source = keep_source(request->load, &f);
    const char *wrong = pg_url_read(text, &url);
    if (wrong != NULL) {
        pg_field_error(&f, "%s", wrong);
        return;
    }
    r->port = url.port;
    r->tls = url.tls;
    r->host = pg_arena_text(memory, url.host.at, url.host.len);
    r->field = pg_arena_text(memory, url.authority.at, url.authority.len);
    r->path = pg_arena_printf(memory, "%s%.*s", pg_slice_is(url.target, "") ? "/" : "",
                              (int)url.target.len, url.target.at);
}

static void sender_read(const struct pg_field *request, struct pg_check_request *r)
{
    static const struct {
        const char *name;
        enum named what;
    } ways[] = {{"from", NAMED_SENDER}, {"fromPod", NAMED_POD}, {"fromNode", NAMED_NODE}};
    unsigned given = 0;
    r->from_text = r->search = "";
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        struct pg_field f = pg_field_get(request, ways[i].name);
        given += pg_field_is(&f);
        const char *text = pg_field_text(&f, NULL);
        if (text == NULL)
            continue;
        r->from_text = keep(request->load, text);
        name_note(&f, ways[i].what, text);
    }
    if (given != 1)
        pg_field_error(request, "expected one of from, fromPod and fromNode");
}

static void request_read(const struct pg_field *at, struct pg_check_request *r)
{
    struct pg_field request = pg_field_get(at, "request");
    struct pg_field method = pg_field_get(&request, "method");
    struct pg_field body = pg_field_get(&request, "body");
    struct pg_field timeout = pg_field_get(&request, "timeout");
    if (!pg_field_is(&request)) {
        pg_field_error(at, "a case needs a request");
        return;
    }
    if (pg_field_map(&request) == 0)
        return;
    pg_field_known(&request, request_fields, true);
    sender_read(&request, r);
    url_read(&request, r);
    request_headers(&request, r);
    const char *text = pg_field_text(&method, "GET");
    if (text[0] == '\0' || strlen(text) > 32 || strspn(text, TOKEN) != strlen(text))
        pg_field_error(&method, "\"%.40s\" is not a method", text);
    r->method = keep(at->load, text);
    text = loose_text(&body);
    if (text != NULL)
        r->body = (struct pg_slice){keep(at->load, text), strlen(text)};
    r->timeout_seconds = (uint32_t)pg_field_int(&timeout, 1, 3600, 30);
}

/* ---- expect ---- */

static void expect_headers(const struct pg_field *expect, struct pg_check_expect *e)
{
    struct pg_field headers = pg_field_get(expect, "header");
    uint32_t count = pg_field_map(&headers);
    struct pg_check_pair *pairs =
        pg_arena_array(&expect->load->check_memory, count, sizeof(*pairs));
    for (uint32_t i = 0; i < count; i++) {
        struct pg_field f = pg_field_entry(&headers, i);
        const char *value = loose_text(&f);
        if (value == NULL) {
            if (f.tree == NULL)
                pg_field_error(&f, "expected a value, or absent");
            continue;
        }
        bool absent = f.tree->plain && strcmp(value, "absent") == 0;
        pairs[e->header_count++] = (struct pg_check_pair){keep(expect->load, f.name),
                                                          absent ? NULL : keep(expect->load, value),
                                                          keep_source(expect->load, &f)};
    }
    e->headers = pairs;
}

static void expect_readers(const struct pg_field *expect, struct pg_check_expect *e)
{
    struct pg_field readers = pg_field_get(expect, "reader");
    uint32_t count = pg_field_map(&readers);
    struct pg_check_pair *pairs =
        pg_arena_array(&expect->load->check_memory, count, sizeof(*pairs));
    for (uint32_t i = 0; i < count; i++) {
        struct pg_field f = pg_field_entry(&readers, i);
        const char *value = pg_field_text(&f, NULL);
        struct pg_reader reader;
        struct pg_addr a;
        if (!pg_reader_parse(f.name, &reader)) {
            pg_field_error(&f, "no reader %.40s: there are " PG_READER_WORDS, f.name);
        } else if (value == NULL || (strcmp(value, "nothing") != 0 &&
                                     pg_addr_parse(value, strlen(value), &a) != 0)) {
            if (value != NULL || f.tree == NULL)
                pg_field_error(&f, "expected an address, or nothing");
        } else {
            pairs[e->reader_count++] = (struct pg_check_pair){
                keep(expect->load, f.name),
                strcmp(value, "nothing") == 0 ? NULL : keep(expect->load, value),
                keep_source(expect->load, &f)};
        }
    }
    e->readers = pairs;
}

static bool is_drop(const char *name)
{
    for (int i = 1; i < PG_DROP_COUNT; i++) {
        if (strcmp(pg_drop_name((enum pg_drop)i), name) == 0)
            return true;
    }
    return false;
}

static void drop_add(const struct pg_field *f, const char *name, const char *times,
                     struct pg_check_pair *pairs, struct pg_check_expect *e)
{
    if (name == NULL)
        return;
    if (!is_drop(name))
        pg_field_error(f, "there is no drop called \"%.60s\"", name);
    else
        pairs[e->drop_count++] = (struct pg_check_pair){keep(f->load, name), keep(f->load, times),
                                                        keep_source(f->load, f)};
}

/* `none`, a name, a list of names, or a map of names and how often. */
static void expect_drops(const struct pg_field *expect, struct pg_check_expect *e)
{
    struct pg_field drops = pg_field_get(expect, "drops");
    if (!pg_field_is(&drops))
        return;
    uint32_t count = drops.tree->kind == PG_TREE_SCALAR ? 1 : drops.tree->count;
    struct pg_check_pair *pairs =
        pg_arena_array(&expect->load->check_memory, count, sizeof(*pairs));
    e->drops_source = keep_source(expect->load, &drops);
    e->drops = pairs;
    if (drops.tree->kind == PG_TREE_SCALAR) {
        const char *name = pg_field_text(&drops, NULL);
        e->no_drops = name != NULL && strcmp(name, "none") == 0;
        if (!e->no_drops)
            drop_add(&drops, name, "", pairs, e);
        return;
    }
    if (count == 0)
        pg_field_error(&drops, "expected none, or names of drops");
    for (uint32_t i = 0; i < count; i++) {
        if (drops.tree->kind == PG_TREE_LIST) {
            struct pg_field f = pg_field_item(&drops, i);
            drop_add(&f, pg_field_text(&f, NULL), "", pairs, e);
        } else {
            struct pg_field f = pg_field_entry(&drops, i);
            int64_t n = pg_field_int(&f, 0, 1000000, -1);
            if (n >= 0)
                drop_add(&f, f.name, f.tree->text, pairs, e);
            else if (f.tree == NULL)
                pg_field_error(&f, "expected how often");
        }
    }
}

static void expect_client(const struct pg_field *expect, struct pg_check_expect *e)
{
    static const char *const verdicts[] = {"kept", "carried", "lost", "forged", "ambiguous", NULL};
    struct pg_field client = pg_field_get(expect, "client");
    struct pg_field address = pg_field_get(&client, "address");
    struct pg_addr a;
    char text[PG_ADDR_TEXT];
    if (pg_field_is(&client) && client.tree->kind == PG_TREE_MAP && client.tree->count == 0)
        pg_field_error(&client, "expected verdict, not, address or by");
    (void)pg_field_map(&client);
    pg_field_known(&client, client_fields, true);
    e->verdict = want_one_of(&client, "verdict", verdicts);
    e->not_verdict = want_one_of(&client, "not", verdicts);
    e->by = want_one_of(&client, "by", pg_carrier_names);
    if (pg_field_addr(&address, &a))
        e->client = want_read(&address, pg_addr_print(&a, text));
}

/* "namespace/name" or, for an endpoint, an address. */
static void expect_names(const struct pg_field *expect, struct pg_check_expect *e)
{
    struct pg_field service = pg_field_get(expect, "service");
    struct pg_field endpoint = pg_field_get(expect, "endpoint");
    const char *text = pg_field_text(&service, NULL);
    if (text != NULL) {
        e->service = want_read(&service, text);
        name_note(&service, NAMED_SERVICE, text);
    }
    text = pg_field_text(&endpoint, NULL);
    if (text != NULL) {
        e->endpoint = want_read(&endpoint, text);
        if (strpbrk(text, "*?[") == NULL && strchr(text, '/') != NULL)
            name_note(&endpoint, NAMED_ENDPOINT, text);
    }
}

static void expect_read(const struct pg_field *at, struct pg_check_expect *e)
{
    static const char *const errors[] = {"refused",     "reset",  "timeout",
                                         "unreachable", "closed", NULL};
    struct pg_field expect = pg_field_get(at, "expect");
    struct pg_field status = pg_field_get(&expect, "status");
    struct pg_field peer = pg_field_get(&expect, "peer");
    if (!pg_field_is(&expect) || (expect.tree->kind == PG_TREE_MAP && expect.tree->count == 0)) {
        pg_field_error(pg_field_is(&expect) ? &expect : at,
                       "a case that expects nothing proves nothing");
        return;
    }
    if (pg_field_map(&expect) == 0)
        return;
    pg_field_known(&expect, expect_fields, true);
    if (pg_field_int(&status, 100, 599, 0) != 0)
        e->status = want_read(&status, status.tree->text);
    e->error = want_one_of(&expect, "error", errors);
    if (e->status.value != NULL && e->error.value != NULL)
        pg_field_error(&expect, "either a status or an error: an error means that there was no "
                                "answer");
    e->peer = want_read(&peer, pg_field_text(&peer, NULL));
    expect_names(&expect, e);
    expect_client(&expect, e);
    expect_headers(&expect, e);
    expect_readers(&expect, e);
    expect_drops(&expect, e);
}

/* ---- cases ---- */

static void case_read(struct pg_load *load, const struct pg_field *at, struct pg_index *names)
{
    struct pg_field name = pg_field_get(at, "name");
    struct pg_check_case *c = pg_list_add(&load->checks);
    struct pg_check_case read = {.name = "", .source = keep_source(load, at)};
    (void)pg_field_map(at);
    pg_field_known(at, case_fields, true);
    if (pg_field_is(&name)) {
        read.name = keep(load, pg_field_text(&name, ""));
        read.source = keep_source(load, &name);
    } else {
        pg_field_error(at, "a case needs a name");
    }
    if (read.name[0] != '\0' &&
        pg_index_add(names, read.name, strlen(read.name), 0) != PG_INDEX_ABSENT)
        pg_field_error(&name, "a second case of that name");
    request_read(at, &read.request);
    expect_read(at, &read.expect);
    *c = read; /* nothing was added to the list since */
}

void pg_kinds_check(struct pg_load *load, const struct pg_object *object)
{
    struct pg_field root = pg_field_of(load, object, object->root);
    struct pg_field cases = pg_field_get(&root, "cases");
    uint32_t count = pg_field_list(&cases);
    load->check_documents++;
    pg_field_known(&root, root_fields, true);
    if (count == 0 && (!pg_field_is(&cases) || cases.tree->kind == PG_TREE_LIST))
        pg_field_error(&cases, "no cases");
    if (count > CASES_MAX - load->checks.count) {
        pg_field_error(&cases, "more than %u cases", CASES_MAX);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct pg_field f = pg_field_item(&cases, i);
        if (!pg_field_is(&f))
            pg_field_error(&f, "an empty case");
        else
            case_read(load, &f, &load->case_names);
    }
}

/* ---- names ---- */

static void not_there(struct pg_load *load, const struct pg_check_name *n, const char *text)
{
    pg_finding_add(load, PG_FINDING_ERROR, PG_CODE_DANGLING, n->object, n->field, &n->source,
                   "%s %.120s", text, n->text);
}

static const struct pg_raw_pod *pod_called(const struct pg_load *load, const char *text)
{
    for (uint32_t i = 0; i < load->pods.count; i++) {
        const struct pg_raw_pod *p = PG_LIST_POINTER(load->pods, struct pg_raw_pod, i);
        size_t len = strlen(p->object.namespace);
        if (strncmp(text, p->object.namespace, len) == 0 && text[len] == '/' &&
            strcmp(text + len + 1, p->object.name) == 0)
            return p;
    }
    return NULL;
}

/* An address, or a client of the lab by name. */
static void sender_find(struct pg_load *load, const struct pg_check_name *n,
                        struct pg_check_request *r)
{
    struct pg_addr a = {0};
    bool found = pg_addr_parse(n->text, strlen(n->text), &a) == 0;
    const char *why = NULL;
    for (uint32_t i = 0; i < load->lab->clients.count && !found; i++) {
        const struct pg_client *c = PG_LIST_AT(load->lab->clients, struct pg_client, i);
        found = strcmp(c->name, n->text) == 0;
        a = found ? c->addr : a;
    }
    if (!found)
        not_there(load, n, "neither an address nor a client of the lab:");
    else if (!pg_addr_usable(&a, &why))
        pg_finding_add(load, PG_FINDING_ERROR, PG_CODE_WRONG, n->object, n->field, &n->source,
                       "cannot be %s", why);
    else
        r->from[pg_addr_is_v4(&a) ? 0 : 1] = a;
}

static void name_find(struct pg_load *load, const struct pg_check_name *n)
{
    struct pg_check_request *r = &PG_LIST_AT(load->checks, struct pg_check_case, n->check)->request;
    const struct pg_raw_pod *pod = NULL;
    uint32_t at = PG_INDEX_ABSENT;
    switch (n->what) {
    case NAMED_SENDER: sender_find(load, n, r); break;
    case NAMED_POD:
    case NAMED_ENDPOINT:
        pod = pod_called(load, n->text);
        if (pod == NULL) {
            not_there(load, n, "there is no pod");
        } else if (n->what == NAMED_POD) {
            memcpy(r->from, pod->addr, sizeof(r->from));
            r->search = keep(load, pod->object.namespace);
        }
        break;
    case NAMED_NODE:
        at = pg_index_find(&load->node_by_name, n->text, strlen(n->text));
        if (at == PG_INDEX_ABSENT)
            not_there(load, n, "there is no node");
        else
            memcpy(r->from, PG_LIST_POINTER(load->nodes, struct pg_raw_node, at)->node.addr,
                   sizeof(r->from));
        break;
    case NAMED_SERVICE: {
        const char *slash = strchr(n->text, '/');
        const char *namespace =
            slash == NULL ? "" : pg_arena_text(&load->scratch, n->text, (size_t)(slash - n->text));
        if (slash == NULL ||
            pg_name_find(&load->service_by_name, namespace, slash + 1) == PG_INDEX_ABSENT)
            not_there(load, n,
                      slash == NULL ? "expected namespace/name, got" : "there is no service");
        break;
    }
    }
}

void pg_checks_resolve(struct pg_load *load)
{
    for (uint32_t i = 0; i < load->check_names.count; i++)
        name_find(load, PG_LIST_AT(load->check_names, struct pg_check_name, i));
}

void pg_checks_init(struct pg_load *load)
{
    load->checks = PG_LIST(&load->check_memory, struct pg_check_case);
    load->check_names = PG_LIST(&load->scratch, struct pg_check_name);
    load->case_names = (struct pg_index){.arena = &load->scratch};
}

void pg_checks_take(struct pg_load *load, struct pg_checks *ret)
{
    struct pg_arena *memory = calloc(1, sizeof(*memory));
    if (memory == NULL)
        abort();
    *memory = load->check_memory;
    load->check_memory = (struct pg_arena){0};
    *ret = (struct pg_checks){load->checks.at, load->checks.count, load->check_documents, memory};
}

void pg_checks_free(struct pg_checks *c)
{
    if (c->memory != NULL) {
        pg_arena_free(c->memory);
        free(c->memory);
    }
    *c = (struct pg_checks){0};
}
