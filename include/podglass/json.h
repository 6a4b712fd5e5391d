/* folder: base */
/* Streaming JSON writer: commas, nesting and escaping are its business; the text goes to a pg_text
 * that the caller may drain between values. Output is always valid UTF-8 (invalid input bytes
 * become U+FFFD). Nesting at most 32. */
#ifndef PODGLASS_JSON_H
#define PODGLASS_JSON_H

#include "podglass/addr.h"
#include "podglass/text.h"

struct pg_json {
    struct pg_text *out;
    uint32_t depth;
    uint32_t comma; /* bit per level: a value was written there */
    bool after_key;
};

void pg_json_begin(struct pg_json *j, struct pg_text *out);
void pg_json_object(struct pg_json *j); /* { */
void pg_json_object_end(struct pg_json *j);
void pg_json_array(struct pg_json *j); /* [ */
void pg_json_array_end(struct pg_json *j);
void pg_json_key(struct pg_json *j, const char *key);
void pg_json_string(struct pg_json *j, const char *text); /* NULL writes null */
void pg_json_slice(struct pg_json *j, struct pg_slice s);
void pg_json_uint(struct pg_json *j, uint64_t n);
void pg_json_int(struct pg_json *j, int64_t n);
void pg_json_bool(struct pg_json *j, bool b);
void pg_json_addr(struct pg_json *j, const struct pg_addr *a); /* null for none */
/* key and value in one call */
void pg_json_key_string(struct pg_json *j, const char *key, const char *text);
void pg_json_key_uint(struct pg_json *j, const char *key, uint64_t n);
void pg_json_key_bool(struct pg_json *j, const char *key, bool b);
void pg_json_key_addr(struct pg_json *j, const char *key, const struct pg_addr *a);

#endif
