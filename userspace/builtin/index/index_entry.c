/* SPDX-License-Identifier: Apache-2.0 */
#include "index_entry.h"

#include <ctype.h>
#include <stdio.h>

#include "codec/cbor_fields.h"
#include "crypto/sha1.h"
#include "crypto/sha256.h"

#define RECORD_VERSION 1

const char *const builtin_shard_kinds[SHARD_KIND_CNT] = {"release", "recording", "artist"};

static bool mbid_read(const char *text, char out_mbid[SHARD_MBID_LEN + 1])
{
	static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

	if (strlen(text) != SHARD_MBID_LEN)
		return false;
	for (unsigned i = 0; i < SHARD_MBID_LEN; i++) {
		if (form[i] == '-' ? text[i] != '-' : !isxdigit((unsigned char)text[i]))
			return false;
		out_mbid[i] = (char)tolower((unsigned char)text[i]);
	}
	out_mbid[SHARD_MBID_LEN] = '\0';
	return true;
}

const char *builtin_shard_place_read(const char *mbid, const char *kind,
				     struct shard_place *out_place)
{
	char text[96];
	unsigned i = 0;
	int len;

	if (!mbid_read(mbid, out_place->mbid))
		return "an MBID is a UUID";
	while (i < SHARD_KIND_CNT && strcmp(builtin_shard_kinds[i], kind) != 0)
		i++;
	if (i == SHARD_KIND_CNT)
		return "a kind is release, recording or artist";
	out_place->kind = (enum shard_kind)i;
	len = snprintf(text, sizeof(text), "slskdn-vsf-mbid-%s-v1:%s", kind, out_place->mbid);
	sha1(text, (size_t)len, out_place->key);
	return NULL;
}

static bool is_better(const struct shard_variant *a, const struct shard_variant *b)
{
	int order;

	if (a->quality != b->quality)
		return a->quality > b->quality;
	if (a->kbps != b->kbps)
		return a->kbps > b->kbps;
	if (a->size != b->size)
		return a->size > b->size;
	/* An order of all variants, so that a merge gives the same whatever came first. */
	order = strcmp(a->codec, b->codec);
	return (order ? order : memcmp(a->prefix, b->prefix, SHARD_PREFIX_LEN)) < 0;
}

static void variant_drop(struct shard *shard, unsigned idx)
{
	shard->variant_cnt--;
	memmove(&shard->variants[idx], &shard->variants[idx + 1],
		(shard->variant_cnt - idx) * sizeof(shard->variants[0]));
}

static void variant_insert(struct shard *shard, const struct shard_variant *variant)
{
	unsigned idx = shard->variant_cnt;

	while (idx > 0 && is_better(variant, &shard->variants[idx - 1]))
		idx--;
	memmove(&shard->variants[idx + 1], &shard->variants[idx],
		(shard->variant_cnt - idx) * sizeof(shard->variants[0]));
	shard->variants[idx] = *variant;
	shard->variant_cnt++;
}

void builtin_shard_add(struct shard *shard, const struct shard_variant *variant)
{
	unsigned of_codec_cnt = 0, worst = 0;

	for (unsigned i = 0; i < shard->variant_cnt; i++) {
		const struct shard_variant *have = &shard->variants[i];

		if (strcmp(have->codec, variant->codec) != 0)
			continue;
		if (memcmp(have->prefix, variant->prefix, SHARD_PREFIX_LEN) == 0) {
			if (!is_better(variant, have))
				return;
			variant_drop(shard, i);
			variant_insert(shard, variant);
			return;
		}
		worst = i;
		of_codec_cnt++;
	}
	if (of_codec_cnt == SHARD_PER_CODEC_MAX) {
		if (!is_better(variant, &shard->variants[worst]))
			return;
		variant_drop(shard, worst);
	}
	worst = SHARD_VARIANT_MAX - 1;
	if (shard->variant_cnt == SHARD_VARIANT_MAX) {
		if (!is_better(variant, &shard->variants[worst]))
			return;
		variant_drop(shard, worst);
	}
	variant_insert(shard, variant);
}

