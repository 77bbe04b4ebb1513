/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_COMMUNITY_RECORD_COMMUNITY_RULE_H
#define WEFT_COMMUNITY_RECORD_COMMUNITY_RULE_H

#include <stddef.h>
#include <stdint.h>

#include "community_record.h"
#include "mesh/seam_overlay.h"

/*
 * The values of communities in the overlay. A node that has only an id finds members, one that
 * knows a key or a share finds its record:
 *
 *	0x31 member	"community:member:" id key	the member's record, by itself alone
 *	0x32 share	"community:share:" id share id	a share's, of its latest publisher
 *	0x33 hint	"community:info:" id		hints of some members
 *
 * Ids and keys in names are their 32 bytes. A value is its tag and the record.
 */
#define COMMUNITY_TAG_MEMBER 0x31
#define COMMUNITY_TAG_SHARE  0x32
#define COMMUNITY_TAG_HINT   0x33
#define COMMUNITY_HINTS_MAX  20u /* kept under an id */
#define COMMUNITY_NAME_CAP   96u

/* community_name_*: the length of the name written, which has no NUL. */
size_t community_name_member(const uint8_t *id, const uint8_t *key,
			     uint8_t name[static COMMUNITY_NAME_CAP]);
size_t community_name_share(const uint8_t *id, const uint8_t *share_id,
			    uint8_t name[static COMMUNITY_NAME_CAP]);
size_t community_name_hint(const uint8_t *id, uint8_t name[static COMMUNITY_NAME_CAP]);

/* community_rules_add: as overlay_ops.add_rule; without state, so any storer judges alike. */
WEFT_MUST_CHECK
int community_rules_add(const struct overlay_seam *overlay);

#endif
