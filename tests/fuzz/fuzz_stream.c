/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a peer sends on a stream of frames, ours or its own. However the
 * bytes are cut their user is told the same; at the end everything was
 * given back. The first byte says which side we are, whether the user
 * keeps what it gets, and in which of its events it resets.
 */
#include <string.h>

#include "base/assert.h"
#include "base/monotonic.h"
#include "base/random.h"
#include "base/timer.h"
#include "mesh/mesh.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define START_NS (1000 * NS_PER_S)

struct run {
	struct mesh *mesh;
	struct timer_wheel timers;
	struct random random;
	struct mesh_stream_seam seam;
	struct transport transport;
	struct transport_conn conn;
	struct transport_stream stream;
	bool is_reset, is_finished, has_conn;
	size_t received_len, consumed_len;
	struct mesh_stream *user_stream; /* NULL: none, or gone */
	bool keeps;
	unsigned resets_at; /* number of the event; 0: never */
	unsigned event_cnt, ended_cnt;
	size_t kept_len;
	uint64_t hash; /* of what the user was told */
};

static struct run *current;

static void mix(uint64_t value)
{
	current->hash = (current->hash ^ value) * 0x100000001b3ull;
}

/* A transport of one connection with one stream, which takes all that it is given. */
static int op_dial(struct transport *transport, const struct transport_dial *dial, uint64_t now_ns,
		   struct transport_conn **out_conn)
{
	(void)transport;
	(void)dial;
	(void)now_ns;
	(void)out_conn;
	return WEFT_EFULL;
}

static void op_close(struct transport_conn *conn, uint64_t code, const char *reason)
{
	(void)conn;
	(void)code;
	(void)reason;
}

static int op_open(struct transport_conn *conn, void *user, struct transport_stream **out_stream)
{
	(void)conn;
	current->stream.user = user;
	*out_stream = &current->stream;
	return 0;
}

static int op_send(struct transport_stream *stream, const struct transport_span *span)
{
	(void)stream;
	if (span->done)
		span->done(span->arg);
	return 0;
}

static int op_send_copy(struct transport_stream *stream, const void *data, size_t len)
{
	(void)stream;
	(void)data;
	weft_assert(len <= TRANSPORT_COPY_LEN_MAX);
	return 0;
}

static void op_finish(struct transport_stream *stream)
{
	(void)stream;
	current->is_finished = true;
}

static void op_reset(struct transport_stream *stream, uint64_t code)
{
	(void)stream;
	(void)code;
	current->is_reset = true;
}

static void op_consume(struct transport_stream *stream, size_t len)
{
	(void)stream;
	current->consumed_len += len;
	weft_assert(current->consumed_len <= current->received_len);
}

static uint64_t op_acked(const struct transport_stream *stream)
{
	(void)stream;
	return 0;
}

static void op_info(const struct transport_conn *conn, struct transport_conn_info *out_info)
{
	(void)conn;
	*out_info = (struct transport_conn_info){.peer_key = {9}};
}

static int op_exporter(struct transport_conn *conn, const char *label, uint8_t *out, size_t len)
{
	(void)conn;
	(void)label;
	memset(out, 1, len);
	return 0;
}

static const struct transport_ops ops = {
	.dial = op_dial,
	.close = op_close,
	.open = op_open,
	.send = op_send,
	.send_copy = op_send_copy,
	.finish = op_finish,
	.reset = op_reset,
	.consume = op_consume,
	.acked = op_acked,
	.info = op_info,
	.exporter = op_exporter,
};

static void user_event(struct run *run)
{
	weft_assert(run->user_stream && !run->ended_cnt);
	if (++run->event_cnt != run->resets_at)
		return;
	run->seam.ops->reset(run->user_stream, 1);
	run->user_stream = NULL;
}

static void on_frame(void *arg, const struct mesh_stream_frame *frame, uint64_t now_ns)
{
	(void)now_ns;
	mix(frame->type);
	mix(frame->flags);
	mix(frame->payload_len);
	user_event(arg);
}

static void on_data(void *arg, const uint8_t *data, size_t len, uint64_t now_ns)
{
	struct run *run = arg;

	(void)now_ns;
	weft_assert(len);
	for (size_t i = 0; i < len; i++)
		mix(data[i]);
	if (run->keeps)
		run->kept_len += len;
	else
		run->seam.ops->consume(run->user_stream, len);
	user_event(run);
}

static void on_finished(void *arg, uint64_t now_ns)
{
	(void)now_ns;
	mix(1);
	user_event(arg);
}

static void on_writable(void *arg, uint64_t now_ns)
{
	(void)arg;
	(void)now_ns;
	weft_assert(false); /* nothing was refused */
}

