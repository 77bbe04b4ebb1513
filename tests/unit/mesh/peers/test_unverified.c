/* SPDX-License-Identifier: Apache-2.0 */
/* How few dials unknown peers can make this node begin by what they tell. */
#include "mesh/peers/unverified.h"

#include <string.h>

#include "support/check.h"
#include "support/mesh_rig.h"

#define S   1000000000ull
#define MIN (60 * S)

static struct mesh_unverified unverified;

static bool take(const char *text, uint64_t now_ns)
{
	struct addr addr;

	if (addr_parse(text, &addr) < 0)
		abort();
	return mesh_unverified_take(&unverified, &addr, now_ns);
}

static void test_an_address_is_dialled_once_an_hour_whatever_its_port(void)
{
	memset(&unverified, 0, sizeof(unverified));
	CHECK(take("192.0.2.1:7000", 1000 * S));
	CHECK(!take("192.0.2.1:7000", 1000 * S));
	CHECK(!take("192.0.2.1:53", 1000 * S + 3599 * S));
	CHECK(take("192.0.2.1:53", 1000 * S + 3600 * S));
	CHECK(take("[2001:db8::1]:1", 1000 * S));
	CHECK(!take("[2001:db8::1]:2", 1001 * S));
	CHECK_EQ(unverified.refused_cnt, 3);
}

static void test_an_address_that_showed_a_key_is_dialled_for_it(void)
{
	struct addr addr;

	memset(&unverified, 0, sizeof(unverified));
	CHECK_EQ(addr_parse("192.0.2.1:7000", &addr), 0);
	CHECK(take("192.0.2.1:7000", 1000 * S));
	mesh_unverified_answered(&unverified, &addr);
	CHECK(take("192.0.2.1:7000", 1001 * S));
	CHECK(!take("192.0.2.1:7000", 1002 * S)); /* the second dial has shown nothing yet */
	CHECK_EQ(mesh_unverified_recent(&unverified, 1002 * S), 2);
}

/* The address as an answer of STUN names it. */
static void answer_from(const char *text, uint64_t now_ns)
{
	struct addr addr;

	if (addr_parse(text, &addr) < 0)
		abort();
	mesh_unverified_there(&unverified, &addr, now_ns);
}

static bool ask_of(const char *text, uint64_t now_ns)
{
	struct addr addr;

	if (addr_parse(text, &addr) < 0)
		abort();
	return mesh_unverified_ask(&unverified, &addr, now_ns);
}

static void test_a_silent_address_is_asked_each_two_seconds(void)
{
	struct addr addr;

	memset(&unverified, 0, sizeof(unverified));
	CHECK(!ask_of("192.0.2.1:7000", 1000 * S)); /* it was not dialled */
	CHECK(take("192.0.2.1:7000", 1000 * S));
	CHECK(ask_of("192.0.2.1:7000", 1001 * S));
	CHECK(!ask_of("192.0.2.1:7000", 1003 * S - 1));
	CHECK(ask_of("192.0.2.1:7000", 1003 * S));
	CHECK(!ask_of("192.0.2.2:7000", 1010 * S)); /* no address of its host was dialled */
	CHECK(!ask_of("192.0.2.1:7000", 4600 * S));
	CHECK(take("192.0.2.1:7000", 4600 * S));
	CHECK_EQ(addr_parse("192.0.2.1:7000", &addr), 0);
	mesh_unverified_answered(&unverified, &addr);
	CHECK(!ask_of("192.0.2.1:7000", 4610 * S));
}

