/* Certificates: those of Secrets, and those that are made up where no Secret has one.
 *
 * Called at a load (Secrets are parsed once) and at the beginning of a handshake. What is made up is signed by a development authority that lives as
 * long as the process: who wants to trust it gets its certificate in a file (`run --dev-cert`). Its key never leaves this file. One key serves all
 * certificates it signs, so a new host costs one signature, at the first connection that asks for it; only hosts of the manifests get one, so
 * strangers' names cost nothing.
 *
 * ECDSA on P-256: signing is thirty times cheaper than with RSA of the same strength. */
#include "tls_internal.h"

#include "podglass/log.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define DAYS_VALID   30
#define CHAIN_MOST   16
#define UNKNOWN_NAME "ingress.podglass.invalid" /* RFC 6761: nobody has it */

/* ---- PEM ---- */

/* A key that needs a passphrase can not be used; asking for one on a terminal would be worse. */
static int no_passphrase(char *out, int size, int writing, void *arg)
{
    (void)out;
    (void)size;
    (void)writing;
    (void)arg;
    return -1;
}

void pg_cert_free(struct pg_cert *c)
{
    X509_free(c->cert);
    sk_X509_pop_free(c->chain, X509_free);
    EVP_PKEY_free(c->key);
    *c = (struct pg_cert){0};
}

/* The first certificate is the server's, the rest vouch for it. */
static bool read_certificates(const char *pem, size_t len, struct pg_cert *ret)
{
    BIO *bio = BIO_new_mem_buf(pem, (int)len);
    X509 *next = NULL;
    ret->cert = bio ? PEM_read_bio_X509(bio, NULL, no_passphrase, NULL) : NULL;
    ret->chain = ret->cert ? sk_X509_new_null() : NULL;
    while (ret->chain && sk_X509_num(ret->chain) < CHAIN_MOST &&
           (next = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL)) != NULL) {
        if (sk_X509_push(ret->chain, next) == 0)
            X509_free(next);
    }
    BIO_free(bio);
    ERR_clear_error(); /* "no start line" ends the loop */
    return ret->cert != NULL;
}

static bool read_key(const char *pem, size_t len, struct pg_cert *ret)
{
    BIO *bio = BIO_new_mem_buf(pem, (int)len);
    ret->key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
    BIO_free(bio);
    ERR_clear_error();
    return ret->key != NULL;
}

/* A ticket counts only under the certificate it was given under: else a name could be reached with what was agreed for another. */
static bool use(const struct pg_cert *c, SSL *ssl)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    bool good = SSL_use_cert_and_key(ssl, c->cert, c->key, c->chain, 1) == 1 &&
                X509_digest(c->cert, EVP_sha256(), digest, &len) == 1 &&
                SSL_set_session_id_context(ssl, digest, len) == 1;
    ERR_clear_error();
    return good;
}

/* What is wrong with a pair, or NULL. */
static const char *pair_fault(const struct pg_cert *c)
{
    const char *fault = "out of memory";
    SSL_CTX *context = NULL;
    SSL *ssl = NULL;
    if (X509_check_private_key(c->cert, c->key) != 1) {
        ERR_clear_error();
        return "tls.key is not the key of the first certificate in tls.crt";
    }
    context = pg_tls_context_new(true);
    ssl = context ? SSL_new(context) : NULL;
    if (ssl)
        fault = use(c, ssl) ? NULL : "key or signature is too weak to be used with TLS 1.2";
    SSL_free(ssl);
    SSL_CTX_free(context);
    return fault;
}

static const char *read_pair(struct pg_slice cert, struct pg_slice key, struct pg_cert *ret)
{
    if (cert.len > INT32_MAX || !read_certificates(cert.at, cert.len, ret))
        return "tls.crt is no certificate in PEM form";
    if (key.len > INT32_MAX || !read_key(key.at, key.len, ret))
        return "tls.key is no private key in PEM form without passphrase";
    return pair_fault(ret);
}

/* "tls.crt is not valid after Jan  1 00:00:00 2026 GMT"; nothing if its time is now. */
static void print_dates(const X509 *cert, struct pg_text *out)
{
    const ASN1_TIME *from = X509_get0_notBefore(cert);
    const ASN1_TIME *until = X509_get0_notAfter(cert);
    bool early = X509_cmp_current_time(from) > 0;
    char date[64] = "";
    if (!early && X509_cmp_current_time(until) > 0)
        return;
    BIO *bio = BIO_new(BIO_s_mem());
    if (bio && ASN1_TIME_print(bio, early ? from : until) == 1) {
        int len = BIO_read(bio, date, sizeof(date) - 1);
        date[len > 0 ? len : 0] = '\0';
    }
    BIO_free(bio);
    ERR_clear_error();
    pg_text_printf(out, "tls.crt is not valid %s %s", early ? "before" : "after", date);
}

