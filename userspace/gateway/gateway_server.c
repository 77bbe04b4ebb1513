/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gateway's sockets: listen, accept, refuse, read, send, close.
 * http_conn_state.c gives the bytes their meaning. Home worker.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/memory/arena.h"
#include "base/container_of.h"
#include "base/monotonic.h"
#include "base/memory/heap.h"
#include "base/thread/poller.h"
#include "base/memory/pool.h"
#include "base/timer.h"
#include "gateway/gateway_server_state.h"
#include "gateway/http_conn_state.h"
#include "gateway/local_user.h"

#define ACCEPT_PER_TURN_MAX 64
#define ACCEPT_PAUSE_NS	    (100 * NS_PER_MS)
/* A tunnel's probes: seconds between two and before the first; it ends with so many unanswered. */
#define KEEPALIVE_S	   30
#define KEEPALIVE_PROBES   4
#define STEPS_PER_TURN_MAX 64 /* sends and receives before others get their turn */

struct server_conn {
	struct gateway *gateway;
	struct poller_watch watch;
	struct timer timer; /* the connection's deadline, or its next turn */
	unsigned interest;
	bool is_readable; /* more may lie in the socket; the poller reports later bytes */
	bool is_shut;	  /* our direction was shut down */
	bool is_probed;	  /* TCP asks whether its machine is there */
	struct gateway_client client;
	struct fair_item place;	 /* rests while a handler works */
	uint64_t moved_ns;	 /* progress of http that place knows of */
	struct fair_item socket; /* its place, of a WebSocket */
	struct gateway_conn http;
};

static void conn_close(struct server_conn *conn)
{
	struct gateway *gateway = conn->gateway;

	timer_cancel(gateway->timers, &conn->timer);
	poller_remove(gateway->poller, &conn->watch);
	close(conn->watch.fd);
	gateway_conn_fini(&conn->http);
	fair_release(&gateway->places.conns.fair, &conn->place, gateway->now_ns);
	pool_release(&gateway->conns, conn);
	gateway->shared.stats.conn_cnt--;
}

/* conn_send: 1 when all of it went, 0 when nothing waits or not all goes, negative: the client is gone. */
static int conn_send(struct server_conn *conn)
{
	const char *data;
	size_t len = gateway_conn_output(&conn->http, &data);
	ssize_t n;

	if (!len)
		return 0;
	n = send(conn->watch.fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	gateway_conn_sent(&conn->http, (size_t)n, conn->gateway->now_ns);
	return (size_t)n == len;
}

static int conn_receive(struct server_conn *conn)
{
	char *room;
	size_t cap = conn->is_readable ? gateway_conn_reserve(&conn->http, &room) : 0;
	ssize_t n;

	if (!cap || conn->http.is_eof)
		return 0;
	n = recv(conn->watch.fd, room, cap, MSG_DONTWAIT);
	conn->is_readable = n == (ssize_t)cap;
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n == 0)
		gateway_conn_eof(&conn->http);
	else
		gateway_conn_commit(&conn->http, (size_t)n, conn->gateway->now_ns);
	return 1;
}

/* keepalive_set: a tunnel may be silent for days, and its client's machine may be gone meanwhile. */
static void keepalive_set(struct server_conn *conn)
{
	static const int options[][3] = {
		{SOL_SOCKET, SO_KEEPALIVE, 1},
		{IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_S},
		{IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_S},
		{IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES},
	};

	conn->is_probed = true;
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		(void)setsockopt(conn->watch.fd, options[i][0], options[i][1], &options[i][2],
				 sizeof(options[i][2]));
}

static void conn_watch(struct server_conn *conn)
{
	const char *data;
	char *room;
	unsigned interest = 0;

	if (gateway_conn_reserve(&conn->http, &room) && !conn->http.is_eof)
		interest |= POLLER_IN;
	if (gateway_conn_output(&conn->http, &data))
		interest |= POLLER_OUT;
	if (interest == conn->interest)
		return;
	conn->interest = interest;
	if (poller_change(conn->gateway->poller, &conn->watch, interest) < 0)
		conn->http.state = CONN_OVER;
}

