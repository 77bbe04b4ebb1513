/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Places of connections and of handshakes of proven addresses, by base/fair/fair_conns.h.
 * Unproven handshakes are quic_limits.c's. A connection that makes room has a token, so it is
 * back in a round trip when there is room.
 */
#include "quic/engine.h"

#include "base/container_of.h"

static struct quic_conn *conn_of_share(const struct fair_item *item)
{
	return container_of((struct fair_item *)item, struct quic_conn, share);
}

static struct fair_conn share_conn(const struct fair_item *item)
{
	const struct quic_conn *conn = conn_of_share(item);

	return (struct fair_conn){.remote = &conn->remote,
				  .key = conn->peer_key,
				  .has_proven_key = conn->has_actual_key,
				  .is_dialler = conn->is_dialler,
				  .is_shaking = conn->is_shaking,
				  .class = conn->class};
}

/* The next flush ends it, unless it ends at once. */
static void share_send_away(struct fair_item *item, uint32_t wait_ms, bool is_at_once)
{
	struct quic_conn *conn = conn_of_share(item);

	quic_conn_refuse(conn, QUIC_CLOSE_BUSY | wait_ms, "busy");
	quic_conn_want_write(conn);
	if (is_at_once)
		quic_conn_shut(conn, 0);
}

static void share_end_handshake(struct fair_item *item)
{
	struct quic_conn *conn = conn_of_share(item);

	quic_conn_refuse(conn, QUIC_CLOSE_REFUSED, "handshakes make room");
	quic_conn_shut(conn, 0);
}

static const struct fair_conns_ops share_ops = {share_conn, share_send_away, share_end_handshake};

int quic_share_init(struct quic_engine *engine, uint32_t handshake_cap)
{
	const struct fair_conns_config config = {.open_name = "quic.conn_cap",
						 .handshake_name = "handshakes with a token",
						 .open_cap = engine->config.conn_cap,
						 .handshake_cap = handshake_cap,
						 .site = engine->config.site};

	engine->shares.ops = &share_ops;
	return fair_conns_init(&engine->shares, &engine->arena, &config, engine->random);
}

void quic_share_charge(struct quic_conn *conn)
{
	/*
	 * The hello of a connection that showed a token was charged when it
	 * came (engine_start).
	 */
	uint32_t price = LOAD_PRICE_FINISHED +
			 (conn->half_open_place == QUIC_HALF_OPEN_NONE ? 0 : LOAD_PRICE_HELLO);

	fair_conns_charge(&conn->engine->shares, &conn->share, price, conn->engine->now_ns);
}

void quic_share_release(struct quic_conn *conn)
{
	fair_conns_release(&conn->engine->shares, &conn->share, conn->engine->now_ns);
}

void quic_engine_review(struct quic_engine *engine)
{
	struct quic_conn *conn = NULL;
	enum fair_class class;

	while ((conn = pool_next(&engine->conns, conn))) {
		if (conn->state != QUIC_CONN_OPEN || !fair_item_holds(&conn->share))
			continue;
		class = quic_conn_class(conn);
		if (class == conn->class)
			continue;
		conn->class = class;
		fair_conns_reclass(&engine->shares, &conn->share, engine->now_ns);
	}
}

void quic_share_stats(const struct quic_engine *engine, struct quic_stats *out_stats)
{
	const struct fair_conns *shares = &engine->shares;
	struct fair_view *conns = &out_stats->conns;

	fair_read(&shares->open, conns);
	fair_read(&shares->handshakes, &out_stats->handshakes);
	out_stats->conns_largest = fair_conns_largest(shares, &shares->open);
	out_stats->handshakes_largest = fair_conns_largest(shares, &shares->handshakes);
	out_stats->refused_full_cnt += shares->refused_cnt;
	out_stats->evicted_handshake_cnt = shares->evicted_handshake_cnt;
	out_stats->conn_cnt = conns->held_cnt;
	out_stats->conn_peak_cnt = shares->peak_cnt;
	out_stats->unknown_cnt = conns->held_cnts[FAIR_UNKNOWN];
	out_stats->known_cnt = conns->held_cnts[FAIR_KNOWN];
	out_stats->useful_cnt = conns->held_cnts[FAIR_USEFUL];
	out_stats->chosen_cnt = conns->held_cnts[FAIR_CHOSEN];
	out_stats->evicted_unknown_cnt = conns->evicted_cnts[FAIR_UNKNOWN];
	out_stats->evicted_known_cnt = conns->evicted_cnts[FAIR_KNOWN];
	out_stats->evicted_useful_cnt = conns->evicted_cnts[FAIR_USEFUL];
	out_stats->evicted_chosen_cnt = conns->evicted_cnts[FAIR_CHOSEN];
	out_stats->overdue_cnt = conns->overdue_cnt;
	out_stats->validated_cnt = shares->handshakes.held_cnt;
	out_stats->validated_cap = shares->handshakes.config.cap_cnt;
}
