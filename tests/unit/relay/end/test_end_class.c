/* SPDX-License-Identifier: Apache-2.0 */
/* The class of a flow: content where a grant allows it, control else. Both ends know it. */
#include <string.h>

#include "base/monotonic.h"
#include "end_flows.h"
#include "relay/end/relay_end.h"
#include "support/check.h"

#define NO_REQUEST ((enum relay_class)99)

/* The class of a request for a flow, and whether it shows a grant. */
struct asked {
	enum relay_class class;
	bool has_grant;
};

static struct asked asked_of(const struct mesh_request *request)
{
	struct relay_open_message open;

	if (!request ||
	    relay_message_open_parse(request->payload, request->ask.payload_len, &open) < 0)
		return (struct asked){NO_REQUEST, false};
	return (struct asked){open.class, open.grant_len > 0};
}

static struct mesh_request *ask_for_flow(void)
{
	(void)relay_end_rig_look(&rig, PEER);
	relay_end_rig_send(&rig, &rig.found, 1200, 1, 0);
	return relay_end_rig_asked(&rig, MESH_FLOW_OPEN);
}

static void begin(bool is_grant_of_content)
{
	relay_end_rig_init(&rig, NULL);
	rig.grant_len = 100;
	rig.is_grant_of_content = is_grant_of_content;
}

static void test_a_grant_of_content_opens_a_flow_of_content(void)
{
	struct relay_flow_message told = relay_end_rig_told(0, PEER, 1);
	struct mesh_request *request;

	begin(true);
	request = ask_for_flow();
	CHECK_EQ(asked_of(request).class, RELAY_CONTENT);
	CHECK(asked_of(request).has_grant);
	CHECK(addr_is_relayed(&rig.found));
	CHECK(!addr_is_relayed_control(&rig.found));
	/* The relay says the other class: it is another flow than the one that was asked for. */
	relay_end_rig_reply(&rig, request, 0, &told);
	CHECK_EQ(rig.event_cnts[RELAY_END_EVENT_OPENED], 0);
	relay_end_rig_fini(&rig);

	begin(true);
	told.class = RELAY_CONTENT;
	relay_end_rig_reply(&rig, ask_for_flow(), 0, &told);
	CHECK_EQ(rig.event_cnts[RELAY_END_EVENT_OPENED], 1);
	CHECK_EQ(rig.ended_err, 0);
	relay_end_rig_fini(&rig);
}

static void test_a_grant_of_control_opens_a_flow_of_control(void)
{
	struct mesh_request *request;

	begin(false);
	request = ask_for_flow();
	CHECK_EQ(asked_of(request).class, RELAY_CONTROL);
	CHECK(asked_of(request).has_grant);
	CHECK(addr_is_relayed_control(&rig.found));
	relay_end_rig_fini(&rig);
}

/* QUIC has the label of content: its handshake ends, and another one begins at the label of control. */
static void test_a_refused_grant_leads_to_another_flow_of_control(void)
{
	struct relay_flow_message told = relay_end_rig_told(0, PEER, 1);
	struct mesh_request *request;
	struct addr content;

	begin(true);
	request = ask_for_flow();
	content = rig.found;
	relay_end_rig_reply(&rig, request, WEFT_EREFUSED, NULL);
	relay_end_rig_run(&rig, 50 * NS_PER_MS);
	CHECK_EQ(rig.ended_cnt, 0);
	CHECK_EQ(rig.found_cnt, 2);
	CHECK(addr_equal(&rig.expelled, &content));
	CHECK(addr_is_relayed_control(&rig.found));
	relay_end_rig_send(&rig, &rig.found, 1200, 1, 0);
	request = relay_end_rig_asked(&rig, MESH_FLOW_OPEN);
	CHECK_EQ(asked_of(request).class, RELAY_CONTROL);
	CHECK(!asked_of(request).has_grant);
	relay_end_rig_reply(&rig, request, 0, &told);
	CHECK_EQ(rig.ended_cnt, 1);
	CHECK_EQ(rig.ended_err, 0);
	CHECK_EQ(rig.event_cnts[RELAY_END_EVENT_OPENED], 1);
	/* The next one at this relay begins without the grant. */
	(void)relay_end_rig_look(&rig, PEER + 1);
	CHECK(addr_is_relayed_control(&rig.found));
	relay_end_rig_fini(&rig);
}

