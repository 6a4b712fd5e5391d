/* Annotations of an Ingress: those of ingress-nginx that podglass acts on become filters, the others are told.
 *
 * Called by kinds_ingress.c. The table says of each annotation of ingress-nginx what becomes of it: read; without effect on what a pod or a client
 * sees; or not modelled, with what that means. One that is not in the table is unknown to us or to everybody, and told. Annotations of other
 * controllers are told as they are. Values are checked here: nothing that stands in an annotation can end a line of a request or an answer. */
#include "annotations.h"

#include <string.h>

/* What several annotations say together. */
struct reading {
    struct pg_raw_ingress *in;
    struct pg_field redirect, temporal; /* the URLs */
    uint64_t redirect_code, temporal_code;
    struct pg_field cookie; /* affinity */
    const char *cookie_name;
    uint64_t cookie_age, cookie_expires;
    const char *cookie_path, *cookie_domain, *cookie_samesite;
    bool cookie_secure;
    struct pg_field prefix_field;
    const char *prefix;
};

static struct pg_route_filter filter_of(const struct pg_field *f, enum pg_filter_kind kind)
{
    return (struct pg_route_filter){.kind = kind,
                                    .name = "",
                                    .value = "",
                                    .object = f->object->title,
                                    .field = f->name,
                                    .text = pg_field_text(f, ""),
                                    .source = pg_field_source(f)};
}

static struct pg_route_filter *filter_add(struct reading *r, const struct pg_field *f,
                                          enum pg_filter_kind kind)
{
    struct pg_route_filter *to = pg_list_add(&r->in->filters);
    *to = filter_of(f, kind);
    return to;
}

static void add_number(struct reading *r, const struct pg_field *f, enum pg_filter_kind kind,
                       uint64_t number)
{
    filter_add(r, f, kind)->number = number;
}

/* ---- readers, one per annotation ---- */

static void https_read(struct reading *r, const struct pg_field *f)
{
    bool on = false;
    int which = strcmp(f->name, PG_NGINX_PREFIX "force-ssl-redirect") == 0;
    if (!pg_annotation_truth(f, &on))
        return;
    r->in->https[which] = filter_of(f, PG_FILTER_HTTPS);
    r->in->https[which].number = on;
}

static void app_root_read(struct reading *r, const struct pg_field *f)
{
    const char *path = NULL;
    if (!pg_annotation_plain(f, &path))
        return;
    if (path[0] != '/') {
        pg_field_warn(f, PG_CODE_UNSUPPORTED, "\"%.80s\" is left out: expected a path", path);
        return;
    }
    filter_add(r, f, PG_FILTER_APP_ROOT)->value = path;
}

static void redirect_read(struct reading *r, const struct pg_field *f)
{
    const char *url = NULL;
    bool temporal = strcmp(f->name, PG_NGINX_PREFIX "temporal-redirect") == 0;
    if (pg_annotation_url(f, &url))
        *(temporal ? &r->temporal : &r->redirect) = *f;
}

static void redirect_code_read(struct reading *r, const struct pg_field *f)
{
    bool temporal = strcmp(f->name, PG_NGINX_PREFIX "temporal-redirect-code") == 0;
    uint64_t code = 0;
    if (!pg_annotation_number(f, 300, 308, &code))
        return;
    if (code > 303 && code < 307) {
        pg_field_warn(f, PG_CODE_UNSUPPORTED, "%llu is left out: it is no redirect",
                      (unsigned long long)code);
        return;
    }
    *(temporal ? &r->temporal_code : &r->redirect_code) = code;
}

static void ranges_read(struct reading *r, const struct pg_field *f)
{
    bool deny = strcmp(f->name, PG_NGINX_PREFIX "denylist-source-range") == 0;
    uint32_t count = 0;
    const struct pg_prefix *ranges = pg_annotation_ranges(f, &count);
    if (count == 0)
        return;
    struct pg_route_filter *to = filter_add(r, f, deny ? PG_FILTER_DENY : PG_FILTER_ALLOW);
    to->ranges = ranges;
    to->range_count = count;
}

static void body_size_read(struct reading *r, const struct pg_field *f)
{
    uint64_t bytes = 0;
    if (pg_annotation_size(f, &bytes))
        add_number(r, f, PG_FILTER_BODY_LIMIT, bytes);
}

