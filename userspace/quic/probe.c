/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Probes beside those of ngtcp2. The probe timeout of ngtcp2 (RFC 9002 6.2) doubles with
 * each packet that is not acknowledged. After five seconds without a path the next is up
 * to eight seconds away. They are sent when there is a reason to believe that the path is
 * there again:
 *
 *   The machine has a link, an address or a route more (quic_engine_wake):
 *     every open connection that has been silent since, in four rounds.
 *   A datagram came after a silence and acknowledged nothing in flight: the
 *     peer is there, and does not wait for our timer.
 *   A path was validated: packets sent to the old one are lost.
 *   A relay's flow is open again (quic_engine_path_is_back).
 *   A request waits on a session that has gone silent (mesh/session/redial.c).
 *   An answer does not come, or stops in the middle (quic_probe_await). Its
 *     sender may know only an address that a NAT has given up, and learns the
 *     new one from a packet of this node. The pauses grow, and it ends after
 *     ten seconds.
 *
 * A connection with nothing in flight, or that was heard a moment ago, sends a PING: the keep-alive time is a nanosecond
 * for one packet. With data in flight the congestion window may be full, and only a probe
 * timeout may exceed it. ngtcp2 has no call for that, but the engine sets its clock. The
 * clock of the one connection moves on to its next timer, and stays ahead of the engine's
 * by that amount. The connection is then that much nearer to the idle timeout, until the
 * next datagram comes. Where the clock may not move on, a PING goes if the window has
 * room.
 */
#include "quic/engine.h"

#include <string.h>

#include "base/container_of.h"
#include "base/monotonic.h"

/* RFC 9002 has no number; 1.5 round trips leave room for jitter and a delayed ACK. */
#define SILENCE_NS_MIN (100 * NS_PER_MS)
/*
 * The first datagram after such a silence acknowledges packets from before it. ngtcp2 would
 * measure a round trip of seconds from that, and the sender would pace by it. So it is taken
 * for a sign of life and not read, as if it was lost; nor is what came with it. The
 * acknowledgement of the probe gives the length of the round trip.
 */
#define STALE_NS (2 * NS_PER_S)
/* By then a probe is answered even from afar, or can be sent again. */
#define ANSWER_NS_MAX (50 * NS_PER_MS)
/*
 * An eighth of the pause passes between two questions, so an asker that waited long waits
 * at most an eighth longer. That is 8 questions in the first 800 ms and 21 more in 10 s.
 * After that mesh/session/redial.c asks.
 */
#define AWAIT_DIVISOR 8
#define AWAIT_NS_MAX  (10 * NS_PER_S)
/* mesh/session/redial.c takes over after this silence. A host answers few of the packets to a closed port. */
#define UNHEARD_NS_MAX (2 * NS_PER_S)
/* Timers that come before a probe timeout, and shortly: an ACK's delay, the pace. */
#define SOON_NS	   (7 * NS_PER_MS)
#define EXPIRY_MAX 4
/*
 * This node may hear a peer all the time while none of its own packets arrive there. Each probe doubles the next
 * timeout, so after a few no probe fits any more when the way is back. Where the first few were
 * lost on a way that was not quite back, another one goes after a pause.
 */
#define DOUBT_CNT_MAX  2
#define DOUBT_PAUSE_NS (500 * NS_PER_MS)

/* An unresolved neighbour or a bridge port that learns drops the first ones. */
static const uint64_t rounds_ns[] = {0, 50 * NS_PER_MS, 150 * NS_PER_MS, 350 * NS_PER_MS};
#define ROUND_CNT (sizeof(rounds_ns) / sizeof(rounds_ns[0]))
/* A round is spread over this, in slices. */
#define ROUND_SPREAD_NS	  (50 * NS_PER_MS)
#define SLICE_NS	  NS_PER_MS
#define SLICE_CNT_MIN	  16
#define WAKE_CREDIT_MAX	  8
#define WAKE_CREDIT_EVERY (4 * NS_PER_S)

