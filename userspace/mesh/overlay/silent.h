/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_MESH_OVERLAY_SILENT_H
#define WEFT_MESH_OVERLAY_SILENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/map.h"
#include "base/pool.h"
#include "kad/contact.h"

/*
 * Contacts that did not answer, so that a dead node costs one lookup time and not each. A
 * lookup leaves them out while their pause lasts: two minutes, twice as long each time
 * that they are silent again, an hour at most. An answer, or a new session, forgets a contact.
 *
 * An entry is of an id at one address: whoever tells of a living node at a dead address hides
 * nothing but that lie. Only contacts that this node asked get in, at most OVERLAY_SILENT_MAX; of a full
 * table the one that was silent longest ago makes room, and costs a lookup its time once more. Pure.
 */
#define OVERLAY_SILENT_MAX	    512u
#define OVERLAY_SILENT_NS	    120000000000ull
#define OVERLAY_SILENT_PAUSE_MAX_NS 3600000000000ull

struct overlay_silent {
	struct pool pool;
	struct map by_place;
	struct list_node by_age; /* silent longest ago first */
};

size_t overlay_silent_footprint(void);
WEFT_MUST_CHECK
int overlay_silent_init(struct overlay_silent *silent, struct arena *arena,
			const uint64_t secret[2]);
/* overlay_silent_note: contact did not answer in time. overlay_silent_forget: it did. */
void overlay_silent_note(struct overlay_silent *silent, const struct kad_contact *contact,
			 uint64_t now_ns);
void overlay_silent_forget(struct overlay_silent *silent, const struct kad_contact *contact);
/* overlay_silent_forget_id: the node of id is there again, at whichever address. */
void overlay_silent_forget_id(struct overlay_silent *silent, const struct kad_id *id);
/* overlay_silent_has: contact was silent, and its pause is not over. */
bool overlay_silent_has(const struct overlay_silent *silent, const struct kad_contact *contact,
			uint64_t now_ns);

#endif
