/* `podglass capture -w FILE [FILTER]`: packets of a running instance, before and after each rewrite, as pcapng.
 *
 * The instance writes the file; here it is taken apart into blocks only to count packets, and so that the file ends with a whole one whenever it ends. The
 * expression is compiled here and goes as a program. What was lost is told at the end, as tcpdump tells it. */
#include "capture_files.h"
#include "podglass/pcap_filter.h"
#include "podglass/tools.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BLOCK_PACKET   6u
#define BLOCK_MOST     (64u * 1024 * 1024)
#define PACKET_DROPPED 4u
#define PACKET_FIXED   28u /* of a packet block before its data */
#define PROGRAM_MOST \
    7500 /* digits, so that the question stays within the head the instance takes */
#define IDLE_MS 200

struct capture {
    struct pg_options options;
    struct pg_text socket;
    struct pg_text block; /* begun */
    struct pg_capture_files files;
    uint64_t count; /* wanted, 0: no limit */
    uint64_t packets;
    uint64_t dropped;
    bool broken;
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

static uint32_t number_at(const struct pg_text *t, size_t at)
{
    uint32_t n = 0;

    memcpy(&n, t->at + at, sizeof n);
    return n;
}

/* Adds up what the option of lost packets says. */
static void count_packet(struct capture *c)
{
    uint32_t captured = number_at(&c->block, 20);
    size_t at = PACKET_FIXED + ((size_t)captured + 3) / 4 * 4;

    c->packets++;
    while (at + 8 <= c->block.len) {
        uint32_t head = number_at(&c->block, at);
        uint32_t code = head & 0xffff;
        uint32_t len = head >> 16;
        uint64_t dropped = 0;

        if (code == 0) {
            return;
        }
        if (code == PACKET_DROPPED && len == sizeof dropped && at + 12 <= c->block.len) {
            memcpy(&dropped, c->block.at + at + 4, sizeof dropped);
            c->dropped += dropped;
        }
        at += 4 + ((size_t)len + 3) / 4 * 4;
    }
}

static void note_error(struct capture *c, int error)
{
    if (error < 0 && !c->broken) {
        pg_options_complain(PG_VERB_CAPTURE, "%s: %s", c->files.name ? c->files.name : "-",
                            strerror(-error));
        c->broken = true;
    }
}

/* false: enough. */
static bool take_block(struct capture *c)
{
    int error = pg_capture_files_write(&c->files, &c->block, time(NULL));

    note_error(c, error);
    if (error == 0 && number_at(&c->block, 0) == BLOCK_PACKET) {
        count_packet(c);
    }
    pg_text_clear(&c->block);
    return error == 0 && (c->count == 0 || c->packets < c->count);
}

static bool on_bytes(void *arg, const char *at, size_t len)
{
    struct capture *c = arg;

    while (len > 0) {
        size_t want = c->block.len < 8 ? 8 : number_at(&c->block, 4);

        if (want < 8 || want > BLOCK_MOST) {
            pg_options_complain(PG_VERB_CAPTURE, "what comes is not pcapng");
            c->broken = true;
            return false;
        }
        size_t n = want - c->block.len < len ? want - c->block.len : len;

        pg_text_add(&c->block, at, n);
        at += n;
        len -= n;
        if (c->block.len >= 8 && c->block.len == number_at(&c->block, 4) && !take_block(c)) {
            return false;
        }
    }
    note_error(c, pg_capture_files_flush(&c->files));
    return !interrupted && !c->broken;
}

static bool on_idle(void *arg)
{
    const struct capture *c = arg;

    return !interrupted && !c->broken;
}

/* ---- the question ---- */

static int add_filter(struct capture *c, struct pg_text *path)
{
    struct pg_text expression = {0};
    struct pg_text why = {0};
    struct pg_text program = {0};
    struct pg_pcap *filter = NULL;
    int status = 0;

    for (uint32_t i = 0; i < c->options.arg_count; i++) {
        pg_text_printf(&expression, "%s%s", i ? " " : "", c->options.arg[i]);
    }
    if (expression.len && pg_pcap_compile(expression.at, &filter, &why) != 0) {
        status = pg_options_complain(PG_VERB_CAPTURE, "filter \"%s\": %s", expression.at,
                                     why.at ? why.at : "out of memory");
    }
    pg_pcap_print(filter, &program);
    if (program.len > PROGRAM_MOST) {
        status = pg_options_complain(PG_VERB_CAPTURE, "the filter is too long");
    } else if (program.len) {
        pg_text_printf(path, "filter=%s", program.at);
    }
    pg_pcap_free(filter);
    pg_text_free(&expression);
    pg_text_free(&program);
    pg_text_free(&why);
    return status;
}

static int understand_files(struct capture *c)
{
    const struct pg_options *o = &c->options;
    struct pg_capture_files *f = &c->files;
    int status = pg_options_number(o, PG_FLAG_CAPTURE_FILE_SIZE, 1, 1000000, &f->megabytes);

    status =
        status ? status : pg_options_number(o, PG_FLAG_CAPTURE_SECONDS, 1, 31536000, &f->seconds);
    status = status ? status : pg_options_number(o, PG_FLAG_CAPTURE_FILES, 1, 1000000, &f->most);
    f->name = o->value[PG_FLAG_CAPTURE_WRITE];
    const char *wrong = pg_capture_files_wrong(f);
    return status == 0 && wrong ? pg_options_complain(PG_VERB_CAPTURE, "%s", wrong) : status;
}

static int understand(struct capture *c, struct pg_text *path)
{
    const struct pg_options *o = &c->options;
    uint64_t snaplen = 0;
    int status = pg_options_args(o, 0, UINT32_MAX);

    status =
        status ? status : pg_options_number(o, PG_FLAG_CAPTURE_COUNT, 1, UINT64_MAX, &c->count);
    status = status ? status : pg_options_number(o, PG_FLAG_CAPTURE_SNAPLEN, 14, 262144, &snaplen);
    status = status ? status : understand_files(c);
    if (status) {
        return status;
    }
    pg_text_puts(path, "/v1/capture?");
    if (snaplen) {
        pg_text_printf(path, "snaplen=%llu&", (unsigned long long)snaplen);
    }
    if (pg_options_has(o, PG_FLAG_CAPTURE_SOCKET)) {
        pg_text_puts(&c->socket, o->value[PG_FLAG_CAPTURE_SOCKET]);
    } else {
        pg_api_default_socket(NULL, &c->socket);
    }
    return add_filter(c, path);
}

static int open_file(struct capture *c)
{
    const char *name = c->files.name;

    if ((!name || strcmp(name, "-") == 0) && isatty(STDOUT_FILENO)) {
        return pg_options_complain(PG_VERB_CAPTURE, "pcapng is not for a terminal: give -w FILE, "
                                                    "or pipe it into tshark -r -");
    }
    note_error(c, pg_capture_files_open(&c->files, time(NULL)));
    return c->broken ? PG_EXIT_DIFFERENT : 0;
}

static int stream(struct capture *c, const char *path)
{
    struct pg_api_reader reader = {
        .bytes = on_bytes, .idle = on_idle, .idle_ms = IDLE_MS, .arg = c};
    struct pg_text refusal = {0};
    int http = 0;
    int error = pg_api_stream(c->socket.at, path, &reader, &http, &refusal);

    if (error == -EPIPE && http == 200) {
        fputs("podglass capture: the instance has ended\n", stderr);
        error = 0;
    } else if (error && !interrupted) {
        error = pg_api_complain(PG_VERB_CAPTURE, c->socket.at, error);
    } else if (http != 200 && !interrupted) {
        error = pg_api_refused(PG_VERB_CAPTURE, c->socket.at, http, &refusal);
    } else {
        error = c->broken ? PG_EXIT_DIFFERENT : 0;
    }
    if (http == 200) {
        fprintf(stderr, "%llu packets written, %llu dropped because they were not taken in time\n",
                (unsigned long long)c->packets, (unsigned long long)c->dropped);
    }
    pg_text_free(&refusal);
    return error;
}

int pg_tool_capture(int argc, char **argv)
{
    struct sigaction action = {.sa_handler = on_interrupt};
    struct capture c = {0};
    struct pg_text path = {0};
    int status = pg_options_parse(PG_VERB_CAPTURE, argc, argv, &c.options);

    if (status) {
        return status;
    }
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    status = understand(&c, &path);
    status = status ? status : open_file(&c);
    if (status == 0) {
        status = stream(&c, path.at);
    }
    if (pg_capture_files_close(&c.files) != 0 && status == 0) {
        status = PG_EXIT_DIFFERENT;
    }
    pg_text_free(&c.block);
    pg_text_free(&c.socket);
    pg_text_free(&path);
    pg_options_free(&c.options);
    return status;
}
