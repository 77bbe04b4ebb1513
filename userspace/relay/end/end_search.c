/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking for a peer at relays. It is at those with which it has a session. Those that its address
 * record names come first, then those that this node knows, as params.relays orders them. A relay says at once that a peer is not
 * there. One that says nothing for STAGGER_NS may have gone, so the next is asked beside it. The same
 * holds for a relay whose flow to the peer seems to be open.
 */
#include <string.h>

#include "relay_end_state.h"

#define STAGGER_NS NS_PER_S

static void search_forget_flows(struct relay_end *end, const struct end_search *search)
{
	for (unsigned i = 0; i < end->flow_cap; i++)
		if (end->flows[i].search == search)
			end->flows[i].search = NULL;
}

static void search_end(struct relay_end *end, struct end_search *search, int err)
{
	const struct relay_end_look look = search->look;

	search_forget_flows(end, search);
	search->is_used = false;
	look.ended(look.arg, err, end->now_ns);
}

/*
 * place becomes the at-th of those to ask, of which a full list loses the last. False: it is among the
 * first at, or there is no room.
 */
static bool search_add(struct end_search *search, unsigned at, const struct relay_end_place *place)
{
	unsigned idx = 0;

	while (idx < search->place_cnt &&
	       (search->places[idx].is_web != place->is_web ||
		memcmp(search->places[idx].key, place->key, sizeof(place->key)) != 0))
		idx++;
	if (idx < at || at == END_SEARCH_PLACES_MAX)
		return false;
	if (idx == END_SEARCH_PLACES_MAX)
		idx--;
	else if (idx == search->place_cnt)
		search->place_cnt++;
	memmove(&search->places[at + 1], &search->places[at],
		(idx - at) * sizeof(search->places[0]));
	search->places[at] = *place;
	return true;
}

static bool place_is_end(const struct relay_end *end, const struct end_search *search,
			 const struct relay_end_place *place)
{
	return memcmp(place->key, search->key, MESH_KEY_LEN) == 0 ||
	       memcmp(place->key, end->params.own_key, MESH_KEY_LEN) == 0;
}

/* False: this relay has no place for it, or says nothing although the flow is open. */
static bool search_ask(struct relay_end *end, struct end_search *search,
		       const struct relay_end_place *place)
{
	struct end_relay *relay;
	struct end_flow *flow;
	bool is_silent;

	if (place_is_end(end, search, place))
		return false;
	relay = relay_end_relay_make(end, place);
	if (!relay || (!relay_end_relay_look(relay) && place->is_web))
		return false;
	flow = relay_end_flow_find(end, relay, search->key, true);
	if (!flow)
		flow = relay_end_flow_make(end, relay,
					   &(struct end_flow_of){.peer = search->key,
								 .class = relay_end_class_at(relay),
								 .is_opener = true});
	if (!flow || (flow->search && flow->search != search))
		return false;
	flow->is_trial |= search->has_again && !place->is_web;
	if (place->is_web)
		relay_end_web_turn(flow);
	is_silent = flow->is_open && flow->sent_ns > flow->heard_ns &&
		    end->now_ns >= flow->heard_ns + STAGGER_NS;
	if (flow->is_open) {
		search->has_found = true;
	} else {
		/* Whatever pauses it has come to, it is wanted now. */
		relay_end_flow_retry(flow);
		if (flow->retry_ns < flow->deferred_ns)
			flow->retry_ns = flow->deferred_ns;
		relay->connect_ns = relay->dialled_ns + END_RETRY_NS;
		search->waiting_cnt += !flow->search;
		flow->search = search;
	}
	flow->sent_ns = end->now_ns;
	search->look.found(search->look.arg, &flow->addr, end->now_ns);
	return !is_silent;
}

static void search_begin(struct relay_end *end, struct end_search *search)
{
	const struct relay_end_params *params = &end->params;
	struct relay_end_place places[RELAY_END_PLACES_MAX];
	_Static_assert(RELAY_END_WEB_MAX <= RELAY_END_PLACES_MAX, "places have room for both");
	unsigned cnt = search->look.is_web ? 0 : params->relays(params->ctx, places);

	search->is_begun = true;
	if (search->look.is_named)
		return;
	for (unsigned i = 0; i < cnt; i++)
		(void)search_add(search, search->place_cnt, &places[i]);
	/* Last: a flow of a relay has more than a path over TCP. */
	cnt = params->web ? params->web->places(params->ctx, places) : 0;
	for (unsigned i = 0; i < cnt; i++)
		(void)search_add(search, search->place_cnt, &places[i]);
}

