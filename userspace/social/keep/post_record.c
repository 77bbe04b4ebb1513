/* SPDX-License-Identifier: Apache-2.0 */
#include "social/keep/post_record.h"

#include <string.h>

#define RECORD_LAYOUT  1u
#define HAS_PARENT     1u
#define HAS_SUPERSEDES 2u
#define KIND_CNT       (VISIBILITY_GROUP + 1u)

void social_post_record_write(struct writer *w, const struct post_record *record)
{
	const struct post_view *view = &record->view;

	writer_u8(w, RECORD_LAYOUT);
	writer_u8(w, (uint8_t)view->share);
	writer_u8(w, (uint8_t)view->kind);
	writer_u8(w, (uint8_t)record->class);
	writer_u8(w, record->source.family);
	writer_u8(w, (uint8_t)((view->has_parent ? HAS_PARENT : 0) |
			       (record->has_supersedes ? HAS_SUPERSEDES : 0)));
	writer_be16(w, view->flags);
	writer_bytes(w, record->source.ip, sizeof(record->source.ip));
	writer_be64(w, view->time_ms);
	writer_bytes(w, view->author, sizeof(view->author));
	writer_bytes(w, view->logical_id, sizeof(view->logical_id));
	writer_be64(w, view->visibility_number);
	writer_be32(w, view->post_len);
	writer_be32(w, view->claim_len);
	writer_be32(w, view->visibility_len);
	writer_bytes(w, record->audience, sizeof(record->audience));
	if (view->has_parent)
		writer_bytes(w, view->parent, sizeof(view->parent));
	if (record->has_supersedes)
		writer_bytes(w, record->supersedes, sizeof(record->supersedes));
	if (view->kind == VISIBILITY_GROUP) {
		writer_bytes(w, view->group, sizeof(view->group));
		writer_be64(w, view->epoch);
	}
}

static bool is_sound(const struct post_record *record)
{
	const struct post_view *view = &record->view;

	return view->post_len <= POST_LEN_MAX && view->claim_len <= POST_CLAIM_LEN_MAX &&
	       view->visibility_len <= VISIBILITY_LEN_MAX &&
	       !(view->flags & ~(POST_MARKS | POST_ATTACHED | POST_REPLY)) &&
	       (record->source.family == ADDR_NONE || record->source.family == ADDR_IPV4 ||
		record->source.family == ADDR_IPV6);
}

static void options_read(struct cursor *c, uint8_t has, struct post_record *record)
{
	struct post_view *view = &record->view;

	view->has_parent = has & HAS_PARENT;
	record->has_supersedes = has & HAS_SUPERSEDES;
	if (view->has_parent)
		cursor_copy(c, view->parent, sizeof(view->parent));
	if (record->has_supersedes)
		cursor_copy(c, record->supersedes, sizeof(record->supersedes));
	if (view->kind == VISIBILITY_GROUP) {
		cursor_copy(c, view->group, sizeof(view->group));
		view->epoch = cursor_be64(c);
	}
}

int social_post_record_parse(const uint8_t id[static POST_ID_LEN], const void *bytes, size_t len,
			     struct post_record *out_record)
{
	struct post_record record = {0};
	struct post_view *view = &record.view;
	struct cursor c = cursor_of(bytes, len);
	uint8_t layout = cursor_u8(&c), share = cursor_u8(&c), kind = cursor_u8(&c);
	uint8_t class = cursor_u8(&c), has;

	record.source.family = cursor_u8(&c);
	has = cursor_u8(&c);
	view->flags = cursor_be16(&c);
	cursor_copy(&c, record.source.ip, sizeof(record.source.ip));
	view->time_ms = cursor_be64(&c);
	cursor_copy(&c, view->author, sizeof(view->author));
	cursor_copy(&c, view->logical_id, sizeof(view->logical_id));
	view->visibility_number = cursor_be64(&c);
	view->post_len = cursor_be32(&c);
	view->claim_len = cursor_be32(&c);
	view->visibility_len = cursor_be32(&c);
	cursor_copy(&c, record.audience, sizeof(record.audience));
	view->share = share;
	view->kind = kind;
	record.class = class;
	options_read(&c, has, &record);
	if (c.bad || cursor_left(&c) || layout != RECORD_LAYOUT || share >= POST_SHARE_CNT ||
	    kind >= KIND_CNT || class >= FAIR_CLASS_CNT || has > (HAS_PARENT | HAS_SUPERSEDES) ||
	    !is_sound(&record))
		return WEFT_EMALFORMED;
	memcpy(view->id, id, POST_ID_LEN);
	*out_record = record;
	return 0;
}

int social_post_body_split(const struct post_record *record, const uint8_t *body, size_t len,
			   struct post_parts *out_parts)
{
	const struct post_view *view = &record->view;

	if (len != social_post_len(view))
		return WEFT_EDAMAGED;
	*out_parts = (struct post_parts){.post = body,
					 .claim = body + view->post_len,
					 .visibility = body + view->post_len + view->claim_len,
					 .post_len = view->post_len,
					 .claim_len = view->claim_len,
					 .visibility_len = view->visibility_len};
	return 0;
}

static void order_key(const uint8_t *of, uint64_t order, const uint8_t *id,
		      struct post_order_key *out_key)
{
	struct writer w = writer_of(out_key->bytes, sizeof(out_key->bytes));

	writer_bytes(&w, of, 32);
	writer_be64(&w, order);
	writer_bytes(&w, id, POST_ID_LEN);
}

void social_post_author_key(const uint8_t *author, uint64_t time_ms, const uint8_t *id,
			    struct post_order_key *out_key)
{
	order_key(author, ~time_ms, id, out_key);
}

void social_post_reply_key(const uint8_t *parent, uint64_t time_ms, const uint8_t *id,
			   struct post_order_key *out_key)
{
	order_key(parent, time_ms, id, out_key);
}
