/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SERVICE_CONDUCT_RECORD_H
#define WEFT_SERVICE_CONDUCT_RECORD_H

#include "base/cursor.h"
#include "service/conduct.h"

/*
 * What is kept of a peer in STORE_CONDUCT, under its key:
 * {0: layout 1, 1: score, 2: last deed s, 3: bans, 4: banned until s, 5: hour's start s,
 * 6: deeds in it, 7: [[at s, deed, why]] newest first, 8: points that violations took,
 * 9: last other deed s, 10: violations of 6}. Without the last three, all deeds count as other
 * ones. Parsing gives WEFT_ENEWER for a later layout, WEFT_EMALFORMED.
 */
struct service_conduct_record {
	struct service_conduct_state state;
	uint64_t hour_s; /* when the hour began whose deeds are counted */
	unsigned deed_cnt;
	/* What a pardon takes back. */
	unsigned taken_points;
	uint64_t other_s; /* last deed that was no violation; 0: there was none */
	unsigned hour_violation_cnt;
};
#define SERVICE_CONDUCT_RECORD_LEN_MAX 512

void service_conduct_record_write(struct writer *w, const struct service_conduct_record *record);
WEFT_MUST_CHECK
int service_conduct_record_parse(const void *data, size_t len,
				 struct service_conduct_record *out_record);

#endif
