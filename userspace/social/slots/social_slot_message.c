/* SPDX-License-Identifier: Apache-2.0 */
#include "social_slot_message.h"

#include "base/siphash_bytes.h"
#include "codec/cbor_fields.h"

static const struct cbor_field hail_fields[] = {
	{0, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct slot_hail, flags)},
	{1, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct slot_hail, room), .max = SLOT_ROOM_MAX},
	{2, CBOR_FIELD_BYTES, CBOR_OPTIONAL, CBOR_AT(struct slot_hail, record),
	 CBOR_LEN(struct slot_hail, record_len), .min = 1, .max = SLOT_RECORD_LEN_MAX},
};
static const struct cbor_table hail_table = {CBOR_FIELDS(hail_fields)};

static const struct cbor_field redirect_fields[] = {
	{0, CBOR_FIELD_IDS, CBOR_NEEDED, CBOR_IDS(struct slot_redirect, nodes),
	 CBOR_LEN(struct slot_redirect, cnt)},
};
static const struct cbor_table redirect_table = {CBOR_FIELDS(redirect_fields)};

static const struct cbor_field share_fields[] = {
	{0, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct slot_share, version)},
	{1, CBOR_FIELD_IDS, CBOR_NEEDED, CBOR_IDS(struct slot_share, nodes),
	 CBOR_LEN(struct slot_share, cnt)},
	{2, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct slot_share, room), .max = SLOT_ROOM_MAX},
	{3, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct slot_share, flags)},
	{4, CBOR_FIELD_BYTES, CBOR_OPTIONAL, CBOR_AT(struct slot_share, digest.bits),
	 CBOR_LEN(struct slot_share, digest.len), .min = 1, .max = SLOT_DIGEST_LEN_MAX},
	{5, CBOR_FIELD_UINT, CBOR_OPTIONAL, CBOR_AT(struct slot_share, digest.cnt)},
};
static const struct cbor_table share_table = {CBOR_FIELDS(share_fields)};

static const struct cbor_field anchor_fields[] = {
	{0, CBOR_FIELD_EXACT, CBOR_NEEDED, CBOR_AT(struct slot_anchor, key), .max = SLOT_KEY_LEN},
	{1, CBOR_FIELD_BYTES, CBOR_NEEDED, CBOR_AT(struct slot_anchor, record),
	 CBOR_LEN(struct slot_anchor, record_len), .min = 1, .max = SLOT_RECORD_LEN_MAX},
};
static const struct cbor_table anchor_table = {CBOR_FIELDS(anchor_fields)};

static const struct cbor_field diff_fields[] = {
	{0, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct slot_diff, from)},
	{1, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct slot_diff, to)},
	{2, CBOR_FIELD_IDS, CBOR_OPTIONAL, CBOR_IDS(struct slot_diff, added),
	 CBOR_LEN(struct slot_diff, added_cnt)},
	{3, CBOR_FIELD_IDS, CBOR_OPTIONAL, CBOR_IDS(struct slot_diff, removed),
	 CBOR_LEN(struct slot_diff, removed_cnt)},
	{4, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct slot_diff, held)},
	{5, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct slot_diff, room), .max = SLOT_ROOM_MAX},
	{6, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct slot_diff, flags)},
	{7, CBOR_FIELD_ROWS, CBOR_OPTIONAL, CBOR_ROWS(struct slot_diff, anchors, anchor_table),
	 CBOR_LEN(struct slot_diff, anchor_cnt)},
	{8, CBOR_FIELD_BYTES, CBOR_OPTIONAL, CBOR_AT(struct slot_diff, digest.bits),
	 CBOR_LEN(struct slot_diff, digest.len), .min = 1, .max = SLOT_DIGEST_LEN_MAX},
	{9, CBOR_FIELD_UINT, CBOR_OPTIONAL, CBOR_AT(struct slot_diff, digest.cnt)},
};
static const struct cbor_table diff_table = {CBOR_FIELDS(diff_fields)};

static const struct cbor_field query_fields[] = {
	{0, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct worm_query, token)},
	{1, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct worm_query, kind),
	 .max = WORM_KIND_CNT - 1},
	{2, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct worm_query, id)},
	{3, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct worm_query, hops), .max = WORM_HOPS_MAX},
	{4, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct worm_query, budget),
	 .max = WORM_BURST_MAX},
};
static const struct cbor_table query_table = {CBOR_FIELDS(query_fields)};

static const struct cbor_field answer_fields[] = {
	{0, CBOR_FIELD_BOOL, CBOR_NEEDED, CBOR_AT(struct worm_answer, is_found)},
	{1, CBOR_FIELD_FIXED, CBOR_HAS(struct worm_answer, has_node),
	 CBOR_AT(struct worm_answer, node)},
	{2, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct worm_answer, hops),
	 .max = WORM_HOPS_MAX + 1},
	{3, CBOR_FIELD_BYTES, CBOR_OPTIONAL, CBOR_AT(struct worm_answer, record),
	 CBOR_LEN(struct worm_answer, record_len), .min = 1, .max = SLOT_RECORD_LEN_MAX},
};
static const struct cbor_table answer_table = {CBOR_FIELDS(answer_fields)};

