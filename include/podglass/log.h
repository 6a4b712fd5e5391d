/* folder: base */
/* Log for operators, and the assertion that stays in release builds. Only app/, tools/ and the top
 * function of a module log. */
#ifndef PODGLASS_LOG_H
#define PODGLASS_LOG_H

enum pg_log_level { PG_LOG_ERROR, PG_LOG_WARN, PG_LOG_NOTICE, PG_LOG_DEBUG, PG_LOG_COUNT };

void pg_log_set(enum pg_log_level most);
/* one line to stderr, escaped */
__attribute__((format(printf, 2, 3))) void pg_log(enum pg_log_level level, const char *format, ...);

__attribute__((noreturn)) void pg_assert_failed(const char *what, const char *file, int line);
/* For what only a bug of ours can break. Bytes from outside never reach one. */
#define PG_ASSERT(what) ((what) ? (void)0 : pg_assert_failed(#what, __FILE__, __LINE__))

#endif
