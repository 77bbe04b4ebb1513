/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers to peers who ask for content.
 *
 *	on_request -> call_start: on the worker, from the page cache
 *		   -> call_run in a job, when a disk must be waited for
 *		   -> call_finish -> answer, which lends the call's buffer
 *		   -> span_done, when the peer has acknowledged it
 *
 * A call keeps its buffer from start to span_done, so the number of buffers
 * bounds what peers make us hold. A peer may hold as many as are free: one
 * that reads slowly or never has half of them, of several each has less, and
 * one that comes finds some. Beyond that the answer is BUSY with a time to
 * come back. Only what a share or a get of ours names is reachable.
 */
#include "content/serve/serve.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/pool.h"
#include "content/serve/buffers.h"
#include "content/content_state.h"
#include "content/manifest.h"
#include "content/serve/reach.h"
#include "content/serve/serve_call.h"
#include "store/store.h"

/* A buffer's turn is over in about a round trip: asking sooner only costs frames. */
#define BUSY_MS 50u
/* Locations of one content that are tried, and looked at, before it counts as absent. */
#define LOCATION_TRIES_MAX 16u
#define LOCATIONS_MAX	   256u
#define MANIFEST_BUFFERS   8u
/* At shut-down: how long to wait for one ended job before looking again. */
#define FREE_POLL_MS 20

struct serve {
	struct content *content;
	struct chunk_buffers buffers;
	struct arena arena;
	struct pool calls;
	uint8_t *manifest_buffers[MANIFEST_BUFFERS]; /* NULL: lent */
	uint32_t job_cnt;			     /* out */
	bool is_ended;				     /* freed with the last span that is lent */
	uint64_t served_byte_cnt, served_chunk_cnt, refused_busy_cnt, changed_cnt;
	struct serve_files files;
};

static void call_start(struct serve_call *call);

static void serve_destroy(struct serve *serve)
{
	serve_files_fini(&serve->files);
	chunk_buffers_fini(&serve->buffers);
	arena_close(&serve->arena);
	free(serve);
}

