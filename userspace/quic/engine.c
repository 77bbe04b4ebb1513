/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine: QUIC v1 on one worker, without I/O.
 *
 * Inbound: engine_input.c.
 *
 * Outbound. A connection that wants to write is put on the ready list.
 * quic_engine_flush takes them in turn, and quic_conn_write fills one slot of the
 * sink with a run of equal packets. Then the connection's one timer is set, and
 * quic_engine_expire puts it back on the list when due.
 *
 * Left out: 0-RTT (no message is safe to replay), preferred addresses, unidirectional
 * streams, DATAGRAM frames, versions but v1.
 */
#include "quic/engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/monotonic.h"

#define SESSION_CAP 1024
/* Part of conn_cap, but at least so many, for a table of a few connections. */
#define HALF_OPEN_DIVISOR 4
#define HALF_OPEN_CAP_MIN 8
/*
 * About 6 GB. AES-GCM allows 2^23 packets under a key (RFC 9001 6.6);
 * changing earlier keeps the path exercised.
 */
#define KEY_UPDATE_AFTER_CNT (1u << 22)

void quic_config_defaults(struct quic_config *config)
{
	*config = (struct quic_config){
		.conn_cap = 1024,
		.conn_per_key_cap = 4,
		.stream_per_conn_cap = 128,
		.stream_cap =
			1024 * 128, /* what all connections may have: none runs out for others */
		.retry_above_cnt = 256,
		.handshake_timeout_ns = 10 * NS_PER_S,
		.idle_timeout_ns = 60 * NS_PER_S,
		.keepalive_ns = 20 * NS_PER_S,
		.window_len_min = 1 << 20,
		.window_len_max = 32 << 20,
		.heap_cap = 128 << 20,
		.congestion = QUIC_CUBIC,
		.is_pmtud_on = true,
	};
}

void quic_engine_configure(struct quic_engine *engine, const struct quic_config *config)
{
	struct quic_config *own = &engine->config;

	own->retry_above_cnt = config->retry_above_cnt;
	own->stream_per_conn_cap = config->stream_per_conn_cap;
	own->handshake_timeout_ns = config->handshake_timeout_ns;
	own->idle_timeout_ns = config->idle_timeout_ns;
	own->keepalive_ns = config->keepalive_ns;
	own->window_len_min = config->window_len_min;
	own->window_len_max = config->window_len_max;
	own->congestion = config->congestion;
	own->is_pmtud_on = config->is_pmtud_on;
}

static uint32_t linger_cap_of(const struct quic_config *config)
{
	return config->conn_cap / 4 + 4;
}

/* Handshakes from unproven addresses. */
static uint32_t half_open_cap_of(const struct quic_config *config)
{
	uint32_t cap = config->conn_cap / HALF_OPEN_DIVISOR;

	return cap > HALF_OPEN_CAP_MIN ? cap : HALF_OPEN_CAP_MIN;
}

/* Those from proven ones: enough for a crowd that comes back after a restart. */
static uint32_t validated_cap_of(const struct quic_config *config)
{
	return config->conn_cap > HALF_OPEN_CAP_MIN ? config->conn_cap : HALF_OPEN_CAP_MIN;
}

/* Handshakes have slots of their own; lingering connections have ids too. */
static uint32_t slot_cap_of(const struct quic_config *config)
{
	return config->conn_cap + half_open_cap_of(config) + validated_cap_of(config) +
	       linger_cap_of(config);
}

static int engine_lay_out_cids(struct quic_engine *engine, const struct quic_engine_params *params,
			       const uint64_t map_secret[2])
{
	struct quic_cids_params cids = {
		.conn_cap = slot_cap_of(&params->config),
		.worker = params->config.worker,
		.epoch = params->cid_epoch,
		.map_secret = {map_secret[0], map_secret[1]},
	};
	uint8_t secret[32];
	int err = tls_derive(params->key, "weft connection ids 1", secret);

	if (err < 0)
		return err;
	memcpy(cids.secret, secret, sizeof(cids.secret));
	err = quic_cids_init(&engine->cids, &engine->arena, &cids);
	OPENSSL_cleanse(secret, sizeof(secret));
	OPENSSL_cleanse(&cids, sizeof(cids));
	return err;
}

