/* SPDX-License-Identifier: Apache-2.0 */
#include "social/write/post_make.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "codec/text/base64.h"
#include "codec/text/utf8.h"

/* What is drawn for a post, and the work room of its making. */
struct making {
	const struct post_making *ask;
	struct random *random;
	uint8_t content_key[CONTENT_KEY_LEN], nonce[CONTENT_NONCE_LEN];
	char *sealed; /* the content of a private post */
	struct post post;
	struct visibility visibility;
	struct made_post *made;
};

static bool is_private(const struct post_making *ask)
{
	return ask->audience.kind != VISIBILITY_PUBLIC;
}

/* --- readers --- */

static int key_compare(const void *a, const void *b)
{
	return memcmp(a, b, NODE_KEY_LEN);
}

/* Ascending, each once, without the author: 0, WEFT_EFULL or -ENOMEM. */
static int readers_sort(struct making *making)
{
	const struct write_audience *audience = &making->ask->audience;
	const uint8_t *author = node_key_public(making->ask->author);
	struct visibility *visibility = &making->visibility;
	uint8_t(*sorted)[NODE_KEY_LEN] = calloc(audience->reader_cnt + 1, sizeof(*sorted));
	size_t cnt = 0;
	int err = 0;

	if (!sorted)
		return -ENOMEM;
	if (audience->reader_cnt)
		memcpy(sorted, audience->readers, audience->reader_cnt * sizeof(*sorted));
	qsort(sorted, audience->reader_cnt, sizeof(*sorted), key_compare);
	for (size_t i = 0; i < audience->reader_cnt && err == 0; i++) {
		if (memcmp(sorted[i], author, NODE_KEY_LEN) == 0 ||
		    (i && memcmp(sorted[i], sorted[i - 1], NODE_KEY_LEN) == 0))
			continue;
		if (cnt == VISIBILITY_RECIPIENTS_MAX)
			err = WEFT_EFULL;
		else
			memcpy(visibility->recipients[cnt++].reader, sorted[i], NODE_KEY_LEN);
	}
	free(sorted);
	if (cnt == 0)
		memcpy(visibility->recipients[cnt++].reader, author, NODE_KEY_LEN);
	visibility->recipient_cnt = (unsigned)cnt;
	return err;
}

static int key_wrap(struct making *making, const uint8_t *reader, uint8_t *out_wrapped)
{
	const struct content_wrap wrap = {node_key_public(making->ask->author), reader,
					  making->nonce};
	uint8_t nonce[CONTENT_NONCE_LEN];

	random_fill(making->random, nonce, sizeof(nonce));
	making->made->wrap_cnt++;
	return social_key_wrap(&wrap, making->ask->author, making->content_key, nonce, out_wrapped);
}

static int group_wrap(struct making *making)
{
	const struct write_audience *audience = &making->ask->audience;
	struct visibility_group *group = &making->visibility.group;

	memcpy(group->group, audience->group, sizeof(group->group));
	memcpy(group->key, audience->group_key, sizeof(group->key));
	group->epoch = audience->epoch;
	return key_wrap(making, group->key, group->wrapped);
}

static int readers_wrap(struct making *making)
{
	struct visibility *visibility = &making->visibility;
	int err = 0;

	if (visibility->kind == VISIBILITY_GROUP)
		return group_wrap(making);
	if (visibility->kind == VISIBILITY_RECIPIENTS)
		err = readers_sort(making);
	for (unsigned i = 0; err == 0 && i < visibility->recipient_cnt; i++)
		err = key_wrap(making, visibility->recipients[i].reader,
			       visibility->recipients[i].wrapped);
	return err;
}

/* --- bytes --- */

/* Runs write with room for cap bytes and keeps what it wrote. */
struct object_write {
	void (*write)(struct writer *w, const struct making *making);
	size_t cap;
	int full; /* the error when there is no room */
};

static int object_write(const struct making *making, const struct object_write *object,
			uint8_t **out_bytes, size_t *out_len)
{
	uint8_t *bytes = malloc(object->cap);
	struct writer w = writer_of(bytes, bytes ? object->cap : 0);

	if (!bytes)
		return -ENOMEM;
	object->write(&w, making);
	if (w.bad) {
		free(bytes);
		return object->full;
	}
	*out_len = writer_len(&w);
	*out_bytes = bytes;
	return 0;
}

