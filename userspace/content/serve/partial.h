/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CONTENT_SERVE_PARTIAL_H
#define WEFT_CONTENT_SERVE_PARTIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "weft/err.h"

/*
 * Files that a get is fetching: what of them is verified and written is
 * served while the rest is on its way. The get adds a file, notes its chunks
 * and drops it; whoever reads from it meanwhile keeps its descriptor open. Of
 * one content fetched twice, the file with most chunks is found. All of one
 * worker; a job may read from a partial that its owner holds.
 *
 * Another worker has a copy of home's list, taken now and then
 * (partials_copy): the descriptors are the process's and are duplicated.
 */
#define PARTIALS_MAX 64u /* more files at once are fetched, but not served */
#define PARTIALS_SPARE                                                                             \
	8u /* of files that ended, kept for those that come: no memory is taken for each */
#define PARTIAL_BITS_FEW                                                                           \
	512u /* bytes, for files of up to 1 GiB, that take no memory of their own */

struct partial {
	struct list_node node; /* in the list; alone once dropped */
	uint8_t content_id[32];
	uint8_t manifest_id[32]; /* of the get that fetches it: its scope is the file's */
	uint64_t size;
	uint64_t chunk_cnt, have_cnt;
	int fd;		       /* of its own */
	uint8_t *bits;	       /* of chunks that are there: bit i % 8 of byte i / 8 */
	const uint8_t *hashes; /* the get's chunk list until it drops this; NULL: not here */
	uint32_t use_cnt;
	bool is_dropped;
	uint8_t bits_few[PARTIAL_BITS_FEW]; /* where bits points if they fit */
};

struct partials {
	struct list_node list, spare;
	uint32_t cnt, spare_cnt;
	bool is_changed; /* since it was last copied */
};

void partials_init(struct partials *partials);
/* partials_fini frees what nobody uses; who still does frees the rest. */
void partials_fini(struct partials *partials);
/*
 * partials_add: a file of which nothing is there yet; fd is duplicated,
 * hashes (chunk_cnt of them) are borrowed until partial_drop. NULL: no room,
 * memory or descriptor; then it is not served until it is whole.
 */
struct partial *partials_add(struct partials *partials, const uint8_t content_id[static 32],
			     uint64_t size, int fd, const uint8_t *hashes);
/* partial_set_manifest: the get is of manifest_id; a file of none is served to no peer. */
void partial_set_manifest(struct partial *partial, const uint8_t manifest_id[static 32]);
/* partial_note: chunk was verified and written. */
void partial_note(struct partials *partials, struct partial *partial, uint64_t chunk);
/* partials_drop: nobody finds it any more; takes NULL. */
void partials_drop(struct partials *partials, struct partial *partial);

/* partials_lookup: borrowed, or NULL. */
struct partial *partials_lookup(const struct partials *partials,
				const uint8_t content_id[static 32]);
/* partials_find: likewise, of those that lets says yes of. */
struct partial *partials_find(const struct partials *partials, const uint8_t content_id[static 32],
			      bool (*lets)(void *arg, const uint8_t manifest_id[static 32]),
			      void *arg);
bool partial_has(const struct partial *partial, uint64_t chunk);
/* partial_use keeps it until partial_release. */
void partial_use(struct partial *partial);
void partial_release(struct partial *partial);
/* partials_copy fills an empty list with copies, without hashes. 0, -ENOMEM or -EMFILE. */
WEFT_MUST_CHECK
int partials_copy(struct partials *partials, struct partials *out_copy);

/* partials_take puts all of from, which is empty then, in the place of what is there. */
void partials_take(struct partials *partials, struct partials *from);

/*
 * partial_read reads [off, off + len), chunks that are there; with is_waiting
 * false only if no disk must be waited for. 0, -EAGAIN or -errno. Any thread.
 */
WEFT_MUST_CHECK
int partial_read(const struct partial *partial, uint64_t off, void *dst, size_t len,
		 bool is_waiting);

#endif
