/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_BUNDLE_BUNDLE_IMPORT_H
#define WEFT_SOCIAL_BUNDLE_BUNDLE_IMPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "social/bundle/bundle_file.h"

struct groups;
struct intake;
struct people;
struct post_store;
struct social_read;
struct social_write;

/*
 * Reads a bundle (bundle_file.h) into a node. The whole file is looked at before anything of it is taken:
 * first that it is whole, then each record, with the signatures in it. One that is forged refuses all.
 *
 *	read (a job) -> judge (the same) ... -> read -> apply (home worker, a few at a time) ... -> done
 *
 * Each object then goes the way of any other. Posts, readers and deletions go through the intake. The rest
 * is as if the person at this node had said it. So what is here stays, and a second run changes nothing. A run
 * that ends in between leaves what it took; the next one goes on with the rest.
 */
struct bundle_import;

/* All borrowed. */
struct bundle_import_params {
	struct people *people;
	struct groups *groups;
	struct intake *intake;
	struct post_store *posts;
	struct social_read *read;
	struct social_write *write;
	const char *path;
	const char *passphrase; /* or NULL */
};

/* left: not taken, for first_why; of a post or a person that first_left names, or zeros. */
struct bundle_import_count {
	uint64_t record_cnt, at_cnt;  /* in the file; judged, then taken so far */
	uint64_t post_cnt, other_cnt; /* that are new here */
	uint64_t known_cnt, left_cnt;
	bool is_judged;
	uint8_t first_left[32];
	const char *first_why; /* NULL: none was left out */
};
/* Why a file was refused, and which object it was. */
struct bundle_import_fault {
	const char *why; /* static */
	uint8_t id[32];	 /* of the post or person; zeros: of none */
	uint64_t off;
};

WEFT_MUST_CHECK
int social_bundle_import_new(const struct bundle_import_params *params,
			     struct bundle_import **out_import);
/* social_bundle_import_free: what waits for the disk ends by itself. Takes NULL. */
void social_bundle_import_free(struct bundle_import *import);
/*
 * social_bundle_load reads on: 1, apply is next, or load once more; 0, that was all; or the file's fault:
 * WEFT_EMALFORMED, WEFT_EDAMAGED, WEFT_ESEALED, WEFT_EWRONGKEY, WEFT_EUNKNOWN or -errno. Any thread, and
 * waits on the disk.
 */
WEFT_MUST_CHECK
int social_bundle_load(struct bundle_import *import, struct bundle_import_fault *out_fault);
/*
 * social_bundle_apply takes a few records of what was loaded: 1, call it again in a moment; 0, load; or
 * -EIO, the disk takes nothing. Home worker; nothing blocks.
 */
WEFT_MUST_CHECK
int social_bundle_apply(struct bundle_import *import, uint64_t now_ns);
void social_bundle_import_count(const struct bundle_import *import,
				struct bundle_import_count *out_count);

#endif
