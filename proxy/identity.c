/* What becomes of each header that tells who is asking: the policies of a profile, and the fate of a line that was received.
 *
 * Called by `listener.c` at a load and by the tools' dry run (pg_identity_of), and by `http_rewrite.c` for each such line. Every policy has its
 * reason, interned once: the Lab's field and its line, or the profile's.
 *
 * Pure. Owns nothing. */
#include "podglass/ingress_decide.h"

#include <stdio.h>
#include <string.h>

/* As profiles.def has it; a test compares. */
const struct pg_identity pg_identity_strict = {.policy = {
#define PG_IDENTITY(id, name, fits, strict, ingress_nginx, envoy_edge, traefik, haproxy) \
    [PG_IDENTITY_##id] = PG_POLICY_##strict,
#include "podglass/profiles.def"
                                               }};

static bool counts(enum pg_policy policy, bool trusted)
{
    switch (policy) {
    case PG_POLICY_TRUSTED_OR_SET:
    case PG_POLICY_TRUSTED_OR_WS:
    case PG_POLICY_TRUSTED_OR_HOST:
    case PG_POLICY_SET: /* ours is written all the same; the record shows both */
    case PG_POLICY_APPEND:
    case PG_POLICY_PRESERVE: return trusted;
    case PG_POLICY_ANY_OR_SET:
    case PG_POLICY_APPEND_ALWAYS: return true;
    default: return false;
    }
}

enum pg_fate pg_identity_fate(const struct pg_identity *i, const struct pg_client_addr *who,
                              enum pg_identity_header header)
{
    enum pg_policy policy = (enum pg_policy)i->policy[header];
    switch (policy) {
    case PG_POLICY_PASS:
    case PG_POLICY_SECOND_LINE: return PG_FATE_PASS;
    case PG_POLICY_TRUSTED: return who->hop_trusted ? PG_FATE_PASS : PG_FATE_REMOVE;
    default: break;
    }
    if (header == PG_IDENTITY_VIA && policy == PG_POLICY_APPEND)
        return PG_FATE_REPLACE; /* tells the way, not the client: nobody has to be believed */
    return counts(policy, who->hop_trusted) ? PG_FATE_REPLACE : PG_FATE_REMOVE;
}

enum pg_identity_header pg_identity_of_field(const char *bytes, const struct pg_http_field *f,
                                             bool *ret_twin)
{
    struct pg_slice name = pg_span_slice(bytes, f->name);
    *ret_twin = false;
    switch (f->id) {
    case PG_HTTP_NAME_X_FORWARDED_FOR: return PG_IDENTITY_X_FORWARDED_FOR;
    case PG_HTTP_NAME_X_REAL_IP: return PG_IDENTITY_X_REAL_IP;
    case PG_HTTP_NAME_VIA: return PG_IDENTITY_VIA;
    case PG_HTTP_NAME_X_REQUEST_ID: return PG_IDENTITY_X_REQUEST_ID;
    case PG_HTTP_NAME_IDENTITY:
        *ret_twin = memchr(name.at, '_', name.len) != NULL;
        return pg_identity_find(name);
    default: return PG_IDENTITY_COUNT;
    }
}

bool pg_forwarded_closed(struct pg_slice value)
{
    bool quoted = false;
    for (size_t i = 0; i < value.len; i++) {
        if (value.at[i] == '"')
            quoted = !quoted;
        else if (quoted && value.at[i] == '\\')
            i++;
    }
    return !quoted;
}

/* ---- reasons ---- */

static pg_reason_id policy_reason(const struct pg_ingress_settings *settings,
                                  enum pg_identity_header header, enum pg_code code)
{
    char field[64], value[96];
    const struct pg_source *own = &settings->policy_source[header];
    const struct pg_source *from = own->line != 0 ? own : &settings->profile_source;
    const char *word = pg_policy_name((enum pg_policy)settings->policy[header]);
    (void)snprintf(field, sizeof(field), "spec.ingress.headers.%s", pg_identity_name(header));
    if (own->line != 0)
        (void)snprintf(value, sizeof(value), "%s", word);
    else
        (void)snprintf(value, sizeof(value), "%s, profile %s", word,
                       pg_profile_name(settings->profile));
    return pg_reason_intern(&(struct pg_reason){
        .code = code,
        .defaulted = from->line == 0,
        .object = pg_settings_object(settings,
                                     own->line != 0 ? UINT32_C(1) << header : PG_CONFIG_PROFILE),
        .field = field,
        .value = value,
        .file = from->file,
        .line = from->line});
}

static pg_reason_id underscore_reason(const struct pg_ingress_settings *settings)
{
    return pg_reason_intern(&(struct pg_reason){
        .code = PG_CODE_HEADER_POLICY,
        .object = pg_settings_object(settings, PG_CONFIG_PROFILE),
        .field = "spec.ingress.underscores",
        .value = pg_underscores_name((enum pg_underscores)settings->underscores),
        .file = settings->profile_source.file,
        .line = settings->profile_source.line});
}

struct pg_identity pg_identity_of(const struct pg_snapshot *s)
{
    const struct pg_ingress_settings *settings = &s->lab.ingress;
    struct pg_identity ret = {.trust = pg_trust_of(s), .underscores = settings->underscores};
    bool strict = settings->profile == PG_PROFILE_STRICT;
    ret.client_header_passes = !strict;
    memcpy(ret.policy, settings->policy, sizeof(ret.policy));
    for (enum pg_identity_header h = 0; h < PG_IDENTITY_COUNT; h++) {
        if (strict && settings->policy_source[h].line == 0)
            continue; /* the client's own reason says more */
        ret.written[h] = policy_reason(settings, h, PG_CODE_HEADER_POLICY);
        bool tells_who = h != PG_IDENTITY_VIA && h != PG_IDENTITY_X_REQUEST_ID;
        ret.removed[h] = policy_reason(
            settings, h, tells_who ? PG_CODE_IDENTITY_DROPPED : PG_CODE_HEADER_POLICY);
    }
    if (ret.underscores == PG_UNDERSCORES_ALL)
        ret.underscore_reason = underscore_reason(settings);
    return ret;
}
