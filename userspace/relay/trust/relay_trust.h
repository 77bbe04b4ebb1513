/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_RELAY_TRUST_RELAY_TRUST_H
#define WEFT_RELAY_TRUST_RELAY_TRUST_H

#include <stdbool.h>
#include <stdint.h>

#include "relay/pool/relay_pool.h"

/*
 * How far a relay is trusted. A relay reads no packet, but it sees which nodes talk, when, and how
 * much. So relays are used in this order, and those of unknown nodes may be kept out. Pure.
 */
enum relay_trust {
	RELAY_TRUST_OWN,       /* named in the configuration, or by a grant that this node holds */
	RELAY_TRUST_COMMUNITY, /* a member of a community that this node has joined */
	RELAY_TRUST_CONTACT,   /* a node that is added, dialled, followed or trusted here */
	RELAY_TRUST_UNKNOWN,
	RELAY_TRUST_REFUSED, /* unknown, and these are kept out */
	RELAY_TRUST_CNT,
};
/* relay_trust_word: for people and programs, stable. */
const char *relay_trust_word(enum relay_trust trust);

struct relay_trust_config {
	char own[RELAY_POOL_TEXT_CAP]; /* as relay_pool_parse reads it */
	bool lets_unknown;
};
void relay_trust_config_defaults(struct relay_trust_config *config);

#define RELAY_TRUST_OWN_MAX (2 * RELAY_POOL_MAX) /* relay.own, and relay.pool */
struct relay_trust_rule {
	struct relay_pool_place own[RELAY_TRUST_OWN_MAX];
	unsigned own_cnt;
	bool lets_unknown;
	/* A grant of this node names key; key is a member, or a contact. At any time. */
	bool (*is_granted)(void *ctx, const uint8_t *key);
	bool (*is_member)(void *ctx, const uint8_t *key);
	bool (*is_contact)(void *ctx, const uint8_t *key);
	void *ctx;
};
/*
 * relay_trust_own adds the relays of text; the functions are the caller's to set. 0, or as
 * relay_pool_parse. A relay that is there already stays, and takes an address if it had none.
 */
WEFT_MUST_CHECK
int relay_trust_own(struct relay_trust_rule *rule, const char *text,
		    const uint8_t own_key[static MESH_KEY_LEN]);
/* relay_trust_of: by: the peer whose record names relay, which is a contact's if by is one, or NULL. */
enum relay_trust relay_trust_of(const struct relay_trust_rule *rule, const uint8_t *relay,
				const uint8_t *by);

#endif
