/* Tables for people, in the shape kubectl made familiar.
 *
 * app/dump_text.c and the tools fill one cell after the other; a row is full when all columns have
 * one. Widths are known only at the end, so cells are kept (escaped) until pg_grid_print. Columns
 * are as wide as their widest cell and three blanks apart; nothing is ever cut, and the last column
 * is not padded, so lines have no blanks at their ends.
 *
 * Owns a copy of each head and cell. Always true: cells are escaped, so one cell is one line and
 * its width is its number of characters. Not handled: characters that terminals draw two columns
 * wide. */
#include "podglass/text.h"

#include "text_internal.h"

#include "podglass/log.h"

#include <stdlib.h>
#include <string.h>

#define GAP 3

struct pg_grid {
    size_t columns;
    size_t cells; /* heads are the first row */
    size_t room;
    struct pg_text *cell;
};

static struct pg_text *next_cell(struct pg_grid *g)
{
    if (g->cells == g->room) {
        size_t room = g->room > 0 ? g->room * 2 : g->columns * 8;
        struct pg_text *cell = reallocarray(g->cell, room, sizeof(*cell));
        PG_ASSERT(cell); /* as with text: only the control plane prints */
        g->cell = cell;
        g->room = room;
    }
    g->cell[g->cells] = (struct pg_text){0};
    return &g->cell[g->cells++];
}

struct pg_grid *pg_grid_new(const char *const *heads, size_t columns)
{
    PG_ASSERT(columns > 0);
    struct pg_grid *g = calloc(1, sizeof(*g));
    PG_ASSERT(g);
    g->columns = columns;
    for (size_t i = 0; i < columns; i++) {
        struct pg_text *head = next_cell(g);
        for (const char *c = heads[i]; *c; c++)
            pg_text_putc(head, (char)(*c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c));
    }
    return g;
}

void pg_grid_free(struct pg_grid *g)
{
    if (!g)
        return;
    for (size_t i = 0; i < g->cells; i++)
        pg_text_free(&g->cell[i]);
    free(g->cell);
    free(g);
}

void pg_grid_cell(struct pg_grid *g, const char *text)
{
    struct pg_text *cell = next_cell(g);
    if (text && *text)
        pg_text_add_escaped(cell, text, strlen(text));
    else
        pg_text_puts(cell, "<none>");
}

void pg_grid_cellf(struct pg_grid *g, const char *format, ...)
{
    struct pg_text text = {0};
    va_list args;
    va_start(args, format);
    pg_text_vprintf(&text, format, args);
    va_end(args);
    pg_grid_cell(g, text.at);
    pg_text_free(&text);
}

static size_t width_of(const struct pg_text *cell)
{
    size_t width = 0;
    for (size_t i = 0; i < cell->len; i++)
        width += ((unsigned char)cell->at[i] & 0xc0) != 0x80; /* all but continuation bytes */
    return width;
}

static size_t column_width(const struct pg_grid *g, size_t column, size_t first_row)
{
    size_t most = 0;
    for (size_t i = first_row * g->columns + column; i < g->cells; i += g->columns) {
        size_t width = width_of(&g->cell[i]);
        most = width > most ? width : most;
    }
    return most;
}

void pg_grid_print(const struct pg_grid *g, bool with_heads, struct pg_text *out)
{
    size_t first_row = with_heads ? 0 : 1;
    size_t *widths = calloc(g->columns, sizeof(*widths));
    PG_ASSERT(widths);
    for (size_t c = 0; c < g->columns; c++)
        widths[c] = column_width(g, c, first_row);
    for (size_t i = first_row * g->columns; i < g->cells; i++) {
        const struct pg_text *cell = &g->cell[i];
        pg_text_add(out, cell->at, cell->len);
        size_t column = i % g->columns;
        if (column + 1 == g->columns || i + 1 == g->cells) {
            pg_text_putc(out, '\n');
            continue;
        }
        for (size_t pad = widths[column] + GAP - width_of(cell); pad > 0; pad--)
            pg_text_putc(out, ' ');
    }
    free(widths);
}