static void on_ended(void *arg, const struct mesh_stream_end *end, uint64_t now_ns)
{
	struct run *run = arg;

	(void)now_ns;
	mix((uint64_t)end->err);
	mix(end->code);
	user_event(run);
	run->ended_cnt++;
	run->user_stream = NULL;
}

static const struct mesh_stream_events events = {
	.frame = on_frame,
	.data = on_data,
	.finished = on_finished,
	.writable = on_writable,
	.ended = on_ended,
};

static int on_accept(void *ctx, struct mesh_stream *stream, unsigned type, uint64_t now_ns,
		     struct mesh_stream_user *out_user)
{
	struct run *run = ctx;

	(void)type;
	(void)now_ns;
	run->user_stream = stream;
	*out_user = (struct mesh_stream_user){&events, run};
	return 0;
}

static void run_start(struct run *run, bool is_opener)
{
	static const uint8_t own_key[MESH_KEY_LEN] = {1};
	struct mesh_params params = {
		.own_key = own_key,
		.timers = &run->timers,
		.random = &run->random,
		.now_ns = START_NS,
	};
	const struct mesh_stream_open open = {.peer.key = {9}, .events = &events, .arg = run};
	const struct mesh_stream_frame call = {.type = MESH_CALL};

	current = run;
	timer_wheel_init(&run->timers, START_NS);
	random_init_seeded(&run->random, 1);
	mesh_config_defaults(&params.config);
	params.config.session_cap = params.config.peer_cap = 1;
	params.config.request_cap = params.config.stream_cap = 2;
	params.config.incoming_cap = 8;
	weft_assert(mesh_new(&params, &run->mesh) == 0);
	run->transport.ops = &ops;
	mesh_set_transport(run->mesh, &run->transport);
	run->seam = mesh_stream_seam_of(run->mesh);
	weft_assert(run->seam.ops->accept(run->mesh, MESH_CALL, on_accept, run) == 0);
	weft_assert(run->seam.ops->accept(run->mesh, MESH_STREAM_OPEN, on_accept, run) == 0);
	weft_assert(mesh_transport_events.conn_ready(run->mesh, &run->conn, START_NS) == 0);
	if (!is_opener) {
		weft_assert(mesh_transport_events.stream_opened(run->mesh, &run->conn, &run->stream,
								START_NS) == 0);
		return;
	}
	weft_assert(run->seam.ops->open(run->mesh, &open, START_NS, &run->user_stream) == 0);
	weft_assert(run->seam.ops->send(run->user_stream, &call, NULL, 0, NULL) == 0);
}

static void run_stop(struct run *run)
{
	const struct transport_close close = {.err = WEFT_ECLOSED};
	struct mesh_stats stats;

	/* The user's own turn comes late, then the peer's end. */
	if (run->user_stream && run->kept_len)
		run->seam.ops->consume(run->user_stream, run->kept_len);
	timer_wheel_expire(&run->timers, START_NS + 31 * NS_PER_S);
	mesh_transport_events.stream_closed(run->mesh, &run->stream, 0, START_NS + 31 * NS_PER_S);
	weft_assert(run->consumed_len == run->received_len);
	weft_assert(!run->user_stream);
	if (run->conn.user)
		mesh_transport_events.conn_closed(run->mesh, &run->conn, &close,
						  START_NS + 31 * NS_PER_S);
	mesh_stats(run->mesh, &stats);
	weft_assert(!stats.stream_cnt && !stats.incoming_cnt && !stats.session_cnt);
	mesh_free(run->mesh);
}

/* Gives the bytes in parts of part_len and returns a hash of what was told. */
static uint64_t run_bytes(uint8_t mode, const uint8_t *data, size_t len, size_t part_len)
{
	struct run run = {
		.keeps = mode & 2,
		.resets_at = mode >> 2,
		.hash = 0xcbf29ce484222325ull,
	};

	run_start(&run, mode & 1);
	for (size_t off = 0; off < len || off == 0; off += part_len) {
		size_t part = len - off < part_len ? len - off : part_len;

		run.received_len += part;
		mesh_transport_events.stream_data(
			run.mesh, &run.stream,
			&(struct transport_piece){data + off, part, off + part == len}, START_NS);
		if (run.is_reset)
			break;
	}
	run_stop(&run);
	return run.hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint64_t whole, cut;
	bool is_cut_told;

	if (!len)
		return 0;
	is_cut_told = data[0] >> 2; /* events are counted, and pieces are events */
	whole = run_bytes(data[0], data + 1, len - 1, len);
	cut = run_bytes(data[0], data + 1, len - 1, 1);
	weft_assert(is_cut_told || whole == cut);
	cut = run_bytes(data[0], data + 1, len - 1, 7);
	weft_assert(is_cut_told || whole == cut);
	return 0;
}
