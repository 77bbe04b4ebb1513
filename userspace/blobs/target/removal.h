/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_TARGET_REMOVAL_H
#define WEFT_BLOBS_TARGET_REMOVAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/thread/jobs.h"
#include "link_claims.h"
#include "target_dir.h"
#include "blobs/object.h"
#include "blobs/manifest/manifest.h"
#include "weft/err.h"

struct manifest_item;
struct store;
struct store_snapshot;

/*
 * Takes the files of a collection out of the folder into which a get put them. It takes files
 * that the get wrote, that no other get claimed since, and whose bytes are still those of the
 * collection. It also takes symbolic links that the get claimed (link_claims.h). Everything else
 * stays and is counted. It may be ended at any point and begun again.
 *
 * Its own job, one at a time: home makes it, submits it until it is over, and reads it between
 * two runs.
 */
struct removal {
	struct job job; /* first */
	struct store *store;
	void *owner;	      /* for job.done */
	struct target target; /* of fd alone; fd -1: not open yet */
	struct target_dir dir;
	char path[OBJECT_PATH_LEN_MAX]; /* of the folder */
	uint8_t got_id[OBJECT_ID_LEN];	/* the manifest that the get's link names */
	bool has_newer;			/* what newer_id's get claims now is not looked at */
	uint8_t newer_id[OBJECT_ID_LEN];
	uint64_t get_id, newer_get_id; /* their claims of symbolic links count; 0: none */
	struct link_claims newer_links;
	uint8_t *ids; /* its own, then those of parts: 32 bytes each */
	uint32_t id_cnt, id_at;
	struct stored_manifest stored; /* of ids[id_at], if it is loaded */
	uint32_t item_at;
	int versions_fd; /* what goes is moved there; -1: it is removed */
	bool is_over;
	int err; /* of the folder or the store as a whole */
	uint64_t removed_cnt, kept_cnt, kept_len;
	char first_kept[256]; /* an example, for people */
};

/* blobs_removal_new: part_ids (32 bytes each) are copied. NULL: no memory. blobs_removal_free takes NULL. */
struct removal *blobs_removal_new(struct store *store, const char *path,
				  const uint8_t got_id[static OBJECT_ID_LEN],
				  const uint8_t *part_ids, uint32_t part_cnt);
void blobs_removal_free(struct removal *removal);
/* blobs_removal_run is the job: some of the files, until is_over. Waits on the disk. */
void blobs_removal_run(struct job *job);

/*
 * blobs_placed_is_unchanged: the open file fd, at file->path, is what a get wrote there, of its
 * record file: by its stamp, or else by its bytes. Context: a job; reads the file.
 */
bool blobs_placed_is_unchanged(const struct object_file *file, int fd);

#endif
