/* The verb `demo`: a few scenes on the in-process wire, without privilege or device.
 *
 * Real TCP/IP: a client, the ingress and echo pods are lwIP endpoints, and every packet passes parse, NAT and the rest as on a TUN. All that is printed about
 * the way comes from the records (trace/hops.c), and what the pod saw is what the pod answered. */
#include "podglass/run.h"

#include "demo_scenes.h"
#include "podglass/exchange.h"
#include "podglass/hops.h"
#include "podglass/json.h"
#include "podglass/manifests.h"
#include "podglass/names.h"
#include "podglass/outcome.h"
#include "podglass/sim.h"
#include "podglass/tls_decide.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct demo {
    struct pg_options options;
    const char *form;
    bool color;
    uint64_t seed;
    const char *sets[PG_SETS_MOST];
    uint32_t set_count;
};

/* ---- one scene ---- */

static int load_scene(const struct demo *demo, const struct pg_scene *scene,
                      struct pg_snapshot **ret)
{
    struct pg_manifest_input inputs[PG_SCENE_FILES];
    struct pg_load_options load = {.pods = PG_PODS_AUTO,
                                   .sets = demo->sets,
                                   .set_count = demo->set_count,
                                   .check_pair = pg_tls_check_pair,
                                   .covers_host = pg_tls_covers_host,
                                   .profile = demo->options.value[PG_FLAG_DEMO_PROFILE]};
    struct pg_findings findings;
    struct pg_text text = {0};
    for (int i = 0; i < PG_SCENE_FILES; i++) {
        inputs[i] = (struct pg_manifest_input){.path = scene->files[i].name,
                                               .text = scene->files[i].text,
                                               .text_len = strlen(scene->files[i].text)};
    }
    int error = pg_snapshot_load(inputs, PG_SCENE_FILES, &load, ret, &findings);
    for (uint32_t i = 0; error != 0 && i < findings.count; i++) {
        pg_text_clear(&text);
        pg_finding_print(&findings.at[i], &text);
        fprintf(stderr, "podglass demo: %s\n", text.at);
    }
    pg_text_free(&text);
    pg_findings_free(&findings);
    return error;
}

static const struct pg_client *find_client(const struct pg_snapshot *s, const char *name)
{
    for (uint32_t i = 0; i < s->client_count; i++) {
        if (strcmp(s->clients[i].name, name) == 0) {
            return &s->clients[i];
        }
    }
    return NULL;
}

static void print_jsonl(const struct pg_hops *hops, struct pg_text *out)
{
    for (uint32_t i = 0; i < hops->count; i++) {
        struct pg_json j;
        pg_json_begin(&j, out);
        pg_record_json(&hops->records[i], &j);
        pg_text_putc(out, '\n');
    }
}

static bool is_form(const struct demo *demo, const char *form)
{
    return strcmp(demo->form, form) == 0;
}

struct picture {
    const struct demo *demo;
    const struct pg_names *names;
    struct pg_text *out;
};

static void draw(void *arg, const struct pg_exchange *x)
{
    const struct picture *p = arg;
    if (x->is_http && is_form(p->demo, "mermaid")) {
        pg_exchange_mermaid(x, p->names, p->out);
    } else if (x->is_http) {
        pg_exchange_markdown(x, p->names, p->out);
    }
}

static void print_picture(const struct demo *demo, const struct pg_hops *hops,
                          const struct pg_snapshot *s, struct pg_text *out)
{
    struct pg_namer namer = {.snapshot = s};
    struct pg_names names = pg_namer_names(&namer);
    struct picture p = {demo, &names, out};
    struct pg_exchanges *e = pg_exchanges_new(4, draw, &p);
    for (uint32_t i = 0; e != NULL && i < hops->count; i++) {
        pg_exchanges_feed(e, &hops->records[i]);
    }
    if (e != NULL) {
        pg_exchanges_flush(e);
    }
    pg_exchanges_free(e);
}

