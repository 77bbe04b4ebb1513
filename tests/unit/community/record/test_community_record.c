/* SPDX-License-Identifier: Apache-2.0 */
#include "community/record/community_record.h"

#include "base/byte_cursor.h"
#include "codec/cbor.h"
#include "crypto/node_key.h"
#include "crypto/signed.h"
#include "support/check.h"

#define WALL_S 1800000000ull
#define CAP    (COMMUNITY_REVOCATIONS_LEN_MAX + 16)

static struct node_key *community, *node, *share_key, *other;
static uint8_t id[COMMUNITY_ID_LEN];
static uint8_t bytes[CAP], token_bytes[CAP], binding_bytes[CAP];
static char long_text[COMMUNITY_TEXT_LEN_MAX + 2];

static struct node_key *key_of(uint8_t number)
{
	const uint8_t seed[NODE_KEY_SEED_LEN] = {number};
	struct node_key *key = NULL;

	if (node_key_from_seed(seed, &key) < 0)
		abort();
	return key;
}

static size_t token_make(const struct node_key *signer, const struct node_key *member,
			 uint64_t issued_s, uint64_t expires_s)
{
	struct community_token token = {.issued_s = issued_s, .expires_s = expires_s};
	struct writer w = writer_of(token_bytes, sizeof(token_bytes));

	memcpy(token.member, node_key_public(member), sizeof(token.member));
	community_token_write(&w, signer, &token);
	return w.bad ? 0 : writer_len(&w);
}

static size_t member_make(unsigned addr_cnt, size_t token_len)
{
	struct community_member member = {
		.seq = 7, .is_joined = true, .time_s = WALL_S, .places.addr_cnt = addr_cnt};
	struct writer w = writer_of(bytes, sizeof(bytes));

	memcpy(member.id, id, sizeof(id));
	for (unsigned i = 0; i < addr_cnt; i++)
		member.places.addrs[i] = (struct addr){.family = ADDR_IPV6,
						       .ip = {0x20, 0x01, 0x0d, 0xb8, (uint8_t)i},
						       .port = 7000};
	if (token_len) {
		member.token = token_bytes;
		member.token_len = token_len;
	}
	community_member_write(&w, node, &member);
	return w.bad ? 0 : writer_len(&w);
}

static size_t binding_make(size_t title_len, size_t text_len)
{
	struct community_binding binding = {.seq = 3,
					    .is_bound = true,
					    .title = long_text,
					    .title_len = title_len,
					    .text = long_text,
					    .text_len = text_len,
					    .item_cnt = 12,
					    .byte_cnt = 1u << 20};
	struct writer w = writer_of(binding_bytes, sizeof(binding_bytes));

	memcpy(binding.id, id, sizeof(id));
	memset(binding.manifest_id, 0xab, sizeof(binding.manifest_id));
	community_binding_write(&w, share_key, &binding);
	return w.bad ? 0 : writer_len(&w);
}

static size_t share_make(size_t binding_len, const uint8_t *of)
{
	struct community_share share = {.seq = 9,
					.time_s = WALL_S,
					.binding_bytes = binding_bytes,
					.binding_len = binding_len};
	struct writer w = writer_of(bytes, sizeof(bytes));

	memcpy(share.id, of, sizeof(share.id));
	community_share_write(&w, node, &share);
	return w.bad ? 0 : writer_len(&w);
}

static size_t hint_make(unsigned sample_cnt)
{
	static uint8_t samples[COMMUNITY_SAMPLES_MAX + 1][COMMUNITY_KEY_LEN];
	struct community_hint hint = {.seq = 1, .time_s = WALL_S, .sample_cnt = sample_cnt};
	struct writer w = writer_of(bytes, sizeof(bytes));

	memcpy(hint.id, id, sizeof(id));
	for (unsigned i = 0; i < sample_cnt && i < COMMUNITY_SAMPLES_MAX; i++) {
		samples[i][0] = (uint8_t)(i + 1);
		hint.samples[i] = samples[i];
	}
	community_hint_write(&w, node, &hint);
	return w.bad ? 0 : writer_len(&w);
}