static int engine_lay_out(struct quic_engine *engine, const struct quic_engine_params *params)
{
	const struct quic_config *config = &params->config;
	uint32_t slot_cap = slot_cap_of(config);
	uint64_t secret[2];
	int err;

	err = arena_open(&engine->arena, ARENA_GROWS);
	if (err < 0)
		return err;
	err = quic_memory_init(engine, config->heap_cap);
	if (err < 0)
		return err;
	random_fill(params->random, secret, sizeof(secret));
	if ((err = pool_init(&engine->conns, &engine->arena, sizeof(struct quic_conn), slot_cap)) <
		    0 ||
	    (err = pool_init(&engine->streams, &engine->arena, sizeof(struct quic_stream),
			     config->stream_cap)) < 0 ||
	    (err = engine_lay_out_cids(engine, params, secret)) < 0 ||
	    (err = quic_limits_init(&engine->limits, &engine->arena, slot_cap,
				    config->conn_per_key_cap, params->random)) < 0 ||
	    (err = quic_token_init(engine)) < 0 ||
	    (err = quic_share_init(engine, validated_cap_of(config))) < 0 ||
	    (err = quic_backlog_init(&engine->backlog, &engine->arena)) < 0)
		return err;
	err = tls_init(&engine->tls, &engine->arena, params->key, SESSION_CAP, secret);
	arena_fit(&engine->arena);
	return err;
}

static int engine_derive_claim_secret(struct quic_engine *engine)
{
	uint8_t secret[QUIC_SECRET_LEN];
	int err = tls_derive(engine->key, "weft known tokens 1", secret);

	memcpy(engine->claim_secret, secret, sizeof(engine->claim_secret));
	OPENSSL_cleanse(secret, sizeof(secret));
	return err;
}

int quic_engine_new(const struct quic_engine_params *params, struct quic_engine **out_engine)
{
	struct quic_engine *engine = calloc(1, sizeof(*engine));
	int err;

	if (!engine)
		return -ENOMEM;
	engine->transport.ops = &quic_transport_ops;
	engine->config = params->config;
	engine->events = params->events;
	engine->ctx = params->ctx;
	engine->on_path = params->on_path;
	engine->relayed_len_max = params->relayed_len_max;
	engine->ask_relayed = params->ask_relayed;
	engine->leg_silent = params->leg_silent;
	engine->relabel = params->relabel;
	engine->path_ctx = params->path_ctx;
	engine->is_limited = params->is_limited;
	engine->limited_ctx = params->limited_ctx;
	engine->random = params->random;
	engine->now_ns = params->now_ns;
	engine->key = params->key;
	quic_engine_set_wall(engine, params->wall_s, params->now_ns);
	engine->linger_cap = linger_cap_of(&params->config);
	engine->key_class = params->key_class;
	engine->class_ctx = params->class_ctx;
	engine->shares.load = params->load;
	engine->key_update_after_cnt = KEY_UPDATE_AFTER_CNT;
	list_init(&engine->ready);
	list_init(&engine->lingering);
	timer_wheel_init(&engine->wheel, params->now_ns);
	quic_wake_init(engine);
	err = engine_lay_out(engine, params);
	if (err == 0)
		err = tls_derive(params->key, "weft stateless reset 2",
				 (uint8_t *)engine->reset_secrets);
	if (err == 0)
		err = engine_derive_claim_secret(engine);
	/* A thread-safe one-time warm-up of OpenSSL's algorithm look-ups. */
	if (err == 0 && ngtcp2_crypto_ossl_init() != 0)
		err = WEFT_EFULL;
	if (err < 0) {
		quic_engine_free(engine);
		return err;
	}
	SSL_CTX_sess_set_new_cb(engine->tls.client, quic_conn_keep_session);
	SSL_CTX_set_client_hello_cb(engine->tls.server, quic_conn_check_hello, NULL);
	quic_engine_set_sink(engine, params->sink);
	*out_engine = engine;
	return 0;
}

