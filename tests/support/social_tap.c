/* SPDX-License-Identifier: Apache-2.0 */
#include "support/social_tap.h"

#include <stdlib.h>
#include <string.h>

#include "node/node_state.h"
#include "social/object/post.h"
#include "social/object/visibility.h"
#include "social/seal/content_key.h"
#include "social/seal/group_key.h"
#include "social/social.h"

#define OPENERS_MAX 4u

/* Something that was heard once at least: a post, a list of readers, or a key. */
struct heard {
	uint8_t name[POST_ID_LEN]; /* a hash of its bytes, or the key itself */
	uint8_t *bytes;
	size_t len;
	bool is_at[TAP_NODES_MAX];
	unsigned openers[OPENERS_MAX], opener_cnt; /* of a post: content keys by number */
};
struct heard_all {
	struct heard **rows;
	unsigned cnt;
};

static struct sim *tapped;
static struct heard_all posts, readers, content_keys, group_keys;
static tap_made_fn on_made;
static void *made_arg;

static struct heard *heard_note(struct heard_all *all, const uint8_t *name, unsigned node)
{
	struct heard *row = NULL;

	for (unsigned i = 0; i < all->cnt && !row; i++)
		if (memcmp(all->rows[i]->name, name, sizeof(row->name)) == 0)
			row = all->rows[i];
	if (!row) {
		row = calloc(1, sizeof(*row));
		all->rows = realloc(all->rows, (all->cnt + 1) * sizeof(*all->rows));
		if (!row || !all->rows)
			abort();
		memcpy(row->name, name, sizeof(row->name));
		all->rows[all->cnt++] = row;
	}
	row->is_at[node] = true;
	return row;
}

static void bytes_note(struct heard_all *all, const uint8_t *bytes, size_t len, unsigned node)
{
	uint8_t name[POST_ID_LEN];
	struct heard *row;

	social_post_id(bytes, len, name);
	row = heard_note(all, name, node);
	if (row->bytes)
		return;
	row->bytes = malloc(len ? len : 1);
	if (!row->bytes)
		abort();
	memcpy(row->bytes, bytes, len);
	row->len = len;
}

static void heard_free(struct heard_all *all)
{
	for (unsigned i = 0; i < all->cnt; i++) {
		free(all->rows[i]->bytes);
		free(all->rows[i]);
	}
	free(all->rows);
	*all = (struct heard_all){.cnt = 0};
}

/* The number of the node with that intake or key; TAP_NODES_MAX: none. */
static unsigned node_of_intake(const struct intake *intake)
{
	for (unsigned i = 0; tapped && i < tapped->node_cnt; i++)
		if (tapped->nodes[i].node && tapped->nodes[i].node->social &&
		    social_intake_of(tapped->nodes[i].node->social) == intake)
			return i;
	return TAP_NODES_MAX;
}

static unsigned node_of_key(const uint8_t *key)
{
	for (unsigned i = 0; tapped && i < tapped->node_cnt; i++)
		if (memcmp(node_key_public(tapped->nodes[i].key), key, NODE_KEY_LEN) == 0)
			return i;
	return TAP_NODES_MAX;
}

/* --- what is heard --- */

void __real_social_intake_post(struct intake *intake, const struct intake_ask *ask,
			       uint64_t now_ns);
void __wrap_social_intake_post(struct intake *intake, const struct intake_ask *ask,
			       uint64_t now_ns);
void __wrap_social_intake_post(struct intake *intake, const struct intake_ask *ask, uint64_t now_ns)
{
	unsigned node = node_of_intake(intake);

	if (node < TAP_NODES_MAX) {
		bytes_note(&posts, ask->parts.post, ask->parts.post_len, node);
		bytes_note(&readers, ask->parts.visibility, ask->parts.visibility_len, node);
		if (ask->source == INTAKE_OWN)
			on_made(made_arg, node, &ask->parts);
	}
	__real_social_intake_post(intake, ask, now_ns);
}

void __real_social_intake_visibility(struct intake *intake, const struct intake_object *object,
				     uint64_t now_ns);
void __wrap_social_intake_visibility(struct intake *intake, const struct intake_object *object,
				     uint64_t now_ns);
