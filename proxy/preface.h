/* Connections that must begin with a PROXY preface, and what was read from it for as long as somebody needs it. */
#ifndef PODGLASS_PROXY_PREFACE_H
#define PODGLASS_PROXY_PREFACE_H

#include "podglass/conn.h"
#include "podglass/preface_decide.h"

struct pg_proxy;
struct pg_session;
struct pg_owned_timer;
struct pg_prefaces;   /* all of them */
struct pg_preface_of; /* of one connection */

struct pg_prefaces *pg_prefaces_new(struct pg_proxy *p, uint32_t limit); /* NULL: out of memory */
void pg_prefaces_free(struct pg_prefaces *all); /* the stack frees connections itself */
/* Takes a connection over until its preface was read, then hands it to pg_client_begin; or ends it. */
void pg_preface_begin(struct pg_prefaces *all, struct pg_conn *c);
void pg_preface_timeout(struct pg_owned_timer *timer);
/* What a connection with these ends began with, and a reference to it; NULL: nothing. Connections that others make of it (TLS) have the same ends. */
struct pg_preface_of *pg_preface_get(struct pg_prefaces *all, const struct pg_conn *c);
void pg_preface_put(struct pg_preface_of *of); /* NULL is fine */
/* Its texts are gone: only ends and flags are filled. */
const struct pg_preface *pg_preface_read(const struct pg_preface_of *of);

/* ---- request.c ---- */
/* The ends of the client's connection, as the PROXY preface tells them if there is one. */
struct pg_ends pg_request_ends(const struct pg_session *s);

/* ---- preface_out.c ---- */
/* What a connection to a pod begins with: written to out, counted and told; its length. */
uint32_t pg_preface_send(struct pg_proxy *p, const struct pg_preface_rules *rules,
                         const struct pg_ends *ends, uint32_t label,
                         uint8_t out[PG_PREFACE_OUT_MAX]);
/* The same for a request's fresh connection, if pods are to know; 0: they are not. */
uint32_t pg_preface_out(struct pg_session *s, uint8_t out[PG_PREFACE_OUT_MAX]);

#endif
