/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_BUNDLE_BUNDLE_EXPORT_H
#define WEFT_SOCIAL_BUNDLE_BUNDLE_EXPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "weft/err.h"

struct groups;
struct people;
struct social_read;
struct store;

/*
 * Writes a bundle (bundle_file.h) of what a node has, in slices. social_bundle_gather copies what is in
 * memory, on the home worker. social_bundle_slice writes that and some of the posts, in a job. The file
 * appears at its path when all of it is on the disk. A crash leaves the one that was there.
 */
struct bundle_export;

#define BUNDLE_PATH_CAP 4096u

struct bundle_export_params {
	struct people *people; /* all borrowed */
	struct social_read *read;
	struct groups *groups;
	struct store *store;
	const char *path;	     /* absolute */
	const char *passphrase;	     /* NULL: the file is not sealed */
	bool has_keys;		     /* only with a passphrase */
	bool has_others, has_hosted; /* posts of other people; what is kept for others */
	bool replaces;		     /* a file that is there */
};
struct bundle_export_count {
	uint64_t post_cnt, deletion_cnt, profile_cnt, person_cnt, byte_cnt;
	bool is_sealed;
};
/* social_bundle_export_new: 0, -ENOMEM, or WEFT_ETOOLARGE: the path. free takes NULL, and removes what is not whole. */
WEFT_MUST_CHECK
int social_bundle_export_new(const struct bundle_export_params *params,
			     struct bundle_export **out_export);
void social_bundle_export_free(struct bundle_export *export);
/* social_bundle_gather: 0 or -ENOMEM. Home worker, before each slice. */
WEFT_MUST_CHECK
int social_bundle_gather(struct bundle_export *export);
/*
 * social_bundle_slice: 1, there is more; 0, the file is there; or -EEXIST, WEFT_EDAMAGED (of the store) or
 * -errno. Any thread; waits on the disk, and for a second on a passphrase.
 */
WEFT_MUST_CHECK
int social_bundle_slice(struct bundle_export *export);
void social_bundle_export_count(const struct bundle_export *export,
				struct bundle_export_count *out_count);

#endif
