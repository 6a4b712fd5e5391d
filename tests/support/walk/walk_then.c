/* What a walk can claim. Texts match as shell patterns where a '*' stands in them.
 *
 *   then status N | error refused|reset|timeout|unreachable|closed | body contains "text" | header NAME is VALUE
 *   then pod is NS/NAME | pod sees source A[:p] | pod sees path P | pod header NAME is V | pod header NAME is absent
 *   then rewrite STAGE FIELD BEFORE => AFTER [because "text"]      then keep STAGE FIELD VALUE [because "text"]
 *   then event STAGE NAME "pattern"                                then no rewrite STAGE FIELD
 *   then drop NAME [N] | drops none                                since the last when
 *   then flows N | conntrack shows "pattern" | conntrack lacks "pattern"
 *   then wire sees "pattern" | wire sees nothing                   packets sent to the wire since the walk began / since the last when
 *   then dns "pattern" | verdict kept|carried|lost|forged|ambiguous | reader READER ADDR|nothing
 *   then sessions N | connections N | counter NAME N | balance      balance: every packet that began has ended
 */
#include "walk.h"

#include "podglass/dump.h"
#include "podglass/netif.h"
#include "podglass/account.h"
#include "podglass/verdict.h"

#include <errno.h>
#include <fnmatch.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *word(const struct walk_line *l, uint32_t i)
{
    return i < l->count ? l->tokens[i] : "";
}

static bool matches(const char *pattern, const char *text)
{
    return fnmatch(pattern, text, 0) == 0;
}

/* ---- the response ---- */

static const char *error_word(int error)
{
    switch (error) {
    case 0: return "none";
    case -ECONNREFUSED: return "refused";
    case -ECONNRESET: return "reset";
    case -ETIMEDOUT: return "timeout";
    case -EHOSTUNREACH: return "unreachable";
    case -EPIPE: return "closed";
    case -EPROTO: return "tls";
    default: return "other";
    }
}

static bool then_response(struct walk *w, const struct walk_line *l)
{
    const char *what = word(l, 1);
    if (strcmp(what, "status") == 0) {
        if (w->response.status != strtoul(word(l, 2), NULL, 10)) {
            walk_fail(w, "status is %u (error %s), not %s: %s", w->response.status,
                      error_word(w->response.error), word(l, 2),
                      w->response.body.at != NULL ? w->response.body.at : "");
        }
    } else if (strcmp(what, "error") == 0) {
        if (strcmp(error_word(w->response.error), word(l, 2)) != 0) {
            walk_fail(w, "error is %s (status %u), not %s", error_word(w->response.error),
                      w->response.status, word(l, 2));
        }
    } else if (strcmp(what, "body") == 0) {
        const char *body = w->response.body.at != NULL ? w->response.body.at : "";
        bool has = strstr(body, word(l, 3)) != NULL;
        if (strcmp(word(l, 2), "bytes") == 0
                ? w->response.body_bytes != strtoull(word(l, 3), NULL, 10)
                : has == (strcmp(word(l, 2), "lacks") == 0)) {
            walk_fail(w, "body is %llu bytes: %.300s", (unsigned long long)w->response.body_bytes,
                      body);
        }
    } else if (strcmp(what, "header") == 0) {
        char wanted[512];
        const char *head = w->response.head.at != NULL ? w->response.head.at : "";
        snprintf(wanted, sizeof wanted, "\r\n%s: %s\r\n", word(l, 2), word(l, 4));
        if (strcasestr(head, wanted) == NULL) {
            walk_fail(w, "response head has no such field: %s", head);
        }
    } else {
        return false;
    }
    return true;
}

/* ---- what the pod said it saw ---- */

/* All values of a header, joined as one list; NULL: absent. */
static const char *pod_header(const json_t *said, const char *name, char *out, size_t room)
{
    const json_t *fields = json_object_get(said, "headers");
    size_t i;
    json_t *field;
    bool found = false;
    out[0] = 0;
    json_array_foreach(fields, i, field)
    {
        const char *n = json_string_value(json_array_get(field, 0));
        const char *v = json_string_value(json_array_get(field, 1));
        if (n != NULL && v != NULL && strcasecmp(n, name) == 0) {
            size_t len = strlen(out);
            snprintf(out + len, room - len, "%s%s", found ? ", " : "", v);
            found = true;
        }
    }
    return found ? out : NULL;
}

static void pod_source(struct walk *w, const json_t *said, const char *wanted)
{
    struct pg_addr addr, seen;
    uint16_t port = 0;
    const char *peer = json_string_value(json_object_get(said, "peer"));
    json_int_t peer_port = json_integer_value(json_object_get(said, "peerPort"));
    if (!walk_address(w, wanted, &addr, &port) || peer == NULL ||
        pg_addr_parse(peer, strlen(peer), &seen) != 0 || !pg_addr_equal(&addr, &seen) ||
        (port != 0 && peer_port != port)) {
        walk_fail(w, "the pod saw source %s:%lld, not %s", peer != NULL ? peer : "nothing",
                  (long long)peer_port, wanted);
    }
}