/*
 * In order, and the lowest ones when there are too many, so that the order of arrival has no
 * effect.
 */
static void hint_add(struct shard *shard, const uint8_t hint[SHARD_HINT_LEN])
{
	unsigned idx = 0;
	int order = 1;

	while (idx < shard->peer_cnt &&
	       (order = memcmp(shard->hints[idx], hint, SHARD_HINT_LEN)) < 0)
		idx++;
	if (idx == SHARD_PEER_MAX || (idx < shard->peer_cnt && order == 0))
		return;
	shard->peer_cnt += shard->peer_cnt < SHARD_PEER_MAX;
	memmove(shard->hints[idx + 1], shard->hints[idx],
		(shard->peer_cnt - idx - 1) * sizeof(shard->hints[0]));
	memcpy(shard->hints[idx], hint, SHARD_HINT_LEN);
}

void builtin_shard_merge(struct shard *shard, const struct shard *other)
{
	if (other->at_s > shard->at_s)
		shard->at_s = other->at_s;
	for (unsigned i = 0; i < other->variant_cnt; i++)
		builtin_shard_add(shard, &other->variants[i]);
	for (unsigned i = 0; i < other->peer_cnt; i++)
		hint_add(shard, other->hints[i]);
}

void builtin_shard_add_peer(struct shard *shard, const uint8_t *key)
{
	uint8_t hash[SHA256_HASH_LEN];

	sha256(key, 32, hash);
	hint_add(shard, hash);
}

static const struct cbor_field variant_fields[] = {
	{0, CBOR_FIELD_TEXT, CBOR_NEEDED, CBOR_AT(struct shard_variant, codec)},
	{1, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct shard_variant, quality), .max = 100},
	{2, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct shard_variant, kbps)},
	{3, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct shard_variant, size)},
	{4, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct shard_variant, prefix)},
};
static const struct cbor_table variant_table = {CBOR_FIELDS(variant_fields)};

void builtin_shard_variants_write(const struct shard *shard, struct writer *w)
{
	cbor_write_array(w, shard->variant_cnt);
	for (unsigned i = 0; i < shard->variant_cnt; i++)
		cbor_row_write(w, &variant_table, &shard->variants[i]);
}

/* As many as come, of which the best are kept. */
void builtin_shard_variants_read(struct shard *shard, struct cbor_reader *r)
{
	struct shard_variant variant;

	cbor_enter_array(r);
	while (cbor_next(r)) {
		cbor_row_read(r, &variant_table, &variant);
		if (!cbor_is_bad(r))
			builtin_shard_add(shard, &variant);
	}
}

static void variants_read(struct cbor_reader *r, void *of)
{
	builtin_shard_variants_read(of, r);
}

static void variants_write(struct writer *w, const void *of)
{
	builtin_shard_variants_write(of, w);
}

static const struct cbor_field row_fields[] = {
	{0, CBOR_FIELD_CONSTANT, CBOR_NEEDED, .max = RECORD_VERSION},
	{1, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct shard, kind), .max = SHARD_KIND_CNT - 1},
	{2, CBOR_FIELD_TEXT, CBOR_NEEDED, CBOR_AT(struct shard, mbid)},
	{3, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct shard, at_s)},
	{4, CBOR_FIELD_CODED, CBOR_NEEDED, .read = variants_read, .write = variants_write},
};
static const struct cbor_table row_table = {CBOR_FIELDS(row_fields)};

void builtin_shard_write(const struct shard *shard, struct writer *w)
{
	cbor_row_write(w, &row_table, shard);
}

int builtin_shard_parse(struct shard *shard, const uint8_t *record, size_t len)
{
	struct cbor_reader r;

	*shard = (struct shard){0};
	cbor_reader_init(&r, record, len);
	cbor_row_read(&r, &row_table, shard);
	return cbor_reader_finish(&r);
}
