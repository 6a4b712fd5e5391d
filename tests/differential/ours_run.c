/* Our side again, as users have it: an instance of podglass on a TUN of the present namespace, asked over its control socket.
 *
 * Packets are put on the interface and read from it with a packet socket; a rule of run.sh keeps the kernel from doing anything with what podglass sends there. Each packet is followed by
 * questions until the instance has counted it. Tables are read as JSON. Slower than ours.c by far, and what can not be asked for is left out: flows are not
 * deleted, and an age is how long the test has known a flow. */
#include "differential.h"

#include "podglass/text.h"
#include "podglass/tools.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define INTERFACE  "pg0"
#define FLOWS_MOST 4096
#define ASKED_MOST 2000 /* questions until a packet must have been read */
#define QUIET_MS   1
#define KEPT_US    100000u

const bool ours_is_here = false;

static const char *control;
static int wire = -1;
static uint64_t sent, read_before, now_us;
static struct entry table[FLOWS_MOST];
static uint32_t table_count;
static bool table_is_known;
static uint64_t table_us; /* when it was asked for */
static struct {
    uint64_t id, since_us;
} known[FLOWS_MOST];
static uint32_t known_count;

static void fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

/* One packet that podglass sent, summed as a device would. false: none. */
static bool take(struct bytes *ret)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
    } control_room;
    struct iovec iov = {ret->at, BYTES_MOST};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = &control_room,
                             .msg_controllen = sizeof control_room};
    ssize_t got = recvmsg(wire, &message, 0);
    struct cmsghdr *c = got > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    struct tpacket_auxdata said = {0};

    ret->len = got > 0 ? (uint32_t)got : 0;
    if (got <= 0 || packet_is_noise(ret)) {
        return false;
    }
    if (c != NULL && c->cmsg_level == SOL_PACKET && c->cmsg_type == PACKET_AUXDATA) {
        memcpy(&said, CMSG_DATA(c), sizeof said);
    }
    if (said.tp_status & TP_STATUS_CSUMNOTREADY) {
        packet_complete(ret);
    }
    return true;
}

static json_t *ask(const char *path)
{
    struct pg_text body = {0};
    int status = 0;
    int error = pg_api_get(control, path, &status, &body);
    json_t *answer = error == 0 ? json_loadb(body.at, body.len, 0, NULL) : NULL;

    pg_text_free(&body);
    if (answer == NULL || status != 200) {
        errno = -error;
        fail(path);
    }
    return answer;
}

static uint64_t packets_read(void)
{
    json_t *answer = ask("/v1/counters");
    json_t *counters = json_object_get(answer, "counters");
    uint64_t n = (uint64_t)json_integer_value(json_object_get(counters, "rx_packets"));

    json_decref(answer);
    return n;
}

bool ours_open(const char *socket_path, const struct pg_nat_options *options, uint64_t seed)
{
    struct sockaddr_ll to = {.sll_family = AF_PACKET,
                             .sll_protocol = htons(ETH_P_ALL),
                             .sll_ifindex = (int)if_nametoindex(INTERFACE)};
    int yes = 1;

    (void)options; /* its own are the same */
    (void)seed;
    control = socket_path;
    wire = socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(ETH_P_ALL));
    if (wire < 0 || bind(wire, (const struct sockaddr *)&to, sizeof to) != 0 ||
        setsockopt(wire, SOL_PACKET, PACKET_IGNORE_OUTGOING, &yes, sizeof yes) != 0 ||
        setsockopt(wire, SOL_PACKET, PACKET_AUXDATA, &yes, sizeof yes) != 0) {
        perror(INTERFACE);
        return false;
    }
    read_before = packets_read();
    return true;
}

void ours_close(void)
{
    close(wire);
}

/* Between two packets only the seconds change. */
void ours_now(uint64_t elapsed_us)
{
    now_us = elapsed_us;
    table_is_known = table_is_known && now_us - table_us < KEPT_US;
}

void ours_send(const struct bytes *b)
{
    struct sockaddr_ll to = {.sll_family = AF_PACKET,
                             .sll_protocol = htons(b->at[0] >> 4 == 4 ? ETH_P_IP : ETH_P_IPV6),
                             .sll_ifindex = (int)if_nametoindex(INTERFACE)};

    if (sendto(wire, b->at, b->len, 0, (const struct sockaddr *)&to, sizeof to) !=
        (ssize_t)b->len) {
        fail(INTERFACE);
    }
    sent++;
}