static size_t revocations_make(unsigned expelled_cnt)
{
	static struct community_revocations revocations;
	struct writer w = writer_of(bytes, sizeof(bytes));

	revocations = (struct community_revocations){.epoch = 3,
						     .time_s = WALL_S,
						     .expelled_cnt = expelled_cnt,
						     .has_commit = true,
						     .commit = {4}};
	memcpy(revocations.home, node_key_public(node), sizeof(revocations.home));
	for (unsigned i = 0; i < expelled_cnt && i < COMMUNITY_EXPELLED_MAX; i++) {
		revocations.expelled[i][0] = (uint8_t)(i >> 8);
		revocations.expelled[i][1] = (uint8_t)i;
	}
	community_revocations_write(&w, community, &revocations);
	return w.bad ? 0 : writer_len(&w);
}

/* What of a record is parsed and verified as kind. */
enum kind { TOKEN, MEMBER, BINDING, SHARE, HINT, ROLL };

static int parse(enum kind kind, const uint8_t *data, size_t len)
{
	union {
		struct community_token token;
		struct community_member member;
		struct community_binding binding;
		struct community_share share;
		struct community_hint hint;
		struct community_revocations revocations;
	} out;

	switch (kind) {
	case TOKEN:
		return community_token_parse(data, len, &out.token);
	case MEMBER:
		return community_member_parse(data, len, &out.member);
	case BINDING:
		return community_binding_parse(data, len, &out.binding);
	case SHARE:
		return community_share_parse(data, len, &out.share);
	case HINT:
		return community_hint_parse(data, len, &out.hint);
	default:
		return community_revocations_parse(data, len, &out.revocations);
	}
}

static int verify(enum kind kind, const uint8_t *data, size_t len)
{
	switch (kind) {
	case TOKEN:
		return community_token_verify(data, len);
	case MEMBER:
		return community_member_verify(data, len);
	case BINDING:
		return community_binding_verify(data, len);
	case SHARE:
		return community_share_verify(data, len);
	case HINT:
		return community_hint_verify(data, len);
	default:
		return community_revocations_verify(data, len);
	}
}

static size_t make(enum kind kind, uint8_t *out)
{
	size_t len;

	switch (kind) {
	case TOKEN:
		len = token_make(community, node, WALL_S, WALL_S + 86400);
		memcpy(out, token_bytes, len);
		return len;
	case MEMBER:
		len = member_make(2, token_make(community, node, WALL_S, WALL_S + 86400));
		break;
	case BINDING:
		len = binding_make(20, 40);
		memcpy(out, binding_bytes, len);
		return len;
	case SHARE:
		len = share_make(binding_make(20, 40), id);
		break;
	case HINT:
		len = hint_make(COMMUNITY_SAMPLES_MAX);
		break;
	default:
		len = revocations_make(3);
	}
	memcpy(out, bytes, len);
	return len;
}

/* The longest: all addresses, relays, and a token. Relays go before the last addresses. */
static void test_a_member_record_names_relays_and_fits(void)
{
	struct community_member made = {.seq = 7, .is_joined = true, .time_s = WALL_S}, got;
	struct writer w = writer_of(bytes, sizeof(bytes));

	memcpy(made.id, id, sizeof(id));
	for (unsigned i = 0; i < PEER_ADDRS_MAX; i++)
		made.places.addrs[i] = (struct addr){.family = ADDR_IPV6,
						     .ip = {0x20, 0x01, 0x0d, 0xb8, (uint8_t)i},
						     .port = UINT16_MAX};
	made.places.addr_cnt = PEER_ADDRS_MAX;
	for (unsigned i = 0; i < PEER_VIAS_MAX; i++) {
		made.places.vias[i].addr = made.places.addrs[i];
		memset(made.places.vias[i].key, (int)i + 1, sizeof(made.places.vias[i].key));
	}
	made.places.via_cnt = PEER_VIAS_MAX;
	made.token = token_bytes;
	made.token_len = token_make(community, node, WALL_S, WALL_S + 86400);
	community_member_write(&w, node, &made);
	CHECK(!w.bad);
	CHECK(writer_len(&w) <= COMMUNITY_MEMBER_LEN_MAX);
	CHECK_EQ(community_member_parse(bytes, writer_len(&w), &got), 0);
	CHECK_EQ(got.places.via_cnt, PEER_VIAS_MAX);
	CHECK_EQ(got.places.addr_cnt, PEER_ADDRS_MAX - PEER_VIAS_MAX);
	CHECK(peer_vias_equal(got.places.vias, got.places.via_cnt, made.places.vias,
			      made.places.via_cnt));
}

