/* SPDX-License-Identifier: Apache-2.0 */
#include "dht_publish.h"

#include <stddef.h>
#include <string.h>

#include "base/memory/arena.h"
#include "base/container_of.h"
#include "base/random.h"
#include "base/timer.h"
#include "dht/dht_state.h"
#include "dht/items/item.h"
#include "dht/save.h"
#include "dht_lookup.h"

#define RETRY_MIN_NS (2 * 1000000000ull)
/*
 * With fewer holders than enough the network is small, or this node knows little of it yet: the
 * next round comes earlier, ever more rarely.
 */
#define THIN_MIN_NS (30 * 1000000000ull)
/*
 * A node that has just started knows few nodes, and a round ends at the nearest of these. So the
 * first one that finds enough is followed by another when this node has learned of more.
 */
#define SETTLE_NS (60 * 1000000000ull)
/* Rounds come this much earlier at random, so that a restart does not bunch them up. */
#define JITTER_PERCENT 5
/* Without any answer this machine is off the network; it publishes soon after it is back. */
#define OFFLINE_MAX_NS (60 * 1000000000ull)
/* Owns and lookups have handles of one type. */
#define OWN_BIT ((pool_handle)1 << 31)

struct dht_own {
	struct timer timer; /* the next round */
	struct dht *dht;
	struct kad_id target;
	struct dht_write write;
	struct dht_item item; /* points into what follows; announce: nothing does */
	uint8_t key[NODE_KEY_LEN];
	uint8_t sig[NODE_KEY_SIG_LEN];
	uint8_t salt[DHT_SALT_LEN_MAX];
	uint8_t value[DHT_VALUE_LEN_MAX];
	bool is_kept;
	bool is_unsaved;
	bool is_settled; /* enough holders were found in the round before */
	uint64_t every_ns;
	uint64_t retry_ns;
	struct dht_asker asker;
	dht_handle dht_lookup; /* the round that runs */
};

struct dht_owns {
	struct pool pool;
};

int dht_owns_new(struct arena *arena, uint32_t own_cap, struct dht_owns **out_owns)
{
	struct dht_owns *owns = arena_alloc(arena, sizeof(*owns));
	int err;

	if (!owns)
		return WEFT_EFULL;
	err = pool_init(&owns->pool, arena, sizeof(struct dht_own), own_cap);
	if (err < 0)
		return err;
	*out_owns = owns;
	return 0;
}

uint32_t dht_owns_cnt(const struct dht_owns *owns)
{
	return owns->pool.used_cnt;
}

bool dht_own_is(dht_handle handle)
{
	return handle & OWN_BIT;
}

static dht_handle own_handle(const struct dht_own *own)
{
	return pool_handle_of(&own->dht->owns->pool, own) | OWN_BIT;
}

static void own_free(struct dht_own *own)
{
	struct dht *dht = own->dht;

	if (own->is_kept)
		dht_save_note(dht);
	dht_lookup_cancel(dht, own->dht_lookup);
	timer_cancel(&dht->timers, &own->timer);
	pool_release(&dht->owns->pool, own);
}

void dht_own_leave(struct dht *dht, dht_handle handle)
{
	struct dht_own *own = pool_lookup(&dht->owns->pool, handle & ~OWN_BIT);

	if (!own)
		return;
	if (own->is_kept)
		own->asker = (struct dht_asker){0};
	else
		own_free(own);
}

void dht_own_cancel(struct dht *dht, dht_handle handle)
{
	struct dht_own *own = pool_lookup(&dht->owns->pool, handle & ~OWN_BIT);

	if (own)
		own_free(own);
}

/* --- rounds --- */

