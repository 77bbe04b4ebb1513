/* SPDX-License-Identifier: Apache-2.0 */
/* Flows that a relay opens for clients over WebSocket. */
#include "broker_rig.h"

static uint8_t guest_key[RELAY_KEY_LEN] = {7, 7};
static bool is_there;
static unsigned refused_cnt;
static uint8_t refused_peer[RELAY_KEY_LEN];
static unsigned delivered_cnt;
static size_t delivered_len;
static uint8_t delivered_peer[RELAY_KEY_LEN];

static bool on_guest(void *ctx, const uint8_t *of, struct addr *out_remote)
{
	(void)ctx;
	*out_remote = (struct addr){
		.ip = {192, 0, 2, 7}, .port = 7, .family = ADDR_IPV4, .transport = ADDR_TCP};
	return is_there && memcmp(of, guest_key, RELAY_KEY_LEN) == 0;
}

static void on_refused(void *ctx, const uint8_t *guest, const uint8_t *peer)
{
	(void)ctx;
	CHECK_MEM(guest, guest_key, RELAY_KEY_LEN);
	memcpy(refused_peer, peer, RELAY_KEY_LEN);
	refused_cnt++;
}

static void on_deliver(void *ctx, const struct relay_guest_dgram *dgram)
{
	(void)ctx;
	CHECK_MEM(dgram->guest, guest_key, RELAY_KEY_LEN);
	memcpy(delivered_peer, dgram->peer, RELAY_KEY_LEN);
	delivered_len = dgram->len;
	delivered_cnt++;
}

static void begin_guest(void)
{
	begin_with(&(struct relay_broker_params){
		.guest = on_guest, .guest_refused = on_refused, .guest_deliver = on_deliver});
	is_there = true;
	refused_cnt = delivered_cnt = 0;
}

static int guest_send(const uint8_t *peer, uint8_t label[static RELAY_MESSAGE_LABEL_LEN])
{
	static const uint8_t data[1200] = {0xc0};
	const struct relay_guest_dgram dgram = {guest_key, peer, data, sizeof(data)};

	node->due_ns = lab.now_ns; /* the offer leaves in the node's next turn */
	return relay_broker_guest_send(broker, &dgram, lab.now_ns, label);
}

static bool has_flow(const struct end *peer)
{
	uint8_t label[RELAY_MESSAGE_LABEL_LEN];

	run_ms(200);
	return guest_send(peer->mesh->key, label) == 0;
}

static void test_the_first_datagram_opens_a_flow_and_travels_along(void)
{
	const struct addr leg = addr_of_leg(guest_key, ADDR_LEG_GUEST);
	uint8_t label[RELAY_MESSAGE_LABEL_LEN], out[RELAY_MESSAGE_LABEL_LEN + 3] = {0};
	struct relay_guest_dgram heard;
	struct weft_relay_label of_peer;
	struct end *peer;

	begin_guest();
	peer = end_add();
	CHECK_EQ(guest_send(peer->mesh->key, label), WEFT_EBUSY);
	/* One request at a time. */
	CHECK_EQ(guest_send(peer->mesh->key, label), WEFT_EBUSY);
	CHECK(has_flow(peer));
	CHECK_EQ(peer->offer_cnt, 1);
	CHECK_EQ(peer->offer_first_len, 1200);
	CHECK_EQ(peer->label_cnt, 1);
	CHECK_MEM(peer->flow.peer, guest_key, RELAY_KEY_LEN);
	CHECK_EQ(open_cnt(), 1);
	CHECK_EQ(stats().asking_cnt, 0);
	CHECK_EQ(guest_send(peer->mesh->key, label), 0);
	memcpy(&of_peer, label, sizeof(of_peer));
	CHECK(leg_is_at((struct relay_flow_id){.idx = weft_relay_index(of_peer.head)}, 0, &leg));
	/* What the peer answers comes under the same label, of the kind to an end. */
	CHECK(!relay_broker_guest_of(broker, label, sizeof(label), &heard));
	of_peer.head = weft_relay_head_of_kind(of_peer.head, WEFT_RELAY_TO_END);
	memcpy(out, &of_peer, sizeof(of_peer));
	memcpy(out + sizeof(of_peer), "abc", 3);
	CHECK(relay_broker_guest_of(broker, out, sizeof(out), &heard));
	CHECK_MEM(heard.guest, guest_key, RELAY_KEY_LEN);
	CHECK_MEM(heard.peer, peer->mesh->key, RELAY_KEY_LEN);
	CHECK_EQ(heard.len, 3);
	CHECK(!relay_broker_guest_of(broker, out, RELAY_MESSAGE_LABEL_LEN, &heard));
	CHECK_EQ(refused_cnt, 0);
	end_all();
}

