/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_MESH_STREAM_MESH_STREAM_H
#define WEFT_MESH_STREAM_MESH_STREAM_H

#include "base/fair/fair.h"
#include "base/list.h"
#include "base/memory/pool.h"
#include "base/timer.h"
#include "foreign.h"
#include "mesh/mesh.h"
#include "mesh_frame.h"
#include "request_buffers.h"

struct mesh_dial;
struct mesh_session;

/* The flags that users give to frames. */
#define MESH_STREAM_FLAGS ((unsigned)(MESH_STREAM_FLAG_TEXT | MESH_STREAM_FLAG_MORE))

/*
 * The stream machine, private to mesh/: frames both ways between this node and one peer, whatever
 * they are for. Their purpose is the stream's kind, a table of functions:
 *
 *	control   HELLO and its kin, one a session    session/control_stream.c
 *	request   one frame each way, of this node    mesh_request.c
 *	connect   the wait for a session alone        mesh_request.c
 *	incoming  one frame each way, of a peer       incoming.c
 *	opened    any number of frames, of this node  frame_stream.c
 *	accepted  any number of frames, of a peer     frame_stream.c
 *
 * A stream that this node opens waits for a session, then for stream credit:
 *
 *	DIALLING -> DEFERRED -> QUEUED -> OPEN		request
 *	DIALLING -> DEFERRED -> SETTLED			connect
 *	DIALLING -> DEFERRED -> SETTLED -> QUEUED -> OPEN	opened
 *
 * and any of these states may turn into SETTLED with an error. A stream that a peer opens is
 * OPEN from the start, as an incoming. The head of its first frame says whether it stays one or
 * gives way to control or accepted.
 *
 * A stream of the transport carries the bytes of an open stream, or another worker of this node
 * does (foreign.h). From a worker whole heads arrive.
 *
 * A stream that is over has left its session, its dial, its carrier and its slots, and none of
 * its functions is called any more. Its memory lasts until no function of its kind is running
 * (enter, leave), or until its owner releases it (is_kept).
 */
enum mesh_stream_role {
	MESH_ROLE_CONTROL,
	MESH_ROLE_REQUEST, /* connect, too */
	MESH_ROLE_INCOMING,
	MESH_ROLE_OPENED,
	MESH_ROLE_ACCEPTED,
	MESH_ROLE_CNT,
};

enum mesh_stream_state {
	MESH_STATE_NEW,
	MESH_STATE_DIALLING, /* in dial->waiters */
	MESH_STATE_DEFERRED, /* in session->deferred, until the time that the peer stated */
	MESH_STATE_SETTLED,  /* the next expiry reports how the wait ended, never the call itself */
	MESH_STATE_QUEUED,   /* in session->queue, for stream credit */
	MESH_STATE_OPEN,     /* in session->streams, or foreign */
};

/*
 * The functions that the machine calls, on a stream that is not over. After any of these the stream
 * may be over. The functions marked * may be missing.
 *
 * input: bytes came. mesh_stream_input, or what calls it. Returns how many
 *     bytes were handed out, whose consume comes later.
 * admit: the head of a frame is known. 0, or a WEFT_E code for bad. A kind
 *     that wants the payload whole sets in.body.
 * place*: the payload begins, or is empty. False: there is no place for it. data*: bytes of a
 * payload without a place; else they are skipped. whole: a frame is whole; more_len bytes and
 * perhaps the end follow it. bad: the peer broke the rules of frames. fin: the peer ended its
 * direction. connected*: the wait for a session is over. Kinds without it are queued. opened*:
 * the stream has its carrier. 0, or why it cannot be used. sent*: this node's direction has been
 * passed on to its end. writable*: send may succeed again. expire: the timer of a stream that
 * waits for no session. was_reset*, closed: of the carrier. A reset ends a stream with
 * WEFT_ECANCELLED. ended: the stream is over, and its user learns why. left*: the stream is
 * over, and gives back what the kind has taken.
 */
