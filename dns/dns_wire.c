/* Reading a query and writing a response, byte by byte.
 *
 * Called by server.c (messages) and records.c (records). Everything that is read came from a
 * stranger: each offset is checked against the length before use, a name ends after 255 bytes, and
 * a pointer must go backwards from the part it stands in, so no chain of pointers can loop. A
 * query's own name may not use pointers at all: before it there is only the header.
 *
 * The question goes back byte for byte (0x20: resolvers check the spelling), and owners equal to
 * it, or that end in a part of it, are pointers into it and so keep its spelling too. Names are
 * compressed through a small hash table of offsets: bounded probes, a miss costs bytes and never
 * correctness. A hit is verified by reading the name that stands there, so stale offsets of a
 * record that was taken back do no harm.
 *
 * Owns nothing. Not handled: more than one question, which nobody sends (FORMERR). */
#include "dns_wire.h"

#include "podglass/dns.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define POINTER      0xc0u
#define POINTER_MOST 0x3fffu
#define OPT_LEN      11u
#define PROBES       4u

static uint16_t get_u16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static void set_u16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

/* ---- names ---- */

uint32_t pg_dns_name_read(const uint8_t *message, uint32_t len, uint32_t at,
                          uint8_t ret[PG_DNS_NAME_MAX], uint32_t *ret_len)
{
    uint32_t begin = at; /* of the part being read; pointers must go before it */
    uint32_t behind = 0;
    uint32_t used = 0;

    while (at < len) {
        uint32_t label = message[at];

        if ((label & POINTER) == POINTER) {
            if (at + 1 >= len) {
                return 0;
            }
            uint32_t target = (label & ~POINTER) << 8 | message[at + 1];

            if (target >= begin || target < PG_DNS_HEADER) {
                return 0;
            }
            behind = behind ? behind : at + 2;
            begin = at = target;
            continue;
        }
        if (label > PG_DNS_LABEL_MAX || at + 1 + label > len ||
            used + 1 + label + (label != 0) > PG_DNS_NAME_MAX) {
            return 0;
        }
        memcpy(ret + used, message + at, 1 + label);
        used += 1 + label;
        at += 1 + label;
        if (label == 0) {
            *ret_len = used;
            return behind ? behind : at;
        }
    }
    return 0;
}

/* Steps over a name without following pointers. Returns the offset behind it, 0: malformed. */
static uint32_t name_skip(const uint8_t *message, uint32_t len, uint32_t at)
{
    while (at < len) {
        uint32_t label = message[at];

        if ((label & POINTER) == POINTER) {
            return at + 2 <= len ? at + 2 : 0;
        }
        if (label > PG_DNS_LABEL_MAX) {
            return 0;
        }
        at += 1 + label;
        if (label == 0) {
            return at;
        }
    }
    return 0;
}

uint32_t pg_dns_name_parse(const char *text, size_t len, uint8_t ret[PG_DNS_NAME_MAX])
{
    uint32_t used = 0;

    if (len > 0 && text[len - 1] == '.') {
        len--;
        if (len == 0) {
            ret[0] = 0;
            return 1;
        }
    }
    if (len == 0 || len > PG_DNS_NAME_MAX - 2) {
        return 0;
    }
    for (size_t i = 0; i <= len; i++) {
        size_t start = i;

        while (i < len && text[i] != '.') {
            i++;
        }
        if (i == start || i - start > PG_DNS_LABEL_MAX) {
            return 0;
        }
        ret[used] = (uint8_t)(i - start);
        memcpy(ret + used + 1, text + start, i - start);
        used += 1 + (uint32_t)(i - start);
    }
    ret[used] = 0;
    return used + 1;
}

static bool is_plain(uint8_t c)
{
    return c > ' ' && c < 0x7f && c != '.' && c != '\\' && c != '"';
}