static uint64_t conn_silence_ns(const struct quic_conn *conn)
{
	return conn->engine->now_ns - conn->heard_ns;
}

uint64_t quic_probe_in_flight_len(const struct quic_conn *conn)
{
	ngtcp2_conn_info info;

	ngtcp2_conn_get_conn_info(conn->ngtcp2, &info);
	return info.bytes_in_flight;
}

uint64_t quic_probe_silent_ns(const struct quic_conn *conn)
{
	return conn->heard_ns > conn->flight_ns ? conn->heard_ns : conn->flight_ns;
}

uint64_t quic_probe_patience_ns(const struct quic_conn *conn)
{
	ngtcp2_conn_info info;
	uint64_t patience_ns;

	ngtcp2_conn_get_conn_info(conn->ngtcp2, &info);
	patience_ns = info.smoothed_rtt + info.smoothed_rtt / 2;
	return patience_ns > SILENCE_NS_MIN ? patience_ns : SILENCE_NS_MIN;
}

/*
 * May the clock move on by step_ns? Each step is twice the last one. By its clock ngtcp2 takes the
 * peer for gone after the idle timeout, counted from the last datagram that it was given. After
 * five seconds of silence one or two fit, and one or two more once the peer is heard. The timer
 * after a probe timeout that is not sent yet is the idle timeout itself.
 */
static bool conn_may_skip(const struct quic_conn *conn, uint64_t step_ns)
{
	uint64_t idle_ns = conn->engine->config.idle_timeout_ns, unread_ns;
	const ngtcp2_transport_params *params =
		ngtcp2_conn_get_remote_transport_params(conn->ngtcp2);
	bool is_there;

	if (params && params->max_idle_timeout && (!idle_ns || params->max_idle_timeout < idle_ns))
		idle_ns = params->max_idle_timeout;
	/*
	 * A received datagram proves that it is worth it. So does a relay to which the peer spoke.
	 * A link that is up may be no way to this peer.
	 */
	is_there = conn->is_path_back || conn_silence_ns(conn) < SILENCE_NS_MIN;
	idle_ns = idle_ns / 4 * (is_there ? 3 : 1);
	unread_ns = conn->engine->now_ns - conn->read_ns;
	return !idle_ns || unread_ns + conn->skipped_ns + step_ns < idle_ns;
}

/* 0, or the ngtcp2 error that ends conn. False in *out_did: the clock stays where it is. */
static int conn_skip_to_timer(struct quic_conn *conn, bool *out_did)
{
	*out_did = true;
	for (unsigned i = 0; i < EXPIRY_MAX; i++) {
		uint64_t now_ns = quic_conn_clock_ns(conn);
		uint64_t at_ns = ngtcp2_conn_get_expiry(conn->ngtcp2), step_ns = 0;
		int rv;

		if (at_ns == UINT64_MAX)
			return 0;
		if (at_ns > now_ns)
			step_ns = at_ns - now_ns;
		if (!conn_may_skip(conn, step_ns)) {
			*out_did = false;
			return 0;
		}
		conn->ahead_ns += step_ns;
		conn->skipped_ns += step_ns;
		rv = ngtcp2_conn_handle_expiry(conn->ngtcp2, quic_conn_clock_ns(conn));
		if (rv != 0 || step_ns > SOON_NS)
			return rv;
	}
	return 0;
}

/*
 * The clock moves on only where what is in flight may be lost. Its answers would else be taken for late
 * by as much as the clock moved, and the round trip for that much longer.
 */
static bool conn_is_in_doubt(const struct quic_conn *conn)
{
	return conn->is_path_back || conn->doubt_len ||
	       (conn->has_flight &&
		conn->engine->now_ns >= quic_probe_silent_ns(conn) + quic_probe_patience_ns(conn));
}

void quic_probe_ping(struct quic_conn *conn)
{
	conn->engine->stats.probe_cnt++;
	conn->is_pinging = true;
	/* The keep-alive time counts from the last packet, which may be of this turn. */
	conn->ahead_ns++;
	ngtcp2_conn_set_keep_alive_timeout(conn->ngtcp2, 1);
	quic_conn_want_write(conn);
}

