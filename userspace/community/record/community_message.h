/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_COMMUNITY_RECORD_COMMUNITY_MESSAGE_H
#define WEFT_COMMUNITY_RECORD_COMMUNITY_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "page_cursor.h"
#include "community_record.h"
#include "crypto/key_wrap.h"

/*
 * The payloads of messages 404 to 417 (docs/wire/community.md), as maps with integer
 * keys. Every request names the community and carries the asker's own member record:
 *
 *	0 community id | 1 record | 2 cursor? | 3 first bucket? | 4 last bucket? | 5 words? |
 *	6 epoch of the revocation list that is here? | 7 epoch of the key that is here?
 *
 * A bucket is the first byte of members' keys, or of share ids. Answers:
 *
 *	state	0 record | 1 members | 2 shares | 3 cursor of events | 4 digests of members'
 *		buckets | 5 of shares'
 *	shown	0 revocation list? | 1 token for the asker? | 2 epoch key, sealed to the asker?
 *	page	0 [member records] | 1 [share records] | 2 cursor? | 3 there is more
 *
 * Parsers give 0, WEFT_EMALFORMED or WEFT_ETOOLARGE, and pointers into the payload.
 */
#define COMMUNITY_BUCKETS	256u
#define COMMUNITY_DIGEST_LEN	8u
#define COMMUNITY_DIGESTS_LEN	(COMMUNITY_BUCKETS * COMMUNITY_DIGEST_LEN)
#define COMMUNITY_PAGE_MAX	200u	     /* records of both kinds */
#define COMMUNITY_PAGE_LEN_MAX	(60u * 1024) /* bytes of an answer */
#define COMMUNITY_WORDS_LEN_MAX 256u
#define COMMUNITY_REQUEST_CAP                                                                      \
	(80 + COMMUNITY_MEMBER_LEN_MAX + COMMUNITY_CURSOR_LEN + COMMUNITY_WORDS_LEN_MAX)
#define COMMUNITY_STATE_CAP                                                                        \
	(64 + COMMUNITY_MEMBER_LEN_MAX + COMMUNITY_CURSOR_LEN + 2 * COMMUNITY_DIGESTS_LEN)

/* Some bytes of a payload. */
struct community_bytes {
	const uint8_t *data; /* NULL: not there */
	size_t len;
};

struct community_request {
	const uint8_t *id; /* COMMUNITY_ID_LEN */
	struct community_bytes record;
	struct community_bytes cursor;
	unsigned first_bucket, last_bucket; /* inclusive; 0 and 255 when they are missing */
	bool has_range;			    /* they are, as the payload says; not read by write */
	const char *words;
	size_t words_len;
	uint64_t epoch, key_epoch; /* 0: missing */
};
void community_request_write(struct writer *w, const struct community_request *request);
WEFT_MUST_CHECK
int community_request_parse(const void *payload, size_t len, struct community_request *out_request);

/* A digest of each bucket of one kind of records, which is the same where the records are. */
struct community_digests {
	uint64_t buckets[COMMUNITY_BUCKETS];
};
struct community_state {
	struct community_bytes record;
	uint64_t member_cnt, share_cnt;
	struct community_bytes cursor;
	struct community_digests members, shares;
};
void community_state_write(struct writer *w, const struct community_state *state);
WEFT_MUST_CHECK
int community_state_parse(const void *payload, size_t len, struct community_state *out_state);

struct community_shown {
	struct community_bytes revocations, token;
	const uint8_t *box; /* KEY_WRAP_LEN, or NULL */
};
#define COMMUNITY_SHOWN_CAP                                                                        \
	(64 + COMMUNITY_REVOCATIONS_LEN_MAX + COMMUNITY_TOKEN_LEN_MAX + KEY_WRAP_LEN)
void community_shown_write(struct writer *w, const struct community_shown *shown);
WEFT_MUST_CHECK
int community_shown_parse(const void *payload, size_t len, struct community_shown *out_shown);

struct community_page {
	struct community_bytes members[COMMUNITY_PAGE_MAX];
	unsigned member_cnt;
	struct community_bytes shares[COMMUNITY_PAGE_MAX];
	unsigned share_cnt; /* both together at most COMMUNITY_PAGE_MAX */
	struct community_bytes cursor;
	bool has_more;
};
void community_page_write(struct writer *w, const struct community_page *page);
WEFT_MUST_CHECK
int community_page_parse(const void *payload, size_t len, struct community_page *out_page);

#endif
