/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls from ngtcp2 about a connection, as one table of callbacks:
 * TLS bytes, the proof of the peer's key, ids in and out, paths and
 * keys. Streams' callbacks are quic_stream.c's.
 */
#include "quic/engine.h"

#include "base/monotonic.h"

#include <string.h>

void quic_conn_refuse(struct quic_conn *conn, uint64_t code, const char *reason)
{
	conn->is_close_wanted = true;
	conn->close_err = WEFT_EREFUSED;
	conn->close_code = code;
	strncpy(conn->close_reason, reason, QUIC_REASON_LEN_MAX);
	/* A connection about to end holds no place for that long. */
	quic_share_release(conn);
}

static bool is_guest(const struct quic_conn *conn)
{
	const struct quic_engine *engine = conn->engine;

	return engine->guest.events && !conn->is_dialler && tls_has(conn->ssl, engine->guest.alpn);
}

/*
 * Runs when TLS has checked the peer's Finished, so that the key is proved
 * before it is compared. A dialler that fails here has sent nothing of its
 * own identity yet: its certificate waits in the same flight.
 */
static int check_peer(struct quic_conn *conn)
{
	uint8_t alert = 0;

	if (!ngtcp2_conn_get_remote_transport_params(conn->ngtcp2)) {
		/*
		 * A server's value; a client's failures are noticed earlier
		 * (RFC 9001 8.2).
		 */
		alert = TLS_ALERT_MISSING_EXTENSION;
	} else if (!tls_has_alpn(conn->ssl) && !is_guest(conn)) {
		alert = TLS_ALERT_NO_APPLICATION_PROTOCOL;
	} else {
		conn->has_actual_key = tls_peer_key(conn->ssl, conn->actual_key);
		conn->is_wrong_key = conn->is_dialler && (!conn->has_actual_key ||
							  memcmp(conn->actual_key, conn->peer_key,
								 TRANSPORT_KEY_LEN) != 0);
		if (conn->is_wrong_key)
			alert = conn->has_actual_key ? TLS_ALERT_BAD_CERTIFICATE
						     : TLS_ALERT_UNSUPPORTED_CERTIFICATE;
	}
	if (!alert)
		return 0;
	ngtcp2_conn_set_tls_alert(conn->ngtcp2, alert);
	return NGTCP2_ERR_CRYPTO;
}

/*
 * ngtcp2 learns the version of a connection from the client's transport
 * parameters, and asserts that it knows it when it writes a 1-RTT packet.
 * OpenSSL takes them for an optional extension. The callback runs on a
 * whole ClientHello, in however many CRYPTO frames it came, before any key
 * exchange. It runs again on the ClientHello that follows
 * HelloRetryRequest. OpenSSL has not chosen a version yet and would send
 * TLS 1.2's alert, so on_crypto_data names the right one.
 */
int quic_conn_check_hello(SSL *ssl, int *alert, void *arg)
{
	ngtcp2_crypto_conn_ref *ref = SSL_get_app_data(ssl);
	struct quic_conn *conn = ref->user_data;
	const unsigned char *params;
	size_t len;

	(void)arg;
	if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_quic_transport_parameters, &params, &len))
		return SSL_CLIENT_HELLO_SUCCESS;
	*alert = TLS_ALERT_MISSING_EXTENSION;
	conn->has_no_params = true;
	return SSL_CLIENT_HELLO_ERROR;
}

static int on_crypto_data(ngtcp2_conn *ngtcp2, ngtcp2_encryption_level level, uint64_t offset,
			  const uint8_t *data, size_t len, void *user)
{
	struct quic_conn *conn = user;
	int rv = ngtcp2_crypto_recv_crypto_data_cb(ngtcp2, level, offset, data, len, user);

	if (rv == NGTCP2_ERR_CRYPTO && conn->has_no_params)
		ngtcp2_conn_set_tls_alert(ngtcp2, TLS_ALERT_MISSING_EXTENSION);
	if (rv != 0 || conn->is_peer_checked || !SSL_is_init_finished(conn->ssl))
		return rv;
	conn->is_peer_checked = true;
	return check_peer(conn);
}

static bool claim_is_of(const struct quic_conn *conn, const uint8_t *key)
{
	return conn->claim.met_s &&
	       memcmp(conn->claim.key_head, key, QUIC_TOKEN_CLAIM_KEY_LEN) == 0;
}

/*
 * Returns since when the peer is known: by its token and by the speaker, else
 * since now.
 */