int quic_probe_send(struct quic_conn *conn)
{
	bool did_skip = false;
	int rv = 0;

	conn->is_probe_wanted = false;
	conn->probed_ns = conn->engine->now_ns;
	if (conn->state != QUIC_CONN_OPEN || conn->is_close_wanted)
		return 0;
	if (quic_probe_in_flight_len(conn) > 0 && conn_is_in_doubt(conn))
		rv = conn_skip_to_timer(conn, &did_skip);
	if (!did_skip) {
		quic_probe_ping(conn);
		return 0;
	}
	conn->engine->stats.probe_cnt++;
	if (rv == 0)
		quic_conn_want_write(conn);
	return rv;
}

int quic_probe_path_is_back(struct quic_conn *conn)
{
	int rv;

	conn->is_path_back = true;
	rv = quic_probe_send(conn);
	conn->is_path_back = false;
	return rv;
}

void quic_probe_was_sent(struct quic_conn *conn)
{
	conn->is_pinging = false;
	ngtcp2_conn_set_keep_alive_timeout(conn->ngtcp2, quic_keepalive_ns(conn->engine));
}

/*
 * ngtcp2 has no round trip of an acknowledgement whose newest packet was one of acknowledgements alone.
 * On a short path that may be so of all that follow a move. RFC 9002 6.2.2 has a third of a
 * second for an unknown path, so a break would be noticed a second later.
 */
void quic_probe_measure(struct quic_conn *conn)
{
	ngtcp2_conn_info info;

	if (conn->state != QUIC_CONN_OPEN)
		return;
	ngtcp2_conn_get_conn_info(conn->ngtcp2, &info);
	if (info.min_rtt != UINT64_MAX) {
		conn->unmeasured_cnt = 0;
	} else if (!info.bytes_in_flight && !conn->is_pinging) {
		conn->unmeasured_cnt--;
		quic_probe_ping(conn);
	}
}

/* --- what is heard --- */

/* Whether a probe timeout can be had. */
static bool conn_may_skip_to_timer(const struct quic_conn *conn)
{
	uint64_t at_ns = ngtcp2_conn_get_expiry(conn->ngtcp2), now_ns = quic_conn_clock_ns(conn);

	return at_ns <= now_ns || (at_ns != UINT64_MAX && conn_may_skip(conn, at_ns - now_ns));
}

static bool is_stateless_reset(const struct quic_conn *conn, const struct dgram *dgram)
{
	for (unsigned i = 0; i < conn->reset_token_cnt; i++)
		if (dgram->len >= CID_RESET_TOKEN_LEN &&
		    memcmp(dgram->data + dgram->len - CID_RESET_TOKEN_LEN, conn->reset_tokens[i],
			   CID_RESET_TOKEN_LEN) == 0)
			return true;
	return false;
}

bool quic_probe_leaves_out(struct quic_conn *conn, const struct dgram *dgram)
{
	uint64_t now_ns = conn->engine->now_ns;
	ngtcp2_conn_info info;

	if (conn->state != QUIC_CONN_OPEN || is_stateless_reset(conn, dgram))
		return false;
	if (now_ns < conn->deaf_until_ns)
		return true;
	if (conn->has_left_out || !conn->has_flight || now_ns < conn->flight_ns + STALE_NS ||
	    conn_silence_ns(conn) < STALE_NS || !conn_may_skip_to_timer(conn))
		return false;
	conn->has_left_out = true;
	ngtcp2_conn_get_conn_info(conn->ngtcp2, &info);
	if (info.min_rtt != UINT64_MAX)
		conn->deaf_until_ns = now_ns + info.min_rtt / 2;
	return true;
}

/* The packets sent last are answered by now, if they arrived. */
static bool probe_is_answered(const struct quic_conn *conn)
{
	ngtcp2_conn_info info;
	uint64_t wait_ns;

	ngtcp2_conn_get_conn_info(conn->ngtcp2, &info);
	wait_ns = info.min_rtt < ANSWER_NS_MAX ? info.min_rtt : ANSWER_NS_MAX;
	return !conn->probed_ns || conn->engine->now_ns >= conn->probed_ns + wait_ns;
}

