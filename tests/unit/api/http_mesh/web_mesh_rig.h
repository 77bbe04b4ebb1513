/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_WEB_MESH_RIG_H
#define WEFT_TESTS_WEB_MESH_RIG_H

#include "api/http_mesh/web_mesh.h"

#include "base/monotonic.h"
#include "codec/text/zbase32.h"
#include "gateway/http_conn_state.h"
#include "support/check.h"
#include "support/service_rig.h"

/* Requests at the gateway, and services of the mesh that answer them. */

/*
 * A gateway's connection without sockets in front of a node's fabric without
 * a mesh: services are this node's own.
 */
#define TOKEN "0123456789abcdefghijklmnopqrstuv"
#define HEAD  " HTTP/1.1\r\nHost: h\r\nX-Weft-Token: " TOKEN "\r\n"

static struct {
	struct srig srig;
	struct srig_provider calls, web;
	struct srig_stream stream; /* of what web or calls took */
	struct web_mesh *mesh;
	struct gateway_route routes[WEB_MESH_ROUTE_CNT + 1];
	struct guard guard;
	struct conn_shared shared;
	struct gateway_conn conn;
	struct timer_wheel timers;
	char out[2 * 1024 * 1024];
	size_t out_len;
	bool is_off;
	uint8_t head[SERVICE_HTTP_HEAD_LEN_MAX]; /* that opened the last stream */
	size_t head_len;
} rig;

static inline uint64_t wall_s(void)
{
	return 1700000000;
}

static inline bool admits(struct conn_shared *shared, const struct gateway_conn *conn,
			  uint64_t now_ns)
{
	(void)shared;
	(void)conn;
	(void)now_ns;
	return true;
}

static inline struct service *service_of(void *ctx)
{
	(void)ctx;
	return rig.is_off ? NULL : rig.srig.nodes[SRIG_A].service;
}

static inline struct service_directory *directory_of(void *ctx)
{
	(void)ctx;
	return NULL;
}

static inline void remember_stream(void *ctx, struct service_channel *channel,
				   const struct service_input *input, uint64_t now_ns)
{
	memcpy(rig.head, input->data, input->len);
	rig.head_len = input->len;
	srig_handler.stream(ctx, channel, input, now_ns);
}

static const struct service_handler stream_handler = {.stream = remember_stream};

static inline void conn_begin(void)
{
	struct addr remote = {.family = ADDR_IPV4, .ip = {192, 0, 2, 1}, .port = 1};

	memset(&rig.conn, 0, sizeof(rig.conn));
	gateway_conn_init(&rig.conn, &rig.shared, &remote, rig.srig.net.now_ns);
	rig.out_len = 0;
}

static inline void start(void)
{
	static const struct service_metadata http = {"kind", "http"};
	static const char *const safe[] = {"GET", "HEAD"};
	struct service_offering offering = {.name = "web",
					    .version = "1.2.0",
					    .read_only = safe,
					    .read_only_cnt = 2,
					    .metadata = &http,
					    .metadata_cnt = 1,
					    .handler = &stream_handler};
	struct web_mesh_params params = {.services =
						 "calls, web, only/Good, nobody, reads, pod-chat",
					 .run_cap = 2,
					 .memory_cap = 16 << 20,
					 .body_len_max = 1 << 20,
					 .timeout_ns = 5 * NS_PER_S,
					 .timers = &rig.timers,
					 .service = service_of,
					 .directory = directory_of};

	memset(&rig, 0, sizeof(rig));
	srig_init(&rig.srig, 1, NULL);
	timer_wheel_init(&rig.timers, rig.srig.net.now_ns);
	CHECK(srig_offer(&rig.srig, &rig.calls, SRIG_A, "calls"));
	CHECK(srig_offer_with(&rig.srig, &rig.web, SRIG_A, &offering));
	rig.calls.stream = rig.web.stream = &rig.stream;
	CHECK_EQ(api_http_mesh_new(&params, &rig.mesh), 0);
	api_http_mesh_routes(rig.mesh, rig.routes);
	rig.guard = (struct guard){.hosts = {.names = {"h"}, .cnt = 1}, .token = TOKEN};
	rig.shared = (struct conn_shared){.routes = rig.routes,
					  .guard = &rig.guard,
					  .wall_s = wall_s,
					  .admits = admits,
					  .stats.socket_cap = 1};
	CHECK_EQ(heap_new(16 << 20, &rig.shared.heap), 0);
	conn_begin();
}

