/* SPDX-License-Identifier: Apache-2.0 */
#include "place_rule.h"

#include <string.h>

#include "announcement.h"

struct place {
	uint64_t hour, number;
};

static bool place_parse(const void *name, size_t name_len, struct place *out)
{
	struct cursor c = cursor_of(name, name_len);
	const uint8_t *prefix = cursor_bytes(&c, sizeof(RELAY_PLACE_PREFIX) - 1);

	out->hour = cursor_be64(&c);
	out->number = cursor_be64(&c);
	return !c.bad && cursor_left(&c) == 0 &&
	       memcmp(prefix, RELAY_PLACE_PREFIX, sizeof(RELAY_PLACE_PREFIX) - 1) == 0;
}

/* A clock that is off by less than the skew may be in the next hour already. */
static bool hour_fits(uint64_t hour, uint64_t wall_s)
{
	return hour <= (wall_s + RELAY_ANNOUNCEMENT_SKEW_S) / RELAY_HOUR_S &&
	       hour + 1 >= wall_s / RELAY_HOUR_S;
}

static bool place_is_of(const struct place *place, const uint8_t *key)
{
	for (unsigned i = 0; i < RELAY_PLACES_OF_KEY; i++)
		if (relay_place_of(key, place->hour, i) == place->number)
			return true;
	return false;
}

/* The signature costs most: it is looked at last. */
static int rule_check(void *ctx, const struct overlay_value *value, uint64_t wall_s,
		      struct overlay_claim *out_claim)
{
	struct relay_announcement announcement;
	struct place place;
	uint64_t place_ends_s;
	int err;

	(void)ctx;
	if (value->len == 0 || value->bytes[0] != RELAY_PLACE_TAG)
		return WEFT_EMALFORMED;
	if (!place_parse(value->name, value->name_len, &place) || !hour_fits(place.hour, wall_s))
		return WEFT_EREFUSED;
	if ((err = relay_announcement_parse(value->bytes + 1, value->len - 1, &announcement)) < 0 ||
	    (err = relay_announcement_check_time(&announcement, wall_s)) < 0)
		return err;
	if (!place_is_of(&place, announcement.key))
		return WEFT_EREFUSED;
	if ((err = relay_announcement_verify(value->bytes + 1, value->len - 1)) < 0)
		return err;
	place_ends_s = (place.hour + 2) * RELAY_HOUR_S;
	*out_claim = (struct overlay_claim){
		.seq = announcement.issued_s,
		.created_s = announcement.issued_s,
		.expires_s = announcement.expires_s < place_ends_s ? announcement.expires_s
								   : place_ends_s,
	};
	memcpy(out_claim->writer, announcement.key, sizeof(out_claim->writer));
	return 0;
}

int relay_place_rule_add(const struct overlay_seam *overlay)
{
	static const struct overlay_rule rule = {
		.tag = RELAY_PLACE_TAG,
		.prefix = RELAY_PLACE_PREFIX,
		.len_max = 1 + RELAY_ANNOUNCEMENT_LEN_MAX,
		.key_max = RELAY_PLACE_VALUES_MAX,
		.prefix_max = RELAY_PLACE_NETWORK_MAX,
		.check = rule_check,
		.pool = "overlay.value_cap: announcements of relays",
	};

	return overlay->ops->add_rule(overlay->overlay, &rule);
}
