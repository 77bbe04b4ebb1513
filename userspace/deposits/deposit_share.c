/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Room for deposits of others, shared fairly: family, network, depositor, recipient. What was kept stays
 * as long as it can: a full room takes the youngest deposit of the account that holds most. Deposits
 * of several units leave whole, and only for a newcomer that gets all of its units.
 *
 * Networks without number may all write to one recipient. So what is kept for one has a bound, too:
 * deposit_recipient.c.
 */
#include "base/assert.h"
#include "base/container_of.h"
#include "base/random.h"
#include "deposits_state.h"

#define LEVEL_CNT     4u /* of the longest path */
#define NETWORK_LEVEL 1u

int deposits_share_init(struct deposits *deposits)
{
	const struct fair_config config = {.name = "deposits",
					   .cap_cnt = deposits->unit_cap,
					   .kind = FAIR_LASTING,
					   .level_cnt = LEVEL_CNT,
					   .parts = FAIR_PEER_PARTS};
	int err;

	random_fill(deposits->params.random, deposits->paths.secret,
		    sizeof(deposits->paths.secret));
	deposits->paths.site = deposits->params.site;
	deposits->stats.unit_cap = deposits->unit_cap;
	err = pool_init(&deposits->units, &deposits->arena, sizeof(struct deposit_unit),
			deposits->unit_cap);
	return err < 0 ? err
		       : fair_init(&deposits->fair, &deposits->arena, &config,
				   deposits->paths.secret);
}

uint32_t deposits_share_units(size_t sealed_len)
{
	return (uint32_t)((DEPOSIT_RECORD_HEAD_LEN + sealed_len + DEPOSIT_UNIT_LEN - 1) /
			  DEPOSIT_UNIT_LEN);
}

static struct fair_path path_of(const struct deposits *deposits, const struct deposit_row *row)
{
	struct fair_path path;

	if (row->source.family == ADDR_NONE) {
		fair_path_start(row->class, &path);
	} else {
		fair_path_of_addr(&deposits->paths, &row->source, row->class, &path);
		path.level_cnt = NETWORK_LEVEL + 1;
	}
	fair_path_add(&deposits->paths, &path, row->peer, DEPOSIT_KEY_LEN);
	fair_path_add(&deposits->paths, &path, row->recipient->key, DEPOSIT_KEY_LEN);
	return path;
}

/* This node itself has no address: its family, its network and the depositor are one. */
static void accounts_set(struct deposit_row *row, const struct fair_path *path)
{
	bool has_network = path->level_cnt == LEVEL_CNT;

	for (unsigned i = 0; i < DEPOSIT_ACCOUNT_CNT; i++)
		row->accounts[i] = path->ids[has_network ? i : 0];
}

/* --- units --- */

static void row_evict(struct deposits *deposits, struct deposit_row *row, uint64_t now_ns)
{
	deposits->stats.evicted_cnt += row->kind == DEPOSIT_RECORD_KEPT;
	deposits_row_drop(deposits, row, true, now_ns);
}

static void unit_release(struct deposits *deposits, struct deposit_unit *unit)
{
	if (!fair_item_holds(&unit->slot))
		return;
	fair_release(&deposits->fair, &unit->slot, deposits->fair.now_ns);
	deposits->stats.unit_cnt--;
}

void deposits_share_shrink(struct deposits *deposits, struct deposit_row *row)
{
	while (row->unit.next) {
		struct deposit_unit *unit = row->unit.next;

		row->unit.next = unit->next;
		unit_release(deposits, unit);
		pool_release(&deposits->units, unit);
	}
}

void deposits_share_release(struct deposits *deposits, struct deposit_row *row)
{
	if (row->is_own)
		return;
	deposits_share_shrink(deposits, row);
	unit_release(deposits, &row->unit);
}

/* A free unit. */
static void unit_occupy(struct deposits *deposits, struct deposit_unit *unit,
			const struct fair_path *path, uint64_t now_ns)
{
	struct fair_item *victim;
	enum fair_verdict verdict = fair_take(&deposits->fair, path, &unit->slot, now_ns, &victim);

	weft_assert(verdict == FAIR_TAKEN);
	deposits->stats.unit_cnt++;
}

/* The row that pays gives up all of its units, and is on leaving. false: none pays for path. */
static bool unit_free(struct deposits *deposits, const struct deposit_row *newcomer,
		      const struct fair_path *path, struct list_node *leaving, uint64_t now_ns)
{
	struct fair *fair = &deposits->fair;
	struct fair_item *victim = fair_victim(fair, path, now_ns);
	struct deposit_row *row =
		victim ? container_of(victim, struct deposit_unit, slot)->row : NULL;

	if (!row || row == newcomer) {
		fair_refuse(fair, path, now_ns);
		return false;
	}
	fair_evict(fair, victim, now_ns);
	deposits->stats.unit_cnt--;
	deposits_share_release(deposits, row);
	list_push_back(leaving, &row->leaving);
	return true;
}

static bool units_take(struct deposits *deposits, struct deposit_row *row,
		       const struct fair_path *path, struct list_node *leaving, uint64_t now_ns)
{
	uint32_t cnt = deposits_share_units(row->sealed_len);

	for (uint32_t i = 0; i < cnt; i++) {
		struct deposit_unit *unit = i ? pool_acquire(&deposits->units) : &row->unit;

		if (!unit || (deposits->fair.held_cnt == deposits->fair.config.cap_cnt &&
			      !unit_free(deposits, row, path, leaving, now_ns))) {
			if (unit && i)
				pool_release(&deposits->units, unit);
			deposits_share_release(deposits, row);
			return false;
		}
		unit->row = row;
		if (i) {
			unit->next = row->unit.next;
			row->unit.next = unit;
		}
		unit_occupy(deposits, unit, path, now_ns);
	}
	return true;
}

/* The newcomer got no room, so what gave way has its own again. */
static void rows_restore(struct deposits *deposits, struct list_node *leaving, uint64_t now_ns)
{
	struct deposit_row *row;

	while ((row = list_first(leaving, struct deposit_row, leaving))) {
		struct fair_path path = path_of(deposits, row);
		bool is_taken;

		list_unlink(&row->leaving);
		is_taken = units_take(deposits, row, &path, leaving, now_ns);
		weft_assert(is_taken);
	}
}

bool deposits_share_take(struct deposits *deposits, struct deposit_row *row, uint64_t now_ns)
{
	struct fair_path path = path_of(deposits, row);
	struct list_node leaving;
	struct deposit_row *gone;

	list_init(&leaving);
	accounts_set(row, &path);
	if (row->kind == DEPOSIT_RECORD_KEPT &&
	    !deposits_recipient_choose(deposits, row, &leaving)) {
		fair_refuse(&deposits->fair, &path, now_ns);
		return false;
	}
	for (struct list_node *at = leaving.next; at != &leaving; at = at->next)
		deposits_share_release(deposits, container_of(at, struct deposit_row, leaving));
	if (!units_take(deposits, row, &path, &leaving, now_ns)) {
		rows_restore(deposits, &leaving, now_ns);
		return false;
	}
	while ((gone = list_first(&leaving, struct deposit_row, leaving))) {
		list_unlink(&gone->leaving);
		row_evict(deposits, gone, now_ns);
	}
	return true;
}
