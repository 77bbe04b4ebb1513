/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests of a get to the node its link names: which is next, and what
 * to make of it when none is answered.
 *
 * A failure of the way (nobody answers, the session went, too slow) or of
 * the moment (busy) is met by waiting longer and longer, and given up when
 * the node was never reached or has not answered for long. A failure of
 * substance (it has not got it, it changed, the key is wrong) ends the get.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "codec/zbase32.h"
#include "content/get/fetch.h"

#define BACKOFF_NS	(300 * NS_PER_MS)
#define BACKOFF_MAX_NS	(8 * NS_PER_S)
#define BUSY_NS		(50 * NS_PER_MS)
#define GIVE_UP_NS	(120 * NS_PER_S)
#define FIRST_TRIES_MAX 2u /* of a node that was never reached in this run */
#define BAD_MAX		3u /* answers that do not verify */

/* A node's name in a sentence: its first letters are enough to know it by. */
static const char *peer_name(const struct fetch *fetch, char text[static ZBASE32_KEY_TEXT_CAP])
{
	zbase32_write(fetch->get->link.node_key, MESH_KEY_LEN, text);
	text[8] = '\0';
	return text;
}

struct mesh_request *fetch_ask(struct fetch *fetch, struct mesh_ask *ask, uint64_t now_ns)
{
	const struct content_params *params = &fetch->content->params;
	const struct link *link = &fetch->get->link;
	struct mesh_request *request;
	int err;

	memcpy(ask->peer.key, link->node_key, sizeof(ask->peer.key));
	ask->peer.addrs = link->addrs;
	ask->peer.addr_cnt = link->addr_cnt;
	ask->timeout_ns = params->config.request_timeout_ns;
	ask->stall_ns = params->config.stall_ns;
	/* A manifest is as long as a few chunks, and may take as long. */
	ask->progress_len = BLAKE3_CHUNK_LEN;
	if (memcmp(link->node_key, params->own_key, sizeof(link->node_key)) == 0) {
		fetch_stop(fetch, WEFT_EABSENT, "the link is of this node, which has it no longer");
		return NULL;
	}
	err = params->mesh.ops->ask(params->mesh.mesh, ask, now_ns, &request);
	/* EREFUSED: this node drains; the get must be active still when it starts again. */
	if (err == WEFT_EFULL || err == WEFT_EREFUSED) {
		fetch->must_retry_soon = true;
		return NULL;
	}
	if (err) {
		fetch_stop(fetch, err, "the link gives no address of its node: %s",
			   weft_err_text(err));
		return NULL;
	}
	return request;
}

void fetch_answered(struct fetch *fetch, size_t len, uint64_t now_ns)
{
	fetch->has_reached = true;
	fetch->fail_cnt = 0;
	fetch->progress_ns = now_ns;
	fetch->get->view.received_byte_cnt += len;
	fetch->get->gets->received_byte_cnt += len;
	if (fetch->ask_cap < fetch->content->params.config.chunks_in_flight)
		fetch->ask_cap++;
}

void fetch_peer_bad(struct fetch *fetch)
{
	char name[ZBASE32_KEY_TEXT_CAP];

	fetch->get->view.bad_chunk_cnt++;
	fetch->get->gets->bad_chunk_cnt++;
	get_tell(fetch->get, CONTENT_PEER_BAD, WEFT_EDAMAGED, "bytes that do not match");
	if (++fetch->bad_cnt >= BAD_MAX)
		fetch_stop(fetch, WEFT_EDAMAGED, "node %s serves bytes that do not match",
			   peer_name(fetch, name));
}

static void wait_until(struct fetch *fetch, uint64_t at_ns)
{
	if (at_ns > fetch->not_before_ns)
		fetch->not_before_ns = at_ns;
}

