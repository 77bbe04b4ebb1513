/* SPDX-License-Identifier: Apache-2.0 */
#include "social/read/post_open.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "codec/text/utf8.h"

static int unwrap(const struct content_wrap *wrap, const struct node_key *own,
		  const uint8_t *wrapped, uint8_t *out_key)
{
	return own ? social_key_unwrap(wrap, own, wrapped, out_key) : WEFT_EREFUSED;
}

/* The author opens the wrap of any reader: the first one does. */
static int recipient_unwrap(const struct post_keys *keys, const struct visibility *visibility,
			    struct content_wrap *wrap, uint8_t *out_key)
{
	const struct node_key *author = keys->own(keys->ctx, wrap->author), *own = author;
	int err = WEFT_EREFUSED;

	for (unsigned i = 0; i < visibility->recipient_cnt && err == WEFT_EREFUSED; i++) {
		const struct visibility_recipient *recipient = &visibility->recipients[i];

		if (!author)
			own = keys->own(keys->ctx, recipient->reader);
		wrap->reader = recipient->reader;
		err = unwrap(wrap, own, recipient->wrapped, out_key);
	}
	return err;
}

static int group_unwrap(const struct post_keys *keys, const struct visibility_group *group,
			struct content_wrap *wrap, uint8_t *out_key)
{
	const struct node_key *own = keys->own(keys->ctx, wrap->author);

	wrap->reader = group->key;
	if (!own)
		own = keys->group(keys->ctx, group);
	return unwrap(wrap, own, group->wrapped, out_key);
}

int social_content_key_find(const struct post *post, const struct visibility *visibility,
			    const struct post_keys *keys, uint8_t out_key[static CONTENT_KEY_LEN])
{
	uint8_t nonce[CONTENT_NONCE_LEN];
	struct content_wrap wrap = {.author = post->author, .post_nonce = nonce};

	if (visibility->kind == VISIBILITY_PUBLIC)
		return WEFT_EREFUSED;
	if (social_content_nonce(post->content, post->content_len, nonce) < 0)
		return WEFT_EMALFORMED;
	if (visibility->kind == VISIBILITY_GROUP)
		return group_unwrap(keys, &visibility->group, &wrap, out_key);
	return recipient_unwrap(keys, visibility, &wrap, out_key);
}

static int text_open(const struct post *post, const uint8_t *key, struct writer *w)
{
	int err = social_content_open(key, post->content, post->content_len, w);

	/* What one reader cannot show, no reader is to be shown. */
	if (err == 0 && !utf8_is_valid((const char *)w->start, writer_len(w)))
		return WEFT_EMALFORMED;
	return err;
}

int social_post_text(const struct post *post, enum visibility_kind kind, const uint8_t *key,
		     char **out_text, size_t *out_len)
{
	uint8_t *text = malloc(post->content_len + 1);
	struct writer w = writer_of(text, text ? post->content_len : 0);
	int err = 0;

	if (!text)
		return -ENOMEM;
	if (kind == VISIBILITY_PUBLIC)
		writer_bytes(&w, post->content, post->content_len);
	else
		err = text_open(post, key, &w);
	if (err < 0) {
		free(text);
		return err;
	}
	text[writer_len(&w)] = '\0';
	*out_text = (char *)text;
	*out_len = writer_len(&w);
	return 0;
}
