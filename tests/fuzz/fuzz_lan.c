/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/assert.h"
#include "base/memory/arena.h"
#include "lan/beacon.h"
#include "lan/dnssd.h"
#include "lan/lan_foreign.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Instances of other programs: all that is listed is printable. */
static void foreign_hear(const uint8_t *data, size_t len)
{
	static struct lan_foreign foreign;
	static struct arena arena;
	static uint64_t now_ns;
	const struct lan_packet packet = {
		.source = {.family = ADDR_IPV4, .ip = {192, 0, 2, 1}}, .bytes = data, .len = len};
	const struct lan_foreign_node *node = NULL;

	if (now_ns == 0)
		weft_assert(arena_open(&arena, ARENA_GROWS) == 0 &&
			    lan_foreign_init(&foreign, &arena) == 0);
	if (lan_foreign_input(&foreign, &packet, "eth0", ++now_ns) < 0)
		return;
	while ((node = lan_foreign_next(&foreign, node)))
		for (const char *at = node->domain; *at; at++)
			weft_assert(*at >= 0x20 && *at < 0x7f);
	weft_assert(foreign.entries.used_cnt <= LAN_FOREIGN_CAP);
	lan_foreign_forget(&foreign, NULL, now_ns);
}

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
		foreign_hear(data + 1, len - 1);
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
