/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shares of the connection table and of the handshakes of proven addresses
 * (base/fair/fair.h). Unproven handshakes are quic_limits.c's.
 *
 * Connections are standing slots of a key at an address. Any peer may fill an idle
 * table. When it is full, a newcomer of a branch that holds less gets the place of
 * the branch that holds most. That branch's connection is closed with the time to
 * come back and a token for the way. So it is back in a round trip when there is
 * room. While the table is busy, unvalidated sources whose connection carries
 * nothing for 10 s make room before they are asked to. A connection that a person
 * or a program of this node asked for is chosen; other dials have the class of
 * their key.
 *
 * A handshake is work of an address: when all places are taken the one that
 * began first goes, of the address that holds most.
 */
#include "quic/engine.h"

#include <string.h>

#include "base/container_of.h"
#include "base/monotonic.h"

#define HANDSHAKE_BUSY_NS   (3 * NS_PER_S)
#define UNVALIDATED_BUSY_NS (10 * NS_PER_S)
/* A smaller table has no floors: a part of it would be no connection. */
#define DIVISIBLE_CNT 16
/*
 * No more idle unvalidated sources go than leave a tenth free: a crowd sent
 * away comes back as one.
 */
#define ROOMY_DIVISOR 10
#define ROOMY_NS      NS_PER_S

