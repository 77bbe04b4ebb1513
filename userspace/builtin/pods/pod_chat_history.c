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
	ack.reply = json_pack("{s:s, s:s}", "pod", id, "host", host_text);
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

static json_t *json_of_room(const struct room *room)
{
	uint64_t len = room->tail_len, event_cnt = 0;
	struct room_head head = {.name = ""};
	json_t *json;

	if (room->head)
		(void)!builtin_room_head_parse(room->head, room->head_len, &head);
	for (unsigned i = 0; i < room->part_cnt; i++) {
		len += room->parts[i].len;
		event_cnt += room->parts[i].event_cnt;
	}
	json = json_pack("{s:s, s:o, s:s, s:I, s:I, s:I, s:I, s:I}", "pod", room->id, "host",
			 builtin_json_of_key(room->host), "name", head.name, "segments",
			 (json_int_t)room->part_cnt, "first",
			 (json_int_t)(room->part_cnt ? room->parts[0].number : room->sealed_cnt),
			 "sealed_events", (json_int_t)event_cnt, "bytes", (json_int_t)len,
			 "updated_ms", (json_int_t)room->updated_ms);
	if (room->fault)
		json_object_set_new(json, "fault", json_string(room->fault));
	return json;
}

void builtin_pod_chat_kept(void *ctx, struct request *request)
{
	struct pod_chat *chat = ctx;
	struct room *room = NULL;
	json_t *rooms;

	if (!builtin_request_unpack(request, "{}") || !is_of_this_node(request))
		return;
	rooms = json_array();
	while ((room = pool_next(&chat->rooms.pool, room)))
		if (!room->is_own)
			json_array_append_new(rooms, json_of_room(room));
	builtin_request_reply(request, json_pack("{s:o}", "rooms", rooms));
}

struct page {
	json_t *messages;
	size_t limit, bodies_len;
	uint64_t next;
	bool has_more;
};

static bool page_add(void *arg, const struct room_event *event)
{
	char id[2 * ROOM_EVENT_ID_LEN + 1], signature[BASE64_LEN(POD_SIGNATURE_LEN) + 1];
	struct page *page = arg;
	json_t *json;

	page->has_more = json_array_size(page->messages) == page->limit ||
			 page->bodies_len + event->body_len > POD_CHAT_PAGE_LEN_MAX;
	if (page->has_more)
		return false;
	json = json_pack("{s:I, s:s, s:s%, s:o, s:I, s:s, s:s%}", "sequence",
			 (json_int_t)event->sequence, "id",
			 hex_write(event->id, ROOM_EVENT_ID_LEN, id), "channel", event->channel,
			 event->channel_len, "sender", builtin_json_of_key(event->sender), "at_ms",
			 (json_int_t)event->at_ms, "kind", builtin_room_event_kinds[event->kind],
			 "body", event->body, event->body_len);
	if (event->signature)
		json_object_set_new(
			json, "signature",
			json_string(base64_write(event->signature, POD_SIGNATURE_LEN, signature)));
	json_array_append_new(page->messages, json);
	page->bodies_len += event->body_len;
	page->next = event->sequence;
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
	page = (struct page){.messages = json_array(), .limit = (size_t)limit};
	page.next = (uint64_t)since;
	builtin_rooms_events_each(room, (uint64_t)since, page_add, &page);
	builtin_request_reply(request,
			      json_pack("{s:o, s:I, s:b}", "messages", page.messages, "next",
					(json_int_t)page.next, "has_more", page.has_more));
}
