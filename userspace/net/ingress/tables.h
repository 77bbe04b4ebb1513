/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NET_INGRESS_TABLES_H
#define WEFT_NET_INGRESS_TABLES_H

#include <stddef.h>
#include <stdint.h>

#include "base/map.h"
#include "base/memory/pool.h"
#include "weft/cid.h"
#include "weft/facts.h"
#include "weft/xdp_maps.h"
#include "weft/krpc_tables.h"
#include "weft/relay_tables.h"
#include "weft/token.h"

struct addr;
struct arena;

/*
 * The tables of the BPF program (weft/xdp_maps.h) for a worker that
 * receives by the kernel's socket. Names and values are the same, in
 * memory of one worker instead of maps of the kernel. Callers write
 * locals and the keys as they are.
 */
struct demux_ban_key {
	uint8_t addr[16]; /* v4-mapped; bits beyond the prefix are 0 */
	uint8_t prefix_len;
	uint8_t is_ipv4;
};

struct weft_tables {
	struct weft_config config;
	struct weft_locals locals;
	struct weft_device device; /* of a frame; a socket's datagrams have none */
	struct weft_cid_keys cid_keys;
	struct weft_token_keys token_keys;
	struct weft_counter counters[WEFT_REASON_CNT];
	struct weft_sampler samplers[WEFT_REASON_CNT];
	__u64 totals[WEFT_TOTAL_CNT];
	struct weft_random_drop draws[WEFT_ANSWERS_CNT];
	struct weft_place *places; /* by class, level, place */
	__u64 *marks;		   /* likewise */
	struct map bans;
	struct pool ban_slots;
	uint32_t ban_cnt[2][129]; /* by is_ipv4 and prefix length */
	struct map sessions;
	struct pool session_slots;
	struct weft_validated_set *validated;
	struct weft_krpc_tables krpc; /* all NULL: every question is for userspace */
	struct weft_krpc_reply_keys reply_keys;
	struct weft_relay_tables relay; /* all NULL: this node is no relay */
	/* The datagram at hand. */
	uint64_t now_ns;
	const uint8_t *payload;
	uint32_t frame_len;
	struct weft_krpc_text krpc_text;
	struct weft_krpc_query krpc_query;
	struct weft_relay_way relay_way;
	/*
	 * The frame's value, as the program has it; NULL: the datagram came by
	 * a socket.
	 */
	const struct weft_frame *relay_frame;
	uint32_t relay_ifindex;
	uint64_t relay_devices; /* a bit for each device by which the program can send */
};

struct demux_tables_params {
	uint32_t ban_cap;
	uint32_t session_cap;
	uint64_t secret[2]; /* of hash tables */
};

/* net_ingress_tables_init: zeroed storage; rates are all free until config is written. 0 or WEFT_EFULL. */
WEFT_MUST_CHECK
int net_ingress_tables_init(struct weft_tables *tables, struct arena *arena,
			    const struct demux_tables_params *params);

/* net_ingress_tables_set_config: all of it but the counts of bans, which are the tables' own. */
void net_ingress_tables_set_config(struct weft_tables *tables, const struct weft_config *config);

/*
 * net_ingress_ban_put bans prefix_len bits of addr's address, of 32 or 128 by
 * its family, or changes that ban. 0 or WEFT_EFULL. config's counts follow.
 */
WEFT_MUST_CHECK
int net_ingress_ban_put(struct weft_tables *tables, const struct weft_endpoint *addr,
			unsigned prefix_len, const struct weft_ban *ban);
void net_ingress_ban_delete(struct weft_tables *tables, const struct weft_endpoint *addr,
			    unsigned prefix_len);
/* net_ingress_ban_lookup: that of the longest prefix that source is in, or NULL. */
const struct weft_ban *net_ingress_ban_lookup(struct weft_tables *tables,
					      const struct weft_endpoint *source);

/* net_ingress_session_put adds or replaces. 0 or WEFT_EFULL. */
WEFT_MUST_CHECK
int net_ingress_session_put(struct weft_tables *tables, const struct weft_endpoint *source,
			    const struct weft_session *entry);
void net_ingress_session_delete(struct weft_tables *tables, const struct weft_endpoint *source);
struct weft_session *net_ingress_session_lookup(struct weft_tables *tables,
						const struct weft_endpoint *source);
struct ingress_session {
	struct weft_endpoint source;
	struct weft_session entry;
};
/* net_ingress_session_next walks the entries, expired or not: starts and ends with NULL. */
const struct ingress_session *net_ingress_session_next(const struct weft_tables *tables,
						       const struct ingress_session *session);
/* net_ingress_session_sweep drops what has expired; returns how many. */
unsigned net_ingress_session_sweep(struct weft_tables *tables, uint64_t now_ns);

/* The functions that weft/policy.h asks, for the files that include it. */
#define DEMUX_TICK_SHIFT 22 /* a tick of 4 ms */

WEFT_INLINE const struct weft_config *weft_table_config(struct weft_tables *tables)
{
	return &tables->config;
}

WEFT_INLINE const struct weft_locals *weft_table_locals(struct weft_tables *tables)
{
	return &tables->locals;
}

