/* SPDX-License-Identifier: Apache-2.0 */
#include "message_credit.h"

#include <string.h>

#include "base/siphash_bytes.h"

void worker_message_credit_init(struct message_credit *credit, struct mailbox *mailbox,
				const struct fair_paths *paths)
{
	memset(credit, 0, sizeof(*credit));
	credit->mailbox = mailbox;
	credit->paths = *paths;
}

/* Keys have the upper half, kinds the lower. */
#define ACCOUNT_OF_KEY (1ull << 63)

struct worker_message_account worker_message_account_of_peer(const struct message_credit *credit,
							     const uint8_t key[static 32],
							     const struct addr *addr)
{
	struct fair_path path;

	fair_path_of_addr(&credit->paths, addr, FAIR_UNKNOWN, &path);
	fair_path_add(&credit->paths, &path, key, 32);
	return (struct worker_message_account){
		.id = siphash(credit->paths.secret, key, 32) | ACCOUNT_OF_KEY,
		.network = fair_path_network(&path),
	};
}

struct worker_message_account worker_message_account_of_kind(enum worker_message_kind kind)
{
	return (struct worker_message_account){.id = (uint64_t)kind + 1};
}

/* What home has read since then counts against no peer any more. */
static void credit_settle(struct message_credit *credit)
{
	uint32_t waiting_cnt = worker_mailbox_fill(credit->mailbox);

	while (credit->cnt > waiting_cnt) {
		credit->first = (credit->first + 1) % WORKER_MESSAGE_CNT_MAX;
		credit->cnt--;
	}
}

/* Few wait as a rule, and the most are a page of numbers. */
static bool account_has_credit(const struct message_credit *credit,
			       struct worker_message_account account)
{
	uint32_t own_cnt = 0, network_cnt = 0, free_cnt;

	if (!account.id)
		return true;
	if (credit->cnt >= WORKER_MESSAGE_SHARED_MAX)
		return false;
	free_cnt = WORKER_MESSAGE_SHARED_MAX - credit->cnt;
	for (uint32_t i = 0; i < credit->cnt; i++) {
		const struct worker_message_account *other =
			&credit->accounts[(credit->first + i) % WORKER_MESSAGE_CNT_MAX];

		own_cnt += other->id == account.id;
		network_cnt += account.network && other->network == account.network;
	}
	return own_cnt < free_cnt && network_cnt < FAIR_NETWORK_FACTOR * free_cnt;
}

bool worker_message_credit_post(struct message_credit *credit, struct worker_message *message,
				struct worker_message_account account)
{
	credit_settle(credit);
	if (message && !account_has_credit(credit, account)) {
		credit->refused_cnt++;
		worker_message_free(message);
		return false;
	}
	if (!worker_mailbox_post(credit->mailbox, message))
		return false;
	credit->accounts[(credit->first + credit->cnt++) % WORKER_MESSAGE_CNT_MAX] = account;
	return true;
}
