/* SPDX-License-Identifier: Apache-2.0 */
#include "node/fabric/stream_relay.h"

#include <stdlib.h>
#include <string.h>

/* That it was opened, and that it has ended, which must be told in any case. */
#define LETTERS_PER_STREAM 2

struct relayed {
	struct stream_relay *relay;
	struct mesh_stream *stream;		   /* NULL: it has ended, and home is to be told */
	struct stream_letter *says, **last_say_at; /* that the stream has no room for yet */
	size_t unused_len;
	bool is_finish_wanted;
	struct mesh_stream_end end;
};

static bool relay_has_room(const struct stream_relay *relay, size_t letter_cnt, size_t len)
{
	return letter_cnt * sizeof(struct stream_letter) <=
		       relay->letters_len_max - relay->letters_len &&
	       len <= relay->len_max - relay->unused_len;
}

/* Before relay_post, once for each letter; home gives the letters back (STREAM_TAKEN). */
static void relay_charge(struct stream_relay *relay, size_t letter_cnt, size_t len)
{
	relay->letters_len += letter_cnt * sizeof(struct stream_letter);
	relay->unused_len += len;
	relay->stats.used_len = relay->letters_len + relay->unused_len;
	if (relay->stats.used_len > relay->stats.peak_len)
		relay->stats.peak_len = relay->stats.used_len;
}

static void relay_discharge(struct stream_relay *relay, size_t letters_len, size_t len)
{
	relay->letters_len -= letters_len;
	relay->unused_len -= len;
	relay->stats.used_len = relay->letters_len + relay->unused_len;
}

static void relay_post(struct stream_relay *relay, struct stream_letter *letter)
{
	stream_lane_post(relay->out, letter);
}

/* The letter goes back as it came: nothing can fail. */
static void say_return(struct stream_relay *relay, struct stream_letter *letter)
{
	letter->kind = STREAM_SAID;
	relay_post(relay, letter);
}

static void say_done(void *arg)
{
	struct stream_letter *letter = arg;

	say_return(letter->say.owner, letter);
}

static void says_return(struct relayed *relayed)
{
	struct stream_letter *letter;

	while ((letter = relayed->says)) {
		relayed->says = letter->next;
		say_return(relayed->relay, letter);
	}
	relayed->last_say_at = &relayed->says;
}

/* Takes the stream out, but for telling of its end. */
static void relayed_detach(struct relayed *relayed)
{
	relayed->stream = NULL;
	relay_discharge(relayed->relay, 0, relayed->unused_len);
	relayed->unused_len = 0;
	says_return(relayed);
}

/* Paid for when it was opened. False: there is no memory to say so. */
static bool relayed_tell_end(struct relayed *relayed)
{
	struct stream_relay *relay = relayed->relay;
	struct stream_letter *letter =
		stream_letter_new(STREAM_ENDED, pool_handle_of(&relay->streams, relayed), 0);

	if (!letter)
		return false;
	letter->ended.err = relayed->end.err;
	letter->ended.code = relayed->end.code;
	relay_post(relay, letter);
	pool_release(&relay->streams, relayed);
	return true;
}

static void relayed_end(struct relayed *relayed, const struct mesh_stream_end *end)
{
	struct stream_relay *relay = relayed->relay;

	relayed_detach(relayed);
	relayed->end = *end;
	if (!relayed_tell_end(relayed))
		relay->lost_cnt++;
}

static void relayed_give_up(struct relayed *relayed, int err)
{
	relayed->relay->stats.refused_cnt++;
	relayed->relay->seam.ops->reset(relayed->stream, MESH_CODE_BUSY);
	relayed_end(relayed, &(struct mesh_stream_end){.err = err});
}

