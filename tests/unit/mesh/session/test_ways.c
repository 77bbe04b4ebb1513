/* SPDX-License-Identifier: Apache-2.0 */
/* Which addresses are dialled, and which first. */
#include <stdio.h>
#include <string.h>

#include "mesh/peers/identify.h"
#include "mesh/session/ways.h"
#include "support/check.h"
#include "support/mesh_rig.h"

static struct rig rig;
static struct rig_ask ask;

static void test_words_are_read_and_written(void)
{
	static const struct {
		const char *text;
		uint8_t four, six;
		const char *again;
	} rows[] = {
		{"quic", 1, 1, "quic"},
		{"quic4", 1, 0, "quic4"},
		{" quic6 ", 0, 1, "quic6"},
		{"quic6, quic4", 2, 1, "quic6, quic4"},
		{"quic4\tquic6", 1, 2, "quic4, quic6"},
		{"none", 0, 0, "none"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[MESH_WAYS_TEXT_CAP];
		struct mesh_ways ways, again;
		const char *word;
		size_t len;

		CHECK_EQ(mesh_ways_parse(rows[i].text, &ways, &word, &len), 0);
		CHECK_EQ(ways.ranks[MESH_WAY_QUIC4], rows[i].four);
		CHECK_EQ(ways.ranks[MESH_WAY_QUIC6], rows[i].six);
		CHECK_STR(mesh_ways_format(&ways, text), rows[i].again);
		CHECK_EQ(mesh_ways_parse(text, &again, &word, &len), 0);
		CHECK_MEM(&again, &ways, sizeof(ways));
	}
}

static void test_tcp_has_ranks_of_its_own(void)
{
	static const struct {
		const char *text;
		uint8_t ranks[MESH_WAY_CNT];
		const char *again;
	} rows[] = {
		{"tcp", {0, 0, 1, 1}, "tcp"},
		{"quic, tcp", {1, 1, 2, 2}, "quic, tcp"},
		{"tcp, quic", {2, 2, 1, 1}, "tcp, quic"},
		{"tcp6 quic4", {2, 0, 0, 1}, "tcp6, quic4"},
		{"quic6, tcp4, quic4, tcp6", {3, 1, 2, 4}, "quic6, tcp4, quic4, tcp6"},
	};
	struct addr addr = {.family = ADDR_IPV4, .transport = ADDR_TCP};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[MESH_WAYS_TEXT_CAP];
		struct mesh_ways ways;
		const char *word;
		size_t len;

		CHECK_EQ(mesh_ways_parse(rows[i].text, &ways, &word, &len), 0);
		CHECK_MEM(ways.ranks, rows[i].ranks, sizeof(ways.ranks));
		CHECK_STR(mesh_ways_format(&ways, text), rows[i].again);
	}
	CHECK_STR(mesh_way_name(mesh_way_of(&addr)), "tcp4");
	addr.family = ADDR_IPV6;
	CHECK_STR(mesh_way_name(mesh_way_of(&addr)), "tcp6");
}

static void test_relay_is_a_way_of_the_internet(void)
{
	struct mesh_ways ways[MESH_NETWORK_CNT];
	struct addr label = {.family = ADDR_IPV6, .transport = ADDR_RELAY};
	const char *word;
	size_t len;

	CHECK_EQ(mesh_network_of(&label), MESH_NETWORK_INTERNET);
	CHECK_EQ(mesh_ways_parse("tcp, relay", &ways[MESH_NETWORK_INTERNET], &word, &len), 0);
	CHECK_EQ(mesh_ways_parse("quic", &ways[MESH_NETWORK_LAN], &word, &len), 0);
	CHECK_EQ(mesh_ways_rank(ways, &label), 2);
	CHECK_EQ(mesh_ways_parse("quic", &ways[MESH_NETWORK_INTERNET], &word, &len), 0);
	CHECK_EQ(mesh_ways_rank(ways, &label), 0);
}

