/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The private gateway on a real fabric without a mesh: its one caller is this node, its servers are
 * sockets of the test. Time passes at once.
 */
#include "builtin/tunnels/private_gateway.h"

#include "unit/provider/provider_rig.h"

#include "base/memory/heap.h"
#include "codec/text/zbase32.h"

struct grig {
	struct prig rig;
	struct arena arena;
	struct private_gateway gateway;
	struct provider_tenants *tenants;
	struct provider_tenant *tenant;
	int listener;
	char address[ADDR_TEXT_CAP];
};

static void grig_start(struct grig *g, int backlog)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(sin);
	struct builtin_params params = {.config = {.track_cnt = 1}};
	struct provider_declaration declaration = {.major = 1};
	struct provider_tenants_params node = {0};
	char id[ZBASE32_KEY_TEXT_CAP];

	memset(g, 0, sizeof(*g));
	prig_init(&g->rig);
	g->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	weft_assert(bind(g->listener, (const struct sockaddr *)&sin, sizeof(sin)) == 0);
	weft_assert(listen(g->listener, backlog) == 0);
	weft_assert(getsockname(g->listener, (struct sockaddr *)&sin, &len) == 0);
	snprintf(g->address, sizeof(g->address), "127.0.0.1:%u", ntohs(sin.sin_port));
	builtin_config_defaults(&params.config);
	snprintf(params.config.forward.allow, sizeof(params.config.forward.allow), "%s=%s",
		 zbase32_write(node_key_public(g->rig.key), MESH_KEY_LEN, id), g->address);
	node.poller = g->rig.poller;
	node.timers = &g->rig.timers;
	node.random = &g->rig.random;
	weft_assert(provider_tenants_new(&node, &g->tenants) == 0);
	builtin_gateway_declare(&params.config, &declaration);
	weft_assert(provider_tenant_open(g->tenants, &declaration, &g->tenant) == 0);
	weft_assert(arena_open(&g->arena, ARENA_GROWS) == 0);
	weft_assert(builtin_gateway_init(&g->gateway, &g->arena, &params, g->tenant) == 0);
	weft_assert(builtin_gateway_offer(&g->gateway, g->rig.service, prig_now(&g->rig)) == 0);
}

static void grig_stop(struct grig *g)
{
	builtin_gateway_fini(&g->gateway, prig_now(&g->rig));
	prig_run(&g->rig);
	provider_tenant_close(g->tenant);
	provider_tenants_free(g->tenants);
	arena_close(&g->arena);
	close(g->listener);
	prig_fini(&g->rig);
}

static void tunnel_open(struct grig *g, struct prig_stream *stream)
{
	memset(stream, 0, sizeof(*stream));
	weft_assert(prig_open(&g->rig, stream, "private-gateway", "OpenTunnel", g->address,
			      strlen(g->address)) == 0);
	prig_run(&g->rig);
}

/* A tunnel, and the server's end of it; the first message is empty. */
static int tunnel_joined(struct grig *g, struct prig_stream *stream)
{
	uint64_t end_ns = clock_monotonic_ns() + PRIG_WAIT_NS;
	int fd = -1;

	tunnel_open(g, stream);
	while ((fd < 0 || !stream->message_cnt) && clock_monotonic_ns() < end_ns) {
		prig_turn(&g->rig, NS_PER_MS);
		if (fd < 0)
			fd = accept4(g->listener, NULL, NULL, SOCK_NONBLOCK);
	}
	weft_assert(fd >= 0 && stream->message_cnt == 1 && stream->body_len == 0);
	return fd;
}

static struct prig_stream one, two, three;

static void test_a_tunnel_that_idles_ends(void)
{
	struct grig g;
	char data[8];
	int fd;

	grig_start(&g, 8);
	fd = tunnel_joined(&g, &one);
	prig_pass(&g.rig, 100 * NS_PER_S);
	stream_say(&one, "x", 1, false);
	prig_run(&g.rig);
	CHECK_SOON(&g.rig, recv(fd, data, sizeof(data), MSG_PEEK) == 1);
	CHECK_EQ(read(fd, data, sizeof(data)), 1);
	prig_pass(&g.rig, 119 * NS_PER_S);
	CHECK_EQ(one.ended_cnt, 0);
	prig_pass(&g.rig, 2 * NS_PER_S);
	CHECK_EQ(one.ended_cnt, 1);
	CHECK_EQ(one.status, SERVICE_TIMEOUT);
	CHECK_SOON(&g.rig, read(fd, data, sizeof(data)) == 0);
	close(fd);
	grig_stop(&g);
}

