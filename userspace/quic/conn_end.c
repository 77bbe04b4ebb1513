/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection's end (RFC 9000 10): its meaning for the speaker and the
 * peer, the last events, and the ids that linger. They linger for three
 * probe timeouts with a ready-made close packet. So late packets are not
 * mistaken for an unknown connection, and cost no TLS state.
 */
#include "quic/engine.h"

#include <string.h>

#include "base/assert.h"

/*
 * The meaning of a connection's end for the speaker and for the peer.
 */
struct conn_end {
	struct transport_close close;
	ngtcp2_ccerr ccerr;
	bool is_told;	   /* a CONNECTION_CLOSE goes out */
	bool is_lingering; /* late packets of the peer are expected */
};

/* No peer may keep us away for longer than the longest time that it may tell. */
static uint32_t busy_ms(uint64_t code)
{
	uint32_t ms = (uint32_t)code;

	return ms < QUIC_CLOSE_BUSY_MS_MAX ? ms : QUIC_CLOSE_BUSY_MS_MAX;
}

static void explain_peer_close(const struct quic_conn *conn, struct conn_end *end)
{
	const ngtcp2_ccerr *ccerr = ngtcp2_conn_get_ccerr(conn->ngtcp2);
	bool is_refusal;

	if (ccerr->type == NGTCP2_CCERR_TYPE_APPLICATION)
		is_refusal = (ccerr->error_code >= QUIC_CLOSE_REFUSED &&
			      ccerr->error_code <= QUIC_CLOSE_NO_KEY) ||
			     ccerr->error_code >> 32 == QUIC_CLOSE_BUSY >> 32;
	else
		is_refusal = ccerr->error_code == NGTCP2_CONNECTION_REFUSED ||
			     (ccerr->error_code & ~0xffull) == NGTCP2_CRYPTO_ERROR;
	end->close.err = is_refusal ? WEFT_EREFUSED : WEFT_ECLOSED;
	end->close.code = ccerr->error_code;
	if (is_refusal && ccerr->error_code >> 32 == QUIC_CLOSE_BUSY >> 32)
		end->close.not_before_ms = busy_ms(ccerr->error_code);
	end->close.by_peer = true;
	end->close.is_protocol_code = ccerr->type != NGTCP2_CCERR_TYPE_APPLICATION;
	end->close.is_reset = conn->is_peer_reset;
	end->is_lingering = !conn->is_peer_reset;
}

static void explain_tls(const struct quic_conn *conn, struct conn_end *end)
{
	uint8_t alert = ngtcp2_conn_get_tls_alert(conn->ngtcp2);

	end->close.err = conn->is_wrong_key ? WEFT_EWRONGKEY : WEFT_EREFUSED;
	end->close.code = NGTCP2_CRYPTO_ERROR | alert;
	end->close.is_protocol_code = true;
	ngtcp2_ccerr_set_tls_alert(&end->ccerr, alert, NULL, 0);
	end->is_told = end->is_lingering = true;
	if (alert == TLS_ALERT_NO_APPLICATION_PROTOCOL)
		conn->engine->stats.refused_alpn_cnt++;
}

static void conn_explain(const struct quic_conn *conn, int liberr, struct conn_end *end)
{
	struct quic_stats *stats = &conn->engine->stats;

	switch (liberr) {
	case 0: /* the speaker, or a rule of this node */
		end->close.err = conn->close_err;
		end->close.code = conn->close_code;
		ngtcp2_ccerr_set_application_error(&end->ccerr, conn->close_code,
						   (const uint8_t *)conn->close_reason,
						   strlen(conn->close_reason));
		end->is_told = end->is_lingering = true;
		break;
	case NGTCP2_ERR_DRAINING:
		explain_peer_close(conn, end);
		break;
	case NGTCP2_ERR_CRYPTO:
		explain_tls(conn, end);
		break;
	case NGTCP2_ERR_HANDSHAKE_TIMEOUT:
		stats->handshake_timeout_cnt++;
		end->close.err = conn->has_heard ? WEFT_ETIMEOUT : WEFT_EUNREACHABLE;
		break;
	case NGTCP2_ERR_IDLE_CLOSE:
		stats->idle_timeout_cnt++;
		end->close.err = WEFT_ETIMEOUT;
		break;
	case NGTCP2_ERR_DROP_CONN:
	case NGTCP2_ERR_RETRY:
		end->close.err = WEFT_EMALFORMED;
		break;
	case NGTCP2_ERR_RECV_VERSION_NEGOTIATION:
		end->close.err = WEFT_EREFUSED;
		break;
	default:
		end->close.err = liberr == NGTCP2_ERR_NOMEM ? WEFT_EFULL : WEFT_EMALFORMED;
		ngtcp2_ccerr_set_liberr(&end->ccerr, liberr, NULL, 0);
		end->close.code = end->ccerr.error_code;
		end->close.is_protocol_code = true;
		end->is_told = end->is_lingering = true;
	}
}

/* The close packet is made once; a lingering connection only repeats it. */
static void send_close_packet(struct quic_conn *conn, const struct addr *remote,
			      const uint8_t *packet, size_t len)
{
	struct quic_engine *engine = conn->engine;
	struct dgram_route route = {.local = conn->local, .remote = *remote};
	struct dgram_slot slot;

	if (!engine->sink->ops->reserve(engine->sink, len, &slot))
		return;
	memcpy(slot.data, packet, len);
	engine->sink->ops->commit(engine->sink, &slot, len, &route);
	engine->stats.close_sent_cnt++;
}

