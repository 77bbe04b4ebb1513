/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Room for offers, shared fairly: family, network, provider. The oldest offer of the account that
 * holds most leaves for one whose account holds less. Offers of several units leave whole.
 *
 * Own offers are alone in the class of what is chosen, and never have more than its part. So none of
 * them is ever taken away: one more than that is refused.
 */
#include "base/assert.h"
#include "base/container_of.h"
#include "base/random.h"
#include "offer_store_state.h"

#define LEVEL_CNT     3u /* of the longest path */
#define NETWORK_LEVEL 1u
/* How much more another network holds before it pays no more, as in base/fair/fair. */
#define MARGIN 2u

int offers_share_init(struct offer_store *store, const struct offer_store_params *params)
{
	const struct fair_config config = {.name = "service offers",
					   .cap_cnt = params->unit_cap,
					   .kind = FAIR_WORK,
					   .level_cnt = LEVEL_CNT,
					   .parts = FAIR_PEER_PARTS};
	int err;

	random_fill(params->random, store->secret, sizeof(store->secret));
	random_fill(params->random, store->paths.secret, sizeof(store->paths.secret));
	store->paths.site = params->site;
	err = pool_init(&store->units, &store->arena, sizeof(struct offer_unit), params->unit_cap);
	return err < 0 ? err : fair_init(&store->fair, &store->arena, &config, store->paths.secret);
}

uint32_t offers_share_units(const struct offer_record *record, uint32_t key_cnt)
{
	size_t len = record->announce_len + record->update_len + (key_cnt + 1) * OFFER_KEY_COST;

	return (uint32_t)((len + OFFER_UNIT_LEN - 1) / OFFER_UNIT_LEN);
}

/* This node's own offers have no network: theirs is one level less. */
static struct fair_path path_of(const struct offer_store *store, const struct offer_ask *ask)
{
	struct fair_path path;

	if (ask->source->family == ADDR_NONE) {
		fair_path_start(FAIR_CHOSEN, &path);
	} else {
		fair_path_of_addr(&store->paths, ask->source, ask->class, &path);
		path.level_cnt = NETWORK_LEVEL + 1;
	}
	fair_path_add(&store->paths, &path, ask->provider, SERVICE_MESSAGE_ADDRESS_LEN);
	return path;
}

static struct offer_row *victim_row(struct fair_item *victim)
{
	return container_of(victim, struct offer_unit, slot)->row;
}

/* One unit more for row, or false. */
static bool unit_take(struct offer_store *store, struct offer_row *row, struct offer_unit *unit,
		      const struct fair_path *path, uint64_t now_ns)
{
	struct fair_item *victim = NULL;
	enum fair_verdict verdict;

	if (store->fair.held_cnt == store->fair.config.cap_cnt) {
		victim = fair_victim(&store->fair, path, now_ns);
		if (!victim || victim_row(victim) == row) {
			fair_refuse(&store->fair, path, now_ns);
			return false;
		}
		fair_evict(&store->fair, victim, now_ns);
		store->counts.evicted_cnt++;
		offers_row_drop(store, victim_row(victim), true, now_ns);
	}
	verdict = fair_take(&store->fair, path, &unit->slot, now_ns, &victim);
	weft_assert(verdict == FAIR_TAKEN);
	unit->row = row;
	store->unit_cnt++;
	return true;
}

static uint32_t row_unit_cnt(const struct offer_row *row)
{
	uint32_t cnt = 0;

	if (!fair_item_holds(&row->unit.slot))
		return 0;
	for (const struct offer_unit *unit = &row->unit; unit; unit = unit->next)
		cnt++;
	return cnt;
}

/* Gives back the units behind the first one until cnt are left. */
static void units_shrink(struct offer_store *store, struct offer_row *row, uint32_t cnt,
			 uint32_t has_cnt)
{
	for (; has_cnt > cnt && row->unit.next; has_cnt--) {
		struct offer_unit *unit = row->unit.next;

		row->unit.next = unit->next;
		fair_release(&store->fair, &unit->slot, store->fair.now_ns);
		pool_release(&store->units, unit);
		store->unit_cnt--;
	}
}

