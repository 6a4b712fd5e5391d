/* Records as text, for `podglass get dns`: the zone's answers and what is kept of others'.
 *
 * Called by app/dump_dns.c, never for a packet. The zone is not walked but asked, so what a table shows is what a client gets.
 * Keeps nothing. */
#include "podglass/dns_list.h"

#include "forward_internal.h"

#include <string.h>

/* ---- asking ---- */

uint16_t pg_dns_type_of(const char *name)
{
    static const struct {
        const char *name;
        uint16_t type;
    } types[] = {{"A", PG_DNS_A},     {"AAAA", PG_DNS_AAAA}, {"CNAME", PG_DNS_CNAME},
                 {"SRV", PG_DNS_SRV}, {"PTR", PG_DNS_PTR},   {"TXT", PG_DNS_TXT},
                 {"NS", PG_DNS_NS},   {"SOA", PG_DNS_SOA}};

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (strcmp(types[i].name, name) == 0) {
            return types[i].type;
        }
    }
    return 0;
}

uint32_t pg_dns_ask(const struct pg_zone *z, const char *name, uint16_t type, void *out,
                    uint32_t room, struct pg_dns_answer *ret_about)
{
    struct pg_dns_query q = {.type = type};
    uint8_t wire[PG_DNS_NAME_MAX];
    uint8_t message[PG_DNS_QUERY_MOST];

    if (pg_dns_name_parse(name, strlen(name), wire) == 0) {
        return 0;
    }
    uint32_t len = pg_dns_query_write(0, wire, &q, message);

    return pg_dns_answer(z, message, len, true, 0, out, room, ret_about);
}

/* ---- one record ---- */

struct reading {
    const uint8_t *message;
    uint32_t len;
    uint32_t at, end; /* of its data */
    struct pg_text *out;
};

static void add_name(struct reading *r)
{
    uint8_t name[PG_DNS_NAME_MAX];
    char text[PG_DNS_NAME_TEXT];
    uint32_t name_len;
    uint32_t behind = pg_dns_name_read(r->message, r->len, r->at, name, &name_len);

    if (behind == 0 || behind > r->end) {
        pg_text_puts(r->out, "?");
        r->at = r->end;
        return;
    }
    pg_dns_name_print(name, text, sizeof(text));
    pg_text_puts(r->out, text);
    r->at = behind;
}

static void add_number(struct reading *r, uint32_t bytes)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < bytes && r->at < r->end; i++) {
        n = n << 8 | r->message[r->at++];
    }
    pg_text_printf(r->out, "%u", n);
}

static void add_address(struct reading *r, bool v4)
{
    const uint8_t *at = r->message + r->at;
    struct pg_addr a = v4 ? pg_addr_v4(at[0], at[1], at[2], at[3]) : pg_addr_from_v6(at);
    char text[PG_ADDR_TEXT];

    pg_text_puts(r->out, pg_addr_print(&a, text));
}

/* Character strings, each with its length in front (RFC 1035 3.3.14); quoted, with bytes that are not plain as \DDD. */
static void add_strings(struct reading *r)
{
    while (r->at < r->end) {
        uint32_t n = r->message[r->at++];

        pg_text_putc(r->out, '"');
        for (; n > 0 && r->at < r->end; n--) {
            uint8_t c = r->message[r->at++];
            bool plain = c >= ' ' && c < 0x7f && c != '"' && c != '\\';

            pg_text_printf(r->out, plain ? "%c" : "\\%03u", c);
        }
        pg_text_puts(r->out, r->at < r->end ? "\" " : "\"");
    }
}

/* RFC 3597, section 5 */
static void add_unknown(struct reading *r)
{
    pg_text_printf(r->out, "\\# %u", r->end - r->at);
    for (uint32_t i = r->at; i < r->end; i++) {
        pg_text_printf(r->out, i == r->at ? " %02x" : "%02x", r->message[i]);
    }
}

static void add_data(struct reading *r, uint16_t type)
{
    uint32_t numbers = type == PG_DNS_SRV ? 3 : type == PG_DNS_MX ? 1 : 0;

    for (uint32_t i = 0; i < numbers; i++) {
        add_number(r, 2);
        pg_text_putc(r->out, ' ');
    }
    if (numbers || type == PG_DNS_CNAME || type == PG_DNS_NS || type == PG_DNS_PTR) {
        add_name(r);
    } else if (type == PG_DNS_SOA) {
        add_name(r);
        pg_text_putc(r->out, ' ');
        add_name(r);
        for (uint32_t i = 0; i < 5; i++) {
            pg_text_putc(r->out, ' ');
            add_number(r, 4);
        }
    } else if ((type == PG_DNS_A && r->end - r->at == 4) ||
               (type == PG_DNS_AAAA && r->end - r->at == 16)) {
        add_address(r, type == PG_DNS_A);
    } else if (type == PG_DNS_TXT && r->end > r->at) {
        add_strings(r);
    } else {
        add_unknown(r);
    }
}

bool pg_dns_line_next(const void *message, uint32_t len, uint64_t *cursor, struct pg_dns_line *ret)
{
    struct pg_dns_rr rr;
    uint8_t owner[PG_DNS_NAME_MAX] = {0};
    uint32_t owner_len;
    bool bad;

    if (len < PG_DNS_HEADER || !pg_dns_rr_next(message, len, cursor, &rr, &bad) ||
        rr.section != PG_DNS_ANSWERS) {
        return false;
    }
    struct reading r = {message, len, rr.data, rr.data + rr.data_len, &ret->data};

    (void)pg_dns_name_read(message, len, rr.owner, owner, &owner_len);
    pg_dns_name_print(owner, ret->name, sizeof(ret->name));
    pg_dns_type_name(rr.type, ret->type);
    ret->ttl_s = rr.ttl;
    pg_text_clear(&ret->data);
    add_data(&r, rr.type);
    return true;
}

/* ---- what is kept ---- */

static const char *status_of(const uint8_t *message)
{
    switch (message[3] & 0x0f) {
    case PG_DNS_NOERROR: return message[6] | message[7] ? "NOERROR" : "NODATA";
    case PG_DNS_NAME_ERROR: return "NXDOMAIN";
    default: return "SERVFAIL";
    }
}

bool pg_dns_kept_next(const struct pg_dns_forward *f, uint32_t *cursor, struct pg_dns_kept *ret)
{
    struct pg_dns_cache_entry e;

    if (!f->cache || !pg_dns_cache_next(f->cache, cursor, pg_dns_now_ms(f), &e)) {
        return false;
    }
    pg_dns_name_print(e.message + PG_DNS_HEADER, ret->name, sizeof(ret->name));
    pg_dns_type_name(e.type, ret->type);
    ret->status = status_of(e.message);
    ret->left_s = e.left_s;
    ret->age_s = e.age_s;
    ret->reason = f->cached;
    ret->message = e.message;
    ret->len = e.len;
    return true;
}
