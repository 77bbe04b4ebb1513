/* SPDX-License-Identifier: Apache-2.0 */
/*
 * N1, which this node names to the nodes of its slots: those nodes, and its public contacts. Where there
 * are more than a share has room for, chance chooses among both. A share has them in an order of chance.
 * Both come and go in the same differences. Nothing learnt from others is in it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/siphash_bytes.h"
#include "social_slots_state.h"
#include "social/ground/sorted_keys.h"

/* The candidates of N1, as many as fit; chosen by chance where there are more. */
struct own_choice {
	struct slots *slots;
	uint64_t secret[2];
	struct {
		uint64_t number;
		uint8_t key[MESH_KEY_LEN];
	} rows[SLOT_IDS_MAX];
	unsigned cnt;
};

static unsigned choice_most(const struct own_choice *choice)
{
	unsigned most = 0;

	for (unsigned i = 1; i < choice->cnt; i++)
		if (choice->rows[i].number > choice->rows[most].number)
			most = i;
	return most;
}

static void choice_note(void *arg, const uint8_t *key)
{
	struct own_choice *choice = arg;
	struct slots *slots = choice->slots;
	uint64_t number = siphash(choice->secret, key, MESH_KEY_LEN);
	unsigned at = choice->cnt;

	if (memcmp(key, social_slots_own_key(slots), MESH_KEY_LEN) == 0 ||
	    slots->links.is_blocked(slots->links.ctx, key))
		return;
	for (unsigned i = 0; i < choice->cnt; i++)
		if (choice->rows[i].number == number)
			return;
	if (choice->cnt == SLOT_IDS_MAX) {
		at = choice_most(choice);
		if (choice->rows[at].number < number)
			return;
	} else {
		choice->cnt++;
	}
	choice->rows[at].number = number;
	memcpy(choice->rows[at].key, key, MESH_KEY_LEN);
}

static void change_add(struct slot_own *own, const uint8_t *key, bool is_added)
{
	struct slot_change *change = &own->changes[own->version % SLOTS_CHANGE_CAP];

	memcpy(change->key, key, MESH_KEY_LEN);
	change->is_added = is_added;
	own->version++;
	if (own->version - own->first_version > SLOTS_CHANGE_CAP)
		own->first_version = own->version - SLOTS_CHANGE_CAP;
}

/* Both ascend. */
static void own_become(struct slot_own *own, uint8_t (*nodes)[MESH_KEY_LEN], unsigned cnt)
{
	unsigned old = 0, new = 0;

	while (old < own->cnt || new < cnt) {
		int order = old == own->cnt ? 1
			    : new == cnt    ? -1
					    : memcmp(own->nodes[old], nodes[new], MESH_KEY_LEN);

		if (order < 0)
			change_add(own, own->nodes[old], false);
		if (order > 0)
			change_add(own, nodes[new], true);
		old += order <= 0;
		new += order >= 0;
	}
	memcpy(own->nodes, nodes, (size_t)cnt * MESH_KEY_LEN);
	own->cnt = cnt;
}

void social_slots_own_refresh(struct slots *slots)
{
	uint8_t nodes[SLOT_IDS_MAX][MESH_KEY_LEN];
	struct own_choice choice = {.slots = slots};
	const struct slot *slot = NULL;

	if (!slots->own.is_stale)
		return;
	slots->own.is_stale = false;
	memcpy(choice.secret, slots->by_key.secret, sizeof(choice.secret));
	while ((slot = pool_next(&slots->pool, slot)))
		if (!slot->away_ns)
			choice_note(&choice, slot->key);
	slots->links.contacts(slots->links.ctx, choice_note, &choice);
	for (unsigned i = 0; i < choice.cnt; i++)
		memcpy(nodes[i], choice.rows[i].key, MESH_KEY_LEN);
	social_keys_sort(nodes, choice.cnt);
	own_become(&slots->own, nodes, choice.cnt);
}

bool social_slots_own_has(const struct slots *slots, const uint8_t *key)
{
	return social_keys_have(slots->own.nodes, slots->own.cnt, key);
}

static void shuffle(struct slots *slots, uint8_t (*nodes)[MESH_KEY_LEN], unsigned cnt)
{
	uint8_t swap[MESH_KEY_LEN];

	for (unsigned i = cnt; i > 1; i--) {
		unsigned at = (unsigned)random_below(slots->ground->random, i);

		memcpy(swap, nodes[i - 1], sizeof(swap));
		memcpy(nodes[i - 1], nodes[at], sizeof(swap));
		memcpy(nodes[at], swap, sizeof(swap));
	}
}

void social_slots_own_share(struct slots *slots, struct slot_share *out_share)
{
	const struct slot_own *own = &slots->own;

	*out_share = (struct slot_share){.version = own->version, .cnt = own->cnt};
	memcpy(out_share->nodes, own->nodes, (size_t)own->cnt * MESH_KEY_LEN);
	shuffle(slots, out_share->nodes, out_share->cnt);
	out_share->digest = social_slots_digest(slots);
}

/* Of a node that came and went only the last word counts. */
static bool is_newest(const struct slot_own *own, uint64_t version)
{
	const uint8_t *key = own->changes[version % SLOTS_CHANGE_CAP].key;

	for (uint64_t later = version + 1; later < own->version; later++)
		if (memcmp(own->changes[later % SLOTS_CHANGE_CAP].key, key, MESH_KEY_LEN) == 0)
			return false;
	return true;
}

