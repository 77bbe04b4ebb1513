/* SPDX-License-Identifier: Apache-2.0 */
#include "social/mail/mail_envelope.h"

#include "codec/cbor_fields.h"

/* Each length is bounded by the whole: what is in it judges its own. */
#define PART(number, member)                                                                       \
	{number,                                                                                   \
	 CBOR_FIELD_BYTES,                                                                         \
	 CBOR_OPTIONAL,                                                                            \
	 CBOR_AT(struct mail_envelope, member),                                                    \
	 CBOR_LEN(struct mail_envelope, member##_len),                                             \
	 .min = 1,                                                                                 \
	 .max = MAIL_ENVELOPE_LEN_MAX}

static const struct cbor_field fields[] = {
	{0, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct mail_envelope, kind), .min = MAIL_POST,
	 .max = MAIL_KIND_CNT - 1},
	PART(1, parts.post),
	PART(2, parts.claim),
	PART(3, parts.visibility),
	PART(4, object),
};
static const struct cbor_table table = {CBOR_FIELDS(fields)};

/* A post has all of its parts and nothing else; another kind has its object alone. */
static bool is_whole(const struct mail_envelope *envelope)
{
	const struct post_parts *parts = &envelope->parts;
	bool is_post = envelope->kind == MAIL_POST;

	return envelope->kind >= MAIL_POST && is_post == (parts->post != NULL) &&
	       is_post == (parts->claim != NULL) && is_post == (parts->visibility != NULL) &&
	       is_post == (envelope->object == NULL);
}

int social_envelope_parse(const void *bytes, size_t len, struct mail_envelope *out_envelope)
{
	struct mail_envelope envelope = {.kind = 0};

	if (len > MAIL_ENVELOPE_LEN_MAX || cbor_fields_parse(bytes, len, &table, &envelope) < 0 ||
	    !is_whole(&envelope))
		return WEFT_EMALFORMED;
	*out_envelope = envelope;
	return 0;
}

void social_envelope_write(struct writer *w, const struct mail_envelope *envelope)
{
	size_t before = writer_len(w);

	cbor_fields_write(w, &table, envelope);
	if (writer_len(w) - before > MAIL_ENVELOPE_LEN_MAX)
		w->bad = true;
}
