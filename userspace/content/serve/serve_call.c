/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call's way to its answer.
 *
 *	serve_call_start -> on the worker, from the page cache or from a buffer
 *			    that holds the chunk already
 *		   -> call_run in a job, when a disk must be waited for
 *		   -> or behind the call whose job reads the same chunk
 *		   -> call_finish -> answer, which lends the call's buffer
 *		   -> span_done, when the peer has acknowledged it
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "content/manifest.h"
#include "content/serve/reach.h"
#include "content/serve/serve_state.h"

struct serve_call *serve_call_new(struct serve *serve, const struct mesh_call *asked)
{
	struct serve_call *call = pool_acquire(&serve->calls);

	if (!call) {
		serve->refused_busy_cnt++;
		serve_mesh(serve)->answer_error(asked->incoming, MESH_CODE_BUSY, "busy",
						SERVE_BUSY_MS);
		return NULL;
	}
	call->serve = serve;
	call->store = serve->content->params.store;
	call->incoming = asked->incoming;
	memcpy(call->peer_key, asked->peer_key, MESH_KEY_LEN);
	call->type = asked->type;
	list_init(&call->waiting);
	return call;
}

static uint8_t *manifest_buffer_acquire(struct serve *serve)
{
	for (unsigned i = 0; i < MANIFEST_BUFFERS; i++) {
		uint8_t *buffer = serve->manifest_buffers[i];

		serve->manifest_buffers[i] = NULL;
		if (buffer)
			return buffer;
	}
	return NULL;
}

static void manifest_buffer_release(struct serve *serve, uint8_t *buffer)
{
	unsigned i = 0;

	while (serve->manifest_buffers[i])
		i++;
	serve->manifest_buffers[i] = buffer;
}

/* --- one reader for all who ask the same chunk --- */

static void waiting_take(struct chunk_buffer *shared, struct list_node *out_calls)
{
	list_init(out_calls);
	while (!list_is_empty(&shared->waiting)) {
		struct list_node *node = shared->waiting.next;

		list_unlink(node);
		list_push_back(out_calls, node);
	}
}

/* The reader gives up: who waited for it begins again, the first as the next reader. */
static void reader_leave(struct serve_call *call)
{
	struct chunk_buffers *buffers = &call->serve->buffers;
	struct chunk_buffer *shared = chunk_buffers_at(buffers, call->buffer);
	struct list_node calls;

	call->is_reader = false;
	waiting_take(shared, &calls);
	chunk_buffers_unname(buffers, shared);
	while (!list_is_empty(&calls)) {
		struct serve_call *other = list_entry(calls.next, struct serve_call, waiting);

		list_unlink(&other->waiting);
		chunk_buffers_release(buffers, other->buffer);
		other->buffer = NULL;
		serve_leave_place(other);
		serve_call_start(other);
	}
}

static void call_free(struct serve_call *call)
{
	struct serve *serve = call->serve;

	if (call->is_reader)
		reader_leave(call);
	uploads_end(&serve->uploads, &call->upload, serve->now_ns);
	serve_leave_place(call);
	if (call->buffer && call->type == MESH_GET_MANIFEST)
		manifest_buffer_release(serve, call->buffer);
	else if (call->buffer)
		chunk_buffers_release(&serve->buffers, call->buffer);
	pool_release(&serve->calls, call);
	serve_try_destroy(serve);
}

void serve_call_drop(struct serve_call *call)
{
	call_free(call);
}

void serve_call_refuse(struct serve_call *call, enum mesh_code code, const char *text,
		       uint64_t not_before_ms)
{
	if (call->incoming)
		serve_mesh(call->serve)->answer_error(call->incoming, code, text, not_before_ms);
	call->incoming = NULL;
	call_free(call);
}

void serve_call_refuse_busy(struct serve_call *call)
{
	call->serve->refused_busy_cnt++;
	serve_call_refuse(call, MESH_CODE_BUSY, "busy", SERVE_BUSY_MS);
}

static void span_done(void *arg)
{
	call_free(arg);
}

void serve_call_send(struct serve_call *call, unsigned type, const void *head, size_t head_len,
		     size_t len)
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
			chunk < manifest_chunk_cnt(file->object.stamp.size) &&
			serve_file_is_racy(file, chunk);
	if (!call->is_racy)
		return;
	wall_s = content_wall_s(call->serve->content);
	call->is_settling =
		!object_stamp_is_racy(&file->object.stamp, (int64_t)(wall_s * NS_PER_S));
}

