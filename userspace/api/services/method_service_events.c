/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PublishEvent, SubscribeService: topics of services for local programs. Home worker.
 *
 * Push-back: the subscription of a program that does not read is held, so that the provider's
 * history goes on without it. Events already under way that find no room are counted as lost.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "method_service_target.h"
#include "service/service_registry.h"
#include "service/topics/subscription.h"
#include "service/topics/topics.h"

/*
 * Bytes that may wait for a program before replies are left out; a control
 * connection takes 1 MiB.
 */
#define BACKLOG_MAX ((size_t)512 * 1024)

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
static struct service_offer *offer_of(struct api *api, struct control_call *call,
				      const struct service_target *target)
{
	struct service_offer *offer;

	if (service_registry_find(api->service, target, &offer) < 0 ||
	    !offer->offering.is_of_program) {
		control_fail(call, WEFT_EABSENT, target->name,
			     "no program of this node offers such a service",
			     "weft service list shows what is offered here");
		return NULL;
	}
	return offer;
}

void api_publish_event(struct api *api, struct control_call *call,
		       const struct api_publish_event_in *in, uint64_t now_ns)
{
	const struct api_call_service_in asked = {
		.name = in->name, .version = in->version, .json = in->json, .base64 = in->base64};
	char position[SERVICE_POSITION_CAP];
	struct service_published published;
	struct api_service_request request;
	struct service_offer *offer;
	int err;

	if (!api_services_are_on(api, call) || !topic_check(call, in->topic) ||
	    !api_service_request_read(api, call, &asked, &request))
		return;
	offer = offer_of(api, call, &request.service.target);
	if (!offer) {
		free(request.payload);
		return;
	}
	err = service_publish(offer,
			      &(struct service_publication){.topic = in->topic,
							    .data = request.payload,
							    .len = request.service.len},
			      now_ns, &published);
	free(request.payload);
	if (err < 0) {
		publish_fail(call, err, in->topic);
		return;
	}
	service_position_write(published.epoch, published.sequence, position);
	api_reply(call, publish_event, .position = position,
		  .sequence = api_uint(published.sequence),
		  .subscribers = published.subscriber_cnt);
}

/* --- subscribing --- */

struct subscribing {
	struct service_subscription subscription;
	struct control_call *call;
	bool may_be_json;
	uint64_t lost_cnt; /* not reported yet */
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

static void message_send(const struct subscribing *subscribing,
			 const struct service_event_message *message)
{
	struct varlink_blocks *blocks = control_blocks(subscribing->call);
	char position[SERVICE_POSITION_CAP];
	struct service_payload payload = {.json = NULL};

	if (!message->is_notice)
		payload = api_service_payload(blocks, message->data, message->len,
					      subscribing->may_be_json);
	api_reply_more(
		subscribing->call, subscribe_service,
		.topic = subscribing->subscription.params.topic,
		.provider = api_id(blocks, subscribing->provider),
		.position = service_position_write(message->epoch, message->sequence, position),
		.sequence = api_uint(message->sequence), .lost = api_uint(subscribing->lost_cnt),
		API_IF(at_ms, !message->is_notice, api_uint(message->at_ms)), .json = payload.json,
		.base64 = payload.base64);
	json_decref(payload.json);
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
	message_send(subscribing, message);
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

/* subscription_params_read: false: call was failed. */
static bool subscription_params_read(struct control_call *call,
				     const struct api_subscribe_service_in *in,
				     struct service_subscription_params *out_params)
{
	*out_params = (struct service_subscription_params){.has_since = false};
	if (!control_wants_more(call)) {
		control_fail(call, WEFT_EREFUSED, "SubscribeService", "it answers only with more",
			     "varlinkctl call --more, or weft service subscribe");
		return false;
	}
	if (!topic_check(call, in->topic))
		return false;
	strcpy(out_params->topic, in->topic);
	if (!in->since || service_position_parse(in->since, out_params) == 0)
		return true;
	control_fail(call, WEFT_EMALFORMED, "since", "it is no position of an event",
		     "give the position that came with the last one, or its number alone");
	return false;
}

void api_subscribe_service(struct api *api, struct control_call *call,
			   const struct api_subscribe_service_in *in, uint64_t now_ns)
{
	const struct api_call_service_in asked = {.name = in->name,
						  .version = in->version,
						  .provider = in->provider,
						  .prefer = in->prefer,
						  .sign = in->sign};
	struct subscribing *subscribing;
	struct api_service_request request;
	struct service_subscription_params params;
	int err;

	if (!api_services_are_on(api, call) || !subscription_params_read(call, in, &params) ||
	    !api_service_request_read(api, call, &asked, &request))
		return;
	subscribing = calloc(1, sizeof(*subscribing));
	if (!subscribing) {
		control_fail(call, -ENOMEM, request.service.target.name, "no memory",
			     "free some and try again");
		return;
	}
	subscribing->call = call;
	subscribing->may_be_json = in->as_json;
	subscribing->subscription.events = &subscription_events;
	subscribing->subscription.arg = subscribing;
	snprintf(subscribing->name, sizeof(subscribing->name), "%s", request.service.target.name);
	err = service_subscription_open(&subscribing->subscription, api->service,
					&request.service.target, &params, now_ns);
	if (err < 0) {
		free(subscribing);
		api_service_start_fail(call, err, request.service.target.name);
		return;
	}
	control_on_gone(call, subscribing_gone, subscribing);
	control_on_drained(call, subscribing_drained, subscribing);
}