struct mesh_stream_kind {
	enum mesh_pool slots; /* where its slot is of */
	bool wants_addr;      /* a session at another address than asked for is none */
	size_t (*input)(struct mesh_stream *stream, struct cursor *c, bool fin);
	int (*admit)(struct mesh_stream *stream);
	bool (*place)(struct mesh_stream *stream);
	void (*data)(struct mesh_stream *stream, const uint8_t *data, size_t len);
	void (*whole)(struct mesh_stream *stream, size_t more_len, bool fin);
	void (*bad)(struct mesh_stream *stream, int err);
	void (*fin)(struct mesh_stream *stream);
	void (*connected)(struct mesh_stream *stream);
	int (*opened)(struct mesh_stream *stream);
	void (*sent)(struct mesh_stream *stream);
	void (*writable)(struct mesh_stream *stream);
	void (*expire)(struct mesh_stream *stream);
	void (*was_reset)(struct mesh_stream *stream);
	void (*closed)(struct mesh_stream *stream, uint64_t code);
	void (*ended)(struct mesh_stream *stream, const struct mesh_stream_end *end);
	void (*left)(struct mesh_stream *stream);
};

/* A frame that the carrier has not taken yet: its start in a buffer, then a lent tail. */
struct mesh_unsent {
	uint8_t *buffer;
	uint8_t *start; /* in buffer */
	size_t start_len;
	struct transport_span tail; /* lent to this node while tail.data is set */
};

/* The wait for a session, and how long. */
struct mesh_wait {
	struct mesh_dial *dial;
	unsigned type; /* of the message whose deferrals count */
	uint64_t timeout_ns;
	uint64_t deadline_ns;
	int err; /* once SETTLED */
	uint64_t not_before_ns;
};

struct mesh_stream {
	const struct mesh_stream_kind *kind;
	enum mesh_stream_role role;
	enum mesh_stream_state state;
	struct mesh *mesh;
	struct pool *pool;		    /* of its object; NULL: that is the session */
	struct mesh_session *session;	    /* NULL: it has none yet, or is foreign or over */
	struct transport_stream *transport; /* NULL until OPEN; of foreign ones always */
	const struct mesh_foreign_ops *foreign;
	void *carrier; /* of a foreign one */
	struct list_node node;
	struct timer timer;
	struct mesh_stream_peer peer;
	struct mesh_wait wait;
	struct mesh_frame_in in;
	struct mesh_unsent unsent;
	struct fair_item slot; /* while the stream is a peer's */
	size_t unused_len;     /* data handed out whose consume is owed */
	size_t skipped_len;
	uint64_t progress_ns; /* when bytes came last */
	uint32_t req_id;
	bool is_admitted;		    /* the frame in in */
	bool is_read;			    /* nothing more is wanted of the peer: it is skipped */
	bool is_finish_wanted, is_finished; /* this node's direction: said, and passed on */
	bool has_fin;			    /* the peer's direction */
	bool is_spare; /* beyond its session's limits, maybe the control stream */
	bool is_busy, is_over, is_kept;
};

/* A frame was begun and is not whole. */
static inline bool mesh_stream_is_cut(const struct mesh_stream *stream)
{
	return stream->in.head_len || stream->in.has_frame;
}
static inline bool mesh_stream_has_unsent(const struct mesh_stream *stream)
{
	return stream->unsent.start_len || stream->unsent.tail.data;
}

/*
 * mesh_stream.c: life. make gives an object of pool that begins with a stream, or NULL. init
 * begins a zeroed stream. bind gives it a carrier that a peer opened.
 */
void *mesh_stream_make(struct mesh *mesh, struct pool *pool, const struct mesh_stream_kind *kind,
		       enum mesh_stream_role role);
void mesh_stream_init(struct mesh_stream *stream, struct mesh *mesh,
		      const struct mesh_stream_kind *kind, enum mesh_stream_role role);
void mesh_stream_bind(struct mesh_stream *stream, struct mesh_session *session,
		      struct transport_stream *transport);
/* Functions of a kind run between enter and leave, which gets what enter gave. */
bool mesh_stream_enter(struct mesh_stream *stream);
void mesh_stream_leave(struct mesh_stream *stream, bool was_busy);
/* mesh_stream_quit leaves session, dial and timer, and may go on elsewhere. */
void mesh_stream_quit(struct mesh_stream *stream);
/*
 * end: the stream is over, and ended gets the reason; the carrier is left as it is. drop resets the
 * carrier, and ended is not called; break and give_up do both. release: the owner of a stream that
 * is kept no longer needs it.
 */
