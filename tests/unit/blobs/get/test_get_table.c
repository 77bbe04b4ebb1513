/* SPDX-License-Identifier: Apache-2.0 */
/* Gets that are taken back, forgotten, or refused a place. */
#include <unistd.h>

#include "get_rig.h"

static void test_cancelled_get_leaves_nothing_staged(void)
{
	char command[SCRATCH_CAP + 100];
	struct link link;
	uint64_t id;

	for (unsigned cut = 1; cut < 200; cut += 9) {
		duo_init(&duo);
		folder_make();
		CHECK(duo_share(&duo, duo_path(&duo, "in"), &link));
		duo.on_answer = only_first_chunks;
		id = duo_get_start(&duo, &link, "out");
		turns(cut);
		CHECK_EQ(blobs_get_cancel(duo.nodes[DUO_B].content, id, true, duo.now_ns), 0);
		CHECK_EQ(duo_run(&duo, id, TURN_MAX)->state, BLOBS_GET_TAKEN_BACK);
		snprintf(command, sizeof(command), "test -z \"$(ls -d %s/.weft* 2>/dev/null)\"",
			 duo_path(&duo, "out"));
		CHECK_EQ(system(command), 0);
		CHECK_EQ(duo.nodes[DUO_B].event_cnt[BLOBS_GET_CANCELLED], 1);
		duo.on_answer = NULL;
		CHECK_EQ(blobs_get_resume(duo.nodes[DUO_B].content, id, duo.now_ns), 0);
		CHECK_EQ(duo_run(&duo, id, TURN_MAX)->state, BLOBS_GET_FINISHED);
		CHECK(duo_trees_equal(&duo, "in", "out"));
		duo_fini(&duo);
	}
}

static bool is_staging_in(const char *target)
{
	char command[SCRATCH_CAP + 100];

	snprintf(command, sizeof(command), "ls -d %s/.weft* >/dev/null 2>&1",
		 duo_path(&duo, target));
	return system(command) == 0;
}

static void test_failed_get_leaves_only_what_it_can_go_on_with(void)
{
	const struct blobs_get *get;
	struct link link;

	/* Something is in the way of the only file: nothing is staged. */
	duo_init(&duo);
	file_make("in/one.bin", BIG_LEN, 9);
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &link));
	file_make("out/one.bin", 10, 3);
	get = get_run(&link, "out");
	CHECK_EQ(get->state, BLOBS_GET_STOPPED);
	CHECK_EQ(get->err, WEFT_EEXISTS);
	CHECK(!is_staging_in("out"));
	CHECK_EQ(access(duo_path(&duo, "out/one.bin"), F_OK), 0);
	duo_fini(&duo);
}

static void gone_after_two(struct duo *d, struct duo_answer *answer)
{
	if (answer->type == MESH_CHUNK_DATA && ++d->hook_cnt > 2)
		answer->err = WEFT_EABSENT;
}

/* A get with two chunks staged that stopped. */
static void get_stop_half_way(struct link *link, const char *target, uint64_t *out_id)
{
	duo.hook_cnt = 0;
	duo.on_answer = gone_after_two;
	*out_id = duo_get_start(&duo, link, target);
	CHECK_EQ(duo_run(&duo, *out_id, TURN_MAX)->state, BLOBS_GET_STOPPED);
	duo.on_answer = NULL;
	CHECK(is_staging_in(target));
}

static void test_stopped_get_with_staged_bytes_is_not_forgotten(void)
{
	const bool stops = true;
	const struct blobs_seed_ask stop = {.is_stopped = &stops};
	struct link link;
	uint64_t half, other, id;

	duo_init(&duo);
	duo_node_close(&duo, DUO_B);
	duo.nodes[DUO_B].config.get_cap = 2;
	duo_node_open(&duo, DUO_B);
	file_make("in/one.bin", BIG_LEN, 9);
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &link));
	get_stop_half_way(&link, "half", &half);
	other = duo_get_start(&duo, &link, "other");
	CHECK_EQ(duo_run(&duo, other, TURN_MAX)->state, BLOBS_GET_FINISHED);
	/* One that finished and is not seeded gives way, also after a restart. */
	CHECK_EQ(blobs_get_seed(duo.nodes[DUO_B].content, other, &stop, duo.now_ns), 0);
	turns(20);
	duo_node_close(&duo, DUO_B);
	duo_node_open(&duo, DUO_B);
	id = duo_get_start(&duo, &link, "third");
	CHECK_EQ(duo_run(&duo, id, TURN_MAX)->state, BLOBS_GET_FINISHED);
	CHECK(!blobs_get_lookup(duo.nodes[DUO_B].content, other));
	CHECK(blobs_get_lookup(duo.nodes[DUO_B].content, half));
	/* One that was taken back may go, for its staging went before. */
	CHECK_EQ(blobs_get_cancel(duo.nodes[DUO_B].content, half, true, duo.now_ns), 0);
	CHECK_EQ(duo_run(&duo, half, TURN_MAX)->state, BLOBS_GET_TAKEN_BACK);
	CHECK(!is_staging_in("half"));
	duo_fini(&duo);
}

