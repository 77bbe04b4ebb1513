/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A channel of a pod as a stream: what is said there comes as it is kept, and what
 * is sent is said. Its method is the channel. Home worker.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/fair_path.h"
#include "base/random.h"
#include "codec/json_heap.h"
#include "codec/utf8.h"
#include "service/builtin/pod_chat.h"

struct pod_stream {
	struct pod_chat *chat;
	struct service_channel *channel;
	struct fair_item place;
	uint8_t key[MESH_KEY_LEN]; /* of who opened it */
	char pod[POD_ID_LEN + 1];
	char name[POD_CHANNEL_LEN_MAX + 1];
	uint64_t since;	   /* the sequence that was sent last */
	const char *error; /* why the last message was not taken, to be told; NULL: it was */
	char *out; /* of the process's heap, at most one message; NULL: nothing is under way */
	size_t out_len, out_off;
	size_t in_len;
	bool is_in_over; /* the message that comes is longer than any may be */
	char in[POD_CHAT_STREAM_LEN_MAX + 1];
};

static const struct fair_config places_config = {.name = "listeners of pod-chat",
						 .kind = FAIR_STANDING,
						 .cap_cnt = POD_CHAT_STREAM_MAX,
						 .level_cnt = FAIR_PEER_LEVELS,
						 .parts = FAIR_PEER_PARTS};

/* One more than there are places: a newcomer is there before the one that makes room is gone. */
size_t pod_chat_streams_footprint(void)
{
	return pool_footprint(sizeof(struct pod_stream), POD_CHAT_STREAM_MAX + 1) +
	       fair_footprint(&places_config);
}

int pod_chat_streams_init(struct pod_chat *chat, struct arena *arena)
{
	uint64_t secret[2];
	int err = pool_init(&chat->streams, arena, sizeof(struct pod_stream),
			    POD_CHAT_STREAM_MAX + 1);

	random_fill(chat->random, secret, sizeof(secret));
	return err < 0 ? err : fair_init(&chat->places, arena, &places_config, secret);
}

void pod_chat_places(const struct pod_chat *chat, struct fair_view *out)
{
	fair_read(&chat->places, out);
}

static void stream_release(struct pod_stream *stream)
{
	free(stream->out);
	fair_release(&stream->chat->places, &stream->place, stream->chat->now_ns);
	pool_release(&stream->chat->streams, stream);
}

void pod_chat_streams_fini(struct pod_chat *chat)
{
	struct pod_stream *stream;

	while (chat->streams.cap_cnt && (stream = pool_next(&chat->streams, NULL)) != NULL)
		stream_release(stream);
}

/* The pod, as long as it is there and who opened the stream is in it. */
static struct pod *pod_of(const struct pod_stream *stream)
{
	struct pod *pod = pods_find(&stream->chat->pods, stream->pod);

	return pod && pod_find_member(pod, stream->key) ? pod : NULL;
}

/* --- what is said goes out --- */

static const struct pod_message *message_next(struct pod_stream *stream, const struct pod *pod)
{
	for (struct list_node *node = pod->messages.next; node != &pod->messages;
	     node = node->next) {
		const struct pod_message *message = list_entry(node, struct pod_message, node);

		if (message->sequence <= stream->since)
			continue;
		if (!message->is_kept)
			return NULL; /* those behind it wait for it, so that all come in order */
		stream->since = message->sequence;
		if (strcmp(message->channel, stream->name) == 0)
			return message;
	}
	return NULL;
}

static bool out_take(struct pod_stream *stream, const struct pod *pod)
{
	const struct pod_message *message;
	json_t *json = NULL;

	if (stream->error)
		json = json_pack("{s:s}", "error", stream->error);
	else if ((message = message_next(stream, pod)) != NULL)
		json = pod_chat_json_of_message(message);
	stream->error = NULL;
	stream->out = json ? json_dumps(json, JSON_COMPACT) : NULL;
	json_decref(json);
	stream->out_len = stream->out ? strlen(stream->out) : 0;
	stream->out_off = 0;
	return stream->out != NULL;
}

