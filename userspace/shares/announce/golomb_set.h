/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SHARES_ANNOUNCE_GOLOMB_SET_H
#define WEFT_SHARES_ANNOUNCE_GOLOMB_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "codec/peer_addr.h"
#include "mesh/seam.h"

struct node_key;

/*
 * A holder set: one node says which of a region's contents it has, in place of a
 * holder record of each. A region is all content ids that begin with the same depth bits. A
 * signed object (crypto/signed.h) with the tag "provset" and the body
 *	0 key 32 | 1 addresses [PeerAddr] | 2 time s | 3 depth | 4 region | 5 count |
 *	6 rice parameter | 7 code
 * A content stands for the number SipHash-2-4(id, first 16 bytes of the key) * count *
 * 2^parameter / 2^64; code has these numbers, ascending (rice.h). So a content that is not
 * there looks as if it were once in 2^parameter times, and of another holder not the same ones.
 * It is a hint: its reader asks the node itself. Unknown fields are stepped over. Pure.
 */
#define GOLOMB_SET_PARAMETER	 6u /* 7.6 bits a content; a hit is false once in 64 */
#define GOLOMB_SET_PARAMETER_MAX 20u
#define GOLOMB_SET_LEN_MAX	 61440u	 /* a value of the overlay has 65,536 */
#define GOLOMB_SET_ITEMS_MAX	 0xffffu /* no more fit */

/* How finely content ids are divided: the first for most, the second for nodes with very many. */
#define GOLOMB_SET_DEPTH_COARSE 8u
#define GOLOMB_SET_DEPTH_FINE	12u

struct golomb_set {
	uint8_t key[MESH_KEY_LEN];
	struct peer_places places;
	uint64_t time_s;
	unsigned depth;
	uint32_t region;
	uint32_t item_cnt;
	unsigned parameter;
	const uint8_t *code; /* borrows the bytes that were parsed */
	size_t code_len;
};

/* shares_golomb_set_region_of: the first depth bits of a content id; depth in [1, 32]. */
uint32_t shares_golomb_set_region_of(const uint8_t id[static 32], unsigned depth);

/* The contents of one holder, at most GOLOMB_SET_ITEMS_MAX. */
struct golomb_contents {
	const uint8_t *key; /* MESH_KEY_LEN, the holder's */
	const uint8_t (*ids)[32];
	uint32_t cnt;
	uint64_t *numbers; /* room for cnt */
};
/* shares_golomb_set_encode returns the length of code, or 0 when it does not fit cap. */
size_t shares_golomb_set_encode(const struct golomb_contents *contents, uint8_t *code, size_t cap);
/* shares_golomb_set_write signs set, whose key is set to key's; w is bad when it is longer than GOLOMB_SET_LEN_MAX. */
void shares_golomb_set_write(struct writer *w, const struct node_key *key, struct golomb_set *set);

/*
 * shares_golomb_set_parse checks form, limits, that the signer is the holder, and that the code
 * has as many numbers as it says: 0, WEFT_EMALFORMED, WEFT_ETOOLARGE.
 * shares_golomb_set_verify_signature then: 0 or WEFT_EDAMAGED.
 */
WEFT_MUST_CHECK
int shares_golomb_set_parse(const void *bytes, size_t len, struct golomb_set *out_set);
WEFT_MUST_CHECK
int shares_golomb_set_verify_signature(const void *bytes, size_t len);
/* shares_golomb_set_may_have: false is certain as far as the holder is honest. */
bool shares_golomb_set_may_have(const struct golomb_set *set, const uint8_t id[static 32]);

#endif
