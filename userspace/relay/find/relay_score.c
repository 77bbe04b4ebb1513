/* SPDX-License-Identifier: Apache-2.0 */
#include "relay_score.h"

#include "base/monotonic.h"

#define HOUR_NS		(3600 * NS_PER_S)
#define FAILURE_POINTS	3
#define START_POINTS	10
#define LATENCY_PARTS	8u
#define UNKNOWN_MS	200u
#define HALVING_MS	100u
#define WEIGHT_PER_LATE 1000u
/* After so many hours nothing is left of the highest score: 0.95^300 of it is below a thousandth. */
#define HOURS_MAX 300u

void relay_score_init(struct relay_score *score, uint64_t now_ns)
{
	*score = (struct relay_score){.aged_ns = now_ns};
}

void relay_score_age(struct relay_score *score, uint64_t now_ns)
{
	uint64_t hours = now_ns > score->aged_ns ? (now_ns - score->aged_ns) / HOUR_NS : 0;

	score->aged_ns += hours * HOUR_NS;
	if (hours > HOURS_MAX)
		score->score = 0;
	for (; hours > 0 && score->score; hours--)
		score->score = (int32_t)(score->score * 95ll / 100);
}

static void score_add(struct relay_score *score, int32_t points)
{
	score->score += points * RELAY_SCORE_POINT;
	if (score->score > RELAY_SCORE_MAX)
		score->score = RELAY_SCORE_MAX;
	if (score->score < -RELAY_SCORE_MAX)
		score->score = -RELAY_SCORE_MAX;
}

void relay_score_succeeded(struct relay_score *score, uint64_t latency_ns, uint64_t now_ns)
{
	relay_score_age(score, now_ns);
	score_add(score, 1);
	score->success_cnt++;
	score->failed_in_row = 0;
	score->paused_until_ns = 0;
	if (!score->latency_ns)
		score->latency_ns = latency_ns;
	else
		score->latency_ns =
			(score->latency_ns * (LATENCY_PARTS - 1) + latency_ns) / LATENCY_PARTS;
}

void relay_score_failed(struct relay_score *score, uint64_t now_ns)
{
	uint64_t pause_ns = RELAY_SCORE_PAUSE_NS;

	relay_score_age(score, now_ns);
	score_add(score, -FAILURE_POINTS);
	score->failure_cnt++;
	for (uint32_t i = 0; i < score->failed_in_row && pause_ns < RELAY_SCORE_PAUSE_MAX_NS; i++)
		pause_ns *= 2;
	if (pause_ns > RELAY_SCORE_PAUSE_MAX_NS)
		pause_ns = RELAY_SCORE_PAUSE_MAX_NS;
	score->failed_in_row++;
	score->paused_until_ns = now_ns + pause_ns;
}

bool relay_score_is_paused(const struct relay_score *score, uint64_t now_ns)
{
	return now_ns < score->paused_until_ns;
}

uint64_t relay_score_weight(const struct relay_score *score)
{
	int64_t points = (int64_t)score->score + START_POINTS * RELAY_SCORE_POINT;
	uint64_t late_ms = score->latency_ns ? score->latency_ns / NS_PER_MS : UNKNOWN_MS;
	uint64_t weight;

	if (points < RELAY_SCORE_POINT)
		points = RELAY_SCORE_POINT;
	weight = (uint64_t)points * WEIGHT_PER_LATE / (HALVING_MS + late_ms);
	return weight ? weight : 1;
}
