/* folder: base */
/* Growing text, slices, and escaping of bytes that came from strangers. */
#ifndef PODGLASS_TEXT_H
#define PODGLASS_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pg_slice {
    const char *at;
    size_t len;
};
#define PG_SLICE_LITERAL(s) ((struct pg_slice){(s), sizeof(s) - 1})
struct pg_slice pg_slice_of(const char *text); /* NUL-terminated */
bool pg_slice_equal(struct pg_slice a, struct pg_slice b);
bool pg_slice_equal_nocase(struct pg_slice a, struct pg_slice b); /* ASCII */
bool pg_slice_is(struct pg_slice a, const char *text);

/* Zeroed means empty. Out of memory ends the process: only control-plane text is built this way. */
struct pg_text {
    char *at; /* always NUL-terminated once anything was added; NULL before */
    size_t len;
    size_t room;
};
void pg_text_free(struct pg_text *t); /* and zeroes it */
void pg_text_clear(struct pg_text *t);
void pg_text_add(struct pg_text *t, const char *bytes, size_t len);
void pg_text_puts(struct pg_text *t, const char *text);
void pg_text_putc(struct pg_text *t, char c);
__attribute__((format(printf, 2, 3))) void pg_text_printf(struct pg_text *t, const char *format,
                                                          ...);
__attribute__((format(printf, 2, 0))) void pg_text_vprintf(struct pg_text *t, const char *format,
                                                           va_list args);
/* Printable ASCII and valid UTF-8 letters stay; control bytes, escapes, invalid UTF-8 and bidi
 * overrides become \xNN. */
void pg_text_add_escaped(struct pg_text *t, const char *bytes, size_t len);

/* Rows of cells, printed as kubectl does: upper-case head, three blanks between columns, no
 * truncation. Cells are escaped. */
struct pg_grid;
struct pg_grid *pg_grid_new(const char *const *heads, size_t columns);
void pg_grid_free(struct pg_grid *g);
/* next cell of the current row; NULL or "" prints <none> */
void pg_grid_cell(struct pg_grid *g, const char *text);
__attribute__((format(printf, 2, 3))) void pg_grid_cellf(struct pg_grid *g, const char *format,
                                                         ...);
void pg_grid_print(const struct pg_grid *g, bool with_heads, struct pg_text *out);

/* "3d4h", "23h59m", "1m42s", "5m", "12s": the two largest units, as kubectl prints an age. */
void pg_text_add_duration(struct pg_text *t, uint64_t seconds);
/* "0", "512", "1.1k", "4.2M": bytes in short form, powers of 1000. */
void pg_text_add_bytes(struct pg_text *t, uint64_t bytes);

#endif
