/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_QUIC_SEAL_H
#define WEFT_TESTS_QUIC_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * QUIC v1 packet protection (RFC 9001 5) with AES-128-GCM and SHA-256, apart
 * from ngtcp2. A test that holds the keys seals any packet and reads what an
 * engine answers. Nothing here checks what is inside.
 */
#define QUIC_SEAL_TAG_LEN 16
#define QUIC_SEAL_PN_LEN  4
#define QUIC_SEAL_CID_MAX 20

/* Types of long headers (RFC 9000 17.2); SHORT stands for 1-RTT. */
enum quic_seal_type {
	QUIC_SEAL_INITIAL,
	QUIC_SEAL_0RTT,
	QUIC_SEAL_HANDSHAKE,
	QUIC_SEAL_RETRY,
	QUIC_SEAL_SHORT,
};

/* One direction at one level. */
struct quic_keys {
	uint8_t secret[32];
	uint8_t iv[12];
	void *seal; /* EVP_CIPHER_CTX, as the next two; NULL: no keys yet */
	void *open;
	void *mask;
};

struct quic_packet {
	enum quic_seal_type type;
	uint32_t version; /* 0: version 1 */
	const uint8_t *dcid, *scid;
	size_t dcid_len, scid_len;
	const uint8_t *token; /* of an Initial */
	size_t token_len;
	uint8_t first_bits; /* xored into the protected bits of the first byte */
	uint64_t number;
	const uint8_t *payload;
	size_t payload_len;
};

/* quic_hkdf_label is HKDF-Expand-Label (RFC 8446 7.1) for up to 32 bytes. */
void quic_hkdf_label(const uint8_t secret[static 32], const char *label, const void *context,
		     size_t context_len, uint8_t *out, size_t out_len);
void quic_hmac(const uint8_t *key, size_t key_len, const void *data, size_t len,
	       uint8_t out[static 32]);

/* quic_keys_initial derives both directions' keys of the Initials to dcid. */
void quic_keys_initial(struct quic_keys *client, struct quic_keys *server, const uint8_t *dcid,
		       size_t dcid_len);
void quic_keys_init(struct quic_keys *keys, const uint8_t secret[static 32]);
/* quic_keys_update goes on to the next generation of 1-RTT keys (RFC 9001 6.1). */
void quic_keys_update(struct quic_keys *keys);
void quic_keys_fini(struct quic_keys *keys);

/* quic_seal writes packet to dst, which has room for it, and returns its length. */
size_t quic_seal(const struct quic_keys *keys, const struct quic_packet *packet, uint8_t *dst);

/*
 * quic_next reads the header of the packet at data up to its protected part,
 * and its length. For a short header to an id of short_dcid_len, the length
 * is what is left. False: no QUIC v1 packet. quic_open takes its protection
 * off: payload points into out, which has room for len. False: other keys.
 */
bool quic_next(const uint8_t *data, size_t len, size_t short_dcid_len,
	       struct quic_packet *out_packet, size_t *out_len);
bool quic_open(const struct quic_keys *keys, const uint8_t *data, size_t len,
	       struct quic_packet *packet, uint8_t *out);

/* quic_varint_write returns how many bytes it took; quic_varint_read 0 where data ends. */
size_t quic_varint_write(uint8_t *dst, uint64_t value);
size_t quic_varint_read(const uint8_t *data, size_t len, uint64_t *out_value);

#endif