static uint32_t conn_met_s(const struct quic_conn *conn)
{
	const struct quic_engine *engine = conn->engine;
	uint32_t met_s = quic_token_wall_s(engine);
	uint64_t spoken_s = 0;

	if (claim_is_of(conn, conn->peer_key) && conn->claim.met_s < met_s)
		met_s = conn->claim.met_s;
	if (engine->events->key_met_s)
		spoken_s = engine->events->key_met_s(engine->ctx, conn->peer_key);
	return spoken_s && spoken_s < met_s ? (uint32_t)spoken_s : met_s;
}

/*
 * The speaker says why it dials; one that knows no classes dials for itself.
 * A worker that knows the key by nothing else believes the token. The token
 * names only a key that was known where the token was made.
 */
enum fair_class quic_conn_class(const struct quic_conn *conn)
{
	const struct quic_engine *engine = conn->engine;
	enum fair_class class = FAIR_UNKNOWN;

	if (conn->is_dialler && !engine->key_class)
		return FAIR_CHOSEN;
	if (engine->key_class)
		class = engine->key_class(engine->class_ctx, conn->peer_key);
	if (class == FAIR_UNKNOWN && !conn->is_dialler && claim_is_of(conn, conn->peer_key) &&
	    quic_token_is_known(engine, conn->claim.met_s))
		class = FAIR_KNOWN;
	return class;
}

/* The proved key decides what a token could only claim. */
static void conn_settle_class(struct quic_conn *conn)
{
	struct quic_engine *engine = conn->engine;
	uint32_t met_s = conn_met_s(conn);

	conn->class = quic_conn_class(conn);
	/* With key_class an old meeting is not enough: the key's class decides. */
	if (engine->key_class && conn->class == FAIR_UNKNOWN)
		met_s = quic_token_wall_s(engine);
	conn->claim.met_s = met_s;
	memcpy(conn->claim.key_head, conn->peer_key, QUIC_TOKEN_CLAIM_KEY_LEN);
	if (!engine->key_class && !conn->is_dialler)
		conn->class = quic_conn_class(conn);
}

/* For its next connection from where it is now. Without one it is asked for a Retry at worst. */
static void conn_give_token(struct quic_conn *conn, const ngtcp2_path *path)
{
	uint8_t token[WEFT_TOKEN_LEN];
	struct addr remote;

	quic_path_addr(&path->remote, &remote);
	if (addr_is_relayed(&remote))
		return;
	if (quic_token_known(conn->engine, &remote, &conn->claim, token))
		(void)ngtcp2_conn_submit_new_token(conn->ngtcp2, token, sizeof(token));
}

static int on_new_token(ngtcp2_conn *ngtcp2, const uint8_t *token, size_t len, void *user)
{
	struct quic_conn *conn = user;
	struct quic_engine *engine = conn->engine;

	(void)ngtcp2;
	if (conn->is_announced && conn->events->conn_token)
		conn->events->conn_token(conn->ctx, &conn->transport, token, len, engine->now_ns);
	return 0;
}

static int on_handshake_completed(ngtcp2_conn *ngtcp2, void *user)
{
	struct quic_conn *conn = user;
	struct quic_engine *engine = conn->engine;

	quic_conn_end_handshake(conn);
	conn->state = QUIC_CONN_OPEN;
	if (!conn->has_actual_key) {
		quic_conn_refuse(conn, QUIC_CLOSE_NO_KEY, "an Ed25519 node key is required");
		return 0;
	}
	memcpy(conn->peer_key, conn->actual_key, TRANSPORT_KEY_LEN);
	quic_share_charge(conn);
	conn->key_count = quic_limits_hold_key(&engine->limits, conn->peer_key);
	if (!conn->key_count) {
		engine->stats.refused_key_cnt++;
		fair_conns_note_refused(&engine->shares, &conn->share, "quic.conn_per_key_cap", 0,
					engine->now_ns);
		quic_conn_refuse(conn, QUIC_CLOSE_REFUSED, "too many connections of one key");
		return 0;
	}
	conn_settle_class(conn);
	if (!conn->is_dialler && !fair_conns_take(&engine->shares, &conn->share, engine->now_ns)) {
		/* With a token it is back in a round trip. */
		conn_give_token(conn, ngtcp2_conn_get_path(ngtcp2));
		fair_conns_refuse(&engine->shares, &conn->share, engine->now_ns);
		return 0;
	}
	conn->is_resumed = SSL_session_reused(conn->ssl);
	engine->stats.resumed_cnt += conn->is_resumed;
	engine->stats.completed_cnt++;
	if (is_guest(conn)) {
		conn->events = engine->guest.events;
		conn->ctx = engine->guest.ctx;
	}
	conn->is_announced = true;
	quic_path_tell(engine, ngtcp2_conn_get_path(ngtcp2));
	if (conn->events->conn_ready(conn->ctx, &conn->transport, engine->now_ns) < 0)
		quic_conn_refuse(conn, QUIC_CLOSE_REFUSED, "refused");
	else if (!conn->is_dialler && !conn->is_close_wanted)
		conn_give_token(conn, ngtcp2_conn_get_path(ngtcp2));
	return 0;
}

