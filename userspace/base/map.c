/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linear probing with backward-shift deletion, so there are no tombstones
 * and a table that was once full is as fast as a fresh one.
 */
#include "base/map.h"

#include <string.h>

#include "base/memory/arena.h"
#include "base/assert.h"
#include "base/siphash_bytes.h"

static uint32_t slot_cnt_for(uint32_t cap_cnt)
{
	uint32_t cnt = 4;

	while (cnt / 4 * 3 < cap_cnt)
		cnt *= 2;
	return cnt;
}

/* A slot is the value pointer, then the key, padded to 8. */
static size_t slot_len(size_t key_len)
{
	return sizeof(void *) + ((key_len + 7) & ~(size_t)7);
}

int map_init(struct map *map, struct arena *arena, size_t key_len, uint32_t cap_cnt,
	     const uint64_t secret[2])
{
	memset(map, 0, sizeof(*map));
	map->key_len = key_len;
	map->cap_cnt = cap_cnt;
	map->slot_cnt = slot_cnt_for(cap_cnt);
	map->secret[0] = secret[0];
	map->secret[1] = secret[1];
	map->slots = arena_alloc(arena, map->slot_cnt * slot_len(key_len));
	return map->slots ? 0 : WEFT_EFULL;
}

static uint8_t *slot_at(const struct map *map, uint32_t idx)
{
	return map->slots + (size_t)idx * slot_len(map->key_len);
}

static void *slot_value(const uint8_t *slot)
{
	void *value;

	memcpy(&value, slot, sizeof(value));
	return value;
}

static uint32_t home_idx(const struct map *map, const void *key)
{
	return (uint32_t)siphash(map->secret, key, map->key_len) & (map->slot_cnt - 1);
}

/* The slot that holds key, or the empty one where it would go. */
static uint32_t slot_find(const struct map *map, const void *key)
{
	uint32_t idx = home_idx(map, key);

	while (slot_value(slot_at(map, idx)) &&
	       memcmp(slot_at(map, idx) + sizeof(void *), key, map->key_len) != 0)
		idx = (idx + 1) & (map->slot_cnt - 1);
	return idx;
}

void *map_lookup(const struct map *map, const void *key)
{
	return slot_value(slot_at(map, slot_find(map, key)));
}

int map_put(struct map *map, const void *key, void *value)
{
	uint8_t *slot = slot_at(map, slot_find(map, key));

	weft_assert(value != NULL);
	if (!slot_value(slot)) {
		if (map->used_cnt == map->cap_cnt)
			return WEFT_EFULL;
		map->used_cnt++;
		memcpy(slot + sizeof(void *), key, map->key_len);
	}
	memcpy(slot, &value, sizeof(value));
	return 0;
}

/* Moves later members of the run back so that no probe meets a hole. */
static void slot_close_gap(struct map *map, uint32_t gap)
{
	uint32_t mask = map->slot_cnt - 1;

	for (uint32_t idx = (gap + 1) & mask; slot_value(slot_at(map, idx));
	     idx = (idx + 1) & mask) {
		uint32_t home = home_idx(map, slot_at(map, idx) + sizeof(void *));

		if (((idx - home) & mask) < ((idx - gap) & mask))
			continue;
		memcpy(slot_at(map, gap), slot_at(map, idx), slot_len(map->key_len));
		gap = idx;
	}
	memset(slot_at(map, gap), 0, slot_len(map->key_len));
}

void *map_delete(struct map *map, const void *key)
{
	uint32_t idx = slot_find(map, key);
	void *value = slot_value(slot_at(map, idx));

	if (value) {
		slot_close_gap(map, idx);
		map->used_cnt--;
	}
	return value;
}
