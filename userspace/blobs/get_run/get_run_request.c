/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests of a get to its swarm. Each goes to the member that is expected to answer soonest,
 * for the chunk that get_run_pick.c chooses for it. When no member has the missing chunks and
 * none is expected, the get ends.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/monotonic.h"
#include "codec/text/zbase32.h"
#include "get_run.h"
#include "blobs/get/get_state.h"
#include "blobs/blobs_state.h"

#define LOOK_NS	     (250 * NS_PER_MS) /* between two looks at late answers */
#define STARVED_NS   NS_PER_S
#define GROUP_CHUNKS (BLAKE3_CHUNK_LEN / BLAKE3_GROUP_LEN)

void blobs_get_run_answered(struct get_run *get_run, size_t len, uint64_t now_ns)
{
	get_run->get->gets->now_ns = now_ns;
	get_run->get->view.received_byte_cnt += len;
	get_run->get->gets->received_byte_cnt += len;
}

void blobs_get_run_swarm_failed(struct get_run *get_run, int err, const char *detail)
{
	if (err == WEFT_EWRONGKEY)
		memcpy(get_run->get->view.actual_key, blobs_swarm_wrong_key(get_run->swarm),
		       MESH_KEY_LEN);
	blobs_get_run_stop(get_run, err, "%s", detail);
}

/* --- slots --- */

void blobs_get_run_slot_free(struct get_run_slot *slot)
{
	if (slot->buffer)
		blobs_chunk_buffers_release(blobs_serve_buffers(slot->get_run->content->serve),
					    slot->buffer);
	slot->buffer = NULL;
	if (slot->has_fd)
		close(slot->fd);
	slot->has_fd = false;
	slot->is_used = false;
}

static bool slot_is_asked(const struct get_run_slot *slot)
{
	return slot->is_used && slot->ask.swarm;
}

/* The other request for the same, or NULL. */
static struct get_run_slot *slot_twin(const struct get_run_slot *slot)
{
	struct get_run *get_run = slot->get_run;

	for (uint32_t i = 0; i < get_run->requests.slot_cnt; i++) {
		struct get_run_slot *other = &get_run->requests.slots[i];

		if (other != slot && slot_is_asked(other) && other->kind == slot->kind &&
		    other->item == slot->item && other->idx == slot->idx)
			return other;
	}
	return NULL;
}

void blobs_get_run_slot_again(struct get_run_slot *slot)
{
	struct get_run *get_run = slot->get_run;

	blobs_get_run_wake(get_run);
	if (slot_twin(slot)) {
		blobs_get_run_slot_free(slot);
		return;
	}
	switch (slot->kind) {
	case SLOT_WHOLE:
		get_run->items.all[slot->item].state = ITEM_NEEDED;
		get_run->items.needed_len += blobs_get_run_manifest_item(get_run, slot->item)->size;
		if (slot->item < get_run->items.need_idx)
			get_run->items.need_idx = slot->item;
		break;
	case SLOT_CHUNK:
		blobs_get_run_file_again(slot->file, slot->idx);
		break;
	case SLOT_LIST:
		slot->file->list.is_asked = false;
		break;
	case SLOT_PROOF:
		blobs_get_run_range_again(get_run, slot->part);
		break;
	}
	blobs_get_run_slot_free(slot);
}

void blobs_get_run_slot_bad(struct get_run_slot *slot)
{
	struct get_run *get_run = slot->get_run;
	struct swarm_fault fault = {.item = slot->item, .chunk = slot->ask.chunk};

	memcpy(fault.key, slot->from_key, sizeof(fault.key));
	blobs_get_run_slot_again(slot);
	blobs_swarm_blame(get_run->swarm, &fault, get_run->get->gets->now_ns);
}

static const uint8_t *slot_content_id(const struct get_run_slot *slot)
{
	return blobs_get_run_manifest_item(slot->get_run, slot->item)->content_id;
}

static unsigned slot_request_type(const struct get_run_slot *slot)
{
	switch (slot->kind) {
	case SLOT_LIST:
		return MESH_GET_CHUNK_HASHES;
	case SLOT_PROOF:
		return MESH_RANGE_PROOF;
	default:
		return MESH_GET_CHUNK;
	}
}

