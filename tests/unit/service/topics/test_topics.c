/* SPDX-License-Identifier: Apache-2.0 */
/* Histories, subscribers and what they lose; in place of streams are channels that a test fills. */
#include "service/topics/topics.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory/arena.h"
#include "base/fair/fair_path.h"
#include "base/memory/heap.h"
#include "base/random.h"
#include "support/check.h"

#define SUBSCRIBERS 16
#define TOPICS	    4
#define EVENTS	    8

struct service_channel {
	const struct service_channel_events *events;
	void *arg;
	unsigned room_cnt; /* pieces that it takes before it is full */
	unsigned event_cnt;
	uint64_t lost_cnt;
	struct service_event_message last; /* its data is not kept */
	char text[64];			   /* of the last message */
	uint8_t message[SERVICE_EVENT_MESSAGE_LEN_MAX];
	size_t len;
	uint64_t next; /* number that the next event has to have; 0: any */
	bool is_ended;
	enum service_status status;
};

static struct {
	struct arena arena;
	struct heap *heap;
	struct random random;
	struct service_limits limits;
	struct service_topics topics;
	uint64_t now_ns;
	bool is_shut; /* no subscriber may hear any more */
	unsigned ended_cnt;
} rig;
static int owner, other;

void service_channel_accept(struct service_channel *channel,
			    const struct service_channel_events *events, void *arg)
{
	channel->events = events;
	channel->arg = arg;
}

static void message_take(struct service_channel *channel, bool is_text)
{
	size_t len =
		channel->len < sizeof(channel->text) - 1 ? channel->len : sizeof(channel->text) - 1;

	memcpy(channel->text, channel->message, len);
	channel->text[len] = '\0';
	if (!is_text && service_event_parse(channel->message, channel->len, &channel->last) < 0)
		abort();
	if (!is_text && channel->last.is_notice) {
		channel->lost_cnt += channel->last.lost_cnt;
		channel->next = channel->last.sequence + 1;
	} else if (!is_text) {
		if (channel->next)
			CHECK_EQ(channel->last.sequence, channel->next);
		channel->next = channel->last.sequence + 1;
		channel->event_cnt++;
	}
	channel->len = 0;
}

int service_channel_send(struct service_channel *channel, const struct service_piece *piece,
			 void (*done)(void *arg), void *arg)
{
	(void)done, (void)arg;
	if (!channel->room_cnt)
		return WEFT_EFULL;
	if (piece->len > SERVICE_COPY_LEN_MAX)
		abort();
	channel->room_cnt--;
	memcpy(channel->message + channel->len, piece->data, piece->len);
	channel->len += piece->len;
	if (piece->is_last)
		message_take(channel, piece->is_text);
	return 0;
}

void service_channel_finish(struct service_channel *channel)
{
	(void)channel;
}

void service_channel_end(struct service_channel *channel, enum service_status status,
			 const char *text)
{
	(void)text;
	channel->is_ended = true;
	channel->status = status;
}

static const char *rig_refusal(void *arg, const uint8_t key[MESH_KEY_LEN], const char *topic)
{
	(void)arg, (void)key, (void)topic;
	return rig.is_shut ? "shut" : NULL;
}

static void rig_ended(void *arg)
{
	(void)arg;
	rig.ended_cnt++;
}

static const struct service_hearer hearer = {.refusal = rig_refusal, .ended = rig_ended};
static const struct service_hearer plain = {.ended = rig_ended, .is_plain = true};

static void rig_start_with(unsigned topic_cnt)
{
	struct service_topics_params params = {.limits = &rig.limits, .random = &rig.random};

	memset(&rig, 0, sizeof(rig));
	random_init_seeded(&rig.random, 1);
	service_limits_defaults(&rig.limits);
	rig.limits.subscriber_cnt = SUBSCRIBERS;
	rig.limits.topic_cnt = topic_cnt;
	rig.limits.topic_event_cnt = EVENTS;
	rig.limits.memory_len = 4 * 1024 * 1024;
	if (heap_new(rig.limits.memory_len, &rig.heap) < 0 ||
	    arena_open(&rig.arena, ARENA_GROWS) < 0)
		abort();
	params.heap = rig.heap;
	if (service_topics_init(&rig.topics, &rig.arena, &params) < 0)
		abort();
}

static void rig_start(void)
{
	rig_start_with(TOPICS);
}

static void rig_stop(void)
{
	struct heap_usage usage;

	service_topics_fini(&rig.topics);
	heap_usage(rig.heap, &usage);
	CHECK_EQ(usage.used_len, 0);
	arena_close(&rig.arena);
	heap_free(rig.heap);
}

