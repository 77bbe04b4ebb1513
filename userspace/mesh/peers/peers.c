/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The peer table: the known keys, what they said of themselves, and their addresses. session.c
 * writes it at HELLO and at the end of a session, dial.c reads addresses from it.
 */
#include "peers.h"

#include <string.h>

#include "base/memory/arena.h"
#include "base/assert.h"
#include "base/monotonic.h"
#include "base/siphash_bytes.h"
#include "store/store.h"

/* Late enough that a burst of sessions is one commit, early enough to lose little. */
#define FLUSH_DELAY_NS (5 * NS_PER_S)
#define FLUSH_CNT_MAX  512

/* Parts of the table, in eighths: unknown peers have what is left. */
#define CHOSEN_PART 4
#define KNOWN_PART  2
#define PART_WHOLE  8
#define PART_CNT    3

static uint32_t entry_cap(uint32_t cap_cnt, uint32_t session_cap)
{
	return cap_cnt + PART_CNT + 2 * session_cap; /* each part has a place at least */
}

static struct mesh_peers *timer_peers(struct timer *timer)
{
	return container_of(timer, struct mesh_peers, timer);
}

static void peers_flush_some(struct mesh_peers *peers, uint32_t cnt_max);

static void peers_expire(struct timer *timer, uint64_t now_ns)
{
	struct mesh_peers *peers = timer_peers(timer);

	if (peers->changed_cnt || peers->evicted_cnt)
		peers_flush_some(peers, FLUSH_CNT_MAX);
	/* Once more after a batch, which may be refused. */
	if (peers->is_saving || peers->changed_cnt || peers->evicted_cnt)
		timer_set(peers->timers, timer, now_ns + FLUSH_DELAY_NS);
}

/* Each part has a place at least; a small table has few buckets. */
static void peers_divide(struct mesh_peers *peers, uint32_t cap_cnt)
{
	uint32_t unknown_cap;

	peers->chosen_cap = cap_cnt * CHOSEN_PART / PART_WHOLE;
	peers->known_cap = cap_cnt * KNOWN_PART / PART_WHOLE;
	peers->chosen_cap += !peers->chosen_cap;
	peers->known_cap += !peers->known_cap;
	unknown_cap = cap_cnt > peers->chosen_cap + peers->known_cap
			      ? cap_cnt - peers->chosen_cap - peers->known_cap
			      : 1;
	peers->bucket_cnt =
		unknown_cap < MESH_PEERS_BUCKET_CNT ? unknown_cap : MESH_PEERS_BUCKET_CNT;
	peers->bucket_cap = unknown_cap / peers->bucket_cnt;
}

int mesh_peers_init(struct mesh_peers *peers, struct arena *arena, uint32_t cap_cnt,
		    uint32_t session_cap, const uint64_t secret[2])
{
	uint32_t cap = entry_cap(cap_cnt, session_cap);
	int err;

	timer_init(&peers->timer, peers_expire);
	peers_divide(peers, cap_cnt);
	peers->foreign_cap = session_cap;
	memcpy(peers->secret, secret, sizeof(peers->secret));
	for (uint32_t i = 0; i < MESH_PEERS_BUCKET_CNT; i++)
		list_init(&peers->buckets[i]);
	list_init(&peers->known);
	list_init(&peers->chosen);
	err = pool_init(&peers->pool, arena, sizeof(struct mesh_peer_entry), cap);
	return err < 0 ? err : map_init(&peers->by_key, arena, MESH_KEY_LEN, cap, secret);
}

/* --- places of those without a session --- */

/* One of the few buckets that the peer's network reaches; the key picks which. */
static uint32_t entry_bucket(const struct mesh_peers *peers, const struct mesh_peer_entry *entry)
{
	const struct addr *addr = &entry->record.last_addr;
	struct {
		struct addr network;
		uint64_t turn;
	} where = {.network = addr_prefix_key(addr, addr->family == ADDR_IPV4 ? 24 : 48)};

	where.turn =
		siphash(peers->secret, entry->key, sizeof(entry->key)) % MESH_PEERS_NETWORK_BUCKETS;
	return (uint32_t)(siphash(peers->secret, &where, sizeof(where)) % peers->bucket_cnt);
}

