/* `get -w`: items that were not there in this form a second ago, and events of conntrack as they happen, until interrupted.
 *
 * What only tells the time (ages, timeouts, round trips) does not count as a change. Called by get.c. */
#include "get_internal.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define IDLE_MS 200 /* how long an interrupt may go unnoticed */

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

static void catch_interrupts(void)
{
    struct sigaction action = {.sa_handler = on_interrupt};

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

/* Members that change by themselves, at any depth. */
static void remove_time(json_t *value)
{
    static const char *const keys[] = {"timeoutSeconds", "ageSeconds", "rttMicroseconds", "cwnd"};
    const char *key = NULL;
    json_t *member = NULL;

    if (!json_is_object(value)) {
        return;
    }
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        json_object_del(value, keys[i]);
    }
    json_object_foreach(value, key, member)
    {
        remove_time(member);
    }
}

/* What an item looks like but for the time; the caller frees it. As it would be printed, so that only visible changes count. */
static char *form_of(const struct pg_get *g, const json_t *item)
{
    json_t *timeless = json_deep_copy(item);
    struct pg_text out = {0};
    char *form = NULL;

    remove_time(timeless);
    if (pg_get_is_form(g, "table") || pg_get_is_form(g, "wide")) {
        json_t *one = json_array();

        json_array_append(one, timeless);
        pg_get_render(g->parts.at[0].type, one, pg_get_is_form(g, "wide"), false, &out);
        form = strdup(out.at ? out.at : "");
        json_decref(one);
    } else {
        form = json_dumps(timeless, JSON_COMPACT | JSON_SORT_KEYS);
    }
    pg_text_free(&out);
    json_decref(timeless);
    return form;
}

/* Items that were not there in this form a round ago: a new array. */
static json_t *fresh_items(const struct pg_get *g, json_t **seen_before, const json_t *items)
{
    json_t *fresh = json_array();
    json_t *seen = json_object();
    size_t i = 0;
    json_t *item = NULL;

    json_array_foreach(items, i, item)
    {
        char *form = form_of(g, item);

        if (form && !json_object_get(*seen_before, form)) {
            json_array_append(fresh, item);
        }
        if (form) {
            json_object_set_new(seen, form, json_true());
        }
        free(form);
    }
    json_decref(*seen_before);
    *seen_before = seen;
    return fresh;
}

/* One look. 0, or an exit status, said; *with_heads is for the first that prints. */
static int look(const struct pg_get *g, json_t **seen, bool *with_heads)
{
    json_t *answer = NULL;
    int status = pg_get_ask_json(g, &g->parts.at[0], &answer);

    if (status) {
        return interrupted ? PG_EXIT_OK : status;
    }
    json_t *items = pg_get_choose(g, &g->parts.at[0], answer);
    json_t *fresh = items ? fresh_items(g, seen, items) : NULL;

    if (json_array_size(fresh) > 0) {
        pg_get_put_items(g, g->parts.at[0].type, fresh, *with_heads);
        *with_heads = false;
    }
    json_decref(fresh);
    json_decref(items);
    json_decref(answer);
    if (!items) {
        return PG_EXIT_USAGE;
    }
    return fflush(stdout) != 0 ? PG_EXIT_DIFFERENT : PG_EXIT_OK; /* nobody reads */
}

int pg_get_watch(struct pg_get *g)
{
    struct timespec second = {.tv_sec = 1};
    bool with_heads = !pg_get_given(g, PG_FLAG_GET_NO_HEADERS);
    json_t *seen = NULL; /* forms of the items of the last look, as keys */
    int status = 0;

    catch_interrupts();
    while (status == 0 && !interrupted) {
        status = look(g, &seen, &with_heads);
        if (status == 0 && !interrupted) {
            nanosleep(&second, NULL);
        }
    }
    json_decref(seen);
    return status;
}

/* ---- events ---- */

static bool on_events(void *arg, const char *at, size_t len)
{
    (void)arg;
    return fwrite(at, 1, len, stdout) == len && fflush(stdout) == 0 && !interrupted;
}

static bool on_silence(void *arg)
{
    (void)arg;
    return !interrupted;
}

/* conntrack -E, until interrupted. */
int pg_get_watch_events(struct pg_get *g)
{
    struct pg_api_reader reader = {.bytes = on_events, .idle = on_silence, .idle_ms = IDLE_MS};
    struct pg_text path = {0};
    struct pg_text refusal = {0};
    int answer = 0;

    catch_interrupts();
    pg_text_printf(&path, "/v1/conntrack/events?form=%s", g->form);
    int error = pg_api_stream(g->socket.at, path.at, &reader, &answer, &refusal);
    int status = PG_EXIT_OK;

    if (error == -EPIPE && answer == 200 && !interrupted) {
        pg_options_complain(PG_VERB_GET, "the instance has ended");
        status = PG_EXIT_DIFFERENT;
    } else if (error && !interrupted) {
        status = pg_api_complain(PG_VERB_GET, g->socket.at, error);
    } else if (answer != 200 && !interrupted) {
        status = pg_api_refused(PG_VERB_GET, g->socket.at, answer, &refusal);
    }
    pg_text_free(&path);
    pg_text_free(&refusal);
    return status;
}
