/* SPDX-License-Identifier: Apache-2.0 */
#include "search/index/postings.h"

#include "support/check.h"

/* Runs as they go in, and as they come out: what overlaps or touches is one. */
static const struct posting_run names[] = {{0, 1}, {0, 1}, {1, 2}, {9, 1}, {70000, 60000}};
static const struct posting_run names_out[] = {{0, 3}, {9, 1}, {70000, 60000}};
static const struct posting_run folders[] = {{5, 100}, {50, 10}, {104, 2}};
static const struct posting_run folders_out[] = {{5, 101}};

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static size_t example_write(uint8_t *bytes)
{
	const struct posting_run *runs[POSTING_FIELD_CNT] = {
		[POSTING_NAME] = names, [POSTING_FOLDER] = folders};
	const size_t cnts[POSTING_FIELD_CNT] = {
		[POSTING_NAME] = COUNT(names), [POSTING_FOLDER] = COUNT(folders)};

	return search_postings_write(bytes, runs, cnts);
}

static bool list_is(struct postings *list, const struct posting_run *runs, size_t cnt)
{
	struct posting_run run;

	for (size_t i = 0; i < cnt; i++)
		if (!search_postings_next(list, &run) || run.first != runs[i].first ||
		    run.cnt != runs[i].cnt)
			return false;
	return !search_postings_next(list, &run);
}

static void test_lists_are_read_as_they_were_written(void)
{
	struct postings lists[POSTING_FIELD_CNT];
	uint8_t bytes[256];
	size_t len = example_write(bytes);
	const uint8_t *pos = bytes;

	CHECK(len <= search_postings_len_max(COUNT(names) + COUNT(folders)));
	CHECK(search_postings_open(&pos, bytes + len, lists));
	CHECK(pos == bytes + len);
	CHECK(list_is(&lists[POSTING_NAME], names_out, COUNT(names_out)));
	CHECK(list_is(&lists[POSTING_TAG], NULL, 0));
	CHECK(list_is(&lists[POSTING_FOLDER], folders_out, COUNT(folders_out)));
	pos = bytes;
	CHECK(search_postings_skip(&pos, bytes + len));
	CHECK(pos == bytes + len);
}

static void test_a_rare_word_takes_few_bytes(void)
{
	const struct posting_run run = {100000, 1};
	const struct posting_run *runs[POSTING_FIELD_CNT] = {[POSTING_NAME] = &run};
	const size_t cnts[POSTING_FIELD_CNT] = {[POSTING_NAME] = 1};
	uint8_t bytes[64];

	CHECK_EQ(search_postings_write(bytes, runs, cnts), 4);
}

static void test_lists_cut_short_end_and_are_not_read_beyond(void)
{
	uint8_t bytes[256];
	size_t len = example_write(bytes);

	for (size_t cut = 0; cut < len; cut++) {
		struct postings lists[POSTING_FIELD_CNT];
		const uint8_t *pos = bytes;
		uint8_t *copy = malloc(cut ? cut : 1); /* so that a sanitizer sees its end */

		memcpy(copy, bytes, cut);
		pos = copy;
		CHECK(!search_postings_open(&pos, copy + cut, lists));
		free(copy);
	}
}

int main(void)
{
	RUN(test_lists_are_read_as_they_were_written);
	RUN(test_a_rare_word_takes_few_bytes);
	RUN(test_lists_cut_short_end_and_are_not_read_beyond);
	return check_done();
}
