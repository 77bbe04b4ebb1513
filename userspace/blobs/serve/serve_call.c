/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call's way to its answer.
 *
 *	blobs_serve_call_start -> on the worker, from the page cache or from a buffer
 *			    that holds the chunk already
 *		   -> or waits for a buffer, and starts again (buffer_queue.c)
 *		   -> call_run in a job, when a disk must be waited for
 *		   -> or behind the call whose job reads the same chunk
 *		   -> call_finish -> answer, which lends the call's buffer
 *		   -> span_done, when the peer has acknowledged it
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/monotonic.h"
#include "blobs/blobs_state.h"
#include "blobs/manifest/manifest.h"
#include "served_index.h"
#include "serve_state.h"

/* For an asker that not even a call was left for. */
#define BUSY_NOT_BEFORE_MS 1000u

struct serve_call *blobs_serve_call_new(struct serve *serve, const struct mesh_call *asked)
{
	struct serve_call *call = pool_acquire(&serve->calls);

	if (!call) {
		serve->refused_busy_cnt++;
		serve_mesh(serve)->hurry(serve->content->params.mesh.mesh);
		serve_mesh(serve)->note_refused(asked->incoming, "calls that serve content",
						BUSY_NOT_BEFORE_MS);
		serve_mesh(serve)->answer_error(asked->incoming, MESH_CODE_BUSY, "busy",
						BUSY_NOT_BEFORE_MS);
		return NULL;
	}
	call->serve = serve;
	call->store = serve->content->params.store;
	call->incoming = asked->incoming;
	memcpy(call->peer_key, asked->peer_key, MESH_KEY_LEN);
	serve_mesh(serve)->asker_path(asked->incoming, &call->path);
	serve_mesh(serve)->asker_addr(asked->incoming, &call->asker_addr);
	call->type = asked->type;
	call->asked_ns = serve->now_ns;
	list_init(&call->waiting);
	list_init(&call->user);
	return call;
}

static struct chunk_buffers *buffers_of(const struct serve_call *call)
{
	return call->type == MESH_GET_MANIFEST ? &call->serve->manifests : &call->serve->buffers;
}

static struct buffer_queue *queue_of(const struct serve_call *call)
{
	return call->type == MESH_GET_MANIFEST ? &call->serve->manifest_queue
					       : &call->serve->chunk_queue;
}

struct fair *blobs_serve_call_slots(const struct serve_call *call)
{
	return queue_of(call)->slots;
}

static void call_pay(struct serve_call *call)
{
	struct fair_item *victim;
	enum fair_verdict verdict = fair_take(blobs_serve_call_slots(call), &call->path,
					      &call->slot, call->serve->now_ns, &victim);

	weft_assert(verdict == FAIR_TAKEN); /* there are as many slots as calls */
}

/* A buffer counts against one of the calls that use it: the first, then the oldest left. */
static void call_use_buffer(struct serve_call *call, uint8_t *bytes)
{
	struct chunk_buffer *buffer = blobs_chunk_buffers_at(buffers_of(call), bytes);
	bool is_first = list_is_empty(&buffer->users);

	call->buffer = bytes;
	call->has_turn = false;
	list_push_back(&buffer->users, &call->user);
	if (is_first)
		call_pay(call);
}

static void call_leave_buffer(struct serve_call *call)
{
	struct chunk_buffer *buffer;
	bool has_paid = fair_item_holds(&call->slot);

	if (!call->buffer)
		return;
	buffer = blobs_chunk_buffers_at(buffers_of(call), call->buffer);
	list_unlink(&call->user);
	fair_release(blobs_serve_call_slots(call), &call->slot, call->serve->now_ns);
	if (has_paid && !list_is_empty(&buffer->users))
		call_pay(container_of(buffer->users.next, struct serve_call, user));
	call->buffer = NULL;
	blobs_chunk_buffers_release(buffers_of(call), buffer->bytes);
}

