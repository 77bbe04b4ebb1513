/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys under which requests for content name ids that are bound to strict communities
 * (scope.h). They are read from the store again when they are a moment old. Each worker has its
 * own.
 */
#include "scope.h"

#include <string.h>

#include "base/monotonic.h"
#include "blobs_state.h"

/* A new member asks for the first thing about as long after the key came. */
#define BLINDS_AGE_NS (100 * NS_PER_MS)

/* A community has an epoch key that is not here: what is asked for is nowhere. */
static const struct blind_key missing = {.is_missing = true};

static const struct blind_keys *keys_now(struct blobs *content, uint64_t now_ns)
{
	const struct blobs_params *params = &content->params;

	if (!params->blind_keys ||
	    (content->has_blinds && now_ns < content->blinds_ns + BLINDS_AGE_NS))
		return &content->blinds;
	content->has_blinds = params->blind_keys(params->store, params->seal, blobs_wall_s(content),
						 &content->blinds) == 0;
	content->blinds_ns = now_ns;
	return &content->blinds;
}

bool blobs_unblind(struct blobs *content, const uint8_t blind[static BLIND_ID_LEN], uint64_t now_ns,
		   uint8_t out_id[static 32], uint8_t out_community[static 32])
{
	const struct blind_key *key = blobs_blind_id_open(keys_now(content, now_ns), blind, out_id);

	if (key)
		memcpy(out_community, key->community, sizeof(key->community));
	return key != NULL;
}

bool blobs_is_blind(struct blobs *content, const uint8_t community[static 32], uint64_t now_ns)
{
	return blobs_blind_keys_first(keys_now(content, now_ns), community) != NULL;
}

/* --- the ways to name a thing --- */

static void way_add(struct blobs_ways *ways, const struct blind_key *key)
{
	if (ways->cnt < BLOBS_WAYS_MAX)
		ways->keys[ways->cnt++] = key;
}

static bool scope_has(const struct scope *scope, const uint8_t *community)
{
	for (uint32_t i = 0; i < scope->cnt; i++)
		if (memcmp(scope->ids[i], community, sizeof(scope->ids[i])) == 0)
			return true;
	return false;
}

/* One community at least gives it by its id: it is open, or has no epoch key. */
static bool is_named_plainly(const struct blind_keys *keys, const struct scope *scope)
{
	bool is_plain = !scope || scope->cnt == 0;

	for (uint32_t i = 0; !is_plain && i < scope->cnt; i++)
		is_plain = !blobs_blind_keys_first(keys, scope->ids[i]);
	return is_plain;
}

void blobs_ways_to(struct blobs *content, const struct scope *scope,
		   const uint8_t peer_key[static MESH_KEY_LEN], uint64_t now_ns,
		   struct blobs_ways *out_ways)
{
	const struct blind_keys *keys;

	out_ways->cnt = 0;
	if (scope && blobs_scope_is_open(scope)) {
		way_add(out_ways, NULL);
		return;
	}
	keys = keys_now(content, now_ns);
	for (unsigned i = 0; i < keys->cnt; i++) {
		const struct blind_key *key = &keys->keys[i];

		if (!key->is_missing && (scope ? scope_has(scope, key->community)
					       : blobs_admits(content, key->community, peer_key)))
			way_add(out_ways, key);
	}
	if (is_named_plainly(keys, scope))
		way_add(out_ways, NULL);
	else if (out_ways->cnt == 0)
		way_add(out_ways, &missing);
}

size_t blobs_name(const struct blobs_ways *ways, unsigned way, const uint8_t id[static 32],
		  uint8_t out_name[static BLIND_ID_LEN])
{
	const struct blind_key *key = ways->keys[way % ways->cnt];

	if (key) {
		blobs_blind_id_write(key, id, out_name);
		return BLIND_ID_LEN;
	}
	memcpy(out_name, id, 32);
	return 32;
}
