/* SPDX-License-Identifier: Apache-2.0 */
#include "grant_record.h"

#include <string.h>

#include "codec/cbor_fields.h"
#include "crypto/blake3/blake3.h"
#include "crypto/node_key.h"
#include "crypto/signed.h"
#include "relay/scheme_text.h"

/* Clocks of a holder, an operator and a relay may differ by that. */
#define SKEW_S 300u

#define ID_DOMAIN "relay grant"

_Static_assert(sizeof(((struct relay_grant_record *)0)->holder) == NODE_KEY_LEN, "a node's key");

static const struct cbor_field grant_fields[] = {
	{0, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct relay_grant_record, serial)},
	{1, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct relay_grant_record, holder)},
	{2, CBOR_FIELD_UINT, CBOR_OPTIONAL, CBOR_AT(struct relay_grant_record, per_s),
	 .max = RELAY_GRANT_BYTES_MAX},
	{3, CBOR_FIELD_UINT, CBOR_OPTIONAL, CBOR_AT(struct relay_grant_record, burst_len),
	 .max = RELAY_GRANT_BYTES_MAX},
	{4, CBOR_FIELD_UINT, CBOR_OPTIONAL, CBOR_AT(struct relay_grant_record, month_len),
	 .max = RELAY_GRANT_BYTES_MAX},
	{5, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct relay_grant_record, flow_max),
	 .max = RELAY_GRANT_FLOWS_MAX},
	{6, CBOR_FIELD_FLAG, CBOR_OPTIONAL, CBOR_AT(struct relay_grant_record, is_content)},
	{7, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct relay_grant_record, not_before_s),
	 .max = INT64_MAX},
	{8, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct relay_grant_record, expires_s),
	 .max = INT64_MAX},
	{9, CBOR_FIELD_IDS, CBOR_WHEN(struct relay_grant_record, relay_cnt),
	 CBOR_IDS(struct relay_grant_record, relays),
	 CBOR_LEN(struct relay_grant_record, relay_cnt)},
};
static const struct cbor_table grant_table = {CBOR_FIELDS(grant_fields), .is_closed = true};

static const struct cbor_field set_fields[] = {
	{0, CBOR_FIELD_BYTES, CBOR_NEEDED, CBOR_AT(struct relay_shown, grant_bytes),
	 CBOR_LEN(struct relay_shown, grant_len), .max = RELAY_GRANT_RECORD_LEN_MAX},
	{1, CBOR_FIELD_IDS, CBOR_NEEDED, CBOR_IDS(struct relay_shown, keys),
	 CBOR_LEN(struct relay_shown, key_cnt)},
	{2, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct relay_shown, set_expires_s),
	 .max = INT64_MAX},
};
static const struct cbor_table set_table = {CBOR_FIELDS(set_fields), .is_closed = true};

static void object_write(struct writer *w, const struct node_key *key, const char *tag,
			 const struct cbor_table *table, const void *record)
{
	uint8_t body[RELAY_SHOWN_LEN_MAX];
	struct writer b = writer_of(body, sizeof(body));

	cbor_fields_write(&b, table, record);
	w->bad |= b.bad;
	signed_write(w, key, tag, body, writer_len(&b));
}

void relay_grant_record_write(struct writer *w, const struct node_key *key,
			      struct relay_grant_record *grant)
{
	memcpy(grant->issuer, node_key_public(key), sizeof(grant->issuer));
	object_write(w, key, RELAY_GRANT_TAG, &grant_table, grant);
}

void relay_set_write(struct writer *w, const struct node_key *key, const struct relay_shown *shown)
{
	object_write(w, key, RELAY_SET_TAG, &set_table, shown);
}

/* --- reading --- */

static bool numbers_fit(const struct relay_grant_record *grant)
{
	bool has_rate = grant->per_s > 0;

	return grant->serial > 0 && grant->flow_max > 0 && has_rate == (grant->burst_len > 0) &&
	       (!has_rate || (grant->per_s >= RELAY_GRANT_PER_S_MIN &&
			      grant->burst_len >= RELAY_GRANT_BURST_MIN)) &&
	       grant->expires_s > grant->not_before_s &&
	       grant->expires_s - grant->not_before_s <= RELAY_GRANT_LIFE_S_MAX;
}

static int grant_parse(const void *bytes, size_t len, struct relay_grant_record *grant)
{
	struct signed_object object;
	int err;

	if (len > RELAY_GRANT_RECORD_LEN_MAX)
		return WEFT_ETOOLARGE;
	if ((err = signed_parse(bytes, len, &object)) < 0)
		return err;
	memcpy(grant->issuer, object.signer, sizeof(grant->issuer));
	err = cbor_fields_parse(object.body, object.body_len, &grant_table, grant);
	return err == 0 && !numbers_fit(grant) ? WEFT_EMALFORMED : err;
}

/* A set begins with a grant's bytes, a grant with a number. */
static bool is_set(const struct signed_object *object)
{
	struct cbor_reader r;
	uint64_t key;

	cbor_reader_init(&r, object->body, object->body_len);
	(void)cbor_enter_map(&r);
	return cbor_next_key(&r, &key) && key == 0 && cbor_peek(&r) == CBOR_BYTES;
}

/* The set is the holder's own: another key lends nothing. */
static int set_parse(const struct signed_object *object, struct relay_shown *shown)
{
	int err = cbor_fields_parse(object->body, object->body_len, &set_table, shown);

	if (err == 0)
		err = grant_parse(shown->grant_bytes, shown->grant_len, &shown->grant);
	if (err < 0)
		return err;
	shown->has_set = true;
	return shown->key_cnt == 0 || memcmp(object->signer, shown->grant.holder, NODE_KEY_LEN) != 0
		       ? WEFT_EMALFORMED
		       : 0;
}

