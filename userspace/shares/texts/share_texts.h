/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SHARES_TEXTS_SHARE_TEXTS_H
#define WEFT_SHARES_TEXTS_SHARE_TEXTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "blobs/link.h"
#include "weft/err.h"

struct blobs;
struct jobs;
struct store;
struct timer_wheel;

/*
 * Small texts at the top of followed shares, those whose names have one ending, for a reader that
 * wants all of a revision at once.
 *
 *	shares_texts_want -> a job lists the top -> each file is read, from this disk or the swarm ->
 *	came
 *
 * One share is read at a time, the others wait; TEXTS_SHARES_MAX of them. What could not be read is
 * tried again, later each time. The reader names the shares, so no other node fills this. The files
 * are a publisher's, and bounded by count and length. Home worker; nothing blocks.
 */
#define TEXTS_SHARES_MAX 16u
#define TEXTS_FILES_MAX	 16u
#define TEXTS_NAME_CAP	 33u /* without the ending; longer names are left out */

struct share_texts;

struct share_text {
	char name[TEXTS_NAME_CAP]; /* without the ending */
	const char *bytes;	   /* NULL: longer than len_max */
	size_t len;
};

struct share_texts_revision {
	uint8_t share_id[32];
	uint64_t seq;
	struct share_text files[TEXTS_FILES_MAX]; /* by ascending names */
	unsigned file_cnt;
	bool has_more; /* or a name that is too long */
};

struct share_texts_params {
	struct blobs *content;
	struct store *store;
	struct jobs *jobs;
	struct timer_wheel *timers;
	const char *ending; /* ".ini" */
	size_t len_max;	    /* of a text */
	/* All texts of a revision are here. It may want and forget shares. */
	void (*came)(void *ctx, const struct share_texts_revision *revision);
	void *ctx;
};
WEFT_MUST_CHECK
int shares_texts_new(const struct share_texts_params *params, struct share_texts **out_texts);
/* shares_texts_free waits for its job. Takes NULL. */
void shares_texts_free(struct share_texts *texts);

struct share_texts_ask {
	uint8_t share_id[32];
	uint8_t manifest_id[32]; /* it and its parts are held here */
	uint64_t seq;
	const struct link_node *hints; /* nodes that have the share; copied */
	unsigned hint_cnt;
};
/* shares_texts_want: in place of an earlier revision of that share. 0, WEFT_EFULL, -ENOMEM. */
WEFT_MUST_CHECK
int shares_texts_want(struct share_texts *texts, const struct share_texts_ask *ask,
		      uint64_t now_ns);
void shares_texts_forget(struct share_texts *texts, const uint8_t share_id[static 32]);

#endif
