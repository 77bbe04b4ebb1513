/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NODE_BANS_H
#define WEFT_NODE_BANS_H

#include <stdint.h>

#include "base/timer.h"
#include "node/ban_list.h"
#include "node/incidents.h"

struct node;

/*
 * The bans of a node in force everywhere: the list and its clock, every
 * worker's gate, the tables of the XDP program. Home worker only; absent in
 * the simulator.
 */
struct bans {
	struct node *node;
	struct ban_list *list;	/* NULL: simulated */
	struct timer timer;	/* the next end of a ban, or a look at the wall clock */
	uint64_t wall_offset_s; /* wall clock less monotonic clock when they were last spread */
};

/* bans_open reads them and tells home; who joins later is told by its owner. 0 or negative. */
WEFT_MUST_CHECK
int bans_open(struct bans *bans, struct node *node);
/* bans_close takes a zeroed one, too. */
void bans_close(struct bans *bans);

/*
 * bans_changed after ban_list_put or ban_list_delete of target: enforced at
 * home and in the driver at once, by the crew with the next turn. Sessions
 * that may not be any more are closed.
 */
void bans_changed(struct bans *bans, const struct ban_target *target, uint64_t now_ns);
/* bans_tell makes an event of what befell ban, and remembers it for a day. */
void bans_tell(struct bans *bans, enum incident_kind kind, const struct ban *ban);

#endif
