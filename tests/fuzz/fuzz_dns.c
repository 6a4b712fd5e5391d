/* Fuzz target of dns/: a query of a stranger, answered by the zone of a small cluster.
 *
 * Byte 0 chooses TCP or UDP and the room, byte 1 the draw; the rest is the message. Whatever comes,
 * the answer must be within its room, well formed down to its last byte, and carry the id and the
 * question back as they came. The target aborts otherwise. */
#include "../unit/dns/dns_fixture.h"

static struct dns_fixture shop;

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void require(bool what)
{
    if (!what) {
        abort();
    }
}

static void check_response(const uint8_t *query, const uint8_t *out, uint32_t n)
{
    struct pg_text text = {0};

    require(n >= PG_DNS_HEADER && out[0] == query[0] && out[1] == query[1]);
    if (dns_get16(out + 4)) {
        uint8_t name[PG_DNS_NAME_MAX];
        uint32_t name_len;
        uint32_t end = pg_dns_name_read(out, n, PG_DNS_HEADER, name, &name_len) + 4;

        require(memcmp(query + PG_DNS_HEADER, out + PG_DNS_HEADER, end - PG_DNS_HEADER) == 0);
    }
    dns_print_response(&text, out, n); /* aborts if it is malformed */
    pg_text_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static uint8_t *out;
    static const uint32_t rooms[] = {512, 513, 1232, 65535};
    struct pg_dns_answer about = {0};

    if (!shop.zone) {
        shop = dns_fixture_shop();
    }
    if (len < 2 || len > 65535 + 2) {
        return 0;
    }
    bool over_tcp = bytes[0] & 1;
    uint32_t room = rooms[bytes[0] >> 1 & 3];

    out = malloc(room); /* exactly, for the address sanitizer */
    require(out != NULL);
    uint32_t n = pg_dns_answer(shop.zone, bytes + 2, (uint32_t)len - 2, over_tcp, bytes[1], out,
                               room, &about);

    require(n <= room);
    if (n) {
        check_response(bytes + 2, out, n);
        require(strlen(about.name) < sizeof(about.name));
        require(about.status < PG_DNS_STATUS_COUNT);
        require(about.answers == dns_get16(out + 6));
    }
    free(out);
    return 0;
}
