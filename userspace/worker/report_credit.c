/* SPDX-License-Identifier: Apache-2.0 */
#include "report_credit.h"

#include <string.h>

#include "base/siphash_bytes.h"

void worker_report_credit_init(struct report_credit *credit, struct mailbox *mailbox,
			       const struct fair_paths *paths)
{
	memset(credit, 0, sizeof(*credit));
	credit->mailbox = mailbox;
	credit->paths = *paths;
}

/* Keys have the upper half, addresses of functions the lower. */
#define ACCOUNT_OF_KEY (1ull << 63)

struct worker_report_account worker_report_account_of_peer(const struct report_credit *credit,
							   const uint8_t key[static 32],
							   const struct addr *addr)
{
	struct fair_path path;

	fair_path_of_addr(&credit->paths, addr, FAIR_UNKNOWN, &path);
	fair_path_add(&credit->paths, &path, key, 32);
	return (struct worker_report_account){
		.id = siphash(credit->paths.secret, key, 32) | ACCOUNT_OF_KEY,
		.network = fair_path_network(&path),
	};
}

struct worker_report_account worker_report_account_of_function(mailbox_fn run)
{
	return (struct worker_report_account){.id = (uintptr_t)run};
}

/* Reports that home has read since then count against no peer any more. */
static void credit_settle(struct report_credit *credit)
{
	uint32_t waiting_cnt = mailbox_fill(credit->mailbox);

	while (credit->cnt > waiting_cnt) {
		credit->first = (credit->first + 1) % WORKERS_REPORT_MAX;
		credit->cnt--;
	}
}

/* Few wait as a rule, and the most are a page of numbers. */
static bool account_has_credit(const struct report_credit *credit,
			       struct worker_report_account account)
{
	uint32_t own_cnt = 0, network_cnt = 0, free_cnt;

	if (!account.id)
		return true;
	if (credit->cnt >= WORKER_REPORT_SHARED_MAX)
		return false;
	free_cnt = WORKER_REPORT_SHARED_MAX - credit->cnt;
	for (uint32_t i = 0; i < credit->cnt; i++) {
		const struct worker_report_account *other =
			&credit->accounts[(credit->first + i) % WORKERS_REPORT_MAX];

		own_cnt += other->id == account.id;
		network_cnt += account.network && other->network == account.network;
	}
	return own_cnt < free_cnt && network_cnt < FAIR_NETWORK_FACTOR * free_cnt;
}

bool worker_report_post(struct report_credit *credit, const struct mailbox_message *report,
			struct worker_report_account account)
{
	credit_settle(credit);
	if (!account_has_credit(credit, account)) {
		credit->refused_cnt++;
		if (report->drop)
			report->drop(report->bytes);
		return false;
	}
	if (!mailbox_post(credit->mailbox, report))
		return false;
	credit->accounts[(credit->first + credit->cnt++) % WORKERS_REPORT_MAX] = account;
	return true;
}
