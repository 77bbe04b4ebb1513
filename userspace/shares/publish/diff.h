/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SHARES_PUBLISH_DIFF_H
#define WEFT_SHARES_PUBLISH_DIFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/err.h"

struct jobs;
struct store;

/*
 * The difference of two revisions: by path, which files came, went, or have other content. Parts
 * that both have are not read. Manifests are read by a job, one part of each side at a time.
 * Home worker; done is never called inside the call.
 */
#define DIFF_LINES_MAX 10000u /* listed; all are counted */

enum diff_kind { DIFF_ADDED, DIFF_REMOVED, DIFF_CHANGED, DIFF_KIND_CNT };

struct diff_line {
	enum diff_kind kind;
	char *path;
	uint64_t before_len, after_len; /* 0: it is not there */
};
struct diff {
	uint64_t cnts[DIFF_KIND_CNT];
	struct diff_line *lines; /* ascending by path */
	uint32_t line_cnt;
	bool is_cut; /* there are more than DIFF_LINES_MAX */
};

/*
 * shares_diff_start compares the manifests before and after, which may be of any share. Returns 0,
 * WEFT_EFULL or -ENOMEM. done gets a diff that is lent for the call, or an error: WEFT_EABSENT (a
 * manifest is not here), WEFT_EDAMAGED, -ENOMEM, -errno. It is not called once jobs are freed.
 */
typedef void (*diff_done_fn)(void *arg, int err, const struct diff *diff);
struct diff_ask {
	const uint8_t *before, *after; /* manifest ids, 32 bytes each */
	diff_done_fn done;
	void *arg;
};
WEFT_MUST_CHECK
int shares_diff_start(struct store *store, struct jobs *jobs, const struct diff_ask *ask);

#endif
