/* Compares what became of a request with what its case expects. Pure: every difference becomes a fault with what was wanted, what was got and who is to
 * blame. Called by check.c for each case; texts match as shell patterns where the checks file says so (docs/checks.md). */
#include "check_internal.h"

#include <errno.h>
#include <fnmatch.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *pg_check_error_name(int error)
{
    switch (error) {
    case 0: return "none";
    case -ECONNREFUSED: return "refused";
    case -ECONNRESET: return "reset";
    case -ETIMEDOUT: return "timeout";
    case -EHOSTUNREACH: return "unreachable";
    case -EPIPE: return "closed";
    case -EBADMSG: return "not HTTP";
    case -EPROTO: return "not TLS";
    default: return "other";
    }
}

static bool pod_answered(const struct pg_check_run *r)
{
    return r->account.said != NULL;
}

static bool matches(const char *pattern, const char *text)
{
    return fnmatch(pattern, text, 0) == 0;
}

/* NULL: there is no room for more, and enough is wrong already. */
static struct pg_check_fault *fault(struct pg_check_result *ret, const char *what,
                                    const struct pg_source *source, const char *want,
                                    const char *got)
{
    if (ret->fault_count == PG_CHECK_FAULTS) {
        return &ret->faults[PG_CHECK_FAULTS - 1];
    }
    struct pg_check_fault *f = &ret->faults[ret->fault_count++];
    *f = (struct pg_check_fault){.source = *source};
    snprintf(f->what, sizeof f->what, "%s", what);
    pg_text_puts(&f->want, want);
    pg_text_puts(&f->got, got);
    return f;
}

/* "503", or "no answer: timeout". */
static const char *answer_text(const struct pg_check_run *r, char out[32])
{
    if (r->error != 0) {
        snprintf(out, 32, "no answer: %s", pg_check_error_name(r->error));
    } else {
        snprintf(out, 32, "%u", r->status);
    }
    return out;
}

static void judge_answer(const struct pg_check_run *r, struct pg_check_result *ret)
{
    const struct pg_check_expect *e = &r->check->expect;
    char got[32];
    struct pg_check_fault *f = NULL;
    answer_text(r, got);
    if (e->status.value != NULL && strcmp(e->status.value, got) != 0) {
        f = fault(ret, "status", &e->status.source, e->status.value, got);
    }
    if (e->error.value != NULL && strcmp(e->error.value, pg_check_error_name(r->error)) != 0) {
        f = fault(ret, "error", &e->error.source, e->error.value,
                  r->error != 0 ? pg_check_error_name(r->error) : got);
    }
    if (f != NULL) {
        pg_check_blame(&r->hops, PG_CHECK_ABOUT_ANSWER, "", f);
    }
}

/* What is got when a pod should have said something and none did. */
static const char *silence(const struct pg_check_run *r, char out[64])
{
    char answer[32];
    snprintf(out, 64, "no pod answered (%s)", answer_text(r, answer));
    return out;
}

static void judge_choice(const struct pg_check_run *r, struct pg_check_result *ret)
{
    const struct pg_check_expect *e = &r->check->expect;
    const char *service = r->service.len != 0 ? r->service.at : "none";
    char none[64];
    if (e->service.value != NULL && strcmp(e->service.value, service) != 0) {
        pg_check_blame(&r->hops, PG_CHECK_ABOUT_CHOICE, "",
                       fault(ret, "service", &e->service.source, e->service.value, service));
    }
    if (e->endpoint.value == NULL) {
        return;
    }
    if (!pod_answered(r)) {
        pg_check_blame(
            &r->hops, PG_CHECK_ABOUT_ANSWER, "",
            fault(ret, "endpoint", &e->endpoint.source, e->endpoint.value, silence(r, none)));
        return;
    }
    char address[PG_ENDPOINT_TEXT];
    struct pg_addr a = {0};
    const char *text = json_string_value(json_object_get(r->account.said, "address"));
    const char *pod = r->account.pod;
    pg_addr_parse(text, strlen(text), &a);
    pg_addr_print(&a, address);
    if (!matches(e->endpoint.value, pod) && !matches(e->endpoint.value, r->endpoint.at) &&
        !matches(e->endpoint.value, address)) {
        struct pg_check_fault *f =
            fault(ret, "endpoint", &e->endpoint.source, e->endpoint.value, pod);
        pg_text_printf(&f->got, "%s%s", pod[0] != 0 ? " " : "", r->endpoint.at);
        pg_check_blame(&r->hops, PG_CHECK_ABOUT_CHOICE, "", f);
    }
}

static void judge_peer(const struct pg_check_run *r, struct pg_check_result *ret)
{
    const struct pg_check_want *want = &r->check->expect.peer;
    char got[PG_ADDR_TEXT];
    char none[64];
    if (want->value == NULL) {
        return;
    }
    const char *peer =
        pod_answered(r) ? pg_addr_print(&r->account.seen.peer, got) : silence(r, none);
    if (!matches(want->value, peer)) {
        pg_check_blame(&r->hops, pod_answered(r) ? PG_CHECK_ABOUT_PEER : PG_CHECK_ABOUT_ANSWER, "",
                       fault(ret, "peer", &want->source, want->value, peer));
    }
}

