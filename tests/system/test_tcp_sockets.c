/* SPDX-License-Identifier: Apache-2.0 */
/* Engines of tcp/ over sockets of the loopback: what only the kernel's side can show. */
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/monotonic.h"
#include "base/random.h"
#include "base/thread/poller.h"
#include "base/timer.h"
#include "crypto/node_key.h"
#include "support/check.h"
#include "tcp/tcp.h"
#include "tcp/tcp_proxy.h"
#include "tcp/tcp_sockets.h"

#define TRANSFER_LEN (64u << 20)

struct end {
	struct tcp_engine *engine;
	struct tcp_sockets *sockets;
	struct poller *poller;
	struct timer_wheel timers;
	struct random random;
	struct node_key *key;
	struct addr bound;
	struct transport_conn *conn;
	struct transport_stream *stream;
	uint64_t received_len, to_send_len;
	unsigned ready_cnt, closed_cnt;
	int close_err;
	uint64_t close_code;
	bool has_fin;
};

static uint8_t bytes[1 << 16];

static int on_ready(void *ctx, struct transport_conn *conn, uint64_t now_ns)
{
	struct end *end = ctx;

	(void)now_ns;
	end->conn = conn;
	end->ready_cnt++;
	return 0;
}

static void on_closed(void *ctx, struct transport_conn *conn, const struct transport_close *close,
		      uint64_t now_ns)
{
	struct end *end = ctx;

	(void)conn, (void)now_ns;
	end->conn = NULL;
	end->closed_cnt++;
	end->close_err = close->err;
	end->close_code = close->code;
}

static void on_available(void *ctx, struct transport_conn *conn, uint64_t now_ns)
{
	(void)ctx, (void)conn, (void)now_ns;
}

static int on_opened(void *ctx, struct transport_conn *conn, struct transport_stream *stream,
		     uint64_t now_ns)
{
	(void)conn, (void)now_ns;
	((struct end *)ctx)->stream = stream;
	return 0;
}

static void on_data(void *ctx, struct transport_stream *stream, const struct transport_piece *piece,
		    uint64_t now_ns)
{
	struct end *end = ctx;

	(void)now_ns;
	end->received_len += piece->len;
	end->has_fin |= piece->fin;
	tcp_engine_transport(end->engine)->ops->consume(stream, piece->len);
	if (piece->fin)
		tcp_engine_transport(end->engine)->ops->finish(stream);
}

static void on_reset(void *ctx, struct transport_stream *stream, uint64_t code, uint64_t now_ns)
{
	(void)ctx, (void)stream, (void)code, (void)now_ns;
}

static void end_send(struct end *end)
{
	const struct transport_ops *ops = tcp_engine_transport(end->engine)->ops;

	while (end->to_send_len) {
		struct transport_span span = {.data = bytes, .len = sizeof(bytes)};

		if (span.len > end->to_send_len)
			span.len = end->to_send_len;
		if (ops->send(end->stream, &span) < 0)
			return;
		end->to_send_len -= span.len;
	}
	ops->finish(end->stream);
}

static void on_writable(void *ctx, struct transport_stream *stream, uint64_t now_ns)
{
	(void)stream, (void)now_ns;
	end_send(ctx);
}

static void on_stream_closed(void *ctx, struct transport_stream *stream, uint64_t code,
			     uint64_t now_ns)
{
	(void)stream, (void)code, (void)now_ns;
	((struct end *)ctx)->stream = NULL;
}

static const struct transport_events speaker = {
	.conn_ready = on_ready,
	.conn_closed = on_closed,
	.conn_streams_available = on_available,
	.stream_opened = on_opened,
	.stream_data = on_data,
	.stream_reset = on_reset,
	.stream_writable = on_writable,
	.stream_closed = on_stream_closed,
};

static void end_open_proxied(struct end *end, uint8_t seed, bool is_ipv6, const struct addr *proxy)
{
	struct addr listen = {.ip = {127, 0, 0, 1}, .family = ADDR_IPV4};
	struct tcp_engine_params params = {.events = &speaker,
					   .ctx = end,
					   .random = &end->random,
					   .now_ns = clock_monotonic_ns()};
	struct tcp_sockets_params sockets = {.listen = &listen, .listen_cnt = 1};
	uint8_t key_seed[32] = {seed};
	struct addr bound[TCP_LISTEN_MAX];

	memset(end, 0, sizeof(*end));
	if (is_ipv6)
		listen = (struct addr){.ip = {[15] = 1}, .family = ADDR_IPV6};
	random_init_seeded(&end->random, seed);
	timer_wheel_init(&end->timers, clock_monotonic_ns());
	CHECK_EQ(node_key_from_seed(key_seed, &end->key), 0);
	params.key = end->key;
	tcp_config_defaults(&params.config);
	params.config.proxy = sockets.proxy = proxy ? *proxy : (struct addr){0};
	CHECK_EQ(tcp_engine_new(&params, &end->engine), 0);
	CHECK_EQ(poller_new(tcp_config_link_cap(&params.config) + 1, &end->poller), 0);
	sockets.engine = end->engine;
	sockets.poller = end->poller;
	sockets.timers = &end->timers;
	sockets.link_cap = tcp_config_link_cap(&params.config);
	CHECK_EQ(tcp_sockets_open(&sockets, &end->sockets), 0);
	CHECK_EQ(tcp_sockets_bound(end->sockets, bound), 1);
	end->bound = bound[0];
}

