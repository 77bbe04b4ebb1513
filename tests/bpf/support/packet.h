/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_BPF_PACKET_H
#define WEFT_TESTS_BPF_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/xdp_maps.h"

/*
 * Frames as the test wants them, right unless it says otherwise: zeros
 * stand for the usual.
 */
#define PACKET_LEN_MAX 1600

enum packet_sum {
	PACKET_SUM_RIGHT,
	PACKET_SUM_NONE, /* a UDP checksum of zero */
	PACKET_SUM_WRONG,
	PACKET_SUM_PARTIAL, /* of the pseudo-header alone, as for a card to go on with */
};

struct packet {
	const uint8_t *dest; /* MAC; NULL: packet_mac */
	uint16_t vlan_id;    /* of the outer tag; 0: PACKET_VLAN_ID */
	unsigned vlan_cnt;
	uint16_t ethertype; /* 0: of the family */
	uint8_t first_byte; /* of the IP header; 0: right */
	uint16_t fragment;  /* flags and offset */
	uint8_t ecn;	    /* the two bits */
	uint8_t protocol;   /* 0: UDP */
	int ip_len_excess;  /* what IP claims too much */
	int udp_len_excess; /* what UDP claims too much */
	uint16_t tail_len;  /* bytes behind the datagram: padding */
	enum packet_sum udp_sum;
	bool is_ip_sum_wrong; /* of IPv4 */
	struct weft_endpoint source, local;
	const uint8_t *payload;
	size_t payload_len;
};

/* The device that frames are for: its MAC, and the tags that it takes, one and two. */
#define PACKET_VLAN_ID 7
extern const uint8_t packet_mac[6];
struct weft_device packet_device(void);

/* packet_write returns the frame's length; at has PACKET_LEN_MAX bytes. */
size_t packet_write(const struct packet *packet, uint8_t *at);
/* packet_repair makes the IPv4 header's checksum right again, where that header would be. */
void packet_repair(const struct packet *packet, uint8_t *at);
/* packet_headers_len: bytes before the payload. */
size_t packet_headers_len(const struct packet *packet);
/*
 * packet_udp_csum_is_good checks this checksum and that of the IPv4 header in a frame that a test
 * built.
 */
bool packet_csums_are_good(const struct packet *packet, const uint8_t *frame, size_t len);

/* endpoint: "192.0.2.1" or "2001:db8::1". */
struct weft_endpoint packet_endpoint(const char *addr, uint16_t port);

#endif
