/* SPDX-License-Identifier: Apache-2.0 */
/* What neighbours say to each other of what they keep, so that each gets what it lacks (message 313). */
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "support/check.h"
#include "support/mesh_lab_wire.h"
#include "support/spread_net.h"
#include "weft/bytes.h"

static struct spread_net net;
static unsigned forged_cnt;

static size_t announce_make(uint8_t bytes[static 256], uint32_t number, uint8_t hop_cnt)
{
	static const uint8_t signature[NODE_KEY_SIG_LEN] = {1};
	uint8_t payload[100] = {0};
	const uint8_t provider[SERVICE_MESSAGE_ADDRESS_LEN] = {1};
	struct writer w = writer_of(bytes, 256);
	const struct service_message message = {.service = 2,
						.version = 1,
						.type = SERVICE_MESSAGE_ANNOUNCE,
						.provider = provider,
						.signature = signature,
						.hop_cnt = hop_cnt,
						.hop_max = 4,
						.ttl_hours = 72,
						.timestamp_s = MESH_LAB_WALL_S,
						.payload = payload,
						.payload_len = sizeof(payload)};

	weft_store_be32(payload, number);
	offers_message_write(&w, &message);
	return writer_len(&w);
}

static enum spread_verdict on_keep(void *ctx, const struct spread_message *message,
				   const char **out_why)
{
	struct spread_place *place = ctx;
	uint32_t number = weft_load_be32(message->parsed->payload);
	uint8_t hops = (uint8_t)(message->parsed->hop_cnt + 1);

	*out_why = "forged";
	if (number >= net.offer_cnt) {
		forged_cnt++;
		return SPREAD_REFUSED;
	}
	if (place->shelf.held[number]) {
		spread_net_nearer(place, number, hops, message->peer);
		return SPREAD_KNOWN;
	}
	spread_net_hold(place, number, hops);
	return SPREAD_NEW;
}

static void on_give(struct spread_place *place, const uint8_t *peer, uint32_t number)
{
	uint8_t bytes[256];
	struct spread_gift gift = {.bytes = bytes, .hop_cnt = place->shelf.hops[number]};

	gift.len = announce_make(bytes, place->shelf.is_lying ? UINT32_MAX : number, 0);
	offers_spread_give(place->node.spread, peer, &gift, net.lab.now_ns);
}

static void begin_with(const struct spread_net_params *params)
{
	net.handler = (struct spread_handler){.keep = on_keep};
	net.give = on_give;
	net.place_len = sizeof(struct spread_place);
	net.offer_cnt = SPREAD_NET_OFFERS_MAX;
	forged_cnt = 0;
	spread_net_begin(&net, params);
}

static void begin(unsigned cnt)
{
	begin_with(&(const struct spread_net_params){.node_cnt = cnt});
}

static void meet(unsigned from, unsigned to)
{
	spread_net_meet(&net, from, to);
	spread_net_tell(&net, from, to);
}

static void pass(uint64_t s)
{
	(void)mesh_lab_run(&net.lab, s * NS_PER_S, NULL, NULL);
}

static bool has(unsigned node, uint32_t number)
{
	return spread_net_place(&net, node)->shelf.held[number];
}

static unsigned held_cnt(unsigned node)
{
	unsigned cnt = 0;

	for (uint32_t i = 0; i < SPREAD_NET_OFFERS_MAX; i++)
		cnt += has(node, i);
	return cnt;
}

static void hold(unsigned node, uint32_t number)
{
	spread_net_hold(spread_net_place(&net, node), number, 0);
}

static void say(unsigned node, uint32_t number)
{
	struct spread_place *place = spread_net_place(&net, node);
	uint8_t bytes[256];
	size_t len = announce_make(bytes, number, 0);

	hold(node, number);
	(void)offers_spread_announce(place->node.spread, bytes, len, net.lab.now_ns);
	spread_net_wake(place);
}

static struct spread_stats stats_of(unsigned node)
{
	struct spread_stats stats;

	offers_spread_stats(spread_net_place(&net, node)->node.spread, &stats);
	return stats;
}

static void test_neighbours_that_the_flood_leaves_out_get_an_offer_a_second_later(void)
{
	unsigned cnt = 0;

	begin(13);
	for (unsigned i = 1; i < 13; i++)
		meet(0, i);
	pass(3);
	say(0, 7);
	(void)mesh_lab_run(&net.lab, 500 * NS_PER_MS, NULL, NULL);
	for (unsigned i = 1; i < 13; i++)
		cnt += has(i, 7);
	CHECK_EQ(cnt, 8);
	pass(2);
	for (unsigned i = 1; i < 13; i++)
		CHECK(has(i, 7));
	/* Each got it once. */
	CHECK_EQ(stats_of(0).given_cnt, 4);
	spread_net_end(&net);
}

