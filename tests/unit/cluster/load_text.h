/* Loading manifests from text, for the tests of cluster/: what a load gave, and what to look for
 * in it. */
#ifndef TEST_LOAD_TEXT_H
#define TEST_LOAD_TEXT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "podglass/snapshot.h"

struct loaded {
    int rc;
    struct pg_snapshot *s; /* NULL if the load failed */
    struct pg_findings findings;
};

static inline struct loaded load_bytes(const char *text, size_t len, struct pg_load_options options)
{
    struct loaded l = {0};
    struct pg_manifest_input input = {"t.yaml", text, len};
    l.rc = pg_snapshot_load(&input, 1, &options, &l.s, &l.findings);
    return l;
}

static inline struct loaded load_text(const char *text)
{
    return load_bytes(text, strlen(text), (struct pg_load_options){0});
}

static inline void unload(struct loaded *l)
{
    pg_snapshot_put(l->s);
    pg_findings_free(&l->findings);
    *l = (struct loaded){0};
}

/* The finding whose printed line holds both texts; NULL: none. */
static inline const struct pg_finding *find(const struct loaded *l, const char *place,
                                            const char *phrase)
{
    struct pg_text line = {0};
    const struct pg_finding *found = NULL;
    for (uint32_t i = 0; i < l->findings.count && found == NULL; i++) {
        pg_text_clear(&line);
        pg_finding_print(&l->findings.at[i], &line);
        if (strstr(line.at, place) != NULL && strstr(line.at, phrase) != NULL)
            found = &l->findings.at[i];
    }
    pg_text_free(&line);
    return found;
}

static inline void print_findings(const struct loaded *l)
{
    struct pg_text line = {0};
    for (uint32_t i = 0; i < l->findings.count; i++) {
        pg_text_clear(&line);
        pg_finding_print(&l->findings.at[i], &line);
        print_message("    %s\n", line.at);
    }
    pg_text_free(&line);
}

static inline uint32_t count_level(const struct loaded *l, enum pg_finding_level level)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < l->findings.count; i++)
        count += l->findings.at[i].level == level;
    return count;
}

static inline void assert_loads(const struct loaded *l)
{
    if (l->rc != 0)
        print_findings(l);
    assert_int_equal(l->rc, 0);
    assert_non_null(l->s);
}

static inline const struct pg_service *service(const struct loaded *l, const char *namespace,
                                               const char *name)
{
    uint32_t at = pg_snapshot_service(l->s, namespace, name);
    assert_int_not_equal(at, PG_INDEX_NONE);
    return &l->s->services[at];
}

static inline const struct pg_pod *pod(const struct loaded *l, const char *name)
{
    for (uint32_t i = 0; i < l->s->pod_count; i++) {
        if (strcmp(l->s->pods[i].name, name) == 0)
            return &l->s->pods[i];
    }
    return NULL;
}

static inline void assert_addr(const struct pg_addr *a, const char *text)
{
    char printed[PG_ADDR_TEXT];
    assert_string_equal(pg_addr_print(a, printed), text);
}

static inline struct pg_addr addr(const char *text)
{
    struct pg_addr a;
    assert_int_equal(pg_addr_parse(text, strlen(text), &a), 0);
    return a;
}

/* Endpoints of a service's port as "10.0.0.1:80 10.0.0.2:80", in a static buffer. */
static inline const char *endpoints(const struct loaded *l, const struct pg_service *v,
                                    uint32_t port)
{
    static char text[1024];
    size_t len = 0;
    const struct pg_service_port *p = &l->s->service_ports[v->port_first + port];
    text[0] = '\0';
    for (uint32_t i = 0; i < p->endpoint_count; i++) {
        char one[PG_ENDPOINT_TEXT];
        const struct pg_endpoint *e = &l->s->endpoints[p->endpoint_first + i];
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", i == 0 ? "" : " ",
                                pg_endpoint_print(&e->addr, e->port, one));
        assert_true(len < sizeof(text));
    }
    return text;
}

#define SERVICE(name, spec) \
    "apiVersion: v1\nkind: Service\nmetadata: {name: " name "}\nspec:\n" spec
#define DEPLOYMENT(name, replicas)                                               \
    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: " name "}\nspec:\n" \
    "  replicas: " replicas "\n  selector: {matchLabels: {app: " name "}}\n"     \
    "  template:\n    metadata: {labels: {app: " name "}}\n"                     \
    "    spec: {containers: [{name: c, ports: [{name: http, containerPort: 8080}]}]}\n"

#endif
