/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The six records, written and read. Each body is a map of fields in order; whoever
 * reads skips fields it does not know, and refuses what lacks one it needs.
 */
#include "community_record.h"

#include <stdlib.h>
#include <string.h>

#include "codec/cbor.h"
#include "codec/utf8.h"
#include "crypto/node_key.h"
#include "crypto/sha256.h"
#include "crypto/signed.h"

#define TAG_TOKEN	"commtoken"
#define TAG_MEMBER	"commmember"
#define TAG_BINDING	"commbind"
#define TAG_SHARE	"commshare"
#define TAG_HINT	"commhint"
#define TAG_REVOCATIONS "commroll"

_Static_assert(COMMUNITY_ID_LEN == SHA256_HASH_LEN && COMMUNITY_KEY_LEN == NODE_KEY_LEN,
	       "ids are hashes of keys");

enum { TOKEN_ID, TOKEN_MEMBER, TOKEN_ISSUED, TOKEN_EXPIRES };
enum { MEMBER_ID, MEMBER_SEQ, MEMBER_STATE, MEMBER_TIME, MEMBER_ADDRS, MEMBER_TOKEN };
enum {
	BINDING_ID,
	BINDING_SHARE,
	BINDING_SEQ,
	BINDING_STATE,
	BINDING_MANIFEST,
	BINDING_TITLE,
	BINDING_TEXT,
	BINDING_ITEMS,
	BINDING_BYTES,
};
enum { SHARE_ID, SHARE_SEQ, SHARE_TIME, SHARE_BINDING };
enum { HINT_ID, HINT_SEQ, HINT_TIME, HINT_ADDRS, HINT_SAMPLES };
enum {
	REVOCATIONS_ID,
	REVOCATIONS_EPOCH,
	REVOCATIONS_TIME,
	REVOCATIONS_HOME,
	REVOCATIONS_EXPELLED,
	REVOCATIONS_COMMIT
};

/* Of a member: 0 left, 1 joined; of a binding: 0 ended, 1 bound. */
#define STATE_MAX 1

void community_id_of(const uint8_t key[static COMMUNITY_KEY_LEN],
		     uint8_t out_id[static COMMUNITY_ID_LEN])
{
	sha256(key, COMMUNITY_KEY_LEN, out_id);
}

/* --- writing --- */

static void body_sign(struct writer *w, const struct node_key *key, const char *tag,
		      const struct writer *body)
{
	if (body->bad)
		w->bad = true;
	else
		signed_write(w, key, tag, body->start, writer_len(body));
}

void community_token_write(struct writer *w, const struct node_key *key,
			   const struct community_token *token)
{
	uint8_t bytes[COMMUNITY_TOKEN_LEN_MAX - SIGNED_OVERHEAD_MAX], id[COMMUNITY_ID_LEN];
	struct writer body = writer_of(bytes, sizeof(bytes));

	community_id_of(node_key_public(key), id);
	cbor_write_map(&body, 4);
	cbor_field_bytes(&body, TOKEN_ID, id, sizeof(id));
	cbor_field_bytes(&body, TOKEN_MEMBER, token->member, sizeof(token->member));
	cbor_field_uint(&body, TOKEN_ISSUED, token->issued_s);
	cbor_field_uint(&body, TOKEN_EXPIRES, token->expires_s);
	body_sign(w, key, TAG_TOKEN, &body);
}

void community_member_write(struct writer *w, const struct node_key *key,
			    const struct community_member *member)
{
	uint8_t bytes[COMMUNITY_MEMBER_LEN_MAX - SIGNED_OVERHEAD_MAX];
	struct writer body = writer_of(bytes, sizeof(bytes));

	cbor_write_map(&body, member->token ? 6 : 5);
	cbor_field_bytes(&body, MEMBER_ID, member->id, sizeof(member->id));
	cbor_field_uint(&body, MEMBER_SEQ, member->seq);
	cbor_field_uint(&body, MEMBER_STATE, member->is_joined);
	cbor_field_uint(&body, MEMBER_TIME, member->time_s);
	cbor_write_uint(&body, MEMBER_ADDRS);
	peer_addrs_write(&body, member->addrs, member->addr_cnt);
	if (member->token)
		cbor_field_bytes(&body, MEMBER_TOKEN, member->token, member->token_len);
	body_sign(w, key, TAG_MEMBER, &body);
}

