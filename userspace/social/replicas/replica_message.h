/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_REPLICAS_REPLICA_MESSAGE_H
#define WEFT_SOCIAL_REPLICAS_REPLICA_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "social/object/post_claim.h"
#include "social/object/replica_note.h"
#include "social/object/visibility.h"

/*
 * Messages 610 to 614 (docs/wire/social.md). Pure, and thread-safe. Parsing gives 0 or
 * WEFT_EMALFORMED; pointers borrow what was parsed.
 *
 *	CHECK 610	{0 [post 32]}	which of these does the asked node still have?
 *	STATUS 611	{0 [[post 32, note]]}	a note of the answering node for each that it has and
 *			may show to the asker, clear or sealed (object/replica_note.h)
 *	OFFER 612	{0 post 32, 1 [length of post, of claim, of visibility], 2 offset, 3 bytes?}
 *			without 3 it asks for room; with 3 it brings what follows offset of the three
 *	ACCEPT 613	{0 post 32, 1 offset}	how much of it is here: all of it, it is kept
 *	REFUSE 614	{0 post 32, 1 reason, 2 bytes left?}
 */
#define REPLICA_CHECK_MAX     64u
#define REPLICA_PIECE_LEN_MAX (60u << 10)
/* Of post, claim and visibility together. */
#define REPLICA_BYTES_MAX (POST_LEN_MAX + POST_CLAIM_LEN_MAX + VISIBILITY_LEN_MAX)

struct replica_check {
	uint8_t posts[REPLICA_CHECK_MAX][POST_ID_LEN];
	unsigned post_cnt;
};

struct replica_row {
	uint8_t post[POST_ID_LEN];
	const uint8_t *note; /* 1 to REPLICA_STORED_LEN_MAX bytes */
	size_t note_len;
};
struct replica_status {
	struct replica_row rows[REPLICA_CHECK_MAX];
	unsigned row_cnt;
};

struct replica_offer {
	uint8_t post[POST_ID_LEN];
	struct {
		uint32_t post, claim, visibility; /* bytes, none is 0 */
	} lens;
	uint32_t off;
	const uint8_t *bytes; /* 1 to REPLICA_PIECE_LEN_MAX; NULL: room is asked for */
	size_t len;
};
static inline uint32_t replica_offer_len(const struct replica_offer *offer)
{
	return offer->lens.post + offer->lens.claim + offer->lens.visibility;
}

struct replica_accept {
	uint8_t post[POST_ID_LEN];
	uint32_t off;
};

/* As numbers on the wire. */
enum replica_reason {
	REPLICA_NO_ROOM = 1,  /* the share of the asker, or the quota, is used */
	REPLICA_UNWANTED = 2, /* deleted, blocked, damaged or older than what is here */
	REPLICA_BUSY = 3,     /* later */
};
struct replica_refuse {
	uint8_t post[POST_ID_LEN];
	enum replica_reason reason;
	uint64_t room_len; /* what the node says it has left; believed by none */
};

void social_check_write(struct writer *w, const struct replica_check *check);
WEFT_MUST_CHECK
int social_check_parse(const void *bytes, size_t len, struct replica_check *out_check);
void social_status_write(struct writer *w, const struct replica_status *status);
WEFT_MUST_CHECK
int social_status_parse(const void *bytes, size_t len, struct replica_status *out_status);
void social_offer_write(struct writer *w, const struct replica_offer *offer);
/* social_offer_parse: a piece that does not lie within the lengths is malformed as well. */
WEFT_MUST_CHECK
int social_offer_parse(const void *bytes, size_t len, struct replica_offer *out_offer);
void social_accept_write(struct writer *w, const struct replica_accept *accept);
WEFT_MUST_CHECK
int social_accept_parse(const void *bytes, size_t len, struct replica_accept *out_accept);
void social_refuse_write(struct writer *w, const struct replica_refuse *refuse);
WEFT_MUST_CHECK
int social_refuse_parse(const void *bytes, size_t len, struct replica_refuse *out_refuse);

#endif
