/* Why a message was refused: name for the record, status and sentence for the client.
 *
 * The list is http_errors.def. Called by `http_parse.c`, `session_io.c` and everything that reads records. Owns nothing. */
#include "podglass/http.h"

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
