/* Does the pod see the real client? The one definition that explain, check, demo and the metrics
 * share.
 *
 * There are four carriers: X-Forwarded-For and Forwarded, which are lists, X-Real-IP and the PROXY
 * preface, which are one value. What the hops wrote and what the client wrote itself stand in the
 * same list. They are told apart by position: a list that begins with what the client had sent was
 * extended, and only what follows was written by a hop. A value that a reader would take and that
 * the client chose is forged, whoever copied it, and into which carrier.
 *
 * Pure. Called by tools/ and the request log; knows nothing of packets. */
#include "podglass/verdict.h"

#include "podglass/forwarded.h"

#include <string.h>

static const char *const names[] = {
    [PG_VERDICT_KEPT] = "kept",           [PG_VERDICT_CARRIED] = "carried",
    [PG_VERDICT_LOST] = "lost",           [PG_VERDICT_FORGED] = "forged",
    [PG_VERDICT_AMBIGUOUS] = "ambiguous",
};
_Static_assert(sizeof names / sizeof names[0] == PG_VERDICT_COUNT, "a name per verdict");

const char *pg_verdict_name(enum pg_verdict v)
{
    return (unsigned)v < PG_VERDICT_COUNT ? names[v] : "unknown";
}

static struct pg_slice trim(struct pg_slice s)
{
    while (s.len && (s.at[0] == ' ' || s.at[0] == '\t')) {
        s.at++;
        s.len--;
    }
    while (s.len && (s.at[s.len - 1] == ' ' || s.at[s.len - 1] == '\t')) {
        s.len--;
    }
    return s;
}

/* Takes the first element off a comma-separated list. false: the list is at its end. */
static bool next_element(struct pg_slice *rest, struct pg_slice *ret)
{
    if (!rest->at) {
        return false;
    }
    const char *comma = memchr(rest->at, ',', rest->len);
    size_t len = comma ? (size_t)(comma - rest->at) : rest->len;

    *ret = trim((struct pg_slice){rest->at, len});
    if (comma) {
        rest->at = comma + 1;
        rest->len -= len + 1;
    } else {
        *rest = (struct pg_slice){0};
    }
    return true;
}

/* Address in any of the forms proxies write: a, a:port, v6, [v6], [v6]:port. */
static bool parse_address(struct pg_slice s, struct pg_addr *ret)
{
    s = trim(s);
    if (s.len && s.at[0] == '[') {
        const char *end = memchr(s.at, ']', s.len);

        return end && pg_addr_parse(s.at + 1, (size_t)(end - s.at) - 1, ret) == 0;
    }
    if (s.len == 0) {
        return false;
    }
    const char *colon = memchr(s.at, ':', s.len);

    if (colon && memchr(s.at, '.', (size_t)(colon - s.at))) {
        s.len = (size_t)(colon - s.at);
    }
    return pg_addr_parse(s.at, s.len, ret) == 0;
}

/* ---- the two forms of a list ---- */

enum form { XFF, FORWARDED };

static bool take_element(enum form form, struct pg_slice *rest, struct pg_slice *ret)
{
    return form == FORWARDED ? pg_forwarded_next(rest, ret) : next_element(rest, ret);
}

static bool address_of(enum form form, struct pg_slice element, struct pg_addr *ret)
{
    bool named;

    return form == FORWARDED ? pg_forwarded_for(element, ret, &named) : parse_address(element, ret);
}

static bool list_has(enum form form, struct pg_slice list, const struct pg_addr *wanted)
{
    struct pg_slice rest = list;
    struct pg_slice element;
    struct pg_addr a;

    if (trim(list).len == 0) {
        return false;
    }
    while (take_element(form, &rest, &element)) {
        if (address_of(form, element, &a) && pg_addr_equal(&a, wanted)) {
            return true;
        }
    }
    return false;
}

/* Takes off `list` what the client had sent, element by element. false: the list does not begin
 * with it. */
static bool skip_own_claims(enum form form, struct pg_slice claims, struct pg_slice *list)
{
    struct pg_slice rest = *list;
    struct pg_slice claim;
    struct pg_slice element;

    if (trim(claims).len == 0) {
        return false;
    }
    while (take_element(form, &claims, &claim)) {
        if (!take_element(form, &rest, &element) || !pg_slice_equal(claim, element)) {
            return false;
        }
    }
    *list = rest;
    return true;
}

/* ---- readers ---- */

bool pg_reader_xff_left(const struct pg_seen *seen, struct pg_addr *ret)
{
    struct pg_slice rest = seen->xff;
    struct pg_slice element;

    return seen->xff.len && next_element(&rest, &element) && parse_address(element, ret);
}

bool pg_reader_xff_right(const struct pg_seen *seen, unsigned n, struct pg_addr *ret)
{
    struct pg_slice rest = seen->xff;

    if (n == 0 || rest.len == 0) {
        return false;
    }
    for (;;) {
        size_t at = rest.len;

        while (at > 0 && rest.at[at - 1] != ',') {
            at--;
        }
        if (--n == 0) {
            return parse_address((struct pg_slice){rest.at + at, rest.len - at}, ret);
        }
        if (at == 0) {
            return false;
        }
        rest.len = at - 1;
    }
}

bool pg_reader_xff_trusted(const struct pg_seen *seen, const struct pg_prefix *trusted,
                           uint32_t count, struct pg_addr *ret)
{
    for (unsigned n = 1; pg_reader_xff_right(seen, n, ret); n++) {
        bool known = false;
        struct pg_addr further;

        for (uint32_t i = 0; i < count && !known; i++) {
            known = pg_prefix_contains(&trusted[i], ret);
        }
        if (!known || !pg_reader_xff_right(seen, n + 1, &further)) {
            return true;
        }
    }
    return false;
}