/* then pod proxy is "v2 SOURCE:PORT > DESTINATION:PORT" | absent */
static void pod_proxy(struct walk *w, const json_t *said, const struct walk_line *l)
{
    char got[256] = "absent";
    if (said != NULL) {
        const char *src = json_string_value(json_object_get(said, "source"));
        const char *dst = json_string_value(json_object_get(said, "destination"));
        snprintf(got, sizeof got, "v%lld %s:%lld > %s:%lld",
                 json_integer_value(json_object_get(said, "version")), src != NULL ? src : "-",
                 json_integer_value(json_object_get(said, "sourcePort")), dst != NULL ? dst : "-",
                 json_integer_value(json_object_get(said, "destinationPort")));
    }
    if (!matches(word(l, 4), got)) {
        walk_fail(w, "the pod got the preface %s, not %s", got, word(l, 4));
    }
}

static void then_pod(struct walk *w, const struct walk_line *l)
{
    char value[2048];
    json_t *said = w->response.body.at != NULL ? json_loads(w->response.body.at, 0, NULL) : NULL;
    const char *what = word(l, 2);
    if (said == NULL) {
        walk_fail(w, "no pod answered (status %u, error %s): %s", w->response.status,
                  error_word(w->response.error),
                  w->response.body.at != NULL ? w->response.body.at : "");
        return;
    }
    if (strcmp(what, "is") == 0) {
        const char *pod = json_string_value(json_object_get(said, "pod"));
        if (pod == NULL || !matches(word(l, 3), pod)) {
            walk_fail(w, "pod is %s, not %s", pod != NULL ? pod : "unnamed", word(l, 3));
        }
    } else if (strcmp(what, "sees") == 0 && strcmp(word(l, 3), "source") == 0) {
        pod_source(w, said, word(l, 4));
    } else if (strcmp(what, "sees") == 0) {
        const json_t *v = json_object_get(said, word(l, 3));
        if (json_is_integer(v)) {
            snprintf(value, sizeof value, "%lld", (long long)json_integer_value(v));
        } else {
            snprintf(value, sizeof value, "%s",
                     json_string_value(v) != NULL ? json_string_value(v) : "");
        }
        if (!matches(word(l, 4), value)) {
            walk_fail(w, "the pod saw %s %s, not %s", word(l, 3), value, word(l, 4));
        }
    } else if (strcmp(what, "proxy") == 0) {
        pod_proxy(w, json_object_get(said, "proxy"), l);
    } else if (strcmp(what, "header") == 0) {
        const char *got = pod_header(said, word(l, 3), value, sizeof value);
        bool absent = strcmp(word(l, 5), "absent") == 0 && !l->quoted[5];
        if (absent ? got != NULL : got == NULL || !matches(word(l, 5), got)) {
            walk_fail(w, "pod header %s is %s, not %s", word(l, 3), got != NULL ? got : "absent",
                      word(l, 5));
        }
    } else {
        walk_fail(w, "then pod what? '%s'", what);
    }
    json_decref(said);
}

static void then_verdict(struct walk *w, const struct walk_line *l)
{
    struct pg_slice body = {w->response.body.at, w->response.body.len};
    struct pg_slice request = {w->request.at, w->request.len};
    struct pg_account account;
    char text[PG_ADDR_TEXT];
    if (!pg_account_take(body, request, &w->request_from, &account)) {
        walk_fail(w, "no pod answered, so there is no verdict");
        return;
    }
    if (strcmp(word(l, 1), "verdict") == 0) {
        const char *name = pg_verdict_name(pg_verdict_decide(&account.seen));
        if (strcmp(name, word(l, 2)) != 0) {
            walk_fail(w, "verdict is %s, not %s", name, word(l, 2));
        }
    } else {
        struct pg_reader reader;
        struct pg_addr a;
        bool found =
            pg_reader_parse(word(l, 2), &reader) && pg_reader_take(&reader, &account.seen, &a);
        const char *got = found ? pg_addr_print(&a, text) : "nothing";
        if (strcmp(got, word(l, 3)) != 0) {
            walk_fail(w, "reader %s takes %s, not %s", word(l, 2), got, word(l, 3));
        }
    }
    pg_account_free(&account);
}

/* ---- records ---- */

static bool value_matches(const struct pg_value *v, const char *wanted)
{
    char text[512];
    pg_value_print(v, text, sizeof text);
    return matches(wanted, text);
}

