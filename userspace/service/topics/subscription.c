/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Subscriptions of this node. Messages are joined from their pieces, and numbers are checked
 * against the last one. A stream that ends is opened again where it left off. Home worker.
 */
#include "subscription.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/monotonic.h"
#include "service/service_state.h"

/* The delay before the first attempt to open it again; each failed attempt doubles it. */
#define REST_NS	    (50 * NS_PER_MS)
#define REST_MAX_NS (5 * NS_PER_S)

static const struct service_channel_events channel_events;

static struct service_target target_of(const struct service_subscription *subscription)
{
	return (struct service_target){
		.name = subscription->name,
		.version = subscription->version[0] ? subscription->version : NULL,
		.provider = subscription->has_provider ? subscription->provider : NULL,
		.method = SERVICE_SUBSCRIBE,
		.asker = subscription->asker,
		.is_signed = subscription->is_signed,
		.is_own_last = subscription->is_own_last,
	};
}

static int channel_begin(struct service_subscription *subscription, uint64_t now_ns)
{
	uint8_t head[SERVICE_READ_PARAMS_LEN_MAX];
	struct writer w = writer_of(head, sizeof(head));
	struct service_request request = {
		.target = target_of(subscription),
		.payload = head,
		.events = &channel_events,
		.arg = subscription,
	};
	int err;

	service_subscription_params_write(&w, &subscription->params);
	weft_assert(!w.bad);
	request.len = writer_len(&w);
	err = service_channel_open(subscription->service, &request, now_ns, &subscription->channel);
	if (err == 0)
		service_channel_finish(subscription->channel);
	return err;
}

static void body_drop(struct service_subscription *subscription)
{
	service_body_put(subscription->body);
	subscription->body = NULL;
	subscription->body_len = 0;
}

/* again_later: the stream is gone. */
static void again_later(struct service_subscription *subscription, uint64_t wait_ns,
			uint64_t now_ns)
{
	uint64_t rest_ns = subscription->rest_ns;

	subscription->channel = NULL;
	subscription->unused_len = 0;
	body_drop(subscription);
	subscription->rest_ns = rest_ns * 2 < REST_MAX_NS ? rest_ns * 2 : REST_MAX_NS;
	timer_set(subscription->service->params.timers, &subscription->timer,
		  now_ns + (wait_ns > rest_ns ? wait_ns : rest_ns));
}

static void rest_over(struct timer *timer, uint64_t now_ns)
{
	struct service_subscription *subscription =
		container_of(timer, struct service_subscription, timer);

	/* It was possible before, so this fault is a lack of room. */
	if (channel_begin(subscription, now_ns) < 0)
		again_later(subscription, 0, now_ns);
}

static void on_opened(void *arg, const uint8_t provider[MESH_KEY_LEN], uint64_t now_ns)
{
	struct service_subscription *subscription = arg;

	subscription->was_opened = true;
	subscription->rest_ns = REST_NS;
	if (subscription->events->opened)
		subscription->events->opened(subscription->arg, provider, now_ns);
}

/*
 * message_place counts the events missing between message and the one before it. False: a
 * duplicate.
 */
static bool message_place(struct service_subscription *subscription,
			  struct service_event_message *message)
{
	struct service_subscription_params *params = &subscription->params;
	bool is_same = subscription->has_position &&
		       memcmp(params->epoch, message->epoch, sizeof(params->epoch)) == 0;

	if (is_same && !message->is_notice) {
		if (message->sequence <= params->since)
			return false;
		message->lost_cnt = message->sequence - params->since - 1;
	}
	memcpy(params->epoch, message->epoch, sizeof(params->epoch));
	params->since = message->sequence;
	params->has_since = params->has_epoch = true;
	subscription->has_position = true;
	return true;
}

/* message_take may close the subscription, whose storage may be gone then. */
static void message_take(struct service_subscription *subscription, const uint8_t *data, size_t len,
			 uint64_t now_ns)
{
	struct service_event_message message;

	if (service_event_parse(data, len, &message) < 0) {
		service_channel_end(subscription->channel, SERVICE_INVALID_PAYLOAD,
				    "what was sent is no event");
		again_later(subscription, REST_MAX_NS, now_ns);
		return;
	}
	if (message_place(subscription, &message))
		subscription->events->message(subscription->arg, &message, now_ns);
}

