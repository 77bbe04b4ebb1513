/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The six records, written and read. Each body is a map of fields in order. A reader skips
 * fields it does not know, and refuses a body that lacks one it needs.
 */
#include "community_record.h"

#include <stdlib.h>
#include <string.h>

#include "codec/cbor_fields.h"
#include "codec/text/utf8.h"
#include "crypto/node_key.h"
#include "crypto/sha256.h"
#include "crypto/signed.h"

_Static_assert(COMMUNITY_ID_LEN == SHA256_HASH_LEN && COMMUNITY_KEY_LEN == NODE_KEY_LEN,
	       "ids are hashes of keys");

/* A signed object whose body is a map of fields. */
struct format {
	const char *tag;
	size_t len_max; /* wrapper included */
	struct cbor_table table;
};

static const struct cbor_field token_fields[] = {
	{0, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct community_token, id)},
	{1, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct community_token, member)},
	{2, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct community_token, issued_s),
	 .max = INT64_MAX},
	{3, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct community_token, expires_s),
	 .max = INT64_MAX},
};
static const struct format token_format = {
	"commtoken", COMMUNITY_TOKEN_LEN_MAX, {CBOR_FIELDS(token_fields)}};

static const struct cbor_field member_fields[] = {
	{0, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct community_member, id)},
	{1, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct community_member, seq)},
	/* 0 left, 1 joined. */
	{2, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct community_member, is_joined), .max = 1},
	{3, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct community_member, time_s),
	 .max = INT64_MAX},
	{4, CBOR_FIELD_PLACES, CBOR_NEEDED, CBOR_AT(struct community_member, places)},
	{5, CBOR_FIELD_BYTES, CBOR_OPTIONAL, CBOR_AT(struct community_member, token),
	 CBOR_LEN(struct community_member, token_len)},
};
static const struct format member_format = {
	"commmember", COMMUNITY_MEMBER_LEN_MAX, {CBOR_FIELDS(member_fields)}};

static const struct cbor_field binding_fields[] = {
	{0, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct community_binding, id)},
	{1, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct community_binding, share_id)},
	{2, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct community_binding, seq)},
	/* 0 ended, 1 bound. */
	{3, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct community_binding, is_bound), .max = 1},
	{4, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct community_binding, manifest_id)},
	{5, CBOR_FIELD_SPAN, CBOR_NEEDED, CBOR_AT(struct community_binding, title),
	 CBOR_LEN(struct community_binding, title_len), .max = COMMUNITY_TITLE_LEN_MAX},
	{6, CBOR_FIELD_SPAN, CBOR_NEEDED, CBOR_AT(struct community_binding, text),
	 CBOR_LEN(struct community_binding, text_len), .max = COMMUNITY_TEXT_LEN_MAX},
	{7, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct community_binding, item_cnt),
	 .max = INT64_MAX},
	{8, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct community_binding, byte_cnt),
	 .max = INT64_MAX},
};
static const struct format binding_format = {
	"commbind", COMMUNITY_BINDING_LEN_MAX, {CBOR_FIELDS(binding_fields)}};

static const struct cbor_field share_fields[] = {
	{0, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct community_share, id)},
	{1, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct community_share, seq)},
	{2, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct community_share, time_s),
	 .max = INT64_MAX},
	{3, CBOR_FIELD_BYTES, CBOR_NEEDED, CBOR_AT(struct community_share, binding_bytes),
	 CBOR_LEN(struct community_share, binding_len)},
};
static const struct format share_format = {
	"commshare", COMMUNITY_SHARE_LEN_MAX, {CBOR_FIELDS(share_fields)}};

/* Keys ascend, so that none is there twice. */
static void samples_read(struct cbor_reader *r, void *of)
{
	struct community_hint *hint = of;

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

static void samples_write(struct writer *w, const void *of)
{
	const struct community_hint *hint = of;

	cbor_write_array(w, hint->sample_cnt);
	for (unsigned i = 0; i < hint->sample_cnt; i++)
		cbor_write_bytes(w, hint->samples[i], COMMUNITY_KEY_LEN);
}

static const struct cbor_field hint_fields[] = {
	{0, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct community_hint, id)},
	{1, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct community_hint, seq)},
	{2, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct community_hint, time_s), .max = INT64_MAX},
	{3, CBOR_FIELD_PLACES, CBOR_NEEDED, CBOR_AT(struct community_hint, places)},
	{4, CBOR_FIELD_CODED, CBOR_NEEDED, .read = samples_read, .write = samples_write},
};
static const struct format hint_format = {
	"commhint", COMMUNITY_HINT_LEN_MAX, {CBOR_FIELDS(hint_fields)}};

