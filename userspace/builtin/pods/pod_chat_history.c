/* SPDX-License-Identifier: Apache-2.0 */
/* The history of rooms, this node's own and kept ones, as methods of pod-chat. */
#include "codec/text/base64.h"
#include "codec/text/hex.h"
#include "builtin/builtin.h"
#include "pod_chat.h"

#define FULL_TEXT "16 rooms are kept already, or 8 nodes are named for this one: Forget one"

static bool is_of_this_node(const struct request *request)
{
	if (!request->caller->is_local)
		builtin_request_refuse(request, SERVICE_FORBIDDEN,
				       "programs of this node say which histories it keeps");
	return request->caller->is_local;
}

void builtin_pod_chat_keep(void *ctx, struct request *request)
{
	const char *id, *host_text, *via_text = NULL;
	struct pod_chat *chat = ctx;
	struct ack ack = {.call = request->call};
	uint8_t host[MESH_KEY_LEN], via[MESH_KEY_LEN];
	int err;

	if (!builtin_request_unpack(request, "{s:s, s:s, s?s}", "pod", &id, "host", &host_text,
				    "from", &via_text) ||
	    !is_of_this_node(request) || !builtin_request_key(request, host_text, host) ||
	    (via_text && !builtin_request_key(request, via_text, via)))
		return;
	if (strlen(id) != POD_ID_LEN || memcmp(id, "pod:", 4) != 0) {
		builtin_request_refuse(request, SERVICE_INVALID_PAYLOAD,
				       "pod: \"pod:\" and 32 hexadecimal digits");
		return;
	}
	ack.reply = builtin_json(kept_room, .pod = id, .host = host_text);
	err = builtin_rooms_keep(
		&chat->rooms,
		&(struct room_origin){.id = id, .host = host, .via = via_text ? via : NULL}, &ack,
		request->now_ns);
	if (err == 0)
		return;
	json_decref(ack.reply);
	if (err == WEFT_EEXISTS)
		builtin_request_refuse(request, SERVICE_INVALID_PAYLOAD,
				       "this node is the host, and keeps it anyhow");
	else
		builtin_request_refuse(request, SERVICE_UNAVAILABLE, FULL_TEXT);
}

/* The room of id at host, or the only one of id; NULL: it was answered. */
static struct room *room_named(struct pod_chat *chat, const struct request *request, const char *id,
			       const char *host_text)
{
	struct room_head head;
	struct room *room = NULL, *found = NULL;
	const struct pod *pod = builtin_pods_find(&chat->pods, id);
	uint8_t host[MESH_KEY_LEN];

	if (host_text && !builtin_request_key(request, host_text, host))
		return NULL;
	if (pod)
		(void)builtin_rooms_own(&chat->rooms, pod);
	while ((room = pool_next(&chat->rooms.pool, room)))
		if (strcmp(room->id, id) == 0 &&
		    (!host_text || memcmp(room->host, host, MESH_KEY_LEN) == 0))
			found = found && found->is_own ? found : room;
	if (found)
		builtin_room_refresh(found);
	if (found && !request->caller->is_local &&
	    (!found->head || builtin_room_head_parse(found->head, found->head_len, &head) < 0 ||
	     !builtin_room_head_admits(&head, request->caller->key)))
		found = NULL;
	if (!found)
		builtin_request_refuse(request, SERVICE_INVALID_PAYLOAD,
				       "the history of no such room is here");
	return found;
}

void builtin_pod_chat_forget(void *ctx, struct request *request)
{
	struct ack ack = {.call = request->call};
	const char *id, *host_text;
	struct pod_chat *chat = ctx;
	struct room *room;

	if (!builtin_request_unpack(request, "{s:s, s:s}", "pod", &id, "host", &host_text) ||
	    !is_of_this_node(request) || !(room = room_named(chat, request, id, host_text)))
		return;
	ack.reply = json_object();
	if (builtin_rooms_forget(&chat->rooms, room, &ack, request->now_ns) == 0)
		return;
	json_decref(ack.reply);
	builtin_request_refuse(request, SERVICE_INVALID_PAYLOAD,
			       "it is a room of this node: Dissolve removes it, and its history");
}