void mesh_stream_end(struct mesh_stream *stream, const struct mesh_stream_end *end);
void mesh_stream_drop(struct mesh_stream *stream, uint64_t code);
void mesh_stream_break(struct mesh_stream *stream, const struct mesh_stream_end *end,
		       uint64_t code);
void mesh_stream_give_up(struct mesh_stream *stream, int err, uint64_t code);
void mesh_stream_release(struct mesh_stream *stream);

/* Events of any carrier. */
size_t mesh_stream_input(struct mesh_stream *stream, struct cursor *c, bool fin);
void mesh_stream_writable(struct mesh_stream *stream);
/* Events of the transport, in mesh_transport_events; ctx is the mesh. */
void mesh_stream_on_data(void *ctx, struct transport_stream *transport,
			 const struct transport_piece *piece, uint64_t now_ns);
void mesh_stream_on_reset(void *ctx, struct transport_stream *transport, uint64_t code,
			  uint64_t now_ns);
void mesh_stream_on_writable(void *ctx, struct transport_stream *transport, uint64_t now_ns);
void mesh_stream_on_closed(void *ctx, struct transport_stream *transport, uint64_t code,
			   uint64_t now_ns);

/*
 * send passes a frame on: its payload is head, then tail (NULL: none). 0, also where the tail waits
 * here; WEFT_EFULL: nothing was taken. keep puts it aside for push: 0 or WEFT_EFULL. push passes on
 * what was put aside, then the end if that is wanted: 0, WEFT_EFULL (stream_writable follows) or
 * WEFT_ECLOSED. error_frame writes an error answer, say_error sends it. finish:
 * nothing follows what was sent.
 */
WEFT_MUST_CHECK
int mesh_stream_send(struct mesh_stream *stream, const struct mesh_frame *frame, const void *head,
		     const struct transport_span *tail);
WEFT_MUST_CHECK
int mesh_stream_keep(struct mesh_stream *stream, const struct mesh_frame *frame, const void *head,
		     const struct transport_span *tail);
int mesh_stream_push(struct mesh_stream *stream);
int mesh_stream_say_error(struct mesh_stream *stream, const struct mesh_error *error);
void mesh_stream_error_frame(const struct mesh_stream *stream, const struct mesh_error *error,
			     struct mesh_frame *out_frame,
			     uint8_t out_payload[static MESH_ERROR_PAYLOAD_MAX]);
void mesh_stream_finish(struct mesh_stream *stream);
/* mesh_stream_peer_addr: where the peer is; of family ADDR_NONE: not known. path: where its slots belong. */
void mesh_stream_peer_addr(const struct mesh_stream *stream, struct addr *out_addr);
void mesh_stream_peer_path(const struct mesh_stream *stream, struct fair_path *out_path);

/*
 * stream_wait.c. queue puts stream behind those of session that wait for credit: 0, or why it
 * cannot be opened. queue_run: there is credit.
 */
WEFT_MUST_CHECK
int mesh_stream_queue(struct mesh_stream *stream, struct mesh_session *session);
void mesh_stream_queue_run(struct mesh_session *session);
/* mesh_stream_check_peer: 0, or why nothing begins with peer. has_room: for one more wait. */
int mesh_stream_check_peer(const struct mesh *mesh, const struct mesh_peer *peer);
bool mesh_stream_has_room(struct mesh *mesh, const uint8_t *key);
/* mesh_stream_await waits for a session with peer, by wait.deadline_ns. 0, or as mesh_dial_wait. */
void mesh_stream_await_init(struct mesh_stream *stream, const struct mesh_peer *peer, unsigned type,
			    uint64_t timeout_ns);
WEFT_MUST_CHECK
int mesh_stream_await(struct mesh_stream *stream, const struct mesh_peer *peer);
/* mesh_stream_await_expire: the timer of a stream that waits for a session. */
void mesh_stream_await_expire(struct mesh_stream *stream);
/* mesh_stream_start: session is there for a stream that waited. */
void mesh_stream_start(struct mesh_stream *stream, struct mesh_session *session);
/* mesh_stream_move: its session ended before it was opened, and the wait begins anew. */
void mesh_stream_move(struct mesh_stream *stream);
/* mesh_stream_deferred_until: when the peer may be asked, as it stated; 0: now. */
uint64_t mesh_stream_deferred_until(const struct mesh_stream *stream);

#endif