static const struct cbor_field revocations_fields[] = {
	{0, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct community_revocations, id)},
	{1, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct community_revocations, epoch)},
	{2, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct community_revocations, time_s),
	 .max = INT64_MAX},
	{3, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct community_revocations, home)},
	{4, CBOR_FIELD_IDS, CBOR_NEEDED, CBOR_IDS(struct community_revocations, expelled),
	 CBOR_LEN(struct community_revocations, expelled_cnt)},
	{5, CBOR_FIELD_FIXED, CBOR_HAS(struct community_revocations, has_commit),
	 CBOR_AT(struct community_revocations, commit)},
};
static const struct format revocations_format = {
	"commroll", COMMUNITY_REVOCATIONS_LEN_MAX, {CBOR_FIELDS(revocations_fields)}};

void community_id_of(const uint8_t key[static COMMUNITY_KEY_LEN],
		     uint8_t out_id[static COMMUNITY_ID_LEN])
{
	sha256(key, COMMUNITY_KEY_LEN, out_id);
}

/* --- writing --- */

static void record_write(struct writer *w, const struct node_key *key, const struct format *format,
			 const void *record)
{
	uint8_t bytes[COMMUNITY_REVOCATIONS_LEN_MAX]; /* the longest */
	struct writer body = writer_of(bytes, format->len_max - SIGNED_OVERHEAD_MAX);

	cbor_fields_write(&body, &format->table, record);
	if (body.bad)
		w->bad = true;
	else
		signed_write(w, key, format->tag, bytes, writer_len(&body));
}

void community_token_write(struct writer *w, const struct node_key *key,
			   const struct community_token *token)
{
	struct community_token own = *token;

	community_id_of(node_key_public(key), own.id);
	record_write(w, key, &token_format, &own);
}

void community_member_write(struct writer *w, const struct node_key *key,
			    const struct community_member *member)
{
	record_write(w, key, &member_format, member);
}

void community_binding_write(struct writer *w, const struct node_key *key,
			     const struct community_binding *binding)
{
	struct community_binding own = *binding;

	if (binding->title_len > COMMUNITY_TITLE_LEN_MAX ||
	    binding->text_len > COMMUNITY_TEXT_LEN_MAX) {
		w->bad = true;
		return;
	}
	community_id_of(node_key_public(key), own.share_id);
	record_write(w, key, &binding_format, &own);
}

void community_share_write(struct writer *w, const struct node_key *key,
			   const struct community_share *share)
{
	record_write(w, key, &share_format, share);
}

void community_hint_write(struct writer *w, const struct node_key *key,
			  const struct community_hint *hint)
{
	if (hint->sample_cnt > COMMUNITY_SAMPLES_MAX)
		w->bad = true;
	else
		record_write(w, key, &hint_format, hint);
}

void community_revocations_write(struct writer *w, const struct node_key *key,
				 const struct community_revocations *revocations)
{
	struct community_revocations own = *revocations;

	if (own.expelled_cnt > COMMUNITY_EXPELLED_MAX) {
		w->bad = true;
		return;
	}
	community_id_of(node_key_public(key), own.id);
	record_write(w, key, &revocations_format, &own);
}

/* --- reading --- */

static int record_parse(const struct format *format, const uint8_t *bytes, size_t len, void *record,
			const uint8_t **out_signer)
{
	struct signed_object object;
	int err;

	if (len > format->len_max)
		return WEFT_ETOOLARGE;
	if ((err = signed_parse(bytes, len, &object)) < 0)
		return err;
	*out_signer = object.signer;
	return cbor_fields_parse(object.body, object.body_len, &format->table, record);
}

/* People are shown these texts: lines that a terminal may print. */
static bool text_is_plain(const char *text, size_t len)
{
	while (len) {
		const char *end = memchr(text, '\n', len);
		size_t line_len = end ? (size_t)(end - text) : len;

		if (!utf8_is_plain(text, line_len))
			return false;
		if (!end)
			break;
		len -= line_len + 1;
		text = end + 1;
	}
	return true;
}