static struct service_published last;

static int publish_as(const void *who, const char *topic, const void *data, size_t len)
{
	struct service_publication event = {
		.owner = who, .topic = topic, .data = data, .len = len, .at_ms = 1};

	return service_topics_publish(&rig.topics, &event, ++rig.now_ns, &last);
}

static int publish(const char *topic, const char *text)
{
	return publish_as(&owner, topic, text, strlen(text));
}

static void publish_many(const char *topic, unsigned cnt)
{
	for (unsigned i = 0; i < cnt; i++)
		CHECK_EQ(publish(topic, "event"), 0);
}

/* From network, as one key of it. */
static bool join_as(struct service_channel *channel, unsigned network,
		    const struct service_hearer *how,
		    const struct service_subscription_params *params)
{
	static const struct fair_paths paths;
	struct addr addr = {.family = ADDR_IPV4, .ip = {10, (uint8_t)network, 0, 1}};
	struct service_caller caller = {.key = {(uint8_t)network}};
	struct service_subscribing request = {
		.owner = &owner, .params = params, .caller = &caller, .hearer = how};
	struct service_subscriber *subscriber;

	fair_path_of_addr(&paths, &addr, FAIR_UNKNOWN, &caller.path);
	fair_path_add(&paths, &caller.path, caller.key, sizeof(caller.key));
	memset(channel, 0, sizeof(*channel));
	channel->room_cnt = 1u << 30;
	subscriber = service_topics_subscribe(&rig.topics, channel, &request, ++rig.now_ns);
	if (subscriber)
		service_subscriber_say(subscriber, NULL);
	return subscriber;
}

static bool join(struct service_channel *channel, const char *topic)
{
	struct service_subscription_params params = {.has_since = false};

	strcpy(params.topic, topic);
	return join_as(channel, 1, &hearer, &params);
}

static bool join_since(struct service_channel *channel, const char *topic, uint64_t since,
		       const uint8_t *epoch)
{
	struct service_subscription_params params = {
		.has_since = true, .since = since, .has_epoch = epoch};

	strcpy(params.topic, topic);
	if (epoch)
		memcpy(params.epoch, epoch, sizeof(params.epoch));
	return join_as(channel, 1, &hearer, &params);
}

static void leave(struct service_channel *channel)
{
	channel->events->ended(channel->arg, NULL, ++rig.now_ns);
}

static void open_up(struct service_channel *channel, unsigned room_cnt)
{
	channel->room_cnt = room_cnt;
	channel->events->writable(channel->arg, ++rig.now_ns);
}

static struct service_channel one, two;

static void test_an_event_goes_to_all_subscribers_of_its_topic_and_to_no_other(void)
{
	static struct service_channel elsewhere;

	rig_start();
	CHECK(join(&one, "orders") && join(&two, "orders") && join(&elsewhere, "prices"));
	CHECK(one.last.is_notice && one.lost_cnt == 0);
	CHECK_EQ(publish("orders", "tea"), 0);
	CHECK_EQ(last.sequence, 1);
	CHECK_EQ(last.subscriber_cnt, 2);
	CHECK_EQ(one.event_cnt, 1);
	CHECK_EQ(two.event_cnt, 1);
	CHECK_EQ(elsewhere.event_cnt, 0);
	CHECK_EQ(publish_as(&other, "orders", "tea", 3), 0); /* another service's */
	CHECK_EQ(one.event_cnt, 1);
	CHECK_EQ(last.subscriber_cnt, 0);
	rig_stop();
}

static void test_a_returning_subscriber_continues_and_learns_its_losses(void)
{
	uint8_t epoch[SERVICE_EPOCH_LEN];

	rig_start();
	publish_many("orders", EVENTS);
	memcpy(epoch, last.epoch, sizeof(epoch));
	CHECK(join_since(&one, "orders", 0, epoch));
	CHECK_EQ(one.event_cnt, EVENTS);
	CHECK_EQ(one.lost_cnt, 0);
	leave(&one);
	publish_many("orders", 3); /* the history has 4 to 11 */
	CHECK(join_since(&one, "orders", EVENTS, epoch));
	CHECK_EQ(one.event_cnt, 3);
	CHECK_EQ(one.lost_cnt, 0);
	CHECK(join_since(&two, "orders", 2, NULL));
	CHECK_EQ(two.lost_cnt, 1);
	CHECK_EQ(two.event_cnt, EVENTS);
	CHECK_EQ(two.last.sequence, EVENTS + 3);
	rig_stop();
}

