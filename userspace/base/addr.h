/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BASE_ADDR_H
#define WEFT_BASE_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/err.h"

struct sockaddr;
struct sockaddr_storage;
struct weft_endpoint;

enum addr_family { ADDR_NONE = 0, ADDR_IPV4 = 4, ADDR_IPV6 = 6 };

/*
 * The protocol spoken at an address. ADDR_RELAY: a label of this node for a path through a relay.
 * ADDR_LEG: a key's session on TCP, as a leg of relay flows. ADDR_LINE: the other
 * end of a line, a serial port for example.
 */
enum addr_transport { ADDR_UDP = 0, ADDR_TCP = 1, ADDR_RELAY = 2, ADDR_LEG = 3, ADDR_LINE = 4 };

/*
 * A label has the form of an IPv6 address in fd6d:6573:68::/48, so that QUIC compares it as one.
 * The port is the class of the flow. A label means nothing elsewhere and never leaves the node.
 */
#define ADDR_RELAY_PREFIX_LEN	6 /* bytes */
#define ADDR_RELAY_CONTROL_PORT 1
#define ADDR_RELAY_CONTENT_PORT 2
#define ADDR_RELAY_WEB_PORT	3 /* over WebSocket, which content may not use either */

/*
 * A leg is in the prefix of labels as well: the worker that has the session, then the first
 * ADDR_LEG_NAME_LEN bytes of the key. It has port 0, by which it is told from labels, and which no
 * datagram comes from.
 */
#define ADDR_LEG_NAME_LEN 9

/*
 * An IP address, a port and its transport, compared with memcmp: bytes that a family does
 * not use are zero.
 */
struct addr {
	uint8_t ip[16];	   /* network order; IPv4 uses the first four */
	uint32_t scope_id; /* interface of a link-local IPv6 address, else 0 */
	uint16_t port;	   /* host order */
	uint8_t family;	   /* enum addr_family */
	uint8_t transport; /* enum addr_transport */
};

#define ADDR_TEXT_CAP 80 /* "tcp:[" 45 "%" scope "]:" port NUL */

/*
 * addr_parse reads "192.0.2.1:7000", "[2001:db8::1]:7000" or
 * "[fe80::1%3]:7000", and for TCP the same behind "tcp:". Names are not looked up.
 *
 * Returns 0, or WEFT_EMALFORMED with *out_addr untouched.
 */
WEFT_MUST_CHECK
int addr_parse(const char *text, struct addr *out_addr);

/* addr_format writes the text that addr_parse reads; returns buf. */
const char *addr_format(const struct addr *addr, char buf[static ADDR_TEXT_CAP]);

bool addr_equal(const struct addr *a, const struct addr *b);
/* addr_is_same_host compares the IP addresses alone. */
bool addr_is_same_host(const struct addr *a, const struct addr *b);
bool addr_is_loopback(const struct addr *addr);
bool addr_is_wildcard(const struct addr *addr);
bool addr_is_link_local(const struct addr *addr);
/* addr_has_relay_prefix: the IP is one of labels, whatever the transport says. */
bool addr_has_relay_prefix(const struct addr *addr);
/* addr_is_relayed: a label. addr_is_relayed_control: of a flow that content may not use. */
bool addr_is_relayed(const struct addr *addr);
bool addr_is_relayed_control(const struct addr *addr);
/*
 * addr_of_leg: the session on TCP that worker (0 to 126) has with key, of ADDR_LEG_NAME_LEN bytes and
 * more. addr_leg_worker and addr_leg_name say which one it is.
 */
#define ADDR_LEG_GUEST 127 /* in place of a worker: a client of the relay over WebSocket */
struct addr addr_of_leg(const uint8_t *key, unsigned worker);
bool addr_is_leg(const struct addr *addr);
unsigned addr_leg_worker(const struct addr *addr);
const uint8_t *addr_leg_name(const struct addr *addr);
/*
 * addr_of_line: the other end of line number idx, from 0 on, of this node; formatted as "line:1". It is in
 * the prefix of labels, its port is the number, and it never leaves the node.
 */
struct addr addr_of_line(unsigned idx);
bool addr_is_line(const struct addr *addr);
/*
 * addr_is_global: one that means the same host everywhere, as far as the address tells. It is
 * in no private, shared, local, multicast or reserved range (the IANA special-purpose
 * registries, RFC 6890). It wraps no other address (6to4, Teredo). Documentation ranges count
 * as global: no host has one, and examples and test networks live in them. So does a label.
 */
bool addr_is_global(const struct addr *addr);
/* addr_is_unicast: some one host, here or elsewhere; not a wildcard, a group, a broadcast, a label or a line. */
bool addr_is_unicast(const struct addr *addr);

/*
 * addr_from_sockaddr accepts AF_INET, AF_INET6 and v4-mapped AF_INET6,
 * which becomes plain IPv4. Returns 0 or WEFT_EMALFORMED.
 */
WEFT_MUST_CHECK
int addr_from_sockaddr(const struct sockaddr *sa, struct addr *out_addr);

/* addr_to_sockaddr returns the length of what it wrote. */
unsigned addr_to_sockaddr(const struct addr *addr, struct sockaddr_storage *out_sa);

/*
 * addr_endpoint: addr as it stands in tables that the BPF program has too; scope is lost.
 * addr_of_endpoint: the same back; of UDP, or a leg.
 */
struct weft_endpoint addr_endpoint(const struct addr *addr);
struct addr addr_of_endpoint(const struct weft_endpoint *endpoint);

/*
 * addr_prefix_key cuts addr to the prefix that limits count: prefix_len
 * bits of the address, port and scope zeroed.
 */
struct addr addr_prefix_key(const struct addr *addr, unsigned prefix_len);

#endif