int relay_shown_parse(const void *bytes, size_t len, struct relay_shown *out_shown)
{
	struct relay_shown shown = {.grant_bytes = bytes, .grant_len = len};
	struct signed_object object;
	int err;

	shown.bytes = bytes;
	shown.len = len;
	if (len > RELAY_SHOWN_LEN_MAX)
		return WEFT_ETOOLARGE;
	if ((err = signed_parse(bytes, len, &object)) < 0)
		return err;
	err = is_set(&object) ? set_parse(&object, &shown) : grant_parse(bytes, len, &shown.grant);
	if (err == 0)
		*out_shown = shown;
	return err;
}

static int object_verify(const uint8_t *bytes, size_t len, const char *tag)
{
	struct signed_object object;
	int err = signed_parse(bytes, len, &object);

	return err < 0 ? err : signed_verify(&object, tag);
}

int relay_shown_verify(const struct relay_shown *shown)
{
	int err = object_verify(shown->grant_bytes, shown->grant_len, RELAY_GRANT_TAG);

	if (err == 0 && shown->has_set)
		err = object_verify(shown->bytes, shown->len, RELAY_SET_TAG);
	return err;
}

/* --- judging --- */

const char *relay_grant_fault_text(enum relay_grant_fault fault)
{
	static const char *const texts[RELAY_GRANT_FAULT_CNT] = {
		[RELAY_GRANT_FINE] = "the grant is honoured",
		[RELAY_GRANT_MALFORMED] =
			"the grant is malformed: it was cut, or is something else",
		[RELAY_GRANT_FORGED] =
			"a signature of the grant is wrong: it was forged or changed",
		[RELAY_GRANT_NO_OPERATOR] = "the relay honours no grants: it has no relay.operator",
		[RELAY_GRANT_OPERATOR] = "the grant is of another operator than the relay's",
		[RELAY_GRANT_RELAY] = "the grant is for other relays",
		[RELAY_GRANT_HOLDER] =
			"the grant is another key's, and no key set of it names this one",
		[RELAY_GRANT_EARLY] = "the grant is not valid yet",
		[RELAY_GRANT_EXPIRED] = "the grant, or its key set, has expired",
		[RELAY_GRANT_REVOKED] = "the operator revoked the grant",
		[RELAY_GRANT_CONTENT] = "the grant is for control flows alone",
		[RELAY_GRANT_FLOWS] = "all flows of the grant are open",
		[RELAY_GRANT_FULL] = "the relay has no room for another grant",
		[RELAY_GRANT_STORE] = "the relay cannot read the grant's ledger",
	};

	return fault < RELAY_GRANT_FAULT_CNT ? texts[fault] : "unknown";
}

static bool has_key(const uint8_t (*keys)[32], uint32_t cnt, const uint8_t *key)
{
	for (uint32_t i = 0; i < cnt; i++)
		if (memcmp(keys[i], key, sizeof(keys[i])) == 0)
			return true;
	return false;
}

enum relay_grant_fault relay_grant_times_judge(const struct relay_grant_record *grant,
					       uint64_t wall_s)
{
	if (grant->not_before_s > wall_s + SKEW_S)
		return RELAY_GRANT_EARLY;
	return grant->expires_s <= wall_s ? RELAY_GRANT_EXPIRED : RELAY_GRANT_FINE;
}

static bool is_for_user(const struct relay_shown *shown, const uint8_t *user)
{
	return !user || memcmp(shown->grant.holder, user, NODE_KEY_LEN) == 0 ||
	       (shown->has_set && has_key(shown->keys, shown->key_cnt, user));
}

enum relay_grant_fault relay_shown_judge(const struct relay_shown *shown,
					 const struct relay_grant_place *place)
{
	const struct relay_grant_record *grant = &shown->grant;

	if (memcmp(grant->issuer, place->issuer, NODE_KEY_LEN) != 0)
		return RELAY_GRANT_OPERATOR;
	if (place->relay && grant->relay_cnt &&
	    !has_key(grant->relays, grant->relay_cnt, place->relay))
		return RELAY_GRANT_RELAY;
	if (!is_for_user(shown, place->user))
		return RELAY_GRANT_HOLDER;
	if (shown->has_set && shown->set_expires_s <= place->wall_s)
		return RELAY_GRANT_EXPIRED;
	return relay_grant_times_judge(grant, place->wall_s);
}

void relay_grant_id(const struct relay_grant_record *grant, uint8_t id[static 32])
{
	uint8_t name[sizeof(ID_DOMAIN) - 1 + NODE_KEY_LEN + 8];
	struct writer w = writer_of(name, sizeof(name));

	writer_bytes(&w, ID_DOMAIN, sizeof(ID_DOMAIN) - 1);
	writer_bytes(&w, grant->issuer, NODE_KEY_LEN);
	writer_be64(&w, grant->serial);
	blake3_hash(name, writer_len(&w), id);
}

/* --- text --- */

char *relay_grant_text_write(const uint8_t *bytes, size_t len,
			     char text[static RELAY_GRANT_TEXT_CAP])
{
	return relay_scheme_text_write(RELAY_GRANT_SCHEME, bytes, len, text);
}

int relay_grant_text_read(const char *text, uint8_t bytes[static RELAY_SHOWN_LEN_MAX],
			  size_t *out_len)
{
	return relay_scheme_text_read(
		RELAY_GRANT_SCHEME, text,
		&(struct writer){bytes, bytes, bytes + RELAY_SHOWN_LEN_MAX, 0}, out_len);
}
