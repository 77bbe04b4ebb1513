/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_BLIND_H
#define WEFT_BLOBS_BLIND_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Ids as requests name them, of what strict communities alone may read. Pure; any thread.
 *
 *	blinded id: BLAKE3 of the id under the key "blind" 32 |
 *		    id xor BLAKE3 of the first half under the key "veil" 32
 *
 * Both keys are derived of an epoch key of the community. The first half is the blinded id
 * proper: without the keys no node makes it of an id, nor an id of it. The second gives a holder
 * of the keys the id, so it needs no table of all its ids, which a new epoch would change.
 */
#define BLIND_ID_LEN 64u

struct blind_key {
	uint8_t community[32];
	bool is_missing; /* the community has an epoch key, and it is not here */
	uint8_t blind[32], veil[32];
};
/* Of a community the current key comes before the one of the epoch before. */
struct blind_keys {
	unsigned cnt, cap; /* at most two of each joined community */
	struct blind_key *keys;
};

/*
 * blobs_blind_keys_add: room for one more, which the caller fills; NULL: no memory. It is kept when
 * the keys are read anew: blobs_blind_keys_clear wipes what they were, blobs_blind_keys_fini frees
 * it, too.
 */
struct blind_key *blobs_blind_keys_add(struct blind_keys *keys);
void blobs_blind_keys_clear(struct blind_keys *keys);
void blobs_blind_keys_fini(struct blind_keys *keys);

/* blobs_blind_id_write: of a key that is missing, zeros, which nothing is named by. */
void blobs_blind_id_write(const struct blind_key *key, const uint8_t id[static 32],
			  uint8_t out_blind[static BLIND_ID_LEN]);
/*
 * blobs_blind_id_open: the key under which blind was made, and the id in it; NULL: under none of
 * keys.
 */
const struct blind_key *blobs_blind_id_open(const struct blind_keys *keys,
					    const uint8_t blind[static BLIND_ID_LEN],
					    uint8_t out_id[static 32]);
/* blobs_blind_keys_first: the first of a community, or NULL: its ids are not blinded. */
const struct blind_key *blobs_blind_keys_first(const struct blind_keys *keys,
					       const uint8_t community[static 32]);

#endif
