/* SPDX-License-Identifier: Apache-2.0 */
#include "joined_record.h"

#include <string.h>

#include "codec/cbor.h"
#include "community_state.h"
#include "crypto/key_seal.h"
#include "crypto/node_key.h"

#define LAYOUT 1

enum {
	FIELD_LAYOUT,
	FIELD_KEY,
	FIELD_SEED,
	FIELD_NAME,
	FIELD_STRICT,
	FIELD_TOKEN,
	FIELD_JOINED,
	FIELD_LEAVING,
	FIELD_SEEDS,
	FIELD_PARTNERS,
};

static void seeds_write(struct writer *w, const struct community *community)
{
	unsigned named_cnt = 0;

	for (unsigned i = 0; i < community->seed_cnt; i++)
		named_cnt += !community->seeds[i].is_told;
	cbor_write_uint(w, FIELD_SEEDS);
	cbor_write_array(w, named_cnt);
	for (unsigned i = 0; i < community->seed_cnt; i++) {
		if (community->seeds[i].is_told)
			continue;
		cbor_write_array(w, 2);
		cbor_write_bytes(w, community->seeds[i].key, COMMUNITY_KEY_LEN);
		peer_places_write(w, &community->seeds[i].places);
	}
}

static void partners_write(struct writer *w, const struct community *community)
{
	cbor_write_uint(w, FIELD_PARTNERS);
	cbor_write_array(w, community->partner_cnt);
	for (unsigned i = 0; i < community->partner_cnt; i++) {
		const struct community_partner *partner = &community->partners[i];

		cbor_write_array(w, 2);
		cbor_write_bytes(w, partner->key, sizeof(partner->key));
		cbor_write_bytes(w, partner->cursor, partner->cursor_len);
	}
}

static void secret_write(struct writer *w, const struct community *community)
{
	uint8_t seed[KEY_SEAL_LEN_MAX];
	size_t len =
		key_seal_write(community->all->params.seal, node_key_seed(community->secret), seed);

	cbor_field_bytes(w, FIELD_SEED, seed, len);
	explicit_bzero(seed, sizeof(seed));
}

void community_joined_record_write(struct writer *w, const struct community *community)
{
	cbor_write_map(w, 8u + (community->secret != NULL) + (community->token_len > 0));
	cbor_field_uint(w, FIELD_LAYOUT, LAYOUT);
	cbor_field_bytes(w, FIELD_KEY, community->key, sizeof(community->key));
	if (community->secret)
		secret_write(w, community);
	cbor_field_text(w, FIELD_NAME, community->name, strlen(community->name));
	cbor_field_bool(w, FIELD_STRICT, community->roster.is_strict);
	if (community->token_len)
		cbor_field_bytes(w, FIELD_TOKEN, community->token, community->token_len);
	cbor_field_uint(w, FIELD_JOINED, community->joined_s);
	cbor_field_bool(w, FIELD_LEAVING,
			community->phase != COMMUNITY_IN || community->is_leave_asked);
	seeds_write(w, community);
	partners_write(w, community);
}

static void token_read(struct cbor_reader *r, struct community *community)
{
	struct community_token token;
	size_t len;
	const uint8_t *bytes = cbor_read_bytes(r, &len);

	if (!bytes || community_token_parse(bytes, len, &token) < 0) {
		cbor_fail(r);
		return;
	}
	memcpy(community->token, bytes, len);
	community->token_len = len;
	community->token_expires_s = token.expires_s;
}

static void seeds_read(struct cbor_reader *r, struct community *community)
{
	if (cbor_enter_array(r) > COMMUNITY_SEEDS_MAX)
		cbor_fail(r);
	while (cbor_next(r)) {
		struct community_seed *seed = &community->seeds[community->seed_cnt++];

		if (cbor_enter_array(r) != 2 || !cbor_next(r))
			cbor_fail(r);
		cbor_read_fixed(r, seed->key, sizeof(seed->key));
		(void)cbor_next(r);
		peer_places_read(r, &seed->places);
		(void)cbor_next(r);
	}
}

