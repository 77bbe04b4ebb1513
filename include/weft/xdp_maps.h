/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEFT_XDP_MAPS_H
#define WEFT_XDP_MAPS_H

#include "weft/bucket.h"
#include "weft/classify.h"
#include "weft/random_drop.h"
#include "weft/endpoint.h"
#include "weft/reason.h"

/*
 * The tables between the BPF program and userspace: the values of the maps in bpf/maps.h, which
 * userspace/net/ingress has as plain tables. All times are CLOCK_MONOTONIC nanoseconds unless they
 * say wall. The named writer alone writes; all may read.
 *
 *   map               kind            key, value                       written by
 *   weft_config       array           0: struct weft_config            userspace
 *   weft_cid_keys     array           0: struct weft_cid_keys          userspace
 *   weft_token_keys   array           0: struct weft_token_keys        userspace
 *   weft_ghash        array           0: struct weft_ghash             userspace, once
 *   weft_locals       array           0: struct weft_locals            userspace
 *   weft_bans_ipv4    LPM trie        weft_ban_key_ipv4: weft_ban      userspace
 *   weft_bans_ipv6    LPM trie        weft_ban_key_ipv6: weft_ban      userspace
 *   weft_sessions     hash            weft_endpoint: weft_session      userspace
 *   weft_validated       per-CPU array   set: struct weft_validated_set      program
 *   weft_places       per-CPU array   block: weft_place_block          program
 *   weft_marks        array           block: weft_mark_block           program
 *   weft_totals       array           weft_total: mark                 program
 *   weft_random_drops        per-CPU array   weft_answer: struct weft_random_drop    program
 *   weft_counters     per-CPU array   reason: struct weft_counter      program
 *   weft_samplers     per-CPU array   reason: struct weft_sampler      program
 *   weft_samples      ring buffer     struct weft_sample               program
 *   weft_device       array           0: struct weft_device            userspace, each device's own
 *   weft_xsks         XSK map         receive queue: socket            userspace
 *   weft_krpc_*       arrays          weft/krpc_tables.h               userspace
 *   weft_relay_*      arrays          weft/relay_tables.h                     both, by atomics
 *   weft_relay_devices hash of devices ifindex: ifindex                userspace
 *
 * Limits are of all CPUs together: a source whose datagrams spread over n
 * receive queues has no more than one that comes by one.
 */

/* Moved by userspace from the load it measures. */
enum weft_mode {
	WEFT_MODE_NORMAL,
	WEFT_MODE_PRESSURED, /* unvalidated sources prove their address by a Retry first */
	WEFT_MODE_FLOOD,     /* and get a fraction of their rates */
	WEFT_MODE_CNT,
};

/* The classes of traffic that have a rate for unvalidated sources, per prefix. */
enum weft_class {
	WEFT_CLASS_INITIAL,
	WEFT_CLASS_KRPC,
	WEFT_CLASS_STUN,
	WEFT_CLASS_PROBE,
	WEFT_CLASS_CNT,
	/* And what takes no part in limits that people set. */
	WEFT_CLASS_SENDER = WEFT_CLASS_CNT, /* a DHT question, for the sake of its sender */
	WEFT_CLASS_KNOWN,		    /* a known token, of one address; as many as Initials */
	WEFT_CLASS_NEW_PATH, /* of one connection id: from elsewhere than its session's path */
	WEFT_CLASS_ALL_CNT,
};

/* And what all unvalidated sources together have a rate for. */
enum weft_total {
	WEFT_TOTAL_KRPC_BYTES, /* of DHT answers, beyond half of what asked for them */
	WEFT_TOTAL_SENDERS,    /* as WEFT_CLASS_SENDER */
	WEFT_TOTAL_KRPC,       /* DHT datagrams for userspace, questions and stray replies */
	WEFT_TOTAL_CNT,
};

/* QUIC's answers without state, each kind with a limit in all and none per prefix. */
enum weft_answer {
	WEFT_ANSWERS_RETRY,
	WEFT_ANSWERS_VERSION,
	WEFT_ANSWERS_CNT,
};

#define WEFT_QUEUE_CNT 64

struct weft_config {
	__u32 mode;	   /* enum weft_mode */
	__u32 flood_shift; /* in mode flood rates of unvalidated sources are divided by 2^this, 0..16 */
	__u64 wall_offset_ns; /* wall clock less monotonic clock */
	__u64 salt[3];	      /* of bucket places; random, changed when userspace likes */
	struct weft_bucket_rate rates[WEFT_CLASS_ALL_CNT][WEFT_LEVEL_CNT];
	struct weft_bucket_rate totals[WEFT_TOTAL_CNT];
	struct weft_bucket_rate answers[WEFT_ANSWERS_CNT];
	struct weft_bucket_rate validated; /* of one proven address, beside its session's own */
	struct weft_bucket_rate samples;   /* per reason */
	__u64 token_life_ns;		   /* how long a Retry's token makes its source proven */
	__u32 ban_ipv4_cnt;		   /* 0: the trie is not asked */
	__u32 ban_ipv6_cnt;
	__u32 deliver_len_max; /* longer frames fit no AF_XDP socket: they go to the kernel's */
	__u32 zero;
	__u8 queue_workers[WEFT_QUEUE_CNT]; /* the worker of each receive queue, 0..127 */
};