void community_binding_write(struct writer *w, const struct node_key *key,
			     const struct community_binding *binding)
{
	uint8_t bytes[COMMUNITY_BINDING_LEN_MAX - SIGNED_OVERHEAD_MAX], id[COMMUNITY_ID_LEN];
	struct writer body = writer_of(bytes, sizeof(bytes));

	if (binding->title_len > COMMUNITY_TITLE_LEN_MAX ||
	    binding->text_len > COMMUNITY_TEXT_LEN_MAX)
		body.bad = true;
	community_id_of(node_key_public(key), id);
	cbor_write_map(&body, 9);
	cbor_field_bytes(&body, BINDING_ID, binding->id, sizeof(binding->id));
	cbor_field_bytes(&body, BINDING_SHARE, id, sizeof(id));
	cbor_field_uint(&body, BINDING_SEQ, binding->seq);
	cbor_field_uint(&body, BINDING_STATE, binding->is_bound);
	cbor_field_bytes(&body, BINDING_MANIFEST, binding->manifest_id,
			 sizeof(binding->manifest_id));
	cbor_field_text(&body, BINDING_TITLE, binding->title, binding->title_len);
	cbor_field_text(&body, BINDING_TEXT, binding->text, binding->text_len);
	cbor_field_uint(&body, BINDING_ITEMS, binding->item_cnt);
	cbor_field_uint(&body, BINDING_BYTES, binding->byte_cnt);
	body_sign(w, key, TAG_BINDING, &body);
}

void community_share_write(struct writer *w, const struct node_key *key,
			   const struct community_share *share)
{
	uint8_t bytes[COMMUNITY_SHARE_LEN_MAX - SIGNED_OVERHEAD_MAX];
	struct writer body = writer_of(bytes, sizeof(bytes));

	cbor_write_map(&body, 4);
	cbor_field_bytes(&body, SHARE_ID, share->id, sizeof(share->id));
	cbor_field_uint(&body, SHARE_SEQ, share->seq);
	cbor_field_uint(&body, SHARE_TIME, share->time_s);
	cbor_field_bytes(&body, SHARE_BINDING, share->binding_bytes, share->binding_len);
	body_sign(w, key, TAG_SHARE, &body);
}

void community_hint_write(struct writer *w, const struct node_key *key,
			  const struct community_hint *hint)
{
	uint8_t bytes[COMMUNITY_HINT_LEN_MAX - SIGNED_OVERHEAD_MAX];
	struct writer body = writer_of(bytes, sizeof(bytes));

	if (hint->sample_cnt > COMMUNITY_SAMPLES_MAX) {
		w->bad = true;
		return;
	}
	cbor_write_map(&body, 5);
	cbor_field_bytes(&body, HINT_ID, hint->id, sizeof(hint->id));
	cbor_field_uint(&body, HINT_SEQ, hint->seq);
	cbor_field_uint(&body, HINT_TIME, hint->time_s);
	cbor_write_uint(&body, HINT_ADDRS);
	peer_addrs_write(&body, hint->addrs, hint->addr_cnt);
	cbor_write_uint(&body, HINT_SAMPLES);
	cbor_write_array(&body, hint->sample_cnt);
	for (unsigned i = 0; i < hint->sample_cnt; i++)
		cbor_write_bytes(&body, hint->samples[i], COMMUNITY_KEY_LEN);
	body_sign(w, key, TAG_HINT, &body);
}

