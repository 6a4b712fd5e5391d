/* Canaries of ingress-nginx: an Ingress that takes some of the requests of another one's paths.
 *
 * Called by annotations.c for each annotation, and by derive_routes.c for each path that has a canary. What the controller asks one after the other when a request is there becomes
 * lines of routing in that order: the header, the cookie, the weight. Everything but the backend is said by the main Ingress, as there. */
#include "annotations.h"

#include "podglass/pattern.h"

#include <string.h>

static bool token_ok(const struct pg_field *f, const char *text)
{
    if (text[0] != '\0' && strpbrk(text, "()<>@,;:/[]?={} \t\"\\") == NULL)
        return true;
    pg_field_warn(f, PG_CODE_UNSUPPORTED, "\"%.80s\" is left out: expected a name", text);
    return false;
}

static void number_read(const struct pg_field *f, uint32_t least, uint32_t most, uint32_t *ret)
{
    uint64_t n = 0;
    if (pg_annotation_number(f, least, most, &n))
        *ret = (uint32_t)n;
}

static void pattern_read(const struct pg_field *f, struct pg_raw_canary *to)
{
    char why[160];
    const char *text = pg_field_text(f, "");
    const char *form = pg_arena_printf(&f->load->scratch, "(?s).*(?:%s).*", text);
    struct pg_pattern *p = pg_pattern_new(form, PG_PATTERN_WHOLE, why);
    if (p == NULL)
        pg_field_warn(f, PG_CODE_UNSUPPORTED, "\"%.80s\" is left out: no regular expression: %s",
                      text, why);
    else
        to->pattern = form; /* somewhere in the value, as the controller looks for it */
    pg_pattern_free(p);
}

void pg_annotation_canary(const struct pg_field *f, struct pg_raw_canary *to)
{
    const char *rest = f->name + strlen(PG_NGINX_PREFIX "canary");
    const char *text = pg_field_text(f, "");
    if (strcmp(rest, "") == 0) {
        (void)pg_annotation_truth(f, &to->on);
    } else if (strcmp(rest, "-weight") == 0) {
        number_read(f, 0, 1000000, &to->weight);
        to->weight_source = pg_field_source(f);
    } else if (strcmp(rest, "-weight-total") == 0) {
        number_read(f, 1, 1000000, &to->total);
    } else if (strcmp(rest, "-by-header") == 0 && token_ok(f, text)) {
        to->header = text;
        to->header_source = pg_field_source(f);
    } else if (strcmp(rest, "-by-header-value") == 0) {
        to->value = text;
    } else if (strcmp(rest, "-by-header-pattern") == 0) {
        pattern_read(f, to);
    } else if (strcmp(rest, "-by-cookie") == 0 && token_ok(f, text)) {
        to->cookie = text;
        to->cookie_source = pg_field_source(f);
    } else if (rest[0] == '-' && strncmp(rest, "-by-", 4) != 0) {
        pg_field_warn(f, PG_CODE_UNSUPPORTED, "unknown annotation of ingress-nginx");
    }
}

/* ---- lines ---- */

static const char *lower(struct pg_load *load, const char *text)
{
    size_t len = strlen(text);
    char *copy = pg_arena_text(&load->scratch, text, len);
    for (size_t i = 0; i < len; i++)
        copy[i] = (char)(copy[i] >= 'A' && copy[i] <= 'Z' ? copy[i] | 0x20 : copy[i]);
    return copy;
}

/* The route for requests with that header or cookie. */
static void line_add(struct pg_load *load, const struct pg_route *route, struct pg_source source,
                     struct pg_route_test test)
{
    struct pg_route *r = pg_list_add(&load->routes);
    *r = *route;
    r->source = source;
    r->test_first = load->tests.count;
    r->test_count = 1;
    *(struct pg_route_test *)pg_list_add(&load->tests) = test;
}

static void header_lines(struct pg_load *load, const struct pg_route *main,
                         const struct pg_route *canary, const struct pg_raw_canary *c)
{
    struct pg_route_test test = {.kind = PG_TEST_HEADER, .name = lower(load, c->header)};
    test.regex = c->value[0] == '\0' && c->pattern[0] != '\0';
    test.value = c->value[0] != '\0' ? c->value : test.regex ? c->pattern : "always";
    line_add(load, canary, c->header_source, test);
    if (c->value[0] != '\0' || test.regex)
        return;
    test.value = "never";
    line_add(load, main, main->source, test);
}

static void cookie_lines(struct pg_load *load, const struct pg_route *main,
                         const struct pg_route *canary, const struct pg_raw_canary *c)
{
    struct pg_route_test test = {.kind = PG_TEST_COOKIE, .name = c->cookie, .value = "always"};
    line_add(load, canary, c->cookie_source, test);
    test.value = "never";
    line_add(load, main, main->source, test);
}

static void share_add(struct pg_load *load, const struct pg_route *route,
                      const struct pg_raw_canary *c, uint32_t split, uint32_t weight)
{
    struct pg_route *r = pg_list_add(&load->routes);
    *r = *route;
    r->split = split;
    r->weight = weight;
    r->weights = c->total;
    r->backend_source = c->weight_source;
}

void pg_canary_lines(struct pg_load *load, const struct pg_route *main,
                     const struct pg_route *backend, const struct pg_raw_canary *c)
{
    struct pg_route canary = *backend;
    canary.path = main->path;
    canary.path_type = main->path_type;
    canary.filter_first = main->filter_first;
    canary.filter_count = main->filter_count;
    if (c->header[0] != '\0')
        header_lines(load, main, &canary, c);
    if (c->cookie[0] != '\0')
        cookie_lines(load, main, &canary, c);
    if (c->weight == 0) {
        *(struct pg_route *)pg_list_add(&load->routes) = *main;
    } else if (c->weight >= c->total) {
        *(struct pg_route *)pg_list_add(&load->routes) = canary;
    } else {
        share_add(load, main, c, 2, c->total - c->weight);
        share_add(load, &canary, c, 0, c->weight);
    }
}