/* Keys ascend, so that none is there twice. */
static bool keys_ascend(const uint8_t (*keys)[COMMUNITY_KEY_LEN], unsigned cnt)
{
	for (unsigned i = 1; i < cnt; i++)
		if (memcmp(keys[i - 1], keys[i], COMMUNITY_KEY_LEN) >= 0)
			return false;
	return true;
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
	const uint8_t *signer;
	int err = record_parse(&token_format, bytes, len, &token, &signer);

	if (err < 0)
		return err;
	if (token.expires_s <= token.issued_s ||
	    token.expires_s - token.issued_s > COMMUNITY_TOKEN_READ_S_MAX)
		return WEFT_EMALFORMED;
	/* Whatever it says, it counts for no longer than one made now. */
	if (token.expires_s - token.issued_s > COMMUNITY_TOKEN_LIFE_S_MAX)
		token.expires_s = token.issued_s + COMMUNITY_TOKEN_LIFE_S_MAX;
	if (!id_is_of(token.id, signer))
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

int community_member_parse(const uint8_t *bytes, size_t len, struct community_member *out_member)
{
	struct community_member member = {0};
	int err = record_parse(&member_format, bytes, len, &member, &member.key);

	if (err < 0 || (err = member_token_check(&member)) < 0)
		return err;
	*out_member = member;
	return 0;
}

int community_binding_parse(const uint8_t *bytes, size_t len, struct community_binding *out_binding)
{
	struct community_binding binding = {0};
	int err = record_parse(&binding_format, bytes, len, &binding, &binding.share_key);

	if (err < 0)
		return err;
	if (!text_is_plain(binding.title, binding.title_len) ||
	    !text_is_plain(binding.text, binding.text_len))
		return WEFT_EMALFORMED;
	if (!id_is_of(binding.share_id, binding.share_key))
		return WEFT_EREFUSED;
	*out_binding = binding;
	return 0;
}

int community_share_parse(const uint8_t *bytes, size_t len, struct community_share *out_share)
{
	struct community_share share = {0};
	int err = record_parse(&share_format, bytes, len, &share, &share.key);

	if (err < 0)
		return err;
	err = community_binding_parse(share.binding_bytes, share.binding_len, &share.binding);
	if (err < 0)
		return err;
	if (memcmp(share.binding.id, share.id, sizeof(share.id)) != 0)
		return WEFT_EREFUSED;
	*out_share = share;
	return 0;
}

int community_hint_parse(const uint8_t *bytes, size_t len, struct community_hint *out_hint)
{
	struct community_hint hint = {0};
	int err = record_parse(&hint_format, bytes, len, &hint, &hint.key);

	if (err < 0)
		return err;
	*out_hint = hint;
	return 0;
}

int community_revocations_parse(const uint8_t *bytes, size_t len,
				struct community_revocations *out_revocations)
{
	const uint8_t *signer;
	int err;

	*out_revocations = (struct community_revocations){0};
	err = record_parse(&revocations_format, bytes, len, out_revocations, &signer);
	if (err < 0)
		return err;
	if (!keys_ascend(out_revocations->expelled, out_revocations->expelled_cnt) ||
	    out_revocations->epoch == 0)
		return WEFT_EMALFORMED;
	return id_is_of(out_revocations->id, signer) ? 0 : WEFT_EREFUSED;
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
	return verify(bytes, len, token_format.tag);
}

int community_member_verify(const uint8_t *bytes, size_t len)
{
	struct community_member member;

	if (community_member_parse(bytes, len, &member) < 0 ||
	    verify(bytes, len, member_format.tag) < 0)
		return WEFT_EDAMAGED;
	return member.token ? community_token_verify(member.token, member.token_len) : 0;
}

int community_binding_verify(const uint8_t *bytes, size_t len)
{
	return verify(bytes, len, binding_format.tag);
}

int community_share_verify(const uint8_t *bytes, size_t len)
{
	struct community_share share;

	if (community_share_parse(bytes, len, &share) < 0 ||
	    verify(bytes, len, share_format.tag) < 0)
		return WEFT_EDAMAGED;
	return community_binding_verify(share.binding_bytes, share.binding_len);
}

int community_hint_verify(const uint8_t *bytes, size_t len)
{
	return verify(bytes, len, hint_format.tag);
}

int community_revocations_verify(const uint8_t *bytes, size_t len)
{
	return verify(bytes, len, revocations_format.tag);
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
	/*
	 * The order of two under one number, the same on all nodes: leaving is final, then time
	 * decides.
	 */
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
