/* SPDX-License-Identifier: Apache-2.0 */
#include "index_entry.h"

#include <ctype.h>
#include <stdio.h>

#include "codec/cbor.h"
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

void builtin_shard_variants_write(const struct shard *shard, struct writer *w)
{
	cbor_write_array(w, shard->variant_cnt);
	for (unsigned i = 0; i < shard->variant_cnt; i++) {
		const struct shard_variant *variant = &shard->variants[i];

		cbor_write_array(w, 5);
		cbor_write_text(w, variant->codec, strlen(variant->codec));
		cbor_write_uint(w, variant->quality);
		cbor_write_uint(w, variant->kbps);
		cbor_write_uint(w, variant->size);
		cbor_write_bytes(w, variant->prefix, SHARD_PREFIX_LEN);
	}
}

static void variant_read(struct cbor_reader *r, struct shard_variant *variant)
{
	if (cbor_enter_array(r) != 5)
		cbor_fail(r);
	cbor_read_text_copy(r, variant->codec, sizeof(variant->codec));
	variant->quality = (uint8_t)cbor_read_uint_max(r, 100);
	variant->kbps = (uint32_t)cbor_read_uint_max(r, UINT32_MAX);
	variant->size = cbor_read_uint(r);
	cbor_read_fixed(r, variant->prefix, SHARD_PREFIX_LEN);
	if (cbor_next(r))
		cbor_fail(r);
}

void builtin_shard_variants_read(struct shard *shard, struct cbor_reader *r)
{
	struct shard_variant variant;

	cbor_enter_array(r);
	while (cbor_next(r)) {
		variant_read(r, &variant);
		if (!cbor_is_bad(r))
			builtin_shard_add(shard, &variant);
	}
}

void builtin_shard_write(const struct shard *shard, struct writer *w)
{
	cbor_write_array(w, 5);
	cbor_field_uint(w, RECORD_VERSION, shard->kind);
	cbor_write_text(w, shard->mbid, strlen(shard->mbid));
	cbor_write_uint(w, shard->at_s);
	builtin_shard_variants_write(shard, w);
}

int builtin_shard_parse(struct shard *shard, const uint8_t *record, size_t len)
{
	struct cbor_reader r;

	*shard = (struct shard){0};
	cbor_reader_init(&r, record, len);
	if (cbor_enter_array(&r) != 5 || cbor_read_uint(&r) != RECORD_VERSION)
		cbor_fail(&r);
	shard->kind = (enum shard_kind)cbor_read_uint_max(&r, SHARD_KIND_CNT - 1);
	cbor_read_text_copy(&r, shard->mbid, sizeof(shard->mbid));
	shard->at_s = cbor_read_uint(&r);
	builtin_shard_variants_read(shard, &r);
	if (cbor_next(&r))
		cbor_fail(&r);
	return cbor_reader_finish(&r);
}