/* weft_config_wall_s: the wall clock in seconds when the monotonic one says now_ns. */
WEFT_INLINE __u32 weft_config_wall_s(const struct weft_config *config, __u64 now_ns)
{
	return (__u32)((now_ns + config->wall_offset_ns) / 1000000000);
}

/*
 * The addresses of our sockets: sets of a few endpoints. Each frame of the
 * device is held against them. Frames that are not ours pay least when that
 * is a multiplication and four comparisons. A set that is full refuses one
 * more; its datagrams then come by the kernel's socket.
 */
#define WEFT_LOCAL_SET_CNT 64
#define WEFT_LOCAL_WAY_CNT 4

struct weft_locals {
	struct weft_endpoint sets[WEFT_LOCAL_SET_CNT][WEFT_LOCAL_WAY_CNT]; /* port 0: empty */
};

WEFT_INLINE __u32 weft_locals_set(const struct weft_endpoint *endpoint, __be16 port_be)
{
	__u64 word = endpoint->words[0] ^ endpoint->words[1] ^ port_be;

	return (__u32)(word * 0x9e3779b97f4a7c15ull >> 58) & (WEFT_LOCAL_SET_CNT - 1);
}

/* weft_locals_have: endpoint is among them. */
WEFT_INLINE _Bool weft_locals_have(const struct weft_locals *locals,
				   const struct weft_endpoint *endpoint)
{
	const struct weft_endpoint *set =
		locals->sets[weft_locals_set(endpoint, endpoint->port_be)];

	return endpoint->port_be &&
	       (weft_endpoint_equal(&set[0], endpoint) || weft_endpoint_equal(&set[1], endpoint) ||
		weft_endpoint_equal(&set[2], endpoint) || weft_endpoint_equal(&set[3], endpoint));
}

/* The same address, and that port instead of its own. */
WEFT_INLINE _Bool weft_local_is_addr(const struct weft_endpoint *local,
				     const struct weft_endpoint *addr, __be16 port_be)
{
	return local->port_be == port_be && local->words[1] == addr->words[1] &&
	       local->words[0] == addr->words[0];
}

/* weft_locals_have_addr: addr's address with port_be, which is not 0, is among them. */
WEFT_INLINE _Bool weft_locals_have_addr(const struct weft_locals *locals,
					const struct weft_endpoint *addr, __be16 port_be)
{
	const struct weft_endpoint *set = locals->sets[weft_locals_set(addr, port_be)];

	return weft_local_is_addr(&set[0], addr, port_be) ||
	       weft_local_is_addr(&set[1], addr, port_be) ||
	       weft_local_is_addr(&set[2], addr, port_be) ||
	       weft_local_is_addr(&set[3], addr, port_be);
}

/* weft_locals_put adds endpoint; 0: its set is full. Start with zeros. Userspace only. */
WEFT_INLINE _Bool weft_locals_put(struct weft_locals *locals, const struct weft_endpoint *endpoint)
{
	struct weft_endpoint *set = locals->sets[weft_locals_set(endpoint, endpoint->port_be)];

	for (__u32 way = 0; way < WEFT_LOCAL_WAY_CNT; way++) {
		if (set[way].port_be && !weft_endpoint_equal(&set[way], endpoint))
			continue;
		set[way] = *endpoint;
		return 1;
	}
	return 0;
}

/*
 * The device in front of which a program stands: frames that its stack
 * would not take as its own are left to that. All zeros until userspace has
 * read the device: nothing is the program's then, but on loopback.
 */
#define WEFT_VLAN_SET_CNT 16
#define WEFT_VLAN_WAY_CNT 4

struct weft_device {
	__u64 mac; /* its own, as the dest of struct weft_frame; of loopback zeros */
	__u32 is_loopback;
	__u32 has_partial_sums; /* a sender on this machine may have left UDP's to its card */
	/* Tags of struct weft_frame that VLAN devices above it take off; 0: empty. */
	__u64 vlans[WEFT_VLAN_SET_CNT][WEFT_VLAN_WAY_CNT];
};

WEFT_INLINE __u32 weft_device_vlan_set(__u64 tags)
{
	return (__u32)(tags * 0x9e3779b97f4a7c15ull >> 60) & (WEFT_VLAN_SET_CNT - 1);
}

/* weft_device_has_vlan: tags, which are not 0, are of a VLAN that is configured. */
WEFT_INLINE _Bool weft_device_has_vlan(const struct weft_device *device, __u64 tags)
{
	const __u64 *set = device->vlans[weft_device_vlan_set(tags)];

	return set[0] == tags || set[1] == tags || set[2] == tags || set[3] == tags;
}