static uint32_t *class_cnt(struct mesh_peers *peers, enum fair_class class)
{
	if (class == FAIR_CHOSEN)
		return &peers->chosen_cnt;
	return class == FAIR_UNKNOWN ? &peers->unknown_cnt : &peers->known_cnt;
}

static bool entry_is_placed(const struct mesh_peer_entry *entry)
{
	return entry->place.next != NULL && entry->place.next != &entry->place;
}

static void entry_unplace(struct mesh_peers *peers, struct mesh_peer_entry *entry)
{
	if (!entry_is_placed(entry))
		return;
	list_unlink(&entry->place);
	--*class_cnt(peers, entry->placed_as);
}

static void entry_push(struct mesh_peers *peers, struct list_node *list,
		       struct mesh_peer_entry *entry, enum fair_class class)
{
	struct list_node *at = list->prev;

	/* The freshest is last: a peer whose session ends now nearly always is. */
	while (at != list && container_of(at, struct mesh_peer_entry, place)->record.last_seen_s >
				     entry->record.last_seen_s)
		at = at->prev;
	list_push_back(at->next, &entry->place);
	entry->placed_as = class;
	++*class_cnt(peers, class);
}

/* The deletion waits for the next batch, unless a great many wait already. */
static void peers_note_evicted(struct mesh_peers *peers, const uint8_t *key)
{
	if (!peers->store)
		return;
	if (peers->evicted_cnt >= MESH_PEERS_EVICTED_MAX)
		peers_flush_some(peers, UINT32_MAX);
	if (peers->evicted_cnt < 2 * MESH_PEERS_EVICTED_MAX)
		memcpy(peers->evicted[peers->evicted_cnt++], key, MESH_KEY_LEN);
}

static void entry_unchange(struct mesh_peers *peers, struct mesh_peer_entry *entry)
{
	peers->changed_cnt -= entry->is_changed;
	entry->is_changed = entry->is_saving = false;
}

static void entry_forget(struct mesh_peers *peers, struct mesh_peer_entry *entry)
{
	entry_unplace(peers, entry);
	entry_unchange(peers, entry);
	if (entry->is_stored)
		peers_note_evicted(peers, entry->key);
	map_delete(&peers->by_key, entry->key);
	pool_release(&peers->pool, entry);
}

/* A chosen peer makes room only if it was no more than dialled by hand. */
static struct mesh_peer_entry *part_stalest(const struct list_node *part)
{
	for (struct list_node *at = part->next; at != part; at = at->next) {
		struct mesh_peer_entry *entry = container_of(at, struct mesh_peer_entry, place);

		if (!(entry->record.choices & ~(uint32_t)MESH_CHOICE_DIALLED) &&
		    entry->record.share_cnt <= 1)
			return entry;
	}
	return NULL;
}

static uint32_t list_len(const struct list_node *list)
{
	uint32_t len = 0;

	for (const struct list_node *at = list->next; at != list; at = at->next)
		len++;
	return len;
}

/* Puts entry into list, which holds at most cap: the stalest of it goes. */
static void entry_place(struct mesh_peers *peers, struct mesh_peer_entry *entry,
			enum fair_class class)
{
	struct list_node *list = &peers->known;
	uint32_t cap = peers->known_cap, cnt = peers->known_cnt;
	struct mesh_peer_entry *stalest;

	if (class == FAIR_CHOSEN) {
		list = &peers->chosen;
		cap = peers->chosen_cap;
		cnt = peers->chosen_cnt;
	} else if (class == FAIR_UNKNOWN) {
		list = &peers->buckets[entry_bucket(peers, entry)];
		cap = peers->bucket_cap;
		cnt = list_len(list);
	}
	entry_push(peers, list, entry, class);
	if (cnt < cap)
		return;
	stalest = class == FAIR_CHOSEN ? part_stalest(list)
				       : container_of(list->next, struct mesh_peer_entry, place);
	if (!stalest)
		stalest = entry;
	peers->evicted_cnts[class]++;
	entry_forget(peers, stalest);
}

