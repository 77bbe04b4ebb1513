/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bans and proven addresses; the rest of the tables are plain arrays. A
 * look-up of bans asks each prefix length that is in use, the longest
 * first: there are few, and without a ban none.
 */
#include "tables.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/addr.h"
#include "base/memory/arena.h"
#include "weft/err.h"

#define PLACE_CNT_ALL (WEFT_CLASS_ALL_CNT * WEFT_LEVEL_CNT * WEFT_PLACE_CNT)

int net_ingress_tables_init(struct weft_tables *tables, struct arena *arena,
			    const struct demux_tables_params *params)
{
	memset(tables, 0, sizeof(*tables));
	tables->places = arena_alloc(arena, PLACE_CNT_ALL * sizeof(struct weft_place));
	tables->marks = arena_alloc(arena, PLACE_CNT_ALL * sizeof(__u64));
	tables->validated =
		arena_alloc(arena, WEFT_VALIDATED_SET_CNT * sizeof(struct weft_validated_set));
	if (!tables->places || !tables->marks || !tables->validated ||
	    map_init(&tables->bans, arena, sizeof(struct demux_ban_key), params->ban_cap,
		     params->secret) < 0 ||
	    pool_init(&tables->ban_slots, arena, sizeof(struct weft_ban), params->ban_cap) < 0 ||
	    map_init(&tables->sessions, arena, sizeof(struct weft_endpoint), params->session_cap,
		     params->secret) < 0 ||
	    pool_init(&tables->session_slots, arena, sizeof(struct ingress_session),
		      params->session_cap) < 0)
		return WEFT_EFULL;
	return 0;
}

void net_ingress_tables_set_config(struct weft_tables *tables, const struct weft_config *config)
{
	uint32_t ipv4_cnt = tables->config.ban_ipv4_cnt, ipv6_cnt = tables->config.ban_ipv6_cnt;

	tables->config = *config;
	tables->config.ban_ipv4_cnt = ipv4_cnt;
	tables->config.ban_ipv6_cnt = ipv6_cnt;
}

/* prefix_len counts from the first of the family's own bits. */
static struct demux_ban_key ban_key_of(const struct weft_endpoint *addr, unsigned prefix_len)
{
	struct demux_ban_key key = {
		.prefix_len = (uint8_t)prefix_len,
		.is_ipv4 = weft_endpoint_is_ipv4(addr),
	};
	unsigned bits = prefix_len + (key.is_ipv4 ? 96 : 0);

	memcpy(key.addr, addr->addr, bits / 8);
	if (bits % 8)
		key.addr[bits / 8] = addr->addr[bits / 8] & (uint8_t)(0xff00 >> bits % 8);
	return key;
}

static uint32_t *ban_cnt(struct weft_tables *tables, const struct demux_ban_key *key)
{
	return key->is_ipv4 ? &tables->config.ban_ipv4_cnt : &tables->config.ban_ipv6_cnt;
}

int net_ingress_ban_put(struct weft_tables *tables, const struct weft_endpoint *addr,
			unsigned prefix_len, const struct weft_ban *ban)
{
	struct demux_ban_key key = ban_key_of(addr, prefix_len);
	struct weft_ban *slot = map_lookup(&tables->bans, &key);

	if (slot) {
		*slot = *ban;
		return 0;
	}
	slot = pool_acquire(&tables->ban_slots);
	if (!slot)
		return WEFT_EFULL;
	if (map_put(&tables->bans, &key, slot) < 0) {
		pool_release(&tables->ban_slots, slot);
		return WEFT_EFULL;
	}
	*slot = *ban;
	tables->ban_cnt[key.is_ipv4][prefix_len]++;
	++*ban_cnt(tables, &key);
	return 0;
}

void net_ingress_ban_delete(struct weft_tables *tables, const struct weft_endpoint *addr,
			    unsigned prefix_len)
{
	struct demux_ban_key key = ban_key_of(addr, prefix_len);
	struct weft_ban *slot = map_delete(&tables->bans, &key);

	if (!slot)
		return;
	pool_release(&tables->ban_slots, slot);
	tables->ban_cnt[key.is_ipv4][prefix_len]--;
	--*ban_cnt(tables, &key);
}

const struct weft_ban *net_ingress_ban_lookup(struct weft_tables *tables,
					      const struct weft_endpoint *source)
{
	bool is_ipv4 = weft_endpoint_is_ipv4(source);

	for (unsigned len = is_ipv4 ? 33 : 129; len-- > 0;) {
		struct demux_ban_key key;
		const struct weft_ban *ban;

		if (!tables->ban_cnt[is_ipv4][len])
			continue;
		key = ban_key_of(source, len);
		ban = map_lookup(&tables->bans, &key);
		if (ban)
			return ban;
	}
	return NULL;
}

int net_ingress_session_put(struct weft_tables *tables, const struct weft_endpoint *source,
			    const struct weft_session *entry)
{
	struct ingress_session *slot = map_lookup(&tables->sessions, source);

	if (!slot) {
		slot = pool_acquire(&tables->session_slots);
		if (!slot)
			return WEFT_EFULL;
		if (map_put(&tables->sessions, source, slot) < 0) {
			pool_release(&tables->session_slots, slot);
			return WEFT_EFULL;
		}
		slot->source = *source;
	}
	slot->entry = *entry;
	return 0;
}

void net_ingress_session_delete(struct weft_tables *tables, const struct weft_endpoint *source)
{
	struct ingress_session *slot = map_delete(&tables->sessions, source);

	if (slot)
		pool_release(&tables->session_slots, slot);
}

struct weft_session *net_ingress_session_lookup(struct weft_tables *tables,
						const struct weft_endpoint *source)
{
	struct ingress_session *slot = map_lookup(&tables->sessions, source);

	return slot ? &slot->entry : NULL;
}

const struct ingress_session *net_ingress_session_next(const struct weft_tables *tables,
						       const struct ingress_session *session)
{
	return pool_next(&tables->session_slots, session);
}

unsigned net_ingress_session_sweep(struct weft_tables *tables, uint64_t now_ns)
{
	struct ingress_session *slot = NULL;
	unsigned swept_cnt = 0;

	while ((slot = pool_next(&tables->session_slots, slot))) {
		struct weft_endpoint source = slot->source;

		if (slot->entry.expires_ns > now_ns)
			continue;
		net_ingress_session_delete(tables, &source);
		swept_cnt++;
	}
	return swept_cnt;
}
