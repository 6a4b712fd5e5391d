/* How applications find their client, by name: peer, xff-left, xff-right=N, xff-trusted=CIDR,..., x-real-ip, forwarded, proxy.
 *
 * Only the words. Called by cluster/ for documents of kind Check and by the verbs for --reader; trace/carriers.c reads. */
#include "podglass/reader.h"

#include <stdlib.h>
#include <string.h>

#define RIGHT_MOST 1000

const char *const pg_carrier_names[PG_CARRIER_COUNT + 1] = {
    [PG_CARRIER_PEER] = "peer",           [PG_CARRIER_XFF] = "x-forwarded-for",
    [PG_CARRIER_X_REAL_IP] = "x-real-ip", [PG_CARRIER_FORWARDED] = "forwarded",
    [PG_CARRIER_PROXY] = "proxy",
};

const char *pg_carrier_title(enum pg_carrier c)
{
    static const char *const titles[] = {
        [PG_CARRIER_PEER] = "peer",           [PG_CARRIER_XFF] = "X-Forwarded-For",
        [PG_CARRIER_X_REAL_IP] = "X-Real-IP", [PG_CARRIER_FORWARDED] = "Forwarded",
        [PG_CARRIER_PROXY] = "PROXY",
    };
    _Static_assert(sizeof titles / sizeof titles[0] == PG_CARRIER_COUNT, "a title per carrier");

    return titles[c];
}

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
        return text[10] >= '1' && text[10] <= '9' && *end == 0 && n <= RIGHT_MOST;
    }
    if (strncmp(text, "xff-trusted=", 12) == 0) {
        ret->kind = PG_READER_XFF_TRUSTED;
        return read_ranges(text + 12, ret);
    }
    return false;
}
