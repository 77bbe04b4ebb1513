/* SPDX-License-Identifier: Apache-2.0 */
#include "support/announce_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "base/random.h"
#include "shares/announce/golomb_set.h"
#include "support/scratch_store.h"

static void die(const char *what)
{
	printf("# announce_rig: %s\n", what);
	exit(1);
}

/* --- what is held --- */

static void held_manifests_each(void *ctx, bool (*fn)(void *arg, const uint8_t id[static 32]),
				void *arg)
{
	const struct announce_rig *rig = ctx;

	for (unsigned i = 0; i < rig->manifest_cnt; i++)
		if (!rig->manifests[i].is_gone && !fn(arg, rig->manifests[i].id))
			return;
}

static int held_look(void *ctx, const uint8_t id[static 32], struct held_manifest *out_manifest)
{
	const struct announce_rig *rig = ctx;

	for (unsigned i = 0; i < rig->manifest_cnt; i++) {
		const struct rig_manifest *manifest = &rig->manifests[i];

		if (memcmp(manifest->id, id, 32) != 0)
			continue;
		*out_manifest = (struct held_manifest){
			.is_signed = manifest->is_signed,
			.is_public = manifest->is_public,
			.item_cnt = manifest->item_cnt ? manifest->item_cnt : manifest->cnt,
			.has_regions = true,
		};
		for (uint32_t at = 0; at < manifest->cnt; at++) {
			uint32_t region =
				shares_golomb_set_region_of(rig->ids[manifest->first + at], 12);

			out_manifest->regions[region / 8] |= (uint8_t)(1u << region % 8);
		}
		return 0;
	}
	return WEFT_EABSENT;
}

struct view {
	struct announce_rig *rig;
	bool is_wanted[64];
};

static void *held_open(void *ctx, bool (*is_wanted)(void *arg, const uint8_t id[static 32]),
		       void *arg)
{
	struct announce_rig *rig = ctx;
	struct view *view = calloc(1, sizeof(*view));

	if (!view)
		die("no memory");
	view->rig = rig;
	rig->list_cnt++;
	for (unsigned i = 0; i < rig->manifest_cnt; i++)
		view->is_wanted[i] =
			!rig->manifests[i].is_gone && is_wanted(arg, rig->manifests[i].id);
	return view;
}

static int id_compare(const void *a, const void *b)
{
	return memcmp(a, b, 32);
}

/* The least id not before from, or after it, of all that are wanted. */
static const uint8_t *id_next(const struct view *view, const uint8_t *from, bool is_after)
{
	const uint8_t *least = NULL;

	for (unsigned i = 0; i < view->rig->manifest_cnt; i++) {
		const struct rig_manifest *manifest = &view->rig->manifests[i];
		uint32_t low = manifest->first, high = manifest->first + manifest->cnt;

		if (!view->is_wanted[i])
			continue;
		while (low < high) {
			uint32_t middle = low + (high - low) / 2;

			if (memcmp(view->rig->ids[middle], from, 32) < (is_after ? 1 : 0))
				low = middle + 1;
			else
				high = middle;
		}
		if (low < manifest->first + manifest->cnt &&
		    (!least || memcmp(view->rig->ids[low], least, 32) < 0))
			least = view->rig->ids[low];
	}
	return least;
}

static int held_each(void *arg, const uint8_t from[static 32],
		     bool (*fn)(void *arg, const uint8_t id[static 32]), void *fn_arg)
{
	const uint8_t *id = id_next(arg, from, false);

	while (id && fn(fn_arg, id))
		id = id_next(arg, id, true);
	return 0;
}

static const struct blobs_held_ops held_ops = {
	.manifests_each = held_manifests_each,
	.look = held_look,
	.open = held_open,
	.each = held_each,
	.close = free,
};

struct rig_manifest *announce_rig_add(struct announce_rig *rig, uint32_t cnt)
{
	struct rig_manifest *manifest = &rig->manifests[rig->manifest_cnt++];
	struct random random;

	random_init_seeded(&random, rig->manifest_cnt);
	random_fill(&random, manifest->id, sizeof(manifest->id));
	manifest->first = rig->id_cnt;
	manifest->cnt = cnt;
	rig->id_cnt += cnt;
	rig->ids = realloc(rig->ids, (size_t)(rig->id_cnt + 1) * 32);
	if (!rig->ids)
		die("no memory");
	random_fill(&random, rig->ids[manifest->first], (size_t)cnt * 32);
	qsort(rig->ids[manifest->first], cnt, 32, id_compare);
	return manifest;
}

