/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shares that are followed for their schemas. STORE_META has a row for each share, with what the
 * operator said, and one for the text of each of its schemas. So a start needs no other node.
 */
#include "offers/shared/schema_shares.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/text/zbase32.h"

#define SHARE_PREFIX "schema-share:"
#define TEXT_PREFIX  "schema-of-share:"
#define ID_TEXT_LEN  (ZBASE32_KEY_TEXT_CAP - 1)
#define KEY_CAP	     (sizeof(TEXT_PREFIX) + ID_TEXT_LEN + SCHEMA_NAME_CAP + 1)

struct schema_shares {
	struct store *store;
	struct schema_registry *registry;
	struct schema_share *rows[SCHEMA_SHARES_MAX];
	unsigned cnt;
};

/* --- rows --- */

static struct store_key share_key(char key[static KEY_CAP], const uint8_t *share_id)
{
	char id[ZBASE32_KEY_TEXT_CAP];

	return store_key(key, (size_t)snprintf(key, KEY_CAP, SHARE_PREFIX "%s",
					       zbase32_write(share_id, SCHEMA_SHARE_ID_LEN, id)));
}

static struct store_key text_key(char key[static KEY_CAP], const uint8_t *share_id,
				 const char *name)
{
	char id[ZBASE32_KEY_TEXT_CAP];

	return store_key(key,
			 (size_t)snprintf(key, KEY_CAP, TEXT_PREFIX "%s:%s",
					  zbase32_write(share_id, SCHEMA_SHARE_ID_LEN, id), name));
}

static void share_put(struct store_batch *batch, const struct schema_share *share)
{
	const uint8_t flags = share->may_replace;
	char key[KEY_CAP];

	store_batch_put(batch, STORE_META, share_key(key, share->share_id), &flags, 1);
}

static void text_delete(struct store_batch *batch, const uint8_t *share_id, const char *name)
{
	char key[KEY_CAP];

	store_batch_delete(batch, STORE_META, text_key(key, share_id, name));
}

/* The id in a key behind prefix; NULL: it is none of these. */
static const char *key_parse(const struct store_item *item, const char *prefix, uint8_t *out_id)
{
	const size_t prefix_len = strlen(prefix);
	const char *key = (const char *)item->key;

	if (item->key_len < prefix_len + ID_TEXT_LEN || memcmp(key, prefix, prefix_len) != 0 ||
	    zbase32_parse(key + prefix_len, ID_TEXT_LEN, out_id, SCHEMA_SHARE_ID_LEN) < 0)
		return NULL;
	return key + prefix_len + ID_TEXT_LEN;
}

/* --- the table --- */

static struct schema_share *share_of(const struct schema_shares *shares, const uint8_t *share_id)
{
	for (unsigned i = 0; i < shares->cnt; i++)
		if (memcmp(shares->rows[i]->share_id, share_id, SCHEMA_SHARE_ID_LEN) == 0)
			return shares->rows[i];
	return NULL;
}

/* NULL: no memory; the caller looked that there is room. */
static struct schema_share *share_new(struct schema_shares *shares, const uint8_t *share_id)
{
	struct schema_share *share = calloc(1, sizeof(*share));

	if (!share)
		return NULL;
	memcpy(share->share_id, share_id, SCHEMA_SHARE_ID_LEN);
	shares->rows[shares->cnt++] = share;
	return share;
}

static void share_free(struct schema_shares *shares, struct schema_share *share)
{
	unsigned at = 0;

	while (shares->rows[at] != share)
		at++;
	shares->cnt--;
	memmove(&shares->rows[at], &shares->rows[at + 1],
		(shares->cnt - at) * sizeof(shares->rows[0]));
	free(share);
}

static int used_idx(const struct schema_share *share, const char *name)
{
	for (unsigned i = 0; i < share->used_cnt; i++)
		if (strcasecmp(share->used[i], name) == 0)
			return (int)i;
	return -1;
}

static void used_forget(struct schema_share *share, unsigned idx)
{
	share->used_cnt--;
	memmove(share->used[idx], share->used[idx + 1],
		(share->used_cnt - idx) * sizeof(share->used[0]));
}

/* --- start --- */

static int shares_load(struct schema_shares *shares)
{
	struct store_iter iter = store_iter_fresh(shares->store, STORE_META,
						  store_key(SHARE_PREFIX, strlen(SHARE_PREFIX)));
	struct store_item item;
	uint8_t share_id[SCHEMA_SHARE_ID_LEN];
	bool has_memory = true;
	int err;

	while (has_memory && shares->cnt < SCHEMA_SHARES_MAX && store_iter_next(&iter, &item) &&
	       key_parse(&item, SHARE_PREFIX, share_id)) {
		struct schema_share *share = share_new(shares, share_id);

		has_memory = share != NULL;
		if (share)
			share->may_replace = item.value_len && *(const uint8_t *)item.value;
	}
	err = store_iter_end(&iter);
	return has_memory ? err : -ENOMEM;
}

