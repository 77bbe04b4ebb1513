/* SPDX-License-Identifier: Apache-2.0 */
#include "zones.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEPARATORS " \t,"
#define ENTRY_CAP  80u

/* Digits alone, at most max; false for anything else. */
static bool number_read(const char *text, unsigned max, unsigned *out_number)
{
	unsigned long number;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	number = strtoul(text, &end, 10);
	if (*end || number > max)
		return false;
	*out_number = (unsigned)number;
	return true;
}

/* An address without a port, as addr_parse reads it with one. */
static bool prefix_read(const char *text, struct addr *out_addr)
{
	char with_port[ENTRY_CAP + 8];

	snprintf(with_port, sizeof(with_port), strchr(text, ':') ? "[%s]:0" : "%s:0", text);
	if (addr_parse(with_port, out_addr) < 0)
		return false;
	return out_addr->scope_id == 0;
}

static int entry_parse(char *entry, struct zone *out_zone)
{
	char *price = strchr(entry, '='), *bits = strchr(entry, '/');
	struct addr addr, prefix;
	unsigned bits_max;

	if (!price || !bits || bits > price)
		return WEFT_EMALFORMED;
	*price++ = '\0';
	*bits++ = '\0';
	if (!prefix_read(entry, &addr))
		return WEFT_EMALFORMED;
	bits_max = addr.family == ADDR_IPV4 ? 32 : 128;
	if (!number_read(bits, bits_max, &out_zone->bits))
		return WEFT_EMALFORMED;
	if (!number_read(price, UINT32_MAX, &out_zone->price))
		return WEFT_EMALFORMED;
	if (out_zone->price > ZONE_PRICE_MAX)
		return WEFT_ETOOLARGE;
	prefix = addr_prefix_key(&addr, out_zone->bits);
	/* Bits behind the prefix say that another one was meant. */
	if (!addr_equal(&prefix, &addr))
		return WEFT_EMALFORMED;
	out_zone->prefix = prefix;
	return 0;
}

static int zone_add(struct zones *zones, const struct zone *zone)
{
	for (unsigned i = 0; i < zones->cnt; i++)
		if (zones->zones[i].bits == zone->bits &&
		    addr_equal(&zones->zones[i].prefix, &zone->prefix))
			return WEFT_EEXISTS;
	if (zones->cnt == ZONES_MAX)
		return WEFT_EFULL;
	zones->zones[zones->cnt++] = *zone;
	return 0;
}

int blobs_zones_parse(const char *text, struct zones *out_zones, const char **out_at)
{
	struct zones zones = {.cnt = 0};

	for (text += strspn(text, SEPARATORS); *text; text += strspn(text, SEPARATORS)) {
		size_t len = strcspn(text, SEPARATORS);
		char entry[ENTRY_CAP];
		struct zone zone;
		int err = len < sizeof(entry) ? 0 : WEFT_EMALFORMED;

		if (!err) {
			memcpy(entry, text, len);
			entry[len] = '\0';
			err = entry_parse(entry, &zone);
		}
		if (!err)
			err = zone_add(&zones, &zone);
		if (err) {
			*out_at = text;
			return err;
		}
		text += len;
	}
	*out_zones = zones;
	return 0;
}

unsigned blobs_zones_price(const struct zones *zones, const struct addr *addr)
{
	const struct zone *best = NULL;

	/* A label's bits say nothing of where its peer is. */
	if (addr_is_relayed(addr))
		return ZONE_PRICE;
	for (unsigned i = 0; i < zones->cnt; i++) {
		const struct zone *zone = &zones->zones[i];
		struct addr key;

		if (zone->prefix.family != addr->family || (best && best->bits >= zone->bits))
			continue;
		key = addr_prefix_key(addr, zone->bits);
		if (addr_equal(&key, &zone->prefix))
			best = zone;
	}
	return best ? best->price : ZONE_PRICE;
}