void pg_dns_name_print(const uint8_t *name, char *out, uint32_t room)
{
    uint32_t used = 0;

    for (const uint8_t *label = name; *label; label += 1 + *label) {
        for (uint32_t i = 1; i <= *label; i++) {
            if (used + 5 >= room) { /* the longest byte, the dot and the NUL */
                out[used] = 0;
                return;
            }
            if (is_plain(label[i])) {
                out[used++] = (char)label[i];
            } else {
                used += (uint32_t)snprintf(out + used, room - used, "\\%03u", label[i]);
            }
        }
        out[used++] = '.';
    }
    if (used == 0 && room > 1) {
        out[used++] = '.';
    }
    out[used] = 0;
}

uint32_t pg_dns_name_labels(const uint8_t *name, uint8_t ret[PG_DNS_LABELS_MAX])
{
    uint32_t count = 0;

    for (uint32_t at = 0; name[at] && count < PG_DNS_LABELS_MAX; at += 1u + name[at]) {
        ret[count++] = (uint8_t)at;
    }
    return count;
}

uint32_t pg_dns_name_len(const uint8_t *name)
{
    uint32_t at = 0;

    while (name[at]) {
        at += 1u + name[at];
    }
    return at + 1;
}

/* ---- the query ---- */

/* The OPT record among the records behind the question. false: malformed, or more than one. */
static bool read_opt(const uint8_t *message, uint32_t len, struct pg_dns_query *q)
{
    uint32_t before = (uint32_t)get_u16(message + 6) + get_u16(message + 8);
    uint32_t records = before + get_u16(message + 10);
    uint32_t at = PG_DNS_HEADER + q->question_len;

    for (uint32_t i = 0; i < records; i++) {
        uint32_t owner = at;

        at = name_skip(message, len, at);
        if (at == 0 || at + 10 > len) {
            return false;
        }
        const uint8_t *fixed = message + at;

        at += 10u + get_u16(fixed + 8);
        if (at > len) {
            return false;
        }
        if (get_u16(fixed) != PG_DNS_OPT || i < before) {
            continue;
        }
        if (q->edns || message[owner] != 0) {
            return false;
        }
        q->edns = true;
        q->edns_size = get_u16(fixed + 2);
        q->edns_version = fixed[5];
        q->dnssec_ok = (fixed[6] & 0x80) != 0;
    }
    return true;
}

int pg_dns_query_read(const uint8_t *message, uint32_t len, struct pg_dns_query *ret)
{
    memset(ret, 0, offsetof(struct pg_dns_query, name));
    ret->edns = ret->dnssec_ok = false;
    ret->edns_version = 0;
    ret->edns_size = 0;
    if (len < PG_DNS_HEADER) {
        return -EMSGSIZE;
    }
    ret->id = get_u16(message);
    ret->is_response = (message[2] & 0x80) != 0;
    ret->opcode = message[2] >> 3 & 0x0f;
    ret->recursion_desired = (message[2] & 0x01) != 0;
    ret->checking_disabled = (message[3] & 0x10) != 0;
    ret->questions = get_u16(message + 4);
    if (ret->is_response || ret->opcode != 0 || ret->questions == 0) {
        return 0;
    }
    uint32_t at = pg_dns_name_read(message, len, PG_DNS_HEADER, ret->name, &ret->name_len);

    if (ret->questions > 1 || at == 0 || at + 4 > len) {
        return -EBADMSG;
    }
    ret->type = get_u16(message + at);
    ret->class = get_u16(message + at + 2);
    ret->question_len = at + 4 - PG_DNS_HEADER;
    return read_opt(message, len, ret) ? 0 : -EBADMSG;
}

/* ---- a message of somebody else's ---- */

static uint32_t get_u32(const uint8_t *at)
{
    return (uint32_t)get_u16(at) << 16 | get_u16(at + 2);
}

static bool bad(bool *ret_bad)
{
    *ret_bad = true;
    return false;
}

