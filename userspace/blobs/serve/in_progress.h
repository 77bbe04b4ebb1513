/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_SERVE_IN_PROGRESS_H
#define WEFT_BLOBS_SERVE_IN_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "weft/err.h"

/*
 * Files that a get is fetching: what of them is verified and written is served while the rest is
 * on its way. The get adds a file, notes its chunks and drops it; a reader keeps its descriptor
 * open meanwhile. When one content is fetched twice, the file with most chunks is found. All of
 * one worker; a job may read from an in-progress file that its owner holds.
 *
 * Another worker has a copy of home's list, taken now and then
 * (blobs_in_progress_copy_list): the descriptors are the process's and are duplicated.
 */
#define IN_PROGRESS_MAX 64u /* more files at once are fetched, but not served */
#define IN_PROGRESS_SPARE                                                                          \
	8u /* of files that ended, kept for those that come: no memory is taken for each */
#define IN_PROGRESS_BITS_FEW                                                                       \
	512u /* bytes, for files of up to 1 GiB, that take no memory of their own */

struct in_progress_file {
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
	uint8_t bits_few[IN_PROGRESS_BITS_FEW]; /* where bits points if they fit */
};

struct in_progress {
	struct list_node list, spare;
	uint32_t cnt, spare_cnt;
	bool is_changed; /* since it was last copied */
};

void blobs_in_progress_init(struct in_progress *in_progress);
/* blobs_in_progress_fini frees what is not in use; the last user frees the rest. */
void blobs_in_progress_fini(struct in_progress *in_progress);
/*
 * blobs_in_progress_add: a file of which nothing is there yet; fd is duplicated,
 * hashes (chunk_cnt of them) are borrowed until blobs_in_progress_drop. NULL: no room,
 * memory or descriptor; then it is not served until it is whole.
 */
struct in_progress_file *blobs_in_progress_add(struct in_progress *in_progress,
					       const uint8_t content_id[static 32], uint64_t size,
					       int fd, const uint8_t *hashes);
/* blobs_in_progress_file_set_manifest: the get is of manifest_id; a file of none is served to no peer. */
void blobs_in_progress_file_set_manifest(struct in_progress_file *file,
					 const uint8_t manifest_id[static 32]);
/* blobs_in_progress_file_note: chunk was verified and written. */
void blobs_in_progress_file_note(struct in_progress *in_progress, struct in_progress_file *file,
				 uint64_t chunk);
/* blobs_in_progress_drop: no lookup finds it any more; takes NULL. */
void blobs_in_progress_drop(struct in_progress *in_progress, struct in_progress_file *file);

/*
 * blobs_in_progress_find: of the files that lets says yes of, the one with the most chunks.
 * Borrowed, or NULL.
 */
struct in_progress_file *
blobs_in_progress_find(const struct in_progress *in_progress, const uint8_t content_id[static 32],
		       bool (*lets)(void *arg, const uint8_t manifest_id[static 32]), void *arg);
bool blobs_in_progress_file_has(const struct in_progress_file *file, uint64_t chunk);
/* blobs_in_progress_file_use keeps it until blobs_in_progress_file_release. */
void blobs_in_progress_file_use(struct in_progress_file *file);
void blobs_in_progress_file_release(struct in_progress_file *file);
/* blobs_in_progress_copy_list fills an empty list with copies, without hashes. 0, -ENOMEM or -EMFILE. */
WEFT_MUST_CHECK
int blobs_in_progress_copy_list(struct in_progress *in_progress, struct in_progress *out_copy);

/* blobs_in_progress_take puts all of from, which is empty then, in the place of what is there. */
void blobs_in_progress_take(struct in_progress *in_progress, struct in_progress *from);

/*
 * blobs_in_progress_file_read reads [off, off + len), chunks that are there; with is_waiting
 * false only if no disk must be waited for. 0, -EAGAIN or -errno. Any thread.
 */
WEFT_MUST_CHECK
int blobs_in_progress_file_read(const struct in_progress_file *file, uint64_t off, void *dst,
				size_t len, bool is_waiting);

#endif