bool pg_reader_x_real_ip(const struct pg_seen *seen, struct pg_addr *ret)
{
    return parse_address(seen->x_real_ip, ret);
}

bool pg_reader_forwarded(const struct pg_seen *seen, struct pg_addr *ret)
{
    struct pg_slice rest = seen->forwarded;
    struct pg_slice element;
    bool named = false;
    bool found = false;

    while (rest.len && !named && pg_forwarded_next(&rest, &element)) {
        found = pg_forwarded_for(element, ret, &named);
    }
    return found;
}

bool pg_reader_proxy(const struct pg_seen *seen, struct pg_addr *ret)
{
    if (!seen->has_proxy || pg_addr_is_none(&seen->proxy)) {
        return false;
    }
    *ret = seen->proxy;
    return true;
}

unsigned pg_carriers_of(const struct pg_seen *seen, const struct pg_addr *wanted)
{
    struct pg_addr a;
    bool has[PG_CARRIER_COUNT] = {
        [PG_CARRIER_PEER] = pg_addr_equal(&seen->peer, wanted),
        [PG_CARRIER_XFF] = list_has(XFF, seen->xff, wanted),
        [PG_CARRIER_X_REAL_IP] = pg_reader_x_real_ip(seen, &a) && pg_addr_equal(&a, wanted),
        [PG_CARRIER_FORWARDED] = list_has(FORWARDED, seen->forwarded, wanted),
        [PG_CARRIER_PROXY] = pg_reader_proxy(seen, &a) && pg_addr_equal(&a, wanted),
    };
    unsigned found = 0;

    for (unsigned c = 0; c < PG_CARRIER_COUNT; c++) {
        found |= has[c] ? 1u << c : 0;
    }
    return found;
}

/* ---- the verdict ---- */

/* Did the client itself name this address, in whatever carrier? */
static bool claimed(const struct pg_seen *seen, const struct pg_addr *a)
{
    struct pg_addr real;

    return list_has(XFF, seen->client_xff, a) || list_has(FORWARDED, seen->client_forwarded, a) ||
           (parse_address(seen->client_x_real_ip, &real) && pg_addr_equal(&real, a)) ||
           (!pg_addr_is_none(&seen->client_proxy) && pg_addr_equal(&seen->client_proxy, a));
}

/* What one carrier comes to. */
struct carrier {
    bool found; /* a reader gets an address out of it */
    bool is_true;
    bool forged; /* the address a reader gets was the client's choice */
};

static struct carrier look_at_value(const struct pg_seen *seen, bool found,
                                    const struct pg_addr *value)
{
    struct carrier c = {.found = found};

    if (found) {
        c.is_true = pg_addr_equal(value, &seen->client);
        c.forged = !c.is_true && claimed(seen, value);
    }
    return c;
}

static struct carrier look_at_list(const struct pg_seen *seen, enum form form, struct pg_slice list,
                                   struct pg_slice claims, bool found, const struct pg_addr *left)
{
    struct carrier c = {.found = found};
    struct pg_slice written = list; /* what hops wrote */
    bool claims_pass = skip_own_claims(form, claims, &written);

    if (claims_pass && written.len == 0 && found && pg_addr_equal(left, &seen->client)) {
        /* An honest client named itself, or a hop wrote the very same: no reader is misled. */
        written = list;
        claims_pass = false;
    }
    c.is_true = list_has(form, written, &seen->client);
    c.forged =
        found && (claims_pass || (!pg_addr_equal(left, &seen->client) && claimed(seen, left)));
    return c;
}

enum pg_verdict pg_verdict_decide(const struct pg_seen *seen)
{
    struct pg_addr a = {0};
    struct carrier all[4];
    bool is_true = false;
    bool forged = false;
    bool disagree = false;

    if (pg_addr_equal(&seen->peer, &seen->client)) {
        return PG_VERDICT_KEPT;
    }
    bool found = pg_reader_xff_left(seen, &a);
    all[0] = look_at_list(seen, XFF, seen->xff, seen->client_xff, found, &a);
    found = pg_reader_forwarded(seen, &a);
    all[1] = look_at_list(seen, FORWARDED, seen->forwarded, seen->client_forwarded, found, &a);
    found = pg_reader_x_real_ip(seen, &a);
    all[2] = look_at_value(seen, found, &a);
    found = pg_reader_proxy(seen, &a);
    all[3] = look_at_value(seen, found, &a);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        is_true = is_true || all[i].is_true;
        forged = forged || all[i].forged;
        disagree = disagree || (all[i].found && !all[i].is_true);
    }
    if (!is_true) {
        return forged ? PG_VERDICT_FORGED : PG_VERDICT_LOST;
    }
    return forged || disagree ? PG_VERDICT_AMBIGUOUS : PG_VERDICT_CARRIED;
}

enum pg_verdict pg_verdict_of_reader(const struct pg_seen *seen, bool has_value,
                                     const struct pg_addr *value)
{
    if (!has_value) {
        return PG_VERDICT_LOST;
    }
    if (pg_addr_equal(value, &seen->client)) {
        return pg_addr_equal(&seen->peer, &seen->client) ? PG_VERDICT_KEPT : PG_VERDICT_CARRIED;
    }
    return claimed(seen, value) ? PG_VERDICT_FORGED : PG_VERDICT_LOST;
}
