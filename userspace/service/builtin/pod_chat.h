/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SERVICE_BUILTIN_POD_CHAT_H
#define WEFT_SERVICE_BUILTIN_POD_CHAT_H

#include "base/timer.h"
#include "service/builtin/pods.h"
#include "service/builtin/quota.h"
#include "service/builtin/request.h"

#define POD_CHAT_POSTS_PER_MIN 10 /* of one peer */
#define POD_CHAT_PAGE_MAX      100
/* Of an answer's bodies: a letter may take six in JSON, and the answer has to fit a payload. */
#define POD_CHAT_PAGE_LEN_MAX (128 * 1024)
#define POD_CHAT_SKEW_MS      (300 * 1000)

/* The service pod-chat: what callers may do with the pods of this node. */
struct pod_chat {
	struct pods pods;
	struct quota posts;
	struct random *random;
	struct timer_wheel *timers;
	struct timer sweep;
	unsigned days; /* of a pod that does not say */
};

extern const struct request_method pod_chat_methods[];

size_t pod_chat_footprint(const struct builtin_config *config);
/* pod_chat_init: as pods_init. pod_chat_fini is safe after it failed. */
WEFT_MUST_CHECK
int pod_chat_init(struct pod_chat *chat, struct arena *arena, const struct builtin_params *params,
		  struct acks *acks);
void pod_chat_fini(struct pod_chat *chat);

/* pod_chat_members.c */
void pod_chat_join(void *ctx, struct request *request);
void pod_chat_leave(void *ctx, struct request *request);
void pod_chat_admit(void *ctx, struct request *request);
void pod_chat_add_channel(void *ctx, struct request *request);
/* pod_chat_messages.c */
void pod_chat_post(void *ctx, struct request *request);
void pod_chat_fetch(void *ctx, struct request *request);

/*
 * pod_chat_pod gives the pod that request may know of, by the id in its
 * field "pod". pod_chat_own_pod: in which its caller has at least role. NULL: it was answered.
 */
struct pod *pod_chat_pod(struct pod_chat *chat, const struct request *request, const char *id);
struct pod *pod_chat_own_pod(struct pod_chat *chat, const struct request *request, const char *id,
			     enum pod_role role);
/* pod_chat_commit makes pod what draft is, and ends the call when that is durable. */
void pod_chat_commit(struct pod_chat *chat, const struct request *request, struct pod *pod,
		     const struct pod *draft);

#endif
