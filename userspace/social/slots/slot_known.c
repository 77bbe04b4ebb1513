/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes to begin with, in tiers that take nothing from each other. Tiers that unknown peers fill are
 * fair shares of networks and keys. The nodes that have or had slots are on the disk with their last
 * addresses, so a node that starts again asks them first.
 *
 * Record (STORE_ROUTES, kind SLOTS_RECORD_KIND, node 32): 0 layout 1 | 1 [PeerAddr] | 2 time s
 */
#include <string.h>

#include "base/assert.h"
#include "codec/cbor_fields.h"
#include "social_slots_state.h"
#include "store/store.h"

#define RECORD_KIND	 's'
#define RECORD_LEN_MAX	 512u
#define RECORD_BATCH_MAX 256u

static const struct {
	const char *name;
	uint32_t cap_cnt;
	bool is_open; /* unknown peers get in */
} tiers[SLOT_TIER_CNT] = {
	[SLOT_TIER_FORMER] = {"nodes that had slots", 2 * SLOTS_MAX, true},
	[SLOT_TIER_ANCHOR] = {"anchors to begin with", 64, false},
	[SLOT_TIER_FOLLOW] = {"contacts to begin with", 512, false},
	[SLOT_TIER_NEARBY] = {"nodes of the LAN to begin with", 64, true},
	[SLOT_TIER_PULLED] = {"nodes that pulled posts", 128, true},
};

const char *social_slot_tier_name(enum slot_tier tier)
{
	return tiers[tier].name;
}

int social_slots_known_init(struct slots *slots, const uint64_t secret[2])
{
	uint32_t cap_cnt = 1; /* a row is made before the one that it evicts has gone */
	int err;

	for (unsigned i = 0; i < SLOT_TIER_CNT; i++) {
		const struct fair_config config = {.name = tiers[i].name,
						   .cap_cnt = tiers[i].cap_cnt,
						   .kind = FAIR_LASTING,
						   .level_cnt = FAIR_PEER_LEVELS};

		cap_cnt += tiers[i].cap_cnt;
		if ((err = fair_places_init(&slots->tiers[i], &slots->arena, &config)) < 0)
			return err;
	}
	if ((err = pool_init(&slots->known, &slots->arena, sizeof(struct slot_known), cap_cnt)) < 0)
		return err;
	return map_init(&slots->by_known, &slots->arena, MESH_KEY_LEN, cap_cnt, secret);
}

struct slot_known *social_slots_known(const struct slots *slots, const uint8_t *key)
{
	return map_lookup(&slots->by_known, key);
}

/* --- the disk --- */

struct known_record {
	struct addr addrs[SLOTS_KNOWN_ADDRS];
	unsigned addr_cnt;
	uint64_t time_s;
};
static const struct cbor_field record_fields[] = {
	{0, CBOR_FIELD_CONSTANT, CBOR_NEEDED, .max = 1},
	{1, CBOR_FIELD_ADDRS, CBOR_NEEDED, CBOR_AT(struct known_record, addrs),
	 CBOR_LEN(struct known_record, addr_cnt)},
	{2, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct known_record, time_s)},
};
static const struct cbor_table record_table = {CBOR_FIELDS(record_fields)};

struct record_key {
	uint8_t bytes[1 + MESH_KEY_LEN];
};

static struct record_key record_key_of(const uint8_t *key)
{
	struct record_key record = {{RECORD_KIND}};

	memcpy(record.bytes + 1, key, MESH_KEY_LEN);
	return record;
}

static void record_delete(struct slots *slots, const uint8_t *key)
{
	struct record_key at = record_key_of(key);
	struct store_batch *batch;

	if (slots->is_stopped || !slots->ground->store)
		return;
	/* A record that stays is one node more to ask, at the next start. */
	batch = store_batch_new(slots->ground->store);
	store_batch_delete(batch, STORE_ROUTES, store_key(at.bytes, sizeof(at.bytes)));
	if (store_submit(slots->ground->store, batch, NULL, NULL) < 0)
		store_batch_free(batch);
}

