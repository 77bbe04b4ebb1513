/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BASE_FAIR_CONTRIBUTION_H
#define WEFT_BASE_FAIR_CONTRIBUTION_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Contribution: what one node did for another, as one score. Its points are
 *
 *   relays * 1 + success * 5 + hours * 0.5 + MB * 0.2 + give/take * 1.5
 *
 * and docs/decisions/0043 says what each of the five is. All of them lose 5 % an hour, in steps of
 * a minute of the wall clock. So a score at rest loses just that. A clock that goes back takes
 * nothing off; one that jumps ahead does.
 *
 * The numbers are in millionths, or in bytes, which are the millionths of a megabyte. Zeroed at
 * first; pure.
 */
#define CONTRIBUTION_POINT     1000u		 /* scores are in thousandths of a point */
#define CONTRIBUTION_MAX       (1000000u * 1000) /* of a score: a million points */
#define CONTRIBUTION_RATIO_MAX 2000000u		 /* of give/take */

struct contribution {
	uint64_t aged_s;       /* what was lost before is taken off; 0: nothing was noted yet */
	uint64_t worked_min;   /* the latest minute with work */
	uint64_t relays;       /* flows */
	uint64_t success;      /* of requests, each an eighth of the way to 1 or 0 */
	uint64_t uptime;       /* hours: minutes with work */
	uint64_t relayed;      /* bytes */
	uint64_t given, taken; /* bytes of content and of flows */
	uint64_t give_take;    /* follows their ratio */
};

/* contribution_age takes off what was lost until wall_s. The functions below do so first. */
void contribution_age(struct contribution *contribution, uint64_t wall_s);
/* contribution_answered: a request was answered, or failed. */
void contribution_answered(struct contribution *contribution, bool is_ok, uint64_t wall_s);
/* contribution_{given,taken}: len bytes of content. */
void contribution_given(struct contribution *contribution, uint64_t len, uint64_t wall_s);
void contribution_taken(struct contribution *contribution, uint64_t len, uint64_t wall_s);
/* contribution_relayed: so many more flows were relayed, and so many bytes of flows. */
void contribution_relayed(struct contribution *contribution, uint32_t flow_cnt, uint64_t len,
			  uint64_t wall_s);
/*
 * contribution_{store,load}: as a row of numbers, to be kept. Numbers that no contribution has are
 * cut to the most that it may have.
 */
#define CONTRIBUTION_NUMBER_CNT 9
void contribution_store(const struct contribution *contribution,
			uint64_t out_numbers[static CONTRIBUTION_NUMBER_CNT]);
void contribution_load(struct contribution *contribution,
		       const uint64_t numbers[static CONTRIBUTION_NUMBER_CNT]);
/* contribution_score: as of the latest of the calls above, in [0, CONTRIBUTION_MAX]. */
uint32_t contribution_score(const struct contribution *contribution);

#endif
