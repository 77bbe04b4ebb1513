/* SPDX-License-Identifier: Apache-2.0 */
/* Packets by key, in a list by last use. Home worker. */
#include "pkarr_cache.h"

#include <string.h>

#include "base/assert.h"

int api_pkarr_cache_init(struct pkarr_cache *cache, struct arena *arena, uint32_t cap_cnt,
			 const uint64_t secret[2])
{
	int err = pool_init(&cache->entries, arena, sizeof(struct pkarr_cache_entry), cap_cnt);

	cache->newest = cache->oldest = NULL;
	return err < 0 ? err : map_init(&cache->by_key, arena, NODE_KEY_LEN, cap_cnt, secret);
}

static void entry_unlink(struct pkarr_cache *cache, struct pkarr_cache_entry *entry)
{
	*(entry->newer ? &entry->newer->older : &cache->newest) = entry->older;
	*(entry->older ? &entry->older->newer : &cache->oldest) = entry->newer;
}

static void entry_link_newest(struct pkarr_cache *cache, struct pkarr_cache_entry *entry)
{
	entry->newer = NULL;
	entry->older = cache->newest;
	*(cache->newest ? &cache->newest->newer : &cache->oldest) = entry;
	cache->newest = entry;
}

struct pkarr_cache_entry *api_pkarr_cache_lookup(struct pkarr_cache *cache,
						 const uint8_t key[static NODE_KEY_LEN])
{
	struct pkarr_cache_entry *entry = map_lookup(&cache->by_key, key);

	if (entry) {
		entry_unlink(cache, entry);
		entry_link_newest(cache, entry);
	}
	return entry;
}

static struct pkarr_cache_entry *entry_new(struct pkarr_cache *cache,
					   const struct pkarr_packet *packet)
{
	struct pkarr_cache_entry *entry;
	int err;

	if (cache->entries.used_cnt == cache->entries.cap_cnt) {
		entry = cache->oldest;
		entry_unlink(cache, entry);
		map_delete(&cache->by_key, entry->packet.key);
		pool_release(&cache->entries, entry);
	}
	entry = pool_acquire(&cache->entries);
	weft_assert(entry);
	entry->packet = *packet;
	entry_link_newest(cache, entry);
	err = map_put(&cache->by_key, entry->packet.key, entry);
	weft_assert(err == 0);
	return entry;
}

struct pkarr_cache_entry *api_pkarr_cache_put(struct pkarr_cache *cache,
					      const struct pkarr_packet *packet)
{
	struct pkarr_cache_entry *entry = api_pkarr_cache_lookup(cache, packet->key);

	if (!entry)
		return entry_new(cache, packet);
	if (packet->seq > entry->packet.seq) {
		entry->packet = *packet;
		entry->fresh_until_ns = 0;
	}
	return entry;
}