/* The cursor: offset of the next record, and above it how many have been read. */
bool pg_dns_rr_next(const uint8_t *message, uint32_t len, uint64_t *cursor, struct pg_dns_rr *ret,
                    bool *ret_bad)
{
    uint32_t answers = get_u16(message + 6);
    uint32_t authority = answers + get_u16(message + 8);
    uint32_t all = authority + get_u16(message + 10);
    uint32_t read = (uint32_t)(*cursor >> 32);
    uint32_t at = (uint32_t)*cursor;

    *ret_bad = false;
    if (*cursor == 0) {
        at = PG_DNS_HEADER;
        for (uint32_t i = 0; i < get_u16(message + 4); i++) {
            at = name_skip(message, len, at);
            if (at == 0 || at + 4 > len) {
                return bad(ret_bad);
            }
            at += 4;
        }
    }
    if (read >= all) {
        return false;
    }
    ret->owner = at;
    ret->fixed = name_skip(message, len, at);
    if (ret->fixed == 0 || ret->fixed + 10 > len) {
        return bad(ret_bad);
    }
    ret->type = get_u16(message + ret->fixed);
    ret->class = get_u16(message + ret->fixed + 2);
    ret->ttl = get_u32(message + ret->fixed + 4);
    ret->data_len = get_u16(message + ret->fixed + 8);
    ret->data = ret->fixed + 10;
    ret->section = read < answers     ? PG_DNS_ANSWERS
                   : read < authority ? PG_DNS_AUTHORITY
                                      : PG_DNS_ADDITIONAL;
    if (ret->data + ret->data_len > len) {
        return bad(ret_bad);
    }
    *cursor = (uint64_t)(read + 1) << 32 | (ret->data + ret->data_len);
    return true;
}

uint32_t pg_dns_query_write(uint16_t id, const uint8_t *name, const struct pg_dns_query *q,
                            uint8_t *out)
{
    uint32_t len = pg_dns_name_len(name);
    uint32_t at = PG_DNS_HEADER + len + 4;

    memset(out, 0, PG_DNS_HEADER);
    set_u16(out, id);
    out[2] = 0x01; /* recursion desired */
    out[3] = q->checking_disabled ? 0x10 : 0;
    set_u16(out + 4, 1);
    memcpy(out + PG_DNS_HEADER, name, len);
    set_u16(out + at - 4, q->type);
    set_u16(out + at - 2, PG_DNS_CLASS_IN);
    if (q->edns) {
        uint32_t size = q->edns_size < 512 ? 512 : q->edns_size;

        memset(out + at, 0, OPT_LEN);
        set_u16(out + at + 1, PG_DNS_OPT);
        set_u16(out + at + 3, size < PG_DNS_EDNS_SIZE ? size : PG_DNS_EDNS_SIZE);
        out[at + 7] = q->dnssec_ok ? 0x80 : 0;
        set_u16(out + 10, 1);
        at += OPT_LEN;
    }
    return at;
}

/* ---- the response ---- */

/* Room for n bytes, which the caller fills; NULL: the record does not fit. */
static uint8_t *put(struct pg_dns_writer *w, uint32_t n)
{
    if (w->full || n > w->limit - w->len) {
        w->full = true;
        return NULL;
    }
    uint8_t *at = w->at + w->len;

    w->len += n;
    return at;
}

void pg_dns_put_bytes(struct pg_dns_writer *w, const void *bytes, uint32_t len)
{
    uint8_t *at = put(w, len);

    if (at) {
        memcpy(at, bytes, len);
    }
}

void pg_dns_put_u16(struct pg_dns_writer *w, uint16_t value)
{
    uint8_t *at = put(w, 2);

    if (at) {
        set_u16(at, value);
    }
}

void pg_dns_put_u32(struct pg_dns_writer *w, uint32_t value)
{
    pg_dns_put_u16(w, (uint16_t)(value >> 16));
    pg_dns_put_u16(w, (uint16_t)value);
}

/* The labels of a name and a hash of each of its suffixes, without regard to case. FNV-1a: nothing
 * but size depends on it. */
