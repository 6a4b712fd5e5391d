/* Files, directories and standard input to text, and text to documents.
 *
 * Called by snapshot.c for each input in the order given. A directory gives its *.yaml, *.yml and
 * *.json files sorted by name, with -R those of its folders too. Only regular files and pipes are
 * read; a file that cannot be read is an error finding and the load goes on to report the others.
 * Names that begin with '.' are skipped in directories, as editors leave such files. */
#include "cluster_internal.h"

#include "podglass/private_bytes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIRECTORY_DEPTH_MAX 32u

static void cannot_read(struct pg_load *load, const char *path, int error)
{
    struct pg_source source = {path, 0};
    pg_list_add_pointer(&load->files, path);
    if (load->io_error == 0)
        load->io_error = -error;
    pg_finding_add(load, PG_FINDING_ERROR, PG_CODE_WRONG, "", "", &source, "cannot be read: %s",
                   strerror(error));
}

/* 0 and the whole text (free it), or an errno. */
static int read_all(int fd, char **ret, size_t *ret_len)
{
    size_t room = (size_t)64 << 10;
    size_t len = 0;
    char *text = malloc(room);
    while (text != NULL) {
        ssize_t n = read(fd, text + len, room - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            int error = errno;
            free(text);
            return error;
        }
        if (n == 0)
            break;
        len += (size_t)n;
        if (len > PG_MANIFEST_FILE_MAX)
            break; /* pg_manifest_parse says so */
        if (len < room)
            continue;
        room *= 2;
        char *larger = realloc(text, room);
        if (larger == NULL)
            free(text);
        text = larger;
    }
    if (text == NULL)
        return ENOMEM;
    *ret = text;
    *ret_len = len;
    return 0;
}

static void read_fd(struct pg_load *load, int fd, const char *name)
{
    char *text = NULL;
    size_t len = 0;
    int error = read_all(fd, &text, &len);
    if (error != 0) {
        cannot_read(load, name, error);
        return;
    }
    pg_manifest_parse(load, name, text, len);
    pg_private_wipe(text, len); /* it may be a Secret */
    free(text);
}

static int name_sort(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool is_manifest(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot != NULL &&
           (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0 || strcmp(dot, ".json") == 0);
}

/* Names of a directory, sorted; false if it cannot be read. */
static bool directory_names(struct pg_load *load, const char *path, struct pg_list *ret)
{
    DIR *d = opendir(path);
    if (d == NULL) {
        cannot_read(load, path, errno);
        return false;
    }
    *ret = PG_LIST(&load->scratch, const char *);
    const struct dirent *e;
    while ((e = readdir(d)) != NULL) {
        if (e->d_name[0] != '.')
            pg_list_add_pointer(ret, pg_arena_text(&load->scratch, e->d_name, strlen(e->d_name)));
    }
    closedir(d);
    if (ret->count > 0)
        qsort(ret->at, ret->count, sizeof(char *), name_sort);
    return true;
}

static void read_path(struct pg_load *load, const char *path, uint32_t depth, bool named);

static void read_directory(struct pg_load *load, const char *path, uint32_t depth)
{
    struct pg_list names;
    if (depth > DIRECTORY_DEPTH_MAX) {
        cannot_read(load, path, ELOOP);
        return;
    }
    if (!directory_names(load, path, &names))
        return;
    size_t len = strlen(path);
    const char *slash = len > 0 && path[len - 1] == '/' ? "" : "/";
    for (uint32_t i = 0; i < names.count; i++) {
        const char *name = PG_LIST_POINTER(names, const char, i);
        read_path(load, pg_arena_printf(&load->scratch, "%s%s%s", path, slash, name), depth + 1,
                  false);
    }
}

/* named: by the user, not found in a directory. */
static void read_path(struct pg_load *load, const char *path, uint32_t depth, bool named)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        if (named || is_manifest(path))
            cannot_read(load, path, errno);
        return;
    }
    if (S_ISDIR(st.st_mode)) {
        if (named || load->options.recursive)
            read_directory(load, path, depth);
        return;
    }
    if (!named && (!is_manifest(path) || !S_ISREG(st.st_mode)))
        return;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        cannot_read(load, path, errno);
        return;
    }
    read_fd(load, fd, path);
    close(fd);
}

void pg_input_read(struct pg_load *load, const struct pg_manifest_input *input)
{
    const char *path = input->path == NULL ? "(text)" : input->path;
    path = pg_arena_text(&load->scratch, path, strlen(path));
    if (input->text != NULL)
        pg_manifest_parse(load, path, input->text, input->text_len);
    else if (strcmp(path, "-") == 0)
        read_fd(load, STDIN_FILENO, "(stdin)");
    else
        read_path(load, path, 0, true);
}
