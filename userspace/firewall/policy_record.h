/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_FIREWALL_POLICY_RECORD_H
#define WEFT_FIREWALL_POLICY_RECORD_H

#include "base/timer.h"
#include "arrivals.h"
#include "arrivals_report.h"
#include "sketch.h"

struct firewall_params;

/*
 * The record of the last day that weft policy asks. Once a second the driver's
 * tables of unvalidated sources and those of home's sockets are read, for each
 * class with counts. The workers report the traffic of their own sockets. Home
 * worker only; absent in the simulator; forgotten with a restart.
 */
struct record {
	const struct firewall_params *params; /* NULL: not opened */
	struct timer timer;
	struct arrivals arrivals;
	struct sketch *sketch;
	uint64_t class_cnts[WEFT_CLASS_CNT]; /* datagrams counted of each when it was last read */
	uint64_t generation;		     /* of the driver's tables */
	uint64_t unvalidated_cnt;
	bool is_testing; /* a policy test runs */
};

size_t firewall_record_footprint(unsigned worker_cnt, unsigned cpu_cnt);
/* firewall_record_open: after the fast path. 0 or -ENOMEM. */
WEFT_MUST_CHECK
int firewall_record_open(struct record *record, const struct firewall_params *params);
/* firewall_record_close takes a zeroed one, too. */
void firewall_record_close(struct record *record);
/* firewall_record_refresh takes what came since the last second; of the workers, what was reported. */
void firewall_record_refresh(struct record *record);
/* firewall_record_take takes what worker idx of the workers, from 1, reports of its sockets. */
void firewall_record_take(struct record *record, unsigned worker_idx,
			  const struct arrivals_changes *changes);

#endif