WEFT_INLINE const struct weft_device *weft_table_device(struct weft_tables *tables)
{
	return &tables->device;
}

WEFT_INLINE const struct weft_cid_keys *weft_table_cid_keys(struct weft_tables *tables)
{
	return &tables->cid_keys;
}

WEFT_INLINE const struct weft_token_keys *weft_table_token_keys(struct weft_tables *tables)
{
	return &tables->token_keys;
}

WEFT_INLINE __u64 weft_table_now(struct weft_tables *tables)
{
	return tables->now_ns;
}

WEFT_INLINE __u64 weft_table_tick(struct weft_tables *tables)
{
	return tables->now_ns >> DEMUX_TICK_SHIFT;
}

WEFT_INLINE __u32 weft_table_frame_len(struct weft_tables *tables)
{
	return tables->frame_len;
}

WEFT_INLINE const struct weft_ban *weft_table_ban(struct weft_tables *tables,
						  const struct weft_endpoint *source)
{
	return net_ingress_ban_lookup(tables, source);
}

WEFT_INLINE struct weft_session *weft_table_session(struct weft_tables *tables,
						    const struct weft_endpoint *source)
{
	return net_ingress_session_lookup(tables, source);
}

WEFT_INLINE struct weft_validated_set *weft_table_validated_set(struct weft_tables *tables,
								__u32 idx)
{
	return &tables->validated[idx];
}

WEFT_INLINE struct weft_random_drop *weft_table_random_drop(struct weft_tables *tables,
							    enum weft_answer answer)
{
	return &tables->draws[answer];
}

WEFT_INLINE struct weft_place *weft_table_place(struct weft_tables *tables, __u32 class,
						__u32 level, __u32 idx)
{
	return &tables->places[(class * WEFT_LEVEL_CNT + level) * WEFT_PLACE_CNT + idx];
}

WEFT_INLINE __u64 *weft_table_mark(struct weft_tables *tables, __u32 class, __u32 level, __u32 idx)
{
	return &tables->marks[(class * WEFT_LEVEL_CNT + level) * WEFT_PLACE_CNT + idx];
}

WEFT_INLINE __u64 *weft_table_total(struct weft_tables *tables, enum weft_total total)
{
	return &tables->totals[total];
}

WEFT_INLINE const struct weft_krpc_text *weft_table_krpc_text(struct weft_tables *tables,
							      const struct weft_facts *facts)
{
	__builtin_memset(tables->krpc_text.bytes + facts->len, 0,
			 sizeof(tables->krpc_text.bytes) - facts->len);
	__builtin_memcpy(tables->krpc_text.bytes, tables->payload, facts->len);
	return &tables->krpc_text;
}

WEFT_INLINE const __u8 *weft_table_krpc_tail(struct weft_tables *tables,
					     const struct weft_facts *facts)
{
	return tables->payload + facts->len - WEFT_KRPC_TAIL_LEN;
}

WEFT_INLINE const __u8 *weft_table_stun_head(struct weft_tables *tables,
					     const struct weft_facts *facts)
{
	return facts->len < WEFT_STUN_LEN_MIN ? NULL : tables->payload;
}

WEFT_INLINE const struct weft_krpc_reply_keys *
weft_table_krpc_reply_keys(struct weft_tables *tables)
{
	return &tables->reply_keys;
}

WEFT_INLINE struct weft_krpc_query *weft_table_krpc_query(struct weft_tables *tables)
{
	return &tables->krpc_query;
}

WEFT_INLINE const struct weft_krpc_self *weft_table_krpc_self(struct weft_tables *tables,
							      __u32 family)
{
	return tables->krpc.selves ? &tables->krpc.selves[family] : NULL;
}

WEFT_INLINE const __u64 *weft_table_krpc_held(struct weft_tables *tables, __u32 idx)
{
	return &tables->krpc.held[idx];
}

WEFT_INLINE struct weft_relay_keys *weft_table_relay_keys(struct weft_tables *tables)
{
	return tables->relay.keys;
}

WEFT_INLINE struct weft_relay_flow *weft_table_relay_flow(struct weft_tables *tables, __u32 idx)
{
	return idx < tables->relay.flow_cnt ? &tables->relay.flows[idx] : NULL;
}

WEFT_INLINE struct weft_relay_grant *weft_table_relay_grant(struct weft_tables *tables, __u32 idx)
{
	return idx < WEFT_RELAY_GRANT_CNT ? &tables->relay.grants[idx] : NULL;
}

WEFT_INLINE struct weft_relay_way *weft_table_relay_way(struct weft_tables *tables)
{
	return &tables->relay_way;
}

WEFT_INLINE const struct weft_frame *weft_table_relay_frame(struct weft_tables *tables)
{
	return tables->relay_frame;
}

WEFT_INLINE __u32 weft_table_relay_ifindex(struct weft_tables *tables)
{
	return tables->relay_ifindex;
}

WEFT_INLINE _Bool weft_table_relay_has_device(struct weft_tables *tables, __u32 ifindex)
{
	return ifindex < 64 && tables->relay_devices >> ifindex & 1;
}

#endif
