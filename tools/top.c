/* `podglass top`: what is going on in a running instance, twice a second.
 *
 * Asks the control socket for its counters and requests, and shows two looks as one page (top_page.c). On a terminal the page is drawn over and over, only lines that changed,
 * and keys sort, filter, look at one service (top_detail.c), trace it and end; anywhere else it is printed once, after a second, so that there are rates.
 *
 * Called by main. The terminal is put back as it was, also when a signal ends this. */
#include "podglass/tools.h"

#include "top_internal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define EVERY_MS    500
#define ONCE_MS     1000
#define FILTER_MOST 64
#define LINES_MOST  512
#define NAME_MOST   512
#define ESCAPE      0x1b

struct top {
    struct pg_options options;
    struct pg_text socket;
    struct pg_top_sample before, now;
    struct pg_top_view view;
    char filter[FILTER_MOST];
    bool typing;             /* a filter */
    char service[NAME_MOST]; /* that is looked at alone */
    char host[NAME_MOST];
    struct termios old, raw; /* the terminal as it was, and as keys come one by one */
    char *drawn[LINES_MOST];
    unsigned drawn_columns;
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

/* ---- asking ---- */

static void forget(struct pg_top_sample *s)
{
    json_decref(s->counters);
    json_decref(s->requests);
    json_decref(s->endpoints);
    json_decref(s->connections);
    *s = (struct pg_top_sample){0};
}

/* The look before becomes the earlier one. */
static int look(struct top *t)
{
    struct pg_top_sample next = {0};
    int status = 0;

    next.counters = pg_api_ask(PG_VERB_TOP, t->socket.at, "/v1/counters", &status);
    if (status == 0) {
        next.requests = pg_api_ask(PG_VERB_TOP, t->socket.at, "/v1/traffic", &status);
    }
    if (status == 0 && t->view.service) {
        next.endpoints = pg_api_ask(PG_VERB_TOP, t->socket.at, "/v1/endpoints", &status);
    }
    if (status == 0 && t->view.service) {
        next.connections = pg_api_ask(PG_VERB_TOP, t->socket.at, "/v1/connections", &status);
    }
    if (status) {
        forget(&next);
        return status;
    }
    forget(&t->before);
    t->before = t->now;
    t->now = next;
    return 0;
}

/* ---- drawing ---- */

/* Keeps the cursor on a row. */
static const json_t *item_at_cursor(struct top *t)
{
    const json_t *item = NULL;
    unsigned rows = pg_top_rows(&t->before, &t->now, &t->view, &item);

    if (!item && rows > 0) {
        t->view.cursor = t->view.cursor > rows ? rows : 1;
        pg_top_rows(&t->before, &t->now, &t->view, &item);
    }
    return item;
}

static void size_up(struct top *t)
{
    struct winsize size;

    t->view.columns = 80;
    t->view.rows = 23;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 1) {
        t->view.columns = size.ws_col;
        t->view.rows = size.ws_row - 1u; /* the last is for keys */
    }
    if (t->view.rows > LINES_MOST - 1) {
        t->view.rows = LINES_MOST - 1;
    }
}

static void draw_line(struct top *t, unsigned row, const char *at, size_t len)
{
    char *line = strndup(at, len);

    if (!line || (t->drawn[row] && strcmp(t->drawn[row], line) == 0)) {
        free(line);
        return;
    }
    printf("\033[%u;1H%s\033[K", row + 1, line);
    free(t->drawn[row]);
    t->drawn[row] = line;
}

