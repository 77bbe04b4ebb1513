/* SPDX-License-Identifier: Apache-2.0 */
/* Topics of services: publishing on those of this node's, and the events of any. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/client_call.h"
#include "client/failure.h"
#include "client/client_target.h"

int weft_publish(struct weft_client *client, const char *service, const char *topic,
		 const void *data, size_t len, int timeout_ms, uint64_t *out_sequence,
		 struct weft_error *error)
{
	json_t *asked = json_pack("{s:s, s:s, s:o}", "name", service, "topic", topic, "base64",
				  client_payload_json(data, len)),
	       *reply;
	int err;

	if (!asked)
		return client_failure_memory(error);
	err = client_ask_wait(client, ASK_INTERFACE "PublishEvent", asked, timeout_ms, &reply,
			      error);
	if (err < 0)
		return err;
	if (out_sequence)
		*out_sequence = (uint64_t)json_integer_value(json_object_get(reply, "sequence"));
	json_decref(reply);
	return 0;
}

struct weft_subscription {
	struct ask *ask;
	weft_event_fn fn;
	void *arg;
};

static const char *text_of(const json_t *parameters, const char *name)
{
	const char *text = json_string_value(json_object_get(parameters, name));

	return text ? text : "";
}

static uint64_t uint_of(const json_t *parameters, const char *name)
{
	json_int_t value = json_integer_value(json_object_get(parameters, name));

	return value < 0 ? 0 : (uint64_t)value;
}

/* event_tell hands on an event, or a notice: without a time. 0, or what was wrong with it. */
static int event_tell(const struct weft_subscription *subscription, const json_t *parameters)
{
	size_t cap = client_payload_len_max(parameters), len = 0;
	uint8_t *data = malloc(cap + 1);
	struct weft_event event = {
		.topic = text_of(parameters, "topic"),
		.provider = text_of(parameters, "provider"),
		.position = text_of(parameters, "position"),
		.sequence = uint_of(parameters, "sequence"),
		.lost = uint_of(parameters, "lost"),
		.at_ms = uint_of(parameters, "at_ms"),
	};
	int err = data ? client_payload_read(parameters, data, cap, &len) : -ENOMEM;

	if (err == 0 && json_is_integer(json_object_get(parameters, "at_ms"))) {
		event.data = data;
		event.len = len;
	}
	if (err == 0)
		subscription->fn(subscription->arg, &event, NULL);
	free(data);
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
	/* An event that was lost here is told by the gap in the numbers of those behind it. */
	if (!is_last)
		return;
	if (!error)
		client_failure_lost(&own, err < 0 ? err : WEFT_ECLOSED);
	subscription->fn(subscription->arg, NULL, error ? error : &own);
}

int weft_subscribe(struct weft_client *client, const struct weft_target *target, const char *topic,
		   const char *since, weft_event_fn fn, void *arg,
		   struct weft_subscription **out_subscription, struct weft_error *error)
{
	struct ask_params params = {.method = ASK_INTERFACE "SubscribeService",
				    .wants_more = true,
				    .timeout_ms = -1,
				    .fn = subscription_reply,
				    .gone = free};
	struct weft_subscription *subscription = calloc(1, sizeof(*subscription));
	int err;

	params.parameters = json_pack("{s:s, s:s, s:b}", "name", target->service, "topic", topic,
				      "sign", target->is_signed);
	if (params.parameters && target->version)
		(void)json_object_set_new(params.parameters, "version",
					  json_string(target->version));
	if (params.parameters && target->provider)
		(void)json_object_set_new(params.parameters, "provider",
					  json_string(target->provider));
	if (params.parameters && since)
		(void)json_object_set_new(params.parameters, "since", json_string(since));
	if (!subscription || !params.parameters) {
		json_decref(params.parameters);
		free(subscription);
		return client_failure_memory(error);
	}
	subscription->fn = fn;
	subscription->arg = arg;
	params.arg = subscription;
	err = client_ask_start(client, &params, &subscription->ask, error);
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
