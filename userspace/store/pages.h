/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_STORE_PAGES_H
#define WEFT_STORE_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/stop.h"
#include "weft/err.h"

/*
 * A reader of LMDB's data file (format 1 of LMDB 0.9, 64 bit) that trusts
 * none of its bytes. LMDB follows whatever a page says; a damaged one ends
 * in a signal or a loop. This reader goes over the same pages first, with
 * reads instead of a mapping, and checks all that LMDB relies on. That is
 * heads, bounds, the order of keys, counts, depths, and that no page has
 * two uses. Each page is read once, so it ends on any input.
 *
 * It never writes. Blocks on the disk: at start, in a job, or offline.
 */
struct pages;

#define PAGES_NAME_CAP	  32
#define PAGES_FINDING_CAP 160

struct pages_row {
	const uint8_t *key;
	size_t key_len;
	const uint8_t *value;
	size_t value_len;
};
/*
 * pages_row_fn is called for each row in key order; both parts are borrowed
 * for the call. An error ends the walk with it.
 */
typedef int (*pages_row_fn)(void *arg, const struct pages_row *row);

struct pages_config {
	int fd;	     /* of the data file, borrowed */
	bool is_txn; /* the state of commit txn_id and no other; else the newest */
	uint64_t txn_id;
	bool is_salvaging; /* go on behind a damaged page */
	/* called for each damaged page when salvaging; may be NULL */
	void (*report)(void *arg, const char *finding);
	void *arg;
	const struct store_stop
		*stop; /* borrowed until store_pages_close; NULL: no walk is ended */
};

/*
 * store_pages_open reads the meta pages, the list of databases and the free list.
 * 0, WEFT_EABSENT (an empty file), WEFT_EDAMAGED, WEFT_ECANCELLED, -ENOMEM or -errno.
 * out_finding has a sentence for WEFT_EDAMAGED.
 */
WEFT_MUST_CHECK
int store_pages_open(const struct pages_config *config, struct pages **out_pages,
		     char out_finding[static PAGES_FINDING_CAP]);
void store_pages_close(struct pages *pages);

/*
 * Several threads may have walks open, as long as only one runs at a time. A walk
 * may be held up for another inside the call of stop.
 *
 * store_pages_walk reads a database whole; fn may be NULL. 0 (also for one that
 * is not there), WEFT_EDAMAGED, WEFT_ECANCELLED, what fn returned, -ENOMEM or
 * -errno. For a database that was walked before it returns WEFT_EDAMAGED, as each
 * page is read once. A walk that ended without a verdict may be repeated.
 */
WEFT_MUST_CHECK
int store_pages_walk(struct pages *pages, const char *database, pages_row_fn fn, void *arg);
/* store_pages_cnt: the pages a database says it has; 0 when it is not there. */
uint64_t store_pages_cnt(const struct pages *pages, const char *database);
/*
 * store_pages_lost walks the leaves that neither a database nor the free list
 * refers to: where a damaged branch led. Rows come in no order and of any
 * database. After all databases, and only when salvaging.
 */
WEFT_MUST_CHECK
int store_pages_lost(struct pages *pages, pages_row_fn fn, void *arg);
/* store_pages_finding: what the last WEFT_EDAMAGED of store_pages_walk was about. */
const char *store_pages_finding(const struct pages *pages);

#endif