bool pg_tls_check_pair(struct pg_slice cert, struct pg_slice key, struct pg_text *ret_why)
{
    struct pg_cert c = {0};
    const char *fault = read_pair(cert, key, &c);
    if (fault)
        pg_text_puts(ret_why, fault);
    else
        print_dates(c.cert, ret_why);
    pg_cert_free(&c);
    return fault == NULL;
}

static void put_name(const ASN1_STRING *name, struct pg_text *ret)
{
    const char *at = (const char *)ASN1_STRING_get0_data(name);
    int len = ASN1_STRING_length(name);
    if (len <= 0 || len > PG_HELLO_NAME || memchr(at, '\0', (size_t)len) ||
        memchr(at, '\n', (size_t)len))
        return;
    for (int i = 0; i < len; i++)
        pg_text_putc(ret, (char)(at[i] >= 'A' && at[i] <= 'Z' ? at[i] | 0x20 : at[i]));
    pg_text_putc(ret, '\n');
}

void pg_tls_names_of(struct pg_slice cert, struct pg_text *ret)
{
    struct pg_cert c = {0};
    GENERAL_NAMES *all = read_certificates(cert.at, cert.len, &c)
                             ? X509_get_ext_d2i(c.cert, NID_subject_alt_name, NULL, NULL)
                             : NULL;
    for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
        const GENERAL_NAME *n = sk_GENERAL_NAME_value(all, i);
        if (n->type == GEN_DNS)
            put_name(n->d.dNSName, ret);
    }
    GENERAL_NAMES_free(all);
    pg_cert_free(&c);
    ERR_clear_error();
}

bool pg_tls_covers_host(struct pg_slice cert, const char *host)
{
    struct pg_cert c = {0};
    bool covers = read_certificates(cert.at, cert.len, &c) &&
                  X509_check_host(c.cert, host, strlen(host), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS,
                                  NULL) == 1;
    pg_cert_free(&c);
    ERR_clear_error();
    return covers;
}

/* ---- the development authority ---- */

static bool add_extension(X509 *to, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, to, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    bool good = e && X509_add_ext(to, e, -1) == 1;
    X509_EXTENSION_free(e);
    return good;
}

static bool set_serial(X509 *x)
{
    BIGNUM *n = BN_new();
    bool good = n && BN_rand(n, 127, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
                BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x)) != NULL;
    BN_free(n);
    return good;
}

/* All but names, extensions and signature. Valid from an hour ago: clocks differ. */
static X509 *new_certificate(EVP_PKEY *key, const char *subject, const X509_NAME *issuer)
{
    X509 *x = X509_new();
    X509_NAME *name = x ? X509_get_subject_name(x) : NULL;
    bool good = x && X509_set_version(x, X509_VERSION_3) == 1 && set_serial(x) &&
                X509_gmtime_adj(X509_getm_notBefore(x), -3600) &&
                X509_gmtime_adj(X509_getm_notAfter(x), DAYS_VALID * 86400L) &&
                X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)subject,
                                           -1, -1, 0) == 1 &&
                X509_set_issuer_name(x, issuer ? issuer : name) == 1 && X509_set_pubkey(x, key);
    if (good)
        return x;
    X509_free(x);
    return NULL;
}

