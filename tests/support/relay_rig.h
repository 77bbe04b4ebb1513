/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_RELAY_RIG_H
#define WEFT_TESTS_RELAY_RIG_H

#include "base/random.h"
#include "relay/relay.h"
#include "weft/reason.h"

struct store;

/*
 * A relay under a virtual clock, and what it said of its flows. Datagrams
 * are judged by tables of one worker over the relay's own, as userspace does.
 */
#define RELAY_RIG_START_NS (1000 * 1000000000ull)
#define RELAY_RIG_WALL_S   1800000000ull /* at the start: 2027-01-15, 08:00 */
#define RELAY_RIG_MTU	   1300

struct relay_rig {
	struct relay *relay;
	struct node_key *key;
	struct random random;
	struct store *store; /* borrowed; NULL: none */
	uint64_t now_ns, wall_s;
	unsigned closed_cnt, slowed_cnt;
	enum relay_close_why closed_why; /* of the last */
	bool is_slow;			 /* likewise */
	uint64_t carried[2];		 /* of all owners */
	struct addr own;		 /* of the node */
};

/* relay_rig_begin: flow_cap 0 is 64. The key is the same in each, as that of a node is. */
void relay_rig_begin(struct relay_rig *rig, struct store *store, uint32_t flow_cap);
void relay_rig_end(struct relay_rig *rig);
/* relay_rig_pass: time goes on by span_ns in steps of a turn; the store's answers are taken. */
void relay_rig_pass(struct relay_rig *rig, uint64_t span_ns);

/* relay_rig_addr: 10.0.NETWORK.HOST and a port. */
struct addr relay_rig_addr(unsigned network, unsigned host);
/* relay_rig_open: a flow of the owner with that number; as relay_flow_open. */
int relay_rig_open(struct relay_rig *rig, unsigned owner, unsigned grant,
		   struct relay_flow_id *out_id);
/* relay_rig_open_whole: and both legs have addresses: 10.0.1.1, 10.0.2.1. Ends the program on failure. */
struct relay_flow_id relay_rig_open_whole(struct relay_rig *rig, unsigned owner, unsigned grant);
/* relay_rig_grant: with id number, and these terms; the row. Ends the program on failure. */
unsigned relay_rig_grant(struct relay_rig *rig, unsigned number, uint64_t per_s,
			 uint64_t month_len);

/*
 * relay_rig_send: a datagram with len bytes behind leg's label comes from remote; what becomes of
 * it. relay_rig_send_from is the leg's own address.
 */
enum weft_reason relay_rig_send(struct relay_rig *rig, struct relay_flow_id id, unsigned leg,
				size_t len, const struct addr *remote);
enum weft_reason relay_rig_send_own(struct relay_rig *rig, struct relay_flow_id id, unsigned leg,
				    size_t len);

#endif
