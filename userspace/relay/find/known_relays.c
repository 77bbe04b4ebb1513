/* SPDX-License-Identifier: Apache-2.0 */
#include "known_relays.h"

#include <string.h>

#include "base/assert.h"
#include "base/container_of.h"
#include "base/memory/arena.h"
#include "base/memory/pool.h"
#include "base/random.h"

struct relay_known {
	struct pool pool; /* one more than cap: the newest, until its share is decided */
	struct map by_key;
	struct fair_places places;
	struct random *random;
	unsigned (*rank)(void *ctx, const uint8_t *key);
	void *rank_ctx;
};

static const char *const words[RELAY_TOLD_CNT] = {"overlay", "relay"};

const char *relay_teller_word(enum relay_teller_kind kind)
{
	return words[kind];
}

int relay_known_new(struct arena *arena, const struct relay_known_config *config,
		    struct random *random, struct relay_known **out_known)
{
	const struct fair_config shares = {
		.name = "relays known",
		.cap_cnt = config->cap,
		.kind = FAIR_LASTING,
		.level_cnt = FAIR_PEER_LEVELS,
		.parts = {[FAIR_UNKNOWN] = 4, [FAIR_KNOWN] = 8},
	};
	struct relay_known *known = arena_alloc(arena, sizeof(*known));
	uint64_t secret[2];
	int err;

	if (!known)
		return WEFT_EFULL;
	known->random = random;
	known->rank = config->rank;
	known->rank_ctx = config->ctx;
	random_fill(random, secret, sizeof(secret));
	if ((err = pool_init(&known->pool, arena, sizeof(struct relay_known_row),
			     config->cap + 1)) < 0 ||
	    (err = map_init(&known->by_key, arena, PEER_ADDR_KEY_LEN, config->cap, secret)) < 0)
		return err;
	known->places.paths = (struct fair_paths){{secret[0], secret[1]}, config->site};
	if ((err = fair_init(&known->places.fair, arena, &shares, secret)) < 0)
		return err;
	*out_known = known;
	return 0;
}

/* --- shares --- */

static void path_add_network(const struct relay_known *known, struct fair_path *path,
			     const struct addr *addr)
{
	struct addr prefix = addr_prefix_key(addr, addr->family == ADDR_IPV4 ? 24 : 48);

	fair_path_add(&known->places.paths, path, prefix.ip, sizeof(prefix.ip));
}

/* Of a relay that has not served: what named it, then what it says of itself. */
static void path_of_told(const struct relay_known *known, const struct relay_known_entry *entry,
			 struct fair_path *out)
{
	const struct relay_announcement *announcement = entry->announcement;
	const struct relay_teller *teller = &entry->teller;

	if (teller->kind == RELAY_TOLD_BY_RELAY) {
		fair_path_of_addr(&known->places.paths, &teller->addr, FAIR_UNKNOWN, out);
	} else {
		fair_path_start(FAIR_UNKNOWN, out);
		fair_path_add(&known->places.paths, out, "overlay", sizeof("overlay"));
		fair_path_add(&known->places.paths, out, &teller->place, sizeof(teller->place));
		path_add_network(known, out, &announcement->addrs[0]);
	}
	fair_path_add(&known->places.paths, out, announcement->key, sizeof(announcement->key));
}

static void row_release(struct relay_known *known, struct relay_known_row *row, uint64_t now_ns)
{
	map_delete(&known->by_key, row->announcement.key);
	fair_release(&known->places.fair, &row->share, now_ns);
	pool_release(&known->pool, row);
}

/* --- in --- */

static void row_fill(struct relay_known_row *row, const struct relay_known_entry *entry)
{
	row->announcement = *entry->announcement;
	row->teller = entry->teller.kind;
	row->len = (uint16_t)entry->len;
	memcpy(row->bytes, entry->bytes, entry->len);
}

static struct relay_known_row *row_new(struct relay_known *known,
				       const struct relay_known_entry *entry, uint64_t now_ns)
{
	struct relay_known_row *row = pool_acquire(&known->pool);
	struct fair_item *victim;
	struct fair_path path;

	path_of_told(known, entry, &path);
	switch (fair_take(&known->places.fair, &path, &row->share, now_ns, &victim)) {
	case FAIR_TAKEN:
		return row;
	case FAIR_TAKEN_FROM:
		row_release(known, container_of(victim, struct relay_known_row, share), now_ns);
		return row;
	case FAIR_BUSY:
		break;
	}
	pool_release(&known->pool, row);
	return NULL;
}

