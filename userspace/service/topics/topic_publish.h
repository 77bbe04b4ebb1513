/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SERVICE_TOPICS_TOPIC_PUBLISH_H
#define WEFT_SERVICE_TOPICS_TOPIC_PUBLISH_H

#include "service/service.h"
#include "service/topic_event.h"

/*
 * The functions by which a service of this node uses its topics (topics.h): it publishes, and takes
 * streams for subscribers. Home worker.
 */
struct service_topics;

/* The listener on a stream. */
struct service_subscriber;
struct service_hearer {
	/* Called before each send: NULL, or a static text why key may not hear topic any more. */
	const char *(*refusal)(void *arg, const uint8_t key[MESH_KEY_LEN], const char *topic);
	/* The subscriber's own bytes on the stream; NULL: none are allowed. */
	void (*piece)(void *arg, const struct service_piece *piece, uint64_t now_ns);
	/* The subscription is over; nothing follows. May be NULL. */
	void (*ended)(void *arg);
	bool is_plain; /* the bytes of events alone are sent, as text, and {"lost": N} as another */
};

struct service_publication {
	const void *owner; /* an offer; service_publish sets it, and at_ms */
	const char *topic;
	const void *data; /* copied */
	size_t len;
	uint64_t at_ms; /* since 1970 */
};
struct service_published {
	uint8_t epoch[SERVICE_EPOCH_LEN];
	uint64_t sequence;
	uint32_t subscriber_cnt;
};
/*
 * service_topics_publish: 0; WEFT_EMALFORMED (topic), WEFT_ETOOLARGE (data), WEFT_EFULL (no memory,
 * or as many topics as may be). Subscribers may end meanwhile; their hearers' callbacks report it.
 */
WEFT_MUST_CHECK
int service_topics_publish(struct service_topics *topics, const struct service_publication *event,
			   uint64_t now_ns, struct service_published *out_published);

/*
 * service_topics_subscribe takes channel, which is offered, for a subscriber of params->topic of
 * owner, and sends nothing yet: service_subscriber_say begins. NULL: it was ended,
 * SERVICE_UNAVAILABLE, for all places are taken. Else ended of hearer follows once.
 */
struct service_subscribing {
	const void *owner;
	const struct service_subscription_params *params;
	const struct service_caller *caller;
	const struct service_hearer *hearer;
	void *arg;
};
WEFT_MUST_CHECK
struct service_subscriber *service_topics_subscribe(struct service_topics *topics,
						    struct service_channel *channel,
						    const struct service_subscribing *request,
						    uint64_t now_ns);
/*
 * service_subscriber_say sends a text between two events, for a plain hearer, and what else there
 * is; NULL: that alone. A text that waits is replaced. subscriber may be gone then.
 */
#define SERVICE_SAID_CAP 256
void service_subscriber_say(struct service_subscriber *subscriber, const char *text);

#endif
