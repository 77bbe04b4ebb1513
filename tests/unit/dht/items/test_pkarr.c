/* SPDX-License-Identifier: Apache-2.0 */
#include "dht/items/pkarr.h"

#include <stdlib.h>

#include "codec/dns.h"
#include "codec/text/zbase32.h"
#include "support/check.h"
#include "support/hex_digits.h"

/*
 * Made and read by the npm package pkarr 1.3, under the key whose seed is
 * zero: relay=https://relay.example/ and addr=192.0.2.1:7000.
 */
#define VECTOR_Z32    "8pinxxgqs41n4aididenw5apqp1urfmzdztr8jt4abrkdn435ewo"
#define VECTOR_TARGET "8c30c97e7fd5460ce3b962db4cd75879eecd8abd"
#define VECTOR_SALTED "b79f24c2a7bc8c90da543644e69ded620fc8d80d"
#define VECTOR_SEQ    1700000000000000
#define VECTOR_DNS                                                                                 \
	"000080000000000200000000055f6d657368343870696e787867717334316e346169646964656e7735617071" \
	"70317572666d7a647a7472386a74346162726b646e34333565776f00001000010000001e001d1c72656c6179" \
	"3d68747470733a2f2f72656c61792e6578616d706c652fc00c001000010000001e001413616464723d313932" \
	"2e302e322e313a37303030"
#define VECTOR_SIG                                                                                 \
	"b92327a5e266eb12e098316f5bcb4434c2851f0f33dbca50b2c3aaf3a00655218a0d93a144c9de1feef4d41c" \
	"a582b2ad32edb5c817bc8a404a6d5d4e34978b08"

static struct node_key *key_of_seed(uint8_t first)
{
	uint8_t seed[NODE_KEY_SEED_LEN] = {first};
	struct node_key *key;

	return node_key_from_seed(seed, &key) < 0 ? NULL : key;
}

static void add_addr(struct pkarr_record *record, const char *text)
{
	if (addr_parse(text, &record->addrs[record->addr_cnt]) == 0)
		record->addr_cnt++;
}

static struct pkarr_record vector_record(void)
{
	struct pkarr_record record = {.relay_cnt = 1, .relays = {"https://relay.example/"}};

	add_addr(&record, "192.0.2.1:7000");
	return record;
}

static void test_the_vector_is_made_byte_for_byte(void)
{
	struct node_key *key = key_of_seed(0);
	struct pkarr_record record = vector_record();
	struct pkarr_packet packet;
	struct kad_id target, want;
	struct dht_item item;
	uint8_t body[PKARR_BODY_LEN_MAX], expected[PKARR_BODY_LEN_MAX];
	char text[ZBASE32_KEY_TEXT_CAP];
	size_t dns_len;

	CHECK(key);
	dht_pkarr_packet_sign(&record, key, VECTOR_SEQ, &packet);
	node_key_free(key);
	CHECK_STR(zbase32_write(packet.key, NODE_KEY_LEN, text), VECTOR_Z32);
	CHECK_EQ(hex_parse(VECTOR_SIG, expected), NODE_KEY_SIG_LEN);
	CHECK_EQ(hex_parse("00060a24181e4000", expected + NODE_KEY_SIG_LEN), 8);
	dns_len = hex_parse(VECTOR_DNS, expected + PKARR_BODY_HEAD_LEN);
	CHECK_EQ(dns_len, 143);
	CHECK_EQ(dht_pkarr_packet_write_body(&packet, body), PKARR_BODY_HEAD_LEN + dns_len);
	CHECK_MEM(body, expected, PKARR_BODY_HEAD_LEN + dns_len);

	dht_pkarr_packet_item(&packet, &item);
	dht_item_target(&item, &target);
	hex_parse(VECTOR_TARGET, want.bytes);
	CHECK_MEM(target.bytes, want.bytes, KAD_ID_LEN);
	dht_item_target_of_key(packet.key, (const uint8_t *)"tom-addr-v1", 11, &target);
	hex_parse(VECTOR_SALTED, want.bytes);
	CHECK_MEM(target.bytes, want.bytes, KAD_ID_LEN);
}

