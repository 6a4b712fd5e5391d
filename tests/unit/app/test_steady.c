/* In steady state a request costs no call of malloc and no page fault: all it needs was there
 * before. Counted over ten thousand requests on kept connections, with malloc itself replaced. With
 * sanitizers there is nothing to see, since stack/memory.c then takes each block from the heap. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "packet_clients.h"

#include <stdlib.h>
#include <sys/resource.h>

#define CONNECTIONS 1024
#define REQUESTS    10000

#ifdef __SANITIZE_ADDRESS__
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

static uint64_t calls;

#ifndef SANITIZED
/* What glibc calls its own; in no header of its. */
/* NOLINTBEGIN(readability-identifier-naming): the names are glibc's */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
/* NOLINTEND(readability-identifier-naming) */

void *malloc(size_t size)
{
    calls++;
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    calls++;
    return __libc_calloc(count, size);
}

void *realloc(void *block, size_t size)
{
    calls++;
    return __libc_realloc(block, size);
}
#endif

static uint64_t page_faults(void)
{
    struct rusage u;

    assert_int_equal(getrusage(RUSAGE_SELF, &u), 0);
    return (uint64_t)(u.ru_minflt + u.ru_majflt);
}

static void ask(struct packet_clients *c, uint32_t requests)
{
    static uint32_t next;

    for (uint32_t done = 0; done < requests; done += PACKET_CLIENTS_BATCH) {
        uint32_t which[PACKET_CLIENTS_BATCH];

        for (uint32_t i = 0; i < PACKET_CLIENTS_BATCH; i++)
            which[i] = next++ % CONNECTIONS;
        packet_clients_ask(c, which, PACKET_CLIENTS_BATCH);
    }
}

/* Answers in small segments, in ones that are copied, and in ones that keep their buffer. */
static void requests_take_nothing_from_the_heap_and_fault_no_page(void **state)
{
    static const uint32_t body_bytes[] = {20, 1400, 5000, 40000};
    struct packet_clients c;

#ifdef SANITIZED
    skip();
#endif
    assert_true(packet_clients_open(&c, CONNECTIONS));
    packet_clients_connect(&c, CONNECTIONS);
    for (size_t i = 0; i < sizeof body_bytes / sizeof body_bytes[0]; i++) {
        uint64_t answered;
        uint64_t faults;

        c.body_bytes = body_bytes[i];
        ask(&c, REQUESTS); /* upstream connections open, slabs and buffers are touched */
        answered = c.answered;
        calls = 0;
        faults = page_faults();
        ask(&c, REQUESTS);
        faults = page_faults() - faults;
        assert_int_equal(calls, 0);
        assert_int_equal(faults, 0);
        assert_true(c.answered - answered >= REQUESTS);
    }
    packet_clients_close(&c);
}

static void opening_and_closing_a_path_is_what_mallocs(void **state)
{
    struct packet_clients c;

#ifdef SANITIZED
    skip();
#endif
    calls = 0; /* or the test above would see nothing because nothing is counted */
    assert_true(packet_clients_open(&c, 1));
    assert_true(calls > 0);
    packet_clients_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_take_nothing_from_the_heap_and_fault_no_page),
        cmocka_unit_test(opening_and_closing_a_path_is_what_mallocs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
