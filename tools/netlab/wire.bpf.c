/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Decides what happens to a frame on a wire: lost, sent on at once, or held
 * until a moment. Userspace holds it (delay_line.c), because a kernel may
 * have neither netem nor fq. The program runs at the ingress of each end of
 * a wire. So it also sees frames that left their node past its own queues
 * (XDP_TX, AF_XDP).
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_helpers.h>

#include "wire.bpf.h"

#define NS_PER_S 1000000000ULL

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, WIRE_END_CNT_MAX);
	__type(key, __u32);
	__type(value, struct wire_settings);
} settings_of SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, WIRE_END_CNT_MAX);
	__type(key, __u32);
	__type(value, struct wire_state);
} state_of SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, WIRE_END_CNT_MAX);
	__type(key, __u32);
	__type(value, struct wire_counters);
} counters_of SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__type(key, __u32);
	__type(value, __u32);
} delay_line SEC(".maps");

enum fate { LOST, QUEUE_FULL, AT_ONCE, HELD };

/* 32 even bits of a linear congruential generator (Knuth's MMIX): the same seed, the same run. */
static __always_inline __u64 throw_dice(struct wire_state *state)
{
	state->dice = state->dice * 6364136223846793005ULL + 1442695040888963407ULL;
	return state->dice >> 32;
}

/* The time at which the frame is through a link of this rate. */
static __always_inline __u64 transmitted_at(const struct wire_settings *settings,
					    const struct wire_state *state, __u32 len, __u64 now_ns)
{
	__u64 begin_ns = state->free_at_ns > now_ns ? state->free_at_ns : now_ns;

	return begin_ns + len * 8 * NS_PER_S / settings->rate_bps;
}

/* Called with the lock. Each frame throws three times whatever happens, or seeds would not compare. */
static __always_inline enum fate decide(const struct wire_settings *settings,
					struct wire_state *state, __u32 len, __u64 *depart_ns)
{
	__u64 now_ns = *depart_ns, sent_ns = now_ns, wait_ns = settings->delay_ns;
	__u64 loss = throw_dice(state), reorder = throw_dice(state), jitter = throw_dice(state);

	if (loss < settings->loss)
		return LOST;
	if (settings->rate_bps) {
		sent_ns = transmitted_at(settings, state, len, now_ns);
		if (sent_ns - now_ns > settings->queue_ns)
			return QUEUE_FULL;
		state->free_at_ns = sent_ns;
	}
	wait_ns += (jitter * 2 * (settings->jitter_ns >> 10) >> 32 << 10) - settings->jitter_ns;
	if (reorder < settings->reorder)
		wait_ns = 0;
	*depart_ns = sent_ns + wait_ns;
	return *depart_ns > now_ns ? HELD : AT_ONCE;
}

static __always_inline int hold(struct __sk_buff *skb, const struct wire_settings *settings,
				struct wire_counters *counters, __u64 depart_ns)
{
	struct wire_held held = {
		.depart_ns = depart_ns,
		.out_ifindex = settings->out_ifindex,
		.len = skb->len,
		.has_vlan = skb->vlan_present,
		.vlan_proto_be = (__u16)skb->vlan_proto,
		.vlan_tci = (__u16)skb->vlan_tci,
	};

	if (bpf_perf_event_output(skb, &delay_line, (__u64)skb->len << 32 | BPF_F_CURRENT_CPU,
				  &held, sizeof(held)) < 0)
		counters->overrun++;
	else
		counters->held++;
	return TC_ACT_SHOT;
}

SEC("tc")
int wire_carry(struct __sk_buff *skb)
{
	__u32 end = skb->ifindex, len = skb->len;
	struct wire_settings *settings = bpf_map_lookup_elem(&settings_of, &end);
	struct wire_state *state = bpf_map_lookup_elem(&state_of, &end);
	struct wire_counters *counters = bpf_map_lookup_elem(&counters_of, &end);
	__u64 depart_ns = bpf_ktime_get_ns();
	enum fate fate;

	if (!settings || !state || !counters)
		return TC_ACT_SHOT;
	bpf_spin_lock(&state->lock);
	fate = decide(settings, state, len, &depart_ns);
	bpf_spin_unlock(&state->lock);

	counters->frames++;
	counters->bytes += len;
	switch (fate) {
	case LOST:
		counters->lost++;
		return TC_ACT_SHOT;
	case QUEUE_FULL:
		counters->queue_full++;
		return TC_ACT_SHOT;
	case HELD:
		return hold(skb, settings, counters, depart_ns);
	case AT_ONCE:
		return (int)bpf_redirect(settings->out_ifindex, 0);
	}
	return TC_ACT_SHOT;
}

/*
 * A veth takes XDP_TX and redirected frames of its peer only while it has a
 * native program of its own. So each end has this one.
 */
SEC("xdp.frags")
int wire_pass(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
