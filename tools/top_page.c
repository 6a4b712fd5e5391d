/* The page of `top`: how much is going on, how full conntrack is, what became of clients' addresses, drops, and a table of services.
 *
 *   podglass top  12.0 flows/s  340.0 req/s  conntrack [##--------] 52411 of 262144 (20.0%)
 *   clients: kept 0, carried 120, lost 8010, forged 0, ambiguous 2
 *   drops: rejected 3, invalid 1
 *
 * With a cursor in front of a row, on a terminal; top_detail.c is the page of one service.
 *
 *   SERVICE    HOST                REQ/S   REQUESTS   LOST   4XX   5XX   P50   P99   KEPT   CARRIED
 *
 * What a narrow terminal cuts off is what matters least.
 *
 * Pure: two answers of the control API in, text out. Names come from manifests of strangers and are escaped. Called by top.c. */
#include "top_internal.h"

#include "get_cells.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define BAR 10

static const char *const verdicts[] = {"kept", "carried", "lost", "forged", "ambiguous"};

const char *pg_top_sort_name(enum pg_top_sort s)
{
    static const char *const names[] = {"requests per second", "requests", "5xx answers",
                                        "lost clients", "service"};

    _Static_assert(sizeof names / sizeof names[0] == PG_TOP_SORT_COUNT, "a name per order");
    return names[s];
}

/* ---- rates ---- */

static double seconds_between(const struct pg_top_sample *before, const struct pg_top_sample *now)
{
    uint64_t a = pg_get_number(json_object_get(before->counters, "metadata"), "timeMicroseconds");
    uint64_t b = pg_get_number(json_object_get(now->counters, "metadata"), "timeMicroseconds");

    return before->counters && b > a ? (double)(b - a) / 1e6 : 0.0;
}

static double rate_of(uint64_t before, uint64_t now, double seconds)
{
    return seconds > 0.0 && now > before ? (double)(now - before) / seconds : 0.0;
}

static bool is_same(const json_t *a, const json_t *b, const char *key)
{
    const char *x = pg_get_string(a, key);
    const char *y = pg_get_string(b, key);

    return x && y ? strcmp(x, y) == 0 : x == y;
}

/* How many requests it had in the earlier look. */
static uint64_t earlier(const struct pg_top_sample *before, const json_t *item)
{
    size_t i = 0;
    const json_t *old = NULL;

    json_array_foreach(json_object_get(before->requests, "items"), i, old)
    {
        if (is_same(old, item, "service") && is_same(old, item, "host")) {
            return pg_get_number(old, "requests");
        }
    }
    return 0;
}

/* ---- the head ---- */

static uint64_t sum_of(const json_t *requests, const char *verdict)
{
    uint64_t sum = 0;
    size_t i = 0;
    const json_t *item = NULL;

    json_array_foreach(json_object_get(requests, "items"), i, item)
    {
        sum += verdict ? pg_get_number(json_object_get(item, "verdicts"), verdict)
                       : pg_get_number(item, "requests");
    }
    return sum;
}

static void put_fill(const json_t *counters, struct pg_text *out)
{
    const json_t *flows = json_object_get(json_object_get(counters, "pools"), "flows");
    uint64_t used = pg_get_number(flows, "used");
    uint64_t limit = pg_get_number(flows, "limit");
    double part = limit ? (double)used / (double)limit : 0.0;

    pg_text_puts(out, "conntrack [");
    for (int i = 0; i < BAR; i++) {
        pg_text_putc(out, (double)i < part * BAR ? '#' : '-');
    }
    pg_text_printf(out, "] %" PRIu64 " of %" PRIu64 " (%.1f%%)\n", used, limit, 100.0 * part);
}

static void put_drops(const json_t *counters, struct pg_text *out)
{
    const char *name = NULL;
    json_t *value = NULL;
    unsigned said = 0;

    pg_text_puts(out, "drops:");
    json_object_foreach(json_object_get((json_t *)(uintptr_t)counters, "drops"), name, value)
    {
        if (json_integer_value(value) > 0) {
            pg_text_printf(out, "%s ", said++ ? "," : "");
            pg_text_add_escaped(out, name, strlen(name));
            pg_text_printf(out, " %" JSON_INTEGER_FORMAT, json_integer_value(value));
        }
    }
    pg_text_puts(out, said ? "\n" : " none\n");
}