static size_t vector_body(uint8_t key[static NODE_KEY_LEN], uint8_t body[static PKARR_BODY_LEN_MAX])
{
	size_t len = hex_parse(VECTOR_SIG, body);

	if (zbase32_parse(VECTOR_Z32, strlen(VECTOR_Z32), key, NODE_KEY_LEN) != NODE_KEY_LEN)
		return 0;
	len += hex_parse("00060a24181e4000", body + len);
	return len + hex_parse(VECTOR_DNS, body + len);
}

static void test_the_vector_is_read_from_a_relay_and_from_the_dht(void)
{
	struct pkarr_packet packet, again;
	struct pkarr_record record;
	struct dht_item item;
	uint8_t key[NODE_KEY_LEN], body[PKARR_BODY_LEN_MAX];
	size_t len = vector_body(key, body);
	char text[ADDR_TEXT_CAP];

	CHECK_EQ(dht_pkarr_packet_parse_body(key, body, len, &packet), 0);
	CHECK_EQ(packet.seq, VECTOR_SEQ);
	CHECK_EQ(dht_pkarr_packet_ttl_s(&packet), 30);
	dht_pkarr_packet_item(&packet, &item);
	CHECK_EQ(dht_item_verify(&item), 0);
	memset(&again, 0, sizeof(again));
	CHECK_EQ(dht_pkarr_packet_of_item(&item, &again), 0);
	CHECK_EQ(again.value_len, packet.value_len);
	CHECK_EQ(dht_pkarr_record_read(&again, false, &record), 0);
	CHECK_EQ(record.addr_cnt, 1);
	CHECK_STR(addr_format(&record.addrs[0], text), "192.0.2.1:7000");
	CHECK_EQ(record.relay_cnt, 1);
	CHECK_STR(record.relays[0], "https://relay.example/");
	CHECK_EQ(record.caps, 0);
}

static void test_every_cut_and_every_altered_byte_is_refused(void)
{
	struct pkarr_packet packet;
	uint8_t key[NODE_KEY_LEN], body[PKARR_BODY_LEN_MAX];
	size_t len = vector_body(key, body);

	for (size_t cut = 0; cut < len; cut++)
		CHECK(dht_pkarr_packet_parse_body(key, body, cut, &packet) < 0);
	for (size_t i = 0; i < len; i++) {
		body[i] ^= 1;
		CHECK(dht_pkarr_packet_parse_body(key, body, len, &packet) < 0);
		body[i] ^= 1;
	}
	key[0] ^= 1;
	CHECK_EQ(dht_pkarr_packet_parse_body(key, body, len, &packet), WEFT_EDAMAGED);
	key[0] ^= 1;
	CHECK_EQ(dht_pkarr_packet_parse_body(key, body, len, &packet), 0);
	body[NODE_KEY_SIG_LEN] |= 0x80;
	CHECK_EQ(dht_pkarr_packet_parse_body(key, body, len, &packet), WEFT_EMALFORMED);
}

/* A TXT record at NAME of the key, of as many strings as fill the message to len. */
static size_t filled_dns(const uint8_t *key, size_t len, uint8_t *dst)
{
	char text[DNS_STRING_LEN_MAX] = "x", name_text[ZBASE32_KEY_TEXT_CAP];
	struct dns_name name;
	struct dns_writer w;

	zbase32_write(key, NODE_KEY_LEN, name_text);
	if (dns_name_parse(name_text, &name) < 0)
		return 0;
	dns_writer_init(&w, dst, len);
	while (!w.w.bad && (size_t)(w.w.end - w.w.pos) > 0) {
		size_t left = (size_t)(w.w.end - w.w.pos);
		size_t head = w.answer_cnt ? 13 : 13 + name.len - 2u;
		size_t string = left - head;

		if (string > DNS_STRING_LEN_MAX)
			string = left - head < 2 * DNS_STRING_LEN_MAX ? 100 : DNS_STRING_LEN_MAX;
		dns_write_txt(&w, &name, 7, text, string);
	}
	return dns_writer_finish(&w) < 0 ? 0 : len;
}

