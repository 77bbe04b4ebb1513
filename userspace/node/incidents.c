/* SPDX-License-Identifier: Apache-2.0 */
#include "node/incidents.h"

#include <string.h>

void incidents_add(struct incidents *incidents, const struct incident *incident)
{
	uint64_t number = incident->at_ns / INCIDENTS_HOUR_NS + 1;
	struct incident_hour *hour = &incidents->hours[number % INCIDENTS_HOUR_CNT];

	if (hour->hour > number)
		return;
	if (hour->hour < number) {
		hour->hour = number;
		hour->cnt = 0;
	}
	hour->incidents[hour->cnt++ % INCIDENTS_CAP] = *incident;
}

/* A ban of a prefix befell whoever is in it; what befell an address befell its prefix. */
static bool incident_is_of(const struct incident *incident, const struct ban_target *who)
{
	if (who->kind == BAN_KEY)
		return incident->who.kind == BAN_KEY &&
		       memcmp(incident->who.key, who->key, BAN_KEY_LEN) == 0;
	return ban_target_has(who, &incident->addr) || ban_target_has(&incident->who, &who->addr) ||
	       (incident->who.kind != BAN_KEY && ban_target_has(who, &incident->who.addr));
}

/* The room is a ring until all was seen. */
struct found {
	struct incident *incidents;
	unsigned cap;
	uint64_t cnt;
};

static void hour_find(const struct incident_hour *hour, const struct ban_target *who,
		      struct found *found)
{
	uint64_t i = hour->cnt > INCIDENTS_CAP ? hour->cnt - INCIDENTS_CAP : 0;

	for (; i < hour->cnt; i++) {
		const struct incident *incident = &hour->incidents[i % INCIDENTS_CAP];

		if (incident_is_of(incident, who))
			found->incidents[found->cnt++ % found->cap] = *incident;
	}
}

static void reverse(struct incident *incidents, unsigned begin, unsigned end)
{
	while (begin + 1 < end) {
		struct incident other = incidents[begin];

		incidents[begin++] = incidents[--end];
		incidents[end] = other;
	}
}

unsigned incidents_find(const struct incidents *incidents, uint64_t now_ns,
			const struct ban_target *who, struct incident *out_incidents, unsigned cap,
			uint64_t *out_lost_cnt)
{
	uint64_t number = now_ns / INCIDENTS_HOUR_NS + 1;
	struct found found = {.incidents = out_incidents, .cap = cap};
	unsigned first;

	*out_lost_cnt = 0;
	for (uint64_t age = INCIDENTS_HOUR_CNT; age-- > 0;) {
		const struct incident_hour *hour;

		if (age >= number)
			continue;
		hour = &incidents->hours[(number - age) % INCIDENTS_HOUR_CNT];
		if (hour->hour != number - age)
			continue;
		hour_find(hour, who, &found);
		if (hour->cnt > INCIDENTS_CAP)
			*out_lost_cnt += hour->cnt - INCIDENTS_CAP;
	}
	if (found.cnt <= cap)
		return (unsigned)found.cnt;
	/* The oldest stands in the middle: three reversals turn the ring. */
	first = (unsigned)(found.cnt % cap);
	reverse(out_incidents, 0, first);
	reverse(out_incidents, first, cap);
	reverse(out_incidents, 0, cap);
	return cap;
}
