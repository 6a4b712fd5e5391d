/* Takes credentials out of what is shown: people paste outputs into issues and chats.
 *
 * Called by the printers of trace, report and request, on copies: records in the ring, the control socket and files of records keep what passed. A name decides, not a
 * value; rather too many names than too few. Bodies are not looked at, and a capture holds packets as they are. */
#include "podglass/secrets.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

bool pg_secret_header(struct pg_slice name)
{
    static const char *const words[] = {"authorization", "cookie",    "token",          "secret",
                                        "password",      "api-key",   "apikey",         "session",
                                        "credential",    "signature", "x-amz-security", "jwt"};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t len = strlen(words[i]);
        for (size_t at = 0; at + len <= name.len; at++) {
            if (strncasecmp(name.at + at, words[i], len) == 0) {
                return true;
            }
        }
    }
    return false;
}

static void hide(struct pg_value *v)
{
    if (v->is_text) {
        *v = pg_value_text(PG_HIDDEN, sizeof PG_HIDDEN - 1);
    }
}

/* "GET /cart?token=x host y" as "GET /cart?(hidden) host y" */
static void hide_query(struct pg_value *v)
{
    char text[sizeof v->text + 16];
    const char *mark = v->is_text ? memchr(v->text, '?', v->len) : NULL;
    bool cut = v->cut;

    if (!mark) {
        return;
    }
    const char *end = v->text + v->len;
    const char *rest = memchr(mark, ' ', (size_t)(end - mark));
    int len = snprintf(text, sizeof text, "%.*s?" PG_HIDDEN "%.*s", (int)(mark - v->text), v->text,
                       rest ? (int)(end - rest) : 0, rest ? rest : "");

    *v = pg_value_text(text, (size_t)len);
    v->cut = v->cut || cut;
}

void pg_record_hide(struct pg_record *r, bool queries)
{
    struct pg_slice name = {r->name, strnlen(r->name, sizeof r->name)};

    if ((r->field == PG_FIELD_HEADER || r->field == PG_FIELD_TRAILER) && pg_secret_header(name)) {
        hide(&r->before);
        hide(&r->after);
    }
    if (queries && (r->field == PG_FIELD_TARGET || r->stage == PG_STAGE_HTTP_PARSE ||
                    pg_slice_equal_nocase(name, PG_SLICE_LITERAL("referer")))) {
        hide_query(&r->before);
        hide_query(&r->after);
    }
}

void pg_text_add_head_hidden(struct pg_text *t, struct pg_slice message)
{
    while (message.len) {
        const char *end = memchr(message.at, '\n', message.len);
        size_t len = end ? (size_t)(end - message.at) + 1 : message.len;
        const char *colon = memchr(message.at, ':', len);
        size_t name = colon ? (size_t)(colon - message.at) : 0;
        bool blank = len == 1 || (len == 2 && message.at[0] == '\r');

        if (blank) {
            pg_text_add(t, message.at, message.len);
            return;
        }
        if (name && pg_secret_header((struct pg_slice){message.at, name}) &&
            !memchr(message.at, ' ', name)) {
            bool crlf = len > 1 && message.at[len - 2] == '\r';
            pg_text_add(t, message.at, name);
            pg_text_puts(t, ": " PG_HIDDEN);
            pg_text_puts(t, !end ? "" : crlf ? "\r\n" : "\n");
        } else {
            pg_text_add(t, message.at, len);
        }
        message = (struct pg_slice){message.at + len, message.len - len};
    }
}