/* Its first announce may come before the neighbours of the first relay have said what they are. */
static void test_an_announce_of_the_first_moments_goes_on_when_neighbours_say_what_they_are(void)
{
	begin(3);
	spread_net_meet(&net, 1, 2);
	spread_net_meet(&net, 0, 1);
	/* Node 1 has not heard yet that 2 is a service relay. */
	for (unsigned i = 0; i < 2; i++) {
		struct mesh_lab_session *sessions = spread_net_place(&net, 1)->node.node->sessions;

		if (memcmp(sessions[i].key, spread_net_place(&net, 2)->node.node->key,
			   MESH_KEY_LEN) == 0)
			sessions[i].caps = 0;
	}
	say(0, 7);
	(void)mesh_lab_run(&net.lab, 400 * NS_PER_MS, NULL, NULL);
	CHECK(has(1, 7) && !has(2, 7));
	for (unsigned i = 0; i < 2; i++)
		spread_net_place(&net, 1)->node.node->sessions[i].caps = MESH_CAP_SERVICE_RELAY;
	pass(3);
	CHECK(has(2, 7));
	spread_net_end(&net);
}

static void test_parts_that_meet_learn_of_all_that_the_other_keeps(void)
{
	begin(4);
	meet(0, 1);
	meet(2, 3);
	for (uint32_t i = 0; i < 200; i++)
		hold(i % 2 ? 0 : 3, i);
	spread_net_tell(&net, 0, 1);
	spread_net_tell(&net, 2, 3);
	pass(5);
	CHECK_EQ(held_cnt(1), 100);
	CHECK_EQ(held_cnt(2), 100);
	meet(1, 2);
	pass(10);
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQ(held_cnt(i), 200);
	/* Nothing more is said. */
	CHECK_EQ(stats_of(1).wanted_cnt, 200);
	pass(60);
	CHECK_EQ(stats_of(1).wanted_cnt, 200);
	CHECK_EQ(stats_of(1).unsent_cnt, 0);
	spread_net_end(&net);
}

static void test_in_a_line_of_ten_an_offer_goes_four_hops(void)
{
	begin(10);
	for (unsigned i = 1; i < 10; i++)
		meet(i - 1, i);
	hold(0, 7);
	spread_net_tell(&net, 0, 1);
	pass(60);
	for (unsigned i = 0; i < 10; i++)
		CHECK_EQ(has(i, 7), i <= 4);
	/* A nearer node keeps it as well: now it comes to four more. */
	hold(6, 7);
	spread_net_tell(&net, 6, 7);
	pass(60);
	for (unsigned i = 0; i < 10; i++)
		CHECK(has(i, 7));
	spread_net_end(&net);
}

static void test_a_neighbour_that_says_it_keeps_all_hides_nothing_of_others(void)
{
	begin(4);
	meet(0, 1);
	meet(2, 1);
	spread_net_place(&net, 0)->shelf.is_lying = true;
	spread_net_tell(&net, 0, 1);
	pass(5);
	CHECK_EQ(held_cnt(1), 0);
	CHECK(forged_cnt > 0);
	for (uint32_t i = 0; i < 50; i++)
		hold(2, i);
	spread_net_tell(&net, 2, 1);
	pass(5);
	CHECK_EQ(held_cnt(1), 50);
	spread_net_end(&net);
}

static void test_a_neighbour_that_is_no_service_relay_hears_nothing(void)
{
	begin(2);
	spread_net_place(&net, 1)->node.node->caps = MESH_CAP_CONTENT_SEED;
	meet(0, 1);
	hold(0, 7);
	spread_net_tell(&net, 0, 1);
	pass(5);
	CHECK_EQ(stats_of(0).tellings_cnt, 0);
	CHECK(!has(1, 7));
	spread_net_end(&net);
}

static struct mesh_lab_ask asked;

static int ask(unsigned from, unsigned to, const void *payload, size_t len)
{
	mesh_lab_ask(spread_net_place(&net, from)->node.node, spread_net_place(&net, to)->node.node,
		     MESH_OFFERS_KEPT, payload, len, &asked);
	return asked.reply.err;
}

static size_t kept_make(uint8_t payload[static STOCK_LEN_MAX], unsigned cnt, uint8_t hop_cnt)
{
	struct writer w = writer_of(payload, STOCK_LEN_MAX);
	struct stock_entry entries[STOCK_MAX] = {{.sequence = 1}};

	for (unsigned i = 0; i < cnt; i++) {
		entries[i] = (struct stock_entry){.sequence = 1, .hop_cnt = hop_cnt};
		weft_store_be32(entries[i].ref, i);
	}
	offers_stock_write(&w, entries, cnt);
	return writer_len(&w);
}

static void test_what_is_no_list_is_refused_and_so_is_what_came_too_far(void)
{
	uint8_t payload[STOCK_LEN_MAX];
	struct stock_lacks lacked;

	begin(2);
	CHECK_EQ(ask(0, 1, "x", 1), WEFT_EMALFORMED);
	CHECK_EQ(ask(0, 1, payload, kept_make(payload, 5, 4)), 0);
	CHECK_EQ(offers_lacks_parse(asked.reply.payload, asked.reply.payload_len, &lacked), 0);
	CHECK_EQ(lacked.cnt, 0);
	CHECK_EQ(ask(0, 1, payload, kept_make(payload, 5, 3)), 0);
	CHECK_EQ(offers_lacks_parse(asked.reply.payload, asked.reply.payload_len, &lacked), 0);
	CHECK_EQ(lacked.cnt, 5);
	CHECK_EQ(lacked.looked_cnt, 5);
	spread_net_end(&net);
}