/* The restart comes before the cancelled get has had its turn. */
static void test_cancel_of_a_stopped_get_outlives_a_restart(void)
{
	struct link link;
	uint64_t id;

	duo_init(&duo);
	file_make("in/one.bin", BIG_LEN, 9);
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &link));
	get_stop_half_way(&link, "half", &id);
	duo_node_close(&duo, DUO_B);
	duo.nodes[DUO_B].config.get_active_cap = 0;
	duo_node_open(&duo, DUO_B);
	CHECK_EQ(blobs_get_cancel(duo.nodes[DUO_B].content, id, true, duo.now_ns), 0);
	turns(10);
	CHECK(is_staging_in("half"));
	duo_node_close(&duo, DUO_B);
	duo.nodes[DUO_B].config.get_active_cap = 4;
	duo_node_open(&duo, DUO_B);
	CHECK_EQ(duo_run(&duo, id, TURN_MAX)->state, BLOBS_GET_TAKEN_BACK);
	CHECK(!is_staging_in("half"));
	duo_fini(&duo);
}

static void test_table_of_gets_with_staged_bytes_is_full(void)
{
	struct blobs_get_ask ask = {0};
	struct link links[3];
	uint64_t ids[3];

	duo_init(&duo);
	duo_node_close(&duo, DUO_B);
	duo.nodes[DUO_B].config.get_cap = 2;
	duo_node_open(&duo, DUO_B);
	for (unsigned i = 0; i < 3; i++) {
		char name[16];

		snprintf(name, sizeof(name), "in/%u.bin", i);
		file_make(name, BIG_LEN, i);
		CHECK(duo_share(&duo, duo_path(&duo, name), &links[i]));
	}
	get_stop_half_way(&links[0], "half", &ids[0]);
	get_stop_half_way(&links[1], "half2", &ids[1]);
	ask.link = &links[2];
	ask.target = duo_path(&duo, "third");
	CHECK_EQ(blobs_get_start(duo.nodes[DUO_B].content, &ask, duo.now_ns, &ids[2]), WEFT_EFULL);
	CHECK_EQ(blobs_get_cancel(duo.nodes[DUO_B].content, ids[1], true, duo.now_ns), 0);
	CHECK_EQ(duo_run(&duo, ids[1], TURN_MAX)->state, BLOBS_GET_TAKEN_BACK);
	turns(10);
	ids[2] = duo_get_start(&duo, &links[2], "third");
	CHECK_EQ(duo_run(&duo, ids[2], TURN_MAX)->state, BLOBS_GET_FINISHED);
	CHECK(is_staging_in("half"));
	duo_fini(&duo);
}

/* Cancelled without a word of discarding, it goes on from what is there; told so later, it goes. */
static void test_cancelled_get_goes_on_with_what_it_kept(void)
{
	struct blobs *content;
	struct link link;
	uint64_t id, received;

	duo_init(&duo);
	file_make("in/one.bin", BIG_LEN, 9);
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &link));
	get_stop_half_way(&link, "half", &id);
	content = duo.nodes[DUO_B].content;
	CHECK_EQ(blobs_get_cancel(content, id, false, duo.now_ns), 0);
	CHECK_EQ(duo_run(&duo, id, TURN_MAX)->state, BLOBS_GET_TAKEN_BACK);
	CHECK(is_staging_in("half"));
	turns(10);
	duo_node_close(&duo, DUO_B);
	duo_node_open(&duo, DUO_B);
	content = duo.nodes[DUO_B].content;
	CHECK_EQ(blobs_get_lookup(content, id)->state, BLOBS_GET_TAKEN_BACK);
	CHECK(is_staging_in("half"));
	received = blobs_get_lookup(content, id)->received_byte_cnt;
	CHECK_EQ(blobs_get_resume(content, id, duo.now_ns), 0);
	CHECK_EQ(duo_run(&duo, id, TURN_MAX)->state, BLOBS_GET_FINISHED);
	CHECK(duo_trees_equal(&duo, "in", "half"));
	CHECK(blobs_get_lookup(content, id)->received_byte_cnt - received < BIG_LEN);

	/* Another file: of this one nothing would be fetched any more. */
	file_make("in2/two.bin", BIG_LEN, 10);
	CHECK(duo_share(&duo, duo_path(&duo, "in2"), &link));
	get_stop_half_way(&link, "half2", &id);
	CHECK_EQ(blobs_get_cancel(content, id, false, duo.now_ns), 0);
	turns(10);
	CHECK(is_staging_in("half2"));
	CHECK_EQ(blobs_get_cancel(content, id, true, duo.now_ns), 0);
	CHECK_EQ(duo_run(&duo, id, TURN_MAX)->state, BLOBS_GET_TAKEN_BACK);
	CHECK(!is_staging_in("half2"));
	duo_fini(&duo);
}

