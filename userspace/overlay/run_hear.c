/* SPDX-License-Identifier: Apache-2.0 */
/* The answers to a run: values, further nodes, whether something was stored. */
#include "base/siphash_bytes.h"
#include "run_state.h"
#include "overlay_serve.h"

/* Pages that one get asks for beside the first of each node. */
#define PAGES_MAX 64

/*
 * Where a value's hash is or would be. Its lowest bit is clear when the value was a lie: a node that
 * gives it again lies as well, and nothing is verified twice.
 */
static uint64_t *seen_at(struct overlay_run *run, uint64_t hash)
{
	size_t at = (hash >> 1) % OVERLAY_SEEN_SLOTS;

	while (run->seen[at] && (run->seen[at] | 1) != (hash | 1))
		at = (at + 1) % OVERLAY_SEEN_SLOTS;
	return &run->seen[at];
}

/* False: no room to know it again. */
static bool seen_add(struct overlay_run *run, uint64_t *slot, uint64_t hash)
{
	if (run->seen_cnt == OVERLAY_SEEN_SLOTS / 2)
		return false;
	*slot = hash | 1;
	run->seen_cnt++;
	return true;
}

static uint64_t value_hash(const struct overlay_run *run, const uint8_t *value, size_t len)
{
	return siphash(run->overlay->secret, value, len);
}

/*
 * Passes a value to the asker if its rule accepts it. Returns why not, or OVERLAY_STORED; run
 * may be gone after that.
 */
static enum overlay_reason value_tell(struct overlay_run *run, uint16_t slot,
				      const struct overlay_span *value, uint64_t now_ns)
{
	struct overlay *overlay = run->overlay;
	const struct overlay_rule *rule;
	const struct overlay_value told = {run->name, run->name_len, value->data, value->len};
	struct overlay_claim claim = {0};
	enum overlay_reason reason = overlay_rules_judge(
		&overlay->rules, &told, overlay_wall_now_s(overlay, now_ns), &rule, &claim);

	claim.teller = slot + 1u;
	if (reason == OVERLAY_STORED)
		run->value(run->arg, value->data, value->len, &claim);
	else
		run->result.refused_cnt++;
	return reason;
}

bool overlay_run_tell_own(struct overlay_run *run, uint64_t now_ns)
{
	struct overlay *overlay = run->overlay;
	pool_handle handle = pool_handle_of(&overlay->runs, run);
	struct overlay_stored *kept[OVERLAY_KEY_MAX];
	unsigned cnt = overlay_show(overlay, run->key, NULL, now_ns, kept);

	for (unsigned i = 0; i < cnt; i++) {
		const uint8_t *value = overlay_stored_value(kept[i]);
		uint64_t hash = value_hash(run, value, kept[i]->value_len);

		(void)seen_add(run, seen_at(run, hash), hash);
		run->value(run->arg, value, kept[i]->value_len, &kept[i]->claim);
		if (!pool_lookup(&overlay->runs, handle))
			return false;
	}
	return true;
}

/* A value that has expired since may be honest, and so may a node with another clock. */
static bool is_lie(enum overlay_reason reason)
{
	return reason != OVERLAY_STORED && reason != OVERLAY_EXPIRED &&
	       reason != OVERLAY_AGAINST_RULE;
}

/* The outcome of the values of one answer. */
enum heard { HEARD_OLD, HEARD_NEWS, HEARD_LIE, HEARD_CANCELLED };