/* Bodies signed by hand: what others may publish, beyond what we write. */
static size_t signed_body(const struct node_key *key, const uint8_t *dns, size_t dns_len,
			  uint8_t *body)
{
	uint8_t value[DHT_SIGNED_VALUE_LEN_MAX + 8];
	int head_len = snprintf((char *)value, sizeof(value), "%zu:", dns_len);
	struct dht_item item = {
		.value = value, .value_len = (size_t)head_len + dns_len, .seq = 0x0102};

	memcpy(value + head_len, dns, dns_len);
	dht_item_sign(&item, key, body);
	memcpy(body + NODE_KEY_SIG_LEN, "\0\0\0\0\0\0\x01\x02", 8);
	memcpy(body + PKARR_BODY_HEAD_LEN, dns, dns_len);
	return PKARR_BODY_HEAD_LEN + dns_len;
}

static void test_a_message_of_1000_bytes_is_accepted_and_no_more(void)
{
	struct node_key *key = key_of_seed(1);
	uint8_t dns[PKARR_DNS_LEN_MAX + 1], body[PKARR_BODY_LEN_MAX + 1];
	struct pkarr_packet packet;
	struct dht_item item;
	size_t len;

	CHECK(key);
	CHECK_EQ(filled_dns(node_key_public(key), PKARR_DNS_LEN_MAX, dns), PKARR_DNS_LEN_MAX);
	len = signed_body(key, dns, PKARR_DNS_LEN_MAX, body);
	CHECK_EQ(len, 1072);
	CHECK_EQ(dht_pkarr_packet_parse_body(node_key_public(key), body, len, &packet), 0);
	CHECK_EQ(dht_pkarr_packet_ttl_s(&packet), 7);
	dht_pkarr_packet_item(&packet, &item);
	CHECK_EQ(item.value_len, DHT_SIGNED_VALUE_LEN_MAX);
	CHECK_EQ(dht_pkarr_packet_of_item(&item, &packet), 0);
	CHECK_EQ(dht_pkarr_packet_parse_body(node_key_public(key), body, len + 1, &packet),
		 WEFT_ETOOLARGE);
	node_key_free(key);
}

static void test_what_is_signed_and_no_dns_is_refused(void)
{
	struct node_key *key = key_of_seed(1);
	uint8_t body[PKARR_BODY_LEN_MAX];
	struct pkarr_packet packet;
	size_t len;

	CHECK(key);
	len = signed_body(key, (const uint8_t *)"no DNS", 6, body);
	CHECK_EQ(dht_pkarr_packet_parse_body(node_key_public(key), body, len, &packet),
		 WEFT_EMALFORMED);
	node_key_free(key);
}

static void test_items_that_are_no_packets_are_refused(void)
{
	static const char *const values[] = {"i5e", "le", "de", "3:no!", "", "03:abc", "5:abc"};
	uint8_t key[NODE_KEY_LEN] = {1}, sig[NODE_KEY_SIG_LEN] = {0};
	uint8_t empty[] = "12:\0\0\x80\0\0\0\0\0\0\0\0\0";
	struct dht_item item = {.key = key, .sig = sig, .value = empty, .value_len = 15};
	struct pkarr_packet packet;

	CHECK_EQ(dht_pkarr_packet_of_item(&item, &packet), 0);
	item.key = NULL;
	CHECK_EQ(dht_pkarr_packet_of_item(&item, &packet), WEFT_EMALFORMED);
	item.key = key;
	item.salt = key;
	item.salt_len = 1;
	CHECK_EQ(dht_pkarr_packet_of_item(&item, &packet), WEFT_EMALFORMED);
	item.salt_len = 0;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		item.value = (const uint8_t *)values[i];
		item.value_len = strlen(values[i]);
		CHECK_EQ(dht_pkarr_packet_of_item(&item, &packet), WEFT_EMALFORMED);
	}
}

