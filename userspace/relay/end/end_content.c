/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session goes by a flow of control that its peer opened, and this node has a grant of content at that relay.
 *
 *	a request of content is refused (mesh_session_bars) -> relay_end_want_content
 *	-> a flow of this node's own, of content -> both ends learn that it is open
 *	-> the one that dialled has QUIC move there
 *
 * Home worker.
 */
#include <string.h>

#include "relay_end_state.h"

#define OFFER_NS NS_PER_S
/* The peer's label may be open later than this node's, and then a packet of the move is lost. */
#define OFFER_MAX 5

void relay_end_want_content(struct relay_end *end, const uint8_t *key, uint64_t now_ns)
{
	for (unsigned i = 0; i < end->flow_cap; i++) {
		struct end_flow *flow = &end->flows[i];

		if (!flow->relay || flow->is_opener || !flow->is_open ||
		    flow->class != RELAY_CONTROL || memcmp(flow->peer, key, MESH_KEY_LEN) != 0)
			continue;
		flow->wants_content = true;
		relay_end_hurry(end, now_ns);
	}
}

/* A control flow of this node's own becomes one of content when it is opened anew. */
static void content_open(const struct end_flow *control)
{
	struct relay_end *end = control->end;
	struct end_flow *own = relay_end_flow_find(end, control->relay, control->peer, true);

	if (relay_end_class_at(control->relay) != RELAY_CONTENT)
		return;
	if (!own)
		own = relay_end_flow_make(end, control->relay,
					  &(struct end_flow_of){.peer = control->peer,
								.class = RELAY_CONTENT,
								.is_opener = true});
	if (!own || own->class != RELAY_CONTENT)
		return;
	own->is_wanted = true;
	own->wanted_ns = end->now_ns;
	own->offer_cnt = 0;
	relay_end_hurry(end, end->now_ns);
}

/* A session that goes by control may go by this flow. One that does is heard. */
static void content_offer(struct end_flow *flow)
{
	struct relay_end *end = flow->end;

	if (flow->heard_ns > flow->wanted_ns || flow->offer_cnt == OFFER_MAX ||
	    !end->params.content)
		return;
	if (end->now_ns >= flow->offered_ns + OFFER_NS) {
		flow->offered_ns = end->now_ns;
		flow->offer_cnt++;
		end->params.content(end->params.ctx, flow->peer, &flow->addr);
	}
	relay_end_hurry(end, flow->offered_ns + OFFER_NS);
}

void relay_end_content_turn(struct end_flow *flow)
{
	bool wants = flow->wants_content;

	flow->wants_content = false;
	if (flow->is_open && flow->class == RELAY_CONTENT)
		content_offer(flow);
	else if (wants)
		content_open(flow);
}