static void test_websocket_has_a_rank_of_its_own(void)
{
	struct mesh_ways ways[MESH_NETWORK_CNT] = {{{0}}};
	struct addr label = {.family = ADDR_IPV6, .transport = ADDR_RELAY, .port = 1};
	char text[MESH_WAYS_TEXT_CAP];
	const char *word;
	size_t len;

	CHECK_EQ(mesh_ways_parse("quic, websocket, relay", &ways[MESH_NETWORK_INTERNET], &word,
				 &len),
		 0);
	CHECK_STR(mesh_ways_format(&ways[MESH_NETWORK_INTERNET], text), "quic, websocket, relay");
	CHECK_EQ(mesh_ways_rank(ways, &label), 3);
	CHECK_STR(mesh_way_name(mesh_way_of(&label)), "relay");
	label.port = ADDR_RELAY_WEB_PORT;
	CHECK_EQ(mesh_ways_rank(ways, &label), 2);
	CHECK_STR(mesh_way_name(mesh_way_of(&label)), "websocket");
}

static void test_words_that_are_none_are_refused_by_name(void)
{
	static const struct {
		const char *text;
		int err;
		const char *word;
	} rows[] = {
		{"", WEFT_EMALFORMED, ""},
		{" , ", WEFT_EMALFORMED, " , "},
		{"udp", WEFT_EMALFORMED, "udp"},
		{"quic4, QUIC6", WEFT_EMALFORMED, "QUIC6"},
		{"quic4, quic4", WEFT_EMALFORMED, "quic4"},
		{"quic, quic6", WEFT_EMALFORMED, "quic6"},
		{"none, quic", WEFT_EMALFORMED, "none"},
		{"quic, none", WEFT_EMALFORMED, "none"},
		{"tcp, tcp4", WEFT_EMALFORMED, "tcp4"},
		{"quic, tcp6, tcp6", WEFT_EMALFORMED, "tcp6"},
		{"quic, relay, relay", WEFT_EMALFORMED, "relay"},
		{"websocket, quic, websocket", WEFT_EMALFORMED, "websocket"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mesh_ways ways = {{7, 7}};
		const char *word;
		size_t len;

		CHECK_EQ(mesh_ways_parse(rows[i].text, &ways, &word, &len), rows[i].err);
		CHECK_EQ(len, strlen(rows[i].word));
		CHECK(strncmp(word, rows[i].word, len) == 0);
		CHECK_EQ(ways.ranks[0], 7);
	}
}

/* --- dialling --- */

/* Ports of silent addresses of one key, in the order in which node 0 dials them by a policy. */
static const char *dialled(const char *internet, const char *lan)
{
	static const char *const texts[] = {"192.0.2.1:1", "10.0.0.9:2", "[2001:db8::1]:3",
					    "[fd00::1]:4", "192.0.2.2:5"};
	static char ports[PAIR_DIALS + 1];
	struct mesh_ask call = {.type = MESH_GET_CHUNK, .timeout_ns = 20 * PAIR_S};
	struct mesh_config config;
	struct addr addrs[5];
	const char *word;
	size_t len;

	rig_init(&rig, 1);
	mesh_config_defaults(&config);
	if (mesh_ways_parse(internet, &config.ways[MESH_NETWORK_INTERNET], &word, &len) < 0 ||
	    mesh_ways_parse(lan, &config.ways[MESH_NETWORK_LAN], &word, &len) < 0)
		return "not parsed";
	/* So that all are dialled before one is dialled anew. */
	config.dial_stagger_ns = 100 * PAIR_MS;
	mesh_configure(rig.nodes[0].mesh, &config);
	for (unsigned i = 0; i < 5; i++) {
		if (addr_parse(texts[i], &addrs[i]) < 0)
			return "no address";
		pair_net_rule(&rig.net, addrs[i], PAIR_SILENT, 0);
	}
	call.peer.addrs = addrs;
	call.peer.addr_cnt = 5;
	memset(call.peer.key, 9, MESH_KEY_LEN);
	ask.reply_cnt = 0;
	if (rig_ask_with(&rig, &ask, 0, &call) < 0)
		return "refused";
	pair_net_run(&rig.net, 600 * PAIR_MS);
	memset(ports, 0, sizeof(ports));
	for (unsigned i = 0; i < rig.nodes[0].end->dial_cnt && i < PAIR_DIALS; i++)
		ports[i] = (char)('0' + rig.nodes[0].end->dialled[i].port);
	if (!ports[0] && ask.reply_cnt)
		snprintf(ports, sizeof(ports), "err%d", ask.reply.err == WEFT_EUNREACHABLE);
	rig_ask_fini(&ask);
	rig_fini(&rig);
	return ports;
}

static void test_addresses_are_dialled_as_the_policy_has_them(void)
{
	static const struct {
		const char *internet, *lan, *ports;
	} rows[] = {
		{"quic", "quic", "12345"},
		{"quic4", "quic4", "125"},
		{"quic6", "quic6", "34"},
		{"quic6, quic4", "quic6, quic4", "34125"},
		{"quic4, quic6", "quic4, quic6", "12534"},
		{"quic6, quic4", "quic4", "2315"},
		{"none", "quic", "24"},
		{"quic", "none", "135"},
		{"quic4", "none", "15"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CHECK_STR(dialled(rows[i].internet, rows[i].lan), rows[i].ports);
}

static void test_a_peer_with_no_address_of_the_policy_is_not_reached(void)
{
	CHECK_STR(dialled("none", "none"), "err1");
}

/* An address that an unknown peer told gets few datagrams, wherever the policy puts it. */
static void test_an_unverified_address_stays_so_in_another_place(void)
{
	static const char *const texts[] = {"192.0.2.1:1", "192.0.2.2:2", "[2001:db8::1]:3"};
	static const bool is_few[] = {true, false, true};
	struct mesh_ask call = {.type = MESH_GET_CHUNK, .timeout_ns = 20 * PAIR_S};
	struct mesh_config config;
	struct addr addrs[3];

	rig_init(&rig, 1);
	mesh_config_defaults(&config);
	config.ways[MESH_NETWORK_INTERNET].ranks[MESH_WAY_QUIC4] = 2;
	mesh_configure(rig.nodes[0].mesh, &config);
	for (unsigned i = 0; i < 3; i++) {
		CHECK_EQ(addr_parse(texts[i], &addrs[i]), 0);
		pair_net_rule(&rig.net, addrs[i], PAIR_SILENT, 0);
	}
	call.peer.addrs = addrs;
	call.peer.addr_cnt = 3;
	call.peer.told_cnt = 2;
	memset(call.peer.key, 9, MESH_KEY_LEN);
	CHECK_EQ(rig_ask_with(&rig, &ask, 0, &call), 0);
	/* The third comes first, then the first, which is trusted, and the second. */
	for (unsigned i = 0; i < 3; i++) {
		pair_net_run(&rig.net, i ? 250 * PAIR_MS : 100 * PAIR_MS);
		CHECK_EQ(rig.nodes[0].end->dial_cnt, i + 1);
		CHECK_EQ(rig.nodes[0].end->dialled[i].port, i ? i : 3);
		CHECK_EQ(rig.nodes[0].end->unheard_max > 0, is_few[i]);
	}
	rig_ask_fini(&ask);
	rig_fini(&rig);
}

static void met(void *arg, const struct addr *addr, int err, const uint8_t *key, uint64_t now_ns)
{
	(void)arg, (void)addr, (void)err, (void)key, (void)now_ns;
}

static void test_an_address_without_a_key_follows_the_policy(void)
{
	struct mesh_config config;
	struct addr addr = pair_addr(2);

	rig_init(&rig, 2);
	mesh_config_defaults(&config);
	memset(config.ways, 0, sizeof(config.ways));
	mesh_configure(rig.nodes[0].mesh, &config);
	CHECK_EQ(mesh_identify_addr(rig.nodes[0].mesh, &addr, met, NULL, rig.net.now_ns),
		 WEFT_EREFUSED);
	config.ways[MESH_NETWORK_LAN].ranks[MESH_WAY_QUIC4] = 1;
	mesh_configure(rig.nodes[0].mesh, &config);
	CHECK_EQ(mesh_identify_addr(rig.nodes[0].mesh, &addr, met, NULL, rig.net.now_ns), 0);
	rig_fini(&rig);
}

int main(void)
{
	RUN(test_words_are_read_and_written);
	RUN(test_relay_is_a_way_of_the_internet);
	RUN(test_tcp_has_ranks_of_its_own);
	RUN(test_websocket_has_a_rank_of_its_own);
	RUN(test_words_that_are_none_are_refused_by_name);
	RUN(test_addresses_are_dialled_as_the_policy_has_them);
	RUN(test_a_peer_with_no_address_of_the_policy_is_not_reached);
	RUN(test_an_unverified_address_stays_so_in_another_place);
	RUN(test_an_address_without_a_key_follows_the_policy);
	return check_done();
}
