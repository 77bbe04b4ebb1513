/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BUILTIN_PODS_PODS_H
#define WEFT_BUILTIN_PODS_PODS_H

#include "base/map.h"
#include "base/memory/pool.h"
#include "builtin/ack.h"
#include "pod.h"

struct builtin_config;
struct builtin_params;
struct heap;

/* The counters of pod-chat, for its tenant. */
enum pod_chat_counter { POD_CHAT_POSTED, POD_CHAT_SEALED, POD_CHAT_COUNTER_CNT };

/* Of a row, its key with it. */
#define POD_ROW_LEN_MAX		(1 + POD_ID_LEN + POD_RECORD_LEN_MAX)
#define POD_MESSAGE_ROW_LEN_MAX (1 + POD_ID_LEN + 8 + POD_BODY_LEN_MAX + 512)

/*
 * The pods of this node, in memory and in rows. The key of a pod is 'p' and its id. The key of a
 * message is 'm', the id and a sequence. A change or a message is visible to others, and is
 * acknowledged, when it is durable.
 */
#define PODS_CHANGES_MAX 32 /* under way at once, of all pods; of one pod one */

struct pods {
	struct pool pool; /* struct pod */
	struct map by_id;
	struct pool changes; /* struct pod_change */
	struct heap *messages;
	struct acks *acks;
	struct provider_tenant *tenant;
	const struct builtin_clock *clock;
	unsigned message_max; /* of one pod */
	void (*on_kept)(struct pods *pods,
			const struct pod *pod); /* a message is shown now; may be NULL */
	/* pod is another than it was, or (is_gone) is not any more; may be NULL. */
	void (*on_changed)(struct pods *pods, const struct pod *pod, bool is_gone);
};

/*
 * builtin_pods_init loads them. 0, WEFT_EDAMAGED, or as provider_walk_close. builtin_pods_fini is
 * safe after it failed.
 */
WEFT_MUST_CHECK
int builtin_pods_init(struct pods *pods, struct arena *arena, const struct builtin_params *params,
		      struct acks *acks, struct provider_tenant *tenant);
void builtin_pods_fini(struct pods *pods);

struct pod *builtin_pods_find(const struct pods *pods, const char *id);
/* builtin_pods_next walks them: NULL to start and at the end. */
struct pod *builtin_pods_next(const struct pods *pods, const struct pod *pod);
/*
 * builtin_pods_add adds a copy of draft, which has no messages; builtin_pods_change replaces pod
 * by draft; builtin_pods_remove removes it. The change happens when it is durable, or not at
 * all. It ends by ack (ack.h), whose done is pods' own. Returns 0 or
 *   WEFT_EEXISTS  a pod has that id already
 *   WEFT_EFULL    as many pods as may be
 *   WEFT_EBUSY    a change of pod, or too many of others, are under way
 * On an error ack was not taken.
 */
WEFT_MUST_CHECK
int builtin_pods_add(struct pods *pods, const struct pod *draft, const struct ack *ack,
		     uint64_t now_ns);
WEFT_MUST_CHECK
int builtin_pods_change(struct pods *pods, struct pod *pod, const struct pod *draft,
			const struct ack *ack, uint64_t now_ns);
WEFT_MUST_CHECK
int builtin_pods_remove(struct pods *pods, struct pod *pod, const struct ack *ack, uint64_t now_ns);
/*
 * builtin_pods_post adds a copy of message, whose sequence is builtin_pods_next_sequence;
 * the oldest of that pod make room for it. ack->done is pods' own. 0 or
 * WEFT_EFULL: the memory of messages is all in other pods' hands, and ack was not taken.
 */
uint64_t builtin_pods_next_sequence(const struct pods *pods, const struct pod *pod);
WEFT_MUST_CHECK
int builtin_pods_post(struct pods *pods, struct pod *pod, const struct pod_message *message,
		      const struct ack *ack, uint64_t now_ns);
/* builtin_pods_sweep drops messages older than their pod keeps. */
void builtin_pods_sweep(struct pods *pods, uint64_t now_ns);

#endif
