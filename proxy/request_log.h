/* The end of a request: counted, and told to whoever keeps a log. */
#ifndef PODGLASS_PROXY_REQUEST_LOG_H
#define PODGLASS_PROXY_REQUEST_LOG_H

#include "podglass/ingress_decide.h"

struct pg_session;

void pg_request_log_begin(struct pg_session *s, const char *bytes); /* proxy->head is complete */
/* It was written for the pod, head_len bytes of proxy->out. */
void pg_request_log_sent(struct pg_session *s, const struct pg_client_addr *who, size_t head_len);
void pg_request_log_answered(struct pg_session *s);
/* Over, with this status to the client; 499: he did not wait. A second call does nothing. */
void pg_request_log_end(struct pg_session *s, uint16_t status);
void pg_request_log_forget(struct pg_session *s); /* the exchange goes */

#endif
