/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The question to a relay where the peer of a flow is (469). The relay's answer has one of the addresses
 * asked for, or none; any other is no answer. Home worker.
 */
#include <string.h>

#include "relay_end_state.h"

#define LEG_TIMEOUT_NS (3 * NS_PER_S)

/* The one of the asked addresses that the answer names. */
static const struct addr *host_of(const struct end_question *question,
				  const struct mesh_reply *reply)
{
	struct relay_leg_message message;

	if (reply->err < 0 || reply->type != MESH_FLOW_LEG ||
	    relay_message_leg_parse(reply->payload, reply->payload_len, &message) < 0 ||
	    message.flow != question->flow || message.addr_cnt != 1)
		return NULL;
	for (unsigned i = 0; i < question->addr_cnt; i++)
		if (addr_equal(&question->addrs[i], &message.addrs[0]))
			return &question->addrs[i];
	return NULL;
}

static void on_reply(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct relay_end *end = arg;
	struct end_question *question = &end->question;
	struct relay_end_leg leg = {.host = host_of(question, reply), .relay = &question->relay};

	question->request = NULL;
	question->done(question->arg, &leg, now_ns);
}

int relay_end_ask_leg(struct relay_end *end, const struct relay_end_leg_ask *asked)
{
	const struct end_flow *flow = map_lookup(&end->flows_by_addr, asked->label);
	struct end_question *question = &end->question;
	struct relay_leg_message message = {.addr_cnt = asked->addr_cnt};
	uint8_t payload[512];
	struct writer w = writer_of(payload, sizeof(payload));
	struct mesh_ask ask = {
		.type = MESH_FLOW_LEG,
		.payload = payload,
		.reply_buf = question->reply,
		.reply_cap = sizeof(question->reply),
		.timeout_ns = LEG_TIMEOUT_NS,
		.reply = on_reply,
		.arg = end,
	};
	int err;

	if (question->request)
		return WEFT_EBUSY;
	if (!flow || flow->relay->place.is_web || !flow->is_open || !flow->relay->is_up ||
	    addr_is_leg(&flow->relay->leg) || asked->addr_cnt > RELAY_LEG_ADDRS_MAX)
		return WEFT_EABSENT;
	question->done = asked->done;
	question->arg = asked->arg;
	question->relay = flow->relay->leg;
	question->flow = message.flow = flow->number;
	question->addr_cnt = asked->addr_cnt;
	memcpy(question->addrs, asked->addrs, asked->addr_cnt * sizeof(asked->addrs[0]));
	memcpy(message.addrs, asked->addrs, asked->addr_cnt * sizeof(asked->addrs[0]));
	relay_message_leg_write(&w, &message);
	ask.payload_len = writer_len(&w);
	memcpy(ask.peer.key, flow->relay->place.key, MESH_KEY_LEN);
	err = end->params.mesh.ops->ask(end->params.mesh.mesh, &ask, end->now_ns,
					&question->request);
	if (err < 0)
		question->request = NULL;
	return err;
}

void relay_end_cancel_leg(struct relay_end *end)
{
	if (end && end->question.request)
		end->params.mesh.ops->cancel(end->question.request);
	if (end)
		end->question.request = NULL;
}
