/* TLS to pods: for each route, who asks for it and what the pod must show.
 *
 * Called by derive.c when all routes are there. Routes of an Ingress follow its annotations, those of Gateways a BackendTLSPolicy; where neither says anything the
 * appProtocol of the service's port does (`https`, `kubernetes.io/wss`). What is not verified is a warning: such TLS keeps no one out who can stand between.
 *
 * Owns nothing; adds to load->upstream_tls and sets tls of the routes. */
#include "annotations.h"
#include "gateway.h"

#include <string.h>

/* The name that nginx verifies when the annotations name none: that of its upstream block. */
#define NGINX_NAME "upstream_balancer"

static uint32_t setting_add(struct pg_load *load, const struct pg_upstream_tls *t)
{
    *(struct pg_upstream_tls *)pg_list_add(&load->upstream_tls) = *t;
    return load->upstream_tls.count;
}

/* TLS and nothing more: no name is asked for, nothing is verified. */
static struct pg_upstream_tls bare(const char *object, const char *field, const char *text,
                                   struct pg_source source)
{
    return (struct pg_upstream_tls){.name = "",
                                    .versions = PG_UPSTREAM_TLS_12 | PG_UPSTREAM_TLS_13,
                                    .ciphers = "",
                                    .ca = "",
                                    .ca_text = "",
                                    .secret = PG_INDEX_NONE,
                                    .trouble = "",
                                    .object = object,
                                    .field = field,
                                    .text = text,
                                    .source = source};
}

static const struct pg_raw_ca *secret_find(struct pg_load *load, const char *title)
{
    for (uint32_t i = 0; i < load->cas.count; i++) {
        const struct pg_raw_ca *ca = PG_LIST_POINTER(load->cas, const struct pg_raw_ca, i);
        if (strcmp(ca->object.title, title) == 0)
            return ca;
    }
    return NULL;
}

/* ---- annotations ---- */

static void tell(struct pg_load *load, const struct pg_raw_ingress *in, const char *field,
                 const struct pg_source *source, const char *code, const char *text)
{
    pg_finding_add(
        load, PG_FINDING_WARNING, code, in->object.title,
        pg_arena_printf(&load->scratch, "metadata.annotations." PG_NGINX_PREFIX "%s", field),
        source, "%s", text);
}

/* Why a Secret is not to be had; "": it is. */
static const char *secret_trouble(struct pg_load *load, const struct pg_raw_ingress *in,
                                  const struct pg_raw_ca *ca)
{
    const char *named = in->proxy_ssl.secret;
    size_t space = strlen(in->object.namespace);
    if (strncmp(named, in->object.namespace, space) != 0 || named[space] != '/')
        return pg_arena_printf(&load->scratch, "%.120s is no Secret of namespace %s", named,
                               in->object.namespace);
    if (ca == NULL)
        return pg_arena_printf(
            &load->scratch, "there is no Secret %.120s with ca.crt, or tls.crt and tls.key", named);
    if (ca->secret != PG_INDEX_NONE &&
        !PG_LIST_POINTER(load->secrets, const struct pg_raw_secret, ca->secret)->secret.usable)
        return pg_arena_printf(&load->scratch, "the certificate of Secret %.120s can not be used",
                               named);
    return "";
}

/* The Secret's part. As the controller does it: a Secret that is not to be had lets nobody through; settings about authorities count only where there are some. */
static void secret_use(struct pg_load *load, const struct pg_raw_ingress *in,
                       struct pg_upstream_tls *to)
{
    const struct pg_raw_proxy_ssl *said = &in->proxy_ssl;
    const struct pg_raw_ca *ca =
        secret_find(load, pg_arena_printf(&load->scratch, "Secret/%s", said->secret));
    to->trouble = secret_trouble(load, in, ca);
    if (ca == NULL || to->trouble[0] != '\0')
        return;
    to->secret = ca->secret;
    to->name = said->name;
    to->send_name = said->send_name;
    if (ca->len == 0) {
        if (said->verify)
            tell(load, in, "proxy-ssl-verify", &said->verify_source, PG_CODE_UNSUPPORTED,
                 "is left out: the Secret has no ca.crt to verify by, and ingress-nginx reads it "
                 "only then");
        return;
    }
    to->ca = ca->pem;
    to->ca_len = ca->len;
    to->ca_text = ca->object.title;
    to->verify = said->verify;
    to->depth = said->depth;
    to->versions = said->versions;
    to->ciphers = said->ciphers;
    if (to->verify && to->name[0] == '\0') {
        to->name = NGINX_NAME;
        tell(load, in, "proxy-ssl-verify", &said->verify_source, PG_CODE_DANGLING,
             "without proxy-ssl-name the certificate must be for \"" NGINX_NAME
             "\", as with ingress-nginx: no pod's is");
    }
}