static void partners_read(struct cbor_reader *r, struct community *community)
{
	if (cbor_enter_array(r) > COMMUNITY_PARTNERS_MAX)
		cbor_fail(r);
	while (cbor_next(r)) {
		struct community_partner *partner = &community->partners[community->partner_cnt++];
		const uint8_t *cursor;

		if (cbor_enter_array(r) != 2 || !cbor_next(r))
			cbor_fail(r);
		cbor_read_fixed(r, partner->key, sizeof(partner->key));
		(void)cbor_next(r);
		cursor = cbor_read_bytes(r, &partner->cursor_len);
		if (partner->cursor_len > sizeof(partner->cursor))
			cbor_fail(r);
		else if (cursor)
			memcpy(partner->cursor, cursor, partner->cursor_len);
		(void)cbor_next(r);
	}
}

static int secret_read(struct cbor_reader *r, struct community *community)
{
	const struct key_seal *seal = community->all->params.seal;
	uint8_t seed[NODE_KEY_SEED_LEN];
	size_t len;
	const uint8_t *bytes = cbor_read_bytes(r, &len);
	int err;

	if (!bytes || community->secret)
		return WEFT_EDAMAGED;
	err = key_seal_open(seal, bytes, len, seed);
	if (err == 0)
		err = node_key_from_seed(seed, &community->secret);
	explicit_bzero(seed, sizeof(seed));
	if (key_seal_is_due(seal, len))
		community_save(community);
	return err;
}

static int field_read(struct cbor_reader *r, uint64_t key, struct community *community)
{
	switch (key) {
	case FIELD_LAYOUT:
		return cbor_read_uint(r) == LAYOUT ? 0 : WEFT_ENEWER;
	case FIELD_KEY:
		cbor_read_fixed(r, community->key, sizeof(community->key));
		return 0;
	case FIELD_SEED:
		return secret_read(r, community);
	case FIELD_NAME:
		cbor_read_text_copy(r, community->name, sizeof(community->name));
		return 0;
	case FIELD_STRICT:
		community->roster.is_strict = cbor_read_bool(r);
		return 0;
	case FIELD_TOKEN:
		token_read(r, community);
		return 0;
	case FIELD_JOINED:
		community->joined_s = cbor_read_uint(r);
		return 0;
	case FIELD_LEAVING:
		community->phase = cbor_read_bool(r) ? COMMUNITY_LEAVING : COMMUNITY_IN;
		return 0;
	case FIELD_SEEDS:
		seeds_read(r, community);
		return 0;
	case FIELD_PARTNERS:
		partners_read(r, community);
		return 0;
	default:
		cbor_skip(r);
		return 0;
	}
}

int community_joined_record_parse(const void *bytes, size_t len, struct community *community)
{
	struct cbor_reader r;
	uint64_t key;
	int err = 0;

	cbor_reader_init(&r, bytes, len);
	cbor_enter_map(&r);
	while (err == 0 && cbor_next_key(&r, &key))
		err = field_read(&r, key, community);
	if (err < 0)
		return err;
	return cbor_reader_finish(&r) < 0 ? WEFT_EDAMAGED : 0;
}

int community_joined_record_brief(const void *bytes, size_t len, struct joined_brief *out_brief)
{
	struct joined_brief brief = {0};
	struct cbor_reader r;
	uint64_t key, layout = 0;

	cbor_reader_init(&r, bytes, len);
	cbor_enter_map(&r);
	while (cbor_next_key(&r, &key)) {
		if (key == FIELD_LAYOUT)
			layout = cbor_read_uint(&r);
		else if (key == FIELD_STRICT)
			brief.is_strict = cbor_read_bool(&r);
		else if (key == FIELD_LEAVING)
			brief.is_leaving = cbor_read_bool(&r);
		else
			cbor_skip(&r);
	}
	if (cbor_reader_finish(&r) < 0)
		return WEFT_EDAMAGED;
	if (layout != LAYOUT)
		return WEFT_ENEWER;
	*out_brief = brief;
	return 0;
}
