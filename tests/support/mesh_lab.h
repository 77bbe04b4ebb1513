/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_MESH_LAB_H
#define WEFT_TESTS_MESH_LAB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/random.h"
#include "mesh/seam_neighbours.h"
#include "mesh/seam.h"
#include "net/mem.h"

/*
 * The seam of mesh/ without mesh/: requests and answers between keys over datagrams on a network in
 * memory. It has a virtual clock, and is cheap enough for a thousand nodes. A request to a new peer
 * begins with a dial, which is a round trip; sessions that are silent for a while end. A node that
 * was down has lost its former sessions. Lost datagrams are not sent again: what they belong to
 * times out.
 *
 * A run is a function of its seed and of the calls here. A failure that stops the test ends the
 * program with a sentence.
 */
#define MESH_LAB_WALL_S	  1800000000ull /* the wall clock when a run begins */
#define MESH_LAB_TYPES	  16
#define MESH_LAB_LENT_MAX 32u

struct mesh_lab;

struct mesh_lab_session {
	uint8_t key[MESH_KEY_LEN];
	struct addr remote;
	uint32_t caps; /* of the peer */
	uint64_t used_ns;
	unsigned renewed_cnt; /* it stands for another session each time */
	bool is_dialled;
};

/* A node; the seam calls it struct mesh. */
struct mesh {
	struct mesh_lab *lab;
	unsigned number;
	uint8_t key[MESH_KEY_LEN];
	struct addr addr;
	bool is_up;
	bool is_deaf; /* no node can dial it, as behind a NAT */
	uint32_t caps;
	struct packet_rx *rx;
	struct packet_tx *tx;
	struct mesh_lab_session *sessions;
	unsigned session_cnt, session_cap;
	struct mesh_request *requests;
	struct mesh_incoming *incoming;
	uint32_t next_id;
	struct {
		unsigned type;
		mesh_handler_fn fn;
		void *ctx;
	} handlers[MESH_LAB_TYPES];
	/* What runs on it: turned when something arrived and when it wants to be. */
	void (*expire)(void *ctx, uint64_t now_ns);
	uint64_t (*next_ns)(void *ctx);
	void *ctx;
	uint64_t due_ns;
	uint64_t dial_cnt, asked_cnt; /* by it */
	const char *refused_pool;     /* of its last refusal; NULL: none yet */
	uint32_t refused_wait_ms;
	unsigned refused_cnt;
	/* Buffers that it lends with answers are not given back before mesh_lab_acknowledge. */
	bool is_unacknowledged;
	struct transport_span lent[MESH_LAB_LENT_MAX];
	unsigned lent_cnt;
};

struct mesh_lab {
	uint64_t seed, now_ns;
	struct random dice; /* for the test's own choices */
	struct random wire;
	struct mem_net *mem;
	struct mesh *nodes;
	unsigned node_cnt, node_cap;
	uint64_t idle_ns;	/* sessions end after so long */
	struct addr announced;	/* by every node in its HELLO; of family ADDR_NONE: nothing */
	uint64_t session_epoch; /* another one makes all sessions others, by their ids */
};

/* link NULL: 20 to 100 ms, one datagram in a hundred is lost. */
void mesh_lab_init(struct mesh_lab *lab, uint64_t seed, unsigned node_cap,
		   const struct mem_link *link);
void mesh_lab_fini(struct mesh_lab *lab);
/* mesh_lab_add makes a node, down, with an address of the Internet in a /24 of its own. */
struct mesh *mesh_lab_add(struct mesh_lab *lab);
/* mesh_lab_up: it has no handlers, sessions or requests at first. */
void mesh_lab_up(struct mesh *node);
/* mesh_lab_down is kill -9: its askers and the nodes that it asks hear nothing. */
void mesh_lab_down(struct mesh *node);
struct mesh_seam mesh_lab_seam_of(struct mesh *node);
/*
 * mesh_lab_acknowledge: the askers of node acknowledge all of its answers so far, and what follows.
 */
void mesh_lab_acknowledge(struct mesh *node);
extern const struct mesh_neighbour_ops mesh_lab_neighbours;
uint64_t mesh_lab_wall_s(const struct mesh_lab *lab);
/* mesh_lab_run lets time pass until done(arg) (NULL: never) or for_ns are over; done's last word. */
bool mesh_lab_run(struct mesh_lab *lab, uint64_t for_ns, bool (*done)(void *arg), void *arg);

/* One request of a test, with what came of it. */
struct mesh_lab_ask {
	struct mesh_request *request;
	bool is_done;
	struct mesh_reply reply;
	uint8_t buf[128 * 1024]; /* payload points into it */
};
/* mesh_lab_ask sends a request from node to another and waits for its end. */
void mesh_lab_ask(struct mesh *node, const struct mesh *to, unsigned type, const void *payload,
		  size_t len, struct mesh_lab_ask *ask);

#endif
