/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection's making: accept and dial; its timer, and its moves to other
 * addresses. Packets in are in engine_input.c, calls from ngtcp2 in
 * conn_events.c, packets out in conn_write.c, and the end in conn_end.c.
 */
#include "quic/engine.h"

#include <string.h>

#include "base/assert.h"
#include "base/container_of.h"
#include "base/monotonic.h"

/* Links of 9000 bytes try the largest first, others the usual size. */
static const uint16_t pmtud_probes[] = {QUIC_DGRAM_LEN_ETH, 1392, 1280, 4052, QUIC_DGRAM_LEN_MAX};
/* Through a relay each packet has 16 bytes of a label before it. */
static const uint16_t relayed_probes[] = {1436, 1376, 1264};

/*
 * An ACK per ten packets, sooner on loss or reordering, and never later
 * than the delay below. Acknowledgements were 46 % of another stack's
 * receive cost.
 */
#define ACK_EVERY_CNT	 10
#define ACK_DELAY_MAX_NS (5 * NS_PER_MS)
/* A connection with nothing to send takes this long a rest, the granularity of RFC 9002, 6.1.2. */
#define REST_NS NS_PER_MS
/*
 * A window's largest part of what is left of the heap's common half. At
 * most: two connections may fill theirs. At start: 64 may.
 */
#define WINDOW_MAX_DIVISOR 2
#define WINDOW_MIN_DIVISOR 64
/*
 * A stream has at most this part of its connection's window. So a stream with
 * a stopped reader does not stop the others, or pings.
 */
#define STREAM_WINDOW_DIVISOR 2
/* Spare ids so that a peer can move several times in a row. */
#define PEER_CID_CNT 6

static ngtcp2_conn *conn_of_ref(ngtcp2_crypto_conn_ref *ref)
{
	return ((struct quic_conn *)ref->user_data)->ngtcp2;
}

static void conn_fire(struct timer *timer, uint64_t now_ns)
{
	struct quic_conn *conn = container_of(timer, struct quic_conn, timer);
	int rv;

	if (now_ns > conn->engine->now_ns)
		conn->engine->now_ns = now_ns;
	if (conn->state == QUIC_CONN_LINGER) {
		quic_conn_release(conn);
		return;
	}
	if (quic_conn_is_mute(conn) && conn->engine->now_ns >= conn->unheard_ns + QUIC_MUTE_WAIT_NS)
		rv = NGTCP2_ERR_HANDSHAKE_TIMEOUT;
	else
		rv = ngtcp2_conn_handle_expiry(conn->ngtcp2, quic_conn_clock_ns(conn));
	if (rv != 0) {
		quic_conn_shut(conn, rv);
		return;
	}
	quic_heartbeat_expire(conn);
	quic_probe_expire(conn);
	rv = quic_black_hole_expire(conn);
	if (rv == 0)
		rv = quic_fallback_expire(conn);
	if (rv != 0) {
		quic_conn_shut(conn, rv);
		return;
	}
	quic_conn_want_write(conn);
}

void quic_conn_end_handshake(struct quic_conn *conn)
{
	struct quic_engine *engine = conn->engine;

	if (!conn->is_shaking)
		return;
	quic_share_release(conn);
	conn->is_shaking = false;
	engine->stats.handshake_cnt--;
	quic_half_open_leave(&engine->limits.half_open, conn->half_open_place);
}

static void conn_begin_handshake(struct quic_conn *conn, uint16_t half_open_place)
{
	struct quic_engine *engine = conn->engine;

	conn->is_shaking = true;
	conn->half_open_place = half_open_place;
	engine->stats.handshake_cnt++;
}

static struct quic_conn *conn_new(struct quic_engine *engine, uint8_t scid[static WEFT_CID_LEN])
{
	struct quic_conn *conn = pool_acquire(&engine->conns);

	if (!conn)
		return NULL;
	conn->transport.ops = &quic_transport_ops;
	conn->engine = engine;
	conn->events = engine->events;
	conn->ctx = engine->ctx;
	conn->mem = engine->mem;
	conn->mem.user_data = conn;
	conn->ref.get_conn = conn_of_ref;
	conn->ref.user_data = conn;
	list_init(&conn->streams);
	list_init(&conn->starting);
	list_init(&conn->sending);
	timer_init(&conn->timer, conn_fire);
	if (quic_conn_issue_cid(conn, scid) < 0) {
		pool_release(&engine->conns, conn);
		return NULL;
	}
	return conn;
}

