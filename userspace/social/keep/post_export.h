/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_KEEP_POST_EXPORT_H
#define WEFT_SOCIAL_KEEP_POST_EXPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "social/keep/post_store.h"

struct store;

/*
 * Posts and deletions as they lie on the disk, in slices. Each is read in a snapshot of its own, so none
 * is held for long. What is put meanwhile may be left out. Any thread; waits on the disk.
 */
struct posts_export {
	unsigned shares; /* a bit for each enum post_share that is wanted */
	bool has_pinned; /* and pinned posts of any share */
	uint8_t from[POST_ID_LEN];
	bool has_from;	  /* behind that one; the functions set both */
	unsigned cnt_max; /* rows that are looked at */
	size_t len_max;	  /* bytes that are given, and one post more at most */
};
typedef void (*posts_export_fn)(void *arg, const struct post_view *view,
				const struct post_parts *parts);
typedef void (*posts_export_gone_fn)(void *arg, const uint8_t *post, const void *bytes, size_t len);
/* 1: there is more; 0: that was all; WEFT_EDAMAGED or -errno. */
WEFT_MUST_CHECK
int social_posts_export(struct store *store, struct posts_export *slice, posts_export_fn fn,
			void *arg);
WEFT_MUST_CHECK
int social_posts_export_gone(struct store *store, struct posts_export *slice,
			     posts_export_gone_fn fn, void *arg);

#endif
