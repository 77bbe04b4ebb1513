/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers to peers that ask for content: a request becomes a call
 * (serve_call.c) or is refused.
 *
 * A call keeps its buffer until the peer has acknowledged the answer, so the number of buffers
 * bounds the memory that peers can hold. Calls that are answered from the same bytes share a
 * buffer, which is charged to one of them. While no call waits, a key may hold as many as are
 * free, its address three times, its network seven times as many. So a newcomer finds some.
 * Beyond that calls wait for their turn (buffer_queue.h), a few seconds at most. Answers that no
 * peer takes are soon given up. Only content that a share or a get of this node names is
 * reachable.
 */
#include "serve.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fair/fair_path.h"
#include "base/random.h"
#include "blobs/blobs_state.h"
#include "blobs/manifest/manifest.h"
#include "served_index.h"
#include "serve_state.h"

void blobs_serve_try_destroy(struct serve *serve)
{
	if (!serve->is_ended || serve->calls.used_cnt > 0 || blobs_have_table_is_lent(serve->haves))
		return;
	blobs_serve_files_fini(&serve->files);
	blobs_chunk_buffers_fini(&serve->buffers);
	blobs_chunk_buffers_fini(&serve->manifests);
	arena_close(&serve->arena);
	free(serve);
}

static bool blind_lets(void *ctx, const uint8_t id[static 32], const uint8_t key[static 32])
{
	struct serve *serve = ctx;

	return blobs_admits(serve->content, id, key);
}

/* A plain id says nothing in a community whose ids are blinded, to any peer. */
static bool plain_lets(void *ctx, const uint8_t id[static 32], const uint8_t key[static 32])
{
	struct serve *serve = ctx;

	return blobs_admits(serve->content, id, key) &&
	       !blobs_is_blind(serve->content, id, serve->now_ns);
}

struct served_reader blobs_serve_reader(struct serve *serve, const uint8_t key[static MESH_KEY_LEN],
					const struct serve_name *name)
{
	return (struct served_reader){.key = key,
				      .admits = name->is_blind ? blind_lets : plain_lets,
				      .ctx = serve,
				      .community = name->is_blind ? name->community : NULL};
}

void blobs_serve_unblind(struct serve *serve, uint8_t id[static 32],
			 const uint8_t veiled[static 32], struct serve_name *out_name)
{
	uint8_t blind[BLIND_ID_LEN];

	memcpy(blind, id, 32);
	memcpy(blind + 32, veiled, 32);
	out_name->is_blind =
		blobs_unblind(serve->content, blind, serve->now_ns, id, out_name->community);
	memcpy(out_name->half, blind, sizeof(out_name->half));
}

struct in_progress_reader {
	const struct served_index *served_index;
	const struct served_reader *reader;
};

static bool in_progress_file_lets(void *arg, const uint8_t manifest_id[static 32])
{
	const struct in_progress_reader *at = arg;

	return blobs_served_index_gives_manifest(at->served_index, manifest_id, at->reader);
}

struct in_progress_file *blobs_serve_in_progress_find(const struct serve *serve,
						      const uint8_t id[static 32],
						      const struct served_reader *reader)
{
	struct in_progress_reader at = {blobs_served_index(serve->content), reader};

	return blobs_in_progress_find(&serve->in_progress, id, in_progress_file_lets, &at);
}

static void on_request(void *ctx, const struct mesh_call *asked, uint64_t now_ns)
{
	struct serve *serve = ctx;
	struct serve_name name = {.is_blind = false};
	struct message_request request;
	struct served_reader reader;
	struct serve_call *call;

	serve->now_ns = now_ns;
	if (blobs_message_request_parse(asked->type, asked->payload, asked->payload_len, &request) <
	    0) {
		serve_mesh(serve)->answer_error(asked->incoming, MESH_CODE_MALFORMED, "malformed",
						0);
		return;
	}
	if (request.is_blind)
		blobs_serve_unblind(serve, request.id, request.veiled, &name);
	reader = blobs_serve_reader(serve, asked->peer_key, &name);
	if (asked->type == MESH_GET_MANIFEST &&
	    !blobs_served_index_gives_manifest(blobs_served_index(serve->content), request.id,
					       &reader)) {
		serve_mesh(serve)->answer_error(asked->incoming, MESH_CODE_ABSENT,
						"no such collection here", 0);
		return;
	}
	call = blobs_serve_call_new(serve, asked);
	if (!call)
		return;
	call->request = request;
	call->asked_by = name;
	blobs_serve_call_admit(call);
}

static int serve_register(struct serve *serve)
{
	static const struct {
		unsigned type;
		mesh_handler_fn handler;
	} rows[] = {
		{MESH_GET_MANIFEST, on_request},
		{MESH_GET_CHUNK, on_request},
		{MESH_GET_CHUNK_HASHES, on_request},
		{MESH_RANGE_PROOF, on_request},
		{MESH_HAVE_CONTENT, blobs_serve_have_asked},
		{MESH_HOLDERS, blobs_serve_members_asked},
	};
	int err = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) && !err; i++)
		err = serve_mesh(serve)->handle(serve->content->params.mesh.mesh, rows[i].type,
						rows[i].handler, serve);
	return err;
}

