/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_RELAY_FIND_RELAY_SCORE_H
#define WEFT_RELAY_FIND_RELAY_SCORE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * How well one relay served this node. A success is one point more and a failure three less, within
 * [-100, 100]. Each hour takes a twentieth of what there is, of good and bad alike. Latency is a
 * moving average in which a new sample has an eighth. A relay that failed is paused: one minute, and
 * twice as long each time in a row, one hour at most. Zeroed at first; pure.
 */
#define RELAY_SCORE_POINT	 1000 /* scores are in thousandths of a point */
#define RELAY_SCORE_MAX		 (100 * RELAY_SCORE_POINT)
#define RELAY_SCORE_PAUSE_NS	 60000000000ull
#define RELAY_SCORE_PAUSE_MAX_NS 3600000000000ull

struct relay_score {
	int32_t score;
	uint32_t success_cnt, failure_cnt;
	uint32_t failed_in_row;
	uint64_t latency_ns; /* 0: not known */
	uint64_t aged_ns;    /* the hours before that are taken off */
	uint64_t paused_until_ns;
};

void relay_score_init(struct relay_score *score, uint64_t now_ns);
/* relay_score_age takes off the hours that are over. The functions below do so first. */
void relay_score_age(struct relay_score *score, uint64_t now_ns);
void relay_score_succeeded(struct relay_score *score, uint64_t latency_ns, uint64_t now_ns);
void relay_score_failed(struct relay_score *score, uint64_t now_ns);
bool relay_score_is_paused(const struct relay_score *score, uint64_t now_ns);
/*
 * relay_score_weight: the relay's lots in a draw, at least 1. Ten points are the start, so that a
 * relay without a history gets some. 100 ms of latency halve what a relay without any would have;
 * one not yet measured counts as 200 ms.
 */
uint64_t relay_score_weight(const struct relay_score *score);

#endif