static void test_a_guest_has_three_flows_and_hears_of_the_fourth(void)
{
	uint8_t label[RELAY_MESSAGE_LABEL_LEN];
	struct end *peer;

	begin_guest();
	for (unsigned i = 0; i < RELAY_OPENED_MAX; i++) {
		peer = end_add();
		CHECK_EQ(guest_send(peer->mesh->key, label), WEFT_EBUSY);
		CHECK(has_flow(peer));
	}
	peer = end_add();
	CHECK_EQ(guest_send(peer->mesh->key, label), WEFT_EABSENT);
	CHECK_EQ(peer->offer_cnt, 0);
	CHECK_EQ(open_cnt(), RELAY_OPENED_MAX);
	end_all();
}

/* Requests that are refused fill no flow: their rate is that of any message to the relay. */
static void test_a_guests_requests_are_bounded_as_messages(void)
{
	const unsigned burst = relay_messages_rate(0) / 1000 * 2;
	const uint8_t nowhere[RELAY_KEY_LEN] = {9};
	uint8_t label[RELAY_MESSAGE_LABEL_LEN];
	struct relay_messages_stats of_messages;

	has_messages = true;
	begin_guest();
	for (unsigned i = 0; i < burst; i++)
		CHECK_EQ(guest_send(nowhere, label), WEFT_EABSENT);
	CHECK_EQ(stats().asked_cnt, burst);
	CHECK_EQ(guest_send(nowhere, label), WEFT_EBUSY);
	CHECK_EQ(stats().asked_cnt, burst);
	relay_messages_stats(messages, &of_messages);
	CHECK_EQ(of_messages.over_rate_cnt, 1);
	/* A tenth of a second is one message. */
	run_ms(100);
	CHECK_EQ(guest_send(nowhere, label), WEFT_EABSENT);
	CHECK_EQ(guest_send(nowhere, label), WEFT_EBUSY);
	end_all();
}

static void test_a_peer_that_takes_no_flow_is_gone(void)
{
	uint8_t label[RELAY_MESSAGE_LABEL_LEN];
	const uint8_t nowhere[RELAY_KEY_LEN] = {9};
	struct end *peer;

	begin_guest();
	peer = end_add();
	peer->declines = true;
	CHECK_EQ(guest_send(nowhere, label), WEFT_EABSENT);
	CHECK_EQ(guest_send(guest_key, label), WEFT_EABSENT);
	CHECK_EQ(guest_send(node->key, label), WEFT_EABSENT);
	CHECK_EQ(refused_cnt, 0);
	CHECK_EQ(guest_send(peer->mesh->key, label), WEFT_EBUSY);
	run_ms(200);
	CHECK_EQ(refused_cnt, 1);
	CHECK_MEM(refused_peer, peer->mesh->key, RELAY_KEY_LEN);
	CHECK_EQ(open_cnt(), 0);
	CHECK_EQ(stats().end_cnt, 0);
	end_all();
}

