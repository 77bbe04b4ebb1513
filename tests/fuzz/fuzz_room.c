/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Segments and heads of histories of rooms, and the messages about them. What parses holds its
 * limits, and a request or an answer is written again as it was read.
 */
#include <string.h>

#include "base/assert.h"
#include "builtin/pods/room_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct seen {
	uint64_t last;
	unsigned cnt;
};

static bool event_check(void *arg, const struct room_event *event)
{
	struct seen *seen = arg;

	weft_assert(event->sequence > seen->last && event->kind < ROOM_EVENT_KIND_CNT);
	weft_assert(event->sender && event->id && event->channel && event->body);
	weft_assert(event->channel_len <= POD_CHANNEL_LEN_MAX);
	weft_assert(event->body_len <= POD_BODY_LEN_MAX);
	seen->last = event->sequence;
	seen->cnt++;
	return true;
}

static void check_records(const uint8_t *data, size_t len)
{
	struct room_segment segment;
	struct seen seen = {0};
	struct room_head head;

	if (builtin_room_segment_parse(data, len, &segment) == 0) {
		weft_assert(segment.event_cnt <= ROOM_SEGMENT_EVENT_MAX);
		builtin_room_segment_each(data, len, event_check, &seen);
		weft_assert(seen.cnt == segment.event_cnt && seen.last == segment.last_sequence);
	}
	if (builtin_room_head_parse(data, len, &head) == 0) {
		weft_assert(head.member_cnt <= POD_MEMBER_MAX);
		weft_assert(strlen(head.id) == POD_ID_LEN);
	}
}

static void check_messages(const uint8_t *data, size_t len, bool has_more)
{
	static uint8_t bytes[1 << 21];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct room_answer answer, answer_again;
	struct room_ask ask, again;

	if (len > sizeof(bytes) / 2)
		return;
	if (builtin_room_ask_parse(data, len, has_more, &ask) == 0) {
		builtin_room_ask_write(&w, &ask, has_more);
		weft_assert(builtin_room_ask_parse(bytes, writer_len(&w), has_more, &again) == 0);
		weft_assert(strcmp(again.id, ask.id) == 0 && again.number == ask.number * has_more);
	}
	w = writer_of(bytes, sizeof(bytes));
	if (builtin_room_answer_parse(data, len, has_more, &answer) == 0) {
		builtin_room_answer_write(&w, &answer, has_more);
		weft_assert(builtin_room_answer_parse(bytes, writer_len(&w), has_more,
						      &answer_again) == 0);
		weft_assert(answer_again.len == answer.len);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	check_records(data, len);
	check_messages(data, len, false);
	check_messages(data, len, true);
	return 0;
}