static struct api_builtin_room room_reply(struct varlink_blocks *blocks, const struct room *room)
{
	uint64_t len = room->tail_len, event_cnt = 0;
	struct room_head head = {.name = ""};

	if (room->head)
		(void)!builtin_room_head_parse(room->head, room->head_len, &head);
	for (unsigned i = 0; i < room->part_cnt; i++) {
		len += room->parts[i].len;
		event_cnt += room->parts[i].event_cnt;
	}
	return (struct api_builtin_room){
		.pod = room->id,
		.host = builtin_key_text(blocks, room->host),
		.name = varlink_text(blocks, head.name),
		.segments = room->part_cnt,
		.first = api_uint(room->part_cnt ? room->parts[0].number : room->sealed_cnt),
		.sealed_events = api_uint(event_cnt),
		.bytes = api_uint(len),
		.updated_ms = api_uint(room->updated_ms),
		.fault = room->fault,
	};
}

void builtin_pod_chat_kept(void *ctx, struct request *request)
{
	struct pod_chat *chat = ctx;
	struct varlink_blocks blocks = {NULL};
	struct api_builtin_rooms reply = {0};
	struct room *room = NULL;

	if (!builtin_request_unpack(request, "{}") || !is_of_this_node(request))
		return;
	while ((room = pool_next(&chat->rooms.pool, room)))
		if (!room->is_own)
			varlink_push(&blocks, &reply.rooms, room_reply(&blocks, room));
	builtin_request_reply(request, varlink_write(&api_builtin_rooms_type, &reply));
	varlink_blocks_free(&blocks);
}

struct page {
	struct varlink_blocks blocks;
	struct api_builtin_room_page reply;
	size_t limit, bodies_len;
};

static bool page_add(void *arg, const struct room_event *event)
{
	struct page *page = arg;
	struct varlink_blocks *blocks = &page->blocks;
	char id[HEX_TEXT_CAP(ROOM_EVENT_ID_LEN)];

	page->reply.has_more = page->reply.messages.cnt == page->limit ||
			       page->bodies_len + event->body_len > POD_CHAT_PAGE_LEN_MAX;
	if (page->reply.has_more)
		return false;
	varlink_push(
		blocks, &page->reply.messages,
		{.sequence = api_uint(event->sequence),
		 .id = varlink_text(blocks, hex_write(event->id, ROOM_EVENT_ID_LEN, id)),
		 .channel = varlink_format(blocks, "%.*s", (int)event->channel_len, event->channel),
		 .sender = builtin_key_text(blocks, event->sender),
		 .at_ms = api_uint(event->at_ms),
		 .kind = builtin_room_event_kinds[event->kind],
		 .body = varlink_format(blocks, "%.*s", (int)event->body_len, event->body),
		 .signature = event->signature
				      ? varlink_base64(blocks, event->signature, POD_SIGNATURE_LEN)
				      : NULL});
	page->bodies_len += event->body_len;
	page->reply.next = api_uint(event->sequence);
	return true;
}

void builtin_pod_chat_history(void *ctx, struct request *request)
{
	json_int_t since = 0, limit = POD_CHAT_PAGE_MAX;
	const char *id, *host_text = NULL;
	struct pod_chat *chat = ctx;
	struct page page;
	struct room *room;

	if (!builtin_request_unpack(request, "{s:s, s?s, s?I, s?I}", "pod", &id, "host", &host_text,
				    "since", &since, "limit", &limit))
		return;
	if (since < 0 || limit < 1 || limit > POD_CHAT_PAGE_MAX) {
		builtin_request_refuse(request, SERVICE_INVALID_PAYLOAD,
				       "since is a sequence number, and limit 1 to 100");
		return;
	}
	room = room_named(chat, request, id, host_text);
	if (!room)
		return;
	page = (struct page){.limit = (size_t)limit, .reply.next = since};
	builtin_rooms_events_each(room, (uint64_t)since, page_add, &page);
	builtin_request_reply(request, varlink_write(&api_builtin_room_page_type, &page.reply));
	varlink_blocks_free(&page.blocks);
}
