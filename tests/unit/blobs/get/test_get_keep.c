/* SPDX-License-Identifier: Apache-2.0 */
/* Gets that are given up, and how long what they brought is given to others. */
#include <unistd.h>

#include "blobs/serve/in_progress.h"
#include "blobs/serve/servers.h"
#include "get_rig.h"

static struct told {
	unsigned cnt;
	int err;
	uint64_t removed_cnt, kept_cnt;
	char first_kept[256];
} told;

static void on_forgotten(void *arg, int err, const struct blobs_forgotten *forgotten)
{
	struct told *to = arg;

	to->cnt++;
	to->err = err;
	to->removed_cnt = forgotten->removed_cnt;
	to->kept_cnt = forgotten->kept_cnt;
	snprintf(to->first_kept, sizeof(to->first_kept), "%s",
		 forgotten->first_kept ? forgotten->first_kept : "");
}

static struct blobs *b(void)
{
	return duo.nodes[DUO_B].content;
}

static bool is_there(const char *name)
{
	return access(duo_path(&duo, name), F_OK) == 0;
}

static void forget(uint64_t id, bool deletes)
{
	told = (struct told){0};
	CHECK_EQ(blobs_get_forget(
			 b(),
			 &(struct blobs_forget_ask){
				 .id = id, .deletes = deletes, .done = on_forgotten, .arg = &told},
			 duo.now_ns),
		 0);
	for (unsigned i = 0; i < 20000 && !told.cnt; i++)
		(void)duo_turn(&duo);
	CHECK_EQ(told.cnt, 1);
}

static void got(struct link *link, uint64_t *out_id)
{
	const struct blobs_get *get;

	folder_make();
	CHECK(duo_share(&duo, duo_path(&duo, "in"), link));
	get = get_run(link, "out");
	CHECK_EQ(get->state, BLOBS_GET_FINISHED);
	*out_id = get->id;
}

static void test_given_up_get_is_gone_and_its_files_stay(void)
{
	struct link link;
	uint64_t id = 0;

	duo_init(&duo);
	got(&link, &id);
	forget(id, false);
	CHECK_EQ(told.err, 0);
	CHECK(!blobs_get_lookup(b(), id));
	CHECK_EQ(duo.nodes[DUO_B].event_cnt[BLOBS_GET_FORGOTTEN], 1);
	CHECK(duo_trees_equal(&duo, "in", "out"));
	duo_node_close(&duo, DUO_B);
	duo_node_open(&duo, DUO_B);
	CHECK(!blobs_get_lookup(b(), id));
	CHECK_EQ(blobs_get_forget(b(), &(struct blobs_forget_ask){.id = id, .deletes = true},
				  duo.now_ns),
		 WEFT_EABSENT);
	duo_fini(&duo);
}

static void test_files_that_weft_wrote_go_and_no_others(void)
{
	struct link link;
	uint64_t id = 0;

	duo_init(&duo);
	/* It lies there before, with the very bytes: the user's own. */
	file_make("out/a/small.txt", 1000, 1);
	got(&link, &id);
	file_make("out/b/chunk.bin", BLAKE3_CHUNK_LEN, 33); /* changed, of the same length */
	file_make("out/z/mine", 5, 34);
	CHECK_EQ(chmod(duo_path(&duo, "out/b/over.bin"), 0600), 0); /* the bytes are as they were */
	forget(id, true);
	CHECK_EQ(told.err, 0);
	CHECK_EQ(told.kept_cnt, 2);
	CHECK_STR(told.first_kept, "a/small.txt");
	CHECK_EQ(told.removed_cnt, 7);
	CHECK(is_there("out/a/small.txt") && is_there("out/b/chunk.bin") && is_there("out/z/mine"));
	CHECK(!is_there("out/a/big.bin") && !is_there("out/b/over.bin") && !is_there("out/empty"));
	CHECK(!is_there("out/z/deep") && !is_there("out/hollow") && !is_there("out/twin1"));
	duo_fini(&duo);
}

static void test_in_progress_get_is_given_up_with_its_staged_files(void)
{
	char command[SCRATCH_CAP + 100];
	struct link link;
	uint64_t id = 0;

	for (unsigned cut = 1; cut < 200; cut += 13) {
		duo_init(&duo);
		folder_make();
		CHECK(duo_share(&duo, duo_path(&duo, "in"), &link));
		duo.on_answer = only_first_chunks;
		id = duo_get_start(&duo, &link, "out");
		turns(cut);
		forget(id, true);
		CHECK_EQ(told.err, 0);
		CHECK(!blobs_get_lookup(b(), id));
		snprintf(command, sizeof(command), "test -z \"$(find %s -type f 2>/dev/null)\"",
			 duo_path(&duo, "out"));
		CHECK_EQ(system(command), 0);
		duo_fini(&duo);
	}
}

