/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_SERVE_SERVED_INDEX_H
#define WEFT_BLOBS_SERVE_SERVED_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/err.h"

/*
 * The content that peers may read, each thing within the scope (blobs/scope.h) of the manifest
 * that names it. It is three kinds of things:
 * - the manifests that shares and gets name;
 * - files at or below the paths of shares;
 * - files that a get recorded as part of a collection (object.h) whose manifest is one of those.
 *
 * A get's target makes no file readable: other files in it are none of the collection's. Home
 * makes a new list when shares or gets change. Each worker that serves owns a copy, so that
 * asking takes no lock. Only the counts of served bytes ever change.
 */
struct served_index;
struct object_file;
struct scope;

/* A peer that asks: may the node of key read what is bound to the community of id? */
struct served_reader {
	const uint8_t *key;
	bool (*admits)(void *ctx, const uint8_t id[static 32], const uint8_t key[static 32]);
	void *ctx;
	const uint8_t *community; /* NULL, or it asked as a member of this one alone */
};

/* blobs_served_index_new: an empty list, to be added to and then sealed; NULL: no memory. */
struct served_index *blobs_served_index_new(void);
void blobs_served_index_free(struct served_index *served_index);
/*
 * These functions copy their arguments. 0 or -ENOMEM.
 *   blobs_served_index_add_manifest  peers may read the manifest
 *   blobs_served_index_add_held      peers may not read it, but it is no garbage and this
 *                                    node reads it
 *   blobs_served_index_add_whole     all that the manifest names is here
 *   blobs_served_index_add_growing   its missing content is being fetched
 *   blobs_served_index_add_share     an absolute path: the file itself or all below the
 *                                    folder; share_id is the share's manifest
 * blobs_served_index_seal sorts; lookups come after it.
 */
WEFT_MUST_CHECK
int blobs_served_index_add_manifest(struct served_index *served_index, const uint8_t id[static 32]);
WEFT_MUST_CHECK
int blobs_served_index_add_held(struct served_index *served_index, const uint8_t id[static 32]);
WEFT_MUST_CHECK
int blobs_served_index_add_whole(struct served_index *served_index, const uint8_t id[static 32]);
WEFT_MUST_CHECK
int blobs_served_index_add_growing(struct served_index *served_index, const uint8_t id[static 32]);
WEFT_MUST_CHECK
int blobs_served_index_add_share(struct served_index *served_index, const char *path,
				 const uint8_t share_id[static 32]);
void blobs_served_index_seal(struct served_index *served_index);
/*
 * blobs_served_index_set_scope: what is added from here on has this scope; a new list begins open.
 * 0 or -ENOMEM. blobs_served_index_scope_of: that of a manifest in a sealed list, the first of
 * several; false: it is not there.
 */
WEFT_MUST_CHECK
int blobs_served_index_set_scope(struct served_index *served_index, const struct scope *scope);
bool blobs_served_index_scope_of(const struct served_index *served_index,
				 const uint8_t id[static 32], struct scope *out_scope);
/*
 * blobs_served_index_copy copies a sealed list, counts at zero; blobs_served_index_copy_some what
 * of it belongs to manifests for which is_wanted says yes, parts not included. NULL: no memory.
 */
struct served_index *blobs_served_index_copy(const struct served_index *served_index);
struct served_index *
blobs_served_index_copy_some(const struct served_index *served_index,
			     bool (*is_wanted)(void *arg, const uint8_t manifest_id[static 32]),
			     void *arg);

/* blobs_served_index_is_growing: at least one caller added the manifest as growing. */
bool blobs_served_index_is_growing(const struct served_index *served_index,
				   const uint8_t id[static 32]);
bool blobs_served_index_has_file(const struct served_index *served_index,
				 const struct object_file *file);
/* blobs_served_index_holds_{manifest,file}: a caller added it, or it is held. */
bool blobs_served_index_holds_manifest(const struct served_index *served_index,
				       const uint8_t id[static 32]);
bool blobs_served_index_holds_file(const struct served_index *served_index,
				   const struct object_file *file);

/*
 * blobs_served_index_gives_{manifest,whole,file}: reader may read the manifest, at least one caller
 * added it as whole, or as blobs_served_index_has_file. Something is open where one that added it
 * left it open, whatever others that added it say. reader NULL: whatever its scope.
 */
bool blobs_served_index_gives_manifest(const struct served_index *served_index,
				       const uint8_t id[static 32],
				       const struct served_reader *reader);
bool blobs_served_index_gives_whole(const struct served_index *served_index,
				    const uint8_t id[static 32],
				    const struct served_reader *reader);
bool blobs_served_index_gives_file(const struct served_index *served_index,
				   const struct object_file *file,
				   const struct served_reader *reader);

/*
 * blobs_served_index_note_served counts len bytes of a file for every share that its path
 * belongs to. It also counts them for the collection with which a get brought it, once where the
 * two are the same.
 */
void blobs_served_index_note_served(struct served_index *served_index,
				    const struct object_file *file, uint64_t len);
/* blobs_served_index_served_each reports the counts since its last call, by manifest. */
void blobs_served_index_served_each(struct served_index *served_index,
				    void (*fn)(void *arg, const uint8_t share_id[static 32],
					       uint64_t len),
				    void *arg);

#endif
