/* SPDX-License-Identifier: Apache-2.0 */
#include "social/write/post_drafts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "codec/cbor_fields.h"
#include "codec/text/utf8.h"
#include "social/ground/social_ground.h"
#include "social/write/social_write_state.h"
#include "store/store.h"

#define ROW_LEN_MAX (POST_LEN_MAX + DRAFT_NAMES_LEN_MAX + 1024u)

static const struct cbor_field fields[] = {
	{0, CBOR_FIELD_SPAN, CBOR_NEEDED, CBOR_AT(struct stored_draft, text),
	 CBOR_LEN(struct stored_draft, text_len), .max = POST_LEN_MAX},
	{1, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct stored_draft, changed_ms)},
	{2, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct stored_draft, intent),
	 .max = POST_TO_GROUP},
	{3, CBOR_FIELD_EXACT, CBOR_NEEDED, CBOR_AT(struct stored_draft, persona),
	 .max = NODE_KEY_LEN},
	{4, CBOR_FIELD_SPAN, CBOR_OPTIONAL, CBOR_AT(struct stored_draft, circle),
	 CBOR_LEN(struct stored_draft, circle_len), .max = SOCIAL_NAME_MAX},
	{5, CBOR_FIELD_EXACT, CBOR_OPTIONAL, CBOR_AT(struct stored_draft, group), .max = 32},
	{6, CBOR_FIELD_SPAN, CBOR_OPTIONAL, CBOR_AT(struct stored_draft, names),
	 CBOR_LEN(struct stored_draft, names_len), .max = DRAFT_NAMES_LEN_MAX},
	{7, CBOR_FIELD_EXACT, CBOR_OPTIONAL, CBOR_AT(struct stored_draft, parent),
	 .max = POST_ID_LEN},
};
static const struct cbor_table table = {CBOR_FIELDS(fields)};

/* --- rows --- */

static bool row_is_draft(const uint8_t *value, size_t len)
{
	return len && value[0] == POST_DRAFT_ROW;
}

int social_drafts_each(struct social_write *write,
		       bool (*fn)(void *arg, const struct stored_draft *draft), void *arg)
{
	struct store_iter iter =
		store_iter_fresh(write->params.ground->store, STORE_DRAFTS, STORE_ALL);
	struct store_item item;
	bool goes_on = true;

	while (goes_on && store_iter_next(&iter, &item)) {
		struct stored_draft draft = {.id = item.key};

		if (!row_is_draft(item.value, item.value_len))
			continue;
		if (cbor_fields_parse(item.value + 1, item.value_len - 1, &table, &draft) < 0)
			iter.err = WEFT_EDAMAGED;
		goes_on = iter.err == 0 && fn(arg, &draft);
	}
	return store_iter_end(&iter);
}

struct draft_count {
	const uint8_t *id;
	unsigned cnt;
	bool is_there;
};

static bool draft_count(void *arg, const struct stored_draft *draft)
{
	struct draft_count *count = arg;

	count->cnt++;
	count->is_there |= count->id && memcmp(count->id, draft->id, DRAFT_ID_LEN) == 0;
	return true;
}

/* --- changes --- */

static int submit(struct social_write *write, struct store_batch *batch,
		  struct post_change_done done)
{
	int err = store_submit(write->params.ground->store, batch, done.done, done.arg);

	if (err < 0)
		store_batch_free(batch);
	return err == WEFT_EFULL ? WEFT_EBUSY : err;
}

static int draft_judge(struct social_write *write, const struct stored_draft *draft)
{
	struct draft_count count = {.id = draft->id};
	int err;

	if (draft->text_len > POST_LEN_MAX || draft->names_len > DRAFT_NAMES_LEN_MAX ||
	    draft->circle_len > SOCIAL_NAME_MAX)
		return WEFT_ETOOLARGE;
	if (!utf8_is_valid(draft->text, draft->text_len))
		return WEFT_EMALFORMED;
	if ((err = social_drafts_each(write, draft_count, &count)) < 0)
		return err;
	if (draft->id)
		return count.is_there ? 0 : WEFT_EABSENT;
	return count.cnt >= DRAFTS_MAX ? WEFT_EFULL : 0;
}

int social_drafts_put(struct social_write *write, const struct stored_draft *draft,
		      struct post_change_done done, uint8_t out_id[static DRAFT_ID_LEN])
{
	int err = draft_judge(write, draft);
	uint8_t *row = err < 0 ? NULL : malloc(ROW_LEN_MAX), id[DRAFT_ID_LEN];
	struct writer w = writer_of(row, row ? ROW_LEN_MAX : 0);
	struct store_batch *batch;

	if (err < 0)
		return err;
	if (!row)
		return -ENOMEM;
	if (draft->id)
		memcpy(id, draft->id, sizeof(id));
	else
		random_fill(write->params.ground->random, id, sizeof(id));
	writer_u8(&w, POST_DRAFT_ROW);
	cbor_fields_write(&w, &table, draft);
	batch = store_batch_new(write->params.ground->store);
	store_batch_put(batch, STORE_DRAFTS, store_key(id, sizeof(id)), row, writer_len(&w));
	free(row);
	if (w.bad) {
		store_batch_free(batch);
		return WEFT_EMALFORMED;
	}
	err = submit(write, batch, done);
	if (err == 0)
		memcpy(out_id, id, sizeof(id));
	return err;
}

int social_drafts_restore(struct social_write *write, const uint8_t id[static DRAFT_ID_LEN],
			  const void *row, size_t len)
{
	struct draft_count count = {.id = id};
	struct stored_draft draft;
	struct store_batch *batch;
	int err;

	if (!row_is_draft(row, len) ||
	    cbor_fields_parse((const uint8_t *)row + 1, len - 1, &table, &draft) < 0 ||
	    !utf8_is_valid(draft.text, draft.text_len))
		return WEFT_EMALFORMED;
	if ((err = social_drafts_each(write, draft_count, &count)) < 0)
		return err;
	if (count.is_there || count.cnt >= DRAFTS_MAX)
		return count.is_there ? WEFT_EEXISTS : WEFT_EFULL;
	batch = store_batch_new(write->params.ground->store);
	store_batch_put(batch, STORE_DRAFTS, store_key(id, DRAFT_ID_LEN), row, len);
	return submit(write, batch, (struct post_change_done){0});
}

int social_drafts_drop(struct social_write *write, const uint8_t id[static DRAFT_ID_LEN],
		       struct post_change_done done)
{
	struct draft_count count = {.id = id};
	struct store_batch *batch;
	int err = social_drafts_each(write, draft_count, &count);

	if (err < 0)
		return err;
	if (!count.is_there)
		return WEFT_EABSENT;
	batch = store_batch_new(write->params.ground->store);
	store_batch_delete(batch, STORE_DRAFTS, store_key(id, DRAFT_ID_LEN));
	return submit(write, batch, done);
}
