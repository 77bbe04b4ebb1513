/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_SIM_H
#define WEFT_TESTS_SIM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/monotonic.h"
#include "base/random.h"
#include "base/timer.h"
#include "blobs/blobs.h"
#include "crypto/node_key.h"
#include "net/mem.h"
#include "config/config.h"
#include "node/node.h"
#include "support/faults.h"
#include "support/scratch.h"

/*
 * Whole nodes on a network in memory under a virtual clock, in one
 * process (docs/simulator.md). Everything random comes from one seed, so
 * that a run is a function of its seed and of the calls here. One
 * simulation at a time: it takes OpenSSL's random numbers over.
 *
 * A node keeps its key, address and state directory while it is down. A failure that stops the test
 * ends the program with a sentence.
 */
#define SIM_NODE_CAP 512
#define SIM_PORT_CAP 1024	   /* sockets of searches, of all nodes */
#define SIM_WALL_S   1800000000ull /* the wall clock when a simulation begins */

struct sim;
struct sim_ports;

struct sim_node {
	struct sim *sim;
	struct addr addr;
	struct node_key *key;
	struct node_config config;
	char state_dir[SCRATCH_CAP];
	int64_t wall_skew_s;	     /* its wall clock less the true one */
	const struct mem_link *link; /* of what it sends; NULL: the network's */
	unsigned group;
	unsigned start_cnt;
	struct random random;
	struct node *node; /* NULL: down */
	struct packet_rx *rx;
	uint64_t paused_until_ns; /* it does nothing before */
	uint64_t paused_ns;	  /* all its pauses together */
	bool asks_address;	  /* it finds out whether others can write to it first */
	bool has_locals;	  /* control socket, gateway and programs: support/sim_local.h */
	struct sim_ports *ports;  /* it searches ports: support/sim_ports.h; NULL: it does not */
};

/*
 * A guest is no node of this program but takes part: turned like one. rx is its side of the
 * network.
 */
struct sim_guest {
	struct packet_rx *rx;
	uint64_t (*turn)(struct sim_guest *guest, uint64_t now_ns); /* when to turn again */
	uint64_t next_ns;
};

struct sim {
	uint64_t seed;
	uint64_t now_ns, begin_ns;
	struct random dice; /* for the test's own choices */
	struct random wire;
	struct mem_net *net;
	char dir[SCRATCH_CAP]; /* in memory where there is /dev/shm */
	struct sim_node nodes[SIM_NODE_CAP];
	unsigned node_cnt;
	/* Of each node, apart from it, so that a step reads little memory for those that rest. */
	uint64_t
		due_ns[SIM_NODE_CAP]; /* turn it then, or later where it pauses; UINT64_MAX: down */
	bool is_reached[SIM_NODE_CAP]; /* by a datagram: turn it in this step */
	bool is_watched[SIM_NODE_CAP]; /* local programs or more sockets may call it at any time */
	struct sim_guest *guest;       /* NULL: none; the test's */
	struct faults *faults;	       /* NULL: none but the test's own */
	struct poller *poller;	       /* of local programs; NULL: there are none */
	struct timer_wheel timers;     /* of what the test does at a time, and its programs */
	unsigned traced[2]; /* a pair that is printed: support/sim_trace.h; equal: none */
	uint64_t turn_cnt;
	uint64_t real_begin_ns, cpu_begin_ns;
	size_t rss_begin_len;
};

/* sim_seed: $SEED, or the given one. */
uint64_t sim_seed(uint64_t seed);
void sim_init(struct sim *sim, uint64_t seed, const struct mem_link *link);
/* sim_fini frees all; it prints how to replay the run if the test has failed. */
void sim_fini(struct sim *sim);
/* sim_report prints, as a TAP comment, times, turns and what a node holds in memory now. */
void sim_report(const struct sim *sim, const char *name);

/*
 * sim_add makes a node with small tables, down; the test may change its
 * config, link and wall clock before sim_start. Nodes are numbered from 0.
 */
struct sim_node *sim_add(struct sim *sim);
/* sim_start begins or goes on where the state directory is. */
void sim_start(struct sim_node *node);
/* sim_crash is kill -9: nothing is said to peers, nothing more is stored. */
void sim_crash(struct sim_node *node);
/* sim_set_group: nodes of other groups do not hear it, and it does not hear them. */
void sim_set_group(struct sim_node *node, unsigned group);

/*
 * sim_run lets time pass until done(arg) says so (asked at each step;
 * NULL: never) or for_ns are over. Returns done's last word.
 */
bool sim_run(struct sim *sim, uint64_t for_ns, bool (*done)(void *arg), void *arg);
/* sim_set_clock: the wall clock of a node, up or down, is off by skew_s from now on. */
void sim_set_clock(struct sim_node *node, int64_t skew_s);
/*
 * sim_faults_begin lets go wrong, in for_ns from now, what the seed draws from ranges; all nodes
 * take part, and the first spared_cnt do not crash. sim_fini ends it.
 */
void sim_faults_begin(struct sim *sim, struct faults *faults, const struct fault_ranges *ranges,
		      uint64_t for_ns, unsigned spared_cnt);
/* sim_wake: something was asked of the node outside its turn, so it has to be turned. */
void sim_wake(struct sim_node *node);

/* sim_share shares path and runs until that is durable. */
void sim_share(struct sim_node *node, const char *path, struct link *out_link);
/* sim_get_start begins a get into target; its id. */
uint64_t sim_get_start(struct sim_node *node, const struct link *link, const char *target);
/* sim_get: borrowed until the next step; NULL while the node is down or does not know id. */
const struct blobs_get *sim_get(const struct sim_node *node, uint64_t id);
/* sim_get_run runs until the get has ended or for_ns are over; as sim_get. */
const struct blobs_get *sim_get_run(struct sim_node *node, uint64_t id, uint64_t for_ns);
/* sim_path: dir/name in one of a few static buffers. */
const char *sim_path(const struct sim *sim, const char *name);

/* --- sim_tree.c --- */

/*
 * sim_file_date gives a file a time, of the 2^32 from 2096 on. Manifests have it, so without it a
 * run depends on when it is played. A file so new that its next change might not show is verified
 * again as it is served. One of the future is so new in every run, however long this machine takes.
 */
void sim_file_date(const char *path, unsigned number);
/*
 * sim_tree_make writes a folder of file_cnt files, the longest about 1 MiB,
 * with duplicates and folders in folders. Their lengths lie around the
 * limits of groups and chunks. Returns its bytes.
 */
uint64_t sim_tree_make(struct random *random, const char *dir, unsigned file_cnt);
/* sim_tree_equal: the same names with the same bytes; prints the first difference. */
bool sim_tree_equal(const char *a, const char *b);

/* --- sim_random.c --- */

/* sim_random_take gives OpenSSL a seeded stream; sim_random_release gives it its own back. */
void sim_random_take(uint64_t seed);
void sim_random_release(void);

#endif
