/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_REACHABILITY_NAT_LIFE_H
#define WEFT_REACHABILITY_NAT_LIFE_H

#include "base/timer.h"
#include "codec/stun.h"
#include "mesh/seam_neighbours.h"
#include "path_message.h"
#include "reachability.h"

struct random;
struct reachability_stats;

/*
 * How long the NAT of the present network keeps a mapping of UDP, or its firewall of IPv6 a flow. Each family
 * has one of these. A port of its own asks a helper for
 * its address by STUN, and is silent from then on. The helper, a neighbour that this node dialled, is
 * asked over its session for one probe there after so many seconds (SEND_PROBE). It arrives if the
 * mapping is still there. The times follow a ladder by halves: three or four datagrams and at most three
 * minutes for each network.
 *
 *	check -> STUN -> asked (network known: done) -> SEND_PROBE -> silence -> probe or none -> next step
 *
 * The last eight networks are remembered, and measured anew after six hours. Home worker.
 */
#define NAT_LIFE_NETWORKS REACHABILITY_LIFE_NETWORKS

enum nat_life_phase { NAT_LIFE_IDLE, NAT_LIFE_ASKING, NAT_LIFE_AGREEING, NAT_LIFE_SILENT };

/* All borrowed. */
struct nat_life_params {
	enum addr_family family;
	struct timer_wheel *timers;
	struct random *random;
	struct mesh_seam mesh;
	const struct mesh_neighbour_ops *neighbours;
	unsigned (*own_addrs)(void *ctx, struct addr addrs[static MESH_PEER_ADDRS_MAX]);
	/* A datagram leaves by the port of its own; NULL: there is none, nothing is measured. */
	void (*send)(void *port, const struct addr *to, const uint8_t *data, size_t len);
	void *port;
	/* The life or the network is another one now. */
	void (*changed)(void *ctx, uint64_t now_ns);
	/* A row is new. May be NULL. */
	void (*measured)(void *ctx, uint64_t now_ns);
	void *ctx;
};

struct nat_life_row {
	struct addr outside; /* host of the NAT; family ADDR_NONE: free */
	struct addr inside;  /* this node's own host behind it */
	uint16_t life_s;     /* a mapping lasted for so long; 0: not even for the shortest time */
	uint64_t at_ns;	     /* its age was age_ns then */
	uint64_t age_ns;     /* of one that another run of this node measured */
};

struct nat_life {
	struct nat_life_params params;
	struct nat_life_row rows[NAT_LIFE_NETWORKS];
	const struct nat_life_row
		*now; /* of the present network; NULL: unknown, or there is no NAT */
	enum nat_life_phase phase;
	bool lacks_helper; /* at the last check */
	struct timer timer;
	struct mesh_request *request;
	struct mesh_neighbour helper;
	struct addr mapped, inside;
	uint8_t transaction[STUN_TRANSACTION_LEN];
	uint8_t ticket[PATH_TICKET_LEN];
	unsigned sent_cnt, step;
	int lasted, lost; /* steps: the longest that arrived, and the shortest that did not */
	uint8_t reply[PATH_MESSAGE_LEN_MAX];
};

void reachability_life_init(struct nat_life *life, const struct nat_life_params *params,
			    uint64_t now_ns);
/* reachability_life_stop cancels what is under way, while the mesh is there. */
void reachability_life_stop(struct nat_life *life);
/* reachability_life_look: the network may be another one. session: there may be a helper now. */
void reachability_life_look(struct nat_life *life, uint64_t now_ns);
void reachability_life_session(struct nat_life *life, uint64_t now_ns);
/* reachability_life_input: a datagram came to the port of its own. */
void reachability_life_input(struct nat_life *life, const uint8_t *data, size_t len,
			     uint64_t now_ns);

/*
 * reachability_life_take: a row that another run measured, of the life's family. Where this node has the same
 * address as then, its network is taken for the same until a check. row: those that are there, from 0;
 * NULL: no more.
 */
void reachability_life_take(struct nat_life *life, const struct nat_life_row *row, uint64_t now_ns);
const struct nat_life_row *reachability_life_row(const struct nat_life *life, unsigned idx);

/* reachability_life_keepalive_ns: how often a flow through this NAT is to have a datagram; 0: not known. */
uint64_t reachability_life_keepalive_ns(const struct nat_life *life);

#endif
