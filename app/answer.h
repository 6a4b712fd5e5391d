/* One answer of the control socket, whole. Lists of flows go in pieces (control_stream.h), what is live in streams (live.h). */
#ifndef PODGLASS_ANSWER_H
#define PODGLASS_ANSWER_H

#include "podglass/text.h"

struct evhttp_request;

/* Takes over what body holds, which may be large and is not copied; body may be freed in any case. status: of HTTP. */
void pg_answer(struct evhttp_request *req, int status, const char *type, struct pg_text *body);
/* The same as an Error of the API, with why for people. */
void pg_answer_error(struct evhttp_request *req, int status, const char *why);

#endif