/* ---- the client ---- */

/* Carriers as a list. */
static void print_names(unsigned carriers, struct pg_text *out)
{
    for (unsigned c = 0; c < PG_CARRIER_COUNT; c++) {
        if (carriers & 1u << c) {
            pg_text_printf(out, "%s%s", out->len != 0 ? ", " : "", pg_carrier_names[c]);
        }
    }
}

static bool is_among(unsigned carriers, const char *name)
{
    for (unsigned c = 0; c < PG_CARRIER_COUNT; c++) {
        if (carriers & 1u << c && strcmp(pg_carrier_names[c], name) == 0) {
            return true;
        }
    }
    return false;
}

/* What the pod could take for its client: every carrier with what it has. */
static void print_carriers(const struct pg_seen *seen, struct pg_text *out)
{
    char peer[PG_ADDR_TEXT];
    pg_text_printf(out, "peer %s", pg_addr_print(&seen->peer, peer));
    const struct {
        enum pg_carrier carrier;
        struct pg_slice text;
    } headers[] = {{PG_CARRIER_XFF, seen->xff},
                   {PG_CARRIER_X_REAL_IP, seen->x_real_ip},
                   {PG_CARRIER_FORWARDED, seen->forwarded}};
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        if (headers[i].text.len != 0) {
            pg_text_printf(out, ", %s %.*s", pg_carrier_names[headers[i].carrier],
                           (int)headers[i].text.len, headers[i].text.at);
        }
    }
    if (seen->has_proxy) {
        pg_text_printf(out, ", proxy %s",
                       pg_addr_is_none(&seen->proxy) ? "without a source"
                                                     : pg_addr_print(&seen->proxy, peer));
    }
}

static void judge_address(const struct pg_check_run *r, struct pg_check_result *ret)
{
    const struct pg_check_expect *e = &r->check->expect;
    struct pg_text names = {0};
    struct pg_addr wanted = r->account.seen.client;
    if (e->client.value != NULL) {
        pg_addr_parse(e->client.value, strlen(e->client.value), &wanted);
    }
    unsigned carriers = pg_carriers_of(&r->account.seen, &wanted);
    if (e->client.value != NULL && carriers == 0) {
        struct pg_check_fault *f =
            fault(ret, "client.address", &e->client.source, e->client.value, "");
        print_carriers(&r->account.seen, &f->got);
        pg_check_blame(&r->hops, PG_CHECK_ABOUT_CLIENT, "", f);
    }
    if (e->by.value != NULL && !is_among(carriers, e->by.value)) {
        print_names(carriers, &names);
        pg_check_blame(&r->hops, PG_CHECK_ABOUT_CLIENT, "",
                       fault(ret, "client.by", &e->by.source, e->by.value,
                             names.len != 0 ? names.at : "nothing"));
    }
    pg_text_free(&names);
}

static void judge_client(const struct pg_check_run *r, struct pg_check_result *ret)
{
    const struct pg_check_expect *e = &r->check->expect;
    const struct pg_check_want *const asked[] = {&e->verdict, &e->not_verdict, &e->client, &e->by};
    static const char *const names[] = {"client.verdict", "client.not", "client.address",
                                        "client.by"};
    uint32_t faults = ret->fault_count;
    char none[64];
    if (!pod_answered(r)) {
        for (size_t i = 0; i < 4; i++) {
            if (asked[i]->value != NULL) {
                pg_check_blame(
                    &r->hops, PG_CHECK_ABOUT_ANSWER, "",
                    fault(ret, names[i], &asked[i]->source, asked[i]->value, silence(r, none)));
            }
        }
        return;
    }
    const char *verdict = pg_verdict_name(pg_verdict_decide(&r->account.seen));
    if (e->verdict.value != NULL && strcmp(e->verdict.value, verdict) != 0) {
        pg_check_blame(&r->hops, PG_CHECK_ABOUT_CLIENT, "",
                       fault(ret, names[0], &e->verdict.source, e->verdict.value, verdict));
    }
    if (e->not_verdict.value != NULL && strcmp(e->not_verdict.value, verdict) == 0) {
        struct pg_check_fault *f = fault(ret, names[1], &e->not_verdict.source, "not ", verdict);
        pg_text_puts(&f->want, e->not_verdict.value);
        pg_check_blame(&r->hops, PG_CHECK_ABOUT_CLIENT, "", f);
    }
    if (ret->fault_count == faults) { /* the rest would only say the same again */
        judge_address(r, ret);
    }
}

