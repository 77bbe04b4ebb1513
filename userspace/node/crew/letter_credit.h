/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NODE_CREW_LETTER_CREDIT_H
#define WEFT_NODE_CREW_LETTER_CREDIT_H

#include <stdbool.h>
#include <stdint.h>

#include "node/crew/crew_letter.h"

/*
 * Credit for letters that peers cause: a mailbox loses what it has no room
 * for, so one session that makes a letter with each request would lose other
 * sessions' letters and the worker's own. Letters in a mailbox cannot be
 * taken back, so an account may have as many there as it leaves free (base/fair.h,
 * dynamic threshold), of three quarters: the last quarter is for letters
 * without an account, which are the worker's own, and for sessions that come
 * and go, two for each.
 *
 * The reader takes letters in the order in which they were posted, so how
 * many wait says whose they are. The writer's thread.
 */
#define LETTER_SHARED_MAX (LETTER_CNT_MAX / 4 * 3)

/* Whose a letter is: a session's, by its key, or all of one kind together. */
#define LETTER_OWN 0ull /* the worker's own: only a full mailbox refuses it */

struct letter_credit {
	struct mailbox *mailbox;
	uint64_t secret[2];
	uint64_t accounts[LETTER_CNT_MAX]; /* of those that wait; the oldest at first */
	uint32_t first, cnt;
	uint64_t refused_cnt;
};

/* letter_credit_init: mailbox is empty, and only posted to by letter_credit_post. */
void letter_credit_init(struct letter_credit *credit, struct mailbox *mailbox,
			const uint64_t secret[2]);
/* letter_account_of_{key,kind}: never LETTER_OWN. */
uint64_t letter_account_of_key(const struct letter_credit *credit, const uint8_t key[static 32]);
uint64_t letter_account_of_kind(enum letter_kind kind);
/*
 * letter_credit_post takes letter in any case. False: its account has its
 * part of the mailbox, or as mailbox_post; counted, and the letter freed.
 */
bool letter_credit_post(struct letter_credit *credit, struct letter *letter, uint64_t account);

#endif
