/* Pages made from the tables: the manual page of each verb, that of the codes, and docs/codes.md. */
#ifndef PODGLASS_PAGES_H
#define PODGLASS_PAGES_H

#include <stdbool.h>

/* A text in scdoc's language, where some bytes mean something. */
void pg_page_text(const char *text);
bool pg_page_codes(const char *form); /* codes.c: "markdown" or "man"; false: no such form */
/* usage.c: lines of "  podglass demo   all scenes"; NULL: none */
const char *pg_verb_examples(unsigned verb);
/* `podglass help --page NAME`: "podglass-run.1", "podglass-codes.7", "codes.md". false: no such page. */
bool pg_page_print(const char *name);

#endif
