/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEFT_BPF_MAPS_H
#define WEFT_BPF_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "test_clock.h"
#include "weft/cid.h"
#include "weft/facts.h"
#include "weft/xdp_maps.h"
#include "weft/frame.h"
#include "weft/ghash.h"
#include "weft/krpc_tables.h"
#include "weft/relay_tables.h"
#include "weft/token.h"

/*
 * The program's tables (weft/xdp_maps.h names the writer of each), and the
 * functions by which weft/policy.h reads them.
 */
#define WEFT_LOCAL_CNT	 256
#define WEFT_SCRATCH_LEN 640 /* the longest answer, with two ids of 255 bytes */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct weft_config);
} weft_config SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct weft_cid_keys);
} weft_cid_keys SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct weft_token_keys);
} weft_token_keys SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct weft_ghash);
} weft_ghash SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct weft_locals);
} weft_locals SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct weft_device);
} weft_device SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, WEFT_BAN_CNT_MAX);
	__type(key, struct weft_ban_key_ipv4);
	__type(value, struct weft_ban);
} weft_bans_ipv4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, WEFT_BAN_CNT_MAX);
	__type(key, struct weft_ban_key_ipv6);
	__type(value, struct weft_ban);
} weft_bans_ipv6 SEC(".maps");

/* Filled before traffic, so that memory stays flat; the loader may set another size. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, WEFT_SESSION_CNT_DEFAULT);
	__type(key, struct weft_endpoint);
	__type(value, struct weft_session);
} weft_sessions SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, WEFT_VALIDATED_SET_CNT);
	__type(key, __u32);
	__type(value, struct weft_validated_set);
} weft_validated SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, WEFT_CLASS_ALL_CNT *WEFT_LEVEL_CNT *WEFT_PLACE_BLOCKS);
	__type(key, __u32);
	__type(value, struct weft_place_block);
} weft_places SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WEFT_CLASS_ALL_CNT *WEFT_LEVEL_CNT *WEFT_PLACE_BLOCKS);
	__type(key, __u32);
	__type(value, struct weft_mark_block);
} weft_marks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WEFT_TOTAL_CNT);
	__type(key, __u32);
	__type(value, __u64);
} weft_totals SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, WEFT_ANSWERS_CNT);
	__type(key, __u32);
	__type(value, struct weft_random_drop);
} weft_random_drops SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, WEFT_REASON_CNT);
	__type(key, __u32);
	__type(value, struct weft_counter);
} weft_counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, WEFT_REASON_CNT);
	__type(key, __u32);
	__type(value, struct weft_sampler);
} weft_samplers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, WEFT_SAMPLES_LEN);
} weft_samples SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, WEFT_QUEUE_CNT);
	__type(key, __u32);
	__type(value, __u32);
} weft_xsks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, WEFT_KRPC_FAMILY_CNT);
	__type(key, __u32);
	__type(value, struct weft_krpc_self);
} weft_krpc_selves SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, WEFT_KRPC_BUCKETS_CNT);
	__type(key, __u32);
	__type(value, struct weft_krpc_bucket);
} weft_krpc_buckets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, WEFT_KRPC_HELD_WORD_CNT);
	__type(key, __u32);
	__type(value, __u64);
} weft_krpc_held SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct weft_krpc_reply_keys);
} weft_krpc_keys SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct weft_relay_keys);
} weft_relay_keys SEC(".maps");

/* A node that is no relay has one flow, which is never open: the loader sets how many. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct weft_relay_flow);
} weft_relay_flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, WEFT_RELAY_GRANT_CNT);
	__type(key, __u32);
	__type(value, struct weft_relay_grant);
} weft_relay_grants SEC(".maps");

/*
 * Key and value are the number of a device. It is here if the device has a program of this node and
 * the program may send frames by it.
 */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
	__uint(max_entries, WEFT_RELAY_DEVICE_CNT);
	__type(key, __u32);
	__type(value, __u32);
} weft_relay_devices SEC(".maps");

/*
 * The state of the frame at hand, which lives through its functions. It is
 * not on the stack. Without CAP_PERFMON the kernel follows each word stored
 * there by a barrier of 5 ns (Linux 6.18, EPYC; Speculative Store Bypass).
 * Frame and facts there made a drop three times as dear. bytes are read or
 * written at offsets of their own: the head of a packet, then its answer,
 * which is len bytes from begin on.
 */
struct weft_scratch {
	__u8 bytes[WEFT_SCRATCH_LEN];
	__u32 begin, len;
	__u64 work[24]; /* what an answer is made from */
	struct weft_frame frame;
	struct weft_facts facts;
	struct weft_relay_way relay;
	__u32 idx; /* to look up by */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct weft_scratch);
} weft_scratch SEC(".maps");