static void test_every_record_is_read_as_it_was_written(void)
{
	struct community_member member;
	struct community_share share;
	struct community_hint hint;
	struct community_token token;
	size_t len = make(MEMBER, bytes);

	CHECK_EQ(community_member_parse(bytes, len, &member), 0);
	CHECK_EQ(community_member_verify(bytes, len), 0);
	CHECK_MEM(member.id, id, sizeof(id));
	CHECK_MEM(member.key, node_key_public(node), NODE_KEY_LEN);
	CHECK_EQ(member.seq, 7);
	CHECK(member.is_joined);
	CHECK_EQ(member.places.addr_cnt, 2);
	CHECK_EQ(member.places.addrs[1].port, 7000);
	CHECK_EQ(community_token_parse(member.token, member.token_len, &token), 0);
	CHECK_EQ(token.expires_s, WALL_S + 86400);

	len = make(SHARE, bytes);
	CHECK_EQ(community_share_parse(bytes, len, &share), 0);
	CHECK_EQ(community_share_verify(bytes, len), 0);
	CHECK_EQ(share.seq, 9);
	CHECK_EQ(share.binding.seq, 3);
	CHECK_EQ(share.binding.title_len, 20);
	CHECK_EQ(share.binding.item_cnt, 12);
	CHECK_MEM(share.binding.share_key, node_key_public(share_key), NODE_KEY_LEN);

	len = make(HINT, bytes);
	CHECK_EQ(community_hint_parse(bytes, len, &hint), 0);
	CHECK_EQ(hint.sample_cnt, COMMUNITY_SAMPLES_MAX);
	CHECK_EQ(hint.samples[15][0], 16);
}

/* The same record with a field that is none of this version's: the number after the last. */
static size_t extend(enum kind kind, const uint8_t *record, size_t len, uint8_t *out)
{
	static const struct {
		const char *tag;
		uint8_t field;
	} kinds[] = {[TOKEN] = {"commtoken", 4},  [MEMBER] = {"commmember", 6},
		     [BINDING] = {"commbind", 9}, [SHARE] = {"commshare", 4},
		     [HINT] = {"commhint", 5},	  [ROLL] = {"commroll", 6}};
	const struct node_key *signers[] = {
		[TOKEN] = community, [MEMBER] = node, [BINDING] = share_key,
		[SHARE] = node,	     [HINT] = node,   [ROLL] = community};
	struct signed_object object;
	uint8_t body[CAP];
	struct writer w = writer_of(body, sizeof(body)), signed_bytes = writer_of(out, CAP);

	if (signed_parse(record, len, &object) < 0)
		return 0;
	writer_bytes(&w, object.body, object.body_len);
	body[0]++; /* a map of fewer than 23 fields says how many in its first byte */
	cbor_field_uint(&w, kinds[kind].field, 1);
	signed_write(&signed_bytes, signers[kind], kinds[kind].tag, body, writer_len(&w));
	return signed_bytes.bad ? 0 : writer_len(&signed_bytes);
}

static void test_a_field_of_a_later_version_is_passed_over(void)
{
	static uint8_t whole[CAP], longer[CAP];

	for (enum kind kind = TOKEN; kind <= ROLL; kind++) {
		size_t len = make(kind, whole);

		/* A kind that has its longest form has no room for one more. */
		if (kind == HINT) {
			len = hint_make(1);
			memcpy(whole, bytes, len);
		}
		len = extend(kind, whole, len, longer);
		CHECK(len > 0);
		CHECK_EQ(parse(kind, longer, len), 0);
		CHECK_EQ(verify(kind, longer, len), 0);
	}
}

static void test_every_prefix_is_refused(void)
{
	static uint8_t whole[CAP];

	for (enum kind kind = TOKEN; kind <= ROLL; kind++) {
		size_t len = make(kind, whole);

		CHECK(len > 0);
		for (size_t cut = 0; cut < len; cut++) {
			uint8_t *copy = malloc(cut ? cut : 1); /* its end is seen by a sanitizer */
			int err;

			memcpy(copy, whole, cut);
			err = parse(kind, copy, cut);
			free(copy);
			CHECK(err < 0);
		}
	}
}

