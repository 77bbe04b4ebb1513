/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/find/announcement.h"

#include "codec/cbor.h"
#include "codec/text/hex.h"
#include "crypto/node_key.h"
#include "crypto/sha256.h"
#include "crypto/signed.h"
#include "support/check.h"

#define WALL_S 1800000000ull

static struct node_key *key, *other_key;
static uint8_t bytes[2 * RELAY_ANNOUNCEMENT_LEN_MAX];

static struct relay_announcement example(void)
{
	return (struct relay_announcement){
		.addrs = {{.family = ADDR_IPV4, .ip = {192, 0, 2, 1}, .port = 7000}},
		.addr_cnt = 1,
		.caps = RELAY_ANNOUNCEMENT_CAP,
		.capacity = {.flow_cap = 4096, .rate = RELAY_RATE_10_KBIT},
		.issued_s = WALL_S,
		.expires_s = WALL_S + RELAY_ANNOUNCEMENT_LIFE_S,
	};
}

static size_t make(struct relay_announcement announcement)
{
	struct writer w = writer_of(bytes, sizeof(bytes));

	relay_announcement_write(&w, key, &announcement);
	return w.bad ? 0 : writer_len(&w);
}

static int parse(size_t len, struct relay_announcement *out)
{
	int err = relay_announcement_parse(bytes, len, out);

	return err < 0 ? err : relay_announcement_verify(bytes, len);
}

static void test_what_was_written_is_read_back(void)
{
	struct relay_announcement made = example(), got;

	made.addrs[1] = (struct addr){.family = ADDR_IPV6, .ip = {0x20, 1, 0xd, 0xb8}, .port = 1};
	made.addr_cnt = 2;
	snprintf(made.urls[0], sizeof(made.urls[0]), "https://relay.example/");
	made.url_cnt = 1;
	made.caps |= 0x10000;
	made.capacity.flow_len = 1u << 30;
	CHECK_EQ(parse(make(made), &got), 0);
	CHECK_MEM(got.key, node_key_public(key), sizeof(got.key));
	CHECK_EQ(got.addr_cnt, 2);
	CHECK(addr_equal(&got.addrs[0], &made.addrs[0]) &&
	      addr_equal(&got.addrs[1], &made.addrs[1]));
	CHECK_EQ(got.url_cnt, 1);
	CHECK_STR(got.urls[0], "https://relay.example/");
	CHECK_EQ(got.caps, 0x10001);
	CHECK_EQ(got.capacity.flow_cap, 4096);
	CHECK_EQ(got.capacity.rate, RELAY_RATE_10_KBIT);
	CHECK_EQ(got.capacity.flow_len, 1u << 30);
	CHECK_EQ(got.issued_s, WALL_S);
	CHECK_EQ(got.expires_s, WALL_S + 21600);
}

static void test_every_prefix_and_every_flipped_byte_is_refused(void)
{
	size_t len = make(example());
	struct relay_announcement got;

	for (size_t i = 0; i < len; i++) {
		uint8_t *copy = malloc(i ? i : 1);

		memcpy(copy, bytes, i);
		CHECK(relay_announcement_parse(copy, i, &got) < 0);
		free(copy);
		bytes[i] ^= 1;
		CHECK(parse(len, &got) < 0);
		bytes[i] ^= 1;
	}
	CHECK_EQ(parse(len, &got), 0);
}

static void test_an_announcement_lives_six_hours_at_most(void)
{
	struct relay_announcement made = example(), got;

	CHECK_EQ(parse(make(made), &got), 0);
	made.expires_s++;
	CHECK_EQ(parse(make(made), &got), WEFT_EMALFORMED);
	made.expires_s = made.issued_s;
	CHECK_EQ(parse(make(made), &got), WEFT_EMALFORMED);
	made.expires_s = made.issued_s - 1;
	CHECK_EQ(parse(make(made), &got), WEFT_EMALFORMED);

	made = example();
	CHECK_EQ(relay_announcement_check_time(&made, WALL_S), 0);
	CHECK_EQ(relay_announcement_check_time(&made, WALL_S - 300), 0);
	CHECK_EQ(relay_announcement_check_time(&made, WALL_S - 301), WEFT_EREFUSED);
	CHECK_EQ(relay_announcement_check_time(&made, WALL_S + 21599), 0);
	CHECK_EQ(relay_announcement_check_time(&made, WALL_S + 21600), WEFT_ESTALE);
}

static void test_a_node_without_the_capability_is_no_relay(void)
{
	struct relay_announcement made = example(), got;

	made.caps = 0x10000;
	CHECK_EQ(parse(make(made), &got), WEFT_EMALFORMED);
}