bool pg_dev_ca_make(struct pg_dev_ca *ca)
{
    if (ca->cert)
        return true;
    ca->key = EVP_EC_gen("P-256");
    ca->leaf_key = EVP_EC_gen("P-256");
    X509 *x = ca->key && ca->leaf_key
                  ? new_certificate(ca->key, "podglass development authority", NULL)
                  : NULL;
    bool good = x && add_extension(x, x, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
                add_extension(x, x, NID_key_usage, "critical,keyCertSign") &&
                add_extension(x, x, NID_subject_key_identifier, "hash") &&
                X509_sign(x, ca->key, EVP_sha256()) > 0;
    if (good) {
        ca->cert = x;
        return true;
    }
    X509_free(x);
    pg_dev_ca_free(ca);
    return false;
}

void pg_dev_ca_free(struct pg_dev_ca *ca)
{
    X509_free(ca->cert);
    EVP_PKEY_free(ca->key);
    EVP_PKEY_free(ca->leaf_key);
    *ca = (struct pg_dev_ca){0};
}

/* For one host; a wildcard stays one. The subject must fit 64 letters, the name that counts is the other. */
bool pg_dev_cert_make(struct pg_dev_ca *ca, const char *host, struct pg_cert *ret)
{
    char names[PG_HELLO_NAME + 8];
    if (!pg_dev_ca_make(ca))
        return false;
    (void)snprintf(names, sizeof(names), "DNS:%s", host);
    X509 *x = new_certificate(ca->leaf_key, strlen(host) <= 64 ? host : UNKNOWN_NAME,
                              X509_get_subject_name(ca->cert));
    bool good = x && add_extension(x, ca->cert, NID_basic_constraints, "critical,CA:FALSE") &&
                add_extension(x, ca->cert, NID_key_usage, "critical,digitalSignature") &&
                add_extension(x, ca->cert, NID_ext_key_usage, "serverAuth") &&
                add_extension(x, ca->cert, NID_authority_key_identifier, "keyid") &&
                add_extension(x, ca->cert, NID_subject_alt_name, names) &&
                X509_sign(x, ca->key, EVP_sha256()) > 0;
    if (!good) {
        X509_free(x);
        return false;
    }
    ret->cert = x;
    EVP_PKEY_up_ref(ca->leaf_key);
    ret->key = ca->leaf_key;
    return true;
}

/* Written aside and renamed, so that nobody reads half of it. */
int pg_proxy_write_ca(struct pg_proxy *p, const char *path)
{
    struct pg_dev_ca *ca = &p->tls->ca;
    char aside[4096];
    int len = snprintf(aside, sizeof(aside), "%s.new", path);
    if (len < 0 || (size_t)len >= sizeof(aside))
        return -ENAMETOOLONG;
    if (!pg_dev_ca_make(ca))
        return -ENOMEM;
    FILE *f = fopen(aside, "we");
    if (!f)
        return -errno;
    bool good = PEM_write_X509(f, ca->cert) == 1;
    good &= fclose(f) == 0;
    if (good && rename(aside, path) == 0)
        return 0;
    int error = errno != 0 ? -errno : -EIO;
    (void)remove(aside);
    return error;
}

/* ---- certificates of a load ---- */

struct pg_certs *pg_certs_new(const struct pg_snapshot *s)
{
    struct pg_certs *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    c->snapshot = s;
    c->secrets = calloc(s->secret_count + 1, sizeof(c->secrets[0]));
    c->made = calloc(s->tls_host_count + 1, sizeof(c->made[0]));
    if (!c->secrets || !c->made) {
        pg_certs_free(c);
        return NULL;
    }
    for (uint32_t i = 0; i < s->secret_count; i++) {
        const struct pg_secret *secret = &s->secrets[i];
        struct pg_slice cert = {secret->cert, secret->cert_len};
        struct pg_slice key = {secret->key, secret->key_len};
        if (secret->usable && read_pair(cert, key, &c->secrets[i]) != NULL)
            pg_cert_free(&c->secrets[i]);
    }
    return c;
}

void pg_certs_free(struct pg_certs *c)
{
    if (!c)
        return;
    for (uint32_t i = 0; c->secrets && i < c->snapshot->secret_count; i++)
        pg_cert_free(&c->secrets[i]);
    for (uint32_t i = 0; c->made && i <= c->snapshot->tls_host_count; i++)
        pg_cert_free(&c->made[i]);
    free(c->secrets);
    free(c->made);
    free(c);
}

/* Certificates of the same listener with keys of another kind, for clients that can not take the first. */
static bool use_beside(struct pg_certs *c, const struct pg_tls_host *host, const char *name,
                       SSL *ssl)
{
    const struct pg_snapshot *s = c->snapshot;
    bool good = true;
    if (host->listener == PG_INDEX_NONE || !pg_tls_secret_covers(s, host->secret, name))
        return true;
    int kind = EVP_PKEY_get_base_id(c->secrets[host->secret].key);
    for (uint32_t i = s->tls_listener_first; i < s->tls_host_count && good; i++) {
        const struct pg_tls_host *h = &s->tls_hosts[i];
        if (h->listener != host->listener || !pg_tls_secret_covers(s, h->secret, name))
            continue;
        const struct pg_cert *cert = &c->secrets[h->secret];
        if (cert->cert && EVP_PKEY_get_base_id(cert->key) != kind)
            good = SSL_use_cert_and_key(ssl, cert->cert, cert->key, cert->chain, 1) == 1;
    }
    return good;
}

int pg_certs_use(struct pg_certs *c, struct pg_dev_ca *ca, const struct pg_tls_host *host,
                 const char *server_name, SSL *ssl)
{
    const struct pg_snapshot *s = c->snapshot;
    if (host && host->secret != PG_INDEX_NONE && c->secrets[host->secret].cert)
        return use_beside(c, host, server_name, ssl) && use(&c->secrets[host->secret], ssl)
                   ? 0
                   : -ENOMEM;
    uint32_t at = host ? (uint32_t)(host - s->tls_hosts) : s->tls_host_count;
    const char *name = host && host->host[0] ? host->host : UNKNOWN_NAME;
    if (!c->made[at].cert && !pg_dev_cert_make(ca, name, &c->made[at])) {
        ERR_clear_error();
        return -ENOMEM;
    }
    return use(&c->made[at], ssl) ? 0 : -ENOMEM;
}
