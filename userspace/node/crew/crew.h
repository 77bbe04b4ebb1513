/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NODE_CREW_H
#define WEFT_NODE_CREW_H

#include <stdbool.h>
#include <stdint.h>

#include "content/content.h"
#include "mesh/mesh.h"
#include "node/crew/worker_figures.h"
#include "weft/fastpath.h"

struct addr;
struct arrivals_changes;
struct ban_list;
struct handover;
struct node_config;
struct node_key;
struct store;
struct crew_content;

/*
 * The workers besides home, each a thread. They accept sessions and serve
 * content; home does all else, and has the users of streams to services
 * (stream_inlet.h). Nothing is shared with home but the store, which they
 * read, and rings each way: orders go there, reports come back. Every function here is for home's thread.
 */
struct crew;

/* A queue of an attached device that is given to a worker, and taken back. */
struct crew_queue {
	struct xdp_queue *queue; /* not to be looked at when it comes back */
	unsigned device, idx;
	uint32_t serial; /* the giver's */
};

struct crew_params {
	const struct node_config *config; /* worker_cnt - 1 of them are made */
	const struct node_key *key;
	struct store *store;
	struct mesh *mesh; /* home's, which takes streams to services on their sessions */
	struct handover *handover;
	const struct addr *listen; /* as bound by home */
	uint32_t cid_epoch;
	const struct addr *advertised;
	unsigned advertised_cnt;
	/* Called from crew_reap. */
	void (*on_session)(void *ctx, const struct mesh_peer_info *peer, bool is_up);
	void (*on_failure)(void *ctx, const struct mesh_failure *failure);
	void (*on_path)(void *ctx, const struct addr *remote); /* as a worker's */
	void (*on_finding)(void *ctx, const struct content_finding *finding);
	void (*on_sample)(void *ctx, const struct weft_sample *sample);
	/* What strangers sent to the sockets of worker idx. */
	void (*on_arrivals)(void *ctx, unsigned idx, const struct arrivals_changes *changes);
	/* A peer told worker idx of itself; what a worker sent. */
	void (*on_member)(void *ctx, unsigned idx, const struct content_member *member);
	void (*on_usage)(void *ctx, const struct content_usage *usage);
	void (*on_served)(void *ctx, const uint8_t manifest_id[static 32], uint64_t len);
	/* It has no more to do with queue; err: because it could not take it. */
	void (*on_queue_left)(void *ctx, const struct crew_queue *queue, int err);
	/* Worker idx ended without an order; err: its event loop failed so. */
	void (*on_ended)(void *ctx, unsigned idx, int err);
	void *ctx;
};

/*
 * crew_new binds their sockets once home has bound its own, and crew_start
 * starts the threads; what was spread in between is in force before a
 * worker takes its first datagram. 0, or a negative code with what naming
 * the object at fault (NODE_WHAT_CAP).
 */
WEFT_MUST_CHECK
int crew_new(const struct crew_params *params, struct crew **out_crew, char *what);
WEFT_MUST_CHECK
int crew_start(struct crew *crew, char *what);
/* crew_stop asks every worker to say goodbye and drain, within config's time. */
void crew_stop(struct crew *crew);
/*
 * crew_free stops what runs and waits for it, a few seconds beyond config's
 * time; a thread that does not end then ends the process, with a core to
 * look at: what it uses cannot be freed. NULL is nothing.
 */
void crew_free(struct crew *crew);

/*
 * crew_reap handles reports and what happened on streams; true: there was some. crew_fd
 * becomes readable when there is. crew_flush, at the end of a turn, passes on what was said on
 * streams; true: try again soon.
 */
bool crew_reap(struct crew *crew, uint64_t now_ns);
bool crew_flush(struct crew *crew);
int crew_fd(const struct crew *crew);

