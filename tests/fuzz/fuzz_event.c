/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/assert.h"
#include "service/topic_event.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_subscription_params(const uint8_t *data, size_t len)
{
	uint8_t bytes[SERVICE_READ_PARAMS_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct service_subscription_params params, again;

	if (service_subscription_params_parse(data, len, &params) < 0)
		return;
	weft_assert(service_topic_is_valid(params.topic, strlen(params.topic)));
	service_subscription_params_write(&w, &params);
	weft_assert(!w.bad);
	weft_assert(service_subscription_params_parse(bytes, writer_len(&w), &again) == 0);
	weft_assert(memcmp(&params, &again, sizeof(params)) == 0);
}

static void check_event(const uint8_t *data, size_t len)
{
	uint8_t bytes[SERVICE_EVENT_HEAD_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct service_event_message message;

	if (service_event_parse(data, len, &message) < 0)
		return;
	weft_assert(message.len <= SERVICE_EVENT_LEN_MAX && message.sequence + 1 > 0);
	weft_assert(message.data + message.len == data + len);
	service_event_head_write(&w, &message);
	weft_assert(!w.bad);
}

static void check_position(const uint8_t *data, size_t len)
{
	char text[64] = "", again[SERVICE_POSITION_CAP];
	struct service_subscription_params params = {.has_since = false};

	memcpy(text, data, len < sizeof(text) - 1 ? len : sizeof(text) - 1);
	if (service_position_parse(text, &params) < 0 || !params.has_epoch)
		return;
	service_position_write(params.epoch, params.since, again);
	weft_assert(service_position_parse(again, &params) == 0);
}

/* What is accepted is within its bounds, and is written as what reads the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	check_subscription_params(data, len);
	check_event(data, len);
	check_position(data, len);
	return 0;
}