static uint64_t round_pause_ns(struct dht_own *own, const struct dht_outcome *outcome)
{
	uint64_t max_ns = outcome->answered_cnt ? own->every_ns : OFFLINE_MAX_NS;
	uint64_t pause_ns = own->retry_ns < max_ns ? own->retry_ns : max_ns;

	if (outcome->stored_cnt >= DHT_HOLDERS_ENOUGH) {
		own->retry_ns = RETRY_MIN_NS;
		if (!own->is_settled && own->every_ns > SETTLE_NS) {
			own->is_settled = true;
			return SETTLE_NS;
		}
		return own->every_ns - random_below(own->dht->params.random,
						    own->every_ns / 100 * JITTER_PERCENT + 1);
	}
	if (outcome->stored_cnt && pause_ns < THIN_MIN_NS)
		pause_ns = THIN_MIN_NS;
	own->retry_ns = 2 * pause_ns < max_ns ? 2 * pause_ns : max_ns;
	return pause_ns;
}

static void round_ended(void *ctx, const struct dht_outcome *outcome)
{
	struct dht_own *own = ctx;
	const struct dht_asker asker = own->asker;

	own->dht_lookup = 0;
	if (own->is_kept)
		timer_set(&own->dht->timers, &own->timer,
			  outcome->ended_ns + round_pause_ns(own, outcome));
	else
		own_free(own);
	if (asker.ended)
		asker.ended(asker.ctx, outcome);
}

static void round_start(struct dht_own *own, uint64_t now_ns)
{
	const struct dht_item *item = own->write.item;
	struct dht_lookup_params params = {
		.kind = item ? DHT_FIND_ITEM : DHT_FIND_PEERS,
		.target = own->target,
		.nets = DHT_NETS_ALL,
		.write = &own->write,
		.asker = {.ended = round_ended, .ctx = own},
	};

	if (item && item->key) {
		params.key = item->key;
		params.salt = item->salt;
		params.salt_len = item->salt_len;
	}
	own->dht_lookup = dht_lookup_start(own->dht, &params, now_ns);
}

static void round_fire(struct timer *timer, uint64_t now_ns)
{
	struct dht_own *own = container_of(timer, struct dht_own, timer);

	const struct dht_asker asker = own->asker;
	const struct dht_outcome nobody = {
		.err = WEFT_EUNREACHABLE, .seq_max = -1, .began_ns = now_ns, .ended_ns = now_ns};

	round_start(own, now_ns);
	if (own->dht_lookup)
		return;
	timer_set(&own->dht->timers, &own->timer, now_ns + round_pause_ns(own, &nobody));
	if (asker.ended)
		asker.ended(asker.ctx, &nobody);
}

/* --- what is put and announced --- */

/* The one that is kept; of those that are not there may be several. */
static struct dht_own *own_find_kept(const struct dht_owns *owns, const struct kad_id *target,
				     bool is_item)
{
	struct dht_own *own = NULL;

	while ((own = pool_next(&owns->pool, own)))
		if (own->is_kept && kad_id_equal(&own->target, target) &&
		    is_item == (own->write.item != NULL))
			break;
	return own;
}

/* A newer item takes the older one's place; the older one's asker gets WEFT_ECANCELLED. */
static void own_displace(struct dht_own *own, uint64_t now_ns)
{
	const struct dht_outcome displaced = {
		.err = WEFT_ECANCELLED, .seq_max = -1, .began_ns = now_ns, .ended_ns = now_ns};
	const struct dht_asker asker = own->asker;

	own_free(own);
	if (asker.ended)
		asker.ended(asker.ctx, &displaced);
}

static struct dht_own *own_new(struct dht *dht, const struct kad_id *target, bool is_item,
			       bool is_kept, uint64_t now_ns)
{
	struct dht_own *own = is_kept ? own_find_kept(dht->owns, target, is_item) : NULL;

	if (own)
		own_displace(own, now_ns);
	own = pool_acquire(&dht->owns->pool);
	if (!own)
		return NULL;
	own->dht = dht;
	own->target = *target;
	own->retry_ns = RETRY_MIN_NS;
	timer_init(&own->timer, round_fire);
	return own;
}