unsigned crew_cnt(const struct crew *crew);
/* crew_figures: of worker idx, 1 to crew_cnt, a fraction of a second old when it is busy. */
const struct worker_figures *crew_figures(const struct crew *crew, unsigned idx);
/* crew_report_cnt: reports of worker idx that home has not read, of CREW_REPORT_MAX. */
#define CREW_REPORT_MAX 1024
unsigned crew_report_cnt(const struct crew *crew, unsigned idx);
/* crew_order_lost_cnt: orders that worker idx had no room for; what must arrive is given again. */
uint64_t crew_order_lost_cnt(const struct crew *crew, unsigned idx);

/* A session that one of them has; peer is as it was within the last second or two. */
struct crew_session {
	struct mesh_peer_info peer;
	unsigned worker_idx;
};
/* crew_session_lookup: borrowed until the next reap; NULL: none has a session with key. */
const struct crew_session *crew_session_lookup(const struct crew *crew,
					       const uint8_t key[static MESH_KEY_LEN]);
/* crew_session_next walks them: start with NULL, ends with NULL. */
const struct crew_session *crew_session_next(const struct crew *crew,
					     const struct crew_session *session);

/*
 * crew_spread_reach hands every worker content's new list of what peers
 * may read. False: not all could be told, try again soon.
 */
bool crew_spread_reach(struct crew *crew, struct content *content);
/*
 * crew_spread_partials hands every worker what content's gets are fetching,
 * crew_spread_limits what is in force, its part of the upload of all and its credits:
 * state has them by worker. As crew_spread_reach. crew_spread_member tells all
 * but worker but_idx of a node that serves; what is lost is heard of again.
 */
bool crew_spread_partials(struct crew *crew, struct content *content);
bool crew_spread_limits(struct crew *crew, const uint64_t values[static CONTENT_LIMIT_CNT],
			const struct crew_content *state);
void crew_spread_member(struct crew *crew, unsigned but_idx, const struct content_member *member);
/* crew_spread_bans hands every worker what to enforce from now on. As crew_spread_reach. */
bool crew_spread_bans(struct crew *crew, const struct ban_list *bans, uint64_t wall_s,
		      uint64_t now_ns);
/* crew_spread_policy hands every worker its part of the limits, and the mode. As crew_spread_reach. */
bool crew_spread_policy(struct crew *crew, const struct weft_config *part);
/* crew_spread_caps: every worker's HELLO says from now on what home's does. As crew_spread_reach. */
bool crew_spread_caps(struct crew *crew, uint32_t caps);
/* crew_spread_shares: every worker counts these peers, and no others, as more than one. As crew_spread_reach. */
bool crew_spread_shares(struct crew *crew, const struct mesh_share *shares, uint32_t cnt);
/* crew_configure: every worker takes what a reload may change. As crew_spread_reach. */
bool crew_configure(struct crew *crew, const struct node_config *live);
/*
 * crew_add_queue gives queue to worker idx, and crew_remove_queue takes it
 * back, which on_queue_left then tells, also of one that it has not got.
 * False: it could not be told.
 */
bool crew_add_queue(struct crew *crew, unsigned idx, const struct crew_queue *queue);
bool crew_remove_queue(struct crew *crew, unsigned idx, const struct crew_queue *queue);
/* crew_set_mtu: a device's is mtu now. What is lost lasts until the next change. */
void crew_set_mtu(struct crew *crew, unsigned device, uint32_t mtu);
/* crew_set_wall: the wall clock shows wall_s at now_ns. What is lost is told again. */
void crew_set_wall(struct crew *crew, uint64_t wall_s, uint64_t now_ns);
/* crew_wake: every worker does as worker_wake says. What is lost is a wait for QUIC's own timers. */
void crew_wake(struct crew *crew);
/* crew_hold: every worker does as worker_hold says. What is lost lasts until the next change. */
struct udp_hold;
void crew_hold(struct crew *crew, const struct udp_hold *hold);
/*
 * crew_try_rotate_cids starts the next generation of connection ids
 * everywhere, when every engine can; home does the same in that turn.
 */
bool crew_try_rotate_cids(struct crew *crew);

#endif
