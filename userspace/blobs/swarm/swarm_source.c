/* SPDX-License-Identifier: Apache-2.0 */
#include "swarm_source.h"

#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "blobs/rates/zones.h"
#include "crypto/blake3/blake3.h"

#define QUEUE_NS       (500 * NS_PER_MS) /* of work a source is kept in */
#define METER_NS       (100 * NS_PER_MS)
#define BACKOFF_NS     (300 * NS_PER_MS)
#define BACKOFF_MAX_NS (8 * NS_PER_S)
#define BUSY_NS	       (50 * NS_PER_MS)
/* Of a source that was not measured yet: fast enough to be tried before one known to be slow. */
#define UNKNOWN_RATE (25u << 20)

static struct source **place_of(struct sources *sources, const uint8_t *key)
{
	return &sources->places[(key[0] | key[1] << 8) % SOURCES_MAX];
}

struct source *blobs_sources_lookup(const struct sources *sources,
				    const uint8_t key[static MESH_KEY_LEN])
{
	struct source *source = sources->places[(key[0] | key[1] << 8) % SOURCES_MAX];

	while (source && memcmp(source->key, key, MESH_KEY_LEN) != 0)
		source = source->next;
	return source;
}

static void source_free(struct sources *sources, struct source *source)
{
	struct source **at = place_of(sources, source->key);

	while (*at != source)
		at = &(*at)->next;
	*at = source->next;
	free(source);
	sources->cnt--;
}

/* Is a a better one to forget than b? Those we hold something against stay longest. */
static bool forgets_before(const struct source *a, const struct source *b)
{
	if (!b || a->is_refused != b->is_refused)
		return !b || b->is_refused;
	return a->used_ns < b->used_ns;
}

/* No source in use goes: a swarm that is full of guesses takes no source of another. */
static void sources_make_room(struct sources *sources)
{
	struct source *found = NULL;

	if (sources->cnt < SOURCES_MAX)
		return;
	for (unsigned i = 0; i < SOURCES_MAX; i++)
		for (struct source *source = sources->places[i]; source; source = source->next)
			if (source->use_cnt == 0 && forgets_before(source, found))
				found = source;
	if (found)
		source_free(sources, found);
}

struct source *blobs_sources_acquire(struct sources *sources,
				     const uint8_t key[static MESH_KEY_LEN], uint64_t now_ns)
{
	struct source *source = blobs_sources_lookup(sources, key), **place;

	if (!source) {
		sources_make_room(sources);
		source = calloc(1, sizeof(*source));
		if (!source)
			return NULL;
		memcpy(source->key, key, MESH_KEY_LEN);
		source->window = SOURCE_WINDOW_BEGIN;
		place = place_of(sources, key);
		source->next = *place;
		*place = source;
		sources->cnt++;
	}
	source->use_cnt++;
	source->used_ns = now_ns;
	return source;
}

void blobs_source_release(struct sources *sources, struct source *source, uint64_t now_ns)
{
	source->use_cnt--;
	source->used_ns = now_ns;
	if (source->use_cnt == 0 && !source->is_refused && sources->cnt > SOURCES_MAX)
		source_free(sources, source);
}

void blobs_sources_fini(struct sources *sources)
{
	for (unsigned i = 0; i < SOURCES_MAX; i++)
		while (sources->places[i])
			source_free(sources, sources->places[i]);
}

void blobs_source_learn(struct source *source, const struct addr *addrs, unsigned cnt)
{
	for (unsigned i = 0; i < cnt; i++) {
		bool is_known = source->addr_cnt == MESH_PEER_ADDRS_MAX;

		for (unsigned at = 0; at < source->addr_cnt && !is_known; at++)
			is_known = addr_equal(&source->addrs[at], &addrs[i]);
		if (!is_known)
			source->addrs[source->addr_cnt++] = addrs[i];
	}
}

void blobs_source_prefer(struct source *source, const struct addr *addrs, unsigned cnt)
{
	struct addr guesses[MESH_PEER_ADDRS_MAX];
	unsigned guess_cnt = source->addr_cnt;

	memcpy(guesses, source->addrs, sizeof(guesses));
	source->addr_cnt = 0;
	blobs_source_learn(source, addrs, cnt);
	source->hint_cnt = source->addr_cnt;
	blobs_source_learn(source, guesses, guess_cnt);
}

void blobs_source_relayed(struct source *source, const struct peer_via *vias, unsigned cnt)
{
	if (!cnt)
		return;
	memcpy(source->vias, vias, cnt * sizeof(vias[0]));
	source->via_cnt = cnt;
}

void blobs_source_asked(struct source *source, uint64_t now_ns)
{
	if (source->asked_cnt++ == 0) {
		source->meter_ns = now_ns;
		source->meter_len = 0;
		source->meter_cnt = 0;
	}
}

