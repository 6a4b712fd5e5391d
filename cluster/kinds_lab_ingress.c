/* spec.ingress of a Lab: which service is in front of the ingress, whom it believes, and what it does with the headers that tell who is
 * asking.
 *
 * Called by kinds_lab.c. What is not written keeps the value of pg_kinds_lab_ingress_default, which is the profile strict. A profile sets every
 * policy; what is written beside it wins. Words that YAML takes for truth values (off, on) are read as the words they are. */
#include "cluster_internal.h"

#include <stdlib.h>
#include <string.h>

static const struct pg_known ingress_fields[] = {{"service", NULL},        {"class", NULL},
                                                 {"configMap", NULL},      {"profile", NULL},
                                                 {"trustedProxies", NULL}, {"trustedHops", NULL},
                                                 {"clientHeader", NULL},   {"xForwardedFor", NULL},
                                                 {"forwarded", NULL},      {"via", NULL},
                                                 {"requestId", NULL},      {"underscores", NULL},
                                                 {"headers", NULL},        {"proxyProtocol", NULL},
                                                 {"limits", NULL},         {"timeouts", NULL},
                                                 {"upstream", NULL},       {"balance", NULL},
                                                 {"trailers", NULL},       {"h2c", NULL},
                                                 {"mergeSlashes", NULL},   {NULL, NULL}};
static const struct pg_known proxy_fields[] = {
    {"ports", NULL},      {"allowedSources", NULL}, {"timeoutSeconds", NULL}, {"httpsPorts", NULL},
    {"believeTLS", NULL}, {"toPods", NULL},         {"tlvs", NULL},           {NULL, NULL}};

#define HOPS_MOST 16
#define PREFACE_SECONDS \
    5 /* a sender has it ready before it connects; the text asks for 3 at least */

void pg_kinds_lab_ingress_default(struct pg_ingress_settings *ret)
{
    static const struct pg_source nowhere = {"", 0};
    *ret = (struct pg_ingress_settings){.config_map = "",
                                        .trusted_source = nowhere,
                                        .upstream_source = nowhere,
                                        .trailers_source = nowhere,
                                        .slashes_source = nowhere,
                                        .hops_source = nowhere,
                                        .profile_source = nowhere,
                                        .proxy = {.ports_source = nowhere,
                                                  .sources_source = nowhere,
                                                  .to_pods_source = nowhere,
                                                  .timeout_ms = PREFACE_SECONDS * 1000}};
    for (uint32_t i = 0; i < PG_IDENTITY_COUNT; i++)
        ret->policy_source[i] = nowhere;
    pg_profile_apply(ret, PG_PROFILE_STRICT);
    pg_ingress_limits_default(&ret->limits);
}

/* ---- words ---- */

/* A word, also one that YAML takes for a truth value. at NULL: not there, or wrong and reported. */
static struct pg_slice word_of(const struct pg_field *f)
{
    const struct pg_tree *t = f->tree;
    if (t == NULL)
        return (struct pg_slice){NULL, 0};
    if (t->kind == PG_TREE_SCALAR && t->plain &&
        (!strcmp(t->text, "off") || !strcmp(t->text, "on"))) {
        if (t->set_read != NULL)
            *t->set_read = true;
        return pg_slice_of(t->text);
    }
    const char *text = pg_field_text(f, NULL);
    return text == NULL ? (struct pg_slice){NULL, 0} : pg_slice_of(text);
}

static void set_policy(const struct pg_field *f, struct pg_ingress_settings *to,
                       enum pg_identity_header header, enum pg_policy policy)
{
    to->policy[header] = (uint8_t)policy;
    to->policy_source[header] = pg_field_source(f);
}

static void fitting(enum pg_identity_header header, struct pg_text *out)
{
    for (enum pg_policy p = 0; p < PG_POLICY_COUNT; p++) {
        if (pg_policy_fits(header, p))
            pg_text_printf(out, "%s%s", out->len ? ", " : "", pg_policy_name(p));
    }
}

