/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FLOW_LEG: an end asks at which of some IP addresses the other end of its flow is. It is told the one
 * where the session of that end with this relay is validated to be, by UDP, and nothing of others. So
 * a node that is to send much there has more than its peer's word. Home worker.
 */
#include <string.h>

#include "broker_state.h"

/* The flow of number, if it is a leg of key's; NULL: it is not. */
static const struct broker_flow *flow_of_leg(const struct relay_broker *broker, uint64_t number,
					     const uint8_t *key, unsigned *out_leg)
{
	const struct broker_flow *flow =
		relay_broker_flow_of(broker, relay_flow_of_number(number, out_leg));

	if (!flow || memcmp(flow->legs[*out_leg].end->key, key, RELAY_KEY_LEN) != 0)
		return NULL;
	return flow;
}

static bool is_host(const struct broker_end *end, const struct addr *addr)
{
	return !end->is_guest && end->remote.transport == ADDR_UDP &&
	       addr_is_same_host(&end->remote, addr);
}

void relay_broker_on_leg(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct relay_broker *broker = ctx;
	const struct mesh_ops *ops = broker->params.mesh.ops;
	struct relay_leg_message asked, answer;
	uint8_t payload[64];
	struct writer w = writer_of(payload, sizeof(payload));
	const struct broker_flow *flow;
	unsigned leg;

	broker->now_ns = now_ns;
	if (!relay_messages_admit(broker->params.messages, call, now_ns))
		return;
	broker->stats.leg_cnt++;
	if (relay_message_leg_parse(call->payload, call->payload_len, &asked) < 0) {
		ops->answer_error(call->incoming, MESH_CODE_MALFORMED, "no FLOW_LEG", 0);
		return;
	}
	flow = flow_of_leg(broker, asked.flow, call->peer_key, &leg);
	if (!flow) {
		ops->answer_error(call->incoming, MESH_CODE_ABSENT, "no flow has this number", 0);
		return;
	}
	answer = (struct relay_leg_message){.flow = asked.flow};
	for (unsigned i = 0; i < asked.addr_cnt && !answer.addr_cnt; i++)
		if (is_host(flow->legs[leg ^ 1].end, &asked.addrs[i]))
			answer.addrs[answer.addr_cnt++] = asked.addrs[i];
	relay_message_leg_write(&w, &answer);
	(void)ops->answer(call->incoming, MESH_FLOW_LEG, payload, writer_len(&w), NULL);
}