static void test_a_silent_address_that_answers_is_dialled_eight_times_an_hour(void)
{
	memset(&unverified, 0, sizeof(unverified));
	CHECK(take("192.0.2.1:7000", 1000 * S));
	answer_from("192.0.2.1:53", 1001 * S); /* another program of that host */
	CHECK(!take("192.0.2.1:7000", 1005 * S));
	answer_from("192.0.2.1:7000", 1001 * S);
	CHECK(!take("192.0.2.1:7000", 1004 * S - 1));
	CHECK(!take("192.0.2.1:53", 1004 * S));
	CHECK(take("192.0.2.1:7000", 1004 * S));
	CHECK(!take("192.0.2.1:7000", 1010 * S)); /* it has to answer after each dial */
	for (unsigned i = 2; i < MESH_UNVERIFIED_AGAIN_MAX; i++) {
		answer_from("192.0.2.1:7000", (1000 + 100 * i) * S);
		CHECK(take("192.0.2.1:7000", (1000 + 100 * i) * S));
	}
	answer_from("192.0.2.1:7000", 2000 * S);
	CHECK(!take("192.0.2.1:7000", 2000 * S));
	answer_from("192.0.2.1:7000", 4600 * S);
	CHECK(take("192.0.2.1:7000", 4600 * S));
}

/* Both are behind one NAT, and one of them is down. */
static void test_a_silent_node_hides_no_other_at_its_host(void)
{
	memset(&unverified, 0, sizeof(unverified));
	CHECK(take("192.0.2.1:7000", 1000 * S));
	CHECK(!take("192.0.2.1:7001", 1001 * S));
	CHECK(ask_of("192.0.2.1:7001", 1001 * S));
	CHECK(!ask_of("192.0.2.1:7001", 1003 * S - 1));
	CHECK(!take("192.0.2.1:7001", 1002 * S)); /* it has not answered */
	answer_from("192.0.2.1:7001", 1002 * S);
	CHECK(!take("192.0.2.1:7000", 1010 * S));
	CHECK(take("192.0.2.1:7001", 1002 * S));
	/* From then on it is a silent address like others. */
	CHECK(!take("192.0.2.1:7001", 1010 * S));
	answer_from("192.0.2.1:7001", 1003 * S);
	CHECK(!take("192.0.2.1:7001", 1006 * S - 1));
	CHECK(take("192.0.2.1:7001", 1006 * S));
	answer_from("192.0.2.1:7001", 1007 * S);
	CHECK(!take("192.0.2.1:7001", 1011 * S)); /* four in the minute, the question among them */
	CHECK(take("192.0.2.1:7001", 1061 * S));
	CHECK_EQ(mesh_unverified_recent(&unverified, 1061 * S), 3);
}

/* A peer that names a victim's ports has questions sent as seldom as dials. */
static bool take_web(const char *text, uint64_t now_ns)
{
	struct addr addr;

	if (addr_parse(text, &addr) < 0)
		abort();
	return mesh_unverified_take_web(&unverified, &addr, now_ns);
}

static void test_a_host_gets_one_websocket_an_hour_until_it_answers(void)
{
	struct addr addr;

	memset(&unverified, 0, sizeof(unverified));
	CHECK(take_web("tcp:192.0.2.1:7001", 1000 * S));
	CHECK(!take_web("tcp:192.0.2.1:443", 1000 * S + 3599 * S));
	CHECK(take_web("tcp:192.0.2.1:443", 1000 * S + 3600 * S));
	CHECK_EQ(unverified.refused_cnt, 1);
	/* Its silence bars no dial by QUIC. */
	CHECK(take("192.0.2.1:7000", 1000 * S + 3700 * S));
	CHECK_EQ(addr_parse("tcp:192.0.2.1:443", &addr), 0);
	mesh_unverified_answered(&unverified, &addr);
	CHECK(take_web("tcp:192.0.2.1:443", 1000 * S + 3800 * S));
	/* It is one of the four of its network in a minute. */
	memset(&unverified, 0, sizeof(unverified));
	CHECK(take_web("tcp:192.0.2.1:7001", 1000 * S));
	for (unsigned i = 2; i <= MESH_UNVERIFIED_NETWORK_PER_MIN; i++) {
		char text[32];

		snprintf(text, sizeof(text), "192.0.2.%u:7000", i);
		CHECK(take(text, 1001 * S));
	}
	CHECK(!take("192.0.2.99:7000", 1001 * S));
}

