/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking for relays in the overlay: all names of this hour, a few at a time. A round that has found
 * too few goes on with the names of the hour before, and no further. The overlay's rule has judged
 * what it gives.
 */
#include "base/monotonic.h"
#include "place_rule.h"
#include "relay_find_state.h"

#define IDLE_NS	     (60 * NS_PER_S) /* the number of live relays is looked at so often */
#define AGAIN_NS     (60 * NS_PER_S) /* after a round; twice as long after each that was not enough */
#define AGAIN_MAX_NS (3600 * NS_PER_S)

static void value_take(void *arg, const uint8_t *value, size_t len,
		       const struct overlay_claim *claim)
{
	struct find_lookup *lookup = arg;
	struct relay_find *find = lookup->find;
	struct relay_announcement announcement;

	(void)claim;
	if (relay_announcement_parse(value + 1, len - 1, &announcement) < 0)
		return;
	find->stats.found_cnt++;
	(void)relay_find_take(find,
			      &(struct relay_known_entry){.announcement = &announcement,
							  .bytes = value + 1,
							  .len = len - 1,
							  .teller = {.kind = RELAY_TOLD_BY_OVERLAY,
								     .place = lookup->place}},
			      find->search.turn_ns);
}

static bool has_runs(const struct find_search *search)
{
	for (unsigned i = 0; i < FIND_RUNS; i++)
		if (search->lookups[i].run)
			return true;
	return false;
}

static void lookup_done(void *arg, const struct overlay_result *result, uint64_t now_ns)
{
	struct find_lookup *lookup = arg;

	(void)result;
	lookup->run = NULL;
	lookup->find->search.next_ns = now_ns;
}

/* A name that cannot be asked for now is left out: the other place of each relay may be enough. */
static void lookup_begin(struct relay_find *find, struct find_lookup *lookup, uint64_t now_ns)
{
	const struct overlay_seam *overlay = &find->params.overlay;
	struct find_search *search = &find->search;
	uint8_t name[RELAY_PLACE_NAME_LEN];
	struct overlay_get_params params = {
		.name = name,
		.name_len = sizeof(name),
		.tag = RELAY_PLACE_TAG,
		.value = value_take,
		.done = lookup_done,
		.arg = lookup,
	};

	lookup->find = find;
	lookup->place = search->place++;
	relay_place_name(search->hour, lookup->place, name);
	if (overlay->ops->get(overlay->overlay, &params, now_ns, &lookup->run) < 0)
		lookup->run = NULL;
	else
		find->stats.lookup_cnt++;
}

static void names_begin(struct find_search *search, uint64_t hour)
{
	search->hour = hour;
	search->place = 0;
}

static void round_end(struct relay_find *find, uint64_t now_ns)
{
	struct find_search *search = &find->search;

	if (!search->is_second && relay_known_cnt(find->known) < find->params.config.wanted_cnt) {
		search->is_second = true;
		names_begin(search, search->hour - 1);
		search->next_ns = now_ns;
		return;
	}
	search->is_on = false;
	search->again_ns = search->again_ns ? 2 * search->again_ns : AGAIN_NS;
	if (search->again_ns > AGAIN_MAX_NS)
		search->again_ns = AGAIN_MAX_NS;
	search->next_ns = now_ns + search->again_ns;
}

static void round_step(struct relay_find *find, uint64_t now_ns)
{
	struct find_search *search = &find->search;

	search->next_ns = UINT64_MAX;
	for (unsigned i = 0; i < FIND_RUNS && search->place < RELAY_PLACES; i++)
		if (!search->lookups[i].run)
			lookup_begin(find, &search->lookups[i], now_ns);
	if (!has_runs(search) && search->place == RELAY_PLACES)
		round_end(find, now_ns);
	else if (!has_runs(search))
		search->next_ns = now_ns;
}

void relay_find_search_turn(struct relay_find *find, uint64_t now_ns)
{
	struct find_search *search = &find->search;

	search->turn_ns = now_ns;
	if (now_ns < search->next_ns)
		return;
	if (!search->is_on && !relay_find_is_hungry(find)) {
		search->again_ns = 0;
		search->next_ns = now_ns + IDLE_NS;
		return;
	}
	if (!search->is_on) {
		search->is_on = true;
		search->is_second = false;
		names_begin(search, relay_find_wall_s(find, now_ns) / RELAY_HOUR_S);
	}
	round_step(find, now_ns);
}

void relay_find_search_hurry(struct relay_find *find, uint64_t now_ns)
{
	find->search.again_ns = 0;
	if (!find->search.is_on)
		find->search.next_ns = now_ns;
}

void relay_find_search_stop(struct relay_find *find)
{
	for (unsigned i = 0; i < FIND_RUNS; i++) {
		struct find_lookup *lookup = &find->search.lookups[i];

		if (lookup->run)
			find->params.overlay.ops->cancel(lookup->run);
		lookup->run = NULL;
	}
}
