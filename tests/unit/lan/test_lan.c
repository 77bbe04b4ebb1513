/* SPDX-License-Identifier: Apache-2.0 */
#include "lan/lan.h"

#include <stdlib.h>

#include "base/monotonic.h"
#include "base/byte_cursor.h"
#include "base/random.h"
#include "lan/beacon.h"
#include "lan/dnssd.h"
#include "support/check.h"

/* Two nodes on one LAN: both hear what one sends, for a group's datagram returns to its sender. */
#define PACKET_CAP 64

struct packet {
	enum lan_way way;
	uint8_t family;
	uint8_t bytes[LAN_PACKET_LEN_MAX];
	size_t len;
};

static struct station {
	struct lan *lan;
	struct random random;
	uint8_t key[MESH_KEY_LEN];
	struct addr addr;
	struct packet sent[PACKET_CAP];
	unsigned sent_cnt;
	unsigned found_cnt;
	struct lan_node found; /* the last one */
} a, b;
static uint64_t now_ns;
static const struct lan_interface eth0 = {
	.index = 2,
	.name = "eth0",
	.addrs = {{.family = ADDR_IPV4, .ip = {192, 0, 2, 1}},
		  {.family = ADDR_IPV6, .ip = {0xfe, 0x80, [15] = 1}, .scope_id = 2}},
	.addr_cnt = 2,
};

static void on_send(void *ctx, const struct lan_packet *sent)
{
	struct station *station = ctx;
	struct packet *packet = &station->sent[station->sent_cnt % PACKET_CAP];

	station->sent_cnt++;
	packet->way = sent->way;
	packet->family = sent->family;
	packet->len = sent->len;
	memcpy(packet->bytes, sent->bytes, sent->len);
}

static struct lan_stats stats_of(const struct lan *lan)
{
	struct lan_stats stats;

	lan_stats(lan, &stats);
	return stats;
}

static void on_found(void *ctx, const struct lan_node *node, uint64_t at_ns)
{
	struct station *station = ctx;

	(void)at_ns;
	station->found_cnt++;
	station->found = *node;
}

static void station_open(struct station *station, uint8_t number)
{
	struct lan_params params = {
		.own_key = station->key,
		.port = 7000,
		.caps = 0x10,
		.random = &station->random,
		.node_cap = 8,
		.source_max = 4,
		.now_ns = now_ns,
		.send = on_send,
		.found = on_found,
		.ctx = station,
	};

	memset(station, 0, sizeof(*station));
	memset(station->key, number, sizeof(station->key));
	random_init_seeded(&station->random, number);
	station->addr = (struct addr){.family = ADDR_IPV4, .ip = {192, 0, 2, number}, .port = 999};
	if (lan_new(&params, &station->lan) < 0)
		abort();
	lan_set_interfaces(station->lan, &eth0, 1, now_ns);
}

static void carry(struct station *from)
{
	struct station *stations[] = {&a, &b};
	unsigned cnt = from->sent_cnt;

	from->sent_cnt = 0;
	for (unsigned i = 0; i < cnt; i++) {
		const struct packet *packet = &from->sent[i];
		struct addr source = from->addr;

		if (packet->family == ADDR_IPV6)
			source = (struct addr){.family = ADDR_IPV6,
					       .ip = {0xfe, 0x80, [15] = from->addr.ip[3]},
					       .scope_id = 2,
					       .port = 999};
		for (unsigned at = 0; at < 2; at++)
			if (stations[at]->lan)
				lan_input(stations[at]->lan,
					  &(struct lan_packet){.way = packet->way,
							       .interface = eth0.index,
							       .source = source,
							       .bytes = packet->bytes,
							       .len = packet->len},
					  now_ns);
	}
}

static void run(uint64_t for_ns)
{
	uint64_t end_ns = now_ns + for_ns;

	while (now_ns <= end_ns) {
		uint64_t next_ns = lan_next_ns(a.lan);

		lan_expire(a.lan, now_ns);
		carry(&a);
		if (b.lan) {
			lan_expire(b.lan, now_ns);
			carry(&b);
			next_ns = lan_next_ns(b.lan) < next_ns ? lan_next_ns(b.lan) : next_ns;
		}
		now_ns = next_ns > now_ns ? next_ns : now_ns + NS_PER_MS;
	}
	now_ns = end_ns;
}

static void both_open(void)
{
	now_ns = NS_PER_S;
	station_open(&a, 1);
	station_open(&b, 2);
}

static void both_close(void)
{
	lan_free(a.lan);
	lan_free(b.lan);
	a.lan = b.lan = NULL;
}

