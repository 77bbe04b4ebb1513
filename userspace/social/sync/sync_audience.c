/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which posts a peer may have, fast enough to ask of each of 100,000 in turn: the rules are those of
 * post_filter.h. A question notes the verdict of each author and of each set of readers, so that it
 * looks at most once at either.
 */
#include <stdlib.h>

#include "base/container_of.h"
#include "social/sync/sync_state.h"

/* Verdicts: 0 in a memo is none of this question. */
enum { MEMO_NO = 1, MEMO_FOLLOWED = 2, MEMO_YES = 3, MEMO_BITS = 2 };

/* --- notes of a question --- */

void social_sync_question(struct sync *sync)
{
	if (++sync->memo.number < UINT32_MAX >> MEMO_BITS)
		return;
	memset(&sync->memo, 0, sizeof(sync->memo));
	sync->memo.number = 1;
}

static uint32_t memo_read(const struct sync *sync, const uint32_t *memo)
{
	return *memo >> MEMO_BITS == sync->memo.number ? *memo & ((1u << MEMO_BITS) - 1) : 0;
}

static uint32_t memo_write(struct sync *sync, uint32_t *memo, uint32_t verdict)
{
	*memo = sync->memo.number << MEMO_BITS | verdict;
	return verdict;
}

/* --- what the asker is --- */

static bool is_own_key(const struct sync_peer *peer, const uint8_t *key)
{
	for (unsigned i = 0; i < peer->key_cnt; i++)
		if (memcmp(peer->keys[i], key, NODE_KEY_LEN) == 0)
			return true;
	return false;
}

/* Those that name an author get public posts of that one alone. */
static bool asker_follows(void *ctx, const uint8_t *author)
{
	const struct sync_asker *asker = ctx;

	if (asker->author)
		return memcmp(asker->author, author, NODE_KEY_LEN) == 0;
	return social_sync_peer_follows(asker->peer, author);
}

/* The epoch's key that the peer proved to have, or NULL. */
static const uint8_t *proved_key(const struct sync_peer *peer, const uint8_t *group, uint64_t epoch)
{
	for (unsigned i = 0; i < peer->proof_cnt; i++)
		if (memcmp(peer->proofs[i].group, group, sizeof(peer->proofs[i].group)) == 0 &&
		    peer->proofs[i].epoch == epoch)
			return peer->proofs[i].key;
	return NULL;
}

/* Into sync->visibility, with the bytes that it borrows in copy. false: it cannot be read now. */
static bool visibility_load(struct sync *sync, const struct post_row *row, struct sync_copy *copy)
{
	const struct sync_parts *parts = &sync->params.parts;

	if (!parts->read(parts->ctx, row->id, copy))
		return false;
	if (social_visibility_parse(copy->visibility.bytes, copy->visibility.len,
				    &sync->visibility) == 0)
		return true;
	parts->release(parts->ctx, copy);
	return false;
}

static bool is_member(const struct sync_peer *peer, const uint8_t *group, uint64_t epoch)
{
	const struct sync_parts *parts = &peer->sync->params.parts;

	for (unsigned i = 0; i < peer->key_cnt; i++)
		if (parts->is_member(parts->ctx, group, epoch, peer->keys[i]))
			return true;
	return false;
}

/* --- rules --- */

/* Of sync->visibility: a holder without the group's state knows its key by what the author signed. */
static bool asker_is_member(void *ctx, const uint8_t *group, uint64_t epoch)
{
	const struct sync_asker *asker = ctx;
	const uint8_t *key = proved_key(asker->peer, group, epoch);

	return is_member(asker->peer, group, epoch) ||
	       (key && memcmp(asker->peer->sync->visibility.group.key, key, NODE_KEY_LEN) == 0);
}

/* The rules themselves, on what the author signed. */
static bool signed_verdict(struct sync *sync, const struct sync_asker *asker,
			   const struct post_row *row)
{
	const struct sync_parts *parts = &sync->params.parts;
	struct post_requester requester = {.follows = asker_follows,
					   .is_member = asker_is_member,
					   .ctx = (void *)(uintptr_t)asker};
	struct sync_copy copy;
	bool may = false;

	if (!visibility_load(sync, row, &copy))
		return false;
	for (unsigned i = 0; i < asker->peer->key_cnt && !may; i++) {
		requester.key = asker->peer->keys[i];
		may = social_may_have(&requester, parts->author(parts->ctx, row),
				      &sync->visibility);
	}
	parts->release(parts->ctx, &copy);
	return may;
}

/* The same, of a set of readers that is in memory. */
static bool audience_has(struct sync *sync, const struct sync_asker *asker,
			 const struct post_row *row)
{
	const struct sync_parts *parts = &sync->params.parts;
	const struct sync_peer *peer = asker->peer;
	struct sync_readers readers;

	for (unsigned i = 0; i < peer->key_cnt; i++) {
		if (parts->readers(parts->ctx, row, peer->keys[i], &readers) < 0)
			return false;
		if (readers.kind == VISIBILITY_GROUP)
			return is_member(peer, readers.group, readers.epoch) ||
			       (proved_key(peer, readers.group, readers.epoch) &&
				signed_verdict(sync, asker, row));
		if (readers.kind == VISIBILITY_RECIPIENTS && readers.is_reader)
			return true;
	}
	return false;
}

