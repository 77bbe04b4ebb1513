/* SPDX-License-Identifier: Apache-2.0 */
#include "golomb_set.h"

#include <stdlib.h>
#include <string.h>

#include "base/siphash_bytes.h"
#include "codec/cbor_fields.h"
#include "rice.h"
#include "crypto/node_key.h"
#include "crypto/signed.h"

#define TAG "provset" /* a constant of the wire */

static const struct cbor_field fields[] = {
	{0, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct golomb_set, key)},
	{1, CBOR_FIELD_PLACES, CBOR_NEEDED, CBOR_AT(struct golomb_set, places)},
	{2, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct golomb_set, time_s), .max = INT64_MAX},
	{3, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct golomb_set, depth),
	 .max = GOLOMB_SET_DEPTH_FINE},
	{4, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct golomb_set, region)},
	{5, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct golomb_set, item_cnt),
	 .max = GOLOMB_SET_ITEMS_MAX},
	{6, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct golomb_set, parameter),
	 .max = GOLOMB_SET_PARAMETER_MAX},
	{7, CBOR_FIELD_BYTES, CBOR_NEEDED, CBOR_AT(struct golomb_set, code),
	 CBOR_LEN(struct golomb_set, code_len)},
};
static const struct cbor_table table = {CBOR_FIELDS(fields)};

uint32_t shares_golomb_set_region_of(const uint8_t id[static 32], unsigned depth)
{
	struct cursor c = cursor_of(id, 4);

	return cursor_be32(&c) >> (32 - depth);
}

static uint64_t number_of(const uint8_t *key, const uint8_t *id, uint64_t range)
{
	uint64_t secret[2];

	/* As SipHash reads its key: little-endian. */
	for (int i = 0; i < 2; i++) {
		secret[i] = 0;
		for (int j = 7; j >= 0; j--)
			secret[i] = secret[i] << 8 | key[8 * i + j];
	}
	return (uint64_t)((unsigned __int128)siphash(secret, id, 32) * range >> 64);
}

/* --- writing --- */

static int number_compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

size_t shares_golomb_set_encode(const struct golomb_contents *contents, uint8_t *code, size_t cap)
{
	uint64_t *numbers = contents->numbers;
	uint32_t cnt = contents->cnt;
	struct rice_writer w;

	for (uint32_t i = 0; i < cnt; i++)
		numbers[i] = number_of(contents->key, contents->ids[i],
				       (uint64_t)cnt << GOLOMB_SET_PARAMETER);
	if (cnt)
		qsort(numbers, cnt, sizeof(*numbers), number_compare);
	shares_rice_writer_init(&w, GOLOMB_SET_PARAMETER, code, cap);
	for (uint32_t i = 0; i < cnt; i++)
		if (!shares_rice_write(&w, numbers[i]))
			return 0;
	return shares_rice_writer_len(&w);
}

void shares_golomb_set_write(struct writer *w, const struct node_key *key, struct golomb_set *set)
{
	uint8_t body[GOLOMB_SET_LEN_MAX - SIGNED_OVERHEAD_MAX];
	struct writer body_w = writer_of(body, sizeof(body));

	memcpy(set->key, node_key_public(key), sizeof(set->key));
	cbor_fields_write(&body_w, &table, set);
	w->bad |= body_w.bad;
	signed_write(w, key, TAG, body, writer_len(&body_w));
}

/* --- reading --- */

static bool code_is_whole(const struct golomb_set *set)
{
	uint64_t range = (uint64_t)set->item_cnt << set->parameter, number = 0;
	struct rice_reader r;

	shares_rice_reader_init(&r, set->parameter, set->code, set->code_len);
	for (uint32_t i = 0; i < set->item_cnt && !r.bad && (i == 0 || number < range); i++)
		number = shares_rice_read(&r);
	return shares_rice_reader_is_over(&r) && (set->item_cnt == 0 || number < range);
}

/* A coarser code would be found to have more than there is. */
static bool is_sound(const struct golomb_set *set)
{
	return (set->depth == GOLOMB_SET_DEPTH_COARSE || set->depth == GOLOMB_SET_DEPTH_FINE) &&
	       set->region >> set->depth == 0 && set->parameter >= GOLOMB_SET_PARAMETER &&
	       code_is_whole(set);
}

int shares_golomb_set_parse(const void *bytes, size_t len, struct golomb_set *out_set)
{
	struct signed_object object;
	struct golomb_set set = {0};
	int err;

	if (len > GOLOMB_SET_LEN_MAX)
		return WEFT_ETOOLARGE;
	if ((err = signed_parse(bytes, len, &object)) < 0)
		return err;
	if (cbor_fields_parse(object.body, object.body_len, &table, &set) < 0 ||
	    memcmp(set.key, object.signer, sizeof(set.key)) != 0 || !is_sound(&set))
		return WEFT_EMALFORMED;
	*out_set = set;
	return 0;
}

int shares_golomb_set_verify_signature(const void *bytes, size_t len)
{
	struct signed_object object;
	int err = signed_parse(bytes, len, &object);

	return err < 0 ? err : signed_verify(&object, TAG);
}

bool shares_golomb_set_may_have(const struct golomb_set *set, const uint8_t id[static 32])
{
	uint64_t wanted = number_of(set->key, id, (uint64_t)set->item_cnt << set->parameter);
	struct rice_reader r;

	if (shares_golomb_set_region_of(id, set->depth) != set->region)
		return false;
	shares_rice_reader_init(&r, set->parameter, set->code, set->code_len);
	for (uint32_t i = 0; i < set->item_cnt && !r.bad; i++) {
		uint64_t number = shares_rice_read(&r);

		if (number >= wanted)
			return number == wanted;
	}
	return false;
}
