/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What to ask a member for: of what it has, the rarest, and of what is
 * equally rare that which no other getter is to ask for first. When everything
 * is asked for, what somebody else is late with: of two who are asked for the
 * same the first to answer counts.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "content/get/fetch.h"

#define COUNT_NS (250 * NS_PER_MS)
#define LATE_NS	 (500 * NS_PER_MS)
/*
 * Items among which the rarest is looked for. Five getters of 512 small files had
 * their source send 2.65, 1.92, 1.35 and 1.24 copies with 16, 32, 64 and 128.
 */
#define LOOK_AHEAD 128u
/* With 256 parts five getters have a fifth of them each, give or take an eighth of that. */
#define PARTS_MIN     256u
#define PART_LOG2_MAX 4u /* 4 MiB */
#define TURNS_MAX     (SWARM_MEMBERS_MAX + 1)

/* --- how rare --- */

/* Turns go by parts: enough of a file for all who get it, no longer than disks like to read. */
static unsigned part_log2(uint64_t chunk_cnt)
{
	unsigned log2 = 0;

	while (log2 < PART_LOG2_MAX && chunk_cnt >> log2 > PARTS_MIN)
		log2++;
	return log2;
}

static uint16_t rank_of(const struct swarm *swarm, uint32_t item, uint64_t chunk, uint64_t part)
{
	return (uint16_t)(swarm_holder_cnt(swarm, item, chunk) * TURNS_MAX +
			  swarm_turn(swarm, item, part));
}

static uint16_t chunk_rank(void *arg, uint64_t idx)
{
	const struct fetch_file *file = arg;

	/* A run of the file is the most that is asked for out of order. */
	if (file->fetch->get->view.choice.is_sequential)
		return (uint16_t)(idx >> file->order.run_log2);
	return rank_of(file->fetch->swarm, file->item, idx, idx >> part_log2(file->chunk_cnt));
}

void fetch_file_order(struct fetch_file *file)
{
	if (file->fetch->get->view.choice.is_sequential)
		rarest_sort(&file->order, chunk_rank, file);
}

void fetch_count(struct fetch *fetch, uint64_t now_ns)
{
	uint32_t version = swarm_version(fetch->swarm);

	if (version == fetch->counted_version || now_ns - fetch->counted_ns < COUNT_NS ||
	    swarm_is_even(fetch->swarm))
		return;
	fetch->counted_version = version;
	fetch->counted_ns = now_ns;
	for (unsigned i = 0; i < FETCH_FILES_MAX; i++)
		if (fetch->files[i].step == FILE_CHUNKS)
			rarest_sort(&fetch->files[i].order, chunk_rank, &fetch->files[i]);
}

/* --- chunks of large files --- */

bool fetch_pick_list(struct fetch *fetch, struct fetch_slot *slot)
{
	for (unsigned i = 0; i < FETCH_FILES_MAX; i++) {
		struct fetch_file *file = &fetch->files[i];

		if (file->step != FILE_LIST || file->list_is_asked)
			continue;
		file->list_is_asked = true;
		slot->kind = SLOT_LIST;
		slot->file = file;
		slot->item = file->item;
		return true;
	}
	return false;
}

struct wanted_chunk {
	const struct fetch_file *file;
	const struct swarm_member *member;
};

static uint64_t chunks_there(void *arg, uint64_t first)
{
	const struct wanted_chunk *wanted = arg;

	return swarm_member_chunks(wanted->member, wanted->file->item, first);
}

/* Many who have nothing that is missing are not looked through again in each turn. */
static bool is_barren(const struct fetch_file *file, const struct swarm_member *member)
{
	const struct fetch_barren *barren = &file->barren[swarm_member_idx(member)];

	return barren->member == swarm_member_version(member) &&
	       barren->order == file->order.version;
}

static uint64_t file_pick(struct fetch_file *file, const struct swarm_member *member,
			  uint16_t *out_rank)
{
	struct wanted_chunk wanted = {file, member};
	uint64_t idx;

	if (file->step != FILE_CHUNKS || is_barren(file, member))
		return RAREST_NONE;
	idx = rarest_pick(&file->order, chunks_there, &wanted, out_rank);
	if (idx == RAREST_NONE)
		file->barren[swarm_member_idx(member)] =
			(struct fetch_barren){swarm_member_version(member), file->order.version};
	return idx;
}

/* Before the rank of a chunk: files that are wanted first, and in sequence the first of them. */
static uint64_t file_rank(const struct fetch *fetch, const struct fetch_file *file, uint16_t rank)
{
	bool is_later = !fetch->items[file->item].is_first;

	return (uint64_t)is_later << 48 |
	       (fetch->get->view.choice.is_sequential ? (uint64_t)file->item << 16 : 0) | rank;
}

static bool pick_chunk(struct fetch *fetch, struct fetch_slot *slot,
		       const struct swarm_member *member)
{
	struct fetch_file *found = NULL;
	uint64_t found_idx = 0, found_rank = UINT64_MAX;
	uint16_t rank;

	for (unsigned i = 0; i < FETCH_FILES_MAX; i++) {
		struct fetch_file *file = &fetch->files[i];
		uint64_t idx = file_pick(file, member, &rank);

		if (idx == RAREST_NONE || file_rank(fetch, file, rank) >= found_rank)
			continue;
		found = file;
		found_idx = idx;
		found_rank = file_rank(fetch, file, rank);
	}
	if (!found)
		return false;
	slot->kind = SLOT_CHUNK;
	slot->file = found;
	slot->item = found->item;
	slot->idx = found_idx;
	fetch_file_take(found, found_idx);
	return true;
}

/* --- items --- */