/*
 * conn_note tells the pool of places: bytes moved, or whose turn it is. With
 * a request begun and nothing to send, a handler works.
 */
static void conn_note(struct server_conn *conn)
{
	struct fair *places = &conn->gateway->places.conns.fair;
	const uint64_t now_ns = conn->gateway->now_ns;

	if (conn->http.progress_ns != conn->moved_ns)
		fair_progress(places, &conn->place, FAIR_WHOLE, now_ns);
	conn->moved_ns = conn->http.progress_ns;
	if (conn->http.state == CONN_READING || conn->http.output.len)
		fair_wait_peer(places, &conn->place, now_ns);
	else
		fair_wait_own(places, &conn->place, now_ns);
}

/* conn_serve does all that can be done now, and leaves watch and timer set for the rest. */
static void conn_serve(struct server_conn *conn)
{
	struct gateway *gateway = conn->gateway;
	const char *data;
	int sent = 1, received = 1;
	unsigned steps = 0;

	gateway_conn_turn(&conn->http, gateway->now_ns);
	while ((sent > 0 || received > 0) && !gateway_conn_is_over(&conn->http) &&
	       steps++ < STEPS_PER_TURN_MAX) {
		sent = conn_send(conn);
		received = sent < 0 ? -1 : conn_receive(conn);
		if (received < 0)
			conn->http.state = CONN_OVER;
	}
	conn_note(conn);
	if (conn->http.state == CONN_TUNNEL && !conn->is_probed)
		keepalive_set(conn);
	if (!gateway_conn_is_over(&conn->http))
		conn_watch(conn);
	if (gateway_conn_is_over(&conn->http)) {
		conn_close(conn);
		return;
	}
	if (conn->http.state == CONN_DRAINING && !conn->is_shut &&
	    gateway_conn_output(&conn->http, &data) == 0) {
		conn->is_shut = true;
		(void)shutdown(conn->watch.fd, SHUT_WR);
	}
	timer_set(gateway->timers, &conn->timer,
		  steps > STEPS_PER_TURN_MAX ? gateway->now_ns
					     : gateway_conn_deadline_ns(&conn->http));
}

static void conn_ready(struct poller_watch *watch, unsigned events, uint64_t now_ns)
{
	struct server_conn *conn = container_of(watch, struct server_conn, watch);

	conn->gateway->now_ns = now_ns;
	conn->is_readable = events & POLLER_IN;
	if (events & POLLER_HANGUP && !(events & POLLER_IN))
		conn->http.state = CONN_OVER;
	conn_serve(conn);
}

static void conn_timer_fire(struct timer *timer, uint64_t now_ns)
{
	struct server_conn *conn = container_of(timer, struct server_conn, timer);

	conn->gateway->now_ns = now_ns;
	gateway_conn_expire(&conn->http, now_ns);
	conn_serve(conn);
}

static void server_woken(struct conn_shared *shared, struct gateway_conn *http)
{
	struct gateway *gateway = container_of(shared, struct gateway, shared);
	struct server_conn *conn = container_of(http, struct server_conn, http);

	timer_set(gateway->timers, &conn->timer, gateway->now_ns);
}

/* server_make_room evicts the connection that has most waiting: it reads the slowest. */
static bool server_make_room(struct conn_shared *shared, const struct gateway_conn *http)
{
	struct gateway *gateway = container_of(shared, struct gateway, shared);
	struct server_conn *conn = NULL, *slowest = NULL;

	while ((conn = pool_next(&gateway->conns, conn)) != NULL)
		if (conn->http.output.len > (slowest ? slowest->http.output.len : http->output.len))
			slowest = conn;
	if (slowest)
		gateway_conn_evict(&slowest->http);
	return slowest != NULL;
}

