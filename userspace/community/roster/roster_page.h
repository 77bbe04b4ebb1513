/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_COMMUNITY_ROSTER_ROSTER_PAGE_H
#define WEFT_COMMUNITY_ROSTER_ROSTER_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "community/record/community_message.h"

struct community;
struct store_snapshot;

/*
 * One page of a roster, for a peer or for a caller here. Pages go by keys, events by their
 * numbers; a cursor says where the next begins. Expired records are on no page. Records of left
 * members and ended shares are on those for peers, which have to learn of it.
 */
enum listing_kind { LISTING_MEMBERS, LISTING_SHARES, LISTING_OWN_SHARES, LISTING_EVENTS };

struct listing {
	const struct community *community;
	enum listing_kind kind;
	const uint8_t *asker; /* COMMUNITY_KEY_LEN */
	unsigned limit;	      /* in [1, COMMUNITY_PAGE_MAX] */
	unsigned first_bucket, last_bucket;
	bool is_live_only; /* only members that joined and shares that are bound */
	/* Filled: records are borrowed from the snapshot, page.cursor points to cursor. */
	struct community_page page;
	uint8_t cursor[COMMUNITY_CURSOR_LEN];
	/* Private. */
	uint8_t place[COMMUNITY_PLACE_LEN];
	uint64_t wall_s;
	size_t len; /* of records on the page */
};

/* community_listing_begin: 0, or what is wrong with the cursor (len 0: from the start). */
WEFT_MUST_CHECK
int community_listing_begin(struct listing *listing, const uint8_t *cursor, size_t len);
/* community_listing_fill: 0 or -errno. */
WEFT_MUST_CHECK
int community_listing_fill(struct listing *listing, struct store_snapshot *snapshot);
/* community_listing_events_cursor: after which come the events from event on. */
void community_listing_events_cursor(const struct community *community, const uint8_t *asker,
				     uint64_t event, uint8_t out[static COMMUNITY_CURSOR_LEN]);

#endif