/* Many requests fail at once when a session goes: that is one failure. */
static void way_failed(struct fetch *fetch, const struct mesh_reply *reply, uint64_t now_ns)
{
	uint64_t backoff_ns = BACKOFF_NS << (fetch->fail_cnt < 5 ? fetch->fail_cnt : 5);
	bool is_over = fetch->has_reached ? now_ns - fetch->progress_ns >= GIVE_UP_NS
					  : fetch->fail_cnt + 1 >= FIRST_TRIES_MAX;
	char name[ZBASE32_KEY_TEXT_CAP];

	if (now_ns < fetch->not_before_ns)
		return;
	if (is_over) {
		fetch_stop(fetch, reply->err, "node %s: %s; resume when it is back",
			   peer_name(fetch, name), weft_err_text(reply->err));
		return;
	}
	fetch->fail_cnt++;
	if (reply->err == WEFT_ETIMEOUT && fetch->ask_cap > 1)
		fetch->ask_cap /= 2;
	wait_until(fetch, now_ns + (backoff_ns < BACKOFF_MAX_NS ? backoff_ns : BACKOFF_MAX_NS));
}

static void key_wrong(struct fetch *fetch, const struct mesh_reply *reply)
{
	char want[ZBASE32_KEY_TEXT_CAP], got[ZBASE32_KEY_TEXT_CAP] = "another key";

	zbase32_write(fetch->get->link.node_key, MESH_KEY_LEN, want);
	if (reply->actual_key) {
		memcpy(fetch->get->view.actual_key, reply->actual_key, MESH_KEY_LEN);
		zbase32_write(reply->actual_key, MESH_KEY_LEN, got);
	}
	fetch_stop(fetch, WEFT_EWRONGKEY, "wanted node %s, but %s answers there", want, got);
}

static void moment_failed(struct fetch *fetch, const struct mesh_reply *reply, uint64_t now_ns)
{
	char name[ZBASE32_KEY_TEXT_CAP];

	if (now_ns - fetch->progress_ns >= GIVE_UP_NS) {
		fetch_stop(fetch, reply->err, "node %s is too busy; resume later",
			   peer_name(fetch, name));
		return;
	}
	wait_until(fetch, reply->not_before_ns > now_ns ? reply->not_before_ns : now_ns + BUSY_NS);
}

void fetch_failed(struct fetch *fetch, const struct mesh_reply *reply, const char *what,
		  uint64_t now_ns)
{
	char name[ZBASE32_KEY_TEXT_CAP];

	switch (reply->code) {
	case MESH_CODE_ABSENT:
		fetch_stop(fetch, WEFT_EABSENT, "node %s has not got %s", peer_name(fetch, name),
			   what);
		return;
	case MESH_CODE_CHANGED:
		fetch_stop(fetch, WEFT_ECHANGED, "%s has changed on node %s since it was shared",
			   what, peer_name(fetch, name));
		return;
	case MESH_CODE_BUSY:
	case MESH_CODE_REFUSED:
		fetch->has_reached = true;
		moment_failed(fetch, reply, now_ns);
		return;
	case MESH_CODE_MALFORMED:
	case MESH_CODE_UNKNOWN:
	case MESH_CODE_TOO_LARGE:
		fetch_stop(fetch, reply->err, "node %s refuses to send %s: %s",
			   peer_name(fetch, name), what, weft_err_text(reply->err));
		return;
	case MESH_CODE_INTERNAL:
	case MESH_CODE_TIMEOUT:
		way_failed(fetch, reply, now_ns);
		return;
	}
	if (reply->err == WEFT_EWRONGKEY)
		key_wrong(fetch, reply);
	else if (reply->err == WEFT_EMALFORMED || reply->err == WEFT_ETOOLARGE)
		fetch_peer_bad(fetch);
	else if (reply->err == WEFT_EREFUSED || reply->err == WEFT_EBUSY)
		moment_failed(fetch, reply, now_ns);
	else
		way_failed(fetch, reply, now_ns);
}

/* --- slots --- */

void fetch_slot_free(struct fetch_slot *slot)
{
	if (slot->buffer)
		chunk_buffers_release(serve_buffers(slot->fetch->content->serve), slot->buffer);
	slot->buffer = NULL;
	slot->is_used = false;
}

