/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_MESH_RIG_H
#define WEFT_TESTS_MESH_RIG_H

#include "base/random.h"
#include "mesh/mesh.h"
#include "support/transport_pair.h"

/*
 * Meshes on a transport_pair net, and an asker that remembers its results. Node n (from 0) has key
 * byte n + 1 and address pair_addr(n + 1).
 */
#define RIG_NODES     6
#define RIG_REPLY_CAP (300 * 1024)

struct rig_node {
	struct mesh *mesh;
	struct mesh_seam seam;
	struct pair_end *end;
	struct random random;
	unsigned up_cnt, down_cnt;
	struct mesh_peer_info last_peer;
	mesh_step_fn on_step; /* ctx: the rig_node */
	unsigned port_probe_cnt;
	struct addr knocked; /* last */
	unsigned stun_cnt;
	struct addr stun_asked; /* last */
	uint8_t unsought_byte;	/* keys of it are told to no locator; 0: none is */
};

struct rig {
	struct pair_net net;
	struct rig_node nodes[RIG_NODES];
};

struct rig_ask {
	struct mesh_request *request;
	unsigned reply_cnt;
	struct mesh_reply reply; /* payload and key are copied below */
	uint64_t replied_at_ns;
	uint8_t actual_key[MESH_KEY_LEN];
	uint8_t *buf; /* RIG_REPLY_CAP bytes */
};

/* rig_init makes node_cnt nodes with the default config. */
void rig_init(struct rig *rig, unsigned node_cnt);
void rig_fini(struct rig *rig);
/* rig_add makes node idx with config; store may be NULL. Its clock shows wall_s. */
void rig_add(struct rig *rig, unsigned idx, const struct mesh_config *config, struct store *store,
	     uint64_t wall_s);
/* rig_kill ends node idx as kill -9 does; rig_revive makes it anew, with the default config, at addr. */
void rig_kill(struct rig *rig, unsigned idx);
void rig_revive(struct rig *rig, unsigned idx, struct addr addr);
#define RIG_WALL_S 1700000000ull

/* rig_on_step reports steps of discovery of node idx from now on. */
void rig_on_step(struct rig *rig, unsigned idx, mesh_step_fn on_step);

/* rig_ask starts a request from node from to node to, by its address. */
int rig_ask(struct rig *rig, struct rig_ask *ask, unsigned from, unsigned to, unsigned type,
	    const void *payload, size_t len);
/* rig_ask_with: as rig_ask, with a mesh_ask the test filled; buf, reply and arg are set here. */
int rig_ask_with(struct rig *rig, struct rig_ask *ask, unsigned from, struct mesh_ask *call);
void rig_ask_fini(struct rig_ask *ask);
/* rig_connected: one session from node from to node to, both sides past HELLO. */
bool rig_connected(struct rig *rig, unsigned from, unsigned to);

/* A handler that answers with head "H" and the request's payload behind it. */
void rig_echo(void *ctx, const struct mesh_call *call, uint64_t now_ns); /* ctx: rig_node */
/* A handler that keeps the call for the test to answer; ctx: struct rig_kept. */
struct rig_kept {
	struct mesh_incoming *incoming[16];
	unsigned cnt;
	unsigned gone_cnt;
	bool wants_gone; /* set before the call: abandoned() is used */
	const struct mesh_ops *ops;
};
void rig_keep(void *ctx, const struct mesh_call *call, uint64_t now_ns);

/* rig_frame writes a whole frame into out; returns its length. */
size_t rig_frame(uint8_t *out, size_t cap, unsigned type, uint32_t req_id, unsigned flags,
		 const void *payload, size_t len);
/* rig_hello writes a HELLO frame as a peer with unix_s would. */
size_t rig_hello(uint8_t *out, size_t cap, uint64_t unix_s);

#endif
