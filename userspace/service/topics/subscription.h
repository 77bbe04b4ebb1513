/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SERVICE_TOPICS_SUBSCRIPTION_H
#define WEFT_SERVICE_TOPICS_SUBSCRIPTION_H

#include "base/timer.h"
#include "service/topic_event.h"
#include "service/service.h"
#include "codec/text/semver.h"

struct service_body;

/*
 * A subscription of this node: a stream of SERVICE_SUBSCRIBE to a provider of a service. When it
 * ends, the next provider, or the same one, gets a new stream. It goes on behind the last event
 * that it had, so that events lost in between are reported. Asker's side; its owner has the
 * storage. Home worker.
 */
struct service_subscription_events {
	/* Each may close it. It is taken: by provider, now and after each loss. May be NULL. */
	void (*opened)(void *arg, const uint8_t provider[MESH_KEY_LEN], uint64_t now_ns);
	/*
	 * An event, or a notice of its beginning or of lost events, or both. lost_cnt, of an event
	 * too, counts the events lost right before it. After a change of history (epoch) it counts
	 * those of the new one that are no longer there.
	 */
	void (*message)(void *arg, const struct service_event_message *message, uint64_t now_ns);
	/* It was refused, or ended for good; nothing follows. */
	void (*ended)(void *arg, const struct service_answer *answer, uint64_t now_ns);
};

struct service_subscription {
	struct service *service;
	const struct service_subscription_events *events;
	void *arg;
	struct service_channel *channel; /* NULL: it waits to be opened again */
	struct timer timer;
	uint64_t rest_ns; /* before it is opened again */
	struct service_subscription_params params;
	bool was_opened;
	bool has_position; /* params names the last event, or notice, that came */
	bool is_held;
	size_t unused_len;	   /* bytes that came while it is held */
	struct service_body *body; /* a message in pieces */
	size_t body_len;
	/* Of the target. */
	char name[SERVICE_NAME_LEN_MAX + 1], version[SEMVER_RANGE_LEN_MAX + 1];
	uint8_t provider[MESH_KEY_LEN];
	bool has_provider, is_signed, is_own_last;
	struct service_asker asker;
};

/*
 * service_subscription_open begins; events and arg are set before. 0, or as service_channel_open;
 * it ignores target's method. service_subscription_hold: received events are still reported, but
 * their sender is held back, until it is undone. service_subscription_close ends it without a
 * callback; safe after its end, and again.
 */
WEFT_MUST_CHECK
int service_subscription_open(struct service_subscription *subscription, struct service *service,
			      const struct service_target *target,
			      const struct service_subscription_params *params, uint64_t now_ns);
void service_subscription_hold(struct service_subscription *subscription, bool is_held);
void service_subscription_close(struct service_subscription *subscription);

#endif
