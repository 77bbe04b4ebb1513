/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_MESH_SEAM_STREAM_H
#define WEFT_MESH_SEAM_STREAM_H

#include "mesh/seam.h"

/*
 * Streams of frames between this node and a peer. They carry exchanges that do not fit one
 * request with one answer: calls of services, their streams, bodies of any length. Each is one
 * bidirectional QUIC stream; its first frame says its purpose. Payloads arrive in the pieces in
 * which the packets bring them and are never held whole here. A user that does not consume stops
 * the sender.
 *
 * A frame that has begun and does not go on for 30 s ends the stream with WEFT_ETIMEOUT. A frame
 * whose reader is the one that waits is excepted. The stream also ends so when the last
 * acknowledgement of a finished stream is missing for 60 s. Between frames a stream may be
 * silent for ever.
 *
 * Home worker; nothing blocks. Events never come inside the operations
 * that cause them.
 */
struct mesh_stream;

/* A frame of the other side begins. */
struct mesh_stream_frame {
	unsigned type; /* message number */
	unsigned flags;
	size_t payload_len; /* bytes of data that follow, at most its class allows */
};
#define MESH_STREAM_FLAG_TEXT	 4 /* of STREAM_DATA: what follows is text for people and programs */
#define MESH_STREAM_FLAG_MORE	 8 /* of STREAM_DATA: the message goes on in the next one */
#define MESH_STREAM_HEAD_LEN_MAX ((size_t)(TRANSPORT_COPY_LEN_MAX - 64))

/* How a stream ended. */
struct mesh_stream_end {
	int err;       /* 0: both sides finished; else as mesh_reply's */
	uint64_t code; /* MESH_CODE_* of the peer's reset (WEFT_ECANCELLED) or error; 0: none */
	uint64_t not_before_ns; /* with WEFT_EREFUSED or EBUSY: when to come again; 0: not stated */
	const uint8_t *actual_key; /* with WEFT_EWRONGKEY */
	bool is_unsent;		   /* of one that was opened: no byte of it left this node */
};

/*
 * frame, then data until payload_len bytes came, for each frame in order.
 * finished: the other side sends no more frames. writable: send may
 * succeed again after WEFT_EFULL, or the session is there that an opened stream waited for
 * without a word. ended is the last event, and comes exactly once,
 * unless reset was called; the stream is gone when it returns.
 */
struct mesh_stream_events {
	void (*frame)(void *arg, const struct mesh_stream_frame *frame, uint64_t now_ns);
	void (*data)(void *arg, const uint8_t *data, size_t len, uint64_t now_ns);
	void (*finished)(void *arg, uint64_t now_ns);
	void (*writable)(void *arg, uint64_t now_ns);
	void (*ended)(void *arg, const struct mesh_stream_end *end, uint64_t now_ns);
};

/* The peer on the other side. */
struct mesh_stream_peer {
	uint8_t key[MESH_KEY_LEN];
	uint8_t session_id[16]; /* same on both sides, of no other session */
	bool takes_trace; /* of a stream that was opened: its HELLO said that it reads field 10 of calls */
	uint64_t heard_ns; /* of a stream that was opened: when anything came of its peer last */
};

struct mesh_stream_open {
	struct mesh_peer peer;
	uint64_t timeout_ns; /* for a session to be there */
	const struct mesh_stream_events *events;
	void *arg;
};

/*
 * A peer opened a stream whose first frame is of a type that was accepted:
 * frame and data follow by the events of *out_user. Returns 0, or a WEFT_E
 * code: the stream is reset.
 */
struct mesh_stream_user {
	const struct mesh_stream_events *events;
	void *arg;
};
typedef int (*mesh_accept_fn)(void *ctx, struct mesh_stream *stream, unsigned type, uint64_t now_ns,
			      struct mesh_stream_user *out_user);

/*
 * open: 0 with *out_stream; frames may be sent at once and leave when there
 *     is a session. WEFT_EFULL, WEFT_EMALFORMED, WEFT_EREFUSED as ask, or WEFT_ECLOSED.
 * send sends a frame: head_len bytes of head (copied, at most
 *     MESH_STREAM_HEAD_LEN_MAX), then tail (NULL, or a byte at least), which is lent until
 *     its done; payload_len is the sum of both. An acceptor's MESH_ERROR refuses. 0; WEFT_EFULL: nothing was
 *     taken, writable follows; WEFT_ECLOSED (also after finish); WEFT_EMALFORMED, WEFT_ETOOLARGE:
 *     a type or flags not for this side, lengths beyond the type's class. Where there
 *     is no session yet, one frame is taken and the second is WEFT_EFULL.
 * finish: nothing follows what was sent.
 * reset ends both directions at once with a code; no event follows, and
 *     lent tails come back by their done. Allowed inside every event.
 * consume: len bytes of data were used; as many more may come.
 * peer: of an accepted stream at once, of an opened one after its first event.
 * peer_path: of an accepted stream, where its peer's slots belong (base/fair/fair_path.h).
 * accept registers the acceptor of a first frame's type; once per type, at start.
 */
struct mesh_stream_ops {
	int (*open)(struct mesh *mesh, const struct mesh_stream_open *open, uint64_t now_ns,
		    struct mesh_stream **out_stream);
	int (*send)(struct mesh_stream *stream, const struct mesh_stream_frame *frame,
		    const void *head, size_t head_len, const struct transport_span *tail);
	void (*finish)(struct mesh_stream *stream);
	void (*reset)(struct mesh_stream *stream, uint64_t code);
	void (*consume)(struct mesh_stream *stream, size_t len);
	int (*peer)(const struct mesh_stream *stream, struct mesh_stream_peer *out_peer);
	void (*peer_path)(const struct mesh_stream *stream, struct fair_path *out_path);
	int (*accept)(struct mesh *mesh, unsigned type, mesh_accept_fn accept, void *ctx);
};

struct mesh_stream_seam {
	const struct mesh_stream_ops *ops;
	struct mesh *mesh;
};

#endif
