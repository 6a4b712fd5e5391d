/* `get ingresses`, `get routes` and `get settings`: what the ingress goes by, as it is in force, with the lines that said so.
 *
 * A route is one line of routing in the order of precedence: whose rule, what it asks of a request, where it leads, and what is done on the way (annotations of an Ingress,
 * filters of an HTTPRoute) in the order it acts. A setting is one value of the ingress as a whole: profile, header policies, trust, PROXY, limits and
 * timeouts; nobody may have written it, then it says so.
 *
 * Called by dump_json.c; reads the snapshot. */
#include "dump_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- routes ---- */

static void text_or_null(struct pg_json *j, const char *key, const char *text)
{
    pg_json_key_string(j, key, text && text[0] ? text : NULL);
}

static void tests_of(struct pg_dump *d, const struct pg_route *r)
{
    static const char *const kinds[] = {[PG_TEST_METHOD] = "method",
                                        [PG_TEST_HEADER] = "header",
                                        [PG_TEST_QUERY] = "query",
                                        [PG_TEST_COOKIE] = "cookie"};
    struct pg_json *j = &d->json;

    pg_json_key(j, "tests");
    pg_json_array(j);
    for (uint32_t i = 0; i < r->test_count; i++) {
        const struct pg_route_test *t = &d->snapshot->tests[r->test_first + i];

        pg_json_object(j);
        pg_json_key_string(j, "kind", kinds[t->kind]);
        text_or_null(j, "name", t->name);
        pg_json_key_bool(j, "regex", t->regex);
        pg_json_key_string(j, "value", t->value);
        pg_json_object_end(j);
    }
    pg_json_array_end(j);
}

static void filters_of(struct pg_dump *d, const struct pg_route *r)
{
    struct pg_json *j = &d->json;

    pg_json_key(j, "filters");
    pg_json_array(j);
    for (uint32_t i = 0; i < r->filter_count; i++) {
        const struct pg_route_filter *f = &d->snapshot->filters[r->filter_first + i];

        pg_json_object(j);
        pg_json_key_string(j, "object", f->object);
        pg_json_key_string(j, "field", f->field);
        pg_json_key_string(j, "value", f->text);
        pg_json_key_bool(j, "defaulted", f->source.line == 0);
        pg_dump_source(d, "source", &f->source);
        pg_json_object_end(j);
    }
    pg_json_array_end(j);
}

static void number_or_null(struct pg_json *j, const char *key, uint32_t n)
{
    pg_json_key(j, key);
    if (n) {
        pg_json_uint(j, n);
    } else {
        pg_json_string(j, NULL);
    }
}

/* "edge/main:http", of an HTTPRoute's line */
static void listener_of(struct pg_dump *d, const struct pg_route *r)
{
    const struct pg_snapshot *s = d->snapshot;
    struct pg_text text = {0};

    if (r->listener < s->listener_count) {
        const struct pg_gateway_listener *l = &s->listeners[r->listener];
        const struct pg_gateway *g = &s->gateways[l->gateway];

        pg_text_printf(&text, "%s/%s:%s", g->namespace, g->name, l->name);
    }
    pg_json_key_string(&d->json, "listener", text.at);
    pg_text_free(&text);
}

static void route(struct pg_dump *d, const struct pg_route *r)
{
    static const char *const refusals[] = {NULL, "resource", "bad-reference", "no-backend"};
    const struct pg_snapshot *s = d->snapshot;
    struct pg_json *j = &d->json;
    struct pg_text service = {0};

    if (r->service != PG_INDEX_NONE) {
        pg_text_printf(&service, "%s/%s", s->services[r->service].namespace,
                       s->services[r->service].name);
    }
    pg_json_object(j);
    text_or_null(j, "host", r->host);
    pg_json_key_string(j, "path", r->path);
    pg_json_key_string(j, "pathType", pg_path_type_name(r->path_type));
    tests_of(d, r);
    listener_of(d, r);
    number_or_null(j, "listenerPort", pg_route_port(s, r));
    pg_json_key_string(j, "object", r->object);
    number_or_null(j, "rule", r->rule); /* null: the default backend */
    pg_json_key_string(j, "backend", r->backend_text);
    pg_json_key_string(j, "service", service.at);
    number_or_null(j, "servicePort", r->service_port);
    pg_json_key_uint(j, "weight", r->weight);
    pg_json_key_uint(j, "weights", r->weights);
    pg_json_key_string(j, "refused", refusals[r->refusal]);
    filters_of(d, r);
    pg_dump_source(d, "source", &r->source);
    pg_json_object_end(j);
    pg_text_free(&service);
}

void pg_dump_routes(struct pg_dump *d)
{
    for (uint32_t i = 0; d->snapshot && i < d->snapshot->route_count; i++) {
        route(d, &d->snapshot->routes[i]);
    }
}

/* ---- ingresses ---- */

