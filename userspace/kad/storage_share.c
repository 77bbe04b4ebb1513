/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which value gives way in a full index, and in a full key. In all, each value holds a slot of a
 * standing pool (base/fair/fair.h). A key is counted when it is full, in one pass over its values:
 * keys are many and small.
 */
#include "kad/storage_state.h"

#include <string.h>

#include "base/memory/arena.h"
#include "base/assert.h"
#include "base/random.h"

/* Unknown values 1/4, known values 1/2, this node's own and those of chosen peers 1/4. */
#define PARTS {4, 8, 0, 4}

/* How much more another network holds before it pays, as in base/fair/fair. */
#define MARGIN 2u

/* No key: the last level is the address. One family need not be a level. */
static unsigned level_cnt(const struct kad_storage_config *config)
{
	if (config->family == ADDR_NONE)
		return FAIR_PEER_LEVELS - 1;
	return config->family == ADDR_IPV6 ? 3 : 2;
}

static struct fair_config fair_of(const struct kad_storage_config *config)
{
	return (struct fair_config){.name = config->name,
				    .cap_cnt = config->value_cap,
				    .kind = FAIR_LASTING,
				    .level_cnt = (uint8_t)level_cnt(config),
				    .parts = PARTS};
}

static unsigned tally_cap(const struct kad_storage_config *config)
{
	unsigned cap = 16;

	while (cap < 2 * config->key_max)
		cap *= 2;
	return cap;
}

int kad_storage_share_init(struct kad_storage *storage, struct arena *arena,
			   const uint64_t secret[2])
{
	struct fair_config fair = fair_of(&storage->config);

	storage->paths =
		(struct fair_paths){.secret = {secret[0], secret[1]}, .site = storage->config.site};
	storage->tally_cap = tally_cap(&storage->config);
	storage->tallies = arena_alloc(arena, storage->tally_cap * sizeof(struct storage_tally));
	if (!storage->tallies)
		return WEFT_EFULL;
	return fair_init(&storage->fair, arena, &fair, secret);
}

/* Family, network, address; without an address, as this node itself, one account. */
static struct fair_path path_of(const struct kad_storage *storage, const struct addr *source,
				enum fair_class class)
{
	struct fair_path path;

	fair_path_of_addr(&storage->paths, source, class, &path);
	if (storage->config.family != ADDR_NONE && path.level_cnt > 1)
		memmove(path.ids, path.ids + 1, --path.level_cnt * sizeof(path.ids[0]));
	return path;
}

/* The level of networks, which this node's own path has not. */
static unsigned network_level(const struct kad_storage *storage, const struct fair_path *path)
{
	return storage->config.family == ADDR_NONE && path->level_cnt > 1 ? 1 : 0;
}

static uint64_t network_id(const struct kad_storage *storage, const struct fair_path *path)
{
	return path->ids[network_level(storage, path)];
}

static uint32_t network_held(struct kad_storage *storage, const struct fair_path *path)
{
	return fair_held(&storage->fair, path, network_level(storage, path));
}

static uint64_t address_id(const struct fair_path *path)
{
	return path->ids[path->level_cnt - 1];
}

static void record_charge(const struct kad_storage *storage, struct storage_record *record,
			  const struct addr *payer, const struct fair_path *path)
{
	record->payer = *payer;
	record->network = network_id(storage, path);
	record->address = address_id(path);
}

void kad_storage_share_take(struct kad_storage *storage, struct storage_record *record,
			    uint64_t now_ns)
{
	const struct kad_value *value = &record->value;
	struct fair_path path = path_of(storage, &value->source, value->source_class);
	struct fair_item *victim;
	enum fair_verdict verdict;

	record->slot = (struct fair_item){0};
	record->class = path.class;
	record->counted_at_ns = now_ns;
	record->refresh_cnt = 0;
	record_charge(storage, record, &value->source, &path);
	verdict = fair_take(&storage->fair, &path, &record->slot, now_ns, &victim);
	weft_assert(verdict == FAIR_TAKEN);
}

