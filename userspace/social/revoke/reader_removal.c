/* SPDX-License-Identifier: Apache-2.0 */
#include "social/revoke/reader_removal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"

int social_post_key_open(const struct reader_removal *removal, const struct post *post,
			 uint8_t out_key[static CONTENT_KEY_LEN])
{
	const struct visibility *visibility = removal->visibility;
	uint8_t nonce[CONTENT_NONCE_LEN];

	if (social_content_nonce(post->content, post->content_len, nonce) < 0)
		return WEFT_EMALFORMED;
	/* Author and reader agree on the same key, so the author opens what it wrapped. */
	for (unsigned i = 0; i < visibility->recipient_cnt; i++) {
		struct content_wrap wrap = {post->author, visibility->recipients[i].reader, nonce};

		if (social_key_unwrap(&wrap, removal->author, visibility->recipients[i].wrapped,
				      out_key) == 0)
			return 0;
	}
	return WEFT_EDAMAGED;
}

/* Wraps key for the reader at place idx of next. */
static int wrap_one(const struct reader_removal *removal, const struct post *post,
		    const uint8_t *key, struct visibility_recipient *recipient)
{
	uint8_t post_nonce[CONTENT_NONCE_LEN], nonce[CONTENT_NONCE_LEN];
	struct content_wrap wrap = {post->author, recipient->reader, post_nonce};

	if (social_content_nonce(post->content, post->content_len, post_nonce) < 0)
		return WEFT_EMALFORMED;
	random_fill(removal->random, nonce, sizeof(nonce));
	return social_key_wrap(&wrap, removal->author, key, nonce, recipient->wrapped);
}

/* Signs the readers that remain, under a number behind the last; post is the one that they read. */
static int remaining_write(const struct reader_removal *removal, const struct post *post,
			   const uint8_t *id, const uint8_t *key, struct writer *out)
{
	const struct visibility *old = removal->visibility;
	struct visibility *next = calloc(1, sizeof(*next));
	int err = next ? 0 : -ENOMEM, wrap_cnt;

	if (err < 0)
		return err;
	next->post = id;
	next->number = old->number + 1;
	next->kind = VISIBILITY_RECIPIENTS;
	for (unsigned i = 0; i < old->recipient_cnt; i++)
		if (memcmp(old->recipients[i].reader, removal->removed, NODE_KEY_LEN) != 0)
			memcpy(next->recipients[next->recipient_cnt++].reader,
			       old->recipients[i].reader, NODE_KEY_LEN);
	wrap_cnt = (int)next->recipient_cnt;
	if (!next->recipient_cnt)
		memcpy(next->recipients[next->recipient_cnt++].reader, post->author, NODE_KEY_LEN);
	for (unsigned i = 0; i < next->recipient_cnt && err == 0; i++)
		err = wrap_one(removal, post, key, &next->recipients[i]);
	if (err == 0)
		social_visibility_write(out, next, removal->author);
	if (err == 0 && out->bad)
		err = WEFT_EMALFORMED;
	free(next);
	return err < 0 ? err : wrap_cnt;
}

static bool is_reader(const struct reader_removal *removal)
{
	return removal->visibility->kind == VISIBILITY_RECIPIENTS &&
	       social_visibility_recipient(removal->visibility, removal->removed);
}

int social_wrap_anew(const struct reader_removal *removal, const struct post *post,
		     struct writer *out)
{
	uint8_t key[CONTENT_KEY_LEN];
	int err;

	if (!is_reader(removal))
		return WEFT_EABSENT;
	err = social_post_key_open(removal, post, key);
	if (err == 0)
		err = remaining_write(removal, post, removal->visibility->post, key, out);
	explicit_bzero(key, sizeof(key));
	return err;
}

/* The attachments of post with other ids; their units are as many. */
static void attachments_move(struct post *post, const uint8_t (*units)[POST_ID_LEN])
{
	size_t at = 0;

	for (unsigned i = 0; i < post->attachment_cnt; i++) {
		post->attachments[i].ids = units[at];
		at += post->attachments[i].ids_len / POST_ID_LEN;
	}
}

int social_seal_anew(const struct reader_removal *removal, const struct post *post,
		     const struct sealed_anew *made)
{
	size_t content_len = (made->text_len + CONTENT_OVERHEAD + 2) / 3 * 4;
	uint8_t nonce[CONTENT_NONCE_LEN], id[POST_ID_LEN];
	char *content;
	struct post *next;
	int err;

	if (!is_reader(removal))
		return WEFT_EABSENT;
	next = malloc(sizeof(*next));
	content = malloc(content_len + 1);
	err = next && content ? 0 : -ENOMEM;
	random_fill(removal->random, nonce, sizeof(nonce));
	if (err == 0)
		err = social_content_seal(made->key, nonce, made->text, made->text_len, content);
	if (err == 0) {
		*next = *post;
		next->content = content;
		next->content_len = content_len;
		if (made->units)
			attachments_move(next, made->units);
		social_post_write(made->post, next);
		err = made->post->bad ? WEFT_EMALFORMED : 0;
	}
	if (err == 0) {
		social_post_id(made->post->start, writer_len(made->post), id);
		err = remaining_write(removal, next, id, made->key, made->visibility);
	}
	free(content);
	free(next);
	return err;
}
