/* SPDX-License-Identifier: Apache-2.0 */
#include "shares/announce/announce_rules.h"

#include "codec/cbor.h"
#include "codec/text/hex.h"
#include "shares/announce/holder_record.h"
#include "shares/announce/golomb_set.h"
#include "crypto/node_key.h"
#include "crypto/sha256.h"
#include "crypto/signed.h"
#include "support/check.h"
#include "support/fake_overlay.h"

#define WALL_S 1700000000ull

static struct node_key *key, *other_key;
static struct fake_overlay fake;
static uint8_t value[1 + GOLOMB_SET_LEN_MAX];
static const uint8_t id[32] = {0xab, 0xcd, 0xef, 1, 2, 3};

static const struct overlay_rule *rule_of(enum announce_tag tag)
{
	for (unsigned i = 0; i < fake.rule_cnt; i++)
		if (fake.rules[i].tag == tag)
			return &fake.rules[i];
	return NULL;
}

static size_t record_write(enum announce_tag tag, uint64_t time_s)
{
	struct writer w = writer_of(value, sizeof(value));
	struct holder holder = {
		.places.addrs = {{.family = ADDR_IPV4, .ip = {192, 0, 2, 1}, .port = 7000}},
		.places.addr_cnt = 1,
		.time_s = time_s,
	};

	memcpy(holder.id, id, sizeof(holder.id));
	writer_u8(&w, (uint8_t)tag);
	shares_holder_record_write(&w, key, &holder);
	return writer_len(&w);
}

static size_t set_write(uint64_t time_s, unsigned depth, uint32_t region)
{
	struct writer w = writer_of(value, sizeof(value));
	struct golomb_set set = {
		.time_s = time_s,
		.depth = depth,
		.region = region,
		.parameter = GOLOMB_SET_PARAMETER,
	};

	writer_u8(&w, ANNOUNCE_SET);
	shares_golomb_set_write(&w, key, &set);
	return writer_len(&w);
}

static int judge(enum announce_tag tag, const void *name, size_t name_len, size_t len,
		 struct overlay_claim *claim)
{
	return rule_of(tag)->check(rule_of(tag)->ctx,
				   &(struct overlay_value){name, name_len, value, len}, WALL_S,
				   claim);
}

static void test_names_are_those_of_their_key_spaces(void)
{
	static const struct {
		enum announce_tag tag;
		const char *text;
	} rows[] = {{ANNOUNCE_MANIFEST, "manifest:loc:"}, {ANNOUNCE_CONTENT, "content:prov:"}};
	uint8_t name[ANNOUNCE_NAME_CAP];
	size_t len;

	for (size_t i = 0; i < 2; i++) {
		size_t text_len = strlen(rows[i].text);

		len = shares_announce_name_of_id(rows[i].tag, id, name);
		CHECK_EQ(len, text_len + 32);
		CHECK_MEM(name, rows[i].text, text_len);
		CHECK_MEM(name + text_len, id, 32);
	}
	len = shares_announce_name_of_region(12, 0xabc, name);
	CHECK_EQ(len, 17);
	CHECK_MEM(name, "content:set:\x0c\x00\x00\x0a\xbc", 17);
	CHECK_EQ(shares_golomb_set_region_of(id, 12), 0xabc);
	CHECK_EQ(shares_golomb_set_region_of(id, 8), 0xab);
}

static void test_overlay_keys_follow_from_sha256(void)
{
	/* printf 'content:prov:' followed by 32 bytes of 0 | sha256sum, and so on. */
	static const struct {
		enum announce_tag tag;
		const char *key;
	} rows[] = {
		{ANNOUNCE_MANIFEST,
		 "1a5d36fb9c14da97cb2f94340543915cfd6ceb5f45d5fb56304a45f537b2e402"},
		{ANNOUNCE_CONTENT,
		 "ebfb852f81cf263e29c90e799f133f62ca6c15bf8464f44179175aa2290defe0"},
		{ANNOUNCE_SET, "ebcbb733b00f9252ddce791aa85289f7f2f471338fd1448af2e6c2120e080dc2"},
	};
	static const uint8_t zero[32];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t name[ANNOUNCE_NAME_CAP], hash[SHA256_HASH_LEN];
		char text[2 * SHA256_HASH_LEN + 1];
		size_t len = rows[i].tag == ANNOUNCE_SET
				     ? shares_announce_name_of_region(8, 0, name)
				     : shares_announce_name_of_id(rows[i].tag, zero, name);

		sha256(name, len, hash);
		hex_write(hash, sizeof(hash), text);
		CHECK_STR(text, rows[i].key);
	}
}

static void test_a_record_belongs_to_its_signer_for_a_day(void)
{
	static const enum announce_tag tags[] = {ANNOUNCE_MANIFEST, ANNOUNCE_CONTENT};

	for (size_t i = 0; i < 2; i++) {
		uint8_t name[ANNOUNCE_NAME_CAP];
		size_t len = record_write(tags[i], WALL_S - 5);
		struct overlay_claim claim;

		CHECK_EQ(judge(tags[i], name, shares_announce_name_of_id(tags[i], id, name), len,
			       &claim),
			 0);
		CHECK_MEM(claim.writer, node_key_public(key), 32);
		CHECK_EQ(claim.seq, WALL_S - 5);
		CHECK_EQ(claim.created_s, WALL_S - 5);
		CHECK_EQ(claim.expires_s, WALL_S - 5 + 86400);
	}
}