static bool server_admits(struct conn_shared *shared, const struct gateway_conn *http,
			  uint64_t now_ns)
{
	struct gateway *gateway = container_of(shared, struct gateway, shared);
	const struct server_conn *conn = container_of(http, struct server_conn, http);
	enum gateway_rate kind;

	/* A program of this machine that shows the token may ask as often as it likes. */
	if (http->proof >= GATEWAY_PROOF_COOKIE && addr_is_loopback(&http->remote))
		return true;
	kind = http->route->is_busy   ? GATEWAY_RATE_BUSY
	       : http->route->is_file ? GATEWAY_RATE_FILES
				      : GATEWAY_RATE_OTHER;
	return gateway_rate_take(&gateway->rates.each[kind], &conn->client.prefix, now_ns);
}

/* conns_of counts the connections of a client; *out_idle is its own that idled longest. */
static unsigned conns_of(const struct gateway *gateway, const struct gateway_client *client,
			 struct server_conn **out_idle)
{
	struct server_conn *conn = NULL, *idle = NULL;
	unsigned cnt = 0;

	while ((conn = pool_next(&gateway->conns, conn)) != NULL) {
		if (!addr_equal(&conn->client.prefix, &client->prefix))
			continue;
		cnt++;
		if (gateway_conn_is_idle(&conn->http) &&
		    (!idle || conn->http.progress_ns < idle->http.progress_ns))
			idle = conn;
	}
	*out_idle = idle;
	return cnt;
}

