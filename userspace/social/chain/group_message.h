/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_CHAIN_GROUP_MESSAGE_H
#define WEFT_SOCIAL_CHAIN_GROUP_MESSAGE_H

#include "social/chain/group_change.h"
#include "social/object/group_note.h"

/*
 * The messages of groups (docs/wire/social.md). Message 641 is a change (group_change.h). The answer to
 * 640 and 641 says which epoch the member has by now, so an admin sees which ones lag:
 *
 *	640	0 state | 1 secret key sealed 60? | 2 sealed by 32?	missing: by the state's signer
 *		3 name of the group?
 *	642	0 group 32 | 1 shard | 2 the member that asks 32?	missing: the key of the session
 *		3 epoch | 4 [hash 32, ...]	of the state of that epoch, and of those before it
 *		5 sum of hides 32
 *		6 groupproof?	where the member is not the key of the session
 *		7 [note, ...]	hides and leaves that the asker gives
 *		8 after?	where the page of hides before ended
 *	answer	0 epoch | 1 [change, ...]	those that follow the newest state that both have
 *		2 [hide, ...]	if the sums differ | 3 next?	there are more hides
 *
 * The sum of hides is the exclusive or of their hashes.
 *
 * Pure, and thread-safe.
 */
#define GROUP_KEY_LEN_MAX  (GROUP_LEN_MAX + 512u)
#define GROUP_HEADS_MAX	   32u
#define GROUP_CHANGES_MAX  16u
#define GROUP_NOTES_MAX	   64u
#define GROUP_PAGE_LEN_MAX (60u << 10)

struct group_span {
	const uint8_t *bytes;
	size_t len;
};

struct group_key_message {
	struct group_span state;
	const uint8_t *wrapped, *wrapped_by; /* or NULL */
	char name[65];
};
struct group_ask_message {
	const uint8_t *group, *member; /* member NULL: the session's */
	uint32_t shard;
	uint64_t epoch, after;
	const uint8_t *hides_sum; /* GROUP_HASH_LEN */
	uint8_t heads[GROUP_HEADS_MAX][GROUP_HASH_LEN];
	unsigned head_cnt;
	struct group_span proof; /* of no bytes: none */
	struct group_span notes[GROUP_NOTES_MAX];
	unsigned note_cnt;
};
struct group_page_message {
	uint64_t epoch;
	struct group_span changes[GROUP_CHANGES_MAX];
	unsigned change_cnt;
	struct group_span hides[GROUP_NOTES_MAX];
	unsigned hide_cnt;
	uint64_t next; /* 0: these were all hides */
};

/* The read ones: 0, WEFT_EMALFORMED or WEFT_ETOOLARGE. Pointers borrow the bytes. */
void social_group_key_write(struct writer *w, const struct group_key_message *message);
WEFT_MUST_CHECK
int social_group_key_read(const void *bytes, size_t len, struct group_key_message *out_message);
void social_group_ask_write(struct writer *w, const struct group_ask_message *message);
WEFT_MUST_CHECK
int social_group_ask_read(const void *bytes, size_t len, struct group_ask_message *out_message);
void social_group_page_write(struct writer *w, const struct group_page_message *message);
WEFT_MUST_CHECK
int social_group_page_read(const void *bytes, size_t len, struct group_page_message *out_message);
void social_group_ack_write(struct writer *w, uint64_t epoch);
WEFT_MUST_CHECK
int social_group_ack_read(const void *bytes, size_t len, uint64_t *out_epoch);

#endif
