/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CONTENT_LINK_H
#define WEFT_CONTENT_LINK_H

#include <stdint.h>

#include "base/addr.h"
#include "weft/err.h"

/*
 * A link names a collection and who has it: "mesh:" + z-base-32 of
 *	kind u8 (1 = collection) | manifest id 32 | node key 32 |
 *	address count u8 (<= 8) | addresses | check 4
 * An address is family u8 (4 or 6), ip 4 or 16, port u16 big-endian. check
 * is the first four bytes of the BLAKE3 of all before it, so that one wrong
 * letter is noticed before anything is dialled.
 */
#define LINK_ADDRS_MAX 8
#define LINK_TEXT_CAP  400 /* "mesh:" + letters of 70 + 8 * 19 bytes + NUL */

enum link_kind { LINK_COLLECTION = 1 };

struct link {
	uint8_t kind;
	uint8_t manifest_id[32];
	uint8_t node_key[32];
	uint8_t addr_cnt;
	struct addr addrs[LINK_ADDRS_MAX];
};

/*
 * link_parse: 0, or
 *   WEFT_EABSENT    nothing but white space
 *   WEFT_EUNKNOWN   it does not begin with "mesh:"
 *   WEFT_ENEWER     a kind this version does not know
 *   WEFT_ETOOSMALL  cut short (fewer letters than its own count says)
 *   WEFT_ETOOLARGE  something is appended
 *   WEFT_EDAMAGED   the check does not match: a letter is wrong
 *   WEFT_EMALFORMED a letter outside the alphabet, or fields that cannot be
 * Surrounding white space is not part of a link; case does not matter.
 */
WEFT_MUST_CHECK
int link_parse(const char *text, struct link *out_link);
/* link_write writes a NUL-terminated link; returns text. */
char *link_write(const struct link *link, char text[static LINK_TEXT_CAP]);

#endif
