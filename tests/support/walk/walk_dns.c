/* DNS messages on the far side of the wire: what a packet to or from port 53 says, and an upstream server's answers.
 *
 *   when wire answers dns [ADDR] [ttl N] [rcode N] [from A:p] [wrong id|question|port] [cut 1]
 * answers the last question that the path sent to somebody on the wire, by what it came by. */
#include "podglass/dgram.h"
#include "podglass/link.h"
#include "walk.h"

#include "podglass/dns.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADER 12u

/* The question's name as text, and the offset behind its type and class; 0: it has none. */
static uint32_t read_question(const uint8_t *m, uint32_t len, char *out, uint32_t room)
{
    uint32_t at = HEADER;
    uint32_t used = 0;
    while (at < len && m[at] != 0 && used + m[at] + 2 < room && at + 1 + m[at] < len) {
        memcpy(out + used, m + at + 1, m[at]);
        used += m[at];
        out[used++] = '.';
        at += 1u + m[at];
    }
    out[used] = 0;
    return at + 5 <= len && m[at] == 0 ? at + 5 : 0;
}

void walk_dns_describe(const uint8_t *m, uint32_t len, char *out, size_t room)
{
    char name[256];
    char type[12];
    uint32_t at = len > HEADER ? read_question(m, len, name, sizeof name) : 0;
    if (at == 0) {
        snprintf(out, room, "no dns");
        return;
    }
    pg_dns_type_name((uint16_t)(m[at - 4] << 8 | m[at - 3]), type);
    if ((m[2] & 0x80) == 0) {
        snprintf(out, room, "dns asks %s %s", name, type);
        return;
    }
    int used = snprintf(out, room, "dns answers %s %s rcode=%u answers=%u", name, type, m[3] & 15u,
                        (unsigned)(m[6] << 8 | m[7]));
    /* the first answer, if it is an address whose owner is the question's */
    if (m[7] > 0 && at + 16 <= len && m[at] == 0xc0 && m[at + 3] == 1 && m[at + 11] == 4) {
        snprintf(out + used, room - (size_t)used, " ttl=%u %u.%u.%u.%u",
                 (unsigned)(m[at + 8] << 8 | m[at + 9]), m[at + 12], m[at + 13], m[at + 14],
                 m[at + 15]);
    }
}

static const char *word_after(const struct walk_line *l, const char *word)
{
    for (uint32_t i = 3; i + 1 < l->count; i++) {
        if (strcmp(l->tokens[i], word) == 0) {
            return l->tokens[i + 1];
        }
    }
    return NULL;
}

/* Question and answer records for an A question. */
static uint32_t write_answer(const uint8_t *query, uint32_t question_end, const struct pg_addr *a,
                             uint32_t ttl, uint32_t rcode, uint8_t *out)
{
    const uint8_t record[] = {0xc0,         HEADER, 0, 1, 0, 1, 0, 0, (uint8_t)(ttl >> 8),
                              (uint8_t)ttl, 0,      4};
    uint32_t len = question_end;
    memcpy(out, query, question_end);
    out[2] = 0x81;
    out[3] = (uint8_t)(0x80 | rcode);
    memset(out + 6, 0, 6);
    if (a != NULL) {
        out[7] = 1;
        memcpy(out + len, record, sizeof record);
        memcpy(out + len + sizeof record, a->bytes + 12, 4);
        len += (uint32_t)sizeof record + 4;
    }
    return len;
}

/* As the server's bytes behind those that carried the question. */
static uint32_t answer_over_tcp(const struct pg_packet *question, const struct pg_tuple *back,
                                uint8_t *answer, uint32_t len, uint8_t *out)
{
    struct walk_segment s = {.flags = "PA",
                             .seq = pg_packet_tcp_ack(question),
                             .ack = pg_packet_tcp_seq(question) + pg_packet_payload_len(question),
                             .window = 65535,
                             .payload = answer,
                             .len = 2 + len};
    answer[0] = (uint8_t)(len >> 8);
    answer[1] = (uint8_t)len;
    return walk_tcp_build(out, back, &s);
}

