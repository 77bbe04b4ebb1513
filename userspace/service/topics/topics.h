/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SERVICE_TOPICS_TOPICS_H
#define WEFT_SERVICE_TOPICS_TOPICS_H

#include "base/fair/fair.h"
#include "base/list.h"
#include "base/map.h"
#include "base/memory/pool.h"
#include "service/topic_event.h"
#include "topic_publish.h"

struct arena;
struct heap;
struct random;

/*
 * Topics of services: one publishes, many subscribe. Provider's side.
 *
 *	publish   an offer's owner -> the topic's history -> each subscriber's stream
 *	subscribe topic_stream.c (SERVICE_SUBSCRIBE), pod_chat_stream.c -> a place, a notice, then
 *		  events from the history as the stream takes them
 *
 * A subscriber has no queue: it has a place in its topic's history. While its stream takes nothing
 * the history goes on without it, and events that left the history are reported as lost. So a
 * subscriber that does not read costs one event of memory and no other subscriber's time.
 *
 * Limits. Subscribers, by network, fill places of fair shares (subscriber_cnt). Local programs fill
 * the topics with a history: topic_cnt, and SERVICE_TOPICS_PER_OFFER of one offer. The topic
 * published to longest ago loses its history. Histories have topic_len bytes each, and a quarter of
 * the fabric's memory in all: the largest loses its oldest event. Home worker.
 */
#define SERVICE_HISTORY_PART 4 /* of the fabric's memory */

struct service_topic_key {
	const void *owner;
	char name[SERVICE_TOPIC_LEN_MAX + 1 + 7]; /* zeros behind it */
};

struct service_topic {
	struct service_topic_key key;
	uint8_t epoch[SERVICE_EPOCH_LEN];
	struct list_node by_use; /* of those with a history */
	struct list_node subscribers;
	struct list_node events; /* struct service_event, oldest first, numbers without a gap */
	uint64_t last_sequence;
	uint32_t event_cnt, subscriber_cnt;
	size_t len; /* bytes of the heap that the history takes */
};

struct service_topics {
	struct heap *heap;
	struct random *random;
	struct pool topics;	 /* some have subscribers only */
	struct pool subscribers; /* one more than places: the evicted subscriber is still there */
	struct fair places;
	struct map by_key;
	struct list_node by_use;
	uint32_t kept_cnt, kept_cap; /* topics with a history */
	uint32_t event_max;	     /* of one topic */
	size_t topic_len_max;
	size_t len, len_max; /* of all */
	uint64_t published_cnt, lost_cnt;
};

struct service_topics_params {
	const struct service_limits *limits;
	struct heap *heap;     /* borrowed */
	struct random *random; /* borrowed */
};
/* service_topics_init: 0 or as fair_init. fini ends nothing: streams are gone; safe after zeros. */
WEFT_MUST_CHECK
int service_topics_init(struct service_topics *topics, struct arena *arena,
			const struct service_topics_params *params);
void service_topics_fini(struct service_topics *topics);
/* service_topics_configure: what can change at run time. */
void service_topics_configure(struct service_topics *topics, const struct service_limits *limits);

/* service_topics_drop: owner is going: its subscribers' streams end, its histories are gone. */
void service_topics_drop(struct service_topics *topics, const void *owner, uint64_t now_ns);
void service_topics_places(const struct service_topics *topics, struct fair_view *out);

#endif