/* A letter about the stream, with room for len bytes; NULL: there is none, and the stream is gone. */
static struct stream_letter *relayed_letter(struct relayed *relayed, enum stream_letter_kind kind,
					    size_t len)
{
	struct stream_relay *relay = relayed->relay;
	struct stream_letter *letter = NULL;

	if (!relay_has_room(relay, 1, len)) {
		relayed_give_up(relayed, WEFT_EBUSY);
		return NULL;
	}
	letter = stream_letter_new(kind, pool_handle_of(&relay->streams, relayed), len);
	if (!letter) {
		relayed_give_up(relayed, WEFT_EFULL);
		return NULL;
	}
	relay_charge(relay, 1, len);
	relayed->unused_len += len;
	return letter;
}

static void on_frame(void *arg, const struct mesh_stream_frame *frame, uint64_t now_ns)
{
	struct relayed *relayed = arg;
	struct stream_letter *letter = relayed_letter(relayed, STREAM_FRAME, 0);

	(void)now_ns;
	if (!letter)
		return;
	letter->frame = *frame;
	relay_post(relayed->relay, letter);
}

static void on_data(void *arg, const uint8_t *data, size_t len, uint64_t now_ns)
{
	struct relayed *relayed = arg;
	struct stream_letter *letter = relayed_letter(relayed, STREAM_DATA, len);

	(void)now_ns;
	if (!letter)
		return;
	letter->data_len = len;
	memcpy(letter->bytes, data, len);
	relay_post(relayed->relay, letter);
}

static void on_finished(void *arg, uint64_t now_ns)
{
	struct relayed *relayed = arg;
	struct stream_letter *letter = relayed_letter(relayed, STREAM_FINISHED, 0);

	(void)now_ns;
	if (letter)
		relay_post(relayed->relay, letter);
}

/* What home said goes out as far as there is room. */
static void relayed_push(struct relayed *relayed)
{
	const struct mesh_stream_ops *ops = relayed->relay->seam.ops;
	struct stream_letter *letter;

	while ((letter = relayed->says)) {
		struct transport_span tail = letter->say.tail;
		bool has_tail = tail.data;
		int err;

		tail.done = say_done;
		tail.arg = letter;
		letter->say.owner = relayed->relay;
		err = ops->send(relayed->stream, &letter->say.frame, letter->bytes,
				letter->say.head_len, has_tail ? &tail : NULL);
		if (err == WEFT_EFULL)
			return;
		relayed->says = letter->next;
		if (!relayed->says)
			relayed->last_say_at = &relayed->says;
		if (err < 0 || !has_tail)
			say_return(relayed->relay, letter);
	}
	if (relayed->is_finish_wanted)
		ops->finish(relayed->stream);
	relayed->is_finish_wanted = false;
}

static void on_writable(void *arg, uint64_t now_ns)
{
	(void)now_ns;
	relayed_push(arg);
}

static void on_ended(void *arg, const struct mesh_stream_end *end, uint64_t now_ns)
{
	(void)now_ns;
	relayed_end(arg, end);
}

static const struct mesh_stream_events relayed_events = {
	.frame = on_frame,
	.data = on_data,
	.finished = on_finished,
	.writable = on_writable,
	.ended = on_ended,
};

static int relay_accept(void *ctx, struct mesh_stream *stream, unsigned type, uint64_t now_ns,
			const struct mesh_stream_events **out_events, void **out_arg)
{
	struct stream_relay *relay = ctx;
	bool has_room = relay_has_room(relay, LETTERS_PER_STREAM, 0);
	struct relayed *relayed = has_room ? pool_acquire(&relay->streams) : NULL;
	struct stream_letter *letter;
	int err;

	(void)now_ns;
	relay->stats.refused_cnt += !has_room;
	if (!relayed)
		return WEFT_EFULL;
	letter = stream_letter_new(STREAM_OPENED, pool_handle_of(&relay->streams, relayed), 0);
	err = letter ? relay->seam.ops->peer(stream, &letter->opened.peer) : WEFT_EFULL;
	if (err < 0) {
		free(letter);
		pool_release(&relay->streams, relayed);
		return err;
	}
	letter->opened.type = type;
	relayed->relay = relay;
	relayed->stream = stream;
	relayed->last_say_at = &relayed->says;
	relay_charge(relay, LETTERS_PER_STREAM, 0);
	relay_post(relay, letter);
	*out_events = &relayed_events;
	*out_arg = relayed;
	return 0;
}