void community_revocations_write(struct writer *w, const struct node_key *key,
				 const struct community_revocations *revocations)
{
	uint8_t bytes[COMMUNITY_REVOCATIONS_LEN_MAX - SIGNED_OVERHEAD_MAX], id[COMMUNITY_ID_LEN];
	struct writer body = writer_of(bytes, sizeof(bytes));

	if (revocations->expelled_cnt > COMMUNITY_EXPELLED_MAX) {
		w->bad = true;
		return;
	}
	community_id_of(node_key_public(key), id);
	cbor_write_map(&body, revocations->has_commit ? 6 : 5);
	cbor_field_bytes(&body, REVOCATIONS_ID, id, sizeof(id));
	cbor_field_uint(&body, REVOCATIONS_EPOCH, revocations->epoch);
	cbor_field_uint(&body, REVOCATIONS_TIME, revocations->time_s);
	cbor_field_bytes(&body, REVOCATIONS_HOME, revocations->home, sizeof(revocations->home));
	cbor_write_uint(&body, REVOCATIONS_EXPELLED);
	cbor_write_array(&body, revocations->expelled_cnt);
	for (unsigned i = 0; i < revocations->expelled_cnt; i++)
		cbor_write_bytes(&body, revocations->expelled[i], sizeof(revocations->expelled[i]));
	if (revocations->has_commit)
		cbor_field_bytes(&body, REVOCATIONS_COMMIT, revocations->commit,
				 sizeof(revocations->commit));
	body_sign(w, key, TAG_REVOCATIONS, &body);
}

/* --- reading --- */

/* A body under way. */
struct body {
	struct cbor_reader r;
	const uint8_t *signer;
};

static int body_open(struct body *body, const uint8_t *bytes, size_t len, size_t len_max)
{
	struct signed_object object;
	int err;

	if (len > len_max)
		return WEFT_ETOOLARGE;
	if ((err = signed_parse(bytes, len, &object)) < 0)
		return err;
	body->signer = object.signer;
	cbor_reader_init(&body->r, object.body, object.body_len);
	cbor_enter_map(&body->r);
	return 0;
}

/* The next field; those from field_cnt on are skipped. */
static bool body_next(struct body *body, unsigned field_cnt, unsigned *out_field)
{
	uint64_t key;

	while (cbor_next_key(&body->r, &key)) {
		if (key < field_cnt) {
			*out_field = (unsigned)key;
			return true;
		}
		cbor_skip(&body->r);
	}
	return false;
}

/* The first needed_cnt fields have to be there. */
static int body_close(struct body *body, unsigned needed_cnt)
{
	return cbor_reader_finish_with(&body->r, CBOR_KEY(needed_cnt) - 1);
}

/* Text of at most len_max bytes, which people are shown: lines that a terminal may print. */
static const char *text_read(struct cbor_reader *r, size_t len_max, size_t *out_len)
{
	const char *text = cbor_read_text(r, out_len), *line = text, *end;
	size_t left = *out_len;

	if (*out_len > len_max)
		cbor_fail(r);
	while (!cbor_is_bad(r) && left) {
		end = memchr(line, '\n', left);
		if (!utf8_is_plain(line, end ? (size_t)(end - line) : left))
			cbor_fail(r);
		if (!end)
			break;
		left -= (size_t)(end + 1 - line);
		line = end + 1;
	}
	return text;
}

static bool id_is_of(const uint8_t *id, const uint8_t *key)
{
	uint8_t of[COMMUNITY_ID_LEN];

	community_id_of(key, of);
	return memcmp(of, id, sizeof(of)) == 0;
}

int community_token_parse(const uint8_t *bytes, size_t len, struct community_token *out_token)
{
	struct community_token token = {0};
	struct body body;
	unsigned field;
	int err = body_open(&body, bytes, len, COMMUNITY_TOKEN_LEN_MAX);

	if (err < 0)
		return err;
	while (body_next(&body, 4, &field)) {
		if (field == TOKEN_ID)
			cbor_read_fixed(&body.r, token.id, sizeof(token.id));
		else if (field == TOKEN_MEMBER)
			cbor_read_fixed(&body.r, token.member, sizeof(token.member));
		else if (field == TOKEN_ISSUED)
			token.issued_s = cbor_read_uint_max(&body.r, INT64_MAX);
		else
			token.expires_s = cbor_read_uint_max(&body.r, INT64_MAX);
	}
	if ((err = body_close(&body, 4)) < 0)
		return err;
	if (token.expires_s <= token.issued_s ||
	    token.expires_s - token.issued_s > COMMUNITY_TOKEN_READ_S_MAX)
		return WEFT_EMALFORMED;
	/* Whatever it says, it counts for no longer than one made now. */
	if (token.expires_s - token.issued_s > COMMUNITY_TOKEN_LIFE_S_MAX)
		token.expires_s = token.issued_s + COMMUNITY_TOKEN_LIFE_S_MAX;
	if (!id_is_of(token.id, body.signer))
		return WEFT_EREFUSED;
	*out_token = token;
	return 0;
}