static const struct mesh_ops *mesh_ops(const struct serve *serve)
{
	return serve->content->params.mesh.ops;
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

static void call_free(struct serve_call *call)
{
	struct serve *serve = call->serve;

	if (call->file)
		serve_file_release(call->file);
	if (call->buffer && call->type == MESH_GET_MANIFEST)
		manifest_buffer_release(serve, call->buffer);
	else if (call->buffer)
		chunk_buffers_release(&serve->buffers, call->buffer);
	pool_release(&serve->calls, call);
	if (serve->is_ended && serve->calls.used_cnt == 0)
		serve_destroy(serve);
}

static void call_refuse(struct serve_call *call, enum mesh_code code, const char *text,
			uint64_t not_before_ms)
{
	if (call->incoming)
		mesh_ops(call->serve)->answer_error(call->incoming, code, text, not_before_ms);
	call_free(call);
}

static void call_refuse_busy(struct serve_call *call)
{
	call->serve->refused_busy_cnt++;
	call_refuse(call, MESH_CODE_BUSY, "busy", BUSY_MS);
}

static void span_done(void *arg)
{
	call_free(arg);
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
	if (call->is_settling && serve_file_settle(call->file, call->request.first))
		content_trust_file(call->serve->content, &call->file->object);
}

static void call_count(const struct serve_call *call)
{
	struct serve *serve = call->serve;

	if (call->type != MESH_GET_CHUNK && call->type != MESH_RANGE_PROOF)
		return;
	serve->served_chunk_cnt++;
	serve->served_byte_cnt += call->answer.len;
	reach_note_served(content_reach(serve->content), call->file->object.path, call->answer.len);
}

static void call_answer(struct serve_call *call)
{
	unsigned type = answer_type(call->type);
	uint8_t head[MESSAGE_HEAD_CAP];
	struct writer w = writer_of(head, sizeof(head));
	struct transport_span tail = {
		.data = call->buffer,
		.len = call->answer.len,
		.done = span_done,
		.arg = call,
	};

	message_answer_write_head(&w, type, &call->answer);
	/* The buffer has room after the hashes: 8,192 of them are one chunk. */
	tail.len += message_answer_write_end(type, &call->answer, call->buffer + call->answer.len);
	call_settle(call);
	call_count(call);
	if (mesh_ops(call->serve)->answer(call->incoming, type, head, writer_len(&w), &tail) < 0)
		call_free(call);
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

static void call_finish(struct serve_call *call)
{
	call_keep_open(call);
	if (!call->incoming) {
		call_free(call);
		return;
	}
	switch (call->err) {
	case 0:
		call_answer(call);
		return;
	case WEFT_ECHANGED:
		file_note_changed(call->serve, call->file);
		call->was_changed = true;
		serve_file_release(call->file);
		call->file = NULL;
		call_start(call); /* at another location, if there is one */
		return;
	case WEFT_EABSENT:
		call_refuse(call, MESH_CODE_ABSENT, "no such content here", 0);
		return;
	case WEFT_ETOOLARGE:
		call_refuse(call, MESH_CODE_TOO_LARGE, "too large to prove", 0);
		return;
	default:
		call_refuse(call, MESH_CODE_INTERNAL, "cannot read", 0);
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

static bool file_is_reachable(const struct serve *serve, const struct object_file *file)
{
	return reach_has_file(content_reach(serve->content), file);
}

struct location_search {
	struct serve_call *call;
	bool is_found;
};

/*
 * Goes on behind what the call has seen, to the first file worth trying. By
 * key, not by number: what was forgotten meanwhile is in the list no more.
 */
static bool location_seen(void *arg, const struct object_file *file)
{
	struct location_search *search = arg;
	struct serve_call *call = search->call;
	uint8_t key[OBJECT_ID_LEN];

	object_path_key(file->path, key);
	if (call->seen_cnt && memcmp(key, call->seen_key, sizeof(key)) <= 0)
		return true;
	if (call->seen_cnt == LOCATIONS_MAX)
		return false;
	call->seen_cnt++;
	memcpy(call->seen_key, key, sizeof(key));
	if (!file_is_reachable(call->serve, file))
		return true;
	search->is_found = !serve_files_has_changed(&call->serve->files, file);
	call->was_changed |= !search->is_found;
	return !search->is_found;
}

static int file_locate(struct serve_call *call)
{
	struct location_search search = {.call = call};
	struct serve *serve = call->serve;
	struct store_snapshot *snapshot;
	struct object_file object;
	int err = store_snapshot_open(call->store, &snapshot);

	if (err)
		return err;
	if (call->try_cnt++ < LOCATION_TRIES_MAX)
		err = object_locations_each(snapshot, call->request.id, &object, location_seen,
					    &search);
	store_snapshot_close(snapshot);
	if (err || !search.is_found)
		return err ? err : WEFT_EABSENT;
	call->file = serve_files_add(&serve->files, &object);
	call->fd = -1;
	return call->file ? 0 : WEFT_EFULL;
}

/* 0 with call->file, WEFT_EABSENT, WEFT_EFULL or an error. */
static int call_locate(struct serve_call *call)
{
	struct serve_file *file = serve_files_lookup(&call->serve->files, call->request.id);

	if (file && file_is_reachable(call->serve, &file->object)) {
		call->file = file;
		call->fd = file->fd;
		return 0;
	}
	if (file) {
		serve_file_drop(file);
		serve_file_release(file);
	}
	return file_locate(call);
}

static void call_submit(struct serve_call *call)
{
	call->job.run = call_run;
	call->job.done = call_done;
	if (jobs_submit(call->serve->content->params.jobs, &call->job) < 0) {
		call_refuse_busy(call);
		return;
	}
	call->serve->job_cnt++;
	mesh_ops(call->serve)->abandoned(call->incoming, call_abandoned, call);
}

static void call_start(struct serve_call *call)
{
	int err = call->type == MESH_GET_MANIFEST ? 0 : call_locate(call);

	if (err == WEFT_EABSENT && call->was_changed) {
		call_refuse(call, MESH_CODE_CHANGED, "the file is no longer what was shared", 0);
		return;
	}
	if (err == WEFT_EFULL) {
		call_refuse_busy(call);
		return;
	}
	if (!err && call->file)
		call_look_for_race(call);
	call->err = err ? err : serve_call_work(call, false);
	if (call->err == -EAGAIN)
		call_submit(call);
	else
		call_finish(call);
}

static uint32_t buffers_free_cnt(const struct serve *serve, bool is_manifest)
{
	uint32_t cnt = 0;

	if (!is_manifest)
		return serve->buffers.free_cnt;
	for (unsigned i = 0; i < MANIFEST_BUFFERS; i++)
		cnt += serve->manifest_buffers[i] != NULL;
	return cnt;
}

/* Does the asker of call hold fewer buffers of its kind than are free? */
static bool peer_has_room(struct serve_call *call)
{
	const struct serve *serve = call->serve;
	bool is_manifest = call->type == MESH_GET_MANIFEST;
	uint32_t free_cnt = buffers_free_cnt(serve, is_manifest), held_cnt = 0;
	const struct serve_call *other = NULL;

	/* All calls but this one together hold fewer: no need to look whose they are. */
	if (serve->calls.used_cnt <= free_cnt)
		return true;
	while ((other = pool_next(&serve->calls, other)))
		held_cnt += other->buffer && (other->type == MESH_GET_MANIFEST) == is_manifest &&
			    memcmp(other->peer_key, call->peer_key, MESH_KEY_LEN) == 0;
	return held_cnt < free_cnt;
}

static bool call_acquire_buffer(struct serve_call *call)
{
	struct serve *serve = call->serve;

	if (call->type == MESH_GET_MANIFEST) {
		call->buffer = manifest_buffer_acquire(serve);
		call->buffer_cap = MANIFEST_LEN_MAX;
	} else {
		call->buffer = chunk_buffers_acquire(&serve->buffers);
		call->buffer_cap = CHUNK_BUFFER_LEN;
	}
	return call->buffer != NULL;
}

static void on_request(void *ctx, const struct mesh_call *asked, uint64_t now_ns)
{
	struct serve *serve = ctx;
	const struct content *content = serve->content;
	struct message_request request;
	struct serve_call *call;

	(void)now_ns;
	if (message_request_parse(asked->type, asked->payload, asked->payload_len, &request) < 0) {
		mesh_ops(serve)->answer_error(asked->incoming, MESH_CODE_MALFORMED, "malformed", 0);
		return;
	}
	if (asked->type == MESH_GET_MANIFEST &&
	    !reach_has_manifest(content_reach(serve->content), request.id)) {
		mesh_ops(serve)->answer_error(asked->incoming, MESH_CODE_ABSENT,
					      "no such collection here", 0);
		return;
	}
	call = pool_acquire(&serve->calls);
	if (!call) {
		serve->refused_busy_cnt++;
		mesh_ops(serve)->answer_error(asked->incoming, MESH_CODE_BUSY, "busy", BUSY_MS);
		return;
	}
	call->serve = serve;
	call->store = content->params.store;
	call->incoming = asked->incoming;
	memcpy(call->peer_key, asked->peer_key, MESH_KEY_LEN);
	call->type = asked->type;
	call->request = request;
	if (peer_has_room(call) && call_acquire_buffer(call))
		call_start(call);
	else
		call_refuse_busy(call);
}

static int serve_register(struct serve *serve)
{
	static const unsigned types[] = {MESH_GET_MANIFEST, MESH_GET_CHUNK, MESH_GET_CHUNK_HASHES,
					 MESH_RANGE_PROOF};
	int err = 0;

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]) && !err; i++)
		err = mesh_ops(serve)->handle(serve->content->params.mesh.mesh, types[i],
					      on_request, serve);
	return err;
}

static int serve_lay_out(struct serve *serve)
{
	uint32_t buffer_cnt = serve->content->params.config.chunk_buffer_cnt;
	uint32_t call_cnt = buffer_cnt + MANIFEST_BUFFERS;
	int err = chunk_buffers_init(&serve->buffers, buffer_cnt);

	if (!err)
		err = arena_open(&serve->arena,
				 pool_footprint(sizeof(struct serve_call), call_cnt) +
					 MANIFEST_BUFFERS * (MANIFEST_LEN_MAX + 64u));
	if (!err)
		err = pool_init(&serve->calls, &serve->arena, sizeof(struct serve_call), call_cnt);
	for (unsigned i = 0; i < MANIFEST_BUFFERS && !err; i++) {
		serve->manifest_buffers[i] = arena_alloc(&serve->arena, MANIFEST_LEN_MAX);
		err = serve->manifest_buffers[i] ? 0 : WEFT_EFULL;
	}
	return err;
}

int serve_new(struct content *content, struct serve **out_serve)
{
	struct serve *serve = calloc(1, sizeof(*serve));
	int err;

	if (!serve)
		return -ENOMEM;
	serve->content = content;
	serve_files_init(&serve->files);
	err = serve_lay_out(serve);
	if (!err)
		err = serve_register(serve);
	if (err) {
		serve_free(serve);
		return err;
	}
	*out_serve = serve;
	return 0;
}

/* Jobs come back; what is lent to streams is given back when those are freed, maybe later. */
void serve_free(struct serve *serve)
{
	struct pollfd ready = {.events = POLLIN};

	if (!serve)
		return;
	ready.fd = jobs_fd(serve->content->params.jobs);
	while (serve->job_cnt > 0)
		if (jobs_reap(serve->content->params.jobs) == 0)
			(void)poll(&ready, ready.fd >= 0, FREE_POLL_MS);
	serve->is_ended = true;
	if (serve->calls.used_cnt == 0)
		serve_destroy(serve);
}

struct chunk_buffers *serve_buffers(struct serve *serve)
{
	return &serve->buffers;
}

void serve_forget_files(struct serve *serve)
{
	serve_files_drop_all(&serve->files);
}

void serve_fill_stats(const struct serve *serve, struct content_stats *stats)
{
	stats->served_byte_cnt += serve->served_byte_cnt;
	stats->served_chunk_cnt += serve->served_chunk_cnt;
	stats->refused_busy_cnt += serve->refused_busy_cnt;
	stats->changed_cnt += serve->changed_cnt;
	stats->chunk_buffer_used_cnt += serve->buffers.cap_cnt - serve->buffers.free_cnt;
}
