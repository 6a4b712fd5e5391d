/* folder: tools */
/* Records as they are printed in JSON, read back: what `trace -o jsonl` wrote, or what a running instance tells. */
#ifndef PODGLASS_RECORD_READ_H
#define PODGLASS_RECORD_READ_H

#include "podglass/exchange.h"
#include "podglass/trace.h"

/* Names of addresses as records bring them along. Zeroed: empty. */
struct pg_name_list {
    void *by_addr;
};
void pg_name_list_free(struct pg_name_list *l);
struct pg_names pg_name_list_names(struct pg_name_list *l);
/* Takes the members of an object {"198.51.100.7": "alice", ...}; text is JSON. */
void pg_name_list_add(struct pg_name_list *l, const struct pg_addr *a, const char *name);

enum pg_line_kind {
    PG_LINE_RECORD,
    PG_LINE_MISSED, /* ret->seq is how many records the reader was too slow for */
    PG_LINE_CLOCK, /* ret->time_us is the clock of the records at ret->seq microseconds after 1970 */
    PG_LINE_OTHER,  /* JSON of another kind: not ours to read */
    PG_LINE_BROKEN, /* no JSON */
};
/* One line. names may be NULL. Reasons are interned. */
enum pg_line_kind pg_record_read_line(const char *text, size_t len, struct pg_record *ret,
                                      struct pg_name_list *names);

#endif
