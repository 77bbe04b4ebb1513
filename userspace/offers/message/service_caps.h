/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_OFFERS_MESSAGE_SERVICE_CAPS_H
#define WEFT_OFFERS_MESSAGE_SERVICE_CAPS_H

#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "crypto/node_key.h"
#include "offers/message/service_message.h"
#include "weft/err.h"

/*
 * Service capabilities: for which services a node has offers, and which it
 * relays (docs/wire/offers.md). A signed object of tag "svccaps":
 *
 *	0 node's address 16 | 1 [[service, roles, version of its schema]] | 2 time
 *
 * Services ascend. No node says for which service it is a consumer.
 *
 * Pure, and thread-safe.
 */
#define SERVICE_CAPS_TAG      "svccaps"
#define SERVICE_CAPS_ROWS_MAX 128u
#define SERVICE_CAPS_LEN_MAX  2048u

/* Bits of roles. Others are not read, and not written. */
enum service_role {
	SERVICE_ROLE_PROVIDER = 1,
	SERVICE_ROLE_RELAY = 2,
};

struct service_caps_row {
	uint32_t service;
	uint8_t roles;
	uint8_t version;
};

struct service_caps {
	uint8_t node[NODE_KEY_LEN];
	uint64_t made_s;
	struct service_caps_row rows[SERVICE_CAPS_ROWS_MAX];
	unsigned row_cnt;
};

/*
 * offers_caps_parse reads and verifies, which costs 50 us. Returns 0, or:
 *   WEFT_EMALFORMED  no such object, or services that do not ascend
 *   WEFT_ETOOLARGE   more than SERVICE_CAPS_LEN_MAX bytes
 *   WEFT_EWRONGKEY   the address is not the signer's
 *   WEFT_EDAMAGED    it is not what its signer signed
 */
WEFT_MUST_CHECK
int offers_caps_parse(const void *bytes, size_t len, struct service_caps *out_caps);
/* offers_caps_write signs with key, the node's. Services that do not ascend make w bad. */
void offers_caps_write(struct writer *w, const struct service_caps *caps,
		       const struct node_key *key);
/* offers_caps_row: that of a service, or NULL. */
const struct service_caps_row *offers_caps_row(const struct service_caps *caps, uint32_t service);

#endif