/* The program ends after each number of turns, and goes on when it starts again. */
static void test_giving_up_goes_on_after_a_restart_at_any_point(void)
{
	struct link link;
	uint64_t id = 0;

	for (unsigned cut = 0; cut < 12; cut++) {
		duo_init(&duo);
		got(&link, &id);
		told = (struct told){0};
		CHECK_EQ(blobs_get_forget(b(),
					  &(struct blobs_forget_ask){.id = id,
								     .deletes = true,
								     .done = on_forgotten,
								     .arg = &told},
					  duo.now_ns),
			 0);
		turns(cut);
		duo_node_close(&duo, DUO_B);
		CHECK_EQ(told.cnt, 1);
		duo_node_open(&duo, DUO_B);
		turns(200);
		CHECK(!blobs_get_lookup(b(), id));
		CHECK(!is_there("out/a") && !is_there("out/twin1"));
		duo_fini(&duo);
	}
}

static void test_full_table_refuses_rather_than_forget_what_is_seeded(void)
{
	struct blobs_get_ask ask = {0};
	const bool stops = true;
	const struct blobs_seed_ask stop = {.is_stopped = &stops};
	struct link link;
	uint64_t first, id = 0;

	duo_init(&duo);
	duo_node_close(&duo, DUO_B);
	duo.nodes[DUO_B].config.get_cap = 2;
	duo_node_open(&duo, DUO_B);
	file_make("in/x", 10, 1);
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &link));
	first = get_run(&link, "out1")->id;
	(void)get_run(&link, "out2");
	ask.link = &link;
	ask.target = duo_path(&duo, "out3");
	CHECK_EQ(blobs_get_start(b(), &ask, duo.now_ns, &id), WEFT_EFULL);
	CHECK_EQ(duo.nodes[DUO_B].event_cnt[BLOBS_GET_FORGOTTEN], 0);
	/* One that serves no peer gives way, and it is said. */
	CHECK_EQ(blobs_get_seed(b(), first, &stop, duo.now_ns), 0);
	turns(20);
	CHECK_EQ(blobs_get_start(b(), &ask, duo.now_ns, &id), 0);
	CHECK_EQ(duo.nodes[DUO_B].event_cnt[BLOBS_GET_FORGOTTEN], 1);
	CHECK(!blobs_get_lookup(b(), first));
	CHECK_EQ(duo_run(&duo, id, TURN_MAX)->state, BLOBS_GET_FINISHED);
	duo_fini(&duo);
}

/* --- seeding --- */

/* A asks B for what B got. */
static int served_to_a(const struct link *link, unsigned *out_state)
{
	static unsigned number;
	struct blobs_get_ask ask = {.manifest_id = link->manifest_id, .node_cnt = 1};
	struct link_node node = {0};
	char name[32];
	uint64_t id = 0;
	int err;

	snprintf(name, sizeof(name), "back%u", number++);
	memcpy(node.key, duo.nodes[DUO_B].key, sizeof(node.key));
	node.places.addr_cnt = 1;
	node.places.addrs[0] = duo.nodes[DUO_B].addr;
	ask.nodes = &node;
	ask.target = duo_path(&duo, name);
	err = blobs_get_start(duo.nodes[DUO_A].content, &ask, duo.now_ns, &id);
	if (err)
		return err;
	for (unsigned i = 0; i < 20000; i++) {
		const struct blobs_get *get = blobs_get_lookup(duo.nodes[DUO_A].content, id);

		*out_state = get->state;
		if (get->state >= BLOBS_GET_FINISHED)
			break;
		(void)duo_turn(&duo);
	}
	/* It does not copy from itself the next time. */
	err = blobs_get_forget(duo.nodes[DUO_A].content,
			       &(struct blobs_forget_ask){.id = id, .deletes = true}, duo.now_ns);
	duo_pass(&duo, 2 * NS_PER_S);
	return err;
}

