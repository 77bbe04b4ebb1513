/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection's life up to its end. It is made for a link that a peer opened or for a dial, fed
 * with bytes, and watched by one timer. No OpenSSL object is made for a link before its first byte
 * has come, so what only connects costs a place and nothing else.
 */
#include "tcp/tcp_state.h"

#include <string.h>

#include "base/random.h"

/* Inputs to handshakes in one turn, each up to 270 us of crypto: sessions wait no longer than that. */
#define SHAKES_PER_TURN 16
/* Streams of the side that dialled have odd numbers. */
#define DIALLER_FIRST_ID 1
#define PEER_FIRST_ID	 2
#define NARROW_PATIENCE	 6

struct tcp_conn *tcp_conn_of(const struct transport_conn *transport)
{
	return (struct tcp_conn *)(uintptr_t)transport;
}

bool tcp_conn_is_usable(const struct tcp_conn *conn)
{
	return conn->state == TCP_CONN_OPEN && !conn->is_close_wanted;
}

void tcp_conn_want_write(struct tcp_conn *conn)
{
	if (!conn->is_ready)
		list_push_back(&conn->engine->ready, &conn->ready_link);
	conn->is_ready = true;
}

/* A handshake is 1 kB both ways: 13 s at 600 baud. */
static uint64_t handshake_ns(const struct tcp_conn *conn)
{
	uint64_t timeout_ns = conn->engine->config.handshake_timeout_ns;

	return conn->is_narrow ? NARROW_PATIENCE * timeout_ns : timeout_ns;
}

static uint64_t conn_next_ns(const struct tcp_conn *conn)
{
	const struct tcp_config *config = &conn->engine->config;
	uint64_t next_ns = conn->heard_ns + config->idle_timeout_ns, ping_ns;

	if (conn->state == TCP_CONN_LINGER)
		return conn->linger_ns;
	if (conn->state == TCP_CONN_CONNECTING && conn->is_proxied &&
	    config->handshake_timeout_ns > TCP_PROXY_ANSWER_NS)
		return conn->began_ns + TCP_PROXY_ANSWER_NS;
	if (conn->state != TCP_CONN_OPEN)
		return conn->began_ns + handshake_ns(conn);
	if (!list_is_empty(&conn->records) && conn->wrote_ns + config->idle_timeout_ns < next_ns)
		next_ns = conn->wrote_ns + config->idle_timeout_ns;
	if (!config->keepalive_ns)
		return next_ns;
	ping_ns = conn->heard_ns > conn->pinged_ns ? conn->heard_ns : conn->pinged_ns;
	ping_ns += config->keepalive_ns;
	return ping_ns < next_ns ? ping_ns : next_ns;
}

void tcp_conn_rearm(struct tcp_conn *conn)
{
	timer_set(&conn->engine->wheel, &conn->timer, conn_next_ns(conn));
}

static void conn_expire_open(struct tcp_conn *conn)
{
	const struct transport_close silent = {.err = WEFT_ETIMEOUT};
	struct tcp_engine *engine = conn->engine;

	if (engine->now_ns >= conn->heard_ns + engine->config.idle_timeout_ns) {
		engine->stats.idle_timeout_cnt++;
		tcp_conn_shut(conn, &silent, false);
		return;
	}
	if (!list_is_empty(&conn->records) &&
	    engine->now_ns >= conn->wrote_ns + engine->config.idle_timeout_ns) {
		engine->stats.stall_timeout_cnt++;
		tcp_conn_shut(conn, &silent, false);
		return;
	}
	conn->pinged_ns = engine->now_ns;
	conn->is_ping_due = true;
	tcp_conn_want_write(conn);
	tcp_conn_rearm(conn);
}

static void proxy_failed(struct tcp_engine *engine, unsigned fault)
{
	engine->stats.proxy_refused_cnt += fault >= TCP_PROXY_STATUS_MIN;
	engine->stats.proxy_failed_cnt += fault < TCP_PROXY_STATUS_MIN;
	if (tcp_proxy_is_of_destination(fault)) {
		engine->proxy.refused = fault;
		engine->proxy.refused_ns = engine->now_ns;
		return;
	}
	engine->proxy.fault = fault;
	engine->proxy.failed_ns = engine->now_ns;
}

/* The end of a dial that connects no more. */
static struct transport_close dial_end(struct tcp_conn *conn)
{
	struct tcp_engine *engine = conn->engine;
	struct transport_close end = {.err = WEFT_EUNREACHABLE};

	if (conn->is_proxied) {
		end.code = conn->links->ops->proxy_fault(conn->link);
		proxy_failed(engine, (unsigned)end.code);
	}
	return end;
}