static void test_unvalidated_sources_learn_what_the_policy_says(void)
{
	struct pkarr_record all = vector_record(), got;
	struct pkarr_policy policy = {.publish = PKARR_OFF};

	all.caps = 0x800;
	CHECK_EQ(dht_pkarr_record_select(&all, &policy, &got), WEFT_EREFUSED);
	policy.publish = PKARR_RELAY_ONLY;
	CHECK_EQ(dht_pkarr_record_select(&all, &policy, &got), 0);
	CHECK_EQ(got.addr_cnt, 0);
	CHECK_EQ(got.relay_cnt, 1);
	CHECK_EQ(got.caps, 0x800);
	policy.publish = PKARR_DIRECT;
	CHECK_EQ(dht_pkarr_record_select(&all, &policy, &got), 0);
	CHECK_EQ(got.addr_cnt, 1);
	CHECK_EQ(got.relay_cnt, 1);
	all.relay_cnt = 0;
	CHECK_EQ(dht_pkarr_record_select(&all, &policy, &got), 0);
	policy.publish = PKARR_RELAY_ONLY;
	CHECK_EQ(dht_pkarr_record_select(&all, &policy, &got), WEFT_EABSENT);
}

static void test_no_record_without_a_usable_address(void)
{
	static const struct {
		const char *addr;
		bool is_public,
			is_private; /* usable where only global ones are, and where all are */
	} addrs[] = {
		{"203.0.113.9:7000", true, true},  {"203.0.113.9:0", false, false},
		{"127.0.0.1:7000", false, true},   {"192.168.1.1:7000", false, true},
		{"10.0.0.1:7000", false, true},	   {"100.64.0.1:7000", false, true},
		{"169.254.7.7:7000", false, true}, {"0.0.0.0:7000", false, false},
		{"224.0.0.1:7000", false, false},  {"[::1]:7000", false, true},
		{"[::]:7000", false, false},	   {"[fe80::1%2]:7000", false, false},
		{"[fd00::1]:7000", false, true},   {"[2001:db8::1]:7000", true, true},
		{"[ff02::1]:7000", false, false},
	};

	for (size_t i = 0; i < sizeof(addrs) / sizeof(addrs[0]); i++) {
		struct pkarr_record all = {.caps = 1}, got;
		struct pkarr_policy policy = {.publish = PKARR_DIRECT};

		add_addr(&all, addrs[i].addr);
		CHECK_EQ(all.addr_cnt, 1);
		if ((dht_pkarr_record_select(&all, &policy, &got) == 0) != addrs[i].is_public)
			printf("# %s\n", addrs[i].addr);
		CHECK_EQ(dht_pkarr_record_select(&all, &policy, &got),
			 addrs[i].is_public ? 0 : WEFT_EABSENT);
		policy.allows_private = true;
		CHECK_EQ(dht_pkarr_record_select(&all, &policy, &got),
			 addrs[i].is_private ? 0 : WEFT_EABSENT);
	}
}

static void test_urls_that_are_none_are_left_out(void)
{
	static const char *const bad[] = {"",
					  "relay.example",
					  "ftp://relay.example/",
					  "https:/x",
					  "https://a b/",
					  "https://a\n/",
					  "https://\xc3\xa9/"};
	struct pkarr_policy policy = {.publish = PKARR_RELAY_ONLY};
	struct pkarr_record all = {.relay_cnt = 1}, got;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		strcpy(all.relays[0], bad[i]);
		CHECK_EQ(dht_pkarr_record_select(&all, &policy, &got), WEFT_EABSENT);
	}
	strcpy(all.relays[0], "http://relay.example:8080/x");
	CHECK_EQ(dht_pkarr_record_select(&all, &policy, &got), 0);
}

