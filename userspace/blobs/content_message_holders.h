/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_CONTENT_MESSAGE_HOLDERS_H
#define WEFT_BLOBS_CONTENT_MESSAGE_HOLDERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/byte_cursor.h"
#include "codec/peer_addr.h"
#include "weft/err.h"

/*
 * The payloads of message 498, HOLDERS: the other nodes that have this, or lately
 * wanted it.
 *	asked	 {0: id of a manifest or a content, 1: [PeerAddr]?}
 *	answered {0: [[key, [PeerAddr]]]}
 * With field 1 the asker says that it serves, or will, what it has of it,
 * and where. The list may be empty for an asker that can only be found by its key.
 * An answer is a hint: the node proves its key when it is dialled,
 * and what it has when it is asked.
 */
#define HOLDERS_MAX	    32u
#define HOLDERS_REQUEST_CAP 1200u
#define HOLDERS_ANSWER_CAP  (16u + HOLDERS_MAX * 512u)

struct message_holders_request {
	uint8_t id[32]; /* or the first half of a blinded one (scope.h) */
	uint8_t veiled[32];
	bool is_blind;
	bool is_serving;
	unsigned addr_cnt;
	struct addr addrs[PEER_ADDRS_MAX];
};

struct message_holder {
	uint8_t key[32];
	unsigned addr_cnt;
	struct addr addrs[PEER_ADDRS_MAX];
};

void blobs_message_holders_request_write(struct writer *w,
					 const struct message_holders_request *request);
/* blobs_message_holders_request_parse: 0 or WEFT_EMALFORMED. */
WEFT_MUST_CHECK
int blobs_message_holders_request_parse(const void *payload, size_t len,
					struct message_holders_request *out_request);

/* blobs_message_holders_write: at most HOLDERS_MAX. */
void blobs_message_holders_write(struct writer *w, const struct message_holder *holders,
				 unsigned cnt);
/* blobs_message_holders_parse: how many there are, or WEFT_EMALFORMED. */
WEFT_MUST_CHECK
int blobs_message_holders_parse(const void *payload, size_t len,
				struct message_holder out_holders[static HOLDERS_MAX]);

#endif
