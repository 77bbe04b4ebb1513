/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BUILTIN_INDEX_INDEX_ENTRY_VALUE_H
#define WEFT_BUILTIN_INDEX_INDEX_ENTRY_VALUE_H

#include "provider/tenant/tenant.h"
#include "index_entry.h"

struct node_key;

/*
 * A peer's row of the shadow index as a value of the overlay. It is the tag, then a signed
 * object (crypto/signed.h) of tag "shard" with the body
 *
 *	{0: name, 1: created s, 2: expires s, 3: [[codec, quality, kbps, size, prefix]...]}
 *
 * under the name "mbid:" KIND ":" MBID.
 */
#define SHARD_VALUE_TAG	    0x50
#define SHARD_VALUE_LEN_MAX 4096
#define SHARD_NAME_CAP	    64

/* builtin_shard_name returns its length. */
size_t builtin_shard_name(enum shard_kind kind, const char *mbid, char out_name[SHARD_NAME_CAP]);
/* builtin_shard_value_write signs a row for SHARD_TTL_S from wall_s on. */
void builtin_shard_value_write(const struct shard *row, const struct node_key *key, uint64_t wall_s,
			       struct writer *w);
/* The rule by which every node judges such values. */
struct overlay_rule builtin_shard_value_rule(void);
/* builtin_shard_value_merge adds the variants of a value that the rule accepted. */
void builtin_shard_value_merge(struct shard *shard, const uint8_t *value, size_t len);

#endif
