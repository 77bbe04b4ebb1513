/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_SYNC_POST_RANGES_H
#define WEFT_SOCIAL_SYNC_POST_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "social/keep/post_index.h"

/*
 * How two nodes find which posts one of them lacks. It costs what differs, not what they hold
 * (range-based set reconciliation, A. Meyer, 2022). The order of posts is cut into ranges, and
 * a message says of each range one of:
 *
 *	skip		nothing is to be done
 *	fingerprint	a hash of the rows in it
 *	list		the rows in it, and the answer is to say what it lacks
 *	answer		rows that a list lacked
 *
 * A row is the id of a post, and the low bits of the number of its visibility. So a post whose
 * readers changed differs like one that is new.
 *
 * A node goes through a message range by range, and writes the next one. Where a fingerprint is that
 * of its own posts it skips. Where it differs, it lists its own rows, if there are few. Else it cuts
 * the range into RANGE_PARTS, with a fingerprint each. Of lists and answers it learns which posts
 * it lacks.
 *
 *	message: [[end time, end id 0 to 32, kind, fingerprint 16 or rows 34 each], ...]
 *
 * A range goes to the end that it says, which is not in it, and begins where the one before ends.
 * Ends ascend. An end's id is cut to the bytes that part it from the row before, and is read with
 * zeros behind it. What lies behind the last end is skipped. The end with the time
 * RANGE_TIME_MAX is behind all posts. Rows ascend.
 *
 * Each side says which of its posts count, and those are such that the other may know of. So nothing is
 * learnt of further ones, not even that they are there. Pure, and without memory between messages.
 */
#define RANGE_PARTS	  16u
#define RANGE_LIST_MAX	  32u /* rows that are listed and not cut */
#define RANGE_ROW_LEN	  (POST_ID_LEN + 2u)
#define RANGE_PRINT_LEN	  16u
#define RANGE_TIME_MAX	  UINT64_MAX
#define RANGE_MESSAGE_MAX (48u << 10)

/* The own posts, of which may_have says which count. NULL: all. */
struct range_posts {
	const struct post_index *index;
	bool (*may_have)(void *ctx, const struct post_row *row);
	/* the peer has a row that may_have does not give of the own ones, of a list or answer */
	void (*lacking)(void *ctx, const uint8_t row[static RANGE_ROW_LEN]);
	/* a list of the peer has no such row, and the answer says it; may be NULL */
	void (*said)(void *ctx, const struct post_row *row);
	void *ctx;
};

/* social_ranges_row writes the row of a post. */
void social_ranges_row(const struct post_row *row, uint8_t out[static RANGE_ROW_LEN]);
/* social_ranges_open writes the message that begins: one range over all. */
void social_ranges_open(const struct range_posts *posts, struct writer *out);
/*
 * social_ranges_answer reads a message and writes the next one into out, which has
 * RANGE_MESSAGE_MAX bytes. What finds no room there comes with a later message: a fingerprint
 * over the rest stands for it. Returns 1 when the next one is to be sent, 0 when nothing is left
 * to say, or WEFT_EMALFORMED; then lacking may have been called.
 */
WEFT_MUST_CHECK
int social_ranges_answer(const struct range_posts *posts, const void *bytes, size_t len,
			 struct writer *out);

#endif