/* out_send: false: the channel takes no more now. */
static bool out_send(struct pod_stream *stream)
{
	while (stream->out_off < stream->out_len) {
		size_t left = stream->out_len - stream->out_off;
		size_t len = left < SERVICE_COPY_LEN_MAX ? left : SERVICE_COPY_LEN_MAX;
		struct service_piece piece = {
			.data = (const uint8_t *)stream->out + stream->out_off,
			.len = len,
			.is_text = true,
			.is_last = len == left,
		};

		if (service_channel_send(stream->channel, &piece, NULL, NULL) < 0)
			return false;
		stream->out_off += len;
	}
	free(stream->out);
	stream->out = NULL;
	return true;
}

/* stream_pump may end the stream. */
static void stream_pump(struct pod_stream *stream)
{
	const struct pod *pod = pod_of(stream);

	if (!pod) {
		service_channel_end(stream->channel, SERVICE_FORBIDDEN,
				    "only members of the pod may hear what is said in it");
		stream_release(stream);
		return;
	}
	while ((stream->out || out_take(stream, pod)) && out_send(stream))
		;
}

void pod_chat_streams_tell(struct pod_chat *chat, const struct pod *pod)
{
	struct pod_stream *next, *stream = pool_next(&chat->streams, NULL);

	for (; stream; stream = next) {
		next = pool_next(&chat->streams, stream);
		if (strcmp(stream->pod, pod->id) == 0)
			stream_pump(stream);
	}
}

/* --- what comes is said --- */

/* say: a JSON object with the fields of PostMessage, or a text that is the body. */
static void say(struct pod_stream *stream, struct pod *pod, uint64_t now_ns)
{
	struct pod_chat_saying saying = {.sender = stream->key,
					 .channel = stream->name,
					 .body = stream->in,
					 .now_ns = now_ns};
	json_t *json = NULL;

	if (stream->is_in_over || strlen(stream->in) != stream->in_len ||
	    !utf8_is_valid(stream->in, stream->in_len)) {
		stream->error = "a message is a text of at most 4096 bytes";
		return;
	}
	if (stream->in[0] == '{' &&
	    json_heap_load(stream->in, stream->in_len, JSON_REJECT_DUPLICATES, &json) < 0)
		json = NULL;
	if (json &&
	    json_unpack(json, "{s:s, s?s, s?I, s?s !}", "body", &saying.body, "id", &saying.id,
			"at_ms", &saying.at_ms, "signature", &saying.signature) < 0)
		stream->error =
			"a message in JSON has body, and id, at_ms, signature or none of them";
	else
		(void)pod_chat_say(stream->chat, pod, &saying, &stream->error);
	json_decref(json);
}

static void in_take(struct pod_stream *stream, const struct service_piece *piece)
{
	if (piece->len > POD_CHAT_STREAM_LEN_MAX - stream->in_len) {
		stream->is_in_over = true;
		return;
	}
	if (piece->len)
		memcpy(stream->in + stream->in_len, piece->data, piece->len);
	stream->in_len += piece->len;
	stream->in[stream->in_len] = '\0';
}

static void on_piece(void *arg, const struct service_piece *piece, uint64_t now_ns)
{
	struct pod_stream *stream = arg;
	struct pod *pod = pod_of(stream);

	in_take(stream, piece);
	service_channel_consume(stream->channel, piece->len);
	if (piece->is_last) {
		if (pod)
			say(stream, pod, now_ns);
		stream->in_len = 0;
		stream->in[0] = '\0';
		stream->is_in_over = false;
	}
	if (!pod || stream->error)
		stream_pump(stream);
}

static void on_finished(void *arg, uint64_t now_ns)
{
	struct pod_stream *stream = arg;

	(void)now_ns;
	service_channel_finish(stream->channel);
}

static void on_writable(void *arg, uint64_t now_ns)
{
	(void)now_ns;
	stream_pump(arg);
}

static void on_ended(void *arg, const struct service_answer *answer, uint64_t now_ns)
{
	struct pod_stream *stream = arg;

	(void)answer;
	stream->chat->now_ns = now_ns;
	stream_release(stream);
}