static void print_scene(const struct demo *demo, uint32_t number, const struct pg_client *client,
                        const struct pg_hops *hops, const struct pg_response *response,
                        struct pg_text *out)
{
    const struct pg_scene *scene = &pg_scenes[number];
    struct pg_outcome o = {.client = client->addr,
                           .client_name = client->name,
                           .request = scene->request,
                           .response = response,
                           .hops = hops,
                           .show_secrets = true};
    pg_text_printf(out, "%sScene %u of %u   %s%s\n", demo->color ? "\033[1m" : "", number + 1,
                   pg_scene_count, scene->title, demo->color ? "\033[0m" : "");
    for (uint32_t i = 0; i < demo->set_count; i++) {
        pg_text_puts(out, "            but with ");
        pg_text_add_escaped(out, demo->sets[i], strlen(demo->sets[i]));
        pg_text_putc(out, '\n');
    }
    if (scene->preface != NULL) {
        pg_text_puts(out, "behind a balancer, ");
    }
    pg_outcome_sent(&o, out);
    pg_hops_print(hops, demo->color, out);
    if (!pg_outcome_pod(&o, demo->color, out)) {
        pg_text_printf(out, "no pod answered: status %u\n", response->status);
    }
    if (demo->set_count == 0) {
        pg_text_printf(out, "  %s\n", scene->moral);
    }
    pg_text_putc(out, '\n');
}

static void print(const struct demo *demo, uint32_t number, const struct pg_snapshot *s,
                  const struct pg_client *client, const struct pg_hops *hops,
                  const struct pg_response *response, struct pg_text *out)
{
    if (is_form(demo, "jsonl")) {
        print_jsonl(hops, out);
    } else if (is_form(demo, "text")) {
        print_scene(demo, number, client, hops, response, out);
    } else {
        print_picture(demo, hops, s, out);
    }
}

static int play(const struct demo *demo, uint32_t number)
{
    static struct pg_hops hops; /* large */
    const struct pg_scene *scene = &pg_scenes[number];
    struct pg_snapshot *s = NULL;
    struct pg_sim sim;
    struct pg_response response;
    struct pg_text out = {0};
    if (load_scene(demo, scene, &s) != 0) {
        return PG_EXIT_MANIFEST;
    }
    const struct pg_client *client = find_client(s, scene->client);
    const struct pg_client *named = scene->named != NULL ? find_client(s, scene->named) : client;
    struct pg_text sent = {0};
    int error = pg_sim_open(NULL, s, demo->seed, &sim);
    if (error != 0 || client == NULL || named == NULL) {
        fprintf(stderr, "podglass demo: the scene can not be set up: %s\n", strerror(-error));
        pg_snapshot_put(s);
        return PG_EXIT_PRIVILEGE;
    }
    pg_text_puts(&sent, scene->preface != NULL ? scene->preface : "");
    pg_text_puts(&sent, scene->request);
    struct pg_request request = {.from = client->addr,
                                 .to = s->lb_ips[s->services[s->lab.ingress_service].lb_first].addr,
                                 .to_port = 80,
                                 .bytes = sent.at,
                                 .len = (uint32_t)sent.len};
    error = pg_sim_request(&sim, &request, &response);
    if (error == 0 && response.error == 0) {
        pg_hops_collect(&hops, pg_path_trace(sim.path), 1, response.label);
        print(demo, number, s, named, &hops, &response, &out);
        fputs(out.at, stdout);
    } else {
        fprintf(stderr, "podglass demo: the request failed: %s\n",
                strerror(error != 0 ? -error : -response.error));
    }
    int status = error == 0 && response.error == 0 ? 0 : PG_EXIT_DIFFERENT;
    pg_response_free(&response);
    pg_text_free(&out);
    pg_text_free(&sent);
    pg_sim_close(&sim);
    pg_snapshot_put(s);
    return status;
}

