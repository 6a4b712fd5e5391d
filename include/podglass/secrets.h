/* folder: trace */
/* What may be a credential, and is not shown unless somebody asks for it. */
#ifndef PODGLASS_SECRETS_H
#define PODGLASS_SECRETS_H

#include "podglass/text.h"
#include "podglass/trace.h"

#include <stdbool.h>

#define PG_HIDDEN "(hidden)"

/* Is the value of a header of this name a credential? Authorization, Cookie, X-Api-Key, and names with words like token or password. */
bool pg_secret_header(struct pg_slice name);
/* Values of such headers; `queries`: what stands behind the question mark of a target, too. */
void pg_record_hide(struct pg_record *r, bool queries);
/* Adds the lines of a message's head with such values hidden, as bytes (not escaped). What follows the empty line is added as it is. */
void pg_text_add_head_hidden(struct pg_text *t, struct pg_slice message);

#endif