static void end_open(struct end *end, uint8_t seed, bool is_ipv6)
{
	end_open_proxied(end, seed, is_ipv6, NULL);
}

static void end_close(struct end *end)
{
	tcp_engine_free(end->engine);
	tcp_sockets_close(end->sockets);
	poller_free(end->poller);
	node_key_free(end->key);
}

static void end_turn(struct end *end)
{
	uint64_t now_ns = clock_monotonic_ns();

	tcp_engine_flush(end->engine, now_ns);
	CHECK(poller_poll(end->poller, now_ns) >= 0);
	timer_wheel_expire(&end->timers, now_ns);
	tcp_engine_expire(end->engine, now_ns);
	tcp_engine_flush(end->engine, now_ns);
}

static void turn_for(struct end *a, struct end *b, uint64_t for_ns, bool (*done)(struct end *a))
{
	uint64_t end_ns = clock_monotonic_ns() + for_ns;

	while (clock_monotonic_ns() < end_ns && !(done && done(a))) {
		end_turn(a);
		end_turn(b);
	}
}

static bool is_ready(struct end *a)
{
	return a->ready_cnt || a->closed_cnt;
}

static bool has_answer(struct end *a)
{
	return a->has_fin || a->closed_cnt;
}

static bool is_over(struct end *a)
{
	return a->closed_cnt;
}

static int end_dial(struct end *from, const struct addr *to, const struct node_key *key)
{
	struct transport *transport = tcp_engine_transport(from->engine);
	struct transport_dial dial = {.remote = *to};

	memcpy(dial.peer_key, node_key_public(key), TRANSPORT_KEY_LEN);
	return transport->ops->dial(transport, &dial, clock_monotonic_ns(), &from->conn);
}

static void transfer(bool is_ipv6)
{
	static struct end a, b;
	struct transport_conn_info info;

	end_open(&a, 1, is_ipv6);
	end_open(&b, 2, is_ipv6);
	CHECK_EQ(end_dial(&a, &b.bound, b.key), 0);
	turn_for(&a, &b, 5 * NS_PER_S, is_ready);
	CHECK_EQ(a.ready_cnt, 1);
	a.to_send_len = TRANSFER_LEN;
	CHECK_EQ(tcp_engine_transport(a.engine)->ops->open(a.conn, NULL, &a.stream), 0);
	end_send(&a);
	turn_for(&a, &b, 30 * NS_PER_S, has_answer);
	CHECK_EQ(b.received_len, TRANSFER_LEN);
	CHECK(b.has_fin && a.has_fin);
	tcp_engine_transport(a.engine)->ops->info(a.conn, &info);
	CHECK(info.rtt_ns > 0 && info.cwnd_len > 0 && info.pmtu_len > 0);
	CHECK(info.sent_len > TRANSFER_LEN && info.received_len > 0);
	CHECK(addr_equal(&info.remote, &b.bound));
	end_close(&a);
	end_close(&b);
}

static void test_bytes_pass_over_the_loopback(void)
{
	transfer(false);
}

static void test_bytes_pass_over_ipv6(void)
{
	int fd = socket(AF_INET6, SOCK_STREAM, 0);
	struct sockaddr_in6 sa = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	bool has_ipv6 = fd >= 0 && bind(fd, (const struct sockaddr *)&sa, sizeof(sa)) == 0;

	close(fd);
	if (has_ipv6)
		transfer(true);
}

static void test_a_closed_port_is_unreachable_at_once(void)
{
	static struct end a, b;
	struct addr nowhere = {.ip = {127, 0, 0, 1}, .port = 1, .family = ADDR_IPV4};

	end_open(&a, 1, false);
	end_open(&b, 2, false);
	CHECK_EQ(end_dial(&a, &nowhere, b.key), 0);
	turn_for(&a, &b, 2 * NS_PER_S, is_over);
	CHECK_EQ(a.closed_cnt, 1);
	CHECK_EQ(a.close_err, WEFT_EUNREACHABLE);
	end_close(&a);
	end_close(&b);
}

static void test_a_port_is_bound_once(void)
{
	static struct end a;
	struct tcp_sockets_params params = {.listen_cnt = 1};
	struct tcp_sockets *second = NULL;
	struct addr failed, bound[TCP_LISTEN_MAX];

	end_open(&a, 1, false);
	params.engine = a.engine;
	params.poller = a.poller;
	params.timers = &a.timers;
	params.listen = &a.bound;
	params.link_cap = 1;
	CHECK_EQ(tcp_sockets_open(&params, &second), 0);
	CHECK_EQ(tcp_sockets_failed(second, &failed), -EADDRINUSE);
	CHECK(addr_equal(&failed, &a.bound));
	CHECK_EQ(tcp_sockets_bound(second, bound), 0);
	tcp_sockets_close(second);
	end_close(&a);
}

