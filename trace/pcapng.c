/* Writes pcapng (draft-ietf-opsawg-pcapng): section header, interfaces, enhanced packets with comments, names.
 *
 * libpcap can neither write this nor comments, so it is done here. The link type is Ethernet on all interfaces because libpcap reads a file of several
 * interfaces only if they agree, and bare IP of two interfaces not at all; the made-up MAC addresses say at which point a packet was seen. Everything is written
 * in the host's byte order, which the section header tells, and padded to four bytes.
 *
 * Pure but for the text that grows. Called by app/capture.c. */
#include "podglass/pcapng.h"

#include <string.h>

enum {
    BLOCK_INTERFACE = 1,
    BLOCK_NAMES = 4,
    BLOCK_PACKET = 6,
    BLOCK_SECTION = 0x0a0d0d0a,
};
enum {
    OPTION_END = 0,
    OPTION_COMMENT = 1,
    SECTION_APPLICATION = 4,
    INTERFACE_NAME = 2,
    INTERFACE_DESCRIPTION = 3,
    INTERFACE_RESOLUTION = 9,
    PACKET_FLAGS = 2,
    PACKET_DROPPED = 4,
    PACKET_ID = 5,
    NAME_V4 = 1,
    NAME_V6 = 2,
};
#define BYTE_ORDER_MAGIC  0x1a2b3c4du
#define LINKTYPE_ETHERNET 1
#define SNAPLEN           262144u /* the same on all interfaces, or libpcap complains */
#define NANOSECONDS       9
#define ETHERNET_BYTES    14u
#define FLAG_INBOUND      1u
#define FLAG_OUTBOUND     2u
#define OPTION_MOST       65535u

static const struct {
    const char *name;
    const char *description;
} points[] = {
    [PG_POINT_CLIENT] = {"client", "as the client sends and sees it"},
    [PG_POINT_FRONT] = {"front", "as the ingress sees it, behind the first NAT"},
    [PG_POINT_SERVICE] = {"service", "as it is sent to a service address"},
    [PG_POINT_POD] = {"pod", "as the pod sees it"},
};
_Static_assert(sizeof points / sizeof points[0] == PG_POINT_COUNT, "a name per point");

const char *pg_point_name(enum pg_point p)
{
    return (unsigned)p < PG_POINT_COUNT ? points[p].name : "unknown";
}

/* ---- pieces ---- */

static void put(struct pg_text *out, const void *bytes, size_t len)
{
    pg_text_add(out, bytes, len);
}

static void put16(struct pg_text *out, uint16_t n)
{
    put(out, &n, sizeof n);
}

static void put32(struct pg_text *out, uint32_t n)
{
    put(out, &n, sizeof n);
}

static void pad(struct pg_text *out, size_t len)
{
    static const char zero[4] = {0};
    put(out, zero, (4 - len % 4) % 4);
}

static size_t begin_block(struct pg_text *out, uint32_t type)
{
    size_t start = out->len;
    put32(out, type);
    put32(out, 0); /* its length, known at the end */
    return start;
}

static void end_block(struct pg_text *out, size_t start)
{
    uint32_t len = (uint32_t)(out->len - start) + 4;
    memcpy(out->at + start + 4, &len, sizeof len);
    put32(out, len);
}

static void option(struct pg_text *out, uint16_t code, const void *bytes, size_t len)
{
    if (len > OPTION_MOST) {
        len = OPTION_MOST;
    }
    put16(out, code);
    put16(out, (uint16_t)len);
    put(out, bytes, len);
    pad(out, len);
}

static void text_option(struct pg_text *out, uint16_t code, const char *text)
{
    option(out, code, text, strlen(text));
}

/* ---- blocks ---- */

static void section(struct pg_text *out)
{
    static const int64_t unknown_length = -1;
    size_t start = begin_block(out, BLOCK_SECTION);
    put32(out, BYTE_ORDER_MAGIC);
    put16(out, 1);
    put16(out, 0);
    put(out, &unknown_length, sizeof unknown_length);
    text_option(out, SECTION_APPLICATION, "podglass " PODGLASS_VERSION);
    put32(out, OPTION_END);
    end_block(out, start);
}

