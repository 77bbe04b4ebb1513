/* SPDX-License-Identifier: Apache-2.0 */
/* What is not to be fetched is not, and nothing of the get that wants it. */
#include <sys/stat.h>
#include <unistd.h>

#include "blobs/read/read.h"
#include "crypto/blake3/blake3.h"
#include "support/check.h"
#include "support/content_duo.h"

#define TURN_MAX 200000u

static struct duo duo;
static struct link shared;
static uint8_t blocked_id[BLAKE3_HASH_LEN];
static unsigned chunk_cnt;

static bool is_blocked(void *ctx, const uint8_t content_id[static 32])
{
	(void)ctx;
	return memcmp(content_id, blocked_id, sizeof(blocked_id)) == 0;
}

static void count_chunks(struct duo *d, struct duo_answer *answer)
{
	(void)d;
	chunk_cnt += answer->type == MESH_CHUNK_DATA;
}

static bool duo_begin(void)
{
	duo_init(&duo);
	mkdir(duo_path(&duo, "in"), 0755);
	scratch_write(duo_path(&duo, "in/bad.txt"), "bad", 3);
	scratch_write(duo_path(&duo, "in/good.txt"), "good", 4);
	blake3_hash("bad", 3, blocked_id);
	chunk_cnt = 0;
	if (!duo_share(&duo, duo_path(&duo, "in"), &shared))
		return false;
	blobs_set_blocker(duo.nodes[DUO_B].content, is_blocked, NULL);
	duo.on_answer = count_chunks;
	return true;
}

static const struct blobs_get *get_run(const char *only, size_t only_len)
{
	const struct blobs_get_ask ask = {.link = &shared,
					  .target = duo_path(&duo, "out"),
					  .only = only,
					  .only_len = only_len,
					  .priority = BLOBS_GET_PRIORITY};
	uint64_t id;

	if (blobs_get_start(duo.nodes[DUO_B].content, &ask, duo.now_ns, &id) < 0)
		return NULL;
	return duo_run(&duo, id, TURN_MAX);
}

static void test_a_get_of_a_blocked_file_stops_before_anything_is_fetched(void)
{
	const struct blobs_get *get;

	CHECK(duo_begin());
	get = get_run(NULL, 0);
	CHECK(get);
	CHECK_EQ(get->state, BLOBS_GET_STOPPED);
	CHECK_EQ(get->err, WEFT_EREFUSED);
	CHECK(strstr(get->detail, "bad.txt"));
	CHECK_EQ(chunk_cnt, 0);
	CHECK(access(duo_path(&duo, "out/good.txt"), F_OK) != 0);
	duo_fini(&duo);
}

static void test_the_other_files_are_fetched_without_it(void)
{
	const struct blobs_get *get;

	CHECK(duo_begin());
	get = get_run("good*", sizeof("good*"));
	CHECK(get);
	CHECK_EQ(get->state, BLOBS_GET_FINISHED);
	CHECK(access(duo_path(&duo, "out/good.txt"), F_OK) == 0);
	duo_fini(&duo);
}

static void test_it_is_fetched_when_it_is_blocked_no_more(void)
{
	const struct blobs_get *get;

	CHECK(duo_begin());
	get = get_run(NULL, 0);
	CHECK(get);
	memset(blocked_id, 0, sizeof(blocked_id));
	CHECK_EQ(blobs_get_resume(duo.nodes[DUO_B].content, get->id, duo.now_ns), 0);
	get = duo_run(&duo, get->id, TURN_MAX);
	CHECK_EQ(get->state, BLOBS_GET_FINISHED);
	CHECK(duo_trees_equal(&duo, "in", "out"));
	duo_fini(&duo);
}

static void test_nor_is_it_read(void)
{
	struct reader_ask ask = {.size = 3, .len = 3};
	struct reader *reader;

	CHECK(duo_begin());
	memcpy(ask.content_id, blocked_id, sizeof(blocked_id));
	CHECK_EQ(blobs_reader_start(duo.nodes[DUO_B].content, &ask, duo.now_ns, &reader),
		 WEFT_EREFUSED);
	duo_fini(&duo);
}

int main(void)
{
	RUN(test_a_get_of_a_blocked_file_stops_before_anything_is_fetched);
	RUN(test_the_other_files_are_fetched_without_it);
	RUN(test_it_is_fetched_when_it_is_blocked_no_more);
	RUN(test_nor_is_it_read);
	return check_done();
}