static struct fair_config conns_config(const struct quic_config *config)
{
	struct fair_config fair = {
		.name = "quic.conn_cap",
		.busy_ns = UNVALIDATED_BUSY_NS,
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

static struct fair_config handshakes_config(uint32_t cap_cnt)
{
	return (struct fair_config){
		.name = "handshakes with a token",
		.busy_ns = HANDSHAKE_BUSY_NS,
		.cap_cnt = cap_cnt,
		.kind = FAIR_WORK,
		.level_cnt = FAIR_PEER_LEVELS - 1,
	};
}

int quic_share_init(struct quic_engine *engine, uint32_t handshake_cap)
{
	const struct fair_config conns = conns_config(&engine->config);
	const struct fair_config handshakes = handshakes_config(handshake_cap);
	uint64_t secret[2];
	int err;

	engine->share_paths.site = engine->config.site;
	random_fill(engine->random, engine->share_paths.secret, sizeof(engine->share_paths.secret));
	random_fill(engine->random, secret, sizeof(secret));
	err = fair_init(&engine->conn_shares, &engine->arena, &conns, secret);
	return err < 0 ? err
		       : fair_init(&engine->handshake_shares, &engine->arena, &handshakes, secret);
}

static struct quic_conn *conn_of_share(struct fair_item *item)
{
	return container_of(item, struct quic_conn, share);
}

static void conn_path(const struct quic_conn *conn, struct fair_path *out_path)
{
	const struct fair_paths *paths = &conn->engine->share_paths;

	fair_path_of_addr(paths, &conn->remote, conn->class, out_path);
	fair_path_add(paths, out_path, conn->peer_key, sizeof(conn->peer_key));
}

void quic_share_note_refused(struct quic_conn *conn, const char *pool, uint32_t wait_ms)
{
	const struct load_who who = {.addr = &conn->remote,
				     .key = conn->has_actual_key ? conn->peer_key : NULL};

	load_refuse(conn->engine->load, &who, pool, wait_ms, conn->engine->now_ns);
}

void quic_share_charge(struct quic_conn *conn)
{
	const struct load_who who = {.addr = &conn->remote, .key = conn->peer_key};
	struct quic_engine *engine = conn->engine;

	/*
	 * The hello of a connection that showed a token was charged when it
	 * came (engine_start).
	 */
	uint32_t price = LOAD_PRICE_FINISHED +
			 (conn->half_open_place == QUIC_HALF_OPEN_NONE ? 0 : LOAD_PRICE_HELLO);

	if (engine->load && !conn->is_dialler)
		load_charge(engine->load, &who, price, engine->now_ns);
}

/* The next flush ends it. */
static void conn_send_away(struct quic_conn *conn)
{
	struct quic_engine *engine = conn->engine;
	struct fair_path path;
	uint32_t wait_ms;

	conn_path(conn, &path);
	wait_ms = fair_not_before_ms(&engine->conn_shares, &path, engine->now_ns);
	quic_share_note_refused(conn, engine->conn_shares.config.name, wait_ms);
	quic_conn_refuse(conn, QUIC_CLOSE_BUSY | wait_ms, "busy");
	quic_conn_want_write(conn);
}

bool quic_share_take(struct quic_conn *conn)
{
	struct quic_engine *engine = conn->engine;
	struct fair_item *victim;
	struct fair_path path;
	uint32_t held_cnt;

	conn_path(conn, &path);
	switch (fair_take(&engine->conn_shares, &path, &conn->share, engine->now_ns, &victim)) {
	case FAIR_BUSY:
		engine->share_next_ns = engine->now_ns;
		engine->stats.refused_full_cnt++;
		return false;
	case FAIR_TAKEN_FROM:
		engine->share_next_ns = engine->now_ns;
		conn_send_away(conn_of_share(victim));
		/*
		 * Its speaker has tables as large as this one, so it learns of the
		 * end before it learns of the newcomer. A dial is the speaker's
		 * own call, in which no event is raised.
		 */
		if (!conn->is_dialler)
			quic_conn_shut(conn_of_share(victim), 0);
		break;
	case FAIR_TAKEN:
		break;
	}
	held_cnt = engine->conn_shares.held_cnt;
	if (held_cnt > engine->stats.conn_peak_cnt)
		engine->stats.conn_peak_cnt = held_cnt;
	return true;
}

void quic_share_refuse(struct quic_conn *conn)
{
	conn_send_away(conn);
}

static void handshake_end(struct fair_item *item)
{
	struct quic_conn *conn = conn_of_share(item);

	conn->engine->stats.evicted_handshake_cnt++;
	quic_share_note_refused(conn, conn->engine->handshake_shares.config.name, 0);
	quic_conn_refuse(conn, QUIC_CLOSE_REFUSED, "handshakes make room");
	quic_conn_shut(conn, 0);
}

bool quic_share_take_handshake(struct quic_conn *conn)
{
	struct quic_engine *engine = conn->engine;
	struct fair_item *victim;
	struct fair_path path;

	fair_path_of_addr(&engine->share_paths, &conn->remote, conn->class, &path);
	switch (fair_take(&engine->handshake_shares, &path, &conn->share, engine->now_ns,
			  &victim)) {
	case FAIR_BUSY:
		quic_share_note_refused(conn, engine->handshake_shares.config.name, 0);
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

void quic_share_release(struct quic_conn *conn)
{
	struct quic_engine *engine = conn->engine;

	fair_release(conn->is_shaking ? &engine->handshake_shares : &engine->conn_shares,
		     &conn->share, engine->now_ns);
}

void quic_share_progress(struct quic_conn *conn, size_t len)
{
	if (!conn->is_shaking)
		fair_progress(&conn->engine->conn_shares, &conn->share,
			      len < FAIR_WHOLE ? (uint32_t)len : FAIR_WHOLE, conn->engine->now_ns);
}

static bool conns_are_roomy(const struct quic_engine *engine)
{
	uint32_t cap = engine->config.conn_cap;

	return engine->conn_shares.held_cnt <= cap - cap / ROOMY_DIVISOR - 1;
}

void quic_share_expire(struct quic_engine *engine)
{
	struct fair_item *item;
	uint64_t conns_ns = 0, handshakes_ns = 0;

	if (engine->share_next_ns > engine->now_ns)
		return;
	while ((item = fair_overdue(&engine->conn_shares, engine->now_ns, &conns_ns)) &&
	       !conns_are_roomy(engine)) {
		fair_release(&engine->conn_shares, item, engine->now_ns);
		conn_send_away(conn_of_share(item));
	}
	if (item)
		conns_ns = engine->now_ns + ROOMY_NS;
	while ((item = fair_overdue(&engine->handshake_shares, engine->now_ns, &handshakes_ns)))
		handshake_end(item);
	engine->share_next_ns = conns_ns < handshakes_ns ? conns_ns : handshakes_ns;
}

static void conn_review(struct quic_conn *conn)
{
	enum fair_class class = quic_conn_class(conn);
	struct fair_path path;

	if (class == conn->class || !fair_item_holds(&conn->share))
		return;
	conn->class = class;
	conn_path(conn, &path);
	fair_move(&conn->engine->conn_shares, &conn->share, &path, conn->engine->now_ns);
}

void quic_engine_review(struct quic_engine *engine)
{
	struct quic_conn *conn = NULL;

	while ((conn = pool_next(&engine->conns, conn)))
		if (conn->state == QUIC_CONN_OPEN)
			conn_review(conn);
}

/* Where the account of fair is that pays next. */
static struct addr share_largest(const struct fair *fair)
{
	const struct fair_item *item = fair_largest(fair);

	return item ? container_of(item, const struct quic_conn, share)->remote
		    : (struct addr){.family = ADDR_NONE};
}

void quic_share_stats(const struct quic_engine *engine, struct quic_stats *out_stats)
{
	struct fair_view view;

	fair_read(&engine->conn_shares, &view);
	out_stats->conns = view;
	fair_read(&engine->handshake_shares, &out_stats->handshakes);
	out_stats->conns_largest = share_largest(&engine->conn_shares);
	out_stats->handshakes_largest = share_largest(&engine->handshake_shares);
	out_stats->conn_cnt = view.held_cnt;
	out_stats->unknown_cnt = view.held_cnts[FAIR_UNKNOWN];
	out_stats->known_cnt = view.held_cnts[FAIR_KNOWN];
	out_stats->useful_cnt = view.held_cnts[FAIR_USEFUL];
	out_stats->chosen_cnt = view.held_cnts[FAIR_CHOSEN];
	out_stats->evicted_unknown_cnt = view.evicted_cnts[FAIR_UNKNOWN];
	out_stats->evicted_known_cnt = view.evicted_cnts[FAIR_KNOWN];
	out_stats->evicted_useful_cnt = view.evicted_cnts[FAIR_USEFUL];
	out_stats->evicted_chosen_cnt = view.evicted_cnts[FAIR_CHOSEN];
	out_stats->overdue_cnt = view.overdue_cnt;
	out_stats->validated_cnt = engine->handshake_shares.held_cnt;
	out_stats->validated_cap = engine->handshake_shares.config.cap_cnt;
}
