/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_OVERLAY_SILENT_H
#define WEFT_OVERLAY_SILENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fair/fair_path.h"
#include "base/map.h"
#include "base/memory/pool.h"
#include "kad/kad_contact.h"

/*
 * Contacts that did not answer, so that a dead node costs one lookup time and not each. A
 * lookup leaves them out while their pause lasts: two minutes, twice as long each time
 * that they are silent again, an hour at most. An answer, or a new session, forgets a contact.
 *
 * An entry is of an id at one address: a false address of a living node hides that address alone.
 *
 * Contacts are free to invent, so an entry belongs to the node that named the contact, by the
 * address at which that node answered. A full table gives up the oldest entry of the namer with
 * most entries (base/fair/fair.h). Entries of this node's own routing table have half of the
 * places for themselves. A namer of many silent contacts loses its own entries and no other. An
 * entry given up costs one lookup its time once more. Pure.
 */
#define OVERLAY_SILENT_MAX	    512u
#define OVERLAY_SILENT_NS	    120000000000ull
#define OVERLAY_SILENT_PAUSE_MAX_NS 3600000000000ull

struct overlay_silent {
	struct pool pool;
	struct map by_place;
	struct fair shares;
	struct fair_paths paths;
};

/* overlay_silent_init: paths says how addresses nest, and is copied. 0, or WEFT_EFULL. */
WEFT_MUST_CHECK
int overlay_silent_init(struct overlay_silent *silent, struct arena *arena,
			const struct fair_paths *paths);
/*
 * overlay_silent_note: contact did not answer in time. teller is the address of the node that
 * named it; of family ADDR_NONE, this node's routing table did.
 */
void overlay_silent_note(struct overlay_silent *silent, const struct kad_contact *contact,
			 const struct addr *teller, uint64_t now_ns);
/* overlay_silent_forget: contact answered. */
void overlay_silent_forget(struct overlay_silent *silent, const struct kad_contact *contact,
			   uint64_t now_ns);
/* overlay_silent_forget_id: the node of id is there again, at whichever address. */
void overlay_silent_forget_id(struct overlay_silent *silent, const struct kad_id *id,
			      uint64_t now_ns);
/* overlay_silent_has: contact was silent, and its pause is not over. */
bool overlay_silent_has(const struct overlay_silent *silent, const struct kad_contact *contact,
			uint64_t now_ns);

#endif
