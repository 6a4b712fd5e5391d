/* Byte sequences with their one right outcome; see http_vectors.c. */
#ifndef PODGLASS_TEST_HTTP_VECTORS_H
#define PODGLASS_TEST_HTTP_VECTORS_H

#include "podglass/http.h"

struct http_vector {
    const char *name;
    const char *head; /* up to its end, or to where it is refused */
    const char *body; /* what must follow to make it a whole request; NULL: nothing */
    enum pg_http_error error;
    size_t len; /* of head; 0: strlen */
    const char *suite;
    bool endless; /* its body can not be sent */
};

/* Decided by the head alone. */
extern const struct http_vector http_vectors[];
extern const size_t http_vector_count;
/* Decided by the body. */
extern const struct http_vector http_body_vectors[];
extern const size_t http_body_vector_count;

#endif