/* The flow's own bound, within what QUIC needs (RFC 9000 14.1) and what the sink takes. */
static size_t relayed_len_max(const struct quic_engine *engine, const struct addr *label)
{
	size_t len = NGTCP2_MAX_UDP_PAYLOAD_SIZE;

	if (engine->relayed_len_max)
		len = engine->relayed_len_max(engine->path_ctx, label);
	if (len < NGTCP2_MAX_UDP_PAYLOAD_SIZE)
		return NGTCP2_MAX_UDP_PAYLOAD_SIZE;
	return len < engine->dgram_len_max ? len : engine->dgram_len_max;
}

static void settings_init(const struct quic_conn *conn, ngtcp2_settings *settings)
{
	const struct quic_engine *engine = conn->engine;
	const struct quic_config *config = &engine->config;

	ngtcp2_settings_default(settings);
	settings->initial_ts = engine->now_ns;
	settings->cc_algo =
		config->congestion == QUIC_BBR ? NGTCP2_CC_ALGO_BBR : NGTCP2_CC_ALGO_CUBIC;
	settings->max_tx_udp_payload_size = engine->dgram_len_max;
	settings->rand_ctx.native_handle = engine->random;
	settings->max_window =
		quic_memory_window_len(engine, config->window_len_max, WINDOW_MAX_DIVISOR);
	settings->max_stream_window = settings->max_window / STREAM_WINDOW_DIVISOR;
	settings->ack_thresh = ACK_EVERY_CNT;
	settings->handshake_timeout = config->handshake_timeout_ns;
	settings->no_pmtud = !config->is_pmtud_on;
	settings->pmtud_probes = pmtud_probes;
	settings->pmtud_probeslen = sizeof(pmtud_probes) / sizeof(pmtud_probes[0]);
	if (!addr_is_relayed(&conn->remote))
		return;
	settings->max_tx_udp_payload_size = relayed_len_max(engine, &conn->remote);
	settings->pmtud_probes = relayed_probes;
	settings->pmtud_probeslen = sizeof(relayed_probes) / sizeof(relayed_probes[0]);
}

static void params_init(const struct quic_engine *engine, ngtcp2_transport_params *params)
{
	const struct quic_config *config = &engine->config;

	ngtcp2_transport_params_default(params);
	params->initial_max_data =
		quic_memory_window_len(engine, config->window_len_min, WINDOW_MIN_DIVISOR);
	params->initial_max_stream_data_bidi_local = params->initial_max_stream_data_bidi_remote =
		params->initial_max_data / STREAM_WINDOW_DIVISOR;
	params->initial_max_streams_bidi = config->stream_per_conn_cap;
	params->max_idle_timeout = config->idle_timeout_ns;
	params->max_ack_delay = ACK_DELAY_MAX_NS;
	params->active_connection_id_limit = PEER_CID_CNT;
}

static int conn_attach_tls(struct quic_conn *conn, SSL *ssl)
{
	int rv;

	if (!ssl)
		return WEFT_EFULL;
	conn->ssl = ssl;
	if (ngtcp2_crypto_ossl_ctx_new(&conn->ossl, ssl) != 0)
		return WEFT_EFULL;
	rv = conn->is_dialler ? ngtcp2_crypto_ossl_configure_client_session(ssl)
			      : ngtcp2_crypto_ossl_configure_server_session(ssl);
	if (rv != 0)
		return WEFT_EFULL;
	SSL_set_app_data(ssl, &conn->ref);
	ngtcp2_conn_set_tls_native_handle(conn->ngtcp2, conn->ossl);
	if (conn->engine->config.keepalive_ns)
		ngtcp2_conn_set_keep_alive_timeout(conn->ngtcp2, quic_keepalive_ns(conn->engine));
	return 0;
}

