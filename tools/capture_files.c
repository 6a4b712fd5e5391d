/* The files of `podglass capture`: one, or the next one when the size or the time of one is used up, as tcpdump's -C, -G and -W have it.
 *
 *   -C 10         x.pcapng, x.pcapng1, x.pcapng2, ...         a file that has become larger than 10,000,000 bytes is the last but one
 *   -C 10 -W 3    x.pcapng0, x.pcapng1, x.pcapng2, x.pcapng0  the oldest is written over; as many digits as the last one needs
 *   -G 60         the name is a time, as strftime(3) writes it
 *   -G 60 -W 3    the end after three
 *   -C 10 -G 60   both: behind the time a count, from the beginning again with each time; -W says how many of one time are written in turn, and ends nothing
 *
 * Looked at when a packet comes, so a file without packets is none. Each file begins with what was in front of the first packet, and with what came
 * later that all packets behind it need. */
#include "capture_files.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#define BLOCK_SECTION   0x0a0d0d0au
#define BLOCK_INTERFACE 1u
#define BLOCK_NAMES     4u
#define BLOCK_PACKET    6u
#define MEGABYTE        1000000u

static bool is_stdout(const struct pg_capture_files *f)
{
    return f->name == NULL || strcmp(f->name, "-") == 0;
}

const char *pg_capture_files_wrong(const struct pg_capture_files *f)
{
    bool rotates = f->megabytes != 0 || f->seconds != 0;
    if (rotates && is_stdout(f)) {
        return "a next file needs a name: give -w FILE";
    }
    if (f->seconds != 0 && strchr(f->name, '%') == NULL) {
        return "files by time need the time in their name: -w shop-%H%M%S.pcapng";
    }
    return f->most != 0 && !rotates ? "a number of files needs what ends one: -C or -G" : NULL;
}

static uint32_t digits_of(uint64_t n)
{
    uint32_t digits = 1;
    while (n >= 10) {
        n /= 10;
        digits++;
    }
    return digits;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* it is for the user to say, and his file */
static bool print_time(const char *format, const struct tm *tm, char out[PATH_MAX])
{
    return strftime(out, PATH_MAX, format, tm) > 0;
}
#pragma GCC diagnostic pop

/* The name of the file whose turn it is. false: it is too long. */
static bool name_now(const struct pg_capture_files *f, char out[PATH_MAX])
{
    char name[PATH_MAX];
    struct tm tm;
    int len;
    if (f->seconds != 0) {
        if (localtime_r(&f->began, &tm) == NULL || !print_time(f->name, &tm, name)) {
            return false;
        }
    } else {
        len = snprintf(name, sizeof name, "%s", f->name);
        if (len < 0 || len >= PATH_MAX) {
            return false;
        }
    }
    if (f->megabytes != 0 && f->most != 0) {
        len = snprintf(out, PATH_MAX, "%s%0*llu", name, (int)digits_of(f->most - 1),
                       (unsigned long long)(f->number % f->most));
    } else if (f->number != 0) {
        len = snprintf(out, PATH_MAX, "%s%llu", name, (unsigned long long)f->number);
    } else {
        len = snprintf(out, PATH_MAX, "%s", name);
    }
    return len > 0 && len < PATH_MAX;
}

static int put(struct pg_capture_files *f, const struct pg_text *bytes)
{
    if (bytes->len != 0 && fwrite(bytes->at, 1, bytes->len, f->out) != bytes->len) {
        return errno != 0 ? -errno : -EIO;
    }
    f->written += bytes->len;
    return 0;
}

static int open_now(struct pg_capture_files *f)
{
    char name[PATH_MAX];
    f->written = 0;
    if (is_stdout(f)) {
        f->out = stdout;
        return 0;
    }
    if (!name_now(f, name)) {
        return -ENAMETOOLONG;
    }
    f->out = fopen(name, "w");
    return f->out != NULL ? put(f, &f->head) : -errno;
}

int pg_capture_files_open(struct pg_capture_files *f, time_t now)
{
    f->began = now;
    return open_now(f);
}

static bool is_over(const struct pg_capture_files *f, time_t now)
{
    return f->seconds != 0 && now - f->began >= (time_t)f->seconds;
}

static bool is_full(const struct pg_capture_files *f)
{
    return f->megabytes != 0 && f->written > f->megabytes * MEGABYTE;
}

/* A time that is over counts before a size: its first file has no count of the one before. */
static int next(struct pg_capture_files *f, time_t now)
{
    FILE *full = f->out;
    f->out = NULL;
    if (fclose(full) != 0) {
        return -errno;
    }
    if (!is_over(f, now)) {
        f->number++;
        return open_now(f);
    }
    f->times++;
    if (f->megabytes == 0 && f->times == f->most) {
        return 1;
    }
    f->number = 0;
    f->began = now;
    return open_now(f);
}

int pg_capture_files_write(struct pg_capture_files *f, const struct pg_text *block, time_t now)
{
    uint32_t type;
    memcpy(&type, block->at, sizeof type);
    bool rotates = f->megabytes != 0 || f->seconds != 0;
    if (rotates && (type == BLOCK_SECTION || type == BLOCK_INTERFACE || type == BLOCK_NAMES)) {
        pg_text_add(&f->head, block->at, block->len);
    }
    int status = type == BLOCK_PACKET && (is_over(f, now) || is_full(f)) ? next(f, now) : 0;
    return status != 0 ? status : put(f, block);
}

int pg_capture_files_flush(struct pg_capture_files *f)
{
    return f->out == NULL || fflush(f->out) == 0 ? 0 : -errno;
}

int pg_capture_files_close(struct pg_capture_files *f)
{
    int error = 0;
    if (f->out != NULL && (f->out == stdout ? fflush(f->out) : fclose(f->out)) != 0) {
        error = -errno;
    }
    f->out = NULL;
    pg_text_free(&f->head);
    return error;
}
