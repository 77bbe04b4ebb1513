/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_POD_CHAT_RIG_H
#define WEFT_TESTS_POD_CHAT_RIG_H

#include "codec/text/base64.h"
#include "builtin_rig.h"
#include "builtin/pods/pod_chat.h"

/* The service pod-chat of one node, and its callers. */

#define CHAT(who, method, ...) rig_call(BUILTIN_POD_CHAT, who, method, json_pack(__VA_ARGS__))

static char pod[POD_ID_LEN + 1];

static inline void pod_remember(const json_t *reply)
{
	snprintf(pod, sizeof(pod), "%s", rig_text(reply, "pod"));
}

static inline void start_with_pod(const char *visibility, int days)
{
	rig_start();
	rig_up();
	pod_remember(CHAT(RIG_LOCAL, "Create", "{s:s, s:s, s:i}", "name", "tea", "visibility",
			  visibility, "days", days));
}

static inline enum service_status post(unsigned who, const char *body)
{
	CHAT(who, "PostMessage", "{s:s, s:s, s:s}", "pod", pod, "channel", "general", "body", body);
	return rig.call.status;
}

static inline size_t message_cnt(unsigned who)
{
	return json_array_size(
		json_object_get(CHAT(who, "FetchMessages", "{s:s}", "pod", pod), "messages"));
}

static inline const char *body_at(unsigned who, size_t i)
{
	json_t *reply = CHAT(who, "FetchMessages", "{s:s}", "pod", pod);

	return rig_text(json_array_get(json_object_get(reply, "messages"), i), "body");
}

#endif
