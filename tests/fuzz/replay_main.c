/*
 * The main of a fuzz target that is built without libFuzzer: runs LLVMFuzzerTestOneInput once for
 * every file given, and for every file of a folder given, in the order of names. That makes the
 * corpus an ordinary test, with any compiler.
 *
 * Each input is handed over in a heap block of exactly its size, so that address sanitizer sees a
 * read one byte behind it. Exit status 0 if the target came back every time and there was something
 * to run; a finding ends the process.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static unsigned inputs_run;

static int replay_file(const char *path, const struct stat *status)
{
    size_t len = (size_t)status->st_size;
    uint8_t *bytes = malloc(len);
    FILE *file = fopen(path, "rb");
    int err = 0;

    if (!file || (!bytes && len > 0))
        err = -errno;
    else if (len > 0 && fread(bytes, 1, len, file) != len)
        err = -EIO;
    else {
        /* A finding ends the process without coming back here: say first what was being run. */
        fprintf(stderr, "%s\n", path);
        (void)LLVMFuzzerTestOneInput(bytes, len);
        inputs_run++;
    }
    if (file)
        (void)fclose(file);
    free(bytes);
    return err;
}

static int replay(const char *path);

static int replay_folder(const char *path)
{
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, alphasort);
    int err = 0;

    if (count < 0)
        return -errno;
    for (int i = 0; i < count; i++) {
        char inside[PATH_MAX];

        (void)snprintf(inside, sizeof(inside), "%s/%s", path, entries[i]->d_name);
        if (!err && entries[i]->d_name[0] != '.')
            err = replay(inside);
        free(entries[i]);
    }
    free(entries);
    return err;
}

static int replay(const char *path)
{
    struct stat status;
    int err;

    if (stat(path, &status) != 0)
        err = -errno;
    else if (S_ISDIR(status.st_mode))
        return replay_folder(path);
    else
        err = replay_file(path, &status);
    if (err)
        fprintf(stderr, "cannot run %s: %s\n", path, strerror(-err));
    return err;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (replay(argv[i]) != 0)
            return 2;
    }
    printf("%u inputs\n", inputs_run);
    return inputs_run > 0 ? 0 : 2;
}
