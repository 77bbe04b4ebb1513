/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_COMMUNITY_RECORD_PAGE_CURSOR_H
#define WEFT_COMMUNITY_RECORD_PAGE_CURSOR_H

#include <stddef.h>
#include <stdint.h>

#include "community_record.h"

/*
 * The place where the next page begins, as the asker gets it. It is bytes that only this node
 * reads, under a keyed BLAKE3 of all that they hold for. So no other node can make one, change
 * one, or use one for another community, question or asker.
 *
 *	version u8 | kind u8 | issued s u64be | position 32 | MAC 16
 *
 * Pure.
 */
enum community_cursor_kind {
	COMMUNITY_CURSOR_MEMBERS = 1,
	COMMUNITY_CURSOR_SHARES = 2,
	COMMUNITY_CURSOR_SEARCH = 3,
	COMMUNITY_CURSOR_EVENTS = 4,
};
#define COMMUNITY_CURSOR_LEN	 58u
#define COMMUNITY_CURSOR_KEY_LEN 32u
#define COMMUNITY_PLACE_LEN	 32u
#define COMMUNITY_PAGE_LIFE_S	 600u	      /* of those to the next page */
#define COMMUNITY_EVENTS_LIFE_S	 (7u * 86400) /* as long as a record's: later, all is news */

struct community_cursor {
	uint64_t issued_s;
	uint8_t place[COMMUNITY_PLACE_LEN]; /* of a row, or an event's u64be */
};

/* The question a cursor holds for, beside itself, and the key of its MAC. */
struct community_cursor_scope {
	const uint8_t *key; /* COMMUNITY_CURSOR_KEY_LEN */
	enum community_cursor_kind kind;
	const uint8_t *id;    /* COMMUNITY_ID_LEN */
	const uint8_t *asker; /* COMMUNITY_KEY_LEN */
	const void *question; /* the fields that stay the same from page to page; may be none */
	size_t question_len;
};

void community_cursor_write(const struct community_cursor_scope *scope,
			    const struct community_cursor *cursor,
			    uint8_t out[static COMMUNITY_CURSOR_LEN]);
/*
 * community_cursor_parse: 0, WEFT_EMALFORMED (its length, or another kind) or WEFT_EDAMAGED (not
 * made here, for this). WEFT_ESTALE: it is too old, or from the future; the asker begins again
 * from the start.
 */
WEFT_MUST_CHECK
int community_cursor_parse(const struct community_cursor_scope *scope, const uint8_t *bytes,
			   size_t len, uint64_t wall_s, struct community_cursor *out_cursor);

#endif