static bool own_part_has(const struct offer_store *store, uint32_t unit_cnt)
{
	struct fair_view view;

	fair_read(&store->fair, &view);
	return view.held_cnts[FAIR_CHOSEN] + unit_cnt <= view.floor_cnts[FAIR_CHOSEN];
}

bool offers_share_take(struct offer_store *store, struct offer_row *row,
		       const struct offer_ask *ask, uint32_t unit_cnt)
{
	struct fair_path path = path_of(store, ask);
	uint32_t had_cnt = row_unit_cnt(row), has_cnt = had_cnt;

	if (path.class == FAIR_CHOSEN && unit_cnt > had_cnt &&
	    !own_part_has(store, row->is_own ? unit_cnt - had_cnt : unit_cnt)) {
		fair_refuse(&store->fair, &path, ask->now_ns);
		return false;
	}
	if (has_cnt == 0) {
		if (!unit_take(store, row, &row->unit, &path, ask->now_ns))
			return false;
		row->network = path.level_cnt == LEVEL_CNT ? path.ids[NETWORK_LEVEL] : 0;
		has_cnt = 1;
	}
	for (; has_cnt < unit_cnt; has_cnt++) {
		struct offer_unit *unit = pool_acquire(&store->units);

		if (!unit || !unit_take(store, row, unit, &path, ask->now_ns)) {
			if (unit)
				pool_release(&store->units, unit);
			units_shrink(store, row, had_cnt ? had_cnt : 1, has_cnt);
			if (had_cnt == 0)
				offers_share_release(store, row);
			return false;
		}
		unit->next = row->unit.next;
		row->unit.next = unit;
	}
	units_shrink(store, row, unit_cnt, has_cnt);
	return true;
}

void offers_share_release(struct offer_store *store, struct offer_row *row)
{
	units_shrink(store, row, 1, UINT32_MAX);
	fair_release(&store->fair, &row->unit.slot, store->fair.now_ns);
	store->unit_cnt--;
}

static void row_move(struct offer_store *store, struct offer_row *row, const struct fair_path *path,
		     uint64_t now_ns)
{
	for (struct offer_unit *unit = &row->unit; unit; unit = unit->next)
		fair_move(&store->fair, &unit->slot, path, now_ns);
	row->network = path->level_cnt == LEVEL_CNT ? path->ids[NETWORK_LEVEL] : 0;
}

void offers_share_charge(struct offer_store *store, struct offer_row *row,
			 const struct offer_ask *ask)
{
	struct offer_ask as_row = {ask->provider, ask->source, row->class, ask->now_ns};
	struct fair_path path = path_of(store, &as_row), former = path;

	if (row->is_own || path.level_cnt < LEVEL_CNT || path.ids[NETWORK_LEVEL] == row->network)
		return;
	former.ids[NETWORK_LEVEL] = row->network;
	if (fair_held(&store->fair, &path, NETWORK_LEVEL) + MARGIN <=
	    fair_held(&store->fair, &former, NETWORK_LEVEL))
		row_move(store, row, &path, ask->now_ns);
}

void offers_share_renew(struct offer_store *store, struct offer_row *row,
			const struct offer_ask *ask)
{
	struct fair_path path = path_of(store, ask);

	if (path.class == row->class && row->is_own == (ask->source->family == ADDR_NONE))
		offers_share_charge(store, row, ask);
	else
		row_move(store, row, &path, ask->now_ns);
}

uint32_t offers_share_not_before_ms(struct offer_store *store, const struct offer_ask *ask)
{
	struct fair_path path = path_of(store, ask);

	return fair_not_before_ms(&store->fair, &path, ask->now_ns);
}
