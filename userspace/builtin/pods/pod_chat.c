/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pods: making, finding and removing them. pod_chat_members.c has their members, and
 * pod_chat_messages.c their messages.
 */
#include "pod_chat.h"

#include "base/monotonic.h"
#include "codec/text/hex.h"
#include "builtin/builtin.h"

#define SWEEP_NS (3600 * NS_PER_S)

/* ---- which pod ---- */

static bool is_visible(struct pod *pod, const struct service_caller *caller)
{
	return caller->is_local || pod->visibility != POD_PRIVATE ||
	       builtin_pod_find_member(pod, caller->key);
}

struct pod *builtin_pod_chat_pod(struct pod_chat *chat, const struct request *request,
				 const char *id)
{
	struct pod *pod = builtin_pods_find(&chat->pods, id);

	if (pod && is_visible(pod, request->caller))
		return pod;
	builtin_request_refuse(request, SERVICE_INVALID_PAYLOAD, "no such pod is here");
	return NULL;
}

struct pod *builtin_pod_chat_own_pod(struct pod_chat *chat, const struct request *request,
				     const char *id, enum pod_role role)
{
	struct pod *pod = builtin_pod_chat_pod(chat, request, id);
	const struct pod_member *member =
		pod ? builtin_pod_find_member(pod, request->caller->key) : NULL;

	if (!pod || (member && member->role >= role))
		return pod;
	builtin_request_refuse(request, SERVICE_FORBIDDEN,
			       role == POD_MEMBER ? "only members of the pod may do this"
						  : "the pod's owner or moderators may do this");
	return NULL;
}

/* ---- pods as answers show them ---- */

static struct api_builtin_pod_member_list members_reply(struct varlink_blocks *blocks,
							const struct pod *pod)
{
	struct api_builtin_pod_member_list members = {0};

	for (unsigned i = 0; i < pod->member_cnt; i++) {
		const struct pod_member *member = &pod->members[i];

		varlink_push(blocks, &members,
			     {.peer = builtin_key_text(blocks, member->key),
			      .role = builtin_pod_roles[member->role],
			      .key = member->has_signing_key
					     ? builtin_key_text(blocks, member->signing_key)
					     : NULL});
	}
	return members;
}

static struct api_builtin_pod pod_reply(struct varlink_blocks *blocks, const struct pod *pod)
{
	struct api_builtin_pod reply = {
		.pod = pod->id,
		.name = pod->name,
		.visibility = builtin_pod_visibilities[pod->visibility],
		.days = pod->days,
		.member_cnt = pod->member_cnt,
	};

	for (unsigned i = 0; i < pod->tag_cnt; i++)
		varlink_push(blocks, &reply.tags, pod->tags[i]);
	for (unsigned i = 0; i < pod->channel_cnt; i++)
		varlink_push(blocks, &reply.channels,
			     {.channel = pod->channels[i].name,
			      .kind = builtin_pod_kinds[pod->channels[i].kind]});
	return reply;
}

/* ---- making and removing them: for programs of this node ---- */

/* change_end says why a change was not begun; ack was not taken then. */
static void change_end(const struct request *request, const struct ack *ack, int err)
{
	if (err == 0)
		return;
	json_decref(ack->reply);
	switch (err) {
	case WEFT_EBUSY:
		builtin_request_refuse(request, SERVICE_UNAVAILABLE,
				       "another change is on its way to the disk: ask again");
		return;
	case WEFT_EEXISTS:
		builtin_request_refuse(request, SERVICE_FORBIDDEN, "there is such a pod already");
		return;
	default:
		builtin_request_refuse(request, SERVICE_UNAVAILABLE,
				       "this node has as many pods as it may");
	}
}

void builtin_pod_chat_commit(struct pod_chat *chat, const struct request *request, struct pod *pod,
			     const struct pod *draft)
{
	const struct ack ack = {.call = request->call,
				.reply = builtin_json(pod_id, .pod = pod->id)};

	change_end(request, &ack,
		   builtin_pods_change(&chat->pods, pod, draft, &ack, request->now_ns));
}

