/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking for a peer at relays, one after the other. It is at those with which it has a session. A
 * relay says at once that a peer is not there.
 */
#include <string.h>

#include "relay_end_state.h"

static void search_end(struct end_search *search, int err, uint64_t now_ns)
{
	const struct relay_end_look look = search->look;

	search->is_used = false;
	look.ended(look.arg, err, now_ns);
}

/* False: this relay has no place for it. */
static bool search_ask(struct relay_end *end, struct end_search *search,
		       const struct relay_end_place *place)
{
	struct end_relay *relay;
	struct end_flow *flow;

	if (memcmp(place->key, search->key, MESH_KEY_LEN) == 0)
		return false;
	relay = relay_end_relay_make(end, place);
	if (!relay)
		return false;
	(void)relay_end_relay_look(relay);
	flow = relay_end_flow_find(end, relay, search->key, true);
	if (!flow)
		flow = relay_end_flow_make(end, relay, search->key, true);
	if (!flow || (flow->search && flow->search != search))
		return false;
	flow->search = search;
	flow->sent_ns = end->now_ns;
	search->flow = flow;
	search->look.found(search->look.arg, &flow->addr, end->now_ns);
	return true;
}

static void search_turn(struct relay_end *end, struct end_search *search)
{
	if (search->flow)
		return;
	if (!search->is_begun) {
		search->is_begun = true;
		search->place_cnt = end->params.relays(end->params.ctx, search->places);
	}
	while (search->is_used && search->next_idx < search->place_cnt)
		if (search_ask(end, search, &search->places[search->next_idx++]))
			return;
	if (search->is_used)
		search_end(search, WEFT_EUNREACHABLE, end->now_ns);
}

void relay_end_search_turn(struct relay_end *end)
{
	for (unsigned i = 0; i < END_SEARCH_CAP; i++)
		if (end->searches[i].is_used)
			search_turn(end, &end->searches[i]);
}

void relay_end_search_settle(struct end_flow *flow, bool is_open)
{
	struct end_search *search = flow->search;

	if (!search)
		return;
	flow->search = NULL;
	search->flow = NULL;
	if (is_open)
		search_end(search, 0, flow->end->now_ns);
	else
		relay_end_hurry(flow->end, flow->end->now_ns);
}

int relay_end_look(struct relay_end *end, const uint8_t key[static MESH_KEY_LEN],
		   const struct relay_end_look *look, uint64_t now_ns, void **out_run)
{
	if (now_ns > end->now_ns)
		end->now_ns = now_ns;
	if (end->params.config.use == RELAY_USE_NO)
		return WEFT_EUNREACHABLE;
	for (unsigned i = 0; i < END_SEARCH_CAP; i++) {
		struct end_search *search = &end->searches[i];

		if (search->is_used)
			continue;
		*search = (struct end_search){.is_used = true, .look = *look};
		memcpy(search->key, key, sizeof(search->key));
		relay_end_hurry(end, end->now_ns);
		*out_run = search;
		return 0;
	}
	return WEFT_EFULL;
}

void relay_end_look_cancel(struct relay_end *end, void *run)
{
	struct end_search *search = run;

	(void)end;
	if (search->flow)
		search->flow->search = NULL;
	search->is_used = false;
}
