/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_OFFERS_STORE_OFFER_RECORD_H
#define WEFT_OFFERS_STORE_OFFER_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/byte_cursor.h"
#include "base/fair/fair.h"
#include "weft/err.h"

/*
 * A row of STORE_SERVICE_OFFERS: an offer as it was received, but with hop counts of zero. So the
 * answers of all relays have the same bytes. Its key is the order, u64be, so rows of new offers are
 * written side by side. Its value:
 *
 *	u8 layout 2 | u8 hop count | u8 flags: 1 own, 2 tombstone | u8 class | u8 family, 16 bytes of address
 *	u64be expires | u32be length of the Announce, Announce | Update, or nothing
 */
#define OFFER_RECORD_KEY_LEN  8u
#define OFFER_RECORD_HEAD_LEN (1 + 1 + 1 + 1 + 1 + 16 + 8 + 4)

struct offer_record {
	struct addr source; /* no port; of a node's own offer, no family either */
	enum fair_class class;
	bool is_own, is_tombstone;
	uint8_t hop_cnt; /* with which it came */
	uint64_t expires_s;
	const uint8_t *announce; /* of a tombstone, the Revoke; borrowed */
	size_t announce_len;
	const uint8_t *update; /* NULL: none */
	size_t update_len;
};

static inline size_t offers_record_len(const struct offer_record *record)
{
	return OFFER_RECORD_HEAD_LEN + record->announce_len + record->update_len;
}
void offers_record_write(struct writer *w, const struct offer_record *record);
/* offers_record_parse does not look into the messages. 0 or WEFT_EMALFORMED. */
WEFT_MUST_CHECK
int offers_record_parse(const void *data, size_t len, struct offer_record *out_record);

#endif
