/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PORT_MAPPING_MAPPER_H
#define WEFT_PORT_MAPPING_MAPPER_H

#include "base/timer.h"
#include "codec/pcp.h"
#include "port_mapping/port_mapping.h"

/*
 * The mappings of this node's ports as a state machine without I/O. Datagrams of the router, ends of
 * UPnP jobs and a time go in. Datagrams and orders for jobs go out.
 *
 * A port is asked for by one method. When that fails and no port is held by it, all ports go on to
 * the next method. After the last one, all begin again from the first after a while.
 */
#define MAPPER_PCP_RT_NS      (3 * 1000000000ull)    /* RFC 6887 8.1.1: IRT */
#define MAPPER_PCP_RT_MAX_NS  (1024 * 1000000000ull) /* and MRT */
#define MAPPER_NAT_PMP_RT_NS  250000000ull	     /* RFC 6886 3.1 */
#define MAPPER_NAT_PMP_SENDS  9			     /* likewise */
#define MAPPER_RENEW_MIN_NS   (4 * 1000000000ull)    /* RFC 6887 11.2.1 */
#define MAPPER_LIFETIME_MIN_S 10
#define MAPPER_LIFETIME_MAX_S 86400 /* RFC 6887 15 */
#define MAPPER_RETRY_NS	      (60 * 1000000000ull)
#define MAPPER_RETRY_MAX_NS   (3600 * 1000000000ull)
#define MAPPER_WITHDRAW_SENDS 3
#define MAPPER_HEARD_MIN_NS   (10 * 1000000000ull) /* between two rounds that announcements begin */

/* What a job of UPnP found. */
struct mapper_upnp_end {
	const char *why;      /* NULL: at least one port is mapped. Static */
	struct addr external; /* without a port */
	uint16_t ports
		[PORT_MAPPING_PORTS_MAX]; /* outside, in the order of the mappings; 0: refused */
};

struct mapper_ops {
	void (*send)(void *ctx, const uint8_t *data, size_t len);
	/* mapper_upnp_ended follows; false: a job runs, or there is none. */
	bool (*upnp)(void *ctx, bool is_withdrawal);
	void (*changed)(void *ctx, uint64_t now_ns);
};

struct mapping {
	struct mapper *mapper;
	struct timer timer;
	struct port_mapping_port port;
	uint8_t nonce[PCP_NONCE_LEN];
	struct addr external; /* family ADDR_NONE: not held */
	uint64_t until_ns;    /* it ends, unless it is renewed */
	uint32_t lifetime_s;
	uint64_t rt_ns; /* until the next send */
	unsigned sent_cnt;
	bool is_waiting; /* for the answer to a request */
	bool is_failed;	 /* why says why, and timer when it is tried again */
	const char *why; /* static */
};

/* The router's clock against this one (RFC 6887 8.5). */
struct mapper_epoch {
	bool is_known;
	uint32_t server_s;
	uint64_t client_ns;
};

/* All borrowed. */
struct mapper_params {
	struct port_mapping_config config;
	const struct port_mapping_port *ports;
	unsigned port_cnt;
	struct timer_wheel *timers;
	struct random *random;
	const struct mapper_ops *ops;
	void *ctx;
};

struct mapper {
	struct mapper_params params;
	enum port_mapping_method method;	       /* AUTO: nothing is asked */
	const char *failures[PORT_MAPPING_METHOD_CNT]; /* of this round; static */
	struct mapping mappings[PORT_MAPPING_PORTS_MAX];
	struct mapper_epoch epoch;
	struct timer timer; /* the next round, and renewals by UPnP */
	struct addr client;
	struct addr nat_pmp_external; /* family ADDR_NONE: to be asked for first */
	uint64_t retry_ns;
	uint64_t heard_ns; /* of the last round that an announcement began */
	bool is_withdrawing;
	struct port_mapping_stats stats;
};

void port_mapping_mapper_init(struct mapper *mapper, const struct mapper_params *params);
/* mapper_begin asks from the first method on for this host at client; what was held is forgotten. */
void port_mapping_mapper_begin(struct mapper *mapper, const struct addr *client, uint64_t now_ns);
/* mapper_stop: there is no router; nothing is held or asked for. */
void port_mapping_mapper_stop(struct mapper *mapper, uint64_t now_ns);
/* mapper_input takes a datagram that the router sent from port 5351. */
void port_mapping_mapper_input(struct mapper *mapper, const uint8_t *data, size_t len,
			       uint64_t now_ns);
/*
 * mapper_announced takes a datagram that the router sent by multicast to port 5350 (RFC 6887 14.1, RFC
 * 6886 3.2.1). It says that the router has begun again, or has another address outside.
 */
void port_mapping_mapper_announced(struct mapper *mapper, const uint8_t *data, size_t len,
				   uint64_t now_ns);
/* mapper_no_server: the router says that nothing listens at its port 5351. */
void port_mapping_mapper_no_server(struct mapper *mapper, uint64_t now_ns);
void port_mapping_mapper_upnp_ended(struct mapper *mapper, const struct mapper_upnp_end *end,
				    uint64_t now_ns);
void port_mapping_mapper_withdraw(struct mapper *mapper, uint64_t now_ns);
bool port_mapping_mapper_is_withdrawing(const struct mapper *mapper);
/* mapper_why writes why mapping is not held. */
void port_mapping_mapper_why(const struct mapper *mapper, const struct mapping *mapping,
			     char out_why[static PORT_MAPPING_WHY_CAP]);

#endif