/* The key of tables with one value; read-only data, for it is not on the stack either. */
static const __u32 only = 0;

/* Maps are the kernel's; what belongs to the packet at hand is its context. */
#define weft_tables xdp_md

WEFT_INLINE const struct weft_config *weft_table_config(struct weft_tables *tables)
{
	return bpf_map_lookup_elem(&weft_config, &only);
}

WEFT_INLINE const struct weft_locals *weft_table_locals(struct weft_tables *tables)
{
	return bpf_map_lookup_elem(&weft_locals, &only);
}

WEFT_INLINE const struct weft_device *weft_table_device(struct weft_tables *tables)
{
	return bpf_map_lookup_elem(&weft_device, &only);
}

WEFT_INLINE __u32 weft_table_frame_len(struct weft_tables *tables)
{
	return (__u32)bpf_xdp_get_buff_len(tables);
}

WEFT_INLINE __u64 weft_table_now(struct weft_tables *tables)
{
	return clock_now_ns();
}

WEFT_INLINE __u64 weft_table_tick(struct weft_tables *tables)
{
	return clock_tick();
}

WEFT_INLINE const struct weft_cid_keys *weft_table_cid_keys(struct weft_tables *tables)
{
	return bpf_map_lookup_elem(&weft_cid_keys, &only);
}

WEFT_INLINE const struct weft_token_keys *weft_table_token_keys(struct weft_tables *tables)
{
	return bpf_map_lookup_elem(&weft_token_keys, &only);
}

WEFT_INLINE const struct weft_ban *weft_table_ban(struct weft_tables *tables,
						  const struct weft_endpoint *source)
{
	struct weft_ban_key_ipv6 ipv6 = {.prefix_len = 128};
	struct weft_ban_key_ipv4 ipv4 = {.prefix_len = 32};

	if (weft_endpoint_is_ipv4(source)) {
		__builtin_memcpy(ipv4.addr, source->addr + 12, sizeof(ipv4.addr));
		return bpf_map_lookup_elem(&weft_bans_ipv4, &ipv4);
	}
	__builtin_memcpy(ipv6.addr, source->addr, sizeof(ipv6.addr));
	return bpf_map_lookup_elem(&weft_bans_ipv6, &ipv6);
}

WEFT_INLINE struct weft_session *weft_table_session(struct weft_tables *tables,
						    const struct weft_endpoint *source)
{
	return bpf_map_lookup_elem(&weft_sessions, source);
}

WEFT_INLINE struct weft_random_drop *weft_table_random_drop(struct weft_tables *tables,
							    enum weft_answer answer)
{
	static const __u32 keys[WEFT_ANSWERS_CNT] = {WEFT_ANSWERS_RETRY, WEFT_ANSWERS_VERSION};

	return bpf_map_lookup_elem(&weft_random_drops, &keys[answer]);
}

WEFT_INLINE struct weft_place *weft_table_place(struct weft_tables *tables, enum weft_class class,
						__u32 level, __u32 idx)
{
	__u32 at =
		(class * WEFT_LEVEL_CNT + level) * WEFT_PLACE_BLOCKS + idx / WEFT_PLACE_BLOCK_CNT;
	struct weft_place_block *block = bpf_map_lookup_elem(&weft_places, &at);

	return block ? &block->places[idx % WEFT_PLACE_BLOCK_CNT] : 0;
}

WEFT_INLINE __u64 *weft_table_mark(struct weft_tables *tables, enum weft_class class, __u32 level,
				   __u32 idx)
{
	__u32 at =
		(class * WEFT_LEVEL_CNT + level) * WEFT_PLACE_BLOCKS + idx / WEFT_PLACE_BLOCK_CNT;
	struct weft_mark_block *block = bpf_map_lookup_elem(&weft_marks, &at);

	return block ? &block->marks[idx % WEFT_PLACE_BLOCK_CNT] : 0;
}

WEFT_INLINE __u64 *weft_table_total(struct weft_tables *tables, enum weft_total total)
{
	static const __u32 keys[WEFT_TOTAL_CNT] = {WEFT_TOTAL_KRPC_BYTES, WEFT_TOTAL_SENDERS,
						   WEFT_TOTAL_KRPC};

	return bpf_map_lookup_elem(&weft_totals, &keys[total]);
}

WEFT_INLINE struct weft_scratch *scratch_acquire(void)
{
	return bpf_map_lookup_elem(&weft_scratch, &only);
}

_Static_assert(WEFT_KRPC_TEXT_LEN <= WEFT_SCRATCH_LEN &&
		       sizeof(struct weft_krpc_draft) <= WEFT_SCRATCH_LEN,
	       "a question is read there, and its answer drafted");
