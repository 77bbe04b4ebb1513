/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Headers of frames, both ways. Pure: bytes in, bytes out. On the path of
 * every AF_XDP datagram, on the worker that owns the socket.
 */
#include "net/udp_frame.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>
#include <string.h>

#include "net/checksum.h"

#define VLAN_TAG_LEN	 4
#define VLAN_TAG_CNT_MAX 2
#define HOP_LIMIT	 64 /* RFC 1700's default, and Linux' */
#define ECN_BITS	 3

static uint16_t load_be16(const uint8_t *at)
{
	return (uint16_t)((uint32_t)at[0] << 8 | at[1]);
}

static bool is_vlan(uint16_t type)
{
	return type == ETH_P_8021Q || type == ETH_P_8021AD;
}

/* Length of the link header, 0: cut off. *out_type is what follows it. */
static size_t link_parse(const uint8_t *frame, size_t len, uint16_t *out_type)
{
	size_t link_len = LINK_HEADER_LEN;

	if (len < link_len)
		return 0;
	while (is_vlan(load_be16(frame + link_len - 2)) && link_len < LINK_HEADER_LEN_MAX) {
		link_len += VLAN_TAG_LEN;
		if (len < link_len)
			return 0;
	}
	*out_type = load_be16(frame + link_len - 2);
	return link_len;
}

/* Length of the UDP header and payload behind an IPv4 header, 0: not of our form. */
static size_t ipv4_parse(const uint8_t *packet, size_t len, struct dgram *dgram)
{
	struct iphdr ip;
	size_t ip_len;

	if (len < UDP_FRAME_HEADERS_IPV4)
		return 0;
	memcpy(&ip, packet, sizeof(ip));
	ip_len = ntohs(ip.tot_len);
	if (ip.version != 4 || ip.ihl != 5 || ip.protocol != IPPROTO_UDP ||
	    (ntohs(ip.frag_off) & (IP_MF | IP_OFFMASK)) || ip_len < UDP_FRAME_HEADERS_IPV4 ||
	    ip_len > len || checksum_fold(checksum_add(0, &ip, sizeof(ip))) != 0)
		return 0;
	dgram->ecn = ip.tos & ECN_BITS;
	dgram->remote.family = dgram->local.family = ADDR_IPV4;
	memcpy(dgram->remote.ip, &ip.saddr, sizeof(ip.saddr));
	memcpy(dgram->local.ip, &ip.daddr, sizeof(ip.daddr));
	return ip_len - sizeof(ip);
}

static size_t ipv6_parse(const uint8_t *packet, size_t len, struct dgram *dgram)
{
	struct ip6_hdr ip;
	size_t payload_len;

	if (len < UDP_FRAME_HEADERS_IPV6)
		return 0;
	memcpy(&ip, packet, sizeof(ip));
	payload_len = ntohs(ip.ip6_plen);
	if (ip.ip6_vfc >> 4 != 6 || ip.ip6_nxt != IPPROTO_UDP ||
	    payload_len < sizeof(struct udphdr) || payload_len > len - sizeof(ip))
		return 0;
	dgram->ecn = (uint8_t)(ntohl(ip.ip6_flow) >> 20 & ECN_BITS);
	dgram->remote.family = dgram->local.family = ADDR_IPV6;
	memcpy(dgram->remote.ip, &ip.ip6_src, sizeof(ip.ip6_src));
	memcpy(dgram->local.ip, &ip.ip6_dst, sizeof(ip.ip6_dst));
	return payload_len;
}

static void scope_set(struct addr *addr, unsigned ifindex)
{
	if (addr_is_link_local(addr))
		addr->scope_id = ifindex;
}

bool udp_frame_parse(uint8_t *frame, size_t len, unsigned ifindex, struct dgram *out_dgram,
		     size_t *out_link_len)
{
	struct dgram dgram = {0};
	uint16_t type = 0;
	size_t link_len = link_parse(frame, len, &type);
	uint8_t *packet = frame + link_len;
	struct udphdr udp;
	size_t udp_len;

	if (!link_len || (type != ETH_P_IP && type != ETH_P_IPV6))
		return false;
	udp_len = type == ETH_P_IP ? ipv4_parse(packet, len - link_len, &dgram)
				   : ipv6_parse(packet, len - link_len, &dgram);
	if (!udp_len)
		return false;
	packet += type == ETH_P_IP ? sizeof(struct iphdr) : sizeof(struct ip6_hdr);
	memcpy(&udp, packet, sizeof(udp));
	dgram.len = ntohs(udp.len);
	if (dgram.len <= sizeof(udp) || dgram.len > udp_len)
		return false;
	dgram.len -= sizeof(udp);
	dgram.data = packet + sizeof(udp);
	dgram.remote.port = ntohs(udp.source);
	dgram.local.port = ntohs(udp.dest);
	scope_set(&dgram.remote, ifindex);
	scope_set(&dgram.local, ifindex);
	*out_dgram = dgram;
	*out_link_len = link_len;
	return true;
}