void quic_engine_free(struct quic_engine *engine)
{
	struct quic_conn *conn;

	if (!engine)
		return;
	while (engine->conns.used_cnt && (conn = pool_next(&engine->conns, NULL)))
		quic_conn_abandon(conn);
	tls_fini(&engine->tls);
	heap_free(engine->heap);
	arena_close(&engine->arena);
	OPENSSL_cleanse(engine, sizeof(*engine));
	free(engine);
}

void quic_engine_set_wall(struct quic_engine *engine, uint64_t wall_s, uint64_t now_ns)
{
	/* The difference is used only in sums with the time: it may wrap. */
	engine->wall_offset_ns = wall_s * NS_PER_S - now_ns;
}

int quic_engine_token_keys(struct quic_engine *engine, struct weft_token_keys *out_keys)
{
	int err = quic_token_keys_turn(engine);

	*out_keys = engine->token_keys;
	return err;
}

struct transport *quic_engine_transport(struct quic_engine *engine)
{
	return &engine->transport;
}

void quic_engine_set_sink(struct quic_engine *engine, struct dgram_sink *sink)
{
	size_t len_max =
		sink->batch_len_max < QUIC_DGRAM_LEN_MAX ? QUIC_DGRAM_LEN_ETH : QUIC_DGRAM_LEN_MAX;

	weft_assert(sink->batch_len_max >= QUIC_DGRAM_LEN_ETH);
	/* Live connections may have found a path for what they were promised. */
	weft_assert(engine->conns.used_cnt == 0 || sink->batch_len_max >= engine->dgram_len_max);
	engine->sink = sink;
	if (engine->conns.used_cnt == 0)
		engine->dgram_len_max = len_max;
}

void quic_engine_turn(struct quic_engine *engine, uint64_t now_ns)
{
	if (now_ns > engine->now_ns)
		engine->now_ns = now_ns;
}

/* Handshakes without a token: as many half-open connections as there is room for, and as the node likes. */
uint32_t quic_engine_unvalidated_cap(const struct quic_engine *engine)
{
	uint32_t half_open_cap = half_open_cap_of(&engine->config),
		 wanted = engine->config.retry_above_cnt;

	return wanted < half_open_cap ? wanted : half_open_cap;
}

const struct weft_cid_keys *quic_engine_cid_keys(const struct quic_engine *engine)
{
	return &engine->cids.keys;
}

bool quic_engine_can_rotate_cids(const struct quic_engine *engine)
{
	return quic_cids_can_rotate(&engine->cids);
}

void quic_engine_rotate_cids(struct quic_engine *engine)
{
	quic_cids_rotate(&engine->cids);
}

/*
 * Data that the speaker had queued before it closed still goes, as far as the
 * window lets it.
 */
static enum quic_written conn_write_last(struct quic_conn *conn)
{
	enum quic_written written;

	do
		written = quic_conn_write(conn);
	while (written == QUIC_WRITTEN);
	if (written != QUIC_WRITTEN_QUIET)
		return written;
	quic_conn_shut(conn, 0);
	return QUIC_WRITTEN_GONE;
}

void quic_engine_flush(struct quic_engine *engine, uint64_t now_ns)
{
	enum quic_written written;
	struct quic_conn *conn;

	quic_engine_turn(engine, now_ns);
	quic_engine_serve_waiting(engine);
	quic_memory_wake(engine);
	engine->is_sink_full = false;
	while ((conn = list_first(&engine->ready, struct quic_conn, link))) {
		written = conn->is_close_wanted ? conn_write_last(conn) : quic_conn_write(conn);
		if (written == QUIC_WRITTEN_FULL) {
			engine->is_sink_full = true;
			return;
		}
		if (written == QUIC_WRITTEN_GONE)
			continue;
		list_unlink(&conn->link);
		conn->is_ready = false;
		if (written == QUIC_WRITTEN)
			quic_conn_want_write(conn);
	}
}