void mesh_peers_take(struct mesh_peers *peers, struct mesh_peer_entry *entry)
{
	entry_unplace(peers, entry);
}

static bool entry_has_session(const struct mesh_peer_entry *entry)
{
	return entry->session_cnt || entry->foreign_at.family != ADDR_NONE;
}

/* A row is for peers that are not unknown; one that becomes unknown loses it. */
static void entry_set_stored(struct mesh_peers *peers, struct mesh_peer_entry *entry,
			     enum fair_class class)
{
	if (class != FAIR_UNKNOWN || !entry->is_stored)
		return;
	entry->is_stored = false;
	entry_unchange(peers, entry);
	peers_note_evicted(peers, entry->key);
}

void mesh_peers_settle(struct mesh_peers *peers, struct mesh_peer_entry *entry)
{
	enum fair_class class = mesh_peers_class(entry);

	entry_set_stored(peers, entry, class);
	entry_unplace(peers, entry);
	if (!entry_has_session(entry))
		entry_place(peers, entry, class);
}

bool mesh_peers_has_chosen_room(const struct mesh_peers *peers, const struct mesh_peer_entry *entry)
{
	return mesh_peers_class(entry) == FAIR_CHOSEN || peers->chosen_cnt < peers->chosen_cap ||
	       part_stalest(&peers->chosen);
}

int mesh_peers_set_share(struct mesh_peers *peers, struct mesh_peer_entry *entry,
			 unsigned share_cnt, uint64_t now_ns)
{
	weft_assert(share_cnt >= 1 && share_cnt <= FAIR_SHARE_MAX);
	if (share_cnt > 1 && !mesh_peers_has_chosen_room(peers, entry))
		return WEFT_EFULL;
	entry->record.share_cnt = share_cnt > 1 ? (uint8_t)share_cnt : 0;
	mesh_peers_changed(peers, entry, now_ns);
	mesh_peers_settle(peers, entry);
	return 0;
}

/* --- the store --- */

int mesh_peers_load(struct mesh_peers *peers, struct store *store, struct timer_wheel *timers)
{
	struct store_iter iter = store_iter_fresh(store, STORE_PEERS, STORE_ALL);
	struct mesh_peer_record record;
	struct mesh_peer_entry *entry;
	struct store_item item;

	peers->store = store;
	peers->timers = timers;
	if (!store)
		return 0;
	while (store_iter_next(&iter, &item)) {
		/* A record that cannot be read counts as a peer that was never met. */
		if (mesh_peer_record_parse(item.value, item.value_len, &record) < 0 ||
		    !(entry = mesh_peers_acquire(peers, item.key)))
			continue;
		entry->record = record;
		entry->is_stored = true;
		mesh_peers_settle(peers, entry);
	}
	return store_iter_end(&iter);
}

void mesh_peers_stop(struct mesh_peers *peers)
{
	if (peers->timers)
		timer_cancel(peers->timers, &peers->timer);
	if (peers->is_saving)
		store_flush(peers->store);
}

static void entry_put(struct store_batch *batch, const struct mesh_peer_entry *entry)
{
	uint8_t value[MESH_PEER_RECORD_LEN_MAX];
	struct writer w = writer_of(value, sizeof(value));

	mesh_peer_record_write(&w, &entry->record);
	store_batch_put(batch, STORE_PEERS, store_key(entry->key, sizeof(entry->key)), value,
			writer_len(&w));
}

static void entry_change(struct mesh_peers *peers, struct mesh_peer_entry *entry)
{
	peers->changed_cnt += !entry->is_changed;
	entry->is_changed = true;
}

/* Refused, all of it is still to be written: with the next batch of the timer. */
static void peers_saved(void *arg, int err)
{
	struct mesh_peer_entry *entry = NULL;
	struct mesh_peers *peers = arg;

	peers->is_saving = false;
	while ((entry = pool_next(&peers->pool, entry))) {
		if (err < 0 && entry->is_saving)
			entry_change(peers, entry);
		entry->is_saving = false;
	}
	if (err == 0) {
		peers->evicted_cnt -= peers->saving_evicted_cnt;
		memmove(peers->evicted, peers->evicted[peers->saving_evicted_cnt],
			peers->evicted_cnt * sizeof(peers->evicted[0]));
	}
	peers->saving_evicted_cnt = 0;
}