static void test_a_number_of_another_history_is_not_mistaken(void)
{
	static const uint8_t epoch[SERVICE_EPOCH_LEN] = {9};

	rig_start();
	publish_many("orders", EVENTS + 2);
	CHECK(join_since(&one, "orders", EVENTS + 1, epoch));
	CHECK_EQ(one.event_cnt, EVENTS); /* all that there is */
	CHECK_EQ(one.lost_cnt, 2);
	CHECK_MEM(one.last.epoch, last.epoch, SERVICE_EPOCH_LEN);
	CHECK(join_since(&two, "orders", 1000000, NULL)); /* ahead of what there is: from now on */
	CHECK_EQ(two.event_cnt, 0);
	publish_many("orders", 1);
	CHECK_EQ(two.event_cnt, 1);
	rig_stop();
}

static void test_a_slow_subscriber_holds_back_no_other_and_learns_its_losses(void)
{
	struct heap_usage before, after;

	rig_start();
	CHECK(join(&one, "orders") && join(&two, "orders"));
	one.room_cnt = 0;
	publish_many("orders", 10 * EVENTS);
	heap_usage(rig.heap, &before);
	publish_many("orders", 1000);
	heap_usage(rig.heap, &after);
	CHECK_EQ(after.used_len, before.used_len);
	CHECK_EQ(two.event_cnt, 10 * EVENTS + 1000);
	CHECK_EQ(two.lost_cnt, 0);
	CHECK_EQ(one.event_cnt, 0);
	open_up(&one, 1u << 30);
	CHECK_EQ(one.event_cnt + one.lost_cnt, 10 * EVENTS + 1000);
	CHECK_EQ(one.event_cnt, EVENTS + 1); /* one was on its way */
	CHECK_EQ(rig.topics.lost_cnt, one.lost_cnt);
	rig_stop();
}

static void test_an_event_in_pieces_is_not_torn_by_a_notice(void)
{
	static uint8_t blob[SERVICE_EVENT_LEN_MAX];

	rig_start();
	CHECK(join(&one, "orders"));
	one.room_cnt = 2;
	CHECK_EQ(publish_as(&owner, "orders", blob, sizeof(blob)), 0);
	publish_many("orders", 2 * EVENTS);
	CHECK_EQ(one.event_cnt, 0);
	open_up(&one, 1);
	open_up(&one, 1u << 30);
	CHECK_EQ(one.event_cnt + one.lost_cnt, 1 + 2 * EVENTS);
	CHECK_EQ(one.lost_cnt, EVENTS);
	rig_stop();
}

static void test_an_event_of_64_kib_is_taken_and_of_a_byte_more_is_not(void)
{
	static uint8_t blob[SERVICE_EVENT_LEN_MAX + 1];

	rig_start();
	CHECK(join(&one, "orders"));
	CHECK_EQ(publish_as(&owner, "orders", blob, sizeof(blob) - 1), 0);
	CHECK_EQ(publish_as(&owner, "orders", blob, sizeof(blob)), WEFT_ETOOLARGE);
	CHECK_EQ(one.event_cnt, 1);
	CHECK_EQ(publish("no topic", ""), WEFT_EMALFORMED);
	CHECK_EQ(publish("", ""), WEFT_EMALFORMED);
	rig_stop();
}

static void test_a_history_has_as_many_events_and_bytes_as_it_may(void)
{
	static uint8_t blob[SERVICE_EVENT_LEN_MAX];

	rig_start();
	rig.limits.topic_len = 65536 + 1000;
	service_topics_configure(&rig.topics, &rig.limits);
	publish_many("orders", EVENTS + 1);
	CHECK(join_since(&one, "orders", 0, NULL));
	CHECK_EQ(one.event_cnt, EVENTS);
	CHECK_EQ(one.lost_cnt, 1);
	CHECK_EQ(publish_as(&owner, "orders", blob, sizeof(blob)), 0);
	CHECK_EQ(publish_as(&owner, "orders", blob, sizeof(blob)), 0);
	CHECK(join_since(&two, "orders", 0, NULL));
	CHECK_EQ(two.event_cnt, 1);
	CHECK(rig.topics.len <= rig.limits.topic_len);
	rig_stop();
}

static void test_all_histories_have_a_quarter_of_memory_and_the_largest_pays(void)
{
	static uint8_t blob[SERVICE_EVENT_LEN_MAX];
	size_t len_max;

	rig_start();
	rig.limits.topic_event_cnt = 1000;
	service_topics_configure(&rig.topics, &rig.limits);
	len_max = rig.limits.memory_len / SERVICE_HISTORY_PART;
	CHECK_EQ(publish("small", "kept"), 0);
	for (unsigned i = 0; i < 40; i++) {
		CHECK_EQ(publish_as(&owner, i % 2 ? "large" : "larger", blob, sizeof(blob)), 0);
		CHECK(rig.topics.len <= len_max);
	}
	CHECK(rig.topics.len > len_max - 2 * sizeof(blob));
	CHECK(join_since(&one, "small", 0, NULL));
	CHECK_EQ(one.event_cnt, 1);
	rig_stop();
}