void blobs_get_run_slot_cancel_twin(const struct get_run_slot *slot)
{
	struct get_run_slot *twin = slot_twin(slot);

	if (!twin)
		return;
	blobs_swarm_cancel(&twin->ask);
	twin->get_run->requests.asked_cnt--;
	blobs_get_run_slot_free(twin);
}

static bool holds_buffer(const struct get_run *get_run)
{
	for (uint32_t i = 0; i < get_run->requests.slot_cnt; i++)
		if (get_run->requests.slots[i].is_used)
			return true;
	return false;
}

/* A quarter of the buffers is left for serving peers, except one that keeps the get going. */
static uint8_t *buffer_acquire(struct get_run *get_run)
{
	struct chunk_buffers *buffers = blobs_serve_buffers(get_run->content->serve);

	if (buffers->free_cnt == 0 ||
	    (buffers->free_cnt <= buffers->cap_cnt / 4 && holds_buffer(get_run))) {
		get_run->must_retry_soon = true;
		return NULL;
	}
	return blobs_chunk_buffers_acquire(buffers);
}

/* A slot with a buffer, or NULL. */
static struct get_run_slot *slot_acquire(struct get_run *get_run)
{
	for (uint32_t i = 0; i < get_run->requests.slot_cnt; i++) {
		struct get_run_slot *slot = &get_run->requests.slots[i];

		if (slot->is_used)
			continue;
		slot->get_run = get_run;
		slot->buffer = buffer_acquire(get_run);
		slot->is_used = slot->buffer != NULL;
		return slot->is_used ? slot : NULL;
	}
	return NULL;
}

/* 0 or what blobs_swarm_ask says; from NULL: any member that has it. */
static int slot_ask(struct get_run_slot *slot, struct swarm_member *from, uint64_t now_ns)
{
	struct get_run *get_run = slot->get_run;
	const struct manifest_item *item = blobs_get_run_manifest_item(get_run, slot->item);
	int err;

	slot->ask = (struct swarm_ask){
		.type = slot_request_type(slot),
		.request = {.first = slot->idx, .cnt = MESSAGE_HASHES_MAX},
		.what = item->path,
		.what_len = item->path_len,
		.item = slot->item,
		.chunk = slot->kind == SLOT_PROOF  ? slot->idx / GROUP_CHUNKS
			 : slot->kind == SLOT_LIST ? 0
						   : slot->idx,
		.buf = slot->buffer,
		.cap = CHUNK_BUFFER_LEN,
		.from = from,
		.check = blobs_get_run_answer_fits,
		.done = blobs_get_run_on_answer,
		.arg = slot,
	};
	if (slot->kind == SLOT_PROOF)
		slot->ask.request.cnt = blobs_get_run_range_groups(get_run, slot->part);
	memcpy(slot->ask.request.id, slot_content_id(slot), sizeof(slot->ask.request.id));
	slot->expect_for_ns = from ? blobs_swarm_member_cost(from) : LOOK_NS;
	slot->expect_ns = now_ns + slot->expect_for_ns;
	err = blobs_swarm_ask(get_run->swarm, &slot->ask, now_ns);
	if (err)
		return err;
	if (from)
		memcpy(slot->from_key, blobs_swarm_member_key(from), sizeof(slot->from_key));
	get_run->requests.asked_cnt++;
	return 0;
}

static void lists_ask(struct get_run *get_run, uint64_t now_ns)
{
	for (unsigned i = 0; i < GET_RUN_FILES_MAX && get_run->step == GET_RUN_ITEMS; i++) {
		struct swarm_member *from = NULL;
		struct get_run_slot *slot = slot_acquire(get_run);

		if (!slot)
			return;
		if (!blobs_get_run_pick_list(get_run, slot)) {
			blobs_get_run_slot_free(slot);
			return;
		}
		if (slot->file->list.hash_cnt > 0)
			from = blobs_swarm_lookup(get_run->swarm, slot->file->list.key);
		if (slot->file->list.hash_cnt > 0 && !from)
			blobs_get_run_file_list_failed(slot->file);
		slot->idx = slot->file->list.hash_cnt;
		if (slot_ask(slot, from, now_ns) < 0) {
			get_run->must_retry_soon = true;
			blobs_get_run_slot_again(slot);
			return;
		}
	}
}

