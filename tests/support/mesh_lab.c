/* SPDX-License-Identifier: Apache-2.0 */
#include "support/mesh_lab.h"

#include <stdlib.h>
#include <string.h>

#include "base/fair/fair_path.h"
#include "base/monotonic.h"
#include "net/packet_io.h"
#include "support/mesh_lab_wire.h"

#define STEP_NS	  (2 * NS_PER_MS)
#define DGRAM_CAP 65536

/* --- sessions --- */

struct mesh_lab_session *mesh_lab_session_lookup(struct mesh *node, const uint8_t *key)
{
	for (unsigned i = 0; i < node->session_cnt; i++)
		if (memcmp(node->sessions[i].key, key, MESH_KEY_LEN) == 0)
			return &node->sessions[i];
	return NULL;
}

void mesh_lab_session_drop(struct mesh *node, const uint8_t *key)
{
	struct mesh_lab_session *session = mesh_lab_session_lookup(node, key);

	if (session)
		*session = node->sessions[--node->session_cnt];
}

struct mesh_lab_session *mesh_lab_session_make(struct mesh *node, const uint8_t *key,
					       const struct addr *remote, uint32_t caps,
					       bool is_dialled)
{
	struct mesh_lab_session *session = mesh_lab_session_lookup(node, key);

	if (!session) {
		if (node->session_cnt == node->session_cap) {
			node->session_cap = 2 * node->session_cap + 16;
			node->sessions = realloc(node->sessions,
						 node->session_cap * sizeof(*node->sessions));
			if (!node->sessions)
				mesh_lab_die("no memory");
		}
		session = &node->sessions[node->session_cnt++];
		memset(session, 0, sizeof(*session));
		memcpy(session->key, key, MESH_KEY_LEN);
		session->is_dialled = is_dialled;
	}
	session->remote = *remote;
	session->caps = caps;
	session->used_ns = node->lab->now_ns;
	return session;
}

static void sessions_prune(struct mesh *node)
{
	for (unsigned i = node->session_cnt; i-- > 0;)
		if (node->sessions[i].used_ns + node->lab->idle_ns < node->lab->now_ns)
			node->sessions[i] = node->sessions[--node->session_cnt];
}

/* --- neighbours --- */

static struct mesh_neighbour describe(const struct mesh *node,
				      const struct mesh_lab_session *session)
{
	struct mesh_neighbour neighbour = {
		.caps = session->caps,
		.remote = session->remote,
		.last_seen_s = mesh_lab_wall_s(node->lab),
		.is_connected = true,
		.is_dialled = session->is_dialled,
		.is_proved = session->is_dialled,
	};

	memcpy(neighbour.key, session->key, MESH_KEY_LEN);
	neighbour.addrs[0] = node->lab->announced;
	neighbour.addr_cnt = node->lab->announced.family != ADDR_NONE;
	return neighbour;
}

static bool neighbour_find(struct mesh *node, const uint8_t key[static MESH_KEY_LEN],
			   struct mesh_neighbour *out_neighbour)
{
	const struct mesh_lab_session *session = mesh_lab_session_lookup(node, key);

	if (session)
		*out_neighbour = describe(node, session);
	return session != NULL;
}

/* The session's place stands for it. */
static bool neighbours_next(struct mesh *node, struct mesh_walk *walk,
			    struct mesh_neighbour *out_neighbour)
{
	const struct mesh_lab_session *last = (const void *)walk->session;
	const struct mesh_lab_session *session = last ? last + 1 : node->sessions;

	if (session == node->sessions + node->session_cnt)
		return false;
	walk->session = (void *)(uintptr_t)session;
	*out_neighbour = describe(node, session);
	return true;
}

static bool neighbour_path(struct mesh *node, const uint8_t key[static MESH_KEY_LEN],
			   struct mesh_path *out_path)
{
	const struct mesh_lab_session *session = mesh_lab_session_lookup(node, key);