/* Any byte that is changed is refused, by the form or by a signature. */
static void test_every_changed_byte_is_refused(void)
{
	static uint8_t whole[CAP];

	for (enum kind kind = TOKEN; kind <= ROLL; kind++) {
		size_t len = make(kind, whole);

		CHECK_EQ(parse(kind, whole, len), 0);
		CHECK_EQ(verify(kind, whole, len), 0);
		for (size_t at = 0; at < len; at += 3) {
			whole[at] ^= 1;
			CHECK(parse(kind, whole, len) < 0 || verify(kind, whole, len) < 0);
			whole[at] ^= 1;
		}
	}
}

static void test_a_record_is_no_other_kind(void)
{
	static uint8_t whole[CAP];

	for (enum kind made = TOKEN; made <= ROLL; made++) {
		size_t len = make(made, whole);

		for (enum kind kind = TOKEN; kind <= ROLL; kind++)
			if (kind != made)
				CHECK(parse(kind, whole, len) < 0 || verify(kind, whole, len) < 0);
	}
}

static void test_a_token_of_another_key_is_refused(void)
{
	struct community_token token;
	struct community_member member;
	size_t len = token_make(other, node, WALL_S, WALL_S + 60);

	/* In itself it is one, of the community of that key; in a record of this one it is refused. */
	CHECK_EQ(community_token_parse(token_bytes, len, &token), 0);
	CHECK(memcmp(token.id, id, sizeof(id)) != 0);
	len = member_make(0, len);
	CHECK_EQ(community_member_parse(bytes, len, &member), WEFT_EREFUSED);
	len = member_make(0, token_make(community, other, WALL_S, WALL_S + 60));
	CHECK_EQ(community_member_parse(bytes, len, &member), WEFT_EREFUSED);
}

/* Any key may sign a body that names our id; only our key's hash is that id. */
static void test_a_token_that_names_a_foreign_id_is_refused(void)
{
	uint8_t body[256];
	struct writer w = writer_of(body, sizeof(body)), out = writer_of(bytes, sizeof(bytes));
	struct community_token token;

	cbor_write_map(&w, 4);
	cbor_write_uint(&w, 0);
	cbor_write_bytes(&w, id, sizeof(id));
	cbor_write_uint(&w, 1);
	cbor_write_bytes(&w, node_key_public(node), NODE_KEY_LEN);
	cbor_write_uint(&w, 2);
	cbor_write_uint(&w, WALL_S);
	cbor_write_uint(&w, 3);
	cbor_write_uint(&w, WALL_S + 60);
	signed_write(&out, other, "commtoken", body, writer_len(&w));
	CHECK_EQ(community_token_parse(bytes, writer_len(&out), &token), WEFT_EREFUSED);
}

static void test_a_forged_token_in_a_record_is_refused(void)
{
	size_t len = token_make(community, node, WALL_S, WALL_S + 60);

	token_bytes[len - 1] ^= 1; /* of its signature */
	len = member_make(0, len);
	CHECK_EQ(parse(MEMBER, bytes, len), 0);
	CHECK_EQ(community_member_verify(bytes, len), WEFT_EDAMAGED);
}

static void test_a_binding_of_another_community_is_refused(void)
{
	uint8_t foreign[COMMUNITY_ID_LEN];
	size_t len = binding_make(1, 1);

	community_id_of(node_key_public(other), foreign);
	CHECK_EQ(parse(SHARE, bytes, share_make(len, foreign)), WEFT_EREFUSED);
}

