/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/memory/heap.h"
#include "gateway/http_conn_state.h"

/*
 * Bytes of a client, in pieces whose length the first byte of the input
 * says. It also says what the handler does: whether it holds pieces back,
 * answers early, late or in pieces, and closes WebSockets by itself. Whatever
 * comes, events follow their order, and memory comes back.
 */
static struct {
	struct gateway_exchange *exchange; /* NULL: none waits */
	bool is_socket, is_finished, is_held;
	uint8_t how;
	uint64_t now_ns;
} run;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static uint64_t wall_s(void)
{
	return 1700000000;
}

static bool admits(struct conn_shared *shared, const struct gateway_conn *conn, uint64_t at_ns)
{
	(void)shared;
	(void)at_ns;
	return conn->route != NULL;
}

static void answer(void)
{
	static const struct gateway_reply chunked = {.status = 200,
						     .body_len = GATEWAY_LEN_UNKNOWN};
	struct gateway_exchange *exchange = run.exchange;

	run.exchange = NULL;
	if (!exchange)
		return;
	if (run.is_socket) {
		gateway_socket_close(exchange, 1000, "", run.now_ns);
	} else if (run.how & 16) {
		gateway_reply_text(exchange, 200, "text", run.now_ns);
	} else {
		gateway_reply_begin(exchange, &chunked, run.now_ns);
		(void)!gateway_reply_more(exchange, "part", 4, run.now_ns);
		gateway_reply_end(exchange, run.now_ns);
	}
}

static bool piece(void *arg, const struct gateway_piece *got, uint64_t at_ns)
{
	(void)arg;
	if (!run.exchange || run.is_finished || got->len > CONN_IN_CAP)
		abort();
	run.is_held = run.how & 32 && !run.is_held;
	if (run.is_held)
		return false;
	if (run.is_socket && gateway_socket_send(run.exchange, got, at_ns) < 0)
		answer();
	else if (!run.is_socket && run.how & 64)
		answer();
	return true;
}

static void finished(void *arg, uint64_t at_ns)
{
	(void)arg;
	(void)at_ns;
	if (!run.exchange || run.is_finished || run.is_socket)
		abort();
	run.is_finished = true;
}

static void gone(void *arg)
{
	(void)arg;
	if (!run.exchange)
		abort();
	run.exchange = NULL;
}

static void handle(void *ctx, struct gateway_exchange *exchange,
		   const struct gateway_request *request, uint64_t at_ns)
{
	static const struct gateway_events events = {
		.piece = piece, .finished = finished, .gone = gone};
	const struct gateway_error *refusal =
		ctx ? gateway_socket_reserve(exchange, request) : NULL;

	if (run.exchange)
		abort();
	if (refusal) {
		gateway_reply_error(exchange, refusal, at_ns);
		return;
	}
	run.exchange = exchange;
	run.is_socket = ctx != NULL;
	run.is_finished = run.is_held = false;
	gateway_watch(exchange, &events, NULL);
	if (ctx)
		gateway_socket_accept(exchange, at_ns);
}

static void take_output(struct gateway_conn *conn)
{
	const char *out;
	size_t len;

	while ((len = gateway_conn_output(conn, &out)) != 0)
		gateway_conn_sent(conn, len, run.now_ns);
}

static void feed(struct gateway_conn *conn, const uint8_t *data, size_t len)
{
	while (len && !gateway_conn_is_over(conn)) {
		char *room;
		size_t cap = gateway_conn_reserve(conn, &room), part = run.how % 16 * 5 + 1u;

		part = part < len ? part : len;
		part = part < cap ? part : cap;
		memcpy(room, data, part);
		data += part;
		len -= part;
		run.now_ns += 1000;
		gateway_conn_commit(conn, part, run.now_ns);
		take_output(conn);
		if (run.is_held && run.exchange)
			gateway_resume(run.exchange);
		else if (!part || run.how & 128)
			answer();
		gateway_conn_turn(conn, run.now_ns);
		take_output(conn);
		if (gateway_conn_deadline_ns(conn) < run.now_ns)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct gateway_route routes[] = {
		{.path = "/whole",
		 .methods = GATEWAY_GET | GATEWAY_POST,
		 .access = GATEWAY_PUBLIC,
		 .body_len_max = 64,
		 .handle = handle},
		{.path = "/stream/",
		 .methods = GATEWAY_GET | GATEWAY_POST,
		 .access = GATEWAY_PUBLIC,
		 .is_streamed = true,
		 .body_len_max = 256,
		 .handle = handle},
		{.path = "/socket",
		 .methods = GATEWAY_GET,
		 .access = GATEWAY_PUBLIC,
		 .is_streamed = true,
		 .body_len_max = 256,
		 .handle = handle,
		 .ctx = &run},
		{.path = "/open", .methods = GATEWAY_GET, .access = GATEWAY_OPEN, .handle = handle},
		{.path = NULL},
	};
	static const struct guard guard = {.hosts = {.names = {"h"}, .cnt = 1},
					   .token = "0123456789abcdefghijklmnopqrstuv"};
	static struct gateway_conn conn;
	struct conn_shared shared = {.routes = routes,
				     .guard = &guard,
				     .wall_s = wall_s,
				     .admits = admits,
				     .stats.socket_cap = 1};
	struct addr remote = {.family = ADDR_IPV4};
	struct heap_usage usage;

	memset(&run, 0, sizeof(run));
	memset(&conn, 0, sizeof(conn));
	run.how = len ? *data : 0;
	run.now_ns = 1000000000;
	if (heap_new(65536, &shared.heap) < 0)
		abort();
	gateway_conn_init(&conn, &shared, &remote, run.now_ns);
	if (len)
		feed(&conn, data + 1, len - 1);
	gateway_conn_eof(&conn);
	gateway_conn_expire(&conn, UINT64_MAX / 2);
	gateway_conn_fini(&conn);
	heap_usage(shared.heap, &usage);
	if (run.exchange || usage.used_len || shared.stats.socket_cnt)
		abort();
	heap_free(shared.heap);
	return 0;
}
