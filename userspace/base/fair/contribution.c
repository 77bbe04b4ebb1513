/* SPDX-License-Identifier: Apache-2.0 */
#include "contribution.h"

#include <string.h>

#define MINUTE_S      60u
#define HOUR_MIN      60u
#define MILLION	      1000000u
#define SUCCESS_PARTS 8u
/* 0.95^(1/60) and 0.95, in parts of 2^32. */
#define MINUTE_PART 4291297148u
#define HOUR_PART   4080218931u
/* Nothing is left after it: 0.95^800 of the largest number that counts is below a millionth. */
#define GONE_H 800u
/* So that no sum of bytes overflows; far above the highest score. */
#define LEN_MAX (UINT64_MAX / 4)

static uint64_t part_of(uint64_t number, uint64_t part)
{
	return (uint64_t)((unsigned __int128)number * part >> 32);
}

static void fade(struct contribution *contribution, uint64_t minutes)
{
	uint64_t *numbers[] = {&contribution->relays,	&contribution->success,
			       &contribution->uptime,	&contribution->relayed,
			       &contribution->given,	&contribution->taken,
			       &contribution->give_take};
	uint64_t part = 1ull << 32;

	for (uint64_t hours = minutes / HOUR_MIN; hours > 0; hours--)
		part = part_of(part, HOUR_PART);
	for (uint64_t rest = minutes % HOUR_MIN; rest > 0; rest--)
		part = part_of(part, MINUTE_PART);
	for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		*numbers[i] = part_of(*numbers[i], part);
}

void contribution_age(struct contribution *contribution, uint64_t wall_s)
{
	uint64_t minutes;

	if (!contribution->aged_s)
		contribution->aged_s = wall_s;
	if (wall_s <= contribution->aged_s)
		return;
	minutes = (wall_s - contribution->aged_s) / MINUTE_S;
	contribution->aged_s += minutes * MINUTE_S;
	if (minutes >= GONE_H * HOUR_MIN)
		*contribution = (struct contribution){.aged_s = contribution->aged_s};
	else if (minutes)
		fade(contribution, minutes);
}

/* A minute counts once, and an hour's sixty are one. */
static void work(struct contribution *contribution, uint64_t wall_s)
{
	uint64_t minute = wall_s / MINUTE_S;

	if (minute <= contribution->worked_min)
		return;
	contribution->worked_min = minute;
	contribution->uptime += (MILLION + HOUR_MIN / 2) / HOUR_MIN;
}

static uint64_t sum_of(uint64_t a, uint64_t b)
{
	if (b > LEN_MAX)
		b = LEN_MAX;
	return a + b > LEN_MAX ? LEN_MAX : a + b;
}

/* give/take goes towards the ratio of both, by as much of the way as len is of a megabyte. */
static void trade(struct contribution *contribution, uint64_t len)
{
	uint64_t taken = contribution->taken > MILLION ? contribution->taken : MILLION;
	uint64_t ratio = (uint64_t)((unsigned __int128)contribution->given * MILLION / taken);

	if (ratio > CONTRIBUTION_RATIO_MAX)
		ratio = CONTRIBUTION_RATIO_MAX;
	if (len > MILLION)
		len = MILLION;
	contribution->give_take =
		(contribution->give_take * (MILLION - len) + ratio * len + MILLION / 2) / MILLION;
}

void contribution_answered(struct contribution *contribution, bool is_ok, uint64_t wall_s)
{
	contribution_age(contribution, wall_s);
	if (is_ok) {
		work(contribution, wall_s);
		contribution->success += (MILLION - contribution->success) / SUCCESS_PARTS;
	} else {
		contribution->success -= contribution->success / SUCCESS_PARTS;
	}
}

void contribution_given(struct contribution *contribution, uint64_t len, uint64_t wall_s)
{
	contribution_age(contribution, wall_s);
	work(contribution, wall_s);
	contribution->given = sum_of(contribution->given, len);
	trade(contribution, len);
}

void contribution_taken(struct contribution *contribution, uint64_t len, uint64_t wall_s)
{
	contribution_age(contribution, wall_s);
	contribution->taken = sum_of(contribution->taken, len);
	trade(contribution, len);
}

void contribution_relayed(struct contribution *contribution, uint32_t flow_cnt, uint64_t len,
			  uint64_t wall_s)
{
	contribution_given(contribution, len, wall_s);
	contribution->relays = sum_of(contribution->relays, (uint64_t)flow_cnt * MILLION);
	contribution->relayed = sum_of(contribution->relayed, len);
}

void contribution_store(const struct contribution *contribution,
			uint64_t out_numbers[static CONTRIBUTION_NUMBER_CNT])
{
	const struct contribution *c = contribution;
	const uint64_t numbers[CONTRIBUTION_NUMBER_CNT] = {c->aged_s,  c->worked_min, c->relays,
							   c->success, c->uptime,     c->relayed,
							   c->given,   c->taken,      c->give_take};

	memcpy(out_numbers, numbers, sizeof(numbers));
}

static uint64_t cut(uint64_t number, uint64_t max)
{
	return number < max ? number : max;
}

void contribution_load(struct contribution *contribution,
		       const uint64_t numbers[static CONTRIBUTION_NUMBER_CNT])
{
	*contribution = (struct contribution){
		.aged_s = numbers[0],
		.worked_min = numbers[1],
		.relays = cut(numbers[2], LEN_MAX),
		.success = cut(numbers[3], MILLION),
		.uptime = cut(numbers[4], LEN_MAX),
		.relayed = cut(numbers[5], LEN_MAX),
		.given = cut(numbers[6], LEN_MAX),
		.taken = cut(numbers[7], LEN_MAX),
		.give_take = cut(numbers[8], CONTRIBUTION_RATIO_MAX),
	};
}

uint32_t contribution_score(const struct contribution *contribution)
{
	/* In twentieths of a millionth of a point. */
	unsigned __int128 sum = (unsigned __int128)contribution->relays * 20 +
				(unsigned __int128)contribution->success * 100 +
				(unsigned __int128)contribution->uptime * 10 +
				(unsigned __int128)contribution->relayed * 4 +
				(unsigned __int128)contribution->give_take * 30;
	unsigned __int128 score = sum / 20 / (MILLION / CONTRIBUTION_POINT);

	return score < CONTRIBUTION_MAX ? (uint32_t)score : CONTRIBUTION_MAX;
}
