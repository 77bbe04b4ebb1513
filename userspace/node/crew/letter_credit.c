/* SPDX-License-Identifier: Apache-2.0 */
#include "node/crew/letter_credit.h"

#include <string.h>

#include "base/siphash.h"

void letter_credit_init(struct letter_credit *credit, struct mailbox *mailbox,
			const uint64_t secret[2])
{
	memset(credit, 0, sizeof(*credit));
	credit->mailbox = mailbox;
	memcpy(credit->secret, secret, sizeof(credit->secret));
}

/* Keys have the upper half, kinds the lower. */
#define ACCOUNT_OF_KEY (1ull << 63)

uint64_t letter_account_of_key(const struct letter_credit *credit, const uint8_t key[static 32])
{
	return siphash(credit->secret, key, 32) | ACCOUNT_OF_KEY;
}

uint64_t letter_account_of_kind(enum letter_kind kind)
{
	return (uint64_t)kind + 1;
}

/* What home has read since then counts against no peer any more. */
static void credit_settle(struct letter_credit *credit)
{
	uint32_t waiting_cnt = mailbox_fill(credit->mailbox);

	while (credit->cnt > waiting_cnt) {
		credit->first = (credit->first + 1) % LETTER_CNT_MAX;
		credit->cnt--;
	}
}

/* Few wait as a rule, and the most are a page of numbers. */
static uint32_t account_cnt(const struct letter_credit *credit, uint64_t account)
{
	uint32_t cnt = 0;

	for (uint32_t i = 0; i < credit->cnt; i++)
		cnt += credit->accounts[(credit->first + i) % LETTER_CNT_MAX] == account;
	return cnt;
}

static bool account_has_credit(const struct letter_credit *credit, uint64_t account)
{
	if (account == LETTER_OWN)
		return true;
	return credit->cnt < LETTER_SHARED_MAX &&
	       account_cnt(credit, account) < LETTER_SHARED_MAX - credit->cnt;
}

bool letter_credit_post(struct letter_credit *credit, struct letter *letter, uint64_t account)
{
	credit_settle(credit);
	if (letter && !account_has_credit(credit, account)) {
		credit->refused_cnt++;
		letter_free(letter);
		return false;
	}
	if (!mailbox_post(credit->mailbox, letter))
		return false;
	credit->accounts[(credit->first + credit->cnt++) % LETTER_CNT_MAX] = account;
	return true;
}
