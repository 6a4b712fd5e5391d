/* folder: proxy */
/* The PROXY protocol, versions 1 and 2: the preface as bytes, and what a listener decides by it. Pure.
 *
 * Read strictly: one outcome for every byte sequence, however it was cut; what the protocol's text leaves open is refused. */
#ifndef PODGLASS_PREFACE_DECIDE_H
#define PODGLASS_PREFACE_DECIDE_H

#include "podglass/addr.h"
#include "podglass/http.h"
#include "podglass/reason.h"
#include "podglass/snapshot.h"
#include "podglass/text.h"

#include <stdbool.h>
#include <stdint.h>

#define PG_PREFACE_V1_MAX  107          /* with CRLF */
#define PG_PREFACE_MAX     (16 + 65535) /* of version 2 */
#define PG_PREFACE_OUT_MAX 320          /* room pg_preface_write may need */

enum pg_preface_error {
#define PG_PREFACE_ERROR(id, name, text) PG_PREFACE_ERROR_##id,
#include "podglass/preface_errors.def"
#undef PG_PREFACE_ERROR
    PG_PREFACE_ERROR_COUNT
};
const char *pg_preface_error_name(enum pg_preface_error e);
const char *pg_preface_error_text(enum pg_preface_error e);

/* What it says. */
struct pg_preface {
    uint8_t version;
    bool is_real; /* LOCAL, UNKNOWN, UNSPEC or not of IP: the connection's own ends count */
    bool dgram;
    struct pg_addr src, dst;
    uint16_t src_port, dst_port;
    bool tls;             /* the client spoke TLS to the sender, who says so */
    struct pg_slice tlvs; /* its extensions as they stand in the bytes it was read from, checked */
};

/* ---- proxy_protocol.c ---- */
/* bytes[0..len) is all that came so far. Its length: *ret is filled. -EAGAIN: more is needed. -EBADMSG: *ret_error says why. */
int pg_proxyproto_read(const uint8_t *bytes, uint32_t len, struct pg_preface *ret,
                       enum pg_preface_error *ret_error);
/* "v2 TCP4 203.0.113.10:40000 > 203.0.113.1:443 alpn=h2 ..." */
void pg_preface_print(const struct pg_preface *p, struct pg_text *out);

/* What to send. IPv4-mapped pairs are IPv4; of mixed families both are IPv6. */
struct pg_preface_out {
    uint8_t version; /* 1 or 2 */
    struct pg_addr src, dst;
    uint16_t src_port, dst_port;
    bool crc;           /* version 2 */
    struct pg_slice id; /* version 2: UNIQUE_ID, at most 128 bytes; len 0: none */
};
uint32_t pg_preface_write(const struct pg_preface_out *p, uint8_t out[PG_PREFACE_OUT_MAX]);

/* ---- preface_rules.c ---- */
/* What a load says about prefaces, as a connection needs it. */
struct pg_preface_rules {
    const struct pg_proxy_settings *settings;
    uint16_t ports[PG_PROXY_PORTS_MOST]; /* of the ingress pods that demand one */
    uint32_t port_count;
    pg_reason_id client_reason, denied_reason, invalid_reason, hairpin_reason, sent_reason;
};
struct pg_preface_rules pg_preface_rules_of(const struct pg_snapshot *s); /* borrows s */
bool pg_preface_wanted(const struct pg_preface_rules *r, uint16_t local_port);
bool pg_preface_allowed(const struct pg_preface_rules *r, const struct pg_addr *peer);
/* Why a connection was ended: a pod's own way to the balancer's address never passes the balancer. */
pg_reason_id pg_preface_reason(const struct pg_preface_rules *r, const struct pg_snapshot *s,
                               const struct pg_addr *peer, bool denied);

#define PG_PREFACE_SHOWN 16
/* "no-preface, first bytes \"GET / HTTP/1.1..\"": what came, as far as it is shown. */
void pg_preface_end_print(enum pg_preface_error e, const void *bytes, uint32_t len,
                          struct pg_text *out);

/* The ends of a client connection as requests on it should know them. */
struct pg_ends {
    struct pg_addr client, local;
    uint16_t client_port, local_port;
    const char *scheme;  /* "http" or "https" */
    pg_reason_id reason; /* 0: they are those of the connection */
};
/* What a pod gets: "v2 TCP4 203.0.113.10:40000 > 203.0.113.1:443", a port of 0 as "*". */
void pg_preface_sent_print(const struct pg_preface_rules *r, const struct pg_ends *ends,
                           struct pg_text *out);
/* conn: from whom it comes here, and whom it was begun to. preface NULL: none was demanded. */
struct pg_ends pg_ends_decide(const struct pg_preface_rules *r, const struct pg_tuple *conn,
                              const struct pg_preface *preface);

#endif