void quic_engine_expire(struct quic_engine *engine, uint64_t now_ns)
{
	quic_engine_turn(engine, now_ns);
	timer_wheel_expire(&engine->wheel, engine->now_ns);
	fair_conns_expire(&engine->shares, engine->now_ns);
}

uint64_t quic_engine_next_ns(const struct quic_engine *engine)
{
	uint64_t next_ns;

	if (engine->backlog.cnt > 0 || (!list_is_empty(&engine->ready) && !engine->is_sink_full) ||
	    quic_memory_is_due(engine))
		return engine->now_ns;
	next_ns = timer_wheel_next_ns(&engine->wheel);
	return next_ns < engine->shares.next_ns ? next_ns : engine->shares.next_ns;
}

/* --- a further protocol --- */

static int silent_ready(void *ctx, struct transport_conn *conn, uint64_t now_ns)
{
	(void)ctx, (void)conn, (void)now_ns;
	return WEFT_EREFUSED;
}

static void silent_closed(void *ctx, struct transport_conn *conn,
			  const struct transport_close *close, uint64_t now_ns)
{
	(void)ctx, (void)conn, (void)close, (void)now_ns;
}

static void silent_streams_available(void *ctx, struct transport_conn *conn, uint64_t now_ns)
{
	(void)ctx, (void)conn, (void)now_ns;
}

static int silent_opened(void *ctx, struct transport_conn *conn, struct transport_stream *stream,
			 uint64_t now_ns)
{
	(void)ctx, (void)conn, (void)stream, (void)now_ns;
	return WEFT_EREFUSED;
}

static void silent_data(void *ctx, struct transport_stream *stream,
			const struct transport_piece *piece, uint64_t now_ns)
{
	(void)ctx, (void)stream, (void)piece, (void)now_ns;
}

static void silent_code(void *ctx, struct transport_stream *stream, uint64_t code, uint64_t now_ns)
{
	(void)ctx, (void)stream, (void)code, (void)now_ns;
}

static void silent_writable(void *ctx, struct transport_stream *stream, uint64_t now_ns)
{
	(void)ctx, (void)stream, (void)now_ns;
}

/* Of connections whose speaker is gone. */
static const struct transport_events silent_events = {
	.conn_ready = silent_ready,
	.conn_closed = silent_closed,
	.conn_streams_available = silent_streams_available,
	.stream_opened = silent_opened,
	.stream_data = silent_data,
	.stream_reset = silent_code,
	.stream_writable = silent_writable,
	.stream_closed = silent_code,
};

int quic_engine_serve(struct quic_engine *engine, const struct quic_guest *guest)
{
	const struct transport_events *former = engine->guest.events;
	struct quic_conn *conn = NULL;
	int err;

	if (guest->events && engine->guest.alpn)
		return WEFT_EEXISTS;
	if (guest->events && (err = tls_offer(&engine->tls, guest->alpn)) < 0)
		return err;
	while (former && (conn = pool_next(&engine->conns, conn))) {
		if (conn->events != former)
			continue;
		conn->events = &silent_events;
		engine->transport.ops->close(&conn->transport, QUIC_CLOSE_REFUSED,
					     "no such protocol");
	}
	engine->guest = *guest;
	return 0;
}

void quic_engine_drain(struct quic_engine *engine)
{
	engine->is_draining = true;
}

void quic_engine_rebind(struct quic_engine *engine, quic_choose_local_fn choose, void *ctx,
			uint64_t now_ns)
{
	struct quic_conn *conn = NULL;
	struct addr remote, local, chosen;

	quic_engine_turn(engine, now_ns);
	while ((conn = pool_next(&engine->conns, conn))) {
		if (!conn->is_dialler || !conn->is_local_known || conn->state == QUIC_CONN_LINGER)
			continue;
		quic_path_addr(&ngtcp2_conn_get_path(conn->ngtcp2)->remote, &remote);
		quic_path_addr(&ngtcp2_conn_get_path(conn->ngtcp2)->local, &local);
		quic_alias_out(conn, &local);
		if (choose(ctx, &remote, &local, &chosen) && chosen.family == remote.family)
			quic_conn_rebind(conn, &chosen);
	}
}

