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
 * The scope of a manifest: which peers may read what it names. A signed manifest with
 * communities (docs/wire/share.md, field 9) is for the members of these; any other is open.
 * An id stands for its bytes for ever, so a scope never changes. The batch that stores a manifest
 * keeps its scope beside it (STORE_META, "scope:" and the id), so that a start need not read all of
 * them; of a manifest that an earlier version stored it is read from its bytes.
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

#endif
