/* SPDX-License-Identifier: Apache-2.0 */
/* What an end of a flow hears of the other end's address (FLOW_LEG), and what it does not hear. */
#include "broker_rig.h"

/* What the relay answers to of, which asks by number for these addresses. 0 with *out_message. */
static int leg_by(struct end *of, uint64_t number, const struct addr *addrs, unsigned cnt,
		  struct relay_leg_message *out_message)
{
	struct relay_leg_message message = {.flow = number, .addr_cnt = cnt};
	uint8_t payload[512];
	struct writer w = writer_of(payload, sizeof(payload));

	for (unsigned i = 0; i < cnt; i++)
		message.addrs[i] = addrs[i];
	relay_message_leg_write(&w, &message);
	mesh_lab_ask(of->mesh, node, MESH_FLOW_LEG, payload, writer_len(&w), &of->ask);
	if (of->ask.reply.err < 0)
		return of->ask.reply.err;
	if (of->ask.reply.type != MESH_FLOW_LEG)
		return WEFT_EUNKNOWN;
	return relay_message_leg_parse(of->ask.reply.payload, of->ask.reply.payload_len,
				       out_message);
}

static void test_the_address_of_the_other_end_is_confirmed(void)
{
	struct relay_leg_message answer;
	struct end *opener, *peer;
	struct addr addrs[2];

	begin_pair(&opener, &peer);
	CHECK_EQ(open_to(opener, peer), 0);
	addrs[0] = (struct addr){.ip = {203, 0, 113, 9}, .port = 7000, .family = ADDR_IPV4};
	addrs[1] = peer->mesh->addr;
	addrs[1].port = 9; /* the IP address counts */
	CHECK_EQ(leg_by(opener, opener->flow.flow, addrs, 2, &answer), 0);
	CHECK_EQ(answer.flow, opener->flow.flow);
	CHECK_EQ(answer.addr_cnt, 1);
	CHECK(addr_equal(&answer.addrs[0], &addrs[1]));
	run_ms(500);
	addrs[1] = opener->mesh->addr;
	CHECK_EQ(leg_by(peer, peer->flow.flow, addrs, 2, &answer), 0);
	CHECK_EQ(answer.addr_cnt, 1);
	CHECK_EQ(stats().leg_cnt, 2);
	end_all();
}

static void test_another_address_is_not_confirmed_and_the_right_one_not_named(void)
{
	struct relay_leg_message answer;
	struct end *opener, *peer;
	struct addr third;

	begin_pair(&opener, &peer);
	CHECK_EQ(open_to(opener, peer), 0);
	third = opener->mesh->addr; /* its own, which is not the peer's */
	CHECK_EQ(leg_by(opener, opener->flow.flow, &third, 1, &answer), 0);
	CHECK_EQ(answer.addr_cnt, 0);
	CHECK_EQ(leg_by(opener, opener->flow.flow, NULL, 0, &answer), 0);
	CHECK_EQ(answer.addr_cnt, 0);
	end_all();
}

static void test_a_flow_of_others_says_nothing(void)
{
	struct relay_leg_message answer;
	struct end *opener, *peer, *other;

	begin_pair(&opener, &peer);
	other = end_add();
	CHECK_EQ(open_to(opener, peer), 0);
	CHECK_EQ(leg_by(other, opener->flow.flow, &peer->mesh->addr, 1, &answer), WEFT_EABSENT);
	CHECK_EQ(leg_by(opener, opener->flow.flow ^ 1ull << 32, &peer->mesh->addr, 1, &answer),
		 WEFT_EABSENT);
	CHECK_EQ(close_by(opener, opener->flow.flow), 0);
	CHECK_EQ(leg_by(opener, opener->flow.flow, &peer->mesh->addr, 1, &answer), WEFT_EABSENT);
	mesh_lab_ask(other->mesh, node, MESH_FLOW_LEG, "", 0, &other->ask);
	CHECK_EQ(other->ask.reply.err, WEFT_EMALFORMED);
	end_all();
}

int main(void)
{
	RUN(test_the_address_of_the_other_end_is_confirmed);
	RUN(test_another_address_is_not_confirmed_and_the_right_one_not_named);
	RUN(test_a_flow_of_others_says_nothing);
	return check_done();
}
