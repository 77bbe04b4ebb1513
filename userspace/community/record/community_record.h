/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_COMMUNITY_RECORD_COMMUNITY_RECORD_H
#define WEFT_COMMUNITY_RECORD_COMMUNITY_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "codec/peer_addr.h"
#include "weft/err.h"

struct node_key;
struct signed_object;
struct writer;

/*
 * The statements made in a community, as signed objects (docs/wire/community.md). A community is
 * a key; its id is the SHA-256 of that key.
 *
 *	token	"commtoken", by the community's key: a node is a member, until a time
 *	member	"commmember", by a node: it is there, or has left
 *	binding	"commbind", by a share's key: the share belongs to the community, or no more
 *	share	"commshare", by a node: it publishes the share of a binding
 *	hint	"commhint", by a node: members to ask first
 *	revocation list	"commroll", by the community's key: nodes that are members no more
 *
 * Member and share records live for a week from when they were signed, and are signed anew at
 * half of it. So the record of a node that left is kept for as long as an older one may turn up.
 * A record that is not signed again goes by itself.
 *
 * Reading checks form, ids and signer, and leaves pointers into the bytes; community_*_verify
 * then checks the signatures, each of some 50 us. Pure.
 */
#define COMMUNITY_ID_LEN	   32u
#define COMMUNITY_KEY_LEN	   32u
#define COMMUNITY_RECORD_LIFE_S	   (7u * 86400)
#define COMMUNITY_HINT_LIFE_S	   86400u
#define COMMUNITY_TOKEN_LIFE_S_MAX (30u * 86400)
#define COMMUNITY_TOKEN_READ_S_MAX (366u * 86400) /* of one that an earlier version made */
#define COMMUNITY_EXPELLED_MAX	   256u
#define COMMUNITY_COMMIT_LEN	   32u
#define COMMUNITY_SKEW_S	   300u /* that a clock may be ahead */
#define COMMUNITY_SAMPLES_MAX	   16u	/* members named by a hint */
#define COMMUNITY_TITLE_LEN_MAX	   255u
#define COMMUNITY_TEXT_LEN_MAX	   512u /* of a share's description in the record */

/* Wrapper included. */
#define COMMUNITY_TOKEN_LEN_MAX	      256u
#define COMMUNITY_MEMBER_LEN_MAX      1024u
#define COMMUNITY_BINDING_LEN_MAX     1152u
#define COMMUNITY_SHARE_LEN_MAX	      1408u
#define COMMUNITY_HINT_LEN_MAX	      1600u
#define COMMUNITY_REVOCATIONS_LEN_MAX 9216u

/* community_id_of: of the community, or share, of key. */
void community_id_of(const uint8_t key[static COMMUNITY_KEY_LEN],
		     uint8_t out_id[static COMMUNITY_ID_LEN]);

struct community_token {
	uint8_t id[COMMUNITY_ID_LEN];
	uint8_t member[COMMUNITY_KEY_LEN];
	uint64_t issued_s, expires_s; /* at most COMMUNITY_TOKEN_LIFE_S_MAX apart, as read */
};

struct community_member {
	uint8_t id[COMMUNITY_ID_LEN];
	const uint8_t *key; /* the signer */
	uint64_t seq;
	bool is_joined; /* else it left */
	uint64_t time_s;
	struct peer_places places;
	const uint8_t *token; /* bytes of one, or NULL */
	size_t token_len;
};

struct community_binding {
	uint8_t id[COMMUNITY_ID_LEN];
	uint8_t share_id[COMMUNITY_ID_LEN];
	uint64_t seq; /* of the share's revision that says so */
	bool is_bound;
	uint8_t manifest_id[32];
	const char *title; /* texts without NUL */
	size_t title_len;
	const char *text; /* the beginning of the description */
	size_t text_len;
	uint64_t item_cnt, byte_cnt;
	const uint8_t *share_key; /* the signer */
};

struct community_share {
	uint8_t id[COMMUNITY_ID_LEN];
	const uint8_t *key; /* the signer: the node that publishes it */
	uint64_t seq;
	uint64_t time_s;
	const uint8_t *binding_bytes;
	size_t binding_len;
	struct community_binding binding; /* what these say */
};