/* B has what A does not have any more. */
static void only_b_has(struct link *link, uint64_t *out_id)
{
	char command[SCRATCH_CAP + 40];
	const struct blobs_get *get;

	file_make("in/one.bin", BIG_LEN, 9);
	CHECK(duo_share(&duo, duo_path(&duo, "in"), link));
	get = get_run(link, "out");
	CHECK_EQ(get->state, BLOBS_GET_FINISHED);
	CHECK_EQ(blobs_share_remove(duo.nodes[DUO_A].content, link->manifest_id, NULL, NULL), 0);
	turns(20);
	snprintf(command, sizeof(command), "rm -r %s", duo_path(&duo, "in"));
	CHECK_EQ(system(command), 0);
	*out_id = get->id;
}

static void test_stopped_seeding_serves_no_peer_over_restarts(void)
{
	bool stops = true;
	const struct blobs_seed_ask ask = {.is_stopped = &stops};
	const struct blobs_get *get;
	unsigned state = 0;
	struct link link;
	uint64_t id = 0;

	duo_init(&duo);
	only_b_has(&link, &id);
	CHECK_EQ(blobs_get_seed(b(), id, &ask, duo.now_ns), 0);
	CHECK_EQ(duo.nodes[DUO_B].event_cnt[BLOBS_SEED_STOPPED], 1);
	CHECK_EQ(served_to_a(&link, &state), 0);
	CHECK_EQ(state, BLOBS_GET_STOPPED);
	duo_node_close(&duo, DUO_B);
	duo_node_open(&duo, DUO_B);
	get = blobs_get_lookup(b(), id);
	CHECK(get && !blobs_get_is_seeded(get));
	CHECK_EQ(get->seed.end, BLOBS_SEED_ASKED);
	CHECK_EQ(served_to_a(&link, &state), 0);
	CHECK_EQ(state, BLOBS_GET_STOPPED);
	stops = false;
	CHECK_EQ(blobs_get_seed(b(), id, &ask, duo.now_ns), 0);
	CHECK_EQ(served_to_a(&link, &state), 0);
	CHECK_EQ(state, BLOBS_GET_FINISHED);
	duo_pass(&duo, 61 * NS_PER_S);
	CHECK(blobs_get_lookup(b(), id)->seed.sent_byte_cnt >= BIG_LEN);
	duo_fini(&duo);
}

static unsigned in_progress_served(void)
{
	struct in_progress *copy = blobs_in_progress_copy(b());
	unsigned cnt = copy ? copy->cnt : 99;

	blobs_in_progress_free(copy);
	return cnt;
}

static void test_stopped_seeding_of_a_running_get_serves_no_part_of_it(void)
{
	const bool stops = true;
	const struct blobs_seed_ask ask = {.is_stopped = &stops};
	struct link link;
	uint64_t id;

	duo_init(&duo);
	file_make("in/one.bin", BIG_LEN, 9);
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &link));
	duo.on_answer = only_first_chunks;
	id = duo_get_start(&duo, &link, "out");
	for (unsigned i = 0; i < 2000 && in_progress_served() == 0; i++)
		(void)duo_turn(&duo);
	CHECK_EQ(in_progress_served(), 1);
	CHECK_EQ(blobs_get_seed(b(), id, &ask, duo.now_ns), 0);
	CHECK_EQ(in_progress_served(), 0);
	duo_fini(&duo);
}

static void collected(void *arg, int err, const struct blobs_gc *gc)
{
	(void)gc;
	*(int *)arg = err;
}

static void test_stopped_seeding_is_no_garbage(void)
{
	bool stops = true;
	const struct blobs_seed_ask ask = {.is_stopped = &stops};
	unsigned state = 0;
	struct link link;
	uint64_t id = 0;
	int err = 1;

	duo_init(&duo);
	only_b_has(&link, &id);
	CHECK_EQ(blobs_get_seed(b(), id, &ask, duo.now_ns), 0);
	turns(20);
	CHECK_EQ(blobs_gc(b(), true, collected, &err), 0);
	for (unsigned i = 0; i < 20000 && err == 1; i++)
		(void)duo_turn(&duo);
	CHECK_EQ(err, 0);
	stops = false;
	CHECK_EQ(blobs_get_seed(b(), id, &ask, duo.now_ns), 0);
	CHECK_EQ(served_to_a(&link, &state), 0);
	CHECK_EQ(state, BLOBS_GET_FINISHED);
	duo_fini(&duo);
}