static void test_one_topic_more_than_there_may_be_takes_the_stalest_ones_place(void)
{
	static const char *const names[TOPICS + 1] = {"a", "b", "c", "d", "e"};

	rig_start();
	CHECK(join(&one, "a"));
	for (unsigned i = 0; i < TOPICS; i++)
		publish_many(names[i], 1);
	CHECK_EQ(rig.topics.kept_cnt, TOPICS);
	publish_many(names[TOPICS], 1);
	CHECK_EQ(rig.topics.kept_cnt, TOPICS);
	CHECK(join_since(&two, "a", 0, NULL));
	CHECK_EQ(two.event_cnt, 0);
	CHECK_EQ(two.lost_cnt, 1);
	publish_many("a", 1); /* the numbers go on, for a subscriber heard of the first */
	CHECK_EQ(last.sequence, 2);
	CHECK_EQ(one.event_cnt, 2);
	CHECK_EQ(rig.topics.kept_cnt, TOPICS);
	rig_stop();
}

static void test_one_service_has_64_topics_with_a_history(void)
{
	char name[8];

	rig_start_with(SERVICE_TOPICS_PER_OFFER + 2);
	CHECK_EQ(publish_as(&other, "kept", "", 0), 0);
	for (unsigned i = 0; i <= SERVICE_TOPICS_PER_OFFER; i++) {
		snprintf(name, sizeof(name), "t%u", i);
		CHECK_EQ(publish(name, ""), 0);
	}
	CHECK_EQ(rig.topics.kept_cnt, SERVICE_TOPICS_PER_OFFER + 1);
	CHECK_EQ(publish_as(&other, "kept", "", 0), 0);
	CHECK_EQ(last.sequence, 2);
	CHECK_EQ(publish("t0", ""), 0);
	CHECK_EQ(last.sequence, 1); /* it was forgotten */
	rig_stop();
}

static void test_one_subscriber_more_than_there_may_be_is_refused(void)
{
	static struct service_channel channels[SUBSCRIBERS + 1];
	struct fair_view view;

	rig_start();
	for (unsigned i = 0; i < SUBSCRIBERS; i++)
		CHECK(join(&channels[i], "orders"));
	CHECK(!join(&channels[SUBSCRIBERS], "orders"));
	CHECK_EQ(channels[SUBSCRIBERS].status, SERVICE_UNAVAILABLE);
	service_topics_places(&rig.topics, &view);
	CHECK_EQ(view.cap_cnt, SUBSCRIBERS);
	CHECK_EQ(view.held_cnt, SUBSCRIBERS);
	leave(&channels[3]);
	CHECK(join(&channels[3], "orders"));
	CHECK_EQ(publish("orders", "to all"), 0);
	CHECK_EQ(last.subscriber_cnt, SUBSCRIBERS);
	rig_stop();
}

static void test_the_subscribers_of_one_network_leave_places_to_others(void)
{
	static struct service_channel channels[SUBSCRIBERS], others[SUBSCRIBERS / 2 + 1];
	struct service_subscription_params params = {.topic = "orders"};
	unsigned ended_cnt = 0, cnt = SUBSCRIBERS / 2 + 1;

	rig_start();
	/* Each at a topic of its own: topics without a history have room for all. */
	for (unsigned i = 0; i < SUBSCRIBERS; i++) {
		params.topic[0] = (char)('a' + i);
		CHECK(join_as(&channels[i], 1, &hearer, &params));
	}
	for (unsigned i = 0; i < cnt; i++)
		CHECK_EQ(join_as(&others[i], 2, &hearer, &params), i < cnt - 1);
	for (unsigned i = 0; i < SUBSCRIBERS; i++)
		ended_cnt += channels[i].is_ended;
	CHECK_EQ(ended_cnt, SUBSCRIBERS / 2);
	CHECK_EQ(rig.ended_cnt, SUBSCRIBERS / 2);
	CHECK(channels[SUBSCRIBERS - 1].is_ended && !channels[0].is_ended);
	for (unsigned i = 0; i < TOPICS; i++) {
		params.topic[0] = (char)('A' + i);
		CHECK_EQ(publish(params.topic, ""), 0);
	}
	rig_stop();
}

