/*
 * Proof of the patches in stack/lwip/patches: lwIP alone, with nothing of stack/ around it, gets
 * hostile segments. Each segment lies in a heap block of exactly its size, so address sanitizer
 * sees one byte too many. The functions lwIP calls are the simplest possible ones, below.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "hooks.h"
#include "lwip/init.h"
#include "lwip/netif.h"
#include "lwip/pbuf.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/sys.h"
#include "lwip/tcp.h"

#define WINDOW      1000 /* bytes; small, so that segments reach beyond it */
#define SERVER_PORT 80
#define CLIENT_PORT 40000
#define SERVER_ISN  1000
#define CLIENT_ISN  0xffffff00u /* sequence numbers wrap in every test */

/* ---- what lwIP calls */

static const char *failed_assertion;

void pg_lwip_assert_failed(const char *what, const char *file, int line)
{
    (void)file;
    (void)line;
    if (!failed_assertion)
        failed_assertion = what;
}

uint32_t pg_lwip_random(void)
{
    return 4;
}

void *pg_lwip_malloc(size_t size)
{
    return malloc(size);
}

void *pg_lwip_calloc(size_t count, size_t size)
{
    return calloc(count, size);
}

void pg_lwip_free(void *block)
{
    free(block);
}

u32_t sys_now(void)
{
    return 0;
}

uint32_t pg_lwip_isn(const ip_addr_t *local, u16_t local_port, const ip_addr_t *remote,
                     u16_t remote_port)
{
    (void)local;
    (void)local_port;
    (void)remote;
    (void)remote_port;
    return SERVER_ISN;
}

err_t pg_lwip_inpacket(struct tcp_pcb *pcb, struct tcp_hdr *hdr, u16_t opt_len, u16_t opt1_len,
                       u8_t *opt2, struct pbuf *p)
{
    (void)pcb;
    (void)hdr;
    (void)opt_len;
    (void)opt1_len;
    (void)opt2;
    (void)p;
    return ERR_OK;
}

const struct tcp_pcb *pg_lwip_out_pcb;

/* ---- one server, one client */

static struct netif netif;
static struct tcp_pcb *listener;
static struct tcp_pcb *server; /* the connection under test */
static uint32_t received;      /* bytes of the stream handed to us */
static bool received_wrong;    /* a byte was not the one that was sent */
static bool received_fin;
static bool take_at_once; /* open the window again for what was received */

/* The byte of the client's stream at an offset. */
static uint8_t stream_byte(uint32_t offset)
{
    return (uint8_t)((offset * 2654435761u) >> 24);
}

static err_t on_output(struct netif *out, struct pbuf *p, const ip4_addr_t *to)
{
    (void)out;
    (void)p;
    (void)to;
    return ERR_OK;
}

static err_t on_netif(struct netif *added)
{
    added->output = on_output;
    added->mtu = 1500;
    return ERR_OK;
}

static err_t on_recv(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
    (void)arg;
    (void)err;
    if (!p) {
        received_fin = true;
        return ERR_OK;
    }
    for (struct pbuf *q = p; q; q = q->next) {
        for (u16_t i = 0; i < q->len; i++)
            received_wrong |= ((uint8_t *)q->payload)[i] != stream_byte(received++);
    }
    if (take_at_once)
        tcp_recved(pcb, p->tot_len);
    pbuf_free(p);
    return ERR_OK;
}

static void on_err(void *arg, err_t err)
{
    (void)arg;
    (void)err;
    server = NULL;
}

static void shrink_window(struct tcp_pcb *pcb)
{
    pcb->rcv_wnd = WINDOW;
    pcb->rcv_ann_wnd = WINDOW;
    pcb->rcv_ann_right_edge = pcb->rcv_nxt + WINDOW;
}

static err_t on_accept(void *arg, struct tcp_pcb *pcb, err_t err)
{
    (void)arg;
    (void)err;
    server = pcb;
    tcp_recv(pcb, on_recv);
    tcp_err(pcb, on_err);
    return ERR_OK;
}

