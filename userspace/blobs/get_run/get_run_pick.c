/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chooses what to ask a member for: the rarest chunk that it has. Among equally rare
 * chunks it takes the one that no other getter is to ask for first. When all chunks
 * are requested, it takes one that another member is late with; the first answer counts.
 */
#include <errno.h>
#include <string.h>

#include "base/monotonic.h"
#include "get_run.h"
#include "blobs/get/get_state.h"

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

/* Turns go by parts: enough parts for all getters of a file, each short enough for disk reads. */
static unsigned part_log2(uint64_t chunk_cnt)
{
	unsigned log2 = 0;

	while (log2 < PART_LOG2_MAX && chunk_cnt >> log2 > PARTS_MIN)
		log2++;
	return log2;
}

static uint16_t rank_of(const struct swarm *swarm, uint32_t item, uint64_t chunk, uint64_t part)
{
	return (uint16_t)(blobs_swarm_holder_cnt(swarm, item, chunk) * TURNS_MAX +
			  blobs_swarm_turn(swarm, item, part));
}

static uint16_t chunk_rank(void *arg, uint64_t idx)
{
	const struct get_run_file *file = arg;

	/* A run of the file is the most that is asked for out of order. */
	if (file->get_run->get->view.choice.is_sequential)
		return (uint16_t)(idx >> file->order.run_log2);
	return rank_of(file->get_run->swarm, file->item, idx, idx >> part_log2(file->chunk_cnt));
}

void blobs_get_run_file_order(struct get_run_file *file)
{
	if (file->get_run->get->view.choice.is_sequential)
		blobs_rarest_sort(&file->order, chunk_rank, file);
}

void blobs_get_run_count(struct get_run *get_run, uint64_t now_ns)
{
	uint32_t version = blobs_swarm_version(get_run->swarm);

	if (version == get_run->requests.counted_version ||
	    now_ns - get_run->requests.counted_ns < COUNT_NS || blobs_swarm_is_even(get_run->swarm))
		return;
	get_run->requests.counted_version = version;
	get_run->requests.counted_ns = now_ns;
	for (unsigned i = 0; i < GET_RUN_FILES_MAX; i++)
		if (get_run->files[i].step == FILE_CHUNKS)
			blobs_rarest_sort(&get_run->files[i].order, chunk_rank, &get_run->files[i]);
}

/* --- chunks of large files --- */

bool blobs_get_run_pick_list(struct get_run *get_run, struct get_run_slot *slot)
{
	for (unsigned i = 0; i < GET_RUN_FILES_MAX; i++) {
		struct get_run_file *file = &get_run->files[i];

		if (file->step != FILE_LIST || file->list.is_asked)
			continue;
		file->list.is_asked = true;
		slot->kind = SLOT_LIST;
		slot->file = file;
		slot->item = file->item;
		return true;
	}
	return false;
}

struct wanted_chunk {
	const struct get_run_file *file;
	const struct swarm_member *member;
};

static uint64_t chunks_there(void *arg, uint64_t first)
{
	const struct wanted_chunk *wanted = arg;

	return blobs_swarm_member_chunks(wanted->member, wanted->file->item, first);
}

/* Members that have no missing chunk are not searched again in each turn. */
static bool is_exhausted(const struct get_run_file *file, const struct swarm_member *member)
{
	const struct get_run_exhausted *exhausted =
		&file->exhausted[blobs_swarm_member_idx(member)];

	return exhausted->member == blobs_swarm_member_version(member) &&
	       exhausted->order == file->order.version;
}

static uint64_t file_pick(struct get_run_file *file, const struct swarm_member *member,
			  uint16_t *out_rank)
{
	struct wanted_chunk wanted = {file, member};
	uint64_t idx;

	if (file->step != FILE_CHUNKS || is_exhausted(file, member))
		return RAREST_NONE;
	idx = blobs_rarest_pick(&file->order, chunks_there, &wanted, out_rank);
	if (idx == RAREST_NONE)
		file->exhausted[blobs_swarm_member_idx(member)] = (struct get_run_exhausted){
			blobs_swarm_member_version(member), file->order.version};
	return idx;
}

/* Before the rank of a chunk: files that are wanted first, and in sequence the first of them. */
static uint64_t file_rank(const struct get_run *get_run, const struct get_run_file *file,
			  uint16_t rank)
{
	bool is_later = !get_run->items.all[file->item].is_first;

	return (uint64_t)is_later << 48 |
	       (get_run->get->view.choice.is_sequential ? (uint64_t)file->item << 16 : 0) | rank;
}

static bool pick_chunk(struct get_run *get_run, struct get_run_slot *slot,
		       const struct swarm_member *member)
{
	struct get_run_file *found = NULL;
	uint64_t found_idx = 0, found_rank = UINT64_MAX;
	uint16_t rank;

	for (unsigned i = 0; i < GET_RUN_FILES_MAX; i++) {
		struct get_run_file *file = &get_run->files[i];
		uint64_t idx = file_pick(file, member, &rank);

		if (idx == RAREST_NONE || file_rank(get_run, file, rank) >= found_rank)
			continue;
		found = file;
		found_idx = idx;
		found_rank = file_rank(get_run, file, rank);
	}
	if (!found)
		return false;
	slot->kind = SLOT_CHUNK;
	slot->file = found;
	slot->item = found->item;
	slot->idx = found_idx;
	blobs_get_run_file_take(found, found_idx);
	return true;
}

/* --- items --- */

