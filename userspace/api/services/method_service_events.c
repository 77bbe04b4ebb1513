/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PublishEvent, SubscribeService: topics of services for local programs. Home worker.
 *
 * Push-back: a program that does not read has its subscription held, so that the provider's history
 * goes on without it; what is under way all the same and finds no room is counted as lost.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/fabric/fabric.h"
#include "method_service_target.h"
#include "service/incoming/service_registry.h"
#include "service/topics/subscription.h"
#include "service/topics/topics.h"

/* Of what waits for a program, before replies are left out; a control connection takes 1 MiB. */
#define BACKLOG_MAX ((size_t)512 * 1024)

static const char *text_of(const json_t *parameters, const char *name)
{
	return json_string_value(json_object_get(parameters, name));
}

static bool topic_check(struct control_call *call, const char *topic)
{
	if (service_topic_is_valid(topic, strlen(topic)))
		return true;
	control_fail(call, WEFT_EMALFORMED, "topic", "it is none",
		     "a topic has 1 to 96 letters, digits and . _ : / -");
	return false;
}

/* --- publishing --- */

static void publish_fail(struct control_call *call, int err, const char *topic)
{
	if (err == WEFT_ETOOLARGE)
		control_fail(call, err, topic, "the event is larger than 64 KiB",
			     "publish where it is, and what of it");
	else
		control_fail(call, err, topic, "there is no memory for the event",
			     "try again, or raise service.memory in weft.conf");
}

/* offer_of: NULL: call was failed. */
static struct service_offer *offer_of(struct node *node, struct control_call *call,
				      const struct service_target *target)
{
	struct service_offer *offer;

	if (service_registry_find(node_fabric_service(node->fabric), target, &offer) < 0 ||
	    !offer->offering.is_of_program) {
		control_fail(call, WEFT_EABSENT, target->name,
			     "no program of this node offers such a service",
			     "weft service list shows what is offered here");
		return NULL;
	}
	return offer;
}

void api_publish_event(void *ctx, struct control_call *call, const json_t *parameters,
		       uint64_t now_ns)
{
	const char *topic = text_of(parameters, "topic");
	char position[SERVICE_POSITION_CAP];
	struct service_published published;
	struct service_request request;
	struct service_offer *offer;
	struct node *node = ctx;
	int err;

	if (!api_services_are_on(node, call) || !topic_check(call, topic) ||
	    !api_service_request_read(node, call, parameters, &request))
		return;
	offer = offer_of(node, call, &request.target);
	if (!offer) {
		free(request.payload);
		return;
	}
	err = service_publish(offer, topic, request.payload, request.len, now_ns, &published);
	free(request.payload);
	if (err < 0) {
		publish_fail(call, err, topic);
		return;
	}
	service_position_write(published.epoch, published.sequence, position);
	control_reply(call, json_pack("{s:s, s:o, s:o}", "position", position, "sequence",
				      api_json_uint(published.sequence), "subscribers",
				      api_json_uint(published.subscriber_cnt)));
}

/* --- subscribing --- */

struct subscribing {
	struct service_subscription subscription;
	struct control_call *call;
	bool may_be_json;
	uint64_t lost_cnt; /* not told yet */
	uint8_t provider[MESH_KEY_LEN];
	char name[SERVICE_NAME_LEN_MAX + 1];
};

static void subscribing_gone(void *arg)
{
	struct subscribing *subscribing = arg;

	service_subscription_close(&subscribing->subscription);
	free(subscribing);
}

static void subscribing_drained(void *arg)
{
	struct subscribing *subscribing = arg;

	service_subscription_hold(&subscribing->subscription, false);
}

static void on_opened(void *arg, const uint8_t provider[MESH_KEY_LEN], uint64_t now_ns)
{
	struct subscribing *subscribing = arg;

	(void)now_ns;
	memcpy(subscribing->provider, provider, sizeof(subscribing->provider));
}

