/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls of a service over a session between two nodes, as bench/rpc
 * measures them: a stream for each, answered with as many bytes.
 *
 *   rpc_engine serve DEVICE|- ADDRESS:PORT
 *   rpc_engine call DEVICE|- ADDRESS:PORT REMOTE:PORT LENGTH IN_FLIGHT SECONDS
 *
 * With a device datagrams come by AF_XDP too, - is UDP alone. serve goes on
 * until SIGTERM.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "support/latencies.h"
#include "support/mesh_node.h"

#define SERVER	      1 /* numbers of nodes */
#define CLIENT	      2
#define LEN_MAX	      65536u
#define IN_FLIGHT_MAX 128u

/* Of either side; over when the stream is. */
struct call {
	struct mesh_stream *stream;
	uint64_t began_ns;
	size_t got_len;
	struct call *next; /* while it is free */
};

static struct mesh_node node;
static struct mesh_stream_seam seam;
static struct latencies latencies;
static struct mesh_peer server;
static struct call calls[4096];
static struct call *free_calls;
static uint8_t payload[LEN_MAX];
static size_t call_len;
static unsigned in_flight_cnt;

static void say(struct call *call, unsigned type, size_t len)
{
	struct mesh_stream_frame frame = {.type = type, .payload_len = len};

	if (seam.ops->send(call->stream, &frame, payload, len, NULL) < 0)
		fast_path_fail("rpc", "a stream takes nothing");
	seam.ops->finish(call->stream);
}

static void on_frame(void *arg, const struct mesh_stream_frame *frame, uint64_t now_ns)
{
	(void)arg, (void)frame, (void)now_ns;
}

static void on_data(void *arg, const uint8_t *data, size_t len, uint64_t now_ns)
{
	struct call *call = arg;

	(void)data, (void)now_ns;
	call->got_len += len;
	seam.ops->consume(call->stream, len);
}

static struct call *call_make(void)
{
	struct call *call = free_calls;

	if (!call)
		fast_path_fail("rpc", "too many calls");
	free_calls = call->next;
	*call = (struct call){0};
	return call;
}

static void call_release(struct call *call)
{
	call->next = free_calls;
	free_calls = call;
}

static void on_ended(void *arg, const struct mesh_stream_end *end, uint64_t now_ns)
{
	struct call *call = arg;

	(void)now_ns;
	/* A caller that has what it asked for is gone without a word. */
	if (end->err && call->began_ns)
		fast_path_fail("rpc", weft_err_text(end->err));
	call_release(call);
}

static void on_writable(void *arg, uint64_t now_ns)
{
	(void)arg, (void)now_ns;
}

static void server_finished(void *arg, uint64_t now_ns)
{
	struct call *call = arg;

	(void)now_ns;
	say(call, MESH_REPLY, call->got_len);
}

static const struct mesh_stream_events server_events = {
	.frame = on_frame,
	.data = on_data,
	.finished = server_finished,
	.writable = on_writable,
	.ended = on_ended,
};

static int server_accept(void *ctx, struct mesh_stream *stream, unsigned type, uint64_t now_ns,
			 const struct mesh_stream_events **out_events, void **out_arg)
{
	struct call *call = call_make();

	(void)ctx, (void)type, (void)now_ns;
	call->stream = stream;
	*out_events = &server_events;
	*out_arg = call;
	return 0;
}

static void serve(void)
{
	if (seam.ops->accept(node.mesh, MESH_CALL, server_accept, NULL) < 0)
		fast_path_fail("rpc", "calls cannot be accepted");
	for (;;)
		mesh_node_turn(&node, NS_PER_S);
}

static void call_start(void);

/* The reply is whole: that the call has arrived goes without saying. */
static void client_finished(void *arg, uint64_t now_ns)
{
	struct call *call = arg;

	(void)now_ns;
	if (call->got_len != call_len)
		fast_path_fail("rpc", "a reply of another length");
	in_flight_cnt--;
	if (latencies_add(&latencies, call->began_ns, clock_monotonic_ns()))
		call_start();
}

static const struct mesh_stream_events client_events = {
	.frame = on_frame,
	.data = on_data,
	.finished = client_finished,
	.writable = on_writable,
	.ended = on_ended,
};

static void call_start(void)
{
	struct call *call = call_make();
	struct mesh_stream_open open = {
		.peer = server,
		.timeout_ns = 5 * NS_PER_S,
		.events = &client_events,
		.arg = call,
	};
	int err;

	call->began_ns = clock_monotonic_ns();
	if ((err = seam.ops->open(node.mesh, &open, call->began_ns, &call->stream)) < 0)
		fast_path_fail("rpc", weft_err_text(err));
	say(call, MESH_CALL, call_len);
	in_flight_cnt++;
}

static void run_calls(const char *remote, unsigned cnt, unsigned seconds)
{
	struct addr addr;

	if (addr_parse(remote, &addr) < 0)
		fast_path_fail(remote, "is no address");
	mesh_node_key(SERVER, server.key);
	server.addrs = &addr;
	server.addr_cnt = 1;
	latencies_start(&latencies, seconds, clock_monotonic_ns());
	for (unsigned i = 0; i < cnt; i++)
		call_start();
	while (in_flight_cnt)
		mesh_node_turn(&node, NS_PER_S);
	latencies_print(&latencies, node.rxs[1] && node.rxs[1]->counters.dgram_cnt
					    ? ", \"rx\": \"af_xdp\""
					    : ", \"rx\": \"udp\"");
}

int main(int argc, char **argv)
{
	bool is_server = argc == 4 && strcmp(argv[1], "serve") == 0;
	unsigned cnt;

	if (!is_server && (argc != 8 || strcmp(argv[1], "call") != 0))
		fast_path_fail("rpc_engine", "serve|call DEVICE ADDRESS:PORT ...");
	mesh_node_open(&node, is_server ? SERVER : CLIENT, argv[2], argv[3]);
	seam = mesh_stream_seam_of(node.mesh);
	for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		call_release(&calls[i]);
	if (is_server)
		serve();
	call_len = (size_t)atoi(argv[5]);
	cnt = (unsigned)atoi(argv[6]);
	if (call_len > MESH_STREAM_HEAD_LEN_MAX || !cnt || cnt > IN_FLIGHT_MAX)
		fast_path_fail("rpc_engine", "LENGTH to 16320, IN_FLIGHT 1 to 128");
	run_calls(argv[4], cnt, (unsigned)atoi(argv[7]));
	mesh_node_close(&node);
	return 0;
}
