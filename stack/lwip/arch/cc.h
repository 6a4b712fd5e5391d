/*
 * What lwIP wants to know about the machine: Linux, one thread per path instance, no OS layer.
 *
 * lwIP asks the machine for four things: memory, time, random numbers, and somebody to tell when
 * one of its own checks fails. All four are functions of stack/, declared here, so that nothing is
 * taken from the machine behind the path's back (replay must be exact). lwIP calls sys_now() by its
 * own name; it is declared in lwip/sys.h.
 *
 * Included by every lwIP header through lwip/arch.h; nobody includes it by name.
 */
#ifndef PODGLASS_LWIP_ARCH_CC_H
#define PODGLASS_LWIP_ARCH_CC_H

#include <stddef.h>
#include <stdint.h>
#include <endian.h>
#include <sys/time.h> /* struct timeval, which lwIP would otherwise define a second time */

#define LWIP_TIMEVAL_PRIVATE  0
#define LWIP_ERRNO_STDINCLUDE 1 /* the C library's errno values */

/* Byte order as single instructions; lwIP's default is a function call per field. */
#define lwip_htons(x) __builtin_bswap16(x)
#define lwip_htonl(x) __builtin_bswap32(x)
#if BYTE_ORDER != LITTLE_ENDIAN
#error "stack/lwip/arch/cc.h swaps bytes unconditionally: add the big-endian case"
#endif

/*
 * One of lwIP's own checks failed: a bug of lwIP's or of ours, or an attack that got past the
 * filter in front of tcp_input. It may return, and lwIP then goes on with whatever it has; the
 * caller of lwIP must look afterwards. `what` and `file` are string literals.
 */
void pg_lwip_assert_failed(const char *what, const char *file, int line);
#define LWIP_PLATFORM_ASSERT(what) pg_lwip_assert_failed((what), __FILE__, __LINE__)

/* Debug output is compiled out (LWIP_DEBUG is not defined); a line that is left goes nowhere. */
#define LWIP_PLATFORM_DIAG(args) ((void)0)

/* From the path's seeded source, never from rand(). */
uint32_t pg_lwip_random(void);
#define LWIP_RAND() pg_lwip_random()

/*
 * Every pbuf, segment and pcb comes from here (MEM_LIBC_MALLOC and MEMP_MEM_MALLOC are set).
 * Aligned for anything, or NULL, which lwIP treats as a lost packet or ERR_MEM.
 */
void *pg_lwip_malloc(size_t size);
void *pg_lwip_calloc(size_t count, size_t size);
void pg_lwip_free(void *block);
#define mem_clib_malloc pg_lwip_malloc
#define mem_clib_calloc pg_lwip_calloc
#define mem_clib_free   pg_lwip_free

#endif
