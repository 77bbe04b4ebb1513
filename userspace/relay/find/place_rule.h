/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_RELAY_FIND_PLACE_RULE_H
#define WEFT_RELAY_FIND_PLACE_RULE_H

#include "mesh/seam_overlay.h"

/*
 * Nodes of the overlay judge announcements of relays by this rule. A value is its tag and an
 * announcement. It lies under a name of the hour before, of this hour or of the next, and only at a
 * place of its relay. The writer is the relay's key, the sequence number the time of issue. A value
 * ends with the hour after its own, when its name is not asked for any more. Without state.
 */
#define RELAY_PLACE_TAG		0x20
#define RELAY_PLACE_VALUES_MAX	32u
#define RELAY_PLACE_NETWORK_MAX 2u /* of them, stored from one network */

/* relay_place_rule_add: at start. Returns as overlay_ops.add_rule. */
WEFT_MUST_CHECK
int relay_place_rule_add(const struct overlay_seam *overlay);

#endif
