/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_GATEWAY_RIG_H
#define WEFT_TESTS_GATEWAY_RIG_H

#include "base/clock.h"
#include "gateway/conn.h"
#include "support/check.h"

/* One connection without sockets: bytes are fed, what it would send is collected. */
#define RIG_BODY_CAP 32

static struct {
	struct conn_shared shared;
	struct gateway_conn conn;
	uint8_t body[RIG_BODY_CAP];
	char out[65536];
	size_t out_len;
	uint64_t now_ns;
	unsigned handled_cnt, replied_cnt, gone_cnt;
	struct gateway_exchange *waiting;
	char path[256], query[256], header[256], got[RIG_BODY_CAP + 1];
	enum gateway_method method;
	bool refuses;
} rig;

static inline void rig_remember(const struct gateway_request *request)
{
	const char *value = gateway_header(request, "X-Test");

	rig.handled_cnt++;
	rig.method = request->method;
	snprintf(rig.path, sizeof(rig.path), "%s", request->path);
	snprintf(rig.query, sizeof(rig.query), "%s", request->query);
	snprintf(rig.header, sizeof(rig.header), "%s", value ? value : "none");
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

static inline void rig_gone(void *arg)
{
	(void)arg;
	rig.gone_cnt++;
	rig.waiting = NULL;
}

static inline void rig_wait(void *ctx, struct gateway_exchange *exchange,
			    const struct gateway_request *request, uint64_t now_ns)
{
	(void)ctx;
	(void)now_ns;
	rig_remember(request);
	rig.waiting = exchange;
	gateway_on_gone(exchange, rig_gone, NULL);
}

static inline void rig_long(void *ctx, struct gateway_exchange *exchange,
			    const struct gateway_request *request, uint64_t now_ns)
{
	static char body[GATEWAY_REPLY_LEN_MAX];
	struct gateway_reply reply = {.status = 200, .body = body, .body_len = sizeof(body)};

	(void)ctx;
	(void)request;
	gateway_reply(exchange, &reply, now_ns);
}

static const struct gateway_route rig_routes[] = {
	{.path = "/wait",
	 .methods = GATEWAY_GET | GATEWAY_PUT,
	 .body_len_max = 8,
	 .handle = rig_wait},
	{.path = "/long", .methods = GATEWAY_GET, .handle = rig_long},
	{.path = "/public",
	 .methods = GATEWAY_GET | GATEWAY_PUT,
	 .is_public = true,
	 .body_len_max = RIG_BODY_CAP,
	 .handle = rig_echo},
	{.path = "/tree/", .methods = GATEWAY_GET, .handle = rig_echo},
	{.path = "/only", .methods = GATEWAY_PUT, .body_len_max = RIG_BODY_CAP, .handle = rig_echo},
	{.path = NULL},
};

static inline bool rig_admits(struct conn_shared *shared, const struct addr *remote,
			      uint64_t now_ns)
{
	(void)shared;
	(void)remote;
	(void)now_ns;
	return !rig.refuses;
}

static inline void rig_replied(struct conn_shared *shared, struct gateway_conn *conn)
{
	(void)shared;
	(void)conn;
	rig.replied_cnt++;
}

static inline uint64_t rig_wall_s(void)
{
	return 784111777;
}

static inline void rig_start(void)
{
	struct addr remote = {.family = ADDR_IPV4, .ip = {192, 0, 2, 1}, .port = 1};

	memset(&rig, 0, sizeof(rig));
	rig.now_ns = NS_PER_S;
	rig.shared = (struct conn_shared){.routes = rig_routes,
					  .wall_s = rig_wall_s,
					  .admits = rig_admits,
					  .replied = rig_replied,
					  .body_cap = RIG_BODY_CAP};
	conn_init(&rig.conn, &rig.shared, &remote, rig.body, rig.now_ns);
}

/* rig_drain takes at most step bytes at a time. */
static inline void rig_drain(size_t step)
{
	const char *data;
	size_t len;

	while ((len = conn_output(&rig.conn, &data)) != 0) {
		len = len < step ? len : step;
		memcpy(rig.out + rig.out_len, data, len);
		rig.out_len += len;
		rig.out[rig.out_len] = '\0';
		conn_sent(&rig.conn, len, rig.now_ns);
	}
}

/* rig_feed gives data in pieces of step bytes as the connection wants them; how much it took. */
static inline size_t rig_feed(const char *data, size_t len, size_t step)
{
	size_t fed = 0;

	while (fed < len) {
		char *room;
		size_t cap = conn_reserve(&rig.conn, &room);
		size_t piece = len - fed < step ? len - fed : step;

		if (!cap)
			break;
		piece = piece < cap ? piece : cap;
		memcpy(room, data + fed, piece);
		conn_commit(&rig.conn, piece, rig.now_ns);
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
