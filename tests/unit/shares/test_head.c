/* SPDX-License-Identifier: Apache-2.0 */
#include "shares/head.h"

#include "codec/cbor.h"
#include "crypto/node_key.h"
#include "crypto/signed.h"
#include "mesh/seam_overlay.h"
#include "support/check.h"

#define WALL_S 1700000000ull

static struct node_key *key, *other_key;
static uint8_t bytes[HEAD_LEN_MAX + 1];

static struct share_head head_example(void)
{
	return (struct share_head){.seq = 7, .manifest_id = {1, 2, 3}, .updated_s = WALL_S};
}

static size_t head_make(struct share_head head)
{
	struct writer w = writer_of(bytes, sizeof(bytes));

	shares_head_write(&w, key, &head);
	return w.bad ? 0 : writer_len(&w);
}

static void test_what_was_written_is_read_back(void)
{
	struct share_head got;
	uint8_t id[SHARE_ID_LEN];
	size_t len = head_make(head_example());

	CHECK_EQ(shares_head_parse(bytes, len, &got), 0);
	CHECK_EQ(got.seq, 7);
	CHECK_EQ(got.updated_s, WALL_S);
	CHECK_MEM(got.manifest_id, "\1\2\3\0", 4);
	CHECK_MEM(got.share_key, node_key_public(key), 32);
	share_id_of(got.share_key, id);
	CHECK_MEM(got.share_id, id, SHARE_ID_LEN);
}

static struct share_head last_head(const uint8_t *successor)
{
	struct share_head head = {.seq = HEAD_SEQ_REVOKED, .updated_s = WALL_S};

	head.has_successor = successor != NULL;
	if (successor)
		memcpy(head.successor, successor, sizeof(head.successor));
	return head;
}

static void test_a_successor_is_named_by_the_last_head_alone_and_is_another(void)
{
	const uint8_t *other = node_key_public(other_key);
	struct share_head got, early = head_example();

	CHECK_EQ(shares_head_parse(bytes, head_make(last_head(other)), &got), 0);
	CHECK(shares_head_is_revoked(&got) && got.has_successor);
	CHECK_MEM(got.successor, other, 32);
	CHECK_EQ(shares_head_parse(bytes, head_make(last_head(NULL)), &got), 0);
	CHECK(!got.has_successor);
	CHECK_EQ(shares_head_parse(bytes, head_make(last_head(node_key_public(key))), &got),
		 WEFT_EMALFORMED);
	early.has_successor = true;
	memcpy(early.successor, other, sizeof(early.successor));
	CHECK_EQ(shares_head_parse(bytes, head_make(early), &got), WEFT_EMALFORMED);
}

static void test_revocation_comes_after_a_successor_and_no_successor_after_another(void)
{
	struct share_head revoked = last_head(NULL), moved = last_head(node_key_public(other_key));
	struct share_head elsewhere = moved, last = head_example();

	elsewhere.successor[0] ^= 1;
	elsewhere.updated_s++;
	last.seq = HEAD_SEQ_REVOKED - 1;
	CHECK(shares_head_is_newer(&moved, &last) && !shares_head_is_newer(&last, &moved));
	CHECK(shares_head_is_newer(&revoked, &moved) && !shares_head_is_newer(&moved, &revoked));
	CHECK(!shares_head_is_newer(&moved, &elsewhere) &&
	      !shares_head_is_newer(&elsewhere, &moved));
}

static void test_every_prefix_and_every_flipped_byte_is_refused(void)
{
	size_t len = head_make(head_example());
	struct share_head got;

	for (size_t i = 0; i < len; i++) {
		uint8_t *copy = malloc(i ? i : 1);

		memcpy(copy, bytes, i);
		CHECK(shares_head_parse(copy, i, &got) < 0);
		free(copy);
		bytes[i] ^= 1;
		CHECK(shares_head_parse(bytes, len, &got) < 0);
		bytes[i] ^= 1;
	}
	CHECK_EQ(shares_head_parse(bytes, len, &got), 0);
}

