/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which node is asked for a slot next. Nodes that had one before a restart come first, then friends
 * while preferred slots are free. Nodes to begin with follow until there are a few slots. From then on
 * it is nodes of N2: those with few reporters, and those in no digest, lead further away (D11). One is
 * asked each SLOTS_LEARN_NS, so that what the one before says counts for the next.
 *
 * A reporter may name keys that are none. So SLOTS_PER_REPORTER of one reporter are asked at once, and
 * one more for each that was reached, until one was not. After SLOTS_FAILURES_MAX that were not reached in a row its nodes rest.
 */
#include <string.h>

#include "base/container_of.h"
#include "social_slots_state.h"

#define SHORTLIST 32u /* nodes of which N3 is looked at */

void social_slots_patience_fail(struct slots *slots, struct slot_patience *patience,
				uint64_t now_ns)
{
	uint64_t rest_ns = SLOTS_AGAIN_NS;

	if (patience->fail_cnt < SLOTS_FAILURES_MAX + SLOTS_REST_DOUBLINGS)
		patience->fail_cnt++;
	if (patience->fail_cnt >= SLOTS_FAILURES_MAX)
		rest_ns = SLOTS_REST_NS << (patience->fail_cnt - SLOTS_FAILURES_MAX);
	/* Not all at the same time. */
	patience->retry_ns =
		now_ns + rest_ns + random_below(slots->ground->random, rest_ns / 4 + 1);
}

static bool is_open(const struct slots *slots, const uint8_t *key,
		    const struct slot_patience *patience, uint64_t now_ns)
{
	return now_ns >= patience->retry_ns && !social_slots_lookup(slots, key) &&
	       !map_lookup(&slots->by_talk, key);
}

/* --- known nodes --- */

static bool known_wants(const struct slots *slots, const struct slot_known *known)
{
	switch (known->tier) {
	case SLOT_TIER_FORMER:
		return true;
	case SLOT_TIER_FOLLOW:
		return social_slots_may_prefer(slots, known->key) ||
		       social_slots_total(slots) < SLOTS_ENOUGH_TO_LEARN;
	default:
		return social_slots_total(slots) < SLOTS_ENOUGH_TO_LEARN;
	}
}

/* is_last: all of them, as N2 gave none. */
static struct slot_known *known_pick(const struct slots *slots, bool is_last, uint64_t now_ns)
{
	struct slot_known *known = NULL, *best = NULL;

	while ((known = pool_next(&slots->known, known)))
		if (is_open(slots, known->key, &known->patience, now_ns) &&
		    (is_last || known_wants(slots, known)) && (!best || known->tier < best->tier))
			best = known;
	return best;
}

/* --- N2 --- */

struct shortlist {
	struct slot_reported *nodes[SHORTLIST];
	unsigned cnt, most; /* most: place of the one with most reporters */
};

static struct slot *willing_reporter(const struct slot_reported *node, uint64_t now_ns)
{
	for (struct list_node *at = node->reports.next; at != &node->reports; at = at->next) {
		struct slot *slot = container_of(at, struct slot_report, of_node)->slot;

		if (slot->trying_cnt < slot->trying_max && now_ns >= slot->patience.retry_ns)
			return slot;
	}
	return NULL;
}

static void shortlist_note(struct shortlist *list, struct slot_reported *node)
{
	if (list->cnt < SHORTLIST) {
		list->nodes[list->cnt++] = node;
		if (list->cnt < SHORTLIST)
			return;
	} else if (node->report_cnt < list->nodes[list->most]->report_cnt) {
		list->nodes[list->most] = node;
	} else {
		return;
	}
	for (unsigned i = 0; i < list->cnt; i++)
		if (list->nodes[i]->report_cnt > list->nodes[list->most]->report_cnt)
			list->most = i;
}

/* The shortlist is of those with fewest reporters; the score adds what digests say of them. */
static struct slot_reported *reported_pick(struct slots *slots, uint64_t now_ns)
{
	struct shortlist list = {.cnt = 0};
	struct slot_reported *node = NULL, *best = NULL;
	unsigned best_score = 0, tie_cnt = 0;

	while ((node = pool_next(&slots->reported, node)))
		if (is_open(slots, node->key, &node->patience, now_ns) &&
		    !slots->links.is_blocked(slots->links.ctx, node->key) &&
		    willing_reporter(node, now_ns))
			shortlist_note(&list, node);
	for (unsigned i = 0; i < list.cnt; i++) {
		unsigned score = social_slots_score(list.nodes[i]->report_cnt,
						    social_slots_in_n3(slots, list.nodes[i]->key));

		tie_cnt = score == best_score ? tie_cnt + 1 : 1;
		if (score < best_score ||
		    (score == best_score && random_below(slots->ground->random, tie_cnt) != 0))
			continue;
		best_score = score;
		best = list.nodes[i];
	}
	return best;
}

