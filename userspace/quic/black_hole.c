/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Black holes (RFC 8899 4.3, RFC 9000 14.3): a path that carried long packets does so no more. No ICMP
 * message that could be believed says so. ngtcp2 raises the length of packets and never lowers it. It
 * repeats a lost long packet as a long one, until the idle timeout.
 *
 *	out:	conn_write.c -> len, wrote, look -> a packet of that length, the books, what they say
 *	time:	conn.c -> expire -> packets of 1,200 bytes, which every path of QUIC carries
 *
 * ngtcp2 says how many bytes are in flight and how many were lost, not which. Of packets longer than
 * 1,200 bytes some have arrived if more was sent than is in flight and lost together. If that is never
 * so for three round trips, they may all be lost, whatever becomes of short ones. So packets are short
 * from then on. That costs little where the reason was another one.
 *
 * Once the peer has acknowledged short ones, a single packet of the former length shows the reason. It
 * carries bytes of a stream, whose acknowledgement is seen. If it arrives, all is as before. If three
 * are lost, there is a black hole. Shorter lengths are then tried once each, and the former one again
 * after a pause, which doubles. On the worker of the connection.
 */
#include "quic/conn_path.h"

#include "quic/engine.h"

#include "base/monotonic.h"

/* Of a span without an arrival. Three round trips have two probe timeouts, or the answers to two losses. */
#define SPAN_RTTS    3
#define SPAN_NS_MIN  (100 * NS_PER_MS)
#define LONG_CNT_MIN 3
/* RFC 8899 5.1.2: MAX_PROBES; PMTU_RAISE_TIMER is the longest pause. */
#define TRIALS_MAX   3
#define TRIAL_PTOS   3
#define PAUSE_NS_MIN (60 * NS_PER_S)
#define PAUSE_NS_MAX (600 * NS_PER_S)

/* Tried below the former length: tunnels, and the least link of IPv6. Labels and headers are off already. */
static const size_t steps[] = {4052, QUIC_DGRAM_LEN_ETH, 1392, 1352, 1232};

static size_t path_len(const struct quic_conn *conn)
{
	return ngtcp2_conn_get_path_max_tx_udp_payload_size(conn->ngtcp2);
}

static size_t step_below(size_t len)
{
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		if (steps[i] < len)
			return steps[i];
	return 0;
}

static void span_end(struct quic_black_hole *hole)
{
	hole->began_ns = hole->long_len = hole->long_cnt = 0;
}

void quic_black_hole_moved(struct quic_conn *conn)
{
	conn->black_hole = (struct quic_black_hole){.cap = 0};
}

static uint64_t settling_ns(const struct quic_conn *conn)
{
	return TRIAL_PTOS * ngtcp2_conn_get_pto(conn->ngtcp2);
}

/*
 * What was sent before at_ns has arrived or is lost by now. After an outage the round trip is measured as too
 * long for a while, so it is looked up each time.
 */
static bool is_settled(const struct quic_conn *conn, uint64_t at_ns)
{
	return conn->engine->now_ns >= at_ns + settling_ns(conn);
}

/* --- a packet is made --- */

/* Only what fills a packet of the former length can try it. */
static bool may_try(const struct quic_conn *conn, const ngtcp2_vec *vecs, unsigned cnt)
{
	const struct quic_black_hole *hole = &conn->black_hole;
	size_t len = 0;

	if (!hole->is_batch_new || !hole->is_answered || hole->tried_ns ||
	    conn->engine->now_ns < hole->try_ns || !is_settled(conn, hole->answered_ns))
		return false;
	for (unsigned i = 0; i < cnt && len < hole->try_len; i++)
		len += vecs[i].len;
	return len >= hole->try_len;
}

size_t quic_black_hole_len(struct quic_conn *conn, size_t cap, const ngtcp2_vec *vecs, unsigned cnt)
{
	struct quic_black_hole *hole = &conn->black_hole;

	if (!hole->cap || cap <= hole->cap)
		return cap;
	if (may_try(conn, vecs, cnt))
		return cap < hole->try_len ? cap : hole->try_len;
	return hole->cap;
}

