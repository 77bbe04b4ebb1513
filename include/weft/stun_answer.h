/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEFT_STUN_ANSWER_H
#define WEFT_STUN_ANSWER_H

#include "weft/classify.h"
#include "weft/endpoint.h"

/*
 * The answer to a STUN binding request (RFC 8489 6.3.1), for the BPF program
 * and for userspace: a success response with XOR-MAPPED-ADDRESS and nothing
 * else. A request of 20 bytes brings 32 bytes over IPv4 and 44 over IPv6, so
 * an IP packet brings at most 1.4 times its length.
 *
 *   0  type 2, length of what follows the header 2, cookie 4, transaction id 12
 *   20 XOR-MAPPED-ADDRESS 2, length 2
 *   24 0, family 1, port 2 and address, both XORed with bytes 4 to 19
 */
#define WEFT_STUN_REQUEST	  0x0001u /* a binding request */
#define WEFT_STUN_SUCCESS	  0x0101u
#define WEFT_STUN_CLASS_MASK	  0x0110u /* of the type; 0: a request */
#define WEFT_STUN_XOR_MAPPED	  0x0020u
#define WEFT_STUN_FAMILY_IPV4	  1u
#define WEFT_STUN_FAMILY_IPV6	  2u
#define WEFT_STUN_ATTRIBUTE_LEN	  4 /* of an attribute's type and length */
#define WEFT_STUN_ANSWER_LEN_IPV4 32
#define WEFT_STUN_ANSWER_LEN_IPV6 44
/* Userspace's answer to a request with attributes is so much longer than that, at most. */
#define WEFT_STUN_ANSWER_LEN_GROWTH 24

/* weft_stun_is_request: of the header's first four bytes; an indication is none. */
WEFT_INLINE _Bool weft_stun_is_request(const __u8 *head)
{
	return !(weft_load_be16(head) & WEFT_STUN_CLASS_MASK);
}

/* weft_stun_is_plain: the header's first four bytes are those of a binding request without attributes. */
WEFT_INLINE _Bool weft_stun_is_plain(const __u8 *head)
{
	return weft_load_be32(head) == WEFT_STUN_REQUEST << 16;
}

WEFT_INLINE __u32 weft_stun_answer_len(_Bool is_ipv4)
{
	return is_ipv4 ? WEFT_STUN_ANSWER_LEN_IPV4 : WEFT_STUN_ANSWER_LEN_IPV6;
}

/*
 * weft_stun_answer_write: head has the WEFT_STUN_LEN_MIN bytes of a request
 * that came from source, out the room of WEFT_STUN_ANSWER_LEN_IPV6.
 */
WEFT_INLINE void weft_stun_answer_write(const __u8 *head, const struct weft_endpoint *source,
					__u8 *out)
{
	_Bool is_ipv4 = weft_endpoint_is_ipv4(source);
	__u32 body_len = weft_stun_answer_len(is_ipv4) - WEFT_STUN_LEN_MIN;
	__u32 port = __builtin_bswap16(source->port_be);

	weft_store_be32(out, WEFT_STUN_SUCCESS << 16 | body_len);
	weft_store_le64(out + 4, weft_load_le64(head + 4));
	weft_store_le64(out + 12, weft_load_le64(head + 12));
	weft_store_be32(out + 20,
			WEFT_STUN_XOR_MAPPED << 16 | (body_len - WEFT_STUN_ATTRIBUTE_LEN));
	weft_store_be32(out + 24, (is_ipv4 ? WEFT_STUN_FAMILY_IPV4 : WEFT_STUN_FAMILY_IPV6) << 16 |
					  (port ^ WEFT_STUN_COOKIE >> 16));
	if (is_ipv4) {
		weft_store_le32(out + 28,
				(__u32)(source->words[1] >> 32) ^ weft_load_le32(head + 4));
		return;
	}
	weft_store_le64(out + 28, source->words[0] ^ weft_load_le64(head + 4));
	weft_store_le64(out + 36, source->words[1] ^ weft_load_le64(head + 12));
}

#endif
