/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects that people and nodes sign, behind a good signature: the first byte says which, and the rest
 * is the body that a key signed. What is read is written, and then reads and writes as it did. What a
 * reader relies on holds. Profiles and successors are in fuzz_social_person.
 */
#include <stdlib.h>
#include <string.h>

#include "crypto/signed.h"
#include "social/object/group_epoch.h"
#include "social/object/group_note.h"
#include "social/object/post_claim.h"
#include "social/object/replica_note.h"
#include "social/object/social_address.h"
#include "social/object/visibility.h"
#include "social/sync/sync_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define ROOM (VISIBILITY_LEN_MAX + SIGNED_OVERHEAD_MAX)

static uint8_t object[ROOM], out[ROOM], again[ROOM];
static struct node_key *key;

/* Pointers of second lie in out, so that is what it was made of. */
#define READ_AND_WRITE(type, read, write, is_sound)                                                \
	do {                                                                                       \
		static struct type first, second;                                                  \
		struct writer w = writer_of(out, sizeof(out));                                     \
		struct writer w2 = writer_of(again, sizeof(again));                                \
                                                                                                   \
		if (read(object, len, &first) < 0)                                                 \
			return;                                                                    \
		if (!is_sound(&first))                                                             \
			abort();                                                                   \
		write(&w, &first, key);                                                            \
		if (w.bad || read(out, writer_len(&w), &second) < 0)                               \
			abort();                                                                   \
		write(&w2, &second, key);                                                          \
		if (w2.bad || writer_len(&w) != writer_len(&w2) ||                                 \
		    memcmp(out, again, writer_len(&w)) != 0)                                       \
			abort();                                                                   \
	} while (0)

static bool is_own(const uint8_t *signer)
{
	return memcmp(signer, node_key_public(key), NODE_KEY_LEN) == 0;
}

static bool claim_is_sound(const struct post_claim *claim)
{
	return claim->post && claim->logical_id && is_own(claim->author);
}

static bool deletion_is_sound(const struct post_deletion *deletion)
{
	return deletion->post && is_own(deletion->author);
}

static bool visibility_is_sound(const struct visibility *said)
{
	bool is_closed = said->kind == VISIBILITY_RECIPIENTS;

	for (unsigned i = 1; i < said->recipient_cnt; i++)
		if (memcmp(said->recipients[i - 1].reader, said->recipients[i].reader,
			   NODE_KEY_LEN) >= 0)
			return false;
	return said->post && is_own(said->author) && said->kind <= VISIBILITY_GROUP &&
	       said->recipient_cnt <= VISIBILITY_RECIPIENTS_MAX &&
	       said->holder_cnt <= VISIBILITY_HOLDERS_MAX && (is_closed || !said->recipient_cnt) &&
	       (said->kind == VISIBILITY_PUBLIC || !said->holder_cnt);
}

static bool address_is_sound(const struct social_address *address)
{
	return is_own(address->node) && address->places.addr_cnt <= PEER_ADDRS_MAX;
}

static bool replica_is_sound(const struct replica_note *note)
{
	return is_own(note->holder) && note->state <= REPLICA_GONE;
}

static bool hide_is_sound(const struct group_hide *hide)
{
	return hide->group && hide->author && hide->logical_id && is_own(hide->signer);
}

static bool leave_is_sound(const struct group_leave *leave)
{
	return leave->group && is_own(leave->signer);
}

static bool group_proof_is_sound(const struct group_proof *proof)
{
	return proof->group && proof->session && is_own(proof->signer);
}

/* --- one of each --- */

static void check_claim(size_t len)
{
	READ_AND_WRITE(post_claim, social_claim_read, social_claim_write, claim_is_sound);
}

static void check_deletion(size_t len)
{
	READ_AND_WRITE(post_deletion, social_deletion_read, social_deletion_write,
		       deletion_is_sound);
}

static void check_visibility(size_t len)
{
	READ_AND_WRITE(visibility, social_visibility_read, social_visibility_write,
		       visibility_is_sound);
}

static void check_address(size_t len)
{
	READ_AND_WRITE(social_address, social_address_read, social_address_write, address_is_sound);
}

static void check_replica(size_t len)
{
	READ_AND_WRITE(replica_note, social_replica_read, social_replica_write, replica_is_sound);
}

static void check_hide(size_t len)
{
	READ_AND_WRITE(group_hide, social_hide_read, social_hide_write, hide_is_sound);
}

static void check_leave(size_t len)
{
	READ_AND_WRITE(group_leave, social_leave_read, social_leave_write, leave_is_sound);
}

static void check_group_proof(size_t len)
{
	READ_AND_WRITE(group_proof, social_proof_read, social_proof_write, group_proof_is_sound);
}

static void check_group(size_t len)
{
	static struct group_state state;
	unsigned own_cnt = 0, visitor_cnt = 0;

	if (social_group_read(object, len, &state) < 0)
		return;
	for (unsigned i = 0; i < state.member_cnt; i++) {
		own_cnt += !state.members[i].is_visitor;
		visitor_cnt += state.members[i].is_visitor;
		if (i && memcmp(state.members[i - 1].key, state.members[i].key, NODE_KEY_LEN) >= 0)
			abort();
	}
	if (own_cnt > GROUP_SHARD_MAX || visitor_cnt > GROUP_VISITORS_MAX || !is_own(state.admin) ||
	    state.shard >= state.shard_cnt || !state.previous != !state.epoch)
		abort();
}

/* Of a HELLO: of this session, and none of another one. */
static void check_proof(size_t len)
{
	static const uint8_t session[SYNC_SESSION_LEN] = {5}, other[SYNC_SESSION_LEN] = {6};
	const struct sync_bytes bytes = {object, len};
	struct sync_proof proof;

	if (social_sync_proof_read(&bytes, session, &proof) < 0)
		return;
	if (!is_own(proof.key) || social_sync_proof_read(&bytes, other, &proof) == 0)
		abort();
}

static const struct {
	const char *tag;
	void (*check)(size_t len);
} kinds[] = {
	{POST_CLAIM_TAG, check_claim},
	{POST_DELETION_TAG, check_deletion},
	{VISIBILITY_TAG, check_visibility},
	{SOCIAL_ADDRESS_TAG, check_address},
	{REPLICA_TAG, check_replica},
	{GROUP_TAG, check_group},
	{GROUP_HIDE_TAG, check_hide},
	{GROUP_LEAVE_TAG, check_leave},
	{GROUP_PROOF_TAG, check_group_proof},
	{GROUP_PROOF_TAG, check_proof},
	{"persona", check_proof},
};
#define KIND_CNT (sizeof(kinds) / sizeof(kinds[0]))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {8};
	struct writer w = writer_of(object, sizeof(object));

	if (len < 1 || len > VISIBILITY_LEN_MAX)
		return 0;
	if (!key && node_key_from_seed(seed, &key) < 0)
		abort();
	signed_write(&w, key, kinds[data[0] % KIND_CNT].tag, data + 1, len - 1);
	if (!w.bad)
		kinds[data[0] % KIND_CNT].check(writer_len(&w));
	return 0;
}
