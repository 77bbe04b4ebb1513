/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a NAT's mappings is found, for NATs that forget after 10, 30 and 300 s. The test plays all. */
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "base/random.h"
#include "reachability/nat_life.h"
#include "support/check.h"

static struct {
	uint64_t life_ns, used_ns; /* of the mapping */
	bool is_there;		   /* else no NAT */
	uint8_t host;		   /* the last byte of its address */
	enum addr_family family;
	unsigned sent_cnt, asked_cnt, changed_cnt, measured_cnt;
	bool refuses, is_deaf;
	/* A probe that the helper owes. */
	uint64_t probe_ns;
	uint8_t ticket[PATH_TICKET_LEN];
	/* An answer of STUN that is under way. */
	bool has_answer;
	uint8_t answer[STUN_WRITE_CAP];
	size_t answer_len;
	struct mesh_ask ask;
	bool has_ask;
} world;

static struct nat_life life;
static struct timer_wheel timers;
static struct random rng;
static uint64_t now_ns;
static bool has_helper;
static enum addr_family helper_family;

static struct addr addr_of(const char *text)
{
	struct addr addr = {.family = ADDR_NONE};

	if (addr_parse(text, &addr) < 0)
		abort();
	return addr;
}

/* A firewall of IPv6 leaves the address as it is. */
static struct addr outside(void)
{
	struct addr addr;

	if (world.family == ADDR_IPV6) {
		addr = addr_of("[2001:db8:1::2]:4000");
		addr.ip[15] = world.host;
		return addr;
	}
	addr = addr_of(world.is_there ? "198.51.100.1:4000" : "192.168.1.2:4000");

	if (world.is_there)
		addr.ip[3] = world.host;
	return addr;
}

static void on_send(void *port, const struct addr *to, const uint8_t *data, size_t len)
{
	struct stun_message request;
	struct addr seen = outside();

	(void)port, (void)to;
	world.sent_cnt++;
	world.used_ns = now_ns;
	if (world.is_deaf || stun_read(data, len, &request) < 0)
		return;
	world.answer_len = stun_write_success(&request, &seen, world.answer);
	world.has_answer = true;
}

static int op_ask(struct mesh *mesh, const struct mesh_ask *ask, uint64_t at_ns,
		  struct mesh_request **out_request)
{
	struct path_send_probe message;

	(void)mesh;
	if (reachability_send_probe_parse(ask->payload, ask->payload_len, &message) < 0)
		abort();
	world.asked_cnt++;
	world.ask = *ask;
	world.has_ask = true;
	if (!world.refuses) {
		world.probe_ns = at_ns + message.after_s * NS_PER_S;
		memcpy(world.ticket, message.ticket, sizeof(world.ticket));
	}
	*out_request = (struct mesh_request *)&world;
	return 0;
}

static void op_cancel(struct mesh_request *request)
{
	(void)request;
}

static const struct mesh_ops ops = {.ask = op_ask, .cancel = op_cancel};

static bool op_next(struct mesh *mesh, struct mesh_walk *walk, struct mesh_neighbour *out_neighbour)
{
	(void)mesh;
	if (!has_helper || walk->entry)
		return false;
	walk->entry = (void *)&world;
	*out_neighbour = (struct mesh_neighbour){.is_connected = true, .is_dialled = true};
	out_neighbour->remote =
		addr_of(helper_family == ADDR_IPV6 ? "[2001:db8:9::9]:7000" : "203.0.113.9:7000");
	return true;
}

static const struct mesh_neighbour_ops neighbours = {.next = op_next};

static unsigned on_own(void *ctx, struct addr addrs[static MESH_PEER_ADDRS_MAX])
{
	(void)ctx;
	addrs[0] = addr_of("192.168.1.2:7000");
	addrs[1] = addr_of("[2001:db8:1::2]:7000");
	addrs[1].ip[15] = world.host;
	return 2;
}

static void on_changed(void *ctx, uint64_t at_ns)
{
	(void)ctx, (void)at_ns;
	world.changed_cnt++;
}

static void on_measured(void *ctx, uint64_t at_ns)
{
	(void)ctx, (void)at_ns;
	world.measured_cnt++;
}

