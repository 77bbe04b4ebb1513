/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf/support/packet.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "weft/frame.h"

#define INNER_VLAN_ID 8

static uint8_t *put_be16(uint8_t *at, unsigned value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
	return at + 2;
}

static uint32_t add_be16(const uint8_t *at, size_t len, uint32_t sum)
{
	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? at[i] : (uint32_t)at[i] << 8;
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static bool is_ipv4(const struct packet *packet)
{
	return weft_endpoint_is_ipv4(&packet->source);
}

size_t packet_headers_len(const struct packet *packet)
{
	return WEFT_ETH_LEN + packet->vlan_cnt * WEFT_VLAN_LEN +
	       (is_ipv4(packet) ? WEFT_IPV4_LEN : WEFT_IPV6_LEN) + WEFT_UDP_LEN;
}

const uint8_t packet_mac[6] = {2, 0, 0, 0, 0, 1};

struct weft_device packet_device(void)
{
	struct weft_device device = {.mac = 0};
	uint64_t outer = weft_vlan_tag(WEFT_ETHERTYPE_QINQ, PACKET_VLAN_ID);

	memcpy(&device.mac, packet_mac, sizeof(packet_mac));
	if (!weft_device_put_vlan(&device, outer) ||
	    !weft_device_put_vlan(&device,
				  outer << 32 | weft_vlan_tag(WEFT_ETHERTYPE_VLAN, INNER_VLAN_ID)))
		abort();
	return device;
}

static uint8_t *write_ethernet(const struct packet *packet, uint8_t *at)
{
	static const uint8_t source[6] = {2, 0, 0, 0, 0, 2};
	unsigned outer = packet->vlan_id ? packet->vlan_id : PACKET_VLAN_ID;
	unsigned type = is_ipv4(packet) ? WEFT_ETHERTYPE_IPV4 : WEFT_ETHERTYPE_IPV6;

	memcpy(at, packet->dest ? packet->dest : packet_mac, 6);
	memcpy(at + 6, source, 6);
	at += 12;
	for (unsigned i = 0; i < packet->vlan_cnt; i++) {
		at = put_be16(at, i ? WEFT_ETHERTYPE_VLAN : WEFT_ETHERTYPE_QINQ);
		at = put_be16(at, i ? INNER_VLAN_ID : outer);
	}
	return put_be16(at, packet->ethertype ? packet->ethertype : type);
}

static uint8_t *write_ip(const struct packet *packet, uint8_t *at, unsigned udp_len)
{
	unsigned protocol = packet->protocol ? packet->protocol : WEFT_PROTOCOL_UDP;
	unsigned len = udp_len + (unsigned)packet->ip_len_excess;

	if (!is_ipv4(packet)) {
		memset(at, 0, WEFT_IPV6_LEN);
		at[0] = packet->first_byte ? packet->first_byte : 0x60;
		at[1] = (uint8_t)(packet->ecn << 4);
		put_be16(at + 4, len);
		at[6] = (uint8_t)protocol;
		at[7] = 64;
		memcpy(at + 8, packet->source.addr, 16);
		memcpy(at + 24, packet->local.addr, 16);
		return at + WEFT_IPV6_LEN;
	}
	memset(at, 0, WEFT_IPV4_LEN);
	at[0] = packet->first_byte ? packet->first_byte : 0x45;
	at[1] = packet->ecn;
	put_be16(at + 2, WEFT_IPV4_LEN + len);
	put_be16(at + 6, packet->fragment);
	at[8] = 64;
	at[9] = (uint8_t)protocol;
	memcpy(at + 12, packet->source.addr + 12, 4);
	memcpy(at + 16, packet->local.addr + 12, 4);
	put_be16(at + 10, (uint16_t)~fold(add_be16(at, WEFT_IPV4_LEN, 0)));
	at[11] ^= packet->is_ip_sum_wrong;
	return at + WEFT_IPV4_LEN;
}

/* Sum of pseudo-header, UDP header and payload; 0xffff when the checksum in it is right. */
static uint16_t udp_sum(const uint8_t *ip, const uint8_t *udp, unsigned udp_len)
{
	bool is_four = ip[0] >> 4 == 4;
	uint32_t sum = is_four ? add_be16(ip + 12, 8, 0) : add_be16(ip + 8, 32, 0);

	return fold(add_be16(udp, udp_len, sum + WEFT_PROTOCOL_UDP + udp_len));
}

static void write_udp_sum(const struct packet *packet, const uint8_t *ip, uint8_t *udp,
			  unsigned udp_len)
{
	uint16_t csum = (uint16_t)~udp_sum(ip, udp, udp_len);

	/* Zero says that there is none (RFC 768). */
	if (!csum)
		csum = 0xffff;
	if (packet->udp_sum == PACKET_SUM_WRONG)
		csum ^= 0x0100;
	if (packet->udp_sum == PACKET_SUM_PARTIAL) {
		const uint8_t nothing[1] = {0};

		csum = udp_sum(ip, nothing, 0);
		csum = fold((uint32_t)csum + udp_len);
	}
	put_be16(udp + 6, packet->udp_sum == PACKET_SUM_NONE ? 0 : csum);
}

void packet_repair(const struct packet *packet, uint8_t *at)
{
	uint8_t *ip = at + WEFT_ETH_LEN + packet->vlan_cnt * WEFT_VLAN_LEN;

	put_be16(ip + 10, 0);
	put_be16(ip + 10, (uint16_t)~fold(add_be16(ip, WEFT_IPV4_LEN, 0)));
}

size_t packet_write(const struct packet *packet, uint8_t *at)
{
	unsigned udp_len = WEFT_UDP_LEN + (unsigned)packet->payload_len;
	uint8_t *ip = write_ethernet(packet, at);
	uint8_t *udp = write_ip(packet, ip, udp_len);
	size_t len = packet_headers_len(packet) + packet->payload_len;

	memcpy(udp, &packet->source.port_be, 2);
	memcpy(udp + 2, &packet->local.port_be, 2);
	put_be16(udp + 4, udp_len + (unsigned)packet->udp_len_excess);
	put_be16(udp + 6, 0);
	if (packet->payload_len)
		memcpy(udp + WEFT_UDP_LEN, packet->payload, packet->payload_len);
	write_udp_sum(packet, ip, udp, udp_len);
	memset(at + len, 0, packet->tail_len);
	return len + packet->tail_len;
}

bool packet_csums_are_good(const struct packet *packet, const uint8_t *frame, size_t len)
{
	const uint8_t *udp = frame + packet_headers_len(packet) - WEFT_UDP_LEN;
	const uint8_t *ip = frame + WEFT_ETH_LEN + packet->vlan_cnt * WEFT_VLAN_LEN;
	unsigned udp_len = (unsigned)udp[4] << 8 | udp[5];

	if (udp + udp_len > frame + len || (udp[6] | udp[7]) == 0)
		return false;
	if (is_ipv4(packet) && fold(add_be16(ip, WEFT_IPV4_LEN, 0)) != 0xffff)
		return false;
	return udp_sum(ip, udp, udp_len) == 0xffff;
}

struct weft_endpoint packet_endpoint(const char *addr, uint16_t port)
{
	struct weft_endpoint endpoint = {.port_be = htons(port)};
	uint8_t bytes[16];

	if (inet_pton(AF_INET, addr, bytes) == 1)
		weft_endpoint_set_ipv4(&endpoint, bytes);
	else if (inet_pton(AF_INET6, addr, bytes) == 1)
		weft_endpoint_set_ipv6(&endpoint, bytes);
	else
		abort();
	return endpoint;
}
