/* SPDX-License-Identifier: Apache-2.0 */
#include "support/hostile_peer.h"

#include <string.h>

#include "base/monotonic.h"
#include "base/byte_cursor.h"
#include "blobs/content_message.h"
#include "crypto/node_key.h"
#include "mesh/stream/mesh_frame.h"
#include "mesh/session/hello.h"
#include "mesh/seam.h"
#include "quic/quic.h"
#include "support/quic_take.h"
#include "support/stored_value.h"

#define REDIAL_NS   (100 * NS_PER_MS)
#define HEAD_LEN    14
#define REQUEST_CAP 16384
#define STORE_LEN   12000
#define HELLO_CAP   512
#define WINDOW_LEN  16384      /* what is never read stops its sender soon */
#define BUFFER_LEN  (1u << 18) /* of a socket */

const char *const hostile_behaviour_names[HOSTILE_BEHAVIOUR_CNT] = {
	[HOSTILE_IDLE] = "idle",	 [HOSTILE_HEAD] = "head",   [HOSTILE_STORE] = "store",
	[HOSTILE_MANIFEST] = "manifest", [HOSTILE_CHUNK] = "chunk", [HOSTILE_CALL] = "call",
	[HOSTILE_PUT] = "put",		 [HOSTILE_CHURN] = "churn",
};

static const struct transport_ops *peer_ops(const struct hostile_peer *peer)
{
	return quic_engine_transport(peer->engine)->ops;
}

/* The payload of what every stream asks; returns its type. */
static unsigned payload_write(const struct hostile_plan *plan, struct writer *w)
{
	unsigned type = plan->behaviour == HOSTILE_MANIFEST ? MESH_GET_MANIFEST : MESH_GET_CHUNK;
	struct message_request request = {0};
	uint8_t bytes[MESSAGE_REQUEST_CAP];

	if (plan->behaviour == HOSTILE_STORE) {
		for (unsigned i = 0; i < STORE_LEN; i++)
			writer_u8(w, 0);
		return MESH_STORE;
	}
	if (plan->behaviour == HOSTILE_PUT) {
		uint8_t put[STORED_VALUE_LEN_MAX];

		writer_bytes(w, put, stored_value_store(random_u64(plan->random), 0, put));
		return MESH_STORE;
	}
	if (plan->behaviour == HOSTILE_CALL) {
		writer_bytes(w, "\xff\xff\xff", 3);
		return MESH_CALL;
	}
	memcpy(request.id, plan->content_id, sizeof(request.id));
	writer_bytes(w, bytes, blobs_message_request_write(type, &request, bytes));
	return type;
}

static size_t frame_write(struct mesh_frame *frame, const uint8_t *payload, uint8_t *out,
			  size_t cap)
{
	struct writer w = writer_of(out, cap);

	mesh_frame_write(&w, frame);
	writer_bytes(&w, payload, frame->payload_len);
	return writer_len(&w);
}

static size_t request_write(const struct hostile_plan *plan, uint8_t out[static REQUEST_CAP])
{
	uint8_t payload[REQUEST_CAP];
	struct writer w = writer_of(payload, sizeof(payload));
	struct mesh_frame frame = {.req_id = 1};
	size_t len;

	frame.type = payload_write(plan, &w);
	frame.payload_len = writer_len(&w);
	len = frame_write(&frame, payload, out, REQUEST_CAP);
	if (plan->behaviour == HOSTILE_HEAD)
		return HEAD_LEN;
	return plan->behaviour == HOSTILE_STORE ? len - 1 : len;
}

static void peer_say_hello(struct hostile_peer *peer)
{
	struct mesh_hello hello = {.unix_s = peer->plan->wall_s, .agent = "crowd"};
	struct mesh_frame frame = {.type = MESH_HELLO};
	uint8_t payload[HELLO_CAP], bytes[HELLO_CAP + MESH_FRAME_HEAD_LEN_MAX];
	struct writer w = writer_of(payload, sizeof(payload));

	mesh_hello_write(&w, &hello);
	frame.payload_len = writer_len(&w);
	if (peer_ops(peer)->open(peer->conn, NULL, &peer->control) == 0)
		(void)peer_ops(peer)->send_copy(peer->control, bytes,
						frame_write(&frame, payload, bytes, sizeof(bytes)));
}

static bool presses(const struct hostile_peer *peer)
{
	return peer->is_ready && peer->plan->behaviour != HOSTILE_IDLE &&
	       peer->plan->behaviour != HOSTILE_CHURN;
}

