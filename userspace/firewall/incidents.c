/* SPDX-License-Identifier: Apache-2.0 */
#include "incidents.h"

#include <string.h>

static bool is_repeatable(enum incident_kind kind)
{
	return kind == INCIDENT_WRONG_KEY || kind == INCIDENT_DIAL_FAILED ||
	       kind == INCIDENT_REFUSED || kind == INCIDENT_VIOLATION;
}

static bool is_the_same(const struct incident *a, const struct incident *b)
{
	return a->kind == b->kind && a->end.err == b->end.err && a->end.code == b->end.code &&
	       memcmp(a->who.key, b->who.key, sizeof(a->who.key)) == 0 &&
	       memcmp(a->end.actual_key, b->end.actual_key, sizeof(a->end.actual_key)) == 0 &&
	       a->rule == b->rule && a->addr.family == b->addr.family &&
	       memcmp(a->addr.ip, b->addr.ip, sizeof(a->addr.ip)) == 0;
}

/* The incident of the same hour that incident repeats, or NULL. */
static struct incident *hour_earlier(struct incident_hour *hour, const struct incident *incident)
{
	uint64_t cnt = hour->cnt < INCIDENTS_CAP ? hour->cnt : INCIDENTS_CAP;

	for (uint64_t i = 0; is_repeatable(incident->kind) && i < cnt; i++)
		if (is_the_same(&hour->incidents[i], incident))
			return &hour->incidents[i];
	return NULL;
}

void firewall_incidents_add(struct incidents *incidents, const struct incident *incident)
{
	uint64_t number = incident->at_ns / INCIDENTS_HOUR_NS + 1;
	struct incident_hour *hour = &incidents->hours[number % INCIDENTS_HOUR_CNT];
	struct incident *earlier;

	if (hour->hour > number)
		return;
	if (hour->hour < number) {
		hour->hour = number;
		hour->cnt = 0;
	}
	earlier = hour_earlier(hour, incident);
	if (earlier) {
		earlier->again_cnt++;
		earlier->last_s = incident->at_s;
	} else {
		hour->incidents[hour->cnt++ % INCIDENTS_CAP] = *incident;
	}
}

/* An incident of a prefix counts for its addresses; one of an address counts for its prefixes. */
static bool incident_is_of(const struct incident *incident, const struct ban_target *who)
{
	if (who->kind == BAN_KEY)
		return incident->who.kind == BAN_KEY &&
		       memcmp(incident->who.key, who->key, BAN_KEY_LEN) == 0;
	return firewall_ban_target_has(who, &incident->addr) ||
	       firewall_ban_target_has(&incident->who, &who->addr) ||
	       (incident->who.kind != BAN_KEY && firewall_ban_target_has(who, &incident->who.addr));
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

/* The hour that began age hours before the one at hand, or NULL. */
static const struct incident_hour *hour_of(const struct incidents *incidents, uint64_t now_ns,
					   uint64_t age)
{
	uint64_t number = now_ns / INCIDENTS_HOUR_NS + 1;
	const struct incident_hour *hour = &incidents->hours[(number - age) % INCIDENTS_HOUR_CNT];

	return age < number && hour->hour == number - age ? hour : NULL;
}

unsigned firewall_incidents_find(const struct incidents *incidents, uint64_t now_ns,
				 const struct ban_target *who, struct incident *out_incidents,
				 unsigned cap)
{
	struct found found = {.incidents = out_incidents, .cap = cap};
	const struct incident_hour *hour;
	unsigned first;

	for (uint64_t age = INCIDENTS_HOUR_CNT; age-- > 0;)
		if ((hour = hour_of(incidents, now_ns, age)))
			hour_find(hour, who, &found);
	if (found.cnt <= cap)
		return (unsigned)found.cnt;
	/* The oldest stands in the middle: three reversals turn the ring. */
	first = (unsigned)(found.cnt % cap);
	reverse(out_incidents, 0, first);
	reverse(out_incidents, first, cap);
	reverse(out_incidents, 0, cap);
	return cap;
}

uint64_t firewall_incidents_lost_cnt(const struct incidents *incidents, uint64_t now_ns)
{
	const struct incident_hour *hour;
	uint64_t cnt = 0;

	for (uint64_t age = 0; age < INCIDENTS_HOUR_CNT; age++)
		if ((hour = hour_of(incidents, now_ns, age)) && hour->cnt > INCIDENTS_CAP)
			cnt += hour->cnt - INCIDENTS_CAP;
	return cnt;
}
