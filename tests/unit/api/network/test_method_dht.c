/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked of the Mainline DHT, among a few nodes that are in it. */
#include "codec/text/zbase32.h"
#include "support/check.h"
#include "support/method_rig.h"

#define NODES 6

#define HASH	  "0123456789012345678901234567890123456789"
#define LONG_SALT "0123456789012345678901234567890123456789012345678901234567890123" /* 64 bytes */

static struct method_rig rig;
static char parameters[2048];

/*
 * Each in a subnet of its own: tables take few from one. They listen on IPv4 alone, and one of
 * the nodes to begin with is elsewhere.
 */
static void begin(void)
{
	method_rig_init(&rig, 41);
	for (unsigned i = 0; i < NODES; i++) {
		struct sim_node *node = method_rig_add(&rig);

		node->addr.ip[2] = (uint8_t)(i + 1);
		node->addr.ip[3] = 1;
		node->config.udp.listen[0] = node->addr;
		locate_mainline_config_defaults(&node->config.mainline);
		node->config.publish.policy.allows_private = true;
		node->config.publish.policy.publish = PKARR_DIRECT;
		snprintf(node->config.mainline.bootstrap, sizeof(node->config.mainline.bootstrap),
			 "10.0.1.1:%u, [fd77::1]:7000", (unsigned)node->addr.port);
	}
	method_rig_start(&rig);
	(void)sim_run(&rig.sim, 90 * NS_PER_S, NULL, NULL);
}

static const char *node_id(unsigned idx)
{
	static char text[ZBASE32_KEY_TEXT_CAP];

	return zbase32_write(node_key_public(rig.sim.nodes[idx].key), NODE_KEY_LEN, text);
}

static void test_the_routing_table_is_listed_as_it_is_counted(void)
{
	static const struct method_row rows[] = {
		{"ShowDht", NULL, NULL, "dht.enabled", NULL, 1},
		{"ShowDht", NULL, NULL, "dht.networks.0.network", "ipv4", 0},
		{"ShowDht", NULL, NULL, "dht.networks.0.good", NULL, NODES - 1},
		{"ShowDht", NULL, NULL, "dht.networks.0.bad", NULL, 0},
		{"ShowDht", NULL, NULL, "dht.fills.0.setting", "dht.item_cap", 0},
		{"ShowDht", NULL, NULL, "dht.fills.3.name", "searches", 0},
		{"ShowDht", NULL, NULL, "dht.fills.3.used", NULL, 0},
	};
	const json_t *node;
	size_t idx;

	begin();
	CHECK(METHOD_ROWS(&rig, rows));
	CHECK_EQ(method_cnt(&rig, "dht.networks"), 1);
	CHECK(method_number(&rig, "dht.received_bytes") > 0);
	CHECK(method_number(&rig, "dht.sent_bytes") > 0);
	CHECK_STR(method_ask(&rig, "ListDhtNodes", NULL), "");
	CHECK_EQ(method_cnt(&rig, "nodes"), NODES - 1);
	json_array_foreach(method_at(&rig, "nodes"), idx, node)
	{
		CHECK_STR(json_string_value(json_object_get(node, "network")), "ipv4");
		CHECK_EQ(json_integer_value(json_object_get(node, "unanswered")), 0);
		CHECK(json_integer_value(json_object_get(node, "silent_s")) < 90);
		/* Five milliseconds each way. */
		CHECK(json_integer_value(json_object_get(node, "rtt_us")) >= 10000);
		CHECK(json_integer_value(json_object_get(node, "rtt_us")) < 20000);
	}
	method_rig_fini(&rig);
}

static void test_questions_that_are_none_are_refused_before_they_are_asked(void)
{
	static const struct method_row rows[] = {
		{"LookupDht", "{'target':'" HASH "0'}", "Invalid", "why",
		 "not 40 hexadecimal letters", 0},
		{"LookupDht", "{'target':'" HASH "','network':'ipx'}", "Invalid", "what", "network",
		 0},
		{"GetDhtItem", "{'key':'" HASH "0'}", "Invalid", "why",
		 "neither a target nor a key", 0},
		{"GetDhtItem", "{'key':'zz'}", "Invalid", "what", "zz", 0},
		{"PutDhtItem", "{'text':'x','salt':'" LONG_SALT "0'}", "Invalid", "why",
		 "longer than 64 bytes", 0},
		{"FindDhtPeers", "{'info_hash':'zz'}", "Invalid", "what", "zz", 0},
		{"AnnounceDht", "{'info_hash':'zz'}", "Invalid", "what", "zz", 0},
		{"AnnounceDht", "{'info_hash':'" HASH "','port':65536}", "Invalid", "what", "port",
		 0},
		{"AnnounceDht", "{'info_hash':'" HASH "','port':-1}", "Invalid", "what", "port", 0},
		{"FindRoute", "{'node_id':'zz'}", "Invalid", "what", "zz", 0},
		{"ShowDht", NULL, NULL, "dht.fills.3.used", NULL, 0},
	};

	begin();
	CHECK(METHOD_ROWS(&rig, rows));
	snprintf(parameters, sizeof(parameters), "{'text':'%0997d'}", 0);
	CHECK_STR(method_ask(&rig, "PutDhtItem", parameters), "Invalid");
	CHECK_EQ(rig.code, WEFT_ETOOLARGE);
	CHECK_STR(method_text(&rig, "why"), "longer than 996 bytes");
	method_rig_fini(&rig);
}