/* The emptier of the two networks pays from now on. */
static const struct addr *payer_of(struct kad_storage *storage, const struct storage_record *record,
				   const struct addr *source)
{
	struct fair_path own = path_of(storage, source, record->class);
	struct fair_path other = path_of(storage, &record->payer, record->class);

	return network_held(storage, &own) + MARGIN <= network_held(storage, &other)
		       ? source
		       : &record->payer;
}

void kad_storage_share_refresh(struct kad_storage *storage, struct storage_record *record,
			       const struct addr *source, uint64_t now_ns)
{
	struct addr payer = *payer_of(storage, record, source);
	enum fair_class class = record->class;
	struct fair_path path;

	if (now_ns - record->counted_at_ns >= KAD_REFRESH_GAP_NS) {
		record->counted_at_ns = now_ns;
		record->refresh_cnt++;
	}
	if (class == FAIR_UNKNOWN && record->refresh_cnt >= KAD_KNOWN_REFRESHES)
		class = FAIR_KNOWN;
	if (class == record->class && addr_equal(&payer, &record->payer))
		return;
	path = path_of(storage, &payer, class);
	record->class = path.class;
	record_charge(storage, record, &payer, &path);
	fair_move(&storage->fair, &record->slot, &path, now_ns);
}

/*
 * Between equals: of a few drawn at random the unknown value farthest from this node, if that is
 * farther than the new one. Its network holds more than the asker's, or its address is the asker's,
 * so only the key space gains by it.
 */
static struct storage_record *payer_draw(struct kad_storage *storage, const struct kad_value *value,
					 const struct fair_path *path)
{
	uint32_t own_cnt = network_held(storage, path);
	const struct kad_id *farthest = &value->key;
	struct storage_record *payer = NULL;

	for (unsigned i = 0; i < KAD_STORAGE_DRAWS; i++) {
		uint64_t idx = random_below(storage->random, storage->records.used_cnt);
		struct storage_record *drawn = storage->heap[idx];
		struct fair_path other;

		if (drawn->class != FAIR_UNKNOWN ||
		    !kad_id_is_nearer(&storage->own_id, farthest, &drawn->value.key))
			continue;
		other = path_of(storage, &drawn->payer, drawn->class);
		if (drawn->address != address_id(path) && network_held(storage, &other) <= own_cnt)
			continue;
		farthest = &drawn->value.key;
		payer = drawn;
	}
	return payer;
}

struct storage_record *kad_storage_share_payer(struct kad_storage *storage,
					       const struct kad_value *value, uint64_t now_ns)
{
	struct fair_path path = path_of(storage, &value->source, value->source_class);
	struct fair_item *victim;

	if (!storage->records.used_cnt)
		return NULL;
	victim = fair_victim(&storage->fair, &path, now_ns);
	if (victim)
		return container_of(victim, struct storage_record, slot);
	return payer_draw(storage, value, &path);
}

void kad_storage_share_refuse(struct kad_storage *storage, const struct kad_value *value,
			      uint64_t now_ns)
{
	struct fair_path path = path_of(storage, &value->source, value->source_class);

	fair_refuse(&storage->fair, &path, now_ns);
}

uint32_t kad_storage_not_before_ms(struct kad_storage *storage, const struct kad_value *value,
				   uint64_t now_ns)
{
	struct fair_path path = path_of(storage, &value->source, value->source_class);

	return fair_not_before_ms(&storage->fair, &path, now_ns);
}

void kad_storage_view(const struct kad_storage *storage, struct fair_view *out)
{
	fair_read(&storage->fair, out);
}

/* --- one key --- */

static struct storage_tally *tally_of(struct kad_storage *storage, uint64_t id)
{
	unsigned at = (unsigned)id & (storage->tally_cap - 1);

