/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Both ends of a packet generator. pktgen_send runs over live frames
 * (BPF_F_TEST_XDP_LIVE_FRAMES). It gives each a source and an id and sends
 * it out of its apparent device. pktgen_sink counts and drops.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "pktgen.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pktgen_config);
} config_of SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PKTGEN_ID_CNT_MAX);
	__type(key, __u32);
	__type(value, struct pktgen_id);
} ids SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pktgen_counter);
} received SEC(".maps");

/* What is behind by more than this is not made up for. */
#define LAG_MAX_NS 1000000

/* One process sends, one frame at a time. */
__u64 sent_cnt;
__u64 due_ns;

/* Whether the next frame's time has come; else the kernel's loop asks again. */
static __always_inline _Bool is_due(const struct pktgen_config *config)
{
	__u64 now_ns;

	if (config->cnt && sent_cnt >= config->cnt)
		return 0;
	if (!config->gap_ns)
		return 1;
	now_ns = bpf_ktime_get_ns();
	if (now_ns < due_ns)
		return 0;
	due_ns = (due_ns + LAG_MAX_NS > now_ns ? due_ns : now_ns) + config->gap_ns;
	return 1;
}

/* The finalizer of SplitMix64: noise that is the same in every run. */
static __always_inline __u64 mix(__u64 number)
{
	number = (number ^ number >> 30) * 0xbf58476d1ce4e5b9ULL;
	number = (number ^ number >> 27) * 0x94d049bb133111ebULL;
	return number ^ number >> 31;
}

/* A number below cnt. */
static __always_inline __u32 pick(__u32 noise, __u32 cnt)
{
	return (__u32)((__u64)noise * cnt >> 32);
}

static __always_inline __u16 fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)sum;
}

static __always_inline __u64 sum_of(__u64 word)
{
	return (word & 0xffffffff) + (word >> 32);
}

/* Writes the source and returns what it adds to the UDP checksum. */
static __always_inline __u64 write_ipv4_source(struct iphdr *ip, const struct pktgen_config *config,
					       __u32 idx)
{
	__u32 first = 0;

	__builtin_memcpy(&first, config->source, sizeof(first));
	ip->saddr = bpf_htonl(bpf_ntohl(first) + idx);
	ip->check = (__u16)~fold((__u64)config->ip_sum + ip->saddr);
	return ip->saddr;
}

static __always_inline __u64 write_ipv6_source(struct ipv6hdr *ip,
					       const struct pktgen_config *config, __u32 idx)
{
	__u32 *words = ip->saddr.in6_u.u6_addr32;

	__builtin_memcpy(words, config->source, sizeof(config->source));
	words[1] = bpf_htonl(bpf_ntohl(words[1]) + idx);
	return (__u64)words[0] + words[1] + words[2] + words[3];
}

/* Writes the id and returns what it adds to the UDP checksum. */
static __always_inline __u64 write_id(__u8 *payload, void *end, const struct pktgen_config *config,
				      __u64 noise)
{
	__u64 words[2] = {noise, mix(noise)};
	__u32 key = pick((__u32)noise, config->id_cnt), off = config->id_off & PKTGEN_OFF_MAX;
	struct pktgen_id *id = config->id_cnt ? bpf_map_lookup_elem(&ids, &key) : 0;
	__u8 *to = payload + off;
	__u64 sum;

	if (id)
		__builtin_memcpy(words, id->bytes, sizeof(words));
	if (config->id_len == 8 && to + 8 <= (__u8 *)end) {
		__builtin_memcpy(to, words, 8);
		sum = sum_of(words[0]);
	} else if (config->id_len == PKTGEN_ID_LEN && to + PKTGEN_ID_LEN <= (__u8 *)end) {
		__builtin_memcpy(to, words, PKTGEN_ID_LEN);
		sum = sum_of(words[0]) + sum_of(words[1]);
	} else {
		return 0;
	}
	/* At an odd offset each byte counts for the other half of its word. */
	return off & 1 ? __builtin_bswap16(fold(sum)) : sum;
}

static __always_inline int send_udp(struct udphdr *udp, void *end,
				    const struct pktgen_config *config, __u64 sum, __u64 noise)
{
	__u32 port_noise = (__u32)(config->is_paired ? noise : mix(noise + 1));

	udp->source = bpf_htons((__u16)(config->source_port + pick(port_noise, config->port_cnt)));
	sum += (__u64)config->udp_sum + udp->source;
	sum += write_id((__u8 *)(udp + 1), end, config, noise);
	udp->check = (__u16)~fold(sum);
	if (!udp->check)
		udp->check = 0xffff;
	return XDP_TX;
}

static __always_inline void restore_head(__u8 *data, void *end, const struct pktgen_config *config)
{
	__u64 *words = (void *)data;

#pragma unroll
	for (int i = 0; i < PKTGEN_HEAD_WORDS; i++) {
		if ((void *)(words + i + 1) > end)
			return;
		words[i] = config->head[i];
	}
}

SEC("xdp")
int pktgen_send(struct xdp_md *ctx)
{
	__u32 only = 0, idx;
	const struct pktgen_config *config = bpf_map_lookup_elem(&config_of, &only);
	struct ipv6hdr *ipv6;
	struct iphdr *ipv4;
	__u64 noise;
	__u8 *data;
	void *end;

	if (!config)
		return XDP_ABORTED;
	if (!is_due(config))
		return XDP_DROP;
	restore_head((__u8 *)(long)ctx->data, (void *)(long)ctx->data_end, config);
	/* The kernel takes the length from us only when we change it; answers have changed it too. */
	if (bpf_xdp_adjust_tail(ctx, -PKTGEN_TAIL_LEN) < 0)
		return XDP_ABORTED;
	data = (__u8 *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	ipv6 = (void *)(data + sizeof(struct ethhdr));
	ipv4 = (void *)(data + sizeof(struct ethhdr));
	noise = mix(++sent_cnt * 0x9e3779b97f4a7c15ULL);
	idx = pick((__u32)(noise >> 32), config->source_cnt);
	if (config->is_ipv6) {
		struct udphdr *udp = (void *)(ipv6 + 1);

		if ((void *)(udp + 1) > end)
			return XDP_ABORTED;
		return send_udp(udp, end, config, write_ipv6_source(ipv6, config, idx), noise);
	} else {
		struct udphdr *udp = (void *)(ipv4 + 1);

		if ((void *)(udp + 1) > end)
			return XDP_ABORTED;
		return send_udp(udp, end, config, write_ipv4_source(ipv4, config, idx), noise);
	}
}

SEC("xdp")
int pktgen_sink(struct xdp_md *ctx)
{
	__u32 only = 0;
	struct pktgen_counter *counter = bpf_map_lookup_elem(&received, &only);

	if (counter) {
		counter->frame_cnt++;
		counter->byte_cnt += ctx->data_end - ctx->data;
	}
	return XDP_DROP;
}

char pktgen_license[] SEC("license") = "Dual BSD/GPL";
