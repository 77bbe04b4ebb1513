/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_OFFERS_MESSAGE_SERVICE_MESSAGE_H
#define WEFT_OFFERS_MESSAGE_SERVICE_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "crypto/node_key.h"
#include "weft/err.h"

/*
 * A service message: a header of 100 bytes and a payload (docs/wire/offers.md).
 * Numbers are little-endian:
 *
 *	0 service 4 | 4 type 1 | 5 version 1 | 6 length of the payload 2
 *	8 provider's address 16 | 24 signature 64 | 88 hop count 1 | 89 hop max 1
 *	90 ttl, hours 2 | 92 timestamp, seconds since 1970 8 | 100 payload
 *
 * Bit 7 of version says which of two texts the signature covers. Neither has
 * the hop count, as each relay raises it:
 *
 *	full cover   the statement (crypto/statement.h) of tag "svcmsg" over all else
 *	seed form    service, type, version and payload
 *
 * Pure, and thread-safe.
 */
#define SERVICE_MESSAGE_HEAD_LEN    100u
#define SERVICE_MESSAGE_PAYLOAD_MAX 65535u /* what its length can say */
#define SERVICE_MESSAGE_LEN_MAX	    (SERVICE_MESSAGE_HEAD_LEN + SERVICE_MESSAGE_PAYLOAD_MAX)
#define SERVICE_MESSAGE_ADDRESS_AT  8u
#define SERVICE_MESSAGE_HOP_AT	    88u /* the byte that a relay raises */
#define SERVICE_MESSAGE_ADDRESS_LEN 16u
#define SERVICE_MESSAGE_ID_LEN	    32u
#define SERVICE_MESSAGE_TAG	    "svcmsg"

/* Whatever its TTL is, a message is kept no longer than a year. */
#define SERVICE_MESSAGE_LIFE_H_MAX 8760u
/* A sender's clock may be ahead by that. */
#define SERVICE_MESSAGE_SKEW_S 300u

/* Ids with a meaning of their own. The others are those of schemas. */
#define OFFERS_CUSTOM_SERVICE	0x0000ffffu /* its schema is named in the payload */
#define OFFERS_ANY_SERVICE	0xfffffffeu /* of queries for several services */
#define OFFERS_RESERVED_SERVICE 0x4853454du /* "MESH", with which statements begin; no service */

enum service_message_type {
	SERVICE_MESSAGE_ANNOUNCE = 1,
	SERVICE_MESSAGE_QUERY = 2,
	SERVICE_MESSAGE_RESPONSE = 3,
	SERVICE_MESSAGE_RESERVE = 4,
	SERVICE_MESSAGE_CONFIRM = 5,
	SERVICE_MESSAGE_CANCEL = 6,
	SERVICE_MESSAGE_UPDATE = 7,
	SERVICE_MESSAGE_REVOKE = 8,
};

/* Pointers borrow the bytes that were parsed. To be written, NULL stands for zeros. */
struct service_message {
	uint32_t service;
	uint8_t type;	 /* enum service_message_type, or one that is not known here */
	uint8_t version; /* of the schema: seven bits */
	bool is_full_cover;
	const uint8_t *provider;  /* SERVICE_MESSAGE_ADDRESS_LEN */
	const uint8_t *signature; /* NODE_KEY_SIG_LEN */
	uint8_t hop_cnt, hop_max;
	uint16_t ttl_hours;
	uint64_t timestamp_s;
	const uint8_t *payload;
	size_t payload_len;
};

/* What proves that a message is its sender's. */
enum service_message_proof {
	SERVICE_MESSAGE_PROOF_NONE,	 /* a Query or a Response: it names no provider */
	SERVICE_MESSAGE_PROOF_SEAL,	 /* a Reserve, or a consumer's Cancel: its sealed part */
	SERVICE_MESSAGE_PROOF_SIGNATURE, /* the provider's: all else */
	SERVICE_MESSAGE_PROOF_UNKNOWN,	 /* of a type that is not known here */
};

/* How far a message goes that came with its hop count. */
enum service_message_hop {
	SERVICE_MESSAGE_DROP,	 /* it should not have come this far */
	SERVICE_MESSAGE_KEEP,	 /* it ends here */
	SERVICE_MESSAGE_FORWARD, /* with a hop count raised by one */
};

enum service_message_time {
	SERVICE_MESSAGE_TIMELY,
	SERVICE_MESSAGE_EARLY,	 /* of the future, by more than SERVICE_MESSAGE_SKEW_S */
	SERVICE_MESSAGE_EXPIRED, /* its TTL, or a year, is over */
};

/*
 * offers_message_parse reads bytes that are one message and nothing else.
 * The payload is not looked into. Types and versions that are not known are
 * read as well: relays store and forward them.
 *
 * Returns 0, or WEFT_EMALFORMED: no such length, a reserved service, or
 * fields that the type may not have. A Query and a Response have neither
 * address nor signature. A Reserve has an address alone, and so has a
 * consumer's Cancel. The other known types have both.
 */
WEFT_MUST_CHECK
int offers_message_parse(const void *bytes, size_t len, struct service_message *out_msg);

/* offers_message_write: as it is. A payload that is too long makes w bad. */
void offers_message_write(struct writer *w, const struct service_message *msg);
/*
 * offers_message_sign writes msg with key's address and signature, in the
 * form that is_full_cover says. What msg has of both is not read. A payload
 * that is too long makes w bad, and so does a service in [0x10000,
 * 0x80000000). None of those is assigned, and the seed form of one could be
 * another text that key signs.
 */
void offers_message_sign(struct writer *w, const struct service_message *msg,
			 const struct node_key *key);
/*
 * offers_message_verify: provider_key made the signature, and the address is
 * its. A signature costs some 50 us; of the seed form, it says nothing of
 * address, TTL, timestamp and hop max. Returns 0, or:
 *   WEFT_EWRONGKEY  the address is another key's
 *   WEFT_EDAMAGED   the signature is not this key's, or covers something else
 */
WEFT_MUST_CHECK
int offers_message_verify(const struct service_message *msg,
			  const uint8_t provider_key[static NODE_KEY_LEN]);

enum service_message_proof offers_message_proof(const struct service_message *msg);
/* offers_message_id: one id for all copies, as it covers all bytes but the hop count. */
void offers_message_id(const struct service_message *msg,
		       uint8_t out_id[static SERVICE_MESSAGE_ID_LEN]);
/* offers_message_hop: policy_max is how many hops this node lets any message make. */
enum service_message_hop offers_message_hop(const struct service_message *msg, unsigned policy_max);
/* offers_message_expires_s: kept until then, and no longer; UINT64_MAX if that is beyond it. */
uint64_t offers_message_expires_s(const struct service_message *msg);
enum service_message_time offers_message_time(const struct service_message *msg, uint64_t now_s);

/* offers_address: the address of a provider's key, the first bytes of its SHA-256. */
void offers_address(const uint8_t provider_key[static NODE_KEY_LEN],
		    uint8_t out_address[static SERVICE_MESSAGE_ADDRESS_LEN]);

#endif