static void test_only_the_relay_speaks_for_itself(void)
{
	struct relay_announcement made = example(), got;
	struct signed_object object;
	struct writer w = writer_of(bytes, sizeof(bytes));
	uint8_t body[RELAY_ANNOUNCEMENT_LEN_MAX];
	size_t body_len;

	relay_announcement_write(&w, key, &made);
	CHECK_EQ(signed_parse(bytes, writer_len(&w), &object), 0);
	body_len = object.body_len;
	memcpy(body, object.body, body_len);
	w = writer_of(bytes, sizeof(bytes));
	signed_write(&w, other_key, "relayann", body, body_len);
	CHECK_EQ(relay_announcement_parse(bytes, writer_len(&w), &got), WEFT_EMALFORMED);
	/* A signature of the relay under another tag is none. */
	w = writer_of(bytes, sizeof(bytes));
	signed_write(&w, key, "provider", body, body_len);
	CHECK_EQ(parse(writer_len(&w), &got), WEFT_EDAMAGED);
}

/* What a test wants to be odd in a body. */
struct odd {
	unsigned addr_cnt, url_cnt;
	unsigned rate;
	const char *url;
	bool is_relayed;
	size_t pad_len;
};

static void odd_addr_write(struct writer *w, const struct odd *odd, uint8_t last)
{
	struct peer_addr addr = peer_addr_of(
		&(struct addr){.family = ADDR_IPV4, .ip = {192, 0, 2, last}, .port = 7000});

	addr.has_relay = odd->is_relayed;
	addr.relay = addr.peer;
	addr.relay_slot = 1;
	peer_addr_write(w, &addr);
}

static size_t odd_make(const struct odd *odd)
{
	static uint8_t body[2 * RELAY_ANNOUNCEMENT_LEN_MAX], pad[2 * RELAY_ANNOUNCEMENT_LEN_MAX];
	struct writer b = writer_of(body, sizeof(body)), w = writer_of(bytes, sizeof(bytes));

	cbor_write_map(&b, 7u + (odd->pad_len != 0));
	cbor_field_bytes(&b, 0, node_key_public(key), 32);
	cbor_write_uint(&b, 1);
	cbor_write_array(&b, odd->addr_cnt);
	for (unsigned i = 0; i < odd->addr_cnt; i++)
		odd_addr_write(&b, odd, (uint8_t)i);
	cbor_write_uint(&b, 2);
	cbor_write_array(&b, odd->url_cnt);
	for (unsigned i = 0; i < odd->url_cnt; i++)
		cbor_write_text(&b, odd->url, strlen(odd->url));
	cbor_field_uint(&b, 3, 1);
	cbor_write_uint(&b, 4);
	cbor_write_map(&b, 2);
	cbor_field_uint(&b, 0, 1);
	cbor_field_uint(&b, 1, odd->rate);
	cbor_field_uint(&b, 5, WALL_S);
	cbor_field_uint(&b, 6, WALL_S + 1);
	if (odd->pad_len)
		cbor_field_bytes(&b, 9, pad, odd->pad_len);
	signed_write(&w, key, "relayann", body, writer_len(&b));
	return w.bad || b.bad ? 0 : writer_len(&w);
}

static void test_parts_beyond_their_limits_are_malformed(void)
{
	static const char url[] = "https://relay.example";
	static char long_url[PEER_ADDR_URL_CAP + 1] = "https://";
	static const struct {
		struct odd odd;
		int want;
		const char *why;
	} rows[] = {
		{{.addr_cnt = PEER_ADDRS_MAX}, 0, "eight addresses"},
		{{.addr_cnt = PEER_ADDRS_MAX + 1}, WEFT_EMALFORMED, "nine"},
		{{.addr_cnt = 0}, WEFT_EMALFORMED, "none"},
		{{.addr_cnt = 1, .is_relayed = true}, WEFT_EMALFORMED, "by way of another relay"},
		{{.addr_cnt = 1, .url_cnt = 2, .url = url}, 0, "two urls"},
		{{.addr_cnt = 1, .url_cnt = 3, .url = url}, WEFT_EMALFORMED, "three"},
		{{.addr_cnt = 1, .url_cnt = 1, .url = "https://"}, WEFT_EMALFORMED, "no host"},
		{{.addr_cnt = 1, .url_cnt = 1, .url = "file:///"}, WEFT_EMALFORMED, "no https"},
		{{.addr_cnt = 1, .url_cnt = 1, .url = "https://a b"}, WEFT_EMALFORMED, "a space"},
		{{.addr_cnt = 1, .url_cnt = 1, .url = "https://\x1b[m"}, WEFT_EMALFORMED, "escape"},
		{{.addr_cnt = 1, .url_cnt = 1, .url = long_url}, WEFT_EMALFORMED, "129 bytes"},
		{{.addr_cnt = 1, .rate = RELAY_RATE_MBIT}, 0, "the last class"},
		{{.addr_cnt = 1, .rate = RELAY_RATE_MBIT + 1}, WEFT_EMALFORMED, "no class"},
	};
	struct relay_announcement got;

	memset(long_url + 8, 'a', sizeof(long_url) - 9);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int err = parse(odd_make(&rows[i].odd), &got);

		if (err != rows[i].want)
			printf("# %s\n", rows[i].why);
		CHECK_EQ(err, rows[i].want);
	}
	long_url[PEER_ADDR_URL_CAP - 1] = 0;
	CHECK_EQ(parse(odd_make(&(struct odd){.addr_cnt = 1, .url_cnt = 1, .url = long_url}), &got),
		 0);
}