static void pod_open(struct pod_chat *chat, const struct request *request, const struct pod *draft)
{
	const struct ack ack = {.call = request->call,
				.reply = builtin_json(pod_id, .pod = draft->id)};

	change_end(request, &ack, builtin_pods_add(&chat->pods, draft, &ack, request->now_ns));
}

/* A pod as JSON asks for it. */
struct read_params {
	const char *name, *scope, *visibility;
	json_t *tags; /* NULL: none */
	json_int_t days;
};

/* tags_read and read_params_start fill pod; they return the fault, or NULL. */
static const char *tags_read(json_t *tags, struct pod *pod)
{
	json_t *tag;
	size_t i;

	if (tags && !json_is_array(tags))
		return "tags are a list of texts";
	json_array_foreach(tags, i, tag)
	{
		const char *text = json_string_value(tag);

		if (!text || !builtin_pod_text_is_name(text, POD_TAG_LEN_MAX))
			return "a tag is a text of 1 to 32 bytes";
		switch (builtin_pod_add_tag(pod, text)) {
		case WEFT_EEXISTS:
			return "a tag is named twice";
		case WEFT_EFULL:
			return "a pod has at most 20 tags";
		}
	}
	return NULL;
}

static const char *read_params_start(const struct read_params *params,
				     const uint8_t own_key[MESH_KEY_LEN], struct pod *pod)
{
	int visibility =
		builtin_pod_word(builtin_pod_visibilities, POD_VISIBILITY_CNT, params->visibility);
	uint8_t scope[POD_SCOPE_LEN];

	memcpy(scope, own_key, sizeof(scope));
	if (!builtin_pod_text_is_name(params->name, POD_NAME_LEN_MAX))
		return "a name is a text of 1 to 64 bytes";
	if (params->scope && !hex_read(params->scope, scope, sizeof(scope)))
		return "a scope is 64 hexadecimal digits";
	if (visibility < 0)
		return "visibility is listed, unlisted or private";
	if (params->days < 0 || params->days > POD_DAYS_MAX)
		return "days are 0 to 3650";
	memcpy(pod->name, params->name, strlen(params->name));
	pod->visibility = (uint8_t)visibility;
	pod->days = (uint16_t)params->days;
	builtin_pod_id_of(scope, params->name, pod->id);
	return tags_read(params->tags, pod);
}

static bool is_of_this_node(const struct request *request)
{
	if (!request->caller->is_local)
		builtin_request_refuse(request, SERVICE_FORBIDDEN,
				       "pods are made by programs of their node");
	return request->caller->is_local;
}

static void create(void *ctx, struct request *request)
{
	struct pod_chat *chat = ctx;
	struct read_params params = {.visibility = builtin_pod_visibilities[POD_LISTED],
				     .days = chat->days};
	struct pod pod = {.id = ""};
	const char *fault;

	if (!builtin_request_unpack(request, "{s:s, s?s, s?s, s?o, s?I}", "name", &params.name,
				    "scope", &params.scope, "visibility", &params.visibility,
				    "tags", &params.tags, "days", &params.days) ||
	    !is_of_this_node(request))
		return;
	fault = read_params_start(&params, request->caller->key, &pod);
	if (fault || builtin_pod_add_member(&pod, request->caller->key, POD_OWNER) < 0 ||
	    builtin_pod_add_channel(&pod, "general", POD_GENERAL) < 0)
		builtin_request_refuse(request, SERVICE_INVALID_PAYLOAD, fault);
	else
		pod_open(chat, request, &pod);
}

