/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shares of the connection table and of the handshakes (base/fair/fair.h), by the rules of
 * quic/limits/quic_share.c. TCP itself proves an address, so every handshake is one of a proven
 * address. When all places are taken, the address that holds most loses its oldest handshake.
 * 10,000 connections from one network that say nothing cost others no place.
 */
#include "tcp/tcp_state.h"

#include <string.h>

#include "base/monotonic.h"
#include "base/random.h"

#define HANDSHAKE_BUSY_NS (3 * NS_PER_S)
#define UNKNOWN_BUSY_NS	  (10 * NS_PER_S)
/* A smaller table has no floors: a part of it would be no connection. */
#define DIVISIBLE_CNT 16
/* No more idle unknown peers go than leave a tenth free: a crowd sent away comes back as one. */
#define ROOMY_DIVISOR 10
#define ROOMY_NS      NS_PER_S

static struct fair_config conns_config(const struct tcp_config *config)
{
	struct fair_config fair = {
		.name = "tcp.conn_cap",
		.busy_ns = UNKNOWN_BUSY_NS,
		.cap_cnt = config->conn_cap,
		.kind = FAIR_LASTING,
		.level_cnt = FAIR_PEER_LEVELS,
		.spares_acquainted = true,
	};
	static const uint8_t parts[FAIR_CLASS_CNT] = FAIR_PEER_PARTS;

	if (config->conn_cap >= DIVISIBLE_CNT)
		memcpy(fair.parts, parts, sizeof(parts));
	return fair;
}

int tcp_share_init(struct tcp_engine *engine, struct random *random)
{
	const struct fair_config conns = conns_config(&engine->config);
	const struct fair_config handshakes = {
		.name = "handshakes on TCP",
		.busy_ns = HANDSHAKE_BUSY_NS,
		.cap_cnt = engine->config.handshake_cap,
		.kind = FAIR_WORK,
		.level_cnt = FAIR_PEER_LEVELS - 1,
	};
	uint64_t secret[2];
	int err;

	engine->share_next_ns = UINT64_MAX;
	engine->share_paths.site = engine->config.site;
	random_fill(random, engine->share_paths.secret, sizeof(engine->share_paths.secret));
	random_fill(random, secret, sizeof(secret));
	err = fair_init(&engine->conn_shares, &engine->arena, &conns, secret);
	return err < 0 ? err
		       : fair_init(&engine->handshake_shares, &engine->arena, &handshakes, secret);
}

static struct tcp_conn *conn_of_share(struct fair_item *item)
{
	return container_of(item, struct tcp_conn, share);
}

static void conn_path(const struct tcp_conn *conn, struct fair_path *out_path)
{
	const struct fair_paths *paths = &conn->engine->share_paths;

	fair_path_of_addr(paths, &conn->remote, conn->class, out_path);
	fair_path_add(paths, out_path, conn->peer_key, sizeof(conn->peer_key));
}

static void note_refused(struct tcp_conn *conn, const char *pool, uint32_t wait_ms)
{
	const struct load_who who = {.addr = &conn->remote,
				     .key = conn->has_actual_key ? conn->peer_key : NULL};

	load_refuse(conn->engine->load, &who, pool, wait_ms, conn->engine->now_ns);
}

void tcp_share_charge(struct tcp_conn *conn, uint32_t price)
{
	const struct load_who who = {.addr = &conn->remote,
				     .key = conn->has_actual_key ? conn->peer_key : NULL};

	if (conn->engine->load && !conn->is_dialler)
		load_charge(conn->engine->load, &who, price, conn->engine->now_ns);
}

void tcp_share_refuse(struct tcp_conn *conn)
{
	struct tcp_engine *engine = conn->engine;
	struct fair_path path;

	conn_path(conn, &path);
	conn->close_not_before_ms = fair_not_before_ms(&engine->conn_shares, &path, engine->now_ns);
	note_refused(conn, engine->conn_shares.config.name, conn->close_not_before_ms);
	tcp_conn_refuse(conn, TCP_CODE_REFUSED, "busy");
}

bool tcp_share_take(struct tcp_conn *conn)
{
	struct tcp_engine *engine = conn->engine;
	struct fair_item *victim;
	struct fair_path path;

	conn_path(conn, &path);
	switch (fair_take(&engine->conn_shares, &path, &conn->share, engine->now_ns, &victim)) {
	case FAIR_BUSY:
		engine->share_next_ns = engine->now_ns;
		engine->stats.refused_full_cnt++;
		return false;
	case FAIR_TAKEN_FROM:
		engine->share_next_ns = engine->now_ns;
		tcp_share_refuse(conn_of_share(victim));
		/*
		 * Its speaker learns of the end before it learns of the
		 * newcomer; a dial is the speaker's own call.
		 */
		if (!conn->is_dialler)
			tcp_conn_finish(conn_of_share(victim));
		break;
	case FAIR_TAKEN:
		break;
	}
	if (engine->conn_shares.held_cnt > engine->stats.conn_peak_cnt)
		engine->stats.conn_peak_cnt = engine->conn_shares.held_cnt;
	return true;
}

