/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables that the program and the worker share, by system calls on their descriptors. None of
 * them is on the path of a datagram. Keys change by the hour, bans by hand, a validated path once;
 * counters are read on request.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xdp_state.h"
#include "weft/cid.h"
#include "weft/ghash.h"
#include "weft/token.h"

/* Entries of the table of proven addresses that one sweep looks at. */
#define SWEEP_CNT 512

static bool is_attached(const struct xdp *xdp)
{
	return xdp->maps[XDP_MAP_CONFIG] >= 0;
}

static int only_put(struct xdp *xdp, enum xdp_map map, const void *value)
{
	const uint32_t only = 0;

	if (!is_attached(xdp))
		return 0;
	return bpf_map_update_elem(xdp->maps[map], &only, value, BPF_ANY);
}

int net_xdp_set_config(struct xdp *xdp, const struct weft_config *config)
{
	struct weft_config with_len = *config;

	with_len.deliver_len_max = net_xdp_deliver_len_max(xdp);
	return only_put(xdp, XDP_MAP_CONFIG, &with_len);
}

int net_xdp_set_cid_keys(struct xdp *xdp, const struct weft_cid_keys *keys)
{
	return only_put(xdp, XDP_MAP_CID_KEYS, keys);
}

int net_xdp_set_token_keys(struct xdp *xdp, const struct weft_token_keys *keys)
{
	return only_put(xdp, XDP_MAP_TOKEN_KEYS, keys);
}

int net_xdp_set_locals(struct xdp *xdp, const struct addr *addrs, unsigned cnt)
{
	struct weft_locals locals = {0};
	unsigned put_cnt = 0;
	int err;

	for (unsigned i = 0; i < cnt; i++) {
		struct weft_endpoint endpoint = addr_endpoint(&addrs[i]);

		put_cnt += weft_locals_put(&locals, &endpoint);
	}
	err = only_put(xdp, XDP_MAP_LOCALS, &locals);
	return err < 0 || put_cnt == cnt ? err : WEFT_EFULL;
}

union ban_key {
	struct weft_ban_key_ipv4 ipv4;
	struct weft_ban_key_ipv6 ipv6;
};

static enum xdp_map ban_key_of(const struct addr *addr, unsigned prefix_len, union ban_key *key)
{
	memset(key, 0, sizeof(*key));
	if (addr->family == ADDR_IPV4) {
		key->ipv4.prefix_len = prefix_len;
		memcpy(key->ipv4.addr, addr->ip, sizeof(key->ipv4.addr));
		return XDP_MAP_BANS_IPV4;
	}
	key->ipv6.prefix_len = prefix_len;
	memcpy(key->ipv6.addr, addr->ip, sizeof(key->ipv6.addr));
	return XDP_MAP_BANS_IPV6;
}

/* The kernel's errors for a full hash or trie. */
static int full_of(int err)
{
	return err == -E2BIG || err == -ENOSPC ? WEFT_EFULL : err;
}

int net_xdp_ban_put(struct xdp *xdp, const struct addr *addr, unsigned prefix_len,
		    const struct weft_ban *ban)
{
	union ban_key key;
	enum xdp_map map = ban_key_of(addr, prefix_len, &key);

	if (!is_attached(xdp))
		return 0;
	return full_of(bpf_map_update_elem(xdp->maps[map], &key, ban, BPF_ANY));
}

void net_xdp_ban_delete(struct xdp *xdp, const struct addr *addr, unsigned prefix_len)
{
	union ban_key key;
	enum xdp_map map = ban_key_of(addr, prefix_len, &key);

	if (is_attached(xdp))
		(void)bpf_map_delete_elem(xdp->maps[map], &key);
}

int net_xdp_session_put(struct xdp *xdp, const struct weft_endpoint *source,
			const struct weft_session *entry)
{
	if (!is_attached(xdp))
		return 0;
	return full_of(bpf_map_update_elem(xdp->maps[XDP_MAP_SESSIONS], source, entry, BPF_ANY));
}

unsigned net_xdp_session_sweep(struct xdp *xdp, uint64_t now_ns)
{
	struct weft_endpoint keys[SWEEP_CNT];
	struct weft_session entries[SWEEP_CNT];
	uint32_t cnt = SWEEP_CNT, next;
	unsigned swept = 0;
	int err;

	if (!is_attached(xdp))
		return 0;
	err = bpf_map_lookup_batch(xdp->maps[XDP_MAP_SESSIONS],
				   xdp->is_sweeping ? &xdp->sweep_at : NULL, &next, keys, entries,
				   &cnt, NULL);
	/* -ENOENT: these were the last ones, and the next sweep begins again. */
	xdp->is_sweeping = err == 0;
	xdp->sweep_at = next;
	if (err < 0 && err != -ENOENT)
		return 0;
	for (uint32_t i = 0; i < cnt; i++) {
		if (entries[i].expires_ns > now_ns)
			continue;
		swept += bpf_map_delete_elem(xdp->maps[XDP_MAP_SESSIONS], &keys[i]) == 0;
	}
	return swept;
}

