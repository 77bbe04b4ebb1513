/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_HELD_MANIFESTS_H
#define WEFT_BLOBS_HELD_MANIFESTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/err.h"

struct blobs;

/* Regions at the finest depth, as bits. */
#define HELD_REGION_CNT 4096u

/* The facts in the bytes of a manifest; a manifest id stands for these bytes for ever. */
struct held_manifest {
	bool is_signed, is_public;
	bool is_hidden;	   /* it stands in no public record */
	uint64_t item_cnt; /* with those of its parts */
	bool has_regions;  /* else: its items may be in any */
	uint8_t regions[HELD_REGION_CNT / 8];
};

/*
 * The source of announcements: of blobs/ in a daemon, made up in tests and benches.
 *
 * manifests_each lists the held manifests that stand on their own. Home worker.
 * look reads one of them: 0, WEFT_EABSENT, or why it cannot be read. A job's thread.
 * open gives a view of the files that are served and belong to a manifest for which
 *     is_wanted says yes, which it is asked within the call; NULL: no memory. Home worker.
 * each lists the content ids of a view, ascending, each once, from the first that is not less than
 *     from, until fn returns false. 0 or -errno. A job's thread.
 * close ends a view. Home worker.
 */
struct blobs_held_ops {
	void (*manifests_each)(void *ctx, bool (*fn)(void *arg, const uint8_t id[static 32]),
			       void *arg);
	int (*look)(void *ctx, const uint8_t id[static 32], struct held_manifest *out_manifest);
	void *(*open)(void *ctx, bool (*is_wanted)(void *arg, const uint8_t id[static 32]),
		      void *arg);
	int (*each)(void *view, const uint8_t from[static 32],
		    bool (*fn)(void *arg, const uint8_t id[static 32]), void *arg);
	void (*close)(void *view);
};

struct blobs_held {
	const struct blobs_held_ops *ops;
	void *ctx;
};

/* blobs_held_of: what content's shares, gets and holders have. */
struct blobs_held blobs_held_of(struct blobs *content);

#endif
