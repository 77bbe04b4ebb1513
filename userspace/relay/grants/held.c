/* SPDX-License-Identifier: Apache-2.0 */
#include "held.h"

enum relay_grant_fault relay_held_add(struct relay_held *held, const char *text,
				      const uint8_t user[static 32])
{
	struct relay_grant_place place = {.user = user};
	struct relay_shown *shown;
	enum relay_grant_fault fault;
	uint8_t *bytes;
	size_t len;

	if (held->cnt == RELAY_HELD_MAX)
		return RELAY_GRANT_FULL;
	bytes = held->grants[held->cnt].bytes;
	shown = &held->grants[held->cnt].shown;
	if (relay_grant_text_read(text, bytes, &len) < 0 ||
	    relay_shown_parse(bytes, len, shown) < 0)
		return RELAY_GRANT_MALFORMED;
	if (relay_shown_verify(shown) < 0)
		return RELAY_GRANT_FORGED;
	place.issuer = shown->grant.issuer;
	place.wall_s = shown->grant.not_before_s;
	fault = relay_shown_judge(shown, &place);
	if (fault != RELAY_GRANT_FINE)
		return fault;
	held->grants[held->cnt++].len = (uint16_t)len;
	return RELAY_GRANT_FINE;
}

unsigned relay_held_choose(const struct relay_held *held, const uint8_t relay[static 32],
			   uint64_t wall_s)
{
	unsigned found = RELAY_HELD_MAX;

	for (unsigned i = 0; i < held->cnt; i++) {
		const struct relay_shown *shown = &held->grants[i].shown;
		const struct relay_grant_place place = {
			.issuer = shown->grant.issuer, .relay = relay, .wall_s = wall_s};

		if (relay_shown_judge(shown, &place) != RELAY_GRANT_FINE)
			continue;
		if (shown->grant.is_content)
			return i;
		if (found == RELAY_HELD_MAX)
			found = i;
	}
	return found;
}
