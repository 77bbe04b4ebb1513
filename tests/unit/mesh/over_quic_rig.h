/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_OVER_QUIC_RIG_H
#define WEFT_TESTS_OVER_QUIC_RIG_H

#include "support/check.h"
#include "support/quic_take.h"

#include "base/random.h"
#include "base/timer.h"
#include "crypto/node_key.h"
#include "mesh/session/hello.h"
#include "mesh/peers/identify.h"
#include "mesh/mesh.h"
#include "net/mem.h"
#include "quic/quic.h"

/* Two meshes over two QUIC engines on a network in memory; each serves a chunk. */

#define MS 1000000ull
#define S  (1000 * MS)

#define CHUNK_LEN 262144
#define ASK_CNT	  40

struct party {
	struct node_key *key;
	struct addr addr;
	struct timer_wheel timers;
	struct random random;
	struct packet_rx *rx;
	struct packet_tx *tx;
	struct mesh *mesh;
	struct quic_engine *quic;
	struct mesh_seam seam;
	unsigned up_cnt, down_cnt;
};

static struct mem_net *net;
static struct random dice;
static struct party parties[2];
static uint64_t now_ns;
static uint8_t chunk[CHUNK_LEN];
static unsigned tail_done_cnt;

static inline void on_session(void *ctx, const struct mesh_peer_info *peer, bool is_up)
{
	struct party *party = ctx;

	(void)peer;
	if (is_up)
		party->up_cnt++;
	else
		party->down_cnt++;
}

static inline void tail_done(void *arg)
{
	(void)arg;
	tail_done_cnt++;
}

static inline void serve_chunk(void *ctx, const struct mesh_call *call, uint64_t at_ns)
{
	struct party *party = ctx;
	struct transport_span tail = {chunk, sizeof(chunk), tail_done, NULL};

	(void)at_ns;
	if (party->seam.ops->answer(call->incoming, MESH_CHUNK_DATA, call->payload,
				    call->payload_len, &tail) < 0)
		tail_done(NULL);
}

static inline bool party_start(struct party *party, uint8_t number)
{
	uint8_t seed[NODE_KEY_SEED_LEN] = {number};
	struct quic_engine_params quic = {.events = &mesh_transport_events, .now_ns = now_ns};
	struct mesh_params mesh = {.now_ns = now_ns, .wall_s = 1700000000};

	memset(party, 0, sizeof(*party));
	party->addr = (struct addr){.ip = {10, 0, 0, number}, .port = 7000, .family = ADDR_IPV4};
	timer_wheel_init(&party->timers, now_ns);
	random_init_seeded(&party->random, number);
	if (node_key_from_seed(seed, &party->key) < 0 ||
	    net_mem_net_attach(net, &party->addr, &party->rx, &party->tx) < 0)
		return false;
	mesh_config_defaults(&mesh.config);
	mesh.own_key = node_key_public(party->key);
	mesh.timers = &party->timers;
	mesh.random = &party->random;
	mesh.on_session = on_session;
	mesh.ctx = party;
	if (mesh_new(&mesh, &party->mesh) < 0)
		return false;
	quic_config_defaults(&quic.config);
	quic.key = party->key;
	quic.ctx = party->mesh;
	quic.random = &party->random;
	quic.sink = &party->tx->sink;
	if (quic_engine_new(&quic, &party->quic) < 0)
		return false;
	mesh_set_transport(party->mesh, quic_engine_transport(party->quic));
	party->seam = mesh_seam_of(party->mesh);
	return party->seam.ops->handle(party->mesh, MESH_GET_CHUNK, serve_chunk, party) == 0;
}

static inline void party_stop(struct party *party)
{
	mesh_free(party->mesh);
	quic_engine_free(party->quic);
	packet_rx_close(party->rx);
	packet_tx_close(party->tx);
	node_key_free(party->key);
}

static inline bool both_start(const struct mem_link *link)
{
	now_ns = 1000 * S;
	tail_done_cnt = 0;
	random_init_seeded(&dice, 7);
	for (size_t i = 0; i < sizeof(chunk); i++)
		chunk[i] = (uint8_t)(i * 7 + i / 253);
	if (net_mem_net_new(2, 16384, &dice, &net) < 0)
		return false;
	net_mem_net_set_default_link(net, link);
	net_mem_net_advance(net, now_ns);
	return party_start(&parties[0], 1) && party_start(&parties[1], 2);
}

static inline void both_stop(void)
{
	party_stop(&parties[0]);
	party_stop(&parties[1]);
	net_mem_net_free(net);
}

static inline void party_turn(struct party *party)
{
	struct dgram dgrams[PACKET_BURST_MAX];
	unsigned cnt = packet_rx_burst(party->rx, dgrams, PACKET_BURST_MAX);

	for (unsigned i = 0; i < cnt; i++)
		quic_take(party->quic, &dgrams[i], now_ns);
	timer_wheel_expire(&party->timers, now_ns);
	quic_engine_expire(party->quic, now_ns);
	quic_engine_flush(party->quic, now_ns);
	(void)packet_tx_flush(party->tx);
}

static inline uint64_t party_next_ns(const struct party *party)
{
	uint64_t timers_ns = timer_wheel_next_ns(&party->timers);
	uint64_t quic_ns = quic_engine_next_ns(party->quic);

	return timers_ns < quic_ns ? timers_ns : quic_ns;
}

static inline void run(uint64_t len_ns)
{
	uint64_t until_ns = now_ns + len_ns;

	while (now_ns < until_ns) {
		uint64_t next_ns = net_mem_net_next_ns(net);

		for (unsigned i = 0; i < 2; i++)
			if (party_next_ns(&parties[i]) < next_ns)
				next_ns = party_next_ns(&parties[i]);
		/* A burst may have been left over: never stand still. */
		now_ns = next_ns <= now_ns ? now_ns + MS / 10 : next_ns;
		if (now_ns > until_ns)
			now_ns = until_ns;
		net_mem_net_advance(net, now_ns);
		for (unsigned i = 0; i < 2; i++)
			party_turn(&parties[i]);
	}
}

static inline struct mesh_stats stats_of(unsigned party)
{
	struct mesh_stats stats;

	mesh_stats(parties[party].mesh, &stats);
	return stats;
}

static const struct mem_link good = {.delay_ns = 5 * MS};
static const struct mem_link lossy = {.delay_ns = 5 * MS,
				      .jitter_ns = 2 * MS,
				      .loss_per_1000 = 50,
				      .duplicate_per_1000 = 10,
				      .reorder_per_1000 = 20};

#endif