/* piece_keep: false: there is no memory, or the message is longer than any. */
static bool piece_keep(struct service_subscription *subscription, const struct service_piece *piece)
{
	if (!subscription->body)
		subscription->body = service_body_new(subscription->service->heap,
						      SERVICE_EVENT_MESSAGE_LEN_MAX);
	if (!subscription->body ||
	    piece->len > SERVICE_EVENT_MESSAGE_LEN_MAX - subscription->body_len)
		return false;
	if (piece->len)
		memcpy(subscription->body->bytes + subscription->body_len, piece->data, piece->len);
	subscription->body_len += piece->len;
	return true;
}

static void on_piece(void *arg, const struct service_piece *piece, uint64_t now_ns)
{
	struct service_subscription *subscription = arg;
	struct service_body *body;

	if (subscription->is_held)
		subscription->unused_len += piece->len;
	else
		service_channel_consume(subscription->channel, piece->len);
	if (!subscription->body && piece->is_last) {
		message_take(subscription, piece->data, piece->len, now_ns);
		return;
	}
	if (!piece_keep(subscription, piece)) {
		service_channel_end(subscription->channel, SERVICE_UNAVAILABLE,
				    "there is no memory for the event");
		again_later(subscription, 0, now_ns);
		return;
	}
	if (!piece->is_last)
		return;
	body = subscription->body;
	subscription->body = NULL;
	message_take(subscription, body->bytes, subscription->body_len, now_ns);
	service_body_put(body);
}

/* Errors of a provider, or of the way to it, that can pass; the others are final. */
static bool is_passing(enum service_status status)
{
	return status == SERVICE_OK || status == SERVICE_NOT_FOUND || status == SERVICE_TIMEOUT ||
	       status == SERVICE_RATE_LIMITED || status == SERVICE_UNAVAILABLE;
}

static void on_ended(void *arg, const struct service_answer *answer, uint64_t now_ns)
{
	struct service_subscription *subscription = arg;
	uint64_t wait_ns = answer->not_before_ns > now_ns ? answer->not_before_ns - now_ns : 0;

	if (subscription->was_opened && is_passing(answer->status)) {
		again_later(subscription, wait_ns, now_ns);
		return;
	}
	subscription->channel = NULL;
	body_drop(subscription);
	subscription->events->ended(subscription->arg, answer, now_ns);
}

static const struct service_channel_events channel_events = {
	.opened = on_opened,
	.piece = on_piece,
	.ended = on_ended,
};

static void target_take(struct service_subscription *subscription,
			const struct service_target *target)
{
	snprintf(subscription->name, sizeof(subscription->name), "%s", target->name);
	if (target->version)
		snprintf(subscription->version, sizeof(subscription->version), "%s",
			 target->version);
	subscription->has_provider = target->provider != NULL;
	if (target->provider)
		memcpy(subscription->provider, target->provider, sizeof(subscription->provider));
	subscription->is_signed = target->is_signed;
	subscription->is_own_last = target->is_own_last;
	subscription->asker = target->asker;
}

int service_subscription_open(struct service_subscription *subscription, struct service *service,
			      const struct service_target *target,
			      const struct service_subscription_params *params, uint64_t now_ns)
{
	const struct service_subscription_events *events = subscription->events;
	void *arg = subscription->arg;

	if (!service_topic_is_valid(params->topic, strlen(params->topic)) || !target->name ||
	    strlen(target->name) > SERVICE_NAME_LEN_MAX ||
	    (target->version && strlen(target->version) > SEMVER_RANGE_LEN_MAX))
		return WEFT_EMALFORMED;
	*subscription = (struct service_subscription){.service = service,
						      .events = events,
						      .arg = arg,
						      .params = *params,
						      .rest_ns = REST_NS};
	timer_init(&subscription->timer, rest_over);
	target_take(subscription, target);
	return channel_begin(subscription, now_ns);
}

void service_subscription_hold(struct service_subscription *subscription, bool is_held)
{
	size_t len = subscription->unused_len;

	subscription->is_held = is_held;
	if (is_held || !len || !subscription->channel)
		return;
	subscription->unused_len = 0;
	service_channel_consume(subscription->channel, len);
}

void service_subscription_close(struct service_subscription *subscription)
{
	struct service_channel *channel = subscription->channel;

	if (!subscription->service)
		return;
	timer_cancel(subscription->service->params.timers, &subscription->timer);
	subscription->channel = NULL;
	body_drop(subscription);
	if (channel)
		service_channel_end(channel, SERVICE_OK, "");
}