static void put_head(const struct pg_top_sample *before, const struct pg_top_sample *now,
                     struct pg_text *out)
{
    double seconds = seconds_between(before, now);
    uint64_t flows[2];

    flows[0] = pg_get_number(json_object_get(before->counters, "counters"), "conntrack_insert");
    flows[1] = pg_get_number(json_object_get(now->counters, "counters"), "conntrack_insert");
    pg_text_puts(out, "podglass top  ");
    if (seconds > 0.0) {
        pg_text_printf(
            out, "%.1f flows/s  %.1f req/s  ", rate_of(flows[0], flows[1], seconds),
            rate_of(sum_of(before->requests, NULL), sum_of(now->requests, NULL), seconds));
    }
    put_fill(now->counters, out);
    pg_text_puts(out, "clients:");
    for (size_t v = 0; v < sizeof verdicts / sizeof verdicts[0]; v++) {
        pg_text_printf(out, "%s %s %" PRIu64, v ? "," : "", verdicts[v],
                       sum_of(now->requests, verdicts[v]));
    }
    pg_text_putc(out, '\n');
    put_drops(now->counters, out);
}

/* ---- the table ---- */

struct row {
    const json_t *item;
    double rate;
    uint64_t requests, errors, lost;
};

static int compare_names(const struct row *a, const struct row *b)
{
    const char *x = pg_get_string(a->item, "service");
    const char *y = pg_get_string(b->item, "service");

    return strcmp(x ? x : "", y ? y : "");
}

static int compare_double(double a, double b)
{
    return a > b ? -1 : a < b;
}

static int compare(const void *x, const void *y, void *arg)
{
    const struct row *a = x;
    const struct row *b = y;
    int order = 0;

    switch (*(const enum pg_top_sort *)arg) {
    case PG_TOP_RATE: order = compare_double(a->rate, b->rate); break;
    case PG_TOP_ERRORS: order = compare_double((double)a->errors, (double)b->errors); break;
    case PG_TOP_LOST: order = compare_double((double)a->lost, (double)b->lost); break;
    case PG_TOP_REQUESTS:
    case PG_TOP_SERVICE:
    case PG_TOP_SORT_COUNT: break;
    }
    if (order == 0 && *(const enum pg_top_sort *)arg != PG_TOP_SERVICE) {
        order = compare_double((double)a->requests, (double)b->requests);
    }
    return order ? order : compare_names(a, b);
}

static bool has_text(const json_t *item, const char *filter)
{
    const char *service = pg_get_string(item, "service");
    const char *host = pg_get_string(item, "host");

    return !filter[0] || (service && strstr(service, filter)) || (host && strstr(host, filter));
}

static void add_row(struct pg_grid *g, const struct row *r, bool with_rate)
{
    const json_t *by = json_object_get(r->item, "verdicts");

    pg_grid_cell(g, pg_get_string(r->item, "service") ? pg_get_string(r->item, "service") : "-");
    pg_grid_cell(g, pg_get_string(r->item, "host") ? pg_get_string(r->item, "host") : "-");
    if (with_rate) {
        pg_grid_cellf(g, "%.1f", r->rate);
    } else {
        pg_grid_cell(g, "-");
    }
    pg_grid_cellf(g, "%" PRIu64, r->requests);
    pg_grid_cellf(g, "%" PRIu64, r->lost);
    pg_grid_cellf(g, "%" PRIu64, pg_requests_codes(r->item, '4'));
    pg_grid_cellf(g, "%" PRIu64, r->errors);
    pg_requests_cell_below(g, r->item, 50);
    pg_requests_cell_below(g, r->item, 99);
    for (size_t v = 0; v < 2; v++) {
        pg_grid_cellf(g, "%" PRIu64, pg_get_number(by, verdicts[v]));
    }
}

