/* ClientHellos from strangers. Invariants: the same however the bytes come; a name has only letters of one; nothing behind the bytes is read; more bytes than asked for
 * change nothing; what asks for more asks for more than it has. */
#include "podglass/log.h"
#include "podglass/tls_decide.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct pg_hello whole, h;
    enum pg_hello_error error = PG_HELLO_OK, step_error = PG_HELLO_OK;
    uint32_t need = 0;
    if (len > 2 * PG_HELLO_BYTES)
        return 0;
    int err = pg_hello_parse(bytes, (uint32_t)len, &whole, &need, &error);
    PG_ASSERT(err == 0 || err == -EAGAIN || err == -EBADMSG);
    PG_ASSERT(err != -EAGAIN || need > len);
    if (err == 0) {
        PG_ASSERT(whole.len <= len && strlen(whole.name) <= PG_HELLO_NAME);
        PG_ASSERT(strspn(whole.name, "abcdefghijklmnopqrstuvwxyz0123456789-._") ==
                  strlen(whole.name));
        PG_ASSERT(whole.tls12 || whole.tls13);
    }
    /* as a connection does it: a copy of the exact size, so that a byte too far is found */
    int step = -EAGAIN;
    for (uint32_t have = 1; step == -EAGAIN && have <= len; have = need > have ? need : have + 1) {
        uint8_t *copy = malloc(have);
        PG_ASSERT(copy != NULL);
        memcpy(copy, bytes, have);
        step = pg_hello_parse(copy, have, &h, &need, &step_error);
        free(copy);
    }
    /* A first byte may be refused before the rest can say more; words about it may differ, the outcome not. */
    PG_ASSERT((step == 0) == (err == 0));
    if (err == 0)
        PG_ASSERT(strcmp(h.name, whole.name) == 0 && h.len == whole.len && h.h2 == whole.h2);
    return 0;
}