static uint32_t hash_suffixes(const uint8_t *name, uint8_t *ret_labels, uint32_t *ret_hashes)
{
    uint32_t count = pg_dns_name_labels(name, ret_labels);
    uint32_t hash = 2166136261u;

    for (uint32_t i = count; i-- > 0;) {
        const uint8_t *label = name + ret_labels[i];

        for (uint32_t k = 0; k <= label[0]; k++) {
            hash = (hash ^ pg_dns_lower(label[k])) * 16777619u;
        }
        ret_hashes[i] = hash ^ hash >> 15;
    }
    return count;
}

/* Does the name written at `at` say the same as this wire name? */
static bool stands_at(const struct pg_dns_writer *w, uint32_t at, const uint8_t *name)
{
    while (at < w->len) {
        uint32_t label = w->at[at];

        if ((label & POINTER) == POINTER) {
            uint32_t target = at + 1 < w->len ? (label & ~POINTER) << 8 | w->at[at + 1] : at;

            if (target >= at) {
                return false;
            }
            at = target;
            continue;
        }
        if (label != name[0] || at + 1 + label > w->len) {
            return false;
        }
        for (uint32_t i = 1; i <= label; i++) {
            if (pg_dns_lower(w->at[at + i]) != pg_dns_lower(name[i])) {
                return false;
            }
        }
        if (label == 0) {
            return true;
        }
        at += 1 + label;
        name += 1 + label;
    }
    return false;
}

static uint32_t find_written(const struct pg_dns_writer *w, uint32_t hash, const uint8_t *name)
{
    for (uint32_t i = 0; i < PROBES; i++) {
        uint32_t at = w->names[(hash + i) % PG_DNS_WRITER_NAMES];

        if (at == 0) {
            return 0;
        }
        if (stands_at(w, at, name)) {
            return at;
        }
    }
    return 0;
}

static void note_written(struct pg_dns_writer *w, uint32_t hash, uint32_t at)
{
    for (uint32_t i = 0; at <= POINTER_MOST && i < PROBES; i++) {
        uint16_t *slot = &w->names[(hash + i) % PG_DNS_WRITER_NAMES];

        if (*slot == 0 || *slot >= w->mark) { /* free, or noted by a record that was taken back */
            *slot = (uint16_t)at;
            return;
        }
    }
}

static void know_question(struct pg_dns_writer *w)
{
    uint8_t labels[PG_DNS_LABELS_MAX];
    uint32_t hashes[PG_DNS_LABELS_MAX];
    uint32_t count = hash_suffixes(w->at + PG_DNS_HEADER, labels, hashes);

    memset(w->names, 0, sizeof(w->names));
    w->knows_question = true;
    for (uint32_t i = 0; i < count; i++) {
        note_written(w, hashes[i], (uint32_t)PG_DNS_HEADER + labels[i]);
    }
}

void pg_dns_put_name(struct pg_dns_writer *w, const uint8_t *name, bool compress)
{
    uint8_t labels[PG_DNS_LABELS_MAX];
    uint32_t hashes[PG_DNS_LABELS_MAX];
    uint32_t count = hash_suffixes(name, labels, hashes);
    uint32_t begin = w->len;
    uint32_t own = 0; /* labels written out */
    uint32_t found = 0;

    if (!w->knows_question) {
        know_question(w);
    }
    while (own < count && !(found = find_written(w, hashes[own], name + labels[own]))) {
        own++;
    }
    if (!compress || found == 0) {
        pg_dns_put_bytes(w, name, pg_dns_name_len(name));
    } else {
        pg_dns_put_bytes(w, name, labels[own]);
        pg_dns_put_u16(w, (uint16_t)(POINTER << 8 | found));
    }
    for (uint32_t i = 0; i < own && !w->full; i++) {
        note_written(w, hashes[i], begin + labels[i]);
    }
}

