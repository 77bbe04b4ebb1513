/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A relay over WebSocket: one table of keys, and the life of its connections.
 *
 * Inbound: a channel's bytes are a request (web_upgrade.c), then frames of WebSocket
 * (web_socket.c), whose messages are frames of the relay (web_forward.c). A frame for another
 * client waits in that one's queue (web_message.c).
 *
 * Outbound: a connection that has something to say is on the ready list; the flush writes records
 * of what is due (web_output.c). web_conn.c has deadlines and ends.
 */
#include "relay/web/web_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fair/load.h"
#include "base/random.h"

/* Records that one connection writes before the others have theirs. */
#define WRITES_PER_FLUSH 16
/* A smaller table has no floors: a part of it would be no connection. */
#define DIVISIBLE_CNT 16

void relay_web_config_defaults(struct relay_web_config *config)
{
	*config = (struct relay_web_config){
		.is_on = true,
		.client_cap = 1024,
		.memory_cap = 32 << 20,
		.rate_per_s = 256 << 10,
		.burst_len = 1 << 20,
	};
}

static uint32_t block_cnt_of(const struct relay_web_config *config)
{
	return (uint32_t)(config->memory_cap / RELAY_WEB_BLOCK_LEN);
}

size_t relay_web_footprint(const struct relay_web_config *config)
{
	return config->is_on
		       ? config->client_cap * (sizeof(struct relay_web_conn) +
					       sizeof(struct relay_web_rate)) +
				 (block_cnt_of(config) + 1) *
					 (RELAY_WEB_BLOCK_LEN + sizeof(struct relay_web_message))
		       : 0;
}

static int web_lay_out(struct relay_web *web)
{
	static const uint8_t parts[FAIR_CLASS_CNT] = FAIR_PEER_PARTS;
	const struct relay_web_config *config = &web->params.config;
	struct fair_config conns = {
		.name = "relay.web_clients",
		.cap_cnt = config->client_cap,
		.kind = FAIR_LASTING,
		.level_cnt = FAIR_PEER_LEVELS,
	};
	const struct fair_config memory = {
		.name = "relay.web_memory",
		.cap_cnt = block_cnt_of(config),
		.kind = FAIR_WORK,
		.level_cnt = FAIR_PEER_LEVELS,
	};
	struct arena *arena = &web->arena;
	uint64_t secret[2];
	int err;

	if (conns.cap_cnt >= DIVISIBLE_CNT)
		memcpy(conns.parts, parts, sizeof(parts));
	random_fill(web->params.random, secret, sizeof(secret));
	/* One of each more: a victim leaves when the newcomer is there. */
	if ((err = arena_open(arena, ARENA_GROWS)) < 0 ||
	    (err = pool_init(&web->conns, arena, sizeof(struct relay_web_conn),
			     config->client_cap + 1)) < 0 ||
	    (err = pool_init(&web->rates, arena, sizeof(struct relay_web_rate),
			     config->client_cap + 1)) < 0 ||
	    (err = pool_init(&web->blocks, arena, sizeof(struct relay_web_block),
			     memory.cap_cnt + 1)) < 0 ||
	    (err = pool_init(&web->messages, arena, sizeof(struct relay_web_message),
			     memory.cap_cnt + 1)) < 0 ||
	    (err = map_init(&web->conn_by_key, arena, RELAY_WEB_KEY_LEN, config->client_cap + 1,
			    secret)) < 0 ||
	    (err = map_init(&web->rate_by_prefix, arena, sizeof(struct addr),
			    config->client_cap + 1, secret)) < 0 ||
	    (err = fair_places_init(&web->places, arena, &conns)) < 0 ||
	    (err = fair_places_init(&web->memory, arena, &memory)) < 0)
		return err;
	if (web->params.site)
		web->places.paths.site = web->memory.paths.site = *web->params.site;
	arena_fit(arena);
	return 0;
}

int relay_web_new(const struct relay_web_params *params, struct relay_web **out_web)
{
	struct relay_web *web = calloc(1, sizeof(*web));
	int err;

	if (!web)
		return -ENOMEM;
	web->params = *params;
	web->now_ns = params->now_ns;
	list_init(&web->ready);
	timer_wheel_init(&web->wheel, params->now_ns);
	err = web_lay_out(web);
	if (err < 0) {
		relay_web_free(web);
		return err;
	}
	*out_web = web;
	return 0;
}

