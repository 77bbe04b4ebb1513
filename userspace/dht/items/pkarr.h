/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DHT_ITEMS_PKARR_H
#define WEFT_DHT_ITEMS_PKARR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "codec/peer_addr.h"
#include "crypto/node_key.h"
#include "item.h"
#include "weft/err.h"

/*
 * pkarr: the statements of a key's owner about itself, as a DNS reply signed like a BEP-44 item
 * without salt (docs/wire/pkarr.md). A *record* is the part of it that this node understands:
 * where a node is. A *packet* is the signed whole, of which a relay looks at nothing but the
 * signature.
 *
 * No I/O, no state, no clock; thread-safe.
 */
#define PKARR_DNS_LEN_MAX 1000 /* accepted */
/* Published: Mainline counts the bencoded value, "996:" and 996 bytes. */
#define PKARR_DNS_LEN_PUBLISHED_MAX 996
#define PKARR_BODY_HEAD_LEN	    (NODE_KEY_SIG_LEN + 8)
#define PKARR_BODY_LEN_MAX	    (PKARR_BODY_HEAD_LEN + PKARR_DNS_LEN_MAX)
/*
 * How long others may keep a published packet. Short, for addresses change; relays and resolvers
 * have a lower limit of their own, usually 300 s.
 */
#define PKARR_TTL_S 30

/*
 * All of these at their longest are a packet of less than PKARR_DNS_LEN_PUBLISHED_MAX. A relay of
 * vias takes the room of two addresses.
 */
#define PKARR_ADDRS_MAX	    8
#define PKARR_ADDRS_PER_VIA 2
#define PKARR_RELAYS_MAX    2
#define PKARR_URL_CAP	    129

struct pkarr_record {
	struct addr addrs[PKARR_ADDRS_MAX];
	unsigned addr_cnt;
	char relays[PKARR_RELAYS_MAX][PKARR_URL_CAP]; /* URLs */
	unsigned relay_cnt;
	struct peer_via vias[PEER_VIAS_MAX]; /* mesh nodes that forward QUIC to it */
	unsigned via_cnt;
	uint32_t caps; /* bit map, 0: not said */
};

/* The addresses and relays of a node that unvalidated sources may learn. */
enum pkarr_publish {
	PKARR_OFF,
	PKARR_RELAY_ONLY, /* the relays through which it is reached */
	PKARR_DIRECT,	  /* its own addresses too */
};

struct pkarr_policy {
	enum pkarr_publish publish;
	/* Addresses that mean another host elsewhere are said and believed too: for closed networks. */
	bool allows_private;
};

/*
 * dht_pkarr_record_select keeps, of the facts that a node knows about itself, those that policy
 * shows to unvalidated sources. It takes the first that fit: global addresses with a port, relays
 * at such addresses, and URLs of http and https.
 *
 * Returns 0, WEFT_EREFUSED (the policy is PKARR_OFF), or WEFT_EABSENT: nothing is left by which
 * the node could be reached. A record without addresses would only replace one that may still be
 * right.
 */
WEFT_MUST_CHECK
int dht_pkarr_record_select(const struct pkarr_record *all, const struct pkarr_policy *policy,
			    struct pkarr_record *out_record);

struct pkarr_packet {
	uint8_t key[NODE_KEY_LEN];
	uint8_t sig[NODE_KEY_SIG_LEN];
	uint64_t seq; /* microseconds since 1970, in [0, INT64_MAX] */
	uint16_t dns_off;
	uint16_t value_len;
	uint8_t value
		[DHT_SIGNED_VALUE_LEN_MAX]; /* bencoded; the DNS message is [dns_off, value_len) */
};

/*
 * dht_pkarr_next_seq: the wall clock, but above whatever was published before,
 * also when the clock was set back, or the key is used elsewhere too.
 */
uint64_t dht_pkarr_next_seq(uint64_t wall_us, uint64_t newest_seq);

/* dht_pkarr_packet_sign makes record a packet of key's owner. */
void dht_pkarr_packet_sign(const struct pkarr_record *record, const struct node_key *key,
			   uint64_t seq, struct pkarr_packet *out_packet);

/*
 * dht_pkarr_packet_item is the packet as BEP-44 has it; spans are borrowed from
 * packet. dht_pkarr_packet_of_item takes an item that was verified.
 * Returns 0, or WEFT_EMALFORMED: it is no pkarr packet (a salt, or a value
 * that is no string, or one that is no DNS message).
 */
void dht_pkarr_packet_item(const struct pkarr_packet *packet, struct dht_item *out_item);
WEFT_MUST_CHECK
int dht_pkarr_packet_of_item(const struct dht_item *item, struct pkarr_packet *out_packet);

/*
 * dht_pkarr_packet_{parse,write}_body: what goes between relays and their
 * clients, signature, sequence number and DNS message. Parsing verifies.
 *
 * Parsing returns 0, or:
 *   WEFT_ETOOLARGE  longer than PKARR_BODY_LEN_MAX
 *   WEFT_EMALFORMED too short, no DNS message, or a sequence number above INT64_MAX
 *   WEFT_EDAMAGED   not signed by key
 * Writing returns the length.
 */
WEFT_MUST_CHECK
int dht_pkarr_packet_parse_body(const uint8_t key[static NODE_KEY_LEN], const void *body,
				size_t len, struct pkarr_packet *out_packet);
size_t dht_pkarr_packet_write_body(const struct pkarr_packet *packet,
				   uint8_t dst[static PKARR_BODY_LEN_MAX]);

/*
 * dht_pkarr_record_read: the addresses at which the packet says its owner is. It reads TXT strings
 * at _mesh, or if those say nothing at _iroh. Unknown strings, and addresses that policy would not
 * let this node publish, are skipped. Returns 0, or WEFT_EABSENT: nothing of use to this node.
 */
WEFT_MUST_CHECK
int dht_pkarr_record_read(const struct pkarr_packet *packet, bool allows_private,
			  struct pkarr_record *out_record);

/* dht_pkarr_packet_ttl_s: the shortest of its records, or 0 when it has none. */
uint32_t dht_pkarr_packet_ttl_s(const struct pkarr_packet *packet);

#endif
