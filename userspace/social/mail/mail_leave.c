/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Envelopes that go. A message is left at the anchors that its reader's profile names. The anchor counts as
 * a node that was given the post, before the envelope goes. So a revocation counts it, too (revoke/). The outbox of deposits does the rest, and puts again what an anchor lost.
 */
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "crypto/blake3/blake3.h"
#include "social/groups/groups.h"
#include "social/holders/post_holders.h"
#include "social/mail/mail_state.h"
#include "social/people/person_profiles.h"
#include "social/routes/social_search.h"

#define LOOK_NS		 (600 * NS_PER_S) /* what is left at anchors */
#define AGAIN_NS	 (60 * NS_PER_S)  /* no anchor is known, or there was no room */
#define GROUP_S		 (7ull * 24 * 3600)
#define LIFE_S		 (MAIL_LIFE_MS / 1000)
#define PARTS_LEN	 (MAIL_ENVELOPE_LEN_MAX - 64u) /* of a post in an envelope */
#define KIND_WORD	 1u
#define KIND_GROUP	 2u
#define KIND_GONE	 3u
#define DELETION_LEN_MAX POST_CLAIM_LEN_MAX

static uint64_t wall_s(const struct mail *mail)
{
	return social_wall_ms(mail->params.ground) / 1000;
}

/* --- receipts: the same for the same message and reader --- */

static void receipt_of(const struct mail *mail, uint8_t kind, const uint8_t *what,
		       const uint8_t *person, uint8_t out[static MAIL_RECEIPT_LEN])
{
	uint8_t of[1 + BLAKE3_HASH_LEN + NODE_KEY_LEN] = {kind}, hash[BLAKE3_HASH_LEN];

	memcpy(of + 1, what, BLAKE3_HASH_LEN);
	memcpy(of + 1 + BLAKE3_HASH_LEN, person, NODE_KEY_LEN);
	blake3_keyed(mail->secret, of, sizeof(of), hash);
	memcpy(out, hash, MAIL_RECEIPT_LEN);
}

/* --- anchors --- */

static unsigned anchors_of(const struct mail *mail, const uint8_t *key,
			   uint8_t (*out)[NODE_KEY_LEN])
{
	const struct person *person = social_person(mail->params.people, key);
	unsigned cnt = person ? person->anchor_cnt : 0;

	if (cnt > MAIL_ANCHORS_MAX)
		cnt = MAIL_ANCHORS_MAX;
	for (unsigned i = 0; i < cnt; i++)
		memcpy(out[i], person->anchors[i], NODE_KEY_LEN);
	return cnt;
}

void social_mail_note_anchor(struct mail *mail, const uint8_t *anchor, const uint8_t *person,
			     uint64_t now_ns)
{
	const struct social_route_hint hint = {
		.key = anchor, .tier = SOCIAL_TIER_ANCHOR, .introduced_by = person};

	if (!social_route_is_kept(mail->params.routes, anchor))
		(void)!social_route_note(mail->params.routes, &hint, now_ns);
}

static void on_found(void *arg, const struct social_found *found, uint64_t now_ns)
{
	(void)arg, (void)found, (void)now_ns; /* the outbox hears of the session */
}

struct mesh_peer social_mail_peer(struct mail *mail, const uint8_t *store,
				  struct peer_places *out_places, uint64_t now_ns)
{
	const struct social_search_ask ask = {.key = store, .done = on_found, .arg = mail};

	if (!social_mail_has_session(mail, store))
		(void)!social_search(mail->params.searches, &ask, now_ns);
	return social_route_peer(mail->params.routes, store, out_places);
}

/* --- one message --- */

static void on_marked(void *arg, int err)
{
	(void)arg, (void)err; /* its batch is before that of the deposit */
}

/* What is in mail->made goes to anchor. */
static int put_at(struct mail *mail, const struct mail_deposit *deposit, const uint8_t *introducer,
		  uint64_t now_ns)
{
	const struct mail_params *params = &mail->params;
	int err;

	social_mail_note_anchor(mail, deposit->store, introducer, now_ns);
	err = params->boxes.put(params->ground->ctx, deposit, now_ns);
	mail->stats.left_cnt += err == 0;
	mail->stats.refused_cnt += err < 0;
	return err;
}

