/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_CROWD_PARTIES_H
#define WEFT_TESTS_CROWD_PARTIES_H

#include "support/check.h"

#include "base/monotonic.h"
#include "base/list.h"
#include "base/timer.h"
#include "blobs/content_message.h"
#include "crypto/node_key.h"
#include "mesh/mesh.h"
#include "net/mem.h"
#include "quic/quic.h"
#include "support/hostile_peer.h"
#include "support/quic_take.h"
#include "support/seed.h"
#include "support/stored_value.h"

/* What the world "crowd" is made of: places, the node with its handler, honest peers, attackers. */

#define WALL_S	      1800000000ull
#define PORT	      7000
#define HONEST_CNT    18
#define HOSTILE_CAP   256
#define REQUEST_MAX   512
#define WORK_NS	      (50 * NS_PER_MS)	/* of the node's handler, for each question */
#define PAUSE_NS      (500 * NS_PER_MS) /* of an honest peer, between two questions */
#define PATIENCE_NS   (5 * NS_PER_S)
#define WARM_NS	      (3 * NS_PER_S)
#define ATTACK_NS     (6 * NS_PER_S)
#define RECOVERY_NS   (2 * NS_PER_S) /* how soon all is well again */
#define AFTER_NS      (2 * NS_PER_S)
#define SAMPLE_CAP    4096
#define ANSWER_LEN    1000
#define KEY_ASKED_CNT 4 /* questions of a newcomer before it takes another key */
#define CONN_CAP      64
#define INCOMING_CAP  256
#define STORE_CAP     128 /* values that the node keeps */
#define ROW_PARTS     5	  /* a small run has one of so many rows */
#define FLOOD_PUTS    (100ull * STORE_CAP)
#define VALUE_LIFE_S  4 /* about as long as its owner looks for it */

enum place {
	PLACE_ALONE, /* an address in a network of its own */
	PLACE_NAT,   /* one address for all of them */
	PLACE_IPV6,  /* a /48 of its own */
	PLACE_HOST,  /* likewise, another one */
	PLACE_NET,   /* addresses in one /24 */
	PLACE_SITE,  /* /64s in one /48 */
	PLACE_NETS,  /* addresses in three /24s */
	PLACE_CNT,
};

/* What answers questions: the node, or an honest peer. */
struct party {
	struct node_key *key;
	struct addr addr;
	struct packet_rx *rx;
	struct packet_tx *tx;
	struct quic_engine *engine;
	struct mesh *mesh;
	struct mesh_seam seam;
	struct timer_wheel timers;
};

enum kind { KIND_UNKNOWN, KIND_CHOSEN, KIND_CNT };

struct honest {
	struct party party; /* first */
	enum kind kind;
	unsigned asked_cnt; /* questions under this key */
	struct timer pause;
	struct mesh_request *request;
	uint64_t asked_ns;
	uint64_t stored; /* the value that it stored last */
	bool is_finding; /* asks whether that is there */
	uint8_t reply[ANSWER_LEN + 200];
};

/* A question in the node's hands. */
struct work {
	struct timer timer;
	struct mesh_incoming *incoming; /* NULL: free */
};

struct sample {
	uint64_t took_ns; /* UINT64_MAX: not answered */
	enum kind kind;
};

struct row {
	const char *name;
	unsigned key_cnt, stream_max;
	enum hostile_behaviour behaviour;
	enum place place;
	unsigned forged_per_s; /* first Initials that name honest addresses */
	bool is_early;	       /* it is there before the honest are */
	/* What must hold: parts of a thousand that are answered, p95 as times a hundred of calm. */
	unsigned unknown_peer_min, chosen_min, slower_max;
};

static struct mem_net *net;
static struct random source, wire;
static uint64_t now_ns;
static struct party node;
static struct honest honest[HONEST_CNT];
static struct hostile_peer hostiles[HOSTILE_CAP];
static struct hostile_plan plan;
static unsigned honest_cnt, hostile_cnt, forged_cnt;
static uint64_t attack_ns;
static struct work works[REQUEST_MAX];
static struct sample samples[SAMPLE_CAP];
static unsigned sample_cnt;
static bool is_counting;
static struct overlay *keeper;	     /* of the node, where values are stored; NULL: they are not */
static uint64_t stored_cnt, put_cnt; /* by the honest, by attackers */

static inline void die(const char *what)
{
	printf("# test_crowd: %s\n", what);
	exit(1);
}

