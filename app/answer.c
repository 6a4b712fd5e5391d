/* Answers of the control socket: the head all have, and errors as JSON. */
#include "answer.h"

#include "podglass/json.h"

#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <stdint.h>

static void on_sent(const void *bytes, size_t len, void *arg)
{
    struct pg_text sent = {.at = (char *)(uintptr_t)bytes, .len = len};

    (void)arg;
    pg_text_free(&sent);
}

void pg_answer(struct evhttp_request *req, int status, const char *type, struct pg_text *body)
{
    struct evkeyvalq *head = evhttp_request_get_output_headers(req);
    struct evbuffer *out = evhttp_request_get_output_buffer(req);

    evhttp_add_header(head, "Content-Type", type);
    evhttp_add_header(head, "Connection", "close");
    evhttp_add_header(head, "Cache-Control", "no-store");
    if (body->len && evbuffer_add_reference(out, body->at, body->len, on_sent, NULL) == 0) {
        *body = (struct pg_text){0};
    }
    evhttp_send_reply(req, status, NULL, NULL);
}

void pg_answer_error(struct evhttp_request *req, int status, const char *why)
{
    struct pg_text body = {0};
    struct pg_json j;

    pg_json_begin(&j, &body);
    pg_json_object(&j);
    pg_json_key_string(&j, "kind", "Error");
    pg_json_key_uint(&j, "code", (uint64_t)status);
    pg_json_key_string(&j, "message", why);
    pg_json_object_end(&j);
    pg_text_putc(&body, '\n');
    pg_answer(req, status, "application/json", &body);
    pg_text_free(&body);
}
