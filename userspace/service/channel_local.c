/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams with both sides on this node. The bytes of a side wait in a small ring of its own
 * until the next turn, and go on as the other side consumes. Home worker.
 */
#include "service/service_channel.h"

#include <string.h>

#include "base/assert.h"
#include "base/monotonic.h"
#include "service/service_state.h"

/* Bytes handed out and not consumed before the sender has to wait. */
#define WINDOW_LEN     (256u * 1024)
#define MEMORY_WAIT_NS (10 * NS_PER_MS)

void service_channel_local_run(struct service_channel *channel)
{
	timer_set(channel->service->params.timers, &channel->timer, 0);
}

void service_channel_join(struct service_channel *taker, struct service_channel *asker)
{
	taker->peer = asker;
	asker->peer = taker;
	asker->is_local = true;
	asker->is_opened = true;
	asker->state = SERVICE_CHANNEL_OPEN;
	asker->ask = NULL;
	service_channel_local_run(asker);
}

int service_channel_local_send(struct service_channel *channel, const struct service_piece *piece,
			       void (*done)(void *arg), void *arg)
{
	unsigned idx = (channel->piece_first + channel->piece_cnt) % SERVICE_LOCAL_PIECES_MAX;
	struct service_local_piece *place = &channel->pieces[idx];

	channel->wants_writable = channel->piece_cnt == SERVICE_LOCAL_PIECES_MAX;
	if (channel->wants_writable)
		return WEFT_EFULL;
	*place = (struct service_local_piece){.piece = *piece, .done = done, .arg = arg};
	if (!done) {
		place->body = service_body_copy(channel->service->heap, piece->data, piece->len);
		if (!place->body) {
			channel->wants_writable = true;
			timer_set(channel->service->params.timers, &channel->timer,
				  channel->service->now_ns + MEMORY_WAIT_NS);
			return WEFT_EFULL;
		}
		place->piece.data = place->body->bytes;
	}
	channel->piece_cnt++;
	service_channel_local_run(channel);
	return 0;
}

void service_channel_local_consume(struct service_channel *channel, size_t len)
{
	weft_assert(len <= channel->unused_len);
	channel->unused_len -= len;
	if (channel->peer)
		service_channel_local_run(channel->peer);
}

static void tell_opened(struct service_channel *channel, uint64_t now_ns)
{
	if (!channel->is_opened)
		return;
	channel->is_opened = false;
	if (channel->events->opened)
		channel->events->opened(channel->arg, channel->service->own_key, now_ns);
}

static bool is_open(const struct service_channel *channel)
{
	return channel && channel->state == SERVICE_CHANNEL_OPEN;
}

/* Hands the oldest piece to the other side, if that still listens. */
static void tell_piece(struct service_channel *channel, uint64_t now_ns)
{
	struct service_local_piece out = channel->pieces[channel->piece_first];
	struct service_channel *peer = channel->peer;

	channel->piece_first = (channel->piece_first + 1) % SERVICE_LOCAL_PIECES_MAX;
	channel->piece_cnt--;
	if (is_open(peer)) {
		peer->unused_len += out.piece.len;
		if (peer->events->piece)
			peer->events->piece(peer->arg, &out.piece, now_ns);
	}
	service_body_put(out.body);
	if (out.done)
		out.done(out.arg);
}

/*
 * Ends channel with status and releases it. Its user gets ended, unless it ended the channel
 * itself.
 */
static void end_one(struct service_channel *channel, enum service_status status, const char *text,
		    uint64_t now_ns)
{
	const struct service_channel_events *events = channel->events;
	bool is_told = channel->state == SERVICE_CHANNEL_CLOSED;
	void *arg = channel->arg;

	while (channel->piece_cnt)
		tell_piece(channel, now_ns); /* unheard; returns the lent bytes */
	if (!is_told)
		service_channel_close(channel, status);
	service_channel_gone(channel);
	if (!is_told)
		service_channel_tell_ended(events, arg, status, text, now_ns);
}

/* Both sides end as channel says. */
static void end_both(struct service_channel *channel, enum service_status status, uint64_t now_ns)
{
	struct service_channel *peer = channel->peer;
	char text[SERVICE_TEXT_LEN_MAX + 1];

	memcpy(text, channel->text, sizeof(text));
	channel->peer = NULL;
	if (peer)
		peer->peer = NULL;
	end_one(channel, status, text, now_ns);
	if (peer)
		end_one(peer, status, text, now_ns);
}

static bool is_all_said(const struct service_channel *channel)
{
	return channel->is_finished && !channel->piece_cnt;
}

void service_channel_local_tell(struct service_channel *channel, uint64_t now_ns)
{
	struct service_channel *peer = channel->peer;

	tell_opened(channel, now_ns);
	if (peer)
		tell_opened(peer, now_ns);
	while (channel->piece_cnt && is_open(peer) &&
	       (peer->unused_len < WINDOW_LEN || channel->state == SERVICE_CHANNEL_CLOSED))
		tell_piece(channel, now_ns);
	if (channel->state == SERVICE_CHANNEL_CLOSED) {
		end_both(channel, channel->status, now_ns);
		return;
	}
	if (is_all_said(channel) && is_open(peer) && !peer->has_finish) {
		peer->has_finish = true;
		if (peer->events->finished)
			peer->events->finished(peer->arg, now_ns);
	}
	if (is_open(channel) && is_open(peer) && peer->has_finish && channel->has_finish) {
		end_both(channel, SERVICE_OK, now_ns);
	} else if (is_open(channel) && channel->wants_writable &&
		   channel->piece_cnt < SERVICE_LOCAL_PIECES_MAX) {
		channel->wants_writable = false;
		if (channel->events->writable)
			channel->events->writable(channel->arg, now_ns);
	}
}