static inline struct addr place_addr(enum place place, unsigned i)
{
	struct addr addr = {.family = ADDR_IPV4, .port = (uint16_t)(PORT + i)};

	if (place == PLACE_IPV6 || place == PLACE_SITE) {
		addr.family = ADDR_IPV6;
		addr.ip[0] = 0x20, addr.ip[1] = 1;
		/* A /48 of its own, or a /64 of one. */
		addr.ip[place == PLACE_IPV6 ? 4 : 6] = (uint8_t)(1 + i / 250);
		addr.ip[place == PLACE_IPV6 ? 5 : 7] = (uint8_t)(1 + i % 250);
		addr.ip[2] = place == PLACE_IPV6 ? 3 : 4;
		addr.ip[15] = 1;
		return addr;
	}
	addr.ip[0] = (uint8_t)(20 + 10 * place);
	if (place == PLACE_ALONE)
		addr.ip[1] = (uint8_t)(i / 200), addr.ip[2] = (uint8_t)(1 + i % 200);
	if (place == PLACE_NETS)
		addr.ip[2] = (uint8_t)(i % 3);
	addr.ip[3] = place == PLACE_NET || place == PLACE_NETS ? (uint8_t)(1 + i % 250) : 1;
	return addr;
}

/* --- parties --- */

static inline void party_open(struct party *party, const struct addr *addr,
			      const struct quic_config *config)
{
	struct quic_engine_params quic = {.config = *config,
					  .events = &mesh_transport_events,
					  .random = &source,
					  .now_ns = now_ns,
					  .wall_s = WALL_S};
	struct mesh_params mesh = {
		.timers = &party->timers, .random = &source, .now_ns = now_ns, .wall_s = WALL_S};
	uint8_t seed[NODE_KEY_SEED_LEN];

	*party = (struct party){.addr = *addr};
	random_fill(&source, seed, sizeof(seed));
	timer_wheel_init(&party->timers, now_ns);
	mesh_config_defaults(&mesh.config);
	mesh.config.session_cap = mesh.config.peer_cap = config->conn_cap;
	mesh.config.incoming_cap = INCOMING_CAP;
	if (node_key_from_seed(seed, &party->key) < 0 ||
	    net_mem_net_attach(net, addr, &party->rx, &party->tx) < 0)
		die("no place on the network");
	mesh.own_key = node_key_public(party->key);
	if (mesh_new(&mesh, &party->mesh) < 0)
		die("no mesh");
	quic.key = party->key;
	quic.ctx = party->mesh;
	quic.sink = &party->tx->sink;
	if (quic_engine_new(&quic, &party->engine) < 0)
		die("no engine");
	mesh_set_transport(party->mesh, quic_engine_transport(party->engine));
	party->seam = mesh_seam_of(party->mesh);
}

static inline void party_close(struct party *party)
{
	mesh_free(party->mesh);
	quic_engine_free(party->engine);
	packet_rx_close(party->rx);
	packet_tx_close(party->tx);
	node_key_free(party->key);
}

static inline void party_turn(struct party *party)
{
	struct dgram dgrams[PACKET_BURST_MAX];
	unsigned cnt;

	do {
		cnt = packet_rx_burst(party->rx, dgrams, PACKET_BURST_MAX);
		for (unsigned i = 0; i < cnt; i++)
			quic_take(party->engine, &dgrams[i], now_ns);
	} while (cnt == PACKET_BURST_MAX);
	timer_wheel_expire(&party->timers, now_ns);
	quic_engine_expire(party->engine, now_ns);
	quic_engine_flush(party->engine, now_ns);
	(void)packet_tx_flush(party->tx);
}

/* --- the node's handler: each question takes WORK_NS --- */

static inline void work_done(struct timer *timer, uint64_t at_ns)
{
	static const uint8_t bytes[ANSWER_LEN];
	struct work *work = container_of(timer, struct work, timer);
	struct mesh_incoming *incoming = work->incoming;

	(void)at_ns;
	work->incoming = NULL;
	(void)!node.seam.ops->answer(incoming, MESH_MANIFEST_DATA, bytes, sizeof(bytes), NULL);
}

static inline void work_gone(void *arg)
{
	struct work *work = arg;

	timer_cancel(&node.timers, &work->timer);
	work->incoming = NULL;
}

static inline void work_take(void *ctx, const struct mesh_call *call, uint64_t at_ns)
{
	(void)ctx;
	for (unsigned i = 0; i < REQUEST_MAX; i++)
		if (!works[i].incoming) {
			works[i].incoming = call->incoming;
			timer_init(&works[i].timer, work_done);
			timer_set(&node.timers, &works[i].timer, at_ns + WORK_NS);
			node.seam.ops->abandoned(call->incoming, work_gone, &works[i]);
			return;
		}
	die("more questions than the node may take");
}

#endif
