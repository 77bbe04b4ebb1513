/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of subscriptions, to bytes and back. Pure. */
#include "service/topic_event.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/cbor_fields.h"
#include "codec/text/hex.h"

bool service_topic_is_valid(const char *topic, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!(topic[i] >= 'a' && topic[i] <= 'z') &&
		    !(topic[i] >= 'A' && topic[i] <= 'Z') &&
		    !(topic[i] >= '0' && topic[i] <= '9') &&
		    (topic[i] == '\0' || !strchr("._:/-", topic[i])))
			return false;
	return len > 0 && len <= SERVICE_TOPIC_LEN_MAX;
}

static const struct cbor_field read_fields[] = {
	{0, CBOR_FIELD_TEXT, CBOR_NEEDED, CBOR_AT(struct service_subscription_params, topic)},
	{1, CBOR_FIELD_UINT, CBOR_HAS(struct service_subscription_params, has_since),
	 CBOR_AT(struct service_subscription_params, since), .max = SERVICE_SEQUENCE_MAX},
	{2, CBOR_FIELD_FIXED, CBOR_HAS(struct service_subscription_params, has_epoch),
	 CBOR_AT(struct service_subscription_params, epoch)},
};
static const struct cbor_table read_table = {CBOR_FIELDS(read_fields)};

/* An epoch is written with a sequence number alone. */
void service_subscription_params_write(struct writer *w,
				       const struct service_subscription_params *params)
{
	struct service_subscription_params sound = *params;

	sound.has_epoch = params->has_since && params->has_epoch;
	cbor_fields_write(w, &read_table, &sound);
}

int service_subscription_params_parse(const uint8_t *data, size_t len,
				      struct service_subscription_params *out_params)
{
	struct service_subscription_params params = {.has_since = false};

	if (cbor_fields_parse(data, len, &read_table, &params) < 0 ||
	    !service_topic_is_valid(params.topic, strlen(params.topic)) ||
	    (params.has_epoch && !params.has_since))
		return WEFT_EMALFORMED;
	*out_params = params;
	return 0;
}

/* One of has_at and has_lost: an event has a time, a notice has none. */
struct event_head {
	uint8_t epoch[SERVICE_EPOCH_LEN];
	uint64_t sequence;
	bool has_at, has_lost;
	uint64_t at_ms, lost_cnt;
};

static const struct cbor_field event_fields[] = {
	{0, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct event_head, epoch)},
	{1, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct event_head, sequence),
	 .max = SERVICE_SEQUENCE_MAX},
	{2, CBOR_FIELD_UINT, CBOR_HAS(struct event_head, has_at),
	 CBOR_AT(struct event_head, at_ms)},
	{3, CBOR_FIELD_UINT, CBOR_HAS(struct event_head, has_lost),
	 CBOR_AT(struct event_head, lost_cnt), .max = SERVICE_SEQUENCE_MAX},
};
static const struct cbor_table event_table = {CBOR_FIELDS(event_fields)};

void service_event_head_write(struct writer *w, const struct service_event_message *message)
{
	struct event_head head = {.sequence = message->sequence,
				  .has_at = !message->is_notice,
				  .has_lost = message->is_notice,
				  .at_ms = message->at_ms,
				  .lost_cnt = message->lost_cnt};

	memcpy(head.epoch, message->epoch, sizeof(head.epoch));
	cbor_fields_write(w, &event_table, &head);
}

int service_event_parse(const uint8_t *data, size_t len, struct service_event_message *out_message)
{
	struct service_event_message message;
	struct event_head head = {.has_at = false};
	struct cbor_reader r;

	cbor_reader_init(&r, data, len);
	cbor_fields_read(&r, &event_table, &head);
	if (cbor_is_bad(&r) || head.has_at == head.has_lost)
		return WEFT_EMALFORMED;
	message = (struct service_event_message){.sequence = head.sequence,
						 .is_notice = head.has_lost,
						 .lost_cnt = head.lost_cnt,
						 .at_ms = head.at_ms,
						 .data = r.c.pos,
						 .len = cursor_left(&r.c)};
	memcpy(message.epoch, head.epoch, sizeof(message.epoch));
	if (message.is_notice ? message.len > 0 : message.len > SERVICE_EVENT_LEN_MAX)
		return WEFT_EMALFORMED;
	*out_message = message;
	return 0;
}

char *service_position_write(const uint8_t epoch[SERVICE_EPOCH_LEN], uint64_t sequence,
			     char text[static SERVICE_POSITION_CAP])
{
	hex_write(epoch, SERVICE_EPOCH_LEN, text);
	snprintf(text + 2 * SERVICE_EPOCH_LEN, SERVICE_POSITION_CAP - 2 * SERVICE_EPOCH_LEN,
		 "-%" PRIu64, sequence);
	return text;
}

int service_position_parse(const char *text, struct service_subscription_params *params)
{
	const char *dash = strchr(text, '-'), *digits = dash ? dash + 1 : text;
	char epoch_text[2 * SERVICE_EPOCH_LEN + 1] = "";
	uint8_t epoch[SERVICE_EPOCH_LEN];
	unsigned long long sequence;

	if (dash && dash - text != 2 * SERVICE_EPOCH_LEN)
		return WEFT_EMALFORMED;
	if (dash)
		memcpy(epoch_text, text, sizeof(epoch_text) - 1);
	if (dash && !hex_read(epoch_text, epoch, sizeof(epoch)))
		return WEFT_EMALFORMED;
	if (!*digits || strlen(digits) > 20 || digits[strspn(digits, "0123456789")])
		return WEFT_EMALFORMED;
	errno = 0;
	sequence = strtoull(digits, NULL, 10);
	if (errno || sequence > SERVICE_SEQUENCE_MAX)
		return WEFT_EMALFORMED;
	params->has_since = true;
	params->since = sequence;
	params->has_epoch = dash != NULL;
	if (dash)
		memcpy(params->epoch, epoch, sizeof(epoch));
	return 0;
}
