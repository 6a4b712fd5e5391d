/* One small cluster for all tests of dns/, and questions and answers as text.
 *
 * A question is asked by its name and type; what comes back is decoded by a reader of its own
 * (nothing of the writer is used but pg_dns_name_read) into lines such as "answer
 * web.shop.svc.cluster.local. 30 A 10.96.12.40". */
#ifndef PODGLASS_TEST_DNS_FIXTURE_H
#define PODGLASS_TEST_DNS_FIXTURE_H

#include "podglass/dns.h"

#include "dns_wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char dns_fixture_lab[] =
    "apiVersion: podglass/v1alpha1\n"
    "kind: Lab\n"
    "spec:\n"
    "  podCIDRs: [10.244.0.0/16, 'fd60::/48']\n"
    "  serviceCIDRs: [10.96.0.0/16, 'fd96::/112']\n"
    "  dns: {address: 10.96.0.10, ttl: 30, podRecords: insecure}\n"
    "  ingress: {service: edge/gateway}\n";

static const char dns_fixture_services[] =
    "---\n"
    "apiVersion: v1\n"
    "kind: Service\n"
    "metadata: {namespace: kube-system, name: kube-dns}\n"
    "spec:\n"
    "  clusterIP: 10.96.0.10\n"
    "  ports: [{name: dns, protocol: UDP, port: 53}, {name: dns-tcp, port: 53}]\n"
    "---\n"
    "apiVersion: v1\n"
    "kind: Service\n"
    "metadata: {namespace: shop, name: web}\n"
    "spec:\n"
    "  clusterIP: 10.96.12.40\n"
    "  ports: [{name: http, port: 80, targetPort: 8080}, {name: admin, port: 81}]\n"
    "---\n"
    "apiVersion: v1\n"
    "kind: Service\n"
    "metadata: {namespace: shop, name: empty}\n"
    "spec: {clusterIP: 10.96.12.41, ports: [{port: 80}]}\n"
    "---\n"
    "apiVersion: v1\n"
    "kind: Service\n"
    "metadata: {namespace: shop, name: dual}\n"
    "spec:\n"
    "  clusterIP: 10.96.12.42\n"
    "  clusterIPs: [10.96.12.42, 'fd96::42']\n"
    "  ipFamilyPolicy: RequireDualStack\n"
    "  ports: [{name: http, port: 80}]\n"
    "---\n"
    "apiVersion: v1\n"
    "kind: Service\n"
    "metadata: {namespace: shop, name: db}\n"
    "spec: {clusterIP: None, ports: [{name: sql, port: 3306}, {port: 9104, name: metrics}]}\n"
    "---\n"
    "apiVersion: v1\n"
    "kind: Service\n"
    "metadata: {namespace: shop, name: db-all}\n"
    "spec: {clusterIP: None, publishNotReadyAddresses: true, ports: [{name: sql, port: 3306}]}\n"
    "---\n"
    "apiVersion: v1\n"
    "kind: Service\n"
    "metadata: {namespace: shop, name: asleep}\n"
    "spec: {clusterIP: None, ports: [{name: sql, port: 3306}]}\n"
    "---\n"
    "apiVersion: v1\n"
    "kind: Service\n"
    "metadata: {namespace: shop, name: portless}\n"
    "spec: {clusterIP: None, selector: {app: portless}}\n"
    "---\n"
    "apiVersion: v1\n"
    "kind: Pod\n"
    "metadata: {namespace: shop, name: p, labels: {app: portless}}\n"
    "spec: {hostname: p-0, subdomain: portless}\n"
    "status: {podIP: 10.244.1.60, conditions: [{type: Ready, status: 'True'}]}\n"
    "---\n"
    "apiVersion: v1\n"
    "kind: Service\n"
    "metadata: {namespace: shop, name: ext}\n"
    "spec: {type: ExternalName, externalName: web.shop.svc.cluster.local}\n"
    "---\n"
    "apiVersion: v1\n"
    "kind: Service\n"
    "metadata: {namespace: shop, name: ext-ext}\n"
    "spec: {type: ExternalName, externalName: ext.shop.svc.cluster.local}\n"
    "---\n"
    "apiVersion: v1\n"
    "kind: Service\n"
    "metadata: {namespace: shop, name: outside}\n"
    "spec: {type: ExternalName, externalName: db.example.org}\n"
    "---\n"
    "apiVersion: v1\n"
    "kind: Service\n"
    "metadata: {namespace: shop, name: gone}\n"
    "spec: {type: ExternalName, externalName: nowhere.shop.svc.cluster.local}\n"
    "---\n"
    "apiVersion: v1\n"
    "kind: Service\n"
    "metadata: {namespace: shop, name: circle-a}\n"
    "spec: {type: ExternalName, externalName: circle-b.shop.svc.cluster.local}\n"
    "---\n"
    "apiVersion: v1\n"
    "kind: Service\n"
    "metadata: {namespace: shop, name: circle-b}\n"
    "spec: {type: ExternalName, externalName: circle-a.shop.svc.cluster.local}\n"
    "---\n"
    "apiVersion: v1\n"
    "kind: Service\n"
    "metadata: {namespace: edge, name: gateway}\n"
    "spec:\n"
    "  type: LoadBalancer\n"
    "  clusterIP: 10.96.5.5\n"
    "  selector: {app: gateway}\n"
    "  ports: [{name: http, port: 80}]\n"
    "status: {loadBalancer: {ingress: [{ip: 203.0.113.10}]}}\n"
    "---\n"
    "apiVersion: v1\n"
    "kind: Pod\n"
    "metadata: {namespace: edge, name: gateway-0, labels: {app: gateway}}\n";