/* body_make: a head's body with what a test wants to be wrong, signed by signer. */
static size_t body_make(const struct node_key *signer, const uint8_t *id, uint64_t seq,
			const uint8_t *manifest_id, size_t pad_len)
{
	static uint8_t body[2 * HEAD_LEN_MAX], pad[2 * HEAD_LEN_MAX];
	struct writer b = writer_of(body, sizeof(body)), w = writer_of(bytes, sizeof(bytes));

	cbor_write_map(&b, 4u + (pad_len != 0));
	cbor_write_uint(&b, 0);
	cbor_write_bytes(&b, id, SHARE_ID_LEN);
	cbor_write_uint(&b, 1);
	cbor_write_uint(&b, seq);
	cbor_write_uint(&b, 2);
	cbor_write_bytes(&b, manifest_id, 32);
	cbor_write_uint(&b, 3);
	cbor_write_uint(&b, WALL_S);
	if (pad_len) {
		cbor_write_uint(&b, 9);
		cbor_write_bytes(&b, pad, pad_len);
	}
	signed_write(&w, signer, HEAD_TAG, body, writer_len(&b));
	return w.bad ? 0 : writer_len(&w);
}

static void test_only_the_share_speaks_for_itself(void)
{
	static const uint8_t manifest_id[32] = {1}, nothing[32];
	struct share_head got;
	uint8_t id[SHARE_ID_LEN];

	share_id_of(node_key_public(key), id);
	CHECK_EQ(shares_head_parse(bytes, body_make(key, id, 1, manifest_id, 0), &got), 0);
	CHECK_EQ(shares_head_parse(bytes, body_make(other_key, id, 1, manifest_id, 0), &got),
		 WEFT_EDAMAGED);
	CHECK_EQ(shares_head_parse(bytes, body_make(key, id, 0, manifest_id, 0), &got),
		 WEFT_EMALFORMED);
	CHECK_EQ(shares_head_parse(bytes, body_make(key, id, 1, nothing, 0), &got),
		 WEFT_EMALFORMED);
	CHECK_EQ(shares_head_parse(bytes, body_make(key, id, UINT64_MAX, manifest_id, 0), &got),
		 WEFT_EMALFORMED);
	CHECK_EQ(shares_head_parse(bytes, body_make(key, id, UINT64_MAX, nothing, 0), &got), 0);
	CHECK(shares_head_is_revoked(&got));
}

static void test_a_head_of_the_longest_is_taken_and_one_byte_more_is_not(void)
{
	static const uint8_t manifest_id[32] = {1};
	struct share_head got;
	uint8_t id[SHARE_ID_LEN];
	size_t len, pad;

	share_id_of(node_key_public(key), id);
	for (pad = 1; (len = body_make(key, id, 1, manifest_id, pad)) < HEAD_LEN_MAX; pad++)
		CHECK_EQ(shares_head_parse(bytes, len, &got), 0);
	CHECK_EQ(len, HEAD_LEN_MAX);
	CHECK_EQ(shares_head_parse(bytes, len, &got), 0);
	len = body_make(key, id, 1, manifest_id, pad + 1);
	CHECK_EQ(len, HEAD_LEN_MAX + 1);
	CHECK_EQ(shares_head_parse(bytes, len, &got), WEFT_ETOOLARGE);
}

static void test_newer_is_one_order_for_all(void)
{
	static const struct share_head ascending[] = {
		{.seq = 1, .updated_s = 9, .manifest_id = {9}},
		{.seq = 2, .updated_s = 1, .manifest_id = {9}},
		{.seq = 2, .updated_s = 5, .manifest_id = {1}},
		{.seq = 2, .updated_s = 5, .manifest_id = {2}},
		{.seq = 3, .updated_s = 0, .manifest_id = {1}},
		{.seq = UINT64_MAX, .updated_s = 0},
	};

	for (size_t i = 0; i < 6; i++)
		for (size_t k = 0; k < 6; k++)
			CHECK_EQ(shares_head_is_newer(&ascending[i], &ascending[k]), i > k);
	CHECK(shares_head_is_fork(&ascending[1], &ascending[2]));
	CHECK(!shares_head_is_fork(&ascending[0], &ascending[1]));
	CHECK(!shares_head_is_fork(&ascending[1], &ascending[1]));
}

static void test_nothing_comes_after_a_revocation(void)
{
	struct share_head revoked = {.seq = UINT64_MAX, .updated_s = 5};
	struct share_head later = {.seq = UINT64_MAX, .updated_s = 6};

	CHECK(!shares_head_is_newer(&later, &revoked));
}

/* --- in the overlay --- */