/* weft_device_put_vlan: 0: its set is full, and its frames are the stack's. Userspace only. */
WEFT_INLINE _Bool weft_device_put_vlan(struct weft_device *device, __u64 tags)
{
	__u64 *set = device->vlans[weft_device_vlan_set(tags)];

	for (__u32 way = 0; way < WEFT_VLAN_WAY_CNT; way++) {
		if (set[way] && set[way] != tags)
			continue;
		set[way] = tags;
		return 1;
	}
	return 0;
}

/*
 * The path of a live session: put by userspace when a path is proved or
 * dialled, refreshed and swept by it. Nothing that an unvalidated source sends makes an
 * entry, so unvalidated sources cannot fill it. A full map refuses new ones.
 */
#define WEFT_SESSION_CNT_DEFAULT 65536

struct weft_session {
	__u64 expires_ns;
	struct weft_bucket
		bucket; /* for what is not the session's; no unvalidated source spends it */
};

/*
 * An address and port that showed the token of a Retry a moment ago: it received what this node
 * sent it, no more. The address alone (of IPv6 its /64) picks the set, by a keyed hash. So a source
 * that proves 65,535 ports competes with itself for the eight ways of one set. The entry that would
 * end first makes room.
 */
#define WEFT_VALIDATED_SET_CNT 4096u
#define WEFT_VALIDATED_WAY_CNT 8

struct weft_validated {
	struct weft_endpoint source;
	__u64 expires_ns; /* 0: empty */
	struct weft_bucket bucket;
};

struct weft_validated_set {
	__u64 tags
		[WEFT_VALIDATED_WAY_CNT]; /* weft_validated_tag of each, to pass over by one cache line */
	struct weft_validated ways[WEFT_VALIDATED_WAY_CNT];
};

struct weft_ban_key_ipv4 {
	__u32 prefix_len; /* 0..32 */
	__u8 addr[4];
};

struct weft_ban_key_ipv6 {
	__u32 prefix_len; /* 0..128 */
	__u8 addr[16];
};

/* The longest prefix decides, also when its ban has expired; userspace sweeps. */
#define WEFT_BAN_CNT_MAX 16384

struct weft_ban {
	__u64 expires_ns; /* 0: never */
	__u64 zero;
};

/*
 * Buckets of unvalidated sources: WEFT_PLACE_CNT places for each class and level, found by a keyed
 * hash of the prefix. They are in blocks: a value of a per-CPU map is 32 KiB at most, and a pointer
 * per place would cost a cache line.
 *
 * Beside its bucket, a place has the prefix that used it last, and how often it was used. Userspace
 * makes its record of the last day from these. They are in the cache line that a datagram dirties
 * anyway. The counts wrap around.
 */
#define WEFT_PLACE_CNT	     8192u
#define WEFT_PLACE_BLOCK_CNT 1024u
#define WEFT_PLACE_BLOCKS    (WEFT_PLACE_CNT / WEFT_PLACE_BLOCK_CNT)

struct weft_place {
	struct weft_bucket bucket;
	__u64 prefix; /* weft_endpoint_prefix of the last; 0: none yet */
	__u32 offered_cnt;
	__u32 refused_cnt; /* of these */
};

struct weft_place_block {
	struct weft_place places[WEFT_PLACE_BLOCK_CNT];
};

/*
 * The credit of places is one word for all CPUs together (weft_mark_take). Else a source that
 * reaches n CPUs, by n queues or by one that moves, would have n times the rate. A CPU's place has
 * the credit as that CPU last saw it.
 */
struct weft_mark_block {
	__u64 marks[WEFT_PLACE_BLOCK_CNT];
};

struct weft_counter {
	__u64 packet_cnt;
	__u64 byte_cnt; /* of payloads, by their UDP headers; of what is not ours none */
};

/*
 * One in so many drops is reported, with the weight of those since the last. The clock is read once
 * a tick at most.
 */
struct weft_sampler {
	struct weft_bucket bucket;
	__u64 weight;
	__u64 tick;
};

struct weft_sample {
	__u64 at_ns;
	struct weft_endpoint source;
	__u32 weight; /* drops for this reason on this CPU since the last sample */
	__u16 reason; /* enum weft_reason */
	__u8 flow;    /* enum weft_flow; OTHER when it was not looked at */
	__u8 zero;
};

#define WEFT_SAMPLES_LEN (1u << 18)

_Static_assert(sizeof(struct weft_config) == 576, "BPF map value layout");
_Static_assert(sizeof(struct weft_session) == 24, "BPF map value layout");
_Static_assert(sizeof(struct weft_validated_set) == 448, "BPF map value layout");
_Static_assert(sizeof(struct weft_device) == 528, "BPF map value layout");
_Static_assert(sizeof(struct weft_ban) == 16, "BPF map value layout");
_Static_assert(sizeof(struct weft_place) == 32, "half a cache line");
_Static_assert(sizeof(struct weft_place_block) == 32768, "largest value of a per-CPU map");
_Static_assert(sizeof(struct weft_sampler) == 32, "BPF map value layout");
_Static_assert(sizeof(struct weft_sample) == 40, "ring buffer record layout");

#endif
