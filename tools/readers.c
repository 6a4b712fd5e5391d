/* How applications find their client, by name: peer, xff-left, xff-right=N, xff-trusted=CIDR,..., x-real-ip, forwarded, proxy.
 *
 * The readers themselves are trace/verdict.c's; here are only their words. */
#include "explain_internal.h"

#include <stdlib.h>
#include <string.h>

static bool read_ranges(const char *text, struct pg_reader *ret)
{
    while (*text) {
        size_t len = strcspn(text, ",");
        if (ret->trusted_count == PG_READER_RANGES ||
            pg_prefix_parse(text, len, &ret->trusted[ret->trusted_count++]) != 0) {
            return false;
        }
        text += len + (text[len] == ',');
    }
    return ret->trusted_count > 0;
}

bool pg_reader_parse(const char *text, struct pg_reader *ret)
{
    static const struct {
        const char *name;
        enum pg_reader_kind kind;
    } plain[] = {{"peer", PG_READER_PEER},
                 {"xff-left", PG_READER_XFF_LEFT},
                 {"x-real-ip", PG_READER_X_REAL_IP},
                 {"forwarded", PG_READER_FORWARDED},
                 {"proxy", PG_READER_PROXY}};

    *ret = (struct pg_reader){.text = text};
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
        if (strcmp(text, plain[i].name) == 0) {
            ret->kind = plain[i].kind;
            return true;
        }
    }
    if (strncmp(text, "xff-right=", 10) == 0) {
        char *end;
        unsigned long n = strtoul(text + 10, &end, 10);
        ret->kind = PG_READER_XFF_RIGHT;
        ret->n = (unsigned)n;
        return text[10] >= '1' && text[10] <= '9' && *end == 0 && n <= 1000;
    }
    if (strncmp(text, "xff-trusted=", 12) == 0) {
        ret->kind = PG_READER_XFF_TRUSTED;
        return read_ranges(text + 12, ret);
    }
    return false;
}

bool pg_reader_take(const struct pg_reader *r, const struct pg_seen *seen, struct pg_addr *ret)
{
    switch (r->kind) {
    case PG_READER_XFF_LEFT: return pg_reader_xff_left(seen, ret);
    case PG_READER_XFF_RIGHT: return pg_reader_xff_right(seen, r->n, ret);
    case PG_READER_XFF_TRUSTED:
        return pg_reader_xff_trusted(seen, r->trusted, r->trusted_count, ret);
    case PG_READER_X_REAL_IP: return pg_reader_x_real_ip(seen, ret);
    case PG_READER_FORWARDED: return pg_reader_forwarded(seen, ret);
    case PG_READER_PROXY: return pg_reader_proxy(seen, ret);
    case PG_READER_PEER:
    default: *ret = seen->peer; return true;
    }
}

uint32_t pg_readers_usual(const struct pg_seen *seen, const struct pg_reader **ret)
{
    static const struct pg_reader usual[] = {
        {.text = "peer", .kind = PG_READER_PEER},
        {.text = "xff-left", .kind = PG_READER_XFF_LEFT},
        {.text = "xff-right=1", .kind = PG_READER_XFF_RIGHT, .n = 1},
        {.text = "x-real-ip", .kind = PG_READER_X_REAL_IP}};
    bool headers = seen->xff.len || seen->x_real_ip.len;

    *ret = usual;
    return headers ? sizeof usual / sizeof usual[0] : 1;
}
