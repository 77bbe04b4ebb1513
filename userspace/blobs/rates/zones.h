/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_RATES_ZONES_H
#define WEFT_BLOBS_RATES_ZONES_H

#include <stddef.h>

#include "base/addr.h"
#include "weft/err.h"

/*
 * The price of traffic with a network, as a list of prefixes with a price: "10.0.0.0/8=0
 * 2001:db8::/32=0 192.0.2.0/24=5". The longest prefix that holds an address counts; what none
 * holds has ZONE_PRICE. Price 0 is free: it takes nothing of the limits of all traffic. Among
 * others the cheaper comes first, in serving and in getting.
 */
#define ZONES_MAX      64u
#define ZONE_PRICE     10u
#define ZONE_PRICE_MAX 1000u
#define ZONES_TEXT_CAP 1024u

struct zone {
	struct addr prefix;
	unsigned bits;
	unsigned price;
};

struct zones {
	unsigned cnt;
	struct zone zones[ZONES_MAX];
};

/*
 * blobs_zones_parse reads text, entries apart by blanks or commas. 0, or with
 * *out_at, the entry that is at fault: WEFT_EMALFORMED, WEFT_EFULL (too
 * many), WEFT_ETOOLARGE (price), WEFT_EEXISTS (the prefix is there already).
 */
WEFT_MUST_CHECK
int blobs_zones_parse(const char *text, struct zones *out_zones, const char **out_at);
/* blobs_zones_price: of an address; of one that is not known ZONE_PRICE. */
unsigned blobs_zones_price(const struct zones *zones, const struct addr *addr);

#endif