int quic_conn_keep_session(SSL *ssl, SSL_SESSION *session)
{
	ngtcp2_crypto_conn_ref *ref = SSL_get_app_data(ssl);
	struct quic_conn *conn = ref ? ref->user_data : NULL;

	if (!conn || conn->state != QUIC_CONN_OPEN)
		return 0;
	tls_keep_session(&conn->engine->tls, conn->peer_key, session);
	return 1;
}

static void fill_random(uint8_t *dst, size_t len, const ngtcp2_rand_ctx *ctx)
{
	random_fill(ctx->native_handle, dst, len);
}

static int on_path_challenge(ngtcp2_conn *ngtcp2, ngtcp2_path_challenge_data *data, void *user)
{
	struct quic_conn *conn = user;

	(void)ngtcp2;
	random_fill(conn->engine->random, data->data, sizeof(data->data));
	return 0;
}

static int on_new_cid(ngtcp2_conn *ngtcp2, ngtcp2_cid *cid, ngtcp2_stateless_reset_token *token,
		      size_t len, void *user)
{
	struct quic_conn *conn = user;

	(void)ngtcp2;
	if (len != WEFT_CID_LEN || quic_conn_issue_cid(conn, cid->data) < 0)
		return NGTCP2_ERR_CALLBACK_FAILURE;
	cid->datalen = len;
	quic_reset_token(conn->engine, cid->data, token->data);
	return 0;
}

static int on_remove_cid(ngtcp2_conn *ngtcp2, const ngtcp2_cid *cid, void *user)
{
	struct quic_conn *conn = user;

	(void)ngtcp2;
	if (cid->datalen == WEFT_CID_LEN)
		quic_conn_retire_cid(conn, cid->data);
	return 0;
}

static int on_peer_cid(ngtcp2_conn *ngtcp2, ngtcp2_connection_id_status_type type, uint64_t seq,
		       const ngtcp2_cid *cid, const ngtcp2_stateless_reset_token *token, void *user)
{
	(void)ngtcp2;
	(void)seq;
	(void)cid;
	if (!token)
		return 0;
	if (type == NGTCP2_CONNECTION_ID_STATUS_TYPE_ACTIVATE)
		quic_conn_learn_reset_token(user, token->data);
	else
		quic_conn_forget_reset_token(user, token->data);
	return 0;
}

static int on_stateless_reset(ngtcp2_conn *ngtcp2, const ngtcp2_pkt_stateless_reset2 *reset,
			      void *user)
{
	struct quic_conn *conn = user;

	(void)ngtcp2;
	(void)reset;
	conn->is_peer_reset = true;
	return 0;
}

static int on_path_doubted(ngtcp2_conn *ngtcp2, uint32_t flags, const ngtcp2_path *path,
			   const ngtcp2_path *fallback, void *user)
{
	struct quic_conn *conn = user;

	(void)flags, (void)fallback;
	/* Of others some end without a word. */
	conn->is_validating = ngtcp2_path_eq(path, ngtcp2_conn_get_path(ngtcp2));
	return 0;
}

static void conn_greet_path(struct quic_conn *conn, const struct addr *from)
{
	conn->unmeasured_cnt = QUIC_MEASURE_MAX;
	/* From a relay, which still carries what is in flight, it went because this path is better. */
	if (addr_is_relayed(from) && !addr_is_relayed(&conn->remote))
		quic_probe_ping(conn);
	else
		conn->is_probe_wanted = true;
	if (!conn->is_dialler)
		conn_give_token(conn, ngtcp2_conn_get_path(conn->ngtcp2));
}

/* A peer may go back and forth between two paths of its own with each datagram. */
#define MOVES_PAUSE NS_PER_S