static uint32_t author_verdict(struct sync *sync, const struct sync_asker *asker,
			       const struct post_row *row)
{
	const struct sync_parts *parts = &sync->params.parts;
	uint32_t *memo = row->author <= UINT16_MAX ? &sync->memo.authors[row->author] : NULL;
	uint32_t verdict = memo ? memo_read(sync, memo) : 0;
	const uint8_t *author;

	if (verdict)
		return verdict;
	author = parts->author(parts->ctx, row);
	verdict = MEMO_NO;
	if (!asker->author && is_own_key(asker->peer, author))
		verdict = MEMO_YES;
	else if (asker_follows((void *)(uintptr_t)asker, author))
		verdict = MEMO_FOLLOWED;
	return memo ? memo_write(sync, memo, verdict) : verdict;
}

bool social_sync_may_have(struct sync *sync, const struct sync_asker *asker,
			  const struct post_row *row)
{
	uint32_t verdict = author_verdict(sync, asker, row), *memo;

	if (verdict == MEMO_YES)
		return true;
	if (row->audience == SYNC_AUDIENCE_PUBLIC)
		return verdict == MEMO_FOLLOWED;
	if (asker->author)
		return false;
	if (row->audience == SYNC_AUDIENCE_OTHER)
		return signed_verdict(sync, asker, row);
	memo = &sync->memo.audiences[row->audience];
	verdict = memo_read(sync, memo);
	if (!verdict)
		verdict =
			memo_write(sync, memo, audience_has(sync, asker, row) ? MEMO_YES : MEMO_NO);
	return verdict == MEMO_YES;
}

/* --- what waits for its marks --- */

bool social_sync_giving_add(struct sync_giving **giving, const struct sync_peer *peer,
			    const struct post_row *row)
{
	struct sync_giving *made = *giving;

	if (row->audience == SYNC_AUDIENCE_PUBLIC || !peer->sync->params.parts.give)
		return true;
	if (!made) {
		made = calloc(1, sizeof(*made));
		if (!made)
			return false;
		made->sync = peer->sync;
		made->key_cnt = peer->key_cnt;
		memcpy(made->keys, peer->keys, sizeof(made->keys));
		memcpy(made->session, peer->session, sizeof(made->session));
		*giving = made;
	}
	if (made->cnt == SYNC_GIVE_MAX)
		return false;
	memcpy(made->ids[made->cnt++], row->id, POST_ID_LEN);
	return true;
}

/* The mark of the next key; behind the last one it is over. */
static void give_next(void *arg, int err)
{
	struct sync_giving *giving = arg;
	const struct sync_parts *parts = &giving->sync->params.parts;
	const struct sync_give give = {.person = giving->keys[giving->key_at],
				       .posts = giving->ids,
				       .post_cnt = giving->cnt,
				       .done = give_next,
				       .arg = giving};

	if (err == 0 && giving->key_at < giving->key_cnt && !giving->sync->is_stopped) {
		giving->key_at++;
		err = parts->give(parts->ctx, &give);
		if (err == 0)
			return;
	}
	list_unlink(&giving->link);
	giving->done(giving, err);
}

void social_sync_give(struct sync_giving *giving)
{
	list_push_back(&giving->sync->givings, &giving->link);
	give_next(giving, 0);
}

/* What was asked for is looked at again: readers may be fewer since the page was made. */
bool social_sync_lost(struct sync_giving *giving, const struct sync_peer *peer, int err)
{
	struct sync *sync = giving->sync;
	const struct sync_parts *parts = &sync->params.parts;
	const struct sync_asker asker = {.peer = peer};
	unsigned lost_cnt = 0;
	struct post_row row;

	social_sync_question(sync);
	for (unsigned i = 0; i < giving->cnt; i++)
		if (err < 0 || !peer || !parts->row(parts->ctx, giving->ids[i], &row) ||
		    !social_sync_may_have(sync, &asker, &row))
			memmove(giving->ids[lost_cnt++], giving->ids[i], POST_ID_LEN);
	giving->cnt = lost_cnt;
	sync->stats.withheld_cnt += lost_cnt;
	return lost_cnt > 0;
}

bool social_sync_is_lost(const struct sync_giving *giving, const uint8_t *id)
{
	for (unsigned i = 0; i < giving->cnt; i++)
		if (memcmp(giving->ids[i], id, POST_ID_LEN) == 0)
			return true;
	return false;
}

void social_sync_givings_stop(struct sync *sync)
{
	for (struct list_node *node = sync->givings.next; node != &sync->givings;
	     node = node->next) {
		struct sync_giving *giving = container_of(node, struct sync_giving, link);

		if (giving->incoming)
			sync_ops(sync)->answer_error(giving->incoming, MESH_CODE_BUSY,
						     "the node stops", 0);
		giving->incoming = NULL;
	}
}

/* Their marks are called for no more. */
void social_sync_givings_close(struct sync *sync)
{
	struct sync_giving *giving;

	while ((giving = list_first(&sync->givings, struct sync_giving, link))) {
		list_unlink(&giving->link);
		giving->done(giving, WEFT_ECLOSED);
	}
}
