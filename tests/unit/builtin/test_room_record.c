/* SPDX-License-Identifier: Apache-2.0 */
/* Segments and heads of histories as bytes. */
#include <string.h>

#include "crypto/blake3/blake3.h"
#include "crypto/node_key.h"
#include "builtin/pods/room_record.h"
#include "support/check.h"

#define ID "pod:00112233445566778899aabbccddeeff"

static struct node_key *key, *other_key;
static uint8_t sender[MESH_KEY_LEN] = {7}, event_id[ROOM_EVENT_ID_LEN] = {9};
static uint8_t bytes[ROOM_SEGMENT_LEN_MAX], body[ROOM_SEGMENT_LEN_MAX + 4096];

static void keys_make(void)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {1}, other[NODE_KEY_SEED_LEN] = {2};

	if (node_key_from_seed(seed, &key) < 0 || node_key_from_seed(other, &other_key) < 0)
		abort();
}

static struct room_event event_of(uint64_t sequence)
{
	return (struct room_event){.sequence = sequence,
				   .at_ms = sequence - 1,
				   .sender = sender,
				   .id = event_id,
				   .channel = "general",
				   .channel_len = 7,
				   .body = "hello",
				   .body_len = 5};
}

/* A segment of cnt events from sequence on, each step later; its length. */
static size_t make(const struct node_key *by, const struct room_segment *segment, uint64_t sequence,
		   int step)
{
	struct writer b = writer_of(body, sizeof(body)), w = writer_of(bytes, sizeof(bytes));

	builtin_room_segment_begin(&b, segment);
	for (unsigned i = 0; i < segment->event_cnt; i++, sequence += (uint64_t)step) {
		struct room_event event = event_of(sequence);

		builtin_room_event_write(&b, &event);
	}
	builtin_room_segment_sign(&w, by, &b);
	return w.bad ? 0 : writer_len(&w);
}

static const struct room_segment plain = {
	.id = ID, .number = 3, .previous = {5, 5}, .event_cnt = 4};

static struct room_place place_of(void)
{
	return (struct room_place){.id = ID,
				   .host = node_key_public(key),
				   .number = 3,
				   .previous = plain.previous,
				   .after_sequence = 99};
}

static bool event_same(void *arg, const struct room_event *event)
{
	unsigned *cnt = arg;
	struct room_event wanted = event_of(100 + *cnt);

	if (event->sequence != wanted.sequence || event->at_ms != wanted.at_ms ||
	    event->kind != ROOM_TEXT || event->signature || event->body_len != 5 ||
	    memcmp(event->sender, sender, sizeof(sender)) != 0 ||
	    memcmp(event->id, event_id, sizeof(event_id)) != 0 ||
	    memcmp(event->body, "hello", 5) != 0)
		abort();
	(*cnt)++;
	return *cnt < 3;
}

static void test_a_segment_is_read_as_it_was_written(void)
{
	const struct room_place place = place_of();
	size_t len = make(key, &plain, 100, 1);
	struct room_segment segment;
	unsigned cnt = 0;

	CHECK_EQ(builtin_room_segment_check(bytes, len, &place, &segment), 0);
	CHECK_EQ(segment.number, 3);
	CHECK_EQ(segment.event_cnt, 4);
	CHECK_EQ(segment.first_sequence, 100);
	CHECK_EQ(segment.last_sequence, 103);
	builtin_room_segment_each(bytes, len, event_same, &cnt);
	CHECK_EQ(cnt, 3);
}

static void test_a_forged_or_misplaced_segment_is_refused(void)
{
	struct room_place place = place_of();
	size_t len = make(key, &plain, 100, 1);
	struct room_segment segment;
	static const uint8_t another[ROOM_HASH_LEN] = {6};

	for (size_t i = 0; i < len; i++) {
		bytes[i] ^= 1;
		CHECK(builtin_room_segment_check(bytes, len, &place, &segment) < 0);
		bytes[i] ^= 1;
	}
	place.previous = another;
	CHECK_EQ(builtin_room_segment_check(bytes, len, &place, &segment), WEFT_EDAMAGED);
	place.previous = NULL;
	CHECK_EQ(builtin_room_segment_check(bytes, len, &place, &segment), 0);
	place.after_sequence = 100;
	CHECK_EQ(builtin_room_segment_check(bytes, len, &place, &segment), WEFT_EREFUSED);
	place = place_of();
	place.number = 4;
	CHECK_EQ(builtin_room_segment_check(bytes, len, &place, &segment), WEFT_EREFUSED);
	place = place_of();
	place.id = "pod:ffffffffffffffffffffffffffffffff";
	CHECK_EQ(builtin_room_segment_check(bytes, len, &place, &segment), WEFT_EREFUSED);
	place = place_of();
	len = make(other_key, &plain, 100, 1);
	CHECK_EQ(builtin_room_segment_check(bytes, len, &place, &segment), WEFT_EREFUSED);
}

