/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dht/items/pkarr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/*
 * The input is a key, how to read, and a DNS message that its owner signed.
 * What is read of it may be published, and then reads the same.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {1};
	static struct node_key *own;
	struct pkarr_policy policy = {.publish = PKARR_DIRECT};
	struct pkarr_record record, selected, again;
	struct pkarr_packet packet;
	uint8_t value[1 + sizeof(packet.value)], sig[NODE_KEY_SIG_LEN] = {0};
	struct dht_item item = {.key = data, .sig = sig, .value = value};

	if (!own && node_key_from_seed(seed, &own) < 0)
		abort();
	if (len < NODE_KEY_LEN + 1)
		return 0;
	policy.allows_private = data[NODE_KEY_LEN] & 1;
	data += NODE_KEY_LEN + 1;
	len -= NODE_KEY_LEN + 1;
	if (len > PKARR_DNS_LEN_MAX)
		return 0;
	item.value_len = (size_t)snprintf((char *)value, sizeof(value), "%zu:", len);
	memcpy(value + item.value_len, data, len);
	item.value_len += len;
	if (dht_pkarr_packet_of_item(&item, &packet) < 0)
		return 0;
	(void)dht_pkarr_packet_ttl_s(&packet);
	if (dht_pkarr_record_read(&packet, policy.allows_private, &record) < 0)
		return 0;
	if (dht_pkarr_record_select(&record, &policy, &selected) < 0)
		abort();
	dht_pkarr_packet_sign(&selected, own, 1, &packet);
	if (dht_pkarr_record_read(&packet, policy.allows_private, &again) < 0 ||
	    memcmp(&again, &record, sizeof(again)) != 0)
		abort();
	return 0;
}
