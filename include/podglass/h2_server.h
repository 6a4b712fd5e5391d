/* folder: proxy */
/* The server's side of HTTP/2 for pods of the lab: each stream becomes a connection that speaks HTTP/1.1. */
#ifndef PODGLASS_H2_SERVER_H
#define PODGLASS_H2_SERVER_H

#include "podglass/conn.h"

struct pg_h2_shared;
/* begin is given each stream's connection, as a listener is given one. NULL: out of memory. */
struct pg_h2_shared *pg_h2_server_new(uint32_t limit,
                                      void (*begin)(void *arg, struct pg_conn *stream), void *arg);
void pg_h2_server_free(
    struct pg_h2_shared *s); /* resets its connections; NULL is fine; before the stack */
/* Takes over a connection on which the client speaks HTTP/2: its first bytes, still unread, are the preface. */
void pg_h2_server_begin(struct pg_h2_shared *s, struct pg_conn *wire);

#define PG_H2_PREFACE "PRI * HTTP/2.0\r\n" /* its first line, which is nothing in HTTP/1.1 */

#endif