static const char dns_fixture_rest[] =
    "---\n"
    "apiVersion: v1\n"
    "kind: Namespace\n"
    "metadata: {name: quiet}\n"
    "---\n"
    "apiVersion: discovery.k8s.io/v1\n"
    "kind: EndpointSlice\n"
    "metadata: {namespace: shop, name: web-1, labels: {kubernetes.io/service-name: web}}\n"
    "addressType: IPv4\n"
    "ports: [{name: http, port: 8080}, {name: admin, port: 81}]\n"
    "endpoints:\n"
    "- {addresses: [10.244.1.7], conditions: {ready: true}}\n"
    "---\n"
    "apiVersion: discovery.k8s.io/v1\n"
    "kind: EndpointSlice\n"
    "metadata: {namespace: shop, name: db-4, labels: {kubernetes.io/service-name: db}}\n"
    "addressType: IPv4\n"
    "ports: [{name: sql, port: 3306}]\n"
    "endpoints:\n"
    "- {addresses: [10.244.1.20], hostname: db-0, conditions: {ready: true}}\n"
    "- {addresses: [10.244.2.20], hostname: db-1, conditions: {ready: true}}\n"
    "- {addresses: [10.244.1.44], conditions: {ready: true}}\n"
    "- {addresses: [10.244.1.45], hostname: db-3, conditions: {ready: false}}\n"
    "---\n"
    "apiVersion: discovery.k8s.io/v1\n"
    "kind: EndpointSlice\n"
    "metadata: {namespace: shop, name: db-6, labels: {kubernetes.io/service-name: db}}\n"
    "addressType: IPv6\n"
    "ports: [{name: sql, port: 3306}]\n"
    "endpoints:\n"
    "- {addresses: ['fd60::20'], hostname: db-0, conditions: {ready: true}}\n"
    "- {addresses: ['fd60:0:0:1::'], conditions: {ready: true}}\n"
    "---\n"
    "apiVersion: discovery.k8s.io/v1\n"
    "kind: EndpointSlice\n"
    "metadata: {namespace: shop, name: all-4, labels: {kubernetes.io/service-name: db-all}}\n"
    "addressType: IPv4\n"
    "ports: [{name: sql, port: 3306}]\n"
    "endpoints:\n"
    "- {addresses: [10.244.1.20], hostname: db-0, conditions: {ready: true}}\n"
    "- {addresses: [10.244.1.45], hostname: db-3, conditions: {ready: true}}\n"
    "---\n"
    "apiVersion: discovery.k8s.io/v1\n"
    "kind: EndpointSlice\n"
    "metadata: {namespace: shop, name: asleep-4, labels: {kubernetes.io/service-name: asleep}}\n"
    "addressType: IPv4\n"
    "ports: [{name: sql, port: 3306}]\n"
    "endpoints:\n"
    "- {addresses: [10.244.1.50], hostname: a-0, conditions: {ready: false}}\n"
    "---\n"
    "apiVersion: networking.k8s.io/v1\n"
    "kind: Ingress\n"
    "metadata: {namespace: shop, name: shop}\n"
    "spec:\n"
    "  rules:\n"
    "  - host: shop.example.test\n"
    "    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: "
    "80}}}}]}\n"
    "  - host: '*.apps.example.test'\n"
    "    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: "
    "80}}}}]}\n"
    "  - host: deep.er.apps.example.test\n"
    "    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: "
    "80}}}}]}\n"
    "  - host: web.shop.svc.cluster.local\n"
    "    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: "
    "80}}}}]}\n";

/* ---- the cluster ---- */

struct dns_fixture {
    struct pg_snapshot *snapshot;
    struct pg_zone *zone;
};

