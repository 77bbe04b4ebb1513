/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A datagram on its way into its connection, without I/O, on the worker's thread.
 *
 * quic_engine_input reads the invariants (RFC 8999) and sorts:
 *   Short header: the table of ids is asked, if the ingress found a right tag.
 *     With no tag or no entry a stateless reset of the peer's is recognised
 *     by its token. Any other datagram goes to quic_answer_reset (RFC 9000 10.3).
 *   Unknown version: quic_answer_version, to datagrams of 1200 bytes (6).
 *   Long header: by our id, by the client's first id, else a first Initial
 *     passes engine_accept. It has a token (8.1), or takes a place among
 *     half-open connections, or gets a Retry; then quic_conn_accept.
 * Datagrams that cost the crypto of a handshake wait in the backlog until the
 * next flush. There quic_engine_serve_waiting takes them in the order of load.
 * conn_input gives the datagram to ngtcp2, which calls back into
 * conn_events.c and quic_stream.c; stream bytes reach the speaker inside.
 */
#include "quic/engine.h"

#include <string.h>

/* False: dgram of a handshake is to be served now; else it waits, or was dropped. */
static bool engine_defer(struct quic_engine *engine, const struct dgram *dgram)
{
	if (!engine->shares.load || engine->is_serving || dgram->len > BACKLOG_DGRAM_MAX)
		return false;
	quic_backlog_put(&engine->backlog, engine->shares.load, dgram, engine->now_ns);
	return true;
}

/*
 * Returns whether dgram, which names conn, is from a proven address whose
 * handshake is under way. A sender that names this node's id received it. A
 * client that showed a token has no place among the half-open ones. Another
 * address than the connection's proves nothing.
 */
static bool conn_may_wait(const struct quic_conn *conn, const struct dgram *dgram, bool is_ours)
{
	return conn->is_shaking && (is_ours || conn->half_open_place == QUIC_HALF_OPEN_NONE) &&
	       addr_equal(&dgram->remote, &conn->remote);
}

/*
 * The kernel chose our address when the first packet left; ngtcp2 learns
 * it from the first that comes back, before it compares paths.
 */
static void conn_learn_local(struct quic_conn *conn, const struct addr *local)
{
	ngtcp2_path_storage path;

	conn->local = *local;
	conn->is_local_known = true;
	quic_path_init(&path, local, &conn->remote);
	ngtcp2_conn_set_local_addr(conn->ngtcp2, &path.path.local);
}

/* conn may be gone when it returns. Returns 0, or the error of ngtcp2 that ended conn. */
static int conn_input(struct quic_conn *conn, struct dgram *dgram)
{
	ngtcp2_pkt_info info = {.ecn = dgram->ecn};
	ngtcp2_path_storage path;
	struct addr local;
	bool is_left_out;
	int rv = 0;

	if (conn->state == QUIC_CONN_LINGER) {
		quic_conn_input_lingering(conn);
		return 0;
	}
	quic_probe_doubt(conn);
	is_left_out = quic_probe_leaves_out(conn, dgram);
	conn->has_heard = true;
	conn->heard_ns = conn->engine->now_ns;
	if (!conn->is_local_known && addr_equal(&dgram->remote, &conn->remote))
		conn_learn_local(conn, &dgram->local);
	local = dgram->local;
	quic_alias_in(conn, &dgram->remote, &local);
	quic_path_init(&path, &local, &dgram->remote);
	if (!is_left_out) {
		conn->read_ns = conn->engine->now_ns;
		quic_fallback_hears(conn);
		rv = ngtcp2_conn_read_pkt(conn->ngtcp2, &path.path, &info, dgram->data, dgram->len,
					  quic_conn_clock_ns(conn));
		if (rv == 0 && (conn->is_validating || !addr_equal(&dgram->remote, &conn->remote)))
			quic_conn_see_path(conn);
		quic_fallback_heard(conn);
		if (rv == 0 && conn->unmeasured_cnt)
			quic_probe_measure(conn);
	}
	if (rv == 0)
		rv = quic_probe_heard(conn, !is_left_out);
	if (rv != 0) {
		quic_conn_shut(conn, rv);
		return rv;
	}
	quic_conn_want_write(conn);
	return 0;
}

static void engine_start(struct quic_engine *engine, struct dgram *dgram,
			 struct quic_accept *accept)
{
	struct quic_conn *conn = quic_conn_accept(engine, dgram, accept);

