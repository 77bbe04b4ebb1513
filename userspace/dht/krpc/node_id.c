/* SPDX-License-Identifier: Apache-2.0 */
#include "node_id.h"

#include <string.h>

#include "base/random.h"
#include "kad/kad_contact.h"

#define ID_MASK	 0xfffff800u /* the 21 bits that follow from the address */
#define CRC_POLY 0x82f63b78u /* CRC-32C (Castagnoli), reflected */

static uint32_t crc32c(const uint8_t *data, size_t len)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < len; i++) {
		crc ^= data[i];
		for (unsigned bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? CRC_POLY : 0);
	}
	return ~crc;
}

/* The leading 32 bits of ids at addr whose last byte is r; the upper 21 count. */
static uint32_t id_head(const struct addr *addr, uint8_t r)
{
	static const uint8_t mask_ipv4[] = {0x03, 0x0f, 0x3f, 0xff};
	static const uint8_t mask_ipv6[] = {0x01, 0x03, 0x07, 0x0f, 0x1f, 0x3f, 0x7f, 0xff};
	bool is_ipv4 = addr->family == ADDR_IPV4;
	const uint8_t *mask = is_ipv4 ? mask_ipv4 : mask_ipv6;
	size_t len = is_ipv4 ? sizeof(mask_ipv4) : sizeof(mask_ipv6);
	uint8_t masked[sizeof(mask_ipv6)];

	for (size_t i = 0; i < len; i++)
		masked[i] = addr->ip[i] & mask[i];
	masked[0] |= (uint8_t)((r & 7) << 5);
	return crc32c(masked, len) & ID_MASK;
}

static uint32_t head_of(const struct kad_id *id)
{
	return (uint32_t)id->bytes[0] << 24 | (uint32_t)id->bytes[1] << 16 |
	       (uint32_t)id->bytes[2] << 8;
}

void dht_node_id_make(const struct addr *external, struct random *random, struct kad_id *out_id)
{
	uint32_t head;

	random_fill(random, out_id->bytes, KAD_ID_LEN);
	head = id_head(external, out_id->bytes[KAD_ID_LEN - 1]);
	head |= head_of(out_id) & ~ID_MASK;
	out_id->bytes[0] = (uint8_t)(head >> 24);
	out_id->bytes[1] = (uint8_t)(head >> 16);
	out_id->bytes[2] = (uint8_t)(head >> 8);
}

bool dht_node_id_fits(const struct kad_id *id, const struct addr *addr)
{
	if (kad_addr_scope_of(addr) != KAD_ADDR_SCOPE_GLOBAL)
		return true;
	return (head_of(id) & ID_MASK) == id_head(addr, id->bytes[KAD_ID_LEN - 1]);
}
