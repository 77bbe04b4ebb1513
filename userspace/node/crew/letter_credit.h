/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NODE_CREW_LETTER_CREDIT_H
#define WEFT_NODE_CREW_LETTER_CREDIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/fair_path.h"
#include "node/crew/crew_letter.h"

/*
 * Credit for letters that peers cause: a mailbox loses what it has no room
 * for, so one session that makes a letter with each request would lose other
 * sessions' letters and the worker's own. Letters in a mailbox cannot be
 * taken back, so an account may have as many there as it leaves free (base/fair.h,
 * dynamic threshold), of three quarters: the last quarter is for letters
 * without an account, which are the worker's own, and for sessions that come
 * and go, two for each. Keys are free, so the accounts of one network have
 * three times what they leave free at most.
 *
 * The reader takes letters in the order in which they were posted, so how
 * many wait says whose they are. The writer's thread.
 */
#define LETTER_SHARED_MAX (LETTER_CNT_MAX / 4 * 3)

/* Whose a letter is: a session's, by its key, or all of one kind together. */
struct letter_account {
	uint64_t id;	  /* 0: the worker's own: only a full mailbox refuses it */
	uint64_t network; /* 0: of no address */
};
#define LETTER_OWN ((struct letter_account){0})

struct letter_credit {
	struct mailbox *mailbox;
	struct fair_paths paths;
	struct letter_account
		accounts[LETTER_CNT_MAX]; /* of those that wait; the oldest at first */
	uint32_t first, cnt;
	uint64_t refused_cnt;
};

/* letter_credit_init: mailbox is empty, and only posted to by letter_credit_post. */
void letter_credit_init(struct letter_credit *credit, struct mailbox *mailbox,
			const struct fair_paths *paths);
/* letter_account_of_{peer,kind}: never LETTER_OWN. */
struct letter_account letter_account_of_peer(const struct letter_credit *credit,
					     const uint8_t key[static 32], const struct addr *addr);
struct letter_account letter_account_of_kind(enum letter_kind kind);
/*
 * letter_credit_post takes letter in any case. False: its account or its
 * network has its part of the mailbox, or as mailbox_post; counted, and the letter freed.
 */
bool letter_credit_post(struct letter_credit *credit, struct letter *letter,
			struct letter_account account);

#endif
