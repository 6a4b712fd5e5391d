/* folder: tools */
/* pcap-filter(7) expressions over flows and packets. Compiled by libpcap; a program is plain instructions, so it can be handed to a running
 * instance, which checks and runs it without knowing the expression (and without asking a name server). */
#ifndef PODGLASS_PCAP_FILTER_H
#define PODGLASS_PCAP_FILTER_H

#include "podglass/exchange.h"

struct pg_pcap; /* NULL matches everything */
/* "" gives NULL. 0; -EINVAL: *ret_text (appended to) says what is wrong with the expression. */
int pg_pcap_compile(const char *expression, struct pg_pcap **ret, struct pg_text *ret_text);
void pg_pcap_free(struct pg_pcap *f);
/* An IP packet, of which `len` bytes are there and `wire_len` were. */
bool pg_pcap_packet(const struct pg_pcap *f, const void *ip, uint32_t len, uint32_t wire_len);
/* One of the flow's packets would match: either leg, either direction, before or after a rewrite. Only addresses, ports and protocol are
 * known of them. */
bool pg_pcap_exchange(const struct pg_pcap *f, const struct pg_exchange *x);
/* The program as hexadecimal digits, and back. -EINVAL: not a program that ends. */
void pg_pcap_print(const struct pg_pcap *f, struct pg_text *out);
int pg_pcap_read(const char *hex, struct pg_pcap **ret);

#endif
