/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pairs of ends that talk by one relay, on a network that loses, doubles and
 * reorders. Ends move, the relay restarts, and others send what they heard
 * or made up. An end gets its partner's datagrams under its own label and
 * nothing else. The others get only the relay's word that it has no such
 * flow.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "crypto/node_key.h"
#include "net/ingress/ingress_verdict.h"
#include "net/ingress/tables.h"
#include "base/memory/arena.h"
#include "net/mem.h"
#include "relay/forward.h"
#include "relay/relay.h"
#include "support/check.h"
#include "support/seed.h"

#define PAIR_CNT  40
#define OTHER_CNT 4
#define STEP_NS	  1000000ull
#define MTU	  1300
#define WALL_S	  1800000000ull

/* What an end sends behind the label. */
struct inner {
	uint8_t first; /* a short header's */
	uint8_t zero[7];
	uint64_t from, number; /* of the end */
};

struct end {
	struct packet_rx *rx;
	struct packet_tx *tx;
	struct addr addr;
	struct weft_relay_label label; /* what it was told */
	bool is_told;
	uint64_t sent_cnt, heard_cnt, newest, lost_flow_cnt;
};

static struct {
	struct random random;
	struct mem_net *net;
	struct relay *relay;
	struct node_key *key;
	struct arena arena;
	struct weft_tables tables;
	struct demux_judge judge;
	struct relay_forward forward;
	struct packet_rx *rx;
	struct packet_tx *tx;
	struct addr addr;
	struct end ends[2 * PAIR_CNT], others[OTHER_CNT];
	struct relay_flow_id flows[PAIR_CNT];
	unsigned pair_cnt, address_cnt;
	uint64_t now_ns, wrong_cnt, stolen_cnt, moved_cnt, restart_cnt;
	uint8_t overheard[64]; /* a whole datagram of an end */
} world;

static void must(int err)
{
	if (err < 0)
		abort();
}

/* Every second one of IPv4. */
static struct addr address_new(void)
{
	unsigned i = ++world.address_cnt;
	struct addr addr = {.port = 7000, .family = i % 2 ? ADDR_IPV6 : ADDR_IPV4};

	memcpy(addr.ip, i % 2 ? "\x20\x01\x0d\xb8" : "\x0a\x00\x00\x00", 4);
	addr.ip[i % 2 ? 14 : 2] = (uint8_t)(i >> 8);
	addr.ip[i % 2 ? 15 : 3] = (uint8_t)i;
	return addr;
}

static void end_open(struct end *end)
{
	end->addr = address_new();
	must(net_mem_net_attach(world.net, &end->addr, &end->rx, &end->tx));
}

static void relay_begin(void)
{
	struct relay_params params = {.key = world.key,
				      .random = &world.random,
				      .now_ns = world.now_ns,
				      .wall_s = WALL_S + world.now_ns / 1000000000};

	relay_config_defaults(&params.config);
	params.config.flow_cap = 4 * PAIR_CNT;
	params.config.free_per_s = 1000000;
	must(relay_new(&params, &world.relay));
	world.tables.relay = *relay_tables(world.relay);
}

static void pair_open(unsigned pair)
{
	uint8_t owner[RELAY_KEY_LEN] = {(uint8_t)pair, 1};
	const struct relay_flow_terms terms = {
		.owner = owner, .addr = &world.ends[2 * pair].addr, .mtu = MTU};

	must(relay_flow_open(world.relay, &terms, &world.flows[pair]));
	for (unsigned leg = 0; leg < 2; leg++) {
		struct end *end = &world.ends[2 * pair + leg];

		must(relay_flow_set_leg(world.relay, world.flows[pair], leg, &end->addr,
					&world.addr));
		must(relay_flow_label(world.relay, world.flows[pair], leg, &end->label));
		end->is_told = true;
	}
}