static void web_turn(struct relay_web *web, uint64_t now_ns)
{
	if (now_ns > web->now_ns)
		web->now_ns = now_ns;
}

/* --- the carrier's events --- */

static struct relay_web_conn *conn_of(const struct byte_channel *channel)
{
	return channel->user;
}

static bool conn_take_place(struct relay_web_conn *conn)
{
	struct relay_web *web = conn->web;
	struct fair_item *victim = NULL;

	switch (fair_take(&web->places.fair, &conn->path, &conn->share, web->now_ns, &victim)) {
	case FAIR_BUSY:
		web->stats.refused_cnt++;
		load_refuse(web->params.load, &(struct load_who){.addr = &conn->remote},
			    web->places.fair.config.name, 0, web->now_ns);
		return false;
	case FAIR_TAKEN_FROM:
		web->stats.evicted_cnt++;
		relay_web_conn_release(container_of(victim, struct relay_web_conn, share));
		return true;
	case FAIR_TAKEN:
		return true;
	}
	return false;
}

static bool web_opened(void *ctx, struct byte_channel *channel, uint64_t now_ns)
{
	struct relay_web *web = ctx;
	struct relay_web_conn *conn;

	web_turn(web, now_ns);
	conn = pool_acquire(&web->conns);
	if (!conn)
		return false;
	conn->web = web;
	conn->channel = channel;
	conn->remote = channel->remote;
	conn->began_ns = conn->heard_ns = web->now_ns;
	list_init(&conn->queue);
	list_init(&conn->ready_link);
	timer_init(&conn->timer, relay_web_conn_expire);
	relay_web_conn_set_path(conn);
	if (relay_web_conn_is_banned(conn, NULL)) {
		web->stats.banned_cnt++;
		pool_release(&web->conns, conn);
		return false;
	}
	conn->rate = relay_web_rate_enter(web, &conn->remote);
	if (!conn->rate || !conn_take_place(conn)) {
		relay_web_rate_leave(web, conn->rate);
		pool_release(&web->conns, conn);
		return false;
	}
	channel->user = conn;
	web->stats.accepted_cnt++;
	relay_web_conn_rearm(conn);
	return true;
}

static void web_input(struct byte_channel *channel, uint8_t *data, size_t len, uint64_t now_ns)
{
	struct relay_web_conn *conn = conn_of(channel);

	web_turn(conn->web, now_ns);
	conn->heard_ns = conn->web->now_ns;
	relay_web_rate_charge(conn, len);
	while (len && conn->state == RELAY_WEB_CONN_HEAD) {
		size_t had_len = conn->in_len, room = sizeof(conn->in) - had_len, used;
		size_t part = len < room ? len : room;

		memcpy(conn->in + had_len, data, part);
		conn->in_len += part;
		used = relay_web_upgrade(conn);
		part = used ? used - had_len : part;
		conn->in_len = used ? 0 : conn->in_len;
		data += part;
		len -= part;
	}
	if (conn->state == RELAY_WEB_CONN_PROVING || conn->state == RELAY_WEB_CONN_OPEN)
		relay_web_socket_input(conn, data, len);
}

static void web_writable(struct byte_channel *channel, uint64_t now_ns)
{
	struct relay_web_conn *conn = conn_of(channel);

	web_turn(conn->web, now_ns);
	conn->is_blocked = false;
	relay_web_conn_want_write(conn);
}

static void web_lost(struct byte_channel *channel, uint64_t now_ns)
{
	struct relay_web_conn *conn = conn_of(channel);

	web_turn(conn->web, now_ns);
	relay_web_conn_release(conn);
}

const struct byte_channel_events relay_web_events = {
	.opened = web_opened,
	.input = web_input,
	.writable = web_writable,
	.lost = web_lost,
};

/* --- the loop --- */

