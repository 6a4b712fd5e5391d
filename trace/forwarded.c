/* Reads the Forwarded field of RFC 7239: for=192.0.2.60;proto=http, for="[2001:db8::7]:4711".
 *
 * Called by verdict.c for what a pod gets, and by whoever else must know what such a field says. A
 * comma or semicolon inside of quotes is text. A backslash in a quoted string hides the next
 * character; no address needs one, so a value that has one is not an address.
 *
 * Pure. What cannot be read is no address, never a guess. */
#include "podglass/forwarded.h"

#include <string.h>
#include <strings.h>

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

/* Takes what stands before the next `end` outside of quotes. false: at the end, or a quote is open. */
static bool take(struct pg_slice *rest, char end, struct pg_slice *ret)
{
    bool quoted = false;
    size_t i = 0;

    if (rest->at == NULL) {
        return false;
    }
    for (; i < rest->len && (quoted || rest->at[i] != end); i++) {
        if (quoted && rest->at[i] == '\\') {
            i++;
        } else if (rest->at[i] == '"') {
            quoted = !quoted;
        }
    }
    if (quoted) {
        return false;
    }
    *ret = trim((struct pg_slice){rest->at, i});
    *rest = i < rest->len ? (struct pg_slice){rest->at + i + 1, rest->len - i - 1}
                          : (struct pg_slice){0};
    return true;
}

bool pg_forwarded_next(struct pg_slice *rest, struct pg_slice *ret)
{
    return take(rest, ',', ret);
}

/* a, a:port, [v6], [v6]:port; obfuscated ports count as ports. */
static bool parse_node(struct pg_slice s, struct pg_addr *ret)
{
    if (s.len >= 2 && s.at[0] == '"' && s.at[s.len - 1] == '"') {
        s = (struct pg_slice){s.at + 1, s.len - 2};
    }
    if (s.len && s.at[0] == '[') {
        const char *end = memchr(s.at, ']', s.len);
        size_t len = end ? (size_t)(end - s.at) : 0;

        return end && (len + 1 == s.len || end[1] == ':') && memchr(s.at, ':', len) &&
               pg_addr_parse(s.at + 1, len - 1, ret) == 0;
    }
    const char *colon = s.len ? memchr(s.at, ':', s.len) : NULL;
    size_t len = colon ? (size_t)(colon - s.at) : s.len;

    return len && pg_addr_parse(s.at, len, ret) == 0;
}

bool pg_forwarded_for(struct pg_slice element, struct pg_addr *ret, bool *ret_named)
{
    struct pg_slice rest = element;
    struct pg_slice pair;

    *ret_named = false;
    while (take(&rest, ';', &pair)) {
        if (pair.len > 4 && strncasecmp(pair.at, "for=", 4) == 0) {
            *ret_named = true;
            return parse_node((struct pg_slice){pair.at + 4, pair.len - 4}, ret);
        }
    }
    return false;
}
