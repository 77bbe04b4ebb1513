/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SERVICE_LIMITS_REPUTATION_RECORD_H
#define WEFT_SERVICE_LIMITS_REPUTATION_RECORD_H

#include "base/byte_cursor.h"
#include "reputation.h"

/*
 * What is kept of a peer in STORE_REPUTATION, under its key: {0: layout 1, 1: score, 2: last
 * observation s, 3: bans, 4: banned until s, 5: hour's start s, 6: observations in it, 7: [[at s,
 * observation, why]] newest first, 8: points that violations took, 9: last other observation s, 10:
 * violations of 6}. Without the last three, all observations count as other ones. Parsing gives
 * WEFT_ENEWER for a later layout, WEFT_EMALFORMED.
 */
struct service_reputation_record {
	struct service_reputation_state state;
	uint64_t hour_s; /* when the hour began whose observations are counted */
	unsigned observation_cnt;
	/* The points that a pardon gives back. */
	unsigned taken_points;
	uint64_t other_s; /* last observation that was no violation; 0: there was none */
	unsigned hour_violation_cnt;
};
#define SERVICE_REPUTATION_RECORD_LEN_MAX 512

void service_reputation_record_write(struct writer *w,
				     const struct service_reputation_record *record);
WEFT_MUST_CHECK
int service_reputation_record_parse(const void *data, size_t len,
				    struct service_reputation_record *out_record);

#endif
