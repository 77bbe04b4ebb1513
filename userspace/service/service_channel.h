/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SERVICE_SERVICE_CHANNEL_H
#define WEFT_SERVICE_SERVICE_CHANNEL_H

#include "base/list.h"
#include "base/timer.h"
#include "service/call_head.h"

struct service_body;

enum service_channel_state {
	SERVICE_CHANNEL_OPENING, /* asker: not taken yet */
	SERVICE_CHANNEL_OFFERED, /* taker: its handler decides now */
	SERVICE_CHANNEL_OPEN,
	SERVICE_CHANNEL_CLOSED, /* its user is done with it; the rest is drained */
};

/* A piece on its way within this node. */
struct service_local_piece {
	struct service_piece piece;
	struct service_body *body; /* of a copy */
	void (*done)(void *arg);
	void *arg;
};
#define SERVICE_LOCAL_PIECES_MAX 8

/* One side of a stream. A channel of the mesh belongs to its ask or its call. */
struct service_channel {
	struct service *service;
	enum service_channel_state state;
	struct service_ask *ask;   /* asker of the mesh, and while it opens */
	struct service_call *call; /* taker */
	const struct service_channel_events *events;
	void *arg;
	struct timer timer; /* local: delivery; closed: end of the drain */
	bool is_finished;   /* this side's direction */
	bool has_finish;    /* the other side's */
	bool wants_writable;
	bool is_close_unsent;
	enum service_status status; /* with which it was closed */
	char text[SERVICE_TEXT_LEN_MAX + 1];
	/* Input from the mesh. */
	unsigned in_type;
	size_t in_left_len; /* of the frame */
	bool in_text, in_more;
	bool in_message; /* a message is not complete */
	uint8_t close[SERVICE_CLOSE_LEN_MAX];
	size_t close_len;
	/* Of a local one. */
	bool is_local;
	bool is_opened;		      /* opened is still to be called */
	struct service_channel *peer; /* NULL: it has ended */
	size_t unused_len;	      /* bytes of pieces that came and were not consumed */
	struct service_local_piece pieces[SERVICE_LOCAL_PIECES_MAX];
	unsigned piece_first, piece_cnt;
};

WEFT_MUST_CHECK
int service_channels_init(struct service *service);
void service_channels_fini(struct service *service);

/*
 * The taker's side. offer makes the channel that call asks for, or NULL. offered: its handler
 * has decided; a stream that it has not taken is refused.
 */
struct service_channel *service_channel_offer(struct service_call *call);
void service_channel_offered(struct service_channel *channel, uint64_t now_ns);
/* Asker: opened: it was taken. refused: it was not; the channel is gone. */
void service_channel_opened(struct service_channel *channel, const uint8_t *provider,
			    uint64_t now_ns);
void service_channel_refused(struct service_channel *channel, const struct service_answer *answer,
			     uint64_t now_ns);
/* Events of the mesh's stream, from its call or ask. */
void service_channel_frame(struct service_channel *channel, const struct mesh_stream_frame *frame,
			   uint64_t now_ns);
void service_channel_data(struct service_channel *channel, const uint8_t *data, size_t len,
			  uint64_t now_ns);
void service_channel_finished(struct service_channel *channel, uint64_t now_ns);
void service_channel_writable(struct service_channel *channel, uint64_t now_ns);
void service_channel_ended(struct service_channel *channel, const struct mesh_stream_end *end,
			   uint64_t now_ns);

/*
 * For channel_local.c: close: its user's part is over. gone: it is released, and so is its ask or
 * call. tell_ended: of a channel that may be gone.
 */
void service_channel_close(struct service_channel *channel, enum service_status status);
void service_channel_gone(struct service_channel *channel);
void service_channel_tell_ended(const struct service_channel_events *events, void *arg,
				enum service_status status, const char *text, uint64_t now_ns);
void service_channel_release(struct service_channel *channel);

/*
 * channel_local.c: both sides are of this node. join: taker takes the stream that asker opens. run:
 * an event is due, and tell delivers it in the next turn; only tell releases channels.
 */
void service_channel_join(struct service_channel *taker, struct service_channel *asker);
WEFT_MUST_CHECK
int service_channel_local_send(struct service_channel *channel, const struct service_piece *piece,
			       void (*done)(void *arg), void *arg);
void service_channel_local_consume(struct service_channel *channel, size_t len);
void service_channel_local_run(struct service_channel *channel);
void service_channel_local_tell(struct service_channel *channel, uint64_t now_ns);

#endif
