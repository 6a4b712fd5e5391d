/* One DNS message in, one out.
 *
 * Called by app/ for datagrams to port 53 of the DNS address and for messages of its TCP
 * connections. Decides what kind of answer a message deserves, before its name is looked at: none
 * (it is a response itself, or no message at all), an error code, or the records that records.c
 * finds. The question goes back as it came.
 *
 * A name that is neither the cluster's nor a host of an Ingress is REFUSED, which makes a resolver go on to its
 * next server instead of believing that the name does not exist; the caller is told, and may ask
 * somebody else instead (forward.c).
 *
 * Pure: nothing is kept between two questions and nothing is allocated. Not handled: zone
 * transfers, updates, DNSSEC, cookies (all REFUSED or NOTIMP or ignored, as the standards ask). */
#include "zone.h"

#include <errno.h>
#include <string.h>

#define UDP_PLAIN_MOST 512 /* RFC 1035 4.2.1: without EDNS */

static uint32_t size_limit(const struct pg_dns_query *q, bool over_tcp, uint32_t room)
{
    uint32_t limit = UDP_PLAIN_MOST;

    if (over_tcp) {
        limit = UINT16_MAX;
    } else if (q->edns && q->edns_size > UDP_PLAIN_MOST) {
        limit = q->edns_size;
    }
    return limit < room ? limit : room;
}

/* The error that a message gets whatever its name is, or NOERROR. */
static enum pg_dns_rcode check(const struct pg_dns_query *q, int err)
{
    if (q->opcode != 0) {
        return PG_DNS_NOTIMP;
    }
    if (err) {
        return PG_DNS_FORMERR;
    }
    if (q->questions == 0) {
        return PG_DNS_SERVFAIL;
    }
    if (q->edns && q->edns_version != 0) {
        return PG_DNS_BADVERS;
    }
    if (q->class != PG_DNS_CLASS_IN || q->type == PG_DNS_AXFR || q->type == PG_DNS_IXFR) {
        return PG_DNS_REFUSE;
    }
    return PG_DNS_NOERROR;
}

static void tell(const struct pg_dns_query *q, const struct pg_dns_outcome *outcome,
                 struct pg_dns_flags flags, uint16_t answers, struct pg_dns_answer *ret)
{
    memset(ret, 0, sizeof(*ret));
    if (q->question_len) {
        pg_dns_name_print(q->name, ret->name, sizeof(ret->name));
        ret->type = q->type;
    }
    ret->rcode = (uint8_t)flags.rcode;
    ret->truncated = flags.truncated;
    ret->answers = answers;
    ret->status = outcome->status;
    ret->first = outcome->first;
    ret->reason = outcome->reason;
    if (outcome->beyond) {
        ret->beyond = true;
        memcpy(ret->beyond_name, outcome->beyond, pg_dns_name_len(outcome->beyond));
    }
}

uint32_t pg_dns_error(const void *query, uint32_t len, uint16_t rcode, void *out, uint32_t room)
{
    struct pg_dns_query q;
    struct pg_dns_writer w;

    if (room < UDP_PLAIN_MOST || pg_dns_query_read(query, len, &q) != 0) {
        return 0;
    }
    pg_dns_writer_begin(&w, query, &q, out, UDP_PLAIN_MOST);
    return pg_dns_writer_end(&w, &q, (struct pg_dns_flags){.rcode = rcode});
}

uint32_t pg_dns_answer_with(const struct pg_zone *z, const void *query, uint32_t len, bool over_tcp,
                            uint64_t draw, const struct pg_dns_foreign *foreign, void *out,
                            uint32_t room, struct pg_dns_answer *ret_about)
{
    struct pg_dns_query q;
    struct pg_dns_writer w;
    struct pg_dns_outcome outcome = {.status = PG_DNS_REFUSED};
    bool alias = false;
    int err = pg_dns_query_read(query, len, &q);

    if (err == -EMSGSIZE || q.is_response || room < UDP_PLAIN_MOST) {
        return 0;
    }
    struct pg_dns_flags flags = {.rcode = (uint16_t)check(&q, err)};

    pg_dns_writer_begin(&w, query, &q, out, size_limit(&q, over_tcp, room));
    if (flags.rcode == PG_DNS_NOERROR) {
        struct pg_zone_match m = pg_zone_find(z, q.name);

        if (m.status == PG_DNS_REFUSED) {
            flags.rcode = PG_DNS_REFUSE;
            outcome.beyond = q.name;
        } else {
            outcome = pg_dns_records(z, &m, &q, foreign, draw, &w);
            flags.rcode = outcome.status == PG_DNS_NXDOMAIN ? PG_DNS_NAME_ERROR : PG_DNS_NOERROR;
            flags.authoritative = true;
            flags.truncated = outcome.truncated;
            alias = outcome.beyond != NULL;
            outcome.beyond = m.elsewhere ? q.name : outcome.beyond;
        }
    }
    uint16_t answers = w.counts[PG_DNS_ANSWERS];
    uint32_t written = pg_dns_writer_end(&w, &q, flags);

    if (ret_about) {
        tell(&q, &outcome, flags, answers, ret_about);
        ret_about->beyond_alias = alias;
    }
    return written;
}

uint32_t pg_dns_answer(const struct pg_zone *z, const void *query, uint32_t len, bool over_tcp,
                       uint64_t draw, void *out, uint32_t room, struct pg_dns_answer *ret_about)
{
    return pg_dns_answer_with(z, query, len, over_tcp, draw, NULL, out, room, ret_about);
}