	if (session)
		*out_path = (struct mesh_path){.remote = session->remote,
					       .local = node->addr,
					       .session = 1 + session->renewed_cnt};
	return session != NULL;
}

static void neighbours_announce(struct mesh *node, uint32_t caps, bool is_on)
{
	node->caps = is_on ? node->caps | caps : node->caps & ~caps;
}

static void neighbour_account(struct mesh *node, const uint8_t key[static MESH_KEY_LEN],
			      const struct addr *remote, struct fair_path *out_path)
{
	static const struct fair_paths paths;

	(void)node, (void)key;
	fair_path_of_addr(&paths, remote, FAIR_UNKNOWN, out_path);
	fair_path_add(&paths, out_path, &remote->port, sizeof(remote->port));
}

const struct mesh_neighbour_ops mesh_lab_neighbours = {
	.find = neighbour_find,
	.next = neighbours_next,
	.path = neighbour_path,
	.account = neighbour_account,
	.announce = neighbours_announce,
};

/* The lab that began last. */
static struct mesh_lab *lab_begun;

bool mesh_lab_is_under_way(const struct mesh_incoming *incoming)
{
	for (unsigned i = 0; i < lab_begun->node_cnt; i++)
		for (const struct mesh_incoming *at = lab_begun->nodes[i].incoming; at;
		     at = at->next)
			if (at == incoming)
				return true;
	return false;
}

/* --- the loop --- */

static void node_hear(struct mesh *node, const struct dgram *dgram)
{
	struct cursor c = cursor_of(dgram->data, dgram->len);
	enum kind kind = cursor_u8(&c);
	const uint8_t *key = cursor_bytes(&c, MESH_KEY_LEN);
	uint32_t id = cursor_be32(&c);
	struct mesh_lab_session *session = mesh_lab_session_lookup(node, key);

	if (session)
		session->used_ns = node->lab->now_ns;
	switch (kind) {
	case DIAL:
		if (node->is_deaf && !session)
			return;
		(void)mesh_lab_session_make(node, key, &dgram->remote, cursor_be32(&c), false);
		mesh_lab_send_short(node, &dgram->remote, DIALLED, id);
		return;
	case DIALLED:
		mesh_lab_hear_dialled(node, key, &dgram->remote, id, cursor_be32(&c));
		return;
	case ASK:
		if (session)
			mesh_lab_hear_ask(node, key, id, &c);
		else if (!node->is_deaf)
			mesh_lab_send_short(node, &dgram->remote, UNKNOWN, id);
		return;
	case ANSWER:
		mesh_lab_hear_answer(node, id, &c);
		return;
	case UNKNOWN:
		mesh_lab_hear_unknown(node, key, id);
		return;
	}
}

static void node_turn(struct mesh *node)
{
	struct mesh_lab *lab = node->lab;
	struct dgram dgrams[PACKET_BURST_MAX];
	unsigned cnt;

	while ((cnt = packet_rx_burst(node->rx, dgrams, PACKET_BURST_MAX)))
		for (unsigned i = 0; i < cnt; i++)
			node_hear(node, &dgrams[i]);
	sessions_prune(node);
	mesh_lab_requests_expire(node);
	if (node->expire)
		node->expire(node->ctx, lab->now_ns);
	node->due_ns = node->next_ns ? node->next_ns(node->ctx) : UINT64_MAX;
	for (struct mesh_request *at = node->requests; at; at = at->next)
		if (at->deadline_ns < node->due_ns)
			node->due_ns = at->deadline_ns;
	packet_tx_flush(node->tx);
}