/* The first round; 0 when there is none and will be none. */
static dht_handle own_start(struct dht_own *own, uint64_t now_ns)
{
	if (own->is_kept) {
		dht_save_note(own->dht);
		timer_set(&own->dht->timers, &own->timer, now_ns);
		return own_handle(own);
	}
	round_start(own, now_ns);
	if (own->dht_lookup)
		return own_handle(own);
	own_free(own);
	return 0;
}

static bool item_is_storable(const struct dht_item *item)
{
	return item->value_len <= DHT_VALUE_LEN_MAX && item->salt_len <= DHT_SALT_LEN_MAX &&
	       dht_item_verify(item) == 0;
}

/* Copies item into own; what is borrowed there points into own from then on. */
static void item_copy(struct dht_own *own, const struct dht_item *item)
{
	memcpy(own->value, item->value, item->value_len);
	own->item = (struct dht_item){.value = own->value, .value_len = item->value_len};
	own->write.item = &own->item;
	if (!item->key)
		return;
	memcpy(own->key, item->key, sizeof(own->key));
	memcpy(own->sig, item->sig, sizeof(own->sig));
	if (item->salt_len)
		memcpy(own->salt, item->salt, item->salt_len);
	own->item.key = own->key;
	own->item.sig = own->sig;
	own->item.salt = own->salt;
	own->item.salt_len = item->salt_len;
	own->item.seq = item->seq;
}

dht_handle dht_put(struct dht *dht, const struct dht_put_params *params,
		   const struct dht_asker *asker, uint64_t now_ns)
{
	struct kad_id target;
	struct dht_own *own;

	if (!item_is_storable(params->item))
		return 0;
	dht_item_target(params->item, &target);
	own = own_new(dht, &target, true, params->is_kept, now_ns);
	if (!own)
		return 0;
	item_copy(own, params->item);
	own->write.has_cas = params->has_cas;
	own->write.cas = params->cas;
	own->write.is_refresh = params->is_kept;
	own->is_kept = params->is_kept;
	own->is_unsaved = params->is_unsaved;
	own->every_ns = DHT_PUT_EVERY_NS;
	own->asker = *asker;
	return own_start(own, now_ns);
}

dht_handle dht_announce(struct dht *dht, const struct dht_announce_params *params,
			const struct dht_asker *asker, uint64_t now_ns)
{
	struct dht_own *own = own_new(dht, &params->info_hash, false, params->is_kept, now_ns);

	if (!own)
		return 0;
	own->write.port = params->port;
	own->is_kept = params->is_kept;
	own->every_ns = params->every_ns;
	own->asker = *asker;
	return own_start(own, now_ns);
}

int64_t dht_seq(const struct dht *dht, int64_t last, uint64_t now_ns)
{
	uint64_t wall_us = dht_wall_us(dht, now_ns);

	if (last == INT64_MAX || (wall_us <= INT64_MAX && (int64_t)wall_us > last))
		return last == INT64_MAX ? last : (int64_t)wall_us;
	return last + 1;
}

/* --- on disk --- */

static void own_write(const struct dht_own *own, struct writer *w)
{
	const struct dht_item *item = own->write.item;

	bencode_open_dict(w);
	if (!item) {
		bencode_write_text(w, "every_s");
		bencode_write_int(w, (int64_t)(own->every_ns / 1000000000));
		bencode_write_text(w, "info_hash");
		bencode_write_bytes(w, own->target.bytes, KAD_ID_LEN);
		bencode_write_text(w, "port");
		bencode_write_int(w, own->write.port);
		bencode_close(w);
		return;
	}
	if (item->key) {
		bencode_write_text(w, "k");
		bencode_write_bytes(w, item->key, NODE_KEY_LEN);
		bencode_write_text(w, "salt");
		bencode_write_bytes(w, item->salt, item->salt_len);
		bencode_write_text(w, "seq");
		bencode_write_int(w, item->seq);
		bencode_write_text(w, "sig");
		bencode_write_bytes(w, item->sig, NODE_KEY_SIG_LEN);
	}
	bencode_write_text(w, "v");
	bencode_write_bytes(w, item->value, item->value_len);
	bencode_close(w);
}

