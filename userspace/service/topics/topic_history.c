/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Histories of topics: their contents, their bounds, and which one gives way when there is no room.
 * Home worker.
 */
#include "service/topics_state.h"

#include <string.h>

#include "base/assert.h"
#include "base/memory/heap.h"
#include "base/random.h"

struct topic_event *service_topic_event_get(struct topic_event *event)
{
	event->ref_cnt++;
	return event;
}

void service_topic_event_put(struct service_topics *topics, struct topic_event *event)
{
	if (event && --event->ref_cnt == 0)
		heap_release(topics->heap, event);
}

static struct topic_event *event_first(const struct service_topic *topic)
{
	return list_is_empty(&topic->events)
		       ? NULL
		       : container_of(topic->events.next, struct topic_event, node);
}

uint64_t service_topic_first_sequence(const struct service_topic *topic)
{
	return topic->last_sequence + 1 - topic->event_cnt;
}

/* A subscriber is nearly always at the newest. */
struct topic_event *service_topic_event_find(const struct service_topic *topic, uint64_t sequence)
{
	bool is_new =
		topic->last_sequence - sequence < sequence - service_topic_first_sequence(topic);
	struct list_node *node = is_new ? topic->events.prev : topic->events.next;

	while (container_of(node, struct topic_event, node)->sequence != sequence)
		node = is_new ? node->prev : node->next;
	return container_of(node, struct topic_event, node);
}

static void history_drop_oldest(struct service_topics *topics, struct service_topic *topic)
{
	struct topic_event *event = event_first(topic);

	list_unlink(&event->node);
	topic->event_cnt--;
	topic->len -= event->len;
	topics->len -= event->len;
	service_topic_event_put(topics, event);
	if (topic->event_cnt)
		return;
	list_unlink(&topic->by_use);
	topics->kept_cnt--;
}

static void topic_release(struct service_topics *topics, struct service_topic *topic)
{
	map_delete(&topics->by_key, &topic->key);
	pool_release(&topics->topics, topic);
}

void service_topic_tidy(struct service_topics *topics, struct service_topic *topic)
{
	if (!topic->event_cnt && !topic->subscriber_cnt)
		topic_release(topics, topic);
}

void service_topic_clear(struct service_topics *topics, struct service_topic *topic)
{
	while (topic->event_cnt)
		history_drop_oldest(topics, topic);
}

static struct service_topic_key topic_key_of(const void *owner, const char *name)
{
	struct service_topic_key key;

	memset(&key, 0, sizeof(key));
	key.owner = owner;
	memcpy(key.name, name, strlen(name));
	return key;
}

struct service_topic *service_topic_lookup(const struct service_topics *topics, const void *owner,
					   const char *name)
{
	struct service_topic_key key = topic_key_of(owner, name);

	return map_lookup(&topics->by_key, &key);
}

struct service_topic *service_topic_use(struct service_topics *topics, const void *owner,
					const char *name)
{
	struct service_topic_key key = topic_key_of(owner, name);
	struct service_topic *topic = map_lookup(&topics->by_key, &key);

	if (topic)
		return topic;
	topic = pool_acquire(&topics->topics);
	if (!topic)
		return NULL;
	topic->key = key;
	list_init(&topic->by_use);
	list_init(&topic->subscribers);
	list_init(&topic->events);
	random_fill(topics->random, topic->epoch, sizeof(topic->epoch));
	if (map_put(&topics->by_key, &topic->key, topic) == 0)
		return topic;
	pool_release(&topics->topics, topic);
	return NULL;
}

/* The topic of owner, or of any owner for NULL, that was published to longest ago. */
static struct service_topic *topic_stalest(const struct service_topics *topics, const void *owner,
					   unsigned *out_cnt)
{
	struct service_topic *stalest = NULL;

	*out_cnt = 0;
	for (struct list_node *node = topics->by_use.next; node != &topics->by_use;
	     node = node->next) {
		struct service_topic *topic = container_of(node, struct service_topic, by_use);

		if (owner && topic->key.owner != owner)
			continue;
		stalest = stalest ? stalest : topic;
		++*out_cnt;
	}
	return stalest;
}

void service_topic_make_room(struct service_topics *topics, const void *owner)
{
	unsigned cnt;
	struct service_topic *stalest = topic_stalest(topics, owner, &cnt);

	if (cnt < SERVICE_TOPICS_PER_OFFER && topics->kept_cnt < topics->kept_cap)
		return;
	if (cnt < SERVICE_TOPICS_PER_OFFER)
		stalest = topic_stalest(topics, NULL, &cnt);
	service_topic_clear(topics, stalest);
	service_topic_tidy(topics, stalest);
}

/* The newest event of keep stays. */
static struct service_topic *topic_largest(const struct service_topics *topics,
					   const struct service_topic *keep)
{
	struct service_topic *largest = NULL;

	for (struct list_node *node = topics->by_use.next; node != &topics->by_use;
	     node = node->next) {
		struct service_topic *topic = container_of(node, struct service_topic, by_use);

		if ((topic != keep || topic->event_cnt > 1) &&
		    (!largest || topic->len > largest->len))
			largest = topic;
	}
	return largest;
}

/* memory_make_room drops the oldest event of the largest history; false: there is none. */
static bool memory_make_room(struct service_topics *topics, const struct service_topic *keep)
{
	struct service_topic *largest = topic_largest(topics, keep);

	if (!largest)
		return false;
	history_drop_oldest(topics, largest);
	if (largest != keep)
		service_topic_tidy(topics, largest);
	return true;
}

struct topic_event *service_topic_event_new(struct service_topics *topics,
					    const struct service_topic *topic,
					    const struct service_publication *published)
{
	struct service_event_message message = {.sequence = topic->last_sequence + 1,
						.at_ms = published->at_ms};
	uint8_t head[SERVICE_EVENT_HEAD_LEN_MAX];
	struct writer w = writer_of(head, sizeof(head));
	struct topic_event *event;
	size_t len;

	memcpy(message.epoch, topic->epoch, sizeof(message.epoch));
	service_event_head_write(&w, &message);
	weft_assert(!w.bad);
	len = writer_len(&w) + published->len;
	do
		event = heap_alloc(topics->heap, sizeof(*event) + len);
	while (!event && memory_make_room(topics, topic));
	if (!event)
		return NULL;
	*event = (struct topic_event){
		.ref_cnt = 1, .sequence = message.sequence, .head_len = writer_len(&w), .len = len};
	memcpy(event->bytes, head, event->head_len);
	if (published->len)
		memcpy(event->bytes + event->head_len, published->data, published->len);
	return event;
}

void service_topic_add(struct service_topics *topics, struct service_topic *topic,
		       struct topic_event *event)
{
	list_push_back(&topic->events, &event->node);
	topic->last_sequence = event->sequence;
	topic->len += event->len;
	topics->len += event->len;
	list_unlink(&topic->by_use);
	list_push_back(&topics->by_use, &topic->by_use);
	topics->kept_cnt += topic->event_cnt++ == 0;
	while (topic->event_cnt > topics->event_max ||
	       (topic->event_cnt > 1 && topic->len > topics->topic_len_max))
		history_drop_oldest(topics, topic);
	while (topics->len > topics->len_max && memory_make_room(topics, topic))
		;
}