void pg_dns_writer_begin(struct pg_dns_writer *w, const uint8_t *message,
                         const struct pg_dns_query *q, uint8_t *out, uint32_t limit)
{
    w->at = out;
    w->len = PG_DNS_HEADER + q->question_len;
    w->limit = q->edns ? limit - OPT_LEN : limit;
    w->rdata = 0;
    w->mark = w->len;
    w->full = false;
    w->knows_question = false;
    memset(w->counts, 0, sizeof(w->counts));
    memcpy(out + PG_DNS_HEADER, message + PG_DNS_HEADER, q->question_len);
}

void pg_dns_record_begin(struct pg_dns_writer *w, const uint8_t *owner, uint16_t type, uint32_t ttl)
{
    w->mark = w->len;
    w->full = false;
    if (owner) {
        pg_dns_put_name(w, owner, true);
    } else {
        pg_dns_put_u16(w, POINTER << 8 | PG_DNS_HEADER);
    }
    pg_dns_put_u16(w, type);
    pg_dns_put_u16(w, PG_DNS_CLASS_IN);
    pg_dns_put_u32(w, ttl);
    pg_dns_put_u16(w, 0); /* length: set at the end */
    w->rdata = w->len;
}

bool pg_dns_record_end(struct pg_dns_writer *w, enum pg_dns_section section)
{
    if (w->full || w->counts[section] == UINT16_MAX) {
        w->len = w->mark;
        return false;
    }
    set_u16(w->at + w->rdata - 2, w->len - w->rdata);
    w->counts[section]++;
    return true;
}

uint32_t pg_dns_writer_end(struct pg_dns_writer *w, const struct pg_dns_query *q,
                           struct pg_dns_flags flags)
{
    uint8_t *head = w->at;

    if (q->edns) {
        uint8_t *opt = w->at + w->len; /* room was kept */

        memset(opt, 0, OPT_LEN);
        set_u16(opt + 1, PG_DNS_OPT);
        set_u16(opt + 3, PG_DNS_EDNS_SIZE);
        opt[5] = (uint8_t)(flags.rcode >> 4);
        opt[7] = q->dnssec_ok ? 0x80 : 0;
        w->len += OPT_LEN;
        w->counts[PG_DNS_ADDITIONAL]++;
    }
    set_u16(head, q->id);
    head[2] = (uint8_t)(0x80 | q->opcode << 3 | (flags.authoritative ? 0x04 : 0) |
                        (flags.truncated ? 0x02 : 0) | (q->recursion_desired ? 0x01 : 0));
    head[3] = (uint8_t)((q->checking_disabled ? 0x10 : 0) | (flags.rcode & 0x0f));
    set_u16(head + 4, q->question_len ? 1 : 0);
    set_u16(head + 6, w->counts[PG_DNS_ANSWERS]);
    set_u16(head + 8, w->counts[PG_DNS_AUTHORITY]);
    set_u16(head + 10, w->counts[PG_DNS_ADDITIONAL]);
    return w->len;
}

const char *pg_dns_type_name(uint16_t type, char out[12])
{
    static const struct {
        uint16_t type;
        const char *name;
    } names[] = {
        {PG_DNS_A, "A"},
        {PG_DNS_NS, "NS"},
        {PG_DNS_CNAME, "CNAME"},
        {PG_DNS_SOA, "SOA"},
        {PG_DNS_PTR, "PTR"},
        {PG_DNS_TXT, "TXT"},
        {PG_DNS_AAAA, "AAAA"},
        {PG_DNS_SRV, "SRV"},
        {PG_DNS_OPT, "OPT"},
        {PG_DNS_IXFR, "IXFR"},
        {PG_DNS_AXFR, "AXFR"},
        {15, "MX"},
        {35, "NAPTR"},
        {43, "DS"},
        {64, "SVCB"},
        {65, "HTTPS"},
        {255, "ANY"},
        {257, "CAA"},
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (names[i].type == type) {
            (void)snprintf(out, 12, "%s", names[i].name);
            return out;
        }
    }
    (void)snprintf(out, 12, "TYPE%u", type);
    return out;
}
