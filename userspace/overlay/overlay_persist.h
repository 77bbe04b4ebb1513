/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_OVERLAY_OVERLAY_PERSIST_H
#define WEFT_OVERLAY_OVERLAY_PERSIST_H

#include <stdint.h>

#include "base/list.h"
#include "base/memory/pool.h"
#include "values.h"
#include "mesh/seam.h"

struct store;
struct store_batch;

/*
 * Values on the disk. Changes are collected for a moment, then written as one batch. A peer that
 * stores a value is answered when that is durable, so acknowledged values survive any crash.
 * Without a store all is durable at once.
 */
#define OVERLAY_KEEP_WINDOW_NS 5000000ull /* changes are collected for so long, */
#define OVERLAY_KEEP_BYTES_MAX                                                                     \
	(4 * 1024 * 1024)	     /* or until they are so many; four times that is refused */
#define OVERLAY_KEEP_WAITER_CAP 1024 /* askers waiting, more: busy */
#define OVERLAY_KEEP_COMMIT_CAP 8    /* batches on their way */

struct overlay_keep {
	struct store *store; /* NULL: nothing is kept */
	const struct mesh_ops *ops;
	struct store_batch *batch; /* NULL: nothing has changed */
	size_t batch_len;
	uint64_t due_ns; /* batch is submitted then */
	struct list_node waiting;
	struct pool waiters, commits;
	uint64_t *failed_cnt;
};

/* A record of STORE_OVERLAY as it is read back; borrowed. */
struct overlay_record {
	const uint8_t *key, *writer;
	uint8_t tag;
	uint64_t until_s; /* wall clock */
	struct overlay_claim claim;
	struct addr source;
	const uint8_t *name;
	size_t name_len;
	const uint8_t *value;
	size_t value_len;
};

/* overlay_keep_init: failed_cnt counts values that were not acknowledged: the disk failed. */
WEFT_MUST_CHECK
int overlay_keep_init(struct overlay_keep *keep, struct arena *arena, struct store *store,
		      const struct mesh_ops *ops, uint64_t *failed_cnt);
/* overlay_keep_fini waits until what was submitted is durable, and answers no more. */
void overlay_keep_fini(struct overlay_keep *keep);

/* overlay_keep_put: until_s is kept->until_ns on the wall clock. 0, -ENOMEM, or WEFT_EFULL: the disk lags. */
WEFT_MUST_CHECK
int overlay_keep_put(struct overlay_keep *keep, const struct overlay_stored *kept, uint64_t until_s,
		     uint64_t now_ns);
void overlay_keep_delete(struct overlay_keep *keep, const struct overlay_stored *kept,
			 uint64_t now_ns);
/* overlay_keep_forget deletes a record that was read back and is of no use. */
void overlay_keep_forget(struct overlay_keep *keep, const struct overlay_record *record,
			 uint64_t now_ns);
/* overlay_keep_answer tells incoming that its value is kept for stored_s, once what was put is durable. */
void overlay_keep_answer(struct overlay_keep *keep, struct mesh_incoming *incoming,
			 uint64_t stored_s);
/* overlay_keep_each calls fn for every record that can be read. 0 or -errno. */
WEFT_MUST_CHECK
int overlay_keep_each(struct overlay_keep *keep,
		      void (*fn)(void *arg, const struct overlay_record *record), void *arg);

void overlay_keep_expire(struct overlay_keep *keep, uint64_t now_ns);
uint64_t overlay_keep_next_ns(const struct overlay_keep *keep);

/* overlay_record_parse reads a record's key and value. 0, WEFT_ENEWER or WEFT_EMALFORMED. */
WEFT_MUST_CHECK
int overlay_record_parse(const uint8_t *key, size_t key_len, const uint8_t *data, size_t len,
			 struct overlay_record *out_record);

#endif
