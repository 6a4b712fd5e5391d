/* Secrets with certificates, and what an Ingress says about TLS.
 *
 * Called by kinds.c and kinds_ingress.c; adds to load->secrets. No value of a Secret ever goes into a finding: what is wrong is said in
 * words. What is decoded here lies in the scratch memory of the load, which is wiped when it ends; snapshot_tls.c keeps the key
 * in memory of its own.
 *
 * As an API server does: data is base64, stringData is text and wins; type kubernetes.io/tls must have both entries. Whether they are a
 * certificate and its key is asked of whoever started the load (struct pg_load_options.check_pair), since it knows TLS. */
#include "cluster_internal.h"

#include "podglass/private_bytes.h"

#include <string.h>

#define CERT_ENTRY "tls.crt"
#define KEY_ENTRY  "tls.key"
#define CA_ENTRY   "ca.crt"

/* ---- base64 ---- */

static int digit_of(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c == '\0' ? NULL : strchr(digits, c);
    return at == NULL ? -1 : (int)(at - digits);
}

/* Standard base64 with its '='; line ends are skipped. Length, or -1: it is something else. out has room for text. */
static int64_t base64_read(const char *text, char *out)
{
    uint32_t bits = 0;
    uint32_t digits = 0;
    uint32_t pads = 0;
    int64_t len = 0;
    for (; *text != '\0'; text++) {
        int digit = digit_of(*text);
        if (*text == '\n' || *text == '\r')
            continue;
        if (*text == '=' && digits % 4 >= 2) {
            pads++;
            digits++;
            bits <<= 6;
        } else if (digit < 0 || pads > 0) {
            return -1;
        } else {
            digits++;
            bits = bits << 6 | (uint32_t)digit;
        }
        if (digits % 4 != 0)
            continue;
        for (uint32_t i = 0; i < 3 - pads; i++)
            out[len++] = (char)(bits >> (16 - 8 * i));
        bits = 0;
    }
    return digits % 4 == 0 ? len : -1;
}

/* ---- a Secret ---- */

/* One entry. NULL: it is not there, or is wrong and that was said. */
static const char *entry_read(const struct pg_field *root, const char *name, uint32_t *ret_len)
{
    struct pg_load *load = root->load;
    struct pg_field text = pg_field_get(root, "stringData");
    struct pg_field data = pg_field_get(root, "data");
    (void)pg_field_map(&text);
    (void)pg_field_map(&data);
    struct pg_field plain = pg_field_get(&text, name);
    struct pg_field coded = pg_field_get(&data, name);
    if (pg_field_is(&plain)) {
        const char *value = pg_field_text(&plain, "");
        *ret_len = (uint32_t)strlen(value);
        return value;
    }
    if (!pg_field_is(&coded))
        return NULL;
    const char *value = pg_field_text(&coded, "");
    char *out = pg_arena_alloc(&load->scratch, strlen(value) + 1);
    int64_t len = base64_read(value, out);
    if (len < 0)
        pg_field_error(&coded, "is not base64");
    *ret_len = (uint32_t)(len < 0 ? 0 : len);
    return out;
}

/* Says what is wrong with the pair; true: nothing. */
static bool pair_check(const struct pg_field *root, const struct pg_raw_secret *s)
{
    struct pg_load *load = root->load;
    struct pg_text why = {0};
    bool good = true;
    if (s->secret.cert_len == 0 || s->secret.key_len == 0)
        pg_text_printf(&why, "%s is empty", s->secret.cert_len == 0 ? CERT_ENTRY : KEY_ENTRY);
    else if (load->options.check_pair != NULL)
        good = load->options.check_pair((struct pg_slice){s->secret.cert, s->secret.cert_len},
                                        (struct pg_slice){s->secret.key, s->secret.key_len}, &why);
    struct pg_field data = pg_field_get(root, "data");
    struct pg_field text = pg_field_get(root, "stringData");
    const struct pg_field *where = pg_field_is(&data) ? &data : &text;
    if (why.len > 0 && good && s->secret.cert_len > 0 && s->secret.key_len > 0) {
        pg_field_warn(where, PG_CODE_BAD_DATES,
                      "%s: it is shown all the same, and clients that verify it refuse it", why.at);
    } else if (why.len > 0) {
        good = false;
        pg_field_warn(where, PG_CODE_BAD_PAIR, "%s: its hosts get a certificate that is made up",
                      why.at);
    }
    pg_text_free(&why);
    return good;
}

