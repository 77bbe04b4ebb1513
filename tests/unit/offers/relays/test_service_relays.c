/* SPDX-License-Identifier: Apache-2.0 */
/* Capabilities between neighbours: which of them relays which service. */
#include "offers/relays/service_relays.h"

#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "base/timer.h"
#include "support/check.h"
#include "support/mesh_lab.h"

#define NODES	  80u
#define LAB_NODES (RELAYS_PEER_CAP + 8)

struct place {
	struct mesh *node;
	struct node_key *key;
	struct service_relays *relays;
	struct timer_wheel timers;
	uint32_t services[8];
	unsigned service_cnt;
};

static struct mesh_lab lab;
static struct random dice;
static struct place places[NODES];
static unsigned place_cnt;
static const struct mem_link calm = {.delay_ns = 10 * NS_PER_MS, .mtu_len = MEM_DGRAM_LEN_MAX};

static unsigned on_rows(void *ctx, struct service_caps_row rows[static SERVICE_CAPS_ROWS_MAX])
{
	const struct place *place = ctx;

	for (unsigned i = 0; i < place->service_cnt; i++)
		rows[i] = (struct service_caps_row){place->services[i], SERVICE_ROLE_RELAY, 1};
	return place->service_cnt;
}

static void on_turn(void *ctx, uint64_t now_ns)
{
	timer_wheel_expire(&((struct place *)ctx)->timers, now_ns);
}

static uint64_t on_next_ns(void *ctx)
{
	return timer_wheel_next_ns(&((struct place *)ctx)->timers);
}

static uint64_t on_wall_s(void *ctx)
{
	(void)ctx;
	return mesh_lab_wall_s(&lab);
}

/* The node of this key cannot be asked; NULL: each can. */
static const uint8_t *ask_fails;
static struct mesh_ops failing_ops;
static int on_ask(struct mesh *mesh, const struct mesh_ask *ask, uint64_t now_ns,
		  struct mesh_request **out_request)
{
	if (ask_fails && memcmp(ask->peer.key, ask_fails, MESH_KEY_LEN) == 0)
		return WEFT_EFULL;
	return mesh_lab_seam_of(mesh).ops->ask(mesh, ask, now_ns, out_request);
}

static struct place *place_add(void)
{
	struct place *place = &places[place_cnt++];
	uint8_t seed[NODE_KEY_SEED_LEN] = {(uint8_t)place_cnt, 3};
	struct service_relays_params params = {
		.neighbours = &mesh_lab_neighbours,
		.timers = &place->timers,
		.random = &dice,
		.wall_s = on_wall_s,
		.rows = on_rows,
		.ctx = place,
	};

	*place =
		(struct place){.node = mesh_lab_add(&lab), .services = {1, 2, 3}, .service_cnt = 3};
	if (node_key_from_seed(seed, &place->key) < 0)
		abort();
	/* Capabilities are of the key that the session has. */
	memcpy(place->node->key, node_key_public(place->key), MESH_KEY_LEN);
	mesh_lab_up(place->node);
	place->node->caps = MESH_CAP_SERVICE_RELAY;
	timer_wheel_init(&place->timers, lab.now_ns);
	params.key = place->key;
	params.mesh = mesh_lab_seam_of(place->node);
	failing_ops = *params.mesh.ops;
	failing_ops.ask = on_ask;
	params.mesh.ops = &failing_ops;
	if (offers_relays_new(&params, &place->relays) < 0)
		abort();
	place->node->expire = on_turn;
	place->node->next_ns = on_next_ns;
	place->node->ctx = place;
	return place;
}

static void begin(unsigned cnt)
{
	random_init_seeded(&dice, 7);
	mesh_lab_init(&lab, 4, LAB_NODES, &calm);
	lab.idle_ns = 1000000 * NS_PER_S;
	place_cnt = 0;
	while (place_cnt < cnt)
		(void)place_add();
}

static void end_all(void)
{
	for (unsigned i = 0; i < place_cnt; i++) {
		offers_relays_free(places[i].relays);
		node_key_free(places[i].key);
	}
	mesh_lab_fini(&lab);
}

static void pass(uint64_t ns)
{
	for (unsigned i = 0; i < place_cnt; i++)
		places[i].node->due_ns = 0;
	(void)mesh_lab_run(&lab, ns, NULL, NULL);
}

static struct mesh_lab_ask asked;