	/* Half of the places stay free, so there is an end. */
	while (storage->tallies[at].cnt && storage->tallies[at].id != id)
		at = (at + 1) & (storage->tally_cap - 1);
	storage->tallies[at].id = id;
	return &storage->tallies[at];
}

static void tallies_clear(struct kad_storage *storage)
{
	memset(storage->tallies, 0, storage->tally_cap * sizeof(struct storage_tally));
}

/* Counts the key's networks; returns the id of one of those that have most, and how many. */
static unsigned networks_tally(struct kad_storage *storage, const struct storage_key *key,
			       uint64_t *out_id)
{
	unsigned most = 0;

	tallies_clear(storage);
	for (const struct storage_record *at = key->first; at; at = at->next) {
		struct storage_tally *tally = tally_of(storage, at->network);

		if (++tally->cnt > most) {
			most = tally->cnt;
			*out_id = tally->id;
		}
	}
	return most;
}

/* The latest to come of the address that has most values in network. */
static struct storage_record *network_youngest(struct kad_storage *storage,
					       const struct storage_key *key, uint64_t network)
{
	struct storage_record *youngest = NULL;
	uint64_t address = 0;
	unsigned most = 0;

	tallies_clear(storage);
	for (struct storage_record *at = key->first; at; at = at->next) {
		struct storage_tally *tally;

		if (at->network != network)
			continue;
		tally = tally_of(storage, at->address);
		if (++tally->cnt > most) {
			most = tally->cnt;
			address = at->address;
		}
	}
	for (struct storage_record *at = key->first; at; at = at->next)
		if (at->network == network && at->address == address &&
		    (!youngest || at->slot.taken_at_ns >= youngest->slot.taken_at_ns))
			youngest = at;
	return youngest;
}

/*
 * The value refreshed longest ago of the networks that have cnt under key, an unknown one before
 * others. The tallies are of networks.
 */
static struct storage_record *stalest_of(struct kad_storage *storage, const struct storage_key *key,
					 unsigned cnt)
{
	struct storage_record *stalest = NULL;

	for (struct storage_record *at = key->last; at; at = at->prev) {
		if (tally_of(storage, at->network)->cnt != cnt)
			continue;
		if (at->class == FAIR_UNKNOWN)
			return at;
		if (!stalest)
			stalest = at;
	}
	return stalest;
}

static struct storage_record *network_stalest(const struct storage_key *key, uint64_t network)
{
	struct storage_record *at = key->last;

	while (at && at->network != network)
		at = at->prev;
	return at;
}

/* Its own value, where an address has its number under key. */
static struct storage_record *address_payer(const struct storage_key *key, uint64_t address,
					    unsigned address_max)
{
	struct storage_record *stalest = NULL;
	unsigned cnt = 0;

	for (struct storage_record *at = key->last; at; at = at->prev) {
		if (at->address != address)
			continue;
		cnt++;
		if (!stalest)
			stalest = at;
	}
	return cnt >= address_max ? stalest : NULL;
}

struct storage_record *kad_storage_key_payer(struct kad_storage *storage,
					     const struct storage_key *key,
					     const struct kad_value *value)
{
	struct fair_path path = path_of(storage, &value->source, value->source_class);
	unsigned address_max = storage->config.key_addr_max, own_cnt, most;
	unsigned key_max = value->key_max ?: storage->config.key_max;
	struct storage_record *own;
	uint64_t largest = 0;

	own = address_max ? address_payer(key, address_id(&path), address_max) : NULL;
	if (own || key->cnt < key_max)
		return own;
	most = networks_tally(storage, key, &largest);
	own_cnt = tally_of(storage, network_id(storage, &path))->cnt;
	if (own_cnt + MARGIN <= most)
		return network_youngest(storage, key, largest);
	if (own_cnt == most)
		return network_stalest(key, network_id(storage, &path));
	return stalest_of(storage, key, most);
}