static void test_times_of_records_and_sets_are_bounded(void)
{
	static const struct {
		uint64_t time_s;
		int want;
	} rows[] = {
		{WALL_S + 300, 0},
		{WALL_S + 301, WEFT_EREFUSED},
		{WALL_S - 86399, 0},
		{WALL_S - 86400, WEFT_ESTALE},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t name[ANNOUNCE_NAME_CAP];
		struct overlay_claim claim;
		size_t len = record_write(ANNOUNCE_CONTENT, rows[i].time_s);

		CHECK_EQ(judge(ANNOUNCE_CONTENT, name,
			       shares_announce_name_of_id(ANNOUNCE_CONTENT, id, name), len, &claim),
			 rows[i].want);
		len = set_write(rows[i].time_s, 8, 3);
		CHECK_EQ(judge(ANNOUNCE_SET, name, shares_announce_name_of_region(8, 3, name), len,
			       &claim),
			 rows[i].want);
	}
}

static void test_under_another_name_it_is_refused(void)
{
	static const uint8_t other_id[32] = {1};
	uint8_t name[ANNOUNCE_NAME_CAP];
	struct overlay_claim claim;
	size_t len = record_write(ANNOUNCE_CONTENT, WALL_S), name_len;

	name_len = shares_announce_name_of_id(ANNOUNCE_CONTENT, other_id, name);
	CHECK_EQ(judge(ANNOUNCE_CONTENT, name, name_len, len, &claim), WEFT_EREFUSED);
	name_len = shares_announce_name_of_id(ANNOUNCE_MANIFEST, id, name);
	CHECK_EQ(judge(ANNOUNCE_CONTENT, name, name_len, len, &claim), WEFT_EREFUSED);
	name_len = shares_announce_name_of_id(ANNOUNCE_CONTENT, id, name);
	CHECK_EQ(judge(ANNOUNCE_CONTENT, name, name_len - 1, len, &claim), WEFT_EREFUSED);
	len = set_write(WALL_S, 8, 3);
	name_len = shares_announce_name_of_region(8, 4, name);
	CHECK_EQ(judge(ANNOUNCE_SET, name, name_len, len, &claim), WEFT_EREFUSED);
	name_len = shares_announce_name_of_region(12, 3, name);
	CHECK_EQ(judge(ANNOUNCE_SET, name, name_len, len, &claim), WEFT_EREFUSED);
}

static void test_forged_ones_are_refused(void)
{
	static const enum announce_tag tags[] = {ANNOUNCE_MANIFEST, ANNOUNCE_CONTENT, ANNOUNCE_SET};

	for (size_t i = 0; i < 3; i++) {
		uint8_t name[ANNOUNCE_NAME_CAP];
		struct overlay_claim claim;
		size_t len = tags[i] == ANNOUNCE_SET ? set_write(WALL_S, 8, 3)
						     : record_write(tags[i], WALL_S);
		size_t name_len = tags[i] == ANNOUNCE_SET
					  ? shares_announce_name_of_region(8, 3, name)
					  : shares_announce_name_of_id(tags[i], id, name);

		value[len - 1] ^= 1;
		CHECK_EQ(judge(tags[i], name, name_len, len, &claim), WEFT_EDAMAGED);
		value[len - 1] ^= 1;
		CHECK_EQ(judge(tags[i], name, name_len, len, &claim), 0);
		for (size_t cut = 0; cut < len; cut++)
			CHECK(judge(tags[i], name, name_len, cut, &claim) < 0);
	}
}

static void test_a_record_for_another_key_is_malformed(void)
{
	uint8_t body[256], name[ANNOUNCE_NAME_CAP];
	struct writer b = writer_of(body, sizeof(body)), w = writer_of(value, sizeof(value));
	struct overlay_claim claim;

	cbor_write_map(&b, 4);
	cbor_write_uint(&b, 0);
	cbor_write_bytes(&b, id, 32);
	cbor_write_uint(&b, 1);
	cbor_write_bytes(&b, node_key_public(other_key), 32);
	cbor_write_uint(&b, 2);
	cbor_write_array(&b, 0);
	cbor_write_uint(&b, 3);
	cbor_write_uint(&b, WALL_S);
	writer_u8(&w, ANNOUNCE_CONTENT);
	signed_write(&w, key, "provider", body, writer_len(&b));
	CHECK_EQ(judge(ANNOUNCE_CONTENT, name,
		       shares_announce_name_of_id(ANNOUNCE_CONTENT, id, name), writer_len(&w),
		       &claim),
		 WEFT_EMALFORMED);
}

static void test_the_longest_record_is_bounded(void)
{
	struct holder holder;

	memset(value, 0, sizeof(value));
	CHECK_EQ(shares_holder_record_parse(value, HOLDER_RECORD_LEN_MAX, &holder),
		 WEFT_EMALFORMED);
	CHECK_EQ(shares_holder_record_parse(value, HOLDER_RECORD_LEN_MAX + 1, &holder),
		 WEFT_ETOOLARGE);
}

int main(void)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {1}, other_seed[NODE_KEY_SEED_LEN] = {2};
	struct overlay_seam seam = fake_overlay_seam(&fake);

	if (node_key_from_seed(seed, &key) < 0 || node_key_from_seed(other_seed, &other_key) < 0 ||
	    shares_announce_rules_add(&seam) < 0)
		return 1;
	RUN(test_names_are_those_of_their_key_spaces);
	RUN(test_overlay_keys_follow_from_sha256);
	RUN(test_a_record_belongs_to_its_signer_for_a_day);
	RUN(test_times_of_records_and_sets_are_bounded);
	RUN(test_under_another_name_it_is_refused);
	RUN(test_forged_ones_are_refused);
	RUN(test_a_record_for_another_key_is_malformed);
	RUN(test_the_longest_record_is_bounded);
	node_key_free(key);
	node_key_free(other_key);
	return check_done();
}
