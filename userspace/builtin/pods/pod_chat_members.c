/* SPDX-License-Identifier: Apache-2.0 */
/* The members of a pod, and its channels. */
#include "pod_chat.h"

static void member_added(struct pod_chat *chat, const struct request *request, struct pod *pod,
			 const struct pod *draft, int err)
{
	if (err == WEFT_EFULL)
		builtin_request_refuse(request, SERVICE_FORBIDDEN, "a pod has at most 50 members");
	else
		builtin_pod_chat_commit(chat, request, pod, draft);
}

static bool signing_key_take(const struct request *request, struct pod_member *member,
			     const uint8_t key[MESH_KEY_LEN])
{
	if (!member->has_signing_key) {
		memcpy(member->signing_key, key, MESH_KEY_LEN);
		member->has_signing_key = true;
		return true;
	}
	if (memcmp(member->signing_key, key, MESH_KEY_LEN) == 0)
		return true;
	builtin_request_refuse(
		request, SERVICE_FORBIDDEN,
		"a member's key is not replaced: leave the pod, and join it with the new one");
	return false;
}

/* In a private pod the caller is already a member, and only its key can be new. */
void builtin_pod_chat_join(void *ctx, struct request *request)
{
	const char *id, *key_text = NULL;
	struct pod_chat *chat = ctx;
	uint8_t key[MESH_KEY_LEN];
	struct pod *pod, draft;
	int err;

	if (!builtin_request_unpack(request, "{s:s, s?s}", "pod", &id, "key", &key_text) ||
	    (key_text && !builtin_request_key(request, key_text, key)) ||
	    !(pod = builtin_pod_chat_pod(chat, request, id)))
		return;
	draft = *pod;
	err = builtin_pod_add_member(&draft, request->caller->key, POD_MEMBER);
	if (err == WEFT_EFULL || !key_text ||
	    signing_key_take(request, builtin_pod_find_member(&draft, request->caller->key), key))
		member_added(chat, request, pod, &draft, err);
}

static bool is_last_owner(const struct pod *pod, const struct pod_member *leaving)
{
	unsigned owner_cnt = 0;

	for (unsigned i = 0; i < pod->member_cnt; i++)
		owner_cnt += pod->members[i].role == POD_OWNER;
	return leaving->role == POD_OWNER && owner_cnt == 1;
}

/* A caller removes itself, or as a moderator or owner a member of a lower role. */
void builtin_pod_chat_leave(void *ctx, struct request *request)
{
	struct pod_member *caller, *leaving;
	const char *id, *peer_text = NULL;
	struct pod_chat *chat = ctx;
	uint8_t peer[MESH_KEY_LEN];
	struct pod *pod, draft;

	memcpy(peer, request->caller->key, sizeof(peer));
	if (!builtin_request_unpack(request, "{s:s, s?s}", "pod", &id, "peer", &peer_text) ||
	    (peer_text && !builtin_request_key(request, peer_text, peer)) ||
	    !(pod = builtin_pod_chat_own_pod(chat, request, id, POD_MEMBER)))
		return;
	caller = builtin_pod_find_member(pod, request->caller->key);
	leaving = builtin_pod_find_member(pod, peer);
	if (!leaving) {
		builtin_request_refuse(request, SERVICE_INVALID_PAYLOAD,
				       "the peer is no member of the pod");
	} else if (leaving != caller && leaving->role >= caller->role) {
		builtin_request_refuse(request, SERVICE_FORBIDDEN,
				       "only members of a lower role can be put out");
	} else if (is_last_owner(pod, leaving)) {
		builtin_request_refuse(
			request, SERVICE_FORBIDDEN,
			"a pod has an owner: make somebody else one, or dissolve it");
	} else {
		draft = *pod;
		builtin_pod_drop_member(&draft, builtin_pod_find_member(&draft, peer));
		builtin_pod_chat_commit(chat, request, pod, &draft);
	}
}

/* A member gives only roles below its own; an owner may give any role. */
void builtin_pod_chat_admit(void *ctx, struct request *request)
{
	const char *id, *peer_text, *role_text = builtin_pod_roles[POD_MEMBER];
	struct pod_member *caller, *member;
	struct pod_chat *chat = ctx;
	uint8_t peer[MESH_KEY_LEN];
	struct pod *pod, draft;
	int role, err;

	if (!builtin_request_unpack(request, "{s:s, s:s, s?s}", "pod", &id, "peer", &peer_text,
				    "role", &role_text) ||
	    !builtin_request_key(request, peer_text, peer) ||
	    !(pod = builtin_pod_chat_own_pod(chat, request, id, POD_MOD)))
		return;
	role = builtin_pod_word(builtin_pod_roles, POD_ROLE_CNT, role_text);
	caller = builtin_pod_find_member(pod, request->caller->key);
	member = builtin_pod_find_member(pod, peer);
	if (role < 0) {
		builtin_request_refuse(request, SERVICE_INVALID_PAYLOAD,
				       "a role is member, mod or owner");
	} else if (caller->role != POD_OWNER &&
		   (role >= caller->role || (member && member->role >= caller->role))) {
		builtin_request_refuse(request, SERVICE_FORBIDDEN, "only an owner may do this");
	} else if (member && (int)member->role != role && is_last_owner(pod, member)) {
		builtin_request_refuse(request, SERVICE_FORBIDDEN,
				       "a pod has an owner: make somebody else one first");
	} else {
		draft = *pod;
		err = builtin_pod_add_member(&draft, peer, (enum pod_role)role);
		if (member)
			builtin_pod_find_member(&draft, peer)->role = (uint8_t)role;
		member_added(chat, request, pod, &draft, err);
	}
}

void builtin_pod_chat_add_channel(void *ctx, struct request *request)
{
	const char *id, *name, *kind_text = builtin_pod_kinds[POD_CUSTOM];
	struct pod_chat *chat = ctx;
	struct pod *pod, draft;
	int kind;

	if (!builtin_request_unpack(request, "{s:s, s:s, s?s}", "pod", &id, "channel", &name,
				    "kind", &kind_text) ||
	    !(pod = builtin_pod_chat_own_pod(chat, request, id, POD_MOD)))
		return;
	kind = builtin_pod_word(builtin_pod_kinds, POD_KIND_CNT, kind_text);
	if (!builtin_pod_text_is_channel(name)) {
		builtin_request_refuse(request, SERVICE_INVALID_PAYLOAD,
				       "a channel is 1 to 50 of a-z, 0-9, - and _");
		return;
	}
	if (kind < 0) {
		builtin_request_refuse(request, SERVICE_INVALID_PAYLOAD,
				       "a channel's kind is general, custom, bound or dm");
		return;
	}
	draft = *pod;
	switch (builtin_pod_add_channel(&draft, name, (enum pod_kind)kind)) {
	case 0:
		builtin_pod_chat_commit(chat, request, pod, &draft);
		return;
	case WEFT_EEXISTS:
		builtin_request_refuse(request, SERVICE_FORBIDDEN, "the pod has such a channel");
		return;
	default:
		builtin_request_refuse(request, SERVICE_FORBIDDEN, "a pod has at most 50 channels");
	}
}