static int accept_ngtcp2(struct quic_conn *conn, const struct quic_accept *accept,
			 const uint8_t scid_bytes[static WEFT_CID_LEN])
{
	struct quic_engine *engine = conn->engine;
	ngtcp2_transport_params params;
	ngtcp2_path_storage path;
	ngtcp2_settings settings;
	ngtcp2_cid scid;

	settings_init(conn, &settings);
	params_init(engine, &params);
	ngtcp2_cid_init(&scid, scid_bytes, WEFT_CID_LEN);
	params.original_dcid_present = 1;
	params.original_dcid = accept->hd->dcid;
	if (accept->retry) {
		params.original_dcid = accept->retry->original;
		params.retry_scid_present = 1;
		params.retry_scid = accept->retry->scid;
		settings.token = accept->hd->token;
		settings.tokenlen = accept->hd->tokenlen;
		settings.token_type = NGTCP2_TOKEN_TYPE_RETRY;
	}
	/*
	 * A known token is not ngtcp2's business, as it may be replayed. Our
	 * whole first flight fits the limit on unvalidated addresses, which
	 * therefore stays (RFC 9000 8.1).
	 */
	params.stateless_reset_token_present = 1;
	quic_reset_token(engine, scid_bytes, params.stateless_reset_token);
	quic_path_init(&path, &conn->local, &conn->remote);
	return ngtcp2_conn_server_new(&conn->ngtcp2, &accept->hd->scid, &scid, &path.path,
				      accept->hd->version, &quic_conn_callbacks, &settings, &params,
				      &conn->mem, conn);
}

struct quic_conn *quic_conn_accept(struct quic_engine *engine, const struct dgram *dgram,
				   const struct quic_accept *accept)
{
	uint8_t scid[WEFT_CID_LEN];
	struct quic_conn *conn = conn_new(engine, scid);

	if (!conn)
		return NULL;
	conn->local = dgram->local;
	conn->remote = dgram->remote;
	conn->is_local_known = true;
	if (accept->claim) {
		conn->claim = *accept->claim;
		if (quic_token_is_known(engine, conn->claim.met_s))
			conn->class = FAIR_KNOWN;
	}
	if (accept->half_open_place == QUIC_HALF_OPEN_NONE &&
	    !fair_conns_take_handshake(&engine->shares, &conn->share, engine->now_ns)) {
		quic_conn_release(conn);
		return NULL;
	}
	if (accept_ngtcp2(conn, accept, scid) != 0 ||
	    conn_attach_tls(conn, tls_accept(&engine->tls)) < 0 ||
	    quic_conn_set_origin(conn, &accept->hd->dcid) < 0) {
		quic_conn_abandon(conn);
		return NULL;
	}
	conn_begin_handshake(conn, accept->half_open_place);
	engine->stats.accepted_cnt++;
	return conn;
}

static int dial_ngtcp2(struct quic_conn *conn, const struct transport_dial *dial,
		       const uint8_t scid_bytes[static WEFT_CID_LEN])
{
	struct quic_engine *engine = conn->engine;
	ngtcp2_transport_params params;
	ngtcp2_path_storage path;
	ngtcp2_settings settings;
	ngtcp2_cid scid, dcid;

	settings_init(conn, &settings);
	params_init(engine, &params);
	ngtcp2_cid_init(&scid, scid_bytes, WEFT_CID_LEN);
	dcid.datalen = WEFT_CID_LEN;
	random_fill(engine->random, dcid.data, dcid.datalen);
	quic_path_init(&path, &conn->local, &conn->remote);
	if (dial->token) {
		settings.token = dial->token;
		settings.tokenlen = dial->token_len;
		settings.token_type = NGTCP2_TOKEN_TYPE_NEW_TOKEN;
	}
	return ngtcp2_conn_client_new(&conn->ngtcp2, &dcid, &scid, &path.path, NGTCP2_PROTO_VER_V1,
				      &quic_conn_callbacks, &settings, &params, &conn->mem, conn);
}

int quic_conn_dial(struct quic_engine *engine, const struct transport_dial *dial,
		   struct quic_conn **out_conn)
{
	uint8_t scid[WEFT_CID_LEN];
	struct quic_conn *conn = conn_new(engine, scid);