void link_header_reverse(const uint8_t *link, size_t len, struct link_header *out_header)
{
	memset(out_header, 0, sizeof(*out_header));
	memcpy(out_header->bytes, link + ETH_ALEN, ETH_ALEN);
	memcpy(out_header->bytes + ETH_ALEN, link, ETH_ALEN);
	memcpy(out_header->bytes + 2 * ETH_ALEN, link + 2 * ETH_ALEN, len - 2 * ETH_ALEN);
	out_header->len = (uint8_t)len;
}

static uint64_t pseudo_header_sum(const struct dgram_route *route, size_t udp_len)
{
	size_t ip_len = route->remote.family == ADDR_IPV4 ? 4 : 16;
	uint64_t sum = checksum_add(0, route->local.ip, ip_len);

	sum = checksum_add(sum, route->remote.ip, ip_len);
	sum = checksum_add_be16(sum, IPPROTO_UDP);
	return checksum_add_be16(sum, (uint16_t)udp_len);
}

static size_t ipv4_write(uint8_t *at, const struct dgram_route *route, size_t udp_len)
{
	struct iphdr ip = {
		.version = 4,
		.ihl = 5,
		.tos = route->ecn & ECN_BITS,
		.tot_len = htons((uint16_t)(sizeof(ip) + udp_len)),
		.frag_off = htons(IP_DF),
		.ttl = HOP_LIMIT,
		.protocol = IPPROTO_UDP,
	};

	memcpy(&ip.saddr, route->local.ip, sizeof(ip.saddr));
	memcpy(&ip.daddr, route->remote.ip, sizeof(ip.daddr));
	ip.check = checksum_fold(checksum_add(0, &ip, sizeof(ip)));
	memcpy(at, &ip, sizeof(ip));
	return sizeof(ip);
}

static size_t ipv6_write(uint8_t *at, const struct dgram_route *route, size_t udp_len)
{
	struct ip6_hdr ip = {0};

	ip.ip6_flow = htonl(6u << 28 | (uint32_t)(route->ecn & ECN_BITS) << 20);
	ip.ip6_plen = htons((uint16_t)udp_len);
	ip.ip6_nxt = IPPROTO_UDP;
	ip.ip6_hlim = HOP_LIMIT;
	memcpy(&ip.ip6_src, route->local.ip, sizeof(ip.ip6_src));
	memcpy(&ip.ip6_dst, route->remote.ip, sizeof(ip.ip6_dst));
	memcpy(at, &ip, sizeof(ip));
	return sizeof(ip);
}

size_t udp_frame_write(uint8_t *frame, size_t cap, const struct link_header *link,
		       const struct dgram_route *route, const uint8_t *data, size_t len)
{
	bool is_ipv4 = route->remote.family == ADDR_IPV4;
	size_t udp_len = sizeof(struct udphdr) + len;
	size_t headers_len = is_ipv4 ? UDP_FRAME_HEADERS_IPV4 : UDP_FRAME_HEADERS_IPV6;
	struct udphdr udp = {.source = htons(route->local.port),
			     .dest = htons(route->remote.port),
			     .len = htons((uint16_t)udp_len)};
	uint8_t *at = frame;
	uint64_t sum;

	if (link->len + headers_len + len > cap)
		return 0;
	memcpy(at, link->bytes, link->len);
	at += link->len;
	at += is_ipv4 ? ipv4_write(at, route, udp_len) : ipv6_write(at, route, udp_len);
	sum = checksum_add(pseudo_header_sum(route, udp_len), &udp, sizeof(udp));
	udp.check = checksum_fold(checksum_copy(sum, at + sizeof(udp), data, len));
	/* RFC 768: a sum of zero is sent as its other form; zero says there is none. */
	if (udp.check == 0)
		udp.check = 0xffff;
	memcpy(at, &udp, sizeof(udp));
	return link->len + headers_len + len;
}
