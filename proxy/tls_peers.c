/* How pods are spoken to in TLS: each setting of a load as what OpenSSL needs, made once.
 *
 * Called by listener.c at a load, and by the loader to check a setting. Settings that ask for and believe the same share a context and, by their identity, connections: those
 * that lie idle outlive a reload if nothing of theirs changed.
 *
 * A pod's certificate must be vouched for by the authorities of the setting and be for its name. A certificate that this process made up itself is believed too: only a built-in
 * pod can show one, since the key never leaves the process.
 *
 * Owns contexts, counted by OpenSSL: a connection keeps its own. */
#include "tls_up.h"

#include "tls_internal.h"

#include "podglass/upstream_tls_decide.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct pg_tls_peers {
    uint32_t count;
    struct pg_tls_peer at[];
};

/* Lives as long as its context. */
struct rules {
    X509 *made_up; /* the process' own authority */
    uint32_t count;
    struct pg_tls_name names[];
};

/* ---- what a certificate must be for ---- */

static bool has_uri(X509 *x, const char *uri)
{
    GENERAL_NAMES *all = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    size_t len = strlen(uri);
    bool found = false;
    for (int i = 0; i < sk_GENERAL_NAME_num(all) && !found; i++) {
        const GENERAL_NAME *n = sk_GENERAL_NAME_value(all, i);
        found = n->type == GEN_URI && (size_t)ASN1_STRING_length(n->d.ia5) == len &&
                memcmp(ASN1_STRING_get0_data(n->d.ia5), uri, len) == 0;
    }
    GENERAL_NAMES_free(all);
    return found;
}

static bool names_fit(const struct rules *r, X509 *x)
{
    for (uint32_t i = 0; i < r->count; i++) {
        const char *text = r->names[i].text;
        if (r->names[i].uri ? has_uri(x, text)
                            : X509_check_host(x, text, strlen(text),
                                              X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1)
            return true;
    }
    return r->count == 0;
}

/* Instead of OpenSSL's own check, which it calls. */
static int on_certificate(X509_STORE_CTX *store, void *arg)
{
    const struct rules *r = arg;
    X509 *x = X509_STORE_CTX_get0_cert(store);
    if (r->made_up && X509_verify(x, X509_get0_pubkey(r->made_up)) == 1) {
        X509_STORE_CTX_set_error(store, X509_V_OK);
        return 1;
    }
    ERR_clear_error();
    if (X509_verify_cert(store) <= 0)
        return 0;
    if (names_fit(r, x))
        return 1;
    X509_STORE_CTX_set_error(store, X509_V_ERR_HOSTNAME_MISMATCH);
    return 0;
}

static void on_context_freed(void *parent, void *pointer, CRYPTO_EX_DATA *ad, int index, long argl,
                             void *argp)
{
    struct rules *r = pointer;
    (void)parent;
    (void)ad;
    (void)index;
    (void)argl;
    (void)argp;
    if (!r)
        return;
    for (uint32_t i = 0; i < r->count; i++) {
        char *text; /* ours; const for everybody else */
        memcpy(&text, &r->names[i].text, sizeof(text));
        free(text);
    }
    X509_free(r->made_up);
    free(r);
}

static int rules_index(void)
{
    static int index = -1;
    if (index < 0)
        index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, on_context_freed);
    return index;
}

static bool set_rules(SSL_CTX *c, const struct pg_upstream_tls *t, X509 *made_up)
{
    uint32_t count = t->name_count > 0 ? t->name_count : 1;
    struct rules *r = calloc(1, sizeof(*r) + count * sizeof(r->names[0]));
    if (!r || rules_index() < 0 || SSL_CTX_set_ex_data(c, rules_index(), r) != 1) {
        free(r);
        return false;
    }
    for (; r->count < count; r->count++) {
        struct pg_tls_name from =
            t->name_count > 0 ? t->names[r->count] : (struct pg_tls_name){false, t->name};
        r->names[r->count] = (struct pg_tls_name){from.uri, strdup(from.text)};
        if (!r->names[r->count].text)
            return false;
    }
    if (made_up && X509_up_ref(made_up) == 1)
        r->made_up = made_up;
    SSL_CTX_set_cert_verify_callback(c, on_certificate, r);
    SSL_CTX_set_verify(c, SSL_VERIFY_PEER, NULL);
    if (t->depth > 0)
        SSL_CTX_set_verify_depth(c, t->depth);
    return true;
}

/* ---- contexts ---- */

