/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_OFFERS_STORE_OFFER_KEEP_H
#define WEFT_OFFERS_STORE_OFFER_KEEP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/memory/pool.h"
#include "offer_record.h"

struct arena;
struct offer_row;
struct store;
struct store_batch;

/*
 * Offers on their way to the disk. Changes are collected for a moment, then written as one batch
 * (group commit). Until a record is durable its bytes are in a block of memory, from which they
 * are read. Providers fill it, as fast as they are let in: a put is refused when the disk lags by
 * OFFER_KEEP_LAG_MAX bytes. Blocks are the allocator's, as those of batches are: a pool of pieces
 * would keep the sizes that came first. No done is called before its batch is durable.
 */
#define OFFER_KEEP_LAG_MAX    (16u << 20) /* bytes of records on their way */
#define OFFER_KEEP_WAITER_CAP 16384u	  /* puts that wait for their done */
#define OFFER_KEEP_COMMIT_CAP 8u	  /* batches on their way */

struct offer_pending {
	struct list_node node;
	struct offer_row *row; /* NULL: the row has newer bytes, or left */
	size_t len;
	uint8_t bytes[]; /* the record */
};

struct offer_keep {
	struct store *store;
	bool is_open;		   /* something has changed */
	struct store_batch *batch; /* of what has; NULL: there was no memory for it */
	size_t batch_len;
	uint64_t due_ns;		   /* batch is submitted then */
	struct list_node pending, waiting; /* of batch */
	struct pool waiters, commits;
	size_t lag_len;	     /* bytes of records on their way */
	uint64_t failed_cnt; /* records that were not durable */
	/* A record failed: row->pending is NULL again, and what the database has holds. */
	void (*revert)(void *arg, struct offer_row *row);
	void *arg;
};

WEFT_MUST_CHECK
int offers_keep_init(struct offer_keep *keep, struct arena *arena, struct store *store);
/* offers_keep_fini writes what waits, and calls no done. Takes a zeroed keep. */
void offers_keep_fini(struct offer_keep *keep);

/*
 * offers_keep_reserve gives a block for a record of len bytes, which the caller fills, and a place
 * for its done; NULL: the disk lags. offers_keep_put takes it, offers_keep_cancel gives it back.
 */
struct offer_pending *offers_keep_reserve(struct offer_keep *keep, size_t len);
void offers_keep_cancel(struct offer_keep *keep, struct offer_pending *pending);
/* offers_keep_put writes pending under order; row is whose it is. done may be NULL. */
struct offer_keep_put {
	struct offer_row *row;
	uint64_t order, now_ns;
	void (*done)(void *arg, int err);
	void *arg;
};
void offers_keep_put(struct offer_keep *keep, struct offer_pending *pending,
		     const struct offer_keep_put *put);
void offers_keep_delete(struct offer_keep *keep, uint64_t order, uint64_t now_ns);

void offers_keep_expire(struct offer_keep *keep, uint64_t now_ns);
uint64_t offers_keep_next_ns(const struct offer_keep *keep);

#endif