/* Opens streams as long as the node gives credit. */
static void peer_press(struct hostile_peer *peer)
{
	const struct hostile_plan *plan = peer->plan;
	const struct transport_ops *ops = peer_ops(peer);
	bool is_whole = plan->behaviour != HOSTILE_HEAD && plan->behaviour != HOSTILE_STORE;
	struct transport_stream *stream;
	uint8_t request[REQUEST_CAP];
	size_t len;

	if (!presses(peer) || peer->stream_cnt >= plan->stream_max)
		return;
	while (peer->stream_cnt < plan->stream_max && ops->open(peer->conn, NULL, &stream) == 0) {
		len = request_write(plan, request);
		peer->stream_cnt++;
		peer->asked_cnt++;
		(void)ops->send_copy(stream, request, len);
		if (is_whole)
			ops->finish(stream);
	}
}

static int conn_ready(void *ctx, struct transport_conn *conn, uint64_t now_ns)
{
	struct hostile_peer *peer = ctx;

	(void)now_ns;
	peer->conn = conn;
	peer->is_ready = true;
	peer->made_cnt++;
	peer_say_hello(peer);
	peer_press(peer);
	return 0;
}

static void conn_token(void *ctx, struct transport_conn *conn, const uint8_t *data, size_t len,
		       uint64_t now_ns)
{
	struct hostile_peer *peer = ctx;

	(void)conn, (void)now_ns;
	if (len > sizeof(peer->token))
		return;
	memcpy(peer->token, data, len);
	peer->token_len = len;
}

static void conn_closed(void *ctx, struct transport_conn *conn, const struct transport_close *close,
			uint64_t now_ns)
{
	struct hostile_peer *peer = ctx;

	(void)conn, (void)close;
	peer->closed_cnt++;
	peer->conn = NULL;
	peer->is_ready = false;
	peer->stream_cnt = 0;
	peer->dial_at_ns = peer->plan->behaviour == HOSTILE_CHURN ? UINT64_MAX : now_ns + REDIAL_NS;
}

static void conn_streams_available(void *ctx, struct transport_conn *conn, uint64_t now_ns)
{
	(void)conn, (void)now_ns;
	peer_press(ctx);
}

static int stream_opened(void *ctx, struct transport_conn *conn, struct transport_stream *stream,
			 uint64_t now_ns)
{
	(void)ctx, (void)conn, (void)stream, (void)now_ns;
	return WEFT_EREFUSED;
}

/* Answers are not consumed: the node's credit ends. */
static void stream_data(void *ctx, struct transport_stream *stream,
			const struct transport_piece *piece, uint64_t now_ns)
{
	struct hostile_peer *peer = ctx;

	(void)now_ns;
	if (peer->plan->behaviour == HOSTILE_CHURN && stream == peer->control)
		peer_ops(peer)->close(peer->conn, 0, NULL);
	else if (peer->plan->behaviour == HOSTILE_CALL || peer->plan->behaviour == HOSTILE_PUT)
		peer_ops(peer)->consume(stream, piece->len);
}

static void stream_reset(void *ctx, struct transport_stream *stream, uint64_t code, uint64_t now_ns)
{
	struct hostile_peer *peer = ctx;

	(void)stream, (void)code, (void)now_ns;
	peer->reset_cnt++;
}

static void stream_writable(void *ctx, struct transport_stream *stream, uint64_t now_ns)
{
	(void)ctx, (void)stream, (void)now_ns;
}

static void stream_closed(void *ctx, struct transport_stream *stream, uint64_t code,
			  uint64_t now_ns)
{
	struct hostile_peer *peer = ctx;

	(void)code, (void)now_ns;
	if (stream == peer->control)
		peer->control = NULL;
	else if (peer->stream_cnt)
		peer->stream_cnt--;
}

static const struct transport_events events = {
	.conn_ready = conn_ready,
	.conn_token = conn_token,
	.conn_closed = conn_closed,
	.conn_streams_available = conn_streams_available,
	.stream_opened = stream_opened,
	.stream_data = stream_data,
	.stream_reset = stream_reset,
	.stream_writable = stream_writable,
	.stream_closed = stream_closed,
};

static struct quic_engine_params engine_params(const struct hostile_plan *plan, uint64_t now_ns)
{
	struct quic_engine_params params = {.events = &events,
					    .random = plan->random,
					    .now_ns = now_ns,
					    .wall_s = plan->wall_s};

