/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_COMMUNITY_ACCESS_REVOCATIONS_H
#define WEFT_COMMUNITY_ACCESS_REVOCATIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "community/record/community_record.h"
#include "crypto/key_wrap.h"

struct community;
struct mesh_peer;
struct store_batch;
struct store_snapshot;

/*
 * The revocation list of a community: the expelled nodes, signed by its key under an epoch that
 * ascends (STORE_META, "revocation list:" and the id). The node that has the key makes a list
 * with each change. Members ask each other for a newer one when a session begins and after each
 * sync.
 *
 *	expel	community_expel -> signed -> stored -> announced to partners
 *	show	416 to a member: this node's record and the epoch that is here -> 417: its
 *		revocation list, if that is newer, and from the node with the key a new token, when
 *		half of the old one's time is over
 *	key	of a strict community: 417 carries the key of the epoch, too (epoch_key.h). Each
 *		member that has it sends it to each that says it has an older one
 *	taken	newer, signed -> in memory and stored -> rows of the expelled go with the next sweep
 *
 * Home worker, but for community_revocations_load and community_revocations_keys_load.
 */
#define REVOCATIONS_SHOWS_MAX 16u /* asked at once, by all communities */

/* community_revocations_load reads what the store has: 0, WEFT_EABSENT, WEFT_EDAMAGED or -errno. Any thread. */
WEFT_MUST_CHECK
int community_revocations_load(struct store_snapshot *snapshot,
			       const uint8_t id[static COMMUNITY_ID_LEN],
			       struct community_revocations *out_revocations);
/* community_revocations_keys_load: likewise, the epoch keys; WEFT_ESEALED, too. */
struct epoch_keys;
struct key_seal;
WEFT_MUST_CHECK
int community_revocations_keys_load(struct store_snapshot *snapshot,
				    const uint8_t id[static COMMUNITY_ID_LEN],
				    const struct key_seal *seal, struct epoch_keys *out_keys);
struct communities;
WEFT_MUST_CHECK
int community_revocations_init(struct communities *all);
/*
 * community_revocations_open takes the stored revocation list and epoch keys of a community that was opened, if there are some.
 * Where the community's key is here and no key is that of the epoch, a new epoch begins. 0 or -errno.
 */
WEFT_MUST_CHECK
int community_revocations_open(struct community *community);
void community_revocations_drop(struct store_batch *batch,
				const uint8_t id[static COMMUNITY_ID_LEN]);
/* community_revocations_begin makes the first revocation list of a community that was created here. */
void community_revocations_begin(struct community *community);
/* community_revocations_take is for bytes that a peer gave. True: it was newer, and holds from now on. */
bool community_revocations_take(struct community *community, const uint8_t *bytes, size_t len,
				uint64_t now_ns);
/* community_revocations_key_epoch: of the revocation list, if the key of its epoch is here; else 0. */
uint64_t community_revocations_key_epoch(const struct community *community);
/* community_revocations_box seals the key of the epoch to the node of key; false: it is not here. */
bool community_revocations_box(const struct community *community,
			       const uint8_t key[static COMMUNITY_KEY_LEN],
			       uint8_t out_box[static KEY_WRAP_LEN]);
/*
 * community_revocations_show asks peer, a member, as above; it does not ask while too many are
 * asked.
 */
void community_revocations_show(struct community *community, const struct mesh_peer *peer,
				uint64_t now_ns);
/* community_revocations_show_cnt: how many are asked now, by all communities. */
unsigned community_revocations_show_cnt(const struct communities *all);
/* community_revocations_show_key: the member of key, if it is known where it is. */
void community_revocations_show_key(struct community *community,
				    const uint8_t key[static COMMUNITY_KEY_LEN], uint64_t now_ns);
/* community_revocations_forget ends what is asked for community. */
void community_revocations_forget(struct community *community);

#endif