static void test_an_item_is_found_by_its_target(void)
{
	char target[64];

	begin();
	snprintf(parameters, sizeof(parameters), "{'text':'%0996d'}", 7);
	CHECK_STR(method_ask(&rig, "PutDhtItem", parameters), "");
	CHECK(method_number(&rig, "outcome.stored") > 0);
	snprintf(target, sizeof(target), "%s", method_text(&rig, "item.target"));
	CHECK_EQ(strlen(target), 40);
	snprintf(parameters, sizeof(parameters), "{'key':'%s'}", target);
	CHECK_STR(method_ask(&rig, "GetDhtItem", parameters), "");
	CHECK_STR(method_text(&rig, "item.target"), target);
	CHECK_EQ(strlen(method_text(&rig, "item.text")), 996);
	CHECK_STR(method_ask(&rig, "GetDhtItem", "{'key':'" HASH "'}"), "NotFound");
	method_rig_fini(&rig);
}

static void test_a_signed_item_is_replaced_under_its_key_and_salt(void)
{
	static const struct method_row rows[] = {
		{"PutDhtItem", "{'text':'one','salt':'" LONG_SALT "'}", NULL, "item.text", "one",
		 0},
		{"PutDhtItem", "{'text':'two','salt':'" LONG_SALT "'}", NULL, "item.text", "two",
		 0},
	};
	long long first, second;

	begin();
	CHECK(method_rows(&rig, rows, 1));
	first = method_number(&rig, "item.seq");
	CHECK(method_rows(&rig, rows + 1, 1));
	second = method_number(&rig, "item.seq");
	CHECK(second > first);
	snprintf(parameters, sizeof(parameters), "{'key':'%s','salt':'" LONG_SALT "'}", node_id(0));
	CHECK_STR(method_ask(&rig, "GetDhtItem", parameters), "");
	CHECK_STR(method_text(&rig, "item.text"), "two");
	CHECK_EQ(method_number(&rig, "item.seq"), second);
	/* Another salt is another place. */
	snprintf(parameters, sizeof(parameters), "{'key':'%s','salt':'other'}", node_id(0));
	CHECK_STR(method_ask(&rig, "GetDhtItem", parameters), "NotFound");
	method_rig_fini(&rig);
}

static void test_announced_peers_are_found(void)
{
	static const struct method_row rows[] = {
		{"FindDhtPeers", "{'info_hash':'" HASH "'}", NULL, "peers.0", "", 0},
		{"AnnounceDht", "{'info_hash':'" HASH "','port':65535}", NULL, NULL, NULL, 0},
		{"FindDhtPeers", "{'info_hash':'" HASH "'}", NULL, "peers.0", "10.0.1.1:65535", 0},
		{"FindDhtPeers", "{'info_hash':'" HASH "'}", NULL, "peers.1", "", 0},
	};

	begin();
	CHECK(METHOD_ROWS(&rig, rows));
	method_rig_fini(&rig);
}

static void test_the_address_record_of_a_node_is_found(void)
{
	begin();
	snprintf(parameters, sizeof(parameters), "{'node_id':'%s'}", node_id(2));
	CHECK_STR(method_ask(&rig, "FindRoute", parameters), "");
	CHECK_STR(method_text(&rig, "record.node_id"), node_id(2));
	CHECK_STR(method_text(&rig, "record.addresses.0"), "10.0.3.1:7000");
	CHECK_STR(method_ask(&rig, "PublishRoute", NULL), "");
	CHECK_STR(method_text(&rig, "record.addresses.0"), "10.0.1.1:7000");
	CHECK_STR(method_ask(&rig, "FindRoute",
			     "{'node_id':'yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy'}"),
		  "NotFound");
	method_rig_fini(&rig);
}

static void test_nodes_of_a_network_without_a_socket_are_not_asked(void)
{
	begin();
	CHECK_STR(method_ask(&rig, "PutDhtItem", "{'text':'x'}"), "");
	/* The others, and that of IPv4 to begin with, whose id is not known. */
	CHECK_EQ(method_number(&rig, "outcome.asked"), NODES);
	method_rig_fini(&rig);
}

static void test_the_way_in_is_named_when_the_table_is_empty(void)
{
	method_rig_init(&rig, 42);
	method_rig_add(&rig);
	locate_mainline_config_defaults(&rig.node->config.mainline);
	rig.node->config.mainline.bootstrap[0] = '\0';
	method_rig_start(&rig);
	CHECK_STR(method_ask(&rig, "FindDhtPeers", "{'info_hash':'" HASH "'}"), "Timeout");
	CHECK_EQ(rig.code, WEFT_EUNREACHABLE);
	CHECK_STR(method_text(&rig, "why"), "no node is known to ask");
	CHECK_STR(method_ask(&rig, "ListDhtNodes", NULL), "");
	CHECK_EQ(method_cnt(&rig, "nodes"), 0);
	method_rig_fini(&rig);
}

int main(void)
{
	RUN(test_the_routing_table_is_listed_as_it_is_counted);
	RUN(test_questions_that_are_none_are_refused_before_they_are_asked);
	RUN(test_an_item_is_found_by_its_target);
	RUN(test_a_signed_item_is_replaced_under_its_key_and_salt);
	RUN(test_announced_peers_are_found);
	RUN(test_the_address_record_of_a_node_is_found);
	RUN(test_nodes_of_a_network_without_a_socket_are_not_asked);
	RUN(test_the_way_in_is_named_when_the_table_is_empty);
	return check_done();
}
