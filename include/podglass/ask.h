/* folder: tools */
/* A request or a connection as people name it: who asks, whom, and for what. One reading for the dry run and for requests that are really sent. */
#ifndef PODGLASS_ASK_H
#define PODGLASS_ASK_H

#include "podglass/dns_decide.h"
#include "podglass/snapshot.h"
#include "podglass/text.h"
#include "podglass/url.h"

#include <stdbool.h>
#include <stdint.h>

/* ---- ends.c: who asks, who is asked ---- */
struct pg_end_of {
    struct pg_addr addr;
    bool wire;             /* comes in by a link: neither a client of the lab nor of the cluster */
    char name[320];        /* "alice", "pod shop/web-1", "node node-1", "" */
    const char *namespace; /* of a pod, for its search list; else NULL */
};
/* An address, a client of the lab, "pod:NS/NAME", "node:NAME"; NULL: the first client. 0; or -EINVAL with the reason in why (not escaped). */
int pg_end_from(const struct pg_snapshot *s, const char *text, struct pg_end_of *ret,
                struct pg_text *why);
/* The names that a resolver asks for, one after the other, until one has an address: its search list. */
#define PG_NAME_WALK 5
struct pg_name_walk {
    uint32_t count;
    struct {
        char name[260]; /* with its final dot */
        enum pg_dns_status status;
    } step[PG_NAME_WALK];
};
/* The address of a host for `from`, of its family: written as an address, or by the cluster's DNS as a resolver would ask it (search list included).
 * *ret_reason: what answered, 0 for an address. */
enum pg_dns_status pg_end_resolve(const struct pg_snapshot *s, const struct pg_zone *zone,
                                  struct pg_slice host, const struct pg_end_of *from,
                                  struct pg_addr *ret, pg_reason_id *ret_reason,
                                  struct pg_name_walk *ret_walk); /* walk NULL: not wanted */
/* First address of the service in front of the ingress that somebody outside can use; none if there is no ingress. */
struct pg_addr pg_end_of_ingress(const struct pg_snapshot *s, bool v6);

/* ---- ask.c: from words to bytes ---- */
struct pg_ask {
    const char *from;           /* of pg_end_from */
    const char *url;            /* NULL: to is given */
    const char *to;             /* HOST:PORT, HOST:PORT/udp, node:NAME:PORT */
    const char *method;         /* NULL: GET, with a body POST */
    const char *const *headers; /* "Name: value"; "Name:" leaves a field of ours out */
    uint32_t header_count;
    struct pg_slice body;   /* at NULL: none */
    const char *proxy;      /* "v1", "v2": a PROXY preface comes first; NULL: none */
    const char *proxy_from; /* whom it names as the client: IP or IP:PORT; NULL: who asks */
    bool known_only;        /* a host that DNS does not know is an error, not the ingress */
};
struct pg_asked {
    struct pg_end_of from;
    struct pg_addr client; /* whose request it is: who asks, or whom the preface names */
    struct pg_addr to;
    uint16_t to_port;
    uint8_t proto;
    struct pg_text bytes;   /* of an HTTP request, its body included; empty for --to */
    struct pg_text preface; /* that comes before them; empty: none */
    struct pg_text sent;    /* both, if there is a preface */
    struct pg_text title;   /* "GET http://..." or "tcp 192.0.2.11:30080" as asked, escaped */
    bool is_head;
    bool tls; /* https, with this server name */
    char server_name[PG_SERVER_NAME];
    pg_reason_id to_reason; /* what of the DNS answered; 0: an address was written */
    bool to_known;          /* false: DNS knows no such host, and the ingress' address was taken */
    struct pg_name_walk walk; /* what was asked of the DNS; nothing for an address */
};
#define PG_ASK_HEADERS 100
/* 0; or -EINVAL with the reason in why, and nothing to free. */
int pg_ask_read(const struct pg_ask *ask, const struct pg_snapshot *s, const struct pg_zone *zone,
                struct pg_asked *ret, struct pg_text *why);
void pg_asked_free(struct pg_asked *a);

/* One field of a request; an empty one may stand for "none". */
struct pg_ask_field {
    struct pg_slice name, value;
    bool omit; /* not written, and none of ours in its place */
};
struct pg_ask_parts {
    const char *method;
    struct pg_slice authority, target;
    const struct pg_ask_field *fields;
    uint32_t field_count;
    struct pg_slice body; /* at NULL: none */
};
/* The bytes: the fields in order, before them Host and User-Agent and behind them Content-Length unless they are among them. */
void pg_ask_write(const struct pg_ask_parts *p, struct pg_text *out);

#endif
