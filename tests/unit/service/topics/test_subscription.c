/* SPDX-License-Identifier: Apache-2.0 */
/* Subscriptions between nodes, and within one: what comes, what is told, where they go on. */
#include "service/topics/subscription.h"

#include <string.h>

#include "service/service_channel.h"
#include "service/topics/topics.h"
#include "support/check.h"
#include "support/service_rig.h"

static struct srig rig;
static struct srig_provider at_b, at_c;
static struct service_published last;

struct hearing {
	struct service_subscription subscription;
	unsigned opened_cnt, ended_cnt, event_cnt, notice_cnt;
	uint8_t provider[MESH_KEY_LEN];
	uint64_t lost_cnt, sequence, opened_ns;
	uint8_t epoch[SERVICE_EPOCH_LEN];
	size_t len;
	uint64_t sum;
	enum service_status status;
};
static struct hearing hearing;

static void on_opened(void *arg, const uint8_t provider[MESH_KEY_LEN], uint64_t now_ns)
{
	struct hearing *heard = arg;

	heard->opened_cnt++;
	heard->opened_ns = now_ns;
	memcpy(heard->provider, provider, MESH_KEY_LEN);
}

static void on_message(void *arg, const struct service_event_message *message, uint64_t now_ns)
{
	struct hearing *heard = arg;

	(void)now_ns;
	heard->event_cnt += !message->is_notice;
	heard->notice_cnt += message->is_notice;
	heard->lost_cnt += message->lost_cnt;
	heard->sequence = message->sequence;
	heard->len = message->len;
	heard->sum = srig_sum(0, message->data, message->len);
	memcpy(heard->epoch, message->epoch, sizeof(heard->epoch));
}

static void on_ended(void *arg, const struct service_answer *answer, uint64_t now_ns)
{
	struct hearing *heard = arg;

	(void)now_ns;
	heard->ended_cnt++;
	heard->status = answer->status;
}

static const struct service_subscription_events events = {
	.opened = on_opened, .message = on_message, .ended = on_ended};

/* From A; to SRIG_NODES: any known provider. */
static int hear_since(struct hearing *heard, unsigned to, const char *since)
{
	struct service_target target = {.name = "shop"};
	struct service_subscription_params params = {.topic = "orders"};

	memset(heard, 0, sizeof(*heard));
	heard->subscription.events = &events;
	heard->subscription.arg = heard;
	if (to < SRIG_NODES)
		target.provider = rig.nodes[to].key;
	if (since && service_position_parse(since, &params) < 0)
		return WEFT_EMALFORMED;
	return service_subscription_open(&heard->subscription, rig.nodes[SRIG_A].service, &target,
					 &params, rig.net.now_ns);
}

static bool hear(unsigned to)
{
	return hear_since(&hearing, to, NULL) == 0;
}

static void publish(struct srig_provider *provider, const void *data, size_t len)
{
	const struct service_publication event = {.topic = "orders", .data = data, .len = len};

	CHECK_EQ(service_publish(provider->offer, &event, rig.net.now_ns, &last), 0);
}

static void publish_many(struct srig_provider *provider, unsigned cnt)
{
	for (unsigned i = 0; i < cnt; i++)
		publish(provider, "tea", 3);
}

static void rig_start(unsigned node_cnt)
{
	memset(&at_b, 0, sizeof(at_b));
	memset(&at_c, 0, sizeof(at_c));
	srig_init(&rig, node_cnt, NULL);
	for (unsigned i = SRIG_B; i < node_cnt; i++)
		srig_meet(&rig, SRIG_A, i);
}

static uint32_t subscriber_cnt(unsigned idx)
{
	struct fair_view view;

	service_topics_places(service_topics_of(rig.nodes[idx].service), &view);
	return view.held_cnt;
}

static void test_events_come_in_order_from_here_and_from_elsewhere(void)
{
	for (unsigned to = SRIG_A; to <= SRIG_B; to++) {
		rig_start(2);
		CHECK(srig_offer(&rig, &at_b, to, "shop"));
		CHECK(hear(to));
		srig_run(&rig, 100 * PAIR_MS);
		CHECK_EQ(hearing.opened_cnt, 1);
		CHECK_MEM(hearing.provider, rig.nodes[to].key, MESH_KEY_LEN);
		CHECK_EQ(hearing.notice_cnt, 1);
		for (unsigned i = 0; i < 200; i++) {
			publish_many(&at_b, 5);
			srig_run(&rig, 5 * PAIR_MS);
		}
		srig_run(&rig, 100 * PAIR_MS);
		CHECK_EQ(hearing.event_cnt, 1000);
		CHECK_EQ(hearing.lost_cnt, 0);
		CHECK_EQ(hearing.sequence, 1000);
		CHECK_EQ(hearing.len, 3);
		CHECK_EQ(subscriber_cnt(to), 1);
		service_subscription_close(&hearing.subscription);
		srig_run(&rig, PAIR_S);
		CHECK_EQ(hearing.ended_cnt, 0);
		CHECK_EQ(subscriber_cnt(to), 0);
		srig_fini(&rig);
	}
}

