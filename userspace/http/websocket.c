/* SPDX-License-Identifier: Apache-2.0 */
/* WebSocket frames, without I/O. Any thread. */
#include "websocket.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#define BIT_FINAL     0x80
#define BITS_RESERVED 0x70
#define BIT_MASKED    0x80
#define LEN_16	      126
#define LEN_64	      127
/* RFC 6455, 1.3. */
#define ACCEPT_SALT "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

static bool opcode_is_known(unsigned opcode)
{
	return opcode <= WEBSOCKET_BINARY ||
	       (opcode >= WEBSOCKET_CLOSE && opcode <= WEBSOCKET_PONG);
}

static uint64_t load_be(const uint8_t *data, size_t len)
{
	uint64_t value = 0;

	for (size_t i = 0; i < len; i++)
		value = value << 8 | data[i];
	return value;
}

/* How many bytes of the head say the length, behind its second byte. */
static size_t length_len(unsigned code)
{
	return code == LEN_64 ? 8 : code == LEN_16 ? 2 : 0;
}

static bool head_is_good(const struct websocket_head *head, unsigned code)
{
	if (!opcode_is_known(head->opcode))
		return false;
	if (head->opcode >= WEBSOCKET_CLOSE &&
	    (!head->is_final || head->len > WEBSOCKET_CONTROL_LEN_MAX))
		return false;
	if (code == LEN_16)
		return head->len >= LEN_16;
	return code != LEN_64 || (head->len > UINT16_MAX && head->len <= INT64_MAX);
}

int http_websocket_head_parse(const uint8_t *data, size_t len, struct websocket_head *out_head)
{
	struct websocket_head head;
	size_t at = 2, more;
	unsigned code;

	if (len < 2)
		return 0;
	if (data[0] & BITS_RESERVED)
		return WEFT_EMALFORMED;
	code = data[1] & ~(unsigned)BIT_MASKED;
	head = (struct websocket_head){.opcode = data[0] & 15,
				       .is_final = data[0] & BIT_FINAL,
				       .is_masked = data[1] & BIT_MASKED,
				       .len = code};
	more = length_len(code);
	if (len < at + more + (head.is_masked ? sizeof(head.mask) : 0))
		return 0;
	if (more)
		head.len = load_be(data + at, more);
	at += more;
	if (!head_is_good(&head, code))
		return WEFT_EMALFORMED;
	if (head.is_masked) {
		memcpy(head.mask, data + at, sizeof(head.mask));
		at += sizeof(head.mask);
	}
	*out_head = head;
	return (int)at;
}

size_t http_websocket_head_write(const struct websocket_head *head,
				 uint8_t out[static WEBSOCKET_HEAD_LEN_MAX])
{
	unsigned code = head->len < LEN_16	  ? (unsigned)head->len
			: head->len <= UINT16_MAX ? LEN_16
						  : LEN_64;
	size_t more = length_len(code), at = 2;

	out[0] = (uint8_t)(head->opcode | (head->is_final ? BIT_FINAL : 0));
	out[1] = (uint8_t)(code | (head->is_masked ? BIT_MASKED : 0));
	for (size_t i = 0; i < more; i++)
		out[at++] = (uint8_t)(head->len >> (8 * (more - 1 - i)));
	if (head->is_masked) {
		memcpy(out + at, head->mask, sizeof(head->mask));
		at += sizeof(head->mask);
	}
	return at;
}

void http_websocket_mask(uint8_t *data, size_t len, const uint8_t mask[static 4], uint64_t off)
{
	uint8_t turned[8];
	uint64_t word, wide;

	for (size_t i = 0; i < sizeof(turned); i++)
		turned[i] = mask[(off + i) % 4];
	memcpy(&wide, turned, sizeof(wide));
	for (; len >= sizeof(word); len -= sizeof(word), data += sizeof(word)) {
		memcpy(&word, data, sizeof(word));
		word ^= wide;
		memcpy(data, &word, sizeof(word));
	}
	for (size_t i = 0; i < len; i++)
		data[i] ^= turned[i];
}

void http_websocket_key(const uint8_t nonce[static 16], char out[static WEBSOCKET_KEY_CAP])
{
	EVP_EncodeBlock((unsigned char *)out, nonce, 16);
}

void http_websocket_accept(const char *key, char out[static WEBSOCKET_ACCEPT_CAP])
{
	unsigned char hash[EVP_MAX_MD_SIZE];
	char salted[128];
	unsigned hash_len = 0;
	int len = snprintf(salted, sizeof(salted), "%.64s" ACCEPT_SALT, key);

	out[0] = '\0';
	if (EVP_Digest(salted, (size_t)len, hash, &hash_len, EVP_sha1(), NULL))
		EVP_EncodeBlock((unsigned char *)out, hash, (int)hash_len);
}
