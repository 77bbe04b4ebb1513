/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Links by sockets: many records leave with one sendmsg, and one recv takes what has come, up to
 * 256 KiB. Worker that owns the engine. Reasons for epoll: docs/decisions/0005.
 */
#include "tcp/tcp_sockets.h"

#include <errno.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/container_of.h"
#include "base/memory/arena.h"
#include "base/memory/pool.h"
#include "base/monotonic.h"
#include "base/thread/poller.h"
#include "base/timer.h"
#include "tcp/tcp.h"
#include "tcp/tcp_proxy.h"

#define READ_LEN	    (256u << 10)
#define BACKLOG		    4096
#define ACCEPT_PER_TURN_MAX 64
#define ACCEPT_PAUSE_NS	    (100 * NS_PER_MS)
/*
 * Bytes that the kernel holds unsent: more of them would only make a short
 * answer wait behind a long one.
 */
#define NOTSENT_LEN (256 << 10)

enum link_state {
	LINK_CONNECTING,
	LINK_ASKING, /* the proxy to connect it to peer, and waiting for its answer */
	LINK_OPEN,
};

struct tcp_link {
	struct poller_watch watch;
	struct tcp_sockets *sockets;
	struct tcp_conn *conn;
	uint64_t written_len;
	unsigned interest;
	enum link_state state;
	struct addr local, peer; /* until it is open */
	bool is_proxied;
	unsigned fault; /* enum tcp_proxy_fault */
	struct tcp_proxy_reader answer;
};

struct listener {
	struct poller_watch watch;
	struct tcp_sockets *sockets;
	struct addr bound;
	bool is_watched;
};

struct tcp_sockets {
	struct tcp_links links; /* first: the engine's pointer is this one */
	struct tcp_engine *engine;
	struct poller *poller;
	struct timer_wheel *timers;
	struct timer accept_timer; /* listening again after the system ran out of something */
	struct arena arena;
	struct pool pool;
	struct listener listeners[TCP_LISTEN_MAX];
	unsigned listener_cnt;
	struct addr failed; /* an address that was not bound, and why */
	int failed_err;	    /* 0: none */
	uint8_t *buffer;
	struct addr proxy;
	char proxy_field[TCP_PROXY_FIELD_CAP]; /* "": it wants no user */
};

/* --- one link --- */

static void link_watch(struct tcp_link *link, unsigned interest)
{
	if (link->interest == interest)
		return;
	link->interest = interest;
	/* Out of memory: the link ends, as its reader will see. */
	if (poller_change(link->sockets->poller, &link->watch, interest) < 0)
		(void)shutdown(link->watch.fd, SHUT_RDWR);
}

static void link_free(struct tcp_link *link)
{
	poller_remove(link->sockets->poller, &link->watch);
	close(link->watch.fd);
	pool_release(&link->sockets->pool, link);
}

static void link_open(struct tcp_link *link, uint64_t now_ns)
{
	link->state = LINK_OPEN;
	link_watch(link, POLLER_IN);
	tcp_engine_connected(link->conn, &link->local, now_ns);
}

/* --- through a proxy --- */

static void link_refuse(struct tcp_link *link, unsigned fault, uint64_t now_ns)
{
	link->fault = fault;
	tcp_engine_lost(link->conn, -ECONNREFUSED, now_ns);
}

/* A new socket takes the whole request, or the proxy is no use. */
static void link_ask(struct tcp_link *link, uint64_t now_ns)
{
	char request[TCP_PROXY_REQUEST_CAP];
	size_t len = tcp_proxy_request_write(&link->peer, link->sockets->proxy_field, request);
	ssize_t n = send(link->watch.fd, request, len, MSG_NOSIGNAL | MSG_DONTWAIT);

	explicit_bzero(request, sizeof(request));
	link->fault = TCP_PROXY_SILENT;
	if (n != (ssize_t)len) {
		link_refuse(link, TCP_PROXY_CUT, now_ns);
		return;
	}
	link->state = LINK_ASKING;
	link_watch(link, POLLER_IN);
}

/* A peer that was not asked yet says nothing: bytes behind an answer that opens are not its own. */
static void link_hear(struct tcp_link *link, uint64_t now_ns)
{
	char data[TCP_PROXY_ANSWER_MAX];
	size_t used;
	ssize_t n = recv(link->watch.fd, data, sizeof(data), MSG_DONTWAIT);
	int rv;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		link_refuse(link, TCP_PROXY_CUT, now_ns);
		return;
	}
	rv = tcp_proxy_read(&link->answer, data, (size_t)n, &used);
	if (rv == 0)
		return;
	if (rv == 1 && link->answer.status >= 300)
		link_refuse(link, link->answer.status, now_ns);
	else if (rv == 1 && used == (size_t)n)
		link_open(link, now_ns);
	else
		link_refuse(link, TCP_PROXY_FOREIGN, now_ns);
}

