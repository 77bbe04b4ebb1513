/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_BLOBS_PARTS_H
#define WEFT_BLOBS_BLOBS_PARTS_H

#include <stdbool.h>
#include <stdint.h>

#include "mesh/seam.h"

struct blobs;
struct blobs_retainer;
struct scope;
struct serve;
struct served_index;
struct shares;
struct store;
struct swarms;

/*
 * What publishing and following shares need of blobs besides blobs.h: its parts, and what the
 * scope of a manifest lets be said. Home worker.
 */
struct shares *blobs_shares_of(const struct blobs *content);
struct serve *blobs_serve_of(const struct blobs *content);
struct swarms *blobs_swarms_of(const struct blobs *content);
struct store *blobs_store_of(const struct blobs *content);
/* blobs_holder_at: the retainer with this number; NULL: there are fewer. */
const struct blobs_retainer *blobs_holder_at(const struct blobs *content, unsigned idx);

/* blobs_served_index: what peers may read now; borrowed until the next turn. */
struct served_index *blobs_served_index(struct blobs *content);
/*
 * blobs_scope_hides: nothing of what has this scope stands in a public record: each of its
 * communities is strict, or was not joined. Any thread. blobs_has_scope: the manifest is here.
 * blobs_hides, blobs_lets: what its scope says; of one that is not here, that it is hidden,
 * and that nobody may.
 */
bool blobs_scope_hides(const struct blobs *content, const struct scope *scope);
bool blobs_has_scope(const struct blobs *content, const uint8_t manifest_id[static 32]);
bool blobs_hides(const struct blobs *content, const uint8_t manifest_id[static 32]);
bool blobs_lets(const struct blobs *content, const uint8_t manifest_id[static 32],
		const uint8_t key[static MESH_KEY_LEN]);

#endif
