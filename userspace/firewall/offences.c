/* SPDX-License-Identifier: Apache-2.0 */
#include "offences.h"

#include <string.h>

#define IPV6_PLACE_LEN 64 /* bits; what one customer is given at least (RFC 6177) */

struct addr firewall_offences_place(const struct addr *addr)
{
	return addr_prefix_key(addr, addr->family == ADDR_IPV4 ? 32 : IPV6_PLACE_LEN);
}

static void offence_remove(struct offences *offences, unsigned idx)
{
	offences->offences[idx] = offences->offences[--offences->cnt];
}

uint64_t firewall_offences_cause(const struct offences *offences,
				 const uint8_t key[static BAN_KEY_LEN], uint64_t fresh)
{
	for (unsigned i = 0; i < offences->cnt; i++)
		if (memcmp(offences->offences[i].key, key, BAN_KEY_LEN) == 0)
			return offences->offences[i].cause;
	return fresh;
}

static bool offence_is_of(const struct offence *a, const struct offence *b)
{
	return memcmp(a->key, b->key, BAN_KEY_LEN) == 0 && addr_equal(&a->place, &b->place);
}

/* The slot to write: that of the same key and place, a free one, or the oldest. */
static struct offence *offence_slot(struct offences *offences, const struct offence *offence)
{
	struct offence *oldest = NULL, *oldest_here = NULL;
	unsigned here_cnt = 0;

	for (unsigned i = 0; i < offences->cnt; i++) {
		struct offence *at = &offences->offences[i];

		if (offence_is_of(at, offence))
			return at;
		if (!oldest || at->at_s < oldest->at_s)
			oldest = at;
		if (!addr_equal(&at->place, &offence->place))
			continue;
		here_cnt++;
		if (!oldest_here || at->at_s < oldest_here->at_s)
			oldest_here = at;
	}
	if (here_cnt >= OFFENCES_PLACE_CAP && offence->place.family != ADDR_NONE)
		return oldest_here;
	return offences->cnt < OFFENCES_CAP ? &offences->offences[offences->cnt++] : oldest;
}

void firewall_offences_note(struct offences *offences, const struct offence *offence)
{
	*offence_slot(offences, offence) = *offence;
}

uint64_t firewall_offences_limit_until_s(const struct offences *offences, const struct addr *place,
					 uint64_t now_s)
{
	uint64_t newest_s[OFFENCES_KEYS_MIN] = {0}; /* newest first */
	uint64_t deciding_s;

	for (unsigned i = 0; i < offences->cnt; i++) {
		uint64_t at_s = offences->offences[i].at_s;

		if (!addr_equal(&offences->offences[i].place, place))
			continue;
		for (unsigned k = 0; k < OFFENCES_KEYS_MIN; k++) {
			uint64_t below_s = newest_s[k];

			if (at_s <= below_s)
				continue;
			newest_s[k] = at_s;
			at_s = below_s;
		}
	}
	deciding_s = newest_s[OFFENCES_KEYS_MIN - 1];
	if (!deciding_s || deciding_s + OFFENCES_WINDOW_S <= now_s)
		return 0;
	return deciding_s + OFFENCES_WINDOW_S;
}

void firewall_offences_forget_cause(struct offences *offences, uint64_t cause,
				    void (*fn)(void *arg, const struct addr *place), void *arg)
{
	for (unsigned i = offences->cnt; i-- > 0;) {
		const struct addr place = offences->offences[i].place;

		if (offences->offences[i].cause != cause)
			continue;
		offence_remove(offences, i);
		if (fn && place.family != ADDR_NONE)
			fn(arg, &place);
	}
}

void firewall_offences_forget_place(struct offences *offences, const struct addr *place)
{
	for (unsigned i = offences->cnt; i-- > 0;)
		if (addr_equal(&offences->offences[i].place, place))
			offence_remove(offences, i);
}
