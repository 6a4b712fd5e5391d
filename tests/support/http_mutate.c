/* Where readers of HTTP disagree, a change of a byte or two at the right place is enough: the changes here know these places. */
#include "http_mutate.h"

#include "http_vectors.h"

#include <ctype.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* SplitMix64. */
uint64_t mutant_dice(uint64_t *state, uint64_t below)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (z ^ (z >> 31)) % below;
}

static const char *const ordinary[] = {
    "GET /cart?item=1 HTTP/1.1\r\nHost: shop.test\r\nUser-Agent: x/1.0\r\nAccept: */*\r\n\r\n",
    "POST /up HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 11\r\nContent-Type: text/plain\r\n\r\n"
    "hello world",
    "PUT /x HTTP/1.1\r\nHost: shop.test\r\nTransfer-Encoding: chunked\r\nTrailer: T\r\n\r\n"
    "5\r\nhello\r\n6;a=b\r\n world\r\n0\r\nT: u\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: shop.test\r\nConnection: keep-alive, X-A\r\nX-A: b\r\nTE: trailers\r\n"
    "X-Forwarded-For: 1.2.3.4, 5.6.7.8\r\nCookie: a=b; c=d\r\n\r\n",
    "HEAD http://shop.test/a/../b%41//c HTTP/1.1\r\nHost: shop.test\r\n\r\n",
    "GET /ws HTTP/1.1\r\nHost: shop.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    "DELETE /x HTTP/1.0\r\nHost: shop.test\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
};

static const char *const tokens[] = {
    "\r\n",
    "\r",
    "\n",
    " ",
    "\t",
    ":",
    ";",
    ",",
    "\"",
    "\\",
    "\x0b",
    "\x0c",
    "\x7f",
    "\x80",
    "\xff",
    "0",
    "1",
    "3",
    "00",
    "0x",
    "+",
    "-",
    "_",
    "%",
    "%00",
    "%2e%2e/",
    "//",
    "/../",
    "#",
    "?",
    "*",
    "@",
    "\r\n\r\n",
    "\r\n ",
    "0\r\n\r\n",
    "3\r\nabc\r\n",
    "Content-Length: 3\r\n",
    "Content-Length: 0\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: identity\r\n",
    "Host: evil.test\r\n",
    "Connection: close\r\n",
    "Connection: content-length, host, transfer-encoding\r\n",
    "Expect: 100-continue\r\n",
    "Upgrade: h2c\r\n",
    "GET /x HTTP/1.1\r\nHost: shop.test\r\n\r\n",
    "HTTP/1.1",
    "chunked",
    "X: y\r\n",
    "X-Forwarded-For: 6.6.6.6\r\n",
    "POST ",
};

static void add(struct mutant *m, const char *at, size_t len)
{
    size_t n = len < MUTANT_MAX - m->len ? len : MUTANT_MAX - m->len;
    memcpy(m->bytes + m->len, at, n);
    m->len += n;
}

static void seed(uint64_t *state, struct mutant *m)
{
    uint64_t pick =
        mutant_dice(state, http_vector_count + http_body_vector_count + 60 * COUNT(ordinary));
    m->len = 0;
    if (pick >= http_vector_count + http_body_vector_count) {
        const char *text = ordinary[pick % COUNT(ordinary)];
        add(m, text, strlen(text));
        return;
    }
    const struct http_vector *v = pick < http_vector_count
                                      ? &http_vectors[pick]
                                      : &http_body_vectors[pick - http_vector_count];
    add(m, v->head, v->len ? v->len : strlen(v->head));
    if (v->body)
        add(m, v->body, strlen(v->body));
}

static void replace(struct mutant *m, size_t at, size_t cut, const char *with, size_t len)
{
    char tail[MUTANT_MAX];
    size_t rest = m->len - at - cut;
    memcpy(tail, m->bytes + at + cut, rest);
    m->len = at;
    add(m, with, len);
    add(m, tail, rest);
}

static void change(uint64_t *state, struct mutant *m)
{
    char piece[MUTANT_MAX];
    size_t at = mutant_dice(state, m->len + 1);
    size_t left = m->len - at;
    size_t len = left ? mutant_dice(state, left < 24 ? left : 24) + 1 : 0;
    const char *token = tokens[mutant_dice(state, COUNT(tokens))];
    switch (mutant_dice(state, 7)) {
    case 0: replace(m, at, 0, token, strlen(token)); break;
    case 1: replace(m, at, left > 0, token, strlen(token)); break;
    case 2: replace(m, at, len, "", 0); break;
    case 3:
        memcpy(piece, m->bytes + at, len);
        replace(m, at, 0, piece, len);
        break;
    case 4:
        if (left > 0)
            m->bytes[at] = (char)mutant_dice(state, 256);
        break;
    case 5: /* the other case: nothing for a name, another method */
        if (left > 0 && isalpha((unsigned char)m->bytes[at]))
            m->bytes[at] = (char)(m->bytes[at] ^ 0x20);
        break;
    default: { /* a line of its own, where lines begin */
        char *line = memmem(m->bytes + at, left, "\r\n", 2);
        if (line)
            replace(m, (size_t)(line - m->bytes) + 2, 0, token, strlen(token));
        break;
    }
    }
}

void mutant_make(uint64_t *state, struct mutant *ret)
{
    seed(state, ret);
    for (uint64_t n = mutant_dice(state, 3); n > 0; n--)
        change(state, ret);
}
