/* folder: trace */
/* Records of flows of which nobody knows yet whether they are wanted: kept back until it is known, then written or forgotten.
 *
 * Stands in front of the ring while every watcher asks for something that shows late. What is written keeps its order and its times. Memory is
 * taken once, at the beginning; when there is no room for a flow, what was kept longest is settled with what is known, and a request that is under way is written:
 * then there is more than was asked for, never less. */
#ifndef PODGLASS_SIEVE_H
#define PODGLASS_SIEVE_H

#include "podglass/exchange.h"
#include "podglass/want.h"

/* What one record says by itself: nothing; that it is worth to look at all there is; that nobody wants the exchange. Cheap: it is asked for every
 * record that may say something. */
enum pg_glance { PG_GLANCE_NOTHING, PG_GLANCE_LOOK, PG_GLANCE_NO };
typedef enum pg_glance pg_sieve_glance(void *arg, const struct pg_record *r);
/* x: all that is known of the exchange so far, the last record at its end. */
typedef enum pg_wanted pg_sieve_judge(void *arg, const struct pg_exchange *x, bool over);

struct pg_sieve;
/* NULL: out of memory. */
struct pg_sieve *pg_sieve_new(uint32_t flows, pg_sieve_glance *glance, pg_sieve_judge *judge,
                              void *arg);
void pg_sieve_free(struct pg_sieve *s);
void pg_sieve_forget(struct pg_sieve *s); /* all that is kept back */
/* A record of an undecided flow. true: it may go on to the ring. */
bool pg_sieve_take(struct pg_sieve *s, struct pg_trace *t, const struct pg_record *r);

#endif
