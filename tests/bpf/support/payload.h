/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_BPF_PAYLOAD_H
#define WEFT_TESTS_BPF_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/cid.h"
#include "weft/krpc_reply.h"
#include "weft/token.h"

/*
 * QUIC headers as tests want them; zeros stand for the usual. The bytes
 * behind a header are zeros: no code on this path reads them.
 */
#define PAYLOAD_LEN_MAX 1500

enum payload_id {
	PAYLOAD_ID_NOISE, /* len bytes of another protocol */
	PAYLOAD_ID_OURS,  /* 16 bytes under the current key */
	PAYLOAD_ID_RETRY, /* the one that the token's Retry gave */
};

struct payload_token {
	uint8_t kind;		     /* 0: no token */
	struct weft_endpoint client; /* its owner */
	uint32_t issued_s;
	unsigned flip; /* bit of it to turn over, counted from 1 */
	unsigned cut;  /* bytes that are missing at its end */
};

struct payload_long {
	uint8_t first_byte; /* 0: an Initial */
	uint32_t version;   /* 0: 1; PAYLOAD_VERSION_NEGOTIATION: 0 */
	enum payload_id dcid;
	unsigned dcid_len; /* of noise; 0: 8, PAYLOAD_ID_EMPTY: 0 */
	unsigned scid_len;
	struct payload_token token;
	unsigned varint_len;  /* of the token's length: 1, 2, 4, 8; 0: 1 */
	uint64_t token_claim; /* instead of the right length; 0: right */
	size_t len;	      /* of the datagram; 0: 1200 */
};
#define PAYLOAD_VERSION_NEGOTIATION 0xffffffffu
#define PAYLOAD_ID_EMPTY	    1000

/* A question to the DHT in its usual form. */
struct payload_krpc {
	enum weft_krpc_kind kind;
	const uint8_t *target; /* WEFT_KRPC_ID_LEN bytes; not of a ping */
	const char *want;      /* "n4", "n6"; NULL: not said */
	bool is_read_only;
	bool has_version;
	unsigned transaction_len; /* 0: 2 */
};

/* An answer to a query of this node, with this transaction id of eight bytes. */
struct payload_krpc_reply {
	uint64_t transaction;
	bool is_error;
	bool has_version;
	unsigned version_len; /* 0: 4 */
};

struct payload_keys {
	struct weft_cid_keys cid;
	struct weft_token_keys token;
	uint8_t id_noise; /* added to ids of this node: another connection's */
};

/* payload_write_long returns the datagram's length; at has PAYLOAD_LEN_MAX bytes. */
size_t payload_write_long(const struct payload_keys *keys, const struct payload_long *spec,
			  uint8_t *at);
/* payload_write_short: with an id of this node, or of noise. */
size_t payload_write_short(const struct payload_keys *keys, enum payload_id id, size_t len,
			   uint8_t *at);
/* payload_write_krpc: all that is free in it is letters. */
size_t payload_write_krpc(const struct payload_krpc *spec, uint8_t *at);
size_t payload_write_krpc_reply(const struct payload_krpc_reply *spec, uint8_t *at);
/* payload_keys_init: keys of four days around wall clock now_s. */
void payload_keys_init(struct payload_keys *keys, uint32_t now_s);

#endif
