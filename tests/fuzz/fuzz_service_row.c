/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of services in the store, damaged: reputation, a pod, a message, a registration of the shadow
 * index. What is accepted is written as what reads the same.
 */
#include <string.h>

#include "base/assert.h"
#include "base/byte_cursor.h"
#include "builtin/pods/pod.h"
#include "builtin/index/index_entry.h"
#include "service/limits/reputation_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_reputation(const uint8_t *data, size_t len)
{
	struct service_reputation_record record, again;
	uint8_t bytes[SERVICE_REPUTATION_RECORD_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));

	if (service_reputation_record_parse(data, len, &record) < 0)
		return;
	weft_assert(record.state.score <= 100);
	service_reputation_record_write(&w, &record);
	weft_assert(!w.bad);
	weft_assert(service_reputation_record_parse(bytes, writer_len(&w), &again) == 0);
	weft_assert(record.state.score == again.state.score);
	weft_assert(record.state.violation_cnt == again.state.violation_cnt);
	weft_assert(record.observation_cnt == again.observation_cnt &&
		    record.hour_s == again.hour_s);
}

static void check_pod(const uint8_t *data, size_t len)
{
	static struct pod pod, again;
	uint8_t bytes[POD_RECORD_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));

	memset(&pod, 0, sizeof(pod));
	memset(&again, 0, sizeof(again));
	if (builtin_pod_parse(&pod, data, len) < 0)
		return;
	builtin_pod_write(&pod, &w);
	weft_assert(!w.bad);
	weft_assert(builtin_pod_parse(&again, bytes, writer_len(&w)) == 0);
	weft_assert(memcmp(&pod, &again, sizeof(pod)) == 0);
}

static void check_message(const uint8_t *data, size_t len)
{
	struct pod_message message = {0}, again = {0};
	uint8_t bytes[POD_BODY_LEN_MAX + 512];
	struct writer w = writer_of(bytes, sizeof(bytes));

	if (builtin_pod_message_parse(&message, data, len) < 0)
		return;
	weft_assert(message.body && message.body_len <= POD_BODY_LEN_MAX);
	builtin_pod_message_write(&message, &w);
	weft_assert(!w.bad);
	weft_assert(builtin_pod_message_parse(&again, bytes, writer_len(&w)) == 0);
	weft_assert(strcmp(message.id, again.id) == 0 && message.at_ms == again.at_ms);
	weft_assert(message.body_len == again.body_len);
	weft_assert(memcmp(message.body, again.body, again.body_len) == 0);
}

static void check_shard(const uint8_t *data, size_t len)
{
	static struct shard shard, again;
	uint8_t bytes[SHARD_RECORD_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));

	if (builtin_shard_parse(&shard, data, len) < 0)
		return;
	weft_assert(shard.variant_cnt <= SHARD_VARIANT_MAX);
	builtin_shard_write(&shard, &w);
	weft_assert(!w.bad);
	weft_assert(builtin_shard_parse(&again, bytes, writer_len(&w)) == 0);
	weft_assert(shard.at_s == again.at_s && shard.variant_cnt == again.variant_cnt);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	check_reputation(data, len);
	check_pod(data, len);
	check_message(data, len);
	check_shard(data, len);
	return 0;
}