static void draw(struct top *t)
{
    struct pg_text page = {0};
    struct pg_text keys = {0};
    unsigned row = 0;

    size_up(t);
    (void)item_at_cursor(t);
    if (t->view.columns != t->drawn_columns) { /* the terminal has changed: nothing stands */
        for (row = 0; row < LINES_MOST; row++) {
            free(t->drawn[row]);
            t->drawn[row] = NULL;
        }
        t->drawn_columns = t->view.columns;
        fputs("\033[2J", stdout);
    }
    pg_top_page(&t->before, &t->now, &t->view, &page);
    row = 0;
    for (const char *at = page.at; at && *at && row < t->view.rows; row++) {
        size_t len = strcspn(at, "\n");

        draw_line(t, row, at, len);
        at += len + (at[len] != 0);
    }
    for (; row < t->view.rows; row++) {
        draw_line(t, row, "", 0);
    }
    if (t->typing) {
        pg_text_puts(&keys, "/");
        pg_text_add_escaped(&keys, t->filter, strlen(t->filter));
    } else {
        pg_text_printf(&keys, "s: %s   /: ", pg_top_sort_name(t->view.sort));
        pg_text_add_escaped(&keys, t->filter, strlen(t->filter));
        pg_text_printf(&keys, "%s   Enter: %s   t: trace   ?: help   q: end",
                       t->filter[0] ? "" : "all", t->view.service ? "back" : "look");
    }
    draw_line(t, t->view.rows, keys.at ? keys.at : "",
              keys.len < t->view.columns ? keys.len : t->view.columns);
    fflush(stdout);
    pg_text_free(&keys);
    pg_text_free(&page);
}

/* ---- keys ---- */

static void type(struct top *t, char key)
{
    size_t len = strlen(t->filter);

    if (key == '\n' || key == '\r') {
        t->typing = false;
    } else if ((key == 0x7f || key == '\b') && len > 0) {
        t->filter[len - 1] = 0;
    } else if (key >= ' ' && key < 0x7f && len + 1 < sizeof t->filter) {
        t->filter[len] = key;
        t->filter[len + 1] = 0;
    }
}

static void copy_name(const json_t *item, const char *key, char name[NAME_MOST])
{
    const char *text = json_string_value(json_object_get(item, key));

    snprintf(name, NAME_MOST, "%s", text ? text : "");
}

/* Enter: in or out. */
static void turn_to_one(struct top *t)
{
    const json_t *item = t->view.service ? NULL : item_at_cursor(t);

    t->view.service = NULL;
    if (item) {
        copy_name(item, "service", t->service);
        copy_name(item, "host", t->host);
        t->view.service = t->service;
        t->view.host = t->host;
    }
}

static void enter_screen(struct top *t)
{
    tcsetattr(STDIN_FILENO, TCSANOW, &t->raw);
    fputs("\033[?1049h\033[?25l", stdout); /* a screen of its own, no cursor */
    t->drawn_columns = 0;                  /* nothing stands there */
}

static void leave_screen(struct top *t)
{
    fputs("\033[?25h\033[?1049l", stdout);
    fflush(stdout);
    tcsetattr(STDIN_FILENO, TCSANOW, &t->old);
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_interrupt};

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
}

/* The verb trace on the screen that was there before, until it is interrupted. */
static void trace_one(struct top *t)
{
    char service[NAME_MOST];
    char host[NAME_MOST];
    const json_t *item = t->view.service ? NULL : item_at_cursor(t);

    snprintf(service, sizeof service, "%s", t->service);
    snprintf(host, sizeof host, "%s", t->host);
    if (!t->view.service && !item) {
        return;
    }
    if (item) {
        copy_name(item, "service", service);
        copy_name(item, "host", host);
    }
    char *words[] = {"trace", "--socket", t->socket.at, NULL, NULL, NULL, NULL, NULL};
    int count = 3;

    if (service[0]) {
        words[count++] = "--service";
        words[count++] = service;
    }
    if (host[0]) {
        words[count++] = "--host";
        words[count++] = host;
    }
    leave_screen(t);
    fputs("trace, until Ctrl-C\n", stderr);
    (void)pg_tool_trace(count, words);
    catch_signals();
    enter_screen(t);
}

/* A key of several bytes: an arrow. Returns how many there are, 0: it is Escape alone. */
static ssize_t press_arrow(struct top *t, const char *keys, ssize_t count)
{
    if (count < 3 || keys[0] != ESCAPE || (keys[1] != '[' && keys[1] != 'O')) {
        return 0;
    }
    if (keys[2] == 'A' && t->view.cursor > 1) {
        t->view.cursor--;
    } else if (keys[2] == 'B') {
        t->view.cursor++;
    }
    return 3;
}