void quic_probe_doubt(struct quic_conn *conn)
{
	if (conn->state == QUIC_CONN_OPEN && conn->has_flight &&
	    conn->engine->now_ns >= quic_probe_silent_ns(conn) + quic_probe_patience_ns(conn))
		conn->doubt_len = quic_probe_in_flight_len(conn);
}

int quic_probe_heard(struct quic_conn *conn, bool is_read)
{
	if (conn->state != QUIC_CONN_OPEN)
		return 0;
	if (is_read) {
		conn->skipped_ns = 0;
		conn->has_left_out = false;
		conn->has_flight = conn->has_flight && quic_probe_in_flight_len(conn) > 0;
	}
	if (conn->doubt_len && quic_probe_in_flight_len(conn) < conn->doubt_len)
		conn->doubt_len = 0;
	if (!conn->doubt_len)
		conn->doubt_cnt = 0;
	if (conn->is_probe_wanted)
		return quic_probe_path_is_back(conn);
	if (!conn->doubt_len || !probe_is_answered(conn))
		return 0;
	if (conn->doubt_cnt == DOUBT_CNT_MAX &&
	    conn->engine->now_ns < conn->probed_ns + DOUBT_PAUSE_NS)
		return 0;
	if (conn->doubt_cnt < DOUBT_CNT_MAX)
		conn->doubt_cnt++;
	return quic_probe_send(conn);
}

void quic_probe_await(struct quic_conn *conn)
{
	conn->is_awaiting = true;
	conn->awaited_ns = conn->engine->now_ns;
}

/* Whether the peer owes the rest of an answer; streams that both use do not count. */
static bool conn_is_owed(const struct quic_conn *conn)
{
	const struct list_node *at;

	for (at = conn->streams.next; at != &conn->streams; at = at->next) {
		const struct quic_stream *stream = container_of(at, struct quic_stream, all_link);

		if (stream->is_fin_sent && !stream->is_answered &&
		    ngtcp2_conn_is_local_stream(conn->ngtcp2, stream->id))
			return true;
	}
	return false;
}

uint64_t quic_probe_next_ns(const struct quic_conn *conn)
{
	uint64_t patience_ns, pause_ns, from_ns;

	if (!conn->is_awaiting || conn->state != QUIC_CONN_OPEN)
		return UINT64_MAX;
	patience_ns = quic_probe_patience_ns(conn);
	from_ns = conn->heard_ns > conn->awaited_ns ? conn->heard_ns : conn->awaited_ns;
	if (conn->asked_ns > from_ns)
		from_ns = conn->asked_ns;
	if (from_ns >= conn->heard_ns + UNHEARD_NS_MAX && conn->asked_ns > conn->heard_ns)
		return UINT64_MAX;
	pause_ns = (from_ns - conn->awaited_ns) / AWAIT_DIVISOR;
	return from_ns + (pause_ns > patience_ns ? pause_ns : patience_ns);
}

/*
 * After an outage a window is two packets, and questions that the peer does not hear fill it. Half of it is left, and
 * the clock stays where it is, for the probes that know that the way is back.
 */
static bool conn_has_room(const struct quic_conn *conn)
{
	ngtcp2_conn_info info;

	ngtcp2_conn_get_conn_info(conn->ngtcp2, &info);
	return info.bytes_in_flight < info.cwnd / 2;
}

void quic_probe_expire(struct quic_conn *conn)
{
	uint64_t now_ns = conn->engine->now_ns;

	if (now_ns < quic_probe_next_ns(conn))
		return;
	conn->asked_ns = now_ns;
	conn->is_awaiting = now_ns - conn->awaited_ns < AWAIT_NS_MAX && conn_is_owed(conn);
	if (conn->is_awaiting && conn_has_room(conn))
		quic_probe_ping(conn);
}