bool mesh_lab_run(struct mesh_lab *lab, uint64_t for_ns, bool (*done)(void *arg), void *arg)
{
	uint64_t end_ns = lab->now_ns + for_ns;

	for (;;) {
		uint64_t next_ns = UINT64_MAX;

		for (unsigned i = 0; i < lab->node_cnt; i++) {
			struct mesh *node = &lab->nodes[i];

			if (!node->is_up)
				continue;
			if (net_mem_rx_is_waiting(node->rx) || node->due_ns <= lab->now_ns)
				node_turn(node);
			if (node->due_ns < next_ns)
				next_ns = node->due_ns;
		}
		if (done && done(arg))
			return true;
		if (lab->now_ns >= end_ns)
			return false;
		if (net_mem_net_next_ns(lab->mem) < next_ns)
			next_ns = net_mem_net_next_ns(lab->mem);
		if (next_ns < lab->now_ns + STEP_NS)
			next_ns = lab->now_ns + STEP_NS;
		lab->now_ns = next_ns < end_ns ? next_ns : end_ns;
		net_mem_net_advance(lab->mem, lab->now_ns);
	}
}

/* --- life --- */

void mesh_lab_init(struct mesh_lab *lab, uint64_t seed, unsigned node_cap,
		   const struct mem_link *link)
{
	const struct mem_link usual = {.delay_ns = 20 * NS_PER_MS,
				       .jitter_ns = 80 * NS_PER_MS,
				       .loss_per_1000 = 10,
				       .mtu_len = MEM_DGRAM_LEN_MAX};

	memset(lab, 0, sizeof(*lab));
	lab_begun = lab;
	lab->seed = seed;
	lab->now_ns = NS_PER_S;
	lab->idle_ns = 60 * NS_PER_S;
	random_init_seeded(&lab->dice, seed);
	random_init_seeded(&lab->wire, seed + 1);
	lab->nodes = mesh_lab_take(node_cap, sizeof(*lab->nodes));
	lab->node_cap = node_cap;
	if (net_mem_net_new(node_cap, DGRAM_CAP, &lab->wire, &lab->mem) < 0)
		mesh_lab_die("no memory");
	net_mem_net_set_default_link(lab->mem, link ? link : &usual);
	net_mem_net_advance(lab->mem, lab->now_ns);
}

void mesh_lab_fini(struct mesh_lab *lab)
{
	for (unsigned i = 0; i < lab->node_cnt; i++)
		mesh_lab_down(&lab->nodes[i]);
	net_mem_net_free(lab->mem);
	free(lab->nodes);
	lab->nodes = NULL;
}

struct mesh *mesh_lab_add(struct mesh_lab *lab)
{
	struct mesh *node = &lab->nodes[lab->node_cnt];
	unsigned number = lab->node_cnt;

	if (lab->node_cnt++ == lab->node_cap)
		mesh_lab_die("more nodes than room");
	node->lab = lab;
	node->number = number;
	random_fill(&lab->dice, node->key, sizeof(node->key));
	node->addr = (struct addr){
		.ip = {(uint8_t)(20 + number % 100), (uint8_t)(number >> 8), (uint8_t)number, 7},
		.port = 7000,
		.family = ADDR_IPV4};
	return node;
}

void mesh_lab_up(struct mesh *node)
{
	if (net_mem_net_attach(node->lab->mem, &node->addr, &node->rx, &node->tx) < 0)
		mesh_lab_die("no room on the network");
	memset(node->handlers, 0, sizeof(node->handlers));
	node->caps = 0;
	node->due_ns = 0;
	node->is_up = true;
}

void mesh_lab_down(struct mesh *node)
{
	if (!node->is_up)
		return;
	while (node->requests)
		mesh_lab_request_free(node->requests);
	while (node->incoming)
		mesh_lab_incoming_free(node->incoming);
	free(node->sessions);
	node->sessions = NULL;
	node->session_cnt = node->session_cap = 0;
	packet_rx_close(node->rx);
	packet_tx_close(node->tx);
	node->rx = NULL;
	node->tx = NULL;
	node->expire = NULL;
	node->next_ns = NULL;
	node->is_up = false;
}

uint64_t mesh_lab_wall_s(const struct mesh_lab *lab)
{
	return MESH_LAB_WALL_S + lab->now_ns / NS_PER_S;
}
