/* SPDX-License-Identifier: Apache-2.0 */
#include "blobs/serve/serve_file.h"

#include "support/check.h"

static struct serve_file file;

static void begin(void)
{
	memset(&file, 0, sizeof(file));
}

static void test_a_sequential_reader_gets_read_ahead(void)
{
	begin();
	CHECK_EQ(blobs_serve_file_ahead(&file, 0), 0);
	for (uint64_t chunk = 1; chunk < SERVE_AHEAD_MAX; chunk++)
		CHECK_EQ(blobs_serve_file_ahead(&file, chunk), chunk);
	for (uint64_t chunk = SERVE_AHEAD_MAX; chunk < 100; chunk++)
		CHECK_EQ(blobs_serve_file_ahead(&file, chunk), SERVE_AHEAD_MAX);
}

/* Getters that fetch the rarest first read anywhere: reading ahead would serve no getter. */
static void test_reads_anywhere_are_not_read_ahead_for(void)
{
	static const uint64_t chunks[] = {500, 100, 900, 200, 0, 700, 300};

	begin();
	for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++)
		CHECK_EQ(blobs_serve_file_ahead(&file, chunks[i]), 0);
}

/* Requests that are under way together overtake each other. */
static void test_disorder_within_the_window_is_a_run(void)
{
	static const uint64_t chunks[] = {0, 2, 1, 4, 3, 6, 5};

	begin();
	for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++)
		CHECK_EQ(blobs_serve_file_ahead(&file, chunks[i]), i);
	CHECK_EQ(file.next_chunk, 7);
}

static void test_a_jump_ends_a_run(void)
{
	begin();
	for (uint64_t chunk = 0; chunk < 10; chunk++)
		(void)blobs_serve_file_ahead(&file, chunk);
	CHECK_EQ(blobs_serve_file_ahead(&file, 10 + SERVE_AHEAD_MAX + 1), 0);
	CHECK_EQ(blobs_serve_file_ahead(&file, UINT64_MAX - SERVE_AHEAD_MAX - 1), 0);
}

int main(void)
{
	RUN(test_a_sequential_reader_gets_read_ahead);
	RUN(test_reads_anywhere_are_not_read_ahead_for);
	RUN(test_disorder_within_the_window_is_a_run);
	RUN(test_a_jump_ends_a_run);
	return check_done();
}
