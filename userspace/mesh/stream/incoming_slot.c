/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a peer's request holds while it is in hand: its slot and its buffer
 * (slots.h). How they are taken, when they rest, and what an asker is told
 * that gets none or loses its own. Home worker.
 */
#include "base/fair/load.h"
#include "mesh_stream.h"

static struct fair *slots_of(const struct mesh_incoming *incoming, enum mesh_pool pool)
{
	return &incoming->mesh->slots.pools[pool];
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
	struct transport_conn_info info = {.remote.family = ADDR_NONE};

	if (incoming->foreign)
		mesh_stream_peer_addr(incoming->foreign, &info.remote);
	else if (incoming->session)
		mesh_transport_ops(incoming->mesh)->info(incoming->session->conn, &info);
	*out_addr = info.remote;
}

void mesh_incoming_path(const struct mesh_incoming *incoming, struct fair_path *out_path)
{
	if (incoming->session)
		*out_path = *mesh_slots_session_path(incoming->session);
	else
		mesh_stream_peer_path(incoming->foreign, out_path);
}

void mesh_incoming_note_refused(const struct mesh_incoming *incoming, const char *pool,
				uint32_t wait_ms)
{
	struct addr addr;
	struct load_who who = {.addr = &addr};

	if (!incoming->session && !incoming->foreign)
		return;
	mesh_incoming_asker_addr(incoming, &addr);
	if (addr.family == ADDR_NONE)
		who.addr = NULL;
	who.key = incoming->session ? incoming->session->key : incoming->foreign->peer.key;
	load_refuse(incoming->mesh->load, &who, pool, wait_ms, incoming->mesh->now_ns);
}

void mesh_incoming_defer(struct mesh_incoming *incoming, enum mesh_pool pool, const char *text)
{
	struct mesh *mesh = incoming->mesh;
	struct fair *fair = slots_of(incoming, pool);
	struct fair_path path;
	uint32_t wait_ms;

	mesh->stats.refused_cnt++;
	mesh_incoming_path(incoming, &path);
	wait_ms = fair_not_before_ms(fair, &path, mesh->now_ns);
	mesh_incoming_note_refused(incoming, fair->config.name, wait_ms);
	mesh_incoming_answer_error(incoming, MESH_CODE_BUSY, text, wait_ms);
}

static void session_note_refused(struct mesh_session *session, const char *pool, uint32_t wait_ms)
{
	struct mesh *mesh = session->mesh;
	struct transport_conn_info info;
	const struct load_who who = {.addr = &info.remote, .key = session->key};

	mesh->transport->ops->info(session->conn, &info);
	load_refuse(mesh->load, &who, pool, wait_ms, mesh->now_ns);
}

int mesh_incoming_refuse_stream(struct mesh_session *session, struct transport_stream *stream,
				const char *pool)
{
	struct mesh *mesh = session->mesh;
	const struct transport_ops *ops = mesh->transport->ops;
	uint32_t wait_ms = fair_not_before_ms(&mesh->slots.pools[MESH_POOL_INCOMING],
					      mesh_slots_session_path(session), mesh->now_ns);
	struct mesh_error error = {
		.code = MESH_CODE_BUSY, .text = "too many requests", .not_before_ms = wait_ms};
	struct mesh_frame frame = {.type = MESH_ERROR,
				   .flags = MESH_FLAG_RESPONSE | MESH_FLAG_ERROR};
	uint8_t payload[MESH_ERROR_PAYLOAD_MAX];
	struct writer w = writer_of(payload, sizeof(payload));

	mesh->stats.refused_cnt++;
	session_note_refused(session, pool, wait_ms);
	mesh_error_write(&w, &error);
	frame.payload_len = writer_len(&w);
	w = writer_of(mesh->scratch, sizeof(mesh->scratch));
	mesh_frame_write(&w, &frame);
	writer_bytes(&w, payload, frame.payload_len);
	if (ops->send_copy(stream, mesh->scratch, writer_len(&w)) < 0)
		return WEFT_EFULL;
	ops->finish(stream);
	return 0;
}