static unsigned heard_cnt(const struct station *station, enum lan_way way)
{
	const struct lan_node *node = NULL;
	unsigned cnt = 0;

	while ((node = lan_next(station->lan, node)))
		cnt += node->way == way;
	return cnt;
}

static void test_both_hear_each_other_both_ways_within_5_s(void)
{
	both_open();
	run(5 * NS_PER_S);
	for (enum lan_way way = 0; way < LAN_WAY_CNT; way++) {
		/* DNS-SD in both families. */
		CHECK_EQ(heard_cnt(&a, way), way == LAN_DNSSD ? 2 : 1);
		CHECK_EQ(heard_cnt(&b, way), way == LAN_DNSSD ? 2 : 1);
	}
	CHECK_EQ(a.found_cnt, 3);
	CHECK(a.found.has_key);
	CHECK_MEM(a.found.key, b.key, MESH_KEY_LEN);
	CHECK_EQ(a.found.addr.port, 7000);
	CHECK_EQ(a.found.caps, 0x10);
	CHECK(stats_of(a.lan).own_cnt > 0);
	/* A node that stays at its place is reported once. */
	run(60 * NS_PER_S);
	CHECK_EQ(a.found_cnt, 3);
	both_close();
}

static void test_a_silent_node_is_forgotten(void)
{
	both_open();
	run(5 * NS_PER_S);
	b.lan = (lan_free(b.lan), NULL);
	b.sent_cnt = 0; /* it crashed: no goodbye */
	run(16 * NS_PER_S);
	CHECK_EQ(heard_cnt(&a, LAN_BEACON), 0);
	CHECK_EQ(heard_cnt(&a, LAN_DNSSD), 2);
	run(121 * NS_PER_S);
	CHECK_EQ(heard_cnt(&a, LAN_DNSSD), 0);
	both_close();
}

static void test_a_node_that_says_goodbye_is_gone_at_once(void)
{
	both_open();
	run(5 * NS_PER_S);
	lan_set_interfaces(b.lan, NULL, 0, now_ns);
	carry(&b);
	CHECK_EQ(heard_cnt(&a, LAN_DNSSD), 0);
	CHECK_EQ(heard_cnt(&b, LAN_DNSSD), 0);
	CHECK_EQ(lan_next_ns(b.lan), UINT64_MAX);
	both_close();
}

static void test_an_interface_that_is_off_is_not_heard(void)
{
	struct beacon beacon = {.version = 1};
	uint8_t bytes[BEACON_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));

	both_open();
	lan_beacon_write(&w, &beacon);
	lan_input(a.lan,
		  &(struct lan_packet){.way = LAN_BEACON,
				       .interface = 3,
				       .source = b.addr,
				       .bytes = bytes,
				       .len = writer_len(&w)},
		  now_ns);
	CHECK_EQ(a.found_cnt, 0);
	CHECK_EQ(stats_of(a.lan).foreign_cnt, 1);
	lan_input(a.lan,
		  &(struct lan_packet){.way = LAN_BEACON,
				       .interface = 2,
				       .source = b.addr,
				       .bytes = bytes,
				       .len = writer_len(&w)},
		  now_ns);
	CHECK_EQ(a.found_cnt, 1);
	CHECK(!a.found.has_key);
	CHECK_EQ(a.found.addr.port, 0);
	both_close();
}

static void beacon_hear(struct station *station, unsigned number, uint8_t host)
{
	struct beacon beacon = {.version = 2, .quic_port = 7000};
	struct addr source = {.family = ADDR_IPV4, .ip = {10, 0, 0, host}, .port = 5};
	uint8_t bytes[BEACON_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));

	beacon.instance[0] = (uint8_t)number;
	beacon.instance[1] = 77;
	lan_beacon_write(&w, &beacon);
	lan_input(station->lan,
		  &(struct lan_packet){.way = LAN_BEACON,
				       .interface = 2,
				       .source = source,
				       .bytes = bytes,
				       .len = writer_len(&w)},
		  now_ns);
}

