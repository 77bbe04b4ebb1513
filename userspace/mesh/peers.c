/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The peer table: which keys we met, what they said of themselves, where
 * they were. session.c writes it at HELLO and at the end of a session,
 * dial.c reads addresses from it.
 */
#include "mesh/peers.h"

#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/list.h"
#include "codec/cbor.h"
#include "codec/peer_addr.h"
#include "store/store.h"

#define RECORD_LAYOUT 1
/* Late enough that a burst of sessions is one commit, early enough to lose little. */
#define FLUSH_DELAY_NS (5 * NS_PER_S)
#define FLUSH_CNT_MAX  512

void mesh_peer_record_write(struct writer *w, const struct mesh_peer_record *record)
{
	bool has_addr = record->last_addr.family != ADDR_NONE;
	bool has_token = record->token.len > 0, has_good = record->good_addr.family != ADDR_NONE;
	struct peer_addr addr = peer_addr_of(&record->last_addr);

	cbor_write_map(w, 7u + has_addr + (record->addr_seq > 0) + (has_token ? 2 : 0) +
				  (has_good ? 2 : 0));
	cbor_field_uint(w, 0, RECORD_LAYOUT);
	cbor_field_uint(w, 1, record->caps);
	if (has_addr) {
		cbor_write_uint(w, 2);
		peer_addr_write(w, &addr);
	}
	cbor_write_uint(w, 3);
	peer_addrs_write(w, record->addrs, record->addr_cnt);
	cbor_field_uint(w, 4, record->first_seen_s);
	cbor_field_uint(w, 5, record->last_seen_s);
	cbor_write_uint(w, 6);
	cbor_write_int(w, record->skew_s);
	cbor_field_text(w, 7, record->agent, strlen(record->agent));
	if (record->addr_seq)
		cbor_field_uint(w, 8, record->addr_seq);
	if (has_token) {
		addr = peer_addr_of(&record->token.addr);
		cbor_write_uint(w, 9);
		peer_addr_write(w, &addr);
		cbor_field_bytes(w, 10, record->token.data, record->token.len);
	}
	if (has_good) {
		addr = peer_addr_of(&record->good_addr);
		cbor_write_uint(w, 11);
		peer_addr_write(w, &addr);
		cbor_field_uint(w, 12, record->good_s);
	}
}

static void record_read_token(struct cbor_reader *r, struct mesh_peer_token *token)
{
	size_t len;
	const uint8_t *data = cbor_read_bytes(r, &len);

	if (!data || len > sizeof(token->data))
		return;
	memcpy(token->data, data, len);
	token->len = (uint8_t)len;
}

static void record_read_field(struct cbor_reader *r, uint64_t key, struct mesh_peer_record *record)
{
	struct peer_addr addr;

	switch (key) {
	case 1:
		record->caps = (uint32_t)cbor_read_uint_max(r, UINT32_MAX);
		break;
	case 2:
		peer_addr_read(r, &addr);
		if (!cbor_is_bad(r))
			record->last_addr = addr.peer.addr;
		break;
	case 3:
		record->addr_cnt = peer_addrs_read(r, record->addrs);
		break;
	case 4:
		record->first_seen_s = cbor_read_uint(r);
		break;
	case 5:
		record->last_seen_s = cbor_read_uint(r);
		break;
	case 6:
		record->skew_s = cbor_read_int(r);
		break;
	case 7:
		cbor_read_text_copy(r, record->agent, sizeof(record->agent));
		break;
	case 8:
		record->addr_seq = cbor_read_uint(r);
		break;
	case 9:
		peer_addr_read(r, &addr);
		if (!cbor_is_bad(r))
			record->token.addr = addr.peer.addr;
		break;
	case 10:
		record_read_token(r, &record->token);
		break;
	case 11:
		peer_addr_read(r, &addr);
		if (!cbor_is_bad(r))
			record->good_addr = addr.peer.addr;
		break;
	case 12:
		record->good_s = cbor_read_uint(r);
		break;
	default:
		cbor_skip(r);
	}
}