static void test_limits_are_met_and_not_passed(void)
{
	struct community_token token;
	size_t len = token_make(community, node, WALL_S, WALL_S + COMMUNITY_TOKEN_LIFE_S_MAX);

	CHECK_EQ(community_token_parse(token_bytes, len, &token), 0);
	/* One that an earlier version made counts for no longer than one of today. */
	len = token_make(community, node, WALL_S, WALL_S + COMMUNITY_TOKEN_LIFE_S_MAX + 1);
	CHECK_EQ(community_token_parse(token_bytes, len, &token), 0);
	CHECK_EQ(token.expires_s, WALL_S + COMMUNITY_TOKEN_LIFE_S_MAX);
	CHECK(community_token_is_valid(&token, WALL_S + COMMUNITY_TOKEN_LIFE_S_MAX - 1));
	CHECK(!community_token_is_valid(&token, WALL_S + COMMUNITY_TOKEN_LIFE_S_MAX));
	len = token_make(community, node, WALL_S, WALL_S + COMMUNITY_TOKEN_READ_S_MAX + 1);
	CHECK_EQ(community_token_parse(token_bytes, len, &token), WEFT_EMALFORMED);
	len = token_make(community, node, WALL_S, WALL_S);
	CHECK_EQ(community_token_parse(token_bytes, len, &token), WEFT_EMALFORMED);

	CHECK(binding_make(COMMUNITY_TITLE_LEN_MAX, COMMUNITY_TEXT_LEN_MAX) > 0);
	CHECK_EQ(binding_make(COMMUNITY_TITLE_LEN_MAX + 1, 0), 0);
	CHECK_EQ(binding_make(0, COMMUNITY_TEXT_LEN_MAX + 1), 0);
	len = share_make(binding_make(COMMUNITY_TITLE_LEN_MAX, COMMUNITY_TEXT_LEN_MAX), id);
	CHECK_EQ(parse(SHARE, bytes, len), 0);
	CHECK(hint_make(COMMUNITY_SAMPLES_MAX) > 0);
	CHECK_EQ(hint_make(COMMUNITY_SAMPLES_MAX + 1), 0);
	len = revocations_make(COMMUNITY_EXPELLED_MAX);
	CHECK(len > 0);
	CHECK_EQ(parse(ROLL, bytes, len), 0);
	CHECK_EQ(revocations_make(COMMUNITY_EXPELLED_MAX + 1), 0);

	/* The longest of what this program signs is read again. */
	len = member_make(PEER_ADDRS_MAX,
			  token_make(community, node, INT64_MAX - 100, INT64_MAX - 1));
	CHECK(len > 0);
	CHECK_EQ(parse(MEMBER, bytes, len), 0);
	memset(bytes + len, 0, CAP - len);
	CHECK_EQ(parse(MEMBER, bytes, COMMUNITY_MEMBER_LEN_MAX + 1), WEFT_ETOOLARGE);
	CHECK_EQ(parse(SHARE, bytes, COMMUNITY_SHARE_LEN_MAX + 1), WEFT_ETOOLARGE);
	CHECK_EQ(parse(HINT, bytes, COMMUNITY_HINT_LEN_MAX + 1), WEFT_ETOOLARGE);
	CHECK_EQ(parse(ROLL, bytes, COMMUNITY_REVOCATIONS_LEN_MAX + 1), WEFT_ETOOLARGE);
	CHECK_EQ(parse(BINDING, bytes, COMMUNITY_BINDING_LEN_MAX + 1), WEFT_ETOOLARGE);
	CHECK_EQ(parse(TOKEN, bytes, COMMUNITY_TOKEN_LEN_MAX + 1), WEFT_ETOOLARGE);
}

/* A body by hand, well signed. */
static size_t revocations_craft(uint64_t epoch, unsigned cnt, bool ascends)
{
	static uint8_t body_bytes[2 * COMMUNITY_REVOCATIONS_LEN_MAX];
	struct writer body = writer_of(body_bytes, sizeof(body_bytes));
	struct writer w = writer_of(bytes, sizeof(bytes));
	uint8_t key[COMMUNITY_KEY_LEN] = {0};

	cbor_write_map(&body, 5);
	cbor_field_bytes(&body, 0, id, sizeof(id));
	cbor_field_uint(&body, 1, epoch);
	cbor_field_uint(&body, 2, WALL_S);
	cbor_field_bytes(&body, 3, key, sizeof(key));
	cbor_write_uint(&body, 4);
	cbor_write_array(&body, cnt);
	for (unsigned i = 0; i < cnt; i++) {
		key[0] = (uint8_t)(i >> 8);
		key[1] = (uint8_t)(ascends ? i : 7);
		cbor_write_bytes(&body, key, sizeof(key));
	}
	signed_write(&w, community, "commroll", body_bytes, writer_len(&body));
	return w.bad ? 0 : writer_len(&w);
}

