/* SPDX-License-Identifier: Apache-2.0 */
/* A list of networks with prices, and a rate: each has a price that is in range. */
#include <string.h>

#include "base/assert.h"
#include "blobs/rates/zones.h"
#include "config/config_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* A rate that is accepted prints as text that means as much. */
static void check_rate(const char *text)
{
	char printed[CONFIG_VALUE_CAP];
	uint64_t rate, again;

	if (!config_rate_parse(text, &rate))
		return;
	config_rate_format(rate, printed, sizeof(printed));
	weft_assert(config_rate_parse(printed, &again) && rate == again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char text[ZONES_TEXT_CAP];
	struct zones zones;
	const char *at;

	if (len >= sizeof(text))
		return 0;
	memcpy(text, data, len);
	text[len] = '\0';
	check_rate(text);
	if (blobs_zones_parse(text, &zones, &at) < 0)
		return 0;
	weft_assert(zones.cnt <= ZONES_MAX);
	for (unsigned i = 0; i < zones.cnt; i++)
		weft_assert(blobs_zones_price(&zones, &zones.zones[i].prefix) <= ZONE_PRICE_MAX);
	return 0;
}
