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

static int load_scene(const struct demo *demo, const struct pg_scene *scene, bool later,
                      struct pg_snapshot **ret)
{
    struct pg_manifest_input inputs[PG_SCENE_FILES];
    struct pg_load_options load = {.pods = PG_PODS_AUTO,
                                   .sets = demo->sets,
                                   .set_count = demo->set_count,
                                   .check_pair = pg_tls_check_pair,
                                   .covers_host = pg_tls_covers_host,
                                   .names_of = pg_tls_names_of,
                                   .check_upstream = pg_tls_check_upstream,
                                   .profile = demo->options.value[PG_FLAG_DEMO_PROFILE]};
    struct pg_findings findings;
    struct pg_text text = {0};
    for (int i = 0; i < PG_SCENE_FILES; i++) {
        const char *yaml = later && i == 1 ? scene->later : scene->files[i].text;
        inputs[i] = (struct pg_manifest_input){
            .path = scene->files[i].name, .text = yaml, .text_len = strlen(yaml)};
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

/* A scene that is being played. */
struct play {
    const struct demo *demo;
    uint32_t number;
    struct pg_snapshot *s;
    const struct pg_client *named; /* whose request it is */
    struct pg_request request;
    struct pg_sim sim;
    struct pg_text out;
};

static void print_title(struct play *p)
{
    const struct demo *demo = p->demo;
    const struct pg_scene *scene = &pg_scenes[p->number];
    pg_text_printf(&p->out, "%sScene %u of %u   %s%s\n", demo->color ? "\033[1m" : "",
                   p->number + 1, pg_scene_count, scene->title, demo->color ? "\033[0m" : "");
    for (uint32_t i = 0; i < demo->set_count; i++) {
        pg_text_puts(&p->out, "            but with ");
        pg_text_add_escaped(&p->out, demo->sets[i], strlen(demo->sets[i]));
        pg_text_putc(&p->out, '\n');
    }
    if (scene->preface != NULL) {
        pg_text_puts(&p->out, "behind a balancer, ");
    }
}

static void print_story(struct play *p, const struct pg_hops *hops,
                        const struct pg_response *response)
{
    struct pg_outcome o = {.client = p->named->addr,
                           .client_name = p->named->name,
                           .request = pg_scenes[p->number].request,
                           .response = response,
                           .hops = hops,
                           .show_secrets = true};
    pg_outcome_sent(&o, &p->out);
    pg_hops_print(hops, p->demo->color, &p->out);
    if (!pg_outcome_pod(&o, p->demo->color, &p->out)) {
        pg_text_printf(&p->out, "no pod answered: status %u\n", response->status);
    }
}

/* What came of a request; 0, or the exit status. */
static int tell(struct play *p, int error, const struct pg_response *response)
{
    static struct pg_hops hops; /* large */
    error = error != 0 ? error : response->error;
    if (error != 0) {
        fprintf(stderr, "podglass demo: the request failed: %s\n", strerror(-error));
        return PG_EXIT_DIFFERENT;
    }
    pg_hops_collect(&hops, pg_path_trace(p->sim.path), 1, response->label);
    if (is_form(p->demo, "jsonl")) {
        print_jsonl(&hops, &p->out);
    } else if (is_form(p->demo, "text")) {
        print_story(p, &hops, response);
    } else {
        print_picture(p->demo, &hops, p->s, &p->out);
    }
    return 0;
}

static int play_one(struct play *p)
{
    struct pg_response response;
    int error = pg_sim_request(&p->sim, &p->request, &response);
    int status = tell(p, error, &response);
    pg_response_free(&response);
    return status;
}

struct waiting {
    struct pg_response response;
    bool done;
};

static void on_response(void *arg, struct pg_response *response)
{
    struct waiting *w = arg;
    w->response = *response;
    w->done = true;
}

#define UNDER_WAY_US   100000   /* the pod has the request, and needs longer */
#define FIRST_LIMIT_US 10000000 /* it has been answered by then, or never will be */

/* The manifests are loaded again while the first request waits for its pod; the second one comes behind that. */
static int play_two(struct play *p, struct pg_snapshot *later)
{
    struct waiting first = {.done = false};
    struct pg_response second = {.status = 0};
    pg_trace_set_time(pg_path_trace(p->sim.path), p->sim.now_us);
    int error = pg_lab_request(pg_path_clients(p->sim.path), &p->request, on_response, &first);
    if (error == 0) {
        pg_sim_pass(&p->sim, UNDER_WAY_US);
        error = pg_path_load(p->sim.path, later, p->sim.now_us);
    }
    error = error == 0 ? pg_sim_request(&p->sim, &p->request, &second) : error;
    if (error == 0 && !pg_sim_until(&p->sim, &first.done, FIRST_LIMIT_US)) {
        error = -ETIMEDOUT;
    }
    int status = tell(p, error, &first.response);
    if (status == 0 && is_form(p->demo, "text")) {
        pg_text_printf(&p->out,
                       "\n%u ms after that was sent, the manifests were loaded again: %s\n",
                       UNDER_WAY_US / 1000, pg_scenes[p->number].changed);
    }
    status = status == 0 ? tell(p, 0, &second) : status;
    pg_response_free(&first.response);
    pg_response_free(&second);
    return status;
}

static int act(struct play *p)
{
    const struct pg_scene *scene = &pg_scenes[p->number];
    struct pg_snapshot *later = NULL;
    if (scene->later != NULL && load_scene(p->demo, scene, true, &later) != 0) {
        return PG_EXIT_MANIFEST;
    }
    bool text = is_form(p->demo, "text");
    if (text) {
        print_title(p);
    }
    int status = later != NULL ? play_two(p, later) : play_one(p);
    if (text && p->demo->set_count == 0) {
        pg_text_printf(&p->out, "  %s\n", scene->moral);
    }
    if (text) {
        pg_text_putc(&p->out, '\n');
    }
    if (status == 0) {
        fputs(p->out.at, stdout);
    }
    pg_snapshot_put(later);
    return status;
}

static int play(const struct demo *demo, uint32_t number)
{
    const struct pg_scene *scene = &pg_scenes[number];
    struct play p = {.demo = demo, .number = number};
    struct pg_text sent = {0};
    if (load_scene(demo, scene, false, &p.s) != 0) {
        return PG_EXIT_MANIFEST;
    }
    const struct pg_client *client = find_client(p.s, scene->client);
    p.named = scene->named != NULL ? find_client(p.s, scene->named) : client;
    int error = pg_sim_open(NULL, p.s, demo->seed, &p.sim);
    if (error != 0 || client == NULL || p.named == NULL) {
        fprintf(stderr, "podglass demo: the scene can not be set up: %s\n", strerror(-error));
        pg_snapshot_put(p.s);
        return PG_EXIT_PRIVILEGE;
    }
    pg_text_puts(&sent, scene->preface != NULL ? scene->preface : "");
    pg_text_puts(&sent, scene->request);
    p.request = (struct pg_request){
        .from = client->addr,
        .to = p.s->lb_ips[p.s->services[p.s->lab.ingress_service].lb_first].addr,
        .to_port = 80,
        .bytes = sent.at,
        .len = (uint32_t)sent.len};
    int status = act(&p);
    pg_text_free(&p.out);
    pg_text_free(&sent);
    pg_sim_close(&p.sim);
    pg_snapshot_put(p.s);
    return status;
}

/* ---- the verb ---- */

static int save_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    bool good = f != NULL && fputs(text, f) >= 0;
    if (f == NULL || fclose(f) != 0 || !good) {
        fprintf(stderr, "podglass demo: %s: %s\n", path, strerror(errno));
        return PG_EXIT_DIFFERENT;
    }
    return 0;
}

static int save_scene(const char *dir, uint32_t number)
{
    const struct pg_scene *scene = &pg_scenes[number];
    int status = 0;
    char path[4096];
    snprintf(path, sizeof path, "%s/scene-%u", dir, number + 1);
    if ((mkdir(dir, 0755) != 0 && errno != EEXIST) || (mkdir(path, 0755) != 0 && errno != EEXIST)) {
        fprintf(stderr, "podglass demo: %s: %s\n", path, strerror(errno));
        return PG_EXIT_DIFFERENT;
    }
    for (int i = 0; i < PG_SCENE_FILES && status == 0; i++) {
        snprintf(path, sizeof path, "%s/scene-%u/%s", dir, number + 1, scene->files[i].name);
        status = save_file(path, scene->files[i].text);
    }
    if (status == 0 && scene->later != NULL) { /* not .yaml: a directory is read whole */
        snprintf(path, sizeof path, "%s/scene-%u/%s.later", dir, number + 1, scene->files[1].name);
        status = save_file(path, scene->later);
    }
    return status;
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
