/* The ConfigMap of ingress-nginx: whom it believes, what it writes, and what it does to requests where no annotation says otherwise.
 *
 * Called by derive.c first, once all objects are read. It is the one the Lab names, else the one with a name that installations give it. Its keys become settings of
 * the ingress (what the Lab says wins) and filters that derive_filters.c lays under those of each Ingress. The profile becomes ingress-nginx, unless the Lab has
 * another. Keys that could change what a pod or a client sees and are not modelled are told; those of buffers, workers, logs and ciphers are not. */
#include "annotations.h"
#include "gateway.h"

#include <string.h>

struct reading {
    struct pg_load *load;
    struct pg_ingress_settings *to;
    struct pg_nginx *nginx;
    bool use_forwarded, full, real_ip, proxy;
    struct pg_source forwarded_source, full_source, proxy_source;
    const struct pg_prefix *cidrs; /* NULL: not written */
    uint32_t cidr_count;
    struct pg_source cidr_source;
};

/* ---- readers, one per key ---- */

static void truth_read(struct reading *r, const struct pg_field *f)
{
    static const char *const names[] = {"use-forwarded-headers", "compute-full-forwarded-for",
                                        "enable-real-ip", "use-proxy-protocol"};
    bool *const values[] = {&r->use_forwarded, &r->full, &r->real_ip, &r->proxy};
    struct pg_source *const sources[] = {&r->forwarded_source, &r->full_source,
                                         &r->forwarded_source, &r->proxy_source};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(f->name, names[i]) != 0 || !pg_annotation_truth(f, values[i]) || !*values[i])
            continue;
        *sources[i] = pg_field_source(f);
    }
}

static void cidr_read(struct reading *r, const struct pg_field *f)
{
    r->cidrs = pg_annotation_ranges(f, &r->cidr_count);
    r->cidr_source = pg_field_source(f);
    if (r->cidr_count > PG_TRUSTED_MOST) {
        pg_field_error(f, "expected at most %d ranges, got %u", PG_TRUSTED_MOST, r->cidr_count);
        r->cidr_count = PG_TRUSTED_MOST;
    }
}

static void header_read(struct reading *r, const struct pg_field *f)
{
    const char *name = pg_field_text(f, "");
    size_t len = strlen(name);
    if (len == 0 || len >= PG_CLIENT_HEADER_MAX ||
        strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != len)
        pg_field_error(f, "\"%.60s\" is no header name", name);
    else if (r->to->client_header[0] == '\0' && strcmp(name, "X-Forwarded-For") != 0)
        memcpy(r->to->client_header, name, len + 1);
}

static struct pg_route_filter *filter_add(struct reading *r, const struct pg_field *f,
                                          enum pg_filter_kind kind)
{
    struct pg_route_filter *to = pg_list_add(&r->nginx->filters);
    *to = (struct pg_route_filter){.kind = kind,
                                   .name = "",
                                   .value = "",
                                   .object = f->object->title,
                                   .field = f->name,
                                   .text = pg_field_text(f, ""),
                                   .source = pg_field_source(f)};
    return to;
}

static void size_read(struct reading *r, const struct pg_field *f)
{
    uint64_t bytes = 0;
    if (pg_annotation_size(f, &bytes))
        filter_add(r, f, PG_FILTER_BODY_LIMIT)->number = bytes;
}

static void timeout_read(struct reading *r, const struct pg_field *f)
{
    uint64_t ms = 0;
    if (pg_annotation_seconds(f, &ms))
        filter_add(r, f,
                   strstr(f->name, "connect") != NULL ? PG_FILTER_CONNECT_TIMEOUT
                   : strstr(f->name, "send") != NULL  ? PG_FILTER_SEND_TIMEOUT
                                                      : PG_FILTER_READ_TIMEOUT)
            ->number = ms;
}

static void ranges_read(struct reading *r, const struct pg_field *f)
{
    uint32_t count = 0;
    const struct pg_prefix *ranges = pg_annotation_ranges(f, &count);
    if (count == 0)
        return;
    struct pg_route_filter *to =
        filter_add(r, f, f->name[0] == 'd' ? PG_FILTER_DENY : PG_FILTER_ALLOW);
    to->ranges = ranges;
    to->range_count = count;
}

