/* SPDX-License-Identifier: Apache-2.0 */
/* A part of a file. */
#include <unistd.h>

#include "get_rig.h"

/* A range of BIG_LEN from byte 100, its first part, and what two of its parts have. */
#define RANGE_LEN	 700000u
#define RANGE_FIRST_LEN	 (BLAKE3_CHUNK_LEN / 2 - 100)
#define RANGE_CUT_LEN	 (RANGE_FIRST_LEN + BLAKE3_CHUNK_LEN / 2)
#define RANGE_PROOFS_LEN (RANGE_LEN / 32) /* what proofs add, at most */

static void check_range(const struct link *link, uint64_t off, uint64_t len, uint64_t want_len)
{
	const struct blobs_range range = {off, len};
	struct blobs_get_ask ask = {
		.link = link, .ranges = &range, .range_cnt = 1, .is_replacing = true};
	const struct blobs_get *get;
	static uint8_t got[BIG_LEN + 1];
	char name[80];
	uint64_t id;
	FILE *file;

	ask.target = duo_path(&duo, "out");
	CHECK_EQ(blobs_get_start(duo.nodes[DUO_B].content, &ask, duo.now_ns, &id), 0);
	get = duo_run(&duo, id, TURN_MAX);
	if (get->state != BLOBS_GET_FINISHED)
		printf("# %s\n", get->detail);
	CHECK_EQ(get->state, BLOBS_GET_FINISHED);
	CHECK_EQ(get->byte_done_cnt, want_len);
	snprintf(name, sizeof(name), "out/one.bin.%" PRIu64 "-%" PRIu64, off, want_len);
	file = fopen(duo_path(&duo, name), "r");
	CHECK(file);
	CHECK_EQ(fread(got, 1, sizeof(got), file), want_len);
	fclose(file);
	CHECK_MEM(got, file_bytes + off, want_len);
}

static void test_ranges_arrive(void)
{
	struct blobs_range range = {BIG_LEN, 1};
	struct blobs_get_ask ask = {.ranges = &range, .range_cnt = 1};
	struct link link;
	uint64_t id;

	duo_init(&duo);
	file_make("in/one.bin", BIG_LEN, 9);
	CHECK(duo_share(&duo, duo_path(&duo, "in/one.bin"), &link));
	check_range(&link, 0, 1, 1);
	check_range(&link, 5, 20000, 20000);
	check_range(&link, BLAKE3_CHUNK_LEN - 1, 2, 2);
	check_range(&link, 0, BIG_LEN, BIG_LEN);
	check_range(&link, 1, BIG_LEN, BIG_LEN - 1);
	check_range(&link, BIG_LEN - 1, 100, 1);
	check_range(&link, 100000, 400000, 400000);
	CHECK(!check_failed);
	ask.link = &link;
	ask.target = duo_path(&duo, "out");
	CHECK_EQ(blobs_get_start(duo.nodes[DUO_B].content, &ask, duo.now_ns, &id), 0);
	CHECK_EQ(duo_run(&duo, id, TURN_MAX)->err, WEFT_ETOOLARGE);
	range.len = 0;
	CHECK_EQ(blobs_get_start(duo.nodes[DUO_B].content, &ask, duo.now_ns, &id), WEFT_EMALFORMED);
	duo_fini(&duo);
}

static void only_two_proofs(struct duo *d, struct duo_answer *answer)
{
	if (answer->request_type == MESH_RANGE_PROOF && ++d->hook_cnt > 2)
		answer->delay_ns = 3600 * NS_PER_S;
}

/* Most of a file, of which two parts are there when its node ends. */
static void range_cut_short(struct link *link, uint64_t *out_id)
{
	static const struct blobs_range range = {100, RANGE_LEN};
	struct blobs_get_ask ask = {.link = link, .ranges = &range, .range_cnt = 1};
	const struct blobs_get *get;

	duo_init(&duo);
	file_make("in/one.bin", BIG_LEN, 9);
	CHECK(duo_share(&duo, duo_path(&duo, "in/one.bin"), link));
	ask.target = duo_path(&duo, "out");
	duo.on_answer = only_two_proofs;
	CHECK_EQ(blobs_get_start(duo.nodes[DUO_B].content, &ask, duo.now_ns, out_id), 0);
	get = blobs_get_lookup(duo.nodes[DUO_B].content, *out_id);
	for (unsigned i = 0; i < 1000 && get->byte_done_cnt < RANGE_CUT_LEN; i++)
		(void)duo_turn(&duo);
	CHECK_EQ(get->byte_done_cnt, RANGE_CUT_LEN);
	duo_node_close(&duo, DUO_B);
	duo.on_answer = NULL;
}