	quic_config_defaults(&params.config);
	params.config.conn_cap = 4;
	params.config.stream_cap = 512;
	params.config.heap_cap = 4u << 20;
	params.config.window_len_min = params.config.window_len_max = WINDOW_LEN;
	return params;
}

static int key_make(struct random *random, struct node_key **out_key)
{
	uint8_t seed[NODE_KEY_SEED_LEN];

	random_fill(random, seed, sizeof(seed));
	return node_key_from_seed(seed, out_key);
}

int hostile_peer_open(struct hostile_peer *peer, const struct hostile_plan *plan,
		      struct packet_rx *rx, struct packet_tx *tx, uint64_t now_ns)
{
	struct quic_engine_params params = engine_params(plan, now_ns);
	int err;

	*peer = (struct hostile_peer){.plan = plan, .rx = rx, .tx = tx};
	if ((err = key_make(plan->random, &peer->key)) < 0)
		return err;
	params.key = peer->key;
	params.ctx = peer;
	params.sink = &tx->sink;
	return quic_engine_new(&params, &peer->engine);
}

int hostile_peer_begin(struct hostile_peer *peer, const struct hostile_plan *plan,
		       const struct addr *from, uint64_t now_ns)
{
	struct udp_config udp = {.listen = {*from},
				 .listen_cnt = 1,
				 .rx_buffer_len = BUFFER_LEN,
				 .tx_buffer_len = BUFFER_LEN,
				 .refuse_io_uring = true};
	struct packet_rx *rx;
	struct packet_tx *tx;
	unsigned failed_idx;
	int err = net_udp_open(&udp, &rx, &tx, &failed_idx);

	return err < 0 ? err : hostile_peer_open(peer, plan, rx, tx, now_ns);
}

void hostile_peer_close(struct hostile_peer *peer)
{
	quic_engine_free(peer->engine);
	if (peer->rx)
		packet_rx_close(peer->rx);
	if (peer->tx)
		packet_tx_close(peer->tx);
	node_key_free(peer->key);
	*peer = (struct hostile_peer){0};
}

static int plan_dial(const struct hostile_plan *plan, struct quic_engine *engine, uint64_t now_ns,
		     struct transport_conn **out_conn)
{
	struct transport *transport = quic_engine_transport(engine);
	struct transport_dial dial = {
		.remote = plan->node_addr, .token = plan->token, .token_len = plan->token_len};

	memcpy(dial.peer_key, plan->node_key, sizeof(dial.peer_key));
	return transport->ops->dial(transport, &dial, now_ns, out_conn);
}

uint64_t hostile_peer_turn(struct hostile_peer *peer, uint64_t now_ns)
{
	struct dgram dgrams[PACKET_BURST_MAX];
	unsigned cnt = packet_rx_burst(peer->rx, dgrams, PACKET_BURST_MAX);
	uint64_t next_ns;

	for (unsigned i = 0; i < cnt; i++)
		quic_take(peer->engine, &dgrams[i], now_ns);
	quic_engine_expire(peer->engine, now_ns);
	if (!peer->conn && now_ns >= peer->dial_at_ns &&
	    plan_dial(peer->plan, peer->engine, now_ns, &peer->conn) < 0)
		peer->dial_at_ns = now_ns + REDIAL_NS;
	peer_press(peer);
	quic_engine_flush(peer->engine, now_ns);
	(void)packet_tx_flush(peer->tx);
	next_ns = quic_engine_next_ns(peer->engine);
	if (cnt == PACKET_BURST_MAX)
		return now_ns;
	return peer->conn || next_ns < peer->dial_at_ns ? next_ns : peer->dial_at_ns;
}

bool hostile_peer_was_answered(const struct hostile_peer *peer)
{
	return peer->made_cnt + peer->closed_cnt > 0;
}

int hostile_forge(const struct hostile_plan *plan, const struct node_key *key,
		  struct dgram_sink *sink, uint64_t now_ns)
{
	struct quic_engine_params params = engine_params(plan, now_ns);
	struct hostile_peer nobody = {.plan = plan};
	struct transport_conn *conn;
	struct quic_engine *engine;
	int err;

	params.config.stream_cap = 4;
	params.config.heap_cap = 1u << 20;
	params.key = key;
	params.ctx = &nobody;
	params.sink = sink;
	if ((err = quic_engine_new(&params, &engine)) < 0)
		return err;
	err = plan_dial(plan, engine, now_ns, &conn);
	if (err == 0)
		quic_engine_flush(engine, now_ns);
	quic_engine_free(engine);
	return err;
}