/* false: the end. */
static bool press(struct top *t, char key)
{
    if (t->typing) {
        type(t, key);
        return true;
    }
    switch (key) {
    case 'q': return false;
    case 's': t->view.sort = (enum pg_top_sort)((t->view.sort + 1) % PG_TOP_SORT_COUNT); break;
    case '?': t->view.help = !t->view.help; break;
    case 'j': t->view.cursor++; break;
    case 'k': t->view.cursor -= t->view.cursor > 1; break;
    case '\r':
    case '\n': turn_to_one(t); break;
    case ESCAPE: t->view.service = NULL; break;
    case 't': trace_one(t); break;
    case '/':
        t->typing = true;
        t->filter[0] = 0;
        break;
    default: break;
    }
    return true;
}

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

/* Keys until it is time to look again. false: the end. */
static bool take_keys(struct top *t)
{
    uint64_t until = now_ms() + EVERY_MS;

    for (uint64_t now = now_ms(); now < until && !interrupted; now = now_ms()) {
        struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
        char keys[64];

        if (poll(&in, 1, (int)(until - now)) <= 0) {
            continue;
        }
        ssize_t n = read(STDIN_FILENO, keys, sizeof keys);

        if (n <= 0) {
            return false; /* the terminal has gone */
        }
        bool alone = t->view.service != NULL;

        for (ssize_t i = 0; i < n; i++) {
            ssize_t arrow = t->typing ? 0 : press_arrow(t, keys + i, n - i);

            if (arrow == 0 && !press(t, keys[i])) {
                return false;
            }
            i += arrow > 0 ? arrow - 1 : 0;
        }
        if (t->view.service && !alone) {
            return true; /* another look, with what is shown of one */
        }
        draw(t);
    }
    return !interrupted;
}

static int play_on_terminal(struct top *t)
{
    int status = 0;

    if (tcgetattr(STDIN_FILENO, &t->old) != 0) {
        return pg_options_complain(PG_VERB_TOP, "the terminal: %s", strerror(errno));
    }
    t->raw = t->old;
    t->raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    t->view.cursor = 1;
    enter_screen(t);
    do {
        status = look(t);
        if (status == 0) {
            draw(t);
        }
    } while (status == 0 && take_keys(t));
    leave_screen(t);
    return status;
}

static int play_once(struct top *t)
{
    struct timespec pause = {.tv_sec = ONCE_MS / 1000, .tv_nsec = ONCE_MS % 1000 * 1000000L};
    struct pg_text page = {0};
    int status = look(t);

    if (status == 0) {
        nanosleep(&pause, NULL);
        status = look(t);
    }
    if (status == 0) {
        t->view.columns = UINT32_MAX;
        pg_top_page(&t->before, &t->now, &t->view, &page);
        fwrite(page.at ? page.at : "", 1, page.len, stdout);
    }
    pg_text_free(&page);
    return status;
}

/* ---- the verb ---- */

int pg_tool_top(int argc, char **argv)
{
    static struct top t;
    int status = pg_options_parse(PG_VERB_TOP, argc, argv, &t.options);

    if (status) {
        return status;
    }
    catch_signals();
    t.view.filter = t.filter;
    if (pg_options_has(&t.options, PG_FLAG_TOP_SOCKET)) {
        pg_text_puts(&t.socket, t.options.value[PG_FLAG_TOP_SOCKET]);
    } else {
        pg_api_default_socket(NULL, &t.socket);
    }
    status = pg_options_args(&t.options, 0, 0);
    if (status == 0) {
        status =
            isatty(STDOUT_FILENO) && isatty(STDIN_FILENO) ? play_on_terminal(&t) : play_once(&t);
    }
    if (fflush(stdout) != 0 && status == 0) {
        status = PG_EXIT_DIFFERENT;
    }
    for (unsigned row = 0; row < LINES_MOST; row++) {
        free(t.drawn[row]);
    }
    forget(&t.before);
    forget(&t.now);
    pg_text_free(&t.socket);
    pg_options_free(&t.options);
    return status;
}
