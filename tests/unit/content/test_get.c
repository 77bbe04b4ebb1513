/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "crypto/blake3.h"
#include "support/check.h"
#include "support/content_rig.h"

#define BIG_LEN	 (3u * BLAKE3_CHUNK_LEN + 12345)
#define TURN_MAX 2000000u

static struct duo duo;
static uint8_t bytes[BIG_LEN];

static void file_make(const char *name, size_t len, uint64_t seed)
{
	struct random random;
	char command[SCRATCH_CAP + 400];
	char *slash;

	random_init_seeded(&random, seed);
	random_fill(&random, bytes, len);
	snprintf(command, sizeof(command), "%s", duo_path(&duo, name));
	slash = strrchr(command, '/');
	*slash = '\0';
	for (char *at = strchr(command + 1, '/'); at; at = strchr(at + 1, '/')) {
		*at = '\0';
		mkdir(command, 0755);
		*at = '/';
	}
	mkdir(command, 0755);
	scratch_write(duo_path(&duo, name), bytes, len);
}

static bool trees_equal(const char *a, const char *b)
{
	char command[2 * SCRATCH_CAP + 700];

	snprintf(command, sizeof(command), "diff -r %s %s", duo_path(&duo, a), duo_path(&duo, b));
	return system(command) == 0;
}

/* A small folder with every kind of item. */
static void folder_make(void)
{
	file_make("in/a/small.txt", 1000, 1);
	file_make("in/a/big.bin", BIG_LEN, 2);
	file_make("in/b/chunk.bin", BLAKE3_CHUNK_LEN, 3);
	file_make("in/b/over.bin", BLAKE3_CHUNK_LEN + 1, 4);
	file_make("in/empty", 0, 5);
	file_make("in/z/deep/er/x", 20, 6);
	file_make("in/twin1", 5000, 7);
	file_make("in/twin2", 5000, 7);
	file_make("in/twin3big", BIG_LEN, 2);
	mkdir(duo_path(&duo, "in/hollow"), 0755);
}

static uint64_t get_start(const struct link *link, const char *target)
{
	struct content_get_ask ask = {.link = link, .target = duo_path(&duo, target)};
	uint64_t id = 0;
	int err = content_get_start(duo.nodes[DUO_B].content, &ask, duo.now_ns, &id);

	if (err)
		printf("# get_start: %d\n", err);
	return id;
}

static const struct content_get *get_run(const struct link *link, const char *target)
{
	uint64_t id = get_start(link, target);
	const struct content_get *get = id ? duo_run(&duo, id, TURN_MAX) : NULL;

	if (get)
		printf("# state %d err %d detail %s\n", get->state, get->err, get->detail);
	return get;
}

static void check_folder_arrives(void)
{
	const struct content_get *get;
	struct link link;

	folder_make();
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &link));
	get = get_run(&link, "out");
	CHECK(get);
	CHECK_EQ(get->state, CONTENT_GET_FINISHED);
	CHECK(trees_equal("in", "out"));
	CHECK_EQ(get->item_cnt, 9);
	CHECK_EQ(get->item_done_cnt, 9);
	CHECK_EQ(get->byte_done_cnt, get->byte_cnt);
	CHECK_EQ(get->bad_chunk_cnt, 0);
	/* The twins were copied, not fetched. */
	CHECK_EQ(get->reused_byte_cnt, 5000 + BIG_LEN);
	CHECK(get->received_byte_cnt < get->byte_cnt);
	CHECK_EQ(duo.nodes[DUO_B].event_cnt[CONTENT_GET_DONE], 1);
	CHECK_EQ(duo.lent_cnt, 0);
}

static void test_shared_folder_arrives_as_it_is(void)
{
	duo_init(&duo);
	check_folder_arrives();
	duo_fini(&duo);
}

int main(void)
{
	RUN(test_shared_folder_arrives_as_it_is);
	return check_done();
}
