/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"

#include "mesh/message_types.h"
#include "mesh/seam.h"

static const struct {
	unsigned first, last;
	bool is_message;
} rows[] = {
#define MESH_MESSAGE(number, name, request, answer, answered_by, doc) {number, number, true},
#define MESH_RANGE(first, last, doc)				      {first, last, false},
#include "mesh/registry.def"
#undef MESH_MESSAGE
#undef MESH_RANGE
};
#define ROW_CNT (sizeof(rows) / sizeof(rows[0]))

static void test_numbers_ascend_and_do_not_overlap(void)
{
	for (size_t i = 0; i < ROW_CNT; i++) {
		CHECK(rows[i].first <= rows[i].last);
		CHECK(i == 0 || rows[i - 1].last < rows[i].first);
	}
}

static void test_only_messages_are_found(void)
{
	for (size_t i = 0; i < ROW_CNT; i++)
		CHECK_EQ(mesh_registry_lookup(rows[i].first) != NULL, rows[i].is_message);
	CHECK(!mesh_registry_lookup(0));
	CHECK(!mesh_registry_lookup(65000));
	CHECK(!mesh_registry_lookup(65536));
}

static void test_whatever_is_answered_is_answered_by_an_answer(void)
{
	for (size_t i = 0; i < ROW_CNT; i++) {
		const struct mesh_message_info *info = mesh_registry_lookup(rows[i].first);
		const struct mesh_message_info *answer;

		if (!info || !info->answered_by)
			continue;
		CHECK(info->request_class != MESH_CLASS_NONE);
		answer = mesh_registry_lookup(info->answered_by);
		CHECK(answer && answer->answer_class != MESH_CLASS_NONE);
	}
}

static void test_numbers_of_the_seam_are_in_the_table(void)
{
	static const struct {
		unsigned number;
		const char *name;
	} named[] = {
		{MESH_PING, "PING"},
		{MESH_PONG, "PONG"},
		{MESH_GOODBYE, "GOODBYE"},
		{MESH_ERROR, "ERROR"},
		{MESH_HELLO, "HELLO"},
		{MESH_CALL, "CALL"},
		{MESH_REPLY, "REPLY"},
		{MESH_STREAM_OPEN, "STREAM_OPEN"},
		{MESH_STREAM_DATA, "STREAM_DATA"},
		{MESH_STREAM_CLOSE, "STREAM_CLOSE"},
		{MESH_CANCEL, "CANCEL"},
		{MESH_GET_MANIFEST, "GET_MANIFEST"},
		{MESH_MANIFEST_DATA, "MANIFEST_DATA"},
		{MESH_HOLDERS, "HOLDERS"},
		{MESH_HAVE_CONTENT, "HAVE_CONTENT"},
		{MESH_GET_CHUNK, "GET_CHUNK"},
		{MESH_CHUNK_DATA, "CHUNK_DATA"},
		{MESH_GET_CHUNK_HASHES, "GET_CHUNK_HASHES"},
		{MESH_CHUNK_HASH_LIST, "CHUNK_HASH_LIST"},
		{MESH_RANGE_PROOF, "RANGE_PROOF"},
	};

	for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
		const struct mesh_message_info *info = mesh_registry_lookup(named[i].number);

		CHECK(info);
		CHECK_STR(info->name, named[i].name);
	}
}

/* Of older programs for groups, posts and copies: a node that meets one must not take it for ours. */
static void test_numbers_of_older_messages_are_not_used_again(void)
{
	static const unsigned older[] = {0xa0, 0xd4, 0xd5, 0xe1, 0xe2};

	for (size_t i = 0; i < sizeof(older) / sizeof(older[0]); i++)
		CHECK(!mesh_registry_lookup(older[i]));
}

static void test_classes_are_those_of_the_model(void)
{
	CHECK_EQ(mesh_class_payload_max(MESH_CLASS_NONE), 0);
	CHECK_EQ(mesh_class_payload_max(MESH_CLASS_DGRAM), 1200);
	CHECK_EQ(mesh_class_payload_max(MESH_CLASS_ANNOUNCE), 65535);
	CHECK_EQ(mesh_class_payload_max(MESH_CLASS_BLOB), 262144 + MESH_HEAD_LEN_MAX);
	CHECK_EQ(mesh_class_payload_max(MESH_CLASS_CALL), 1048576 + MESH_HEAD_LEN_MAX);
	CHECK_EQ(mesh_class_payload_max(MESH_CLASS_ENVELOPE), 2097152);
}

static void test_a_refusal_answers_its_own_request_alone(void)
{
	const struct mesh_message_info *offer = mesh_registry_lookup(612);
	const struct mesh_message_info *check = mesh_registry_lookup(610);

	CHECK(mesh_registry_is_answer(offer, 613));
	CHECK(mesh_registry_is_answer(offer, 614));
	CHECK(!mesh_registry_is_answer(offer, 632));
	CHECK(!mesh_registry_is_answer(check, 614));
	CHECK(mesh_registry_is_answer(check, 611));
	CHECK(!mesh_registry_is_answer(mesh_registry_lookup(611), 0));
}

int main(void)
{
	RUN(test_numbers_ascend_and_do_not_overlap);
	RUN(test_only_messages_are_found);
	RUN(test_whatever_is_answered_is_answered_by_an_answer);
	RUN(test_a_refusal_answers_its_own_request_alone);
	RUN(test_numbers_of_the_seam_are_in_the_table);
	RUN(test_numbers_of_older_messages_are_not_used_again);
	RUN(test_classes_are_those_of_the_model);
	return check_done();
}