static void judge_readers(const struct pg_check_run *r, struct pg_check_result *ret)
{
    const struct pg_check_expect *e = &r->check->expect;
    for (uint32_t i = 0; i < e->reader_count; i++) {
        const struct pg_check_pair *p = &e->readers[i];
        struct pg_addr wanted = {0};
        struct pg_addr got = {0};
        char what[96];
        char text[PG_ADDR_TEXT] = "nothing";
        char none[64];
        struct pg_reader reader;
        bool found = pod_answered(r) && pg_reader_parse(p->name, &reader) &&
                     pg_reader_take(&reader, &r->account.seen, &got);
        if (p->value != NULL) {
            pg_addr_parse(p->value, strlen(p->value), &wanted);
        }
        if (pod_answered(r) && found == (p->value != NULL) &&
            (!found || pg_addr_equal(&wanted, &got))) {
            continue;
        }
        if (found) {
            pg_addr_print(&got, text);
        }
        snprintf(what, sizeof what, "reader.%s", p->name);
        pg_check_blame(&r->hops, pod_answered(r) ? PG_CHECK_ABOUT_CLIENT : PG_CHECK_ABOUT_ANSWER,
                       "",
                       fault(ret, what, &p->source, p->value != NULL ? p->value : "nothing",
                             pod_answered(r) ? text : silence(r, none)));
    }
}

static void judge_headers(const struct pg_check_run *r, struct pg_check_result *ret)
{
    const struct pg_check_expect *e = &r->check->expect;
    for (uint32_t i = 0; i < e->header_count; i++) {
        const struct pg_check_pair *p = &e->headers[i];
        struct pg_text got = {0};
        char what[96];
        char none[64];
        bool found = pod_answered(r) && pg_account_header(&r->account, p->name, &got);
        bool good = pod_answered(r) && found == (p->value != NULL) &&
                    (!found || matches(p->value, got.at != NULL ? got.at : ""));
        if (!good) {
            snprintf(what, sizeof what, "header.%s", p->name);
            const char *text = !pod_answered(r) ? silence(r, none) : !found ? "absent" : got.at;
            pg_check_blame(&r->hops,
                           pod_answered(r) ? PG_CHECK_ABOUT_HEADER : PG_CHECK_ABOUT_ANSWER, p->name,
                           fault(ret, what, &p->source, p->value != NULL ? p->value : "absent",
                                 text != NULL ? text : ""));
        }
        pg_text_free(&got);
    }
}

/* ---- drops ---- */

static void judge_no_drops(const struct pg_check_run *r, struct pg_check_result *ret)
{
    struct pg_text got = {0};
    const char *first = NULL;
    for (int i = 0; i < PG_DROP_COUNT; i++) {
        if (r->drops[i] != 0) {
            const char *name = pg_drop_name((enum pg_drop)i);
            pg_text_printf(&got, "%s%s %llu", got.len != 0 ? ", " : "", name,
                           (unsigned long long)r->drops[i]);
            first = first == NULL ? name : first;
        }
    }
    if (first != NULL) {
        pg_check_blame(&r->hops, PG_CHECK_ABOUT_DROP, first,
                       fault(ret, "drops", &r->check->expect.drops_source, "none", got.at));
    }
    pg_text_free(&got);
}

static void judge_drops(const struct pg_check_run *r, struct pg_check_result *ret)
{
    const struct pg_check_expect *e = &r->check->expect;
    if (e->no_drops) {
        judge_no_drops(r, ret);
    }
    for (uint32_t d = 0; d < e->drop_count; d++) {
        const struct pg_check_pair *p = &e->drops[d];
        uint64_t seen = 0;
        for (int i = 0; i < PG_DROP_COUNT; i++) {
            seen += strcmp(pg_drop_name((enum pg_drop)i), p->name) == 0 ? r->drops[i] : 0;
        }
        bool any = p->value[0] == 0;
        if (any ? seen != 0 : seen == strtoull(p->value, NULL, 0)) {
            continue;
        }
        char what[96];
        char got[24];
        snprintf(what, sizeof what, "drops.%s", p->name);
        snprintf(got, sizeof got, "%llu", (unsigned long long)seen);
        pg_check_blame(&r->hops, PG_CHECK_ABOUT_DROP, p->name,
                       fault(ret, what, &p->source, any ? "at least 1" : p->value, got));
    }
}

void pg_check_judge(const struct pg_check_run *r, struct pg_check_result *ret)
{
    ret->check = r->check;
    ret->fault_count = 0;
    if (r->problem.len != 0) {
        fault(ret, "request", &r->check->request.url_source, "sent", r->problem.at);
        return;
    }
    judge_answer(r, ret);
    judge_choice(r, ret);
    judge_peer(r, ret);
    judge_client(r, ret);
    judge_headers(r, ret);
    judge_readers(r, ret);
    judge_drops(r, ret);
}

void pg_check_result_clear(struct pg_check_result *r)
{
    for (uint32_t i = 0; i < r->fault_count; i++) {
        pg_text_free(&r->faults[i].want);
        pg_text_free(&r->faults[i].got);
    }
    r->fault_count = 0;
}