/* A code, or a part of the text. */
static bool reason_matches(pg_reason_id id, const char *wanted)
{
    char text[512];
    pg_reason_print(id, text, sizeof text);
    return strcmp(pg_code_name(pg_reason_get(id)->code), wanted) == 0 ||
           strstr(text, wanted) != NULL;
}

static bool record_matches(const struct pg_record *r, const struct walk_line *l, uint8_t kind)
{
    char reason[512];
    if (r->kind != kind || strcmp(pg_stage_name(r->stage), word(l, 2)) != 0) {
        return false;
    }
    if (kind == PG_RECORD_EVENT) {
        char text[512];
        snprintf(text, sizeof text, "%s", pg_value_print(&r->after, reason, sizeof reason));
        return strcmp(r->name, word(l, 3)) == 0 && (l->count < 5 || matches(word(l, 4), text)) &&
               (strcmp(word(l, 5), "because") != 0 || reason_matches(r->reason, word(l, 6)));
    }
    const char *field = r->field == PG_FIELD_HEADER ? r->name : pg_field_name(r->field);
    if (strcasecmp(field, word(l, 3)) != 0 || !value_matches(&r->before, word(l, 4))) {
        return false;
    }
    uint32_t because = kind == PG_RECORD_KEEP ? 5 : 7;
    if (kind == PG_RECORD_REWRITE && !value_matches(&r->after, word(l, 6))) {
        return false;
    }
    if (strcmp(word(l, because), "because") == 0) {
        return reason_matches(r->reason, word(l, because + 1));
    }
    return true;
}

static void list_records(struct walk *w)
{
    struct pg_record r;
    uint64_t seq = w->first_record;
    uint64_t missed = 0;
    struct pg_text text = {0};
    while (pg_trace_read(pg_path_trace(w->sim.path), &seq, &r, &missed)) {
        pg_text_clear(&text);
        pg_record_print(&r, &text);
        fprintf(stderr, "    %s\n", text.at);
    }
    pg_text_free(&text);
}

static void then_record(struct walk *w, const struct walk_line *l, uint8_t kind, bool wanted)
{
    struct pg_record r;
    uint64_t seq = w->first_record;
    uint64_t missed = 0;
    bool found = false;
    while (!found && pg_trace_read(pg_path_trace(w->sim.path), &seq, &r, &missed)) {
        found = record_matches(&r, l, kind);
    }
    if (found != wanted) {
        walk_fail(w, wanted ? "no such record; these were written:" : "such a record was written:");
        list_records(w);
    }
}

static void then_no_rewrite(struct walk *w, const struct walk_line *l)
{
    struct walk_line shifted = *l; /* then no rewrite STAGE FIELD: any value */
    for (uint32_t i = 1; i + 1 < l->count; i++) {
        shifted.tokens[i] = l->tokens[i + 1];
    }
    shifted.tokens[4] = "*";
    shifted.tokens[5] = "=>";
    shifted.tokens[6] = "*";
    shifted.count = 7;
    then_record(w, &shifted, PG_RECORD_REWRITE, false);
}

/* ---- tables and counters ---- */

static void then_drops(struct walk *w, const struct walk_line *l)
{
    const uint64_t *now = pg_path_counters(w->sim.path)->drop;
    bool none = strcmp(word(l, 1), "drops") == 0;
    uint64_t wanted = l->count > 3 ? strtoull(word(l, 3), NULL, 10) : 1;
    uint64_t seen = 0;
    for (int i = 0; i < PG_DROP_COUNT; i++) {
        uint64_t n = now[i] - w->drops_before[i];
        if (n != 0 && none) {
            walk_fail(w, "%llu packets dropped: %s", (unsigned long long)n,
                      pg_drop_name((enum pg_drop)i));
        }
        if (!none && strcmp(pg_drop_name((enum pg_drop)i), word(l, 2)) == 0) {
            seen = n;
        } else if (!none && n != 0) {
            fprintf(stderr, "    (also %llu dropped: %s)\n", (unsigned long long)n,
                    pg_drop_name((enum pg_drop)i));
        }
    }
    if (!none && (l->count > 3 ? seen != wanted : seen == 0)) {
        walk_fail(w, "%llu dropped for %s", (unsigned long long)seen, word(l, 2));
    }
}

