/* folder: cluster
 * What annotations of an Ingress, and the ConfigMap of its controller, do to requests: as filters of routing.h.
 *
 * annotations.c reads one Ingress, derive_filters.c lays the controller's settings and defaults under it. */
#ifndef PODGLASS_CLUSTER_ANNOTATIONS_H
#define PODGLASS_CLUSTER_ANNOTATIONS_H

#include "cluster_internal.h"

#define PG_NGINX_PREFIX "nginx.ingress.kubernetes.io/"

/* ---- annotations.c ---- */
/* Whether it makes the paths of its hosts regular expressions; *ret_where says which annotation. */
bool pg_annotations_regex(const struct pg_raw_ingress *in, const struct pg_source **ret_where);
void pg_annotations_read(const struct pg_field *root, struct pg_raw_ingress *in);

/* ---- annotation_values.c: values as ingress-nginx writes them ---- */
/* false: what stands there is wrong, and reported; the controller would leave it out, and so do we. */
bool pg_annotation_truth(const struct pg_field *f, bool *ret);
bool pg_annotation_seconds(const struct pg_field *f, uint64_t *ret_ms);
bool pg_annotation_number(const struct pg_field *f, uint64_t least, uint64_t most, uint64_t *ret);
bool pg_annotation_size(const struct pg_field *f, uint64_t *ret); /* "8m", "0" */
/* "10.0.0.0/8, 192.0.2.1": in the arena of the load. What is wrong is an error: leaving it out would let others in. */
const struct pg_prefix *pg_annotation_ranges(const struct pg_field *f, uint32_t *ret_count);
/* http://, https:// or a path, without blanks, controls and quotes; variables only of those podglass knows. */
bool pg_annotation_url(const struct pg_field *f, const char **ret);
/* A path with $1 to $9 and no other variables. */
bool pg_annotation_template(const struct pg_field *f, const char **ret);
/* A value that goes into a header or a request line: visible ASCII. */
bool pg_annotation_plain(const struct pg_field *f, const char **ret);

/* ---- derive_nginx.c ---- */
void pg_derive_nginx(struct pg_load *load); /* the ConfigMap of the controller, if there is one */

/* ---- derive_classes.c ---- */
void pg_derive_classes(struct pg_load *load); /* which Ingress objects our ingress serves */

/* ---- derive_filters.c ---- */
/* Puts a filter behind those from first on that act before it. */
void pg_derive_filter_insert(struct pg_list *all, uint32_t first, const struct pg_route_filter *f);
/* The filters of an Ingress' routes, appended to load->filters in the order they act; tls: of a host that has a certificate. */
void pg_derive_filters(struct pg_load *load, const struct pg_raw_ingress *in, bool tls,
                       uint32_t *ret_first, uint32_t *ret_count);

/* ---- annotation_proxy_ssl.c ---- */
/* One annotation whose name begins with proxy-ssl-. */
void pg_annotation_proxy_ssl(const struct pg_field *f, struct pg_raw_proxy_ssl *to);
bool pg_annotation_backend_protocol(const struct pg_field *f,
                                    struct pg_raw_proxy_ssl *to); /* whether it is HTTP/2 */

/* ---- annotation_canary.c ---- */
/* One annotation whose name begins with canary. */
void pg_annotation_canary(const struct pg_field *f, struct pg_raw_canary *to);
/* The main route and what a canary takes of its requests, as lines behind load->routes. */
void pg_canary_lines(struct pg_load *load, const struct pg_route *main,
                     const struct pg_route *backend, const struct pg_raw_canary *c);

#endif