void fetch_slot_again(struct fetch_slot *slot)
{
	struct fetch *fetch = slot->fetch;

	switch (slot->kind) {
	case SLOT_WHOLE:
		fetch->items[slot->item].state = ITEM_NEEDED;
		if (slot->item < fetch->need_idx)
			fetch->need_idx = slot->item;
		break;
	case SLOT_CHUNK:
		slot->file->chunks[slot->idx] = CHUNK_MISSING;
		if (slot->idx < slot->file->next_chunk)
			slot->file->next_chunk = slot->idx;
		break;
	case SLOT_LIST:
		slot->file->list_is_asked = false;
		break;
	case SLOT_PROOF:
		fetch_range_again(fetch, slot->part);
		break;
	}
	fetch_slot_free(slot);
	fetch_wake(fetch);
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

static unsigned slot_answer_type(const struct fetch_slot *slot)
{
	switch (slot->kind) {
	case SLOT_LIST:
		return MESH_CHUNK_HASH_LIST;
	case SLOT_PROOF:
		return MESH_RANGE_PROOF;
	default:
		return MESH_CHUNK_DATA;
	}
}

/* The length the bytes must have, as far as it is known before they are verified. */
static bool slot_answer_fits(const struct fetch_slot *slot, const struct message_answer *answer)
{
	switch (slot->kind) {
	case SLOT_WHOLE:
		return answer->len == fetch_manifest_item(slot->fetch, slot->item)->size;
	case SLOT_CHUNK:
		return answer->len == fetch_file_chunk_len(slot->file, slot->idx);
	case SLOT_LIST:
		return answer->total == slot->file->chunk_cnt;
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

static void slot_take_answer(struct fetch_slot *slot, const struct mesh_reply *reply)
{
	struct fetch *fetch = slot->fetch;
	struct message_answer answer;

	if (message_answer_parse(slot_answer_type(slot), reply->payload, reply->payload_len,
				 &answer) < 0 ||
	    memcmp(answer.id, slot_content_id(slot), sizeof(answer.id)) != 0 ||
	    answer.first != slot->idx || !slot_answer_fits(slot, &answer)) {
		fetch_slot_again(slot);
		fetch_peer_bad(fetch);
		return;
	}
	if (slot->kind == SLOT_LIST) {
		fetch_file_list_arrived(slot->file, &answer);
		fetch_slot_free(slot);
		return;
	}
	slot->bytes = answer.bytes;
	slot->len = answer.len;
	fetch_ready(slot);
}

static void on_reply(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct fetch_slot *slot = arg;
	struct fetch *fetch = slot->fetch;
	char path[OBJECT_PATH_LEN_MAX];

	fetch->get->gets->now_ns = now_ns;
	slot->request = NULL;
	fetch->asked_cnt--;
	fetch_wake(fetch);
	if (!reply->err) {
		fetch_answered(fetch, reply->payload_len, now_ns);
		slot_take_answer(slot, reply);
		return;
	}
	fetch_item_path(fetch, slot->item, path);
	fetch_slot_again(slot);
	fetch_failed(fetch, reply, path, now_ns);
}

/* --- what is next --- */

static bool pick_list(struct fetch *fetch, struct fetch_slot *slot)
{
	for (unsigned i = 0; i < FETCH_FILES_MAX; i++) {
		struct fetch_file *file = &fetch->files[i];

		if (file->step != FILE_LIST || file->list_is_asked)
			continue;
		file->list_is_asked = true;
		slot->kind = SLOT_LIST;
		slot->file = file;
		slot->item = file->item;
		slot->idx = file->hash_cnt;
		return true;
	}
	return false;
}

static bool pick_chunk(struct fetch *fetch, struct fetch_slot *slot)
{
	for (unsigned i = 0; i < FETCH_FILES_MAX; i++) {
		struct fetch_file *file = &fetch->files[i];

		if (file->step != FILE_CHUNKS)
			continue;
		while (file->next_chunk < file->chunk_cnt &&
		       file->chunks[file->next_chunk] != CHUNK_MISSING)
			file->next_chunk++;
		if (file->next_chunk == file->chunk_cnt)
			continue;
		slot->kind = SLOT_CHUNK;
		slot->file = file;
		slot->item = file->item;
		slot->idx = file->next_chunk++;
		file->chunks[slot->idx] = CHUNK_ASKED;
		return true;
	}
	return false;
}

/* An item of at most one chunk; a larger one gets a fetch_file on the way. */
static bool pick_item(struct fetch *fetch, struct fetch_slot *slot)
{
	for (; fetch->need_idx < fetch->item_cnt; fetch->need_idx++) {
		uint32_t at = fetch->need_idx;
		struct fetch_item *item = &fetch->items[at];

		if (item->state == ITEM_NEW || item->state == ITEM_CHECKING)
			return false; /* what is behind it is not checked either */
		if (item->state != ITEM_NEEDED)
			continue;
		if (fetch_manifest_item(fetch, at)->size > BLAKE3_CHUNK_LEN) {
			if (fetch_file_start(fetch, at) < 0)
				return false;
			if (pick_list(fetch, slot)) {
				fetch->need_idx++;
				return true;
			}
			continue;
		}
		item->state = ITEM_ASKED;
		slot->kind = SLOT_WHOLE;
		slot->file = NULL;
		slot->item = at;
		slot->idx = 0;
		fetch->need_idx++;
		return true;
	}
	return false;
}

static bool slot_pick(struct fetch *fetch, struct fetch_slot *slot)
{
	if (fetch->step == FETCH_RANGE)
		return fetch_range_pick(fetch, slot);
	return pick_list(fetch, slot) || pick_chunk(fetch, slot) || pick_item(fetch, slot);
}

static struct fetch_slot *slot_unused(struct fetch *fetch)
{
	for (uint32_t i = 0; i < fetch->slot_cnt; i++)
		if (!fetch->slots[i].is_used)
			return &fetch->slots[i];
	return NULL;
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

static bool slot_ask(struct fetch_slot *slot, uint64_t now_ns)
{
	struct fetch *fetch = slot->fetch;
	struct message_request request = {.first = slot->idx, .cnt = MESSAGE_HASHES_MAX};
	uint8_t payload[MESSAGE_REQUEST_CAP];
	struct mesh_ask ask = {
		.type = slot_request_type(slot),
		.payload = payload,
		.reply_buf = slot->buffer,
		.reply_cap = CHUNK_BUFFER_LEN,
		.reply = on_reply,
		.arg = slot,
	};

	if (slot->kind == SLOT_PROOF)
		request.cnt = fetch_range_groups(fetch, slot->part);
	memcpy(request.id, slot_content_id(slot), sizeof(request.id));
	ask.payload_len = message_request_write(ask.type, &request, payload);
	slot->request = fetch_ask(fetch, &ask, now_ns);
	if (slot->request)
		fetch->asked_cnt++;
	return slot->request != NULL;
}

/* An empty file has no bytes to ask for; its item is ready as it is. */
static bool slot_is_empty_file(const struct fetch_slot *slot)
{
	return slot->kind == SLOT_WHOLE && fetch_manifest_item(slot->fetch, slot->item)->size == 0;
}

void fetch_requests_run(struct fetch *fetch, uint64_t now_ns)
{
	while (fetch->asked_cnt < fetch->ask_cap && now_ns >= fetch->not_before_ns &&
	       !fetch_is_stopping(fetch)) {
		struct fetch_slot *slot = slot_unused(fetch);

		if (!slot)
			return;
		slot->fetch = fetch;
		slot->buffer = buffer_acquire(fetch);
		if (!slot->buffer)
			return;
		slot->is_used = true;
		if (!slot_pick(fetch, slot)) {
			fetch_slot_free(slot);
			return;
		}
		fetch->get->view.state = CONTENT_GET_FETCHING;
		if (slot_is_empty_file(slot)) {
			slot->bytes = slot->buffer;
			slot->len = 0;
			fetch_ready(slot);
			fetch_wake(fetch);
		} else if (!slot_ask(slot, now_ns)) {
			fetch_slot_again(slot);
			return;
		}
	}
}