/* A packet: a pbuf by reference whose bytes are a heap block of exactly their size. */
struct block_pbuf {
    struct pbuf_custom custom; /* first: lwIP hands this back */
    uint8_t *block;
};

static void on_free(struct pbuf *p)
{
    struct block_pbuf *packet = (struct block_pbuf *)p;

    free(packet->block);
    free(packet);
}

/* Hands lwIP a segment from the client. offset is in its stream, options_len a multiple of 4. */
static void send_options(uint32_t offset, uint16_t len, uint8_t flags, const uint8_t *options,
                         uint16_t options_len)
{
    uint16_t size = (uint16_t)(sizeof(struct tcp_hdr) + options_len + len);
    struct block_pbuf *packet = calloc(1, sizeof(*packet));
    struct tcp_hdr hdr = {.src = PP_HTONS(CLIENT_PORT), .dest = PP_HTONS(SERVER_PORT)};
    uint8_t *payload;

    assert_non_null(packet);
    packet->block = malloc(size);
    assert_non_null(packet->block);
    packet->custom.custom_free_function = on_free;

    hdr.seqno = lwip_htonl(CLIENT_ISN + 1 + offset);
    hdr.ackno = lwip_htonl(SERVER_ISN + 1);
    hdr.wnd = PP_HTONS(0xffff);
    TCPH_HDRLEN_FLAGS_SET(&hdr, 5 + options_len / 4, flags);
    memcpy(packet->block, &hdr, sizeof(hdr));
    payload = packet->block + sizeof(hdr) + options_len;
    if (options_len > 0)
        memcpy(packet->block + sizeof(hdr), options, options_len);
    for (uint16_t i = 0; i < len; i++)
        payload[i] = stream_byte(offset + i);

    ip_data.current_netif = &netif;
    ip_data.current_input_netif = &netif;
    IP_ADDR4(&ip_data.current_iphdr_src, 10, 0, 0, 2);
    IP_ADDR4(&ip_data.current_iphdr_dest, 10, 0, 0, 1);
    tcp_input(pbuf_alloced_custom(PBUF_RAW, size, PBUF_REF, &packet->custom, packet->block, size),
              &netif);
}

static void send_segment(uint32_t offset, uint16_t len, uint8_t flags)
{
    send_options(offset, len, flags, NULL, 0);
}

static void half_open(void)
{
    received = 0;
    received_wrong = false;
    received_fin = false;
    take_at_once = false;
    send_segment(0u - 1u, 0, TCP_SYN);
    assert_non_null(tcp_active_pcbs);
    assert_int_equal(tcp_active_pcbs->state, SYN_RCVD);
    shrink_window(tcp_active_pcbs);
}

static void open_connection(void)
{
    half_open();
    send_segment(0, 0, TCP_ACK);
    assert_non_null(server);
    assert_int_equal(server->state, ESTABLISHED);
}

static void close_connection(void)
{
    while (tcp_active_pcbs)
        tcp_abort(tcp_active_pcbs);
    server = NULL;
}

/* What must be true after every segment. right_edge: where the window ends, as an offset. */
static void assert_window_holds(const struct tcp_pcb *pcb, uint32_t right_edge)
{
    uint32_t end = pcb->rcv_nxt;

    assert_null(failed_assertion);
    /* lwIP gives back the FIN's place in the window at once. */
    assert_int_equal(pcb->rcv_nxt + pcb->rcv_wnd, CLIENT_ISN + 1 + right_edge + received_fin);
    assert_true(pcb->rcv_wnd <= WINDOW);
    for (const struct tcp_seg *seg = pcb->ooseq; seg; seg = seg->next) {
        assert_true(TCP_SEQ_GEQ(seg->tcphdr->seqno, end));
        assert_int_equal(seg->len, seg->p->tot_len);
        end = seg->tcphdr->seqno + TCP_TCPLEN(seg);
        assert_true(TCP_SEQ_LEQ(end, pcb->rcv_nxt + pcb->rcv_wnd));
    }
}

