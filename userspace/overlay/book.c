/* SPDX-License-Identifier: Apache-2.0 */
#include "book.h"

#include <string.h>

#include "base/assert.h"
#include "crypto/sha256.h"

struct book_place {
	struct kad_id id;
	struct addr addr;
};

struct book_entry {
	struct book_place place;
	struct overlay_node node;
	bool is_marked;
};

struct kad_id overlay_id_of(const uint8_t key[static MESH_KEY_LEN])
{
	uint8_t hash[SHA256_HASH_LEN];
	struct kad_id id;

	sha256(key, MESH_KEY_LEN, hash);
	memcpy(id.bytes, hash, sizeof(id.bytes));
	return id;
}

int overlay_book_init(struct overlay_book *book, struct arena *arena, uint32_t cap_cnt,
		      const uint64_t secret[2])
{
	int err = pool_init(&book->pool, arena, sizeof(struct book_entry), cap_cnt);

	if (err < 0)
		return err;
	return map_init(&book->by_place, arena, sizeof(struct book_place), cap_cnt, secret);
}

static void book_sweep(struct overlay_book *book)
{
	struct book_entry *entry = NULL;

	while ((entry = pool_next(&book->pool, entry)))
		entry->is_marked = false;
	book->mark_all(book->ctx);
	while ((entry = pool_next(&book->pool, entry))) {
		if (entry->is_marked)
			continue;
		map_delete(&book->by_place, &entry->place);
		pool_release(&book->pool, entry);
	}
}

static struct kad_contact book_contact(struct overlay_book *book, const struct overlay_node *node)
{
	struct book_place place = {.id = overlay_id_of(node->key), .addr = node->addrs[0]};
	struct book_entry *entry = map_lookup(&book->by_place, &place);
	struct kad_contact contact = {.id = place.id, .addr = place.addr, .is_proven = true};
	int err;

	if (!entry) {
		entry = pool_acquire(&book->pool);
		weft_assert(entry); /* it has more entries than can be in use */
		entry->place = place;
		entry->node = *node;
		err = map_put(&book->by_place, &place, entry);
		weft_assert(err == 0);
	}
	contact.tag = pool_handle_of(&book->pool, entry);
	return contact;
}

void overlay_book_contacts(struct overlay_book *book, const struct overlay_node *nodes,
			   unsigned cnt, struct kad_contact *out_contacts)
{
	/* All at once: the sweep for a later one would take those before it. */
	if (book->pool.cap_cnt - book->pool.used_cnt < cnt)
		book_sweep(book);
	for (unsigned i = 0; i < cnt; i++)
		out_contacts[i] = book_contact(book, &nodes[i]);
}

static struct book_entry *entry_of(const struct overlay_book *book,
				   const struct kad_contact *contact)
{
	struct book_entry *entry = pool_lookup(&book->pool, contact->tag);

	weft_assert(entry);
	return entry;
}

const struct overlay_node *overlay_book_node(const struct overlay_book *book,
					     const struct kad_contact *contact)
{
	return &entry_of(book, contact)->node;
}

void overlay_book_mark(struct overlay_book *book, const struct kad_contact *contact)
{
	entry_of(book, contact)->is_marked = true;
}
