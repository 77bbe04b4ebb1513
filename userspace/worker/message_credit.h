/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_WORKER_MESSAGE_CREDIT_H
#define WEFT_WORKER_MESSAGE_CREDIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/fair/fair_path.h"
#include "worker_message.h"

/*
 * Credit for messages that peers cause: a mailbox loses what it has no room
 * for, so one session that makes a message with each request would lose other
 * sessions' messages and the worker's own. Messages in a mailbox cannot be
 * taken back, so an account may have as many there as it leaves free (base/fair/fair.h,
 * dynamic threshold), of three quarters: the last quarter is for messages
 * without an account, which are the worker's own, and for sessions that come
 * and go, two for each. Keys are free, so the accounts of one network have
 * three times what they leave free at most.
 *
 * The reader takes messages in the order in which they were posted, so how
 * many wait says whose they are. The writer's thread.
 */
#define WORKER_MESSAGE_SHARED_MAX (WORKER_MESSAGE_CNT_MAX / 4 * 3)

/* Whose a message is: a session's, by its key, or all of one kind together. */
struct worker_message_account {
	uint64_t id;	  /* 0: the worker's own: only a full mailbox refuses it */
	uint64_t network; /* 0: of no address */
};
#define WORKER_MESSAGE_OWN ((struct worker_message_account){0})

struct message_credit {
	struct mailbox *mailbox;
	struct fair_paths paths;
	struct worker_message_account
		accounts[WORKER_MESSAGE_CNT_MAX]; /* of those that wait; the oldest at first */
	uint32_t first, cnt;
	uint64_t refused_cnt;
};

/* worker_message_credit_init: mailbox is empty, and only posted to by worker_message_credit_post. */
void worker_message_credit_init(struct message_credit *credit, struct mailbox *mailbox,
				const struct fair_paths *paths);
/* worker_message_account_of_{peer,kind}: never WORKER_MESSAGE_OWN. */
struct worker_message_account worker_message_account_of_peer(const struct message_credit *credit,
							     const uint8_t key[static 32],
							     const struct addr *addr);
struct worker_message_account worker_message_account_of_kind(enum worker_message_kind kind);
/*
 * worker_message_credit_post takes message in any case. False: its account or its
 * network has its part of the mailbox, or as worker_mailbox_post; counted, and the message freed.
 */
bool worker_message_credit_post(struct message_credit *credit, struct worker_message *message,
				struct worker_message_account account);

#endif
