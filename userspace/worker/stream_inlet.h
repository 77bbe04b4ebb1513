/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_WORKER_STREAM_INLET_H
#define WEFT_WORKER_STREAM_INLET_H

#include "base/memory/arena.h"
#include "base/fair/fair.h"
#include "base/list.h"
#include "base/map.h"
#include "mesh/stream/foreign.h"
#include "stream_queue.h"

/*
 * Home's end of the streams that peers open on one other worker's sessions
 * (stream_relay.h). Home's mesh has them as foreign ones (mesh/stream/foreign.h),
 * so users of streams see no difference. Home's thread.
 *
 * A frame that a user sends needs a place until the worker has passed it on and it comes back. A
 * stream has a place of its own, so a request always has its answer. Further frames take from
 * INLET_FRAMES_MAX places of all streams. A peer that takes nothing keeps those of its streams. So
 * a key holds fewer of them than are free, its address three times, its network seven times as
 * many (base/fair/fair.h). A user whose frame finds none gets WEFT_EFULL, as on a full stream, and
 * may send again when an earlier frame came back.
 */
#define INLET_FRAMES_MAX 1024u

struct stream_inlet {
	struct mesh *mesh;
	struct mesh_foreign_source source; /* for answers that are taken back */
	struct stream_queue *to, *from;
	struct arena arena;
	struct pool streams;
	struct map by_name;    /* the worker's names */
	struct list_node news; /* streams whose user did what the worker is to hear */
	struct stream_say *frames, *unused_frames;
	uint32_t frame_cap, made_frame_cnt; /* the frames before it were used */
	struct fair frame_slots;
	uint32_t own_frame_cnt;
	uint64_t frame_refused_cnt;
	size_t taken_cnt; /* messages that were read, and that the worker has to be informed
			        * of */
	uint64_t now_ns;  /* of the read */
};

size_t worker_stream_inlet_footprint(uint32_t stream_cap);
/* worker_stream_inlet_open: 0 or -errno. stream_cap: the worker's. */
WEFT_MUST_CHECK
int worker_stream_inlet_open(struct stream_inlet *inlet, struct mesh *mesh, uint32_t stream_cap,
			     struct stream_queue *to, struct stream_queue *from);
/*
 * worker_stream_inlet_close, when the worker's thread is over and its relay closed: streams end
 * with WEFT_ECLOSED, and nothing that was lent stays away. The queue to the worker ends. Takes a
 * zeroed one.
 */
void worker_stream_inlet_close(struct stream_inlet *inlet, uint64_t now_ns);
/* worker_stream_inlet_read takes what the worker sent; true: there was something. */
bool worker_stream_inlet_read(struct stream_inlet *inlet, uint64_t now_ns);
/*
 * The worker's messages: a stream was opened, got a frame, got data, reached
 * the end of the peer's bytes, or ended.
 */
void worker_inlet_opened(void *object, const void *bytes, size_t len);
void worker_inlet_frame(void *object, const void *bytes, size_t len);
void worker_inlet_data(void *object, const void *bytes, size_t len);
void worker_inlet_finished(void *object, const void *bytes, size_t len);
void worker_inlet_ended(void *object, const void *bytes, size_t len);
/* A frame that home posted comes back. */
void worker_inlet_said(void *object, const void *bytes, size_t len);
/* worker_stream_inlet_flush passes on what users did; true: try again soon. At the end of a turn. */
bool worker_stream_inlet_flush(struct stream_inlet *inlet);

#endif