static uint32_t calls_max(uint32_t chunk_buffer_cnt)
{
	return SERVE_CALLS_PER_BUFFER * chunk_buffer_cnt + MANIFEST_BUFFERS;
}

/* Buffers are lent to streams and not taken back, so no part is reserved: fair_may_hold. */
static struct fair_config slots_config(const char *name, uint32_t call_cnt)
{
	return (struct fair_config){.name = name,
				    .kind = FAIR_WORK,
				    .cap_cnt = call_cnt,
				    .level_cnt = FAIR_PEER_LEVELS};
}

static void buffers_released(void *arg)
{
	blobs_buffer_queue_wake(arg);
}

static int queues_init(struct serve *serve, const uint64_t secret[2])
{
	const struct buffer_queue_params chunks = {"calls waiting for chunk buffers", serve,
						   &serve->buffers, &serve->chunk_slots};
	const struct buffer_queue_params manifests = {"calls waiting for manifest buffers", serve,
						      &serve->manifests, &serve->manifest_slots};
	int err = blobs_buffer_queue_init(&serve->chunk_queue, &serve->arena, &chunks, secret);

	if (!err)
		err = blobs_buffer_queue_init(&serve->manifest_queue, &serve->arena, &manifests,
					      secret);
	serve->buffers.released = serve->manifests.released = buffers_released;
	serve->buffers.released_arg = &serve->chunk_queue;
	serve->manifests.released_arg = &serve->manifest_queue;
	return err;
}

static int serve_lay_out(struct serve *serve, uint32_t buffer_cnt, struct random *random)
{
	uint64_t secret[2] = {0};
	uint32_t call_cnt = calls_max(buffer_cnt);
	struct fair_config chunks = slots_config("calls with chunk buffers", call_cnt);
	struct fair_config manifests = slots_config("calls with manifest buffers", call_cnt);
	int err = blobs_chunk_buffers_init(&serve->buffers, buffer_cnt, CHUNK_BUFFER_LEN);

	if (!err)
		err = blobs_chunk_buffers_init(&serve->manifests, MANIFEST_BUFFERS,
					       MANIFEST_LEN_MAX);
	if (!err)
		err = arena_open(&serve->arena, ARENA_GROWS);
	if (!err)
		err = pool_init(&serve->calls, &serve->arena, sizeof(struct serve_call), call_cnt);
	if (random)
		random_fill(random, secret, sizeof(secret));
	if (!err)
		err = fair_init(&serve->chunk_slots, &serve->arena, &chunks, secret);
	if (!err)
		err = fair_init(&serve->manifest_slots, &serve->arena, &manifests, secret);
	if (!err)
		err = queues_init(serve, secret);
	if (!err)
		err = blobs_members_init(&serve->members, &serve->arena, secret);
	if (!err)
		err = blobs_usage_init(&serve->peer_usage, &serve->arena, secret);
	if (!err)
		err = blobs_usage_init(&serve->content_usage, &serve->arena, secret);
	if (!err)
		err = blobs_uploads_init(&serve->uploads, &serve->arena, secret);
	if (!err)
		err = blobs_have_table_init(serve, secret);
	if (!err)
		err = blobs_serve_proofs_init(serve, secret);
	arena_fit(&serve->arena);
	return err;
}

size_t blobs_serve_footprint(uint32_t chunk_buffer_cnt)
{
	struct serve *serve = calloc(1, sizeof(*serve));
	size_t len = 0;

	if (!serve)
		return 0;
	if (serve_lay_out(serve, chunk_buffer_cnt, NULL) == 0)
		len = serve->buffers.arena.used_len + serve->manifests.arena.used_len +
		      serve->arena.used_len;
	blobs_chunk_buffers_fini(&serve->buffers);
	blobs_chunk_buffers_fini(&serve->manifests);
	arena_close(&serve->arena);
	free(serve);
	return len;
}

int blobs_serve_new(struct blobs *content, struct serve **out_serve)
{
	struct serve *serve = calloc(1, sizeof(*serve));
	int err;

	if (!serve)
		return -ENOMEM;
	serve->content = content;
	serve->mesh = content->params.mesh.ops;
	serve->now_ns = content->params.now_ns;
	blobs_serve_files_init(&serve->files);
	blobs_in_progress_init(&serve->in_progress);
	blobs_serve_limits_init(serve);
	err = serve_lay_out(serve, content->params.config.chunk_buffer_cnt, content->params.random);
	if (!err)
		err = serve_register(serve);
	if (err) {
		blobs_serve_free(serve);
		return err;
	}
	*out_serve = serve;
	return 0;
}

