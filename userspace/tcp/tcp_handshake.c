/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The handshake: TLS 1.3, then what the proved key may have. A dialler that finds another key than
 * the wanted one drops the flight that would have shown its own.
 */
#include "tcp/tcp_state.h"

#include <string.h>
#include <unistd.h>

#include <openssl/err.h>

int tcp_handshake_start(struct tcp_conn *conn)
{
	struct tcp_engine *engine = conn->engine;
	BIO *bio = BIO_new(engine->bio);

	conn->ssl = conn->is_dialler ? tls_dial(&engine->tls, conn->peer_key)
				     : tls_accept(&engine->tls);
	if (!bio || !conn->ssl) {
		BIO_free(bio);
		return WEFT_EFULL;
	}
	BIO_set_data(bio, conn);
	BIO_set_init(bio, 1);
	SSL_set_bio(conn->ssl, bio, bio);
	SSL_set_app_data(conn->ssl, conn);
	return 0;
}

int tcp_handshake_keep_session(SSL *ssl, SSL_SESSION *session)
{
	struct tcp_conn *conn = SSL_get_app_data(ssl);

	if (!conn || conn->state != TCP_CONN_OPEN)
		return 0;
	tls_keep_session(&conn->engine->tls, conn->peer_key, session);
	return 1;
}

static bool key_enter(struct tcp_conn *conn)
{
	struct tcp_engine *engine = conn->engine;
	struct tcp_key_count *count = map_lookup(&engine->key_count_by_key, conn->peer_key);

	if (!count) {
		count = pool_acquire(&engine->key_counts);
		if (!count)
			return false;
		memcpy(count->key, conn->peer_key, TRANSPORT_KEY_LEN);
		if (map_put(&engine->key_count_by_key, count->key, count) < 0) {
			pool_release(&engine->key_counts, count);
			return false;
		}
	}
	if (count->cnt == engine->config.conn_per_key_cap)
		return false;
	count->cnt++;
	conn->has_key_place = true;
	return true;
}

void tcp_handshake_leave(struct tcp_conn *conn)
{
	struct tcp_engine *engine = conn->engine;
	struct tcp_key_count *count;

	if (!conn->has_key_place)
		return;
	conn->has_key_place = false;
	count = map_lookup(&engine->key_count_by_key, conn->peer_key);
	if (--count->cnt)
		return;
	(void)map_delete(&engine->key_count_by_key, count->key);
	pool_release(&engine->key_counts, count);
}

/* is_told: what waits, an alert of TLS, still goes to the peer. */
static bool conn_end(struct tcp_conn *conn, int err, bool is_told)
{
	const struct transport_close end = {.err = err};

	tcp_conn_shut(conn, &end, is_told);
	return is_told;
}

/* The place of a handshake becomes one of a connection. */
static bool conn_settle(struct tcp_conn *conn)
{
	struct tcp_engine *engine = conn->engine;

	if (!key_enter(conn)) {
		engine->stats.refused_key_cnt++;
		tcp_conn_refuse(conn, TCP_CODE_REFUSED, "too many connections of one key");
		return true;
	}
	conn->class = tcp_conn_class(conn);
	if (!conn->is_dialler) {
		tcp_share_release(conn);
		conn->is_shaking = false;
		if (!fair_conns_take(&engine->shares, &conn->share, engine->now_ns)) {
			fair_conns_refuse(&engine->shares, &conn->share, engine->now_ns);
			return true;
		}
	}
	engine->stats.completed_cnt++;
	engine->stats.resumed_cnt += conn->is_resumed;
	conn->is_announced = true;
	tcp_dgram_enter(conn);
	if (engine->events->conn_ready(engine->ctx, &conn->transport, engine->now_ns) < 0)
		tcp_conn_refuse(conn, TCP_CODE_REFUSED, "refused");
	return true;
}

/*
 * Another part of the node speaks with this peer. Tickets leave before, as they were encrypted
 * before: the kernel has room for them behind a handshake, or the peer is no good.
 */
static bool conn_pass(struct tcp_conn *conn)
{
	struct tcp_engine *engine = conn->engine;
	struct tcp_passed passed = {.fd = -1, .remote = conn->remote};

	if (tcp_output_write(conn) == TCP_WRITTEN_GONE)
		return false;
	if (list_is_empty(&conn->records) && conn->in_len <= TCP_PASSED_UNREAD_MAX &&
	    conn->links->ops->release)
		passed.fd = conn->links->ops->release(conn->link);
	if (passed.fd < 0) {
		engine->stats.refused_full_cnt++;
		return conn_end(conn, WEFT_EREFUSED, false);
	}
	conn->link = NULL;
	SSL_set_app_data(conn->ssl, NULL);
	SSL_set_bio(conn->ssl, NULL, NULL);
	passed.ssl = conn->ssl;
	passed.unread = conn->in;
	passed.unread_len = conn->in_len;
	conn->ssl = NULL;
	tcp_conn_abandon(conn);
	engine->stats.passed_cnt++;
	engine->pass(engine->pass_ctx, &passed);
	return false;
}

void tcp_passed_drop(const struct tcp_passed *passed)
{
	SSL_free(passed->ssl);
	close(passed->fd);
}

static bool handshake_completed(struct tcp_conn *conn)
{
	struct tcp_engine *engine = conn->engine;

	conn->has_actual_key = tls_peer_key(conn->ssl, conn->actual_key);
	if ((conn->is_dialler || conn->is_expected) &&
	    (!conn->has_actual_key ||
	     memcmp(conn->actual_key, conn->peer_key, TRANSPORT_KEY_LEN) != 0)) {
		tcp_output_drop(conn);
		return conn_end(conn, WEFT_EWRONGKEY, false);
	}
	if (engine->pass && !conn->is_dialler && tls_has_http(conn->ssl)) {
		tcp_share_charge(conn, LOAD_PRICE_FINISHED);
		return conn_pass(conn);
	}
	if (!tls_has_alpn(conn->ssl)) {
		engine->stats.refused_alpn_cnt++;
		return conn_end(conn, WEFT_EREFUSED, false);
	}
	conn->state = TCP_CONN_OPEN;
	conn->is_resumed = SSL_session_reused(conn->ssl);
	tcp_conn_rearm(conn);
	if (!conn->has_actual_key) {
		tcp_conn_refuse(conn, TCP_CODE_NO_KEY, "an Ed25519 node key is required");
		return true;
	}
	memcpy(conn->peer_key, conn->actual_key, TRANSPORT_KEY_LEN);
	tcp_share_charge(conn, LOAD_PRICE_FINISHED);
	return conn_settle(conn);
}

bool tcp_handshake_step(struct tcp_conn *conn)
{
	int rv;

	ERR_clear_error();
	rv = SSL_do_handshake(conn->ssl);
	if (rv == 1)
		return handshake_completed(conn);
	if (!conn->is_overfull && SSL_get_error(conn->ssl, rv) == SSL_ERROR_WANT_READ)
		return true;
	conn->engine->stats.refused_tls_cnt++;
	return conn_end(conn, conn->is_overfull ? WEFT_EMALFORMED : WEFT_EREFUSED,
			!conn->is_overfull);
}
