/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Samples come at most some hundreds a second, so a table is searched from
 * its start.
 */
#include "offenders.h"

#include <stdlib.h>
#include <string.h>

struct weft_endpoint firewall_offenders_source(const struct weft_endpoint *source)
{
	struct weft_endpoint prefix = {.words = {source->words[0], source->words[1]}};

	if (!weft_endpoint_is_ipv4(source))
		prefix.words[1] = 0;
	return prefix;
}

static bool offender_is(const struct offender *offender, const struct weft_endpoint *source,
			enum weft_reason reason)
{
	return offender->reason == reason && weft_endpoint_equal(&offender->source, source);
}

static struct offender_hour *hour_at(struct offenders *offenders, uint64_t at_ns)
{
	uint64_t number = at_ns / OFFENDERS_HOUR_NS + 1;
	struct offender_hour *hour = &offenders->hours[number % OFFENDERS_HOUR_CNT];

	if (hour->hour > number)
		return NULL;
	if (hour->hour < number) {
		hour->hour = number;
		hour->cnt = 0;
	}
	return hour;
}

static struct offender *hour_find(struct offender_hour *hour, const struct weft_endpoint *source,
				  enum weft_reason reason)
{
	for (unsigned i = 0; i < hour->cnt; i++)
		if (offender_is(&hour->offenders[i], source, reason))
			return &hour->offenders[i];
	return NULL;
}

static struct offender *hour_least(struct offender_hour *hour)
{
	struct offender *least = &hour->offenders[0];

	for (unsigned i = 1; i < hour->cnt; i++)
		if (hour->offenders[i].cnt < least->cnt)
			least = &hour->offenders[i];
	return least;
}

void firewall_offenders_add(struct offenders *offenders, const struct weft_sample *sample)
{
	struct offender_hour *hour = hour_at(offenders, sample->at_ns);
	struct weft_endpoint source = firewall_offenders_source(&sample->source);
	struct offender *offender;

	if (!hour)
		return;
	offender = hour_find(hour, &source, sample->reason);
	if (!offender) {
		uint64_t error_cnt = 0;

		if (hour->cnt < OFFENDERS_CAP) {
			offender = &hour->offenders[hour->cnt++];
		} else {
			offender = hour_least(hour);
			error_cnt = offender->cnt;
		}
		*offender = (struct offender){.source = source,
					      .cnt = error_cnt,
					      .error_cnt = error_cnt,
					      .first_ns = sample->at_ns,
					      .reason = sample->reason};
	}
	offender->cnt += sample->weight;
	offender->last_ns = sample->at_ns;
}

static int by_source(const void *a, const void *b)
{
	const struct offender *x = a, *y = b;
	int order = memcmp(&x->source, &y->source, sizeof(x->source));

	return order ? order : (int)x->reason - (int)y->reason;
}

static int by_count(const void *a, const void *b)
{
	const struct offender *x = a, *y = b;

	return x->cnt == y->cnt ? by_source(a, b) : x->cnt < y->cnt ? 1 : -1;
}

/* Neighbours of one source and reason become one; returns how many are left. */
static unsigned offenders_merge(struct offender *all, unsigned cnt)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < cnt; i++) {
		struct offender *last = kept ? &all[kept - 1] : NULL;

		if (!last || by_source(last, &all[i]) != 0) {
			all[kept++] = all[i];
			continue;
		}
		last->cnt += all[i].cnt;
		last->error_cnt += all[i].error_cnt;
		if (all[i].first_ns < last->first_ns)
			last->first_ns = all[i].first_ns;
		if (all[i].last_ns > last->last_ns)
			last->last_ns = all[i].last_ns;
	}
	return kept;
}

unsigned firewall_offenders_top(const struct offenders *offenders, uint64_t now_ns,
				struct offender *out_offenders, unsigned cap)
{
	uint64_t number = now_ns / OFFENDERS_HOUR_NS + 1;
	struct offender *all = malloc(OFFENDERS_HOUR_CNT * sizeof(offenders->hours[0].offenders));
	unsigned cnt = 0;

	if (!all)
		return 0;
	for (unsigned i = 0; i < OFFENDERS_HOUR_CNT; i++) {
		const struct offender_hour *hour = &offenders->hours[i];

		if (!hour->hour || hour->hour + OFFENDERS_HOUR_CNT <= number)
			continue;
		memcpy(all + cnt, hour->offenders, hour->cnt * sizeof(all[0]));
		cnt += hour->cnt;
	}
	qsort(all, cnt, sizeof(all[0]), by_source);
	cnt = offenders_merge(all, cnt);
	qsort(all, cnt, sizeof(all[0]), by_count);
	if (cnt > cap)
		cnt = cap;
	memcpy(out_offenders, all, cnt * sizeof(all[0]));
	free(all);
	return cnt;
}