static void conn_expire(struct timer *timer, uint64_t now_ns)
{
	struct tcp_conn *conn = container_of(timer, struct tcp_conn, timer);
	struct tcp_engine *engine = conn->engine;
	struct transport_close late = {.err = WEFT_ETIMEOUT};

	if (now_ns < conn_next_ns(conn)) {
		tcp_conn_rearm(conn);
	} else if (conn->state == TCP_CONN_LINGER) {
		tcp_conn_release(conn);
	} else if (conn->state == TCP_CONN_OPEN) {
		conn_expire_open(conn);
	} else {
		if (conn->state == TCP_CONN_CONNECTING)
			late = dial_end(conn);
		engine->stats.handshake_timeout_cnt++;
		tcp_conn_shut(conn, &late, false);
	}
}

static struct tcp_conn *conn_new(struct tcp_engine *engine, const struct addr *remote)
{
	struct tcp_conn *conn, *lingering;

	/* A lingering connection makes room. */
	if (engine->conns.used_cnt == engine->conns.cap_cnt &&
	    (lingering = list_first(&engine->lingering, struct tcp_conn, linger_link)))
		tcp_conn_release(lingering);
	conn = pool_acquire(&engine->conns);
	if (!conn)
		return NULL;
	conn->transport.ops = &tcp_transport_ops;
	conn->engine = engine;
	list_init(&conn->linger_link);
	conn->remote = *remote;
	conn->is_narrow = addr_is_line(remote);
	if (!conn->is_narrow)
		conn->remote.transport = ADDR_TCP;
	conn->links = conn->is_narrow ? engine->lines : engine->links;
	conn->began_ns = conn->heard_ns = conn->wrote_ns = engine->now_ns;
	list_init(&conn->streams);
	list_init(&conn->starting);
	list_init(&conn->sending);
	list_init(&conn->due);
	list_init(&conn->records);
	list_init(&conn->dgrams);
	timer_init(&conn->timer, conn_expire);
	return conn;
}

int tcp_conn_dial(struct tcp_engine *engine, const struct transport_dial *dial,
		  struct tcp_conn **out_conn)
{
	struct tcp_conn *conn;
	int err;

	if (!(addr_is_line(&dial->remote) ? engine->lines : engine->links))
		return WEFT_EREFUSED;
	conn = conn_new(engine, &dial->remote);
	if (!conn)
		return WEFT_EFULL;
	conn->is_dialler = true;
	conn->next_id = DIALLER_FIRST_ID;
	conn->next_peer_id = PEER_FIRST_ID;
	conn->transport.user = dial->user;
	memcpy(conn->peer_key, dial->peer_key, TRANSPORT_KEY_LEN);
	conn->class = tcp_conn_class(conn);
	if (!fair_conns_take(&engine->shares, &conn->share, engine->now_ns)) {
		pool_release(&engine->conns, conn);
		return WEFT_EFULL;
	}
	conn->is_proxied = conn->links->ops->proxy_fault &&
			   engine->config.proxy.family != ADDR_NONE &&
			   tcp_proxy_serves(&dial->remote);
	engine->stats.proxied_cnt += conn->is_proxied;
	err = conn->links->ops->dial(conn->links, conn, &dial->remote, &conn->link);
	if (err < 0) {
		if (conn->is_proxied)
			proxy_failed(engine, TCP_PROXY_ABSENT);
		tcp_share_release(conn);
		pool_release(&engine->conns, conn);
		return err == WEFT_EFULL ? err : WEFT_EUNREACHABLE;
	}
	engine->stats.dialled_cnt++;
	tcp_conn_rearm(conn);
	*out_conn = conn;
	return 0;
}

/* An address that costs this node much has one connection in all. */
static bool addr_is_at_limit(struct tcp_engine *engine, const struct addr *remote)
{
	struct addr own = addr_prefix_key(remote, 128);
	struct tcp_conn *conn = NULL;

	if (!engine->is_limited || !engine->is_limited(engine->refuses_ctx, remote))
		return false;
	while ((conn = pool_next(&engine->conns, conn))) {
		struct addr other = addr_prefix_key(&conn->remote, 128);

		if (conn->state != TCP_CONN_LINGER && addr_equal(&own, &other))
			return true;
	}
	return false;
}

