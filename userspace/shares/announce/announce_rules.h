/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SHARES_ANNOUNCE_ANNOUNCE_RULES_H
#define WEFT_SHARES_ANNOUNCE_ANNOUNCE_RULES_H

#include <stddef.h>
#include <stdint.h>

#include "mesh/seam_overlay.h"

/*
 * Nodes of the overlay judge the announcements of holders by these rules (docs/wire/overlay.md).
 * A value is its tag and a holder record or a holder set. The writer is the holder's key,
 * and the sequence number the time of writing.
 */
enum announce_tag {
	ANNOUNCE_MANIFEST = 0x02, /* holder record under "manifest:loc:" and manifest id */
	ANNOUNCE_CONTENT = 0x03,  /* holder record under "content:prov:" and content id */
	ANNOUNCE_SET = 0x04,	  /* holder set under "content:set:", u8 depth, u32be region */
};

/* Holders returned for a key: the freshest, and so many of one prefix. */
#define ANNOUNCE_HOLDERS_MAX	20u
#define ANNOUNCE_PER_PREFIX_MAX 2u

#define ANNOUNCE_NAME_CAP 48

/* shares_announce_name_of_{id,region} write a name and give its length. */
size_t shares_announce_name_of_id(enum announce_tag tag, const uint8_t id[static 32],
				  uint8_t out_name[static ANNOUNCE_NAME_CAP]);
size_t shares_announce_name_of_region(unsigned depth, uint32_t region,
				      uint8_t out_name[static ANNOUNCE_NAME_CAP]);

/* shares_announce_rules_add: at start. Returns as overlay_ops.add_rule. */
WEFT_MUST_CHECK
int shares_announce_rules_add(const struct overlay_seam *overlay);

#endif