/* --- one reader for all calls for the same chunk --- */

static void waiting_take(struct chunk_buffer *shared, struct list_node *out_calls)
{
	list_init(out_calls);
	while (!list_is_empty(&shared->waiting)) {
		struct list_node *node = shared->waiting.next;

		list_unlink(node);
		list_push_back(out_calls, node);
	}
}

/* The reader gives up: calls that waited for it start again, the first as the next reader. */
static void reader_leave(struct serve_call *call)
{
	struct chunk_buffers *buffers = buffers_of(call);
	struct chunk_buffer *shared = blobs_chunk_buffers_at(buffers, call->buffer);
	struct list_node calls;

	call->is_reader = false;
	waiting_take(shared, &calls);
	blobs_chunk_buffers_unname(buffers, shared);
	while (!list_is_empty(&calls)) {
		struct serve_call *other = container_of(calls.next, struct serve_call, waiting);

		list_unlink(&other->waiting);
		call_leave_buffer(other);
		blobs_serve_leave_place(other);
		blobs_serve_call_start(other);
	}
}

static void call_free(struct serve_call *call)
{
	struct serve *serve = call->serve;

	if (call->is_reader)
		reader_leave(call);
	blobs_buffer_queue_leave(queue_of(call), call);
	blobs_uploads_end(&serve->uploads, &call->upload, serve->now_ns);
	blobs_serve_leave_place(call);
	call_leave_buffer(call);
	pool_release(&serve->calls, call);
	blobs_serve_try_destroy(serve);
}

void blobs_serve_call_drop(struct serve_call *call)
{
	call_free(call);
}

void blobs_serve_call_refuse(struct serve_call *call, enum mesh_code code, const char *text,
			     uint64_t not_before_ms)
{
	if (call->incoming)
		serve_mesh(call->serve)->answer_error(call->incoming, code, text, not_before_ms);
	call->incoming = NULL;
	call_free(call);
}

void blobs_serve_call_refuse_busy(struct serve_call *call, struct fair *pool)
{
	struct serve *serve = call->serve;
	uint32_t wait_ms = fair_not_before_ms(pool, &call->path, serve->now_ns);

	serve->refused_busy_cnt++;
	serve_mesh(serve)->hurry(serve->content->params.mesh.mesh);
	if (call->incoming)
		serve_mesh(serve)->note_refused(call->incoming, pool->config.name, wait_ms);
	blobs_serve_call_refuse(call, MESH_CODE_BUSY, "busy", wait_ms);
}

static void span_done(void *arg)
{
	call_free(arg);
}

void blobs_serve_call_send(struct serve_call *call, unsigned type, const void *head,
			   size_t head_len, size_t len)
{
	struct transport_span tail = {
		.data = call->buffer, .len = len, .done = span_done, .arg = call};
	struct mesh_incoming *incoming = call->incoming;

	call->incoming = NULL;
	if (serve_mesh(call->serve)->answer(incoming, type, head, head_len, &tail) < 0)
		call_free(call);
}

static unsigned answer_type(unsigned request_type)
{
	return request_type == MESH_RANGE_PROOF ? MESH_RANGE_PROOF : request_type + 1;
}

/* Before the bytes are read: a write that comes after leaves another stamp. */
static void call_look_for_race(struct serve_call *call)
{
	const struct serve_file *file = call->file;
	uint64_t chunk = call->request.first;
	uint64_t wall_s;

	call->is_racy = call->type == MESH_GET_CHUNK &&
			chunk < blobs_manifest_chunk_cnt(file->object.stamp.size) &&
			blobs_serve_file_is_racy(file, chunk);
	if (!call->is_racy)
		return;
	wall_s = blobs_wall_s(call->serve->content);
	call->is_settling =
		!blobs_object_stamp_is_racy(&file->object.stamp, (int64_t)(wall_s * NS_PER_S));
}

