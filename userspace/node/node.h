/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NODE_NODE_H
#define WEFT_NODE_NODE_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "weft/err.h"

struct addr;
struct blobs;
struct fabric;
struct last_crash;
struct launcher;
struct mesh;
struct node;
struct node_config;
struct node_key;
struct packet_rx;
struct packet_tx;
struct punch_ports_ops;
struct quic_engine;
struct random;
struct store;

/*
 * The composition root: one worker's packet I/O, QUIC engine, sessions,
 * content, store and control socket, wired through their seams. The only
 * folder that knows all others.
 *
 * A node is driven turn by turn. weftd turns it in node_run, which waits
 * for descriptors; the simulator turns it itself under a virtual clock.
 */
struct node_params {
	const struct node_config *config; /* borrowed for the node's life */
	const struct node_key *key;	  /* borrowed */
	const char *
		proxy_user; /* borrowed for the node's life; user:password for tcp.proxy; NULL: none */
	struct random *random;		     /* borrowed */
	const struct last_crash *last_crash; /* borrowed; of the run before; NULL: not known */
	struct packet_rx *rx;		     /* taken; NULL: UDP by config */
	struct packet_tx *tx;
	struct launcher *launcher; /* borrowed; NULL: no programs are started */
	bool is_simulated;	   /* no threads, no clock but now_ns, no network but rx and tx */
	bool has_locals; /* simulated: its control socket and programs are there, for node_adopt */
	bool asks_address; /* simulated: it finds out whether others can write to it first */
	const struct punch_ports_ops *ports; /* simulated: sockets to search ports by; NULL: none */
	void *ports_ctx;
	int stop_fd; /* borrowed: readable when the process is to end; 0: none */
	uint64_t now_ns;
	uint64_t wall_s; /* wall clock at now_ns */
};

/*
 * node_new opens the store, packet I/O and control socket, and resumes
 * what was running. Returns 0 with *out_node; else a negative code, and
 * what names the object at fault for the user ("state directory /x",
 * "UDP address 127.0.0.1:7000").
 */
#define NODE_WHAT_CAP 384
WEFT_MUST_CHECK
int node_new(const struct node_params *params, struct node **out_node, char what[NODE_WHAT_CAP]);
/* node_free takes NULL and half-built nodes; it tells no peer: node_run has done that. */
void node_free(struct node *node);
/* node_crash frees as kill -9 would: what is not durable is gone. Simulator only. */
void node_crash(struct node *node);

/*
 * node_turn receives a batch, drains mailboxes, runs timers and flushes.
 * Returns true when there is more to do at once.
 */
bool node_turn(struct node *node, uint64_t now_ns);
/* node_next_ns: when to turn again if nothing arrives before, or UINT64_MAX. */
uint64_t node_next_ns(const struct node *node);

/*
 * node_run turns until node_stop, then drains: says goodbye to peers and
 * waits, bounded, for what the store and the disks still hold.
 * Returns 0 or a negative code.
 */
WEFT_MUST_CHECK
int node_run(struct node *node);
/* node_stop ends node_run after the turn. On the worker only. */
void node_stop(struct node *node);
/*
 * node_reload reads the configuration again (config_reload) and hands what a
 * reload may change to the modules. On the worker only.
 */
WEFT_MUST_CHECK
int node_reload(struct node *node, config_change_fn changed, void *arg,
		char message[static CONFIG_MESSAGE_CAP]);
/* node_poller: for main's signal descriptor and watchdog; NULL when simulated. */
struct poller *node_poller(struct node *node);
struct timer_wheel *node_timers(struct node *node);

/*
 * The simulator's way in. node_is_called: a local program wants a turn. node_adopt gives the
 * gateway a connection, as if remote had made it; fd is taken. node_set_wall: its clock was set.
 */
bool node_is_called(const struct node *node);
void node_adopt(struct node *node, int fd, const struct addr *remote, uint64_t now_ns);
void node_set_wall(struct node *node, uint64_t wall_s, uint64_t now_ns);
struct fabric *node_fabric(struct node *node);
struct blobs *node_content(struct node *node);
struct reachability *node_reachability(struct node *node);
struct mesh *node_mesh(struct node *node);
struct quic_engine *node_quic(struct node *node);

#endif
