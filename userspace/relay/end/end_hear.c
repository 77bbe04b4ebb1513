/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What relays say to this end: offers of flows, flows and their renewals, and that a flow is over.
 * A relay that is not asked can offer flows in the name of any key, so the offer proves nothing:
 * QUIC's handshake does, and places in the table are the relay's account.
 */
#include <string.h>

#include "relay_end_state.h"

static void refuse(struct relay_end *end, const struct mesh_call *call, enum mesh_code code,
		   const char *text)
{
	end->stats.refused_cnt++;
	end->params.mesh.ops->answer_error(call->incoming, code, text, 0);
}

static void answer_accept(struct relay_end *end, const struct mesh_call *call)
{
	const struct relay_accept_message message = {.mtu = END_LEG_MTU};
	uint8_t payload[16];
	struct writer w = writer_of(payload, sizeof(payload));

	relay_message_accept_write(&w, &message);
	(void)end->params.mesh.ops->answer(call->incoming, MESH_FLOW_ACCEPT, payload,
					   writer_len(&w), NULL);
}

bool relay_end_is_welcome(const struct relay_end *end, const uint8_t *opener)
{
	const struct relay_end_params *params = &end->params;

	if (params->config.use == RELAY_USE_NO ||
	    memcmp(opener, params->own_key, MESH_KEY_LEN) == 0 ||
	    (params->refuses && params->refuses(params->ctx, opener)))
		return false;
	switch (params->config.accept) {
	case RELAY_ACCEPT_ALL:
		return true;
	case RELAY_ACCEPT_KNOWN:
		return params->key_class(params->ctx, opener) >= FAIR_KNOWN;
	case RELAY_ACCEPT_NONE:
		break;
	}
	return false;
}

/* The relay of a call, whose datagrams may come from the session's address; NULL: no place for it. */
static struct end_relay *relay_of_call(struct relay_end *end, const struct mesh_call *call)
{
	struct relay_end_place place = {.addr_cnt = 0};
	struct end_relay *relay;

	memcpy(place.key, call->peer_key, MESH_KEY_LEN);
	relay = relay_end_relay_make(end, &place);
	return relay && relay_end_relay_look(relay) ? relay : NULL;
}

/*
 * A flow that its opener opens anew keeps its label here, too; in another class until QUIC moves. One
 * that was never open makes room for that of another class: QUIC has nothing but a handshake there.
 */
static struct end_flow *offered_flow(struct relay_end *end, struct end_relay *relay,
				     const struct relay_offer_message *offer)
{
	const struct end_flow_of of = {.peer = offer->opener, .class = offer->class};
	struct end_flow *flow = relay_end_flow_find(end, relay, offer->opener, false);

	if (flow && flow->is_evicted)
		return NULL;
	if (flow && !flow->was_open && flow->class != offer->class) {
		if (!relay_end_flow_yield(flow))
			return NULL;
		flow = NULL;
	}
	if (!flow)
		return relay_end_flow_make(end, relay, &of);
	relay_end_flow_lose(flow);
	flow->number = 0;
	flow->asked_class = offer->class;
	/* One that was closed a moment ago begins anew. */
	flow->is_over = false;
	flow->made_ns = flow->lost_ns = end->now_ns;
	return flow;
}

void relay_end_on_offer(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct relay_end *end = ctx;
	struct relay_offer_message offer;
	struct end_relay *relay;
	struct end_flow *flow;

	if (now_ns > end->now_ns)
		end->now_ns = now_ns;
	if (relay_message_offer_parse(call->payload, call->payload_len, &offer) < 0) {
		refuse(end, call, MESH_CODE_MALFORMED, "no offer of a flow");
		return;
	}
	if (!relay_end_is_welcome(end, offer.opener)) {
		refuse(end, call, MESH_CODE_REFUSED, "no flow of that opener is wanted here");
		return;
	}
	/* The opener is the relay's word, so it makes no relay a contact's. */
	if (relay_end_trust(end, call->peer_key, NULL) == RELAY_END_REFUSED) {
		end->stats.kept_out_cnt++;
		refuse(end, call, MESH_CODE_REFUSED, "this node uses no relay of unknown nodes");
		return;
	}
	relay = relay_of_call(end, call);
	flow = relay ? offered_flow(end, relay, &offer) : NULL;
	if (!flow) {
		refuse(end, call, MESH_CODE_BUSY, "this relay has its share of flows here");
		return;
	}
	flow->sent_ns = end->now_ns; /* until QUIC has answered it counts as used */
	flow->in.cnt = 0;
	for (unsigned i = 0; i < offer.first.cnt; i++)
		(void)relay_end_queue_put(&flow->in, offer.first.dgrams[i].data,
					  offer.first.dgrams[i].len, 0);
	relay_end_hurry(end, end->now_ns);
	answer_accept(end, call);
}

/*
 * The flow that message means: by its number, also one that was lost with a session which the relay has
 * seen replaced. Else the one that was offered last, which has no number yet.
 */
static struct end_flow *told_flow(struct relay_end *end, const struct end_relay *relay,
				  const struct relay_flow_message *message)
{
	struct end_flow *flow;

	for (int is_opener = 0; is_opener <= 1; is_opener++) {
		flow = relay_end_flow_find(end, relay, message->peer, is_opener);
		if (flow && flow->was_open && flow->number == message->flow)
			return flow;
	}
	flow = relay_end_flow_find(end, relay, message->peer, false);
	return flow && !flow->is_open && !flow->number ? flow : NULL;
}

void relay_end_on_flow(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct relay_end *end = ctx;
	struct relay_flow_message message;
	struct end_relay *relay = relay_end_relay_find(end, call->peer_key);
	struct end_flow *flow = NULL;

	if (now_ns > end->now_ns)
		end->now_ns = now_ns;
	if (relay_message_flow_parse(call->payload, call->payload_len, &message) < 0) {
		refuse(end, call, MESH_CODE_MALFORMED, "no flow");
		return;
	}
	if (relay && relay_end_relay_look(relay))
		flow = told_flow(end, relay, &message);
	if (!flow || message.class != flow->asked_class) {
		refuse(end, call, MESH_CODE_ABSENT, "no such flow was accepted here");
		return;
	}
	if (relay_end_flow_tell(flow, &message) < 0) {
		refuse(end, call, MESH_CODE_MALFORMED, "not a label for this end");
		return;
	}
	answer_accept(end, call);
}

bool relay_end_closed(struct relay_end *end, const uint8_t *key,
		      const struct relay_close_message *message, uint64_t now_ns)
{
	const struct end_relay *relay = relay_end_relay_find(end, key);

	if (now_ns > end->now_ns)
		end->now_ns = now_ns;
	for (unsigned i = 0; relay && i < end->flow_cap; i++) {
		struct end_flow *flow = &end->flows[i];

		if (flow->relay != relay || !flow->is_open || flow->number != message->flow)
			continue;
		end->stats.closed_cnt++;
		relay_end_flow_lose(flow);
		/* The peer said that it is done, or the relay that it is not wanted: nothing to mend. */
		if (message->why == RELAY_END_DONE)
			flow->is_over = true;
		else if (message->why != RELAY_END_PEER_GONE)
			flow->retry_ns = end->now_ns + NS_PER_S;
		return true;
	}
	return false;
}
