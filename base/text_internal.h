/* folder: base */
/* UTF-8 as text.c, grid.c and json.c need it: what is one character, and may it reach a
 * terminal. */
#ifndef PODGLASS_BASE_TEXT_INTERNAL_H
#define PODGLASS_BASE_TEXT_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Length of the valid UTF-8 sequence (RFC 3629: shortest form, no surrogates) at `at`, or 0 when
 * the first byte begins none. */
size_t pg_utf8_next(const char *at, size_t len, uint32_t *ret_code);
/* Moves the cursor, changes direction, hides or breaks lines: C0, DEL, C1, bidi controls, line
 * separators, invisibles. */
bool pg_utf8_is_unsafe(uint32_t code);

#endif
