/* Findings: what is wrong with the input, or was left out of it, each with its place.
 *
 * Everything that reads adds here and goes on, so one load reports all mistakes of all files. They
 * are sorted by place at the end: files in the order they were read, then lines; what has no place
 * comes last. A flood is cut at PG_FINDINGS_MAX. */
#include "cluster_internal.h"

#include <stdlib.h>
#include <string.h>

void pg_finding_vadd(struct pg_load *load, enum pg_finding_level level, const char *code,
                     const char *object, const char *field, const struct pg_source *source,
                     uint32_t column, const char *format, va_list args)
{
    struct pg_finding_list *all = &load->findings;
    if (all->errors_only && level != PG_FINDING_ERROR)
        return;
    all->errors += level == PG_FINDING_ERROR;
    all->warnings += level == PG_FINDING_WARNING;
    if (all->full)
        return;
    if (all->list.arena == NULL)
        all->list = PG_LIST(&all->arena, struct pg_finding);
    struct pg_finding *f = pg_list_add(&all->list);
    f->level = level;
    f->code = code;
    if (all->list.count > PG_FINDINGS_MAX) {
        all->full = true;
        f->object = f->field = f->source.file = "";
        f->text = "too many findings: the rest is not shown";
        return;
    }
    f->object = pg_arena_text(&all->arena, object, strlen(object));
    f->field = pg_arena_text(&all->arena, field, strlen(field));
    f->text = pg_arena_vprintf(&all->arena, format, args);
    f->source.line = source->line;
    /* One copy of a file's name for all its findings in a row. */
    const struct pg_finding *before = all->list.count > 1 ? f - 1 : NULL;
    if (before != NULL && strcmp(before->source.file, source->file) == 0)
        f->source.file = before->source.file;
    else
        f->source.file = pg_arena_text(&all->arena, source->file, strlen(source->file));
    f->column = column;
}

void pg_finding_add(struct pg_load *load, enum pg_finding_level level, const char *code,
                    const char *object, const char *field, const struct pg_source *source,
                    const char *format, ...)
{
    static const struct pg_source nowhere = {"", 0};
    va_list args;
    va_start(args, format);
    pg_finding_vadd(load, level, code, object, field, source == NULL ? &nowhere : source, 0, format,
                    args);
    va_end(args);
}

/* A finding and what it is sorted by. */
struct place {
    struct pg_finding finding;
    uint32_t file; /* in order of first reading */
    uint32_t turn;
};

static int place_compare(const void *a, const void *b)
{
    const struct place *x = a;
    const struct place *y = b;
    if (x->file != y->file)
        return x->file < y->file ? -1 : 1;
    if (x->finding.source.line != y->finding.source.line)
        return x->finding.source.line < y->finding.source.line ? -1 : 1;
    if (x->finding.column != y->finding.column)
        return x->finding.column < y->finding.column ? -1 : 1;
    return x->turn < y->turn ? -1 : x->turn > y->turn;
}

static void findings_sort(struct pg_load *load)
{
    struct pg_list *list = &load->findings.list;
    struct pg_index files = {.arena = &load->scratch};
    for (uint32_t i = 0; i < load->files.count; i++) {
        const char *file = PG_LIST_POINTER(load->files, const char, i);
        pg_index_add(&files, file, strlen(file), i);
    }
    struct place *places = pg_arena_array(&load->scratch, list->count, sizeof(*places));
    for (uint32_t i = 0; i < list->count; i++) {
        struct pg_finding *f = PG_LIST_AT(*list, struct pg_finding, i);
        uint32_t file = pg_index_find(&files, f->source.file, strlen(f->source.file));
        places[i] = (struct place){*f, file, i};
    }
    if (list->count > 0)
        qsort(places, list->count, sizeof(*places), place_compare);
    for (uint32_t i = 0; i < list->count; i++)
        *PG_LIST_AT(*list, struct pg_finding, i) = places[i].finding;
}

void pg_findings_take(struct pg_load *load, struct pg_findings *ret)
{
    struct pg_finding_list *all = &load->findings;
    findings_sort(load);
    struct pg_arena *memory = calloc(1, sizeof(*memory));
    if (memory == NULL)
        abort();
    *memory = all->arena;
    *ret = (struct pg_findings){all->list.at, all->list.count, memory};
    memset(&all->arena, 0, sizeof(all->arena));
    all->list.at = NULL;
    all->list.count = all->list.room = 0;
}

void pg_findings_free(struct pg_findings *f)
{
    if (f->memory != NULL) {
        pg_arena_free(f->memory);
        free(f->memory);
    }
    *f = (struct pg_findings){0};
}

void pg_finding_print(const struct pg_finding *f, struct pg_text *out)
{
    static const char *const levels[] = {"error", "warning", "note"};
    if (f->source.file[0] != '\0') {
        pg_text_add_escaped(out, f->source.file, strlen(f->source.file));
        if (f->source.line > 0)
            pg_text_printf(out, ":%u", f->source.line);
        if (f->source.line > 0 && f->column > 0)
            pg_text_printf(out, ":%u", f->column);
        pg_text_puts(out, ": ");
    }
    pg_text_printf(out, "%s[%s]: ", levels[f->level], f->code);
    const char *const parts[] = {f->object, f->field};
    for (size_t i = 0; i < 2; i++) {
        if (parts[i][0] == '\0')
            continue;
        pg_text_add_escaped(out, parts[i], strlen(parts[i]));
        pg_text_puts(out, ": ");
    }
    pg_text_add_escaped(out, f->text, strlen(f->text));
}
