/* folder: lab */
/* The two ends of the path when nothing real is behind them: echo pods that answer what they saw, and request clients that
 * can come from any address. Both are endpoints on the same TCP stack as the ingress; their packets pass NAT like anybody's. */
#ifndef PODGLASS_LAB_H
#define PODGLASS_LAB_H

#include "podglass/addr.h"
#include "podglass/conn.h"
#include "podglass/netif.h"
#include "podglass/snapshot.h"
#include "podglass/text.h"
#include "podglass/url.h"

#include <stdint.h>

/* ---- echo.c ---- */
/* HTTP/1.1 server of all echo pods: answers 200 with JSON of what it saw:
 * {"pod":"shop/web-0","address":"10.244.1.7","port":8080,"peer":"10.244.1.2","peerPort":40001,"method":"GET","path":"/","host":"..","headers":[["name","value"],..],"bodyBytes":0,
 * "bodyFnv":"cbf29ce484222325"} (64-bit FNV-1a of the request's body). If the connection began with a PROXY preface, behind peerPort:
 * "proxy":{"version":2,"local":false,"source":"..","sourcePort":1,"destination":"..","destinationPort":80}.
 * Paths for tests: /status/NNN answers that status, /bytes/N answers N bytes (at most 1 GiB; /chunked/N the same in chunks, /trailers/N with
 * trailers behind them, /until-close/N without a length), /slow/MS
 * waits, /close closes without an answer; what does not begin with an upper-case letter is echoed back as raw bytes until the end. Keep-alive. */
struct pg_proxy;
struct pg_echo;
struct pg_echo *pg_echo_new(struct pg_stack *stack, uint64_t now_us);
void pg_echo_free(struct pg_echo *e);
/* From now on TLS is understood, too; certificates are signed by the authority of p, which outlives e. false: out of memory. */
bool pg_echo_speak_tls(struct pg_echo *e, struct pg_proxy *p);
void pg_echo_load(struct pg_echo *e, struct pg_snapshot *s); /* names of pods; takes a reference */
const struct pg_listener *pg_echo_listener(struct pg_echo *e);
void pg_echo_set_time(struct pg_echo *e, uint64_t now_us); /* at the beginning of a turn */
void pg_echo_advance(struct pg_echo *e, uint64_t now_us);
uint64_t pg_echo_next_due_us(const struct pg_echo *e);
uint32_t pg_echo_conn_count(const struct pg_echo *e);

/* ---- client.c ---- */
struct pg_request {
    struct pg_addr from; /* any address */
    uint16_t from_port;  /* 0: chosen */
    struct pg_addr to;
    uint16_t to_port;
    const char *bytes; /* the whole request as sent (copied) */
    uint32_t len;
    bool is_head; /* the response has no body */
    bool tls;     /* through TLS, with this server name ("": none) */
    char server_name[PG_SERVER_NAME];
    bool raw;            /* not HTTP: everything until the peer closes is the response */
    uint32_t timeout_ms; /* 0: 30000 */
};
struct pg_response {
    int error; /* 0, or -ECONNREFUSED, -ECONNRESET, -ETIMEDOUT, -EHOSTUNREACH, -EBADMSG (not HTTP), -EPIPE (closed early) */
    uint16_t status;
    struct pg_text head; /* status line and fields as received */
    struct pg_text body; /* decoded (chunked taken apart), at most 1 MiB kept */
    uint64_t body_bytes;
    uint64_t took_us;
    uint32_t label; /* flow label of the request's connection */
};
struct pg_lab_clients;
struct pg_lab_clients *pg_lab_clients_new(struct pg_stack *stack, struct pg_trace *trace,
                                          uint64_t now_us);
void pg_lab_clients_free(struct pg_lab_clients *c);
/* Sends; on_done comes later, once, from the stack's callbacks or advance; the response is the callee's to free by pg_response_free. 0 or -errno (nothing started). */
int pg_lab_request(struct pg_lab_clients *c, const struct pg_request *request,
                   void (*on_done)(void *arg, struct pg_response *response), void *arg);
void pg_response_free(struct pg_response *r); /* the texts, not r itself */
void pg_lab_clients_set_time(struct pg_lab_clients *c, uint64_t now_us); /* likewise */
void pg_lab_clients_advance(struct pg_lab_clients *c, uint64_t now_us);
uint64_t pg_lab_clients_next_due_us(const struct pg_lab_clients *c);
/* true: a request of ours is in flight from this address, so packets to it belong to the stack, not to the wire. */
bool pg_lab_clients_own(const struct pg_lab_clients *c, const struct pg_tuple *packet_to_us);
uint32_t pg_lab_clients_count(const struct pg_lab_clients *c);

#endif
