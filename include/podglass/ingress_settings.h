/* folder: cluster */
/* How the ingress behaves: Lab's spec.ingress, or what an operator's own configuration says.
 *
 * Two trust lists that never mix: whose headers count (trusted), and who may begin a connection with a PROXY preface (proxy.sources). What
 * becomes of each header is a policy; a profile is a whole set of them (profiles.def). */
#ifndef PODGLASS_INGRESS_SETTINGS_H
#define PODGLASS_INGRESS_SETTINGS_H

#include "podglass/addr.h"
#include "podglass/ingress_limits.h"
#include "podglass/source.h"
#include "podglass/text.h"

#include <stdbool.h>
#include <stdint.h>

enum pg_policy {
#define PG_POLICY(id, name, text) PG_POLICY_##id,
#include "podglass/profiles.def"
    PG_POLICY_COUNT
};

enum pg_profile {
#define PG_PROFILE(id, name, underscores, slashes, text) PG_PROFILE_##id,
#include "podglass/profiles.def"
    PG_PROFILE_COUNT
};

/* The headers that have a policy. */
enum pg_identity_header {
#define PG_IDENTITY(id, name, fits, strict, ingress_nginx, envoy_edge, traefik, haproxy) \
    PG_IDENTITY_##id,
#include "podglass/profiles.def"
    PG_IDENTITY_COUNT
};

/* Names with '_', which CGI readers take for those with '-'. */
enum pg_underscores {
    PG_UNDERSCORES_TWINS, /* those of headers above are removed, whoever sent them */
    PG_UNDERSCORES_ALL,   /* every one is removed */
    PG_UNDERSCORES_PASS,
    PG_UNDERSCORES_COUNT
};

#define PG_TRUSTED_MOST      16
#define PG_PROXY_PORTS_MOST  16
#define PG_CLIENT_HEADER_MAX 48 /* with its NUL */

/* The PROXY protocol, towards us and from us. */
struct pg_proxy_settings {
    bool every_port;                     /* of the ingress service demands a preface */
    uint16_t ports[PG_PROXY_PORTS_MOST]; /* those of its ports that do */
    uint32_t port_count;
    struct pg_source ports_source;
    struct pg_prefix sources[PG_TRUSTED_MOST]; /* who may speak it */
    uint32_t source_count;
    struct pg_source sources_source;
    uint32_t timeout_ms;
    uint16_t https_ports[PG_PROXY_PORTS_MOST]; /* destination ports that mean https */
    uint32_t https_port_count;
    bool believe_tls; /* the preface's word that the client spoke TLS */
    uint8_t to_pods;  /* version we send upstream; 0: none */
    bool send_crc;
    bool send_id;
    struct pg_source to_pods_source;
};

#define PG_CONFIG_TRUST   (UINT32_C(1) << 31)
#define PG_CONFIG_PROXY   (UINT32_C(1) << 30)
#define PG_CONFIG_PROFILE (UINT32_C(1) << 29)

enum pg_upstream_mode {
    PG_UPSTREAM_SERVICE,   /* connects to the service address: NAT chooses, for each connection */
    PG_UPSTREAM_ENDPOINTS, /* connects to pods: the ingress chooses, for each request */
};
enum pg_balance_kind { PG_BALANCE_ROUND_ROBIN, PG_BALANCE_LEAST_CONNECTIONS };

struct pg_ingress_settings {
    enum pg_upstream_mode upstream;
    enum pg_balance_kind balance; /* of ENDPOINTS */
    struct pg_source upstream_source;
    bool keep_trailers; /* fields behind a body go on, where the other side can take them */
    bool keep_slashes;  /* runs of '/' in a path stay: they are no longer one with a single '/' */
    bool h2c;           /* clients may speak HTTP/2 on ports without TLS, by prior knowledge */
    struct pg_source trailers_source;
    struct pg_source slashes_source;                   /* line 0: the profile says so */
    struct pg_prefix trusted_proxies[PG_TRUSTED_MOST]; /* whose X-Forwarded-* count */
    uint32_t trusted_proxy_count;
    struct pg_source trusted_source;
    /* Instead of ranges: so many proxies in front of us append, whoever they are. 0: ranges. */
    uint32_t trusted_hops;
    struct pg_source hops_source;
    char client_header[PG_CLIENT_HEADER_MAX]; /* read instead of X-Forwarded-For; "" for none */
    enum pg_profile profile;
    struct pg_source profile_source;
    uint8_t policy[PG_IDENTITY_COUNT];                 /* enum pg_policy */
    struct pg_source policy_source[PG_IDENTITY_COUNT]; /* line 0: the profile says so */
    uint8_t underscores;                               /* enum pg_underscores */
    struct pg_proxy_settings proxy;
    struct pg_ingress_limits limits;
    const char *config_map; /* "ConfigMap/ingress-nginx/…" that some of these are from; "": none */
    uint32_t config_says;   /* which: a bit per header, and PG_CONFIG_x */
};

/* Whose word one of the settings is: "Lab", or the ConfigMap. */
static inline const char *pg_settings_object(const struct pg_ingress_settings *s, uint32_t which)
{
    return s->config_says & which ? s->config_map : "Lab";
}

/* ---- cluster/profile.c ---- */
/* Sets the profile's policies; those with a source of their own stay. */
void pg_profile_apply(struct pg_ingress_settings *settings, enum pg_profile profile);
bool pg_policy_fits(enum pg_identity_header header, enum pg_policy policy);
const char *pg_profile_name(enum pg_profile p); /* "ingress-nginx" */
const char *pg_profile_text(enum pg_profile p);
const char *pg_policy_name(enum pg_policy p);            /* "append-always" */
const char *pg_identity_name(enum pg_identity_header h); /* "X-Forwarded-For" */
const char *pg_underscores_name(enum pg_underscores u);
/* By names, any case, '_' as '-' for headers. The COUNT of the enum: no such. */
enum pg_profile pg_profile_find(struct pg_slice name);
enum pg_policy pg_policy_find(struct pg_slice name);
enum pg_identity_header pg_identity_find(struct pg_slice name);
enum pg_underscores pg_underscores_find(struct pg_slice name);
/* Any case, '_' equal to '-' on either side. */
bool pg_identity_name_is(struct pg_slice name, const char *wanted);

#endif
