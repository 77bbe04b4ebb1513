/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_REACHABILITY_REACHABILITY_STATE_H
#define WEFT_REACHABILITY_REACHABILITY_STATE_H

#include "base/monotonic.h"
#include "base/timer.h"
#include "dial_back.h"
#include "judgement.h"
#include "nat_life.h"
#include "observed.h"
#include "reachability/reachability.h"
#include "stun_query.h"

/* Two rounds are so far apart at least, but for one after a change. */
#define REACHABILITY_GAP_NS (10 * NS_PER_S)

/* One question to a peer of a round. */
struct peer_ask {
	struct reachability *reachability;
	struct mesh_request *request; /* NULL: answered, or not asked */
	struct addr remote;	      /* where its session leads */
	bool is_dial_back;
	uint16_t port;	/* the probe goes there; 0: the session's */
	bool is_sent;	/* the peer says that a probe was sent, */
	struct addr at; /* to this address */
	bool has_arrived;
	bool is_proof; /* and from where this node had not written to */
	uint8_t ticket[PATH_TICKET_LEN];
	uint8_t reply[PATH_MESSAGE_LEN_MAX];
};
#define PEER_ASK_CNT 5

/* Shared by the files of reachability/. */
struct reachability {
	struct reachability_params params;
	struct dgram_sink *sink;
	struct fair_paths paths;
	struct reachability_stats stats;
	struct reachability_view view;
	struct observed observed[2]; /* IPv4, IPv6 */
	struct stun_queries stun;
	struct dial_backs dial_backs;
	struct nat_life lives[REACHABILITY_LIFE_FAMILIES];
	struct peer_ask asks[PEER_ASK_CNT];
	struct addr mapped; /* family ADDR_NONE: none */
	struct timer round_timer, judge_timer;
	uint64_t round_ns;	 /* the last one that puts the next one off began; 0: none */
	uint64_t own_digests[2]; /* of the own IPv4 and IPv6 addresses, as of the last change */
	uint64_t changed_ns;	 /* the addresses, last; 0: never */
	unsigned silent_cnt;
	bool is_confirming; /* the last round contradicts the state; one more decides */
	struct reachability_findings found;
};

/* round.c */
void reachability_round_init(struct reachability *reachability);
void reachability_round_stop(struct reachability *reachability);
void reachability_round_in(struct reachability *reachability, uint64_t in_ns, uint64_t now_ns);
/* A ticket arrived in dgram; false: of no question of this round. */
bool reachability_round_probe(struct reachability *reachability, const struct dgram *dgram,
			      const uint8_t ticket[static PATH_TICKET_LEN], uint64_t now_ns);
void reachability_round_seen(struct reachability *reachability, const struct observation *seen);

#endif