static void call_settle(const struct serve_call *call)
{
	if (call->file && call->is_settling && serve_file_settle(call->file, call->request.first))
		content_trust_file(call->serve->content, &call->file->object);
}

static void call_count(struct serve_call *call)
{
	struct serve *serve = call->serve;

	if (call->type != MESH_GET_CHUNK && call->type != MESH_RANGE_PROOF)
		return;
	serve->served_chunk_cnt++;
	serve->served_byte_cnt += call->answer.len;
	uploads_sent(&serve->uploads, &call->upload, call->answer.len, serve->now_ns);
	usage_note(&serve->peer_usage, call->peer_key, call->answer.len, 1, serve->now_ns);
	usage_note(&serve->content_usage, call->request.id, call->answer.len, 1, serve->now_ns);
	if (call->file)
		reach_note_served(content_reach(serve->content), call->file->object.path,
				  call->answer.len);
}

static void call_answer(struct serve_call *call)
{
	unsigned type = answer_type(call->type);
	uint8_t head[MESSAGE_HEAD_CAP];
	struct writer w = writer_of(head, sizeof(head));
	size_t len = call->answer.len;

	message_answer_write_head(&w, type, &call->answer);
	/* The buffer has room after the hashes: 8,192 of them are one chunk. */
	len += message_answer_write_end(type, &call->answer, call->buffer + len);
	call_settle(call);
	call_count(call);
	serve_call_send(call, type, head, writer_len(&w), len);
}

/* Answers call from a buffer that another one filled. */
static void call_answer_shared(struct serve_call *call, const struct chunk_buffer *shared)
{
	call->serve->shared_read_cnt++;
	call->is_settling = false;
	call->answer = (struct message_answer){.first = call->request.first, .len = shared->len};
	memcpy(call->answer.id, call->request.id, sizeof(call->answer.id));
	if (call->incoming)
		call_answer(call);
	else
		call_free(call);
}

/* What the reader read is there for all. Its own answer comes first. */
static void reader_finish(struct serve_call *call)
{
	struct chunk_buffers *buffers = &call->serve->buffers;
	struct chunk_buffer *shared = chunk_buffers_at(buffers, call->buffer);
	struct list_node calls;

	shared->len = call->answer.len;
	shared->is_filled = true;
	call->is_reader = false;
	waiting_take(shared, &calls);
	while (!list_is_empty(&calls)) {
		struct serve_call *other = list_entry(calls.next, struct serve_call, waiting);

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
	serve_file_drop(file);
	serve->changed_cnt++;
	content_forget_file(serve->content, &file->object);
}

/* What the call opened stays with its file for others, unless one was faster. */
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
	serve_leave_place(call);
	serve_call_start(call); /* at another location, if there is one */
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
		serve_call_refuse(call, MESH_CODE_ABSENT, "no such content here", 0);
		return;
	case WEFT_ETOOLARGE:
		serve_call_refuse(call, MESH_CODE_TOO_LARGE, "too large to prove", 0);
		return;
	default:
		serve_call_refuse(call, MESH_CODE_INTERNAL, "cannot read", 0);
		return;
	}
}

static void call_run(struct job *job)
{
	struct serve_call *call = (struct serve_call *)job;

	call->err = serve_call_work(call, true);
}

