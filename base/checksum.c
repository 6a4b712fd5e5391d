/* The Internet checksum, whole and incremental.
 *
 * base/packet.c verifies with it, nat/rewrite.c repairs with it, stack/ makes sums with it. The
 * one's complement sum does not care in which order or width words are added nor about byte order
 * (RFC 1071, 2), so the loop takes 16 bytes at a time in two vectors of 64-bit lanes that cannot
 * overflow, and folds once at the end.
 *
 * Owns nothing. Always true: sums are in memory order; a folded value goes into a packet by memcpy.
 * A sum over up to 4 GiB cannot overflow 64 bits, so callers may add pieces freely and fold
 * last. */
#include "podglass/checksum.h"

#include <arpa/inet.h>
#include <string.h>

typedef uint64_t lanes __attribute__((vector_size(16)));

#define CHUNK 64 /* bytes a turn: four independent loads hide their latency */

static inline lanes load_lanes(const uint8_t *at)
{
    lanes ret;
    memcpy(&ret, at, sizeof(ret));
    return ret;
}

static uint64_t sum_chunks(const uint8_t *at, size_t chunks)
{
    const lanes low = {0xffffffffu, 0xffffffffu};
    lanes even = {0, 0}, odd = {0, 0};
    for (; chunks > 0; chunks--, at += CHUNK) {
        lanes a = load_lanes(at), b = load_lanes(at + 16);
        lanes c = load_lanes(at + 32), d = load_lanes(at + 48);
        even += ((a & low) + (b & low)) + ((c & low) + (d & low));
        odd += ((a >> 32) + (b >> 32)) + ((c >> 32) + (d >> 32));
    }
    even += odd;
    return even[0] + even[1];
}

uint64_t pg_sum_add(uint64_t sum, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;
    if (len >= CHUNK) {
        size_t chunks = len / CHUNK;
        sum += sum_chunks(at, chunks);
        at += chunks * CHUNK;
        len %= CHUNK;
    }
    for (; len >= 4; len -= 4, at += 4) {
        uint32_t word;
        memcpy(&word, at, sizeof(word));
        sum += word;
    }
    if (len >= 2) {
        uint16_t half;
        memcpy(&half, at, sizeof(half));
        sum += half;
        at += 2;
        len -= 2;
    }
    if (len > 0) {
        uint16_t half = 0;
        memcpy(&half, at, 1); /* the missing byte counts as zero (RFC 1071) */
        sum += half;
    }
    return sum;
}

uint16_t pg_sum_fold(uint64_t sum)
{
    sum = (sum >> 32) + (sum & 0xffffffffu);
    sum = (sum >> 16) + (sum & 0xffff); /* below 2^18 after 33 bits */
    sum = (sum >> 16) + (sum & 0xffff);
    sum = (sum >> 16) + (sum & 0xffff);
    return (uint16_t)sum;
}

uint64_t pg_sum_pseudo(const struct pg_addr *src, const struct pg_addr *dst, uint8_t proto,
                       uint32_t l4_len)
{
    uint64_t sum = (uint64_t)htonl(l4_len) + htonl(proto);
    if (pg_addr_is_v4(dst))
        return sum + src->words[3] + dst->words[3];
    for (int i = 0; i < 4; i++)
        sum += (uint64_t)src->words[i] + dst->words[i];
    return sum;
}

/* The 16-bit sum of what comes minus what goes: in one's complement, minus is adding the
 * inverse. */
static uint64_t sum_of_change(const void *old_bytes, const void *new_bytes, size_t len)
{
    uint16_t gone = pg_sum_fold(pg_sum_add(0, old_bytes, len));
    return pg_sum_add((uint16_t)~gone, new_bytes, len);
}

uint16_t pg_csum_update(uint16_t field, const void *old_bytes, const void *new_bytes, size_t len)
{
    uint64_t sum = sum_of_change(old_bytes, new_bytes, len);
    return (uint16_t)~pg_sum_fold(sum + (uint16_t)~field);
}

uint16_t pg_csum_update_partial(uint16_t field, const void *old_bytes, const void *new_bytes,
                                size_t len)
{
    return pg_sum_fold(sum_of_change(old_bytes, new_bytes, len) + field);
}
