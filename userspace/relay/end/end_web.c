/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths through relays over WebSocket. Such a relay knows keys and no flows: a path is there while
 * the connection to the relay is. It has a label and a place in the table, so QUIC, dials and spare
 * paths work with it as with a flow.
 *
 * A relay can put any key before a datagram. So only what begins a connection makes a path, on the
 * relay's account, and QUIC's handshake proves the key.
 */
#include <string.h>

#include "relay_end_state.h"
#include "weft/classify.h"

/* RFC 9000, 14.1 and 17.2.2. */
#define INITIAL_LEN_MIN 1200
#define INITIAL_MASK	0xf0
#define INITIAL_BITS	0xc0

bool relay_end_web_look(struct end_relay *relay)
{
	const struct relay_end_params *params = &relay->end->params;

	relay->is_up = params->web && params->web->is_up(params->ctx, relay->place.key);
	relay->path.remote = relay->place.addrs[0];
	return relay->is_up;
}

void relay_end_web_turn(struct end_flow *flow)
{
	if (flow->is_open && !flow->relay->is_up)
		relay_end_flow_lose(flow);
	else if (!flow->is_open && flow->relay->is_up)
		relay_end_flow_begin(flow);
	flow->expires_ns = UINT64_MAX;
}

void relay_end_web_commit(struct end_flow *flow, const struct dgram_slot *slot, size_t len,
			  const struct dgram_route *route)
{
	const struct relay_end_params *params = &flow->end->params;
	size_t segment_len = route->segment_len ? route->segment_len : len;

	for (size_t off = 0; off < len; off += segment_len) {
		const struct dgram dgram = {
			.data = slot->data + off,
			.len = len - off < segment_len ? len - off : segment_len,
			.ecn = route->ecn,
		};

		flow->end->stats.sent_cnt++;
		params->web->send(params->ctx, flow->relay->place.key, flow->peer, &dgram);
	}
}

/* The row of a relay through which no path is there. NULL: there is no room, or no such relay. */
static struct end_relay *web_relay_new(struct relay_end *end, const uint8_t *key)
{
	const struct relay_end_params *params = &end->params;
	struct relay_end_place places[RELAY_END_WEB_MAX];
	unsigned cnt = params->web ? params->web->places(params->ctx, places) : 0;

	for (unsigned i = 0; i < cnt; i++)
		if (memcmp(places[i].key, key, MESH_KEY_LEN) == 0)
			return relay_end_relay_make(end, &places[i]);
	return NULL;
}

static struct end_relay *web_relay(struct relay_end *end, const uint8_t *key)
{
	struct end_relay *relay = NULL;

	for (unsigned i = 0; i < end->relay_cap && !relay; i++)
		if (end->relays[i].is_used && end->relays[i].place.is_web &&
		    memcmp(end->relays[i].place.key, key, MESH_KEY_LEN) == 0)
			relay = &end->relays[i];
	if (!relay)
		relay = web_relay_new(end, key);
	if (relay)
		(void)relay_end_relay_look(relay);
	return relay;
}

static bool is_initial(const struct dgram *dgram)
{
	return dgram->len >= INITIAL_LEN_MIN && (dgram->data[0] & INITIAL_MASK) == INITIAL_BITS;
}

/* NULL: no path is wanted, or there is no place for it. */
static struct end_flow *web_accept(struct relay_end *end, struct end_relay *relay,
				   const uint8_t *peer)
{
	const struct end_flow_of of = {.peer = peer, .class = RELAY_CONTROL};

	if (!relay_end_is_welcome(end, peer)) {
		end->stats.refused_cnt++;
		return NULL;
	}
	return relay_end_flow_make(end, relay, &of);
}

bool relay_end_web_input(struct relay_end *end, const uint8_t *key, const uint8_t *peer,
			 struct dgram *dgram, uint64_t now_ns)
{
	struct end_relay *relay = web_relay(end, key);
	struct end_flow *flow;

	if (now_ns > end->now_ns)
		end->now_ns = now_ns;
	flow = relay && relay->is_up ? relay_end_flow_find(end, relay, peer, false) : NULL;
	if (!flow && relay && relay->is_up && is_initial(dgram))
		flow = web_accept(end, relay, peer);
	if (flow && !flow->is_evicted)
		relay_end_web_turn(flow);
	if (flow && flow->is_open && relay_end_spare_heard(flow, dgram->data, dgram->len))
		return false;
	if (!flow || !flow->is_open || !(dgram->data[0] & 0x40)) {
		end->stats.stray_cnt++;
		return false;
	}
	relay_end_flow_heard(flow, dgram->len, now_ns);
	dgram->local = dgram->remote = flow->addr;
	return true;
}

/*
 * A peer that was heard may be back at once, and any relay can say this of any peer. So it ends what
 * was never answered alone.
 */
void relay_end_web_gone(struct relay_end *end, const uint8_t *key, const uint8_t *peer,
			uint64_t now_ns)
{
	struct end_relay *relay = web_relay(end, key);
	struct end_flow *flow = relay ? relay_end_flow_find(end, relay, peer, true) : NULL;

	if (now_ns > end->now_ns)
		end->now_ns = now_ns;
	if (!flow || flow->heard_cnt)
		return;
	flow->is_over = true;
	relay_end_hurry(end, end->now_ns);
}

void relay_end_web_changed(struct relay_end *end, const uint8_t *key, uint64_t now_ns)
{
	const struct end_relay *relay;

	if (now_ns > end->now_ns)
		end->now_ns = now_ns;
	relay = web_relay(end, key);
	if (relay && relay->is_up)
		relay_end_search_wake(end, &relay->place);
	/* It may be a kept one, by which peers come. */
	end->keep_ns = end->now_ns;
	relay_end_hurry(end, end->now_ns);
}