static uint64_t smoothed(uint64_t old, uint64_t sample)
{
	return old ? (3 * old + sample) / 4 : sample;
}

/* Only time in which something was asked of it counts. */
static void meter_note(struct source *source, size_t len, uint64_t now_ns)
{
	uint64_t elapsed_ns = now_ns - source->meter_ns;

	source->meter_len += len;
	source->meter_cnt++;
	if (elapsed_ns < METER_NS && source->asked_cnt > 0)
		return;
	elapsed_ns = elapsed_ns / NS_PER_US + 1;
	source->rate = smoothed(source->rate, source->meter_len * 1000000 / elapsed_ns + 1);
	source->answer_rate = smoothed(source->answer_rate,
				       (uint64_t)source->meter_cnt * 1000000000 / elapsed_ns + 1);
	source->meter_ns = now_ns;
	source->meter_len = 0;
	source->meter_cnt = 0;
}

static unsigned window_next(const struct source *source, unsigned window_max)
{
	uint64_t want = source->answer_rate * (QUEUE_NS / NS_PER_MS) / 1000000 + 2;
	unsigned next = source->window + 1;

	if (source->answer_rate && want < next)
		next = (unsigned)want;
	return next < window_max ? next : window_max;
}

void blobs_source_answered(struct source *source, size_t len, unsigned window_max, uint64_t now_ns)
{
	source->asked_cnt--;
	source->fail_cnt = 0;
	meter_note(source, len, now_ns);
	source->window = window_next(source, window_max);
}

void blobs_source_dropped(struct source *source)
{
	source->asked_cnt--;
}

static void wait_until(struct source *source, uint64_t at_ns)
{
	if (at_ns > source->not_before_ns)
		source->not_before_ns = at_ns;
}

bool blobs_source_way_failed(struct source *source, bool is_timeout, uint64_t now_ns)
{
	uint64_t backoff_ns = BACKOFF_NS << (source->fail_cnt < 5 ? source->fail_cnt : 5);

	if (now_ns < source->not_before_ns)
		return false;
	source->fail_cnt++;
	if (is_timeout && source->window > 1)
		source->window /= 2;
	wait_until(source, now_ns + (backoff_ns < BACKOFF_MAX_NS ? backoff_ns : BACKOFF_MAX_NS));
	return true;
}

/* The refused requests were too many: it gets no more at once than it has now. */
void blobs_source_wait(struct source *source, uint64_t not_before_ns, uint64_t now_ns)
{
	if (source->window > source->asked_cnt)
		source->window = source->asked_cnt + (source->asked_cnt == 0);
	wait_until(source, not_before_ns > now_ns ? not_before_ns : now_ns + BUSY_NS);
}

bool blobs_source_bad(struct source *source)
{
	source->is_refused |= ++source->bad_cnt >= SOURCE_BAD_MAX;
	return source->is_refused;
}

void blobs_source_pardon(struct source *source)
{
	source->is_refused = false;
	source->bad_cnt = 0;
	source->fail_cnt = 0;
	source->not_before_ns = source->away_until_ns = 0;
}

void blobs_source_limit(struct source *source, uint64_t per_s, size_t len, uint64_t now_ns)
{
	blobs_byte_bucket_set(&source->bucket, per_s, now_ns);
	blobs_byte_bucket_take(&source->bucket, len, now_ns);
	if (!blobs_byte_bucket_is_free(&source->bucket, now_ns))
		wait_until(source, source->bucket.free_ns);
}

void blobs_source_limit_give_back(struct source *source, size_t len)
{
	bool is_held = source->not_before_ns == source->bucket.free_ns;

	blobs_byte_bucket_give_back(&source->bucket, len);
	if (is_held)
		source->not_before_ns = source->bucket.free_ns;
}

bool blobs_source_is_ready(const struct source *source, uint64_t now_ns)
{
	return !source->is_refused && now_ns >= source->not_before_ns;
}

bool blobs_source_has_room(const struct source *source, unsigned window_max, uint64_t now_ns)
{
	unsigned window = source->window < window_max ? source->window : window_max;

	return blobs_source_is_ready(source, now_ns) && source->asked_cnt < window;
}

uint64_t blobs_source_cost(const struct source *source)
{
	uint64_t rate = source->rate ? source->rate : UNKNOWN_RATE;

	return (source->asked_cnt + 1) * (BLAKE3_CHUNK_LEN * (NS_PER_S / 1000) / (rate / 1000 + 1));
}

uint64_t blobs_source_rank(const struct source *source)
{
	return blobs_source_cost(source) / (2 * ZONE_PRICE) * (ZONE_PRICE + source->price);
}
