/* Reads the JSON a built-in pod answers with (lab/echo_http.c), as far as it tells who the client is.
 *
 * Called by the verbs that send requests and look at what came of them: request, demo, check. */
#include "podglass/account.h"

#include <jansson.h>
#include <string.h>
#include <strings.h>

static struct pg_slice string_of(const json_t *v)
{
    return (struct pg_slice){json_string_value(v), json_string_length(v)};
}

static bool take_addr(const json_t *said, const char *key, struct pg_addr *ret)
{
    struct pg_slice text = string_of(json_object_get(said, key));

    return text.at && pg_addr_parse(text.at, text.len, ret) == 0;
}

static void take_headers(const json_t *said, struct pg_carried *got)
{
    size_t i;
    json_t *field;

    json_array_foreach(json_object_get(said, "headers"), i, field)
    {
        struct pg_slice name = string_of(json_array_get(field, 0));
        struct pg_slice value = string_of(json_array_get(field, 1));

        if (name.at && value.at) {
            pg_carried_add(got, name, value);
        }
    }
}

bool pg_account_take(struct pg_slice body, struct pg_slice request, const struct pg_addr *client,
                     struct pg_account *ret)
{
    json_t *said = body.at ? json_loadb(body.at, body.len, 0, NULL) : NULL;
    const json_t *proxy = json_object_get(said, "proxy");

    *ret = (struct pg_account){.said = said,
                               .pod = json_string_value(json_object_get(said, "pod")),
                               .seen = {.client = *client, .has_proxy = json_is_object(proxy)}};
    if (!ret->pod || !take_addr(said, "peer", &ret->seen.peer)) {
        json_decref(said);
        return false;
    }
    (void)take_addr(proxy, "source", &ret->seen.proxy);
    take_headers(said, &ret->got);
    pg_carried_add_head(&ret->claimed, request);
    pg_carried_as_got(&ret->got, &ret->seen);
    pg_carried_as_claimed(&ret->claimed, &ret->seen);
    return true;
}

void pg_account_free(struct pg_account *a)
{
    json_decref(a->said);
    pg_carried_free(&a->got);
    pg_carried_free(&a->claimed);
    *a = (struct pg_account){0};
}

bool pg_account_header(const struct pg_account *a, const char *name, struct pg_text *out)
{
    size_t i;
    json_t *field;
    bool found = false;

    json_array_foreach(json_object_get(a->said, "headers"), i, field)
    {
        const char *n = json_string_value(json_array_get(field, 0));
        const char *v = json_string_value(json_array_get(field, 1));
        if (n && v && strcasecmp(n, name) == 0) {
            pg_text_puts(out, found ? ", " : "");
            pg_text_puts(out, v);
            found = true;
        }
    }
    return found;
}
