/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_OVERLAY_BOOK_H
#define WEFT_OVERLAY_BOOK_H

#include <stddef.h>
#include <stdint.h>

#include "base/map.h"
#include "base/memory/pool.h"
#include "kad/kad_contact.h"
#include "overlay_message.h"

/*
 * Keys and further addresses of the contacts that kad/ knows by place and address alone: a
 * contact's tag names an entry here. An entry never changes: a peer that
 * names a node at a false address makes another entry.
 *
 * When kad/ drops a contact, the book is not informed. When the book is full, the owners of
 * contacts mark the entries that the table, a lookup or a request still names; the others go.
 */
struct overlay_book {
	struct pool pool;
	struct map by_place;	     /* id and first address */
	void (*mark_all)(void *ctx); /* calls overlay_book_mark for each contact that is in use */
	void *ctx;
};

/* overlay_book_init: mark_all and ctx are the caller's to set. */
WEFT_MUST_CHECK
int overlay_book_init(struct overlay_book *book, struct arena *arena, uint32_t cap_cnt,
		      const uint64_t secret[2]);
/*
 * overlay_book_contacts gives nodes, each with an address, as contacts. All of them are
 * proven: an id follows from a key, and a node that answers has proved that. cnt is at most
 * OVERLAY_NODES_MAX. They live on only if they are in use when it is called next.
 */
void overlay_book_contacts(struct overlay_book *book, const struct overlay_node *nodes,
			   unsigned cnt, struct kad_contact *out_contacts);
/* overlay_book_node: what contact's tag names; borrowed until another contact is made. */
const struct overlay_node *overlay_book_node(const struct overlay_book *book,
					     const struct kad_contact *contact);
void overlay_book_mark(struct overlay_book *book, const struct kad_contact *contact);

/* overlay_id_of: the place of a node, OverlayId. */
struct kad_id overlay_id_of(const uint8_t key[static MESH_KEY_LEN]);

#endif