/* False: conn is gone. */
static bool conn_write(struct relay_web_conn *conn)
{
	for (unsigned i = 0; i < WRITES_PER_FLUSH && !conn->is_blocked; i++) {
		size_t len = relay_web_output_fill(conn);
		int rv;

		if (!len)
			return true;
		rv = conn->channel->ops->write(conn->channel, conn->web->plain, len);
		if (rv < 0) {
			relay_web_conn_release(conn);
			return false;
		}
		conn->is_blocked = rv == 0;
	}
	if (conn->is_blocked) {
		conn->blocked_ns = conn->web->now_ns;
		relay_web_conn_rearm(conn);
	} else {
		relay_web_conn_want_write(conn);
	}
	return true;
}

static void conn_flush(struct relay_web_conn *conn)
{
	if (conn->is_cut) {
		relay_web_conn_release(conn);
		return;
	}
	if (conn->is_blocked || !conn_write(conn))
		return;
	if (conn->state == RELAY_WEB_CONN_CLOSING && !conn->is_ready && !conn->is_blocked &&
	    !conn->is_shut) {
		conn->is_shut = true;
		conn->channel->ops->shut(conn->channel);
	}
}

void relay_web_flush(struct relay_web *web, uint64_t now_ns)
{
	struct list_node turn;
	struct relay_web_conn *conn;

	web_turn(web, now_ns);
	list_init(&turn);
	while ((conn = list_first(&web->ready, struct relay_web_conn, ready_link))) {
		list_unlink(&conn->ready_link);
		list_push_back(&turn, &conn->ready_link);
	}
	while ((conn = list_first(&turn, struct relay_web_conn, ready_link))) {
		list_unlink(&conn->ready_link);
		conn->is_ready = false;
		conn_flush(conn);
	}
}

void relay_web_expire(struct relay_web *web, uint64_t now_ns)
{
	web_turn(web, now_ns);
	timer_wheel_expire(&web->wheel, web->now_ns);
}

uint64_t relay_web_next_ns(const struct relay_web *web)
{
	return list_is_empty(&web->ready) ? timer_wheel_next_ns(&web->wheel) : web->now_ns;
}

/* All would come back at once, if each were not told another time. */
void relay_web_restart(struct relay_web *web, uint64_t now_ns)
{
	struct relay_web_conn *conn = NULL;

	web_turn(web, now_ns);
	while ((conn = pool_next(&web->conns, conn))) {
		conn->reconnect_ms =
			RELAY_WEB_RESTART_MIN_MS +
			(uint32_t)random_below(web->params.random,
					       RELAY_WEB_RESTART_MAX_MS - RELAY_WEB_RESTART_MIN_MS);
		conn->is_restart_due = conn->state == RELAY_WEB_CONN_OPEN;
		relay_web_conn_close(conn, RELAY_WEB_CLOSE_AWAY);
	}
}

unsigned relay_web_expel(struct relay_web *web, uint64_t now_ns)
{
	struct relay_web_conn *conn, *next;
	unsigned cnt = 0;

	web_turn(web, now_ns);
	for (conn = pool_next(&web->conns, NULL); conn; conn = next) {
		bool has_key = conn->state == RELAY_WEB_CONN_OPEN;

		next = pool_next(&web->conns, conn);
		if (!relay_web_conn_is_banned(conn, has_key ? conn->key : NULL))
			continue;
		relay_web_conn_release(conn);
		cnt++;
	}
	web->stats.banned_cnt += cnt;
	return cnt;
}

void relay_web_free(struct relay_web *web)
{
	struct relay_web_conn *conn;

	if (!web)
		return;
	while (web->conns.used_cnt && (conn = pool_next(&web->conns, NULL)))
		relay_web_conn_release(conn);
	arena_close(&web->arena);
	free(web);
}

void relay_web_read_stats(const struct relay_web *web, struct relay_web_stats *out_stats)
{
	*out_stats = web->stats;
	out_stats->conn_cnt = web->conns.used_cnt;
	out_stats->memory_used_len = (uint64_t)web->blocks.used_cnt * RELAY_WEB_BLOCK_LEN;
}

void relay_web_places(const struct relay_web *web, struct fair_view *out)
{
	fair_read(&web->places.fair, out);
}

void relay_web_blocks(const struct relay_web *web, struct fair_view *out)
{
	fair_read(&web->memory.fair, out);
}
