/* SPDX-License-Identifier: Apache-2.0 */
/* Deferrals in sets of a few, chosen by a keyed hash of peer and message type. Home worker. */
#include "deferral.h"

#include <string.h>

#include "base/siphash_bytes.h"

static uint64_t deferral_id(const struct mesh_deferrals *deferrals, const uint8_t *key,
			    unsigned type)
{
	uint8_t bytes[MESH_KEY_LEN + sizeof(uint32_t)];
	uint32_t number = type;

	memcpy(bytes, key, MESH_KEY_LEN);
	memcpy(bytes + MESH_KEY_LEN, &number, sizeof(number));
	return siphash(deferrals->secret, bytes, sizeof(bytes));
}

static const struct mesh_deferral *deferral_lookup(const struct mesh_deferrals *deferrals,
						   uint64_t id)
{
	const struct mesh_deferral *set = deferrals->sets[id % MESH_DEFERRAL_SET_CNT];

	for (unsigned i = 0; i < MESH_DEFERRAL_SET_WAYS; i++)
		if (set[i].until_ns && set[i].id == id)
			return &set[i];
	return NULL;
}

void mesh_deferrals_note(struct mesh_deferrals *deferrals, const uint8_t key[MESH_KEY_LEN],
			 unsigned type, uint64_t until_ns, uint64_t now_ns)
{
	uint64_t id = deferral_id(deferrals, key, type);
	struct mesh_deferral *set = deferrals->sets[id % MESH_DEFERRAL_SET_CNT];
	struct mesh_deferral *first = set;

	if (until_ns <= now_ns)
		return;
	for (unsigned i = 0; i < MESH_DEFERRAL_SET_WAYS; i++) {
		if (set[i].until_ns && set[i].id == id) {
			if (set[i].until_ns < until_ns)
				set[i].until_ns = until_ns;
			return;
		}
		if (set[i].until_ns < first->until_ns)
			first = &set[i];
	}
	*first = (struct mesh_deferral){.id = id, .until_ns = until_ns};
}

static uint64_t until_of(const struct mesh_deferrals *deferrals, const uint8_t *key, unsigned type)
{
	const struct mesh_deferral *deferral =
		deferral_lookup(deferrals, deferral_id(deferrals, key, type));

	return deferral ? deferral->until_ns : 0;
}

uint64_t mesh_deferrals_until(const struct mesh_deferrals *deferrals,
			      const uint8_t key[MESH_KEY_LEN], unsigned type, uint64_t now_ns)
{
	uint64_t all_ns = until_of(deferrals, key, MESH_DEFER_ALL);
	uint64_t type_ns = type == MESH_DEFER_ALL ? 0 : until_of(deferrals, key, type);
	uint64_t until_ns = all_ns > type_ns ? all_ns : type_ns;

	return until_ns > now_ns ? until_ns : 0;
}

void mesh_deferrals_forget(struct mesh_deferrals *deferrals, const uint8_t key[MESH_KEY_LEN],
			   unsigned type)
{
	uint64_t id = deferral_id(deferrals, key, type);
	struct mesh_deferral *set = deferrals->sets[id % MESH_DEFERRAL_SET_CNT];

	for (unsigned i = 0; i < MESH_DEFERRAL_SET_WAYS; i++)
		if (set[i].id == id)
			set[i].until_ns = 0;
}

uint32_t mesh_deferrals_cnt(const struct mesh_deferrals *deferrals, uint64_t now_ns)
{
	uint32_t cnt = 0;

	for (unsigned i = 0; i < MESH_DEFERRAL_SET_CNT; i++)
		for (unsigned j = 0; j < MESH_DEFERRAL_SET_WAYS; j++)
			cnt += deferrals->sets[i][j].until_ns > now_ns;
	return cnt;
}
