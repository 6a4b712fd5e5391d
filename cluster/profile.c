/* What a profile means, and the words for policies and headers: profiles.def as tables.
 *
 * Called by kinds_lab_ingress.c and by proxy/identity.c. Pure. */
#include "podglass/ingress_settings.h"

#include <string.h>

/* Which policies fit a kind of header. */
#define BIT(id)         (UINT32_C(1) << PG_POLICY_##id)
#define PG_FITS_FOREIGN (BIT(OFF) | BIT(PASS) | BIT(TRUSTED)) /* we have no value of our own */
#define PG_FITS_COPY    (PG_FITS_FOREIGN | BIT(SET))
#define PG_FITS_VALUE   (PG_FITS_COPY | BIT(TRUSTED_OR_SET) | BIT(ANY_OR_SET))
#define PG_FITS_PROTO   (PG_FITS_VALUE | BIT(TRUSTED_OR_WS))
#define PG_FITS_PORT    (PG_FITS_VALUE | BIT(TRUSTED_OR_HOST) | BIT(SET_LISTEN))
#define PG_FITS_LIST    (PG_FITS_FOREIGN | BIT(APPEND))
#define PG_FITS_CHAIN                                                                            \
    (BIT(OFF) | BIT(PASS) | BIT(APPEND) | BIT(APPEND_ALWAYS) | BIT(SECOND_LINE) | BIT(REPLACE) | \
     BIT(PRESERVE))
#define PG_FITS_VIA  (BIT(OFF) | BIT(PASS) | BIT(APPEND))
#define PG_FITS_ID   (BIT(OFF) | BIT(PASS) | BIT(SET) | BIT(ANY_OR_SET))
#define PG_FITS_HOST (BIT(PASS) | BIT(TRUSTED_OR_SET) | BIT(ANY_OR_SET))

static const char *const policy_names[] = {
#define PG_POLICY(id, name, text) [PG_POLICY_##id] = (name),
#include "podglass/profiles.def"
};
static const struct {
    const char *name, *text;
    uint8_t underscores;
    bool keep_slashes;
} profiles[] = {
#define MERGED false
#define KEPT   true
#define PG_PROFILE(id, name, underscores, slashes, text) \
    [PG_PROFILE_##id] = {(name), (text), PG_UNDERSCORES_##underscores, slashes},
#include "podglass/profiles.def"
};
static const struct {
    const char *name;
    uint32_t fits;
    uint8_t policy[PG_PROFILE_COUNT];
} headers[] = {
#define PG_IDENTITY(id, name, fits, strict, ingress_nginx, envoy_edge, traefik, haproxy) \
    [PG_IDENTITY_##id] = {(name),                                                        \
                          (fits),                                                        \
                          {[PG_PROFILE_STRICT] = PG_POLICY_##strict,                     \
                           [PG_PROFILE_INGRESS_NGINX] = PG_POLICY_##ingress_nginx,       \
                           [PG_PROFILE_ENVOY_EDGE] = PG_POLICY_##envoy_edge,             \
                           [PG_PROFILE_TRAEFIK] = PG_POLICY_##traefik,                   \
                           [PG_PROFILE_HAPROXY] = PG_POLICY_##haproxy}},
#include "podglass/profiles.def"
};
static const char *const underscore_names[] = {
    [PG_UNDERSCORES_TWINS] = "drop-twins",
    [PG_UNDERSCORES_ALL] = "drop-all",
    [PG_UNDERSCORES_PASS] = "pass",
};
_Static_assert(sizeof(policy_names) / sizeof(policy_names[0]) == PG_POLICY_COUNT, "all named");
_Static_assert(sizeof(profiles) / sizeof(profiles[0]) == PG_PROFILE_COUNT, "all named");
_Static_assert(sizeof(headers) / sizeof(headers[0]) == PG_IDENTITY_COUNT, "all named");
_Static_assert(sizeof(underscore_names) / sizeof(underscore_names[0]) == PG_UNDERSCORES_COUNT,
               "all named");

void pg_profile_apply(struct pg_ingress_settings *settings, enum pg_profile profile)
{
    settings->profile = profile;
    settings->underscores = profiles[profile].underscores;
    if (settings->slashes_source.line == 0)
        settings->keep_slashes = profiles[profile].keep_slashes;
    for (uint32_t i = 0; i < PG_IDENTITY_COUNT; i++) {
        if (settings->policy_source[i].line == 0)
            settings->policy[i] = headers[i].policy[profile];
    }
}

bool pg_policy_fits(enum pg_identity_header header, enum pg_policy policy)
{
    return (headers[header].fits >> policy & 1) != 0;
}

const char *pg_profile_name(enum pg_profile p)
{
    return profiles[p].name;
}

const char *pg_profile_text(enum pg_profile p)
{
    return profiles[p].text;
}

const char *pg_policy_name(enum pg_policy p)
{
    return policy_names[p];
}

const char *pg_identity_name(enum pg_identity_header h)
{
    return headers[h].name;
}

const char *pg_underscores_name(enum pg_underscores u)
{
    return underscore_names[u];
}

enum pg_profile pg_profile_find(struct pg_slice name)
{
    enum pg_profile p = 0;
    while (p < PG_PROFILE_COUNT && !pg_slice_is(name, profiles[p].name))
        p++;
    return p;
}

enum pg_policy pg_policy_find(struct pg_slice name)
{
    enum pg_policy p = 0;
    while (p < PG_POLICY_COUNT && !pg_slice_is(name, policy_names[p]))
        p++;
    return p;
}

enum pg_underscores pg_underscores_find(struct pg_slice name)
{
    enum pg_underscores u = 0;
    while (u < PG_UNDERSCORES_COUNT && !pg_slice_is(name, underscore_names[u]))
        u++;
    return u;
}

bool pg_identity_name_is(struct pg_slice name, const char *wanted)
{
    size_t i = 0;
    for (; i < name.len && wanted[i] != '\0'; i++) {
        char a = name.at[i], b = wanted[i];
        a = (char)(a >= 'A' && a <= 'Z' ? a | 0x20 : a == '_' ? '-' : a);
        b = (char)(b >= 'A' && b <= 'Z' ? b | 0x20 : b == '_' ? '-' : b);
        if (a != b)
            return false;
    }
    return i == name.len && wanted[i] == '\0';
}

enum pg_identity_header pg_identity_find(struct pg_slice name)
{
    enum pg_identity_header h = 0;
    while (h < PG_IDENTITY_COUNT && !pg_identity_name_is(name, headers[h].name))
        h++;
    return h;
}