/* Every certificate of the text becomes one that is believed. */
static bool add_authorities(SSL_CTX *c, const char *pem, uint32_t len)
{
    BIO *bio = BIO_new_mem_buf(pem, (int)len);
    uint32_t count = 0;
    X509 *x;
    while (bio && (x = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        count += X509_STORE_add_cert(SSL_CTX_get_cert_store(c), x) == 1;
        X509_free(x);
    }
    BIO_free(bio);
    ERR_clear_error(); /* "no start line" ends the loop */
    return count > 0;
}

/* NULL, and why. secret: what is shown to a pod that asks; NULL: nothing. */
static SSL_CTX *context_new(const struct pg_upstream_tls *t, const struct pg_cert *shown,
                            X509 *made_up, const char **ret_why)
{
    SSL_CTX *c = pg_tls_context_new(false);
    const char *why = "out of memory";
    bool good = c != NULL;
    if (good && t->ca_len > 0 && !add_authorities(c, t->ca, t->ca_len)) {
        why = "ca.crt holds no certificate in PEM form";
        good = false;
    }
    if (good && t->system && SSL_CTX_set_default_verify_paths(c) != 1)
        good = false;
    if (good && t->ciphers[0] != '\0' && SSL_CTX_set_cipher_list(c, t->ciphers) != 1) {
        why = "proxy-ssl-ciphers names no cipher that is known";
        good = false;
    }
    if (good && !(t->versions & PG_UPSTREAM_TLS_13))
        good = SSL_CTX_set_max_proto_version(c, TLS1_2_VERSION) == 1;
    if (good && !(t->versions & PG_UPSTREAM_TLS_12))
        good = SSL_CTX_set_min_proto_version(c, TLS1_3_VERSION) == 1;
    if (good && shown && shown->cert)
        good = SSL_CTX_use_cert_and_key(c, shown->cert, shown->key, shown->chain, 1) == 1;
    good = good && (!t->verify || set_rules(c, t, made_up));
    ERR_clear_error();
    if (good) {
        /* A body without a length is whole only if the pod says so. */
        (void)SSL_CTX_clear_options(c, SSL_OP_IGNORE_UNEXPECTED_EOF);
        pg_tls_up_keep_tickets(c);
        return c;
    }
    *ret_why = why;
    SSL_CTX_free(c);
    return NULL;
}

bool pg_tls_check_upstream(const struct pg_upstream_tls *tls, struct pg_text *ret_why)
{
    const char *why = "";
    struct pg_upstream_tls asked = *tls;
    asked.verify = false; /* names need no check */
    SSL_CTX *c = context_new(&asked, NULL, NULL, &why);
    if (!c)
        pg_text_puts(ret_why, why);
    SSL_CTX_free(c);
    return c != NULL;
}

/* ---- identities ---- */

static void add(EVP_MD_CTX *d, const void *bytes, size_t len)
{
    uint64_t size = len; /* so that no two lists of parts look the same */
    (void)EVP_DigestUpdate(d, &size, sizeof(size));
    (void)EVP_DigestUpdate(d, bytes, len);
}

static void add_text(EVP_MD_CTX *d, const char *text)
{
    add(d, text, strlen(text));
}

static struct pg_tls_identity identity_of(const struct pg_snapshot *s,
                                          const struct pg_upstream_tls *t)
{
    uint8_t flags[] = {t->send_name, t->verify, t->system, t->depth, t->versions};
    unsigned char digest[EVP_MAX_MD_SIZE];
    struct pg_tls_identity id = {{0, 0}};
    EVP_MD_CTX *d = EVP_MD_CTX_new();
    if (!d || EVP_DigestInit_ex(d, EVP_sha256(), NULL) != 1) {
        EVP_MD_CTX_free(d);
        return id;
    }
    add(d, flags, sizeof(flags));
    add_text(d, t->name);
    add_text(d, t->ciphers);
    add(d, t->ca, t->ca_len);
    for (uint32_t i = 0; i < t->name_count; i++) {
        add(d, &t->names[i].uri, sizeof(t->names[i].uri));
        add_text(d, t->names[i].text);
    }
    if (t->secret != PG_INDEX_NONE) {
        add(d, s->secrets[t->secret].cert, s->secrets[t->secret].cert_len);
        add(d, s->secrets[t->secret].key, s->secrets[t->secret].key_len);
    }
    if (EVP_DigestFinal_ex(d, digest, NULL) == 1) {
        memcpy(&id, digest, sizeof(id));
        id.part[0] |= 1; /* 0 is no TLS */
    }
    EVP_MD_CTX_free(d);
    return id;
}

/* ---- of a load ---- */

static const struct pg_tls_peer *like(const struct pg_tls_peers *all, uint32_t count,
                                      const struct pg_tls_identity *id)
{
    for (uint32_t i = 0; i < count; i++) {
        if (all->at[i].context && memcmp(&all->at[i].identity, id, sizeof(*id)) == 0)
            return &all->at[i];
    }
    return NULL;
}

static void peer_make(struct pg_proxy *p, const struct pg_snapshot *s, struct pg_tls_peers *all,
                      const struct pg_certs *certs)
{
    const struct pg_upstream_tls *t = &s->upstream_tls[all->count];
    struct pg_tls_peer *peer = &all->at[all->count];
    const char *why = NULL;
    peer->identity = identity_of(s, t);
    peer->setting = t;
    const struct pg_tls_peer *same = like(all, all->count, &peer->identity);
    if (same && SSL_CTX_up_ref(same->context) == 1)
        peer->context = same->context;
    else if (peer->identity.part[0] && t->trouble[0] == '\0' &&
             (!t->verify || pg_dev_ca_make(&p->tls->ca)))
        peer->context =
            context_new(t, t->secret == PG_INDEX_NONE ? NULL : &certs->secrets[t->secret],
                        p->tls->ca.cert, &why);
    all->count++;
}

struct pg_tls_peers *pg_tls_peers_new(struct pg_proxy *p, const struct pg_snapshot *s,
                                      const struct pg_certs *certs)
{
    struct pg_tls_peers *all = calloc(1, sizeof(*all) + s->upstream_tls_count * sizeof(all->at[0]));
    while (all && all->count < s->upstream_tls_count)
        peer_make(p, s, all, certs);
    return all;
}

void pg_tls_peers_free(struct pg_tls_peers *t)
{
    for (uint32_t i = 0; t && i < t->count; i++)
        SSL_CTX_free(t->at[i].context);
    free(t);
}

const struct pg_tls_peer *pg_tls_peer_of(const struct pg_tls_peers *t, uint32_t tls)
{
    return tls && t->at[tls - 1].context ? &t->at[tls - 1] : NULL;
}

struct pg_tls_identity pg_tls_peer_identity(const struct pg_tls_peer *peer)
{
    return peer ? peer->identity : (struct pg_tls_identity){{0, 0}};
}