/* The rows in their order; the caller frees them. NULL: out of memory. */
static struct row *collect(const struct pg_top_sample *before, const struct pg_top_sample *now,
                           const struct pg_top_view *view, size_t *ret_count)
{
    const json_t *items = json_object_get(now->requests, "items");
    struct row *rows = calloc(json_array_size(items) + 1, sizeof *rows);
    double seconds = seconds_between(before, now);
    enum pg_top_sort sort = view->sort;
    size_t count = 0;
    size_t i = 0;
    const json_t *item = NULL;

    json_array_foreach(items, i, item)
    {
        uint64_t requests = pg_get_number(item, "requests");
        bool counts = requests > 0 || pg_get_string(item, "service");

        if (rows && counts && has_text(item, view->filter)) {
            rows[count++] = (struct row){item, rate_of(earlier(before, item), requests, seconds),
                                         requests, pg_requests_codes(item, '5'),
                                         pg_get_number(json_object_get(item, "verdicts"), "lost")};
        }
    }
    if (rows) {
        qsort_r(rows, count, sizeof *rows, compare, &sort);
    }
    *ret_count = count;
    return rows;
}

unsigned pg_top_rows(const struct pg_top_sample *before, const struct pg_top_sample *now,
                     const struct pg_top_view *view, const json_t **ret_item)
{
    size_t count = 0;
    struct row *rows = collect(before, now, view, &count);

    *ret_item =
        rows && view->cursor > 0 && view->cursor <= count ? rows[view->cursor - 1].item : NULL;
    free(rows);
    return (unsigned)count;
}

/* The cursor stands in front of a row, so all lines have room for it where there is one. */
static void put_marked(const struct pg_text *table, unsigned cursor, struct pg_text *out)
{
    unsigned row = 0; /* the heads */

    for (const char *at = table->at; at && *at; row++) {
        size_t len = strcspn(at, "\n");

        pg_text_puts(out, cursor == 0 ? "" : row == cursor ? "> " : "  ");
        pg_text_add(out, at, len);
        pg_text_putc(out, '\n');
        at += len + (at[len] != 0);
    }
}

static void put_table(const struct pg_top_sample *before, const struct pg_top_sample *now,
                      const struct pg_top_view *view, struct pg_text *out)
{
    static const char *const heads[] = {"SERVICE", "HOST", "REQ/S", "REQUESTS", "LOST",   "4XX",
                                        "5XX",     "P50",  "P99",   "KEPT",     "CARRIED"};
    size_t count = 0;
    struct row *rows = collect(before, now, view, &count);
    struct pg_grid *g = pg_grid_new(heads, sizeof heads / sizeof heads[0]);
    struct pg_text table = {0};

    for (size_t i = 0; rows && i < count; i++) {
        add_row(g, &rows[i], seconds_between(before, now) > 0.0);
    }
    pg_grid_print(g, true, &table);
    put_marked(&table, view->cursor, out);
    pg_text_free(&table);
    pg_grid_free(g);
    free(rows);
}

/* ---- the whole ---- */

static void put_help(struct pg_text *out)
{
    pg_text_puts(out, "\n  s   sort by the next column: requests per second, requests, 5xx "
                      "answers, lost clients, service\n"
                      "  /   only services and hosts with a text in them; Enter ends it, an "
                      "empty one shows all\n"
                      "  up, down or k, j   move; Enter shows one service: answers, endpoints, "
                      "connections; Esc goes back\n"
                      "  t   trace the requests of the one that is marked, until Ctrl-C\n"
                      "  ?   this help\n"
                      "  q   end\n\n"
                      "  podglass explain PG101 says what a code means.\n");
}

/* Cuts lines to the width, between characters, and leaves out what is below the last row. */
static void fit(const struct pg_text *page, const struct pg_top_view *view, struct pg_text *out)
{
    unsigned row = 0;

    for (const char *at = page->at; at && *at && (view->rows == 0 || row < view->rows); row++) {
        size_t len = strcspn(at, "\n");
        size_t shown = 0;

        for (unsigned column = 0; shown < len && column < view->columns; column++) {
            shown++;
            while (shown < len && ((unsigned char)at[shown] & 0xc0) == 0x80) {
                shown++;
            }
        }
        pg_text_add(out, at, shown);
        pg_text_putc(out, '\n');
        at += len + (at[len] != 0);
    }
}

void pg_top_page(const struct pg_top_sample *before, const struct pg_top_sample *now,
                 const struct pg_top_view *view, struct pg_text *out)
{
    struct pg_text page = {0};

    put_head(before, now, &page);
    if (view->help) {
        put_help(&page);
    } else if (view->service) {
        pg_top_detail(now, view, &page);
    } else {
        pg_text_putc(&page, '\n');
        put_table(before, now, view, &page);
    }
    fit(&page, view, out);
    pg_text_free(&page);
}