static void fd_refuse(struct gateway *gateway, int fd)
{
	static const char text[] = "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n"
				   "Retry-After: 10\r\nContent-Length: 0\r\n\r\n";

	gateway->shared.stats.refused_cnt++;
	(void)send(fd, text, sizeof(text) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	close(fd);
}

static bool server_socket_enters(struct conn_shared *shared, struct gateway_conn *http)
{
	struct gateway *gateway = container_of(shared, struct gateway, shared);
	struct server_conn *conn = container_of(http, struct server_conn, http);
	struct fair_item *victim;

	if (!gateway_places_take(&gateway->places,
				 &(struct gateway_place){.client = &conn->client,
							 .site = http->site,
							 .item = &conn->socket,
							 .now_ns = gateway->now_ns},
				 &victim)) {
		gateway_places_refuse(&gateway->places, &conn->client,
				      gateway->places.sockets.fair.config.name, gateway->now_ns);
		return false;
	}
	if (victim) {
		conn = container_of(victim, struct server_conn, socket);
		gateway_socket_yield(&conn->http);
	}
	return true;
}

static void server_socket_leaves(struct conn_shared *shared, struct gateway_conn *http)
{
	struct gateway *gateway = container_of(shared, struct gateway, shared);
	struct server_conn *conn = container_of(http, struct server_conn, http);

	if (gateway->config.socket_cap)
		fair_release(&gateway->places.sockets.fair, &conn->socket, gateway->now_ns);
}

/*
 * place_take: false when conn gets no place. Idle connections of its own client make
 * room for it, then one of the client that holds most.
 */
static bool place_take(struct gateway *gateway, struct server_conn *conn,
		       struct server_conn *own_idle)
{
	const struct gateway_place wanted = {
		.client = &conn->client, .item = &conn->place, .now_ns = gateway->now_ns};
	struct fair_item *victim;
	bool is_taken = gateway_places_take(&gateway->places, &wanted, &victim);

	if (!is_taken && own_idle) {
		conn_close(own_idle);
		is_taken = gateway_places_take(&gateway->places, &wanted, &victim);
	}
	if (victim)
		conn_close(container_of(victim, struct server_conn, place));
	return is_taken;
}

/* place_of gives a conn for the client behind fd, or NULL. */
static struct server_conn *place_of(struct gateway *gateway, int fd, const struct addr *remote)
{
	const struct gateway_client client = gateway_places_client(&gateway->places, fd, remote);
	struct server_conn *idle, *conn;

	if (conns_of(gateway, &client, &idle) >= gateway->config.conn_addr_max) {
		if (!idle) {
			gateway_places_refuse(&gateway->places, &client,
					      "gateway.connections_per_address", gateway->now_ns);
			return NULL;
		}
		conn_close(idle);
		idle = NULL;
	}
	conn = pool_acquire(&gateway->conns);
	if (!conn)
		return NULL;
	conn->client = client;
	if (place_take(gateway, conn, idle))
		return conn;
	gateway_places_refuse(&gateway->places, &client, gateway->places.conns.fair.config.name,
			      gateway->now_ns);
	pool_release(&gateway->conns, conn);
	return NULL;
}

static void fd_admit(struct gateway *gateway, int fd, const struct addr *remote)
{
	struct gateway_stats *stats = &gateway->shared.stats;
	struct server_conn *conn = place_of(gateway, fd, remote);

	if (!conn) {
		fd_refuse(gateway, fd);
		return;
	}
	conn->gateway = gateway;
	conn->watch = (struct poller_watch){.ready = conn_ready, .fd = fd};
	conn->interest = POLLER_IN;
	timer_init(&conn->timer, conn_timer_fire);
	gateway_conn_init(&conn->http, &gateway->shared, remote, gateway->now_ns);
	conn->http.client_id = fair_path_network(&conn->client.path);
	conn->moved_ns = conn->http.progress_ns;
	if (poller_add(gateway->poller, &conn->watch, POLLER_IN) < 0) {
		fair_release(&gateway->places.conns.fair, &conn->place, gateway->now_ns);
		pool_release(&gateway->conns, conn);
		fd_refuse(gateway, fd);
		return;
	}
	stats->conn_cnt++;
	if (stats->conn_cnt > stats->conn_peak_cnt)
		stats->conn_peak_cnt = stats->conn_cnt;
	timer_set(gateway->timers, &conn->timer, gateway_conn_deadline_ns(&conn->http));
}

/* listener_pause: out of descriptors, and the listener would stay readable. */
static void listener_pause(struct gateway *gateway)
{
	if (poller_change(gateway->poller, &gateway->listener, 0) == 0)
		timer_set(gateway->timers, &gateway->accept_timer,
			  gateway->now_ns + ACCEPT_PAUSE_NS);
}

static void accept_timer_fire(struct timer *timer, uint64_t now_ns)
{
	struct gateway *gateway = container_of(timer, struct gateway, accept_timer);

	gateway->now_ns = now_ns;
	if (poller_change(gateway->poller, &gateway->listener, POLLER_IN) < 0)
		timer_set(gateway->timers, timer, now_ns + ACCEPT_PAUSE_NS);
}

static void listener_ready(struct poller_watch *watch, unsigned events, uint64_t now_ns)
{
	struct gateway *gateway = container_of(watch, struct gateway, listener);
	struct sockaddr_storage sa;
	struct addr remote;

	(void)events;
	gateway->now_ns = now_ns;
	for (int i = 0; i < ACCEPT_PER_TURN_MAX; i++) {
		socklen_t len = sizeof(sa);
		int fd = accept4(watch->fd, (struct sockaddr *)&sa, &len,
				 SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0 && addr_from_sockaddr((struct sockaddr *)&sa, &remote) == 0)
			fd_admit(gateway, fd, &remote);
		else if (fd >= 0)
			close(fd);
		else if (errno == EMFILE || errno == ENFILE)
			listener_pause(gateway);
		if (fd < 0 && errno != EINTR && errno != ECONNABORTED)
			return;
	}
}

static int listener_open(struct gateway *gateway)
{
	struct sockaddr_storage sa;
	unsigned len = addr_to_sockaddr(&gateway->config.listen, &sa);
	int on = 1, fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	gateway->listener.fd = fd;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    (sa.ss_family == AF_INET6 &&
	     setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0))
		return -errno;
	if (bind(fd, (struct sockaddr *)&sa, len) < 0 || listen(fd, SOMAXCONN) < 0)
		return errno == EADDRINUSE ? WEFT_EBUSY : -errno;
	return poller_add(gateway->poller, &gateway->listener, POLLER_IN);
}