static void try_sent(struct quic_conn *conn, const struct quic_stream *stream, size_t len)
{
	struct quic_black_hole *hole = &conn->black_hole;
	ngtcp2_conn_info info;

	ngtcp2_conn_get_conn_info(conn->ngtcp2, &info);
	hole->tried_ns = conn->engine->now_ns;
	hole->tried_len = len;
	/* All of it may be bytes that are repeated. */
	hole->tried_id = stream ? stream->id : -1;
	hole->tried_end = stream ? quic_stream_sent_len(stream) : 0;
	hole->is_tried_acked = false;
	hole->lost_len = info.bytes_lost;
	hole->lost_cnt = info.pkt_lost;
}

void quic_black_hole_wrote(struct quic_conn *conn, const struct quic_stream *stream, size_t len)
{
	struct quic_black_hole *hole = &conn->black_hole;
	ngtcp2_conn_info info;

	if (hole->cap) {
		if (len > hole->cap)
			try_sent(conn, stream, len);
		/* One that is full is no mere acknowledgement, which is not in flight. */
		hole->data_len += stream || len == hole->cap ? len : 0;
		return;
	}
	/* What is longer than the path's length is a probe of PMTUD, which is not counted as lost. */
	if (len <= QUIC_SHORT_LEN || len > path_len(conn) || conn->state != QUIC_CONN_OPEN)
		return;
	if (!hole->began_ns) {
		ngtcp2_conn_get_conn_info(conn->ngtcp2, &info);
		hole->began_ns = conn->engine->now_ns;
		hole->lost_len = info.bytes_lost;
	}
	hole->long_len += len;
	if (++hole->long_cnt == LONG_CNT_MIN)
		hole->enough_ns = conn->engine->now_ns;
}

/*
 * Bytes that are lost with the trial come again in short packets, and those may arrive. So an
 * acknowledgement counts if less was lost until then than the trial is long.
 */
void quic_black_hole_acked(struct quic_stream *stream)
{
	struct quic_black_hole *hole = &stream->conn->black_hole;
	ngtcp2_conn_info info;

	if (!hole->tried_ns || stream->id != hole->tried_id || stream->acked_len < hole->tried_end)
		return;
	ngtcp2_conn_get_conn_info(stream->conn->ngtcp2, &info);
	if (info.bytes_lost - hole->lost_len < hole->tried_len)
		hole->is_tried_acked = true;
}

/* --- what became of it --- */

/* Later trials are of the former length, once the pause is over. */
static void rest(struct quic_conn *conn)
{
	struct quic_black_hole *hole = &conn->black_hole;

	hole->is_stepping = false;
	hole->pause_ns = hole->pause_ns ? 2 * hole->pause_ns : PAUSE_NS_MIN;
	if (hole->pause_ns > PAUSE_NS_MAX)
		hole->pause_ns = PAUSE_NS_MAX;
	hole->try_ns = conn->engine->now_ns + hole->pause_ns;
	hole->try_len = path_len(conn);
}

static void try_passed(struct quic_conn *conn)
{
	struct quic_black_hole *hole = &conn->black_hole;

	hole->cap = hole->try_len;
	if (hole->cap >= path_len(conn))
		*hole = (struct quic_black_hole){.cap = 0};
	else
		rest(conn);
}

static void try_lost(struct quic_conn *conn)
{
	struct quic_black_hole *hole = &conn->black_hole;

	if (!hole->is_sure) {
		if (++hole->tried_cnt < TRIALS_MAX)
			return;
		conn->engine->stats.black_hole_cnt++;
		hole->is_sure = hole->is_stepping = true;
	}
	hole->try_len = hole->is_stepping ? step_below(hole->try_len) : 0;
	if (hole->try_len <= hole->cap)
		rest(conn);
}

/*
 * All others that were sent meanwhile are no longer than cap. So if the lost ones have more bytes
 * than that many, the long one is among them.
 */
