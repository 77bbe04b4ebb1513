/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The slot and the buffer that a peer's request holds while it is in hand (slots.h). It says how
 * they are taken, when they rest, and the answer to an asker that gets none or loses its own.
 * Home worker.
 */
#include "base/fair/load.h"
#include "mesh/mesh_state.h"

static struct fair *slots_of(const struct mesh_incoming *incoming, enum mesh_pool pool)
{
	return &incoming->stream.mesh->slots.pools[pool];
}

/* The pool of the buffer that a payload of len needs, or POOL_CNT: each has a small one. */
static enum mesh_pool buffer_pool(const struct mesh *mesh, size_t len)
{
	switch (mesh_buffers_size(&mesh->buffers, len)) {
	case MESH_BUFFER_MEDIUM:
		return MESH_POOL_MEDIUM;
	case MESH_BUFFER_LARGE:
		return MESH_POOL_LARGE;
	default:
		return MESH_POOL_CNT;
	}
}

void mesh_incoming_asker_addr(const struct mesh_incoming *incoming, struct addr *out_addr)
{
	mesh_stream_peer_addr(&incoming->stream, out_addr);
}

void mesh_incoming_path(const struct mesh_incoming *incoming, struct fair_path *out_path)
{
	mesh_stream_peer_path(&incoming->stream, out_path);
}

void mesh_incoming_session(const struct mesh_incoming *incoming,
			   uint8_t out_id[static MESH_SESSION_ID_LEN])
{
	memcpy(out_id, incoming->stream.peer.session_id, MESH_SESSION_ID_LEN);
}

void mesh_incoming_note_refused(const struct mesh_incoming *incoming, const char *pool,
				uint32_t wait_ms)
{
	const struct mesh_stream *stream = &incoming->stream;
	struct addr addr;
	struct load_who who = {.addr = &addr, .key = stream->peer.key};

	if (stream->is_over)
		return;
	mesh_stream_peer_addr(stream, &addr);
	if (addr.family == ADDR_NONE)
		who.addr = NULL;
	load_refuse(stream->mesh->params.load, &who, pool, wait_ms, stream->mesh->now_ns);
}

/* How long the asker is to stay away, which is noted. */
static uint32_t incoming_wait_ms(struct mesh_incoming *incoming, enum mesh_pool pool)
{
	struct mesh *mesh = incoming->stream.mesh;
	struct fair *fair = slots_of(incoming, pool);
	struct fair_path path;
	uint32_t wait_ms;

	mesh->stats.refused_cnt++;
	mesh_incoming_path(incoming, &path);
	wait_ms = fair_not_before_ms(fair, &path, mesh->now_ns);
	mesh_incoming_note_refused(incoming, fair->config.name, wait_ms);
	return wait_ms;
}

void mesh_incoming_defer(struct mesh_incoming *incoming, enum mesh_pool pool, const char *text)
{
	mesh_incoming_answer_error(incoming, MESH_CODE_BUSY, text,
				   incoming_wait_ms(incoming, pool));
}

int mesh_incoming_refuse_stream(struct mesh_session *session, struct transport_stream *transport,
				const char *pool)
{
	struct mesh *mesh = session->mesh;
	struct mesh_stream stream = {.mesh = mesh, .transport = transport};
	struct transport_conn_info info;
	const struct load_who who = {.addr = &info.remote, .key = session->key};
	struct mesh_error error = {.code = MESH_CODE_BUSY, .text = "too many requests"};
	uint32_t wait_ms = fair_not_before_ms(&mesh->slots.pools[MESH_POOL_INCOMING],
					      mesh_slots_session_path(session), mesh->now_ns);

	mesh->stats.refused_cnt++;
	mesh_transport_ops(mesh)->info(session->conn, &info);
	load_refuse(mesh->params.load, &who, pool, wait_ms, mesh->now_ns);
	error.not_before_ms = wait_ms;
	if (mesh_stream_say_error(&stream, &error) < 0)
		return WEFT_EFULL;
	mesh_transport_ops(mesh)->finish(transport);
	return 0;
}

