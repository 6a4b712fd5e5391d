/* How long a message's body is, for the records: as its head says, before a byte of it has passed.
 *
 * One event "body" beside that of the head. A message without a body has none. In chunks, or until the connection ends, nobody knows the length yet; how much it was in the
 * end is in the access log. Called by request.c and response.c when somebody watches. */
#include "proxy_internal.h"

#include <inttypes.h>
#include <stdio.h>

void pg_session_tell_body(const struct pg_session *s, const struct pg_http_head *h,
                          unsigned direction)
{
    char text[40];
    int len = 0;

    switch (h->body) {
    case PG_HTTP_BODY_LENGTH:
        len = snprintf(text, sizeof(text), "%" PRIu64 " bytes", (uint64_t)h->content_length);
        break;
    case PG_HTTP_BODY_CHUNKED: len = snprintf(text, sizeof(text), "in chunks"); break;
    case PG_HTTP_BODY_UNTIL_CLOSE:
        len = snprintf(text, sizeof(text), "until the connection ends");
        break;
    case PG_HTTP_BODY_NONE:
    default: return;
    }
    struct pg_record r = {.label = pg_conn_label(s->client),
                          .node = PG_NODE_NONE,
                          .kind = PG_RECORD_EVENT,
                          .stage = PG_STAGE_HTTP_PARSE,
                          .direction = (uint8_t)direction,
                          .name = "body",
                          .after = pg_value_text(text, (size_t)len)};
    pg_trace_write(s->proxy->trace, &r);
}