/* Eight of the longest addresses and two of the longest URLs: Mainline still takes it. */
static void test_the_longest_record_fits_and_comes_back(void)
{
	struct node_key *key = key_of_seed(3);
	struct pkarr_record record = {.relay_cnt = PKARR_RELAYS_MAX, .caps = UINT32_MAX}, got;
	struct pkarr_packet packet;
	struct dht_item item;

	CHECK(key);
	for (int i = 0; i < PKARR_ADDRS_MAX; i++)
		add_addr(&record, "[2fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
	for (int i = 0; i < PKARR_RELAYS_MAX; i++) {
		memset(record.relays[i], 'a', PKARR_URL_CAP - 1);
		memcpy(record.relays[i], "https://", 8);
	}
	dht_pkarr_packet_sign(&record, key, 1, &packet);
	dht_pkarr_packet_item(&packet, &item);
	CHECK(item.value_len <= DHT_VALUE_LEN_MAX);
	CHECK_EQ(dht_item_verify(&item), 0);
	CHECK_EQ(dht_pkarr_record_read(&packet, false, &got), 0);
	CHECK_MEM(&got, &record, sizeof(got));
	node_key_free(key);
}

/* packet_of_strings signs TXT strings at LABEL.KEY, as a foreign writer might. */
static int packet_of_strings(const struct node_key *key, const char *label,
			     const char *const *strings, struct pkarr_packet *out_packet)
{
	uint8_t dns[PKARR_DNS_LEN_MAX], body[PKARR_BODY_LEN_MAX];
	char text[128];
	struct dns_name name;
	struct dns_writer w;
	int len = snprintf(text, sizeof(text), "%s.", label);

	zbase32_write(node_key_public(key), NODE_KEY_LEN, text + len);
	if (dns_name_parse(text, &name) < 0)
		return WEFT_EMALFORMED;
	dns_writer_init(&w, dns, sizeof(dns));
	for (; *strings; strings++)
		dns_write_txt(&w, &name, 60, *strings, strlen(*strings));
	len = dns_writer_finish(&w);
	return len < 0 ? len
		       : dht_pkarr_packet_parse_body(node_key_public(key), body,
						     signed_body(key, dns, (size_t)len, body),
						     out_packet);
}

static void test_strings_of_others_are_taken_or_stepped_over(void)
{
	static const char *const strings[] = {"user-data=x",
					      "addr=",
					      "addr=relay.example:1",
					      "addr=10.0.0.1:1",
					      "addr=203.0.113.1:0",
					      "ADDR=203.0.113.1:1",
					      "addr=203.0.113.1:11",
					      "addr=[2001:db8::2]:12",
					      "relay=ftp://x",
					      "relay=https://r/",
					      "caps=1g",
					      "caps=0800",
					      "addr=203.0.113.1:11 ",
					      NULL};
	struct node_key *key = key_of_seed(4);
	struct pkarr_packet packet;
	struct pkarr_record record;
	char text[ADDR_TEXT_CAP];

	CHECK(key);
	CHECK_EQ(packet_of_strings(key, "_mesh", strings, &packet), 0);
	CHECK_EQ(dht_pkarr_record_read(&packet, false, &record), 0);
	CHECK_EQ(record.addr_cnt, 2);
	CHECK_STR(addr_format(&record.addrs[0], text), "203.0.113.1:11");
	CHECK_STR(addr_format(&record.addrs[1], text), "[2001:db8::2]:12");
	CHECK_EQ(record.relay_cnt, 1);
	CHECK_EQ(record.caps, 0x800);
	CHECK_EQ(dht_pkarr_record_read(&packet, true, &record), 0);
	CHECK_EQ(record.addr_cnt, 3);
	node_key_free(key);
}

static void test_more_addresses_than_we_keep_are_left_out(void)
{
	const char *strings[PKARR_ADDRS_MAX + PKARR_RELAYS_MAX + 3];
	char texts[PKARR_ADDRS_MAX + 1][32];
	struct node_key *key = key_of_seed(5);
	struct pkarr_packet packet;
	struct pkarr_record record;
	unsigned cnt = 0;

	CHECK(key);
	for (int i = 0; i < PKARR_ADDRS_MAX + 1; i++) {
		snprintf(texts[i], sizeof(texts[i]), "addr=203.0.113.1:%d", i + 1);
		strings[cnt++] = texts[i];
	}
	for (int i = 0; i < PKARR_RELAYS_MAX + 1; i++)
		strings[cnt++] = "relay=https://r/";
	strings[cnt] = NULL;
	CHECK_EQ(packet_of_strings(key, "_mesh", strings, &packet), 0);
	CHECK_EQ(dht_pkarr_record_read(&packet, false, &record), 0);
	CHECK_EQ(record.addr_cnt, PKARR_ADDRS_MAX);
	CHECK_EQ(record.addrs[PKARR_ADDRS_MAX - 1].port, PKARR_ADDRS_MAX);
	CHECK_EQ(record.relay_cnt, PKARR_RELAYS_MAX);
	node_key_free(key);
}

static void test_other_names_than_the_owners_say_nothing(void)
{
	static const char *const strings[] = {"addr=203.0.113.1:11", NULL};
	struct node_key *key = key_of_seed(6);
	struct pkarr_packet packet;
	struct pkarr_record record;

	CHECK(key);
	CHECK_EQ(packet_of_strings(key, "_iroh", strings, &packet), 0);
	CHECK_EQ(dht_pkarr_record_read(&packet, false, &record), 0);
	CHECK_EQ(record.addr_cnt, 1);
	CHECK_EQ(packet_of_strings(key, "_mash", strings, &packet), 0);
	CHECK_EQ(dht_pkarr_record_read(&packet, false, &record), WEFT_EABSENT);
	CHECK_EQ(packet_of_strings(key, "_mesh.x", strings, &packet), 0);
	CHECK_EQ(dht_pkarr_record_read(&packet, false, &record), WEFT_EABSENT);
	/* A foreign packet, served under this key's name: the names in it are not this key's. */
	CHECK_EQ(packet_of_strings(key, "_mesh", strings, &packet), 0);
	packet.key[0] ^= 1;
	CHECK_EQ(dht_pkarr_record_read(&packet, false, &record), WEFT_EABSENT);
	node_key_free(key);
}

static struct peer_via via_of(uint8_t first, const char *addr)
{
	struct peer_via via = {.key = {first}};

	if (addr_parse(addr, &via.addr) < 0)
		abort();
	return via;
}

static void test_relays_of_the_mesh_come_back_with_key_and_address(void)
{
	struct node_key *key = key_of_seed(5);
	struct pkarr_policy policy = {.publish = PKARR_RELAY_ONLY};
	struct pkarr_record all = {.via_cnt = 2}, record, got;
	struct pkarr_packet packet;

	CHECK(key);
	all.vias[0] = via_of(7, "203.0.113.7:7000");
	all.vias[1] = via_of(8, "[2001:db8::8]:7001");
	add_addr(&all, "203.0.113.9:7000");
	CHECK_EQ(dht_pkarr_record_select(&all, &policy, &record), 0);
	CHECK_EQ(record.addr_cnt, 0);
	dht_pkarr_packet_sign(&record, key, 1, &packet);
	CHECK_EQ(dht_pkarr_record_read(&packet, false, &got), 0);
	CHECK(peer_vias_equal(got.vias, got.via_cnt, all.vias, 2));
	/* One that is at no public address leads nowhere, and a second one of a key says nothing. */
	all.vias[0] = via_of(8, "192.168.1.1:7000");
	CHECK_EQ(dht_pkarr_record_select(&all, &policy, &record), 0);
	CHECK(peer_vias_equal(record.vias, record.via_cnt, &all.vias[1], 1));
	all.vias[0] = via_of(8, "203.0.113.7:7000");
	CHECK_EQ(dht_pkarr_record_select(&all, &policy, &record), 0);
	CHECK(peer_vias_equal(record.vias, record.via_cnt, all.vias, 1));
	node_key_free(key);
}

static void test_a_relay_of_the_mesh_takes_the_room_of_two_addresses(void)
{
	struct node_key *key = key_of_seed(6);
	struct pkarr_policy policy = {.publish = PKARR_DIRECT};
	struct pkarr_record all = {
		.relay_cnt = PKARR_RELAYS_MAX, .via_cnt = PEER_VIAS_MAX, .caps = UINT32_MAX};
	struct pkarr_record record, got;
	struct pkarr_packet packet;
	struct dht_item item;

	CHECK(key);
	for (int i = 0; i < PKARR_ADDRS_MAX; i++)
		add_addr(&all, "[2fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
	for (uint8_t i = 0; i < PKARR_RELAYS_MAX; i++) {
		memset(all.relays[i], 'a', PKARR_URL_CAP - 1);
		memcpy(all.relays[i], "https://", 8);
	}
	for (uint8_t i = 0; i < PEER_VIAS_MAX; i++)
		all.vias[i] = via_of(i, "[2fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
	CHECK_EQ(dht_pkarr_record_select(&all, &policy, &record), 0);
	CHECK_EQ(record.addr_cnt, 4);
	dht_pkarr_packet_sign(&record, key, 1, &packet);
	dht_pkarr_packet_item(&packet, &item);
	CHECK(item.value_len <= DHT_VALUE_LEN_MAX);
	CHECK_EQ(dht_pkarr_record_read(&packet, false, &got), 0);
	CHECK_MEM(&got, &record, sizeof(got));
	node_key_free(key);
}

static void test_vias_that_are_none_are_stepped_over(void)
{
#define VIA_KEY "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"
	static const char *const strings[] = {"via=",
					      "via=@203.0.113.1:1",
					      "via=" VIA_KEY,
					      "via=" VIA_KEY "@",
					      "via=" VIA_KEY "@relay.example:1",
					      "via=" VIA_KEY "@10.0.0.1:1",
					      "via=" VIA_KEY "@203.0.113.1:0",
					      "via=y" VIA_KEY "@203.0.113.1:1",
					      "via=0123" VIA_KEY "@203.0.113.1:1",
					      "via=" VIA_KEY "@203.0.113.1:1 ",
					      NULL};
	static const char *const sound[] = {"via=" VIA_KEY "@203.0.113.1:1", NULL};
	struct node_key *key = key_of_seed(7);
	struct pkarr_packet packet;
	struct pkarr_record record;

	CHECK(key);
	CHECK_EQ(packet_of_strings(key, "_mesh", strings, &packet), 0);
	CHECK_EQ(dht_pkarr_record_read(&packet, false, &record), WEFT_EABSENT);
	CHECK_EQ(packet_of_strings(key, "_mesh", sound, &packet), 0);
	CHECK_EQ(dht_pkarr_record_read(&packet, false, &record), 0);
	CHECK_EQ(record.via_cnt, 1);
	node_key_free(key);
}

static void test_sequence_numbers_only_grow(void)
{
	CHECK_EQ(dht_pkarr_next_seq(2000, 1000), 2000);
	CHECK_EQ(dht_pkarr_next_seq(2000, 2000), 2001);
	CHECK_EQ(dht_pkarr_next_seq(2000, 5000), 5001);
}

int main(void)
{
	RUN(test_the_vector_is_made_byte_for_byte);
	RUN(test_the_vector_is_read_from_a_relay_and_from_the_dht);
	RUN(test_every_cut_and_every_altered_byte_is_refused);
	RUN(test_a_message_of_1000_bytes_is_accepted_and_no_more);
	RUN(test_what_is_signed_and_no_dns_is_refused);
	RUN(test_items_that_are_no_packets_are_refused);
	RUN(test_unvalidated_sources_learn_what_the_policy_says);
	RUN(test_no_record_without_a_usable_address);
	RUN(test_urls_that_are_none_are_left_out);
	RUN(test_the_longest_record_fits_and_comes_back);
	RUN(test_strings_of_others_are_taken_or_stepped_over);
	RUN(test_more_addresses_than_we_keep_are_left_out);
	RUN(test_other_names_than_the_owners_say_nothing);
	RUN(test_relays_of_the_mesh_come_back_with_key_and_address);
	RUN(test_a_relay_of_the_mesh_takes_the_room_of_two_addresses);
	RUN(test_vias_that_are_none_are_stepped_over);
	RUN(test_sequence_numbers_only_grow);
	return check_done();
}
