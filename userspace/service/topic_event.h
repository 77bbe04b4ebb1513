/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SERVICE_TOPIC_EVENT_H
#define WEFT_SERVICE_TOPIC_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "weft/err.h"

/*
 * The bytes of a subscription (docs/wire/service.md): the head of its opening, and one message for
 * each event or notice. A message is a CBOR map; an event's bytes follow it.
 */
#define SERVICE_SUBSCRIBE	      "$subscribe" /* the router's own stream of every service */
#define SERVICE_TOPIC_LEN_MAX	      96
#define SERVICE_TOPICS_PER_OFFER      64 /* with a history */
#define SERVICE_EVENT_LEN_MAX	      (64 * 1024)
#define SERVICE_EPOCH_LEN	      8
#define SERVICE_READ_PARAMS_LEN_MAX   128 /* a head of an opening */
#define SERVICE_EVENT_HEAD_LEN_MAX    48
#define SERVICE_EVENT_MESSAGE_LEN_MAX (SERVICE_EVENT_HEAD_LEN_MAX + SERVICE_EVENT_LEN_MAX)
/* Numbers of events stay below, so that no sum of two overflows. */
#define SERVICE_SEQUENCE_MAX (UINT64_MAX / 4)

/* service_topic_is_valid: 1 to 96 of letters, digits, '.', '_', ':', '/' and '-'. */
bool service_topic_is_valid(const char *topic, size_t len);

/* A subscriber's request. */
struct service_subscription_params {
	char topic[SERVICE_TOPIC_LEN_MAX + 1];
	bool has_since; /* else from now on */
	uint64_t since; /* number of the last event that it has */
	bool has_epoch;
	uint8_t epoch[SERVICE_EPOCH_LEN]; /* of the history that since is of */
};
void service_subscription_params_write(struct writer *w,
				       const struct service_subscription_params *params);
/* service_subscription_params_parse: all of data. 0 or WEFT_EMALFORMED. */
WEFT_MUST_CHECK
int service_subscription_params_parse(const uint8_t *data, size_t len,
				      struct service_subscription_params *out_params);

/*
 * An event, or a notice: the next event has the number behind sequence, and lost_cnt events before
 * it are lost. The epoch names the history that counts: sequences of two histories say nothing of
 * each other.
 */
struct service_event_message {
	uint8_t epoch[SERVICE_EPOCH_LEN];
	uint64_t sequence;
	bool is_notice;
	uint64_t lost_cnt; /* of a notice */
	uint64_t at_ms;	   /* of an event: since 1970, by its provider's clock */
	const uint8_t *data;
	size_t len;
};
/* service_event_head_write writes all but data. */
void service_event_head_write(struct writer *w, const struct service_event_message *message);
/* service_event_parse: a whole message, which out_message borrows. 0 or WEFT_EMALFORMED. */
WEFT_MUST_CHECK
int service_event_parse(const uint8_t *data, size_t len, struct service_event_message *out_message);

/*
 * A position as people and browsers carry it: "EPOCH-SEQUENCE", the epoch as 16 hexadecimal digits,
 * or a sequence alone, of whatever history there is. parse sets since and epoch of params.
 */
#define SERVICE_POSITION_CAP 40
char *service_position_write(const uint8_t epoch[SERVICE_EPOCH_LEN], uint64_t sequence,
			     char text[static SERVICE_POSITION_CAP]);
WEFT_MUST_CHECK
int service_position_parse(const char *text, struct service_subscription_params *params);

#endif