void __wrap_social_intake_visibility(struct intake *intake, const struct intake_object *object,
				     uint64_t now_ns)
{
	unsigned node = node_of_intake(intake);

	if (node < TAP_NODES_MAX)
		bytes_note(&readers, object->bytes, object->len, node);
	__real_social_intake_visibility(intake, object, now_ns);
}

/* A key that node holds; also one of no node, of which nothing is kept. */
static void key_note(struct heard_all *all, const struct node_key *own, const uint8_t *key)
{
	unsigned node = node_of_key(node_key_public(own));

	if (node < TAP_NODES_MAX)
		(void)heard_note(all, key, node);
}

int __real_social_key_wrap(const struct content_wrap *wrap, const struct node_key *own,
			   const uint8_t *key, const uint8_t *nonce, uint8_t *out);
int __wrap_social_key_wrap(const struct content_wrap *wrap, const struct node_key *own,
			   const uint8_t *key, const uint8_t *nonce, uint8_t *out);
int __wrap_social_key_wrap(const struct content_wrap *wrap, const struct node_key *own,
			   const uint8_t *key, const uint8_t *nonce, uint8_t *out)
{
	key_note(&content_keys, own, key);
	return __real_social_key_wrap(wrap, own, key, nonce, out);
}

int __real_social_key_unwrap(const struct content_wrap *wrap, const struct node_key *own,
			     const uint8_t *wrapped, uint8_t *out_key);
int __wrap_social_key_unwrap(const struct content_wrap *wrap, const struct node_key *own,
			     const uint8_t *wrapped, uint8_t *out_key);
int __wrap_social_key_unwrap(const struct content_wrap *wrap, const struct node_key *own,
			     const uint8_t *wrapped, uint8_t *out_key)
{
	int err = __real_social_key_unwrap(wrap, own, wrapped, out_key);

	if (err == 0)
		key_note(&content_keys, own, out_key);
	return err;
}

int __real_social_group_wrap(const struct group_wrap *wrap, const struct node_key *own,
			     const uint8_t *seed, const uint8_t *nonce, uint8_t *out);
int __wrap_social_group_wrap(const struct group_wrap *wrap, const struct node_key *own,
			     const uint8_t *seed, const uint8_t *nonce, uint8_t *out);
int __wrap_social_group_wrap(const struct group_wrap *wrap, const struct node_key *own,
			     const uint8_t *seed, const uint8_t *nonce, uint8_t *out)
{
	key_note(&group_keys, own, seed);
	return __real_social_group_wrap(wrap, own, seed, nonce, out);
}

int __real_social_group_unwrap(const struct group_wrap *wrap, const struct node_key *own,
			       const uint8_t *wrapped, uint8_t *out_seed);
int __wrap_social_group_unwrap(const struct group_wrap *wrap, const struct node_key *own,
			       const uint8_t *wrapped, uint8_t *out_seed);
int __wrap_social_group_unwrap(const struct group_wrap *wrap, const struct node_key *own,
			       const uint8_t *wrapped, uint8_t *out_seed)
{
	int err = __real_social_group_unwrap(wrap, own, wrapped, out_seed);

	if (err == 0)
		key_note(&group_keys, own, out_seed);
	return err;
}

void tap_begin(struct sim *sim, tap_made_fn made, void *arg)
{
	tapped = sim;
	on_made = made;
	made_arg = arg;
}

void tap_end(void)
{
	heard_free(&posts);
	heard_free(&readers);
	heard_free(&content_keys);
	heard_free(&group_keys);
	tapped = NULL;
}

/* --- trials --- */

static struct heard *post_of(const uint8_t *id)
{
	for (unsigned i = 0; i < posts.cnt; i++)
		if (memcmp(posts.rows[i]->name, id, POST_ID_LEN) == 0)
			return posts.rows[i];
	return NULL;
}

/* The same key opens the same bytes for all that have both, so a pair is tried once. */
static void group_key_try(const struct heard *group_key, const struct heard *said,
			  const struct visibility *visibility, struct content_wrap *wrap)
{
	uint8_t key[CONTENT_KEY_LEN];
	struct node_key *own;

	if (node_key_from_seed(group_key->name, &own) < 0)
		abort();
	/* By the public key that the readers name, and by that of the key itself. */
	wrap->reader = node_key_public(own);
	if (__real_social_key_unwrap(wrap, own, visibility->group.wrapped, key) == 0)
		for (unsigned i = 0; i < tapped->node_cnt; i++)
			if (said->is_at[i] && group_key->is_at[i])
				(void)heard_note(&content_keys, key, i);
	node_key_free(own);
}

