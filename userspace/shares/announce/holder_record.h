/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SHARES_ANNOUNCE_HOLDER_RECORD_H
#define WEFT_SHARES_ANNOUNCE_HOLDER_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "codec/peer_addr.h"
#include "mesh/seam.h"

struct node_key;

/*
 * A holder record: one node says that it has one manifest or content. A signed object
 * (crypto/signed.h) with the tag "provider", a constant of the wire, and the body
 *	0 id 32 | 1 key 32 | 2 addresses [PeerAddr] | 3 time s
 * Unknown fields are stepped over. It is a hint: its reader asks the node itself. Pure.
 */
#define HOLDER_RECORD_ID_LEN  32u
#define HOLDER_RECORD_LIFE_S  86400u
#define HOLDER_RECORD_SKEW_S  300u /* by which clocks may differ */
#define HOLDER_RECORD_LEN_MAX 2048u

struct holder {
	uint8_t id[HOLDER_RECORD_ID_LEN];
	uint8_t key[MESH_KEY_LEN];
	struct peer_places places;
	uint64_t time_s;
};

/* shares_holder_record_write signs holder, whose key is set to key's; w is bad when there is no room. */
void shares_holder_record_write(struct writer *w, const struct node_key *key,
				struct holder *holder);

/*
 * shares_holder_record_parse checks form and that the signer is the node it speaks of: 0, WEFT_EMALFORMED
 * or WEFT_ETOOLARGE. shares_holder_record_verify_signature then: 0 or WEFT_EDAMAGED.
 */
WEFT_MUST_CHECK
int shares_holder_record_parse(const void *bytes, size_t len, struct holder *out_holder);
WEFT_MUST_CHECK
int shares_holder_record_verify_signature(const void *bytes, size_t len);
/*
 * shares_holder_record_check_time is for records and sets alike. Returns 0, WEFT_ESTALE when a
 * record written at time_s has outlived its life, or WEFT_EREFUSED when time_s is in the future.
 */
WEFT_MUST_CHECK
int shares_holder_record_check_time(uint64_t time_s, uint64_t wall_s);

#endif
