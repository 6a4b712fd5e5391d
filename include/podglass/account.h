/* folder: app */
/* What a built-in pod says it saw: the best witness of all, since it stands at the end of the way. */
#ifndef PODGLASS_ACCOUNT_H
#define PODGLASS_ACCOUNT_H

#include "podglass/verdict.h"

#include <stdbool.h>

struct json_t; /* jansson's */

struct pg_account {
    struct json_t *said;
    const char *pod;     /* "shop/web-0", "" for none with a name; in `said` */
    struct pg_seen seen; /* points into the two below */
    struct pg_carried got, claimed;
};
/* body: of the response; request: as the client wrote it. false: this is not the answer of a built-in pod, and there is nothing to free. */
bool pg_account_take(struct pg_slice body, struct pg_slice request, const struct pg_addr *client,
                     struct pg_account *ret);
void pg_account_free(struct pg_account *a);
/* All values of a header field as the pod got it, added to out as one list. false: absent. */
bool pg_account_header(const struct pg_account *a, const char *name, struct pg_text *out);

#endif
