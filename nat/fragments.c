/* Fragments: gathered in front of conntrack, cut again behind it.
 *
 * A datagram in the making is one packet buffer into which pieces are copied where they belong, with the list of what is there. The list is short
 * and searched in a row; so is the list of datagrams. Nothing here grows with what a stranger sends: a flood of first pieces only pushes out
 * other incomplete datagrams, and one whose pieces come together is whole long before.
 *
 * Called by app/path.c. Overlaps are never resolved, because two readers would resolve them differently. IPv6 pieces are taken only if the
 * fragment header follows the IPv6 header; atomic fragments (RFC 6946) are whole at once. */
#include "podglass/fragments.h"

#include "podglass/checksum.h"

#include <stdlib.h>
#include <string.h>

#define DATAGRAMS     64
#define PIECES        64
#define LIFETIME_US   30000000u
#define IP4_HEAD      20
#define IP6_HEAD      40
#define FRAG_HEAD     8
#define IP6_FRAGMENT  44
#define DATAGRAM_MAX  65535
#define DONT_FRAGMENT 0x40 /* in the byte of the flags */

/* What a piece says of itself. */
struct piece {
    struct pg_addr src, dst;
    uint32_t id;
    uint8_t version;
    uint8_t proto;
    bool more;
    uint32_t offset;
    const uint8_t *payload;
    uint32_t len;
};

struct range {
    uint32_t from, to;
};

/* Free when buf is NULL. */
struct datagram {
    struct pg_buf *buf; /* IP header, then payload at its place */
    struct pg_addr src, dst;
    uint32_t id;
    uint8_t version;
    uint8_t proto;
    bool has_first;
    uint16_t piece_size; /* the largest piece, as an IP packet */
    uint32_t total;      /* payload bytes; 0: the last piece has not come */
    uint32_t there;
    uint32_t piece_count;
    uint64_t due_us;
    struct range pieces[PIECES];
};

struct pg_fragments {
    struct pg_counters *counters;
    uint32_t held;
    struct datagram datagrams[DATAGRAMS];
};

struct pg_fragments *pg_fragments_new(struct pg_counters *counters)
{
    struct pg_fragments *f = calloc(1, sizeof *f);
    if (f != NULL) {
        f->counters = counters;
    }
    return f;
}

static void forget(struct pg_fragments *f, struct datagram *d, bool lost)
{
    f->held -= d->piece_count;
    if (lost) {
        f->counters->drop[PG_DROP_FRAGMENT] += d->piece_count;
    }
    pg_buf_put(d->buf);
    *d = (struct datagram){0};
}

void pg_fragments_free(struct pg_fragments *f)
{
    for (uint32_t i = 0; f != NULL && i < DATAGRAMS; i++) {
        if (f->datagrams[i].buf != NULL) {
            forget(f, &f->datagrams[i], true);
        }
    }
    free(f);
}

/* ---- reading a piece ---- */

static uint16_t get16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static void put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static bool read_v4(const struct pg_packet *p, struct piece *ret)
{
    const uint8_t *ip = p->head;
    uint32_t total = get16(ip + 2);
    if (ip[0] != 0x45 || total < IP4_HEAD || total > p->len ||
        pg_sum_fold(pg_sum_add(0, ip, IP4_HEAD)) != 0xffff) {
        return false;
    }
    uint16_t where = get16(ip + 6);
    uint32_t be[2];
    memcpy(be, ip + 12, sizeof be);
    *ret = (struct piece){.src = pg_addr_from_v4_be(be[0]),
                          .dst = pg_addr_from_v4_be(be[1]),
                          .id = get16(ip + 4),
                          .version = 4,
                          .proto = ip[9],
                          .more = (where & 0x2000) != 0,
                          .offset = (where & 0x1fffu) * 8u,
                          .payload = ip + IP4_HEAD,
                          .len = total - IP4_HEAD};
    return true;
}

static bool read_v6(const struct pg_packet *p, struct piece *ret)
{
    const uint8_t *ip = p->head;
    const uint8_t *fragment = ip + IP6_HEAD;
    uint32_t total = IP6_HEAD + get16(ip + 4);
    if (p->len < IP6_HEAD + FRAG_HEAD || total > p->len || total < IP6_HEAD + FRAG_HEAD ||
        ip[6] != IP6_FRAGMENT) {
        return false;
    }
    uint16_t where = get16(fragment + 2);
    *ret = (struct piece){.src = pg_addr_from_v6(ip + 8),
                          .dst = pg_addr_from_v6(ip + 24),
                          .id = (uint32_t)get16(fragment + 4) << 16 | get16(fragment + 6),
                          .version = 6,
                          .proto = fragment[0],
                          .more = (where & 1) != 0,
                          .offset = where & 0xfff8u,
                          .payload = fragment + FRAG_HEAD,
                          .len = total - IP6_HEAD - FRAG_HEAD};
    return true;
}

