/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node gets from a hostile peer that speaks QUIC and frames well enough.
 * Each get ends in bounded time with an error that names the fault, and
 * nothing but the target is touched. The peer is a QUIC engine and a weft
 * mesh with handlers of its own.
 */
#include <sys/stat.h>
#include <unistd.h>

#include "base/timer.h"
#include "codec/cbor.h"
#include "blobs/manifest/manifest.h"
#include "blobs/content_message.h"
#include "crypto/blake3/blake3.h"
#include "mesh/mesh.h"
#include "quic/quic.h"
#include "support/check.h"
#include "support/quic_take.h"
#include "support/sim.h"

#define FILE_LEN   200000u
#define CHUNK_CNT  3u /* of the large file */
#define LARGE_LEN  (CHUNK_CNT * BLAKE3_CHUNK_LEN)
#define DRIPS_MAX  8
#define SMALL_CNT  MANIFEST_ITEMS_MAX
#define SMALL_LEN  200u
#define SELDOM	   1000u
#define PATIENCE_S 900

enum evil {
	EVIL_NOT,     /* serves what it promised: the frame of these tests is sound */
	EVIL_BYTES,   /* chunks that are not what their hash says */
	EVIL_SELDOM,  /* one in a thousand is not, of many small files */
	EVIL_LIST,    /* a chunk list that does not lead to the content id */
	EVIL_ITEMS,   /* one file more than a manifest may have */
	EVIL_PATH,    /* a file beside the target */
	EVIL_SILENCE, /* answers no request */
	EVIL_MUTE,    /* shakes hands and says no HELLO */
	EVIL_DRIP,    /* chunks at one byte a second */
};

struct hostile {
	struct sim_guest guest; /* first */
	enum evil evil;
	struct node_key *key;
	struct addr addr;
	struct random random;
	struct timer_wheel timers;
	struct packet_tx *tx;
	struct mesh *mesh;
	struct mesh_seam seam;
	struct quic_engine *quic;
	struct transport transport; /* the engine's, with drips */
	uint8_t manifest[MANIFEST_LEN_MAX];
	size_t manifest_len;
	uint8_t file[LARGE_LEN];
	uint8_t list[CHUNK_CNT * BLAKE3_HASH_LEN + MESSAGE_END_CAP];
	uint8_t content_id[BLAKE3_HASH_LEN];
	uint8_t small_ids[SMALL_CNT][BLAKE3_HASH_LEN]; /* of SMALL_LEN bytes of file from i on */
	unsigned chunk_cnt, wrong_cnt;
	struct drip {
		struct transport_stream *stream; /* NULL: free */
		struct transport_span span;
		size_t sent_len;
	} drips[DRIPS_MAX];
	uint64_t drip_ns; /* of the next byte */
	unsigned drip_cnt;
	unsigned asked_cnt;
};

static struct sim sim;
static struct hostile hostile;
static struct link bait;

/* --- its manifest --- */

static void item_write(struct writer *w, const uint8_t *id, const char *name, const char *path,
		       uint64_t len)
{
	cbor_write_map(w, path ? 5 : 4);
	cbor_write_uint(w, 0);
	cbor_write_bytes(w, id, BLAKE3_HASH_LEN);
	cbor_write_uint(w, 1);
	cbor_write_uint(w, len);
	cbor_write_uint(w, 2);
	cbor_write_text(w, name, strlen(name));
	if (path) {
		cbor_write_uint(w, 3);
		cbor_write_text(w, path, strlen(path));
	}
	cbor_write_uint(w, 6);
	cbor_write_uint(w, blobs_manifest_chunk_cnt(len));
}

