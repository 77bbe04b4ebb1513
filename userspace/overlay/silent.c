/* SPDX-License-Identifier: Apache-2.0 */
#include "silent.h"

#include <string.h>

#include "base/assert.h"

/* One more than may be kept: the newest, until its share is decided. */
#define ENTRIES_CAP (OVERLAY_SILENT_MAX + 1)

struct silent_place {
	struct kad_id id;
	struct addr addr;
};

struct silent_entry {
	struct silent_place place;
	struct fair_item share;
	uint64_t pause_ns, until_ns;
};

_Static_assert(sizeof(struct silent_place) == sizeof(struct kad_id) + sizeof(struct addr),
	       "a key has no padding");

static const struct fair_config SHARES = {
	.name = "overlay nodes that did not answer",
	.cap_cnt = OVERLAY_SILENT_MAX,
	.kind = FAIR_WORK, /* the oldest entry of the teller with most goes */
	.level_cnt = FAIR_PEER_LEVELS,
	.parts = {[FAIR_UNKNOWN] = 8, [FAIR_KNOWN] = 8},
};

int overlay_silent_init(struct overlay_silent *silent, struct arena *arena,
			const struct fair_paths *paths)
{
	int err = pool_init(&silent->pool, arena, sizeof(struct silent_entry), ENTRIES_CAP);

	silent->paths = *paths;
	if (err < 0 || (err = map_init(&silent->by_place, arena, sizeof(struct silent_place),
				       OVERLAY_SILENT_MAX, paths->secret)) < 0)
		return err;
	return fair_init(&silent->shares, arena, &SHARES, paths->secret);
}

static struct silent_entry *entry_lookup(const struct overlay_silent *silent,
					 const struct kad_contact *contact)
{
	struct silent_place place = {contact->id, contact->addr};

	return map_lookup(&silent->by_place, &place);
}

static void entry_release(struct overlay_silent *silent, struct silent_entry *entry,
			  uint64_t now_ns)
{
	map_delete(&silent->by_place, &entry->place);
	fair_release(&silent->shares, &entry->share, now_ns);
	pool_release(&silent->pool, entry);
}

static void path_of(const struct overlay_silent *silent, const struct addr *teller,
		    struct fair_path *out_path)
{
	if (teller->family == ADDR_NONE)
		fair_path_start(FAIR_KNOWN, out_path);
	else
		fair_path_of_addr(&silent->paths, teller, FAIR_UNKNOWN, out_path);
	fair_path_add(&silent->paths, out_path, "contacts", sizeof("contacts"));
}

/* NULL: the teller has its share already, and the contact is not remembered. */
static struct silent_entry *entry_new(struct overlay_silent *silent,
				      const struct kad_contact *contact, const struct addr *teller,
				      uint64_t now_ns)
{
	struct silent_entry *entry = pool_acquire(&silent->pool);
	struct fair_item *victim;
	struct fair_path path;
	int err;

	path_of(silent, teller, &path);
	switch (fair_take(&silent->shares, &path, &entry->share, now_ns, &victim)) {
	case FAIR_TAKEN:
		break;
	case FAIR_TAKEN_FROM:
		entry_release(silent, container_of(victim, struct silent_entry, share), now_ns);
		break;
	case FAIR_BUSY:
		pool_release(&silent->pool, entry);
		return NULL;
	}
	entry->place = (struct silent_place){contact->id, contact->addr};
	err = map_put(&silent->by_place, &entry->place, entry);
	weft_assert(!err);
	return entry;
}

void overlay_silent_note(struct overlay_silent *silent, const struct kad_contact *contact,
			 const struct addr *teller, uint64_t now_ns)
{
	struct silent_entry *entry = entry_lookup(silent, contact);

	/* One silence may be noted twice: when a lookup leaves it, and when time is up. */
	if (entry && now_ns < entry->until_ns)
		return;
	if (entry)
		fair_progress(&silent->shares, &entry->share, FAIR_WHOLE, now_ns);
	else
		entry = entry_new(silent, contact, teller, now_ns);
	if (!entry)
		return;
	entry->pause_ns = entry->pause_ns ? 2 * entry->pause_ns : OVERLAY_SILENT_NS;
	if (entry->pause_ns > OVERLAY_SILENT_PAUSE_MAX_NS)
		entry->pause_ns = OVERLAY_SILENT_PAUSE_MAX_NS;
	entry->until_ns = now_ns + entry->pause_ns;
}

void overlay_silent_forget(struct overlay_silent *silent, const struct kad_contact *contact,
			   uint64_t now_ns)
{
	struct silent_entry *entry = entry_lookup(silent, contact);

	if (entry)
		entry_release(silent, entry, now_ns);
}

void overlay_silent_forget_id(struct overlay_silent *silent, const struct kad_id *id,
			      uint64_t now_ns)
{
	struct silent_entry *entry = NULL;

	while ((entry = pool_next(&silent->pool, entry)))
		if (kad_id_equal(&entry->place.id, id))
			entry_release(silent, entry, now_ns);
}

bool overlay_silent_has(const struct overlay_silent *silent, const struct kad_contact *contact,
			uint64_t now_ns)
{
	const struct silent_entry *entry = entry_lookup(silent, contact);

	return entry && now_ns < entry->until_ns;
}