static void test_flows_end_with_the_guest_or_the_peer(void)
{
	uint8_t label[RELAY_MESSAGE_LABEL_LEN];
	struct end *peer, *other;

	begin_guest();
	peer = end_add();
	other = end_add();
	CHECK_EQ(guest_send(peer->mesh->key, label), WEFT_EBUSY);
	CHECK(has_flow(peer));
	CHECK_EQ(guest_send(other->mesh->key, label), WEFT_EBUSY);
	CHECK(has_flow(other));
	session_end(other);
	CHECK_EQ(refused_cnt, 1);
	CHECK_MEM(refused_peer, other->mesh->key, RELAY_KEY_LEN);
	CHECK_EQ(open_cnt(), 1);
	is_there = false;
	run_ms(2000);
	CHECK_EQ(open_cnt(), 0);
	CHECK_EQ(peer->close_cnt, 1);
	CHECK_EQ(peer->close.why, RELAY_END_PEER_GONE);
	CHECK_EQ(stats().end_cnt, 0);
	end_all();
}

static void test_a_guest_that_leaves_meanwhile_opens_nothing(void)
{
	uint8_t label[RELAY_MESSAGE_LABEL_LEN];
	struct end *peer;

	begin_guest();
	peer = end_add();
	CHECK_EQ(guest_send(peer->mesh->key, label), WEFT_EBUSY);
	is_there = false;
	run_ms(200);
	CHECK_EQ(peer->offer_cnt, 1);
	CHECK_EQ(open_cnt(), 0);
	CHECK_EQ(stats().end_cnt, 0);
	end_all();
}

/* Its offer is out when the relay stops, or when its place goes to another. */
static void test_a_request_of_a_guest_may_be_taken_back(void)
{
	uint8_t label[RELAY_MESSAGE_LABEL_LEN];
	struct end *peer;

	begin_guest();
	peer = end_add();
	peer->is_silent = true;
	CHECK_EQ(guest_send(peer->mesh->key, label), WEFT_EBUSY);
	relay_broker_stop(broker);
	CHECK_EQ(refused_cnt, 1);
	CHECK_EQ(stats().end_cnt, 0);
	end_all();
}

/* --- flows to a guest --- */

/* opener asks for a flow to the guest, with two datagrams in front. */
static int open_to_guest(struct end *opener)
{
	static const uint8_t data[1200] = {0xc0};
	struct relay_open_message message = {
		.class = RELAY_CONTROL,
		.mtu = MTU,
		.first = {.cnt = 2,
			  .dgrams = {{.data = data, .len = sizeof(data)},
				     {.data = data, .len = 100}}}};

	memcpy(message.peer, guest_key, sizeof(message.peer));
	return open_by(opener, &message);
}

static void test_a_node_with_a_session_opens_a_flow_to_a_guest(void)
{
	const struct addr leg = addr_of_leg(guest_key, ADDR_LEG_GUEST);
	uint8_t label[RELAY_MESSAGE_LABEL_LEN];
	struct weft_relay_label of_guest;
	struct relay_flow_id id;
	struct end *opener;
	unsigned of;

	begin_guest();
	opener = end_add();
	CHECK_EQ(open_to_guest(opener), 0);
	CHECK_EQ(open_cnt(), 1);
	CHECK_MEM(opener->flow.peer, guest_key, RELAY_KEY_LEN);
	CHECK_EQ(opener->flow.mtu, MTU);
	id = relay_flow_of_number(opener->flow.flow, &of);
	CHECK_EQ(of, 0);
	CHECK(leg_is_at(id, 1, &leg));
	/* What came with the request is the guest's at once. */
	CHECK_EQ(delivered_cnt, 2);
	CHECK_EQ(delivered_len, 100);
	CHECK_MEM(delivered_peer, opener->mesh->key, RELAY_KEY_LEN);
	/* The guest answers by that flow, and needs no other. */
	CHECK_EQ(guest_send(opener->mesh->key, label), 0);
	memcpy(&of_guest, label, sizeof(of_guest));
	CHECK_EQ(weft_relay_leg(of_guest.head), 1);
	CHECK_EQ(opener->offer_cnt, 0);
	is_there = false;
	run_ms(2000);
	CHECK_EQ(open_cnt(), 0);
	CHECK_EQ(opener->close.why, RELAY_END_PEER_GONE);
	CHECK_EQ(stats().end_cnt, 0);
	CHECK_EQ(open_to_guest(opener), WEFT_EABSENT);
	end_all();
}