static int texts_load(struct schema_shares *shares)
{
	struct store_iter iter = store_iter_fresh(shares->store, STORE_META,
						  store_key(TEXT_PREFIX, strlen(TEXT_PREFIX)));
	struct store_item item;
	uint8_t share_id[SCHEMA_SHARE_ID_LEN];
	const char *name;

	while (store_iter_next(&iter, &item) && (name = key_parse(&item, TEXT_PREFIX, share_id))) {
		struct schema_share *share = share_of(shares, share_id);
		const size_t len = item.key_len - (size_t)(name - (const char *)item.key);
		struct schema_fault fault;
		struct schema_shared shared = {.share_id = share_id,
					       .text = (const char *)item.value,
					       .len = item.value_len,
					       .is_kept = true};

		if (!share || len < 2 || len > SCHEMA_NAME_CAP ||
		    share->used_cnt == SCHEMA_SHARE_FILES_MAX)
			continue;
		memcpy(share->used[share->used_cnt], name + 1, len - 1);
		share->used[share->used_cnt][len - 1] = '\0';
		shared.name = share->used[share->used_cnt];
		shared.may_replace = share->may_replace;
		/* One that is not taken any more says so when its share was read. */
		if (offers_schema_registry_share(shares->registry, &shared, &fault) == 0)
			share->used_cnt++;
	}
	return store_iter_end(&iter);
}

int offers_schema_shares_open(struct store *store, struct schema_registry *registry,
			      struct schema_shares **out_shares)
{
	struct schema_shares *shares = calloc(1, sizeof(*shares));
	int err;

	if (!shares)
		return -ENOMEM;
	shares->store = store;
	shares->registry = registry;
	err = shares_load(shares);
	if (err == 0)
		err = texts_load(shares);
	if (err < 0)
		offers_schema_shares_close(shares);
	else
		*out_shares = shares;
	return err;
}

void offers_schema_shares_close(struct schema_shares *shares)
{
	if (!shares)
		return;
	while (shares->cnt)
		share_free(shares, shares->rows[shares->cnt - 1]);
	free(shares);
}

/* --- the operator's changes --- */

/* Takes batch. */
static int change_submit(struct schema_shares *shares, struct store_batch *batch,
			 const struct schema_share_change *change)
{
	int err = store_submit(shares->store, batch, change->done, change->arg);

	if (err < 0)
		store_batch_free(batch);
	return err;
}

int offers_schema_shares_follow(struct schema_shares *shares,
				const struct schema_share_change *change)
{
	struct schema_share *share = share_of(shares, change->share_id);
	struct schema_share row = {.may_replace = change->may_replace};
	struct store_batch *batch;
	int err;

	if (!share && shares->cnt == SCHEMA_SHARES_MAX)
		return WEFT_EFULL;
	memcpy(row.share_id, change->share_id, SCHEMA_SHARE_ID_LEN);
	if (share) {
		batch = store_batch_new(shares->store);
		share_put(batch, &row);
		err = change_submit(shares, batch, change);
		if (err == 0)
			share->may_replace = change->may_replace;
		return err;
	}
	share = share_new(shares, change->share_id);
	if (!share)
		return -ENOMEM;
	share->may_replace = change->may_replace;
	batch = store_batch_new(shares->store);
	share_put(batch, &row);
	err = change_submit(shares, batch, change);
	if (err < 0)
		share_free(shares, share);
	return err;
}

int offers_schema_shares_unfollow(struct schema_shares *shares,
				  const struct schema_share_change *change)
{
	struct schema_share *share = share_of(shares, change->share_id);
	struct store_batch *batch;
	char key[KEY_CAP];
	int err;

	if (!share)
		return WEFT_EABSENT;
	batch = store_batch_new(shares->store);
	store_batch_delete(batch, STORE_META, share_key(key, share->share_id));
	for (unsigned i = 0; i < share->used_cnt; i++)
		text_delete(batch, share->share_id, share->used[i]);
	err = change_submit(shares, batch, change);
	if (err < 0)
		return err;
	for (unsigned i = 0; i < share->used_cnt; i++)
		offers_schema_registry_unshare(shares->registry, share->share_id, share->used[i]);
	share_free(shares, share);
	return 0;
}

/* --- a revision --- */

static void refusal_add(struct schema_share *share, const char *name,
			const struct schema_fault *fault)
{
	struct schema_refusal *refusal = &share->refusals[share->refusal_cnt++];

	snprintf(refusal->name, sizeof(refusal->name), "%s", name);
	refusal->fault = *fault;
}