static int rule_ask(const uint8_t *value, size_t len, const uint8_t *name, size_t name_len,
		    uint64_t wall_s, struct overlay_claim *claim)
{
	struct overlay_rule rule;

	shares_head_rule(&rule);
	return rule.check(rule.ctx, &(struct overlay_value){name, name_len, value, len}, wall_s,
			  claim);
}

static void test_the_overlay_takes_a_head_under_its_own_name(void)
{
	uint8_t value[1 + HEAD_LEN_MAX] = {HEAD_OVERLAY_TAG}, name[HEAD_OVERLAY_NAME_LEN];
	struct overlay_claim claim;
	uint8_t id[SHARE_ID_LEN];
	size_t len = head_make(head_example());

	memcpy(value + 1, bytes, len);
	share_id_of(node_key_public(key), id);
	shares_head_overlay_name(id, name);
	CHECK_MEM(name, "share:head:", 11);
	CHECK_EQ(rule_ask(value, 1 + len, name, sizeof(name), WALL_S + 1000, &claim), 0);
	CHECK_MEM(claim.writer, id, sizeof(id));
	CHECK_EQ(claim.seq, 7);
	CHECK_EQ(claim.expires_s, WALL_S + 1000 + 86400);
	/* From the future, by as much as clocks may differ and one second more. */
	CHECK_EQ(rule_ask(value, 1 + len, name, sizeof(name), WALL_S - 300, &claim), 0);
	CHECK_EQ(rule_ask(value, 1 + len, name, sizeof(name), WALL_S - 301, &claim), WEFT_EREFUSED);
	CHECK_EQ(rule_ask(value, 1 + len, name, sizeof(name) - 1, WALL_S, &claim), WEFT_EREFUSED);
	name[20] ^= 1;
	CHECK_EQ(rule_ask(value, 1 + len, name, sizeof(name), WALL_S, &claim), WEFT_EREFUSED);
	name[20] ^= 1;
	value[len] ^= 1;
	CHECK_EQ(rule_ask(value, 1 + len, name, sizeof(name), WALL_S, &claim), WEFT_EDAMAGED);
	value[len] ^= 1;
	value[0] = 2;
	CHECK_EQ(rule_ask(value, 1 + len, name, sizeof(name), WALL_S, &claim), WEFT_EMALFORMED);
	CHECK_EQ(rule_ask(value, 0, name, sizeof(name), WALL_S, &claim), WEFT_EMALFORMED);
}

/* Of one number, a storer decides as shares_head_is_newer does. */
static void test_the_overlay_prefers_the_newer_head_of_one_number(void)
{
	struct share_head heads[5] = {head_example(), head_example(), head_example(),
				      last_head(node_key_public(other_key)), last_head(NULL)};
	uint8_t values[5][1 + HEAD_LEN_MAX] = {0};
	size_t lens[5];
	struct overlay_rule rule;

	heads[1].manifest_id[0]++;
	heads[2].updated_s++;
	shares_head_rule(&rule);
	for (unsigned i = 0; i < 5; i++) {
		lens[i] = 1 + head_make(heads[i]);
		memcpy(values[i] + 1, bytes, lens[i] - 1);
	}
	for (unsigned i = 0; i < 5; i++)
		for (unsigned j = 0; j < 5; j++) {
			const struct overlay_value a = {NULL, 0, values[i], lens[i]};
			const struct overlay_value b = {NULL, 0, values[j], lens[j]};

			CHECK_EQ(rule.is_newer(rule.ctx, &a, &b), i > j);
		}
}

int main(void)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {4}, other_seed[NODE_KEY_SEED_LEN] = {5};

	if (node_key_from_seed(seed, &key) < 0 || node_key_from_seed(other_seed, &other_key) < 0)
		return 1;
	RUN(test_what_was_written_is_read_back);
	RUN(test_a_successor_is_named_by_the_last_head_alone_and_is_another);
	RUN(test_revocation_comes_after_a_successor_and_no_successor_after_another);
	RUN(test_every_prefix_and_every_flipped_byte_is_refused);
	RUN(test_only_the_share_speaks_for_itself);
	RUN(test_a_head_of_the_longest_is_taken_and_one_byte_more_is_not);
	RUN(test_newer_is_one_order_for_all);
	RUN(test_nothing_comes_after_a_revocation);
	RUN(test_the_overlay_takes_a_head_under_its_own_name);
	RUN(test_the_overlay_prefers_the_newer_head_of_one_number);
	node_key_free(key);
	node_key_free(other_key);
	return check_done();
}