static void timeout_read(struct reading *r, const struct pg_field *f)
{
    uint64_t ms = 0;
    enum pg_filter_kind kind = strstr(f->name, "connect") != NULL ? PG_FILTER_CONNECT_TIMEOUT
                               : strstr(f->name, "send") != NULL  ? PG_FILTER_SEND_TIMEOUT
                                                                  : PG_FILTER_READ_TIMEOUT;
    if (pg_annotation_seconds(f, &ms))
        add_number(r, f, kind, ms);
}

static void rewrite_read(struct reading *r, const struct pg_field *f)
{
    const char *target = NULL;
    if (pg_annotation_template(f, &target))
        filter_add(r, f, PG_FILTER_REWRITE)->value = target;
}

static void use_regex_read(struct reading *r, const struct pg_field *f)
{
    bool on = false;
    if (pg_annotation_truth(f, &on) && on) {
        r->in->use_regex = true;
        r->in->regex_source = pg_field_source(f);
    }
}

static void prefix_read(struct reading *r, const struct pg_field *f)
{
    if (pg_annotation_plain(f, &r->prefix))
        r->prefix_field = *f;
}

static void host_read(struct reading *r, const struct pg_field *f)
{
    const char *host = NULL;
    if (!pg_annotation_plain(f, &host))
        return;
    size_t len = strcspn(host, ":");
    if (strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") != len ||
        (host[len] == ':' && strspn(host + len + 1, "0123456789") != strlen(host + len + 1))) {
        pg_field_warn(f, PG_CODE_UNSUPPORTED, "\"%.80s\" is left out: expected a host name", host);
        return;
    }
    filter_add(r, f, PG_FILTER_HOST)->value = host;
}

static void service_upstream_read(struct reading *r, const struct pg_field *f)
{
    bool on = false;
    if (pg_annotation_truth(f, &on))
        add_number(r, f, PG_FILTER_SERVICE_UPSTREAM, on);
}

static void affinity_read(struct reading *r, const struct pg_field *f)
{
    const char *text = pg_field_text(f, "");
    if (strcmp(text, "cookie") == 0)
        r->cookie = *f;
    else
        pg_field_warn(f, PG_CODE_UNSUPPORTED, "\"%.80s\" is left out: expected cookie", text);
}

static void cookie_name_read(struct reading *r, const struct pg_field *f)
{
    const char *name = NULL;
    if (!pg_annotation_plain(f, &name))
        return;
    if (strpbrk(name, "()<>@,;:/[]?={}") != NULL)
        pg_field_warn(f, PG_CODE_UNSUPPORTED, "\"%.80s\" is left out: no name for a cookie", name);
    else
        r->cookie_name = name;
}

static void cookie_age_read(struct reading *r, const struct pg_field *f)
{
    bool expires = strcmp(f->name, PG_NGINX_PREFIX "session-cookie-expires") == 0;
    (void)pg_annotation_number(f, 0, 315360000, expires ? &r->cookie_expires : &r->cookie_age);
}

/* What could end the attribute would begin another one. */
static void cookie_part_read(struct reading *r, const struct pg_field *f)
{
    const char *text = NULL;
    const char *rest = f->name + strlen(PG_NGINX_PREFIX "session-cookie-");
    if (!pg_annotation_plain(f, &text))
        return;
    if (strpbrk(text, ";,\"") != NULL || strlen(text) > 250)
        pg_field_warn(f, PG_CODE_UNSUPPORTED, "\"%.80s\" is left out: no value for a cookie", text);
    else if (strcmp(rest, "path") == 0)
        r->cookie_path = text;
    else if (strcmp(rest, "domain") == 0)
        r->cookie_domain = text;
    else
        r->cookie_samesite = text;
}

static void cookie_secure_read(struct reading *r, const struct pg_field *f)
{
    (void)pg_annotation_truth(f, &r->cookie_secure);
}

static void affinity_mode_read(struct reading *r, const struct pg_field *f)
{
    const char *text = pg_field_text(f, "");
    (void)r;
    if (strcmp(text, "balanced") == 0)
        pg_field_warn(f, PG_CODE_UNSUPPORTED,
                      "clients stay with their pod when pods are added, as with persistent");
    else if (strcmp(text, "persistent") != 0)
        pg_field_warn(f, PG_CODE_UNSUPPORTED,
                      "\"%.80s\" is left out: expected balanced or persistent", text);
}

