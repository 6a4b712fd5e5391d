/* Certificates that do not cover the host they are shown for: a warning each, since every client that verifies ends the handshake.
 *
 * Called by derive.c when Ingress objects and listeners have theirs. Reading a certificate is asked of whoever started the load (struct
 * pg_load_options.covers_host), since it knows TLS.
 *
 * Owns nothing. Always true: what is shown does not change. */
#include "cluster_internal.h"

#include <string.h>

/* A name that stands for all of a wildcard: what a certificate says of it, it says of any first label. */
static const char *name_of(struct pg_load *load, const char *host)
{
    return host[0] == '*' ? pg_arena_printf(&load->scratch, "any%s", host + 1) : host;
}

static bool covered(struct pg_load *load, const struct pg_tls_host *h)
{
    const struct pg_secret *s =
        &PG_LIST_POINTER(load->secrets, const struct pg_raw_secret, h->secret)->secret;
    return !s->usable || load->options.covers_host((struct pg_slice){s->cert, s->cert_len},
                                                   name_of(load, h->host));
}

/* Another certificate of the same listener does. */
static bool covered_beside(struct pg_load *load, const struct pg_tls_host *h)
{
    bool found = false;
    for (uint32_t i = 0; i < load->tls_hosts.count && !found && h->listener != PG_INDEX_NONE; i++) {
        const struct pg_tls_host *other = PG_LIST_AT(load->tls_hosts, const struct pg_tls_host, i);
        found = other != h && other->listener == h->listener && covered(load, other);
    }
    return found;
}

static void host_check(struct pg_load *load, const struct pg_tls_host *h)
{
    if (h->host[0] == '\0' || h->secret == PG_INDEX_NONE || h->passthrough || covered(load, h) ||
        covered_beside(load, h))
        return;
    bool of_listener = h->listener != PG_INDEX_NONE;
    pg_finding_add(load, PG_FINDING_WARNING, PG_CODE_BAD_NAME, h->object,
                   of_listener ? pg_arena_printf(&load->scratch, "spec.%s", h->field) : h->field,
                   &h->source,
                   "the certificate of Secret %s does not cover \"%s\": it is shown all the same, "
                   "and clients that verify it refuse it",
                   h->secret_text, h->host);
}

void pg_derive_tls_names(struct pg_load *load)
{
    for (uint32_t i = 0; i < load->tls_hosts.count && load->options.covers_host != NULL; i++)
        host_check(load, PG_LIST_AT(load->tls_hosts, const struct pg_tls_host, i));
}