static void converse(void *ctx, struct request *request)
{
	struct pod_chat *chat = ctx;
	struct pod pod = {
		.name = "conversation", .visibility = POD_PRIVATE, .days = (uint16_t)chat->days};
	uint8_t peer[MESH_KEY_LEN];
	const char *text;

	if (!builtin_request_unpack(request, "{s:s}", "peer", &text) || !is_of_this_node(request) ||
	    !builtin_request_key(request, text, peer))
		return;
	if (builtin_pod_add_member(&pod, request->caller->key, POD_OWNER) < 0 ||
	    builtin_pod_add_member(&pod, peer, POD_OWNER) < 0 ||
	    builtin_pod_add_channel(&pod, "dm", POD_DM) < 0) {
		builtin_request_refuse(request, SERVICE_INVALID_PAYLOAD,
				       "a conversation is of two peers");
		return;
	}
	builtin_pod_id_of_conversation(request->caller->key, peer, pod.id);
	pod_open(chat, request, &pod);
}

static void dissolve(void *ctx, struct request *request)
{
	struct ack ack = {.call = request->call};
	struct pod_chat *chat = ctx;
	const char *id;
	struct pod *pod;

	if (!builtin_request_unpack(request, "{s:s}", "pod", &id) ||
	    !(pod = builtin_pod_chat_own_pod(chat, request, id, POD_OWNER)))
		return;
	ack.reply = json_object();
	change_end(request, &ack, builtin_pods_remove(&chat->pods, pod, &ack, request->now_ns));
}

/* ---- looking ---- */

static void list(void *ctx, struct request *request)
{
	struct pod_chat *chat = ctx;
	struct varlink_blocks blocks = {NULL};
	struct api_builtin_pods reply = {0};
	struct pod *pod = NULL;

	if (!builtin_request_unpack(request, "{}"))
		return;
	while ((pod = builtin_pods_next(&chat->pods, pod)))
		if (pod->visibility == POD_LISTED || request->caller->is_local ||
		    builtin_pod_find_member(pod, request->caller->key))
			varlink_push(&blocks, &reply.pods, pod_reply(&blocks, pod));
	builtin_request_reply(request, varlink_write(&api_builtin_pods_type, &reply));
	varlink_blocks_free(&blocks);
}

static void get(void *ctx, struct request *request)
{
	struct pod_chat *chat = ctx;
	struct varlink_blocks blocks = {NULL};
	struct api_builtin_pod reply;
	const char *id;
	struct pod *pod;

	if (!builtin_request_unpack(request, "{s:s}", "pod", &id) ||
	    !(pod = builtin_pod_chat_pod(chat, request, id)))
		return;
	reply = pod_reply(&blocks, pod);
	if (request->caller->is_local || builtin_pod_find_member(pod, request->caller->key))
		API_SET(&reply, members, members_reply(&blocks, pod));
	builtin_request_reply(request, varlink_write(&api_builtin_pod_type, &reply));
	varlink_blocks_free(&blocks);
}

