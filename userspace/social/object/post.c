/* SPDX-License-Identifier: Apache-2.0 */
#include "social/object/post.h"

#include "codec/cbor_fields.h"

#define VERSION 1

static const struct cbor_field attachment_fields[] = {
	{0, CBOR_FIELD_BYTES, CBOR_NEEDED, CBOR_AT(struct post_attachment, ids),
	 CBOR_LEN(struct post_attachment, ids_len), .min = POST_ID_LEN,
	 .max = POST_UNITS_MAX * POST_ID_LEN},
	{1, CBOR_FIELD_SPAN, CBOR_NEEDED, CBOR_AT(struct post_attachment, type),
	 CBOR_LEN(struct post_attachment, type_len), .max = POST_TYPE_LEN_MAX},
	{2, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct post_attachment, size),
	 .max = POST_ATTACHMENT_SIZE_MAX},
};
static const struct cbor_table attachment_table = {CBOR_FIELDS(attachment_fields)};

static const struct cbor_field fields[] = {
	{0, CBOR_FIELD_CONSTANT, CBOR_NEEDED, .max = VERSION},
	{1, CBOR_FIELD_EXACT, CBOR_NEEDED, CBOR_AT(struct post, author), .max = NODE_KEY_LEN},
	{2, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct post, time_ms)},
	{3, CBOR_FIELD_SPAN, CBOR_NEEDED, CBOR_AT(struct post, content),
	 CBOR_LEN(struct post, content_len), .max = POST_LEN_MAX},
	{4, CBOR_FIELD_ROWS, CBOR_NEEDED, CBOR_ROWS(struct post, attachments, attachment_table),
	 CBOR_LEN(struct post, attachment_cnt)},
	{5, CBOR_FIELD_EXACT, CBOR_OPTIONAL, CBOR_AT(struct post, parent), .max = POST_ID_LEN},
	{6, CBOR_FIELD_IDS, CBOR_WHEN(struct post, mention_cnt), CBOR_AT(struct post, mentions),
	 CBOR_LEN(struct post, mention_cnt), .row_size = NODE_KEY_LEN},
};
/* A reader that skipped a field would show less than was said, and hide it from its reader. */
static const struct cbor_table table = {CBOR_FIELDS(fields), .is_closed = true};

/* The rules that both a reader and a writer keep. */
static bool is_sound(const struct post *post)
{
	for (unsigned i = 0; i < post->attachment_cnt; i++)
		if (post->attachments[i].ids_len == 0 ||
		    post->attachments[i].ids_len % POST_ID_LEN != 0)
			return false;
	return true;
}

int social_post_parse(const void *bytes, size_t len, struct post *out_post)
{
	if (len > POST_LEN_MAX)
		return WEFT_ETOOLARGE;
	*out_post = (struct post){.author = NULL};
	if (cbor_fields_parse(bytes, len, &table, out_post) < 0 || !is_sound(out_post))
		return WEFT_EMALFORMED;
	return 0;
}

void social_post_write(struct writer *w, const struct post *post)
{
	size_t before = writer_len(w);

	if (!is_sound(post)) {
		w->bad = true;
		return;
	}
	cbor_fields_write(w, &table, post);
	if (writer_len(w) - before > POST_LEN_MAX)
		w->bad = true;
}

void social_post_id(const void *bytes, size_t len, uint8_t out_id[static POST_ID_LEN])
{
	blake3_hash(bytes, len, out_id);
}
