/* folder: cluster */
/* Certificates as the manifests give them, and for which hosts: part of a snapshot. */
#ifndef PODGLASS_TLS_HOSTS_H
#define PODGLASS_TLS_HOSTS_H

#include "podglass/source.h"

#include <stdbool.h>
#include <stdint.h>

/* A Secret with tls.crt and tls.key, both PEM. */
struct pg_secret {
    const char *namespace;
    const char *name;
    const char *cert;
    const char *key; /* in memory of its own; never printed */
    uint32_t cert_len;
    uint32_t key_len;
    bool usable;              /* whoever loaded it could check, and it is a pair */
    const char *const *names; /* that the certificate is for, lower case, "*.x" for one label */
    uint32_t name_count;
    struct pg_source source;
};

/* A host that is served over TLS. Of Ingress objects each host stands here once, in the order of its text; the listeners of Gateways follow, each as often as it has
 * certificates. */
struct pg_tls_host {
    const char *
        host; /* lower case; "*.x" for one label, of a listener for any number; "" for a name nobody knows, or none */
    uint32_t
        listener; /* index into listeners: it answers for what comes to this one; PG_INDEX_NONE: of an Ingress */
    const char *secret_text; /* "shop/shop-tls", as the object asks for it; "": it names none */
    uint32_t
        turn; /* of a listener: which of its certificates; the first is shown for names that none is for */
    uint32_t secret;    /* index into secrets; PG_INDEX_NONE: a certificate is made up */
    bool passthrough;   /* TLS goes on to the pod unread */
    const char *object; /* "Ingress/shop/shop" */
    const char *field;  /* "spec.tls" */
    struct pg_source source;
};

#endif