	if (!conn) {
		engine->stats.refused_full_cnt++;
		quic_half_open_leave(&engine->limits.half_open, accept->half_open_place);
		quic_answer_refuse(engine, dgram, accept->hd, NGTCP2_CONNECTION_REFUSED);
		return;
	}
	if (accept->half_open_place == QUIC_HALF_OPEN_NONE && engine->shares.load)
		load_charge(engine->shares.load, &(struct load_who){.addr = &dgram->remote},
			    LOAD_PRICE_HELLO, engine->now_ns);
	/* A ClientHello in several datagrams is held only for a validated address. */
	if (conn_input(conn, dgram) == NGTCP2_ERR_RETRY)
		quic_answer_retry(engine, dgram, accept->hd);
}

/* Several keys were banned from there: unvalidated sources at remote have one connection in all. */
static bool address_is_limited(const struct quic_engine *engine, const struct addr *remote)
{
	return engine->is_limited && engine->is_limited(engine->limited_ctx, remote);
}

static bool address_has_conn(const struct quic_engine *engine, const struct addr *remote)
{
	unsigned len = remote->family == ADDR_IPV4 ? 32 : 64;
	const struct addr place = addr_prefix_key(remote, len);
	struct quic_conn *conn = NULL;

	while ((conn = pool_next(&engine->conns, conn))) {
		const struct addr other = addr_prefix_key(&conn->remote, len);

		if (!conn->is_dialler && addr_equal(&other, &place))
			return true;
	}
	return false;
}

/* The place of what showed no token, or a Retry, and QUIC_HALF_OPEN_NONE. */
static uint16_t engine_admit_unvalidated(struct quic_engine *engine, const struct dgram *dgram,
					 const ngtcp2_pkt_hd *hd)
{
	uint16_t place = QUIC_HALF_OPEN_NONE;

	if (!address_is_limited(engine, &dgram->remote))
		place = quic_half_open_enter(&engine->limits.half_open,
					     quic_engine_unvalidated_cap(engine), &dgram->remote);
	if (place != QUIC_HALF_OPEN_NONE)
		return place;
	engine->stats.half_open_retry_cnt++;
	quic_answer_retry(engine, dgram, hd);
	return QUIC_HALF_OPEN_NONE;
}

static void engine_refuse(struct quic_engine *engine, const struct dgram *dgram,
			  const ngtcp2_pkt_hd *hd, uint64_t *counter)
{
	++*counter;
	quic_answer_refuse(engine, dgram, hd, NGTCP2_CONNECTION_REFUSED);
}

static void engine_accept(struct quic_engine *engine, struct dgram *dgram)
{
	struct quic_retry retry;
	struct quic_token_claim claim;
	ngtcp2_pkt_hd hd;
	struct quic_accept accept = {.hd = &hd, .half_open_place = QUIC_HALF_OPEN_NONE};

	/*
	 * Also refuses what is no Initial and Initials below 1200 bytes (14.1).
	 * ngtcp2 checks the least length of the id (7.2) only without a token. With a
	 * token of this node the id is this node's, and the tables take no empty one.
	 */
	if (ngtcp2_accept(&hd, dgram->data, dgram->len) != 0 ||
	    hd.dcid.datalen < NGTCP2_MIN_INITIAL_DCIDLEN) {
		engine->stats.garbage_cnt++;
		return;
	}
	if (dgram->judged.verdict == WEFT_ANSWER_RETRY) {
		quic_answer_retry(engine, dgram, &hd);
		return;
	}
	if (engine->is_draining) {
		engine_refuse(engine, dgram, &hd, &engine->stats.refused_full_cnt);
		return;
	}
	switch (quic_token_check(engine, &dgram->remote, &hd, &retry, &claim)) {
	case QUIC_TOKEN_BAD:
		engine->stats.bad_token_cnt++;
		quic_answer_refuse(engine, dgram, &hd, NGTCP2_INVALID_TOKEN);
		return;
	case QUIC_TOKEN_VALID:
		if (engine_defer(engine, dgram))
			return;
		if (address_is_limited(engine, &dgram->remote) &&
		    address_has_conn(engine, &dgram->remote)) {
			engine_refuse(engine, dgram, &hd, &engine->stats.refused_limited_cnt);
			return;
		}
		accept.retry = &retry;
		break;
	case QUIC_TOKEN_KNOWN:
		if (engine_defer(engine, dgram))
			return;
		/*
		 * The token's statement about its owner stays true, and TLS
		 * asks for the key.
		 */
		accept.claim = &claim;
		if (quic_token_use(engine, hd.token))
			break;
		engine->stats.used_token_cnt++;
		/* fallthrough */
	case QUIC_TOKEN_NONE:
		accept.half_open_place = engine_admit_unvalidated(engine, dgram, &hd);
		if (accept.half_open_place == QUIC_HALF_OPEN_NONE)
			return;
	}
	engine_start(engine, dgram, &accept);
}

