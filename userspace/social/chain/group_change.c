/* SPDX-License-Identifier: Apache-2.0 */
#include "social/chain/group_change.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "codec/cbor_fields.h"
#include "social/object/group_rows.h"

static const struct cbor_field shard_fields[] = {
	{0, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct group_change, shard)},
	{1, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct group_change, shard_cnt), .min = 1,
	 .max = GROUP_SHARDS_MAX},
};
static const struct cbor_table shard_table = {CBOR_FIELDS(shard_fields)};

static void shard_read(struct cbor_reader *r, void *record)
{
	cbor_row_read(r, &shard_table, record);
}

static void shard_write(struct writer *w, const void *record)
{
	cbor_row_write(w, &shard_table, record);
}

static const struct cbor_field fields[] = {
	{0, CBOR_FIELD_EXACT, CBOR_NEEDED, CBOR_AT(struct group_change, group),
	 .max = GROUP_ID_LEN},
	{1, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct group_change, epoch),
	 .max = GROUP_EPOCH_MAX},
	{2, CBOR_FIELD_CODED, CBOR_NEEDED, .read = shard_read, .write = shard_write},
	{3, CBOR_FIELD_EXACT, CBOR_NEEDED, CBOR_AT(struct group_change, previous),
	 .max = GROUP_HASH_LEN},
	{4, CBOR_FIELD_EXACT, CBOR_OPTIONAL, CBOR_AT(struct group_change, key),
	 .max = NODE_KEY_LEN},
	{5, CBOR_FIELD_ROWS, CBOR_WHEN(struct group_change, set_cnt),
	 CBOR_ROWS(struct group_change, set, social_group_member_table),
	 CBOR_LEN(struct group_change, set_cnt)},
	{6, CBOR_FIELD_IDS, CBOR_WHEN(struct group_change, gone_cnt),
	 CBOR_IDS(struct group_change, gone), CBOR_LEN(struct group_change, gone_cnt)},
	{7, CBOR_FIELD_EXACT, CBOR_OPTIONAL, CBOR_AT(struct group_change, root),
	 .max = GROUP_HASH_LEN},
	{8, CBOR_FIELD_EXACT, CBOR_NEEDED, CBOR_AT(struct group_change, admin),
	 .max = NODE_KEY_LEN},
	{9, CBOR_FIELD_EXACT, CBOR_NEEDED, CBOR_AT(struct group_change, signature),
	 .max = NODE_KEY_SIG_LEN},
	{10, CBOR_FIELD_EXACT, CBOR_OPTIONAL, CBOR_AT(struct group_change, wrapped),
	 .max = GROUP_KEY_WRAPPED_LEN},
	{11, CBOR_FIELD_EXACT, CBOR_OPTIONAL, CBOR_AT(struct group_change, wrapped_by),
	 .max = NODE_KEY_LEN},
};
static const struct cbor_table table = {CBOR_FIELDS(fields)};

void social_change_make(const struct group_state *before, const struct group_state *next,
			struct group_change *out_change)
{
	memset(out_change, 0, sizeof(*out_change));
	out_change->group = next->group;
	out_change->epoch = next->epoch;
	out_change->shard = next->shard;
	out_change->shard_cnt = next->shard_cnt;
	out_change->previous = next->previous;
	out_change->root = next->root;
	out_change->admin = next->admin;
	out_change->signature = next->signature;
	if (memcmp(before->key, next->key, NODE_KEY_LEN) != 0)
		out_change->key = next->key;
	for (unsigned i = 0; i < next->member_cnt; i++) {
		const struct group_member *is = &next->members[i];
		const struct group_member *was = social_group_member(before, is->key);

		if (!was || was->role != is->role || was->is_visitor != is->is_visitor)
			out_change->set[out_change->set_cnt++] = *is;
	}
	for (unsigned i = 0; i < before->member_cnt; i++)
		if (!social_group_member(next, before->members[i].key))
			memcpy(out_change->gone[out_change->gone_cnt++], before->members[i].key,
			       NODE_KEY_LEN);
}

int social_change_apply(const struct group_state *before, const struct group_change *change,
			struct writer *w)
{
	const struct group_edit edit = {change->set, change->set_cnt, change->gone,
					change->gone_cnt};
	struct group_state *next = malloc(sizeof(*next));
	int err;

	if (!next)
		return -ENOMEM;
	err = social_group_edit(before, &edit, next) < 0 ? WEFT_EMALFORMED : 0;
	if (err == 0) {
		next->epoch = change->epoch;
		next->shard_cnt = change->shard_cnt;
		next->previous = change->previous;
		next->root = change->root;
		if (change->key)
			next->key = change->key;
		social_group_rewrite(w, next, change->admin, change->signature);
		err = w->bad ? WEFT_EMALFORMED : 0;
	}
	free(next);
	return err;
}

void social_change_write(struct writer *w, const struct group_change *change)
{
	cbor_fields_write(w, &table, change);
}

int social_change_read(const void *bytes, size_t len, struct group_change *out_change)
{
	memset(out_change, 0, sizeof(*out_change));
	if (len > GROUP_CHANGE_LEN_MAX)
		return WEFT_ETOOLARGE;
	if (cbor_fields_parse(bytes, len, &table, out_change) < 0 || out_change->epoch == 0)
		return WEFT_EMALFORMED;
	return 0;
}
