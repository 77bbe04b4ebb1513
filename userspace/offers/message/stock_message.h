/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_OFFERS_MESSAGE_STOCK_MESSAGE_H
#define WEFT_OFFERS_MESSAGE_STOCK_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "weft/err.h"

/*
 * What a service relay keeps, and what another one lacks of it: message 313 and its answer
 * (docs/wire/offers.md). A map of
 *
 *	0 entries, 1 to STOCK_MAX: ref 8 | sequence u64be | hop count with which it would come
 *
 * and the answer, one of
 *
 *	0 refs that are lacked, of 8 bytes each | 1 how many entries were looked at
 *
 * A ref is the first bytes of an offer's BLAKE3 name (offers_ref). Pure, and thread-safe.
 */
#define STOCK_REF_LEN	8u
#define STOCK_ENTRY_LEN (STOCK_REF_LEN + 8u + 1u)
#define STOCK_MAX	256u
#define STOCK_LACKS_MAX 128u
/* A map of one or two keys, the head of its bytes, and a number. */
#define STOCK_LEN_MAX	    (5u + STOCK_MAX * STOCK_ENTRY_LEN)
#define STOCK_LACKS_LEN_MAX (9u + STOCK_LACKS_MAX * STOCK_REF_LEN)

struct stock_entry {
	uint8_t ref[STOCK_REF_LEN];
	uint64_t sequence; /* of its newest word */
	uint32_t service;  /* in no message: of one that is to be said */
	uint8_t hop_cnt;
};

struct stock_lacks {
	uint8_t refs[STOCK_LACKS_MAX][STOCK_REF_LEN];
	unsigned cnt, looked_cnt;
};

/* offers_stock_write: cnt in [1, STOCK_MAX]. offers_stock_parse: how many there are, or WEFT_EMALFORMED. */
void offers_stock_write(struct writer *w, const struct stock_entry *entries, unsigned cnt);
WEFT_MUST_CHECK
int offers_stock_parse(const void *data, size_t len, struct stock_entry entries[static STOCK_MAX]);
/* offers_lacks_parse: 0 or WEFT_EMALFORMED. It has no more refs than entries that were looked at. */
void offers_lacks_write(struct writer *w, const struct stock_lacks *lacked);
WEFT_MUST_CHECK
int offers_lacks_parse(const void *data, size_t len, struct stock_lacks *out_lacked);

#endif