static void record_put(struct slots *slots, struct store_batch *batch,
		       const struct slot_known *known)
{
	struct record_key at = record_key_of(known->key);
	uint8_t bytes[RECORD_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct known_record record = {.addr_cnt = known->addr_cnt,
				      .time_s = social_wall_ms(slots->ground) / 1000};

	memcpy(record.addrs, known->addrs, sizeof(record.addrs));
	cbor_fields_write(&w, &record_table, &record);
	weft_assert(!w.bad);
	store_batch_put(batch, STORE_ROUTES, store_key(at.bytes, sizeof(at.bytes)), bytes,
			writer_len(&w));
}

static void on_written(void *arg, int err)
{
	struct slots *slots = arg;

	(void)err; /* what is not there is learnt again */
	slots->is_writing = false;
}

void social_slots_known_write(struct slots *slots, uint64_t now_ns)
{
	struct slot_known *known = NULL;
	struct store_batch *batch = NULL;
	unsigned cnt = 0;

	if (slots->is_writing || now_ns < slots->write_ns || !slots->ground->store)
		return;
	slots->write_ns = now_ns + SLOTS_WRITE_NS;
	while (cnt < RECORD_BATCH_MAX && (known = pool_next(&slots->known, known))) {
		if (!known->is_changed)
			continue;
		if (!batch)
			batch = store_batch_new(slots->ground->store);
		record_put(slots, batch, known);
		known->is_changed = false;
		cnt++;
	}
	if (!cnt)
		return;
	slots->is_writing = true;
	if (store_submit(slots->ground->store, batch, on_written, slots) == 0)
		return;
	slots->is_writing = false;
	store_batch_free(batch);
}

void social_slots_known_fini(struct slots *slots)
{
	if (!slots->ground->store)
		return;
	slots->write_ns = 0;
	if (slots->is_writing)
		store_flush(slots->ground->store);
	social_slots_known_write(slots, 0);
	if (slots->is_writing)
		store_flush(slots->ground->store);
}

/* --- rows --- */

void social_slots_known_forget(struct slots *slots, struct slot_known *known, uint64_t now_ns)
{
	if (known->tier == SLOT_TIER_FORMER)
		record_delete(slots, known->key);
	map_delete(&slots->by_known, known->key);
	fair_release(&slots->tiers[known->tier].fair, &known->share, now_ns);
	pool_release(&slots->known, known);
}

/* Of a chosen tier all pay one account: what fills it is this node's own. */
static bool tier_take(struct slots *slots, struct slot_known *known, uint64_t now_ns)
{
	struct fair *fair = &slots->tiers[known->tier].fair;
	struct fair_path account;
	struct fair_item *victim;

	if (tiers[known->tier].is_open)
		account = social_slots_account(slots, known->key);
	else
		fair_path_start(FAIR_CHOSEN, &account);
	if (!tiers[known->tier].is_open)
		fair_path_add(&slots->tiers[known->tier].paths, &account, known->key, MESH_KEY_LEN);
	switch (fair_take(fair, &account, &known->share, now_ns, &victim)) {
	case FAIR_TAKEN:
		break;
	case FAIR_TAKEN_FROM:
		social_slots_known_forget(slots, (struct slot_known *)victim, now_ns);
		break;
	case FAIR_BUSY:
		return false;
	}
	fair_wait_own(fair, &known->share, now_ns);
	return true;
}

static struct slot_known *known_make(struct slots *slots, const uint8_t *key, enum slot_tier tier,
				     uint64_t now_ns)
{
	struct slot_known *known = pool_acquire(&slots->known);
	int err;

	weft_assert(known != NULL);
	memcpy(known->key, key, MESH_KEY_LEN);
	known->tier = tier;
	known->noted_ns = now_ns;
	if (!tier_take(slots, known, now_ns)) {
		pool_release(&slots->known, known);
		return NULL;
	}
	err = map_put(&slots->by_known, known->key, known);
	weft_assert(err == 0);
	return known;
}

/* The node that had a slot longest ago, and has none now. */
static struct slot_known *former_oldest(const struct slots *slots)
{
	struct slot_known *known = NULL, *oldest = NULL;

	while ((known = pool_next(&slots->known, known)))
		if (known->tier == SLOT_TIER_FORMER && !social_slots_lookup(slots, known->key) &&
		    (!oldest || known->noted_ns < oldest->noted_ns))
			oldest = known;
	return oldest;
}

void social_slots_note(struct slots *slots, const uint8_t key[static MESH_KEY_LEN],
		       enum slot_tier tier, uint64_t now_ns)
{
	struct slot_known *known = social_slots_known(slots, key);

	if (memcmp(key, social_slots_own_key(slots), MESH_KEY_LEN) == 0)
		return;
	/* A better reason counts: tiers are in the order of worth, and one that had a slot stays so. */
	if (known && known->tier > tier) {
		social_slots_known_forget(slots, known, now_ns);
		known = NULL;
	}
	if (known)
		known->noted_ns = now_ns;
	else
		(void)known_make(slots, key, tier, now_ns);
}

void social_slots_note_at(struct slots *slots, const uint8_t key[static MESH_KEY_LEN],
			  enum slot_tier tier, const struct peer_places *places, uint64_t now_ns)
{
	struct slot_known *known;

	social_slots_note(slots, key, tier, now_ns);
	known = social_slots_known(slots, key);
	/* One that had a slot keeps where it was. */
	if (!known || known->tier != tier || tier == SLOT_TIER_FORMER)
		return;
	known->addr_cnt =
		places->addr_cnt < SLOTS_KNOWN_ADDRS ? places->addr_cnt : SLOTS_KNOWN_ADDRS;
	memcpy(known->addrs, places->addrs, known->addr_cnt * sizeof(known->addrs[0]));
}

void social_slots_suggest(const struct slots *slots,
			  void (*fn)(void *arg, const struct slot_suggestion *suggestion),
			  void *arg)
{
	struct slot_known *known = NULL;
	struct slot_reported *node = NULL;

	while ((known = pool_next(&slots->known, known)))
		fn(arg, &(struct slot_suggestion){known->key, known->tier, 0});
	while ((node = pool_next(&slots->reported, node)))
		if (node->report_cnt > 1)
			fn(arg,
			   &(struct slot_suggestion){node->key, SLOT_TIER_CNT, node->report_cnt});
}

void social_slots_known_met(struct slots *slots, const struct slot *slot, uint64_t now_ns)
{
	struct slot_known *known = social_slots_known(slots, slot->key), *oldest;
	struct addr addrs[MESH_PEER_ADDRS_MAX];
	struct mesh_neighbour neighbour;
	unsigned cnt = 0;

	if (slots->tiers[SLOT_TIER_FORMER].fair.held_cnt == tiers[SLOT_TIER_FORMER].cap_cnt &&
	    (!known || known->tier != SLOT_TIER_FORMER) && (oldest = former_oldest(slots)))
		social_slots_known_forget(slots, oldest, now_ns);
	social_slots_note(slots, slot->key, SLOT_TIER_FORMER, now_ns);
	known = social_slots_known(slots, slot->key);
	if (!known || known->tier != SLOT_TIER_FORMER)
		return;
	known->patience = (struct slot_patience){.fail_cnt = 0};
	if (slots->ground->neighbours->find(slots->ground->mesh.mesh, slot->key, &neighbour))
		cnt = mesh_neighbour_addrs(&neighbour, addrs, SLOTS_KNOWN_ADDRS);
	known->is_changed = true;
	known->addr_cnt = cnt;
	memset(known->addrs, 0, sizeof(known->addrs));
	memcpy(known->addrs, addrs, cnt * sizeof(addrs[0]));
}

int social_slots_known_load(struct slots *slots, uint64_t now_ns)
{
	static const uint8_t first[] = {RECORD_KIND};
	struct store_iter iter;
	struct store_item item;

	if (!slots->ground->store)
		return 0;
	iter = store_iter_fresh(slots->ground->store, STORE_ROUTES, store_key(first, 1));
	while (store_iter_next(&iter, &item) && item.key[0] == RECORD_KIND) {
		struct known_record record = {.addr_cnt = 0};
		struct slot_known *known;

		if (cbor_fields_parse(item.value, item.value_len, &record_table, &record) < 0)
			continue;
		social_slots_note(slots, item.key + 1, SLOT_TIER_FORMER, now_ns);
		known = social_slots_known(slots, item.key + 1);
		if (!known)
			continue;
		known->addr_cnt = record.addr_cnt;
		memcpy(known->addrs, record.addrs, sizeof(known->addrs));
	}
	return store_iter_end(&iter);
}

void social_slots_known_view(const struct slots *slots, enum slot_tier tier, struct fair_view *out)
{
	fair_read(&slots->tiers[tier].fair, out);
}
