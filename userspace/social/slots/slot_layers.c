/* SPDX-License-Identifier: Apache-2.0 */
/*
 * N2: which node of a slot names which nodes, SLOT_IDS_MAX at most each, so none has the room of
 * another. N3: the digest that each of them gives. Nothing of either is in what this node says of
 * itself, but the digest of N2.
 */
#include <string.h>

#include "base/assert.h"
#include "base/container_of.h"
#include "social_slots_state.h"

int social_slots_layers_init(struct slots *slots, const uint64_t secret[2])
{
	struct arena *arena = &slots->arena;
	int err;

	if ((err = pool_init(&slots->reported, arena, sizeof(struct slot_reported),
			     SLOTS_REPORT_CAP)) < 0 ||
	    (err = pool_init(&slots->reports, arena, sizeof(struct slot_report),
			     SLOTS_REPORT_CAP)) < 0)
		return err;
	/* One more: a slot is made before the one that it evicts has gone. */
	slots->digests = arena_alloc(arena, (size_t)(SLOTS_MAX + 1) * SLOT_DIGEST_LEN_MAX);
	if (!slots->digests)
		return WEFT_EFULL;
	return map_init(&slots->by_reported, arena, MESH_KEY_LEN, SLOTS_REPORT_CAP, secret);
}

struct slot_reported *social_slots_reported(const struct slots *slots, const uint8_t *key)
{
	return map_lookup(&slots->by_reported, key);
}

static struct slot_report *report_find(const struct slot *slot, const struct slot_reported *node)
{
	for (struct list_node *at = node->reports.next; at != &node->reports; at = at->next) {
		struct slot_report *report = container_of(at, struct slot_report, of_node);

		if (report->slot == slot)
			return report;
	}
	return NULL;
}

static struct slot_reported *reported_make(struct slots *slots, const uint8_t *key)
{
	struct slot_reported *node = pool_acquire(&slots->reported);
	int err;

	weft_assert(node != NULL); /* as many as there are reports */
	memcpy(node->key, key, MESH_KEY_LEN);
	list_init(&node->reports);
	err = map_put(&slots->by_reported, node->key, node);
	weft_assert(err == 0);
	return node;
}

bool social_slots_report(struct slots *slots, struct slot *slot, const uint8_t *key)
{
	struct slot_reported *node = social_slots_reported(slots, key);
	struct slot_report *report;

	if (memcmp(key, social_slots_own_key(slots), MESH_KEY_LEN) == 0 ||
	    memcmp(key, slot->key, MESH_KEY_LEN) == 0 || (node && report_find(slot, node)))
		return true;
	if (slot->report_cnt >= SLOT_IDS_MAX)
		return false;
	report = pool_acquire(&slots->reports);
	weft_assert(report != NULL); /* SLOT_IDS_MAX for each slot */
	if (!node)
		node = reported_make(slots, key);
	report->slot = slot;
	report->node = node;
	list_push_back(&slot->reports, &report->of_slot);
	list_push_back(&node->reports, &report->of_node);
	slot->report_cnt++;
	node->report_cnt++;
	return true;
}

static void report_free(struct slots *slots, struct slot_report *report)
{
	struct slot_reported *node = report->node;

	list_unlink(&report->of_slot);
	list_unlink(&report->of_node);
	report->slot->report_cnt--;
	if (--node->report_cnt == 0) {
		map_delete(&slots->by_reported, node->key);
		pool_release(&slots->reported, node);
	}
	pool_release(&slots->reports, report);
}

void social_slots_unreport(struct slots *slots, struct slot *slot, const uint8_t *key)
{
	struct slot_reported *node = social_slots_reported(slots, key);
	struct slot_report *report = node ? report_find(slot, node) : NULL;

	if (report)
		report_free(slots, report);
}

void social_slots_unreport_all(struct slots *slots, struct slot *slot)
{
	struct slot_report *report;

	while ((report = list_first(&slot->reports, struct slot_report, of_slot)))
		report_free(slots, report);
	slots->stats.n3_cnt -= slot->digest_cnt;
	slot->digest_len = slot->digest_cnt = 0;
}

void social_slots_digest_set(struct slots *slots, struct slot *slot,
			     const struct slot_digest *digest)
{
	slots->stats.n3_cnt -= slot->digest_cnt;
	memcpy(slot->digest, digest->bits, digest->len);
	slot->digest_len = (uint32_t)digest->len;
	slot->digest_cnt = digest->cnt;
	slots->stats.n3_cnt += slot->digest_cnt;
}

bool social_slots_in_n3(const struct slots *slots, const uint8_t *key)
{
	const struct slot *slot = NULL;

	while ((slot = pool_next(&slots->pool, slot)))
		if (social_slot_digest_has(slot->digest, slot->digest_len, key))
			return true;
	return false;
}

unsigned social_slots_score(unsigned reporter_cnt, bool is_in_n3)
{
	return 100 / (reporter_cnt ? reporter_cnt : 1) + (is_in_n3 ? 0 : 30);
}

/* A node that has heard few lists knows of none whether it is far. */
static bool has_learnt(const struct slots *slots)
{
	const struct slot *slot = NULL;
	unsigned cnt = 0;

	while ((slot = pool_next(&slots->pool, slot)))
		cnt += slot->heard != 0;
	return cnt >= SLOTS_ENOUGH_TO_LEARN;
}

bool social_slots_is_far(const struct slots *slots, const uint8_t *key)
{
	const struct slot_reported *node = social_slots_reported(slots, key);

	return has_learnt(slots) && social_slots_score(node ? node->report_cnt : 0,
						       social_slots_in_n3(slots, key)) > 100;
}

const uint8_t *social_slots_reporter(const struct slots *slots,
				     const uint8_t key[static MESH_KEY_LEN])
{
	const struct slot_reported *node = social_slots_reported(slots, key);

	return node ? container_of(node->reports.next, struct slot_report, of_node)->slot->key
		    : NULL;
}
