/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is kept for one recipient, shared by class, family, network and depositor. A recipient has
 * DEPOSITS_PER_RECIPIENT places, and a deposit takes one for each begun part of the bytes that a
 * recipient may have. So a long deposit counts as many, and no number of short ones is without bound.
 *
 * The rule is that of base/fair/fair_victim.c. It is counted by walking the rows, 256 at most. A
 * second tree would have accounts for each unit of the room, 40 MB at the default.
 */
#include "base/container_of.h"
#include "deposits_state.h"

#define FLOOR_PARTS 16u

static const uint8_t floor_parts[FAIR_CLASS_CNT] = FAIR_PEER_PARTS;

static uint32_t places_of(const struct deposits *deposits, const struct deposit_row *row)
{
	uint32_t unit_cap = deposits->unit_cap / DEPOSITS_RECIPIENT_PART;

	return (deposits_share_units(row->sealed_len) * DEPOSITS_PER_RECIPIENT + unit_cap - 1) /
	       unit_cap;
}

/* false: more are kept than one recipient may have, so newcomer is one too many in any case. */
static bool holders_read(struct deposits *deposits, const struct deposit_row *newcomer)
{
	const struct list_node *kept = &newcomer->recipient->kept;
	struct deposit_holders *holders = &deposits->holders;

	holders->cnt = holders->place_cnt = 0;
	for (const struct list_node *at = kept->next; at != kept; at = at->next) {
		struct deposit_row *row = container_of(at, struct deposit_row, link);
		uint32_t place_cnt = places_of(deposits, row);

		if (row == newcomer)
			continue;
		if (holders->cnt == DEPOSITS_PER_RECIPIENT)
			return false;
		holders->rows[holders->cnt++] =
			(struct deposit_holder){.row = row, .place_cnt = place_cnt};
		holders->place_cnt += place_cnt;
	}
	return true;
}

/* --- which account pays --- */

static uint32_t floor_of(unsigned class)
{
	return floor_parts[class] * DEPOSITS_PER_RECIPIENT / FLOOR_PARTS;
}

/* A class below its floor takes from the one furthest above its own, another from the lowest above it. */
static unsigned class_that_pays(const struct deposit_holders *holders, unsigned own)
{
	uint32_t held[FAIR_CLASS_CNT] = {0}, most = 0;
	unsigned payer = own;

	for (unsigned i = 0; i < holders->cnt; i++)
		if (!holders->rows[i].is_leaving)
			held[holders->rows[i].row->class] += holders->rows[i].place_cnt;
	for (unsigned i = 0; i < own && held[own] >= floor_of(own); i++)
		if (held[i] > floor_of(i))
			return i;
	for (unsigned i = 0; i < FAIR_CLASS_CNT && held[own] < floor_of(own); i++) {
		if (i == own || held[i] <= floor_of(i) || held[i] - floor_of(i) <= most)
			continue;
		most = held[i] - floor_of(i);
		payer = i;
	}
	return payer;
}

/* Open addressing, half of it empty. Ids are keyed hashes. */
static uint32_t *tally_of(struct deposit_holders *holders, uint64_t id)
{
	uint32_t at = (uint32_t)id % DEPOSITS_TALLY_CNT;

	while (holders->tally[at].cnt && holders->tally[at].id != id)
		at = (at + 1) % DEPOSITS_TALLY_CNT;
	holders->tally[at].id = id;
	return &holders->tally[at].cnt;
}

/* The account of level that holds most among those that are in, with how much. */
static uint64_t account_largest(struct deposit_holders *holders, enum deposit_account level,
				uint32_t *out_cnt)
{
	uint64_t largest = 0;

	*out_cnt = 0;
	memset(holders->tally, 0, sizeof(holders->tally));
	for (unsigned i = 0; i < holders->cnt; i++) {
		const struct deposit_holder *holder = &holders->rows[i];
		uint32_t *cnt;

		if (!holder->is_in)
			continue;
		cnt = tally_of(holders, holder->row->accounts[level]);
		*cnt += holder->place_cnt;
		if (*cnt > *out_cnt) {
			*out_cnt = *cnt;
			largest = holder->row->accounts[level];
		}
	}
	return largest;
}

static void account_enter(struct deposit_holders *holders, enum deposit_account level, uint64_t id)
{
	for (unsigned i = 0; i < holders->cnt; i++)
		holders->rows[i].is_in &= holders->rows[i].row->accounts[level] == id;
}

/*
 * Down from the top: an account that holds more than newcomer's own by what newcomer takes, and one,
 * pays. Else the search goes on in newcomer's own branch. NULL: none pays.
 */
static struct deposit_holder *holder_that_pays(struct deposit_holders *holders,
					       const struct deposit_row *newcomer,
					       uint32_t place_cnt)
{
	unsigned payer = class_that_pays(holders, newcomer->class);
	bool is_own = payer == newcomer->class;

	for (unsigned i = 0; i < holders->cnt; i++)
		holders->rows[i].is_in =
			!holders->rows[i].is_leaving && holders->rows[i].row->class == payer;
	for (unsigned level = 0; level < DEPOSIT_ACCOUNT_CNT; level++) {
		uint32_t most;
		uint64_t id = account_largest(holders, level, &most);

		if (is_own && most <= *tally_of(holders, newcomer->accounts[level]) + place_cnt)
			id = newcomer->accounts[level];
		else
			is_own = false;
		account_enter(holders, level, id);
	}
	/* The youngest one goes. */
	for (unsigned i = holders->cnt; i-- > 0 && !is_own;)
		if (holders->rows[i].is_in)
			return &holders->rows[i];
	return NULL;
}

bool deposits_recipient_choose(struct deposits *deposits, const struct deposit_row *newcomer,
			       struct list_node *leaving)
{
	struct deposit_holders *holders = &deposits->holders;
	uint32_t place_cnt = places_of(deposits, newcomer);
	struct deposit_holder *payer;

	if (place_cnt > DEPOSITS_PER_RECIPIENT || !holders_read(deposits, newcomer))
		return false;
	while (holders->place_cnt + place_cnt > DEPOSITS_PER_RECIPIENT) {
		payer = holder_that_pays(holders, newcomer, place_cnt);
		if (!payer)
			return false;
		payer->is_leaving = true;
		holders->place_cnt -= payer->place_cnt;
	}
	for (unsigned i = 0; i < holders->cnt; i++)
		if (holders->rows[i].is_leaving)
			list_push_back(leaving, &holders->rows[i].row->leaving);
	return true;
}