struct community_hint {
	uint8_t id[COMMUNITY_ID_LEN];
	const uint8_t *key; /* the signer */
	uint64_t seq;
	uint64_t time_s;
	struct peer_places places;
	const uint8_t *samples[COMMUNITY_SAMPLES_MAX]; /* keys of members, in ascending order */
	unsigned sample_cnt;
};

/* Epochs ascend; the revocation list of the greatest counts, and of one epoch the later. */
struct community_revocations {
	uint8_t id[COMMUNITY_ID_LEN];
	uint64_t epoch; /* from 1 */
	uint64_t time_s;
	uint8_t home[COMMUNITY_KEY_LEN]; /* the node that has the community's key */
	unsigned expelled_cnt;
	uint8_t expelled[COMMUNITY_EXPELLED_MAX][COMMUNITY_KEY_LEN]; /* nodes, ascending */
	bool has_commit; /* a strict community's: to the key of the epoch (epoch_key.h) */
	uint8_t commit[COMMUNITY_COMMIT_LEN];
};

/*
 * community_*_write sign with key and write; fields that follow from key are not read. No room, or
 * a field beyond its limit, makes w bad.
 */
void community_token_write(struct writer *w, const struct node_key *key,
			   const struct community_token *token);
void community_member_write(struct writer *w, const struct node_key *key,
			    const struct community_member *member);
void community_binding_write(struct writer *w, const struct node_key *key,
			     const struct community_binding *binding);
void community_share_write(struct writer *w, const struct node_key *key,
			   const struct community_share *share);
void community_hint_write(struct writer *w, const struct node_key *key,
			  const struct community_hint *hint);
void community_revocations_write(struct writer *w, const struct node_key *key,
				 const struct community_revocations *revocations);

/*
 * community_*_parse: 0, WEFT_EMALFORMED, WEFT_ETOOLARGE, or WEFT_EREFUSED. The last says that
 * the id is not that of the key which signed, or a binding is of another community than its
 * record. A token in a member's record is of that community and member, but may have expired.
 * bytes are borrowed.
 */
WEFT_MUST_CHECK
int community_token_parse(const uint8_t *bytes, size_t len, struct community_token *out_token);
WEFT_MUST_CHECK
int community_member_parse(const uint8_t *bytes, size_t len, struct community_member *out_member);
WEFT_MUST_CHECK
int community_binding_parse(const uint8_t *bytes, size_t len,
			    struct community_binding *out_binding);
WEFT_MUST_CHECK
int community_share_parse(const uint8_t *bytes, size_t len, struct community_share *out_share);
WEFT_MUST_CHECK
int community_hint_parse(const uint8_t *bytes, size_t len, struct community_hint *out_hint);
WEFT_MUST_CHECK
int community_revocations_parse(const uint8_t *bytes, size_t len,
				struct community_revocations *out_revocations);
/* community_revocations_has: key is expelled. */
bool community_revocations_has(const struct community_revocations *revocations,
			       const uint8_t key[static COMMUNITY_KEY_LEN]);

/*
 * community_*_verify: 0 or WEFT_EDAMAGED: some signature in bytes, which were parsed, is not
 * its signer's.
 */
WEFT_MUST_CHECK
int community_token_verify(const uint8_t *bytes, size_t len);
WEFT_MUST_CHECK
int community_member_verify(const uint8_t *bytes, size_t len);
WEFT_MUST_CHECK
int community_binding_verify(const uint8_t *bytes, size_t len);
WEFT_MUST_CHECK
int community_share_verify(const uint8_t *bytes, size_t len);
WEFT_MUST_CHECK
int community_hint_verify(const uint8_t *bytes, size_t len);
WEFT_MUST_CHECK
int community_revocations_verify(const uint8_t *bytes, size_t len);

/*
 * community_time_check: 0, WEFT_EREFUSED (time_s is in the future), WEFT_ESTALE (life_s are over).
 * community_token_is_valid: at wall_s.
 */
WEFT_MUST_CHECK
int community_time_check(uint64_t time_s, uint64_t life_s, uint64_t wall_s);
bool community_token_is_valid(const struct community_token *token, uint64_t wall_s);

/* Is a newer than b? Both are of one member, or of one share. */
bool community_member_is_newer(const struct community_member *a, const struct community_member *b);
bool community_share_is_newer(const struct community_share *a, const struct community_share *b);
bool community_revocations_is_newer(const struct community_revocations *a,
				    const struct community_revocations *b);

#endif
