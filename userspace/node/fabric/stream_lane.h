/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NODE_STREAM_LANE_H
#define WEFT_NODE_STREAM_LANE_H

#include "base/pool.h"
#include "mesh/seam_stream.h"

/*
 * Private to stream_*.c and crew*.c: what home and a worker say of streams on
 * the worker's sessions, whose users are at home. One lane each way, whose
 * letters are never lost: what the ring has no room for waits at the writer.
 * How much that can be is bounded (stream_relay.h).
 */
struct ring;

enum stream_letter_kind {
	STREAM_OPENED, /* to home */
	STREAM_FRAME,
	STREAM_DATA,
	STREAM_FINISHED,
	STREAM_ENDED,
	STREAM_SAID, /* a SAY that comes back: taken or not, its tail is no longer needed */
	STREAM_SAY,  /* to the worker */
	STREAM_TURN,
	STREAM_TAKEN, /* of no stream: home has freed so much of letters of the worker's */
};

struct stream_letter {
	enum stream_letter_kind kind;
	pool_handle stream; /* the worker's name for it */
	struct stream_letter *next;
	union {
		struct {
			unsigned type;
			struct mesh_stream_peer peer;
		} opened;
		struct mesh_stream_frame frame;
		size_t data_len; /* its bytes follow the letter */
		struct {
			int err;
			uint64_t code;
		} ended;
		struct {
			struct mesh_stream_frame frame;
			size_t head_len;	    /* the head follows the letter */
			struct transport_span tail; /* data NULL: none; done is for home to call */
			void *owner;		    /* the worker's, while it has the letter */
		} say;
		struct {
			size_t consumed_len;
			bool is_finished, is_reset;
			uint64_t code;
		} turn;
		size_t taken_len;
	};
	uint8_t bytes[];
};

/* stream_letter_new: NULL: no memory. Freed by who takes it, by free(). */
struct stream_letter *stream_letter_new(enum stream_letter_kind kind, pool_handle stream,
					size_t bytes_len);

struct stream_lane {
	struct ring *ring;
	int fd;					/* wakes the reader; borrowed */
	struct stream_letter *first, **last_at; /* that wait for room, the writer's */
	bool has_news;
};

/* stream_lane_init: 0 or -ENOMEM. stream_lane_fini frees what was not read; takes a zeroed one. */
WEFT_MUST_CHECK
int stream_lane_init(struct stream_lane *lane, int fd);
void stream_lane_fini(struct stream_lane *lane);
/* stream_lane_post takes letter, which goes no later than at the next flush that has room. */
void stream_lane_post(struct stream_lane *lane, struct stream_letter *letter);
/* stream_lane_flush wakes the reader if there is news. True: there is no room for all, try again. */
bool stream_lane_flush(struct stream_lane *lane);
/* stream_lane_take: the oldest letter, the reader's from now on, or NULL. */
struct stream_letter *stream_lane_take(struct stream_lane *lane);
/* stream_lane_drain: as take, and what waits for room, too; once the writer's thread is over. */
struct stream_letter *stream_lane_drain(struct stream_lane *lane);

#endif
