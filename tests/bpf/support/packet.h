/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_BPF_PACKET_H
#define WEFT_TESTS_BPF_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/endpoint.h"

/*
 * Frames as the test wants them, right unless it says otherwise: zeros
 * stand for the usual.
 */
#define PACKET_LEN_MAX 1600

struct packet {
	unsigned vlan_cnt;
	uint16_t ethertype; /* 0: of the family */
	uint8_t first_byte; /* of the IP header; 0: right */
	uint16_t fragment;  /* flags and offset */
	uint8_t protocol;   /* 0: UDP */
	int ip_len_excess;  /* what IP claims too much */
	int udp_len_excess; /* what UDP claims too much */
	uint16_t tail_len;  /* bytes behind the datagram: padding */
	bool has_csum;	    /* else 0 in IPv4, and in IPv6 whatever it was */
	struct weft_endpoint source, local;
	const uint8_t *payload;
	size_t payload_len;
};

/* packet_write returns the frame's length; at has PACKET_LEN_MAX bytes. */
size_t packet_write(const struct packet *packet, uint8_t *at);
/* packet_headers_len: bytes before the payload. */
size_t packet_headers_len(const struct packet *packet);
/* packet_udp_csum_is_good and the IPv4 header's: of a frame of one of ours. */
bool packet_csums_are_good(const struct packet *packet, const uint8_t *frame, size_t len);

/* endpoint: "192.0.2.1" or "2001:db8::1". */
struct weft_endpoint packet_endpoint(const char *addr, uint16_t port);

#endif