static json_t *message_json(const struct subscribing *subscribing,
			    const struct service_event_message *message)
{
	char position[SERVICE_POSITION_CAP];
	json_t *json = json_pack(
		"{s:s, s:o, s:s, s:o, s:o}", "topic", subscribing->subscription.wish.topic,
		"provider", api_json_id(subscribing->provider), "position",
		service_position_write(message->epoch, message->sequence, position), "sequence",
		api_json_uint(message->sequence), "lost", api_json_uint(subscribing->lost_cnt));

	if (message->is_notice)
		return json;
	json_object_set_new(json, "at_ms", api_json_uint(message->at_ms));
	api_service_payload_set(json, message->data, message->len, subscribing->may_be_json);
	return json;
}

static void on_message(void *arg, const struct service_event_message *message, uint64_t now_ns)
{
	struct subscribing *subscribing = arg;

	(void)now_ns;
	subscribing->lost_cnt += message->lost_cnt;
	if (control_backlog_len(subscribing->call) >= BACKLOG_MAX) {
		subscribing->lost_cnt += !message->is_notice;
		return;
	}
	control_reply_more(subscribing->call, message_json(subscribing, message));
	subscribing->lost_cnt = 0;
	if (control_backlog_len(subscribing->call) >= CONTROL_PIPE_LOW)
		service_subscription_hold(&subscribing->subscription, true);
}

static void on_ended(void *arg, const struct service_answer *answer, uint64_t now_ns)
{
	struct subscribing *subscribing = arg;

	(void)now_ns;
	control_on_gone(subscribing->call, NULL, NULL);
	api_service_open_fail(subscribing->call, subscribing->name, answer);
	free(subscribing);
}

static const struct service_subscription_events subscription_events = {
	.opened = on_opened, .message = on_message, .ended = on_ended};

/* wish_read: false: call was failed. */
static bool wish_read(struct control_call *call, const json_t *parameters,
		      struct service_wish *out_wish)
{
	const char *topic = text_of(parameters, "topic"), *since = text_of(parameters, "since");

	*out_wish = (struct service_wish){.has_since = false};
	if (!control_wants_more(call)) {
		control_fail(call, WEFT_EREFUSED, "SubscribeService", "it answers only with more",
			     "varlinkctl call --more, or weft service subscribe");
		return false;
	}
	if (!topic_check(call, topic))
		return false;
	strcpy(out_wish->topic, topic);
	if (!since || service_position_parse(since, out_wish) == 0)
		return true;
	control_fail(call, WEFT_EMALFORMED, "since", "it is no position of an event",
		     "give the position that came with the last one, or its number alone");
	return false;
}

void api_subscribe_service(void *ctx, struct control_call *call, const json_t *parameters,
			   uint64_t now_ns)
{
	struct subscribing *subscribing;
	struct service_request request;
	struct node *node = ctx;
	struct service_wish wish;
	int err;

	if (!api_services_are_on(node, call) || !wish_read(call, parameters, &wish) ||
	    !api_service_request_read(node, call, parameters, &request))
		return;
	subscribing = calloc(1, sizeof(*subscribing));
	if (!subscribing) {
		control_fail(call, -ENOMEM, request.target.name, "no memory",
			     "free some and try again");
		return;
	}
	subscribing->call = call;
	subscribing->may_be_json = json_is_true(json_object_get(parameters, "as_json"));
	subscribing->subscription.events = &subscription_events;
	subscribing->subscription.arg = subscribing;
	snprintf(subscribing->name, sizeof(subscribing->name), "%s", request.target.name);
	err = service_subscription_open(&subscribing->subscription,
					node_fabric_service(node->fabric), &request.target, &wish,
					now_ns);
	if (err < 0) {
		free(subscribing);
		api_service_start_fail(call, err, request.target.name);
		return;
	}
	control_on_gone(call, subscribing_gone, subscribing);
	control_on_drained(call, subscribing_drained, subscribing);
}
