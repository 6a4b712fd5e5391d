/* What a client gets when its question was asked of somebody else: their answer as it came, what it says behind an alias of
 * ours, or an error; and what is told of it.
 *
 * Called by forward.c. Keeps nothing. A client that came by UDP gets an answer that was cut as it is. One that came by TCP could not ask
 * for more: if the server's answer was cut over TCP as well, or there was no connection for it (forward_stream.c), SERVFAIL. */
#include "forward_internal.h"

#include <string.h>

#define UDP_PLAIN_MOST 512u

/* ---- what is told ---- */

void pg_dns_tell(struct pg_dns_forward *f, const struct pg_dns_waiting *w, pg_reason_id reason,
                 const char *text, const struct pg_addr *addr)
{
    char name[PG_DNS_NAME_MAX * 4 + 1];

    if (!f->o.told(f->o.arg, w->client.label)) {
        return;
    }
    pg_dns_name_print(w->name, name, sizeof(name));
    f->o.tell(f->o.arg, &(struct pg_dns_event){.name = name,
                                               .type = w->q.type,
                                               .addr = *addr,
                                               .text = text,
                                               .reason = reason,
                                               .label = w->client.label});
}

/* What an answer comes to: its first address, or a word. */
static void tell_answer(struct pg_dns_forward *f, const struct pg_dns_waiting *w,
                        const uint8_t *message, uint32_t len, pg_reason_id reason)
{
    static const char *const words[16] = {"NOERROR",  "FORMERR", "SERVFAIL",
                                          "NXDOMAIN", "NOTIMP",  "REFUSED"};
    struct pg_addr first = {0};
    uint64_t cursor = 0;
    struct pg_dns_rr rr;
    bool bad;
    bool any = false;

    while (pg_addr_is_none(&first) && pg_dns_rr_next(message, len, &cursor, &rr, &bad) &&
           rr.section == PG_DNS_ANSWERS) {
        const uint8_t *at = message + rr.data;

        any = true;
        if (rr.type == PG_DNS_A && rr.data_len == 4) {
            first = pg_addr_v4(at[0], at[1], at[2], at[3]);
        } else if (rr.type == PG_DNS_AAAA && rr.data_len == 16) {
            first = pg_addr_from_v6(at);
        }
    }
    uint32_t rcode = message[3] & 0x0f;
    const char *word = rcode == PG_DNS_NOERROR && !any ? "NODATA" : words[rcode];

    pg_dns_tell(f, w, reason, word ? word : "error", &first);
}

/* ---- what is answered ---- */

/* What it said it can take, or 512. */
uint32_t pg_dns_room_of(const struct pg_dns_waiting *w)
{
    uint32_t room = w->q.edns && w->q.edns_size > UDP_PLAIN_MOST ? w->q.edns_size : UDP_PLAIN_MOST;

    return w->client.over_tcp ? UINT16_MAX : room < PG_DNS_EDNS_SIZE ? room : PG_DNS_EDNS_SIZE;
}

/* The client's question again; only the bit of recursion is not as the writer has it. */
static uint32_t its_query(const struct pg_dns_waiting *w, uint8_t out[PG_DNS_QUERY_MOST])
{
    uint32_t len = pg_dns_query_write(w->q.id, w->q.name, &w->q, out);

    out[2] = w->q.recursion_desired;
    return len;
}

void pg_dns_give_error(struct pg_dns_forward *f, const struct pg_dns_waiting *w, uint16_t rcode)
{
    uint8_t query[PG_DNS_QUERY_MOST];
    uint8_t out[UDP_PLAIN_MOST];
    uint32_t query_len = its_query(w, query);
    uint32_t len = pg_dns_error(query, query_len, rcode, out, sizeof(out));

    if (len) {
        f->o.answer(f->o.arg, &w->client, out, len);
    }
}

static void answer_behind_alias(struct pg_dns_forward *f, const struct pg_dns_waiting *w,
                                const uint8_t *message, uint32_t len)
{
    static uint8_t out[UINT16_MAX]; /* one thread, never nested */
    uint8_t query[PG_DNS_QUERY_MOST];
    uint32_t query_len = its_query(w, query);
    struct pg_dns_foreign foreign = {message, len};
    uint32_t rcode = message[3] & 0x0f;

    if (rcode != PG_DNS_NOERROR && rcode != PG_DNS_NAME_ERROR) {
        pg_dns_give_error(f, w, PG_DNS_SERVFAIL);
        return;
    }
    uint32_t written =
        pg_dns_answer_with(f->zone, query, query_len, w->client.over_tcp,
                           pg_random_u64(f->o.random), &foreign, out, pg_dns_room_of(w), NULL);

    if (written) {
        f->o.answer(f->o.arg, &w->client, out, written);
    }
}

void pg_dns_give(struct pg_dns_forward *f, const struct pg_dns_waiting *w, uint8_t *message,
                 uint32_t len, pg_reason_id reason)
{
    tell_answer(f, w, message, len, reason);
    if (w->client.over_tcp && (message[2] & 0x02)) {
        pg_dns_give_error(f, w, PG_DNS_SERVFAIL); /* cut for a datagram, and we know no more */
        return;
    }
    if (w->alias) {
        answer_behind_alias(f, w, message, len);
        return;
    }
    message[0] = (uint8_t)(w->q.id >> 8);
    message[1] = (uint8_t)w->q.id;
    message[2] = (uint8_t)((message[2] & ~0x01u) | w->q.recursion_desired);
    f->o.answer(f->o.arg, &w->client, message, len);
}
