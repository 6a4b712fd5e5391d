/* What `podglass help`, `podglass VERB --help` and `podglass version` print.
 *
 * Usage, flags and types come from verbs.def, the table the parser reads, so help can not drift from what is
 * accepted; only the examples are written here. Called by main; reads nothing that runs. */
#include "pages.h"
#include "verbs_internal.h"

#include <stdio.h>
#include <string.h>

static const char *const examples[PG_VERB_COUNT] = {
    [PG_VERB_DEMO] =
        "  podglass demo                   all scenes\n"
        "  podglass demo 2 --save shop/    one scene, and its manifests to play with\n",
    [PG_VERB_CHECK] = "  podglass check -f shop/ -f checks.yaml\n"
                      "  podglass check -f shop/ -f checks.yaml --junit report.xml --github\n",
    [PG_VERB_RUN] = "  podglass run -f shop/ -- curl http://shop.example.test/\n"
                    "  podglass run -f shop/ --tun pg0 --configure\n"
                    "  kubectl get svc,ep,ing,no,po -A -o yaml | podglass run -f - -- sh\n",
    [PG_VERB_EXPLAIN] =
        "  podglass explain -f shop/ --from 198.51.100.7 http://shop.example.test/cart\n"
        "  podglass explain -f shop/ --from pod:shop/web-1 http://web.shop.svc/\n"
        "  podglass explain -f shop/ --set svc/edge/gateway.externalTrafficPolicy=Local \\\n"
        "      http://shop.example.test/\n"
        "  podglass explain -f shop/ --from 198.51.100.7 --to 192.0.2.11:30080\n"
        "  podglass explain service.spec.externalTrafficPolicy\n",
    [PG_VERB_LINT] = "  podglass lint -f shop/\n"
                     "  podglass lint -f shop/ --strict -o github\n",
    [PG_VERB_DIFF] =
        "  podglass diff -f old/ -f new/\n"
        "  podglass diff -f shop/ --set svc/edge/gateway.externalTrafficPolicy=Local\n",
    [PG_VERB_GET] = "  podglass get ct                 all flows\n"
                    "  podglass get ct 1042 -o wide    one flow, by its id\n"
                    "  podglass get conn c7f1          one client connection, by its flow label\n"
                    "  podglass get svc shop/web -o json\n",
    [PG_VERB_SCHEMA] = "  podglass schema                 all kinds\n"
                       "  podglass schema ConntrackList\n",
    [PG_VERB_TRACE] =
        "  podglass trace                          everything, as it happens\n"
        "  podglass trace --from 198.51.100.7      one client; others cost nothing\n"
        "  podglass trace --verdict lost --service shop/web\n"
        "  podglass trace 'net 10.244.2.0/24 and port 8080' -o jsonl > records.jsonl\n"
        "  podglass trace -f records.jsonl -o markdown\n",
    [PG_VERB_REQUEST] =
        "  podglass request -f shop/ --from 198.51.100.7 http://shop.example.test/cart\n"
        "  podglass request --from pod:shop/web-1 http://web.shop/\n"
        "  podglass request -H 'X-Forwarded-For: 10.0.0.1' -d hello http://shop.example.test/\n",
    [PG_VERB_CAPTURE] = "  podglass capture -w shop.pcapng host 198.51.100.7\n"
                        "  podglass capture | wireshark -k -i -\n"
                        "  tshark -r shop.pcapng -Y 'frame.comment contains \"PG101\"'\n",
    [PG_VERB_DESCRIBE] = "  podglass describe svc shop/web\n"
                         "  podglass describe flow c7f1\n",
    [PG_VERB_TOP] = "  podglass top\n  podglass top | head -20          once, not on a terminal\n",
    [PG_VERB_REPORT] = "  podglass report --last 3 > issue.md\n",
    [PG_VERB_COMPLETION] = "  source <(podglass completion bash)\n",
};

const char *pg_verb_examples(unsigned verb)
{
    return verb < PG_VERB_COUNT ? examples[verb] : NULL;
}