static void test_an_event_of_64_kib_crosses(void)
{
	static uint8_t blob[SERVICE_EVENT_LEN_MAX];

	for (size_t i = 0; i < sizeof(blob); i++)
		blob[i] = (uint8_t)(i * 7 + i / 256);
	for (unsigned to = SRIG_A; to <= SRIG_B; to++) {
		rig_start(2);
		CHECK(srig_offer(&rig, &at_b, to, "shop"));
		CHECK(hear(to));
		srig_run(&rig, 100 * PAIR_MS);
		publish(&at_b, blob, sizeof(blob));
		srig_run(&rig, PAIR_S);
		CHECK_EQ(hearing.event_cnt, 1);
		CHECK_EQ(hearing.len, sizeof(blob));
		CHECK_EQ(hearing.sum, srig_sum(0, blob, sizeof(blob)));
		service_subscription_close(&hearing.subscription);
		srig_fini(&rig);
	}
}

static void test_when_a_provider_goes_the_next_one_is_heard_within_200_ms(void)
{
	uint8_t epoch[SERVICE_EPOCH_LEN];
	struct srig_provider *next;
	uint64_t left_ns;

	rig_start(3);
	CHECK(srig_offer(&rig, &at_b, SRIG_B, "shop") && srig_offer(&rig, &at_c, SRIG_C, "shop"));
	CHECK(srig_publish(&rig, SRIG_B, "shop") && srig_publish(&rig, SRIG_C, "shop"));
	publish_many(&at_b, 5);
	publish_many(&at_c, 7);
	CHECK(hear(SRIG_NODES));
	srig_run(&rig, 500 * PAIR_MS);
	CHECK_EQ(hearing.opened_cnt, 1);
	memcpy(epoch, hearing.epoch, sizeof(epoch));
	next = memcmp(hearing.provider, rig.nodes[SRIG_B].key, MESH_KEY_LEN) == 0 ? &at_c : &at_b;
	left_ns = rig.net.now_ns;
	service_withdraw(next == &at_c ? at_b.offer : at_c.offer, rig.net.now_ns);
	srig_run(&rig, PAIR_S);
	CHECK_EQ(hearing.opened_cnt, 2);
	CHECK(hearing.opened_ns - left_ns < 200 * PAIR_MS);
	CHECK_EQ(hearing.ended_cnt, 0);
	/* All that it has, for the numbers of the first one say nothing of it. */
	CHECK(memcmp(epoch, hearing.epoch, sizeof(epoch)) != 0);
	CHECK_EQ(hearing.event_cnt, next == &at_c ? 7 : 5);
	publish_many(next, 1);
	srig_run(&rig, 100 * PAIR_MS);
	CHECK_EQ(hearing.event_cnt, (next == &at_c ? 7 : 5) + 1);
	CHECK_EQ(hearing.lost_cnt, 0);
	service_subscription_close(&hearing.subscription);
	srig_fini(&rig);
}

static void test_a_service_that_is_there_again_is_heard_again(void)
{
	rig_start(2);
	CHECK(srig_offer(&rig, &at_b, SRIG_B, "shop"));
	CHECK(hear(SRIG_B));
	srig_run(&rig, 100 * PAIR_MS);
	publish_many(&at_b, 3);
	srig_run(&rig, 100 * PAIR_MS);
	service_withdraw(at_b.offer, rig.net.now_ns);
	srig_run(&rig, 2 * PAIR_S);
	CHECK(srig_offer(&rig, &at_b, SRIG_B, "shop"));
	publish_many(&at_b, 1030); /* its history has 1,024 */
	srig_run(&rig, 6 * PAIR_S);
	CHECK_EQ(hearing.opened_cnt, 2);
	CHECK_EQ(hearing.event_cnt, 3 + 1024);
	CHECK_EQ(hearing.lost_cnt, 6);
	service_subscription_close(&hearing.subscription);
	srig_fini(&rig);
}

