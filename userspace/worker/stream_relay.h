/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_WORKER_STREAM_RELAY_H
#define WEFT_WORKER_STREAM_RELAY_H

#include "base/figure.h"
#include "base/memory/arena.h"
#include "base/map.h"
#include "base/memory/pool.h"
#include "stream_queue.h"

struct load;

/*
 * A worker's end of the streams that peers open on its sessions to services, and of their
 * requests to the overlay. The users of these streams are at home (stream_inlet.h): what arrives
 * goes there, and what they send leaves here. On the worker's thread.
 *
 * Credit: the peer's sender is stopped until home has used its bytes. RELAY_LEN_MAX
 * bytes of all streams may be on their way at most. A stream that would exceed this is reset, MESH_CODE_BUSY. A message may be much larger than the frame that it announces,
 * and costs its peer no credit. What messages take besides bytes is bounded likewise, by
 * RELAY_MESSAGES_LEN_MAX, until home has read them. None of it can be taken back. So a peer may
 * hold of each as much as it leaves free to others (base/fair/fair.h, dynamic threshold): half
 * while it is alone. Keys are free, so its network may hold three times what it leaves free:
 * three quarters. A user at home has RELAY_SAYS_MAX frames on their way at most, each with its
 * head copied; beyond one each, all have INLET_FRAMES_MAX (stream_inlet.h).
 */
#define RELAY_LEN_MAX	       ((size_t)64 << 20)
#define RELAY_MESSAGES_LEN_MAX ((size_t)16 << 20)
#define RELAY_SAYS_MAX	       4
#define RELAY_MESSAGE_LEN      ((size_t)96) /* what a message counts for */

/* For status: bytes of both kinds together. */
struct stream_relay_stats {
#define FIGURE FIGURE_FIELD
#include "worker/worker_streams_counters.def"
};

/* A peer's part of both, all its streams together; or a network's, all its peers together. */
struct relay_account {
	uint64_t id;		       /* of the peer's path (base/fair/fair_path.h) */
	struct relay_account *network; /* NULL: this is one */
	uint8_t key[MESH_KEY_LEN];     /* of a peer */
	size_t unused_len, messages_len;
	unsigned user_cnt; /* streams of a peer, peers of a network */
};

struct stream_relay {
	struct mesh_stream_seam seam;
	struct load *load; /* of refused peers, set by the owner; NULL: none */
	uint64_t now_ns;   /* of the last event */
	struct stream_queue *in, *out;
	struct arena arena;
	struct pool streams, accounts;
	struct map accounts_by_id;
	/* The accounts of messages that home has not read, in the order in which it reads them. */
	struct relay_account **posted;
	size_t posted_first, posted_cnt;
	size_t len_max, messages_len_max;
	size_t unused_len;   /* on its way to home's users */
	size_t messages_len; /* of messages that home has not read, and of ends still to be sent */
	struct stream_relay_stats stats;
	unsigned lost_cnt; /* streams whose end is still to be sent: there was no memory */
};

size_t worker_stream_relay_footprint(uint32_t stream_cap);
/* worker_stream_relay_queues makes the queues of one worker; in is home's to write. As their init. */
WEFT_MUST_CHECK
int worker_stream_relay_queues(struct stream_queue *in, int in_fd, struct stream_queue *out,
			       int out_fd);
/* worker_stream_relay_open accepts calls, streams and requests of the overlay. 0 or a negative code. */
WEFT_MUST_CHECK
int worker_stream_relay_open(struct stream_relay *relay, struct mesh_stream_seam seam,
			     uint32_t stream_cap, struct stream_queue *in,
			     struct stream_queue *out);
/* worker_stream_relay_close gives back what home lent; after the mesh is gone. Takes a zeroed one. */
void worker_stream_relay_close(struct stream_relay *relay);
/* worker_stream_relay_read does what home says; true: there was something. Before the worker's turn. */
bool worker_stream_relay_read(struct stream_relay *relay);
/* Home's messages: a turn of a stream, how many messages it has read, a frame. */
void worker_relay_turn(void *object, const void *bytes, size_t len);
void worker_relay_taken(void *object, const void *bytes, size_t len);
void worker_relay_say(void *object, const void *bytes, size_t len);
/* worker_stream_relay_flush tells home what happened; true: try again soon. After the worker's turn. */
bool worker_stream_relay_flush(struct stream_relay *relay);

#endif