bool social_slots_own_diff(struct slots *slots, uint64_t from, struct slot_diff *out_diff)
{
	const struct slot_own *own = &slots->own;

	*out_diff = (struct slot_diff){.from = from, .to = own->version};
	if (from < own->first_version || from > own->version || own->version - from > SLOT_IDS_MAX)
		return false;
	for (uint64_t version = from; version < own->version; version++) {
		const struct slot_change *change = &own->changes[version % SLOTS_CHANGE_CAP];

		if (!is_newest(own, version))
			continue;
		if (change->is_added)
			memcpy(out_diff->added[out_diff->added_cnt++], change->key, MESH_KEY_LEN);
		else
			memcpy(out_diff->removed[out_diff->removed_cnt++], change->key,
			       MESH_KEY_LEN);
	}
	shuffle(slots, out_diff->added, out_diff->added_cnt);
	shuffle(slots, out_diff->removed, out_diff->removed_cnt);
	return true;
}

/* An eighth more or less is no news. */
static bool edition_is_due(const struct slots *slots, uint64_t now_ns)
{
	const struct slot_own *own = &slots->own;
	uint32_t cnt = slots->reported.used_cnt;
	uint32_t apart =
		cnt > own->reported_cnt ? cnt - own->reported_cnt : own->reported_cnt - cnt;

	return apart > own->reported_cnt / 8 &&
	       (!own->edition || now_ns - own->digest_ns >= SLOTS_DIGEST_NS);
}

/*
 * A node with a slot was mostly named by another one before, and a contact seldom. So a digest with nodes
 * of N1 would say which of them have slots.
 */
static void digest_make(struct slots *slots, uint64_t now_ns)
{
	const struct slot_reported *node = NULL;
	struct slot_own *own = &slots->own;

	own->digest_cnt = 0;
	while ((node = pool_next(&slots->reported, node)))
		own->digest_cnt += !social_slots_own_has(slots, node->key);
	own->digest_len = (uint32_t)social_slot_digest_len(own->digest_cnt);
	own->digest_version = own->version;
	own->remade_ns = now_ns;
	memset(own->digest, 0, own->digest_len);
	while ((node = pool_next(&slots->reported, node)))
		if (!social_slots_own_has(slots, node->key))
			social_slot_digest_add(own->digest, own->digest_len, node->key);
}

void social_slots_digest_refresh(struct slots *slots, uint64_t now_ns)
{
	struct slot_own *own = &slots->own;

	if (edition_is_due(slots, now_ns)) {
		own->reported_cnt = slots->reported.used_cnt;
		own->digest_ns = now_ns;
		own->edition++;
		digest_make(slots, now_ns);
	} else if (own->edition && own->digest_version != own->version &&
		   now_ns - own->remade_ns >= SLOTS_DIGEST_REMAKE_NS) {
		digest_make(slots, now_ns);
	}
}

struct slot_digest social_slots_digest(const struct slots *slots)
{
	const struct slot_own *own = &slots->own;

	if (!own->digest_cnt || own->digest_version != own->version)
		return (struct slot_digest){.bits = NULL};
	return (struct slot_digest){own->digest, own->digest_len, own->digest_cnt};
}

/* --- address records --- */

size_t social_slots_record_of(const struct slots *slots, const uint8_t *key,
			      uint8_t out[static SLOT_RECORD_LEN_MAX])
{
	const struct slot *slot = social_slots_lookup(slots, key);

	if (!slot || !slot->record_len)
		return slots->links.record(slots->links.ctx, key, out, SLOT_RECORD_LEN_MAX);
	memcpy(out, slot->record, slot->record_len);
	return slot->record_len;
}

void social_slots_record_heard(struct slots *slots, const uint8_t *from,
			       const struct slot_anchor *heard, uint64_t now_ns)
{
	struct slot *slot = social_slots_lookup(slots, heard->key);
	struct social_address address;

	if (social_address_read(heard->record, heard->record_len, &address) < 0 ||
	    memcmp(address.node, heard->key, MESH_KEY_LEN) != 0) {
		slots->stats.refused_cnt++;
		return;
	}
	/* A node says where it is itself; of others it is for those to judge that keep it. */
	if (slot && memcmp(from, heard->key, MESH_KEY_LEN) == 0) {
		memcpy(slot->record, heard->record, heard->record_len);
		slot->record_len = heard->record_len;
	}
	slots->links.heard_record(slots->links.ctx, from, heard->record, heard->record_len, now_ns);
}

size_t social_slots_tell(struct slots *slots, const uint8_t asker[static MESH_KEY_LEN],
			 const uint8_t key[static MESH_KEY_LEN], uint8_t *out, size_t cap)
{
	uint8_t record[SLOT_RECORD_LEN_MAX];
	size_t len;

	if (!social_slots_lookup(slots, asker) || slots->links.is_blocked(slots->links.ctx, asker))
		return 0;
	social_slots_own_refresh(slots);
	if (!social_slots_own_has(slots, key))
		return 0;
	len = social_slots_record_of(slots, key, record);
	if (len > cap)
		return 0;
	memcpy(out, record, len);
	return len;
}