size_t stream_relay_footprint(uint32_t stream_cap)
{
	return pool_footprint(sizeof(struct relayed), stream_cap);
}

int stream_relay_open(struct stream_relay *relay, struct mesh_stream_seam seam, uint32_t stream_cap,
		      struct stream_lane *in, struct stream_lane *out)
{
	static const unsigned types[] = {MESH_CALL,	 MESH_STREAM_OPEN, MESH_PEX_REQUEST,
					 MESH_FIND_NODE, MESH_FIND_VALUE,  MESH_STORE};
	int err;

	*relay = (struct stream_relay){.seam = seam,
				       .in = in,
				       .out = out,
				       .len_max = RELAY_LEN_MAX,
				       .letters_len_max = RELAY_LETTERS_LEN_MAX};
	err = arena_open(&relay->arena, stream_relay_footprint(stream_cap));
	if (err == 0)
		err = pool_init(&relay->streams, &relay->arena, sizeof(struct relayed), stream_cap);
	for (unsigned i = 0; err == 0 && i < sizeof(types) / sizeof(types[0]); i++)
		err = seam.ops->accept(seam.mesh, types[i], relay_accept, relay);
	return err;
}

void stream_relay_close(struct stream_relay *relay)
{
	struct relayed *relayed = NULL;

	if (!relay->out)
		return;
	while ((relayed = pool_next(&relay->streams, relayed)))
		says_return(relayed);
	arena_close(&relay->arena);
	*relay = (struct stream_relay){0};
}

static void relayed_turn(struct relayed *relayed, const struct stream_letter *letter)
{
	struct stream_relay *relay = relayed->relay;
	size_t len = letter->turn.consumed_len;

	if (letter->turn.is_reset) {
		relay->seam.ops->reset(relayed->stream, letter->turn.code);
		relayed_detach(relayed);
		relay_discharge(relay, sizeof(struct stream_letter), 0); /* home knows of its end */
		pool_release(&relay->streams, relayed);
		return;
	}
	relayed->unused_len -= len;
	relay_discharge(relay, 0, len);
	if (len)
		relay->seam.ops->consume(relayed->stream, len);
	relayed->is_finish_wanted |= letter->turn.is_finished;
	relayed_push(relayed);
}

static void relay_take(struct stream_relay *relay, struct stream_letter *letter)
{
	struct relayed *relayed = pool_lookup(&relay->streams, letter->stream);
	bool is_there = relayed && relayed->stream;

	if (letter->kind == STREAM_TAKEN) {
		relay_discharge(relay, letter->taken_len, 0);
		free(letter);
	} else if (letter->kind == STREAM_TURN) {
		if (is_there)
			relayed_turn(relayed, letter);
		free(letter);
	} else if (is_there) {
		letter->next = NULL;
		*relayed->last_say_at = letter;
		relayed->last_say_at = &letter->next;
		relayed_push(relayed);
	} else {
		say_return(relay, letter);
	}
}

bool stream_relay_read(struct stream_relay *relay)
{
	struct stream_letter *letter;
	bool had_some = false;

	while (relay->in && (letter = stream_lane_take(relay->in))) {
		relay_take(relay, letter);
		had_some = true;
	}
	return had_some;
}

static void relay_tell_lost(struct stream_relay *relay)
{
	struct relayed *relayed = NULL;

	while (relay->lost_cnt && (relayed = pool_next(&relay->streams, relayed))) {
		if (relayed->stream)
			continue;
		if (!relayed_tell_end(relayed))
			return;
		relay->lost_cnt--;
	}
}

bool stream_relay_flush(struct stream_relay *relay)
{
	if (!relay->out)
		return false;
	relay_tell_lost(relay);
	return stream_lane_flush(relay->out) || relay->lost_cnt;
}
