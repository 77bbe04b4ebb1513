/* SPDX-License-Identifier: Apache-2.0 */
#include "relay_choice.h"

#include <string.h>

static struct relay_choice_row *list_find(struct relay_choice_list *list, const uint8_t *key)
{
	for (unsigned i = 0; i < list->cnt; i++)
		if (memcmp(list->rows[i].place.key, key, MESH_KEY_LEN) == 0)
			return &list->rows[i];
	return NULL;
}

static bool is_of_one_network(const struct relay_end_place *a, const struct relay_end_place *b)
{
	struct addr networks[2];

	if (!a->addr_cnt || !b->addr_cnt)
		return a->addr_cnt == b->addr_cnt;
	for (unsigned i = 0; i < 2; i++) {
		const struct addr *addr = i ? &b->addrs[0] : &a->addrs[0];

		networks[i] = addr_prefix_key(addr, addr->family == ADDR_IPV4 ? 24 : 48);
	}
	return addr_equal(&networks[0], &networks[1]);
}

static bool network_is_full(const struct relay_choice *choice, const struct relay_end_place *place)
{
	unsigned cnt = 0;

	for (unsigned from = 0; from < RELAY_CHOICE_SOURCE_CNT; from++)
		for (unsigned i = 0; i < choice->unknown[from].cnt; i++)
			cnt += !choice->unknown[from].rows[i].is_beyond &&
			       is_of_one_network(&choice->unknown[from].rows[i].place, place);
	return cnt >= RELAY_CHOICE_NETWORK_MAX;
}

static bool unknown_is_there(struct relay_choice *choice, const struct relay_end_place *place)
{
	for (unsigned from = 0; from < RELAY_CHOICE_SOURCE_CNT; from++)
		if (list_find(&choice->unknown[from], place->key))
			return true;
	return false;
}

/* The row for a new place; NULL: the list is full. Of a full one the last that is beyond goes. */
static struct relay_choice_row *row_for(struct relay_choice_list *list, bool is_beyond)
{
	unsigned at = list->cnt;

	if (list->cnt < RELAY_END_PLACES_MAX)
		return &list->rows[list->cnt++];
	while (!is_beyond && at--)
		if (list->rows[at].is_beyond)
			return &list->rows[at];
	return NULL;
}

void relay_choice_add(struct relay_choice *choice, const struct relay_end_place *place,
		      enum relay_trust trust, enum relay_choice_source source)
{
	bool is_unknown = trust == RELAY_TRUST_UNKNOWN, is_beyond;
	struct relay_choice_list *list;
	struct relay_choice_row *row;

	if (trust == RELAY_TRUST_REFUSED) {
		choice->refused_cnt++;
		return;
	}
	list = is_unknown ? &choice->unknown[source] : &choice->trusted[trust];
	row = list_find(list, place->key);
	if (row && !row->place.addr_cnt)
		row->place = *place;
	if (row || (is_unknown && unknown_is_there(choice, place)))
		return;
	is_beyond = is_unknown && network_is_full(choice, place);
	row = row_for(list, is_beyond);
	if (row)
		*row = (struct relay_choice_row){.place = *place, .is_beyond = is_beyond};
}

/* At most max of those of list that are beyond, or are not. Returns how many. */
static unsigned list_take(struct relay_choice_list *list, unsigned max, bool is_beyond)
{
	unsigned cnt = 0;

	for (unsigned i = 0; i < list->cnt && cnt < max; i++) {
		if (list->rows[i].is_taken || list->rows[i].is_beyond != is_beyond)
			continue;
		list->rows[i].is_taken = true;
		cnt++;
	}
	return cnt;
}

static struct relay_choice_list *list_at(struct relay_choice *choice, unsigned idx)
{
	return idx < RELAY_TRUST_UNKNOWN ? &choice->trusted[idx]
					 : &choice->unknown[idx - RELAY_TRUST_UNKNOWN];
}

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

unsigned relay_choice_take(struct relay_choice *choice,
			   struct relay_end_place out[static RELAY_END_PLACES_MAX])
{
	const unsigned list_cnt = RELAY_TRUST_UNKNOWN + RELAY_CHOICE_SOURCE_CNT;
	unsigned left = RELAY_END_PLACES_MAX, cnt = 0;

	for (unsigned i = 0; i < list_cnt; i++)
		left -= list_take(list_at(choice, i), least(left, RELAY_CHOICE_HALF), false);
	for (unsigned i = 0; i < list_cnt; i++)
		left -= list_take(list_at(choice, i), left, false);
	for (unsigned i = 0; i < list_cnt; i++)
		left -= list_take(list_at(choice, i), left, true);
	for (unsigned i = 0; i < list_cnt; i++) {
		const struct relay_choice_list *list = list_at(choice, i);

		for (unsigned k = 0; k < list->cnt; k++)
			if (list->rows[k].is_taken)
				out[cnt++] = list->rows[k].place;
	}
	return cnt;
}
