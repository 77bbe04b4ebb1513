/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_FIREWALL_BAN_LIST_H
#define WEFT_FIREWALL_BAN_LIST_H

#include "ban_rule.h"
#include "weft/xdp_maps.h"

struct store;

/*
 * All bans of a node, kept in the store: a ban that was reported as made survives kill -9. A fixed
 * number; one more is refused. Home worker only. Enforcers get snapshots (struct ban_set).
 */
#define BAN_LIST_CAP WEFT_BAN_CNT_MAX /* what each trie of the XDP program holds */

/*
 * The part for those that the node made by itself, which unvalidated sources can bring about. One
 * more pushes another one out (ban_room.h), never an operator's.
 */
#define BAN_LIST_AUTO_CAP 1024

struct ban_list;

/* firewall_ban_list_open reads what the store has, and drops what has expired. 0 or a negative code. */
WEFT_MUST_CHECK
int firewall_ban_list_open(struct store *store, uint64_t wall_s, struct ban_list **out_list);
/*
 * firewall_ban_list_free takes NULL. It calls no done that still waits: to get the outcomes, flush
 * the store before, and reap no more of it after.
 */
void firewall_ban_list_free(struct ban_list *list);
/* firewall_ban_list_footprint: bytes laid out, touched as they are used. */
size_t firewall_ban_list_footprint(void);

/*
 * firewall_ban_list_put adds ban or changes that of its target, at once. done is called when it is
 * durable, or with the error: then the ban is as it was, unless it was changed again meanwhile.
 * Returns 0, WEFT_EFULL or -ENOMEM. WEFT_EFULL: nothing was done. The list, its part for this
 * node's ids, its part for the node's own bans, or the store's queue is full.
 * firewall_ban_list_delete likewise, with WEFT_EABSENT.
 */
typedef void (*ban_done_fn)(void *arg, int err);
WEFT_MUST_CHECK
int firewall_ban_list_put(struct ban_list *list, const struct ban *ban, ban_done_fn done,
			  void *arg);
WEFT_MUST_CHECK
int firewall_ban_list_delete(struct ban_list *list, const struct ban_target *target,
			     ban_done_fn done, void *arg);

/*
 * firewall_ban_list_expire drops bans that have ended and calls fn (may be NULL) for
 * each; returns how many. firewall_ban_list_next_s: when the next one ends, or
 * UINT64_MAX.
 */
unsigned firewall_ban_list_expire(struct ban_list *list, uint64_t wall_s,
				  void (*fn)(void *arg, const struct ban *ban), void *arg);
uint64_t firewall_ban_list_next_s(const struct ban_list *list);

/* firewall_ban_list_drop forgets a ban, without a wait for the disk. */
void firewall_ban_list_drop(struct ban_list *list, const struct ban_target *target);

unsigned firewall_ban_list_cnt(const struct ban_list *list);
unsigned firewall_ban_list_auto_cnt(const struct ban_list *list);
/* Borrowed until the next put, delete or expire. */
const struct ban *firewall_ban_list_lookup(const struct ban_list *list,
					   const struct ban_target *target);
/* firewall_ban_list_match: the ban of the longest prefix that addr is in, else a limit of addr, or NULL. */
const struct ban *firewall_ban_list_match(const struct ban_list *list, const struct addr *addr);
/* firewall_ban_list_next walks them: start with NULL, ends with NULL. */
const struct ban *firewall_ban_list_next(const struct ban_list *list, const struct ban *ban);

/* A worker's bans: a copy of targets and ends, which goes from thread to thread. */
struct ban_rule {
	struct ban_target target;
	bool is_limit;
	uint64_t expires_ns; /* CLOCK_MONOTONIC; 0: never */
};
struct ban_set {
	unsigned cnt;
	struct ban_rule rules[];
};
/* firewall_ban_list_copy: of this moment, when wall_s is now_ns. The caller's to free(); NULL: no memory. */
struct ban_set *firewall_ban_list_copy(const struct ban_list *list, uint64_t wall_s,
				       uint64_t now_ns);

#endif