static void backend_protocol_read(struct reading *r, const struct pg_field *f)
{
    if (pg_annotation_backend_protocol(f, &r->in->proxy_ssl))
        add_number(r, f, PG_FILTER_H2C, 1);
}

static void proxy_ssl_read(struct reading *r, const struct pg_field *f)
{
    pg_annotation_proxy_ssl(f, &r->in->proxy_ssl);
}

static void canary_read(struct reading *r, const struct pg_field *f)
{
    pg_annotation_canary(f, &r->in->canary);
}

static void passthrough_read(struct reading *r, const struct pg_field *f)
{
    bool on = false;
    if (!pg_annotation_truth(f, &on))
        return;
    r->in->passthrough = on;
    r->in->passthrough_source = pg_field_source(f);
}

/* ---- the table ---- */

#define SNIPPET "configuration of nginx is not read: it could change anything about a request"
#define AUTH    "nobody is asked who may pass: requests that would be refused go on"
#define LIMIT   "rates and connections are not limited: requests that would be refused go on"
#define CORS    "CORS headers are not written, preflights go to the pod"
#define TRACING "no span is begun: trace headers pass as they came"
#define MIRROR  "requests are not mirrored"
#define COOKIE  "a cookie whose pod can not be reached stays as it is"
#define RETRY   "retries follow podglass' own rules"

static const struct annotation {
    const char *name;
    void (*read)(struct reading *r, const struct pg_field *f);
    const char *why; /* not modelled; NULL and no reader: nothing a pod or a client could see */
} annotations[] = {
    {"affinity", affinity_read, NULL},
    {"affinity-canary-behavior", NULL,
     "a cookie of affinity does not keep its client with the canary"},
    {"affinity-mode", affinity_mode_read, NULL},
    {"allowlist-source-range", ranges_read, NULL},
    {"app-root", app_root_read, NULL},
    {"auth-", NULL, AUTH},
    {"backend-protocol", backend_protocol_read, NULL},
    {"canary", canary_read, NULL},
    {"canary-", canary_read, NULL},
    {"client-body-buffer-size", NULL, NULL},
    {"configuration-snippet", NULL, SNIPPET},
    {"connection-proxy-header", NULL, "Connection is always written by podglass itself"},
    {"cors-", NULL, CORS},
    {"custom-headers", NULL, "response headers from a ConfigMap are not written"},
    {"custom-http-errors", NULL, "errors of pods pass as they are"},
    {"default-backend", NULL, "services without endpoints answer 503"},
    {"denylist-source-range", ranges_read, NULL},
    {"disable-proxy-intercept-errors", NULL, NULL},
    {"enable-access-log", NULL, NULL},
    {"enable-cors", NULL, CORS},
    {"enable-global-auth", NULL, AUTH},
    {"enable-modsecurity", NULL, "there is no firewall: requests that would be refused go on"},
    {"enable-opentelemetry", NULL, TRACING},
    {"enable-owasp-core-rules", NULL, "there is no firewall: requests that would be refused go on"},
    {"enable-rewrite-log", NULL, NULL},
    {"force-ssl-redirect", https_read, NULL},
    {"from-to-www-redirect", NULL, "the other host, with or without www., is not redirected"},
    {"http2-push-preload", NULL, NULL},
    {"limit-", NULL, LIMIT},
    {"load-balance", NULL, "endpoints are chosen as the upstream mode says"},
    {"mirror-", NULL, MIRROR},
    {"modsecurity-", NULL, SNIPPET},
    {"opentelemetry-", NULL, TRACING},
    {"permanent-redirect", redirect_read, NULL},
    {"permanent-redirect-code", redirect_code_read, NULL},
    {"preserve-trailing-slash", NULL, NULL},
    {"proxy-body-size", body_size_read, NULL},
    {"proxy-buffer-size", NULL, NULL},
    {"proxy-buffering", NULL, NULL},
    {"proxy-buffers-number", NULL, NULL},
    {"proxy-busy-buffers-size", NULL, NULL},
    {"proxy-connect-timeout", timeout_read, NULL},
    {"proxy-cookie-", NULL, "cookies of pods pass as they are"},
    {"proxy-http-version", NULL, "pods are spoken to in HTTP/1.1"},
    {"proxy-max-temp-file-size", NULL, NULL},
    {"proxy-next-upstream", NULL, RETRY},
    {"proxy-next-upstream-", NULL, RETRY},
    {"proxy-read-timeout", timeout_read, NULL},
    {"proxy-redirect-", NULL, "Location of pods passes as it is"},
    {"proxy-request-buffering", NULL, NULL},
    {"proxy-send-timeout", timeout_read, NULL},
    {"proxy-ssl-", proxy_ssl_read, NULL},
    {"relative-redirects", NULL, NULL},
    {"rewrite-target", rewrite_read, NULL},
    {"satisfy", NULL, AUTH},
    {"server-alias", NULL, "further hosts are not served"},
    {"server-snippet", NULL, SNIPPET},
    {"service-upstream", service_upstream_read, NULL},
    {"session-cookie-change-on-failure", NULL, COOKIE},
    {"session-cookie-conditional-samesite-none", NULL, "SameSite=None goes to every browser"},
    {"session-cookie-domain", cookie_part_read, NULL},
    {"session-cookie-expires", cookie_age_read, NULL},
    {"session-cookie-max-age", cookie_age_read, NULL},
    {"session-cookie-name", cookie_name_read, NULL},
    {"session-cookie-path", cookie_part_read, NULL},
    {"session-cookie-samesite", cookie_part_read, NULL},
    {"session-cookie-secure", cookie_secure_read, NULL},
    {"ssl-ciphers", NULL, NULL},
    {"ssl-passthrough", passthrough_read, NULL},
    {"ssl-prefer-server-ciphers", NULL, NULL},
    {"ssl-redirect", https_read, NULL},
    {"stream-snippet", NULL, SNIPPET},
    {"temporal-redirect", redirect_read, NULL},
    {"temporal-redirect-code", redirect_code_read, NULL},
    {"upstream-hash-by", NULL, "endpoints are chosen as the upstream mode says"},
    {"upstream-hash-by-", NULL, "endpoints are chosen as the upstream mode says"},
    {"upstream-vhost", host_read, NULL},
    {"use-proxy-protocol", NULL, "the Lab says whether PROXY protocol is expected"},
    {"use-regex", use_regex_read, NULL},
    {"whitelist-source-range", ranges_read, NULL},
    {"x-forwarded-prefix", prefix_read, NULL},
};