const struct request_method builtin_pod_chat_methods[] = {
	{"List", list, true, .takes = "", .gives = "pods:[]object",
	 .about = "Listed pods, and those that the caller is a member of", .example = "{}"},
	{"Get", get, true, .takes = "pod:string",
	 .gives = "pod:string name:string visibility:string days:int member_cnt:int tags:[]string "
		  "channels:[]object members:?[]object",
	 .about = "One pod, with its members for these",
	 .example = "{\"pod\": \"pod:00112233445566778899aabbccddeeff\"}"},
	{"Join", builtin_pod_chat_join, false, .takes = "pod:string key:?string",
	 .gives = "pod:string",
	 .about = "The caller becomes a member; with a key it signs its messages",
	 .example = "{\"pod\": \"pod:00112233445566778899aabbccddeeff\"}"},
	{"Leave", builtin_pod_chat_leave, false, .takes = "pod:string peer:?string",
	 .gives = "pod:string", .about = "The caller leaves, or removes a member of a lower role",
	 .example = "{\"pod\": \"pod:00112233445566778899aabbccddeeff\"}"},
	{"PostMessage", builtin_pod_chat_post, false,
	 .takes = "pod:string channel:string body:string id:?string at_ms:?int signature:?string",
	 .gives = "id:string sequence:int at_ms:int",
	 .about = "Says something in a channel of a pod that one is a member of",
	 .example = "{\"pod\": \"pod:00112233445566778899aabbccddeeff\", \"channel\": \"general\", "
		    "\"body\": \"hello\"}"},
	{"FetchMessages", builtin_pod_chat_fetch, true,
	 .takes = "pod:string channel:?string since:?int limit:?int",
	 .gives = "messages:[]object next:int has_more:bool",
	 .about = "Messages after the sequence since, oldest first",
	 .example = "{\"pod\": \"pod:00112233445566778899aabbccddeeff\", \"since\": 0, \"limit\": "
		    "10}"},
	{"Admit", builtin_pod_chat_admit, false, .takes = "pod:string peer:string role:?string",
	 .gives = "pod:string", .about = "Lets a peer into a private pod, or gives a member a role",
	 .example =
		 "{\"pod\": \"pod:00112233445566778899aabbccddeeff\", \"peer\": "
		 "\"ybndrfg8ejkmcpqxot1uwisza345h769ybndrfg8ejkmcpqxot1u\", \"role\": \"member\"}"},
	{"AddChannel", builtin_pod_chat_add_channel, false,
	 .takes = "pod:string channel:string kind:?string", .gives = "pod:string",
	 .about = "Adds a channel to a pod; for mods and owners",
	 .example = "{\"pod\": \"pod:00112233445566778899aabbccddeeff\", \"channel\": \"news\"}"},
	{"Create", create, false,
	 .takes = "name:string visibility:?string tags:?[]string days:?int scope:?string",
	 .gives = "pod:string", .about = "Makes a pod that the node owns; for programs of the node",
	 .example = "{\"name\": \"tea\", \"visibility\": \"listed\", \"days\": 7}"},
	{"Converse", converse, false, .takes = "peer:string", .gives = "pod:string",
	 .about = "Makes a private pod of two owners; for programs of the node",
	 .example = "{\"peer\": \"ybndrfg8ejkmcpqxot1uwisza345h769ybndrfg8ejkmcpqxot1u\"}"},
	{"Dissolve", dissolve, false, .takes = "pod:string", .gives = "",
	 .about = "Ends a pod with all that was said in it; for its owners",
	 .example = "{\"pod\": \"pod:00112233445566778899aabbccddeeff\"}"},
	{"Keep", builtin_pod_chat_keep, false, .takes = "pod:string host:string from:?string",
	 .gives = "pod:string host:string",
	 .about = "Keeps the history of another node's room; for programs of the node",
	 .example = "{\"pod\": \"pod:00112233445566778899aabbccddeeff\", \"host\": "
		    "\"ybndrfg8ejkmcpqxot1uwisza345h769ybndrfg8ejkmcpqxot1u\"}"},
	{"Forget", builtin_pod_chat_forget, false, .takes = "pod:string host:string", .gives = "",
	 .about = "Drops a history that was kept; for programs of the node",
	 .example = "{\"pod\": \"pod:00112233445566778899aabbccddeeff\", \"host\": "
		    "\"ybndrfg8ejkmcpqxot1uwisza345h769ybndrfg8ejkmcpqxot1u\"}"},
	{"Kept", builtin_pod_chat_kept, true, .takes = "", .gives = "rooms:[]object",
	 .about = "The histories that are kept here; for programs of the node", .example = "{}"},
	{"History", builtin_pod_chat_history, true,
	 .takes = "pod:string host:?string since:?int limit:?int",
	 .gives = "messages:[]object next:int has_more:bool",
	 .about = "What was said in a room, as far as its history is here",
	 .example = "{\"pod\": \"pod:00112233445566778899aabbccddeeff\", \"since\": 0}"},
	{"channels", list, true, .takes = "", .gives = "pods:[]object",
	 .about = "List, as a path of the gateway", .example = "{}"},
	{"*", NULL, false, .takes = "pod:?string", .gives = "body:string id:?string at_ms:?int",
	 .about = "The new messages of the channel of that name, both ways",
	 .example = "{\"pod\": \"pod:00112233445566778899aabbccddeeff\"}", .is_stream = true},
	{.name = NULL},
};

