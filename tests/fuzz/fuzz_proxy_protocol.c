/* The PROXY preface from any bytes: one outcome however they are cut, nothing read behind the end, and what was read can be written and read
 * again. */
#include "podglass/log.h"
#include "podglass/preface_decide.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* From a copy of exactly that length. */
static int read_copy(const uint8_t *bytes, uint32_t len, struct pg_preface *ret,
                     enum pg_preface_error *error, struct pg_text *says)
{
    uint8_t *copy = malloc(len ? len : 1);
    PG_ASSERT(copy);
    if (len)
        memcpy(copy, bytes, len);
    int used = pg_proxyproto_read(copy, len, ret, error);
    if (used > 0) {
        pg_text_clear(says);
        pg_preface_print(ret, says);
    }
    ret->tlvs = (struct pg_slice){NULL, 0};
    free(copy);
    return used;
}

static void write_and_read(const struct pg_preface *p, uint8_t version)
{
    struct pg_preface_out w = {.version = version,
                               .src = p->src,
                               .dst = p->dst,
                               .src_port = p->src_port,
                               .dst_port = p->dst_port,
                               .crc = true};
    uint8_t out[PG_PREFACE_OUT_MAX];
    struct pg_preface again;
    enum pg_preface_error error;
    uint32_t len = pg_preface_write(&w, out);
    PG_ASSERT(pg_proxyproto_read(out, len, &again, &error) == (int)len);
    PG_ASSERT(pg_addr_equal(&again.src, &p->src) && pg_addr_equal(&again.dst, &p->dst));
    PG_ASSERT(again.src_port == p->src_port && again.dst_port == p->dst_port);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct pg_preface whole, cut;
    enum pg_preface_error error, cut_error;
    struct pg_text says = {0}, again = {0};
    if (size > 2 * PG_PREFACE_MAX)
        return 0;
    uint32_t len = (uint32_t)size;
    int used = read_copy(bytes, len, &whole, &error, &says);
    PG_ASSERT(used == -EAGAIN || used == -EBADMSG || (used > 0 && used <= (int)len));
    /* Bytes that were enough are enough, one less is not. */
    for (uint32_t n = 0; n < len && n < 600; n++) {
        int part = read_copy(bytes, n, &cut, &cut_error, &again);
        if (part == -EAGAIN)
            continue;
        PG_ASSERT(part > 0 ? part == used && part == (int)n : used == -EBADMSG);
        break;
    }
    if (used > 0 && !whole.is_real && !pg_addr_is_none(&whole.src) &&
        !pg_addr_is_none(&whole.dst)) {
        write_and_read(&whole, 1);
        write_and_read(&whole, 2);
    }
    pg_text_free(&says);
    pg_text_free(&again);
    return 0;
}
