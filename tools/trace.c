/* `podglass trace [FILTER]`: what becomes of each request and flow, live, from the past, or from a file.
 *
 * Records come as JSON lines, from the control socket or from a file that -o jsonl wrote; the assembler (trace/exchange.c) makes exchanges of them, what does
 * not match is left out, the rest is printed. The flags are also told to the instance, which then records others only as far as it has to, to know them; what
 * counts is decided here, when an exchange is complete, and so is the pcap-filter expression.
 *
 * Called by main. Owns the list of names that records brought along. */
#include "podglass/exchange.h"
#include "podglass/pcap_filter.h"
#include "podglass/record_read.h"
#include "podglass/secrets.h"
#include "podglass/tools.h"
#include "podglass/want.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS 4096 /* that are put together at the same time */
#define LAST_MOST   100000
#define IDLE_MS     250
#define PASS_US     250000u

struct kept {
    uint64_t began_us;
    struct pg_text text;
};

struct trace {
    struct pg_options options;
    struct pg_text socket;
    struct pg_exchanges *exchanges;
    struct pg_pcap *filter;
    struct pg_name_list names;
    struct pg_text line; /* of the stream, until its end has come */
    struct pg_want want;
    const char *form;
    struct pg_exchange_style style;
    bool has_clock; /* the records said what time they are of */
    bool first;     /* -o json: nothing is printed yet */
    bool show_secrets;
    bool broken; /* standard output */
    uint64_t next_seq;
    uint64_t passed_us; /* time of the records */
    uint64_t last;      /* --last: that many are kept, 0: they are printed as they come */
    uint64_t kept_count;
    struct kept *kept; /* the ones that began last */
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

static uint64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

/* ---- which ---- */

static const char *option(const struct trace *t, enum pg_flag f)
{
    return t->options.value[f];
}

static bool is_form(const struct trace *t, const char *form)
{
    return strcmp(t->form, form) == 0;
}

static bool matches(struct trace *t, const struct pg_exchange *x, const struct pg_exchange_view *v)
{
    struct pg_names names = pg_name_list_names(&t->names);

    return pg_want_judge(&t->want, v, "", &names, true) == PG_WANTED_YES &&
           pg_pcap_exchange(t->filter, x);
}

/* ---- printing ---- */

static void render(struct trace *t, const struct pg_exchange *x, struct pg_text *out)
{
    struct pg_names names = pg_name_list_names(&t->names);
    struct pg_json j;

    if (is_form(t, "markdown")) {
        pg_exchange_markdown(x, &names, out);
    } else if (is_form(t, "mermaid")) {
        pg_exchange_mermaid(x, &names, out);
    } else if (is_form(t, "json")) {
        pg_json_begin(&j, out);
        pg_exchange_json(x, &names, &j);
    } else if (is_form(t, "jsonl")) {
        for (uint32_t i = 0; i < x->count; i++) {
            pg_json_begin(&j, out);
            pg_record_json_named(&x->records[i], &names, &j);
            pg_text_putc(out, '\n');
        }
    } else {
        pg_exchange_text(x, &names, &t->style, out);
    }
}

static void put(struct trace *t, const struct pg_text *text)
{
    if (is_form(t, "json")) {
        fputs(t->first ? "" : ",\n", stdout);
    }
    t->first = false;
    fwrite(text->at ? text->at : "", 1, text->len, stdout);
    t->broken = t->broken || fflush(stdout) != 0;
}

/* --last: instead of the one that began first of all that are kept. Flows without HTTP are over long after they began. */
static void keep(struct trace *t, uint64_t began_us, struct pg_text *text)
{
    struct kept *slot = &t->kept[0];

    if (t->kept_count < t->last) {
        slot = &t->kept[t->kept_count];
    }
    for (uint64_t n = 1; t->kept_count >= t->last && n < t->last; n++) {
        slot = t->kept[n].began_us < slot->began_us ? &t->kept[n] : slot;
    }
    if (t->kept_count++ >= t->last && slot->began_us > began_us) {
        pg_text_free(text);
        return;
    }
    pg_text_free(&slot->text);
    *slot = (struct kept){began_us, *text};
}

static int compare_begin(const void *a, const void *b)
{
    const struct kept *x = a;
    const struct kept *y = b;

    return (x->began_us > y->began_us) - (x->began_us < y->began_us);
}

/* --time abs: records of another day can only be told apart from ours if they say so. */
static bool knows_time(struct trace *t)
{
    if (t->style.time != PG_TIME_ABS || t->has_clock || t->broken) {
        return !t->broken;
    }
    pg_options_complain(PG_VERB_TRACE, "these records do not say what time it was (--time abs)");
    t->broken = true;
    return false;
}

static void on_exchange(void *arg, const struct pg_exchange *x)
{
    struct trace *t = arg;
    struct pg_exchange_view v;
    struct pg_text text = {0};

    pg_exchange_look(x, &v);
    if (!matches(t, x, &v) || !knows_time(t)) {
        return;
    }
    render(t, x, &text);
    if (t->last == 0) {
        put(t, &text);
        pg_text_free(&text);
        return;
    }
    keep(t, v.began_us, &text);
}

/* --last: what is kept, oldest first; then the rest as it comes. */
static void put_kept(struct trace *t)
{
    uint64_t count = t->kept_count < t->last ? t->kept_count : t->last;

    if (count > 0) {
        qsort(t->kept, count, sizeof *t->kept, compare_begin);
    }
    for (uint64_t n = 0; n < count; n++) {
        put(t, &t->kept[n].text);
        pg_text_free(&t->kept[n].text);
    }
    free(t->kept);
    t->kept = NULL;
    t->last = 0;
}

/* ---- reading ---- */

/* The first line of an answer. Of -o jsonl it is the first, too, so that what was saved has its time. */
static void take_clock(struct trace *t, const struct pg_record *r)
{
    if (is_form(t, "jsonl") && !t->has_clock) {
        printf("{\"apiVersion\":\"podglass/v1alpha1\",\"kind\":\"Clock\",\"timeUs\":%llu,"
               "\"unixUs\":%llu}\n",
               (unsigned long long)r->time_us, (unsigned long long)r->seq);
    }
    t->has_clock = true;
    t->style.epoch_us = r->seq - r->time_us;
}

static void take_line(struct trace *t, const char *at, size_t len)
{
    struct pg_record r;

    switch (pg_record_read_line(at, len, &r, &t->names)) {
    case PG_LINE_RECORD:
        t->next_seq = r.seq + 1;
        if (r.time_us > t->passed_us + PASS_US) { /* so that the past comes in order, too */
            t->passed_us = r.time_us;
            pg_exchanges_pass(t->exchanges, r.time_us);
        }
        if (!t->show_secrets) {
            pg_record_hide(&r, is_form(t, "markdown") || is_form(t, "mermaid"));
        }
        pg_exchanges_feed(t->exchanges, &r);
        break;
    case PG_LINE_MISSED:
        fprintf(stderr, "missed: %llu records\n", (unsigned long long)r.seq);
        break;
    case PG_LINE_CLOCK: take_clock(t, &r); break;
    case PG_LINE_BROKEN:
        if (len > 0) {
            pg_options_complain(PG_VERB_TRACE, "a line is no JSON and is left out");
        }
        break;
    case PG_LINE_OTHER: break;
    }
}

static bool on_bytes(void *arg, const char *at, size_t len)
{
    struct trace *t = arg;

    for (size_t i = 0; i < len; i++) {
        if (at[i] != '\n') {
            pg_text_putc(&t->line, at[i]);
            continue;
        }
        take_line(t, t->line.at ? t->line.at : "", t->line.len);
        pg_text_clear(&t->line);
    }
    return !interrupted && !t->broken;
}

static bool on_idle(void *arg)
{
    struct trace *t = arg;

    pg_exchanges_pass(t->exchanges, now_us());
    return !interrupted && !t->broken;
}

static int read_file(struct trace *t, const char *path)
{
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");
    char piece[65536];
    size_t n = 0;

    if (!f) {
        pg_options_complain(PG_VERB_TRACE, "%s: %s", path, strerror(errno));
        return PG_EXIT_DIFFERENT;
    }
    while ((n = fread(piece, 1, sizeof piece, f)) > 0 && on_bytes(t, piece, n)) {
    }
    if (f != stdin) {
        fclose(f);
    }
    if (t->line.len) {
        on_bytes(t, "\n", 1);
    }
    pg_exchanges_flush(t->exchanges);
    return t->broken ? PG_EXIT_DIFFERENT : 0;
}

static int read_past(struct trace *t)
{
    struct pg_text body = {0};
    int status = 0;
    int error = pg_api_get(t->socket.at, "/v1/trace?limit=100000", &status, &body);

    if (error) {
        error = pg_api_complain(PG_VERB_TRACE, t->socket.at, error);
    } else if (status != 200) {
        error = pg_api_refused(PG_VERB_TRACE, t->socket.at, status, &body);
    } else {
        on_bytes(t, body.at ? body.at : "", body.len);
        pg_exchanges_flush(t->exchanges);
        if (t->kept_count == 0) {
            fputs("nothing recorded: records are written while somebody watches, with run "
                  "--record always\n",
                  stderr);
        }
    }
    pg_text_free(&body);
    return error;
}

static void add_filter(struct pg_text *query, const char *name, const char *value)
{
    if (value) {
        pg_text_printf(query, "&%s=", name);
        pg_api_add_encoded(query, value);
    }
}

static int follow(struct trace *t)
{
    struct pg_api_reader reader = {
        .bytes = on_bytes, .idle = on_idle, .idle_ms = IDLE_MS, .arg = t};
    struct pg_text path = {0};
    struct pg_text refusal = {0};
    char text[PG_ADDR_TEXT];
    int status = 0;

    pg_text_puts(&path, "/v1/trace?follow=1");
    if (t->want.has_from) {
        pg_text_printf(&path, "&from=%s", pg_addr_print(&t->want.from, text));
    }
    add_filter(&path, "pod", t->want.pod);
    add_filter(&path, "service", t->want.service);
    add_filter(&path, "host", t->want.host);
    add_filter(&path, "path", t->want.path);
    add_filter(&path, "verdict", option(t, PG_FLAG_TRACE_VERDICT));
    if (t->next_seq) {
        pg_text_printf(&path, "&since=%llu", (unsigned long long)t->next_seq);
    }
    int error = pg_api_stream(t->socket.at, path.at, &reader, &status, &refusal);

    if (error == -EPIPE && status == 200 && !interrupted) {
        fputs("podglass trace: the instance has ended\n", stderr);
        error = PG_EXIT_DIFFERENT;
    } else if (error && !interrupted) {
        error = pg_api_complain(PG_VERB_TRACE, t->socket.at, error);
    } else if (status != 200 && !interrupted) {
        error = pg_api_refused(PG_VERB_TRACE, t->socket.at, status, &refusal);
    } else {
        error = t->broken ? PG_EXIT_DIFFERENT : 0;
    }
    pg_exchanges_flush(t->exchanges);
    pg_text_free(&path);
    pg_text_free(&refusal);
    return error;
}

/* ---- the verb ---- */

static int compile(struct trace *t)
{
    struct pg_text expression = {0};
    struct pg_text why = {0};
    int status = 0;

    for (uint32_t i = 0; i < t->options.arg_count; i++) {
        pg_text_printf(&expression, "%s%s", i ? " " : "", t->options.arg[i]);
    }
    if (expression.len && pg_pcap_compile(expression.at, &t->filter, &why) != 0) {
        status = pg_options_complain(PG_VERB_TRACE, "filter \"%s\": %s", expression.at,
                                     why.at ? why.at : "out of memory");
    }
    pg_text_free(&expression);
    pg_text_free(&why);
    return status;
}

static int understand_time(struct trace *t)
{
    const char *time = option(t, PG_FLAG_TRACE_TIME);

    if (time && !is_form(t, "text")) {
        return pg_options_complain(PG_VERB_TRACE, "--time is of text; -o %s has its own", t->form);
    }
    if (time && strcmp(time, "rel") != 0) {
        t->style.time = strcmp(time, "abs") == 0 ? PG_TIME_ABS : PG_TIME_NONE;
    }
    return 0;
}

static int understand(struct trace *t)
{
    const char *from = option(t, PG_FLAG_TRACE_FROM);

    t->form = option(t, PG_FLAG_TRACE_OUTPUT) ? option(t, PG_FLAG_TRACE_OUTPUT) : "text";
    t->style.color = is_form(t, "text") && pg_want_color(option(t, PG_FLAG_TRACE_COLOR));
    t->first = true;
    t->show_secrets = pg_options_has(&t->options, PG_FLAG_TRACE_SHOW_SECRETS);
    if (from && pg_addr_parse(from, strlen(from), &t->want.from) != 0) {
        return pg_options_complain(PG_VERB_TRACE, "--from takes an address, not \"%s\"", from);
    }
    t->want.has_from = from != NULL;
    t->want.pod = option(t, PG_FLAG_TRACE_POD);
    t->want.service = option(t, PG_FLAG_TRACE_SERVICE);
    t->want.host = option(t, PG_FLAG_TRACE_HOST);
    t->want.path = option(t, PG_FLAG_TRACE_PATH);
    for (unsigned v = 0; option(t, PG_FLAG_TRACE_VERDICT) && v < PG_VERDICT_COUNT; v++) {
        if (strcmp(option(t, PG_FLAG_TRACE_VERDICT), pg_verdict_name((enum pg_verdict)v)) == 0) {
            t->want.verdict = (enum pg_verdict)v;
            t->want.has_verdict = true;
        }
    }
    if (pg_options_number(&t->options, PG_FLAG_TRACE_LAST, 1, LAST_MOST, &t->last) ||
        pg_options_args(&t->options, 0, UINT32_MAX) || understand_time(t) || compile(t)) {
        return PG_EXIT_USAGE;
    }
    if (option(t, PG_FLAG_TRACE_SOCKET)) {
        pg_text_puts(&t->socket, option(t, PG_FLAG_TRACE_SOCKET));
    } else {
        pg_api_default_socket(NULL, &t->socket);
    }
    t->kept = t->last ? calloc(t->last, sizeof *t->kept) : NULL;
    t->exchanges = pg_exchanges_new(CONNECTIONS, on_exchange, t);
    if (!t->exchanges || (t->last && !t->kept)) {
        pg_options_complain(PG_VERB_TRACE, "out of memory");
        return PG_EXIT_PRIVILEGE;
    }
    return 0;
}

static int play(struct trace *t)
{
    const char *file = option(t, PG_FLAG_TRACE_FILENAME);
    bool past = t->last != 0;
    int status = 0;

    if (is_form(t, "json")) {
        fputs("{\"apiVersion\":\"podglass/v1alpha1\",\"kind\":\"ExchangeList\",\"items\":[\n",
              stdout);
    }
    if (file) {
        status = read_file(t, file);
    } else if (past) {
        status = read_past(t);
    }
    if (past) {
        put_kept(t);
    }
    if (status == 0 && !file && (!past || pg_options_has(&t->options, PG_FLAG_TRACE_FOLLOW))) {
        status = follow(t);
    }
    if (is_form(t, "json")) {
        fputs("\n]}\n", stdout);
    }
    if (t->broken && status == 0) {
        status = PG_EXIT_DIFFERENT;
    }
    return status;
}

int pg_tool_trace(int argc, char **argv)
{
    struct sigaction action = {.sa_handler = on_interrupt};
    struct trace t = {0};
    int status = pg_options_parse(PG_VERB_TRACE, argc, argv, &t.options);

    if (status) {
        return status;
    }
    interrupted = 0; /* top may have called before */
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    status = understand(&t);
    if (status == 0) {
        status = play(&t);
    }
    if (fflush(stdout) != 0 && status == 0) {
        status = PG_EXIT_DIFFERENT;
    }
    pg_exchanges_free(t.exchanges);
    pg_pcap_free(t.filter);
    pg_name_list_free(&t.names);
    pg_text_free(&t.line);
    pg_text_free(&t.socket);
    pg_options_free(&t.options);
    pg_reason_forget_all();
    return status;
}
