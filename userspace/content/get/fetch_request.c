/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests of a get to its swarm: each to the member that is expected to
 * answer soonest, for what fetch_pick.c finds it should be asked for. When
 * no member has what is missing and none is expected, the get ends.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "codec/zbase32.h"
#include "content/get/fetch.h"

#define LOOK_NS	     (250 * NS_PER_MS) /* between two looks at late answers */
#define STARVED_NS   NS_PER_S
#define GROUP_CHUNKS (BLAKE3_CHUNK_LEN / BLAKE3_GROUP_LEN)

void fetch_answered(struct fetch *fetch, size_t len, uint64_t now_ns)
{
	fetch->get->gets->now_ns = now_ns;
	fetch->get->view.received_byte_cnt += len;
	fetch->get->gets->received_byte_cnt += len;
}

void fetch_swarm_failed(struct fetch *fetch, int err, const char *detail)
{
	if (err == WEFT_EWRONGKEY)
		memcpy(fetch->get->view.actual_key, swarm_wrong_key(fetch->swarm), MESH_KEY_LEN);
	fetch_stop(fetch, err, "%s", detail);
}

/* --- slots --- */

void fetch_slot_free(struct fetch_slot *slot)
{
	if (slot->buffer)
		chunk_buffers_release(serve_buffers(slot->fetch->content->serve), slot->buffer);
	slot->buffer = NULL;
	if (slot->has_fd)
		close(slot->fd);
	slot->has_fd = false;
	slot->is_used = false;
}

static bool slot_is_asked(const struct fetch_slot *slot)
{
	return slot->is_used && slot->ask.swarm;
}

/* The other request for the same, or NULL. */
static struct fetch_slot *slot_twin(const struct fetch_slot *slot)
{
	struct fetch *fetch = slot->fetch;

	for (uint32_t i = 0; i < fetch->slot_cnt; i++) {
		struct fetch_slot *other = &fetch->slots[i];

		if (other != slot && slot_is_asked(other) && other->kind == slot->kind &&
		    other->item == slot->item && other->idx == slot->idx)
			return other;
	}
	return NULL;
}

void fetch_slot_again(struct fetch_slot *slot)
{
	struct fetch *fetch = slot->fetch;

	fetch_wake(fetch);
	if (slot_twin(slot)) {
		fetch_slot_free(slot);
		return;
	}
	switch (slot->kind) {
	case SLOT_WHOLE:
		fetch->items[slot->item].state = ITEM_NEEDED;
		fetch->needed_len += fetch_manifest_item(fetch, slot->item)->size;
		if (slot->item < fetch->need_idx)
			fetch->need_idx = slot->item;
		break;
	case SLOT_CHUNK:
		fetch_file_again(slot->file, slot->idx);
		break;
	case SLOT_LIST:
		slot->file->list_is_asked = false;
		break;
	case SLOT_PROOF:
		fetch_range_again(fetch, slot->part);
		break;
	}
	fetch_slot_free(slot);
}

void fetch_slot_bad(struct fetch_slot *slot)
{
	struct fetch *fetch = slot->fetch;
	struct swarm_fault fault = {.item = slot->item, .chunk = slot->ask.chunk};

	memcpy(fault.key, slot->from_key, sizeof(fault.key));
	fetch_slot_again(slot);
	swarm_blame(fetch->swarm, &fault, fetch->get->gets->now_ns);
}

static const uint8_t *slot_content_id(const struct fetch_slot *slot)
{
	return fetch_manifest_item(slot->fetch, slot->item)->content_id;
}

static unsigned slot_request_type(const struct fetch_slot *slot)
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

/* The length the bytes must have, as far as it is known before they are verified. */
static bool slot_answer_fits(void *arg, const struct message_answer *answer)
{
	const struct fetch_slot *slot = arg;

	switch (slot->kind) {
	case SLOT_WHOLE:
		return answer->len == fetch_manifest_item(slot->fetch, slot->item)->size;
	case SLOT_CHUNK:
		return answer->len == fetch_file_chunk_len(slot->file, slot->idx);
	case SLOT_LIST:
		return fetch_file_list_check(slot->file, answer);
	case SLOT_PROOF:
		break;
	}
	return answer->total == fetch_manifest_item(slot->fetch, slot->item)->size;
}