static void world_begin(uint64_t seed)
{
	static const uint8_t key[NODE_KEY_SEED_LEN] = {3};
	const struct demux_tables_params tables = {.ban_cap = 4, .session_cap = 16};
	const struct mem_link link = {.delay_ns = 5 * STEP_NS,
				      .jitter_ns = 3 * STEP_NS,
				      .loss_per_1000 = 20,
				      .duplicate_per_1000 = 20,
				      .reorder_per_1000 = 50};

	memset(&world, 0, sizeof(world));
	world.pair_cnt = seed_is_small() ? 8 : PAIR_CNT;
	world.now_ns = 1000 * 1000000000ull;
	random_init_seeded(&world.random, seed_of_run(seed));
	must(net_mem_net_new(2 * PAIR_CNT + OTHER_CNT + 1, 8192, &world.random, &world.net));
	net_mem_net_set_default_link(world.net, &link);
	must(node_key_from_seed(key, &world.key));
	must(arena_open(&world.arena, ARENA_GROWS));
	must(net_ingress_tables_init(&world.tables, &world.arena, &tables));
	world.judge = (struct demux_judge){.tables = &world.tables};
	world.addr = address_new();
	must(net_mem_net_attach(world.net, &world.addr, &world.rx, &world.tx));
	relay_forward_init(&world.forward, &world.tx->sink);
	net_mem_net_advance(world.net, world.now_ns);
	relay_begin();
	for (unsigned i = 0; i < 2 * world.pair_cnt; i++)
		end_open(&world.ends[i]);
	for (unsigned i = 0; i < OTHER_CNT; i++)
		end_open(&world.others[i]);
	for (unsigned i = 0; i < world.pair_cnt; i++)
		pair_open(i);
}

static void end_close(struct end *end)
{
	packet_tx_close(end->tx);
	packet_rx_close(end->rx);
}

static void world_end(void)
{
	for (unsigned i = 0; i < 2 * world.pair_cnt; i++)
		end_close(&world.ends[i]);
	for (unsigned i = 0; i < OTHER_CNT; i++)
		end_close(&world.others[i]);
	packet_tx_close(world.tx);
	packet_rx_close(world.rx);
	relay_free(world.relay);
	net_mem_net_free(world.net);
	arena_close(&world.arena);
	node_key_free(world.key);
}

static void send_bytes(struct end *end, const void *data, size_t len)
{
	const struct dgram_route route = {.local = end->addr, .remote = world.addr};
	struct dgram_slot slot;

	if (!end->tx->sink.ops->reserve(&end->tx->sink, len, &slot))
		return;
	memcpy(slot.data, data, len);
	end->tx->sink.ops->commit(&end->tx->sink, &slot, len, &route);
	(void)packet_tx_flush(end->tx);
}

static void end_send(unsigned i)
{
	struct end *end = &world.ends[i];
	struct inner inner = {.first = 0x40, .from = i, .number = ++end->sent_cnt};
	uint8_t data[WEFT_RELAY_LABEL_LEN + sizeof(inner)];

	memcpy(data, &end->label, WEFT_RELAY_LABEL_LEN);
	memcpy(data + WEFT_RELAY_LABEL_LEN, &inner, sizeof(inner));
	send_bytes(end, data, sizeof(data));
	if (random_below(&world.random, 50) == 0)
		memcpy(world.overheard, data, sizeof(data));
}

/* What an end gets is for it, from its partner; or the relay's word of its own flow. */
static void end_hear(unsigned i, const struct dgram *dgram)
{
	struct end *end = &world.ends[i];
	struct weft_relay_label label;
	struct inner inner;

	memcpy(&label, dgram->data, WEFT_RELAY_LABEL_LEN);
	if (weft_relay_kind(label.head) == WEFT_RELAY_UNKNOWN) {
		label.head = weft_relay_head_of_kind(label.head, WEFT_RELAY_TO_RELAY);
		/* Of its last flow, if that answer was late. */
		end->is_told &= label.head != end->label.head || label.tag != end->label.tag;
		end->lost_flow_cnt++;
		return;
	}
	memcpy(&inner, dgram->data + WEFT_RELAY_LABEL_LEN, sizeof(inner));
	if (dgram->len != WEFT_RELAY_LABEL_LEN + sizeof(inner) ||
	    weft_relay_kind(label.head) != WEFT_RELAY_TO_END || inner.from != (i ^ 1) ||
	    weft_relay_leg(label.head) != (i & 1)) {
		world.wrong_cnt++;
		return;
	}
	end->heard_cnt++;
	if (inner.number > end->newest)
		end->newest = inner.number;
}

/* Others hear answers of kind 2 to what they replayed, and never a datagram of an end. */
static void other_hear(const struct dgram *dgram)
{
	struct weft_relay_label label;

	memcpy(&label, dgram->data, WEFT_RELAY_LABEL_LEN);
	world.stolen_cnt += dgram->len != WEFT_RELAY_LABEL_LEN ||
			    weft_relay_kind(label.head) != WEFT_RELAY_UNKNOWN;
}

/* A moved leg has proved its address by the time that a worker would have been told. */
static void leg_moved(const struct dgram *dgram)
{
	struct weft_relay_label label;
	unsigned leg;

	memcpy(&label, dgram->data, WEFT_RELAY_LABEL_LEN);
	leg = weft_relay_leg(label.head);
	for (unsigned pair = 0; pair < world.pair_cnt; pair++) {
		struct end *end = &world.ends[2 * pair + leg];

		if (world.flows[pair].idx != weft_relay_index(label.head) ||
		    !addr_equal(&end->addr, &dgram->remote))
			continue;
		must(relay_flow_set_leg(world.relay, world.flows[pair], leg, &end->addr,
					&world.addr));
		world.moved_cnt++;
	}
}