/* An empty message, which asks alone; afterwards both have a session. */
static void ask_alone(struct place *from, const struct place *to)
{
	mesh_lab_ask(from->node, to->node, MESH_SERVICE_CAPS, NULL, 0, &asked);
}

static enum relays_word says(const struct place *at, const struct place *of, uint32_t service)
{
	return offers_relays_of(at->relays, of->node->key, service);
}

static struct service_relays_stats stats_of(const struct place *place)
{
	struct service_relays_stats stats;

	offers_relays_stats(place->relays, &stats);
	return stats;
}

static void test_one_exchange_tells_both_what_the_other_relays(void)
{
	begin(2);
	places[1].services[2] = 0x80000001;
	offers_relays_changed(places[1].relays, lab.now_ns);
	ask_alone(&places[0], &places[1]);
	CHECK_EQ(asked.reply.err, 0);
	CHECK_EQ(says(&places[0], &places[1], 1), RELAYS_UNKNOWN);
	offers_relays_session_up(places[0].relays, places[1].node->key, lab.now_ns);
	/* The side that was dialled says nothing by itself. */
	offers_relays_session_up(places[1].relays, places[0].node->key, lab.now_ns);
	pass(NS_PER_S);
	CHECK_EQ(says(&places[0], &places[1], 1), RELAYS_YES);
	CHECK_EQ(says(&places[0], &places[1], 3), RELAYS_NO);
	CHECK_EQ(says(&places[0], &places[1], 0x80000001), RELAYS_YES);
	CHECK_EQ(says(&places[1], &places[0], 3), RELAYS_YES);
	CHECK_EQ(says(&places[1], &places[0], 0x80000001), RELAYS_NO);
	CHECK_EQ(stats_of(&places[0]).said_cnt, 1);
	end_all();
}

static void test_a_relay_that_is_found_otherwise_is_asked_once(void)
{
	begin(2);
	ask_alone(&places[0], &places[1]);
	CHECK_EQ(says(&places[0], &places[1], 1), RELAYS_UNKNOWN);
	offers_relays_found(places[0].relays, places[1].node->key, lab.now_ns);
	offers_relays_found(places[0].relays, places[1].node->key, lab.now_ns);
	pass(NS_PER_S);
	CHECK_EQ(says(&places[0], &places[1], 1), RELAYS_YES);
	CHECK_EQ(stats_of(&places[0]).said_cnt, 1);
	offers_relays_found(places[0].relays, places[1].node->key, lab.now_ns);
	pass(NS_PER_S);
	CHECK_EQ(stats_of(&places[0]).said_cnt, 1);
	end_all();
}

static void test_an_empty_message_is_answered_with_the_three_of_the_core(void)
{
	struct service_caps caps;

	begin(2);
	ask_alone(&places[0], &places[1]);
	CHECK_EQ(asked.reply.err, 0);
	CHECK_EQ(offers_caps_parse(asked.reply.payload, asked.reply.payload_len, &caps), 0);
	CHECK_EQ(caps.row_cnt, 3);
	for (uint32_t service = 1; service <= 3; service++)
		CHECK_EQ(offers_caps_row(&caps, service)->roles, SERVICE_ROLE_RELAY);
	end_all();
}

static void test_all_neighbours_hear_a_change_within_a_second(void)
{
	begin(NODES);
	/* More of them than requests that may be on their way. */
	for (unsigned i = 1; i < NODES; i++)
		ask_alone(&places[i], &places[0]);
	offers_relays_changed(places[0].relays, lab.now_ns);
	pass(NS_PER_S);
	for (unsigned i = 1; i < NODES; i++)
		CHECK_EQ(says(&places[i], &places[0], 9), RELAYS_NO);
	/* Changes that follow each other do not put it off. */
	places[0].services[3] = 9;
	places[0].service_cnt = 4;
	for (unsigned n = 0; n < 10; n++) {
		offers_relays_changed(places[0].relays, lab.now_ns);
		pass(100 * NS_PER_MS);
	}
	for (unsigned i = 1; i < NODES; i++)
		CHECK_EQ(says(&places[i], &places[0], 9), RELAYS_YES);
	places[0].service_cnt = 3;
	offers_relays_changed(places[0].relays, lab.now_ns);
	pass(NS_PER_S);
	for (unsigned i = 1; i < NODES; i++)
		CHECK_EQ(says(&places[i], &places[0], 9), RELAYS_NO);
	end_all();
}

