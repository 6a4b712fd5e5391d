/* Memory for private keys: mapped alone, left out of core dumps, overwritten before it is given back.
 *
 * Called by cluster/ for what Secrets hold. A page per key is cheap: there are as many keys as hosts, not as many as requests. */
#include "podglass/private_bytes.h"

#include "podglass/log.h"

#include <string.h>
#include <sys/mman.h>

char *pg_private_copy(const char *bytes, size_t len)
{
    void *at = mmap(NULL, len + 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    PG_ASSERT(at != MAP_FAILED);
    (void)madvise(at, len + 1, MADV_DONTDUMP); /* an old kernel without it only dumps more */
    if (len > 0)
        memcpy(at, bytes, len);
    return at;
}

void pg_private_free(char *bytes, size_t len)
{
    if (bytes == NULL)
        return;
    pg_private_wipe(bytes, len);
    (void)munmap(bytes, len + 1);
}

void pg_private_wipe(void *bytes, size_t len)
{
    if (len > 0)
        explicit_bzero(bytes, len);
}