/* The exact name before a family of names, which ends with '-'. */
static const struct annotation *find(const char *name)
{
    const struct annotation *family = NULL;
    for (size_t i = 0; i < sizeof(annotations) / sizeof(annotations[0]); i++) {
        const struct annotation *a = &annotations[i];
        size_t len = strlen(a->name);
        if (strcmp(a->name, name) == 0)
            return a;
        if (a->name[len - 1] == '-' && strncmp(a->name, name, len) == 0)
            family = a;
    }
    return family;
}

static void nginx_read(struct reading *r, const struct pg_field *f)
{
    const struct annotation *a = find(f->name + strlen(PG_NGINX_PREFIX));
    if (a == NULL)
        pg_field_warn(f, PG_CODE_UNSUPPORTED, "unknown annotation of ingress-nginx");
    else if (a->read != NULL)
        a->read(r, f);
    else if (a->why != NULL)
        pg_field_warn(f, PG_CODE_UNSUPPORTED, "not modelled: %s", a->why);
}

/* Of other controllers: each may change routing, headers or who is let in. */
static const char *const others[] = {"nginx.org/",
                                     "nginx.com/",
                                     "traefik.ingress.kubernetes.io/",
                                     "haproxy.org/",
                                     "haproxy-ingress.github.io/",
                                     "ingress.kubernetes.io/",
                                     "alb.ingress.kubernetes.io/",
                                     "konghq.com/",
                                     "projectcontour.io/",
                                     "appgw.ingress.kubernetes.io/",
                                     NULL};

static void class_read(struct reading *r, const struct pg_field *f)
{
    r->in->class_name = pg_field_text(f, "");
    r->in->class_source = pg_field_source(f);
    r->in->class_field = "kubernetes.io/ingress.class";
}

/* ---- what several say together ---- */

static void redirect_make(struct reading *r, const struct pg_field *f, uint64_t code)
{
    if (!pg_field_is(f))
        return;
    struct pg_route_filter *to = filter_add(r, f, PG_FILTER_REDIRECT);
    to->value = to->text;
    to->number = code;
}

