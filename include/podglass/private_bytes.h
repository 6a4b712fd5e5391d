/* folder: base */
/* Bytes that must not come out again, like private keys: in pages of their own that no core dump has, and wiped at the end. */
#ifndef PODGLASS_PRIVATE_BYTES_H
#define PODGLASS_PRIVATE_BYTES_H

#include <stddef.h>

/* A copy with a final NUL. Out of memory ends the process. */
char *pg_private_copy(const char *bytes, size_t len);
void pg_private_free(char *bytes, size_t len); /* NULL is fine */
void pg_private_wipe(void *bytes, size_t len); /* overwrites; the compiler may not leave it out */

#endif