static void manifest_make(uint64_t len)
{
	struct writer w = writer_of(hostile.manifest, sizeof(hostile.manifest));
	unsigned item_cnt = hostile.evil == EVIL_ITEMS	  ? MANIFEST_ITEMS_MAX + 1
			    : hostile.evil == EVIL_SELDOM ? SMALL_CNT
							  : 1;

	for (unsigned i = 0; i < SMALL_CNT; i++)
		blake3_hash(hostile.file + i, SMALL_LEN, hostile.small_ids[i]);
	blake3_hash(hostile.file, len, hostile.content_id);
	cbor_write_map(&w, 3);
	cbor_write_uint(&w, 0);
	cbor_write_uint(&w, MANIFEST_VERSION);
	cbor_write_uint(&w, 4);
	cbor_write_uint(&w, 1000);
	cbor_write_uint(&w, 10);
	cbor_write_array(&w, item_cnt);
	for (unsigned i = 0; i < item_cnt; i++) {
		const uint8_t *id =
			item_cnt == SMALL_CNT ? hostile.small_ids[i] : hostile.content_id;
		char name[16];

		snprintf(name, sizeof(name), "file%04u", i);
		item_write(&w, id, name, hostile.evil == EVIL_PATH ? "../file0000" : NULL, len);
	}
	hostile.manifest_len = writer_len(&w);
	bait = (struct link){.kind = LINK_COLLECTION,
			     .places = {.addr_cnt = 1, .addrs = {hostile.addr}}};
	memcpy(bait.node_key, node_key_public(hostile.key), sizeof(bait.node_key));
	blake3_hash(hostile.manifest, hostile.manifest_len, bait.manifest_id);
}

/* --- its answers --- */

static void lent_back(void *arg)
{
	(void)arg;
}

static void answer(const struct mesh_call *call, unsigned type, const struct message_answer *reply,
		   size_t end_len)
{
	struct transport_span tail = {reply->bytes, reply->len + end_len, lent_back, NULL};
	uint8_t head[MESSAGE_HEAD_CAP];
	struct writer w = writer_of(head, sizeof(head));

	blobs_message_answer_write_head(&w, type, reply);
	(void)!hostile.seam.ops->answer(call->incoming, type, head, writer_len(&w), &tail);
}

static bool request_take(const struct mesh_call *call, struct message_answer *out_reply)
{
	struct message_request request;

	hostile.asked_cnt++;
	if (hostile.evil == EVIL_SILENCE ||
	    blobs_message_request_parse(call->type, call->payload, call->payload_len, &request) < 0)
		return false;
	*out_reply = (struct message_answer){.first = request.first};
	memcpy(out_reply->id, request.id, sizeof(request.id));
	return true;
}

static void serve_manifest(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct message_answer reply;

	(void)ctx, (void)now_ns;
	if (!request_take(call, &reply))
		return;
	reply.bytes = hostile.manifest;
	reply.len = hostile.manifest_len;
	answer(call, MESH_MANIFEST_DATA, &reply, 0);
}

static void serve_list(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct message_answer reply;
	size_t end_len;

	(void)ctx, (void)now_ns;
	if (!request_take(call, &reply))
		return;
	reply.total = CHUNK_CNT;
	reply.bytes = hostile.list;
	reply.len = CHUNK_CNT * BLAKE3_HASH_LEN;
	end_len = blobs_message_answer_write_end(MESH_CHUNK_HASH_LIST, &reply,
						 hostile.list + reply.len);
	answer(call, MESH_CHUNK_HASH_LIST, &reply, end_len);
}

/* Each thousandth time it is the bytes of its neighbour. */
static void small_fill(struct message_answer *reply)
{
	unsigned i = 0;

	while (memcmp(hostile.small_ids[i], reply->id, sizeof(reply->id)) != 0)
		i++;
	reply->len = SMALL_LEN;
	reply->bytes = hostile.file + i;
	if (++hostile.chunk_cnt % SELDOM != 0)
		return;
	hostile.wrong_cnt++;
	reply->bytes++;
}

static void serve_chunk(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct message_answer reply;

	(void)ctx, (void)now_ns;
	if (!request_take(call, &reply))
		return;
	reply.bytes = hostile.file;
	reply.len = FILE_LEN;
	if (hostile.evil == EVIL_SELDOM)
		small_fill(&reply);
	answer(call, MESH_CHUNK_DATA, &reply, 0);
}

/* --- one byte a second: between its mesh and its engine --- */

static const struct transport_ops *engine_ops(void)
{
	return quic_engine_transport(hostile.quic)->ops;
}

static struct drip *drip_of(const struct transport_stream *stream)
{
	for (unsigned i = 0; i < DRIPS_MAX; i++)
		if (hostile.drips[i].stream == stream)
			return &hostile.drips[i];
	return NULL;
}

