/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/assert.h"
#include "lan/beacon.h"
#include "lan/dnssd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* A first byte tells beacons from messages of DNS-SD. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct lan_services services = {.cnt = 2, .names = {"fapp", "housing"}};
	static const struct dnssd_self self = {.label = "01234567", .services = &services};
	static struct dnssd_message message;
	uint8_t again[BEACON_LEN_MAX];
	struct beacon beacon, got;
	struct writer w = writer_of(again, sizeof(again));

	if (len == 0)
		return 0;
	if (data[0]) {
		if (lan_dnssd_parse(data + 1, len - 1, &self, &message) == 0)
			weft_assert(message.instance_cnt <= DNSSD_INSTANCES_MAX &&
				    (message.subtypes | message.literals) < 4);
		return 0;
	}
	if (lan_beacon_parse(data + 1, len - 1, &beacon) < 0)
		return 0;
	lan_beacon_write(&w, &beacon);
	weft_assert(!w.bad && lan_beacon_parse(again, writer_len(&w), &got) == 0);
	weft_assert(got.quic_port == beacon.quic_port && got.caps == beacon.caps &&
		    memcmp(got.instance, beacon.instance, sizeof(got.instance)) == 0);
	return 0;
}