static void check_range_resumed(uint64_t id, uint64_t reused_len)
{
	const struct blobs_get *get;
	static uint8_t got[BIG_LEN];
	char name[80];
	FILE *file;

	duo_node_open(&duo, DUO_B);
	get = duo_run(&duo, id, TURN_MAX);
	CHECK_EQ(get->state, BLOBS_GET_FINISHED);
	CHECK_EQ(get->byte_done_cnt, RANGE_LEN);
	CHECK_EQ(get->reused_byte_cnt, reused_len);
	CHECK(get->received_byte_cnt < RANGE_LEN - reused_len + RANGE_PROOFS_LEN);
	snprintf(name, sizeof(name), "out/one.bin.100-%u", RANGE_LEN);
	file = fopen(duo_path(&duo, name), "r");
	CHECK(file);
	CHECK_EQ(fread(got, 1, sizeof(got), file), RANGE_LEN);
	fclose(file);
	CHECK_MEM(got, file_bytes + 100, RANGE_LEN);
	CHECK_EQ(access(duo_path(&duo, "out/one.bin"), F_OK), -1);
}

static void test_a_range_goes_on_where_it_was(void)
{
	struct link link;
	uint64_t id;

	range_cut_short(&link, &id);
	check_range_resumed(id, RANGE_CUT_LEN);
	duo_fini(&duo);
}

static void test_damaged_parts_of_a_range_are_fetched_again(void)
{
	static const struct {
		const char *what, *command;
		unsigned reused_len;
	} rows[] = {
		{"a byte of the first part", "printf X | dd of=$f bs=1 seek=7 conv=notrunc",
		 RANGE_CUT_LEN - RANGE_FIRST_LEN},
		{"a hash of the second", "printf X | dd of=$f.sums bs=1 seek=40 conv=notrunc",
		 RANGE_FIRST_LEN},
		{"all hashes lost", "rm $f.sums", 0},
		{"all bytes lost", "rm $f", 0},
		{"hashes cut short", "truncate -s 40 $f.sums", RANGE_FIRST_LEN},
	};
	char command[SCRATCH_CAP + 200];
	struct link link;
	uint64_t id;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) && !check_failed; i++) {
		range_cut_short(&link, &id);
		snprintf(command, sizeof(command),
			 "exec 2>/dev/null; for f in %s/.weft-*/range-*0; do %s; done",
			 duo_path(&duo, "out"), rows[i].command);
		CHECK_EQ(system(command), 0);
		check_range_resumed(id, rows[i].reused_len);
		if (check_failed)
			printf("# row \"%s\"\n", rows[i].what);
		duo_fini(&duo);
	}
}

static void test_range_of_a_folder_is_refused(void)
{
	const struct blobs_range range = {0, 10};
	struct blobs_get_ask ask = {.ranges = &range, .range_cnt = 1};
	struct link link;
	uint64_t id;

	duo_init(&duo);
	folder_make();
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &link));
	ask.link = &link;
	ask.target = duo_path(&duo, "out");
	CHECK_EQ(blobs_get_start(duo.nodes[DUO_B].content, &ask, duo.now_ns, &id), 0);
	CHECK_EQ(duo_run(&duo, id, TURN_MAX)->err, WEFT_EREFUSED);
	duo_fini(&duo);
}

int main(void)
{
	RUN(test_ranges_arrive);
	RUN(test_a_range_goes_on_where_it_was);
	RUN(test_damaged_parts_of_a_range_are_fetched_again);
	RUN(test_range_of_a_folder_is_refused);
	return check_done();
}