static void call_settle(const struct serve_call *call)
{
	if (call->file && call->is_settling &&
	    blobs_serve_file_settle(call->file, call->request.first))
		blobs_trust_file(call->serve->content, &call->file->object);
}

static void call_count(struct serve_call *call)
{
	struct serve *serve = call->serve;

	if (call->type != MESH_GET_CHUNK && call->type != MESH_RANGE_PROOF)
		return;
	serve->served_chunk_cnt++;
	serve->served_byte_cnt += call->answer.len;
	blobs_uploads_sent(&serve->uploads, &call->upload, call->answer.len, serve->now_ns);
	blobs_usage_note(&serve->peer_usage, call->peer_key, call->answer.len, 1, serve->now_ns);
	blobs_tell_sent(serve->content, call->peer_key, call->answer.len);
	blobs_usage_note(&serve->content_usage, call->request.id, call->answer.len, 1,
			 serve->now_ns);
	if (call->file)
		blobs_served_index_note_served(blobs_served_index(serve->content),
					       &call->file->object, call->answer.len);
}

static void call_answer(struct serve_call *call)
{
	unsigned type = answer_type(call->type);
	uint8_t head[MESSAGE_HEAD_CAP];
	struct writer w = writer_of(head, sizeof(head));
	size_t len = call->answer.len;

	if (call->asked_by.is_blind)
		memcpy(call->answer.id, call->asked_by.half, sizeof(call->answer.id));
	blobs_message_answer_write_head(&w, type, &call->answer);
	/* The buffer has room after the hashes: 8,192 of them are one chunk. */
	len += blobs_message_answer_write_end(type, &call->answer, call->buffer + len);
	call_settle(call);
	call_count(call);
	blobs_serve_call_send(call, type, head, writer_len(&w), len);
}

/* Answers call from a buffer that another one filled. */
static void call_answer_shared(struct serve_call *call, const struct chunk_buffer *shared)
{
	call->serve->shared_read_cnt++;
	call->is_settling = false;
	call->answer = (struct message_answer){
		.first = call->request.first, .len = shared->len, .total = shared->total};
	memcpy(call->answer.id, call->request.id, sizeof(call->answer.id));
	if (call->incoming)
		call_answer(call);
	else
		call_free(call);
}

/* The bytes that the reader read are there for all. Its own answer comes first. */
static void reader_finish(struct serve_call *call)
{
	struct chunk_buffers *buffers = buffers_of(call);
	struct chunk_buffer *shared = blobs_chunk_buffers_at(buffers, call->buffer);
	struct list_node calls;

	shared->len = call->answer.len;
	shared->total = call->answer.total;
	shared->is_filled = true;
	call->is_reader = false;
	waiting_take(shared, &calls);
	while (!list_is_empty(&calls)) {
		struct serve_call *other = container_of(calls.next, struct serve_call, waiting);

		list_unlink(&other->waiting);
		call_answer_shared(other, shared);
	}
}

/* Once for a file, however many calls find it out. */
static void file_note_changed(struct serve *serve, struct serve_file *file)
{
	if (file->is_stale)
		return;
	file->is_changed = true;
	blobs_serve_file_drop(file);
	serve->changed_cnt++;
	blobs_forget_file(serve->content, &file->object);
}

/* The descriptor that the call opened stays with its file for others, unless one was faster. */
static void call_keep_open(struct serve_call *call)
{
	struct serve_file *file = call->file;

	if (!file || call->fd < 0 || call->fd == file->fd)
		return;
	if (file->fd >= 0)
		close(call->fd);
	else
		file->fd = call->fd;
	call->fd = file->fd;
}

static void call_changed(struct serve_call *call)
{
	file_note_changed(call->serve, call->file);
	call->was_changed = true;
	blobs_serve_leave_place(call);
	blobs_serve_call_start(call); /* at another location, if there is one */
}

