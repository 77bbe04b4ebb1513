/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_WORKER_WORKERS_H
#define WEFT_WORKER_WORKERS_H

#include <stdbool.h>
#include <stdint.h>

#include "mesh/mesh.h"
#include "worker_figures.h"
#include "weft/xdp_maps.h"

struct addr;
struct arrivals_changes;
struct ban_list;
struct handover;
struct worker_config;
struct node_key;
struct store;
struct mailbox_message;
struct tcp_passed;

/*
 * The workers besides home, each a thread. They accept sessions and serve
 * content; home does all else, and has the users of streams to services
 * (stream_inlet.h). Nothing is shared with home but the store, which they
 * read, and rings each way: orders go there, reports come back. Every function here is for home's thread.
 */
struct workers;

/* A queue of an attached device that is given to a worker, and taken back. */
struct workers_queue {
	struct xdp_queue *queue; /* not to be looked at when it comes back */
	unsigned device, idx;
	uint32_t serial; /* the giver's */
};

struct workers_params {
	const struct worker_config *config; /* worker_cnt - 1 of them are made */
	const struct node_key *key;
	struct store *store;
	struct mesh *mesh; /* home's, which takes streams to services on their sessions */
	struct handover *handover;
	const struct addr *listen; /* as bound by home */
	uint32_t cid_epoch;
	const struct addr *hello; /* as a worker's */
	unsigned hello_cnt;
	void *content; /* home's end of what workers report (worker_report_content) */
	/* Called from workers_reap. */
	void (*on_session)(void *ctx, const struct mesh_peer_info *peer, bool is_up);
	void (*on_failure)(void *ctx, const struct mesh_failure *failure);
	void (*on_path)(void *ctx, const struct addr *remote); /* as a worker's */
	void (*on_sample)(void *ctx, const struct weft_sample *sample);
	void (*on_passed)(void *ctx, const struct tcp_passed *passed);
	/* The datagrams that unvalidated sources sent to the sockets of worker idx. */
	void (*on_arrivals)(void *ctx, unsigned idx, const struct arrivals_changes *changes);
	/* It has no more to do with queue; err: because it could not take it. */
	void (*on_queue_left)(void *ctx, const struct workers_queue *queue, int err);
	/* Worker idx ended without an order; err: its event loop failed so. */
	void (*on_ended)(void *ctx, unsigned idx, int err);
	void *ctx;
};

/*
 * workers_new binds their sockets once home has bound its own, and workers_start
 * starts the threads. Settings spread in between are in force before a worker
 * takes its first datagram. 0, or a negative code with what naming the object at
 * fault (WORKER_WHAT_CAP).
 */
WEFT_MUST_CHECK
int workers_new(const struct workers_params *params, struct workers **out_workers, char *what);
WEFT_MUST_CHECK
int workers_start(struct workers *workers, char *what);
/* workers_stop asks every worker to say goodbye and drain, within config's time. */
void workers_stop(struct workers *workers);
/*
 * workers_free stops all work and waits for it, a few seconds beyond config's
 * time. A thread that does not end then ends the process, with a core to look
 * at: the memory that it uses cannot be freed. NULL is nothing.
 */
void workers_free(struct workers *workers);

/*
 * workers_reap handles reports and what happened on streams; true: there was some. workers_fd
 * becomes readable when there is. workers_flush, at the end of a turn, passes on what was said on
 * streams; true: try again soon.
 */
bool workers_reap(struct workers *workers, uint64_t now_ns);
bool workers_flush(struct workers *workers);
int workers_fd(const struct workers *workers);

unsigned workers_cnt(const struct workers *workers);
/* workers_figures: of worker idx, 1 to workers_cnt, a fraction of a second old when it is busy. */
const struct worker_figures *workers_figures(const struct workers *workers, unsigned idx);
/* workers_report_cnt: reports of worker idx that home has not read, of WORKERS_REPORT_MAX. */
#define WORKERS_REPORT_MAX 1024u /* power of two */
unsigned workers_report_cnt(const struct workers *workers, unsigned idx);
/* workers_order_lost_cnt: orders that worker idx had no room for; what must arrive is given again. */
uint64_t workers_order_lost_cnt(const struct workers *workers, unsigned idx);