static void test_of_two_flows_a_guest_answers_by_the_newest(void)
{
	uint8_t label[RELAY_MESSAGE_LABEL_LEN];
	struct weft_relay_label of_guest;
	struct end *peer;

	begin_guest();
	peer = end_add();
	CHECK_EQ(guest_send(peer->mesh->key, label), WEFT_EBUSY);
	CHECK(has_flow(peer));
	CHECK_EQ(open_to_guest(peer), 0);
	CHECK_EQ(open_cnt(), 2);
	CHECK_EQ(guest_send(peer->mesh->key, label), 0);
	memcpy(&of_guest, label, sizeof(of_guest));
	CHECK_EQ(weft_relay_leg(of_guest.head), 1);
	CHECK_EQ(close_by(peer, peer->flow.flow), 0);
	CHECK_EQ(guest_send(peer->mesh->key, label), 0);
	memcpy(&of_guest, label, sizeof(of_guest));
	CHECK_EQ(weft_relay_leg(of_guest.head), 0);
	CHECK_EQ(refused_cnt, 0);
	session_end(peer);
	CHECK_EQ(refused_cnt, 1);
	end_all();
}

static void test_a_guest_has_as_many_flows_of_others_as_any_key(void)
{
	struct end *opener = NULL;

	begin_guest();
	for (unsigned i = 0; i < RELAY_ACCEPTED_MAX; i++) {
		if (i % RELAY_OPENED_MAX == 0)
			opener = end_add();
		CHECK_EQ(open_to_guest(opener), 0);
	}
	/* One more takes the place of a network's that has two more than the opener's. */
	CHECK_EQ(open_to_guest(opener), 0);
	CHECK_EQ(open_cnt(), RELAY_ACCEPTED_MAX);
	CHECK_EQ(delivered_cnt, 2 * (RELAY_ACCEPTED_MAX + 1));
	CHECK_EQ(refused_cnt, 0); /* its opener has others to the guest */
	/* Now none has. */
	CHECK_EQ(open_to_guest(opener), WEFT_EREFUSED);
	CHECK_EQ(open_cnt(), RELAY_ACCEPTED_MAX);
	end_all();
}

static void test_a_key_has_three_flows_to_guests_as_well(void)
{
	struct end *opener;

	begin_guest();
	opener = end_add();
	for (unsigned i = 0; i < RELAY_OPENED_MAX; i++)
		CHECK_EQ(open_to_guest(opener), 0);
	CHECK_EQ(open_to_guest(opener), WEFT_EREFUSED);
	CHECK_EQ(delivered_cnt, 2 * RELAY_OPENED_MAX);
	end_all();
}

int main(void)
{
	RUN(test_the_first_datagram_opens_a_flow_and_travels_along);
	RUN(test_a_guest_has_three_flows_and_hears_of_the_fourth);
	RUN(test_a_guests_requests_are_bounded_as_messages);
	RUN(test_a_peer_that_takes_no_flow_is_gone);
	RUN(test_flows_end_with_the_guest_or_the_peer);
	RUN(test_a_guest_that_leaves_meanwhile_opens_nothing);
	RUN(test_a_request_of_a_guest_may_be_taken_back);
	RUN(test_a_node_with_a_session_opens_a_flow_to_a_guest);
	RUN(test_of_two_flows_a_guest_answers_by_the_newest);
	RUN(test_a_guest_has_as_many_flows_of_others_as_any_key);
	RUN(test_a_key_has_three_flows_to_guests_as_well);
	return check_done();
}
