/* SPDX-License-Identifier: Apache-2.0 */
#include "community/record/community_rule.h"

#include "base/byte_cursor.h"
#include "codec/text/hex.h"
#include "crypto/node_key.h"
#include "crypto/sha256.h"
#include "support/check.h"
#include "support/fake_overlay.h"

#define WALL_S 1800000000ull

static struct fake_overlay fake;
static struct node_key *node, *share_key;
static uint8_t id[COMMUNITY_ID_LEN];

static const struct overlay_rule *rule_of(uint8_t tag)
{
	for (unsigned i = 0; i < fake.rule_cnt; i++)
		if (fake.rules[i].tag == tag)
			return &fake.rules[i];
	return NULL;
}

static size_t member_value(uint8_t *value, size_t cap, uint64_t time_s)
{
	struct community_member member = {.seq = 5, .is_joined = true, .time_s = time_s};
	struct writer w = writer_of(value, cap);

	memcpy(member.id, id, sizeof(id));
	writer_u8(&w, COMMUNITY_TAG_MEMBER);
	community_member_write(&w, node, &member);
	return writer_len(&w);
}

static size_t share_value(uint8_t *value, size_t cap, uint8_t out_share_id[32])
{
	uint8_t binding_bytes[COMMUNITY_BINDING_LEN_MAX];
	struct writer b = writer_of(binding_bytes, sizeof(binding_bytes)),
		      w = writer_of(value, cap);
	struct community_binding binding = {.seq = 1, .is_bound = true, .title = "", .text = ""};
	struct community_share share = {.seq = 6, .time_s = WALL_S, .binding_bytes = binding_bytes};

	memcpy(binding.id, id, sizeof(id));
	community_binding_write(&b, share_key, &binding);
	memcpy(share.id, id, sizeof(id));
	share.binding_len = writer_len(&b);
	writer_u8(&w, COMMUNITY_TAG_SHARE);
	community_share_write(&w, node, &share);
	community_id_of(node_key_public(share_key), out_share_id);
	return writer_len(&w);
}

static size_t hint_value(uint8_t *value, size_t cap)
{
	struct community_hint hint = {.seq = 8, .time_s = WALL_S};
	struct writer w = writer_of(value, cap);

	memcpy(hint.id, id, sizeof(id));
	writer_u8(&w, COMMUNITY_TAG_HINT);
	community_hint_write(&w, node, &hint);
	return writer_len(&w);
}

/* value lies under name, one letter of which or of value must not be another. */
static bool is_judged(uint8_t tag, uint8_t *name, size_t name_len, uint8_t *value, size_t len,
		      uint64_t life_s)
{
	const struct overlay_rule *rule = rule_of(tag);
	const struct overlay_value whole = {name, name_len, value, len};
	const struct overlay_value short_name = {name, name_len - 1, value, len};
	const struct overlay_value first_byte = {name, name_len, value, 1};
	struct overlay_claim claim;

	if (rule->check(rule->ctx, &whole, WALL_S, &claim) != 0 ||
	    memcmp(claim.writer, node_key_public(node), 32) != 0 ||
	    claim.expires_s != claim.created_s + life_s || len > rule->len_max)
		return false;
	name[name_len - 1] ^= 1;
	if (rule->check(rule->ctx, &whole, WALL_S, &claim) != WEFT_EREFUSED)
		return false;
	name[name_len - 1] ^= 1;
	if (rule->check(rule->ctx, &short_name, WALL_S, &claim) != WEFT_EREFUSED)
		return false;
	value[len - 1] ^= 1;
	return rule->check(rule->ctx, &whole, WALL_S, &claim) == WEFT_EDAMAGED &&
	       rule->check(rule->ctx, &whole, WALL_S + life_s, &claim) == WEFT_ESTALE &&
	       rule->check(rule->ctx, &first_byte, WALL_S, &claim) == WEFT_EMALFORMED;
}

static void test_each_record_lies_under_its_own_name_alone(void)
{
	uint8_t name[COMMUNITY_NAME_CAP], value[2048], share_id[32];
	size_t len = member_value(value, sizeof(value), WALL_S);

	CHECK(is_judged(COMMUNITY_TAG_MEMBER, name,
			community_name_member(id, node_key_public(node), name), value, len,
			COMMUNITY_RECORD_LIFE_S));
	len = share_value(value, sizeof(value), share_id);
	CHECK(is_judged(COMMUNITY_TAG_SHARE, name, community_name_share(id, share_id, name), value,
			len, COMMUNITY_RECORD_LIFE_S));
	len = hint_value(value, sizeof(value));
	CHECK(is_judged(COMMUNITY_TAG_HINT, name, community_name_hint(id, name), value, len,
			COMMUNITY_HINT_LIFE_S));
}

static void test_a_record_from_the_future_is_refused(void)
{
	const struct overlay_rule *rule = rule_of(COMMUNITY_TAG_MEMBER);
	uint8_t name[COMMUNITY_NAME_CAP], value[2048];
	size_t name_len = community_name_member(id, node_key_public(node), name);
	struct overlay_claim claim;
	size_t len = member_value(value, sizeof(value), WALL_S + COMMUNITY_SKEW_S + 1);
	const struct overlay_value whole = {name, name_len, value, len};

	CHECK_EQ(rule->check(NULL, &whole, WALL_S, &claim), WEFT_EREFUSED);
	CHECK_EQ(rule->check(NULL, &whole, WALL_S + 1, &claim), 0);
}

/* The keys of the table for an id of zeros, as hashlib has them. */
static void test_names_hash_to_the_published_keys(void)
{
	static const uint8_t zero[32];
	uint8_t name[COMMUNITY_NAME_CAP], hash[SHA256_HASH_LEN];
	char text[HEX_TEXT_CAP(SHA256_HASH_LEN)];

	sha256(name, community_name_hint(zero, name), hash);
	hex_write(hash, sizeof(hash), text);
	CHECK_STR(text, "1d3f320d43022b9d753125df5445337acae982663bfd156cc57791fa418ed00f");
	sha256(name, community_name_member(zero, zero, name), hash);
	hex_write(hash, sizeof(hash), text);
	CHECK_STR(text, "38aa2c4d274e3a88a0f60762e8082834b2886b284c85ce8f829ba46bf223e481");
	sha256(name, community_name_share(zero, zero, name), hash);
	hex_write(hash, sizeof(hash), text);
	CHECK_STR(text, "8acf8b2b5d49163091d4eb4b8e84114c232267d99e1fc95e1c1c84bb20a5b121");
}

int main(void)
{
	static const uint8_t seeds[2][NODE_KEY_SEED_LEN] = {{1}, {2}};
	struct overlay_seam seam = fake_overlay_seam(&fake);

	if (node_key_from_seed(seeds[0], &node) < 0 ||
	    node_key_from_seed(seeds[1], &share_key) < 0 || community_rules_add(&seam) < 0)
		return 1;
	community_id_of(node_key_public(node), id);
	RUN(test_each_record_lies_under_its_own_name_alone);
	RUN(test_a_record_from_the_future_is_refused);
	RUN(test_names_hash_to_the_published_keys);
	fake_overlay_fini(&fake);
	node_key_free(node);
	node_key_free(share_key);
	return check_done();
}
