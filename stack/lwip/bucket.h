/* Constant-time lookup for lwIP, without changing it.
 *
 * lwIP finds a connection by walking two lists, tcp_active_pcbs and tcp_tw_pcbs. Their heads are
 * ordinary variables, so this keeps one pair of heads for each bucket of a keyed hash of the
 * 4-tuple and installs the right pair around every call into lwIP. Each list then holds about one
 * pcb, and everything lwIP does with lists takes constant time.
 *
 * The only code that knows lwIP's lists. Whoever calls lwIP for a pcb enters that pcb's bucket
 * before and leaves it after; enter and leave nest. Outside, the lists are empty, so a call that
 * forgot to enter finds nothing. */
#ifndef PODGLASS_STACK_BUCKET_H
#define PODGLASS_STACK_BUCKET_H

#include "podglass/addr.h"
#include "podglass/hash.h"

#include <stdbool.h>
#include <stdint.h>

struct tcp_pcb;

int pg_bucket_open(const struct pg_hash_key *key); /* 0 or -ENOMEM; once at a time */
void pg_bucket_close(void);                        /* all lists must be empty: asserted */

/* The bucket of a connection, named by the tuple of the packets it receives (src is the peer). */
uint32_t pg_bucket_of(const struct pg_tuple *received);
uint32_t pg_bucket_enter(uint32_t bucket); /* returns what pg_bucket_leave wants */
void pg_bucket_leave(uint32_t before);
/* The pcb, open or in TIME_WAIT, that a packet with this tuple belongs to; NULL: none. */
struct tcp_pcb *pg_bucket_find(uint32_t bucket, const struct pg_tuple *received);
bool pg_bucket_holds(uint32_t bucket, const struct tcp_pcb *pcb);

#endif
