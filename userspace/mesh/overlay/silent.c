/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh/overlay/silent.h"

#include <string.h>

#include "base/assert.h"

struct silent_place {
	struct kad_id id;
	struct addr addr;
};

struct silent_entry {
	struct silent_place place;
	struct list_node node;
	uint64_t pause_ns, until_ns;
};

_Static_assert(sizeof(struct silent_place) == sizeof(struct kad_id) + sizeof(struct addr),
	       "a key has no padding");

size_t overlay_silent_footprint(void)
{
	return pool_footprint(sizeof(struct silent_entry), OVERLAY_SILENT_MAX) +
	       map_footprint(sizeof(struct silent_place), OVERLAY_SILENT_MAX);
}

int overlay_silent_init(struct overlay_silent *silent, struct arena *arena,
			const uint64_t secret[2])
{
	int err = pool_init(&silent->pool, arena, sizeof(struct silent_entry), OVERLAY_SILENT_MAX);

	list_init(&silent->by_age);
	if (err < 0)
		return err;
	return map_init(&silent->by_place, arena, sizeof(struct silent_place), OVERLAY_SILENT_MAX,
			secret);
}

static struct silent_entry *entry_lookup(const struct overlay_silent *silent,
					 const struct kad_contact *contact)
{
	struct silent_place place = {contact->id, contact->addr};

	return map_lookup(&silent->by_place, &place);
}

static void entry_release(struct overlay_silent *silent, struct silent_entry *entry)
{
	map_delete(&silent->by_place, &entry->place);
	list_unlink(&entry->node);
	pool_release(&silent->pool, entry);
}

static struct silent_entry *entry_new(struct overlay_silent *silent,
				      const struct kad_contact *contact)
{
	struct silent_entry *entry;
	int err;

	if (silent->pool.used_cnt == silent->pool.cap_cnt)
		entry_release(silent, list_entry(silent->by_age.next, struct silent_entry, node));
	entry = pool_acquire(&silent->pool);
	entry->place = (struct silent_place){contact->id, contact->addr};
	list_init(&entry->node);
	err = map_put(&silent->by_place, &entry->place, entry);
	weft_assert(!err);
	return entry;
}

void overlay_silent_note(struct overlay_silent *silent, const struct kad_contact *contact,
			 uint64_t now_ns)
{
	struct silent_entry *entry = entry_lookup(silent, contact);

	/* One silence may be noted twice: when a lookup leaves it, and when time is up. */
	if (entry && now_ns < entry->until_ns)
		return;
	if (!entry)
		entry = entry_new(silent, contact);
	entry->pause_ns = entry->pause_ns ? 2 * entry->pause_ns : OVERLAY_SILENT_NS;
	if (entry->pause_ns > OVERLAY_SILENT_PAUSE_MAX_NS)
		entry->pause_ns = OVERLAY_SILENT_PAUSE_MAX_NS;
	entry->until_ns = now_ns + entry->pause_ns;
	list_unlink(&entry->node);
	list_push_back(&silent->by_age, &entry->node);
}

void overlay_silent_forget(struct overlay_silent *silent, const struct kad_contact *contact)
{
	struct silent_entry *entry = entry_lookup(silent, contact);

	if (entry)
		entry_release(silent, entry);
}

void overlay_silent_forget_id(struct overlay_silent *silent, const struct kad_id *id)
{
	struct silent_entry *entry = NULL;

	while ((entry = pool_next(&silent->pool, entry)))
		if (kad_id_equal(&entry->place.id, id))
			entry_release(silent, entry);
}

bool overlay_silent_has(const struct overlay_silent *silent, const struct kad_contact *contact,
			uint64_t now_ns)
{
	const struct silent_entry *entry = entry_lookup(silent, contact);

	return entry && now_ns < entry->until_ns;
}
