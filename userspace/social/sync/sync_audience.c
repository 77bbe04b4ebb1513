/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which posts a peer may have, fast enough to ask of each of 100,000 in turn: the rules are those of
 * post_filter.h. A question notes the verdict of each author and of each set of readers, so that it
 * looks at most once at either.
 */
#include <stdlib.h>

#include "base/container_of.h"
#include "base/siphash_bytes.h"
#include "crypto/node_key.h"
#include "social/sync/sync_state.h"

/* Verdicts: 0 in a memo is none of this question. One of a peer, and one of this node behind it. */
enum { MEMO_NO = 1, MEMO_FOLLOWED, MEMO_YES, MEMO_HIDDEN, MEMO_BITS = 3 };
#define MEMO_SIDES 2u

/* --- notes of a question --- */

void social_sync_question(struct sync *sync)
{
	if (++sync->memo.number < UINT32_MAX >> MEMO_BITS * MEMO_SIDES)
		return;
	memset(&sync->memo, 0, sizeof(sync->memo));
	sync->memo.number = 1;
}

/* Where the verdict on asker is in a memo. */
static unsigned memo_shift(const struct sync *sync, const struct sync_asker *asker)
{
	return asker->peer == &sync->self ? MEMO_BITS : 0;
}

static uint32_t memo_read(const struct sync *sync, uint32_t memo, unsigned shift)
{
	return memo >> MEMO_BITS * MEMO_SIDES == sync->memo.number
		       ? memo >> shift & ((1u << MEMO_BITS) - 1)
		       : 0;
}

/* The other side's verdict stays. */
static uint32_t memo_write(const struct sync *sync, uint32_t *memo, unsigned shift,
			   uint32_t verdict)
{
	if (*memo >> MEMO_BITS * MEMO_SIDES != sync->memo.number)
		*memo = sync->memo.number << MEMO_BITS * MEMO_SIDES;
	*memo |= verdict << shift;
	return verdict;
}

/* --- what the asker is --- */

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
	unsigned shift = memo_shift(sync, asker);
	uint32_t verdict = memo ? memo_read(sync, *memo, shift) : 0;
	const uint8_t *author;

	if (verdict)
		return verdict;
	author = parts->author(parts->ctx, row);
	verdict = MEMO_NO;
	if (parts->is_hidden && parts->is_hidden(parts->ctx, author, asker->peer->keys[0]))
		verdict = MEMO_HIDDEN;
	else if (!asker->author && social_sync_is_of(asker->peer, author))
		verdict = MEMO_YES;
	else if (asker_follows((void *)(uintptr_t)asker, author))
		verdict = MEMO_FOLLOWED;
	return memo ? memo_write(sync, memo, shift, verdict) : verdict;
}

bool social_sync_may_have(struct sync *sync, const struct sync_asker *asker,
			  const struct post_row *row)
{
	uint32_t verdict = author_verdict(sync, asker, row), *memo;

	if (verdict == MEMO_YES || verdict == MEMO_HIDDEN)
		return verdict == MEMO_YES;
	if (row->audience == SYNC_AUDIENCE_PUBLIC)
		return verdict == MEMO_FOLLOWED;
	if (asker->author)
		return false;
	if (row->audience == SYNC_AUDIENCE_OTHER)
		return signed_verdict(sync, asker, row);
	memo = &sync->memo.audiences[row->audience];
	verdict = memo_read(sync, *memo, memo_shift(sync, asker));
	if (!verdict)
		verdict = memo_write(sync, memo, memo_shift(sync, asker),
				     audience_has(sync, asker, row) ? MEMO_YES : MEMO_NO);
	return verdict == MEMO_YES;
}

/* --- what this node and a peer compare --- */

/* Its follows, personas and groups are said to a peer that it chose, and to no other. */
static void self_read(struct sync *sync, const struct sync_peer *peer)
{
	const struct sync_parts *parts = &sync->params.parts;
	struct sync_peer *self = &sync->self;
	struct sync_group_key keys[SYNC_PROOFS_MAX];
	const struct node_key *persona;
	unsigned cnt;

	self->sync = sync;
	self->key_cnt = 1;
	self->follow_cnt = self->proof_cnt = 0;
	memcpy(self->keys[0], node_key_public(sync->params.ground->key), NODE_KEY_LEN);
	if (!parts->is_chosen(parts->ctx, peer->keys[0]))
		return;
	self->follows = sync->own_follows;
	self->follow_cnt = parts->follows(parts->ctx, sync->own_follows, SYNC_FOLLOWS_MAX);
	while (self->key_cnt < SYNC_PEER_KEYS_MAX &&
	       (persona = parts->persona(parts->ctx, self->key_cnt)))
		memcpy(self->keys[self->key_cnt++], node_key_public(persona), NODE_KEY_LEN);
	cnt = parts->group_keys(parts->ctx, keys);
	for (unsigned i = 0; i < cnt; i++) {
		struct sync_group_proof *proof = &self->proofs[self->proof_cnt++];

		memcpy(proof->group, keys[i].group, sizeof(proof->group));
		memcpy(proof->key, node_key_public(keys[i].key), sizeof(proof->key));
		proof->epoch = keys[i].epoch;
	}
}

