/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SERVICE_TOPICS_STATE_H
#define WEFT_SERVICE_TOPICS_STATE_H

#include "service/topics/topics.h"

/* Private to topics.c, topic_history.c and subscriber.c. */

/* Shared by its topic and by each subscriber that it is being sent to. */
struct topic_event {
	struct list_node node;
	uint32_t ref_cnt;
	uint64_t sequence;
	size_t head_len, len; /* of bytes: the head and the data */
	uint8_t bytes[];
};

struct service_subscriber {
	struct service_topics *topics;
	struct service_topic *topic;
	struct list_node node; /* of its topic */
	struct service_channel *channel;
	struct fair_item place;
	const struct service_hearer *hearer;
	void *arg;
	uint8_t key[MESH_KEY_LEN];
	uint64_t next;		     /* number of the event that comes next */
	uint64_t lost_cnt;	     /* not reported yet */
	bool owes_notice;	     /* the first one is */
	char said[SERVICE_SAID_CAP]; /* to be sent between two events; "": nothing */
	struct topic_event *event;   /* on its way; NULL: none */
	size_t off;		     /* of its bytes, that were sent */
	uint64_t now_ns;	     /* of the last thing that befell it */
};

/*
 * topic_history.c. lookup: NULL: there is none. use: made if need be; NULL: there is no place for
 * one more. tidy removes a topic with neither history nor subscribers. make_room: a topic of owner
 * gets a history: another one's goes, if there are as many as may be.
 */
struct service_topic *service_topic_lookup(const struct service_topics *topics, const void *owner,
					   const char *name);
struct service_topic *service_topic_use(struct service_topics *topics, const void *owner,
					const char *name);
void service_topic_tidy(struct service_topics *topics, struct service_topic *topic);
void service_topic_make_room(struct service_topics *topics, const void *owner);
/*
 * first_sequence: of the oldest event that is kept; one behind the last when none is. event_find:
 * the event is kept. event_new: the next of topic, which add takes; NULL: no memory. clear drops
 * all.
 */
uint64_t service_topic_first_sequence(const struct service_topic *topic);
struct topic_event *service_topic_event_find(const struct service_topic *topic, uint64_t sequence);
struct topic_event *service_topic_event_new(struct service_topics *topics,
					    const struct service_topic *topic,
					    const struct service_publication *published);
void service_topic_add(struct service_topics *topics, struct service_topic *topic,
		       struct topic_event *event);
void service_topic_clear(struct service_topics *topics, struct service_topic *topic);
/* References of an event; put takes NULL. */
struct topic_event *service_topic_event_get(struct topic_event *event);
void service_topic_event_put(struct service_topics *topics, struct topic_event *event);

/* subscriber.c. pump sends what the stream takes; subscriber may be gone then. end: it is gone. */
void service_subscriber_pump(struct service_subscriber *subscriber);
void service_subscriber_end(struct service_subscriber *subscriber, enum service_status status,
			    const char *text);

#endif
