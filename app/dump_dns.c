/* `get dns`: what the cluster DNS says of names, and what is kept of other servers' answers.
 *
 * The zone is asked for what is listed (podglass/dns_list.h). Without a name: addresses and aliases of each service and host, the domain's own
 * records, and every kept answer. With one: all types of that name; `shop/web` stands for the service's, an address for its reverse name.
 *
 * Called by dump_json.c. Endpoints' own names and SRV are only in answers for a name: a list of them all would be as long as all slices, several times. */
#include "dump_internal.h"

#include "podglass/dns_list.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char *const all_types[] = {"CNAME", "A", "AAAA", "SRV", "PTR", "TXT", "NS", "SOA"};
static const char *const address_types[] = {"CNAME", "A", "AAAA"};
static const char *const domain_types[] = {"NS", "SOA"};
#define COUNT(types) (sizeof(types) / sizeof((types)[0]))

/* A record, or (line NULL) that there is none. */
static void item(struct pg_dump *d, const char *question, const char *type,
                 const struct pg_dns_line *line, const char *status)
{
    struct pg_json *j = &d->json;

    pg_json_object(j);
    pg_json_key_string(j, "question", question);
    pg_json_key_string(j, "name", line ? line->name : question);
    pg_json_key_string(j, "type", line ? line->type : type);
    pg_json_key_string(j, "status", status);
    pg_json_key_string(j, "data", line ? line->data.at : NULL);
}

/* The end of an item: where it comes from. */
static void from_zone(struct pg_dump *d, uint32_t ttl, pg_reason_id reason)
{
    struct pg_json *j = &d->json;

    pg_json_key_string(j, "from", "zone");
    pg_json_key_uint(j, "ttlSeconds", ttl);
    pg_json_key_string(j, "timeoutSeconds", NULL);
    pg_json_key_string(j, "ageSeconds", NULL);
    pg_dump_reason(d, "reason", reason);
    pg_json_object_end(j);
}

static void from_cache(struct pg_dump *d, const struct pg_dns_kept *k)
{
    struct pg_json *j = &d->json;

    pg_json_key_string(j, "from", "cache");
    pg_json_key_string(j, "ttlSeconds", NULL);
    pg_json_key_uint(j, "timeoutSeconds", k->left_s);
    pg_json_key_uint(j, "ageSeconds", k->age_s);
    pg_dump_reason(d, "reason", k->reason);
    pg_json_object_end(j);
}

/* Records of just these types: the aliases on the way are asked for by themselves. */
static void ask(struct pg_dump *d, const char *name, const char *const *types, size_t count)
{
    static uint8_t answer[UINT16_MAX]; /* one thread, never nested */
    struct pg_dns_line line = {.data = {0}};
    struct pg_dns_answer about;

    for (size_t i = 0; i < count; i++) {
        uint64_t cursor = 0;
        uint32_t len = pg_dns_ask(pg_path_zone(d->path), name, pg_dns_type_of(types[i]), answer,
                                  sizeof answer, &about);

        while (pg_dns_line_next(answer, len, &cursor, &line)) {
            if (strcmp(line.type, types[i]) == 0) {
                item(d, about.name, types[i], &line, pg_dns_status_name(PG_DNS_OK));
                from_zone(d, line.ttl_s, about.reason);
            }
        }
    }
    pg_text_free(&line.data);
}

/* ---- what is kept ---- */

static bool is_name(const char *name, const char *absolute)
{
    size_t len = strlen(name);

    len -= len > 0 && name[len - 1] == '.';
    return strncasecmp(name, absolute, len) == 0 && strcmp(absolute + len, ".") == 0;
}

static void kept(struct pg_dump *d, const char *name)
{
    struct pg_dns_line line = {.data = {0}};
    struct pg_dns_kept k;
    uint32_t cursor = 0;

    while (pg_dns_kept_next(pg_path_dns_forward(d->path), &cursor, &k)) {
        uint64_t at = 0;
        bool any = false;

        if (name && !is_name(name, k.name)) {
            continue;
        }
        while (pg_dns_line_next(k.message, k.len, &at, &line)) {
            any = true;
            item(d, k.name, k.type, &line, k.status);
            from_cache(d, &k);
        }
        if (!any) {
            item(d, k.name, k.type, NULL, k.status);
            from_cache(d, &k);
        }
    }
    pg_text_free(&line.data);
}

/* ---- names ---- */

/* 10.96.0.10 as 10.0.96.10.in-addr.arpa, fd96::1 as its 32 digits. */
static void reverse_name(const struct pg_addr *a, char *out, size_t room)
{
    size_t used = 0;
    bool v4 = pg_addr_is_v4(a);

    for (unsigned i = 16; i-- > (v4 ? 12u : 0u);) {
        used += (size_t)snprintf(out + used, room - used, v4 ? "%u." : "%x.",
                                 v4 ? a->bytes[i] : a->bytes[i] & 15u);
        if (!v4) {
            used += (size_t)snprintf(out + used, room - used, "%x.", a->bytes[i] >> 4u);
        }
    }
    snprintf(out + used, room - used, v4 ? "in-addr.arpa" : "ip6.arpa");
}

static void one_name(struct pg_dump *d, const char *name)
{
    char text[512];
    struct pg_addr a;
    const char *slash = strchr(name, '/');

    if (slash) {
        snprintf(text, sizeof text, "%s.%.*s.svc.%s", slash + 1, (int)(slash - name), name,
                 d->snapshot->lab.cluster_domain);
    } else if (pg_addr_parse(name, strlen(name), &a) == 0) {
        reverse_name(&a, text, sizeof text);
    } else {
        snprintf(text, sizeof text, "%s", name);
    }
    ask(d, text, all_types, COUNT(all_types));
    kept(d, text);
}

void pg_dump_dns(struct pg_dump *d)
{
    const struct pg_snapshot *s = d->snapshot;
    char text[512];

    if (!s) {
        return;
    }
    if (d->name) {
        one_name(d, d->name);
        return;
    }
    ask(d, s->lab.cluster_domain, domain_types, COUNT(domain_types));
    for (uint32_t i = 0; i < s->service_count; i++) {
        snprintf(text, sizeof text, "%s.%s.svc.%s", s->services[i].name, s->services[i].namespace,
                 s->lab.cluster_domain);
        ask(d, text, address_types, COUNT(address_types));
    }
    for (uint32_t i = 0; i < s->route_count; i++) {
        const char *host = s->routes[i].host;

        if (host[0] && (i == 0 || strcmp(host, s->routes[i - 1].host) != 0)) {
            ask(d, host, address_types, COUNT(address_types));
        }
    }
    kept(d, NULL);
}