/* --- life --- */

static uint64_t rig_wall_s(void *ctx)
{
	return RIG_WALL_S + ((struct announce_rig *)ctx)->now_ns / NS_PER_S;
}

void announce_rig_init(struct announce_rig *rig)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {7};

	memset(rig, 0, sizeof(*rig));
	scratch_make(rig->dir);
	shares_announce_config_defaults(&rig->config);
	rig->places = (struct peer_places){
		.addrs = {{.family = ADDR_IPV4, .ip = {192, 0, 2, 1}, .port = 7000}},
		.addr_cnt = 1};
	rig->held = (struct blobs_held){&held_ops, rig};
	if (node_key_from_seed(seed, &rig->key) < 0)
		die("no key");
	rig->store = scratch_store(rig->dir, true);
}

void announce_rig_open(struct announce_rig *rig)
{
	struct announce_params params = {
		.config = rig->config,
		.held = &rig->held,
		.overlay = fake_overlay_seam(&rig->fake),
		.key = rig->key,
		.store = rig->store,
		.timers = &rig->timers,
		.now_ns = rig->now_ns,
		.wall_s = rig_wall_s,
		.ctx = rig,
	};

	rig->fake.rule_cnt = 0;
	rig->fake.wall_s = rig_wall_s(rig);
	timer_wheel_init(&rig->timers, rig->now_ns);
	if (jobs_new(0, 8, &rig->jobs) < 0)
		die("no jobs");
	params.jobs = rig->jobs;
	if (shares_announce_new(&params, &rig->announce) < 0)
		die("it does not start");
	shares_announce_set_places(rig->announce, &rig->places, rig->now_ns);
}

void announce_rig_close(struct announce_rig *rig)
{
	shares_announce_stop(rig->announce);
	shares_announce_free(rig->announce);
	rig->announce = NULL;
	store_flush(rig->store);
	jobs_free(rig->jobs);
}

void announce_rig_fini(struct announce_rig *rig)
{
	announce_rig_close(rig);
	store_close(rig->store);
	fake_overlay_fini(&rig->fake);
	node_key_free(rig->key);
	free(rig->ids);
	scratch_remove(rig->dir);
}

/* A turn: all that can happen now. */
static void rig_turn(struct announce_rig *rig)
{
	unsigned done_cnt;

	do {
		rig->fake.wall_s = rig_wall_s(rig);
		timer_wheel_expire(&rig->timers, rig->now_ns);
		done_cnt = jobs_reap(rig->jobs);
		done_cnt += rig->fake.runs != NULL;
		fake_overlay_turn(&rig->fake, rig->now_ns);
		store_flush(rig->store);
	} while (done_cnt || timer_wheel_next_ns(&rig->timers) <= rig->now_ns);
}

void announce_rig_run(struct announce_rig *rig, uint64_t for_ns)
{
	uint64_t end_ns = rig->now_ns + for_ns;

	rig_turn(rig);
	for (;;) {
		uint64_t next_ns = timer_wheel_next_ns(&rig->timers);

		if (next_ns >= end_ns)
			break;
		rig->now_ns = next_ns > rig->now_ns ? next_ns : rig->now_ns;
		rig_turn(rig);
	}
	rig->now_ns = end_ns;
}

/* --- what was put --- */

static const struct fake_value *value_find(const struct announce_rig *rig, const uint8_t *name,
					   size_t len)
{
	for (size_t i = 0; i < rig->fake.value_cnt; i++) {
		const struct fake_value *value = &rig->fake.values[i];

		if (value->is_put && value->name_len == len && memcmp(value->name, name, len) == 0)
			return value;
	}
	return NULL;
}

const struct fake_value *announce_rig_record(const struct announce_rig *rig, enum announce_tag tag,
					     const uint8_t id[static 32])
{
	uint8_t name[ANNOUNCE_NAME_CAP];

	return value_find(rig, name, shares_announce_name_of_id(tag, id, name));
}

const struct fake_value *announce_rig_set(const struct announce_rig *rig, unsigned depth,
					  const uint8_t id[static 32])
{
	uint8_t name[ANNOUNCE_NAME_CAP];

	return value_find(rig, name,
			  shares_announce_name_of_region(
				  depth, shares_golomb_set_region_of(id, depth), name));
}

struct announce_stats announce_rig_stats(const struct announce_rig *rig)
{
	struct announce_stats stats;

	shares_announce_stats(rig->announce, rig->now_ns, &stats);
	return stats;
}