static void test_the_longest_is_taken_and_one_byte_more_is_not(void)
{
	struct relay_announcement got;
	struct odd odd = {.addr_cnt = 1, .pad_len = 1};
	size_t len;

	while ((len = odd_make(&odd)) < RELAY_ANNOUNCEMENT_LEN_MAX)
		odd.pad_len++;
	CHECK_EQ(len, RELAY_ANNOUNCEMENT_LEN_MAX);
	CHECK_EQ(parse(len, &got), 0);
	odd.pad_len++;
	CHECK_EQ(odd_make(&odd), RELAY_ANNOUNCEMENT_LEN_MAX + 1);
	CHECK_EQ(parse(RELAY_ANNOUNCEMENT_LEN_MAX + 1, &got), WEFT_ETOOLARGE);
}

static void test_the_fullest_fits(void)
{
	struct relay_announcement made = example(), got;

	for (made.addr_cnt = 0; made.addr_cnt < PEER_ADDRS_MAX; made.addr_cnt++) {
		made.addrs[made.addr_cnt] = (struct addr){
			.family = ADDR_IPV6, .ip = {0x20, 1, (uint8_t)made.addr_cnt}, .port = 7000};
	}
	for (; made.url_cnt < RELAY_ANNOUNCEMENT_URL_MAX; made.url_cnt++) {
		char *url = made.urls[made.url_cnt];

		memset(url, 'a', PEER_ADDR_URL_CAP - 1);
		memcpy(url, "https://", 8);
	}
	made.caps = UINT32_MAX;
	made.capacity = (struct relay_capacity){UINT32_MAX, RELAY_RATE_MBIT, UINT64_MAX};
	CHECK_EQ(parse(make(made), &got), 0);
}

static void test_rates_have_their_classes(void)
{
	CHECK_EQ(relay_rate_class_of(124), RELAY_RATE_SLOW);
	CHECK_EQ(relay_rate_class_of(125), RELAY_RATE_KBIT);
	CHECK_EQ(relay_rate_class_of(1249), RELAY_RATE_KBIT);
	CHECK_EQ(relay_rate_class_of(1250), RELAY_RATE_10_KBIT);
	CHECK_EQ(relay_rate_class_of(124999), RELAY_RATE_10_KBIT);
	CHECK_EQ(relay_rate_class_of(125000), RELAY_RATE_MBIT);
}

/* The vector of docs/wire/relay_announcement.md; hashlib of Python makes the same. */
static void test_places_follow_from_key_and_hour(void)
{
	static const uint8_t zero[PEER_ADDR_KEY_LEN];
	uint8_t name[RELAY_PLACE_NAME_LEN], hash[SHA256_HASH_LEN];
	char text[2 * SHA256_HASH_LEN + 1];

	CHECK_EQ(relay_place_of(zero, 500000, 0), 7);
	CHECK_EQ(relay_place_of(zero, 500000, 1), 8);
	relay_place_name(500000, 5, name);
	CHECK_MEM(name, "scp2p:relay:rendezvous\0\0\0\0\0\x07\xa1\x20\0\0\0\0\0\0\0\x05", 38);
	sha256(name, sizeof(name), hash);
	hex_write(hash, sizeof(hash), text);
	CHECK_STR(text, "ebc86228b602a8842face430a654dd4a402e86ea3e6b22ca1f1ff49a16a0f00a");
}

static void test_the_vector_of_the_wire_page(void)
{
	size_t len = make(example());
	uint8_t hash[SHA256_HASH_LEN];
	char text[2 * SHA256_HASH_LEN + 1];

	CHECK_EQ(len, 181);
	sha256(bytes, len, hash);
	hex_write(hash, sizeof(hash), text);
	CHECK_STR(text, "805a99d7b262a0e85032d15778e7b10615fb6052e04a435d9e7b77a4039c05f7");
}

int main(void)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {1}, other_seed[NODE_KEY_SEED_LEN] = {2};

	if (node_key_from_seed(seed, &key) < 0 || node_key_from_seed(other_seed, &other_key) < 0)
		return 1;
	RUN(test_what_was_written_is_read_back);
	RUN(test_every_prefix_and_every_flipped_byte_is_refused);
	RUN(test_an_announcement_lives_six_hours_at_most);
	RUN(test_a_node_without_the_capability_is_no_relay);
	RUN(test_only_the_relay_speaks_for_itself);
	RUN(test_parts_beyond_their_limits_are_malformed);
	RUN(test_the_longest_is_taken_and_one_byte_more_is_not);
	RUN(test_the_fullest_fits);
	RUN(test_rates_have_their_classes);
	RUN(test_places_follow_from_key_and_hour);
	RUN(test_the_vector_of_the_wire_page);
	node_key_free(key);
	node_key_free(other_key);
	return check_done();
}
