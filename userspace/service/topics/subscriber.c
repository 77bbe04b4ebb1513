/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Subscribers of topics, each with its own position in the history. Nothing waits for one. Events
 * that left the history unsent are counted and reported as lost. Home worker.
 */
#include "service/topics_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"

static void subscriber_release(struct service_subscriber *subscriber)
{
	struct service_topics *topics = subscriber->topics;
	struct service_topic *topic = subscriber->topic;
	const struct service_hearer *hearer = subscriber->hearer;
	void *arg = subscriber->arg;

	service_topic_event_put(topics, subscriber->event);
	list_unlink(&subscriber->node);
	topic->subscriber_cnt--;
	service_topic_tidy(topics, topic);
	fair_release(&topics->places, &subscriber->place, subscriber->now_ns);
	pool_release(&topics->subscribers, subscriber);
	if (hearer->ended)
		hearer->ended(arg);
}

void service_subscriber_end(struct service_subscriber *subscriber, enum service_status status,
			    const char *text)
{
	service_channel_end(subscriber->channel, status, text);
	subscriber_release(subscriber);
}

/* notice_send reports the lost events; false: the stream takes nothing now. */
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
	uint64_t first = service_topic_first_sequence(topic);

	if (subscriber->event)
		return true;
	if (subscriber->next < first) {
		subscriber->lost_cnt += first - subscriber->next;
		subscriber->topics->lost_cnt += first - subscriber->next;
		subscriber->next = first;
	}
	if (subscriber->next > topic->last_sequence)
		return false;
	subscriber->event =
		service_topic_event_get(service_topic_event_find(topic, subscriber->next));
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
	service_topic_event_put(subscriber->topics, subscriber->event);
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

void service_subscriber_pump(struct service_subscriber *subscriber)
{
	const struct service_hearer *hearer = subscriber->hearer;
	const char *why = hearer->refusal ? hearer->refusal(subscriber->arg, subscriber->key,
							    subscriber->topic->key.name)
					  : NULL;
	bool has_event;

	if (why) {
		service_subscriber_end(subscriber, SERVICE_FORBIDDEN, why);
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
	service_subscriber_pump(subscriber);
}

static void on_piece(void *arg, const struct service_piece *piece, uint64_t now_ns)
{
	struct service_subscriber *subscriber = arg;

	subscriber->now_ns = now_ns;
	if (subscriber->hearer->piece)
		subscriber->hearer->piece(subscriber->arg, piece, now_ns);
	else
		service_subscriber_end(subscriber, SERVICE_INVALID_PAYLOAD,
				       "nothing is sent on a subscription");
}

/* A subscriber of events sends nothing; one that also speaks has finished. */
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
	service_subscriber_pump(subscriber);
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

/*
 * subscriber_start: its first position in the history, and the number of events lost until there.
 */
static void subscriber_start(struct service_subscriber *subscriber,
			     const struct service_subscription_params *params)
{
	const struct service_topic *topic = subscriber->topic;
	bool is_other =
		params->has_epoch && memcmp(params->epoch, topic->epoch, sizeof(topic->epoch)) != 0;

	subscriber->owes_notice = !subscriber->hearer->is_plain;
	subscriber->next = topic->last_sequence + 1;
	if (is_other)
		subscriber->next = 1;
	else if (params->has_since && params->since < topic->last_sequence)
		subscriber->next = params->since + 1;
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
		evicted = container_of(victim, struct service_subscriber, place);
		evicted->now_ns = now_ns;
		service_subscriber_end(evicted, SERVICE_UNAVAILABLE,
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
	topic = service_topic_use(topics, request->owner, request->params->topic);
	weft_assert(topic); /* each subscriber has one to itself, beside those with a history */
	subscriber->topic = topic;
	subscriber->channel = channel;
	subscriber->hearer = request->hearer;
	subscriber->arg = request->arg;
	memcpy(subscriber->key, request->caller->key, sizeof(subscriber->key));
	list_init(&subscriber->node);
	list_push_back(&topic->subscribers, &subscriber->node);
	topic->subscriber_cnt++;
	subscriber_start(subscriber, request->params);
	service_channel_accept(channel, &subscriber_events, subscriber);
	return subscriber;
}