static void call_finish(struct serve_call *call)
{
	call_keep_open(call);
	if (!call->err && call->is_reader) {
		call->serve->read_byte_cnt += call->answer.len;
		reader_finish(call);
	}
	if (!call->incoming) {
		call_free(call);
		return;
	}
	switch (call->err) {
	case 0:
		call_answer(call);
		return;
	case WEFT_ECHANGED:
		call_changed(call);
		return;
	case WEFT_EABSENT:
		blobs_serve_call_refuse(call, MESH_CODE_ABSENT, "no such content here", 0);
		return;
	case WEFT_ETOOLARGE:
		blobs_serve_call_refuse(call, MESH_CODE_TOO_LARGE, "too large to prove", 0);
		return;
	default:
		blobs_serve_call_refuse(call, MESH_CODE_INTERNAL, "cannot read", 0);
		return;
	}
}

static void call_run(struct job *job)
{
	struct serve_call *call = (struct serve_call *)job;

	call->err = blobs_serve_call_work(call, true);
}

static void call_abandoned(void *arg)
{
	struct serve_call *call = arg;

	call->incoming = NULL;
}

static void call_watch_asker(struct serve_call *call)
{
	if (call->incoming)
		serve_mesh(call->serve)->abandoned(call->incoming, call_abandoned, call);
}

static void call_done(struct job *job);

/* A proof has its room. */
static void call_begin_job(struct serve_call *call)
{
	if (call->file && call->type == MESH_GET_CHUNK)
		call->ahead_cnt = blobs_serve_file_ahead(call->file, call->request.first);
	call->job.run = call_run;
	call->job.done = call_done;
	if (jobs_submit(call->serve->content->params.jobs, &call->job) < 0) {
		blobs_serve_proof_leave(call);
		blobs_serve_call_refuse_busy(call, blobs_serve_call_slots(call));
		return;
	}
	call->serve->job_cnt++;
	call_watch_asker(call);
}

static void call_submit(struct serve_call *call)
{
	if (call->type == MESH_RANGE_PROOF && !blobs_serve_proof_enter(call))
		call_watch_asker(call);
	else
		call_begin_job(call);
}

/* Proofs that waited for a room, but those whose askers left. */
static void proofs_go_on(struct serve *serve)
{
	struct serve_call *call;

	while ((call = blobs_serve_proof_next(&serve->proofs))) {
		if (call->incoming)
			call_submit(call);
		else
			call_free(call);
	}
}

static void call_done(struct job *job)
{
	struct serve_call *call = (struct serve_call *)job;
	struct serve *serve = call->serve;

	serve->job_cnt--;
	blobs_serve_proof_leave(call);
	call_finish(call);
	proofs_go_on(serve);
}

static void call_work(struct serve_call *call)
{
	call->err = blobs_serve_call_work(call, false);
	if (call->err == -EAGAIN)
		call_submit(call);
	else
		call_finish(call);
}

/* --- a buffer for the answer --- */

/* One more buffer may be in use for call. */
static bool call_is_admitted(const struct serve_call *call)
{
	return (call->has_turn && buffers_of(call)->free_cnt > 0) ||
	       blobs_buffer_queue_admits(queue_of(call), call);
}

bool blobs_serve_call_acquire_buffer(struct serve_call *call)
{
	struct chunk_buffers *buffers = buffers_of(call);

	if (call->buffer)
		return true;
	if (!call_is_admitted(call)) {
		blobs_buffer_queue_put(queue_of(call), call);
		return false;
	}
	call->buffer_cap = buffers->buffer_len;
	call_use_buffer(call, blobs_chunk_buffers_acquire(buffers));
	return true;
}

static void call_read(struct serve_call *call)
{
	struct chunk_buffers *buffers = buffers_of(call);

	if (!blobs_serve_call_acquire_buffer(call))
		return;
	if (call->is_named && !call->is_reader) {
		blobs_chunk_buffers_name(buffers, blobs_chunk_buffers_at(buffers, call->buffer),
					 &call->name);
		call->is_reader = true;
	}
	call_work(call);
}

