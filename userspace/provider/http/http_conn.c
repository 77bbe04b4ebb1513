/* SPDX-License-Identifier: Apache-2.0 */
/* Connections to HTTP servers: made, laid by, taken again, closed. */
#include "http_conn.h"

#include <unistd.h>

#include "provider/program_offer.h"

static void conn_ready(struct poller_watch *watch, unsigned events, uint64_t now_ns)
{
	struct http_conn *conn = container_of(watch, struct http_conn, watch);

	if (conn->user) {
		conn->ready(conn->user, events, now_ns);
		return;
	}
	/* No request is under way: the server closes the connection, or breaks the protocol. */
	provider_health_suspect(conn->offer, now_ns);
	provider_http_conn_close(conn);
}

static void timer_fire(struct timer *timer, uint64_t now_ns)
{
	(void)now_ns;
	provider_http_conn_close(container_of(timer, struct http_conn, timer));
}

static bool conn_is_idle(const struct http_conn *conn)
{
	return !list_is_empty(&conn->link);
}

static void conn_wake(struct http_conn *conn)
{
	struct provider *provider = conn->offer->provider;

	timer_cancel(provider->timers, &conn->timer);
	list_unlink(&conn->link);
	provider->idle_cnt--;
}

struct http_conn *provider_http_conn_take(struct offer *offer)
{
	struct http_conn *conn;

	if (list_is_empty(&offer->idle_conns))
		return NULL;
	conn = container_of(offer->idle_conns.prev, struct http_conn, link);
	conn_wake(conn);
	conn->is_reused = true;
	return conn;
}

int provider_http_conn_open(struct offer *offer, struct http_conn **out_conn)
{
	struct http_conn *conn = pool_acquire(&offer->provider->http_conns);
	int fd;

	if (!conn)
		return WEFT_EFULL;
	fd = provider_upstream_connect(&offer->addr);
	if (fd < 0) {
		pool_release(&offer->provider->http_conns, conn);
		return fd;
	}
	conn->offer = offer;
	conn->watch = (struct poller_watch){.ready = conn_ready, .fd = fd};
	conn->is_connecting = true;
	list_init(&conn->link);
	timer_init(&conn->timer, timer_fire);
	*out_conn = conn;
	return 0;
}

void provider_http_conn_keep(struct http_conn *conn, uint64_t now_ns)
{
	struct provider *provider = conn->offer->provider;

	conn->user = NULL;
	if (provider->idle_cnt >= provider->config.idle_cap ||
	    provider_http_conn_watch(conn, POLLER_IN) < 0) {
		provider_http_conn_close(conn);
		return;
	}
	list_push_back(&conn->offer->idle_conns, &conn->link);
	provider->idle_cnt++;
	timer_set(provider->timers, &conn->timer, now_ns + HTTP_CONN_IDLE_NS);
}

void provider_http_conn_close(struct http_conn *conn)
{
	struct provider *provider = conn->offer->provider;

	if (conn_is_idle(conn))
		conn_wake(conn);
	if (conn->interest)
		poller_remove(provider->poller, &conn->watch);
	close(conn->watch.fd);
	pool_release(&provider->http_conns, conn);
}

int provider_http_conn_watch(struct http_conn *conn, unsigned interest)
{
	return provider_upstream_watch(conn->offer->provider->poller, &conn->watch, &conn->interest,
				       interest);
}

void provider_http_conns_close_idle(struct offer *offer)
{
	while (!list_is_empty(&offer->idle_conns))
		provider_http_conn_close(
			container_of(offer->idle_conns.next, struct http_conn, link));
}