static void relay_step(void)
{
	struct dgram dgrams[PACKET_BURST_MAX];
	unsigned cnt;

	world.tables.now_ns = world.now_ns;
	while ((cnt = packet_rx_burst(world.rx, dgrams, PACKET_BURST_MAX))) {
		for (unsigned i = 0; i < cnt; i++) {
			enum weft_reason reason = net_ingress_judge_dgram(&world.judge, &dgrams[i]);

			if (reason == WEFT_REASON_RELAY_MOVED)
				leg_moved(&dgrams[i]);
			(void)relay_forward_input(&world.forward, &dgrams[i],
						  &world.tables.relay_way, reason);
		}
		relay_forward_flush(&world.forward);
		(void)packet_tx_flush(world.tx);
	}
	relay_turn(world.relay, world.now_ns, WALL_S + world.now_ns / 1000000000);
}

static void others_step(void)
{
	uint8_t noise[80];

	for (unsigned i = 0; i < OTHER_CNT; i++) {
		random_fill(&world.random, noise, sizeof(noise));
		noise[0] = 0x9e;
		noise[1] &= 0x83;
		send_bytes(&world.others[i], noise, 16 + random_below(&world.random, 64));
		/* What it overheard, as it was and cut or turned by a bit. */
		memcpy(noise, world.overheard, sizeof(world.overheard));
		if (i % 2)
			noise[random_below(&world.random, 17)] ^=
				(uint8_t)(1u << random_below(&world.random, 8));
		send_bytes(&world.others[i], noise, WEFT_RELAY_LABEL_LEN + sizeof(struct inner));
	}
}

static void end_move(unsigned i)
{
	struct addr to = address_new();

	/* In its family, as a mapping that changed. */
	if (to.family != world.ends[i].addr.family)
		to = address_new();
	must(net_mem_net_move(world.net, &world.ends[i].addr, &to));
	world.ends[i].addr = to;
}

static void world_step(bool is_hard)
{
	struct dgram dgrams[PACKET_BURST_MAX];
	unsigned cnt;

	world.now_ns += STEP_NS;
	net_mem_net_advance(world.net, world.now_ns);
	for (unsigned i = 0; i < 2 * world.pair_cnt; i++) {
		while ((cnt = packet_rx_burst(world.ends[i].rx, dgrams, PACKET_BURST_MAX)))
			for (unsigned k = 0; k < cnt; k++)
				end_hear(i, &dgrams[k]);
		if (random_below(&world.random, 4) == 0)
			end_send(i);
		if (is_hard && random_below(&world.random, 4000) == 0)
			end_move(i);
	}
	for (unsigned i = 0; i < OTHER_CNT; i++)
		while ((cnt = packet_rx_burst(world.others[i].rx, dgrams, PACKET_BURST_MAX)))
			for (unsigned k = 0; k < cnt; k++)
				other_hear(&dgrams[k]);
	others_step();
	relay_step();
	/* An end that was told that its flow is lost opens it anew. */
	for (unsigned i = 0; i < 2 * world.pair_cnt; i++)
		if (!world.ends[i].is_told)
			pair_open(i / 2);
	if (is_hard && random_below(&world.random, 1500) == 0) {
		relay_free(world.relay);
		relay_begin();
		world.restart_cnt++;
	}
}

static void test_ends_hear_their_partners_and_others_hear_nothing(void)
{
	uint64_t newest[2 * PAIR_CNT];

	world_begin(1);
	for (unsigned i = 0; i < 5000; i++)
		world_step(true);
	CHECK(world.restart_cnt > 0 && world.moved_cnt > 0);
	/* Then the network is kind again for a second: all pairs talk both ways. */
	for (unsigned i = 0; i < 500; i++)
		world_step(false);
	for (unsigned i = 0; i < 2 * world.pair_cnt; i++)
		newest[i] = world.ends[i].newest;
	for (unsigned i = 0; i < 500; i++)
		world_step(false);
	for (unsigned i = 0; i < 2 * world.pair_cnt; i++)
		CHECK(world.ends[i].newest > newest[i]);
	CHECK_EQ(world.wrong_cnt, 0);
	CHECK_EQ(world.stolen_cnt, 0);
	world_end();
}

int main(void)
{
	RUN(test_ends_hear_their_partners_and_others_hear_nothing);
	return check_done();
}
