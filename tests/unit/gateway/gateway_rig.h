/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_GATEWAY_RIG_H
#define WEFT_TESTS_GATEWAY_RIG_H

#include "base/monotonic.h"
#include "base/memory/heap.h"
#include "gateway/http_conn_state.h"
#include "gateway/websocket/pass.h"
#include "support/check.h"

/* One connection without sockets: bytes are fed, what it would send is collected. */
#define RIG_BODY_CAP   32
#define RIG_MEMORY_CAP (256 * 1024)
#define RIG_TOKEN      "0123456789abcdefghijklmnopqrstuv"

static struct {
	struct conn_shared shared;
	struct gateway_conn conn;
	struct guard guard;
	struct pass_book passes;
	struct heap *heap;
	char out[512 * 1024];
	size_t out_len;
	uint64_t now_ns;
	unsigned handled_cnt, woken_cnt, gone_cnt;
	struct gateway_exchange *waiting;
	char path[256], query[256], header[256], got[RIG_BODY_CAP + 1];
	enum gateway_method method;
	bool refuses;
	unsigned room_asked_cnt;
	struct gateway_conn *slower; /* evicted when memory is used up */
	/* Of a streamed exchange. */
	char taken[65536];
	size_t taken_len;
	unsigned piece_cnt, finished_cnt, drained_cnt;
	bool holds, is_text, is_last;
	bool accepts_later; /* the test does, what asked for a WebSocket */
} rig;

static inline void rig_remember(const struct gateway_request *request)
{
	const char *value = gateway_header(request, "X-Test");

	rig.handled_cnt++;
	rig.method = request->method;
	snprintf(rig.path, sizeof(rig.path), "%s", request->path);
	snprintf(rig.query, sizeof(rig.query), "%s", request->query);
	snprintf(rig.header, sizeof(rig.header), "%s", value ? value : "none");
	if (request->body_len)
		memcpy(rig.got, request->body, request->body_len);
	rig.got[request->body_len] = '\0';
}

static inline void rig_echo(void *ctx, struct gateway_exchange *exchange,
			    const struct gateway_request *request, uint64_t now_ns)
{
	struct gateway_reply reply = {.status = 200,
				      .type = "text/plain",
				      .headers = "X-Reply: yes\r\n",
				      .body = request->body,
				      .body_len = request->body_len};

	(void)ctx;
	rig_remember(request);
	if (request->method == GATEWAY_GET) {
		reply.body = request->path;
		reply.body_len = strlen(request->path);
	}
	gateway_reply(exchange, &reply, now_ns);
}

/* rig_form: the body is the token, as a page's handler would find it in its form. */
static inline void rig_form(void *ctx, struct gateway_exchange *exchange,
			    const struct gateway_request *request, uint64_t now_ns)
{
	struct gateway_reply reply = {.status = 200, .type = "text/html", .is_own_page = true};
	char text[RIG_BODY_CAP + 1] = "";

	(void)ctx;
	rig_remember(request);
	if (request->body_len)
		memcpy(text, request->body, request->body_len);
	reply.body = gateway_token_is(request, text) ? "right" : "wrong";
	reply.body_len = 5;
	gateway_reply(exchange, &reply, now_ns);
}

static inline void rig_gone(void *arg)
{
	(void)arg;
	rig.gone_cnt++;
	rig.waiting = NULL;
}

static inline void rig_wait(void *ctx, struct gateway_exchange *exchange,
			    const struct gateway_request *request, uint64_t now_ns)
{
	static const struct gateway_events events = {.gone = rig_gone};

	(void)ctx;
	(void)now_ns;
	rig_remember(request);
	rig.waiting = exchange;
	gateway_watch(exchange, &events, NULL);
}

static inline void rig_long(void *ctx, struct gateway_exchange *exchange,
			    const struct gateway_request *request, uint64_t now_ns)
{
	static char body[2 * RIG_MEMORY_CAP];
	struct gateway_reply reply = {.status = 200, .body = body, .body_len = sizeof(body)};

	(void)ctx;
	(void)request;
	gateway_reply(exchange, &reply, now_ns);
}

