/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects of several units in one fair pool. A take first frees bytes, then
 * takes unit by unit; each unit that has to be freed frees the whole object it
 * belongs to. If the newcomer does not get all, it gives back what it took. Then
 * what gave way takes its own again.
 */
#include "base/fair/fair_units.h"

#include "base/assert.h"
#include "base/container_of.h"

struct fair_unit {
	struct fair_item slot;
	struct fair_holding *of;
	struct fair_unit *next;
};

int fair_units_init(struct fair_units *units, struct arena *arena,
		    const struct fair_units_config *config)
{
	int err;

	*units = (struct fair_units){.config = *config, .len_max = UINT64_MAX};
	units->places.paths.site = config->site;
	err = pool_init(&units->pool, arena, sizeof(struct fair_unit), config->fair.cap_cnt);
	return err < 0 ? err : fair_places_init(&units->places, arena, &config->fair);
}

/* holding's len is left, for one that may take its units again. */
static void give_back(struct fair_units *units, struct fair_holding *holding)
{
	struct fair *fair = &units->places.fair;

	units->len -= holding->first ? holding->len : 0;
	while (holding->first) {
		struct fair_unit *unit = holding->first;

		holding->first = unit->next;
		fair_release(fair, &unit->slot, fair->now_ns);
		pool_release(&units->pool, unit);
	}
}

void fair_units_release(struct fair_units *units, struct fair_holding *holding)
{
	give_back(units, holding);
	holding->len = 0;
}

/* What pays for path gives up all that it has, and is on leaving. false: nothing pays. */
static bool make_way(struct fair_units *units, const struct fair_holding *newcomer,
		     const struct fair_path *path, struct list_node *leaving, uint64_t now_ns)
{
	struct fair *fair = &units->places.fair;
	struct fair_item *victim = fair_victim(fair, path, now_ns);
	struct fair_holding *holding =
		victim ? container_of(victim, struct fair_unit, slot)->of : NULL;

	if (!holding || holding == newcomer)
		return false;
	fair_evict(fair, victim, now_ns);
	give_back(units, holding);
	list_push_back(leaving, &holding->leaving);
	return true;
}

/* A free unit more. */
static void unit_add(struct fair_units *units, struct fair_holding *holding,
		     const struct fair_path *path, uint64_t now_ns)
{
	struct fair_unit *unit = pool_acquire(&units->pool);
	struct fair_item *victim;
	enum fair_verdict verdict;

	weft_assert(unit != NULL); /* as many as the pool has slots */
	unit->of = holding;
	unit->next = holding->first;
	holding->first = unit;
	verdict = fair_take(&units->places.fair, path, &unit->slot, now_ns, &victim);
	weft_assert(verdict == FAIR_TAKEN);
}

static bool take(struct fair_units *units, struct fair_holding *holding,
		 const struct fair_path *path, struct list_node *leaving, uint64_t now_ns)
{
	const struct fair *fair = &units->places.fair;
	uint32_t unit_len = units->config.unit_len;

	units->len += holding->len;
	for (uint64_t len = 0; len == 0 || len < holding->len; len += unit_len) {
		if (fair->held_cnt == fair->config.cap_cnt &&
		    !make_way(units, holding, path, leaving, now_ns)) {
			units->len -= holding->first ? 0 : holding->len;
			give_back(units, holding);
			return false;
		}
		unit_add(units, holding, path, now_ns);
	}
	return true;
}

static bool free_bytes(struct fair_units *units, const struct fair_holding *newcomer,
		       const struct fair_path *path, struct list_node *leaving, uint64_t now_ns)
{
	while (units->len > units->len_max || newcomer->len > units->len_max - units->len)
		if (!make_way(units, newcomer, path, leaving, now_ns))
			return false;
	return true;
}

/* Each of leaving has its own again: there is as much room as before. */
static void restore(struct fair_units *units, struct list_node *leaving, uint64_t now_ns)
{
	struct fair_holding *holding;

	while ((holding = fair_units_leaving(leaving))) {
		struct fair_path path;
		bool is_taken;

		units->config.path_of(units->config.ctx, holding, &path);
		is_taken = take(units, holding, &path, leaving, now_ns);
		weft_assert(is_taken);
	}
}

bool fair_units_take(struct fair_units *units, struct fair_holding *holding, uint64_t len,
		     struct list_node *leaving, uint64_t now_ns)
{
	struct fair *fair = &units->places.fair;
	struct list_node gone;
	struct fair_holding *one;
	struct fair_path path;

	list_init(&gone);
	holding->len = len;
	units->config.path_of(units->config.ctx, holding, &path);
	if (len > units->len_max || len > (uint64_t)fair->config.cap_cnt * units->config.unit_len ||
	    !free_bytes(units, holding, &path, &gone, now_ns) ||
	    !take(units, holding, &path, &gone, now_ns)) {
		holding->len = 0;
		fair_refuse(fair, &path, now_ns);
		restore(units, &gone, now_ns);
		return false;
	}
	while ((one = fair_units_leaving(&gone))) {
		one->len = 0;
		list_push_back(leaving, &one->leaving);
	}
	return true;
}

struct fair_holding *fair_units_over(const struct fair_units *units)
{
	const struct fair_item *item =
		units->len > units->len_max ? fair_largest(&units->places.fair) : NULL;

	return item ? container_of(item, const struct fair_unit, slot)->of : NULL;
}

struct fair_holding *fair_units_leaving(struct list_node *leaving)
{
	struct fair_holding *holding = list_first(leaving, struct fair_holding, leaving);

	if (holding)
		list_unlink(&holding->leaving);
	return holding;
}
