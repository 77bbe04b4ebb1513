/* SPDX-License-Identifier: Apache-2.0 */
/* Marks: keys with the time since which something is so. A table of them is bounded, and in order. */
#include "base/assert.h"
#include "base/random.h"
#include "people_state.h"

int social_marks_init(struct people *people, struct mark_table *marks, uint32_t cap)
{
	uint64_t secret[2];
	int err = pool_init(&marks->rows, &people->arena, sizeof(struct mark_row), cap);

	list_init(&marks->list);
	random_fill(people->ground->random, secret, sizeof(secret));
	return err < 0 ? err : map_init(&marks->by_key, &people->arena, NODE_KEY_LEN, cap, secret);
}

struct mark_row *social_mark_lookup(const struct mark_table *marks, const uint8_t *key)
{
	return map_lookup(&marks->by_key, key);
}

struct mark_row *social_mark_add(struct mark_table *marks, const uint8_t *key, uint64_t since_ms)
{
	struct mark_row *row = pool_acquire(&marks->rows);
	struct list_node *at = marks->list.prev;
	int err;

	if (!row)
		return NULL;
	memcpy(row->key, key, NODE_KEY_LEN);
	row->since_ms = since_ms;
	while (at != &marks->list && container_of(at, struct mark_row, link)->since_ms > since_ms)
		at = at->prev;
	list_push_back(at->next, &row->link);
	err = map_put(&marks->by_key, row->key, row);
	weft_assert(err == 0);
	return row;
}

void social_mark_drop(struct mark_table *marks, struct mark_row *row)
{
	map_delete(&marks->by_key, row->key);
	list_unlink(&row->link);
	pool_release(&marks->rows, row);
}

void social_mark_each(const struct mark_table *marks, people_mark_fn fn, void *arg)
{
	for (const struct list_node *at = marks->list.next; at != &marks->list; at = at->next) {
		const struct mark_row *row = container_of(at, struct mark_row, link);

		if (!fn(arg, row->key, row->since_ms))
			return;
	}
}

/* --- rows in the store: since u64be --- */

static bool mark_write(const struct mark_table *marks, const uint8_t *name, struct writer *w)
{
	const struct mark_row *row = social_mark_lookup(marks, name);

	if (row)
		writer_be64(w, row->since_ms);
	return row != NULL;
}

static bool mark_load(struct mark_table *marks, const uint8_t *name, struct cursor *c)
{
	uint64_t since_ms = cursor_be64(c);

	return !c->bad && social_mark_add(marks, name, since_ms) != NULL;
}

static bool blocks_write(struct people *people, const uint8_t *name, struct writer *w)
{
	return mark_write(&people->blocks, name, w);
}

static bool blocks_load(struct people *people, const uint8_t *name, struct cursor *c,
			uint64_t now_ns)
{
	(void)now_ns;
	return mark_load(&people->blocks, name, c);
}

static bool accepted_write(struct people *people, const uint8_t *name, struct writer *w)
{
	return mark_write(&people->accepted, name, w);
}

static bool accepted_load(struct people *people, const uint8_t *name, struct cursor *c,
			  uint64_t now_ns)
{
	(void)now_ns;
	return mark_load(&people->accepted, name, c);
}

static bool refused_write(struct people *people, const uint8_t *name, struct writer *w)
{
	return mark_write(&people->refused, name, w);
}

static bool refused_load(struct people *people, const uint8_t *name, struct cursor *c,
			 uint64_t now_ns)
{
	(void)now_ns;
	return mark_load(&people->refused, name, c);
}

const struct people_codec people_codec_block = {blocks_write, blocks_load};
const struct people_codec people_codec_accepted = {accepted_write, accepted_load};
const struct people_codec people_codec_refused = {refused_write, refused_load};
