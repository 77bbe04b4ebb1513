/* SPDX-License-Identifier: Apache-2.0 */
#include "index_entry_value.h"

#include <stdio.h>

#include "codec/cbor_fields.h"
#include "crypto/node_key.h"
#include "crypto/signed.h"

#define SIGNED_TAG  "shard"
#define NAME_PREFIX "mbid:"
#define SKEW_S	    300

struct body {
	const char *name; /* borrowed */
	size_t name_len;
	uint64_t created_s, expires_s;
	struct shard shard;
};

static void variants_read(struct cbor_reader *r, void *member)
{
	builtin_shard_variants_read(member, r);
}

static void variants_write(struct writer *w, const void *member)
{
	builtin_shard_variants_write(member, w);
}

static const struct cbor_field body_fields[] = {
	{0, CBOR_FIELD_SPAN, CBOR_NEEDED, CBOR_AT(struct body, name),
	 CBOR_LEN(struct body, name_len)},
	{1, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct body, created_s)},
	{2, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct body, expires_s)},
	{3, CBOR_FIELD_CODED, CBOR_NEEDED, CBOR_AT(struct body, shard), .read = variants_read,
	 .write = variants_write},
};
static const struct cbor_table body_table = {CBOR_FIELDS(body_fields), .is_closed = true};

size_t builtin_shard_name(enum shard_kind kind, const char *mbid, char out_name[SHARD_NAME_CAP])
{
	return (size_t)snprintf(out_name, SHARD_NAME_CAP, NAME_PREFIX "%s:%s",
				builtin_shard_kinds[kind], mbid);
}

void builtin_shard_value_write(const struct shard *row, const struct node_key *key, uint64_t wall_s,
			       struct writer *w)
{
	uint8_t bytes[SHARD_VALUE_LEN_MAX];
	struct writer b = writer_of(bytes, sizeof(bytes));
	char name[SHARD_NAME_CAP];
	const struct body body = {.name = name,
				  .name_len = builtin_shard_name(row->kind, row->mbid, name),
				  .created_s = wall_s,
				  .expires_s = wall_s + SHARD_TTL_S,
				  .shard = *row};

	cbor_fields_write(&b, &body_table, &body);
	writer_u8(w, SHARD_VALUE_TAG);
	signed_write(w, key, SIGNED_TAG, bytes, writer_len(&b));
}

/* 0 with the statements of value, whichever node signed it, or as signed_parse. */
static int value_parse(const uint8_t *value, size_t len, struct signed_object *object,
		       struct body *body)
{
	int err;

	*body = (struct body){.name = ""};
	if (len < 1 || value[0] != SHARD_VALUE_TAG)
		return WEFT_EMALFORMED;
	if ((err = signed_parse(value + 1, len - 1, object)) < 0)
		return err;
	return cbor_fields_parse(object->body, object->body_len, &body_table, body);
}

static int value_check(void *ctx, const struct overlay_value *value, uint64_t wall_s,
		       struct overlay_claim *out_claim)
{
	struct signed_object object;
	struct body body;
	int err = value_parse(value->bytes, value->len, &object, &body);

	(void)ctx;
	if (err < 0)
		return err;
	if (body.created_s >= body.expires_s || body.expires_s - body.created_s > SHARD_TTL_S)
		return WEFT_EMALFORMED;
	if (body.name_len != value->name_len ||
	    memcmp(body.name, value->name, value->name_len) != 0 ||
	    body.created_s > wall_s + SKEW_S)
		return WEFT_EREFUSED;
	if (body.expires_s + SKEW_S < wall_s)
		return WEFT_ESTALE;
	if ((err = signed_verify(&object, SIGNED_TAG)) < 0)
		return err;
	*out_claim = (struct overlay_claim){
		.seq = body.created_s, .created_s = body.created_s, .expires_s = body.expires_s};
	memcpy(out_claim->writer, object.signer, OVERLAY_WRITER_LEN);
	return 0;
}

struct overlay_rule builtin_shard_value_rule(void)
{
	return (struct overlay_rule){.tag = SHARD_VALUE_TAG,
				     .prefix = NAME_PREFIX,
				     .len_max = SHARD_VALUE_LEN_MAX,
				     .key_max = SHARD_PEER_MAX,
				     .check = value_check,
				     .pool = "overlay.value_cap: shards of the search index"};
}

void builtin_shard_value_merge(struct shard *shard, const uint8_t *value, size_t len)
{
	struct signed_object object;
	struct body body;

	if (value_parse(value, len, &object, &body) < 0)
		return;
	body.shard.at_s = body.created_s;
	builtin_shard_merge(shard, &body.shard);
	builtin_shard_add_peer(shard, object.signer);
}