static void conn_say_goodbye(struct quic_conn *conn, const ngtcp2_ccerr *ccerr)
{
	uint8_t packet[NGTCP2_MAX_UDP_PAYLOAD_SIZE];
	ngtcp2_path_storage path;
	struct addr remote;
	ngtcp2_ssize len;

	/* An address that never answered may be no peer at all: nothing goes there. */
	if (conn->unheard_max && !conn->has_heard)
		return;
	ngtcp2_path_storage_zero(&path);
	len = ngtcp2_conn_write_connection_close(conn->ngtcp2, &path.path, NULL, packet,
						 sizeof(packet), ccerr, quic_conn_clock_ns(conn));
	if (len <= 0)
		return;
	quic_path_addr(&path.path.remote, &remote);
	send_close_packet(conn, &remote, packet, (size_t)len);
	conn->close_packet = quic_memory_alloc(conn, (size_t)len);
	if (!conn->close_packet)
		return;
	memcpy(conn->close_packet, packet, (size_t)len);
	conn->close_packet_len = (size_t)len;
}

/* Answers to 1, 2, 4, 8, ... datagrams: RFC 9000 10.2.1 asks for fewer and fewer. */
void quic_conn_input_lingering(struct quic_conn *conn)
{
	uint32_t cnt = ++conn->close_heard_cnt;

	if (conn->close_packet && (cnt & (cnt - 1)) == 0)
		send_close_packet(conn, &conn->remote, conn->close_packet, conn->close_packet_len);
}

/*
 * Frees all parts that a lingering connection no longer needs. Leaves ids and
 * the close packet.
 */
static void conn_strip(struct quic_conn *conn)
{
	struct quic_engine *engine = conn->engine;

	timer_cancel(&engine->wheel, &conn->timer);
	quic_conn_forget_reset_tokens(conn);
	quic_limits_release(&engine->limits, conn->key_count);
	conn->key_count = NULL;
	if (conn->ssl) {
		/* SSL_free calls back into ngtcp2 unless the reference is gone, */
		SSL_set_app_data(conn->ssl, NULL);
		/* and spoils the ticket of a connection that TLS saw no end of. */
		SSL_set_shutdown(conn->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	}
	ngtcp2_conn_del(conn->ngtcp2);
	conn->ngtcp2 = NULL;
	SSL_free(conn->ssl);
	conn->ssl = NULL;
	ngtcp2_crypto_ossl_ctx_del(conn->ossl);
	conn->ossl = NULL;
}

void quic_conn_release(struct quic_conn *conn)
{
	struct quic_engine *engine = conn->engine;

	if (conn->is_lingering) {
		list_unlink(&conn->link);
		engine->lingering_cnt--;
	}
	timer_cancel(&engine->wheel, &conn->timer);
	quic_conn_retire_cids(conn);
	quic_memory_release(conn, conn->close_packet);
	weft_assert_hot(conn->heap_len == 0);
	pool_release(&engine->conns, conn);
}

static void conn_linger(struct quic_conn *conn, uint64_t linger_ns)
{
	struct quic_engine *engine = conn->engine;

	if (engine->lingering_cnt == engine->linger_cap)
		quic_conn_release(list_first(&engine->lingering, struct quic_conn, link));
	conn->is_lingering = true;
	list_push_back(&engine->lingering, &conn->link);
	engine->lingering_cnt++;
	timer_set(&engine->wheel, &conn->timer, engine->now_ns + linger_ns);
}

/* From here on the connection is out of every count and list but its ids'. */
static void conn_retire(struct quic_conn *conn)
{
	if (conn->is_ready)
		list_unlink(&conn->link);
	conn->is_ready = false;
	/* First as a handshake's, then as a connection's. */
	quic_conn_end_handshake(conn);
	quic_share_release(conn);
	conn->state = QUIC_CONN_LINGER;
}

/* The speaker may call ops from these events; they find a lingering connection. */
static void conn_tell(struct quic_conn *conn, const struct transport_close *close)
{
	struct quic_engine *engine = conn->engine;
	struct quic_stream *stream;

	conn->end = close;
	while ((stream = list_first(&conn->streams, struct quic_stream, all_link)))
		quic_stream_close(stream, close->code);
	if (conn->is_dialler || conn->is_announced)
		conn->events->conn_closed(conn->ctx, &conn->transport, close, engine->now_ns);
	conn->end = NULL;
}

void quic_conn_shut(struct quic_conn *conn, int liberr)
{
	uint64_t linger_ns = 3 * ngtcp2_conn_get_pto(conn->ngtcp2);
	struct conn_end end = {0};

	ngtcp2_ccerr_default(&end.ccerr);
	conn_explain(conn, liberr, &end);
	end.close.has_key = conn->has_actual_key;
	memcpy(end.close.actual_key, conn->actual_key, TRANSPORT_KEY_LEN);
	if (end.is_told)
		conn_say_goodbye(conn, &end.ccerr);
	conn_retire(conn);
	conn_tell(conn, &end.close);
	conn_strip(conn);
	if (end.is_lingering)
		conn_linger(conn, linger_ns);
	else
		quic_conn_release(conn);
}

void quic_conn_abandon(struct quic_conn *conn)
{
	struct quic_stream *stream;

	if (conn->state != QUIC_CONN_LINGER) {
		conn_retire(conn);
		while ((stream = list_first(&conn->streams, struct quic_stream, all_link)))
			quic_stream_release(stream);
		conn_strip(conn);
	}
	quic_conn_release(conn);
}
