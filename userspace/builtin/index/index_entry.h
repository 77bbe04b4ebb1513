/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BUILTIN_INDEX_INDEX_ENTRY_H
#define WEFT_BUILTIN_INDEX_INDEX_ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "weft/err.h"

struct cbor_reader;

/*
 * The shadow index's entry under a key: the nodes that have a recording, a release or an artist's
 * works, and in which forms. Keys and the rules of merging are those of the existing index
 * ("version 1.0"). Pure.
 */
#define SHARD_KEY_LEN	     20
#define SHARD_MBID_LEN	     36
#define SHARD_PREFIX_LEN     16 /* of the SHA-256 of a file */
#define SHARD_CODEC_LEN_MAX  8	/* [a-z0-9] */
#define SHARD_PER_CODEC_MAX  5
#define SHARD_VARIANT_MAX    40 /* eight codecs */
#define SHARD_PEER_MAX	     32
#define SHARD_HINT_LEN	     8
#define SHARD_TTL_S	     3600 /* that a reader may go by it */
#define SHARD_RECORD_LEN_MAX 4096

enum shard_kind { SHARD_RELEASE, SHARD_RECORDING, SHARD_ARTIST, SHARD_KIND_CNT };
extern const char *const builtin_shard_kinds[SHARD_KIND_CNT];

/* One form of a recording. Higher quality, then kbps, then size is better. */
struct shard_variant {
	char codec[SHARD_CODEC_LEN_MAX + 1];
	uint8_t quality; /* 0 to 100 */
	uint32_t kbps;
	uint64_t size; /* bytes */
	uint8_t prefix[SHARD_PREFIX_LEN];
};

struct shard {
	enum shard_kind kind; /* kind and mbid are of a row; a merged one has none */
	char mbid[SHARD_MBID_LEN + 1];
	uint64_t at_s; /* of the newest registration, wall clock */
	unsigned variant_cnt;
	unsigned peer_cnt;
	struct shard_variant variants[SHARD_VARIANT_MAX]; /* best first */
	uint8_t hints[SHARD_PEER_MAX][SHARD_HINT_LEN];	  /* of peers that registered */
};

/* The place of a lookup: key is SHA-1("slskdn-vsf-mbid-KIND-v1:" | mbid). */
struct shard_place {
	enum shard_kind kind;
	char mbid[SHARD_MBID_LEN + 1]; /* lower case */
	uint8_t key[SHARD_KEY_LEN];
};
/*
 * builtin_shard_place_read returns the fault of mbid, a UUID of either case, or of kind; else NULL.
 */
const char *builtin_shard_place_read(const char *mbid, const char *kind,
				     struct shard_place *out_place);

/*
 * builtin_shard_add keeps the best SHARD_PER_CODEC_MAX of each codec; of one file the better entry,
 * and of all the best SHARD_VARIANT_MAX. builtin_shard_merge adds all of other. The order in which
 * variants, peers and records are added changes nothing.
 */
void builtin_shard_add(struct shard *shard, const struct shard_variant *variant);
void builtin_shard_merge(struct shard *shard, const struct shard *other);
/*
 * builtin_shard_add_peer: by its key of 32 bytes, once; the SHARD_PEER_MAX lowest hints are kept.
 */
void builtin_shard_add_peer(struct shard *shard, const uint8_t *key);

/* Variants as part of a record: an array. */
void builtin_shard_variants_write(const struct shard *shard, struct writer *w);
void builtin_shard_variants_read(struct shard *shard, struct cbor_reader *r);

/* A row of the store: one peer's registration under a key; without peers. 0 or WEFT_EMALFORMED. */
void builtin_shard_write(const struct shard *shard, struct writer *w);
WEFT_MUST_CHECK
int builtin_shard_parse(struct shard *shard, const uint8_t *record, size_t len);

#endif
