/* SPDX-License-Identifier: Apache-2.0 */
/* The question of an end where its relay sees the peer, and what counts as an answer. */
#include "relay/end/relay_end.h"

#include <string.h>

#include "base/monotonic.h"
#include "support/check.h"
#include "end_flows.h"

static const struct addr places[2] = {
	{.ip = {203, 0, 113, 9}, .port = 7000, .family = ADDR_IPV4},
	{.ip = {198, 51, 100, 9}, .port = 4000, .family = ADDR_IPV4},
};

static struct {
	unsigned cnt;
	bool has_host;
	struct addr host, relay;
} heard;

static void on_leg(void *arg, const struct relay_end_leg *leg, uint64_t now_ns)
{
	(void)arg, (void)now_ns;
	heard.cnt++;
	heard.has_host = leg->host;
	if (leg->host)
		heard.host = *leg->host;
	heard.relay = *leg->relay;
}

static int ask_of(const struct addr *label, unsigned addr_cnt)
{
	const struct relay_end_leg_ask asked = {
		.label = label, .addrs = places, .addr_cnt = addr_cnt, .done = on_leg};

	return relay_end_ask_leg(rig.end, &asked);
}

static int ask(void)
{
	return ask_of(&rig.found, 2);
}

/* The relay answers by number with these addresses. */
static void answer(uint64_t number, const struct addr *addrs, unsigned cnt)
{
	struct mesh_request *request = relay_end_rig_asked(&rig, MESH_FLOW_LEG);
	struct relay_leg_message message = {.flow = number, .addr_cnt = cnt};
	uint8_t payload[512];
	struct writer w = writer_of(payload, sizeof(payload));
	struct mesh_reply reply = {.type = MESH_FLOW_LEG, .payload = payload};

	memcpy(message.addrs, addrs, cnt * sizeof(addrs[0]));
	relay_message_leg_write(&w, &message);
	reply.payload_len = writer_len(&w);
	request->is_used = false;
	rig.ask_cnt--;
	request->ask.reply(request->ask.arg, &reply, rig.now_ns);
}

static void begin(void)
{
	memset(&heard, 0, sizeof(heard));
	relay_end_rig_init(&rig, NULL);
}

static void test_the_relay_says_which_of_the_addresses_it_is(void)
{
	struct relay_flow_message told;

	begin();
	told = flow_open();
	CHECK_EQ(ask(), 0);
	CHECK_EQ(ask(), WEFT_EBUSY);
	answer(told.flow, &places[1], 1);
	CHECK_EQ(heard.cnt, 1);
	CHECK(heard.has_host && addr_equal(&heard.host, &places[1]));
	CHECK(addr_equal(&heard.relay, &rig.address[0]));
	CHECK_EQ(ask(), 0);
	answer(told.flow, places, 0);
	CHECK_EQ(heard.cnt, 2);
	CHECK(!heard.has_host);
	relay_end_rig_fini(&rig);
}

static void test_an_answer_that_was_not_asked_for_names_none(void)
{
	const struct addr third = {.ip = {192, 0, 2, 1}, .port = 7000, .family = ADDR_IPV4};
	struct relay_flow_message told;

	begin();
	told = flow_open();
	CHECK_EQ(ask(), 0);
	answer(told.flow, &third, 1);
	CHECK(heard.cnt == 1 && !heard.has_host);
	CHECK_EQ(ask(), 0);
	answer(told.flow + 1, &places[0], 1);
	CHECK(heard.cnt == 2 && !heard.has_host);
	CHECK_EQ(ask(), 0);
	answer(told.flow, places, 2);
	CHECK(heard.cnt == 3 && !heard.has_host);
	CHECK_EQ(ask(), 0);
	relay_end_rig_reply(&rig, relay_end_rig_asked(&rig, MESH_FLOW_LEG), WEFT_EUNKNOWN, NULL);
	CHECK(heard.cnt == 4 && !heard.has_host);
	relay_end_rig_fini(&rig);
}

static void test_a_flow_that_is_not_open_over_udp_has_no_leg_to_ask_for(void)
{
	begin();
	(void)flow_open();
	CHECK_EQ(ask_of(&places[0], 2), WEFT_EABSENT);
	CHECK_EQ(ask_of(&rig.found, RELAY_LEG_ADDRS_MAX + 1), WEFT_EABSENT);
	relay_end_rig_fini(&rig);
	begin();
	rig.address[0].transport = ADDR_TCP;
	(void)flow_open();
	CHECK_EQ(ask(), WEFT_EABSENT);
	relay_end_rig_fini(&rig);
}

static void test_a_question_that_is_taken_back_is_not_answered(void)
{
	begin();
	(void)flow_open();
	CHECK_EQ(ask(), 0);
	relay_end_cancel_leg(rig.end);
	CHECK(!relay_end_rig_asked(&rig, MESH_FLOW_LEG));
	CHECK_EQ(heard.cnt, 0);
	CHECK_EQ(ask(), 0);
	relay_end_rig_fini(&rig);
	CHECK_EQ(heard.cnt, 0);
}

int main(void)
{
	RUN(test_the_relay_says_which_of_the_addresses_it_is);
	RUN(test_an_answer_that_was_not_asked_for_names_none);
	RUN(test_a_flow_that_is_not_open_over_udp_has_no_leg_to_ask_for);
	RUN(test_a_question_that_is_taken_back_is_not_answered);
	return check_done();
}