/* The node's own part, as at a start. */
static void life_begin(void)
{
	const struct nat_life_params params = {
		.family = world.family,
		.timers = &timers,
		.random = &rng,
		.mesh = {.ops = &ops},
		.neighbours = &neighbours,
		.own_addrs = on_own,
		.send = on_send,
		.changed = on_changed,
		.measured = on_measured,
	};

	memset(&life, 0, sizeof(life));
	timer_wheel_init(&timers, now_ns);
	random_init_seeded(&rng, 1);
	reachability_life_init(&life, &params, now_ns);
}

static void begin_of(enum addr_family family, unsigned life_s)
{
	memset(&world, 0, sizeof(world));
	world.family = helper_family = family;
	world.life_ns = life_s * NS_PER_S;
	world.is_there = life_s;
	world.host = 1;
	has_helper = true;
	now_ns = NS_PER_S;
	life_begin();
}

static void begin(unsigned life_s)
{
	begin_of(ADDR_IPV4, life_s);
}

/* In steps of 50 ms, so what is sent takes as long. */
static void run(uint64_t for_ns)
{
	for (uint64_t end_ns = now_ns + for_ns; now_ns < end_ns;) {
		uint8_t probe[WEFT_PROBE_LEN];

		now_ns += 50 * NS_PER_MS;
		if (world.has_answer) {
			world.has_answer = false;
			reachability_life_input(&life, world.answer, world.answer_len, now_ns);
		}
		if (world.has_ask) {
			const struct mesh_reply reply = {.err = world.refuses ? WEFT_EREFUSED : 0};

			world.has_ask = false;
			world.ask.reply(world.ask.arg, &reply, now_ns);
		}
		if (world.probe_ns && now_ns >= world.probe_ns) {
			world.probe_ns = 0;
			reachability_probe_write(world.ticket, probe);
			if (now_ns < world.used_ns + world.life_ns)
				reachability_life_input(&life, probe, sizeof(probe), now_ns);
		}
		timer_wheel_expire(&timers, now_ns);
	}
}

static void test_the_life_of_a_mapping_is_found_and_costs_little(void)
{
	static const struct {
		unsigned life_s, found_s, keepalive_s, within_s;
	} rows[] = {
		{3, 0, 4, 60},	   {6, 5, 4, 60},     {10, 8, 6, 60},	   {30, 20, 16, 200},
		{31, 30, 24, 200}, {65, 60, 48, 320}, {300, 120, 96, 260},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		begin(rows[i].life_s);
		CHECK_EQ(reachability_life_keepalive_ns(&life), 0);
		run(rows[i].within_s * NS_PER_S);
		CHECK(life.now);
		CHECK_EQ(life.now->life_s, rows[i].found_s);
		CHECK_EQ(reachability_life_keepalive_ns(&life) / NS_PER_S, rows[i].keepalive_s);
		CHECK(rows[i].keepalive_s < rows[i].life_s || rows[i].life_s < 4);
		printf("# a NAT of %u s: %u probes, kept alive each %u s\n", rows[i].life_s,
		       world.asked_cnt, rows[i].keepalive_s);
		CHECK(world.asked_cnt <= 4);
		reachability_life_stop(&life);
	}
}

/* The network is looked at each ten minutes, and measured anew after six hours. */
static void test_a_known_network_is_not_measured_again(void)
{
	unsigned asked_cnt;

	begin(300);
	run(300 * NS_PER_S);
	asked_cnt = world.asked_cnt;
	run(3600 * NS_PER_S);
	CHECK_EQ(world.asked_cnt, asked_cnt);
	CHECK(world.sent_cnt <= asked_cnt + 7);
	world.host = 2;
	world.life_ns = 10 * NS_PER_S;
	reachability_life_look(&life, now_ns);
	run(60 * NS_PER_S);
	CHECK(life.now && life.now->life_s == 8);
	asked_cnt = world.asked_cnt;
	/* Back in the first one. */
	world.host = 1;
	reachability_life_look(&life, now_ns);
	run(10 * NS_PER_S);
	CHECK(life.now && life.now->life_s == 120);
	CHECK_EQ(world.asked_cnt, asked_cnt);
	reachability_life_stop(&life);
}