/* A policy by its own name. */
static void policy_read(const struct pg_field *f, struct pg_ingress_settings *to,
                        enum pg_identity_header header)
{
    struct pg_slice word = word_of(f);
    struct pg_text all = {0};
    if (word.at == NULL)
        return;
    enum pg_policy policy = pg_policy_find(word);
    if (policy < PG_POLICY_COUNT && pg_policy_fits(header, policy)) {
        set_policy(f, to, header, policy);
        return;
    }
    fitting(header, &all);
    pg_field_error(f, "expected one of %s, got \"%.60s\"", all.at, word.at);
    pg_text_free(&all);
}

static void headers_read(const struct pg_field *ingress, struct pg_ingress_settings *to)
{
    struct pg_field headers = pg_field_get(ingress, "headers");
    uint32_t count = pg_field_map(&headers);
    for (uint32_t i = 0; i < count; i++) {
        struct pg_field f = pg_field_entry(&headers, i);
        enum pg_identity_header header = pg_identity_find(pg_slice_of(f.name));
        if (header == PG_IDENTITY_COUNT)
            pg_field_error(&f, "\"%.60s\" is no header that has a policy", f.name);
        else
            policy_read(&f, to, header);
    }
}

/* The settings that have a name of their own. */
static void policies_read(const struct pg_field *ingress, struct pg_ingress_settings *to)
{
    static const char *const ids[] = {"generate", "preserve-or-generate", NULL};
    static const enum pg_policy id_policies[] = {PG_POLICY_SET, PG_POLICY_ANY_OR_SET};
    struct pg_field chain = pg_field_get(ingress, "xForwardedFor");
    struct pg_field forwarded = pg_field_get(ingress, "forwarded");
    struct pg_field via = pg_field_get(ingress, "via");
    struct pg_field id = pg_field_get(ingress, "requestId");
    struct pg_slice word = word_of(&id);
    policy_read(&chain, to, PG_IDENTITY_X_FORWARDED_FOR);
    if (pg_field_is(&forwarded))
        set_policy(&forwarded, to, PG_IDENTITY_FORWARDED,
                   pg_field_bool(&forwarded, false) ? PG_POLICY_APPEND : PG_POLICY_TRUSTED);
    if (pg_field_is(&via))
        set_policy(&via, to, PG_IDENTITY_VIA,
                   pg_field_bool(&via, false) ? PG_POLICY_APPEND : PG_POLICY_PASS);
    if (pg_slice_is(word, "off"))
        set_policy(&id, to, PG_IDENTITY_X_REQUEST_ID, PG_POLICY_PASS);
    else if (word.at != NULL)
        set_policy(&id, to, PG_IDENTITY_X_REQUEST_ID, id_policies[pg_field_enum(&id, ids, 0)]);
}

static void profile_read(const struct pg_field *ingress, struct pg_ingress_settings *to)
{
    const char *names[PG_PROFILE_COUNT + 1] = {NULL};
    const char *habits[PG_UNDERSCORES_COUNT + 1] = {NULL};
    struct pg_field profile = pg_field_get(ingress, "profile");
    struct pg_field underscores = pg_field_get(ingress, "underscores");
    for (enum pg_profile p = 0; p < PG_PROFILE_COUNT; p++)
        names[p] = pg_profile_name(p);
    for (enum pg_underscores u = 0; u < PG_UNDERSCORES_COUNT; u++)
        habits[u] = pg_underscores_name(u);
    to->profile_source = pg_field_source(&profile);
    pg_profile_apply(to, (enum pg_profile)pg_field_enum(&profile, names, PG_PROFILE_STRICT));
    to->underscores = (uint8_t)pg_field_enum(&underscores, habits, to->underscores);
}

/* ---- trust ---- */

static void warn_if_all(const struct pg_field *f, const struct pg_prefix *ranges, uint32_t count,
                        const char *what)
{
    for (uint32_t i = 0; i < count; i++) {
        if (ranges[i].bits == 0 || (ranges[i].bits == 96 && pg_addr_is_v4(&ranges[i].addr)))
            pg_field_warn(f, PG_CODE_TRUSTS_ALL,
                          "a range of /0: %s, so who can reach the ingress chooses what pods "
                          "believe",
                          what);
    }
}

