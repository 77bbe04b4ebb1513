/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_DIRECTORY_RIG_H
#define WEFT_TESTS_DIRECTORY_RIG_H

#include "base/monotonic.h"
#include "base/random.h"
#include "base/timer.h"
#include "crypto/node_key.h"
#include "service/directory/directory.h"
#include "service/directory/descriptor_rules.h"
#include "store/store.h"
#include "support/check.h"
#include "support/fake_overlay.h"
#include "support/scratch.h"

/* A directory over a fake overlay, whose time is moved by hand. */
#define RIG_WALL_S    1700000000ull
#define RIG_OWNER_CNT 128

static struct rig {
	struct fake_overlay overlay;
	struct timer_wheel timers;
	struct random random;
	struct service_directory_params params;
	struct service_directory *directory;
	struct node_key *owners[RIG_OWNER_CNT];
	char dir[SCRATCH_CAP];
	uint64_t now_ns, start_ns;
	const uint8_t *banned; /* a key */
	uint8_t reputation[RIG_OWNER_CNT], health[RIG_OWNER_CNT];
	/* what the last call of found had */
	unsigned found_cnt_of_calls;
	struct service_finding finding;
	struct service_descriptor descriptors[SERVICE_FOUND_MAX];
} rig;

static inline uint64_t rig_wall_s(void *ctx)
{
	(void)ctx;
	return RIG_WALL_S + (rig.now_ns - rig.start_ns) / NS_PER_S;
}

static inline bool rig_is_banned(void *ctx, const uint8_t *key)
{
	(void)ctx;
	return rig.banned && memcmp(rig.banned, key, NODE_KEY_LEN) == 0;
}

static inline unsigned rig_owner(const uint8_t *key)
{
	for (unsigned i = 0; i < RIG_OWNER_CNT; i++)
		if (memcmp(node_key_public(rig.owners[i]), key, NODE_KEY_LEN) == 0)
			return i;
	abort();
}

static inline unsigned rig_reputation(void *ctx, const uint8_t *key)
{
	(void)ctx;
	return rig.reputation[rig_owner(key)];
}

static inline unsigned rig_health(void *ctx, const struct service_descriptor *descriptor,
				  uint64_t now_ns)
{
	(void)ctx, (void)now_ns;
	return rig.health[rig_owner(descriptor->owner)];
}

static inline void rig_open(void)
{
	rig.params.now_ns = rig.now_ns;
	if (service_directory_new(&rig.params, &rig.directory) < 0)
		abort();
}

static inline void rig_init(void)
{
	rig = (struct rig){.start_ns = 1000 * NS_PER_S, .now_ns = 1000 * NS_PER_S};
	timer_wheel_init(&rig.timers, rig.now_ns);
	random_init_seeded(&rig.random, 7);
	for (unsigned i = 0; i < RIG_OWNER_CNT; i++) {
		uint8_t seed[NODE_KEY_SEED_LEN] = {(uint8_t)i, 1};

		if (node_key_from_seed(seed, &rig.owners[i]) < 0)
			abort();
	}
	memset(rig.reputation, 50, sizeof(rig.reputation));
	memset(rig.health, 50, sizeof(rig.health));
	rig.overlay.wall_s = RIG_WALL_S;
	rig.params = (struct service_directory_params){
		.overlay = fake_overlay_seam(&rig.overlay),
		.timers = &rig.timers,
		.random = &rig.random,
		.own_key = node_key_public(rig.owners[0]),
		.wall_s = rig_wall_s,
		.is_banned = rig_is_banned,
		.reputation = rig_reputation,
		.health = rig_health,
	};
	service_directory_config_defaults(&rig.params.config);
}

static inline void rig_fini(void)
{
	service_directory_free(rig.directory);
	fake_overlay_fini(&rig.overlay);
	for (unsigned i = 0; i < RIG_OWNER_CNT; i++)
		node_key_free(rig.owners[i]);
}

/* Time passes, timers fire, and the overlay ends what was begun. */
static inline void rig_pass(uint64_t ns)
{
	rig.now_ns += ns;
	rig.overlay.wall_s = rig_wall_s(NULL);
	timer_wheel_expire(&rig.timers, rig.now_ns);
	fake_overlay_turn(&rig.overlay, rig.now_ns);
}

/* A descriptor of an owner as bytes of the overlay; returns their length. */
struct rig_descriptor {
	unsigned owner;
	const char *name, *version;
	uint64_t seq, created_s, expires_s; /* 0: 1, now, in an hour */
	bool is_gone;
};

static inline size_t rig_write(const struct rig_descriptor *d, uint8_t tag,
			       uint8_t value[static SERVICE_VALUE_LEN_MAX])
{
	struct writer w = writer_of(value, SERVICE_VALUE_LEN_MAX);
	struct service_descriptor descriptor = {
		.created_s = d->created_s ? d->created_s : rig_wall_s(NULL),
		.seq = d->seq ? d->seq : 1,
		.is_gone = d->is_gone,
	};

	descriptor.expires_s = d->expires_s ? d->expires_s : descriptor.created_s + 3600;
	snprintf(descriptor.name, sizeof(descriptor.name), "%s", d->name ? d->name : "pod-chat");
	snprintf(descriptor.version, sizeof(descriptor.version), "%s",
		 d->version ? d->version : "1.0.0");
	writer_u8(&w, tag);
	if (service_descriptor_write(&w, rig.owners[d->owner], &descriptor) || w.bad)
		abort();
	return writer_len(&w);
}

/* Lets it lie under its name and its id. */
static inline void rig_publish(const struct rig_descriptor *d)
{
	uint8_t value[SERVICE_VALUE_LEN_MAX];
	char name[SERVICE_VALUE_NAME_CAP];
	struct service_descriptor descriptor;
	size_t len = rig_write(d, SERVICE_TAG_BY_NAME, value);

	if (service_descriptor_parse(value + 1, len - 1, &descriptor))
		abort();
	service_value_name(descriptor.name, name);
	fake_overlay_inject(&rig.overlay, name, value, len);
	service_value_id(descriptor.id, name);
	value[0] = SERVICE_TAG_BY_ID;
	fake_overlay_inject(&rig.overlay, name, value, len);
}

static inline void rig_found(void *arg, const struct service_finding *finding, uint64_t now_ns)
{
	(void)arg, (void)now_ns;
	rig.found_cnt_of_calls++;
	rig.finding = *finding;
	for (unsigned i = 0; i < finding->found_cnt; i++) {
		rig.descriptors[i] = *finding->found[i].descriptor;
		rig.finding.found[i].descriptor = &rig.descriptors[i];
	}
}

static inline int rig_start_with(const struct service_query *query, service_found_fn found,
				 struct service_find **out_find, uint64_t *out_wait_ns)
{
	struct service_query asked = *query;

	asked.found = found;
	return service_find_start(rig.directory, &asked, rig.now_ns, out_find, out_wait_ns);
}

static inline int rig_start(const struct service_query *query)
{
	struct service_find *find;
	uint64_t wait_ns;

	return rig_start_with(query, rig_found, &find, &wait_ns);
}

/* Finds and waits for the answer; rig.finding has it. False: it was refused. */
static inline bool rig_find(const struct service_query *query)
{
	unsigned before = rig.found_cnt_of_calls;

	if (rig_start(query) < 0)
		return false;
	rig_pass(NS_PER_MS);
	rig_pass(NS_PER_MS);
	return rig.found_cnt_of_calls == before + 1;
}

#endif