enum relay_known_verdict relay_known_put(struct relay_known *known,
					 const struct relay_known_entry *entry, uint64_t now_ns)
{
	struct relay_known_row *row = map_lookup(&known->by_key, entry->announcement->key);
	int err;

	weft_assert(entry->len <= sizeof(row->bytes));
	if (row && row->announcement.issued_s >= entry->announcement->issued_s)
		return RELAY_KNOWN_OLD;
	if (row) {
		row_fill(row, entry);
		return RELAY_KNOWN_RENEWED;
	}
	row = row_new(known, entry, now_ns);
	if (!row)
		return RELAY_KNOWN_FULL;
	row_fill(row, entry);
	row->rank = known->rank ? RELAY_UNRANKED : 0;
	relay_score_init(&row->score, now_ns);
	err = map_put(&known->by_key, row->announcement.key, row);
	weft_assert(!err);
	return RELAY_KNOWN_ADDED;
}

void relay_known_expire(struct relay_known *known, uint64_t wall_s, uint64_t now_ns)
{
	struct relay_known_row *row = NULL;

	while ((row = pool_next(&known->pool, row)))
		if (row->announcement.expires_s <= wall_s)
			row_release(known, row, now_ns);
}

/* --- what happened --- */

void relay_known_succeeded(struct relay_known *known, const uint8_t *key, const struct addr *at,
			   uint64_t latency_ns, uint64_t now_ns)
{
	struct relay_known_row *row = map_lookup(&known->by_key, key);
	struct fair_path path;

	if (!row)
		return;
	relay_score_succeeded(&row->score, latency_ns, now_ns);
	if (row->has_served)
		return;
	row->has_served = true;
	fair_path_of_addr(&known->places.paths, at, FAIR_KNOWN, &path);
	fair_path_add(&known->places.paths, &path, key, PEER_ADDR_KEY_LEN);
	fair_move(&known->places.fair, &row->share, &path, now_ns);
}

void relay_known_failed(struct relay_known *known, const uint8_t *key, uint64_t now_ns)
{
	struct relay_known_row *row = map_lookup(&known->by_key, key);

	if (row)
		relay_score_failed(&row->score, now_ns);
}

/* --- out --- */

const struct relay_known_row *relay_known_find(const struct relay_known *known, const uint8_t *key)
{
	return map_lookup(&known->by_key, key);
}

const struct relay_known_row *relay_known_next(const struct relay_known *known,
					       const struct relay_known_row *after)
{
	return pool_next(&known->pool, after);
}

static bool want_skips(const struct relay_want *want, const uint8_t *key)
{
	for (unsigned i = 0; i < want->skip_cnt; i++)
		if (memcmp(want->skip[i], key, PEER_ADDR_KEY_LEN) == 0)
			return true;
	return false;
}

/* Asks for the rank of row if it is old; *asked_cnt: in this draw so far. */
static void row_rank(const struct relay_known *known, struct relay_known_row *row,
		     unsigned *asked_cnt, uint64_t now_ns)
{
	bool is_fresh = row->rank != RELAY_UNRANKED && now_ns < row->ranked_ns + RELAY_RANKED_NS;

	if (!known->rank || is_fresh || *asked_cnt == RELAY_RANKS_MAX)
		return;
	row->rank = known->rank(known->rank_ctx, row->announcement.key);
	row->ranked_ns = now_ns;
	++*asked_cnt;
}

/* The rank of row in a draw; RELAY_UNRANKED: it takes no part. */
static unsigned row_part(const struct relay_known_row *row, const struct relay_want *want)
{
	if ((row->announcement.caps & want->caps) != want->caps ||
	    want_skips(want, row->announcement.key))
		return RELAY_UNRANKED;
	if (!want->rank_end)
		return 0;
	return row->rank >= want->rank_min && row->rank < want->rank_end ? row->rank
									 : RELAY_UNRANKED;
}