static void check(struct pg_load *load, struct pg_upstream_tls *to)
{
    struct pg_text why = {0};
    if (to->trouble[0] == '\0' && to->versions == 0)
        to->trouble = "there is no protocol left to offer";
    if (to->trouble[0] == '\0' && load->options.check_upstream != NULL &&
        !load->options.check_upstream(to, &why))
        to->trouble = pg_arena_text(&load->scratch, why.at, why.len);
    pg_text_free(&why);
}

static void ingress_make(struct pg_load *load, struct pg_raw_ingress *in)
{
    struct pg_raw_proxy_ssl *said = &in->proxy_ssl;
    bool has_secret = said->secret[0] != '\0';
    struct pg_upstream_tls to =
        bare(in->object.title, PG_NGINX_PREFIX "backend-protocol", said->protocol, said->source);
    if (!said->https) {
        if (has_secret || said->first.line > 0)
            tell(load, in, has_secret ? "proxy-ssl-secret" : said->first_name,
                 has_secret ? &said->secret_source : &said->first, PG_CODE_UNSUPPORTED,
                 "is left out: without backend-protocol HTTPS or GRPCS pods get plain HTTP");
        return;
    }
    if (has_secret)
        secret_use(load, in, &to);
    else if (said->first.line > 0)
        tell(load, in, said->first_name, &said->first, PG_CODE_UNSUPPORTED,
             "is left out: ingress-nginx reads it only beside proxy-ssl-secret");
    check(load, &to);
    if (to.trouble[0] != '\0')
        tell(load, in, has_secret ? "proxy-ssl-secret" : "backend-protocol",
             has_secret ? &said->secret_source : &said->source, PG_CODE_DANGLING,
             pg_arena_printf(&load->scratch, "%s: requests get 503", to.trouble));
    else if (!to.verify)
        tell(load, in, "backend-protocol", &said->source, PG_CODE_UNVERIFIED,
             "pods are spoken to in TLS, and whoever answers is believed: set proxy-ssl-secret, "
             "proxy-ssl-verify and proxy-ssl-name");
    said->made = setting_add(load, &to);
}

/* ---- ports of services ---- */

static const struct pg_service_port *port_of(const struct pg_raw_service *s, uint16_t port)
{
    for (uint32_t i = 0; i < s->port_count; i++) {
        if (s->ports[i].port == port && s->ports[i].proto == PG_PROTO_TCP)
            return &s->ports[i];
    }
    return NULL;
}

/* A port that says so itself; made once. */
static uint32_t port_make(struct pg_load *load, const struct pg_raw_service *s,
                          const struct pg_service_port *port)
{
    const char *said = port->app_protocol;
    if (strcmp(said, "https") != 0 && strcmp(said, "HTTPS") != 0 &&
        strcmp(said, "kubernetes.io/wss") != 0)
        return 0;
    for (uint32_t i = 0; i < load->upstream_tls.count; i++) {
        const struct pg_upstream_tls *t =
            PG_LIST_AT(load->upstream_tls, const struct pg_upstream_tls, i);
        if (t->text == said && t->object == s->object.title && t->source.line == port->source.line)
            return i + 1;
    }
    struct pg_upstream_tls to = bare(s->object.title, "appProtocol", said, port->source);
    pg_finding_add(load, PG_FINDING_WARNING, PG_CODE_UNVERIFIED, s->object.title,
                   "spec.ports.appProtocol", &port->source,
                   "pods are spoken to in TLS, and whoever answers is believed: a "
                   "BackendTLSPolicy says what they must show");
    return setting_add(load, &to);
}

void pg_derive_upstream_tls(struct pg_load *load)
{
    pg_derive_backend_policies(load);
    for (uint32_t i = 0; i < load->ingresses.count; i++) {
        struct pg_raw_ingress *in = PG_LIST_POINTER(load->ingresses, struct pg_raw_ingress, i);
        if (in->served)
            ingress_make(load, in);
    }
    for (uint32_t i = 0; i < load->routes.count; i++) {
        struct pg_route *r = PG_LIST_AT(load->routes, struct pg_route, i);
        const struct pg_raw_service *s =
            r->service == PG_INDEX_NONE
                ? NULL
                : PG_LIST_POINTER(load->services, const struct pg_raw_service, r->service);
        const struct pg_service_port *port = s == NULL ? NULL : port_of(s, r->service_port);
        bool of_ingress = r->ingress != PG_INDEX_NONE && r->listener == PG_INDEX_NONE;
        if (of_ingress)
            r->tls = PG_LIST_POINTER(load->ingresses, const struct pg_raw_ingress, r->ingress)
                         ->proxy_ssl.made;
        else if (port != NULL)
            r->tls = pg_backend_policy_of(load, s, port);
        if (r->tls == 0 && port != NULL)
            r->tls = port_make(load, s, port);
    }
}