/* --- reading and connecting --- */

/* The result of a non-blocking connect. */
static void link_connected(struct tcp_link *link, uint64_t now_ns)
{
	struct sockaddr_storage sa;
	socklen_t sa_len = sizeof(sa), err_len = sizeof(int);
	struct addr local;
	int err = 0;

	if (getsockopt(link->watch.fd, SOL_SOCKET, SO_ERROR, &err, &err_len) < 0)
		err = errno;
	if (!err && (getsockname(link->watch.fd, (struct sockaddr *)&sa, &sa_len) < 0 ||
		     addr_from_sockaddr((const struct sockaddr *)&sa, &local) < 0))
		err = ENOTCONN;
	if (err) {
		tcp_engine_lost(link->conn, -err, now_ns);
		return;
	}
	local.transport = ADDR_TCP;
	link->local = local;
	if (link->is_proxied)
		link_ask(link, now_ns);
	else
		link_open(link, now_ns);
}

static void link_read(struct tcp_link *link, uint64_t now_ns)
{
	ssize_t n;

	if (!tcp_engine_wants(link->conn))
		return; /* asked again in the next turn */
	n = recv(link->watch.fd, link->sockets->buffer, READ_LEN, MSG_DONTWAIT);
	if (n >= 0)
		(void)tcp_engine_input(link->conn, link->sockets->buffer, (size_t)n, now_ns);
	else if (errno != EAGAIN && errno != EINTR)
		tcp_engine_lost(link->conn, -errno, now_ns);
}

static void link_ready(struct poller_watch *watch, unsigned events, uint64_t now_ns)
{
	struct tcp_link *link = container_of(watch, struct tcp_link, watch);

	if (link->state == LINK_CONNECTING) {
		link_connected(link, now_ns);
		return;
	}
	if (link->state == LINK_ASKING) {
		link_hear(link, now_ns);
		return;
	}
	if (events & POLLER_OUT) {
		link_watch(link, POLLER_IN);
		tcp_engine_writable(link->conn);
	}
	/* A link that was cut is read: what came before counts, and recv says why it ended. */
	if (events & (POLLER_IN | POLLER_HANGUP))
		link_read(link, now_ns);
}

static void fd_tune(int fd)
{
	const int one = 1, notsent_len = NOTSENT_LEN;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &notsent_len, sizeof(notsent_len));
}

/* Takes fd on success only. */
static struct tcp_link *link_new(struct tcp_sockets *sockets, int fd, unsigned interest)
{
	struct tcp_link *link = pool_acquire(&sockets->pool);

	if (!link)
		return NULL;
	link->sockets = sockets;
	link->watch.fd = fd;
	link->watch.ready = link_ready;
	link->interest = interest;
	link->state = interest == POLLER_OUT ? LINK_CONNECTING : LINK_OPEN;
	if (poller_add(sockets->poller, &link->watch, interest) < 0) {
		pool_release(&sockets->pool, link);
		return NULL;
	}
	fd_tune(fd);
	return link;
}

/* --- the engine's table --- */

static int op_dial(struct tcp_links *links, struct tcp_conn *conn, const struct addr *remote,
		   struct tcp_link **out_link)
{
	struct tcp_sockets *sockets = (struct tcp_sockets *)links;
	bool is_proxied = sockets->proxy.family != ADDR_NONE && tcp_proxy_serves(remote);
	struct sockaddr_storage sa;
	unsigned sa_len = addr_to_sockaddr(is_proxied ? &sockets->proxy : remote, &sa);
	struct tcp_link *link;
	int fd, err = 0;

	fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&sa, sa_len) < 0 && errno != EINPROGRESS)
		err = -errno;
	link = err < 0 ? NULL : link_new(sockets, fd, POLLER_OUT);
	if (!link) {
		close(fd);
		return err < 0 ? err : WEFT_EFULL;
	}
	link->conn = conn;
	link->peer = *remote;
	link->is_proxied = is_proxied;
	link->fault = is_proxied ? TCP_PROXY_ABSENT : TCP_PROXY_OK;
	*out_link = link;
	return 0;
}