void fetch_ready(struct fetch_slot *slot)
{
	slot->next = NULL;
	*slot->fetch->ready_end = slot;
	slot->fetch->ready_end = &slot->next;
}

/* Who was asked for the same and is slower need not go on. */
static void twin_cancel(const struct fetch_slot *slot)
{
	struct fetch_slot *twin = slot_twin(slot);

	if (!twin)
		return;
	swarm_cancel(&twin->ask);
	twin->fetch->asked_cnt--;
	fetch_slot_free(twin);
}

static void slot_failed(struct fetch_slot *slot, const struct swarm_answer *answer)
{
	struct fetch *fetch = slot->fetch;
	bool is_list = slot->kind == SLOT_LIST;
	struct fetch_file *file = slot->file;

	fetch_slot_again(slot);
	if (is_list && slot->ask.from)
		fetch_file_list_failed(file);
	else if (is_list)
		fetch_swarm_failed(fetch, answer->err, answer->detail);
}

static void on_answer(void *arg, const struct swarm_answer *answer, uint64_t now_ns)
{
	struct fetch_slot *slot = arg;
	struct fetch *fetch = slot->fetch;

	fetch->get->gets->now_ns = now_ns;
	fetch->asked_cnt--;
	fetch_wake(fetch);
	if (answer->err) {
		slot_failed(slot, answer);
		return;
	}
	fetch_answered(fetch, answer->message.len, now_ns);
	twin_cancel(slot);
	memcpy(slot->from_key, answer->from_key, sizeof(slot->from_key));
	if (slot->kind == SLOT_LIST) {
		memcpy(slot->file->list_key, slot->from_key, sizeof(slot->from_key));
		fetch_file_list_arrived(slot->file, &answer->message);
		fetch_slot_free(slot);
		return;
	}
	slot->bytes = answer->message.bytes;
	slot->len = answer->message.len;
	fetch_ready(slot);
}

static bool holds_buffer(const struct fetch *fetch)
{
	for (uint32_t i = 0; i < fetch->slot_cnt; i++)
		if (fetch->slots[i].is_used)
			return true;
	return false;
}

/* A quarter of the buffers is left to peers who ask us, but for one to go on with. */
static uint8_t *buffer_acquire(struct fetch *fetch)
{
	struct chunk_buffers *buffers = serve_buffers(fetch->content->serve);

	if (buffers->free_cnt == 0 ||
	    (buffers->free_cnt <= buffers->cap_cnt / 4 && holds_buffer(fetch))) {
		fetch->must_retry_soon = true;
		return NULL;
	}
	return chunk_buffers_acquire(buffers);
}

/* A slot with a buffer, or NULL. */
static struct fetch_slot *slot_acquire(struct fetch *fetch)
{
	for (uint32_t i = 0; i < fetch->slot_cnt; i++) {
		struct fetch_slot *slot = &fetch->slots[i];

		if (slot->is_used)
			continue;
		slot->fetch = fetch;
		slot->buffer = buffer_acquire(fetch);
		slot->is_used = slot->buffer != NULL;
		return slot->is_used ? slot : NULL;
	}
	return NULL;
}

/* 0 or what swarm_ask says; from NULL: whoever has it. */
static int slot_ask(struct fetch_slot *slot, struct swarm_member *from, uint64_t now_ns)
{
	struct fetch *fetch = slot->fetch;
	const struct manifest_item *item = fetch_manifest_item(fetch, slot->item);
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
		.check = slot_answer_fits,
		.done = on_answer,
		.arg = slot,
	};
	if (slot->kind == SLOT_PROOF)
		slot->ask.request.cnt = fetch_range_groups(fetch, slot->part);
	memcpy(slot->ask.request.id, slot_content_id(slot), sizeof(slot->ask.request.id));
	slot->expect_for_ns = from ? swarm_member_cost(from) : LOOK_NS;
	slot->expect_ns = now_ns + slot->expect_for_ns;
	err = swarm_ask(fetch->swarm, &slot->ask, now_ns);
	if (err)
		return err;
	if (from)
		memcpy(slot->from_key, swarm_member_key(from), sizeof(slot->from_key));
	fetch->asked_cnt++;
	return 0;
}

