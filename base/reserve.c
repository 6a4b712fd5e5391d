/* Ranges of address space, with large or with small pages.
 *
 * Called by pools, tables and slabs at start and when they grow; nothing here runs for a packet,
 * except that the kernel fills in a page when one is first touched. Slabs have large pages behind
 * their first 2 MiB: few page faults, and few translation misses at random access. Pools and tables
 * have small ones, whatever the system's default is: a page of 2 MiB is cleared in 200 us, and
 * giving back a part of one takes up to 5 ms, which the packet that happens to touch it would wait
 * for; 4 KiB take a microsecond. With a million flows the large ones gained nothing
 * (bench-nat-flows: 510 to 540 ns against 450 to 600).
 *
 * Owns nothing: whoever reserves a range gives it back. A kernel without large pages ignores the
 * wish. */
#include "podglass/reserve.h"

#include <stdint.h>
#include <sys/mman.h>

#define LARGE ((size_t)2 << 20)

static void *map(size_t bytes)
{
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

static size_t whole_pages(size_t bytes)
{
    return (bytes + 4095) & ~(size_t)4095;
}

void *pg_reserve(size_t bytes)
{
    if (bytes <= LARGE)
        return map(bytes);
    if (bytes > SIZE_MAX - 2 * LARGE)
        return NULL;
    size_t length = whole_pages(bytes);
    uint8_t *at = map(length + LARGE);
    if (!at)
        return NULL;
    size_t before = (LARGE - (uintptr_t)at % LARGE) % LARGE;
    if (before > 0)
        munmap(at, before);
    at += before;
    munmap(at + length, LARGE - before);
    (void)madvise(at + LARGE, length - LARGE, MADV_HUGEPAGE);
    return at;
}

void *pg_reserve_small(size_t bytes)
{
    void *at = map(bytes);

    if (at)
        (void)madvise(at, bytes, MADV_NOHUGEPAGE);
    return at;
}

void pg_unreserve(void *at, size_t bytes)
{
    if (at)
        munmap(at, bytes);
}