static void test_a_tunnel_ends_after_an_hour(void)
{
	struct grig g;
	int fd;

	grig_start(&g, 8);
	fd = tunnel_joined(&g, &one);
	for (unsigned i = 0; i < 35; i++) {
		prig_pass(&g.rig, 100 * NS_PER_S);
		stream_say(&one, "x", 1, false);
		prig_run(&g.rig);
	}
	CHECK_EQ(one.ended_cnt, 0);
	prig_pass(&g.rig, 101 * NS_PER_S);
	CHECK_EQ(one.ended_cnt, 1);
	CHECK_STR(one.text, "the tunnel was open for as long as it may be");
	close(fd);
	grig_stop(&g);
}

static void test_a_server_that_does_not_answer_is_given_up(void)
{
	struct sockaddr_in sin = {.sin_family = AF_INET};
	struct grig g;
	socklen_t len = sizeof(sin);
	int fillers[4];

	/* A full backlog drops what begins a connection. */
	grig_start(&g, 0);
	weft_assert(getsockname(g.listener, (struct sockaddr *)&sin, &len) == 0);
	for (unsigned i = 0; i < 4; i++) {
		fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)connect(fillers[i], (const struct sockaddr *)&sin, sizeof(sin));
	}
	tunnel_open(&g, &one);
	CHECK_EQ(one.ended_cnt, 0);
	CHECK_EQ(one.message_cnt, 0);
	prig_pass(&g.rig, 11 * NS_PER_S);
	CHECK_EQ(one.ended_cnt, 1);
	CHECK_STR(one.text, "the server does not answer");
	for (unsigned i = 0; i < 4; i++)
		close(fillers[i]);
	grig_stop(&g);
}

static void test_a_third_tunnel_and_a_sixth_within_a_minute_are_refused(void)
{
	struct builtin_tunnels fills;
	struct grig g;
	int fds[2];

	grig_start(&g, 8);
	fds[0] = tunnel_joined(&g, &one);
	fds[1] = tunnel_joined(&g, &two);
	tunnel_open(&g, &three);
	CHECK_EQ(three.status, SERVICE_RATE_LIMITED);
	CHECK_STR(three.text, "this node has its 2 tunnels open there");
	for (unsigned i = 0; i < 3; i++) {
		service_channel_end(two.channel, SERVICE_OK, "");
		prig_run(&g.rig);
		close(fds[1]);
		fds[1] = tunnel_joined(&g, &two);
	}
	service_channel_end(two.channel, SERVICE_OK, "");
	prig_run(&g.rig);
	tunnel_open(&g, &three);
	CHECK_STR(three.text, "5 tunnels were opened there within a minute: try again");
	builtin_gateway_fills(&g.gateway, prig_now(&g.rig), &fills);
	CHECK_EQ(fills.new_cnt, TUNNEL_PER_MIN);
	CHECK_EQ(fills.tunnel_cnt, 1);
	prig_pass(&g.rig, 60 * NS_PER_S);
	close(fds[1]);
	fds[1] = tunnel_joined(&g, &three);
	close(fds[0]);
	close(fds[1]);
	grig_stop(&g);
}

static void test_what_is_not_listed_is_not_dialled(void)
{
	static const struct {
		const char *head;
		enum service_status status;
	} rows[] = {
		{"127.0.0.1:1", SERVICE_FORBIDDEN},	   {"127.0.0.2:80", SERVICE_FORBIDDEN},
		{"localhost:80", SERVICE_INVALID_PAYLOAD}, {"", SERVICE_INVALID_PAYLOAD},
		{"127.0.0.1:0", SERVICE_INVALID_PAYLOAD},
	};
	struct grig g;

	grig_start(&g, 8);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		memset(&one, 0, sizeof(one));
		weft_assert(prig_open(&g.rig, &one, "private-gateway", "OpenTunnel", rows[i].head,
				      strlen(rows[i].head)) == 0);
		prig_run(&g.rig);
		CHECK_EQ(one.ended_cnt, 1);
		CHECK_EQ(one.status, rows[i].status);
	}
	CHECK(accept4(g.listener, NULL, NULL, SOCK_NONBLOCK) < 0);
	grig_stop(&g);
}

int main(void)
{
	RUN(test_a_tunnel_that_idles_ends);
	RUN(test_a_tunnel_ends_after_an_hour);
	RUN(test_a_server_that_does_not_answer_is_given_up);
	RUN(test_a_third_tunnel_and_a_sixth_within_a_minute_are_refused);
	RUN(test_what_is_not_listed_is_not_dialled);
	return check_done();
}
