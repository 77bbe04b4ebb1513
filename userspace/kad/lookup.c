/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The iterative lookup. All contacts ever named in one lookup lie in slots, and order[] sorts
 * the slots by distance. The *window* is what stands between the target and the k-th contact
 * that may still count: asking, waiting and ending are decided in it alone.
 */
#include "kad/lookup.h"

#include <string.h>

#include "base/assert.h"
#include "kad/routing_table.h"

/* LATE: as SLOW, and not waited for. */
enum node_state { NODE_NEW, NODE_OUT, NODE_SLOW, NODE_LATE, NODE_ANSWERED, NODE_FAILED };

void kad_lookup_defaults(struct kad_lookup_config *config)
{
	*config = (struct kad_lookup_config){
		.k = 8, .alpha = 4, .out_max = 12, .asked_max = 96, .subnet_max = 2};
}

void kad_lookup_init(struct kad_lookup *lookup, const struct kad_lookup_params *params,
		     uint64_t now_ns)
{
	const struct kad_lookup_config *config = params->config;

	weft_assert(config->k >= 1 && config->k <= KAD_K_MAX);
	weft_assert(config->alpha >= 1 && config->alpha <= KAD_LOOKUP_STARTS_MAX);
	weft_assert(config->out_max >= config->alpha);
	weft_assert(config->asked_max >= 1 && config->asked_max <= KAD_LOOKUP_NODES_MAX);
	lookup->params = *params;
	lookup->stats = (struct kad_lookup_stats){.begin_ns = now_ns};
	lookup->node_cnt = 0;
	lookup->start_cnt = 0;
}

static void step(const struct kad_lookup *lookup, enum kad_step_kind kind, uint16_t slot,
		 unsigned told_cnt, uint64_t after_ns)
{
	const struct kad_lookup_node *node = &lookup->nodes[slot];
	struct kad_step what = {
		.kind = kind,
		.slot = slot,
		.teller = node->teller,
		.common_bits = kad_id_common_bits(&lookup->params.target, &node->contact.id),
		.start = node->start,
		.told_cnt = told_cnt,
		.after_ns = after_ns,
		.contact = &node->contact,
	};

	if (lookup->params.step)
		lookup->params.step(lookup->params.step_arg, &what);
}

/* Is there a reason in what the lookup knows already not to take contact? */
static enum kad_learned known_judge(const struct kad_lookup *lookup,
				    const struct kad_contact *contact)
{
	struct addr subnet = kad_subnet(&contact->addr);
	unsigned same_id = 0, same_subnet = 0;

	for (unsigned i = 0; i < lookup->node_cnt; i++) {
		const struct kad_lookup_node *node = &lookup->nodes[i];
		struct addr other = kad_subnet(&node->contact.addr);
		bool is_same_id = kad_id_equal(&node->contact.id, &contact->id);
		bool is_same_addr = addr_equal(&node->contact.addr, &contact->addr);

		if (is_same_id && is_same_addr)
			return KAD_LEARNED_KNOWN;
		if (node->state == NODE_FAILED)
			continue;
		if (is_same_addr)
			return KAD_LEARNED_TWO_IDS;
		same_id += is_same_id;
		same_subnet += addr_equal(&other, &subnet);
	}
	/* One false address for an id must not hide the true one. */
	if (same_id >= 2)
		return KAD_LEARNED_TWO_ADDRS;
	return same_subnet >= lookup->params.config->subnet_max &&
			       kad_subnet_is_capped(&contact->addr)
		       ? KAD_LEARNED_SUBNET
		       : KAD_LEARNED_TAKEN;
}

/* A slot for contact: a new one, or that of the farthest node not asked yet if it is farther. */
static uint16_t slot_for(struct kad_lookup *lookup, const struct kad_contact *contact)
{
	if (lookup->node_cnt < KAD_LOOKUP_NODES_MAX)
		return lookup->node_cnt++;
	for (unsigned i = KAD_LOOKUP_NODES_MAX; i-- > 0;) {
		uint16_t slot = lookup->order[i];
		const struct kad_lookup_node *node = &lookup->nodes[slot];

		if (node->state != NODE_NEW)
			continue;
		if (!kad_id_is_nearer(&lookup->params.target, &contact->id, &node->contact.id))
			break;
		memmove(lookup->order + i, lookup->order + i + 1,
			(KAD_LOOKUP_NODES_MAX - 1 - i) * sizeof(lookup->order[0]));
		return slot;
	}
	return KAD_NO_SLOT;
}

