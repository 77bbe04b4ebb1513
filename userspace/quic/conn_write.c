/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets out: ngtcp2 encrypts straight into the sink's slot. It makes
 * as many packets of one size as pacing, congestion and the slot allow,
 * so one segmentation offload call sends them all. Streams share one
 * when they have little to say.
 */
#include "quic/engine.h"

#include "base/monotonic.h"

#define BURST_NS NS_PER_MS
/* Four batches of 64 KiB: more gained nothing (bench/quic, 2026-11). */
#define BURST_LEN_MAX  (256u << 10)
#define CACHE_LINE_LEN 64

/* An ngtcp2 verdict that concerns one stream; the packet goes on with the next. */
static bool is_stream_verdict(ngtcp2_ssize rv)
{
	return rv == NGTCP2_ERR_STREAM_DATA_BLOCKED || rv == NGTCP2_ERR_STREAM_SHUT_WR ||
	       rv == NGTCP2_ERR_STREAM_NOT_FOUND;
}

/* Whether a stream has enough for a packet of its own. */
static bool fills_packet(const ngtcp2_vec *vecs, unsigned cnt, size_t packet_len)
{
	size_t len = 0;

	for (unsigned i = 0; i < cnt && len < packet_len; i++)
		len += vecs[i].len;
	return len >= packet_len;
}

/*
 * The bytes of the next packet are fetched while this one is made: by a
 * stream's turn they have left the nearest caches.
 */
static void prefetch_next(const ngtcp2_vec *vec, size_t packet_len)
{
	for (size_t off = packet_len; off < 2 * packet_len && off < vec->len; off += CACHE_LINE_LEN)
		__builtin_prefetch(vec->base + off);
}

static struct quic_stream *stream_at_its_end(struct list_node *list)
{
	for (struct list_node *at = list->next; at != list; at = at->next) {
		struct quic_stream *stream = container_of(at, struct quic_stream, send_link);

		if (stream->sent_idx == stream->span_cnt)
			return stream;
	}
	return NULL;
}

/* The stream that has the turn; without credit of the connection only an end of a stream may go. */
static struct quic_stream *stream_next(struct quic_conn *conn)
{
	struct quic_stream *stream;

	if (conn->state != QUIC_CONN_OPEN)
		return NULL;
	if (ngtcp2_conn_get_max_data_left(conn->ngtcp2))
		return quic_stream_next(conn);
	stream = stream_at_its_end(&conn->starting);
	return stream ? stream : stream_at_its_end(&conn->sending);
}

/*
 * A packet of another path than that in use, which is validated, ends the batch. ngtcp2 goes on where it
 * is as long as the path's packets, and all that follow would go by that other path.
 */
static ngtcp2_ssize write_packet(ngtcp2_conn *ngtcp2, ngtcp2_path *path, ngtcp2_pkt_info *info,
				 uint8_t *dst, size_t cap, ngtcp2_tstamp now_ns, void *user)
{
	struct quic_conn *conn = user;
	ngtcp2_vec vecs[TRANSPORT_SPANS_MAX];
	struct quic_stream *stream, *carried = NULL;
	ngtcp2_ssize taken, rv;
	bool is_sized = false;
	unsigned vec_cnt;
	uint32_t flags;

	while (!conn->is_batch_over) {
		stream = stream_next(conn);
		vec_cnt = stream ? quic_stream_unsent(stream, vecs) : 0;
		if (!is_sized)
			cap = quic_black_hole_len(conn, cap, vecs, vec_cnt);
		is_sized = true; /* a packet that is left open keeps its length */
		flags = NGTCP2_WRITE_STREAM_FLAG_NONE;
		/* A packet left open for others takes a second call to close. */
		if (stream && !fills_packet(vecs, vec_cnt, cap))
			flags |= NGTCP2_WRITE_STREAM_FLAG_MORE;
		if (stream && stream->is_fin_wanted)
			flags |= NGTCP2_WRITE_STREAM_FLAG_FIN;
		if (vec_cnt)
			prefetch_next(vecs, cap);
		taken = -1;
		rv = ngtcp2_conn_writev_stream(ngtcp2, path, info, dst, cap, &taken, flags,
					       stream ? stream->id : -1, vecs, vec_cnt, now_ns);
		if (stream && taken >= 0) {
			quic_stream_sent(stream, (size_t)taken);
			carried = stream;
		}
		if (rv == NGTCP2_ERR_WRITE_MORE)
			continue;
		if (!stream || !is_stream_verdict(rv)) {
			conn->is_data_written = carried != NULL;
			if (rv > 0)
				quic_black_hole_wrote(conn, carried, (size_t)rv);
			conn->is_batch_over =
				rv > 0 && !ngtcp2_path_eq(path, ngtcp2_conn_get_path(ngtcp2));
			return rv;
		}
		stream->is_shut = stream->is_shut || rv != NGTCP2_ERR_STREAM_DATA_BLOCKED;
		quic_stream_stop_write(stream);
	}
	return 0;
}

/*
 * A batch while packets are shorter than ngtcp2 takes the path for. It would end its own after each. Packets
 * that validate a path, perhaps another one, come before those with bytes of streams: each is a batch.
 */