/* A session that one of them has; peer is as it was within the last second or two. */
struct workers_session {
	struct mesh_peer_info peer;
	unsigned worker_idx;
};
/* workers_session_lookup: borrowed until the next reap; NULL: none has a session with key. */
const struct workers_session *workers_session_lookup(const struct workers *workers,
						     const uint8_t key[static MESH_KEY_LEN]);
/* workers_session_next walks them: start with NULL, ends with NULL. */
const struct workers_session *workers_session_next(const struct workers *workers,
						   const struct workers_session *session);

/*
 * workers_order_content posts a message that the content of worker idx runs. False: no
 * room. workers_is_crowded: what can be sent again is not to be posted to worker idx now.
 */
bool workers_order_content(struct workers *workers, unsigned idx,
			   const struct mailbox_message *order);
bool workers_is_crowded(const struct workers *workers, unsigned idx);
/* workers_spread_bans hands every worker what to enforce from now on. False: not all have it, try again soon. */
bool workers_spread_bans(struct workers *workers, const struct ban_list *bans, uint64_t wall_s,
			 uint64_t now_ns);
/* workers_spread_policy hands every worker its part of the limits, and the mode. As workers_spread_bans. */
bool workers_spread_policy(struct workers *workers, const struct weft_config *part);
/* workers_spread_caps: every worker's HELLO says from now on what home's does. As workers_spread_bans. */
bool workers_spread_caps(struct workers *workers, uint32_t caps);
/*
 * workers_spread_keepalive: every worker's connections have a datagram as often as the NAT of this network
 * wants (quic_engine_set_nat_keepalive). As workers_spread_bans.
 */
bool workers_spread_keepalive(struct workers *workers, uint64_t pause_ns);
/* workers_spread_addrs: likewise, of where this node is (mesh_set_addrs). */
bool workers_spread_addrs(struct workers *workers, const struct addr *addrs, unsigned cnt);
/* workers_spread_shares: every worker counts these peers, and no others, as more than one. As workers_spread_bans. */
bool workers_spread_shares(struct workers *workers, const struct mesh_share *shares, uint32_t cnt);
/* workers_configure: every worker takes what a reload may change. As workers_spread_bans. */
bool workers_configure(struct workers *workers, const struct worker_config *live);
/*
 * workers_add_queue gives queue to worker idx, and workers_remove_queue takes it
 * back, which on_queue_left then tells, also of one that it has not got.
 * False: no room for the order.
 */
bool workers_add_queue(struct workers *workers, unsigned idx, const struct workers_queue *queue);
bool workers_remove_queue(struct workers *workers, unsigned idx, const struct workers_queue *queue);
/*
 * workers_set_mtu: a device's is mtu now. A lost order leaves the old value
 * until the next change.
 */
void workers_set_mtu(struct workers *workers, unsigned device, uint32_t mtu);
/* workers_set_wall: the wall clock shows wall_s at now_ns. A lost order is given again. */
void workers_set_wall(struct workers *workers, uint64_t wall_s, uint64_t now_ns);
/*
 * workers_wake: every worker does as worker_wake says. A lost order costs a
 * wait for QUIC's own timers.
 */
void workers_wake(struct workers *workers);
/*
 * workers_hold: every worker does as worker_hold says. A lost order leaves the
 * old value until the next change.
 */
struct udp_hold;
void workers_hold(struct workers *workers, const struct udp_hold *hold);
/*
 * workers_try_rotate_cids starts the next generation of connection ids
 * everywhere, when every engine can; home does the same in that turn.
 */
bool workers_try_rotate_cids(struct workers *workers);

#endif
