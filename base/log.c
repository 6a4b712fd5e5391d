/* Log lines for operators, and the end of the process for our own bugs.
 *
 * Called by app/, tools/ and the top function of a module; leaf code returns errors instead. One
 * call is one line and one write(2), so lines of several processes do not mix. Text inside may come
 * from strangers (a Host header, a pod's name), so what is not plain text is escaped and nobody can
 * fake a second line or steer a terminal.
 *
 * Owns the level, the only mutable global of the tree: it is set once at the start. No time stamp:
 * the journal, Kubernetes and systemd all add their own. */
#include "podglass/log.h"

#include "podglass/text.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *const prefixes[] = {"error: ", "warning: ", "notice: ", "debug: "};
static_assert(sizeof(prefixes) / sizeof(prefixes[0]) == PG_LOG_COUNT, "a prefix for each");

static enum pg_log_level most_level = PG_LOG_NOTICE;

void pg_log_set(enum pg_log_level most)
{
    most_level = most;
}

static void write_line(struct pg_text *line)
{
    pg_text_putc(line, '\n');
    for (size_t done = 0; done < line->len;) {
        ssize_t got = write(STDERR_FILENO, line->at + done, line->len - done);
        if (got <= 0)
            break; /* nowhere left to complain */
        done += (size_t)got;
    }
}

void pg_log(enum pg_log_level level, const char *format, ...)
{
    if (level > most_level)
        return;
    struct pg_text raw = {0}, line = {0};
    va_list args;
    va_start(args, format);
    pg_text_vprintf(&raw, format, args);
    va_end(args);
    pg_text_puts(&line, prefixes[level]);
    pg_text_add_escaped(&line, raw.at, raw.len);
    write_line(&line);
    pg_text_free(&raw);
    pg_text_free(&line);
}

void pg_assert_failed(const char *what, const char *file, int line)
{
    /* No pg_text here: the heap may be what is broken. */
    fprintf(stderr, "error: internal: %s does not hold (%s:%d)\n", what, file, line);
    abort();
}
