/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls of a service that another node provides, as bench/rpc measures
 * them; each is answered with as many bytes. Limits are far away.
 *
 *   rpc_engine serve DEVICE|- ADDRESS:PORT
 *   rpc_engine call DEVICE|- ADDRESS:PORT REMOTE:PORT LENGTH IN_FLIGHT SECONDS
 *
 * With a device datagrams come by AF_XDP too, - is UDP alone. serve goes on
 * until a signal.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/monotonic.h"
#include "service/directory/service_id.h"
#include "service/service.h"
#include "support/latencies.h"
#include "support/mesh_node.h"

#define SERVER	      1 /* numbers of nodes */
#define CLIENT	      2
#define LEN_MAX	      65536u
#define IN_FLIGHT_MAX 128u
#define NEVER	      1000000000 /* calls a minute */

static struct mesh_node node;
static struct service *service;
static struct latencies latencies;
static uint8_t server_key[MESH_KEY_LEN], service_id[SERVICE_ID_LEN];
static uint8_t payload[LEN_MAX];
static size_t call_len;
static uint64_t began_ns[IN_FLIGHT_MAX];
static unsigned in_flight_cnt;

static uint64_t wall_ms(void *ctx)
{
	(void)ctx;
	return (uint64_t)time(NULL) * 1000;
}

static void service_start(void)
{
	struct service_params params = {
		.streams = mesh_stream_seam_of(node.mesh),
		.key = node.node_key,
		.timers = &node.timers,
		.random = &node.random,
		.now_ns = clock_monotonic_ns(),
		.wall_ms = wall_ms,
	};

	service_config_defaults(&params.config);
	params.config.limits.calls_per_min = NEVER;
	params.config.limits.peer_calls_per_min = NEVER;
	params.config.limits.in_hand_per_peer = 2 * IN_FLIGHT_MAX;
	params.config.limits.out_per_peer = 2 * IN_FLIGHT_MAX;
	if (service_new(&params, &service) < 0)
		fast_path_fail("rpc", "the service fabric cannot be made");
}

static void handle_call(void *ctx, struct service_call *call, const struct service_input *input,
			uint64_t now_ns)
{
	(void)ctx;
	service_reply(call,
		      &(struct service_outcome){
			      .status = SERVICE_OK, .payload = input->data, .len = input->len},
		      now_ns);
}

static void serve(void)
{
	static const struct service_handler handler = {.call = handle_call};
	const struct service_offering offering = {
		.name = "bench", .version = "1.0.0", .handler = &handler};
	struct service_offer *offer;
	const char *why;

	if (service_offer(service, &offering, clock_monotonic_ns(), &offer, &why) < 0)
		fast_path_fail("rpc", why);
	for (;;)
		mesh_node_turn(&node, NS_PER_S);
}

static void call_start(unsigned number, uint64_t now_ns);

static void on_answer(void *arg, const struct service_answer *answer, uint64_t now_ns)
{
	unsigned number = (unsigned)((uint64_t *)arg - began_ns);

	if (answer->status != SERVICE_OK || answer->len != call_len)
		fast_path_fail("rpc", answer->status ? answer->text : "a reply of another length");
	in_flight_cnt--;
	if (latencies_add(&latencies, began_ns[number], clock_monotonic_ns()))
		call_start(number, now_ns);
}

static void call_start(unsigned number, uint64_t now_ns)
{
	const struct service_target target = {
		.id = service_id, .provider = server_key, .method = "Echo"};
	struct service_ask *ask;
	int err;

	began_ns[number] = clock_monotonic_ns();
	err = service_call_start(service,
				 &(struct service_request){.target = target,
							   .payload = payload,
							   .len = call_len,
							   .timeout_ns = 5 * NS_PER_S,
							   .done = on_answer,
							   .arg = &began_ns[number]},
				 now_ns, &ask);
	if (err < 0)
		fast_path_fail("rpc", weft_err_text(err));
	in_flight_cnt++;
}

static void on_connected(void *arg, int err, const uint8_t *actual_key)
{
	(void)actual_key;
	if (err < 0)
		fast_path_fail("rpc", weft_err_text(err));
	*(bool *)arg = true;
}

static void connect_to(const char *remote)
{
	struct mesh_peer peer = {.addr_cnt = 1};
	bool is_connected = false;
	struct addr addr;

	if (addr_parse(remote, &addr) < 0)
		fast_path_fail(remote, "is no address");
	mesh_node_key(SERVER, server_key);
	service_id_of("bench", server_key, service_id);
	memcpy(peer.key, server_key, sizeof(peer.key));
	peer.addrs = &addr;
	if (mesh_connect(node.mesh,
			 &(struct mesh_connect){.peer = &peer,
						.timeout_ns = 5 * NS_PER_S,
						.done = on_connected,
						.arg = &is_connected},
			 clock_monotonic_ns()) < 0)
		fast_path_fail(remote, "cannot be dialled");
	while (!is_connected)
		mesh_node_turn(&node, NS_PER_S);
}

static void run_calls(unsigned cnt, unsigned seconds)
{
	uint64_t now_ns = clock_monotonic_ns();

	latencies_start(&latencies, seconds, now_ns);
	for (unsigned i = 0; i < cnt; i++)
		call_start(i, now_ns);
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
	service_start();
	if (is_server)
		serve();
	call_len = (size_t)atoi(argv[5]);
	cnt = (unsigned)atoi(argv[6]);
	if (call_len > LEN_MAX || !cnt || cnt > IN_FLIGHT_MAX)
		fast_path_fail("rpc_engine", "LENGTH to 65536, IN_FLIGHT 1 to 128");
	connect_to(argv[4]);
	run_calls(cnt, (unsigned)atoi(argv[7]));
	mesh_node_close(&node);
	service_free(service);
	return 0;
}