/* Loads the texts, one after the other as one file. Anything wrong ends the test program. */
static inline struct dns_fixture dns_fixture_load(const char *a, const char *b, const char *c)
{
    struct dns_fixture f = {0};
    struct pg_findings findings = {0};
    struct pg_load_options options = {.namespace = "default"};
    struct pg_hash_key key = {1, 2};
    char *text = NULL;

    if (asprintf(&text, "%s%s%s", a, b, c) < 0) {
        abort();
    }
    struct pg_manifest_input input = {
        .path = "cluster.yaml", .text = text, .text_len = strlen(text)};
    int err = pg_snapshot_load(&input, 1, &options, &f.snapshot, &findings);

    for (uint32_t i = 0; i < findings.count; i++) {
        struct pg_text line = {0};

        if (err || findings.at[i].level == PG_FINDING_ERROR) {
            pg_finding_print(&findings.at[i], &line);
            (void)fprintf(stderr, "%s\n", line.at);
        }
        pg_text_free(&line);
    }
    pg_findings_free(&findings);
    free(text);
    if (err) {
        (void)fprintf(stderr, "the test's own manifests do not load: %d\n", err);
        abort();
    }
    f.zone = pg_zone_new(f.snapshot, &key);
    if (!f.zone) {
        abort();
    }
    return f;
}

static inline struct dns_fixture dns_fixture_shop(void)
{
    return dns_fixture_load(dns_fixture_lab, dns_fixture_services, dns_fixture_rest);
}

static inline void dns_fixture_free(struct dns_fixture *f)
{
    pg_zone_free(f->zone);
    pg_snapshot_put(f->snapshot);
    pg_reason_forget_all();
}

/* ---- questions ---- */

struct dns_question {
    const char *name; /* text, or NULL: no question */
    uint16_t type;
    uint16_t class;     /* 0: IN */
    uint16_t edns_size; /* 0: no OPT */
    uint8_t edns_version;
    bool dnssec_ok;
    bool over_tcp;
    uint8_t opcode;
    uint64_t draw;
    uint32_t room; /* 0: 65535 */
};

static inline uint32_t dns_put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
    return 2;
}

/* The message of a question; id 0x4711, RD set. */
static inline uint32_t dns_query_build(const struct dns_question *ask, uint8_t out[512])
{
    uint32_t len = PG_DNS_HEADER;

    memset(out, 0, 512);
    dns_put16(out, 0x4711);
    out[2] = (uint8_t)(ask->opcode << 3 | 1);
    dns_put16(out + 4, ask->name ? 1 : 0);
    if (ask->name) {
        uint32_t n = pg_dns_name_parse(ask->name, strlen(ask->name), out + len);

        if (n == 0) {
            abort();
        }
        len += n;
        len += dns_put16(out + len, ask->type);
        len += dns_put16(out + len, ask->class ? ask->class : 1);
    }
    if (ask->edns_size) {
        dns_put16(out + 10, 1);
        len++;
        len += dns_put16(out + len, PG_DNS_OPT);
        len += dns_put16(out + len, ask->edns_size);
        out[len + 1] = ask->edns_version;
        out[len + 2] = ask->dnssec_ok ? 0x80 : 0;
        len += 6;
    }
    return len;
}

/* ---- answers as text ---- */

static inline uint32_t dns_get16(const uint8_t *at)
{
    return (uint32_t)at[0] << 8 | at[1];
}

static inline void dns_print_name(struct pg_text *out, const uint8_t *m, uint32_t len, uint32_t *at)
{
    uint8_t name[PG_DNS_NAME_MAX];
    char text[1024];
    uint32_t name_len;

    *at = pg_dns_name_read(m, len, *at, name, &name_len);
    if (*at == 0) {
        abort();
    }
    pg_dns_name_print(name, text, sizeof(text));
    pg_text_puts(out, text);
}

static inline void dns_print_data(struct pg_text *out, const uint8_t *m, uint32_t len,
                                  uint32_t type, uint32_t at, uint32_t end)
{
    char text[PG_ADDR_TEXT];
    struct pg_addr a;

    switch (type) {
    case PG_DNS_A:
        a = pg_addr_v4(m[at], m[at + 1], m[at + 2], m[at + 3]);
        pg_text_puts(out, pg_addr_print(&a, text));
        break;
    case PG_DNS_AAAA:
        a = pg_addr_from_v6(m + at);
        pg_text_puts(out, pg_addr_print(&a, text));
        break;
    case PG_DNS_SRV:
        pg_text_printf(out, "%u %u %u ", dns_get16(m + at), dns_get16(m + at + 2),
                       dns_get16(m + at + 4));
        at += 6;
        dns_print_name(out, m, len, &at);
        break;
    case PG_DNS_TXT: pg_text_printf(out, "\"%.*s\"", m[at], (const char *)m + at + 1); break;
    case PG_DNS_SOA:
        dns_print_name(out, m, len, &at);
        pg_text_putc(out, ' ');
        dns_print_name(out, m, len, &at);
        /* not the serial, which counts snapshots */
        pg_text_printf(out, " %u %u %u %u", dns_get16(m + at + 6), dns_get16(m + at + 10),
                       dns_get16(m + at + 12) << 16 | dns_get16(m + at + 14),
                       dns_get16(m + at + 18));
        if (at + 20 != end) {
            abort();
        }
        break;
    default: dns_print_name(out, m, len, &at); break;
    }
}