/* The ninth takes the place of the one that was measured longest ago. */
static void test_one_network_more_than_there_are_places(void)
{
	begin(10);
	for (unsigned i = 0; i < NAT_LIFE_NETWORKS + 1; i++) {
		world.host = (uint8_t)(i + 1);
		reachability_life_look(&life, now_ns);
		run(60 * NS_PER_S);
	}
	for (unsigned i = 0; i < NAT_LIFE_NETWORKS; i++)
		CHECK(life.rows[i].outside.ip[3] != 1);
	reachability_life_stop(&life);
}

static void test_without_a_nat_or_a_helper_nothing_is_asked(void)
{
	begin(0);
	run(300 * NS_PER_S);
	CHECK(!life.now);
	CHECK_EQ(world.asked_cnt, 0);
	CHECK_EQ(world.sent_cnt, 1);
	reachability_life_stop(&life);
	begin(10);
	has_helper = false;
	run(300 * NS_PER_S);
	CHECK_EQ(world.sent_cnt, 0);
	has_helper = true;
	run(120 * NS_PER_S);
	CHECK(life.now);
	reachability_life_stop(&life);
}

/* A busy node without a NAT asks once in ten minutes, whatever sessions begin. */
static void test_sessions_neither_hurry_nor_put_off_a_check(void)
{
	begin(0);
	for (unsigned i = 0; i < 300; i++) {
		run(NS_PER_S);
		reachability_life_session(&life, now_ns);
	}
	CHECK_EQ(world.sent_cnt, 1);
	reachability_life_stop(&life);
	begin(10);
	has_helper = false;
	run(10 * NS_PER_S);
	CHECK_EQ(world.sent_cnt, 0);
	has_helper = true;
	for (unsigned i = 0; i < 10; i++) {
		reachability_life_session(&life, now_ns);
		run(NS_PER_S);
	}
	CHECK(world.sent_cnt > 0);
	reachability_life_stop(&life);
}

static void test_a_helper_that_refuses_or_is_deaf_is_asked_each_minute(void)
{
	begin(10);
	world.refuses = true;
	run(300 * NS_PER_S);
	CHECK(!life.now);
	CHECK(world.asked_cnt >= 4 && world.asked_cnt <= 6);
	reachability_life_stop(&life);
	begin(10);
	world.is_deaf = true;
	run(300 * NS_PER_S);
	CHECK(world.sent_cnt >= 12 && world.sent_cnt <= 18);
	reachability_life_stop(&life);
}

/* A ticket that was not asked for, and answers to no request. */
static void test_datagrams_that_were_not_asked_for_change_nothing(void)
{
	uint8_t data[600] = {0};

	begin(10);
	run(10 * NS_PER_S);
	CHECK_EQ(life.phase, NAT_LIFE_SILENT);
	reachability_probe_write(data + 100, data);
	for (size_t len = 0; len <= sizeof(data); len++)
		reachability_life_input(&life, data, len, now_ns);
	CHECK_EQ(life.phase, NAT_LIFE_SILENT);
	CHECK_EQ(life.lasted, -1);
	reachability_life_stop(&life);
}

/* A host's address changes within its network; another network is measured for itself. */
static void test_a_firewall_of_ipv6_is_measured_for_its_network(void)
{
	unsigned asked_cnt;

	begin_of(ADDR_IPV6, 10);
	run(60 * NS_PER_S);
	CHECK(life.now && life.now->life_s == 8);
	CHECK_EQ(world.measured_cnt, 1);
	asked_cnt = world.asked_cnt;
	world.host = 77;
	reachability_life_look(&life, now_ns);
	run(60 * NS_PER_S);
	CHECK_EQ(world.asked_cnt, asked_cnt);
	CHECK(life.now && life.now->life_s == 8);
	reachability_life_stop(&life);
	/* One that drops nothing shows the longest time that is tried. */
	begin_of(ADDR_IPV6, 100000);
	run(300 * NS_PER_S);
	CHECK(life.now && life.now->life_s == PATH_AFTER_S_MAX);
	reachability_life_stop(&life);
}

static void test_a_neighbour_of_the_other_family_is_no_helper(void)
{
	begin_of(ADDR_IPV6, 10);
	helper_family = ADDR_IPV4;
	run(120 * NS_PER_S);
	CHECK_EQ(world.sent_cnt, 0);
	reachability_life_stop(&life);
}