static void try_judge(struct quic_conn *conn, const ngtcp2_conn_info *info)
{
	struct quic_black_hole *hole = &conn->black_hole;
	uint64_t len = info->bytes_lost - hole->lost_len, cnt = info->pkt_lost - hole->lost_cnt;

	if (!is_settled(conn, hole->tried_ns))
		return;
	hole->tried_ns = 0;
	if (len > cnt * hole->cap)
		try_lost(conn);
	else if (hole->is_tried_acked)
		try_passed(conn);
	/* Else nothing is known of it, and there is another one. */
}

/* More of the short ones and of what was in flight is gone than was lost: the peer has acknowledged some. */
static void answer_look(struct quic_conn *conn, const ngtcp2_conn_info *info)
{
	struct quic_black_hole *hole = &conn->black_hole;

	if (hole->data_len + hole->flight_len <=
	    info->bytes_in_flight + (info->bytes_lost - hole->lost_len))
		return;
	hole->is_answered = true;
	hole->answered_ns =
		conn->engine->now_ns; /* long ones in flight are lost once that is settled */
	hole->try_len = path_len(conn);
}

static bool has_arrived(const struct quic_black_hole *hole, const ngtcp2_conn_info *info)
{
	return hole->long_len > info->bytes_in_flight + (info->bytes_lost - hole->lost_len);
}

void quic_black_hole_look(struct quic_conn *conn)
{
	struct quic_black_hole *hole = &conn->black_hole;
	ngtcp2_conn_info info;

	if (!hole->cap && !hole->began_ns)
		return;
	ngtcp2_conn_get_conn_info(conn->ngtcp2, &info);
	if (!hole->cap) {
		if (has_arrived(hole, &info) || !info.bytes_in_flight)
			span_end(hole);
	} else if (!hole->is_answered) {
		answer_look(conn, &info);
	} else if (hole->tried_ns) {
		try_judge(conn, &info);
	}
}

/* --- time --- */

/* Without as many long packets there is nothing to see; the last of them has a round trip. */
static uint64_t doubt_ns(const struct quic_conn *conn)
{
	const struct quic_black_hole *hole = &conn->black_hole;
	ngtcp2_conn_info info;
	uint64_t span_ns;

	if (!hole->began_ns || hole->long_cnt < LONG_CNT_MIN)
		return UINT64_MAX;
	ngtcp2_conn_get_conn_info(conn->ngtcp2, &info);
	span_ns = SPAN_RTTS * info.smoothed_rtt;
	if (span_ns < SPAN_NS_MIN)
		span_ns = SPAN_NS_MIN;
	return hole->began_ns + span_ns > hole->enough_ns + span_ns / SPAN_RTTS
		       ? hole->began_ns + span_ns
		       : hole->enough_ns + span_ns / SPAN_RTTS;
}

uint64_t quic_black_hole_next_ns(const struct quic_conn *conn)
{
	const struct quic_black_hole *hole = &conn->black_hole;

	if (conn->state != QUIC_CONN_OPEN || conn->is_close_wanted)
		return UINT64_MAX;
	if (hole->cap)
		return hole->tried_ns ? hole->tried_ns + settling_ns(conn) : UINT64_MAX;
	return doubt_ns(conn);
}

static void shorten(struct quic_conn *conn)
{
	ngtcp2_conn_info info;

	ngtcp2_conn_get_conn_info(conn->ngtcp2, &info);
	conn->black_hole = (struct quic_black_hole){
		.cap = QUIC_SHORT_LEN,
		.flight_len = info.bytes_in_flight,
		.lost_len = info.bytes_lost,
	};
}

void quic_black_hole_doubt(struct quic_conn *conn)
{
	if (!conn->black_hole.cap && conn->black_hole.began_ns)
		shorten(conn);
}

int quic_black_hole_expire(struct quic_conn *conn)
{
	const struct quic_black_hole *hole = &conn->black_hole;

	if (conn->engine->now_ns < quic_black_hole_next_ns(conn))
		return 0;
	quic_black_hole_look(conn);
	if (hole->cap || !hole->began_ns)
		return 0;
	shorten(conn);
	return quic_probe_send(conn);
}

size_t quic_black_hole_path_len(const struct quic_conn *conn)
{
	const struct quic_black_hole *hole = &conn->black_hole;
	size_t len = path_len(conn);

	return hole->cap && hole->cap < len ? hole->cap : len;
}