/* More clients of one network than there are places, of which none says a word, and then a node. */
static void test_silent_clients_leave_a_place(void)
{
	static int fds[400];
	static struct end a, b;
	struct sockaddr_storage sa;
	unsigned len;

	end_open(&a, 1, false);
	end_open(&b, 2, false);
	len = addr_to_sockaddr(&b.bound, &sa);
	for (unsigned i = 0; i < 400; i++) {
		const struct addr own = {.ip = {127, 9, 9, (uint8_t)(1 + i % 16)},
					 .family = ADDR_IPV4};
		struct sockaddr_storage own_sa;
		unsigned own_len = addr_to_sockaddr(&own, &own_sa);

		fds[i] = socket(AF_INET, SOCK_STREAM, 0);
		CHECK_EQ(bind(fds[i], (const struct sockaddr *)&own_sa, own_len), 0);
		CHECK_EQ(connect(fds[i], (const struct sockaddr *)&sa, len), 0);
		if (i % 50 == 0)
			end_turn(&b);
	}
	CHECK_EQ(end_dial(&a, &b.bound, b.key), 0);
	turn_for(&a, &b, 5 * NS_PER_S, is_ready);
	CHECK_EQ(a.ready_cnt, 1);
	for (unsigned i = 0; i < 400; i++)
		close(fds[i]);
	end_close(&a);
	end_close(&b);
}

/* A dial of a peer on the Internet through a proxy that says answer, in two pieces, and its end. */
static uint64_t proxied_code(const char *answer)
{
	static struct end a, b;
	struct addr bound = {.ip = {127, 0, 0, 1}, .family = ADDR_IPV4}, proxy;
	struct addr peer = {
		.ip = {192, 0, 2, 1}, .port = 7001, .family = ADDR_IPV4, .transport = ADDR_TCP};
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(&bound, &sa);
	int listener = socket(AF_INET, SOCK_STREAM, 0), client = -1;
	char request[TCP_PROXY_REQUEST_CAP] = "";
	ssize_t n = 0;

	weft_assert(bind(listener, (const struct sockaddr *)&sa, len) == 0);
	weft_assert(listen(listener, 1) == 0);
	weft_assert(getsockname(listener, (struct sockaddr *)&sa, &len) == 0);
	weft_assert(addr_from_sockaddr((const struct sockaddr *)&sa, &proxy) == 0);
	end_open_proxied(&a, 1, false, &proxy);
	end_open(&b, 2, false);
	weft_assert(end_dial(&a, &peer, b.key) == 0);
	for (unsigned i = 0; i < 100000 && n <= 0; i++) {
		end_turn(&a);
		if (client < 0)
			client = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
		n = client < 0 ? 0 : recv(client, request, sizeof(request) - 1, MSG_DONTWAIT);
	}
	weft_assert(strncmp(request, "CONNECT 192.0.2.1:7001 HTTP/1.1\r\n", 33) == 0);
	for (size_t half = strlen(answer) / 2, i = 0; i < 2; i++) {
		const char *at = answer + i * half;

		(void)send(client, at, i ? strlen(at) : half, MSG_NOSIGNAL);
		turn_for(&a, &b, 20 * NS_PER_MS, is_over);
	}
	close(client);
	turn_for(&a, &b, 2 * NS_PER_S, is_over);
	weft_assert(a.closed_cnt == 1 && tcp_engine_proxy(a.engine)->addr.port == proxy.port);
	close(listener);
	end_close(&a);
	end_close(&b);
	return a.close_err == WEFT_EUNREACHABLE ? a.close_code : UINT64_MAX;
}

static void test_a_proxy_that_does_not_connect_is_the_reason(void)
{
	CHECK_EQ(proxied_code("HTTP/1.1 407 No\r\nA: b\r\n\r\nbody"), 407);
	CHECK_EQ(proxied_code("HTTP/1.1 302 Elsewhere\r\n\r\n"), 302);
	CHECK_EQ(proxied_code("HTTP/1.1 200 Fine\r\nA: b"), TCP_PROXY_CUT);
	CHECK_EQ(proxied_code("SSH-2.0-x\r\n"), TCP_PROXY_FOREIGN);
	CHECK_EQ(proxied_code("HTTP/1.1 200 Fine\r\n\r\n\x15"), TCP_PROXY_FOREIGN);
	/* Then the connection is open, and its end is the peer's. */
	CHECK_EQ(proxied_code("HTTP/1.1 200 Fine\r\n\r\n"), UINT64_MAX);
}

int main(void)
{
	RUN(test_bytes_pass_over_the_loopback);
	RUN(test_bytes_pass_over_ipv6);
	RUN(test_a_closed_port_is_unreachable_at_once);
	RUN(test_a_port_is_bound_once);
	RUN(test_a_proxy_that_does_not_connect_is_the_reason);
	RUN(test_silent_clients_leave_a_place);
	return check_done();
}
