/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_SCOPE_H
#define WEFT_BLOBS_SCOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "blobs/manifest/manifest.h"
#include "mesh/seam.h"
#include "weft/err.h"

struct blobs;
struct store;
struct store_batch;

/*
 * The scope of a manifest: the peers that may read the content it names. A signed manifest with
 * communities (docs/wire/share.md, field 9) is for the members of these; any other is open. An
 * id stands for its bytes for ever, so a scope never changes. The batch that stores a manifest
 * keeps its scope beside it (STORE_META, "scope:" and the id). So a start need not read all
 * manifests. The scope of a manifest that an earlier version stored is read from its bytes.
 */
struct scope {
	bool is_closed; /* no peer: what it says is not known, or cannot be read */
	uint32_t cnt;	/* 0: open, unless it is closed */
	uint8_t ids[MANIFEST_COMMUNITIES_MAX][32];
};

bool blobs_scope_is_open(const struct scope *scope);
bool blobs_scope_is_equal(const struct scope *a, const struct scope *b);
/* blobs_scope_of_manifest: of one that was parsed, a whole or a root. */
void blobs_scope_of_manifest(const struct manifest *manifest, struct scope *out_scope);
/*
 * blobs_scope_parse reads as much of a manifest's bytes as it needs; no signature is checked: they
 * are what their id says. 0 or WEFT_EMALFORMED.
 */
WEFT_MUST_CHECK
int blobs_scope_parse(const void *bytes, size_t len, struct scope *out_scope);
/*
 * blobs_scope_load: 0, WEFT_EABSENT (no such manifest here), WEFT_EMALFORMED, WEFT_EDAMAGED or
 * -errno. Without a row it reads the manifest, which may wait on the disk. blobs_scope_put keeps
 * the row of a manifest of these bytes, if they are one; blobs_scope_drop forgets it.
 */
WEFT_MUST_CHECK
int blobs_scope_load(struct store *store, const uint8_t id[static 32], struct scope *out_scope);
void blobs_scope_put(struct store_batch *batch, const uint8_t id[static 32], const void *bytes,
		     size_t len);
void blobs_scope_drop(struct store_batch *batch, const uint8_t id[static 32]);

/*
 * Home worker. blobs_scope_hides: nothing of what has this scope stands in a public record: each of
 * its communities is strict, or was not joined. Any thread. blobs_has_scope: the manifest is here.
 * blobs_hides, blobs_lets: what its scope says; of one that is not here, that it is hidden, and
 * that no peer may read it.
 */
bool blobs_scope_hides(const struct blobs *content, const struct scope *scope);
bool blobs_has_scope(const struct blobs *content, const uint8_t manifest_id[static 32]);
bool blobs_hides(const struct blobs *content, const uint8_t manifest_id[static 32]);
bool blobs_lets(const struct blobs *content, const uint8_t manifest_id[static 32],
		const uint8_t key[static MESH_KEY_LEN]);

/*
 * Ids as requests name them, of what strict communities alone may read. Pure; any thread.
 *
 *	blinded id: BLAKE3 of the id under the key "blind" 32 |
 *		    id xor BLAKE3 of the first half under the key "veil" 32
 *
 * Both keys are derived of an epoch key of the community. The first half is the blinded id
 * proper: without the keys no node makes it of an id, nor an id of it. The second gives a holder
 * of the keys the id, so it needs no table of all its ids, which a new epoch would change.
 */
#define BLIND_ID_LEN 64u

struct blind_key {
	uint8_t community[32];
	bool is_missing; /* the community has an epoch key, and it is not here */
	uint8_t blind[32], veil[32];
};
/* The current key of a community comes before the one of the epoch before. */
struct blind_keys {
	unsigned cnt, cap; /* at most two of each joined community */
	struct blind_key *keys;
};

/*
 * blobs_blind_keys_add: room for one more, which the caller fills; NULL: no memory. It is kept when
 * the keys are read anew: blobs_blind_keys_clear wipes what they were, blobs_blind_keys_fini frees
 * it, too.
 */
struct blind_key *blobs_blind_keys_add(struct blind_keys *keys);
void blobs_blind_keys_clear(struct blind_keys *keys);
void blobs_blind_keys_fini(struct blind_keys *keys);

/* blobs_blind_id_write: of a key that is missing, zeros, which nothing is named by. */
void blobs_blind_id_write(const struct blind_key *key, const uint8_t id[static 32],
			  uint8_t out_blind[static BLIND_ID_LEN]);
/*
 * blobs_blind_id_open: the key under which blind was made, and the id in it; NULL: under none of
 * keys.
 */
const struct blind_key *blobs_blind_id_open(const struct blind_keys *keys,
					    const uint8_t blind[static BLIND_ID_LEN],
					    uint8_t out_id[static 32]);
/* blobs_blind_keys_first: the first of a community, or NULL: its ids are not blinded. */
const struct blind_key *blobs_blind_keys_first(const struct blind_keys *keys,
					       const uint8_t community[static 32]);

#endif
