/* SPDX-License-Identifier: Apache-2.0 */
/*
 * STUN binding messages, RFC 8489. Left out: authentication (9), ALTERNATE-SERVER
 * (10), and the classic form without a cookie (RFC 3489), which the classifier
 * takes for no protocol. Any thread.
 */
#include "codec/stun.h"

#include <string.h>

#include "base/byte_cursor.h"
#include "weft/stun_answer.h"

/* RFC 8489 18.3 */
enum stun_attribute {
	STUN_MAPPED_ADDRESS = 0x0001,
	STUN_USERNAME = 0x0006,
	STUN_MESSAGE_INTEGRITY = 0x0008,
	STUN_ERROR_CODE = 0x0009,
	STUN_UNKNOWN_ATTRIBUTES = 0x000a,
	STUN_REALM = 0x0014,
	STUN_NONCE = 0x0015,
	STUN_MESSAGE_INTEGRITY_SHA256 = 0x001c,
	STUN_PASSWORD_ALGORITHM = 0x001d,
	STUN_USERHASH = 0x001e,
	STUN_XOR_MAPPED_ADDRESS = WEFT_STUN_XOR_MAPPED,
	STUN_OPTIONAL = 0x8000, /* from here on an agent may leave out what it does not know */
	STUN_FINGERPRINT = 0x8028,
};

#define FINGERPRINT_LEN	 8
#define FINGERPRINT_XOR	 0x5354554eu
#define CRC32_POLYNOMIAL 0xedb88320u

/* ITU V.42, bit by bit: a message with a FINGERPRINT is rare, and short. */
static uint32_t crc32_of(const uint8_t *data, size_t len)
{
	uint32_t crc = ~0u;

	for (size_t i = 0; i < len; i++) {
		crc ^= data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? CRC32_POLYNOMIAL : 0);
	}
	return ~crc;
}

static uint32_t fingerprint_of(const uint8_t *data, size_t len)
{
	return crc32_of(data, len) ^ FINGERPRINT_XOR;
}

/* mask: what the port and the address are XORed with; zeros for MAPPED-ADDRESS. */
static bool address_read(struct cursor value, const uint8_t mask[static 16], struct addr *out_addr)
{
	struct addr addr = {0};
	unsigned family;
	size_t ip_len;

	(void)cursor_u8(&value); /* RFC 8489 14.1: to be ignored */
	family = cursor_u8(&value);
	if (family != WEFT_STUN_FAMILY_IPV4 && family != WEFT_STUN_FAMILY_IPV6)
		return false;
	addr.family = family == WEFT_STUN_FAMILY_IPV4 ? ADDR_IPV4 : ADDR_IPV6;
	ip_len = addr.family == ADDR_IPV4 ? 4 : 16;
	addr.port = (uint16_t)(cursor_be16(&value) ^ (mask[0] << 8 | mask[1]));
	cursor_copy(&value, addr.ip, ip_len);
	if (value.bad || cursor_left(&value))
		return false;
	for (size_t i = 0; i < ip_len; i++)
		addr.ip[i] ^= mask[i];
	*out_addr = addr;
	return true;
}

/* RFC 8489 14.8: 21 bits of nothing, hundreds, the rest, and words for people. */
static bool error_read(struct cursor value, unsigned *out_error)
{
	unsigned hundreds, rest;

	(void)cursor_be16(&value);
	hundreds = cursor_u8(&value) & 7;
	rest = cursor_u8(&value);
	if (value.bad || hundreds < 3 || hundreds > 6 || rest > 99)
		return false;
	*out_error = 100 * hundreds + rest;
	return true;
}

static bool is_stepped_over(unsigned type)
{
	switch (type) {
	case STUN_USERNAME:
	case STUN_MESSAGE_INTEGRITY:
	case STUN_UNKNOWN_ATTRIBUTES:
	case STUN_REALM:
	case STUN_NONCE:
	case STUN_MESSAGE_INTEGRITY_SHA256:
	case STUN_PASSWORD_ALGORITHM:
	case STUN_USERHASH:
		return true;
	default:
		return type >= STUN_OPTIONAL;
	}
}

static bool attribute_read(struct stun_message *message, const uint8_t mask[static 16],
			   unsigned type, struct cursor value)
{
	static const uint8_t no_mask[16];
	struct addr addr;

	switch (type) {
	case STUN_XOR_MAPPED_ADDRESS:
		if (!address_read(value, mask, &addr))
			return false;
		/* The first of several counts (RFC 8489 14). */
		if (!message->is_xored)
			message->mapped = addr;
		message->is_xored = true;
		return true;
	case STUN_MAPPED_ADDRESS:
		if (!address_read(value, no_mask, &addr))
			return false;
		if (message->mapped.family == ADDR_NONE)
			message->mapped = addr;
		return true;
	case STUN_ERROR_CODE:
		return error_read(value, &message->error);
	default:
		if (!is_stepped_over(type) && message->unknown_cnt < STUN_UNKNOWN_MAX)
			message->unknown[message->unknown_cnt++] = (uint16_t)type;
		return true;
	}
}

