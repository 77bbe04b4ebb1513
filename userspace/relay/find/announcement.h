/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_RELAY_FIND_ANNOUNCEMENT_H
#define WEFT_RELAY_FIND_ANNOUNCEMENT_H

#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "codec/peer_addr.h"
#include "weft/err.h"

struct node_key;

/*
 * The announcement of a relay: a node says that it forwards datagrams, and where it is dialled. A
 * signed object (crypto/signed.h) with the tag "relayann" and this body
 * (docs/wire/relay_announcement.md):
 *
 *	0 key 32 | 1 addresses [PeerAddr], direct ones alone | 2 urls [text] | 3 caps u32
 *	4 capacity {0 flows, 1 rate class, 2 bytes of a flow?} | 5 issued s | 6 expires s
 *
 * The relay signs it itself. Unknown fields are skipped. It is a hint: its reader dials the relay,
 * which then proves its key. Pure.
 */
#define RELAY_ANNOUNCEMENT_LEN_MAX 1024u
#define RELAY_ANNOUNCEMENT_LIFE_S  21600u
#define RELAY_ANNOUNCEMENT_SKEW_S  300u /* by which clocks may differ */
#define RELAY_ANNOUNCEMENT_URL_MAX 2u
#define RELAY_ANNOUNCEMENT_CAP	   0x1u /* the bit of caps that every announcement has */

/* What a flow without a grant gets, in classes of bits a second. */
enum relay_rate_class {
	RELAY_RATE_SLOW, /* less than 1,000 */
	RELAY_RATE_KBIT,
	RELAY_RATE_10_KBIT,
	RELAY_RATE_MBIT, /* 1,000,000 and more */
};
enum relay_rate_class relay_rate_class_of(uint64_t bytes_per_s);

struct relay_capacity {
	uint32_t flow_cap;
	enum relay_rate_class rate;
	uint64_t flow_len; /* bytes that one flow may carry; 0: no limit is named */
};

struct relay_announcement {
	uint8_t key[PEER_ADDR_KEY_LEN];
	struct addr addrs[PEER_ADDRS_MAX];
	unsigned addr_cnt; /* at least 1 */
	char urls[RELAY_ANNOUNCEMENT_URL_MAX][PEER_ADDR_URL_CAP];
	unsigned url_cnt;
	uint32_t caps;
	struct relay_capacity capacity;
	uint64_t issued_s, expires_s; /* wall clock */
};

/*
 * relay_announcement_write signs announcement, whose key is set to key's. w is bad when there is no
 * room.
 */
void relay_announcement_write(struct writer *w, const struct node_key *key,
			      struct relay_announcement *announcement);
/*
 * relay_announcement_parse checks the form, and that the relay itself signs: 0, WEFT_EMALFORMED or
 * WEFT_ETOOLARGE. relay_announcement_verify then checks the signature: 0 or WEFT_EDAMAGED.
 */
WEFT_MUST_CHECK
int relay_announcement_parse(const void *bytes, size_t len,
			     struct relay_announcement *out_announcement);
WEFT_MUST_CHECK
int relay_announcement_verify(const void *bytes, size_t len);
/* relay_announcement_check_time: 0, WEFT_ESTALE (expired), or WEFT_EREFUSED (of the future). */
WEFT_MUST_CHECK
int relay_announcement_check_time(const struct relay_announcement *announcement, uint64_t wall_s);

/*
 * Where announcements meet in the overlay. Each hour of the wall clock has RELAY_PLACES names. A
 * relay stores at two of them, which its key and the hour decide; they may be one. A reader asks
 * for all names of an hour.
 */
#define RELAY_PLACES	     16u
#define RELAY_PLACES_OF_KEY  2u
#define RELAY_PLACE_PREFIX   "scp2p:relay:rendezvous"
#define RELAY_PLACE_NAME_LEN 38u
#define RELAY_HOUR_S	     3600u

/* relay_place_of: which < RELAY_PLACES_OF_KEY. */
unsigned relay_place_of(const uint8_t key[static PEER_ADDR_KEY_LEN], uint64_t hour, unsigned which);
void relay_place_name(uint64_t hour, unsigned place, uint8_t out_name[static RELAY_PLACE_NAME_LEN]);

#endif
