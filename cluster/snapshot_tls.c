/* The certificates of a snapshot: copied out of the load, keys into memory of their own.
 *
 * Called by snapshot.c at the end of a load and when the last reference goes. Only this file and the proxy's tls_cert.c look at a key. */
#include "cluster_internal.h"

#include "podglass/log.h"
#include "podglass/private_bytes.h"

#include <stdlib.h>
#include <string.h>

static const char *keep(struct pg_arena *a, const char *text)
{
    return text == NULL || text[0] == '\0' ? "" : pg_arena_text(a, text, strlen(text));
}

static struct pg_source keep_source(struct pg_arena *a, struct pg_source s)
{
    return (struct pg_source){keep(a, s.file), s.line};
}

/* Those of Ingress objects by their text, then listeners by their number. */
static int host_order(const void *a, const void *b)
{
    const struct pg_tls_host *x = a;
    const struct pg_tls_host *y = b;
    if (x->listener == PG_INDEX_NONE && y->listener == PG_INDEX_NONE)
        return strcmp(x->host, y->host);
    if (x->listener == PG_INDEX_NONE || y->listener == PG_INDEX_NONE)
        return x->listener == PG_INDEX_NONE ? -1 : 1;
    if (x->listener != y->listener)
        return x->listener < y->listener ? -1 : 1;
    return x->turn < y->turn ? -1 : x->turn > y->turn;
}

void pg_snapshot_tls_build(const struct pg_load *load, struct pg_arena *arena,
                           struct pg_snapshot *s)
{
    struct pg_secret *secrets = pg_arena_array(arena, load->secrets.count, sizeof(*secrets));
    struct pg_tls_host *hosts = pg_arena_array(arena, load->tls_hosts.count, sizeof(*hosts));
    for (uint32_t i = 0; i < load->secrets.count; i++) {
        const struct pg_raw_secret *from =
            PG_LIST_POINTER(load->secrets, const struct pg_raw_secret, i);
        struct pg_secret *to = &secrets[i];
        *to = from->secret;
        to->namespace = keep(arena, from->object.namespace);
        to->name = keep(arena, from->object.name);
        to->source = keep_source(arena, from->object.source);
        const char **names = pg_arena_array(arena, to->name_count, sizeof(*names));
        for (uint32_t n = 0; n < to->name_count; n++)
            names[n] = keep(arena, from->secret.names[n]);
        to->names = names;
        to->cert = pg_arena_text(arena, from->secret.cert, from->secret.cert_len);
        to->key = pg_private_copy(from->secret.key, from->secret.key_len);
    }
    for (uint32_t i = 0; i < load->tls_hosts.count; i++) {
        struct pg_tls_host *to = &hosts[i];
        *to = *PG_LIST_AT(load->tls_hosts, const struct pg_tls_host, i);
        to->host = keep(arena, to->host);
        to->secret_text = keep(arena, to->secret_text);
        to->object = keep(arena, to->object);
        to->field = keep(arena, to->field);
        s->tls_listener_first += to->listener == PG_INDEX_NONE;
        to->source = keep_source(arena, to->source);
    }
    if (load->tls_hosts.count > 1)
        qsort(hosts, load->tls_hosts.count, sizeof(*hosts), host_order);
    s->secrets = secrets;
    s->secret_count = load->secrets.count;
    s->tls_hosts = hosts;
    s->tls_host_count = load->tls_hosts.count;
}

void pg_snapshot_tls_free(struct pg_snapshot *s)
{
    for (uint32_t i = 0; i < s->secret_count; i++) {
        char *key; /* ours; const for everybody else */
        memcpy(&key, &s->secrets[i].key, sizeof(key));
        pg_private_free(key, s->secrets[i].key_len);
    }
}
