/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decides how long a finished get is seeded. It ends at a stop command, when a multiple of its
 * size was sent, or at a time after it finished. Bytes are counted as they are sent. Time is
 * checked once a minute and when a bound changes. Home worker.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "blobs/blobs_state.h"
#include "blobs/serve/served_index.h"
#include "get_run_calls.h"
#include "get_state.h"

#define LOOK_NS	   (60 * NS_PER_S)
#define RATIO_NS   NS_PER_S /* so far a ratio may be passed at full speed */
#define SAVE_BYTES (64ull << 20)

bool blobs_get_is_seeded(const struct blobs_get *get)
{
	return get->seed.end == BLOBS_SEED_GOES_ON && !get->is_leaving;
}

/* The configuration's bounds, where the get has none of its own. */
static void bounds_take(struct get *get)
{
	const struct blobs_config *config = &get->gets->content->params.config;
	struct blobs_seed *seed = &get->view.seed;

	if (!seed->has_percent)
		seed->percent = config->seed_percent;
	if (!seed->has_for)
		seed->for_s = config->seed_for_ns / NS_PER_S;
	seed->counted_byte_cnt = seed->sent_byte_cnt - get->seed.base;
}

void blobs_get_seed_begin(struct get *get)
{
	struct blobs_seed *seed = &get->view.seed;

	if (get->seed.base > seed->sent_byte_cnt)
		get->seed.base = seed->sent_byte_cnt;
	if (!seed->since_s && get->view.state == BLOBS_GET_FINISHED)
		seed->since_s = blobs_wall_s(get->gets->content);
	bounds_take(get);
}

void blobs_get_seed_inherit(struct get *get)
{
	const struct get *other = NULL;

	while ((other = blobs_gets_folder_other(get->gets, get, other ? other->view.id : 0))) {
		const struct blobs_seed *of = &other->view.seed;

		get->view.seed = (struct blobs_seed){
			.end = of->end == BLOBS_SEED_ASKED ? of->end : BLOBS_SEED_GOES_ON,
			.has_percent = of->has_percent,
			.has_for = of->has_for,
			.percent = of->percent,
			.for_s = of->for_s,
		};
	}
	bounds_take(get);
}

static bool ratio_is_reached(const struct get *get)
{
	const struct blobs_seed *seed = &get->view.seed;
	uint64_t hundredth = seed->counted_byte_cnt / (seed->percent ? seed->percent : 1);

	return seed->percent && get->view.byte_cnt && hundredth >= get->view.byte_cnt / 100 &&
	       (__uint128_t)seed->counted_byte_cnt * 100 >=
		       (__uint128_t)get->view.byte_cnt * seed->percent;
}

static bool time_is_over(const struct get *get, uint64_t wall_s)
{
	const struct blobs_seed *seed = &get->view.seed;

	return seed->for_s && seed->since_s && wall_s >= seed->since_s &&
	       wall_s - seed->since_s >= seed->for_s;
}

static void seed_end(struct get *get, enum blobs_seed_end end)
{
	char text[128];

	get->view.seed.end = end;
	blobs_gets_serve_less(get->gets);
	if (get->get_run)
		blobs_get_run_serve_less(get->get_run);
	get->seed.saved = get->view.seed.sent_byte_cnt;
	blobs_get_save_soon(get);
	if (end == BLOBS_SEED_RATIO)
		snprintf(text, sizeof(text), "%llu %% of its size were sent",
			 (unsigned long long)get->view.seed.percent);
	else
		snprintf(text, sizeof(text), "%s",
			 end == BLOBS_SEED_TIME ? "its time is over" : "as it was told");
	blobs_get_tell(get, BLOBS_SEED_STOPPED, 0, text);
}

/* Bounds are of what is whole: a get that runs takes part in its swarm. */
static void bounds_look(struct get *get)
{
	if (get->view.state != BLOBS_GET_FINISHED || !blobs_get_is_seeded(&get->view))
		return;
	if (ratio_is_reached(get))
		seed_end(get, BLOBS_SEED_RATIO);
	else if (time_is_over(get, blobs_wall_s(get->gets->content)))
		seed_end(get, BLOBS_SEED_TIME);
}

/* UINT64_MAX: no need. */
static uint64_t look_after(const struct get *get)
{
	if (get->view.state != BLOBS_GET_FINISHED || !blobs_get_is_seeded(&get->view))
		return UINT64_MAX;
	return get->view.seed.percent ? RATIO_NS : LOOK_NS;
}

void blobs_gets_seed_look(struct gets *gets)
{
	struct timer_wheel *timers = gets->content->params.timers;
	uint64_t after_ns = UINT64_MAX;

	for (uint32_t i = 0; i < gets->cnt; i++) {
		uint64_t get_ns;

		bounds_look(gets->slots[i]);
		get_ns = look_after(gets->slots[i]);
		after_ns = get_ns < after_ns ? get_ns : after_ns;
	}
	timer_cancel(timers, &gets->seed_timer);
	if (after_ns != UINT64_MAX)
		timer_set(timers, &gets->seed_timer, gets->now_ns + after_ns);
}

static void count_save(struct get *get)
{
	if (get->view.seed.sent_byte_cnt == get->seed.saved)
		return;
	get->seed.saved = get->view.seed.sent_byte_cnt;
	blobs_get_save_soon(get);
}

