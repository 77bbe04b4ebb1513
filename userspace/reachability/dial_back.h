/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_REACHABILITY_DIAL_BACK_H
#define WEFT_REACHABILITY_DIAL_BACK_H

#include "base/fair/fair_path.h"
#include "base/timer.h"
#include "mesh/seam_neighbours.h"
#include "path_message.h"

struct dgram_sink;
struct random;
struct reachability_stats;

/*
 * The services of this node for peers that ask for their address. It tells them the address of
 * their session (OBSERVED_ADDR). It asks another neighbour to send them a probe (DIAL_BACK), and
 * sends probes for neighbours (SEND_PROBE).
 *
 * None of it makes a weapon. The asker names no address, only a port at its own, and a probe is
 * 32 bytes. A budget bounds probes per network and in all, whatever keys ask.
 */
#define DIAL_BACK_FORWARDS    8	 /* asked for peers at once */
#define DIAL_BACK_PER_MIN     32 /* probes in all, for peers and by them */
#define DIAL_BACK_NETWORK_MIN 6	 /* of these, asked from or sent to one network */

/* Probes of the last minute. */
struct probe_budget {
	struct probe_spent {
		uint64_t network, at_ns;
	} spent[DIAL_BACK_PER_MIN];
	unsigned next;
};
/* reachability_budget_take: one probe for network, or false. */
bool reachability_budget_take(struct probe_budget *budget, uint64_t network, uint64_t now_ns);

/* The addresses that probes went to: all of the last quarter of an hour. */
#define PROBE_TARGETS (16 * DIAL_BACK_PER_MIN)
struct probe_targets {
	struct probe_target {
		struct addr addr;
		uint64_t at_ns;
	} rows[PROBE_TARGETS];
	unsigned next;
};

/* A probe that waits. The budget has paid for it, so no more can wait than it gives in two minutes. */
#define DIAL_BACK_LATER (DIAL_BACK_PER_MIN * (PATH_AFTER_S_MAX / 60 + 1))
struct dial_later {
	struct timer timer;
	struct dial_backs *all; /* NULL: free */
	struct path_send_probe message;
};

struct dial_forward {
	struct dial_backs *all;
	struct mesh_incoming *incoming; /* NULL: its asker left */
	struct mesh_request *request;	/* NULL: free */
	struct addr addr;		/* the asker's */
	uint8_t reply[PATH_MESSAGE_LEN_MAX];
};

/* The user fills in the fields above the budgets; all are borrowed. */
struct dial_backs {
	struct dgram_sink **sink;
	struct mesh_seam mesh;
	const struct mesh_neighbour_ops *neighbours;
	struct random *random;
	struct timer_wheel *timers;
	const struct fair_paths *paths;
	struct reachability_stats *stats;
	struct probe_budget asked, sent;
	struct probe_targets targets;
	struct dial_forward forwards[DIAL_BACK_FORWARDS];
	struct dial_later laters[DIAL_BACK_LATER];
};

/* reachability_dial_back_open registers the handlers: 0 or as mesh_ops.handle. */
WEFT_MUST_CHECK
int reachability_dial_back_open(struct dial_backs *all);
/* reachability_dial_back_wrote: a probe went to the IP of addr within a quarter of an hour. */
bool reachability_dial_back_wrote(const struct dial_backs *all, const struct addr *addr,
				  uint64_t now_ns);
/* reachability_dial_back_stop cancels what is under way, while mesh/ is there. */
void reachability_dial_back_stop(struct dial_backs *all);

#endif
