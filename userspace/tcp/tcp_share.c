/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Places of connections and of handshakes, by base/fair/fair_conns.h. TCP itself proves an
 * address, so every handshake is one of a proven address. 10,000 connections from one network
 * that say nothing cost others no place.
 */
#include "tcp/tcp_state.h"

static struct tcp_conn *conn_of_share(const struct fair_item *item)
{
	return container_of((struct fair_item *)item, struct tcp_conn, share);
}

static struct fair_conn share_conn(const struct fair_item *item)
{
	const struct tcp_conn *conn = conn_of_share(item);

	return (struct fair_conn){.remote = &conn->remote,
				  .key = conn->peer_key,
				  .has_proven_key = conn->has_actual_key,
				  .is_dialler = conn->is_dialler,
				  .is_shaking = conn->is_shaking,
				  .class = conn->class};
}

static void share_send_away(struct fair_item *item, uint32_t wait_ms, bool is_at_once)
{
	struct tcp_conn *conn = conn_of_share(item);

	conn->close_not_before_ms = wait_ms;
	tcp_conn_refuse(conn, TCP_CODE_REFUSED, "busy");
	if (is_at_once)
		tcp_conn_finish(conn);
}

static void share_end_handshake(struct fair_item *item)
{
	const struct transport_close room = {.err = WEFT_EREFUSED};

	tcp_conn_shut(conn_of_share(item), &room, false);
}

static const struct fair_conns_ops share_ops = {share_conn, share_send_away, share_end_handshake};

int tcp_share_init(struct tcp_engine *engine, struct random *random)
{
	const struct fair_conns_config config = {.open_name = "tcp.conn_cap",
						 .handshake_name = "handshakes on TCP",
						 .open_cap = engine->config.conn_cap,
						 .handshake_cap = engine->config.handshake_cap,
						 .site = engine->config.site};

	engine->shares.ops = &share_ops;
	return fair_conns_init(&engine->shares, &engine->arena, &config, random);
}

void tcp_share_charge(struct tcp_conn *conn, uint32_t price)
{
	fair_conns_charge(&conn->engine->shares, &conn->share, price, conn->engine->now_ns);
}

void tcp_share_release(struct tcp_conn *conn)
{
	fair_conns_release(&conn->engine->shares, &conn->share, conn->engine->now_ns);
}

void tcp_engine_review(struct tcp_engine *engine)
{
	struct tcp_conn *conn = NULL;
	enum fair_class class;

	while ((conn = pool_next(&engine->conns, conn))) {
		if (conn->state != TCP_CONN_OPEN || conn->is_shaking ||
		    !fair_item_holds(&conn->share))
			continue;
		class = tcp_conn_class(conn);
		if (class == conn->class)
			continue;
		conn->class = class;
		fair_conns_reclass(&engine->shares, &conn->share, engine->now_ns);
	}
}

void tcp_share_stats(const struct tcp_engine *engine, struct tcp_stats *out_stats)
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
	out_stats->handshake_cnt = out_stats->handshakes.held_cnt;
	out_stats->unknown_cnt = conns->held_cnts[FAIR_UNKNOWN];
	out_stats->known_cnt = conns->held_cnts[FAIR_KNOWN];
	out_stats->useful_cnt = conns->held_cnts[FAIR_USEFUL];
	out_stats->chosen_cnt = conns->held_cnts[FAIR_CHOSEN];
	out_stats->evicted_unknown_cnt = conns->evicted_cnts[FAIR_UNKNOWN];
	out_stats->evicted_known_cnt = conns->evicted_cnts[FAIR_KNOWN];
	out_stats->evicted_useful_cnt = conns->evicted_cnts[FAIR_USEFUL];
	out_stats->evicted_chosen_cnt = conns->evicted_cnts[FAIR_CHOSEN];
	out_stats->overdue_cnt = conns->overdue_cnt;
}
