/* folder: base */
/* Internet checksum (RFC 1071) and its incremental update (RFC 1624), for full and for partial
 * sums. Sums are in the order the bytes have in memory; fold results are stored with memcpy, never
 * byte-swapped. */
#ifndef PODGLASS_CHECKSUM_H
#define PODGLASS_CHECKSUM_H

#include "podglass/addr.h"

#include <stdint.h>

/* len may be odd only in the last piece */
uint64_t pg_sum_add(uint64_t sum, const void *bytes, size_t len);
uint16_t pg_sum_fold(uint64_t sum); /* 16 bits, not inverted */
/* Sum of the pseudo header; proto and l4_len in host order; both addresses of one family. */
uint64_t pg_sum_pseudo(const struct pg_addr *src, const struct pg_addr *dst, uint8_t proto,
                       uint32_t l4_len);
/* Full sum `field` after `old` bytes became `new` bytes (even length, at an even offset): RFC 1624
 * eqn. 3. */
uint16_t pg_csum_update(uint16_t field, const void *old_bytes, const void *new_bytes, size_t len);
/* Partial (not inverted) sum after an address of the pseudo header changed. Ports are not in it. */
uint16_t pg_csum_update_partial(uint16_t field, const void *old_bytes, const void *new_bytes,
                                size_t len);

#endif
