/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_COMMUNITY_ACCESS_EPOCH_KEY_H
#define WEFT_COMMUNITY_ACCESS_EPOCH_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/key_wrap.h"
#include "weft/err.h"

struct blind_key;
struct community_revocations;
struct key_seal;
struct random;

/*
 * The epoch key of a strict community: a secret of its members, a new one with each revocation
 * list. The community's key signs the revocation list, which has a commitment to the epoch key.
 * So a member may take the key from any other member and knows that it is the one of that epoch:
 *
 *	made	by the node with the community's key, with the revocation list, in one commit
 *	given	417 to a member that the newest revocation list admits: a sealed box to its node key
 *	taken	opened, and compared with the commitment of the revocation list that is here
 *
 * The key before is kept, too: ids that are blinded by it are on their way. A node never has the
 * key of an epoch that passed while it was away.
 */
#define EPOCH_KEY_LEN	   KEY_WRAP_SECRET_LEN
#define EPOCH_KEY_ROW_CAP  192u
#define EPOCH_KEY_ROW_NAME "epochkey:"

struct epoch_key {
	uint64_t epoch; /* 0: none is here */
	uint8_t secret[EPOCH_KEY_LEN];
};
struct epoch_keys {
	struct epoch_key current, previous;
};

/* community_epoch_key_commit: what a revocation list says of secret. It does not disclose it. */
void community_epoch_key_commit(const uint8_t secret[static EPOCH_KEY_LEN],
				uint8_t out_commit[static EPOCH_KEY_LEN]);
/*
 * community_epoch_key_blind: the keys under which ids are blinded (blobs/scope.h), derived of secret with
 * the contexts "mesh/community/blind/v1" and "mesh/community/veil/v1".
 */
void community_epoch_key_blind(const uint8_t secret[static EPOCH_KEY_LEN],
			       struct blind_key *out_key);

/* community_epoch_keys_make: a new current one, of epoch. community_epoch_keys_wipe forgets both. */
void community_epoch_keys_make(struct epoch_keys *keys, struct random *random, uint64_t epoch);
void community_epoch_keys_wipe(struct epoch_keys *keys);
/* community_epoch_keys_are_of: the current one is that which revocation list commits to. */
bool community_epoch_keys_are_of(const struct epoch_keys *keys,
				 const struct community_revocations *revocations);
/*
 * community_epoch_keys_take: box, from a peer, becomes the current one. 0; WEFT_ESTALE: it is
 * not the one of the revocation list, or that one is here already; WEFT_EDAMAGED: not for key.
 */
WEFT_MUST_CHECK
int community_epoch_keys_take(struct epoch_keys *keys, const struct node_key *key,
			      const struct community_revocations *revocations,
			      const uint8_t box[static KEY_WRAP_LEN]);

/*
 * The row: layout u8, then current and previous as epoch u64be, length u8, the secret as
 * crypto/key_seal.h writes it. community_epoch_keys_parse: 0, WEFT_EDAMAGED or WEFT_ESEALED.
 */
size_t community_epoch_keys_write(const struct epoch_keys *keys, const struct key_seal *seal,
				  uint8_t out[static EPOCH_KEY_ROW_CAP]);
WEFT_MUST_CHECK
int community_epoch_keys_parse(const void *bytes, size_t len, const struct key_seal *seal,
			       struct epoch_keys *out_keys);

#endif