/* Each once, in the order of routing: routes of one host stand together. */
static void hosts_of(struct pg_dump *d, uint32_t ingress)
{
    const struct pg_snapshot *s = d->snapshot;
    const char *last = NULL;

    pg_json_key(&d->json, "hosts");
    pg_json_array(&d->json);
    for (uint32_t i = 0; i < s->route_count; i++) {
        const struct pg_route *r = &s->routes[i];

        if (r->ingress == ingress && (!last || strcmp(last, r->host) != 0)) {
            pg_json_string(&d->json, r->host[0] ? r->host : "*");
            last = r->host;
        }
    }
    pg_json_array_end(&d->json);
}

static bool has_tls(const struct pg_snapshot *s, const char *object)
{
    for (uint32_t i = 0; i < s->tls_host_count; i++) {
        if (strcmp(s->tls_hosts[i].object, object) == 0) {
            return true;
        }
    }
    return false;
}

/* Where clients reach it: the service in front of the ingress, and its ports. */
static void front_of(struct pg_dump *d, const char *object)
{
    const struct pg_snapshot *s = d->snapshot;
    struct pg_json *j = &d->json;
    const struct pg_service *front =
        s->lab.ingress_service < s->service_count ? &s->services[s->lab.ingress_service] : NULL;

    pg_json_key(j, "addresses");
    pg_json_array(j);
    for (uint32_t i = 0; front && i < front->lb_count; i++) {
        pg_json_addr(j, &s->lb_ips[front->lb_first + i].addr);
    }
    pg_json_array_end(j);
    pg_json_key(j, "ports");
    pg_json_array(j);
    pg_json_uint(j, 80);
    if (has_tls(s, object)) {
        pg_json_uint(j, 443);
    }
    pg_json_array_end(j);
}

static void tls_of(struct pg_dump *d, const char *object)
{
    const struct pg_snapshot *s = d->snapshot;
    struct pg_json *j = &d->json;

    pg_json_key(j, "tls");
    pg_json_array(j);
    for (uint32_t i = 0; i < s->tls_host_count; i++) {
        const struct pg_tls_host *t = &s->tls_hosts[i];
        const char *certificate = t->passthrough                 ? "passed-through"
                                  : t->secret == PG_INDEX_NONE   ? "made-up"
                                  : s->secrets[t->secret].usable ? "secret"
                                                                 : "made-up";
        if (strcmp(t->object, object) != 0) {
            continue;
        }
        pg_json_object(j);
        text_or_null(j, "host", t->host);
        text_or_null(j, "secret", t->secret_text);
        pg_json_key_string(j, "certificate", certificate);
        pg_dump_source(d, "source", &t->source);
        pg_json_object_end(j);
    }
    pg_json_array_end(j);
}

void pg_dump_ingresses(struct pg_dump *d)
{
    const struct pg_snapshot *s = d->snapshot;
    struct pg_json *j = &d->json;

    for (uint32_t i = 0; s && i < s->ingress_count; i++) {
        const struct pg_ingress *ingress = &s->ingresses[i];
        struct pg_text object = {0};

        pg_text_printf(&object, "Ingress/%s/%s", ingress->namespace, ingress->name);
        pg_json_object(j);
        pg_json_key_string(j, "namespace", ingress->namespace);
        pg_json_key_string(j, "name", ingress->name);
        text_or_null(j, "class", ingress->class_name);
        hosts_of(d, i);
        front_of(d, object.at);
        tls_of(d, object.at);
        pg_json_key(j, "routes");
        pg_json_array(j);
        for (uint32_t r = 0; r < s->route_count; r++) {
            if (s->routes[r].ingress == i) {
                route(d, &s->routes[r]);
            }
        }
        pg_json_array_end(j);
        pg_dump_source(d, "source", &ingress->source);
        pg_json_object_end(j);
        pg_text_free(&object);
    }
}

/* ---- settings ---- */

/* text is used up. */
static void setting(struct pg_dump *d, const char *object, const char *field, struct pg_text *text,
                    const struct pg_source *source)
{
    struct pg_json *j = &d->json;

    pg_json_object(j);
    pg_json_key_string(j, "object", object);
    pg_json_key_string(j, "name", field);
    text_or_null(j, "value", text->at);
    pg_json_key_bool(j, "defaulted", source->line == 0);
    pg_dump_source(d, "source", source);
    pg_json_object_end(j);
    pg_text_free(text);
}

static void setting_word(struct pg_dump *d, const char *object, const char *field, const char *word,
                         const struct pg_source *source)
{
    struct pg_text text = {0};

    pg_text_puts(&text, word);
    setting(d, object, field, &text, source);
}

static void add_prefixes(struct pg_text *text, const struct pg_prefix *at, uint32_t count)
{
    char one[PG_ENDPOINT_TEXT];

    for (uint32_t i = 0; i < count; i++) {
        pg_text_printf(text, "%s%s", i ? "," : "", pg_prefix_print(&at[i], one));
    }
}

