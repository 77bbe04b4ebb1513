/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A channel of a pod as a topic of the service. It is also a stream whose method is the channel:
 * a subscriber of that topic that also speaks. A message is sent out once it is kept. Home
 * worker.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/json_heap.h"
#include "codec/text/utf8.h"
#include "builtin/builtin.h"
#include "pod_chat.h"

struct pod_stream {
	struct list_node node; /* of the chat's */
	struct pod_chat *chat;
	struct service_channel *channel;
	struct service_subscriber *subscriber;
	uint8_t key[MESH_KEY_LEN]; /* of its opener */
	char pod[POD_ID_LEN + 1];
	char name[POD_CHANNEL_LEN_MAX + 1];
	size_t in_len;
	bool is_in_over; /* the message that comes is longer than any may be */
	char in[POD_CHAT_STREAM_LEN_MAX + 1];
};

/* The name of a topic of the service: a pod and a channel of it, "POD/CHANNEL". */
#define POD_TOPIC_CAP (POD_ID_LEN + 1 + POD_CHANNEL_LEN_MAX + 1)
_Static_assert(POD_TOPIC_CAP <= SERVICE_TOPIC_LEN_MAX + 1, "a channel's topic is one");

static char *topic_write(const char *pod, const char *channel, char topic[static POD_TOPIC_CAP])
{
	snprintf(topic, POD_TOPIC_CAP, "%s/%s", pod, channel);
	return topic;
}

/* --- outgoing messages --- */

static void message_tell(struct pod_chat *chat, const struct pod_message *message)
{
	char topic[POD_TOPIC_CAP];
	json_t *json = builtin_pod_chat_json_of_message(message);
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	struct service_publication event = {
		.owner = chat->offer,
		.topic = topic_write(message->pod->id, message->channel, topic),
		.data = text,
		.len = text ? strlen(text) : 0,
		.at_ms = chat->pods.clock->wall_ms(chat->pods.clock->ctx),
	};
	struct service_published published;

	/* Without memory it is not heard; FetchMessages has it. */
	if (text && chat->offer)
		(void)!service_topics_publish(chat->topics, &event,
					      chat->pods.clock->now_ns(chat->pods.clock->ctx),
					      &published);
	json_decref(json);
	free(text);
}

void builtin_pod_chat_tell(struct pod_chat *chat, const struct pod *pod)
{
	for (struct list_node *node = pod->messages.next; node != &pod->messages;
	     node = node->next) {
		struct pod_message *message = container_of(node, struct pod_message, node);

		if (!message->is_kept)
			return; /* the messages behind it wait for it, so that all come in order */
		if (!message->is_told)
			message_tell(chat, message);
		message->is_told = true;
	}
}

const char *builtin_pod_chat_topic_refusal(void *ctx, const uint8_t key[MESH_KEY_LEN],
					   const char *topic)
{
	const struct pod_chat *chat = ctx;
	const char *slash = strchr(topic, '/');
	char id[POD_ID_LEN + 1] = "";
	struct pod *pod;

	if (slash && slash - topic <= POD_ID_LEN)
		memcpy(id, topic, (size_t)(slash - topic));
	pod = builtin_pods_find(&chat->pods, id);
	return pod && builtin_pod_find_member(pod, key)
		       ? NULL
		       : "only members of the pod may hear what is said in it";
}

/* --- incoming messages --- */

/*
 * say: a JSON object with the fields of PostMessage, or a text that is the body. NULL, or why it is
 * not taken.
 */
