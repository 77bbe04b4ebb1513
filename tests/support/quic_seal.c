/* SPDX-License-Identifier: Apache-2.0 */
#include "support/quic_seal.h"

#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/assert.h"

#define SAMPLE_OFF 4 /* from where the packet number begins */
#define MASK_LEN   5

static const uint8_t initial_salt[20] = {0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34,
					 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8,
					 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a};

void quic_hmac(const uint8_t *key, size_t key_len, const void *data, size_t len,
	       uint8_t out[static 32])
{
	unsigned out_len = 32;

	weft_assert(HMAC(EVP_sha256(), key, (int)key_len, data, len, out, &out_len));
}

void quic_hkdf_label(const uint8_t secret[static 32], const char *label, const void *context,
		     size_t context_len, uint8_t *out, size_t out_len)
{
	size_t label_len = strlen(label), len = 0;
	uint8_t info[128], block[32];

	weft_assert(out_len <= sizeof(block) && 10 + label_len + context_len <= sizeof(info));
	info[len++] = 0;
	info[len++] = (uint8_t)out_len;
	info[len++] = (uint8_t)(6 + label_len);
	memcpy(info + len, "tls13 ", 6);
	memcpy(info + len + 6, label, label_len);
	len += 6 + label_len;
	info[len++] = (uint8_t)context_len;
	if (context_len)
		memcpy(info + len, context, context_len);
	len += context_len;
	info[len++] = 1; /* HKDF-Expand: the first block */
	quic_hmac(secret, 32, info, len, block);
	memcpy(out, block, out_len);
}

static EVP_CIPHER_CTX *cipher_new(const EVP_CIPHER *cipher, const uint8_t *key, int is_sealing)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

	weft_assert(ctx && EVP_CipherInit_ex(ctx, cipher, NULL, key, NULL, is_sealing) == 1);
	return ctx;
}

static void keys_derive(struct quic_keys *keys, const uint8_t secret[static 32])
{
	uint8_t key[16];

	memcpy(keys->secret, secret, sizeof(keys->secret));
	quic_hkdf_label(secret, "quic key", NULL, 0, key, sizeof(key));
	quic_hkdf_label(secret, "quic iv", NULL, 0, keys->iv, sizeof(keys->iv));
	keys->seal = cipher_new(EVP_aes_128_gcm(), key, 1);
	keys->open = cipher_new(EVP_aes_128_gcm(), key, 0);
}

void quic_keys_init(struct quic_keys *keys, const uint8_t secret[static 32])
{
	uint8_t mask[16];

	keys_derive(keys, secret);
	quic_hkdf_label(secret, "quic hp", NULL, 0, mask, sizeof(mask));
	keys->mask = cipher_new(EVP_aes_128_ecb(), mask, 1);
}

/* The mask stays what it was. */
void quic_keys_update(struct quic_keys *keys)
{
	uint8_t secret[32];

	quic_hkdf_label(keys->secret, "quic ku", NULL, 0, secret, sizeof(secret));
	EVP_CIPHER_CTX_free(keys->seal);
	EVP_CIPHER_CTX_free(keys->open);
	keys_derive(keys, secret);
}

void quic_keys_initial(struct quic_keys *client, struct quic_keys *server, const uint8_t *dcid,
		       size_t dcid_len)
{
	uint8_t initial[32], secret[32];

	quic_hmac(initial_salt, sizeof(initial_salt), dcid, dcid_len, initial);
	quic_hkdf_label(initial, "client in", NULL, 0, secret, sizeof(secret));
	quic_keys_init(client, secret);
	quic_hkdf_label(initial, "server in", NULL, 0, secret, sizeof(secret));
	quic_keys_init(server, secret);
}

void quic_keys_fini(struct quic_keys *keys)
{
	EVP_CIPHER_CTX_free(keys->seal);
	EVP_CIPHER_CTX_free(keys->open);
	EVP_CIPHER_CTX_free(keys->mask);
	memset(keys, 0, sizeof(*keys));
}