static uint32_t transport_header(uint8_t proto)
{
    return proto == PG_PROTO_TCP ? 20 : 8;
}

static bool read_piece(const struct pg_packet *p, struct piece *ret)
{
    if (p->len < IP4_HEAD || p->tail_count != 0 ||
        !(p->head[0] >> 4 == 4 ? read_v4(p, ret) : read_v6(p, ret))) {
        return false;
    }
    uint32_t head = ret->version == 4 ? IP4_HEAD : IP6_HEAD;
    if (ret->len == 0 || (ret->more && ret->len % 8 != 0) ||
        head + ret->offset + ret->len > DATAGRAM_MAX) {
        return false;
    }
    return ret->offset != 0 || ret->len >= transport_header(ret->proto);
}

/* ---- datagrams in the making ---- */

static bool belongs(const struct datagram *d, const struct piece *piece)
{
    return d->buf != NULL && d->id == piece->id && d->version == piece->version &&
           d->proto == piece->proto && pg_addr_equal(&d->src, &piece->src) &&
           pg_addr_equal(&d->dst, &piece->dst);
}

static struct datagram *find(struct pg_fragments *f, const struct piece *piece)
{
    for (uint32_t i = 0; i < DATAGRAMS; i++) {
        if (belongs(&f->datagrams[i], piece)) {
            return &f->datagrams[i];
        }
    }
    return NULL;
}

/* A free place, or that of the oldest. NULL: no buffer. */
static struct datagram *begin(struct pg_fragments *f, const struct piece *piece,
                              struct pg_buf_pool *pool, uint64_t now_us)
{
    struct datagram *d = &f->datagrams[0];
    for (uint32_t i = 0; i < DATAGRAMS && d->buf != NULL; i++) {
        struct datagram *other = &f->datagrams[i];
        if (other->buf == NULL || other->due_us < d->due_us) {
            d = other;
        }
    }
    if (d->buf != NULL) {
        forget(f, d, true);
    }
    d->buf = pg_buf_get(pool);
    if (d->buf == NULL) {
        return NULL;
    }
    d->src = piece->src;
    d->dst = piece->dst;
    d->id = piece->id;
    d->version = piece->version;
    d->proto = piece->proto;
    d->due_us = now_us + LIFETIME_US;
    return d;
}

/* false: it contradicts what is there. */
static bool fits(const struct datagram *d, const struct piece *piece)
{
    uint32_t end = piece->offset + piece->len;
    if (d->piece_count == PIECES || (d->total != 0 && (!piece->more || end > d->total))) {
        return false;
    }
    for (uint32_t i = 0; i < d->piece_count; i++) {
        if (piece->offset < d->pieces[i].to && d->pieces[i].from < end) {
            return false;
        }
        if (!piece->more && d->pieces[i].to > end) {
            return false;
        }
    }
    return true;
}

static void add(struct pg_fragments *f, struct datagram *d, const struct pg_packet *p,
                const struct piece *piece)
{
    uint32_t head = d->version == 4 ? IP4_HEAD : IP6_HEAD;
    uint8_t *bytes = d->buf->bytes + PG_BUF_HEADROOM;
    memcpy(bytes + head + piece->offset, piece->payload, piece->len);
    if (piece->offset == 0) {
        memcpy(bytes, p->head, head);
        d->has_first = true;
    }
    d->total = piece->more ? d->total : piece->offset + piece->len;
    d->there += piece->len;
    d->piece_size = p->len > d->piece_size ? (uint16_t)p->len : d->piece_size;
    d->pieces[d->piece_count++] = (struct range){piece->offset, piece->offset + piece->len};
    f->held++;
}

static void set_sum_v4(uint8_t *ip)
{
    memset(ip + 10, 0, 2);
    uint16_t sum = (uint16_t)~pg_sum_fold(pg_sum_add(0, ip, IP4_HEAD));
    memcpy(ip + 10, &sum, sizeof sum);
}

static void finish(struct pg_fragments *f, struct datagram *d, struct pg_packet *p)
{
    uint8_t *ip = d->buf->bytes + PG_BUF_HEADROOM;
    uint32_t len = d->total + (d->version == 4 ? IP4_HEAD : IP6_HEAD);
    if (d->version == 4) {
        put16(ip + 2, len);
        put16(ip + 6, 0);
        set_sum_v4(ip);
    } else {
        put16(ip + 4, d->total);
        ip[6] = d->proto;
    }
    pg_buf_put(p->buf);
    d->buf->start = PG_BUF_HEADROOM;
    d->buf->len = len;
    p->buf = pg_buf_ref(d->buf);
    p->head = ip;
    p->head_len = len;
    p->len = len;
    p->csum = PG_CSUM_FULL;
    /* without the header that IPv6 has in each, all of it may be no longer than one piece was */
    p->fragment_size = d->piece_count > 1 && len > d->piece_size ? d->piece_size : 0;
    f->counters->value[PG_COUNT_FRAGMENTS_JOINED] += d->piece_count - 1;
    forget(f, d, false);
}