static const struct service_channel_events stream_events = {
	.piece = on_piece,
	.finished = on_finished,
	.writable = on_writable,
	.ended = on_ended,
};

/* --- opening --- */

/* The one pod of the caller's that has the channel; NULL with why when there is none, or several. */
static struct pod *pod_with(struct pod_chat *chat, const uint8_t key[MESH_KEY_LEN],
			    const char *channel, const char **out_why)
{
	struct pod *found = NULL, *pod = NULL;

	*out_why = "the caller is in no pod that has this channel";
	while ((pod = pods_next(&chat->pods, pod)) != NULL) {
		if (!pod_find_member(pod, key) || !pod_find_channel(pod, channel))
			continue;
		if (found) {
			*out_why = "several pods have this channel: name one, as pod";
			return NULL;
		}
		found = pod;
	}
	return found;
}

static struct pod *pod_named(struct pod_chat *chat, const uint8_t key[MESH_KEY_LEN], const char *id,
			     const char *channel, const char **out_why)
{
	struct pod *pod = pods_find(&chat->pods, id);

	*out_why = "the caller is in no such pod, or it has no such channel";
	return pod && pod_find_member(pod, key) && pod_find_channel(pod, channel) ? pod : NULL;
}

/* pod_asked reads the head: nothing, or {"pod": ID}. */
static struct pod *pod_asked(struct pod_chat *chat, const struct service_caller *caller,
			     const char *channel, const uint8_t *head, size_t len,
			     const char **out_why)
{
	const char *id = NULL;
	json_t *json = NULL;
	struct pod *pod;

	*out_why = "the head is a JSON object with pod, or nothing";
	if (len && json_heap_load((const char *)head, len, JSON_REJECT_DUPLICATES, &json) < 0)
		return NULL;
	if (json && json_unpack(json, "{s?s !}", "pod", &id) < 0)
		pod = NULL;
	else if (id)
		pod = pod_named(chat, caller->key, id, channel, out_why);
	else
		pod = pod_with(chat, caller->key, channel, out_why);
	json_decref(json);
	return pod;
}

/* NULL: the places are taken, and this caller's network has as many as any. */
static struct pod_stream *stream_new(struct pod_chat *chat, const struct service_caller *caller,
				     uint64_t now_ns)
{
	struct pod_stream *stream = pool_acquire(&chat->streams), *evicted;
	struct fair_item *victim = NULL;

	weft_assert(stream); /* there is one more than there are places */
	chat->now_ns = now_ns;
	stream->chat = chat;
	if (fair_take(&chat->places, &caller->path, &stream->place, now_ns, &victim) == FAIR_BUSY) {
		stream_release(stream);
		return NULL;
	}
	if (victim) {
		evicted = list_entry(victim, struct pod_stream, place);
		service_channel_end(evicted->channel, SERVICE_UNAVAILABLE,
				    "its place went to a caller that listens less");
		stream_release(evicted);
	}
	return stream;
}

void pod_chat_stream(void *ctx, struct service_channel *channel,
		     const struct service_caller *caller, const char *method, const uint8_t *head,
		     size_t len, uint64_t now_ns)
{
	struct pod_chat *chat = ctx;
	const char *why;
	struct pod *pod = pod_asked(chat, caller, method, head, len, &why);
	struct pod_stream *stream = pod ? stream_new(chat, caller, now_ns) : NULL;

	if (!pod) {
		service_channel_end(channel, SERVICE_INVALID_PAYLOAD, why);
		return;
	}
	if (!stream) {
		service_channel_end(channel, SERVICE_UNAVAILABLE, "as many listen as there may be");
		return;
	}
	stream->channel = channel;
	stream->since = pod->last_sequence;
	memcpy(stream->key, caller->key, sizeof(stream->key));
	strcpy(stream->pod, pod->id);
	strcpy(stream->name, pod_find_channel(pod, method)->name);
	service_channel_accept(channel, &stream_events, stream);
}