static void test_a_revocation_list_has_an_epoch_and_each_node_once(void)
{
	static struct community_revocations revocations, later;
	uint8_t absent[COMMUNITY_KEY_LEN] = {0xff};

	CHECK_EQ(community_revocations_parse(bytes, revocations_craft(1, 2, true), &revocations),
		 0);
	CHECK(community_revocations_has(&revocations, revocations.expelled[0]));
	CHECK(community_revocations_has(&revocations, revocations.expelled[1]));
	CHECK(!community_revocations_has(&revocations, absent));
	CHECK_EQ(community_revocations_parse(bytes, revocations_craft(0, 2, true), &revocations),
		 WEFT_EMALFORMED);
	CHECK_EQ(community_revocations_parse(bytes, revocations_craft(1, 2, false), &revocations),
		 WEFT_EMALFORMED);
	CHECK_EQ(community_revocations_parse(bytes,
					     revocations_craft(1, COMMUNITY_EXPELLED_MAX + 1, true),
					     &revocations),
		 WEFT_EMALFORMED);
	CHECK_EQ(community_revocations_parse(bytes, revocations_craft(5, 0, true), &revocations),
		 0);
	later = revocations;
	later.epoch++;
	later.time_s--;
	CHECK(community_revocations_is_newer(&later, &revocations) &&
	      !community_revocations_is_newer(&revocations, &later));
}

static void test_text_that_could_steer_a_terminal_is_refused(void)
{
	size_t len;

	long_text[3] = '\x1b';
	len = binding_make(10, 0);
	long_text[3] = 'x';
	CHECK(len > 0);
	CHECK_EQ(parse(BINDING, binding_bytes, len), WEFT_EMALFORMED);
}

static void test_times_and_order(void)
{
	struct community_token token = {.issued_s = WALL_S, .expires_s = WALL_S + 60};
	struct community_member old = {.seq = 1, .is_joined = true}, new = {.seq = 2};
	struct community_share a = {.binding = {.seq = 2, .is_bound = true}}, b = a;
	static const uint8_t low[32] = {1}, high[32] = {2};

	CHECK_EQ(community_time_check(WALL_S + COMMUNITY_SKEW_S, 60, WALL_S), 0);
	CHECK_EQ(community_time_check(WALL_S + COMMUNITY_SKEW_S + 1, 60, WALL_S), WEFT_EREFUSED);
	CHECK_EQ(community_time_check(WALL_S - 59, 60, WALL_S), 0);
	CHECK_EQ(community_time_check(WALL_S - 60, 60, WALL_S), WEFT_ESTALE);
	CHECK(community_token_is_valid(&token, WALL_S + 59));
	CHECK(!community_token_is_valid(&token, WALL_S + 60));
	CHECK(!community_token_is_valid(&token, WALL_S - COMMUNITY_SKEW_S - 1));

	CHECK(community_member_is_newer(&new, &old));
	CHECK(!community_member_is_newer(&old, &new));
	old.seq = 2; /* joined, of the same number as left */
	CHECK(community_member_is_newer(&new, &old));
	CHECK(!community_member_is_newer(&old, &new));
	a.key = low, b.key = high;
	CHECK(community_share_is_newer(&b, &a));
	CHECK(!community_share_is_newer(&a, &b));
	a.time_s = 1;
	CHECK(community_share_is_newer(&a, &b));
	b.binding.is_bound = false;
	CHECK(community_share_is_newer(&b, &a));
	a.binding.seq = 3;
	CHECK(community_share_is_newer(&a, &b));
}

int main(void)
{
	community = key_of(1);
	node = key_of(2);
	share_key = key_of(3);
	other = key_of(4);
	community_id_of(node_key_public(community), id);
	memset(long_text, 'x', sizeof(long_text) - 1);
	RUN(test_a_member_record_names_relays_and_fits);
	RUN(test_every_record_is_read_as_it_was_written);
	RUN(test_a_field_of_a_later_version_is_passed_over);
	RUN(test_every_prefix_is_refused);
	RUN(test_every_changed_byte_is_refused);
	RUN(test_a_record_is_no_other_kind);
	RUN(test_a_token_of_another_key_is_refused);
	RUN(test_a_token_that_names_a_foreign_id_is_refused);
	RUN(test_a_forged_token_in_a_record_is_refused);
	RUN(test_a_binding_of_another_community_is_refused);
	RUN(test_limits_are_met_and_not_passed);
	RUN(test_text_that_could_steer_a_terminal_is_refused);
	RUN(test_a_revocation_list_has_an_epoch_and_each_node_once);
	RUN(test_times_and_order);
	node_key_free(community);
	node_key_free(node);
	node_key_free(share_key);
	node_key_free(other);
	return check_done();
}
