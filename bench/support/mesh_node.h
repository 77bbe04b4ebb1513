/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_MESH_NODE_H
#define BENCH_MESH_NODE_H

#include "base/random.h"
#include "base/timer.h"
#include "crypto/node_key.h"
#include "mesh/mesh.h"
#include "quic/quic.h"
#include "fast_path.h"

/*
 * The home worker of a node up to its mesh, without the node: datagrams by
 * a UDP socket and, with a device, AF_XDP. What fails ends the program.
 */
struct mesh_node {
	struct fast_path path;
	struct packet_rx *rxs[2]; /* the second by AF_XDP, or NULL */
	struct timer_wheel timers;
	struct random random;
	struct node_key *node_key;
	struct quic_engine *quic;
	struct mesh *mesh;
};

/* mesh_node_open: number makes its key; device "-": none; listen is an address of the device. */
void mesh_node_open(struct mesh_node *node, uint8_t number, const char *device, const char *listen);
void mesh_node_close(struct mesh_node *node);
/* mesh_node_turn is one turn of the daemon's loop; it waits for at most wait_ns. */
void mesh_node_turn(struct mesh_node *node, uint64_t wait_ns);
/* mesh_node_key gives the key of the node of that number, here or elsewhere. */
void mesh_node_key(uint8_t number, uint8_t out_key[static MESH_KEY_LEN]);

#endif
