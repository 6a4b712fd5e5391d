/* Which certificate answers for a name, and whether a request may be answered under it.
 *
 * Called by `tls.c` for every handshake, by `request.c` for requests on TLS, and by the tools' dry run; pure. The hosts of a snapshot are in the order of their
 * text, so a name is found by halving. A name is looked for as it is, then with `*` for its first label; listeners of Gateways are asked one after the other, of those there are
 * few; what is not found gets the certificate for unknown names. */
#include "podglass/tls_decide.h"

#include "http_grammar.h"
#include "route_internal.h"

#include "podglass/owner.h"

#include <stdio.h>
#include <string.h>

static const struct pg_tls_host *find(const struct pg_snapshot *s, const char *name)
{
    uint32_t low = 0, high = s->tls_listener_first;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = strcmp(s->tls_hosts[middle].host, name);
        if (order == 0)
            return &s->tls_hosts[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* Of Ingress objects. */
static const struct pg_tls_host *find_host(const struct pg_snapshot *s, const char *name)
{
    char wild[PG_HELLO_NAME + 2];
    const struct pg_tls_host *found = name[0] ? find(s, name) : NULL;
    const char *dot = strchr(name, '.');
    if (!found && dot && dot != name) {
        int len = snprintf(wild, sizeof(wild), "*%s", dot);
        found = len > 0 && (size_t)len < sizeof(wild) ? find(s, wild) : NULL;
    }
    return found ? found : find(s, "");
}

/* "*.x" stands for one label here, as in every certificate. */
bool pg_tls_secret_covers(const struct pg_snapshot *s, uint32_t secret, const char *name)
{
    const char *dot = strchr(name, '.');
    bool found = false;
    for (uint32_t i = 0; secret != PG_INDEX_NONE && i < s->secrets[secret].name_count && !found;
         i++) {
        const char *covered = s->secrets[secret].names[i];
        found = covered[0] == '*' ? dot && dot != name && strcmp(covered + 1, dot) == 0
                                  : strcmp(covered, name) == 0;
    }
    return found;
}

/* Of two certificates of a listener the first that is for the name; else the first. */
static bool is_rather(const struct pg_snapshot *s, const struct pg_tls_host *before,
                      const struct pg_tls_host *h, const char *name)
{
    return before->listener == h->listener && !pg_tls_secret_covers(s, before->secret, name) &&
           pg_tls_secret_covers(s, h->secret, name);
}

const struct pg_tls_host *pg_tls_host_find(const struct pg_snapshot *s, uint16_t port,
                                           const char *name)
{
    const struct pg_tls_host *found = find_host(s, name);
    struct pg_slice host = pg_slice_of(name);
    size_t best = found ? pg_route_hostname_fit(found->host, host) : 0;
    for (uint32_t i = s->tls_listener_first; i < s->tls_host_count; i++) {
        const struct pg_tls_host *h = &s->tls_hosts[i];
        size_t fit = pg_route_hostname_fit(h->host, host);
        bool better =
            fit > best || (fit == best && fit > 0 &&
                           (found->listener == PG_INDEX_NONE || is_rather(s, found, h, name)));
        if (better && pg_owner_listener_at(s, h->listener, port)) {
            best = fit;
            found = h;
        }
    }
    return found;
}

pg_reason_id pg_tls_host_reason(const struct pg_snapshot *s, const struct pg_tls_host *host)
{
    char object[600];
    if (!host)
        return pg_reason_intern(&(struct pg_reason){.code = PG_CODE_TLS_MADE_UP});
    bool of_secret = host->secret != PG_INDEX_NONE && s->secrets[host->secret].usable;
    (void)snprintf(object, sizeof(object), "Secret/%s", host->secret_text);
    return pg_reason_intern(&(struct pg_reason){
        .code = host->passthrough ? PG_CODE_TLS_PASSTHROUGH
                : of_secret       ? PG_CODE_TLS_CERT
                                  : PG_CODE_TLS_MADE_UP,
        .object = of_secret && !host->passthrough ? object : host->object,
        .field = host->field,
        .value = !host->passthrough                ? host->secret_text
                 : host->listener == PG_INDEX_NONE ? "true"
                                                   : "Passthrough",
        .file = host->source.file,
        .line = host->source.line,
    });
}

/* Lower case, without port and final dot; "" if it can be no name. */
static void plain_name(struct pg_slice authority, char out[PG_HELLO_NAME + 1])
{
    struct pg_slice name = pg_http_host_name(authority);
    if (name.len > 0 && name.at[name.len - 1] == '.')
        name.len--;
    if (name.len > PG_HELLO_NAME)
        name.len = 0;
    for (size_t i = 0; i < name.len; i++)
        out[i] = (char)(name.at[i] >= 'A' && name.at[i] <= 'Z' ? name.at[i] | 0x20 : name.at[i]);
    out[name.len] = '\0';
}

/* Where no Secret answers, each host has a certificate of its own. Of a listener with several, that of the connection may be for the other name too. */
static bool same_certificate(const struct pg_snapshot *s, const struct pg_tls_host *a,
                             const struct pg_tls_host *b, const char *name)
{
    if (a == b)
        return true;
    if (!a || !b || a->listener != b->listener || a->passthrough != b->passthrough)
        return false;
    if (a->secret != b->secret)
        return a->listener != PG_INDEX_NONE && pg_tls_secret_covers(s, a->secret, name);
    return a->secret != PG_INDEX_NONE && s->secrets[a->secret].usable;
}

bool pg_tls_host_fits(const struct pg_snapshot *s, uint16_t port, const char *server_name,
                      struct pg_slice authority)
{
    char name[PG_HELLO_NAME + 1];
    if (server_name[0] == '\0')
        return true; /* it was shown the certificate for everybody, and named no host itself */
    plain_name(authority, name);
    if (strcmp(name, server_name) == 0)
        return true;
    return same_certificate(s, pg_tls_host_find(s, port, server_name),
                            pg_tls_host_find(s, port, name), name);
}
