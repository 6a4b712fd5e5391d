/* Whether a pod is spoken to in TLS, as what, and who says so.
 *
 * Called by `request.c` for every request, by `tls_up.c` and the tools' dry run; pure. Everything was decided at the load (cluster/derive_upstream_tls.c): a route names its setting. */
#include "podglass/upstream_tls_decide.h"

const struct pg_upstream_tls *pg_upstream_tls(const struct pg_snapshot *s,
                                              const struct pg_route *route)
{
    return route->tls ? &s->upstream_tls[route->tls - 1] : NULL;
}

pg_reason_id pg_upstream_tls_reason(const struct pg_upstream_tls *tls, enum pg_code code)
{
    return pg_reason_intern(&(struct pg_reason){.code = code,
                                                .object = tls->object,
                                                .field = tls->field,
                                                .value = tls->text,
                                                .file = tls->source.file,
                                                .line = tls->source.line});
}

void pg_upstream_tls_print(const struct pg_upstream_tls *tls, struct pg_text *out)
{
    pg_text_puts(out, tls->verify ? "TLS, verified by " : "TLS, not verified");
    if (!tls->verify)
        return;
    pg_text_printf(out, "%s as ", tls->ca_text);
    for (uint32_t i = 0; i < tls->name_count; i++)
        pg_text_printf(out, "%s%s", i > 0 ? " or " : "", tls->names[i].text);
    if (tls->name_count == 0)
        pg_text_puts(out, tls->name);
}