static void test_an_address_that_was_never_dialled_is_asked_sixteen_times(void)
{
	unsigned cnt = 0;

	memset(&unverified, 0, sizeof(unverified));
	CHECK(take("192.0.2.1:7000", 1000 * S));
	for (unsigned i = 0; i < 100; i++)
		cnt += ask_of("192.0.2.1:7007", (1010 + 3 * i) * S);
	CHECK_EQ(cnt, MESH_UNVERIFIED_ASKS_MAX);
}

static void test_an_address_that_answered_is_asked_when_another_port_is_silent(void)
{
	struct addr addr;

	memset(&unverified, 0, sizeof(unverified));
	CHECK(take("192.0.2.1:7000", 1000 * S));
	CHECK_EQ(addr_parse("192.0.2.1:7000", &addr), 0);
	mesh_unverified_answered(&unverified, &addr);
	CHECK(take("192.0.2.1:7007", 1001 * S)); /* a dead port */
	CHECK(!take("192.0.2.1:7000", 1100 * S));
	CHECK(ask_of("192.0.2.1:7000", 1101 * S));
	answer_from("192.0.2.1:7000", 1101 * S);
	CHECK(take("192.0.2.1:7000", 1102 * S));
}

static void test_questions_count_as_dials(void)
{
	char text[ADDR_TEXT_CAP];
	unsigned cnt = 0;

	memset(&unverified, 0, sizeof(unverified));
	CHECK(take("192.0.2.1:7000", 1000 * S));
	for (unsigned port = 1; port <= 100; port++) {
		snprintf(text, sizeof(text), "192.0.2.1:%u", port);
		cnt += ask_of(text, 1001 * S);
	}
	CHECK_EQ(cnt, MESH_UNVERIFIED_NETWORK_PER_MIN - 1);
	CHECK_EQ(mesh_unverified_recent(&unverified, 1001 * S), MESH_UNVERIFIED_NETWORK_PER_MIN);
	CHECK(!take("192.0.2.2:7000", 1002 * S));
	CHECK(ask_of("192.0.2.1:101", 1060 * S));
}

static void test_a_network_has_four_a_minute(void)
{
	static const char *const rows[2][6] = {
		{"192.0.2.1:1", "192.0.2.2:1", "192.0.2.3:1", "192.0.2.4:1", "192.0.2.5:1",
		 "192.0.3.1:1"},
		{"[2001:db8::1]:1", "[2001:db8:0:1::1]:1", "[2001:db8:0:2::1]:1",
		 "[2001:db8:0:3::1]:1", "[2001:db8:0:4::1]:1", "[2001:db8:0:100::1]:1"},
	};

	for (unsigned i = 0; i < 2; i++) {
		memset(&unverified, 0, sizeof(unverified));
		for (unsigned k = 0; k < 4; k++)
			CHECK(take(rows[i][k], 1000 * S));
		CHECK(!take(rows[i][4], 1000 * S + 59 * S));
		CHECK(take(rows[i][5], 1000 * S + 59 * S));
		CHECK(take(rows[i][4], 1000 * S + MIN));
	}
}

static void test_all_networks_have_32_a_minute(void)
{
	unsigned cnt = 0;
	char text[32];

	memset(&unverified, 0, sizeof(unverified));
	for (unsigned i = 0; i < 100; i++) {
		snprintf(text, sizeof(text), "8.%u.1.1:1", i);
		cnt += take(text, 1000 * S);
	}
	CHECK_EQ(cnt, MESH_UNVERIFIED_PER_MIN);
	CHECK(!take("9.1.1.1:1", 1000 * S + MIN - 1));
	CHECK(take("9.1.1.1:1", 1000 * S + MIN));
}

/* However fast they are told, those of an hour are remembered. */
static void test_an_hour_of_dials_is_remembered(void)
{
	char text[32];

	memset(&unverified, 0, sizeof(unverified));
	for (unsigned minute = 0; minute < 60; minute++)
		for (unsigned i = 0; i < MESH_UNVERIFIED_PER_MIN; i++) {
			snprintf(text, sizeof(text), "8.%u.%u.1:1", minute, i);
			CHECK(take(text, minute * MIN));
		}
	CHECK(!take("8.0.0.1:1", 60 * MIN - 1));
	CHECK(take("8.0.0.1:1", 60 * MIN));
}

