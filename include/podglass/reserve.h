/* folder: base */
/* Address ranges for tables that grow with traffic: all of the range is there from the start, and a
 * page of it costs memory once it is touched.
 *
 * Tables of many connections are walked at random, and with pages of 4 KiB each step would miss the
 * TLB as well as the cache. So behind its first 2 MiB, where a small cluster stays, a range asks for
 * large pages, unless a stall when one is touched first would be worse. */
#ifndef PODGLASS_RESERVE_H
#define PODGLASS_RESERVE_H

#include <stddef.h>

/* Zeroed, and at an address that suits large pages if it is long enough to have some. NULL: no
 * address space. */
void *pg_reserve(size_t bytes);
/* With small pages only, for what grows while packets wait. */
void *pg_reserve_small(size_t bytes);
/* Gives back a range, or whole pages of one. NULL is fine. */
void pg_unreserve(void *at, size_t bytes);

#endif
