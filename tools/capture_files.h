/* The files a capture is written to, one after the other. */
#ifndef PODGLASS_TOOLS_CAPTURE_FILES_H
#define PODGLASS_TOOLS_CAPTURE_FILES_H

#include "podglass/text.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

struct pg_capture_files {
    const char *name; /* NULL or "-": standard output */
    uint64_t
        megabytes; /* of 1,000,000: a file that is larger than so many is the last but one; 0: no limit */
    uint64_t seconds; /* a file is written for so long; 0: no limit */
    uint64_t
        most; /* by size: so many files, the oldest is written over; by time alone: the end after so many. 0: no limit */
    /* its own */
    struct pg_text head; /* what is in front of the packets, in every file */
    FILE *out;
    uint64_t written; /* to this file */
    uint64_t number;  /* of the file, by size; with each time anew */
    uint64_t times;   /* that are over */
    time_t began;     /* the time of this file */
};

/* NULL, or why these limits do not go together. */
const char *pg_capture_files_wrong(const struct pg_capture_files *f);
/* 0 or -errno; f->name is what could not be opened. */
int pg_capture_files_open(struct pg_capture_files *f, time_t now);
/* A whole block goes to the file whose turn it is. 0; -errno; 1: that was the last file, and the block is not written. */
int pg_capture_files_write(struct pg_capture_files *f, const struct pg_text *block, time_t now);
int pg_capture_files_flush(struct pg_capture_files *f);
/* The last bytes are on their way. 0 or -errno. f may be used no more. */
int pg_capture_files_close(struct pg_capture_files *f);

#endif