static void test_one_address_and_all_of_them_have_so_many_nodes(void)
{
	uint64_t full_cnt;

	both_open();
	for (unsigned i = 0; i < 4; i++)
		beacon_hear(&a, i, 1);
	CHECK_EQ(heard_cnt(&a, LAN_BEACON), 4);
	beacon_hear(&a, 4, 1);
	CHECK_EQ(heard_cnt(&a, LAN_BEACON), 4);
	CHECK_EQ(stats_of(a.lan).full_cnt, 1);
	for (unsigned i = 0; i < 4; i++)
		beacon_hear(&a, 10 + i, (uint8_t)(2 + i));
	CHECK_EQ(heard_cnt(&a, LAN_BEACON), 8);
	beacon_hear(&a, 20, 9);
	CHECK_EQ(heard_cnt(&a, LAN_BEACON), 8);
	CHECK_EQ(stats_of(a.lan).full_cnt, 2);
	CHECK_EQ(a.found_cnt, 8);
	/* Known nodes are heard all the same. */
	beacon_hear(&a, 0, 1);
	CHECK_EQ(stats_of(a.lan).full_cnt, 2);
	/* What expires makes room. */
	run(16 * NS_PER_S);
	full_cnt = stats_of(a.lan).full_cnt;
	beacon_hear(&a, 20, 9);
	CHECK_EQ(stats_of(a.lan).full_cnt, full_cnt);
	both_close();
}

static void test_packets_of_others_are_counted_and_dropped(void)
{
	static const uint8_t packets[][24] = {
		"",
		"hello",
		{0xa1, 0x61, 'a', 1},
		{0xff, 0xff, 0xff, 0xff},
		/* A question that points to itself. */
		{0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 12, 0, 12, 0, 1},
	};

	both_open();
	for (unsigned way = 0; way < LAN_WAY_CNT; way++)
		for (size_t i = 0; i < sizeof(packets) / sizeof(packets[0]); i++)
			lan_input(a.lan,
				  &(struct lan_packet){.way = (enum lan_way)way,
						       .interface = 2,
						       .source = b.addr,
						       .bytes = packets[i],
						       .len = i == 0 ? 0 : sizeof(packets[i])},
				  now_ns);
	CHECK_EQ(stats_of(a.lan).malformed_cnt, 10);
	CHECK_EQ(a.found_cnt, 0);
	both_close();
}

static const struct lan_services no_services;
static const struct dnssd_self other = {.label = "ffffffff", .services = &no_services};

static size_t label_answer(const char *label, const uint8_t *key, uint8_t *out)
{
	struct dnssd_self self = {.key = key, .port = 7000, .services = &no_services};

	memcpy(self.label, label, DNSSD_LABEL_LEN);
	return lan_dnssd_write_answer(&self, &eth0, DNSSD_TTL_S, out, LAN_PACKET_LEN_MAX);
}

static void first_label(const struct station *station, char *label)
{
	const struct lan_node *node = NULL;

	while ((node = lan_next(station->lan, node)) && node->way != LAN_DNSSD)
		;
	if (node)
		memcpy(label, node->instance, DNSSD_LABEL_LEN + 1);
}

static void test_a_name_that_another_has_is_given_up(void)
{
	char before[LAN_INSTANCE_CAP] = "", after[LAN_INSTANCE_CAP] = "";
	uint8_t bytes[LAN_PACKET_LEN_MAX], key[MESH_KEY_LEN] = {99};
	size_t len;

	both_open();
	run(5 * NS_PER_S);
	first_label(&b, before);
	len = label_answer(before, key, bytes);
	lan_input(a.lan,
		  &(struct lan_packet){.way = LAN_DNSSD,
				       .interface = 2,
				       .source = b.addr,
				       .bytes = bytes,
				       .len = len},
		  now_ns);
	/* Again at once: a liar does not make it change names all the time. */
	for (unsigned i = 0; i < 100; i++)
		lan_input(a.lan,
			  &(struct lan_packet){.way = LAN_DNSSD,
					       .interface = 2,
					       .source = b.addr,
					       .bytes = bytes,
					       .len = len},
			  now_ns);
	b.lan = (lan_free(b.lan), NULL);
	station_open(&b, 2);
	run(5 * NS_PER_S);
	first_label(&b, after);
	CHECK_EQ(strlen(after), DNSSD_LABEL_LEN);
	CHECK(strcmp(before, after) != 0);
	both_close();
}

