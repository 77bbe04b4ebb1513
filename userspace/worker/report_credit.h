/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_WORKER_REPORT_CREDIT_H
#define WEFT_WORKER_REPORT_CREDIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/fair/fair_path.h"
#include "base/thread/mailbox.h"
#include "workers.h"

/*
 * Credit for reports that peers cause. A mailbox loses reports that it has no room for.
 * So one session that makes a report with each request would lose other sessions'
 * reports and the worker's own. Reports in a mailbox cannot be taken back. So an
 * account may have as many there as it leaves free (base/fair/fair.h, dynamic
 * threshold), of three quarters. The last quarter is for the worker's own reports,
 * which have no account, and for sessions that come and go, two for each. Keys are
 * free, so the accounts of one network have three times what they leave free at most.
 *
 * The reader takes reports in the order in which they were posted, so the
 * number that wait says whose they are. The writer's thread.
 */

#define WORKER_REPORT_SHARED_MAX (WORKERS_REPORT_MAX / 4 * 3)

/* The account of a report: a session's, by its key, or all of one function together. */
struct worker_report_account {
	uint64_t id;	  /* 0: the worker's own: only a full mailbox refuses it */
	uint64_t network; /* 0: of no address */
};
#define WORKER_REPORT_OWN ((struct worker_report_account){0})

struct report_credit {
	struct mailbox *mailbox;
	struct fair_paths paths;
	struct worker_report_account
		accounts[WORKERS_REPORT_MAX]; /* of those that wait; the oldest at first */
	uint32_t first, cnt;
	uint64_t refused_cnt;
};

/* worker_report_credit_init: mailbox is empty, and only posted to by worker_report_post. */
void worker_report_credit_init(struct report_credit *credit, struct mailbox *mailbox,
			       const struct fair_paths *paths);
/* worker_report_account_of_{peer,function}: never WORKER_REPORT_OWN. */
struct worker_report_account worker_report_account_of_peer(const struct report_credit *credit,
							   const uint8_t key[static 32],
							   const struct addr *addr);
struct worker_report_account worker_report_account_of_function(mailbox_fn run);
/*
 * worker_report_post takes what report owns in any case. False: its account or its network has
 * its part of the mailbox (counted in refused_cnt), or as mailbox_post; and dropped.
 */
bool worker_report_post(struct report_credit *credit, const struct mailbox_message *report,
			struct worker_report_account account);

#endif
