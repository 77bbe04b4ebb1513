/* SPDX-License-Identifier: Apache-2.0 */
#include "scope.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/blake3/blake3.h"

#define KEYS_FIRST 8u

struct blind_key *blobs_blind_keys_add(struct blind_keys *keys)
{
	unsigned cap = keys->cap ? 2 * keys->cap : KEYS_FIRST;
	struct blind_key *grown;

	if (keys->cnt < keys->cap)
		return &keys->keys[keys->cnt++];
	grown = malloc(cap * sizeof(*grown));
	if (!grown)
		return NULL;
	if (keys->cnt)
		memcpy(grown, keys->keys, keys->cnt * sizeof(*grown));
	if (keys->keys)
		explicit_bzero(keys->keys, keys->cap * sizeof(*keys->keys));
	free(keys->keys);
	keys->keys = grown;
	keys->cap = cap;
	return &keys->keys[keys->cnt++];
}

void blobs_blind_keys_clear(struct blind_keys *keys)
{
	if (keys->keys)
		explicit_bzero(keys->keys, keys->cap * sizeof(*keys->keys));
	keys->cnt = 0;
}

void blobs_blind_keys_fini(struct blind_keys *keys)
{
	blobs_blind_keys_clear(keys);
	free(keys->keys);
	*keys = (struct blind_keys){.cnt = 0};
}

static void veil_apply(const struct blind_key *key, const uint8_t *half, const uint8_t *from,
		       uint8_t *out)
{
	uint8_t veil[32];

	blake3_keyed(key->veil, half, 32, veil);
	for (unsigned i = 0; i < sizeof(veil); i++)
		out[i] = from[i] ^ veil[i];
}

void blobs_blind_id_write(const struct blind_key *key, const uint8_t id[static 32],
			  uint8_t out_blind[static BLIND_ID_LEN])
{
	if (key->is_missing) {
		memset(out_blind, 0, BLIND_ID_LEN);
		return;
	}
	blake3_keyed(key->blind, id, 32, out_blind);
	veil_apply(key, out_blind, id, out_blind + 32);
}

const struct blind_key *blobs_blind_id_open(const struct blind_keys *keys,
					    const uint8_t blind[static BLIND_ID_LEN],
					    uint8_t out_id[static 32])
{
	uint8_t id[32], half[32];

	for (unsigned i = 0; i < keys->cnt; i++) {
		const struct blind_key *key = &keys->keys[i];

		if (key->is_missing)
			continue;
		veil_apply(key, blind, blind + 32, id);
		blake3_keyed(key->blind, id, 32, half);
		if (memcmp(half, blind, sizeof(half)) != 0)
			continue;
		memcpy(out_id, id, sizeof(id));
		return key;
	}
	return NULL;
}

const struct blind_key *blobs_blind_keys_first(const struct blind_keys *keys,
					       const uint8_t community[static 32])
{
	for (unsigned i = 0; i < keys->cnt; i++)
		if (memcmp(keys->keys[i].community, community, 32) == 0)
			return &keys->keys[i];
	return NULL;
}
