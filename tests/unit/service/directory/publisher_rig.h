/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_PUBLISHER_RIG_H
#define WEFT_TESTS_PUBLISHER_RIG_H

#include "service/directory/publisher.h"

#include "base/memory/arena.h"
#include "base/monotonic.h"
#include "base/timer.h"
#include "crypto/node_key.h"
#include "service/directory/service_id.h"
#include "service/directory/descriptor_rules.h"
#include "support/check.h"
#include "support/fake_overlay.h"
#include "support/scratch.h"
#include "support/scratch_store.h"

/* A publisher before a table in memory for the overlay. */

#define WALL_S 1700000000ull

static struct {
	struct fake_overlay overlay;
	struct service_rules rules;
	struct arena arena;
	struct timer_wheel timers;
	struct service_publisher_params params;
	struct service_publisher *publisher;
	struct node_key *key;
	struct store *store;
	char dir[SCRATCH_CAP];
	uint64_t now_ns;
	int64_t wall_shift_s;
	struct service_descriptor descriptor; /* the last one that looked shows */
	uint8_t bytes[SERVICE_VALUE_LEN_MAX];
} rig;

static const struct service_metadata metadata[] = {{"kind", "http"}, {"about", "a room"}};
static const struct service_offering echo = {.name = "echo", .version = "1.2.0"};

static inline uint64_t rig_wall_s(void *ctx)
{
	(void)ctx;
	return WALL_S + (uint64_t)rig.wall_shift_s + rig.now_ns / NS_PER_S;
}

static inline void publisher_open(void)
{
	rig.params.now_ns = rig.now_ns;
	if (service_publisher_new(&rig.params, &rig.publisher) < 0)
		abort();
}

static inline void setup(void)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {5};
	struct overlay_seam overlay;

	memset(&rig, 0, sizeof(rig));
	timer_wheel_init(&rig.timers, 0);
	overlay = fake_overlay_seam(&rig.overlay);
	if (node_key_from_seed(seed, &rig.key) < 0 || arena_open(&rig.arena, ARENA_GROWS) < 0 ||
	    service_rules_init(&rig.rules, &rig.arena) < 0 ||
	    service_rules_add(&rig.rules, &overlay) < 0)
		abort();
	rig.overlay.wall_s = WALL_S;
	rig.params = (struct service_publisher_params){
		.overlay = overlay,
		.key = rig.key,
		.timers = &rig.timers,
		.wall_s = rig_wall_s,
	};
	service_publisher_config_defaults(&rig.params.config);
	publisher_open();
}

static inline void teardown(void)
{
	service_publisher_free(rig.publisher);
	fake_overlay_fini(&rig.overlay);
	arena_close(&rig.arena);
	node_key_free(rig.key);
}

static inline void pass(uint64_t ns)
{
	rig.now_ns += ns;
	rig.overlay.wall_s = rig_wall_s(NULL);
	for (unsigned i = 0; i < 4; i++) { /* each step of a round takes a turn */
		timer_wheel_expire(&rig.timers, rig.now_ns);
		if (rig.store)
			store_reap(rig.store);
		fake_overlay_turn(&rig.overlay, rig.now_ns);
	}
}

static inline void offer(const struct service_offering *offering)
{
	enum service_fault fault;

	if (service_publisher_offer(rig.publisher, offering, rig.now_ns, &fault) < 0)
		abort();
}

/* The n-th descriptor that lies under name; false: there are not so many. */
static inline bool look(const char *name, unsigned n)
{
	const struct fake_value *value = fake_overlay_find(&rig.overlay, name, n);

	if (!value)
		return false;
	memcpy(rig.bytes, value->bytes, value->len);
	return service_descriptor_verify(rig.bytes + 1, value->len - 1, rig_wall_s(NULL),
					 &rig.descriptor) == SERVICE_FINE;
}

#endif