static int drip_send(struct transport_stream *stream, const struct transport_span *span)
{
	struct drip *drip = drip_of(NULL);

	if (!drip || span->len != FILE_LEN)
		return engine_ops()->send(stream, span);
	*drip = (struct drip){.stream = stream, .span = *span};
	return 0;
}

static void drip_finish(struct transport_stream *stream)
{
	if (!drip_of(stream))
		engine_ops()->finish(stream);
}

static void drip_closed(void *ctx, struct transport_stream *stream, uint64_t code, uint64_t now_ns)
{
	struct drip *drip = drip_of(stream);

	if (drip) {
		drip->stream = NULL;
		drip->span.done(drip->span.arg);
	}
	mesh_transport_events.stream_closed(ctx, stream, code, now_ns);
}

static void drips_fall(uint64_t now_ns)
{
	if (now_ns < hostile.drip_ns)
		return;
	hostile.drip_ns = now_ns + NS_PER_S;
	for (unsigned i = 0; i < DRIPS_MAX; i++) {
		struct drip *drip = &hostile.drips[i];

		if (drip->stream &&
		    engine_ops()->send_copy(drip->stream, drip->span.data + drip->sent_len, 1) ==
			    0) {
			drip->sent_len++;
			hostile.drip_cnt++;
		}
	}
}

/* --- its life --- */

static uint64_t hostile_turn(struct sim_guest *guest, uint64_t now_ns)
{
	struct dgram dgrams[PACKET_BURST_MAX];
	unsigned cnt = packet_rx_burst(guest->rx, dgrams, PACKET_BURST_MAX);
	uint64_t next_ns, quic_ns;

	for (unsigned i = 0; i < cnt; i++)
		quic_take(hostile.quic, &dgrams[i], now_ns);
	timer_wheel_expire(&hostile.timers, now_ns);
	quic_engine_expire(hostile.quic, now_ns);
	if (hostile.evil == EVIL_DRIP)
		drips_fall(now_ns);
	quic_engine_flush(hostile.quic, now_ns);
	(void)packet_tx_flush(hostile.tx);
	next_ns = timer_wheel_next_ns(&hostile.timers);
	quic_ns = quic_engine_next_ns(hostile.quic);
	if (quic_ns < next_ns)
		next_ns = quic_ns;
	if (hostile.evil == EVIL_DRIP && hostile.drip_ns < next_ns)
		next_ns = hostile.drip_ns;
	return cnt == PACKET_BURST_MAX ? now_ns : next_ns;
}

/* EVIL_MUTE speaks no mesh at all. */
static int mute_ready(void *ctx, struct transport_conn *conn, uint64_t now_ns)
{
	(void)ctx, (void)conn, (void)now_ns;
	hostile.asked_cnt++;
	return 0;
}
static void mute_conn_closed(void *ctx, struct transport_conn *conn,
			     const struct transport_close *close, uint64_t now_ns)
{
	(void)ctx, (void)conn, (void)close, (void)now_ns;
}
static void mute_conn_event(void *ctx, struct transport_conn *conn, uint64_t now_ns)
{
	(void)ctx, (void)conn, (void)now_ns;
}
static int mute_opened(void *ctx, struct transport_conn *conn, struct transport_stream *stream,
		       uint64_t now_ns)
{
	(void)ctx, (void)conn, (void)stream, (void)now_ns;
	return 0;
}
static void mute_data(void *ctx, struct transport_stream *stream,
		      const struct transport_piece *piece, uint64_t now_ns)
{
	(void)ctx, (void)stream, (void)piece, (void)now_ns;
}
static void mute_code(void *ctx, struct transport_stream *stream, uint64_t code, uint64_t now_ns)
{
	(void)ctx, (void)stream, (void)code, (void)now_ns;
}
static void mute_stream_event(void *ctx, struct transport_stream *stream, uint64_t now_ns)
{
	(void)ctx, (void)stream, (void)now_ns;
}
static const struct transport_events mute_events = {
	.conn_ready = mute_ready,
	.conn_closed = mute_conn_closed,
	.conn_streams_available = mute_conn_event,
	.stream_opened = mute_opened,
	.stream_data = mute_data,
	.stream_reset = mute_code,
	.stream_writable = mute_stream_event,
	.stream_closed = mute_code,
};