static ssize_t op_write(struct tcp_link *link, const struct iovec *pieces, unsigned cnt)
{
	struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)pieces, .msg_iovlen = cnt};
	size_t total = 0;
	ssize_t n;

	for (unsigned i = 0; i < cnt; i++)
		total += pieces[i].iov_len;
	n = sendmsg(link->watch.fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return -errno;
	if (n < 0)
		n = 0;
	link->written_len += (uint64_t)n;
	if ((size_t)n < total)
		link_watch(link, POLLER_IN | POLLER_OUT);
	return n;
}

static void op_shut(struct tcp_link *link)
{
	(void)shutdown(link->watch.fd, SHUT_WR);
}

static void op_close(struct tcp_link *link, bool is_abort)
{
	const struct linger at_once = {.l_onoff = 1, .l_linger = 0};

	if (is_abort)
		(void)setsockopt(link->watch.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	link_free(link);
}

static int op_release(struct tcp_link *link)
{
	int fd = link->watch.fd;

	poller_remove(link->sockets->poller, &link->watch);
	pool_release(&link->sockets->pool, link);
	return fd;
}

static void op_figures(struct tcp_link *link, struct tcp_figures *out_figures)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);
	int unsent = 0;

	(void)getsockopt(link->watch.fd, IPPROTO_TCP, TCP_INFO, &info, &len);
	if (ioctl(link->watch.fd, SIOCOUTQ, &unsent) < 0)
		unsent = 0;
	*out_figures = (struct tcp_figures){
		.rtt_ns = info.tcpi_rtt * 1000ull,
		.cwnd_len = (uint64_t)info.tcpi_snd_cwnd * info.tcpi_snd_mss,
		.mss_len = info.tcpi_snd_mss,
		.lost_cnt = info.tcpi_total_retrans,
		.heard_cnt = info.tcpi_segs_in,
		.acked_len = link->written_len - (uint64_t)unsent,
	};
}

static unsigned op_proxy_fault(const struct tcp_link *link)
{
	return link->fault;
}

static const struct tcp_links_ops socket_ops = {
	.dial = op_dial,
	.write = op_write,
	.shut = op_shut,
	.close = op_close,
	.release = op_release,
	.figures = op_figures,
	.proxy_fault = op_proxy_fault,
};

/* --- listening --- */

static void accept_one(struct listener *listener, int fd, const struct sockaddr_storage *sa,
		       uint64_t now_ns)
{
	const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
	struct tcp_sockets *sockets = listener->sockets;
	struct sockaddr_storage own;
	socklen_t own_len = sizeof(own);
	struct addr local, remote;
	struct tcp_link *link = NULL;

	if (getsockname(fd, (struct sockaddr *)&own, &own_len) == 0 &&
	    addr_from_sockaddr((const struct sockaddr *)&own, &local) == 0 &&
	    addr_from_sockaddr((const struct sockaddr *)sa, &remote) == 0)
		link = link_new(sockets, fd, POLLER_IN);
	if (link) {
		local.transport = remote.transport = ADDR_TCP;
		link->conn = tcp_engine_accept(sockets->engine, link, &local, &remote, now_ns);
		if (link->conn)
			return;
	}
	/* Its peer gets a reset at once, and this host keeps nothing. */
	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	if (link)
		link_free(link);
	else
		close(fd);
}

static void sockets_listen(struct tcp_sockets *sockets, bool is_on)
{
	for (unsigned i = 0; i < sockets->listener_cnt; i++) {
		struct listener *listener = &sockets->listeners[i];

		if (listener->is_watched == is_on)
			continue;
		if (!is_on)
			poller_remove(sockets->poller, &listener->watch);
		listener->is_watched =
			is_on && poller_add(sockets->poller, &listener->watch, POLLER_IN) == 0;
	}
}

static void accept_again(struct timer *timer, uint64_t now_ns)
{
	(void)now_ns;
	sockets_listen(container_of(timer, struct tcp_sockets, accept_timer), true);
}

static void listener_ready(struct poller_watch *watch, unsigned events, uint64_t now_ns)
{
	struct listener *listener = container_of(watch, struct listener, watch);
	struct tcp_sockets *sockets = listener->sockets;

	(void)events;
	for (unsigned i = 0; i < ACCEPT_PER_TURN_MAX; i++) {
		struct sockaddr_storage sa;
		socklen_t len = sizeof(sa);
		int fd = accept4(watch->fd, (struct sockaddr *)&sa, &len,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			accept_one(listener, fd, &sa, now_ns);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			sockets_listen(sockets, false);
			timer_set(sockets->timers, &sockets->accept_timer,
				  now_ns + ACCEPT_PAUSE_NS);
		}
		if (errno != ECONNABORTED && errno != EINTR)
			return;
	}
}