static enum kad_learned take(struct kad_lookup *lookup, const struct kad_contact *contact,
			     uint16_t teller, unsigned start)
{
	enum kad_learned told = known_judge(lookup, contact);
	unsigned at;
	uint16_t slot;

	if (told != KAD_LEARNED_TAKEN)
		return told;
	slot = slot_for(lookup, contact);
	if (slot == KAD_NO_SLOT)
		return KAD_LEARNED_FAR;
	lookup->nodes[slot] = (struct kad_lookup_node){
		.contact = *contact, .teller = teller, .start = (uint8_t)start, .state = NODE_NEW};
	for (at = lookup->node_cnt - 1u; at > 0; at--) {
		const struct kad_lookup_node *before = &lookup->nodes[lookup->order[at - 1]];

		if (!kad_id_is_nearer(&lookup->params.target, &contact->id, &before->contact.id))
			break;
		lookup->order[at] = lookup->order[at - 1];
	}
	lookup->order[at] = slot;
	return KAD_LEARNED_TAKEN;
}

static enum kad_learned contact_judge(const struct kad_lookup *lookup,
				      const struct kad_contact *contact)
{
	if (kad_id_equal(&contact->id, &lookup->params.own_id))
		return KAD_LEARNED_SELF;
	if (lookup->params.kind == KAD_FIND_VALUE &&
	    kad_id_equal(&contact->id, &lookup->params.target))
		return KAD_LEARNED_TARGET;
	if (lookup->params.family != ADDR_NONE && contact->addr.family != lookup->params.family)
		return KAD_LEARNED_FAMILY;
	return KAD_LEARNED_TAKEN;
}

enum kad_learned kad_lookup_seed(struct kad_lookup *lookup, const struct kad_contact *contact)
{
	enum kad_learned told = contact_judge(lookup, contact);
	unsigned start = lookup->start_cnt % lookup->params.config->alpha;

	if (told == KAD_LEARNED_TAKEN && kad_addr_scope_of(&contact->addr) == KAD_ADDR_SCOPE_NONE)
		told = KAD_LEARNED_MARTIAN;
	if (told == KAD_LEARNED_TAKEN)
		told = take(lookup, contact, KAD_NO_SLOT, start);
	if (told == KAD_LEARNED_TAKEN)
		lookup->start_cnt++;
	return told;
}

/* --- the window --- */

/*
 * Walks from the target outwards while a node can still be among the k
 * closest: nearest first, over nodes that may count (new, out, answered).
 * An unproven one belongs to the k nearest of all, a proven one to the k
 * nearest proven.
 */
struct window {
	const struct kad_lookup *lookup;
	unsigned at;	 /* next place in order[] */
	unsigned proven; /* nodes that may count so far */
	unsigned all;
};

static const struct kad_lookup_node *window_next(struct window *w, uint16_t *out_slot)
{
	const struct kad_lookup *lookup = w->lookup;
	unsigned k = lookup->params.config->k;

	while (w->proven < k && w->at < lookup->node_cnt) {
		uint16_t slot = lookup->order[w->at++];
		const struct kad_lookup_node *node = &lookup->nodes[slot];

		if (node->state == NODE_FAILED || node->state == NODE_SLOW ||
		    node->state == NODE_LATE)
			continue;
		if (!node->contact.is_proven && w->all >= k)
			continue;
		w->proven += node->contact.is_proven;
		w->all++;
		*out_slot = slot;
		return node;
	}
	return NULL;
}

static unsigned out_cnt(const struct kad_lookup *lookup)
{
	const struct kad_lookup_stats *stats = &lookup->stats;

	return stats->asked_cnt - stats->answered_cnt - stats->failed_cnt;
}

