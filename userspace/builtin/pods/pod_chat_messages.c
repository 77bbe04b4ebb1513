/* SPDX-License-Identifier: Apache-2.0 */
/* The messages of pods. */
#include "base/random.h"
#include "codec/text/base64.h"
#include "codec/text/hex.h"
#include "crypto/node_key.h"
#include "builtin/builtin.h"
#include "pod_chat.h"

/* It is for its caller to say why a message is not taken: *out_why, with the status. */
static enum service_status refusal(enum service_status status, const char *why,
				   const char **out_why)
{
	*out_why = why;
	return status;
}

static bool signature_read(const char *text, uint8_t out_signature[POD_SIGNATURE_LEN])
{
	size_t len;

	return base64_read(text, strlen(text), out_signature, POD_SIGNATURE_LEN, &len) == 0 &&
	       len == POD_SIGNATURE_LEN;
}

static bool has_id(const struct pod *pod, const char *id)
{
	for (struct list_node *node = pod->messages.next; node != &pod->messages; node = node->next)
		if (strcmp(container_of(node, struct pod_message, node)->id, id) == 0)
			return true;
	return false;
}

/* Fills message from the well-formed fields. */
static enum service_status post_read(const struct pod_chat_saying *post, const struct pod *pod,
				     uint64_t wall_ms, struct pod_message *message,
				     const char **out_why)
{
	uint8_t id[POD_MESSAGE_ID_LEN / 2];
	size_t len = strlen(post->body);

	if (!builtin_pod_find_channel(pod, post->channel))
		return refusal(SERVICE_INVALID_PAYLOAD, "the pod has no such channel", out_why);
	if (len > POD_BODY_LEN_MAX)
		return refusal(SERVICE_PAYLOAD_TOO_LARGE, "a message is at most 4096 bytes",
			       out_why);
	if (len == 0)
		return refusal(SERVICE_INVALID_PAYLOAD, "the message is empty", out_why);
	if (post->at_ms < (json_int_t)(wall_ms - POD_CHAT_SKEW_MS) ||
	    post->at_ms > (json_int_t)(wall_ms + POD_CHAT_SKEW_MS))
		return refusal(SERVICE_INVALID_PAYLOAD,
			       "at_ms is more than five minutes from this node's clock", out_why);
	if (!hex_read(post->id, id, sizeof(id)))
		return refusal(SERVICE_INVALID_PAYLOAD, "a message's id is 32 hexadecimal digits",
			       out_why);
	if (post->signature && !signature_read(post->signature, message->signature))
		return refusal(SERVICE_INVALID_PAYLOAD, "a signature is 64 bytes as base64",
			       out_why);
	hex_write(id, sizeof(id), message->id);
	memcpy(message->channel, post->channel, strlen(post->channel));
	message->body = post->body;
	message->body_len = (uint32_t)len;
	message->at_ms = (uint64_t)post->at_ms;
	message->is_signed = post->signature != NULL;
	return SERVICE_OK;
}

/* A member that named a key when joining must sign; any other is known by its session alone. */
static enum service_status signature_check(const struct pod_chat_saying *saying,
					   const struct pod *pod, const struct pod_member *member,
					   const struct pod_message *message, const char **out_why)
{
	char text[POD_SIGNING_TEXT_CAP];
	size_t len;

	if (message->is_signed && !member->has_signing_key)
		return refusal(SERVICE_UNAUTHORIZED, "join the pod with the key that signs",
			       out_why);
	if (!message->is_signed && member->has_signing_key)
		return refusal(SERVICE_UNAUTHORIZED, "this member's messages are signed", out_why);
	if (!message->is_signed)
		return SERVICE_OK;
	len = builtin_pod_message_signing_text(pod->id, message, text);
	if (node_key_verify(member->signing_key, text, len, message->signature) == 0)
		return SERVICE_OK;
	if (saying->call)
		service_violation(saying->call, "a pod message with a bad signature",
				  saying->now_ns);
	return refusal(SERVICE_UNAUTHORIZED, "the signature is not by the member's key", out_why);
}

static enum service_status message_post(struct pod_chat *chat, const struct pod_chat_saying *saying,
					struct pod *pod, struct pod_message *message,
					const char **out_why)
{
	struct ack ack = {.call = saying->call};

	message->sequence = builtin_pods_next_sequence(&chat->pods, pod);
	ack.reply = builtin_json(posted, .id = message->id, .sequence = api_uint(message->sequence),
				 .at_ms = api_uint(message->at_ms));
	if (builtin_pods_post(&chat->pods, pod, message, &ack, saying->now_ns) == 0)
		return SERVICE_OK;
	json_decref(ack.reply);
	return refusal(SERVICE_UNAVAILABLE, "this node has no memory for messages now", out_why);
}

