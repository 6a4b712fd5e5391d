/* folder: trace */
/* The Forwarded field of RFC 7239, element by element. Pure; slices point into what was given. */
#ifndef PODGLASS_FORWARDED_H
#define PODGLASS_FORWARDED_H

#include "podglass/addr.h"
#include "podglass/text.h"

#include <stdbool.h>

/* Takes the first element off a list: what stands before the next comma that is not quoted, trimmed. false: the list is at its end, or a quoted
 * string in it is never closed, and then nothing more of it can be told apart. */
bool pg_forwarded_next(struct pg_slice *rest, struct pg_slice *ret);
/* The address in the for= of an element. *ret_named: there is a for=, whatever it holds; obfuscated names and "unknown" are no address. */
bool pg_forwarded_for(struct pg_slice element, struct pg_addr *ret, bool *ret_named);

#endif
