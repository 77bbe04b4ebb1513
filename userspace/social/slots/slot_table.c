/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which nodes have a slot. Preferred ones are for friends, on both sides, and pay no account. All others are
 * fair shares: a network that has two more than the newcomer's gives its youngest, else the newcomer
 * is refused. Slots that this node asked for count as known, so unknown peers that come cannot take
 * them all.
 */
#include <string.h>

#include "base/assert.h"
#include "social_slots_state.h"

const char *social_slot_class_name(enum slot_class class)
{
	static const char *const names[SLOT_CLASS_CNT] = {"preferred", "local", "wide"};

	return names[class];
}

struct slot *social_slots_lookup(const struct slots *slots, const uint8_t *key)
{
	return map_lookup(&slots->by_key, key);
}

bool social_slots_has(const struct slots *slots, const uint8_t key[static MESH_KEY_LEN])
{
	return social_slots_lookup(slots, key) != NULL;
}

unsigned social_slots_cap(const struct slots *slots, enum slot_class class)
{
	return slots->caps[class];
}

unsigned social_slots_total(const struct slots *slots)
{
	return slots->cnts[SLOT_PREFERRED] + slots->cnts[SLOT_LOCAL] + slots->cnts[SLOT_WIDE];
}

unsigned social_slots_room(const struct slots *slots)
{
	unsigned used = slots->cnts[SLOT_LOCAL] + slots->cnts[SLOT_WIDE];
	unsigned cap = slots->caps[SLOT_LOCAL] + slots->caps[SLOT_WIDE];

	return used < cap ? cap - used : 0;
}

bool social_slots_may_prefer(const struct slots *slots, const uint8_t *key)
{
	return slots->cnts[SLOT_PREFERRED] < slots->caps[SLOT_PREFERRED] &&
	       slots->links.is_friend(slots->links.ctx, key);
}

/* A place that costs its account one; false: there is none for it. */
static bool place_take(struct slots *slots, struct slot *slot, uint64_t now_ns)
{
	struct fair_path account = social_slots_account(slots, slot->key);
	struct fair_item *victim;

	if (slot->is_own && account.class < FAIR_KNOWN)
		account.class = FAIR_KNOWN;
	switch (fair_take(&slots->places.fair, &account, &slot->share, now_ns, &victim)) {
	case FAIR_TAKEN:
		break;
	case FAIR_TAKEN_FROM:
		slots->stats.evicted_cnt++;
		social_slots_drop(slots, (struct slot *)victim, now_ns);
		break;
	case FAIR_BUSY:
		return false;
	}
	/* It may stay: nothing is owed for it. */
	fair_wait_own(&slots->places.fair, &slot->share, now_ns);
	return true;
}

static enum slot_class class_of(const struct slots *slots, const uint8_t *key)
{
	bool has_wide = slots->cnts[SLOT_WIDE] < slots->caps[SLOT_WIDE];

	if (slots->cnts[SLOT_LOCAL] >= slots->caps[SLOT_LOCAL])
		return SLOT_WIDE;
	return has_wide && social_slots_is_far(slots, key) ? SLOT_WIDE : SLOT_LOCAL;
}

static void slot_place(struct slots *slots, struct slot *slot, enum slot_class class)
{
	slot->class = class;
	slots->cnts[class]++;
}

/* One that was local or wide before gives its place to others. */
static void slot_prefer(struct slots *slots, struct slot *slot, uint64_t now_ns)
{
	slots->cnts[slot->class]--;
	fair_release(&slots->places.fair, &slot->share, now_ns);
	slot_place(slots, slot, SLOT_PREFERRED);
}

static struct slot *slot_make(struct slots *slots, const struct slot_claim *claim, uint64_t now_ns)
{
	struct slot *slot = pool_acquire(&slots->pool);
	uint8_t *digest;
	int err;

	weft_assert(slot != NULL);
	digest = slots->digests + (size_t)((uint8_t *)slot - slots->pool.objects) /
					  slots->pool.object_len * SLOT_DIGEST_LEN_MAX;
	memcpy(slot->key, claim->key, MESH_KEY_LEN);
	slot->is_own = claim->is_own;
	if (claim->is_preferred) {
		slot_place(slots, slot, SLOT_PREFERRED);
	} else if (place_take(slots, slot, now_ns)) {
		slot_place(slots, slot, class_of(slots, claim->key));
	} else {
		pool_release(&slots->pool, slot);
		return NULL;
	}
	slot->digest = digest;
	slot->trying_max = SLOTS_PER_REPORTER;
	slot->since_ns = slot->heard_ns = slot->due_ns = now_ns;
	list_init(&slot->reports);
	err = map_put(&slots->by_key, slot->key, slot);
	weft_assert(err == 0);
	slots->own.is_stale = true;
	return slot;
}

struct slot *social_slots_take(struct slots *slots, const struct slot_claim *claim, uint64_t now_ns)
{
	struct slot_claim fitting = *claim;
	struct slot *slot = social_slots_lookup(slots, claim->key);

	fitting.is_preferred = claim->is_preferred && social_slots_may_prefer(slots, claim->key);
	if (!slot)
		slot = slot_make(slots, &fitting, now_ns);
	else if (fitting.is_preferred && slot->class != SLOT_PREFERRED)
		slot_prefer(slots, slot, now_ns);
	if (slot)
		social_slots_known_met(slots, slot, now_ns);
	return slot;
}

void social_slots_drop(struct slots *slots, struct slot *slot, uint64_t now_ns)
{
	slots->stats.lost_cnt++;
	if (slot->talk)
		social_slots_talk_free(slot->talk);
	social_slots_unreport_all(slots, slot);
	slots->cnts[slot->class]--;
	fair_release(&slots->places.fair, &slot->share, now_ns);
	map_delete(&slots->by_key, slot->key);
	pool_release(&slots->pool, slot);
	slots->own.is_stale = true;
	social_slots_wake(slots, now_ns);
}

void social_slots_each(const struct slots *slots, uint64_t now_ns,
		       bool (*fn)(void *arg, const struct slot_info *info), void *arg)
{
	const struct slot *slot = NULL;

	while ((slot = pool_next(&slots->pool, slot))) {
		struct slot_info info = {.class = slot->class,
					 .is_own = slot->is_own,
					 .is_anchor = slot->is_anchor,
					 .reported_cnt = slot->report_cnt,
					 .age_ns = now_ns - slot->since_ns};

		memcpy(info.key, slot->key, MESH_KEY_LEN);
		if (!fn(arg, &info))
			return;
	}
}