/* ---- life ---- */

static void sweep(struct timer *timer, uint64_t now_ns)
{
	struct pod_chat *chat = container_of(timer, struct pod_chat, sweep.base);

	builtin_pods_sweep(&chat->pods, now_ns);
	provider_timer_set(&chat->sweep, now_ns + SWEEP_NS);
}

static void message_kept(struct pods *pods, const struct pod *pod)
{
	struct pod_chat *chat = container_of(pods, struct pod_chat, pods);

	provider_counter_add(pods->tenant, POD_CHAT_POSTED, 1);
	builtin_rooms_said(&chat->rooms, pod);
	builtin_pod_chat_tell(chat, pod);
}

static void pod_changed(struct pods *pods, const struct pod *pod, bool is_gone)
{
	struct pod_chat *chat = container_of(pods, struct pod_chat, pods);

	if (is_gone)
		builtin_rooms_gone(&chat->rooms, pod->id, pods->clock->now_ns(pods->clock->ctx));
	else if (!pod->is_forming)
		builtin_rooms_said(&chat->rooms, pod);
}

/* The bounds of pods.h, rooms.h and the configuration, multiplied out, are no others than they. */
void builtin_pod_chat_declare(const struct builtin_config *config, struct provider_declaration *out)
{
	static const char *const counters[POD_CHAT_COUNTER_CNT] = {
		[POD_CHAT_POSTED] = "posted",
		[POD_CHAT_SEALED] = "segments_sealed",
	};
	static const uint16_t messages[] = {MESH_ASK_ROOM, MESH_GET_ROOM_SEGMENT};
	uint64_t pod_cnt = config->pod_cnt, room_cnt = pod_cnt + ROOMS_KEPT_MAX;
	/* One pod more: messages of a pod that is being removed stay until the next start. */
	uint64_t message_cnt = (pod_cnt + 1) * config->pod_message_cnt;

	out->row_cnt_max = pod_cnt + message_cnt + room_cnt * (ROOM_SEGMENTS_MAX + 1);
	out->row_len_max = pod_cnt * POD_ROW_LEN_MAX + message_cnt * POD_MESSAGE_ROW_LEN_MAX +
			   room_cnt * (ROOM_BYTES_MAX + ROOM_RECORD_LEN_MAX + ROOM_SEGMENT_LEN_MAX);
	out->timer_max = 2; /* sweep and the tick of rooms */
	memcpy(out->messages, messages, sizeof(messages));
	out->message_cnt = sizeof(messages) / sizeof(messages[0]);
	out->counters = counters;
	out->counter_cnt = POD_CHAT_COUNTER_CNT;
}

int builtin_pod_chat_init(struct pod_chat *chat, struct arena *arena,
			  const struct builtin_params *params, struct acks *acks,
			  struct provider_tenant *tenant)
{
	int err;

	chat->random = params->random;
	chat->days = params->config.pod_days;
	chat->topics = params->topics;
	list_init(&chat->streams);
	if ((err = provider_timer_acquire(tenant, &chat->sweep, sweep)) < 0 ||
	    (err = builtin_quota_init(&chat->posts, arena, POD_CHAT_POSTS_PER_MIN, 60 * NS_PER_S,
				      params->random)) < 0 ||
	    (err = builtin_pods_init(&chat->pods, arena, params, acks, tenant)) < 0 ||
	    (err = builtin_rooms_init(&chat->rooms, arena, params, &chat->pods)) < 0)
		return err;
	chat->pods.on_kept = message_kept;
	chat->pods.on_changed = pod_changed;
	provider_timer_set(&chat->sweep, params->now_ns + SWEEP_NS);
	return 0;
}

void builtin_pod_chat_fini(struct pod_chat *chat)
{
	provider_timer_release(&chat->sweep);
	builtin_pod_chat_streams_fini(chat);
	builtin_rooms_fini(&chat->rooms);
	builtin_pods_fini(&chat->pods);
}