int mesh_peer_record_parse(const uint8_t *data, size_t len, struct mesh_peer_record *out_record)
{
	struct mesh_peer_record record = {0};
	struct cbor_reader r;
	uint64_t key;
	int err = cbor_enter_record(&r, data, len, RECORD_LAYOUT);

	if (err < 0)
		return err;
	while (cbor_next_key(&r, &key))
		record_read_field(&r, key, &record);
	if ((err = cbor_reader_finish(&r)) < 0)
		return err;
	*out_record = record;
	return 0;
}

size_t mesh_peers_footprint(uint32_t cap_cnt)
{
	return pool_footprint(sizeof(struct mesh_peer_entry), cap_cnt) +
	       map_footprint(MESH_KEY_LEN, cap_cnt);
}

static struct mesh_peers *timer_peers(struct timer *timer)
{
	return list_entry(timer, struct mesh_peers, timer);
}

static void peers_flush_some(struct mesh_peers *peers, uint32_t cnt_max);

static void peers_expire(struct timer *timer, uint64_t now_ns)
{
	struct mesh_peers *peers = timer_peers(timer);

	peers_flush_some(peers, FLUSH_CNT_MAX);
	if (peers->changed_cnt)
		timer_set(peers->timers, timer, now_ns + FLUSH_DELAY_NS);
}

int mesh_peers_init(struct mesh_peers *peers, struct arena *arena, uint32_t cap_cnt,
		    const uint64_t secret[2])
{
	int err;

	timer_init(&peers->timer, peers_expire);
	err = pool_init(&peers->pool, arena, sizeof(struct mesh_peer_entry), cap_cnt);
	return err < 0 ? err : map_init(&peers->by_key, arena, MESH_KEY_LEN, cap_cnt, secret);
}

/* The peer without a session that was seen longest ago, or NULL. */
static struct mesh_peer_entry *peers_stalest(const struct mesh_peers *peers)
{
	struct mesh_peer_entry *stalest = NULL, *entry = NULL;

	while ((entry = pool_next(&peers->pool, entry)))
		if (!entry->session_cnt &&
		    (!stalest || entry->record.last_seen_s < stalest->record.last_seen_s))
			stalest = entry;
	return stalest;
}

static bool peers_are_full(const struct mesh_peers *peers)
{
	return peers->pool.used_cnt == peers->pool.cap_cnt;
}

static bool peers_load_one(void *arg, const struct store_item *item)
{
	struct mesh_peers *peers = arg;
	struct mesh_peer_record record;
	struct mesh_peer_entry *entry;

	/* A record we cannot read is as good as a peer we never met. */
	if (mesh_peer_record_parse(item->value, item->value_len, &record) < 0)
		return true;
	if (peers_are_full(peers) && peers_stalest(peers)->record.last_seen_s >= record.last_seen_s)
		return true;
	entry = mesh_peers_meet(peers, item->key);
	if (entry)
		entry->record = record;
	return true;
}

int mesh_peers_load(struct mesh_peers *peers, struct store *store, struct timer_wheel *timers)
{
	struct store_snapshot *snapshot;
	int err;

	peers->store = store;
	peers->timers = timers;
	if (!store)
		return 0;
	if ((err = store_snapshot_open(store, &snapshot)) < 0)
		return err;
	err = store_each(snapshot, STORE_PEERS, NULL, 0, peers_load_one, peers);
	store_snapshot_close(snapshot);
	return err;
}

void mesh_peers_stop(struct mesh_peers *peers)
{
	if (peers->timers)
		timer_cancel(peers->timers, &peers->timer);
}