void social_slot_hail_write(struct writer *w, const struct slot_hail *hail)
{
	cbor_fields_write(w, &hail_table, hail);
}

int social_slot_hail_parse(const void *data, size_t len, struct slot_hail *out_hail)
{
	struct slot_hail hail = {.flags = 0};
	int err = cbor_fields_parse(data, len, &hail_table, &hail);

	if (err == 0)
		*out_hail = hail;
	return err;
}

void social_slot_redirect_write(struct writer *w, const struct slot_redirect *redirect)
{
	cbor_fields_write(w, &redirect_table, redirect);
}

int social_slot_redirect_parse(const void *data, size_t len, struct slot_redirect *out_redirect)
{
	struct slot_redirect redirect = {.cnt = 0};
	int err = cbor_fields_parse(data, len, &redirect_table, &redirect);

	if (err == 0)
		*out_redirect = redirect;
	return err;
}

void social_slot_share_write(struct writer *w, const struct slot_share *share)
{
	cbor_fields_write(w, &share_table, share);
}

/* A digest of nothing, or of more nodes than its bits could stand for, says nothing. */
static bool digest_is_sound(const struct slot_digest *digest)
{
	return digest->bits ? digest->cnt > 0 && digest->cnt <= digest->len * 8 : digest->cnt == 0;
}

int social_slot_share_parse(const void *data, size_t len, struct slot_share *out_share)
{
	int err;

	*out_share = (struct slot_share){.version = 0};
	if ((err = cbor_fields_parse(data, len, &share_table, out_share)) < 0)
		return err;
	return digest_is_sound(&out_share->digest) ? 0 : WEFT_EMALFORMED;
}

void social_slot_diff_write(struct writer *w, const struct slot_diff *diff)
{
	cbor_fields_write(w, &diff_table, diff);
}

int social_slot_diff_parse(const void *data, size_t len, struct slot_diff *out_diff)
{
	int err;

	*out_diff = (struct slot_diff){.from = 0};
	if ((err = cbor_fields_parse(data, len, &diff_table, out_diff)) < 0)
		return err;
	return digest_is_sound(&out_diff->digest) && out_diff->from <= out_diff->to
		       ? 0
		       : WEFT_EMALFORMED;
}

void social_worm_query_write(struct writer *w, const struct worm_query *query)
{
	cbor_fields_write(w, &query_table, query);
}

int social_worm_query_parse(const void *data, size_t len, struct worm_query *out_query)
{
	struct worm_query query = {.hops = 0};
	int err = cbor_fields_parse(data, len, &query_table, &query);

	if (err == 0)
		*out_query = query;
	return err;
}

void social_worm_answer_write(struct writer *w, const struct worm_answer *answer)
{
	cbor_fields_write(w, &answer_table, answer);
}

int social_worm_answer_parse(const void *data, size_t len, struct worm_answer *out_answer)
{
	struct worm_answer answer = {.hops = 0};
	int err = cbor_fields_parse(data, len, &answer_table, &answer);

	if (err < 0)
		return err;
	if (answer.is_found != answer.has_node || (answer.record && !answer.is_found))
		return WEFT_EMALFORMED;
	*out_answer = answer;
	return 0;
}

/* --- digests --- */

size_t social_slot_digest_len(uint32_t cnt)
{
	size_t len = ((size_t)cnt * SLOT_DIGEST_BITS_EACH + 7) / 8;

	return len < SLOT_DIGEST_LEN_MAX ? len : SLOT_DIGEST_LEN_MAX;
}

/* Two hashes give all places (Kirsch, Mitzenmacher 2006). A public key: both sides find the same. */
struct places {
	uint64_t at, step;
};

static struct places places_of(const uint8_t *key)
{
	static const uint64_t at[2] = {0x736c6f74, 1}, step[2] = {0x736c6f74, 2};

	return (struct places){siphash(at, key, SLOT_KEY_LEN), siphash(step, key, SLOT_KEY_LEN)};
}

void social_slot_digest_add(uint8_t *bits, size_t len, const uint8_t key[static SLOT_KEY_LEN])
{
	struct places places = places_of(key);

	for (unsigned i = 0; i < SLOT_DIGEST_PROBES; i++, places.at += places.step) {
		size_t bit = places.at % (len * 8);

		bits[bit / 8] |= (uint8_t)(1u << bit % 8);
	}
}

bool social_slot_digest_has(const uint8_t *bits, size_t len, const uint8_t key[static SLOT_KEY_LEN])
{
	struct places places = places_of(key);

	if (len == 0)
		return false;
	for (unsigned i = 0; i < SLOT_DIGEST_PROBES; i++, places.at += places.step) {
		size_t bit = places.at % (len * 8);

		if (!(bits[bit / 8] & 1u << bit % 8))
			return false;
	}
	return true;
}
