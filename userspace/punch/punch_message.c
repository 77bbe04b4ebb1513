/* SPDX-License-Identifier: Apache-2.0 */
/* Payloads of CANDIDATES, PUNCH_NOW and PUNCH_RESULT, and the probe. Any thread. */
#include "punch_message.h"

#include <string.h>

#include "codec/cbor_fields.h"
#include "crypto/blake3/blake3.h"

static const struct cbor_field candidates_fields[] = {
	{0, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct punch_candidates, handle)},
	{1, CBOR_FIELD_ADDRS, CBOR_OPTIONAL, CBOR_AT(struct punch_candidates, addrs),
	 CBOR_LEN(struct punch_candidates, addr_cnt)},
	{2, CBOR_FIELD_UINT, CBOR_OPTIONAL, CBOR_AT(struct punch_candidates, nat), .max = 255},
	{3, CBOR_FIELD_UINT, CBOR_OPTIONAL, CBOR_AT(struct punch_candidates, mapped), .max = 255},
};
static const struct cbor_table candidates_table = {CBOR_FIELDS(candidates_fields)};

static const struct cbor_field now_fields[] = {
	{0, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct punch_now, handle)},
};
static const struct cbor_table now_table = {CBOR_FIELDS(now_fields)};

static const struct cbor_field result_fields[] = {
	{0, CBOR_FIELD_ADDR, CBOR_OPTIONAL, CBOR_AT(struct punch_result, addr)},
};
static const struct cbor_table result_table = {CBOR_FIELDS(result_fields)};

void punch_candidates_write(struct writer *w, const struct punch_candidates *message)
{
	cbor_fields_write(w, &candidates_table, message);
}

int punch_candidates_parse(const uint8_t *data, size_t len, struct punch_candidates *out_message)
{
	struct punch_candidates message = {.addr_cnt = 0};
	uint64_t mapped = 0;
	unsigned cnt = 0;

	if (cbor_fields_parse(data, len, &candidates_table, &message) < 0)
		return WEFT_EMALFORMED;
	for (unsigned i = 0; i < message.addr_cnt; i++) {
		const struct addr *addr = &message.addrs[i];

		if (!addr->port || addr->transport != ADDR_UDP || !addr_is_unicast(addr))
			continue;
		mapped |= (message.mapped >> i & 1) << cnt;
		message.addrs[cnt++] = *addr;
	}
	message.mapped = mapped;
	message.addr_cnt = cnt;
	if (message.nat >= PUNCH_NAT_CNT)
		message.nat = PUNCH_NAT_UNKNOWN;
	*out_message = message;
	return 0;
}

void punch_now_write(struct writer *w, const struct punch_now *message)
{
	cbor_fields_write(w, &now_table, message);
}

int punch_now_parse(const uint8_t *data, size_t len, struct punch_now *out_message)
{
	return cbor_fields_parse(data, len, &now_table, out_message) < 0 ? WEFT_EMALFORMED : 0;
}

void punch_result_write(struct writer *w, const struct punch_result *message)
{
	cbor_fields_write(w, &result_table, message);
}

int punch_result_parse(const uint8_t *data, size_t len, struct punch_result *out_message)
{
	struct punch_result message = {.addr = {.family = ADDR_NONE}};

	if (cbor_fields_parse(data, len, &result_table, &message) < 0)
		return WEFT_EMALFORMED;
	*out_message = message;
	return 0;
}

/* It covers the sender: no probe can be sent back as one of the other node. */
static void probe_prove(const struct punch_probe *probe, const uint8_t key[static PUNCH_KEY_LEN],
			const uint8_t *data, uint8_t out[static PUNCH_MAC_LEN])
{
	uint8_t proved[WEFT_PROBE_LEN - PUNCH_MAC_LEN + 1];
	uint8_t mac[BLAKE3_HASH_LEN];

	memcpy(proved, data, sizeof(proved) - 1);
	proved[sizeof(proved) - 1] = probe->is_askers;
	blake3_keyed(key, proved, sizeof(proved), mac);
	memcpy(out, mac, PUNCH_MAC_LEN);
}

void punch_probe_write(const struct punch_probe *probe, const uint8_t key[static PUNCH_KEY_LEN],
		       uint8_t out[static WEFT_PROBE_LEN])
{
	struct writer w = writer_of(out, WEFT_PROBE_LEN);

	writer_u8(&w, WEFT_PROBE_FIRST_BYTE);
	writer_u8(&w, probe->kind);
	writer_bytes(&w, probe->handle, sizeof(probe->handle));
	writer_bytes(&w, probe->nonce, sizeof(probe->nonce));
	probe_prove(probe, key, out, out + writer_len(&w));
}

bool punch_probe_parse(const uint8_t *data, size_t len, struct punch_probe *out_probe)
{
	struct punch_probe probe = {.kind = PUNCH_PROBE};
	struct cursor c = cursor_of(data, len);
	unsigned first = cursor_u8(&c), kind = cursor_u8(&c);

	cursor_copy(&c, probe.handle, sizeof(probe.handle));
	cursor_copy(&c, probe.nonce, sizeof(probe.nonce));
	if (c.bad || cursor_left(&c) != PUNCH_MAC_LEN || first != WEFT_PROBE_FIRST_BYTE ||
	    (kind != PUNCH_PROBE && kind != PUNCH_PROBE_ANSWER))
		return false;
	probe.kind = (enum punch_probe_kind)kind;
	*out_probe = probe;
	return true;
}

bool punch_probe_is_proved(const struct punch_probe *probe, const uint8_t key[static PUNCH_KEY_LEN],
			   const uint8_t data[static WEFT_PROBE_LEN])
{
	uint8_t mac[PUNCH_MAC_LEN];

	probe_prove(probe, key, data, mac);
	return blake3_mac_is_equal(mac, data + WEFT_PROBE_LEN - PUNCH_MAC_LEN, sizeof(mac));
}
