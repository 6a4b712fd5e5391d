/*
 * Where lwIP asks us something, or tells us something, in the middle of its own work. lwIP's files
 * include this through LWIP_HOOK_FILENAME; the functions are in stack/. It also refuses any lwIP
 * other than the one all of stack/ was written for, because the bucket swap, the timers and the
 * patches depend on its insides.
 */
#ifndef PODGLASS_LWIP_HOOKS_H
#define PODGLASS_LWIP_HOOKS_H

#include "lwip/arch.h"
#include "lwip/err.h"
#include "lwip/init.h"
#include "lwip/ip_addr.h"

_Static_assert(
    LWIP_VERSION_MAJOR == 2 && LWIP_VERSION_MINOR == 1 && LWIP_VERSION_REVISION == 3 &&
        LWIP_VERSION_IS_RELEASE,
    "stack/ depends on the insides of lwIP 2.1.3; read docs/architecture.md before moving on");

struct pbuf;
struct tcp_hdr;
struct tcp_pcb;

/*
 * Initial sequence number of a connection, ports in host order. Keyed (RFC 6528): lwIP's own starts
 * at 6510 in every process and counts ticks. Called for both directions of opening, before the pcb
 * is in a list.
 */
uint32_t pg_lwip_isn(const ip_addr_t *local, u16_t local_port, const ip_addr_t *remote,
                     u16_t remote_port);
#define LWIP_HOOK_TCP_ISN(local, local_port, remote, remote_port) \
    pg_lwip_isn((local), (local_port), (remote), (remote_port))

/*
 * A segment found its pcb and the state machine is about to run. ERR_OK lets it in, anything else
 * drops it (lwIP frees p). The header is in host order already, its options are opt1_len bytes
 * behind it and the rest, if any, at opt2; p is the payload.
 * Also called for a listener: then pcb points to the smaller struct tcp_pcb_listen, and only what
 * both have (state, addresses, local port) may be read. Also called for a pcb in TIME_WAIT. pcb is
 * never NULL.
 */
err_t pg_lwip_inpacket(struct tcp_pcb *pcb, struct tcp_hdr *hdr, u16_t opt_len, u16_t opt1_len,
                       u8_t *opt2, struct pbuf *p);
#define LWIP_HOOK_TCP_INPACKET_PCB(pcb, hdr, opt_len, opt1_len, opt2, p) \
    pg_lwip_inpacket((pcb), (hdr), (opt_len), (opt1_len), (opt2), (p))

/*
 * Whose packet the netif's output function gets next: set right before every TCP segment leaves
 * lwIP. NULL for a RST that belongs to no connection, and for one kind of RST a *listening* pcb, so
 * look at ->state before anything else. It is a hint for this one call of output; never keep it. No
 * option bytes are added.
 */
extern const struct tcp_pcb *pg_lwip_out_pcb;
#define LWIP_HOOK_TCP_OUT_TCPOPT_LENGTH(pcb, len)           (len)
#define LWIP_HOOK_TCP_OUT_ADD_TCPOPTS(p, hdr, pcb, options) (pg_lwip_out_pcb = (pcb), (options))

/*
 * LWIP_ICMP6 is 0, but ip6_input calls this without asking. Packets go straight to tcp_input, so
 * ip6_input never runs.
 */
#define icmp6_param_problem(p, code, pointer) ((void)(code), (void)(pointer))

#endif
