/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LAN_LAN_H
#define WEFT_LAN_LAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/figure.h"
#include "mesh/seam.h"

struct fair_view;
struct random;

/*
 * Which nodes are on the same LAN: announced and heard in two ways, on each interface for itself.
 *
 *	DNS-SD	  multicast DNS (RFC 6762, 6763), service _mesh._udp.local: dnssd.c
 *	beacon	  a datagram broadcast to port 46123 every three seconds: beacon.c
 *
 * A packet counts for the address it came from and for no other. Whatever it says, no node of the
 * LAN can send this one somewhere else. It is a hint: a node that is dialled has to prove its key
 * (lan_proof.h). Own packets, and those that are no such thing, are dropped and counted.
 *
 *	lan.c		nodes: hearing, time, interfaces, life
 *	lan_tell.c	what is due on an interface, and what is said there
 *	lan_state.h	the state of both
 *
 * Left out of RFC 6762: known answers, unicast answers, and probing before the first
 * announcement. Names are drawn at random and given up when another node has one.
 *
 * A core without I/O: bytes and times go in, send takes bytes out. Home worker.
 */
struct lan;

#define LAN_BEACON_PORT	    46123
#define LAN_DNSSD_PORT	    5353
#define LAN_INTERFACE_CAP   16
#define LAN_INTERFACE_ADDRS 4
#define LAN_PACKET_LEN_MAX                                                                         \
	1200 /* as sent; a received one of more than 9000 is no mDNS (RFC 6762, 17) */
#define LAN_INSTANCE_CAP 64 /* text: a label, or 32 hexadecimal letters */
/* Found is called again for a node that relays services, and is heard: its session may have gone. */
#define LAN_RELAY_AGAIN_NS 60000000000ull

/*
 * The services that a node names in its service capabilities. DNS-SD has each as a subtype of the
 * node's instance, _NAME._sub._mesh._udp.local, and answers for _NAME._mesh._udp.local, too.
 */
#define LAN_SERVICES_MAX 64u
#define LAN_SERVICE_CAP	 33u /* a name of small letters, digits and hyphens, with its NUL */

struct lan_services {
	unsigned cnt;
	char names[LAN_SERVICES_MAX][LAN_SERVICE_CAP];
};

/* An instance of another program's service (lan_foreign.h), which is listed and never dialled. */
#define LAN_FOREIGN_CAP	     64u
#define LAN_FOREIGN_TEXT_CAP 129u

struct lan_foreign_node {
	const char *service; /* without its underscore */
	/* Printable ASCII, whatever came; cut where it is longer. */
	char instance[LAN_INSTANCE_CAP];
	char version[16];
	char server[LAN_FOREIGN_TEXT_CAP];
	char domain[LAN_FOREIGN_TEXT_CAP];
	char interface[16];
	struct addr addr; /* where it came from, with its port */
	uint64_t heard_ns;
};

enum lan_way { LAN_DNSSD, LAN_BEACON, LAN_WAY_CNT };

struct lan_interface {
	uint32_t index; /* the kernel's */
	char name[16];
	struct addr addrs[LAN_INTERFACE_ADDRS]; /* announced by DNS-SD; ports do not count */
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
	uint64_t services; /* bit n: it says so of service n of lan_services */
	const char *interface;
	uint64_t heard_ns; /* last */
};

/* Datagrams of discovery. */
struct lan_stats {
#define FIGURE FIGURE_FIELD
#include "lan/lan_counters.def"
};

/* A datagram, as sent or as received. */
struct lan_packet {
	enum lan_way way;
	uint8_t family;	    /* sent: which group */
	uint32_t interface; /* the kernel's index */
	struct addr source; /* received */
	const void *bytes;
	size_t len;
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
	 * send brings packet to all on its interface: the group of its family and port 5353, or
	 * the broadcast address and port 46123. A lost packet is repeated later.
	 */
	void (*send)(void *ctx, const struct lan_packet *packet);
	/*
	 * One that is new, is somewhere else than it was, or relays more services of this node; one
	 * that relays some again after LAN_RELAY_AGAIN_NS. May not call lan.
	 */
	void (*found)(void *ctx, const struct lan_node *node, uint64_t now_ns);
	void *ctx;
};

size_t lan_footprint(uint32_t node_cap);
/* lan_new: 0, WEFT_EFULL or -errno. lan_free says goodbye on all interfaces; takes NULL. */
WEFT_MUST_CHECK
int lan_new(const struct lan_params *params, struct lan **out_lan);
void lan_free(struct lan *lan);

/* lan_set_interfaces: those that are on, at most LAN_INTERFACE_CAP; nodes of others are forgotten. */
void lan_set_interfaces(struct lan *lan, const struct lan_interface *interfaces, unsigned cnt,
			uint64_t now_ns);
/* lan_set_self: what is announced of this node. */
void lan_set_self(struct lan *lan, uint16_t port, uint32_t caps, uint64_t now_ns);
/*
 * lan_set_services: what this node relays, and for which it looks for others. Its questions name these
 * services and no others, so they say nothing that its answers do not.
 */
void lan_set_services(struct lan *lan, const struct lan_services *services, uint64_t now_ns);
const struct lan_services *lan_services(const struct lan *lan);

void lan_input(struct lan *lan, const struct lan_packet *packet, uint64_t now_ns);
void lan_expire(struct lan *lan, uint64_t now_ns);
uint64_t lan_next_ns(const struct lan *lan);

/*
 * lan_next walks the nodes heard lately: start with NULL, ends with NULL. It borrows them until the
 * next call of lan_input, lan_expire or lan_set_interfaces.
 */
const struct lan_node *lan_next(const struct lan *lan, const struct lan_node *node);
/* lan_set_foreign: whether such instances are asked for and listed. lan_next_foreign: as lan_next. */
void lan_set_foreign(struct lan *lan, bool is_on, uint64_t now_ns);
const struct lan_foreign_node *lan_next_foreign(const struct lan *lan,
						const struct lan_foreign_node *node);
/* lan_foreign_places: their shares. */
void lan_foreign_places(const struct lan *lan, struct fair_view *out_view);
void lan_stats(const struct lan *lan, struct lan_stats *out_stats);

#endif
