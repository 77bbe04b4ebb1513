/* SPDX-License-Identifier: Apache-2.0 */
/* What lies inside the seal of a deposit of the social layer. */
#include <stdlib.h>
#include <string.h>

#include "social/mail/mail_envelope.h"
#include "support/check.h"

static uint8_t bytes[2 * MAIL_ENVELOPE_LEN_MAX], long_part[MAIL_ENVELOPE_LEN_MAX];

static const struct mail_envelope post = {
	.kind = MAIL_POST,
	.parts = {.post = (const uint8_t *)"post",
		  .claim = (const uint8_t *)"claim",
		  .visibility = (const uint8_t *)"readers",
		  .post_len = 4,
		  .claim_len = 5,
		  .visibility_len = 7},
};

static size_t write(const struct mail_envelope *envelope)
{
	struct writer w = writer_of(bytes, sizeof(bytes));

	social_envelope_write(&w, envelope);
	return w.bad ? 0 : writer_len(&w);
}

static void test_each_kind_is_read_as_it_was_written(void)
{
	struct mail_envelope read;
	size_t len = write(&post);

	CHECK_EQ(social_envelope_parse(bytes, len, &read), 0);
	CHECK_EQ(read.kind, MAIL_POST);
	CHECK_EQ(read.parts.post_len, 4);
	CHECK_MEM(read.parts.claim, "claim", 5);
	CHECK_MEM(read.parts.visibility, "readers", 7);
	for (unsigned kind = MAIL_VISIBILITY; kind < MAIL_KIND_CNT; kind++) {
		const struct mail_envelope object = {.kind = (uint8_t)kind,
						     .object = (const uint8_t *)"signed",
						     .object_len = 6};

		len = write(&object);
		CHECK_EQ(social_envelope_parse(bytes, len, &read), 0);
		CHECK_EQ(read.kind, kind);
		CHECK_MEM(read.object, "signed", 6);
	}
}

static void test_what_is_cut_off_is_none(void)
{
	struct mail_envelope read;
	size_t len = write(&post);

	for (size_t cut = 0; cut < len; cut++)
		CHECK_EQ(social_envelope_parse(bytes, cut, &read), WEFT_EMALFORMED);
}

static void test_kinds_have_their_own_parts_alone(void)
{
	const uint8_t *const text = (const uint8_t *)"x";
	const struct mail_envelope rows[] = {
		{.kind = MAIL_POST},
		{.kind = MAIL_POST, .parts = {.post = text, .post_len = 1}},
		{.kind = MAIL_POST, .object = text, .object_len = 1},
		{.kind = MAIL_DELETION},
		{.kind = MAIL_DELETION, .parts = {.post = text, .post_len = 1}},
		{.kind = 0, .object = text, .object_len = 1},
		{.kind = MAIL_KIND_CNT, .object = text, .object_len = 1},
	};
	struct mail_envelope read;

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CHECK_EQ(social_envelope_parse(bytes, write(&rows[i]), &read), WEFT_EMALFORMED);
}

/* 3 bytes of the map and its kind, and 4 before the object. */
static void test_the_longest_fits_and_one_byte_more_does_not(void)
{
	struct mail_envelope object = {.kind = MAIL_GROUP_KEY, .object = long_part};
	struct mail_envelope read;

	for (object.object_len = MAIL_ENVELOPE_LEN_MAX; write(&object) == 0; object.object_len--)
		;
	CHECK_EQ(write(&object), MAIL_ENVELOPE_LEN_MAX);
	CHECK_EQ(social_envelope_parse(bytes, MAIL_ENVELOPE_LEN_MAX, &read), 0);
	object.object_len++;
	CHECK_EQ(write(&object), 0);
	memset(bytes, 0, sizeof(bytes));
	CHECK_EQ(social_envelope_parse(bytes, MAIL_ENVELOPE_LEN_MAX + 1, &read), WEFT_EMALFORMED);
}

int main(void)
{
	RUN(test_each_kind_is_read_as_it_was_written);
	RUN(test_what_is_cut_off_is_none);
	RUN(test_kinds_have_their_own_parts_alone);
	RUN(test_the_longest_fits_and_one_byte_more_does_not);
	return check_done();
}
