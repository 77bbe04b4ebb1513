/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flows whose session goes directly now. The end that opened one keeps it warm, so that the session can
 * come back to it at once (quic/fallback.c). Either end may ask the other through it to write on the
 * path in use: 32 bytes, 0x9d, RELAY_ASK and zeros (docs/wire/relay.md).
 *
 * Whatever the relay says here, it costs a packet of QUIC each ASK_PAUSE_NS, to the peer alone.
 */
#include <string.h>

#include "relay_end_state.h"
#include "weft/classify.h"

#define RELAY_ASK    4
#define ASK_PAUSE_NS (50 * NS_PER_MS)
#define LOOK_NS	     NS_PER_S
/* NATs keep a mapping of UDP for 30 s at least, most of them; where it was measured, as long as that. */
#define WARM_NS	    (25 * NS_PER_S)
#define WARM_NS_MAX (100 * NS_PER_S)

static void ask_send(struct end_flow *flow)
{
	const uint8_t ask[WEFT_PROBE_LEN] = {WEFT_PROBE_FIRST_BYTE, RELAY_ASK};

	flow->warm_ns = flow->end->now_ns;
	flow->end->stats.asked_cnt += relay_end_flow_send(flow, ask, sizeof(ask));
}

void relay_end_ask(struct relay_end *end, const struct addr *label)
{
	struct end_flow *flow = map_lookup(&end->flows_by_addr, label);

	if (flow)
		ask_send(flow);
}

bool relay_end_relabel(struct relay_end *end, struct addr *label)
{
	struct end_flow *flow = map_lookup(&end->flows_by_addr, label);

	if (!flow || !flow->is_open || end->gone_cnt == end->flow_cap ||
	    relay_end_flow_relabel(flow) < 0)
		return false;
	/* A dial beside the silent session may have taken it; the next turn ends its handshake. */
	end->gone[end->gone_cnt++] = *label;
	relay_end_hurry(end, end->now_ns);
	*label = flow->addr;
	return true;
}

void relay_end_spare_relabel(struct end_flow *flow)
{
	const struct relay_end_params *params = &flow->end->params;
	struct addr old = flow->addr;

	if (!flow->is_spare || flow->is_opener || flow->is_fresh ||
	    relay_end_flow_relabel(flow) < 0)
		return;
	flow->is_fresh = true;
	if (params->relabelled)
		params->relabelled(params->ctx, &old, &flow->addr);
}

bool relay_end_spare_heard(struct end_flow *flow, const uint8_t *data, size_t len)
{
	struct relay_end *end = flow->end;

	if (len != WEFT_PROBE_LEN || data[0] != WEFT_PROBE_FIRST_BYTE || data[1] != RELAY_ASK)
		return false;
	flow->warm_ns = flow->relay->heard_ns = end->now_ns;
	flow->heard_cnt++;
	flow->used_heard_len += len;
	end->stats.heard_cnt++;
	if (end->now_ns < flow->answered_ns + ASK_PAUSE_NS)
		return true;
	flow->is_asked = true;
	relay_end_hurry(end, end->now_ns);
	return true;
}

/* Of several flows to a peer the session came from the one that was used last. */
static bool flow_is_spare(const struct end_flow *flow, struct mesh_path *out_path)
{
	const struct relay_end *end = flow->end;

	if (!flow->was_open)
		return false;
	for (unsigned i = 0; i < end->flow_cap; i++) {
		const struct end_flow *other = &end->flows[i];

		if (other->relay && other != flow && other->heard_ns > flow->heard_ns &&
		    memcmp(other->peer, flow->peer, sizeof(flow->peer)) == 0)
			return false;
	}
	/* QUIC comes back to it from a path of its own alone. */
	return end->params.path(end->params.ctx, flow->peer, out_path) &&
	       out_path->remote.transport == ADDR_UDP;
}

/* A session may have come back to the flow and left it again meanwhile, or another one may have. */
static void spare_look(struct end_flow *flow)
{
	const struct relay_end_params *params = &flow->end->params;
	bool is_used = flow->sent_ns > flow->looked_ns || flow->heard_ns > flow->looked_ns;
	bool was_spare = flow->is_spare;
	struct mesh_path path;

	flow->is_spare = flow_is_spare(flow, &path);
	flow->is_fresh &= was_spare;
	if (!flow->is_spare || (was_spare && !is_used && addr_equal(&flow->direct, &path.remote)))
		return;
	flow->direct = path.remote;
	if (params->spare)
		params->spare(params->ctx, &path.remote, &flow->addr);
}

void relay_end_spare_turn(struct end_flow *flow)
{
	struct relay_end *end = flow->end;
	uint64_t used_ns = flow->sent_ns > flow->warm_ns ? flow->sent_ns : flow->warm_ns;
	uint64_t pause_ns = relay_end_pause_ns(flow->relay, WARM_NS, WARM_NS_MAX);

	if (end->now_ns >= flow->looked_ns + LOOK_NS) {
		spare_look(flow);
		flow->looked_ns = end->now_ns;
	}
	if (flow->is_asked && end->params.probe) {
		flow->answered_ns = end->now_ns;
		end->params.probe(end->params.ctx, flow->peer);
	}
	flow->is_asked = false;
	if (!flow->is_spare || !flow->is_open || !flow->is_opener)
		return;
	if (end->now_ns >= used_ns + pause_ns)
		ask_send(flow);
	else
		relay_end_hurry(end, used_ns + pause_ns);
}
