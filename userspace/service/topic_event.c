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

/* Keys of a subscription request. */
enum { READ_TOPIC = 0, READ_SINCE = 1, READ_EPOCH = 2 };
/* Keys of a message: an event has a time, a notice has none. */
enum { EVENT_EPOCH = 0, EVENT_SEQUENCE = 1, EVENT_AT_MS = 2, EVENT_LOST = 3 };

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
	{READ_TOPIC, CBOR_FIELD_TEXT, CBOR_NEEDED,
	 CBOR_AT(struct service_subscription_params, topic)},
	{READ_SINCE, CBOR_FIELD_UINT, CBOR_HAS(struct service_subscription_params, has_since),
	 CBOR_AT(struct service_subscription_params, since), .max = SERVICE_SEQUENCE_MAX},
	{READ_EPOCH, CBOR_FIELD_FIXED, CBOR_HAS(struct service_subscription_params, has_epoch),
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

void service_event_head_write(struct writer *w, const struct service_event_message *message)
{
	cbor_write_map(w, 3);
	cbor_field_bytes(w, EVENT_EPOCH, message->epoch, sizeof(message->epoch));
	cbor_field_uint(w, EVENT_SEQUENCE, message->sequence);
	if (message->is_notice)
		cbor_field_uint(w, EVENT_LOST, message->lost_cnt);
	else
		cbor_field_uint(w, EVENT_AT_MS, message->at_ms);
}

static void event_field_read(struct cbor_reader *r, uint64_t key,
			     struct service_event_message *message)
{
	switch (key) {
	case EVENT_EPOCH:
		cbor_read_fixed(r, message->epoch, sizeof(message->epoch));
		break;
	case EVENT_SEQUENCE:
		message->sequence = cbor_read_uint_max(r, SERVICE_SEQUENCE_MAX);
		break;
	case EVENT_AT_MS:
		message->at_ms = cbor_read_uint(r);
		break;
	case EVENT_LOST:
		message->lost_cnt = cbor_read_uint_max(r, SERVICE_SEQUENCE_MAX);
		break;
	default:
		cbor_skip(r);
	}
}

int service_event_parse(const uint8_t *data, size_t len, struct service_event_message *out_message)
{
	const uint64_t needed = CBOR_KEY(EVENT_EPOCH) | CBOR_KEY(EVENT_SEQUENCE);
	struct service_event_message message = {.sequence = 0};
	struct cbor_reader r;
	uint64_t key;

	cbor_reader_init(&r, data, len);
	cbor_enter_map(&r);
	while (cbor_next_key(&r, &key))
		event_field_read(&r, key, &message);
	if (cbor_is_bad(&r) || (r.seen & needed) != needed ||
	    cbor_has_key(&r, EVENT_AT_MS) == cbor_has_key(&r, EVENT_LOST))
		return WEFT_EMALFORMED;
	message.is_notice = cbor_has_key(&r, EVENT_LOST);
	message.data = r.c.pos;
	message.len = cursor_left(&r.c);
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
