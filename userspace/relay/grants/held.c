/* SPDX-License-Identifier: Apache-2.0 */
#include "held.h"

#include <string.h>

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
	held->grants[held->cnt].is_used = false;
	held->grants[held->cnt++].len = (uint16_t)len;
	return RELAY_GRANT_FINE;
}

static void expired_drop(struct relay_held *held, uint64_t wall_s)
{
	unsigned kept_cnt = 0;

	for (unsigned i = 0; i < held->cnt; i++) {
		const struct relay_grant_place place = {
			.issuer = held->grants[i].shown.grant.issuer, .wall_s = wall_s};

		if (relay_shown_judge(&held->grants[i].shown, &place) == RELAY_GRANT_EXPIRED)
			continue;
		held->grants[kept_cnt] = held->grants[i];
		/* It borrows the bytes beside it. */
		if (relay_shown_parse(held->grants[kept_cnt].bytes, held->grants[kept_cnt].len,
				      &held->grants[kept_cnt].shown) == 0)
			kept_cnt++;
	}
	held->cnt = kept_cnt;
}

/* Returns whether it is held; then it is kept, should it be taken out of relay.grants. */
static bool use_again(struct relay_held *held, const uint8_t *bytes, size_t len)
{
	for (unsigned i = 0; i < held->cnt; i++) {
		if (held->grants[i].len != len || memcmp(held->grants[i].bytes, bytes, len) != 0)
			continue;
		held->grants[i].is_used = true;
		return true;
	}
	return false;
}

enum relay_grant_fault relay_held_use(struct relay_held *held, const char *text,
				      const uint8_t user[static 32], uint64_t wall_s)
{
	uint8_t bytes[RELAY_SHOWN_LEN_MAX];
	enum relay_grant_fault fault;
	size_t len;

	if (relay_grant_text_read(text, bytes, &len) < 0)
		return RELAY_GRANT_MALFORMED;
	if (use_again(held, bytes, len))
		return RELAY_GRANT_FINE;
	/* This node's clock may be wrong: what it takes for expired goes for want of room alone. */
	if (held->cnt == RELAY_HELD_MAX)
		expired_drop(held, wall_s);
	fault = relay_held_add(held, text, user);
	if (fault == RELAY_GRANT_FINE)
		held->grants[held->cnt - 1].is_used = true;
	return fault;
}

size_t relay_held_write(const struct relay_held *held, char text[static RELAY_HELD_TEXT_CAP])
{
	size_t len = 0;

	for (unsigned i = 0; i < held->cnt; i++) {
		if (!held->grants[i].is_used)
			continue;
		(void)relay_grant_text_write(held->grants[i].bytes, held->grants[i].len,
					     text + len);
		len += strlen(text + len);
		text[len++] = '\n';
	}
	return len;
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
