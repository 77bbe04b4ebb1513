/* SPDX-License-Identifier: Apache-2.0 */
#include "service/builtin/shard.h"

#include <ctype.h>
#include <stdio.h>

#include "codec/cbor.h"
#include "crypto/sha1.h"
#include "crypto/sha256.h"

#define RECORD_VERSION 1

const char *const shard_kinds[SHARD_KIND_CNT] = {"release", "recording", "artist"};

bool shard_mbid_read(const char *text, char out_mbid[SHARD_MBID_LEN + 1])
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

void shard_key_of(enum shard_kind kind, const char mbid[SHARD_MBID_LEN + 1],
		  uint8_t out_key[SHARD_KEY_LEN])
{
	char text[96];
	int len = snprintf(text, sizeof(text), "slskdn-vsf-mbid-%s-v1:%s", shard_kinds[kind], mbid);

	sha1(text, (size_t)len, out_key);
}

static bool is_better(const struct shard_variant *a, const struct shard_variant *b)
{
	if (a->quality != b->quality)
		return a->quality > b->quality;
	if (a->kbps != b->kbps)
		return a->kbps > b->kbps;
	return a->size > b->size;
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

void shard_add(struct shard *shard, const struct shard_variant *variant)
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
	if (shard->variant_cnt < SHARD_VARIANT_MAX)
		variant_insert(shard, variant);
}

void shard_merge(struct shard *shard, const struct shard *other)
{
	if (other->at_s > shard->at_s)
		shard->at_s = other->at_s;
	for (unsigned i = 0; i < other->variant_cnt; i++)
		shard_add(shard, &other->variants[i]);
}

void shard_add_peer(struct shard *shard, const uint8_t *key)
{
	uint8_t hash[SHA256_HASH_LEN];

	if (shard->peer_cnt == SHARD_PEER_MAX)
		return;
	sha256(key, 32, hash);
	memcpy(shard->hints[shard->peer_cnt++], hash, SHARD_HINT_LEN);
}

void shard_write(const struct shard *shard, struct writer *w)
{
	cbor_write_array(w, 3);
	cbor_write_uint(w, RECORD_VERSION);
	cbor_write_uint(w, shard->at_s);
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

int shard_parse(struct shard *shard, const uint8_t *record, size_t len)
{
	struct shard_variant variant;
	struct cbor_reader r;

	*shard = (struct shard){0};
	cbor_reader_init(&r, record, len);
	if (cbor_enter_array(&r) != 3 || cbor_read_uint(&r) != RECORD_VERSION)
		cbor_fail(&r);
	shard->at_s = cbor_read_uint(&r);
	cbor_enter_array(&r);
	while (cbor_next(&r)) {
		variant_read(&r, &variant);
		if (!cbor_is_bad(&r))
			shard_add(shard, &variant);
	}
	if (cbor_next(&r))
		cbor_fail(&r);
	return cbor_reader_finish(&r);
}
