/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Subscriptions that come in: a stream of SERVICE_SUBSCRIBE names a topic, which is judged as a
 * method is, now and before each event. Home worker.
 */
#include <string.h>

#include "service/limits/access.h"
#include "service/service_channel.h"
#include "service/incoming/router.h"
#include "service/service_state.h"

/* Groups, communities and grants may change during a subscription. */
static const char *offer_refusal(void *arg, const uint8_t key[MESH_KEY_LEN], const char *topic)
{
	const struct service_offer *offer = arg;
	const struct service_handler *handler = offer->offering.handler;
	enum service_access access = SERVICE_ACCESS_GIVEN;

	if (memcmp(key, offer->service->own_key, MESH_KEY_LEN) != 0)
		access = service_access_of(offer, key, topic, false);
	if (access != SERVICE_ACCESS_GIVEN)
		return service_access_text(access);
	return handler->topic_refusal ? handler->topic_refusal(offer->offering.ctx, key, topic)
				      : NULL;
}

static const struct service_hearer offer_hearer = {.refusal = offer_refusal};

void service_topic_stream(struct service_call *call, const uint8_t *head, size_t len,
			  uint64_t now_ns)
{
	struct service_offer *offer = call->admission.offer;
	struct service_subscription_params params;
	struct service_subscribing request = {.owner = offer,
					      .params = &params,
					      .caller = &call->caller,
					      .hearer = &offer_hearer,
					      .arg = offer};
	struct service_subscriber *subscriber;
	const char *why;

	if (service_subscription_params_parse(head, len, &params) < 0) {
		service_channel_end(call->channel, SERVICE_INVALID_PAYLOAD,
				    "the head of a subscription is malformed");
		return;
	}
	why = offer_refusal(offer, call->caller.key, params.topic);
	if (why) {
		service_channel_end(call->channel, SERVICE_FORBIDDEN, why);
		return;
	}
	subscriber =
		service_topics_subscribe(&call->service->topics, call->channel, &request, now_ns);
	if (subscriber)
		service_subscriber_say(subscriber, NULL);
}

int service_publish(struct service_offer *offer, const struct service_publication *event,
		    uint64_t now_ns, struct service_published *out_published)
{
	struct service *service = offer->service;
	struct service_publication owned = *event;

	owned.owner = offer;
	owned.at_ms = service_wall_ms(service);
	service->now_ns = now_ns;
	return service_topics_publish(&service->topics, &owned, now_ns, out_published);
}

struct service_topics *service_topics_of(struct service *service)
{
	return &service->topics;
}