static bool item_is_large(const struct get_run *get_run, uint32_t at)
{
	return blobs_get_run_manifest_item(get_run, at)->size > BLAKE3_CHUNK_LEN;
}

/* May member, or with NULL no member, be asked for item at? */
static bool item_is_for(const struct get_run *get_run, uint32_t at,
			const struct swarm_member *member)
{
	if (get_run->items.all[at].state != ITEM_NEEDED)
		return false;
	if (blobs_get_run_manifest_item(get_run, at)->size == 0)
		return true;
	return member && (item_is_large(get_run, at) || blobs_swarm_member_has(member, at, 0));
}

/*
 * The first item for member, or of the next few the rarest, of those that are to be fetched
 * first, or of the others; GET_RUN_NONE.
 */
static uint32_t class_find(struct get_run *get_run, const struct swarm_member *member,
			   bool is_first)
{
	bool in_order =
		blobs_swarm_is_even(get_run->swarm) || get_run->get->view.choice.is_sequential;
	uint32_t found = GET_RUN_NONE, seen_cnt = 0;
	unsigned found_rank = UINT32_MAX;

	for (uint32_t at = get_run->items.need_idx;
	     at < get_run->items.cnt && seen_cnt < LOOK_AHEAD; at++) {
		const struct get_run_item *item = &get_run->items.all[at];
		unsigned rank;

		if (item->is_first != is_first)
			continue;
		if (item->state == ITEM_NEW || item->state == ITEM_CHECKING)
			break; /* what is behind it is not checked either */
		if (!item_is_for(get_run, at, member))
			continue;
		rank = in_order ? 0 : rank_of(get_run->swarm, at, 0, 0);
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

static uint32_t item_find(struct get_run *get_run, const struct swarm_member *member)
{
	uint32_t found =
		get_run->get->asked.first ? class_find(get_run, member, true) : GET_RUN_NONE;

	return found == GET_RUN_NONE ? class_find(get_run, member, false) : found;
}

/* Items before need_idx are not needed. */
static void need_idx_advance(struct get_run *get_run)
{
	while (get_run->items.need_idx < get_run->items.cnt) {
		enum item_state state = get_run->items.all[get_run->items.need_idx].state;

		if (state == ITEM_NEW || state == ITEM_CHECKING || state == ITEM_NEEDED)
			return;
		get_run->items.need_idx++;
	}
}

/* An item of at most one chunk; a larger one gets a get_run_file on the way. */
static bool pick_item(struct get_run *get_run, struct get_run_slot *slot,
		      const struct swarm_member *member)
{
	uint32_t at;

	need_idx_advance(get_run);
	at = item_find(get_run, member);
	while (at != GET_RUN_NONE && item_is_large(get_run, at)) {
		int err = blobs_get_run_file_start(get_run, at);

		/* Without memory nothing else would wake it. */
		get_run->must_retry_soon |= err == -ENOMEM;
		if (err < 0)
			return false;
		blobs_get_run_wake(get_run); /* its list is to be asked for */
		at = item_find(get_run, member);
	}
	if (at == GET_RUN_NONE)
		return false;
	get_run->items.all[at].state = ITEM_ASKED;
	get_run->items.needed_len -= blobs_get_run_manifest_item(get_run, at)->size;
	slot->kind = SLOT_WHOLE;
	slot->file = NULL;
	slot->item = at;
	slot->idx = 0;
	return true;
}

/* --- the end --- */

/* Is slot worth asking member for as well? */
static bool slot_is_late(const struct get_run_slot *slot, struct swarm_member *member,
			 uint64_t now_ns)
{
	uint64_t left_ns =
		slot->expect_ns > now_ns ? slot->expect_ns - now_ns : slot->expect_for_ns;

	if (memcmp(slot->from_key, blobs_swarm_member_key(member), MESH_KEY_LEN) == 0 ||
	    !blobs_swarm_member_has(member, slot->item, slot->ask.chunk))
		return false;
	return now_ns > slot->expect_ns + LATE_NS || 2 * blobs_swarm_member_cost(member) < left_ns;
}

static unsigned askers_cnt(const struct get_run *get_run, const struct get_run_slot *of)
{
	unsigned cnt = 0;

	for (uint32_t i = 0; i < get_run->requests.slot_cnt; i++) {
		const struct get_run_slot *slot = &get_run->requests.slots[i];

		cnt += slot->is_used && slot->ask.swarm && slot->kind == of->kind &&
		       slot->item == of->item && slot->idx == of->idx;
	}
	return cnt;
}

static bool pick_late(struct get_run *get_run, struct get_run_slot *slot,
		      struct swarm_member *member, uint64_t now_ns)
{
	for (uint32_t i = 0; i < get_run->requests.slot_cnt; i++) {
		const struct get_run_slot *late = &get_run->requests.slots[i];

		if (!late->is_used || !late->ask.swarm || late == slot || late->kind == SLOT_LIST ||
		    !slot_is_late(late, member, now_ns) || askers_cnt(get_run, late) > 1)
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

bool blobs_get_run_pick(struct get_run *get_run, struct get_run_slot *slot,
			struct swarm_member *member, uint64_t now_ns)
{
	bool is_range = get_run->step == GET_RUN_RANGE;

	memset(&slot->ask, 0, sizeof(slot->ask));
	if (!member)
		return !is_range && pick_item(get_run, slot, NULL);
	if (is_range ? blobs_get_run_range_pick(get_run, slot, member)
		     : pick_chunk(get_run, slot, member) || pick_item(get_run, slot, member))
		return true;
	return pick_late(get_run, slot, member, now_ns);
}