static unsigned late_cnt(const struct kad_lookup *lookup)
{
	unsigned cnt = 0;

	for (unsigned i = 0; i < lookup->node_cnt; i++)
		cnt += lookup->nodes[i].state == NODE_LATE;
	return cnt;
}

/* How long a slow node is waited for; UINT64_MAX: the plane says. */
static uint64_t patience_ns(const struct kad_lookup *lookup)
{
	uint64_t slow_ns = lookup->params.rtt->slow_ns, wait_ns = lookup->params.config->wait_ns;

	if (!wait_ns || !lookup->stats.answered_cnt)
		return UINT64_MAX;
	return 2 * slow_ns < wait_ns ? 2 * slow_ns : wait_ns;
}

bool kad_lookup_next(const struct kad_lookup *lookup, struct kad_ask *out_ask)
{
	const struct kad_lookup_config *config = lookup->params.config;
	unsigned from_start[KAD_LOOKUP_STARTS_MAX] = {0}, quick = 0, best = UINT32_MAX;
	struct window w = {.lookup = lookup};
	const struct kad_lookup_node *node;
	uint16_t slot;

	if (lookup->stats.asked_cnt >= config->asked_max || out_cnt(lookup) >= config->out_max)
		return false;
	for (unsigned i = 0; i < lookup->node_cnt; i++) {
		node = &lookup->nodes[i];
		quick += node->state == NODE_OUT;
		from_start[node->start] += node->state == NODE_OUT;
	}
	if (quick >= config->alpha)
		return false;
	while ((node = window_next(&w, &slot))) {
		if (node->state != NODE_NEW || from_start[node->start] >= best)
			continue;
		best = from_start[node->start];
		*out_ask = (struct kad_ask){.slot = slot, .contact = &node->contact};
	}
	return best != UINT32_MAX;
}

bool kad_lookup_is_done(const struct kad_lookup *lookup)
{
	const struct kad_lookup_config *config = lookup->params.config;
	bool may_ask = lookup->stats.asked_cnt < config->asked_max;
	struct window w = {.lookup = lookup};
	const struct kad_lookup_node *node;
	uint16_t slot;

	while ((node = window_next(&w, &slot)))
		if (node->state == NODE_OUT || (node->state == NODE_NEW && may_ask))
			return false;
	/* With fewer than k answers the slow ones are waited for. */
	return w.all >= config->k || out_cnt(lookup) == late_cnt(lookup);
}

static void lookup_note_end(struct kad_lookup *lookup, uint64_t now_ns)
{
	if (!lookup->stats.end_ns && kad_lookup_is_done(lookup))
		lookup->stats.end_ns = now_ns;
}

/* --- what happens to a node --- */

void kad_lookup_asked(struct kad_lookup *lookup, uint16_t slot, uint64_t now_ns)
{
	struct kad_lookup_node *node = &lookup->nodes[slot];

	weft_assert(slot < lookup->node_cnt && node->state == NODE_NEW);
	node->state = NODE_OUT;
	node->asked_ns = now_ns;
	lookup->stats.asked_cnt++;
	step(lookup, KAD_STEP_ASKED, slot, 0, now_ns - lookup->stats.begin_ns);
}

/* Takes the contacts of one answer; returns how many were taken. */
static unsigned hear(struct kad_lookup *lookup, uint16_t teller, const struct kad_contact *told,
		     unsigned cnt)
{
	const struct kad_lookup_node *node = &lookup->nodes[teller];
	unsigned taken = 0, plausible = 0;

	for (unsigned i = 0; i < cnt; i++) {
		enum kad_learned verdict = contact_judge(lookup, &told[i]);

		if (verdict == KAD_LEARNED_TAKEN &&
		    !kad_addr_scope_is_credible(&told[i].addr, &node->contact.addr))
			verdict = KAD_LEARNED_MARTIAN;
		if (verdict == KAD_LEARNED_TAKEN && plausible++ >= lookup->params.config->k)
			verdict = KAD_LEARNED_TOO_MANY;
		if (verdict == KAD_LEARNED_TAKEN)
			verdict = take(lookup, &told[i], teller, node->start);
		lookup->stats.told[verdict]++;
		taken += verdict == KAD_LEARNED_TAKEN;
	}
	return taken;
}