uint32_t ours_take(struct bytes out[OUT_MOST])
{
    struct pollfd ready = {.fd = wire, .events = POLLIN};
    uint32_t count = 0;

    for (uint32_t i = 0; packets_read() < read_before + sent; i++) {
        if (i == ASKED_MOST) {
            errno = ETIMEDOUT;
            fail("podglass does not read");
        }
    }
    while (count < OUT_MOST && poll(&ready, 1, QUIET_MS) > 0) {
        count += take(&out[count]);
    }
    table_is_known = false;
    return count;
}

/* ---- tables ---- */

static uint64_t number(const json_t *object, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(object, key));
}

static struct pg_addr address(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    struct pg_addr a = {0};

    if (text == NULL || pg_addr_parse(text, strlen(text), &a) != 0) {
        errno = EINVAL;
        fail("an address of a flow");
    }
    return a;
}

static struct pg_tuple tuple(const json_t *t, uint8_t proto)
{
    struct pg_tuple real = {.src = address(t, "src"), .dst = address(t, "dst"), .proto = proto};

    if (pg_proto_is_icmp(proto)) {
        real.src_port = (uint16_t)number(t, "icmpId");
        real.dst_port = (uint16_t)(number(t, "icmpType") << 8 | number(t, "icmpCode"));
    } else {
        real.src_port = (uint16_t)number(t, "srcPort");
        real.dst_port = (uint16_t)number(t, "dstPort");
    }
    return packet_script_tuple(&real);
}

static uint8_t state_of(const char *name)
{
    for (unsigned s = 0; name != NULL && s < PG_CT_COUNT; s++) {
        if (strcmp(name, pg_ct_state_name((enum pg_tcp_state)s)) == 0) {
            return (uint8_t)s;
        }
    }
    return PG_CT_NONE;
}

static uint64_t age_of(uint64_t id)
{
    for (uint32_t i = 0; i < known_count; i++) {
        if (known[i].id == id) {
            return now_us - known[i].since_us;
        }
    }
    known[known_count % FLOWS_MOST].id = id;
    known[known_count % FLOWS_MOST].since_us = now_us;
    known_count += known_count < FLOWS_MOST;
    return 0;
}

static void read_flow(const json_t *flow, struct entry *ret)
{
    int proto = pg_proto_parse(json_string_value(json_object_get(flow, "proto")));
    const json_t *orig = json_object_get(flow, "original");
    const json_t *reply = json_object_get(flow, "reply");
    const json_t *nat = json_object_get(flow, "nat");

    *ret = (struct entry){.found = true,
                          .orig = tuple(orig, (uint8_t)proto),
                          .reply = tuple(reply, (uint8_t)proto),
                          .seen_reply = json_is_true(json_object_get(flow, "seenReply")),
                          .assured = json_is_true(json_object_get(flow, "assured")),
                          .timeout_s = number(flow, "timeoutSeconds"),
                          .packets = {number(orig, "packets"), number(reply, "packets")},
                          .bytes = {number(orig, "bytes"), number(reply, "bytes")},
                          .id = number(flow, "id")};
    ret->state = state_of(json_string_value(json_object_get(flow, "state")));
    for (size_t i = 0; i < json_array_size(nat); i++) {
        bool source = strcmp(json_string_value(json_array_get(nat, i)), "snat") == 0;
        ret->snat = ret->snat || source;
        ret->dnat = ret->dnat || !source;
    }
    ret->age_us = age_of(ret->id);
}

static void read_table(void)
{
    if (table_is_known) {
        return;
    }
    json_t *answer = ask("/v1/conntrack");
    const json_t *items = json_object_get(answer, "items");

    table_count = 0;
    for (size_t i = 0; i < json_array_size(items) && table_count < FLOWS_MOST; i++) {
        read_flow(json_array_get(items, i), &table[table_count++]);
    }
    json_decref(answer);
    table_is_known = true;
    table_us = now_us;
}

void ours_find(const struct pg_tuple *t, struct entry *ret)
{
    read_table();
    *ret = (struct entry){0};
    for (uint32_t i = 0; i < table_count; i++) {
        if (pg_tuple_equal(&table[i].orig, t) || pg_tuple_equal(&table[i].reply, t)) {
            *ret = table[i];
            return;
        }
    }
}

void ours_walk(void (*fn)(void *arg, const struct entry *e), void *arg)
{
    read_table();
    for (uint32_t i = 0; i < table_count; i++) {
        fn(arg, &table[i]);
    }
}

/* Nobody can ask for this; differential.c does not, since ours_is_here is false. */
void ours_delete(const struct entry *e)
{
    (void)e;
}

void ours_flush(void)
{
}