static void test_a_site_shares_no_network(void)
{
	char text[32];

	memset(&unverified, 0, sizeof(unverified));
	for (unsigned i = 0; i < MESH_UNVERIFIED_PER_MIN; i++) {
		snprintf(text, sizeof(text), "127.0.0.1:%u", 7000 + i);
		CHECK(take(text, 1000 * S));
	}
	CHECK(!take("127.0.0.1:7000", 1001 * S + MIN));
	CHECK(take("127.0.0.1:8000", 1001 * S + MIN));
}

static struct rig rig;

static unsigned dialled_cnt(void)
{
	return rig.nodes[0].end->dial_cnt;
}

static void connect_done(void *arg, int err, const uint8_t *actual_key)
{
	(void)actual_key;
	*(int *)arg = err;
}

static int connect_to(unsigned idx, bool is_unverified)
{
	const struct addr addr = pair_addr(idx + 1);
	struct mesh_peer peer = {.addrs = &addr, .addr_cnt = 1, .told_cnt = is_unverified};
	int result = 1;

	memset(peer.key, (int)idx + 1, sizeof(peer.key));
	if (mesh_connect(rig.nodes[0].mesh,
			 &(struct mesh_connect){.peer = &peer,
						.timeout_ns = 2 * S,
						.done = connect_done,
						.arg = &result},
			 rig.net.now_ns) < 0)
		return -1;
	pair_net_run(&rig.net, 3 * S);
	return result;
}

static void test_an_unverified_address_is_dialled_anew_once_it_is_validated(void)
{
	rig_init(&rig, 2);
	CHECK_EQ(connect_to(1, true), 0);
	for (unsigned i = 0; i < 3; i++) {
		mesh_goodbye(rig.nodes[1].mesh, 0, 0, rig.net.now_ns);
		pair_net_run(&rig.net, 5 * S);
		rig_kill(&rig, 1);
		rig_revive(&rig, 1, pair_addr(2));
		CHECK_EQ(connect_to(1, true), 0);
	}
	rig_fini(&rig);
}

static void test_an_unverified_address_without_a_node_costs_one_dial(void)
{
	rig_init(&rig, 1);
	CHECK(connect_to(3, true) != 0);
	CHECK_EQ(dialled_cnt(), 1);
	CHECK_EQ(rig.nodes[0].end->unheard_max, MESH_UNVERIFIED_DGRAM_MAX);
	for (unsigned i = 0; i < 10; i++)
		CHECK(connect_to(3, true) != 0);
	CHECK_EQ(dialled_cnt(), 1);
	/* What an operator names is dialled. */
	CHECK(connect_to(3, false) != 0);
	CHECK_EQ(dialled_cnt(), 2);
	CHECK_EQ(rig.nodes[0].end->unheard_max, 0);
	rig_fini(&rig);
}

/* Else an unknown peer would be chosen for having told where it is. */
static void test_a_dial_makes_a_peer_chosen_only_when_it_was_asked_for(void)
{
	const struct addr addr = pair_addr(2);
	struct mesh_peer peer = {.addrs = &addr, .addr_cnt = 1, .is_wanted = true};
	int result = 1;

	memset(peer.key, 2, sizeof(peer.key));
	rig_init(&rig, 2);
	CHECK_EQ(connect_to(1, true), 0);
	CHECK_EQ(mesh_peer_class(rig.nodes[0].mesh, peer.key), FAIR_UNKNOWN);
	CHECK_EQ(mesh_peer_class(rig.nodes[1].mesh, rig.nodes[0].end->key), FAIR_UNKNOWN);
	/* A person asks for it: chosen as long as the session is there. */
	CHECK_EQ(mesh_connect(rig.nodes[0].mesh,
			      &(struct mesh_connect){.peer = &peer,
						     .timeout_ns = 2 * S,
						     .done = connect_done,
						     .arg = &result},
			      rig.net.now_ns),
		 0);
	pair_net_run(&rig.net, S);
	CHECK_EQ(result, 0);
	CHECK_EQ(mesh_peer_class(rig.nodes[0].mesh, peer.key), FAIR_CHOSEN);
	pair_net_close_dialled(&rig.net, 0);
	pair_net_run(&rig.net, S);
	CHECK_EQ(mesh_peer_class(rig.nodes[0].mesh, peer.key), FAIR_UNKNOWN);
	rig_fini(&rig);
}

