/* SPDX-License-Identifier: Apache-2.0 */
#include "deposit_seal.h"

#include <string.h>

#include "crypto/blake3/blake3.h"

#define SEAL_INFO   "mesh/deposit/v1"
#define ID_CONTEXT  "mesh/deposit/id/v1"
#define EXPIRES_OFF (1u + DEPOSIT_RECEIPT_LEN)
#define BOUND_LEN   (DEPOSIT_KEY_LEN + DEPOSIT_ID_LEN)

void deposits_id_of(const uint8_t receipt[static DEPOSIT_RECEIPT_LEN],
		    uint8_t out_id[static DEPOSIT_ID_LEN])
{
	blake3_derive_key(ID_CONTEXT, receipt, DEPOSIT_RECEIPT_LEN, out_id, DEPOSIT_ID_LEN);
}

static struct node_box box_of(const uint8_t *recipient, const uint8_t *id,
			      uint8_t bound[static BOUND_LEN])
{
	memcpy(bound, recipient, DEPOSIT_KEY_LEN);
	memcpy(bound + DEPOSIT_KEY_LEN, id, DEPOSIT_ID_LEN);
	return (struct node_box){
		.info = SEAL_INFO, .reader = recipient, .bound = bound, .bound_len = BOUND_LEN};
}

int deposits_seal(const uint8_t recipient[static DEPOSIT_KEY_LEN],
		  const struct deposit_plain *plain,
		  const uint8_t fresh[static NODE_BOX_RANDOM_LEN], struct deposit_scratch *scratch,
		  uint8_t *out)
{
	struct writer w = writer_of(scratch->bytes + EXPIRES_OFF, sizeof(plain->expires_s));
	uint8_t id[DEPOSIT_ID_LEN], bound[BOUND_LEN];
	struct node_box box;

	deposits_id_of(plain->receipt, id);
	box = box_of(recipient, id, bound);
	scratch->bytes[0] = plain->kind;
	memcpy(scratch->bytes + 1, plain->receipt, DEPOSIT_RECEIPT_LEN);
	writer_be64(&w, plain->expires_s);
	if (plain->len)
		memcpy(scratch->bytes + DEPOSIT_HEAD_LEN, plain->content, plain->len);
	return node_box_seal(&box, fresh, scratch->bytes, DEPOSIT_HEAD_LEN + plain->len, out);
}

int deposits_unseal(const struct node_key *key, const struct deposit_row_message *row,
		    struct deposit_scratch *scratch, struct deposit_plain *out_plain)
{
	uint8_t own_id[DEPOSIT_ID_LEN], bound[BOUND_LEN];
	struct node_box box = box_of(node_key_public(key), row->id, bound);
	struct deposit_plain plain;
	struct cursor c;

	if (row->sealed_len < DEPOSIT_SEALED_LEN_MIN || row->sealed_len > DEPOSIT_SEALED_LEN_MAX)
		return WEFT_EMALFORMED;
	if (node_box_open(&box, key, row->sealed, row->sealed_len, scratch->bytes) < 0)
		return WEFT_EDAMAGED;
	c = cursor_of(scratch->bytes, row->sealed_len - NODE_BOX_OVERHEAD);
	plain.kind = cursor_u8(&c);
	cursor_copy(&c, plain.receipt, sizeof(plain.receipt));
	plain.expires_s = cursor_be64(&c);
	plain.len = cursor_left(&c);
	plain.content = cursor_bytes(&c, plain.len);
	deposits_id_of(plain.receipt, own_id);
	if (memcmp(own_id, row->id, sizeof(own_id)) != 0)
		return WEFT_EDAMAGED;
	*out_plain = plain;
	return 0;
}
