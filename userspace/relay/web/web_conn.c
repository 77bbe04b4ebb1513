/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection's life: the rate of its address, its key, its deadlines and its end. Home.
 */
#include "relay/web/web_state.h"

#include <string.h>

#include "base/fair/load.h"
#include "base/monotonic.h"

/* To hear the other side's end after the own. */
#define CLOSING_NS (2 * NS_PER_S)
/* A signature is verified: about 100 us. */
#define PRICE_PROVED 10

/* --- the rate of an address --- */

struct relay_web_rate *relay_web_rate_enter(struct relay_web *web, const struct addr *remote)
{
	struct addr prefix = addr_prefix_key(remote, remote->family == ADDR_IPV6 ? 64 : 32);
	struct relay_web_rate *rate = map_lookup(&web->rate_by_prefix, &prefix);

	if (!rate) {
		rate = pool_acquire(&web->rates);
		if (!rate)
			return NULL;
		rate->prefix = prefix;
		if (map_put(&web->rate_by_prefix, &rate->prefix, rate) < 0) {
			pool_release(&web->rates, rate);
			return NULL;
		}
	}
	rate->conn_cnt++;
	return rate;
}

void relay_web_rate_leave(struct relay_web *web, struct relay_web_rate *rate)
{
	if (!rate || --rate->conn_cnt)
		return;
	(void)map_delete(&web->rate_by_prefix, &rate->prefix);
	pool_release(&web->rates, rate);
}

static uint64_t cost_ns(const struct relay_web_config *config, uint64_t len)
{
	return len * NS_PER_S / config->rate_per_s;
}

/* When the rate's debt is below half of a burst, so that a client is not stopped for each frame. */
static uint64_t rate_free_ns(const struct relay_web_conn *conn)
{
	uint64_t half_ns =
		cost_ns(&conn->web->params.config, conn->web->params.config.burst_len / 2);

	return conn->rate->paid_ns > half_ns ? conn->rate->paid_ns - half_ns : 0;
}

void relay_web_rate_charge(struct relay_web_conn *conn, size_t len)
{
	struct relay_web *web = conn->web;
	const struct relay_web_config *config = &web->params.config;
	struct relay_web_rate *rate = conn->rate;

	/* Neighbours of a client that is over it may still prove a key. */
	if (!config->rate_per_s || conn->state != RELAY_WEB_CONN_OPEN)
		return;
	if (rate->paid_ns < web->now_ns)
		rate->paid_ns = web->now_ns;
	rate->paid_ns += cost_ns(config, len);
	if (conn->is_limited || rate->paid_ns <= web->now_ns + cost_ns(config, config->burst_len))
		return;
	conn->is_limited = true;
	web->stats.limited_cnt++;
	conn->channel->ops->read(conn->channel, false);
	relay_web_conn_set_status(conn, RELAY_WEB_LIMITED);
	relay_web_conn_rearm(conn);
}

/* --- one connection --- */

static uint64_t conn_next_ns(const struct relay_web_conn *conn)
{
	uint64_t next_ns = conn->heard_ns + 2 * RELAY_WEB_PING_NS, ping_ns;

	if (conn->state == RELAY_WEB_CONN_CLOSING)
		return conn->closing_ns + CLOSING_NS;
	if (conn->is_blocked)
		next_ns = conn->blocked_ns + RELAY_WEB_WRITE_NS;
	if (conn->state != RELAY_WEB_CONN_OPEN) {
		uint64_t late_ns = conn->began_ns + RELAY_WEB_PROVE_NS;

		return late_ns < next_ns ? late_ns : next_ns;
	}
	/* A client that is not read may have said anything. */
	if (conn->is_limited)
		return rate_free_ns(conn) < next_ns ? rate_free_ns(conn) : next_ns;
	ping_ns = conn->heard_ns > conn->pinged_ns ? conn->heard_ns : conn->pinged_ns;
	ping_ns += RELAY_WEB_PING_NS;
	return ping_ns < next_ns ? ping_ns : next_ns;
}

void relay_web_conn_rearm(struct relay_web_conn *conn)
{
	timer_set(&conn->web->wheel, &conn->timer, conn_next_ns(conn));
}

void relay_web_conn_want_write(struct relay_web_conn *conn)
{
	if (!conn->is_ready)
		list_push_back(&conn->web->ready, &conn->ready_link);
	conn->is_ready = true;
}

void relay_web_conn_set_status(struct relay_web_conn *conn, enum relay_web_status status)
{
	if (conn->state != RELAY_WEB_CONN_OPEN)
		return;
	conn->status = (uint8_t)status;
	conn->is_status_due = true;
	relay_web_conn_want_write(conn);
}

/* The key is free at once, and what waits for it is not delivered to another connection. */
static void conn_leave_key(struct relay_web_conn *conn)
{
	struct relay_web *web = conn->web;
	struct list_node *at, *next;

	if (conn->state == RELAY_WEB_CONN_OPEN) {
		web->stats.client_cnt--;
		if (map_lookup(&web->conn_by_key, conn->key) == conn)
			(void)map_delete(&web->conn_by_key, conn->key);
	}
	if (conn->incoming)
		relay_web_message_drop(conn->incoming);
	for (at = conn->queue.next; at != &conn->queue; at = next) {
		struct relay_web_message *message =
			container_of(at, struct relay_web_message, link);

		next = at->next;
		/* The rest of a frame that was begun still goes. */
		if (!message->sent_len)
			relay_web_message_drop(message);
	}
}