static void own_key_try(unsigned person, const struct visibility *visibility,
			struct content_wrap *wrap, struct tap_figures *figures)
{
	uint8_t key[CONTENT_KEY_LEN];

	for (unsigned i = 0; i < visibility->recipient_cnt; i++) {
		wrap->reader = visibility->recipients[i].reader;
		if (__real_social_key_unwrap(wrap, tapped->nodes[person].key,
					     visibility->recipients[i].wrapped, key) == 0)
			(void)heard_note(&content_keys, key, person);
		else
			figures->shut_cnt++;
	}
}

/* All keys of persons and groups on all lists of readers: what opens is a key of a content. */
static void readers_try(struct tap_figures *figures)
{
	static struct visibility visibility;
	static struct post post;

	for (unsigned at = 0; at < readers.cnt; at++) {
		const struct heard *said = readers.rows[at], *sealed;
		uint8_t nonce[CONTENT_NONCE_LEN];
		struct content_wrap wrap = {.post_nonce = nonce};

		if (social_visibility_read(said->bytes, said->len, &visibility) < 0 ||
		    visibility.kind == VISIBILITY_PUBLIC || !(sealed = post_of(visibility.post)) ||
		    social_post_parse(sealed->bytes, sealed->len, &post) < 0 ||
		    social_content_nonce(post.content, post.content_len, nonce) < 0)
			continue;
		wrap.author = post.author;
		for (unsigned i = 0; i < tapped->node_cnt; i++)
			if (said->is_at[i])
				own_key_try(i, &visibility, &wrap, figures);
		for (unsigned i = 0; visibility.kind == VISIBILITY_GROUP && i < group_keys.cnt; i++)
			group_key_try(group_keys.rows[i], said, &visibility, &wrap);
	}
}

static void openers_find(struct heard *sealed)
{
	static uint8_t text[POST_LEN_MAX];
	static struct post post;

	sealed->opener_cnt = 0;
	if (social_post_parse(sealed->bytes, sealed->len, &post) < 0)
		abort();
	for (unsigned i = 0; i < content_keys.cnt && sealed->opener_cnt < OPENERS_MAX; i++) {
		struct writer w = writer_of(text, sizeof(text));

		if (social_content_open(content_keys.rows[i]->name, post.content, post.content_len,
					&w) == 0)
			sealed->openers[sealed->opener_cnt++] = i;
	}
}

static bool has_opener(const struct heard *sealed, unsigned person)
{
	for (unsigned i = 0; i < sealed->opener_cnt; i++)
		if (content_keys.rows[sealed->openers[i]]->is_at[person])
			return true;
	return false;
}

static unsigned held_cnt(const struct heard_all *all, unsigned person)
{
	unsigned cnt = 0;

	for (unsigned i = 0; i < all->cnt; i++)
		cnt += all->rows[i]->is_at[person];
	return cnt;
}

static void person_try(unsigned person, void (*opened)(void *arg, unsigned, const uint8_t *),
		       void *arg, struct tap_figures *figures)
{
	unsigned key_cnt = held_cnt(&content_keys, person);

	for (unsigned i = 0; i < posts.cnt; i++) {
		const struct heard *sealed = posts.rows[i];

		if (!sealed->is_at[person])
			continue;
		figures->got_cnt++;
		figures->shut_cnt += key_cnt;
		if (!has_opener(sealed, person))
			continue;
		figures->shut_cnt--;
		figures->opened_cnt++;
		opened(arg, person, sealed->name);
	}
}

void tap_try(void (*opened)(void *arg, unsigned person, const uint8_t *post), void *arg,
	     struct tap_figures *out_figures)
{
	*out_figures = (struct tap_figures){
		.post_cnt = posts.cnt, .readers_cnt = readers.cnt, .group_key_cnt = group_keys.cnt};
	readers_try(out_figures);
	out_figures->content_key_cnt = content_keys.cnt;
	for (unsigned i = 0; i < posts.cnt; i++)
		openers_find(posts.rows[i]);
	for (unsigned i = 0; i < tapped->node_cnt; i++)
		person_try(i, opened, arg, out_figures);
}