/* ---- the tests */

static void an_option_kind_in_the_last_byte_reads_nothing_behind_it(void **state)
{
    static const uint8_t kinds[] = {2, 3, 4, 5, 8, 254};

    for (size_t i = 0; i < sizeof(kinds); i++) {
        const uint8_t options[] = {1, 1, 1, kinds[i]};

        send_options(0u - 1u, 0, TCP_SYN, options, sizeof(options));
        assert_non_null(tcp_active_pcbs);
        assert_null(failed_assertion);
        close_connection();
    }
}

static void options_before_a_malformed_one_still_count(void **state)
{
    const uint8_t options[] = {2, 4, 0x02, 0x58, 1, 1, 1, 3};

    send_options(0u - 1u, 0, TCP_SYN, options, sizeof(options));
    assert_non_null(tcp_active_pcbs);
    assert_int_equal(tcp_active_pcbs->mss, 600);
    assert_int_equal(tcp_active_pcbs->flags & TF_WND_SCALE, 0);
    close_connection();
}

struct segment {
    uint32_t offset;
    uint16_t len;
    uint8_t flags;
};

struct early_case {
    const char *what;
    struct segment segments[6]; /* ends with one of length 0 and no flags */
    uint32_t received;          /* bytes of the stream that must have arrived at the end */
    bool fin;                   /* and whether its end must have */
};

static const struct early_case early_cases[] = {
    {"the first on the queue ends beyond", {{500, 800, 0}, {0, 500, 0}}, 1000, false},
    {"one in front of the first ends beyond",
     {{900, 50, 0}, {100, 2000, 0}, {0, 100, 0}},
     1000,
     false},
    {"a longer one from the same byte ends beyond",
     {{500, 100, 0}, {500, 900, 0}, {0, 500, 0}},
     1000,
     false},
    {"one in the middle ends beyond",
     {{100, 10, 0}, {900, 10, 0}, {300, 900, 0}, {110, 190, 0}, {0, 100, 0}},
     1000,
     false},
    {"the last one ends beyond",
     {{100, 10, 0}, {500, 900, 0}, {110, 390, 0}, {0, 100, 0}},
     1000,
     false},
    {"a FIN just beyond", {{500, 500, TCP_FIN}, {0, 500, 0}}, 1000, false},
    {"a FIN just inside", {{500, 499, TCP_FIN}, {0, 500, 0}}, 999, true},
    {"bytes behind a queued FIN, early",
     {{500, 10, TCP_FIN}, {400, 600, 0}, {0, 400, 0}},
     1000,
     false},
    {"bytes behind a queued FIN, in order", {{500, 10, TCP_FIN}, {0, 1000, 0}}, 1000, false},
    {"an early FIN counts when its turn comes", {{500, 100, TCP_FIN}, {0, 500, 0}}, 600, true},
    {"an early FIN alone counts", {{600, 0, TCP_FIN}, {500, 100, 0}, {0, 500, 0}}, 600, true},
    {"a longer one with the same end keeps the FIN",
     {{550, 50, TCP_FIN}, {500, 100, 0}, {0, 500, 0}},
     600,
     true},
    {"one in order with the same end keeps the FIN", {{550, 50, TCP_FIN}, {0, 600, 0}}, 600, true},
};

static void early_segments_never_reach_beyond_the_window(void **state)
{
    for (size_t i = 0; i < sizeof(early_cases) / sizeof(early_cases[0]); i++) {
        const struct early_case *c = &early_cases[i];

        open_connection();
        for (const struct segment *s = c->segments; s->len > 0 || s->flags; s++) {
            send_segment(s->offset, s->len, s->flags | TCP_ACK);
            if (failed_assertion)
                fail_msg("%s: %s", c->what, failed_assertion);
            assert_window_holds(server, WINDOW);
        }
        if (received != c->received || received_fin != c->fin || received_wrong)
            fail_msg("%s: received %u, fin %d, wrong %d", c->what, received, received_fin,
                     received_wrong);
        close_connection();
    }
}