bool quic_engine_move(struct quic_engine *engine, const struct addr *from, const struct addr *local,
		      const struct addr *remote, uint64_t now_ns)
{
	struct quic_conn *conn = NULL;

	quic_engine_turn(engine, now_ns);
	while ((conn = pool_next(&engine->conns, conn)))
		if (conn->is_dialler && conn->state == QUIC_CONN_OPEN && !conn->is_close_wanted &&
		    addr_equal(&conn->remote, from))
			return quic_conn_move(conn, local, remote);
	return false;
}

void quic_engine_path_is_back(struct quic_engine *engine, const struct addr *remote,
			      uint64_t now_ns)
{
	struct quic_conn *conn = NULL;
	int rv = 0;

	quic_engine_turn(engine, now_ns);
	while ((conn = pool_next(&engine->conns, conn)))
		if (conn->state == QUIC_CONN_OPEN && addr_equal(&conn->remote, remote) &&
		    (rv = quic_probe_path_is_back(conn)) != 0)
			quic_conn_shut(conn, rv);
}

unsigned quic_engine_expel(struct quic_engine *engine, quic_refuse_fn refuses, void *ctx,
			   uint64_t now_ns)
{
	struct quic_conn *conn = NULL;
	struct addr remote;
	unsigned cnt = 0;

	quic_engine_turn(engine, now_ns);
	while ((conn = pool_next(&engine->conns, conn))) {
		if (conn->state != QUIC_CONN_HANDSHAKE)
			continue;
		quic_path_addr(&ngtcp2_conn_get_path(conn->ngtcp2)->remote, &remote);
		if (!refuses(ctx, &remote))
			continue;
		quic_conn_refuse(conn, QUIC_CLOSE_REFUSED, "not welcome");
		/* Not in the next flush: what waits to be sent would go first. */
		quic_conn_shut(conn, 0);
		cnt++;
	}
	return cnt;
}

const struct addr *quic_engine_path_next(const struct quic_engine *engine,
					 const struct quic_conn **at)
{
	const struct quic_conn *conn = *at;

	do
		conn = pool_next(&engine->conns, conn);
	while (conn && conn->state != QUIC_CONN_OPEN &&
	       (conn->state != QUIC_CONN_HANDSHAKE || !conn->is_dialler));
	*at = conn;
	return conn ? &conn->remote : NULL;
}

bool quic_engine_leaves_by(const struct quic_engine *engine, uint16_t local_port)
{
	const struct quic_conn *conn = NULL;

	while ((conn = pool_next(&engine->conns, conn)))
		if (conn->state == QUIC_CONN_OPEN &&
		    (conn->local.port == local_port || (conn->fallback.label.family != ADDR_NONE &&
							conn->fallback.local.port == local_port)))
			return true;
	return false;
}

void quic_engine_stats(const struct quic_engine *engine, struct quic_stats *out_stats)
{
	struct heap_usage usage;

	*out_stats = engine->stats;
	out_stats->stream_cnt = engine->streams.used_cnt;
	out_stats->stream_peak_cnt = engine->streams.peak_cnt;
	out_stats->ticket_cnt = engine->tls.sessions.used_cnt;
	out_stats->half_open_cnt = engine->limits.half_open.cnt;
	out_stats->half_open_peak_cnt = engine->limits.half_open.peak_cnt;
	out_stats->half_open_cap = quic_engine_unvalidated_cap(engine);
	out_stats->waiting_cnt = engine->backlog.cnt;
	out_stats->waiting_peak_cnt = engine->backlog.peak_cnt;
	out_stats->waiting_cap = BACKLOG_CAP;
	out_stats->waiting_dropped_cnt = engine->backlog.dropped_cnt;
	quic_share_stats(engine, out_stats);
	heap_usage(engine->heap, &usage);
	out_stats->heap_used_len = usage.used_len;
	out_stats->heap_peak_len = usage.peak_len;
	out_stats->heap_cap = usage.cap;
}