static void interface(struct pg_text *out, enum pg_point p)
{
    static const uint8_t resolution = NANOSECONDS;
    size_t start = begin_block(out, BLOCK_INTERFACE);
    put16(out, LINKTYPE_ETHERNET);
    put16(out, 0);
    put32(out, SNAPLEN);
    text_option(out, INTERFACE_NAME, points[p].name);
    text_option(out, INTERFACE_DESCRIPTION, points[p].description);
    option(out, INTERFACE_RESOLUTION, &resolution, sizeof resolution);
    put32(out, OPTION_END);
    end_block(out, start);
}

void pg_pcapng_begin(struct pg_text *out)
{
    section(out);
    for (unsigned p = 0; p < PG_POINT_COUNT; p++) {
        interface(out, (enum pg_point)p);
    }
}

/* 02 is "locally administered"; 70 67 is "pg". */
static void ethernet(const struct pg_pcapng_packet *p, uint8_t out[ETHERNET_BYTES])
{
    bool v6 = p->len > 0 && (*(const uint8_t *)p->bytes >> 4) == 6;
    const uint8_t mac[6] = {0x02, 0x70, 0x67, 0, (uint8_t)p->point, 0};
    memcpy(out, mac, 6);
    memcpy(out + 6, mac, 6);
    out[5] = p->outbound ? 1 : 2;
    out[11] = p->outbound ? 2 : 1;
    out[12] = v6 ? 0x86 : 0x08;
    out[13] = v6 ? 0xdd : 0x00;
}

void pg_pcapng_packet(const struct pg_pcapng_packet *p, uint32_t snaplen, struct pg_text *out)
{
    uint8_t head[ETHERNET_BYTES];
    uint32_t flags = p->outbound ? FLAG_OUTBOUND : FLAG_INBOUND;
    uint32_t most = snaplen < SNAPLEN ? snaplen : SNAPLEN;
    uint32_t captured = p->len + ETHERNET_BYTES < most ? p->len + ETHERNET_BYTES : most;
    uint32_t head_len = captured < ETHERNET_BYTES ? captured : ETHERNET_BYTES;
    size_t start = begin_block(out, BLOCK_PACKET);
    ethernet(p, head);
    put32(out, p->point);
    put32(out, (uint32_t)(p->time_ns >> 32));
    put32(out, (uint32_t)p->time_ns);
    put32(out, captured);
    put32(out, p->wire_len + ETHERNET_BYTES);
    put(out, head, head_len);
    put(out, p->bytes, captured - head_len);
    pad(out, captured);
    for (int i = 0; i < PG_PCAPNG_COMMENTS && p->comments[i] != NULL; i++) {
        text_option(out, OPTION_COMMENT, p->comments[i]);
    }
    option(out, PACKET_FLAGS, &flags, sizeof flags);
    if (p->dropped != 0) {
        option(out, PACKET_DROPPED, &p->dropped, sizeof p->dropped);
    }
    option(out, PACKET_ID, &p->id, sizeof p->id);
    put32(out, OPTION_END);
    end_block(out, start);
}

/* ---- names ---- */

void pg_pcapng_names_begin(struct pg_pcapng_names *n, struct pg_text *out)
{
    n->out = out;
    n->start = begin_block(out, BLOCK_NAMES);
}

void pg_pcapng_name(struct pg_pcapng_names *n, const struct pg_addr *a, const char *name)
{
    bool v4 = pg_addr_is_v4(a);
    uint32_t be = v4 ? pg_addr_v4_be(a) : 0;
    size_t addr_len = v4 ? 4 : 16;
    size_t name_len = strlen(name) + 1;
    if (pg_addr_is_none(a) || name_len == 1 || name_len > 1024) {
        return;
    }
    put16(n->out, v4 ? NAME_V4 : NAME_V6);
    put16(n->out, (uint16_t)(addr_len + name_len));
    put(n->out, v4 ? (const void *)&be : (const void *)a->bytes, addr_len);
    put(n->out, name, name_len);
    pad(n->out, addr_len + name_len);
}

void pg_pcapng_names_end(struct pg_pcapng_names *n)
{
    put32(n->out, OPTION_END); /* end of records; no options */
    end_block(n->out, n->start);
}
