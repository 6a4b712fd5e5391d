/* folder: proxy */
/* TLS to pods as pure functions: whether, as what, and who says so. */
#ifndef PODGLASS_UPSTREAM_TLS_DECIDE_H
#define PODGLASS_UPSTREAM_TLS_DECIDE_H

#include "podglass/reason.h"
#include "podglass/snapshot.h"
#include "podglass/text.h"

/* NULL: without TLS. */
const struct pg_upstream_tls *pg_upstream_tls(const struct pg_snapshot *s,
                                              const struct pg_route *route);
pg_reason_id pg_upstream_tls_reason(const struct pg_upstream_tls *tls, enum pg_code code);
/* "TLS, verified by ConfigMap/shop/ca as web.example", "TLS, not verified" */
void pg_upstream_tls_print(const struct pg_upstream_tls *tls, struct pg_text *out);

#endif