static void search_turn(struct relay_end *end, struct end_search *search)
{
	if (!search->is_begun)
		search_begin(end, search);
	if (search->has_again && search_ask(end, search, &search->again))
		search->next_ns = end->now_ns + STAGGER_NS;
	search->has_again = false;
	while (search->is_used && search->next_idx < search->place_cnt &&
	       end->now_ns >= search->next_ns)
		if (search_ask(end, search, &search->places[search->next_idx++]))
			search->next_ns = end->now_ns + STAGGER_NS;
	if (!search->is_used)
		return;
	if (search->next_idx < search->place_cnt)
		relay_end_hurry(end, search->next_ns);
	else if (!search->waiting_cnt)
		search_end(end, search, search->has_found ? 0 : WEFT_EUNREACHABLE);
}

void relay_end_search_turn(struct relay_end *end)
{
	for (unsigned i = 0; i < END_SEARCH_CAP; i++)
		if (end->searches[i].is_used)
			search_turn(end, &end->searches[i]);
}

void relay_end_search_wake(struct relay_end *end, const struct relay_end_place *place)
{
	for (unsigned i = 0; i < END_SEARCH_CAP; i++) {
		struct end_search *search = &end->searches[i];

		if (!search->is_used || !search->is_begun || search->look.is_named)
			continue;
		/* One that was asked while it was down is asked again. */
		if (!search_add(search, search->next_idx, place))
			relay_end_search_again(search, place);
		search->next_ns = end->now_ns;
	}
	relay_end_hurry(end, end->now_ns);
}

void relay_end_search_settle(struct end_flow *flow, bool is_open)
{
	struct end_search *search = flow->search;
	struct relay_end *end = flow->end;

	if (!search)
		return;
	flow->search = NULL;
	search->waiting_cnt--;
	if (is_open) {
		search_end(end, search, 0);
		return;
	}
	search->next_ns = end->now_ns;
	relay_end_hurry(end, end->now_ns);
}

void relay_end_search_again(struct end_search *search, const struct relay_end_place *place)
{
	search->again = *place;
	search->has_again = true;
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

static struct relay_end_place place_of_via(const struct peer_via *via)
{
	struct relay_end_place place = {
		.addrs = {via->addr, via->addr}, .addr_cnt = 2, .is_told = true};

	/* Where UDP does not pass: TCP is one port above, unless the relay says otherwise. */
	place.addrs[1].transport = ADDR_TCP;
	place.addrs[1].port++;
	memcpy(place.key, via->key, sizeof(place.key));
	return place;
}

/* The peer is at all of them, so those that are trusted more are asked first. */
void relay_end_look_hint(struct relay_end *end, void *run, const struct peer_via *vias,
			 unsigned cnt, uint64_t now_ns)
{
	struct end_search *search = run;
	unsigned begin = search->next_idx, at = begin, trusts[PEER_VIAS_MAX];

	if (now_ns > end->now_ns)
		end->now_ns = now_ns;
	if (search->look.is_web)
		return;
	for (unsigned i = 0; i < cnt && i < PEER_VIAS_MAX; i++) {
		const struct relay_end_place place = place_of_via(&vias[i]);
		unsigned trust = relay_end_trust(end, place.key, search->key), to = at;

		if (trust == RELAY_END_REFUSED) {
			end->stats.kept_out_cnt++;
			continue;
		}
		while (to > begin && trust < trusts[to - begin - 1])
			to--;
		if (!search_add(search, to, &place))
			continue;
		memmove(&trusts[to - begin + 1], &trusts[to - begin],
			(at - to) * sizeof(trusts[0]));
		trusts[to - begin] = trust;
		at++;
	}
	search->next_ns = end->now_ns;
	relay_end_hurry(end, end->now_ns);
}

void relay_end_look_cancel(struct relay_end *end, void *run)
{
	struct end_search *search = run;

	search_forget_flows(end, search);
	search->is_used = false;
}
