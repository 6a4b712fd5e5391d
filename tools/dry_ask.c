/* A question of people (ask.c) becomes one to the dry run (dry.c). Called by explain and diff. */
#include "dry_tool.h"

int pg_dry_ask_read(const struct pg_dry *d, const struct pg_ask *ask, struct pg_dry_ask *ret,
                    struct pg_text *why)
{
    *ret = (struct pg_dry_ask){0};
    int error = pg_ask_read(ask, pg_dry_snapshot(d), pg_dry_zone(d), &ret->asked, why);
    const struct pg_asked *a = &ret->asked;

    if (error == 0) {
        ret->request = (struct pg_dry_request){.from = a->from.addr,
                                               .wire = a->from.wire,
                                               .to = a->to,
                                               .to_port = a->to_port,
                                               .proto = a->proto,
                                               .server_name = a->tls ? a->server_name : NULL,
                                               .preface = {a->preface.at, a->preface.len},
                                               .head = {a->bytes.at, a->bytes.len}};
    }
    return error;
}

void pg_dry_ask_free(struct pg_dry_ask *a)
{
    pg_asked_free(&a->asked);
}