/* Jobs come back; what is lent to streams is given back when those are freed, maybe later. */
void blobs_serve_free(struct serve *serve)
{
	if (!serve)
		return;
	blobs_serve_limits_fini(serve);
	blobs_buffer_queue_fini(&serve->chunk_queue);
	blobs_buffer_queue_fini(&serve->manifest_queue);
	blobs_in_progress_fini(&serve->in_progress);
	/* Calls that wait for rooms go on as those that have one end. */
	while (serve->job_cnt > 0 || blobs_have_table_has_jobs(serve->haves))
		jobs_reap_wait(serve->content->params.jobs);
	blobs_have_table_stop(serve->haves);
	serve->is_ended = true;
	blobs_serve_try_destroy(serve);
}

struct chunk_buffers *blobs_serve_buffers(struct serve *serve)
{
	return &serve->buffers;
}

void blobs_serve_note_member(struct serve *serve, const struct blobs_member *member,
			     uint64_t now_ns)
{
	blobs_members_note(&serve->members, member, now_ns);
}

unsigned blobs_serve_member_cnt(const struct serve *serve, const uint8_t id[static 32])
{
	return blobs_members_cnt(&serve->members, id);
}

unsigned blobs_serve_members(struct serve *serve, const uint8_t id[static 32], uint64_t now_ns,
			     struct message_holder *out)
{
	blobs_members_expire(&serve->members, now_ns);
	return blobs_members_list(&serve->members, id, serve->content->params.own_key, out);
}

struct in_progress *blobs_serve_in_progress(struct serve *serve)
{
	return &serve->in_progress;
}

void blobs_serve_forget_files(struct serve *serve)
{
	blobs_serve_files_drop_all(&serve->files);
}

static struct addr slots_largest(const struct fair *slots)
{
	const struct fair_item *item = fair_largest(slots);

	return item ? container_of(item, struct serve_call, slot)->asker_addr
		    : (struct addr){.family = ADDR_NONE};
}

static struct addr places_largest(const struct fair *places)
{
	const struct fair_item *item = fair_largest(places);

	return item ? container_of(item, struct serve_call, place)->asker_addr
		    : (struct addr){.family = ADDR_NONE};
}

static struct addr proofs_largest(const struct fair *slots)
{
	const struct fair_item *item = fair_largest(slots);

	return item ? container_of(item, struct serve_call, proof_slot)->asker_addr
		    : (struct addr){.family = ADDR_NONE};
}

void blobs_serve_fill_stats(const struct serve *serve, struct blobs_stats *stats)
{
	stats->served_byte_cnt += serve->served_byte_cnt;
	stats->served_chunk_cnt += serve->served_chunk_cnt;
	stats->shared_read_cnt += serve->shared_read_cnt;
	stats->read_byte_cnt += serve->read_byte_cnt;
	stats->refused_busy_cnt += serve->refused_busy_cnt;
	stats->changed_cnt += serve->changed_cnt;
	stats->chunk_buffer_used_cnt += serve->buffers.cap_cnt - serve->buffers.free_cnt;
	stats->member_cap = MEMBERS_MAX;
	stats->member_cnt = (uint32_t)serve->members.pool.used_cnt;
	stats->member_evicted_cnt = serve->members.evicted_cnt;
	stats->manifest_buffer_cap = serve->manifests.cap_cnt;
	stats->manifest_buffer_used_cnt = serve->manifests.cap_cnt - serve->manifests.free_cnt;
	fair_read(&serve->chunk_slots, &stats->pools[BLOBS_POOL_CHUNKS]);
	fair_read(&serve->manifest_slots, &stats->pools[BLOBS_POOL_MANIFESTS]);
	fair_read(&serve->proofs.slots, &stats->pools[BLOBS_POOL_PROOFS]);
	blobs_have_table_read(serve->haves, &stats->pools[BLOBS_POOL_HAVES],
			      &stats->pools_largest[BLOBS_POOL_HAVES]);
	stats->pools_largest[BLOBS_POOL_PROOFS] = proofs_largest(&serve->proofs.slots);
	stats->pools_largest[BLOBS_POOL_CHUNKS] = slots_largest(&serve->chunk_slots);
	fair_read(&serve->chunk_queue.waiting, &stats->pools[BLOBS_POOL_CHUNKS_WAITING]);
	fair_read(&serve->manifest_queue.waiting, &stats->pools[BLOBS_POOL_MANIFESTS_WAITING]);
	stats->pools_largest[BLOBS_POOL_MANIFESTS] = slots_largest(&serve->manifest_slots);
	stats->pools_largest[BLOBS_POOL_CHUNKS_WAITING] =
		places_largest(&serve->chunk_queue.waiting);
	stats->pools_largest[BLOBS_POOL_MANIFESTS_WAITING] =
		places_largest(&serve->manifest_queue.waiting);
}
