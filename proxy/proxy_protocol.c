/* The PROXY preface as bytes: read and written, versions 1 and 2.
 *
 * Called by `preface.c` for connections that must begin with one, by `request.c` for those that we begin, by the built-in pods and by the tools.
 * Bytes come from whoever may connect, so nothing is believed about lengths. What the reference peers let pass and the text does not (a
 * wrong checksum, extensions that overrun, leading zeros, a family that does not fit) is refused.
 *
 * Pure. Always true: nothing behind bytes[len] is looked at, and the answer for a prefix of a good preface is "more". */
#include "podglass/preface_decide.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const uint8_t signature[12] = "\r\n\r\n\0\r\nQUIT\n";

#define HEAD_LEN      16 /* signature, version and command, family, length */
#define TLV_ALPN      0x01
#define TLV_AUTHORITY 0x02
#define TLV_CRC32C    0x03
#define TLV_UNIQUE_ID 0x05
#define TLV_SSL       0x20
#define TLV_NETNS     0x30
#define ID_MAX        128
#define SSL_CLIENT    0x01
#define HEX_SHOWN     16

static const struct {
    const char *name, *text;
} errors[] = {
#define PG_PREFACE_ERROR(id, name, text) [PG_PREFACE_ERROR_##id] = {(name), (text)},
#include "podglass/preface_errors.def"
#undef PG_PREFACE_ERROR
};

const char *pg_preface_error_name(enum pg_preface_error e)
{
    return errors[e].name;
}

const char *pg_preface_error_text(enum pg_preface_error e)
{
    return errors[e].text;
}

static int bad(enum pg_preface_error *ret_error, enum pg_preface_error error)
{
    *ret_error = error;
    return -EBADMSG;
}

/* ---- version 1 ---- */

/* Takes a word and the one blank behind it. false: there is none. */
static bool take_word(struct pg_slice *rest, struct pg_slice *ret)
{
    const char *blank = memchr(rest->at, ' ', rest->len);
    size_t len = blank ? (size_t)(blank - rest->at) : rest->len;
    *ret = (struct pg_slice){rest->at, len};
    rest->at += len + (blank != NULL);
    rest->len -= len + (blank != NULL);
    return len > 0;
}

static bool read_port(struct pg_slice s, uint16_t *ret)
{
    unsigned n = 0;
    if (s.len == 0 || s.len > 5 || (s.len > 1 && s.at[0] == '0'))
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.at[i] < '0' || s.at[i] > '9')
            return false;
        n = n * 10 + (unsigned)(s.at[i] - '0');
    }
    *ret = (uint16_t)n;
    return n <= 65535;
}

static bool read_address(struct pg_slice s, bool v4, struct pg_addr *ret)
{
    bool colon = memchr(s.at, ':', s.len) != NULL;
    return colon != v4 && pg_addr_parse(s.at, s.len, ret) == 0;
}

static int read_v1_line(struct pg_slice line, struct pg_preface *ret,
                        enum pg_preface_error *ret_error)
{
    struct pg_slice rest = {line.at + 6, line.len - 6};
    struct pg_slice family, src, dst, src_port, dst_port;
    if (!take_word(&rest, &family))
        return bad(ret_error, PG_PREFACE_ERROR_BAD_LINE);
    if (pg_slice_is(family, "UNKNOWN")) {
        ret->is_real = true; /* whatever follows is to be ignored */
        return 0;
    }
    bool v4 = pg_slice_is(family, "TCP4");
    if (!v4 && !pg_slice_is(family, "TCP6"))
        return bad(ret_error, PG_PREFACE_ERROR_BAD_FAMILY);
    bool blank_last = line.at[line.len - 1] == ' ';
    if (blank_last || !take_word(&rest, &src) || !take_word(&rest, &dst) ||
        !take_word(&rest, &src_port) || !take_word(&rest, &dst_port) || rest.len > 0)
        return bad(ret_error, PG_PREFACE_ERROR_BAD_LINE);
    if (!read_address(src, v4, &ret->src) || !read_address(dst, v4, &ret->dst))
        return bad(ret_error, PG_PREFACE_ERROR_BAD_ADDRESS);
    if (!read_port(src_port, &ret->src_port) || !read_port(dst_port, &ret->dst_port))
        return bad(ret_error, PG_PREFACE_ERROR_BAD_PORT);
    return 0;
}