size_t quic_varint_write(uint8_t *dst, uint64_t value)
{
	unsigned log = value < 64 ? 0 : value < 16384 ? 1 : value < 1 << 30 ? 2 : 3;
	size_t len = (size_t)1 << log;

	for (size_t i = 0; i < len; i++)
		dst[i] = (uint8_t)(value >> (8 * (len - 1 - i)));
	dst[0] = (uint8_t)((dst[0] & 0x3f) | log << 6);
	return len;
}

size_t quic_varint_read(const uint8_t *data, size_t len, uint64_t *out_value)
{
	size_t need = len ? (size_t)1 << (data[0] >> 6) : 1;
	uint64_t value;

	if (len < need)
		return 0;
	value = data[0] & 0x3f;
	for (size_t i = 1; i < need; i++)
		value = value << 8 | data[i];
	*out_value = value;
	return need;
}

static size_t header_write(const struct quic_packet *packet, uint8_t *dst)
{
	uint32_t version = packet->version ? packet->version : 1;
	size_t len = 1;

	if (packet->type == QUIC_SEAL_SHORT) {
		dst[0] = (uint8_t)(0x40 | (QUIC_SEAL_PN_LEN - 1));
	} else {
		dst[0] = (uint8_t)(0xc0 | packet->type << 4 | (QUIC_SEAL_PN_LEN - 1));
		for (int i = 0; i < 4; i++)
			dst[len++] = (uint8_t)(version >> (24 - 8 * i));
		dst[len++] = (uint8_t)packet->dcid_len;
	}
	memcpy(dst + len, packet->dcid, packet->dcid_len);
	len += packet->dcid_len;
	if (packet->type != QUIC_SEAL_SHORT) {
		dst[len++] = (uint8_t)packet->scid_len;
		memcpy(dst + len, packet->scid, packet->scid_len);
		len += packet->scid_len;
		if (packet->type == QUIC_SEAL_INITIAL) {
			len += quic_varint_write(dst + len, packet->token_len);
			if (packet->token_len)
				memcpy(dst + len, packet->token, packet->token_len);
			len += packet->token_len;
		}
		len += quic_varint_write(dst + len, QUIC_SEAL_PN_LEN + packet->payload_len +
							    QUIC_SEAL_TAG_LEN);
	}
	dst[0] ^= packet->first_bits;
	return len;
}

static void nonce_write(const struct quic_keys *keys, uint64_t number, uint8_t out[static 12])
{
	memcpy(out, keys->iv, 12);
	for (int i = 0; i < 8; i++)
		out[4 + i] ^= (uint8_t)(number >> (56 - 8 * i));
}

/* Where the length of the number is its real one: 1 to 4. */
static void mask_apply(const struct quic_keys *keys, uint8_t *packet, size_t pn_off,
		       bool is_opening)
{
	uint8_t bits = packet[0] & 0x80 ? 0x0f : 0x1f;
	uint8_t mask[16];
	int len, pn_len;

	weft_assert(EVP_EncryptUpdate(keys->mask, mask, &len, packet + pn_off + SAMPLE_OFF, 16));
	if (is_opening)
		packet[0] ^= mask[0] & bits;
	pn_len = (packet[0] & 3) + 1;
	if (!is_opening)
		packet[0] ^= mask[0] & bits;
	for (int i = 0; i < pn_len; i++)
		packet[pn_off + (size_t)i] ^= mask[1 + i];
}

size_t quic_seal(const struct quic_keys *keys, const struct quic_packet *packet, uint8_t *dst)
{
	size_t pn_off = header_write(packet, dst), head_len = pn_off + QUIC_SEAL_PN_LEN;
	size_t end = head_len + packet->payload_len;
	uint8_t nonce[12];
	int len;

	for (int i = 0; i < QUIC_SEAL_PN_LEN; i++)
		dst[pn_off + (size_t)i] = (uint8_t)(packet->number >> (24 - 8 * i));
	nonce_write(keys, packet->number, nonce);
	weft_assert(EVP_EncryptInit_ex(keys->seal, NULL, NULL, NULL, nonce) &&
		    EVP_EncryptUpdate(keys->seal, NULL, &len, dst, (int)head_len) &&
		    EVP_EncryptUpdate(keys->seal, dst + head_len, &len, packet->payload,
				      (int)packet->payload_len) &&
		    EVP_EncryptFinal_ex(keys->seal, dst + head_len + len, &len) &&
		    EVP_CIPHER_CTX_ctrl(keys->seal, EVP_CTRL_GCM_GET_TAG, QUIC_SEAL_TAG_LEN,
					dst + end));
	mask_apply(keys, dst, pn_off, false);
	return end + QUIC_SEAL_TAG_LEN;
}