	if (!conn) {
		engine->stats.refused_full_cnt++;
		return WEFT_EFULL;
	}
	conn->is_dialler = true;
	conn->remote = dial->remote;
	/* A path through a relay has one label for both its ends. */
	if (addr_is_relayed(&dial->remote)) {
		conn->local = dial->remote;
		conn->is_local_known = true;
	}
	conn->unheard_max = dial->unheard_max;
	memcpy(conn->peer_key, dial->peer_key, TRANSPORT_KEY_LEN);
	conn->class = quic_conn_class(conn);
	if (!fair_conns_take(&engine->shares, &conn->share, engine->now_ns)) {
		quic_conn_release(conn);
		return WEFT_EFULL;
	}
	if (dial_ngtcp2(conn, dial, scid) != 0 ||
	    conn_attach_tls(conn, tls_dial(&engine->tls, dial->peer_key)) < 0) {
		quic_conn_abandon(conn);
		return WEFT_EFULL;
	}
	conn->transport.user = dial->user;
	engine->stats.dialled_cnt++;
	quic_path_tell(engine, ngtcp2_conn_get_path(conn->ngtcp2));
	quic_conn_want_write(conn);
	*out_conn = conn;
	return 0;
}

void quic_conn_want_write(struct quic_conn *conn)
{
	if (conn->is_ready || conn->state == QUIC_CONN_LINGER)
		return;
	conn->is_ready = true;
	list_push_back(&conn->engine->ready, &conn->link);
}

/*
 * ngtcp2 acknowledges after an eighth of the round trip. On a short path that
 * is before any answer can be ready, so every request and every answer costs
 * one packet and one wake-up more.
 */
static bool conn_may_rest(const struct quic_conn *conn)
{
	return conn->state == QUIC_CONN_OPEN && list_is_empty(&conn->starting) &&
	       list_is_empty(&conn->sending);
}

void quic_conn_rearm(struct quic_conn *conn)
{
	uint64_t at_ns = ngtcp2_conn_get_expiry(conn->ngtcp2);
	uint64_t probe_ns = quic_probe_next_ns(conn), fallback_ns, beat_ns, hole_ns;

	quic_probe_note_flight(conn, false);
	fallback_ns = quic_fallback_next_ns(conn);
	if (at_ns != UINT64_MAX)
		at_ns = at_ns > conn->ahead_ns ? at_ns - conn->ahead_ns : 0;
	if (probe_ns < at_ns)
		at_ns = probe_ns;
	if (fallback_ns < at_ns)
		at_ns = fallback_ns;
	hole_ns = quic_black_hole_next_ns(conn);
	if (hole_ns < at_ns)
		at_ns = hole_ns;
	beat_ns = quic_heartbeat_next_ns(conn);
	if (beat_ns < at_ns)
		at_ns = beat_ns;
	if (conn_may_rest(conn) && at_ns < conn->heard_ns + REST_NS)
		at_ns = conn->heard_ns + REST_NS;
	if (at_ns == UINT64_MAX)
		timer_cancel(&conn->engine->wheel, &conn->timer);
	else
		timer_set(&conn->engine->wheel, &conn->timer, at_ns);
}

bool quic_conn_move(struct quic_conn *conn, const struct addr *local, const struct addr *remote)
{
	ngtcp2_path_storage path;
	struct addr named = *local;

	/* A validation that this ends is of a path that is left. */
	conn->is_validating = false;
	if (!addr_is_relayed(remote))
		quic_alias_make(conn, remote, &named);
	quic_path_init(&path, &named, remote);
	if (ngtcp2_conn_initiate_migration(conn->ngtcp2, &path.path, quic_conn_clock_ns(conn)) != 0)
		return false;
	quic_conn_see_path(conn);
	quic_conn_want_write(conn);
	return true;
}

void quic_conn_rebind(struct quic_conn *conn, const struct addr *local)
{
	ngtcp2_path_storage path;

	/* To a new label of a relay the whole path moves: its packets may be shorter from now on. */
	quic_path_init(&path, local, addr_is_relayed(local) ? local : &conn->remote);
	/*
	 * Before the handshake is confirmed nothing may move (RFC 9000 9);
	 * packets then simply leave from the new address, or the dial fails.
	 */
	if (ngtcp2_conn_initiate_immediate_migration(conn->ngtcp2, &path.path,
						     quic_conn_clock_ns(conn)) != 0)
		return;
	quic_alias_forget(conn);
	conn->local = *local;
	quic_conn_want_write(conn);
}