static void engine_input_long(struct quic_engine *engine, struct dgram *dgram,
			      const ngtcp2_version_cid *ids)
{
	struct cid_origin origin = {.len = (uint8_t)ids->dcidlen};
	struct quic_conn *conn = NULL;
	bool is_ours;

	/* The ingress asks for proof whatever the engine's own load says. */
	if (dgram->judged.verdict == WEFT_ANSWER_RETRY) {
		engine_accept(engine, dgram);
		return;
	}
	if (dgram->judged.owner >= 0)
		conn = map_lookup(&engine->cids.ours, ids->dcid);
	is_ours = conn != NULL;
	if (!conn && ids->dcidlen <= CID_ORIGIN_LEN_MAX) {
		memcpy(origin.data, ids->dcid, ids->dcidlen);
		conn = map_lookup(&engine->cids.origins, &origin);
	}
	if (!conn)
		engine_accept(engine, dgram);
	else if (!conn_may_wait(conn, dgram, is_ours) || !engine_defer(engine, dgram))
		(void)conn_input(conn, dgram);
}

static void engine_input_short(struct quic_engine *engine, struct dgram *dgram,
			       const uint8_t cid[static WEFT_CID_LEN])
{
	const uint8_t *token = dgram->data + dgram->len - CID_RESET_TOKEN_LEN;
	struct quic_conn *conn = NULL;

	if (dgram->judged.owner >= 0)
		conn = quic_cids_lookup(&engine->cids, cid);
	if (!conn)
		conn = map_lookup(&engine->cids.reset_tokens, token);
	if (conn) {
		/* Not before what it follows. */
		if (!conn_may_wait(conn, dgram, true) || !engine_defer(engine, dgram))
			(void)conn_input(conn, dgram);
		return;
	}
	engine->stats.bad_tag_cnt += dgram->judged.owner < 0;
	/* All workers of a node make the same token: another one's connection may live (21.11). */
	if (cid[0] == (0x80 | engine->config.worker))
		quic_answer_reset(engine, dgram, cid);
}

void quic_engine_input(struct quic_engine *engine, struct dgram *dgram, uint64_t now_ns)
{
	ngtcp2_version_cid ids;
	int rv;

	quic_engine_turn(engine, now_ns);
	if (dgram->judged.flow == WEFT_FLOW_QUIC_SHORT) {
		engine_input_short(engine, dgram, dgram->data + 1);
		return;
	}
	rv = dgram->judged.flow == WEFT_FLOW_QUIC_LONG
		     ? ngtcp2_pkt_decode_version_cid(&ids, dgram->data, dgram->len, WEFT_CID_LEN)
		     : NGTCP2_ERR_INVALID_ARGUMENT;
	if (rv != 0 && rv != NGTCP2_ERR_VERSION_NEGOTIATION) {
		engine->stats.garbage_cnt++;
	} else if (ids.version != 0 && ids.version != NGTCP2_PROTO_VER_V1) {
		if (dgram->len >= NGTCP2_MAX_UDP_PAYLOAD_SIZE)
			quic_answer_version(engine, dgram, &ids);
		else
			engine->stats.garbage_cnt++;
	} else {
		engine_input_long(engine, dgram, &ids);
	}
}

/* Handshakes' turn: those that cost least first, so many that sessions do not wait for long. */
void quic_engine_serve_waiting(struct quic_engine *engine)
{
	struct backlog_slot *slot;

	if (engine->backlog.cnt == 0)
		return;
	engine->is_serving = true;
	for (unsigned i = 0; i < BACKLOG_TURN_MAX; i++) {
		slot = quic_backlog_first(&engine->backlog, engine->shares.load, engine->now_ns);
		if (!slot)
			break;
		quic_engine_input(engine, &slot->dgram, engine->now_ns);
		quic_backlog_remove(&engine->backlog, slot);
	}
	engine->is_serving = false;
}
