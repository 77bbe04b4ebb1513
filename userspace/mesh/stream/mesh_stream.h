/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_MESH_STREAM_MESH_STREAM_H
#define WEFT_MESH_STREAM_MESH_STREAM_H

#include "foreign.h"
#include "mesh/mesh_state.h"
#include "mesh/seam_stream.h"

/*
 * The streams of seam_stream.h, private to mesh/. An opened one waits for
 * a session by a request that only connects, then for stream credit in its
 * session's queue; an accepted one begins as a mesh_incoming and becomes a
 * stream when its first frame's head says so.
 */
enum mesh_stream_side { MESH_SIDE_OPENER, MESH_SIDE_ACCEPTOR };

/* A frame that was begun goes on within this. */
#define MESH_STREAM_STALL_NS (30ull * 1000 * 1000 * 1000)
/* The flags that users give to frames. */
#define MESH_STREAM_FLAGS ((unsigned)(MESH_STREAM_FLAG_TEXT | MESH_STREAM_FLAG_MORE))

struct mesh_stream {
	enum mesh_stream_kind kind;
	enum mesh_stream_side side;
	struct mesh *mesh;
	struct mesh_request *connect;	    /* under way; NULL: there is, or was, a session */
	struct mesh_session *session;	    /* NULL while connecting, and once detached */
	struct transport_stream *transport; /* NULL until there is credit; of foreign ones always */
	const struct mesh_foreign_ops *foreign;
	void *carrier;	       /* of a foreign one */
	struct list_node node; /* of session->streams or stream_queue */
	struct timer timer;    /* while a frame is cut, and while only the close is missing */
	const struct mesh_stream_events *events;
	void *arg;
	struct mesh_stream_peer peer;
	bool has_peer;
	bool is_finish_wanted, is_finished; /* our direction: said, and passed on */
	bool has_fin;			    /* their direction */
	bool has_sent;
	bool wants_writable;
	bool wants_session; /* opened without one, and nothing was said yet */
	bool is_telling;    /* events are being raised: it is not released before they end */
	bool is_over;	    /* it has left everything, and hears of nothing more */
	uint32_t req_id;
	struct mesh_frame_in in;
	struct mesh_unsent unsent;
	struct fair_item slot; /* of MESH_POOL_STREAMS, while it is the peer's */
	size_t unused_len;     /* data handed out whose consume is owed */
	uint64_t progress_ns;  /* when bytes came last */
	uint8_t error[MESH_ERROR_PAYLOAD_MAX];
};

/* Whether session may have one more stream that its peer opens; if not, that is counted. */
bool mesh_stream_has_room(struct mesh_session *session);
/*
 * mesh_stream_adopt makes a stream of what the peer opened: in holds its
 * first frame's head, c what follows. Returns the bytes of c that were
 * handed out, whose consume comes later; so does mesh_stream_data.
 */
size_t mesh_stream_adopt(struct mesh_session *session, struct transport_stream *transport,
			 const struct mesh_frame_in *in, struct cursor *c, bool fin);
size_t mesh_stream_data(struct mesh_stream *stream, struct cursor *c, bool fin);
void mesh_stream_writable(struct mesh_stream *stream);
void mesh_stream_was_reset(struct mesh_stream *stream, uint64_t code);
void mesh_stream_closed(struct mesh_stream *stream, uint64_t code);
/* mesh_stream_queue_run: there is stream credit. */
void mesh_stream_queue_run(struct mesh_session *session);
/* mesh_stream_end_all: session ends, and its streams with it. */
void mesh_stream_end_all(struct mesh_session *session);

/* Between mesh_stream.c and mesh_stream_read.c. is_cut: a frame has begun and is not whole. */
static inline bool mesh_stream_is_cut(const struct mesh_stream *stream)
{
	return stream->in.head_len || stream->in.has_frame;
}
/* Events are raised between enter and leave, which gets what enter gave. */
bool mesh_stream_enter(struct mesh_stream *stream);
void mesh_stream_leave(struct mesh_stream *stream, bool was_telling);
struct mesh_stream *mesh_stream_make(struct mesh *mesh, enum mesh_stream_side side);
/*
 * mesh_stream_make_accepted: one that the peer of path opens. Another may be evicted for it. NULL:
 * its peer has its share.
 */
struct mesh_stream *mesh_stream_make_accepted(struct mesh *mesh, const struct fair_path *path);
/* mesh_stream_peer_addr: where the peer of stream is; of family ADDR_NONE: not known. */
void mesh_stream_peer_addr(const struct mesh_stream *stream, struct addr *out_addr);
/* mesh_stream_peer_path: where slots of the peer of stream belong. */
void mesh_stream_peer_path(const struct mesh_stream *stream, struct fair_path *out_path);
/* mesh_stream_evict ends a stream whose slot another one got: both sides are told BUSY. */
void mesh_stream_evict(struct mesh_stream *stream);
struct mesh_stream *mesh_stream_take(struct mesh_session *session,
				     struct transport_stream *transport, uint32_t req_id);
/* drop resets the stream, and nobody is told; end only tells; give_up does both. */
void mesh_stream_drop(struct mesh_stream *stream, uint64_t code);
void mesh_stream_end(struct mesh_stream *stream, const struct mesh_stream_end *end);
void mesh_stream_give_up(struct mesh_stream *stream, int err, uint64_t code);
/* half_closed: one direction more is finished. */
void mesh_stream_half_closed(struct mesh_stream *stream);

#endif