/* What is not as it should be, because the line says so. */
static void spoil(struct walk *w, const struct walk_line *l, uint8_t *answer, struct pg_tuple *back)
{
    const char *wrong = word_after(l, "wrong");
    const char *from = word_after(l, "from");
    if (wrong != NULL && strcmp(wrong, "id") == 0) {
        answer[1] ^= 1;
    } else if (wrong != NULL && strcmp(wrong, "question") == 0) {
        answer[HEADER + 1] ^= 0x20; /* another spelling */
    } else if (wrong != NULL && strcmp(wrong, "port") == 0) {
        back->dst_port ^= 1;
    }
    if (word_after(l, "cut") != NULL) {
        answer[2] |= 0x02;
    }
    if (from != NULL && !walk_endpoint(from, &back->src, &back->src_port)) {
        walk_fail(w, "from whom? '%s'", from);
    }
}

void walk_dns_answers(struct walk *w, const struct walk_line *l, const struct pg_packet *question)
{
    char name[256];
    uint8_t answer[2 + 1024];
    uint8_t packet[1200];
    bool tcp = question->proto == PG_PROTO_TCP;
    const uint8_t *query = question->head + question->payload_offset + (tcp ? 2 : 0);
    uint32_t len = pg_packet_payload_len(question) - (tcp ? 2 : 0);
    struct pg_tuple back = pg_tuple_invert(&question->tuple);
    struct pg_addr a;
    uint16_t port;
    uint32_t end = len > HEADER ? read_question(query, len, name, sizeof name) : 0;
    const char *ttl = word_after(l, "ttl");
    const char *rcode = word_after(l, "rcode");
    bool has_addr = l->count > 4 && walk_endpoint(l->tokens[4], &a, &port);
    if (end == 0 || end > sizeof answer - 34) {
        walk_fail(w, "the last packet on the wire is no question");
        return;
    }
    uint32_t answer_len = write_answer(
        query, end, has_addr ? &a : NULL, ttl != NULL ? (uint32_t)strtoul(ttl, NULL, 10) : 60,
        rcode != NULL ? (uint32_t)strtoul(rcode, NULL, 10) : 0, answer + 2);
    spoil(w, l, answer + 2, &back);
    walk_wire_inject(w, packet,
                     tcp ? answer_over_tcp(question, &back, answer, answer_len, packet)
                         : pg_dgram_build(&back, answer + 2, answer_len, packet, sizeof packet));
}

/* A peer on the wire opens a connection to the DNS address and asks. */
void walk_dns_asks_over_tcp(struct walk *w, const struct pg_addr *from, const uint8_t *query,
                            uint32_t len)
{
    uint8_t bytes[514] = {(uint8_t)(len >> 8), (uint8_t)len};
    uint8_t packet[1200];
    struct pg_packet p;
    struct pg_tuple t = {.src = *from,
                         .dst = w->snapshot->lab.dns[pg_addr_is_v4(from) ? 0 : 1],
                         .src_port = 5300,
                         .dst_port = 53,
                         .proto = PG_PROTO_TCP};
    struct walk_segment s = {.flags = "S", .seq = 100, .window = 65535, .payload = bytes};
    walk_wire_inject(w, packet, walk_tcp_build(packet, &t, &s));
    walk_collect(w);
    if (!walk_wire_last(w, &p) || p.proto != PG_PROTO_TCP || p.tuple.src_port != 53) {
        walk_fail(w, "the DNS address does not answer over TCP");
        return;
    }
    memcpy(bytes + 2, query, len);
    s = (struct walk_segment){.flags = "PA",
                              .seq = 101,
                              .ack = pg_packet_tcp_seq(&p) + 1,
                              .window = 65535,
                              .payload = bytes,
                              .len = 2 + len};
    walk_wire_inject(w, packet, walk_tcp_build(packet, &t, &s));
}
