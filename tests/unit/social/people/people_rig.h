/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_PEOPLE_RIG_H
#define WEFT_TESTS_PEOPLE_RIG_H

#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "base/random.h"
#include "base/timer.h"
#include "social/ground/social_ground.h"
#include "social/people/circles.h"
#include "social/people/people.h"
#include "social/people/person_follows.h"
#include "social/people/person_profiles.h"
#include "social/people/person_requests.h"
#include "social/people/personas.h"
#include "store/store.h"
#include "support/check.h"
#include "support/scratch.h"
#include "support/scratch_store.h"
#include "support/seed.h"

/* People over a store in a scratch directory, with a clock of the test's and numbered keys. */
#define NOON_MS 1800000000000ull
#define DAY_MS	86400000ull

static struct {
	char dir[SCRATCH_CAP];
	struct store *store;
	struct people *people;
	struct social_ground ground;
	struct timer_wheel timers;
	struct random dice;
	struct node_key *own;
	uint64_t now_ms, now_ns;
	unsigned done_cnt, failed_cnt;
	unsigned event_cnts[SOCIAL_EVENT_CNT];
	unsigned change_cnts[PEOPLE_FROZEN + 1];
	struct people_watch watch;
} rig;

static inline struct node_key *key_make(uint32_t n)
{
	uint8_t seed[NODE_KEY_SEED_LEN] = {(uint8_t)n, (uint8_t)(n >> 8), (uint8_t)(n >> 16), 11};
	struct node_key *key;

	if (node_key_from_seed(seed, &key) < 0)
		abort();
	return key;
}

/* Keys are made once; 1 and above are people, 0 is this node. */
#define KEYS_MAX 5200u
static struct node_key *keys[KEYS_MAX];

static inline const struct node_key *key_of(unsigned n)
{
	if (!keys[n])
		keys[n] = key_make(n);
	return keys[n];
}

static inline const uint8_t *id_of(unsigned n)
{
	return node_key_public(key_of(n));
}

static inline uint64_t rig_wall_ms(void *ctx)
{
	(void)ctx;
	return rig.now_ms;
}

static inline void rig_happened(void *ctx, const struct social_event *event)
{
	(void)ctx;
	rig.event_cnts[event->kind]++;
}

static inline void rig_changed(void *ctx, const struct people_change *change, uint64_t now_ns)
{
	(void)ctx, (void)now_ns;
	rig.change_cnts[change->kind]++;
}

static inline void people_up(void)
{
	rig.store = scratch_store(rig.dir, true);
	timer_wheel_init(&rig.timers, rig.now_ns);
	rig.ground = (struct social_ground){.key = rig.own,
					    .store = rig.store,
					    .timers = &rig.timers,
					    .random = &rig.dice,
					    .wall_ms = rig_wall_ms,
					    .happened = rig_happened};
	const struct people_params params = {.ground = &rig.ground, .now_ns = rig.now_ns};

	CHECK_EQ(social_people_open(&params, &rig.people), 0);
	rig.watch = (struct people_watch){.changed = rig_changed};
	social_people_watch(rig.people, &rig.watch);
}

static inline void people_down(void)
{
	social_people_close(rig.people);
	store_close(rig.store);
	rig.people = NULL;
}

static inline void rig_begin(void)
{
	memset(&rig, 0, sizeof(rig));
	scratch_make(rig.dir);
	random_init_seeded(&rig.dice, seed_of_run(7));
	rig.own = key_make(0);
	rig.now_ms = NOON_MS;
	rig.now_ns = NS_PER_S;
	people_up();
}

static inline void rig_end(void)
{
	people_down();
	node_key_free(rig.own);
	scratch_remove(rig.dir);
	for (unsigned i = 0; i < KEYS_MAX; i++) {
		node_key_free(keys[i]);
		keys[i] = NULL;
	}
}

static inline void pass_ms(uint64_t ms)
{
	rig.now_ms += ms;
	rig.now_ns += ms * NS_PER_MS;
	timer_wheel_expire(&rig.timers, rig.now_ns);
}

/* What waits for the disk is on it, or was refused. */
static inline void save(void)
{
	pass_ms(10);
	store_flush(rig.store);
}

/* The machine loses power once all is durable that was acknowledged. */
static inline void crash(void)
{
	store_freeze(rig.store);
	social_people_close(rig.people);
	store_crash(rig.store);
	people_up();
}

static inline void on_done(void *arg, int err)
{
	(void)arg;
	rig.done_cnt += err == 0;
	rig.failed_cnt += err < 0;
}
static const struct people_done done = {on_done, NULL};

static inline struct people_source from_network(unsigned network)
{
	static struct addr addr;

	addr = (struct addr){.ip = {20, (uint8_t)(network >> 8), (uint8_t)network, 1},
			     .family = ADDR_IPV4};
	return (struct people_source){&addr, FAIR_UNKNOWN};
}

static inline int follow(unsigned persona, const uint8_t *person, enum follow_kind kind)
{
	const struct person_follow change = {persona, person, kind};

	return social_follow_set(rig.people, &change, &done, rig.now_ns);
}

/* A profile of the key n, as it is on the wire. */
struct said {
	uint8_t bytes[PROFILE_LEN_MAX];
	size_t len;
};
static struct profile scratch_profile;

static inline const struct said *say(const struct node_key *key, const char *name, uint64_t time_ms)
{
	static struct said said;
	struct writer w = writer_of(said.bytes, sizeof(said.bytes));

	scratch_profile.time_ms = time_ms;
	memcpy(scratch_profile.person, node_key_public(key), NODE_KEY_LEN);
	memset(scratch_profile.name, 0, sizeof(scratch_profile.name));
	memcpy(scratch_profile.name, name, strlen(name));
	social_profile_write(&w, &scratch_profile, key);
	if (w.bad)
		abort();
	said.len = writer_len(&w);
	return &said;
}

static inline int put_said(const struct said *said, unsigned network)
{
	const struct profile_put put = {.bytes = said->bytes,
					.len = said->len,
					.source = from_network(network),
					.done = done};

	return social_profile_put(rig.people, &put, rig.now_ns);
}

static inline const char *name_of(const uint8_t *key)
{
	const struct person *person = social_person(rig.people, key);

	return person ? person->name : "";
}

static inline struct people_stats stats(void)
{
	struct people_stats stats;

	social_people_stats(rig.people, &stats);
	return stats;
}

#endif