/* A peer that was met again since has a row again. */
static void evicted_delete(struct mesh_peers *peers, struct store_batch *batch)
{
	for (uint32_t i = 0; i < peers->evicted_cnt; i++) {
		const struct mesh_peer_entry *entry = mesh_peers_lookup(peers, peers->evicted[i]);

		if (!entry || !entry->is_stored)
			store_batch_delete(batch, STORE_PEERS,
					   store_key(peers->evicted[i], MESH_KEY_LEN));
	}
}

static void peers_flush_some(struct mesh_peers *peers, uint32_t cnt_max)
{
	struct store_batch *batch = peers->is_saving ? NULL : store_batch_new(peers->store);
	struct mesh_peer_entry *entry = NULL;
	uint32_t cnt = 0;

	if (!batch)
		return;
	evicted_delete(peers, batch);
	while (cnt < cnt_max && (entry = pool_next(&peers->pool, entry)))
		if (entry->is_changed) {
			entry_put(batch, entry);
			cnt++;
		}
	if (store_submit(peers->store, batch, peers_saved, peers) < 0) {
		store_batch_free(batch);
		return;
	}
	peers->is_saving = true;
	peers->saving_evicted_cnt = peers->evicted_cnt;
	peers->changed_cnt -= cnt;
	for (entry = NULL; cnt && (entry = pool_next(&peers->pool, entry));)
		if (entry->is_changed) {
			entry->is_changed = false;
			entry->is_saving = true;
			cnt--;
		}
}

void mesh_peers_flush(struct mesh_peers *peers)
{
	if (!peers->store)
		return;
	if (peers->is_saving)
		store_flush(peers->store);
	if (peers->changed_cnt || peers->evicted_cnt)
		peers_flush_some(peers, UINT32_MAX);
}

struct mesh_peer_entry *mesh_peers_lookup(const struct mesh_peers *peers, const uint8_t *key)
{
	return map_lookup(&peers->by_key, key);
}

void mesh_peer_set_vias(struct mesh_peer_entry *entry, const struct peer_via *vias, unsigned cnt)
{
	entry->via_cnt = cnt;
	for (unsigned i = 0; i < cnt; i++)
		entry->vias[i] = vias[i];
}

struct mesh_peer_entry *mesh_peers_acquire(struct mesh_peers *peers, const uint8_t *key)
{
	struct mesh_peer_entry *entry = mesh_peers_lookup(peers, key);

	if (entry)
		return entry;
	entry = pool_acquire(&peers->pool);
	if (!entry)
		return NULL;
	memcpy(entry->key, key, sizeof(entry->key));
	list_init(&entry->place);
	if (map_put(&peers->by_key, key, entry) < 0) {
		pool_release(&peers->pool, entry);
		return NULL;
	}
	return entry;
}

struct mesh_peer_entry *mesh_peers_acquire_foreign(struct mesh_peers *peers, const uint8_t *key)
{
	struct mesh_peer_entry *entry = mesh_peers_lookup(peers, key);

	if (entry || peers->foreign_cnt >= peers->foreign_cap)
		return entry;
	return mesh_peers_acquire(peers, key);
}

void mesh_peers_set_foreign(struct mesh_peers *peers, struct mesh_peer_entry *entry,
			    const struct addr *addr)
{
	peers->foreign_cnt -= entry->foreign_at.family != ADDR_NONE;
	entry->foreign_at = addr ? *addr : (struct addr){.family = ADDR_NONE};
	peers->foreign_cnt += entry->foreign_at.family != ADDR_NONE;
	mesh_peers_settle(peers, entry);
}

void mesh_peers_changed(struct mesh_peers *peers, struct mesh_peer_entry *entry, uint64_t now_ns)
{
	if (mesh_peers_class(entry) == FAIR_UNKNOWN)
		return;
	entry->is_stored = true;
	entry_change(peers, entry);
	if (peers->store && !timer_is_set(&peers->timer))
		timer_set(peers->timers, &peers->timer, now_ns + FLUSH_DELAY_NS);
}
