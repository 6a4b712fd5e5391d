/* Why a message was refused: name for the record, status and sentence for the client.
 *
 * The list is http_errors.def. Called by `http_parse.c`, `session_io.c` and everything that reads records. Owns nothing. */
#include "podglass/ingress_decide.h"

#include <assert.h>

static const struct {
    uint16_t status;
    const char *name;
    const char *text;
} errors[] = {
#define PG_HTTP_ERROR(id, status, name, text) [PG_HTTP_ERROR_##id] = {(status), (name), (text)},
#include "podglass/http_errors.def"
#undef PG_HTTP_ERROR
};
static_assert(sizeof(errors) / sizeof(errors[0]) == PG_HTTP_ERROR_COUNT, "a row per error");

const char *pg_http_error_name(enum pg_http_error e)
{
    return (unsigned)e < PG_HTTP_ERROR_COUNT ? errors[e].name : "unknown";
}

const char *pg_http_error_text(enum pg_http_error e)
{
    return (unsigned)e < PG_HTTP_ERROR_COUNT ? errors[e].text : "";
}

uint16_t pg_http_error_status(enum pg_http_error e)
{
    return (unsigned)e < PG_HTTP_ERROR_COUNT ? errors[e].status : 0;
}

enum pg_code pg_http_error_code(enum pg_http_error error)
{
    switch (error) {
    case PG_HTTP_ERROR_TARGET_TOO_LONG:
    case PG_HTTP_ERROR_HEAD_TOO_LARGE:
    case PG_HTTP_ERROR_TOO_MANY_FIELDS:
    case PG_HTTP_ERROR_BODY_TOO_LARGE: return PG_CODE_HTTP_TOO_LARGE;
    case PG_HTTP_ERROR_HEAD_TIMEOUT:
    case PG_HTTP_ERROR_BODY_TIMEOUT:
    case PG_HTTP_ERROR_CLIENT_TOO_SLOW:
    case PG_HTTP_ERROR_UPSTREAM_CONNECT_TIMEOUT:
    case PG_HTTP_ERROR_UPSTREAM_TIMEOUT: return PG_CODE_HTTP_TIMEOUT;
    case PG_HTTP_ERROR_MISDIRECTED: return PG_CODE_TLS_MISDIRECTED;
    case PG_HTTP_ERROR_NO_ROUTE: return PG_CODE_ROUTE_NONE;
    case PG_HTTP_ERROR_PATTERN_LIMIT: return PG_CODE_PATTERN_LIMIT;
    case PG_HTTP_ERROR_BAD_REF: return PG_CODE_BACKEND_REFUSED;
    case PG_HTTP_ERROR_NOT_ALLOWED: return PG_CODE_NOT_ALLOWED;
    case PG_HTTP_ERROR_NO_SERVICE:
    case PG_HTTP_ERROR_NO_ENDPOINT: return PG_CODE_NO_ENDPOINT_HTTP;
    case PG_HTTP_ERROR_NO_NAME: return PG_CODE_DNS_NXDOMAIN;
    case PG_HTTP_ERROR_UPSTREAM_REFUSED:
    case PG_HTTP_ERROR_UPSTREAM_UNREACHABLE:
    case PG_HTTP_ERROR_NO_ROOM: return PG_CODE_UPSTREAM_REFUSED;
    case PG_HTTP_ERROR_UPSTREAM_TLS: return PG_CODE_UPSTREAM_TLS;
    case PG_HTTP_ERROR_BAD_RESPONSE:
    case PG_HTTP_ERROR_RESPONSE_CUT: return PG_CODE_UPSTREAM_BROKEN;
    default: return PG_CODE_HTTP_BAD_REQUEST;
    }
}

enum pg_stage pg_http_error_stage(enum pg_http_error error)
{
    switch (pg_http_error_code(error)) {
    case PG_CODE_NOT_ALLOWED:
    case PG_CODE_PATTERN_LIMIT:
    case PG_CODE_ROUTE_NONE: return PG_STAGE_ROUTE;
    case PG_CODE_TLS_MISDIRECTED: return PG_STAGE_TLS;
    case PG_CODE_BACKEND_REFUSED:
    case PG_CODE_NO_ENDPOINT_HTTP:
    case PG_CODE_UPSTREAM_TLS:
    case PG_CODE_UPSTREAM_REFUSED: return PG_STAGE_UPSTREAM;
    case PG_CODE_DNS_NXDOMAIN: return PG_STAGE_DNS;
    default: return PG_STAGE_HTTP_PARSE;
    }
}