void relay_web_conn_release(struct relay_web_conn *conn)
{
	struct relay_web *web = conn->web;

	conn_leave_key(conn);
	while (!list_is_empty(&conn->queue))
		relay_web_message_drop(list_first(&conn->queue, struct relay_web_message, link));
	conn->channel->ops->close(conn->channel);
	timer_cancel(&web->wheel, &conn->timer);
	list_unlink(&conn->ready_link);
	fair_release(&web->places.fair, &conn->share, web->now_ns);
	relay_web_rate_leave(web, conn->rate);
	pool_release(&web->conns, conn);
}

/* code 0: the connection does not speak WebSocket yet. */
void relay_web_conn_close(struct relay_web_conn *conn, uint16_t code)
{
	if (conn->state == RELAY_WEB_CONN_CLOSING)
		return;
	conn_leave_key(conn);
	conn->state = RELAY_WEB_CONN_CLOSING;
	conn->closing_ns = conn->web->now_ns;
	conn->close_code = code;
	conn->is_close_due = conn->is_upgraded;
	if (conn->is_limited)
		conn->channel->ops->read(conn->channel, true);
	relay_web_conn_want_write(conn);
	relay_web_conn_rearm(conn);
}

void relay_web_conn_break(struct relay_web_conn *conn, uint16_t code)
{
	conn->web->stats.malformed_cnt++;
	relay_web_conn_close(conn, code);
}

static void conn_refuse(struct relay_web_conn *conn, const char *text)
{
	conn->denied = text;
	relay_web_conn_close(conn, RELAY_WEB_CLOSE_POLICY);
}

void relay_web_conn_deny(struct relay_web_conn *conn, const char *text)
{
	conn->web->stats.denied_cnt++;
	conn_refuse(conn, text);
}

bool relay_web_conn_is_banned(const struct relay_web_conn *conn, const uint8_t *key)
{
	const struct relay_web_params *params = &conn->web->params;

	return params->refuses && params->refuses(params->ctx, key, &conn->remote);
}

/* Until a key is proved, all connections of an address share as one key. */
void relay_web_conn_set_path(struct relay_web_conn *conn)
{
	const struct fair_paths *paths = &conn->web->places.paths;

	fair_path_of_addr(paths, &conn->remote, conn->class, &conn->path);
	fair_path_add(paths, &conn->path, conn->key, sizeof(conn->key));
}

static void conn_replace(struct relay_web_conn *older)
{
	older->web->stats.replaced_cnt++;
	relay_web_conn_set_status(older, RELAY_WEB_SAME_KEY);
	relay_web_conn_close(older, RELAY_WEB_CLOSE_POLICY);
}

void relay_web_conn_prove(struct relay_web_conn *conn, const uint8_t key[static RELAY_WEB_KEY_LEN])
{
	struct relay_web *web = conn->web;
	const struct load_who who = {.addr = &conn->remote, .key = conn->key};
	struct relay_web_conn *older;

	if (relay_web_conn_is_banned(conn, key)) {
		web->stats.banned_cnt++;
		conn_refuse(conn, "the relay bans this key or address");
		return;
	}
	older = map_lookup(&web->conn_by_key, key);
	if (older)
		conn_replace(older);
	memcpy(conn->key, key, sizeof(conn->key));
	if (web->params.load)
		load_charge(web->params.load, &who, PRICE_PROVED, web->now_ns);
	if (web->params.key_class)
		conn->class = web->params.key_class(web->params.ctx, key);
	relay_web_conn_set_path(conn);
	fair_move(&web->places.fair, &conn->share, &conn->path, web->now_ns);
	if (map_put(&web->conn_by_key, conn->key, conn) < 0) {
		relay_web_conn_close(conn, RELAY_WEB_CLOSE_LATER);
		return;
	}
	conn->state = RELAY_WEB_CONN_OPEN;
	web->stats.client_cnt++;
	conn->is_confirm_due = true;
	relay_web_conn_want_write(conn);
	relay_web_conn_rearm(conn);
}

/* --- deadlines --- */

static void conn_expire_open(struct relay_web_conn *conn)
{
	struct relay_web *web = conn->web;

	if (conn->is_limited && web->now_ns >= rate_free_ns(conn)) {
		conn->is_limited = false;
		/* What it said meanwhile is heard now. */
		conn->heard_ns = web->now_ns;
		conn->channel->ops->read(conn->channel, true);
		relay_web_conn_set_status(conn, RELAY_WEB_HEALTHY);
	} else if (web->now_ns >= conn->heard_ns + 2 * RELAY_WEB_PING_NS) {
		web->stats.silent_cnt++;
		relay_web_conn_release(conn);
		return;
	} else {
		conn->pinged_ns = web->now_ns;
		conn->is_ping_due = true;
		relay_web_conn_want_write(conn);
	}
	relay_web_conn_rearm(conn);
}

void relay_web_conn_expire(struct timer *timer, uint64_t now_ns)
{
	struct relay_web_conn *conn = container_of(timer, struct relay_web_conn, timer);
	struct relay_web *web = conn->web;

	if (now_ns < conn_next_ns(conn)) {
		relay_web_conn_rearm(conn);
	} else if (conn->is_blocked && now_ns >= conn->blocked_ns + RELAY_WEB_WRITE_NS) {
		web->stats.slow_cnt++;
		relay_web_conn_release(conn);
	} else if (conn->state == RELAY_WEB_CONN_OPEN) {
		conn_expire_open(conn);
	} else {
		web->stats.late_cnt += conn->state != RELAY_WEB_CONN_CLOSING;
		relay_web_conn_release(conn);
	}
}