static bool hostile_mesh_start(void)
{
	struct mesh_params mesh = {.own_key = node_key_public(hostile.key),
				   .timers = &hostile.timers,
				   .random = &hostile.random,
				   .now_ns = sim.now_ns,
				   .wall_s = SIM_WALL_S};

	mesh_config_defaults(&mesh.config);
	if (mesh_new(&mesh, &hostile.mesh) < 0)
		return false;
	hostile.seam = mesh_seam_of(hostile.mesh);
	return hostile.seam.ops->handle(hostile.mesh, MESH_GET_MANIFEST, serve_manifest, NULL) ==
		       0 &&
	       hostile.seam.ops->handle(hostile.mesh, MESH_GET_CHUNK, serve_chunk, NULL) == 0 &&
	       hostile.seam.ops->handle(hostile.mesh, MESH_GET_CHUNK_HASHES, serve_list, NULL) == 0;
}

static bool hostile_quic_start(void)
{
	static struct transport_events events;
	static struct transport_ops ops;
	struct quic_engine_params quic = {.key = hostile.key,
					  .events = &events,
					  .ctx = hostile.mesh,
					  .random = &hostile.random,
					  .sink = &hostile.tx->sink,
					  .now_ns = sim.now_ns};

	events = hostile.evil == EVIL_MUTE ? mute_events : mesh_transport_events;
	if (hostile.evil == EVIL_DRIP)
		events.stream_closed = drip_closed;
	quic_config_defaults(&quic.config);
	if (quic_engine_new(&quic, &hostile.quic) < 0)
		return false;
	ops = *engine_ops();
	if (hostile.evil == EVIL_DRIP) {
		ops.send = drip_send;
		ops.finish = drip_finish;
	}
	/* It only answers, so the table is all that is asked of its transport. */
	hostile.transport.ops = &ops;
	mesh_set_transport(hostile.mesh, &hostile.transport);
	return true;
}

static bool scene_begin(enum evil evil)
{
	static const struct mem_link line = {.delay_ns = 5 * NS_PER_MS};
	uint8_t seed[NODE_KEY_SEED_LEN] = {0xee};

	sim_init(&sim, sim_seed(1), &line);
	sim_start(sim_add(&sim));
	memset(&hostile, 0, sizeof(hostile));
	hostile.evil = evil;
	hostile.addr = (struct addr){.ip = {10, 9, 9, 9}, .port = 7000, .family = ADDR_IPV4};
	random_init_seeded(&hostile.random, sim.seed + 100);
	random_fill(&hostile.random, hostile.file, sizeof(hostile.file));
	timer_wheel_init(&hostile.timers, sim.now_ns);
	hostile.guest.turn = hostile_turn;
	hostile.guest.next_ns = sim.now_ns;
	if (node_key_from_seed(seed, &hostile.key) < 0 ||
	    net_mem_net_attach(sim.net, &hostile.addr, &hostile.guest.rx, &hostile.tx) < 0 ||
	    !hostile_mesh_start() || !hostile_quic_start())
		return false;
	sim.guest = &hostile.guest;
	manifest_make(evil == EVIL_LIST ? LARGE_LEN : evil == EVIL_SELDOM ? SMALL_LEN : FILE_LEN);
	hostile.file[FILE_LEN - 1] ^= evil == EVIL_BYTES;
	return true;
}

static void scene_end(void)
{
	mesh_free(hostile.mesh);
	quic_engine_free(hostile.quic);
	packet_rx_close(hostile.guest.rx);
	packet_tx_close(hostile.tx);
	node_key_free(hostile.key);
	sim_fini(&sim);
}

/* --- the tests --- */

/* The get of a scene ends as said; its file is nowhere. */
static void check_scene(enum evil evil, int err, const char *detail)
{
	const struct blobs_get *get;
	struct mesh_stats stats;

	CHECK(scene_begin(evil));
	CHECK_EQ(mkdir(sim_path(&sim, "in"), 0755), 0);
	get = sim_get_run(&sim.nodes[0],
			  sim_get_start(&sim.nodes[0], &bait, sim_path(&sim, "in/out")),
			  PATIENCE_S * NS_PER_S);
	printf("# after %.1f s: %s\n", (double)(sim.now_ns - sim.begin_ns) / NS_PER_S, get->detail);
	CHECK_EQ(get->state, BLOBS_GET_STOPPED);
	CHECK_EQ(get->err, err);
	CHECK(strstr(get->detail, detail));
	CHECK(hostile.asked_cnt > 0);
	CHECK_EQ(get->byte_done_cnt, 0);
	CHECK(access(sim_path(&sim, "in/out/file0000"), F_OK) < 0);
	CHECK(access(sim_path(&sim, "in/file0000"), F_OK) < 0);
	/* It holds nothing of the hostile node's any more. */
	mesh_stats(node_mesh(sim.nodes[0].node), &stats);
	CHECK_EQ(stats.request_cnt, 0);
	scene_end();
}