void dht_owns_write(const struct dht_owns *owns, struct writer *w)
{
	const struct dht_own *own = NULL;

	bencode_open_list(w);
	while ((own = pool_next(&owns->pool, own)))
		if (own->is_kept && !own->is_unsaved)
			own_write(own, w);
	bencode_close(w);
}

/* The fields of one dictionary; spans are NULL for fields that are missing. */
struct own_record {
	struct bencode_span key, salt, sig, value, info_hash;
	int64_t seq, every_s, port;
};

static void record_read(struct bencode_reader *r, struct own_record *record)
{
	struct bencode_span key;

	*record = (struct own_record){.every_s = -1};
	bencode_enter_dict(r);
	while (bencode_next_key(r, &key)) {
		if (bencode_is(&key, "every_s"))
			record->every_s = bencode_read_int(r);
		else if (bencode_is(&key, "info_hash"))
			record->info_hash = bencode_read_bytes(r);
		else if (bencode_is(&key, "k"))
			record->key = bencode_read_bytes(r);
		else if (bencode_is(&key, "port"))
			record->port = bencode_read_int(r);
		else if (bencode_is(&key, "salt"))
			record->salt = bencode_read_bytes(r);
		else if (bencode_is(&key, "seq"))
			record->seq = bencode_read_int(r);
		else if (bencode_is(&key, "sig"))
			record->sig = bencode_read_bytes(r);
		else if (bencode_is(&key, "v"))
			record->value = bencode_read_bytes(r);
		else
			bencode_skip(r);
	}
}

static int announce_load(struct dht *dht, const struct own_record *record, uint64_t now_ns)
{
	struct dht_announce_params params = {.port = (uint16_t)record->port, .is_kept = true};

	if (record->info_hash.len != KAD_ID_LEN || record->every_s < 1 || record->every_s > 86400 ||
	    record->port < 0 || record->port > UINT16_MAX)
		return WEFT_EMALFORMED;
	memcpy(params.info_hash.bytes, record->info_hash.data, KAD_ID_LEN);
	params.every_ns = (uint64_t)record->every_s * 1000000000;
	if (dht)
		(void)dht_announce(dht, &params, &(struct dht_asker){0}, now_ns);
	return 0;
}

static int item_load(struct dht *dht, const struct own_record *record, uint64_t now_ns)
{
	const struct dht_item item = {
		.key = record->key.data,
		.sig = record->sig.data,
		.salt = record->salt.data,
		.salt_len = record->salt.len,
		.value = record->value.data,
		.value_len = record->value.len,
		.seq = record->seq,
	};
	const struct dht_put_params params = {.item = &item, .is_kept = true};

	if (!item.value ||
	    (item.key && (record->key.len != NODE_KEY_LEN || record->sig.len != NODE_KEY_SIG_LEN)))
		return WEFT_EMALFORMED;
	if (!item_is_storable(&item))
		return WEFT_EMALFORMED;
	if (dht)
		(void)dht_put(dht, &params, &(struct dht_asker){0}, now_ns);
	return 0;
}

int dht_owns_load(struct dht *dht, struct bencode_reader *r, uint64_t now_ns)
{
	bencode_enter_list(r);
	while (bencode_next(r)) {
		struct own_record record;
		int err;

		record_read(r, &record);
		if (bencode_is_bad(r))
			return WEFT_EMALFORMED;
		err = record.info_hash.data ? announce_load(dht, &record, now_ns)
					    : item_load(dht, &record, now_ns);
		if (err < 0)
			return err;
	}
	return bencode_is_bad(r) ? WEFT_EMALFORMED : 0;
}
