/* SPDX-License-Identifier: Apache-2.0 */
#include "social/object/replica_note.h"

#include "base/random.h"
#include "support/check.h"
#include "support/seed.h"

static struct node_key *holder, *other;
static struct random dice;
static uint8_t bytes[4096], sealed[4096];
static const uint8_t post[POST_ID_LEN] = {7};

static size_t note_write(uint64_t time_ms)
{
	struct replica_note note = {.post = post,
				    .holder = node_key_public(holder),
				    .state = REPLICA_GONE,
				    .time_ms = time_ms};
	struct writer w = writer_of(bytes, sizeof(bytes));

	social_replica_write(&w, &note, holder);
	return w.bad ? 0 : writer_len(&w);
}

static void test_a_note_is_read_as_written_and_no_part_of_it_is_one(void)
{
	struct replica_note heard;
	size_t len = note_write(1800000000000);

	CHECK(len > 0);
	CHECK_EQ(social_replica_read(bytes, len, &heard), 0);
	CHECK_MEM(heard.post, post, POST_ID_LEN);
	CHECK_MEM(heard.holder, node_key_public(holder), NODE_KEY_LEN);
	CHECK_EQ(heard.state, REPLICA_GONE);
	CHECK_EQ(heard.time_ms, 1800000000000);
	for (size_t cut = 0; cut < len; cut++) {
		uint8_t *exact = malloc(cut ? cut : 1);

		memcpy(exact, bytes, cut);
		CHECK(social_replica_read(exact, cut, &heard) < 0);
		free(exact);
	}
}

static void test_the_longest_note_fits_and_one_byte_more_is_refused(void)
{
	struct replica_note heard;
	size_t len = note_write(UINT64_MAX);

	CHECK(len > 0);
	CHECK(len <= REPLICA_NOTE_LEN_MAX);
	CHECK_EQ(social_replica_read(bytes, len, &heard), 0);
	CHECK_EQ(social_replica_read(bytes, REPLICA_NOTE_LEN_MAX + 1, &heard), WEFT_ETOOLARGE);
}

static void test_a_note_signed_by_another_node_is_refused(void)
{
	struct replica_note note = {.post = post, .holder = node_key_public(holder)}, heard;
	struct writer w = writer_of(bytes, sizeof(bytes));
	size_t len;

	social_replica_write(&w, &note, other);
	CHECK_EQ(social_replica_read(bytes, writer_len(&w), &heard), WEFT_EMALFORMED);
	len = note_write(5);
	bytes[len - 1] ^= 1;
	CHECK_EQ(social_replica_read(bytes, len, &heard), WEFT_EDAMAGED);
}

static void test_a_sealed_note_opens_by_the_key_of_its_post_alone(void)
{
	uint8_t key[CONTENT_KEY_LEN], nonce[CONTENT_NONCE_LEN], out[REPLICA_NOTE_LEN_MAX];
	struct writer w = writer_of(sealed, sizeof(sealed));
	size_t len = note_write(9), got;

	random_fill(&dice, key, sizeof(key));
	random_fill(&dice, nonce, sizeof(nonce));
	social_replica_seal(&w, key, nonce, bytes, len);
	CHECK_EQ(writer_len(&w), len + REPLICA_SEALED_OVERHEAD);
	CHECK_EQ(social_replica_open(key, sealed, writer_len(&w), out, &got), 0);
	CHECK_EQ(got, len);
	CHECK_MEM(out, bytes, len);
	CHECK_EQ(social_replica_open(key, sealed, writer_len(&w) - 1, out, &got), WEFT_EDAMAGED);
	CHECK_EQ(social_replica_open(key, sealed, REPLICA_SEALED_OVERHEAD, out, &got),
		 WEFT_EMALFORMED);
	CHECK_EQ(social_replica_open(key, sealed, REPLICA_STORED_LEN_MAX + 1, out, &got),
		 WEFT_EMALFORMED);
	key[0] ^= 1;
	CHECK_EQ(social_replica_open(key, sealed, writer_len(&w), out, &got), WEFT_EDAMAGED);
}

int main(void)
{
	random_init_seeded(&dice, seed_of_run(1));
	if (node_key_generate(&holder) < 0 || node_key_generate(&other) < 0)
		return 1;
	RUN(test_a_note_is_read_as_written_and_no_part_of_it_is_one);
	RUN(test_the_longest_note_fits_and_one_byte_more_is_refused);
	RUN(test_a_note_signed_by_another_node_is_refused);
	RUN(test_a_sealed_note_opens_by_the_key_of_its_post_alone);
	node_key_free(holder);
	node_key_free(other);
	return check_done();
}