static inline bool rig_piece(void *arg, const struct gateway_piece *piece, uint64_t now_ns)
{
	(void)arg;
	(void)now_ns;
	if (rig.holds)
		return false;
	memcpy(rig.taken + rig.taken_len, piece->data, piece->len);
	rig.taken_len += piece->len;
	rig.taken[rig.taken_len] = '\0';
	rig.is_text = piece->is_text;
	rig.is_last = piece->is_last;
	rig.piece_cnt++;
	return true;
}

static inline void rig_finished(void *arg, uint64_t now_ns)
{
	(void)arg;
	(void)now_ns;
	rig.finished_cnt++;
}

static inline void rig_drained(void *arg, uint64_t now_ns)
{
	(void)arg;
	(void)now_ns;
	rig.drained_cnt++;
}

/* rig_stream leaves the exchange to the test. */
static inline void rig_stream(void *ctx, struct gateway_exchange *exchange,
			      const struct gateway_request *request, uint64_t now_ns)
{
	static const struct gateway_events events = {.piece = rig_piece,
						     .finished = rig_finished,
						     .drained = rig_drained,
						     .gone = rig_gone};

	(void)ctx;
	(void)now_ns;
	rig_remember(request);
	rig.waiting = exchange;
	gateway_watch(exchange, &events, NULL);
}

static inline void rig_socket(void *ctx, struct gateway_exchange *exchange,
			      const struct gateway_request *request, uint64_t now_ns)
{
	const struct gateway_error *refusal = gateway_socket_reserve(exchange, request);

	if (refusal) {
		gateway_reply_error(exchange, refusal, now_ns);
		return;
	}
	rig_stream(ctx, exchange, request, now_ns);
	if (!rig.accepts_later)
		gateway_socket_accept(exchange, now_ns);
}

static const struct gateway_error rig_instead = {404, "rig_is_off", "The rig is off.", 0};

static const struct gateway_route rig_routes[] = {
	{.path = "/wait",
	 .methods = GATEWAY_GET | GATEWAY_PUT,
	 .access = GATEWAY_PUBLIC,
	 .body_len_max = 8,
	 .handle = rig_wait},
	{.path = "/long", .methods = GATEWAY_GET, .access = GATEWAY_OPEN, .handle = rig_long},
	{.path = "/public",
	 .methods = GATEWAY_GET | GATEWAY_PUT,
	 .access = GATEWAY_PUBLIC,
	 .body_len_max = RIG_BODY_CAP,
	 .handle = rig_echo},
	{.path = "/tree/", .methods = GATEWAY_GET, .access = GATEWAY_OPEN, .handle = rig_echo},
	{.path = "/open",
	 .methods = GATEWAY_GET | GATEWAY_POST,
	 .access = GATEWAY_OPEN,
	 .body_len_max = RIG_BODY_CAP,
	 .handle = rig_echo},
	{.path = "/form",
	 .methods = GATEWAY_GET | GATEWAY_POST,
	 .access = GATEWAY_OPEN,
	 .takes_form_token = true,
	 .body_len_max = RIG_BODY_CAP,
	 .handle = rig_form},
	{.path = "/guarded", .methods = GATEWAY_GET, .access = GATEWAY_GUARDED, .handle = rig_echo},
	{.path = "/stream",
	 .methods = GATEWAY_GET | GATEWAY_POST,
	 .access = GATEWAY_PUBLIC,
	 .is_streamed = true,
	 .body_len_max = 65535,
	 .handle = rig_stream},
	{.path = "/socket",
	 .methods = GATEWAY_GET,
	 .access = GATEWAY_PUBLIC,
	 .is_streamed = true,
	 .body_len_max = 1000,
	 .handle = rig_socket},
	{.path = "/instead", .methods = GATEWAY_GET, .instead = &rig_instead},
	{.path = "/bearers",
	 .methods = GATEWAY_GET | GATEWAY_POST,
	 .access = GATEWAY_OPEN,
	 .passes_authorization = true,
	 .handle = rig_echo},
	{.path = "/",
	 .methods = GATEWAY_GET | GATEWAY_POST | GATEWAY_OPTIONS,
	 .access = GATEWAY_OPEN,
	 .is_site = true,
	 .body_len_max = RIG_BODY_CAP,
	 .handle = rig_echo},
	{.path = "/only", .methods = GATEWAY_PUT, .body_len_max = RIG_BODY_CAP, .handle = rig_echo},
	{.path = NULL},
};