/* Reads the post into mail->made: its length; 0: row is over; negative: not now, or never. */
static int envelope_make(struct mail *mail, const struct mail_row *row)
{
	struct writer w = writer_of(mail->made, sizeof(mail->made));
	struct visibility *visibility = &mail->visibility;
	struct mail_envelope envelope = {.kind = MAIL_POST};
	struct post_copy *copy;
	int err = social_posts_read(mail->params.posts, row->post, &copy);

	if (err < 0)
		return err == WEFT_EABSENT ? 0 : err;
	envelope.parts = copy->parts;
	err = social_visibility_parse(copy->parts.visibility, copy->parts.visibility_len,
				      visibility);
	if (err == 0 && social_visibility_recipient(visibility, row->person)) {
		social_envelope_write(&w, &envelope);
		err = w.bad ? WEFT_ETOOLARGE : (int)writer_len(&w);
	} else {
		err = 0;
	}
	social_post_copy_free(copy);
	return err;
}

/* Puts row's envelope where it is not; the worst error. */
static int row_put(struct mail *mail, struct mail_row *row, struct mail_deposit *deposit,
		   uint64_t now_ns)
{
	const struct mail_params *params = &mail->params;
	uint8_t anchors[MAIL_ANCHORS_MAX][NODE_KEY_LEN];
	unsigned cnt = anchors_of(mail, row->person, anchors);
	struct holders_give give = {.posts = (const uint8_t(*)[POST_ID_LEN])row->post,
				    .post_cnt = 1,
				    .done = on_marked};
	struct mail_deposit_view view;
	int worst = cnt ? 0 : WEFT_EABSENT;

	for (unsigned i = 0; i < cnt; i++) {
		int err = 0;

		deposit->store = give.person = anchors[i];
		if (!params->boxes.find(params->ground->ctx, deposit, &view)) {
			if ((err = social_holders_give(params->holders, &give)) == 0)
				err = put_at(mail, deposit, row->person, now_ns);
			if (err == 0 && !params->boxes.find(params->ground->ctx, deposit, &view))
				err = WEFT_EBUSY;
		}
		if (err < 0) {
			worst = err;
			continue;
		}
		memcpy(row->id, view.id, sizeof(row->id));
		row->has_id = true;
	}
	return worst;
}

/* An anchor may have the message by now: its reader is to hear that it is taken back. */
static void deletion_leave(struct mail *mail, const struct mail_row *row, uint64_t now_ns)
{
	uint8_t anchors[MAIL_ANCHORS_MAX][NODE_KEY_LEN], receipt[MAIL_RECEIPT_LEN];
	uint8_t deletion[DELETION_LEN_MAX];
	struct writer d = writer_of(deletion, sizeof(deletion));
	struct writer w = writer_of(mail->made, sizeof(mail->made));
	struct mail_envelope envelope = {.kind = MAIL_DELETION, .object = deletion};
	struct mail_deposit deposit = {.recipient = row->person,
				       .receipt = receipt,
				       .bytes = mail->made,
				       .expires_s = wall_s(mail) + LIFE_S};
	unsigned cnt = anchors_of(mail, row->person, anchors);

	if (social_posts_deletion(mail->params.posts, row->post, &d) < 0)
		return;
	envelope.object_len = writer_len(&d);
	social_envelope_write(&w, &envelope);
	deposit.len = writer_len(&w);
	receipt_of(mail, KIND_GONE, row->post, row->person, receipt);
	for (unsigned i = 0; i < cnt && !w.bad; i++) {
		deposit.store = anchors[i];
		(void)put_at(mail, &deposit, row->person, now_ns);
	}
}

/* false: row is not to be left any more, and is gone. */
static bool row_is_open(struct mail *mail, struct mail_row *row, uint64_t now_ns)
{
	struct post_view view;
	int err = social_posts_look(mail->params.posts, row->post, &view);
	bool is_gone = err == WEFT_EABSENT || (err == 0 && (view.flags & POST_SUPERSEDED));
	bool is_over =
		err == 0 && view.time_ms + MAIL_LIFE_MS < social_wall_ms(mail->params.ground);

	if (!is_gone && !is_over && !social_mail_is_given(mail, row->post, row->person))
		return true;
	if (row->has_id && social_posts_known(mail->params.posts, row->post) == POST_GONE)
		deletion_leave(mail, row, now_ns);
	mail->stats.withdrawn_cnt++;
	social_mail_row_drop(mail, row);
	return false;
}

void social_mail_row_run(struct mail *mail, struct mail_row *row, uint64_t now_ns)
{
	uint8_t anchors[MAIL_ANCHORS_MAX][NODE_KEY_LEN], receipt[MAIL_RECEIPT_LEN];
	struct mail_deposit deposit = {.recipient = row->person,
				       .receipt = receipt,
				       .bytes = mail->made,
				       .expires_s = wall_s(mail) + LIFE_S};
	int len, err;

	row->due_ns = now_ns + AGAIN_NS;
	if (row->is_marking || !row_is_open(mail, row, now_ns))
		return;
	if (anchors_of(mail, row->person, anchors) == 0)
		return;
	len = envelope_make(mail, row);
	if (len == 0 || len == WEFT_ETOOLARGE) {
		mail->stats.withdrawn_cnt += len == 0;
		social_mail_row_drop(mail, row);
		return;
	}
	if (len < 0)
		return;
	receipt_of(mail, KIND_WORD, row->post, row->person, receipt);
	deposit.len = (size_t)len;
	err = row_put(mail, row, &deposit, now_ns);
	row->due_ns = now_ns + (err == 0 ? LOOK_NS : AGAIN_NS);
}