/* Listeners with several certificates choose by them. */
static void names_find(struct pg_load *load, struct pg_secret *s)
{
    struct pg_text lines = {0};
    struct pg_list names = PG_LIST(&load->scratch, const char *);
    if (load->options.names_of != NULL)
        load->options.names_of((struct pg_slice){s->cert, s->cert_len}, &lines);
    for (size_t at = 0; at < lines.len;) {
        size_t len = strcspn(lines.at + at, "\n");
        pg_list_add_pointer(&names, pg_arena_text(&load->scratch, lines.at + at, len));
        at += len + 1;
    }
    s->names = names.at;
    s->name_count = names.count;
    pg_text_free(&lines);
}

/* What pods' certificates are verified by, or what is shown to them (`proxy-ssl-secret`). */
static void ca_read(const struct pg_field *root, const struct pg_object *object, bool pair)
{
    struct pg_load *load = root->load;
    struct pg_raw_ca *ca = pg_arena_alloc(&load->scratch, sizeof(*ca));
    *ca =
        (struct pg_raw_ca){.object = *object, .secret = pair ? load->secrets.count : PG_INDEX_NONE};
    ca->pem = entry_read(root, CA_ENTRY, &ca->len);
    if (pair || ca->len > 0)
        pg_list_add_pointer(&load->cas, ca);
}

void pg_kinds_secret(struct pg_load *load, const struct pg_object *object)
{
    struct pg_field root = pg_field_of(load, object, object->root);
    struct pg_field type = pg_field_get(&root, "type");
    bool is_tls = strcmp(pg_field_text(&type, ""), "kubernetes.io/tls") == 0;
    struct pg_raw_secret *s = pg_arena_alloc(&load->scratch, sizeof(*s));
    load->has_secrets = true;
    s->object = *object;
    s->secret.cert = entry_read(&root, CERT_ENTRY, &s->secret.cert_len);
    s->secret.key = entry_read(&root, KEY_ENTRY, &s->secret.key_len);
    if (is_tls && (s->secret.cert == NULL || s->secret.key == NULL)) {
        struct pg_field data = pg_field_get(&root, "data");
        pg_field_error(&data, "a Secret of type kubernetes.io/tls needs %s",
                       s->secret.cert == NULL ? CERT_ENTRY : KEY_ENTRY);
    }
    bool pair = s->secret.cert != NULL && s->secret.key != NULL;
    ca_read(&root, object, pair);
    if (!pair)
        return; /* holds something else */
    s->secret.usable = pair_check(&root, s);
    if (s->secret.usable)
        names_find(load, &s->secret);
    pg_list_add_pointer(&load->secrets, s);
}

/* ---- spec.tls of an Ingress ---- */

static const struct pg_known tls_fields[] = {{"hosts", NULL}, {"secretName", NULL}, {NULL, NULL}};

static void entry_hosts(const struct pg_field *hosts, struct pg_raw_tls *to)
{
    uint32_t count = pg_field_list(hosts);
    const char **at = pg_arena_array(&hosts->load->scratch, count, sizeof(*at));
    for (uint32_t i = 0; i < count; i++) {
        struct pg_field host = pg_field_item(hosts, i);
        at[i] = pg_kinds_host(&host);
    }
    to->hosts = at;
    to->host_count = count;
}

void pg_kinds_ingress_tls(const struct pg_field *spec, struct pg_raw_ingress *in)
{
    struct pg_field tls = pg_field_get(spec, "tls");
    uint32_t count = pg_field_list(&tls);
    struct pg_raw_tls *all = pg_arena_array(&spec->load->scratch, count, sizeof(*all));
    for (uint32_t i = 0; i < count; i++) {
        struct pg_field item = pg_field_item(&tls, i);
        (void)pg_field_map(&item);
        pg_field_known(&item, tls_fields, false);
        struct pg_field hosts = pg_field_get(&item, "hosts");
        struct pg_field secret = pg_field_get(&item, "secretName");
        entry_hosts(&hosts, &all[i]);
        all[i].secret = pg_field_dns_name(&secret, PG_NAME_SUBDOMAIN, "");
        all[i].source = pg_field_source(pg_field_is(&secret) ? &secret : &item);
    }
    in->tls = all;
    in->tls_count = count;
}
