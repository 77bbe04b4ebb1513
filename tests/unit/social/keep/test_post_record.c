/* SPDX-License-Identifier: Apache-2.0 */
#include "social/keep/post_record.h"

#include "support/check.h"

static const uint8_t id[POST_ID_LEN] = {7};
static uint8_t bytes[POST_RECORD_LEN_MAX];

static struct post_record whole(void)
{
	struct post_record record = {
		.view = {.author = {1},
			 .time_ms = 1800000000000,
			 .logical_id = {2},
			 .has_parent = true,
			 .parent = {3},
			 .share = POST_HOSTED,
			 .kind = VISIBILITY_GROUP,
			 .group = {4},
			 .epoch = 5,
			 .visibility_number = 6,
			 .flags = POST_READ | POST_REPLY,
			 .post_len = POST_LEN_MAX,
			 .claim_len = 100,
			 .visibility_len = VISIBILITY_LEN_MAX},
		.class = FAIR_CHOSEN,
		.source = {.ip = {10, 1, 2, 3}, .family = ADDR_IPV4},
		.audience = {8},
		.has_supersedes = true,
		.supersedes = {9},
	};

	memcpy(record.view.id, id, POST_ID_LEN);
	return record;
}

static size_t written(const struct post_record *record)
{
	struct writer w = writer_of(bytes, sizeof(bytes));

	social_post_record_write(&w, record);
	return w.bad ? 0 : writer_len(&w);
}

static void test_a_row_is_read_as_written_and_no_part_of_it_is_one(void)
{
	struct post_record record = whole(), heard;
	size_t len = written(&record);

	CHECK_EQ(len, POST_RECORD_LEN_MAX);
	CHECK_EQ(social_post_record_parse(id, bytes, len, &heard), 0);
	CHECK_EQ(memcmp(&heard.view.author, &record.view.author, NODE_KEY_LEN), 0);
	CHECK_EQ(heard.view.epoch, 5);
	CHECK_EQ(heard.view.parent[0], 3);
	CHECK_EQ(heard.supersedes[0], 9);
	CHECK_EQ(heard.class, FAIR_CHOSEN);
	CHECK_EQ(heard.view.visibility_len, VISIBILITY_LEN_MAX);
	for (size_t cut = 0; cut < len; cut++) {
		uint8_t *exact = malloc(cut ? cut : 1);

		memcpy(exact, bytes, cut);
		CHECK_EQ(social_post_record_parse(id, exact, cut, &heard), WEFT_EMALFORMED);
		free(exact);
	}
}

static void test_what_no_post_has_is_malformed(void)
{
	static const struct {
		unsigned at;
		uint8_t value;
	} rows[] = {
		{0, 2}, /* layout */
		{1, 4}, /* share */
		{2, 3}, /* kind */
		{3, 4}, /* class */
		{4, 9}, /* family */
		{5, 7}, /* has */
		{6, 0x10} /* flags */,
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct post_record record = whole(), heard;
		size_t len = written(&record);

		bytes[rows[i].at] = rows[i].value;
		CHECK_EQ(social_post_record_parse(id, bytes, len, &heard), WEFT_EMALFORMED);
	}
}

static void test_a_body_of_another_length_is_damaged(void)
{
	struct post_record record = {.view = {.post_len = 3, .claim_len = 2, .visibility_len = 1}};
	struct post_parts parts;

	CHECK_EQ(social_post_body_split(&record, (const uint8_t *)"postcv", 6, &parts), 0);
	CHECK_MEM(parts.claim, "tc", 2);
	CHECK_EQ(social_post_body_split(&record, (const uint8_t *)"postcv", 5, &parts),
		 WEFT_EDAMAGED);
	CHECK_EQ(social_post_body_split(&record, (const uint8_t *)"postcvx", 7, &parts),
		 WEFT_EDAMAGED);
}

int main(void)
{
	RUN(test_a_row_is_read_as_written_and_no_part_of_it_is_one);
	RUN(test_what_no_post_has_is_malformed);
	RUN(test_a_body_of_another_length_is_damaged);
	return check_done();
}
