/* podglass: one command, one verb at a time. Finds the verb in the table (verbs.def) and hands over. */
#include "podglass/run.h"
#include "podglass/tools.h"

#include <signal.h>

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    switch (pg_verb_of(argc, argv)) {
    case PG_VERB_DEMO: return pg_run_demo(argc - 1, argv + 1);
    case PG_VERB_CHECK: return pg_run_check(argc - 1, argv + 1);
    case PG_VERB_RUN: return pg_run(argc - 1, argv + 1);
    case PG_VERB_EXPLAIN: return pg_tool_explain(argc - 1, argv + 1);
    case PG_VERB_LINT: return pg_tool_lint(argc - 1, argv + 1);
    case PG_VERB_DIFF: return pg_tool_diff(argc - 1, argv + 1);
    case PG_VERB_GET: return pg_tool_get(argc - 1, argv + 1);
    case PG_VERB_TRACE: return pg_tool_trace(argc - 1, argv + 1);
    case PG_VERB_REQUEST: return pg_run_request(argc - 1, argv + 1);
    case PG_VERB_CAPTURE: return pg_tool_capture(argc - 1, argv + 1);
    case PG_VERB_TOP: return pg_tool_top(argc - 1, argv + 1);
    case PG_VERB_SCHEMA: return pg_tool_schema(argc - 1, argv + 1);
    case PG_VERB_DESCRIBE: return pg_tool_describe(argc - 1, argv + 1);
    case PG_VERB_REPORT: return pg_tool_report(argc - 1, argv + 1);
    case PG_VERB_VERSION: return pg_tool_version(argc - 1, argv + 1);
    case PG_VERB_COMPLETION: return pg_tool_completion(argc - 1, argv + 1);
    case PG_VERB_HELP: return pg_tool_help(argc, argv);
    case PG_VERB_COUNT: break;
    }
    return PG_EXIT_USAGE;
}