static void https_read(struct reading *r, const struct pg_field *f)
{
    bool on = false;
    int which = strcmp(f->name, "force-ssl-redirect") == 0;
    if (!pg_annotation_truth(f, &on))
        return;
    r->nginx->https[which] = (struct pg_route_filter){.kind = PG_FILTER_HTTPS,
                                                      .number = on,
                                                      .name = "",
                                                      .value = "",
                                                      .object = f->object->title,
                                                      .field = f->name,
                                                      .text = pg_field_text(f, ""),
                                                      .source = pg_field_source(f)};
}

static void code_read(struct reading *r, const struct pg_field *f)
{
    uint64_t code = 0;
    if (pg_annotation_number(f, 301, 308, &code))
        r->nginx->redirect_code = code;
}

/* Connections: numbers of the whole ingress. */
static void limit_read(struct reading *r, const struct pg_field *f)
{
    bool requests = strcmp(f->name, "keep-alive-requests") == 0;
    enum pg_limit which = requests                             ? PG_LIMIT_REQUESTS
                          : strcmp(f->name, "keep-alive") == 0 ? PG_LIMIT_IDLE_TIME
                                                               : PG_LIMIT_UPSTREAM_TIME;
    uint64_t value = 0;
    bool good = requests ? pg_annotation_number(f, 1, 1000000000, &value)
                         : pg_annotation_seconds(f, &value);
    if (!good || r->to->limits.source[which].line != 0)
        return;
    r->to->limits.value[which] = value;
    r->to->limits.source[which] = pg_field_source(f);
}

/* ---- the table ---- */

#define SNIPPET "configuration of nginx is not read: it could change anything about a request"

static const struct {
    const char *name;
    void (*read)(struct reading *r, const struct pg_field *f);
    const char *why; /* not modelled */
} keys[] = {
    {"use-forwarded-headers", truth_read, NULL},
    {"compute-full-forwarded-for", truth_read, NULL},
    {"enable-real-ip", truth_read, NULL},
    {"use-proxy-protocol", truth_read, NULL},
    {"proxy-real-ip-cidr", cidr_read, NULL},
    {"forwarded-for-header", header_read, NULL},
    {"proxy-body-size", size_read, NULL},
    {"proxy-connect-timeout", timeout_read, NULL},
    {"proxy-send-timeout", timeout_read, NULL},
    {"proxy-read-timeout", timeout_read, NULL},
    {"whitelist-source-range", ranges_read, NULL},
    {"denylist-source-range", ranges_read, NULL},
    {"ssl-redirect", https_read, NULL},
    {"force-ssl-redirect", https_read, NULL},
    {"http-redirect-code", code_read, NULL},
    {"keep-alive", limit_read, NULL},
    {"keep-alive-requests", limit_read, NULL},
    {"upstream-keepalive-timeout", limit_read, NULL},
    {"add-headers", NULL, "headers from another ConfigMap are not written"},
    {"allow-backend-server-header", NULL, "Server of pods passes as it is"},
    {"block-cidrs", NULL, "requests that would be refused go on"},
    {"block-referers", NULL, "requests that would be refused go on"},
    {"block-user-agents", NULL, "requests that would be refused go on"},
    {"custom-http-errors", NULL, "errors of pods pass as they are"},
    {"enable-modsecurity", NULL, "there is no firewall: requests that would be refused go on"},
    {"enable-underscores-in-headers", NULL, "the Lab's spec.ingress.underscores says"},
    {"generate-request-id", NULL, "the Lab's spec.ingress.requestId says"},
    {"global-auth-url", NULL, "nobody is asked who may pass: requests that would be refused go on"},
    {"hide-headers", NULL, "headers of pods pass as they are"},
    {"hsts", NULL, "Strict-Transport-Security is not written"},
    {"http-snippet", NULL, SNIPPET},
    {"limit-rate", NULL, "rates are not limited"},
    {"location-snippet", NULL, SNIPPET},
    {"main-snippet", NULL, SNIPPET},
    {"proxy-set-headers", NULL, "headers from another ConfigMap are not written"},
    {"retry-non-idempotent", NULL, "retries follow podglass' own rules"},
    {"server-snippet", NULL, SNIPPET},
    {"use-gzip", NULL, "answers are not compressed"},
    {"use-http2", NULL, "HTTP/2 is not served"},
};

