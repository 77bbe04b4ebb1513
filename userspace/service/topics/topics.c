/* SPDX-License-Identifier: Apache-2.0 */
/* Topics: their tables, publishing, and their end. Home worker. */
#include "service/topics_state.h"

#include <string.h>

#include "base/memory/arena.h"
#include "base/assert.h"
#include "base/fair/fair_path.h"
#include "base/random.h"

#define ENDED_TEXT "the service was withdrawn"

static const struct fair_config places_config = {.name = "subscribers of services",
						 .kind = FAIR_LASTING,
						 .level_cnt = FAIR_PEER_LEVELS,
						 .parts = FAIR_PEER_PARTS};

static struct fair_config places_of(const struct service_limits *limits)
{
	struct fair_config config = places_config;

	config.cap_cnt = (uint32_t)limits->subscriber_cnt;
	return config;
}

/* Each subscriber may be alone at a topic without a history. */
static uint32_t topic_cap(const struct service_limits *limits)
{
	return (uint32_t)(limits->topic_cnt + limits->subscriber_cnt + 1);
}

int service_topics_init(struct service_topics *topics, struct arena *arena,
			const struct service_topics_params *params)
{
	const struct service_limits *limits = params->limits;
	struct fair_config places = places_of(limits);
	uint64_t secret[2];
	int err;

	topics->heap = params->heap;
	topics->random = params->random;
	list_init(&topics->by_use);
	topics->kept_cap = (uint32_t)limits->topic_cnt;
	service_topics_configure(topics, limits);
	random_fill(params->random, secret, sizeof(secret));
	if ((err = pool_init(&topics->topics, arena, sizeof(struct service_topic),
			     topic_cap(limits))) < 0 ||
	    (err = pool_init(&topics->subscribers, arena, sizeof(struct service_subscriber),
			     places.cap_cnt + 1)) < 0 ||
	    (err = fair_init(&topics->places, arena, &places, secret)) < 0)
		return err;
	return map_init(&topics->by_key, arena, sizeof(struct service_topic_key), topic_cap(limits),
			secret);
}

void service_topics_configure(struct service_topics *topics, const struct service_limits *limits)
{
	topics->event_max = (uint32_t)limits->topic_event_cnt;
	topics->topic_len_max = limits->topic_len;
	topics->len_max = limits->memory_len / SERVICE_HISTORY_PART;
}

void service_topics_places(const struct service_topics *topics, struct fair_view *out)
{
	fair_read(&topics->places, out);
}

static void topic_tell(struct service_topic *topic, uint64_t now_ns)
{
	struct list_node *next;

	for (struct list_node *node = topic->subscribers.next; node != &topic->subscribers;
	     node = next) {
		struct service_subscriber *subscriber =
			container_of(node, struct service_subscriber, node);

		next = node->next;
		subscriber->now_ns = now_ns;
		service_subscriber_pump(subscriber);
	}
}

int service_topics_publish(struct service_topics *topics, const struct service_publication *event,
			   uint64_t now_ns, struct service_published *out_published)
{
	struct service_topic *topic;
	struct topic_event *made;

	if (!service_topic_is_valid(event->topic, strlen(event->topic)))
		return WEFT_EMALFORMED;
	if (event->len > SERVICE_EVENT_LEN_MAX)
		return WEFT_ETOOLARGE;
	topic = service_topic_lookup(topics, event->owner, event->topic);
	if (!topic || !topic->event_cnt)
		service_topic_make_room(topics, event->owner);
	topic = service_topic_use(topics, event->owner, event->topic);
	weft_assert(topic); /* room was made, and subscribers have places of their own */
	made = service_topic_event_new(topics, topic, event);
	if (!made) {
		service_topic_tidy(topics, topic);
		return WEFT_EFULL;
	}
	service_topic_add(topics, topic, made);
	topics->published_cnt++;
	memcpy(out_published->epoch, topic->epoch, sizeof(topic->epoch));
	out_published->sequence = made->sequence;
	out_published->subscriber_cnt = topic->subscriber_cnt;
	topic_tell(topic, now_ns);
	return 0;
}

static void topic_end(struct service_topics *topics, struct service_topic *topic, uint64_t now_ns)
{
	bool is_told = topic->subscriber_cnt > 0;

	service_topic_clear(topics, topic);
	/* The last subscriber to go releases the topic. */
	for (uint32_t left = topic->subscriber_cnt; left; left--) {
		struct service_subscriber *subscriber =
			container_of(topic->subscribers.next, struct service_subscriber, node);

		subscriber->now_ns = now_ns;
		service_subscriber_end(subscriber, SERVICE_UNAVAILABLE, ENDED_TEXT);
	}
	if (!is_told)
		service_topic_tidy(topics, topic);
}

void service_topics_drop(struct service_topics *topics, const void *owner, uint64_t now_ns)
{
	struct service_topic *next, *topic = pool_next(&topics->topics, NULL);

	for (; topic; topic = next) {
		next = pool_next(&topics->topics, topic);
		if (topic->key.owner == owner)
			topic_end(topics, topic, now_ns);
	}
}

void service_topics_fini(struct service_topics *topics)
{
	struct service_subscriber *subscriber = NULL;
	struct service_topic *topic = NULL;

	if (!topics->heap)
		return;
	while ((subscriber = pool_next(&topics->subscribers, subscriber)))
		service_topic_event_put(topics, subscriber->event);
	while ((topic = pool_next(&topics->topics, topic)))
		service_topic_clear(topics, topic);
}