static bool item_is_large(const struct fetch *fetch, uint32_t at)
{
	return fetch_manifest_item(fetch, at)->size > BLAKE3_CHUNK_LEN;
}

/* May member, or with NULL nobody, be asked for item at? */
static bool item_is_for(const struct fetch *fetch, uint32_t at, const struct swarm_member *member)
{
	if (fetch->items[at].state != ITEM_NEEDED)
		return false;
	if (fetch_manifest_item(fetch, at)->size == 0)
		return true;
	return member && (item_is_large(fetch, at) || swarm_member_has(member, at, 0));
}

/*
 * The first item for member, or of the next few the rarest, of those that are to be fetched
 * first, or of the others; FETCH_NONE.
 */
static uint32_t class_find(struct fetch *fetch, const struct swarm_member *member, bool is_first)
{
	bool in_order = swarm_is_even(fetch->swarm) || fetch->get->view.choice.is_sequential;
	uint32_t found = FETCH_NONE, seen_cnt = 0;
	unsigned found_rank = UINT32_MAX;

	for (uint32_t at = fetch->need_idx; at < fetch->item_cnt && seen_cnt < LOOK_AHEAD; at++) {
		const struct fetch_item *item = &fetch->items[at];
		unsigned rank;

		if (item->is_first != is_first)
			continue;
		if (item->state == ITEM_NEW || item->state == ITEM_CHECKING)
			break; /* what is behind it is not checked either */
		if (!item_is_for(fetch, at, member))
			continue;
		rank = in_order ? 0 : rank_of(fetch->swarm, at, 0, 0);
		if (rank < found_rank) {
			found = at;
			found_rank = rank;
		}
		seen_cnt++;
		if (in_order)
			break;
	}
	return found;
}

static uint32_t item_find(struct fetch *fetch, const struct swarm_member *member)
{
	uint32_t found = fetch->get->first ? class_find(fetch, member, true) : FETCH_NONE;

	return found == FETCH_NONE ? class_find(fetch, member, false) : found;
}

/* Items before need_idx are not needed. */
static void need_idx_advance(struct fetch *fetch)
{
	while (fetch->need_idx < fetch->item_cnt) {
		enum item_state state = fetch->items[fetch->need_idx].state;

		if (state == ITEM_NEW || state == ITEM_CHECKING || state == ITEM_NEEDED)
			return;
		fetch->need_idx++;
	}
}

/* An item of at most one chunk; a larger one gets a fetch_file on the way. */
static bool pick_item(struct fetch *fetch, struct fetch_slot *slot,
		      const struct swarm_member *member)
{
	uint32_t at;

	need_idx_advance(fetch);
	at = item_find(fetch, member);
	while (at != FETCH_NONE && item_is_large(fetch, at)) {
		int err = fetch_file_start(fetch, at);

		/* Without memory nothing else would wake it. */
		fetch->must_retry_soon |= err == -ENOMEM;
		if (err < 0)
			return false;
		fetch_wake(fetch); /* its list is to be asked for */
		at = item_find(fetch, member);
	}
	if (at == FETCH_NONE)
		return false;
	fetch->items[at].state = ITEM_ASKED;
	fetch->needed_len -= fetch_manifest_item(fetch, at)->size;
	slot->kind = SLOT_WHOLE;
	slot->file = NULL;
	slot->item = at;
	slot->idx = 0;
	return true;
}

/* --- the end --- */

/* Is slot worth asking member for as well? */
static bool slot_is_late(const struct fetch_slot *slot, struct swarm_member *member,
			 uint64_t now_ns)
{
	uint64_t left_ns =
		slot->expect_ns > now_ns ? slot->expect_ns - now_ns : slot->expect_for_ns;

	if (memcmp(slot->from_key, swarm_member_key(member), MESH_KEY_LEN) == 0 ||
	    !swarm_member_has(member, slot->item, slot->ask.chunk))
		return false;
	return now_ns > slot->expect_ns + LATE_NS || 2 * swarm_member_cost(member) < left_ns;
}

static unsigned askers_cnt(const struct fetch *fetch, const struct fetch_slot *of)
{
	unsigned cnt = 0;

	for (uint32_t i = 0; i < fetch->slot_cnt; i++) {
		const struct fetch_slot *slot = &fetch->slots[i];

		cnt += slot->is_used && slot->ask.swarm && slot->kind == of->kind &&
		       slot->item == of->item && slot->idx == of->idx;
	}
	return cnt;
}

static bool pick_late(struct fetch *fetch, struct fetch_slot *slot, struct swarm_member *member,
		      uint64_t now_ns)
{
	for (uint32_t i = 0; i < fetch->slot_cnt; i++) {
		const struct fetch_slot *late = &fetch->slots[i];

		if (!late->is_used || !late->ask.swarm || late == slot || late->kind == SLOT_LIST ||
		    !slot_is_late(late, member, now_ns) || askers_cnt(fetch, late) > 1)
			continue;
		slot->kind = late->kind;
		slot->file = late->file;
		slot->item = late->item;
		slot->idx = late->idx;
		slot->part = late->part;
		return true;
	}
	return false;
}

bool fetch_pick(struct fetch *fetch, struct fetch_slot *slot, struct swarm_member *member,
		uint64_t now_ns)
{
	bool is_range = fetch->step == FETCH_RANGE;

	memset(&slot->ask, 0, sizeof(slot->ask));
	if (!member)
		return !is_range && pick_item(fetch, slot, NULL);
	if (is_range ? fetch_range_pick(fetch, slot, member)
		     : pick_chunk(fetch, slot, member) || pick_item(fetch, slot, member))
		return true;
	return pick_late(fetch, slot, member, now_ns);
}