static void key_read(struct reading *r, const struct pg_field *f)
{
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (strcmp(keys[i].name, f->name) != 0)
            continue;
        if (keys[i].read != NULL)
            keys[i].read(r, f);
        else
            pg_field_warn(f, PG_CODE_UNSUPPORTED, "not modelled: %s", keys[i].why);
        return;
    }
}

/* ---- what they come to ---- */

static void policy_set(struct reading *r, enum pg_identity_header header, enum pg_policy policy,
                       const struct pg_source *source)
{
    if (r->to->policy_source[header].line != 0)
        return; /* the Lab's word */
    r->to->policy[header] = (uint8_t)policy;
    r->to->policy_source[header] = *source;
    r->to->config_says |= UINT32_C(1) << header;
}

/* With PROXY protocol the real address comes from the preface, and no chain is walked. */
static void trust_set(struct reading *r)
{
    struct pg_ingress_settings *to = r->to;
    bool believes = r->use_forwarded || r->real_ip;
    if (!believes || r->proxy || to->trusted_source.line != 0 || to->trusted_hops > 0)
        return;
    to->trusted_source = r->cidrs != NULL ? r->cidr_source : r->forwarded_source;
    to->config_says |= PG_CONFIG_TRUST;
    if (r->cidrs == NULL) {
        to->trusted_proxies[0] = (struct pg_prefix){pg_addr_v4(0, 0, 0, 0), 96};
        to->trusted_proxy_count = 1;
        pg_finding_add(r->load, PG_FINDING_WARNING, PG_CODE_TRUSTS_ALL, r->nginx->title,
                       "data.proxy-real-ip-cidr", &r->forwarded_source,
                       "not written, so 0.0.0.0/0: who can reach the ingress chooses what pods "
                       "believe");
        return;
    }
    memcpy(to->trusted_proxies, r->cidrs, r->cidr_count * sizeof(*r->cidrs));
    to->trusted_proxy_count = r->cidr_count;
}

static void policies_set(struct reading *r)
{
    const struct pg_source *source = &r->forwarded_source;
    if (!r->use_forwarded)
        return;
    /* Believed from anybody, also outside of proxy-real-ip-cidr. */
    policy_set(r, PG_IDENTITY_X_FORWARDED_PROTO, PG_POLICY_ANY_OR_SET, source);
    policy_set(r, PG_IDENTITY_X_FORWARDED_HOST, PG_POLICY_ANY_OR_SET, source);
    policy_set(r, PG_IDENTITY_X_FORWARDED_PORT, PG_POLICY_ANY_OR_SET, source);
    policy_set(r, PG_IDENTITY_HOST, PG_POLICY_ANY_OR_SET, source);
    if (r->full)
        policy_set(r, PG_IDENTITY_X_FORWARDED_FOR, PG_POLICY_APPEND_ALWAYS, &r->full_source);
}

static void proxy_set(struct reading *r)
{
    static const struct pg_prefix anybody[2] = {{.bits = 96}, {.bits = 0}};
    struct pg_proxy_settings *to = &r->to->proxy;
    if (!r->proxy || to->ports_source.line != 0)
        return;
    to->every_port = true;
    to->ports_source = to->sources_source = r->proxy_source;
    memcpy(to->sources, anybody, sizeof(anybody));
    to->sources[0].addr = pg_addr_v4(0, 0, 0, 0);
    to->source_count = 2;
    to->https_ports[0] = 443; /* as its template has it */
    to->https_port_count = 1;
    r->to->config_says |= PG_CONFIG_PROXY;
}

/* ---- which one ---- */

static bool is_conventional(const struct pg_object *o)
{
    static const char *const names[] = {"ingress-nginx-controller", "nginx-configuration",
                                        "nginx-ingress-controller"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        size_t len = strlen(o->name);
        size_t end = strlen(names[i]);
        if (len >= end && strcmp(o->name + len - end, names[i]) == 0)
            return true;
    }
    return false;
}

