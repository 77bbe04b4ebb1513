/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_SYNC_SYNC_MESSAGE_H
#define WEFT_SOCIAL_SYNC_SYNC_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "crypto/node_key.h"
#include "social/keep/post_index.h"
#include "social/object/social_address.h"
#include "social/sync/post_ranges.h"
#include "weft/err.h"

/*
 * Messages 600 to 606 (docs/wire/social.md). Parsing gives 0 or WEFT_EMALFORMED; pointers borrow what
 * was parsed. Pure, and thread-safe.
 *
 *	HELLO 600	{0 follows?, 1 more?, 2 [proof]?, 3 question, 4 author?, 5 time?, 6 id?, 7 ranges?}
 *	POSTS 601	{0 follows?, 1 [profile]?, 2 [deletion]?, 3 rows?, 4 time?, 5 id?, 6 ranges?, 7 [record]?}
 *	POST_GET 602	{0 posts?, 1 visibilities?, 2 author?}
 *	POST_DATA 603	{0 [[id, post, claim, visibility]], 1 rest?}
 *	604, 605, 606	{0 object}	answered by {}
 *
 * Follows are keys of 32 bytes behind each other, which ascend. Rows are ids of 32 bytes, each with the
 * low byte of its visibility's number. 601 as a request offers rows, and is answered by {}.
 */
#define SYNC_FOLLOWS_MAX       4096u /* of one peer */
#define SYNC_FOLLOWS_PER_HELLO 1024u
#define SYNC_PROOFS_MAX	       16u
#define SYNC_PROOF_LEN_MAX     256u
#define SYNC_ROWS_MAX	       10000u /* of an answer: then there is a cursor */
#define SYNC_OFFERED_MAX       64u    /* rows of a request 601 */
#define SYNC_ROW_LEN	       RANGE_ROW_LEN
#define SYNC_PROFILES_MAX      8u
#define SYNC_PROFILE_LEN_MAX   (24u << 10)
#define SYNC_RECORDS_MAX       9u /* address records: the answerer's own, and of anchors */
#define SYNC_RECORD_LEN_MAX    SOCIAL_ADDRESS_LEN_MAX
#define SYNC_DELETIONS_MAX     64u
#define SYNC_DELETION_LEN_MAX  256u
#define SYNC_GET_MAX	       64u /* posts of a page, and visibilities */
#define SYNC_OBJECT_LEN_MAX    (64u << 10)
/* What a POST_DATA has around the bytes of each post, and around all of them. */
#define SYNC_POST_HEAD_LEN 64u
#define SYNC_PAGE_HEAD_LEN 32u

enum sync_question {
	SYNC_GREET,  /* nothing but follows, proofs and profiles */
	SYNC_LIST,   /* the newest posts below a cursor */
	SYNC_RANGES, /* what both lack (post_ranges.h) */
};

/* A byte string of an array. */
struct sync_bytes {
	const uint8_t *bytes;
	size_t len;
};

/* A place in the order of posts. */
struct sync_cursor {
	bool is_set;
	uint64_t time_ms;
	uint8_t id[POST_ID_LEN];
};

struct sync_hello {
	const uint8_t *follows; /* NULL: as before */
	size_t follows_len;
	bool more; /* follows come on top of those before */
	struct sync_bytes proofs[SYNC_PROOFS_MAX];
	uint16_t proof_cnt;
	enum sync_question question;
	const uint8_t *author;	   /* LIST: public posts of this author alone; or NULL */
	struct sync_cursor cursor; /* LIST: posts before it */
	const uint8_t *ranges;
	size_t ranges_len;
};

struct sync_answer {
	const uint8_t *follows; /* the answerer's; NULL: the asker is not to know */
	size_t follows_len;
	struct sync_bytes profiles[SYNC_PROFILES_MAX];
	uint16_t profile_cnt;
	struct sync_bytes deletions[SYNC_DELETIONS_MAX];
	uint16_t deletion_cnt;
	const uint8_t *rows;
	size_t rows_len;
	struct sync_cursor cursor; /* there are more before it */
	const uint8_t *ranges;	   /* NULL: nothing is left to say */
	size_t ranges_len;
	/* Of this node, and of anchors that the profiles name, each as its own node signed it. */
	struct sync_bytes records[SYNC_RECORDS_MAX];
	uint16_t record_cnt;
};

struct sync_get {
	const uint8_t *posts; /* ids behind each other */
	size_t posts_len;
	const uint8_t *visibilities; /* of posts that the asker has */
	size_t visibilities_len;
	const uint8_t *author; /* as of HELLO */
};

/* A visibility alone has no post and no claim. */
struct sync_post {
	const uint8_t *id;
	struct sync_bytes post, claim, visibility;
};
struct sync_page {
	struct sync_post posts[2 * SYNC_GET_MAX];
	uint16_t post_cnt;
	bool has_rest; /* posts asked for behind the last one found no room */
};

void social_sync_hello_write(struct writer *w, const struct sync_hello *hello);
WEFT_MUST_CHECK
int social_sync_hello_parse(const void *bytes, size_t len, struct sync_hello *out_hello);
void social_sync_answer_write(struct writer *w, const struct sync_answer *answer);
WEFT_MUST_CHECK
int social_sync_answer_parse(const void *bytes, size_t len, struct sync_answer *out_answer);
void social_sync_get_write(struct writer *w, const struct sync_get *get);
WEFT_MUST_CHECK
int social_sync_get_parse(const void *bytes, size_t len, struct sync_get *out_get);
void social_sync_page_write(struct writer *w, const struct sync_page *page);
WEFT_MUST_CHECK
int social_sync_page_parse(const void *bytes, size_t len, struct sync_page *out_page);
void social_sync_object_write(struct writer *w, const void *object, size_t len);
WEFT_MUST_CHECK
int social_sync_object_parse(const void *bytes, size_t len, struct sync_bytes *out_object);

/*
 * Proofs of a HELLO: objects that a key signs for one session, so that they are of no use in another.
 *
 *	groupproof	0 group 32 | 1 epoch | 2 session 16	signed by the epoch's group key
 *	persona		0 session 16				signed by the persona
 *
 * social_sync_proof_read: 0, WEFT_EMALFORMED, WEFT_EDAMAGED, or WEFT_EREFUSED: it is of another session.
 */
#define SYNC_SESSION_LEN 16u
struct sync_proof {
	bool is_group;
	uint8_t key[NODE_KEY_LEN]; /* its signer */
	uint8_t group[32];
	uint64_t epoch;
};
void social_sync_proof_write(struct writer *w, const struct sync_proof *proof,
			     const uint8_t session[static SYNC_SESSION_LEN],
			     const struct node_key *key);
WEFT_MUST_CHECK
int social_sync_proof_read(const struct sync_bytes *bytes,
			   const uint8_t session[static SYNC_SESSION_LEN],
			   struct sync_proof *out_proof);

#endif
