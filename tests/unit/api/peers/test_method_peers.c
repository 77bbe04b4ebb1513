/* SPDX-License-Identifier: Apache-2.0 */
/* ConnectPeer, ListPeers, ShowPeer, SetPeer, PingPeer, CheckPeer and bans of a key, between two nodes. */
#include "codec/text/zbase32.h"
#include "support/check.h"
#include "support/method_rig.h"

static struct method_rig rig;
static char other[ZBASE32_KEY_TEXT_CAP];

static void begin(void)
{
	struct sim_node *node;

	method_rig_init(&rig, 32);
	method_rig_add(&rig);
	node = method_rig_add(&rig);
	zbase32_write(node_key_public(node->key), NODE_KEY_LEN, other);
	method_rig_start(&rig);
}

/* The parameters name the other node by so many of its letters. */
static const char *ask(const char *method, int worker_message_cnt, const char *more)
{
	char parameters[512];

	snprintf(parameters, sizeof(parameters), "{'node_id':'%.*s'%s}", worker_message_cnt, other,
		 more);
	return method_ask(&rig, method, parameters);
}

static void settle(void)
{
	(void)sim_run(&rig.sim, 5 * NS_PER_S, NULL, NULL);
}

static void connect(void)
{
	CHECK_STR(ask("ConnectPeer", 52, ",'addresses':['10.0.0.1:7000']"), "");
	settle();
}

static void test_a_peer_is_shown_from_its_first_session_on(void)
{
	long long since_s;

	begin();
	CHECK_STR(method_ask(&rig, "ListPeers", NULL), "");
	CHECK_EQ(method_cnt(&rig, "peers"), 0);
	CHECK_STR(ask("ShowPeer", 52, ""), "NotFound");
	connect();
	CHECK_STR(method_ask(&rig, "ListPeers", NULL), "");
	CHECK_EQ(method_cnt(&rig, "peers"), 1);
	CHECK_STR(method_text(&rig, "peers.0.node_id"), other);
	CHECK_EQ(method_number(&rig, "peers.0.connected"), 1);
	CHECK_EQ(method_number(&rig, "peers.0.dialled_by_us"), 1);
	CHECK_EQ(method_number(&rig, "peers.0.resumed"), 0);
	CHECK_EQ(method_number(&rig, "peers.0.share"), 1);
	CHECK_EQ(method_number(&rig, "peers.0.lost_packets"), 0);
	CHECK_EQ(method_number(&rig, "peers.0.requests_in_flight"), 0);
	CHECK_STR(method_text(&rig, "peers.0.address"), "10.0.0.1:7000");
	CHECK(method_number(&rig, "peers.0.rtt_us") >= 10000);
	CHECK(method_number(&rig, "peers.0.sent_bytes") > 1200);
	CHECK(method_number(&rig, "peers.0.received_bytes") > 1200);
	CHECK(method_number(&rig, "peers.0.first_seen_s") >= (long long)SIM_WALL_S);
	since_s = method_number(&rig, "peers.0.connected_since_s");
	CHECK(since_s >= (long long)SIM_WALL_S);
	settle();
	CHECK_STR(ask("ShowPeer", 8, ""), "");
	CHECK_STR(method_text(&rig, "peer.node_id"), other);
	CHECK_EQ(method_number(&rig, "peer.connected_since_s"), since_s);
	CHECK(method_number(&rig, "peer.last_seen_s") >= since_s + 5);
	CHECK_STR(ask("ShowPeer", 7, ""), "Invalid");
	method_rig_fini(&rig);
}

static void test_a_share_of_a_peer_is_set_within_its_limits(void)
{
	static const struct {
		const char *more, *error;
	} rows[] = {
		{",'share':1", ""},
		{",'share':3", ""},
		{",'share':0", "Invalid"},
		{",'share':-1", "Invalid"},
		{",'share':1000000", "Invalid"},
	};

	begin();
	CHECK_STR(ask("SetPeer", 52, ",'share':3"), "NotFound");
	connect();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CHECK_STR(ask("SetPeer", 52, rows[i].more), rows[i].error);
	CHECK_STR(ask("ShowPeer", 52, ""), "");
	CHECK_EQ(method_number(&rig, "peer.share"), 3);
	method_rig_fini(&rig);
}

static void test_a_ping_counts_what_was_sent_and_answered(void)
{
	begin();
	connect();
	CHECK_STR(ask("PingPeer", 52, ",'count':3,'interval_ms':100"), "");
	CHECK_EQ(method_number(&rig, "ping.sent"), 3);
	CHECK_EQ(method_number(&rig, "ping.answered"), 3);
	CHECK(method_number(&rig, "ping.min_us") >= 10000);
	CHECK(method_number(&rig, "ping.min_us") <= method_number(&rig, "ping.avg_us"));
	CHECK(method_number(&rig, "ping.avg_us") <= method_number(&rig, "ping.max_us"));
	CHECK_STR(ask("CheckPeer", 52, ""), "");
	CHECK_STR(method_text(&rig, "verdict.node_id"), other);
	CHECK_EQ(method_number(&rig, "verdict.reachable"), 1);
	method_rig_fini(&rig);
}

static void test_a_wrong_address_or_key_is_reported(void)
{
	begin();
	CHECK_STR(ask("ConnectPeer", 52, ",'addresses':['10.0.0.1']"), "Invalid");
	CHECK_STR(ask("ConnectPeer", 51, ",'addresses':['10.0.0.1:7000']"), "Invalid");
	CHECK_STR(ask("ConnectPeer", 52, ",'addresses':['10.0.0.9:7000'],'timeout_ms':2000"),
		  "Timeout");
	other[5] = other[5] == 'y' ? 'b' : 'y';
	CHECK(ask("ConnectPeer", 52, ",'addresses':['10.0.0.1:7000'],'timeout_ms':5000")[0]);
	method_rig_fini(&rig);
}

/* A ban is of the whole key, however few of its letters name it. */
static void test_a_ban_names_a_met_peer_by_eight_letters(void)
{
	char parameters[128];

	begin();
	snprintf(parameters, sizeof(parameters), "{'target':'%.8s'}", other);
	CHECK_STR(method_ask(&rig, "AddBan", parameters), "Invalid");
	connect();
	CHECK_STR(method_ask(&rig, "AddBan", parameters), "");
	CHECK_STR(method_text(&rig, "ban.kind"), "key");
	CHECK_STR(method_text(&rig, "ban.target"), other);
	CHECK_STR(method_ask(&rig, "RemoveBan", parameters), "");
	CHECK_STR(method_ask(&rig, "ListBans", NULL), "");
	CHECK_EQ(method_cnt(&rig, "bans"), 0);
	method_rig_fini(&rig);
}

int main(void)
{
	RUN(test_a_peer_is_shown_from_its_first_session_on);
	RUN(test_a_share_of_a_peer_is_set_within_its_limits);
	RUN(test_a_ping_counts_what_was_sent_and_answered);
	RUN(test_a_wrong_address_or_key_is_reported);
	RUN(test_a_ban_names_a_met_peer_by_eight_letters);
	return check_done();
}