/* ---- the verb ---- */

static int save_scene(const char *dir, uint32_t number)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/scene-%u", dir, number + 1);
    if ((mkdir(dir, 0755) != 0 && errno != EEXIST) || (mkdir(path, 0755) != 0 && errno != EEXIST)) {
        fprintf(stderr, "podglass demo: %s: %s\n", path, strerror(errno));
        return PG_EXIT_DIFFERENT;
    }
    for (int i = 0; i < PG_SCENE_FILES; i++) {
        snprintf(path, sizeof path, "%s/scene-%u/%s", dir, number + 1,
                 pg_scenes[number].files[i].name);
        FILE *f = fopen(path, "w");
        bool good = f != NULL && fputs(pg_scenes[number].files[i].text, f) >= 0;
        if (f == NULL || fclose(f) != 0 || !good) {
            fprintf(stderr, "podglass demo: %s: %s\n", path, strerror(errno));
            return PG_EXIT_DIFFERENT;
        }
    }
    return 0;
}

/* On a terminal a reader goes on when he has read. */
static void wait_for_enter(const struct demo *demo)
{
    if (!is_form(demo, "text") || pg_options_has(&demo->options, PG_FLAG_DEMO_AUTO) ||
        !isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
        return;
    }
    fputs("(Enter for the next scene) ", stdout);
    fflush(stdout);
    for (int c = getchar(); c != '\n' && c != EOF; c = getchar()) {
    }
    putchar('\n');
}

static int play_all(const struct demo *demo)
{
    const char *save = demo->options.value[PG_FLAG_DEMO_SAVE];
    uint32_t first = 0;
    uint32_t last = pg_scene_count - 1;
    int status = 0;
    if (demo->options.arg_count == 1) {
        char *end;
        unsigned long n = strtoul(demo->options.arg[0], &end, 10);
        if (*end != 0 || n == 0 || n > pg_scene_count) {
            return pg_options_complain(PG_VERB_DEMO, "no scene %s; there are 1 to %u",
                                       demo->options.arg[0], pg_scene_count);
        }
        first = last = (uint32_t)n - 1;
    }
    if (is_form(demo, "text")) {
        printf("A shop behind an ingress: two clients, one balancer address, one ingress pod, two "
               "web pods.\n"
               "No cluster, no root; real TCP/IP, and nothing leaves this process.\n\n");
    }
    for (uint32_t i = first; i <= last && status == 0; i++) {
        status = save != NULL ? save_scene(save, i) : 0;
        status = status == 0 ? play(demo, i) : status;
        if (status == 0 && i < last) {
            wait_for_enter(demo);
        }
    }
    if (status == 0 && is_form(demo, "text")) {
        puts("Try next:  podglass demo 3 -o mermaid     podglass demo --save shop/     podglass "
             "explain PG101");
    }
    return status;
}

int pg_run_demo(int argc, char **argv)
{
    struct demo demo = {.seed = 1};
    int status = pg_options_parse(PG_VERB_DEMO, argc, argv, &demo.options);
    if (status != 0) {
        return status;
    }
    const char *output = demo.options.value[PG_FLAG_DEMO_OUTPUT];
    demo.form = output != NULL ? output : "text";
    demo.color = is_form(&demo, "text") && pg_want_color(demo.options.value[PG_FLAG_DEMO_COLOR]);
    status = pg_options_number(&demo.options, PG_FLAG_DEMO_SEED, 0, UINT64_MAX, &demo.seed);
    status = status == 0 ? pg_options_sets(&demo.options, PG_FLAG_DEMO_SET, NULL, demo.sets,
                                           PG_SETS_MOST, &demo.set_count)
                         : status;
    status = status == 0 ? pg_options_args(&demo.options, 0, 1) : status;
    status = status == 0 ? play_all(&demo) : status;
    pg_options_free(&demo.options);
    pg_reason_forget_all();
    return status;
}