_Static_assert(sizeof(struct weft_krpc_query) <= sizeof(((struct weft_scratch *)0)->work),
	       "what it says is kept there meanwhile");

WEFT_INLINE const struct weft_krpc_text *weft_table_krpc_text(struct weft_tables *tables,
							      const struct weft_facts *facts)
{
	struct weft_scratch *copy = scratch_acquire();
	__u32 len = facts->len;

	if (!copy || len < 1 || len > WEFT_KRPC_QUERY_LEN_MAX)
		return 0;
	WEFT_UNROLL
	for (__u32 off = 0; off < WEFT_KRPC_TEXT_LEN; off += 8)
		weft_store_le64(copy->bytes + off, 0);
	if (bpf_xdp_load_bytes(tables, facts->payload_off, copy->bytes, len) < 0)
		return 0;
	return (const struct weft_krpc_text *)copy->bytes;
}

WEFT_INLINE const __u8 *weft_table_krpc_tail(struct weft_tables *tables,
					     const struct weft_facts *facts)
{
	struct weft_scratch *copy = scratch_acquire();
	__u32 off = facts->payload_off + facts->len - WEFT_KRPC_TAIL_LEN;

	if (!copy || bpf_xdp_load_bytes(tables, off, copy->bytes, WEFT_KRPC_TAIL_LEN) < 0)
		return 0;
	return copy->bytes;
}

WEFT_INLINE const __u8 *weft_table_stun_head(struct weft_tables *tables,
					     const struct weft_facts *facts)
{
	struct weft_scratch *copy = scratch_acquire();

	if (!copy || facts->len < WEFT_STUN_LEN_MIN ||
	    bpf_xdp_load_bytes(tables, facts->payload_off, copy->work, WEFT_STUN_LEN_MIN) < 0)
		return 0;
	return (const __u8 *)copy->work;
}

WEFT_INLINE const struct weft_krpc_reply_keys *
weft_table_krpc_reply_keys(struct weft_tables *tables)
{
	return bpf_map_lookup_elem(&weft_krpc_keys, &only);
}

WEFT_INLINE struct weft_krpc_query *weft_table_krpc_query(struct weft_tables *tables)
{
	struct weft_scratch *scratch = scratch_acquire();

	return scratch ? (struct weft_krpc_query *)scratch->work : 0;
}

/* The value at idx of an array, by a key that is not on the stack. */
WEFT_INLINE void *table_value(void *map, __u32 idx)
{
	struct weft_scratch *scratch = scratch_acquire();

	if (!scratch)
		return 0;
	scratch->idx = idx;
	return bpf_map_lookup_elem(map, &scratch->idx);
}

WEFT_INLINE struct weft_validated_set *weft_table_validated_set(struct weft_tables *tables,
								__u32 idx)
{
	return table_value(&weft_validated, idx);
}

WEFT_INLINE const struct weft_krpc_self *weft_table_krpc_self(struct weft_tables *tables,
							      __u32 family)
{
	return table_value(&weft_krpc_selves, family);
}

WEFT_INLINE const struct weft_krpc_bucket *weft_table_krpc_bucket(struct weft_tables *tables,
								  __u32 idx)
{
	return table_value(&weft_krpc_buckets, idx);
}

WEFT_INLINE const __u64 *weft_table_krpc_held(struct weft_tables *tables, __u32 idx)
{
	return table_value(&weft_krpc_held, idx);
}

WEFT_INLINE struct weft_relay_keys *weft_table_relay_keys(struct weft_tables *tables)
{
	return bpf_map_lookup_elem(&weft_relay_keys, &only);
}

WEFT_INLINE struct weft_relay_flow *weft_table_relay_flow(struct weft_tables *tables, __u32 idx)
{
	return table_value(&weft_relay_flows, idx);
}

WEFT_INLINE struct weft_relay_grant *weft_table_relay_grant(struct weft_tables *tables, __u32 idx)
{
	return table_value(&weft_relay_grants, idx);
}

WEFT_INLINE struct weft_relay_way *weft_table_relay_way(struct weft_tables *tables)
{
	struct weft_scratch *scratch = scratch_acquire();

	return scratch ? &scratch->relay : 0;
}

WEFT_INLINE const struct weft_frame *weft_table_relay_frame(struct weft_tables *tables)
{
	struct weft_scratch *scratch = scratch_acquire();

	return scratch ? &scratch->frame : 0;
}

WEFT_INLINE __u32 weft_table_relay_ifindex(struct weft_tables *tables)
{
	return tables->ingress_ifindex;
}

WEFT_INLINE _Bool weft_table_relay_has_device(struct weft_tables *tables, __u32 ifindex)
{
	return table_value(&weft_relay_devices, ifindex) != 0;
}

#endif