static void handshake_end(struct fair_item *item)
{
	const struct transport_close room = {.err = WEFT_EREFUSED};
	struct tcp_conn *conn = conn_of_share(item);

	conn->engine->stats.evicted_handshake_cnt++;
	note_refused(conn, conn->engine->handshake_shares.config.name, 0);
	tcp_conn_shut(conn, &room, false);
}

bool tcp_share_take_handshake(struct tcp_conn *conn)
{
	struct tcp_engine *engine = conn->engine;
	struct fair_item *victim;
	struct fair_path path;

	fair_path_of_addr(&engine->share_paths, &conn->remote, conn->class, &path);
	switch (fair_take(&engine->handshake_shares, &path, &conn->share, engine->now_ns,
			  &victim)) {
	case FAIR_BUSY:
		note_refused(conn, engine->handshake_shares.config.name, 0);
		return false;
	case FAIR_TAKEN_FROM:
		engine->share_next_ns = engine->now_ns;
		handshake_end(victim);
		break;
	case FAIR_TAKEN:
		break;
	}
	return true;
}

void tcp_share_release(struct tcp_conn *conn)
{
	struct tcp_engine *engine = conn->engine;

	fair_release(conn->is_shaking ? &engine->handshake_shares : &engine->conn_shares,
		     &conn->share, engine->now_ns);
}

void tcp_share_progress(struct tcp_conn *conn, size_t len)
{
	if (!conn->is_shaking)
		fair_progress(&conn->engine->conn_shares, &conn->share, (uint32_t)len,
			      conn->engine->now_ns);
}

static bool conns_are_roomy(const struct tcp_engine *engine)
{
	uint32_t cap = engine->config.conn_cap;

	return engine->conn_shares.held_cnt <= cap - cap / ROOMY_DIVISOR - 1;
}

void tcp_share_expire(struct tcp_engine *engine)
{
	struct fair_item *item;
	uint64_t conns_ns = 0, handshakes_ns = 0;

	if (engine->share_next_ns > engine->now_ns)
		return;
	while ((item = fair_overdue(&engine->conn_shares, engine->now_ns, &conns_ns)) &&
	       !conns_are_roomy(engine)) {
		fair_release(&engine->conn_shares, item, engine->now_ns);
		tcp_share_refuse(conn_of_share(item));
	}
	if (item)
		conns_ns = engine->now_ns + ROOMY_NS;
	while ((item = fair_overdue(&engine->handshake_shares, engine->now_ns, &handshakes_ns)))
		handshake_end(item);
	engine->share_next_ns = conns_ns < handshakes_ns ? conns_ns : handshakes_ns;
}

static void conn_review(struct tcp_conn *conn)
{
	enum fair_class class = tcp_conn_class(conn);
	struct fair_path path;

	if (class == conn->class || !fair_item_holds(&conn->share))
		return;
	conn->class = class;
	conn_path(conn, &path);
	fair_move(&conn->engine->conn_shares, &conn->share, &path, conn->engine->now_ns);
}

void tcp_engine_review(struct tcp_engine *engine)
{
	struct tcp_conn *conn = NULL;

	while ((conn = pool_next(&engine->conns, conn)))
		if (conn->state == TCP_CONN_OPEN && !conn->is_shaking)
			conn_review(conn);
}

/* Where the account of fair is that pays next. */
static struct addr share_largest(const struct fair *fair)
{
	const struct fair_item *item = fair_largest(fair);

	return item ? container_of(item, const struct tcp_conn, share)->remote
		    : (struct addr){.family = ADDR_NONE};
}

void tcp_share_stats(const struct tcp_engine *engine, struct tcp_stats *out_stats)
{
	struct fair_view view;

	fair_read(&engine->conn_shares, &view);
	out_stats->conns = view;
	fair_read(&engine->handshake_shares, &out_stats->handshakes);
	out_stats->conns_largest = share_largest(&engine->conn_shares);
	out_stats->handshakes_largest = share_largest(&engine->handshake_shares);
	out_stats->conn_cnt = view.held_cnt;
	out_stats->handshake_cnt = out_stats->handshakes.held_cnt;
	out_stats->unknown_cnt = view.held_cnts[FAIR_UNKNOWN];
	out_stats->known_cnt = view.held_cnts[FAIR_KNOWN];
	out_stats->useful_cnt = view.held_cnts[FAIR_USEFUL];
	out_stats->chosen_cnt = view.held_cnts[FAIR_CHOSEN];
	out_stats->evicted_unknown_cnt = view.evicted_cnts[FAIR_UNKNOWN];
	out_stats->evicted_known_cnt = view.evicted_cnts[FAIR_KNOWN];
	out_stats->evicted_useful_cnt = view.evicted_cnts[FAIR_USEFUL];
	out_stats->evicted_chosen_cnt = view.evicted_cnts[FAIR_CHOSEN];
	out_stats->overdue_cnt = view.overdue_cnt;
}