static const struct pg_object *config_map_find(struct pg_load *load)
{
    const struct pg_raw_lab *lab = load->lab;
    const struct pg_object *best = NULL;
    bool named = lab->config_map[0] != '\0';
    for (uint32_t i = 0; i < load->config_maps.count; i++) {
        const struct pg_object *o = PG_LIST_POINTER(load->config_maps, const struct pg_object, i);
        if (named ? strcmp(o->title + strlen("ConfigMap/"), lab->config_map) == 0
                  : is_conventional(o) && (best == NULL || strcmp(o->title, best->title) < 0))
            best = o;
    }
    if (named && best == NULL)
        pg_finding_add(load, PG_FINDING_ERROR, PG_CODE_WRONG, lab->object.title,
                       "spec.ingress.configMap", &lab->config_map_source,
                       "there is no ConfigMap %.120s", lab->config_map);
    return best;
}

/* The others: a warning where one looks like these settings, else the note of kinds that take no part. */
static void others_tell(struct pg_load *load, const struct pg_object *chosen)
{
    static const char *const telling[] = {"use-forwarded-headers", "compute-full-forwarded-for",
                                          "proxy-real-ip-cidr", "use-proxy-protocol", NULL};
    for (uint32_t i = 0; i < load->config_maps.count; i++) {
        const struct pg_object *o = PG_LIST_POINTER(load->config_maps, const struct pg_object, i);
        struct pg_field root = pg_field_of(load, o, o->root);
        struct pg_field map = pg_field_get(&root, "data");
        bool told = o == chosen || pg_backend_policy_names(load, o);
        for (const char *const *key = telling; *key != NULL && !told; key++) {
            struct pg_field f = pg_field_get(&map, *key);
            if (!pg_field_is(&f))
                continue;
            pg_field_warn(
                &f, PG_CODE_UNSUPPORTED,
                "a setting of ingress-nginx in a ConfigMap that is not taken for its own: "
                "name it in the Lab's spec.ingress.configMap");
            told = true;
        }
        if (!told && pg_index_add(&load->kinds_noted, "ConfigMap", 9, 0) == PG_INDEX_ABSENT)
            pg_finding_add(load, PG_FINDING_NOTE, PG_CODE_IGNORED, o->title, "", &o->source,
                           "kind does not take part in the path");
    }
}

void pg_derive_nginx(struct pg_load *load)
{
    const struct pg_object *o = config_map_find(load);
    others_tell(load, o);
    struct pg_nginx *nginx = &load->nginx;
    nginx->title = "";
    nginx->redirect_code = 308;
    nginx->filters = PG_LIST(&load->scratch, struct pg_route_filter);
    if (o == NULL)
        return;
    nginx->title = o->title;
    struct reading r = {.load = load, .to = &load->lab->lab.ingress, .nginx = nginx};
    struct pg_field root = pg_field_of(load, o, o->root);
    struct pg_field map = pg_field_get(&root, "data");
    r.to->config_map = o->title;
    if (r.to->profile_source.line == 0) {
        r.to->profile_source = o->source;
        r.to->config_says |= PG_CONFIG_PROFILE;
        uint8_t underscores = r.to->underscores;
        pg_profile_apply(r.to, PG_PROFILE_INGRESS_NGINX);
        if (underscores != PG_UNDERSCORES_TWINS) /* not the default: the Lab's word */
            r.to->underscores = underscores;
        pg_finding_add(
            load, PG_FINDING_NOTE, PG_CODE_ASSUMED, o->title, "", &o->source,
            "taken for the settings of ingress-nginx, so headers are those of the profile "
            "ingress-nginx; the Lab's spec.ingress has profile and configMap");
    }
    uint32_t count = pg_field_map(&map);
    for (uint32_t i = 0; i < count; i++) {
        struct pg_field f = pg_field_entry(&map, i);
        key_read(&r, &f);
    }
    trust_set(&r);
    policies_set(&r);
    proxy_set(&r);
}