struct tcp_conn *tcp_engine_accept(struct tcp_engine *engine, struct tcp_link *link,
				   const struct addr *local, const struct addr *remote,
				   uint64_t now_ns)
{
	struct tcp_conn *conn;

	if (now_ns > engine->now_ns)
		engine->now_ns = now_ns;
	if (engine->is_draining ||
	    (engine->refuses && engine->refuses(engine->refuses_ctx, remote)) ||
	    addr_is_at_limit(engine, remote)) {
		engine->stats.refused_cnt++;
		return NULL;
	}
	conn = conn_new(engine, remote);
	if (!conn) {
		engine->stats.refused_full_cnt++;
		return NULL;
	}
	conn->state = TCP_CONN_SHAKING;
	conn->is_shaking = true;
	conn->link = link;
	conn->local = *local;
	conn->next_id = PEER_FIRST_ID;
	conn->next_peer_id = DIALLER_FIRST_ID;
	if (!fair_conns_take_handshake(&engine->shares, &conn->share, engine->now_ns)) {
		engine->stats.refused_full_cnt++;
		pool_release(&engine->conns, conn);
		return NULL;
	}
	engine->stats.accepted_cnt++;
	tcp_conn_rearm(conn);
	return conn;
}

void tcp_engine_connected(struct tcp_conn *conn, const struct addr *local, uint64_t now_ns)
{
	const struct transport_close full = {.err = WEFT_EFULL};

	if (now_ns > conn->engine->now_ns)
		conn->engine->now_ns = now_ns;
	if (conn->state != TCP_CONN_CONNECTING || conn->is_close_wanted)
		return;
	conn->local = *local;
	conn->state = TCP_CONN_SHAKING;
	conn->heard_ns = conn->engine->now_ns;
	if (conn->is_proxied)
		conn->engine->proxy.opened_ns = conn->engine->now_ns;
	tcp_conn_rearm(conn);
	if (tcp_handshake_start(conn) < 0)
		tcp_conn_shut(conn, &full, false);
	else if (tcp_handshake_step(conn))
		tcp_conn_want_write(conn);
}

void tcp_engine_expect(struct tcp_conn *conn, const uint8_t key[static TRANSPORT_KEY_LEN])
{
	conn->is_expected = true;
	memcpy(conn->peer_key, key, TRANSPORT_KEY_LEN);
}

bool tcp_engine_wants(const struct tcp_conn *conn)
{
	return conn->state != TCP_CONN_SHAKING || conn->engine->shake_cnt < SHAKES_PER_TURN;
}

static bool input_shaking(struct tcp_conn *conn)
{
	const struct transport_close full = {.err = WEFT_EFULL};

	conn->engine->shake_cnt++;
	if (!conn->ssl) {
		tcp_share_charge(conn, LOAD_PRICE_HELLO);
		if (tcp_handshake_start(conn) < 0) {
			tcp_conn_shut(conn, &full, false);
			return false;
		}
	}
	return tcp_handshake_step(conn);
}

bool tcp_engine_input(struct tcp_conn *conn, const void *data, size_t len, uint64_t now_ns)
{
	struct tcp_engine *engine = conn->engine;

	if (now_ns > engine->now_ns)
		engine->now_ns = now_ns;
	if (!len) {
		tcp_conn_lost(conn);
		return false;
	}
	conn->received_len += len;
	engine->stats.received_len += len;
	if (conn->state == TCP_CONN_LINGER)
		return true;
	conn->heard_ns = engine->now_ns;
	if (conn->state != TCP_CONN_OPEN && conn->is_close_wanted)
		return true;
	conn->in = data;
	conn->in_len = len;
	if (conn->state == TCP_CONN_SHAKING && !input_shaking(conn))
		return false;
	if (conn->state == TCP_CONN_OPEN && !tcp_input_frames(conn))
		return false;
	conn->in_len = 0;
	tcp_conn_want_write(conn);
	return true;
}

void tcp_engine_writable(struct tcp_conn *conn)
{
	conn->is_blocked = false;
	tcp_conn_want_write(conn);
}

void tcp_engine_lost(struct tcp_conn *conn, int err, uint64_t now_ns)
{
	struct transport_close end;

	(void)err;
	if (now_ns > conn->engine->now_ns)
		conn->engine->now_ns = now_ns;
	if (conn->state != TCP_CONN_CONNECTING) {
		tcp_conn_lost(conn);
		return;
	}
	end = dial_end(conn);
	tcp_conn_shut(conn, &end, false);
}

void tcp_conn_refuse(struct tcp_conn *conn, uint64_t code, const char *reason)
{
	if (conn->is_close_wanted)
		return;
	conn->is_close_wanted = true;
	conn->close_err = WEFT_EREFUSED;
	conn->close_code = code;
	strncpy(conn->close_reason, reason, TCP_FRAME_REASON_MAX);
	tcp_conn_want_write(conn);
}

/* The speaker says why it dials; one that knows no classes dials for itself. */
enum fair_class tcp_conn_class(const struct tcp_conn *conn)
{
	const struct tcp_engine *engine = conn->engine;

	if (engine->key_class)
		return engine->key_class(engine->class_ctx, conn->peer_key);
	return conn->is_dialler ? FAIR_CHOSEN : FAIR_UNKNOWN;
}