/* The peer takes no flow at all: that says nothing of the grant. */
static void test_a_peer_that_declines_both_classes_does_not_cost_the_grant(void)
{
	begin(true);
	relay_end_rig_reply(&rig, ask_for_flow(), WEFT_EREFUSED, NULL);
	relay_end_rig_run(&rig, 50 * NS_PER_MS);
	relay_end_rig_send(&rig, &rig.found, 1200, 1, 0);
	relay_end_rig_reply(&rig, relay_end_rig_asked(&rig, MESH_FLOW_OPEN), WEFT_EREFUSED, NULL);
	relay_end_rig_run(&rig, 50 * NS_PER_MS);
	(void)relay_end_rig_look(&rig, PEER + 1);
	CHECK(!addr_is_relayed_control(&rig.found));
	relay_end_rig_fini(&rig);
}

/* A revoked grant ends the flow. It is opened again without it, and the session moves. */
static void test_a_flow_whose_grant_ended_goes_on_as_control(void)
{
	struct relay_flow_message told = relay_end_rig_told(0, PEER, 1);
	struct relay_flow_message again = relay_end_rig_told(0, PEER, 2);
	const struct relay_close_message over = {.flow = 1, .why = RELAY_END_GRANT};
	uint8_t key[MESH_KEY_LEN];
	struct mesh_request *request;
	struct addr content;

	begin(true);
	told.class = RELAY_CONTENT;
	relay_end_rig_reply(&rig, ask_for_flow(), 0, &told);
	content = rig.found;
	rig.grant_len = 0;
	relay_end_rig_key(0, key);
	CHECK(relay_end_closed(rig.end, key, &over, rig.now_ns));
	relay_end_rig_send(&rig, &content, 1200, 1, 0);
	relay_end_rig_run(&rig, 2 * NS_PER_S);
	request = relay_end_rig_asked(&rig, MESH_FLOW_OPEN);
	CHECK_EQ(asked_of(request).class, RELAY_CONTROL);
	CHECK_EQ(rig.moved_cnt, 0);
	relay_end_rig_reply(&rig, request, 0, &again);
	relay_end_rig_run(&rig, 50 * NS_PER_MS);
	CHECK_EQ(rig.event_cnts[RELAY_END_EVENT_REOPENED], 1);
	CHECK_EQ(rig.moved_cnt, 1);
	CHECK(addr_is_relayed_control(&rig.moved_to));
	CHECK_EQ(relay_end_len_max(rig.end, &content), 0);
	relay_end_rig_fini(&rig);
}

static void test_an_offer_of_content_is_accepted_as_content(void)
{
	struct relay_flow_message told = relay_end_rig_told(0, PEER, 1);

	relay_end_rig_init(&rig, NULL);
	rig.offer_class = RELAY_CONTENT;
	relay_end_rig_offer(&rig, 0, PEER, 1200);
	CHECK_EQ(rig.code, 0);
	relay_end_rig_flow(&rig, 0, &told);
	CHECK_EQ(rig.code, MESH_CODE_ABSENT); /* of control */
	told.class = RELAY_CONTENT;
	relay_end_rig_flow(&rig, 0, &told);
	CHECK_EQ(rig.code, 0);
	relay_end_rig_run(&rig, 10 * NS_PER_MS);
	CHECK(addr_is_relayed(&rig.delivered_at));
	CHECK(!addr_is_relayed_control(&rig.delivered_at));
	relay_end_rig_fini(&rig);
}

/* The opener's grant was refused after the offer: its flow of control is offered next. */
static void test_an_offer_of_another_class_replaces_one_that_was_never_open(void)
{
	struct relay_flow_message told = relay_end_rig_told(0, PEER, 1);
	struct addr content;

	relay_end_rig_init(&rig, NULL);
	rig.offer_class = RELAY_CONTENT;
	relay_end_rig_offer(&rig, 0, PEER, 1200);
	relay_end_rig_run(&rig, 10 * NS_PER_MS);
	content = rig.delivered_at;
	rig.offer_class = RELAY_CONTROL;
	relay_end_rig_offer(&rig, 0, PEER, 1200);
	CHECK_EQ(rig.code, 0);
	relay_end_rig_flow(&rig, 0, &told);
	CHECK_EQ(rig.code, 0);
	relay_end_rig_run(&rig, 10 * NS_PER_MS);
	CHECK(addr_equal(&rig.expelled, &content));
	CHECK(addr_is_relayed_control(&rig.delivered_at));
	CHECK_EQ(relay_end_rig_stats(&rig).accepted_now, 1);
	relay_end_rig_fini(&rig);
}

