/* folder: cluster */
/* TLS towards pods as the manifests ask for it: part of a snapshot.
 *
 * Who asks for it: annotations of ingress-nginx (backend-protocol HTTPS and GRPCS, proxy-ssl-*), a BackendTLSPolicy, or the appProtocol of a Service's port. A route
 * names at most one of these (struct pg_route.tls). */
#ifndef PODGLASS_UPSTREAM_TLS_H
#define PODGLASS_UPSTREAM_TLS_H

#include "podglass/routing.h"

#define PG_UPSTREAM_TLS_12 1u
#define PG_UPSTREAM_TLS_13 2u

/* A name that a pod's certificate may be for, instead of the one that is asked for. */
struct pg_tls_name {
    bool uri; /* an URI, else a host name */
    const char *text;
};

struct pg_upstream_tls {
    const char *name; /* what the certificate must be for; "" only without verify */
    bool send_name;   /* and it is asked for (SNI) */
    bool verify;      /* the pod must show a certificate that can be believed */
    bool system;      /* by the machine's authorities */
    uint8_t depth;    /* certificates between the pod's and the authority's; 0: no limit of ours */
    uint8_t versions; /* PG_UPSTREAM_TLS_x */
    const char *ciphers; /* of TLS 1.2, in OpenSSL's words; "": podglass' own */
    const char *ca;      /* PEM of the authorities; "" none */
    uint32_t ca_len;
    const char *ca_text;             /* "Secret/shop/pods", "the system's" */
    const struct pg_tls_name *names; /* of the certificate, instead of `name` */
    uint32_t name_count;
    uint32_t secret;     /* index into secrets: shown to a pod that asks; PG_INDEX_NONE */
    const char *trouble; /* why nothing is sent to the pod at all; "": it is */
    const char *object;  /* who says so: "Ingress/shop/main" */
    const char *field;
    const char *text; /* what is written there */
    struct pg_source source;
};

/* A BackendTLSPolicy with the conditions that a controller would write. */
struct pg_backend_policy {
    const char *namespace;
    const char *name;
    const char *const *services; /* of its namespace, that it is for */
    uint32_t service_count;
    const char *targets;  /* the same with their ports: "web:https, api" */
    const char *hostname; /* that is asked for */
    const char *trust;    /* "ConfigMap/shop/ca", "the system's" */
    struct pg_condition accepted;
    struct pg_condition resolved;
    struct pg_source source;
};

#endif