static bool header_name_ok(const char *name)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");
    return len > 0 && len < PG_CLIENT_HEADER_MAX && name[len] == '\0';
}

/* It is removed from strangers, so it must not be one that every request has. */
static void client_header_read(const struct pg_field *ingress, struct pg_ingress_settings *to)
{
    static const char *const needed[] = {"connection", "content-length", "transfer-encoding",
                                         "cookie",     "authorization",  NULL};
    struct pg_field f = pg_field_get(ingress, "clientHeader");
    const char *name = pg_field_text(&f, NULL);
    if (name == NULL)
        return;
    enum pg_identity_header known = pg_identity_find(pg_slice_of(name));
    bool fine = header_name_ok(name) &&
                (known == PG_IDENTITY_COUNT || known == PG_IDENTITY_X_FORWARDED_FOR ||
                 known == PG_IDENTITY_X_REAL_IP);
    for (const char *const *n = needed; *n != NULL; n++)
        fine = fine && !pg_identity_name_is(pg_slice_of(name), *n);
    if (!fine)
        pg_field_error(&f, "\"%.60s\" can not be the header that names the client", name);
    else if (known != PG_IDENTITY_X_FORWARDED_FOR)
        memcpy(to->client_header, name, strlen(name) + 1);
}

static void trust_read(const struct pg_field *ingress, struct pg_ingress_settings *to)
{
    struct pg_field trusted = pg_field_get(ingress, "trustedProxies");
    struct pg_field hops = pg_field_get(ingress, "trustedHops");
    to->trusted_proxy_count = pg_lab_prefixes(&trusted, to->trusted_proxies, PG_TRUSTED_MOST);
    to->trusted_source = pg_field_source(&trusted);
    warn_if_all(&trusted, to->trusted_proxies, to->trusted_proxy_count,
                "the headers of anybody are believed");
    to->trusted_hops = (uint32_t)pg_field_int(&hops, 0, HOPS_MOST, 0);
    to->hops_source = pg_field_source(&hops);
    if (to->trusted_hops > 0 && to->trusted_proxy_count > 0)
        pg_field_error(&hops, "beside trustedProxies: trust is either a list of ranges or a number "
                              "of hops");
    else if (to->trusted_hops > 0)
        pg_field_warn(&hops, PG_CODE_TRUSTS_ALL,
                      "counting hops believes whoever connects: safe only if nobody reaches the "
                      "ingress past the proxies in front of it");
    client_header_read(ingress, to);
}

/* ---- PROXY protocol ---- */

static uint32_t ports_read(const struct pg_field *f, uint16_t to[PG_PROXY_PORTS_MOST])
{
    uint32_t count = pg_field_list(f);
    uint32_t used = 0;
    if (count > PG_PROXY_PORTS_MOST)
        pg_field_error(f, "expected at most %d ports, got %u", PG_PROXY_PORTS_MOST, count);
    for (uint32_t i = 0; i < count && used < PG_PROXY_PORTS_MOST; i++) {
        struct pg_field item = pg_field_item(f, i);
        to[used] = (uint16_t)pg_field_int(&item, 1, 65535, 0);
        used += to[used] != 0;
    }
    return used;
}

static void listener_read(const struct pg_field *proxy, struct pg_proxy_settings *to)
{
    struct pg_field ports = pg_field_get(proxy, "ports");
    struct pg_field sources = pg_field_get(proxy, "allowedSources");
    to->ports_source = pg_field_source(&ports);
    to->every_port = pg_field_is(&ports) && ports.tree->kind == PG_TREE_SCALAR;
    if (to->every_port && !pg_slice_is(word_of(&ports), "all"))
        pg_field_error(&ports, "expected all, or a list of ports of the ingress service");
    else if (!to->every_port)
        to->port_count = ports_read(&ports, to->ports);
    to->source_count = pg_lab_prefixes(&sources, to->sources, PG_TRUSTED_MOST);
    to->sources_source = pg_field_source(&sources);
    warn_if_all(&sources, to->sources, to->source_count, "anybody may say whose connection it is");
    if ((to->every_port || to->port_count > 0) && to->source_count == 0)
        pg_field_error(&sources, "ports demand a preface, and nobody may send one: give the ranges "
                                 "of the balancers (0.0.0.0/0 for anybody)");
    if (to->source_count > 0 && !pg_field_is(&ports))
        pg_field_error(&sources, "no port demands a preface: give ports, or all");
}

