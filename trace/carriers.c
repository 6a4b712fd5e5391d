/* What a pod could read of its client: gathered, asked for, and looked through.
 *
 * Who knows what a pod got (the dry run its new head, a built-in pod its account, the records what was written) adds the fields here one by
 * one, so that lines of one field are joined in one way. The words of readers are base/reader.c's; how each of them finds an address is
 * verdict.c's. Called by explain, check, request, demo, and by the printers of exchanges. */
#include "podglass/verdict.h"

#include <string.h>

/* ---- gathering ---- */

static struct pg_text *text_of(struct pg_carried *c, struct pg_slice name)
{
    struct {
        const char *name;
        struct pg_text *text;
    } const fields[] = {
        {"X-Forwarded-For", &c->xff}, {"X-Real-IP", &c->x_real_ip}, {"Forwarded", &c->forwarded}};

    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (pg_slice_equal_nocase(name, pg_slice_of(fields[i].name))) {
            return fields[i].text;
        }
    }
    return NULL;
}

void pg_carried_add(struct pg_carried *c, struct pg_slice name, struct pg_slice value)
{
    struct pg_text *text = text_of(c, name);

    if (text) {
        pg_text_puts(text, text->len ? ", " : "");
        pg_text_add(text, value.at, value.len);
    }
}

void pg_carried_add_head(struct pg_carried *c, struct pg_slice head)
{
    struct pg_slice rest = head;

    for (bool first = true; rest.len; first = false) {
        const char *end = memchr(rest.at, '\n', rest.len);
        struct pg_slice line = {rest.at, end ? (size_t)(end - rest.at) : rest.len};
        const char *colon = line.len ? memchr(line.at, ':', line.len) : NULL;

        rest = (struct pg_slice){line.at + line.len + (end != NULL),
                                 rest.len - line.len - (end != NULL)};
        line.len -= line.len && line.at[line.len - 1] == '\r';
        if (line.len == 0) {
            return; /* what follows is the body */
        }
        if (!first && colon) {
            struct pg_slice name = {line.at, (size_t)(colon - line.at)};
            struct pg_slice value = {colon + 1, line.len - name.len - 1};

            while (value.len && (value.at[0] == ' ' || value.at[0] == '\t')) {
                value = (struct pg_slice){value.at + 1, value.len - 1};
            }
            pg_carried_add(c, name, value);
        }
    }
}

static struct pg_slice slice_of(const struct pg_text *t)
{
    return (struct pg_slice){t->at, t->len};
}

void pg_carried_as_got(const struct pg_carried *c, struct pg_seen *seen)
{
    seen->xff = slice_of(&c->xff);
    seen->x_real_ip = slice_of(&c->x_real_ip);
    seen->forwarded = slice_of(&c->forwarded);
}

void pg_carried_as_claimed(const struct pg_carried *c, struct pg_seen *seen)
{
    seen->client_xff = slice_of(&c->xff);
    seen->client_x_real_ip = slice_of(&c->x_real_ip);
    seen->client_forwarded = slice_of(&c->forwarded);
}

void pg_carried_clear(struct pg_carried *c)
{
    pg_text_clear(&c->xff);
    pg_text_clear(&c->x_real_ip);
    pg_text_clear(&c->forwarded);
}

void pg_carried_free(struct pg_carried *c)
{
    pg_text_free(&c->xff);
    pg_text_free(&c->x_real_ip);
    pg_text_free(&c->forwarded);
}

/* ---- readers ---- */

bool pg_reader_take(const struct pg_reader *r, const struct pg_seen *seen, struct pg_addr *ret)
{
    switch (r->kind) {
    case PG_READER_XFF_LEFT: return pg_reader_xff_left(seen, ret);
    case PG_READER_XFF_RIGHT: return pg_reader_xff_right(seen, r->n, ret);
    case PG_READER_XFF_TRUSTED:
        return pg_reader_xff_trusted(seen, r->trusted, r->trusted_count, ret);
    case PG_READER_X_REAL_IP: return pg_reader_x_real_ip(seen, ret);
    case PG_READER_FORWARDED: return pg_reader_forwarded(seen, ret);
    case PG_READER_PROXY: return pg_reader_proxy(seen, ret);
    case PG_READER_PEER:
    default: *ret = seen->peer; return true;
    }
}

uint32_t pg_readers_usual(const struct pg_seen *seen, const struct pg_reader *ret[PG_READERS_USUAL])
{
    static const struct pg_reader peer = {.text = "peer", .kind = PG_READER_PEER};
    static const struct pg_reader of_headers[] = {
        {.text = "xff-left", .kind = PG_READER_XFF_LEFT},
        {.text = "xff-right=1", .kind = PG_READER_XFF_RIGHT, .n = 1},
        {.text = "x-real-ip", .kind = PG_READER_X_REAL_IP}};
    static const struct pg_reader forwarded = {.text = "forwarded", .kind = PG_READER_FORWARDED};
    static const struct pg_reader proxy = {.text = "proxy", .kind = PG_READER_PROXY};
    uint32_t count = 0;

    ret[count++] = &peer;
    for (size_t i = 0; i < 3 && (seen->xff.len || seen->x_real_ip.len); i++) {
        ret[count++] = &of_headers[i];
    }
    if (seen->forwarded.len) {
        ret[count++] = &forwarded;
    }
    if (seen->has_proxy) {
        ret[count++] = &proxy;
    }
    return count;
}
