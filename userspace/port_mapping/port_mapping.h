/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PORT_MAPPING_PORT_MAPPING_H
#define WEFT_PORT_MAPPING_PORT_MAPPING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/figure.h"
#include "weft/err.h"

struct poller;
struct poller_watch;
struct port_mapping;
struct random;
struct timer_wheel;

/*
 * Port mapping: this node asks the default router of IPv4 to forward its ports, by PCP (RFC 6887),
 * NAT-PMP (RFC 6886) or UPnP-IGD. A mapping is renewed at half of its lifetime and given back at the
 * stop. A mapping that a crash leaves behind ends with its lifetime. A router that announces its
 * restart is asked again within MAPPER_RENEW_MIN_NS.
 *
 * Only the router can write here, and only as much as two sockets, one job and PORT_MAPPING_PORTS_MAX
 * mappings take. It may lie about its address, as it may drop every datagram. Other nodes
 * then dial an address where this node is not, and go on to the next one (docs/security.md).
 *
 * Home worker. The job of UPnP has a thread of its own.
 */
#define PORT_MAPPING_PORTS_MAX 2
#define PORT_MAPPING_WHY_CAP   160
#define PORT_MAPPING_WATCHES   3 /* descriptors: two sockets, and the job's end */

enum port_mapping_method {
	PORT_MAPPING_AUTO, /* those below, in their order, until one maps */
	PORT_MAPPING_PCP,
	PORT_MAPPING_NAT_PMP,
	PORT_MAPPING_UPNP,
	PORT_MAPPING_OFF,
	PORT_MAPPING_METHOD_CNT,
};
/* port_mapping_method_word: "nat-pmp", for people and programs; stable. */
const char *port_mapping_method_word(enum port_mapping_method method);

enum port_mapping_state {
	PORT_MAPPING_ASKING,
	PORT_MAPPING_MAPPED,  /* others can be told the address */
	PORT_MAPPING_PRIVATE, /* mapped, but the router's address is itself behind another NAT */
	PORT_MAPPING_FOREIGN, /* mapped, but other nodes see this one at another address */
	PORT_MAPPING_FAILED,
	PORT_MAPPING_STATE_CNT,
};
const char *port_mapping_state_word(enum port_mapping_state state);

struct port_mapping_config {
	enum port_mapping_method method;
	uint64_t lifetime_ns; /* that is asked for */
};
void port_mapping_config_defaults(struct port_mapping_config *config);

struct port_mapping_port {
	enum addr_transport transport;
	uint16_t port;
};

/* One port as it is shown. */
struct port_mapping_row {
	struct port_mapping_port port;
	enum port_mapping_state state;
	enum port_mapping_method method; /* that maps it or is tried; AUTO: none yet */
	struct addr external;		 /* family ADDR_NONE: not mapped */
	uint64_t lifetime_s;		 /* left; 0: not mapped */
	char why[PORT_MAPPING_WHY_CAP];	 /* it is not mapped, or not told to others; "" else */
};

struct port_mapping_stats {
#define FIGURE FIGURE_FIELD
#include "port_mapping/port_mapping_counters.def"
};

/* All borrowed. */
struct port_mapping_params {
	struct port_mapping_config config;
	struct port_mapping_port ports[PORT_MAPPING_PORTS_MAX];
	unsigned port_cnt;
	bool allows_private; /* a private address is told to others, too: closed networks */
	struct poller *poller;
	struct timer_wheel *timers;
	struct random *random;
	uint64_t now_ns;
	/* Wakes the loop when fd is readable: 0 or a negative code. */
	int (*watch)(void *ctx, struct poller_watch *watch, int fd);
	/* Where most other nodes see this one by IPv4; false: not known. */
	bool (*observed)(void *ctx, struct addr *out_addr);
	/* A mapping came, went or has another address. Never inside a call. */
	void (*changed)(void *ctx, uint64_t now_ns);
	void *ctx;
};

/* port_mapping_open: 0, -ENOMEM, or as params.watch. The first request leaves soon after. */
WEFT_MUST_CHECK
int port_mapping_open(const struct port_mapping_params *params, struct port_mapping **out_mapping);
/* port_mapping_close forgets all and waits for a job that runs, which stops at once. Takes NULL. */
void port_mapping_close(struct port_mapping *mapping);
/* port_mapping_turn takes in what the job of UPnP found; true when there was something. */
bool port_mapping_turn(struct port_mapping *mapping, uint64_t now_ns);
/* port_mapping_changed: the machine's addresses or routes may be others. Takes NULL. */
void port_mapping_changed(struct port_mapping *mapping, uint64_t now_ns);
/*
 * port_mapping_withdraw gives all mappings back and asks for none again. is_withdrawing: the router
 * has not confirmed it yet, nor has the time for that passed. Both take NULL.
 */
void port_mapping_withdraw(struct port_mapping *mapping, uint64_t now_ns);
bool port_mapping_is_withdrawing(const struct port_mapping *mapping, uint64_t now_ns);

/* port_mapping_external: the address at which others reach a port of transport, if it may be told. */
bool port_mapping_external(const struct port_mapping *mapping, enum addr_transport transport,
			   struct addr *out_addr);
/* port_mapping_row gives row at, in [0, PORT_MAPPING_PORTS_MAX); false: no more. */
bool port_mapping_row(const struct port_mapping *mapping, unsigned at, uint64_t now_ns,
		      struct port_mapping_row *out_row);
/* port_mapping_router: the router that is asked; family ADDR_NONE: none. */
struct addr port_mapping_router(const struct port_mapping *mapping);
void port_mapping_stats(const struct port_mapping *mapping, struct port_mapping_stats *out_stats);

#endif