static void holding_begin(struct sync *sync, const struct sync_peer *peer)
{
	struct sync_holding *holding = &sync->holding;

	holding->is_chosen = sync->params.parts.is_chosen(sync->params.parts.ctx, peer->keys[0]);
	holding->has = siphash(holding->secret, peer->keys[0], NODE_KEY_LEN) | 1;
	holding->lacks = siphash(holding->secret, peer->session, SYNC_SESSION_LEN) & ~1ull;
}

void social_sync_compare(struct sync *sync, const struct sync_peer *peer)
{
	social_sync_question(sync);
	self_read(sync, peer);
	holding_begin(sync, peer);
}

/* The line of a post, and its word in notes. Each class of peers has lines of its own. */
static uint64_t *holding_line(struct sync *sync, const uint8_t *id, uint64_t *out_word)
{
	struct sync_holding *holding = &sync->holding;
	uint64_t place;

	memcpy(out_word, id, sizeof(*out_word));
	*out_word &= ~1ull;
	place = (*out_word ^ holding->has) * 0x9e3779b97f4a7c15ull >> 32;
	return holding->notes[holding->is_chosen][place % SYNC_NOTE_LINES];
}

/* The note of a post, or NULL. */
static uint64_t *holding_find(struct sync *sync, uint64_t *line, uint64_t word)
{
	const struct sync_holding *holding = &sync->holding;

	for (unsigned i = 0; i < SYNC_LINE_NOTES; i++)
		if (line[i] == (word ^ holding->has) || line[i] == (word ^ holding->lacks))
			return &line[i];
	return NULL;
}

void social_sync_holding_note(struct sync *sync, const uint8_t id[static POST_ID_LEN], bool has)
{
	struct sync_holding *holding = &sync->holding;
	uint64_t word, *line = holding_line(sync, id, &word), *at = holding_find(sync, line, word);

	for (unsigned i = 0; i < SYNC_LINE_NOTES && !at; i++)
		if (!line[i])
			at = &line[i];
	if (!at)
		at = &line[word >> 60 & (SYNC_LINE_NOTES - 1)];
	*at = word ^ (has ? holding->has : holding->lacks);
	holding->is_used[holding->is_chosen] = true;
}

/* A post that the peer lacked and was given is not lacked any more. */
void social_sync_holding_given(struct sync *sync, const struct sync_peer *peer,
			       const struct sync_page *page)
{
	struct sync_holding *holding = &sync->holding;

	holding_begin(sync, peer);
	if (!holding->is_used[holding->is_chosen])
		return;
	for (unsigned i = 0; i < page->post_cnt; i++) {
		uint64_t word, *line = holding_line(sync, page->posts[i].id, &word);
		uint64_t *at = holding_find(sync, line, word);

		if (at)
			*at = word ^ holding->has;
	}
}

bool social_sync_compares(struct sync *sync, const struct sync_peer *peer,
			  const struct post_row *row)
{
	const struct sync_holding *holding = &sync->holding;
	const struct sync_asker self = {.peer = &sync->self}, other = {.peer = peer};
	uint64_t word, *line, *at;

	if (!social_sync_may_have(sync, &self, row))
		return false;
	if (holding->is_used[holding->is_chosen]) {
		line = holding_line(sync, row->id, &word);
		at = holding_find(sync, line, word);
		if (at)
			return *at == (word ^ holding->has);
	}
	return social_sync_may_have(sync, &other, row);
}

bool social_sync_may_give(struct sync *sync, const uint8_t key[static MESH_KEY_LEN],
			  const uint8_t id[static POST_ID_LEN])
{
	const struct sync_parts *parts = &sync->params.parts;
	const struct sync_asker asker = {.peer = social_sync_peer_find(sync, key)};
	struct post_row row;

	if (parts->is_blocked(parts->ctx, key) || !parts->row(parts->ctx, id, &row))
		return false;
	if (row.audience == SYNC_AUDIENCE_PUBLIC)
		return true;
	if (!asker.peer)
		return false;
	social_sync_question(sync);
	return social_sync_may_have(sync, &asker, &row);
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