void mesh_incoming_evict(struct mesh_incoming *incoming)
{
	struct mesh_stream_end end = {.err = WEFT_EBUSY};
	struct mesh_error error = {.code = MESH_CODE_BUSY, .text = "too many requests"};
	struct mesh_stream *stream = &incoming->stream;

	if (incoming->state != MESH_INCOMING_ANSWERED) {
		error.not_before_ms = incoming_wait_ms(incoming, MESH_POOL_INCOMING);
		if (mesh_stream_say_error(stream, &error) == 0) {
			mesh_stream_finish(stream);
			mesh_stream_end(stream, &end);
			return;
		}
	}
	mesh_stream_break(stream, &end, MESH_CODE_BUSY);
}

bool mesh_incoming_poll(struct mesh_incoming *incoming)
{
	struct mesh_stream *stream = &incoming->stream;
	uint64_t before_ns = stream->slot.progress_at_ns;
	uint64_t acked_len, new_len;

	if (incoming->state != MESH_INCOMING_ANSWERED || !stream->transport)
		return false;
	acked_len = mesh_transport_ops(stream->mesh)->acked(stream->transport);
	new_len = acked_len - incoming->acked_len;
	incoming->acked_len = acked_len;
	fair_progress(slots_of(incoming, MESH_POOL_INCOMING), &stream->slot,
		      new_len < FAIR_WHOLE ? (uint32_t)new_len : FAIR_WHOLE - 1,
		      stream->mesh->now_ns);
	return stream->slot.progress_at_ns != before_ns;
}

bool mesh_incoming_take_buffer(struct mesh_incoming *incoming)
{
	struct mesh_stream *stream = &incoming->stream;
	size_t len = stream->in.frame.payload_len;
	struct mesh *mesh = stream->mesh;
	enum mesh_pool pool = buffer_pool(mesh, len);
	struct fair_path path;

	if (pool != MESH_POOL_CNT) {
		mesh_incoming_path(incoming, &path);
		if (!mesh_slots_take(mesh, pool, &path, &incoming->buffer_slot)) {
			mesh_incoming_defer(incoming, pool, "no buffer");
			return false;
		}
		incoming->buffer_pool = pool;
	}
	incoming->buffer = mesh_buffers_acquire(&mesh->buffers, len);
	stream->in.body = incoming->buffer;
	if (incoming->buffer)
		return true;
	mesh_incoming_defer(incoming, MESH_POOL_INCOMING, "no buffer"); /* it may be gone */
	return false;
}

void mesh_incoming_note(struct mesh_incoming *incoming, size_t len)
{
	struct mesh_stream *stream = &incoming->stream;
	uint32_t units = len < FAIR_WHOLE ? (uint32_t)len : FAIR_WHOLE - 1;

	fair_progress(slots_of(incoming, MESH_POOL_INCOMING), &stream->slot, units,
		      stream->mesh->now_ns);
	if (fair_item_holds(&incoming->buffer_slot))
		fair_progress(slots_of(incoming, incoming->buffer_pool), &incoming->buffer_slot,
			      units, stream->mesh->now_ns);
}

void mesh_incoming_release_buffer(struct mesh_incoming *incoming)
{
	struct mesh *mesh = incoming->stream.mesh;

	if (fair_item_holds(&incoming->buffer_slot))
		fair_release(slots_of(incoming, incoming->buffer_pool), &incoming->buffer_slot,
			     mesh->now_ns);
	mesh_buffers_release(&mesh->buffers, incoming->buffer);
	incoming->buffer = NULL;
}

void mesh_incoming_rest(struct mesh_incoming *incoming)
{
	uint64_t now_ns = incoming->stream.mesh->now_ns;

	fair_wait_own(slots_of(incoming, MESH_POOL_INCOMING), &incoming->stream.slot, now_ns);
	if (fair_item_holds(&incoming->buffer_slot))
		fair_wait_own(slots_of(incoming, incoming->buffer_pool), &incoming->buffer_slot,
			      now_ns);
}