/* A spammer stores a hundred providers, all of them at a victim's address. */
static void test_a_hundred_keys_at_one_address_cost_one_dial(void)
{
	const struct addr victim = pair_addr(99);
	int result;

	rig_init(&rig, 1);
	for (unsigned i = 0; i < 100; i++) {
		struct mesh_peer peer = {.addrs = &victim, .addr_cnt = 1, .told_cnt = 1};

		memset(peer.key, 100 + (int)i, sizeof(peer.key));
		CHECK_EQ(mesh_connect(rig.nodes[0].mesh,
				      &(struct mesh_connect){.peer = &peer,
							     .timeout_ns = S,
							     .done = connect_done,
							     .arg = &result},
				      rig.net.now_ns),
			 0);
		pair_net_run(&rig.net, 2 * S);
	}
	CHECK_EQ(dialled_cnt(), 1);
	rig_fini(&rig);
}

/* A peer may announce any address: its own path is what is dialled again. */
static void test_addresses_of_a_hello_are_reported(void)
{
	struct mesh_config config;
	unsigned before;

	memset(&rig, 0, sizeof(rig));
	pair_net_init(&rig.net);
	mesh_config_defaults(&config);
	rig_add(&rig, 0, &config, NULL, RIG_WALL_S);
	for (unsigned i = 0; i < 8; i++)
		config.addrs[i] = pair_addr(50 + i);
	config.addr_cnt = 8;
	rig_add(&rig, 1, &config, NULL, RIG_WALL_S);
	CHECK_EQ(connect_to(1, false), 0);
	mesh_goodbye(rig.nodes[1].mesh, 0, 0, rig.net.now_ns);
	pair_net_run(&rig.net, 60 * S);
	rig_kill(&rig, 1);
	for (unsigned i = 0; i < 5; i++) {
		struct mesh_peer peer = {.addr_cnt = 0};
		int result;

		memset(peer.key, 2, sizeof(peer.key));
		before = dialled_cnt();
		CHECK_EQ(mesh_connect(rig.nodes[0].mesh,
				      &(struct mesh_connect){.peer = &peer,
							     .timeout_ns = 20 * S,
							     .done = connect_done,
							     .arg = &result},
				      rig.net.now_ns),
			 0);
		pair_net_run(&rig.net, 30 * S);
		CHECK_EQ(dialled_cnt() - before, i ? 1 : 9);
	}
	rig_fini(&rig);
}

int main(void)
{
	RUN(test_an_address_is_dialled_once_an_hour_whatever_its_port);
	RUN(test_an_address_that_showed_a_key_is_dialled_for_it);
	RUN(test_a_silent_address_is_asked_each_two_seconds);
	RUN(test_a_silent_address_that_answers_is_dialled_eight_times_an_hour);
	RUN(test_a_silent_node_hides_no_other_at_its_host);
	RUN(test_questions_count_as_dials);
	RUN(test_a_host_gets_one_websocket_an_hour_until_it_answers);
	RUN(test_an_address_that_was_never_dialled_is_asked_sixteen_times);
	RUN(test_an_address_that_answered_is_asked_when_another_port_is_silent);
	RUN(test_a_network_has_four_a_minute);
	RUN(test_all_networks_have_32_a_minute);
	RUN(test_an_hour_of_dials_is_remembered);
	RUN(test_a_site_shares_no_network);
	RUN(test_an_unverified_address_is_dialled_anew_once_it_is_validated);
	RUN(test_an_unverified_address_without_a_node_costs_one_dial);
	RUN(test_a_dial_makes_a_peer_chosen_only_when_it_was_asked_for);
	RUN(test_a_hundred_keys_at_one_address_cost_one_dial);
	RUN(test_addresses_of_a_hello_are_reported);
	return check_done();
}