static void post_write(struct writer *w, const struct making *making)
{
	social_post_write(w, &making->post);
}

static void claim_write(struct writer *w, const struct making *making)
{
	const struct post_claim claim = {
		.post = making->made->id,
		.logical_id = making->made->logical_id,
		.supersedes = making->ask->supersedes,
	};

	social_claim_write(w, &claim, making->ask->author);
}

static void visibility_write(struct writer *w, const struct making *making)
{
	social_visibility_write(w, &making->visibility, making->ask->author);
}

static int content_seal(struct making *making)
{
	const struct post_making *ask = making->ask;
	int err;

	if (!is_private(ask)) {
		making->post.content = ask->text;
		making->post.content_len = ask->text_len;
		return 0;
	}
	random_fill(making->random, making->nonce, sizeof(making->nonce));
	if (ask->content_key)
		memcpy(making->content_key, ask->content_key, sizeof(making->content_key));
	else
		random_fill(making->random, making->content_key, sizeof(making->content_key));
	making->post.content_len = BASE64_LEN(ask->text_len + CONTENT_OVERHEAD);
	if (!(making->sealed = malloc(making->post.content_len + 1)))
		return -ENOMEM;
	err = social_content_seal(making->content_key, making->nonce, ask->text, ask->text_len,
				  making->sealed);
	making->post.content = making->sealed;
	return err;
}

static int post_fill(struct making *making)
{
	const struct post_making *ask = making->ask;
	struct post *post = &making->post;

	post->author = node_key_public(ask->author);
	post->time_ms = ask->time_ms;
	post->parent = ask->parent;
	post->attachment_cnt = ask->attachment_cnt;
	post->mention_cnt = ask->mention_cnt;
	if (ask->attachment_cnt)
		memcpy(post->attachments, ask->attachments,
		       ask->attachment_cnt * sizeof(post->attachments[0]));
	if (ask->mention_cnt)
		memcpy(post->mentions, ask->mentions, ask->mention_cnt * NODE_KEY_LEN);
	return content_seal(making);
}

static int make(struct making *making)
{
	static const struct object_write post = {post_write, POST_LEN_MAX, WEFT_ETOOLARGE},
					 claim = {claim_write, POST_CLAIM_LEN_MAX, -ENOMEM},
					 visibility = {visibility_write, VISIBILITY_LEN_MAX,
						       -ENOMEM};
	struct made_post *made = making->made;
	int err = post_fill(making);

	if (err < 0 || (err = object_write(making, &post, &made->post, &made->post_len)) < 0)
		return err;
	social_post_id(made->post, made->post_len, made->id);
	making->visibility.post = made->id;
	making->visibility.kind = making->ask->audience.kind;
	if (making->ask->logical_id)
		memcpy(made->logical_id, making->ask->logical_id, sizeof(made->logical_id));
	else
		random_fill(making->random, made->logical_id, sizeof(made->logical_id));
	if ((err = object_write(making, &claim, &made->claim, &made->claim_len)) < 0 ||
	    (err = readers_wrap(making)) < 0)
		return err;
	return object_write(making, &visibility, &made->visibility, &made->visibility_len);
}

static int ask_judge(const struct post_making *ask)
{
	if (ask->text_len > POST_LEN_MAX)
		return WEFT_ETOOLARGE;
	if (ask->attachment_cnt > POST_ATTACHMENTS_MAX || ask->mention_cnt > POST_MENTIONS_MAX ||
	    !utf8_is_valid(ask->text, ask->text_len))
		return WEFT_EMALFORMED;
	return 0;
}

int social_post_make(const struct post_making *ask, struct random *random,
		     struct made_post **out_made)
{
	int err = ask_judge(ask);
	struct making *making = err < 0 ? NULL : calloc(1, sizeof(*making));

	if (err < 0)
		return err;
	if (!making || !(making->made = calloc(1, sizeof(*making->made)))) {
		free(making);
		return -ENOMEM;
	}
	making->ask = ask;
	making->random = random;
	err = make(making);
	if (err == 0)
		*out_made = making->made;
	else
		social_made_post_free(making->made);
	free(making->sealed);
	explicit_bzero(making, sizeof(*making));
	free(making);
	return err;
}

void social_made_post_free(struct made_post *made)
{
	if (!made)
		return;
	free(made->post);
	free(made->claim);
	free(made->visibility);
	free(made);
}