static void test_scene_works_without_evil(void)
{
	const struct blobs_get *get;
	struct stat st;

	CHECK(scene_begin(EVIL_NOT));
	get = sim_get_run(&sim.nodes[0], sim_get_start(&sim.nodes[0], &bait, sim_path(&sim, "out")),
			  60 * NS_PER_S);
	CHECK_EQ(get->state, BLOBS_GET_FINISHED);
	CHECK(stat(sim_path(&sim, "out/file0000"), &st) == 0);
	CHECK_EQ(st.st_size, FILE_LEN);
	scene_end();
}

static void test_wrong_bytes_end_the_get(void)
{
	check_scene(EVIL_BYTES, WEFT_EDAMAGED, "bytes that do not match");
}

/* Three times in three thousand; nearly all of it was right, and it is asked no more. */
static void test_one_wrong_chunk_in_a_thousand_ends_it_after_three(void)
{
	const struct blobs_get *get;
	unsigned asked_cnt;

	CHECK(scene_begin(EVIL_SELDOM));
	get = sim_get_run(&sim.nodes[0], sim_get_start(&sim.nodes[0], &bait, sim_path(&sim, "out")),
			  PATIENCE_S * NS_PER_S);
	printf("# after %.1f s: %s\n", (double)(sim.now_ns - sim.begin_ns) / NS_PER_S, get->detail);
	CHECK_EQ(get->state, BLOBS_GET_STOPPED);
	CHECK_EQ(get->err, WEFT_EDAMAGED);
	CHECK(strstr(get->detail, "bytes that do not match"));
	CHECK_EQ(get->bad_chunk_cnt, 3);
	CHECK_EQ(hostile.wrong_cnt, 3);
	CHECK(get->byte_done_cnt > 2900 * SMALL_LEN && get->byte_done_cnt < get->byte_cnt);
	asked_cnt = hostile.asked_cnt;
	(void)sim_run(&sim, 60 * NS_PER_S, NULL, NULL);
	CHECK_EQ(hostile.asked_cnt, asked_cnt);
	scene_end();
}

static void test_wrong_chunk_list_ends_the_get(void)
{
	check_scene(EVIL_LIST, WEFT_EDAMAGED, "bytes that do not match");
}

static void test_manifest_of_3001_items_is_refused(void)
{
	check_scene(EVIL_ITEMS, WEFT_ETOOLARGE, "the manifest cannot be used");
}

static void test_path_out_of_the_target_is_refused(void)
{
	check_scene(EVIL_PATH, WEFT_EUNSAFE, "the manifest cannot be used");
}

static void test_silent_peer_is_given_up(void)
{
	check_scene(EVIL_SILENCE, WEFT_ETIMEOUT, "resume when it is back");
}

static void test_peer_without_hello_is_given_up(void)
{
	check_scene(EVIL_MUTE, WEFT_ETIMEOUT, "resume when it is back");
}

static void test_one_byte_a_second_is_given_up(void)
{
	check_scene(EVIL_DRIP, WEFT_ETIMEOUT, "resume when it is back");
	CHECK(hostile.drip_cnt > 10);
}

int main(void)
{
	RUN(test_scene_works_without_evil);
	RUN(test_wrong_bytes_end_the_get);
	RUN(test_one_wrong_chunk_in_a_thousand_ends_it_after_three);
	RUN(test_wrong_chunk_list_ends_the_get);
	RUN(test_manifest_of_3001_items_is_refused);
	RUN(test_path_out_of_the_target_is_refused);
	RUN(test_silent_peer_is_given_up);
	RUN(test_peer_without_hello_is_given_up);
	RUN(test_one_byte_a_second_is_given_up);
	return check_done();
}