static bool header_read(struct cursor *c, size_t len, struct stun_message *message,
			uint8_t mask[static 16])
{
	unsigned type = cursor_be16(c), body_len = cursor_be16(c);

	cursor_copy(c, mask, 16);
	memcpy(message->transaction, mask + 4, STUN_TRANSACTION_LEN);
	message->type = type;
	return !c->bad && len <= STUN_LEN_MAX && body_len == len - STUN_HEADER_LEN &&
	       body_len % 4 == 0 && weft_load_be32(mask) == WEFT_STUN_COOKIE &&
	       (type == STUN_REQUEST || type == STUN_INDICATION || type == STUN_SUCCESS ||
		type == STUN_ERROR);
}

int stun_read(const void *data, size_t len, struct stun_message *out_message)
{
	struct stun_message message = {0};
	struct cursor c = cursor_of(data, len);
	uint8_t mask[16];

	if (!header_read(&c, len, &message, mask))
		return WEFT_EMALFORMED;
	while (cursor_left(&c)) {
		size_t before_len = len - cursor_left(&c);
		unsigned type = cursor_be16(&c), value_len = cursor_be16(&c);
		struct cursor value = cursor_sub(&c, value_len);

		(void)cursor_bytes(&c, -value_len & 3); /* padding, of any value */
		if (c.bad)
			return WEFT_EMALFORMED;
		if (type == STUN_FINGERPRINT) {
			if (value_len != 4 || cursor_left(&c) ||
			    cursor_be32(&value) != fingerprint_of(data, before_len))
				return WEFT_EMALFORMED;
			message.has_fingerprint = true;
		} else if (!attribute_read(&message, mask, type, value)) {
			return WEFT_EMALFORMED;
		}
	}
	*out_message = message;
	return 0;
}

static void header_write(struct writer *w, enum stun_type type,
			 const uint8_t transaction[static STUN_TRANSACTION_LEN])
{
	writer_be16(w, (uint16_t)type);
	writer_be16(w, 0);
	writer_be32(w, WEFT_STUN_COOKIE);
	writer_bytes(w, transaction, STUN_TRANSACTION_LEN);
}

static void length_set(struct writer *w, size_t len)
{
	w->start[2] = (uint8_t)((len - STUN_HEADER_LEN) >> 8);
	w->start[3] = (uint8_t)(len - STUN_HEADER_LEN);
}

/* The checksum covers a header whose length counts the FINGERPRINT (RFC 8489 14.7). */
static size_t message_finish(struct writer *w, bool has_fingerprint)
{
	size_t len = writer_len(w);

	length_set(w, len);
	if (!has_fingerprint)
		return len;
	length_set(w, len + FINGERPRINT_LEN);
	writer_be16(w, STUN_FINGERPRINT);
	writer_be16(w, 4);
	writer_be32(w, fingerprint_of(w->start, len));
	return writer_len(w);
}

size_t stun_write_request(const uint8_t transaction[static STUN_TRANSACTION_LEN],
			  uint8_t out[static STUN_WRITE_CAP])
{
	struct writer w = writer_of(out, STUN_WRITE_CAP);

	header_write(&w, STUN_REQUEST, transaction);
	return message_finish(&w, false);
}

size_t stun_write_success(const struct stun_message *request, const struct addr *asker,
			  uint8_t out[static STUN_WRITE_CAP])
{
	struct weft_endpoint source = addr_endpoint(asker);
	struct writer w = writer_of(out, STUN_WRITE_CAP);
	uint8_t head[STUN_HEADER_LEN];
	struct writer h = writer_of(head, sizeof(head));

	header_write(&h, STUN_REQUEST, request->transaction);
	weft_stun_answer_write(head, &source, out);
	(void)writer_reserve(&w, weft_stun_answer_len(asker->family == ADDR_IPV4));
	return message_finish(&w, request->has_fingerprint);
}

size_t stun_write_error(const struct stun_message *request, uint8_t out[static STUN_WRITE_CAP])
{
	struct writer w = writer_of(out, STUN_WRITE_CAP);

	header_write(&w, STUN_ERROR, request->transaction);
	writer_be16(&w, STUN_ERROR_CODE);
	writer_be16(&w, 4);
	writer_be32(&w,
		    STUN_ERROR_UNKNOWN_ATTRIBUTE / 100 << 8 | STUN_ERROR_UNKNOWN_ATTRIBUTE % 100);
	writer_be16(&w, STUN_UNKNOWN_ATTRIBUTES);
	writer_be16(&w, (uint16_t)(2 * request->unknown_cnt));
	for (unsigned i = 0; i < request->unknown_cnt; i++)
		writer_be16(&w, request->unknown[i]);
	if (request->unknown_cnt % 2)
		writer_be16(&w, 0);
	return message_finish(&w, request->has_fingerprint);
}
