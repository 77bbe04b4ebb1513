/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine: the mesh's streams over TLS on TCP, on one worker, without I/O.
 *
 * Inbound: a link's bytes come by tcp_engine_input. TLS reads them (tcp_handshake.c, then
 * tcp_input.c), frames become events of the speaker.
 *
 * Outbound: the speaker's calls (tcp_transport.c) put a connection on the ready list. The flush
 * makes frames of streams that have something to send (tcp_output.c), TLS makes records of them,
 * and the link takes many with one call.
 *
 * Left out: early data (no message is safe to replay), unidirectional streams, credit of the
 * whole connection (tcp_stream.c says why).
 */
#include "tcp/tcp_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "base/monotonic.h"
#include "base/random.h"

#define SESSION_CAP 1024
/* Connections that linger, of conn_cap. */
#define LINGER_DIVISOR 4
#define LINGER_CAP_MIN 4

void tcp_config_defaults(struct tcp_config *config)
{
	*config = (struct tcp_config){
		.is_on = true,
		.conn_cap = 256,
		.conn_per_key_cap = 4,
		.handshake_cap = 256,
		.stream_cap = 256 * TCP_STREAMS_MAX,
		.handshake_timeout_ns = 10 * NS_PER_S,
		.idle_timeout_ns = 60 * NS_PER_S,
		.keepalive_ns = 20 * NS_PER_S,
		.window_len_max = 32 << 20,
		.heap_cap = 32 << 20,
		.dgram_cap = 4096,
	};
}

uint32_t tcp_config_linger_cap(const struct tcp_config *config)
{
	return config->conn_cap / LINGER_DIVISOR + LINGER_CAP_MIN;
}

static uint32_t slot_cap_of(const struct tcp_config *config)
{
	return config->conn_cap + config->handshake_cap + tcp_config_linger_cap(config);
}

unsigned tcp_config_link_cap(const struct tcp_config *config)
{
	/* And one that is accepted and not wanted. */
	return slot_cap_of(config) + 1;
}

struct addr tcp_config_addr(const struct tcp_config *config, const struct addr *udp)
{
	struct addr addr = *udp;

	addr.transport = ADDR_TCP;
	addr.port = config->port ? config->port : (uint16_t)(udp->port + 1);
	return addr;
}

/*
 * Every connection may fill its records, also while it lingers, and every handshake its flight: none
 * waits for another.
 */
static uint32_t record_cap_of(const struct tcp_config *config)
{
	return (config->conn_cap + tcp_config_linger_cap(config)) * TCP_RECORDS_MAX +
	       config->handshake_cap * TCP_RECORDS_SHAKING;
}

size_t tcp_config_footprint(const struct tcp_config *config)
{
	return config->heap_cap + record_cap_of(config) * sizeof(struct tcp_record) +
	       config->dgram_cap * sizeof(struct tcp_dgram_slot) +
	       slot_cap_of(config) * sizeof(struct tcp_conn) +
	       config->stream_cap * sizeof(struct tcp_stream);
}

static int engine_lay_out(struct tcp_engine *engine, const struct tcp_engine_params *params)
{
	const struct tcp_config *config = &params->config;
	struct arena *arena = &engine->arena;
	uint64_t secret[2];
	int err;

	err = arena_open(arena, ARENA_GROWS);
	if (err < 0)
		return err;
	random_fill(params->random, secret, sizeof(secret));
	if ((err = heap_new(config->heap_cap, &engine->heap)) < 0 ||
	    (err = pool_init(&engine->conns, arena, sizeof(struct tcp_conn), slot_cap_of(config))) <
		    0 ||
	    (err = pool_init(&engine->streams, arena, sizeof(struct tcp_stream),
			     config->stream_cap)) < 0 ||
	    (err = pool_init(&engine->records, arena, sizeof(struct tcp_record),
			     record_cap_of(config))) < 0 ||
	    (err = pool_init(&engine->key_counts, arena, sizeof(struct tcp_key_count),
			     slot_cap_of(config))) < 0 ||
	    (err = map_init(&engine->key_count_by_key, arena, TRANSPORT_KEY_LEN,
			    slot_cap_of(config), secret)) < 0 ||
	    (err = map_init(&engine->stream_by_id, arena, sizeof(struct tcp_stream_name),
			    config->stream_cap, secret)) < 0 ||
	    (err = tcp_dgram_init(engine, secret)) < 0 ||
	    (err = tcp_share_init(engine, params->random)) < 0)
		return err;
	engine->plain = arena_alloc(arena, TCP_FRAME_RECORD_LEN);
	engine->bio = tcp_output_bio();
	if (!engine->plain || !engine->bio)
		return WEFT_EFULL;
	err = tls_init(&engine->tls, arena, params->key, SESSION_CAP, secret);
	arena_fit(arena);
	return err;
}

int tcp_engine_new(const struct tcp_engine_params *params, struct tcp_engine **out_engine)
{
	struct tcp_engine *engine = calloc(1, sizeof(*engine));
	int err;

	if (!engine)
		return -ENOMEM;
	engine->transport.ops = &tcp_transport_ops;
	engine->config = params->config;
	engine->proxy.addr = params->config.proxy;
	engine->events = params->events;
	engine->ctx = params->ctx;
	engine->refuses = params->refuses;
	engine->is_limited = params->is_limited;
	engine->refuses_ctx = params->refuses_ctx;
	engine->key_class = params->key_class;
	engine->class_ctx = params->class_ctx;
	engine->pass = params->pass;
	engine->pass_ctx = params->pass_ctx;
	engine->on_dgram = params->on_dgram;
	engine->dgram_ctx = params->dgram_ctx;
	engine->shares.load = params->load;
	engine->now_ns = params->now_ns;
	list_init(&engine->ready);
	list_init(&engine->lingering);
	list_init(&engine->starved);
	timer_wheel_init(&engine->wheel, params->now_ns);
	err = engine_lay_out(engine, params);
	if (err < 0) {
		tcp_engine_free(engine);
		return err;
	}
	SSL_CTX_sess_set_new_cb(engine->tls.client, tcp_handshake_keep_session);
	if (engine->pass)
		tls_offer_http(&engine->tls);
	*out_engine = engine;
	return 0;
}