static void test_cancel_of_a_get_with_a_lost_target_makes_nothing(void)
{
	char command[SCRATCH_CAP + 100];
	struct link link;
	uint64_t id;

	duo_init(&duo);
	file_make("in/one.bin", BIG_LEN, 9);
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &link));
	get_stop_half_way(&link, "half", &id);
	snprintf(command, sizeof(command), "rm -r %s", duo_path(&duo, "half"));
	CHECK_EQ(system(command), 0);
	CHECK_EQ(blobs_get_cancel(duo.nodes[DUO_B].content, id, true, duo.now_ns), 0);
	CHECK_EQ(duo_run(&duo, id, TURN_MAX)->state, BLOBS_GET_TAKEN_BACK);
	CHECK_EQ(access(duo_path(&duo, "half"), F_OK), -1);
	duo_fini(&duo);
}

static void test_asking_the_impossible_is_refused(void)
{
	struct blobs *content;
	struct blobs_get_ask ask = {.target = "relative"};
	const struct blobs_range range = {0, 1};
	char long_path[5000];
	struct link link;
	uint64_t id, other;

	duo_init(&duo);
	content = duo.nodes[DUO_B].content;
	folder_make();
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &link));
	ask.link = &link;
	CHECK_EQ(blobs_get_start(content, &ask, duo.now_ns, &id), WEFT_EUNSAFE);
	memset(long_path, 'x', sizeof(long_path));
	long_path[0] = '/';
	long_path[sizeof(long_path) - 1] = '\0';
	ask.target = long_path;
	CHECK_EQ(blobs_get_start(content, &ask, duo.now_ns, &id), WEFT_ETOOLARGE);
	id = duo_get_start(&duo, &link, "out");
	ask.target = duo_path(&duo, "out/");
	CHECK_EQ(blobs_get_start(content, &ask, duo.now_ns, &other), 1);
	CHECK_EQ(other, id);
	ask.is_replacing = true;
	CHECK_EQ(blobs_get_start(content, &ask, duo.now_ns, &other), WEFT_EEXISTS);
	ask.is_replacing = false;
	ask.ranges = &range;
	ask.range_cnt = 1;
	CHECK_EQ(blobs_get_start(content, &ask, duo.now_ns, &other), WEFT_EEXISTS);
	ask.range_cnt = 0;
	ask.only = "a";
	ask.only_len = 2;
	CHECK_EQ(blobs_get_start(content, &ask, duo.now_ns, &other), WEFT_EEXISTS);
	ask.only = NULL;
	CHECK_EQ(blobs_get_resume(content, id, duo.now_ns), WEFT_EBUSY);
	CHECK_EQ(blobs_get_cancel(content, id, true, duo.now_ns), 0);
	CHECK_EQ(blobs_get_start(content, &ask, duo.now_ns, &other), WEFT_EEXISTS);
	CHECK_EQ(blobs_get_resume(content, 999, duo.now_ns), WEFT_EABSENT);
	CHECK_EQ(blobs_get_cancel(content, 999, true, duo.now_ns), WEFT_EABSENT);
	duo_fini(&duo);
}

/* The table was made smaller: what it has no room for keeps its record and its number. */
static void test_get_without_a_place_keeps_its_number(void)
{
	struct link link;
	uint64_t first, second;

	duo_init(&duo);
	file_make("in/x", 10, 1);
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &link));
	first = duo_get_start(&duo, &link, "out1");
	duo_run(&duo, first, TURN_MAX);
	second = duo_get_start(&duo, &link, "out2");
	duo_run(&duo, second, TURN_MAX);
	duo_node_close(&duo, DUO_B);
	duo.nodes[DUO_B].config.get_cap = 1;
	duo_node_open(&duo, DUO_B);
	CHECK_EQ(blobs_get_cancel(duo.nodes[DUO_B].content, first, true, duo.now_ns), 0);
	CHECK_EQ(blobs_get_forget(duo.nodes[DUO_B].content, &(struct blobs_forget_ask){.id = first},
				  duo.now_ns),
		 0);
	turns(20);
	CHECK(duo_get_start(&duo, &link, "out3") > second);
	duo_node_close(&duo, DUO_B);
	duo.nodes[DUO_B].config.get_cap = 2;
	duo_node_open(&duo, DUO_B);
	CHECK(blobs_get_lookup(duo.nodes[DUO_B].content, second));
	duo_fini(&duo);
}

int main(void)
{
	RUN(test_cancelled_get_leaves_nothing_staged);
	RUN(test_failed_get_leaves_only_what_it_can_go_on_with);
	RUN(test_stopped_get_with_staged_bytes_is_not_forgotten);
	RUN(test_cancel_of_a_stopped_get_outlives_a_restart);
	RUN(test_table_of_gets_with_staged_bytes_is_full);
	RUN(test_cancelled_get_goes_on_with_what_it_kept);
	RUN(test_cancel_of_a_get_with_a_lost_target_makes_nothing);
	RUN(test_asking_the_impossible_is_refused);
	RUN(test_get_without_a_place_keeps_its_number);
	return check_done();
}