/* 70 of one network, more than requests there may be, are silent, and two of others are not. */
static void test_silent_neighbours_hold_up_no_other_network(void)
{
	const unsigned silent_cnt = 70;
	uint64_t said_cnt;

	begin(silent_cnt + 3);
	for (unsigned i = 1; i < place_cnt; i++)
		ask_alone(&places[0], &places[i]);
	pass(2 * NS_PER_S);
	for (unsigned i = 1; i <= silent_cnt; i++)
		mesh_lab_down(places[i].node);
	for (unsigned i = 0; i < places[0].node->session_cnt; i++) {
		struct mesh_lab_session *session = &places[0].node->sessions[i];

		for (unsigned k = 1; k <= silent_cnt; k++)
			if (memcmp(session->key, places[k].node->key, MESH_KEY_LEN) == 0)
				session->remote = (struct addr){.ip = {10, 9, 9, (uint8_t)k},
								.port = 7000,
								.family = ADDR_IPV4};
	}
	said_cnt = stats_of(&places[0]).said_cnt;
	places[0].services[2] = 0x80000009;
	offers_relays_changed(places[0].relays, lab.now_ns);
	pass(NS_PER_S);
	CHECK_EQ(says(&places[silent_cnt + 1], &places[0], 0x80000009), RELAYS_YES);
	CHECK_EQ(says(&places[silent_cnt + 2], &places[0], 0x80000009), RELAYS_YES);
	CHECK_EQ(stats_of(&places[0]).said_cnt - said_cnt, 2);
	CHECK(stats_of(&places[0]).put_off_cnt >= 2);
	/* Those that are silent are asked each minute, and none is asked twice at once. */
	pass(30 * NS_PER_S);
	CHECK_EQ(stats_of(&places[0]).unsaid_cnt, silent_cnt);
	end_all();
}

static void test_a_neighbour_that_cannot_be_asked_holds_up_no_other(void)
{
	begin(4);
	for (unsigned i = 1; i < 4; i++)
		ask_alone(&places[0], &places[i]);
	pass(NS_PER_S);
	ask_fails = places[2].node->key;
	places[0].services[2] = 0x80000009;
	offers_relays_changed(places[0].relays, lab.now_ns);
	pass(NS_PER_S);
	CHECK_EQ(says(&places[1], &places[0], 0x80000009), RELAYS_YES);
	CHECK(says(&places[2], &places[0], 0x80000009) != RELAYS_YES);
	CHECK_EQ(says(&places[3], &places[0], 0x80000009), RELAYS_YES);
	ask_fails = NULL;
	pass(61 * NS_PER_S);
	CHECK_EQ(says(&places[2], &places[0], 0x80000009), RELAYS_YES);
	end_all();
}

static void test_what_did_not_change_is_not_said_again(void)
{
	begin(2);
	ask_alone(&places[0], &places[1]);
	offers_relays_session_up(places[0].relays, places[1].node->key, lab.now_ns);
	pass(NS_PER_S);
	for (unsigned n = 0; n < 5; n++) {
		offers_relays_changed(places[0].relays, lab.now_ns);
		pass(NS_PER_S);
	}
	CHECK_EQ(stats_of(&places[0]).said_cnt, 1);
	end_all();
}

/* What places[0] says to places[1] of key's services at made_s. */
static int say_as(const struct node_key *key, uint64_t made_s, size_t cut, int flip)
{
	struct service_caps caps = {.made_s = made_s, .rows = {{7, 2, 1}}, .row_cnt = 1};
	uint8_t bytes[SERVICE_CAPS_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));

	offers_caps_write(&w, &caps, key);
	if (flip >= 0)
		bytes[flip] ^= 1;
	mesh_lab_ask(places[0].node, places[1].node, MESH_SERVICE_CAPS, bytes, writer_len(&w) - cut,
		     &asked);
	return asked.reply.err;
}