static void test_an_answer_to_a_question_comes_within_120_ms_and_once_a_second(void)
{
	uint8_t bytes[LAN_PACKET_LEN_MAX];
	unsigned at = 0;
	size_t len = lan_dnssd_write_query(&no_services, &at, bytes, sizeof(bytes));

	now_ns = NS_PER_S;
	station_open(&a, 1);
	b.lan = NULL;
	run(10 * NS_PER_S + 500 * NS_PER_MS);
	a.sent_cnt = 0;
	for (unsigned i = 0; i < 50; i++)
		lan_input(a.lan,
			  &(struct lan_packet){.way = LAN_DNSSD,
					       .interface = 2,
					       .source = b.addr,
					       .bytes = bytes,
					       .len = len},
			  now_ns);
	for (uint64_t until_ns = now_ns + 120 * NS_PER_MS; now_ns <= until_ns; now_ns += NS_PER_MS)
		lan_expire(a.lan, now_ns);
	CHECK_EQ(a.sent_cnt, 2); /* one in each family */
	lan_input(a.lan,
		  &(struct lan_packet){.way = LAN_DNSSD,
				       .interface = 2,
				       .source = b.addr,
				       .bytes = bytes,
				       .len = len},
		  now_ns);
	a.sent_cnt = 0;
	CHECK(lan_next_ns(a.lan) > now_ns + 100 * NS_PER_MS);
	lan_free(a.lan);
	a.lan = NULL;
}

static void test_a_node_that_moves_is_reported_again(void)
{
	both_open();
	run(5 * NS_PER_S);
	CHECK_EQ(a.found_cnt, 3);
	lan_set_self(b.lan, 7777, 0x10, now_ns);
	run(5 * NS_PER_S);
	CHECK_EQ(a.found_cnt, 6);
	CHECK_EQ(a.found.addr.port, 7777);
	both_close();
}

static void test_every_prefix_of_an_answer_is_malformed(void)
{
	static struct dnssd_message message;
	uint8_t bytes[LAN_PACKET_LEN_MAX], key[MESH_KEY_LEN] = {5};
	size_t len = label_answer("0123abcd", key, bytes);

	CHECK_EQ(lan_dnssd_parse(bytes, len, &other, &message), 0);
	CHECK_EQ(message.instance_cnt, 1);
	CHECK_STR(message.instances[0].label, "0123abcd");
	CHECK_MEM(message.instances[0].key, key, sizeof(key));
	CHECK_EQ(message.instances[0].port, 7000);
	CHECK_EQ(message.instances[0].ttl_s, DNSSD_TTL_S);
	CHECK(!message.is_query);
	for (size_t cut = 0; cut < len; cut++) {
		uint8_t *exact = malloc(cut + 1);

		memcpy(exact, bytes, cut);
		CHECK_EQ(lan_dnssd_parse(exact, cut, &other, &message), WEFT_EMALFORMED);
		free(exact);
	}
	CHECK_EQ(lan_dnssd_parse(bytes, DNSSD_LEN_MAX + 1, &other, &message), WEFT_EMALFORMED);
}

static void test_more_instances_than_there_is_room_for_are_left_out(void)
{
	/* An SRV record of aaaaaaaa._mesh._udp.local, port 7000, at the root. */
	static const char srv[] = "\10aaaaaaaa\5_mesh\4_udp\5local\0"
				  "\0\41\0\1\0\0\0\170\0\7\0\0\0\0\33\130\0";
	static const uint8_t header[12] = {[2] = 0x84, [7] = DNSSD_INSTANCES_MAX + 1};
	static struct dnssd_message message;
	static uint8_t bytes[DNSSD_LEN_MAX];
	size_t len = sizeof(header);

	memcpy(bytes, header, sizeof(header));
	for (unsigned i = 0; i < DNSSD_INSTANCES_MAX + 1; i++) {
		memcpy(bytes + len, srv, sizeof(srv) - 1);
		bytes[len + 1] = (uint8_t)('a' + i);
		len += sizeof(srv) - 1;
	}
	CHECK_EQ(lan_dnssd_parse(bytes, len, &other, &message), 0);
	CHECK_EQ(message.instance_cnt, DNSSD_INSTANCES_MAX);
	CHECK_STR(message.instances[1].label, "baaaaaaa");
	CHECK_EQ(message.instances[1].port, 7000);
}

int main(void)
{
	RUN(test_both_hear_each_other_both_ways_within_5_s);
	RUN(test_a_silent_node_is_forgotten);
	RUN(test_a_node_that_says_goodbye_is_gone_at_once);
	RUN(test_an_interface_that_is_off_is_not_heard);
	RUN(test_one_address_and_all_of_them_have_so_many_nodes);
	RUN(test_packets_of_others_are_counted_and_dropped);
	RUN(test_a_name_that_another_has_is_given_up);
	RUN(test_an_answer_to_a_question_comes_within_120_ms_and_once_a_second);
	RUN(test_a_node_that_moves_is_reported_again);
	RUN(test_every_prefix_of_an_answer_is_malformed);
	RUN(test_more_instances_than_there_is_room_for_are_left_out);
	return check_done();
}