void blobs_gets_save_counts(struct gets *gets)
{
	blobs_collect_served(gets->content);
	for (uint32_t i = 0; i < gets->cnt; i++)
		count_save(gets->slots[i]);
}

void blobs_gets_seed_timer(struct timer *timer, uint64_t now_ns)
{
	struct gets *gets = container_of(timer, struct gets, seed_timer);

	gets->now_ns = now_ns;
	if (now_ns - gets->counts_saved_ns >= LOOK_NS) {
		gets->counts_saved_ns = now_ns;
		blobs_gets_save_counts(gets);
	} else {
		blobs_collect_served(gets->content);
	}
	blobs_gets_seed_look(gets);
}

void blobs_gets_note_served(struct gets *gets, const uint8_t manifest_id[static 32], uint64_t len)
{
	for (uint32_t i = 0; i < gets->cnt; i++) {
		struct get *get = gets->slots[i];

		if (!blobs_get_is_seeded(&get->view) ||
		    memcmp(get->asked.manifest_id, manifest_id, OBJECT_ID_LEN) != 0)
			continue;
		get->view.seed.sent_byte_cnt += len;
		get->view.seed.counted_byte_cnt += len;
		if (get->view.seed.sent_byte_cnt - get->seed.saved >= SAVE_BYTES)
			count_save(get);
		bounds_look(get);
	}
}

void blobs_gets_configured(struct gets *gets, uint64_t now_ns)
{
	gets->now_ns = now_ns;
	for (uint32_t i = 0; i < gets->cnt; i++)
		bounds_take(gets->slots[i]);
	blobs_gets_seed_look(gets);
}

/* After a bound was reached, counting begins anew: it would be reached at once. */
static void seed_start(struct get *get)
{
	struct blobs_seed *seed = &get->view.seed;

	if (seed->end == BLOBS_SEED_GOES_ON)
		return;
	if (seed->end != BLOBS_SEED_ASKED) {
		get->seed.base = seed->sent_byte_cnt;
		seed->since_s = 0;
	}
	seed->end = BLOBS_SEED_GOES_ON;
	blobs_get_seed_begin(get);
	blobs_served_changed(get->gets->content);
	blobs_get_tell(get, BLOBS_SEED_STARTED, 0, get->asked.target);
}

static void bound_set(uint64_t value, bool *has, uint64_t *bound)
{
	*has = value != UINT64_MAX;
	*bound = *has ? value : 0;
}

int blobs_get_seed(struct blobs *content, uint64_t id, const struct blobs_seed_ask *ask,
		   uint64_t now_ns)
{
	struct get *get = blobs_gets_lookup(content->gets, id);
	struct blobs_seed *seed;

	if (!get)
		return WEFT_EABSENT;
	if (get->view.is_leaving)
		return WEFT_EBUSY;
	if ((ask->percent && *ask->percent != UINT64_MAX &&
	     *ask->percent > BLOBS_SEED_PERCENT_MAX) ||
	    (ask->for_s && *ask->for_s != UINT64_MAX && *ask->for_s > BLOBS_SEED_FOR_S_MAX))
		return WEFT_EMALFORMED;
	content->gets->now_ns = now_ns;
	seed = &get->view.seed;
	if (ask->percent)
		bound_set(*ask->percent, &seed->has_percent, &seed->percent);
	if (ask->for_s)
		bound_set(*ask->for_s, &seed->has_for, &seed->for_s);
	bounds_take(get);
	if (ask->is_stopped && !*ask->is_stopped)
		seed_start(get);
	else if (ask->is_stopped && seed->end != BLOBS_SEED_ASKED)
		seed_end(get, BLOBS_SEED_ASKED);
	blobs_get_save_soon(get);
	blobs_gets_seed_look(content->gets);
	return 0;
}

static int get_set_scope(const struct get *get, struct served_filling *filling)
{
	return get->manifest.scope.is_closed
		       ? blobs_scope_set(filling, get->asked.manifest_id)
		       : blobs_served_index_set_scope(filling->served_index, &get->manifest.scope);
}

int blobs_gets_fill_served(const struct gets *gets, struct served_filling *filling)
{
	struct served_index *served_index = filling->served_index;
	int err = 0;

	for (uint32_t i = 0; i < gets->cnt && !err; i++) {
		const struct get *get = gets->slots[i];
		bool is_whole = get->view.state == BLOBS_GET_FINISHED &&
				get->asked.range_cnt == 0 && !blobs_get_is_partial(get) &&
				get->view.kept_cnt == 0;
		int (*add)(struct served_index *served_index, const uint8_t id[static 32]) =
			is_whole ? blobs_served_index_add_whole : blobs_served_index_add_manifest;

		if (get->get_run || get->view.state == BLOBS_GET_QUEUED)
			add = blobs_served_index_add_growing;

		if (get->view.state == BLOBS_GET_TAKEN_BACK && !get->view.is_leaving &&
		    !get->ending.keeps_staged)
			continue;
		/* The files it wrote may be removed by its list of files, or seeded again. */
		if (!blobs_get_is_seeded(&get->view))
			add = blobs_served_index_add_held;
		err = get_set_scope(get, filling);
		if (!err)
			err = add(served_index, get->asked.manifest_id);
		for (uint32_t part = 0; part < get->manifest.part_cnt && !err; part++)
			err = add(served_index,
				  get->manifest.part_ids + (size_t)part * OBJECT_ID_LEN);
	}
	return err;
}