/* --- asking --- */

static bool ask_known(struct slots *slots, struct slot_known *known, uint64_t now_ns)
{
	struct slot_hailing hailing = {
		.key = known->key, .addrs = known->addrs, .addr_cnt = known->addr_cnt};

	if (social_slots_hail(slots, &hailing, now_ns) == 0)
		return true;
	known->patience.retry_ns = now_ns + SLOTS_AGAIN_NS;
	return false;
}

static bool ask_reported(struct slots *slots, struct slot_reported *node, uint64_t now_ns)
{
	struct slot *reporter = willing_reporter(node, now_ns);
	struct slot_hailing hailing = {.key = node->key, .reporter = reporter->key};

	reporter->trying_cnt++;
	if (social_slots_hail(slots, &hailing, now_ns) == 0)
		return true;
	reporter->trying_cnt--;
	node->patience.retry_ns = now_ns + SLOTS_AGAIN_NS;
	return false;
}

void social_slots_tried(struct slots *slots, const struct slot_talk *talk, int err, uint64_t now_ns)
{
	struct slot_known *known = social_slots_known(slots, talk->key);
	struct slot_reported *node = social_slots_reported(slots, talk->key);
	struct slot *reporter =
		talk->has_reporter ? social_slots_lookup(slots, talk->reporter) : NULL;
	struct slot_patience *patiences[] = {known ? &known->patience : NULL,
					     node ? &node->patience : NULL,
					     reporter ? &reporter->patience : NULL};

	for (size_t i = 0; i < sizeof(patiences) / sizeof(patiences[0]); i++) {
		struct slot_patience *patience = patiences[i];

		if (!patience)
			continue;
		if (err != 0 && err != WEFT_EREFUSED)
			social_slots_patience_fail(slots, patience, now_ns);
		else
			patience->fail_cnt = 0;
		/* A full node is there, and may have a slot later. */
		if (err == WEFT_EREFUSED && patience != (reporter ? &reporter->patience : NULL))
			patience->retry_ns = now_ns + SLOTS_REST_NS +
					     random_below(slots->ground->random, SLOTS_REST_NS);
	}
	if (reporter && err != 0 && err != WEFT_EREFUSED)
		reporter->trying_max = SLOTS_PER_REPORTER;
	else if (reporter && reporter->trying_max < SLOTS_GROW_AT_ONCE)
		reporter->trying_max++;
	/* One failure of a node is none of its reporter; three in a row are. */
	if (reporter && reporter->patience.fail_cnt < SLOTS_FAILURES_MAX)
		reporter->patience.retry_ns = 0;
}

/* Other systems have sessions, too: slots are no reason to begin one where a quarter is left. */
static bool sessions_are_scarce(const struct slots *slots)
{
	const struct social_ground *ground = slots->ground;
	struct mesh_walk walk = {.session = NULL};
	struct mesh_neighbour neighbour;
	uint32_t cnt = 0;

	while (ground->neighbours->next(ground->mesh.mesh, &walk, &neighbour) &&
	       neighbour.is_connected)
		cnt++;
	return cnt >= slots->config.session_cap - slots->config.session_cap / 4;
}

bool social_slots_grow(struct slots *slots, uint64_t now_ns)
{
	bool is_resuming = social_slots_total(slots) < SLOTS_ENOUGH_TO_LEARN * 8;

	if (slots->is_stopped || slots->is_growing || sessions_are_scarce(slots))
		return false;
	slots->is_growing = true; /* a dial may end within the call */
	while (slots->grown_cnt < (is_resuming ? SLOTS_RESUME_AT_ONCE : SLOTS_GROW_AT_ONCE) &&
	       slots->talks.used_cnt < SLOTS_TALK_CAP - SLOTS_GROW_AT_ONCE) {
		bool is_full = social_slots_room(slots) <= slots->grown_cnt;
		struct slot_known *known = known_pick(slots, false, now_ns);
		struct slot_reported *node;

		if (is_full && !(known && social_slots_may_prefer(slots, known->key)))
			break;
		if (!known && now_ns < slots->reported_ns)
			break;
		node = known ? NULL : reported_pick(slots, now_ns);
		if (node)
			slots->reported_ns = now_ns + SLOTS_LEARN_NS;
		if (!known && !node && !(known = known_pick(slots, true, now_ns)))
			break;
		if (known ? !ask_known(slots, known, now_ns) : !ask_reported(slots, node, now_ns))
			continue;
	}
	slots->is_growing = false;
	return social_slots_room(slots) > 0;
}
