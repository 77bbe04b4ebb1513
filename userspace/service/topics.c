/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Topics: histories of events, and subscribers that go through them at their own speed.
 * Nothing here waits for a subscriber; what has no room is dropped from the oldest end, counted
 * and told. Home worker.
 */
#include "service/topics.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/assert.h"
#include "base/fair_path.h"
#include "base/heap.h"
#include "base/random.h"

#define ENDED_TEXT "the service was withdrawn"

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
	uint64_t lost_cnt;	     /* not told yet */
	bool owes_notice;	     /* the first one is */
	char said[SERVICE_SAID_CAP]; /* to be sent between two events; "": nothing */
	struct topic_event *event;   /* on its way; NULL: none */
	size_t off;		     /* of its bytes, that were sent */
	uint64_t now_ns;	     /* of the last thing that befell it */
};

static const struct fair_config places_config = {.name = "subscribers of services",
						 .kind = FAIR_STANDING,
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

size_t service_topics_footprint(const struct service_limits *limits)
{
	struct fair_config places = places_of(limits);

	return pool_footprint(sizeof(struct service_topic), topic_cap(limits)) +
	       pool_footprint(sizeof(struct service_subscriber), places.cap_cnt + 1) +
	       fair_footprint(&places) +
	       map_footprint(sizeof(struct service_topic_key), topic_cap(limits));
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

/* --- histories --- */

static struct topic_event *event_get(struct topic_event *event)
{
	event->ref_cnt++;
	return event;
}

static void event_put(struct service_topics *topics, struct topic_event *event)
{
	if (event && --event->ref_cnt == 0)
		heap_release(topics->heap, event);
}

static struct topic_event *event_first(const struct service_topic *topic)
{
	return list_is_empty(&topic->events)
		       ? NULL
		       : list_entry(topic->events.next, struct topic_event, node);
}

/* The number of the oldest event that is kept; one behind the last when none is. */
static uint64_t first_sequence(const struct service_topic *topic)
{
	return topic->last_sequence + 1 - topic->event_cnt;
}

/* event_find: the event is kept. A subscriber is nearly always at the newest. */
static struct topic_event *event_find(const struct service_topic *topic, uint64_t sequence)
{
	bool is_new = topic->last_sequence - sequence < sequence - first_sequence(topic);
	struct list_node *node = is_new ? topic->events.prev : topic->events.next;

	while (list_entry(node, struct topic_event, node)->sequence != sequence)
		node = is_new ? node->prev : node->next;
	return list_entry(node, struct topic_event, node);
}

static void history_drop_oldest(struct service_topics *topics, struct service_topic *topic)
{
	struct topic_event *event = event_first(topic);

	list_unlink(&event->node);
	topic->event_cnt--;
	topic->len -= event->len;
	topics->len -= event->len;
	event_put(topics, event);
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

/* topic_tidy: what has neither history nor subscribers is none. */
static void topic_tidy(struct service_topics *topics, struct service_topic *topic)
{
	if (!topic->event_cnt && !topic->subscriber_cnt)
		topic_release(topics, topic);
}

static void history_clear(struct service_topics *topics, struct service_topic *topic)
{
	while (topic->event_cnt)
		history_drop_oldest(topics, topic);
}

static struct service_topic_key key_of(const void *owner, const char *name)
{
	struct service_topic_key key;

	memset(&key, 0, sizeof(key));
	key.owner = owner;
	memcpy(key.name, name, strlen(name));
	return key;
}

/* topic_use: made if need be; NULL: there is no place for one more. */
static struct service_topic *topic_use(struct service_topics *topics, const void *owner,
				       const char *name)
{
	struct service_topic_key key = key_of(owner, name);
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

/* The topic of owner, or of anybody for NULL, that was published to longest ago. */
static struct service_topic *topic_stalest(const struct service_topics *topics, const void *owner,
					   unsigned *out_cnt)
{
	struct service_topic *stalest = NULL;

	*out_cnt = 0;
	for (struct list_node *node = topics->by_use.next; node != &topics->by_use;
	     node = node->next) {
		struct service_topic *topic = list_entry(node, struct service_topic, by_use);

		if (owner && topic->key.owner != owner)
			continue;
		stalest = stalest ? stalest : topic;
		++*out_cnt;
	}
	return stalest;
}

/* A topic gets a history: another one's goes, if there are as many as may be. */
static void history_make_room(struct service_topics *topics, const void *owner)
{
	unsigned cnt;
	struct service_topic *stalest = topic_stalest(topics, owner, &cnt);

	if (cnt < SERVICE_TOPICS_PER_OFFER && topics->kept_cnt < topics->kept_cap)
		return;
	if (cnt < SERVICE_TOPICS_PER_OFFER)
		stalest = topic_stalest(topics, NULL, &cnt);
	history_clear(topics, stalest);
	topic_tidy(topics, stalest);
}

/* Of keep the newest event stays. */
static struct service_topic *topic_largest(const struct service_topics *topics,
					   const struct service_topic *keep)
{
	struct service_topic *largest = NULL;

	for (struct list_node *node = topics->by_use.next; node != &topics->by_use;
	     node = node->next) {
		struct service_topic *topic = list_entry(node, struct service_topic, by_use);

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
		topic_tidy(topics, largest);
	return true;
}

static struct topic_event *event_new(struct service_topics *topics,
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

/* history_add takes event, which is the newest now. */
static void history_add(struct service_topics *topics, struct service_topic *topic,
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

/* --- subscribers --- */

static void subscriber_release(struct service_subscriber *subscriber)
{
	struct service_topics *topics = subscriber->topics;
	struct service_topic *topic = subscriber->topic;
	const struct service_hearer *hearer = subscriber->hearer;
	void *arg = subscriber->arg;

	event_put(topics, subscriber->event);
	list_unlink(&subscriber->node);
	topic->subscriber_cnt--;
	topic_tidy(topics, topic);
	fair_release(&topics->places, &subscriber->place, subscriber->now_ns);
	pool_release(&topics->subscribers, subscriber);
	if (hearer->ended)
		hearer->ended(arg);
}

static void subscriber_end(struct service_subscriber *subscriber, enum service_status status,
			   const char *text)
{
	service_channel_end(subscriber->channel, status, text);
	subscriber_release(subscriber);
}

/* notice_send tells what was lost; false: the stream takes nothing now. */
static bool notice_send(struct service_subscriber *subscriber)
{
	struct service_event_message notice = {.is_notice = true,
					       .sequence = subscriber->next - 1,
					       .lost_cnt = subscriber->lost_cnt};
	uint8_t bytes[SERVICE_EVENT_HEAD_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct service_piece piece = {.data = bytes, .is_last = true};

	if (subscriber->event)
		notice.sequence = subscriber->event->sequence - 1;
	memcpy(notice.epoch, subscriber->topic->epoch, sizeof(notice.epoch));
	if (subscriber->hearer->is_plain) {
		piece.is_text = true;
		piece.len = (size_t)snprintf((char *)bytes, sizeof(bytes), "{\"lost\":%" PRIu64 "}",
					     subscriber->lost_cnt);
	} else {
		service_event_head_write(&w, &notice);
		piece.len = writer_len(&w);
	}
	if (service_channel_send(subscriber->channel, &piece, NULL, NULL) < 0)
		return false;
	subscriber->owes_notice = false;
	subscriber->lost_cnt = 0;
	return true;
}

/* event_take: the next event is on its way from now on; false: there is none yet. */
static bool event_take(struct service_subscriber *subscriber)
{
	const struct service_topic *topic = subscriber->topic;
	uint64_t first = first_sequence(topic);

	if (subscriber->event)
		return true;
	if (subscriber->next < first) {
		subscriber->lost_cnt += first - subscriber->next;
		subscriber->topics->lost_cnt += first - subscriber->next;
		subscriber->next = first;
	}
	if (subscriber->next > topic->last_sequence)
		return false;
	subscriber->event = event_get(event_find(topic, subscriber->next));
	subscriber->next++;
	subscriber->off = subscriber->hearer->is_plain ? subscriber->event->head_len : 0;
	return true;
}

/* event_send: false: the stream takes no more now. */
static bool event_send(struct service_subscriber *subscriber)
{
	const struct topic_event *event = subscriber->event;
	struct service_piece piece = {.is_text = subscriber->hearer->is_plain};

	do {
		size_t left = event->len - subscriber->off;

		piece.data = event->bytes + subscriber->off;
		piece.len = left < SERVICE_COPY_LEN_MAX ? left : SERVICE_COPY_LEN_MAX;
		piece.is_last = piece.len == left;
		if (service_channel_send(subscriber->channel, &piece, NULL, NULL) < 0)
			return false;
		subscriber->off += piece.len;
	} while (!piece.is_last);
	event_put(subscriber->topics, subscriber->event);
	subscriber->event = NULL;
	return true;
}

/* said_send: false: the stream takes nothing now. */
static bool said_send(struct service_subscriber *subscriber)
{
	struct service_piece piece = {.data = (const uint8_t *)subscriber->said,
				      .len = strlen(subscriber->said),
				      .is_text = true,
				      .is_last = true};

	if (service_channel_send(subscriber->channel, &piece, NULL, NULL) < 0)
		return false;
	subscriber->said[0] = '\0';
	return true;
}

/* Between two events messages of another kind go out; false: the stream takes nothing now. */
static bool others_send(struct service_subscriber *subscriber)
{
	const struct topic_event *event = subscriber->event;

	if (event && subscriber->off != (subscriber->hearer->is_plain ? event->head_len : 0))
		return true;
	if (subscriber->said[0] && !said_send(subscriber))
		return false;
	return (!subscriber->owes_notice && !subscriber->lost_cnt) || notice_send(subscriber);
}

/* subscriber_pump sends what the stream takes; subscriber may be gone then. */
static void subscriber_pump(struct service_subscriber *subscriber)
{
	const struct service_hearer *hearer = subscriber->hearer;
	const char *why = hearer->refusal ? hearer->refusal(subscriber->arg, subscriber->key,
							    subscriber->topic->key.name)
					  : NULL;
	bool has_event;

	if (why) {
		subscriber_end(subscriber, SERVICE_FORBIDDEN, why);
		return;
	}
	do {
		has_event = event_take(subscriber);
	} while (others_send(subscriber) && has_event && event_send(subscriber));
}

void service_subscriber_say(struct service_subscriber *subscriber, const char *text)
{
	if (text)
		snprintf(subscriber->said, sizeof(subscriber->said), "%s", text);
	subscriber_pump(subscriber);
}

static void on_piece(void *arg, const struct service_piece *piece, uint64_t now_ns)
{
	struct service_subscriber *subscriber = arg;

	subscriber->now_ns = now_ns;
	if (subscriber->hearer->piece)
		subscriber->hearer->piece(subscriber->arg, piece, now_ns);
	else
		subscriber_end(subscriber, SERVICE_INVALID_PAYLOAD,
			       "nothing is sent on a subscription");
}

/* A subscriber of events has nothing to say; one that also speaks has said all. */
static void on_finished(void *arg, uint64_t now_ns)
{
	struct service_subscriber *subscriber = arg;

	subscriber->now_ns = now_ns;
	if (subscriber->hearer->piece)
		service_channel_finish(subscriber->channel);
}

static void on_writable(void *arg, uint64_t now_ns)
{
	struct service_subscriber *subscriber = arg;

	subscriber->now_ns = now_ns;
	subscriber_pump(subscriber);
}

static void on_ended(void *arg, const struct service_answer *answer, uint64_t now_ns)
{
	struct service_subscriber *subscriber = arg;

	(void)answer;
	subscriber->now_ns = now_ns;
	subscriber_release(subscriber);
}

static const struct service_channel_events subscriber_events = {
	.piece = on_piece,
	.finished = on_finished,
	.writable = on_writable,
	.ended = on_ended,
};

/* subscriber_start: where in the history it begins, and what is lost until there. */
static void subscriber_start(struct service_subscriber *subscriber, const struct service_wish *wish)
{
	const struct service_topic *topic = subscriber->topic;
	bool is_other =
		wish->has_epoch && memcmp(wish->epoch, topic->epoch, sizeof(topic->epoch)) != 0;

	subscriber->owes_notice = !subscriber->hearer->is_plain;
	subscriber->next = topic->last_sequence + 1;
	if (is_other)
		subscriber->next = 1;
	else if (wish->has_since && wish->since < topic->last_sequence)
		subscriber->next = wish->since + 1;
}

/* A place by fair shares; NULL: the caller's network has as many as any. */
static struct service_subscriber *
subscriber_new(struct service_topics *topics, const struct service_caller *caller, uint64_t now_ns)
{
	struct service_subscriber *subscriber = pool_acquire(&topics->subscribers), *evicted;
	struct fair_item *victim = NULL;

	weft_assert(subscriber); /* there is one more than there are places */
	if (fair_take(&topics->places, &caller->path, &subscriber->place, now_ns, &victim) ==
	    FAIR_BUSY) {
		pool_release(&topics->subscribers, subscriber);
		return NULL;
	}
	if (victim) {
		evicted = list_entry(victim, struct service_subscriber, place);
		evicted->now_ns = now_ns;
		subscriber_end(evicted, SERVICE_UNAVAILABLE,
			       "its place went to a caller that listens less");
	}
	subscriber->topics = topics;
	subscriber->now_ns = now_ns;
	return subscriber;
}

struct service_subscriber *service_topics_subscribe(struct service_topics *topics,
						    struct service_channel *channel,
						    const struct service_subscribing *request,
						    uint64_t now_ns)
{
	struct service_subscriber *subscriber = subscriber_new(topics, request->caller, now_ns);
	struct service_topic *topic;

	if (!subscriber) {
		service_channel_end(channel, SERVICE_UNAVAILABLE, "as many listen as there may be");
		return NULL;
	}
	topic = topic_use(topics, request->owner, request->wish->topic);
	weft_assert(topic); /* each subscriber has one to itself, beside those with a history */
	subscriber->topic = topic;
	subscriber->channel = channel;
	subscriber->hearer = request->hearer;
	subscriber->arg = request->arg;
	memcpy(subscriber->key, request->caller->key, sizeof(subscriber->key));
	list_init(&subscriber->node);
	list_push_back(&topic->subscribers, &subscriber->node);
	topic->subscriber_cnt++;
	subscriber_start(subscriber, request->wish);
	service_channel_accept(channel, &subscriber_events, subscriber);
	return subscriber;
}

/* --- publishing --- */

static void topic_tell(struct service_topic *topic, uint64_t now_ns)
{
	struct list_node *next;

	for (struct list_node *node = topic->subscribers.next; node != &topic->subscribers;
	     node = next) {
		struct service_subscriber *subscriber =
			list_entry(node, struct service_subscriber, node);

		next = node->next;
		subscriber->now_ns = now_ns;
		subscriber_pump(subscriber);
	}
}

int service_topics_publish(struct service_topics *topics, const struct service_publication *event,
			   uint64_t now_ns, struct service_published *out_published)
{
	struct service_topic_key key;
	struct service_topic *topic;
	struct topic_event *made;

	if (!service_topic_is_valid(event->topic, strlen(event->topic)))
		return WEFT_EMALFORMED;
	if (event->len > SERVICE_EVENT_LEN_MAX)
		return WEFT_ETOOLARGE;
	key = key_of(event->owner, event->topic);
	topic = map_lookup(&topics->by_key, &key);
	if (!topic || !topic->event_cnt)
		history_make_room(topics, event->owner);
	topic = topic_use(topics, event->owner, event->topic);
	weft_assert(topic); /* room was made, and subscribers have places of their own */
	made = event_new(topics, topic, event);
	if (!made) {
		topic_tidy(topics, topic);
		return WEFT_EFULL;
	}
	history_add(topics, topic, made);
	topics->published_cnt++;
	memcpy(out_published->epoch, topic->epoch, sizeof(topic->epoch));
	out_published->sequence = made->sequence;
	out_published->subscriber_cnt = topic->subscriber_cnt;
	topic_tell(topic, now_ns);
	return 0;
}

/* --- the end --- */

static void topic_end(struct service_topics *topics, struct service_topic *topic, uint64_t now_ns)
{
	bool is_told = topic->subscriber_cnt > 0;

	history_clear(topics, topic);
	/* The last subscriber to go releases the topic. */
	for (uint32_t left = topic->subscriber_cnt; left; left--) {
		struct service_subscriber *subscriber =
			list_entry(topic->subscribers.next, struct service_subscriber, node);

		subscriber->now_ns = now_ns;
		subscriber_end(subscriber, SERVICE_UNAVAILABLE, ENDED_TEXT);
	}
	if (!is_told)
		topic_tidy(topics, topic);
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
		event_put(topics, subscriber->event);
	while ((topic = pool_next(&topics->topics, topic)))
		history_clear(topics, topic);
}
