/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions that a person uses beside the slots: 20, of a light node 5. The idlest makes room. */
#include <string.h>

#include "social_slots_state.h"

unsigned social_slots_use_cap(const struct slots *slots)
{
	return slots->config.is_light ? SLOTS_LIGHT_SESSIONS_MAX : SLOTS_SESSIONS_MAX;
}

static bool use_is_over(const struct slot_use *use, uint64_t now_ns)
{
	return !use->used_ns || now_ns - use->used_ns >= SLOTS_USE_NS;
}

static void use_hold(struct slots *slots, struct slot_use *use, uint64_t now_ns)
{
	use->held_ns = now_ns;
	if (slots->links.hold)
		slots->links.hold(slots->links.ctx, use->key, now_ns);
}

bool social_slots_use(struct slots *slots, const uint8_t key[static MESH_KEY_LEN], uint64_t now_ns)
{
	struct slot_use *idlest = &slots->uses[0];
	bool has_evicted;

	for (unsigned i = 0; i < social_slots_use_cap(slots); i++) {
		struct slot_use *use = &slots->uses[i];

		if (!use_is_over(use, now_ns) && memcmp(use->key, key, MESH_KEY_LEN) == 0) {
			use->used_ns = now_ns;
			return false;
		}
		if (use->used_ns < idlest->used_ns)
			idlest = use;
	}
	has_evicted = !use_is_over(idlest, now_ns);
	memcpy(idlest->key, key, MESH_KEY_LEN);
	idlest->used_ns = now_ns;
	slots->uses_ns = now_ns;
	use_hold(slots, idlest, now_ns);
	return has_evicted;
}

void social_slots_uses_hold(struct slots *slots, uint64_t now_ns)
{
	slots->uses_ns = now_ns;
	for (unsigned i = 0; i < social_slots_use_cap(slots); i++) {
		struct slot_use *use = &slots->uses[i];

		if (!use_is_over(use, now_ns) && now_ns - use->held_ns >= SLOTS_AGAIN_NS &&
		    !social_has_session(slots->ground, use->key))
			use_hold(slots, use, now_ns);
	}
}

void social_slots_use_up(struct slots *slots, const uint8_t *key, uint64_t now_ns)
{
	for (unsigned i = 0; i < social_slots_use_cap(slots); i++)
		if (!use_is_over(&slots->uses[i], now_ns) &&
		    memcmp(slots->uses[i].key, key, MESH_KEY_LEN) == 0)
			use_hold(slots, &slots->uses[i], now_ns);
}

bool social_slots_is_used(const struct slots *slots, const uint8_t key[static MESH_KEY_LEN],
			  uint64_t now_ns)
{
	for (unsigned i = 0; i < social_slots_use_cap(slots); i++)
		if (!use_is_over(&slots->uses[i], now_ns) &&
		    memcmp(slots->uses[i].key, key, MESH_KEY_LEN) == 0)
			return true;
	return false;
}

unsigned social_slots_uses(const struct slots *slots, uint64_t now_ns)
{
	unsigned cnt = 0;

	for (unsigned i = 0; i < social_slots_use_cap(slots); i++)
		cnt += !use_is_over(&slots->uses[i], now_ns);
	return cnt;
}