static void senders_read(const struct pg_field *proxy, struct pg_proxy_settings *to)
{
    static const char *const versions[] = {"off", "v1", "v2", NULL};
    static const char *const tlvs[] = {"crc32c", "unique-id", NULL};
    struct pg_field to_pods = pg_field_get(proxy, "toPods");
    struct pg_field list = pg_field_get(proxy, "tlvs");
    struct pg_slice word = word_of(&to_pods);
    uint32_t count = pg_field_list(&list);
    to->to_pods_source = pg_field_source(&to_pods);
    if (word.at != NULL && !pg_slice_is(word, "off"))
        to->to_pods = (uint8_t)pg_field_enum(&to_pods, versions, 0);
    for (uint32_t i = 0; i < count; i++) {
        struct pg_field item = pg_field_item(&list, i);
        int which = pg_field_enum(&item, tlvs, -1);
        to->send_crc = to->send_crc || which == 0;
        to->send_id = to->send_id || which == 1;
    }
    if (count > 0 && to->to_pods != 2)
        pg_field_error(&list, "only version 2 has them: toPods must be v2");
}

static void proxy_read(const struct pg_field *ingress, struct pg_proxy_settings *to)
{
    struct pg_field proxy = pg_field_get(ingress, "proxyProtocol");
    struct pg_field timeout = pg_field_get(&proxy, "timeoutSeconds");
    struct pg_field https = pg_field_get(&proxy, "httpsPorts");
    struct pg_field tls = pg_field_get(&proxy, "believeTLS");
    (void)pg_field_map(&proxy);
    pg_field_known(&proxy, proxy_fields, true);
    listener_read(&proxy, to);
    to->timeout_ms = 1000 * (uint32_t)pg_field_int(&timeout, 1, 60, PREFACE_SECONDS);
    to->https_port_count = ports_read(&https, to->https_ports);
    to->believe_tls = pg_field_bool(&tls, false);
    senders_read(&proxy, to);
}

void pg_kinds_lab_ingress(const struct pg_field *spec, struct pg_raw_lab *lab)
{
    struct pg_ingress_settings *to = &lab->lab.ingress;
    struct pg_field ingress = pg_field_get(spec, "ingress");
    struct pg_field service = pg_field_get(&ingress, "service");
    const char *namespace = NULL;
    const char *name = NULL;
    (void)pg_field_map(&ingress);
    pg_field_known(&ingress, ingress_fields, true);
    if (pg_lab_name(&service, false, &namespace, &name)) {
        lab->ingress_service = pg_field_text(&service, "");
        lab->ingress_source = pg_field_source(&service);
    }
    struct pg_field class_name = pg_field_get(&ingress, "class");
    lab->ingress_class = pg_field_dns_name(&class_name, PG_NAME_SUBDOMAIN, "");
    lab->ingress_class_source = pg_field_source(&class_name);
    struct pg_field config_map = pg_field_get(&ingress, "configMap");
    if (pg_lab_name(&config_map, false, &namespace, &name)) {
        lab->config_map = pg_field_text(&config_map, "");
        lab->config_map_source = pg_field_source(&config_map);
    }
    profile_read(&ingress, to);
    policies_read(&ingress, to);
    headers_read(&ingress, to);
    trust_read(&ingress, to);
    proxy_read(&ingress, &to->proxy);
    pg_kinds_lab_limits(&ingress, &to->limits);
    pg_kinds_lab_upstream(&ingress, to);
}