void kad_lookup_answered(struct kad_lookup *lookup, uint16_t slot, const struct kad_answer *answer,
			 uint64_t now_ns)
{
	struct kad_lookup_node *node = &lookup->nodes[slot];
	unsigned taken;

	weft_assert(slot < lookup->node_cnt);
	if (node->state != NODE_OUT && node->state != NODE_SLOW && node->state != NODE_LATE)
		return;
	node->state = NODE_ANSWERED;
	node->answer_tag = answer->tag;
	lookup->stats.answered_cnt++;
	taken = hear(lookup, slot, answer->contacts, answer->cnt);
	step(lookup, KAD_STEP_ANSWERED, slot, taken, now_ns - node->asked_ns);
	lookup_note_end(lookup, now_ns);
}

void kad_lookup_failed(struct kad_lookup *lookup, uint16_t slot, uint64_t now_ns)
{
	struct kad_lookup_node *node = &lookup->nodes[slot];

	weft_assert(slot < lookup->node_cnt);
	if (node->state == NODE_ANSWERED || node->state == NODE_FAILED)
		return;
	if (node->state == NODE_NEW) {
		/* It could not be sent: as if asked without an answer. */
		node->asked_ns = now_ns;
		lookup->stats.asked_cnt++;
	}
	node->state = NODE_FAILED;
	lookup->stats.failed_cnt++;
	step(lookup, KAD_STEP_FAILED, slot, 0, now_ns - node->asked_ns);
	lookup_note_end(lookup, now_ns);
}

void kad_lookup_expire(struct kad_lookup *lookup, uint64_t now_ns)
{
	uint64_t slow_ns = lookup->params.rtt->slow_ns, late_ns = patience_ns(lookup);

	for (uint16_t i = 0; i < lookup->node_cnt; i++) {
		struct kad_lookup_node *node = &lookup->nodes[i];

		if (node->state == NODE_OUT && node->asked_ns + slow_ns <= now_ns) {
			node->state = NODE_SLOW;
			lookup->stats.slow_cnt++;
			step(lookup, KAD_STEP_SLOW, i, 0, now_ns - node->asked_ns);
		}
		if (node->state == NODE_SLOW && now_ns - node->asked_ns >= late_ns)
			node->state = NODE_LATE;
	}
	lookup_note_end(lookup, now_ns);
}

uint64_t kad_lookup_next_ns(const struct kad_lookup *lookup)
{
	uint64_t next_ns = UINT64_MAX, late_ns = patience_ns(lookup);

	for (unsigned i = 0; i < lookup->node_cnt; i++) {
		const struct kad_lookup_node *node = &lookup->nodes[i];
		uint64_t slow_at_ns = node->asked_ns + lookup->params.rtt->slow_ns;

		if (node->state == NODE_OUT && slow_at_ns < next_ns)
			next_ns = slow_at_ns;
		if (node->state == NODE_SLOW && late_ns != UINT64_MAX &&
		    node->asked_ns + late_ns < next_ns)
			next_ns = node->asked_ns + late_ns;
	}
	return next_ns;
}

unsigned kad_lookup_result(const struct kad_lookup *lookup, struct kad_closest *out, unsigned cap)
{
	unsigned k = lookup->params.config->k, cnt = 0;

	if (cap > k)
		cap = k;
	for (int proven = 1; proven >= 0; proven--)
		for (unsigned i = 0; i < lookup->node_cnt && cnt < cap; i++) {
			const struct kad_lookup_node *node = &lookup->nodes[lookup->order[i]];

			if (node->state != NODE_ANSWERED || node->contact.is_proven != proven)
				continue;
			out[cnt++] = (struct kad_closest){.contact = &node->contact,
							  .answer_tag = node->answer_tag};
		}
	return cnt;
}
