/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes that are found by their keys: by the DHT, and without it by a relay of
 * address records.
 *
 *     a: DHT, gateway with a relay -- DHT -- b        no DHT: c -- HTTP -- a
 */
#include "support/check.h"
#include "support/daemon_rig.h"

#define DHT "[dht]\nbootstrap = %s\nprivate = yes\npublish = direct\n"

static struct daemon_rig a, b, c;
static char a_id[80], b_id[80], c_id[80];

static void start(struct daemon_rig *rig, const char *config, char id[static 80])
{
	daemon_start(rig, config);
	(void)daemon_ask(rig, "GetNodeId", NULL);
	snprintf(id, 80, "%s", daemon_text(rig, "node_id"));
}

static void nodes_start(void)
{
	char config[512], addr[64];

	snprintf(config, sizeof(config),
		 DHT "[gateway]\nenabled = yes\nlisten = 127.0.0.1:0\nrate = 0\npkarr = public\n",
		 "");
	start(&a, config, a_id);
	(void)daemon_ask(&a, "Status", NULL);
	snprintf(addr, sizeof(addr), "%s", daemon_text(&a, "listen.0"));
	snprintf(config, sizeof(config), DHT, addr);
	start(&b, config, b_id);
	snprintf(config, sizeof(config),
		 "[dht]\nenabled = no\nbootstrap =\nprivate = yes\npublish = direct\n"
		 "[pkarr]\nrelays = http://127.0.0.1:%u/\n",
		 a.web_port);
	start(&c, config, c_id);
}

/* Returns how many good nodes of the DHT a daemon knows. */
static long long good_nodes(struct daemon_rig *rig)
{
	long long cnt = 0;

	(void)daemon_ask(rig, "ShowDht", NULL);
	for (size_t i = 0; i < daemon_cnt(rig, "dht.networks"); i++) {
		char path[64];

		snprintf(path, sizeof(path), "dht.networks.%zu.good", i);
		cnt += daemon_number(rig, path);
	}
	return cnt;
}

static void test_two_nodes_of_one_dht_know_each_other(void)
{
	for (unsigned i = 0; i < 1000 && (!good_nodes(&a) || !good_nodes(&b)); i++)
		daemon_pause();
	CHECK_EQ(good_nodes(&a), 1);
	CHECK_EQ(good_nodes(&b), 1);
	CHECK_STR(daemon_ask(&b, "ListDhtNodes", NULL), "");
	CHECK_EQ(daemon_cnt(&b, "nodes"), 1);
}

static void test_a_record_that_one_puts_the_other_gets(void)
{
	char key[80];

	CHECK_STR(daemon_ask(&b, "PutDhtItem", "{'text': 'hello'}"), "");
	snprintf(key, sizeof(key), "%s", daemon_text(&b, "key"));
	if (!key[0])
		snprintf(key, sizeof(key), "%s", daemon_text(&b, "target"));
	CHECK_STR(daemon_ask(&b, "PublishRoute", NULL), "");
	CHECK_STR(daemon_askf(&a, "FindRoute", "{'node_id': '%s'}", b_id), "");
	CHECK_STR(daemon_ask(&b, "AnnounceDht",
			     "{'info_hash': "
			     "'0102030405060708090a0b0c0d0e0f1011121314'}"),
		  "");
	CHECK_STR(daemon_ask(&b, "FindDhtPeers",
			     "{'info_hash': "
			     "'0102030405060708090a0b0c0d0e0f1011121314'}"),
		  "");
	CHECK_EQ(daemon_cnt(&b, "peers"), 1);
	CHECK_STR(daemon_ask(&b, "FindDhtPeers", "{'info_hash': 'x'}"), "Invalid");
}

static void test_a_relay_hands_out_what_the_dht_has(void)
{
	char path[128];

	snprintf(path, sizeof(path), "/%s", b_id);
	CHECK_EQ(daemon_http_get(&a, path, NULL), 200);
	CHECK_STR(daemon_header(&a, "Content-Type"), "application/pkarr.org/relays#payload");
	CHECK(a.body_len > 72);
	CHECK(memmem(a.body, a.body_len, "addr=127.0.0.1:", 15));
	CHECK_EQ(daemon_http_get(&a, "/not-a-key", NULL), 400);
	CHECK_EQ(daemon_http(&a, "PUT", path, NULL, "cut short"), 400);
	CHECK_EQ(daemon_http(&a, "DELETE", path, NULL, NULL), 405);
}

/* It put its record by itself, and finds others by HTTP alone. */
static void test_a_node_without_dht_is_found_and_finds_by_a_relay(void)
{
	char path[128];

	snprintf(path, sizeof(path), "/%s", c_id);
	for (unsigned i = 0; i < 1000 && daemon_http_get(&a, path, NULL) != 200; i++)
		daemon_pause();
	CHECK_EQ(a.status, 200);
	CHECK(memmem(a.body, a.body_len, "addr=127.0.0.1:", 15));
	CHECK_STR(daemon_askf(&c, "ConnectPeer", "{'node_id': '%s', 'timeout_ms': 15000}", b_id),
		  "");
	CHECK_STR(daemon_text(&c, "peer.node_id"), b_id);
	CHECK_STR(daemon_askf(&c, "PingPeer", "{'node_id': '%s', 'count': 1}", b_id), "");
	CHECK_EQ(daemon_number(&c, "ping.answered"), 1);
	/* The DHT leads there, too. */
	CHECK_STR(daemon_askf(&b, "ConnectPeer", "{'node_id': '%s', 'timeout_ms': 15000}", c_id),
		  "");
	/* No node has that key. */
	CHECK(daemon_askf(&c, "ConnectPeer", "{'node_id': '%s', 'timeout_ms': 1000}",
			  "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyo")[0]);
}

static void test_a_relay_that_is_gone_is_reported_once_and_tried_again(void)
{
	CHECK_EQ(daemon_stop(&a), 0);
	CHECK_EQ(daemon_stop(&c), 0);
	daemon_again(&c, NULL);
	CHECK(daemon_logged(&c, "was not told where this node is"));
	CHECK(daemon_logged(&c, "trying again"));
}

int main(void)
{
	nodes_start();
	RUN(test_two_nodes_of_one_dht_know_each_other);
	RUN(test_a_record_that_one_puts_the_other_gets);
	RUN(test_a_relay_hands_out_what_the_dht_has);
	RUN(test_a_node_without_dht_is_found_and_finds_by_a_relay);
	RUN(test_a_relay_that_is_gone_is_reported_once_and_tried_again);
	daemon_fini(&c);
	daemon_fini(&b);
	daemon_fini(&a);
	return check_done();
}
