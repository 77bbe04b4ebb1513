/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf/support/payload.h"

#include <stdio.h>
#include <string.h>

#include "weft/classify.h"

/* What the token's Retry gave the client; of no generation, so that only the token speaks for it. */
static const __u64 retry_scid[2] = {0x1122334455667788, 0x99aabbccddeeff00};

static void write_id(const struct payload_keys *keys, enum payload_id id, unsigned len, uint8_t *at)
{
	const uint8_t noise[WEFT_CID_RANDOM_LEN] = {1, 2, 3, 4, 5, (uint8_t)(6 + keys->id_noise)};

	memset(at, 0x5a, len);
	if (id == PAYLOAD_ID_OURS)
		weft_cid_write(&keys->cid, 3, noise, at);
	else if (id == PAYLOAD_ID_RETRY)
		memcpy(at, retry_scid, sizeof(retry_scid));
}

static unsigned write_token(const struct payload_keys *keys, const struct payload_token *spec,
			    uint8_t *at)
{
	struct weft_token token = {
		.client = spec->client,
		.retry_scid = {retry_scid[0], retry_scid[1]},
		.issued_s = spec->issued_s,
		.kind = spec->kind,
	};
	uint8_t bytes[WEFT_TOKEN_LEN];

	if (!spec->kind)
		return 0;
	if (spec->kind == WEFT_TOKEN_RETRY)
		token.original = (struct weft_id){.words = {0x5a5a5a5a5a5a5a5a}, .len = 8};
	/* Other kinds belong to other owners, but are as long. */
	memset(bytes, spec->kind, sizeof(bytes));
	if (spec->kind == WEFT_TOKEN_RETRY || spec->kind == WEFT_TOKEN_KNOWN)
		(void)weft_token_write(&keys->token, &token, bytes);
	if (spec->flip)
		bytes[(spec->flip - 1) / 8] ^= (uint8_t)(1 << (spec->flip - 1) % 8);
	memcpy(at, bytes, WEFT_TOKEN_LEN - spec->cut);
	return WEFT_TOKEN_LEN - spec->cut;
}

static unsigned write_varint(uint8_t *at, uint64_t value, unsigned len)
{
	static const uint8_t marks[9] = {[1] = 0, [2] = 0x40, [4] = 0x80, [8] = 0xc0};

	for (unsigned i = 0; i < len; i++)
		at[i] = (uint8_t)(value >> 8 * (len - 1 - i));
	at[0] |= marks[len];
	return len;
}

size_t payload_write_long(const struct payload_keys *keys, const struct payload_long *spec,
			  uint8_t *at)
{
	uint8_t token[WEFT_TOKEN_LEN];
	unsigned token_len = write_token(keys, &spec->token, token);
	unsigned noise_len = spec->dcid_len ? spec->dcid_len % PAYLOAD_ID_EMPTY : 8;
	unsigned dcid_len = spec->dcid == PAYLOAD_ID_NOISE ? noise_len : WEFT_CID_LEN;
	uint32_t version = spec->version ? spec->version : WEFT_QUIC_V1;

	memset(at, 0, PAYLOAD_LEN_MAX);
	*at++ = spec->first_byte ? spec->first_byte : 0xc3;
	weft_store_be32(at, version == PAYLOAD_VERSION_NEGOTIATION ? 0 : version);
	at += 4;
	*at++ = (uint8_t)dcid_len;
	write_id(keys, spec->dcid, dcid_len, at);
	at += dcid_len;
	*at++ = (uint8_t)spec->scid_len;
	memset(at, 0xc5, spec->scid_len);
	at += spec->scid_len;
	at += write_varint(at, spec->token_claim ? spec->token_claim : token_len,
			   spec->varint_len ? spec->varint_len : 1);
	memcpy(at, token, token_len);
	return spec->len ? spec->len : 1200;
}

size_t payload_write_short(const struct payload_keys *keys, enum payload_id id, size_t len,
			   uint8_t *at)
{
	memset(at, 0, PAYLOAD_LEN_MAX);
	at[0] = 0x41;
	write_id(keys, id, WEFT_CID_LEN, at + 1);
	/* Noise must not be KRPC's nor a live generation's. */
	at[1] |= 0x80;
	return len;
}

static uint8_t *append(uint8_t *at, const void *bytes, size_t len)
{
	memcpy(at, bytes, len);
	return at + len;
}

static uint8_t *append_text(uint8_t *at, const char *text)
{
	return append(at, text, strlen(text));
}

size_t payload_write_krpc(const struct payload_krpc *spec, uint8_t *at)
{
	static const char *const names[] = {
		[WEFT_KRPC_PING] = "4:ping",
		[WEFT_KRPC_FIND_NODE] = "9:find_node",
		[WEFT_KRPC_GET_PEERS] = "9:get_peers",
		[WEFT_KRPC_GET] = "3:get",
	};
	unsigned transaction_len = spec->transaction_len ? spec->transaction_len : 2;
	uint8_t *begin = at;
	char number[16];

	at = append_text(at, "d1:ad2:id20:abcdefghij0123456789");
	if (spec->kind != WEFT_KRPC_PING) {
		at = append_text(at, spec->kind == WEFT_KRPC_GET_PEERS ? "9:info_hash20:"
								       : "6:target20:");
		at = append(at, spec->target, WEFT_KRPC_ID_LEN);
	}
	if (spec->want)
		at = append_text(append_text(append_text(at, "4:wantl2:"), spec->want), "e");
	at = append_text(append_text(at, "e1:q"), names[spec->kind]);
	if (spec->is_read_only)
		at = append_text(at, "2:roi1e");
	snprintf(number, sizeof(number), "1:t%u:", transaction_len);
	at = append(append_text(at, number), "abcdefghijklmnop", transaction_len);
	if (spec->has_version)
		at = append_text(at, "1:v4:wxyz");
	return (size_t)(append_text(at, "1:y1:qe") - begin);
}

size_t payload_write_krpc_reply(const struct payload_krpc_reply *spec, uint8_t *at)
{
	unsigned version_len = spec->version_len ? spec->version_len : 4;
	uint8_t *begin = at;
	char number[16];

	at = append_text(at, spec->is_error ? "d1:eli201e7:Genericee"
					    : "d1:rd2:id20:abcdefghij0123456789e");
	if (spec->is_error)
		at--;
	at = append(append_text(at, "1:t8:"), &spec->transaction, 8);
	if (spec->has_version) {
		snprintf(number, sizeof(number), "1:v%u:", version_len);
		at = append(append_text(at, number), "wxyzwxyz", version_len);
	}
	return (size_t)(append_text(at, spec->is_error ? "1:y1:ee" : "1:y1:re") - begin);
}

void payload_keys_init(struct payload_keys *keys, uint32_t now_s)
{
	const __u64 cid_key[2] = {11, 12};

	memset(keys, 0, sizeof(*keys));
	weft_cid_keys_rotate(&keys->cid, cid_key);
	for (uint32_t day = weft_token_day(now_s) - 2; day <= weft_token_day(now_s) + 1; day++) {
		const __u64 key[2] = {day, 7};

		weft_token_keys_set(&keys->token, day, key);
	}
}
