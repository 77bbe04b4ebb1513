/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a deposit of the social layer has inside its seal. Any node can seal for any person. What is read
 * is written again and read as before, and each kind goes to its own reader.
 */
#include <stdlib.h>
#include <string.h>

#include "social/chain/group_message.h"
#include "social/mail/mail_envelope.h"
#include "social/object/post_judge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static uint8_t out[2 * MAIL_ENVELOPE_LEN_MAX];

static bool is_equal(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
	return a_len == b_len && (a_len == 0 || memcmp(a, b, a_len) == 0);
}

static void check_again(const struct mail_envelope *envelope)
{
	const struct post_parts *parts = &envelope->parts;
	struct writer w = writer_of(out, sizeof(out));
	struct mail_envelope again;

	social_envelope_write(&w, envelope);
	if (w.bad)
		return; /* it was longer than it had to be */
	if (social_envelope_parse(out, writer_len(&w), &again) < 0 ||
	    again.kind != envelope->kind ||
	    !is_equal(again.object, again.object_len, envelope->object, envelope->object_len) ||
	    !is_equal(again.parts.post, again.parts.post_len, parts->post, parts->post_len) ||
	    !is_equal(again.parts.claim, again.parts.claim_len, parts->claim, parts->claim_len) ||
	    !is_equal(again.parts.visibility, again.parts.visibility_len, parts->visibility,
		      parts->visibility_len))
		abort();
}

static void check_inside(const struct mail_envelope *envelope)
{
	static struct group_key_message key;
	static struct group_change change;
	struct judged_post *judged;

	switch (envelope->kind) {
	case MAIL_POST:
		if (social_post_judge(&envelope->parts, &judged) == 0)
			social_judged_free(judged);
		break;
	case MAIL_GROUP_KEY:
		(void)!social_group_key_read(envelope->object, envelope->object_len, &key);
		break;
	case MAIL_GROUP_REKEY:
		(void)!social_change_read(envelope->object, envelope->object_len, &change);
		break;
	default:
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct mail_envelope envelope;

	if (social_envelope_parse(data, len, &envelope) < 0)
		return 0;
	check_again(&envelope);
	check_inside(&envelope);
	return 0;
}