static void call_wait(struct serve_call *call, struct chunk_buffer *shared)
{
	list_push_back(&shared->waiting, &call->waiting);
	call_watch_asker(call);
}

/*
 * The bytes are in a buffer, or on their way into one. A file that is open is
 * looked at all the same: one that changed is found out as early as ever.
 */
static void call_share(struct serve_call *call, struct chunk_buffer *shared)
{
	struct chunk_buffers *buffers = buffers_of(call);

	call_use_buffer(call, shared->bytes);
	if (!shared->is_filled) {
		call_wait(call, shared);
		return;
	}
	/* A manifest or a chunk list is as its id says; a file may change. */
	call->err = call->type == MESH_GET_CHUNK ? blobs_serve_call_recheck(call) : 0;
	if (!call->err) {
		call_answer_shared(call, shared);
		return;
	}
	blobs_chunk_buffers_unname(buffers, shared);
	call_leave_buffer(call);
	if (call->err == WEFT_ECHANGED)
		call_changed(call);
	else
		call_read(call);
}

/* Above all numbers of chunks: what else of a content a buffer may be named for. */
#define NAME_MANIFEST  UINT64_MAX
#define NAME_LIST      ((uint64_t)1 << 63)
#define NAME_CNT_SHIFT 48

/* The name of what call asks for; false: it is no one else's answer too. */
static bool call_name(const struct serve_call *call, struct chunk_name *out_name)
{
	uint64_t chunk_cnt = call->partial ? call->partial->chunk_cnt
			     : call->file  ? blobs_manifest_chunk_cnt(call->file->object.stamp.size)
					   : 0;
	uint64_t first = call->request.first, cnt = call->request.cnt;

	memcpy(out_name->content_id, call->request.id, sizeof(out_name->content_id));
	out_name->chunk = first;
	if (call->type == MESH_GET_CHUNK)
		return first < chunk_cnt;
	if (call->type == MESH_GET_MANIFEST) {
		out_name->chunk = NAME_MANIFEST;
		return true;
	}
	out_name->chunk = NAME_LIST | cnt << NAME_CNT_SHIFT | first;
	return call->type == MESH_GET_CHUNK_HASHES && first < chunk_cnt && cnt > 0 &&
	       cnt <= MESSAGE_HASHES_MAX;
}

static void named_start(struct serve_call *call)
{
	struct chunk_buffers *buffers = buffers_of(call);
	const struct chunk_buffer *shared =
		call->is_reader ? NULL : blobs_chunk_buffers_peek(buffers, &call->name);

	if (!shared)
		call_read(call);
	/* A buffer without a user is free, whatever bytes it has. */
	else if (shared->use_cnt == 0 && !call_is_admitted(call))
		blobs_buffer_queue_put(queue_of(call), call);
	else
		call_share(call, blobs_chunk_buffers_find(buffers, &call->name));
}

void blobs_serve_call_start(struct serve_call *call)
{
	int err;

	if (call->type == MESH_HOLDERS) {
		blobs_serve_members_start(call);
		return;
	}
	err = call->type == MESH_GET_MANIFEST ? 0 : blobs_serve_locate(call);
	if (err == WEFT_EABSENT && call->was_changed) {
		blobs_serve_call_refuse(call, MESH_CODE_CHANGED,
					"the file is no longer what was shared", 0);
		return;
	}
	if (err == WEFT_EFULL) {
		blobs_serve_call_refuse_busy(call, blobs_serve_call_slots(call));
		return;
	}
	if (err) {
		call->err = err;
		call_finish(call);
		return;
	}
	if (call->file)
		call_look_for_race(call);
	call->is_named = call_name(call, &call->name);
	if (call->is_named)
		named_start(call);
	else
		call_read(call);
}