enum service_status builtin_pod_chat_say(struct pod_chat *chat, struct pod *pod,
					 const struct pod_chat_saying *saying, const char **out_why)
{
	uint64_t wall_ms = chat->pods.clock->wall_ms(chat->pods.clock->ctx);
	uint8_t random_id[POD_MESSAGE_ID_LEN / 2];
	char id[POD_MESSAGE_ID_LEN + 1];
	struct pod_message message = {.id = ""};
	struct pod_chat_saying post = *saying;
	enum service_status status;

	random_fill(chat->random, random_id, sizeof(random_id));
	hex_write(random_id, sizeof(random_id), id);
	post.id = post.id ? post.id : id;
	post.at_ms = post.at_ms ? post.at_ms : (json_int_t)wall_ms;
	memcpy(message.sender, post.sender, MESH_KEY_LEN);
	status = post_read(&post, pod, wall_ms, &message, out_why);
	if (status == SERVICE_OK)
		status = signature_check(&post, pod, builtin_pod_find_member(pod, post.sender),
					 &message, out_why);
	if (status == SERVICE_OK && has_id(pod, message.id))
		status = refusal(SERVICE_INVALID_PAYLOAD, "the pod has a message of this id",
				 out_why);
	if (status == SERVICE_OK && !builtin_quota_take(&chat->posts, post.sender, post.now_ns))
		status = refusal(SERVICE_RATE_LIMITED, "a peer says at most 10 messages a minute",
				 out_why);
	return status == SERVICE_OK ? message_post(chat, &post, pod, &message, out_why) : status;
}

void builtin_pod_chat_post(void *ctx, struct request *request)
{
	struct pod_chat *chat = ctx;
	struct pod_chat_saying post = {
		.sender = request->caller->key, .call = request->call, .now_ns = request->now_ns};
	enum service_status status;
	const char *pod_id, *why;
	json_int_t at_ms = -1;
	struct pod *pod;

	if (!builtin_request_unpack(request, "{s:s, s:s, s:s, s?s, s?I, s?s}", "pod", &pod_id,
				    "channel", &post.channel, "body", &post.body, "id", &post.id,
				    "at_ms", &at_ms, "signature", &post.signature) ||
	    !(pod = builtin_pod_chat_own_pod(chat, request, pod_id, POD_MEMBER)))
		return;
	/* 0 is a time, long ago. */
	post.at_ms = at_ms == 0 ? 1 : at_ms == -1 ? 0 : at_ms;
	status = builtin_pod_chat_say(chat, pod, &post, &why);
	if (status != SERVICE_OK)
		builtin_request_refuse(request, status, why);
}

static struct api_builtin_pod_message message_reply(struct varlink_blocks *blocks,
						    const struct pod_message *message)
{
	return (struct api_builtin_pod_message){
		.sequence = api_uint(message->sequence),
		.id = message->id,
		.channel = message->channel,
		.sender = builtin_key_text(blocks, message->sender),
		.at_ms = api_uint(message->at_ms),
		.body = varlink_format(blocks, "%.*s", (int)message->body_len, message->body),
		.signature = message->is_signed
				     ? varlink_base64(blocks, message->signature, POD_SIGNATURE_LEN)
				     : NULL,
	};
}

json_t *builtin_pod_chat_json_of_message(const struct pod_message *message)
{
	struct varlink_blocks blocks = {NULL};
	struct api_builtin_pod_message reply = message_reply(&blocks, message);
	json_t *json = varlink_write(&api_builtin_pod_message_type, &reply);

	varlink_blocks_free(&blocks);
	return json;
}

/* Those after since, oldest first, as many as one answer holds; next is since of the rest. */
static struct api_builtin_pod_page page_of(struct varlink_blocks *blocks, const struct pod *pod,
					   const char *channel, uint64_t since, size_t limit)
{
	struct api_builtin_pod_page page = {.next = api_uint(since)};
	size_t bodies_len = 0;

	for (struct list_node *node = pod->messages.next; node != &pod->messages;
	     node = node->next) {
		const struct pod_message *message = container_of(node, struct pod_message, node);

		if (!message->is_kept || message->sequence <= since ||
		    (channel && strcmp(message->channel, channel) != 0))
			continue;
		page.has_more = page.messages.cnt == limit ||
				bodies_len + message->body_len > POD_CHAT_PAGE_LEN_MAX;
		if (page.has_more)
			break;
		varlink_push(blocks, &page.messages, message_reply(blocks, message));
		bodies_len += message->body_len;
		page.next = api_uint(message->sequence);
	}
	return page;
}

void builtin_pod_chat_fetch(void *ctx, struct request *request)
{
	const char *id, *channel = NULL;
	struct pod_chat *chat = ctx;
	json_int_t since = 0, limit = POD_CHAT_PAGE_MAX;
	struct varlink_blocks blocks = {NULL};
	struct api_builtin_pod_page page;
	struct pod *pod;

	if (!builtin_request_unpack(request, "{s:s, s?s, s?I, s?I}", "pod", &id, "channel",
				    &channel, "since", &since, "limit", &limit) ||
	    !(pod = builtin_pod_chat_own_pod(chat, request, id, POD_MEMBER)))
		return;
	if (since < 0 || limit < 1 || limit > POD_CHAT_PAGE_MAX) {
		builtin_request_refuse(request, SERVICE_INVALID_PAYLOAD,
				       "since is a sequence number, and limit 1 to 100");
		return;
	}
	page = page_of(&blocks, pod, channel, (uint64_t)since, (size_t)limit);
	builtin_request_reply(request, varlink_write(&api_builtin_pod_page_type, &page));
	varlink_blocks_free(&blocks);
}