/* Sent only where the path is rewritten, as in the controller. */
static void prefix_make(struct reading *r)
{
    bool rewrites = false;
    for (uint32_t i = 0; i < r->in->filters.count; i++)
        rewrites = rewrites ||
                   PG_LIST_AT(r->in->filters, struct pg_route_filter, i)->kind == PG_FILTER_REWRITE;
    if (!rewrites) {
        pg_field_warn(&r->prefix_field, PG_CODE_UNSUPPORTED,
                      "is left out: ingress-nginx sends it only with rewrite-target");
        return;
    }
    struct pg_route_filter *to = filter_add(r, &r->prefix_field, PG_FILTER_REQUEST_SET);
    to->name = "X-Forwarded-Prefix";
    to->value = r->prefix;
}

/* Attributes as they are sent; the path is the route's unless it is written. Expires is given as Max-Age, which browsers go by. */
static void cookie_make(struct reading *r)
{
    struct pg_arena *scratch = &r->cookie.load->scratch;
    uint64_t age = r->cookie_age > 0 ? r->cookie_age : r->cookie_expires;
    struct pg_route_filter *to = filter_add(r, &r->cookie, PG_FILTER_AFFINITY_COOKIE);
    to->name = r->cookie_name;
    to->number = age;
    to->value = pg_arena_printf(
        scratch, "%s%s%s%s%s%s%s%s", age > 0 ? "; Max-Age=" : "",
        age > 0 ? pg_arena_printf(scratch, "%llu", (unsigned long long)age) : "",
        r->cookie_domain[0] ? "; Domain=" : "", r->cookie_domain,
        r->cookie_path[0] ? "; Path=" : "", r->cookie_path, r->cookie_secure ? "; Secure" : "",
        r->cookie_samesite[0] ? pg_arena_printf(scratch, "; SameSite=%s", r->cookie_samesite) : "");
}

static void finish(struct reading *r)
{
    if (r->prefix != NULL)
        prefix_make(r);
    /* As in the controller: a temporal redirect wins. */
    if (pg_field_is(&r->temporal))
        redirect_make(r, &r->temporal, r->temporal_code);
    else
        redirect_make(r, &r->redirect, r->redirect_code);
    if (pg_field_is(&r->cookie))
        cookie_make(r);
}

bool pg_annotations_regex(const struct pg_raw_ingress *in, const struct pg_source **ret_where)
{
    *ret_where = &in->regex_source;
    for (uint32_t i = 0; i < in->filters.count && !in->use_regex; i++) {
        const struct pg_route_filter *f = PG_LIST_AT(in->filters, const struct pg_route_filter, i);
        *ret_where = &f->source;
        if (f->kind == PG_FILTER_REWRITE)
            return true;
    }
    return in->use_regex;
}

void pg_annotations_read(const struct pg_field *root, struct pg_raw_ingress *in)
{
    struct reading r = {.in = in,
                        .redirect_code = 301,
                        .temporal_code = 302,
                        .cookie_name = "INGRESSCOOKIE",
                        .cookie_path = "",
                        .cookie_domain = "",
                        .cookie_samesite = ""};
    in->canary = (struct pg_raw_canary){
        .total = 100, .header = "", .value = "", .pattern = "", .cookie = ""};
    in->proxy_ssl = (struct pg_raw_proxy_ssl){
        .secret = "", .name = "", .ciphers = "", .depth = 1, .versions = PG_UPSTREAM_TLS_12};
    struct pg_field metadata = pg_field_get(root, "metadata");
    struct pg_field all = pg_field_get(&metadata, "annotations");
    /* Places that outlive the loop: a field points at the one above it. */
    uint32_t count = pg_field_map(&all);
    for (uint32_t i = 0; i < count; i++) {
        struct pg_field f = pg_field_entry(&all, i);
        if (strcmp(f.name, "kubernetes.io/ingress.class") == 0)
            class_read(&r, &f);
        else if (strncmp(f.name, PG_NGINX_PREFIX, strlen(PG_NGINX_PREFIX)) == 0)
            nginx_read(&r, &f);
        for (const char *const *part = others; *part != NULL; part++) {
            if (strncmp(f.name, *part, strlen(*part)) == 0)
                pg_field_warn(&f, PG_CODE_UNSUPPORTED, "annotation is not supported");
        }
    }
    finish(&r);
}