static void test_reached_ratio_ends_seeding_and_is_counted_anew(void)
{
	const uint64_t percent = 200, too_much = BLOBS_SEED_PERCENT_MAX + 1ull;
	const bool starts = false;
	const struct blobs_seed_ask set = {.percent = &percent}, bad = {.percent = &too_much};
	const struct blobs_seed_ask start = {.is_stopped = &starts};
	const struct blobs_get *get;
	unsigned state = 0;
	struct link link;
	uint64_t id = 0;

	duo_init(&duo);
	only_b_has(&link, &id);
	CHECK_EQ(blobs_get_seed(b(), id, &bad, duo.now_ns), WEFT_EMALFORMED);
	CHECK_EQ(blobs_get_seed(b(), id, &set, duo.now_ns), 0);
	get = blobs_get_lookup(b(), id);
	CHECK_EQ(served_to_a(&link, &state), 0);
	duo_pass(&duo, 2 * NS_PER_S);
	CHECK_EQ(state, BLOBS_GET_FINISHED);
	CHECK(blobs_get_is_seeded(get));
	CHECK_EQ(get->seed.counted_byte_cnt, BIG_LEN);
	/* What it has sent outlives a restart. */
	duo_node_close(&duo, DUO_B);
	duo_node_open(&duo, DUO_B);
	get = blobs_get_lookup(b(), id);
	CHECK_EQ(get->seed.percent, 200);
	CHECK_EQ(get->seed.sent_byte_cnt, BIG_LEN);
	CHECK_EQ(served_to_a(&link, &state), 0);
	CHECK_EQ(state, BLOBS_GET_FINISHED);
	CHECK_EQ(get->seed.sent_byte_cnt, 2 * BIG_LEN);
	CHECK_EQ(get->seed.end, BLOBS_SEED_RATIO);
	CHECK_EQ(duo.nodes[DUO_B].event_cnt[BLOBS_SEED_STOPPED], 1);
	CHECK_EQ(served_to_a(&link, &state), 0);
	CHECK_EQ(state, BLOBS_GET_STOPPED);
	CHECK_EQ(blobs_get_seed(b(), id, &start, duo.now_ns), 0);
	CHECK_EQ(served_to_a(&link, &state), 0);
	CHECK_EQ(state, BLOBS_GET_FINISHED);
	CHECK(blobs_get_is_seeded(get));
	CHECK_EQ(get->seed.counted_byte_cnt, BIG_LEN);
	duo_fini(&duo);
}

static void test_time_ends_seeding(void)
{
	const uint64_t for_s = 100, too_long = BLOBS_SEED_FOR_S_MAX + 1;
	const struct blobs_seed_ask set = {.for_s = &for_s}, bad = {.for_s = &too_long};
	const struct blobs_get *get;
	struct link link;
	uint64_t id = 0;

	duo_init(&duo);
	duo.nodes[DUO_B].wall_s = 1000000;
	only_b_has(&link, &id);
	CHECK_EQ(blobs_get_seed(b(), id, &bad, duo.now_ns), WEFT_EMALFORMED);
	CHECK_EQ(blobs_get_seed(b(), id, &set, duo.now_ns), 0);
	get = blobs_get_lookup(b(), id);
	CHECK_EQ(get->seed.since_s, 1000000);
	duo.nodes[DUO_B].wall_s += 99;
	duo_pass(&duo, 61 * NS_PER_S);
	CHECK(blobs_get_is_seeded(get));
	duo.nodes[DUO_B].wall_s += 1;
	duo_pass(&duo, 61 * NS_PER_S);
	CHECK(!blobs_get_is_seeded(get));
	CHECK_EQ(get->seed.end, BLOBS_SEED_TIME);
	CHECK_EQ(duo.nodes[DUO_B].event_cnt[BLOBS_SEED_STOPPED], 1);
	duo_fini(&duo);
}