static inline int dns_compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The lines of a section; sorted, since the order of addresses is drawn, unless an alias stands
 * first. */
static inline void dns_print_section(struct pg_text *out, const uint8_t *m, uint32_t len,
                                     uint32_t *at, uint32_t count, const char *title)
{
    char **lines = calloc(count + 1, sizeof(*lines));
    bool sort = true;

    for (uint32_t i = 0; i < count; i++) {
        struct pg_text line = {0};
        char type_text[12];

        pg_text_printf(&line, "%s ", title);
        dns_print_name(&line, m, len, at);
        uint32_t type = dns_get16(m + *at);
        uint32_t size = dns_get16(m + *at + 8);
        uint32_t ttl = dns_get16(m + *at + 4) << 16 | dns_get16(m + *at + 6);

        if (type == PG_DNS_OPT) {
            pg_text_clear(&line);
            pg_text_printf(&line, "opt %u ttl %08x", dns_get16(m + *at + 2), ttl);
        } else {
            pg_text_printf(&line, " %u %s ", ttl, pg_dns_type_name((uint16_t)type, type_text));
            dns_print_data(&line, m, len, type, *at + 10, *at + 10 + size);
        }
        pg_text_putc(&line, '\n');
        *at += 10 + size;
        if (*at > len) {
            abort();
        }
        sort = sort && type != PG_DNS_CNAME;
        lines[i] = line.at;
    }
    if (sort) {
        qsort(lines, count, sizeof(*lines), dns_compare_lines);
    }
    for (uint32_t i = 0; i < count; i++) {
        pg_text_puts(out, lines[i]);
        free(lines[i]);
    }
    free(lines);
}

/* "NOERROR aa tc" and a line per record. Checks that the whole message is well formed. */
static inline void dns_print_response(struct pg_text *out, const uint8_t *m, uint32_t len)
{
    static const char *const rcodes[16] = {"NOERROR",  "FORMERR", "SERVFAIL",
                                           "NXDOMAIN", "NOTIMP",  "REFUSED"};
    uint32_t at = PG_DNS_HEADER;

    if (len < PG_DNS_HEADER || !(m[2] & 0x80) || !rcodes[m[3] & 15]) {
        abort();
    }
    pg_text_puts(out, rcodes[m[3] & 15]);
    pg_text_puts(out, m[2] & 0x04 ? " aa" : "");
    pg_text_puts(out, m[2] & 0x02 ? " tc" : "");
    pg_text_putc(out, '\n');
    if (dns_get16(m + 4)) {
        struct pg_text question = {0};

        dns_print_name(&question, m, len, &at);
        pg_text_free(&question);
        at += 4;
    }
    dns_print_section(out, m, len, &at, dns_get16(m + 6), "answer");
    dns_print_section(out, m, len, &at, dns_get16(m + 8), "authority");
    dns_print_section(out, m, len, &at, dns_get16(m + 10), "more");
    if (at != len) {
        abort();
    }
}

/* Asks and returns the response as text (pg_text_free it); what it was about if wanted. */
static inline struct pg_text dns_ask_full(const struct pg_zone *z, struct dns_question ask,
                                          struct pg_dns_answer *ret_about, uint32_t *ret_len)
{
    static uint8_t out[65535];
    uint8_t built[512];
    uint32_t room = ask.room ? ask.room : sizeof(out);
    uint32_t query_len = dns_query_build(&ask, built);
    uint8_t *query = malloc(query_len); /* its exact size, for the address sanitizer */
    struct pg_text text = {0};

    if (!query) {
        abort();
    }
    memcpy(query, built, query_len);
    uint32_t len = pg_dns_answer(z, query, query_len, ask.over_tcp, ask.draw, out, room, ret_about);

    free(query);
    if (len > room) {
        abort();
    }
    if (ret_len) {
        *ret_len = len;
    }
    if (len) {
        dns_print_response(&text, out, len);
    }
    return text;
}

#endif
