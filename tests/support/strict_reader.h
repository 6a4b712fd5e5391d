/* Reads requests as the strictest pod would, and says what is wrong with the first that is not as it should be.
 *
 * Shares nothing with proxy/: it is the second opinion on what the ingress sends. It knows only what the ingress writes, and everything else is
 * wrong: one form of a chunk line, no extensions, no trailers, framing fields in one spelling. */
#ifndef PODGLASS_TEST_STRICT_READER_H
#define PODGLASS_TEST_STRICT_READER_H

#include <stdbool.h>
#include <stddef.h>

struct strict_reader {
    char *bytes; /* not yet read */
    size_t len, room;
    unsigned requests; /* read as a whole */
    const char *wrong; /* NULL: nothing so far */
    char target[64];   /* of the request read last, cut */
    size_t body_bytes; /* its body */
    size_t fields;     /* its fields */
};

void strict_feed(struct strict_reader *r, const char *bytes, size_t len);
/* Nothing of a further request has come. */
bool strict_at_boundary(const struct strict_reader *r);
void strict_free(struct strict_reader *r); /* and zeroes it */

#endif
