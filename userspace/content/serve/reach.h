/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CONTENT_SERVE_REACH_H
#define WEFT_CONTENT_SERVE_REACH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/err.h"

/*
 * What peers may read, each thing within the scope (content/scope.h) of the manifest that names it:
 * the manifests that shares and gets name; files at or
 * below the paths of shares; and files that a get recorded as part of a
 * collection (object.h) whose manifest is one of those. A get's target says
 * nothing: what else lies in it is none of the collection's. Home makes a new
 * list when shares or gets change; each worker that serves owns a copy, so
 * that asking takes no lock. Only the counts of served bytes ever change.
 */
struct reach;
struct object_file;
struct scope;

/* A peer that asks: may the node of key read what is bound to the community of id? */
struct reach_reader {
	const uint8_t *key;
	bool (*admits)(void *ctx, const uint8_t id[static 32], const uint8_t key[static 32]);
	void *ctx;
	const uint8_t *community; /* NULL, or it asked as a member of this one alone */
};

/* reach_new: an empty list, to be added to and then sealed; NULL: no memory. */
struct reach *reach_new(void);
void reach_free(struct reach *reach);
/*
 * reach_add_manifest, reach_add_held (peers may not read it, but it is no garbage and this node
 * reads it), reach_add_whole (all that the manifest names is here),
 * reach_add_growing (what is not here yet is being fetched) and reach_add_share (an absolute path: the file itself or all below the
 * folder; share_id is the share's manifest) copy what they are given.
 * reach_seal sorts; asking comes after it. 0 or -ENOMEM.
 */
WEFT_MUST_CHECK
int reach_add_manifest(struct reach *reach, const uint8_t id[static 32]);
WEFT_MUST_CHECK
int reach_add_held(struct reach *reach, const uint8_t id[static 32]);
WEFT_MUST_CHECK
int reach_add_whole(struct reach *reach, const uint8_t id[static 32]);
WEFT_MUST_CHECK
int reach_add_growing(struct reach *reach, const uint8_t id[static 32]);
WEFT_MUST_CHECK
int reach_add_share(struct reach *reach, const char *path, const uint8_t share_id[static 32]);
void reach_seal(struct reach *reach);
/*
 * reach_set_scope: what is added from here on has this scope; a new list begins open. 0 or
 * -ENOMEM. reach_scope_of: that of a manifest in a sealed list, the first of several; false: it
 * is not there.
 */
WEFT_MUST_CHECK
int reach_set_scope(struct reach *reach, const struct scope *scope);
bool reach_scope_of(const struct reach *reach, const uint8_t id[static 32],
		    struct scope *out_scope);
/*
 * reach_copy copies a sealed list, counts at zero; reach_copy_some what of it belongs to
 * manifests for which is_wanted says yes, parts not included. NULL: no memory.
 */
struct reach *reach_copy(const struct reach *reach);
struct reach *reach_copy_some(const struct reach *reach,
			      bool (*is_wanted)(void *arg, const uint8_t manifest_id[static 32]),
			      void *arg);

bool reach_has_manifest(const struct reach *reach, const uint8_t id[static 32]);
/* reach_has_whole: it was added as whole, by one who added it at least. */
bool reach_has_whole(const struct reach *reach, const uint8_t id[static 32]);
/* reach_is_growing: likewise, as growing. */
bool reach_is_growing(const struct reach *reach, const uint8_t id[static 32]);
bool reach_has_file(const struct reach *reach, const struct object_file *file);
/* reach_holds_manifest, reach_holds_file: likewise, or it is held. */
bool reach_holds_manifest(const struct reach *reach, const uint8_t id[static 32]);
bool reach_holds_file(const struct reach *reach, const struct object_file *file);

/*
 * reach_gives_{manifest,whole,file}: as reach_has_*, of what reader may read: something is
 * open where one that added it left it open, whatever others that added it say.
 */
bool reach_gives_manifest(const struct reach *reach, const uint8_t id[static 32],
			  const struct reach_reader *reader);
bool reach_gives_whole(const struct reach *reach, const uint8_t id[static 32],
		       const struct reach_reader *reader);
bool reach_gives_file(const struct reach *reach, const struct object_file *file,
		      const struct reach_reader *reader);

/*
 * reach_note_served counts len bytes of a file for every share that its path belongs to, and for
 * the collection that a get brought it as, once where they are the same.
 */
void reach_note_served(struct reach *reach, const struct object_file *file, uint64_t len);
/* reach_served_each tells what was counted since it last did, by manifest. */
void reach_served_each(struct reach *reach,
		       void (*fn)(void *arg, const uint8_t share_id[static 32], uint64_t len),
		       void *arg);

#endif