void quic_probe_note_flight(struct quic_conn *conn, bool did_send)
{
	if (did_send && !conn->has_flight) {
		conn->has_flight = true;
		conn->flight_ns = conn->engine->now_ns;
	}
	if (!did_send && conn->has_flight)
		conn->has_flight = quic_probe_in_flight_len(conn) > 0;
}

/* --- rounds over all connections --- */

static void wake_begin_round(struct quic_engine *engine)
{
	struct quic_wake *wake = &engine->wake;
	uint32_t slice_cnt = engine->conns.used_cnt / (ROUND_SPREAD_NS / SLICE_NS) + 1;

	wake->at = NULL;
	wake->slice_cnt = slice_cnt > SLICE_CNT_MIN ? slice_cnt : SLICE_CNT_MIN;
	wake->round_ns = engine->now_ns;
}

/* False: all of the round have been asked. */
static bool wake_slice(struct quic_engine *engine)
{
	struct quic_wake *wake = &engine->wake;
	int rv;

	for (uint32_t i = 0; i < wake->slice_cnt; i++) {
		struct quic_conn *conn = pool_next(&engine->conns, wake->at);

		wake->at = conn;
		if (!conn)
			return false;
		if (conn->state != QUIC_CONN_OPEN ||
		    (conn->heard_ns > wake->began_ns && !conn->doubt_len))
			continue;
		rv = quic_probe_send(conn);
		if (rv != 0)
			quic_conn_shut(conn, rv);
	}
	return true;
}

static void wake_fire(struct timer *timer, uint64_t now_ns)
{
	struct quic_engine *engine = container_of(timer, struct quic_engine, wake.timer);
	struct quic_wake *wake = &engine->wake;
	uint64_t next_ns;

	if (now_ns > engine->now_ns)
		engine->now_ns = now_ns;
	if (!wake->is_in_round) {
		wake_begin_round(engine);
		wake->is_in_round = true;
	}
	if (wake_slice(engine)) {
		timer_set(&engine->wheel, &wake->timer, engine->now_ns + SLICE_NS);
		return;
	}
	wake->is_in_round = false;
	if (++wake->round == ROUND_CNT)
		return;
	next_ns = wake->began_ns + rounds_ns[wake->round];
	if (next_ns < engine->now_ns + SLICE_NS)
		next_ns = engine->now_ns + SLICE_NS;
	timer_set(&engine->wheel, &wake->timer, next_ns);
}

void quic_wake_init(struct quic_engine *engine)
{
	timer_init(&engine->wake.timer, wake_fire);
	engine->wake.credit = WAKE_CREDIT_MAX;
	engine->wake.credit_ns = engine->now_ns;
}

/* A host with routing daemons or containers reports changes all day long. */
static bool wake_take_credit(struct quic_engine *engine)
{
	struct quic_wake *wake = &engine->wake;
	uint64_t earned = (engine->now_ns - wake->credit_ns) / WAKE_CREDIT_EVERY;

	if (earned) {
		wake->credit_ns += earned * WAKE_CREDIT_EVERY;
		wake->credit = wake->credit + earned < WAKE_CREDIT_MAX
				       ? wake->credit + (unsigned)earned
				       : WAKE_CREDIT_MAX;
	}
	if (!wake->credit)
		return false;
	wake->credit--;
	return true;
}

bool quic_engine_wake(struct quic_engine *engine, uint64_t now_ns)
{
	struct quic_wake *wake = &engine->wake;
	uint64_t from_ns;

	if (now_ns > engine->now_ns)
		engine->now_ns = now_ns;
	if (!wake_take_credit(engine)) {
		engine->stats.wake_refused_cnt++;
		return false;
	}
	engine->stats.wake_cnt++;
	/* One that is under way begins anew: what came up now may be the part that was missing. */
	from_ns = wake->round_ns + rounds_ns[1];
	wake->round = 0;
	wake->is_in_round = false;
	wake->began_ns = engine->now_ns;
	timer_set(&engine->wheel, &wake->timer,
		  wake->round_ns && from_ns > engine->now_ns ? from_ns : engine->now_ns);
	return true;
}