/* As after a restart: the row holds from the first moment, and a fresh one is not measured again. */
static void test_a_row_of_another_run_holds_at_once(void)
{
	struct nat_life_row kept;

	begin(10);
	run(60 * NS_PER_S);
	CHECK(reachability_life_row(&life, 0) && !reachability_life_row(&life, 1));
	kept = *reachability_life_row(&life, 0);
	CHECK_EQ(kept.life_s, 8);
	reachability_life_stop(&life);
	world.asked_cnt = 0;
	life_begin();
	kept.age_ns = 3600 * NS_PER_S;
	reachability_life_take(&life, &kept, now_ns);
	CHECK_EQ(reachability_life_keepalive_ns(&life) / NS_PER_S, 6);
	run(4 * 3600 * NS_PER_S);
	CHECK_EQ(world.asked_cnt, 0);
	/* Six hours after it was measured it is measured anew, and holds until then. */
	world.life_ns = 30 * NS_PER_S;
	run(3600 * NS_PER_S);
	while (!world.asked_cnt) {
		CHECK_EQ(life.now->life_s, 8);
		run(60 * NS_PER_S);
	}
	CHECK_EQ(life.now->life_s, 8);
	run(200 * NS_PER_S);
	CHECK_EQ(life.now->life_s, 20);
	CHECK(!reachability_life_row(&life, 1));
	reachability_life_stop(&life);
}

static void test_a_row_of_another_network_holds_nowhere_else(void)
{
	struct nat_life_row kept = {.life_s = 8};

	begin(300);
	kept.outside = addr_of("198.51.100.1:1");
	kept.inside = addr_of("10.9.9.9:1");
	reachability_life_take(&life, &kept, now_ns);
	CHECK_EQ(reachability_life_keepalive_ns(&life), 0);
	/* The same address inside, and another NAT: the first check says so. */
	kept.inside = addr_of("192.168.1.2:1");
	kept.outside = addr_of("198.51.100.99:1");
	reachability_life_take(&life, &kept, now_ns);
	CHECK_EQ(reachability_life_keepalive_ns(&life) / NS_PER_S, 6);
	run(10 * NS_PER_S);
	CHECK_EQ(reachability_life_keepalive_ns(&life), 0);
	run(300 * NS_PER_S);
	CHECK(life.now && life.now->life_s == 120);
	reachability_life_stop(&life);
}

/* A store that was tampered with has one more. */
static void test_one_row_more_than_there_are_places_is_taken_for_the_oldest(void)
{
	struct nat_life_row kept = {.life_s = 8};
	unsigned cnt = 0;

	begin(300);
	for (unsigned i = 0; i < NAT_LIFE_NETWORKS + 1; i++) {
		kept.outside = addr_of("198.51.100.1:1");
		kept.outside.ip[3] = (uint8_t)(i + 1);
		kept.inside = addr_of("192.168.1.2:1");
		kept.age_ns = (100 - i) * NS_PER_S;
		reachability_life_take(&life, &kept, now_ns);
	}
	while (reachability_life_row(&life, cnt))
		CHECK(reachability_life_row(&life, cnt++)->outside.ip[3] != 1);
	CHECK_EQ(cnt, NAT_LIFE_NETWORKS);
	CHECK(life.now);
	reachability_life_stop(&life);
}

int main(void)
{
	RUN(test_the_life_of_a_mapping_is_found_and_costs_little);
	RUN(test_a_known_network_is_not_measured_again);
	RUN(test_one_network_more_than_there_are_places);
	RUN(test_without_a_nat_or_a_helper_nothing_is_asked);
	RUN(test_sessions_neither_hurry_nor_put_off_a_check);
	RUN(test_a_helper_that_refuses_or_is_deaf_is_asked_each_minute);
	RUN(test_datagrams_that_were_not_asked_for_change_nothing);
	RUN(test_a_firewall_of_ipv6_is_measured_for_its_network);
	RUN(test_a_neighbour_of_the_other_family_is_no_helper);
	RUN(test_a_row_of_another_run_holds_at_once);
	RUN(test_a_row_of_another_network_holds_nowhere_else);
	RUN(test_one_row_more_than_there_are_places_is_taken_for_the_oldest);
	return check_done();
}