static enum pg_fragment refuse(struct pg_fragments *f)
{
    f->counters->drop[PG_DROP_FRAGMENT]++;
    return PG_FRAGMENT_BAD;
}

enum pg_fragment pg_fragments_take(struct pg_fragments *f, struct pg_packet *p,
                                   struct pg_buf_pool *pool, uint64_t now_us)
{
    struct piece piece;
    if (!read_piece(p, &piece)) {
        return refuse(f);
    }
    struct datagram *d = find(f, &piece);
    if (d != NULL && !fits(d, &piece)) {
        forget(f, d, true);
        return refuse(f);
    }
    if (d == NULL) {
        d = begin(f, &piece, pool, now_us);
    }
    if (d == NULL) {
        return refuse(f);
    }
    add(f, d, p, &piece);
    if (!d->has_first || d->total == 0 || d->there != d->total) {
        return PG_FRAGMENT_HELD;
    }
    finish(f, d, p);
    return PG_FRAGMENT_WHOLE;
}

void pg_fragments_advance(struct pg_fragments *f, uint64_t now_us)
{
    for (uint32_t i = 0; f->held != 0 && i < DATAGRAMS; i++) {
        struct datagram *d = &f->datagrams[i];
        if (d->buf != NULL && d->due_us <= now_us) {
            forget(f, d, true);
        }
    }
}

uint64_t pg_fragments_next_due_us(const struct pg_fragments *f)
{
    uint64_t due = UINT64_MAX;
    for (uint32_t i = 0; f->held != 0 && i < DATAGRAMS; i++) {
        const struct datagram *d = &f->datagrams[i];
        due = d->buf != NULL && d->due_us < due ? d->due_us : due;
    }
    return due;
}

uint32_t pg_fragments_held(const struct pg_fragments *f)
{
    return f->held;
}

/* ---- cutting ---- */

static uint32_t cut_v4(const struct pg_packet *p, uint32_t from, uint32_t n, bool more,
                       uint8_t *out)
{
    memcpy(out, p->head, IP4_HEAD);
    memcpy(out + IP4_HEAD, p->head + IP4_HEAD + from, n);
    put16(out + 2, IP4_HEAD + n);
    if ((out[6] & DONT_FRAGMENT) != 0 && out[4] == 0 && out[5] == 0)
        put16(out + 4, (uint16_t)p->id); /* one of ours, made whole: RFC 6864 wants one now */
    put16(out + 6, (more ? 0x2000u : 0u) | from / 8);
    set_sum_v4(out);
    return IP4_HEAD + n;
}

static uint32_t cut_v6(const struct pg_packet *p, uint32_t from, uint32_t n, bool more,
                       uint8_t *out)
{
    uint32_t id = (uint32_t)p->id;
    const uint8_t fragment[FRAG_HEAD] = {p->head[6],           0,
                                         (uint8_t)(from >> 8), (uint8_t)(from | (more ? 1u : 0u)),
                                         (uint8_t)(id >> 24),  (uint8_t)(id >> 16),
                                         (uint8_t)(id >> 8),   (uint8_t)id};
    memcpy(out, p->head, IP6_HEAD);
    out[6] = IP6_FRAGMENT;
    put16(out + 4, FRAG_HEAD + n);
    memcpy(out + IP6_HEAD, fragment, FRAG_HEAD);
    memcpy(out + IP6_HEAD + FRAG_HEAD, p->head + IP6_HEAD + from, n);
    return IP6_HEAD + FRAG_HEAD + n;
}

uint32_t pg_fragments_split(const struct pg_packet *p, uint32_t *cursor, uint8_t *out,
                            uint32_t room)
{
    bool v4 = p->ip_version == 4;
    uint32_t head = v4 ? IP4_HEAD : IP6_HEAD;
    uint32_t total = p->len - head;
    uint32_t size = p->fragment_size < room ? p->fragment_size : room;
    uint32_t overhead = v4 ? IP4_HEAD : IP6_HEAD + FRAG_HEAD;
    uint32_t step = size > overhead + 8 ? (size - overhead) & ~7u : 8;
    uint32_t from = *cursor;
    if (from >= total) {
        return 0;
    }
    uint32_t n = total - from < step ? total - from : step;
    *cursor = from + n;
    return v4 ? cut_v4(p, from, n, from + n < total, out)
              : cut_v6(p, from, n, from + n < total, out);
}
