/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_RELAY_GRANTS_GRANT_RECORD_H
#define WEFT_RELAY_GRANTS_GRANT_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "weft/err.h"

struct node_key;

/*
 * Grants as they are signed and shown (docs/wire/relay.md). A relay's operator
 * signs a grant offline; its holder shows it to a relay with each flow. The
 * holder may sign a key set around it, so that other keys show it, too. What
 * is shown is a grant, or a key set that has one inside. Both are signed
 * objects (crypto/signed.h). Pure.
 *
 * A grant has the tag "relaygrant" and this body; another field makes it
 * malformed, as it may say less than this reader would allow:
 *
 *	0 serial, from 1 | 1 holder 32 | 2 rate, bytes a second? | 3 burst, bytes? | 4 bytes a month?
 *	5 flows | 6 content? | 7 not before, seconds since 1970 | 8 expires | 9 relays [32]?
 *
 * Without a rate or a month's volume there is no such limit; without relays it
 * is for every relay of the operator. Rate, burst and flows are of all keys
 * that show it, at each relay, and so is the month's volume.
 *
 * A key set has the tag "relayset": 0 grant | 1 keys [32] | 2 expires.
 */
#define RELAY_GRANT_TAG		   "relaygrant"
#define RELAY_SET_TAG		   "relayset"
#define RELAY_GRANT_SCHEME	   "mesh-relay-grant:"
#define RELAY_GRANT_RECORD_LEN_MAX 512u
#define RELAY_SHOWN_LEN_MAX	   1024u /* of what is shown: all of FLOW_OPEN's field */
#define RELAY_GRANT_TEXT_CAP	   (sizeof(RELAY_GRANT_SCHEME) + (RELAY_SHOWN_LEN_MAX * 8 + 4) / 5)
#define RELAY_GRANT_RELAYS_MAX	   8u
#define RELAY_SET_KEYS_MAX	   8u
#define RELAY_GRANT_LIFE_S_MAX	   (400u * 86400u)
#define RELAY_GRANT_PER_S_MIN	   1000u
#define RELAY_GRANT_BURST_MIN	   4096u	/* some packets */
#define RELAY_GRANT_BYTES_MAX	   (1ull << 60) /* of rates, bursts and months */
#define RELAY_GRANT_FLOWS_MAX	   4096u

struct relay_grant_record {
	uint8_t issuer[32]; /* the operator; the signer */
	uint8_t holder[32];
	uint64_t serial;
	uint64_t per_s, burst_len; /* both or none */
	uint64_t month_len;
	uint32_t flow_max;
	bool is_content;
	uint64_t not_before_s, expires_s; /* [not_before_s, expires_s) */
	uint8_t relays[RELAY_GRANT_RELAYS_MAX][32];
	uint32_t relay_cnt;
};

/* What a holder shows. Its pointers borrow the bytes that were parsed. */
struct relay_shown {
	struct relay_grant_record grant;
	const uint8_t *grant_bytes;
	size_t grant_len;
	bool has_set; /* of the grant's holder; then: */
	uint8_t keys[RELAY_SET_KEYS_MAX][32];
	uint32_t key_cnt;
	uint64_t set_expires_s;
	const uint8_t *bytes;
	size_t len;
};

/* relay_grant_record_write signs grant with key, the operator's. */
void relay_grant_record_write(struct writer *w, const struct node_key *key,
			      struct relay_grant_record *grant);
/* relay_set_write: keys, key_cnt and set_expires_s of shown, around its grant, by the holder's key. */
void relay_set_write(struct writer *w, const struct node_key *key, const struct relay_shown *shown);
/*
 * relay_shown_parse checks form and numbers: 0, WEFT_EMALFORMED, or
 * WEFT_ETOOLARGE (what is shown, or the grant in it).
 * relay_shown_verify checks the signatures: 0 or WEFT_EDAMAGED. It costs 50 us,
 * and twice that for a key set: refuse by relay_shown_judge before.
 */
WEFT_MUST_CHECK
int relay_shown_parse(const void *bytes, size_t len, struct relay_shown *out_shown);
WEFT_MUST_CHECK
int relay_shown_verify(const struct relay_shown *shown);

/* Why a relay does not honour what is shown. */
enum relay_grant_fault {
	RELAY_GRANT_FINE,
	RELAY_GRANT_MALFORMED,
	RELAY_GRANT_FORGED,
	RELAY_GRANT_NO_OPERATOR, /* this relay honours no grants */
	RELAY_GRANT_OPERATOR,
	RELAY_GRANT_RELAY,
	RELAY_GRANT_HOLDER,
	RELAY_GRANT_EARLY,
	RELAY_GRANT_EXPIRED,
	RELAY_GRANT_REVOKED,
	RELAY_GRANT_CONTENT,
	RELAY_GRANT_FLOWS,
	RELAY_GRANT_FULL,
	RELAY_GRANT_STORE,
	RELAY_GRANT_FAULT_CNT,
};
/* relay_grant_fault_text: why, as the end of a sentence, for people. */
const char *relay_grant_fault_text(enum relay_grant_fault fault);

/* Where and by which key a grant is shown. */
struct relay_grant_place {
	const uint8_t *issuer;	     /* the operator that the relay honours */
	const uint8_t *relay, *user; /* NULL: any; the key of the relay and of its session's end */
	uint64_t wall_s;
};
/* relay_shown_judge: by all terms but signatures, revocations and what is in use. */
enum relay_grant_fault relay_shown_judge(const struct relay_shown *shown,
					 const struct relay_grant_place *place);
/* relay_grant_times_judge: EARLY, EXPIRED or FINE. */
enum relay_grant_fault relay_grant_times_judge(const struct relay_grant_record *grant,
					       uint64_t wall_s);
/*
 * relay_grant_id names the grant in ledgers, by operator and serial: a grant
 * signed again under its serial has the volume that the former one left.
 */
void relay_grant_id(const struct relay_grant_record *grant, uint8_t id[static 32]);

/* relay_grant_text_write: at most RELAY_SHOWN_LEN_MAX bytes; returns text. */
char *relay_grant_text_write(const uint8_t *bytes, size_t len,
			     char text[static RELAY_GRANT_TEXT_CAP]);
/* relay_grant_text_read: white space around is left out. 0, WEFT_EMALFORMED or WEFT_ETOOLARGE. */
WEFT_MUST_CHECK
int relay_grant_text_read(const char *text, uint8_t bytes[static RELAY_SHOWN_LEN_MAX],
			  size_t *out_len);

#endif