static void test_a_subscriber_without_permission_is_ended_before_the_next_event(void)
{
	rig_start();
	CHECK(join(&one, "orders"));
	rig.is_shut = true;
	CHECK_EQ(publish("orders", "a secret"), 0);
	CHECK_EQ(one.event_cnt, 0);
	CHECK_EQ(one.status, SERVICE_FORBIDDEN);
	CHECK_EQ(rig.ended_cnt, 1);
	rig_stop();
}

static void test_a_plain_hearer_gets_the_bytes_and_what_is_said_beside_them(void)
{
	struct service_subscription_params params = {.topic = "room"};

	rig_start();
	CHECK(join_as(&one, 1, &plain, &params));
	CHECK_STR(one.text, "");
	CHECK_EQ(publish("room", "hello"), 0);
	CHECK_STR(one.text, "hello");
	service_subscriber_say(one.arg, "aside");
	CHECK_STR(one.text, "aside");
	one.room_cnt = 0;
	publish_many("room", EVENTS + 3);
	open_up(&one, 1);
	CHECK_STR(one.text, "event"); /* was on its way */
	open_up(&one, 1);
	CHECK_STR(one.text, "{\"lost\":2}");
	rig_stop();
}

static void test_what_comes_from_a_subscriber_ends_it(void)
{
	struct service_piece piece = {.data = (const uint8_t *)"x", .len = 1, .is_last = true};

	rig_start();
	CHECK(join(&one, "orders"));
	one.events->piece(one.arg, &piece, rig.now_ns);
	CHECK_EQ(one.status, SERVICE_INVALID_PAYLOAD);
	rig_stop();
}

static void test_a_service_that_goes_takes_its_topics_along(void)
{
	rig_start();
	CHECK(join(&one, "orders") && join(&two, "silent"));
	publish_many("orders", 3);
	publish_many("unheard", 3);
	CHECK_EQ(publish_as(&other, "orders", "", 0), 0);
	service_topics_drop(&rig.topics, &owner, ++rig.now_ns);
	CHECK(one.status == SERVICE_UNAVAILABLE && two.status == SERVICE_UNAVAILABLE);
	CHECK_EQ(rig.topics.topics.used_cnt, 1);
	CHECK_EQ(rig.topics.kept_cnt, 1);
	CHECK_EQ(rig.topics.subscribers.used_cnt, 0);
	rig_stop();
}

static void test_without_memory_an_event_is_refused_and_nothing_is_left_of_it(void)
{
	static void *blocks[8192];
	unsigned cnt = 0;

	rig_start();
	CHECK(join(&one, "orders"));
	while (cnt < 8192 && (blocks[cnt] = heap_alloc(rig.heap, 2000)) != NULL)
		cnt++;
	CHECK(cnt < 8192);
	CHECK_EQ(publish_as(&owner, "new", blocks, 1900), WEFT_EFULL);
	CHECK_EQ(rig.topics.topics.used_cnt, 1);
	while (cnt)
		heap_release(rig.heap, blocks[--cnt]);
	/* Blocks go back to their size. */
	CHECK_EQ(publish_as(&owner, "orders", blocks, 1900), 0);
	CHECK_EQ(one.event_cnt, 1);
	rig_stop();
}

int main(void)
{
	RUN(test_an_event_goes_to_all_subscribers_of_its_topic_and_to_no_other);
	RUN(test_a_returning_subscriber_continues_and_learns_its_losses);
	RUN(test_a_number_of_another_history_is_not_mistaken);
	RUN(test_a_slow_subscriber_holds_back_no_other_and_learns_its_losses);
	RUN(test_an_event_in_pieces_is_not_torn_by_a_notice);
	RUN(test_an_event_of_64_kib_is_taken_and_of_a_byte_more_is_not);
	RUN(test_a_history_has_as_many_events_and_bytes_as_it_may);
	RUN(test_all_histories_have_a_quarter_of_memory_and_the_largest_pays);
	RUN(test_one_topic_more_than_there_may_be_takes_the_stalest_ones_place);
	RUN(test_one_service_has_64_topics_with_a_history);
	RUN(test_one_subscriber_more_than_there_may_be_is_refused);
	RUN(test_the_subscribers_of_one_network_leave_places_to_others);
	RUN(test_a_subscriber_without_permission_is_ended_before_the_next_event);
	RUN(test_a_plain_hearer_gets_the_bytes_and_what_is_said_beside_them);
	RUN(test_what_comes_from_a_subscriber_ends_it);
	RUN(test_a_service_that_goes_takes_its_topics_along);
	RUN(test_without_memory_an_event_is_refused_and_nothing_is_left_of_it);
	return check_done();
}
