/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_WORKER_STREAM_QUEUE_H
#define WEFT_WORKER_STREAM_QUEUE_H

#include "base/pool.h"
#include "mesh/seam_stream.h"

/*
 * Private to stream_*.c and workers*.c: what home and a worker say of streams on
 * the worker's sessions, whose users are at home. One queue each way, whose
 * messages are never lost: what the ring has no room for waits at the writer.
 * How much that can be is bounded (stream_relay.h).
 */
struct ring;

enum stream_message_kind {
	STREAM_OPENED, /* to home */
	STREAM_FRAME,
	STREAM_DATA,
	STREAM_FINISHED,
	STREAM_ENDED,
	STREAM_SAID, /* a SAY that comes back: taken or not, its tail is no longer needed */
	STREAM_SAY,  /* to the worker */
	STREAM_TURN,
	STREAM_TAKEN, /* of no stream: home has freed so much of messages of the worker's */
};

struct stream_message {
	enum stream_message_kind kind;
	pool_handle stream; /* the worker's name for it */
	struct stream_message *next;
	union {
		struct {
			unsigned type;
			struct mesh_stream_peer peer;
		} opened;
		struct mesh_stream_frame frame;
		size_t data_len; /* its bytes follow the message */
		struct {
			int err;
			uint64_t code;
		} ended;
		struct {
			struct mesh_stream_frame frame;
			size_t head_len;	    /* the head follows the message */
			struct transport_span tail; /* data NULL: none; done is for home to call */
			void *owner;		    /* the worker's, while it has the message */
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

/* worker_stream_message_new: NULL: no memory. Freed by who takes it, by free(). */
struct stream_message *worker_stream_message_new(enum stream_message_kind kind, pool_handle stream,
						 size_t bytes_len);

struct stream_queue {
	struct ring *ring;
	int fd;					 /* wakes the reader; borrowed */
	struct stream_message *first, **last_at; /* that wait for room, the writer's */
	bool has_news;
};

/* worker_stream_queue_init: 0 or -ENOMEM. worker_stream_queue_fini frees what was not read; takes a zeroed one. */
WEFT_MUST_CHECK
int worker_stream_queue_init(struct stream_queue *queue, int fd);
void worker_stream_queue_fini(struct stream_queue *queue);
/* worker_stream_queue_post takes message, which goes no later than at the next flush that has room. */
void worker_stream_queue_post(struct stream_queue *queue, struct stream_message *message);
/* worker_stream_queue_flush wakes the reader if there is news. True: there is no room for all, try again. */
bool worker_stream_queue_flush(struct stream_queue *queue);
/* worker_stream_queue_take: the oldest message, the reader's from now on, or NULL. */
struct stream_message *worker_stream_queue_take(struct stream_queue *queue);
/* worker_stream_queue_drain: as take, and what waits for room, too; once the writer's thread is over. */
struct stream_message *worker_stream_queue_drain(struct stream_queue *queue);

#endif