static int member_token_check(const struct community_member *member)
{
	struct community_token token;
	int err;

	if (!member->token)
		return 0;
	if ((err = community_token_parse(member->token, member->token_len, &token)) < 0)
		return err;
	return memcmp(token.id, member->id, sizeof(token.id)) == 0 &&
			       memcmp(token.member, member->key, sizeof(token.member)) == 0
		       ? 0
		       : WEFT_EREFUSED;
}

static void member_field_read(struct cbor_reader *r, unsigned field,
			      struct community_member *member)
{
	switch (field) {
	case MEMBER_ID:
		cbor_read_fixed(r, member->id, sizeof(member->id));
		break;
	case MEMBER_SEQ:
		member->seq = cbor_read_uint(r);
		break;
	case MEMBER_STATE:
		member->is_joined = cbor_read_uint_max(r, STATE_MAX);
		break;
	case MEMBER_TIME:
		member->time_s = cbor_read_uint_max(r, INT64_MAX);
		break;
	case MEMBER_ADDRS:
		member->addr_cnt = peer_addrs_read(r, member->addrs);
		break;
	default:
		member->token = cbor_read_bytes(r, &member->token_len);
	}
}

int community_member_parse(const uint8_t *bytes, size_t len, struct community_member *out_member)
{
	struct community_member member = {0};
	struct body body;
	unsigned field;
	int err = body_open(&body, bytes, len, COMMUNITY_MEMBER_LEN_MAX);

	if (err < 0)
		return err;
	while (body_next(&body, 6, &field))
		member_field_read(&body.r, field, &member);
	if ((err = body_close(&body, 5)) < 0)
		return err;
	member.key = body.signer;
	if ((err = member_token_check(&member)) < 0)
		return err;
	*out_member = member;
	return 0;
}

static void binding_field_read(struct cbor_reader *r, unsigned field,
			       struct community_binding *binding)
{
	switch (field) {
	case BINDING_ID:
		cbor_read_fixed(r, binding->id, sizeof(binding->id));
		break;
	case BINDING_SHARE:
		cbor_read_fixed(r, binding->share_id, sizeof(binding->share_id));
		break;
	case BINDING_SEQ:
		binding->seq = cbor_read_uint(r);
		break;
	case BINDING_STATE:
		binding->is_bound = cbor_read_uint_max(r, STATE_MAX);
		break;
	case BINDING_MANIFEST:
		cbor_read_fixed(r, binding->manifest_id, sizeof(binding->manifest_id));
		break;
	case BINDING_TITLE:
		binding->title = text_read(r, COMMUNITY_TITLE_LEN_MAX, &binding->title_len);
		break;
	case BINDING_TEXT:
		binding->text = text_read(r, COMMUNITY_TEXT_LEN_MAX, &binding->text_len);
		break;
	case BINDING_ITEMS:
		binding->item_cnt = cbor_read_uint_max(r, INT64_MAX);
		break;
	default:
		binding->byte_cnt = cbor_read_uint_max(r, INT64_MAX);
	}
}

int community_binding_parse(const uint8_t *bytes, size_t len, struct community_binding *out_binding)
{
	struct community_binding binding = {0};
	struct body body;
	unsigned field;
	int err = body_open(&body, bytes, len, COMMUNITY_BINDING_LEN_MAX);

	if (err < 0)
		return err;
	while (body_next(&body, 9, &field))
		binding_field_read(&body.r, field, &binding);
	if ((err = body_close(&body, 9)) < 0)
		return err;
	binding.share_key = body.signer;
	if (!id_is_of(binding.share_id, binding.share_key))
		return WEFT_EREFUSED;
	*out_binding = binding;
	return 0;
}