static void lists_ask(struct fetch *fetch, uint64_t now_ns)
{
	for (unsigned i = 0; i < FETCH_FILES_MAX && fetch->step == FETCH_ITEMS; i++) {
		struct swarm_member *from = NULL;
		struct fetch_slot *slot = slot_acquire(fetch);

		if (!slot)
			return;
		if (!fetch_pick_list(fetch, slot)) {
			fetch_slot_free(slot);
			return;
		}
		if (slot->file->hash_cnt > 0)
			from = swarm_lookup(fetch->swarm, slot->file->list_key);
		if (slot->file->hash_cnt > 0 && !from)
			fetch_file_list_failed(slot->file);
		slot->idx = slot->file->hash_cnt;
		if (slot_ask(slot, from, now_ns) < 0) {
			fetch->must_retry_soon = true;
			fetch_slot_again(slot);
			return;
		}
	}
}

/* An empty file has no bytes to ask for; its item is ready as it is. */
static bool slot_is_empty_file(const struct fetch_slot *slot)
{
	return slot->kind == SLOT_WHOLE && fetch_manifest_item(slot->fetch, slot->item)->size == 0;
}

/* One more request, to member or one that needs nobody; false: there is nothing to do for now. */
static bool member_ask(struct fetch *fetch, struct swarm_member *member, uint64_t now_ns)
{
	struct fetch_slot *slot = slot_acquire(fetch);
	int err;

	if (!slot)
		return false;
	if (!fetch_pick(fetch, slot, member, now_ns)) {
		fetch_slot_free(slot);
		if (member)
			swarm_skip(fetch->swarm, member);
		return member != NULL;
	}
	fetch->get->view.state = CONTENT_GET_FETCHING;
	if (slot_is_empty_file(slot)) {
		slot->bytes = slot->buffer;
		slot->len = 0;
		fetch_ready(slot);
		fetch_wake(fetch);
		return true;
	}
	err = slot_ask(slot, member, now_ns);
	if (!err)
		return true;
	fetch_slot_again(slot);
	fetch->must_retry_soon |= err == WEFT_EFULL;
	swarm_skip(fetch->swarm, member);
	return err != WEFT_EFULL;
}

/* Nothing is under way and nothing could be asked for: is it worth waiting? */
static void starved(struct fetch *fetch, uint64_t now_ns)
{
	const char *detail;
	int err;

	if (swarm_outlook(fetch->swarm, now_ns) == SWARM_WAITING) {
		fetch->look_ns = now_ns + STARVED_NS;
		return;
	}
	err = swarm_failure(fetch->swarm, &detail);
	fetch_swarm_failed(fetch, err, detail);
}

static bool is_idle(const struct fetch *fetch)
{
	bool is_done = fetch->step == FETCH_RANGE ? fetch->range_done_cnt == fetch->range_part_cnt
						  : fetch->done_cnt == fetch->item_cnt;

	return fetch->asked_cnt == 0 && fetch->out_cnt == 0 && !fetch->ready &&
	       !fetch->must_retry_soon && !is_done && !timer_is_set(&fetch->timer);
}

/* The limit of downloads holds what would be asked for next. */
static bool is_held(struct fetch *fetch, uint64_t now_ns)
{
	if (content_download_ns(fetch->content, now_ns) <= now_ns)
		return false;
	fetch->must_retry_soon = true;
	return true;
}

void fetch_requests_run(struct fetch *fetch, uint64_t now_ns)
{
	const struct get *get = fetch->get;
	uint32_t cap = fetch->content->params.config.chunks_in_flight;

	/* Half as much for each step below the highest that runs. */
	if (get->view.priority < get->gets->top_priority)
		cap >>= get->gets->top_priority - get->view.priority;
	cap += cap == 0;
	fetch->look_ns = 0;
	fetch_count(fetch, now_ns);
	lists_ask(fetch, now_ns);
	swarm_round(fetch->swarm);
	while (fetch->asked_cnt < cap && !fetch_is_stopping(fetch) && !is_held(fetch, now_ns))
		if (!member_ask(fetch, swarm_best(fetch->swarm, now_ns), now_ns))
			break;
	fetch->must_retry_soon |= swarm_is_held(fetch->swarm);
	if (fetch->asked_cnt > 0)
		fetch->look_ns = now_ns + LOOK_NS;
	else if (is_idle(fetch) && !fetch_is_stopping(fetch))
		starved(fetch, now_ns);
}
