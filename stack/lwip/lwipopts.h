/*
 * lwIP as the TCP engine of one packet path: no OS layer, no sockets, no IP input, no timers of its
 * own. stack/ parses the packet, picks the connection's bucket, calls tcp_input, and drives every
 * deadline; lwIP keeps what it is good at: the TCP state machine, segment queues, window and close.
 *
 * Read by lwIP through lwip/opt.h before anything else; a value not set here has lwIP's default.
 * Each value stands with its reason. Changing one that is marked "stack/ relies on this" needs a
 * change in stack/ as well.
 */
#ifndef PODGLASS_LWIP_LWIPOPTS_H
#define PODGLASS_LWIP_LWIPOPTS_H

/* A table, not code: formatted by hand. */
/* clang-format off */

/* --- no OS: one thread per path instance --- */

#define NO_SYS                          1 /* only the raw API; stack/ relies on this */
#define SYS_LIGHTWEIGHT_PROT            0 /* nobody else touches lwIP: no locks */
#define LWIP_TIMERS                     0 /* deadlines are on stack/'s wheel */
#define LWIP_NETCONN                    0 /* sequential API: needs an OS layer */
#define LWIP_SOCKET                     0 /* likewise */

/* --- what of IP is left --- */

#define LWIP_IPV4                       1
#define LWIP_IPV6                       1
#define LWIP_SINGLE_NETIF               1 /* one output function: a route lookup is one load */
#define LWIP_ARP                        0 /* a TUN carries IP, not Ethernet */
#define LWIP_ETHERNET                   0
#define LWIP_UDP                        0 /* DNS datagrams never enter lwIP, see stack/dgram.c */
#define LWIP_RAW                        0
#define LWIP_ICMP                       0 /* answered and translated in the packet path */
#define LWIP_ICMP6                      0
#define LWIP_DNS                        0
#define LWIP_DHCP                       0
#define LWIP_IGMP                       0
#define LWIP_STATS                      0 /* counters are ours: counters.def */
#define IP_FORWARD                      0 /* forwarding is the path's work */
#define IP_FRAG                         0 /* and no MTU test on output: super-segments must pass */
#define IP_REASSEMBLY                   0
#define IP_OPTIONS_ALLOWED              0 /* refused before lwIP, RFC 7126 */
#define LWIP_IPV6_FRAG                  0
#define LWIP_IPV6_REASS                 0
#define LWIP_IPV6_MLD                   0
#define LWIP_IPV6_AUTOCONFIG            0 /* addresses come from the cluster model */
#define LWIP_IPV6_SEND_ROUTER_SOLICIT   0
#define LWIP_IPV6_DUP_DETECT_ATTEMPTS   0
#define LWIP_IPV6_SCOPES                0 /* one link, no zones */
#define LWIP_ND6_QUEUEING               0 /* no neighbours on a TUN */
#define LWIP_ND6_TCP_REACHABILITY_HINTS 0
#define LWIP_ND6_ALLOW_RA_UPDATES       0

/* --- memory --- */

#define MEM_LIBC_MALLOC                 1 /* means pg_lwip_malloc and friends, see arch/cc.h */
#define MEMP_MEM_MALLOC                 1 /* lwIP's pools end at 65,535 entries */
#define MEM_ALIGNMENT                   8
#define LWIP_SUPPORT_CUSTOM_PBUF        1 /* received packets stay where they are */
#define PBUF_LINK_HLEN                  0 /* none; the vnet header is written apart */

/* --- TCP: sizes --- */

#define LWIP_TCP                        1
/*
 * The largest segment lwIP may build: 45 * 1448 bytes, which leaves 375 below 65,535 for headers.
 * This is not what is announced: that follows the netif's MTU (TCP_CALCULATE_EFF_SEND_MSS), and the
 * device cuts the super-segment to it.
 */
#define TCP_MSS                         65160
#define TCP_CALCULATE_EFF_SEND_MSS      1
#define LWIP_WND_SCALE                  1
#define TCP_RCV_SCALE                   7 /* 128: the smallest scale that can announce TCP_WND */
#define TCP_WND                         (4 * 1024 * 1024) /* a ceiling; windows start small */
#define TCP_SND_BUF                     (4 * 1024 * 1024) /* bounds the queue, sets nothing aside */
#define TCP_SND_QUEUELEN                60000 /* pbufs; bytes are what should limit */
#define TCP_OVERSIZE                    0 /* lwIP's default takes 64 KiB for a small copied write */
#define TCP_WND_UPDATE_THRESHOLD        (128 * 1024) /* two super-segments */
#define LWIP_DISABLE_TCP_SANITY_CHECKS  1 /* they compare with pool sizes, and there are no pools */

/* --- TCP: behaviour --- */

#define TCP_QUEUE_OOSEQ                 1 /* keep what came early... */
#define LWIP_TCP_SACK_OUT               1 /* ...and say so, RFC 2018 */
#define LWIP_TCP_MAX_SACK_NUM           4
#define TCP_OOSEQ_MAX_PBUFS             256 /* per segment a walk: CVE-2018-5390 */
#define TCP_OOSEQ_MAX_BYTES             TCP_WND
#define LWIP_TCP_TIMESTAMPS             0 /* no RTT, no PAWS in lwIP: 12 bytes lost */
#define LWIP_TCP_KEEPALIVE              1 /* per-connection intervals; the timer is ours */
#define TCP_LISTEN_BACKLOG              0 /* ends at 255; stack/ limits half-open ones */
#define SO_REUSE                        0 /* adds scans of all lists; ports are chosen by stack/ */
#define LWIP_TCP_PCB_NUM_EXT_ARGS       1 /* to our connection; stack/ relies on it */
#define TCP_MAXRTX                      12 /* the back-off table of lwIP ends there */
#define TCP_SYNMAXRTX                   6
#define TCP_MSL                         30000 /* ms; TIME_WAIT of 60 s, as on Linux */

/*
 * --- TCP: time ---
 * Ticks of 1 ms instead of 500: stack/ sets tcp_ticks from the path's clock, so round trips are
 * measured in milliseconds and virtual time works. sa is signed 16-bit and holds 8 * RTT: longer
 * than 4 s saturates. stack/ relies on both values.
 */
#define TCP_SLOW_INTERVAL               1
#define TCP_TMR_INTERVAL                5

/*
 * --- checksums ---
 * None in lwIP. In: the device vouches for a packet or base/packet.c verifies it. Out: stack/
 * leaves a partial sum in the packet and the vnet header tells the device to finish it.
 */
#define CHECKSUM_GEN_IP                 0
#define CHECKSUM_GEN_TCP                0
#define CHECKSUM_CHECK_IP               0
#define CHECKSUM_CHECK_TCP              0
#define LWIP_CHECKSUM_ON_COPY           0

#define LWIP_HOOK_FILENAME              "hooks.h"

/* clang-format on */

#endif