static void conn_moved(struct quic_conn *conn)
{
	const struct transport_events *events = conn->events;
	const ngtcp2_path *current = ngtcp2_conn_get_path(conn->ngtcp2);
	struct addr from = conn->remote, local = conn->local;

	/*
	 * The peer may come back. Where an accepting connection goes to a path that ngtcp2 knows, it
	 * loses an id of the peer's. So the path has a new name by then.
	 */
	if (!conn->is_dialler && !addr_is_relayed(&from))
		quic_alias_make(conn, &from, &local);
	quic_path_addr(&current->remote, &conn->remote);
	quic_path_addr(&current->local, &conn->local);
	quic_alias_out(conn, &conn->local);
	quic_fallback_moved(conn, &from);
	quic_black_hole_moved(conn);
	conn->engine->stats.migrated_cnt++;
	if (!conn->moved_ns || conn->engine->now_ns >= conn->moved_ns + MOVES_PAUSE)
		conn_greet_path(conn, &from);
	conn->moved_ns = conn->engine->now_ns;
	if (conn->is_announced && events->conn_moved)
		events->conn_moved(conn->ctx, &conn->transport, conn->engine->now_ns);
}

static int on_path_validated(ngtcp2_conn *ngtcp2, uint32_t flags, const ngtcp2_path *path,
			     const ngtcp2_path *fallback, ngtcp2_path_validation_result result,
			     void *user)
{
	struct quic_conn *conn = user;

	(void)flags;
	(void)fallback;
	/* Where ngtcp2 gives up a validation, that path may still be in use for a while. */
	conn->is_validating = result != NGTCP2_PATH_VALIDATION_RESULT_SUCCESS &&
			      ngtcp2_path_eq(path, ngtcp2_conn_get_path(ngtcp2));
	if (result != NGTCP2_PATH_VALIDATION_RESULT_SUCCESS)
		return 0;
	quic_path_tell(conn->engine, path);
	if (ngtcp2_path_eq(path, ngtcp2_conn_get_path(ngtcp2)))
		conn_moved(conn);
	return 0;
}

void quic_conn_see_path(struct quic_conn *conn)
{
	struct addr remote;

	if (conn->state != QUIC_CONN_OPEN)
		return;
	quic_path_addr(&ngtcp2_conn_get_path(conn->ngtcp2)->remote, &remote);
	if (addr_equal(&remote, &conn->remote))
		conn->is_validating = false;
	else if (!conn->is_validating)
		conn_moved(conn);
}

/*
 * ngtcp2 asks for the next keys ahead of their use: the first time after
 * the handshake, then once after every update.
 */
static int on_update_key(ngtcp2_conn *ngtcp2, uint8_t *rx_secret, uint8_t *tx_secret,
			 ngtcp2_crypto_aead_ctx *rx_ctx, uint8_t *rx_iv,
			 ngtcp2_crypto_aead_ctx *tx_ctx, uint8_t *tx_iv,
			 const uint8_t *current_rx_secret, const uint8_t *current_tx_secret,
			 size_t secret_len, void *user)
{
	struct quic_conn *conn = user;

	if (conn->key_prepared_cnt++ > 0)
		conn->engine->stats.key_update_cnt++;
	return ngtcp2_crypto_update_key_cb(ngtcp2, rx_secret, tx_secret, rx_ctx, rx_iv, tx_ctx,
					   tx_iv, current_rx_secret, current_tx_secret, secret_len,
					   user);
}

const ngtcp2_callbacks quic_conn_callbacks = {
	.client_initial = ngtcp2_crypto_client_initial_cb,
	.recv_client_initial = ngtcp2_crypto_recv_client_initial_cb,
	.recv_crypto_data = on_crypto_data,
	.handshake_completed = on_handshake_completed,
	.encrypt = ngtcp2_crypto_encrypt_cb,
	.decrypt = ngtcp2_crypto_decrypt_cb,
	.hp_mask = ngtcp2_crypto_hp_mask_cb,
	.recv_stream_data = quic_stream_on_data,
	.acked_stream_data_offset = quic_stream_on_acked,
	.stream_open = quic_stream_on_open,
	.stream_close = quic_stream_on_close,
	.recv_retry = ngtcp2_crypto_recv_retry_cb,
	.extend_max_local_streams_bidi = quic_stream_on_credit,
	.extend_max_stream_data = quic_stream_on_window,
	.rand = fill_random,
	.recv_new_token = on_new_token,
	.remove_connection_id = on_remove_cid,
	.update_key = on_update_key,
	.begin_path_validation = on_path_doubted,
	.path_validation = on_path_validated,
	.stream_reset = quic_stream_on_reset,
	.delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb,
	.delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb,
	.version_negotiation = ngtcp2_crypto_version_negotiation_cb,
	.recv_stateless_reset2 = on_stateless_reset,
	.get_new_connection_id2 = on_new_cid,
	.dcid_status2 = on_peer_cid,
	.get_path_challenge_data2 = on_path_challenge,
};
