/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BUILTIN_PODS_POD_CHAT_H
#define WEFT_BUILTIN_PODS_POD_CHAT_H

#include "base/list.h"
#include "pods.h"
#include "builtin/builtin_quota.h"
#include "builtin/builtin_request.h"
#include "rooms.h"

#define POD_CHAT_POSTS_PER_MIN 10 /* of one peer */
#define POD_CHAT_PAGE_MAX      100
/* Of an answer's bodies: a letter may take six in JSON, and the answer has to fit a payload. */
#define POD_CHAT_PAGE_LEN_MAX (128 * 1024)
#define POD_CHAT_SKEW_MS      (300 * 1000)
/* Of a message on a stream: a body of which each byte takes six in JSON, and its fields. */
#define POD_CHAT_STREAM_LEN_MAX (6 * POD_BODY_LEN_MAX + 512)

/* The service pod-chat: the callers' operations on the pods of this node. */
struct pod_chat {
	struct pods pods;
	struct rooms rooms;
	struct quota posts;
	struct list_node streams; /* struct pod_stream, as many as have places of subscribers */
	struct service_topics *topics;
	const struct service_offer *offer; /* that the topics are of; NULL: not offered yet */
	struct random *random;
	struct provider_timer sweep;
	unsigned days; /* of a pod that does not say */
};

extern const struct request_method builtin_pod_chat_methods[];

/* builtin_pod_chat_declare: the capabilities that it uses. */
void builtin_pod_chat_declare(const struct builtin_config *config,
			      struct provider_declaration *out);
/* builtin_pod_chat_init: as builtin_pods_init. builtin_pod_chat_fini is safe after it failed. */
WEFT_MUST_CHECK
int builtin_pod_chat_init(struct pod_chat *chat, struct arena *arena,
			  const struct builtin_params *params, struct acks *acks,
			  struct provider_tenant *tenant);
void builtin_pod_chat_fini(struct pod_chat *chat);

/* pod_chat_members.c */
void builtin_pod_chat_join(void *ctx, struct request *request);
void builtin_pod_chat_leave(void *ctx, struct request *request);
void builtin_pod_chat_admit(void *ctx, struct request *request);
void builtin_pod_chat_add_channel(void *ctx, struct request *request);
/* pod_chat_history.c */
void builtin_pod_chat_keep(void *ctx, struct request *request);
void builtin_pod_chat_forget(void *ctx, struct request *request);
void builtin_pod_chat_kept(void *ctx, struct request *request);
void builtin_pod_chat_history(void *ctx, struct request *request);
/* pod_chat_messages.c */
void builtin_pod_chat_post(void *ctx, struct request *request);
void builtin_pod_chat_fetch(void *ctx, struct request *request);
json_t *builtin_pod_chat_json_of_message(const struct pod_message *message);

/* A message to say; texts are borrowed. */
struct pod_chat_saying {
	const uint8_t *sender;
	const char *channel, *body;
	const char *id, *signature; /* NULL: one is made; none */
	json_int_t at_ms;	    /* 0: now */
	struct service_call *call;  /* ended when it is kept; NULL: no call waits for that */
	uint64_t now_ns;
};
/*
 * builtin_pod_chat_say: SERVICE_OK, or *out_why is a static string that says why it is not taken.
 */
enum service_status builtin_pod_chat_say(struct pod_chat *chat, struct pod *pod,
					 const struct pod_chat_saying *saying,
					 const char **out_why);

/*
 * pod_chat_stream.c: a channel of a pod as a topic, and as a stream whose method is the channel.
 * tell: a message of pod was kept. topic_refusal: as struct service_handler's.
 */
void builtin_pod_chat_streams_fini(struct pod_chat *chat);
void builtin_pod_chat_stream(void *ctx, struct service_channel *channel,
			     const struct service_input *input, uint64_t now_ns);
void builtin_pod_chat_tell(struct pod_chat *chat, const struct pod *pod);
const char *builtin_pod_chat_topic_refusal(void *ctx, const uint8_t key[MESH_KEY_LEN],
					   const char *topic);

/*
 * builtin_pod_chat_pod gives the pod that request may know of, by the id in its field "pod".
 * builtin_pod_chat_own_pod: in which its caller has at least role. NULL: it was answered.
 */
struct pod *builtin_pod_chat_pod(struct pod_chat *chat, const struct request *request,
				 const char *id);
struct pod *builtin_pod_chat_own_pod(struct pod_chat *chat, const struct request *request,
				     const char *id, enum pod_role role);
/* builtin_pod_chat_commit replaces pod by draft, and ends the call when that is durable. */
void builtin_pod_chat_commit(struct pod_chat *chat, const struct request *request, struct pod *pod,
			     const struct pod *draft);

#endif