static void test_a_subscriber_with_a_position_continues_there(void)
{
	char position[SERVICE_POSITION_CAP];

	rig_start(2);
	CHECK(srig_offer(&rig, &at_b, SRIG_B, "shop"));
	publish_many(&at_b, 5);
	service_position_write(last.epoch, 2, position);
	CHECK_EQ(hear_since(&hearing, SRIG_B, position), 0);
	srig_run(&rig, 100 * PAIR_MS);
	CHECK_EQ(hearing.event_cnt, 3);
	CHECK_EQ(hearing.lost_cnt, 0);
	service_subscription_close(&hearing.subscription);
	position[0] = position[0] == 'f' ? '0' : 'f';
	CHECK_EQ(hear_since(&hearing, SRIG_B, position), 0);
	srig_run(&rig, 100 * PAIR_MS);
	CHECK_EQ(hearing.event_cnt, 5);
	service_subscription_close(&hearing.subscription);
	CHECK_EQ(hear_since(&hearing, SRIG_B, "no position"), WEFT_EMALFORMED);
	srig_fini(&rig);
}

static void test_a_held_subscription_costs_no_memory_and_learns_its_losses(void)
{
	static struct hearing other;
	struct service_stats before, after;
	uint8_t event[2000] = {0};

	rig_start(1);
	CHECK(srig_offer(&rig, &at_b, SRIG_A, "shop"));
	CHECK(hear(SRIG_A));
	CHECK_EQ(hear_since(&other, SRIG_A, NULL), 0);
	srig_run(&rig, 100 * PAIR_MS);
	service_subscription_hold(&hearing.subscription, true);
	for (unsigned i = 0; i < 4000; i++) {
		publish(&at_b, event, sizeof(event));
		srig_run(&rig, PAIR_MS);
		if (i == 2000)
			service_stats(rig.nodes[SRIG_A].service, &before);
	}
	service_stats(rig.nodes[SRIG_A].service, &after);
	CHECK_EQ(after.memory_len, before.memory_len);
	CHECK_EQ(other.event_cnt, 4000);
	CHECK_EQ(other.lost_cnt, 0);
	CHECK(hearing.event_cnt < 1000);
	service_subscription_hold(&hearing.subscription, false);
	srig_run(&rig, PAIR_S);
	CHECK(hearing.lost_cnt > 1000);
	CHECK_EQ(hearing.event_cnt + hearing.lost_cnt, 4000);
	service_subscription_close(&hearing.subscription);
	service_subscription_close(&other.subscription);
	srig_fini(&rig);
}

/* Only the node of key may hear the topic. */
static bool offer_for(const uint8_t *key)
{
	struct service_grant grant = {.method = "orders", .group = ""};
	struct service_offering offering = {
		.name = "shop", .version = "1.0.0", .grants = &grant, .grant_cnt = 1};

	memcpy(grant.id, key, sizeof(grant.id));
	return srig_offer_with(&rig, &at_b, SRIG_B, &offering);
}

static void test_a_topic_is_judged_as_a_method_is_and_before_each_event(void)
{
	struct service_offering nobody = {.name = "shop"};
	struct service_grant grant = {.method = "orders", .group = ""};

	rig_start(3);
	CHECK(offer_for(rig.nodes[SRIG_C].key));
	CHECK(hear(SRIG_B));
	srig_run(&rig, 100 * PAIR_MS);
	CHECK_EQ(hearing.ended_cnt, 1);
	CHECK_EQ(hearing.status, SERVICE_FORBIDDEN);
	service_withdraw(at_b.offer, rig.net.now_ns);
	CHECK(offer_for(rig.nodes[SRIG_A].key));
	CHECK(hear(SRIG_B));
	srig_run(&rig, 100 * PAIR_MS);
	publish_many(&at_b, 1);
	srig_run(&rig, 100 * PAIR_MS);
	CHECK_EQ(hearing.event_cnt, 1);
	memcpy(grant.id, rig.nodes[SRIG_C].key, sizeof(grant.id));
	nobody.grants = &grant;
	nobody.grant_cnt = 1;
	CHECK_EQ(service_set_access(at_b.offer, &nobody), 0);
	publish_many(&at_b, 1);
	srig_run(&rig, 100 * PAIR_MS);
	CHECK_EQ(hearing.event_cnt, 1);
	CHECK_EQ(hearing.ended_cnt, 1);
	CHECK_EQ(hearing.status, SERVICE_FORBIDDEN);
	CHECK_EQ(subscriber_cnt(SRIG_B), 0);
	srig_fini(&rig);
}

