/* One change each to a packet of packet_maker.h: mostly a fault, named for what it does. */
#ifndef PODGLASS_TEST_PACKET_FAULTS_H
#define PODGLASS_TEST_PACKET_FAULTS_H

#include "packet_maker.h"

static inline void version_5(struct made *m)
{
    m->bytes[0] = 0x55;
}
static inline void header_length_4(struct made *m)
{
    m->bytes[0] = 0x44;
}
static inline void total_below_header(struct made *m)
{
    put16(m->bytes + 2, 19);
    fix_ip_sum(m);
}
static inline void total_above_bytes(struct made *m)
{
    put16(m->bytes + 2, m->len + 1);
    fix_ip_sum(m);
}
static inline void payload_above_bytes(struct made *m)
{
    put16(m->bytes + 4, m->len - 39);
}
static inline void header_sum_wrong(struct made *m)
{
    m->bytes[11] ^= 1;
}
static inline void header_sum_wrong_and_partial(struct made *m)
{
    m->bytes[11] ^= 1;
    m->csum = PG_CSUM_PARTIAL;
}
static inline void options(struct made *m)
{
    memmove(m->bytes + 24, m->bytes + 20, m->len - 20);
    memset(m->bytes + 20, 1, 4); /* four no-operations */
    m->bytes[0] = 0x46;
    m->len += 4;
    put16(m->bytes + 2, m->len);
    fix_ip_sum(m);
}
static inline void more_fragments(struct made *m)
{
    put16(m->bytes + 6, 0x2000);
    fix_ip_sum(m);
}
static inline void fragment_offset(struct made *m)
{
    put16(m->bytes + 6, 1);
    fix_ip_sum(m);
}
static inline void fragment_header(struct made *m)
{
    insert_ext(m, 44, 8);
}
static inline void routing_header(struct made *m)
{
    insert_ext(m, 43, 24);
}
static inline void routing_behind_options(struct made *m)
{
    insert_ext(m, 43, 24);
    insert_ext(m, 60, 8);
}
static inline void hop_by_hop_in_second_place(struct made *m)
{
    insert_ext(m, 0, 8);
    insert_ext(m, 60, 8);
}
static inline void too_many_extensions(struct made *m)
{
    for (int i = 0; i < 5; i++)
        insert_ext(m, 60, 8);
}
static inline void extension_leans_out(struct made *m)
{
    insert_ext(m, 60, 8);
    m->bytes[41] = 200;
}
static inline void jumbogram(struct made *m)
{
    put16(m->bytes + 4, 0);
}
static inline void sctp(struct made *m)
{
    m->bytes[9] = PG_PROTO_SCTP;
    fix_ip_sum(m);
}
static inline void esp(struct made *m)
{
    m->bytes[9] = 50;
    fix_ip_sum(m);
}
static inline void esp_of_no_byte(struct made *m)
{
    esp(m);
    m->bytes[2] = 0;
    m->bytes[3] = 20;
    fix_ip_sum(m);
}
static inline void esp_and_partial(struct made *m)
{
    esp(m);
    m->csum = PG_CSUM_PARTIAL;
}
static inline void esp_v6(struct made *m)
{
    m->bytes[6] = 50;
}
static inline void authentication_header(struct made *m)
{
    m->bytes[9] = 51;
    fix_ip_sum(m);
}
static inline void udp_lite(struct made *m)
{
    m->bytes[9] = 136;
    fix_ip_sum(m);
}
static inline void gre(struct made *m)
{
    m->bytes[9] = PG_PROTO_GRE;
    m->bytes[21] = 0;
    fix_ip_sum(m);
}
static inline void gre_of_pptp(struct made *m)
{
    gre(m);
    m->bytes[21] = 1;
}
static inline void gre_too_short(struct made *m)
{
    gre(m);
    m->bytes[2] = 0;
    m->bytes[3] = 23;
    fix_ip_sum(m);
}
static inline void icmp_of_the_other_family_v4(struct made *m)
{
    m->bytes[9] = PG_PROTO_ICMP6;
    fix_ip_sum(m);
}
static inline void icmp_of_the_other_family_v6(struct made *m)
{
    m->bytes[6] = PG_PROTO_ICMP;
}
static inline void no_next_header(struct made *m)
{
    m->bytes[6] = 59;
}
static inline void mapped_source(struct made *m)
{
    static const uint8_t mapped[16] = {[10] = 0xff, [11] = 0xff, 10, 0, 0, 1};
    memcpy(m->bytes + 8, mapped, 16);
    fix_l4_sum(m, PG_PROTO_TCP);
}
static inline void data_offset_4(struct made *m)
{
    m->bytes[m->l4 + 12] = 0x40;
    fix_l4_sum(m, PG_PROTO_TCP);
}
static inline void data_offset_behind_the_end(struct made *m)
{
    m->bytes[m->l4 + 12] = 0x80; /* 32 of 31 bytes */
    fix_l4_sum(m, PG_PROTO_TCP);
}
static inline void udp_length_7(struct made *m)
{
    put16(m->bytes + m->l4 + 4, 7);
    fix_l4_sum(m, PG_PROTO_UDP);
}
static inline void udp_length_one_more(struct made *m)
{
    put16(m->bytes + m->l4 + 4, 20);
    fix_l4_sum(m, PG_PROTO_UDP);
}
static inline void udp_length_one_less(struct made *m)
{
    put16(m->bytes + m->l4 + 4, 18);
    fix_l4_sum(m, PG_PROTO_UDP);
}
static inline void last_byte_flipped(struct made *m)
{
    m->bytes[m->len - 1] ^= 0x10;
}
static inline void udp_without_sum(struct made *m)
{
    put16(m->bytes + m->l4 + 6, 0);
}
static inline void icmp6_sum_without_pseudo_header(struct made *m)
{
    put16(m->bytes + m->l4 + 2, 0);
    uint64_t sum = pg_sum_add(0, m->bytes + m->l4, m->len - m->l4);
    uint16_t full = (uint16_t)~pg_sum_fold(sum);
    memcpy(m->bytes + m->l4 + 2, &full, 2);
}
static inline void any_sum_but_partial(struct made *m)
{
    m->bytes[m->len - 1] ^= 0x10;
    m->csum = PG_CSUM_PARTIAL;
}
static inline void super_segment(struct made *m)
{
    m->csum = PG_CSUM_PARTIAL;
    m->gso_size = 5;
}
static inline void super_segment_without_payload(struct made *m)
{
    super_segment(m);
    m->len -= 11;
    put16(m->bytes + 2, m->len);
    fix_ip_sum(m);
}
static inline void super_segment_data_offset_4(struct made *m)
{
    super_segment(m);
    data_offset_4(m);
}
static inline void super_segment_sctp(struct made *m)
{
    super_segment(m);
    sctp(m);
}
static inline void padded(struct made *m)
{
    memset(m->bytes + m->len, 0xee, 6);
    m->len += 6;
}
static inline void options_of_hosts(struct made *m)
{
    insert_ext(m, 60, 8);
    insert_ext(m, 60, 256);
    insert_ext(m, 0, 8);
}
static inline void do_not_fragment_and_reserved_bit(struct made *m)
{
    put16(m->bytes + 6, 0xc000);
    fix_ip_sum(m);
}

#endif
