/* SPDX-License-Identifier: Apache-2.0 */
/* Ethernet, IP, UDP and the first bytes of each kind of payload. */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <string.h>

#include "frame.h"
#include "weft/classify.h"

#define TTL		64
#define INITIAL_LEN_MIN 1200 /* RFC 9000 14.1 */
#define INITIAL_CID_LEN 8
#define NOISE		0xa5

/* Zeros are where an id or a target is written. */
#define ZEROS "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
static const char krpc_ping[] = "d1:ad2:id20:" ZEROS "pktge1:q4:ping1:t2:pg1:y1:qe";
static const char find_node[] =
	"d1:ad2:id20:pktgenpktgenpktgenpk6:target20:" ZEROS "pktge1:q9:find_node1:t2:pg1:y1:qe";
static const char get_peers[] =
	"d1:ad2:id20:pktgenpktgenpktgenpk9:info_hash20:" ZEROS "pktge1:q9:get_peers1:t2:pg1:y1:qe";

/* Where a kind has its id, how long that is, and how long the payload is. */
static const struct {
	size_t id_off, id_len, len_min, len;
} shapes[KIND_CNT] = {
	[KIND_INITIAL] = {6, INITIAL_CID_LEN, 64, INITIAL_LEN_MIN},
	[KIND_SHORT_JUNK] = {1, PKTGEN_ID_LEN, WEFT_QUIC_SHORT_LEN_MIN, 200},
	[KIND_SHORT_VALID] = {1, PKTGEN_ID_LEN, WEFT_QUIC_SHORT_LEN_MIN, 200},
	[KIND_KRPC] = {12, PKTGEN_ID_LEN, sizeof(krpc_ping) - 1, sizeof(krpc_ping) - 1},
	[KIND_FIND_NODE] = {43, PKTGEN_ID_LEN, sizeof(find_node) - 1, sizeof(find_node) - 1},
	[KIND_GET_PEERS] = {46, PKTGEN_ID_LEN, sizeof(get_peers) - 1, sizeof(get_peers) - 1},
	[KIND_JUNK] = {8, 8, 16, 200},
	[KIND_GIVEN] = {0, 0, 1, 0},
};

size_t frame_payload_len_min(enum kind kind)
{
	return shapes[kind].len_min;
}

size_t frame_payload_len(enum kind kind)
{
	return shapes[kind].len;
}

size_t frame_payload_len_max(bool is_ipv6)
{
	size_t ip_len = is_ipv6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);

	return FRAME_LEN_MAX - sizeof(struct ethhdr) - ip_len - sizeof(struct udphdr);
}

static void write_initial(uint8_t *payload, size_t len)
{
	size_t rest_len;

	*payload++ = 0xc3; /* Initial, 4 bytes of packet number, as far as an observer can tell */
	memcpy(payload, (uint8_t[]){0, 0, 0, WEFT_QUIC_V1, INITIAL_CID_LEN}, 5);
	payload += 5 + INITIAL_CID_LEN;
	*payload++ = INITIAL_CID_LEN;
	payload += INITIAL_CID_LEN;
	*payload++ = 0; /* no token */
	rest_len = len - (6 + INITIAL_CID_LEN + 1 + INITIAL_CID_LEN + 1 + 2);
	*payload++ = (uint8_t)(0x40 | rest_len >> 8);
	*payload = (uint8_t)rest_len;
}

#define write_text(payload, len, text)                                                             \
	(memset(payload, 'e', len), memcpy(payload, text, sizeof(text) - 1))

static void write_payload(const struct frame_request *request, uint8_t *payload)
{
	enum kind kind = request->kind;
	size_t len = request->payload_len;

	memset(payload, NOISE, len);
	switch (kind) {
	case KIND_INITIAL:
		write_initial(payload, len);
		break;
	case KIND_SHORT_JUNK:
	case KIND_SHORT_VALID:
		payload[0] = 0x40;
		break;
	case KIND_KRPC:
		write_text(payload, len, krpc_ping);
		break;
	case KIND_FIND_NODE:
		write_text(payload, len, find_node);
		break;
	case KIND_GET_PEERS:
		write_text(payload, len, get_peers);
		break;
	case KIND_GIVEN:
		memcpy(payload, request->given, len);
		break;
	case KIND_JUNK:
	case KIND_CNT:
		payload[0] = 0x3f;
		break;
	}
	memset(payload + shapes[kind].id_off, 0, shapes[kind].id_len);
}

/* A partial Internet checksum (RFC 1071), of bytes as they lie in memory. */
static uint32_t sum_bytes(const void *bytes, size_t len)
{
	const uint8_t *at = bytes;
	uint32_t sum = 0;
	uint16_t word;

	for (; len >= 2; at += 2, len -= 2) {
		memcpy(&word, at, 2);
		sum += word;
	}
	if (len) {
		word = 0;
		memcpy(&word, at, 1);
		sum += word;
	}
	return sum;
}

static size_t write_ip(const struct frame_request *request, uint8_t *to, size_t udp_len,
		       struct pktgen_config *config)
{
	if (request->is_ipv6) {
		struct ipv6hdr ip = {.version = 6,
				     .payload_len = htons((uint16_t)udp_len),
				     .nexthdr = IPPROTO_UDP,
				     .hop_limit = TTL};

		memcpy(&ip.daddr, request->dst, sizeof(ip.daddr));
		memcpy(to, &ip, sizeof(ip));
		config->udp_sum = sum_bytes(&ip.daddr, sizeof(ip.daddr));
		return sizeof(ip);
	}
	struct iphdr ip = {.version = 4,
			   .ihl = 5,
			   .tot_len = htons((uint16_t)(sizeof(ip) + udp_len)),
			   .frag_off = htons(0x4000), /* do not fragment */
			   .ttl = TTL,
			   .protocol = IPPROTO_UDP};

	memcpy(&ip.daddr, request->dst, sizeof(ip.daddr));
	memcpy(to, &ip, sizeof(ip));
	config->ip_sum = sum_bytes(&ip, sizeof(ip));
	config->udp_sum = sum_bytes(&ip.daddr, sizeof(ip.daddr));
	return sizeof(ip);
}

void frame_write(const struct frame_request *request, struct frame *out_frame,
		 struct pktgen_config *config)
{
	size_t udp_len = sizeof(struct udphdr) + request->payload_len;
	struct udphdr udp = {.dest = htons(request->dst_port), .len = htons((uint16_t)udp_len)};
	struct ethhdr eth = {.h_proto = htons(request->is_ipv6 ? ETH_P_IPV6 : ETH_P_IP)};
	uint8_t *at = out_frame->bytes;

	memcpy(eth.h_dest, request->dst_mac, ETH_ALEN);
	memcpy(eth.h_source, request->src_mac, ETH_ALEN);
	memcpy(at, &eth, sizeof(eth));
	at += sizeof(eth);
	at += write_ip(request, at, udp_len, config);
	memcpy(at, &udp, sizeof(udp));
	write_payload(request, at + sizeof(udp));
	/* The pseudo header: addresses (source by the program), length, protocol. */
	config->udp_sum +=
		sum_bytes(at, udp_len) + htons((uint16_t)udp_len) + (uint32_t)htons(IPPROTO_UDP);
	at += udp_len;
	config->is_ipv6 = request->is_ipv6;
	config->id_off = (uint32_t)shapes[request->kind].id_off;
	config->id_len = (uint32_t)shapes[request->kind].id_len;
	out_frame->len = (size_t)(at - out_frame->bytes);
	memcpy(config->head, out_frame->bytes,
	       out_frame->len < sizeof(config->head) ? out_frame->len : sizeof(config->head));
}
