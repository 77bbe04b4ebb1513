/* SPDX-License-Identifier: Apache-2.0 */
#include "social/object/group_note.h"

#include <stdlib.h>
#include <string.h>

#include "support/check.h"

static struct node_key *signer;
static const uint8_t id[32] = {3}, session[GROUP_SESSION_LEN] = {4};
static uint8_t bytes[GROUP_NOTE_LEN_MAX + 1];
static struct group_hide hide;
static struct group_leave leave;
static struct group_proof proof;

static size_t note_write(unsigned kind)
{
	struct writer w = writer_of(bytes, sizeof(bytes));

	hide = (struct group_hide){.group = id,
				   .author = id,
				   .logical_id = session,
				   .is_hidden = true,
				   .time_ms = 1800000000000};
	leave = (struct group_leave){.group = id, .time_ms = 1800000000000};
	proof = (struct group_proof){.group = id, .epoch = 9, .session = session};
	if (kind == 0)
		social_hide_write(&w, &hide, signer);
	else if (kind == 1)
		social_leave_write(&w, &leave, signer);
	else
		social_proof_write(&w, &proof, signer);
	return w.bad ? 0 : writer_len(&w);
}

/* Which of the three readers take the bytes, as bits. */
static unsigned readers(const void *note, size_t len)
{
	return (social_hide_read(note, len, &hide) == 0 ? 1u : 0) |
	       (social_leave_read(note, len, &leave) == 0 ? 2u : 0) |
	       (social_proof_read(note, len, &proof) == 0 ? 4u : 0);
}

static void test_a_note_is_read_as_its_own_kind_alone(void)
{
	for (unsigned kind = 0; kind < 3; kind++)
		CHECK_EQ(readers(bytes, note_write(kind)), 1u << kind);
	CHECK_EQ(social_hide_read(bytes, note_write(0), &hide), 0);
	CHECK(hide.is_hidden);
	CHECK_MEM(hide.signer, node_key_public(signer), NODE_KEY_LEN);
	CHECK_EQ(social_proof_read(bytes, note_write(2), &proof), 0);
	CHECK_EQ(proof.epoch, 9);
	CHECK_MEM(proof.session, session, sizeof(session));
}

static void test_a_note_that_was_altered_or_cut_is_refused(void)
{
	for (unsigned kind = 0; kind < 3; kind++) {
		size_t len = note_write(kind);

		for (size_t i = 0; i < len; i++) {
			uint8_t *cut = malloc(i + 1);

			bytes[i] ^= 1;
			CHECK_EQ(readers(bytes, len), 0);
			bytes[i] ^= 1;
			memcpy(cut, bytes, i);
			CHECK_EQ(readers(cut, i), 0);
			free(cut);
		}
	}
	CHECK_EQ(social_hide_read(bytes, GROUP_NOTE_LEN_MAX + 1, &hide), WEFT_ETOOLARGE);
}

int main(void)
{
	const uint8_t seed[NODE_KEY_SEED_LEN] = {6};

	if (node_key_from_seed(seed, &signer) < 0)
		exit(1);
	RUN(test_a_note_is_read_as_its_own_kind_alone);
	RUN(test_a_note_that_was_altered_or_cut_is_refused);
	node_key_free(signer);
	return check_done();
}