static void test_subscribing_is_a_call_to_the_limits(void)
{
	struct service_offering offering = {.name = "shop", .version = "1.0.0", .calls_per_min = 2};
	static struct hearing all[3];

	rig_start(2);
	CHECK(srig_offer_with(&rig, &at_b, SRIG_B, &offering));
	for (unsigned i = 0; i < 3; i++)
		CHECK_EQ(hear_since(&all[i], SRIG_B, NULL), 0);
	srig_run(&rig, 100 * PAIR_MS);
	CHECK_EQ(all[0].ended_cnt + all[1].ended_cnt + all[2].ended_cnt, 1);
	CHECK_EQ(all[2].status, SERVICE_RATE_LIMITED);
	for (unsigned i = 0; i < 3; i++)
		service_subscription_close(&all[i].subscription);
	srig_fini(&rig);
}

/* Its handler takes no streams at all, as that of a program that is run for each call. */
static void test_a_service_of_any_kind_has_topics(void)
{
	static const struct service_handler calls_only = {.call = NULL};
	struct service_offering offering = {
		.name = "shop", .version = "1.0.0", .handler = &calls_only};

	rig_start(2);
	CHECK(srig_offer_with(&rig, &at_b, SRIG_B, &offering));
	CHECK(hear(SRIG_B));
	srig_run(&rig, 100 * PAIR_MS);
	publish_many(&at_b, 1);
	srig_run(&rig, 100 * PAIR_MS);
	CHECK_EQ(hearing.event_cnt, 1);
	service_subscription_close(&hearing.subscription);
	srig_fini(&rig);
}

static void test_a_head_that_is_none_is_refused(void)
{
	struct service_target target = {.name = "shop", .method = SERVICE_SUBSCRIBE};
	struct srig_stream stream = {.len = 0};

	rig_start(2);
	CHECK(srig_offer(&rig, &at_b, SRIG_B, "shop"));
	target.provider = rig.nodes[SRIG_B].key;
	CHECK_EQ(service_channel_open(rig.nodes[SRIG_A].service,
				      &(struct service_request){.target = target,
								.payload = "x",
								.len = 1,
								.events = &srig_stream_events,
								.arg = &stream},
				      rig.net.now_ns, &stream.channel),
		 0);
	srig_run(&rig, 100 * PAIR_MS);
	CHECK_EQ(stream.status, SERVICE_INVALID_PAYLOAD);
	srig_fini(&rig);
}

/* A provider that breaks the rules: what it sends in the stream's name is given to the stream's user. */
static void test_an_invalid_event_is_discarded_and_the_stream_is_opened_again(void)
{
	static uint8_t blob[SERVICE_PIECE_LEN_MAX];
	static const struct service_piece rows[] = {
		{.data = (const uint8_t *)"rubbish", .len = 7, .is_last = true},
		{.data = blob, .len = sizeof(blob)},
	};
	struct service_channel *channel;

	for (unsigned row = 0; row < 2; row++) {
		rig_start(2);
		CHECK(srig_offer(&rig, &at_b, SRIG_B, "shop"));
		CHECK(hear(SRIG_B));
		srig_run(&rig, 100 * PAIR_MS);
		channel = hearing.subscription.channel;
		service_subscription_hold(&hearing.subscription, true);
		channel->events->piece(channel->arg, &rows[row], rig.net.now_ns);
		CHECK(!hearing.subscription.channel && !hearing.subscription.body);
		srig_run(&rig, 10 * PAIR_S);
		CHECK_EQ(hearing.opened_cnt, 2);
		CHECK_EQ(hearing.event_cnt, 0);
		service_subscription_close(&hearing.subscription);
		srig_fini(&rig);
	}
}

int main(void)
{
	RUN(test_events_come_in_order_from_here_and_from_elsewhere);
	RUN(test_an_event_of_64_kib_crosses);
	RUN(test_when_a_provider_goes_the_next_one_is_heard_within_200_ms);
	RUN(test_a_service_that_is_there_again_is_heard_again);
	RUN(test_a_subscriber_with_a_position_continues_there);
	RUN(test_a_held_subscription_costs_no_memory_and_learns_its_losses);
	RUN(test_a_topic_is_judged_as_a_method_is_and_before_each_event);
	RUN(test_subscribing_is_a_call_to_the_limits);
	RUN(test_a_service_of_any_kind_has_topics);
	RUN(test_a_head_that_is_none_is_refused);
	RUN(test_an_invalid_event_is_discarded_and_the_stream_is_opened_again);
	return check_done();
}
