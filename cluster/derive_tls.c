/* Which hosts are served over TLS, and by which Secret: spec.tls of all Ingress objects as one list of hosts.
 *
 * Called by derive_routes.c first: where a host has a certificate, ingress-nginx redirects to https. An entry without hosts means those of the object's rules. A host stands in the list once: the older object wins, and
 * a warning names it; two that ask for the same Secret agree. A Secret that is not there is a warning, and the host gets a certificate that is made
 * up, as ingress-nginx does. */
#include "cluster_internal.h"

#include <string.h>

struct pg_tls_host *pg_tls_host_of(const struct pg_load *load, const char *host)
{
    uint32_t at = pg_index_find(&load->tls_by_host, host, strlen(host));
    return at == PG_INDEX_ABSENT ? NULL : PG_LIST_AT(load->tls_hosts, struct pg_tls_host, at);
}

static void host_add(struct pg_load *load, const struct pg_raw_ingress *in, const char *host,
                     const struct pg_tls_host *like)
{
    struct pg_tls_host *before = pg_tls_host_of(load, host);
    if (before == NULL) {
        pg_index_add(&load->tls_by_host, host, strlen(host), load->tls_hosts.count);
        struct pg_tls_host *h = pg_list_add(&load->tls_hosts);
        *h = *like;
        h->host = host;
        return;
    }
    if (like->passthrough && strcmp(before->object, like->object) == 0) {
        before->passthrough = true;
        before->field = like->field;
    } else if (strcmp(before->secret_text, like->secret_text) != 0)
        pg_finding_add(load, PG_FINDING_WARNING, PG_CODE_DANGLING, in->object.title, "spec.tls",
                       &like->source, "host \"%s\" already has the certificate %s of %s (%s:%u)",
                       host, before->secret_text, before->object, before->source.file,
                       before->source.line);
}

/* Hosts of the rules. */
static void rule_hosts_add(struct pg_load *load, const struct pg_raw_ingress *in,
                           const struct pg_tls_host *like)
{
    for (uint32_t i = 0; i < in->rule_count; i++) {
        if (in->rules[i].host[0] != '\0')
            host_add(load, in, in->rules[i].host, like);
    }
}

static void entry_add(struct pg_load *load, const struct pg_raw_ingress *in,
                      const struct pg_raw_tls *tls)
{
    struct pg_tls_host like = {.secret_text = "",
                               .secret = PG_INDEX_NONE,
                               .listener = PG_INDEX_NONE,
                               .object = in->object.title,
                               .field = "spec.tls"};
    like.source = tls->source;
    if (tls->secret[0] != '\0') {
        like.secret_text =
            pg_arena_printf(&load->scratch, "%s/%s", in->object.namespace, tls->secret);
        like.secret = pg_name_find(&load->secret_by_name, in->object.namespace, tls->secret);
        if (like.secret == PG_INDEX_NONE)
            pg_finding_add(load, PG_FINDING_WARNING, PG_CODE_DANGLING, in->object.title,
                           "spec.tls.secretName", &tls->source,
                           "there is no Secret %s with tls.crt and tls.key: its hosts get a "
                           "certificate that is made up",
                           like.secret_text);
    }
    for (uint32_t i = 0; i < tls->host_count; i++) {
        if (tls->hosts[i][0] != '\0')
            host_add(load, in, tls->hosts[i], &like);
    }
    if (tls->host_count == 0)
        rule_hosts_add(load, in, &like);
}

void pg_derive_tls(struct pg_load *load)
{
    for (uint32_t i = 0; i < load->secrets.count; i++) {
        const struct pg_object *o =
            &PG_LIST_POINTER(load->secrets, const struct pg_raw_secret, i)->object;
        pg_name_add(load, &load->secret_by_name, o->namespace, o->name, i);
    }
    for (uint32_t i = 0; i < load->ingresses.count; i++) {
        const struct pg_raw_ingress *in =
            PG_LIST_POINTER(load->ingresses, const struct pg_raw_ingress, i);
        if (!in->served || in->canary.on)
            continue;
        for (uint32_t j = 0; j < in->tls_count; j++)
            entry_add(load, in, &in->tls[j]);
        struct pg_tls_host like = {.secret_text = "",
                                   .secret = PG_INDEX_NONE,
                                   .listener = PG_INDEX_NONE,
                                   .passthrough = true,
                                   .field = "ssl-passthrough",
                                   .object = in->object.title,
                                   .source = in->passthrough_source};
        if (in->passthrough)
            rule_hosts_add(load, in, &like);
    }
}
