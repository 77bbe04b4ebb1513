/* SPDX-License-Identifier: Apache-2.0 */
#include "social/object/visibility.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "social/object/social_signed.h"

static const struct cbor_field recipient_fields[] = {
	{0, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct visibility_recipient, reader)},
	{1, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct visibility_recipient, wrapped)},
};
static const struct cbor_table recipient_table = {CBOR_FIELDS(recipient_fields)};

static const struct cbor_field group_fields[] = {
	{0, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct visibility_group, group)},
	{1, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct visibility_group, epoch)},
	{2, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct visibility_group, wrapped)},
	{3, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct visibility_group, key)},
};
static const struct cbor_table group_table = {CBOR_FIELDS(group_fields)};

static void group_read(struct cbor_reader *r, void *member)
{
	cbor_row_read(r, &group_table, member);
}

static void group_write(struct writer *w, const void *member)
{
	cbor_row_write(w, &group_table, member);
}

/* What the kind's number says, for the tables: fields of another kind are malformed. */
struct visibility_body {
	bool has_recipients, has_group;
	struct visibility said;
};

static const struct cbor_field fields[] = {
	{0, CBOR_FIELD_EXACT, CBOR_NEEDED, CBOR_AT(struct visibility_body, said.post),
	 .max = POST_ID_LEN},
	{1, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct visibility_body, said.number)},
	{2, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct visibility_body, said.kind),
	 .max = VISIBILITY_GROUP},
	{3, CBOR_FIELD_ROWS, CBOR_HAS(struct visibility_body, has_recipients),
	 CBOR_ROWS(struct visibility_body, said.recipients, recipient_table),
	 CBOR_LEN(struct visibility_body, said.recipient_cnt)},
	{4, CBOR_FIELD_CODED, CBOR_HAS(struct visibility_body, has_group),
	 CBOR_AT(struct visibility_body, said.group), .read = group_read, .write = group_write},
	{5, CBOR_FIELD_IDS, CBOR_WHEN(struct visibility_body, said.holder_cnt),
	 CBOR_AT(struct visibility_body, said.holders),
	 CBOR_LEN(struct visibility_body, said.holder_cnt), .row_size = NODE_KEY_LEN},
};
/* A kind that a later version adds is not taken for one of these. */
static const struct cbor_table table = {CBOR_FIELDS(fields), .is_closed = true};
static const struct social_kind kind = {VISIBILITY_TAG, &table, VISIBILITY_LEN_MAX};

static bool is_sound(const struct visibility_body *body)
{
	const struct visibility *said = &body->said;

	if (body->has_recipients != (said->kind == VISIBILITY_RECIPIENTS) ||
	    body->has_group != (said->kind == VISIBILITY_GROUP) ||
	    (said->holder_cnt && said->kind != VISIBILITY_PUBLIC))
		return false;
	for (unsigned i = 1; i < said->recipient_cnt; i++)
		if (memcmp(said->recipients[i - 1].reader, said->recipients[i].reader,
			   NODE_KEY_LEN) >= 0)
			return false;
	return true;
}

static int body_take(const void *bytes, size_t len, bool is_verified,
		     struct visibility *out_visibility)
{
	struct visibility_body *body = calloc(1, sizeof(*body));
	int err;

	if (!body)
		return -ENOMEM;
	if (is_verified)
		err = social_signed_parse(&kind, bytes, len, body, &body->said.author);
	else
		err = social_signed_read(&kind, bytes, len, body, &body->said.author);
	if (err == 0 && !is_sound(body))
		err = WEFT_EMALFORMED;
	if (err == 0)
		*out_visibility = body->said;
	free(body);
	return err;
}

int social_visibility_read(const void *bytes, size_t len, struct visibility *out_visibility)
{
	return body_take(bytes, len, false, out_visibility);
}

int social_visibility_parse(const void *bytes, size_t len, struct visibility *out_visibility)
{
	return body_take(bytes, len, true, out_visibility);
}

void social_visibility_write(struct writer *w, const struct visibility *visibility,
			     const struct node_key *author)
{
	struct visibility_body *body = malloc(sizeof(*body));

	if (body)
		*body = (struct visibility_body){visibility->kind == VISIBILITY_RECIPIENTS,
						 visibility->kind == VISIBILITY_GROUP, *visibility};
	if (body && is_sound(body))
		social_signed_write(w, &kind, body, author);
	else
		w->bad = true;
	free(body);
}

static int reader_compare(const void *key, const void *recipient)
{
	return memcmp(key, ((const struct visibility_recipient *)recipient)->reader, NODE_KEY_LEN);
}

const struct visibility_recipient *
social_visibility_recipient(const struct visibility *visibility,
			    const uint8_t reader[static NODE_KEY_LEN])
{
	return bsearch(reader, visibility->recipients, visibility->recipient_cnt,
		       sizeof(visibility->recipients[0]), reader_compare);
}