static inline bool rig_admits(struct conn_shared *shared, const struct gateway_conn *conn,
			      uint64_t now_ns)
{
	(void)shared;
	(void)conn;
	(void)now_ns;
	return !rig.refuses;
}

static inline bool rig_make_room(struct conn_shared *shared, const struct gateway_conn *conn)
{
	struct gateway_conn *slower = rig.slower;

	(void)shared;
	(void)conn;
	rig.room_asked_cnt++;
	rig.slower = NULL;
	if (slower)
		gateway_conn_evict(slower);
	return slower != NULL;
}

static inline void rig_woken(struct conn_shared *shared, struct gateway_conn *conn)
{
	(void)shared;
	(void)conn;
	rig.woken_cnt++;
}

static inline uint64_t rig_wall_s(void)
{
	return 784111777;
}

static inline void rig_start(void)
{
	struct addr remote = {.family = ADDR_IPV4, .ip = {192, 0, 2, 1}, .port = 1};

	if (rig.heap)
		gateway_conn_fini(&rig.conn);
	heap_free(rig.heap);
	memset(&rig, 0, sizeof(rig));
	rig.now_ns = NS_PER_S;
	CHECK_EQ(heap_new(RIG_MEMORY_CAP, &rig.heap), 0);
	rig.guard = (struct guard){.hosts = {.names = {"x"}, .cnt = 1},
				   .origins = {.names = {"http://x"}, .cnt = 1},
				   .token = RIG_TOKEN};
	rig.shared = (struct conn_shared){.routes = rig_routes,
					  .guard = &rig.guard,
					  .heap = rig.heap,
					  .wall_s = rig_wall_s,
					  .admits = rig_admits,
					  .make_room = rig_make_room,
					  .woken = rig_woken,
					  .stats.socket_cap = 1};
	gateway_conn_init(&rig.conn, &rig.shared, &remote, rig.now_ns);
}

/* rig_start_sites: services have hosts of their own, as at a gateway of port 5030. */
static inline void rig_start_sites(void)
{
	strcpy(rig.guard.site_suffix, ".localhost:5030");
	gateway_pass_book_init(&rig.passes, 5030);
	rig.shared.passes = &rig.passes;
}

static inline void rig_turn(void)
{
	gateway_conn_turn(&rig.conn, rig.now_ns);
}

/* rig_drain takes at most step bytes at a time. */
static inline void rig_drain(size_t step)
{
	const char *data;
	size_t len;

	while ((len = gateway_conn_output(&rig.conn, &data)) != 0) {
		len = len < step ? len : step;
		memcpy(rig.out + rig.out_len, data, len);
		rig.out_len += len;
		rig.out[rig.out_len] = '\0';
		gateway_conn_sent(&rig.conn, len, rig.now_ns);
	}
}

/* rig_feed gives data in pieces of step bytes as the connection wants them; how much it took. */
static inline size_t rig_feed(const char *data, size_t len, size_t step)
{
	size_t fed = 0;

	while (fed < len) {
		char *room;
		size_t cap = gateway_conn_reserve(&rig.conn, &room);
		size_t piece = len - fed < step ? len - fed : step;

		if (!cap)
			break;
		piece = piece < cap ? piece : cap;
		memcpy(room, data + fed, piece);
		gateway_conn_commit(&rig.conn, piece, rig.now_ns);
		fed += piece;
		rig_drain(SIZE_MAX);
	}
	return fed;
}

static inline void rig_say(const char *text)
{
	(void)rig_feed(text, strlen(text), SIZE_MAX);
}

/* rig_hear gives what was sent since the last time. */
static inline const char *rig_hear(void)
{
	static char heard[sizeof(rig.out)];

	rig_drain(SIZE_MAX);
	memcpy(heard, rig.out, rig.out_len + 1);
	rig.out_len = 0;
	rig.out[0] = '\0';
	return heard;
}

#endif
