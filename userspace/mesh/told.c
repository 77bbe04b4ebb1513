/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh/told.h"

/* The n-th newest dial, from 0. */
static const struct mesh_told_dial *told_newest(const struct mesh_told *told, uint32_t n)
{
	return &told->dials[(told->next_idx + MESH_TOLD_CAP - 1 - n) % MESH_TOLD_CAP];
}

static uint64_t age_ns(const struct mesh_told_dial *dial, uint64_t now_ns)
{
	return now_ns > dial->at_ns ? now_ns - dial->at_ns : 0;
}

static struct addr host_of(const struct addr *addr)
{
	return addr_is_global(addr) ? addr_prefix_key(addr, 128) : *addr;
}

static bool is_of_network(const struct addr *a, const struct addr *b)
{
	unsigned len = a->family == ADDR_IPV4 ? 24 : 56;
	const struct addr network_a = addr_prefix_key(a, len);
	const struct addr network_b = addr_prefix_key(b, len);

	return addr_equal(&network_a, &network_b);
}

uint32_t mesh_told_recent(const struct mesh_told *told, uint64_t now_ns)
{
	uint32_t cnt = 0;

	while (cnt < told->cnt && age_ns(told_newest(told, cnt), now_ns) < MESH_TOLD_MIN_NS)
		cnt++;
	return cnt;
}

static bool told_may(const struct mesh_told *told, const struct addr *addr, uint64_t now_ns)
{
	const struct addr host = host_of(addr);
	uint32_t recent_cnt = mesh_told_recent(told, now_ns), network_cnt = 0;

	if (recent_cnt >= MESH_TOLD_PER_MIN)
		return false;
	for (uint32_t i = 0; i < recent_cnt; i++)
		network_cnt += is_of_network(&told_newest(told, i)->addr, addr);
	if (network_cnt >= MESH_TOLD_NETWORK_PER_MIN && addr_is_global(addr))
		return false;
	for (uint32_t i = 0; i < told->cnt; i++) {
		const struct mesh_told_dial *dial = told_newest(told, i);
		const struct addr other = host_of(&dial->addr);

		if (age_ns(dial, now_ns) >= MESH_TOLD_HOUR_NS)
			break;
		if (addr_equal(&other, &host) && !dial->is_answered)
			return false;
	}
	return true;
}

bool mesh_told_take(struct mesh_told *told, const struct addr *addr, uint64_t now_ns)
{
	if (!told_may(told, addr, now_ns)) {
		told->refused_cnt++;
		return false;
	}
	told->dials[told->next_idx] = (struct mesh_told_dial){.addr = *addr, .at_ns = now_ns};
	told->next_idx = (told->next_idx + 1) % MESH_TOLD_CAP;
	told->cnt += told->cnt < MESH_TOLD_CAP;
	return true;
}

void mesh_told_answered(struct mesh_told *told, const struct addr *addr)
{
	for (uint32_t i = 0; i < told->cnt; i++)
		if (addr_equal(&told->dials[i].addr, addr))
			told->dials[i].is_answered = true;
}