static void an_early_syn_is_not_queued(void **state)
{
    half_open();
    send_segment(500, 400, TCP_SYN | TCP_ACK);
    send_segment(900, 50, TCP_ACK);
    send_segment(0, 500, TCP_ACK);
    /* Were it queued, the next byte would now be 901, behind the start of what is queued at 900. */
    send_segment(901, 20, TCP_ACK);
    assert_window_holds(server, WINDOW);
    assert_int_equal(received, 500);
    send_segment(500, 400, TCP_ACK);
    assert_window_holds(server, WINDOW);
    assert_int_equal(received, 921); /* lwIP cut [900, 950) down for the one at 901 */
    assert_false(received_wrong);
    close_connection();
}

/* xorshift32: the same segments in every run. */
static uint32_t draw(uint32_t *seed, uint32_t below)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed % below;
}

static void any_order_of_segments_gives_the_stream(void **state)
{
    uint32_t seed = 20240229;

    for (int connection = 0; connection < 3000; connection++) {
        open_connection();
        take_at_once = draw(&seed, 2) == 0;
        for (int i = 0; i < 60 && server && !received_fin; i++) {
            uint32_t from = draw(&seed, WINDOW + 400) + received - 200;
            uint16_t len = (uint16_t)(1 + draw(&seed, draw(&seed, 4) == 0 ? 2 * WINDOW : 100));

            send_segment(from, len, draw(&seed, 20) == 0 ? TCP_ACK | TCP_FIN : TCP_ACK);
            if (server)
                assert_window_holds(server, take_at_once ? received + WINDOW : WINDOW);
            assert_false(received_wrong);
        }
        close_connection();
    }
}

static void order_is_the_same_from_both_sides(void **state)
{
    static const uint32_t distances[] = {0, 1, 0x7fffffff, 0x80000000, 0x80000001, 0xffffffff};

    for (size_t i = 0; i < sizeof(distances) / sizeof(distances[0]); i++) {
        uint32_t a = 0xfffffff0;
        uint32_t b = a + distances[i];

        assert_int_equal(TCP_SEQ_LT(a, b), TCP_SEQ_GT(b, a));
        assert_int_equal(TCP_SEQ_LEQ(a, b), TCP_SEQ_GEQ(b, a));
        assert_int_equal(TCP_SEQ_LT(a, b), !TCP_SEQ_GEQ(a, b));
    }
    assert_true(TCP_SEQ_LT(0xfffffff0, 0x10));
    assert_true(TCP_SEQ_BETWEEN(0x10, 0xfffffff0, 0x20));
}

static int set_up(void **state)
{
    ip4_addr_t addr, mask = {0};

    lwip_init();
    IP4_ADDR(&addr, 10, 0, 0, 1); /* lwIP routes nothing over an interface without one */
    netif_add(&netif, &addr, &mask, &mask, NULL, on_netif, NULL);
    netif_set_default(&netif);
    netif_set_up(&netif);
    netif_set_link_up(&netif);
    listener = tcp_new();
    tcp_bind(listener, IP4_ADDR_ANY, SERVER_PORT);
    listener = tcp_listen(listener);
    tcp_accept(listener, on_accept);
    return 0;
}

static int tear_down(void **state)
{
    tcp_close(listener);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_option_kind_in_the_last_byte_reads_nothing_behind_it),
        cmocka_unit_test(options_before_a_malformed_one_still_count),
        cmocka_unit_test(early_segments_never_reach_beyond_the_window),
        cmocka_unit_test(an_early_syn_is_not_queued),
        cmocka_unit_test(any_order_of_segments_gives_the_stream),
        cmocka_unit_test(order_is_the_same_from_both_sides),
    };

    return cmocka_run_group_tests_name("lwIP patches", tests, set_up, tear_down);
}