static int listener_bind(int fd, const struct addr *addr, bool is_shared)
{
	const int one = 1;
	struct sockaddr_storage sa;
	unsigned len = addr_to_sockaddr(addr, &sa);

	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    (is_shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) < 0) ||
	    (addr->family == ADDR_IPV6 &&
	     setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) < 0) ||
	    bind(fd, (const struct sockaddr *)&sa, len) < 0 || listen(fd, BACKLOG) < 0)
		return -errno;
	return 0;
}

static int listener_open(struct tcp_sockets *sockets, const struct addr *addr, bool is_shared)
{
	struct listener *listener = &sockets->listeners[sockets->listener_cnt];
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	int domain = addr->family == ADDR_IPV6 ? AF_INET6 : AF_INET;
	int fd = socket(domain, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int err = fd < 0 ? -errno : listener_bind(fd, addr, is_shared);

	if (err == 0 && getsockname(fd, (struct sockaddr *)&sa, &len) < 0)
		err = -errno;
	if (err == 0)
		err = addr_from_sockaddr((const struct sockaddr *)&sa, &listener->bound);
	if (err < 0) {
		if (fd >= 0)
			close(fd);
		return err;
	}
	listener->bound.transport = ADDR_TCP;
	listener->sockets = sockets;
	listener->watch.fd = fd;
	listener->watch.ready = listener_ready;
	sockets->listener_cnt++;
	err = poller_add(sockets->poller, &listener->watch, POLLER_IN);
	listener->is_watched = err == 0;
	return err;
}

int tcp_sockets_failed(const struct tcp_sockets *sockets, struct addr *out_addr)
{
	*out_addr = sockets->failed;
	return sockets->failed_err;
}

int tcp_sockets_open(const struct tcp_sockets_params *params, struct tcp_sockets **out_sockets)
{
	struct tcp_sockets *sockets = calloc(1, sizeof(*sockets));
	int err;

	if (!sockets)
		return -ENOMEM;
	sockets->links.ops = &socket_ops;
	sockets->engine = params->engine;
	sockets->poller = params->poller;
	sockets->timers = params->timers;
	sockets->proxy = params->proxy;
	timer_init(&sockets->accept_timer, accept_again);
	err = params->proxy_user ? tcp_proxy_field_write(params->proxy_user, sockets->proxy_field)
				 : 0;
	if (err == 0)
		err = arena_open(&sockets->arena, ARENA_GROWS);
	if (err == 0)
		err = pool_init(&sockets->pool, &sockets->arena, sizeof(struct tcp_link),
				params->link_cap);
	sockets->buffer = err == 0 ? arena_alloc(&sockets->arena, READ_LEN) : NULL;
	if (err == 0 && !sockets->buffer)
		err = WEFT_EFULL;
	for (unsigned i = 0; err == 0 && i < params->listen_cnt; i++) {
		err = listener_open(sockets, &params->listen[i], params->is_shared);
		if (err >= 0 || (err != -EADDRINUSE && err != -EACCES && err != -EADDRNOTAVAIL))
			continue;
		sockets->failed = params->listen[i];
		sockets->failed_err = err;
		err = 0;
	}
	if (err < 0) {
		tcp_sockets_close(sockets);
		return err;
	}
	arena_fit(&sockets->arena);
	tcp_engine_set_links(params->engine, &sockets->links);
	*out_sockets = sockets;
	return 0;
}

void tcp_sockets_close(struct tcp_sockets *sockets)
{
	if (!sockets)
		return;
	timer_cancel(sockets->timers, &sockets->accept_timer);
	sockets_listen(sockets, false);
	for (unsigned i = 0; i < sockets->listener_cnt; i++)
		close(sockets->listeners[i].watch.fd);
	arena_close(&sockets->arena);
	explicit_bzero(sockets->proxy_field, sizeof(sockets->proxy_field));
	free(sockets);
}

unsigned tcp_sockets_bound(const struct tcp_sockets *sockets,
			   struct addr out_bound[static TCP_LISTEN_MAX])
{
	for (unsigned i = 0; i < sockets->listener_cnt; i++)
		out_bound[i] = sockets->listeners[i].bound;
	return sockets->listener_cnt;
}
