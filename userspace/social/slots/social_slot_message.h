/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_SLOTS_SOCIAL_SLOT_MESSAGE_H
#define WEFT_SOCIAL_SLOTS_SOCIAL_SLOT_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "weft/err.h"

/*
 * Messages of mesh slots, 630 to 636 (docs/wire/social.md). Maps of integer keys; unknown keys are
 * skipped.
 *
 *	630, 631 hail	0 flags | 1 free slots | 2 own address record?
 *	632 redirect	0 [node 32]
 *	633 share	0 version | 1 [node 32] | 2 free slots | 3 flags | 4 digest? | 5 nodes in it
 *	634 diff	0 from version | 1 to version | 2 [added 32] | 3 [removed 32] | 4 version held
 *			of the other's | 5 free slots | 6 flags | 7 [[anchor 32, address record]] |
 *			8 digest? | 9 nodes in it
 *	635 query	0 token 16 | 1 kind | 2 id 32 | 3 hops left | 4 questions of the next hop
 *	636 answer	0 kind of the finding | 1 node 32? | 2 hops | 3 its address record?
 *
 * A share and a diff name nodes by their keys alone, in no order. No field says why one is there.
 * A digest is a Bloom filter: which nodes the peers of the sender know. Pure, and thread-safe.
 */
#define SLOT_KEY_LEN	    32u
#define SLOT_IDS_MAX	    256u /* of a share, and in each list of a diff */
#define SLOT_REDIRECTS_MAX  4u
#define SLOT_RECORD_LEN_MAX 640u
#define SLOT_DIGEST_LEN_MAX 32768u
#define SLOT_ANCHORS_MAX    4u
#define SLOT_TOKEN_LEN	    16u
#define SLOT_ROOM_MAX	    101u

enum slot_flag {
	SLOT_FLAG_PREFERRED = 1, /* of a hail: a preferred slot, which is mutual */
	SLOT_FLAG_LIGHT = 2,	 /* the sender is on a battery */
	SLOT_FLAG_ANCHOR = 4,	 /* the sender is an anchor */
	SLOT_FLAG_LOST = 8,	 /* of a diff: the version held is not known any more */
};

/* All pointers of these structs are borrowed from what was parsed. */
struct slot_hail {
	uint32_t flags;
	uint8_t room;
	const uint8_t *record; /* NULL: none */
	size_t record_len;
};
#define SLOT_HAIL_LEN_MAX (16u + SLOT_RECORD_LEN_MAX)

struct slot_redirect {
	uint8_t nodes[SLOT_REDIRECTS_MAX][SLOT_KEY_LEN];
	unsigned cnt;
};
#define SLOT_REDIRECT_LEN_MAX (8u + SLOT_REDIRECTS_MAX * (SLOT_KEY_LEN + 2u))

struct slot_digest {
	const uint8_t *bits; /* NULL: none */
	size_t len;
	uint32_t cnt;
};

struct slot_share {
	uint64_t version;
	uint8_t nodes[SLOT_IDS_MAX][SLOT_KEY_LEN];
	unsigned cnt;
	uint8_t room;
	uint32_t flags;
	struct slot_digest digest;
};
#define SLOT_SHARE_LEN_MAX (64u + SLOT_IDS_MAX * (SLOT_KEY_LEN + 2u) + SLOT_DIGEST_LEN_MAX)

/* An anchor that the sender has a session with, as the anchor itself signed it. */
struct slot_anchor {
	const uint8_t *key;
	const uint8_t *record;
	size_t record_len;
};

struct slot_diff {
	uint64_t from, to;
	uint8_t added[SLOT_IDS_MAX][SLOT_KEY_LEN];
	unsigned added_cnt;
	uint8_t removed[SLOT_IDS_MAX][SLOT_KEY_LEN];
	unsigned removed_cnt;
	uint64_t held;
	uint8_t room;
	uint32_t flags;
	struct slot_anchor anchors[SLOT_ANCHORS_MAX];
	unsigned anchor_cnt;
	struct slot_digest digest;
};
#define SLOT_DIFF_LEN_MAX                                                                          \
	(96u + 2u * SLOT_IDS_MAX * (SLOT_KEY_LEN + 2u) +                                           \
	 SLOT_ANCHORS_MAX * (SLOT_RECORD_LEN_MAX + SLOT_KEY_LEN + 8u) + SLOT_DIGEST_LEN_MAX)

enum worm_kind { WORM_PERSON, WORM_POST, WORM_KIND_CNT };

struct worm_query {
	uint8_t token[SLOT_TOKEN_LEN];
	enum worm_kind kind;
	uint8_t id[SLOT_KEY_LEN];
	uint8_t hops;	/* for which the answerer may send it on */
	uint8_t budget; /* questions that it may ask */
};
#define WORM_HOPS_MAX	   2u
#define WORM_BURST_MAX	   101u
#define WORM_QUERY_LEN_MAX 72u

struct worm_answer {
	bool is_found;
	bool has_node;
	uint8_t node[SLOT_KEY_LEN]; /* that has the post, or knows the person */
	uint8_t hops;
	const uint8_t *record; /* of the person, or of the holder; NULL: none */
	size_t record_len;
};
#define WORM_ANSWER_LEN_MAX (64u + SLOT_RECORD_LEN_MAX)

/* All of parse return 0 or WEFT_EMALFORMED. What is too long for its limit is malformed. */
void social_slot_hail_write(struct writer *w, const struct slot_hail *hail);
WEFT_MUST_CHECK
int social_slot_hail_parse(const void *data, size_t len, struct slot_hail *out_hail);
void social_slot_redirect_write(struct writer *w, const struct slot_redirect *redirect);
WEFT_MUST_CHECK
int social_slot_redirect_parse(const void *data, size_t len, struct slot_redirect *out_redirect);
void social_slot_share_write(struct writer *w, const struct slot_share *share);
WEFT_MUST_CHECK
int social_slot_share_parse(const void *data, size_t len, struct slot_share *out_share);
void social_slot_diff_write(struct writer *w, const struct slot_diff *diff);
WEFT_MUST_CHECK
int social_slot_diff_parse(const void *data, size_t len, struct slot_diff *out_diff);
void social_worm_query_write(struct writer *w, const struct worm_query *query);
WEFT_MUST_CHECK
int social_worm_query_parse(const void *data, size_t len, struct worm_query *out_query);
void social_worm_answer_write(struct writer *w, const struct worm_answer *answer);
WEFT_MUST_CHECK
int social_worm_answer_parse(const void *data, size_t len, struct worm_answer *out_answer);

/*
 * A digest has SLOT_DIGEST_BITS_EACH bits for each node, in whole bytes, and SLOT_DIGEST_PROBES
 * places of them for a node. Places follow from the node's key alone. One node in a hundred that
 * is not there seems to be.
 */
#define SLOT_DIGEST_BITS_EACH 10u
#define SLOT_DIGEST_PROBES    7u
/* social_slot_digest_len: bytes for cnt nodes, at most SLOT_DIGEST_LEN_MAX. */
size_t social_slot_digest_len(uint32_t cnt);
void social_slot_digest_add(uint8_t *bits, size_t len, const uint8_t key[static SLOT_KEY_LEN]);
bool social_slot_digest_has(const uint8_t *bits, size_t len,
			    const uint8_t key[static SLOT_KEY_LEN]);

#endif