static struct stock_lacks lacked_of(unsigned cnt)
{
	uint8_t payload[STOCK_LEN_MAX];
	struct stock_lacks lacked = {0};

	if (ask(0, 1, payload, kept_make(payload, cnt, 0)) < 0 ||
	    offers_lacks_parse(asked.reply.payload, asked.reply.payload_len, &lacked) < 0)
		mesh_lab_die("a list is refused");
	return lacked;
}

static void test_a_neighbour_is_asked_for_a_number_of_offers_in_a_message_and_not_one_more(void)
{
	struct stock_lacks lacked;

	begin(2);
	lacked = lacked_of(STOCK_LACKS_MAX);
	CHECK_EQ(lacked.cnt, STOCK_LACKS_MAX);
	CHECK_EQ(lacked.looked_cnt, STOCK_LACKS_MAX);
	lacked = lacked_of(STOCK_LACKS_MAX + 1);
	CHECK_EQ(lacked.cnt, STOCK_LACKS_MAX);
	CHECK_EQ(lacked.looked_cnt, STOCK_LACKS_MAX);
	spread_net_end(&net);
}

static void test_a_neighbour_is_asked_for_a_number_of_offers_in_a_minute_and_not_one_more(void)
{
	struct stock_lacks lacked;

	begin_with(&(const struct spread_net_params){.node_cnt = 2, .relayed_per_min = 100});
	lacked = lacked_of(40);
	CHECK_EQ(lacked.cnt, 40);
	lacked = lacked_of(40);
	CHECK_EQ(lacked.cnt, 11);
	CHECK_EQ(lacked.looked_cnt, 11);
	lacked = lacked_of(40);
	CHECK_EQ(lacked.cnt + lacked.looked_cnt, 0);
	pass(120);
	lacked = lacked_of(40);
	CHECK_EQ(lacked.cnt, 40);
	spread_net_end(&net);
}

static unsigned taken_cnt, refused_cnt;

static void on_reply(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	(void)arg, (void)now_ns;
	taken_cnt += reply->err == 0;
	refused_cnt += reply->err == WEFT_EREFUSED;
}

static void test_a_neighbour_says_its_number_of_lists_in_a_minute_and_not_one_more(void)
{
	static uint8_t replies[SPREAD_TOLD_PER_MIN + 1][STOCK_LACKS_LEN_MAX + MESH_FRAME_OVERHEAD];
	uint8_t payload[STOCK_LEN_MAX];
	struct mesh_request *request;
	struct mesh_ask list = {.type = MESH_OFFERS_KEPT,
				.payload = payload,
				.reply_cap = sizeof(replies[0]),
				.timeout_ns = 10 * NS_PER_S,
				.reply = on_reply};

	begin(3);
	meet(0, 1);
	meet(2, 1);
	pass(2);
	list.payload_len = kept_make(payload, 1, 4);
	memcpy(list.peer.key, spread_net_place(&net, 1)->node.node->key, MESH_KEY_LEN);
	taken_cnt = refused_cnt = 0;
	for (unsigned i = 0; i <= SPREAD_TOLD_PER_MIN; i++) {
		struct mesh_seam seam = mesh_lab_seam_of(spread_net_place(&net, 0)->node.node);

		list.reply_buf = replies[i];
		CHECK_EQ(seam.ops->ask(seam.mesh, &list, net.lab.now_ns, &request), 0);
	}
	spread_net_wake(spread_net_place(&net, 0));
	pass(5);
	CHECK_EQ(taken_cnt, SPREAD_TOLD_PER_MIN);
	CHECK_EQ(refused_cnt, 1);
	CHECK_EQ(ask(2, 1, payload, list.payload_len), 0);
	spread_net_end(&net);
}

int main(void)
{
	RUN(test_neighbours_that_the_flood_leaves_out_get_an_offer_a_second_later);
	RUN(test_an_announce_of_the_first_moments_goes_on_when_neighbours_say_what_they_are);
	RUN(test_parts_that_meet_learn_of_all_that_the_other_keeps);
	RUN(test_in_a_line_of_ten_an_offer_goes_four_hops);
	RUN(test_a_neighbour_that_says_it_keeps_all_hides_nothing_of_others);
	RUN(test_a_neighbour_that_is_no_service_relay_hears_nothing);
	RUN(test_what_is_no_list_is_refused_and_so_is_what_came_too_far);
	RUN(test_a_neighbour_is_asked_for_a_number_of_offers_in_a_message_and_not_one_more);
	RUN(test_a_neighbour_is_asked_for_a_number_of_offers_in_a_minute_and_not_one_more);
	RUN(test_a_neighbour_says_its_number_of_lists_in_a_minute_and_not_one_more);
	return check_done();
}
