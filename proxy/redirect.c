/* A redirect: the answer of ours that is no error.
 *
 * Called by `request.c` when a filter of the route says so (`route_filter.c` made status and location). The connection goes on or ends as after any
 * other answer of ours; a body that has not come keeps the connection from being used again. */
#include "proxy_internal.h"

#include <stdio.h>

static void tell(struct pg_session *s, const struct pg_route_plan *plan)
{
    char status[8];
    int len = snprintf(status, sizeof(status), "%u", plan->status);
    pg_session_tell(s, PG_STAGE_ROUTE, "redirect", pg_value_text(status, (size_t)len),
                    pg_value_text(plan->location.at, plan->location.len), plan->reason);
}

void pg_session_redirect(struct pg_session *s, const struct pg_route_plan *plan)
{
    struct pg_proxy *p = s->proxy;
    if (pg_session_watched(s))
        tell(s, plan);
    p->counters->value[PG_COUNT_HTTP_REDIRECTS]++;
    s->last_status = plan->status;
    bool keep = pg_session_answer_begin(s);
    int len = snprintf(
        p->out, sizeof(p->out), "HTTP/1.1 %u %s\r\nLocation: %.*s\r\nContent-Length: 0\r\n%s\r\n",
        plan->status, pg_http_phrase(plan->status), (int)plan->location.len, plan->location.at,
        !keep       ? "Connection: close\r\n"
        : s->http10 ? "Connection: keep-alive\r\n"
                    : "");
    pg_session_answer_end(s, (uint32_t)len, keep);
}