void net_xdp_counters(const struct xdp *xdp,
		      struct weft_counter out_counters[static WEFT_REASON_CNT])
{
	memset(out_counters, 0, WEFT_REASON_CNT * sizeof(out_counters[0]));
	if (!is_attached(xdp))
		return;
	for (uint32_t reason = 0; reason < WEFT_REASON_CNT; reason++) {
		if (bpf_map_lookup_elem(xdp->maps[XDP_MAP_COUNTERS], &reason, xdp->cpu_counters) <
		    0)
			continue;
		for (unsigned cpu = 0; cpu < xdp->cpu_cnt; cpu++) {
			out_counters[reason].packet_cnt += xdp->cpu_counters[cpu].packet_cnt;
			out_counters[reason].byte_cnt += xdp->cpu_counters[cpu].byte_cnt;
		}
	}
}

/* Reads the next block that the map has, of all CPUs at once. */
static bool places_read(const struct xdp *xdp, struct xdp_places *block)
{
	while (is_attached(xdp) && block->next < WEFT_LEVEL_CNT * WEFT_PLACE_BLOCKS) {
		uint32_t i = block->next++;
		uint32_t idx = block->class * WEFT_LEVEL_CNT * WEFT_PLACE_BLOCKS + i;

		block->level = i / WEFT_PLACE_BLOCKS;
		block->first = i % WEFT_PLACE_BLOCKS * WEFT_PLACE_BLOCK_CNT;
		if (bpf_map_lookup_elem(xdp->maps[XDP_MAP_PLACES], &idx, xdp->cpu_places) == 0)
			return true;
	}
	return false;
}

bool net_xdp_places_next(const struct xdp *xdp, struct xdp_places *block)
{
	if (block->places && block->cpu + 1 < xdp->cpu_cnt) {
		block->cpu++;
	} else {
		block->cpu = 0;
		if (!places_read(xdp, block))
			return false;
	}
	block->places = xdp->cpu_places[block->cpu].places;
	return true;
}

unsigned net_xdp_cpu_cnt(void)
{
	int cnt = libbpf_num_possible_cpus();

	return cnt > 0 ? (unsigned)cnt : 1;
}

uint64_t net_xdp_tables_generation(const struct xdp *xdp)
{
	return xdp->generation;
}

static int sample_take(void *ctx, void *data, size_t len)
{
	struct xdp *xdp = ctx;

	if (len >= sizeof(struct weft_sample))
		xdp->sample_fn(xdp->sample_ctx, data);
	return 0;
}

unsigned net_xdp_samples(struct xdp *xdp, xdp_sample_fn fn, void *ctx)
{
	int cnt;

	if (!xdp->samples)
		return 0;
	xdp->sample_fn = fn;
	xdp->sample_ctx = ctx;
	cnt = ring_buffer__consume(xdp->samples);
	return cnt > 0 ? (unsigned)cnt : 0;
}

static int ghash_put(struct xdp *xdp)
{
	struct weft_ghash *ghash = malloc(sizeof(*ghash));
	int err;

	if (!ghash)
		return -ENOMEM;
	weft_ghash_fill(ghash);
	err = only_put(xdp, XDP_MAP_GHASH, ghash);
	free(ghash);
	return err;
}

int net_xdp_tables_adopt(struct xdp *xdp, const int maps[static XDP_MAP_CNT])
{
	int err = 0;

	if (is_attached(xdp))
		return 0;
	xdp->generation++;
	for (unsigned i = 0; i < XDP_MAP_CNT && !err; i++) {
		xdp->maps[i] = fcntl(maps[i], F_DUPFD_CLOEXEC, 0);
		err = xdp->maps[i] < 0 ? -errno : 0;
	}
	if (!err)
		err = ghash_put(xdp);
	if (!err)
		err = net_xdp_krpc_map(xdp);
	if (!err)
		err = net_xdp_relay_map(xdp);
	if (!err) {
		xdp->samples = ring_buffer__new(xdp->maps[XDP_MAP_SAMPLES], sample_take, xdp, NULL);
		err = xdp->samples ? 0 : -errno;
	}
	if (err)
		net_xdp_tables_forget(xdp);
	return err;
}

void net_xdp_tables_forget(struct xdp *xdp)
{
	ring_buffer__free(xdp->samples);
	xdp->samples = NULL;
	net_xdp_krpc_unmap(xdp);
	net_xdp_relay_unmap(xdp);
	for (unsigned i = 0; i < XDP_MAP_CNT; i++) {
		if (xdp->maps[i] >= 0)
			close(xdp->maps[i]);
		xdp->maps[i] = -1;
	}
	xdp->is_sweeping = false;
}