static void then_conntrack(struct walk *w, const struct walk_line *l)
{
    struct pg_text text = {0};
    bool found = false;
    pg_dump_conntrack_lines(w->sim.path, w->sim.now_us, &text);
    char *lines = text.at != NULL ? strdup(text.at) : strdup("");
    for (char *line = strtok(lines, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        found = found || matches(word(l, 3), line);
    }
    if (found != (strcmp(word(l, 2), "shows") == 0)) {
        walk_fail(w, "conntrack:\n%s", text.at != NULL ? text.at : "    (empty)");
    }
    free(lines);
    pg_text_free(&text);
}

static void then_wire(struct walk *w, const struct walk_line *l)
{
    uint32_t first = w->wire_count > WALK_WIRE_LOG ? w->wire_count - WALK_WIRE_LOG : 0;
    bool found = false;
    if (strcmp(word(l, 3), "nothing") == 0 && !l->quoted[3]) {
        found = w->wire_count == 0;
    }
    for (uint32_t i = first; i < w->wire_count && !found; i++) {
        found = matches(word(l, 3), w->wire[i % WALK_WIRE_LOG].text);
    }
    bool lacks = strcmp(word(l, 2), "lacks") == 0;
    if (found == lacks) {
        walk_fail(w, "the wire saw %u packets, %s that:", w->wire_count,
                  lacks ? "one of them" : "none of them");
        for (uint32_t i = first; i < w->wire_count; i++) {
            fprintf(stderr, "    %s\n", w->wire[i % WALK_WIRE_LOG].text);
        }
    }
}

static void then_balance(struct walk *w)
{
    const struct pg_counters *c = pg_path_counters(w->sim.path);
    uint64_t begun = c->value[PG_COUNT_RX_PACKETS] + c->value[PG_COUNT_LOCAL_OUT] +
                     c->value[PG_COUNT_FRAGMENTS_MADE];
    uint64_t ended = c->value[PG_COUNT_TX_PACKETS] + c->value[PG_COUNT_LOCAL_IN] +
                     c->value[PG_COUNT_FRAGMENTS_JOINED] + pg_path_held_packets(w->sim.path);
    for (int i = 0; i < PG_DROP_COUNT; i++) {
        ended += c->drop[i];
    }
    if (begun != ended) {
        walk_fail(w, "%llu packets began, %llu ended", (unsigned long long)begun,
                  (unsigned long long)ended);
    }
}

static void then_number(struct walk *w, const char *what, uint64_t seen, const char *wanted)
{
    if (seen != strtoull(wanted, NULL, 10)) {
        walk_fail(w, "%s: %llu, not %s", what, (unsigned long long)seen, wanted);
    }
}

static void then_counter(struct walk *w, const char *name, const char *wanted)
{
    for (int i = 0; i < PG_COUNTER_COUNT; i++) {
        if (strcmp(pg_counter_name((enum pg_counter)i), name) == 0) {
            then_number(w, name, pg_path_counters(w->sim.path)->value[i], wanted);
            return;
        }
    }
    walk_fail(w, "no counter is called %s", name);
}

static bool then_tables(struct walk *w, const struct walk_line *l)
{
    const char *what = word(l, 1);
    if (strcmp(what, "drop") == 0 || strcmp(what, "drops") == 0) {
        then_drops(w, l);
    } else if (strcmp(what, "conntrack") == 0) {
        then_conntrack(w, l);
    } else if (strcmp(what, "wire") == 0) {
        then_wire(w, l);
    } else if (strcmp(what, "balance") == 0) {
        then_balance(w);
    } else if (strcmp(what, "flows") == 0) {
        then_number(w, what, pg_nat_flow_count(pg_path_nat(w->sim.path)), word(l, 2));
    } else if (strcmp(what, "sessions") == 0) {
        then_number(w, what, pg_proxy_session_count(pg_path_proxy(w->sim.path)), word(l, 2));
    } else if (strcmp(what, "connections") == 0) {
        then_number(w, what, pg_stack_conn_count(pg_path_stack(w->sim.path)), word(l, 2));
    } else if (strcmp(what, "counter") == 0) {
        then_counter(w, word(l, 2), word(l, 3));
    } else {
        return false;
    }
    return true;
}

void walk_then(struct walk *w, const struct walk_line *l)
{
    const char *what = word(l, 1);
    if (then_response(w, l) || then_tables(w, l)) {
        return;
    }
    if (strcmp(what, "pod") == 0) {
        then_pod(w, l);
    } else if (strcmp(what, "rewrite") == 0) {
        then_record(w, l, PG_RECORD_REWRITE, true);
    } else if (strcmp(what, "keep") == 0) {
        then_record(w, l, PG_RECORD_KEEP, true);
    } else if (strcmp(what, "event") == 0) {
        then_record(w, l, PG_RECORD_EVENT, true);
    } else if (strcmp(what, "no") == 0) {
        then_no_rewrite(w, l);
    } else if (strcmp(what, "dns") == 0) {
        if (!matches(word(l, 2), w->dns)) {
            walk_fail(w, "dns said: %s", w->dns);
        }
    } else if (strcmp(what, "verdict") == 0 || strcmp(what, "reader") == 0) {
        then_verdict(w, l);
    } else {
        walk_fail(w, "then what? '%s'", what);
    }
}