/* Names of services have small letters; so have rows and what is used. */
static void name_lower(char name[static SCHEMA_NAME_CAP], const char *from)
{
	size_t len = 0;

	for (; from[len] && len < SCHEMA_NAME_CAP - 1; len++)
		name[len] = (char)tolower((unsigned char)from[len]);
	name[len] = '\0';
}

static void file_take(struct schema_shares *shares, struct schema_share *share,
		      const struct schema_file *file, struct store_batch *batch)
{
	char name[SCHEMA_NAME_CAP];
	const struct schema_shared shared = {.share_id = share->share_id,
					     .name = name,
					     .text = file->text,
					     .len = file->len,
					     .may_replace = share->may_replace};
	struct schema_fault fault = {.what = "it is longer than 65536 bytes",
				     .next = "shorten labels and help"};
	int err = WEFT_ETOOLARGE;
	char key[KEY_CAP];

	name_lower(name, file->name);
	if (file->text)
		err = offers_schema_registry_share(shares->registry, &shared, &fault);
	if (err < 0) {
		if (err == -ENOMEM)
			snprintf(fault.what, sizeof(fault.what), "no memory");
		refusal_add(share, file->name, &fault);
		return;
	}
	store_batch_put(batch, STORE_META, text_key(key, share->share_id, name), file->text,
			file->len);
	if (used_idx(share, name) < 0)
		memcpy(share->used[share->used_cnt++], name, sizeof(name));
}

static bool revision_has(const struct schema_revision *revision, const char *name)
{
	for (unsigned i = 0; i < revision->file_cnt; i++)
		if (strcasecmp(revision->files[i].name, name) == 0)
			return true;
	return false;
}

void offers_schema_shares_take(struct schema_shares *shares, const struct schema_revision *revision)
{
	static const struct schema_fault more = {.what = "it has more than 16 schemas",
						 .next = "divide them into several shares"};
	struct schema_share *share = share_of(shares, revision->share_id);
	struct store_batch *batch;

	if (!share)
		return;
	batch = store_batch_new(shares->store);
	share->revision = revision->revision;
	share->refusal_cnt = 0;
	/* What is gone makes room first. */
	for (unsigned i = share->used_cnt; i-- > 0;) {
		if (revision_has(revision, share->used[i]))
			continue;
		offers_schema_registry_unshare(shares->registry, share->share_id, share->used[i]);
		text_delete(batch, share->share_id, share->used[i]);
		used_forget(share, i);
	}
	for (unsigned i = 0; i < revision->file_cnt && i < SCHEMA_SHARE_FILES_MAX; i++)
		file_take(shares, share, &revision->files[i], batch);
	if (revision->has_more || revision->file_cnt > SCHEMA_SHARE_FILES_MAX)
		refusal_add(share, "", &more);
	/* What is lost when the store is full is read again at the next start. */
	if (store_submit(shares->store, batch, NULL, NULL) < 0)
		store_batch_free(batch);
}

void offers_schema_shares_move(struct schema_shares *shares,
			       const uint8_t was_id[static SCHEMA_SHARE_ID_LEN],
			       const uint8_t is_id[static SCHEMA_SHARE_ID_LEN])
{
	struct schema_share *share = share_of(shares, was_id);
	const struct schema_share_change gone = {.share_id = was_id};
	struct store_batch *batch;
	char key[KEY_CAP];

	if (share && share_of(shares, is_id)) {
		(void)!offers_schema_shares_unfollow(shares, &gone);
		return;
	}
	if (!share)
		return;
	/* What it brought stays in use until the new key's first revision says otherwise. */
	batch = store_batch_new(shares->store);
	store_batch_delete(batch, STORE_META, share_key(key, was_id));
	memcpy(share->share_id, is_id, SCHEMA_SHARE_ID_LEN);
	share_put(batch, share);
	for (unsigned i = 0; i < share->used_cnt; i++) {
		size_t len;
		const char *text = offers_schema_registry_reshare(shares->registry, was_id, is_id,
								  share->used[i], &len);

		text_delete(batch, was_id, share->used[i]);
		if (text)
			store_batch_put(batch, STORE_META, text_key(key, is_id, share->used[i]),
					text, len);
	}
	/* What is lost when the store is full is asked for again under the new key. */
	if (store_submit(shares->store, batch, NULL, NULL) < 0)
		store_batch_free(batch);
}

const struct schema_share *offers_schema_shares_at(const struct schema_shares *shares, unsigned idx)
{
	return idx < shares->cnt ? shares->rows[idx] : NULL;
}

const struct schema_share *
offers_schema_shares_lookup(const struct schema_shares *shares,
			    const uint8_t share_id[static SCHEMA_SHARE_ID_LEN])
{
	return share_of(shares, share_id);
}