/* An empty file has no bytes to ask for; its item is ready as it is. */
static bool slot_is_empty_file(const struct get_run_slot *slot)
{
	return slot->kind == SLOT_WHOLE &&
	       blobs_get_run_manifest_item(slot->get_run, slot->item)->size == 0;
}

/* One more request, to member, or work that needs no member; false: there is nothing to do for now. */
static bool member_ask(struct get_run *get_run, struct swarm_member *member, uint64_t now_ns)
{
	struct get_run_slot *slot = slot_acquire(get_run);
	int err;

	if (!slot)
		return false;
	if (!blobs_get_run_pick(get_run, slot, member, now_ns)) {
		blobs_get_run_slot_free(slot);
		if (member)
			blobs_swarm_skip(get_run->swarm, member);
		return member != NULL;
	}
	blobs_get_state_set(get_run->get, BLOBS_GET_RECEIVING);
	if (slot_is_empty_file(slot)) {
		slot->bytes = slot->buffer;
		slot->len = 0;
		blobs_get_run_ready(slot);
		blobs_get_run_wake(get_run);
		return true;
	}
	err = slot_ask(slot, member, now_ns);
	if (!err)
		return true;
	blobs_get_run_slot_again(slot);
	get_run->must_retry_soon |= err == WEFT_EFULL;
	blobs_swarm_skip(get_run->swarm, member);
	return err != WEFT_EFULL;
}

/* Nothing is under way and nothing could be asked for: is it worth waiting? */
static void starved(struct get_run *get_run, uint64_t now_ns)
{
	const char *detail;
	int err;

	if (blobs_swarm_outlook(get_run->swarm, now_ns) == SWARM_WAITING) {
		get_run->requests.look_ns = now_ns + STARVED_NS;
		return;
	}
	err = blobs_swarm_failure(get_run->swarm, &detail);
	blobs_get_run_swarm_failed(get_run, err, detail);
}

static bool is_idle(const struct get_run *get_run)
{
	bool is_done = get_run->step == GET_RUN_RANGE
			       ? get_run->range.done_cnt == get_run->range.part_cnt
			       : get_run->items.done_cnt == get_run->items.cnt;

	return get_run->requests.asked_cnt == 0 && get_run->out_cnt == 0 &&
	       !get_run->requests.ready && !get_run->must_retry_soon && !is_done &&
	       !timer_is_set(&get_run->timer);
}

/* The limit of downloads holds what would be asked for next. */
static bool is_held(struct get_run *get_run, uint64_t now_ns)
{
	if (blobs_download_ns(get_run->content, now_ns) <= now_ns)
		return false;
	get_run->must_retry_soon = true;
	return true;
}

void blobs_get_run_requests_run(struct get_run *get_run, uint64_t now_ns)
{
	const struct get *get = get_run->get;
	uint32_t cap = get_run->content->params.config.chunks_in_flight;

	/* Half as much for each step below the highest that runs. */
	if (get->view.priority < get->gets->top_priority)
		cap >>= get->gets->top_priority - get->view.priority;
	cap += cap == 0;
	get_run->requests.look_ns = 0;
	blobs_get_run_count(get_run, now_ns);
	lists_ask(get_run, now_ns);
	blobs_swarm_round(get_run->swarm);
	while (get_run->requests.asked_cnt < cap && !blobs_get_run_is_stopping(get_run) &&
	       !is_held(get_run, now_ns))
		if (!member_ask(get_run, blobs_swarm_best(get_run->swarm, now_ns), now_ns))
			break;
	get_run->must_retry_soon |= blobs_swarm_is_held(get_run->swarm);
	if (get_run->requests.asked_cnt > 0)
		get_run->requests.look_ns = now_ns + LOOK_NS;
	else if (is_idle(get_run) && !blobs_get_run_is_stopping(get_run))
		starved(get_run, now_ns);
}
