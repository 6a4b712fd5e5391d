/* backend-protocol and proxy-ssl-* of ingress-nginx: whether pods are spoken to in TLS, and what they must show.
 *
 * Called by annotations.c for each annotation; what they say together, with the Secret, is derive_upstream_tls.c's. Defaults are the controller's. */
#include "annotations.h"

#include <string.h>

static void switch_read(const struct pg_field *f, bool *ret)
{
    const char *text = pg_field_text(f, "");
    *ret = strcmp(text, "on") == 0;
    if (!*ret && strcmp(text, "off") != 0)
        pg_field_warn(f, PG_CODE_UNSUPPORTED, "\"%.80s\" is left out: expected on or off", text);
}

static void name_read(const struct pg_field *f, struct pg_raw_proxy_ssl *to)
{
    const char *text = pg_field_text(f, "");
    if (pg_name_ok(text, PG_NAME_SUBDOMAIN))
        to->name = text;
    else
        pg_field_warn(f, PG_CODE_UNSUPPORTED,
                      "\"%.80s\" is left out: expected a host name in lower case", text);
}

/* Words apart by blanks. What is older than TLS 1.2 is told and not offered. */
static void protocols_read(const struct pg_field *f, struct pg_raw_proxy_ssl *to)
{
    static const char *const known[] = {"TLSv1.2", "TLSv1.3", "TLSv1", "TLSv1.1", "SSLv2", "SSLv3"};
    const char *at = pg_field_text(f, "");
    uint8_t versions = 0;
    while (*(at += strspn(at, " ")) != '\0') {
        size_t len = strcspn(at, " ");
        size_t i = 0;
        while (i < 6 && (strlen(known[i]) != len || strncmp(known[i], at, len) != 0))
            i++;
        if (i == 6) {
            pg_field_warn(f, PG_CODE_UNSUPPORTED, "\"%.*s\" is left out: no protocol",
                          (int)(len < 80 ? len : 80), at);
            return;
        }
        versions |= (uint8_t)(i < 2 ? 1u << i : 0);
        if (i >= 2)
            pg_field_warn(f, PG_CODE_UNSUPPORTED,
                          "%s is not offered: nothing older than TLS 1.2 is", known[i]);
        at += len;
    }
    to->versions = versions;
}

static void ciphers_read(const struct pg_field *f, struct pg_raw_proxy_ssl *to)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "+:_-!";
    const char *text = pg_field_text(f, "");
    if (text[strspn(text, letters)] != '\0')
        pg_field_warn(f, PG_CODE_UNSUPPORTED, "\"%.80s\" is left out: expected names of ciphers",
                      text);
    else
        to->ciphers = strcmp(text, "DEFAULT") == 0 ? "" : text;
}

void pg_annotation_proxy_ssl(const struct pg_field *f, struct pg_raw_proxy_ssl *to)
{
    const char *rest = f->name + strlen(PG_NGINX_PREFIX "proxy-ssl-");
    uint64_t depth = 0;
    if (strcmp(rest, "secret") == 0) {
        to->secret = pg_field_text(f, "");
        to->secret_source = pg_field_source(f);
        return;
    }
    to->first = pg_field_source(f);
    to->first_name = f->name + strlen(PG_NGINX_PREFIX);
    if (strcmp(rest, "verify") == 0) {
        switch_read(f, &to->verify);
        to->verify_source = pg_field_source(f);
    } else if (strcmp(rest, "verify-depth") == 0 && pg_annotation_number(f, 0, 100, &depth)) {
        to->depth = depth == 0 ? 1 : (uint8_t)depth;
    } else if (strcmp(rest, "name") == 0) {
        name_read(f, to);
    } else if (strcmp(rest, "server-name") == 0) {
        switch_read(f, &to->send_name);
    } else if (strcmp(rest, "protocols") == 0) {
        protocols_read(f, to);
    } else if (strcmp(rest, "ciphers") == 0) {
        ciphers_read(f, to);
    } else if (strcmp(rest, "verify-depth") != 0) {
        pg_field_warn(f, PG_CODE_UNSUPPORTED, "unknown annotation of ingress-nginx");
    }
}

bool pg_annotation_backend_protocol(const struct pg_field *f, struct pg_raw_proxy_ssl *to)
{
    const char *text = pg_field_text(f, "");
    bool grpc = strcmp(text, "GRPC") == 0 || strcmp(text, "GRPCS") == 0;
    to->https = strcmp(text, "HTTPS") == 0 || strcmp(text, "GRPCS") == 0;
    to->protocol = text;
    to->source = pg_field_source(f);
    if (!grpc && !to->https && strcmp(text, "HTTP") != 0 && strcmp(text, "AUTO_HTTP") != 0)
        pg_field_warn(f, PG_CODE_UNSUPPORTED,
                      "\"%.40s\" is not supported: pods are spoken to in plain HTTP", text);
    return grpc;
}