static void print_verbs(void)
{
    puts("podglass: a see-through Kubernetes packet path in one process\n\n"
         "Usage:\n  podglass VERB [ARGUMENTS] [FLAGS]\n\nVerbs:");
    for (unsigned v = 0; v < PG_VERB_COUNT; v++) {
        printf("  %-12s%s\n", pg_verb_rows[v].name, pg_verb_rows[v].help);
    }
    puts("\n\"podglass help VERB\" explains a verb and its flags.\n\n"
         "Exit status:\n"
         "  0 done, 1 a check failed or what was asked for is not there, 2 wrong usage,\n"
         "  3 bad manifest or checks file, 4 no privilege or device for this,\n"
         "  5 no running instance; run -- CMD: the status of CMD (128+N if signal N ended it)");
}

static void print_flag(const struct pg_flag_row *f)
{
    char left[80];

    snprintf(left, sizeof left, "%c%c%s--%s%s%s", f->letter ? '-' : ' ',
             f->letter ? f->letter : ' ', f->letter ? ", " : "  ", f->name, f->argument ? " " : "",
             f->argument ? f->argument : "");
    if (strlen(left) > 30) {
        printf("  %s\n  %-30s", left, "");
    } else {
        printf("  %-30s", left);
    }
    printf("  %s%s\n", f->help, f->repeatable ? " (may be repeated)" : "");
}

static void print_verb(enum pg_verb verb)
{
    bool any = false;

    printf("podglass %s: %s\n\nUsage:\n  podglass %s", pg_verb_rows[verb].name,
           pg_verb_rows[verb].help, pg_verb_rows[verb].name);
    for (unsigned f = 0; f < PG_FLAG_COUNT; f++) {
        any = any || pg_flag_rows[f].verb == verb;
    }
    printf("%s%s%s\n", any ? " [FLAGS]" : "", pg_verb_rows[verb].synopsis[0] ? " " : "",
           pg_verb_rows[verb].synopsis);
    if (verb == PG_VERB_GET) {
        puts("\nTypes:");
        for (size_t i = 0; i < PG_GET_TYPE_COUNT; i++) {
            printf("  %-14s%-18s%s\n", pg_type_rows[i].name, pg_type_rows[i].aliases,
                   pg_type_rows[i].help);
        }
    }
    if (any) {
        puts("\nFlags:");
    }
    for (unsigned f = 0; f < PG_FLAG_COUNT; f++) {
        if (pg_flag_rows[f].verb == verb) {
            print_flag(&pg_flag_rows[f]);
        }
    }
    if (examples[verb]) {
        printf("\nExamples:\n%s", examples[verb]);
    }
}

static int finish(void)
{
    return fflush(stdout) == 0 ? PG_EXIT_OK : PG_EXIT_DIFFERENT;
}

int pg_tool_help(int argc, char **argv)
{
    const char *about = argc > 1 ? argv[1] : "";
    bool named = false; /* help was asked about itself: "help help", "help --help" */

    if (argc == 4 && strcmp(about, "help") == 0 && strcmp(argv[2], "--page") == 0) {
        return pg_page_print(argv[3])
                   ? finish()
                   : pg_options_complain(PG_VERB_HELP, "there is no page \"%s\"", argv[3]);
    }
    if (strcmp(about, "help") == 0 && argc > 2) {
        named = true;
        about = argv[2][0] == '-' ? "help" : argv[2];
    }
    if (about[0] == 0 || about[0] == '-' || (strcmp(about, "help") == 0 && !named)) {
        print_verbs();
        return finish();
    }
    for (unsigned v = 0; v < PG_VERB_COUNT; v++) {
        if (strcmp(about, pg_verb_rows[v].name) == 0) {
            print_verb((enum pg_verb)v);
            return finish();
        }
    }
    return pg_options_complain(PG_VERB_HELP, "unknown verb \"%s\"", about);
}

int pg_tool_version(int argc, char **argv)
{
    struct pg_options o;
    int status = pg_options_parse(PG_VERB_VERSION, argc, argv, &o);

    if (status) {
        return status;
    }
    const char *form = o.value[PG_FLAG_VERSION_OUTPUT];

    status = pg_options_args(&o, 0, 0);
    if (status == 0 && form && strcmp(form, "json") == 0) {
        puts("{\"apiVersion\":\"podglass/v1alpha1\",\"kind\":\"Version\","
             "\"version\":\"" PODGLASS_VERSION "\"}");
    } else if (status == 0) {
        puts("podglass " PODGLASS_VERSION);
    }
    pg_options_free(&o);
    return status ? status : finish();
}
