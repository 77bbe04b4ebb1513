/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_SOURCE_NET_H
#define WEFT_TESTS_SOURCE_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/timer.h"
#include "blobs/blobs_state.h"
#include "blobs/swarm/swarm.h"

/*
 * A node's content as far as swarms see it, and sources that answer as the test sets them. The
 * mesh seam is in memory, under a virtual clock. Source n has key byte n + 1 and serves one
 * manifest and one content whose chunk i is chunk_len bytes of i.
 */
#define NET_SOURCES_MAX 1100

struct source_net;
struct mesh_request;

struct net_source {
	uint8_t key[MESH_KEY_LEN];
	bool is_dead;	   /* nothing is answered */
	bool is_liar;	   /* what it sends is wrong */
	uint64_t delay_ns; /* before the first byte */
	uint64_t rate;	   /* bytes/s; 0: as fast as can be */
	uint64_t busy_until_ns;
	enum mesh_code code;		   /* not 0: what it answers to manifests and chunks */
	bool knows_have;		   /* HAVE_CONTENT: else it does not know the message */
	bool has_none;			   /* ABSENT to HAVE_CONTENT */
	uint64_t chunks_begin, chunks_end; /* what it announces and has; 0, 0: all */
	bool is_growing;		   /* and that it is fetching the rest */
	unsigned holder_first, holder_cnt; /* the holders that it names */
	unsigned asked_cnt;		   /* requests it got */
	unsigned chunk_cnt;		   /* chunks it sent */
	unsigned open_cnt, open_peak;	   /* at once */
	uint64_t free_ns;		   /* its line is */
};

struct source_net {
	uint64_t now_ns;
	struct timer_wheel timers;
	struct blobs content;
	struct net_source sources[NET_SOURCES_MAX];
	uint64_t chunk_cnt;
	uint32_t chunk_len;
	uint8_t manifest_id[32];
	struct mesh_request *requests;
	unsigned asked_cnt;
	unsigned cancelled_cnt;
	unsigned bad_cnt;  /* BLOBS_PEER_BAD events */
	unsigned full_cnt; /* so many asks more are refused: full */
};

void source_net_init(struct source_net *net);
/* source_net_fini: every swarm was left. */
void source_net_fini(struct source_net *net);
/* source_net_peer: how source idx is named. */
struct mesh_peer source_net_peer(const struct source_net *net, unsigned idx);
/* source_net_join: a swarm whose hints are the sources [first, first + cnt). */
struct swarm *source_net_join(struct source_net *net, unsigned first, unsigned cnt);
/* source_net_run lets time pass until is_over(arg) or for_ns are over; what is_over said last. */
bool source_net_run(struct source_net *net, uint64_t for_ns, bool (*is_over)(void *arg), void *arg);
extern const uint8_t source_net_manifest[64];

#endif
