/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_REACHABILITY_OBSERVED_H
#define WEFT_REACHABILITY_OBSERVED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"

/*
 * This node's address as others see it, of one family: one vote for each network, the newest. An
 * address counts when two networks and more than half of them name it, so a lie of fewer has no
 * effect. Old votes are left out.
 */
#define OBSERVED_CNT	 16 /* of a full table the oldest vote goes */
#define OBSERVED_ENOUGH	 2
#define OBSERVED_LIFE_NS (30ull * 60 * 1000000000)

enum observed_by {
	OBSERVED_BY_STUN, /* an answer of STUN */
	OBSERVED_BY_PEER, /* a peer over its session */
};

struct observation {
	uint64_t network; /* of voter */
	struct addr voter, seen;
	enum observed_by by;
	uint64_t at_ns;
};

struct observed {
	struct observation rows[OBSERVED_CNT];
	unsigned cnt;
	uint64_t round_ns;   /* the round began then that asked for the votes that come */
	uint64_t changed_ns; /* votes before are of another mapping; 0: none changed */
};

/* How the port of the address that counts differs between networks. */
enum observed_ports {
	OBSERVED_PORTS_UNKNOWN, /* no address counts, or too few votes are of one mapping */
	OBSERVED_PORTS_ALIKE, /* most networks see one: a mapping independent of the endpoint (RFC 4787 4.1) */
	OBSERVED_PORTS_DIFFER,
};

struct observed_view {
	struct addr addr; /* family ADDR_NONE: none counts. Port 0: it differs */
	enum observed_ports ports;
	unsigned voter_cnt, same_cnt; /* networks, and of these those that name addr */
};

/*
 * reachability_observed_add: row takes the place of an earlier one of its network. A voter that sees
 * another port than before shows a rebinding: votes of earlier rounds no longer show that ports
 * differ. A lie of this kind hides that they differ, and nothing else.
 */
void reachability_observed_add(struct observed *observed, const struct observation *row);
/* reachability_observed_judge leaves out what is older than OBSERVED_LIFE_NS. */
void reachability_observed_judge(const struct observed *observed, uint64_t now_ns,
				 struct observed_view *out_view);
/* reachability_observed_clear: the machine's addresses are others now. */
void reachability_observed_clear(struct observed *observed);

#endif