/* A node that gives a false value of this name lies, and the rest is not looked at. */
static enum heard values_hear(struct overlay_run *run, uint16_t slot,
			      const struct overlay_found *found, uint64_t now_ns)
{
	struct overlay *overlay = run->overlay;
	unsigned told_max = overlay_rules_find(&overlay->rules, run->tag)->key_max;
	pool_handle handle = pool_handle_of(&overlay->runs, run);
	enum heard heard = HEARD_OLD;

	for (unsigned i = 0; i < found->value_cnt; i++) {
		const struct overlay_span *value = &found->values[i];
		uint64_t hash = value_hash(run, value->data, value->len);
		uint64_t *seen = seen_at(run, hash);
		enum overlay_reason reason;

		/* No node keeps more: one node cannot fill an answer with writers of its own. */
		if (run->told_cnts[slot] == told_max)
			return HEARD_OLD;
		run->told_cnts[slot]++;
		if (*seen && !(*seen & 1))
			return HEARD_LIE;
		if (*seen || !seen_add(run, seen, hash))
			continue;
		heard = HEARD_NEWS;
		reason = value_tell(run, slot, value, now_ns);
		if (!pool_lookup(&overlay->runs, handle))
			return HEARD_CANCELLED;
		if (is_lie(reason)) {
			*seen &= ~1ull;
			return HEARD_LIE;
		}
	}
	return heard;
}

/* The node has more, and what it had was of use. */
static void run_ask_page(struct overlay_run *run, const struct overlay_heard *heard,
			 uint64_t now_ns)
{
	if (run->page_cnt == PAGES_MAX)
		return;
	run->page_cnt++;
	if (overlay_run_ask(run, OVERLAY_QUERY_PAGE, heard->slot, heard->found->next, now_ns) == 0)
		run->page_out_cnt++;
}

/* A liar counts as if it had not answered, and leaves the table. */
static void liar_drop(struct overlay_run *run, const struct overlay_heard *heard, uint64_t now_ns)
{
	const struct kad_contact *contact = &run->lookup.nodes[heard->slot].contact;

	overlay_count(run->overlay, OVERLAY_FALSE_VALUE);
	kad_lookup_failed(&run->lookup, heard->slot, now_ns);
	kad_table_drop(run->overlay->table, &contact->id, &contact->addr);
}

static void nodes_hear(struct overlay_run *run, const struct overlay_heard *heard, uint64_t now_ns)
{
	const struct overlay_found *found = heard->found;
	struct kad_contact told[OVERLAY_NODES_MAX];
	unsigned cnt = 0;

	overlay_book_contacts(&run->overlay->book, found->nodes, found->node_cnt, told);
	/* Those that were silent just now would be so again. */
	for (unsigned i = 0; i < found->node_cnt; i++)
		if (!overlay_silent_has(&run->overlay->silent, &told[i], now_ns))
			told[cnt++] = told[i];
	kad_lookup_answered(&run->lookup, heard->slot,
			    &(struct kad_answer){.tag = heard->slot, .contacts = told, .cnt = cnt},
			    now_ns);
}

/*
 * The values first: a callback may start runs of its own, and contacts that are not in use
 * yet do not live so long. False: run is gone.
 */
static bool found_hear(struct overlay_run *run, const struct overlay_heard *heard, uint64_t now_ns)
{
	enum heard what = HEARD_OLD;

	if (heard->err == 0 && run->kind == RUN_GET)
		what = values_hear(run, heard->slot, heard->found, now_ns);
	if (what == HEARD_CANCELLED)
		return false;
	if (what == HEARD_LIE)
		liar_drop(run, heard, now_ns);
	else if (heard->err < 0)
		kad_lookup_failed(&run->lookup, heard->slot, now_ns);
	else
		nodes_hear(run, heard, now_ns);
	if (what == HEARD_NEWS && heard->found->next)
		run_ask_page(run, heard, now_ns);
	return true;
}

void overlay_run_hear(struct overlay_run *run, const struct overlay_heard *heard, uint64_t now_ns)
{
	if (heard->kind == OVERLAY_QUERY_STORE) {
		run->write_out_cnt--;
		run->result.stored_cnt += heard->err == 0;
		run->result.refused_cnt += heard->err < 0;
	} else {
		run->page_out_cnt -= heard->kind == OVERLAY_QUERY_PAGE;
		if (!found_hear(run, heard, now_ns))
			return;
	}
	overlay_run_wake(run);
}
