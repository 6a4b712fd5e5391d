/* folder: base */
/* A URL as people type it, taken apart. Pure; slices point into the text. */
#ifndef PODGLASS_URL_H
#define PODGLASS_URL_H

#include "podglass/text.h"

#include <stdbool.h>
#include <stdint.h>

#define PG_URL_MOST    8000
#define PG_SERVER_NAME 256

struct pg_url {
    struct pg_slice authority; /* "shop.example.test:8080", as a Host field has it */
    struct pg_slice host;      /* without port and brackets; a name or an address */
    struct pg_slice target;    /* path and query: "", "/cart?a=b", "?a=b" */
    uint16_t port;             /* 80 or 443 if none is written */
    bool tls;                  /* https */
};
/* http[s]://HOST[:PORT][/PATH]; "http://" may be missing. NULL, or in words what is wrong with it; *ret is scratch then. */
const char *pg_url_read(const char *text, struct pg_url *ret);
/* "HOST", "HOST:PORT", "[V6]:PORT". *port stays as it is if there is none. false: not a port. */
bool pg_url_split_port(struct pg_slice text, struct pg_slice *ret_host, uint16_t *port);
/* What a TLS client names its server by: the host in lower case, "" for an address (RFC 6066). */
void pg_url_server_name(struct pg_slice host, char out[PG_SERVER_NAME]);

#endif