static void entry_put(struct store_batch *batch, const struct mesh_peer_entry *entry)
{
	uint8_t value[MESH_PEER_RECORD_LEN_MAX];
	struct writer w = writer_of(value, sizeof(value));

	mesh_peer_record_write(&w, &entry->record);
	store_batch_put(batch, STORE_PEERS, entry->key, sizeof(entry->key), value, writer_len(&w));
}

/*
 * Nobody waits for the commit: a record that is lost is written again at
 * the peer's next session, and a full queue tries again with the timer.
 */
static void peers_flush_some(struct mesh_peers *peers, uint32_t cnt_max)
{
	struct store_batch *batch = store_batch_new(peers->store);
	struct mesh_peer_entry *entry = NULL;
	uint32_t cnt = 0;

	if (!batch)
		return;
	for (uint32_t i = 0; i < peers->evicted_cnt; i++)
		store_batch_delete(batch, STORE_PEERS, peers->evicted[i], MESH_KEY_LEN);
	while (cnt < cnt_max && (entry = pool_next(&peers->pool, entry)))
		if (entry->is_changed) {
			entry_put(batch, entry);
			cnt++;
		}
	if (store_submit(peers->store, batch, NULL, NULL) < 0) {
		store_batch_free(batch);
		return;
	}
	peers->evicted_cnt = 0;
	peers->changed_cnt -= cnt;
	for (entry = NULL; cnt && (entry = pool_next(&peers->pool, entry));)
		if (entry->is_changed) {
			entry->is_changed = false;
			cnt--;
		}
}

void mesh_peers_flush(struct mesh_peers *peers)
{
	if (peers->store && (peers->changed_cnt || peers->evicted_cnt))
		peers_flush_some(peers, UINT32_MAX);
}

struct mesh_peer_entry *mesh_peers_lookup(const struct mesh_peers *peers, const uint8_t *key)
{
	return map_lookup(&peers->by_key, key);
}

bool mesh_peers_is_known(const struct mesh_peer_entry *entry)
{
	return entry && entry->record.last_seen_s >= entry->record.first_seen_s + MESH_PEER_KNOWN_S;
}

/* The deletion waits for the next batch, unless a great many wait already. */
static void peers_note_evicted(struct mesh_peers *peers, const uint8_t *key)
{
	if (!peers->store)
		return;
	if (peers->evicted_cnt == MESH_PEERS_EVICTED_MAX)
		mesh_peers_flush(peers);
	if (peers->evicted_cnt < MESH_PEERS_EVICTED_MAX)
		memcpy(peers->evicted[peers->evicted_cnt++], key, MESH_KEY_LEN);
}

static bool peers_evict_stalest(struct mesh_peers *peers)
{
	struct mesh_peer_entry *stalest = peers_stalest(peers);

	if (!stalest)
		return false;
	if (stalest->is_changed)
		peers->changed_cnt--;
	peers_note_evicted(peers, stalest->key);
	map_delete(&peers->by_key, stalest->key);
	pool_release(&peers->pool, stalest);
	return true;
}

struct mesh_peer_entry *mesh_peers_meet(struct mesh_peers *peers, const uint8_t *key)
{
	struct mesh_peer_entry *entry = mesh_peers_lookup(peers, key);

	if (entry)
		return entry;
	if (peers_are_full(peers) && !peers_evict_stalest(peers))
		return NULL;
	entry = pool_acquire(&peers->pool);
	if (!entry)
		return NULL;
	memcpy(entry->key, key, sizeof(entry->key));
	if (map_put(&peers->by_key, key, entry) < 0) {
		pool_release(&peers->pool, entry);
		return NULL;
	}
	return entry;
}

void mesh_peers_changed(struct mesh_peers *peers, struct mesh_peer_entry *entry, uint64_t now_ns)
{
	if (!entry->is_changed) {
		entry->is_changed = true;
		peers->changed_cnt++;
	}
	if (peers->store && !timer_is_set(&peers->timer))
		timer_set(peers->timers, &peers->timer, now_ns + FLUSH_DELAY_NS);
}
