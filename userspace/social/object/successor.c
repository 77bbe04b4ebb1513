/* SPDX-License-Identifier: Apache-2.0 */
#include "social/object/successor.h"

#include <string.h>

#include "crypto/statement.h"
#include "social/object/social_signed.h"

/* The head of a map of 3, its keys, two ids and a time. */
#define WORDS_LEN_MAX 96u

static const struct cbor_field fields[] = {
	{0, CBOR_FIELD_EXACT, CBOR_NEEDED, CBOR_AT(struct successor, former), .max = NODE_KEY_LEN},
	{1, CBOR_FIELD_EXACT, CBOR_NEEDED, CBOR_AT(struct successor, next), .max = NODE_KEY_LEN},
	{2, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct successor, time_ms)},
	{3, CBOR_FIELD_EXACT, CBOR_HAS(struct successor, is_signed_by_former),
	 CBOR_AT(struct successor, former_signature), .max = NODE_KEY_SIG_LEN},
};
static const struct cbor_table table = {CBOR_FIELDS(fields)};
static const struct social_kind kind = {SUCCESSOR_TAG, &table, SUCCESSOR_LEN_MAX};
/* What the former key signs. */
static const struct cbor_table words_table = {.fields = fields, .cnt = 3};

static struct statement words_write(const struct successor *successor,
				    uint8_t words[static WORDS_LEN_MAX])
{
	struct writer w = writer_of(words, WORDS_LEN_MAX);

	cbor_fields_write(&w, &words_table, successor);
	return (struct statement){.tag = SUCCEEDED_TAG, .head = words, .head_len = writer_len(&w)};
}

int social_successor_read(const void *bytes, size_t len, struct successor *out_successor)
{
	struct successor read = {.former = NULL};
	uint8_t words[WORDS_LEN_MAX];
	struct statement statement;
	const uint8_t *signer;
	int err = social_signed_read(&kind, bytes, len, &read, &signer);

	if (err < 0)
		return err;
	if (memcmp(signer, read.next, NODE_KEY_LEN) != 0 ||
	    memcmp(read.former, read.next, NODE_KEY_LEN) == 0)
		return WEFT_EMALFORMED;
	statement = words_write(&read, words);
	if (read.is_signed_by_former &&
	    (err = statement_verify(&statement, read.former, read.former_signature)) < 0)
		return err;
	*out_successor = read;
	return 0;
}

void social_successor_write(struct writer *w, const struct successor *successor,
			    const struct node_key *next, const struct node_key *former)
{
	struct successor said = {.former = successor->former,
				 .next = node_key_public(next),
				 .time_ms = successor->time_ms};
	uint8_t words[WORDS_LEN_MAX], signature[NODE_KEY_SIG_LEN];
	struct statement statement = words_write(&said, words);

	if (former && (memcmp(node_key_public(former), said.former, NODE_KEY_LEN) != 0 ||
		       statement_sign(&statement, former, signature) < 0)) {
		w->bad = true;
		return;
	}
	said.is_signed_by_former = former != NULL;
	said.former_signature = signature;
	social_signed_write(w, &kind, &said, next);
}

void social_successor_hash(const uint8_t next[static NODE_KEY_LEN],
			   uint8_t out_hash[static BLAKE3_HASH_LEN])
{
	blake3_derive_key("mesh/distsoc/next-key/v1", next, NODE_KEY_LEN, out_hash,
			  BLAKE3_HASH_LEN);
}