static inline void stop(void)
{
	gateway_conn_fini(&rig.conn);
	CHECK_EQ(rig.mesh->runs.used_cnt, 0);
	api_http_mesh_free(rig.mesh);
	heap_free(rig.shared.heap);
	srig_fini(&rig.srig);
}

static inline void drain(void)
{
	const char *data;
	size_t len;

	while ((len = gateway_conn_output(&rig.conn, &data)) != 0) {
		memcpy(rig.out + rig.out_len, data, len);
		rig.out_len += len;
		rig.out[rig.out_len] = '\0';
		gateway_conn_sent(&rig.conn, len, rig.srig.net.now_ns);
	}
}

/* run lets time pass, a millisecond at a time; what comes is read unless is_slow. */
static inline void run_slowly(uint64_t len_ns, bool is_slow)
{
	for (uint64_t end_ns = rig.srig.net.now_ns + len_ns; rig.srig.net.now_ns < end_ns;) {
		srig_run(&rig.srig, NS_PER_MS);
		timer_wheel_expire(&rig.timers, rig.srig.net.now_ns);
		gateway_conn_turn(&rig.conn, rig.srig.net.now_ns);
		if (!is_slow)
			drain();
	}
}

static inline void run(uint64_t len_ns)
{
	run_slowly(len_ns, false);
}

static inline size_t say_bytes(const void *data, size_t len)
{
	size_t said = 0;

	while (said < len) {
		char *room;
		size_t cap = gateway_conn_reserve(&rig.conn, &room);

		if (!cap)
			break;
		cap = cap < len - said ? cap : len - said;
		memcpy(room, (const char *)data + said, cap);
		gateway_conn_commit(&rig.conn, cap, rig.srig.net.now_ns);
		said += cap;
	}
	return said;
}

static inline void say(const char *text)
{
	(void)say_bytes(text, strlen(text));
}

/* ask says text, waits, and gives what was answered. */
static inline const char *ask(const char *text)
{
	rig.out_len = 0;
	rig.out[0] = '\0';
	say(text);
	run(20 * NS_PER_MS);
	return rig.out;
}

static inline bool says(const char *answer, const char *status, const char *text)
{
	if (strncmp(answer + 9, status, 3) == 0 && strstr(answer, text))
		return true;
	printf("# %.1200s\n", answer);
	return false;
}

static inline void answer_head(unsigned status, uint64_t body_len)
{
	struct service_http_answer answer = {.status = status, .body_len = body_len};
	uint8_t head[1024];
	struct writer w = writer_of(head, sizeof(head));
	struct service_piece piece = {.data = head, .is_last = true};

	answer.headers.cnt = 4;
	answer.headers.list[0] = (struct service_http_header){"X-Own", "yes", 5, 3};
	answer.headers.list[1] = (struct service_http_header){"X-Frame-Options", "ALLOW", 15, 5};
	answer.headers.list[2] = (struct service_http_header){
		"Set-Cookie", "s=1;  domain =localhost; Path=/", 10, 31};
	answer.headers.list[3] =
		(struct service_http_header){"Set-Cookie", " weft-5030=planted", 10, 18};
	CHECK_EQ(service_http_answer_write(&w, &answer), 0);
	piece.len = writer_len(&w);
	CHECK_EQ(service_channel_send(rig.stream.channel, &piece, NULL, NULL), 0);
}

#endif
