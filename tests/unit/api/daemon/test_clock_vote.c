/* SPDX-License-Identifier: Apache-2.0 */
/* When peers show that this node's clock is off, and that weft status says so. */
#include "api/daemon/clock_vote.h"

#include "codec/text/zbase32.h"
#include "support/check.h"
#include "support/method_rig.h"

#define MAX_S 300

static struct clock_vote vote;
static struct method_rig rig;

static void add(unsigned network, unsigned host, int64_t skew_s)
{
	const struct addr remote = {
		.ip = {20, (uint8_t)(network >> 8), (uint8_t)network, (uint8_t)host},
		.port = 7000,
		.family = ADDR_IPV4};

	api_clock_vote_add(&vote, &remote, skew_s);
}

static void test_most_networks_have_to_say_so(void)
{
	/* The clocks of networks, less this node's; what is judged: ahead is positive. */
	static const struct {
		int64_t skews[5];
		unsigned cnt, said;
		int64_t off_s;
	} rows[] = {
		{{0}, 0, 0, 0},
		{{-7200}, 1, 0, 0}, /* one alone proves nothing */
		{{-7200, -3600}, 2, 2, 3600},
		{{7200, 3600}, 2, 2, -3600},
		{{-7200, 7200}, 2, 0, 0},
		{{-301, -301}, 2, 2, 301},
		{{-300, -300}, 2, 0, 0},
		{{-7200, -7200, 0, 0}, 4, 0, 0}, /* half of them */
		{{-7200, -7200, -7200, 0, 0}, 5, 3, 7200},
		{{INT64_MIN, INT64_MIN}, 2, 2, INT64_MAX},
		{{INT64_MAX, INT64_MAX}, 2, 2, -INT64_MAX},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t off_s = 0;

		vote.cnt = 0;
		for (unsigned k = 0; k < rows[i].cnt; k++)
			add(k, 1, rows[i].skews[k]);
		CHECK_EQ(api_clock_vote_judge(&vote, MAX_S, &off_s), rows[i].said);
		CHECK_EQ(off_s, rows[i].off_s);
	}
}

static void test_hosts_of_one_network_have_one_vote(void)
{
	int64_t off_s;

	vote.cnt = 0;
	for (unsigned host = 0; host < 200; host++)
		add(1, host, -7200);
	CHECK_EQ(api_clock_vote_judge(&vote, MAX_S, &off_s), 0);
	add(2, 1, -7200);
	CHECK_EQ(api_clock_vote_judge(&vote, MAX_S, &off_s), 2);
	/* One that agrees with this node speaks for its network. */
	add(1, 1, 5);
	CHECK_EQ(api_clock_vote_judge(&vote, MAX_S, &off_s), 0);
}

static void test_networks_beyond_the_table_have_no_vote(void)
{
	int64_t off_s;

	vote.cnt = 0;
	for (unsigned network = 0; network < CLOCK_VOTE_CAP; network++)
		add(network, 1, network ? -7200 : 0);
	CHECK_EQ(api_clock_vote_judge(&vote, MAX_S, &off_s), CLOCK_VOTE_CAP - 1);
	add(CLOCK_VOTE_CAP, 1, -7200);
	CHECK_EQ(api_clock_vote_judge(&vote, MAX_S, &off_s), CLOCK_VOTE_CAP - 1);
}

static void connect_to(unsigned idx, unsigned network)
{
	const struct addr *addr = &rig.sim.nodes[idx].addr;
	char key[ZBASE32_KEY_TEXT_CAP], parameters[200];

	zbase32_write(node_key_public(rig.sim.nodes[idx].key), NODE_KEY_LEN, key);
	snprintf(parameters, sizeof(parameters),
		 "{'node_id':'%s','addresses':['10.%u.%u.%u:7000']}", key, network, addr->ip[2],
		 addr->ip[3]);
	CHECK_STR(method_ask(&rig, "ConnectPeer", parameters), "");
	(void)sim_run(&rig.sim, 5 * NS_PER_S, NULL, NULL);
}

/* Three peers, each in a network of its own. */
static void test_status_says_that_the_clock_is_off(void)
{
	method_rig_init(&rig, 41);
	for (unsigned i = 0; i < 4; i++) {
		struct sim_node *node = method_rig_add(&rig);

		node->addr.ip[1] = (uint8_t)(i + 1);
		node->config.udp.listen[0] = node->addr;
		node->wall_skew_s = i ? -2 * 86400 : 0;
	}
	method_rig_start(&rig);
	connect_to(1, 2);
	CHECK_STR(method_ask(&rig, "Status", NULL), "");
	CHECK_EQ(method_cnt(&rig, "health.problems"), 0);
	connect_to(2, 3);
	connect_to(3, 4);
	CHECK_STR(method_ask(&rig, "Status", NULL), "");
	CHECK_EQ(method_cnt(&rig, "health.problems"), 1);
	CHECK_STR(method_text(&rig, "health.problems.0.what"),
		  "this machine's clock is at least 2 days ahead of those in 3 of 3 networks of "
		  "its peers");
	method_rig_fini(&rig);
}

int main(void)
{
	RUN(test_most_networks_have_to_say_so);
	RUN(test_hosts_of_one_network_have_one_vote);
	RUN(test_networks_beyond_the_table_have_no_vote);
	RUN(test_status_says_that_the_clock_is_off);
	return check_done();
}
