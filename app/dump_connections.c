/* `get connections`: both TCP legs of each client connection side by side, and what NAT made of them.
 *
 * The proxy knows its two connections as its own TCP sees them: the client leg after prerouting, the upstream leg before
 * output. NAT knows the rest. This file joins the two by tuple: what arrives on the client leg is {peer, local}, so the answer the
 * flow waits for is {local, peer}, its reply tuple; what leaves on the upstream leg is {local, peer}, the original tuple of
 * its flow. So a row can say whom the client called (the vip) and which pod the service address became, and whom
 * that pod sees.
 *
 * Called by dump_json.c; reads proxy by pg_proxy_walk and nat by pg_nat_find. A leg without a flow (expired, or a packet that never
 * went through NAT) has null in these places. */
#include "dump_internal.h"

/* The flow of the packets that our TCP sends on this connection. */
static bool find_flow(const struct pg_dump *d, const struct pg_conn_view *c,
                      struct pg_nat_flow_view *ret)
{
    struct pg_tuple sent = {.src = c->local,
                            .dst = c->peer,
                            .src_port = c->local_port,
                            .dst_port = c->peer_port,
                            .proto = PG_PROTO_TCP};

    return pg_nat_find(pg_path_nat(d->path), &sent, d->now_us, ret);
}

static void leg(struct pg_dump *d, const struct pg_conn_view *c)
{
    struct pg_json *j = &d->json;

    pg_json_key_addr(j, "peer", &c->peer);
    pg_json_key_uint(j, "peerPort", c->peer_port);
    pg_json_key_addr(j, "local", &c->local);
    pg_json_key_uint(j, "localPort", c->local_port);
    pg_json_key_string(j, "state", c->state);
    pg_json_key(j, "rttMicroseconds");
    if (c->rtt_us) {
        pg_json_uint(j, c->rtt_us);
    } else {
        pg_json_string(j, NULL); /* not measured */
    }
    pg_json_key_uint(j, "retransmits", c->retransmits);
    pg_json_key_uint(j, "bytesIn", c->bytes_in);
    pg_json_key_uint(j, "bytesOut", c->bytes_out);
    pg_json_key_uint(j, "cwnd", c->cwnd);
    pg_json_key_uint(j, "mss", c->mss);
}

static void flow_id(struct pg_dump *d, const char *key, bool found, uint64_t id)
{
    pg_json_key(&d->json, key);
    if (found) {
        pg_json_uint(&d->json, id);
    } else {
        pg_json_string(&d->json, NULL);
    }
}

/* "source" is the client as it was before NAT, "vip" whom it called. */
static void client_leg(struct pg_dump *d, const struct pg_session_view *s)
{
    struct pg_nat_flow_view flow = {0};
    bool found = find_flow(d, &s->client, &flow);

    pg_json_key(&d->json, "client");
    pg_json_object(&d->json);
    leg(d, &s->client);
    pg_dump_endpoint(d, "source", &flow.orig.src, flow.orig.src_port);
    pg_dump_endpoint(d, "vip", &flow.orig.dst, flow.orig.dst_port);
    pg_json_object_end(&d->json);
    flow_id(d, "conntrackClient", found, flow.id);
}

/* "endpoint" is whom the service address became, "seen" whom that endpoint sees. */
static void upstream_leg(struct pg_dump *d, const struct pg_session_view *s)
{
    struct pg_nat_flow_view flow = {0};
    bool found = s->has_upstream && find_flow(d, &s->upstream, &flow);
    uint32_t pod = PG_INDEX_NONE;

    pg_json_key(&d->json, "upstream");
    if (s->has_upstream) {
        pg_json_object(&d->json);
        leg(d, &s->upstream);
        pg_dump_endpoint(d, "endpoint", &flow.reply.src, flow.reply.src_port);
        pg_dump_endpoint(d, "seen", &flow.reply.dst, flow.reply.dst_port);
        pg_json_object_end(&d->json);
        if (d->snapshot) {
            pod = found ? pg_snapshot_pod_at(d->snapshot, &flow.reply.src, flow.reply.src_port)
                        : pg_snapshot_pod_at(d->snapshot, &s->upstream.peer, s->upstream.peer_port);
        }
    } else {
        pg_json_string(&d->json, NULL);
    }
    flow_id(d, "conntrackUpstream", found, flow.id);
    pg_dump_pod_name(d, "pod", pod);
}

static void tls(struct pg_dump *d, const struct pg_tls_view *t, bool to_pod)
{
    struct pg_json *j = &d->json;

    pg_json_key(j, to_pod ? "upstreamTls" : "tls");
    if (!t->version) {
        pg_json_string(j, NULL);
        return;
    }
    pg_json_object(j);
    pg_json_key_string(j, "version", t->version);
    pg_json_key_string(j, "cipher", t->cipher);
    pg_json_key_string(j, "protocol", t->protocol[0] ? t->protocol : NULL);
    pg_json_key_string(j, "serverName", t->name[0] ? t->name : NULL);
    pg_json_key_bool(j, "resumed", t->resumed);
    if (to_pod) {
        pg_json_key_bool(j, "verified", t->verified);
    }
    pg_dump_reason(d, to_pod ? "reason" : "certificate", t->reason);
    pg_json_object_end(j);
}

static void on_session(void *arg, const struct pg_session_view *s)
{
    struct pg_dump *d = arg;
    struct pg_json *j = &d->json;

    pg_json_object(j);
    pg_dump_flow_label(d, "flow", s->label);
    pg_json_key_string(j, "state", s->state);
    pg_json_key_string(j, "service", s->service && s->service[0] ? s->service : NULL);
    client_leg(d, s);
    tls(d, &s->tls, false);
    upstream_leg(d, s);
    tls(d, &s->upstream_tls, true);
    pg_json_key_uint(j, "requests", s->requests);
    pg_json_key(j, "lastStatus");
    if (s->last_status) {
        pg_json_uint(j, s->last_status);
    } else {
        pg_json_string(j, NULL);
    }
    pg_json_key_uint(j, "ageSeconds", s->age_us / 1000000);
    pg_json_object_end(j);
}

void pg_dump_connections(struct pg_dump *d)
{
    uint64_t cursor = 0;

    while (pg_proxy_walk(pg_path_proxy(d->path), &cursor, PG_DUMP_STEP, d->now_us, on_session, d)) {
    }
}