/* Past an id of one length byte. False: data ends before. */
static bool cid_read(const uint8_t *data, size_t len, size_t *off, const uint8_t **out_cid,
		     size_t *out_len)
{
	if (*off >= len || data[*off] > QUIC_SEAL_CID_MAX || *off + 1 + data[*off] > len)
		return false;
	*out_len = data[*off];
	*out_cid = data + *off + 1;
	*off += 1 + *out_len;
	return true;
}

/* The place of the packet number, and the end; 0: this is no packet with protection. */
static size_t header_read(const uint8_t *data, size_t len, size_t short_dcid_len,
			  struct quic_packet *packet, size_t *out_end)
{
	uint64_t token_len = 0, rest_len = 0;
	size_t off = 5, taken;

	memset(packet, 0, sizeof(*packet));
	if (len && !(data[0] & 0x80)) {
		packet->type = QUIC_SEAL_SHORT;
		packet->dcid = data + 1;
		packet->dcid_len = short_dcid_len;
		*out_end = len;
		return 1 + short_dcid_len;
	}
	if (len < off || memcmp(data + 1, "\0\0\0\1", 4) != 0)
		return 0;
	packet->version = 1;
	packet->type = (enum quic_seal_type)(data[0] >> 4 & 3);
	if (!cid_read(data, len, &off, &packet->dcid, &packet->dcid_len) ||
	    !cid_read(data, len, &off, &packet->scid, &packet->scid_len) ||
	    packet->type == QUIC_SEAL_RETRY)
		return 0;
	if (packet->type == QUIC_SEAL_INITIAL) {
		taken = quic_varint_read(data + off, len - off, &token_len);
		if (!taken || token_len > len - off - taken)
			return 0;
		packet->token = data + off + taken;
		packet->token_len = (size_t)token_len;
		off += taken + (size_t)token_len;
	}
	taken = quic_varint_read(data + off, len - off, &rest_len);
	if (!taken || rest_len > len - off - taken)
		return 0;
	*out_end = off + taken + (size_t)rest_len;
	return off + taken;
}

bool quic_next(const uint8_t *data, size_t len, size_t short_dcid_len,
	       struct quic_packet *out_packet, size_t *out_len)
{
	return header_read(data, len, short_dcid_len, out_packet, out_len) > 0;
}

bool quic_open(const struct quic_keys *keys, const uint8_t *data, size_t len,
	       struct quic_packet *packet, uint8_t *out)
{
	struct quic_packet header;
	size_t end, pn_off = header_read(data, len, packet->dcid_len, &header, &end);
	size_t head_len, sealed_len;
	uint8_t nonce[12];
	int part;

	if (!keys->open || !pn_off || end < pn_off + SAMPLE_OFF + 16)
		return false;
	memcpy(out, data, end);
	mask_apply(keys, out, pn_off, true);
	head_len = pn_off + (out[0] & 3) + 1;
	packet->number = 0;
	for (size_t i = pn_off; i < head_len; i++)
		packet->number = packet->number << 8 | out[i];
	sealed_len = end - head_len - QUIC_SEAL_TAG_LEN;
	nonce_write(keys, packet->number, nonce);
	if (!EVP_DecryptInit_ex(keys->open, NULL, NULL, NULL, nonce) ||
	    !EVP_DecryptUpdate(keys->open, NULL, &part, out, (int)head_len) ||
	    !EVP_DecryptUpdate(keys->open, out + head_len, &part, out + head_len,
			       (int)sealed_len) ||
	    !EVP_CIPHER_CTX_ctrl(keys->open, EVP_CTRL_GCM_SET_TAG, QUIC_SEAL_TAG_LEN,
				 out + head_len + sealed_len) ||
	    EVP_DecryptFinal_ex(keys->open, out + head_len + part, &part) != 1)
		return false;
	packet->payload = out + head_len;
	packet->payload_len = sealed_len;
	return true;
}