int community_share_parse(const uint8_t *bytes, size_t len, struct community_share *out_share)
{
	struct community_share share = {0};
	struct body body;
	unsigned field;
	int err = body_open(&body, bytes, len, COMMUNITY_SHARE_LEN_MAX);

	if (err < 0)
		return err;
	while (body_next(&body, 4, &field)) {
		if (field == SHARE_ID)
			cbor_read_fixed(&body.r, share.id, sizeof(share.id));
		else if (field == SHARE_SEQ)
			share.seq = cbor_read_uint(&body.r);
		else if (field == SHARE_TIME)
			share.time_s = cbor_read_uint_max(&body.r, INT64_MAX);
		else
			share.binding_bytes = cbor_read_bytes(&body.r, &share.binding_len);
	}
	if ((err = body_close(&body, 4)) < 0)
		return err;
	share.key = body.signer;
	err = community_binding_parse(share.binding_bytes, share.binding_len, &share.binding);
	if (err < 0)
		return err;
	if (memcmp(share.binding.id, share.id, sizeof(share.id)) != 0)
		return WEFT_EREFUSED;
	*out_share = share;
	return 0;
}

static void samples_read(struct cbor_reader *r, struct community_hint *hint)
{
	if (cbor_enter_array(r) > COMMUNITY_SAMPLES_MAX)
		cbor_fail(r);
	while (cbor_next(r)) {
		const uint8_t *key = cbor_read_exactly(r, COMMUNITY_KEY_LEN);

		if (!key || (hint->sample_cnt && memcmp(hint->samples[hint->sample_cnt - 1], key,
							COMMUNITY_KEY_LEN) >= 0)) {
			cbor_fail(r);
			return;
		}
		hint->samples[hint->sample_cnt++] = key;
	}
}

int community_hint_parse(const uint8_t *bytes, size_t len, struct community_hint *out_hint)
{
	struct community_hint hint = {0};
	struct body body;
	unsigned field;
	int err = body_open(&body, bytes, len, COMMUNITY_HINT_LEN_MAX);

	if (err < 0)
		return err;
	while (body_next(&body, 5, &field)) {
		if (field == HINT_ID)
			cbor_read_fixed(&body.r, hint.id, sizeof(hint.id));
		else if (field == HINT_SEQ)
			hint.seq = cbor_read_uint(&body.r);
		else if (field == HINT_TIME)
			hint.time_s = cbor_read_uint_max(&body.r, INT64_MAX);
		else if (field == HINT_ADDRS)
			hint.addr_cnt = peer_addrs_read(&body.r, hint.addrs);
		else
			samples_read(&body.r, &hint);
	}
	if ((err = body_close(&body, 5)) < 0)
		return err;
	hint.key = body.signer;
	*out_hint = hint;
	return 0;
}

/* Keys ascend, so that none is there twice. */
static void expelled_read(struct cbor_reader *r, struct community_revocations *revocations)
{
	if (cbor_enter_array(r) > COMMUNITY_EXPELLED_MAX)
		cbor_fail(r);
	while (cbor_next(r)) {
		uint8_t *key = revocations->expelled[revocations->expelled_cnt++];

		cbor_read_fixed(r, key, COMMUNITY_KEY_LEN);
		if (revocations->expelled_cnt > 1 &&
		    memcmp(key - COMMUNITY_KEY_LEN, key, COMMUNITY_KEY_LEN) >= 0)
			cbor_fail(r);
	}
}

static void revocations_field_read(struct cbor_reader *r, unsigned field,
				   struct community_revocations *revocations)
{
	switch (field) {
	case REVOCATIONS_ID:
		cbor_read_fixed(r, revocations->id, sizeof(revocations->id));
		break;
	case REVOCATIONS_EPOCH:
		revocations->epoch = cbor_read_uint(r);
		break;
	case REVOCATIONS_TIME:
		revocations->time_s = cbor_read_uint_max(r, INT64_MAX);
		break;
	case REVOCATIONS_HOME:
		cbor_read_fixed(r, revocations->home, sizeof(revocations->home));
		break;
	case REVOCATIONS_EXPELLED:
		expelled_read(r, revocations);
		break;
	default:
		cbor_read_fixed(r, revocations->commit, sizeof(revocations->commit));
		revocations->has_commit = true;
	}
}