static void test_a_forged_list_is_dropped(void)
{
	uint64_t now_s;

	begin(3);
	now_s = mesh_lab_wall_s(&lab);
	CHECK_EQ(say_as(places[2].key, now_s, 0, -1), WEFT_EREFUSED);
	CHECK_EQ(say_as(places[0].key, now_s + 310, 0, -1), WEFT_EREFUSED);
	CHECK_EQ(say_as(places[0].key, now_s, 1, -1), WEFT_EREFUSED);
	for (int at = 0; at < 40; at += 7) {
		CHECK_EQ(say_as(places[0].key, now_s, 0, at), WEFT_EREFUSED);
		(void)mesh_lab_run(&lab, 10 * NS_PER_S, NULL, NULL);
	}
	CHECK_EQ(says(&places[1], &places[0], 7), RELAYS_UNKNOWN);
	CHECK_EQ(says(&places[1], &places[2], 7), RELAYS_UNKNOWN);
	CHECK_EQ(stats_of(&places[1]).forged_cnt, 9);
	CHECK_EQ(say_as(places[0].key, now_s, 0, -1), 0);
	CHECK_EQ(says(&places[1], &places[0], 7), RELAYS_YES);
	end_all();
}

static void test_an_older_list_does_not_come_back(void)
{
	uint64_t now_s;

	begin(2);
	now_s = mesh_lab_wall_s(&lab);
	CHECK_EQ(say_as(places[0].key, now_s, 0, -1), 0);
	offers_relays_changed(places[0].relays, lab.now_ns);
	pass(2 * NS_PER_S);
	CHECK_EQ(say_as(places[0].key, now_s - 5, 0, -1), 0);
	CHECK_EQ(stats_of(&places[1]).heard_cnt, 1);
	end_all();
}

static void test_so_many_lists_are_taken_in_a_minute_and_one_more_is_not(void)
{
	begin(2);
	for (unsigned n = 0; n < RELAYS_SAID_PER_MIN; n++)
		CHECK_EQ(say_as(places[0].key, mesh_lab_wall_s(&lab), 0, -1), 0);
	CHECK_EQ(say_as(places[0].key, mesh_lab_wall_s(&lab), 0, -1), WEFT_EREFUSED);
	CHECK_EQ(stats_of(&places[1]).rate_cnt, 1);
	end_all();
}

static void test_a_full_table_holds_no_more_and_answers_all(void)
{
	uint8_t bytes[SERVICE_CAPS_LEN_MAX];
	unsigned known_cnt = 0;

	begin(1);
	for (unsigned n = 0; n <= RELAYS_PEER_CAP; n++) {
		const uint8_t seed[NODE_KEY_SEED_LEN] = {(uint8_t)n, (uint8_t)(n >> 8), 77};
		struct service_caps caps = {
			.made_s = mesh_lab_wall_s(&lab), .rows = {{7, 2, 1}}, .row_cnt = 1};
		struct writer w = writer_of(bytes, sizeof(bytes));
		struct mesh *node = mesh_lab_add(&lab);
		struct node_key *key;

		if (node_key_from_seed(seed, &key) < 0)
			abort();
		memcpy(node->key, node_key_public(key), MESH_KEY_LEN);
		mesh_lab_up(node);
		offers_caps_write(&w, &caps, key);
		mesh_lab_ask(node, places[0].node, MESH_SERVICE_CAPS, bytes, writer_len(&w),
			     &asked);
		CHECK_EQ(asked.reply.err, 0);
		node_key_free(key);
		CHECK_EQ(stats_of(&places[0]).peer_cnt,
			 n < RELAYS_PEER_CAP ? n + 1 : RELAYS_PEER_CAP);
	}
	/* The one more took a place, or had none to take. */
	for (unsigned i = 1; i < lab.node_cnt; i++)
		known_cnt += offers_relays_of(places[0].relays, lab.nodes[i].key, 7) == RELAYS_YES;
	CHECK_EQ(known_cnt, RELAYS_PEER_CAP);
	end_all();
}

int main(void)
{
	RUN(test_one_exchange_tells_both_what_the_other_relays);
	RUN(test_a_relay_that_is_found_otherwise_is_asked_once);
	RUN(test_an_empty_message_is_answered_with_the_three_of_the_core);
	RUN(test_all_neighbours_hear_a_change_within_a_second);
	RUN(test_silent_neighbours_hold_up_no_other_network);
	RUN(test_a_neighbour_that_cannot_be_asked_holds_up_no_other);
	RUN(test_what_did_not_change_is_not_said_again);
	RUN(test_a_forged_list_is_dropped);
	RUN(test_an_older_list_does_not_come_back);
	RUN(test_so_many_lists_are_taken_in_a_minute_and_one_more_is_not);
	RUN(test_a_full_table_holds_no_more_and_answers_all);
	return check_done();
}