static int read_v1(const char *bytes, uint32_t len, struct pg_preface *ret,
                   enum pg_preface_error *ret_error)
{
    uint32_t most = len < PG_PREFACE_V1_MAX ? len : PG_PREFACE_V1_MAX;
    const char *cr = memchr(bytes, '\r', most);
    const char *lf = memchr(bytes, '\n', most);
    if (lf && (!cr || lf != cr + 1))
        return bad(ret_error, PG_PREFACE_ERROR_BAD_LINE);
    if (cr && !lf && cr + 1 < bytes + most)
        return bad(ret_error, PG_PREFACE_ERROR_BAD_LINE);
    if (!lf && len >= PG_PREFACE_V1_MAX)
        return bad(ret_error, PG_PREFACE_ERROR_TOO_LONG);
    if (!lf)
        return -EAGAIN;
    ret->version = 1;
    int err = read_v1_line((struct pg_slice){bytes, (size_t)(cr - bytes)}, ret, ret_error);
    return err ? err : (int)(lf + 1 - bytes);
}

/* ---- version 2 ---- */

static unsigned be16(const uint8_t *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

/* Castagnoli's polynomial, four bits at a time: this is done once a connection. The four bytes at `hole` count as zeros. */
static uint32_t crc32c(const uint8_t *bytes, uint32_t len, uint32_t hole)
{
    static const uint32_t table[16] = {0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1,
                                       0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
                                       0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
                                       0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};
    uint32_t crc = UINT32_MAX;
    for (uint32_t i = 0; i < len; i++) {
        crc ^= i - hole < 4 ? 0 : bytes[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

/* The next extension at `at`, of those that end at `end`: offset behind it; 0: it does not fit. */
static uint32_t tlv_end(const uint8_t *bytes, uint32_t at, uint32_t end)
{
    uint32_t left = end - at;
    return left < 3 || be16(bytes + at + 1) > left - 3 ? 0 : at + 3 + be16(bytes + at + 1);
}

/* client, verify, and extensions of its own up to the very end. */
static bool read_ssl(const uint8_t *at, uint32_t len, struct pg_preface *ret)
{
    if (len < 5)
        return false;
    ret->tls = (at[0] & SSL_CLIENT) != 0;
    uint32_t i = 5;
    while (i > 0 && i < len)
        i = tlv_end(at, i, len);
    return i > 0;
}

static int read_tlvs(const uint8_t *bytes, uint32_t at, uint32_t end, struct pg_preface *ret,
                     enum pg_preface_error *ret_error)
{
    bool checked = false;
    ret->tlvs = (struct pg_slice){(const char *)bytes + at, end - at};
    while (at < end) {
        uint32_t next = tlv_end(bytes, at, end);
        if (next == 0)
            return bad(ret_error, PG_PREFACE_ERROR_BAD_TLV);
        uint8_t type = bytes[at];
        const uint8_t *value = bytes + at + 3;
        uint32_t len = next - at - 3;
        if ((type == TLV_CRC32C && (len != 4 || checked)) ||
            (type == TLV_UNIQUE_ID && len > ID_MAX) ||
            (type == TLV_SSL && !read_ssl(value, len, ret)))
            return bad(ret_error, PG_PREFACE_ERROR_BAD_TLV);
        if (type == TLV_CRC32C) {
            uint32_t said = be16(value) << 16 | be16(value + 2);
            if (said != crc32c(bytes, end, at + 3))
                return bad(ret_error, PG_PREFACE_ERROR_BAD_CRC);
            checked = true;
        }
        at = next;
    }
    return 0;
}

/* How long the addresses of a family are; 0 for UNSPEC. false: there is no such family. */
static bool address_len(uint8_t family, uint32_t *ret)
{
    switch (family) {
    case 0x00: *ret = 0; return true;
    case 0x11:
    case 0x12: *ret = 12; return true;
    case 0x21:
    case 0x22: *ret = 36; return true;
    case 0x31:
    case 0x32: *ret = 216; return true;
    default: return false;
    }
}

static void read_addresses(const uint8_t *at, uint8_t family, struct pg_preface *ret)
{
    uint32_t be;
    ret->dgram = (family & 15) == 2;
    if (family >> 4 == 1) {
        memcpy(&be, at, 4);
        ret->src = pg_addr_from_v4_be(be);
        memcpy(&be, at + 4, 4);
        ret->dst = pg_addr_from_v4_be(be);
        at += 8;
    } else if (family >> 4 == 2) {
        ret->src = pg_addr_from_v6(at);
        ret->dst = pg_addr_from_v6(at + 16);
        at += 32;
    } else {
        ret->is_real = true; /* a socket of that host, which has no address here */
        return;
    }
    ret->src_port = (uint16_t)be16(at);
    ret->dst_port = (uint16_t)be16(at + 2);
}

static int read_v2(const uint8_t *bytes, uint32_t len, struct pg_preface *ret,
                   enum pg_preface_error *ret_error)
{
    uint32_t needed = 0;
    if (len > 12 && bytes[12] >> 4 != 2)
        return bad(ret_error, PG_PREFACE_ERROR_BAD_VERSION);
    if (len > 12 && (bytes[12] & 15) > 1)
        return bad(ret_error, PG_PREFACE_ERROR_BAD_COMMAND);
    if (len > 13 && (bytes[12] & 15) == 1 && !address_len(bytes[13], &needed))
        return bad(ret_error, PG_PREFACE_ERROR_BAD_FAMILY);
    if (len < HEAD_LEN)
        return -EAGAIN;
    uint32_t end = HEAD_LEN + be16(bytes + 14);
    if (end - HEAD_LEN < needed)
        return bad(ret_error, PG_PREFACE_ERROR_BAD_LENGTH);
    if (len < end)
        return -EAGAIN;
    ret->version = 2;
    ret->is_real = (bytes[12] & 15) == 0 || bytes[13] == 0;
    if (ret->is_real)
        return (int)end; /* what it carries is to be skipped */
    read_addresses(bytes + HEAD_LEN, bytes[13], ret);
    int err = read_tlvs(bytes, HEAD_LEN + needed, end, ret, ret_error);
    return err ? err : (int)end;
}

int pg_proxyproto_read(const uint8_t *bytes, uint32_t len, struct pg_preface *ret,
                       enum pg_preface_error *ret_error)
{
    static const char begin[6] = "PROXY ";
    *ret = (struct pg_preface){0};
    *ret_error = PG_PREFACE_ERROR_NONE;
    if (len == 0)
        return -EAGAIN;
    if (memcmp(bytes, begin, len < sizeof(begin) ? len : sizeof(begin)) == 0)
        return len < sizeof(begin) ? -EAGAIN : read_v1((const char *)bytes, len, ret, ret_error);
    if (memcmp(bytes, signature, len < sizeof(signature) ? len : sizeof(signature)) == 0)
        return len < sizeof(signature) ? -EAGAIN : read_v2(bytes, len, ret, ret_error);
    return bad(ret_error, PG_PREFACE_ERROR_NO_PREFACE);
}

/* ---- as text ---- */

static void print_value(struct pg_slice value, bool is_text, struct pg_text *out)
{
    if (is_text) {
        pg_text_add_escaped(out, value.at, value.len);
        return;
    }
    for (size_t i = 0; i < value.len && i < HEX_SHOWN; i++)
        pg_text_printf(out, "%02x", (uint8_t)value.at[i]);
    pg_text_puts(out, value.len > HEX_SHOWN ? "..." : "");
}

/* Extensions of TLS have numbers that stand between the others, so one table holds both. */
static void print_tlv(uint8_t type, struct pg_slice value, bool inner, struct pg_text *out)
{
    static const struct {
        const char *name;
        bool is_text;
    } known[] = {[TLV_ALPN] = {"alpn", true},
                 [TLV_AUTHORITY] = {"authority", true},
                 [4] = {"noop", false},
                 [TLV_UNIQUE_ID] = {"unique-id", false},
                 [0x21] = {"tls-version", true},
                 [0x22] = {"tls-cn", true},
                 [0x23] = {"tls-cipher", true},
                 [0x24] = {"tls-sig-alg", true},
                 [0x25] = {"tls-key-alg", true},
                 [0x26] = {"tls-group", true},
                 [0x27] = {"tls-sig-scheme", true},
                 [0x28] = {"tls-certificate", false},
                 [TLV_NETNS] = {"netns", true}};
    bool named = type < sizeof(known) / sizeof(known[0]) && known[type].name;
    if (type == TLV_CRC32C && !inner) {
        pg_text_puts(out, " crc32c=good");
        return;
    }
    if (named)
        pg_text_printf(out, " %s=", known[type].name);
    else
        pg_text_printf(out, " 0x%02x=", type);
    print_value(value, named && known[type].is_text, out);
}

/* inner: of the extension TLS, of which only the frame was read. One of its kind in there has no meaning, and is bytes like any other. */
static void print_tlvs(struct pg_slice tlvs, bool inner, struct pg_text *out)
{
    const uint8_t *bytes = (const uint8_t *)tlvs.at;
    for (uint32_t at = 0; at < tlvs.len;) {
        uint32_t next = tlv_end(bytes, at, (uint32_t)tlvs.len);
        struct pg_slice value = {tlvs.at + at + 3, next - at - 3};
        if (bytes[at] == TLV_SSL && !inner) {
            pg_text_printf(out, " tls=%s", (value.at[0] & SSL_CLIENT) ? "yes" : "no");
            print_tlvs((struct pg_slice){value.at + 5, value.len - 5}, true, out);
        } else {
            print_tlv(bytes[at], value, inner, out);
        }
        at = next;
    }
}

void pg_preface_print(const struct pg_preface *p, struct pg_text *out)
{
    char src[PG_ENDPOINT_TEXT], dst[PG_ENDPOINT_TEXT];
    pg_text_printf(out, "v%u", p->version);
    if (p->is_real) {
        pg_text_puts(out, p->version == 1 ? " UNKNOWN" : " LOCAL");
        return;
    }
    pg_text_printf(out, " %s%c %s > %s", p->dgram ? "UDP" : "TCP",
                   pg_addr_is_v4(&p->src) && pg_addr_is_v4(&p->dst) ? '4' : '6',
                   pg_endpoint_print(&p->src, p->src_port, src),
                   pg_endpoint_print(&p->dst, p->dst_port, dst));
    print_tlvs(p->tlvs, false, out);
}

/* ---- written ---- */

static uint32_t write_v1(const struct pg_preface_out *p, bool v4, uint8_t *out)
{
    char src[PG_ADDR_TEXT + 8], dst[PG_ADDR_TEXT + 8];
    const char *mapped = "::ffff:";
    /* an IPv4 address beside an IPv6 one is written as IPv6 */
    (void)snprintf(src, sizeof(src), "%s", !v4 && pg_addr_is_v4(&p->src) ? mapped : "");
    (void)snprintf(dst, sizeof(dst), "%s", !v4 && pg_addr_is_v4(&p->dst) ? mapped : "");
    (void)pg_addr_print(&p->src, src + strlen(src));
    (void)pg_addr_print(&p->dst, dst + strlen(dst));
    int len = snprintf((char *)out, PG_PREFACE_OUT_MAX, "PROXY TCP%c %s %s %u %u\r\n",
                       v4 ? '4' : '6', src, dst, p->src_port, p->dst_port);
    return (uint32_t)len;
}

static uint32_t put_bytes(uint8_t *out, uint32_t at, const void *bytes, uint32_t len)
{
    memcpy(out + at, bytes, len);
    return at + len;
}

static uint32_t put_be16(uint8_t *out, uint32_t at, unsigned n)
{
    out[at] = (uint8_t)(n >> 8);
    out[at + 1] = (uint8_t)n;
    return at + 2;
}

static uint32_t write_v2(const struct pg_preface_out *p, bool v4, uint8_t *out)
{
    uint32_t at = put_bytes(out, 0, signature, sizeof(signature));
    uint32_t skip = v4 ? 12 : 0; /* the IPv4 address stands at the end of the mapped form */
    uint32_t id_len = p->id.len < ID_MAX ? (uint32_t)p->id.len : ID_MAX;
    out[at++] = 0x21;
    out[at++] = v4 ? 0x11 : 0x21;
    at += 2;
    at = put_bytes(out, at, p->src.bytes + skip, 16 - skip);
    at = put_bytes(out, at, p->dst.bytes + skip, 16 - skip);
    at = put_be16(out, at, p->src_port);
    at = put_be16(out, at, p->dst_port);
    if (id_len > 0) {
        out[at++] = TLV_UNIQUE_ID;
        at = put_be16(out, at, id_len);
        at = put_bytes(out, at, p->id.at, id_len);
    }
    uint32_t hole = at + 3;
    if (p->crc) {
        out[at++] = TLV_CRC32C;
        at = put_be16(out, at, 4) + 4;
    }
    (void)put_be16(out, 14, at - HEAD_LEN);
    if (p->crc) {
        uint32_t crc = crc32c(out, at, hole);
        (void)put_be16(out, hole, crc >> 16);
        (void)put_be16(out, hole + 2, crc & 0xffff);
    }
    return at;
}

uint32_t pg_preface_write(const struct pg_preface_out *p, uint8_t out[PG_PREFACE_OUT_MAX])
{
    bool v4 = pg_addr_is_v4(&p->src) && pg_addr_is_v4(&p->dst);
    return p->version == 1 ? write_v1(p, v4, out) : write_v2(p, v4, out);
}