/* --- how one does --- */

void social_mail_look(struct mail *mail, const uint8_t post[static POST_ID_LEN],
		      const uint8_t person[static NODE_KEY_LEN], struct mail_view *out_view)
{
	const struct mail_params *params = &mail->params;
	uint8_t anchors[MAIL_ANCHORS_MAX][NODE_KEY_LEN], receipt[MAIL_RECEIPT_LEN];
	unsigned cnt = anchors_of(mail, person, anchors);
	struct mail_deposit deposit = {.recipient = person, .receipt = receipt};
	struct mail_deposit_view view;
	struct post_view of;

	*out_view = (struct mail_view){.state = MAIL_WAITS};
	if (social_mail_is_given(mail, post, person)) {
		out_view->state = MAIL_GIVEN;
		return;
	}
	receipt_of(mail, KIND_WORD, post, person, receipt);
	if (!params->boxes.put)
		out_view->why = "this node leaves nothing at anchors";
	else if (cnt == 0)
		out_view->why = "no anchor of the reader is known here: it waits for a session";
	else if (social_posts_look(params->posts, post, &of) == 0 &&
		 of.post_len + of.claim_len + of.visibility_len > PARTS_LEN)
		out_view->why = "it is too long to be left at anchors: it waits for a session";
	else
		out_view->why = "it is on its way to the reader, or to its anchors";
	for (unsigned i = 0; params->boxes.put && i < cnt; i++) {
		deposit.store = anchors[i];
		if (!params->boxes.find(params->ground->ctx, &deposit, &view))
			continue;
		if (view.is_kept)
			memcpy(out_view->anchors[out_view->anchor_cnt++], anchors[i], NODE_KEY_LEN);
		else if (view.why)
			out_view->why = view.why;
	}
	if (out_view->anchor_cnt > 0)
		out_view->state = MAIL_LEFT;
}

/* --- groups --- */

static void group_receipt(const struct mail *mail, const struct group_word *word,
			  uint8_t out[static MAIL_RECEIPT_LEN])
{
	uint8_t of[32 + 4 + 8], hash[BLAKE3_HASH_LEN];
	struct writer w = writer_of(of, sizeof(of));

	writer_bytes(&w, word->group, 32);
	writer_be32(&w, word->shard);
	writer_be64(&w, word->epoch);
	blake3_hash(of, sizeof(of), hash);
	receipt_of(mail, KIND_GROUP, hash, word->member, out);
}

bool social_mail_may_leave(const struct mail *mail, const uint8_t person[static NODE_KEY_LEN])
{
	uint8_t anchors[MAIL_ANCHORS_MAX][NODE_KEY_LEN];

	return mail->params.boxes.put && anchors_of(mail, person, anchors) > 0;
}

void social_mail_group(struct mail *mail, const struct group_word *word, uint64_t now_ns)
{
	const struct mail_params *params = &mail->params;
	const struct mail_envelope envelope = {
		.kind = word->type == MESH_GROUP_KEY ? MAIL_GROUP_KEY : MAIL_GROUP_REKEY,
		.object = word->bytes,
		.object_len = word->len};
	struct writer w = writer_of(mail->made, sizeof(mail->made));
	uint8_t anchors[MAIL_ANCHORS_MAX][NODE_KEY_LEN], receipt[MAIL_RECEIPT_LEN];
	struct mail_deposit deposit = {.recipient = word->member,
				       .receipt = receipt,
				       .bytes = mail->made,
				       .expires_s = wall_s(mail) + GROUP_S};
	unsigned cnt = anchors_of(mail, word->member, anchors);

	if (mail->is_stopped || !params->boxes.put)
		return;
	social_envelope_write(&w, &envelope);
	deposit.len = writer_len(&w);
	group_receipt(mail, word, receipt);
	for (unsigned i = 0; i < cnt && !w.bad; i++) {
		if (params->boxes.out_cnt(params->ground->ctx) >= MAIL_GROUP_MAX) {
			mail->stats.refused_cnt++;
			return;
		}
		deposit.store = anchors[i];
		(void)put_at(mail, &deposit, word->member, now_ns);
	}
}