static void test_an_open_flow_that_is_offered_in_another_class_moves(void)
{
	struct relay_flow_message told = relay_end_rig_told(0, PEER, 1);
	struct relay_flow_message again = relay_end_rig_told(0, PEER, 2);

	relay_end_rig_init(&rig, NULL);
	rig.offer_class = told.class = RELAY_CONTENT;
	relay_end_rig_offer(&rig, 0, PEER, 1200);
	relay_end_rig_flow(&rig, 0, &told);
	relay_end_rig_run(&rig, 10 * NS_PER_MS);
	rig.offer_class = RELAY_CONTROL;
	relay_end_rig_offer(&rig, 0, PEER, 1200);
	CHECK_EQ(rig.code, 0);
	relay_end_rig_flow(&rig, 0, &again);
	CHECK_EQ(rig.code, 0);
	relay_end_rig_run(&rig, 10 * NS_PER_MS);
	CHECK_EQ(rig.moved_cnt, 1);
	CHECK(addr_is_relayed_control(&rig.moved_to));
	relay_end_rig_fini(&rig);
}

/* A day without a grant is used up, which bars what shows none. */
static void test_a_new_grant_is_shown_at_once_whatever_was_deferred(void)
{
	struct relay_flow_message told = relay_end_rig_told(0, PEER, 1);
	struct mesh_request *request;

	relay_end_rig_init(&rig, NULL);
	request = ask_for_flow();
	relay_end_rig_reply(&rig, request, 0, &told);
	rig.not_before_ns = rig.now_ns + 3600 * NS_PER_S;
	/* Its session ends and comes back; the flow is asked for again, and deferred. */
	rig.is_down[0] = true;
	{
		uint8_t key[MESH_KEY_LEN];

		relay_end_rig_key(0, key);
		relay_end_session(rig.end, key, false, rig.now_ns);
		rig.is_down[0] = false;
		relay_end_session(rig.end, key, true, rig.now_ns);
	}
	relay_end_rig_run(&rig, NS_PER_S);
	request = relay_end_rig_asked(&rig, MESH_FLOW_OPEN);
	CHECK(!asked_of(request).has_grant);
	relay_end_rig_reply(&rig, request, WEFT_EREFUSED, NULL);
	relay_end_rig_run(&rig, 20 * NS_PER_S);
	CHECK(!relay_end_rig_asked(&rig, MESH_FLOW_OPEN));
	CHECK_EQ(rig.undeferred_cnt, 0);
	rig.grant_len = 100;
	relay_end_granted(rig.end);
	relay_end_rig_run(&rig, 200 * NS_PER_MS);
	request = relay_end_rig_asked(&rig, MESH_FLOW_OPEN);
	CHECK(asked_of(request).has_grant);
	CHECK_EQ(rig.undeferred_cnt, 1);
	relay_end_rig_fini(&rig);
}

/* What the relay says to a request with a grant holds for the next of these. */
static void test_a_deferral_of_a_granted_request_is_kept(void)
{
	struct mesh_request *request;

	begin(false);
	request = ask_for_flow();
	CHECK_EQ(rig.undeferred_cnt, 1);
	rig.not_before_ns = rig.now_ns + 10 * NS_PER_S;
	relay_end_rig_reply(&rig, request, WEFT_EBUSY, NULL);
	(void)relay_end_rig_look(&rig, PEER + 1);
	relay_end_rig_send(&rig, &rig.found, 1200, 1, 0);
	CHECK(asked_of(relay_end_rig_asked(&rig, MESH_FLOW_OPEN)).has_grant);
	CHECK_EQ(rig.undeferred_cnt, 1);
	relay_end_rig_fini(&rig);
}

int main(void)
{
	RUN(test_a_grant_of_content_opens_a_flow_of_content);
	RUN(test_a_grant_of_control_opens_a_flow_of_control);
	RUN(test_a_refused_grant_leads_to_another_flow_of_control);
	RUN(test_a_peer_that_declines_both_classes_does_not_cost_the_grant);
	RUN(test_a_flow_whose_grant_ended_goes_on_as_control);
	RUN(test_an_offer_of_content_is_accepted_as_content);
	RUN(test_an_offer_of_another_class_replaces_one_that_was_never_open);
	RUN(test_an_open_flow_that_is_offered_in_another_class_moves);
	RUN(test_a_new_grant_is_shown_at_once_whatever_was_deferred);
	RUN(test_a_deferral_of_a_granted_request_is_kept);
	return check_done();
}