/* What there is to say to the asker whose slot another got; nothing went out on its stream yet. */
static int incoming_say_busy(struct mesh_incoming *incoming)
{
	struct mesh_frame frame = {.type = MESH_ERROR,
				   .req_id = incoming->req_id,
				   .flags = MESH_FLAG_RESPONSE | MESH_FLAG_ERROR};
	struct mesh_error error = {.code = MESH_CODE_BUSY, .text = "too many requests"};
	uint8_t payload[MESH_ERROR_PAYLOAD_MAX];
	struct writer w = writer_of(payload, sizeof(payload));
	struct fair *fair = slots_of(incoming, MESH_POOL_INCOMING);
	struct fair_path path;
	uint32_t wait_ms;

	if (!incoming->foreign)
		return mesh_incoming_refuse_stream(incoming->session, incoming->stream,
						   fair->config.name);
	mesh_incoming_path(incoming, &path);
	wait_ms = fair_not_before_ms(fair, &path, incoming->mesh->now_ns);
	mesh_incoming_note_refused(incoming, fair->config.name, wait_ms);
	error.not_before_ms = wait_ms;
	mesh_error_write(&w, &error);
	frame.payload_len = writer_len(&w);
	return mesh_incoming_foreign_answer(incoming, &frame, payload, frame.payload_len);
}

void mesh_incoming_evict(struct mesh_incoming *incoming)
{
	if (incoming->state == MESH_INCOMING_ANSWERED || incoming_say_busy(incoming) < 0)
		mesh_incoming_reset(incoming, MESH_CODE_BUSY);
	else
		mesh_incoming_gone(incoming);
}

bool mesh_incoming_poll(struct mesh_incoming *incoming)
{
	uint64_t before_ns = incoming->slot.progress_at_ns;
	uint64_t acked_len, new_len;

	if (incoming->state != MESH_INCOMING_ANSWERED || !incoming->stream)
		return false;
	acked_len = mesh_transport_ops(incoming->mesh)->acked(incoming->stream);
	new_len = acked_len - incoming->acked_len;
	incoming->acked_len = acked_len;
	fair_progress(slots_of(incoming, MESH_POOL_INCOMING), &incoming->slot,
		      new_len < FAIR_WHOLE ? (uint32_t)new_len : FAIR_WHOLE - 1,
		      incoming->mesh->now_ns);
	return incoming->slot.progress_at_ns != before_ns;
}

bool mesh_incoming_take_buffer(struct mesh_incoming *incoming)
{
	size_t len = incoming->in.frame.payload_len;
	struct mesh *mesh = incoming->mesh;
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
	incoming->in.body = incoming->buffer;
	if (incoming->buffer)
		return true;
	mesh_incoming_defer(incoming, MESH_POOL_INCOMING, "no buffer"); /* it may be gone */
	return false;
}

void mesh_incoming_note(struct mesh_incoming *incoming, size_t len)
{
	uint32_t units = len < FAIR_WHOLE ? (uint32_t)len : FAIR_WHOLE - 1;

	fair_progress(slots_of(incoming, MESH_POOL_INCOMING), &incoming->slot, units,
		      incoming->mesh->now_ns);
	if (fair_item_holds(&incoming->buffer_slot))
		fair_progress(slots_of(incoming, incoming->buffer_pool), &incoming->buffer_slot,
			      units, incoming->mesh->now_ns);
}

void mesh_incoming_release_buffer(struct mesh_incoming *incoming)
{
	struct mesh *mesh = incoming->mesh;

	if (fair_item_holds(&incoming->buffer_slot))
		fair_release(slots_of(incoming, incoming->buffer_pool), &incoming->buffer_slot,
			     mesh->now_ns);
	mesh_buffers_release(&mesh->buffers, incoming->buffer);
	incoming->buffer = NULL;
}

void mesh_incoming_rest(struct mesh_incoming *incoming)
{
	uint64_t now_ns = incoming->mesh->now_ns;

	fair_wait_own(slots_of(incoming, MESH_POOL_INCOMING), &incoming->slot, now_ns);
	if (fair_item_holds(&incoming->buffer_slot))
		fair_wait_own(slots_of(incoming, incoming->buffer_pool), &incoming->buffer_slot,
			      now_ns);
}