static void upstream_settings(struct pg_dump *d, const struct pg_ingress_settings *s)
{
    setting_word(d, "Lab", "spec.ingress.upstream",
                 s->upstream == PG_UPSTREAM_ENDPOINTS ? "endpoints" : "service",
                 &s->upstream_source);
    if (s->upstream == PG_UPSTREAM_ENDPOINTS) {
        setting_word(d, "Lab", "spec.ingress.balance",
                     s->balance == PG_BALANCE_LEAST_CONNECTIONS ? "leastConnections" : "roundRobin",
                     &s->upstream_source);
    }
}

/* Whose word counts about the client. */
static void trust_settings(struct pg_dump *d, const struct pg_ingress_settings *s)
{
    const char *whose = pg_settings_object(s, PG_CONFIG_TRUST);
    struct pg_text text = {0};

    if (s->trusted_hops) {
        pg_text_printf(&text, "%u", s->trusted_hops);
        setting(d, whose, "spec.ingress.trustedHops", &text, &s->hops_source);
    } else {
        add_prefixes(&text, s->trusted_proxies, s->trusted_proxy_count);
        setting(d, whose, "spec.ingress.trustedProxies", &text, &s->trusted_source);
    }
    if (s->client_header[0]) {
        setting_word(d, whose, "spec.ingress.clientHeader", s->client_header, &s->trusted_source);
    }
}

static void header_settings(struct pg_dump *d, const struct pg_ingress_settings *s)
{
    setting_word(d, pg_settings_object(s, PG_CONFIG_PROFILE), "spec.ingress.profile",
                 pg_profile_name(s->profile), &s->profile_source);
    for (unsigned h = 0; h < PG_IDENTITY_COUNT; h++) {
        struct pg_text field = {0};

        pg_text_printf(&field, "spec.ingress.headers.%s",
                       pg_identity_name((enum pg_identity_header)h));
        setting_word(d, pg_settings_object(s, UINT32_C(1) << h), field.at,
                     pg_policy_name((enum pg_policy)s->policy[h]), &s->policy_source[h]);
        pg_text_free(&field);
    }
    setting_word(d, pg_settings_object(s, PG_CONFIG_PROFILE), "spec.ingress.underscores",
                 pg_underscores_name((enum pg_underscores)s->underscores), &s->profile_source);
    bool written = s->slashes_source.line > 0;
    setting_word(d, written ? "Lab" : pg_settings_object(s, PG_CONFIG_PROFILE),
                 "spec.ingress.mergeSlashes", s->keep_slashes ? "false" : "true",
                 written ? &s->slashes_source : &s->profile_source);
}

static void proxy_settings(struct pg_dump *d, const struct pg_ingress_settings *s)
{
    const struct pg_proxy_settings *p = &s->proxy;
    const char *whose = pg_settings_object(s, PG_CONFIG_PROXY);
    struct pg_text text = {0};

    if (p->every_port) {
        pg_text_puts(&text, "every port");
    }
    for (uint32_t i = 0; !p->every_port && i < p->port_count; i++) {
        pg_text_printf(&text, "%s%u", i ? "," : "", p->ports[i]);
    }
    setting(d, whose, "spec.ingress.proxyProtocol.ports", &text, &p->ports_source);
    if (p->every_port || p->port_count) {
        add_prefixes(&text, p->sources, p->source_count);
        setting(d, whose, "spec.ingress.proxyProtocol.allowedSources", &text, &p->sources_source);
    }
    pg_text_puts(&text, p->to_pods == 2 ? "v2" : p->to_pods == 1 ? "v1" : "");
    setting(d, whose, "spec.ingress.proxyProtocol.toPods", &text, &p->to_pods_source);
}

static void limit_settings(struct pg_dump *d, const struct pg_ingress_limits *l)
{
    static const uint64_t units[PG_LIMIT_COUNT] = {
#define PG_LIMIT(id, group, name, unit, least, most, fallback, text) [PG_LIMIT_##id] = (unit),
#include "podglass/ingress_limits.def"
#undef PG_LIMIT
    };

    for (unsigned i = 0; i < PG_LIMIT_COUNT; i++) {
        struct pg_text text = {0};

        pg_text_printf(&text, "%" PRIu64, l->value[i] / units[i]);
        setting(d, "Lab", pg_limit_path((enum pg_limit)i), &text, &l->source[i]);
    }
}

void pg_dump_settings(struct pg_dump *d)
{
    if (!d->snapshot || d->snapshot->lab.ingress_service == PG_INDEX_NONE) {
        return;
    }
    const struct pg_ingress_settings *s = &d->snapshot->lab.ingress;

    upstream_settings(d, s);
    trust_settings(d, s);
    header_settings(d, s);
    proxy_settings(d, s);
    limit_settings(d, &s->limits);
}
