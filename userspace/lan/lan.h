/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LAN_LAN_H
#define WEFT_LAN_LAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "mesh/seam.h"

struct random;

/*
 * Who is on the same LAN: told and heard in two ways, on each interface for itself.
 *
 *	DNS-SD	  multicast DNS (RFC 6762, 6763), service _mesh._udp.local: dnssd.c
 *	beacon	  a datagram broadcast to port 46123 every three seconds: beacon.c
 *
 * What is heard counts for the address it came from and for no other: whatever a packet
 * says, nobody on the LAN can send this node somewhere else. It is a hint: who is
 * dialled has to prove its key (lan_proof.h). Own packets, and those that are no such thing, are dropped and
 * counted.
 *
 * Left out of RFC 6762: probing before the first announcement (names are drawn at random
 * and given up when somebody else has one), known answers, unicast answers.
 *
 * A core without I/O: bytes and times go in, send takes bytes out. Home worker.
 */
struct lan;

#define LAN_BEACON_PORT	    46123
#define LAN_DNSSD_PORT	    5353
#define LAN_INTERFACE_CAP   16
#define LAN_INTERFACE_ADDRS 4
#define LAN_PACKET_LEN_MAX                                                                         \
	1200 /* of ours; longer ones than 9000 of others are no mDNS (RFC 6762, 17) */
#define LAN_INSTANCE_CAP 64 /* text: a label, or 32 hexadecimal letters */

enum lan_way { LAN_DNSSD, LAN_BEACON, LAN_WAY_CNT };

struct lan_interface {
	uint32_t index; /* the kernel's */
	char name[16];
	struct addr addrs[LAN_INTERFACE_ADDRS]; /* told of in DNS-SD; ports do not count */
	unsigned addr_cnt;
};

/* One node that was heard; borrowed for the call. */
struct lan_node {
	enum lan_way way;
	char instance[LAN_INSTANCE_CAP];
	bool has_key; /* else it speaks another protocol, or did not say */
	uint8_t key[MESH_KEY_LEN];
	struct addr addr; /* port 0: it cannot be dialled */
	uint32_t caps;
	const char *interface;
	uint64_t heard_ns; /* last */
};

enum lan_count {
	LAN_HEARD,     /* that told of a node */
	LAN_OWN,       /* ours */
	LAN_FOREIGN,   /* not on a LAN that is on, or not for us */
	LAN_MALFORMED, /* neither */
	LAN_FULL,      /* nodes that there was no room for */
	LAN_SENT,
	LAN_COUNT_CNT,
};

struct lan_params {
	const uint8_t *own_key;
	uint16_t port; /* where this node is dialled */
	uint32_t caps;
	struct random *random;
	uint32_t node_cap;   /* nodes remembered */
	uint32_t source_max; /* of one address */
	uint64_t now_ns;
	/*
	 * send brings bytes to all on an interface: the group of family and port 5353, or the
	 * broadcast address and port 46123. What is lost is told again.
	 */
	void (*send)(void *ctx, enum lan_way way, uint8_t family,
		     const struct lan_interface *interface, const void *bytes, size_t len);
	/* One that is new, or is somewhere else than it was; may not call lan. */
	void (*found)(void *ctx, const struct lan_node *node, uint64_t now_ns);
	void *ctx;
};

size_t lan_footprint(uint32_t node_cap);
/* lan_new: 0, WEFT_EFULL or -errno. lan_free says goodbye to all that heard of us; takes NULL. */
WEFT_MUST_CHECK
int lan_new(const struct lan_params *params, struct lan **out_lan);
void lan_free(struct lan *lan);

/* lan_set_interfaces: those that are on, at most LAN_INTERFACE_CAP; nodes of others are forgotten. */
void lan_set_interfaces(struct lan *lan, const struct lan_interface *interfaces, unsigned cnt,
			uint64_t now_ns);
/* lan_set_self: what is told of this node. */
void lan_set_self(struct lan *lan, uint16_t port, uint32_t caps, uint64_t now_ns);

/* lan_input: a datagram that came from source on the interface of this index. */
void lan_input(struct lan *lan, enum lan_way way, uint32_t interface, const struct addr *source,
	       const void *bytes, size_t len, uint64_t now_ns);
void lan_expire(struct lan *lan, uint64_t now_ns);
uint64_t lan_next_ns(const struct lan *lan);

/* lan_each tells all nodes heard lately, until fn returns false. */
void lan_each(const struct lan *lan, bool (*fn)(void *arg, const struct lan_node *node), void *arg);
const uint64_t *lan_counts(const struct lan *lan); /* LAN_COUNT_CNT */

#endif
