/* SPDX-License-Identifier: Apache-2.0 */
#include "social/object/replica_note.h"

#include <string.h>

#include "crypto/agreed_box.h"
#include "crypto/blake3/blake3.h"
#include "social/object/social_signed.h"

#define MAP_CONTEXT "mesh/distsoc/replica-map/v1"

static const struct cbor_field fields[] = {
	{0, CBOR_FIELD_EXACT, CBOR_NEEDED, CBOR_AT(struct replica_note, post), .max = POST_ID_LEN},
	{1, CBOR_FIELD_EXACT, CBOR_NEEDED, CBOR_AT(struct replica_note, holder),
	 .max = NODE_KEY_LEN},
	{2, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct replica_note, state), .max = REPLICA_GONE},
	{3, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct replica_note, time_ms)},
};
static const struct cbor_table table = {CBOR_FIELDS(fields)};
static const struct social_kind kind = {REPLICA_TAG, &table, REPLICA_NOTE_LEN_MAX};

int social_replica_read(const void *bytes, size_t len, struct replica_note *out_note)
{
	struct replica_note note = {.post = NULL};
	const uint8_t *signer;
	int err = social_signed_read(&kind, bytes, len, &note, &signer);

	if (err < 0)
		return err;
	if (memcmp(signer, note.holder, NODE_KEY_LEN) != 0)
		return WEFT_EMALFORMED;
	*out_note = note;
	return 0;
}

void social_replica_write(struct writer *w, const struct replica_note *note,
			  const struct node_key *holder)
{
	social_signed_write(w, &kind, note, holder);
}

void social_replica_seal(struct writer *w, const uint8_t key[static CONTENT_KEY_LEN],
			 const uint8_t nonce[static CONTENT_NONCE_LEN], const void *note,
			 size_t len)
{
	uint8_t map_key[AGREED_KEY_LEN];
	uint8_t *out = writer_reserve(w, len + REPLICA_SEALED_OVERHEAD);

	if (!out)
		return;
	blake3_derive_key(MAP_CONTEXT, key, CONTENT_KEY_LEN, map_key, sizeof(map_key));
	memcpy(out, nonce, CONTENT_NONCE_LEN);
	agreed_box_seal(&(struct agreed_box){.key = map_key, .nonce = nonce}, note, len,
			out + CONTENT_NONCE_LEN);
	explicit_bzero(map_key, sizeof(map_key));
}

int social_replica_open(const uint8_t key[static CONTENT_KEY_LEN], const uint8_t *sealed,
			size_t len, uint8_t out_note[static REPLICA_NOTE_LEN_MAX], size_t *out_len)
{
	uint8_t map_key[AGREED_KEY_LEN];
	int err;

	if (len <= REPLICA_SEALED_OVERHEAD || len > REPLICA_STORED_LEN_MAX)
		return WEFT_EMALFORMED;
	blake3_derive_key(MAP_CONTEXT, key, CONTENT_KEY_LEN, map_key, sizeof(map_key));
	err = agreed_box_open(&(struct agreed_box){.key = map_key, .nonce = sealed},
			      sealed + CONTENT_NONCE_LEN, len - CONTENT_NONCE_LEN, out_note);
	explicit_bzero(map_key, sizeof(map_key));
	if (err == 0)
		*out_len = len - REPLICA_SEALED_OVERHEAD;
	return err;
}