static const char *say(struct pod_stream *stream, struct pod *pod, uint64_t now_ns)
{
	const char *error = NULL;
	struct pod_chat_saying saying = {.sender = stream->key,
					 .channel = stream->name,
					 .body = stream->in,
					 .now_ns = now_ns};
	json_t *json = NULL;

	if (stream->is_in_over || strlen(stream->in) != stream->in_len ||
	    !utf8_is_valid(stream->in, stream->in_len)) {
		return "a message is a text of at most 4096 bytes";
	}
	if (stream->in[0] == '{' &&
	    json_heap_load(stream->in, stream->in_len, JSON_REJECT_DUPLICATES, &json) < 0)
		json = NULL;
	if (json &&
	    json_unpack(json, "{s:s, s?s, s?I, s?s !}", "body", &saying.body, "id", &saying.id,
			"at_ms", &saying.at_ms, "signature", &saying.signature) < 0)
		error = "a message in JSON has body, and id, at_ms, signature or none of them";
	else
		(void)builtin_pod_chat_say(stream->chat, pod, &saying, &error);
	json_decref(json);
	return error;
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

/* error_tell may end the stream, as subscriber_say may. */
static void error_tell(struct pod_stream *stream, const char *error)
{
	char text[SERVICE_SAID_CAP];

	snprintf(text, sizeof(text), "{\"error\":\"%s\"}", error);
	service_subscriber_say(stream->subscriber, text);
}

/* The pod, as long as it exists and the stream's opener is a member. */
static struct pod *pod_of(const struct pod_stream *stream)
{
	struct pod *pod = builtin_pods_find(&stream->chat->pods, stream->pod);

	return pod && builtin_pod_find_member(pod, stream->key) ? pod : NULL;
}

static void on_piece(void *arg, const struct service_piece *piece, uint64_t now_ns)
{
	struct pod_stream *stream = arg;
	struct pod *pod = pod_of(stream);
	const char *error = NULL;

	in_take(stream, piece);
	service_channel_consume(stream->channel, piece->len);
	if (piece->is_last) {
		if (pod)
			error = say(stream, pod, now_ns);
		stream->in_len = 0;
		stream->in[0] = '\0';
		stream->is_in_over = false;
	}
	if (error)
		error_tell(stream, error);
	else if (!pod)
		service_subscriber_say(stream->subscriber, NULL);
}

static const char *on_refusal(void *arg, const uint8_t key[MESH_KEY_LEN], const char *topic)
{
	const struct pod_stream *stream = arg;

	return builtin_pod_chat_topic_refusal(stream->chat, key, topic);
}

static void on_ended(void *arg)
{
	struct pod_stream *stream = arg;

	list_unlink(&stream->node);
	free(stream);
}

static const struct service_hearer stream_hearer = {
	.refusal = on_refusal, .piece = on_piece, .ended = on_ended, .is_plain = true};

void builtin_pod_chat_streams_fini(struct pod_chat *chat)
{
	while (chat->streams.next && !list_is_empty(&chat->streams))
		on_ended(container_of(chat->streams.next, struct pod_stream, node));
}

/* --- opening --- */

/*
 * The one pod of the caller's that has the channel; NULL with why when there is none, or several.
 */
static struct pod *pod_with(struct pod_chat *chat, const uint8_t key[MESH_KEY_LEN],
			    const char *channel, const char **out_why)
{
	struct pod *found = NULL, *pod = NULL;

	*out_why = "the caller is in no pod that has this channel";
	while ((pod = builtin_pods_next(&chat->pods, pod)) != NULL) {
		if (!builtin_pod_find_member(pod, key) || !builtin_pod_find_channel(pod, channel))
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
	struct pod *pod = builtin_pods_find(&chat->pods, id);

	*out_why = "the caller is in no such pod, or it has no such channel";
	return pod && builtin_pod_find_member(pod, key) && builtin_pod_find_channel(pod, channel)
		       ? pod
		       : NULL;
}

/* pod_asked reads the head: nothing, or {"pod": ID}. */
static struct pod *pod_asked(struct pod_chat *chat, const struct service_input *input,
			     const char **out_why)
{
	const char *id = NULL;
	json_t *json = NULL;
	struct pod *pod;

	*out_why = "the head is a JSON object with pod, or nothing";
	if (input->len && json_heap_load((const char *)input->data, input->len,
					 JSON_REJECT_DUPLICATES, &json) < 0)
		return NULL;
	if (json && json_unpack(json, "{s?s !}", "pod", &id) < 0)
		pod = NULL;
	else if (id)
		pod = pod_named(chat, input->caller->key, id, input->method, out_why);
	else
		pod = pod_with(chat, input->caller->key, input->method, out_why);
	json_decref(json);
	return pod;
}

void builtin_pod_chat_stream(void *ctx, struct service_channel *channel,
			     const struct service_input *input, uint64_t now_ns)
{
	struct pod_chat *chat = ctx;
	const char *why;
	struct pod *pod = pod_asked(chat, input, &why);
	struct pod_stream *stream = pod ? calloc(1, sizeof(*stream)) : NULL;
	struct service_subscription_params params = {.has_since = false};
	struct service_subscribing request = {.owner = chat->offer,
					      .params = &params,
					      .caller = input->caller,
					      .hearer = &stream_hearer,
					      .arg = stream};

	if (!stream) {
		service_channel_end(channel, pod ? SERVICE_UNAVAILABLE : SERVICE_INVALID_PAYLOAD,
				    pod ? "no memory for one more listener" : why);
		return;
	}
	stream->chat = chat;
	stream->channel = channel;
	memcpy(stream->key, input->caller->key, sizeof(stream->key));
	strcpy(stream->pod, pod->id);
	strcpy(stream->name, builtin_pod_find_channel(pod, input->method)->name);
	topic_write(pod->id, stream->name, params.topic);
	stream->subscriber = service_topics_subscribe(chat->topics, channel, &request, now_ns);
	if (!stream->subscriber) {
		free(stream);
		return;
	}
	list_push_back(&chat->streams, &stream->node);
}
