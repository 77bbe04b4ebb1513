/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh_node.h"

#include <poll.h>
#include <string.h>
#include <time.h>

#include "base/monotonic.h"
#include "support/quic_take.h"

static struct node_key *numbered_key(uint8_t number)
{
	const uint8_t seed[NODE_KEY_SEED_LEN] = {number};
	struct node_key *key;

	if (node_key_from_seed(seed, &key) < 0)
		fast_path_fail("node key", "cannot be made");
	return key;
}

void mesh_node_key(uint8_t number, uint8_t out_key[static MESH_KEY_LEN])
{
	struct node_key *key = numbered_key(number);

	memcpy(out_key, node_key_public(key), MESH_KEY_LEN);
	node_key_free(key);
}

static void open_quic(struct mesh_node *node)
{
	struct quic_engine_params params = {
		.events = &mesh_transport_events,
		.ctx = node->mesh,
		.key = node->node_key,
		.random = &node->random,
		.sink = &node->path.udp_tx->sink,
		.now_ns = clock_monotonic_ns(),
	};

	quic_config_defaults(&params.config);
	if (quic_engine_new(&params, &node->quic) < 0)
		fast_path_fail("quic engine", "cannot be made");
	mesh_set_transport(node->mesh, quic_engine_transport(node->quic));
	node->rxs[0] = node->path.udp_rx;
	if (!node->path.xdp)
		return;
	node->rxs[1] = net_xdp_queue_of(node->path.xdp, node->path.device, 0)->rx;
	node->path.keys = *quic_engine_cid_keys(node->quic);
	fast_path_apply(&node->path);
}

void mesh_node_open(struct mesh_node *node, uint8_t number, const char *device, const char *listen)
{
	struct mesh_params params = {
		.timers = &node->timers,
		.random = &node->random,
		.now_ns = clock_monotonic_ns(),
		.wall_s = (uint64_t)time(NULL),
	};

	memset(node, 0, sizeof(*node));
	node->node_key = numbered_key(number);
	params.own_key = node_key_public(node->node_key);
	random_init_system(&node->random);
	timer_wheel_init(&node->timers, params.now_ns);
	mesh_config_defaults(&params.config);
	if (mesh_new(&params, &node->mesh) < 0)
		fast_path_fail("mesh", "cannot be made");
	fast_path_open(&node->path, strcmp(device, "-") == 0 ? NULL : device, listen,
		       XDP_SEND_AUTO);
	open_quic(node);
}

void mesh_node_close(struct mesh_node *node)
{
	mesh_free(node->mesh);
	quic_engine_free(node->quic);
	fast_path_close(&node->path);
	node_key_free(node->node_key);
}

static unsigned take(struct mesh_node *node, struct packet_rx *rx, uint64_t now_ns)
{
	struct dgram dgrams[PACKET_BURST_MAX];
	unsigned cnt = rx ? packet_rx_burst(rx, dgrams, PACKET_BURST_MAX) : 0;

	for (unsigned i = 0; i < cnt; i++)
		quic_take(node->quic, &dgrams[i], now_ns);
	return cnt;
}

static void wait_for_more(struct mesh_node *node, uint64_t wait_ns)
{
	struct pollfd fds[2] = {{.fd = node->rxs[0]->fd, .events = POLLIN},
				{.fd = node->rxs[1] ? node->rxs[1]->fd : -1, .events = POLLIN}};
	uint64_t now_ns = clock_monotonic_ns(), next_ns = quic_engine_next_ns(node->quic);
	uint64_t timers_ns = timer_wheel_next_ns(&node->timers), left_ns;
	struct timespec wait;

	if (timers_ns < next_ns)
		next_ns = timers_ns;
	left_ns = next_ns > now_ns ? next_ns - now_ns : 0;
	if (left_ns > wait_ns)
		left_ns = wait_ns;
	wait = (struct timespec){.tv_sec = (time_t)(left_ns / NS_PER_S),
				 .tv_nsec = (long)(left_ns % NS_PER_S)};
	ppoll(fds, 2, &wait, NULL);
}

void mesh_node_turn(struct mesh_node *node, uint64_t wait_ns)
{
	uint64_t now_ns = clock_monotonic_ns();
	unsigned cnt = take(node, node->rxs[0], now_ns) + take(node, node->rxs[1], now_ns);

	timer_wheel_expire(&node->timers, now_ns);
	quic_engine_expire(node->quic, now_ns);
	quic_engine_flush(node->quic, clock_monotonic_ns());
	(void)packet_tx_flush(node->path.udp_tx);
	if (!cnt && wait_ns)
		wait_for_more(node, wait_ns);
}