static void draw_begin(struct relay_known *known, const struct relay_want *want, uint64_t now_ns)
{
	struct relay_known_row *row = NULL;
	unsigned asked_cnt = 0;

	while ((row = pool_next(&known->pool, row))) {
		if (want->rank_end)
			row_rank(known, row, &asked_cnt, now_ns);
		row->drawn_as = row_part(row, want);
	}
}

/* The rows among which one is drawn. */
struct rank_part {
	unsigned rank;
	bool is_paused;
};

/* The lowest rank of rows that are left, or RELAY_UNRANKED. */
static unsigned rank_next(const struct relay_known *known, bool is_paused, uint64_t now_ns)
{
	const struct relay_known_row *row = NULL;
	unsigned rank = RELAY_UNRANKED;

	while ((row = pool_next(&known->pool, row)))
		if (row->drawn_as < rank && relay_score_is_paused(&row->score, now_ns) == is_paused)
			rank = row->drawn_as;
	return rank;
}

/* The lots of row; 0: it takes no part. */
static uint64_t lots_of(const struct relay_known_row *row, const struct rank_part *part,
			uint64_t now_ns)
{
	struct relay_score aged = row->score;

	if (row->drawn_as != part->rank ||
	    relay_score_is_paused(&row->score, now_ns) != part->is_paused)
		return 0;
	relay_score_age(&aged, now_ns);
	return relay_score_weight(&aged);
}

static struct relay_known_row *draw_one(struct relay_known *known, bool is_paused, uint64_t now_ns)
{
	const struct rank_part part = {rank_next(known, is_paused, now_ns), is_paused};
	struct relay_known_row *row = NULL;
	uint64_t sum = 0, lot, lots;

	if (part.rank == RELAY_UNRANKED)
		return NULL;
	while ((row = pool_next(&known->pool, row)))
		sum += lots_of(row, &part, now_ns);
	lot = random_below(known->random, sum);
	while ((row = pool_next(&known->pool, row))) {
		lots = lots_of(row, &part, now_ns);
		if (lot < lots)
			return row;
		lot -= lots;
	}
	return NULL;
}

unsigned relay_known_draw(struct relay_known *known, const struct relay_want *want, uint64_t now_ns,
			  const struct relay_known_row **out, unsigned cap)
{
	struct relay_known_row *row;
	unsigned cnt = 0;

	draw_begin(known, want, now_ns);
	for (unsigned is_paused = 0; is_paused < 2; is_paused++)
		while (cnt < cap && (row = draw_one(known, is_paused, now_ns))) {
			row->drawn_as = RELAY_UNRANKED;
			out[cnt++] = row;
		}
	return cnt;
}

bool relay_known_is_live(const struct relay_known_row *row)
{
	return row->has_served && row->score.failed_in_row == 0;
}

static struct relay_known_row *to_check(const struct relay_known *known, uint64_t keep_ns,
					uint64_t now_ns)
{
	struct relay_known_row *row = NULL, *oldest = NULL;

	while ((row = pool_next(&known->pool, row)))
		if (relay_known_is_live(row) && now_ns - row->asked_ns >= keep_ns &&
		    (!oldest || row->asked_ns < oldest->asked_ns))
			oldest = row;
	return oldest;
}

const struct relay_known_row *relay_known_to_ask(struct relay_known *known, bool is_hungry,
						 uint64_t keep_ns, uint64_t now_ns)
{
	const struct relay_want want = {0};
	struct relay_known_row *row = to_check(known, keep_ns, now_ns), *live = NULL;

	if (!row && is_hungry) {
		draw_begin(known, &want, now_ns);
		while ((live = pool_next(&known->pool, live)))
			if (relay_known_is_live(live))
				live->drawn_as = RELAY_UNRANKED;
		row = draw_one(known, false, now_ns);
	}
	if (row)
		row->asked_ns = now_ns;
	return row;
}

unsigned relay_known_live_cnt(const struct relay_known *known)
{
	const struct relay_known_row *row = NULL;
	unsigned cnt = 0;

	while ((row = pool_next(&known->pool, row)))
		cnt += relay_known_is_live(row);
	return cnt;
}

unsigned relay_known_cnt(const struct relay_known *known)
{
	return known->pool.used_cnt;
}

void relay_known_view(const struct relay_known *known, struct fair_view *out)
{
	fair_read(&known->places.fair, out);
}