/* Those of the configuration hold where a get has none of its own. */
static void test_configured_bounds_hold_for_all(void)
{
	const uint64_t none = 0, its_default = UINT64_MAX;
	const struct blobs_seed_ask without = {.for_s = &none}, as_all = {.for_s = &its_default};
	const bool starts = false;
	const struct blobs_seed_ask start = {.is_stopped = &starts};
	const struct blobs_get *get;
	struct link link;
	uint64_t id = 0;

	duo_init(&duo);
	duo.nodes[DUO_B].wall_s = 1000000;
	only_b_has(&link, &id);
	get = blobs_get_lookup(b(), id);
	duo.nodes[DUO_B].config.seed_for_ns = 50 * NS_PER_S;
	CHECK_EQ(blobs_get_seed(b(), id, &without, duo.now_ns), 0);
	blobs_configure(b(), &duo.nodes[DUO_B].config);
	duo.nodes[DUO_B].wall_s += 50;
	duo_pass(&duo, 61 * NS_PER_S);
	CHECK(blobs_get_is_seeded(get));
	CHECK_EQ(blobs_get_seed(b(), id, &as_all, duo.now_ns), 0);
	CHECK(!blobs_get_is_seeded(get));
	CHECK_EQ(get->seed.end, BLOBS_SEED_TIME);
	CHECK_EQ(blobs_get_seed(b(), id, &start, duo.now_ns), 0);
	CHECK(blobs_get_is_seeded(get));
	duo_fini(&duo);
}

/* --- a followed share's folder --- */

static void revision_start(const struct link *link, uint64_t revision, uint64_t *out_id)
{
	const struct blobs_folder folder = {.share_id = {7}, .revision = revision};
	const struct blobs_get_ask ask = {
		.link = link, .target = duo_path(&duo, "out"), .folder = &folder};

	CHECK_EQ(blobs_get_start(b(), &ask, duo.now_ns, out_id), 0);
}

/* B has the first of two revisions and seeds it no more. */
static void stopped_revision(struct link links[static 2])
{
	const bool stops = true;
	const struct blobs_seed_ask stop = {.is_stopped = &stops};
	uint64_t id = 0;

	file_make("in1/one.bin", BIG_LEN, 9);
	file_make("in2/one.bin", BIG_LEN, 10);
	CHECK(duo_share(&duo, duo_path(&duo, "in1"), &links[0]));
	CHECK(duo_share(&duo, duo_path(&duo, "in2"), &links[1]));
	revision_start(&links[0], 1, &id);
	CHECK_EQ(duo_run(&duo, id, TURN_MAX)->state, BLOBS_GET_FINISHED);
	CHECK_EQ(blobs_get_seed(b(), id, &stop, duo.now_ns), 0);
	turns(20);
}

static void test_stopped_seeding_of_a_folder_outlives_a_kill_in_the_next_revision(void)
{
	const struct blobs_get *get;
	struct link links[2];
	uint64_t id = 0;

	duo_init(&duo);
	stopped_revision(links);
	revision_start(&links[1], 2, &id);
	duo_node_close(&duo, DUO_B);
	duo_node_open(&duo, DUO_B);
	get = blobs_get_lookup(b(), id);
	CHECK(get);
	CHECK_EQ(get->seed.end, BLOBS_SEED_ASKED);
	duo_fini(&duo);
}

static void test_stopped_seeding_of_a_folder_outlives_a_full_table(void)
{
	struct link links[2];
	uint64_t id = 0;

	duo_init(&duo);
	duo_node_close(&duo, DUO_B);
	duo.nodes[DUO_B].config.get_cap = 1;
	duo_node_open(&duo, DUO_B);
	stopped_revision(links);
	revision_start(&links[1], 2, &id);
	CHECK_EQ(blobs_get_lookup(b(), id)->seed.end, BLOBS_SEED_ASKED);
	CHECK_EQ(duo.nodes[DUO_B].event_cnt[BLOBS_GET_FORGOTTEN], 1);
	duo_fini(&duo);
}

int main(void)
{
	RUN(test_given_up_get_is_gone_and_its_files_stay);
	RUN(test_files_that_weft_wrote_go_and_no_others);
	RUN(test_in_progress_get_is_given_up_with_its_staged_files);
	RUN(test_giving_up_goes_on_after_a_restart_at_any_point);
	RUN(test_full_table_refuses_rather_than_forget_what_is_seeded);
	RUN(test_stopped_seeding_serves_no_peer_over_restarts);
	RUN(test_stopped_seeding_of_a_running_get_serves_no_part_of_it);
	RUN(test_stopped_seeding_is_no_garbage);
	RUN(test_reached_ratio_ends_seeding_and_is_counted_anew);
	RUN(test_time_ends_seeding);
	RUN(test_configured_bounds_hold_for_all);
	RUN(test_stopped_seeding_of_a_folder_outlives_a_kill_in_the_next_revision);
	RUN(test_stopped_seeding_of_a_folder_outlives_a_full_table);
	return check_done();
}
