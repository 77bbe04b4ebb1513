/* SPDX-License-Identifier: Apache-2.0 */
/* Topics of services: publishing on those of this node, and the events of any. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "varlink/node_client.h"
#include "client/client_ask.h"
#include "client/failure.h"

int weft_publish(struct weft_client *client, const struct weft_publish_params *params,
		 uint64_t *out_sequence, struct weft_error *error)
{
	struct client_caller caller = client_caller_of(client, params->timeout_ms, error);
	struct varlink_blocks blocks = {0};
	const struct api_publish_event_in in = {
		.name = params->service,
		.topic = params->topic,
		.base64 = varlink_base64(&blocks, params->data, params->len),
	};
	const struct api_publish_event_out *out = api_publish_event_call(&caller.caller, &in);

	if (out && out_sequence)
		*out_sequence = (uint64_t)out->sequence;
	varlink_caller_fini(&caller.caller);
	varlink_blocks_free(&blocks);
	return caller.caller.err;
}

struct weft_subscription {
	struct ask *ask;
	weft_event_fn fn;
	void *arg;
};

static uint64_t uint_of(int64_t value)
{
	return value < 0 ? 0 : (uint64_t)value;
}

/* event_tell hands on an event, or a notice, which has no time. 0, or what was wrong with it. */
static int event_tell(const struct weft_subscription *subscription, json_t *parameters)
{
	struct varlink_blocks blocks = {0};
	const struct api_subscribe_service_out *out =
		api_subscribe_service_out_read(parameters, &blocks);
	struct weft_event event;
	const void *data;
	size_t len;
	int err = out ? varlink_base64_read(&blocks, out->base64, &data, &len) : WEFT_EMALFORMED;

	if (err == 0) {
		event = (struct weft_event){
			.topic = out->topic,
			.provider = out->provider,
			.position = out->position,
			.sequence = uint_of(out->sequence),
			.lost = uint_of(out->lost),
			.at_ms = uint_of(out->at_ms),
			.data = out->has_at_ms ? data : NULL,
			.len = out->has_at_ms ? len : 0,
		};
		subscription->fn(subscription->arg, &event, NULL);
	}
	varlink_blocks_free(&blocks);
	return err;
}

static void subscription_reply(void *arg, json_t *message, const struct weft_error *error,
			       bool is_last)
{
	const struct weft_subscription *subscription = arg;
	struct weft_error own;
	int err = 0;

	if (!error)
		err = event_tell(subscription, json_object_get(message, "parameters"));
	/* An event that was lost here shows as a gap in the numbers of those behind it. */
	if (!is_last)
		return;
	if (!error)
		client_failure_lost(&own, err < 0 ? err : WEFT_ECLOSED);
	subscription->fn(subscription->arg, NULL, error ? error : &own);
}

int weft_subscribe(struct weft_client *client, const struct weft_subscribe_params *params,
		   struct weft_subscription **out_subscription, struct weft_error *error)
{
	struct weft_subscription *subscription = calloc(1, sizeof(*subscription));
	const struct weft_target *target = &params->target;
	const struct api_subscribe_service_in in = {
		.name = target->service,
		.version = target->version,
		.provider = target->provider,
		.topic = params->topic,
		.since = params->since,
		.has_sign = true,
		.sign = target->is_signed,
	};
	const struct ask_params asked = {
		.method = API_SUBSCRIBE_SERVICE_METHOD,
		.parameters = subscription ? api_subscribe_service_in_write(&in) : NULL,
		.wants_more = true,
		.fn = subscription_reply,
		.gone = free,
		.arg = subscription,
	};
	int err;

	if (!subscription)
		return client_failure_memory(error);
	subscription->fn = params->fn;
	subscription->arg = params->arg;
	err = client_ask_start(client, &asked, &subscription->ask, error);
	if (err < 0)
		free(subscription);
	else
		*out_subscription = subscription;
	return err;
}

void weft_subscription_close(struct weft_subscription *subscription)
{
	if (subscription)
		client_ask_cancel(subscription->ask);
}
