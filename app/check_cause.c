/* Which record is to blame: the change, choice or refusal that made the difference, with the line of the manifest behind it.
 *
 * Pure. Called by check_judge.c. A difference in what the pod can know of its client is blamed on whoever replaced the source address, if anybody did:
 * what the ingress wrote afterwards it wrote in good faith. */
#include "check_internal.h"

#include <string.h>

static const struct pg_reason *reason_of(const struct pg_record *r)
{
    return pg_reason_get(r->reason);
}

static bool is_header(const struct pg_record *r, const char *name)
{
    return r->field == PG_FIELD_HEADER && r->direction == 0 && strcasecmp(r->name, name) == 0;
}

static bool is_refusal(const struct pg_record *r)
{
    enum pg_code code = reason_of(r)->code;
    return (code >= PG_CODE_REJECT_NO_ENDPOINT && code <= PG_CODE_DROP_CLUSTER_IP) ||
           (code >= PG_CODE_ROUTE_NONE && code <= PG_CODE_NO_ENDPOINT_HTTP) ||
           (r->kind == PG_RECORD_DROP && r->reason != 0);
}

static bool is_choice(const struct pg_record *r)
{
    return r->direction == 0 && (r->field == PG_FIELD_DST || r->stage == PG_STAGE_ROUTE) &&
           r->kind != PG_RECORD_KEEP;
}

static bool is_identity(const char *name)
{
    return strcasecmp(name, "x-forwarded-for") == 0 || strcasecmp(name, "x-real-ip") == 0 ||
           strcasecmp(name, "forwarded") == 0;
}

/* The first or the last record of the kind; the count if there is none. */
static uint32_t find(const struct pg_hops *h, enum pg_check_about about, const char *name)
{
    uint32_t found = h->count;
    for (uint32_t i = 0; i < h->count; i++) {
        const struct pg_record *r = &h->records[i];
        bool is = false;
        switch (about) {
        case PG_CHECK_ABOUT_CLIENT:
        case PG_CHECK_ABOUT_PEER: is = found == h->count && pg_hops_is_loss(r); break;
        case PG_CHECK_ABOUT_HEADER: is = is_header(r, name); break;
        case PG_CHECK_ABOUT_ANSWER: is = is_refusal(r); break;
        case PG_CHECK_ABOUT_CHOICE: is = is_choice(r); break;
        case PG_CHECK_ABOUT_DROP:
            is = found == h->count && r->kind == PG_RECORD_DROP && strcmp(r->name, name) == 0;
            break;
        }
        found = is ? i : found;
    }
    return found;
}

void pg_check_blame(const struct pg_hops *h, enum pg_check_about about, const char *name,
                    struct pg_check_fault *f)
{
    uint32_t at = h->count;
    if (about == PG_CHECK_ABOUT_HEADER && is_identity(name)) {
        at = find(h, PG_CHECK_ABOUT_CLIENT, name);
    }
    if (at == h->count) {
        at = find(h, about, name);
    }
    if (at == h->count && about == PG_CHECK_ABOUT_CLIENT) {
        at = find(h, PG_CHECK_ABOUT_HEADER, "x-forwarded-for");
    }
    if (at < h->count) {
        f->hop = h->records[at].direction == 0 ? pg_hops_number(h, h->records[at].seq) : 0;
        f->reason = h->records[at].reason;
    }
}
