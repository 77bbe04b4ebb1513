/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Room for deposits of others, shared fairly: family, network, depositor, recipient. What was kept stays
 * as long as it can: a full room takes the youngest deposit of the account that holds most. Deposits
 * of several units leave whole.
 *
 * Networks without number may all write to one recipient. So what is kept for one has a bound, too.
 * There the network that has most gives way.
 */
#include "base/assert.h"
#include "base/container_of.h"
#include "base/random.h"
#include "deposits_state.h"

#define LEVEL_CNT      4u /* of the longest path */
#define NETWORK_LEVEL  1u
#define RECIPIENT_PART 16u /* of the room */
/* How much more another network has before it gives way, as in base/fair/fair. */
#define MARGIN 2u

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

static uint64_t network_of(const struct fair_path *path)
{
	return path->level_cnt == LEVEL_CNT ? path->ids[NETWORK_LEVEL] : path->ids[0];
}

/* --- units --- */

static void row_evict(struct deposits *deposits, struct deposit_row *row, uint64_t now_ns)
{
	deposits->stats.evicted_cnt += row->kind == DEPOSIT_RECORD_KEPT;
	deposits_row_drop(deposits, row, true, now_ns);
}

static bool unit_take(struct deposits *deposits, struct deposit_unit *unit,
		      const struct fair_path *path, uint64_t now_ns)
{
	struct fair *fair = &deposits->fair;
	struct fair_item *victim = NULL;
	enum fair_verdict verdict;

	if (fair->held_cnt == fair->config.cap_cnt) {
		struct deposit_row *row;

		victim = fair_victim(fair, path, now_ns);
		row = victim ? container_of(victim, struct deposit_unit, slot)->row : NULL;
		if (!row || row == unit->row) {
			fair_refuse(fair, path, now_ns);
			return false;
		}
		fair_evict(fair, victim, now_ns);
		row_evict(deposits, row, now_ns);
	}
	verdict = fair_take(fair, path, &unit->slot, now_ns, &victim);
	weft_assert(verdict == FAIR_TAKEN);
	unit->row->recipient->unit_cnt += unit->row->kind == DEPOSIT_RECORD_KEPT;
	deposits->stats.unit_cnt++;
	return true;
}

static void unit_release(struct deposits *deposits, struct deposit_unit *unit)
{
	fair_release(&deposits->fair, &unit->slot, deposits->fair.now_ns);
	unit->row->recipient->unit_cnt -= unit->row->kind == DEPOSIT_RECORD_KEPT;
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
	/* A victim's first unit was taken from it already. */
	unit_release(deposits, &row->unit);
}

static bool units_take(struct deposits *deposits, struct deposit_row *row,
		       const struct fair_path *path, uint64_t now_ns)
{
	uint32_t cnt = deposits_share_units(row->sealed_len);

	if (!unit_take(deposits, &row->unit, path, now_ns))
		return false;
	for (uint32_t i = 1; i < cnt; i++) {
		struct deposit_unit *unit = pool_acquire(&deposits->units);

		if (unit)
			unit->row = row;
		if (!unit || !unit_take(deposits, unit, path, now_ns)) {
			if (unit)
				pool_release(&deposits->units, unit);
			deposits_share_release(deposits, row);
			return false;
		}
		unit->next = row->unit.next;
		row->unit.next = unit;
	}
	return true;
}

/* --- what one recipient has --- */

/* How many deposits of each network; open addressing, half of it empty. */
#define TALLY_CNT (2 * DEPOSITS_PER_RECIPIENT)
struct tally {
	struct {
		uint64_t network;
		uint32_t cnt; /* 0: free */
	} places[TALLY_CNT];
};

/* One more than DEPOSITS_PER_RECIPIENT are there at most. Ids of networks are keyed hashes. */
static uint32_t *tally_of(struct tally *tally, uint64_t network)
{
	uint32_t at = (uint32_t)network % TALLY_CNT;

	while (tally->places[at].cnt && tally->places[at].network != network)
		at = (at + 1) % TALLY_CNT;
	tally->places[at].network = network;
	return &tally->places[at].cnt;
}

static bool may_give_way(const struct deposit_row *row, const struct deposit_row *newcomer)
{
	return row != newcomer && row->class <= newcomer->class &&
	       row->network != newcomer->network;
}

/* The youngest deposit of the network that has most, of no better class than newcomer's; or NULL. */
static struct deposit_row *recipient_victim(const struct deposit_row *newcomer)
{
	const struct list_node *kept = &newcomer->recipient->kept;
	struct tally tally = {0};
	struct deposit_row *victim = NULL;
	uint32_t own_cnt, most = 0;

	for (struct list_node *at = kept->next; at != kept; at = at->next)
		++*tally_of(&tally, container_of(at, struct deposit_row, link)->network);
	own_cnt = *tally_of(&tally, newcomer->network);
	for (struct list_node *at = kept->prev; at != kept; at = at->prev) {
		struct deposit_row *row = container_of(at, struct deposit_row, link);
		uint32_t cnt = *tally_of(&tally, row->network);

		if (!may_give_way(row, newcomer) || cnt <= most)
			continue;
		if (row->class < newcomer->class || cnt + 1 >= own_cnt + MARGIN) {
			most = cnt;
			victim = row;
		}
	}
	return victim;
}

static bool recipient_has_room(const struct deposits *deposits, const struct deposit_row *row)
{
	const struct deposit_recipient *recipient = row->recipient;

	/* row is linked, and has no units yet. */
	return recipient->kept_cnt <= DEPOSITS_PER_RECIPIENT &&
	       recipient->unit_cnt + deposits_share_units(row->sealed_len) <=
		       deposits->unit_cap / RECIPIENT_PART;
}

static bool recipient_make_room(struct deposits *deposits, const struct deposit_row *row,
				uint64_t now_ns)
{
	while (!recipient_has_room(deposits, row)) {
		struct deposit_row *victim = recipient_victim(row);

		if (!victim)
			return false;
		row_evict(deposits, victim, now_ns);
	}
	return true;
}

bool deposits_share_take(struct deposits *deposits, struct deposit_row *row, uint64_t now_ns)
{
	struct fair_path path = path_of(deposits, row);

	row->network = network_of(&path);
	if (row->kind == DEPOSIT_RECORD_KEPT && !recipient_make_room(deposits, row, now_ns)) {
		fair_refuse(&deposits->fair, &path, now_ns);
		return false;
	}
	return units_take(deposits, row, &path, now_ns);
}
