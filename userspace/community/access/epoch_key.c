/* SPDX-License-Identifier: Apache-2.0 */
/* Pure, but for the randomness of what is made; revocations.c stores, gives and takes them. */
#include "epoch_key.h"

#include <string.h>

#include "base/byte_cursor.h"
#include "base/random.h"
#include "blobs/scope.h"
#include "community/record/community_record.h"
#include "crypto/blake3/blake3.h"
#include "crypto/key_seal.h"

#define COMMIT_CONTEXT "mesh/community/epoch/v1"
#define BLIND_CONTEXT  "mesh/community/blind/v1"
#define VEIL_CONTEXT   "mesh/community/veil/v1"
#define ROW_LAYOUT     1u

_Static_assert(EPOCH_KEY_LEN == NODE_KEY_SEED_LEN, "it is sealed as a seed is");
_Static_assert(EPOCH_KEY_LEN == BLAKE3_KEY_LEN && BLAKE3_HASH_LEN == 32, "keys of BLAKE3");
_Static_assert(EPOCH_KEY_LEN == COMMUNITY_COMMIT_LEN, "a roll has room for the commitment");
_Static_assert(1 + 2 * (8 + 1 + KEY_SEAL_LEN_MAX) <= EPOCH_KEY_ROW_CAP, "a row has both keys");

void community_epoch_key_commit(const uint8_t secret[static EPOCH_KEY_LEN],
				uint8_t out_commit[static EPOCH_KEY_LEN])
{
	blake3_derive_key(COMMIT_CONTEXT, secret, EPOCH_KEY_LEN, out_commit, EPOCH_KEY_LEN);
}

void community_epoch_key_blind(const uint8_t secret[static EPOCH_KEY_LEN],
			       struct blind_key *out_key)
{
	blake3_derive_key(BLIND_CONTEXT, secret, EPOCH_KEY_LEN, out_key->blind,
			  sizeof(out_key->blind));
	blake3_derive_key(VEIL_CONTEXT, secret, EPOCH_KEY_LEN, out_key->veil,
			  sizeof(out_key->veil));
}

/* --- made and taken --- */

static void turn_over(struct epoch_keys *keys, uint64_t epoch,
		      const uint8_t secret[static EPOCH_KEY_LEN])
{
	if (keys->current.epoch != epoch)
		keys->previous = keys->current;
	keys->current.epoch = epoch;
	memcpy(keys->current.secret, secret, EPOCH_KEY_LEN);
}

void community_epoch_keys_make(struct epoch_keys *keys, struct random *random, uint64_t epoch)
{
	uint8_t secret[EPOCH_KEY_LEN];

	random_fill(random, secret, sizeof(secret));
	turn_over(keys, epoch, secret);
	explicit_bzero(secret, sizeof(secret));
}

void community_epoch_keys_wipe(struct epoch_keys *keys)
{
	explicit_bzero(keys, sizeof(*keys));
}

static bool is_committed(const struct community_revocations *revocations,
			 const uint8_t secret[static EPOCH_KEY_LEN])
{
	uint8_t commit[EPOCH_KEY_LEN];

	community_epoch_key_commit(secret, commit);
	return revocations->has_commit && memcmp(commit, revocations->commit, sizeof(commit)) == 0;
}

bool community_epoch_keys_are_of(const struct epoch_keys *keys,
				 const struct community_revocations *revocations)
{
	return keys->current.epoch && keys->current.epoch == revocations->epoch &&
	       is_committed(revocations, keys->current.secret);
}

int community_epoch_keys_take(struct epoch_keys *keys, const struct node_key *key,
			      const struct community_revocations *revocations,
			      const uint8_t box[static KEY_WRAP_LEN])
{
	uint8_t secret[EPOCH_KEY_LEN];
	int err;

	if (!revocations->has_commit || community_epoch_keys_are_of(keys, revocations))
		return WEFT_ESTALE;
	if ((err = key_unwrap(key, box, secret)) < 0)
		return err;
	if (is_committed(revocations, secret))
		turn_over(keys, revocations->epoch, secret);
	else
		err = WEFT_ESTALE;
	explicit_bzero(secret, sizeof(secret));
	return err;
}

/* --- the row --- */

static void key_write(struct writer *w, const struct epoch_key *key, const struct key_seal *seal)
{
	uint8_t sealed[KEY_SEAL_LEN_MAX];
	size_t len = key->epoch ? key_seal_write(seal, key->secret, sealed) : 0;

	writer_be64(w, key->epoch);
	writer_u8(w, (uint8_t)len);
	writer_bytes(w, sealed, len);
}

size_t community_epoch_keys_write(const struct epoch_keys *keys, const struct key_seal *seal,
				  uint8_t out[static EPOCH_KEY_ROW_CAP])
{
	struct writer w = writer_of(out, EPOCH_KEY_ROW_CAP);

	writer_u8(&w, ROW_LAYOUT);
	key_write(&w, &keys->current, seal);
	key_write(&w, &keys->previous, seal);
	return writer_len(&w);
}

static int key_parse(struct cursor *c, const struct key_seal *seal, struct epoch_key *key)
{
	const uint8_t *bytes;
	uint8_t len;

	key->epoch = cursor_be64(c);
	len = cursor_u8(c);
	bytes = cursor_bytes(c, len);
	if (c->bad || !bytes || (key->epoch == 0) != (len == 0))
		return WEFT_EDAMAGED;
	return len ? key_seal_open(seal, bytes, len, key->secret) : 0;
}

int community_epoch_keys_parse(const void *bytes, size_t len, const struct key_seal *seal,
			       struct epoch_keys *out_keys)
{
	struct cursor c = cursor_of(bytes, len);
	struct epoch_keys keys = {0};
	uint8_t layout = cursor_u8(&c);
	int err;

	if ((err = key_parse(&c, seal, &keys.current)) < 0 ||
	    (err = key_parse(&c, seal, &keys.previous)) < 0 ||
	    (err = layout == ROW_LAYOUT && cursor_left(&c) == 0 ? 0 : WEFT_EDAMAGED) < 0) {
		community_epoch_keys_wipe(&keys);
		return err;
	}
	*out_keys = keys;
	community_epoch_keys_wipe(&keys);
	return 0;
}