static ngtcp2_ssize write_short(struct quic_conn *conn, ngtcp2_path *path, ngtcp2_pkt_info *info,
				const struct dgram_slot *slot, size_t *out_segment_len)
{
	const uint64_t now_ns = quic_conn_clock_ns(conn);
	size_t len = 0, cap = conn->black_hole.cap;
	ngtcp2_pkt_info other_info;
	ngtcp2_path_storage other;
	ngtcp2_ssize rv;

	conn->black_hole.is_batch_new = true;
	rv = write_packet(conn->ngtcp2, path, info, slot->data, slot->cap, now_ns, conn);
	conn->black_hole.is_batch_new = false;
	ngtcp2_path_storage_zero(&other);
	while (rv > 0) {
		if (!len)
			*out_segment_len = (size_t)rv;
		len += (size_t)rv;
		if ((size_t)rv != cap || conn->is_batch_over || !conn->is_data_written ||
		    slot->cap - len < cap)
			break;
		rv = write_packet(conn->ngtcp2, &other.path, &other_info, slot->data + len, cap,
				  now_ns, conn);
		if (rv > 0 && !ngtcp2_path_eq(&other.path, path))
			break;
	}
	return rv < 0 ? rv : (ngtcp2_ssize)len;
}

/*
 * How much room to ask for: a batch for a connection with data, else what
 * the largest single packet (a PMTUD probe) may need.
 */
static size_t batch_len(const struct quic_conn *conn)
{
	const struct quic_engine *engine = conn->engine;
	size_t len = engine->dgram_len_max;
	bool has_data = !list_is_empty(&conn->starting) || !list_is_empty(&conn->sending);

	if (has_data && ngtcp2_conn_get_send_quantum(conn->ngtcp2) > len)
		len = ngtcp2_conn_get_send_quantum(conn->ngtcp2);
	if (addr_is_relayed(&conn->remote) && len > QUIC_RELAYED_BATCH_LEN)
		len = QUIC_RELAYED_BATCH_LEN;
	return len < engine->sink->batch_len_max ? len : engine->sink->batch_len_max;
}

static void conn_count_packets(struct quic_conn *conn, size_t len, size_t segment_len)
{
	struct quic_engine *engine = conn->engine;

	conn->packets_since_keys += (len + segment_len - 1) / segment_len;
	if (conn->packets_since_keys < engine->key_update_after_cnt)
		return;
	/* Refused until the peer has confirmed the last change; then the next batch asks again. */
	if (ngtcp2_conn_initiate_key_update(conn->ngtcp2, quic_conn_clock_ns(conn)) == 0)
		conn->packets_since_keys = 0;
}

/*
 * How much may leave before the pace is kept again. It is the volume that
 * the path carries in a millisecond, as Linux' TCP has it
 * (sk_pacing_shift). ngtcp2's own batch for any path is the lower bound.
 * A fast sender so takes several acknowledgements at a time, and looks
 * for them once per burst and not once per batch.
 */
static uint64_t burst_len(const struct quic_conn *conn)
{
	ngtcp2_conn_info info;
	uint64_t len;

	ngtcp2_conn_get_conn_info(conn->ngtcp2, &info);
	len = info.smoothed_rtt ? info.cwnd * BURST_NS / info.smoothed_rtt : 0;
	return len < BURST_LEN_MAX ? len : BURST_LEN_MAX;
}

static void conn_pace(struct quic_conn *conn, size_t sent_len)
{
	conn->burst_sent_len += sent_len;
	if (sent_len && conn->burst_sent_len < burst_len(conn))
		return;
	conn->burst_sent_len = 0;
	ngtcp2_conn_update_pkt_tx_time(conn->ngtcp2, quic_conn_clock_ns(conn));
}

bool quic_conn_is_mute(const struct quic_conn *conn)
{
	return conn->unheard_max && !conn->has_heard && conn->unheard_cnt >= conn->unheard_max;
}

enum quic_written quic_conn_write(struct quic_conn *conn)
{
	struct quic_engine *engine = conn->engine;
	struct dgram_sink *sink = engine->sink;
	size_t want = batch_len(conn), segment_len = 0;
	ngtcp2_pkt_info info = {0};
	struct dgram_route route = {0};
	ngtcp2_path_storage path;
	struct dgram_slot slot, room;
	ngtcp2_ssize len;

	if (quic_conn_is_mute(conn)) {
		timer_set(&engine->wheel, &conn->timer, conn->unheard_ns + QUIC_MUTE_WAIT_NS);
		return QUIC_WRITTEN_QUIET;
	}
	if (!sink->ops->reserve(sink, want, &slot))
		return QUIC_WRITTEN_FULL;
	ngtcp2_path_storage_zero(&path);
	conn->is_batch_over = false;
	room = slot;
	room.cap = want;
	len = conn->black_hole.cap
		      ? write_short(conn, &path.path, &info, &room, &segment_len)
		      : ngtcp2_conn_write_aggregate_pkt2(conn->ngtcp2, &path.path, &info, slot.data,
							 want, &segment_len, write_packet, 0,
							 quic_conn_clock_ns(conn));
	quic_black_hole_look(conn);
	/* A PING goes by the path in use. */
	if (conn->is_pinging && !conn->is_batch_over)
		quic_probe_was_sent(conn);
	if (len <= 0) {
		sink->ops->cancel(sink, &slot);
		if (len < 0) {
			quic_conn_shut(conn, (int)len);
			return QUIC_WRITTEN_GONE;
		}
		conn_pace(conn, 0);
		quic_conn_rearm(conn);
		return QUIC_WRITTEN_QUIET;
	}
	conn_pace(conn, (size_t)len);
	quic_probe_note_flight(conn, true);
	quic_path_addr(&path.path.remote, &route.remote);
	if (conn->is_local_known) {
		quic_path_addr(&path.path.local, &route.local);
		quic_alias_out(conn, &route.local);
	}
	route.segment_len = (size_t)len > segment_len ? segment_len : 0;
	route.ecn = info.ecn;
	sink->ops->commit(sink, &slot, (size_t)len, &route);
	conn->unheard_cnt += !conn->has_heard;
	conn->unheard_ns = engine->now_ns;
	conn_count_packets(conn, (size_t)len, segment_len);
	return QUIC_WRITTEN;
}