int community_revocations_parse(const uint8_t *bytes, size_t len,
				struct community_revocations *out_revocations)
{
	struct body body;
	unsigned field;
	int err = body_open(&body, bytes, len, COMMUNITY_REVOCATIONS_LEN_MAX);

	if (err < 0)
		return err;
	*out_revocations = (struct community_revocations){0};
	while (body_next(&body, 6, &field))
		revocations_field_read(&body.r, field, out_revocations);
	if ((err = body_close(&body, 5)) < 0)
		return err;
	if (out_revocations->epoch == 0)
		return WEFT_EMALFORMED;
	return id_is_of(out_revocations->id, body.signer) ? 0 : WEFT_EREFUSED;
}

static int key_compare(const void *a, const void *b)
{
	return memcmp(a, b, COMMUNITY_KEY_LEN);
}

bool community_revocations_has(const struct community_revocations *revocations,
			       const uint8_t key[static COMMUNITY_KEY_LEN])
{
	return revocations->expelled_cnt &&
	       bsearch(key, revocations->expelled, revocations->expelled_cnt, COMMUNITY_KEY_LEN,
		       key_compare) != NULL;
}

/* --- signatures --- */

static int verify(const uint8_t *bytes, size_t len, const char *tag)
{
	struct signed_object object;

	return signed_parse(bytes, len, &object) < 0 ? WEFT_EDAMAGED : signed_verify(&object, tag);
}

int community_token_verify(const uint8_t *bytes, size_t len)
{
	return verify(bytes, len, TAG_TOKEN);
}

int community_member_verify(const uint8_t *bytes, size_t len)
{
	struct community_member member;

	if (community_member_parse(bytes, len, &member) < 0 || verify(bytes, len, TAG_MEMBER) < 0)
		return WEFT_EDAMAGED;
	return member.token ? community_token_verify(member.token, member.token_len) : 0;
}

int community_binding_verify(const uint8_t *bytes, size_t len)
{
	return verify(bytes, len, TAG_BINDING);
}

int community_share_verify(const uint8_t *bytes, size_t len)
{
	struct community_share share;

	if (community_share_parse(bytes, len, &share) < 0 || verify(bytes, len, TAG_SHARE) < 0)
		return WEFT_EDAMAGED;
	return community_binding_verify(share.binding_bytes, share.binding_len);
}

int community_hint_verify(const uint8_t *bytes, size_t len)
{
	return verify(bytes, len, TAG_HINT);
}

int community_revocations_verify(const uint8_t *bytes, size_t len)
{
	return verify(bytes, len, TAG_REVOCATIONS);
}

/* --- order --- */

int community_time_check(uint64_t time_s, uint64_t life_s, uint64_t wall_s)
{
	if (time_s > wall_s + COMMUNITY_SKEW_S)
		return WEFT_EREFUSED;
	return time_s + life_s <= wall_s ? WEFT_ESTALE : 0;
}

bool community_token_is_valid(const struct community_token *token, uint64_t wall_s)
{
	return token->issued_s <= wall_s + COMMUNITY_SKEW_S && wall_s < token->expires_s;
}

bool community_member_is_newer(const struct community_member *a, const struct community_member *b)
{
	if (a->seq != b->seq)
		return a->seq > b->seq;
	/* Of two under one number, on all nodes the same: leaving is final, then time decides. */
	return a->is_joined != b->is_joined ? b->is_joined : a->time_s > b->time_s;
}

bool community_share_is_newer(const struct community_share *a, const struct community_share *b)
{
	int order;

	if (a->binding.seq != b->binding.seq)
		return a->binding.seq > b->binding.seq;
	if (a->binding.is_bound != b->binding.is_bound)
		return b->binding.is_bound;
	/* Several nodes may publish it: the last to say so counts. */
	if (a->time_s != b->time_s)
		return a->time_s > b->time_s;
	order = memcmp(a->key, b->key, COMMUNITY_KEY_LEN);
	return order ? order > 0 : a->seq > b->seq;
}

bool community_revocations_is_newer(const struct community_revocations *a,
				    const struct community_revocations *b)
{
	return a->epoch != b->epoch ? a->epoch > b->epoch : a->time_s > b->time_s;
}