static void call_done(struct job *job)
{
	struct serve_call *call = (struct serve_call *)job;

	call->serve->job_cnt--;
	call_finish(call);
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

static void call_submit(struct serve_call *call)
{
	if (call->file && call->type == MESH_GET_CHUNK)
		call->ahead_cnt = serve_file_ahead(call->file, call->request.first);
	call->job.run = call_run;
	call->job.done = call_done;
	if (jobs_submit(call->serve->content->params.jobs, &call->job) < 0) {
		serve_call_refuse_busy(call);
		return;
	}
	call->serve->job_cnt++;
	call_watch_asker(call);
}

static void call_work(struct serve_call *call)
{
	call->err = serve_call_work(call, false);
	if (call->err == -EAGAIN)
		call_submit(call);
	else
		call_finish(call);
}

/* --- a buffer for the answer --- */

static uint32_t buffers_free_cnt(const struct serve *serve, bool is_manifest)
{
	uint32_t cnt = 0;

	if (!is_manifest)
		return serve->buffers.free_cnt;
	for (unsigned i = 0; i < MANIFEST_BUFFERS; i++)
		cnt += serve->manifest_buffers[i] != NULL;
	return cnt;
}

static uint32_t peer_held_cnt(const struct serve_call *call)
{
	const struct serve *serve = call->serve;
	bool is_manifest = call->type == MESH_GET_MANIFEST;
	const struct serve_call *other = NULL;
	uint32_t held_cnt = 0;

	while ((other = pool_next(&serve->calls, other)))
		held_cnt += other->buffer && (other->type == MESH_GET_MANIFEST) == is_manifest &&
			    memcmp(other->peer_key, call->peer_key, MESH_KEY_LEN) == 0;
	return held_cnt;
}

/* Does the asker of call hold fewer of its kind than are free? */
static bool peer_has_room(const struct serve_call *call, uint32_t free_cnt)
{
	/* All calls but this one together hold fewer: no need to look whose they are. */
	return call->serve->calls.used_cnt <= free_cnt || peer_held_cnt(call) < free_cnt;
}

bool serve_call_acquire_buffer(struct serve_call *call)
{
	struct serve *serve = call->serve;
	bool is_manifest = call->type == MESH_GET_MANIFEST;

	if (call->buffer)
		return true;
	if (!peer_has_room(call, buffers_free_cnt(serve, is_manifest)))
		return false;
	call->buffer = is_manifest ? manifest_buffer_acquire(serve)
				   : chunk_buffers_acquire(&serve->buffers);
	call->buffer_cap = is_manifest ? MANIFEST_LEN_MAX : CHUNK_BUFFER_LEN;
	return call->buffer != NULL;
}

static void call_read(struct serve_call *call, const struct chunk_name *name)
{
	struct chunk_buffers *buffers = &call->serve->buffers;

	if (!serve_call_acquire_buffer(call)) {
		serve_call_refuse_busy(call);
		return;
	}
	if (name && !call->is_reader) {
		chunk_buffers_name(buffers, chunk_buffers_at(buffers, call->buffer), name);
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
 * The chunk is in a buffer, or on its way into one. A file that is open is
 * looked at all the same: one that changed is found out as early as ever.
 */
static void call_share(struct serve_call *call, struct chunk_buffer *shared,
		       const struct chunk_name *name)
{
	struct serve *serve = call->serve;
	uint32_t calls_free_cnt = serve->calls.cap_cnt - serve->calls.used_cnt;

	bool has_room = peer_has_room(call, calls_free_cnt);

	call->buffer = shared->bytes;
	if (!has_room) {
		serve_call_refuse_busy(call);
		return;
	}
	if (!shared->is_filled) {
		call_wait(call, shared);
		return;
	}
	call->err = serve_call_recheck(call);
	if (!call->err) {
		call_answer_shared(call, shared);
		return;
	}
	chunk_buffers_unname(&serve->buffers, shared);
	chunk_buffers_release(&serve->buffers, shared->bytes);
	call->buffer = NULL;
	if (call->err == WEFT_ECHANGED)
		call_changed(call);
	else
		call_read(call, name);
}

static bool call_is_of_a_chunk(const struct serve_call *call)
{
	uint64_t chunk_cnt = call->partial ? call->partial->chunk_cnt
			     : call->file  ? manifest_chunk_cnt(call->file->object.stamp.size)
					   : 0;

	return call->type == MESH_GET_CHUNK && call->request.first < chunk_cnt;
}

static void chunk_start(struct serve_call *call)
{
	struct chunk_name name = {.chunk = call->request.first};
	struct chunk_buffer *shared;

	memcpy(name.content_id, call->request.id, sizeof(name.content_id));
	shared = call->is_reader ? NULL : chunk_buffers_find(&call->serve->buffers, &name);
	if (shared)
		call_share(call, shared, &name);
	else
		call_read(call, &name);
}

void serve_call_start(struct serve_call *call)
{
	int err = call->type == MESH_GET_MANIFEST ? 0 : serve_locate(call);

	if (err == WEFT_EABSENT && call->was_changed) {
		serve_call_refuse(call, MESH_CODE_CHANGED, "the file is no longer what was shared",
				  0);
		return;
	}
	if (err == WEFT_EFULL) {
		serve_call_refuse_busy(call);
		return;
	}
	if (err) {
		call->err = err;
		call_finish(call);
		return;
	}
	if (call->file)
		call_look_for_race(call);
	if (call_is_of_a_chunk(call))
		chunk_start(call);
	else
		call_read(call, NULL);
}
