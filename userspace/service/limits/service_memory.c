/* SPDX-License-Identifier: Apache-2.0 */
#include "service_memory.h"

#include "base/assert.h"
#include "base/fair/fair_path.h"
#include "base/memory/heap.h"

#define KEY_SHARE 4 /* a key holds at most this part of all */

struct service_memory_network {
	uint64_t id;
	size_t len;
	uint32_t hold_cnt;
};

int service_memory_init(struct service_memory *memory, struct arena *arena, uint32_t call_cnt,
			const uint64_t secret[2])
{
	int err = pool_init(&memory->networks, arena, sizeof(struct service_memory_network),
			    call_cnt);

	if (err < 0)
		return err;
	return map_init(&memory->networks_by_id, arena, sizeof(uint64_t), call_cnt, secret);
}

static struct service_memory_network *network_of(struct service_memory *memory, uint64_t id)
{
	struct service_memory_network *network = map_lookup(&memory->networks_by_id, &id);

	if (network)
		return network;
	network = pool_acquire(&memory->networks);
	weft_assert(network); /* as many as there are calls, and each has one */
	network->id = id;
	if (map_put(&memory->networks_by_id, &id, network) < 0)
		weft_assert(false);
	return network;
}

static void network_settle(struct service_memory *memory, struct service_memory_network *network)
{
	if (network->hold_cnt)
		return;
	map_delete(&memory->networks_by_id, &network->id);
	pool_release(&memory->networks, network);
}

static bool network_may_hold(const struct service_memory *memory,
			     const struct service_memory_network *network, size_t len)
{
	struct heap_usage usage;

	heap_usage(memory->heap, &usage);
	return usage.used_len + len <= memory->cap_len &&
	       network->len + len <= FAIR_NETWORK_FACTOR * (memory->cap_len - usage.used_len - len);
}

bool service_memory_hold(struct service_memory *memory, const struct fair_path *path,
			 size_t key_len, size_t len, struct service_memory_hold *hold)
{
	struct service_memory_network *network;

	if (key_len + len > memory->cap_len / KEY_SHARE)
		return false;
	if (path->class == FAIR_CHOSEN)
		return true;
	network = network_of(memory, fair_path_network(path));
	if (!network_may_hold(memory, network, len)) {
		network_settle(memory, network);
		return false;
	}
	network->len += len;
	network->hold_cnt++;
	*hold = (struct service_memory_hold){.network = network, .len = len};
	return true;
}

void service_memory_release(struct service_memory *memory, struct service_memory_hold *hold)
{
	struct service_memory_network *network = hold->network;

	if (!network)
		return;
	network->len -= hold->len;
	network->hold_cnt--;
	network_settle(memory, network);
	*hold = (struct service_memory_hold){0};
}
