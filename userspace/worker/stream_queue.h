/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_WORKER_STREAM_QUEUE_H
#define WEFT_WORKER_STREAM_QUEUE_H

#include "base/fair/fair.h"
#include "base/memory/pool.h"
#include "base/thread/mailbox.h"
#include "mesh/seam_stream.h"

/*
 * Private to worker/: what home and a worker say of streams on the worker's sessions, whose users
 * are at home. One queue each way. A message is a function of the other end (stream_inlet.h,
 * stream_relay.h) and one of the structs below. All structs begin with the worker's name for the
 * stream. A frame that a user sends goes to the worker as a pointer and comes back.
 */
struct stream_opened {
	pool_handle stream;
	unsigned type;
	struct mesh_stream_peer peer;
	struct fair_path path; /* where slots of the peer belong */
};

struct stream_frame {
	pool_handle stream;
	struct mesh_stream_frame frame;
};

struct stream_event {
	pool_handle stream; /* bytes of data follow */
};

struct stream_ended {
	pool_handle stream;
	int err;
	uint64_t code;
};

struct stream_turn {
	pool_handle stream;
	size_t consumed_len;
	bool is_finished, is_reset;
	uint64_t code;
};

/* Home's, from the memory of its inlet; the worker has it in between, but for its slot. */
struct stream_say {
	pool_handle stream;
	struct mesh_stream_frame frame;
	struct transport_span tail; /* data NULL: none; done is for home to call */
	struct stream_relay *relay; /* the worker's, as next */
	struct stream_say *next;
	struct fair_item slot;
	size_t head_len;
	uint8_t head[MESH_STREAM_HEAD_LEN_MAX];
};

struct stream_queue {
	struct mailbox mailbox;
	mailbox_fn on_say;		       /* runs with a pointer to a struct stream_say */
	struct stream_say *waiting, **last_at; /* for room, the writer's */
	bool has_news;			       /* since the reader was woken */
};

/*
 * worker_stream_queue_init: room for message_cnt messages (power of two) and len bytes; fd wakes
 * the reader and is borrowed. 0 or -errno. worker_stream_queue_fini gives back the tails of frames
 * that were not read; it takes a zeroed one, and one that has ended. Home's thread.
 */
struct stream_queue_params {
	uint32_t message_cnt;
	size_t len;
	int fd;
	mailbox_fn on_say;
};
WEFT_MUST_CHECK
int worker_stream_queue_init(struct stream_queue *queue, const struct stream_queue_params *params);
void worker_stream_queue_fini(struct stream_queue *queue);
/* worker_stream_queue_post: false, there is no room. The reader is woken by the next flush. */
bool worker_stream_queue_post(struct stream_queue *queue, const struct mailbox_message *message);
/* worker_stream_queue_post_say always takes say: it goes at once, or at the next flush with room. */
void worker_stream_queue_post_say(struct stream_queue *queue, struct stream_say *say);
/* worker_stream_queue_flush wakes the reader if there is news. True: no room for all, try again. */
bool worker_stream_queue_flush(struct stream_queue *queue);
/* worker_stream_queue_take: a frame that waits for room, or NULL; once the writer's thread is over. */
struct stream_say *worker_stream_queue_take(struct stream_queue *queue);

#endif