static int memory_lay_out(struct gateway *gateway)
{
	const struct gateway_config *config = &gateway->config;
	struct arena *arena = &gateway->arena;
	int err = heap_new(config->memory_cap, &gateway->heap);

	if (err == 0 && (err = arena_open(arena, ARENA_GROWS)) == 0 &&
	    (err = pool_init(&gateway->conns, arena, sizeof(struct server_conn),
			     config->conn_cap + 1)) == 0 &&
	    (err = gateway_places_init(&gateway->places, arena, config)) == 0)
		err = gateway_rates_init(&gateway->rates, arena, config);
	gateway->shared.heap = gateway->heap;
	arena_fit(arena);
	return err;
}

size_t gateway_footprint(const struct gateway_config *config)
{
	struct gateway *gateway = calloc(1, sizeof(*gateway));
	size_t len;

	if (!gateway)
		return 0;
	gateway->config = *config;
	len = memory_lay_out(gateway) < 0 ? 0 : gateway->arena.used_len + config->memory_cap;
	arena_close(&gateway->arena);
	heap_free(gateway->heap);
	free(gateway);
	return len;
}

int gateway_open(const struct gateway_params *params, struct gateway **out_gateway)
{
	struct gateway *gateway = calloc(1, sizeof(*gateway));
	struct addr listen;
	int err;

	if (!gateway)
		return -ENOMEM;
	gateway->shared = (struct conn_shared){
		.routes = params->routes,
		.guard = &gateway->guard,
		.passes = &gateway->passes,
		.page_tokens = &gateway->page_tokens,
		.wall_s = params->wall_s,
		.admits = server_admits,
		.make_room = server_make_room,
		.woken = server_woken,
		.socket_enters = server_socket_enters,
		.socket_leaves = server_socket_leaves,
		.stats = {.conn_cap = params->config.conn_cap,
			  .socket_cap = params->config.socket_cap},
	};
	gateway->config = params->config;
	gateway->poller = params->poller;
	gateway->timers = params->timers;
	gateway->places.load = params->load;
	gateway->now_ns = params->now_ns;
	gateway->listener = (struct poller_watch){.ready = listener_ready, .fd = -1};
	gateway->places.diag_fd = params->is_deaf ? -1 : gateway_local_user_open();
	timer_init(&gateway->accept_timer, accept_timer_fire);
	err = memory_lay_out(gateway);
	if (err == 0 && !params->is_deaf)
		err = listener_open(gateway);
	if (err == 0) {
		listen = gateway_addr(gateway);
		err = gateway_guard_init(&gateway->guard, params, &listen);
		gateway_pass_book_init(&gateway->passes, listen.port);
	}
	if (err < 0) {
		gateway_close(gateway);
		return err;
	}
	*out_gateway = gateway;
	return 0;
}

void gateway_adopt(struct gateway *gateway, int fd, const struct addr *remote, uint64_t now_ns)
{
	gateway->now_ns = now_ns;
	fd_admit(gateway, fd, remote);
}

void gateway_close(struct gateway *gateway)
{
	struct server_conn *conn;

	if (!gateway)
		return;
	if (gateway->listener.fd >= 0) {
		poller_remove(gateway->poller, &gateway->listener);
		close(gateway->listener.fd);
	}
	if (gateway->conns.cap_cnt) {
		while ((conn = pool_next(&gateway->conns, NULL)) != NULL)
			conn_close(conn);
	}
	timer_cancel(gateway->timers, &gateway->accept_timer);
	if (gateway->places.diag_fd >= 0)
		close(gateway->places.diag_fd);
	arena_close(&gateway->arena);
	heap_free(gateway->heap);
	free(gateway);
}
