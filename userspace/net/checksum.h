/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NET_CHECKSUM_H
#define WEFT_NET_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * Private to net/: the Internet checksum (RFC 1071). Sums are in the byte
 * order of memory. The ones' complement does not mind: neither the summed
 * words nor the stored result need swapping.
 *
 * A part of odd length must be the last one added.
 */

/* net_checksum_add: sum with the len bytes at data added. */
uint64_t net_checksum_add(uint64_t sum, const void *data, size_t len);
/* net_checksum_copy copies len bytes from src to dst, which do not overlap, and adds them on the way. */
uint64_t net_checksum_copy(uint64_t sum, void *dst, const void *src, size_t len);

/* checksum_fold: the 16 bits that a header carries, in memory's byte order; 0: the sum is right. */
static inline uint16_t checksum_fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static inline uint64_t checksum_add_be16(uint64_t sum, uint16_t value)
{
	const uint8_t be[2] = {(uint8_t)(value >> 8), (uint8_t)value};
	uint16_t word;

	memcpy(&word, be, sizeof(word));
	return sum + word;
}

#endif
