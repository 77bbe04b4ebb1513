/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_FIREWALL_BANS_H
#define WEFT_FIREWALL_BANS_H

#include <stdint.h>

#include "base/timer.h"
#include "ban_list.h"
#include "incidents.h"
#include "offences.h"

struct firewall_params;

/*
 * The bans of a node in force everywhere: the list and its clock, every
 * worker's ingress, the tables of the XDP program. Home worker only; absent in
 * the simulator.
 */
struct bans {
	const struct firewall_params *params;
	struct ban_list *list;	/* NULL: simulated */
	struct timer timer;	/* the next end of a ban, or a look at the wall clock */
	uint64_t wall_offset_s; /* wall clock less monotonic clock when they were last spread */
	bool is_spread_due;	/* with the next turn */
	struct offences offences;
	uint64_t pushed_out_cnt; /* bans of the node's own making that one more pushed out */
};

/*
 * firewall_bans_open reads them and gives them to home; a later enforcer gets them from its owner.
 * 0 or negative.
 */
WEFT_MUST_CHECK
int firewall_bans_open(struct bans *bans, const struct firewall_params *params);
/* firewall_bans_close takes a zeroed one, too. */
void firewall_bans_close(struct bans *bans);

/*
 * firewall_bans_changed after firewall_ban_list_put or firewall_ban_list_delete of target: enforced at
 * home and in the driver at once, by the workers with the next turn. Sessions
 * that may not be any more are closed.
 */
void firewall_bans_changed(struct bans *bans, const struct ban_target *target, uint64_t now_ns);
/*
 * firewall_bans_add_peer keeps key out until until_s (wall clock). at is where it was (ADDR_NONE:
 * not known). Its address is limited, never banned, when that makes OFFENCES_KEYS_MIN keys of it
 * within an hour and no known peer is there. In force with the next turn, whose sessions end then.
 * A longer ban that is there stays. False: nothing is enforced here, or the store takes nothing.
 */
struct ban_offender {
	const uint8_t *key; /* BAN_KEY_LEN */
	struct addr at;
	bool is_known_there; /* some known peer is at that address, too */
};
bool firewall_bans_add_peer(struct bans *bans, const struct ban_offender *offender,
			    uint64_t until_s, const char *reason);
/*
 * firewall_bans_undo takes back the effects of removed, which an operator took out of the list.
 * These are the limits of addresses that its cause led to, and its part in offences. The memory of
 * the services stays: service_reputation_pardon clears it.
 */
void firewall_bans_undo(struct bans *bans, const struct ban *removed);
/* firewall_bans_tell makes an event of kind about ban, and remembers it for a day. */
void firewall_bans_tell(struct bans *bans, enum incident_kind kind, const struct ban *ban);

#endif