void tcp_engine_free(struct tcp_engine *engine)
{
	struct tcp_conn *conn;

	if (!engine)
		return;
	while (engine->conns.used_cnt && (conn = pool_next(&engine->conns, NULL)))
		tcp_conn_abandon(conn);
	tls_fini(&engine->tls);
	BIO_meth_free(engine->bio);
	heap_free(engine->heap);
	arena_close(&engine->arena);
	OPENSSL_cleanse(engine, sizeof(*engine));
	free(engine);
}

void tcp_engine_set_links(struct tcp_engine *engine, struct tcp_links *links)
{
	engine->links = links;
}

void tcp_engine_set_lines(struct tcp_engine *engine, struct tcp_links *lines)
{
	engine->lines = lines;
}

struct transport *tcp_engine_transport(struct tcp_engine *engine)
{
	return &engine->transport;
}

static void engine_turn(struct tcp_engine *engine, uint64_t now_ns)
{
	if (now_ns > engine->now_ns)
		engine->now_ns = now_ns;
}

/* The last records went: the peer knows that nothing follows, and its own end is waited for. */
static void conn_linger_on(struct tcp_conn *conn)
{
	if (conn->is_shut || !list_is_empty(&conn->records))
		return;
	conn->is_shut = true;
	conn->links->ops->shut(conn->link);
}

static void conn_flush(struct tcp_conn *conn)
{
	if (conn->state == TCP_CONN_CONNECTING && !conn->is_close_wanted)
		return;
	switch (conn->state == TCP_CONN_CONNECTING ? TCP_WRITTEN_QUIET : tcp_output_write(conn)) {
	case TCP_WRITTEN_GONE:
		return;
	case TCP_WRITTEN:
		tcp_conn_want_write(conn);
		return;
	case TCP_WRITTEN_QUIET:
		break;
	}
	if (conn->state == TCP_CONN_LINGER)
		conn_linger_on(conn);
	else if (conn->is_close_wanted)
		tcp_conn_finish(conn);
}

void tcp_engine_flush(struct tcp_engine *engine, uint64_t now_ns)
{
	struct list_node turn;
	struct tcp_conn *conn;

	engine_turn(engine, now_ns);
	engine->shake_cnt = 0;
	tcp_stream_wake(engine);
	/* A connection with more to write after its part comes again in the next flush. */
	list_init(&turn);
	while ((conn = list_first(&engine->ready, struct tcp_conn, ready_link))) {
		list_unlink(&conn->ready_link);
		list_push_back(&turn, &conn->ready_link);
	}
	while ((conn = list_first(&turn, struct tcp_conn, ready_link))) {
		list_unlink(&conn->ready_link);
		conn->is_ready = false;
		conn_flush(conn);
	}
}

void tcp_engine_expire(struct tcp_engine *engine, uint64_t now_ns)
{
	engine_turn(engine, now_ns);
	timer_wheel_expire(&engine->wheel, engine->now_ns);
	fair_conns_expire(&engine->shares, engine->now_ns);
}

uint64_t tcp_engine_next_ns(const struct tcp_engine *engine)
{
	uint64_t next_ns = timer_wheel_next_ns(&engine->wheel);

	if (!list_is_empty(&engine->ready) ||
	    (engine->is_memory_freed && !list_is_empty(&engine->starved)))
		return engine->now_ns;
	return next_ns < engine->shares.next_ns ? next_ns : engine->shares.next_ns;
}

void tcp_engine_drain(struct tcp_engine *engine)
{
	engine->is_draining = true;
}

unsigned tcp_engine_expel(struct tcp_engine *engine, uint64_t now_ns)
{
	const struct transport_close unwelcome = {.err = WEFT_EREFUSED};
	struct tcp_conn *conn = NULL;
	unsigned cnt = 0;

	engine_turn(engine, now_ns);
	while ((conn = pool_next(&engine->conns, conn))) {
		if (conn->state > TCP_CONN_SHAKING || !engine->refuses ||
		    !engine->refuses(engine->refuses_ctx, &conn->remote))
			continue;
		tcp_conn_shut(conn, &unwelcome, false);
		cnt++;
	}
	return cnt;
}

void tcp_engine_stats(const struct tcp_engine *engine, struct tcp_stats *out_stats)
{
	struct heap_usage usage;

	*out_stats = engine->stats;
	out_stats->stream_cnt = engine->streams.used_cnt;
	out_stats->stream_peak_cnt = engine->streams.peak_cnt;
	out_stats->dgram_cnt = engine->dgrams.used_cnt;
	out_stats->dgram_peak_cnt = engine->dgrams.peak_cnt;
	tcp_share_stats(engine, out_stats);
	heap_usage(engine->heap, &usage);
	out_stats->heap_used_len = usage.used_len;
	out_stats->heap_peak_len = usage.peak_len;
	out_stats->heap_cap = usage.cap;
}

const struct tcp_proxy_view *tcp_engine_proxy(const struct tcp_engine *engine)
{
	return &engine->proxy;
}