static void test_events_ascend_and_are_500_at_most(void)
{
	struct room_segment segment = plain;
	struct room_place place = place_of();

	CHECK_EQ(builtin_room_segment_check(bytes, make(key, &plain, 200, -1), &place, &segment),
		 WEFT_EMALFORMED);
	CHECK_EQ(builtin_room_segment_check(bytes, make(key, &plain, 200, 0), &place, &segment),
		 WEFT_EMALFORMED);
	segment = plain;
	segment.event_cnt = ROOM_SEGMENT_EVENT_MAX;
	CHECK_EQ(builtin_room_segment_check(bytes, make(key, &segment, 100, 1), &place, &segment),
		 0);
	segment = plain;
	segment.event_cnt = ROOM_SEGMENT_EVENT_MAX + 1;
	CHECK_EQ(builtin_room_segment_check(bytes, make(key, &segment, 100, 1), &place, &segment),
		 WEFT_EMALFORMED);
}

static struct room_head head_of(void)
{
	struct room_head head = {.id = ID,
				 .name = "tea",
				 .visibility = POD_PRIVATE,
				 .days = 7,
				 .member_cnt = 2,
				 .members = {{1}, {2}},
				 .sealed_cnt = 4,
				 .last = {3},
				 .tail = {4},
				 .updated_ms = 1800000000000};

	return head;
}

static void test_a_head_is_its_hosts_and_of_its_room(void)
{
	static const uint8_t member[MESH_KEY_LEN] = {2}, unknown[MESH_KEY_LEN] = {3};
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct room_head head = head_of(), got;
	size_t len;

	builtin_room_head_write(&w, key, &head);
	len = writer_len(&w);
	CHECK(!w.bad);
	CHECK_EQ(builtin_room_head_check(bytes, len, ID, node_key_public(key), &got), 0);
	CHECK_MEM(&got.members, &head.members, sizeof(got.members));
	CHECK_STR(got.name, "tea");
	CHECK_EQ(got.sealed_cnt, 4);
	CHECK_EQ(got.updated_ms, head.updated_ms);
	CHECK(builtin_room_head_admits(&got, member));
	CHECK(!builtin_room_head_admits(&got, unknown));
	got.visibility = POD_UNLISTED;
	CHECK(builtin_room_head_admits(&got, unknown));
	CHECK_EQ(builtin_room_head_check(bytes, len, ID, node_key_public(other_key), &got),
		 WEFT_EREFUSED);
	CHECK_EQ(builtin_room_head_check(bytes, len, "pod:1", node_key_public(key), &got),
		 WEFT_EREFUSED);
	for (size_t i = 0; i < len; i++) {
		bytes[i] ^= 1;
		CHECK(builtin_room_head_check(bytes, len, ID, node_key_public(key), &got) < 0);
		bytes[i] ^= 1;
	}
}

static void test_every_prefix_is_refused(void)
{
	struct room_ask ask = {.host = sender, .id = ID, .number = 300};
	const struct room_answer answer = {.bytes = sender, .len = 32, .first = 70000};
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct room_head head = head_of();
	struct room_segment segment;
	struct room_answer told;
	struct room_ask asked;
	size_t len = make(key, &plain, 100, 1);

	for (size_t i = 0; i < len; i++)
		CHECK(builtin_room_segment_parse(bytes, i, &segment) < 0);
	w = writer_of(bytes, sizeof(bytes));
	builtin_room_head_write(&w, key, &head);
	for (size_t i = 0; i < writer_len(&w); i++)
		CHECK(builtin_room_head_parse(bytes, i, &head) < 0);
	for (unsigned has_number = 0; has_number < 2; has_number++) {
		w = writer_of(bytes, sizeof(bytes));
		builtin_room_ask_write(&w, &ask, has_number);
		for (size_t i = 0; i < writer_len(&w); i++)
			CHECK_EQ(builtin_room_ask_parse(bytes, i, has_number, &asked),
				 WEFT_EMALFORMED);
		CHECK_EQ(builtin_room_ask_parse(bytes, writer_len(&w), has_number, &asked), 0);
		CHECK_STR(asked.id, ID);
		CHECK_EQ(asked.number, has_number ? 300 : 0);
		w = writer_of(bytes, sizeof(bytes));
		builtin_room_answer_write(&w, &answer, has_number);
		for (size_t i = 0; i < writer_len(&w); i++)
			CHECK_EQ(builtin_room_answer_parse(bytes, i, has_number, &told),
				 WEFT_EMALFORMED);
		CHECK_EQ(builtin_room_answer_parse(bytes, writer_len(&w), has_number, &told), 0);
		CHECK_EQ(told.len, 32);
		CHECK_EQ(told.first, has_number ? 70000 : 0);
	}
}

int main(void)
{
	keys_make();
	RUN(test_a_segment_is_read_as_it_was_written);
	RUN(test_a_forged_or_misplaced_segment_is_refused);
	RUN(test_events_ascend_and_are_500_at_most);
	RUN(test_a_head_is_its_hosts_and_of_its_room);
	RUN(test_every_prefix_is_refused);
	node_key_free(key);
	node_key_free(other_key);
	return check_done();
}
